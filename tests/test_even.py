"""Zones that a roll has left uneven are made even again by one host more, as long as that gets anywhere."""

from collections import Counter
from dataclasses import replace

import pytest

from ecsroll import asg
from ecsroll.ledger import ledger_from, text_of
from ecsroll.model import Amount
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests import scenarios as s
from tests.builders import OLD, ROLL, Row, launches, new, old, outcome, page, roll, rolling, room, row, table
from tests.rolls import Act, carry_out, on, stage_of
from tests.watch import Watch

TWO = {"zones": ("a", "b")}


def hosts(zones: str) -> list[object]:
    return [new(f"i-{number}", zone=zone) for number, zone in enumerate(zones, 1)]


LAUNCHES_OLD = {"launches": (launches(OLD, "1"),)}


def done(zones: str, most: int = 11, *, ended: bool = False, **paged: object) -> object:
    """Every host is new, and everything but the floor was given back."""
    wanted = len(zones)
    said = {"room": room(0, wanted, floor=wanted, ceiling=most), "uneven": 0, **paged}
    back = {"pointed": (), "pointed_at": None} if ended else {}
    group = {**TWO, "max": most, **(LAUNCHES_OLD if ended else {})}
    return rolling(*hosts(zones), wanted=wanted, surge=0, group=group, page=said | back, roll=roll(aborting=ended))  # type: ignore[arg-type]


EVEN = {
    "zones differ by two: room for one more is asked for": row(
        done("aaab"),  # type: ignore[arg-type]
        "note web",
        "size web 5..11 protected",
        "wait room web: until MinSize reads 5",
    ),
    "they differ by one: that is as even as it gets": row(
        done("aab"),  # type: ignore[arg-type]
        "note web",
        "size web *",
        "wait return web: *",
    ),
    "they differed by as much before": row(
        done("aaab", uneven=2),  # type: ignore[arg-type]
        "note web",
        "size web *",
        "wait return web: *",
    ),
    "no host may be added: it is left": row(
        done("aaab"),  # type: ignore[arg-type]
        "note web",
        "size web *",
        "wait return web: *",
        policy=replace(ROLL, surge=Amount(0), unavailable=Amount(1)),
    ),
    "MaxSize has to stay, and is full": row(
        done("aaab", most=4),  # type: ignore[arg-type]
        "note web",
        "size web *",
        "wait *",
        policy=replace(ROLL, keep_max_size=True),
    ),
    "the last time it led nowhere: it is not tried again": row(
        done("aaab", lopsided=10),  # type: ignore[arg-type]
        "note web",
        "size web *",
        "wait return web: *",
    ),
    "a roll that is being ended makes them even, too": row(
        done("aaab", ended=True),  # type: ignore[arg-type]
        "note web",
        "size web 5..11 protected",
        "wait room web: until MinSize reads 5",
    ),
    "it is being ended, and the one more has not registered yet: it is awaited, not sent away": row(
        rolling(
            *hosts("aaab"),  # type: ignore[arg-type]
            new("i-5", zone="b", unregistered=True),
            wanted=4,
            group={**TWO, **LAUNCHES_OLD},
            page={"pointed": (), "pointed_at": None, "uneven": 0, "lopsided": 10},
            roll=roll(aborting=True),
        ),
        "wait successor web: *",
        "wait boot i-5: has not registered with ECS",
    ),
    "the last time it got better: once more": row(
        done("aaab", lopsided=11),  # type: ignore[arg-type]
        "note web",
        "size web 5..11 protected",
        "wait room web: until MinSize reads 5",
    ),
}


@pytest.mark.parametrize("row", table(EVEN))
def test_one_more(row: Row) -> None:
    assert outcome(row) == row.told


@pytest.mark.parametrize(("zones", "expected"), {"": 0, "ab": 2, "aab": 5, "aaab": 10}.items())
def test_lopsided(zones: str, expected: int) -> None:
    assert asg.lopsided([old(f"i-{n}", zone=zone) for n, zone in enumerate(zones)]) == expected


def test_a_page_of_before_says_nothing_of_it() -> None:
    text = text_of(page()).replace('"lopsided":0,', "")
    assert "lopsided" not in text
    assert ledger_from(text).lopsided == 0


# Whole rolls


def no_capacity(zone: str, seconds: float) -> Act:
    def act(stage: Stage, watch: Watch) -> None:
        del watch
        full = stage.sim.conditions.zones_without_capacity
        full.add(f"{stage.sim.world.region}{zone}")
        stage.sim.world.after(seconds, full.clear)

    return act


def zones_of(stage: Stage) -> Counter[str]:
    members = s.group_of(stage).members.values()
    return Counter(member.instance.zone[-1] for member in members if member.state == "InService")


@pytest.mark.parametrize("seconds", [300, 500, 700])
def test_a_zone_that_was_full_for_a_while_gets_its_share_again(seconds: float) -> None:
    stage = stage_of(GroupSet(hosts=6, zones=2), services=(ServiceSet(name="api", count=6),), quick=True)
    told = carry_out(stage, s.QUICK, meanwhile=(on("drain_started", no_capacity("b", seconds)),))
    assert told.verdict is not None
    assert (told.verdict.result, told.verdict.owed) == ("done", ())
    assert sorted(zones_of(stage).values()) == [3, 3]


def test_with_no_host_more_it_halts_and_names_the_flag_that_ends_it() -> None:
    stage = stage_of(GroupSet(hosts=6, zones=2), services=(ServiceSet(name="api", count=6),), quick=True)
    alone = s.policy(surge=0, unavailable=1)
    told = carry_out(stage, alone, meanwhile=(on("drain_started", no_capacity("b", 500)),))
    assert told.verdict is not None
    assert "--max-surge 1 lets one host more even them" in told.verdict.reason
    assert [owed.what for owed in told.verdict.owed] == ["AZRebalance is suspended"]
    told.watch.policy = s.policy(surge=1)
    again = carry_out(stage, told.watch.policy, watch=told.watch)
    assert again.verdict is not None
    assert (again.verdict.result, again.verdict.owed) == ("done", ())
    assert sorted(zones_of(stage).values()) == [3, 3]


def test_a_zone_that_stays_full_is_not_tried_for_ever() -> None:
    stage = stage_of(GroupSet(hosts=4, zones=2), services=(ServiceSet(name="api", count=4),), quick=True)
    told = carry_out(stage, s.QUICK, meanwhile=(on("drain_started", no_capacity("b", 99_999)),))
    assert told.verdict is not None
    assert told.verdict.result == "halted"
    assert "stay uneven" in told.verdict.reason
    assert told.count("size_set") < 20
