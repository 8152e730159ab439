"""What stops a roll before it spreads damage, and how it then ends: serving, undone, with its debts named. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from ecsroll import asg, drain
from ecsroll.canary import inconclusive, release
from ecsroll.dismiss import SKIPPED_AT_MOST, shrink, termination
from ecsroll.gates import GATES, outside_words
from ecsroll.giveback import return_protection, return_rebalance, return_room
from ecsroll.ledger import Phase, Place
from ecsroll.model import Drain, Host, PointBack, Stop, Undrain, Verdict
from ecsroll.policy import again, spelled
from ecsroll.turn import PATIENCE, Turn, last_failure, remaining, why_not_ready

__all__ = ["HALT", "gate", "point_back", "undo_drains"]

# Gates: what stops a roll (promise 7) ------------------------------------------------------------------------------


def gate(turn: Turn) -> Stop | None:
    """The first reason to stop, or None."""
    # A roll that is being ended needs no good image any more, and no host to come and stay.
    outcome = (*GATES, inconclusive, _given_up, _window_shut)
    rolling = () if turn.roll.aborting else (_refreshed, _wrong_launch, _moved_target, _lost_hosts, *outcome)
    for gate in (*rolling, _stuck_drain, _stuck_host, _stuck_group, _stuck_change):
        reason = gate(turn)
        if reason:
            judged = gate in {*GATES, _stuck_host, _lost_hosts} and not turn.roll.aborting
            lines = _stuck_lines(turn) if gate is _stuck_drain else ()
            back = judged and gate in GATES
            return Stop(reason=reason, at=turn.seen.at, subject=turn.group.name, judged=judged, back=back, lines=lines)
    return None


def _window_shut(turn: Turn) -> str | None:
    """Outside of every window, with ``--outside-window exit``, once what had begun is finished."""
    shut = outside_words(turn.policy, turn.seen.at)
    if turn.policy.outside_window != "exit" or not shut:
        return None
    if turn.draining or turn.arriving or len(turn.live) < turn.group.desired:
        return None
    return shut


def _given_up(turn: Turn) -> str | None:
    if len(turn.page.skipped) <= SKIPPED_AT_MOST:
        return None
    return f"more than {SKIPPED_AT_MOST} hosts of {turn.group.name} did not become empty and were skipped"


def _refreshed(turn: Turn) -> str | None:
    """AWS's own replacement ends hosts without a drain: two at once would take more than either may (facts 5.7)."""
    if turn.group.refresh:
        return f"instance refresh {turn.group.refresh} replaces hosts of {turn.group.name}: somebody else started it"
    return None


