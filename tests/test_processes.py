"""Real processes on one HTTP endpoint: killed, interrupted, racing."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from ecsroll.model import Policy
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests.rolls import stage_of
from tests.test_http_roll import bounds, ecsroll, endpoint
from tests.watch import Watch

SPEED = 120.0
_HOW = ("--poll-interval", "0.2s", "--lease-ttl", "6s", "--bake", "0s")
REPLACE = ("replace", "--cluster", "demo", "--yes", "--json", *_HOW)


def three_hosts() -> Stage:
    return stage_of(GroupSet(hosts=3, spare=1), services=(ServiceSet(name="api", count=6),))


class Process:
    """``ecsroll replace --json``, read line by line."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.running = subprocess.Popen(
            [sys.executable, "-m", "ecsroll", *REPLACE],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, event: str) -> None:
        """Read until it has told that event."""
        assert self.running.stdout is not None
        for line in self.running.stdout:
            if json.loads(line).get("event") == event:
                return
        pytest.fail(f"it never came to {event}")

    def end(self, number: int) -> tuple[int, dict[str, Any]]:
        """Send a signal; the exit code and, if it had time to say one, the result."""
        self.running.send_signal(number)
        out, _ = self.running.communicate(timeout=60)
        lines = [json.loads(line) for line in out.splitlines()]
        return self.running.returncode, lines[-1] if lines else {}


def test_killed_twice_by_kill_9_the_same_command_ends_the_roll() -> None:
    stage = three_hosts()
    before, watch = bounds(stage), Watch(stage, Policy())
    with endpoint(stage, SPEED) as environment:
        for event in ("drain_started", "host_terminated"):
            process = Process(environment)
            process.until(event)
            assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
        ran = ecsroll(environment, *REPLACE)
    result = json.loads(ran.stdout.splitlines()[-1])
    assert (ran.returncode, result["result"], result["owed"]) == (0, "done", [])
    assert bounds(stage) == before
    watch.look()
    assert not watch.breaches, "\n".join(watch.breaches)


def test_sigterm_undoes_the_drain_points_back_and_says_what_is_owed() -> None:
    stage = three_hosts()
    with endpoint(stage, SPEED) as environment:
        process = Process(environment)
        process.until("drain_started")
        code, result = process.end(signal.SIGTERM)
        refused = ecsroll(environment, "status", "--cluster", "demo", "--json")
        ended = ecsroll(environment, "abort", "--cluster", "demo", "--yes", "--json", "--poll-interval", "0.2s")
    assert (code, result["result"], result["exit_code"]) == (130, "interrupted", 130)
    assert [owed["group"] for owed in result["owed"]]
    assert json.loads(refused.stdout.splitlines()[-1])["owed"]
    assert json.loads(ended.stdout.splitlines()[-1])["result"] == "done", ended.stderr
    hosts = stage.sim.clusters.find("demo").registered
    assert all(host.status == "ACTIVE" for host in hosts if host.instance.state == "running")
    assert not stage.sim.scaling.groups["web"].suspended


def test_a_second_roll_is_told_who_holds_the_cluster() -> None:
    stage = three_hosts()
    with endpoint(stage, SPEED) as environment:
        first = Process(environment)
        first.until("roll_opened")
        second = ecsroll(environment, *REPLACE)
        first.end(signal.SIGKILL)
    said = json.loads(second.stdout.splitlines()[-1])
    assert (second.returncode, said["result"]) == (7, "held")
    assert "holds the cluster" in said["reason"]
