"""The verdict on one stopped task: whether it failed, or was rightly stopped.

By stop code and reason first, by exit code last: a task that ECS stopped for a drain or a deployment regularly ends
with 143 (SIGTERM) or 137 (SIGKILL after its stopTimeout) and is as healthy as can be (aws-facts 7.6).
``docs/events.md`` holds the whole table, and a test reads it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

__all__ = ["Ended", "StopKind", "StopVerdict", "StoppedTask", "moment", "service_of", "stopped_task", "verdict_on"]

_SIGNALS = frozenset({137, 143})
"""SIGKILL and SIGTERM: somebody else ended the container."""
_UNHEALTHY = re.compile(r"health checks?\b|\bunhealthy\b", re.IGNORECASE)
_GONE = re.compile(r"Host EC2 \(instance |Container instance deregistration forced", re.IGNORECASE)
_NEVER_STARTED = re.compile(
    r"Cannot\w+Error|ResourceInitializationError|\w*TimeoutError|InternalError|Task failed to start", re.IGNORECASE
)
_EXITED = re.compile(r"Essential container in task exited", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"OutOfMemory", re.IGNORECASE)


class StopKind(StrEnum):
    """What a stop was."""

    CRASH = "crash"
    """A container ended by itself, with an error or for want of memory."""
    EXIT = "exit"
    """A container of a service ended by itself without an error: a service's tasks should not end."""
    FAILED_START = "failed start"
    UNHEALTHY = "unhealthy"
    """ECS stopped it because a health check failed."""
    NORMAL = "normal"
    """A deployment, scaling, a drain, a person; a job that has done its work."""
    INFRASTRUCTURE = "infrastructure"
    """Its host went away."""
    UNKNOWN = "unknown"
    """A code and a reason that nobody knows: told, never counted."""

    @property
    def failed(self) -> bool:
        """Whether it counts towards a crash loop."""
        return self in {StopKind.CRASH, StopKind.EXIT, StopKind.FAILED_START, StopKind.UNHEALTHY}


@dataclass(frozen=True, slots=True)
class Ended:
    """One container of a stopped task: its exit code, or None if it never ran, and what the agent said of it."""

    name: str = ""
    exit_code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedTask:
    """One task that has stopped, as DescribeTasks or a task event says it.

    ``at`` is when its containers ended (else when it stopped); ``started`` is None if it never was RUNNING.
    """

    arn: str
    cluster: str
    definition: str
    """``family:revision``."""
    at: datetime
    service: str | None = None
    """None: a standalone task."""
    created: datetime | None = None
    started: datetime | None = None
    host: str | None = None
    """The container instance's ARN."""
    code: str = ""
    reason: str = ""
    containers: tuple[Ended, ...] = ()
    version: int = 0

    @property
    def id(self) -> str:
        """The ARN's last part."""
        return self.arn.rpartition("/")[2]

    @property
    def exit_code(self) -> int | None:
        """The one that says most: an error of its own before a signal, a signal before 0."""
        codes = [ended.exit_code for ended in self.containers if ended.exit_code is not None]
        own = [code for code in codes if code and code not in _SIGNALS]
        return next(iter((*own, *(code for code in codes if code), *codes)), None)


@dataclass(frozen=True, slots=True)
class StopVerdict:
    """What a stop was, and why: a sentence without a full stop."""

    kind: StopKind
    why: str
    signalled: bool = False
    """Its containers ended by a signal only: a host that shuts down does that, too."""


def verdict_on(task: StoppedTask) -> StopVerdict:
    """The verdict on a stop. Total: whatever AWS comes to say, there is one."""
    if _GONE.search(task.reason):
        return StopVerdict(StopKind.INFRASTRUCTURE, task.reason.rstrip("."))
    match task.code:
        case "UserInitiated":
            return StopVerdict(StopKind.NORMAL, f"stopped by a person or a tool: {_said(task)}")
        case "TerminationNotice" | "SpotInterruption" | "InfrastructureHealth":
            return StopVerdict(StopKind.INFRASTRUCTURE, _said(task))
        case "ServiceSchedulerInitiated":
            return _by_scheduler(task)
        case "TaskFailedToStart":
            return StopVerdict(StopKind.FAILED_START, f"did not start: {_said(task)}")
        case "EssentialContainerExited":
            return _by_itself(task)
        case _:
            return _by_reason(task)


def _by_scheduler(task: StoppedTask) -> StopVerdict:
    """One code for a scale-in and a failed health check: only the reason tells them apart."""
    if _UNHEALTHY.search(task.reason):
        return StopVerdict(StopKind.UNHEALTHY, _said(task))
    return StopVerdict(StopKind.NORMAL, f"stopped by ECS: {_said(task)}")


