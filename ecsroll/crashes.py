"""Crash loops: tasks of one service and task definition that fail, are started anew, and fail again.

ECS throttles only starts that never reach RUNNING. A container that dies seconds later, or fails its health checks, is
restarted at full speed for ever, and nobody is told (aws-facts 7.6): so this counts itself.

A loop is all of these: enough failed stops within the window (a share of the wanted tasks, as the circuit breaker
takes it), more than the service is used to, and at least one of a task that was made after another had failed. The last
one tells a loop from a bad moment: when a host dies, or a database is away for a minute, many fail once.

Everything here is pure: no AWS, no clock. A watcher feeds a :class:`Detector`; the gate of a roll (``gates.py``), which
knows its new hosts and what was before it, takes the same verdicts (``stops.py``) and asks :func:`tried_again`.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from ecsroll.stops import StoppedTask, verdict_on

__all__ = ["Cleared", "Detector", "Loop", "LoopKey", "Raised", "Sensitivity", "Wanted", "threshold", "tried_again"]

Wanted = Callable[["LoopKey"], int | None]
"""How many tasks a service wants, or None if nobody knows. Asked only where it matters."""


_SKEW = timedelta(minutes=5)


RESTARTED = "a container ended and was restarted inside its task, which went on"


class LoopKey(NamedTuple):
    """Whose tasks fail: by service and task definition, so that a fixed revision starts clean.

    ``in_place``: containers that are restarted inside their tasks; AWS says their service, and no definition.
    """

    cluster: str
    service: str
    definition: str
    in_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """When failures are a loop, and when it is over."""

    window: timedelta = timedelta(minutes=30)
    """Long enough for three tasks that each need minutes to fail their health checks."""
    least: int = 3
    share: float = 0.5
    most: int = 200
    """``least``, ``share`` and ``most``: the circuit breaker's own numbers (aws-facts 8.3)."""
    quiet: timedelta = timedelta(minutes=10)
    """How long nothing may fail until a loop is over; more for a slow one, see :meth:`patience`."""
    slowest: timedelta = timedelta(hours=1)
    """The start throttle grows to 27 minutes between two tries (aws-facts 8.3): twice that, rounded up."""
    apart: timedelta = timedelta(minutes=2)
    """Restarts in place this far apart are tries one after another. They are known by the minute only, and a container
    is restarted once in 60 s at most (aws-facts 7.6): what is closer may be many containers that ended once."""
    lost: timedelta = timedelta(minutes=2)
    """Stops on a host this close to its loss are the host's, whatever the exit code says."""

    def patience(self, gap: timedelta) -> timedelta:
        """How long to wait for the next failure of a loop whose longest pause was ``gap``: ECS doubles its pauses."""
        return min(max(self.quiet, 2 * gap), self.slowest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A crash loop: since when, how often, and how it fails."""

    key: LoopKey
    since: datetime
    last: datetime
    count: int
    why: str
    """The newest failure's."""
    exit_code: int | None = None
    wanted: int | None = None
    gap: timedelta = timedelta(0)
    """The longest pause between two failures."""

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        of = f" of {self.wanted} wanted" if self.wanted is not None else ""
        return (
            f"tasks of service {self.key.service} ({self.key.definition}) keep failing: {self.count} since "
            f"{self.since:%H:%M:%S}Z{of}; the last one: {self.why}"
        )


@dataclass(frozen=True, slots=True)
class Raised:
    """A loop has begun."""

    loop: Loop


@dataclass(frozen=True, slots=True)
class Cleared:
    """A loop is over: nothing of it has failed for a while."""

    loop: Loop
    at: datetime


def threshold(wanted: int | None, sensitivity: Sensitivity) -> int:
    """Failed stops that make a loop of a service that wants so many tasks; the least where that is not known."""
    share = math.ceil(sensitivity.share * (wanted or 0))
    return min(max(share, sensitivity.least), sensitivity.most)


class _Failure(NamedTuple):
    at: datetime
    created: datetime | None
    host: str | None
    why: str
    exit_code: int | None


def _failure(task: StoppedTask) -> _Failure | None:
    """A failed stop of a service's task, or None for every other stop."""
    if task.service is None:
        return None
    verdict = verdict_on(task)
    if not verdict.kind.failed:
        return None
    return _Failure(task.at, task.created, task.host, verdict.why, task.exit_code)


def _loop(key: LoopKey, recent: list[_Failure], usual: int, wanted: Wanted, sensitivity: Sensitivity) -> Loop | None:
    if len(recent) < sensitivity.least + usual or not tried_again((each.at, each.created) for each in recent):
        return None
    want = wanted(key)
    if len(recent) < threshold(want, sensitivity) + usual:
        return None
    times = sorted(failure.at for failure in recent)
    newest = max(recent, key=lambda failure: failure.at)
    return Loop(
        key=key,
        since=times[0],
        last=times[-1],
        count=len(recent),
        why=newest.why,
        exit_code=newest.exit_code,
        wanted=want,
        gap=max((after - before for before, after in pairwise(times)), default=timedelta(0)),
    )


def tried_again(failures: Iterable[tuple[datetime, datetime | None]]) -> bool:
    """Whether one of the tasks was made after another had failed: ECS tried again, and that failed, too.

    ``failures``: when each failed, and when it was made, if that is known.
    """
    known = list(failures)
    first = min((at for at, _ in known), default=None)
    return first is not None and any(created is not None and created >= first for _, created in known)


def _with_host(failure: _Failure, lost: Mapping[str, datetime], sensitivity: Sensitivity) -> bool:
    """Whether it stopped because its host did: a shutdown ends containers before ECS hears of the host."""
    gone = lost.get(failure.host or "")
    return gone is not None and abs(failure.at - gone) <= sensitivity.lost


# The watcher's -----------------------------------------------------------------------------------------------------


@dataclass
class Detector:
    """Takes stops as they come, in any order and more than once; says each loop's beginning and end once.

    What it keeps is bounded: ``keys`` services at most, ``kept`` failures of each, ``hosts`` lost hosts. ``horizon`` is
    how far back a service's habits are looked at.
    """

    sensitivity: Sensitivity = field(default_factory=Sensitivity)
    keys: int = 2000
    kept: int = 400
    hosts: int = 5000
    horizon: timedelta = timedelta(hours=2)
    open: dict[LoopKey, Loop] = field(default_factory=dict)
    """Loops that were raised and are not over."""
    _failures: OrderedDict[LoopKey, dict[str, _Failure]] = field(default_factory=OrderedDict)
    _lost: OrderedDict[str, datetime] = field(default_factory=OrderedDict)
    _over: dict[LoopKey, datetime] = field(default_factory=dict)
    _news: set[LoopKey] = field(default_factory=set)

    def stop(self, task: StoppedTask) -> None:
        """A task that has stopped. Seen again, it is the same one."""
        failure = _failure(task)
        if failure is None:
            return
        key = LoopKey(task.cluster, task.service or "", task.definition)
        self._take(key, {task.arn: failure})

    def restarted(self, cluster: str, service: str, at: datetime, count: int) -> None:
        """So many containers of a service were restarted inside their tasks in the minute that began then.

        Told again, with the same number or a greater one, they are the same ones.
        """
        before = at - self.sensitivity.apart
        failure = _Failure(at, before, None, RESTARTED, None)
        names = [f"{at.isoformat()} {number}" for number in range(min(count, self.kept // 4))]
        self._take(LoopKey(cluster, service, "", in_place=True), dict.fromkeys(names, failure))

    def counted(self, key: LoopKey, at: datetime) -> None:
        """A loop was over with the failure at that moment: what an earlier life said of it is not said again."""
        self._over[key] = at

    def _take(self, key: LoopKey, new: Mapping[str, _Failure]) -> None:
        over = self._over.get(key)
        new = {name: failure for name, failure in new.items() if over is None or failure.at > over}
        if not new:
            return
        failures = self._failures.setdefault(key, {})
        self._failures.move_to_end(key)
        failures.update(new)
        if len(failures) > self.kept:
            for arn in sorted(failures, key=lambda arn: failures[arn].at)[: self.kept // 4]:
                del failures[arn]
        self._news.add(key)
        while len(self._failures) > self.keys:
            self._forget(next(iter(self._failures)))

    def _forget(self, key: LoopKey) -> None:
        self._failures.pop(key, None)
        self._over.pop(key, None)
        self._news.discard(key)

    def host_lost(self, host: str, at: datetime) -> None:
        """A host went away, or lost its agent."""
        self._lost[host] = at
        self._lost.move_to_end(host)
        while len(self._lost) > self.hosts:
            self._lost.popitem(last=False)

    def judge(self, now: datetime, wanted: Wanted) -> list[Raised | Cleared]:
        """What has begun and what is over. Only what there is news of is counted anew."""
        news, self._news = self._news, set()
        raised = (self._look(key, now, wanted) for key in sorted(news))
        said: list[Raised | Cleared] = [each for each in raised if each is not None]
        for key, loop in list(self.open.items()):
            if now - loop.last > self.sensitivity.patience(loop.gap):
                del self.open[key]
                # A new fault is not hidden behind this one as a habit; a late duplicate of this one is no new fault.
                self._failures.pop(key, None)
                self._over[key] = loop.last
                while len(self._over) > self.keys:
                    del self._over[next(iter(self._over))]
                said.append(Cleared(loop, now))
        return said

    def _look(self, key: LoopKey, now: datetime, wanted: Wanted) -> Raised | None:
        failures = self._failures.get(key)
        if failures is None:
            return None
        # What is dated ahead of our clock by more than clocks differ would keep a loop open for as long.
        out = [arn for arn, each in failures.items() if not now - self.horizon <= each.at <= now + _SKEW]
        for arn in out:
            del failures[arn]
        counted = [each for each in failures.values() if not _with_host(each, self._lost, self.sensitivity)]
        if key in self.open:
            self.open[key] = _grown(self.open[key], counted)
            return None
        begin = now - self.sensitivity.window
        recent = [failure for failure in counted if failure.at > begin]
        loop = _loop(key, recent, self._usual(counted, begin), wanted, self.sensitivity)
        if loop is None:
            return None
        self.open[key] = loop
        return Raised(loop)

    def _usual(self, failures: list[_Failure], begin: datetime) -> int:
        """Failures that this service has in a window on an ordinary day: the mean of the windows before this one."""
        before = sum(failure.at <= begin for failure in failures)
        return round(before / max(1.0, self.horizon / self.sensitivity.window - 1))


def _grown(loop: Loop, failures: list[_Failure]) -> Loop:
    """An open loop after more failures."""
    new = sorted((failure for failure in failures if failure.at > loop.last), key=lambda failure: failure.at)
    if not new:
        return loop
    gaps = [after - before for before, after in pairwise([loop.last, *(failure.at for failure in new)])]
    newest = new[-1]
    return replace(
        loop,
        last=newest.at,
        count=loop.count + len(new),
        gap=max(loop.gap, *gaps),
        why=newest.why,
        exit_code=newest.exit_code,
    )
