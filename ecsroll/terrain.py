"""What the ground is like before a roll: everything beyond a Snapshot that findings and the forecast need. Pure data.

It is read once (``explore.py``), never each round. ``said`` is the answer of AWS that a fact was read from, for whoever
needs a member of it that has no name here. Times are aware datetimes, durations timedeltas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from ecsroll.ledger import Roll
from ecsroll.model import Finding

__all__ = [
    "ActivityFacts",
    "DefinitionFacts",
    "GroupFacts",
    "HookFacts",
    "HostFacts",
    "Port",
    "ProviderFacts",
    "RefreshFacts",
    "Resources",
    "RollFacts",
    "ServiceEvent",
    "ServiceFacts",
    "Target",
    "TargetGroupFacts",
    "TaskFacts",
    "TemplateFacts",
    "Terrain",
    "TypeFacts",
    "VolumeFacts",
    "WarmPoolFacts",
]

Said = Mapping[str, Any]
Port = tuple[int, str]
"""A host port and its protocol, ``tcp`` or ``udp``."""
Target = tuple[str, int]
"""An instance's id or an address, and a port."""


# Hosts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What placement counts. CPU in units of 1/1024 vCPU, memory in MiB."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    ports: frozenset[Port] = frozenset()
    """Ports in use; among the registered ones those that the agent keeps for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One container instance and its EC2 instance. Those of other groups of the cluster are here, too."""

    id: str
    """The EC2 instance's id."""
    arn: str
    group: str | None
    """Its Auto Scaling group, if that is one of the roll's."""
    type: str
    zone: str
    subnet: str
    image: str | None
    status: str
    connected: bool
    agent: str
    """The agent's version."""
    runtime: str
    registered: Resources
    remaining: Resources
    attributes: Mapping[str, str | None]
    registered_at: datetime | None
    launched_at: datetime | None
    provider: str | None = None
    """The capacity provider that it was registered under; hosts older than that have none (aws-facts 4.4)."""
    managed: bool = False
    """An ECS managed instance: AWS replaces it by itself, in no group (aws-facts 4.5). Or a machine outside AWS."""
    outside: bool = False
    """A machine outside AWS that ECS manages (ECS Anywhere)."""
    said: Said = field(default_factory=dict)
    machine: Said = field(default_factory=dict)
    """As DescribeInstances says it; empty if EC2 does not know it (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFacts:
    """An instance type, as DescribeInstanceTypes has it."""

    name: str
    cpu: int
    memory: int
    """Of the machine: what the agent registers is about 5 % less (aws-facts 8.1)."""
    architectures: tuple[str, ...]
    interfaces: int
    """Network interfaces, the host's own included: an awsvpc task takes one (aws-facts 8.1)."""
    gpus: int = 0

    @property
    def usable(self) -> int:
        """The memory that an agent registers, about: the kernel keeps some of the machine's (aws-facts 8.1)."""
        return int(self.memory * 0.945)


