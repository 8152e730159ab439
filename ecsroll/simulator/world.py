"""The simulated AWS's own time, chance and memory of what happened; the laws live in the files beside it.

Nothing here knows ECS. A law is a function that reads and changes the records of its own file, asks for time with
:meth:`World.after`, and tells the others what happened with :meth:`World.tell`.
"""

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["Durations", "Happening", "Refusal", "Timer", "World"]


class Refusal(Exception):  # noqa: N818 - AWS's own word for it would be "error", and it is an answer
    """AWS says no: an error code, a sentence, an HTTP status."""

    def __init__(self, code: str, message: str, *, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members


@dataclass(slots=True)
class Timer:
    """Something that will happen, unless it is cancelled first."""

    callback: Callable[[], None] | None

    def cancel(self) -> None:
        """Forget it."""
        self.callback = None


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened in the simulated AWS."""

    at: datetime
    kind: str
    facts: dict[str, Any]


@dataclass(slots=True)
class Durations:
    """How long things take, in seconds: (shortest, longest), drawn evenly. Defaults: aws-facts section 9."""

    scaling_reacts: tuple[float, float] = (2, 10)
    instance_boots: tuple[float, float] = (12, 30)
    agent_registers: tuple[float, float] = (10, 40)
    instance_shuts_down: tuple[float, float] = (30, 60)
    container_instance_vanishes: tuple[float, float] = (10, 30)
    task_starts: tuple[float, float] = (4, 14)
    target_becomes_healthy: tuple[float, float] = (5, 30)
    task_stops: tuple[float, float] = (2, 10)
    scheduler_period: tuple[float, float] = (4, 7)
    counted_healthy: float = 40.0
    health_replacement: tuple[float, float] = (60, 120)


@dataclass
class World:
    """The clock, the dice and the diary of one simulated account and region.

    The same seed and the same calls give the same world. ``now`` is in seconds since ``epoch``.
    """

    seed: int = 0
    region: str = "eu-west-1"
    account: str = "111122223333"
    epoch: datetime = datetime(2026, 9, 28, 20, 0, tzinfo=UTC)
    durations: Durations = field(default_factory=Durations)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.diary: list[Happening] = []
        self._queue: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._listeners: dict[str, list[Callable[..., None]]] = defaultdict(list)

    # time

    @property
    def time(self) -> datetime:
        """The time of day in the simulated AWS."""
        return self.epoch + timedelta(seconds=self.now)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back in that many simulated seconds; what is due at one moment happens in the order it was asked."""
        timer = Timer(callback)
        heapq.heappush(self._queue, (self.now + max(0.0, seconds), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that falls due meanwhile."""
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            at, _, timer = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
        self.now = until

    # chance

    def draw(self, between: tuple[float, float]) -> float:
        """A duration between two bounds."""
        return self.random.uniform(*between)

    def hex(self, digits: int) -> str:
        """An id's random part."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        """An id in the form of a UUID."""
        return "-".join(self.hex(digits) for digits in (8, 4, 4, 4, 12))

    # what happens

    def listen(self, kind: str, listener: Callable[..., None]) -> None:
        """Be called with the facts of each happening of a kind, in the order of listening."""
        self._listeners[kind].append(listener)

    def tell(self, kind: str, **facts: Any) -> None:
        """Write something into the diary, and tell those who listen for it. Facts are plain values or records."""
        self.diary.append(Happening(self.time, kind, facts))
        for listener in self._listeners[kind]:
            listener(**facts)
