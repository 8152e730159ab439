"""What runs ecsroll unattended: the container, the crontab line and the CI job do what docs/automation.md says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]

from ecsroll.cli import app
from ecsroll.simulator.stage import GroupSet, set_stage
from ecsroll.window import closes, windows
from tests.console import ecsroll

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/automation.md").read_text()

NOT_YET: set[str] = set()
"""Options of the contract that are still to come. One that has come must not stay here (a test says which)."""


def block(language: str) -> str:
    """The page's only block in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def options(command: str) -> set[str]:
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {name for param in commands[command].params for name in (*param.opts, *param.secondary_opts)}


def words_of(line: str) -> list[str]:
    """The words that ecsroll gets, up to where the shell takes over."""
    words = shlex.split(line)
    words = words[words.index("ecsroll") + 1 :]
    ends = [place for place, word in enumerate(words) if word in {"||", "|", ">>", "&&", ";"}]
    return words[: min(ends, default=len(words))]


def runs(line: str) -> None:
    """It names options that there are, and rolls a cluster; those still to come are left out."""
    words = words_of(line)
    given = {word for word in words if word.startswith("--")}
    assert given <= options(words[0]) | NOT_YET, line
    known = [*words[:1]]
    for place, word in enumerate(words[1:], 1):
        if not NOT_YET & {word, words[place - 1]}:
            known.append(word)
    stage = set_stage(GroupSet(hosts=1), cluster="prod")
    ran = ecsroll(stage, *known, "--canary", "0", "--poll-interval", "30s")
    assert ran.code == 0, ran
    assert ran.result["hosts"]["replaced"] == 1


def test_what_was_still_to_come_has_not_come() -> None:
    assert options("replace") & NOT_YET == set()


# The container -------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def of(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def test_the_image_is_small_and_says_which_python_it_is() -> None:
    bases = [rest.split()[0] for rest in of("FROM")]
    assert len(bases) == 2, "what installs stays in the first stage"
    assert all(re.fullmatch(r"python:3\.\d+-slim", base) for base in bases), bases
    assert len(set(bases)) == 1, "the second stage runs what the first one installed"
    assert instructions().index(("COPY", "--from=build /opt/ecsroll /opt/ecsroll")) > 0
    assert of("ADD") == []


