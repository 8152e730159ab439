"""The group: room, floor, zones, what it launches, and giving back. A row's name is what an operator would say."""

from dataclasses import replace

import pytest

from ecsroll import asg
from ecsroll.ledger import Phase, Place, Pointed, Room
from ecsroll.model import Activity, Amount, Group, Host, Launches, Policy, SetSize
from tests.builders import (
    NEW,
    OLD,
    ROLL,
    WEB,
    Facts,
    Row,
    ago,
    group,
    host,
    launches,
    lent,
    new,
    old,
    outcome,
    page,
    pointed,
    rolling,
    room,
    row,
    seen,
    table,
)

# How much room

SURGES: dict[str, tuple[Group, int, Policy, int]] = {
    "one, as long as nothing else is said": (group(4), 4, ROLL, 1),
    "a third of four: rounded up to two": (group(4), 4, replace(ROLL, surge=Amount(33, percent=True)), 2),
    "never more than there are to replace": (group(9), 2, replace(ROLL, surge=Amount(5)), 2),
    "double: as many as there are to replace, not as the group has": (group(9), 4, replace(ROLL, strategy="double"), 4),
    "MaxSize has to stay: what it leaves": (
        group(8),
        8,
        replace(ROLL, surge=Amount(5), keep_max_size=True),
        2,
    ),
    "MaxSize has to stay and leaves less than nothing: none": (
        group(8, max=7),
        8,
        replace(ROLL, keep_max_size=True),
        0,
    ),
}


@pytest.mark.parametrize(("wants", "outdated", "policy", "expected"), SURGES.values(), ids=SURGES)
def test_surge(wants: Group, outdated: int, policy: Policy, expected: int) -> None:
    assert asg.surge_for(wants, outdated, policy) == expected


def test_room_is_made_wider_by_a_larger_surge_only() -> None:
    lent_to_ten, held = group(11, min=11, max=11), room(1, 10)

    def borrowed(old: int = 9, held: Room = held, **wanted: object) -> int:
        wider = asg.wider(lent_to_ten, held, old, replace(ROLL, **wanted))  # type: ignore[arg-type]
        return wider.borrowed if wider else 0

    wider = asg.wider(lent_to_ten, held, 9, replace(ROLL, surge=Amount(3)))
    assert wider == room(3, 10, Phase.ASKING, lent=True)
    assert borrowed(surge=Amount(30, percent=True)) == 3  # of what the group wants by itself
    assert borrowed(surge=Amount(3), old=2) == 2
    assert borrowed() == borrowed(surge=Amount(0)) == borrowed(surge=Amount(3), old=1) == 0
    assert borrowed(strategy="double") == 0  # asked for all of them to begin with
    assert borrowed(surge=Amount(3), held=replace(held, shrinking=("i-1",))) == 0
    assert borrowed(surge=Amount(3), keep_max_size=True) == 0
    roomy = replace(held, ceiling=13)
    assert borrowed(surge=Amount(5), keep_max_size=True, held=roomy) == 3


def test_room_is_noted_with_what_it_was_before() -> None:
    asked = asg.ask_room(group(4, min=2, max=6, protects_new=True), 3, ROLL)
    assert asked == room(3, 4, Phase.ASKING, ceiling=9, min_was=2, max_was=6, protects_was=True)
    assert asg.bounds(asked, group(4), "why") == SetSize(group=WEB, min=7, max=9, protects_new=True, why="why")


def test_the_ceiling_is_never_under_the_floor() -> None:
    assert asg.ask_room(group(9, max=4), 1, ROLL).ceiling == 10


def test_a_max_size_that_has_to_stay_is_the_ceiling() -> None:
    assert asg.ask_room(group(4), 3, replace(ROLL, keep_max_size=True)).ceiling == 10


ASKING = room(phase=Phase.ASKING)

