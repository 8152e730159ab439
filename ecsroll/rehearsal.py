"""A roll carried out on a replica: the same ``decide``, to the end, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from ecsroll import drain
from ecsroll.act import Actor
from ecsroll.asg import natural
from ecsroll.aws import Aws
from ecsroll.drain import Kind
from ecsroll.engine import Round, Ways, rounds
from ecsroll.errors import AwsRefusal, NotFound
from ecsroll.events import Event
from ecsroll.habits import Habits
from ecsroll.model import Host, Policy, Snapshot, Verdict, Wait
from ecsroll.observe import Observer
from ecsroll.replica import replica
from ecsroll.simulator.world import Durations, Refusal
from ecsroll.tally import Tally
from ecsroll.terrain import Terrain

__all__ = ["Moves", "Rehearsal", "Step", "Unrehearsable", "rehearse"]

LONGEST = 5
"""Waits that are remembered."""
MOST_ROUNDS = 20_000
"""Rounds after which a rehearsal is given up: at the usual interval more than three days."""


class Unrehearsable(Exception):  # noqa: N818 - nothing failed but the attempt to foresee
    """The roll can not be rehearsed; what stands in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that the roll does, ``after`` its beginning."""

    after: timedelta
    event: Event
    moves: Mapping[str, int] = field(default_factory=dict)
    """Tasks that a drain moves, by service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """When a service's tasks move, and how often one does."""

    service: str
    tasks: int
    moved: int
    first: timedelta
    last: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How a roll went on the replica."""

    policy: Policy
    verdict: Verdict
    took: timedelta
    rounds: int
    steps: tuple[Step, ...]
    moves: tuple[Moves, ...]
    tally: Tally
    surplus: timedelta
    """Hosts above what the groups want by themselves, times how long they were there: host-hours."""
    longest: tuple[tuple[Wait, timedelta], ...]
    """What was waited for longest of each kind of wait, and for how long; the longest first."""
    held: frozenset[Kind]
    """Where the roll stopped itself: what held the hosts that it was draining then."""
    last: Round
    """The round that brought the verdict."""

    @property
    def well(self) -> bool:
        """Whether it came to a good end."""
        return self.verdict.result in {"done", "nothing"}


def durations(habits: Habits, lean: float) -> Durations:
    """The simulated AWS's durations as they were learned; ``lean`` goes to the quick (-1) or the slow (1) side."""
    reactions = [habit.span(lean) for habit in habits.of("reaction").values()]
    made = Durations(
        boots={name: habit.span(lean) for name, habit in habits.of("boot").items()},
        registers={name: habit.span(lean) for name, habit in habits.of("registration").items()},
        starts={name: habit.span(lean) for name, habit in habits.of("start").items()},
        stops={name: habit.span(lean) for name, habit in habits.of("stop").items()},
    )
    if reactions:
        made.scaling_reacts = (min(low for low, _ in reactions), max(high for _, high in reactions))
    return made


def rehearse(
    terrain: Terrain, seen: Snapshot, policy: Policy, habits: Habits, *, lean: float = 0.0, seed: int = 0
) -> Rehearsal:
    """Roll the replica with this policy until there is a verdict. Changes nothing of the real cluster.

    ``seen.epoch`` is the one that the roll's lease would have. Raises Unrehearsable where the replica refuses what the
    real AWS would not: something of the cluster is not known, or not simulated.
    """
    unread = sorted(name for name, each in terrain.services.items() if each.definition not in terrain.definitions)
    if unread:
        raise Unrehearsable(f"what a task of {', '.join(unread)} needs could not be read")
    try:
        return _rehearse(terrain, seen, policy, habits, lean, seed)
    except (Refusal, AwsRefusal, NotFound) as no:
        raise Unrehearsable(str(no)) from no


def _rehearse(terrain: Terrain, seen: Snapshot, policy: Policy, habits: Habits, lean: float, seed: int) -> Rehearsal:
    sim = replica(terrain, seen, policy, durations(habits, lean), seed=seed)
    aws = Aws(sim, sim, workers=1, chance=Random(seed))  # noqa: S311 - the jitter of its retries
    observer = Observer(aws, terrain.cluster, policy.groups, epoch=seen.epoch)
    notes = _Notes(policy=policy, began=sim.now())
    for step in rounds(observer, Actor(aws, observer), policy, sim, Ways(tell=notes.hear)):
        notes.read(step)
        if step.number >= MOST_ROUNDS:
            break
    return notes.rehearsal()


