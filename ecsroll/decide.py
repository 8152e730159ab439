"""What to do next: Snapshot, Memory and Policy in, the one next safe step out. Pure and total.

A roll may be taken up from any state, so nothing here asks how it got there. Each step looks at the picture and the
group's ledger page, says what to do and what it waits for, and either lets the next step have its turn or ends the
round. A page that changed is written first, in one note, before every change that it speaks of.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property

from ecsroll import asg, drain
from ecsroll.ledger import Ledger, Phase, Place, Pointed, Roll, Room
from ecsroll.model import (
    Action,
    CloseRoll,
    Decision,
    Deregister,
    Drain,
    Forget,
    Group,
    Host,
    Launches,
    Memory,
    Note,
    OpenRoll,
    Point,
    PointBack,
    Policy,
    ResumeRebalance,
    Snapshot,
    Stop,
    SuspendRebalance,
    Terminate,
    Undrain,
    Unprotect,
    Verdict,
    Wait,
)

__all__ = ["chosen", "decide"]

PATIENCE = timedelta(seconds=60)
"""How long a change of ours may take to show in a reading before it is made again (aws-facts 6.6, 9: API read lag)."""

SHRINK_AT_ONCE = 50
"""Hosts noted at once as lowering DesiredCapacity, so that a page stays under 4 KB."""


def decide(seen: Snapshot, memory: Memory, policy: Policy) -> tuple[Decision, Memory]:
    """The next safe step from here, and what to remember of this round."""
    memory = _remember(seen, memory, policy)
    if seen.roll is None:
        return _begin(seen, policy), memory
    turn = _turn(seen, memory, policy, seen.roll)
    if turn is None:
        return _close(seen, seen.roll, policy), memory
    turn.memory = replace(memory, stop=memory.stop or _gate(turn))
    for step in _HALT if turn.memory.stop else _ROLL:
        if step(turn):
            break
    return turn.decision(), turn.remembered()


# One group's turn ------------------------------------------------------------------------------------------------


@dataclass
class _Turn:
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

    @cached_property
    def epochs(self) -> frozenset[int]:
        return self.seen.past | {self.roll.epoch}

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
        return [host for host in self.live if chosen(host, self.group, self.page, self.policy)]

    @cached_property
    def foreign(self) -> list[Host]:
        """Outdated hosts that somebody else drains: they are left to whoever did it (promise 3)."""
        return [host for host in self.outdated if host.draining and not drain.ours(host, self.epochs)]

    @cached_property
    def old(self) -> list[Host]:
        skipped = {host.id for host in self.foreign}
        return [host for host in self.outdated if host.id not in skipped]

    @cached_property
    def draining(self) -> list[Host]:
        """Drained by this tool and still there."""
        return [host for host in self.live if drain.ours(host, self.epochs)]

    @cached_property
    def ready(self) -> list[Host]:
        return [host for host in self.live if self.is_ready(host)]

    def is_ready(self, host: Host) -> bool:
        """InService, ACTIVE, agent connected, daemons RUNNING, in n readings; and not about to be drained."""
        return host.serves and host.id not in self.memory.shaky and not self.expects("drain", host.id)

    def expects(self, what: str, subject: str) -> bool:
        """Whether we made this change and no reading has shown it yet."""
        return f"{what}:{subject}" in self.memory.expected

    def wait(self, kind: str, subject: str, reason: str, *, limit: timedelta | None = None) -> None:
        """Say what is waited for; since when is remembered from the round that first said it."""
        since = self.memory.waiting.get(f"{kind}:{subject}", self.seen.at)
        self.waits.append(Wait(kind=kind, subject=subject, reason=reason, until=since + limit if limit else None))

    def waited(self, kind: str, subject: str) -> timedelta:
        """For how long the rounds before this one have waited for something."""
        since = self.memory.waiting.get(f"{kind}:{subject}")
        return self.seen.at - since if since else timedelta()

    def held_by(self, host: Host) -> tuple[drain.Hold, ...]:
        return drain.holds(host, self.seen, self.memory.agentless.get(host.id), self.policy)

    def decision(self) -> Decision:
        noted: list[Action] = []
        if not self.forgotten and self.seen.ledgers.get(self.group.name) != self.page:
            noted.append(Note(ledger=self.page, why="before anything that it speaks of is changed"))
        return Decision(actions=(*noted, *self.actions), waits=tuple(self.waits), verdict=self.verdict)

    def remembered(self) -> Memory:
        """The memory with every change of this round that a later reading has to show."""
        changes = {key: self.seen.at for action in self.actions for key in _shown_by(action)}
        waiting = {f"{wait.kind}:{wait.subject}": wait.since or self.seen.at for wait in self.waits}
        return replace(self.memory, expected={**self.memory.expected, **changes}, waiting=waiting)


def _turn(seen: Snapshot, memory: Memory, policy: Policy, roll: Roll) -> _Turn | None:
    """The turn of the first group that is not finished; groups roll one after another."""
    for name in roll.groups:
        if name not in roll.finished and name in seen.groups:
            group = seen.groups[name]
            page = seen.ledgers.get(name) or _first_page(seen, memory, policy, roll, group)
            return _Turn(seen, memory, policy, roll, group, page)
    return None


def _first_page(seen: Snapshot, memory: Memory, policy: Policy, roll: Roll, group: Group) -> Ledger:
    page = Ledger(group=group.name, epoch=roll.epoch, began=seen.at, ready=0, old=0, uneven=0)
    page = replace(page, pointed=_entries(group, roll.images))
    turn = _Turn(seen, memory, policy, roll, group, page)
    return replace(page, ready=len(turn.ready), old=len(turn.old), uneven=asg.uneven(turn.live, group.zones))


def _entries(group: Group, images: Mapping[str, str]) -> tuple[Pointed, ...]:
    return tuple(
        asg.entry_for(launches, images.get(f"{group.name}/{asg.name_of(launches)}")) for launches in group.launches
    )


def chosen(host: Host, group: Group, page: Ledger, policy: Policy) -> bool:
    """Whether the host is to be replaced. A host launched since the roll began is not, unless it is outdated."""
    before = host.launched_at < page.began
    if policy.instances:
        return before and host.id in policy.instances
    if policy.all:
        return before
    if policy.older_than is not None:
        return host.launched_at < page.began - policy.older_than
    return asg.outdated(host, group, page.pointed)


# What outlives the round -----------------------------------------------------------------------------------------


def _remember(seen: Snapshot, memory: Memory, policy: Policy) -> Memory:
    """Count good readings, note who has lost its agent, strike out what has been seen to happen."""
    hosts = list(seen.hosts.values())
    agentless = {
        host.id: memory.agentless.get(host.id, seen.at)
        for host in hosts
        if host.live and host.arn is not None and not host.connected
    }
    return replace(
        memory,
        at=seen.at,
        looks=min(2, memory.looks + 1),
        shaky=_shaky(seen, memory, policy),
        agentless=agentless,
        expected={
            key: since for key, since in memory.expected.items() if seen.at - since < PATIENCE and not _shows(seen, key)
        },
    )


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
    since = memory.at if memory.at is not None else seen.roll.began if seen.roll else seen.at
    return host.launched_at > since - PATIENCE and (seen.roll is None or host.launched_at > seen.roll.began)


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
        case _:
            return []


def _shows(seen: Snapshot, key: str) -> bool:
    what, _, subject = key.partition(":")
    host = seen.hosts.get(subject)
    if host is None or host.leaving:
        return True
    return what == "drain" and host.draining


# Beginning and end -----------------------------------------------------------------------------------------------


def _begin(seen: Snapshot, policy: Policy) -> Decision:
    epoch = max(seen.past, default=0) + 1
    names = policy.groups or tuple(sorted(seen.groups))
    roll = Roll(epoch=epoch, began=seen.at, groups=names, images=dict(policy.images), policy={}, by=policy.by)
    wanting = [name for name in names if _wants(seen, policy, roll, seen.groups[name])]
    if not wanting:
        return Decision(verdict=Verdict(result="nothing", reason="every host runs what its group is to launch"))
    return Decision(actions=(OpenRoll(roll=roll, why=f"{', '.join(wanting)}: hosts to replace"),))


def _wants(seen: Snapshot, policy: Policy, roll: Roll, group: Group) -> bool:
    page = _first_page(seen, Memory(), policy, roll, group)
    return group.name in seen.ledgers or page.old > 0 or any(entry.phase is Phase.ASKING for entry in page.pointed)


def _close(seen: Snapshot, roll: Roll, policy: Policy) -> Decision:
    skipped = sum(
        len(_Turn(seen, Memory(), policy, roll, group, _first_page(seen, Memory(), policy, roll, group)).foreign)
        for name, group in seen.groups.items()
        if name in roll.groups
    )
    result: Verdict
    if skipped:
        result = Verdict(
            result="halted",
            reason=f"{skipped} outdated host(s) were skipped: somebody else drains them",
            next=f"ecsroll replace --cluster {seen.cluster}, once they are ACTIVE or gone",
            replaced=roll.replaced,
            remaining=skipped,
        )
    else:
        result = Verdict(result="done", reason="every outdated host was replaced", replaced=roll.replaced)
    closed = replace(roll, result="halted" if skipped else "done")
    return Decision(actions=(CloseRoll(roll=closed, why=result.reason),), verdict=result)


# Steps of a roll, in their order; a step that returns True ends the round ------------------------------------------


def _point(turn: _Turn) -> bool:
    """Make the group launch the target image, before anything else: every host from now on must be a new one."""
    if not turn.page.pointed and turn.group.launches:
        turn.page = replace(turn.page, pointed=_entries(turn.group, turn.roll.images))
    entries = []
    for entry in turn.page.pointed:
        launches = asg.launches_of(turn.group, entry)
        if entry.phase is Phase.ASKING and asg.arrived(launches, entry):
            entries.append(replace(entry, phase=Phase.HELD, version=_version(launches, entry)))
        else:
            entries.append(entry)
    turn.page = replace(turn.page, pointed=tuple(entries))
    asking = [entry for entry in entries if entry.phase is not Phase.HELD]
    for entry in asking:
        turn.actions.append(
            Point(
                ledger=turn.page, pointed=entry, why=f"{turn.group.name} launches {entry.image_was}, not {entry.image}"
            )
        )
        turn.wait("target", turn.group.name, f"until {entry.name} reads back {entry.image}")
    if not asking and turn.page.pointed_at is None:
        turn.page = replace(turn.page, pointed_at=turn.seen.at)
    return bool(asking)


def _version(launches: Launches | None, entry: Pointed) -> str | None:
    if launches is None:
        return entry.version
    return launches.name if entry.place is Place.CONFIGURATION else launches.version


def _make_room(turn: _Turn) -> bool:
    """Ask for room, and keep the floor where it has to be."""
    room = turn.page.room
    if room is None:
        return bool(turn.old) and _ask(turn)
    if room.phase is Phase.RETURNING:
        return False
    if room.phase is Phase.ASKING and not asg.landed(turn.group, room):
        turn.actions.append(asg.bounds(room, turn.group, _why_room(room, turn.group)))
        turn.wait("room", turn.group.name, f"until MinSize reads {room.floor}")
        return True
    room = asg.settle(turn.group, replace(room, phase=Phase.HELD), turn.read_live)
    moved = asg.follow(turn.group, room)
    if moved is not None:
        why = f"the group moved to desired {turn.group.desired}, MinSize {turn.group.min}, MaxSize {turn.group.max}"
        turn.actions.append(asg.bounds(moved, turn.group, f"{why}: the floor follows to {moved.floor}"))
    turn.page = replace(turn.page, room=moved or room, rebalance=_held(turn))
    return False


def _ask(turn: _Turn) -> bool:
    surge = asg.surge_for(turn.group, len(turn.old), turn.policy)
    room = asg.ask_room(turn.group, surge, turn.policy)
    ours = "AZRebalance" not in turn.group.suspended
    turn.page = replace(turn.page, room=room, rebalance=Phase.ASKING if ours else None)
    if ours:
        # A termination leaves a zone short, and AZRebalance would answer by killing hosts elsewhere (facts 5.1, 5.6).
        turn.actions.append(SuspendRebalance(group=turn.group.name, why="zones are uneven while hosts are replaced"))
    turn.actions.append(asg.bounds(room, turn.group, _why_room(room, turn.group)))
    turn.wait("room", turn.group.name, f"until MinSize reads {room.floor}")
    return True


def _why_room(room: Room, group: Group) -> str:
    return f"room for {room.borrowed} more than the {group.desired} wanted, before anything is drained"


def _held(turn: _Turn) -> Phase | None:
    """AZRebalance is held once it reads as suspended; asked for again until then."""
    if turn.page.rebalance is Phase.ASKING:
        if "AZRebalance" in turn.group.suspended:
            return Phase.HELD
        turn.actions.append(SuspendRebalance(group=turn.group.name, why="it does not read as suspended yet"))
    return turn.page.rebalance


def _bury(turn: _Turn) -> bool:
    """Tell ECS about hosts that the group is taking away: a dead agent would leave a zombie behind (facts 3.8)."""
    for host in turn.seen.of(turn.group):
        gone = host.lifecycle.startswith("Terminating") and not (
            # Managed draining and other hooks still look at the container instance until they are through.
            turn.group.termination_hook and host.lifecycle in {"Terminating", "Terminating:Wait"}
        )
        if gone and host.arn is not None and drain.ours(host, turn.epochs):
            turn.actions.append(Deregister(host=host, why=f"{host.id} is {host.lifecycle}"))
    turn.actions.extend(
        Deregister(host=ghost, why=f"{ghost.id} is gone, its registration is not")
        for ghost in turn.seen.ghosts
        if drain.ours(ghost, turn.epochs)
    )
    return False


def _dismiss(turn: _Turn) -> bool:
    """Terminate the hosts that were seen empty; the last ones make the group smaller again."""
    leaving = [host for host in turn.draining if not _wait_for(turn, host)]
    leaving += [host for host in turn.old if host.arn is None and host.lifecycle == "InService"]
    room = turn.page.room
    left = len(turn.old)
    shrinking: list[Host] = []
    for host in leaving:
        if room is not None and _may_shrink(turn, room, host, left, shrinking):
            shrinking.append(host)
        elif host in turn.old:
            turn.actions.append(_termination(turn, host, shrink=False))
        else:
            turn.actions.append(Undrain(hosts=(host,), why=f"{host.id} is not outdated, and nothing is borrowed"))
            continue
        left -= host in turn.old
    if room is not None and shrinking:
        _shrink(turn, room, shrinking)
    return False


def _wait_for(turn: _Turn, host: Host) -> bool:
    """Whether the drained host still has to be waited for."""
    held = turn.held_by(host)
    if held:
        turn.wait("drain", host.id, drain.sentence(held), limit=turn.policy.drain_timeout)
        return True
    if host.id in turn.page.canaries and not turn.page.canary_passed:
        names = ", ".join(sorted(drain.services_on(host, turn.seen)))
        turn.wait("canary", host.id, f"empty; kept until {names} are healthy elsewhere")
        return True
    return False


def _may_shrink(turn: _Turn, room: Room, host: Host, left: int, shrinking: list[Host]) -> bool:
    """Whether this host's termination should give one borrowed host back.

    Only the last ``borrowed`` old hosts do, not while the group owes terminations (debt), and not if that would leave
    the zones more uneven than they were: then it is replaced, and a surplus host of the fullest zone goes instead.
    """
    to_give = room.borrowed - len(room.shrinking) - len(shrinking)
    if to_give <= 0 or left > to_give or len(room.shrinking) + len(shrinking) >= SHRINK_AT_ONCE:
        return False
    if asg.debt(turn.group, len(turn.live)) > 0:
        return False
    gone = {host.id, *room.shrinking, *(other.id for other in shrinking)}
    rest = [other for other in turn.live if other.id not in gone]
    even = asg.uneven(rest, turn.group.zones) <= max(1, turn.page.uneven)
    return even or host not in turn.old


def _shrink(turn: _Turn, room: Room, hosts: list[Host]) -> None:
    shrinking = (*room.shrinking, *(host.id for host in hosts))
    floor = turn.group.desired - len(shrinking)
    lowered = replace(room, shrinking=shrinking, floor=floor)
    turn.page = replace(turn.page, room=lowered)
    # MinSize first: a termination that would go under it is refused (facts 5.1).
    turn.actions.append(asg.bounds(lowered, turn.group, f"the last {len(hosts)} make the group smaller"))
    turn.actions.extend(_termination(turn, host, shrink=True) for host in hosts)


def _termination(turn: _Turn, host: Host, *, shrink: bool) -> Terminate:
    lost = turn.memory.agentless.get(host.id)
    after = f"the group shrinks to {turn.group.desired - 1}" if shrink else "the group launches its successor"
    return Terminate(
        host=host,
        shrink=shrink,
        excused=drain.excused(host, turn.seen, lost, turn.policy),
        why=f"{host.id} is empty; {after}",
    )


def _judge_canary(turn: _Turn) -> bool:
    """The canaries' tasks must be healthy elsewhere, in n readings, before anything of the group is terminated."""
    page = turn.page
    if page.canary_passed or not page.canaries:
        return False
    hosts = [turn.seen.hosts[name] for name in page.canaries if name in turn.seen.hosts]
    names = {name for host in hosts for name in drain.services_on(host, turn.seen)}
    calm = all(_healthy(turn.seen, name) for name in names) and not any(turn.held_by(host) for host in hosts)
    turn.memory = replace(turn.memory, calm=turn.memory.calm + 1 if calm else 0)
    if turn.memory.calm >= turn.policy.good_readings:
        turn.page = replace(page, canary_passed=True)
    return False


