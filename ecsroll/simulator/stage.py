"""Sets a stage: a cluster with its groups and services, made by the same AWS calls that a user would make."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ecsroll.simulator import Simulation
from ecsroll.simulator.images import LINUX
from ecsroll.simulator.world import World

__all__ = ["GroupSet", "ServiceSet", "Stage", "set_stage"]

Reference = Literal["number", "$Latest", "$Default", "mixed", "parameter", "public", "configuration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSet:
    """One Auto Scaling group of the stage.

    ``age``: how many releases its image is behind the newest. ``reference``: how it says what it launches.
    """

    name: str = "web"
    hosts: int = 3
    spare: int = 3
    zones: int = 3
    family: str = "amazon-linux-2023"
    age: int = 2
    instance_type: str = "m5.large"
    reference: Reference = "number"
    managed_scaling: bool = False
    termination_protection: bool = False
    managed_draining: bool = False

    @property
    def provided(self) -> bool:
        """Whether a capacity provider stands on it."""
        return self.managed_scaling or self.termination_protection or self.managed_draining


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSet:
    """One service of the stage."""

    name: str
    count: int = 2
    cpu: int = 256
    memory: int = 256
    min_percent: int = 100
    max_percent: int = 200
    daemon: bool = False
    balanced: bool = False
    swapped: bool = False
    """Deployed blue/green by ECS itself, an odd number of times: its tasks are in the alternate target group."""
    deregistration_delay: int = 30
    port: int = 0
    gpus: int = 0
    awsvpc: bool = False
    """Each task with a network interface of its own."""
    stop_timeout: int = 10
    strategy: tuple[tuple[str, str], ...] = ()
    constraints: tuple[str, ...] = ()
    """``distinctInstance``, or the expression of a ``memberOf``."""


@dataclass(slots=True)
class Stage:
    """What was set up: the simulation, the cluster's name, the images before and now."""

    sim: Simulation
    cluster: str
    groups: tuple[GroupSet, ...]
    services: tuple[ServiceSet, ...]
    old_image: dict[str, str] = field(default_factory=dict)
    new_image: dict[str, str] = field(default_factory=dict)


def set_stage(
    *groups: GroupSet,
    services: tuple[ServiceSet, ...] = (),
    cluster: str = "demo",
    seed: int = 0,
    strict: bool = True,
    world: World | None = None,
    simulation: Simulation | None = None,
) -> Stage:
    """Make it all, and let time pass until everything is steady."""
    sim = simulation or Simulation(world or World(seed=seed), strict=strict)
    stage = Stage(sim, cluster, groups, services)
    latency, sim.door.latency = sim.door.latency, 0.0
    sim.client("ecs").create_cluster(clusterName=cluster)
    for group in groups:
        _make_group(stage, group)
    _make_providers(stage)
    _settle(stage, lambda: _registered(stage) >= sum(group.hosts for group in groups))
    # Daemons first: a host that is full already has no room for one.
    for daemon in (True, False):
        for service in services:
            if service.daemon is daemon:
                _make_service(stage, service)
        _settle(stage, lambda: _steady(stage))
    for group in groups:
        sim.images.recommend(LINUX + group.family, stage.new_image[group.name])
    sim.door.latency = latency
    sim.door.calls.clear()
    return stage


def _make_group(stage: Stage, group: GroupSet) -> None:
    sim = stage.sim
    releases = sim.images.releases(LINUX + group.family)
    old, new = releases[-1 - group.age], releases[-1]
    stage.old_image[group.name], stage.new_image[group.name] = old.id, new.id
    zones = [f"{sim.world.region}{letter}" for letter in "abcdef"[: group.zones]]
    sim.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=group.name,
        MinSize=0,
        MaxSize=group.hosts + group.spare,
        DesiredCapacity=group.hosts,
        AvailabilityZones=zones,
        NewInstancesProtectedFromScaleIn=group.termination_protection,
        **_launch(stage, group, old.id),
    )


def _launch(stage: Stage, group: GroupSet, image: str) -> dict[str, Any]:
    """One of the ways in which a group says what it launches."""
    script = f"#!/bin/sh\necho ECS_CLUSTER={stage.cluster} >> /etc/ecs/ecs.config\n"
    if group.reference == "configuration":
        name = f"{group.name}-v1"
        # botocore encodes the user data of a launch configuration by itself, and that of a template not.
        stage.sim.client("autoscaling").create_launch_configuration(
            LaunchConfigurationName=name, ImageId=image, InstanceType=group.instance_type, UserData=script
        )
        return {"LaunchConfigurationName": name}
    data = {"InstanceType": group.instance_type, "UserData": base64.b64encode(script.encode()).decode()}
    template = stage.sim.client("ec2").create_launch_template(
        LaunchTemplateName=f"{group.name}-template",
        LaunchTemplateData={**data, "ImageId": _image_word(stage, group, image)},
    )["LaunchTemplate"]["LaunchTemplateId"]
    spec = {"LaunchTemplateId": template, "Version": group.reference if group.reference.startswith("$") else "1"}
    if group.reference == "mixed":
        return {
            "MixedInstancesPolicy": {
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": spec,
                    "Overrides": [{"InstanceType": group.instance_type}],
                }
            }
        }
    return {"LaunchTemplate": spec}


