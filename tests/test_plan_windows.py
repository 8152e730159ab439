"""``plan --window``: when the next window opens, how far a roll comes in it, and when it is done."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from ecsroll.act import Actor
from ecsroll.aws import Aws
from ecsroll.drain import Kind
from ecsroll.engine import Round, Ways, rounds
from ecsroll.events import Event
from ecsroll.explore import explore
from ecsroll.forecast import _range
from ecsroll.habits import learn
from ecsroll.images import choose_images
from ecsroll.model import Policy
from ecsroll.observe import Observer
from ecsroll.rehearsal import Night, Rehearsal, Step, rehearse
from ecsroll.simulator.stage import GroupSet, Stage
from ecsroll.turn import outdated_by_group
from ecsroll.window import windows
from tests.rolls import cut_off, stage_of
from tests.scenarios import LOGS, WORKER, policy, run_a_task
from tests.test_forecast import NO_OTHERS, foreseen
from tests.test_plan import planned, rehearsed

MINUTE = timedelta(minutes=1)


def four_hosts(hosts: int = 4) -> Stage:
    """Half past eight in the evening (UTC) of Monday, the 28th of September; in Berlin it is half past ten."""
    stage = stage_of(GroupSet(hosts=hosts), services=(WORKER, LOGS), quick=True)
    stage.sim.sleep((datetime(2026, 9, 28, 20, 30, tzinfo=UTC) - stage.sim.now()).total_seconds())
    return stage


def rehearsal_of(stage: Stage, how: Policy) -> Rehearsal:
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    how = replace(how, images=seen.roll.images if seen.roll else choose_images(how.ami, seen, aws))
    terrain = explore(aws, observer, seen)
    return rehearse(terrain, seen, how, learn(terrain), seed=1)


# How far it comes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A policy, and what is foreseen: when each window opens (UTC), and what is replaced in it."""

    window: str
    nights: dict[str, int]
    outside: str = "wait"
    poll: timedelta = MINUTE / 4
    runs: int = 1
    result: str = "done"


