"""What to do next: Snapshot, Memory and Policy in, the one next safe step out. Pure and total.

A roll may be taken up from any state, so nothing here asks how it got there. Each step looks at the picture and the
group's ledger page, says what to do and what it waits for, and either lets the next step have its turn or ends the
round. A page that changed is written first, in one note, before every change that it speaks of.
"""

from collections.abc import Callable
from dataclasses import replace

from ecsroll import asg, drain
from ecsroll.canary import drained_canaries, judge, tries_canary
from ecsroll.dismiss import dismiss, give_up, stop_standalone
from ecsroll.gates import baseline, hold_for_services, hold_for_window, outside_words
from ecsroll.giveback import give_back
from ecsroll.ledger import Phase, Place, Pointed, Roll, Room
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
    OpenRoll,
    Point,
    Policy,
    Snapshot,
    Stop,
    SuspendRebalance,
    Verdict,
    Wait,
)
from ecsroll.policy import again, noted
from ecsroll.stop import HALT, gate, point_back, undo_drains
from ecsroll.turn import (
    PATIENCE,
    Turn,
    count_losses,
    entries,
    first_page,
    last_failure,
    launched,
    newest_launch,
    remember,
    turn_of,
    why_not_ready,
)
from ecsroll.window import opens

__all__ = ["decide"]


def decide(seen: Snapshot, memory: Memory, policy: Policy) -> tuple[Decision, Memory]:
    """The next safe step from here, and what to remember of this round."""
    before, memory = memory, remember(seen, memory, policy)
    if seen.roll is None:
        return _interrupted(memory.stop) if memory.stop else _begin(seen, policy), memory
    missing = [name for name in seen.roll.groups if name not in seen.roll.finished and name not in seen.groups]
    if missing:
        return _without(seen, seen.roll, memory, missing[0])
    turn = turn_of(seen, memory, policy, seen.roll)
    if turn is None:
        return _close(seen, seen.roll, policy), memory
    turn.memory = count_losses(turn, before)
    turn.memory = replace(turn.memory, stop=memory.stop or gate(turn))
    steps = HALT if turn.memory.stop else _ABORT if seen.roll.aborting else _ROLL
    any(step(turn) for step in steps)  # in their order, until one ends the round
    return turn.decision(), turn.remembered()


# Beginning and end -----------------------------------------------------------------------------------------------


def _interrupted(stop: Stop) -> Decision:
    return Decision(verdict=Verdict(result="interrupted", reason=f"{stop.reason}; nothing was changed"))


def _begin(seen: Snapshot, policy: Policy) -> Decision:
    epoch = seen.epoch or max(seen.past, default=0) + 1
    names = policy.groups or tuple(sorted(seen.groups))
    roll = Roll(
        epoch=epoch,
        began=seen.at,
        groups=names,
        images=dict(policy.images),
        policy=noted(policy),
        by=policy.by,
        before=baseline(seen),
        was=launched(seen, names),
        versions=dict(policy.versions),
        back=policy.back,
    )
    wanting = [name for name in names if _wants(seen, policy, roll, seen.groups[name])]
    if not wanting:
        return Decision(verdict=Verdict(result="nothing", reason=_nothing(seen, policy, roll)))
    if shut := outside_words(policy, seen.at):
        return _wait_outside(seen, policy, shut)
    return Decision(actions=(OpenRoll(roll=roll, why=f"{', '.join(wanting)}: hosts to replace"),))


def _wait_outside(seen: Snapshot, policy: Policy, shut: str) -> Decision:
    if policy.outside_window == "exit":
        return Decision(
            verdict=Verdict(
                result="refused",
                reason=f"{shut}; nothing was changed",
                next="run it again then, or give --outside-window wait",
            )
        )
    until = opens(policy.windows, seen.at)
    return Decision(waits=(Wait(kind="window", subject=seen.cluster, reason=shut, since=seen.at, until=until),))


def _nothing(seen: Snapshot, policy: Policy, roll: Roll) -> str:
    pages = [
        (group, first_page(seen, Memory(), policy, roll, group)) for group in map(seen.groups.__getitem__, roll.groups)
    ]
    skipped = sum(len(Turn(seen, Memory(), policy, roll, group, page).foreign) for group, page in pages)
    theirs = f"{skipped} outdated host(s) are left to whoever drains them, and every other" if skipped else "every"
    return f"{theirs} host runs what its group is to launch"


