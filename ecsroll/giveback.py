"""Giving back what was borrowed, in the order in which nothing can be taken away by it (promise 4). Pure."""

from dataclasses import replace

from ecsroll import asg, drain
from ecsroll.ledger import Phase
from ecsroll.model import Forget, Group, OpenRoll, ResumeRebalance, Undrain, Unprotect
from ecsroll.turn import Turn, remaining

__all__ = ["give_back", "return_protection", "return_rebalance", "return_room"]


def give_back(turn: Turn) -> bool:
    """Give everything back, in the order in which nothing can be taken away by it."""
    # The last one to arrive has to be seen ready too: where nothing was borrowed, nothing has waited for it yet.
    if (
        turn.old
        or turn.draining
        or (turn.arriving and not turn.roll.aborting)
        or turn.memory.unsteady
        or _still_there(turn)
        or _unmark(turn)
        or _evens_out(turn)
        or not return_room(turn)
        or not return_protection(turn)
    ):
        return True
    if not return_rebalance(turn):
        return True
    turn.forgotten = True
    # The next group has readings of its own.
    turn.memory = replace(turn.memory, calm=0, left=None, lost=0, sound={}, hatched=(), unsteady={})
    left = remaining(turn) if turn.roll.aborting else len(turn.foreign) + len(turn.skipped)
    done = replace(
        turn.roll,
        finished=(*turn.roll.finished, turn.group.name),
        replaced=turn.roll.replaced + max(0, turn.page.old - left),
        skipped=turn.roll.skipped + len(turn.skipped),
    )
    # Finished first: a group without a page that is not finished would begin anew, and with --all be rolled anew.
    turn.actions.append(OpenRoll(roll=done, why=f"{turn.group.name} is finished"))
    if turn.group.name in turn.seen.ledgers:
        turn.actions.append(Forget(group=turn.group.name, why="everything was given back"))
    return True


def _evens_out(turn: Turn) -> bool:
    """Ask for one host more where the zones are uneven: it comes up in the emptiest, and one of the fullest goes.

    AZRebalance would do the same by terminating a host with its tasks (aws-facts 5.6). Each time the zones have to have
    come nearer to one another, so it ends also where a zone has no capacity.
    """
    page, room = turn.page, turn.page.room
    if room is None or room.borrowed or room.shrinking or len(turn.live) != turn.group.desired:
        return False
    measure = asg.lopsided(turn.live)
    even = asg.uneven(turn.live, turn.group.zones) <= max(1, page.uneven)
    more = asg.one_more(turn.group, room, turn.policy)
    if even or more is None or page.rebalance is None or (page.lopsided and measure >= page.lopsided):
        return False
    turn.page = replace(page, room=more, lopsided=measure)
    turn.actions.append(
        asg.bounds(more, turn.group, "the zones are uneven: one host more, and one of the fullest goes")
    )
    turn.wait("room", turn.group.name, f"until MinSize reads {more.floor}")
    return True


def _still_there(turn: Turn) -> bool:
    """Whether a termination of ours does not show yet: it may have been put off, and the host is still ours to end."""
    there = [host for host in turn.seen.of(turn.group) if host.live and turn.expects("gone", host.id)]
    for host in there:
        turn.wait("gone", host.id, "until its termination shows")
    return bool(there)


def _unmark(turn: Turn) -> bool:
    """Take away marks of ours from hosts that are not drained: a life has ended between the mark and the drain.

    Whoever drained such a host later would be taken for us, and it would be terminated (promise 3).
    """
    marked = tuple(host for host in turn.live if host.status == "ACTIVE" and drain.epoch_of(host) in turn.epochs)
    if marked:
        turn.actions.append(Undrain(hosts=marked, why="marked, and never drained: the mark goes"))
        turn.wait("undo", turn.group.name, f"until {len(marked)} host(s) are marked no more")
    return bool(marked)


def return_room(turn: Turn) -> bool:
    """MinSize, MaxSize and birth protection, once no old host is left and nothing is borrowed."""
    room = turn.page.room
    if room is None:
        return True
    if room.borrowed or room.shrinking:
        return False
    if asg.is_back(turn.group, room):
        # Kept until the hosts that were born protected are unprotected: the entry says that it was we who did it.
        return True
    back = asg.returned(turn.group, room)
    turn.page = replace(turn.page, room=replace(room, phase=Phase.RETURNING))
    turn.actions.append(back)
    turn.wait("return", turn.group.name, f"until MinSize reads {back.min}")
    return False


def return_protection(turn: Turn) -> bool:
    """The protection that new hosts were born with, once the group has no host too many that it could take."""
    room = turn.page.room
    if room is None or room.protects_was or _ecs_protects(turn.group):
        return True
    born = [host for host in turn.live if host.protected and host.launched_at > turn.page.newest]
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


def return_rebalance(turn: Turn) -> bool:
    """AZRebalance, once it would not move a host."""
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
