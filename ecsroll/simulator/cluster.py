"""ECS clusters and their container instances: registration, status, attributes, agents, and how they end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.compute import Instance
from ecsroll.simulator.definitions import TaskDefinition
from ecsroll.simulator.instance_types import InstanceType
from ecsroll.simulator.placement import Room, Rooms
from ecsroll.simulator.query import MISSING, parse
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.services import Service
    from ecsroll.simulator.tasks import Task

__all__ = ["Cluster", "Clusters", "ContainerInstance", "Failure"]

Failure = dict[str, str]
BoundPort = tuple[str, int, str]
CAPABILITIES = (
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.docker-remote-api.1.17",
    "com.amazonaws.ecs.capability.docker-remote-api.1.24",
    "com.amazonaws.ecs.capability.docker-remote-api.1.44",
    "com.amazonaws.ecs.capability.ecr-auth",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "com.amazonaws.ecs.capability.logging-driver.awsfirelens",
    "com.amazonaws.ecs.capability.logging-driver.awslogs",
    "com.amazonaws.ecs.capability.logging-driver.fluentd",
    "com.amazonaws.ecs.capability.logging-driver.gelf",
    "com.amazonaws.ecs.capability.logging-driver.journald",
    "com.amazonaws.ecs.capability.logging-driver.json-file",
    "com.amazonaws.ecs.capability.logging-driver.none",
    "com.amazonaws.ecs.capability.logging-driver.splunk",
    "com.amazonaws.ecs.capability.logging-driver.syslog",
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.task-eni",
    "ecs.capability.secrets.asm.environment-variables",
    "ecs.capability.secrets.ssm.environment-variables",
)
RESERVED_PORTS = (22, 2375, 2376, 51678, 51679)
MAX_CUSTOM_ATTRIBUTES = 10
INACTIVE_STAYS = 3600.0  # a deregistered container instance can be described for about an hour (aws-facts 6.6)
FORCED = "Container instance deregistration forced by user"


@dataclass(slots=True, eq=False)
class ContainerInstance:
    """One host of a cluster, as ECS knows it."""

    arn: str
    id: str
    cluster: "Cluster"
    instance: Instance
    registered_at: float
    cpu: int
    memory: int
    gpus: int
    enis: int
    number: int
    """The how-manieth of its cluster: an order that does not depend on chance."""
    status: str = "ACTIVE"
    agent_connected: bool = True
    agent_version: str = "1.107.0"
    runtime_version: str = "DockerVersion: 25.0.16"
    version: int = 1
    attributes: dict[str, str | None] = field(default_factory=dict)
    custom: dict[str, str | None] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)
    """What ECS answers of it that never changes: it is asked for in every round of a roll."""
    capacity_provider: str | None = None
    tags: list[dict[str, str]] = field(default_factory=list)
    live: "dict[Task, None]" = field(default_factory=dict)
    """Tasks that are not STOPPED: they hold resources."""
    visible: "dict[Task, None]" = field(default_factory=dict)
    """Those and the stopped ones that can still be described."""
    unsettled: "dict[Service, None]" = field(default_factory=dict)
    """DAEMON services that have not looked here yet: they go first (aws-facts 8.1)."""
    backlog: "list[Task]" = field(default_factory=list)
    """Tasks whose next step waits for the agent."""
    ports: dict[tuple[int, str], str] = field(default_factory=dict)
    used_cpu: int = 0
    used_memory: int = 0
    used_gpus: int = 0
    used_enis: int = 0
    movable: int = 0
    """How many of the live tasks are no daemon's."""
    next_port: int = 32768

    @property
    def zone(self) -> str:
        """Its availability zone."""
        return self.instance.zone

    @property
    def open(self) -> bool:
        """Whether tasks may be placed here (aws-facts 8.1)."""
        return self.status == "ACTIVE" and self.agent_connected

    @property
    def free_cpu(self) -> int:
        """CPU units left."""
        return self.cpu - self.used_cpu

    @property
    def free_memory(self) -> int:
        """MiB left."""
        return self.memory - self.used_memory

    def count(self, *, pending: bool) -> int:
        """RunningTasksCount or pendingTasksCount. Trap: tasks told to stop are in neither (aws-facts 3.4)."""
        return sum(
            task.desired_status == "RUNNING" and (task.last_status != "RUNNING") is pending for task in self.live
        )

    def attribute(self, name: str) -> object:
        """An attribute's value, MISSING if it has none of that name."""
        if name in self.custom:
            return self.custom[name]
        return self.attributes.get(name, MISSING)

    def fact(self, subject: str) -> object:
        """What the cluster query language may ask."""
        if subject.startswith("attribute:"):
            return self.attribute(subject.removeprefix("attribute:"))
        match subject:
            case "ec2InstanceId":
                return self.instance.id
            case "agentConnected":
                return self.agent_connected
            case "agentVersion":
                return self.agent_version
            case "runningTasksCount":
                return self.count(pending=False)
            case "registeredAt":
                return int(self.registered_at)
            case _:
                return [task.group for task in self.live if task.desired_status == "RUNNING"]

    def reserve(self, task: "Task", bound: "Mapping[BoundPort, int] | None" = None) -> None:
        """Take what a task needs; the agent picks the ports that the definition leaves open.

        ``bound``: host ports that were picked already, by container, its port and the protocol.
        """
        needs = task.definition.needs
        self.used_cpu += needs.cpu
        self.used_memory += needs.memory
        self.used_gpus += needs.gpus
        self.used_enis += needs.enis
        self.live[task] = None
        self.visible[task] = None
        self.movable += not task.daemon
        if not task.definition.awsvpc:
            known = bound or {}
            task.bindings = [
                (port, self._bind(known.get(port.key, port.host_port), port.protocol, task))
                for port in task.definition.ports
            ]
        self.version += 1

    def _bind(self, wanted: int, protocol: str, task: "Task") -> int:
        while not wanted:
            self.next_port = self.next_port + 1 if self.next_port < 60999 else 32769
            if (self.next_port, protocol) not in self.ports:
                wanted = self.next_port
        self.ports[wanted, protocol] = task.id
        return wanted

    def release(self, task: "Task") -> None:
        """Give back what a task held."""
        if task not in self.live:
            return
        needs = task.definition.needs
        self.used_cpu -= needs.cpu
        self.used_memory -= needs.memory
        self.used_gpus -= needs.gpus
        self.used_enis -= needs.enis
        del self.live[task]
        self.movable -= not task.daemon
        for port, bound in task.bindings:
            self.ports.pop((bound, port.protocol), None)
        self.version += 1


