"""``ecsroll status``: where a roll stands, what it waits for, what is owed. It changes nothing."""

import pytest

from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from tests.console import Ran, denying, ecsroll
from tests.scenarios import run_a_task

ROLL = ("replace", "--cluster", "demo", "--yes", "--canary", "0", "--good-readings", "1")
STATUS = ("status", "--cluster", "demo")


def stage_of(*more: GroupSet, hosts: int = 3) -> Stage:
    services = (ServiceSet(name="api", count=4, balanced=True),)
    return set_stage(GroupSet(hosts=hosts), *more, services=services)


def cut_off(stage: Stage, operation: str, number: int = 1) -> None:
    """A roll that dies just before its n-th call of an operation."""
    left = number

    def interrupt(call: Call) -> None:
        nonlocal left
        left -= call.operation == operation
        if left <= 0:
            raise KeyboardInterrupt

    stage.sim.door.before.append(interrupt)
    assert ecsroll(stage, *ROLL).code == 130
    stage.sim.door.before.remove(interrupt)
    stage.sim.door.calls.clear()


def status(stage: Stage, *words: str) -> Ran:
    ran = ecsroll(stage, *STATUS, *words)
    assert [call.operation for call in stage.sim.door.calls if call.changes] == []
    return ran


def test_without_a_roll_it_shows_the_groups_and_where_to_look_next() -> None:
    stage = stage_of(GroupSet(name="batch", hosts=1))
    ran = status(stage)
    assert ran.code == 0
    assert ran.out.splitlines()[-2:] == [
        "no roll is under way",
        "next   ecsroll check-ami --cluster demo (shows what is outdated)",
    ]
    rows = {line.split()[0]: line.split() for line in ran.out.splitlines() if line.strip().startswith(("batch", "web"))}
    assert rows["web"] == ["web", "3", "0", "6", "3", "3", "0", "-"]
    assert rows["batch"] == ["batch", "1", "0", "4", "1", "1", "0", "-"]


def test_without_a_roll_nothing_is_called_outdated_or_up_to_date() -> None:
    result = status(stage_of(), "--json").result
    assert [group["outdated"] for group in result["groups"]] == [None]
    assert (result["waits"], result["owed"], result["hosts"]["remaining"]) == ([], [], 0)


def test_a_roll_that_was_cut_off_while_it_drained() -> None:
    stage = stage_of()
    cut_off(stage, "TerminateInstanceInAutoScalingGroup")
    result = status(stage, "--json").result
    assert result["reason"].startswith("roll 1, begun 2026-")
    assert result["reason"].endswith("groups finished: 0 of 1")
    assert result["next"] == "ecsroll replace --cluster demo (goes on with it)"
    assert result["hosts"] == {"replaced": 0, "remaining": 3}
    (group,) = result["groups"]
    assert (group["desired"], group["min"], group["draining"], group["outdated"]) == (4, 4, 1, 3)
    assert result["waits"]
    assert [entry["what"] for entry in result["owed"]] == [
        "1 borrowed host(s), MinSize 4 (was 0), MaxSize 7 (was 6)",
        "AZRebalance is suspended",
    ]


def test_the_same_for_people() -> None:
    stage = stage_of()
    cut_off(stage, "TerminateInstanceInAutoScalingGroup")
    lines = status(stage).out.splitlines()
    words = [line.partition(" ")[0] for line in lines[-5:]]
    assert words == ["wait", "roll", "owed", "owed", "next"]


def test_after_a_halt_the_hosts_that_are_left_are_still_called_outdated() -> None:
    stage = stage_of()
    run_a_task(stage, 99_999, host=0)
    halted = ecsroll(stage, *ROLL, "--drain-timeout", "5m", "--json").result
    assert halted["result"] == "halted"
    stage.sim.door.calls.clear()
    result = status(stage, "--json").result
    assert result["hosts"]["remaining"] == halted["hosts"]["remaining"] > 0
    assert [group["outdated"] for group in result["groups"]] == [halted["hosts"]["remaining"]]
    assert result["owed"] == halted["owed"]


def test_after_a_roll_that_ended_nothing_is_owed() -> None:
    stage = stage_of()
    assert ecsroll(stage, *ROLL).code == 0
    stage.sim.door.calls.clear()
    result = status(stage, "--json").result
    assert (result["reason"], result["owed"]) == ("no roll is under way", [])


def test_between_two_groups() -> None:
    stage = stage_of(GroupSet(name="zebra", hosts=1), hosts=2)
    cut_off(stage, "TerminateInstanceInAutoScalingGroup", 3)
    result = status(stage, "--json").result
    assert result["reason"].endswith("groups finished: 1 of 2")
    assert result["hosts"] == {"replaced": 2, "remaining": 1}


def test_only_some_groups() -> None:
    stage = stage_of(GroupSet(name="batch", hosts=1))
    assert [group["group"] for group in status(stage, "--asg", "batch", "--json").result["groups"]] == ["batch"]


@pytest.mark.parametrize("operation", ["DescribeTargetHealth", "GetTaskProtection"])
def test_what_can_not_be_read_and_need_not_be_is_a_finding(operation: str) -> None:
    stage = stage_of()
    cut_off(stage, "TerminateInstanceInAutoScalingGroup")
    with denying(stage, operation):
        ran = status(stage, "--json")
    assert ran.code == 0
    assert {finding["code"] for finding in ran.result["findings"]} <= {"EC190"}


def test_a_roll_that_is_being_ended_is_gone_on_with_by_abort() -> None:
    stage = stage_of()
    cut_off(stage, "TerminateInstanceInAutoScalingGroup")
    left = 2

    def interrupt(call: Call) -> None:
        nonlocal left
        left -= call.operation == "UpdateContainerInstancesState"
        if left <= 0:
            raise KeyboardInterrupt

    stage.sim.door.before.append(interrupt)
    ecsroll(stage, "abort", "--cluster", "demo", "--yes")
    stage.sim.door.before.remove(interrupt)
    stage.sim.door.calls.clear()
    result = status(stage, "--json").result
    assert result["next"] == "ecsroll abort --cluster demo (goes on with it)"
