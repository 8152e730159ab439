"""``ecsroll status``: where a roll stands, who goes on with it, what it waits for, what is owed. It changes nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ecsroll.asg import owed
from ecsroll.aws import Aws
from ecsroll.commands import plain_wait, still_outdated
from ecsroll.decide import decide
from ecsroll.errors import EXIT_OK
from ecsroll.gates import outside_words
from ecsroll.lease import Standing, patience, standing
from ecsroll.ledger import Roll
from ecsroll.model import Memory, Policy, Snapshot, Wait
from ecsroll.observe import Observer
from ecsroll.policy import again
from ecsroll.result import Result
from ecsroll.window import Window, opens, windows

__all__ = ["status"]

CLOCKS = timedelta(minutes=1)
"""What two clocks may differ by: a lease that was renewed before it was taken, or after now, tells nothing."""
LATER = Memory(looks=2)
"""Of a round that is not the first one: a roll's first look drains nothing, and waits for its second."""
OF_A_CALL = {"target", "room"}
"""What a call is waited for to show: nobody has made it, where nobody rolls."""


def status(aws: Aws, cluster: str, policy: Policy) -> Result:
    """Where a roll stands, what it waits for or would wait for next, what is owed."""
    observer = Observer(aws, cluster, policy.groups)
    lease, seen = standing(aws, cluster), observer.look()
    roll = seen.roll
    policy = replace(policy, images=roll.images if roll else {})
    if not lease.free:
        policy = replace(policy, windows=_windows(lease))
    outdated = still_outdated(seen, policy)
    return Result(
        command="status",
        result="done",
        exit_code=EXIT_OK,
        cluster=cluster,
        reason=_standing(seen),
        next=_next(cluster, roll),
        replaced=roll.replaced if roll else 0,
        remaining=sum(outdated.values()),
        owed=tuple(
            entry for page in seen.ledgers.values() for entry in owed(page, roll.verb if roll else "replace", seen)
        ),
        findings=tuple(observer.findings.values()),
        more={
            "groups": [_plain_group(seen, name, outdated) for name in seen.groups],
            "lease": None if lease.free else _plain_lease(lease, aws.clock.now()),
            "waits": [plain_wait(wait) for wait in _waits(seen, policy, held=not lease.free)],
        },
    )


def _windows(lease: Standing) -> tuple[Window, ...]:
    """The holder's own; none where this machine can not read them, as it does not know their zone."""
    try:
        return windows(lease.windows)
    except ValueError:
        return ()


def _lives(lease: Standing, now: datetime) -> bool | None:
    """Whether the holder renewed the lease lately; None where AWS's clock is not the holder's, or not ours."""
    if lease.renewed is None or now - lease.renewed < -CLOCKS or _taken(lease, now) - lease.renewed > CLOCKS:
        return None
    return now - lease.renewed <= timedelta(seconds=patience(lease.ttl)) + CLOCKS


def _taken(lease: Standing, now: datetime) -> datetime:
    try:
        return datetime.fromisoformat(lease.since)
    except ValueError:
        return min(now, lease.renewed or now)


def _waits(seen: Snapshot, policy: Policy, *, held: bool) -> list[Wait]:
    """What is waited for. Since when, only the roll's own process knows; until when at most, the policy says."""
    if seen.roll is None:
        shut = outside_words(policy, seen.at) if held else ""
        until = opens(policy.windows, seen.at)
        return [Wait(kind="window", subject=seen.cluster, reason=shut, until=until)] if shut else []
    found = (wait for wait in decide(seen, LATER, policy)[0].waits if held or wait.kind not in OF_A_CALL)
    return [replace(wait, since=None if wait.since == seen.at else wait.since) for wait in found]


def _next(cluster: str, roll: Roll | None) -> str:
    """Right whether somebody goes on with the roll or not: where one lives, the command is told so, and leaves."""
    if roll is None:
        return f"ecsroll check-ami --cluster {cluster} (shows what is outdated)"
    return f"{again(cluster, roll)} (goes on with it)"


def _standing(seen: Snapshot) -> str:
    if seen.roll is None:
        return "no roll is under way"
    done = f"groups finished: {len(seen.roll.finished)} of {len(seen.roll.groups)}"
    by = f" by {seen.roll.by}" if seen.roll.by else ""
    return f"roll {seen.roll.epoch}, begun {seen.roll.began:%Y-%m-%d %H:%M:%S}Z{by}: {done}"


# As JSON -----------------------------------------------------------------------------------------------------------


def _plain_lease(lease: Standing, now: datetime) -> dict[str, Any]:
    return {
        "holder": lease.holder,
        "since": lease.since or None,
        "renewed": lease.renewed.isoformat() if lease.renewed else None,
        "lives": _lives(lease, now),
        "windows": list(lease.windows),
    }


def _plain_group(seen: Snapshot, name: str, outdated: Mapping[str, int]) -> dict[str, Any]:
    group = seen.groups[name]
    hosts = seen.of(group)
    return {
        "group": name,
        "desired": group.desired,
        "min": group.min,
        "max": group.max,
        "hosts": len([host for host in hosts if host.live]),
        "serving": sum(host.serves for host in hosts),
        "draining": sum(host.draining for host in hosts),
        "outdated": outdated.get(name),
        "launches": [launches.image for launches in group.launches],
    }
