"""Tasks without a service: RunTask and StartTask. No drain moves them (aws-facts 3.2)."""

from typing import TYPE_CHECKING, Any

from ecsroll.simulator.placement import Crowd, Room, strategies_of, unfit
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.cluster import Cluster, ContainerInstance
    from ecsroll.simulator.definitions import TaskDefinition
    from ecsroll.simulator.tasks import Task

__all__ = ["PROVISIONING_AT_MOST", "Standalone"]

PROVISIONING_AT_MOST = 500  # tasks a cluster (aws-facts 6.3)
# What RunTask and StartTask call it.
REASONS = {
    "has insufficient CPU units available": "RESOURCE:CPU",
    "has insufficient memory available": "RESOURCE:MEMORY",
    "is already using a port required by your task": "RESOURCE:PORTS",
    "has insufficient GPUs available": "RESOURCE:GPU",
    'encountered error "RESOURCE:ENI"': "RESOURCE:ENI",
    "doesn't have the agent connected": "AGENT",
    "is missing an attribute required by your task": "ATTRIBUTE",
    "does not satisfy the placement constraints of your task": "MemberOf placement constraint unsatisfied.",
}


Request = dict[str, Any]


class Standalone:
    """What people and other services start one by one."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world

    def run(
        self, cluster: "Cluster", definition: "TaskDefinition", request: Request, *, runs_for: float | None = None
    ) -> "tuple[list[Task], list[dict[str, str]]]":
        """RunTask: as many as fit, and a failure for each other."""
        provider = _provider(cluster, request)
        room = self._room(cluster, definition, request, provider)
        distinct = any(each["type"] == "distinctInstance" for each in _constraints(definition, request))
        strategies = strategies_of(request.get("placementStrategy") or (), service=False)
        started: list[Task] = []
        failures: list[dict[str, str]] = []
        for _ in range(int(request.get("count") or 1)):
            crowd = _crowd(cluster, _group(definition, request))
            host = room.choose(strategies, crowd, self.world.random, distinct=distinct)
            if host is None and not self._waits(cluster, provider):
                failures += _failures(cluster, room)
                continue
            task = self._create(cluster, definition, request, capacity_provider=provider, runs_for=runs_for)
            started.append(task)
            if host is None:
                cluster.provisioning[task] = None
            else:
                self.sim.tasks.place(task, host)
        return started, failures

    def _waits(self, cluster: "Cluster", provider: str | None) -> bool:
        """A capacity provider that scales takes tasks before there is room (aws-facts 4.4)."""
        if provider is None or not self.sim.providers.scales(cluster, provider):
            return False
        return len(cluster.provisioning) < PROVISIONING_AT_MOST

    def start_on(
        self, host: "ContainerInstance", definition: "TaskDefinition", request: Request, **members: Any
    ) -> "Task":
        """StartTask: one task on that host."""
        task = self._create(host.cluster, definition, request, **members)
        self.sim.tasks.place(task, host)
        return task

    def start_fargate(self, cluster: "Cluster", definition: "TaskDefinition", request: Request) -> "Task":
        """A task that needs none of the cluster's hosts: it is there, and that is all."""
        task = self._create(cluster, definition, request, launch_type="FARGATE")
        self.sim.tasks.place_elsewhere(task)
        return task

    def _create(self, cluster: "Cluster", definition: "TaskDefinition", request: Request, **members: Any) -> "Task":
        return self.sim.tasks.create(
            cluster,
            definition,
            group=_group(definition, request),
            started_by=request.get("startedBy"),
            overrides=request.get("overrides") or {},
            tags=list(request.get("tags") or ()),
            request=request,
            **members,
        )

    def room(self, task: "Task") -> Room:
        """Where a task that waits would fit."""
        return self._room(task.cluster, task.definition, task.request, task.capacity_provider)

    def _room(self, cluster: "Cluster", definition: "TaskDefinition", request: Request, provider: str | None) -> Room:
        return self.sim.clusters.room_for(cluster, definition, _constraints(definition, request), provider)

    def refusal(self, host: "ContainerInstance", definition: "TaskDefinition") -> str | None:
        """Why StartTask may not use a host; DRAINING ones are INACTIVE to it."""
        why = unfit(host, definition.needs, ())
        return None if why is None else REASONS.get(why, "INACTIVE")


def _group(definition: "TaskDefinition", request: Request) -> str:
    return request.get("group") or f"family:{definition.family}"


def _constraints(definition: "TaskDefinition", request: Request) -> list[dict[str, str]]:
    own = request.get("placementConstraints") or ()
    return [*own, *(definition.registered.get("placementConstraints") or ())]


def _provider(cluster: "Cluster", request: Request) -> str | None:
    """Without a launch type the cluster's default strategy decides; its heaviest provider stands for it."""
    if request.get("launchType"):
        return None
    items = request.get("capacityProviderStrategy") or cluster.default_strategy
    if not items:
        return None
    return str(max(items, key=lambda item: (item.get("base", 0), item.get("weight", 0)))["capacityProvider"])


def _crowd(cluster: "Cluster", group: str) -> Crowd:
    """Where the tasks of a group are."""
    crowd = Crowd()
    for task in cluster.tasks.values():
        if task.group == group and task.host is not None and task.desired_status == "RUNNING":
            crowd.add(task.host, 1)
    return crowd


def _failures(cluster: "Cluster", room: Room) -> list[dict[str, str]]:
    hosts = cluster.registered
    if not hosts:
        raise Refusal("InvalidParameterException", "No Container Instances were found in your cluster.")
    return [
        {"arn": host.arn, "reason": REASONS.get(unfit(host, room.needs, room.tests) or "", "INACTIVE")}
        for host in hosts
        if unfit(host, room.needs, room.tests) is not None
    ]
