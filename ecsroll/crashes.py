"""Which tasks of a service ended though nobody wanted them to. Pure; the rule is aws-facts 7.6.

The exit code alone says nothing: a task that is drained or deployed ends with 143 or 137, too. Who began it tells.
"""

from collections.abc import Mapping
from typing import Any

from ecsroll.model import Crash

__all__ = ["crash_of"]

_CHECKS = ("Task failed ELB health checks", "Task failed container health checks")


def crash_of(said: Mapping[str, Any]) -> Crash | None:
    """A stopped task as DescribeTasks shows it: how it crashed, or None if it ended as somebody wanted.

    A task of a service is not meant to end by itself, so exit code 0 counts, too. The end of its host is not its fault.
    """
    group = str(said.get("group", ""))
    what = _what(said)
    if what is None or not group.startswith("service:"):
        return None
    service = group.removeprefix("service:")
    return Crash(task=said["taskArn"], service=service, host=said.get("containerInstanceArn", ""), what=what)


def _what(said: Mapping[str, Any]) -> str | None:
    code, reason = said.get("stopCode"), str(said.get("stoppedReason", ""))
    if code == "EssentialContainerExited":
        return _exit(said)
    if code == "TaskFailedToStart":
        return f"did not start: {reason.partition(':')[0][:80]}"
    if code == "ServiceSchedulerInitiated" and reason.startswith(_CHECKS):
        return reason.partition(" in (")[0][len("Task ") :]
    return None


def _exit(said: Mapping[str, Any]) -> str:
    for container in said.get("containers", ()):
        if str(container.get("reason", "")).startswith("OutOfMemoryError"):
            return "out of memory"
    codes = [container["exitCode"] for container in said.get("containers", ()) if container.get("exitCode") is not None]
    return f"exited with {max(codes, key=abs)}" if codes else "exited"
