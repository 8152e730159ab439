"""The words: what AWS shows (Snapshot), what is wanted (Policy), what is remembered (Memory), what to do (Decision).

Everything here is frozen data without AWS, clock or output. Times are aware datetimes, durations are timedeltas.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from ecsroll.ledger import Ledger, Place, Pointed, Roll
from ecsroll.memory import Memory, Stop
from ecsroll.window import Window

__all__ = [
    "Action",
    "Activity",
    "Alarm",
    "Amount",
    "CapacityProvider",
    "CloseRoll",
    "Crash",
    "Decision",
    "Deregister",
    "Drain",
    "Finding",
    "Forget",
    "Group",
    "Host",
    "Launches",
    "Memory",
    "Note",
    "OpenRoll",
    "Owed",
    "Patience",
    "Point",
    "PointBack",
    "Policy",
    "ResumeRebalance",
    "Service",
    "SetSize",
    "Snapshot",
    "Stop",
    "StopTasks",
    "SuspendRebalance",
    "Targets",
    "Task",
    "Terminate",
    "Undrain",
    "Unprotect",
    "Verdict",
    "Wait",
]


# What AWS shows --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. ``host`` is the container instance's ARN; ``service`` None for standalone tasks."""

    arn: str
    host: str
    definition: str
    last_status: str
    desired_status: str
    service: str | None = None
    daemon: bool = False
    healthy: bool = True
    """RUNNING, and not UNHEALTHY by its container health check."""
    protected_until: datetime | None = None
    stopping_at: datetime | None = None
    stop_timeout: timedelta = timedelta(seconds=30)
    address: str | None = None
    """Its own IP address (awsvpc), by which target groups know it."""

    @property
    def stopped(self) -> bool:
        """Really gone: counters and ``desiredStatus`` are not asked, they are early by minutes (aws-facts 3.4)."""
        return self.last_status in {"STOPPED", "DELETED"}

    @property
    def id(self) -> str:
        """The ARN's last part."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Health of one target group's targets: how many in which state; the target ids that are still registered."""

    states: Mapping[str, int]
    registered: frozenset[str] = frozenset()
    deregistration_delay: timedelta = timedelta(seconds=300)
    of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Target id (an instance, or a task's address) -> the state of each of its targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A CloudWatch alarm: ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``, and since when by AWS's time."""

    name: str
    state: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A task of a service that ended though nobody wanted it to (aws-facts 7.6). ``host``: container instance ARN."""

    task: str
    service: str
    host: str
    what: str
    """How it ended, in a few words."""
    at: datetime | None = None
    """When, by AWS's clock."""
    created: datetime | None = None
    """When the task was made, which is when ECS tried again what had ended before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One ECS service that has something on the cluster's EC2 hosts."""

    name: str
    arn: str
    daemon: bool
    desired: int
    running: int
    pending: int
    min_percent: int = 100
    max_percent: int = 200
    deployments: int = 1
    rollout: str = "COMPLETED"
    target_groups: tuple[str, ...] = ()
    alternates: Mapping[str, str] = field(default_factory=dict)
    """Target group -> the other one of its pair, where ECS deploys blue/green: the tasks are in one of the two."""
    constraints: tuple[str, ...] = ()
    """The expressions of ``memberOf`` constraints."""
    last_event: str = ""

    @property
    def floor(self) -> int:
        """How many tasks ECS keeps healthy: the lower bound is rounded up (aws-facts 3.3)."""
        return math.ceil(self.desired * self.min_percent / 100)

    def healthy(self, targets: Mapping[str, Targets]) -> int:
        """The tasks that run; where a load balancer checks them, those that it calls healthy."""
        groups = [targets[arn] for arn in self.target_groups if arn in targets]
        return min([self.running, *(group.states.get("healthy", 0) for group in groups)])

    @property
    def steady(self) -> bool:
        """Everything wanted runs, and nothing is being deployed."""
        return self.running >= self.desired and self.pending == 0 and self.deployments <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One EC2 instance of a group, with its container instance if it has registered."""

    id: str
    group: str
    zone: str
    lifecycle: str
    image: str | None
    launched_at: datetime
    health: str = "Healthy"
    protected: bool = False
    template: str | None = None
    version: str | None = None
    """Launch template version that it was launched from, as a number in a string; None for launch configurations."""
    configuration: str | None = None
    arn: str | None = None
    """The container instance's ARN, or None while it has not registered."""
    status: str | None = None
    connected: bool = False
    tasks: int = 0
    """Running and pending tasks by its own counters: good enough to order hosts, never to call one empty."""
    drain_mark: str | None = None
    """``<epoch>:<time>``: the attribute that says who drains it and since when."""

    @property
    def live(self) -> bool:
        """Counted by the group against DesiredCapacity."""
        return self.lifecycle.startswith("Pending") or self.lifecycle == "InService"

    @property
    def leaving(self) -> bool:
        """The group is taking it away."""
        return self.lifecycle.startswith(("Terminating", "Detach")) or self.lifecycle == "Terminated"

    @property
    def draining(self) -> bool:
        """ECS says DRAINING."""
        return self.status == "DRAINING"

    @property
    def serves(self) -> bool:
        """InService for the group, ACTIVE for ECS, with its agent: the scheduler can use it."""
        return self.lifecycle == "InService" and self.status == "ACTIVE" and self.connected


@dataclass(frozen=True, slots=True, kw_only=True)
class Launches:
    """What a group launches by one of the templates (or the launch configuration) that it names."""

    place: Place
    name: str
    """Template id, or the launch configuration's name."""
    spec: str = ""
    """How the group refers to the version: a number, ``$Latest`` or ``$Default``."""
    version: str | None = None
    """The version that this means now."""
    image: str | None = None
    parameter: str | None = None
    shared_with: tuple[str, ...] = ()
    """Groups outside the roll that follow the same ``$Latest``/``$Default`` or parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityProvider:
    """The capacity provider on top of a group."""

    name: str
    managed_scaling: bool = False
    termination_protection: bool = False
    managed_draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A scaling activity: a failed launch with its reason, or a termination with its cause."""

    status: str
    cause: str
    message: str
    at: datetime
    instance: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One Auto Scaling group that the roll was asked for."""

    name: str
    desired: int
    min: int
    max: int
    hosts: tuple[str, ...]
    protects_new: bool = False
    suspended: frozenset[str] = frozenset()
    zones: tuple[str, ...] = ()
    launches: tuple[Launches, ...] = ()
    mixed: bool = False
    termination_hook: bool = False
    provider: CapacityProvider | None = None
    failures: tuple[Activity, ...] = ()
    """Failed launches, newest first; read only while hosts are missing."""
    refresh: str = ""
    """The id of an instance refresh that is under way; read only while a roll is."""
    shrunk: frozenset[str] = frozenset()
    """Hosts whose termination is on record as having lowered DesiredCapacity; read only while that is in doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a person should know before (or after) a roll; ``severity`` blocking, warning or info."""

    code: str
    severity: Literal["blocking", "warning", "info"]
    subject: str
    measured: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One whole picture of the cluster, never a partial one. ``at`` is when its reading began."""

    at: datetime
    cluster: str
    groups: Mapping[str, Group]
    hosts: Mapping[str, Host]
    services: Mapping[str, Service] = field(default_factory=dict)
    tasks: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    """By container instance ARN. Complete for hosts that were DRAINING when the reading began."""
    targets: Mapping[str, Targets] = field(default_factory=dict)
    roll: Roll | None = None
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    """By group."""
    past: frozenset[int] = frozenset()
    """Epochs of earlier rolls."""
    epoch: int = 0
    """Of the lease under which this process rolls; 0 while it holds none."""
    moved: Mapping[str, int] = field(default_factory=dict)
    """Services that had tasks where hosts leave (a while ago, too) -> the tasks that ran when this process came."""
    crashes: tuple[Crash, ...] = ()
    """Of the last hour, as long as AWS remembers stopped tasks: of services that moved; of all before a roll."""
    alarms: Mapping[str, Alarm] = field(default_factory=dict)
    """Those that the policy names, as far as they are there and could be read."""
    alarms_read: bool = False
    ghosts: tuple[Host, ...] = ()
    """Container instances with a mark of ours whose EC2 instance is gone for good."""

    @property
    def epochs(self) -> range:
        """Epochs whose marks are ours: they are counted up for this cluster alone, and never used twice.

        A life that goes on with a roll marks under its own lease, whose epoch is in no roll and no history.
        """
        return range(1, max(self.roll.epoch if self.roll else 0, self.epoch, *self.past) + 1)

    def on(self, host: Host) -> tuple[Task, ...]:
        """The tasks of a host."""
        return self.tasks.get(host.arn or "", ())

    def of(self, group: Group) -> tuple[Host, ...]:
        """The hosts of a group."""
        return tuple(self.hosts[name] for name in group.hosts)


# What is wanted --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of hosts, or a percentage of them."""

    value: int
    percent: bool = False

    def of(self, total: int, *, up: bool) -> int:
        """In hosts; a percentage is rounded up for a surge and down for what may be unavailable."""
        if not self.percent:
            return self.value
        share = total * self.value / 100
        return math.ceil(share) if up else math.floor(share)

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a drain may take while a task of this service holds the host."""

    service: str
    span: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How to roll: settled once, before the work, from options, environment and defaults."""

    groups: tuple[str, ...] = ()
    ami: str = "recommended"
    min_ami_age: timedelta = timedelta()
    denied_images: tuple[str, ...] = ()
    surge: Amount = Amount(1)
    unavailable: Amount = Amount(0)
    strategy: Literal["rolling", "double"] = "rolling"
    canary: int = 1
    bake: timedelta = timedelta(minutes=5)
    canary_inconclusive: Literal["halt", "go"] = "halt"
    good_readings: int = 3
    boot_timeout: timedelta = timedelta(minutes=15)
    drain_timeout: timedelta = timedelta(minutes=30)
    drain_timeouts: tuple[Patience, ...] = ()
    """Where tasks of these services hold a host."""
    on_drain_timeout: Literal["halt", "skip", "terminate"] = "halt"
    standalone_tasks: Literal["wait", "stop", "skip", "fail"] = "wait"
    alarms: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
    """When hosts may be drained; none: always."""
    outside_window: Literal["wait", "exit"] = "wait"
    rollback_on_failure: bool = False
    poll_interval: timedelta = timedelta(seconds=15)
    lease_ttl: timedelta = timedelta(minutes=2)
    stop_grace: timedelta = timedelta(seconds=25)
    keep_max_size: bool = False
    allow: tuple[str, ...] = ()
    """Codes of blocking findings in spite of which the roll is to go on."""
    older_than: timedelta | None = None
    all: bool = False
    instances: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    """``group/template`` -> the image that was chosen for it before the roll."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of a rollback: ``group/template`` -> the version that is gone back to."""
    back: bool = False
    """It is a rollback."""
    by: str = ""
    """Who rolls, for whoever finds the record."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each setting that somebody has set came from: by its name, in words."""


# What to do ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a roll waits for, why, since when and until when: it never waits silently (promise 8)."""

    kind: str
    subject: str
    reason: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRoll:
    """Write down that a roll has begun (or how far it is)."""

    roll: Roll
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRoll:
    """Move the roll's record into the history."""

    roll: Roll
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Write a group's ledger: always before the change that it speaks of."""

    ledger: Ledger
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Delete a group's ledger: everything was given back."""

    group: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Make the group launch the target image."""

    ledger: Ledger
    pointed: Pointed
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointBack:
    """Make the group launch what it launched before."""

    ledger: Ledger
    pointed: Pointed
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSize:
    """MinSize, MaxSize and protection at birth, in one call. DesiredCapacity is never set: AWS lifts it to MinSize."""

    group: str
    min: int
    max: int
    protects_new: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendRebalance:
    """Keep the group from moving hosts between zones while some are being replaced."""

    group: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRebalance:
    """Let the group rebalance its zones again."""

    group: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Mark the hosts as drained by this roll, then set them DRAINING."""

    hosts: tuple[Host, ...]
    mark: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undrain:
    """Set hosts that this tool drained ACTIVE again, then take the mark away; from those that are ACTIVE, only that."""

    hosts: tuple[Host, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTasks:
    """Stop standalone tasks on a host that is to go (``--standalone-tasks stop``)."""

    host: Host
    tasks: tuple[str, ...]
    """ARNs."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """Terminate a host that was seen empty, after seeing it empty once more."""

    host: Host
    shrink: bool
    """Whether the group is to want one host less; else it launches the next one."""
    excused: frozenset[str]
    """Tasks that count as stopped though ECS does not say so: their agent is gone for good (promise 2)."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregister:
    """Tell ECS that the host will not come back."""

    host: Host
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unprotect:
    """Take away the protection that new hosts were born with because of us."""

    group: str
    hosts: tuple[str, ...]
    why: str


Action = (
    OpenRoll
    | CloseRoll
    | Note
    | Forget
    | Point
    | PointBack
    | SetSize
    | SuspendRebalance
    | ResumeRebalance
    | Drain
    | Undrain
    | StopTasks
    | Terminate
    | Deregister
    | Unprotect
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Something borrowed that has not been given back, and what gives it back."""

    group: str
    what: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a roll ended."""

    result: Literal["done", "nothing", "refused", "halted", "interrupted"]
    reason: str
    next: str = ""
    replaced: int = 0
    remaining: int = 0
    owed: tuple[Owed, ...] = ()
    judged: bool = False
    """A gate shut: with ``--rollback-on-failure`` the roll is taken back."""
    lines: tuple[str, ...] = ()
    """What else there is to say of the reason: six lines at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next safe step: what to do in this order, what is waited for, and whether that was all."""

    actions: tuple[Action, ...] = ()
    waits: tuple[Wait, ...] = ()
    verdict: Verdict | None = None
