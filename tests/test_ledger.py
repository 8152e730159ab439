"""The ledger: what is written down comes back as it was, and what was borrowed is given back in the right order."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsroll.decide import decide
from ecsroll.errors import EcsrollError
from ecsroll.ledger import (
    JUST_NOW,
    LIMIT,
    Baseline,
    Ledger,
    Phase,
    Place,
    Pointed,
    Roll,
    Room,
    ledger_from,
    roll_from,
    slug,
    text_of,
)
from ecsroll.model import CapacityProvider, OpenRoll
from tests.builders import (
    BEGAN,
    OLD,
    ROLL,
    WEB,
    Facts,
    Row,
    ago,
    foreign,
    group,
    memory,
    new,
    noted,
    old,
    outcome,
    page,
    pointed,
    roll,
    rolling,
    room,
    row,
    seen,
    service,
    table,
    task,
)

_text = st.text(max_size=12)
_times = st.datetimes(timezones=st.just(UTC))
_counts = st.integers(0, 5000)
_names = st.lists(_text, max_size=3).map(tuple)
_pointed = st.builds(
    Pointed,
    phase=st.sampled_from(Phase),
    place=st.sampled_from(Place),
    name=_text,
    spec=_text,
    image_was=_text,
    image=_text,
    version_was=st.none() | _text,
    version=st.none() | _text,
)
_rooms = st.builds(
    Room,
    phase=st.sampled_from(Phase),
    borrowed=_counts,
    floor=_counts,
    ceiling=_counts,
    min_was=_counts,
    max_was=_counts,
    protects_was=st.booleans(),
    lent=st.booleans(),
    shrinking=_names,
)
_ledgers = st.builds(
    Ledger,
    group=_text,
    epoch=_counts,
    began=_times,
    newest=_times | st.just(JUST_NOW),
    ready=_counts,
    old=_counts,
    uneven=_counts,
    pointed=st.lists(_pointed, max_size=2).map(tuple),
    pointed_at=st.none() | _times,
    room=st.none() | _rooms,
    rebalance=st.none() | st.sampled_from(Phase),
    canaries=_names,
    canary_passed=st.booleans(),
    canary_tries=_counts,
    bake_since=st.none() | _times,
    skipped=_names,
)
_rolls = st.builds(
    Roll,
    epoch=_counts,
    began=_times,
    groups=_names,
    images=st.dictionaries(_text, _text, max_size=3),
    policy=st.dictionaries(_text, _text, max_size=3),
    finished=_names,
    replaced=_counts,
    result=st.sampled_from(["", "done", "halted"]),
    before=st.builds(
        Baseline,
        alarms=_names,
        crashes=st.dictionaries(_text, _counts, max_size=2),
        short=st.dictionaries(_text, _counts, max_size=2),
    ),
    was=st.dictionaries(_text, _text, max_size=2),
    by=_text,
)


@given(_ledgers)
@settings(max_examples=60)
def test_a_page_comes_back_as_it_was_written(written: Ledger) -> None:
    assert ledger_from(text_of(written)) == written


@given(_rolls)
@settings(max_examples=60)
def test_a_roll_comes_back_as_it_was_written(written: Roll) -> None:
    assert roll_from(text_of(written)) == written


def test_a_page_is_json_that_a_person_can_read() -> None:
    said = json.loads(text_of(page(room=room(), rebalance=Phase.HELD)))
    assert said["ecsroll"] == 1
    assert said["began"] == "2026-11-22T02:50:00+00:00"
    assert said["room"]["phase"] == "held"
    assert said["pointed"][0]["place"] == "template"
    assert said["rebalance"] == "held"


# Size


def test_a_page_with_fifty_hosts_that_shrink_the_group_fits() -> None:
    shrinking = tuple(f"i-{n:017x}" for n in range(50))
    crowded = page(
        "x" * 255,
        pointed=(pointed(name="lt-0123456789abcdef0"),) * 3,
        room=room(5000, shrinking=shrinking),
        rebalance=Phase.ASKING,
        canaries=("i-0123456789abcdef0",) * 5,
    )
    assert len(text_of(crowded)) < LIMIT


def test_a_page_that_does_not_fit_is_refused_with_the_way_out() -> None:
    with pytest.raises(EcsrollError, match=r"the record of 1 takes \d+ characters, a parameter holds 4096") as caught:
        text_of(roll(*(f"group-{n}" for n in range(500))))
    assert "--asg" in caught.value.hint


def test_the_limit_is_a_parameters() -> None:
    empty = len(text_of(roll(by="")))
    assert len(text_of(roll(by="x" * (4096 - empty)))) == 4096
    with pytest.raises(EcsrollError):
        text_of(roll(by="x" * (4097 - empty)))


# What is not ours to read

LEDGER, RECORD = json.loads(text_of(page(room=room()))), json.loads(text_of(roll()))

UNREADABLE = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[1]",
    "a number": "1",
    "of nobody": "{}",
    "of another version": '{"ecsroll": 2}',
    "of ours, and empty": '{"ecsroll": 1}',
    "with a date that is none": json.dumps({**LEDGER, **RECORD, "began": "yesterday"}),
    "with a date that is a number": json.dumps({**LEDGER, **RECORD, "began": 7}),
    "with a list that is a number": json.dumps({**LEDGER, **RECORD, "canaries": 7, "groups": 7}),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_record_that_can_not_be_read_is_said_to_be_so(text: str) -> None:
    for read in (ledger_from, roll_from):
        with pytest.raises(EcsrollError, match="a record under /ecsroll/ can not be read") as caught:
            read(text)
        assert "another version" in caught.value.hint


@pytest.mark.parametrize("missing", ["group", "epoch", "began", "room", "pointed", "canaries"])
def test_a_page_that_lacks_a_member_is_not_guessed_at(missing: str) -> None:
    with pytest.raises(EcsrollError):
        ledger_from(json.dumps({name: value for name, value in LEDGER.items() if name != missing}))


@pytest.mark.parametrize(
    "entry",
    [
        {"phase": "lending"},
        {"phase": "held", "colour": "green"},
    ],
    ids=["a phase that is none", "a member that nobody knows"],
)
def test_a_room_that_is_none_is_not_guessed_at(entry: dict[str, str]) -> None:
    with pytest.raises(EcsrollError):
        ledger_from(json.dumps({**LEDGER, "room": {**LEDGER["room"], **entry}}))


def test_a_long_text_is_quoted_in_short() -> None:
    with pytest.raises(EcsrollError) as caught:
        roll_from("x" * 5000)
    assert len(str(caught.value)) < 150


def test_a_roll_with_a_member_that_nobody_knows_is_of_another_version() -> None:
    with pytest.raises(EcsrollError):
        roll_from(json.dumps({**RECORD, "lease": "x"}))


# Names

SLUGS = {
    "a plain name stays": ("web-asg_1.x", "web-asg_1.x"),
    "a name with a slash gets a digest": ("web/asg", "web-asg.*"),
    "a name with blanks and letters of elsewhere gets one too": ("Büro Köln", "B-ro-K-ln.*"),
    "an empty name gets one too": ("", ".*"),
}


@pytest.mark.parametrize(("name", "expected"), SLUGS.values(), ids=SLUGS)
def test_slug(name: str, expected: str) -> None:
    assert re.fullmatch(expected.replace("*", "[0-9a-f]{10}"), slug(name)) if "*" in expected else slug(name) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/b", "a b"), ("a/b", "a-b"), ("ü" * 300, "ö" * 300), ("x" * 201, "x" * 202)],
)
def test_two_groups_never_share_a_page(one: str, other: str) -> None:
    assert slug(one) != slug(other)


@given(st.text(max_size=255))
@settings(max_examples=60)
def test_a_slug_is_the_last_part_of_a_parameters_name(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", slug(name))
    assert slug(name) == slug(name)


# Whether a target changes anything

CHANGES: dict[str, tuple[Pointed, bool]] = {
    "another image": (pointed(), True),
    "the image that it was": (pointed(image="ami-old", version="1"), False),
    "the image that it was, in a new version": (pointed(image="ami-old", version="2"), True),
    "the image that it was, the version is not known": (pointed(image="ami-old", version=None), False),
}


@pytest.mark.parametrize(("entry", "expected"), CHANGES.values(), ids=CHANGES)
def test_changes(entry: Pointed, *, expected: bool) -> None:
    assert entry.changes is expected


def test_times_keep_their_zone() -> None:
    written = page(pointed_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    assert ledger_from(text_of(written)).pointed_at == written.pointed_at
    assert ledger_from(text_of(replace(written, pointed_at=None))).pointed_at is None
    assert ledger_from(text_of(written)).began == BEGAN


# Giving back, and the surplus that goes before

# What a group has that wants 2 hosts again, and whose bounds are back.
FREE: Facts = {"min": 1, "max": 10, "protects_new": False, "suspended": frozenset(), "desired": 2}
LEFT = room(0, ceiling=11)
GONE_OLD: Facts = {"room": LEFT, "rebalance": Phase.HELD}
ALL_BACK: Facts = {"room": room(0, phase=Phase.RETURNING, ceiling=11), "rebalance": Phase.HELD}

GIVING = {
    "every old host is gone, nothing is lent: the bounds first": row(
        rolling(new("i-1"), new("i-2"), page=GONE_OLD, group={"desired": 2, "min": 2}),
        "note web",
        "size web 1..10",
        "wait return web: until MinSize reads 1",
    ),
    "the bounds do not read back: once more": row(
        rolling(new("i-1"), new("i-2"), page=ALL_BACK, group={"desired": 2, "min": 2}),
        "size web 1..10",
        "wait return web: *",
    ),
    "only the protection at birth does not read back: once more": row(
        rolling(new("i-1"), new("i-2"), page=ALL_BACK, group={"desired": 2, "min": 1, "max": 10}),
        "size web 1..10",
        "wait return web: *",
    ),
    "others scaled out over the old MaxSize: it is not cut": row(
        rolling(
            *(new(f"i-{n}") for n in range(11)),
            page={"room": room(0, floor=11, ceiling=11)},
            group={"desired": 11, "min": 11, "max": 11},
        ),
        "note web",
        "size web 1..11",
        "wait return web: *",
    ),
    "the bounds are back: hosts that were born protected are unprotected": row(
        rolling(
            new("i-1", protected=True),
            new("i-2", protected=True),
            page=ALL_BACK,
            group=FREE | {"suspended": frozenset({"AZRebalance"})},
        ),
        "unprotect i-1 i-2",
        "wait return web: until no new host is protected any more",
    ),
    "a protected host of before the roll stays protected": row(
        rolling(
            new("i-1", protected=True, launched_at=ago(days=9)),
            new("i-2"),
            page=ALL_BACK,
            group=FREE | {"suspended": frozenset({"AZRebalance"})},
        ),
        "note web",
        "resume web",
    ),
    "the last host is still launching: nothing is finished before it is ready": row(
        rolling(
            new("i-1"),
            new("i-2", protected=True, lifecycle="Pending"),
            page=ALL_BACK,
            group=FREE,
        ),
        "wait boot i-2: is Pending",
    ),
    "a host is missing: protection holds until it is there": row(
        rolling(new("i-1", protected=True), page=ALL_BACK, group=FREE),
        "wait launch web: 2 wanted, 1 there",
        "wait return web: until 2 hosts are there, 1 now",
    ),
    "one host too many, all protected: one is drained, as the group can not take it": row(
        rolling(
            new("i-1", protected=True),
            new("i-2", protected=True),
            new("i-3", protected=True),
            page=ALL_BACK,
            group=FREE,
        ),
        "drain i-1",
        "wait return web: until 2 hosts are there, 3 now",
    ),
    "hosts were born protected before the roll, too: they stay so": row(
        rolling(
            new("i-1", protected=True),
            new("i-2"),
            page={"room": room(0, phase=Phase.RETURNING, ceiling=11, protects_was=True), "rebalance": Phase.HELD},
            group=FREE | {"protects_new": True},
        ),
        "note web",
        "resume web",
    ),
    "ECS itself protects hosts here: nobody else touches that": row(
        rolling(
            new("i-1", protected=True),
            new("i-2"),
            page=ALL_BACK,
            group=FREE | {"provider": CapacityProvider(name="cp", termination_protection=True)},
        ),
        "note web",
        "resume web",
    ),
    "a capacity provider that does not protect: protection is ours to take away": row(
        rolling(
            new("i-1", protected=True),
            new("i-2"),
            page=ALL_BACK,
            group=FREE | {"provider": CapacityProvider(name="cp")},
        ),
        "unprotect i-1",
        "wait return web: *",
    ),
    "a host of before the roll has lost its agent: that is not ours to wait for": row(
        rolling(new("i-1"), new("i-2", connected=False, launched_at=ago(days=9)), page=ALL_BACK, group=FREE),
        "note web",
        "resume web",
    ),
    "others set the bounds back already: they are set once more, and read again": row(
        rolling(new("i-1"), new("i-2"), page=GONE_OLD, group={"desired": 2, "min": 1, "max": 10}),
        "note web",
        "*",
        "size web 1..10",
        "wait return web: until MinSize reads 1",
    ),
    "the zones differ by one: AZRebalance would move nothing, and is resumed": row(
        rolling(
            new("i-1"), new("i-2", zone="b"), new("i-3"), page=ALL_BACK, group=FREE | {"desired": 3, "zones": "ab"}
        ),
        "note web",
        "resume web",
    ),
    "the zones differ by two, and one host more led nowhere: AZRebalance would move a host, it stays suspended": row(
        rolling(new("i-1"), new("i-2"), page=ALL_BACK | {"lopsided": 4}, group=FREE | {"zones": ("a", "b")}),
        "wait zones web: zones differ by 2 hosts: AZRebalance would move some at once",
    ),
    "the zones differed by two before the roll: as they were": row(
        rolling(new("i-1"), new("i-2"), page=ALL_BACK | {"uneven": 2}, group=FREE | {"zones": ("a", "b")}),
        "note web",
        "resume web",
    ),
    "AZRebalance does not read as resumed: once more": row(
        rolling(
            new("i-1"),
            new("i-2"),
            page=ALL_BACK | {"rebalance": Phase.RETURNING},
            group=FREE | {"suspended": frozenset({"AZRebalance"})},
        ),
        "resume web",
    ),
    "AZRebalance reads as resumed: the group is finished": row(
        rolling(new("i-1"), new("i-2"), page=ALL_BACK | {"rebalance": Phase.RETURNING}, group=FREE),
        "roll 1 of web, finished: web",
        "forget web",
    ),
    "AZRebalance was never ours: the group is finished": row(
        rolling(new("i-1"), new("i-2"), page=ALL_BACK | {"rebalance": None}, group=FREE),
        "roll 1 of web, finished: web",
        "forget web",
    ),
    "a termination of ours does not show yet: nothing is given back before": row(
        rolling(new("i-1"), new("i-2"), old("i-3", draining=True), page=GONE_OLD, group={"desired": 2, "min": 2}),
        "wait gone i-3: until its termination shows",
        knows=memory(expected={"gone:i-3": ago(0.5)}),
    ),
    "groups roll one after another: the second has its turn": row(
        seen(
            new("i-1"),
            old("i-2", group="api"),
            groups=(group(1), group(1, name="api")),
            roll=roll("web", "api", finished=("web",)),
        ),
        "note api",
        "suspend api",
        "size api 2..11 protected",
        "wait room api: *",
    ),
}

SURPLUS = {
    "no old host is left, one host is lent: drain one that is too many": row(
        rolling(new("i-1"), new("i-2"), new("i-3")),
        "drain i-1",
    ),
    "of the surplus, what the group does not launch any more goes first": row(
        rolling(new("i-1"), new("i-2"), new("i-3", image=OLD, launched_at=ago(days=30))),
        "drain i-3",
        policy=replace(ROLL, instances=("i-9",)),
    ),
    "of the surplus, the fullest zone goes first, then the emptiest host": row(
        rolling(
            new("i-1", tasks=0, zone="b"),
            new("i-2", tasks=5),
            new("i-3", tasks=2),
            group={"zones": ("a", "b")},
        ),
        "drain i-3",
    ),
    "the surplus host is drained already: no other": row(
        rolling(new("i-1", draining=True), new("i-2"), new("i-3"), tasks=[task("t", "i-1")], services=[service()]),
        "wait drain i-1: *",
    ),
    "the surplus host is empty: it shrinks the group, whatever the zones are then": row(
        rolling(new("i-1", draining=True, zone="b"), new("i-2"), new("i-3"), group={"zones": ("a", "b")}),
        "note web",
        "size web 2..11 protected",
        "shrink by i-1",
    ),
    "the surplus host is empty: it shrinks the group": row(
        rolling(new("i-1", draining=True), new("i-2"), new("i-3")),
        "note web",
        "size web 2..11 protected",
        "shrink by i-1",
    ),
    "a surplus host was drained, and nothing is lent any more: it serves again": row(
        rolling(new("i-1", draining=True), new("i-2"), surge=0),
        "undrain i-1",
    ),
    "the group owes a termination: the empty surplus host pays it": row(
        rolling(new("i-1", draining=True), new("i-2"), new("i-3"), new("i-4")),
        "replace i-1",
    ),
    "killed after the page said who shrinks: the surplus host still does": row(
        rolling(
            new("i-1", draining=True),
            new("i-2"),
            new("i-3"),
            group={"min": 2},
            page={"room": room(floor=2, shrinking=("i-1",))},
        ),
        "*shrink by i-1",
    ),
}


@pytest.mark.parametrize("row", table(GIVING, SURPLUS))
def test_giving_back(row: Row) -> None:
    assert outcome(row) == row.told


def test_a_group_that_is_finished_counts_what_it_replaced_and_not_what_was_skipped() -> None:
    snapshot = rolling(
        new("i-1"), foreign("i-2"), page={"room": None, "rebalance": None, "old": 3}, group=FREE, roll=roll(replaced=4)
    )
    [done] = [action.roll for action in decide(snapshot, memory(), ROLL)[0].actions if isinstance(action, OpenRoll)]
    assert (done.replaced, done.finished) == (6, (WEB,))


def test_while_the_room_goes_back_the_page_still_says_who_protected_the_hosts() -> None:
    snapshot = rolling(new("i-1"), new("i-2"), page=GONE_OLD, group={"desired": 2, "min": 2})
    assert noted(decide(snapshot, memory(), ROLL)[0]).room == room(0, phase=Phase.RETURNING, ceiling=11)
