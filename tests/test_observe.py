"""observe: paged and batched, never a partial picture, and after the first look only what can have changed."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from ecsroll.aws import Aws
from ecsroll.errors import AwsUnavailable, EcsrollError, NotFound
from ecsroll.ledger import Baseline, Ledger, Roll
from ecsroll.observe import Observer
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from tests.console import denying
from tests.scenarios import group_of, hosts_of, protect_a_task

LOGS = ServiceSet(name="logs", daemon=True, cpu=64, memory=64)
API = ServiceSet(name="api", count=4, balanced=True)


def observer(stage: Stage, *groups: str, tasks: bool = True) -> Observer:
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(1))
    return Observer(aws, stage.cluster, groups, tasks=tasks)


def calls(stage: Stage) -> Counter[str]:
    """The calls since the last time this was asked."""
    counted = Counter(call.operation for call in stage.sim.door.calls)
    stage.sim.door.calls.clear()
    return counted


def drain(stage: Stage, *places: int, name: str = "web", mark: str | None = "1:2026-09-28T20:00:00Z") -> list[str]:
    """Some of the group's hosts are drained, by us unless there is no mark; their ids."""
    hosts = [hosts_of(stage, name)[place] for place in places]
    for host in hosts:
        if mark:
            stage.sim.clusters.put_attribute(host, "ecsroll.drain", mark)
        stage.sim.clusters.set_status(host, "DRAINING")
    return [host.instance.id for host in hosts]


@contextmanager
def answering(stage: Stage, operation: str, change: Any) -> Iterator[None]:
    """Answers of an operation are changed on their way out."""
    door = stage.sim.door
    answer = door.answer

    def changed(service: str, asked: str, params: dict[str, Any]) -> dict[str, Any]:
        said = answer(service, asked, params)
        return dict(change(said)) if asked == operation else said

    door.answer = changed
    try:
        yield
    finally:
        door.answer = answer


# The whole picture ---------------------------------------------------------------------------------------------------


def test_more_hosts_and_services_than_a_page_holds() -> None:
    services = tuple(ServiceSet(name=f"s{number:02}", count=1, cpu=64, memory=64) for number in range(23))
    stage = set_stage(GroupSet(hosts=105, age=0), services=(*services, LOGS))
    seen = observer(stage).look()
    assert len(seen.hosts) == 105
    assert all(host.serves for host in seen.hosts.values())
    assert len(seen.services) == 24
    assert sum(len(tasks) for tasks in seen.tasks.values()) == 23 + 105
    made = calls(stage)
    assert made["ListContainerInstances"] == 2
    assert made["DescribeContainerInstances"] == 2
    assert made["DescribeServices"] == 3


def test_no_batch_is_larger_than_its_limit_however_many_things_there_are() -> None:
    stage = set_stage(GroupSet(hosts=105, age=0), services=(LOGS,))
    eye = observer(stage)
    eye.look()
    drain(stage, *range(100))
    for _ in range(4):
        stage.sim.sleep(15)
        eye.look()
    refused = [call for call in stage.sim.door.calls if call.error]
    assert refused == [], "the door refuses what is too large"


def test_groups_come_by_name_or_in_the_order_in_which_they_were_asked_for() -> None:
    stage = set_stage(GroupSet(name="b", hosts=1), GroupSet(name="c", hosts=1), GroupSet(name="a", hosts=1))
    assert observer(stage).look().groups.keys() == {"a", "b", "c"}
    eye = observer(stage)
    eye.look()
    assert eye.groups == ("a", "b", "c")
    eye = observer(stage, "c", "a")
    assert eye.look().groups.keys() == {"a", "c"}
    assert eye.groups == ("c", "a")


def test_a_group_asked_for_twice_is_one_group() -> None:
    stage = set_stage(GroupSet(hosts=1))
    eye = observer(stage, "web", "web")
    eye.look()
    assert eye.groups == ("web",)


def test_hosts_of_other_groups_of_the_cluster_are_not_in_the_picture() -> None:
    stage = set_stage(GroupSet(name="a", hosts=1), GroupSet(name="b", hosts=2))
    seen = observer(stage, "a").look()
    assert {host.group for host in seen.hosts.values()} == {"a"}


def test_a_container_instance_outside_any_group_is_left_alone() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(LOGS,))
    stranger = hosts_of(stage)[0].instance.id
    stage.sim.scaling.groups["web"].members.pop(stranger)
    seen = observer(stage).look()
    assert stranger not in seen.hosts
    assert seen.ghosts == ()


