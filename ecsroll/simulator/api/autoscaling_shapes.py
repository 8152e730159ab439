"""How the records of EC2 Auto Scaling look in botocore's member names."""

from typing import TYPE_CHECKING, Any

from ecsroll.simulator.groups import Activity, Group, Hook, Member
from ecsroll.simulator.refreshes import Refresh
from ecsroll.simulator.templates import LaunchConfiguration
from ecsroll.simulator.warm_pools import WarmPool

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = [
    "show_activity",
    "show_configuration",
    "show_group",
    "show_hook",
    "show_member",
    "show_member_with_group",
    "show_pool",
    "show_refresh",
    "show_tag",
]


def show_group(sim: "Simulation", group: Group, *, instances: bool) -> dict[str, Any]:
    """A group, with or without its instances."""
    shown: dict[str, Any] = {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "MinSize": group.min,
        "MaxSize": group.max,
        "DesiredCapacity": group.desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": group.zones,
        "LoadBalancerNames": [],
        "TargetGroupARNs": [],
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 0,
        "Instances": [show_member(each) for each in group.members.values()] if instances else [],
        "CreatedTime": group.created_at,
        "SuspendedProcesses": [
            {"ProcessName": process, "SuspensionReason": reason} for process, reason in sorted(group.suspended.items())
        ],
        "VPCZoneIdentifier": ",".join(subnet for subnets in group.subnets.values() for subnet in subnets),
        "EnabledMetrics": [],
        "Tags": [show_tag(group, key) for key in sorted(group.tags)],
        "TerminationPolicies": ["Default"],
        "NewInstancesProtectedFromScaleIn": group.new_protected,
        "TrafficSources": [],
        "ServiceLinkedRoleARN": f"arn:aws:iam::{sim.world.account}:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling",
        **group.others,
    }
    shown |= _launches_from(group)
    if group.status is not None:
        shown["Status"] = group.status
    pool = sim.scaling.warm.pools.get(group.name)
    if pool is not None:
        shown["WarmPoolConfiguration"] = show_pool(pool)
        shown["WarmPoolSize"] = len(pool.members)
    return shown


def _launches_from(group: Group) -> dict[str, Any]:
    if group.template is not None:
        return {"LaunchTemplate": group.template}
    if group.mixed is not None:
        return {"MixedInstancesPolicy": group.mixed}
    return {"LaunchConfigurationName": group.launch_configuration}


def show_member(member: Member) -> dict[str, Any]:
    """An instance as its group lists it."""
    instance = member.instance
    shown: dict[str, Any] = {
        "InstanceId": instance.id,
        "InstanceType": instance.type,
        "AvailabilityZone": instance.zone,
        "LifecycleState": member.state,
        "HealthStatus": member.health,
        "ProtectedFromScaleIn": member.protected,
    }
    # What it was launched from; an instance that was attached has neither.
    if instance.template_id is not None:
        shown["LaunchTemplate"] = {
            "LaunchTemplateId": instance.template_id,
            "LaunchTemplateName": instance.template_name,
            "Version": str(instance.template_version),
        }
    elif instance.launch_configuration is not None:
        shown["LaunchConfigurationName"] = instance.launch_configuration
    return shown


def show_member_with_group(group: Group, instance_id: str) -> dict[str, Any]:
    """An instance as DescribeAutoScalingInstances lists it."""
    shown = show_member(group.members[instance_id])
    # Only here AWS writes it in capitals.
    return {**shown, "AutoScalingGroupName": group.name, "HealthStatus": shown["HealthStatus"].upper()}


def show_activity(sim: "Simulation", activity: Activity) -> dict[str, Any]:
    """A scaling activity."""
    group = sim.scaling.groups.get(activity.group)
    where = f'"Subnet ID":"{activity.subnet}",' if activity.subnet else ""
    shown: dict[str, Any] = {
        "ActivityId": activity.id,
        "AutoScalingGroupName": activity.group,
        "Description": activity.description,
        "Cause": activity.cause.strip(),
        "StartTime": activity.start,
        "StatusCode": activity.status,
        "Progress": activity.progress,
        "Details": f'{{{where}"Availability Zone":"{activity.zone}"}}' if activity.zone else "{}",
    }
    if group is not None:
        shown["AutoScalingGroupARN"] = group.arn
    if activity.end is not None:
        # The end is told in whole seconds.
        shown["EndTime"] = activity.end.replace(microsecond=0)
    if activity.message:
        shown["StatusMessage"] = activity.message
    return shown


def show_hook(group: Group, hook: Hook) -> dict[str, Any]:
    """A lifecycle hook."""
    return {
        "LifecycleHookName": hook.name,
        "AutoScalingGroupName": group.name,
        "LifecycleTransition": hook.transition,
        "HeartbeatTimeout": int(hook.heartbeat),
        "GlobalTimeout": int(min(172800, 100 * hook.heartbeat)),
        "DefaultResult": hook.default_result,
        **hook.others,
    }


def show_configuration(found: LaunchConfiguration) -> dict[str, Any]:
    """A launch configuration."""
    return {
        "LaunchConfigurationName": found.name,
        "LaunchConfigurationARN": found.arn,
        "CreatedTime": found.at,
        "SecurityGroups": [],
        "UserData": "",
        "BlockDeviceMappings": [],
        "InstanceMonitoring": {"Enabled": True},
        "EbsOptimized": False,
        **found.data,
    }


def show_tag(group: Group, key: str) -> dict[str, Any]:
    """A tag of a group."""
    return {
        "ResourceId": group.name,
        "ResourceType": "auto-scaling-group",
        "Key": key,
        "Value": group.tags[key].value,
        "PropagateAtLaunch": group.tags[key].propagated,
    }


def show_refresh(refresh: Refresh) -> dict[str, Any]:
    """An instance refresh."""
    shown: dict[str, Any] = {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": refresh.group,
        "Status": refresh.status,
        "StartTime": refresh.start,
        "PercentageComplete": refresh.percentage,
        "InstancesToUpdate": len(refresh.left),
        "Preferences": refresh.preferences,
    }
    if refresh.desired_configuration:
        shown["DesiredConfiguration"] = refresh.desired_configuration
    if refresh.reason:
        shown["StatusReason"] = refresh.reason
    if refresh.end is not None:
        shown["EndTime"] = refresh.end
    return shown


def show_pool(pool: WarmPool) -> dict[str, Any]:
    """A warm pool's configuration."""
    shown: dict[str, Any] = {"MinSize": pool.least, "PoolState": pool.state}
    if pool.prepared is not None:
        shown["MaxGroupPreparedCapacity"] = pool.prepared
    if pool.reuse:
        shown["InstanceReusePolicy"] = {"ReuseOnScaleIn": True}
    if pool.deleting:
        shown["Status"] = "PendingDelete"
    return shown