def _healthy(seen: Snapshot, name: str) -> bool:
    service = seen.services[name]
    return service.steady and all(
        seen.targets[arn].states.get("healthy", 0) >= service.desired
        for arn in service.target_groups
        if arn in seen.targets
    )


def _drain(turn: _Turn) -> bool:
    """Drain what may be drained: as many hosts as have a ready successor."""
    if turn.memory.looks < 2:
        # The first picture may lag behind what a life before this one did a moment ago.
        turn.wait("look", turn.group.name, "for a second reading before anything is drained")
        return False
    candidates = _candidates(turn)
    batch = _affordable(turn, candidates)
    if batch and not turn.page.canary_passed and turn.page.canaries != (fresh := _canaries(turn, batch)):
        turn.page = replace(turn.page, canaries=fresh)
    if batch:
        turn.actions.append(
            Drain(hosts=tuple(batch), mark=drain.mark(turn.roll.epoch, turn.seen.at), why=_why_drain(turn, batch))
        )
    elif candidates:
        _explain(turn)
    _await_hosts(turn)
    return False


def _canaries(turn: _Turn, batch: list[Host]) -> tuple[str, ...]:
    return (*turn.page.canaries, *(host.id for host in batch))


def _candidates(turn: _Turn) -> list[Host]:
    """Hosts to drain next, the most urgent first; a surplus host only when no old one is left."""
    free = [host for host in turn.old if _can_be_drained(turn, host)]
    if turn.old:
        return _canary_order(turn, free) if _tries_canary(turn) else _order(turn, free)
    room = turn.page.room
    surplus = (room.borrowed - len(room.shrinking) - len(turn.draining)) if room else 0
    spare = [host for host in turn.live if _can_be_drained(turn, host)]
    return _surplus_order(turn, spare)[: max(0, surplus)]


