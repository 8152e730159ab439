"""What failed lately, by ECS's own memory: what a watcher begins with."""

from datetime import timedelta

import pytest

from ecsroll.aws import Aws
from ecsroll.lately import failed_lately
from ecsroll.simulator.quick import QuickSimulation
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from ecsroll.simulator.tasks import Task


def stage_of() -> Stage:
    return set_stage(
        GroupSet(hosts=2, age=0, zones=1),
        services=(ServiceSet(name="api", count=4, strategy=(("spread", "instanceId"),)),),
        simulation=QuickSimulation(),
    )


def crash_one_on_each_host(stage: Stage) -> list[Task]:
    running = [task for task in stage.sim.tasks.all.values() if task.last_status == "RUNNING"]
    ended = list({task.host: task for task in running}.values())
    for task in ended:
        stage.sim.tasks.exits(task, 1)
    stage.sim.sleep(60)
    return ended


def lately(stage: Stage, minutes: float = 30) -> set[str]:
    since = stage.sim.now() - timedelta(minutes=minutes)
    return {task.arn for task in failed_lately(Aws(stage.sim, stage.sim, workers=1), stage.cluster, since)}


def test_what_failed_is_remembered_for_as_long_as_it_is_asked_for() -> None:
    stage = stage_of()
    ended = crash_one_on_each_host(stage)
    assert lately(stage) == {task.arn for task in ended}
    stage.sim.sleep(31 * 60)
    assert lately(stage) == set()
    assert lately(stage, minutes=60) == {task.arn for task in ended}


def test_what_was_stopped_rightly_is_not_counted() -> None:
    stage = stage_of()
    stage.sim.client("ecs").update_service(cluster="demo", service="api", desiredCount=1)
    stage.sim.sleep(120)
    assert lately(stage) == set()


@pytest.mark.parametrize("gone", ["terminated", "deregistered", "agent away"])
def test_what_failed_on_a_host_that_is_gone_may_be_the_hosts(gone: str) -> None:
    stage = stage_of()
    first, second = crash_one_on_each_host(stage)
    assert first.host is not None
    instance = first.host.instance.id
    if gone == "terminated":
        stage.sim.client("ec2").terminate_instances(InstanceIds=[instance])
    elif gone == "agent away":
        stage.sim.conditions.instances_without_agent.add(instance)
    else:
        stage.sim.client("ecs").deregister_container_instance(
            cluster="demo", containerInstance=first.host.arn, force=True
        )
    stage.sim.sleep(240)
    assert second.arn in lately(stage)
    assert first.arn not in lately(stage)
