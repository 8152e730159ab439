"""What stops a roll because of what it does to the services: compared with what was before it (promise 7). Pure.

Each gate says what was seen, since when, and what was so before. The gates of the roll's own steps are in ``stop.py``.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from ecsroll import drain
from ecsroll.canary import drained_canaries, sound_there, tries_canary
from ecsroll.crashes import tried_again
from ecsroll.ledger import Baseline
from ecsroll.model import Crash, Host, Policy, Snapshot
from ecsroll.policy import spelled
from ecsroll.turn import LOOP, Turn, loop_of
from ecsroll.window import closes, opens

__all__ = ["GATES", "baseline", "hold_for_services", "hold_for_window", "outside_words"]

NOTED = 1000
"""Characters that the baseline may take in the roll's record."""

AT_ONCE = 10
"""Services that are waited for by name: what is remembered of them has to fit into the memory."""

NOT_BEFORE = "none did in the hour before the roll"


# What was before -------------------------------------------------------------------------------------------------


def baseline(seen: Snapshot) -> Baseline:
    """What is wrong already: noted with the roll, so that a gate shuts on what is new, in every life of it.

    What does not fit into the record counts as new: a gate too many is no harm.
    """
    left = NOTED
    alarms: list[str] = []
    for alarm in seen.alarms.values():
        if alarm.state == "ALARM" and len(alarm.name) < left:
            left -= len(alarm.name) + 3
            alarms.append(alarm.name)
    crashes: dict[str, int] = {}
    for name, count in Counter(crash.service for crash in seen.crashes).most_common():
        if len(name) < left:
            left -= len(name) + 8
            crashes[name] = count
    short: dict[str, int] = {}
    for service in seen.services.values():
        if service.running < service.desired and not service.daemon and len(service.name) < left:
            left -= len(service.name) + 8
            short[service.name] = service.running
    return Baseline(alarms=tuple(alarms), crashes=crashes, short=short)


# Gates -------------------------------------------------------------------------------------------------------------


def _alarm(turn: Turn) -> str | None:
    """An alarm that was not in ALARM when the roll began, or that has been out of it since."""
    for alarm in turn.seen.alarms.values():
        old = alarm.name in turn.roll.before.alarms and alarm.name not in turn.memory.quiet
        if alarm.state == "ALARM" and not old:
            since = f" since {alarm.since:%H:%M:%S}Z" if alarm.since else ""
            return f"the alarm {alarm.name} is in ALARM{since}; it was not when the roll began"
    return None


def _crash_loop(turn: Turn) -> str | None:
    """Tasks that end by themselves: on new hosts few are enough, whatever the service's size."""
    young = {host.arn for host in turn.seen.of(turn.group) if host.launched_at > turn.page.newest}
    here: dict[str, list[Crash]] = {}
    for crash in turn.seen.crashes:
        if crash.service in turn.seen.moved:
            here.setdefault(crash.service, []).append(crash)
    for name, crashes in sorted(here.items()):
        before = turn.roll.before.crashes.get(name, 0)
        on_new = [crash for crash in crashes if crash.host in young]
        # What had ended before is still remembered by AWS for its hour, and is counted along.
        if len(on_new) >= LOOP + before:
            return f"{_crashed(name, on_new)} on new hosts{_since(on_new)}; {_compared(before)}"
        if (
            len(crashes) >= before + loop_of(turn.seen.services[name])
            and name not in turn.excused
            and _again(crashes, turn.roll.began)
        ):
            return f"{_crashed(name, crashes)} in the last hour; {_compared(before)}"
    return None


def _again(crashes: list[Crash], since: datetime) -> bool:
    """On hosts of before the roll a bad moment (a host that dies, a database that is away) ends many tasks once.

    Of a crash whose time AWS did not say, the worse is believed.
    """
    recent = [(crash.at, crash.created) for crash in crashes if crash.at is None or crash.at >= since]
    known = [(at, created) for at, created in recent if at is not None]
    return len(known) < len(recent) or tried_again(known)


def _driven_off(turn: Turn) -> str | None:
    """The canary is empty, but its tasks had failed on a new host before they ran on old ones: that proves it bad.

    Not where they failed before the roll, too, and not where another one of the service runs well on a new host.
    """
    canaries = drained_canaries(turn) if tries_canary(turn) else []
    if not canaries or any(turn.held_by(host) for host in canaries):
        return None
    young = {host.arn for host in turn.seen.of(turn.group) if host.launched_at > turn.page.newest}
    for name in sorted({name for host in canaries for name in drain.services_on(host, turn.seen)} - sound_there(turn)):
        crashes = [crash for crash in turn.seen.crashes if crash.service == name and crash.host in young]
        if crashes and name not in turn.roll.before.crashes:
            return f"{_crashed(name, crashes)} on new hosts{_since(crashes)}, none runs well there; {NOT_BEFORE}"
    return None