# Work ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFacts:
    """A volume of a task definition."""

    name: str
    kind: Literal["host", "docker", "efs", "fsx", "launch", "empty"]
    """``host``: a path of the host, lost with it. ``launch``: EBS, made at launch. ``empty``: ends with the task."""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionFacts:
    """A revision of a task definition, as far as placement, starting and stopping go by it."""

    arn: str
    family: str
    revision: int
    network: str
    """``bridge``, ``host``, ``awsvpc`` or ``none``."""
    cpu: int
    """What placement counts: of the task, else of its containers in sum."""
    memory: int
    """The same, where the soft limit goes before the hard one (aws-facts 8.1)."""
    gpus: int
    ports: frozenset[Port]
    """Host ports that are fixed; none with awsvpc, which has an address of its own for each task."""
    volumes: tuple[VolumeFacts, ...]
    constraints: tuple[str, ...]
    """The ``memberOf`` expressions of the definition itself."""
    requires: tuple[str, ...]
    """Attributes that a container instance must have."""
    stop_timeout: timedelta
    check: timedelta | None
    """How long the container health check takes to pass at the soonest; None without one."""
    status: str = "ACTIVE"
    said: Said = field(default_factory=dict)

    @property
    def awsvpc(self) -> bool:
        """Whether each task takes a network interface of its host."""
        return self.network == "awsvpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """A task with its host: of a service, or standalone; running, or stopped within the last hour."""

    arn: str
    host: str | None
    """The container instance's ARN; None on Fargate, or before it is placed."""
    definition: str
    service: str | None
    daemon: bool
    last_status: str
    desired_status: str
    group: str = ""
    started_by: str = ""
    protected_until: datetime | None = None
    created: datetime | None = None
    pull_started: datetime | None = None
    pull_stopped: datetime | None = None
    started: datetime | None = None
    stopping: datetime | None = None
    execution_stopped: datetime | None = None
    stopped: datetime | None = None
    stop_code: str = ""
    said: Said = field(default_factory=dict)

    @property
    def standalone(self) -> bool:
        """No drain moves it (aws-facts 3.2)."""
        return self.service is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEvent:
    """A line of a service's events."""

    at: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """A service: what ECS goes by when it moves its tasks."""

    name: str
    arn: str
    daemon: bool
    definition: str
    desired: int
    running: int
    pending: int
    min_percent: int
    max_percent: int
    controller: str
    """``ECS``, ``CODE_DEPLOY`` or ``EXTERNAL``."""
    launch_type: str | None
    providers: tuple[str, ...]
    """Of its capacity provider strategy."""
    strategies: tuple[tuple[str, str], ...]
    """``(type, field)``, as AWS names them."""
    distinct: bool
    """At most one of its tasks on a host."""
    members: tuple[str, ...]
    """The ``memberOf`` expressions of the service; its definition may have more."""
    target_groups: tuple[str, ...]
    classic: tuple[str, ...]
    """Classic load balancers, by name."""
    grace: timedelta
    rebalances: bool
    """ECS moves its tasks between zones by itself (aws-facts 8.4)."""
    deployments: tuple[Said, ...]
    task_sets: tuple[Said, ...]
    """In their place, where CodeDeploy or somebody else deploys."""
    events: tuple[ServiceEvent, ...]
    """Newest first, a hundred at most."""
    created: datetime | None = None
    said: Said = field(default_factory=dict)

    @property
    def elsewhere(self) -> bool:
        """Whether its tasks need none of the cluster's EC2 hosts.

        They run on Fargate, on managed instances, or on machines outside AWS (``EXTERNAL``, ECS Anywhere).
        """
        elsewhere = self.launch_type in {"FARGATE", "MANAGED_INSTANCES", "EXTERNAL"}
        return elsewhere or any(name.startswith("FARGATE") for name in self.providers)

    @property
    def lower(self) -> int:
        """Healthy tasks that must stay while one is moved: rounded up (aws-facts 3.3)."""
        return -(-self.desired * self.min_percent // 100)

    @property
    def upper(self) -> int:
        """Tasks that may run and be pending at once: rounded down (aws-facts 3.3)."""
        return self.desired * self.max_percent // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGroupFacts:
    """A target group: how long a target takes to leave, and to be called healthy."""

    arn: str
    name: str
    kind: str
    """``instance`` or ``ip``."""
    deregistration_delay: timedelta
    interval: timedelta
    healthy_threshold: int
    unhealthy_threshold: int
    slow_start: timedelta = timedelta()
    targets: Mapping[Target, str] = field(default_factory=dict)
    """The state of each target: ``healthy``, ``initial``, ``unhealthy``, ``draining``…"""
    said: Said = field(default_factory=dict)


# Groups ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFacts:
    """A scaling activity. ``ended`` is in whole seconds, as AWS tells it; None while it goes on."""

    kind: Literal["launch", "termination", "other"]
    status: str
    cause: str
    message: str
    began: datetime
    ended: datetime | None
    instance: str | None

    @property
    def took(self) -> timedelta | None:
        """From its beginning to its end, if it went well: of a launch, until the host was InService."""
        return self.ended - self.began if self.status == "Successful" and self.ended is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFacts:
    """An instance refresh of AWS's own."""

    id: str
    status: str
    began: datetime | None
    ended: datetime | None
    percentage: int
    reason: str = ""

    @property
    def active(self) -> bool:
        """Whether it is under way: it and a roll would work against one another."""
        return self.status in {"Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPoolFacts:
    """A group's warm pool. What lies in it was launched from the template of its time (aws-facts 5.6)."""

    state: str
    least: int
    prepared: int | None
    reuses: bool
    hosts: Mapping[str, Said]
    """Instances by id, as DescribeWarmPool says them."""
    images: Mapping[str, str]
    """The image of each, as far as EC2 knows it."""

    @property
    def staying(self) -> dict[str, str]:
        """The images of those that are not being taken out of it."""
        ending = {name for name, said in self.hosts.items() if "Terminat" in said.get("LifecycleState", "")}
        return {name: image for name, image in self.images.items() if name not in ending}


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFacts:
    """A lifecycle hook: somebody makes hosts wait on their way in or out."""

    name: str
    launching: bool
    heartbeat: timedelta
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFacts:
    """A launch template, or a launch configuration, that a group names: the versions that it may use."""

    id: str
    name: str
    spec: str
    """How the group refers to the version; empty for a launch configuration."""
    versions: Mapping[str, Said]
    """``LaunchTemplateData`` by number; a launch configuration's members under ``""``."""
    default: str = ""
    latest: str = ""
    used: str = ""
    """The version that ``spec`` means now."""

    @property
    def data(self) -> Said:
        """What is launched now."""
        return self.versions.get(self.used, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """The capacity provider on top of a group."""

    name: str
    target: int
    """targetCapacity, in percent."""
    managed_scaling: bool
    termination_protection: bool
    managed_draining: bool
    said: Said = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """An Auto Scaling group of the roll."""

    name: str
    arn: str
    types: tuple[str, ...]
    """Instance types that it may launch, by its template and its overrides."""
    templates: tuple[TemplateFacts, ...]
    subnets: tuple[str, ...]
    activities: tuple[ActivityFacts, ...]
    """Newest first, six weeks and a few hundred at most."""
    refreshes: tuple[RefreshFacts, ...]
    """Newest first."""
    hooks: tuple[HookFacts, ...]
    warm_pool: WarmPoolFacts | None
    suspended: Mapping[str, str]
    """Suspended processes with the reason that AWS shows."""
    scheduled: tuple[Said, ...]
    """Scheduled actions to come."""
    max_lifetime: timedelta | None
    operator: str | None
    """Another AWS service that owns the group: it denies changes (aws-facts 4.5)."""
    provider: ProviderFacts | None
    said: Said = field(default_factory=dict)


# All of it -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RollFacts:
    """An earlier roll of this cluster, from the history."""

    roll: Roll
    ended: datetime
    """When it was moved into the history."""

    @property
    def took(self) -> timedelta:
        """From its first round to its last, over all its lives."""
        return self.ended - self.roll.began


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """The whole ground. ``at`` is when its reading began."""

    at: datetime
    cluster: str
    hosts: Mapping[str, HostFacts]
    """By container instance ARN; those of all groups."""
    types: Mapping[str, TypeFacts]
    definitions: Mapping[str, DefinitionFacts]
    """By ARN."""
    services: Mapping[str, ServiceFacts]
    tasks: Mapping[str, TaskFacts]
    """By ARN: those that shall run, and those stopped of late that were read."""
    target_groups: Mapping[str, TargetGroupFacts]
    groups: Mapping[str, GroupFacts]
    images: Mapping[str, datetime] = field(default_factory=dict)
    """When each image was made that hosts run or that the roll is about, as far as EC2 still knows it."""
    history: tuple[RollFacts, ...] = ()
    """Oldest first."""
    findings: tuple[Finding, ...] = ()
    """Readings that failed (EC190): what depends on them is not known."""
    said: Said = field(default_factory=dict)
    """The cluster, as DescribeClusters says it."""

    def by_host(self) -> dict[str, list[TaskFacts]]:
        """The tasks that are not STOPPED, by the container instance that they are on."""
        there: dict[str, list[TaskFacts]] = {}
        for task in self.tasks.values():
            if task.host is not None and task.last_status != "STOPPED":
                there.setdefault(task.host, []).append(task)
        return there

    def of(self, group: str) -> tuple[HostFacts, ...]:
        """The hosts of a group."""
        return tuple(host for host in self.hosts.values() if host.group == group)
