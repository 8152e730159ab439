"""What AWS answers, read into our words: with everything there, with next to nothing there, with what nobody knows."""

from datetime import timedelta
from typing import Any

import pytest

from ecsroll.answers import (
    activity_of,
    group_of,
    host_of,
    launch_names,
    launches_by,
    parameter_in,
    provider_of,
    service_of,
    shrank,
    targets_of,
    task_of,
)
from ecsroll.ledger import JUST_NOW, Place
from ecsroll.model import Activity, CapacityProvider, Group, Host, Launches, Service, Targets, Task
from tests.builders import NOW, ago

# Groups

BARE_GROUP = {"AutoScalingGroupName": "web", "DesiredCapacity": 2, "MinSize": 1, "MaxSize": 4}


def test_a_group_whole() -> None:
    said = {
        **BARE_GROUP,
        "Instances": [{"InstanceId": "i-1"}, {"InstanceId": "i-2"}],
        "NewInstancesProtectedFromScaleIn": True,
        "SuspendedProcesses": [{"ProcessName": "AZRebalance", "SuspensionReason": "User suspended at …"}],
        "AvailabilityZones": ["a", "b"],
        "MixedInstancesPolicy": {},
        "Colour": "green",
    }
    assert group_of(said, termination_hook=True) == Group(
        name="web",
        desired=2,
        min=1,
        max=4,
        hosts=("i-1", "i-2"),
        protects_new=True,
        suspended=frozenset({"AZRebalance"}),
        zones=("a", "b"),
        mixed=True,
        termination_hook=True,
    )


def test_a_group_with_next_to_nothing() -> None:
    assert group_of(BARE_GROUP) == Group(name="web", desired=2, min=1, max=4, hosts=())


# Hosts

MEMBER = {
    "InstanceId": "i-1",
    "AvailabilityZone": "a",
    "LifecycleState": "InService",
    "HealthStatus": "Unhealthy",
    "ProtectedFromScaleIn": True,
    "LaunchTemplate": {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "web", "Version": "3"},
}
MACHINE = {"InstanceId": "i-1", "ImageId": "ami-1", "LaunchTime": ago(5)}
CONTAINER = {
    "containerInstanceArn": "arn:ci",
    "status": "DRAINING",
    "agentConnected": True,
    "runningTasksCount": 3,
    "pendingTasksCount": 1,
    "attributes": [
        {"name": "ecs.ami-id", "value": "ami-agent"},
        {"name": "ecsroll.drain", "value": "1:x"},
        {"name": "ecs.capability.x"},
    ],
}


def test_a_host_from_three_answers() -> None:
    assert host_of("web", MEMBER, MACHINE, CONTAINER) == Host(
        id="i-1",
        group="web",
        zone="a",
        lifecycle="InService",
        image="ami-1",
        launched_at=ago(5),
        health="Unhealthy",
        protected=True,
        template="lt-1",
        version="3",
        arn="arn:ci",
        status="DRAINING",
        connected=True,
        tasks=4,
        drain_mark="1:x",
    )


def test_a_host_that_neither_ec2_nor_ecs_knows_yet() -> None:
    one = host_of("web", {"InstanceId": "i-1", "LifecycleState": "Pending"}, None, None)
    assert (one.image, one.arn, one.status, one.connected, one.tasks) == (None, None, None, False, 0)
    assert one.launched_at == JUST_NOW
    assert one.health == "Healthy"


def test_a_host_that_ec2_does_not_know_has_the_image_that_its_agent_says() -> None:
    assert host_of("web", MEMBER, None, CONTAINER).image == "ami-agent"


@pytest.mark.parametrize("version", ["$Latest", "$Default", None])
def test_a_host_whose_template_version_is_not_told_as_a_number(version: str | None) -> None:
    member = {"InstanceId": "i-1", "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": version}}
    assert host_of("web", member, None, None).version is None


def test_a_host_of_a_launch_configuration() -> None:
    one = host_of("web", {"InstanceId": "i-1", "LaunchConfigurationName": "lc-1"}, None, None)
    assert (one.template, one.version, one.configuration) == (None, None, "lc-1")


def test_what_is_no_member_any_more_counts_as_terminated() -> None:
    one = host_of("", {"InstanceId": "i-1"}, MACHINE, CONTAINER)
    assert one.lifecycle == "Terminated"
    assert one.leaving
    assert not one.live


STATES = {
    "Pending": (True, False),
    "Pending:Wait": (True, False),
    "Pending:Proceed": (True, False),
    "InService": (True, False),
    "Standby": (False, False),
    "EnteringStandby": (False, False),
    "Warmed:Stopped": (False, False),
    "Warmed:Pending": (False, False),
    "Detaching": (False, True),
    "Terminating": (False, True),
    "Terminating:Wait": (False, True),
    "Terminated": (False, True),
}


