"""What AWS and the network do to calls, as data: throttling, failing servers, lost answers, reads that lag behind.

A fault is an interruption that is put on the door: ``before`` (the call never lands) or ``after`` (it has landed, and
nobody hears of it). Each draws from a generator of its own, so that a fault does not change the rest of the world.
"""

import copy
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from ecsroll.simulator.door import Call, Door
from ecsroll.simulator.world import Refusal

__all__ = ["Buckets", "Lag", "lose_answers", "reset_connections", "servers_fail", "throttle"]

_THROTTLED = {
    "ecs": ("ThrottlingException", "Rate exceeded", 400),
    "autoscaling": ("Throttling", "Rate exceeded", 400),
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "elbv2": ("Throttling", "Rate exceeded", 400),
    "ssm": ("ThrottlingException", "Rate exceeded", 400),
    "sts": ("Throttling", "Rate exceeded", 400),
    "iam": ("Throttling", "Rate exceeded", 400),
    "cloudwatch": ("Throttling", "Rate exceeded", 400),
}


def throttle(door: Door, share: float, *, seed: int = 0) -> None:
    """Refuse a share of all calls as AWS refuses too many of them."""
    chance = random.Random(f"throttle {seed}")

    def interrupt(call: Call) -> None:
        if chance.random() < share:
            raise _throttled(call.service)

    door.before.append(interrupt)


def servers_fail(door: Door, share: float, *, seed: int = 0) -> None:
    """Answer a share of all calls with a 500, half of them after the call has landed."""
    chance = random.Random(f"servers {seed}")

    def interrupt(_: Call) -> None:
        if chance.random() < share / 2:
            raise Refusal("InternalFailure", "An internal error has occurred", status=500)

    door.before.append(interrupt)
    door.after.append(interrupt)


def lose_answers(door: Door, share: float, *, seed: int = 0) -> None:
    """Let a share of all calls land and their answers never arrive."""
    chance = random.Random(f"lost {seed}")

    def interrupt(call: Call) -> None:
        if chance.random() < share:
            door.world.advance(15.0)
            raise ReadTimeoutError(endpoint_url=f"https://{call.service}.simulated")

    door.after.append(interrupt)


def reset_connections(door: Door, share: float, *, seed: int = 0) -> None:
    """Cut the connection of a share of all calls, half of them after the call has landed."""
    chance = random.Random(f"reset {seed}")

    def interrupt(call: Call) -> None:
        if chance.random() < share / 2:
            raise ConnectionClosedError(endpoint_url=f"https://{call.service}.simulated")

    door.before.append(interrupt)
    door.after.append(interrupt)


def _throttled(service: str) -> Refusal:
    code, message, status = _THROTTLED[service]
    return Refusal(code, message, status=status)


@dataclass
class Lag:
    """Reads that lag: a share is answered as the same question was up to ``seconds`` ago (aws-facts 6.6, 9)."""

    seconds: float
    share: float
    seed: int = 0
    recent: dict[str, deque[tuple[float, dict[str, Any]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"lag {self.seed}")

    def put_on(self, door: Door) -> None:
        """Let the door's reads lag from now on, those of SSM aside."""
        fresh = door.answer

        def answer(service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
            if not operation.startswith(("Describe", "List", "Get")) or service == "ssm":
                return fresh(service, operation, params)
            now = door.world.now
            kept = self.recent.setdefault(f"{service} {operation} {params!r}", deque(maxlen=8))
            said = fresh(service, operation, params)
            old = [earlier for at, earlier in kept if now - at <= self.seconds]
            kept.append((now, said))
            return copy.deepcopy(self.chance.choice(old)) if old and self.chance.random() < self.share else said

        door.answer = answer


@dataclass
class Buckets:
    """Token buckets as AWS keeps them (aws-facts 6): a call too many is throttled, and counted."""

    refill: dict[str, tuple[float, float]]
    """``service Operation`` prefix -> (burst, refill per second); the longest prefix counts."""
    tokens: dict[str, tuple[float, float]] = field(default_factory=dict)
    refused: int = 0

    def put_on(self, door: Door) -> None:
        """Count from now on."""
        door.before.append(lambda call: self._take(call, door.world.now))

    def _take(self, call: Call, now: float) -> None:
        name = f"{call.service} {call.operation}"
        fits = [prefix for prefix in self.refill if name.startswith(prefix)]
        if not fits:
            return
        prefix = max(fits, key=len)
        burst, refill = self.refill[prefix]
        left, at = self.tokens.get(prefix, (burst, now))
        left = min(burst, left + (now - at) * refill)
        if left < 1:
            self.refused += 1
            raise _throttled(call.service)
        self.tokens[prefix] = (left - 1, now)
