"""Target groups: what a target goes through from its registration to the end of its deregistration delay."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.compute import Instance
from ecsroll.simulator.world import Refusal, Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecsroll.simulator import Simulation
    from ecsroll.simulator.tasks import Task

__all__ = ["Balancer", "LoadBalancer", "Target", "TargetGroup"]

DEFAULTS = {
    "deregistration_delay.timeout_seconds": "300",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "load_balancing.algorithm.type": "round_robin",
}
CHECKS = {
    "HealthCheckProtocol": "HTTP",
    "HealthCheckPort": "traffic-port",
    "HealthCheckEnabled": True,
    "HealthCheckIntervalSeconds": 30,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 5,
    "UnhealthyThresholdCount": 2,
    "HealthCheckPath": "/",
}
REASONS = {
    "initial": ("Elb.RegistrationInProgress", "Target registration is in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
    "unused": ("Target.NotRegistered", "Target is not registered to the target group"),
}


@dataclass(slots=True, eq=False)
class Target:
    """One (id, port) of a target group. ``watcher`` is told when its state changes."""

    group: "TargetGroup"
    id: str
    port: int
    state: str = "initial"  # initial, healthy, unhealthy, draining, unused
    failing: bool = False
    zone: str | None = None
    image_id: str | None = None
    watcher: "Callable[[Target], None] | None" = None
    timer: Timer | None = None

    @property
    def gone(self) -> bool:
        """Whether it is no longer in its group: its deregistration delay is over."""
        return self.state == "unused"


@dataclass(slots=True, eq=False)
class TargetGroup:
    """One target group."""

    arn: str
    name: str
    described: dict[str, Any]
    attributes: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    targets: dict[tuple[str, int], Target] = field(default_factory=dict)
    load_balancers: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def deregistration_delay(self) -> float:
        """Seconds for which a deregistered target drains: the whole of it, always (aws-facts 3.6)."""
        return float(self.attributes["deregistration_delay.timeout_seconds"])

    @property
    def target_type(self) -> str:
        """``instance`` or ``ip``."""
        return str(self.described.get("TargetType", "instance"))


@dataclass(slots=True, eq=False)
class LoadBalancer:
    """One load balancer: it has listeners, and that is all that matters here."""

    arn: str
    name: str
    described: dict[str, Any]
    listeners: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Balancer:
    """Every target group and load balancer of the account."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.groups: dict[str, TargetGroup] = {}
        """By ARN."""
        self.load_balancers: dict[str, LoadBalancer] = {}
        """By ARN."""
        self._of_instance: dict[str, dict[Target, None]] = {}
        self.world.listen("instance_stopping", self._instance_stops)

    # what there is

    def name(self, kind: str, *parts: str) -> str:
        """An ELB ARN."""
        account = f"{self.world.region}:{self.world.account}"
        return f"arn:aws:elasticloadbalancing:{account}:{kind}/{'/'.join(parts)}"

    def create_group(self, name: str, **described: Any) -> TargetGroup:
        """A target group; the same name again gives the one that is there."""
        for group in self.groups.values():
            if group.name == name:
                return group
        group = TargetGroup(self.name("targetgroup", name, self.world.hex(16)), name, {**CHECKS, **described})
        self.groups[group.arn] = group
        return group

    def create_load_balancer(self, name: str, **described: Any) -> LoadBalancer:
        """A load balancer; the same name again gives the one that is there."""
        for balancer in self.load_balancers.values():
            if balancer.name == name:
                return balancer
        made = LoadBalancer(self.name("loadbalancer", "app", name, self.world.hex(16)), name, described)
        self.load_balancers[made.arn] = made
        return made

    def listen(self, balancer: LoadBalancer, described: dict[str, Any]) -> str:
        """A listener that forwards to target groups; it ties them to the load balancer."""
        arn = f"{balancer.arn.replace(':loadbalancer/', ':listener/')}/{self.world.hex(16)}"
        balancer.listeners[arn] = described
        for group_arn in _forwards(described):
            group = self.group(group_arn)
            if balancer.arn not in group.load_balancers:
                group.load_balancers.append(balancer.arn)
        return arn

    def served_group(self, name: str, **described: Any) -> TargetGroup:
        """A target group behind a listener, in one step."""
        group = self.create_group(name, **{"Protocol": "HTTP", "Port": 80, "TargetType": "instance", **described})
        balancer = self.create_load_balancer("main", Scheme="internet-facing", Type="application")
        actions = [{"Type": "forward", "TargetGroupArn": group.arn}]
        self.listen(balancer, {"Port": 80, "Protocol": "HTTP", "DefaultActions": actions})
        return group

    def restore(self, arn: str, name: str, described: dict[str, Any]) -> TargetGroup:
        """A target group that was made elsewhere."""
        group = self.groups[arn] = TargetGroup(arn, name, {**CHECKS, **described})
        return group

    def put_target(self, group: TargetGroup, key: tuple[str, int], state: str, instance: Instance) -> Target:
        """A target that was registered elsewhere, in the state that it has by now."""
        target = Target(group, *key, state=state, zone=instance.zone, image_id=instance.image_id)
        target.failing = state == "unhealthy"
        group.targets[key] = target
        self._of_instance.setdefault(instance.id, {})[target] = None
        if state == "initial":
            delay = self.world.draw(self.world.durations.target_becomes_healthy)
            target.timer = self.world.after(delay, lambda: self._first_check(target))
        return target

    def group(self, arn: str) -> TargetGroup:
        """By ARN."""
        if arn not in self.groups:
            raise Refusal("TargetGroupNotFound", "One or more target groups not found")
        return self.groups[arn]

    # targets

    def register_task(self, wanted: dict[str, Any], task: "Task") -> Target:
        """Register a task where its service says: its own address with awsvpc, else instance and host port."""
        group = self.group(wanted["targetGroupArn"])
        host = task.host
        assert host is not None
        container, port = wanted.get("containerName"), int(wanted.get("containerPort", 0))
        if task.address is not None and group.target_type == "ip":
            found = self.register(group, task.address, port)
        else:
            bound = [
                to for need, to in task.bindings if need.container_port == port and container in (None, need.container)
            ]
            found = self.register(group, host.instance.id, bound[0] if bound else port)
        found.zone, found.image_id = host.zone, host.instance.image_id
        self._of_instance.setdefault(host.instance.id, {})[found] = None
        return found

    def register(self, group: TargetGroup, target_id: str, port: int) -> Target:
        """A target starts as ``initial``; one that drains comes back."""
        target = group.targets.get((target_id, port))
        if target is None:
            target = group.targets[target_id, port] = Target(group, target_id, port)
        elif target.state not in ("draining", "unused"):
            return target
        self._set(target, "initial")
        instance = self.sim.compute.instances.get(target_id)
        if instance is not None:
            target.zone, target.image_id = instance.zone, instance.image_id
            self._of_instance.setdefault(target_id, {})[target] = None
        # One passed check is enough for a new target (aws-facts 9).
        between = self.world.draw(self.world.durations.target_becomes_healthy)
        delay = between * group.described["HealthCheckIntervalSeconds"] / CHECKS["HealthCheckIntervalSeconds"]
        target.timer = self.world.after(delay, lambda: self._first_check(target))
        return target

    def _first_check(self, target: Target) -> None:
        if target.image_id in self.sim.conditions.images_whose_targets_stay_unhealthy:
            self.fail(target)
        else:
            target.failing = False
            self._set(target, "healthy")

    def fail(self, target: Target) -> None:
        """Its checks fail from now on: unhealthy after as many as the group wants."""
        checks = target.group.described
        delay = checks["UnhealthyThresholdCount"] * checks["HealthCheckIntervalSeconds"]
        self._cancel(target)
        target.timer = self.world.after(delay, lambda: self._failed(target))

    def recover(self, target: Target) -> None:
        """Its checks pass again: healthy only after the healthy threshold (aws-facts 9)."""
        checks = target.group.described
        delay = checks["HealthyThresholdCount"] * checks["HealthCheckIntervalSeconds"]
        self._cancel(target)
        target.timer = self.world.after(delay, lambda: self._first_check(target))

    def _failed(self, target: Target) -> None:
        target.failing = True
        self._set(target, "unhealthy")

    def deregister(self, target: Target) -> None:
        """No new requests from now on; ``unused`` when the deregistration delay is over."""
        if target.state in ("draining", "unused"):
            return
        self._cancel(target)
        self._set(target, "draining")
        delay = target.group.deregistration_delay
        target.timer = self.world.after(delay, lambda: self._unused(target))

    def _unused(self, target: Target) -> None:
        target.group.targets.pop((target.id, target.port), None)
        self._of_instance.get(target.id, {}).pop(target, None)
        target.failing = True  # whoever still counts on it, is wrong
        self._set(target, "unused")

    def _instance_stops(self, instance: Instance, reason: str) -> None:
        """ELB deregisters what was terminated; a stopped instance fails its checks."""
        for target in list(self._of_instance.get(instance.id, ())):
            if target.state in ("draining", "unused"):
                continue
            if reason == "terminated" and target.id == instance.id:
                self.deregister(target)
            else:
                self.fail(target)
        if reason == "terminated":
            self._of_instance.pop(instance.id, None)

    def _cancel(self, target: Target) -> None:
        if target.timer is not None:
            target.timer.cancel()
            target.timer = None

    def _set(self, target: Target, state: str) -> None:
        target.state = state
        if target.watcher is not None:
            target.watcher(target)


def _forwards(described: dict[str, Any]) -> list[str]:
    found = []
    for action in described.get("DefaultActions") or ():
        if action.get("TargetGroupArn"):
            found.append(action["TargetGroupArn"])
        found += [each["TargetGroupArn"] for each in action.get("ForwardConfig", {}).get("TargetGroups", ())]
    return found
