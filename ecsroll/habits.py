"""How long things take here: learned from the cluster's own past, each with its source. Pure.

What a roll's time depends on: how soon a group reacts, how long its hosts boot and register, how long tasks start and
stop. AWS keeps traces of all of it: scaling activities (six weeks), launch and registration times of the hosts that
are there, the times of tasks (stopped ones for an hour). Where there is no trace a default is taken, and said so.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import fmean, median, pstdev
from typing import Literal

from ecsroll.terrain import ActivityFacts, DefinitionFacts, GroupFacts, Terrain

__all__ = ["Habit", "Habits", "What", "family_of", "learn"]

What = Literal["reaction", "boot", "registration", "start", "stop", "deregistration", "health"]
Span = tuple[float, float]

EVEN = math.sqrt(3)
"""Half the width of an even spread, in standard deviations."""
SURE = 1.64
"""How many standard errors the low and the high case are away from the mean: nine cases of ten lie between them."""
STRAY = 4.0
"""A value this many times the median is none of the usual ones: a host that waited for its cluster, a stuck pull."""
ONCE = 3600.0
"""Seconds from a launch after which a host has not registered for the first time: its agent has done so again."""
FEW = 5
"""Fewer values than this say little about their spread: it is taken to be a fifth of them at least."""
DEFAULTS: dict[What, Span] = {
    "reaction": (2, 10),
    "boot": (10, 60),
    "registration": (10, 60),
    "start": (3, 30),
    "stop": (1, 30),
}
"""Seconds, where nothing is known (aws-facts 9)."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How long one thing takes, in seconds: usually between ``low`` and ``high``; ``mean`` is known to ``error``."""

    what: What
    subject: str
    """The group, the task-definition family, or the target group."""
    mean: float
    low: float
    high: float
    error: float
    samples: int
    source: str
    """Where it was learned, as the end of a sentence."""

    @property
    def known(self) -> bool:
        """Whether it was seen (or is a setting), and not just supposed."""
        return self.samples > 0

    def span(self, lean: float = 0.0) -> Span:
        """What to draw from, with the mean moved by ``lean`` times what is not known about it (-1 … 1)."""
        half = (self.high - self.low) / 2
        mean = max(0.1, self.mean + lean * self.error)
        return max(0.05, mean - half), max(0.1, mean + half)


@dataclass(frozen=True, slots=True)
class Habits:
    """Everything that was learned, by what it is and of whom."""

    all: tuple[Habit, ...]

    def find(self, what: What, subject: str) -> Habit:
        """One of them. Raises KeyError."""
        for habit in self.all:
            if (habit.what, habit.subject) == (what, subject):
                return habit
        raise KeyError((what, subject))

    def of(self, what: What) -> dict[str, Habit]:
        """All of a kind, by subject."""
        return {habit.subject: habit for habit in self.all if habit.what == what}


def learn(terrain: Terrain) -> Habits:
    """What the terrain tells about durations: for each group and each family of tasks that it has."""
    found: list[Habit] = []
    for group in terrain.groups.values():
        found += _of_group(group, terrain)
    found += _starts(terrain)
    found += _stops(terrain)
    found += _targets(terrain)
    return Habits(tuple(found))


# Groups ----------------------------------------------------------------------------------------------------------


def _of_group(group: GroupFacts, terrain: Terrain) -> Iterable[Habit]:
    launches = [each for each in group.activities if each.kind == "launch" and each.took is not None]
    since = _since((each.began for each in launches), terrain.at)
    lags = [lag for each in launches if (lag := _reaction(each)) is not None]
    yield _habit("reaction", group.name, lags, f"launches {since}")
    boots = [each.took.total_seconds() + 0.5 for each in launches if each.took is not None]  # AWS cuts off the fraction
    ended = {each.instance: each.ended for each in launches}
    hosts = [host for host in terrain.of(group.name) if host.registered_at is not None]
    later = [
        (host.registered_at - end).total_seconds()
        for host in hosts
        if (end := ended.get(host.id)) is not None and host.registered_at is not None
    ]
    later = [seconds for seconds in later if seconds < ONCE]
    if boots and later:
        yield _habit("boot", group.name, boots, f"launches of {group.name} {since}")
        yield _habit("registration", group.name, later, f"of its hosts {since}")
        return
    whole = [
        (host.registered_at - host.launched_at).total_seconds()
        for host in hosts
        if host.registered_at is not None and host.launched_at is not None
    ]
    yield from _halves(group.name, [seconds for seconds in whole if 0 < seconds < ONCE])


def _halves(group: str, whole: Sequence[float]) -> Iterable[Habit]:
    """Only from launch to registration is known: half of it each."""
    source = "hosts, from their launch to their registration (half of it)"
    for what in ("boot", "registration"):
        yield _habit(what, group, [seconds / 2 for seconds in whole], source)


