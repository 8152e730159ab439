"""One group's turn in one round: what it sees, what it has written down, what it is about to do. Pure."""

import math
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from ecsroll import asg, drain
from ecsroll.ledger import JUST_NOW, Ledger, Pointed, Roll, Room
from ecsroll.model import (
    Action,
    Decision,
    Drain,
    Group,
    Host,
    Memory,
    Note,
    Policy,
    Service,
    SetSize,
    Snapshot,
    Terminate,
    Undrain,
    Verdict,
    Wait,
)

__all__ = [
    "LAG",
    "LOOP",
    "PATIENCE",
    "Turn",
    "chosen",
    "count_losses",
    "entries",
    "first_page",
    "last_failure",
    "launched",
    "loop_of",
    "newest_launch",
    "outdated_by_group",
    "remaining",
    "remember",
    "turn_of",
    "why_not_ready",
]

PATIENCE = timedelta(seconds=60)
"""How long a change of ours may take to show in a reading before it is made again (aws-facts 6.6, 9: API read lag)."""


LAG = timedelta(seconds=10)
"""How long a reading may still be older than a change that an earlier one has shown (aws-facts 9: twice its 0-5 s)."""


LOOP = 3
"""Tasks of one service that have to end by themselves before it is called a loop."""

SHARE = 10
"""On hosts of before the roll, one in so many of a large service's tasks: they crash for reasons of their own, too."""