@pytest.mark.parametrize(("state", "expected"), STATES.items())
def test_which_hosts_a_group_counts(state: str, expected: tuple[bool, bool]) -> None:
    one = host_of("web", {**MEMBER, "LifecycleState": state}, MACHINE, CONTAINER)
    assert (one.live, one.leaving) == expected


# Tasks

TASK: dict[str, Any] = {"taskArn": "arn:task/1"}

TASKS: dict[str, tuple[dict[str, Any], str | None, bool]] = {
    "of a service, by its group": ({"group": "service:shop", "startedBy": "ecs-svc/1"}, "shop", False),
    "of a daemon": ({"group": "service:logs"}, "logs", True),
    "of a task set of CodeDeploy: the scheduler started it": (
        {"group": "shop", "startedBy": "ecs-svc/2"},
        "shop",
        False,
    ),
    "the scheduler started it, its group is not said": ({"startedBy": "ecs-svc/3"}, "ecs-svc/3", False),
    "standalone, by the family": ({"group": "family:job"}, None, False),
    "standalone, started by somebody": ({"group": "family:job", "startedBy": "cron"}, None, False),
    "standalone, nothing is said": ({}, None, False),
}


@pytest.mark.parametrize(("said", "service", "daemon"), TASKS.values(), ids=TASKS)
def test_whose_task_it_is(said: dict[str, Any], service: str | None, *, daemon: bool) -> None:
    one = task_of({**TASK, **said}, frozenset({"logs"}), None)
    assert (one.service, one.daemon) == (service, daemon)


def test_a_task_whole() -> None:
    said = {
        **TASK,
        "containerInstanceArn": "arn:ci",
        "taskDefinitionArn": "arn:td",
        "lastStatus": "RUNNING",
        "desiredStatus": "STOPPED",
        "healthStatus": "HEALTHY",
        "stoppingAt": ago(1),
        "group": "service:shop",
        "attachments": [
            {"type": "Service Connect"},
            {"details": [{"name": "subnetId", "value": "s-1"}, {"name": "privateIPv4Address", "value": "10.0.0.7"}]},
        ],
    }
    assert task_of(said, frozenset(), ago(-5)) == Task(
        arn="arn:task/1",
        host="arn:ci",
        definition="arn:td",
        last_status="RUNNING",
        desired_status="STOPPED",
        service="shop",
        healthy=True,
        protected_until=ago(-5),
        stopping_at=ago(1),
        address="10.0.0.7",
    )


@pytest.mark.parametrize(
    ("status", "health", "expected"),
    [
        ("RUNNING", "HEALTHY", True),
        ("RUNNING", "UNKNOWN", True),
        ("RUNNING", "UNHEALTHY", False),
        ("PENDING", "UNKNOWN", False),
        ("DEACTIVATING", "HEALTHY", False),
    ],
)
def test_a_healthy_task_runs_and_is_not_called_unhealthy(status: str, health: str, *, expected: bool) -> None:
    assert task_of({**TASK, "lastStatus": status, "healthStatus": health}, frozenset(), None).healthy is expected


def test_a_task_with_next_to_nothing_is_starting() -> None:
    one = task_of(TASK, frozenset(), None)
    assert (one.last_status, one.desired_status, one.healthy, one.address) == ("PENDING", "RUNNING", False, None)
    assert not one.stopped


# Services

BARE_SERVICE = {"serviceName": "shop", "serviceArn": "arn:shop"}


def test_a_service_whole() -> None:
    said = {
        **BARE_SERVICE,
        "schedulingStrategy": "REPLICA",
        "desiredCount": 5,
        "runningCount": 4,
        "pendingCount": 1,
        "deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 150},
        "deployments": [
            {"status": "ACTIVE", "rolloutState": "FAILED"},
            {"status": "PRIMARY", "rolloutState": "IN_PROGRESS"},
        ],
        "loadBalancers": [{"targetGroupArn": "tg-1"}, {"loadBalancerName": "classic"}],
        "taskSets": [{"loadBalancers": [{"targetGroupArn": "tg-2"}]}, {}],
        "placementConstraints": [
            {"type": "distinctInstance"},
            {"type": "memberOf", "expression": "attribute:x !exists"},
        ],
        "events": [{"message": "older", "createdAt": ago(9)}, {"message": "newest", "createdAt": ago(1)}, {"id": "a"}],
    }
    assert service_of(said) == Service(
        name="shop",
        arn="arn:shop",
        daemon=False,
        desired=5,
        running=4,
        pending=1,
        min_percent=50,
        max_percent=150,
        deployments=2,
        rollout="IN_PROGRESS",
        target_groups=("tg-1", "tg-2"),
        constraints=("attribute:x !exists",),
        last_event="newest",
    )