def test_it_does_not_run_as_root() -> None:
    last = instructions()[-6:]
    (user,) = [rest for name, rest in last if name == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "a number, so that runAsNonRoot can tell"


def test_ecsroll_is_the_process_that_gets_the_signal() -> None:
    assert [json.loads(rest) for rest in of("ENTRYPOINT")] == [["ecsroll"]]
    assert of("STOPSIGNAL") == ["SIGTERM"]


def test_what_it_installs_is_pinned_and_nothing_is_left_over() -> None:
    (run,) = of("RUN")
    assert "--constraint constraints.txt" in run
    assert "--no-cache-dir" in run
    assert "--without-pip" in run
    assert '".[watch]"' in run, "a watcher runs in a container more often than anywhere else"


def test_it_is_given_nothing_but_what_it_copies() -> None:
    copied = {word for rest in of("COPY") if "--from" not in rest for word in rest.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


def test_what_it_copies_is_enough_to_install_and_to_run(tmp_path: Path) -> None:
    """Its RUN line, elsewhere. What ecsroll needs is borrowed from these tests: installing it takes a minute."""
    source, opt = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    for rest in of("COPY"):
        for name in () if "--from" in rest else rest.split()[:-1]:
            there = ROOT / name
            if there.is_dir():
                shutil.copytree(there, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(there, source)
    run = of("RUN")[0].replace(" install ", " install --no-deps ")
    tools = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin", "PIP_QUIET": "1"}
    done = subprocess.run(
        ["bash", "-ec", run.replace("/opt/ecsroll", str(opt))], cwd=source, env=environment, check=False
    )
    assert done.returncode == 0
    borrowed = {"PATH": "/usr/bin:/bin", "PYTHONPATH": sysconfig.get_path("purelib")}
    said = subprocess.run(
        [opt / "bin/ecsroll", "iam-policy", "--cluster", "prod"],
        env=borrowed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(said.stdout)["Version"] == "2012-10-17"
    assert not (opt / "bin/pip").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be somebody else")
def test_somebody_without_a_name_can_run_it() -> None:
    """Platforms that give a container a user of their own choice: there is no name for that number."""
    script = "import os; from ecsroll.options import _whoami; os.setuid(54321); print(_whoami())"
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("54321@")


# Cron ----------------------------------------------------------------------------------------------------------------


def test_the_crontab_line_is_one_and_rolls() -> None:
    settings: list[str] = []
    lines: list[str] = []
    for line in block("cron").splitlines():
        (settings if re.fullmatch(r"[A-Z_]+=\S+", line) else lines).append(line)
    assert {line.partition("=")[0] for line in settings} >= {"MAILTO", "PATH", "AWS_REGION"}
    (line,) = lines
    *when, user, command = re.split(r"\s+", line, maxsplit=6)
    ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
    for entry, (low, high) in zip(when, ranges, strict=True):
        assert all(low <= int(number) <= high for number in re.findall(r"\d+", entry)), line
    assert re.fullmatch(r"[a-z]+", user)
    assert not re.search(r"(?<!\\)%", command), "a percent sign ends the command"
    assert {"--yes", "--json"} <= set(words_of(command))
    runs(command)


def test_the_crontab_line_takes_a_held_cluster_for_no_failure(tmp_path: Path) -> None:
    line = next(line for line in block("cron").splitlines() if "ecsroll replace" in line)
    command = re.split(r"\s+", line, maxsplit=6)[-1].replace("/var/log/ecsroll/prod.jsonl", str(tmp_path / "log"))
    assert shell(command, tmp_path, code=0).returncode == 0
    assert shell(command, tmp_path, code=7).returncode == 0
    assert shell(command, tmp_path, code=5).returncode != 0
    assert (tmp_path / "log").read_text() == "said\n" * 3


# CI ------------------------------------------------------------------------------------------------------------------


def shell(script: str, folder: Path, *, code: int) -> subprocess.CompletedProcess[str]:
    """A script as CI runs it, with an ecsroll that ends with this code."""
    stub = folder / "ecsroll"
    stub.write_text(f"#!/bin/sh\necho said\nexit {code}\n")
    stub.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "GITHUB_OUTPUT": str(folder / "output")}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(block("yaml"))
    return found


def step(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in job()["jobs"]["replace"]["steps"] if entry.get("name") == name)
    return found


def test_the_job_has_no_key_and_cancels_nothing() -> None:
    said = job()
    assert said["permissions"] == {"id-token": "write", "contents": "read"}
    assert said["concurrency"]["cancel-in-progress"] is False
    assert said["jobs"]["replace"]["defaults"]["run"]["shell"] == "bash", "which is bash -eo pipefail"
    assert "secrets." not in block("yaml")
    assert "AWS_ACCESS_KEY" not in block("yaml")


def test_credentials_last_as_long_as_the_job() -> None:
    said = job()["jobs"]["replace"]
    (login,) = [entry["with"] for entry in said["steps"] if "configure-aws-credentials" in entry.get("uses", "")]
    assert login["role-duration-seconds"] >= said["timeout-minutes"] * 60
    assert f"max_session_duration = {login['role-duration-seconds']}" in block("hcl")


@pytest.mark.parametrize("monday", [datetime(2029, 1, 1, tzinfo=UTC), datetime(2029, 7, 2, tzinfo=UTC)])
def test_the_job_starts_within_its_window_in_winter_and_in_summer(monday: datetime) -> None:
    """GitHub's schedules are in UTC, the window is not: a job that starts too early would not roll for half a year."""
    schedules: Any = job()
    (schedule,) = schedules[True]["schedule"]  # YAML 1.1 reads the key ``on`` as true
    minute, hour, _, _, days = schedule["cron"].split()
    (window,) = re.findall(r"--window '([^']*)'", step("Replace the hosts")["run"])
    first, last = (int(day) for day in days.split("-"))
    for day in range(first, last + 1):
        starts = monday + timedelta(days=day - 1, hours=int(hour), minutes=int(minute))
        assert closes(windows([window]), starts), f"{starts} is outside {window}"


@pytest.mark.parametrize(
    ("code", "ends", "output"), [(0, 0, "outdated=no\n"), (8, 0, "outdated=yes\n"), (6, 6, ""), (1, 1, ""), (3, 3, "")]
)
def test_the_gate_opens_for_outdated_only(code: int, ends: int, output: str, tmp_path: Path) -> None:
    (tmp_path / "output").touch()
    done = shell(step("Is anything outdated?")["run"], tmp_path, code=code)
    assert done.returncode == ends, done
    assert (tmp_path / "output").read_text() == output


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (7, 0), (5, 5), (6, 6), (130, 130)])
def test_the_job_ends_as_the_roll_does(code: int, ends: int, tmp_path: Path) -> None:
    done = shell(step("Replace the hosts")["run"], tmp_path, code=code)
    assert done.returncode == ends, done
    assert (tmp_path / "roll.jsonl").read_text() == "said\n"


def test_the_jobs_commands_are_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    said = job()["jobs"]["replace"]
    monkeypatch.setenv("ECSROLL_CLUSTER", said["env"]["ECSROLL_CLUSTER"])
    gate = next(line for line in step("Is anything outdated?")["run"].splitlines() if "ecsroll" in line)
    assert ecsroll(set_stage(GroupSet(hosts=1), cluster="prod"), *words_of(gate)).code == 8
    runs(next(line for line in step("Replace the hosts")["run"].splitlines() if "ecsroll" in line))