@dataclass
class Turn:
    """What one round does about one group. ``page`` is its ledger as it is to be after this round."""

    seen: Snapshot
    memory: Memory
    policy: Policy
    roll: Roll
    group: Group
    page: Ledger
    actions: list[Action] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    verdict: Verdict | None = None
    forgotten: bool = False
    target_in_doubt: bool = False
    """The group reads as launching something else than we made it launch: by somebody else, or in an older reading."""

    @cached_property
    def epochs(self) -> Container[int]:
        """Epochs whose marks are ours; a roll that is about to be opened is in no picture yet."""
        return range(1, max(self.roll.epoch + 1, self.seen.epochs.stop))

    @property
    def epoch(self) -> int:
        """Of the lease under which this process acts; of the roll where there is none."""
        return self.seen.epoch or self.roll.epoch

    @cached_property
    def excused(self) -> frozenset[str]:
        """Services that crash for what was there before: nothing that they lack can be held against this roll.

        Every task of theirs had ended more than once in the hour before it: tasks that end now and then, or all of them
        in one bad moment, are no excuse. Or it is a rollback, and they crash on hosts that it is to take away. What
        ends on new hosts is judged all the same.
        """
        services = self.seen.services
        before = self.roll.before.crashes
        found = {name for name in before.keys() & services if before[name] >= max(LOOP, 2 * services[name].desired)}
        if self.roll.back:
            young = {host.arn for host in self.seen.of(self.group) if host.launched_at > self.page.newest}
            there = Counter(crash.service for crash in self.seen.crashes if crash.host not in young)
            found |= {name for name in there.keys() & services if there[name] >= loop_of(services[name])}
        return frozenset(found)

    @cached_property
    def live(self) -> list[Host]:
        """Counted against DesiredCapacity; a termination of ours that no reading shows yet has happened."""
        return [host for host in self.seen.of(self.group) if host.live and not self.expects("gone", host.id)]

    @cached_property
    def read_live(self) -> frozenset[str]:
        """Live by the reading itself, which is as old as the DesiredCapacity beside it."""
        return frozenset(host.id for host in self.seen.of(self.group) if host.live)

    @cached_property
    def outdated(self) -> list[Host]:
        """Live hosts that are to be replaced; none, once the roll is being ended."""
        if self.roll.aborting:
            return []
        return [host for host in self.live if chosen(host, self.group, self.page, self.policy)]

    @cached_property
    def foreign(self) -> list[Host]:
        """Outdated hosts that somebody else drains: they are left to whoever did it (promise 3)."""
        return [host for host in self.outdated if host.draining and not drain.ours(host, self.epochs)]

    @cached_property
    def skipped(self) -> list[Host]:
        """Outdated hosts that were given up in this roll: they serve again."""
        return [host for host in self.outdated if host.id in self.page.skipped]

    @cached_property
    def standby(self) -> list[Host]:
        """Outdated hosts that somebody has put into Standby: the group does not count them, and they come back old."""
        there = [host for host in self.seen.of(self.group) if host.lifecycle in {"EnteringStandby", "Standby"}]
        return [host for host in there if chosen(host, self.group, self.page, self.policy)]

    @cached_property
    def old(self) -> list[Host]:
        """Those of them that are ours to replace, and were not given up."""
        skipped = {host.id for host in self.foreign} | {*self.page.skipped}
        return [host for host in self.outdated if host.id not in skipped]

    @cached_property
    def draining(self) -> list[Host]:
        """Drained by this tool and still there."""
        return [host for host in self.live if drain.ours(host, self.epochs)]

    @cached_property
    def ready(self) -> list[Host]:
        """Live hosts that tasks can move to."""
        return [host for host in self.live if self.is_ready(host)]

    @cached_property
    def arriving(self) -> list[Host]:
        """Hosts launched since the roll came to the group that are not ready yet, and are to stay."""
        old = {host.id for host in self.outdated}
        return [
            host
            for host in self.live
            if host.launched_at > self.page.newest
            and host.id not in old
            and not host.draining
            and not self.is_ready(host)
        ]

    def is_ready(self, host: Host) -> bool:
        """InService, ACTIVE, agent connected, daemons RUNNING, in n readings; and not about to be drained."""
        return host.serves and host.id not in self.memory.shaky and not self.expects("drain", host.id)

    def expects(self, what: str, subject: str) -> bool:
        """Whether we made this change and no reading has shown it yet."""
        return f"{what}:{subject}" in self.memory.expected

    def bounds_in_doubt(self, room: Room) -> bool:
        """Whether bounds other than ours may only be those from before: they were set too short a while ago.

        Or by the life before this one, perhaps a moment before its end.
        """
        read = (self.group.min, self.group.max)
        recent = self.memory.looks < 2 or self.expects("size", self.group.name)
        return recent and read != (room.floor, room.ceiling)

    def wait(
        self, kind: str, subject: str, reason: str, *, limit: timedelta | None = None, until: datetime | None = None
    ) -> None:
        """Say what is waited for; since when is remembered from the round that first said it.

        ``limit`` from then on, or ``until`` a time, at most.
        """
        since = self.memory.waiting.get(f"{kind}:{subject}", self.seen.at)
        until = since + limit if limit else until
        self.waits.append(Wait(kind=kind, subject=subject, reason=reason, since=since, until=until))

    def waited(self, kind: str, subject: str) -> timedelta:
        """For how long the rounds before this one have waited for something."""
        since = self.memory.waiting.get(f"{kind}:{subject}")
        return self.seen.at - since if since else timedelta()

    def held_by(self, host: Host) -> tuple[drain.Hold, ...]:
        """What keeps the host from going."""
        return drain.holds(host, self.seen, self.memory.agentless.get(host.id), self.policy)

    def decision(self) -> Decision:
        """The round's decision: the page first, if it has changed, then what it speaks of."""
        noted: list[Action] = []
        if not self.forgotten and self.seen.ledgers.get(self.group.name) != self.page:
            noted.append(Note(ledger=self.page, why="before anything that it speaks of is changed"))
        if not (noted or self.actions or self.waits or self.verdict):
            self.wait("picture", self.group.name, "for the next reading to show what was changed")
        return Decision(actions=(*noted, *self.actions), waits=tuple(self.waits), verdict=self.verdict)

    def remembered(self) -> Memory:
        """The memory with every change of this round that a later reading has to show."""
        changes = {key: self.seen.at for action in self.actions for key in _shown_by(action)}
        undone = {key for action in self.actions for key in _undone_by(action)}
        kept = {key: since for key, since in self.memory.expected.items() if key not in undone}
        waiting = {f"{wait.kind}:{wait.subject}": wait.since or self.seen.at for wait in self.waits}
        return replace(self.memory, expected={**kept, **changes}, waiting=waiting)

    @cached_property
    def outrun(self) -> list[Host]:
        """Hosts that read as they did before a change of ours, though a reading has shown that change already."""
        return [
            host
            for host in self.seen.of(self.group)
            if (host.live and self.expects("went", host.id))
            or (host.status == "ACTIVE" and self.expects("drained", host.id))
        ]


def turn_of(seen: Snapshot, memory: Memory, policy: Policy, roll: Roll) -> Turn | None:
    """The turn of the first group that is not finished; groups roll one after another."""
    for name in roll.groups:
        if name not in roll.finished and name in seen.groups:
            group = seen.groups[name]
            page = seen.ledgers.get(name) or first_page(seen, memory, policy, roll, group)
            return _with_recovered(Turn(seen, memory, policy, roll, group, page))
    return None