def test_an_instance_that_ec2_does_not_know_yet_is_a_host_without_an_image() -> None:
    stage = set_stage(GroupSet(hosts=2))
    eye = observer(stage)
    eye.look()
    stage.sim.scaling.set_desired("web", 3, "a person")
    stage.sim.sleep(15)

    def not_yet(said: dict[str, Any]) -> dict[str, Any]:
        return {**said, "Reservations": []}

    with answering(stage, "DescribeInstances", not_yet):
        seen = eye.look()
    newest = max(seen.hosts.values(), key=lambda host: host.launched_at)
    assert (len(seen.hosts), newest.image, newest.arn) == (3, None, None)
    assert all(newest.launched_at > host.launched_at for host in seen.hosts.values() if host is not newest)
    seen = eye.look()
    assert seen.hosts[newest.id].image is not None, "and it is asked for again"


def test_a_host_that_has_registered_is_found_in_the_next_look() -> None:
    stage = set_stage(GroupSet(hosts=2))
    eye = observer(stage)
    eye.look()
    stage.sim.scaling.set_desired("web", 3, "a person")
    stage.sim.sleep(200)
    assert sum(host.serves for host in eye.look().hosts.values()) == 3


def test_a_registration_that_outlived_its_marked_instance_is_a_ghost() -> None:
    stage = set_stage(GroupSet(hosts=3))
    eye = observer(stage)
    eye.look()
    (gone,) = drain(stage, 0)
    stage.sim.conditions.instances_without_agent.add(gone)
    stage.sim.sleep(60)
    eye.look()
    container = stage.sim.clusters.by_instance[gone]
    stage.sim.compute.terminate(gone)
    stage.sim.sleep(240)
    if container.status == "INACTIVE":
        pytest.skip("ECS has deregistered it by itself")
    assert [ghost.id for ghost in eye.look().ghosts] == [gone]


def test_a_foreign_zombie_is_not_ours_to_bury() -> None:
    stage = set_stage(GroupSet(hosts=3))
    eye = observer(stage)
    (gone,) = drain(stage, 0, mark=None)
    stage.sim.conditions.instances_without_agent.add(gone)
    stage.sim.sleep(60)
    stage.sim.compute.terminate(gone)
    stage.sim.sleep(240)
    assert eye.look().ghosts == ()


# Never a partial one -------------------------------------------------------------------------------------------------

FAILED = {
    "container instances at the first look": ("DescribeContainerInstances", "containerInstances", 1),
    "container instances later": ("DescribeContainerInstances", "containerInstances", 2),
    "services at the first look": ("DescribeServices", "services", 1),
    "tasks at the first look": ("DescribeTasks", "tasks", 1),
    "tasks of a drained host": ("DescribeTasks", "tasks", 2),
    "services of a drained host": ("DescribeServices", "services", 2),
}


@pytest.mark.parametrize(("operation", "member", "look"), FAILED.values(), ids=FAILED)
def test_what_ecs_could_not_describe_leaves_no_picture(operation: str, member: str, look: int) -> None:
    stage = set_stage(GroupSet(hosts=2), services=(API,))
    eye = observer(stage)
    if look == 2:
        eye.look()
        drain(stage, 0)

    def partly(said: dict[str, Any]) -> dict[str, Any]:
        first, *rest = said[member]
        arn = next(value for key, value in first.items() if key.lower().endswith("arn"))
        return {**said, member: rest, "failures": [{"arn": arn, "reason": "INTERNAL"}]}

    with answering(stage, operation, partly), pytest.raises(EcsrollError, match="INTERNAL"):
        eye.look()


@pytest.mark.parametrize("look", [1, 2])
def test_what_has_gone_since_it_was_listed_is_left_out(look: int) -> None:
    stage = set_stage(GroupSet(hosts=3), services=(API,))
    eye = observer(stage)
    if look == 2:
        eye.look()

    def missing(said: dict[str, Any]) -> dict[str, Any]:
        first, *rest = said["containerInstances"]
        failure = {"arn": first["containerInstanceArn"], "reason": "MISSING"}
        return {**said, "containerInstances": rest, "failures": [failure]}

    with answering(stage, "DescribeContainerInstances", missing):
        seen = eye.look()
    assert sorted(host.arn is None for host in seen.hosts.values()) == [False, False, True]


@pytest.mark.parametrize("operation", ["DescribeAutoScalingGroups", "ListContainerInstances", "DescribeInstances"])
def test_a_needed_reading_that_is_denied_is_an_error(operation: str) -> None:
    stage = set_stage(GroupSet(hosts=1))
    with denying(stage, operation), pytest.raises(AwsUnavailable, match=operation):
        observer(stage).look()


def test_a_group_that_is_deleted_meanwhile_is_not_found() -> None:
    stage = set_stage(GroupSet(hosts=1))
    eye = observer(stage)
    eye.look()
    del stage.sim.scaling.groups["web"]
    with pytest.raises(NotFound, match="the group web is gone"):
        eye.look()


