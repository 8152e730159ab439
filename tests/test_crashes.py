"""Crash loops: what is one, when it begins and ends; and that nothing normal ever is one."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsroll.crashes import Cleared, Detector, Loop, LoopKey, Raised, Sensitivity, threshold
from ecsroll.once import Once
from ecsroll.stops import Ended, StoppedTask

NOON = datetime(2026, 9, 28, 12, 0, tzinfo=UTC)
KEY = LoopKey("demo", "web", "web:7")
NAMES = iter(range(10**9))


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def stop(at: float, *, lived: float = 0.5, name: str | None = None, **members: Any) -> StoppedTask:
    """A crash so many minutes after noon, of a task that had lived so long."""
    when = NOON + minutes(at)
    return StoppedTask(
        **{
            "arn": f"arn:aws:ecs:eu-west-1:1:task/demo/{name or next(NAMES)}",
            "cluster": "demo",
            "definition": "web:7",
            "service": "web",
            "at": when,
            "created": when - minutes(lived),
            "host": "host-1",
            "code": "EssentialContainerExited",
            "reason": "Essential container in task exited",
            "containers": (Ended("app", 1),),
            **members,
        }
    )


def normal(at: float, **members: Any) -> StoppedTask:
    reason = "Scaling activity initiated by (deployment ecs-svc/1)"
    return stop(at, code="ServiceSchedulerInitiated", reason=reason, containers=(Ended("app", 137),), **members)


def wants(number: int | None) -> Any:
    return lambda _: number


def loops(stops: Iterable[StoppedTask], *, desired: int | None = 2, now: float = 9) -> tuple[Loop, ...]:
    """The loops that a watcher sees in stops that came all at once."""
    detector = Detector()
    for task in stops:
        detector.stop(task)
    detector.judge(NOON + minutes(now), wants(desired))
    return tuple(detector.open.values())


# What is a loop ---------------------------------------------------------------------------------------------------

THREE = [1, 2, 3]
TABLE: dict[str, tuple[list[StoppedTask], int | None, int]] = {
    "three failures of a service that wants two": ([stop(at) for at in THREE], 2, 1),
    "three failures, and nobody knows what it wants": ([stop(at) for at in THREE], None, 1),
    "two failures": ([stop(at) for at in (1, 2)], 1, 0),
    "the same failure told three times": ([stop(1, name="a") for _ in THREE], 1, 0),
    "three of a service that wants a hundred": ([stop(at) for at in THREE], 100, 0),
    "fifty of a service that wants a hundred": ([stop(at / 10) for at in range(1, 51)], 100, 1),
    "all at one moment, and none after it": ([stop(1, lived=60) for _ in range(20)], 20, 0),
    "all at one moment, and one of the next": ([*(stop(1, lived=60) for _ in range(19)), stop(2)], 20, 1),
    "each on another service": ([stop(at, service=f"web-{at}") for at in THREE], 1, 0),
    "each of another revision": ([stop(at, definition=f"web:{at}") for at in THREE], 1, 0),
    "standalone tasks": ([stop(at, service=None) for at in THREE], 1, 0),
    "stops by the scheduler": ([normal(at) for at in range(1, 20)], 2, 0),
    "failed starts": ([stop(at, code="TaskFailedToStart", reason="CannotPullContainerError") for at in THREE], 2, 1),
    "failed health checks": (
        [stop(at, code="ServiceSchedulerInitiated", reason="Task failed ELB health checks in (tg)") for at in THREE],
        2,
        1,
    ),
    "ended without an error, again and again": ([stop(at, containers=(Ended("app", 0),)) for at in THREE], 2, 1),
    "longer ago than the window": ([stop(at) for at in (-40, -39, 2)], 2, 0),
    "when they were made is not known": ([stop(at, created=None) for at in THREE], 2, 0),
}


@pytest.mark.parametrize(("stops", "desired", "count"), TABLE.values(), ids=TABLE)
def test_what_a_watcher_takes_for_a_loop(stops: list[StoppedTask], desired: int | None, count: int) -> None:
    assert len(loops(stops, desired=desired, now=3)) == count


def test_a_loop_says_what_a_person_needs() -> None:
    (loop,) = loops([stop(at) for at in THREE])
    assert (loop.key, loop.count, loop.exit_code, loop.since, loop.last) == (
        KEY,
        3,
        1,
        NOON + minutes(1),
        NOON + minutes(3),
    )
    said = "tasks of service web (web:7) keep failing: 3 since 12:01:00Z of 2 wanted; the last one: exit code 1"
    assert loop.sentence == said


@pytest.mark.parametrize(("lost", "count"), [(1, 0), (8, 1)])
def test_what_stopped_with_its_host_does_not_count(lost: float, count: int) -> None:
    detector = Detector()
    for at in THREE:
        detector.stop(stop(at, host=f"host-{at}"))
        detector.host_lost(f"host-{at}", NOON + minutes(at + lost))
    assert len(detector.judge(NOON + minutes(9), wants(1))) == count


@pytest.mark.parametrize(("desired", "least"), [(None, 3), (0, 3), (1, 3), (6, 3), (7, 4), (100, 50), (1000, 200)])
def test_the_threshold_is_the_circuit_breakers(desired: int | None, least: int) -> None:
    assert threshold(desired, Sensitivity()) == least


# Its beginning and its end -----------------------------------------------------------------------------------------


def watch(stops: Iterable[StoppedTask], *, until: float, every: float = 1, desired: int | None = 2) -> list[str]:
    """Everything that a detector says while time passes, and when."""
    detector = Detector()
    said: list[str] = []
    left = sorted(stops, key=lambda task: task.at)
    at = 0.0
    while at <= until:
        while left and left[0].at <= NOON + minutes(at):
            detector.stop(left.pop(0))
        said += [f"{at:g} {type(each).__name__}" for each in detector.judge(NOON + minutes(at), wants(desired))]
        at += every
    return said


def test_one_fault_makes_one_alert_and_its_end_one_more() -> None:
    assert watch([stop(at) for at in range(1, 30)], until=90) == ["3 Raised", "40 Cleared"]


def test_a_loop_that_ecs_slows_down_is_still_one() -> None:
    pauses = [0.5, 1, 2, 4, 8, 16, 27, 27, 27]
    times = [1 + sum(pauses[:number]) for number in range(len(pauses) + 1)]
    said = watch([stop(at, code="TaskFailedToStart", reason="CannotPullContainerError") for at in times], until=240)
    assert [line.split()[1] for line in said] == ["Raised", "Cleared"]


def test_a_second_fault_is_not_hidden_behind_the_first_one() -> None:
    twice = [*(stop(at) for at in range(1, 30)), *(stop(at) for at in range(60, 70))]
    assert [line.split()[1] for line in watch(twice, until=120)] == ["Raised", "Cleared", "Raised", "Cleared"]


def test_what_a_service_is_used_to_is_no_loop() -> None:
    # Two in half an hour for two hours, as always; then three; then a real loop.
    usual = [stop(at) for at in range(0, 120, 16)]
    assert watch([*usual, stop(121), stop(125), stop(129)], until=129) == []
    assert watch([*usual, *(stop(at) for at in range(121, 129))], until=129) != []


def test_late_and_repeated_news_of_a_loop_that_is_over_is_no_new_one() -> None:
    detector = Detector()
    stops = [stop(at, name=f"t{at}") for at in range(1, 6)]
    for task in stops:
        detector.stop(task)
    assert [type(each) for each in detector.judge(NOON + minutes(5), wants(2))] == [Raised]
    assert [type(each) for each in detector.judge(NOON + minutes(16), wants(2))] == [Cleared]
    for task in stops:
        detector.stop(task)
    assert detector.judge(NOON + minutes(17), wants(2)) == []


def test_an_open_loop_of_an_earlier_life_is_not_raised_again() -> None:
    (loop,) = loops([stop(at) for at in THREE])
    detector = Detector(open={loop.key: loop})
    for at in (1, 2, 3, 4, 5):
        detector.stop(stop(at))
    assert detector.judge(NOON + minutes(6), wants(2)) == []
    assert detector.open[loop.key].last == NOON + minutes(5)
    assert [type(each) for each in detector.judge(NOON + minutes(16), wants(2))] == [Cleared]


def test_a_stop_from_the_future_keeps_no_loop_open() -> None:
    detector = Detector()
    for at in (1, 2, 3, 60 * 24):
        detector.stop(stop(at))
    assert [type(each) for each in detector.judge(NOON + minutes(4), wants(2))] == [Raised]
    assert [type(each) for each in detector.judge(NOON + minutes(15), wants(2))] == [Cleared]


def test_news_of_a_lost_host_that_comes_later_still_counts() -> None:
    detector = Detector()
    for at in (1, 2):
        detector.stop(stop(at, host=f"host-{at}"))
        detector.host_lost(f"host-{at}", NOON + minutes(at))
    detector.stop(stop(3, host="host-3"))
    assert detector.judge(NOON + minutes(3), wants(1)) == []


def test_what_it_keeps_is_bounded() -> None:
    detector = Detector(keys=10, kept=40, hosts=10)
    for number in range(2000):
        detector.stop(stop(number / 100, service=f"web-{number % 50}"))
        detector.stop(stop(number / 100))
        detector.host_lost(f"host-{number}", NOON)
    for at in (20, 300):
        detector.judge(NOON + minutes(at), wants(1))
        assert len(detector._failures) <= 10
        assert all(len(failures) <= 40 for failures in detector._failures.values())
        assert len(detector._lost) <= 10
        assert len(detector._over) <= 10


def test_once_remembers_the_newest_version_of_the_newest_keys() -> None:
    once = Once(3)
    assert [once.newer("a", version) for version in (4, 4, 3, 5)] == [True, False, False, True]
    assert once.first("b")
    assert not once.first("b")
    assert all(once.first(key) for key in "cd")
    assert "a" not in once
    assert len(once) == 3
    once.forget("b")
    assert once.first("b")


# Nothing normal is a loop -------------------------------------------------------------------------------------------

OPERATIONS = ("drain", "deploy", "scale in", "spot", "host dies", "person", "job fails")


def operation(kind: str, at: float, size: int, chance: random.Random) -> tuple[list[StoppedTask], list[str]]:
    """The stops that one operation makes, and the hosts that it takes away."""
    ends = (0, 1, 137, 143, None)
    exits = tuple(Ended("app", chance.choice(ends)) for _ in range(chance.randint(1, 3)))
    host = f"host-{chance.randrange(10**9)}"
    common: dict[str, Any] = {"containers": exits, "host": host, "lived": chance.choice((0.2, 2, 20, 600))}
    times = [at + chance.uniform(0, 1) for _ in range(size)]
    match kind:
        case "drain" | "deploy" | "scale in":
            reason = "Scaling activity initiated by (deployment ecs-svc/1)"
            return [stop(each, code="ServiceSchedulerInitiated", reason=reason, **common) for each in times], []
        case "spot":
            code = chance.choice(("TerminationNotice", "SpotInterruption"))
            reason = "Host EC2 (instance i-1) terminated."
            return [stop(each, code=code, reason=reason, **common) for each in times], [host]
        case "host dies":
            # The shutdown ends the containers first, and the agent may still report it.
            return [stop(each, **common) for each in times], [host]
        case "person":
            return [stop(each, code="UserInitiated", reason="Task stopped by user", **common) for each in times], []
        case _:
            return [stop(each, service=None, **common) for each in times], []


@given(
    st.lists(st.tuples(st.sampled_from(OPERATIONS), st.floats(0, 240), st.integers(1, 12)), min_size=1, max_size=40),
    st.integers(0, 2**16),
    st.sampled_from([None, 1, 4, 60]),
)
def test_no_sequence_of_normal_operations_is_ever_a_crash_loop(
    plan: list[tuple[str, float, int]], seed: int, desired: int | None
) -> None:
    chance = random.Random(seed)
    news: list[tuple[float, StoppedTask | tuple[str, datetime]]] = []
    for kind, at, size in plan:
        stops, gone = operation(kind, at, size, chance)
        # News of the host's loss and of its tasks come close together, in any order.
        news += [(at, (host, NOON + minutes(at))) for host in gone]
        news += [(at, task) for task in stops]
    chance.shuffle(news)
    news.sort(key=lambda each: each[0] // 1)
    detector = Detector()
    for at, group in _by_time(news):
        for each in group:
            if isinstance(each, StoppedTask):
                detector.stop(each)
            else:
                detector.host_lost(*each)
        assert detector.judge(NOON + minutes(at + 1), wants(desired)) == []


def _by_time(news: list[tuple[float, Any]]) -> list[tuple[float, list[Any]]]:
    found: dict[float, list[Any]] = {}
    for at, each in news:
        found.setdefault(at // 1, []).append(each)
    return list(found.items())