@dataclass(slots=True)
class _Notes:
    """What is written down while it goes on."""

    policy: Policy
    began: datetime
    tally: Tally = field(default_factory=Tally)
    steps: list[Step] = field(default_factory=list)
    surplus: timedelta = timedelta()
    since: dict[str, Wait] = field(default_factory=dict)
    waited: dict[str, tuple[Wait, timedelta]] = field(default_factory=dict)
    moved: dict[str, tuple[str, str, timedelta]] = field(default_factory=dict)
    """Tasks that moved: service, host, and when the host was first seen to be drained."""
    held: frozenset[Kind] | None = None
    last: Round | None = None

    def read(self, step: Round) -> None:
        """A round's picture, before its actions are carried out."""
        if self.last is not None:
            self.surplus += (step.seen.at - self.last.seen.at) * _surplus(self.last.seen)
        self.tally.read(step.seen)
        self._read_moves(step.seen)
        if step.memory.stop is not None and self.held is None:
            self.held = frozenset(self._holds(step))
        for wait in step.decision.waits:
            if wait.since is not None:
                waited = step.seen.at - wait.since
                if wait.kind not in self.waited or waited >= self.waited[wait.kind][1]:
                    self.waited[wait.kind] = (wait, waited)
        self.last = step

    def _read_moves(self, seen: Snapshot) -> None:
        """The tasks of the hosts that the roll drains: read whole only from then on."""
        for host in _drained(seen):
            for task in seen.on(host):
                if task.service is not None and not task.daemon:
                    self.moved.setdefault(task.arn, (task.service, host.id, seen.at - self.began))

    def _holds(self, step: Round) -> Iterable[Kind]:
        for host in _drained(step.seen):
            lost = step.memory.agentless.get(host.id)
            yield from (hold.kind for hold in drain.holds(host, step.seen, lost, self.policy))

    def hear(self, event: Event) -> None:
        """A fact."""
        self.steps.append(Step(after=event.at - self.began, event=event))

    def rehearsal(self) -> Rehearsal:
        """All of it."""
        assert self.last is not None
        verdict = self.last.decision.verdict or Verdict(result="halted", reason="no end was in sight")
        longest = sorted(self.waited.values(), key=lambda pair: -pair[1])
        return Rehearsal(
            policy=self.policy,
            verdict=verdict,
            took=self.last.seen.at - self.began,
            rounds=self.last.number,
            steps=tuple(self._with_moves(step) for step in self.steps),
            moves=tuple(self._by_service(self.last.seen)),
            tally=self.tally,
            surplus=self.surplus,
            longest=tuple(pair for pair in longest if pair[1])[:LONGEST],
            held=self.held or frozenset(),
            last=self.last,
        )

    def _with_moves(self, step: Step) -> Step:
        """A drain, with what it moves."""
        if step.event.kind != "drain_started":
            return step
        hosts = set(step.event.facts["hosts"])
        return replace(step, moves=dict(Counter(service for service, host, _ in self.moved.values() if host in hosts)))

    def _by_service(self, seen: Snapshot) -> Iterable[Moves]:
        times: dict[str, list[timedelta]] = {}
        for service, _, after in self.moved.values():
            times.setdefault(service, []).append(after)
        for name, moments in sorted(times.items(), key=lambda pair: (min(pair[1]), pair[0])):
            tasks = seen.services[name].desired if name in seen.services else 0
            yield Moves(service=name, tasks=tasks, moved=len(moments), first=min(moments), last=max(moments))


def _drained(seen: Snapshot) -> list[Host]:
    """The hosts that the roll drains at this moment."""
    epochs = seen.past | ({seen.roll.epoch} if seen.roll else frozenset())
    return [host for host in seen.hosts.values() if host.draining and drain.ours(host, epochs)]


def _surplus(seen: Snapshot) -> int:
    """Live hosts above what their groups want by themselves."""
    over = 0
    for name, group in seen.groups.items():
        page = seen.ledgers.get(name)
        live = sum(host.live for host in seen.of(group))
        over += max(0, live - natural(group, page.room if page else None))
    return over