def _wants(seen: Snapshot, policy: Policy, roll: Roll, group: Group) -> bool:
    page = first_page(seen, Memory(), policy, roll, group)
    old = Turn(seen, Memory(), policy, roll, group, page).old
    return group.name in seen.ledgers or bool(old) or any(entry.phase is Phase.ASKING for entry in page.pointed)


def _without(seen: Snapshot, roll: Roll, memory: Memory, name: str) -> tuple[Decision, Memory]:
    """A group that was deleted owes nothing any more; but one reading that lags must not make us forget its page."""
    since = memory.waiting.get(f"group:{name}", seen.at)
    page = seen.ledgers.get(name)
    if memory.stop is not None:
        goes_on = f"{again(seen.cluster, roll)} (goes on where this stopped)"
        owed = asg.owed(page, roll.verb) if page else ()
        verdict = Verdict(result="interrupted", reason=memory.stop.reason, next=goes_on, owed=owed)
        return Decision(verdict=verdict), memory
    if seen.at - since < PATIENCE:
        until = since + PATIENCE
        wait = Wait(kind="group", subject=name, reason=f"{name} is not there any more", since=since, until=until)
        return Decision(waits=(wait,)), replace(memory, waiting={f"group:{name}": since})
    actions: list[Action] = [Forget(group=name, why=f"{name} was deleted")] if page else []
    finished = replace(roll, finished=(*roll.finished, name), gone=(*roll.gone, name))
    return Decision(
        actions=(*actions, OpenRoll(roll=finished, why=f"{name} was deleted: nothing is owed to it"))
    ), memory


def _close(seen: Snapshot, roll: Roll, policy: Policy) -> Decision:
    # A life may have ended between a group's last note and this.
    if pages := [name for name in roll.finished if name in seen.ledgers]:
        return Decision(actions=tuple(Forget(group=name, why=f"{name} is finished") for name in pages))
    turns = [
        Turn(seen, Memory(), policy, roll, group, first_page(seen, Memory(), policy, roll, group))
        for name, group in seen.groups.items()
        if name in roll.groups
    ]
    if back := _came_back(turns):
        finished = tuple(name for name in roll.finished if name not in back)
        why = f"{', '.join(back)}: outdated hosts came back, and are replaced, too"
        return Decision(actions=(OpenRoll(roll=replace(roll, finished=finished), why=why),))
    foreign = sum(len(turn.foreign) for turn in turns)
    standby = 0 if roll.aborting else sum(len(turn.standby) for turn in turns)
    left: dict[str, str] = {}
    if foreign:
        left[f"{foreign} outdated host(s) were skipped: somebody else drains them"] = "once they are ACTIVE or gone"
    names = ", ".join(roll.gone)
    if standby:
        left[f"{standby} outdated host(s) were skipped: they are in Standby"] = "once they are InService again"
    if roll.skipped and not roll.aborting:
        left[f"{roll.skipped} outdated host(s) were skipped: they did not become empty"] = "once what held them is over"
    if roll.gone and not roll.aborting:
        left[f"{len(roll.gone)} group(s) were deleted while the roll went on: {names}"] = f"once {names} is there again"
    if left:
        once_more = again(seen.cluster, replace(roll, aborting=False))
        verdict = Verdict(result="halted", reason="; ".join(left), next=f"{once_more} ({', '.join(left.values())})")
    elif roll.aborting:
        verdict = Verdict(result="done", reason="the roll was ended, everything was given back")
    else:
        verdict = Verdict(result="done", reason="every outdated host was replaced")
    verdict = replace(verdict, replaced=roll.replaced, remaining=foreign + standby + roll.skipped)
    closed = replace(roll, result="halted" if left else "aborted" if roll.aborting else "done")
    return Decision(actions=(CloseRoll(roll=closed, why=verdict.reason),), verdict=verdict)


def _came_back(turns: list[Turn]) -> list[str]:
    """Groups with hosts that somebody drained (or had in Standby) until the group was done with, and that serve again.

    Not once hosts were given up: these serve again, too, and are not to be drained a second time in this roll.
    """
    if any(turn.roll.skipped for turn in turns):
        return []
    return [turn.group.name for turn in turns if any(asg.strange(host, turn.group) for host in turn.old)]


# Steps of a roll, in their order; a step that returns True ends the round ------------------------------------------