def _with_recovered(turn: Turn) -> Turn:
    """A host of before that is ready only now counts from now on: an agent was away for a moment as the group began.

    Without that, one host more than allowed might be missing all through the roll (promise 1).
    """
    before = sum(host.launched_at <= turn.page.newest for host in turn.ready)
    turn.page = replace(turn.page, ready=max(turn.page.ready, before))
    return turn


def first_page(seen: Snapshot, memory: Memory, policy: Policy, roll: Roll, group: Group) -> Ledger:
    """A group's page before anything has been borrowed from it."""
    newest = newest_launch(seen.of(group))
    page = Ledger(group=group.name, epoch=roll.epoch, began=seen.at, newest=newest, ready=0, old=0, uneven=0)
    page = replace(page, pointed=entries(group, roll))
    turn = Turn(seen, memory, policy, roll, group, page)
    return replace(page, ready=len(turn.ready), old=len(turn.outdated), uneven=asg.uneven(turn.live, group.zones))


def remaining(turn: Turn) -> int:
    """Hosts of the group that still do not run what the roll wants, wherever its target points now."""
    page = replace(turn.page, pointed=entries(turn.group, turn.roll))
    return sum(1 for host in turn.live if chosen(host, turn.group, page, turn.policy))


def newest_launch(hosts: Iterable[Host]) -> datetime:
    """When the newest of the hosts was launched, by AWS's clock; ones that EC2 does not know yet do not count."""
    known = (host.launched_at for host in hosts if host.launched_at != JUST_NOW)
    return max(known, default=datetime.min.replace(tzinfo=UTC))


def entries(group: Group, roll: Roll) -> tuple[Pointed, ...]:
    """What is to be noted for each of the group's launches."""
    keys = [(launches, f"{group.name}/{asg.name_of(launches)}") for launches in group.launches]
    return tuple(
        asg.entry_for(launches, roll.images.get(key), roll.epoch, roll.versions.get(key)) for launches, key in keys
    )


def launched(seen: Snapshot, names: Iterable[str]) -> dict[str, str]:
    """What each group launches now, ``group/template`` -> image and version: what a rollback goes back to."""
    return {
        f"{name}/{asg.name_of(launches)}": f"{launches.image} {launches.version or ''}".strip()
        for name in names
        for launches in seen.groups[name].launches
        if launches.image
    }


def chosen(host: Host, group: Group, page: Ledger, policy: Policy) -> bool:
    """Whether the host is to be replaced. A host launched since the roll began is not, unless it is outdated."""
    before = host.launched_at <= page.newest
    if policy.instances:
        return before and host.id in policy.instances
    if policy.all and before:
        return True
    if policy.older_than is not None:
        return host.launched_at < page.began - policy.older_than
    return asg.outdated(host, group, page.pointed)


# What outlives the round -----------------------------------------------------------------------------------------


def remember(seen: Snapshot, memory: Memory, policy: Policy) -> Memory:
    """Count good readings, note who has lost its agent, strike out what has been seen to happen."""
    hosts = list(seen.hosts.values())
    agentless = {
        host.id: memory.agentless.get(host.id, seen.at)
        for host in hosts
        if host.live and host.arn is not None and not host.connected
    }
    old_alarms = seen.roll.before.alarms if seen.roll else ()
    return replace(
        memory,
        quiet=tuple(name for name in old_alarms if name in memory.quiet or _quiet(seen, name)),
        newest=newest_launch(seen.hosts.values()),
        looks=min(2, memory.looks + 1),
        shaky=_shaky(seen, memory, policy),
        agentless=agentless,
        expected=_expected(seen, memory),
    )


def _quiet(seen: Snapshot, name: str) -> bool:
    return name in seen.alarms and seen.alarms[name].state != "ALARM"


def _expected(seen: Snapshot, memory: Memory) -> dict[str, datetime]:
    """Changes that no reading has shown yet; those that one has are kept a while, as the next may be an older one."""
    kept: dict[str, datetime] = {}
    for key, since in memory.expected.items():
        what, _, subject = key.partition(":")
        if what in _SHOWN and _shows(seen, what, subject):
            kept[f"{_SHOWN[what]}:{subject}"] = seen.at
        elif seen.at - since < (LAG if what in _SHOWN.values() else PATIENCE):
            kept[key] = since
    return kept


_SHOWN = {"drain": "drained", "gone": "went"}
"""Under what a change is kept once a reading has shown it. Bounds are not: others may set them to anything."""