OPTIONAL = {
    "target health": ("DescribeTargetHealth", "elbv2:describe_target_health"),
    "deregistration delays": ("DescribeTargetGroupAttributes", "elbv2:describe_target_group_attributes"),
}


@pytest.mark.parametrize(("operation", "subject"), OPTIONAL.values(), ids=OPTIONAL)
def test_an_optional_reading_that_fails_is_a_finding_and_said_once(operation: str, subject: str) -> None:
    stage = set_stage(GroupSet(hosts=2), services=(API,))
    eye = observer(stage)
    eye.look()
    drain(stage, 0)
    with denying(stage, operation):
        for _ in range(3):
            stage.sim.sleep(15)
            eye.look()
    (finding,) = eye.findings.values()
    assert (finding.code, finding.severity, finding.subject) == ("EC190", "warning", subject)
    assert operation in finding.measured


def test_target_groups_that_can_not_be_read_are_not_in_the_picture() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(API,))
    eye = observer(stage)
    eye.look()
    drain(stage, 0)
    with denying(stage, "DescribeTargetHealth"):
        seen = eye.look()
    assert seen.targets == {}


# Tasks ---------------------------------------------------------------------------------------------------------------


def test_tasks_of_a_drained_host_are_followed_until_they_have_really_stopped() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(API, LOGS))
    eye = observer(stage)
    eye.look()
    (drained,) = drain(stage, 0)
    told: list[set[str]] = []
    for _ in range(20):
        stage.sim.sleep(15)
        seen = eye.look()
        told.append({task.last_status for task in seen.on(seen.hosts[drained]) if not task.daemon})
    assert "RUNNING" in told[0]
    assert told[-1] <= {"STOPPED"}


def test_protection_is_read_for_tasks_on_drained_hosts() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(ServiceSet(name="worker", count=4),))
    protect_a_task(stage, 30)
    eye = observer(stage)
    eye.look()
    assert calls(stage)["GetTaskProtection"] == 0, "nobody is drained"
    drain(stage, 0, 1)
    stage.sim.sleep(5)
    seen = eye.look()
    protected = [task for tasks in seen.tasks.values() for task in tasks if task.protected_until]
    assert len(protected) == 1


def test_protection_that_can_not_be_read_is_a_finding() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(ServiceSet(name="worker", count=4),))
    eye = observer(stage)
    eye.look()
    drain(stage, 0)
    with denying(stage, "GetTaskProtection"):
        stage.sim.sleep(15)
        eye.look()
    assert [finding.subject for finding in eye.findings.values()] == ["ecs:get_task_protection"]


def test_the_last_look_reads_one_host_afresh() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(API,))
    eye = observer(stage)
    seen = eye.look()
    host = next(iter(seen.hosts.values()))
    calls(stage)
    assert host.arn is not None
    assert {task.arn for task in eye.tasks_now(host.arn)} == {task.arn for task in seen.on(host)}
    made = calls(stage)
    assert (made["ListTasks"], made["DescribeTasks"]) == (2, 1)
    found = eye.container_now(host.id)
    assert found is not None
    assert found["containerInstanceArn"] == host.arn
    assert eye.container_now("i-0123456789abcdef0") is None


def test_who_only_wants_to_know_images_reads_no_task() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(API,))
    eye = observer(stage, tasks=False)
    eye.look()
    eye.look()
    assert not {"ListTasks", "DescribeTasks"} & calls(stage).keys()


# Only what can have changed ------------------------------------------------------------------------------------------


@cache
def three_hundred() -> Stage:
    """300 hosts with two tasks each, and as many again of a daemon."""
    services = (ServiceSet(name="api", count=300), ServiceSet(name="web", count=300), LOGS)
    return set_stage(GroupSet(hosts=300, age=0, spare=10), services=services)


def test_a_calm_round_of_300_hosts_asks_for_little() -> None:
    stage = three_hundred()
    eye = observer(stage)
    eye.look()
    first = calls(stage)
    assert first["DescribeTasks"] == 9
    for _ in range(3):
        stage.sim.sleep(15)
        calls(stage)
        eye.look()
        later = calls(stage)
        assert later.total() <= 6, later
        assert not {"DescribeTasks", "ListTasks", "DescribeInstances"} & later.keys()


def test_a_round_with_one_drain_asks_for_that_host_only() -> None:
    stage = three_hundred()
    eye = observer(stage)
    eye.look()
    (drained,) = drain(stage, 7)
    arn = stage.sim.clusters.by_instance[drained].arn
    asked: set[str] = set()
    stage.sim.door.calls.clear()
    for _ in range(3):
        stage.sim.sleep(15)
        eye.look()
        asked |= {call.params["containerInstance"] for call in stage.sim.door.calls if call.operation == "ListTasks"}
        assert calls(stage).total() <= 6 + 1 + 1 + 3 + 2
    assert asked == {arn}
    stage.sim.clusters.set_status(stage.sim.clusters.by_instance[drained], "ACTIVE")


