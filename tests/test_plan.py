"""``ecsroll plan``: what it foresees, what it says, and that it changes nothing whatever it finds."""

import shlex
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ecsroll.demo import demo_stage
from ecsroll.drain import Kind
from ecsroll.forecast import Forecast
from ecsroll.foreseen import findings_of
from ecsroll.habits import Habits
from ecsroll.model import Policy, Verdict, Wait
from ecsroll.rehearsal import Rehearsal
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from ecsroll.simulator.world import Refusal
from ecsroll.tally import Tally
from tests.console import Ran, denying, ecsroll, interrupted
from tests.rolls import cut_off, stage_of
from tests.scenarios import (
    API,
    LOGS,
    WORKER,
    agent_dies,
    capacity_runs_out,
    foreign_drain,
    hosts_of,
    policy,
    protect_a_task,
    run_a_task,
)

STUCK = ServiceSet(name="stuck", count=3, min_percent=100, max_percent=100)


def planned(stage: Stage, *words: str) -> Ran:
    """Plan it, and see that nothing was changed."""
    stage.sim.door.calls.clear()
    ran = ecsroll(stage, "plan", "--cluster", stage.cluster, *words)
    assert [call.operation for call in stage.sim.door.calls if call.changes] == []
    return ran


@pytest.fixture(scope="module")
def demo() -> tuple[Stage, Ran, float]:
    stage = demo_stage()
    began = time.process_time()
    ran = planned(stage, "--max-surge", "2", "--json")
    return stage, ran, time.process_time() - began


def test_a_blue_green_service_is_rehearsed_whichever_of_its_target_groups_it_is_in() -> None:
    api = ServiceSet(name="api", count=6, balanced=True, swapped=True)
    ran = planned(stage_of(GroupSet(hosts=3), services=(api,), quick=True), "--json")
    assert (ran.code, ran.result["plan"]["lowest_capacity"]) == (0, 1.0), ran


# What it says ----------------------------------------------------------------------------------------------------


def test_the_demo_cluster_is_planned_within_five_seconds(demo: tuple[Stage, Ran, float]) -> None:
    _, ran, took = demo
    assert ran.code == 0, ran
    assert took < 5


def test_it_tells_time_hosts_moves_and_what_happens_when(demo: tuple[Stage, Ran, float]) -> None:
    _, ran, _ = demo
    assert ran.events == []
    plan = ran.result["plan"]
    assert ran.result["hosts"] == {"remaining": 9, "replaced": 0}
    assert plan["seconds"]["low"] < plan["seconds"]["likely"] < plan["seconds"]["high"]
    assert plan["peak_hosts"] == 11
    assert plan["surplus_host_hours"] > 0
    assert plan["moves_per_task"] >= 1
    drained = [host for step in plan["timeline"] if step["event"] == "drain_started" for host in step["hosts"]]
    assert len(drained) == len(set(drained)) >= 9, "each old host once; one more if the zones ask for it"
    assert plan["timeline"] == sorted(plan["timeline"], key=lambda step: step["after"])
    moved = sum(row["moved"] for row in plan["services"])
    assert moved == sum(move["tasks"] for step in plan["timeline"] for move in step["moves"]) == plan["moved"]


def test_strategies_stand_side_by_side_with_one_recommended(demo: tuple[Stage, Ran, float]) -> None:
    _, ran, _ = demo
    options = ran.result["plan"]["options"]
    assert [row["option"] for row in options if row["asked"]] == ["rolling, surge 2"]
    assert [row["option"] for row in options if row["recommended"]] == [ran.result["plan"]["recommendation"]["option"]]
    assert {row["strategy"] for row in options} == {"rolling", "double"}
    assert [row["peak_hosts"] for row in options] == sorted(row["peak_hosts"] for row in options)
    double = next(row for row in options if row["strategy"] == "double")
    assert (double["peak_hosts"], double["max_surge"]) == (18, None)


