"""The terrain: what is read once before a roll, from the same answers that AWS gives; failed readings are findings."""

from datetime import timedelta
from typing import Any

import pytest

from ecsroll.aws import Aws
from ecsroll.explore import explore
from ecsroll.facts import activity_facts, definition_facts, host_facts, service_facts
from ecsroll.observe import Observer
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from ecsroll.terrain import Terrain
from tests.console import denying
from tests.deeds import overridden
from tests.rolls import carry_out, stage_of
from tests.scenarios import API, LOGS, WORKER, group_of, hosts_of, policy, protect_a_task, run_a_task


def terrain_of(stage: Stage, *groups: str) -> Terrain:
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster, groups)
    return explore(aws, observer, observer.look())


@pytest.fixture(scope="module")
def calm() -> tuple[Stage, Terrain]:
    stage = stage_of(GroupSet(hosts=3), services=(API, WORKER, LOGS))
    return stage, terrain_of(stage)


def test_hosts_have_their_room_their_attributes_and_their_agent(calm: tuple[Stage, Terrain]) -> None:
    stage, terrain = calm
    for truth in hosts_of(stage):
        host = terrain.hosts[truth.arn]
        assert (host.id, host.group, host.type, host.zone) == (truth.instance.id, "web", "m5.large", truth.zone)
        assert (host.registered.cpu, host.registered.memory) == (truth.cpu, truth.memory)
        assert (host.remaining.cpu, host.remaining.memory) == (truth.free_cpu, truth.free_memory)
        assert set(truth.ports) == host.remaining.ports - host.registered.ports
        assert host.attributes["ecs.ami-id"] == truth.instance.image_id
        assert host.agent == truth.agent_version
        assert host.launched_at is not None
        assert host.registered_at is not None
        assert timedelta(0) < host.registered_at - host.launched_at < timedelta(minutes=2)


def test_types_of_hosts_and_of_what_the_group_launches_are_known(calm: tuple[Stage, Terrain]) -> None:
    _, terrain = calm
    assert terrain.groups["web"].types == ("m5.large",)
    known = terrain.types["m5.large"]
    assert (known.cpu, known.memory, known.interfaces, known.gpus) == (2048, 8192, 3, 0)
    assert known.architectures == ("x86_64",)


def test_tasks_have_their_host_their_definition_and_their_times(calm: tuple[Stage, Terrain]) -> None:
    stage, terrain = calm
    truth = stage.sim.tasks.all
    assert set(terrain.tasks) == set(truth)
    for arn, task in terrain.tasks.items():
        host = truth[arn].host
        assert host is not None
        assert task.host == host.arn
        assert task.definition in terrain.definitions
        assert task.created is not None
        assert task.started is not None
        assert task.created < task.started
    assert sum(len(tasks) for tasks in terrain.by_host().values()) == len(truth)
    assert {task.service for task in terrain.tasks.values() if task.daemon} == {"logs"}


def test_services_have_their_bounds_and_their_events(calm: tuple[Stage, Terrain]) -> None:
    stage, terrain = calm
    api = terrain.services["api"]
    assert (api.lower, api.upper) == (6, 12)
    assert api.controller == "ECS"
    assert not api.elsewhere
    assert "steady state" in api.events[0].message
    assert api.target_groups == tuple(stage.sim.balancer.groups)


def test_a_target_group_has_its_delay_and_its_checks(calm: tuple[Stage, Terrain]) -> None:
    _, terrain = calm
    (group,) = terrain.target_groups.values()
    assert group.name == "api-targets"
    assert group.deregistration_delay == timedelta(seconds=API.deregistration_delay)
    assert (group.interval, group.healthy_threshold) == (timedelta(seconds=30), 5)
    assert list(group.targets.values()) == ["healthy"] * API.count
    assert {name for name, _ in group.targets} <= {host.id for host in terrain.hosts.values()}