def _can_be_drained(turn: _Turn, host: Host) -> bool:
    return host.status == "ACTIVE" and host.lifecycle == "InService" and not turn.expects("drain", host.id)


def _tries_canary(turn: _Turn) -> bool:
    return turn.policy.canary > 0 and not turn.page.canary_passed and _has_replicas(turn)


def _has_replicas(turn: _Turn) -> bool:
    return any(drain.services_on(host, turn.seen) for host in turn.outdated)


def _canary_order(turn: _Turn, free: list[Host]) -> list[Host]:
    """Healthy hosts that carry the most services, and no more of them than are to be canaries."""
    there = [name for name in turn.page.canaries if name in turn.group.hosts]
    wanted = turn.policy.canary - len(there)
    fit = asg.zone_order([host for host in free if turn.is_ready(host)], turn.live)
    fit.sort(key=lambda pair: (-len(drain.services_on(pair[1], turn.seen)), pair[0], pair[1].id))
    return [host for _, host in fit][: max(0, wanted)]


def _order(turn: _Turn, free: list[Host]) -> list[Host]:
    """Sick hosts first, they cost nothing; then by zone; then the fewest moves.

    A successor comes up in the zone that its host has left, so the surplus stays where the room was made: the old hosts
    of the fullest zones go last, because the last ones shrink the group and that must leave the zones even.
    """
    zoned = asg.zone_order(free, turn.live)
    ranked = sorted(zoned, key=lambda pair: (turn.is_ready(pair[1]), pair[0], pair[1].tasks, pair[1].id))
    return [host for _, host in ranked]


