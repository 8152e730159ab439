"""Capacity providers: the hands of ECS on an Auto Scaling group (aws-facts section 4).

Managed scaling sizes it, managed termination protection flips its scale-in protection, managed draining empties what
it terminates.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.compute import Instance
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.cluster import Cluster, ContainerInstance
    from ecsroll.simulator.groups import Group
    from ecsroll.simulator.services import Service

__all__ = ["HOOK", "CapacityProvider", "Providers"]

HOOK = "ecs-managed-draining-termination-hook"
HOOK_HEARTBEAT = 3600
GIVES_UP = 48 * 3600.0  # then the instance goes, tasks or not (aws-facts 4.2)
PERIOD = 60.0
POINTS_TO_SCALE_IN = 15
FLIPS_AFTER = (5.0, 20.0)
EMPTY_IS_SEEN_AFTER = (10.0, 60.0)  # aws-facts 9: managed draining's overhead when already empty
FARGATE = ("FARGATE", "FARGATE_SPOT")


@dataclass(slots=True, eq=False)
class CapacityProvider:
    """One capacity provider, in AWS's own members."""

    arn: str
    name: str
    group: str | None
    described: dict[str, Any]
    """``autoScalingGroupProvider`` or ``managedInstancesProvider``."""
    cluster: str | None = None
    status: str = "ACTIVE"
    tags: list[dict[str, str]] = field(default_factory=list)
    below: int = 0
    """One-minute points in a row below the target."""
    ticking: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """Of its Auto Scaling group."""
        return dict(self.described.get("autoScalingGroupProvider") or {})

    @property
    def scaling(self) -> dict[str, Any]:
        """Managed scaling, with AWS's defaults."""
        said = self.settings.get("managedScaling") or {}
        return {
            "status": "DISABLED" if not said else "ENABLED",
            "targetCapacity": 100,
            "minimumScalingStepSize": 1,
            "maximumScalingStepSize": 10000,
            "instanceWarmupPeriod": 300,
            **said,
        }

    @property
    def scales(self) -> bool:
        """Whether ECS sizes the group."""
        return self.group is not None and bool(self.scaling["status"] == "ENABLED")

    @property
    def protects(self) -> bool:
        """Managed termination protection: ECS owns the flag ProtectedFromScaleIn (aws-facts 4.3)."""
        return self.settings.get("managedTerminationProtection") == "ENABLED"

    @property
    def drains(self) -> bool:
        """Managed draining: on unless it is switched off (aws-facts 4.1)."""
        return self.group is not None and self.settings.get("managedDraining", "ENABLED") == "ENABLED"


