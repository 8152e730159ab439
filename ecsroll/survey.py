"""The first look at a cluster: whether it can be rolled at all, which groups it has, everything that runs on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ecsroll.answers import Answer, provider_of
from ecsroll.aws import Aws, chunks
from ecsroll.errors import AwsRefusal, AwsUnavailable, EcsrollError, NotFound
from ecsroll.model import CapacityProvider

__all__ = ["Survey", "survey"]

TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the first look found, as AWS said it."""

    groups: tuple[str, ...]
    raw_groups: tuple[Answer, ...]
    others: tuple[Answer, ...]
    """Groups of the region outside this roll."""
    providers: Mapping[str, CapacityProvider]
    """By the group's ARN."""
    containers: tuple[Answer, ...]
    services: tuple[Answer, ...]
    tasks: tuple[Answer, ...]
    hooks: Mapping[str, tuple[Answer, ...] | None]
    """The lifecycle hooks of each group; None where they could not be read."""
    cluster: Answer
    raw_providers: tuple[Answer, ...]
    gone: bool = False
    """Whether the cluster was deleted under a roll: then there are only its groups, and what they have lent."""

    def may_wait(self, group: str) -> bool:
        """Whether a host of the group may wait in Terminating:Wait. Where nobody knows, it is waited for to pass."""
        hooks = self.hooks[group]
        return hooks is None or any(hook.get("LifecycleTransition") == TERMINATING for hook in hooks)


def survey(aws: Aws, cluster: str, asked: Sequence[str], *, noted: Sequence[str] = (), tasks: bool = True) -> Survey:
    """Look at the whole cluster.

    ``asked``: the groups to roll, or none for all of the cluster's. ``noted``: those of a roll that is under way: they
    belong to the cluster though none of their hosts may be registered at this moment, and may be gone, as the cluster
    may. Raises NotFound when there is nothing to roll: no such cluster or group, no EC2 hosts, only Fargate, only
    managed instances.
    """
    said = _cluster(aws, cluster)
    if said is None and not noted:
        hint = "aws ecs list-clusters shows the clusters of this account and region"
        raise NotFound(f"there is no ECS cluster {cluster!r} here", hint=hint)
    containers, providers, regional, services, work = _read(aws, cluster, said, tasks=tasks)
    members = _members(regional, containers, providers)
    members |= {group["AutoScalingGroupName"]: group for group in regional if group["AutoScalingGroupName"] in noted}
    if not members and not noted:
        raise _nothing_to_roll(cluster, containers, said or {})
    wanted = asked or noted
    there = [name for name in wanted if name in members or name not in noted]
    chosen = _chosen(cluster, there, members, regional) if there or not wanted else []
    return Survey(
        groups=tuple(chosen),
        raw_groups=tuple(group for group in regional if group["AutoScalingGroupName"] in chosen),
        others=tuple(group for group in regional if group["AutoScalingGroupName"] not in chosen),
        providers={group["autoScalingGroupProvider"]["autoScalingGroupArn"]: provider_of(group) for group in providers},
        containers=tuple(containers),
        services=tuple(services),
        tasks=tuple(work),
        hooks=dict(zip(chosen, aws.gather([partial(_hooks, aws, name) for name in chosen]), strict=True)),
        cluster=said or {},
        raw_providers=tuple(providers),
        gone=said is None,
    )


def _read(aws: Aws, cluster: str, said: Answer | None, *, tasks: bool) -> list[list[dict[str, Any]]]:
    """Container instances, capacity providers, groups, services, tasks: side by side, as most have a pace of their own.

    All of it is one picture, so what is placed or launched while it is read may be in one part and not in another: the
    next rounds read again whatever may matter.
    """
    if said is None:
        return [[], [], _regional(aws), [], []]
    return aws.gather(
        [
            partial(_containers, aws, cluster),
            partial(_providers, aws, said),
            partial(_regional, aws),
            partial(_services, aws, cluster),
            partial(_tasks, aws, cluster) if tasks else list,
        ]
    )


def _regional(aws: Aws) -> list[dict[str, Any]]:
    """Every group of the region but those that are being deleted."""
    listed = aws.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", MaxRecords=100)
    return [group for group in listed if not group.get("Status")]


def _cluster(aws: Aws, name: str) -> Answer | None:
    answer = aws.call("ecs", "describe_clusters", clusters=[name])
    found: list[Answer] = [said for said in answer.get("clusters", ()) if said.get("status") != "INACTIVE"]
    return found[0] if found else None


def _containers(aws: Aws, cluster: str) -> list[dict[str, Any]]:
    arns = aws.pages("ecs", "list_container_instances", "containerInstanceArns", cluster=cluster)
    return _described(aws, "describe_container_instances", "containerInstances", arns, 100, cluster=cluster)