def _surplus_order(turn: _Turn, spare: list[Host]) -> list[Host]:
    """What the group does not launch any more, then the fullest zone, then the emptiest host (DESIGN 5)."""
    zoned = asg.zone_order(spare, turn.live)
    ranked = sorted(
        zoned,
        key=lambda pair: (
            not asg.outdated(pair[1], turn.group, turn.page.pointed),
            -pair[0],
            pair[1].tasks,
            pair[1].id,
        ),
    )
    return [host for _, host in ranked]


def _need(turn: _Turn) -> int:
    """Ready hosts that have to stay."""
    return min(asg.natural(turn.group, turn.page.room), turn.page.ready) - _unavailable(turn)


def _unavailable(turn: _Turn) -> int:
    return turn.policy.unavailable.of(asg.natural(turn.group, turn.page.room), up=False)


def _affordable(turn: _Turn, candidates: list[Host]) -> list[Host]:
    """As many as leave enough ready hosts; one that is not ready costs nothing."""
    ready, need = len(turn.ready), _need(turn)
    batch = []
    for host in candidates:
        cost = turn.is_ready(host)
        if cost and ready - 1 < need:
            continue
        ready -= cost
        batch.append(host)
    return batch


def _why_drain(turn: _Turn, batch: list[Host]) -> str:
    moves = sum(drain.carried(host, turn.seen) for host in batch)
    return f"{len(turn.ready)} ready, {max(0, _need(turn))} needed; {moves} task(s) will move"