def test_activities_say_how_long_launches_took(calm: tuple[Stage, Terrain]) -> None:
    _, terrain = calm
    launches = [activity for activity in terrain.groups["web"].activities if activity.kind == "launch"]
    assert len(launches) == 3
    for launch in launches:
        assert launch.instance in {host.id for host in terrain.hosts.values()}
        assert launch.took is not None
        assert timedelta(seconds=5) < launch.took < timedelta(minutes=1)


def test_nothing_was_missing_and_nothing_was_changed() -> None:
    stage = stage_of(GroupSet(hosts=3, managed_draining=True), services=(API, LOGS))
    terrain = terrain_of(stage)
    assert terrain.findings == ()
    assert [call for call in stage.sim.door.calls if call.changes] == []
    provider, (hook,) = terrain.groups["web"].provider, terrain.groups["web"].hooks
    assert provider is not None
    assert provider.managed_draining
    assert not hook.launching


REFERENCES = ("number", "$Latest", "$Default", "mixed", "parameter", "public", "configuration")


@pytest.mark.parametrize("reference", REFERENCES)
def test_what_a_group_launches_is_read_however_it_says_it(reference: Any) -> None:
    stage = stage_of(GroupSet(hosts=1, reference=reference), quick=True)
    (template,) = terrain_of(stage).groups["web"].templates
    assert template.data["InstanceType"] == "m5.large"
    assert template.data["ImageId"].startswith(("ami-", "resolve:ssm:"))


def test_types_that_are_chosen_by_requirements_are_not_known_beforehand() -> None:
    stage = stage_of(GroupSet(hosts=1), quick=True)
    overridden({"InstanceRequirements": {"VCpuCount": {"Min": 2}}}, InstanceType="t3.small")(stage)
    assert terrain_of(stage).groups["web"].types == ()
    overridden({"InstanceType": "m5.large"}, {"InstanceType": "m5.xlarge"})(stage)
    assert terrain_of(stage).groups["web"].types == ("m5.large", "m5.xlarge")


def test_standalone_and_protected_tasks_are_told_apart() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    run_a_task(stage, 3600)
    protect_a_task(stage, 30)
    terrain = terrain_of(stage)
    (batch,) = [task for task in terrain.tasks.values() if task.standalone]
    assert batch.host == hosts_of(stage)[-1].arn
    (protected,) = [task for task in terrain.tasks.values() if task.protected_until]
    assert protected.service == "worker"
    assert protected.protected_until is not None
    assert protected.protected_until - terrain.at == timedelta(minutes=30)


def test_what_others_have_in_store_for_a_group_is_read() -> None:
    stage = stage_of(GroupSet(hosts=2), quick=True)
    autoscaling = stage.sim.client("autoscaling")
    autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName="web", ScheduledActionName="night", DesiredCapacity=1, Recurrence="0 22 * * *"
    )
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="web", MaxInstanceLifetime=604800)
    autoscaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])
    autoscaling.put_warm_pool(AutoScalingGroupName="web", MinSize=1)
    stage.sim.sleep(120)
    autoscaling.start_instance_refresh(AutoScalingGroupName="web")
    group = terrain_of(stage).groups["web"]
    assert [action["ScheduledActionName"] for action in group.scheduled] == ["night"]
    assert group.max_lifetime == timedelta(days=7)
    assert "User suspended" in group.suspended["Launch"]
    assert group.warm_pool is not None
    assert group.warm_pool.hosts == {}, "nothing is launched while Launch is suspended"
    (refresh,) = group.refreshes
    assert refresh.active


def test_a_warm_pool_tells_which_images_lie_in_it() -> None:
    stage = stage_of(GroupSet(hosts=1), quick=True)
    stage.sim.client("autoscaling").put_warm_pool(AutoScalingGroupName="web", MinSize=2, MaxGroupPreparedCapacity=2)
    stage.sim.sleep(120)
    pool = terrain_of(stage).groups["web"].warm_pool
    assert pool is not None
    assert set(pool.images) == set(pool.hosts)
    assert set(pool.images.values()) == {stage.old_image["web"]}


