"""Containers that are restarted inside their tasks: what AWS shows of it, and what a watcher makes of that."""

import json
import signal
from datetime import timedelta
from typing import Any

import pytest

from ecsroll.crashes import Cleared, Detector, Raised
from ecsroll.simulator.bus import Bus
from ecsroll.simulator.quick import QuickSimulation
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from ecsroll.simulator.tasks import Task
from tests.console import denying, ecsroll
from tests.test_crashes import NOON, minutes, wants

CHECK = {"command": ["CMD", "true"], "interval": 30}


def stage_of(*, insights: str = "enhanced", **policy: Any) -> Stage:
    """A service of two tasks whose container has a restart policy and a health check."""
    stage = set_stage(
        GroupSet(hosts=2, age=0), services=(ServiceSet(name="api", count=2),), simulation=QuickSimulation()
    )
    ecs = stage.sim.client("ecs")
    stage.sim.clusters.find("demo").settings = [{"name": "containerInsights", "value": insights}]
    container = {"name": "app", "image": "api:2", "memory": 64, "healthCheck": CHECK}
    container["restartPolicy"] = {"enabled": True, **policy}
    ecs.register_task_definition(family="api", containerDefinitions=[container])
    ecs.update_service(cluster="demo", service="api", taskDefinition="api")
    stage.sim.sleep(1200)
    return stage


def running(stage: Stage) -> list[Task]:
    return [task for task in stage.sim.tasks.all.values() if task.last_status == "RUNNING"]


def shown(stage: Stage, task: Task) -> dict[str, Any]:
    (said,) = stage.sim.client("ecs").describe_tasks(cluster="demo", tasks=[task.arn])["tasks"]
    return {"task": said["lastStatus"], **{key: said["containers"][0][key] for key in ("lastStatus", "runtimeId")}}


# What AWS shows ----------------------------------------------------------------------------------------------------


def test_a_restart_in_place_is_no_event_and_changes_neither_the_task_nor_its_runtime_id_fact_7_6() -> None:
    stage = stage_of()
    task, *_ = running(stage)
    before, events = shown(stage, task), list[Any]()
    Bus(stage.sim, events.append)
    stage.sim.tasks.exits(task, 1)
    stage.sim.sleep(10)
    assert (task.restarts, shown(stage, task), events) == (1, before, [])
    assert task.container_health == "UNKNOWN"
    stage.sim.sleep(30)
    assert task.container_health == "HEALTHY"


@pytest.mark.parametrize(
    ("policy", "ran", "code", "restarts"),
    [
        ({}, 301, 1, 1),
        ({}, 301, 0, 1),
        ({}, 200, 1, 0),
        ({"restartAttemptPeriod": 60}, 61, 1, 1),
        ({"ignoredExitCodes": [3]}, 301, 3, 0),
        ({"enabled": False}, 301, 1, 0),
    ],
)
def test_it_is_restarted_after_its_period_unless_the_exit_code_is_ignored_else_the_task_stops(
    policy: dict[str, Any], ran: float, code: int, restarts: int
) -> None:
    stage = stage_of(**policy)
    task, *_ = running(stage)
    stage.sim.tasks.exits(task, 1)  # what counts is the time since the last restart
    stage.sim.sleep(ran)
    stage.sim.tasks.exits(task, code)
    stage.sim.sleep(20)
    first = 1 if policy.get("enabled", True) else 0
    assert task.restarts == first + restarts
    assert (task.last_status == "STOPPED") is (restarts == 0)