def test_a_host_that_boots_is_looked_for_by_its_id() -> None:
    stage = three_hundred()
    eye = observer(stage)
    before = eye.look()
    stage.sim.scaling.set_desired("web", 301, "a person")
    seen = before
    for _ in range(12):
        stage.sim.sleep(15)
        seen = eye.look()
    (new,) = seen.hosts.keys() - before.hosts.keys()
    assert seen.hosts[new].serves
    filters = [
        call.params["filter"]
        for call in stage.sim.door.calls
        if call.operation == "ListContainerInstances" and "ec2InstanceId" in call.params.get("filter", "")
    ]
    assert filters
    assert all(new in said for said in filters)


def test_a_lost_agent_is_seen_without_reading_every_host() -> None:
    stage = three_hundred()
    eye = observer(stage)
    eye.look()
    lost = hosts_of(stage)[11].instance.id
    stage.sim.conditions.instances_without_agent.add(lost)
    stage.sim.sleep(60)
    calls(stage)
    seen = eye.look()
    assert not seen.hosts[lost].connected
    assert calls(stage)["DescribeContainerInstances"] == 1
    stage.sim.conditions.instances_without_agent.clear()
    stage.sim.sleep(60)
    assert eye.look().hosts[lost].connected, "and it is seen when it is back"


# A roll that is taken over


@pytest.mark.parametrize(
    ("short", "watched"),
    [({}, {"api": 4}), ({"api": 3}, {})],
    ids=["it was whole when the roll began", "it was short then"],
)
def test_services_that_are_short_are_watched_by_whoever_takes_a_roll_over(
    short: dict[str, int], watched: dict[str, int]
) -> None:
    stage = set_stage(GroupSet(hosts=3), services=(API,))
    eye = observer(stage)
    before = Baseline(short=short)
    eye.records.write_roll(Roll(epoch=1, began=stage.sim.now(), groups=("web",), images={}, policy={}, before=before))
    api = stage.sim.clusters.find(stage.cluster).services["api"]
    stage.sim.tasks.exits(next(iter(api.healthy)), 1)
    assert dict(eye.look().moved) == watched


# What others do to the groups of a roll


def under_way(stage: Stage) -> Observer:
    """An observer of a roll that has written its page."""
    eye = observer(stage)
    eye.records.write_roll(Roll(epoch=1, began=stage.sim.now(), groups=("web",), images={}, policy={}))
    eye.records.write_ledger(Ledger(group="web", epoch=1, began=stage.sim.now(), ready=3, old=3, uneven=0))
    return eye


def test_an_instance_refresh_is_seen_as_soon_as_it_takes_a_host() -> None:
    stage = set_stage(GroupSet(hosts=3))
    eye = under_way(stage)
    assert not eye.look().groups["web"].refresh
    assert not eye.look().groups["web"].refresh
    made = stage.sim.scaling.refreshes.start(group_of(stage), {"MinHealthyPercentage": 50}, {})
    stage.sim.sleep(20)
    assert eye.look().groups["web"].refresh == made.id
    stage.sim.scaling.refreshes.cancel(group_of(stage))
    stage.sim.sleep(30)
    assert not eye.look().groups["web"].refresh


def test_refreshes_are_asked_for_once_as_long_as_nobody_takes_a_host() -> None:
    stage = set_stage(GroupSet(hosts=3))
    eye = under_way(stage)
    for _ in range(20):
        stage.sim.sleep(15)
        eye.look()
    assert calls(stage)["DescribeInstanceRefreshes"] == 1


def test_without_the_right_to_see_refreshes_the_roll_goes_on_and_says_so() -> None:
    stage = set_stage(GroupSet(hosts=3))
    with denying(stage, "DescribeInstanceRefreshes"):
        eye = under_way(stage)
        assert not eye.look().groups["web"].refresh
    assert [finding.code for finding in eye.findings.values()] == ["EC190"]


def test_a_group_that_is_being_deleted_is_gone_from_the_picture() -> None:
    stage = set_stage(GroupSet(hosts=3), GroupSet(name="api", hosts=2))
    eye = under_way(stage)
    assert set(eye.look().groups) == {"web"}
    stage.sim.scaling.delete("web", force=True)
    seen = eye.look()
    assert (seen.groups, seen.hosts, list(seen.ledgers)) == ({}, {}, ["web"])
    assert observer(stage).look().groups == {}, "another life sees the same"


def test_a_group_that_goes_before_the_roll_has_begun_is_not_found() -> None:
    stage = set_stage(GroupSet(hosts=3))
    eye = observer(stage)
    eye.look()
    stage.sim.scaling.delete("web", force=True)
    with pytest.raises(NotFound, match="web is gone"):
        eye.look()
