"""What stops a roll, and how it then ends. A row's name is what an operator would say."""

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest

from ecsroll.decide import decide
from ecsroll.ledger import Phase, Place
from ecsroll.model import Activity, Amount, Memory, Owed, Snapshot, Stop, Verdict
from tests.builders import (
    NEW,
    NEWEST,
    NOW,
    OLD,
    ROLL,
    WEB,
    Facts,
    Row,
    ago,
    foreign,
    host,
    launches,
    marked,
    memory,
    new,
    noted,
    old,
    outcome,
    pointed,
    roll,
    rolling,
    room,
    row,
    say,
    service,
    stopping,
    table,
    task,
)

# Gates: what stops a roll

LATE: Facts = {"launched_at": ago(2)}
FAILED = Activity(status="Failed", cause="", message="no capacity", at=ago(1))
CARRYING: Facts = {"tasks": [task("t1", "i-1")], "services": [service()]}

DOUBTED = {"target:web": ago(1)}
"""For a minute the target has read as something else than what it was set to."""

GATES: dict[str, tuple[Snapshot, Memory, str]] = {
    "a host came up with the old image after the target was set: never one more outdated host": (
        rolling(old("i-1"), old("i-2"), old("i-3", **LATE)),
        memory(),
        "i-3 was launched with ami-old after the group had been pointed at another image",
    ),
    "a host came up with an earlier version after the target was set": (
        rolling(old("i-1"), old("i-2"), new("i-3", version="1")),
        memory(),
        "i-3 was launched with ami-new, but from version 1 of lt-1, after the group had been pointed at another one",
    ),
    "a host of before the target was set is outdated, no more": (
        rolling(old("i-1"), old("i-2", launched_at=NEWEST), new("i-3")),
        memory(),
        "",
    ),
    "a host launched as the target was set may be either": (
        rolling(old("i-1"), old("i-2", launched_at=NEWEST + timedelta(seconds=60)), new("i-3")),
        memory(),
        "",
    ),
    "the image of a host that came up is not known yet": (
        rolling(old("i-1"), old("i-2"), old("i-3", image=None, **LATE)),
        memory(),
        "",
    ),
    "the target is not set yet: nothing came up wrong": (
        rolling(old("i-1"), old("i-2", **LATE), new("i-3"), page={"pointed_at": None}, group={"launches": ()}),
        memory(waiting=DOUBTED),
        "*was made to launch something else*",
    ),
    "somebody made the group launch another image": (
        rolling(old("i-1"), new("i-2"), new("i-3"), group={"launches": (launches("ami-hot", "3"),)}),
        memory(waiting=DOUBTED),
        "web was made to launch ami-hot by somebody else; this roll had set ami-new",
    ),
    "somebody gave the group another template": (
        rolling(old("i-1"), new("i-2"), new("i-3"), group={"launches": (launches("ami-hot", "3", name="lt-9"),)}),
        memory(waiting=DOUBTED),
        "web was made to launch something else by somebody else; *",
    ),
    "nobody is on the way that would let another be drained, as somebody else drains a host": (
        rolling(foreign("i-1"), old("i-2"), new("i-3")),
        memory(waiting={"stuck:web": ago(16)}),
        "2 hosts of web are ready, too few to drain another, and none is on the way; somebody else drains i-1",
    ),
    "nobody is on the way, for no reason that could be seen": (
        rolling(old("i-2"), new("i-3"), surge=0),
        memory(waiting={"stuck:web": ago(16)}),
        "2 hosts of web are ready, too few to drain another, and none is on the way",
    ),
    "the target reads as it was before: the reading may be an older one": (
        rolling(old("i-1"), new("i-2"), new("i-3"), group={"launches": (launches(OLD, "1"),)}),
        memory(),
        "",
    ),
    "AWS's parameter has moved on: nobody else did that": (
        rolling(
            old("i-1"),
            host("i-2", image="ami-aws"),
            host("i-3", image="ami-aws"),
            group={"launches": (launches("ami-aws-2", "1", place=Place.PUBLIC),)},
            page={"pointed": (pointed(place=Place.PUBLIC, image="ami-aws", version="1"),)},
        ),
        memory(),
        "",
    ),
    "the target has not arrived yet: it was not moved": (
        rolling(old("i-1"), group={"launches": (launches(OLD, "1"),)}, page={"pointed": (pointed(Phase.ASKING),)}),
        memory(),
        "",
    ),
    "a drain takes longer than it may": (
        rolling(old("i-1", draining=True, drain_mark=marked(31)), old("i-2"), new("i-3"), **CARRYING),
        memory(),
        "i-1 has not been drained within 30m: 1 not yet replaced elsewhere (shop)",
    ),
    "a drain takes as long as it may": (
        rolling(old("i-1", draining=True, drain_mark=marked(30)), old("i-2"), new("i-3"), **CARRYING),
        memory(),
        "",
    ),
    "an old drain is empty: it is through, however long it took": (
        rolling(old("i-1", draining=True, drain_mark=marked(90)), old("i-2"), new("i-3")),
        memory(),
        "",
    ),
    "somebody else's drain takes long: not ours to judge": (
        rolling(foreign("i-1", drain_mark="by-hand"), old("i-2"), new("i-3"), **CARRYING),
        memory(),
        "",
    ),
    "a new host does not become ready": (
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True)),
        memory(waiting={"boot:i-3": ago(16)}),
        "i-3 has not become ready within 15m: it is Pending",
    ),
    "a new host has as long as it may": (
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True)),
        memory(waiting={"boot:i-3": ago(15)}),
        "",
    ),
    "a new host became ready at last": (
        rolling(old("i-1"), old("i-2"), new("i-3")),
        memory(waiting={"boot:i-3": ago(16)}),
        "",
    ),
    "hosts do not come: the reason is told": (
        rolling(old("i-1"), old("i-2"), group={"failures": (FAILED,)}),
        memory(waiting={"launch:web": ago(16)}),
        "only 2 of 3 hosts of web came within 15m; last launch failed: no capacity",
    ),
    "hosts do not come, and nothing says why": (
        rolling(old("i-1"), old("i-2")),
        memory(waiting={"launch:web": ago(16)}),
        "only 2 of 3 hosts of web came within 15m",
    ),
    "hosts have as long as they may": (
        rolling(old("i-1"), old("i-2")),
        memory(waiting={"launch:web": ago(15)}),
        "",
    ),
    "hosts came at last": (
        rolling(old("i-1"), old("i-2"), new("i-3")),
        memory(waiting={"launch:web": ago(16)}),
        "",
    ),
    "Launch was suspended by somebody: that is why": (
        rolling(old("i-1"), old("i-2"), group={"failures": (FAILED,), "suspended": frozenset({"Launch"})}),
        memory(waiting={"launch:web": ago(16)}),
        "only 2 of 3 hosts of web came within 15m; Launch is suspended in web",
    ),
    "new hosts come and go again": (
        rolling(old("i-1"), old("i-2")),
        memory(left=2, lost=2, shaky={"i-3": 0}),
        "3 new hosts of web came and went again while 2 are still to be replaced",
    ),
    "two of them may": (rolling(old("i-1"), old("i-2")), memory(left=2, lost=1, shaky={"i-3": 0}), ""),
    "of a large surge as many may as were borrowed": (
        rolling(old("i-1"), old("i-2"), surge=5),
        memory(left=2, lost=4, shaky={"i-3": 0}),
        "",
    ),
    "a group without room has lost hosts as well": (
        rolling(old("i-1"), old("i-2"), page={"room": None}),
        memory(left=2, lost=3),
        "3 new hosts of web came and went again while 2 are still to be replaced",
    ),
    "somebody has started an instance refresh": (
        rolling(old("i-1"), old("i-2"), group={"refresh": "r-1"}),
        memory(),
        "instance refresh r-1 replaces hosts of web: somebody else started it",
    ),
    "a roll that is being ended does not mind the refresh": (
        rolling(old("i-1"), old("i-2"), group={"refresh": "r-1"}, roll=roll(aborting=True)),
        memory(),
        "",
    ),
    "the zones stay uneven": (
        rolling(new("i-1"), new("i-2")),
        memory(waiting={"zones:web": ago(16)}),
        "the zones of web stay uneven, so AZRebalance was left suspended",
    ),
    "the zones have as long as they may": (rolling(new("i-1"), new("i-2")), memory(waiting={"zones:web": ago(15)}), ""),
    "the target never reads back": (
        rolling(old("i-1")),
        memory(waiting={"target:web": ago(5.1)}),
        "the launch target of web was set again and again for 5m and never read back",
    ),
    "the room never reads back": (
        rolling(old("i-1")),
        memory(waiting={"room:web": ago(5.1)}),
        "the room of web was set again and again for 5m and never read back",
    ),
    "the give-back never reads back": (
        rolling(old("i-1")),
        memory(waiting={"return:web": ago(5.1)}),
        "the give-back of web was set again and again for 5m and never read back",
    ),
    "a change has five minutes": (rolling(old("i-1")), memory(waiting={"room:web": ago(5)}), ""),
    "another group's wait is not this one's": (rolling(old("i-1")), memory(waiting={"room:api": ago(9)}), ""),
}


