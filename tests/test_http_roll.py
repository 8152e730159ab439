"""The command as a user runs it: another process, an AWS endpoint on loopback, nothing injected."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ecsroll import serving
from ecsroll.model import Policy
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests.rolls import stage_of
from tests.watch import Watch

pytest.importorskip("moto")


@contextmanager
def endpoint(stage: Stage, speed: float = 60.0) -> Iterator[dict[str, str]]:
    """The environment in which a command reaches the stage, opened as `ecsroll demo --serve` opens its own."""
    with serving.endpoint(stage, speed=speed) as server:
        yield {**os.environ, **serving.environment(server), "NO_COLOR": "1"}


def ecsroll(environment: dict[str, str], *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ecsroll", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def six_hosts() -> Stage:
    return stage_of(
        GroupSet(hosts=6, spare=2, zones=3),
        services=(
            ServiceSet(name="api", count=6, balanced=True, deregistration_delay=20),
            ServiceSet(name="worker", count=6),
            ServiceSet(name="logs", daemon=True, cpu=64, memory=64),
        ),
    )


def bounds(stage: Stage) -> tuple[object, ...]:
    group = stage.sim.scaling.groups["web"]
    return (
        group.min,
        group.max,
        group.desired,
        group.new_protected,
        sorted(group.suspended),
        sorted(member.protected for member in group.members.values() if member.state == "InService"),
    )


def test_six_hosts_behind_a_load_balancer_are_rolled_over_http() -> None:
    stage = six_hosts()
    before, watch = bounds(stage), Watch(stage, Policy())
    with endpoint(stage) as environment:
        ran = ecsroll(
            environment, "replace", "--cluster", "demo", "--yes", "--json", "--poll-interval", "0.2s", "--bake", "0s"
        )
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0, ran.stderr
    assert lines[-1]["kind"] == "result"
    assert (lines[-1]["result"], lines[-1]["hosts"]) == ("done", {"replaced": 6, "remaining": 0})
    assert lines[-1]["figures"]["lowest_capacity"] == 1.0
    assert bounds(stage) == before
    # From the simulated AWS's own records: no task killed, no service under its floor, nothing but the group touched.
    watch.look()
    assert not watch.breaches, "\n".join(watch.breaches)
    images = {member.instance.image_id for member in stage.sim.scaling.groups["web"].members.values()}
    assert stage.new_image["web"] in images


def test_a_bad_image_is_stopped_at_the_canary_over_http_and_taken_back() -> None:
    stage = six_hosts()
    stage.sim.conditions.images_that_crash_tasks.add(stage.new_image["web"])
    stage.sim.alarms.put("errors")
    before, watch = bounds(stage), Watch(stage, Policy())
    old = set(stage.sim.scaling.groups["web"].members)
    words = ("--cluster", "demo", "--yes", "--json", "--poll-interval", "0.2s", "--alarm", "errors")
    began = stage.sim.now()
    with endpoint(stage) as environment:
        halted = ecsroll(environment | {"TZ": "Asia/Kolkata"}, "replace", *words)
        group = stage.sim.scaling.groups["web"]
        image = stage.sim.scaling.fleet.source(group).data["ImageId"]
        hosts = [host for host in stage.sim.clusters.clusters["demo"].registered if host.instance.id in old]
        statuses = [host.status for host in hosts if host.instance.state == "running"]
        back = ecsroll(environment, "rollback", *words)
    lines = [json.loads(line) for line in halted.stdout.splitlines()]
    assert (halted.returncode, lines[-1]["result"]) == (5, "halted"), halted.stderr
    told = re.search(r"ended by themselves .* since (\d\d:\d\d):\d\dZ", lines[-1]["reason"])
    assert told, lines[-1]["reason"]
    assert f"{began:%H:%M}" <= told[1] <= f"{stage.sim.now():%H:%M}", "UTC it says, whatever time the machine shows"
    assert image == stage.old_image["web"]
    assert set(statuses) == {"ACTIVE"}, "the canary serves again"
    drained = [host for line in lines if line.get("event") == "drain_started" for host in line["hosts"] if host in old]
    assert len(drained) <= 3, "canaries whose tasks landed on old hosts tell nothing, three times at most"
    assert back.returncode == 0, back.stderr
    assert bounds(stage) == before
    watch.look()
    assert not watch.breaches, "\n".join(watch.breaches)
    images = {member.instance.image_id for member in stage.sim.scaling.groups["web"].members.values()}
    assert images == {stage.old_image["web"]}
