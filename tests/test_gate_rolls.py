"""Whole rolls over bad images, alarms and crash loops: a gate shuts in time, and not without a reason."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

import pytest

from ecsroll.model import Policy
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests import scenarios as s
from tests.rolls import Meanwhile, Told, carry_out, on, stage_of
from tests.scenarios import API, LOGS, WORKER
from tests.test_rolls import drained
from tests.watch import Watch

CAREFUL = Policy(bake=timedelta(minutes=5))
MINUTE = timedelta(minutes=1)


def _nothing(subject: object) -> None:
    del subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A scenario: what is wrong, how it ends, what the reason says."""

    services: tuple[ServiceSet, ...] = (API, WORKER, LOGS)
    groups: tuple[GroupSet, ...] = (GroupSet(hosts=4),)
    policy: Policy = CAREFUL
    before: Callable[[Stage], object] = _nothing
    meanwhile: Callable[[], tuple[Meanwhile, ...]] = field(default=tuple)
    says: str = ""
    """Of the reason of the halt; nothing: it is not halted."""
    drained: int | None = None
    """Hosts that were drained at most."""


def bad(condition: str) -> Callable[[Stage], None]:
    """The new image has something."""

    def act(stage: Stage) -> None:
        getattr(stage.sim.conditions, condition).add(stage.new_image["web"])

    return act


def hosts_die(minutes: float) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.sim.conditions.images_whose_hosts_die[stage.new_image["web"]] = minutes * 60

    return act


def alarm(state: str, *names: str) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        for name in names:
            stage.sim.alarms.put(name)
            stage.sim.alarms.set_state(name, state, "by the scenario")

    return act


def alarm_goes(*states: str) -> Callable[[Stage, Watch], None]:
    def act(stage: Stage, watch: Watch) -> None:
        del watch
        for number, state in enumerate(states):
            stage.sim.world.after(60.0 * number, partial(stage.sim.alarms.set_state, "errors", state, "it went"))

    return act


def crashes(number: int, service: str) -> Callable[[Stage], None]:
    """So many of a service's tasks end by themselves, one after another."""

    def act(stage: Stage) -> None:
        for _ in range(number):
            stage.sim.tasks.exits(next(iter(stage.sim.clusters.find(stage.cluster).services[service].healthy)), 1)
            stage.sim.sleep(90)

    return act


def crash_later(stage: Stage, watch: Watch) -> None:
    watch.mishap()
    tasks = list(stage.sim.clusters.find(stage.cluster).services["worker"].healthy)
    for number, task in enumerate(tasks[:2]):
        stage.sim.world.after(20.0 * number, partial(stage.sim.tasks.exits, task, 1))


def only_where_it_is_old(stage: Stage) -> None:
    """A constraint of the service that no new host satisfies."""
    ecs = stage.sim.client("ecs")
    for host in s.hosts_of(stage):
        attribute = {"name": "kind", "value": "old", "targetType": "container-instance", "targetId": host.arn}
        ecs.put_attributes(cluster=stage.cluster, attributes=[attribute])
    constraint = {"type": "memberOf", "expression": "attribute:kind == old"}
    ecs.update_service(cluster=stage.cluster, service="worker", placementConstraints=[constraint])
    stage.sim.sleep(300)


ALARMED = replace(CAREFUL, alarms=("errors",), bake=timedelta())

SHUT = {
    "tasks crash-loop on the new image": Row(
        before=bad("images_that_crash_tasks"),
        says="ended by themselves (exit code 1) on new hosts; none did",
        drained=1,
    ),
    "targets on the new image never become healthy": Row(
        before=bad("images_whose_targets_stay_unhealthy"),
        services=(API, LOGS),
        says="on new hosts",
        drained=2,  # the first one's task landed on an old host, and told nothing
    ),
    "the agent of the new image never connects": Row(
        before=bad("images_whose_agent_never_connects"), says="has not become ready", drained=0
    ),
    "hosts of the new image die after ten minutes, while the canary bakes": Row(
        before=hosts_die(10), policy=replace(CAREFUL, bake=15 * MINUTE), says="has ended by itself", drained=1
    ),
    "an alarm goes off": Row(
        before=alarm("OK", "errors"),
        policy=ALARMED,
        meanwhile=lambda: (on("drain_started", alarm_goes("ALARM"), 2),),
        says="the alarm errors is in ALARM since",
        drained=2,
    ),
    "an alarm that was in ALARM at the start calms down and goes off again": Row(
        before=alarm("ALARM", "errors"),
        policy=ALARMED,
        meanwhile=lambda: (on("drain_started", alarm_goes("OK", "ALARM")),),
        says="the alarm errors is in ALARM since",
    ),
}
SHUT["all tasks of three canaries land on old hosts"] = Row(
    groups=(GroupSet(hosts=5),),
    services=(WORKER,),
    before=only_where_it_is_old,
    says="inconclusive: the tasks of 3 canaries all landed on hosts of before the roll",
    drained=3,
)
SHUT["a service that ECS may stop altogether does not come back on new hosts"] = Row(
    services=(replace(WORKER, min_percent=0, max_percent=100), API),
    before=only_where_it_is_old,
    policy=replace(CAREFUL, canary=0),
    says="worker has had 0 of 4 tasks healthy for 15m; 4 ran before",
)
OPEN = {
    "a good image, with canary and bake": Row(),
    "an alarm was in ALARM already": Row(before=alarm("ALARM", "errors"), policy=ALARMED),
    "an alarm lacks data": Row(before=alarm("INSUFFICIENT_DATA", "errors"), policy=ALARMED),
    "hosts of the new image die long after the bake": Row(before=hosts_die(200)),
    "a service's tasks end by themselves every now and then, as they did before": Row(
        before=crashes(3, "worker"), policy=ALARMED, meanwhile=lambda: (on("drain_started", crash_later, 2),)
    ),
}


def play(row: Row) -> Told:
    stage = stage_of(*row.groups, services=row.services, quick=True)
    row.before(stage)
    return carry_out(stage, row.policy, meanwhile=row.meanwhile())


@pytest.mark.parametrize("row", SHUT.values(), ids=SHUT)
def test_the_gate_shuts(row: Row) -> None:
    told = play(row)
    assert told.verdict is not None
    assert told.verdict.result == "halted"
    assert row.says in told.verdict.reason
    old = [name for name in drained(told) if name in told.watch.before["web"].members]
    assert row.drained is None or len(old) <= row.drained
    # It serves as before: every host ACTIVE, the old image launched.
    assert {host.status for host in s.hosts_of(told.stage) if host.instance.state == "running"} == {"ACTIVE"}
    data = told.stage.sim.scaling.fleet.source(s.group_of(told.stage)).data
    assert data["ImageId"] == told.stage.old_image["web"]


@pytest.mark.parametrize("row", OPEN.values(), ids=OPEN)
def test_the_gate_stays_open(row: Row) -> None:
    told = play(row)
    assert told.verdict is not None
    assert (told.verdict.result, told.verdict.remaining) == ("done", 0), told.verdict.reason
