"""What a roll will be like: rehearsals with the policy as it is, quick and slow, and other ways beside it. Pure.

The likely time is the mean of three rehearsals: with durations as they were learned, and with what is not known about
them leaning to the quick and to the slow side. The range is what these three span, and a margin for chance, which is
smaller the more hosts there are. Where hosts are drained in windows only, the nights in between belong to the time, and
a host more or less in one of them may take (or save) the next one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from statistics import fmean

from ecsroll.asg import surge_for
from ecsroll.habits import Habits
from ecsroll.model import Amount, Policy, Snapshot
from ecsroll.policy import spelled
from ecsroll.rehearsal import Rehearsal, rehearse
from ecsroll.terrain import Terrain
from ecsroll.window import opens

__all__ = ["Forecast", "Option", "foresee", "name_of"]

WITHIN = 3.5
"""Seconds, readings included, in which rehearsals beside the policy's own have to be done: a plan is to be answered
within five, and its process needs one to start."""
LEAST = 1.5
"""Seconds that there are for them all the same, where the readings took longer."""
FEW, SLOW = 12, 0.45
"""Hosts to replace, and the seconds that a rehearsal of so few takes on a slow machine only: there the first one has to
do, where the answer would not come within five seconds else."""
CHEAP = 1.25
"""Seconds that a rehearsal may take to be repeated with quick and with slow durations."""
MARGIN, CHANCE = 0.04, 0.14
"""Of the time: what a rehearsal never gets right, and what chance does to the work of a single host."""
UNREHEARSED = 0.25
"""Of the time: the range where a cluster is too large to be rehearsed three times."""
WORTH_TIME, WORTH_MOVES = 0.25, 0.15
"""What more hosts at once have to save: a quarter of the time, or one task in seven moving once more."""
OTHERS = (Amount(1), Amount(25, percent=True), Amount(2), Amount(10, percent=True))
"""Surges that are tried beside the one asked for, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to roll, rehearsed."""

    policy: Policy
    rehearsal: Rehearsal
    asked: bool
    """Whether it is the one that was asked for."""

    @property
    def done(self) -> bool:
        """Whether it comes to a good end."""
        return self.rehearsal.well


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is foreseen of one roll."""

    main: Rehearsal
    """The rehearsal that is shown: with durations as they were learned, unless only another one ends well."""
    halted: tuple[Rehearsal, ...]
    """Rehearsals with this policy that do not end well, of all ``tried``."""
    tried: int
    low: timedelta
    likely: timedelta
    high: timedelta
    options: tuple[Option, ...]
    """From the fewest hosts at once to the most."""
    recommended: Option | None
    why: str
    skipped: tuple[str, ...]
    """Options that there was no time to rehearse."""
    habits: Habits


def foresee(
    terrain: Terrain,
    seen: Snapshot,
    policy: Policy,
    habits: Habits,
    outdated: Mapping[str, int],
    elapsed: Callable[[], float],
    spent: float = 0.0,
) -> Forecast:
    """Rehearse. ``outdated``: hosts to replace, by group; ``elapsed``: a clock; ``spent``: seconds of it on reading."""
    began = elapsed()
    runs = [rehearse(terrain, seen, policy, habits, seed=1)]
    price, hosts = elapsed() - began, sum(outdated.values())
    slow, left = hosts <= FEW and price >= SLOW, max(0.0, WITHIN - spent)
    if 3 * price <= left if slow else price < CHEAP:
        runs += [rehearse(terrain, seen, policy, habits, lean=lean, seed=2 + int(lean)) for lean in (-1.0, 1.0)]
    well = [run for run in runs if run.well]
    main = (well or runs)[0]
    until = began + (left if slow else max(LEAST, left))
    others = [] if seen.roll else list(_others(seen, policy, outdated))
    rehearsing = partial(rehearse, terrain, seen, habits=habits, seed=1)
    options = [Option(policy=policy, rehearsal=main, asked=True)]
    options += _in_time(others, rehearsing, lambda: elapsed() + price <= until)
    skipped = tuple(name_of(other) for other in others[len(options) - 1 :])
    options.sort(key=lambda option: option.rehearsal.tally.peak)
    best, why = _recommended(options, untried=bool(skipped))
    low, likely, high = _range(well or runs, hosts)
    return Forecast(
        main=main,
        halted=tuple(run for run in runs if not run.well),
        tried=len(runs),
        low=low,
        likely=likely,
        high=high,
        options=tuple(options),
        recommended=best,
        why=why,
        skipped=skipped,
        habits=habits,
    )


