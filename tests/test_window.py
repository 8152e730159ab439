"""Windows: days, midnight, summer time, several of them; a roll that takes two nights."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ecsroll.decide import decide
from ecsroll.model import Memory
from ecsroll.policy import settle
from ecsroll.simulator.stage import GroupSet
from ecsroll.window import closes, dated, opens, windows
from tests import scenarios as s
from tests.builders import (
    NEW,
    NOW,
    OLD,
    ROLL,
    Row,
    group,
    launches,
    memory,
    new,
    old,
    outcome,
    roll,
    rolling,
    row,
    say,
    seen,
    table,
)
from tests.console import ecsroll
from tests.rolls import Death, Told, carry_out, stage_of
from tests.scenarios import LOGS, WORKER, policy

NIGHTS = "Mon-Fri 22:00-04:00 Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# (windows, now, when the open one shuts, when the next one opens); 2026-11-23 is a Monday, Berlin is an hour ahead
TIMES: dict[str, tuple[str, str, str | None, str]] = {
    "an hour before it opens": (NIGHTS, "2026-11-23 20:00", None, "2026-11-23 21:00"),
    "the moment it opens": (NIGHTS, "2026-11-23 21:00", "2026-11-24 03:00", "2026-11-23 21:00"),
    "after midnight it is still Monday's": (NIGHTS, "2026-11-24 02:59", "2026-11-24 03:00", "2026-11-24 02:59"),
    "the moment it shuts": (NIGHTS, "2026-11-24 03:00", None, "2026-11-24 21:00"),
    "Friday's reaches into Saturday": (NIGHTS, "2026-11-28 01:00", "2026-11-28 03:00", "2026-11-28 01:00"),
    "Saturday night there is none": (NIGHTS, "2026-11-28 22:00", None, "2026-11-30 21:00"),
    "Monday after midnight is Sunday's, and there is none": (NIGHTS, "2026-11-30 01:00", None, "2026-11-30 21:00"),
    "once a week": ("Sun 10:00-11:00", "2026-11-22 11:00", None, "2026-11-29 10:00"),
    "days over the end of the week": (
        "Sat-Mon 10:00-11:00",
        "2026-11-23 10:30",
        "2026-11-23 11:00",
        "2026-11-23 10:30",
    ),
    "single days": ("Tue,Thu 10:00-11:00", "2026-11-24 11:00", None, "2026-11-26 10:00"),
    "every day": ("daily 10:00-11:00", "2026-11-23 11:00", None, "2026-11-24 10:00"),
    "no days are every day, no zone is UTC": ("10:00-11:00", "2026-11-23 11:00", None, "2026-11-24 10:00"),
    "to the end of the day": ("22:00-24:00", "2026-11-23 23:59", "2026-11-24 00:00", "2026-11-23 23:59"),
    "the whole day": ("Sun 00:00-00:00", "2026-11-29 13:00", "2026-11-30 00:00", "2026-11-29 13:00"),
    "of two, the one that opens first": ("10:00-11:00; 06:00-07:00", "2026-11-23 08:00", None, "2026-11-23 10:00"),
    "of two open ones, the one that shuts last": (
        "10:00-12:00 UTC Mon 11:00-13:00",
        "2026-11-23 11:30",
        "2026-11-23 13:00",
        "2026-11-23 11:30",
    ),
    "in summer Berlin is two hours ahead": (NIGHTS, "2026-07-20 19:59", None, "2026-07-20 20:00"),
    "the night of the 29th of March has an hour less": (
        "Sat 22:00-04:00 Europe/Berlin",
        "2026-03-28 21:00",
        "2026-03-29 02:00",
        "2026-03-28 21:00",
    ),
    "the night of the 25th of October has an hour more": (
        "Sat 22:00-04:00 Europe/Berlin",
        "2026-10-24 20:00",
        "2026-10-25 03:00",
        "2026-10-24 20:00",
    ),
    "02:30 is left out in March: the clock shows 03:30 then": (
        "Sun 02:30-05:00 Europe/Berlin",
        "2026-03-29 01:00",
        None,
        "2026-03-29 01:30",
    ),
    "a window within the hour that is left out is not there": (
        "Sun 02:30-03:15 Europe/Berlin",
        "2026-03-28 12:00",
        None,
        "2026-04-05 00:30",
    ),
    "02:30 comes twice in October: the first one counts": (
        "Sun 01:00-02:30 Europe/Berlin",
        "2026-10-25 00:15",
        "2026-10-25 00:30",
        "2026-10-25 00:15",
    ),
}


@pytest.mark.parametrize(("said", "now", "shuts", "next_one"), TIMES.values(), ids=TIMES)
def test_when_a_window_is_open(said: str, now: str, shuts: str | None, next_one: str) -> None:
    some = windows([said])
    assert closes(some, at(now)) == (at(shuts) if shuts else None)
    assert opens(some, at(now)) == at(next_one)


def test_without_windows_nothing_opens_or_shuts() -> None:
    assert (closes((), NOW), opens((), NOW), windows([])) == (None, None, ())


def test_a_moment_is_told_with_its_day_and_its_zone() -> None:
    opened = opens(windows([NIGHTS]), at("2026-11-28 22:00"))
    assert opened is not None
    assert dated(opened) == "Mon 30 Nov 21:00Z"
    assert dated(opened.astimezone(ZoneInfo("Europe/Berlin"))) == "Mon 30 Nov 22:00+0100"


def test_a_variable_comes_split_at_its_blanks() -> None:
    said = f"{NIGHTS} Sat 08:00-12:00 23:00-24:00 Europe/Berlin"
    assert windows(said.split()) == windows([NIGHTS, "Sat 08:00-12:00", "23:00-24:00 Europe/Berlin"])
    assert [one.zone for one in windows(said.split())] == ["Europe/Berlin", "UTC", "Europe/Berlin"]


WRONG = {
    "nothing, as of a variable that is not set": ("", "'' is no window: leave --window out to drain at any time"),
    "blanks": ("  ", "is no window"),
    "no times": ("Mon-Fri", "'Mon-Fri' is no window"),
    "one time": ("22:00", "'22:00' is no window"),
    "something behind it": ("22:00-23:00 UTC!?, really", "no time zone"),
    "a zone that there is not": ("22:00-23:00 Europe/Entenhausen", "'Europe/Entenhausen' is no time zone"),
    "a zone that leads elsewhere": ("22:00-23:00 ../etc", "'../etc' is no time zone"),
    "a day that there is not": ("Mit 22:00-23:00", "'mit' is no day of the week"),
    "an hour that there is not": ("25:00-26:00", "'25:00' is no time of day"),
    "a minute that there is not": ("22:60-23:00", "'22:60' is no time of day"),
}


@pytest.mark.parametrize(("said", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_window(said: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"is no ") as problem:
        windows([said])
    assert words in str(problem.value)


# Decisions

SHUT = replace(ROLL, windows=windows(["Mon 22:00-23:00"]), canary=0)
EXIT = replace(SHUT, outside_window="exit")
OPEN = replace(ROLL, windows=windows(["02:00-04:00"]), canary=0)
WAITS = "no window is open; the next one opens at 2026-11-23 22:00Z"

DECISIONS = {
    "the window is open: a host is drained": row(rolling(old("i-1"), old("i-2"), new("i-3")), "drain i-1", policy=OPEN),
    "no window is open: no host is drained": row(
        rolling(old("i-1"), old("i-2"), new("i-3")), f"wait window web: {WAITS}", policy=SHUT
    ),
    "what is drained already is finished": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3")),
        "replace i-1",
        f"wait window web: {WAITS}",
        policy=SHUT,
    ),
    "the roll is not begun": row(
        seen(old("i-1"), roll=None), f"wait window prod: {WAITS}", policy=replace(SHUT, images={"web/lt-1": "ami-x"})
    ),
    "the next group is not begun": row(seen(old("i-1")), "note web", f"wait window web: {WAITS}", policy=SHUT),
    "the next group is not pointed at the target either": row(
        seen(old("i-1"), roll=roll(images={"web/lt-1": NEW}), groups=group(1, launches=(launches(OLD, "1"),))),
        "note web",
        f"wait window web: {WAITS}",
        policy=SHUT,
    ),
    "no room is asked for": row(
        rolling(old("i-1"), old("i-2"), page={"room": None, "rebalance": None}, group={"desired": 2, "min": 1}),
        f"wait window web: {WAITS}",
        policy=SHUT,
    ),
    "told to exit, it finishes what it drains first": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3")),
        "replace i-1",
        f"wait window web: {WAITS}",
        policy=EXIT,
    ),
    "told to exit, it waits for the host that comes": row(
        rolling(old("i-1"), new("i-2"), new("i-3", booting=True)),
        f"wait window web: {WAITS}",
        "wait boot i-3: *",
        policy=EXIT,
    ),
}


@pytest.mark.parametrize("row", table(DECISIONS))
def test_outside_of_every_window(row: Row) -> None:
    assert outcome(row) == row.told


def test_told_to_exit_it_exits_once_nothing_is_under_way() -> None:
    stop = decide(rolling(old("i-1"), old("i-2"), new("i-3")), memory(), EXIT)[1].stop
    assert stop is not None
    assert (stop.reason, stop.judged) == (WAITS, False)
    missing = rolling(old("i-1"), old("i-2"))
    assert decide(missing, memory(), EXIT)[1].stop is None


def test_told_to_exit_a_roll_is_not_begun() -> None:
    decision, _ = decide(seen(old("i-1"), roll=None), Memory(), replace(EXIT, images={"web/lt-1": "ami-x"}))
    assert say(decision) == [f"refused: {WAITS}; nothing was changed"]


# Whole rolls


def two_nights() -> Told:
    stage = stage_of(GroupSet(hosts=4), services=(WORKER, LOGS), quick=True)
    wanted = policy(
        windows=windows(["21:00-21:09"]), poll_interval=timedelta(minutes=2), boot_timeout=timedelta(hours=1)
    )
    return carry_out(stage, wanted, deaths=(Death(9, landed=True), Death(3, landed=False)))


def test_a_roll_over_two_nights_resumes_by_itself_killed_in_between() -> None:
    told = two_nights()
    assert told.verdict is not None
    assert (told.verdict.result, told.verdict.remaining) == ("done", 0)
    assert len(told.deaths) == 2
    drains = [event.at for event in told.events if event.kind == "drain_started"]
    assert {when.hour for when in drains} == {21}
    assert max(when.minute for when in drains) <= 9
    assert len({when.date() for when in drains}) >= 2
    assert s.images(told.stage) == [told.stage.new_image["web"]] * 4


def test_outside_a_window_the_command_leaves_as_told() -> None:
    stage = stage_of(GroupSet(hosts=2), services=(WORKER,), quick=True)
    words = ("--yes", "--json", "--canary", "0", "--outside-window", "exit")
    before = ecsroll(stage, "replace", "--cluster", "demo", *words, "--window", "22:00-23:00")
    assert (before.code, before.result["result"]) == (4, "refused"), before
    assert "the next one opens at 2026-09-28 22:00Z" in before.result["reason"]
    begun = f"{stage.sim.now():%H:%M}"
    shut = f"{stage.sim.now() + timedelta(minutes=4):%H:%M}"
    half = ecsroll(stage, "replace", "--cluster", "demo", *words, "--window", f"{begun}-{shut}")
    assert (half.code, half.result["result"]) == (5, "halted"), half
    assert "no window is open" in half.result["reason"]
    assert ecsroll(stage, "replace", "--cluster", "demo", "--yes", "--canary", "0").code == 0


def test_windows_are_read_from_the_option_and_the_variable() -> None:
    assert settle({"window": [NIGHTS, "Sat 10:00-11:00"]}).windows == windows([NIGHTS, "Sat 10:00-11:00"])
    assert settle({"window": NIGHTS}).windows == windows([NIGHTS])
