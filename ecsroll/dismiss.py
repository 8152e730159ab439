"""How a host leaves: seen empty, terminated; the last ones make the group smaller again. Pure."""

from dataclasses import replace
from datetime import timedelta

from ecsroll import asg, drain
from ecsroll.canary import why_kept
from ecsroll.ledger import Phase, Room
from ecsroll.model import Host, StopTasks, Terminate, Undrain
from ecsroll.turn import Turn

__all__ = ["SKIPPED_AT_MOST", "dismiss", "give_up", "shrink", "stop_standalone", "termination"]

READ_LAG = timedelta(seconds=5)
"""How much older than now a reading may be (aws-facts 9). Rounds of less than a second are those of a quicker world."""

SHRINK_AT_ONCE = 50
"""Hosts noted at once as lowering DesiredCapacity, so that a page stays under 4 KB."""


SKIPPED_AT_MOST = 60
"""Hosts that may be given up in one group, for the same reason."""


def stop_standalone(turn: Turn) -> bool:
    """Stop what nobody would start elsewhere, if that is what the policy says."""
    if turn.policy.standalone_tasks != "stop" or turn.memory.looks < 2:
        return False
    for host in turn.draining:
        tasks = tuple(hold.task.arn for hold in turn.held_by(host) if hold.kind is drain.Kind.STANDALONE)
        if tasks:
            turn.actions.append(StopTasks(host=host, tasks=tasks, why=f"{host.id} is drained, and nobody moves them"))
    return False


def give_up(turn: Turn) -> bool:
    """Let hosts serve again that do not become empty, if they are to be skipped; they are noted, and left alone."""
    if turn.memory.looks < 2:
        return False
    hosts = tuple(host for host in turn.draining if _skips(turn, host))
    if hosts:
        names = tuple(host.id for host in hosts)
        kept = tuple(name for name in turn.page.canaries if name not in names)
        skipped = tuple(dict.fromkeys((*turn.page.skipped, *names)))
        turn.page = replace(turn.page, skipped=skipped, canaries=kept)
        turn.actions.append(Undrain(hosts=hosts, why=f"given up: {drain.sentence(turn.held_by(hosts[0]))}"))
        turn.wait("skip", turn.group.name, f"until {len(hosts)} host(s) are ACTIVE again")
    return bool(hosts)


def _skips(turn: Turn, host: Host) -> bool:
    held = turn.held_by(host)
    standalone = any(hold.kind is drain.Kind.STANDALONE for hold in held)
    if standalone and turn.policy.standalone_tasks == "skip":
        return True
    return turn.policy.on_drain_timeout == "skip" and drain.overdue(host, held, turn.seen.at, turn.policy)


def dismiss(turn: Turn) -> bool:
    """Terminate the hosts that were seen empty; the last ones make the group smaller again."""
    leaving = [host for host in turn.draining if not _wait_for(turn, host)]
    leaving += [host for host in turn.old if host.arn is None and host.lifecycle == "InService"]
    leaving += _unknown_to_ecs(turn)
    if turn.memory.looks < 2:
        return False  # the first picture may lag behind what a life before this one did a moment ago
    room = turn.page.room
    left, debt = len(turn.old), asg.debt(turn.group, len(turn.live))
    shrinking: list[Host] = []
    # From the fullest zone at each step: those that make the group smaller have to leave its zones even.
    for host in asg.from_fullest(leaving, turn.live):
        if room is not None and host.id in room.shrinking:
            turn.actions.append(termination(turn, host, shrink=True))  # put off, or noted and never sent
        elif debt <= 0 and room is not None and _may_shrink(turn, room, host, left, shrinking):
            shrinking.append(host)
        elif host in turn.old or debt > 0:
            turn.actions.append(termination(turn, host, shrink=False))
            debt -= 1
        else:
            turn.actions.append(Undrain(hosts=(host,), why=f"{host.id} is not outdated, and nothing is borrowed"))
            continue
        left -= host in turn.old
    if room is not None and shrinking:
        _shrink_some(turn, room, shrinking)
    return False