def _explain(turn: _Turn) -> None:
    reason = f"{len(turn.ready)} ready, {_need(turn)} needed besides the next to be drained"
    turn.wait("successor", turn.group.name, reason)


def _await_hosts(turn: _Turn) -> None:
    """Say which new hosts are waited for, and what is still missing."""
    limit = turn.policy.boot_timeout
    for host in turn.live:
        if not turn.is_ready(host) and not host.draining and host not in turn.old:
            turn.wait("boot", host.id, _why_not_ready(turn, host), limit=limit)
    if len(turn.live) < turn.group.desired:
        reason = f"{turn.group.desired} wanted, {len(turn.live)} there" + _last_failure(turn.group)
        turn.wait("launch", turn.group.name, reason, limit=limit)


def _why_not_ready(turn: _Turn, host: Host) -> str:
    if host.lifecycle != "InService":
        return f"is {host.lifecycle}"
    if host.arn is None:
        return "has not registered with ECS"
    if not host.serves:
        return f"is {host.status}, agent {'connected' if host.connected else 'not connected'}"
    return f"{turn.memory.shaky.get(host.id, 0)} of {turn.policy.good_readings} good readings"


def _last_failure(group: Group) -> str:
    return f"; last launch failed: {group.failures[0].message}" if group.failures else ""


