"""Readings that lag behind our own writes: nothing is decided on a picture older than our own last change.

A reading may go back, too: what one has shown, the next may not show yet (aws-facts 6.6, 9).
"""

import random
from datetime import timedelta

import pytest

from ecsroll.aws import Aws
from ecsroll.commands import replace_hosts
from ecsroll.decide import decide
from ecsroll.ledger import Phase
from ecsroll.model import Policy
from ecsroll.render import QuietScreen
from ecsroll.simulator.faults import Lag
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet, Stage
from tests.builders import (
    OLD,
    ROLL,
    Row,
    ago,
    launches,
    marked,
    memory,
    new,
    old,
    outcome,
    pointed,
    rolling,
    room,
    row,
    table,
)
from tests.rolls import carry_out, on, stage_of
from tests.watch import Watch

A_MOMENT = ago(3 / 60)

ONCE_SHOWN = {
    "room: MinSize reads as before the asking, so nobody else has set it": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), group={"min": 1, "max": 10}),
        "wait room web: until MinSize reads 3 again*",
        knows=memory(expected={"size:web": A_MOMENT}),
    ),
    "room: a minute later it was somebody else, and what they set is what they get back": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), group={"min": 0, "max": 10}),
        "note web",
        "size web 3..11 protected",
        "drain i-1",
        knows=memory(expected={"size:web": ago(1)}),
    ),
    "room asked for and not read yet: asked for the same again, and nothing else": row(
        rolling(
            old("i-1"),
            old("i-2"),
            group={"desired": 2, "min": 1, "max": 10, "protects_new": False},
            page={"room": room(phase=Phase.ASKING)},
        ),
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
        knows=memory(expected={"size:web": A_MOMENT}),
    ),
    "target: the group reads as launching what it did before": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), group={"launches": (launches(OLD, "1"),)}),
        "wait target web: until lt-1 reads back ami-new again",
    ),
    "target set and not read yet: it is set again, and nothing else": row(
        rolling(
            old("i-1"),
            old("i-2"),
            group={"launches": (launches(OLD, "1"),)},
            page={"pointed": (pointed(Phase.ASKING, version=None),), "pointed_at": None},
        ),
        "point lt-1 at ami-new",
        "wait target web: until lt-1 reads back ami-new",
    ),
    "AZRebalance reads as running again: it is ours all the same, and nothing else depends on it": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), group={"suspended": frozenset()}),
        "drain i-1",
    ),
    "drain not read yet: the host is not ready, so no other is drained in its place": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "wait successor web: *",
        "wait old i-1: until its drain shows",
        knows=memory(expected={"drain:i-1": A_MOMENT}),
    ),
    "drain: the host reads as ACTIVE again": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "wait picture web: for a reading that is not older than what was done to i-1",
        knows=memory(expected={"drained:i-1": A_MOMENT}),
    ),
    "drain: a host that reads as empty a moment later may have got a task just before": row(
        rolling(old("i-1", draining=True, drain_mark=marked(3 / 60)), old("i-2"), new("i-3")),
        "wait drain i-1: empty; its tasks are read once more, as a reading may be older than the drain",
        "wait successor web: *",
    ),
    "termination: the host reads as live again, and DesiredCapacity as before": row(
        rolling(old("i-1", draining=True), new("i-2"), new("i-3"), page={"room": room(0, floor=2)}),
        "wait picture web: for a reading that is not older than what was done to i-1",
        knows=memory(expected={"went:i-1": A_MOMENT}),
    ),
    "termination: a picture of another host is not older": row(
        rolling(old("i-1"), new("i-2"), new("i-3")),
        "drain i-1",
        knows=memory(expected={"went:i-9": A_MOMENT, "drained:i-9": A_MOMENT}),
    ),
    "deregistration: the container instance reads as registered still, and is deregistered again": row(
        rolling(old("i-1", draining=True, lifecycle="Terminating"), old("i-2"), new("i-3"), new("i-4")),
        "deregister i-1",
        "drain i-2",
    ),
    "protection: a host reads as protected still, and is unprotected again": row(
        rolling(
            new("i-2", protected=True),
            new("i-3"),
            surge=0,
            group={"min": 1, "max": 10, "protects_new": False, "desired": 2},
            page={"room": room(0, phase=Phase.RETURNING)},
        ),
        "unprotect i-2",
        "wait return web: until no new host is protected any more",
    ),
    "room given back: MinSize reads as raised still, and is given back again": row(
        rolling(new("i-2"), new("i-3"), surge=0, page={"room": room(0, phase=Phase.RETURNING)}),
        "size web 1..10",
        "wait return web: until MinSize reads 1",
    ),
}


