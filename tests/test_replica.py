"""A replica stands as the real cluster stands: whoever looks at it sees the same, and decides the same."""

from dataclasses import replace
from typing import Any

import pytest

from ecsroll.aws import Aws
from ecsroll.decide import decide
from ecsroll.explore import explore
from ecsroll.facts import service_facts
from ecsroll.habits import learn
from ecsroll.images import choose_images
from ecsroll.model import Memory, Policy, Service, Snapshot, Task
from ecsroll.observe import Observer
from ecsroll.rehearsal import rehearse
from ecsroll.replica import replica
from ecsroll.simulator import Simulation
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from ecsroll.simulator.world import Durations
from tests.deeds import overridden
from tests.rolls import cut_off, stage_of
from tests.scenarios import (
    API,
    LOGS,
    WORKER,
    agent_dies,
    foreign_drain,
    group_of,
    hosts_of,
    policy,
    protect_a_task,
    run_a_task,
)

POLICY = policy()


def picture(sim: Simulation, cluster: str) -> Snapshot:
    return Observer(Aws(sim, sim, workers=1), cluster).look()


def copied(stage: Stage, how: Policy = POLICY) -> tuple[Snapshot, Simulation]:
    """The picture of a cluster, and a replica of it."""
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    how = replace(how, images=choose_images(how.ami, seen, aws) if seen.roll is None else seen.roll.images)
    return seen, replica(explore(aws, observer, seen), seen, how, Durations())


def alike(seen: Snapshot) -> dict[str, Any]:
    """What of a picture has to be the same: all but the moment, and what events say."""
    return {
        "hosts": seen.hosts,
        "groups": seen.groups,
        "services": {name: _without_event(service) for name, service in seen.services.items()},
        "tasks": {
            task.arn: _without_protection(task) for tasks in seen.tasks.values() for task in tasks if not task.stopped
        },
        "roll": seen.roll,
        "ledgers": seen.ledgers,
        "past": seen.past,
    }


def _without_event(service: Service) -> Service:
    return replace(service, last_event="")


def _without_protection(task: Task) -> Task:
    return replace(task, protected_until=None)  # it is read for draining hosts only


def plain(_: Stage) -> None:
    pass


def warm(stage: Stage) -> None:
    stage.sim.client("autoscaling").put_warm_pool(AutoScalingGroupName="web", MinSize=1, MaxGroupPreparedCapacity=1)
    stage.sim.sleep(180)


def tagged(stage: Stage) -> None:
    for host in hosts_of(stage):
        stage.sim.clusters.put_attribute(host, "stack", "blue")


def standalone(stage: Stage) -> None:
    run_a_task(stage, 3600)


def protected(stage: Stage) -> None:
    protect_a_task(stage, 60)


ALPHA = (API, WORKER, LOGS)
STAGES = [
    pytest.param(GroupSet(), ALPHA, plain, id="a plain cluster"),
    *(
        pytest.param(GroupSet(reference=reference), (WORKER,), plain, id=f"launching by {reference}")
        for reference in ("$Latest", "$Default", "mixed", "parameter", "public", "configuration")
    ),
    pytest.param(
        GroupSet(managed_scaling=True, termination_protection=True, managed_draining=True),
        (API, WORKER),
        plain,
        id="under a capacity provider",
    ),
    pytest.param(GroupSet(), ALPHA, foreign_drain, id="with a host that somebody drains"),
    pytest.param(GroupSet(), ALPHA, agent_dies, id="with an agent that is away"),
    pytest.param(GroupSet(), ALPHA, standalone, id="with a standalone task"),
    pytest.param(GroupSet(), ALPHA, protected, id="with a protected task"),
    pytest.param(GroupSet(), ALPHA, warm, id="with a warm pool"),
    pytest.param(GroupSet(), ALPHA, tagged, id="with attributes of its own"),
]


@pytest.mark.parametrize(("group", "services", "happens"), STAGES)
def test_the_replica_shows_the_same_picture(group: GroupSet, services: tuple[ServiceSet, ...], happens: Any) -> None:
    stage = stage_of(group, services=services, quick=True)
    happens(stage)
    seen, copy = copied(stage)
    theirs = picture(copy, stage.cluster)
    assert alike(theirs) == alike(seen)
    assert decide(replace(theirs, at=seen.at), Memory(), POLICY) == decide(seen, Memory(), POLICY)


@pytest.mark.parametrize("call", [6, 10, 14, 20, 26])
def test_a_roll_that_was_cut_off_is_in_the_replica_as_it_is(call: int) -> None:
    stage = stage_of(GroupSet(), services=ALPHA, quick=True)
    cut_off(stage, POLICY, call)
    seen, copy = copied(stage)
    assert seen.roll is not None
    mine, theirs = seen, picture(copy, stage.cluster)
    assert set(theirs.hosts) == set(mine.hosts)
    assert (theirs.roll, theirs.ledgers, theirs.past) == (mine.roll, mine.ledgers, mine.past)
    assert {name: host.drain_mark for name, host in theirs.hosts.items()} == {
        name: host.drain_mark for name, host in mine.hosts.items()
    }
    how = replace(POLICY, images=seen.roll.images)
    assert decide(theirs, Memory(), how)[0].actions == decide(replace(mine, at=theirs.at), Memory(), how)[0].actions