def _give_back(turn: _Turn) -> bool:
    """Give everything back, in the order in which nothing can be taken away by it."""
    if turn.old or turn.draining or not _return_room(turn) or not _return_protection(turn):
        return True
    if not _return_rebalance(turn):
        return True
    turn.forgotten = True
    done = replace(
        turn.roll,
        finished=(*turn.roll.finished, turn.group.name),
        replaced=turn.roll.replaced + max(0, turn.page.old - len(turn.foreign)),
    )
    if turn.group.name in turn.seen.ledgers:
        turn.actions.append(Forget(group=turn.group.name, why="everything was given back"))
    turn.actions.append(OpenRoll(roll=done, why=f"{turn.group.name} is finished"))
    return True


def _return_room(turn: _Turn) -> bool:
    """MinSize, MaxSize and birth protection, once no old host is left and nothing is borrowed."""
    room = turn.page.room
    if room is None:
        return True
    if room.borrowed or room.shrinking:
        return False
    back = asg.returned(turn.group, room)
    reads_back = (turn.group.min, turn.group.max, turn.group.protects_new) == (back.min, back.max, back.protects_new)
    if room.phase is Phase.RETURNING and reads_back:
        # Kept until the hosts that were born protected are unprotected: the entry says that it was we who did it.
        return True
    turn.page = replace(turn.page, room=replace(room, phase=Phase.RETURNING))
    turn.actions.append(back)
    turn.wait("return", turn.group.name, f"until MinSize reads {back.min}")
    return False


