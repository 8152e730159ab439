"""``ecsroll events``: what happens on a cluster now, by asking ECS and from a queue of its own."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ecsroll.aws import Aws
from ecsroll.events import Event
from ecsroll.render import QuietScreen
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from ecsroll.tail import Tail
from tests.console import Ran, ecsroll
from tests.scenarios import run_a_task

EVENTS = ("events", "--cluster", "demo", "--once")


def stage_of() -> Stage:
    return set_stage(GroupSet(hosts=2, age=0), services=(ServiceSet(name="api", count=4),))


def crash(stage: Stage, seconds: float = 120) -> None:
    """The service's tasks die a few seconds after they start, for so long."""
    sim = stage.sim
    sim.conditions.images_that_crash_tasks.add(stage.old_image["web"])
    sim.tasks.exits(next(task for task in sim.tasks.all.values() if task.last_status == "RUNNING"), 1)
    sim.sleep(seconds)
    sim.conditions.images_that_crash_tasks.clear()


class Screen(QuietScreen):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    def event(self, event: Event) -> None:
        self.told.append(event)


def follow(stage: Stage, acts: list[Callable[[], object]]) -> list[Event]:
    """Everything that is told while one thing after the other is done, a minute apart."""
    screen, left = Screen(), list(acts)
    there = Tail(Aws(stage.sim, stage.sim, workers=1), "demo", screen, timedelta(0), interval=60)

    def stopping() -> str | None:
        if not left:
            return "enough"
        if there.aws.clock.elapsed() >= due[0]:
            left.pop(0)()
            due[0] = there.aws.clock.elapsed() + 60
        return None

    due = [0.0]
    assert there.run(stopping, once=False).exit_code == 0
    return screen.told


def of(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in told if event["event"] == kind]


def test_crashes_are_told_with_reason_and_exit_code_and_the_loop_is_said_to_be_one() -> None:
    stage = stage_of()
    crash(stage)
    ran = ecsroll(stage, *EVENTS, "--json")
    assert ran.code == 0, ran
    failed = of(ran.events, "task_failed")
    assert len(failed) >= 3
    assert {(event["verdict"], event["why"], event["exit_code"]) for event in failed} == {("crash", "exit code 1", 1)}
    (alert,) = of(ran.events, "alert_raised")
    assert (alert["service"], alert["what"]) == ("api", "crash_loop")
    assert ran.result["told"]["task_failed"] == len(failed)
    assert [event["at"] for event in failed] == sorted(event["at"] for event in failed)


def test_people_read_lines_and_a_crash_is_red_on_a_terminal() -> None:
    stage = stage_of()
    crash(stage)
    plain = ecsroll(stage, *EVENTS)
    assert "FAILED     api (api:1)" in plain.err
    assert "crash: exit code 1" in plain.err
    assert "ALERT      service api (api:1) keeps failing" in plain.err
    assert "alerts open: 1" in plain.out
    assert "\x1b[31m" in ecsroll(stage, *EVENTS, terminal=True).err


def test_a_drain_is_told_and_is_no_failure() -> None:
    stage = stage_of()
    host = stage.sim.clusters.find("demo").registered[0]

    def drain() -> None:
        client = stage.sim.client("ecs")
        client.update_container_instances_state(cluster="demo", containerInstances=[host.arn], status="DRAINING")

    told = follow(stage, [drain, *[lambda: None] * 5])
    kinds = [event.kind for event in told]
    assert "task_failed" not in kinds
    assert "alert_raised" not in kinds
    assert {event.facts["verdict"] for event in told if event.kind == "task_stopped"} == {"normal"}
    assert [event.facts["why"] for event in told if event.kind == "host_changed"] == ["DRAINING, agent connected"]


def test_a_host_that_goes_is_told() -> None:
    stage = stage_of()
    host = stage.sim.clusters.find("demo").registered[0].instance.id
    terminate = lambda: stage.sim.client("ec2").terminate_instances(InstanceIds=[host])  # noqa: E731
    told = follow(stage, [lambda: None, terminate, *[lambda: None] * 6])
    said = [event.facts["why"] for event in told if event.kind == "host_changed"]
    assert any("agent gone" in why for why in said), said
    assert "infrastructure" in {event.facts["verdict"] for event in told if event.kind == "task_stopped"}


def test_nothing_is_told_twice_and_how_it_stood_at_first_is_no_news() -> None:
    stage = stage_of()
    run_a_task(stage, 30, host=0)
    told = follow(stage, [lambda: None] * 6)
    stops = [event.facts["task"] for event in told if event.kind.startswith("task_")]
    assert len(stops) == len(set(stops)) == 1
    assert "host_changed" not in [event.kind for event in told]


def test_what_was_before_since_is_not_told() -> None:
    stage = stage_of()
    crash(stage)
    stage.sim.sleep(1200)
    assert of(ecsroll(stage, *EVENTS, "--json").events, "task_failed")
    assert not of(ecsroll(stage, *EVENTS, "--json", "--since", "5m").events, "task_failed")


def bad(*words: str) -> Ran:
    return ecsroll(stage_of(), "events", "--once", *words)


def test_bad_words() -> None:
    for words, code, said in (
        (("--cluster", "nowhere"), 3, "there is no ECS cluster 'nowhere'"),
        (("--cluster", "demo", "--since", "soon"), 2, "--since"),
        (("--cluster", "demo", "--queue", "q"), 2, "no address of a queue"),
        (("--cluster", " "), 2, "--cluster is empty"),
    ):
        ran = bad(*words)
        assert (ran.code, said in ran.err) == (code, True), ran
    assert json.loads(bad("--cluster", "nowhere", "--json").out)["exit_code"] == 3
