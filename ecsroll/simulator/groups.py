"""The records of EC2 Auto Scaling: groups, their members, lifecycle hooks, activities."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecsroll.simulator.compute import Instance
from ecsroll.simulator.world import Timer

__all__ = [
    "COUNTED",
    "LAUNCHING",
    "LEAVING",
    "TERMINATING",
    "Activity",
    "Group",
    "Hook",
    "Member",
    "Tag",
    "Waiting",
    "stamp",
]

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
COUNTED = frozenset({"Pending", "Pending:Wait", "Pending:Proceed", "InService"})
"""The lifecycle states that count towards DesiredCapacity."""
LEAVING = frozenset({"Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminated", "Detaching"})
HISTORY = timedelta(weeks=6)


def stamp(at: datetime) -> str:
    """A moment as the causes of activities write it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True, eq=False)
class Hook:
    """A lifecycle hook. AWS's defaults: an hour, and ABANDON."""

    name: str
    transition: str
    heartbeat: float = 3600
    default_result: str = "ABANDON"
    others: dict[str, Any] = field(default_factory=dict)
    """What is stored and shown, and has no meaning here: role, target, metadata."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A lifecycle action that waits for somebody to complete it."""

    hook: Hook
    token: str
    since: float
    timer: Timer


@dataclass(slots=True, eq=False)
class Activity:
    """One scaling activity."""

    id: str
    group: str
    description: str
    cause: str
    start: datetime
    zone: str = ""
    subnet: str = ""
    end: datetime | None = None
    status: str = "InProgress"
    message: str = ""
    progress: int = 50

    def finish(self, at: datetime, status: str = "Successful", message: str = "") -> None:
        """It is over."""
        self.end, self.status, self.message, self.progress = at, status, message, 100


@dataclass(slots=True, eq=False)
class Member:
    """An instance as its group sees it."""

    instance: Instance
    state: str
    launched_at: float
    protected: bool = False
    health: str = "Healthy"
    activity: Activity | None = None
    waiting: dict[str, Waiting] = field(default_factory=dict)
    aiding_balance: bool = False
    """Launched by AZRebalance, not yet InService: more than desired, on purpose."""
    override_type: str | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a group."""

    value: str
    propagated: bool = False


@dataclass(slots=True, eq=False)
class Group:
    """An Auto Scaling group. What it launches from is kept in the members of the API."""

    name: str
    arn: str
    created_at: datetime
    min: int
    max: int
    desired: int
    subnets: dict[str, list[str]]
    """The subnets of each zone, in the order in which they were given."""
    template: dict[str, str] | None = None
    mixed: dict[str, Any] | None = None
    launch_configuration: str | None = None
    new_protected: bool = False
    members: dict[str, Member] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    suspended: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    """Oldest first."""
    others: dict[str, Any] = field(default_factory=dict)
    """Members of the API that are stored and shown, and have no law here."""
    scheduled: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Scheduled actions by name: stored and shown, never carried out."""
    status: str | None = None
    states: Counter[str] = field(default_factory=Counter)
    in_zone: Counter[str] = field(default_factory=Counter)
    unhealthy: dict[str, Member] = field(default_factory=dict)
    why: str = ""
    """What changed desired since the group last acted; the beginning of the next activities' cause."""
    waking: Timer | None = None
    wakes_at: float = 0.0
    retry_at: float = 0.0
    retry_delay: float = 0.0
    aiding: int = 0
    """Members that AZRebalance launched and that are not yet InService."""
    complained: tuple[int, int] | None = None
    last_scaled_at: float = float("-inf")

    @property
    def counted(self) -> int:
        """The members that count towards desired."""
        return sum(self.states[state] for state in ("Pending", "Pending:Wait", "Pending:Proceed", "InService"))

    @property
    def pending(self) -> int:
        """The counted members that are not yet InService."""
        return self.counted - self.states["InService"]

    @property
    def zones(self) -> list[str]:
        """The group's zones, by name: the order in which AWS shows them and breaks ties."""
        return list(self.subnets)

    @property
    def source(self) -> dict[str, str] | None:
        """The launch template specification, alone or of a mixed instances policy."""
        if self.template is not None:
            return self.template
        if self.mixed is not None:
            spec: dict[str, str] = self.mixed["LaunchTemplate"]["LaunchTemplateSpecification"]
            return spec
        return None

    def runs(self, process: str) -> bool:
        """Whether a process is not suspended."""
        return process not in self.suspended

    def add(self, member: Member) -> None:
        """Take an instance in."""
        self.members[member.instance.id] = member
        self._count(member, 1)

    def move(self, member: Member, state: str) -> None:
        """Change a member's lifecycle state."""
        self._count(member, -1)
        member.state = state
        self._count(member, 1)

    def drop(self, member: Member) -> None:
        """Forget an instance."""
        self._count(member, -1)
        del self.members[member.instance.id]
        self.unhealthy.pop(member.instance.id, None)

    def _count(self, member: Member, by: int) -> None:
        self.states[member.state] += by
        if member.state in COUNTED:
            self.in_zone[member.instance.zone] += by

    def forget_old_activities(self, now: datetime) -> None:
        """Activities are kept for six weeks."""
        keep_from = now - HISTORY
        gone = 0
        for activity in self.activities:
            if activity.start >= keep_from:
                break
            gone += 1
        del self.activities[:gone]
