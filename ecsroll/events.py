"""Facts of a roll, each told once, as plain data: the terminal, JSON lines and later sinks show the same ones.

The kinds are a contract: ``docs/json.md`` lists them and a test holds both together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["FOR_PEOPLE", "KINDS", "WATCHED", "Event"]

KINDS: Mapping[str, str] = {
    "roll_opened": "the roll was written down: group order, images, policy",
    "roll_progressed": "a group is finished",
    "roll_closed": "the roll went into the history",
    "ledger_noted": "what is about to be borrowed or given back was written down",
    "ledger_forgotten": "everything of a group was given back",
    "target_set": "the group launches the target image",
    "target_restored": "the group launches what it launched before",
    "size_set": "MinSize, MaxSize and birth protection were set",
    "rebalance_suspended": "AZRebalance was suspended",
    "rebalance_resumed": "AZRebalance was resumed",
    "drain_started": "hosts were marked and set DRAINING",
    "drain_undone": "hosts were set ACTIVE again",
    "tasks_stopped": "standalone tasks on a drained host were told to stop",
    "host_terminated": "a host was terminated: empty, or given up by --on-drain-timeout terminate",
    "host_kept": "a termination was put off: the last look before it found something, or the group said not now",
    "host_deregistered": "a host that is gone was deregistered",
    "protection_removed": "new hosts lost the protection they were born with",
    "waiting": "what the roll waits for changed",
    "cluster_finished": "one of several clusters has come to its end",
    "serving": "the simulated AWS can be reached",
}

WATCHED: Mapping[str, str] = {
    "watch_started": "a watcher began, with what it watches",
    "ami_noticed": "a topic said that there is a new image",
    "ami_outdated": "hosts run something older than the newest image",
    "roll_planned": "what a roll would do about it",
    "roll_ended": "a roll has ended, one way or another",
    "task_failed": "a task ended that should not have, or did not start",
    "task_stopped": "a task was rightly stopped",
    "service_changed": "ECS said something of a service or its deployment",
    "host_changed": "a host came, went, drains, or its agent did",
    "alert_raised": "something is wrong and stays so",
    "alert_cleared": "what was wrong is over",
    "message_refused": "a message could not be used: forged, malformed, replayed, from an unknown topic",
    "watch_trouble": "something that the watcher needs can not be read or written at the moment",
    "sink_failed": "a place that is told facts takes none",
}
"""What ``watch`` and ``events`` tell besides."""

FOR_PEOPLE = frozenset(
    {
        "roll_opened",
        "roll_closed",
        "roll_ended",
        "target_restored",
        "ami_outdated",
        "roll_planned",
        "watch_trouble",
        "alert_raised",
        "alert_cleared",
        "sink_failed",
    }
)
"""What goes to places where people read along: mail and chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact: its kind, when, and what belongs to it (plain JSON values)."""

    kind: str
    at: datetime
    facts: Mapping[str, Any]
