"""EC2 Auto Scaling: what can be asked of groups, and how it is refused. How they then act stands in ``fleet``."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.fleet import Fleet
from ecsroll.simulator.groups import COUNTED, LEAVING, Activity, Group, Hook, Member, Tag, stamp
from ecsroll.simulator.refreshes import Refreshes
from ecsroll.simulator.warm_pools import WarmPools
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["PROCESSES", "Scaling", "resource_contention", "scaling_activity_in_progress"]

PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)
LAUNCH_MEMBERS = ("LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName")
PROTECTABLE = ("InService", "EnteringStandby", "Standby")
STANDBY_TAKES = (3.0, 10.0)


def resource_contention() -> Refusal:
    """Somebody else changes the group at this moment; AWS says so with a 500, and it can be tried again."""
    return Refusal("ResourceContention", "You already have a pending update to this resource.", status=500)


def scaling_activity_in_progress(activity: str = "") -> Refusal:
    """An activity under way blocks the action."""
    return Refusal("ScalingActivityInProgress", f"Scaling activity {activity} is in progress and blocks this action")


class Scaling:
    """The account's Auto Scaling groups."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.groups: dict[str, Group] = {}
        self.fleet = Fleet(sim)
        self.warm = WarmPools(sim)
        self.refreshes = Refreshes(sim)
        self.world.listen("instance_left_group", self._left)

    # groups

    def find(self, name: str) -> Group:
        """The group of that name, or AWS's refusal."""
        if name not in self.groups:
            raise Refusal("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return self.groups[name]

    def create(  # noqa: PLR0913 - CreateAutoScalingGroup has more
        self,
        name: str,
        *,
        minimum: int,
        maximum: int,
        desired: int | None = None,
        launch: dict[str, Any],
        subnets: Iterable[str] = (),
        zones: Iterable[str] = (),
        new_protected: bool = False,
        tags: dict[str, Tag] | None = None,
    ) -> Group:
        """Make a group; ``launch`` holds one of the API's three ways to say what it launches."""
        if name in self.groups:
            raise Refusal(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        _check_bounds(minimum, maximum, desired)
        world = self.world
        arn = (
            f"arn:aws:autoscaling:{world.region}:{world.account}:autoScalingGroup:{world.uuid()}"
            f":autoScalingGroupName/{name}"
        )
        made = Group(
            name, arn, world.time, minimum, maximum, 0, self._spread(subnets, zones), new_protected=new_protected
        )
        made.tags.update(tags or {})
        self.launch_from(made, launch)
        self.groups[name] = made
        wanted = minimum if desired is None else desired
        made.why = (
            f"At {stamp(world.time)} a user request created an AutoScalingGroup changing "
            f"the desired capacity from 0 to {wanted}.  "
        )
        self.fleet.resize(made, wanted, "created")
        return made

    def _spread(self, subnets: Iterable[str], zones: Iterable[str]) -> dict[str, list[str]]:
        compute = self.sim.compute
        spread: dict[str, list[str]] = {}
        for subnet in subnets:
            if subnet not in compute.subnets:
                raise Refusal("ValidationError", f"The subnet ID '{subnet}' does not exist")
            spread.setdefault(compute.subnets[subnet], []).append(subnet)
        if not spread:
            spread = {zone: [compute.subnet_of(zone)] for zone in zones}
        if not spread:
            raise Refusal("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
        return dict(sorted(spread.items()))

    def place(self, group: Group, subnets: Iterable[str], zones: Iterable[str]) -> None:
        """Let new instances go elsewhere; AZRebalance moves the others."""
        group.subnets = self._spread(subnets, zones)
        self.fleet.wake(group)

    def launch_from(self, group: Group, launch: dict[str, Any]) -> None:
        """Change what the group launches from: new instances only. One way to say it replaces the others."""
        said = [member for member in LAUNCH_MEMBERS if launch.get(member)]
        if len(said) != 1:
            raise Refusal(
                "ValidationError",
                "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
                "MixedInstancesPolicy parameter.",
            )
        before = (group.template, group.mixed, group.launch_configuration)
        group.template = self._named(launch["LaunchTemplate"]) if launch.get("LaunchTemplate") else None
        group.mixed = self._mixed(launch["MixedInstancesPolicy"]) if launch.get("MixedInstancesPolicy") else None
        group.launch_configuration = launch.get("LaunchConfigurationName")
        try:
            self._check_source(group)
        except Refusal:
            group.template, group.mixed, group.launch_configuration = before
            raise

    def _named(self, spec: dict[str, str]) -> dict[str, str]:
        """A specification with id and name, whichever of them was given."""
        try:
            found = self.sim.compute.templates.find(spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName"))
        except Refusal as no:
            raise _no_valid_template(no) from no
        version = {"Version": spec["Version"]} if spec.get("Version") else {}
        return {"LaunchTemplateId": found.id, "LaunchTemplateName": found.name, **version}

    def _mixed(self, policy: dict[str, Any]) -> dict[str, Any]:
        template = policy["LaunchTemplate"]
        spec = self._named(template["LaunchTemplateSpecification"])
        return {**policy, "LaunchTemplate": {**template, "LaunchTemplateSpecification": spec}}

    def _check_source(self, group: Group) -> None:
        """AWS tries a launch dry before it accepts a template: an image that does not exist is refused here."""
        try:
            data = self.fleet.source(group).data
        except Refusal as no:
            raise no if group.launch_configuration else _no_valid_template(no) from no
        said = str(data.get("ImageId", ""))
        image = self.sim.compute.resolve_image(said)
        if said and (image is None or self.sim.images.get(image) is None):
            raise _no_valid_template(Refusal("", f"The image id '[{image or said}]' does not exist"))

    def update(
        self,
        name: str,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
        desired: int | None = None,
        new_protected: bool | None = None,
        launch: dict[str, Any] | None = None,
    ) -> Group:
        """Change a group. Without ``desired``, a higher floor lifts it and a lower ceiling cuts it."""
        group = self.find(name)
        least = group.min if minimum is None else minimum
        most = group.max if maximum is None else maximum
        _check_bounds(least, most, desired)
        if launch:
            self.launch_from(group, launch)
        group.min, group.max = least, most
        if new_protected is not None:
            group.new_protected = new_protected
        wanted = min(max(group.desired if desired is None else desired, least), most)
        if wanted != group.desired:
            group.why = (
                f"At {stamp(self.world.time)} a user request update of AutoScalingGroup constraints to min: {least}, "
                f"max: {most}, desired: {wanted} changing the desired capacity from {group.desired} to {wanted}.  "
            )
        self.fleet.resize(group, wanted, "update")
        return group

    def set_desired(self, name: str, desired: int, cause: str = "user", *, honor_cooldown: bool = False) -> None:
        """SetDesiredCapacity, by a user or by a scaling policy: it keeps between Min and Max, or is refused."""
        group = self.find(name)
        if desired > group.max:
            raise Refusal(
                "ValidationError",
                f"New SetDesiredCapacity value {desired} is above max value {group.max} for the AutoScalingGroup.",
            )
        if desired < group.min:
            raise Refusal(
                "ValidationError",
                f"New SetDesiredCapacity value {desired} is below min value {group.min} for the AutoScalingGroup.",
            )
        if honor_cooldown and self.world.now - group.last_scaled_at < group.others.get("DefaultCooldown", 300):
            raise scaling_activity_in_progress(group.activities[-1].id if group.activities else "")
        if desired != group.desired:
            who = "a user request explicitly set group desired capacity" if cause == "user" else cause
            group.why = (
                f"At {stamp(self.world.time)} {who} changing the desired capacity from {group.desired} to {desired}.  "
            )
        self.fleet.resize(group, desired, cause)

    def delete(self, name: str, *, force: bool = False) -> None:
        """Delete a group, with its instances only by force."""
        group = self.find(name)
        if group.members and not force:
            raise Refusal(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        group.status = "Delete in progress"
        group.min = group.max = group.desired = 0
        for member in list(group.members.values()):
            if member.state not in LEAVING:
                self.fleet.remove(group, member, f"At {stamp(self.world.time)} the group was deleted.")
        self._left(name)

    def _left(self, group: str, instance: object = None) -> None:  # noqa: ARG002 - the happening's facts
        found = self.groups.get(group)
        if found is not None and found.status is not None and not found.members:
            del self.groups[group]

    # instances

    def member(self, instance_id: str) -> tuple[Group, Member]:
        """An instance as its group's member, or AWS's refusal."""
        group = self.fleet.by_instance.get(instance_id)
        if group is None:
            raise Refusal(
                "ValidationError",
                f"Instance Id not found - No managed instance found for instance ID: {instance_id}",
            )
        return group, group.members[instance_id]

    def terminate_in_group(self, instance_id: str, *, decrement: bool) -> Activity:
        """Terminate a member, whatever protects it. Lowering desired twice for one instance is possible, as at AWS."""
        group, member = self.member(instance_id)
        if decrement and group.desired - 1 < group.min:
            raise Refusal(
                "ValidationError",
                f"Currently, desiredSize equals minSize ({group.min}). Terminating instance without replacement will "
                "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
                "lower group's min size.",
            )
        cause = (
            f"At {stamp(self.world.time)} instance {instance_id} was taken out of service in response to a user request"
        )
        cause += f", shrinking the capacity from {group.desired} to {group.desired - 1}." if decrement else "."
        if member.state in LEAVING and member.activity is not None:
            activity = member.activity
        else:
            activity = self.fleet.remove(group, member, cause)
        self.fleet.resize(group, group.desired - (1 if decrement else 0), "terminated")
        return activity

    def set_protection(self, name: str, ids: Iterable[str], protected: bool) -> None:
        """Protect instances from scale-in, or no longer; one that may not be protected fails all."""
        group = self.find(name)
        members = [self._must_belong(group, instance_id) for instance_id in ids]
        for member in members:
            if member.state not in PROTECTABLE:
                raise Refusal(
                    "ValidationError",
                    f"The instance {member.instance.id} is not in InService or EnteringStandby or Standby.",
                )
        for member in members:
            member.protected = protected
        if not protected and group.counted > group.desired:
            self.fleet.wake(group)

    def _must_belong(self, group: Group, instance_id: str) -> Member:
        member = group.members.get(instance_id)
        if member is None:
            raise Refusal(
                "ValidationError", f"The instance {instance_id} is not part of Auto Scaling group {group.name}."
            )
        return member

    def set_health(self, instance_id: str, health: str, *, respect_grace: bool = True) -> None:
        """Somebody else's health check; during the grace period it is not heard."""
        group, member = self.member(instance_id)
        age = self.world.now - member.launched_at
        if respect_grace and age < group.others.get("HealthCheckGracePeriod", 0):
            return
        if health == "Unhealthy" and member.state in COUNTED:
            self.fleet.mark_unhealthy(group, member)
        else:
            member.health = health
            group.unhealthy.pop(instance_id, None)

    def detach(self, name: str, ids: Iterable[str], *, decrement: bool) -> list[Activity]:
        """Let instances go on living outside the group, without their protection; no hooks run."""
        group = self.find(name)
        members = [self._must_belong(group, instance_id) for instance_id in ids]
        self._check_floor(group, len(members), decrement=decrement)
        activities = []
        for member in members:
            cause = self._cause(group, member, "was detached", -1 if decrement else 0)
            activity = self.fleet.record(group, f"Detaching EC2 instance: {member.instance.id}", cause)
            activities.append(activity)
            self.fleet.let_go(group, member)
            self.world.after(self.world.draw(STANDBY_TAKES), partial(self._finish, activity))
        self.fleet.resize(group, group.desired - (len(members) if decrement else 0), "detached")
        return activities

    def attach(self, name: str, ids: Iterable[str]) -> None:
        """Take running instances in: desired rises by their number."""
        group = self.find(name)
        instances = self.sim.compute.must_find(ids)
        if group.desired + len(instances) > group.max:
            raise Refusal(
                "ValidationError",
                f"AutoScalingGroup {group.name} has max size = {group.max}, but is already at {group.desired}. "
                "Attaching the instances would exceed max size.",
            )
        for instance in instances:
            if instance.id in self.fleet.by_instance or instance.state != "running":
                raise Refusal(
                    "ValidationError", f"Instance {instance.id} is not in correct state, or belongs to another group."
                )
        for instance in instances:
            self.fleet.adopt(group, instance)
        self.fleet.resize(group, group.desired + len(instances), "attached")

    def enter_standby(self, name: str, ids: Iterable[str], *, decrement: bool) -> list[Activity]:
        """Let members rest: they run on, unwatched, and do not count."""
        group = self.find(name)
        members = [self._must_belong(group, instance_id) for instance_id in ids]
        if any(member.state != "InService" for member in members):
            raise Refusal("ValidationError", f"The instance {members[0].instance.id} is not in InService.")
        self._check_floor(group, len(members), decrement=decrement)
        activities = []
        for member in members:
            cause = self._cause(group, member, "was moved to standby", -1 if decrement else 0)
            activities.append(self.fleet.record(group, f"Moving EC2 instance to Standby: {member.instance.id}", cause))
            self.fleet.shift(group, member, "EnteringStandby", "Standby", STANDBY_TAKES, activities[-1])
        self.fleet.resize(group, group.desired - (len(members) if decrement else 0), "standby")
        return activities

    def exit_standby(self, name: str, ids: Iterable[str]) -> list[Activity]:
        """Take resting members back: desired rises by their number."""
        group = self.find(name)
        members = [self._must_belong(group, instance_id) for instance_id in ids]
        if any(member.state != "Standby" for member in members):
            raise Refusal("ValidationError", f"The instance {members[0].instance.id} is not in Standby.")
        if not group.runs("Launch"):
            raise Refusal("ValidationError", "The Launch process is suspended.")
        if group.desired + len(members) > group.max:
            raise Refusal("ValidationError", f"Exiting standby would exceed the group's max size {group.max}.")
        activities = []
        for member in members:
            cause = self._cause(group, member, "was moved out of standby", 1)
            description = f"Moving EC2 instance out of Standby: {member.instance.id}"
            activities.append(self.fleet.record(group, description, cause))
            activities[-1].status, activities[-1].progress = "PreInService", 30
            self.fleet.shift(group, member, "Pending", "InService", STANDBY_TAKES, activities[-1])
        self.fleet.resize(group, group.desired + len(members), "standby")
        return activities

    def _finish(self, activity: Activity) -> None:
        activity.finish(self.world.time)

    def _cause(self, group: Group, member: Member, what: str, by: int) -> str:
        size = f"{'increasing' if by > 0 else 'shrinking'} the capacity from {group.desired} to {group.desired + by}"
        request = f"At {stamp(self.world.time)} instance {member.instance.id} {what} in response to a user request"
        return f"{request}, {size}." if by else f"{request}."

    def _check_floor(self, group: Group, count: int, *, decrement: bool) -> None:
        if decrement and group.desired - count < group.min:
            raise Refusal(
                "ValidationError",
                f"AutoScalingGroup {group.name} has min size = {group.min}, max size = {group.max}, and desired size "
                f"= {group.desired}. To place into standby or detach {count} instances, please update the "
                "AutoScalingGroup sizes appropriately.",
            )

    # processes

    def suspend(self, name: str, processes: Iterable[str] = ()) -> None:
        """Suspend processes; none named means all."""
        group = self.find(name)
        for process in self._known(processes):
            group.suspended.setdefault(process, f"User suspended at {stamp(self.world.time)}")

    def resume(self, name: str, processes: Iterable[str] = ()) -> None:
        """Resume processes, and let the group catch up."""
        group = self.find(name)
        for process in self._known(processes):
            group.suspended.pop(process, None)
        for member in group.members.values():
            self.fleet.notice(group, member)
        self.fleet.wake(group)

    def _known(self, processes: Iterable[str]) -> list[str]:
        named = list(processes) or list(PROCESSES)
        for process in named:
            if process not in PROCESSES:
                raise Refusal("ValidationError", f"Scaling process {process} is invalid.")
        return named

    # lifecycle hooks

    def put_hook(
        self,
        name: str,
        hook_name: str,
        transition: str | None,
        heartbeat: float | None = None,
        default_result: str | None = None,
        **others: str,
    ) -> None:
        """Make a hook, or change it."""
        group = self.find(name)
        before = group.hooks.get(hook_name)
        chosen = transition or (before.transition if before else None)
        if chosen is None:
            raise Refusal("ValidationError", "LifecycleTransition is required to create a lifecycle hook.")
        group.hooks[hook_name] = Hook(
            hook_name,
            chosen,
            heartbeat or (before.heartbeat if before else 3600),
            default_result or (before.default_result if before else "ABANDON"),
            {**(before.others if before else {}), **others},
        )

    def delete_hook(self, name: str, hook_name: str) -> None:
        """Delete a hook; the actions that wait for it are over, as if abandoned at launch, else continued."""
        group = self.find(name)
        if group.hooks.pop(hook_name, None) is None:
            raise Refusal("ValidationError", f"No Lifecycle Hook found with name: {hook_name}")
        for member in [member for member in group.members.values() if hook_name in member.waiting]:
            result = "ABANDON" if member.state == "Pending:Wait" else "CONTINUE"
            self.fleet.hooks.complete(group, member, hook_name, result)

    def complete_hook(self, name: str, hook_name: str, instance_id: str, result: str = "CONTINUE") -> None:
        """Complete the lifecycle action of an instance."""
        group, member = self._waits(name, hook_name, instance_id)
        self.fleet.hooks.complete(group, member, hook_name, result)

    def heartbeat(self, name: str, hook_name: str, instance_id: str) -> None:
        """Let an instance wait for another heartbeat timeout."""
        group, member = self._waits(name, hook_name, instance_id)
        self.fleet.hooks.heartbeat(group, member, hook_name)

    def waiting_instance(self, name: str, token: str) -> str:
        """The instance whose lifecycle action has this token."""
        for member in self.find(name).members.values():
            if self.fleet.hooks.by_token(member, token):
                return member.instance.id
        raise Refusal("ValidationError", f"No active Lifecycle Action found with token {token}")

    def _waits(self, name: str, hook_name: str, instance_id: str) -> tuple[Group, Member]:
        group = self.find(name)
        if hook_name not in group.hooks:
            raise Refusal("ValidationError", f"Lifecycle hook not found: {hook_name}")
        member = group.members.get(instance_id)
        if member is None:
            raise Refusal("ValidationError", f"No active Lifecycle Action found with instance ID {instance_id}")
        return group, member


def _no_valid_template(no: Refusal) -> Refusal:
    return Refusal("ValidationError", f"You must use a valid fully-formed launch template. {no.message}")


def _check_bounds(minimum: int, maximum: int, desired: int | None) -> None:
    if minimum > maximum:
        raise Refusal("ValidationError", f"Max bound, {maximum}, must be greater than or equal to min bound, {minimum}")
    if desired is not None and not minimum <= desired <= maximum:
        raise Refusal(
            "ValidationError",
            f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}",
        )
