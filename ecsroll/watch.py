"""``ecsroll watch``: the queue's messages and the newest images in; facts, alerts and rolls out.

A message is deleted only after it was dealt with, so a watcher that is killed loses nothing; what it told is written
down (``told.py``), so the next one tells nothing twice. While a roll goes on, the queue is read between two rounds: the
roll itself is what alerts are wanted for.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from ecsroll.alerts import Alerts, Change
from ecsroll.aws import Aws
from ecsroll.commands import Screen, check_ami, replace_hosts
from ecsroll.crashes import LoopKey
from ecsroll.engine import Round
from ecsroll.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    AwsRefusal,
    AwsUnavailable,
    EcsrollError,
    NotFound,
)
from ecsroll.events import Event
from ecsroll.happenings import (
    Confirmation,
    Happening,
    HostChanged,
    Message,
    Reader,
    ServiceNews,
    TaskStopped,
    Unreadable,
)
from ecsroll.inbox import Inbox
from ecsroll.lately import failed_lately
from ecsroll.model import Finding, Policy, Snapshot
from ecsroll.newest import Newest
from ecsroll.notices import AmiNotice
from ecsroll.once import Once
from ecsroll.plan import plan
from ecsroll.records import Records
from ecsroll.restarts import Restarts
from ecsroll.result import Result, of_error
from ecsroll.sinks import Sinks
from ecsroll.stops import verdict_on
from ecsroll.tally import Tally
from ecsroll.telling import ended, planned
from ecsroll.told import Told

__all__ = ["LONG_POLL", "OnAmi", "Watcher", "task_facts"]

OnAmi = Literal["notify", "plan", "replace"]

LONG_POLL = 10.0
"""Seconds that a receive waits: less than SQS's 20, so that a signal is heard in time."""
QUICK = 10.0
"""Seconds for which a call beside a roll is tried."""
PAUSE = 15.0
"""Seconds after a call that did not work."""
LOOK_ANYWAY = 3600.0
"""Seconds after which the clusters are looked at whole, though no parameter changed: groups come and go, images age."""
RECHECK = 60.0
REMEMBERED = timedelta(hours=1)
"""For how long ECS tells of a stopped task, at least (aws-facts 9)."""
GIVE_UP = 10
"""Receives after which a message that can not be used is deleted, though the queue should have put it aside."""