def _unknown_to_ecs(turn: Turn) -> list[Host]:
    """A surplus that has not registered when a roll is ended carries no task, and need not be drained first.

    Not one that comes to make the zones even: then a host of the fullest goes.
    """
    room = turn.page.room
    if room is None or not turn.roll.aborting or turn.page.lopsided:
        return []
    unknown = [host for host in turn.live if host.arn is None and host.lifecycle == "InService"]
    noted = [host for host in unknown if host.id in room.shrinking]
    others = [host for host in unknown if host.id not in room.shrinking]
    to_give = room.borrowed - len(room.shrinking) - len(turn.draining)
    return noted + asg.from_fullest(others, turn.live)[: max(0, to_give)]


def _shrink_some(turn: Turn, room: Room, hosts: list[Host]) -> None:
    """As many at once as fit on the page; the others stay drained for the next round."""
    fit = max(0, SHRINK_AT_ONCE - len(room.shrinking))
    for host in hosts[fit:]:
        turn.wait("drain", host.id, f"empty; it goes after the {SHRINK_AT_ONCE} before it")
    if hosts[:fit]:
        shrink(turn, room, hosts[:fit])


def _wait_for(turn: Turn, host: Host) -> bool:
    """Whether the drained host still has to be waited for."""
    held = turn.held_by(host)
    if held and not _forced(turn, host):
        turn.wait("drain", host.id, drain.sentence(held), limit=drain.limit(held, turn.policy))
        return True
    since = drain.marked_at(host)
    if since is not None and timedelta() <= turn.seen.at - since < min(READ_LAG, 5 * turn.policy.poll_interval):
        turn.wait("drain", host.id, "empty; its tasks are read once more, as a reading may be older than the drain")
        return True
    if _on_trial(turn, host):
        why_kept(turn, host)
        return True
    return False


def _on_trial(turn: Turn, host: Host) -> bool:
    return host.id in turn.page.canaries and not turn.page.canary_passed


def _forced(turn: Turn, host: Host) -> frozenset[str]:
    """Tasks that end with their host, as the policy says and they had their time; never those of a canary on trial."""
    held = turn.held_by(host)
    ends = turn.policy.on_drain_timeout == "terminate" and drain.overdue(host, held, turn.seen.at, turn.policy)
    return frozenset(hold.task.arn for hold in held) if ends and not _on_trial(turn, host) else frozenset()


def _may_shrink(turn: Turn, room: Room, host: Host, left: int, shrinking: list[Host]) -> bool:
    """Whether this host's termination should give one borrowed host back.

    Only the last ``borrowed`` old hosts do, and not if that would leave the zones more uneven than they were: then it
    is replaced, and a surplus host of the fullest zone goes instead. What counts is how the zones stand once all of
    them have gone: AZRebalance is suspended until then.
    """
    to_give = room.borrowed - len(room.shrinking) - len(shrinking)
    if to_give <= 0 or left > to_give:
        return False
    gone = {host.id, *room.shrinking, *(other.id for other in shrinking)}
    now = [other for other in turn.live if other.id not in gone]
    at_last = [other for other in now if other not in turn.old]
    even = min(asg.uneven(hosts, turn.group.zones) for hosts in (now, at_last)) <= max(1, turn.page.uneven)
    return even or host not in turn.old


def shrink(turn: Turn, room: Room, hosts: list[Host]) -> None:
    """Let the group want fewer hosts, by the termination of these."""
    shrinking = (*room.shrinking, *(host.id for host in hosts))
    floor = turn.group.desired - len(shrinking)
    lowered = replace(room, phase=Phase.ASKING, shrinking=shrinking, floor=floor)
    turn.page = replace(turn.page, room=lowered)
    # MinSize first: a termination that would go under it is refused (facts 5.1).
    why = f"{len(hosts)} of the room goes back: the group will want {floor}"
    turn.actions.append(asg.bounds(lowered, turn.group, why))
    turn.actions.extend(termination(turn, host, shrink=True) for host in hosts)


def termination(turn: Turn, host: Host, *, shrink: bool) -> Terminate:
    """The end of a host that was seen empty."""
    lost = turn.memory.agentless.get(host.id)
    after = f"the group shrinks to {turn.group.desired - 1}" if shrink else "the group launches its successor"
    forced = _forced(turn, host)
    state = f"did not become empty, {len(forced)} task(s) end with it" if forced else "is empty"
    return Terminate(
        host=host,
        shrink=shrink,
        excused=drain.excused(host, turn.seen, lost, turn.policy) | forced,
        why=f"{host.id} {state}; {after}",
    )