LANDED: dict[str, tuple[Group, Room, bool]] = {
    "asked for, both bounds read as asked: it landed": (group(2, min=3, max=11), ASKING, True),
    "asked for, MinSize reads otherwise: not landed": (group(2, min=2, max=11), ASKING, False),
    "asked for, MaxSize reads otherwise: not landed": (group(2, min=3, max=10), ASKING, False),
    "held: it has landed, whatever others have made of it since": (group(2), room(), True),
    "returning: the bounds tell nothing any more": (group(2), room(phase=Phase.RETURNING), True),
}


@pytest.mark.parametrize(("reads", "entry", "expected"), LANDED.values(), ids=LANDED)
def test_landed(reads: Group, entry: Room, *, expected: bool) -> None:
    assert asg.landed(reads, entry) is expected


NATURAL: dict[str, tuple[Group, Room | None, int]] = {
    "nothing is lent: what it wants": (group(4), None, 4),
    "asked for and not there: what it wants": (group(4), room(2, 4, Phase.ASKING), 4),
    "asked for again, after it was there: less what is lent": (lent(6, min=1), room(2, 4, Phase.ASKING, lent=True), 4),
    "two are lent: two less": (lent(6), room(2, 4), 4),
    "somebody scaled out by one: one more": (lent(7), room(2, 4), 5),
    "somebody took one of the lent ones back": (lent(5), room(2, 4), 4),
    "somebody took both lent ones and one more": (lent(3), room(2, 4), 3),
    "two are lent, one is noted to shrink the group and has not": (lent(6), room(2, 4, floor=5), 4),
}


@pytest.mark.parametrize(("reads", "entry", "expected"), NATURAL.values(), ids=NATURAL)
def test_natural(reads: Group, entry: Room | None, expected: int) -> None:
    assert asg.natural(reads, entry) == expected


FOLLOWS: dict[str, tuple[Group, Room, Room | None]] = {
    "nothing has moved": (lent(3), room(), None),
    "others scaled out: the floor goes up with it, scale-in takes nothing": (
        lent(5, min=3),
        room(),
        room(phase=Phase.ASKING, lent=True, floor=5),
    ),
    "others scaled out past the ceiling: it goes up too": (
        lent(12, min=3, max=11),
        room(),
        room(phase=Phase.ASKING, lent=True, floor=12, ceiling=12),
    ),
    "others set MinSize: theirs is given back": (
        lent(3, min=2),
        room(),
        room(phase=Phase.ASKING, lent=True, min_was=2),
    ),
    "others set MaxSize: theirs is given back, with room above it": (
        lent(3, max=6),
        room(),
        room(phase=Phase.ASKING, lent=True, max_was=6, ceiling=7),
    ),
    "others set a MaxSize that cuts into the lent hosts: the ceiling holds them": (
        lent(3, max=1),
        room(),
        room(phase=Phase.ASKING, lent=True, max_was=1, ceiling=3),
    ),
    "terraform apply set all three back: the room is asked for again": (
        group(2),
        room(),
        room(phase=Phase.ASKING, lent=True, min_was=1, max_was=10, ceiling=11),
    ),
    "one is to shrink the group: the floor has made way for it": (
        lent(3, min=2),
        room(floor=2, shrinking=("i-1",)),
        None,
    ),
}


@pytest.mark.parametrize(("reads", "entry", "expected"), FOLLOWS.values(), ids=FOLLOWS)
def test_the_floor_follows(reads: Group, entry: Room, expected: Room | None) -> None:
    assert asg.follow(reads, entry) == expected


GOING = room(2, 4, floor=4, shrinking=("i-1", "i-2"))

SETTLES: dict[str, tuple[Group, frozenset[str], int, tuple[str, ...], bool]] = {
    "both are still there: nothing is paid": (lent(6), frozenset({"i-1", "i-2"}), 2, ("i-1", "i-2"), False),
    "both have gone, the group wants two less: both are paid": (lent(4), frozenset(), 0, (), False),
    "one has gone, the group wants one less: one is paid": (lent(5), frozenset({"i-2"}), 1, ("i-2",), False),
    "one died by itself, the group wants as many as before: not paid": (lent(6), frozenset({"i-2"}), 2, ("i-2",), True),
    "both have gone, somebody scaled out by two: the activities tell that both paid": (
        lent(6, shrunk=frozenset({"i-1", "i-2"})),
        frozenset(),
        0,
        (),
        True,
    ),
    "both have gone, and only one is on record as having shrunk the group": (
        lent(5, shrunk=frozenset({"i-1"})),
        frozenset(),
        1,
        (),
        True,
    ),
    "the group wants even less: paid": (lent(3), frozenset({"i-2"}), 1, ("i-2",), False),
}


