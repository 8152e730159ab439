"""``ecsroll demo``: the first thing that anybody sees."""

import time
from functools import cache

import pytest

from tests.console import FakeClock, Ran, ecsroll

PLAIN: tuple[str, ...] = ()
QUIET = ("--quiet",)
AS_JSON = ("--json",)


@cache
def demo(words: tuple[str, ...] = PLAIN, *, terminal: bool = False) -> tuple[Ran, FakeClock]:
    """The demo, run once with these words; and a clock that tells how long it waited."""
    clock = FakeClock()
    return ecsroll(None, "demo", *words, clock=clock, terminal=terminal), clock


def test_it_replaces_every_host_in_well_under_thirty_seconds() -> None:
    began = time.perf_counter()
    ran, _ = demo()
    assert time.perf_counter() - began < 30
    assert ran.code == 0, ran
    assert ran.out.splitlines()[-1] == "done: every outdated host was replaced"


def test_its_summary_says_hosts_time_moves_calls_and_the_lowest_capacity() -> None:
    lines = [line.strip() for line in demo()[0].out.splitlines()]
    assert [line.partition("  ")[0] for line in lines[:5]] == [
        "hosts",
        "time",
        "moves per task",
        "calls",
        "lowest capacity",
    ]
    assert lines[0].endswith("9 replaced, 0 left, at most 11 at once")
    assert lines[4].endswith("100% of every service")


def test_the_same_seed_is_the_same_day() -> None:
    ran, _ = demo()
    assert ran.err == ecsroll(None, "demo").err
    assert ran.err != ecsroll(None, "demo", "--seed", "2").err


def test_as_json_it_is_its_own_command() -> None:
    result = demo(AS_JSON)[0].result
    assert (result["command"], result["result"], result["cluster"]) == ("demo", "done", "demo")
    assert result["hosts"] == {"replaced": 9, "remaining": 0}
    assert result["figures"]["lowest_capacity"] == 1.0
    assert result["figures"]["moves_per_task"] >= 1.0


@pytest.mark.parametrize("words", [PLAIN, AS_JSON, QUIET])
def test_nobody_waits_where_nobody_watches(words: tuple[str, ...]) -> None:
    _, clock = demo(words)
    assert clock.slept == []


def test_on_a_terminal_it_takes_its_time_but_less_than_thirty_seconds() -> None:
    ran, clock = demo(terminal=True)
    assert ran.code == 0
    assert 10 < clock.passed < 25, "and the computing comes on top"
    assert "done:" in ran.out