def count_losses(turn: Turn, before: Memory) -> Memory:
    """The memory with the new hosts that went again by themselves since an old one last left.

    ``before``: the memory of the last round. A host that dies reads badly first, so it is among the shaky ones there.
    """
    left = len(turn.old)
    moved_on = before.left is None or left < before.left
    gone = [name for name in before.shaky if f"gone:{name}" not in before.expected and _has_left(turn.seen, name)]
    return replace(turn.memory, left=left, lost=0 if moved_on else before.lost + len(gone))


def _has_left(seen: Snapshot, name: str) -> bool:
    host = seen.hosts.get(name)
    return host is None or host.leaving


def _shaky(seen: Snapshot, memory: Memory, policy: Policy) -> dict[str, int]:
    """Hosts that are not ready yet, or not any more, with their good readings in a row.

    A host enters when it reads badly or was launched since the last look, and leaves after n good readings: so only
    hosts in flight are remembered, never the whole cluster.
    """
    counts: dict[str, int] = {}
    for host in seen.hosts.values():
        if host.leaving or host.draining:
            continue
        good = _good(host, seen)
        before = memory.shaky.get(host.id, 0 if _is_new(host, seen, memory) else None)
        if not good:
            counts[host.id] = 0
        elif before is not None and before + 1 < policy.good_readings:
            counts[host.id] = before + 1
    return counts


def _is_new(host: Host, seen: Snapshot, memory: Memory) -> bool:
    """Launched since the roll came to its group, and not seen by an earlier look of this life."""
    page = seen.ledgers.get(host.group)
    if page is None or host.launched_at <= page.newest:
        return False
    return memory.newest is None or host.launched_at > memory.newest


def _good(host: Host, seen: Snapshot) -> bool:
    if not host.serves:
        return False
    running = {task.service for task in seen.on(host) if task.daemon and task.last_status == "RUNNING"}
    # A daemon may not match this host (memberOf): then its service has all the tasks that it wants.
    return all(
        service.name in running or (service.running >= service.desired and not service.pending)
        for service in seen.services.values()
        if service.daemon
    )


def _shown_by(action: Action) -> list[str]:
    """What a later reading has to show of a change."""
    match action:
        case Drain():
            return [f"drain:{host.id}" for host in action.hosts]
        case Terminate():
            return [f"gone:{action.host.id}"]
        case SetSize():
            return [f"size:{action.group}"]
        case _:
            return []


def _undone_by(action: Action) -> list[str]:
    """What no reading needs to show any more."""
    hosts = action.hosts if isinstance(action, Undrain) else ()
    return [f"{what}:{host.id}" for host in hosts for what in ("drain", "drained")]


def _shows(seen: Snapshot, what: str, subject: str) -> bool:
    host = seen.hosts.get(subject)
    if host is None or host.leaving:
        return True
    return what == "drain" and host.draining


def loop_of(service: Service) -> int:
    """How many of its tasks have to end by themselves, wherever they are, before it is called a loop."""
    return max(LOOP, math.ceil(service.desired / SHARE))


def why_not_ready(turn: Turn, host: Host) -> str:
    """What a new host still lacks, as the end of a sentence that begins with its id."""
    if host.lifecycle != "InService":
        return f"is {host.lifecycle}"
    if host.arn is None:
        return "has not registered with ECS"
    if not host.serves:
        return f"is {host.status}, agent {'connected' if host.connected else 'not connected'}"
    return f"has {turn.memory.shaky.get(host.id, 0)} of {turn.policy.good_readings} good readings"


def last_failure(group: Group) -> str:
    """Why no host comes, as the end of a sentence; nothing if nothing stands in its way."""
    if "Launch" in group.suspended:
        return f"; Launch is suspended in {group.name}"
    return f"; last launch failed: {group.failures[0].message}" if group.failures else ""


def outdated_by_group(seen: Snapshot, policy: Policy) -> dict[str, int]:
    """How many hosts of each group a roll would replace, or still has to.

    A halt takes the target off the page: then what the roll was to launch counts.
    """
    roll = seen.roll or Roll(epoch=0, began=seen.at, groups=(), images=policy.images, policy={})
    counts: dict[str, int] = {}
    for name, group in seen.groups.items():
        page = seen.ledgers.get(name) or first_page(seen, Memory(), policy, roll, group)
        page = replace(page, pointed=page.pointed or entries(group, roll))
        counts[name] = len(Turn(seen, Memory(), policy, roll, group, page).outdated)
    return counts
