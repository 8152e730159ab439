"""What goes between two readings of one round: the second one finds nothing, and the roll goes on (aws-facts 6.6)."""

from collections.abc import Callable

import pytest

from ecsroll.act import Actor
from ecsroll.aws import Aws
from ecsroll.errors import AwsRefusal
from ecsroll.model import Terminate
from ecsroll.observe import Observer
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from ecsroll.simulator.world import Refusal
from tests.console import denying, ecsroll
from tests.odd import answering
from tests.rolls import carry_out, on, stage_of
from tests.scenarios import policy

CALM = policy(canary=0, good_readings=1)


def forget(stage: Stage, arn: str) -> None:
    """Somebody deregisters a host, and ECS does not show it as INACTIVE either."""
    cluster = stage.sim.clusters.find(stage.cluster)
    stage.sim.client("ecs").deregister_container_instance(cluster=stage.cluster, containerInstance=arn, force=True)
    cluster.hosts.pop(arn.rpartition("/")[2])


def just_before(stage: Stage, operation: str, member: str, then: Callable[[Stage, str], None]) -> list[str]:
    """Let something happen just before the first such call that names one thing."""
    happened: list[str] = []

    def happen(call: Call) -> None:
        if call.operation == operation and member in call.params and not happened:
            happened.append(call.params[member])
            then(stage, call.params[member])

    stage.sim.door.before.append(happen)
    return happened


def test_a_host_that_goes_before_its_tasks_are_listed_is_replaced_like_one_that_never_registered() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(), quick=True)
    gone: list[str] = []

    def drained(there: Stage, watch: object) -> None:
        del watch
        gone.extend(just_before(there, "ListTasks", "containerInstance", forget))

    told = carry_out(stage, CALM, meanwhile=[on("drain_started", drained)])
    assert told.verdict is not None
    assert told.verdict.result == "done"


def test_a_refusal_to_list_the_tasks_of_a_host_that_is_there_is_no_empty_host() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(), quick=True)
    observer = Observer(Aws(stage.sim, stage.sim, workers=1), stage.cluster)
    arn = next(host.arn for host in observer.look().hosts.values())
    assert arn is not None
    with denying(stage, "ListTasks", "InvalidParameterException"), pytest.raises(AwsRefusal):
        observer.tasks_now(arn)


def test_a_host_that_has_just_come_and_is_not_known_everywhere_yet_is_asked_for_again() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(), quick=True)
    refused: list[float] = []

    def young(call: Call) -> None:
        if call.operation == "ListTasks" and "containerInstance" in call.params and len(refused) < 3:
            refused.append(stage.sim.elapsed())
            raise Refusal("InvalidParameterException", "Container instance not found.")

    stage.sim.door.before.append(young)
    told = carry_out(stage, CALM)
    assert (told.verdict and told.verdict.result, len(refused)) == ("done", 3)


@pytest.mark.parametrize("listed", [True, False])
def test_a_task_of_which_nothing_is_said_is_there_as_long_as_it_is_listed(*, listed: bool) -> None:
    """Neither described nor MISSING: a host is not empty for that (promise 2), nor held by it for ever."""
    stage = stage_of(GroupSet(hosts=2), services=(ServiceSet(name="api", count=2),), quick=True)
    observer = Observer(Aws(stage.sim, stage.sim, workers=1), stage.cluster)
    arns = [host.arn for host in observer.look().hosts.values() if host.arn]
    drained = next(arn for arn in arns if observer.tasks_now(arn))
    running = [task.arn for task in observer.tasks_now(drained)]
    stage.sim.client("ecs").update_container_instances_state(
        cluster=stage.cluster, containerInstances=[drained], status="DRAINING"
    )
    answering(stage.sim, "DescribeTasks", lambda *_: {"tasks": [], "failures": []})
    if not listed:
        answering(stage.sim, "ListTasks", lambda *_: {"taskArns": []})
    fresh = Observer(Aws(stage.sim, stage.sim, workers=1), stage.cluster)
    for eye in (observer, fresh):
        seen = [eye.look(), eye.look()][-1]
        assert {task.arn for task in seen.tasks.get(drained, ()) if not task.stopped} == (
            set(running) if listed else set()
        )


def test_a_version_that_was_just_made_and_is_not_known_everywhere_yet_is_asked_for_again() -> None:
    stage = stage_of(GroupSet(hosts=1, reference="number"), services=(), quick=True)
    refused: list[float] = []

    def young(call: Call) -> None:
        if call.operation == "DescribeLaunchTemplateVersions" and call.params.get("Versions") == ["2"] and not refused:
            refused.append(stage.sim.elapsed())
            raise Refusal("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version 2")

    stage.sim.door.before.append(young)
    told = carry_out(stage, CALM)
    assert (told.verdict and told.verdict.result, len(refused)) == ("done", 1)


def test_a_version_that_is_not_there_is_named() -> None:
    stage = stage_of(GroupSet(hosts=1, reference="number"), services=(), quick=True)
    with denying(stage, "DescribeLaunchTemplateVersions", "InvalidLaunchTemplateId.VersionNotFound"):
        ran = ecsroll(stage, "plan", "--cluster", stage.cluster, "--json")
    assert (ran.code, "has no version 1" in ran.result["reason"]) == (3, True), ran


def test_a_host_that_is_not_registered_any_more_is_not_taken_for_empty() -> None:
    """Deregistered by force, its tasks run on unseen (aws-facts 3.8)."""
    stage = stage_of(GroupSet(hosts=2), services=(), quick=True)
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    host = next(iter(observer.look().hosts.values()))
    assert host.arn is not None
    forget(stage, host.arn)
    event = Actor(aws, observer).act(Terminate(host=host, shrink=False, excused=frozenset(), why="it was empty"))
    assert (event.kind, event.facts["found"]) == ("host_kept", "it is not registered any more")


def test_a_service_that_is_deleted_before_its_stopped_tasks_are_listed_is_missed_by_nobody() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(ServiceSet(name="api", count=2),), quick=True)

    def delete(there: Stage, name: str) -> None:
        there.sim.client("ecs").delete_service(cluster=there.cluster, service=name, force=True)
        there.sim.clusters.find(there.cluster).services.pop(name)

    deleted = just_before(stage, "ListTasks", "serviceName", delete)
    told = carry_out(stage, policy(canary=1, good_readings=1))
    assert (told.verdict and told.verdict.result, deleted) == ("done", ["api"])


def test_the_page_that_has_the_group_may_not_be_the_first() -> None:
    """A page may be short, even empty, although more follow (aws-facts 6.5)."""
    stage = stage_of(GroupSet(hosts=1, reference="number"), services=(), quick=True)
    answering(
        stage.sim,
        "DescribeAutoScalingGroups",
        lambda asked, said: said if "NextToken" in asked else {"AutoScalingGroups": [], "NextToken": "page-0"},
    )
    told = carry_out(stage, CALM)
    assert told.verdict is not None
    assert told.verdict.result == "done"