ROWS = {
    "an open window that is long enough: now": Row(window="20:00-22:00", nights={"28 20:30": 4}),
    "it opens in half an hour, and is long enough": Row(window="21:00-22:00", nights={"28 21:00": 4}),
    "days, midnight and a zone: Monday's has shut, Tuesday's opens at half past midnight in Berlin": Row(
        window="Tue 22:30-02:00 Europe/Berlin", nights={"29 20:30": 4}
    ),
    "two in the same night, one after the other: as one": Row(
        window="21:00-21:05; 21:05-22:00", nights={"28 21:00": 4}
    ),
    "two in the same night, with a pause: both": Row(
        window="21:00-21:06; 21:30-22:00", nights={"28 21:00": 2, "28 21:30": 2}
    ),
    "too short: the rest in the night after it": Row(window="21:00-21:06", nights={"28 21:00": 2, "29 21:00": 2}),
    "far too short: what was drained in it is finished, so one host a night": Row(
        window="21:00-21:02", nights={"28 21:00": 1, "29 21:00": 1, "30 21:00": 1, "01 21:00": 1}
    ),
    "too short, and told to exit: run again in the night after it": Row(
        window="21:00-21:06", nights={"28 21:00": 2, "29 21:00": 2}, outside="exit", runs=2
    ),
    "told to exit, outside of every window: it begins when one opens": Row(
        window="21:00-22:00", nights={"28 21:00": 4}, outside="exit"
    ),
    "so short that no look at the cluster falls into it": Row(
        window="21:00-21:01", nights={}, poll=3 * MINUTE, result="halted"
    ),
    "three nights in vain: it gives up": Row(
        window="21:00-21:01",
        nights={"28 21:00": 0, "29 21:00": 0, "30 21:00": 0, "01 21:00": 0},
        poll=3 * MINUTE,
        outside="exit",
        result="halted",
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_how_far_a_roll_comes_in_each_window(row: Row) -> None:
    how = policy(windows=windows([row.window]), outside_window=row.outside, poll_interval=row.poll)
    told = rehearsal_of(four_hosts(), how)
    assert told.verdict.result == row.result, told.verdict.reason
    assert {f"{night.opens:%d %H:%M}": night.replaced for night in told.nights} == row.nights
    assert told.runs == row.runs or row.result == "halted"


def test_nights_cost_the_room_that_the_group_keeps_but_not_the_time_of_a_plan() -> None:
    told = rehearsal_of(four_hosts(), policy(windows=windows(["21:00-21:06"])))
    assert (told.began.hour, told.began.minute) == (21, 0)
    assert timedelta(hours=24) < told.took < timedelta(hours=25)
    assert timedelta(hours=23) < told.idle < told.took
    assert timedelta(hours=24) < told.surplus < timedelta(hours=25), "one more host all day"
    assert told.rounds < 150


def test_what_holds_the_roll_in_a_later_night_is_told() -> None:
    stage = four_hosts()
    run_a_task(stage, 900_000, host=0)
    how = policy(windows=windows(["21:00-21:06"]), outside_window="exit", drain_timeout=3 * MINUTE)
    told = rehearsal_of(stage, how)
    assert (told.verdict.result, told.runs) == ("halted", 2), told.verdict.reason
    assert told.held == {Kind.STANDALONE}


def test_the_rest_of_a_roll_that_waits_for_its_window_is_told_from_now_on() -> None:
    stage = four_hosts()
    cut_off(stage, policy(windows=windows(["20:00-22:00"])), 12)
    told = rehearsal_of(stage, policy(windows=windows(["23:00-23:30"])))
    assert told.began < told.nights[0].opens, "what it had begun is finished first"
    assert f"{told.nights[0].opens:%H:%M}" == "23:00"
    assert told.verdict.result == "done"


# The range -------------------------------------------------------------------------------------------------------

EVENING = datetime(2026, 9, 28, 21, 0, tzinfo=UTC)


def told(*counts: int, took: timedelta, idle: timedelta = timedelta()) -> Rehearsal:
    """A rehearsal in windows of an hour, with so many hosts in each, and no drain in sight."""
    nights = [
        Night(
            opens=EVENING + timedelta(days=day),
            shuts=EVENING + timedelta(days=day, hours=1),
            replaced=count,
            remaining=sum(counts[day + 1 :]),
        )
        for day, count in enumerate(counts)
    ]
    how = Policy(windows=windows(["21:00-22:00"]))
    return replace(rehearsed(), policy=how, began=EVENING, took=took, idle=idle, nights=tuple(nights))


def test_of_the_nights_in_between_nothing_is_left_to_chance() -> None:
    night = timedelta(hours=23)
    run = told(10, 10, took=timedelta(hours=24, minutes=50), idle=night)
    low, likely, high = _range([run, run, run], 20)
    assert likely == run.took
    assert likely - timedelta(minutes=15) < low < likely < high < likely + timedelta(minutes=15)


def test_a_last_night_with_one_host_may_be_saved() -> None:
    run = told(12, 1, took=timedelta(hours=24, minutes=10), idle=timedelta(hours=23))
    low, _, high = _range([run, run, run], 13)
    assert low == timedelta(hours=1), "when the first window shuts"
    assert high > run.took


@pytest.mark.parametrize(("last_drain", "another_night"), [(30, False), (57, True)])
def test_a_last_drain_shortly_before_the_window_shuts_may_slip_into_the_next_one(
    last_drain: int, *, another_night: bool
) -> None:
    drained = Step(after=last_drain * MINUTE, event=Event(kind="drain_started", at=EVENING, facts={}))
    run = replace(told(9, took=59 * MINUTE), steps=(drained,))
    _, likely, high = _range([run, run, run], 9)
    assert likely == run.took
    assert (high > timedelta(hours=24)) == another_night
    assert high < timedelta(hours=24, minutes=5)


def test_runs_of_other_nights_make_the_range_and_not_the_likely_time() -> None:
    short = told(12, took=timedelta(minutes=55))
    long = told(8, 4, took=timedelta(hours=24, minutes=20), idle=timedelta(hours=23))
    low, likely, high = _range([short, short, long], 12)
    assert likely == short.took
    assert (low < short.took, high > long.took) == (True, True)


# The forecast against the roll ---------------------------------------------------------------------------------------


def rolled(stage: Stage, how: Policy) -> tuple[list[Round], datetime]:
    """Roll it really, night after night: its rounds, and when it was done."""
    aws = Aws(stage.sim, stage.sim, workers=1, chance=Random(0))
    observer = Observer(aws, stage.cluster)
    steps = list(rounds(observer, Actor(aws, observer), how, stage.sim, Ways()))
    verdict = steps[-1].decision.verdict
    assert verdict is not None
    assert verdict.result == "done", verdict.reason
    return steps, steps[-1].seen.at


NIGHTS = [(5, "21:00-21:20"), (6, "21:00-21:12; 22:00-22:12"), (7, "21:00-21:08; 22:00-22:08; 23:00-23:08")]


@pytest.mark.parametrize(("hosts", "window"), NIGHTS)
def test_a_roll_through_its_windows_comes_as_far_as_was_foreseen(hosts: int, window: str) -> None:
    stage = four_hosts(hosts)
    forecast, how = foreseen(stage, policy(windows=windows([window]), poll_interval=2 * MINUTE), *NO_OTHERS)
    steps, done = rolled(stage, how)
    main = forecast.main
    assert main.began + forecast.low <= done <= main.began + forecast.high
    assert abs((done - main.began) - forecast.likely) < timedelta(minutes=10)
    for night, following in pairwise(main.nights):
        again = next(step.seen for step in steps if step.seen.at >= following.opens)
        assert abs(sum(outdated_by_group(again, how).values()) - night.remaining) <= 1


# What is said of it ------------------------------------------------------------------------------------------------

SHORT = ("--window", "Mon-Fri 23:00-23:06 Europe/Berlin", "--canary", "0", "--good-readings", "1")


def test_as_json_it_tells_when_they_open_how_far_it_comes_and_when_it_ends() -> None:
    ran = planned(four_hosts(), *SHORT, "--json")
    assert ran.code == 0, ran
    plan = ran.result["plan"]
    first, second = plan["windows"]
    assert (first["opens"], first["shuts"]) == ("2026-09-28T23:00:00+02:00", "2026-09-28T23:06:00+02:00")
    assert (first["opens_in"], plan["begins"], plan["runs"]) == (1800, first["opens"], 1)
    assert (first["replaced"], first["remaining"], second["replaced"], second["remaining"]) == (2, 2, 2, 0)
    begins = datetime.fromisoformat(plan["begins"])
    for which, seconds in plan["seconds"].items():
        assert abs((datetime.fromisoformat(plan["ends"][which]) - begins).total_seconds() - seconds) <= 1
    assert plan["ends"]["likely"].startswith("2026-09-29T23:0")
    assert ran.result["reason"] == (
        "4 host(s) would be replaced in 2 windows: 2 in the first one, from Mon 28 Sep 23:00+0200 on"
    )


def test_without_a_window_it_begins_now_and_takes_none() -> None:
    stage = four_hosts(1)
    now = stage.sim.now()
    plan = planned(stage, "--json").result["plan"]
    assert (plan["windows"], plan["runs"]) == ([], 1)
    assert plan["begins"] == now.isoformat()


def test_a_window_in_which_nothing_can_be_replaced_blocks() -> None:
    words = ("--window", "21:00-21:01", "--poll-interval", "3m", "--lease-ttl", "12m", "--json")
    ran = planned(four_hosts(2), *words)
    assert ran.code == 4, ran
    (found,) = [finding for finding in ran.result["findings"] if finding["code"] == "EC180"]
    assert "no window is long enough to replace a host in it" in found["measured"]
    assert found["fix"] == "give a longer --window, or more hosts at once (--max-surge), and plan again"


@pytest.mark.parametrize("hosts", [2, 18])
def test_however_many_nights_it_takes_the_plan_comes_soon(hosts: int) -> None:
    stage = four_hosts(hosts)
    began = time.process_time()
    ran = planned(stage, "--window", "21:00-21:02", "--canary", "0", "--json")
    assert time.process_time() - began < 5
    assert ran.result["plan"]["result"] == ("done" if hosts == 2 else "halted")
    assert hosts == 2 or ran.result["reason"] == "18 host(s) to replace: no end was in sight after 14 windows"