class Providers:
    """Every capacity provider of the account."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.providers: dict[str, CapacityProvider] = {}
        self._by_group: dict[str, CapacityProvider] = {}
        self._draining: dict[ContainerInstance, str] = {}
        """Hosts whose termination waits for managed draining, and their group."""
        self._flipping: dict[ContainerInstance, None] = {}
        self.world.listen("hook_waits", self._hook_waits)

    # what there is

    def create(self, name: str, described: dict[str, Any], *, cluster: str | None = None) -> CapacityProvider:
        """A capacity provider; managed draining puts its hook on the group."""
        if name in self.providers and self.providers[name].status == "ACTIVE":
            raise Refusal("ClientException", "The specified capacity provider already exists.")
        made = CapacityProvider(
            self.sim.clusters.name("capacity-provider", name), name, self._group_of(described), described, cluster
        )
        self._check(made)
        self.providers[name] = made
        if made.group is not None:
            self._by_group[made.group] = made
        self._settle(made)
        return made

    def restore(self, name: str, arn: str, group: str, described: dict[str, Any]) -> None:
        """A capacity provider that was made elsewhere: what AWS has accepted is not checked again."""
        made = CapacityProvider(arn, name, group, described)
        self.providers[name] = self._by_group[group] = made
        self._settle(made)

    def update(self, provider: CapacityProvider, changes: dict[str, Any]) -> None:
        """Other settings for the same group."""
        settings = {**provider.settings, **changes}
        provider.described = {"autoScalingGroupProvider": settings}
        self._check(provider)
        self._settle(provider)

    def _group_of(self, described: dict[str, Any]) -> str | None:
        settings = described.get("autoScalingGroupProvider")
        if settings is None:
            return None
        arn = settings["autoScalingGroupArn"]
        name = arn.rpartition("autoScalingGroupName/")[2]
        if name not in self.sim.scaling.groups:
            raise Refusal("ClientException", "The specified Auto Scaling group does not exist.")
        if name in self._by_group and self._by_group[name].status == "ACTIVE":
            raise Refusal(
                "ClientException",
                "The specified Auto Scaling group ARN is already being used by another capacity provider. "
                "Specify a unique Auto Scaling group ARN and try again.",
            )
        return str(name)

    def _check(self, provider: CapacityProvider) -> None:
        if provider.group is None or not provider.protects:
            return
        if not provider.scales:
            raise Refusal(
                "InvalidParameterException", "Managed termination protection needs managed scaling to be enabled."
            )
        if not self.sim.scaling.groups[provider.group].new_protected:
            raise Refusal(
                "InvalidParameterException",
                "The managed termination protection setting for the capacity provider is invalid. To enable managed "
                "termination protection for a capacity provider, the Auto Scaling group must have instance "
                "protection from scale in enabled.",
            )

    def _settle(self, provider: CapacityProvider) -> None:
        """Hook and metric follow the settings."""
        if provider.group is None:
            return
        if provider.drains:
            self.sim.scaling.put_hook(
                provider.group, HOOK, "autoscaling:EC2_INSTANCE_TERMINATING", HOOK_HEARTBEAT, "CONTINUE"
            )
        elif HOOK in self.sim.scaling.groups[provider.group].hooks:
            self.sim.scaling.delete_hook(provider.group, HOOK)
        if provider.scales and not provider.ticking:
            provider.ticking = True
            self.world.after(PERIOD, lambda: self._tick(provider))

    def find(self, name: str) -> CapacityProvider | None:
        """By name or ARN."""
        return self.providers.get(name.rpartition("/")[2])

    def of_group(self, cluster: "Cluster", group: str | None) -> str | None:
        """The cluster's capacity provider of a group: instances launched before it have none (aws-facts 4.4)."""
        provider = self._by_group.get(group or "")
        if provider is None or provider.status != "ACTIVE" or provider.name not in cluster.capacity_providers:
            return None
        return provider.name

    def choose(self, service: "Service") -> str | None:
        """The provider of a service's next task: bases first, then by weight."""
        items = service.strategy_items
        if not items:
            return None
        counts = {item["capacityProvider"]: 0 for item in items}
        for task in service.tasks if len(items) > 1 else ():
            if task.capacity_provider in counts:
                counts[task.capacity_provider] += 1
        for item in items:
            if counts[item["capacityProvider"]] < item.get("base", 0):
                return str(item["capacityProvider"])
        weighed = [item for item in items if item.get("weight", 0 if len(items) > 1 else 1) > 0] or items
        chosen = min(weighed, key=lambda item: counts[item["capacityProvider"]] / max(1, item.get("weight", 1)))
        return str(chosen["capacityProvider"])

    def scales(self, cluster: "Cluster", name: str) -> bool:
        """Whether it makes room by itself."""
        provider = self.providers.get(name)
        return provider is not None and provider.scales and name in cluster.capacity_providers

    def _host_of(self, host: "ContainerInstance") -> CapacityProvider | None:
        return self.providers.get(host.capacity_provider or "")

    # managed scaling

    def _tick(self, provider: CapacityProvider) -> None:
        """One point of CapacityProviderReservation each minute (aws-facts 4.4)."""
        group = self.sim.scaling.groups.get(provider.group or "")
        if group is None or provider.status != "ACTIVE" or not provider.scales:
            provider.ticking = False
            return
        self.world.after(PERIOD, lambda: self._tick(provider))
        needed, running = self._needed(provider), group.counted
        target = provider.scaling["targetCapacity"]
        metric = self.reservation(needed, running)
        provider.below = provider.below + 1 if metric < target else 0
        if not group.runs("AlarmNotification"):
            return
        if metric > target:
            self._scale_out(provider, group, needed, running)
        elif provider.below >= POINTS_TO_SCALE_IN:
            self._scale_in(provider, group, needed, running)

    @staticmethod
    def reservation(needed: int, running: int) -> float:
        """The metric: needed instances per running ones."""
        if running == 0:
            return 100.0 if needed == 0 else 200.0
        return 100.0 * needed / running

    def _needed(self, provider: CapacityProvider) -> int:
        """Hosts with tasks that are no daemon's, and as many as the waiting tasks would fill."""
        needed, cpu, memory = 0, 0, 0
        size: tuple[int, int] | None = None
        for cluster in self.sim.clusters.clusters.values():
            if provider.name not in cluster.capacity_providers:
                continue
            for host in cluster.registered:
                if host.capacity_provider == provider.name:
                    needed += host.movable > 0
                    size = (host.cpu, host.memory)
            for task in cluster.provisioning:
                if task.capacity_provider == provider.name:
                    cpu += task.definition.needs.cpu
                    memory += task.definition.needs.memory
        per_cpu, per_memory = size or (max(cpu, 1), max(memory, 1))
        return needed + max(math.ceil(cpu / per_cpu), math.ceil(memory / per_memory))

    def _scale_out(self, provider: CapacityProvider, group: "Group", needed: int, running: int) -> None:
        wanted = math.ceil(needed * 100 / provider.scaling["targetCapacity"])
        wanted = max(wanted, 2) if running == 0 else wanted  # from nothing it starts with two
        step = min(
            max(wanted - running, provider.scaling["minimumScalingStepSize"]),
            provider.scaling["maximumScalingStepSize"],
        )
        self._size(group, min(group.max, max(group.desired, running + step)))

    def _scale_in(self, provider: CapacityProvider, group: "Group", needed: int, running: int) -> None:
        """At least one, less than half of the group, each minute."""
        surplus = running - math.ceil(needed * 100 / provider.scaling["targetCapacity"])
        step = min(surplus, max(1, (running - 1) // 2))
        self._size(group, max(group.min, min(group.desired, running - step)))

    def _size(self, group: "Group", desired: int) -> None:
        if desired != group.desired:
            alarm = f"a monitor alarm TargetTracking-{group.name} in state ALARM triggered policy"
            alarm += " ECSManagedAutoScalingPolicy"
            self.sim.scaling.set_desired(group.name, desired, alarm)

    # managed termination protection

    def load_changed(self, host: "ContainerInstance") -> None:
        """Tasks came or went: protection and draining may follow."""
        if host in self._draining and not host.live:
            self.world.after(self.world.draw(EMPTY_IS_SEEN_AFTER), lambda: self._let_go_if_empty(host))
        provider = self._host_of(host)
        if provider is None or not provider.protects or host in self._flipping:
            return
        self._flipping[host] = None
        self.world.after(self.world.draw(FLIPS_AFTER), lambda: self._flip(host, provider))

    def _flip(self, host: "ContainerInstance", provider: CapacityProvider) -> None:
        """Protected while tasks that are no daemon's run on it, unprotected when empty (aws-facts 4.3)."""
        self._flipping.pop(host, None)
        group = self.sim.scaling.groups.get(provider.group or "")
        member = group.members.get(host.instance.id) if group is not None else None
        wanted = host.movable > 0
        if group is None or member is None or member.protected is wanted or not provider.protects:
            return
        try:
            self.sim.scaling.set_protection(group.name, [host.instance.id], wanted)
        except Refusal:
            if member.state.startswith("Pending"):
                self.load_changed(host)

    # managed draining

    def _hook_waits(self, group: str, instance: Instance, hook: str, token: str) -> None:  # noqa: ARG002
        if hook != HOOK or self.sim.conditions.termination_hook_stalls:
            return
        host = self.sim.clusters.by_instance.get(instance.id)
        if host is None:
            self.world.after(self.world.draw(EMPTY_IS_SEEN_AFTER), lambda: self._complete(group, instance.id))
            return
        self._draining[host] = group
        self.sim.clusters.set_status(host, "DRAINING")
        self.world.after(HOOK_HEARTBEAT / 2, lambda: self._beat(host))
        self.world.after(GIVES_UP, lambda: self._let_go(host))
        self.load_changed(host)

    def _beat(self, host: "ContainerInstance") -> None:
        if host not in self._draining:
            return
        try:
            self.sim.scaling.heartbeat(self._draining[host], HOOK, host.instance.id)
        except Refusal:
            self._draining.pop(host, None)
            return
        self.world.after(HOOK_HEARTBEAT / 2, lambda: self._beat(host))

    def _let_go_if_empty(self, host: "ContainerInstance") -> None:
        if not host.live:
            self._let_go(host)

    def _let_go(self, host: "ContainerInstance") -> None:
        group = self._draining.pop(host, None)
        if group is not None:
            self._complete(group, host.instance.id)

    def _complete(self, group: str, instance_id: str) -> None:
        try:
            self.sim.scaling.complete_hook(group, HOOK, instance_id, "CONTINUE")
        except Refusal:
            return  # somebody else was quicker
