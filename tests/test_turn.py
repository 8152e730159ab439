"""A group's turn: which hosts are to be replaced, and what is remembered from one round to the next."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ecsroll.decide import decide
from ecsroll.ledger import JUST_NOW
from ecsroll.model import Decision, Drain, Host, Memory, Policy, Snapshot, Stop, Verdict
from ecsroll.turn import Turn, chosen, outdated_by_group
from tests.builders import (
    BEGAN,
    NEWEST,
    NOW,
    OLD,
    ROLL,
    WEB,
    ago,
    daemon,
    foreign,
    group,
    launches,
    memory,
    new,
    noted,
    old,
    page,
    roll,
    rolling,
    say,
    seen,
    task,
)

# Which hosts are to be replaced


@pytest.mark.parametrize(
    ("one", "policy", "expected"),
    [
        pytest.param(old("i-1"), ROLL, True, id="the image is not the target's: outdated"),
        pytest.param(new("i-1"), ROLL, False, id="image and version are the target's: current"),
        pytest.param(
            new("i-1"), replace(ROLL, all=True), False, id="--all: not what was launched since the roll began"
        ),
        pytest.param(new("i-1", launched_at=NEWEST), replace(ROLL, all=True), True, id="--all: every host of then"),
        pytest.param(
            old("i-1"),
            replace(ROLL, instances=("i-2",)),
            False,
            id="--instance: not the outdated host that was not named",
        ),
        pytest.param(
            new("i-1", launched_at=ago(days=2)), replace(ROLL, instances=("i-1",)), True, id="--instance: the one named"
        ),
        pytest.param(
            new("i-1"), replace(ROLL, instances=("i-1",)), False, id="--instance: not one launched since the roll began"
        ),
        pytest.param(
            old("i-1", launched_at=ago(days=30)),
            replace(ROLL, older_than=timedelta(days=7)),
            True,
            id="--older-than 7d: a month is older",
        ),
        pytest.param(
            old("i-1", launched_at=ago(days=6)),
            replace(ROLL, older_than=timedelta(days=7)),
            False,
            id="--older-than 7d: six days are not, whatever the image",
        ),
        pytest.param(
            old("i-1", launched_at=BEGAN - timedelta(days=7)),
            replace(ROLL, older_than=timedelta(days=7)),
            False,
            id="--older-than 7d: counted from when the roll began, and exactly that is not older",
        ),
        pytest.param(
            new("i-1", launched_at=JUST_NOW, image=None),
            replace(ROLL, all=True),
            False,
            id="--all: not a new one that EC2 does not know yet",
        ),
        pytest.param(
            old("i-1", launched_at=JUST_NOW),
            replace(ROLL, all=True),
            True,
            id="--all: one that was launched meanwhile and is outdated",
        ),
    ],
)
def test_chosen(one: Host, policy: Policy, *, expected: bool) -> None:
    assert chosen(one, group(1), page(), policy) is expected


def test_a_round_that_finds_nothing_to_do_says_that_it_waits_for_the_next_reading() -> None:
    snapshot = rolling(new("i-1"), new("i-2"))
    turn = Turn(snapshot, memory(), ROLL, roll(), snapshot.groups[WEB], snapshot.ledgers[WEB])
    assert say(turn.decision()) == ["wait picture web: for the next reading to show what was changed"]


# What outlives the round


def after(snapshot: Snapshot, knows: Memory | None = None) -> Memory:
    """What is remembered after a round."""
    return decide(snapshot, knows or memory(), ROLL)[1]


READINGS = {
    "a new host reads well for the first time: one of three": (
        new("i-3"),
        memory(newest=ago(10)),
        {"i-3": 1},
    ),
    "a new host that this life has not seen launch either: one of three": (new("i-3"), Memory(), {"i-3": 1}),
    "the second good reading: two of three": (new("i-3"), memory(shaky={"i-3": 1}), {"i-3": 2}),
    "the third good reading: nothing to remember any more": (new("i-3"), memory(shaky={"i-3": 2}), {}),
    "a bad reading: from the start": (new("i-3", connected=False), memory(shaky={"i-3": 2}), {"i-3": 0}),
    "a host loses its agent: not ready any more": (old("i-3", connected=False), memory(), {"i-3": 0}),
    "it has its agent again: one of three": (old("i-3"), memory(shaky={"i-3": 0}), {"i-3": 1}),
    "a host of before the roll that reads well: nothing to remember": (old("i-3"), Memory(), {}),
    "a host that EC2 does not know yet is new": (new("i-3", launched_at=JUST_NOW), memory(), {"i-3": 1}),
    "a host that is drained has no readings": (old("i-3", draining=True), memory(shaky={"i-3": 1}), {}),
    "a host that is leaving has none either": (old("i-3", lifecycle="Terminating"), memory(shaky={"i-3": 1}), {}),
}


@pytest.mark.parametrize(("one", "knows", "expected"), READINGS.values(), ids=READINGS)
def test_good_readings(one: Host, knows: Memory, expected: dict[str, int]) -> None:
    assert after(rolling(old("i-1"), old("i-2"), one), knows).shaky == expected


def test_a_group_without_a_page_has_no_new_hosts_yet() -> None:
    assert after(seen(new("i-1"), old("i-2")), Memory()).shaky == {}


LOST = {
    "the agent has gone: since now": (old("i-1", connected=False), {}, {"i-1": NOW}),
    "still gone: since then": (old("i-1", connected=False), {"i-1": ago(9)}, {"i-1": ago(9)}),
    "it is back: forgotten": (old("i-1"), {"i-1": ago(9)}, {}),
    "a host that has not registered never had one": (old("i-1", unregistered=True), {}, {}),
    "a host that the group takes away does not need one": (
        old("i-1", connected=False, lifecycle="Terminating"),
        {},
        {},
    ),
}


@pytest.mark.parametrize(("one", "before", "expected"), LOST.values(), ids=LOST)
def test_agentless(one: Host, before: dict[str, datetime], expected: dict[str, datetime]) -> None:
    assert after(rolling(one, old("i-2")), memory(agentless=before)).agentless == expected


EXPECTED = {
    "a drain is shown: no longer expected": (old("i-1", draining=True), "drain:i-1", 0.5, False),
    "a drain is not shown yet: expected": (old("i-1"), "drain:i-1", 0.5, True),
    "a drained host that is gone meanwhile is shown too": (
        old("i-1", lifecycle="Terminating"),
        "drain:i-1",
        0.5,
        False,
    ),
    "a termination is shown: no longer expected": (old("i-1", lifecycle="Terminating"), "gone:i-1", 0.5, False),
    "a terminated host that no reading has is shown too": (old("i-1"), "gone:i-9", 0.5, False),
    "a termination is not shown yet, DRAINING or not: expected": (old("i-1", draining=True), "gone:i-1", 0.5, True),
    "after a minute nothing is expected any more: it is made again": (
        old("i-1", lifecycle="Standby", draining=True),
        "gone:i-1",
        1,
        False,
    ),
}


@pytest.mark.parametrize(("one", "key", "minutes", "expected"), EXPECTED.values(), ids=EXPECTED)
def test_expectations(one: Host, key: str, minutes: float, *, expected: bool) -> None:
    knows = after(rolling(one, old("i-2"), new("i-3", booting=True)), memory(expected={key: ago(minutes)}))
    assert (knows.expected == {key: ago(minutes)}) is expected


SHOWN = {
    "a drain that was shown is remembered a while": (old("i-1", draining=True), "drain", "drained"),
    "a termination that was shown is, too": (old("i-1", lifecycle="Terminating"), "gone", "went"),
}


@pytest.mark.parametrize(("one", "key", "kept"), SHOWN.values(), ids=SHOWN)
def test_what_a_reading_has_shown_the_next_may_not_show(one: Host, key: str, kept: str) -> None:
    picture = rolling(one, old("i-2"), new("i-3", booting=True))
    assert f"{kept}:i-1" in after(picture, memory(expected={f"{key}:i-1": ago(0.5)})).expected
    assert f"{kept}:i-1" not in after(picture, memory(expected={f"{kept}:i-1": ago(0.5)})).expected


def test_a_drain_and_a_termination_are_to_be_seen_before_they_are_made_again() -> None:
    knows = after(rolling(old("i-1", draining=True), old("i-2"), new("i-3"), new("i-4"), surge=2))
    assert knows.expected == {"gone:i-1": NOW, "drain:i-2": NOW, "size:web": NOW}


def test_a_wait_keeps_its_beginning_and_says_its_end() -> None:
    snapshot = rolling(old("i-1"), old("i-2"), new("i-3", booting=True))
    decision, knows = decide(snapshot, memory(waiting={"boot:i-3": ago(4), "boot:i-9": ago(9)}), ROLL)
    boot = next(wait for wait in decision.waits if wait.kind == "boot")
    assert (boot.since, boot.until) == (ago(4), ago(4) + ROLL.boot_timeout)
    assert knows.waiting == {"boot:i-3": ago(4), "successor:web": NOW}


def test_a_roll_that_is_interrupted_before_it_begins_changes_nothing() -> None:
    knows = memory(stop=Stop(reason="interrupted", at=NOW))
    decision, _ = decide(seen(old("i-1"), roll=None), knows, ROLL)
    assert decision == Decision(verdict=Verdict(result="interrupted", reason="interrupted; nothing was changed"))


def test_how_many_hosts_of_each_group_are_outdated_others_drains_included() -> None:
    groups = (group(3), group(1, name="api"))
    snapshot = seen(old("i-1"), foreign("i-2"), new("i-3"), new("i-4", group="api"), groups=groups, roll=None)
    assert outdated_by_group(snapshot, ROLL) == {"web": 2, "api": 0}
    halted = replace(snapshot, roll=roll(images=ROLL.images), ledgers={"web": page(pointed=())})
    assert outdated_by_group(halted, ROLL)["web"] == 2, "what a halt has pointed back is outdated all the same"


def test_the_page_begins_with_the_launch_of_the_newest_host_that_ec2_knows() -> None:
    late = group(3, launches=(launches(OLD, "1"),))
    snapshot = seen(old("i-1"), old("i-2", launched_at=ago(days=3)), new("i-3", launched_at=JUST_NOW), groups=late)
    begun = noted(decide(snapshot, memory(), ROLL)[0])
    assert (begun.newest, begun.old, begun.ready, begun.pointed_at) == (ago(days=3), 2, 3, None)


def test_looks_are_counted_to_two() -> None:
    snapshot = seen(new("i-1"))
    assert [after(snapshot, Memory(looks=looks)).looks for looks in (0, 1, 2)] == [1, 2, 2]


def test_a_drain_is_marked_with_the_roll_and_the_time_and_says_its_price() -> None:
    snapshot = rolling(old("i-1"), old("i-2", tasks=1), new("i-3"), tasks=[task("t1", "i-1"), daemon("d1", "i-1")])
    decision, _ = decide(snapshot, memory(), ROLL)
    assert decision == Decision(
        actions=(
            Drain(
                hosts=(snapshot.hosts["i-1"],),
                mark="1:2026-11-22T03:00:00Z",
                why="3 ready, 2 needed; 1 task(s) will move",
            ),
        )
    )


def test_the_end_says_what_was_done_and_what_was_not() -> None:
    decision, _ = decide(seen(new("i-1"), foreign("i-2"), roll=roll(finished=(WEB,), replaced=4)), memory(), ROLL)
    assert decision.verdict == Verdict(
        result="halted",
        reason="1 outdated host(s) were skipped: somebody else drains them",
        next="ecsroll replace --cluster prod (once they are ACTIVE or gone)",
        replaced=4,
        remaining=1,
    )


LOSSES = {
    "a new host that had not become ready is gone: one lost": (rolling(old("i-1"), new("i-2")), ["i-3"], 1, 2, 3),
    "one that the group takes away is lost, too": (
        rolling(old("i-1"), new("i-3", lifecycle="Terminating")),
        ["i-3"],
        1,
        0,
        1,
    ),
    "it is still there: nothing is lost": (rolling(old("i-1"), new("i-3", booting=True)), ["i-3"], 1, 2, 2),
    "an old one has left since: the count begins anew": (rolling(old("i-1"), new("i-2")), ["i-3"], 2, 2, 0),
    "the first look of a life counts nothing": (rolling(old("i-1"), new("i-2")), ["i-3"], None, 0, 0),
}


@pytest.mark.parametrize(("snapshot", "shaky", "left", "lost", "expected"), LOSSES.values(), ids=LOSSES)
def test_losses(snapshot: Snapshot, shaky: list[str], left: int | None, lost: int, expected: int) -> None:
    before = memory(shaky=dict.fromkeys(shaky, 0), left=left, lost=lost)
    assert after(snapshot, before).lost == expected


def test_a_host_that_we_ended_ourselves_is_not_lost() -> None:
    before = memory(shaky={"i-3": 0}, left=1, expected={"gone:i-3": ago(0.1)})
    assert after(rolling(old("i-1"), new("i-2")), before).lost == 0