@dataclass(slots=True, eq=False)
class Cluster:
    """One cluster. ``rooms`` is where placement keeps what it knows."""

    arn: str
    name: str
    status: str = "ACTIVE"
    hosts: dict[str, ContainerInstance] = field(default_factory=dict)
    """By id; INACTIVE ones too, for an hour."""
    tasks: "dict[str, Task]" = field(default_factory=dict)
    services: "dict[str, Service]" = field(default_factory=dict)
    capacity_providers: list[str] = field(default_factory=list)
    default_strategy: list[dict[str, Any]] = field(default_factory=list)
    settings: list[dict[str, str]] = field(default_factory=list)
    tags: list[dict[str, str]] = field(default_factory=list)
    rooms: Rooms = field(default_factory=Rooms)
    daemons: "dict[Service, None]" = field(default_factory=dict)
    waiting: "dict[Service, None]" = field(default_factory=dict)
    """Services that found no room: looked at again when there is some."""
    provisioning: "dict[Task, None]" = field(default_factory=dict)
    running: int = 0
    pending: int = 0
    registrations: int = 0

    @property
    def registered(self) -> list[ContainerInstance]:
        """The container instances that are not gone."""
        return [host for host in self.hosts.values() if host.status != "INACTIVE"]


class Clusters:
    """Every cluster of the account, and the laws of container instances."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.clusters: dict[str, Cluster] = {}
        self.by_instance: dict[str, ContainerInstance] = {}
        """The container instance of each EC2 instance, as long as it is registered."""
        self.world.listen("instance_running", self._boots)
        self.world.listen("instance_stopping", self._instance_stops)
        self.born_with: dict[str, dict[str, str | None]] = {}
        """Custom attributes that a group's hosts register with (``ECS_INSTANCE_ATTRIBUTES``)."""
        self.able_to: dict[str, dict[str, str | None]] = {}
        """Capabilities that a group's agents register besides the usual ones."""
        self._without_agent: set[str] = set()

    # clusters

    def create(self, name: str = "default", **members: Any) -> Cluster:
        """A cluster; the same name again gives the one that is there."""
        found = self.clusters.get(name)
        if found is not None and found.status == "ACTIVE":
            return found
        made = Cluster(self.name("cluster", name), name, **members)
        self.clusters[name] = made
        return made

    def find(self, name: str | None) -> Cluster:
        """By name or ARN; None is the default one."""
        found = self.clusters.get((name or "default").rpartition("/")[2])
        if found is None or found.status == "INACTIVE":
            raise Refusal("ClusterNotFoundException", "Cluster not found.")
        return found

    def delete(self, cluster: Cluster) -> None:
        """Only an empty one goes."""
        if cluster.registered:
            raise Refusal(
                "ClusterContainsContainerInstancesException",
                "The Cluster cannot be deleted while Container Instances are active or draining.",
            )
        if any(service.status != "INACTIVE" for service in cluster.services.values()):
            raise Refusal(
                "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
            )
        if any(task.last_status != "STOPPED" for task in cluster.tasks.values()):
            raise Refusal("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
        cluster.status = "INACTIVE"

    def name(self, kind: str, *parts: str) -> str:
        """An ECS ARN."""
        return f"arn:aws:ecs:{self.world.region}:{self.world.account}:{kind}/{'/'.join(parts)}"

    def host(self, cluster: Cluster, name: str) -> ContainerInstance | None:
        """A container instance by id or ARN."""
        return cluster.hosts.get(name.rpartition("/")[2])

    def hosts(self, cluster: Cluster, names: Iterable[str]) -> tuple[list[ContainerInstance], list[Failure]]:
        """The container instances of those names, and what is missing."""
        found: list[ContainerInstance] = []
        failures: list[Failure] = []
        for name in names:
            host = self.host(cluster, name)
            if host is None:
                failures.append({"arn": self._arn(cluster, name), "reason": "MISSING"})
            else:
                found.append(host)
        return found, failures

    def _arn(self, cluster: Cluster, name: str) -> str:
        return name if name.startswith("arn:") else self.name("container-instance", cluster.name, name)

    # registration

    def _boots(self, instance: Instance) -> None:
        if instance.cluster is None or instance.image_id in self.sim.conditions.images_that_never_register:
            return
        delay = self.world.draw(self.world.durations.register(instance.group))
        self.world.after(delay, lambda: self.agent_starts(instance))

    def agent_starts(self, instance: Instance) -> None:
        """The agent comes up: it registers its host, or is back."""
        if instance.state != "running":
            return
        known = self.by_instance.get(instance.id)
        if known is not None:
            self.connect(known, connected=True)
        elif instance.cluster in self.clusters and self.clusters[instance.cluster].status == "ACTIVE":
            self.register(instance, self.clusters[instance.cluster])

    def register(self, instance: Instance, cluster: Cluster) -> ContainerInstance:
        """What the agent does when it comes up."""
        kind = self.sim.compute.type_of(instance.type) or InstanceType(instance.type, 2, 4096, instance.architecture, 3)
        image = self.sim.images.get(instance.image_id)
        host_id = self.world.hex(32)
        cluster.registrations += 1
        made = ContainerInstance(
            arn=self.name("container-instance", cluster.name, host_id),
            id=host_id,
            cluster=cluster,
            instance=instance,
            registered_at=self.world.now,
            cpu=kind.vcpus * 1024,
            memory=kind.usable_mib,
            gpus=kind.gpus,
            enis=kind.network_interfaces - 1,
            number=cluster.registrations,
            attributes=self._built_in(instance, kind),
            custom={**instance.attributes, **self.born_with.get(instance.group or "", {})},
            capacity_provider=self.sim.providers.of_group(cluster, instance.group),
            agent_connected=self._agent_answers(instance),
        )
        if image is not None and image.agent:
            made.agent_version, made.runtime_version = image.agent, image.runtime.replace(" version ", "Version: ")
        cluster.hosts[made.id] = made
        self.by_instance[instance.id] = made
        made.unsettled.update(self.sim.scheduler.daemons_of(made))
        self.world.tell("container_instance_registered", container_instance=made)
        self.room_gained(made)
        self.sim.providers.load_changed(made)
        return made

    def _built_in(self, instance: Instance, kind: InstanceType) -> dict[str, str | None]:
        return {
            "ecs.ami-id": instance.image_id,
            "ecs.availability-zone": instance.zone,
            "ecs.cpu-architecture": kind.architecture,
            "ecs.instance-type": instance.type,
            "ecs.os-family": "LINUX",
            "ecs.os-type": "linux",
            "ecs.subnet-id": instance.subnet_id,
            "ecs.vpc-id": self.sim.compute.vpc_id,
            **dict.fromkeys(CAPABILITIES),
            **self.able_to.get(instance.group or "", {}),
        }

    # agents

    def _agent_answers(self, instance: Instance) -> bool:
        conditions = self.sim.conditions
        return (
            instance.id not in conditions.instances_without_agent
            and instance.image_id not in conditions.images_whose_agent_never_connects
        )

    def connect(self, host: ContainerInstance, *, connected: bool) -> None:
        """An agent comes or goes. Agents do so several times an hour on a calm day (aws-facts 3.7)."""
        may = connected and host.instance.state == "running" and self._agent_answers(host.instance)
        if host.agent_connected == may or host.status == "INACTIVE":
            return
        host.agent_connected = may
        host.version += 1
        self.room_changed(host)
        if may:
            host.unsettled.update(self.sim.scheduler.daemons_of(host))
            self.sim.tasks.agent_returns(host)
            self.room_gained(host)

    def flap(self, host: ContainerInstance, seconds: float) -> None:
        """The agent goes away for a while."""
        self.connect(host, connected=False)
        self.world.after(seconds, lambda: self.connect(host, connected=True))

    def check_agents(self) -> None:
        """Follow what the conditions say of agents: called before anything is read or scheduled."""
        wanted = self.sim.conditions.instances_without_agent
        if wanted == self._without_agent:
            return
        changed = sorted(wanted ^ self._without_agent)
        self._without_agent = set(wanted)
        for instance_id in changed:
            if instance_id in self.by_instance:
                self.connect(self.by_instance[instance_id], connected=instance_id not in wanted)

    # status

    def set_status(self, host: ContainerInstance, status: str) -> Failure | None:
        """ACTIVE or DRAINING; a failure where the host is in no state for it (aws-facts 3.1)."""
        if host.status not in ("ACTIVE", "DRAINING"):
            return {"arn": host.arn, "reason": "INACTIVE", "detail": f"The container instance is {host.status}."}
        if host.status == status:
            return None
        host.status = status
        host.version += 1
        self.world.tell("container_instance_status", container_instance=host, status=status)
        self.room_changed(host)
        for task in list(host.live):
            self.sim.scheduler.task_changed(task)
        self.sim.scheduler.host_changed(host)
        if status == "ACTIVE":
            host.unsettled.update(self.sim.scheduler.daemons_of(host))
            self.room_gained(host)
        return None

    # the end

    def _instance_stops(self, instance: Instance, reason: str) -> None:
        self.check_agents()
        host = self.by_instance.get(instance.id)
        if host is None:
            return
        heard = host.agent_connected
        self.world.after(self.world.draw((1, 5)), lambda: self.connect(host, connected=False))
        if not heard:
            return  # A host whose agent is away leaves a zombie behind (aws-facts 3.8).
        delay = self.world.draw(self.world.durations.container_instance_vanishes)
        self.world.after(delay, lambda: self._lost(host, reason))

    def _lost(self, host: ContainerInstance, reason: str) -> None:
        if host.status == "INACTIVE" or host.instance.state == "running":
            return
        why = f"Host EC2 (instance {host.instance.id}) {reason}."
        for task in list(host.live):
            self.sim.tasks.lost(task, "TerminationNotice", why)
        if reason == "terminated":
            self._leave(host)

    def deregister(self, host: ContainerInstance, *, force: bool) -> None:
        """Take it out for good; with tasks on it only by force, and then they run on unseen (aws-facts 3.8)."""
        if host.status == "INACTIVE":
            raise Refusal("InvalidParameterException", "The container instance is not registered in the cluster.")
        # Trap: a task that is already told to stop is not counted, so this does not wait for it (aws-facts 3.4).
        if not force and (host.count(pending=False) or host.count(pending=True)):
            raise Refusal("InvalidParameterException", "Found running tasks on the instance.")
        for task in list(host.live):
            task.orphaned = host.instance.state == "running"
            self.sim.tasks.lost(task, None, FORCED)
        self._leave(host)

    def _leave(self, host: ContainerInstance) -> None:
        host.status, host.agent_connected = "INACTIVE", False
        host.version += 1
        self.by_instance.pop(host.instance.id, None)
        self.world.tell("container_instance_left", container_instance=host)
        self.room_changed(host)
        self.sim.scheduler.host_changed(host)
        self.world.after(INACTIVE_STAYS, lambda: self._forget(host))

    def _forget(self, host: ContainerInstance) -> None:
        host.cluster.hosts.pop(host.id, None)

    # attributes

    def put_attribute(self, host: ContainerInstance, name: str, value: str | None) -> None:
        """A custom attribute; ten at most, and the built-in ones are not to be touched."""
        if name in host.attributes:
            raise Refusal("InvalidParameterException", f"The attribute {name} is reserved.")
        if name not in host.custom and len(host.custom) >= MAX_CUSTOM_ATTRIBUTES:
            raise Refusal("AttributeLimitExceededException", "You can have at most 10 custom attributes per resource.")
        host.custom[name] = value
        self._attributes_changed(host)

    def delete_attribute(self, host: ContainerInstance, name: str) -> None:
        """Take a custom attribute away; one that is not there is no error."""
        host.custom.pop(name, None)
        self._attributes_changed(host)

    def _attributes_changed(self, host: ContainerInstance) -> None:
        host.version += 1
        self.sim.scheduler.host_changed(host)
        self.room_gained(host)

    # room

    def room_changed(self, host: ContainerInstance) -> None:
        """Placement must look at this host again."""
        host.cluster.rooms.changed(host)

    def room_gained(self, host: ContainerInstance) -> None:
        """It may take tasks now that it could not take before."""
        self.room_changed(host)
        if host.open:
            self.sim.scheduler.host_changed(host)
            self.sim.scheduler.wake(host.cluster)

    def room_for(
        self, cluster: Cluster, definition: TaskDefinition, constraints: Iterable[dict[str, str]], provider: str | None
    ) -> Room:
        """Where a task of that definition fits; kept up to date by what changes."""
        expressions = tuple(c["expression"] for c in constraints if c["type"] == "memberOf")
        key = (definition.needs, expressions, provider)
        return cluster.rooms.of(key, lambda: ([parse(each) for each in expressions], cluster.registered))

    def registered_at(self, host: ContainerInstance) -> Any:
        """The time of day it registered."""
        return self.world.epoch + timedelta(seconds=host.registered_at)
