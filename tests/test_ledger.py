"""The ledger: what is written down comes back as it was, fits into a parameter, and is a person's to read."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsroll.errors import EcsrollError
from ecsroll.ledger import (
    JUST_NOW,
    LIMIT,
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
from tests.builders import BEGAN, page, pointed, roll, room

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

LEDGER, ROLL = json.loads(text_of(page(room=room()))), json.loads(text_of(roll()))

UNREADABLE = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[1]",
    "a number": "1",
    "of nobody": "{}",
    "of another version": '{"ecsroll": 2}',
    "of ours, and empty": '{"ecsroll": 1}',
    "with a date that is none": json.dumps({**LEDGER, **ROLL, "began": "yesterday"}),
    "with a date that is a number": json.dumps({**LEDGER, **ROLL, "began": 7}),
    "with a list that is a number": json.dumps({**LEDGER, **ROLL, "canaries": 7, "groups": 7}),
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
        roll_from(json.dumps({**ROLL, "lease": "x"}))


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