# What is a loop of it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "desired", "loop"),
    [
        pytest.param([(1, 1), (6, 1), (11, 1)], 2, True, id="three, five minutes apart"),
        pytest.param([(1, 1), (6, 1)], 2, False, id="two"),
        pytest.param([(1, 1)] * 5, 2, False, id="the same one told five times"),
        pytest.param([(1, 1), (1, 3)], 2, False, id="a minute that grows is one minute"),
        pytest.param([(1, 20)], 20, False, id="twenty containers that end once, at one moment"),
        pytest.param([(1, 10), (2, 10)], 20, False, id="the same, on both sides of a minute's end"),
        pytest.param([(1, 20), (6, 1)], 20, True, id="twenty at once, and one of them again"),
        pytest.param([(1, 1), (6, 1), (11, 1)], 100, False, id="three of a service that wants a hundred"),
    ],
)
def test_what_a_watcher_takes_for_a_loop_of_restarts(told: list[tuple[int, int]], desired: int, loop: bool) -> None:
    detector = Detector()
    for at, count in told:
        detector.restarted("demo", "api", NOON + minutes(at), count)
    said = detector.judge(NOON + minutes(12), wants(desired))
    assert [type(each) for each in said] == ([Raised] if loop else [])


def test_a_loop_of_restarts_begins_once_ends_once_and_old_figures_open_it_no_more() -> None:
    detector = Detector()
    said: list[str] = []
    for at in range(60):
        for minute in range(max(1, at - 15), min(at, 26)):
            detector.restarted("demo", "api", NOON + minutes(minute), int(minute % 5 == 0))
        said += [f"{at} {type(each).__name__}" for each in detector.judge(NOON + minutes(at), wants(2))]
    assert said == [f"16 {Raised.__name__}", f"36 {Cleared.__name__}"]


# The watcher -------------------------------------------------------------------------------------------------------

WATCH = ("watch", "--once", "--json", "--cluster", "demo", "--restarts")


def looping(stage: Stage, *, rounds: int) -> list[dict[str, Any]]:
    """The alerts of a watcher that is run every five minutes, while one container ends as often and then no more."""
    told: list[dict[str, Any]] = []
    task, *_ = running(stage)
    for number in range(rounds):
        if number < 4:
            stage.sim.tasks.exits(task, 1)
        stage.sim.sleep(301)
        ran = ecsroll(stage, *WATCH)
        assert ran.code == 0, ran
        told += [event for event in ran.events if event["event"].startswith("alert_")]
    return told


def test_a_container_that_is_restarted_again_and_again_makes_one_alert_and_one_all_clear() -> None:
    stage = stage_of()
    raised, cleared = looping(stage, rounds=8)
    assert (raised["event"], cleared["event"]) == ("alert_raised", "alert_cleared")
    assert raised["alert"] == cleared["alert"]
    assert (raised["what"], raised["service"], raised["definition"]) == ("restart_loop", "api", None)
    assert running(stage), "no task has stopped for it"


def test_without_container_insights_nobody_can_tell() -> None:
    assert looping(stage_of(insights="disabled"), rounds=5) == []


def test_a_watcher_that_may_not_ask_says_so_once_and_goes_on() -> None:
    stage = stage_of()
    with denying(stage, "ListMetrics", "AccessDenied"):
        ran = ecsroll(stage, *WATCH)
    (trouble,) = [event for event in ran.events if event["event"] == "watch_trouble"]
    assert (ran.code, trouble["what"]) == (0, "restarts")
    assert "cloudwatch:ListMetrics" in trouble["next"]


def test_without_a_queue_it_asks_each_minute_too_until_somebody_ends_it() -> None:
    stage = stage_of()
    stage.sim.door.calls.clear()
    stage.sim.world.after(350, lambda: signal.raise_signal(signal.SIGTERM))
    ran = ecsroll(stage, *(word for word in WATCH if word != "--once"))
    assert (ran.code, ran.result["result"]) == (0, "done")
    assert ran.result["reason"].startswith("interrupted by SIGTERM")
    assert sum(call.operation == "GetMetricData" for call in stage.sim.door.calls) in {5, 6, 7}


def test_only_those_services_are_asked_for_that_are_counted_and_each_minute_once() -> None:
    stage = stage_of()
    stage.sim.sleep(timedelta(minutes=20).total_seconds())
    stage.sim.door.calls.clear()
    ecsroll(stage, *WATCH)
    asked = [call for call in stage.sim.door.calls if call.operation == "GetMetricData"]
    assert len(asked) == 1
    names = json.dumps([query["MetricStat"]["Metric"]["Dimensions"] for query in asked[0].params["MetricDataQueries"]])
    assert names.count("ServiceName") == 1