@pytest.mark.parametrize(
    ("forbids", "flag"),
    [
        ({"surge": Amount(0), "unavailable": Amount(1)}, "; --max-surge 1 lets one host more even them"),
        ({"keep_max_size": True}, "; --no-keep-max-size lets one host more even them"),
        ({}, ""),
    ],
)
def test_where_zones_stay_uneven_the_flag_that_would_even_them_is_named(forbids: Facts, flag: str) -> None:
    full = rolling(new("i-1"), new("i-2"), group={"desired": 10}, page={"room": room(0, phase=Phase.RETURNING)})
    stop = decide(full, memory(waiting={"zones:web": ago(16)}), replace(ROLL, **forbids))[1].stop
    assert stop is not None
    assert stop.reason == f"the zones of web stay uneven, so AZRebalance was left suspended{flag}"


@pytest.mark.parametrize(("snapshot", "knows", "reason"), GATES.values(), ids=GATES)
def test_gates(snapshot: Snapshot, knows: Memory, reason: str) -> None:
    stop = decide(snapshot, knows, ROLL)[1].stop
    if not reason:
        assert stop is None
        return
    assert stop is not None
    assert fnmatchcase(stop.reason, reason)
    assert (stop.at, stop.subject) == (NOW, WEB)


def test_a_roll_that_stops_goes_on_stopping_for_its_first_reason() -> None:
    first = Stop(reason="first", at=ago(1), subject=WEB)
    snapshot = rolling(old("i-1", draining=True, drain_mark=marked(31)), old("i-2"), new("i-3"), **CARRYING)
    assert decide(snapshot, memory(stop=first), ROLL)[1].stop == first