def _lost_hosts(turn: Turn) -> str | None:
    """Hosts that come and go again would be waited for one after another, each within its time, for ever.

    Some losses are no news where many hosts are (Spot): as many as were borrowed, or one in ten.
    """
    borrowed = turn.page.room.borrowed if turn.page.room else 0
    if turn.memory.lost > max(2, borrowed, len(turn.live) // 10):
        lost = f"{turn.memory.lost} new hosts of {turn.group.name} came and went again"
        return f"{lost} while {len(turn.old)} are still to be replaced{last_failure(turn.group)}"
    return None


def _wrong_launch(turn: Turn) -> str | None:
    """A host launched after the target was set that runs something else: never one more outdated host."""
    since = turn.page.pointed_at
    for host in turn.live:
        late = since is not None and host.launched_at > since + PATIENCE
        if late and host.image is not None and asg.outdated(host, turn.group, turn.page.pointed):
            return f"{host.id} was launched with {_other_than_wanted(host, turn)}"
    return None


def _other_than_wanted(host: Host, turn: Turn) -> str:
    images = {entry.image for entry in turn.page.pointed}
    if host.image not in images:
        return f"{host.image} after the group had been pointed at another image"
    source = f"version {host.version} of {host.template}" if host.version else host.configuration
    return f"{host.image}, but from {source}, after the group had been pointed at another one"


def _moved_target(turn: Turn) -> str | None:
    """One reading may be older than our own change, and is no proof (aws-facts 6.6)."""
    for entry in turn.page.pointed:
        launches = asg.launches_of(turn.group, entry)
        moved = entry.phase is Phase.HELD and entry.place is not Place.PUBLIC
        if moved and not asg.arrived(launches, entry):
            if turn.waited("target", turn.group.name) < PATIENCE:
                turn.wait("target", turn.group.name, f"until {entry.name} reads back {entry.image} again")
                turn.target_in_doubt = True
                return None
            now = launches.image if launches else "something else"
            return f"{turn.group.name} was made to launch {now} by somebody else; this roll had set {entry.image}"
    return None


def _stuck_drain(turn: Turn) -> str | None:
    stuck = _first_stuck(turn)
    if stuck is None:
        return None
    host, held = stuck
    if drain.overdue(host, held, turn.seen.at, turn.policy):
        return (
            f"{host.id} has not been drained within {spelled(drain.limit(held, turn.policy))}: {drain.sentence(held)}"
        )
    return f"{host.id} runs standalone tasks, and nobody moves them: {drain.sentence(held)}"


def _first_stuck(turn: Turn) -> tuple[Host, tuple[drain.Hold, ...]] | None:
    """A drained host that took longer than it may, or that has what the policy does not suffer."""
    for host in turn.draining:
        held = turn.held_by(host)
        trial = host.id in turn.page.canaries and not turn.page.canary_passed
        halts = turn.policy.on_drain_timeout == "halt" or (trial and turn.policy.on_drain_timeout == "terminate")
        standalone = turn.policy.standalone_tasks == "fail" and not turn.roll.aborting
        if (halts and drain.overdue(host, held, turn.seen.at, turn.policy)) or (
            standalone and any(hold.kind is drain.Kind.STANDALONE for hold in held)
        ):
            return host, held
    return None


def _stuck_lines(turn: Turn) -> tuple[str, ...]:
    stuck = _first_stuck(turn)
    return drain.explained(stuck[1], turn.seen) if stuck else ()


def _stuck_host(turn: Turn) -> str | None:
    for host in turn.arriving:
        if turn.waited("boot", host.id) > turn.policy.boot_timeout:
            why = why_not_ready(turn, host)
            return f"{host.id} has not become ready within {spelled(turn.policy.boot_timeout)}: it {why}"
    return None


def _stuck_group(turn: Turn) -> str | None:
    name = turn.group.name
    if turn.waited("launch", name) > turn.policy.boot_timeout and len(turn.live) < turn.group.desired:
        there = f"{len(turn.live)} of {turn.group.desired} hosts of {name}"
        return f"only {there} came within {spelled(turn.policy.boot_timeout)}{last_failure(turn.group)}"
    if turn.waited("stuck", name) > turn.policy.boot_timeout:
        theirs = ", ".join(host.id for host in turn.foreign)
        why = f"; somebody else drains {theirs}" if theirs else ""
        return f"{len(turn.ready)} hosts of {name} are ready, too few to drain another, and none is on the way{why}"
    if turn.waited("zones", name) > turn.policy.boot_timeout:
        return f"the zones of {name} stay uneven, so AZRebalance was left suspended{_may_even_out(turn)}"
    return None


def _may_even_out(turn: Turn) -> str:
    """What the policy would have to allow for one host more: it evens the zones, and ends no task."""
    room = turn.page.room
    if room is None or asg.one_more(turn.group, room, turn.policy) is not None:
        return ""
    flag = "--max-surge 1" if turn.policy.surge.value == 0 else "--no-keep-max-size"
    return f"; {flag} lets one host more even them"


_OURS = (("target", "launch target"), ("room", "room"), ("return", "give-back"), ("picture", "picture"))


def _stuck_change(turn: Turn) -> str | None:
    """A change of ours that no reading shows: something undoes it, or AWS never validates it."""
    for kind, what in _OURS:
        if turn.waited(kind, turn.group.name) > 5 * PATIENCE:
            span = spelled(5 * PATIENCE)
            return f"the {what} of {turn.group.name} was set again and again for {span} and never read back"
    return None


# Steps of a stop: leave the cluster serving, undo open drains, point the target back, say what is owed ---------------


def keep_room(turn: Turn) -> bool:
    """The floor stays up while the roll stops; what was to shrink the group serves again instead."""
    # A dud that is drained is not arriving any more; that it never came is remembered all the same.
    for host in dict.fromkeys((*turn.arriving, *_duds(turn))):
        if turn.waited("boot", host.id):
            turn.wait("boot", host.id, why_not_ready(turn, host))
    room = turn.page.room
    if room is None or room.phase is Phase.RETURNING:
        return False
    if asg.unasked(turn.group, room):
        turn.page = replace(turn.page, room=None)
        return False
    if not asg.landed(turn.group, room):
        turn.actions.append(asg.bounds(room, turn.group, "the roll stops: the floor keeps scale-in out"))
        turn.wait("undo", turn.group.name, f"until MinSize reads {room.floor}")
        return not _out_of_patience(turn)
    room = asg.settle(turn.group, replace(room, phase=Phase.HELD, lent=True), turn.read_live)
    unwanted = {host.id for host in (*_duds(turn), *_rejected(turn))}
    going = tuple(name for name in room.shrinking if name in unwanted or turn.expects("gone", name))
    room = replace(room, shrinking=going)
    moved = None if turn.bounds_in_doubt(room) else asg.follow(turn.group, room)
    if moved is not None:
        turn.actions.append(asg.bounds(moved, turn.group, "the roll stops: the floor keeps scale-in out"))
    turn.page = replace(turn.page, room=moved or room)
    return False


def undrain(turn: Turn) -> bool:
    """Hosts that are still there take tasks again."""
    release(turn)
    unwanted = (*_duds(turn), *_rejected(turn))
    back = tuple(host for host in turn.draining if host not in unwanted)
    if back:
        turn.actions.append(Undrain(hosts=back, why="the roll stops: they serve again"))
        turn.wait("undo", turn.group.name, f"until {len(back)} host(s) are ACTIVE again")
    _reject(turn, back)
    return bool(back) and not _out_of_patience(turn)


def _reject(turn: Turn, back: Sequence[Host]) -> None:
    """New hosts that were judged bad on trial take no task any more: as many as were borrowed, the old ones do.

    But enough hosts have to be left: where new ones have died, what was borrowed is not there. In one go with the old
    ones' return: ECS has then more tasks than it wants, and may stop healthy ones of them.
    """
    room = turn.page.room
    if not _on_trial(turn) or room is None:
        return
    crashed = Counter(crash.host for crash in turn.seen.crashes)
    fresh = [host for host in turn.live if host.launched_at > turn.page.newest and host.status == "ACTIVE"]
    fresh = [host for host in fresh if not turn.expects("drain", host.id)]
    fresh.sort(key=lambda host: (-host.tasks, -crashed[host.arn or ""], host.id))
    number = max(0, room.borrowed - len(_duds(turn)) - len(_rejected(turn)))
    serving = len(turn.ready) + sum(host.connected for host in back)
    spare = serving - min(asg.natural(turn.group, room), turn.page.ready)
    costly = [host for host in fresh if turn.is_ready(host)][max(0, spare) :]
    doomed = tuple(host for host in fresh if host not in costly)[:number]
    if doomed:
        mark = drain.mark(turn.epoch, turn.seen.at)
        why = "on trial, and judged bad: no more tasks are placed there"
        turn.actions.append(Drain(hosts=doomed, mark=mark, why=why))


def _on_trial(turn: Turn) -> bool:
    stop = turn.memory.stop
    judged = stop is not None and stop.judged
    return judged and turn.policy.canary > 0 and not turn.page.canary_passed


def _rejected(turn: Turn) -> list[Host]:
    """New hosts that are drained because they were judged bad, as long as the drain may take."""
    if not _on_trial(turn):
        return []
    drained = [host for host in turn.draining if host.launched_at > turn.page.newest]
    return [host for host in drained if not drain.overdue(host, turn.held_by(host), turn.seen.at, turn.policy)]


def undo_drains(turn: Turn) -> bool:
    """Ending a roll begins with its open drains: those of earlier lives, by their epoch; a surplus is drained anew."""
    open_drains = tuple(host for host in turn.draining if (drain.epoch_of(host) or 0) < turn.seen.epoch)
    if open_drains and turn.memory.looks < 2:
        turn.wait("look", turn.group.name, "for a second reading before a drain is undone")
    elif open_drains:
        room = turn.page.room
        if room is not None:
            kept = tuple(name for name in room.shrinking if name not in {host.id for host in open_drains})
            turn.page = replace(turn.page, room=replace(room, shrinking=kept))
        turn.actions.append(Undrain(hosts=open_drains, why="the roll is ended: they serve again"))
        turn.wait("undo", turn.group.name, f"until {len(open_drains)} host(s) are ACTIVE again")
    return bool(open_drains)


def point_back(turn: Turn) -> bool:
    """No scale-out from now on may launch what was just judged bad, unless somebody else has moved the target."""
    back = []
    for entry in turn.page.pointed:
        launches = asg.launches_of(turn.group, entry)
        # Until it was put back once, a reading of what was there before may be an older one.
        back_again = entry.phase is Phase.RETURNING
        there = back_again and launches is not None and launches.image == entry.image_was
        theirs = entry.phase is Phase.HELD and not asg.arrived(launches, entry)
        if entry.changes and not there and not theirs:
            back.append(replace(entry, phase=Phase.RETURNING))
    if back:
        turn.page = replace(turn.page, pointed=tuple(back))
        for entry in back:
            why = f"the roll stops: {turn.group.name} launches {entry.image_was} again"
            turn.actions.append(PointBack(ledger=turn.page, pointed=entry, why=why))
        turn.wait("undo", turn.group.name, f"until it launches {back[0].image_was} again")
        return not _out_of_patience(turn)
    turn.page = replace(turn.page, pointed=(), pointed_at=None)
    return False


def dismiss_duds(turn: Turn) -> bool:
    """New hosts that never came to serve carry no task: they go, and the room goes with them.

    Only now, as the group launches again what it launched before: a successor would be of that kind.
    """
    rejected = [host for host in _rejected(turn) if host not in _duds(turn)]
    duds = [*_duds(turn), *rejected]
    fresh = tuple(host for host in _duds(turn) if host.arn is not None and host.status == "ACTIVE")
    if fresh:
        mark = drain.mark(turn.epoch, turn.seen.at)
        turn.actions.append(Drain(hosts=fresh, mark=mark, why="they never came to serve, and carry no task"))
    room = turn.page.room
    empty = [host for host in duds if host not in fresh and not turn.held_by(host)]
    spare = room.borrowed if room else 0
    if room is not None:
        noted = [host for host in empty[:spare] if host.id in room.shrinking]
        turn.actions.extend(termination(turn, host, shrink=True) for host in noted)
        if fresh_ones := [host for host in empty[:spare] if host not in noted]:
            shrink(turn, room, fresh_ones)
    turn.actions.extend(termination(turn, host, shrink=False) for host in empty[spare:])
    for host in duds:
        why = _why_waited(turn, host) if host in rejected else "never came to serve"
        turn.wait("undo", host.id, f"until it is gone: it {why}")
    hurry = turn.memory.stop is not None and turn.memory.stop.hurry
    return (bool(rejected) and not hurry) or (bool(duds) and not _out_of_patience(turn))


def _why_waited(turn: Turn, host: Host) -> str:
    held = turn.held_by(host)
    return f"was judged bad: {drain.sentence(held)}" if held else "was judged bad, and is empty"


def _duds(turn: Turn) -> list[Host]:
    """New hosts that did not become usable within the boot timeout, and that nothing was placed on."""
    return [
        host
        for host in turn.live
        if host.launched_at > turn.page.newest
        and (host.arn is None or not host.connected)
        and host.lifecycle == "InService"
        and turn.waited("boot", host.id) > turn.policy.boot_timeout
        and not _carries(turn, host)
    ]


def _carries(turn: Turn, host: Host) -> bool:
    """Its agent was there for a moment, or is away: tasks run on. Once it is drained, their own states tell."""
    if host.draining:
        return any(hold.kind is not drain.Kind.STOPPING for hold in turn.held_by(host))
    return host.tasks > 0


def return_the_rest(turn: Turn) -> bool:
    """What can be given back without moving a task."""
    if turn.page.room is not None and turn.page.room.borrowed:
        return False
    given = return_room(turn) and return_protection(turn) and return_rebalance(turn)
    if given and turn.page.room is not None:
        turn.page = replace(turn.page, room=None)
    return not given and not _out_of_patience(turn)


def say_why(turn: Turn) -> bool:
    stop = turn.memory.stop
    left = remaining(turn)
    turn.waits.clear()
    turn.verdict = Verdict(
        result="interrupted" if stop and stop.hurry else "halted",
        reason=stop.reason if stop else "",
        next=_next(turn, back=stop is not None and stop.back),
        judged=stop is not None and stop.judged,
        lines=stop.lines if stop else (),
        replaced=turn.roll.replaced + max(0, turn.page.old - left),
        remaining=left,
        owed=asg.owed(turn.page, turn.roll.verb, turn.seen),
    )
    return True


def _next(turn: Turn, *, back: bool) -> str:
    goes_on = f"{again(turn.seen.cluster, turn.roll)} (goes on where this stopped)"
    if not back or turn.roll.back:
        return goes_on
    return f"ecsroll rollback --cluster {turn.seen.cluster} (back to what ran before); mended, {goes_on}"


def _out_of_patience(turn: Turn) -> bool:
    stop = turn.memory.stop
    return stop is not None and (stop.hurry or turn.seen.at - stop.at > 3 * PATIENCE)


HALT: tuple[Callable[[Turn], bool], ...] = (keep_room, undrain, point_back, dismiss_duds, return_the_rest, say_why)
