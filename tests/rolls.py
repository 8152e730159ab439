"""Whole rolls on the simulated AWS, with the promises watched: what the tests of rolls are made of.

A roll has one or more *lives*: a life is one run of ``ecsroll replace``. It ends with a verdict, or is killed around
one of its changing calls; the next life starts with nothing but the policy and what lies in AWS.
"""

import dataclasses
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ecsroll.act import Actor
from ecsroll.aws import Aws
from ecsroll.engine import Round, Ways, rounds
from ecsroll.events import Event
from ecsroll.images import choose_images
from ecsroll.model import Memory, Policy, Verdict
from ecsroll.observe import Observer
from ecsroll.simulator import Simulation
from ecsroll.simulator.door import Call
from ecsroll.simulator.quick import QuickSimulation
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from tests.watch import Watch, WatchedWorld

__all__ = ["Death", "Killed", "Meanwhile", "Step", "Told", "carry_out", "cut_off", "on", "stage_of"]

MEMORY_LIMIT = 4096
MOST_ROUNDS = 1500


class Killed(BaseException):
    """kill -9: nothing catches it, nothing is tidied up."""


@dataclass(frozen=True, slots=True)
class Death:
    """When a life ends: around its n-th changing call, just before it or just after it landed."""

    call: int
    landed: bool


@dataclass(slots=True)
class Step:
    """One round with what came of it."""

    round: Round
    events: list[Event] = field(default_factory=list)


Act = Callable[[Stage, Watch], None]


@dataclass(slots=True)
class Meanwhile:
    """Something that happens during a roll, once: after the n-th event of a kind."""

    kind: str
    number: int
    act: Act
    left: int = 0

    def __post_init__(self) -> None:
        self.left = self.number

    def hear(self, event: Event, stage: Stage, watch: Watch) -> None:
        """Count down; act at the n-th."""
        if event.kind == self.kind:
            self.left -= 1
            if self.left == 0:
                self.act(stage, watch)


def on(kind: str, act: Act, number: int = 1) -> Meanwhile:
    """After the n-th event of that kind."""
    return Meanwhile(kind, number, act)


@dataclass(slots=True)
class Told:
    """A roll as it went: every step of every life, and how it ended."""

    stage: Stage
    watch: Watch
    steps: list[Step] = field(default_factory=list)
    deaths: list[int] = field(default_factory=list)
    """The number of steps at which a life ended."""
    verdict: Verdict | None = None
    between: str = "killed; the same command is run again"
    """What happens between two lives."""

    @property
    def events(self) -> list[Event]:
        """Everything that was done, in order."""
        return [event for step in self.steps for event in step.events]

    def count(self, kind: str) -> int:
        """How often something was done."""
        return sum(event.kind == kind for event in self.events)


def stage_of(*groups: GroupSet, services: tuple[ServiceSet, ...] = (), seed: int = 0, quick: bool = False) -> Stage:
    """A stage in a world that can be watched."""
    world = WatchedWorld(seed=seed)
    simulation = QuickSimulation(world, strict=False) if quick else Simulation(world)
    return set_stage(*groups, services=services, simulation=simulation)


def carry_out(
    stage: Stage,
    policy: Policy,
    *,
    deaths: Sequence[Death] = (),
    meanwhile: Iterable[Meanwhile] = (),
    watch: Watch | None = None,
) -> Told:
    """Roll until there is a verdict, life after life; every promise is asserted after every round and at the end."""
    told = Told(stage, watch or Watch(stage, policy))
    happenings = list(meanwhile)
    for death in [*deaths, None]:
        mortal = _Mortal(death)
        stage.sim.door.before.append(mortal.before)
        stage.sim.door.after.append(mortal.after)
        try:
            _live(told, policy, happenings)
        except Killed:
            told.deaths.append(len(told.steps))
        finally:
            stage.sim.door.before.remove(mortal.before)
            stage.sim.door.after.remove(mortal.after)
        if told.verdict is not None:
            break
    assert told.verdict is not None, "the roll never came to an end"
    told.watch.check_end(told.verdict)
    assert not told.watch.breaches, "\n".join(told.watch.breaches)
    return told


def cut_off(stage: Stage, policy: Policy, call: int) -> None:
    """Roll, and be killed just after the n-th changing call has landed."""
    mortal = _Mortal(Death(call, landed=True))
    stage.sim.door.before.append(mortal.before)
    stage.sim.door.after.append(mortal.after)
    try:
        _live(Told(stage, Watch(stage, policy)), policy, [])
    except Killed:
        return
    finally:
        stage.sim.door.before.remove(mortal.before)
        stage.sim.door.after.remove(mortal.after)
    raise AssertionError(f"the roll had no {call} changing calls")


@dataclass(slots=True)
class _Mortal:
    """A life that is to end at a changing call."""

    death: Death | None
    changes: int = 0

    def before(self, call: Call) -> None:
        self.changes += call.changes
        if call.changes and self.death == Death(self.changes, landed=False):
            raise Killed

    def after(self, call: Call) -> None:
        if call.changes and self.death == Death(self.changes, landed=True):
            raise Killed


def _live(told: Told, policy: Policy, happenings: list[Meanwhile]) -> None:
    """One run of ``ecsroll replace``, from nothing."""
    stage = told.stage
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(f"{len(told.deaths)} {stage.sim.elapsed()}"))
    observer = Observer(aws, stage.cluster, policy.groups, alarms=policy.alarms)
    seen = observer.look()
    chosen = choose_images(policy.ami, seen, aws) if seen.roll is None else seen.roll.images
    policy = replace(policy, images=chosen)

    def tell(event: Event) -> None:
        told.steps[-1].events.append(event)
        for happening in happenings:
            happening.hear(event, stage, told.watch)

    for step in rounds(observer, Actor(aws, observer), policy, stage.sim, Ways(tell=tell)):
        told.steps.append(Step(step))
        _check_round(told, step)
    # Only now: a life may still be killed while it carries out what its last decision says.
    told.verdict = told.steps[-1].round.decision.verdict


def _check_round(told: Told, step: Round) -> None:
    """What holds in every round: nothing broken, never silent, every wait dated, a memory that fits a parameter."""
    decision = step.decision
    assert not told.watch.breaches, "\n".join(told.watch.breaches)
    assert decision.actions or decision.waits or decision.verdict, f"round {step.number} is silent"
    undated = [wait for wait in decision.waits if wait.since is None]
    assert not undated, f"round {step.number} does not say since when it waits: {undated}"
    size = len(json.dumps(plain(step.memory), separators=(",", ":")))
    assert size <= MEMORY_LIMIT, f"round {step.number} remembers {size} characters"
    assert len(told.steps) < MOST_ROUNDS, f"no end after {MOST_ROUNDS} rounds: it waits for {decision.waits}"


def plain(memory: Memory) -> Mapping[str, object]:
    """The memory as JSON would hold it."""
    said: dict[str, object] = json.loads(json.dumps(dataclasses.asdict(memory), default=str))
    return said