def _in_time(
    others: Sequence[Policy], rehearsing: Callable[[Policy], Rehearsal], enough: Callable[[], bool]
) -> Iterable[Option]:
    for other in others:
        if not enough():
            return
        yield Option(policy=other, rehearsal=rehearsing(other), asked=False)


def _range(runs: Sequence[Rehearsal], hosts: int) -> tuple[timedelta, timedelta, timedelta]:
    margin = MARGIN + CHANCE / math.sqrt(max(1, hosts)) if len(runs) > 1 else UNREHEARSED
    nights = len(runs[0].nights)
    alike = [run.took.total_seconds() for run in runs if len(run.nights) == nights]
    likely = timedelta(seconds=fmean(alike))
    low, high = min(_soonest(run, margin) for run in runs), max(_latest(run, margin) for run in runs)
    return low, likely, high


def _soonest(run: Rehearsal, margin: float) -> timedelta:
    """A last night with few hosts in it is saved where the nights before it go a little better."""
    if len(run.nights) > 1 and run.well:
        before = sum(night.replaced for night in run.nights[:-1])
        if run.nights[-1].replaced <= math.ceil(margin * before):
            return run.nights[-2].shuts - run.began
    return run.took - margin * (run.took - run.idle)


def _latest(run: Rehearsal, margin: float) -> timedelta:
    """Where the last drain would only begin after the window has shut, it begins when the next one opens."""
    worked = run.took - run.idle
    drains = [step.after for step in run.steps if step.event.kind == "drain_started"]
    if run.nights and run.well and drains and run.began + drains[-1] + margin * worked >= run.nights[-1].shuts:
        again = opens(run.policy.windows, run.nights[-1].shuts)
        assert again is not None
        return again - run.began + (1 + margin) * (run.took - drains[-1])
    return run.took + margin * worked


# Other ways ------------------------------------------------------------------------------------------------------


def _others(seen: Snapshot, policy: Policy, outdated: Mapping[str, int]) -> Iterable[Policy]:
    """Other surges, and all new hosts first: each once, by what it comes to in hosts."""
    ways = [replace(policy, strategy="double")]
    ways += [replace(policy, strategy="rolling", surge=amount) for amount in OTHERS]
    known = {_room(seen, policy, outdated)}
    for way in ways:
        room = _room(seen, way, outdated)
        if room not in known and any(room):
            known.add(room)
            yield way


def _room(seen: Snapshot, policy: Policy, outdated: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(surge_for(group, outdated.get(name, 0), policy) for name, group in sorted(seen.groups.items()))


def name_of(policy: Policy) -> str:
    """A way to roll, in words."""
    return "double" if policy.strategy == "double" else f"rolling, surge {policy.surge}"


# Which one -------------------------------------------------------------------------------------------------------


def _recommended(options: Sequence[Option], *, untried: bool = False) -> tuple[Option | None, str]:
    """The fewest hosts at once after which more do not save enough, and the reason in a sentence."""
    good = [option for option in options if option.done]
    if not good:
        return None, "no way that was rehearsed comes to a good end"
    best, why = good[0], ""
    for option in good[1:]:
        saved = _saved(best, option)
        if saved:
            best, why = option, saved
    if len(good) == 1:
        alone = "there is no other" if len(options) == 1 and not untried else "no other was rehearsed to a good end"
        return best, alone
    return best, why or f"more hosts at once save less than {WORTH_TIME:.0%} of its time"


def _saved(least: Option, more: Option) -> str:
    """What the option with more hosts saves, if that is worth them."""
    before, after = least.rehearsal, more.rehearsal
    hosts = after.tally.peak - before.tally.peak
    time, moves = before.took - after.took, before.tally.moves - after.tally.moves
    price = f"for {hosts} more host{'s' if hosts != 1 else ''} at once"
    if time >= WORTH_TIME * before.took:
        return f"it saves {spelled(time)} of {spelled(before.took)} over {name_of(least.policy)}, {price}"
    if moves >= WORTH_MOVES and time >= timedelta(0):
        return f"{moves:.2f} fewer moves per task than {name_of(least.policy)}, {price}"
    return ""