def test_every_assumption_has_its_source(demo: tuple[Stage, Ran, float]) -> None:
    _, ran, _ = demo
    by_what: dict[str, list[dict[str, Any]]] = {}
    for row in ran.result["plan"]["assumptions"]:
        assert row["source"]
        assert row["seconds"]["low"] <= row["seconds"]["mean"] <= row["seconds"]["high"]
        by_what.setdefault(row["what"], []).append(row)
    (boot,) = by_what["boot"]
    assert (boot["subject"], boot["samples"]) == ("web", 9)
    assert "9 launches of web" in boot["source"]
    assert not any(row["known"] for row in by_what["stop"]), "nothing has stopped here within the hour"


def test_a_person_reads_it_on_stdout_and_the_intention_on_stderr() -> None:
    stage = stage_of(GroupSet(), services=(API, WORKER, LOGS), quick=True)
    ran = planned(stage)
    assert ran.code == 0, ran
    for words in ("most likely", "how it goes", "drain i-", "other ways", "recommended", "what this supposes"):
        assert words in ran.out
    assert "next   ecsroll replace --cluster demo" in ran.out
    assert "will launch" in ran.err


def test_what_is_to_be_typed_next_is_the_roll_that_was_planned() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    window = "Mon-Sun 00:00-23:59"
    typed = ("--asg", "web", "--max-surge", "50%", "--no-all", "--window", window, "--drain-timeout-for", "worker=1h")
    again = shlex.split(planned(stage, *typed, "--json").result["next"])
    assert again[:4] == ["ecsroll", "replace", "--cluster", "demo"]
    assert sorted(again[4:]) == sorted(typed)


def test_quiet_says_the_same_without_the_story() -> None:
    ran = planned(stage_of(GroupSet(hosts=1), services=(ServiceSet(name="cron", count=1),), quick=True), "--quiet")
    assert ran.err == ""
    assert "most likely" in ran.out


def test_dry_run_is_plan() -> None:
    said = []
    for words in (("plan",), ("replace", "--dry-run")):
        stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
        ran = ecsroll(stage, *words, "--cluster", "demo", "--json")
        assert [call for call in stage.sim.door.calls if call.changes] == []
        said.append(ran.result)
    assert said[0] == said[1]
    assert said[0]["command"] == "plan"


def test_several_clusters_of_the_policy_are_planned_one_after_the_other() -> None:
    stage = stage_of(GroupSet(hosts=1), services=(ServiceSet(name="cron", count=1),), quick=True)
    ran = ecsroll(stage, "plan", "--cluster", "demo", "--cluster", "nowhere", "--json")
    assert ran.code == 3
    assert [line["result"]["cluster"] for line in ran.events] == ["demo", "nowhere"]
    assert ran.events[0]["result"]["plan"]["peak_hosts"] == 2


def test_nothing_to_do_is_said_without_a_rehearsal() -> None:
    ran = planned(stage_of(GroupSet(age=0), services=(WORKER,), quick=True), "--json")
    assert (ran.code, ran.result["result"], ran.result["plan"]) == (0, "nothing", None)
    assert planned(stage_of(GroupSet(age=0), quick=True)).code == 0


def test_where_no_host_is_old_enough_no_time_is_named() -> None:
    ran = planned(stage_of(GroupSet(hosts=1), quick=True), "--json", "--older-than", "400d")
    assert (ran.code, ran.result["reason"]) == (0, "no host is to be replaced")


def test_an_unknown_cluster_is_not_found() -> None:
    assert ecsroll(stage_of(GroupSet(hosts=1), quick=True), "plan", "--cluster", "nowhere").code == 3


def test_no_cluster_at_all_is_a_usage_error() -> None:
    assert ecsroll(stage_of(GroupSet(hosts=1), quick=True), "plan").code == 2


# What stands in the way ------------------------------------------------------------------------------------------


def codes(ran: Ran, severity: str) -> set[str]:
    return {finding["code"] for finding in ran.result["findings"] if finding["severity"] == severity}