@pytest.mark.parametrize(("reads", "live", "borrowed", "still", "doubt"), SETTLES.values(), ids=SETTLES)
def test_settling(reads: Group, live: frozenset[str], borrowed: int, still: tuple[str, ...], *, doubt: bool) -> None:
    assert asg.settle(reads, GOING, live) == replace(GOING, borrowed=borrowed, shrinking=still)
    assert asg.in_doubt(reads, GOING, live) is doubt


def test_nothing_is_in_doubt_while_nothing_is_lent() -> None:
    assert not asg.in_doubt(group(2), None, frozenset())
    assert not asg.in_doubt(lent(9), room(), frozenset())


def test_more_is_never_paid_than_was_lent() -> None:
    assert asg.settle(lent(1), room(0, 2, floor=1, shrinking=("i-1",)), frozenset()).borrowed == 0


def test_max_size_is_never_given_back_under_what_the_group_has_come_to_want() -> None:
    back = asg.returned(group(12, max=13), room(0))
    assert (back.min, back.max, back.protects_new) == (1, 12, False)
    assert asg.returned(group(2), room(0, protects_was=True)).max == 10
    assert asg.returned(group(2), room(0, protects_was=True)).protects_new


def test_debt_is_what_the_group_has_above_what_it_wants() -> None:
    assert (asg.debt(group(2), 3), asg.debt(group(3), 3), asg.debt(group(4), 3)) == (1, 0, -1)


# Zones

ZONES: dict[str, tuple[str, tuple[str, ...], int]] = {
    "no hosts, no zones": ("", (), 0),
    "one in each": ("ab", ("a", "b"), 0),
    "two and one": ("aab", ("a", "b"), 1),
    "two, and none where one could be": ("aa", ("a", "b"), 2),
    "a zone that the group no longer names counts while hosts are there": ("aac", ("a",), 1),
}


@pytest.mark.parametrize(("there", "zones", "expected"), ZONES.values(), ids=ZONES)
def test_uneven(there: str, zones: tuple[str, ...], expected: int) -> None:
    assert asg.uneven([old(f"i-{n}", zone=zone) for n, zone in enumerate(there)], zones) == expected


def test_of_zones_that_serve_alike_the_one_with_the_most_old_hosts_is_first() -> None:
    hosts = [old("i-1", zone="b"), old("i-2"), old("i-3"), new("i-4", zone="b")]
    ranked = sorted(asg.zone_order(hosts[:3], hosts[:3], hosts), key=lambda pair: (pair[0], pair[1].id))
    assert [one.id for _, one in ranked] == ["i-2", "i-3", "i-1"]
    assert asg.in_zone(hosts) == {"a": 2, "b": 2}


def test_room_that_was_noted_and_never_asked_for() -> None:
    assert asg.unasked(group(4), room(phase=Phase.ASKING))
    assert not asg.unasked(group(4), room(phase=Phase.ASKING, lent=True)), "set back by others: still lent"
    assert not asg.unasked(group(4, min=2), room(phase=Phase.ASKING)), "others moved it: asked for, or not"
    assert not asg.unasked(group(4, protects_new=True), room(phase=Phase.ASKING)), "it landed, and the bounds went back"


# What it launches

