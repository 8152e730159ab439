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
from ecsroll.gates import outside_words
from ecsroll.habits import Habits
from ecsroll.model import Host, Policy, Snapshot, Verdict, Wait
from ecsroll.observe import Observer
from ecsroll.replica import replica
from ecsroll.simulator import Simulation
from ecsroll.simulator.world import Durations, Refusal
from ecsroll.tally import Tally
from ecsroll.terrain import Terrain
from ecsroll.turn import outdated_by_group
from ecsroll.window import closes, opens

__all__ = ["Moves", "Night", "Rehearsal", "Step", "Unrehearsable", "rehearse"]

LONGEST = 5
"""Waits that are remembered."""
MOST_ROUNDS = 20_000
"""Rounds after which a rehearsal is given up: at the usual interval more than three days."""
MOST_NIGHTS = 14
"""Windows after which it is given up: a plan is to be answered soon."""
AT_REST = timedelta(minutes=15)
"""How long nothing new has to be waited for, beyond the boot timeout, before a long wait is skipped: no gate looks back
further."""
IN_VAIN = 3
"""Windows in a row in which no host is replaced: then none ever is."""


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
class Night:
    """A window that the roll takes up. What it begins before the window shuts, it finishes after it."""

    opens: datetime
    """When the window opens; when the roll begins, if it is open then."""
    shuts: datetime
    replaced: int
    remaining: int


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
    began: datetime
    nights: tuple[Night, ...] = ()
    """The windows that it takes; none where the policy has none."""
    idle: timedelta = timedelta()
    """How long it did nothing but wait for a window or the end of a protection, or was not run."""
    runs: int = 1
    """How often the command has to be run: it may have been told to exit when a window shuts."""
    endless: bool = False
    """It was given up before it had an end."""

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
    here = (each for each in terrain.services.values() if each.definition and not each.elsewhere)
    unread = sorted(each.name for each in here if each.definition not in terrain.definitions)
    if unread:
        raise Unrehearsable(f"what a task of {', '.join(unread)} needs could not be read")
    try:
        return _rehearse(terrain, seen, policy, habits, lean, seed)
    except (Refusal, AwsRefusal, NotFound) as no:
        raise Unrehearsable(str(no)) from no


def _rehearse(terrain: Terrain, seen: Snapshot, policy: Policy, habits: Habits, lean: float, seed: int) -> Rehearsal:
    sim = replica(terrain, seen, policy, durations(habits, lean), seed=seed)
    aws = Aws(sim, sim, workers=1, chance=Random(seed))  # noqa: S311 - the jitter of its retries
    if seen.roll is None:
        sim.sleep(_until(opens(policy.windows, sim.now()), sim).total_seconds())
    notes = _Notes(policy=policy, began=sim.now())
    while True:
        _run(aws, sim, Observer(aws, terrain.cluster, policy.groups, epoch=seen.epoch), notes)
        if notes.over:
            return notes.rehearsal()
        # Told to exit outside of a window, it did; whoever runs it runs it again in the next one.
        notes.runs, notes.held = notes.runs + 1, None
        notes.sleep(opens(policy.windows, sim.now()), sim)


def _run(aws: Aws, sim: Simulation, observer: Observer, notes: "_Notes") -> None:
    """The command, run once. Nights in which it only waits for the next window are slept through."""
    for step in rounds(observer, Actor(aws, observer), notes.policy, sim, Ways(tell=notes.hear)):
        notes.read(step)
        if notes.endless:
            return
        waits = step.decision.waits
        if waits and not step.decision.actions and all(wait.kind == "window" for wait in waits):
            notes.sleep(waits[0].until, sim)
        elif until := notes.nothing_until(step):
            notes.skip(until, sim)