def test_a_deadlock_is_met_in_the_rehearsal_and_blocks() -> None:
    stage = stage_of(GroupSet(), services=(STUCK, WORKER), quick=True)
    ran = planned(stage, "--json", "--drain-timeout", "5m")
    assert (ran.code, ran.result["result"]) == (4, "refused")
    assert "EC180" in codes(ran, "blocking")
    assert ran.result["plan"]["result"] == "halted"
    assert not any(row["recommended"] for row in ran.result["plan"]["options"])


def test_it_says_when_the_roll_would_halt_and_why() -> None:
    stage = stage_of(GroupSet(), services=(STUCK,), quick=True)
    ran = planned(stage, "--drain-timeout", "5m")
    assert ran.code == 4
    assert "it ends halted" in ran.out
    assert "stuck" in ran.out


def test_a_group_that_can_not_launch_is_refused_as_replace_refuses_it() -> None:
    stage = stage_of(GroupSet(), services=(WORKER,), quick=True)
    stage.sim.client("autoscaling").suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])
    ran = planned(stage, "--json", "--boot-timeout", "5m")
    assert ran.code == 4
    assert "EC102" in codes(ran, "blocking")


def test_a_standalone_task_that_nobody_knows_the_end_of_is_a_warning() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    run_a_task(stage, 600)
    ran = planned(stage, "--json", "--drain-timeout", "5m")
    assert ran.code == 0, ran
    assert "EC180" in codes(ran, "warning")


def test_a_standalone_task_of_a_family_that_has_ended_before_is_waited_for() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    run_a_task(stage, 120)
    stage.sim.sleep(200)
    run_a_task(stage, 120)
    ran = planned(stage, "--json")
    assert ran.code == 0, ran
    assert "EC180" not in codes(ran, "warning")
    assert ran.result["plan"]["result"] == "done"


def test_a_reading_that_is_denied_is_a_finding_and_the_forecast_stands() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    with denying(stage, "DescribeScalingActivities"):
        ran = planned(stage, "--json")
    assert ran.code == 0, ran
    assert "EC190" in codes(ran, "warning")
    boot = next(row for row in ran.result["plan"]["assumptions"] if row["what"] == "boot")
    assert "registration" in boot["source"], "learned from the hosts, as no activity tells"


def test_without_what_the_group_launches_there_is_no_rehearsal_and_the_findings_stand() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    reads = 0

    def deny(call: Call) -> None:
        nonlocal reads
        reads += call.operation == "DescribeLaunchTemplateVersions"
        if call.operation == "DescribeLaunchTemplateVersions" and reads > 1:
            raise Refusal("AccessDeniedException", "not any more")

    stage.sim.door.before.append(deny)
    ran = planned(stage, "--json")
    assert ran.code == 0, ran
    assert {"EC181", "EC190"} <= codes(ran, "warning")
    assert ran.result["plan"] is None
    assert "how long it takes is not known" in ran.result["reason"]


BEGAN = datetime(2026, 11, 25, 22, tzinfo=UTC)


def rehearsed(result: Any = "done", remaining: int = 0, held: Kind | None = None) -> Rehearsal:
    return Rehearsal(
        policy=Policy(),
        verdict=Verdict(result=result, reason="it says why", remaining=remaining),
        took=timedelta(minutes=20),
        rounds=1,
        steps=(),
        moves=(),
        tally=Tally(),
        surplus=timedelta(),
        longest=((Wait(kind="drain", subject="i-1", reason="because"), timedelta(minutes=5)),),
        held=frozenset([held] if held else []),
        last=cast("Any", None),
        began=BEGAN,
    )


GOOD, STUCK_AT_3 = rehearsed(), rehearsed("halted", 3, Kind.SERVICE)
ENDS = [
    pytest.param([GOOD] * 3, None, id="all end well"),
    pytest.param([STUCK_AT_3] * 3, "blocking", id="none does"),
    pytest.param([GOOD, GOOD, STUCK_AT_3], "warning", id="one does not: it may, or may not, happen"),
    pytest.param([rehearsed("halted", 0)] * 3, "warning", id="every host is replaced when it halts"),
    pytest.param([rehearsed("halted", 3, Kind.STANDALONE)] * 3, "warning", id="only standalone tasks hold it"),
    pytest.param([STUCK_AT_3], "blocking", id="the only rehearsal that there was time for does not"),
]