ENTRIES: dict[str, tuple[Launches, str | None, Pointed]] = {
    "another image: to be asked for, the version is not known yet": (
        launches(OLD, "1"),
        NEW,
        pointed(Phase.ASKING, version=None),
    ),
    "the image already: held at once": (
        launches(NEW, "2"),
        NEW,
        pointed(Phase.HELD, image_was=NEW, version_was="2"),
    ),
    "no image was chosen (--ami keep): held as it is": (
        launches(OLD, "1"),
        None,
        pointed(Phase.HELD, image=OLD, version="1"),
    ),
    "nothing is known of what it launches: held as nothing": (
        launches("", None),
        None,
        pointed(Phase.HELD, image_was="", image="", version_was=None, version=None),
    ),
    "AWS's parameter: held as what it says, whatever was chosen": (
        launches(OLD, "1", place=Place.PUBLIC, parameter="/aws/x"),
        NEW,
        pointed(Phase.HELD, place=Place.PUBLIC, image=OLD, version="1"),
    ),
    "a parameter of ours: to be asked for, under the parameter's name; the version stays": (
        launches(OLD, "1", place=Place.PARAMETER, parameter="/ecsroll/web"),
        NEW,
        pointed(Phase.ASKING, place=Place.PARAMETER, name="/ecsroll/web", version="1"),
    ),
    "a launch configuration: a copy, under a name that a rerun finds": (
        launches(OLD, None, place=Place.CONFIGURATION, name="lc", spec=""),
        NEW,
        pointed(
            Phase.ASKING,
            place=Place.CONFIGURATION,
            name="lc",
            spec="",
            version_was=None,
            version="lc.ecsroll-3-ami-new",
        ),
    ),
    "a launch configuration that an earlier roll copied: no chain of names": (
        launches(OLD, None, place=Place.CONFIGURATION, name="lc.ecsroll-2-ami-old", spec=""),
        NEW,
        pointed(
            Phase.ASKING,
            place=Place.CONFIGURATION,
            name="lc.ecsroll-2-ami-old",
            spec="",
            version_was=None,
            version="lc.ecsroll-3-ami-new",
        ),
    ),
    "a launch configuration with the image already: stays": (
        launches(NEW, None, place=Place.CONFIGURATION, name="lc", spec=""),
        NEW,
        pointed(
            Phase.HELD, place=Place.CONFIGURATION, name="lc", spec="", image_was=NEW, version_was=None, version=None
        ),
    ),
}


@pytest.mark.parametrize(("one", "image", "expected"), ENTRIES.values(), ids=ENTRIES)
def test_what_is_noted_of_a_launch_target(one: Launches, image: str | None, expected: Pointed) -> None:
    entry = asg.entry_for(one, image, 3)
    assert entry == expected
    assert asg.entry_of((pointed(name="lt-9", version="9"), entry), one) == entry
    assert asg.launches_of(group(launches=(launches(name="lt-9"), one)), entry) == one


COPY = pointed(place=Place.CONFIGURATION, name="lc", spec="", version_was=None, version="lc-copy")
BY_COPY = group(launches=(launches(version=None, place=Place.CONFIGURATION, name="lc-copy", spec=""),))
BY_PARAMETER = group(launches=(launches(NEW, "1", place=Place.PARAMETER, parameter="/p"),))
BY_AWS = group(launches=(launches("ami-aws", "1", place=Place.PUBLIC, parameter="/aws/x"),))
SAYS_AWS = pointed(place=Place.PUBLIC, image_was=OLD, image=OLD, version="1")

