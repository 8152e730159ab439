"""``ecsroll demo --serve``: the simulated AWS as an endpoint, for ecsroll and any AWS client."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.console import Ran, ecsroll

pytest.importorskip("moto")

SERVE = (sys.executable, "-m", "ecsroll", "demo", "--serve")
BIN = str(Path(sys.executable).parent)


CONNECT: Any = boto3.client


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def served(*words: str, ended_by: int = signal.SIGTERM) -> Ran:
    return ecsroll(None, "demo", "--serve", *words, ending=lambda: ended_by)


# What it says ---------------------------------------------------------------------------------------------------


def test_it_says_what_to_paste() -> None:
    lines = served("--speed", "30").err.splitlines()
    assert re.fullmatch(
        r"The simulated AWS answers at http://127\.0\.0\.1:\d+; its time runs 30 times as fast as ours\..*", lines[0]
    )
    exports = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    assert exports.pop("AWS_ENDPOINT_URL") in lines[0]
    assert exports == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "ECSROLL_POLL_INTERVAL": "0.5s",
    }
    assert "ecsroll replace --cluster demo --yes" in lines
    assert "aws ecs list-container-instances --cluster demo" in lines


def test_as_json_it_is_a_line_with_the_endpoint_and_then_the_result() -> None:
    serving, result = served("--json").lines
    assert serving["event"] == "serving"
    assert serving["environment"]["AWS_ENDPOINT_URL"] == serving["endpoint"]
    assert (result["command"], result["result"], result["exit_code"]) == ("demo", "done", 0)
    assert result["hosts"] == {"replaced": 0, "remaining": 9}


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        pytest.param(signal.SIGTERM, 0, "done", id="SIGTERM is how a script ends what it started, so it is done"),
        pytest.param(signal.SIGINT, 130, "interrupted", id="Ctrl-C is 130 as with every command"),
    ],
)
def test_what_ends_it_is_its_result(number: int, code: int, word: str) -> None:
    ran = served("--json", ended_by=number)
    assert (ran.code, ran.result["result"], ran.result["exit_code"]) == (code, word, code)


def test_quiet_it_says_only_the_result() -> None:
    ran = served("--quiet", "--port", str(free_port()))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "done: the endpoint is closed; of 0 calls 0 changed something\n"


# What it refuses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (("--port", "8000"), "--port says where --serve listens", "--serve"),
        (("--serve", "--speed", "0"), "with --speed 0 the served time would stand still", "--speed 60"),
        (("--serve", "--quiet"), "with --quiet nobody would learn the free port", "--port"),
        (("--serve", "--port", "70000"), "less than or equal to 65535", "--help"),
    ],
)
def test_words_that_do_not_fit_are_refused_before_anything_is_opened(
    words: tuple[str, ...], sentence: str, hint: str
) -> None:
    ran = ecsroll(None, "demo", *words)
    assert ran.code == 2
    assert sentence in ran.err
    assert hint in ran.err


def test_a_port_that_is_taken_is_said_in_one_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ran = served("--port", str(port), "--json")
    assert ran.code == 2
    assert ran.result["reason"] == f"port {port} of 127.0.0.1 can not be listened on: Address already in use"
    assert "another --port" in ran.result["next"]


def test_without_moto_the_hint_is_what_to_install() -> None:
    program = "import sys; sys.modules['moto'] = None; from ecsroll.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", program, "demo", "--serve", "--json"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert len(ran.stderr.splitlines()) == 2
    assert "speaks HTTP with moto's help" in ran.stderr
    assert json.loads(ran.stdout)["next"] == "pip install 'ecsroll[simulator]'"


# What it serves ----------------------------------------------------------------------------------------------------


@contextmanager
def process(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A real one, and its first line."""
    running = subprocess.Popen([*SERVE, "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield running, json.loads(running.stdout.readline())
    finally:
        running.kill()
        running.communicate()


def end(running: subprocess.Popen[str], number: int) -> tuple[int, dict[str, Any], str]:
    running.send_signal(number)
    out, err = running.communicate(timeout=30)
    return running.returncode, json.loads(out.splitlines()[-1]), err


def test_its_neighbours_are_behind_the_same_address_and_nobody_else_can_reach_it() -> None:
    port, queues = free_port(), []

    def visit() -> int:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
        sqs = CONNECT("sqs", endpoint_url=f"http://127.0.0.1:{port}", **keys)
        queues.append(sqs.create_queue(QueueName="notices")["QueueUrl"])
        with pytest.raises(OSError, match=r"refused|unreachable|assign"):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        return signal.SIGTERM

    ran = ecsroll(None, "demo", "--serve", "--port", str(port), ending=visit)
    assert (ran.code, len(queues)) == (0, 1), ran


def hosts(said: dict[str, Any]) -> list[str]:
    """The instances of the served group, as any client sees them."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
    group = CONNECT("autoscaling", endpoint_url=said["endpoint"], **keys).describe_auto_scaling_groups()
    return [member["InstanceId"] for member in group["AutoScalingGroups"][0]["Instances"]]


def test_what_it_says_to_paste_rolls_it_while_others_look() -> None:
    with process("--speed", "240") as (running, said):
        # Two of its nine hosts: a process that rolls keeps to the real AWS's pace, and here that is waited for.
        quick = {"ECSROLL_INSTANCE": " ".join(hosts(said)[:2]), "ECSROLL_CANARY": "0", "ECSROLL_MAX_SURGE": "2"}
        environment = {**os.environ, **said["environment"], **quick, "NO_COLOR": "1", "AWS_PAGER": ""}
        environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
        replace, status, aws = said["commands"]
        roll = subprocess.Popen(
            ["sh", "-c", replace], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert roll.stderr is not None
        next(line for line in roll.stderr if "drain " in line)
        looked = subprocess.run(["sh", "-c", status], env=environment, capture_output=True, text=True, check=False)
        assert "web" in looked.stdout, looked.stderr
        if shutil.which("aws"):
            listed = subprocess.run(["sh", "-c", aws], env=environment, capture_output=True, text=True, check=True)
            assert len(json.loads(listed.stdout)["containerInstanceArns"]) >= 9
        out, err = roll.communicate(timeout=240)
        assert roll.returncode == 0, err
        assert out.splitlines()[-1] == "done: every outdated host was replaced"
        code, result, errors = end(running, signal.SIGTERM)
    assert (code, errors) == (0, "")
    assert result["hosts"] == {"replaced": 2, "remaining": 7}


def test_ctrl_c_ends_the_process_cleanly() -> None:
    with process() as (running, _):
        code, result, errors = end(running, signal.SIGINT)
    assert (code, result["result"], errors) == (130, "interrupted", "")
