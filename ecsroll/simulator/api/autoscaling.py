"""EC2 Auto Scaling in botocore's member names."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.api.autoscaling_shapes import (
    show_activity,
    show_configuration,
    show_group,
    show_hook,
    show_member,
    show_member_with_group,
    show_pool,
    show_refresh,
    show_tag,
)
from ecsroll.simulator.api.pages import Pages
from ecsroll.simulator.door import answers
from ecsroll.simulator.groups import Activity, Group, Tag
from ecsroll.simulator.scaling import LAUNCH_MEMBERS, PROCESSES
from ecsroll.simulator.warm_pools import WarmPool
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

Params = dict[str, Any]

STORED = (
    "DefaultCooldown",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "TerminationPolicies",
    "TargetGroupARNs",
    "LoadBalancerNames",
    "PlacementGroup",
    "ServiceLinkedRoleARN",
    "MaxInstanceLifetime",
    "CapacityRebalance",
    "Context",
    "DesiredCapacityType",
    "DefaultInstanceWarmup",
    "InstanceMaintenancePolicy",
    "AvailabilityZoneDistribution",
    "TrafficSources",
)
"""Members of a group that are kept and shown."""


# groups


@answers("autoscaling", "CreateAutoScalingGroup")
def create_auto_scaling_group(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Make a group."""
    made = sim.scaling.create(
        params["AutoScalingGroupName"],
        minimum=params["MinSize"],
        maximum=params["MaxSize"],
        desired=params.get("DesiredCapacity"),
        launch=params,
        subnets=_subnets(params),
        zones=params.get("AvailabilityZones") or (),
        new_protected=params.get("NewInstancesProtectedFromScaleIn", False),
        tags=_tags(params.get("Tags") or ()),
    )
    _store(made, params)
    for hook in params.get("LifecycleHookSpecificationList") or ():
        _put_hook(sim, made.name, hook)
    return {}


def _subnets(params: Params) -> list[str]:
    return [subnet.strip() for subnet in params.get("VPCZoneIdentifier", "").split(",") if subnet.strip()]


def _tags(tags: Iterable[dict[str, Any]]) -> dict[str, Tag]:
    return {tag["Key"]: Tag(tag.get("Value", ""), tag.get("PropagateAtLaunch", False)) for tag in tags}


def _store(group: Group, params: Params) -> None:
    group.others.update({member: params[member] for member in STORED if member in params})