def _is_outrun(turn: Turn) -> bool:
    """Nothing is decided on a picture that is older than our own last change (aws-facts 6.6: readings lag)."""
    for host in turn.outrun:
        turn.wait("picture", turn.group.name, f"for a reading that is not older than what was done to {host.id}")
    return bool(turn.outrun)


def _point(turn: Turn) -> bool:
    """Make the group launch the target image, before anything else: every host from now on must be a new one."""
    if turn.group.name not in turn.seen.ledgers and hold_for_window(turn):
        return True
    if not turn.page.pointed and turn.group.launches:
        turn.page = replace(turn.page, pointed=entries(turn.group, turn.roll))
    if any(entry.phase is Phase.RETURNING for entry in turn.page.pointed):
        return _point_anew(turn)
    found = []
    for entry in turn.page.pointed:
        launches = asg.launches_of(turn.group, entry)
        if entry.phase is Phase.ASKING and launches is not None and asg.arrived(launches, entry):
            found.append(replace(entry, phase=Phase.HELD, version=_version(launches, entry)))
        else:
            found.append(entry)
    turn.page = replace(turn.page, pointed=tuple(found))
    asking = _ask_target(turn)
    if not asking and turn.page.pointed_at is None:
        turn.page = replace(turn.page, pointed_at=newest_launch(turn.live))
    return asking or turn.target_in_doubt


def _ask_target(turn: Turn) -> bool:
    """Set the target wherever no reading has shown it yet. Whether there is such a place."""
    asking = [entry for entry in turn.page.pointed if entry.phase is not Phase.HELD]
    for entry in asking:
        why = f"{turn.group.name} launches {entry.image_was}, not {entry.image}"
        turn.actions.append(Point(ledger=turn.page, pointed=entry, why=why))
        turn.wait("target", turn.group.name, f"until {entry.name} reads back {entry.image}")
    return bool(asking)


def _point_anew(turn: Turn) -> bool:
    """An earlier life was cut off while it pointed back: what it had set is asked for again, as it was first noted.

    The version that was made may be gone. What a reading shows now may be older than the call that pointed back, so it
    proves nothing until the target was set once more.
    """
    found = []
    for launches, first in zip(turn.group.launches, entries(turn.group, turn.roll), strict=True):
        known = asg.entry_of(turn.page.pointed, launches)
        # What read back already had left the page.
        found.append(first if known is None else _first_noted(known, turn))
    turn.page = replace(turn.page, pointed=tuple(found), pointed_at=None)
    return _ask_target(turn)


def _first_noted(entry: Pointed, turn: Turn) -> Pointed:
    """As it was before it was set: of a template, with a version only where a rollback goes back to one."""
    made = turn.roll.versions.get(f"{turn.group.name}/{entry.name}") if entry.place is Place.TEMPLATE else entry.version
    return replace(entry, phase=Phase.ASKING, version=made)


def _version(launches: Launches, entry: Pointed) -> str | None:
    return launches.name if entry.place is Place.CONFIGURATION else launches.version


def _make_room(turn: Turn) -> bool:
    """Ask for room, and keep the floor where it has to be."""
    room = turn.page.room
    if room is None:
        return bool(turn.old) and (hold_for_window(turn) or _ask(turn))
    if room.phase is Phase.RETURNING:
        return False
    if asg.unasked(turn.group, room) and turn.roll.aborting:
        turn.page = replace(turn.page, room=None)
        return False
    if asg.unasked(turn.group, room):
        room = asg.ask_room(turn.group, room.borrowed, turn.policy)
        turn.page = replace(turn.page, room=room)
    if not asg.landed(turn.group, room):
        turn.actions.append(asg.bounds(room, turn.group, _why_room(room, turn.group)))
        turn.wait("room", turn.group.name, f"until MinSize reads {room.floor}")
        return True
    if turn.bounds_in_doubt(room):
        turn.wait("room", turn.group.name, f"until MinSize reads {room.floor} again: the reading may be an older one")
        return True
    room = asg.settle(turn.group, replace(room, phase=Phase.HELD, lent=True), turn.read_live)
    moved = asg.follow(turn.group, room)
    if moved is not None:
        why = f"the group moved to desired {turn.group.desired}, MinSize {turn.group.min}, MaxSize {turn.group.max}"
        turn.actions.append(asg.bounds(moved, turn.group, f"{why}: the floor follows to {moved.floor}"))
    turn.page = replace(turn.page, room=moved or room, rebalance=_held(turn))
    return moved is None and _widen(turn, room)