@pytest.mark.parametrize(("runs", "severity"), ENDS)
def test_how_sure_it_is_that_the_roll_will_halt(runs: list[Rehearsal], severity: str | None) -> None:
    forecast = Forecast(
        main=runs[0],
        halted=tuple(run for run in runs if not run.well),
        tried=len(runs),
        low=timedelta(),
        likely=timedelta(),
        high=timedelta(),
        options=(),
        recommended=None,
        why="",
        skipped=(),
        habits=Habits(()),
    )
    found = findings_of(forecast)
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    if found:
        assert found[0].subject == "i-1"
        assert "halts after 20 min" in found[0].measured


# A roll that is under way ----------------------------------------------------------------------------------------


def test_the_rest_of_a_roll_that_was_cut_off_is_planned() -> None:
    stage = stage_of(GroupSet(), services=(API, WORKER), quick=True)
    cut_off(stage, policy(), 20)
    stage.sim.sleep(200)
    ran = planned(stage, "--json", "--canary", "0", "--good-readings", "1")
    assert ran.code == 0, ran
    plan = ran.result["plan"]
    assert plan["result"] == "done"
    assert "roll_opened" not in {step["event"] for step in plan["timeline"]}
    assert [row["asked"] for row in plan["options"]] == [True], "it goes on as it was begun"


def test_the_rest_of_a_roll_moves_tasks_under_a_lease_of_its_own() -> None:
    stage = stage_of(GroupSet(), services=(API, WORKER), quick=True)
    words = ("--canary", "0", "--good-readings", "1", "--json")
    with interrupted(stage, "TerminateInstanceInAutoScalingGroup"):
        assert ecsroll(stage, "replace", "--cluster", "demo", "--yes", *words).code == 130
    stage.sim.sleep(200)
    plan = planned(stage, *words).result["plan"]
    moved = {step["hosts"][0]: step["moves"] for step in plan["timeline"] if step["event"] == "drain_started"}
    assert moved
    assert all(moved.values())
    assert plan["moved"] == sum(row["tasks"] for moves in moved.values() for row in moves)


def test_of_a_roll_that_was_halted_and_pointed_back_what_is_left_is_planned() -> None:
    stage = stage_of(GroupSet(), services=(WORKER,), quick=True)
    run_a_task(stage, 90000, host=0)
    words = ("--canary", "0", "--good-readings", "1", "--drain-timeout", "5m")
    halted = ecsroll(stage, "replace", "--cluster", "demo", "--yes", "--json", *words)
    left = halted.result["hosts"]["remaining"]
    assert (halted.code, left > 0) == (5, True), halted
    ran = planned(stage, "--json", *words)
    assert ran.result["hosts"]["remaining"] == left, ran


def test_another_strategy_than_the_roll_was_begun_with_is_refused() -> None:
    stage = stage_of(GroupSet(), services=(WORKER,), quick=True)
    cut_off(stage, policy(), 12)
    ran = planned(stage, "--json", "--strategy", "double")
    assert ran.code == 4
    assert "was begun with another --strategy" in ran.result["reason"]


# As a story ------------------------------------------------------------------------------------------------------

FOLDER = Path(__file__).parent / "transcripts" / "plans"


def wide(stage: Stage, *words: str) -> str:
    ran = planned(stage, *words)
    return f"{ran.err}{ran.out}exit {ran.code}\n"


def with_a_standalone_task() -> Stage:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    run_a_task(stage, 600)
    return stage


def late_in_the_evening() -> Stage:
    """Half past eight in UTC."""
    stage = stage_of(GroupSet(hosts=4), services=(API, WORKER, LOGS), quick=True)
    stage.sim.sleep((datetime(2026, 9, 28, 20, 30, tzinfo=UTC) - stage.sim.now()).total_seconds())
    return stage


SHORT = ("--window", "Mon-Fri 23:00-23:10 Europe/Berlin")