@answers("autoscaling", "UpdateAutoScalingGroup")
def update_auto_scaling_group(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Change a group: what is not named stays, the mixed instances policy too."""
    group = sim.scaling.update(
        params["AutoScalingGroupName"],
        minimum=params.get("MinSize"),
        maximum=params.get("MaxSize"),
        desired=params.get("DesiredCapacity"),
        new_protected=params.get("NewInstancesProtectedFromScaleIn"),
        launch={member: params[member] for member in LAUNCH_MEMBERS if params.get(member)},
    )
    subnets, zones = _subnets(params), params.get("AvailabilityZones") or ()
    if subnets or zones:
        sim.scaling.place(group, subnets, zones)
    _store(group, params)
    return {}


@answers("autoscaling", "DeleteAutoScalingGroup")
def delete_auto_scaling_group(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Delete a group."""
    sim.scaling.delete(params["AutoScalingGroupName"], force=params.get("ForceDelete", False))
    return {}


@answers("autoscaling", "DescribeAutoScalingGroups")
def describe_auto_scaling_groups(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Groups by name or tag; unknown names are left out in silence."""
    names = params.get("AutoScalingGroupNames")
    groups = sim.scaling.groups
    found = [groups[name] for name in names if name in groups] if names else list(groups.values())
    found = [group for group in found if _tagged(group, params.get("Filters") or ())]
    every = params.get("IncludeInstances", True)
    return {"AutoScalingGroups": Pages(found, lambda group: show_group(sim, group, instances=every))}


def _tagged(group: Group, filters: Iterable[dict[str, Any]]) -> bool:
    for wanted in filters:
        name, values = wanted["Name"], wanted["Values"]
        if name == "tag-key":
            passed = any(key in values for key in group.tags)
        elif name == "tag-value":
            passed = any(tag.value in values for tag in group.tags.values())
        elif name.startswith("tag:"):
            tag = group.tags.get(name.removeprefix("tag:"))
            passed = tag is not None and tag.value in values
        else:
            raise Refusal("ValidationError", f"Filter {name} is not supported.")
        if not passed:
            return False
    return True


@answers("autoscaling", "DescribeAutoScalingInstances")
def describe_auto_scaling_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Members of whatever group; unknown ids are left out in silence."""
    by_instance = sim.scaling.fleet.by_instance
    ids = params.get("InstanceIds") or list(by_instance)
    found = [instance_id for instance_id in ids if instance_id in by_instance]
    return {
        "AutoScalingInstances": Pages(
            found, lambda instance_id: show_member_with_group(by_instance[instance_id], instance_id)
        )
    }


# size


@answers("autoscaling", "SetDesiredCapacity")
def set_desired_capacity(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Ask for a size."""
    sim.scaling.set_desired(
        params["AutoScalingGroupName"],
        params["DesiredCapacity"],
        honor_cooldown=params.get("HonorCooldown", False),
    )
    return {}


@answers("autoscaling", "TerminateInstanceInAutoScalingGroup")
def terminate_instance_in_auto_scaling_group(sim: "Simulation", params: Params) -> dict[str, Any]:
    """End a member, with or without lowering desired."""
    if not params.get("InstanceId"):
        raise Refusal("ValidationError", "the simulated AWS terminates one instance a call")
    decrement = params["ShouldDecrementDesiredCapacity"]
    activity = sim.scaling.terminate_in_group(params["InstanceId"], decrement=decrement)
    return {"Activity": show_activity(sim, activity)}


@answers("autoscaling", "SetInstanceProtection")
def set_instance_protection(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Protect instances from scale-in, or no longer."""
    protected = params["ProtectedFromScaleIn"]
    sim.scaling.set_protection(params["AutoScalingGroupName"], params["InstanceIds"], protected)
    return {}


@answers("autoscaling", "SetInstanceHealth")
def set_instance_health(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Somebody else's health check."""
    if params["HealthStatus"] not in ("Healthy", "Unhealthy"):
        raise Refusal("ValidationError", "Valid values for HealthStatus are Healthy and Unhealthy")
    respect = params.get("ShouldRespectGracePeriod", True)
    sim.scaling.set_health(params["InstanceId"], params["HealthStatus"], respect_grace=respect)
    return {}


@answers("autoscaling", "DetachInstances")
def detach_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Let instances leave the group alive."""
    ids, decrement = params.get("InstanceIds") or (), params["ShouldDecrementDesiredCapacity"]
    activities = sim.scaling.detach(params["AutoScalingGroupName"], ids, decrement=decrement)
    return {"Activities": [show_activity(sim, activity) for activity in activities]}


@answers("autoscaling", "AttachInstances")
def attach_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Take running instances in."""
    sim.scaling.attach(params["AutoScalingGroupName"], params.get("InstanceIds") or ())
    return {}


@answers("autoscaling", "EnterStandby")
def enter_standby(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Let members rest."""
    ids, decrement = params.get("InstanceIds") or (), params["ShouldDecrementDesiredCapacity"]
    activities = sim.scaling.enter_standby(params["AutoScalingGroupName"], ids, decrement=decrement)
    return {"Activities": [show_activity(sim, activity) for activity in activities]}


@answers("autoscaling", "ExitStandby")
def exit_standby(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Take resting members back."""
    activities = sim.scaling.exit_standby(params["AutoScalingGroupName"], params.get("InstanceIds") or ())
    return {"Activities": [show_activity(sim, activity) for activity in activities]}


# processes


@answers("autoscaling", "SuspendProcesses")
def suspend_processes(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Suspend processes; none named means all."""
    sim.scaling.suspend(params["AutoScalingGroupName"], params.get("ScalingProcesses") or ())
    return {}


@answers("autoscaling", "ResumeProcesses")
def resume_processes(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Resume processes; none named means all."""
    sim.scaling.resume(params["AutoScalingGroupName"], params.get("ScalingProcesses") or ())
    return {}


@answers("autoscaling", "DescribeScalingProcessTypes")
def describe_scaling_process_types(sim: "Simulation", params: Params) -> dict[str, Any]:  # noqa: ARG001 - the same for all
    """What can be suspended."""
    return {"Processes": [{"ProcessName": process} for process in PROCESSES]}


# activities


@answers("autoscaling", "DescribeScalingActivities")
def describe_scaling_activities(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Six weeks of activities, newest first."""
    name, ids = params.get("AutoScalingGroupName"), set(params.get("ActivityIds") or ())
    groups = [sim.scaling.find(name)] if name else list(sim.scaling.groups.values())
    found: list[Activity] = []
    for group in groups:
        group.forget_old_activities(sim.world.time)
        found += group.activities if not ids else [each for each in group.activities if each.id in ids]
    if len(groups) > 1:
        found.sort(key=lambda activity: activity.start)
    return {"Activities": Pages(found[::-1], lambda activity: show_activity(sim, activity))}


# lifecycle hooks


@answers("autoscaling", "PutLifecycleHook")
def put_lifecycle_hook(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Make or change a hook."""
    _put_hook(sim, params["AutoScalingGroupName"], params)
    return {}


def _put_hook(sim: "Simulation", group: str, said: Params) -> None:
    others = {key: said[key] for key in ("RoleARN", "NotificationTargetARN", "NotificationMetadata") if key in said}
    heartbeat = said.get("HeartbeatTimeout")
    if heartbeat is not None and not 30 <= heartbeat <= 7200:
        raise Refusal("ValidationError", "HeartbeatTimeout must be between 30 and 7200 seconds.")
    sim.scaling.put_hook(
        group,
        said["LifecycleHookName"],
        said.get("LifecycleTransition"),
        heartbeat,
        said.get("DefaultResult"),
        **others,
    )


@answers("autoscaling", "DeleteLifecycleHook")
def delete_lifecycle_hook(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Delete a hook."""
    sim.scaling.delete_hook(params["AutoScalingGroupName"], params["LifecycleHookName"])
    return {}


@answers("autoscaling", "DescribeLifecycleHooks")
def describe_lifecycle_hooks(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The hooks of a group."""
    group = sim.scaling.find(params["AutoScalingGroupName"])
    names = params.get("LifecycleHookNames")
    return {
        "LifecycleHooks": [show_hook(group, hook) for hook in group.hooks.values() if not names or hook.name in names]
    }


@answers("autoscaling", "DescribeLifecycleHookTypes")
def describe_lifecycle_hook_types(sim: "Simulation", params: Params) -> dict[str, Any]:  # noqa: ARG001 - the same for all
    """The transitions that a hook can stand at."""
    return {"LifecycleHookTypes": ["autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"]}


@answers("autoscaling", "CompleteLifecycleAction")
def complete_lifecycle_action(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Let an instance go on."""
    group, hook = params["AutoScalingGroupName"], params["LifecycleHookName"]
    sim.scaling.complete_hook(group, hook, _waiting(sim, params), params["LifecycleActionResult"])
    return {}


@answers("autoscaling", "RecordLifecycleActionHeartbeat")
def record_lifecycle_action_heartbeat(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Let an instance wait on."""
    sim.scaling.heartbeat(params["AutoScalingGroupName"], params["LifecycleHookName"], _waiting(sim, params))
    return {}


def _waiting(sim: "Simulation", params: Params) -> str:
    if params.get("InstanceId"):
        return str(params["InstanceId"])
    if not params.get("LifecycleActionToken"):
        raise Refusal("ValidationError", "Either InstanceId or LifecycleActionToken must be provided.")
    return sim.scaling.waiting_instance(params["AutoScalingGroupName"], params["LifecycleActionToken"])


# launch configurations


@answers("autoscaling", "CreateLaunchConfiguration")
def create_launch_configuration(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Make a launch configuration."""
    data = {key: value for key, value in params.items() if key not in ("LaunchConfigurationName", "InstanceId")}
    if not data.get("ImageId") or not data.get("InstanceType"):
        raise Refusal(
            "ValidationError",
            "Valid requests must contain either the InstanceID parameter or both the ImageId and "
            "InstanceType parameters.",
        )
    sim.compute.templates.configure(params["LaunchConfigurationName"], data)
    return {}


@answers("autoscaling", "DeleteLaunchConfiguration")
def delete_launch_configuration(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Delete a launch configuration that no group uses."""
    found = sim.compute.templates.configuration(params["LaunchConfigurationName"])
    if any(group.launch_configuration == found.name for group in sim.scaling.groups.values()):
        raise Refusal(
            "ResourceInUse",
            f"Cannot delete launch configuration {found.name} because it is attached to AutoScalingGroup",
        )
    del sim.compute.templates.configurations[found.name]
    return {}


@answers("autoscaling", "DescribeLaunchConfigurations")
def describe_launch_configurations(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Launch configurations by name."""
    known = sim.compute.templates.configurations
    names = params.get("LaunchConfigurationNames") or list(known)
    return {"LaunchConfigurations": [show_configuration(known[name]) for name in names if name in known]}


# scheduled actions


@answers("autoscaling", "PutScheduledUpdateGroupAction")
def put_scheduled_update_group_action(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Keep and show a scheduled action; nothing here carries it out."""
    group = sim.scaling.find(params["AutoScalingGroupName"])
    arn = group.arn.replace(":autoScalingGroup:", ":scheduledUpdateGroupAction:")
    shown = {key: value for key, value in params.items() if key != "Time"}
    group.scheduled[params["ScheduledActionName"]] = {
        **shown,
        "ScheduledActionARN": f"{arn}:scheduledActionName/{params['ScheduledActionName']}",
    }
    return {}


@answers("autoscaling", "DescribeScheduledActions")
def describe_scheduled_actions(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The scheduled actions of a group, or of all."""
    name = params.get("AutoScalingGroupName")
    groups = [sim.scaling.find(name)] if name else list(sim.scaling.groups.values())
    wanted = params.get("ScheduledActionNames")
    found = [said for group in groups for key, said in group.scheduled.items() if not wanted or key in wanted]
    return {"ScheduledUpdateGroupActions": found}


# tags


@answers("autoscaling", "CreateOrUpdateTags")
def create_or_update_tags(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Tag groups; it overwrites in silence."""
    for tag in params["Tags"]:
        group = sim.scaling.find(tag["ResourceId"])
        group.tags.update(_tags([tag]))
        if len(group.tags) > 50:
            raise Refusal("LimitExceeded", "The maximum number of tags for this resource is 50.")
    return {}


@answers("autoscaling", "DeleteTags")
def delete_tags(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Take tags off groups."""
    for tag in params["Tags"]:
        sim.scaling.find(tag["ResourceId"]).tags.pop(tag["Key"], None)
    return {}


@answers("autoscaling", "DescribeTags")
def describe_tags(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The tags of all groups."""
    found = [show_tag(group, key) for group in sim.scaling.groups.values() for key in sorted(group.tags)]
    return {"Tags": [tag for tag in found if _wanted(tag, params.get("Filters") or ())]}


def _wanted(tag: dict[str, Any], filters: Iterable[dict[str, Any]]) -> bool:
    members = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
    return all(str(tag[members[wanted["Name"]]]) in wanted["Values"] for wanted in filters if wanted["Name"] in members)


# instance refreshes, warm pools


@answers("autoscaling", "StartInstanceRefresh")
def start_instance_refresh(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Let AWS replace the group's instances."""
    group = sim.scaling.find(params["AutoScalingGroupName"])
    preferences, wanted = params.get("Preferences") or {}, params.get("DesiredConfiguration") or {}
    return {"InstanceRefreshId": sim.scaling.refreshes.start(group, preferences, wanted).id}


@answers("autoscaling", "CancelInstanceRefresh")
def cancel_instance_refresh(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Stop it."""
    group = sim.scaling.find(params["AutoScalingGroupName"])
    return {"InstanceRefreshId": sim.scaling.refreshes.cancel(group).id}


@answers("autoscaling", "DescribeInstanceRefreshes")
def describe_instance_refreshes(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The refreshes of a group, newest first. botocore has no paginator for it, so the page is cut here."""
    group = sim.scaling.find(params["AutoScalingGroupName"])
    ids = params.get("InstanceRefreshIds")
    found = [each for each in sim.scaling.refreshes.by_group.get(group.name, [])[::-1] if not ids or each.id in ids]
    start, size = int(params.get("NextToken") or 0), params.get("MaxRecords", 50)
    answer: dict[str, Any] = {"InstanceRefreshes": [show_refresh(each) for each in found[start : start + size]]}
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return answer


@answers("autoscaling", "PutWarmPool")
def put_warm_pool(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Give a group a warm pool."""
    group = sim.scaling.find(params["AutoScalingGroupName"])
    if group.mixed is not None:
        raise Refusal(
            "ValidationError", "You can't add a warm pool to an Auto Scaling group with a mixed instances policy."
        )
    prepared = params.get("MaxGroupPreparedCapacity")
    pool = WarmPool(
        least=params.get("MinSize", 0),
        prepared=None if prepared in (None, -1) else prepared,
        state=params.get("PoolState", "Stopped"),
        reuse=(params.get("InstanceReusePolicy") or {}).get("ReuseOnScaleIn", False),
    )
    sim.scaling.warm.put(group, pool)
    return {}


@answers("autoscaling", "DeleteWarmPool")
def delete_warm_pool(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Take it away again."""
    sim.scaling.warm.delete(sim.scaling.find(params["AutoScalingGroupName"]))
    return {}


@answers("autoscaling", "DescribeWarmPool")
def describe_warm_pool(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The pool and its instances; no pool, no configuration."""
    group = sim.scaling.find(params["AutoScalingGroupName"])
    pool = sim.scaling.warm.pools.get(group.name)
    if pool is None:
        return {"Instances": []}
    return {
        "WarmPoolConfiguration": show_pool(pool),
        "Instances": [show_member(member) for member in pool.members.values()],
    }
