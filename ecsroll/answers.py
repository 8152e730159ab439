"""What AWS answers, read into our words: pure, tolerant of members that it does not know."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ecsroll.ledger import JUST_NOW, Place
from ecsroll.model import Activity, CapacityProvider, Group, Host, Launches, Service, Targets, Task

__all__ = [
    "DRAIN_ATTRIBUTE",
    "activity_of",
    "group_of",
    "host_of",
    "launch_names",
    "launches_by",
    "parameter_in",
    "provider_of",
    "service_of",
    "shrank",
    "targets_of",
    "task_of",
]

Answer = Mapping[str, Any]

DRAIN_ATTRIBUTE = "ecsroll.drain"


def group_of(said: Answer, **more: Any) -> Group:
    """A group as DescribeAutoScalingGroups shows it."""
    return Group(
        name=said["AutoScalingGroupName"],
        desired=said["DesiredCapacity"],
        min=said["MinSize"],
        max=said["MaxSize"],
        hosts=tuple(member["InstanceId"] for member in said.get("Instances", ())),
        protects_new=said.get("NewInstancesProtectedFromScaleIn", False),
        suspended=frozenset(entry["ProcessName"] for entry in said.get("SuspendedProcesses", ())),
        zones=tuple(said.get("AvailabilityZones", ())),
        mixed="MixedInstancesPolicy" in said,
        **more,
    )


def host_of(group: str, member: Answer, machine: Answer | None, container: Answer | None) -> Host:
    """A host from the group's member, the EC2 instance and the container instance; the last two may be missing."""
    template = member.get("LaunchTemplate") or {}
    container = container or {}
    machine = machine or {}
    attributes = {entry["name"]: entry.get("value") for entry in container.get("attributes", ())}
    return Host(
        id=member["InstanceId"],
        group=group,
        zone=member.get("AvailabilityZone", ""),
        lifecycle=member.get("LifecycleState", "Terminated"),
        image=machine.get("ImageId") or attributes.get("ecs.ami-id"),
        launched_at=machine.get("LaunchTime") or container.get("registeredAt") or JUST_NOW,
        health=member.get("HealthStatus", "Healthy"),
        protected=member.get("ProtectedFromScaleIn", False),
        template=template.get("LaunchTemplateId"),
        version=_number(template.get("Version")),
        configuration=member.get("LaunchConfigurationName"),
        arn=container.get("containerInstanceArn"),
        status=container.get("status"),
        connected=container.get("agentConnected", False),
        tasks=container.get("runningTasksCount", 0) + container.get("pendingTasksCount", 0),
        drain_mark=attributes.get(DRAIN_ATTRIBUTE),
    )


def _number(version: str | None) -> str | None:
    """A host came from a version with a number. Who answers ``$Latest`` tells what the group asks for, not that."""
    return None if version is None or version.startswith("$") else version


def task_of(said: Answer, daemons: frozenset[str], protected_until: datetime | None) -> Task:
    """A task as DescribeTasks shows it.

    Standalone tasks are those whose group does not start with ``service:`` and that no service scheduler started
    (facts 3.2).
    """
    group = said.get("group", "")
    service = group.removeprefix("service:") if group.startswith("service:") else None
    if service is None and said.get("startedBy", "").startswith("ecs-svc/"):
        service = group or said["startedBy"]
    return Task(
        arn=said["taskArn"],
        host=said.get("containerInstanceArn", ""),
        definition=said.get("taskDefinitionArn", ""),
        last_status=said.get("lastStatus", "PENDING"),
        desired_status=said.get("desiredStatus", "RUNNING"),
        service=service,
        daemon=service in daemons,
        healthy=said.get("lastStatus") == "RUNNING" and said.get("healthStatus") != "UNHEALTHY",
        protected_until=protected_until,
        stopping_at=said.get("stoppingAt"),
        address=_address(said),
    )


def _address(said: Answer) -> str | None:
    for attachment in said.get("attachments", ()):
        for detail in attachment.get("details", ()):
            if detail.get("name") == "privateIPv4Address":
                return str(detail["value"])
    return None


def service_of(said: Answer) -> Service:
    """A service as DescribeServices shows it."""
    bounds = said.get("deploymentConfiguration") or {}
    daemon = said.get("schedulingStrategy") == "DAEMON"
    deployments = said.get("deployments", ())
    primary: Answer = next((entry for entry in deployments if entry.get("status") == "PRIMARY"), {})
    balancers = [*said.get("loadBalancers", ()), *_of_task_sets(said)]
    return Service(
        name=said["serviceName"],
        arn=said["serviceArn"],
        daemon=daemon,
        desired=said.get("desiredCount", 0),
        running=said.get("runningCount", 0),
        pending=said.get("pendingCount", 0),
        min_percent=bounds.get("minimumHealthyPercent", 0 if daemon else 100),
        max_percent=bounds.get("maximumPercent", 100 if daemon else 200),
        deployments=len(deployments) or 1,
        rollout=primary.get("rolloutState", "COMPLETED"),
        target_groups=tuple(entry["targetGroupArn"] for entry in balancers if entry.get("targetGroupArn")),
        alternates=alternates_of(balancers),
        constraints=tuple(
            entry.get("expression", "")
            for entry in said.get("placementConstraints", ())
            if entry.get("type") == "memberOf"
        ),
        last_event=_newest(said.get("events", ())),
    )