def _by_reason(task: StoppedTask) -> StopVerdict:
    """Without a code (older tasks have none), or with one that is new."""
    if _EXITED.search(task.reason):
        return _by_itself(task)
    if _NEVER_STARTED.search(task.reason) and task.started is None:
        return StopVerdict(StopKind.FAILED_START, f"did not start: {_said(task)}")
    if task.reason.startswith("Task failed") and _UNHEALTHY.search(task.reason):
        return StopVerdict(StopKind.UNHEALTHY, _said(task))
    if task.reason.startswith(("Scaling activity initiated by", "Task stopped by user")):
        return StopVerdict(StopKind.NORMAL, _said(task))
    return StopVerdict(StopKind.UNKNOWN, f"{task.code or 'no stop code'}: {_said(task)}")


def _by_itself(task: StoppedTask) -> StopVerdict:
    """A container ended and took the task with it. Which one is essential no event says.

    So the first error of its own counts; where all ended by signals or with 0, the one with 0 was first: ECS stops the
    others by signals afterwards.
    """
    memory = next((ended for ended in task.containers if _OUT_OF_MEMORY.search(ended.reason)), None)
    if memory is not None or _OUT_OF_MEMORY.search(task.reason):
        return StopVerdict(StopKind.CRASH, f"out of memory{_with(task.exit_code)}")
    codes = [ended.exit_code for ended in task.containers if ended.exit_code is not None]
    if any(code and code not in _SIGNALS for code in codes):
        return StopVerdict(StopKind.CRASH, f"exit code {task.exit_code}{_detail(task)}")
    if 0 in codes:
        if task.service is None:
            return StopVerdict(StopKind.NORMAL, "a job that ended: exit code 0")
        return StopVerdict(StopKind.EXIT, "exit code 0, though a service's task should not end")
    if codes:
        return StopVerdict(StopKind.CRASH, f"ended by a signal{_with(task.exit_code)}{_detail(task)}", signalled=True)
    return StopVerdict(StopKind.CRASH, f"no exit code: {_said(task)}")


def _said(task: StoppedTask) -> str:
    """The reason in AWS's words, with the container's where it says more."""
    return f"{task.reason.rstrip('.') or 'no reason given'}{_detail(task)}"


def _detail(task: StoppedTask) -> str:
    reason = next((ended.reason for ended in task.containers if ended.reason), "")
    return f": {reason.rstrip('.')}" if reason and reason not in task.reason else ""


def _with(code: int | None) -> str:
    return "" if code is None else f" (exit code {code})"


# From AWS's words ------------------------------------------------------------------------------------------------


def stopped_task(said: Mapping[str, Any]) -> StoppedTask | None:
    """A task as DescribeTasks or the detail of a task event says it; None if it has not stopped.

    Times are datetimes in the one and text in the other (aws-facts 7.1). Raises ValueError where something that every
    task has is missing or of another kind.
    """
    if said.get("lastStatus") != "STOPPED":
        return None
    arn, definition = _text(said.get("taskArn")), _text(said.get("taskDefinitionArn"))
    if "/" not in arn or "/" not in definition:
        raise ValueError("a task without taskArn or taskDefinitionArn")
    at = next((found for key in _ENDS if (found := moment(said.get(key))) is not None), None)
    if at is None:
        raise ValueError("a stopped task without a time")
    return StoppedTask(
        arn=arn,
        cluster=_last(_text(said.get("clusterArn"))),
        definition=_last(definition),
        at=at,
        service=service_of(said),
        created=moment(said.get("createdAt")),
        started=moment(said.get("startedAt")),
        host=_text(said.get("containerInstanceArn")) or None,
        code=_text(said.get("stopCode")),
        reason=_text(said.get("stoppedReason")),
        containers=tuple(_ended(entry) for entry in said.get("containers") or () if isinstance(entry, Mapping)),
        version=said["version"] if isinstance(said.get("version"), int) else 0,
    )


_ENDS = ("executionStoppedAt", "stoppedAt", "stoppingAt", "updatedAt")


def service_of(said: Mapping[str, Any]) -> str | None:
    """The service that a task belongs to, or None: by its group (aws-facts 3.2)."""
    group = _text(said.get("group"))
    return group.removeprefix("service:") if group.startswith("service:") else None


def moment(said: Any) -> datetime | None:
    """A time as boto3 (a datetime), an event (ISO text) or the wire (seconds) says it. Raises ValueError."""
    if said is None or isinstance(said, datetime):
        return said
    if isinstance(said, int | float) and not isinstance(said, bool):
        try:
            return datetime.fromtimestamp(said, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(f"{said!r} is no time") from error
    if isinstance(said, str):
        found = datetime.fromisoformat(said)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise ValueError(f"{said!r} is no time")


def _ended(said: Mapping[str, Any]) -> Ended:
    code = said.get("exitCode")
    return Ended(_text(said.get("name")), code if isinstance(code, int) else None, _text(said.get("reason")))


def _text(said: Any) -> str:
    return said if isinstance(said, str) else ""


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]