def _return_protection(turn: _Turn) -> bool:
    room = turn.page.room
    if room is None or room.protects_was or _ecs_protects(turn.group):
        return True
    born = [host for host in turn.live if host.protected and host.launched_at >= turn.page.began]
    if not born:
        return True
    if len(turn.live) != turn.group.desired:
        turn.wait("return", turn.group.name, f"until {turn.group.desired} hosts are there, {len(turn.live)} now")
        return False
    settled = tuple(host.id for host in born if host.lifecycle == "InService")
    if settled:
        turn.actions.append(
            Unprotect(group=turn.group.name, hosts=settled, why="they were born protected for the roll")
        )
    turn.wait("return", turn.group.name, "until no new host is protected any more")
    return False


def _ecs_protects(group: Group) -> bool:
    """ECS itself flips protection here: whoever else writes it fights ECS (facts 4.3)."""
    return group.provider is not None and group.provider.termination_protection


def _return_rebalance(turn: _Turn) -> bool:
    if turn.page.rebalance is None:
        return True
    if turn.page.rebalance is Phase.RETURNING and "AZRebalance" not in turn.group.suspended:
        turn.page = replace(turn.page, rebalance=None)
        return True
    uneven = asg.uneven(turn.live, turn.group.zones)
    if uneven > max(1, turn.page.uneven):
        reason = f"zones differ by {uneven} hosts: AZRebalance would move some at once"
        turn.wait("zones", turn.group.name, reason, limit=turn.policy.boot_timeout)
        return False
    turn.page = replace(turn.page, rebalance=Phase.RETURNING)
    turn.actions.append(ResumeRebalance(group=turn.group.name, why="every host is in its place"))
    return False


# Gates: what stops a roll (promise 7) ------------------------------------------------------------------------------


def _gate(turn: _Turn) -> Stop | None:
    """The first reason to stop, or None."""
    for gate in (_wrong_launch, _moved_target, _stuck_drain, _stuck_host, _stuck_group):
        reason = gate(turn)
        if reason:
            return Stop(reason=reason, at=turn.seen.at, subject=turn.group.name)
    return None


def _wrong_launch(turn: _Turn) -> str | None:
    """A host launched after the target was set that runs something else: never one more outdated host."""
    since = turn.page.pointed_at
    for host in turn.live:
        late = since is not None and host.launched_at > since + PATIENCE
        if late and host.image is not None and asg.outdated(host, turn.group, turn.page.pointed):
            return f"{host.id} was launched with {host.image} after the group had been pointed at another image"
    return None


def _moved_target(turn: _Turn) -> str | None:
    for entry in turn.page.pointed:
        launches = asg.launches_of(turn.group, entry)
        moved = entry.phase is Phase.HELD and entry.place is not Place.PUBLIC
        if moved and not asg.arrived(launches, entry):
            now = launches.image if launches else "something else"
            return f"{turn.group.name} was made to launch {now} by somebody else; this roll had set {entry.image}"
    return None


def _stuck_drain(turn: _Turn) -> str | None:
    for host in turn.draining:
        held = turn.held_by(host)
        if held and drain.overdue(host, turn.seen.at, turn.policy):
            return f"{host.id} has not been drained within {turn.policy.drain_timeout}: {drain.sentence(held)}"
    return None


def _stuck_host(turn: _Turn) -> str | None:
    for host in turn.live:
        if turn.waited("boot", host.id) > turn.policy.boot_timeout and not turn.is_ready(host):
            why = _why_not_ready(turn, host)
            return f"{host.id} has not become ready within {turn.policy.boot_timeout}: it {why}"
    return None