def _widen(turn: Turn, room: Room) -> bool:
    """Ask for more room where a rerun was given a larger surge: pace that is given anew counts (DESIGN 7)."""
    serving = sum(not host.draining for host in turn.old)  # those that are drained need no room any more
    wider = asg.wider(turn.group, room, serving, turn.policy)
    if wider is None or outside_words(turn.policy, turn.seen.at):
        return False
    turn.page = replace(turn.page, room=wider)
    turn.actions.append(asg.bounds(wider, turn.group, f"room for {wider.borrowed} instead of {room.borrowed} more"))
    turn.wait("room", turn.group.name, f"until MinSize reads {wider.floor}")
    return True


def _ask(turn: Turn) -> bool:
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
    if room.lent:
        return f"the bounds move to {room.floor} and {room.ceiling}, as noted"
    if not room.borrowed:
        return f"nothing is borrowed; the floor of {room.floor} keeps scale-in out"
    return f"room for {room.borrowed} more than the {group.desired} wanted, before anything is drained"


def _held(turn: Turn) -> Phase | None:
    """AZRebalance is held once it reads as suspended; asked for again until then."""
    if turn.page.rebalance is Phase.ASKING:
        if "AZRebalance" in turn.group.suspended:
            return Phase.HELD
        turn.actions.append(SuspendRebalance(group=turn.group.name, why="it does not read as suspended yet"))
    return turn.page.rebalance


def _bury(turn: Turn) -> bool:
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


def _drain(turn: Turn) -> bool:
    """Drain what may be drained: as many hosts as have a ready successor."""
    if turn.memory.looks < 2:
        # The first picture may lag behind what a life before this one did a moment ago.
        turn.wait("look", turn.group.name, "for a second reading before anything is drained")
        return False
    candidates = _candidates(turn)
    held = not turn.roll.aborting and hold_for_services(turn)
    if (candidates and hold_for_window(turn)) or held:
        _await_hosts(turn)
        return False
    batch = _affordable(turn, candidates)
    if batch and turn.old and tries_canary(turn):
        turn.page = replace(turn.page, canaries=_canaries(turn, batch))
    if batch:
        turn.actions.append(
            Drain(hosts=tuple(batch), mark=drain.mark(turn.epoch, turn.seen.at), why=_why_drain(turn, batch))
        )
    elif candidates:
        _explain(turn)
    _await_hosts(turn)
    return False


def _canaries(turn: Turn, batch: list[Host]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*turn.page.canaries, *(host.id for host in batch))))


def _candidates(turn: Turn) -> list[Host]:
    """Hosts to drain next, the most urgent first; a surplus host only when no old one is left."""
    free = [host for host in turn.old if _can_be_drained(turn, host)]
    if turn.old:
        return _canary_order(turn, free) if tries_canary(turn) else _order(turn, free)
    room = turn.page.room
    surplus = (room.borrowed - len(room.shrinking) if room else 0) + _stuck_debt(turn) - len(turn.draining)
    spare = [host for host in turn.live if _can_be_drained(turn, host) and host.id not in turn.page.skipped]
    return _surplus_order(turn, spare)[: max(0, surplus)]


def _stuck_debt(turn: Turn) -> int:
    """Hosts above DesiredCapacity that the group can not take by itself, because every one is protected."""
    protected = all(host.protected for host in turn.live)
    return max(0, asg.debt(turn.group, len(turn.live))) if protected else 0


def _can_be_drained(turn: Turn, host: Host) -> bool:
    return host.status == "ACTIVE" and host.lifecycle == "InService" and not turn.expects("drain", host.id)


def _canary_order(turn: Turn, free: list[Host]) -> list[Host]:
    """Healthy hosts that carry the most services, and no more of them than are to be canaries."""
    wanted = turn.policy.canary - len(drained_canaries(turn))
    zoned = asg.zone_order(free, turn.old, turn.live)
    # Where no old host is healthy, a sick one has to do: nothing else would ever begin.
    fit = [(ranks, host) for ranks, host in zoned if turn.is_ready(host)] or zoned
    fit.sort(key=lambda pair: (-len(drain.services_on(pair[1], turn.seen)), pair[0], pair[1].id))
    return [host for _, host in fit][: max(0, wanted)]