def test_a_service_with_next_to_nothing_has_the_defaults_of_aws() -> None:
    one = service_of(BARE_SERVICE)
    assert one == Service(name="shop", arn="arn:shop", daemon=False, desired=0, running=0, pending=0)
    assert (one.min_percent, one.max_percent, one.deployments, one.rollout) == (100, 200, 1, "COMPLETED")


def test_a_daemon_with_next_to_nothing_has_its_own() -> None:
    one = service_of({**BARE_SERVICE, "schedulingStrategy": "DAEMON"})
    assert (one.daemon, one.min_percent, one.max_percent) == (True, 0, 100)


FLOORS = {(4, 50): 2, (3, 50): 2, (1, 100): 1, (1, 1): 1, (5, 0): 0, (0, 100): 0}


@pytest.mark.parametrize(("wanted", "floor"), FLOORS.items())
def test_the_floor_of_a_service_is_rounded_up(wanted: tuple[int, int], floor: int) -> None:
    bounds = {"minimumHealthyPercent": wanted[1]}
    assert service_of({**BARE_SERVICE, "desiredCount": wanted[0], "deploymentConfiguration": bounds}).floor == floor


# Targets


def test_targets_by_state_and_who_is_registered() -> None:
    said = {
        "TargetHealthDescriptions": [
            {"Target": {"Id": "i-1", "Port": 80}, "TargetHealth": {"State": "healthy"}},
            {"Target": {"Id": "i-1", "Port": 81}, "TargetHealth": {"State": "healthy"}},
            {"Target": {"Id": "10.0.0.7"}, "TargetHealth": {"State": "draining"}},
            {"Target": {"Id": "i-3"}},
        ]
    }
    assert targets_of(said, timedelta(seconds=30)) == Targets(
        states={"healthy": 2, "draining": 1, "unavailable": 1},
        registered=frozenset({"i-1", "10.0.0.7", "i-3"}),
        deregistration_delay=timedelta(seconds=30),
        of={"i-1": ("healthy", "healthy"), "10.0.0.7": ("draining",), "i-3": ("unavailable",)},
    )
    assert targets_of({}, timedelta(0)) == Targets(states={}, deregistration_delay=timedelta(0))


# Activities

SHRANK = (
    "At 2026-11-22T02:59:00Z instance i-0abc was taken out of service in response to a user request, "
    "shrinking the capacity from 5 to 4."
)
REPLACED = "At 2026-11-22T02:59:00Z instance i-0abc was taken out of service in response to a user request."


def test_a_failed_launch() -> None:
    said = {
        "StatusCode": "Failed",
        "Cause": "an instance was started",
        "StatusMessage": "no capacity",
        "StartTime": NOW,
        "Description": "Launching a new EC2 instance.  Status Reason: no capacity",
    }
    assert activity_of(said) == Activity(
        status="Failed", cause="an instance was started", message="no capacity", at=NOW
    )


@pytest.mark.parametrize(("cause", "expected"), [(SHRANK, True), (REPLACED, False), ("", False)])
def test_which_termination_lowered_what_the_group_wants(cause: str, *, expected: bool) -> None:
    said = {"StartTime": NOW, "Cause": cause, "Description": "Terminating EC2 instance: i-0abc"}
    assert shrank(activity_of(said)) is expected
    assert activity_of(said).instance == "i-0abc"
    assert activity_of(said).message == cause


def test_an_activity_with_next_to_nothing() -> None:
    assert activity_of({"StartTime": NOW}) == Activity(status="", cause="", message="", at=NOW)


# Capacity providers

PROVIDERS: dict[str, tuple[dict[str, Any], tuple[bool, bool, bool]]] = {
    "nothing is managed": ({}, (False, False, False)),
    "no group behind it (managed instances)": ({"managedInstancesProvider": {}}, (False, False, False)),
    "scaling": ({"autoScalingGroupProvider": {"managedScaling": {"status": "ENABLED"}}}, (True, False, False)),
    "all of it": (
        {
            "autoScalingGroupProvider": {
                "managedScaling": {"status": "ENABLED"},
                "managedTerminationProtection": "ENABLED",
                "managedDraining": "ENABLED",
            }
        },
        (True, True, True),
    ),
    "none of it": (
        {
            "autoScalingGroupProvider": {
                "managedScaling": {"status": "DISABLED"},
                "managedTerminationProtection": "DISABLED",
                "managedDraining": "DISABLED",
            }
        },
        (False, False, False),
    ),
}