OUTDATED: dict[str, tuple[Host, Group, tuple[Pointed, ...], bool]] = {
    "image and version of the target": (new("i-1"), group(), (pointed(),), False),
    "another image": (old("i-1"), group(), (pointed(),), True),
    "the image, of an earlier version: user data may have changed": (
        new("i-1", version="1"),
        group(),
        (pointed(),),
        True,
    ),
    "the image, and the target's version is not known yet": (
        new("i-1", version="1"),
        group(),
        (pointed(Phase.ASKING, version=None),),
        False,
    ),
    "the image, and its own version is not known": (new("i-1", version=None), group(), (pointed(),), False),
    "the image, of a template that the group does not name any more": (
        new("i-1", template="lt-0"),
        group(),
        (pointed(),),
        True,
    ),
    "the image, and no template is known of it (attached by hand)": (
        new("i-1", template=None, version=None),
        group(),
        (pointed(),),
        False,
    ),
    "just launched, nothing is known of it": (
        new("i-1", image=None, template=None, version=None),
        group(),
        (pointed(),),
        False,
    ),
    "its image is not known yet, its version is another": (
        new("i-1", image=None, version="1"),
        group(),
        (pointed(),),
        True,
    ),
    "of a template that the group overrides with: judged by that one": (
        new("i-1", template="lt-arm", image="ami-arm", version="7"),
        group(launches=(launches(), launches("ami-arm", "7", name="lt-arm"))),
        (pointed(), pointed(name="lt-arm", image="ami-arm", version="7")),
        False,
    ),
    "the group launches nothing that can be read": (old("i-1"), group(launches=()), (pointed(),), False),
    "nothing is noted of what it launches": (old("i-1"), group(), (), False),
    "of the copied launch configuration": (
        new("i-1", template=None, version=None, configuration="lc-copy"),
        BY_COPY,
        (COPY,),
        False,
    ),
    "the image, of the launch configuration that was copied": (
        new("i-1", template=None, version=None, configuration="lc"),
        BY_COPY,
        (COPY,),
        True,
    ),
    "the image, and its launch configuration is not known": (
        new("i-1", template=None, version=None),
        BY_COPY,
        (COPY,),
        False,
    ),
    "of the launch configuration that stays": (
        new("i-1", template=None, version=None, configuration="lc"),
        group(launches=(launches(version=None, place=Place.CONFIGURATION, name="lc", spec=""),)),
        (replace(COPY, version=None),),
        False,
    ),
    "a parameter: the image decides, both have the same version": (
        old("i-1"),
        BY_PARAMETER,
        (pointed(place=Place.PARAMETER, name="/p", version="1"),),
        True,
    ),
    "a parameter: the image it has come to say": (
        new("i-1", version="1"),
        BY_PARAMETER,
        (pointed(place=Place.PARAMETER, name="/p", version="1"),),
        False,
    ),
    "AWS's parameter has moved on during the roll: what it said then is fine": (
        old("i-1"),
        BY_AWS,
        (SAYS_AWS,),
        False,
    ),
    "AWS's parameter has moved on during the roll: what it says now is fine too": (
        host("i-1", image="ami-aws"),
        BY_AWS,
        (SAYS_AWS,),
        False,
    ),
    "AWS's parameter never said that": (new("i-1", version="1"), BY_AWS, (SAYS_AWS,), True),
}


@pytest.mark.parametrize(("one", "reads", "noted_down", "expected"), OUTDATED.values(), ids=OUTDATED)
def test_outdated(one: Host, reads: Group, noted_down: tuple[Pointed, ...], *, expected: bool) -> None:
    assert asg.outdated(one, reads, noted_down) is expected


def test_a_target_has_arrived_when_a_reading_shows_its_image() -> None:
    assert asg.arrived(launches(), pointed())
    assert not asg.arrived(launches(OLD), pointed())
    assert not asg.arrived(None, pointed())


# What is owed

OWED: dict[str, tuple[Facts, list[str]]] = {
    "nothing is lent": ({}, []),
    "room": ({"room": room(2, 4)}, ["2 borrowed host(s), MinSize 6 (was 1), MaxSize 12 (was 10)"]),
    "a suspended process": ({"rebalance": Phase.HELD}, ["AZRebalance is suspended"]),
    "a target that did not go back": (
        {"pointed": (pointed(Phase.RETURNING),)},
        ["launches ami-new instead of ami-old"],
    ),
    "all three": (
        {"room": room(), "rebalance": Phase.ASKING, "pointed": (pointed(Phase.RETURNING), pointed())},
        [
            "1 borrowed host(s), MinSize 3 (was 1), MaxSize 11 (was 10)",
            "AZRebalance is suspended",
            "launches ami-new instead of ami-old",
        ],
    ),
}


