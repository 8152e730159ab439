"""What a service is, and where each of its tasks stands: kept up to date task by task, never counted afresh."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.definitions import TaskDefinition
from ecsroll.simulator.placement import ZONE, Crowd, Strategy, strategies_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecsroll.simulator.cluster import Cluster, ContainerInstance
    from ecsroll.simulator.tasks import Task

__all__ = ["Deployment", "Service"]

Crowded = "dict[Task, None]"
SUPPRESSED = 6 * 3600.0  # the same message again is kept back for up to six hours (aws-facts 8.5)


@dataclass(slots=True, eq=False)
class Deployment:
    """One deployment. A drain creates none: its rolloutState stays COMPLETED (aws-facts 8.5)."""

    id: str
    definition: TaskDefinition
    created_at: float
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    rollout_reason: str = ""
    failed: int = 0
    updated_at: float = 0.0
    tasks: "dict[Task, None]" = field(default_factory=dict)
    """Those that shall run."""


@dataclass(slots=True, eq=False)
class Service:
    """One service and its books."""

    arn: str
    name: str
    cluster: "Cluster"
    request: dict[str, Any]
    """What it was created with, and updated since, in AWS's members."""
    created_at: float
    desired: int
    status: str = "ACTIVE"
    swapped: bool = False
    """Blue/green by ECS itself: after every other deployment the tasks are in the alternate target groups, while the
    service goes on showing the same two (terraform-provider-aws#45678)."""
    deployments: list[Deployment] = field(default_factory=list)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=100))
    said: dict[str, float] = field(default_factory=dict)
    steady: bool = False
    due: bool = False
    """It will be looked at soon."""
    failures: int = 0
    """Tasks in a row that never ran: each delays the next start."""
    held_until: float = 0.0
    tags: list[dict[str, str]] = field(default_factory=list)
    crowd: Crowd = field(default_factory=Crowd)
    tasks: "dict[Task, None]" = field(default_factory=dict)
    """Those whose desiredStatus is RUNNING."""
    pending: "dict[Task, None]" = field(default_factory=dict)
    healthy: "dict[Task, None]" = field(default_factory=dict)
    leaving: "dict[Task, None]" = field(default_factory=dict)
    """Those on DRAINING hosts."""
    sick: "dict[Task, None]" = field(default_factory=dict)
    moving: "dict[Task, None]" = field(default_factory=dict)
    """Those that AZ rebalancing moves."""
    old: "dict[Task, None]" = field(default_factory=dict)
    """Those of an earlier deployment."""
    started: "list[Task]" = field(default_factory=list)
    stopped: "list[Task]" = field(default_factory=list)
    """What the scheduler did in this look, to be told in its events."""
    visible: "dict[Task, None]" = field(default_factory=dict)
    dirty_hosts: "dict[ContainerInstance, None]" = field(default_factory=dict)
    """A daemon's: the hosts to look at."""
    matching: "dict[ContainerInstance, None]" = field(default_factory=dict)
    """A daemon's: the hosts where it belongs."""

    # what it asks for

    @property
    def primary(self) -> Deployment:
        """The newest deployment."""
        return self.deployments[0]

    @property
    def daemon(self) -> bool:
        """One task a host."""
        return bool(self.request.get("schedulingStrategy") == "DAEMON")

    @property
    def controller(self) -> str:
        """ECS, CODE_DEPLOY or EXTERNAL."""
        return str((self.request.get("deploymentController") or {}).get("type") or "ECS")

    @property
    def fargate(self) -> bool:
        """Whether its tasks need none of the cluster's hosts."""
        providers = {item["capacityProvider"] for item in self.strategy_items}
        return self.launch_type == "FARGATE" or bool(providers & {"FARGATE", "FARGATE_SPOT"})

    @property
    def launch_type(self) -> str | None:
        """None where a capacity provider strategy decides."""
        if self.strategy_items:
            return None
        return str(self.request.get("launchType") or "EC2")

    @property
    def strategy_items(self) -> list[dict[str, Any]]:
        """The capacity provider strategy."""
        return list(self.request.get("capacityProviderStrategy") or ())

    @property
    def load_balancers(self) -> list[dict[str, Any]]:
        """Where its tasks are registered."""
        return list(self.request.get("loadBalancers") or ())

    @property
    def registered_with(self) -> list[dict[str, Any]]:
        """The target groups that its tasks are in now, each as in ``load_balancers``."""
        shown = [entry for entry in self.load_balancers if "targetGroupArn" in entry]
        if not self.swapped:
            return shown
        others = [(entry.get("advancedConfiguration") or {}).get("alternateTargetGroupArn") for entry in shown]
        return [
            {**entry, "targetGroupArn": other or entry["targetGroupArn"]}
            for entry, other in zip(shown, others, strict=True)
        ]

    @property
    def grace(self) -> float:
        """Seconds after RUNNING in which failed checks do not count (default 0: aws-facts 8.3)."""
        return float(self.request.get("healthCheckGracePeriodSeconds") or 0)

    @property
    def constraints(self) -> list[dict[str, str]]:
        """Its own placement constraints and its task definition's."""
        own = self.request.get("placementConstraints") or ()
        return [*own, *(self.primary.definition.registered.get("placementConstraints") or ())]

    @property
    def distinct(self) -> bool:
        """One task a host at most."""
        return any(each["type"] == "distinctInstance" for each in self.constraints)

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """How a host is chosen."""
        return strategies_of(self.request.get("placementStrategy") or (), service=True)

    @property
    def percents(self) -> tuple[int, int]:
        """(minimumHealthyPercent, maximumPercent); 100/200, a daemon's 0/100 (aws-facts 3.3)."""
        said = self.request.get("deploymentConfiguration") or {}
        low, high = (0, 100) if self.daemon else (100, 200)
        if self.controller != "ECS":
            return low, high  # not configurable there, and bounds in a drain only (aws-facts 3.2)
        return int(said.get("minimumHealthyPercent", low)), int(said.get("maximumPercent", high))

    @property
    def rebalanced(self) -> bool:
        """AZ rebalancing: on where nothing is said and the service is fit for it (aws-facts 8.4)."""
        said = self.request.get("availabilityZoneRebalancing")
        fit = not self.daemon and self.percents[1] > 100 and self.strategies[0] == ("spread", ZONE)
        pinned = any("availability-zone" in each.get("expression", "") for each in self.constraints)
        return fit and not pinned if said is None else bool(said == "ENABLED")

    @property
    def lower(self) -> int:
        """Healthy tasks that must stay: rounded up."""
        return math.ceil(self.desired * self.percents[0] / 100)

    @property
    def upper(self) -> int:
        """RUNNING and PENDING tasks that may be: rounded down."""
        return self.desired * self.percents[1] // 100

    # the books

    def note(self, task: "Task") -> None:
        """Write down where a task stands now."""
        wanted = task.desired_status == "RUNNING"
        self._count(task, wanted)
        running = task.last_status == "RUNNING"
        _keep(self.pending, task, wanted and not running)
        _keep(self.healthy, task, wanted and running and task.healthy)
        _keep(self.leaving, task, wanted and task.host is not None and task.host.status == "DRAINING")
        _keep(self.sick, task, wanted and task.sick is not None)
        _keep(self.old, task, wanted and task.deployment is not self.primary)
        _keep(self.moving, task, wanted and task in self.moving)

    def _count(self, task: "Task", wanted: bool) -> None:
        if task.deployment is not None:
            _keep(task.deployment.tasks, task, wanted)
        if wanted and task not in self.tasks:
            self.tasks[task] = None
        elif not wanted and task in self.tasks:
            del self.tasks[task]
            if task.host is not None:
                self.crowd.add(task.host, -1)

    def placed(self, task: "Task") -> None:
        """A task has got a host."""
        if task.host is not None:
            self.crowd.add(task.host, 1)

    def replaceable(self) -> "dict[Task, None]":
        """The tasks that shall be replaced: draining, unhealthy, of an earlier deployment, or in a crowded zone."""
        return {**self.leaving, **self.sick, **self.old, **self.moving}

    def first_to_go(self, tasks: "list[Task]") -> "list[Task]":
        """In which order tasks are stopped: the zone, then the host, with most of them (aws-facts 3.3)."""
        zones, hosts = dict(self.crowd.zones), dict(self.crowd.hosts)
        packs = next((on for kind, on in self.strategies[:1] if kind == "binpack"), None)

        def rank(task: "Task") -> tuple[float, ...]:
            if task.host is None:
                return (-1.0,)
            if packs is not None:
                # A binpacked service leaves the host that has most of the resource free afterwards.
                free = task.host.free_cpu if packs.lower() == "cpu" else task.host.free_memory
                return (0.0, float(-free))
            return (0.0, -zones.get(task.host.zone, 0), -hosts.get(task.host, 0))

        return _one_by_one(tasks, rank, zones, hosts)


def _one_by_one(
    tasks: "list[Task]",
    rank: "Callable[[Task], tuple[float, ...]]",
    zones: dict[str, int],
    hosts: "dict[ContainerInstance, int]",
) -> "list[Task]":
    """Sort, counting down as each goes; long lists are sorted once, which is near enough and quick."""
    if len(tasks) > 50:
        return sorted(tasks, key=rank)
    left = list(tasks)
    ordered: list[Task] = []
    while left:
        worst = min(left, key=rank)
        left.remove(worst)
        ordered.append(worst)
        if worst.host is not None:
            zones[worst.host.zone] = zones.get(worst.host.zone, 0) - 1
            hosts[worst.host] = hosts.get(worst.host, 0) - 1
    return ordered


def _keep(book: "dict[Task, None]", task: "Task", belongs: bool) -> None:
    if belongs:
        book[task] = None
    else:
        book.pop(task, None)