def _crashed(name: str, crashes: list[Crash]) -> str:
    what = Counter(crash.what for crash in crashes).most_common(1)[0][0]
    return f"{len(crashes)} task(s) of {name} ended by themselves ({what})"


def _since(crashes: list[Crash]) -> str:
    first = min((crash.at for crash in crashes if crash.at is not None), default=None)
    return f" since {first:%H:%M:%S}Z" if first else ""


def _compared(before: int) -> str:
    return f"{before} did in the hour before the roll" if before else NOT_BEFORE


def _unsteady(turn: Turn) -> str | None:
    """A service that moved and does not come back to what it had."""
    limit = turn.policy.boot_timeout
    for name, (have, want) in short_services(turn).items():
        if turn.waited("steady", name) > limit:
            had = turn.seen.moved[name]
            return f"{name} has had {have} of {want} tasks healthy for {spelled(limit)}; {had} ran before"
    return None


def _lost_host(turn: Turn) -> str | None:
    """A new host that ends by itself while the canary is on trial: the image may be what ends it."""
    if not tries_canary(turn):
        return None
    seen = turn.seen
    gone = [name for name in turn.memory.hatched if name not in seen.hosts]
    gone += [host.id for host in seen.of(turn.group) if _new(turn, host) and host.leaving and not _ours(host)]
    if not gone:
        return None
    return f"{gone[0]}, launched by this roll, has ended by itself while the canary was on trial; nobody had drained it"


def _new(turn: Turn, host: Host) -> bool:
    return host.arn is not None and host.launched_at > turn.page.newest


def _ours(host: Host) -> bool:
    return host.drain_mark is not None


def _unsound(turn: Turn) -> str | None:
    """A task that was placed on a new host, and does not become healthy there."""
    limit = turn.policy.boot_timeout
    names = [name for name in turn.seen.services if turn.waited("sound", name) > limit]
    if not names:
        return None
    return f"no task of {names[0]} has become healthy on a new host for {spelled(limit)}; on the old ones they were"


def _canary_not_whole(turn: Turn) -> str | None:
    """The canary is empty, and the services that it carried do not become whole elsewhere."""
    limit = turn.policy.bake + turn.policy.boot_timeout
    for name in turn.page.canaries:
        if not turn.page.canary_passed and turn.waited("canary", name) > limit:
            return f"what ran on {name} has not been healthy elsewhere within {spelled(limit)}; there it was"
    return None


GATES = (_alarm, _crash_loop, _driven_off, _unsteady, _lost_host, _unsound, _canary_not_whole)


# What is waited for between two steps ------------------------------------------------------------------------------


def short_services(turn: Turn) -> dict[str, tuple[int, int]]:
    """Services that moved and lack healthy tasks: how many they have, and how many they should.

    As many as they want, but not more than they had when the roll began (or wanted, when this process took it over):
    others may want more than fits.
    While one of our drains moves its tasks, ECS keeps the service's own lower bound, and that is enough.
    """
    moving = {name for host in turn.draining for name in drain.services_on(host, turn.seen) if turn.held_by(host)}
    found: dict[str, tuple[int, int]] = {}
    for name, had in turn.seen.moved.items():
        service = turn.seen.services[name]
        if service.daemon or name in turn.excused:
            continue
        want = min(service.floor if name in moving else service.desired, had)
        have = service.healthy(turn.seen.targets)
        if have < want:
            found[name] = (have, want)
    return found


def hold_for_services(turn: Turn) -> bool:
    """Whether no host may be drained now, as a service that moved is not whole: again after n good readings."""
    short = short_services(turn)
    held: dict[str, int] = {}
    for name in sorted({*short, *(turn.memory.unsteady.keys() & turn.seen.moved.keys())})[:AT_ONCE]:
        good = 0 if name in short else turn.memory.unsteady[name] + 1
        if good < turn.policy.good_readings:
            held[name] = good
            turn.wait("steady", name, _what_lacks(turn, name, short, good), limit=turn.policy.boot_timeout)
    turn.memory = replace(turn.memory, unsteady=held)
    return bool(held)


def _what_lacks(turn: Turn, name: str, short: Mapping[str, tuple[int, int]], good: int) -> str:
    if name in short:
        return "{} of {} tasks are healthy; the next host is drained when they are".format(*short[name])
    return f"whole again in {good} of {turn.policy.good_readings} good readings"


def outside_words(policy: Policy, at: datetime) -> str:
    """What there is to say when windows are set and none is open; else nothing."""
    if not policy.windows or closes(policy.windows, at) is not None:
        return ""
    opened = opens(policy.windows, at)
    return f"no window is open; the next one opens at {opened:%Y-%m-%d %H:%M}Z"


def hold_for_window(turn: Turn) -> bool:
    """Whether no host may be drained, as no window is open; what has begun is finished all the same."""
    shut = outside_words(turn.policy, turn.seen.at)
    if shut:
        turn.wait("window", turn.group.name, shut, until=opens(turn.policy.windows, turn.seen.at))
    return bool(shut)