def _reaction(activity: ActivityFacts) -> float | None:
    """From a change of DesiredCapacity to the launch that it caused, as the cause tells both."""
    found = re.match(
        r"At (\S+Z) [^.]*(?:user request|constraints|monitor alarm).*?At (\S+Z) an instance was started",
        activity.cause,
        re.DOTALL,
    )
    if found is None:
        return None
    lag = (datetime.fromisoformat(found[2]) - datetime.fromisoformat(found[1])).total_seconds()
    return lag if 0 <= lag <= 120 else None


def _since(moments: Iterable[datetime], now: datetime) -> str:
    """``in 3 days``: how far back the oldest of them lies."""
    oldest = min(moments, default=now)
    age = now - oldest
    if age < HOUR:
        return "in the last hour"
    if age < timedelta(days=2):
        return f"in {round(age / HOUR)} hours"
    return f"in {age.days} days" if age < timedelta(weeks=3) else f"in {round(age.days / 7)} weeks"


# Tasks -----------------------------------------------------------------------------------------------------------


def family_of(definition: str) -> str:
    """The family in the ARN of a task definition."""
    return definition.rpartition("/")[2].partition(":")[0]


def _families(terrain: Terrain) -> dict[str, DefinitionFacts | None]:
    found: dict[str, DefinitionFacts | None] = {}
    for task in terrain.tasks.values():
        found.setdefault(family_of(task.definition), terrain.definitions.get(task.definition))
    for service in terrain.services.values():
        found.setdefault(family_of(service.definition), terrain.definitions.get(service.definition))
    return found


def _starts(terrain: Terrain) -> Iterable[Habit]:
    values: dict[str, list[float]] = {}
    for task in terrain.tasks.values():
        if task.created is not None and task.started is not None:
            values.setdefault(family_of(task.definition), []).append((task.started - task.created).total_seconds())
    everywhere = [seconds for some in values.values() for seconds in some]
    for family in _families(terrain):
        own = values.get(family)
        source = f"tasks of {family}" if own else "tasks of other families"
        yield _habit("start", family, own or everywhere, source)


def _stops(terrain: Terrain) -> Iterable[Habit]:
    """From SIGTERM to the end of the last container: what is left after the targets have been deregistered."""
    values: dict[str, list[float]] = {}
    delays = {
        name: max((terrain.target_groups[arn].deregistration_delay for arn in service.target_groups), default=None)
        for name, service in terrain.services.items()
        if all(arn in terrain.target_groups for arn in service.target_groups)
    }
    for task in terrain.tasks.values():
        if task.stopping is None or task.execution_stopped is None or task.started is None:
            continue
        if task.stop_code == "EssentialContainerExited" or (task.service and task.service not in delays):
            continue
        delay = delays.get(task.service or "") or timedelta()
        took = (task.execution_stopped - task.stopping - delay).total_seconds()
        if took >= 0:
            values.setdefault(family_of(task.definition), []).append(took)
    for family, definition in _families(terrain).items():
        limit = definition.stop_timeout.total_seconds() if definition else DEFAULTS["stop"][1]
        own = values.get(family, [])
        if own:
            yield _habit("stop", family, own, f"tasks of {family} that stopped in the last hour")
        else:
            yield _supposed(
                "stop", family, (min(1.0, limit), limit), f"none stopped lately: its stop timeout is {limit:g}s"
            )


def _targets(terrain: Terrain) -> Iterable[Habit]:
    """Settings: the delay is waited for in full, and one passed check makes a new target healthy (aws-facts 3.6, 9)."""
    for group in terrain.target_groups.values():
        delay, interval = group.deregistration_delay.total_seconds(), group.interval.total_seconds()
        yield Habit(
            what="deregistration",
            subject=group.name,
            mean=delay,
            low=delay,
            high=delay,
            error=0.0,
            samples=1,
            source="its deregistration delay",
        )
        yield replace(
            _supposed("health", group.name, (interval / 6, interval), f"one check passed, every {interval:g}s"),
            samples=1,
        )


# Numbers ---------------------------------------------------------------------------------------------------------


def _habit(what: What, subject: str, values: Sequence[float], source: str) -> Habit:
    """The usual course of some durations, without strays; a default if there are none."""
    usual = _without_strays(values)
    if not usual:
        return _supposed(what, subject, DEFAULTS[what], "nothing is known: a usual value")
    mean, spread = fmean(usual), pstdev(usual)
    if len(usual) < FEW:
        spread = max(spread, mean / 5)
    return Habit(
        what=what,
        subject=subject,
        mean=mean,
        low=max(0.0, mean - EVEN * spread),
        high=mean + EVEN * spread,
        error=SURE * spread / math.sqrt(len(usual)),
        samples=len(usual),
        source=f"from {len(usual)} {source}",
    )


def _without_strays(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    middle = median(values)
    return [value for value in values if value <= STRAY * max(middle, 1.0)]


def _supposed(what: What, subject: str, span: Span, source: str) -> Habit:
    low, high = span
    return Habit(
        what=what,
        subject=subject,
        mean=(low + high) / 2,
        low=low,
        high=high,
        error=(high - low) / 2,
        samples=0,
        source=source,
    )