# Steps of a stop

STOP = memory(stop=Stop(reason="it had to", at=ago(0.5), subject=WEB))
PATIENT_NO_MORE = memory(stop=Stop(reason="it had to", at=ago(3.1), subject=WEB))
# Pointed back already, nothing lent: the end of a stop.
BACK: Facts = {"launches": (launches(OLD, "1"),)}
FREE: Facts = {"min": 1, "max": 10, "protects_new": False, "suspended": frozenset(), "desired": 2}
NOTHING: Facts = {"room": None, "rebalance": None}
LEFT = room(0, ceiling=11)
DUD: Facts = {"waiting": {"boot:i-3": ago(16)}}
RETURNING = (pointed(Phase.RETURNING),)

HALTING = {
    "a host is drained: it serves again, first of all": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **CARRYING),
        "undrain i-1",
        "wait undo web: until 1 host(s) are ACTIVE again",
        knows=STOP,
    ),
    "a host that somebody else drains stays drained; then the target goes back": row(
        rolling(foreign("i-1"), old("i-2"), new("i-3")),
        "note web",
        "point lt-1 back to ami-old",
        "wait undo web: until it launches ami-old again",
        knows=STOP,
    ),
    "a host will not be ACTIVE again for three minutes: the rest goes on": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3")),
        "note web",
        "undrain i-1",
        "point lt-1 back to ami-old",
        "halted: it had to",
        knows=PATIENT_NO_MORE,
    ),
    "all serve: the target goes back, so that no scale-out launches what was judged bad": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "note web",
        "point lt-1 back to ami-old",
        "wait undo web: until it launches ami-old again",
        knows=STOP,
    ),
    "the target does not read back yet: once more": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page={"pointed": RETURNING}),
        "point lt-1 back to ami-old",
        "wait undo web: *",
        knows=STOP,
    ),
    "the target is back: the room can not be, it carries tasks; that is owed": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page={"pointed": RETURNING}, group=BACK),
        "note web",
        "halted: it had to",
        knows=STOP,
    ),
    "the target was asked for and does not show: it is put back all the same, a reading may be older": row(
        rolling(
            old("i-1"),
            old("i-2"),
            page={"pointed": (pointed(Phase.ASKING, version=None),), "pointed_at": None, **NOTHING},
            group={**FREE, **BACK},
        ),
        "note web",
        "point lt-1 back to ami-old",
        "wait undo web: until it launches ami-old again",
        knows=STOP,
    ),
    "the group's template is gone: what was asked for is taken back all the same": row(
        rolling(
            old("i-1"),
            old("i-2"),
            page={"pointed": (pointed(Phase.ASKING),), **NOTHING},
            group={**FREE, "launches": ()},
        ),
        "note web",
        "point lt-1 back to ami-old",
        "wait undo web: *",
        knows=STOP,
    ),
    "somebody else moved the target: theirs stays": row(
        rolling(old("i-1"), old("i-2"), page=NOTHING, group={**FREE, "launches": (launches("ami-hot", "3"),)}),
        "note web",
        "halted: it had to",
        knows=STOP,
    ),
    "the roll had changed no target: none goes back": row(
        rolling(
            new("i-1"), old("i-2"), page={"pointed": (pointed(image_was=NEW, version_was="2"),), **NOTHING}, group=FREE
        ),
        "note web",
        "halted: it had to",
        knows=STOP,
    ),
    "two targets, one is back: only the other goes back once more": row(
        rolling(
            old("i-1"),
            old("i-2"),
            page={"pointed": (*RETURNING, pointed(Phase.RETURNING, name="lt-2")), **NOTHING},
            group={**FREE, "launches": (launches(OLD, "1"), launches(name="lt-2"))},
        ),
        "note web",
        "point lt-2 back to ami-old",
        "wait undo web: *",
        knows=STOP,
    ),
    "room was noted and never asked for: there is nothing to give back": row(
        rolling(
            old("i-1"),
            old("i-2"),
            page={"room": room(phase=Phase.ASKING), "rebalance": None, "pointed": ()},
            group={**FREE, **BACK},
        ),
        "note web",
        "halted: it had to",
        knows=STOP,
    ),
    "room was noted and never asked for, AZRebalance was suspended before: it is resumed": row(
        rolling(
            old("i-1"),
            old("i-2"),
            page={"room": room(phase=Phase.ASKING), "rebalance": Phase.ASKING, "pointed": ()},
            group={**FREE, **BACK, "suspended": frozenset({"AZRebalance"})},
        ),
        "note web",
        "resume web",
        knows=STOP,
    ),
    "the floor was to move and does not read so: once more, before anything else": row(
        rolling(
            old("i-1"), old("i-2"), new("i-3"), page={"room": room(phase=Phase.ASKING, lent=True)}, group={"min": 2}
        ),
        "size web 3..11 protected",
        "wait undo web: until MinSize reads 3",
        knows=STOP,
    ),
    "the floor will not move for three minutes: the rest goes on": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3"),
            page={"room": room(phase=Phase.ASKING, lent=True), "pointed": ()},
            group={"min": 2, **BACK},
        ),
        "note web",
        "size web 3..11 protected",
        "halted: it had to",
        knows=PATIENT_NO_MORE,
    ),
    "others scaled out meanwhile: the floor follows while the roll stops, too": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), new("i-4"), group={"desired": 4, "min": 3, **BACK}),
        "note web",
        "size web 4..11 protected",
        "halted: it had to",
        knows=STOP,
    ),
    "a host was to shrink the group: it serves again, and the floor goes up": row(
        rolling(
            old("i-1", draining=True),
            new("i-2"),
            new("i-3"),
            page={"room": room(floor=2, shrinking=("i-1",))},
            group={"min": 2},
        ),
        "note web",
        "size web 3..11 protected",
        "undrain i-1",
        "wait undo web: until 1 host(s) are ACTIVE again",
        knows=STOP,
    ),
    "a host has shrunk the group: it is paid, the rest goes back": row(
        rolling(
            new("i-2"),
            new("i-3"),
            page={"room": room(floor=2, shrinking=("i-1",)), "pointed": ()},
            group={"min": 2, "desired": 2, **BACK},
        ),
        "note web",
        "size web 1..10",
        "wait return web: until MinSize reads 1",
        knows=STOP,
    ),
    "the new host never came to serve and ECS never saw it: it goes, and the room with it": row(
        rolling(old("i-1"), old("i-2"), new("i-3", unregistered=True), page={"pointed": RETURNING}, group=BACK),
        "note web",
        "size web 2..11 protected",
        "shrink by i-3",
        "wait boot i-3: has not registered with ECS",
        "wait undo i-3: until it is gone: it never came to serve",
        knows=replace(STOP, **DUD),
    ),
    "the new host never had its agent: drained first, lest it comes": row(
        rolling(old("i-1"), old("i-2"), new("i-3", connected=False), page={"pointed": RETURNING}, group=BACK),
        "note web",
        "drain i-3",
        "wait boot i-3: *",
        "wait undo i-3: *",
        knows=replace(STOP, **DUD),
    ),
    "the drained dud is empty: it goes, and the room with it": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3", connected=False, draining=True),
            page={"pointed": RETURNING},
            group=BACK,
        ),
        "note web",
        "size web 2..11 protected",
        "shrink by i-3",
        "wait boot i-3: is DRAINING, agent not connected",
        "wait undo i-3: *",
        knows=replace(STOP, **DUD),
    ),
    "more duds than were lent: the others are replaced by what the group launches now": row(
        rolling(
            old("i-1"),
            new("i-2", unregistered=True),
            new("i-3", unregistered=True),
            page={"pointed": RETURNING},
            group=BACK,
        ),
        "note web",
        "size web 2..11 protected",
        "shrink by i-2",
        "replace i-3",
        "wait boot i-2: *",
        "wait boot i-3: *",
        "wait undo i-2: *",
        "wait undo i-3: *",
        knows=replace(STOP, waiting={"boot:i-2": ago(16), "boot:i-3": ago(16)}),
    ),
    "the termination of a dud was put off: it is made again": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3", unregistered=True),
            page={"pointed": (), "room": room(floor=2, shrinking=("i-3",))},
            group={"min": 2, **BACK},
        ),
        "*",
        "shrink by i-3",
        "wait boot i-3: *",
        "wait undo i-3: *",
        knows=replace(STOP, **DUD),
    ),
    "a new host that is booting for a minute is no dud": row(
        rolling(old("i-1"), old("i-2"), new("i-3", unregistered=True), page={"pointed": RETURNING}, group=BACK),
        "note web",
        "halted: it had to",
        knows=replace(STOP, waiting={"boot:i-3": ago(1)}),
    ),
    "a host of before the roll has lost its agent: it is no dud, its tasks may run": row(
        rolling(old("i-1"), old("i-2"), new("i-3", connected=False, launched_at=ago(days=9)), page={"pointed": ()}),
        "note web",
        "halted: it had to",
        knows=replace(STOP, **DUD),
    ),
    "a new host has lost its agent, and carries tasks: it is no dud": row(
        rolling(old("i-1"), old("i-2"), new("i-3", connected=False, tasks=1), page={"pointed": ()}),
        "note web",
        "halted: it had to",
        knows=replace(STOP, **DUD),
    ),
    "it was drained as a dud, and a task runs there: it serves again": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3", connected=False, draining=True),
            page={"pointed": ()},
            group=BACK,
            tasks=[task("t", "i-3")],
            services=[service()],
        ),
        "undrain i-3",
        "wait undo web: until 1 host(s) are ACTIVE again",
        knows=replace(STOP, **DUD),
    ),
    "a dud does not go for three minutes: that is owed": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3", connected=False, draining=True),
            page={"pointed": (), "room": room(floor=2, shrinking=("i-3",))},
            group={"min": 2, **BACK},
        ),
        "*",
        "shrink by i-3",
        "halted: it had to",
        knows=replace(PATIENT_NO_MORE, **DUD),
    ),
    "nothing is lent any more: the bounds go back": row(
        rolling(new("i-1"), old("i-2"), page={"room": LEFT, "pointed": ()}, group={**BACK, "desired": 2, "min": 2}),
        "note web",
        "size web 1..10",
        "wait return web: until MinSize reads 1",
        knows=STOP,
    ),
    "the bounds will not go back for three minutes: that is owed": row(
        rolling(new("i-1"), old("i-2"), page={"room": LEFT, "pointed": ()}, group={**BACK, "desired": 2, "min": 2}),
        "note web",
        "size web 1..10",
        "halted: it had to",
        knows=PATIENT_NO_MORE,
    ),
    "the bounds are back: AZRebalance is resumed": row(
        rolling(
            new("i-1"),
            old("i-2"),
            page={"room": room(0, phase=Phase.RETURNING, ceiling=11), "pointed": ()},
            group={**FREE, **BACK, "suspended": frozenset({"AZRebalance"})},
        ),
        "note web",
        "resume web",
        knows=STOP,
    ),
    "the bounds are back, a host that was born protected still launches: it can not be unprotected yet": row(
        rolling(
            new("i-1"),
            new("i-2", lifecycle="Pending", protected=True),
            page={"room": room(0, phase=Phase.RETURNING, ceiling=11), "pointed": (), "pointed_at": None},
            group={**FREE, **BACK},
        ),
        "wait return web: until no new host is protected any more",
        knows=STOP,
    ),
    "all is given back: nothing is owed": row(
        rolling(
            new("i-1"),
            old("i-2"),
            page={"room": room(0, phase=Phase.RETURNING, ceiling=11), "rebalance": Phase.RETURNING, "pointed": ()},
            group={**FREE, **BACK},
        ),
        "note web",
        "halted: it had to",
        knows=STOP,
    ),
}