@pytest.mark.parametrize("row", table(ONCE_SHOWN))
def test_an_older_reading_after_a_change_of_ours(row: Row) -> None:
    assert outcome(row) == row.told


def test_a_drain_that_was_undone_is_not_expected_any_more() -> None:
    picture = rolling(new("i-1", draining=True), new("i-2"), surge=0, page={"room": None})
    decision, knows = decide(picture, memory(expected={"drained:i-1": A_MOMENT, "drained:i-2": A_MOMENT}), ROLL)
    assert not decision.actions, "i-2 reads as ACTIVE: an older reading"
    decision, knows = decide(picture, memory(expected={"drained:i-1": A_MOMENT}), ROLL)
    assert [type(action).__name__ for action in decision.actions] == ["Undrain"]
    assert not knows.expected


REFERENCES: tuple[Reference, ...] = ("number", "$Latest", "$Default", "mixed", "parameter", "configuration")


@pytest.mark.parametrize("seed", range(18))
def test_half_of_all_reads_lag_and_go_back_while_the_rounds_are_quick(seed: int) -> None:
    """A round every two to five seconds, reads up to eight seconds old."""
    group = GroupSet(hosts=3, reference=REFERENCES[seed % 6])
    api = ServiceSet(name="api", count=4, balanced=True, deregistration_delay=10)
    stage = stage_of(group, services=(api,), seed=seed, quick=True)
    policy = Policy(
        by="anna@laptop",
        poll_interval=timedelta(seconds=(2, 3, 5)[seed % 3]),
        good_readings=1 + seed % 2,
        canary=seed % 2,
    )
    watch = Watch(stage, policy)
    Lag(seconds=8, share=0.5, seed=seed).put_on(stage.sim.door)
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(seed))
    result = replace_hosts(aws, stage.cluster, policy, QuietScreen(), lambda _: True)
    assert (result.result, result.owed) == ("done", ()), result.reason
    there = stage.sim.scaling.groups["web"]
    assert (there.desired, there.min, there.max, there.new_protected) == (3, 0, 6, False)
    assert not there.suspended
    assert not watch.breaches, "\n".join(watch.breaches)
    versions = stage.sim.client("ec2").describe_launch_template_versions(Versions=["$Latest"])
    assert all(said["VersionNumber"] <= 2 for said in versions["LaunchTemplateVersions"]), "made twice"


def test_a_version_of_ours_that_somebody_deletes_is_made_again() -> None:
    """That a list did not show it was no lag: what a process remembers of its own changes has an end."""

    def delete(stage: Stage, watch: Watch) -> None:
        del watch
        template = stage.sim.client("ec2").describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
        stage.sim.client("ec2").delete_launch_template_versions(LaunchTemplateId=template, Versions=["2"])

    stage = stage_of(GroupSet(hosts=2, reference="$Latest"), services=(ServiceSet(name="api", count=2),), quick=True)
    told = carry_out(stage, Policy(canary=0, good_readings=1), meanwhile=(on("target_set", delete),))
    assert told.verdict is not None
    assert (told.verdict.result, told.verdict.reason) == ("done", "every outdated host was replaced")
