"""Facts of a roll, each told once, as plain data: the terminal, JSON lines and later sinks show the same ones.

The kinds are a contract: ``docs/json.md`` lists them and a test holds both together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["KINDS", "Event"]

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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact: its kind, when, and what belongs to it (plain JSON values)."""

    kind: str
    at: datetime
    facts: Mapping[str, Any]
