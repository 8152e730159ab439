"""What AWS answers, read into the facts of the terrain: pure, tolerant of members that it does not know."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from ecsroll.answers import Answer, task_of
from ecsroll.terrain import (
    ActivityFacts,
    DefinitionFacts,
    HookFacts,
    HostFacts,
    Port,
    ProviderFacts,
    RefreshFacts,
    Resources,
    ServiceEvent,
    ServiceFacts,
    TargetGroupFacts,
    TaskFacts,
    TypeFacts,
    VolumeFacts,
)

__all__ = [
    "activity_facts",
    "definition_facts",
    "hook_facts",
    "host_facts",
    "provider_facts",
    "refresh_facts",
    "service_facts",
    "target_group_facts",
    "task_facts",
    "type_facts",
    "with_room",
]

UNSAID = Resources(cpu=1024 * 1024, memory=1024 * 4096, gpus=16)
"""The room of a host that nobody has told: what is not known is not what is short."""
MANY = 1000
"""Network interfaces of a type that does not say how many it has."""

CHECKED_EVERY, CHECK_RETRIES = 30, 3
"""A container health check's defaults (aws-facts 9)."""
STOPS_WITHIN = 30
"""Seconds: the agent's own stop timeout, where a container says nothing (aws-facts 3.6)."""


# Hosts -----------------------------------------------------------------------------------------------------------


def host_facts(said: Answer, machine: Answer, group: str | None) -> HostFacts:
    """A host from DescribeContainerInstances and DescribeInstances; the latter may be empty."""
    attributes = {entry["name"]: entry.get("value") for entry in said.get("attributes", ())}
    version = said.get("versionInfo") or {}
    instance = said.get("ec2InstanceId", "")
    return HostFacts(
        id=instance,
        arn=said["containerInstanceArn"],
        group=group,
        type=machine.get("InstanceType") or attributes.get("ecs.instance-type") or "",
        zone=machine.get("Placement", {}).get("AvailabilityZone") or attributes.get("ecs.availability-zone") or "",
        subnet=machine.get("SubnetId") or attributes.get("ecs.subnet-id") or "",
        image=machine.get("ImageId") or attributes.get("ecs.ami-id"),
        status=said.get("status", ""),
        connected=said.get("agentConnected", False),
        agent=version.get("agentVersion", ""),
        runtime=version.get("dockerVersion", ""),
        registered=_resources(said.get("registeredResources", ())),
        remaining=_resources(said.get("remainingResources", ())),
        attributes=attributes,
        registered_at=said.get("registeredAt"),
        launched_at=machine.get("LaunchTime"),
        provider=said.get("capacityProviderName"),
        managed="ecs.managed-instance" in attributes or instance.startswith("mi-"),
        outside="ecs.capability.external" in attributes,
        said=said,
        machine=machine,
    )


def with_room(host: HostFacts, types: Mapping[str, TypeFacts]) -> HostFacts:
    """The host with its type's room, where ECS did not say what it has registered."""
    if host.registered.cpu or host.registered.memory:
        return host
    kind = types.get(host.type)
    room = Resources(cpu=kind.cpu, memory=kind.usable, gpus=kind.gpus) if kind else UNSAID
    return replace(host, registered=room)


def _resources(said: Iterable[Answer]) -> Resources:
    by_name = {entry["name"]: entry for entry in said}
    ports = {
        (int(port), protocol)
        for name, protocol in (("PORTS", "tcp"), ("PORTS_UDP", "udp"))
        for port in by_name.get(name, {}).get("stringSetValue", ())
    }
    return Resources(
        cpu=by_name.get("CPU", {}).get("integerValue", 0),
        memory=by_name.get("MEMORY", {}).get("integerValue", 0),
        gpus=len(by_name.get("GPU", {}).get("stringSetValue", ())),
        ports=frozenset(ports),
    )


def type_facts(said: Answer) -> TypeFacts:
    """An instance type."""
    return TypeFacts(
        name=said["InstanceType"],
        cpu=1024 * said.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        memory=said.get("MemoryInfo", {}).get("SizeInMiB", 0),
        architectures=tuple(said.get("ProcessorInfo", {}).get("SupportedArchitectures", ())),
        interfaces=said.get("NetworkInfo", {}).get("MaximumNetworkInterfaces", MANY),
        gpus=sum(entry.get("Count", 0) for entry in said.get("GpuInfo", {}).get("Gpus", ())),
    )


# Work ------------------------------------------------------------------------------------------------------------