def _until(moment: datetime | None, sim: Simulation) -> timedelta:
    return max(timedelta(), moment - sim.now()) if moment else timedelta()


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
    rounds: int = 0
    runs: int = 1
    idle: timedelta = timedelta()
    slept: list[int] = field(default_factory=list)
    """How many hosts there were to replace, each time that it waited for a window."""
    nights: list[tuple[datetime, datetime, int]] = field(default_factory=list)
    """Windows: when each opens and shuts, and how many hosts there are to replace when it does."""
    next_one: datetime | None = None
    """When the next window opens; None while one is open."""

    def read(self, step: Round) -> None:
        """A round's picture, before its actions are carried out."""
        self.rounds += 1
        if self.policy.windows:
            self._read_window(step.seen)
        if self.last is not None:
            self.surplus += (step.seen.at - self.last.seen.at) * _surplus(self.last.seen)
        self.tally.read(step.seen)
        self._read_moves(step.seen)
        if step.memory.stop is not None and self.held is None:
            self.held = frozenset(self._holds(step))
        for wait in step.decision.waits:
            if wait.since is not None and wait.kind != "window":
                waited = step.seen.at - wait.since
                if wait.kind not in self.waited or waited >= self.waited[wait.kind][1]:
                    self.waited[wait.kind] = (wait, waited)
        self.last = step

    def _read_window(self, seen: Snapshot) -> None:
        shuts = closes(self.policy.windows, seen.at)
        if shuts is None:
            self.next_one = opens(self.policy.windows, seen.at)
        elif self.next_one is not None or not self.nights:
            self.nights.append((self.next_one or seen.at, shuts, _outdated(seen, self.policy)))
            self.next_one = None
        else:  # one window may follow upon another
            self.nights[-1] = (self.nights[-1][0], shuts, self.nights[-1][2])

    def sleep(self, until: datetime | None, sim: Simulation) -> None:
        """Let the time pass in which the roll does nothing."""
        wait = _until(until, sim)
        self.idle += wait
        self.slept.append(_outdated(self.last.seen, self.policy) if self.last else 0)
        sim.sleep(wait.total_seconds())

    def nothing_until(self, step: Round) -> datetime | None:
        """Until when nothing will happen: all that holds the drained hosts is protected, and all else is at rest.

        None where something may. A task may be protected for two days (aws-facts 3.5), which are many rounds.
        """
        waits, at_rest = step.decision.waits, AT_REST + self.policy.boot_timeout
        new = any(wait.since is None or step.seen.at - wait.since < at_rest for wait in waits)
        if not waits or new or step.decision.actions or self.policy.windows:
            return None
        held = [tuple(self._holding(host, step)) for host in _drained(step.seen)]
        until = [hold.until for holds in held for hold in holds if hold.kind is Kind.PROTECTED and hold.until]
        certain = all(held) and len(until) == sum(map(len, held))
        return min(until, default=None) if certain else None

    def skip(self, until: datetime, sim: Simulation) -> None:
        """Let the time pass in which nothing happens."""
        wait = _until(until, sim)
        self.idle += wait
        sim.sleep(wait.total_seconds())

    @property
    def endless(self) -> bool:
        """Whether it goes on for longer than anybody would want to foresee."""
        return self.rounds >= MOST_ROUNDS or len(self.slept) > MOST_NIGHTS or self._in_vain

    @property
    def _in_vain(self) -> bool:
        """As the last of these windows has shut there is as much left to do as before the first of them."""
        left = self.slept[-IN_VAIN - 1 :]
        return len(left) > IN_VAIN and left[0] == left[-1] > 0

    @property
    def over(self) -> bool:
        """Whether its verdict is the last word; a roll that has exited for the window is run again in the next one."""
        assert self.last is not None
        stop, refused = self.last.memory.stop, self.last.decision.verdict
        if self.endless or self.policy.outside_window != "exit" or refused is None:
            return True
        shut = outside_words(self.policy, stop.at if stop else self.last.seen.at)
        return not (shut and refused.reason.startswith(shut))

    def _read_moves(self, seen: Snapshot) -> None:
        """The tasks of the hosts that the roll drains: read whole only from then on."""
        for host in _drained(seen):
            for task in seen.on(host):
                if task.service is not None and not task.daemon:
                    self.moved.setdefault(task.arn, (task.service, host.id, seen.at - self.began))

    def _holds(self, step: Round) -> Iterable[Kind]:
        for host in _drained(step.seen):
            yield from (hold.kind for hold in self._holding(host, step))

    def _holding(self, host: Host, step: Round) -> Iterable[drain.Hold]:
        return drain.holds(host, step.seen, step.memory.agentless.get(host.id), self.policy)

    def hear(self, event: Event) -> None:
        """A fact."""
        self.steps.append(Step(after=event.at - self.began, event=event))

    def rehearsal(self) -> Rehearsal:
        """All of it."""
        assert self.last is not None
        verdict = (self.last.decision.verdict if not self.endless else None) or self._no_end()
        longest = sorted(self.waited.values(), key=lambda pair: -pair[1])
        return Rehearsal(
            policy=self.policy,
            verdict=verdict,
            took=self.last.seen.at - self.began,
            rounds=self.rounds,
            steps=tuple(self._with_moves(step) for step in self.steps),
            moves=tuple(self._by_service(self.last.seen)),
            tally=self.tally,
            surplus=self.surplus,
            longest=tuple(pair for pair in longest if pair[1])[:LONGEST],
            held=self.held or frozenset(),
            last=self.last,
            began=self.began,
            nights=tuple(self._told(self.last.seen)),
            idle=self.idle,
            runs=self.runs,
            endless=self.endless,
        )

    def _no_end(self) -> Verdict:
        assert self.last is not None
        left = _outdated(self.last.seen, self.policy)
        if self._in_vain:
            return Verdict(result="halted", reason="no window is long enough to replace a host in it", remaining=left)
        after = f" after {MOST_NIGHTS} windows" if len(self.slept) > MOST_NIGHTS else ""
        return Verdict(result="halted", reason=f"no end was in sight{after}")

    def _told(self, seen: Snapshot) -> Iterable[Night]:
        """The windows, with what came of each; without one that has only just opened when it was given up."""
        left = [*(outdated for _, _, outdated in self.nights[1:]), _outdated(seen, self.policy)]
        told = [
            Night(opens=begin, shuts=end, replaced=max(0, before - after), remaining=after)
            for (begin, end, before), after in zip(self.nights, left, strict=False)
        ]
        return told[:-1] if self.endless else told

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


def _outdated(seen: Snapshot, policy: Policy) -> int:
    return sum(outdated_by_group(seen, policy).values())


def _drained(seen: Snapshot) -> list[Host]:
    """The hosts that the roll drains at this moment."""
    return [host for host in seen.hosts.values() if drain.ours(host, seen.epochs)]


def _surplus(seen: Snapshot) -> int:
    """Live hosts above what their groups want by themselves."""
    over = 0
    for name, group in seen.groups.items():
        page = seen.ledgers.get(name)
        live = sum(host.live for host in seen.of(group))
        over += max(0, live - natural(group, page.room if page else None))
    return over