def _order(turn: Turn, free: list[Host]) -> list[Host]:
    """Sick hosts first, they cost nothing; then by zone; then the fewest moves."""
    zoned = asg.zone_order(free, turn.old, turn.live)
    ranked = sorted(zoned, key=lambda pair: (turn.is_ready(pair[1]), pair[0], pair[1].tasks, pair[1].id))
    return [host for _, host in ranked]


def _surplus_order(turn: Turn, spare: list[Host]) -> list[Host]:
    """What the group does not launch any more, then the fullest zone, then the emptiest host (DESIGN 5)."""
    spare = sorted(spare, key=lambda host: (host.tasks, host.id))
    strange = asg.from_fullest([host for host in spare if asg.strange(host, turn.group)], turn.live)
    staying = [host for host in turn.live if host not in strange]
    return strange + asg.from_fullest([host for host in spare if host not in strange], staying)


def _need(turn: Turn) -> int:
    """Ready hosts that have to stay."""
    room = turn.page.room
    own = min(asg.natural(turn.group, room), turn.page.ready)
    # A canary is kept when it is empty, so nothing comes in its place: as long as there is room, only that is used.
    return own if tries_canary(turn) and room is not None and room.borrowed else own - _unavailable(turn)


def _unavailable(turn: Turn) -> int:
    return turn.policy.unavailable.of(asg.natural(turn.group, turn.page.room), up=False)


def _affordable(turn: Turn, candidates: list[Host]) -> list[Host]:
    """As many as leave enough ready hosts; one that is not ready costs nothing.

    One that serves and only lacks some good readings is not that: in the first rounds of a life no new host has them.
    """
    ready, need = len(turn.ready), _need(turn)
    batch = []
    for host in candidates:
        cost = turn.is_ready(host)
        if ready - cost < need and (cost or turn.memory.shaky.get(host.id)):
            continue
        ready -= cost
        batch.append(host)
    return batch


def _why_drain(turn: Turn, batch: list[Host]) -> str:
    moves = sum(max(drain.carried(host, turn.seen), host.tasks - _daemons_on(turn, host)) for host in batch)
    return f"{len(turn.ready)} ready, {max(0, _need(turn))} needed; {moves} task(s) will move"


def _daemons_on(turn: Turn, host: Host) -> int:
    """By the list of a while ago: daemons stay where they are, and the counters of today count them."""
    return sum(task.daemon and not task.stopped for task in turn.seen.on(host))


def _explain(turn: Turn) -> None:
    reason = f"{len(turn.ready)} ready, {_need(turn)} needed besides the next to be drained"
    unseen = any(turn.expects("drain", host.id) for host in turn.live)
    if unseen or turn.draining or turn.arriving or len(turn.live) < turn.group.desired:
        turn.wait("successor", turn.group.name, reason)
    else:
        # Nobody is on the way whose coming would end this wait: somebody else keeps a host, so it has an end.
        turn.wait("stuck", turn.group.name, reason, limit=turn.policy.boot_timeout)


def _unregistered(host: Host) -> bool:
    """Serving the group and unknown to ECS: it carries no task, and is dismissed without a drain."""
    return host.arn is None and host.lifecycle == "InService"


def _await_hosts(turn: Turn) -> None:
    """Say which new hosts are waited for, and what is still missing."""
    limit = turn.policy.boot_timeout
    for host in turn.arriving:
        turn.wait("boot", host.id, why_not_ready(turn, host), limit=limit)
    for host in turn.old:
        if turn.expects("drain", host.id):
            turn.wait("old", host.id, "until its drain shows", limit=limit)
        elif not host.draining and not _can_be_drained(turn, host) and not _unregistered(host):
            turn.wait("old", host.id, f"{why_not_ready(turn, host)}: it is drained once it can be", limit=limit)
    if len(turn.live) < turn.group.desired:
        reason = f"{turn.group.desired} wanted, {len(turn.live)} there" + last_failure(turn.group)
        turn.wait("launch", turn.group.name, reason, limit=limit)


_ABORT: tuple[Callable[[Turn], bool], ...] = (
    _is_outrun,
    undo_drains,
    point_back,
    _make_room,
    _bury,
    dismiss,
    _drain,
    give_back,
)
_ROLL: tuple[Callable[[Turn], bool], ...] = (
    _is_outrun,
    _point,
    _make_room,
    _bury,
    judge,
    stop_standalone,
    give_up,
    dismiss,
    _drain,
    give_back,
)
