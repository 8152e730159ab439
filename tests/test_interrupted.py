"""A roll that was told to stop goes on with the same command: whatever it had pointed back is pointed at again."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import pytest

from ecsroll.aws import Aws
from ecsroll.commands import replace_hosts
from ecsroll.events import Event
from ecsroll.model import Policy, Verdict
from ecsroll.render import QuietScreen
from ecsroll.result import Result
from ecsroll.rollback import rollback
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet, Stage
from tests.rolls import stage_of
from tests.scenarios import policy
from tests.watch import Watch

KINDS: tuple[Reference, ...] = ("number", "$Latest", "$Default", "mixed", "parameter", "public", "configuration")


@dataclass
class Stops(QuietScreen):
    """Somebody who presses Ctrl-C as soon as something has happened."""

    at: str
    heard: str | None = None
    set: int = 0

    def event(self, event: Event) -> None:
        self.set += event.kind == "target_set"
        if event.kind == self.at:
            self.heard = "interrupted by SIGTERM"


def life(stage: Stage, settings: Policy, stops: Stops, does: Callable[..., Result] = replace_hosts) -> Result:
    aws = Aws(stage.sim, stage.sim, workers=1)
    return does(aws, stage.cluster, settings, stops, lambda _: True, nullcontext(lambda: stops.heard))


def runs(stage: Stage) -> set[str]:
    members = stage.sim.scaling.groups["web"].members.values()
    return {member.instance.image_id for member in members if member.state == "InService"}


@pytest.mark.parametrize(
    ("reference", "at"),
    [*((kind, "drain_started") for kind in KINDS), ("number", "target_set"), ("$Latest", "target_set")],
)
def test_a_roll_that_was_interrupted_goes_on(reference: Reference, at: str) -> None:
    stage = stage_of(GroupSet(hosts=2, reference=reference), services=(ServiceSet(name="api", count=2),), quick=True)
    settings = policy(canary=0, good_readings=1)
    watch = Watch(stage, settings)
    first = life(stage, settings, Stops(at))
    assert first.result == "interrupted"
    again = Stops("never")
    second = life(stage, settings, again)
    assert (second.result, second.replaced, second.remaining) == ("done", 2, 0), second.reason
    assert second.more["figures"]["moved"] > 0  # the hosts that this life drains are marked under its own lease
    assert again.set <= 2, "set once, and once more at most if a reading was an older one"
    watch.check_end(Verdict(result="done", reason=second.reason, owed=second.owed))
    assert watch.breaches == []
    assert runs(stage) == {stage.new_image["web"]}


@pytest.mark.parametrize("reference", ["number", "$Latest", "configuration"])
def test_a_rollback_that_was_interrupted_goes_on(reference: Reference) -> None:
    stage = stage_of(GroupSet(hosts=2, reference=reference), services=(ServiceSet(name="api", count=2),), quick=True)
    settings = policy(canary=0, good_readings=1)
    assert life(stage, settings, Stops("never")).result == "done"
    assert life(stage, settings, Stops("drain_started"), rollback).result == "interrupted"
    last = life(stage, settings, Stops("never"), rollback)
    assert (last.result, last.owed) == ("done", ()), last.reason
    assert runs(stage) == {stage.old_image["web"]}


@pytest.mark.parametrize(("before", "after", "peak"), [("1", "3", 7), ("1", "50%", 6), ("2", "1", 6)])
def test_more_room_that_is_given_anew_is_asked_for_and_all_of_it_given_back(before: str, after: str, peak: int) -> None:
    stage = stage_of(GroupSet(hosts=4), services=(ServiceSet(name="api", count=4),), quick=True)
    watch = Watch(stage, policy(surge=max(before, after)))
    bounds = bounds_of(stage)
    assert life(stage, policy(surge=before), Stops("drain_started")).result == "interrupted"
    ran = life(stage, policy(surge=after), Stops("never"))
    assert (ran.result, ran.replaced, ran.remaining, ran.owed) == ("done", 4, 0, ()), ran.reason
    assert ran.more["figures"]["peak_hosts"] == peak  # what is lent already stays until the end
    assert bounds_of(stage) == bounds
    assert not watch.breaches, "\n".join(watch.breaches)


def bounds_of(stage: Stage) -> tuple[int, int, int]:
    group = stage.sim.scaling.groups["web"]
    return group.min, group.max, group.desired