def _image_word(stage: Stage, group: GroupSet, image: str) -> str:
    if group.reference == "public":
        path = f"{LINUX}{group.family}"
        stage.sim.images.recommend(path, image)
        return f"resolve:ssm:{path}/recommended/image_id"
    if group.reference != "parameter":
        return image
    name = f"/infrastructure/{group.name}/image"
    ssm = stage.sim.client("ssm")
    ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image")
    stage.sim.sleep(30)  # AWS validates an image's parameter late
    ssm.add_tags_to_resource(
        ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "ecsroll:group", "Value": group.name}]
    )
    return f"resolve:ssm:{name}"


def _make_providers(stage: Stage) -> None:
    names = []
    for group in stage.groups:
        if group.provided:
            names.append(f"{group.name}-provider")
            stage.sim.client("ecs").create_capacity_provider(
                name=names[-1], autoScalingGroupProvider=_provider(stage, group)
            )
    if names:
        stage.sim.client("ecs").put_cluster_capacity_providers(
            cluster=stage.cluster, capacityProviders=names, defaultCapacityProviderStrategy=[]
        )


def _provider(stage: Stage, group: GroupSet) -> dict[str, Any]:
    said = {True: "ENABLED", False: "DISABLED"}
    return {
        "autoScalingGroupArn": stage.sim.scaling.groups[group.name].arn,
        "managedScaling": {"status": said[group.managed_scaling], "targetCapacity": 100},
        "managedTerminationProtection": said[group.termination_protection],
        "managedDraining": said[group.managed_draining],
    }


def _make_service(stage: Stage, service: ServiceSet) -> None:
    ecs = stage.sim.client("ecs")
    container: dict[str, Any] = {
        "name": "app",
        "image": f"{service.name}:1",
        "essential": True,
        "stopTimeout": service.stop_timeout,
        "portMappings": [{"containerPort": 8080, "hostPort": service.port}] if service.balanced or service.port else [],
    }
    if service.gpus:
        container["resourceRequirements"] = [{"type": "GPU", "value": str(service.gpus)}]
    ecs.register_task_definition(
        family=service.name,
        containerDefinitions=[container],
        cpu=str(service.cpu),
        memory=str(service.memory),
        requiresCompatibilities=["EC2"],
        **({"networkMode": "awsvpc"} if service.awsvpc else {}),
    )
    ecs.create_service(
        cluster=stage.cluster, serviceName=service.name, taskDefinition=service.name, **_wanted(stage, service)
    )
    stage.sim.clusters.find(stage.cluster).services[service.name].swapped = service.swapped


def _wanted(stage: Stage, service: ServiceSet) -> dict[str, Any]:
    constraints = [
        {"type": "distinctInstance"} if said == "distinctInstance" else {"type": "memberOf", "expression": said}
        for said in service.constraints
    ]
    if service.daemon:
        return {"schedulingStrategy": "DAEMON", "launchType": "EC2", "placementConstraints": constraints}
    wanted: dict[str, Any] = {
        "desiredCount": service.count,
        "launchType": "EC2",
        "deploymentConfiguration": {
            "minimumHealthyPercent": service.min_percent,
            "maximumPercent": service.max_percent,
        },
        "placementConstraints": constraints,
        "placementStrategy": [{"type": kind, "field": name} for kind, name in service.strategy],
    }
    if service.awsvpc:
        wanted["networkConfiguration"] = {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}
    if service.balanced:
        arn = _make_target_group(stage, service, "targets")
        entry = {"targetGroupArn": arn, "containerName": "app", "containerPort": 8080}
        if service.swapped:
            other = _make_target_group(stage, service, "green")
            entry["advancedConfiguration"] = {"alternateTargetGroupArn": other}
        wanted["loadBalancers"] = [entry]
    return wanted


def _make_target_group(stage: Stage, service: ServiceSet, name: str) -> str:
    group = stage.sim.balancer.served_group(f"{service.name}-{name}")
    stage.sim.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=group.arn,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": str(service.deregistration_delay)}],
    )
    return group.arn


def _settle(stage: Stage, done: Callable[[], bool], *, limit: int = 1800) -> None:
    for _ in range(0, limit, 10):
        if done():
            return
        stage.sim.sleep(10)
    raise AssertionError("the stage never became steady: it is more than its hosts can carry")


def _registered(stage: Stage) -> int:
    cluster = stage.sim.clusters.find(stage.cluster)
    return sum(1 for host in cluster.registered if host.open)


def _steady(stage: Stage) -> bool:
    ecs = stage.sim.client("ecs")
    names = [service.name for service in stage.services]
    for start in range(0, len(names), 10):
        for said in ecs.describe_services(cluster=stage.cluster, services=names[start : start + 10])["services"]:
            deployed = all(entry.get("rolloutState") == "COMPLETED" for entry in said["deployments"])
            if not deployed or said["runningCount"] < said["desiredCount"] or said["pendingCount"]:
                return False
    return True
