"""Now and sleep, as something given.

The engine is handed a clock; nothing else in the package asks what time it is. The simulator *is* a clock: sleeping
on it advances the simulated AWS, so a roll of an hour is tested in milliseconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Time as something that is given."""

    def now(self) -> datetime:
        """The time of day in UTC, to be compared with what AWS reports."""
        ...

    def elapsed(self) -> float:
        """Seconds on a clock that never jumps and runs on through suspend, for deadlines of our own."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; on a simulated clock the world moves on meanwhile."""
        ...


# CLOCK_BOOTTIME counts the time a laptop was suspended; CLOCK_MONOTONIC does not, and a holder that slept through its
# lease must notice (DESIGN 6). macOS has no BOOTTIME; its CLOCK_MONOTONIC counts suspend already.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _wall() -> datetime:
    return datetime.now(UTC)


def _steady() -> float:
    return time.clock_gettime(_STEADY)


@dataclass
class SystemClock:
    """The machine's own clock: the time of day is read once, and goes on steadily from there.

    A time of day that is set anew in the middle of a roll would else end every wait at once, or none for hours.
    """

    wall: Callable[[], datetime] = _wall
    steady: Callable[[], float] = _steady
    _began: datetime = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._began, self._since = self.wall(), self.steady()

    def now(self) -> datetime:
        """The time of day in UTC."""
        return self._began + timedelta(seconds=self.elapsed() - self._since)

    def elapsed(self) -> float:
        """Seconds since boot, time in suspend included."""
        return self.steady()

    def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        time.sleep(max(0.0, seconds))
