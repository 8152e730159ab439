"""The loop. It owns nothing but the order: observe, decide, act."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ecsroll.act import Actor
from ecsroll.clock import Clock
from ecsroll.decide import decide
from ecsroll.events import Event
from ecsroll.model import Decision, Memory, Policy, Snapshot, Stop
from ecsroll.observe import Observer

__all__ = ["Round", "Ways", "rounds"]

BREATH = 1.0
"""Seconds between rounds that have nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round, told before it is carried out."""

    number: int
    seen: Snapshot
    decision: Decision
    memory: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a loop is told things, and tells them."""

    tell: Callable[[Event], None] = lambda _: None
    """Every fact, as it happens."""
    keep: Callable[[], None] = lambda: None
    """Once a round: to hold on to the cluster (raises when another has taken it over)."""
    stopping: Callable[[], str | None] = lambda: None
    """Why somebody wants the roll to stop now, or None."""


def rounds(
    observer: Observer, actor: Actor, policy: Policy, clock: Clock, ways: Ways, memory: Memory | None = None
) -> Iterator[Round]:
    """Yield each round before it is carried out, until the verdict has been.

    Everything that a round needs is in AWS and in its memory: an iterator that is dropped anywhere loses nothing.
    """
    memory = memory or Memory()
    number = 0
    while True:
        number += 1
        seen = observer.look()
        if (reason := ways.stopping()) and memory.stop is None:
            memory = replace(memory, stop=Stop(reason=reason, at=seen.at, hurry=True))
        decision, memory = decide(seen, memory, policy)
        yield Round(number, seen, decision, memory)
        ways.keep()
        for action in decision.actions:
            ways.tell(actor.act(action))
        if decision.verdict is not None:
            return
        _rest(clock, policy.poll_interval.total_seconds() if decision.waits else BREATH, ways.stopping)


def _rest(clock: Clock, seconds: float, stopping: Callable[[], str | None]) -> None:
    """Wait for the next round, or until somebody wants to stop: a signal does not end a sleep in Python."""
    left = seconds
    while left > 0 and not stopping():
        clock.sleep(min(left, 1.0))
        left -= 1.0
