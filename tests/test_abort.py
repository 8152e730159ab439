"""Ending a roll: open drains are undone, the target goes back, and the room after it."""

import pytest

from ecsroll.decide import decide
from ecsroll.ledger import Phase
from ecsroll.model import OpenRoll
from tests.builders import (
    OLD,
    ROLL,
    WEB,
    Facts,
    Row,
    group,
    launches,
    marked,
    memory,
    new,
    old,
    outcome,
    page,
    pointed,
    roll,
    rolling,
    room,
    row,
    seen,
    table,
)

ENDING: Facts = {"roll": roll(aborting=True), "epoch": 2}
BACK: Facts = {"launches": (launches(OLD, "1"),)}
NOT_POINTED: Facts = {"pointed": (), "pointed_at": None}

ABORT = {
    "a drain of the roll that is ended is undone, before anything else": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **ENDING),
        "undrain i-1",
        "wait undo web: until 1 host(s) are ACTIVE again",
    ),
    "the first look of a life undoes no drain: it may lag behind": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **ENDING),
        "wait look web: for a second reading before a drain is undone",
        knows=memory(looks=0),
    ),
    "a drain of a roll that had borrowed nothing is undone, too": row(
        rolling(old("i-1", draining=True), old("i-2"), page={"room": None}, **ENDING),
        "undrain i-1",
        "wait undo web: until 1 host(s) are ACTIVE again",
    ),
    "a surplus that is drained to end the roll stays drained: the target goes back": row(
        rolling(old("i-1", draining=True, drain_mark=marked(epoch=2)), old("i-2"), new("i-3"), **ENDING),
        "note web",
        "point lt-1 back to ami-old",
        "wait undo web: until it launches ami-old again",
    ),
    "the target is back: of the surplus, what the group does not launch any more goes first": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page=NOT_POINTED, group=BACK, **ENDING),
        "drain i-3",
    ),
    "room was noted and never asked for: it is not asked for now": row(
        rolling(
            old("i-1"),
            old("i-2"),
            page={**NOT_POINTED, "room": room(phase=Phase.ASKING), "rebalance": None},
            group={**BACK, "desired": 2, "min": 1, "max": 10, "protects_new": False, "suspended": frozenset()},
            **ENDING,
        ),
        "roll 1 of web, finished: web",
        "forget web",
    ),
    "a host that was marked and never drained is marked no more": row(
        seen(
            old("i-1", drain_mark=marked()),
            old("i-2", drain_mark=marked(epoch=7)),
            groups=group(2, **BACK),
            pages=page(**NOT_POINTED, room=None, rebalance=None),
            **ENDING,
        ),
        "undrain i-1",
        "wait undo web: until 1 host(s) are marked no more",
    ),
    "everything is back: the roll goes into the history as ended": row(
        seen(old("i-1"), groups=group(1, **BACK), roll=roll(aborting=True, finished=(WEB,))),
        "close roll 1: aborted",
        "done: the roll was ended, everything was given back",
    ),
    "a surplus that ECS does not know carries no task: it goes without a drain": row(
        rolling(old("i-1"), old("i-2"), new("i-3", unregistered=True), page=NOT_POINTED, group=BACK, **ENDING),
        "note web",
        "size web 2..11 protected",
        "shrink by i-3",
        "*",
    ),
    "noted and not gone yet, it is sent away again, and no other with it": row(
        rolling(
            old("i-1"),
            new("i-2", unregistered=True),
            new("i-3", unregistered=True),
            page={**NOT_POINTED, "room": room(shrinking=("i-3",), floor=2)},
            group={**BACK, "min": 2},
            **ENDING,
        ),
        "shrink by i-3",
        "wait boot i-2: has not registered with ECS",
        "wait boot i-3: has not registered with ECS",
    ),
    "a page without anything lent is forgotten": row(
        seen(old("i-1"), groups=group(1, **BACK), pages=page(pointed=(pointed(Phase.RETURNING),)), **ENDING),
        "roll 1 of web, finished: web",
        "forget web",
    ),
}


@pytest.mark.parametrize("row", table(ABORT))
def test_ending_a_roll(row: Row) -> None:
    assert outcome(row) == row.told


def test_an_ended_roll_counts_only_what_it_replaced() -> None:
    snapshot = rolling(
        old("i-1"),
        new("i-2"),
        page={**NOT_POINTED, "room": None, "rebalance": None},
        group={**BACK, "desired": 2, "min": 1, "max": 10, "protects_new": False, "suspended": frozenset()},
        **ENDING,
    )
    [done] = [one.roll for one in decide(snapshot, memory(), ROLL)[0].actions if isinstance(one, OpenRoll)]
    assert done.replaced == 1
