"""What the options mean: words -> one frozen Policy, every problem of them reported together."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from ecsroll.errors import UsageError
from ecsroll.model import Amount, Policy

__all__ = ["Words", "amount", "duration", "noted", "number", "settle", "spelled"]

T = TypeVar("T")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> timedelta:
    """``0.2s``, ``90s``, ``15m``, ``2h``, ``3d``. Raises ValueError with a sentence."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if not found:
        raise ValueError(f"{text!r} is no duration: write a number and s, m, h or d, such as 90s or 15m")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def amount(text: str) -> Amount:
    """``2`` or ``25%``. Raises ValueError with a sentence."""
    found = re.fullmatch(r"(\d+)\s*(%?)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is neither a number of hosts nor a percentage, such as 2 or 25%")
    return Amount(int(found[1]), percent=bool(found[2]))


def number(text: str) -> int:
    """``3``. Raises ValueError with a sentence."""
    if not re.fullmatch(r"\d{1,6}", text.strip()):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def spelled(span: timedelta) -> str:
    """A duration as a person writes it: ``45s``, ``3m 20s``, ``2h 05m``."""
    seconds = round(span.total_seconds())
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s" if seconds % 60 else f"{seconds // 60}m"
    return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The policy options as they were given, each as text."""

    max_surge: str = "1"
    max_unavailable: str = "0"
    strategy: str = "rolling"
    canary: str = "1"
    good_readings: str = "3"
    boot_timeout: str = "15m"
    drain_timeout: str = "30m"
    poll_interval: str = "15s"
    lease_ttl: str = "2m"
    stop_grace: str = "25s"
    ami: str = "recommended"
    older_than: str | None = None
    all: bool = False
    keep_max_size: bool = False
    groups: Sequence[str] = ()
    instances: Sequence[str] = ()


@dataclass
class _Reader:
    problems: list[str] = field(default_factory=list)

    def read(self, option: str, parse: Callable[[str], T], text: str, fallback: T) -> T:
        try:
            return parse(text)
        except ValueError as error:
            self.problems.append(f"{option}: {error}")
            return fallback

    def check(self, good: bool, problem: str) -> None:
        if not good:
            self.problems.append(problem)


def settle(words: Words) -> Policy:
    """The policy that the options mean. Raises UsageError with every problem of them at once."""
    reader = _Reader()
    defaults = Policy()
    surge = reader.read("--max-surge", amount, words.max_surge, defaults.surge)
    unavailable = reader.read("--max-unavailable", amount, words.max_unavailable, defaults.unavailable)
    policy = Policy(
        groups=tuple(words.groups),
        ami=words.ami,
        surge=surge,
        unavailable=unavailable,
        strategy="double" if words.strategy == "double" else "rolling",
        canary=reader.read("--canary", number, words.canary, defaults.canary),
        good_readings=reader.read("--good-readings", number, words.good_readings, defaults.good_readings),
        boot_timeout=reader.read("--boot-timeout", duration, words.boot_timeout, defaults.boot_timeout),
        drain_timeout=reader.read("--drain-timeout", duration, words.drain_timeout, defaults.drain_timeout),
        poll_interval=reader.read("--poll-interval", duration, words.poll_interval, defaults.poll_interval),
        lease_ttl=reader.read("--lease-ttl", duration, words.lease_ttl, defaults.lease_ttl),
        stop_grace=reader.read("--stop-grace", duration, words.stop_grace, defaults.stop_grace),
        keep_max_size=words.keep_max_size,
        older_than=reader.read("--older-than", duration, words.older_than, timedelta()) if words.older_than else None,
        all=words.all,
        instances=tuple(words.instances),
    )
    _check(reader, words, policy)
    if reader.problems:
        raise UsageError("; ".join(reader.problems), hint="ecsroll replace --help explains each option")
    return policy


def _check(reader: _Reader, words: Words, policy: Policy) -> None:
    stands_still = policy.surge.value == 0 and policy.unavailable.value == 0 and policy.strategy == "rolling"
    reader.check(
        not stands_still,
        "--max-surge 0 with --max-unavailable 0 leaves no way to move: allow one of them",
    )
    reader.check(words.strategy in {"rolling", "double"}, f"--strategy {words.strategy}: say rolling or double")
    reader.check(policy.good_readings >= 1, "--good-readings: at least 1")
    reader.check(policy.poll_interval >= timedelta(seconds=0.2), "--poll-interval: at least 0.2s")
    # The lease is renewed once a round, from a third of its TTL on: fewer than four rounds would be a gamble.
    reader.check(policy.lease_ttl >= 4 * policy.poll_interval, "--lease-ttl: at least four times --poll-interval")
    chosen = [name for name, given in _CHOICES.items() if given(words)]
    reader.check(len(chosen) <= 1, f"{' and '.join(chosen)} each choose the hosts: give one of them")


def noted(policy: Policy) -> dict[str, str]:
    """What a roll writes down of its policy: what a rerun can not change (DESIGN 7)."""
    said = {
        "--asg": " ".join(policy.groups),
        "--ami": policy.ami,
        "--strategy": policy.strategy,
        "--older-than": spelled(policy.older_than) if policy.older_than else "",
        "--all": "yes" if policy.all else "",
        "--instance": " ".join(policy.instances),
    }
    return {option: value for option, value in said.items() if value}


_CHOICES: Mapping[str, Callable[[Words], bool]] = {
    "--all": lambda words: words.all,
    "--older-than": lambda words: words.older_than is not None,
    "--instance": lambda words: bool(words.instances),
}