def _stuck_group(turn: _Turn) -> str | None:
    name = turn.group.name
    if turn.waited("launch", name) > turn.policy.boot_timeout and len(turn.live) < turn.group.desired:
        there = f"{len(turn.live)} of {turn.group.desired} hosts of {name}"
        return f"only {there} came within {turn.policy.boot_timeout}{_last_failure(turn.group)}"
    if turn.waited("zones", name) > turn.policy.boot_timeout:
        return f"the zones of {name} stay uneven, so AZRebalance was left suspended"
    return None


# Steps of a stop: leave the cluster serving, undo open drains, point the target back, say what is owed ---------------


def _undrain(turn: _Turn) -> bool:
    """Hosts that are still there take tasks again."""
    if turn.draining:
        turn.actions.append(Undrain(hosts=tuple(turn.draining), why="the roll stops: they serve again"))
        turn.wait("undo", turn.group.name, f"until {len(turn.draining)} host(s) are ACTIVE again")
    room = turn.page.room
    if room is not None and room.shrinking:
        room = replace(asg.settle(turn.group, room, turn.read_live), shrinking=())
        moved = asg.follow(turn.group, room) or room
        turn.actions.append(asg.bounds(moved, turn.group, "the roll stops: the floor keeps scale-in out"))
        turn.page = replace(turn.page, room=moved)
    return bool(turn.draining) and not _out_of_patience(turn)


def _point_back(turn: _Turn) -> bool:
    """No scale-out from now on may launch what was just judged bad, unless somebody else has moved the target."""
    entries = []
    for entry in turn.page.pointed:
        launches = asg.launches_of(turn.group, entry)
        back = launches is not None and launches.image == entry.image_was
        theirs = entry.phase is Phase.HELD and not asg.arrived(launches, entry)
        if entry.changes and not back and not theirs:
            entries.append(replace(entry, phase=Phase.RETURNING))
    if entries:
        turn.page = replace(turn.page, pointed=tuple(entries))
        for entry in entries:
            why = f"the roll stops: {turn.group.name} launches {entry.image_was} again"
            turn.actions.append(PointBack(ledger=turn.page, pointed=entry, why=why))
        turn.wait("undo", turn.group.name, f"until it launches {entries[0].image_was} again")
        return not _out_of_patience(turn)
    turn.page = replace(turn.page, pointed=(), pointed_at=None)
    return False


def _return_the_rest(turn: _Turn) -> bool:
    """What can be given back without moving a task."""
    if turn.page.room is not None and turn.page.room.borrowed:
        return False
    given = _return_room(turn) and _return_protection(turn) and _return_rebalance(turn)
    if given and turn.page.room is not None:
        turn.page = replace(turn.page, room=None)
    return not given and not _out_of_patience(turn)


def _say_why(turn: _Turn) -> bool:
    stop = turn.memory.stop
    remaining = _remaining(turn)
    turn.waits.clear()
    turn.verdict = Verdict(
        result="halted",
        reason=stop.reason if stop else "",
        next=f"ecsroll replace --cluster {turn.seen.cluster} (goes on where this stopped)",
        replaced=turn.roll.replaced + max(0, turn.page.old - remaining),
        remaining=remaining,
        owed=asg.owed(turn.page),
    )
    return True


def _remaining(turn: _Turn) -> int:
    """Hosts that still do not run what the roll wants."""
    page = replace(turn.page, pointed=_entries(turn.group, turn.roll.images))
    return sum(1 for host in turn.live if chosen(host, turn.group, page, turn.policy))


def _out_of_patience(turn: _Turn) -> bool:
    stop = turn.memory.stop
    return stop is not None and turn.seen.at - stop.at > 3 * PATIENCE


_ROLL: tuple[Callable[[_Turn], bool], ...] = (
    _point,
    _make_room,
    _bury,
    _judge_canary,
    _dismiss,
    _drain,
    _give_back,
)
_HALT: tuple[Callable[[_Turn], bool], ...] = (_undrain, _point_back, _return_the_rest, _say_why)
