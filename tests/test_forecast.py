"""A forecast that holds: generated clusters are planned, then really rolled, and the one is held against the other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from typing import cast

import pytest

from ecsroll.act import Actor
from ecsroll.aws import Aws
from ecsroll.engine import Round, Ways, rounds
from ecsroll.events import Event
from ecsroll.explore import explore
from ecsroll.forecast import Forecast, Option, _recommended, foresee, name_of
from ecsroll.habits import learn
from ecsroll.images import choose_images
from ecsroll.model import Amount, Policy, Verdict
from ecsroll.observe import Observer
from ecsroll.rehearsal import Rehearsal
from ecsroll.simulator.stage import GroupSet, Stage
from ecsroll.tally import Tally
from ecsroll.turn import outdated_by_group
from tests.rolls import stage_of
from tests.scenarios import API, LOGS, WORKER, policy
from tests.worlds import generated


def ticking(*moments: float) -> Iterator[float]:
    """A clock that shows these moments, and the last one for ever."""
    yield from moments
    while True:
        yield moments[-1]


def foreseen(stage: Stage, how: Policy, *moments: float, spent: float = 0.0) -> tuple[Forecast, Policy]:
    """The forecast of a stage, with as much time for it as the moments and what was ``spent`` on reading leave."""
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    how = replace(how, images=choose_images(how.ami, seen, aws))
    terrain = explore(aws, observer, seen)
    clock = ticking(*(moments or (0.0,)))
    outdated = outdated_by_group(seen, how)
    return foresee(terrain, seen, how, learn(terrain), outdated, lambda: next(clock), spent=spent), how


def rolled(stage: Stage, how: Policy) -> tuple[timedelta, list[Event]]:
    """Roll it really: how long that took, and what happened."""
    aws = Aws(stage.sim, stage.sim, workers=1, chance=Random(0))
    observer = Observer(aws, stage.cluster)
    events: list[Event] = []
    steps = list(rounds(observer, Actor(aws, observer), how, stage.sim, Ways(tell=events.append)))
    verdict = steps[-1].decision.verdict
    assert verdict is not None
    assert verdict.result == "done"
    return steps[-1].seen.at - steps[0].seen.at, events


NO_OTHERS = (0.0, 0.0, 1e9)
"""Time for the policy itself, and for nothing beside it."""


def test_the_actual_time_lies_in_the_range_of_at_least_18_of_20_generated_clusters() -> None:
    inside, errors, widths = 0, [], []
    for seed in range(20):
        world = generated(seed)
        forecast, how = foreseen(world.stage, world.policy, *NO_OTHERS)
        took, _ = rolled(world.stage, how)
        inside += forecast.low <= took <= forecast.high
        errors.append(abs(forecast.likely - took) / took)
        widths.append((forecast.high - forecast.low) / forecast.likely)
    assert inside >= 18
    assert median(errors) <= 0.15
    assert median(widths) <= 0.5, "a range that holds everything says nothing"


def test_the_first_steps_are_the_very_same_as_those_of_the_roll() -> None:
    stage = stage_of(GroupSet(hosts=4), services=(API, WORKER, LOGS), quick=True)
    forecast, how = foreseen(stage, policy(), *NO_OTHERS)
    _, events = rolled(stage, how)
    until = next(place for place, event in enumerate(events) if event.kind == "drain_started") + 1
    mine = [(step.event.kind, step.event.facts) for step in forecast.main.steps[:until]]
    assert mine == [(event.kind, event.facts) for event in events[:until]]


# What there is time for ------------------------------------------------------------------------------------------


def test_a_cluster_too_large_to_be_rehearsed_thrice_has_a_wide_range() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    forecast, _ = foreseen(stage, policy(), 0.0, 40.0)
    assert forecast.likely == forecast.main.took
    assert (forecast.low, forecast.high) == (forecast.main.took * 0.75, forecast.main.took * 1.25)
    assert len(forecast.options) == 1
    assert forecast.skipped == ("double",)


TIMES = {
    "a plan that has read in two seconds and rehearses in a quarter of one has time for all": (9, 2.0, 0.25, 3, 0),
    "at a third of a second each, one other way is done within five seconds": (9, 2.0, 0.35, 3, 2),
    "on a slow machine only what was asked for is rehearsed, once": (9, 2.5, 0.6, 1, 3),
    "a slow machine that has read quickly has time for three": (9, 1.5, 0.6, 3, 3),
    "who has read for a minute has time for three, and for another way, all the same": (9, 60.0, 0.35, 3, 2),
    "for more hosts three rehearsals count for more than five seconds": (13, 2.5, 0.6, 3, 3),
}
"""Hosts, the seconds that the readings took and that each rehearsal takes; how often what was asked for is rehearsed,
and how many other ways are not."""


@pytest.mark.parametrize(("hosts", "spent", "each", "tried", "left"), TIMES.values(), ids=TIMES)
def test_what_is_rehearsed_within_five_seconds(hosts: int, spent: float, each: float, tried: int, left: int) -> None:
    stage = stage_of(GroupSet(hosts=hosts), services=(WORKER,), quick=True)
    moments = (0.0, each, *(each * (tried + others) for others in range(4)))
    forecast, _ = foreseen(stage, policy(), *moments, spent=spent)
    assert forecast.tried == tried
    assert len(forecast.skipped) == left
    assert len(forecast.options) == 4 - left
    assert forecast.high > forecast.likely > forecast.low


def test_ways_that_come_to_the_same_are_rehearsed_once() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    forecast, _ = foreseen(stage, policy(surge="50%"))
    assert [name_of(option.policy) for option in forecast.options] == ["rolling, surge 50%", "double"]


# Which way -------------------------------------------------------------------------------------------------------


BEGAN = datetime(2026, 11, 25, 22, tzinfo=UTC)


def option(surge: int, minutes: float, moves: float = 1.0, *, result: str = "done") -> Option:
    tally = Tally(tasks=100, peak=10 + surge, moved={str(number) for number in range(round(100 * moves))})
    rehearsal = Rehearsal(
        policy=policy(surge=surge),
        verdict=Verdict(result="done" if result == "done" else "halted", reason=""),
        took=timedelta(minutes=minutes),
        rounds=1,
        steps=(),
        moves=(),
        tally=tally,
        surplus=timedelta(),
        longest=(),
        held=frozenset(),
        last=cast("Round", None),
        began=BEGAN,
    )
    return Option(policy=Policy(surge=Amount(surge)), rehearsal=rehearsal, asked=surge == 1)


WAYS = [
    pytest.param([option(1, 60), option(3, 50)], 1, id="a sixth of the time is not worth two more hosts"),
    pytest.param([option(1, 60), option(3, 30)], 3, id="half of the time is"),
    pytest.param([option(1, 60), option(3, 30), option(10, 25)], 3, id="up to where more saves too little"),
    pytest.param([option(1, 60, 1.3), option(3, 58, 1.0)], 3, id="fewer moves are worth it, too"),
    pytest.param([option(1, 60, 1.3), option(3, 70, 1.0)], 1, id="but not if it takes longer"),
    pytest.param([option(1, 60), option(3, 10, result="halted")], 1, id="what does not end well is never recommended"),
    pytest.param([option(1, 60, result="halted")], None, id="if none ends well there is nothing to recommend"),
    pytest.param([option(1, 60)], 1, id="the only way"),
]


@pytest.mark.parametrize(("options", "surge"), WAYS)
def test_the_recommended_way(options: list[Option], surge: int | None) -> None:
    best, why = _recommended(options)
    assert (best.policy.surge if best else None) == (Amount(surge) if surge else None)
    assert why


def test_a_recommendation_says_what_it_saves_and_what_it_takes() -> None:
    assert _recommended([option(1, 60)])[1] == "there is no other"
    assert _recommended([option(1, 60)], untried=True)[1] == "no other was rehearsed to a good end"
    _, why = _recommended([option(1, 60), option(2, 20)])
    assert why == "it saves 40m of 1h 00m over rolling, surge 1, for 1 more host at once"