@pytest.mark.parametrize("row", table(HALTING))
def test_stopping(row: Row) -> None:
    assert outcome(row) == row.told


def test_a_halt_says_what_was_done_what_is_left_and_what_is_owed() -> None:
    snapshot = rolling(
        old("i-1"), new("i-2"), new("i-3"), page={"pointed": (), "old": 3}, group=BACK, roll=roll(replaced=4)
    )
    assert decide(snapshot, STOP, ROLL)[0].verdict == Verdict(
        result="halted",
        reason="it had to",
        next="ecsroll replace --cluster prod (goes on where this stopped)",
        replaced=6,
        remaining=1,
        owed=(
            Owed(
                group=WEB,
                what="1 borrowed host(s), MinSize 3 (was 1), MaxSize 11 (was 10)",
                how="run the same replace again",
            ),
            Owed(group=WEB, what="AZRebalance is suspended", how="run the same replace again"),
        ),
    )


def test_a_rerun_after_a_stop_knows_the_old_bounds_again() -> None:
    snapshot = rolling(
        old("i-1", draining=True),
        new("i-2"),
        new("i-3"),
        page={"room": room(floor=2, shrinking=("i-1",))},
        group={"min": 2},
    )
    assert noted(decide(snapshot, STOP, ROLL)[0]).room == room(phase=Phase.ASKING, lent=True)


