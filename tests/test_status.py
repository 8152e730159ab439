"""``ecsroll status``: where a roll stands, what it waits for, what is owed. It changes nothing."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from tests.console import Ran, denying, ecsroll, interrupted
from tests.scenarios import run_a_task

ROLL = ("replace", "--cluster", "demo", "--yes", "--canary", "0", "--good-readings", "1")
DEAD = 300
"""Seconds after which nobody takes a roll for alive that was killed."""
STATUS = ("status", "--cluster", "demo")


def stage_of(*more: GroupSet, hosts: int = 3) -> Stage:
    services = (ServiceSet(name="api", count=4, balanced=True),)
    return set_stage(GroupSet(hosts=hosts), *more, services=services)


def cut_off(stage: Stage, operation: str, number: int = 1) -> None:
    """A roll that dies just before its n-th call of an operation."""
    with interrupted(stage, operation, number):
        assert ecsroll(stage, *ROLL).code == 130
    stage.sim.sleep(DEAD)
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
    words = [line.partition(" ")[0] for line in lines[-7:]]
    assert words == ["held", "wait", "wait", "roll", "owed", "owed", "next"]
    assert re.fullmatch(r"held   by .+ \(process \d+\), since .+Z, last heard of [\d:]{8}Z: it has died", lines[-7])


def pasted(stage: Stage, after: str, *words: str) -> Ran:
    """What comes of the command that somebody is told to give next."""
    program, *rest = shlex.split(after.partition(" (")[0])
    assert program == "ecsroll"
    return ecsroll(stage, *rest, *words)


def test_the_next_command_is_right_as_it_is_pasted() -> None:
    stage = stage_of(GroupSet(name="batch", hosts=1), GroupSet(name="other", hosts=1), hosts=1)
    with interrupted(stage, "UpdateContainerInstancesState"):
        ran = ecsroll(stage, *ROLL, "--asg", "web", "--asg", "batch", "--all", "--json")
    told = {
        "the roll": str(ran.result["next"]).partition(" (")[0],
        "status": str(ecsroll(stage, *STATUS, "--json").result["next"]).partition(" (")[0],
        "the refusal of another": str(ecsroll(stage, *ROLL, "--json").result["next"]).partition(" goes on")[0],
    }
    assert set(told.values()) == {"ecsroll replace --cluster demo --asg web --asg batch --all"}
    again = ecsroll(stage, *shlex.split(told["status"])[1:], *ROLL[3:], "--json")
    assert (again.code, again.result["hosts"]) == (0, {"replaced": 2, "remaining": 0})


def test_a_roll_that_lost_its_lease_in_its_sleep_says_how_to_go_on_and_what_is_owed() -> None:
    stage = stage_of(hosts=1)

    def suspend(call: Call) -> None:
        if call.operation == "UpdateContainerInstancesState":
            stage.sim.door.before.remove(suspend)
            stage.sim.sleep(DEAD)

    stage.sim.door.before.append(suspend)
    result = ecsroll(stage, *ROLL, "--asg", "web", "--json").result
    assert (result["exit_code"], len(result["owed"])) == (7, 2), result
    assert result["next"].startswith("ecsroll replace --cluster demo --asg web (")


@contextmanager
def interrupted_at(stage: Stage, minutes: float) -> Iterator[None]:
    """Ctrl-C, twice, so many minutes from now."""
    begun = stage.sim.elapsed()

    def interrupt(call: Call) -> None:
        if stage.sim.elapsed() - begun > minutes * 60:  # the lease can not be released, either
            raise KeyboardInterrupt(call.operation)

    stage.sim.door.before.append(interrupt)
    try:
        yield
    finally:
        stage.sim.door.before.remove(interrupt)


@pytest.mark.parametrize(
    ("minutes_open", "reason", "subject"), [(4, "roll 1, begun", "web"), (0, "no roll is under way", "demo")]
)
def test_a_roll_that_waits_for_its_next_window_is_said_to(minutes_open: int, reason: str, subject: str) -> None:
    stage = stage_of()
    now = stage.sim.now()
    begins, ends = now + timedelta(minutes=0 if minutes_open else 60), now + timedelta(minutes=minutes_open or 90)
    window = f"{begins:%H:%M}-{ends:%H:%M}"
    with interrupted_at(stage, 40):
        assert ecsroll(stage, *ROLL, "--window", window, "--poll-interval", "30s").code == 130
    stage.sim.door.calls.clear()
    ran = status(stage, "--json")
    (wait,) = [wait for wait in ran.result["waits"] if wait["kind"] == "window"]
    opens = begins.replace(second=0, microsecond=0) + timedelta(days=1 if minutes_open else 0)
    assert (wait["subject"], wait["since"], wait["until"]) == (subject, None, opens.isoformat())
    assert wait["reason"] == f"no window is open; the next one opens at {opens:%Y-%m-%d %H:%M}Z"
    assert (ran.result["lease"]["windows"], ran.result["lease"]["lives"]) == ([window], True)
    assert ran.result["reason"].startswith(reason)
    told = status(stage).out
    assert f"wait   {subject}: no window is open; the next one opens at {opens:%Y-%m-%d %H:%M}Z\n" in told
    assert f": it seems to go on; window {window}\n" in told


def test_a_holder_whose_words_can_not_be_read_is_shown_all_the_same() -> None:
    stage = stage_of()
    lease = {
        "nonce": "x",
        "holder": "ann",
        "since": "",
        "ttl": 120,
        "released": False,
        "windows": ["22-4 Atlantis"],
    }
    stage.sim.client("ssm").put_parameter(Name="/ecsroll/demo/lease/000007", Value=json.dumps(lease), Type="String")
    stage.sim.sleep(DEAD)
    stage.sim.door.calls.clear()
    ran = status(stage)
    assert "held   by ann, last heard of" in ran.out
    assert "it has died; window 22-4 Atlantis\n" in ran.out


def test_what_a_rollback_owes_is_given_back_by_the_same_rollback() -> None:
    stage = stage_of()
    assert ecsroll(stage, *ROLL).code == 0
    with interrupted(stage, "TerminateInstanceInAutoScalingGroup"):
        ran = ecsroll(stage, "rollback", *ROLL[1:], "--json")
    assert ran.code == 130
    stage.sim.door.calls.clear()
    result = status(stage, "--json").result
    assert {entry["how"] for entry in (*ran.result["owed"], *result["owed"])} == {"run the same rollback again"}
    assert result["next"] == "ecsroll rollback --cluster demo (goes on with it)"


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