STORIES = {
    "demo": lambda: wide(demo_stage(), "--max-surge", "2"),
    "stuck": lambda: wide(stage_of(GroupSet(), services=(STUCK, WORKER), quick=True), "--drain-timeout", "5m"),
    "window": lambda: wide(late_in_the_evening(), *SHORT),
    "window-exit": lambda: wide(late_in_the_evening(), *SHORT, "--outside-window", "exit"),
    "standalone": lambda: wide(with_a_standalone_task(), "--drain-timeout", "5m"),
}


@pytest.mark.parametrize("name", STORIES)
def test_the_plan_reads_as_it_did(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    text = STORIES[name]()
    file = FOLDER / f"{name}.txt"
    if request.config.getoption("--update-transcripts"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text, "the plan has changed: read it, then pytest --update-transcripts"


# It changes nothing ----------------------------------------------------------------------------------------------


def called_unhealthy(stage: Stage, host: str) -> None:
    stage.sim.client("autoscaling").set_instance_health(InstanceId=host, HealthStatus="Unhealthy")


def ended(stage: Stage, host: str) -> None:
    stage.sim.client("ec2").terminate_instances(InstanceIds=[host])


def stopped(stage: Stage, host: str) -> None:
    stage.sim.client("ec2").stop_instances(InstanceIds=[host])


GOING = [
    pytest.param(called_unhealthy, 0, id="EC2 does not know its successor yet"),
    pytest.param(called_unhealthy, 5, id="its agent has gone with it"),
    pytest.param(ended, 5, id="its machine was terminated, and the group has not noticed"),
    pytest.param(stopped, 5, id="its machine was stopped, and the group has not noticed"),
]


@pytest.mark.parametrize(("happens", "later"), GOING)
def test_a_host_that_is_ending_ends_in_the_rehearsal_too(happens: Any, later: float) -> None:
    stage = stage_of(GroupSet(), services=(API, WORKER), quick=True)
    happens(stage, hosts_of(stage)[0].instance.id)
    stage.sim.sleep(later)
    ran = planned(stage, "--json", "--canary", "0")
    assert (ran.code, codes(ran, "blocking")) == (0, set())
    assert ran.result["plan"]["seconds"]["likely"] < 12 * 60, "nobody waits for an agent that is not to come back"


def test_a_protection_that_is_waited_for_ends_in_the_rehearsal_too() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    protect_a_task(stage, 1500)
    ran = planned(stage, "--json", "--canary", "0", "--drain-timeout", "20m")
    assert (ran.code, codes(ran, "warning")) == (0, {"EC119"})
    plan = ran.result["plan"]
    assert 1490 * 60 < plan["seconds"]["low"] < plan["seconds"]["high"] < 1520 * 60
    assert plan["rounds"] < 400, "a day is not waited through round by round"


def short_of_capacity(stage: Stage) -> None:
    capacity_runs_out(4000)(stage, None)  # type: ignore[arg-type]


SCENES = [
    pytest.param(GroupSet(hosts=2, reference="parameter"), None, id="a parameter of its own"),
    pytest.param(GroupSet(hosts=2, reference="configuration"), None, id="a launch configuration"),
    pytest.param(GroupSet(hosts=2, reference="mixed", managed_draining=True), None, id="managed draining"),
    pytest.param(
        GroupSet(hosts=2, managed_scaling=True, termination_protection=True), None, id="a provider that protects"
    ),
    pytest.param(GroupSet(hosts=3), foreign_drain, id="a host that others drain"),
    pytest.param(GroupSet(hosts=3), agent_dies, id="an agent that is away"),
    pytest.param(GroupSet(hosts=2), lambda stage: protect_a_task(stage, 10), id="a protected task"),
    pytest.param(GroupSet(hosts=2), short_of_capacity, id="no capacity for launches"),
]


@pytest.mark.parametrize(("group", "happens"), SCENES)
def test_whatever_it_finds_it_changes_nothing(group: GroupSet, happens: Any) -> None:
    stage = stage_of(group, services=(WORKER,), quick=True)
    if happens:
        happens(stage)
    assert planned(stage, "--json").code in {0, 4}
