"""The loop. It owns nothing but the order: observe, decide, act."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ecsroll.act import Actor
from ecsroll.clock import Clock
from ecsroll.decide import decide
from ecsroll.events import Event
from ecsroll.model import Decision, Memory, Policy, Snapshot
from ecsroll.observe import Observer

__all__ = ["Round", "rounds"]

BREATH = 1.0
"""Seconds between rounds that have nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round, told before it is carried out."""

    number: int
    seen: Snapshot
    decision: Decision
    memory: Memory


def rounds(
    observer: Observer,
    actor: Actor,
    policy: Policy,
    clock: Clock,
    tell: Callable[[Event], None],
    memory: Memory | None = None,
) -> Iterator[Round]:
    """Yield each round before it is carried out, until the verdict has been.

    Everything that a round needs is in AWS and in its memory: an iterator that is dropped anywhere loses nothing.
    """
    memory = memory or Memory()
    number = 0
    while True:
        number += 1
        seen = observer.look()
        decision, memory = decide(seen, memory, policy)
        yield Round(number, seen, decision, memory)
        for action in decision.actions:
            tell(actor.act(action))
        if decision.verdict is not None:
            return
        clock.sleep(policy.poll_interval.total_seconds() if decision.waits else BREATH)