def test_while_the_termination_of_a_dud_does_not_show_the_floor_stays_down() -> None:
    snapshot = rolling(
        old("i-1"),
        old("i-2"),
        new("i-3", unregistered=True),
        page={"pointed": (), "room": room(floor=2, shrinking=("i-3",), phase=Phase.ASKING, lent=True)},
        group={"min": 2, **BACK},
    )
    decision, _ = decide(snapshot, replace(STOP, **DUD, expected={"gone:i-3": ago(0.2)}), ROLL)
    assert not any(line.startswith("size web 3") for line in say(decision))


def test_a_dud_that_is_drained_stays_drained_round_after_round() -> None:
    snapshot = rolling(
        old("i-1"),
        old("i-2"),
        new("i-3", connected=False, draining=True),
        page={"pointed": (), "pointed_at": None},
        group=BACK,
        tasks=[stopping("t", "i-3")],
        services=[service()],
    )
    _, knows = decide(snapshot, replace(STOP, **DUD), ROLL)
    decision, _ = decide(snapshot, knows, ROLL)
    assert "undrain i-3" not in say(decision)


def test_a_dud_that_is_noted_as_shrinking_never_makes_the_floor_rise() -> None:
    snapshot = rolling(
        old("i-1"),
        old("i-2"),
        new("i-3", unregistered=True),
        page={"pointed": (), "room": room(floor=2, shrinking=("i-3",))},
        group={"min": 2, **BACK},
    )
    assert not any(line.startswith("size web 3") for line in say(decide(snapshot, replace(STOP, **DUD), ROLL)[0]))
