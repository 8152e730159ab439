"""What outlives a round and is not in AWS (DESIGN 3): frozen, at most 4 KB; losing it restarts a wait, no more.

To everybody else these are words of the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Memory", "Stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a roll stops itself, and since when."""

    reason: str
    at: datetime
    subject: str = ""
    judged: bool = False
    """A gate shut: with ``--rollback-on-failure`` the roll is taken back."""
    back: bool = False
    """Tasks have met what was judged bad: going back is the first way on that is named."""
    lines: tuple[str, ...] = ()
    """What else there is to say: six lines at most."""
    hurry: bool = False
    """Somebody asked for it (a signal): undo what can be undone in one go, and wait to see nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What outlives a round and is not in AWS. Losing it restarts a wait and breaks nothing."""

    newest: datetime | None = None
    """When the newest host that the last round saw was launched (AWS's time)."""
    looks: int = 0
    """Rounds in this life, two at most: a first picture may lag behind an earlier life's changes."""
    shaky: Mapping[str, int] = field(default_factory=dict)
    """Hosts not (yet, or any more) ready -> good readings in a row."""
    agentless: Mapping[str, datetime] = field(default_factory=dict)
    """Hosts without an agent -> since when."""
    expected: Mapping[str, datetime] = field(default_factory=dict)
    """``what:subject`` of changes of ours that no reading has shown yet -> when they were made."""
    waiting: Mapping[str, datetime] = field(default_factory=dict)
    """``kind:subject`` of what the last round waited for -> since when."""
    calm: int = 0
    """Good readings in a row of the services that the canary carried."""
    sound: Mapping[str, int] = field(default_factory=dict)
    """Tasks on new hosts that read healthy -> readings in a row; a few of them are enough."""
    hatched: tuple[str, ...] = ()
    """New hosts that were ready while the canary was on trial; a few of them are enough."""
    unsteady: Mapping[str, int] = field(default_factory=dict)
    """Services that lacked tasks -> good readings in a row since."""
    quiet: tuple[str, ...] = ()
    """Alarms that were in ALARM at the start, and have been in another state since: they count again."""
    left: int | None = None
    """Old hosts of the group in the last round."""
    lost: int = 0
    """New hosts that went again by themselves since an old one last left."""
    stop: Stop | None = None
