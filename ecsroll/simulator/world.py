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

__all__ = ["Durations", "Happening", "Refusal", "Span", "Timer", "World"]

Span = tuple[float, float]
"""Seconds: the shortest and the longest."""


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

    scaling_reacts: Span = (2, 10)
    instance_boots: Span = (12, 30)
    agent_registers: Span = (10, 40)
    instance_shuts_down: Span = (30, 60)
    container_instance_vanishes: Span = (10, 30)
    task_starts: Span = (4, 14)
    target_becomes_healthy: Span = (5, 30)
    task_stops: Span = (2, 10)
    scheduler_period: Span = (4, 7)
    counted_healthy: float = 40.0
    health_replacement: Span = (60, 120)
    # What differs from group to group, and from image to image.
    boots: dict[str, Span] = field(default_factory=dict)
    """By Auto Scaling group, instead of ``instance_boots``."""
    registers: dict[str, Span] = field(default_factory=dict)
    """By Auto Scaling group, instead of ``agent_registers``."""
    starts: dict[str, Span] = field(default_factory=dict)
    """By task-definition family, instead of ``task_starts``."""
    stops: dict[str, Span] = field(default_factory=dict)
    """By task-definition family, instead of ``task_stops``."""

    def boot(self, group: str | None) -> Span:
        """From the launch until the instance runs."""
        return self.boots.get(group or "", self.instance_boots)

    def register(self, group: str | None) -> Span:
        """From there until its agent has registered it."""
        return self.registers.get(group or "", self.agent_registers)

    def start(self, family: str) -> Span:
        """From a task's placement until it runs: its image is pulled meanwhile."""
        return self.starts.get(family, self.task_starts)

    def stop(self, family: str) -> Span:
        """From SIGTERM until the last container has ended."""
        return self.stops.get(family, self.task_stops)


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

    def draw(self, between: Span) -> float:
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