def test_failed_launches_are_among_the_activities_with_their_message() -> None:
    stage = stage_of(GroupSet(hosts=1), quick=True)
    stage.sim.conditions.launch_fails = "You have requested more vCPU capacity than your current vCPU limit allows"
    stage.sim.scaling.set_desired("web", 2)
    stage.sim.sleep(60)
    failed = [each for each in terrain_of(stage).groups["web"].activities if each.status == "Failed"]
    assert failed
    assert "vCPU" in failed[0].message
    assert failed[0].took is None


def test_an_earlier_roll_is_in_the_history_with_the_time_that_it_took() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    told = carry_out(stage, policy())
    (past,) = terrain_of(stage).history
    assert past.roll.result == "done"
    assert past.roll.replaced == 2
    took = told.steps[-1].round.seen.at - told.steps[0].round.seen.at
    assert abs(past.took - took) < timedelta(seconds=30)


def test_tasks_that_stopped_of_late_tell_how_long_it_took() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    carry_out(stage, policy())
    stopped = [task for task in terrain_of(stage).tasks.values() if task.last_status == "STOPPED"]
    assert stopped
    assert all(task.stopping and task.stopped and task.stopping < task.stopped for task in stopped)


OPTIONAL = (
    "DescribeInstanceTypes",
    "DescribeTaskDefinition",
    "DescribeTargetGroups",
    "DescribeTargetGroupAttributes",
    "DescribeTargetHealth",
    "GetTaskProtection",
    "DescribeScalingActivities",
    "DescribeInstanceRefreshes",
    "DescribeScheduledActions",
    "DescribeLifecycleHooks",
)


@pytest.mark.parametrize("operation", OPTIONAL)
def test_a_reading_that_is_denied_is_a_finding_and_no_more(operation: str) -> None:
    stage = stage_of(GroupSet(hosts=1), services=(ServiceSet(name="api", count=1, balanced=True),))
    with denying(stage, operation):
        terrain = terrain_of(stage)
    (finding,) = terrain.findings
    assert finding.code == "EC190"
    assert operation in finding.measured
    assert terrain.groups["web"].name == "web"
    assert len(terrain.tasks) == 1


def test_hosts_of_groups_outside_the_roll_are_part_of_the_ground() -> None:
    stage = stage_of(GroupSet(hosts=1), GroupSet(name="batch", hosts=2), quick=True)
    terrain = terrain_of(stage, "web")
    assert [host.group for host in terrain.of("web")] == ["web"]
    assert len(terrain.hosts) == 3
    assert {host.type for host in terrain.hosts.values()} == {"m5.large"}
    assert set(terrain.groups) == {"web"}
    assert group_of(stage, "batch").name not in {host.group for host in terrain.hosts.values()}


# Answers ---------------------------------------------------------------------------------------------------------


def test_a_definition_takes_what_its_task_or_else_its_containers_say() -> None:
    containers = [
        {"name": "a", "cpu": 128, "memory": 512, "memoryReservation": 256, "stopTimeout": 90},
        {"name": "b", "cpu": 64, "memory": 128, "essential": False, "healthCheck": {"interval": 5}},
    ]
    said: dict[str, Any] = {"taskDefinitionArn": "arn:td/x:1", "family": "x", "containerDefinitions": containers}
    by_containers = definition_facts(said)
    assert (by_containers.cpu, by_containers.memory) == (192, 384)
    assert by_containers.stop_timeout == timedelta(seconds=90)
    assert by_containers.check is None, "a check of a container that is not essential condemns nobody"
    by_task = definition_facts({**said, "cpu": "1024", "memory": "2048"})
    assert (by_task.cpu, by_task.memory) == (1024, 2048)


PORTS = [
    pytest.param("bridge", {"containerPort": 80, "hostPort": 0}, set(), id="port 0 is picked by the agent"),
    pytest.param("bridge", {"containerPort": 80, "hostPort": 8080}, {(8080, "tcp")}, id="a host port is fixed"),
    pytest.param("host", {"containerPort": 53, "protocol": "udp"}, {(53, "udp")}, id="on the host's network all are"),
    pytest.param("awsvpc", {"containerPort": 80, "hostPort": 80}, set(), id="a task with its own address takes none"),
]


