"""Scenarios told as stories, kept in ``transcripts/`` and reviewed like prose.

``pytest tests/test_transcripts.py --update-transcripts`` writes them anew: read what changed before you commit it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from ecsroll.model import Policy
from ecsroll.simulator.stage import GroupSet, ServiceSet
from tests import scenarios as s
from tests.mishaps import FAULTS
from tests.rolls import Death, Told, carry_out, on, stage_of
from tests.scenarios import API, LOGS, QUICK, WORKER, policy
from tests.stories import story
from tests.test_drain_policy import ROWS as DRAINS
from tests.test_drain_policy import play as play_drain
from tests.test_gate_rolls import OPEN, SHUT
from tests.test_gate_rolls import play as play_gate
from tests.test_rolls import Row, _draining, play
from tests.test_window import two_nights

FOLDER = Path(__file__).parent / "transcripts"


@dataclass(frozen=True, slots=True)
class Tale:
    """A title, what the story shows, and how the roll is made."""

    title: str
    shows: str
    roll: Callable[[], Told]


def of(row: Row) -> Callable[[], Told]:
    return lambda: play(row)


def fault(name: str, result: str = "done") -> Row:
    """One of the faults of the operating guide."""
    wrong = FAULTS[name]
    return Row(groups=wrong.groups, services=wrong.services, meanwhile=wrong.meanwhile, result=result)


def bad_image_then_mended() -> Told:
    told = play(Row(before=lambda stage: stage.sim.conditions.images_that_never_register.add(stage.new_image["web"])))
    told.stage.sim.conditions.images_that_never_register.clear()
    again = carry_out(told.stage, QUICK, watch=told.watch)
    again.deaths, again.between = [len(told.steps)], "the image is mended; the same command is run again"
    again.steps = [*told.steps, *again.steps]
    return again


def killed_twice() -> Told:
    stage = stage_of(GroupSet(hosts=3), services=(API, LOGS), quick=True)
    return carry_out(stage, QUICK, deaths=(Death(7, landed=True), Death(8, landed=False)))


TALES: dict[str, Tale] = {
    "plain": Tale(
        "Three hosts, one after another",
        "New room first; each old host is drained when its successor is ready; the last one makes the group smaller.",
        of(Row()),
    ),
    "canary": Tale(
        "The canary",
        "The first host is drained but not terminated until its tasks are healthy elsewhere: a halt could undo it.",
        of(Row(policy=Policy())),
    ),
    "surge-of-two": Tale(
        "Six hosts, two at a time",
        "The window slides: two successors boot while two hosts drain, and no batch waits for its slowest.",
        of(Row(groups=(GroupSet(hosts=6),), policy=policy(surge=2))),
    ),
    "double": Tale(
        "All new hosts at once",
        "With --strategy double every old host has a successor before any is drained, and each task moves once.",
        of(Row(groups=(GroupSet(hosts=4),), policy=policy(strategy="double"))),
    ),
    "no-room": Tale(
        "No room at all",
        "With --max-surge 0 --max-unavailable 1 nothing is borrowed, and one host less serves meanwhile.",
        of(Row(groups=(GroupSet(hosts=3, spare=0),), policy=policy(surge=0, unavailable=1))),
    ),
    "two-groups": Tale(
        "Two groups",
        "Groups roll one after another, and each gets back what it lent before the next one begins.",
        of(Row(groups=(GroupSet(name="gpu", hosts=1), GroupSet(name="web", hosts=2)))),
    ),
    "managed": Tale(
        "A capacity provider with everything",
        "ECS protects hosts, drains them and sizes the group; the roll uses none of it and disturbs none of it.",
        of(
            Row(
                groups=(GroupSet(hosts=3, managed_scaling=True, termination_protection=True, managed_draining=True),),
                services=(WORKER, LOGS),
            )
        ),
    ),
    "bad-image": Tale(
        "An image that never registers",
        "The roll stops before anything was drained, points the group back, gives the room back; mended, it goes on.",
        bad_image_then_mended,
    ),
    "no-capacity": Tale(
        "No zone has capacity for a while",
        "The reason that AWS gives is shown, nothing is drained meanwhile, and the roll goes on when there is room.",
        of(Row(meanwhile=lambda: (on("size_set", s.capacity_runs_out(400)),))),
    ),
    "scale-out": Tale(
        "Others scale out while a host drains",
        "Two more hosts are wanted by an alarm: they come, the floor follows, and they are still there at the end.",
        of(Row(meanwhile=lambda: (on("drain_started", s.scale(2)),))),
    ),
    "terraform-apply": Tale(
        "terraform apply in the middle of a roll",
        "MinSize and MaxSize are put back by somebody's apply; the floor is asked for again, theirs is given back.",
        of(Row(meanwhile=lambda: (on("drain_started", s.terraform_apply, 2),))),
    ),
    "standalone-task": Tale(
        "A standalone task",
        "Nobody replaces it, so the drain waits until it ends by itself.",
        of(Row(services=(WORKER,), before=lambda stage: s.run_a_task(stage, 900))),
    ),
    "stuck-drain": Tale(
        "A task that outlasts the drain timeout",
        "The host serves again, the target goes back, and what moves a task to be given back is owed.",
        of(
            Row(
                before=lambda stage: s.run_a_task(stage, 9000, host=0),
                policy=policy(drain_timeout=timedelta(minutes=10)),
            )
        ),
    ),
    "protected-task": Tale(
        "A protected task",
        "Its scale-in protection is read and waited for, until it expires.",
        of(Row(services=(WORKER,), before=lambda stage: s.protect_a_task(stage, 12))),
    ),
    "lost-agent": Tale(
        "A host that has lost its agent",
        "It goes first, as it serves nobody by our count; STOPPED is never reported, so time and targets tell.",
        of(Row(before=s.agent_dies)),
    ),
    "foreign-drain": Tale(
        "A host that somebody else drains",
        "It is left to whoever did it, and the roll says so at its end.",
        of(Row(groups=(GroupSet(hosts=3),), services=(ServiceSet(name="worker", count=4),), before=s.foreign_drain)),
    ),
    "host-dies": Tale(
        "The draining host dies",
        "Its group launches a successor for it; no task that was still running there could be saved, the rest go on.",
        of(Row(meanwhile=lambda: (on("drain_started", s.host_dies(_draining)),))),
    ),
    "new-hosts-die": Tale(
        "New hosts die, one after another",
        "Each comes and goes again within its time; the third in a row is no accident, and the roll stops itself.",
        of(fault("New hosts die, one after another", result="halted")),
    ),
    "old-hosts-gone": Tale(
        "All old hosts die while the surge is still owed",
        "Nobody is left to make the group smaller by: a new host is drained like any other, to give the room back.",
        of(fault("All old hosts die while the surge is still owed")),
    ),
    "spot": Tale(
        "AWS takes an old Spot host back",
        "Its agent drains it, without a mark: the roll leaves it alone and goes on with the others.",
        of(fault("AWS takes an old Spot host back")),
    ),
    "killed-twice": Tale(
        "Killed twice",
        "kill -9 just after the room was asked for, and again just before an empty host is terminated: it goes on.",
        killed_twice,
    ),
    "crash-loop": Tale(
        "Tasks crash on the new image",
        "The canary's tasks never become healthy there; it serves again, the bad host goes, nothing is owed.",
        lambda: play_gate(SHUT["tasks crash-loop on the new image"]),
    ),
    "unhealthy-targets": Tale(
        "Targets never become healthy on the new image",
        "The load balancer fails what runs there; the canary was kept, and serves again, and the bad host goes.",
        lambda: play_gate(SHUT["targets on the new image never become healthy"]),
    ),
    "hosts-die": Tale(
        "Hosts of the new image die after ten minutes",
        "A bake of fifteen minutes is long enough to see it; the canary was kept, and serves again.",
        lambda: play_gate(SHUT["hosts of the new image die after ten minutes, while the canary bakes"]),
    ),
    "alarm": Tale(
        "An alarm goes off",
        "Within a round the roll stops: open drains are undone, and the target goes back.",
        lambda: play_gate(SHUT["an alarm goes off"]),
    ),
    "alarm-on-already": Tale(
        "An alarm was on already",
        "What was wrong before the roll is no reason to stop it.",
        lambda: play_gate(OPEN["an alarm was in ALARM already"]),
    ),
    "inconclusive": Tale(
        "Canaries that prove nothing",
        "Tasks are packed onto the old hosts: three canaries' tasks never meet the new image, and the roll says so.",
        lambda: play_gate(SHUT["all tasks of three canaries land on old hosts"]),
    ),
    "skipped": Tale(
        "A host that does not become empty is skipped",
        "It serves again and is left alone; the others are replaced, and a new host gives the room back.",
        lambda: play_drain(DRAINS["skipped: the host serves again, the others are replaced, and the roll says so"]),
    ),
    "two-nights": Tale(
        "Two nights",
        "A window of nine minutes is too short for four hosts; killed in between, it goes on when the next one opens.",
        two_nights,
    ),
}


@pytest.mark.parametrize("name", TALES)
def test_the_story_is_as_it_was_told(name: str, request: pytest.FixtureRequest) -> None:
    tale = TALES[name]
    text = story(tale.title, tale.shows, tale.roll())
    file = FOLDER / f"{name}.txt"
    if request.config.getoption("--update-transcripts"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text, "the story has changed: read it, then pytest --update-transcripts"


def test_every_transcript_is_told() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(TALES)
