"""Task definitions: what a task asks of a container instance, and how long it takes to stop.

The record keeps what was registered, in AWS's own members, and reads off once what the laws need.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["Definitions", "Needs", "PortNeed", "TaskDefinition"]


@dataclass(frozen=True, slots=True)
class PortNeed:
    """A port mapping: host port 0 means that the agent picks one from the ephemeral range."""

    container: str
    container_port: int
    host_port: int
    protocol: str

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells it from the task's other ports."""
        return (self.container, self.container_port, self.protocol)


@dataclass(frozen=True, slots=True)
class Needs:
    """What placement filters by (aws-facts 8.1). Two tasks with equal needs fit on the same container instances."""

    cpu: int
    memory: int
    ports: tuple[tuple[int, str], ...] = ()
    gpus: int = 0
    enis: int = 0
    requires: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class TaskDefinition:
    """One revision of a family."""

    arn: str
    family: str
    revision: int
    registered: dict[str, Any]
    registered_at: float
    status: str = "ACTIVE"
    tags: list[dict[str, str]] = field(default_factory=list)
    needs: Needs = field(init=False)
    ports: tuple[PortNeed, ...] = field(init=False)
    health_check: dict[str, Any] | None = field(init=False)
    stop_timeout: float = field(init=False)
    restarts: dict[str, Any] | None = field(init=False)
    """The restart policy of the first essential container that has one."""

    def __post_init__(self) -> None:
        self.ports = tuple(_ports(self.registered))
        self.needs = _needs(self.registered, self.ports)
        self.health_check = next((c["healthCheck"] for c in self.containers if _checks(c)), None)
        policies = [c["restartPolicy"] for c in self.containers if c.get("restartPolicy") and c.get("essential", True)]
        self.restarts = next((policy for policy in policies if policy["enabled"]), None)
        # The agent's own ECS_CONTAINER_STOP_TIMEOUT is 30 s (aws-facts 3.6).
        self.stop_timeout = max((float(c.get("stopTimeout", 30)) for c in self.containers), default=30.0)

    @property
    def containers(self) -> list[dict[str, Any]]:
        """The container definitions."""
        return list(self.registered["containerDefinitions"])

    @property
    def network_mode(self) -> str:
        """``bridge`` where nothing is said."""
        return str(self.registered.get("networkMode") or "bridge")

    @property
    def awsvpc(self) -> bool:
        """Whether each task has a network interface of its own."""
        return self.network_mode == "awsvpc"

    def label(self, name: str) -> float | None:
        """A number in a docker label ``simulated.<name>``: how a definition tells the simulator of its ways."""
        for container in self.containers:
            value = (container.get("dockerLabels") or {}).get(f"simulated.{name}")
            if value is not None:
                return float(value)
        return None


def _checks(container: dict[str, Any]) -> bool:
    return bool(container.get("healthCheck")) and bool(container.get("essential", True))


def _ports(registered: dict[str, Any]) -> list[PortNeed]:
    host_mode = registered.get("networkMode") in ("host", "awsvpc")
    return [
        PortNeed(
            container["name"],
            int(mapping["containerPort"]),
            int(mapping.get("hostPort", 0)) or (int(mapping["containerPort"]) if host_mode else 0),
            mapping.get("protocol", "tcp"),
        )
        for container in registered["containerDefinitions"]
        for mapping in container.get("portMappings") or ()
        if "containerPort" in mapping  # else it is a containerPortRange, which no target group takes
    ]


def _needs(registered: dict[str, Any], ports: tuple[PortNeed, ...]) -> Needs:
    containers = registered["containerDefinitions"]
    awsvpc = registered.get("networkMode") == "awsvpc"
    fixed = () if awsvpc else tuple(sorted({(p.host_port, p.protocol) for p in ports if p.host_port}))
    cpu = int(registered["cpu"]) if registered.get("cpu") else sum(int(c.get("cpu") or 0) for c in containers)
    memory = int(registered["memory"]) if registered.get("memory") else sum(map(_reserved, containers))
    gpus = sum(_gpus(c) for c in containers)
    return Needs(cpu, memory, fixed, gpus, 1 if awsvpc else 0, _requires(registered))


def _reserved(container: dict[str, Any]) -> int:
    # The soft limit is what is taken from the instance; the hard limit only where there is no soft one.
    return int(container.get("memoryReservation") or container.get("memory") or 0)


def _gpus(container: dict[str, Any]) -> int:
    wanted = container.get("resourceRequirements") or ()
    return sum(int(resource["value"]) for resource in wanted if resource["type"] == "GPU")


def _requires(registered: dict[str, Any]) -> tuple[str, ...]:
    """Attributes that a container instance must have, as far as they are modelled."""
    names = []
    if registered.get("networkMode") == "awsvpc":
        names.append("ecs.capability.task-eni")
    if registered.get("taskRoleArn"):
        names.append("com.amazonaws.ecs.capability.task-iam-role")
    for container in registered["containerDefinitions"]:
        driver = (container.get("logConfiguration") or {}).get("logDriver")
        if driver:
            names.append(f"com.amazonaws.ecs.capability.logging-driver.{driver}")
    return tuple(sorted(set(names)))


class Definitions:
    """Every task definition of the account."""

    def __init__(self, sim: "Simulation") -> None:
        self.world = sim.world
        self.families: dict[str, list[TaskDefinition]] = {}

    def register(self, request: dict[str, Any]) -> TaskDefinition:
        """A new revision of a family."""
        family = request["family"]
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", family):
            raise Refusal("ClientException", f"Invalid family name: {family}")
        if not request.get("containerDefinitions"):
            raise Refusal("ClientException", "Container list cannot be empty.")
        _check_memory(request)
        revisions = self.families.setdefault(family, [])
        revision = len(revisions) + 1
        arn = f"arn:aws:ecs:{self.world.region}:{self.world.account}:task-definition/{family}:{revision}"
        registered = {key: value for key, value in request.items() if key != "tags"}
        made = TaskDefinition(arn, family, revision, registered, self.world.now, tags=request.get("tags", []))
        revisions.append(made)
        return made

    def find(self, name: str) -> TaskDefinition:
        """By ARN, ``family:revision`` or family (its newest ACTIVE revision)."""
        family, _, revision = name.rpartition("/")[2].partition(":")
        revisions = self.families.get(family, [])
        if revision:
            found = next((one for one in revisions if str(one.revision) == revision), None)
        else:
            found = next((one for one in reversed(revisions) if one.status == "ACTIVE"), None)
        if found is None:
            raise Refusal("ClientException", "Unable to describe task definition.")
        return found

    def usable(self, name: str) -> TaskDefinition:
        """To start tasks from: it must be ACTIVE."""
        try:
            found = self.find(name)
        except Refusal as no:
            raise Refusal("ClientException", "TaskDefinition not found.") from no
        if found.status != "ACTIVE":
            raise Refusal("ClientException", "TaskDefinition is inactive")
        return found


def _check_memory(request: dict[str, Any]) -> None:
    if request.get("memory"):
        return
    for container in request["containerDefinitions"]:
        if not _reserved(container):
            raise Refusal(
                "ClientException",
                f"Invalid setting for container '{container['name']}'. "
                "At least one of 'memory' or 'memoryReservation' must be specified.",
            )