def _services(aws: Aws, cluster: str) -> list[dict[str, Any]]:
    arns = aws.pages("ecs", "list_services", "serviceArns", cluster=cluster, maxResults=100)
    return _described(aws, "describe_services", "services", arns, 10, cluster=cluster)


def _tasks(aws: Aws, cluster: str) -> list[dict[str, Any]]:
    arns = aws.pages("ecs", "list_tasks", "taskArns", cluster=cluster)
    return _described(aws, "describe_tasks", "tasks", arns, 100, cluster=cluster)


def _described(
    aws: Aws, operation: str, member: str, arns: Sequence[str], size: int, **params: Any
) -> list[dict[str, Any]]:
    """Describe in batches, side by side. What has gone since it was listed is left out; any other failure raises."""
    calls = [partial(aws.call, "ecs", operation, **params, **{member: list(some)}) for some in chunks(arns, size)]
    found: list[dict[str, Any]] = []
    for answer in aws.gather(calls):
        found += answer.get(member, ())
        for failure in answer.get("failures", ()):
            if failure.get("reason") != "MISSING":
                raise EcsrollError(
                    f"ECS could not describe {failure.get('arn')}: {failure.get('reason')}",
                    hint="run the same command again",
                )
    return found


def _providers(aws: Aws, cluster: Answer) -> list[dict[str, Any]]:
    names = [name for name in cluster.get("capacityProviders", ()) if not name.startswith("FARGATE")]
    if not names:
        return []
    found: list[dict[str, Any]] = aws.pages(
        "ecs", "describe_capacity_providers", "capacityProviders", capacityProviders=names
    )
    return [said for said in found if "autoScalingGroupProvider" in said]


def _members(
    regional: Sequence[Answer], containers: Sequence[Answer], providers: Sequence[Answer]
) -> dict[str, Answer]:
    """The cluster's groups: those with a host in it, and those behind its capacity providers."""
    instances = {said.get("ec2InstanceId") for said in containers}
    arns = {said["autoScalingGroupProvider"]["autoScalingGroupArn"] for said in providers}
    return {
        group["AutoScalingGroupName"]: group
        for group in regional
        if group.get("AutoScalingGroupARN") in arns
        or any(member["InstanceId"] in instances for member in group.get("Instances", ()))
    }


def _nothing_to_roll(cluster: str, containers: Sequence[Answer], said: Answer) -> NotFound:
    providers = said.get("capacityProviders", [])
    if containers and all(_managed(entry) for entry in containers):
        hint = "AWS replaces them by itself, at the latest every 21 days"
        return NotFound(f"cluster {cluster!r} has only ECS managed instances", hint=hint)
    if containers:
        hint = "put the hosts into an Auto Scaling group: ecsroll replaces hosts through their group"
        return NotFound(f"none of the {len(containers)} host(s) of {cluster!r} is in an Auto Scaling group", hint=hint)
    if any(name.startswith("FARGATE") for name in providers) or said.get("runningTasksCount", 0):
        return NotFound(
            f"cluster {cluster!r} runs on Fargate only: it has no hosts", hint="there is nothing to replace"
        )
    hint = "check the region; hosts register when ECS_CLUSTER in their user data names the cluster"
    return NotFound(f"cluster {cluster!r} has no EC2 hosts", hint=hint)


def _managed(container: Answer) -> bool:
    attributes = {entry["name"]: entry.get("value") for entry in container.get("attributes", ())}
    return "ecs.managed-instance" in attributes or container.get("ec2InstanceId", "").startswith("mi-")


def _chosen(cluster: str, asked: Sequence[str], members: Mapping[str, Answer], regional: Sequence[Answer]) -> list[str]:
    """The groups to roll, in the order they were asked for, else by name."""
    there = {group["AutoScalingGroupName"] for group in regional}
    for name in asked:
        if name not in there:
            hint = f"groups of {cluster}: {', '.join(sorted(members))}"
            raise NotFound(f"there is no Auto Scaling group {name!r} here", hint=hint)
        if name not in members:
            hint = f"groups of {cluster}: {', '.join(sorted(members))}"
            raise NotFound(f"the group {name!r} has no hosts in cluster {cluster!r}", hint=hint)
    return list(dict.fromkeys(asked)) or sorted(members)


def _hooks(aws: Aws, group: str) -> tuple[Answer, ...] | None:
    try:
        answer = aws.call("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=group)
    except (AwsRefusal, AwsUnavailable):
        return None
    return tuple(answer.get("LifecycleHooks", ()))