@pytest.mark.parametrize(("network", "mapping", "fixed"), PORTS)
def test_host_ports(network: str, mapping: dict[str, Any], fixed: set[tuple[int, str]]) -> None:
    containers = [{"name": "a", "portMappings": [mapping]}]
    said = {"taskDefinitionArn": "a", "networkMode": network, "containerDefinitions": containers}
    assert definition_facts(said).ports == fixed


VOLUMES = [
    pytest.param({"host": {"sourcePath": "/data"}}, ("host", "/data"), id="a path of the host is lost with it"),
    pytest.param({"host": {}}, ("empty", ""), id="one without a path ends with its task"),
    pytest.param({"dockerVolumeConfiguration": {"driver": "rexray/ebs"}}, ("docker", "rexray/ebs"), id="a driver's"),
    pytest.param({"efsVolumeConfiguration": {"fileSystemId": "fs-1"}}, ("efs", ""), id="EFS is everywhere"),
    pytest.param({"fsxWindowsFileServerVolumeConfiguration": {}}, ("fsx", ""), id="FSx is, too"),
    pytest.param({"configuredAtLaunch": True}, ("launch", ""), id="EBS at launch is in one zone"),
]


@pytest.mark.parametrize(("said", "expected"), VOLUMES)
def test_volumes(said: dict[str, Any], expected: tuple[str, str]) -> None:
    (volume,) = definition_facts(
        {"taskDefinitionArn": "a", "containerDefinitions": [], "volumes": [{"name": "v", **said}]}
    ).volumes
    assert (volume.kind, volume.path) == expected


def test_an_answer_that_says_next_to_nothing_can_be_read() -> None:
    assert service_facts({"serviceName": "x", "serviceArn": "arn:x"}).upper == 0
    host = host_facts({"containerInstanceArn": "arn:ci"}, {}, None)
    assert (host.type, host.registered.gpus, host.managed) == ("", 0, False)


SETS = (
    {"status": "ACTIVE", "taskDefinition": "app:8", "launchType": "EC2"},
    {
        "status": "PRIMARY",
        "taskDefinition": "app:7",
        "launchType": "FARGATE",
        "loadBalancers": [{"targetGroupArn": "arn:tg"}],
    },
)


def test_a_service_with_task_sets_is_what_its_primary_one_says() -> None:
    said = {"serviceName": "x", "serviceArn": "arn:x", "deploymentController": {"type": "EXTERNAL"}, "taskSets": SETS}
    service = service_facts(said)
    assert (service.definition, service.target_groups) == ("app:7", ("arn:tg",))
    assert service.elsewhere
    assert not service_facts({**said, "taskSets": SETS[:1]}).elsewhere


@pytest.mark.parametrize("kind", ["FARGATE", "EXTERNAL", "MANAGED_INSTANCES"])
def test_tasks_of_these_launch_types_need_no_host_of_a_group(kind: str) -> None:
    assert service_facts({"serviceName": "x", "serviceArn": "arn:x", "launchType": kind}).elsewhere


def test_a_machine_outside_aws_is_told_by_its_capability() -> None:
    said = {"containerInstanceArn": "a", "ec2InstanceId": "mi-01", "attributes": [{"name": "ecs.capability.external"}]}
    host = host_facts(said, {}, None)
    assert (host.managed, host.outside) == (True, True)


def test_gpus_are_counted_by_their_ids() -> None:
    resources = [{"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-1", "GPU-2"]}]
    said = {"containerInstanceArn": "a", "registeredResources": resources}
    assert host_facts(said, {}, None).registered.gpus == 2


def test_an_activity_that_is_neither_launch_nor_termination_is_other() -> None:
    said = {"Description": "Moving EC2 instance to Standby: i-0a", "StartTime": None}
    assert (activity_facts(said).kind, activity_facts(said).instance) == ("other", "i-0a")