@dataclass
class Watcher:
    """Watches one queue (or none) and the images of some clusters.

    ``way`` reaches a cluster's region, without a guard. ``clusters``: those to watch; empty for all of the region.
    """

    way: Callable[[str], Aws]
    clusters: Sequence[str]
    on_ami: OnAmi
    inbox: Inbox | None
    reader: Reader
    screen: Screen
    sinks: Sinks
    policy: Callable[[str], Policy]
    interval: float = 300.0
    """Seconds between two looks at AWS's parameters."""
    restarts: Restarts | None = None
    """Asked once a minute for containers that are restarted inside their tasks, if that is wanted."""
    alerts: Alerts = field(default_factory=Alerts)
    counts: Counter[str] = field(default_factory=Counter)
    rolls: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = self.way("").clock
        self.told = Told(self._quick)
        self.newest = Newest(self.way)
        self._noticed: dict[str, Message] = {}
        self._refused = Once(2000)
        self._opened: set[str] = set()
        self._said: dict[str, str] = {}
        self._wanted: dict[LoopKey, tuple[float, int | None]] = {}
        self._known: tuple[str, ...] = ()
        self._known_at = self._looked_at = self._checked_at = self._polled_at = self._counted_at = float("-inf")
        self._stopping: Callable[[], str | None] = lambda: None

    # The loop

    def run(self, stopping: Callable[[], str | None], *, once: bool) -> Result:
        """Watch until somebody wants it to stop; ``once``: until the queue is empty and the images were looked at.

        Raises NotFound or AwsUnavailable where queue or clusters can not be read from the start.
        """
        self._stopping = stopping
        for cluster in self._names():
            self._exists(cluster)
            self._open(cluster)
        facts = {
            "queue": self.inbox.url if self.inbox else None,
            "clusters": list(self._names()),
            "on_ami": self.on_ami,
        }
        self._tell("watch_started", None, facts)
        self._take(0.0, first=True)
        while not stopping():
            took = self._take(1.0 if once else LONG_POLL)
            self._count_restarts()
            self._judge()
            if self._due() and not (once and took):
                self._images()
            self.sinks.flush()
            if once and not took:
                break
            self._rest(self._pause(took))
        self._judge()
        self.sinks.flush(last=True)
        return self._result(stopping())

    def _pause(self, took: bool | None) -> float:
        """Seconds until the next look; none where the receive itself has waited long enough."""
        if self.inbox is None:
            return self.interval if self.restarts is None else min(self.interval, RECHECK)
        return PAUSE if took is None else 0.0 if took else LONG_POLL - min(LONG_POLL, self.inbox.longest)

    def _exists(self, cluster: str) -> None:
        """Raises NotFound: a name that is wrong from the start would be watched for ever."""
        answer = self.way(cluster).call("ecs", "describe_clusters", clusters=[cluster])
        if not any(said.get("status") != "INACTIVE" for said in answer.get("clusters", ())):
            hint = "aws ecs list-clusters shows the clusters of this account and region"
            raise NotFound(f"there is no ECS cluster {cluster!r} here", hint=hint)

    def _quick(self, cluster: str) -> Aws:
        """The same way, for calls that a roll must not wait for: each is tried for a few seconds only."""
        aws = self.way(cluster).unguarded()
        aws.patience = QUICK
        return aws

    def _rest(self, seconds: float) -> None:
        """In short sleeps, as a signal ends none."""
        until = self.clock.elapsed() + seconds
        while not self._stopping() and self.clock.elapsed() < until:
            self.clock.sleep(min(1.0, until - self.clock.elapsed()))

    def _result(self, interrupted: str | None) -> Result:
        """How it ended. A roll that was cut off, or did not end well, is its exit code."""
        bad = [roll for roll in self.rolls if roll.exit_code != EXIT_OK]
        cut = next((roll for roll in bad if roll.exit_code == EXIT_INTERRUPTED), None)
        worst = cut or (bad[0] if bad and not interrupted else None)
        open_now = [alert.facts() for alert in self.alerts.all()]
        reason = interrupted or "nothing is left in the queue" if self.inbox else interrupted or "looked once"
        return Result(
            command="watch",
            result=worst.result if worst else "done",
            exit_code=worst.exit_code if worst else EXIT_OK,
            cluster=self.clusters[0] if len(self.clusters) == 1 else None,
            reason=f"{worst.cluster}: {worst.reason}" if worst else f"{reason}; alerts open: {len(open_now)}",
            next=worst.next if worst else "",
            more={
                "messages": {name: self.counts[name] for name in ("taken", "refused", "verified", "unchecked")},
                "alerts": {"raised": self.counts["raised"], "cleared": self.counts["cleared"], "open": open_now},
                "rolls": [roll.plain() for roll in self.rolls],
            },
        )

    # Telling

    def _tell(self, kind: str, cluster: str | None, facts: Mapping[str, Any]) -> None:
        self.event(Event(kind=kind, at=self.clock.now(), facts={"cluster": cluster, **facts}))

    def event(self, event: Event) -> None:
        """A fact, to the screen and to every sink."""
        self.screen.event(event)
        self.sinks.tell(event)

    def _trouble(self, what: str, error: EcsrollError, cluster: str | None = None) -> None:
        """Something could not be read or written; said again only when it changes, or had worked meanwhile."""
        if self._said.get(f"{cluster} {what}") != str(error):
            self._said[f"{cluster} {what}"] = str(error)
            self._tell("watch_trouble", cluster, {"what": what, "why": str(error), "next": error.hint})

    def _works(self, what: str, cluster: str | None = None) -> None:
        self._said.pop(f"{cluster} {what}", None)

    # The queue

    def _take(self, wait: float, *, first: bool = False) -> bool | None:
        """Receive some messages and deal with them. Whether there were any; None if the queue could not be read."""
        if self.inbox is None:
            return False
        try:
            messages = self.inbox.receive(wait)
        except (AwsUnavailable, AwsRefusal) as error:
            if first:
                raise
            self._trouble("queue", error)
            return None
        self._works("queue")
        self._deal(self.inbox, messages)
        return bool(messages)

    def _deal(self, inbox: Inbox, messages: Sequence[Message]) -> None:
        """Deal with a batch; only then is it deleted. A notice is held until the images were looked at."""
        finished = []
        for message in messages:
            self.counts["taken"] += 1
            try:
                happening = self.reader.read(message)
            except Unreadable as error:
                finished += self._refuse(inbox, message, str(error))
                continue
            if isinstance(happening, AmiNotice):
                self._notice(message, happening)
            else:
                self._happened(happening)
                finished.append(message)
        self.counts.update({name: n - self.counts[name] for name, n in self.reader.counts.items()})
        self._judge()
        inbox.done(finished)

    def _refuse(self, inbox: Inbox, message: Message, why: str) -> list[Message]:
        """A message that can not be used: told once; left to the queue if it puts such aside, else deleted."""
        if self._refused.first(message.id):
            self.counts["refused"] += 1
            self._tell("message_refused", None, {"message": message.id, "why": why})
        if inbox.redrives and message.received < GIVE_UP:
            inbox.leave([message])
            return []
        return [message]

    def _notice(self, message: Message, notice: AmiNotice) -> None:
        """A topic says that there is a new image: a reason to look, and no more."""
        first = message.id not in self._noticed
        self._noticed[message.id] = message
        if first:
            images = [
                {"version": image.version, "system": image.system, "regions": len(image.releases)}
                for image in notice.images[:20]
            ]
            self._tell("ami_noticed", None, {"about": notice.about, "subject": notice.subject, "images": images})

    def _happened(self, happening: Happening) -> None:
        match happening:
            case TaskStopped(task=task) if self._mine(task.cluster):
                if self.alerts.take(happening) and verdict_on(task).kind.failed:
                    self._tell("task_failed", task.cluster, task_facts(happening))
            case HostChanged(cluster=cluster) if self._mine(cluster):
                self.alerts.take(happening)
            case ServiceNews(cluster=cluster) if self._mine(cluster):
                if self.alerts.take(happening) and happening.severity in {"WARN", "ERROR"}:
                    facts = {"service": happening.service, "severity": happening.severity, "name": happening.name}
                    self._tell("service_changed", cluster, {**facts, "why": happening.reason})
            case Confirmation(topic=topic):
                why = f"topic {topic} wants its subscription confirmed: subscribe as the owner of the queue"
                self._tell("message_refused", None, {"message": "", "why": why})
            case _:
                self.counts["other"] += 1

    def _count_restarts(self) -> None:
        """Once a minute: what no event tells (aws-facts 7.6)."""
        if self.restarts is None or self.clock.elapsed() - self._counted_at < RECHECK:
            return
        self._counted_at = self.clock.elapsed()
        for cluster in self._names():
            self._open(cluster)
            try:
                for restarted in self.restarts.read(cluster):
                    self.alerts.detector.restarted(*restarted)
                self._works("restarts", cluster)
            except (AwsRefusal, AwsUnavailable) as error:
                self._trouble("restarts", error, cluster)

    # Clusters

    def _names(self) -> tuple[str, ...]:
        """The clusters that are watched."""
        return tuple(self.clusters) or self._known or self._all()

    def _all(self) -> tuple[str, ...]:
        """All of the region; asked for once a minute at most."""
        if self.clock.elapsed() - self._known_at > RECHECK:
            self._known_at = self.clock.elapsed()
            arns = self._quick("").pages("ecs", "list_clusters", "clusterArns")
            self._known = tuple(sorted(arn.rpartition("/")[2] for arn in arns))
        return self._known

    def _mine(self, cluster: str) -> bool:
        """Whether a cluster is watched; one that nobody knows costs no more than a look a minute."""
        known = cluster in self.clusters if self.clusters else cluster in self._known or cluster in self._all()
        if known:
            self._open(cluster)
        return known

    def _open(self, cluster: str) -> None:
        """Take up what an earlier life told of a cluster; what it may not have told any more is told now."""
        if cluster in self._opened:
            return
        self._opened.add(cluster)
        try:
            page = self.told.page(cluster)
        except (AwsRefusal, AwsUnavailable) as error:
            self._trouble("records", error, cluster)
            return
        self.alerts.restore(list(page.alerts))
        self.alerts.counted(cluster, page.counted)
        for alert in page.alerts:
            if alert.id in page.untold:
                self._change(Change(alert, over=False, at=self.clock.now()))
        if self.inbox is not None:
            self._count_lately(cluster)

    def _count_lately(self, cluster: str) -> None:
        """Failures of before this life: whoever took their messages from the queue may not have told of them yet."""
        since = self.clock.now() - self.alerts.detector.sensitivity.window
        try:
            for task in failed_lately(self._quick(cluster), cluster, since):
                self.alerts.detector.stop(task)
        except (AwsRefusal, AwsUnavailable) as error:
            self._trouble("stopped tasks", error, cluster)

    # Alerts

    def _judge(self) -> None:
        due = self.clock.elapsed() - self._checked_at >= RECHECK
        if due:
            self._checked_at = self.clock.elapsed()
        for change in self.alerts.judge(self.clock.now(), self._wants, self._steady if due else lambda *_: None):
            self._change(change)

    def _change(self, change: Change) -> None:
        """Written down, told, and written down that it was told: killed in between, it is told again, not lost."""
        alert = change.alert
        self.counts["cleared" if change.over else "raised"] += 1
        mine = tuple(each for each in self.alerts.all() if each.cluster == alert.cluster)
        others = tuple(name for name in self.told.page(alert.cluster).untold if name != alert.id)
        if not change.over:
            self._write(alert.cluster, alerts=mine, untold=(*others, alert.id))
        kind = "alert_cleared" if change.over else "alert_raised"
        self._tell(kind, alert.cluster, {**alert.facts(), "next": f"ecsroll events --cluster {alert.cluster}"})
        if not self.sinks.waiting:
            self._write(alert.cluster, alerts=mine, untold=others, **self._counted(change))

    def _counted(self, change: Change) -> dict[str, Any]:
        """Of a loop that is over: up to where its failures are old news, as long as AWS tells of them."""
        alert = change.alert
        if not change.over or not alert.loop:
            return {}
        name, known = f"{alert.service}/{alert.definition}", self.told.page(alert.cluster).counted
        others = [each for each in known if each[0] != name and change.at - each[1] < REMEMBERED]
        return {"counted": (*others, (name, alert.last))}

    def _write(self, cluster: str, **changes: Any) -> None:
        try:
            self.told.write(cluster, **changes)
            self._works("records", cluster)
        except (AwsRefusal, AwsUnavailable) as error:
            self._trouble("records", error, cluster)

    def _wants(self, key: LoopKey) -> int | None:
        """How many tasks a service wants, at most five minutes old."""
        asked, number = self._wanted.get(key, (float("-inf"), None))
        if self.clock.elapsed() - asked > 300:
            service = self._service(key.cluster, key.service)
            number = service.get("desiredCount") if service else None
            self._wanted[key] = (self.clock.elapsed(), number)
            while len(self._wanted) > 2000:
                del self._wanted[next(iter(self._wanted))]
        return number

    def _steady(self, cluster: str, name: str) -> bool | None:
        service = self._service(cluster, name)
        if service is None:
            return None
        if service.get("status") == "INACTIVE":
            return True
        deployments = service.get("deployments", ())
        whole = service.get("runningCount", 0) >= service.get("desiredCount", 0) and not service.get("pendingCount")
        return whole and len(deployments) <= 1 and all(each.get("rolloutState") != "FAILED" for each in deployments)

    def _service(self, cluster: str, name: str) -> Mapping[str, Any] | None:
        try:
            answer = self._quick(cluster).call("ecs", "describe_services", cluster=cluster, services=[name])
        except (AwsRefusal, AwsUnavailable) as error:
            self._trouble("services", error, cluster)
            return None
        self._works("services", cluster)
        return next(iter(answer.get("services", ())), None)

    # Images

    def _due(self) -> bool:
        return bool(self._noticed) or self.clock.elapsed() - self._polled_at >= self.interval

    def _images(self) -> None:
        """Look whether something newer is there, and do what is to be done; after that the notices are dealt with."""
        noticed, self._noticed = self._noticed, {}
        whole = bool(noticed) or self.clock.elapsed() - self._looked_at >= LOOK_ANYWAY
        self._polled_at = self.clock.elapsed()
        if whole:
            self._looked_at = self._polled_at
        well = True
        for cluster in self._names():
            if self._stopping():
                break
            try:
                if whole or self._again(cluster) or self.newest.changed(cluster):
                    self._check(cluster)
                self._works("images", cluster)
            except (AwsUnavailable, AwsRefusal) as error:
                well = False
                self.newest.seen.pop(cluster, None)  # looked at anew the next time, whether or not a parameter changed
                self._trouble("images", error, cluster)
            except EcsrollError as error:
                if not (isinstance(error, NotFound) and not self.clusters):
                    self._trouble("images", error, cluster)
        if self.inbox is not None and noticed:
            # Told to stop, it may have left a cluster or a roll unfinished: the next watcher is to hear of it at once.
            dealt_with = self.inbox.give_back if self._stopping() else self.inbox.done if well else self.inbox.leave
            dealt_with(noticed.values())

    def _again(self, cluster: str) -> bool:
        """Whether the last roll of a cluster could not do what it should, and may now."""
        last = next((roll for roll in reversed(self.rolls) if roll.cluster == cluster), None)
        return last is not None and last.result in {"held", "refused", "error"}

    def _check(self, cluster: str) -> None:
        if self.inbox is not None:
            self.inbox.keep()
        rows = check_ami(self.way(cluster), [cluster], exit_code=False, policy=self.policy(cluster)).more["groups"]
        self.newest.learn(cluster, rows)
        behind = [row for row in rows if row["outdated"] and row["newest"]]
        if behind:
            self._outdated(cluster, behind)
        elif self.on_ami == "replace" and self._cut_off(cluster):
            self._roll(cluster, "")

    def _cut_off(self, cluster: str) -> bool:
        """Whether a watcher's roll was cut off when it had only things to give back."""
        roll = Records(self.way(cluster), cluster).read().roll
        return roll is not None and roll.by.startswith(_BY) and not roll.aborting

    def _outdated(self, cluster: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Hosts are behind: tell it once for each new image, and plan or roll if that is wanted."""
        images = " ".join(sorted({row["newest"]["image"] for row in rows}))
        page = self.told.page(cluster)
        new = page.announced != images
        if new:
            groups = [
                {"group": row["group"], "image": row["newest"]["image"], "version": row["newest"]["version"]}
                | {"hosts_behind": row["hosts_behind"]}
                for row in rows
            ]
            self._tell("ami_outdated", cluster, {"groups": groups, "next": f"ecsroll replace --cluster {cluster}"})
            self._write(cluster, announced=images)
        if self.on_ami == "plan" and page.planned != images:
            self._plan(cluster)
            self._write(cluster, planned=images)
        if self.on_ami == "replace" and page.halted != images:
            self._roll(cluster, images)

    def _plan(self, cluster: str) -> None:
        """What ``ecsroll plan`` says, rehearsal and all; nothing is changed. Raises AwsUnavailable: then not told."""
        beside = _Intention(self.screen)
        try:
            result = plan(self.way(cluster).unguarded(), cluster, self.policy(cluster), beside)
        except (AwsUnavailable, AwsRefusal):
            raise
        except EcsrollError as error:
            result = of_error(error, command="plan", cluster=cluster)
        self._tell("roll_planned", cluster, planned(result, beside.outdated))

    def _roll(self, cluster: str, images: str) -> None:
        """Roll a cluster under the same lease and policy as ``replace``; every way out of it is a result."""
        policy = self.policy(cluster)
        policy = replace(policy, by=f"{_BY} {policy.by}")
        beside = _Beside(self, cluster)
        stopping = nullcontext(self._stopping)
        try:
            result = replace_hosts(self.way(cluster).unguarded(), cluster, policy, beside, lambda _: True, stopping)
        except EcsrollError as error:
            result = of_error(error, command="replace", cluster=cluster)
        before = next((roll for roll in reversed(self.rolls) if roll.cluster == cluster), None)
        self.rolls = [*self.rolls[-99:], result]
        if before is None or (before.result, before.reason) != (result.result, result.reason):
            self._tell("roll_ended", cluster, ended(result))
        if result.result == "halted":
            self._write(cluster, halted=images)
        if result.result == "done":
            self.newest.seen.pop(cluster, None)  # what the groups run has changed: look once more

    def tend(self) -> None:
        """Between two rounds of a roll: hold on to what is being dealt with, and hear what happens meanwhile."""
        if self.inbox is not None:
            self.inbox.keep()
            self._take(0.0)
        if self.restarts is not None:
            self._count_restarts()
            self._judge()
        self.sinks.flush()


_BY = "ecsroll watch,"


def task_facts(happening: TaskStopped) -> dict[str, Any]:
    """A stopped task as an event tells it (docs/json.md)."""
    task, verdict = happening.task, verdict_on(happening.task)
    return {
        "task": task.id,
        "service": task.service,
        "definition": task.definition,
        "verdict": str(verdict.kind),
        "why": verdict.why,
        "exit_code": task.exit_code,
        "stop_code": task.code or None,
        "host": task.host.rpartition("/")[2] if task.host else None,
        "stopped": task.at.isoformat(),
    }


@dataclass
class _Beside:
    """The screen of a roll: its facts go to the sinks, too, and between two rounds the watcher has its turn."""

    watcher: Watcher
    cluster: str

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """On the screen."""
        self.watcher.screen.intend(seen, policy, outdated, findings)

    def event(self, event: Event) -> None:
        """A fact of the roll."""
        self.watcher.event(replace(event, facts={"cluster": self.cluster, **event.facts}))

    def round(self, step: Round, tally: Tally, aws: Aws) -> None:
        """On the screen; then the queue."""
        self.watcher.screen.round(step, tally, aws)
        self.watcher.tend()


@dataclass
class _Intention:
    """Keeps which hosts a roll would replace, and shows it."""

    screen: Screen
    outdated: Mapping[str, int] = field(default_factory=dict)

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """Keep it."""
        self.outdated = outdated
        self.screen.intend(seen, policy, outdated, findings)

    def event(self, event: Event) -> None:
        """There is none: nothing is done."""

    def round(self, step: Round, tally: Tally, aws: Aws) -> None:
        """There is none."""
