"""How a group keeps its size: launching into the smallest zone, choosing whom to end, replacing the unhealthy."""

from collections import defaultdict
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.compute import Instance
from ecsroll.simulator.groups import COUNTED, LAUNCHING, LEAVING, TERMINATING, Activity, Group, Member, stamp
from ecsroll.simulator.hooks import Hooks
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["Fleet", "Source"]

FIRST_RETRY, LONGEST_RETRY = 15.0, 300.0
LOOKS_AGAIN = 300.0  # when a zone that lacks instances could not take any
STARTS_LEAVING = (1.0, 3.0)
FAILED = "Launching EC2 instance failed."


@dataclass(frozen=True, slots=True)
class Source:
    """What a group launches from at this moment."""

    data: dict[str, Any]
    template: tuple[str, str, int] | None = None
    launch_configuration: str | None = None
    override_type: str | None = None


class Fleet:
    """The laws by which groups change their members."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.hooks = Hooks(sim, self._hooks_ended)
        self.by_instance: dict[str, Group] = {}
        self.world.listen("instance_running", self._running)
        self.world.listen("instance_stopping", self._stopping)
        self.world.listen("instance_gone", self._gone)

    # time

    def wake(self, group: Group, delay: float | None = None) -> None:
        """Let a group look at itself soon; an earlier appointment stands."""
        due = self.world.now + (self.world.draw(self.world.durations.scaling_reacts) if delay is None else delay)
        if group.waking is not None:
            if group.wakes_at <= due:
                return
            group.waking.cancel()
        group.wakes_at = due
        group.waking = self.world.after(due - self.world.now, lambda: self._look(group))

    def _look(self, group: Group) -> None:
        group.waking = None
        self._replace_unhealthy(group)
        missing = group.desired - group.counted + group.aiding
        if missing > 0:
            self._grow(group, missing)
        elif missing < 0:
            self._shrink(group, -missing)
        if missing:
            group.why = ""
        else:
            self._balance(group)
        self.sim.scaling.warm.fill(group)

    def resize(self, group: Group, desired: int, cause: str) -> None:
        """Change desired, say so, and let the group follow."""
        if desired != group.desired:
            group.desired = desired
            self.world.tell("group_resized", group=group.name, desired=desired, cause=cause)
        self.wake(group)

    # growing

    def source(self, group: Group) -> Source:
        """What the next instance is made from; refuses where template or parameter are gone."""
        if group.launch_configuration is not None:
            found = self.sim.compute.templates.configuration(group.launch_configuration)
            return Source(found.data, launch_configuration=found.name)
        override: dict[str, Any] = {}
        if group.mixed is not None:
            override = next(iter(group.mixed["LaunchTemplate"].get("Overrides") or ()), {})
        spec = override.get("LaunchTemplateSpecification") or group.source
        assert spec is not None
        templates = self.sim.compute.templates
        template = templates.find(spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName"))
        version = templates.version(template, spec.get("Version") or "$Default")
        changes: dict[str, Any] = {key: override[key] for key in ("InstanceType", "ImageId") if key in override}
        return Source(
            {**version.data, **changes},
            template=(template.id, template.name, version.number),
            override_type=changes.get("InstanceType"),
        )

    def _grow(self, group: Group, missing: int) -> None:
        if not group.runs("Launch") or group.status is not None:
            return
        if self.world.now < group.retry_at:
            self.wake(group, group.retry_at - self.world.now)
            return
        before = group.counted
        because = (
            f"{group.why}At {stamp(self.world.time)} an instance was started in response to a difference between "
            f"desired and actual capacity, increasing the capacity from {before} to {before + missing}."
        )
        if self._launch(group, missing, because) < missing:
            self._back_off(group)
        else:
            group.retry_delay = 0.0

    def _back_off(self, group: Group) -> None:
        group.retry_delay = min(LONGEST_RETRY, group.retry_delay * 2 or FIRST_RETRY)
        group.retry_at = self.world.now + group.retry_delay
        self.wake(group, group.retry_delay)

    def _launch(self, group: Group, count: int, cause: str, *, aiding: bool = False) -> int:
        """Launch instances, each into the zone with the fewest; how many could be launched."""
        full: set[str] = set()
        launched = 0
        while launched < count:
            zone = self._smallest_zone(group, full)
            if zone is None:
                break
            if self._launch_one(group, zone, cause, aiding=aiding):
                launched += 1
            else:
                full.add(zone)
                if self.sim.conditions.launch_fails or zone not in self.sim.conditions.zones_without_capacity:
                    # What fails for another reason than its zone fails everywhere.
                    break
        return launched

    def _smallest_zone(self, group: Group, without: set[str]) -> str | None:
        zones = [zone for zone in group.zones if zone not in without]
        return min(zones, key=lambda zone: group.in_zone[zone], default=None)

    def _launch_one(self, group: Group, zone: str, cause: str, *, aiding: bool) -> bool:
        activity = self.record(group, "Launching a new EC2 instance", cause)
        activity.zone, activity.subnet = zone, self._subnet(group, zone)
        try:
            member = self.sim.scaling.warm.take(group, zone) or self._fresh(group, activity)
        except Refusal as no:
            message = no.message if no.message.endswith(FAILED) else f"{no.message}. {FAILED}"
            activity.description += f".  Status Reason: {message}"
            activity.finish(self.world.time, "Failed", message)
            self.world.tell("launch_failed", group=group.name, zone=zone, message=message)
            return False
        activity.description = f"Launching a new EC2 instance: {member.instance.id}"
        activity.status, activity.progress = "PreInService", 30
        member.activity, member.aiding_balance = activity, aiding
        group.aiding += 1 if aiding else 0
        self._take_in(group, member)
        return True

    def _subnet(self, group: Group, zone: str) -> str:
        subnets = group.subnets[zone]
        return subnets[group.in_zone[zone] % len(subnets)]

    def _fresh(self, group: Group, activity: Activity) -> Member:
        return Member(self.make(group, activity.zone, activity.subnet), "Pending", self.world.now)

    def make(self, group: Group, zone: str, subnet: str, *, warm: bool = False) -> Instance:
        """An instance of what the group launches now, unless there is no room for it."""
        conditions = self.sim.conditions
        if conditions.launch_fails is not None:
            raise Refusal("Failed", conditions.launch_fails)
        source = self.source(group)
        if zone in conditions.zones_without_capacity:
            raise Refusal("InsufficientInstanceCapacity", self._no_capacity(source, zone))
        tags = {key: tag.value for key, tag in group.tags.items() if tag.propagated}
        tags["aws:autoscaling:groupName"] = group.name
        if source.template is not None:
            tags["aws:ec2launchtemplate:id"] = source.template[0]
            tags["aws:ec2launchtemplate:version"] = str(source.template[2])
        return self.sim.compute.launch(
            source.data,
            subnet_id=subnet,
            group=group.name,
            tags=tags,
            warm=warm,
            template=source.template,
            launch_configuration=source.launch_configuration,
        )

    def _no_capacity(self, source: Source, zone: str) -> str:
        kind = source.data.get("InstanceType", "m1.small")
        others = [z for z in self.sim.compute.zones if z not in self.sim.conditions.zones_without_capacity]
        elsewhere = (
            f" You can currently get {kind} capacity by not specifying an Availability Zone in your request or "
            f"choosing {', '.join(others)}."
        )
        return (
            f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). "
            f"Our system will be working on provisioning additional capacity.{elsewhere if others else ''} {FAILED}"
        )

    def _take_in(self, group: Group, member: Member) -> None:
        group.add(member)
        self.by_instance[member.instance.id] = group
        group.last_scaled_at = self.world.now
        self.world.tell("instance_launching", group=group.name, instance=member.instance)

    def _running(self, instance: Instance) -> None:
        group = self.by_instance.get(instance.id)
        member = group.members.get(instance.id) if group else None
        if group is None or member is None or member.state != "Pending":
            return
        if not self.hooks.begin(group, member, LAUNCHING):
            self.in_service(group, member)

    def in_service(self, group: Group, member: Member) -> None:
        """The instance has arrived; the group's flag protects it from now on."""
        group.move(member, "InService")
        member.protected = group.new_protected
        if member.aiding_balance:
            self._aided(group, member)
        if member.activity is not None:
            member.activity.finish(self.world.time)
            member.activity = None
        self.world.tell("instance_in_service", group=group.name, instance=member.instance)
        self.wake(group)

    def _aided(self, group: Group, member: Member) -> None:
        member.aiding_balance = False
        group.aiding -= 1

    def _hooks_ended(self, group: Group, member: Member, abandoned: bool) -> None:
        if member.state == "Terminating:Wait":
            # At termination both results terminate.
            group.move(member, "Terminating:Proceed")
            self._end(member)
        elif abandoned:
            cause = (
                f"At {stamp(self.world.time)} an instance was taken out of service in response to a launch "
                "lifecycle action that was abandoned."
            )
            if member.activity is not None:
                member.activity.finish(self.world.time, "Cancelled", "Lifecycle action abandoned")
            self.remove(group, member, cause)
            self.wake(group)
        else:
            group.move(member, "Pending:Proceed")
            self.world.after(self.world.draw(STARTS_LEAVING), lambda: self._proceed(group, member))

    def _proceed(self, group: Group, member: Member) -> None:
        if member.state == "Pending:Proceed":
            self.in_service(group, member)

    # shrinking

    def _shrink(self, group: Group, surplus: int) -> None:
        if not group.runs("Terminate"):
            self._balance(group)
            return
        before = group.counted
        chosen = self.choose(group, surplus)
        for member in chosen:
            now = stamp(self.world.time)
            cause = (
                f"{group.why}At {now} an instance was taken out of service in response to a difference between desired "
                f"and actual capacity, shrinking the capacity from {before} to {before - len(chosen)}.  At {now} "
                f"instance {member.instance.id} was selected for termination."
            )
            self.remove(group, member, cause)
        if len(chosen) < surplus and group.states["InService"] and not group.pending:
            self._complain(group)

    def _complain(self, group: Group) -> None:
        if group.complained == (group.desired, group.counted):
            return
        group.complained = (group.desired, group.counted)
        sentence = "Could not scale to desired capacity because all remaining instances are protected from scale in."
        cause = f"{group.why}At {stamp(self.world.time)} group reached equilibrium."
        self.record(group, sentence, cause).finish(self.world.time, "Failed", sentence)

    def choose(self, group: Group, count: int) -> list[Member]:
        """Whom the default termination policy ends: balance of the zones first, then the oldest template."""
        left: dict[str, list[Member]] = defaultdict(list)
        for member in group.members.values():
            if member.state == "InService" and not member.protected:
                left[member.instance.zone].append(member)
        for members in left.values():
            # The next to go stands at the end.
            members.sort(key=lambda member: self._age(group, member), reverse=True)
        size = {zone: group.in_zone[zone] for zone in left}
        chosen: list[Member] = []
        while left and len(chosen) < count:
            zone = max(left, key=lambda zone: (size[zone], zone))
            chosen.append(left[zone].pop())
            size[zone] -= 1
            if not left[zone]:
                del left[zone]
        return chosen

    def _age(self, group: Group, member: Member) -> tuple[int, int, int, float]:
        """Launch configurations go first, then other templates, then old versions, then the nearest billing hour."""
        instance, source = member.instance, group.source
        if instance.template_id is None:
            return (0, 0, 0, 0.0)
        same = source is not None and instance.template_id == source.get("LaunchTemplateId")
        to_the_hour = -(self.world.now - instance.launched_at) % 3600
        return (1, 1 if same else 0, instance.template_version or 0, to_the_hour)

    def remove(self, group: Group, member: Member, cause: str) -> Activity:
        """Take a member out and end its instance, by way of the termination hooks."""
        instance = member.instance
        activity = self.record(group, f"Terminating EC2 instance: {instance.id}", cause)
        activity.zone, activity.subnet = instance.zone, instance.subnet_id
        self.hooks.cancel(member)
        if member.activity is not None and member.activity.end is None:
            member.activity.finish(self.world.time, "Cancelled")
        if member.aiding_balance:
            self._aided(group, member)
        member.activity = activity
        group.unhealthy.pop(instance.id, None)
        group.move(member, "Terminating")
        group.last_scaled_at = self.world.now
        self.world.tell("host_terminating", group=group.name, instance=instance)
        self.world.after(self.world.draw(STARTS_LEAVING), lambda: self._leave(group, member))
        return activity

    def _leave(self, group: Group, member: Member) -> None:
        if member.state == "Terminating" and not self.hooks.begin(group, member, TERMINATING):
            self._end(member)

    def _end(self, member: Member) -> None:
        instance = member.instance
        if instance.state == "terminated" or instance.id not in self.sim.compute.instances:
            self._gone(instance)
        else:
            self.sim.compute.terminate(instance.id)

    def _gone(self, instance: Instance) -> None:
        """EC2 has ended it. A member that still waits for a hook goes on waiting: nobody tells the hook."""
        group = self.by_instance.get(instance.id)
        member = group.members.get(instance.id) if group else None
        if group is None or member is None or member.state not in ("Terminating", "Terminating:Proceed"):
            return
        if member.state == "Terminating" and any(hook.transition == TERMINATING for hook in group.hooks.values()):
            return
        if member.activity is not None:
            member.activity.finish(self.world.time)
        group.drop(member)
        del self.by_instance[instance.id]
        self.world.tell("instance_left_group", group=group.name, instance=instance)
        self.wake(group)

    # coming and going of the living

    def adopt(self, group: Group, instance: Instance) -> None:
        """Take a running instance in: attached, or known before the simulation began."""
        instance.group = group.name
        instance.tags["aws:autoscaling:groupName"] = group.name
        group.add(Member(instance, "InService", self.world.now, protected=group.new_protected))
        self.by_instance[instance.id] = group

    def let_go(self, group: Group, member: Member) -> None:
        """Forget a member that lives on: detached."""
        self.hooks.cancel(member)
        if member.aiding_balance:
            self._aided(group, member)
        group.drop(member)
        del self.by_instance[member.instance.id]
        member.instance.group = None
        member.instance.tags.pop("aws:autoscaling:groupName", None)
        self.wake(group)

    def shift(
        self,
        group: Group,
        member: Member,
        through: str,
        to: str,
        takes: tuple[float, float],
        activity: Activity,
    ) -> None:
        """Into standby, or out of it; no hooks run."""
        group.move(member, through)

        def arrive() -> None:
            if member.state == through:
                group.move(member, to)
                activity.finish(self.world.time)
                self.wake(group)

        self.world.after(self.world.draw(takes), arrive)

    # health

    def _stopping(self, instance: Instance, **_: str) -> None:
        group = self.by_instance.get(instance.id)
        member = group.members.get(instance.id) if group else None
        if group is None or member is None or member.state in LEAVING:
            return
        delay = self.world.draw(self.world.durations.health_replacement)
        self.world.after(delay, lambda: self.notice(group, member))

    def notice(self, group: Group, member: Member) -> None:
        """The health check sees that an instance does not run."""
        alive = member.instance.state in ("running", "pending")
        if alive or not group.runs("HealthCheck") or group.members.get(member.instance.id) is not member:
            return
        if member.state in COUNTED:
            self.mark_unhealthy(group, member)

    def mark_unhealthy(self, group: Group, member: Member) -> None:
        """Whoever found out: the group replaces it as soon as it may."""
        member.health = "Unhealthy"
        group.unhealthy[member.instance.id] = member
        self.wake(group, 0.0)

    def _replace_unhealthy(self, group: Group) -> None:
        if not group.unhealthy or not group.runs("ReplaceUnhealthy") or not group.runs("Terminate"):
            return
        # About a tenth of the group at once.
        allowed = max(1, ceil(group.desired / 10))
        for member in list(group.unhealthy.values())[:allowed]:
            how = (
                "an EC2 health check indicating it has been terminated or stopped"
                if member.instance.state != "running"
                else "a user health-check"
            )
            cause = f"At {stamp(self.world.time)} an instance was taken out of service in response to {how}."
            self.remove(group, member, cause)
        if group.unhealthy:
            self.wake(group, self.world.draw(self.world.durations.health_replacement))

    # balance

    def _balance(self, group: Group) -> None:
        """AZRebalance: launch where there are fewer, then let the surplus go where there are most."""
        if not (group.runs("AZRebalance") and group.runs("Launch")) or group.pending or group.status is not None:
            return
        margin = max(1, group.max // 10)
        room = (group.max if group.counted > group.desired else max(group.max, group.desired)) + margin - group.counted
        zones = [zone for zone in group.zones if zone not in self.sim.conditions.zones_without_capacity]
        if not zones or room <= 0:
            return
        largest = max(group.in_zone[zone] for zone in group.zones)
        smallest = min(group.in_zone[zone] for zone in zones)
        if len(zones) < len(group.zones):
            self.wake(group, LOOKS_AGAIN)
        if largest - smallest < 2 or not self._may_shrink(group, largest):
            return
        wanted = min(margin, room, (largest - smallest) // 2)
        cause = f"At {stamp(self.world.time)} an instance was launched to aid in balancing the group's zones."
        if self._launch(group, wanted, cause, aiding=True):
            crowded = " ".join(zone for zone in group.zones if group.in_zone[zone] == largest)
            group.why = (
                f"At {stamp(self.world.time)} instances were launched to balance instances in zones "
                f"{crowded} with other zones resulting in more than desired number of instances in the group.  "
            )

    def _may_shrink(self, group: Group, largest: int) -> bool:
        """Whether a full zone has somebody who may go: else balancing would never end."""
        full = {zone for zone in group.zones if group.in_zone[zone] == largest}
        return any(
            member.state == "InService" and not member.protected and member.instance.zone in full
            for member in group.members.values()
        )

    # the history

    def record(self, group: Group, description: str, cause: str) -> Activity:
        """Open an activity."""
        activity = Activity(self.world.uuid(), group.name, description, cause, self.world.time)
        group.activities.append(activity)
        return activity