def definition_facts(said: Answer) -> DefinitionFacts:
    """A task definition. Whether the task or its containers say what they take, both are read (aws-facts 8.1)."""
    containers = said.get("containerDefinitions", ())
    network = said.get("networkMode") or "bridge"
    return DefinitionFacts(
        arn=said["taskDefinitionArn"],
        family=said.get("family", ""),
        revision=said.get("revision", 0),
        network=network,
        cpu=int(said.get("cpu") or sum(int(each.get("cpu") or 0) for each in containers)),
        memory=int(said.get("memory") or sum(map(_reserved, containers))),
        gpus=sum(map(_gpus, containers)),
        ports=frozenset(_fixed_ports(containers, network)),
        volumes=tuple(_volume(each) for each in said.get("volumes", ())),
        constraints=_members(said.get("placementConstraints", ())),
        requires=tuple(entry["name"] for entry in said.get("requiresAttributes", ()) if "name" in entry),
        stop_timeout=timedelta(seconds=max((each.get("stopTimeout", STOPS_WITHIN) for each in containers), default=0)),
        check=_check(containers),
        status=said.get("status", "ACTIVE"),
        said=said,
    )


def _reserved(container: Answer) -> int:
    return int(container.get("memoryReservation") or container.get("memory") or 0)


def _gpus(container: Answer) -> int:
    wanted = container.get("resourceRequirements", ())
    return sum(int(each["value"]) for each in wanted if each.get("type") == "GPU")


def _fixed_ports(containers: Iterable[Answer], network: str) -> Iterable[Port]:
    for mapping in (each for container in containers for each in container.get("portMappings", ())):
        port = mapping.get("hostPort") or (mapping.get("containerPort") if network == "host" else None)
        if port and network != "awsvpc":
            yield int(port), mapping.get("protocol", "tcp")


def _volume(said: Answer) -> VolumeFacts:
    name = said.get("name", "")
    if "efsVolumeConfiguration" in said:
        return VolumeFacts(name=name, kind="efs")
    if "fsxWindowsFileServerVolumeConfiguration" in said:
        return VolumeFacts(name=name, kind="fsx")
    if "dockerVolumeConfiguration" in said:
        return VolumeFacts(name=name, kind="docker", path=said["dockerVolumeConfiguration"].get("driver", "local"))
    if said.get("configuredAtLaunch"):
        return VolumeFacts(name=name, kind="launch")
    path = (said.get("host") or {}).get("sourcePath") or ""
    return VolumeFacts(name=name, kind="host" if path else "empty", path=path)


def _members(constraints: Iterable[Answer]) -> tuple[str, ...]:
    return tuple(entry.get("expression", "") for entry in constraints if entry.get("type") == "memberOf")


def _check(containers: Iterable[Answer]) -> timedelta | None:
    """The essential containers' health checks: the first result comes after one interval."""
    checks = [each["healthCheck"] for each in containers if each.get("healthCheck") and each.get("essential", True)]
    if not checks:
        return None
    return timedelta(seconds=max(check.get("interval", CHECKED_EVERY) for check in checks))


def task_facts(said: Answer, daemons: frozenset[str]) -> TaskFacts:
    """A task as DescribeTasks shows it."""
    task = task_of(said, daemons, None)
    return TaskFacts(
        arn=task.arn,
        host=task.host or None,
        definition=task.definition,
        service=task.service,
        daemon=task.daemon,
        last_status=task.last_status,
        desired_status=task.desired_status,
        group=said.get("group", ""),
        started_by=said.get("startedBy", ""),
        created=said.get("createdAt"),
        pull_started=said.get("pullStartedAt"),
        pull_stopped=said.get("pullStoppedAt"),
        started=said.get("startedAt"),
        stopping=said.get("stoppingAt"),
        execution_stopped=said.get("executionStoppedAt"),
        stopped=said.get("stoppedAt"),
        stop_code=said.get("stopCode", ""),
        said=said,
    )


def service_facts(said: Answer) -> ServiceFacts:
    """A service as DescribeServices shows it."""
    daemon = said.get("schedulingStrategy") == "DAEMON"
    bounds = said.get("deploymentConfiguration") or {}
    constraints = said.get("placementConstraints", ())
    sets = _task_sets(said)
    balancers = [each for one in (said, *sets) for each in one.get("loadBalancers", ())]
    # What runs is what its primary task set says; the service itself may say nothing of it (an EXTERNAL controller).
    said_by = (*sets, said)
    launched = next((one for one in said_by if one.get("launchType") or one.get("capacityProviderStrategy")), said)
    return ServiceFacts(
        name=said["serviceName"],
        arn=said["serviceArn"],
        daemon=daemon,
        definition=str(next((one["taskDefinition"] for one in said_by if one.get("taskDefinition")), "")),
        desired=said.get("desiredCount", 0),
        running=said.get("runningCount", 0),
        pending=said.get("pendingCount", 0),
        min_percent=bounds.get("minimumHealthyPercent", 0 if daemon else 100),
        max_percent=bounds.get("maximumPercent", 100 if daemon else 200),
        controller=(said.get("deploymentController") or {}).get("type", "ECS"),
        launch_type=launched.get("launchType"),
        providers=_providers(launched.get("capacityProviderStrategy", ())),
        strategies=tuple((entry["type"], entry.get("field", "")) for entry in said.get("placementStrategy", ())),
        distinct=any(entry.get("type") == "distinctInstance" for entry in constraints),
        members=_members(constraints),
        target_groups=_once(entry.get("targetGroupArn") for entry in balancers),
        classic=_once(entry.get("loadBalancerName") for entry in balancers),
        grace=timedelta(seconds=said.get("healthCheckGracePeriodSeconds") or 0),
        rebalances=said.get("availabilityZoneRebalancing") == "ENABLED",
        deployments=tuple(said.get("deployments", ())),
        task_sets=tuple(sets),
        events=tuple(_events(said)),
        created=said.get("createdAt"),
        said=said,
    )