@pytest.mark.parametrize(("said", "expected"), PROVIDERS.values(), ids=PROVIDERS)
def test_what_a_capacity_provider_manages(said: dict[str, Any], expected: tuple[bool, bool, bool]) -> None:
    scaling, protection, draining = expected
    assert provider_of({"name": "cp", **said}) == CapacityProvider(
        name="cp", managed_scaling=scaling, termination_protection=protection, managed_draining=draining
    )


# What a group launches

SPEC = {"LaunchTemplateId": "lt-1", "Version": "$Latest"}
ARM = {"LaunchTemplateId": "lt-arm", "Version": "4"}


def mixed(*overrides: dict[str, Any], spec: dict[str, Any] | None = SPEC) -> dict[str, Any]:
    base = {"LaunchTemplateSpecification": spec} if spec else {}
    return {"MixedInstancesPolicy": {"LaunchTemplate": {**base, "Overrides": list(overrides)}}}


NAMES: dict[str, tuple[dict[str, Any], tuple[dict[str, Any], ...], str | None]] = {
    "a launch template": ({"LaunchTemplate": SPEC}, (SPEC,), None),
    "a launch configuration": ({"LaunchConfigurationName": "lc"}, (), "lc"),
    "nothing": ({}, (), None),
    "mixed, of one template": (mixed({"InstanceType": "m7i.large"}), (SPEC,), None),
    "mixed, an override names its own": (mixed({"LaunchTemplateSpecification": ARM}), (SPEC, ARM), None),
    "mixed, two overrides name the same": (
        mixed({"LaunchTemplateSpecification": ARM}, {"LaunchTemplateSpecification": ARM}),
        (SPEC, ARM),
        None,
    ),
    "mixed, an override names the policy's again": (mixed({"LaunchTemplateSpecification": SPEC}), (SPEC,), None),
    "mixed, and only overrides name one": (mixed({"LaunchTemplateSpecification": ARM}, spec=None), (ARM,), None),
    "mixed, and nothing in it": ({"MixedInstancesPolicy": {}}, (), None),
}


@pytest.mark.parametrize(("said", "specs", "configuration"), NAMES.values(), ids=NAMES)
def test_what_a_group_names(said: dict[str, Any], specs: tuple[dict[str, Any], ...], configuration: str | None) -> None:
    assert launch_names(said) == (specs, configuration)


PARAMETERS = {
    "ami-1": None,
    "": None,
    "resolve:ssm:/ecsroll/web": "/ecsroll/web",
    "resolve:ssm:/aws/x:5": "/aws/x:5",
    "resolve:other": None,
}


@pytest.mark.parametrize(("image", "expected"), PARAMETERS.items())
def test_the_parameter_behind_an_image(image: str, expected: str | None) -> None:
    assert parameter_in(image) == expected


def version(image: str | None) -> dict[str, Any]:
    data = {"ImageId": image} if image else {}
    return {"LaunchTemplateId": "lt-1", "VersionNumber": 7, "LaunchTemplateData": data}


LAUNCHES: dict[str, tuple[str | None, str | None, str | None, Place, str | None, str | None]] = {
    "a fixed image": ("ami-1", None, None, Place.TEMPLATE, "ami-1", None),
    "no image at all": (None, None, None, Place.TEMPLATE, None, None),
    "a parameter tagged for this group": ("resolve:ssm:/p", "ami-2", "web", Place.PARAMETER, "ami-2", "/p"),
    "a parameter tagged for another group": ("resolve:ssm:/p", "ami-2", "api", Place.PUBLIC, "ami-2", "/p"),
    "a parameter that nobody tagged": ("resolve:ssm:/p", "ami-2", None, Place.PUBLIC, "ami-2", "/p"),
    "a parameter that can not be read": ("resolve:ssm:/p", None, None, Place.PUBLIC, None, "/p"),
}


@pytest.mark.parametrize(("said", "value", "owner", "place", "image", "parameter"), LAUNCHES.values(), ids=LAUNCHES)
def test_what_a_template_means(
    said: str | None, value: str | None, owner: str | None, place: Place, image: str | None, parameter: str | None
) -> None:
    assert launches_by(SPEC, version(said), value, owner, "web") == Launches(
        place=place, name="lt-1", spec="$Latest", version="7", image=image, parameter=parameter
    )


def test_a_template_named_without_a_version_is_the_default_one() -> None:
    assert launches_by({"LaunchTemplateId": "lt-1"}, version("ami-1"), None, None, "web").spec == "$Default"