@pytest.mark.parametrize(("facts", "expected"), OWED.values(), ids=OWED)
def test_owed(facts: Facts, expected: list[str]) -> None:
    debts = asg.owed(page(**facts))
    assert [debt.what for debt in debts] == expected
    assert all(debt.group == WEB and debt.how for debt in debts)


# Room, round by round

ROOM = {
    "the target is set: make room before taking anything away": row(
        seen(old("i-1"), old("i-2"), pages=page()),
        "note web",
        "suspend web",
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
    ),
    "nothing is to be lent: the floor alone is set, so that scale-in takes nothing": row(
        seen(old("i-1"), old("i-2"), pages=page()),
        "note web",
        "suspend web",
        "size web 2..10 protected",
        "wait room web: until MinSize reads 2",
        policy=replace(ROLL, surge=Amount(0), unavailable=Amount(1)),
    ),
    "no old host: no room is asked for, the group is finished": row(
        seen(new("i-1"), new("i-2"), pages=page()),
        "roll 1 of web, finished: web",
        "forget web",
    ),
    "a group that never needed a page is finished without one": row(
        seen(new("i-1"), new("i-2")),
        "roll 1 of web, finished: web",
    ),
    "somebody else had suspended AZRebalance: it is not ours to suspend": row(
        seen(old("i-1"), groups=group(1, suspended=frozenset({"AZRebalance"})), pages=page()),
        "note web",
        "size web 2..11 protected",
        "wait room web: until MinSize reads 2",
    ),
    "the room was asked for and does not read back: ask again, drain nothing": row(
        rolling(
            old("i-1"),
            old("i-2"),
            group={"desired": 2, "min": 1, "max": 10, "protects_new": False},
            page={"room": room(phase=Phase.ASKING), "rebalance": Phase.ASKING},
        ),
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
    ),
    "the floor was to move and does not read so: ask again, drain nothing": row(
        rolling(
            old("i-1"), old("i-2"), new("i-3"), group={"min": 2}, page={"room": room(phase=Phase.ASKING, lent=True)}
        ),
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
    ),
    "killed before the room was asked for, and others scaled out since: ask for what is wanted now": row(
        rolling(
            *(old(f"i-{n}") for n in range(5)),
            group={"desired": 5, "min": 1, "max": 10, "protects_new": False},
            page={"room": room(phase=Phase.ASKING), "rebalance": Phase.ASKING},
        ),
        "note web",
        "size web 6..11 protected",
        "wait room web: until MinSize reads 6",
    ),
    "the room reads back: held from now on, and the launch is waited for": row(
        rolling(old("i-1"), old("i-2"), page={"room": room(phase=Phase.ASKING), "rebalance": Phase.ASKING}),
        "note web",
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
        "wait launch web: 3 wanted, 2 there",
    ),
    "AZRebalance does not read as suspended yet: ask again": row(
        rolling(old("i-1"), old("i-2"), group={"suspended": frozenset()}, page={"rebalance": Phase.ASKING}),
        "suspend web",
        "wait successor web: *",
        "wait launch web: *",
    ),
    "someone scaled the group out meanwhile: leave that alone, the floor follows": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), new("i-4", booting=True), group={"desired": 4, "min": 3}),
        "note web",
        "size web 4..11 protected",
        "drain i-1",
        "wait boot i-4: is Pending",
    ),
    "someone set another MinSize: theirs is given back one day, ours holds for now": row(
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True), group={"min": 2}),
        "note web",
        "size web 3..11 protected",
        "wait successor web: *",
        "wait boot i-3: *",
    ),
    "the launch failed: say so, with the reason": row(
        rolling(
            old("i-1"),
            old("i-2"),
            group={"failures": (Activity(status="Failed", cause="", message="no capacity", at=ago(1)),)},
        ),
        "wait successor web: *",
        "wait launch web: 3 wanted, 2 there; last launch failed: no capacity",
    ),
}


@pytest.mark.parametrize("row", table(ROOM))
def test_room(row: Row) -> None:
    assert outcome(row) == row.told