def alternates_of(balancers: Iterable[Answer]) -> dict[str, str]:
    """Target group -> its alternate. Which of the two has the tasks is told nowhere: a deployment swaps them."""
    pairs = (
        (said.get("targetGroupArn"), (said.get("advancedConfiguration") or {}).get("alternateTargetGroupArn"))
        for said in balancers
    )
    return {one: other for one, other in pairs if one and other}


def _newest(events: Sequence[Answer]) -> str:
    """What the last of a service's events says: no order of theirs is promised."""
    known = [event for event in events if "createdAt" in event and "message" in event]
    return str(max(known, key=lambda event: event["createdAt"])["message"]) if known else ""


def _of_task_sets(said: Answer) -> Iterable[Answer]:
    return [entry for task_set in said.get("taskSets", ()) for entry in task_set.get("loadBalancers", ())]


def targets_of(said: Answer, delay: timedelta) -> Targets:
    """The health of a target group's targets. A draining target still has connections, so it is still registered."""
    states: dict[str, int] = {}
    for entry in said.get("TargetHealthDescriptions", ()):
        state = entry.get("TargetHealth", {}).get("State", "unavailable")
        states[state] = states.get(state, 0) + 1
    of: dict[str, tuple[str, ...]] = {}
    for entry in said.get("TargetHealthDescriptions", ()):
        target = entry["Target"]["Id"]
        of[target] = (*of.get(target, ()), entry.get("TargetHealth", {}).get("State", "unavailable"))
    return Targets(states=states, registered=frozenset(of), deregistration_delay=delay, of=of)


def together(pair: Sequence[Targets]) -> Targets:
    """The targets of one group, or of it and its alternate, as if they were one group."""
    states: dict[str, int] = {}
    of: dict[str, tuple[str, ...]] = {}
    for each in pair:
        states |= {state: states.get(state, 0) + count for state, count in each.states.items()}
        of |= {target: (*of.get(target, ()), *found) for target, found in each.of.items()}
    delay = max(each.deregistration_delay for each in pair)
    return Targets(states=states, registered=frozenset(of), deregistration_delay=delay, of=of)


def activity_of(said: Answer) -> Activity:
    """A scaling activity; the instance stands only in its description."""
    found = re.search(r"\bi-[0-9a-f]+", said.get("Description", ""))
    return Activity(
        status=said.get("StatusCode", ""),
        cause=said.get("Cause", ""),
        message=said.get("StatusMessage", "") or said.get("Cause", ""),
        at=said["StartTime"],
        instance=found.group() if found else None,
    )


def shrank(activity: Activity) -> bool:
    """Whether the activity took a host away at a user's request and lowered DesiredCapacity by it (facts 5.1)."""
    return "in response to a user request, shrinking the capacity" in activity.cause


def provider_of(said: Answer) -> CapacityProvider:
    """A capacity provider of an Auto Scaling group."""
    group = said.get("autoScalingGroupProvider", {})
    return CapacityProvider(
        name=said["name"],
        managed_scaling=group.get("managedScaling", {}).get("status") == "ENABLED",
        termination_protection=group.get("managedTerminationProtection") == "ENABLED",
        managed_draining=group.get("managedDraining", "DISABLED") == "ENABLED",
    )


def launch_names(said: Answer) -> tuple[tuple[Answer, ...], str | None]:
    """The launch template specifications that a group names (overrides may name their own), or a configuration."""
    if said.get("LaunchConfigurationName"):
        return (), said["LaunchConfigurationName"]
    if said.get("LaunchTemplate"):
        return (said["LaunchTemplate"],), None
    mixed = said.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    specs = [mixed["LaunchTemplateSpecification"]] if "LaunchTemplateSpecification" in mixed else []
    own = (
        entry["LaunchTemplateSpecification"]
        for entry in mixed.get("Overrides", ())
        if "LaunchTemplateSpecification" in entry
    )
    seen = {spec.get("LaunchTemplateId") for spec in specs}
    for spec in own:
        if spec.get("LaunchTemplateId") not in seen:
            seen.add(spec.get("LaunchTemplateId"))
            specs.append(spec)
    return tuple(specs), None


def parameter_in(image: str) -> str | None:
    """The parameter behind ``resolve:ssm:``, with its version or label if one is named."""
    return image.removeprefix("resolve:ssm:") if image.startswith("resolve:ssm:") else None


def launches_by(spec: Answer, version: Answer, value: str | None, owner: str | None, group: str) -> Launches:
    """What a template specification means now.

    ``value``: what its parameter resolves to; ``owner``: the parameter's ``ecsroll:group`` tag.
    """
    image = version.get("LaunchTemplateData", {}).get("ImageId")
    parameter = parameter_in(image or "")
    place = Place.TEMPLATE if parameter is None else Place.PARAMETER if owner == group else Place.PUBLIC
    return Launches(
        place=place,
        name=version["LaunchTemplateId"],
        spec=spec.get("Version") or "$Default",
        version=str(version["VersionNumber"]),
        image=image if parameter is None else value,
        parameter=parameter,
    )