def test_what_comes_up_in_the_replica_is_like_what_is_there() -> None:
    stage = stage_of(GroupSet(), services=ALPHA, quick=True)
    tagged(stage)
    old = hosts_of(stage)[0]
    _, copy = copied(stage)
    copy.scaling.set_desired("web", group_of(stage).desired + 1)
    copy.sleep(300)
    new = copy.clusters.find(stage.cluster).registered[-1]
    assert new.registered_at > 0
    assert (new.cpu, new.memory, new.enis) == (old.cpu, old.memory, old.enis)
    assert new.custom == old.custom
    assert set(new.attributes) == set(old.attributes)


@pytest.mark.parametrize(
    "override",
    [{"InstanceType": "t3.small"}, {"InstanceRequirements": {"VCpuCount": {"Min": 2}}}],
    ids=["named", "by needs"],
)
def test_of_several_types_it_launches_the_one_that_is_there(override: dict[str, Any]) -> None:
    stage = stage_of(GroupSet(hosts=2), quick=True)
    named = [{"InstanceType": "m5.large"}] if "InstanceType" in override else []
    overridden(override, *named, InstanceType="t3.small")(stage)
    _, copy = copied(stage)
    copy.scaling.set_desired("web", 3)
    copy.sleep(300)
    assert [host.instance.type for host in copy.clusters.find(stage.cluster).registered] == ["m5.large"] * 3


FAR = {"status": "PRIMARY", "launchType": "FARGATE", "taskDefinition": "arn:td/far:1"}


@pytest.mark.parametrize("sets", [[FAR], []], ids=["on Fargate", "without a task set"])
def test_a_service_of_another_controller_takes_no_room_unless_a_task_set_of_it_is_here(sets: list[Any]) -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    terrain = explore(aws, observer, seen)
    said = {"serviceName": "far", "serviceArn": "arn:far", "desiredCount": 9, "taskSets": sets}
    terrain = replace(terrain, services={**terrain.services, "far": service_facts(said)})
    how = replace(POLICY, images=choose_images(POLICY.ami, seen, aws))
    copy = replica(terrain, seen, how, Durations())
    copy.sleep(300)
    assert len(copy.clusters.find(stage.cluster).tasks) == WORKER.count
    assert rehearse(terrain, replace(seen, epoch=1), how, learn(terrain)).well


def test_a_service_that_codedeploy_deploys_is_moved_within_the_usual_bounds() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(replace(WORKER, min_percent=0, max_percent=100),), quick=True)
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    terrain = explore(aws, observer, seen)
    worker = replace(terrain.services["worker"], controller="CODE_DEPLOY")
    terrain = replace(terrain, services={"worker": worker})
    how = replace(POLICY, images=choose_images(POLICY.ami, seen, aws))
    copy = replica(terrain, seen, how, Durations())
    assert copy.clusters.find(stage.cluster).services["worker"].percents == (100, 200)


def test_a_host_that_its_group_takes_away_goes_when_it_is_empty() -> None:
    stage = stage_of(GroupSet(managed_draining=True), services=ALPHA, quick=True)
    leaving = hosts_of(stage)[0].instance.id
    stage.sim.client("autoscaling").set_instance_health(InstanceId=leaving, HealthStatus="Unhealthy")
    stage.sim.sleep(10)
    assert group_of(stage).members[leaving].state == "Terminating:Wait"
    _, copy = copied(stage)
    copy.sleep(300)
    assert leaving not in copy.clusters.by_instance
    stops = {task.stop_code for task in copy.tasks.all.values() if task.service and not task.service.daemon}
    assert stops == {None, "ServiceSchedulerInitiated"}, "none was lost with its host"


def test_the_replica_shares_nothing_with_the_real_cluster() -> None:
    stage = stage_of(GroupSet(), services=ALPHA, quick=True)
    before = alike(picture(stage.sim, stage.cluster))
    _, copy = copied(stage)
    for host in copy.clusters.find(stage.cluster).registered:
        copy.clusters.set_status(host, "DRAINING")
    copy.scaling.update("web", minimum=1, maximum=50)
    copy.sleep(600)
    assert alike(picture(stage.sim, stage.cluster)) == before


def test_labels_that_only_a_simulator_understands_are_not_copied() -> None:
    stage = stage_of(GroupSet(hosts=2), quick=True)
    ecs = stage.sim.client("ecs")
    container = {"name": "app", "image": "x:1", "essential": True, "dockerLabels": {"simulated.stops-after": "600"}}
    ecs.register_task_definition(family="slow", containerDefinitions=[container], cpu="64", memory="64")
    ecs.create_service(cluster=stage.cluster, serviceName="slow", taskDefinition="slow", desiredCount=1)
    stage.sim.sleep(120)
    _, copy = copied(stage)
    assert copy.tasks.definitions.find("slow").label("stops-after") is None