def _providers(strategy: Sequence[Answer]) -> tuple[str, ...]:
    """Of a strategy; one that has neither a base nor a weight gets no tasks where others have."""
    used = [entry for entry in strategy if entry.get("weight") or entry.get("base")]
    return tuple(entry["capacityProvider"] for entry in used or strategy)


def _task_sets(said: Answer) -> list[Answer]:
    """The task sets of a service that CodeDeploy or somebody else deploys, the primary one first."""
    return sorted(said.get("taskSets", ()), key=lambda entry: entry.get("status") != "PRIMARY")


def _events(said: Answer) -> Iterable[ServiceEvent]:
    for each in said.get("events", ()):
        if "createdAt" in each and "message" in each:
            yield ServiceEvent(at=each["createdAt"], message=each["message"])


def _once(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def target_group_facts(said: Answer, attributes: Mapping[str, str], health: Answer) -> TargetGroupFacts:
    """A target group, with what DescribeTargetGroupAttributes and DescribeTargetHealth tell of it."""
    return TargetGroupFacts(
        arn=said["TargetGroupArn"],
        name=said.get("TargetGroupName", ""),
        kind=said.get("TargetType", "instance"),
        deregistration_delay=timedelta(seconds=int(attributes.get("deregistration_delay.timeout_seconds", 300))),
        interval=timedelta(seconds=said.get("HealthCheckIntervalSeconds", 30)),
        healthy_threshold=said.get("HealthyThresholdCount", 5),
        unhealthy_threshold=said.get("UnhealthyThresholdCount", 2),
        slow_start=timedelta(seconds=int(attributes.get("slow_start.duration_seconds", 0))),
        targets={
            (entry["Target"]["Id"], entry["Target"].get("Port", 0)): entry.get("TargetHealth", {}).get("State", "")
            for entry in health.get("TargetHealthDescriptions", ())
        },
        said=said,
    )


# Groups ----------------------------------------------------------------------------------------------------------


def activity_facts(said: Answer) -> ActivityFacts:
    """A scaling activity. What kind it is, and of which instance, stands in its description only."""
    description = said.get("Description", "")
    found = re.search(r"\bi-[0-9a-f]+", description)
    kind: Literal["launch", "termination", "other"] = "other"
    if description.startswith("Launching a new EC2 instance"):
        kind = "launch"
    elif description.startswith("Terminating EC2 instance"):
        kind = "termination"
    return ActivityFacts(
        kind=kind,
        status=said.get("StatusCode", ""),
        cause=said.get("Cause", ""),
        message=said.get("StatusMessage", ""),
        began=said["StartTime"],
        ended=said.get("EndTime"),
        instance=found.group() if found else None,
    )


def refresh_facts(said: Answer) -> RefreshFacts:
    """An instance refresh."""
    return RefreshFacts(
        id=said.get("InstanceRefreshId", ""),
        status=said.get("Status", ""),
        began=said.get("StartTime"),
        ended=said.get("EndTime"),
        percentage=said.get("PercentageComplete", 0),
        reason=said.get("StatusReason", ""),
    )


def hook_facts(said: Answer) -> HookFacts:
    """A lifecycle hook."""
    return HookFacts(
        name=said["LifecycleHookName"],
        launching=said.get("LifecycleTransition") == "autoscaling:EC2_INSTANCE_LAUNCHING",
        heartbeat=timedelta(seconds=said.get("HeartbeatTimeout", 3600)),
        default=said.get("DefaultResult", "ABANDON"),
    )


def provider_facts(said: Answer) -> ProviderFacts:
    """A capacity provider of an Auto Scaling group."""
    settings: Mapping[str, Any] = said.get("autoScalingGroupProvider", {})
    scaling = settings.get("managedScaling") or {}
    return ProviderFacts(
        name=said["name"],
        target=scaling.get("targetCapacity", 100),
        managed_scaling=scaling.get("status") == "ENABLED",
        termination_protection=settings.get("managedTerminationProtection") == "ENABLED",
        managed_draining=settings.get("managedDraining", "DISABLED") == "ENABLED",
        said=said,
    )
