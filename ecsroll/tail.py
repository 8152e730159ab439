"""``ecsroll events``: what happens on a cluster now, by a queue of its own or by asking ECS again and again."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ecsroll.alerts import Alerts
from ecsroll.aws import Aws, chunks
from ecsroll.commands import Screen
from ecsroll.crashes import LoopKey
from ecsroll.errors import EXIT_OK, AwsRefusal, NotFound
from ecsroll.events import Event
from ecsroll.happenings import Happening, HostChanged, Reader, ServiceNews, TaskStopped, Unreadable
from ecsroll.inbox import Inbox
from ecsroll.once import Once
from ecsroll.result import Result
from ecsroll.stops import stopped_task, verdict_on
from ecsroll.watch import LONG_POLL, task_facts

__all__ = ["Tail"]


@dataclass
class Tail:
    """Follows one cluster. ``since``: what stopped before is not told. ``interval``: seconds between two askings."""

    aws: Aws
    cluster: str
    screen: Screen
    since: timedelta
    interval: float = 15.0
    inbox: Inbox | None = None
    reader: Reader | None = None
    alerts: Alerts = field(default_factory=Alerts)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.began = self.aws.clock.now() - self.since
        self._heard = Once()
        self._hosts: dict[str, tuple[str, bool]] | None = None
        self._wanted: dict[str, int] = {}

    def run(self, stopping: Callable[[], str | None], *, once: bool) -> Result:
        """Tell what happens until somebody has seen enough; ``once``: what has happened, and no more.

        Raises NotFound where there is no such cluster or queue.
        """
        while True:
            happened = self._ask() if self.inbox is None else self._receive(self.inbox, once=once)
            for happening in sorted(happened, key=_time):
                self._tell(happening)
            self._alerts()
            if stopping() or (once and not (self.inbox and happened)):
                break
            if self.inbox is None:
                self._rest(stopping)
        return self._result()

    def _rest(self, stopping: Callable[[], str | None]) -> None:
        until = self.aws.clock.elapsed() + self.interval
        while not stopping() and (left := until - self.aws.clock.elapsed()) > 0:
            self.aws.clock.sleep(min(1.0, left))

    def _result(self) -> Result:
        now = [alert.facts() for alert in self.alerts.all()]
        told = {name: self.counts[name] for name in ("task_failed", "task_stopped", "service_changed", "host_changed")}
        return Result(
            command="events",
            result="done",
            exit_code=EXIT_OK,
            cluster=self.cluster,
            reason=f"tasks failed: {told['task_failed']}, stopped: {told['task_stopped']}; alerts open: {len(now)}",
            more={"told": told, "alerts": {"open": now}},
        )

    # Telling

    def _tell(self, happening: Happening) -> None:
        """A line for each thing that is news."""
        if isinstance(happening, TaskStopped | HostChanged | ServiceNews) and self.alerts.take(happening):
            match happening:
                case TaskStopped(task=task):
                    kind = "task_failed" if verdict_on(task).kind.failed else "task_stopped"
                    self._event(kind, task.at, task_facts(happening))
                case HostChanged():
                    self._host(happening)
                case ServiceNews():
                    facts = {"service": happening.service, "severity": happening.severity, "name": happening.name}
                    self._event("service_changed", happening.at, {**facts, "why": happening.reason})

    def _host(self, host: HostChanged) -> None:
        """ECS sends an event whenever a task starts or stops on a host; only status and agent say something of it."""
        known = self._hosts or {}
        before, now = known.get(host.host), (host.status, host.connected)
        self._hosts = {**known, host.host: now}
        if before == now or (before is None and now == ("ACTIVE", True)):
            return
        why = f"{host.status}, {'agent connected' if host.connected else 'agent gone'}"
        facts = {"host": host.host.rpartition("/")[2], "instance": host.instance, "status": host.status}
        self._event("host_changed", host.at, {**facts, "connected": host.connected, "why": why})

    def _alerts(self) -> None:
        for change in self.alerts.judge(self.aws.clock.now(), self._wants):
            kind = "alert_cleared" if change.over else "alert_raised"
            self._event(kind, change.at, {**change.alert.facts(), "next": ""})

    def _wants(self, key: LoopKey) -> int | None:
        return self._wanted.get(key.service)

    def _event(self, kind: str, at: datetime, facts: Mapping[str, Any]) -> None:
        self.counts[kind] += 1
        self.screen.event(Event(kind=kind, at=at, facts={"cluster": self.cluster, **facts}))

    # From a queue

    def _receive(self, inbox: Inbox, *, once: bool) -> list[Happening]:
        """What the queue has. It is deleted: a queue of its own, not the watcher's."""
        messages = inbox.receive(1.0 if once else LONG_POLL)
        found: list[Happening] = []
        for message in messages:
            try:
                assert self.reader is not None
                happening = self.reader.read(message)
            except Unreadable as error:
                self._event("message_refused", self.aws.clock.now(), {"message": message.id, "why": str(error)})
                continue
            if _cluster(happening) == self.cluster:
                found.append(happening)
        inbox.done(messages)
        return found

    # From ECS

    def _ask(self) -> list[Happening]:
        """What ECS shows now and has not shown before: stopped tasks, its own messages, hosts."""
        return [*self._stops(), *self._services(), *self._instances()]

    def _stops(self) -> Iterator[Happening]:
        try:
            arns = self.aws.pages("ecs", "list_tasks", "taskArns", cluster=self.cluster, desiredStatus="STOPPED")
        except AwsRefusal as no:
            if no.code != "ClusterNotFoundException":
                raise
            hint = "aws ecs list-clusters shows the clusters of this account and region"
            raise NotFound(f"there is no ECS cluster {self.cluster!r} here", hint=hint) from no
        new = [arn for arn in arns if arn not in self._heard]
        for said in self._described("describe_tasks", "tasks", new, 100):
            task = stopped_task(said)
            if task is not None and self._heard.first(task.arn) and task.at >= self.began:
                yield TaskStopped(task=task)

    def _services(self) -> Iterator[Happening]:
        arns = self.aws.pages("ecs", "list_services", "serviceArns", cluster=self.cluster, maxResults=100)
        for said in self._described("describe_services", "services", arns, 10):
            self._wanted[said["serviceName"]] = said.get("desiredCount", 0)
            for event in said.get("events", ()):
                known = {"id", "createdAt", "message"} <= event.keys()
                if known and event["createdAt"] >= self.began and self._heard.first(event["id"]):
                    yield self._news(said["serviceName"], event)
            for deployment in said.get("deployments", ()):
                if deployment.get("rolloutState") == "FAILED" and self._heard.first(f"{deployment['id']} failed"):
                    yield self._failed(said["serviceName"], deployment)

    def _news(self, service: str, event: Mapping[str, Any]) -> ServiceNews:
        text = event["message"]
        steady = "has reached a steady state" in text
        return ServiceNews(
            cluster=self.cluster,
            service=service,
            severity="INFO",
            name="SERVICE_STEADY_STATE" if steady else "",
            reason=text.removeprefix(f"(service {service}) ").rstrip("."),
            at=event["createdAt"],
            id=event["id"],
        )

    def _failed(self, service: str, deployment: Mapping[str, Any]) -> ServiceNews:
        return ServiceNews(
            cluster=self.cluster,
            service=service,
            severity="ERROR",
            name="SERVICE_DEPLOYMENT_FAILED",
            reason=deployment.get("rolloutStateReason", ""),
            at=deployment.get("updatedAt", self.aws.clock.now()),
            id=f"{deployment['id']} failed",
            deployment=deployment["id"],
        )

    def _instances(self) -> list[Happening]:
        arns = self.aws.pages("ecs", "list_container_instances", "containerInstanceArns", cluster=self.cluster)
        found = {
            said["containerInstanceArn"]: said
            for said in self._described("describe_container_instances", "containerInstances", arns, 100)
        }
        first, self._hosts = self._hosts is None, self._hosts or {}
        changed: list[Happening] = [self._changed(said) for said in found.values()]
        gone = [arn for arn in self._hosts if arn not in found and self._hosts[arn][0] != "INACTIVE"]
        changed += [self._left(arn) for arn in gone]
        if first:  # how it stands is no news
            self._hosts = {arn: (said["status"], said["agentConnected"]) for arn, said in found.items()}
        return changed

    def _changed(self, said: Mapping[str, Any]) -> HostChanged:
        return HostChanged(
            host=said["containerInstanceArn"],
            cluster=self.cluster,
            instance=said.get("ec2InstanceId", ""),
            status=said["status"],
            connected=said["agentConnected"],
            at=self.aws.clock.now(),
            version=said.get("version", 0),
        )

    def _left(self, arn: str) -> HostChanged:
        return HostChanged(
            host=arn,
            cluster=self.cluster,
            instance="",
            status="INACTIVE",
            connected=False,
            at=self.aws.clock.now(),
            version=1 << 60,
        )

    def _described(self, operation: str, member: str, arns: Iterable[str], size: int) -> list[Mapping[str, Any]]:
        calls = [
            partial(self.aws.call, "ecs", operation, cluster=self.cluster, **{member: list(some)})
            for some in chunks(list(arns), size)
        ]
        return [said for answer in self.aws.gather(calls) for said in answer.get(member, ())]


def _time(happening: Happening) -> datetime:
    match happening:
        case TaskStopped(task=task):
            return task.at
        case HostChanged(at=at) | ServiceNews(at=at):
            return at
        case _:
            raise AssertionError(happening)


def _cluster(happening: Happening) -> str | None:
    match happening:
        case TaskStopped(task=task):
            return task.cluster
        case HostChanged(cluster=cluster) | ServiceNews(cluster=cluster):
            return cluster
        case _:
            return None
