"""The host: may it go? A verdict per task, what holds it, and in which order hosts leave. Pure.

*Empty* means: every task's ``lastStatus`` is STOPPED, daemons aside, in a reading begun after DRAINING was seen. The
counters of the container instance and ``ListTasks`` without a status are early by the deregistration delay plus the
stop timeout (aws-facts 3.4; aws/aws-cdk#13559, aws-samples/ecs-cid-sample#27), so they are not asked.
"""

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ecsroll.model import Host, Policy, Service, Snapshot, Task

__all__ = [
    "Hold",
    "Kind",
    "carried",
    "epoch_of",
    "excused",
    "explained",
    "holds",
    "limit",
    "mark",
    "marked_at",
    "ours",
    "overdue",
    "sentence",
    "services_on",
]


class Kind(StrEnum):
    """Why a task holds its host."""

    SERVICE = "service"
    """ECS will start its replacement elsewhere, then stop it."""
    STOPPING = "stopping"
    """Told to stop: its target drains, then its containers get their stop timeout."""
    STANDALONE = "standalone"
    """Nobody replaces it: the drain waits until it ends by itself."""
    PROTECTED = "protected"
    """Its scale-in protection has not expired."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One task that keeps its host from going."""

    task: Task
    kind: Kind
    until: datetime | None = None


def mark(epoch: int, at: datetime) -> str:
    """The attribute's value that says which roll drains a host, and since when (facts 10: ``:`` is allowed)."""
    return f"{epoch}:{at:%Y-%m-%dT%H:%M:%SZ}"


def ours(host: Host, epochs: Container[int]) -> bool:
    """Whether this tool drains the host: DRAINING without a mark of one of our rolls is somebody else's."""
    epoch = epoch_of(host)
    return host.draining and epoch is not None and epoch in epochs


def epoch_of(host: Host) -> int | None:
    """The epoch of the lease under which the host was marked."""
    epoch = (host.drain_mark or "").partition(":")[0]
    return int(epoch) if epoch.isdigit() else None


def marked_at(host: Host) -> datetime | None:
    """Since when this tool drains the host, by its mark."""
    said = (host.drain_mark or "").partition(":")[2]
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None


def verdict(task: Task, at: datetime) -> Hold | None:
    """Whether one task on a connected host holds it; daemons never do, they end with their host."""
    if task.stopped or task.daemon:
        return None
    if task.desired_status == "STOPPED":
        return Hold(task, Kind.STOPPING)
    if task.protected_until is not None and task.protected_until > at:
        return Hold(task, Kind.PROTECTED, task.protected_until)
    return Hold(task, Kind.SERVICE if task.service else Kind.STANDALONE)


def holds(host: Host, seen: Snapshot, lost_since: datetime | None, policy: Policy) -> tuple[Hold, ...]:
    """Every task that keeps the host from going, tasks of one kind together.

    ``lost_since``: since when the host has had no agent, or None.
    """
    pardoned = excused(host, seen, lost_since, policy)
    held = [verdict(task, seen.at) for task in seen.on(host) if task.arn not in pardoned]
    return tuple(sorted((hold for hold in held if hold), key=lambda hold: (hold.kind, hold.task.arn)))


def excused(host: Host, seen: Snapshot, lost_since: datetime | None, policy: Policy) -> frozenset[str]:
    """Tasks of a host whose agent is gone for good that count as stopped (promise 2).

    Without an agent STOPPED is never reported (facts 3.7). After the boot timeout a service task counts as stopped
    when ECS has told it to stop, no target group knows it any more, and the deregistration delay and its stop timeout
    have passed. Standalone tasks still hold the host.
    """
    if lost_since is None or seen.at - lost_since < policy.boot_timeout:
        return frozenset()
    return frozenset(task.arn for task in seen.on(host) if _must_be_over(task, host, seen, lost_since))


def _must_be_over(task: Task, host: Host, seen: Snapshot, lost_since: datetime) -> bool:
    if task.service is None or task.desired_status != "STOPPED":
        return False
    service = seen.services.get(task.service)
    groups = [seen.targets[arn] for arn in service.target_groups if arn in seen.targets] if service else []
    if service and len(groups) < len(service.target_groups):
        return False  # a target group that could not be read is no proof that the target is gone
    if any({host.id, task.address} & group.registered for group in groups):
        return False
    delay = max((group.deregistration_delay for group in groups), default=timedelta())
    return seen.at >= max(task.stopping_at or lost_since, lost_since) + delay + task.stop_timeout


def limit(held: tuple[Hold, ...], policy: Policy) -> timedelta:
    """How long the drain may take: what the most patient of the services that hold it was given."""
    others = {one.service: one.span for one in policy.drain_timeouts}
    spans = [others.get(hold.task.service or "", policy.drain_timeout) for hold in held]
    return max(spans, default=policy.drain_timeout)


def overdue(host: Host, held: tuple[Hold, ...], at: datetime, policy: Policy) -> bool:
    """Whether the host has been drained for longer than it may.

    A protected task is waited for until its protection expires, and has the whole time from then on.
    """
    since = marked_at(host)
    if since is None or not held or any(hold.kind is Kind.PROTECTED for hold in held):
        return False
    expired = [hold.task.protected_until for hold in held if hold.task.protected_until is not None]
    return at - max([since, *expired]) > limit(held, policy)


def explained(held: tuple[Hold, ...], seen: Snapshot) -> tuple[str, ...]:
    """What holds a host, a line for each service with its own last event; six lines at most."""
    names = Counter(hold.task.service for hold in held)
    lines = []
    for name, count in names.most_common():
        kinds = ", ".join(sorted({_PHRASE[hold.kind] for hold in held if hold.task.service == name}))
        event = seen.services[name].last_event if name is not None and name in seen.services else ""
        said = f"; its last event: {event}" if event else ""
        lines.append(f"{count} task(s) of {name or 'no service'}: {kinds}{said}")
    more = (f"and {len(lines) - 5} more services",) if len(lines) > 6 else ()
    return (*lines[: 5 if more else 6], *more)


def sentence(held: tuple[Hold, ...]) -> str:
    """What holds a host, grouped by kind, three names each: short enough for one line."""
    kinds = Counter(hold.kind for hold in held)
    parts = []
    for kind, count in sorted(kinds.items()):
        names = sorted({_name(hold) for hold in held if hold.kind is kind})
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        parts.append(f"{count} {_PHRASE[kind]} ({shown})")
    return "; ".join(parts)


_PHRASE: Mapping[Kind, str] = {
    Kind.SERVICE: "not yet replaced elsewhere",
    Kind.STOPPING: "stopping",
    Kind.STANDALONE: "standalone, waited for",
    Kind.PROTECTED: "protected from scale-in",
}


def _name(hold: Hold) -> str:
    if hold.kind is Kind.PROTECTED and hold.until is not None:
        return f"{hold.task.service} until {hold.until:%H:%M:%S}Z"
    return hold.task.service or f"task {hold.task.id[:8]}"


def carried(host: Host, seen: Snapshot) -> int:
    """How many tasks would have to move if the host left."""
    return sum(1 for task in seen.on(host) if not task.stopped and not task.daemon)


def services_on(host: Host, seen: Snapshot) -> frozenset[str]:
    """The replica services that have (or, while it is drained, had) tasks on the host."""
    services: Mapping[str, Service] = seen.services
    return frozenset(
        task.service
        for task in seen.on(host)
        if task.service is not None and not task.daemon and task.service in services
    )
