"""Alerts: what is wrong and stays so, each raised once and cleared once. Pure: events in, alerts out.

Crash loops come from ``crashes.py``. What ECS warns of itself (a deployment that failed, starts that it throttles, a
task that finds no host) is an alert of its service until the service is steady again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ecsroll.crashes import Detector, Loop, LoopKey, Raised, Wanted
from ecsroll.happenings import HostChanged, ServiceNews, TaskStopped
from ecsroll.once import Once

__all__ = ["CRASH_LOOP", "Alert", "Alerts", "Change", "Steady"]

CRASH_LOOP = "crash_loop"
RESTART_LOOP = "restart_loop"
"""The same inside tasks that go on."""
_CALM = frozenset({"SERVICE_STEADY_STATE", "SERVICE_DEPLOYMENT_COMPLETED"})
_WARNED = frozenset({"SERVICE_TASK_START_IMPAIRED"})
"""Warnings that are alerts; every ERROR is one, also of a name that is new."""
_SETTLES = timedelta(minutes=1)
"""How long after its last trouble a service is believed to be steady: counters lag behind (aws-facts 6.6)."""
_OPEN = 500
"""Alerts that are open at most."""

Steady = Callable[[str, str], bool | None]
"""Whether a service of a cluster is steady now; None if nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that is wrong with a service."""

    kind: str
    """``crash_loop``, ``restart_loop``, or the name of ECS's event in small letters."""
    cluster: str
    service: str
    since: datetime
    last: datetime
    why: str
    definition: str = ""
    count: int = 1
    exit_code: int | None = None
    gap: timedelta = timedelta(0)

    @property
    def id(self) -> str:
        """The same for its beginning and its end, and in every telling of it."""
        what = self.definition or self.kind
        return f"{self.cluster}/{self.service}/{what}/{self.since:%Y%m%dT%H%M%SZ}"

    @property
    def loop(self) -> bool:
        """Whether it is one of failures that were counted."""
        return self.kind in {CRASH_LOOP, RESTART_LOOP}

    @property
    def key(self) -> tuple[str, str, str, str]:
        """There is one open alert for each of these."""
        return (self.cluster, self.service, self.kind, self.definition)

    def facts(self) -> dict[str, Any]:
        """As an event tells it (docs/json.md)."""
        return {
            "alert": self.id,
            "what": self.kind,
            "cluster": self.cluster,
            "service": self.service,
            "definition": self.definition or None,
            "since": self.since.isoformat(),
            "count": self.count,
            "exit_code": self.exit_code,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that began, or that is over."""

    alert: Alert
    over: bool
    at: datetime


@dataclass
class Alerts:
    """Takes events as they come, in any order and more than once."""

    detector: Detector = field(default_factory=Detector)
    open: dict[tuple[str, str, str, str], Alert] = field(default_factory=dict)
    """Of what ECS warned of."""
    once: Once = field(default_factory=Once)
    _calm: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _news: list[Change] = field(default_factory=list)

    def restore(self, alerts: list[Alert]) -> None:
        """Alerts that an earlier life raised, and that are open."""
        for alert in alerts:
            if alert.loop:
                loop = _loop(alert)
                self.detector.open[loop.key] = loop
            else:
                self.open[alert.key] = alert

    def counted(self, cluster: str, loops: Iterable[tuple[str, datetime]]) -> None:
        """Loops that an earlier life said to be over: ``service/definition``, and the last failure of each."""
        for name, at in loops:
            service, _, definition = name.partition("/")
            self.detector.counted(LoopKey(cluster, service, definition, in_place=not definition), at)

    def all(self) -> list[Alert]:
        """Every alert that is open, the oldest first."""
        loops = [_alert(loop) for loop in self.detector.open.values()]
        return sorted((*loops, *self.open.values()), key=lambda alert: alert.since)

    def take(self, happening: TaskStopped | HostChanged | ServiceNews) -> bool:
        """An event. False if it is old news: a duplicate, or something that was overtaken by a later one."""
        match happening:
            case TaskStopped(task=task):
                # The version goes on rising after STOPPED (an interface is detached); a task stops once.
                if not self.once.first(task.arn):
                    return False
                self.detector.stop(task)
            case HostChanged():
                if not self.once.newer(happening.host, happening.version):
                    return False
                if not happening.connected or happening.status in {"INACTIVE", "DEREGISTERING"}:
                    self.detector.host_lost(happening.host, happening.at)
            case ServiceNews():
                if not self.once.first(happening.id or f"{happening.service} {happening.name} {happening.at}"):
                    return False
                self._service(happening)
        return True

    def _service(self, news: ServiceNews) -> None:
        service = (news.cluster, news.service)
        if news.name in _CALM:
            self._calm[service] = max(news.at, self._calm.get(service, news.at))
            _shorten(self._calm)
            for alert in [alert for alert in self.open.values() if (alert.cluster, alert.service) == service]:
                if alert.last < news.at:
                    self._close(alert, news.at)
            return
        if news.severity != "ERROR" and news.name not in _WARNED:
            return
        if news.at <= self._calm.get(service, datetime.min.replace(tzinfo=news.at.tzinfo)):
            return  # it came late: the service is well again
        alert = Alert(
            kind=news.name.lower().removeprefix("service_"),
            cluster=news.cluster,
            service=news.service,
            since=news.at,
            last=news.at,
            why=news.reason or news.name,
        )
        known = self.open.get(alert.key)
        if known is not None:
            self.open[alert.key] = replace(known, last=max(known.last, news.at), count=known.count + 1)
        elif len(self.open) < _OPEN:
            self.open[alert.key] = alert
            self._news.append(Change(alert, over=False, at=news.at))

    def _close(self, alert: Alert, at: datetime) -> None:
        del self.open[alert.key]
        self._news.append(Change(alert, over=True, at=at))

    def judge(self, now: datetime, wanted: Wanted, steady: Steady = lambda *_: None) -> list[Change]:
        """What began and what is over since the last time."""
        for alert in list(self.open.values()):
            if now - alert.last > _SETTLES and steady(alert.cluster, alert.service):
                self._close(alert, now)
        news, self._news = self._news, []
        for said in self.detector.judge(now, wanted):
            if isinstance(said, Raised):
                news.append(Change(_alert(said.loop), over=False, at=now))
            else:
                news.append(Change(_alert(said.loop), over=True, at=said.at))
        return news


def _shorten(calm: dict[tuple[str, str], datetime]) -> None:
    while len(calm) > 5000:
        del calm[next(iter(calm))]


def _alert(loop: Loop) -> Alert:
    return Alert(
        kind=RESTART_LOOP if loop.key.in_place else CRASH_LOOP,
        cluster=loop.key.cluster,
        service=loop.key.service,
        definition=loop.key.definition,
        since=loop.since,
        last=loop.last,
        why=loop.why,
        count=loop.count,
        exit_code=loop.exit_code,
        gap=loop.gap,
    )


def _loop(alert: Alert) -> Loop:
    return Loop(
        key=LoopKey(alert.cluster, alert.service, alert.definition, in_place=alert.kind == RESTART_LOOP),
        since=alert.since,
        last=alert.last,
        count=alert.count,
        why=alert.why,
        exit_code=alert.exit_code,
        gap=alert.gap,
    )
