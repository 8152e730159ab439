"""What becomes of hosts that do not become empty: whole rolls, a row each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from ecsroll.model import Patience
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests import scenarios as s
from tests.rolls import Told, carry_out, stage_of
from tests.scenarios import API, LOGS, WORKER, policy
from tests.watch import Watch

TEN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    before: Callable[[Stage], object]
    wanted: dict[str, object]
    result: str = "done"
    remaining: int = 0
    says: str = ""
    hosts: int = 3


def long_task(stage: Stage) -> None:
    """A standalone task on one host, for two and a half hours."""
    s.run_a_task(stage, 9000, host=0)


def two_long_tasks(stage: Stage) -> None:
    for number in (0, 1):
        s.run_a_task(stage, 9000, host=number)


def never_stops(stage: Stage) -> None:
    """What the worker is told to stop goes on for ever."""
    stage.sim.conditions.families_that_never_stop.add("worker")


ROWS = {
    "skipped: the host serves again, the others are replaced, and the roll says so": Row(
        before=long_task,
        wanted={"drain_timeout": TEN, "on_drain_timeout": "skip"},
        result="halted",
        remaining=1,
        says="1 outdated host(s) were skipped: they did not become empty",
    ),
    "two hosts are skipped, and the room is given back by a new one": Row(
        before=two_long_tasks,
        wanted={"drain_timeout": TEN, "on_drain_timeout": "skip", "surge": 2},
        result="halted",
        remaining=2,
        hosts=4,
    ),
    "terminated: what still runs ends with its host": Row(
        before=long_task, wanted={"drain_timeout": TEN, "on_drain_timeout": "terminate"}
    ),
    "halted, as ever": Row(
        before=long_task, wanted={"drain_timeout": TEN}, result="halted", remaining=2, says="standalone, waited for"
    ),
    "a service has more time than the others": Row(
        before=lambda stage: s.protect_a_task(stage, 1),
        wanted={
            "drain_timeout": timedelta(seconds=1),
            "drain_timeouts": tuple(Patience(name, TEN) for name in ("api", "worker")),
        },
    ),
    "standalone tasks are stopped": Row(before=long_task, wanted={"standalone_tasks": "stop"}),
    "hosts with standalone tasks are skipped": Row(
        before=long_task, wanted={"standalone_tasks": "skip"}, result="halted", remaining=1, says="skipped"
    ),
    "a standalone task on a host that is drained halts": Row(
        before=long_task,
        wanted={"standalone_tasks": "fail"},
        result="halted",
        remaining=2,
        says="runs standalone tasks, and nobody moves them",
    ),
    "a standalone task is waited for": Row(before=lambda stage: s.run_a_task(stage, 900, host=0), wanted={}),
    "a protected task is waited for, longer than the drain timeout": Row(
        before=lambda stage: s.protect_a_task(stage, 45), wanted={"drain_timeout": TEN}
    ),
    "a canary that does not become empty is never terminated for that": Row(
        before=never_stops,
        wanted={"drain_timeout": TEN, "on_drain_timeout": "terminate", "canary": 1},
        result="halted",
        remaining=3,
        says="has not been drained within",
    ),
    "a canary is skipped: the next host is canary": Row(
        before=lambda stage: s.run_a_task(stage, 9000, host=0),
        wanted={"drain_timeout": TEN, "on_drain_timeout": "skip", "canary": 1, "bake": timedelta()},
        result="halted",
        remaining=1,
    ),
}


def play(row: Row) -> Told:
    stage = stage_of(GroupSet(hosts=row.hosts), services=(API, WORKER, LOGS), quick=True)
    row.before(stage)
    wanted = policy(**row.wanted)
    watch = Watch(stage, wanted, may_kill=wanted.on_drain_timeout == "terminate")
    return carry_out(stage, wanted, watch=watch)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_hosts_that_do_not_become_empty(row: Row) -> None:
    told = play(row)
    assert told.verdict is not None
    assert (told.verdict.result, told.verdict.remaining) == (row.result, row.remaining), told.verdict.reason
    assert row.says in told.verdict.reason
    assert {host.status for host in s.hosts_of(told.stage) if host.instance.state == "running"} == {"ACTIVE"}


def test_a_stuck_drain_explains_itself_in_six_lines_at_most() -> None:
    services = tuple(ServiceSet(name=f"s{number}", count=3, cpu=64, memory=64) for number in range(8))
    stage = stage_of(GroupSet(hosts=3), services=services, quick=True)
    stage.sim.conditions.families_that_never_stop |= {service.name for service in services}
    told = carry_out(stage, policy(drain_timeout=TEN))
    assert told.verdict is not None
    assert told.verdict.result == "halted"
    assert len(told.verdict.lines) == 6
    assert "stopping; its last event: (service s" in told.verdict.lines[0]
    assert told.verdict.lines[-1] == "and 3 more services"
