"""Signs that a roll does harm: alarms that were named, tasks that end by themselves. Read for the gates."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecsroll.aws import Aws, chunks
from ecsroll.errors import AwsRefusal
from ecsroll.model import Alarm, Crash
from ecsroll.stops import service_of, stopped_task, verdict_on

__all__ = ["Signs"]

SPACED = timedelta(seconds=30)
"""Between two lists of a service's stopped tasks: AWS keeps them for an hour, so none is missed."""


@dataclass
class Signs:
    """What one process has read of them. ``optional`` makes a call that a roll can do without."""

    aws: Aws
    cluster: str
    names: tuple[str, ...]
    """Of the alarms."""
    optional: Callable[..., dict[str, Any]]
    could_read: bool = False
    """Whether the alarms were read at the last look."""
    _crashes: dict[str, dict[str, Crash | None]] = field(default_factory=dict)
    """By service: every stopped task that was looked at."""
    _listed: dict[str, datetime] = field(default_factory=dict)

    def alarms(self) -> dict[str, Alarm]:
        """Those of the named alarms that are there. Composite ones have to be asked for by their type."""
        found: dict[str, Alarm] = {}
        self.could_read = bool(self.names)
        for some in chunks(self.names, 100):
            answer = self.optional(
                "cloudwatch",
                "describe_alarms",
                AlarmNames=list(some),
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=100,
            )
            self.could_read = self.could_read and bool(answer)
            for said in (*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())):
                since = said.get("StateTransitionedTimestamp") or said.get("StateUpdatedTimestamp")
                found[said["AlarmName"]] = Alarm(name=said["AlarmName"], state=said["StateValue"], since=since)
        return found

    @property
    def crashes(self) -> tuple[Crash, ...]:
        """Every one that is known and that AWS still remembers."""
        return tuple(crash for tasks in self._crashes.values() for crash in tasks.values() if crash is not None)

    def read_all(self) -> None:
        """Every stopped task of the cluster: what gates compare with later."""
        arns: list[str] = self.aws.pages("ecs", "list_tasks", "taskArns", cluster=self.cluster, desiredStatus="STOPPED")
        for service, tasks in _by_service(self._described(arns)).items():
            self._crashes.setdefault(service, {}).update(tasks)

    def read(self, services: Iterable[str], at: datetime) -> None:
        """The stopped tasks of these services, as far as they were not listed a moment ago."""
        for name in services:
            if name in self._listed and at - self._listed[name] < SPACED:
                continue
            self._listed[name] = at
            try:
                arns: list[str] = self.aws.pages(
                    "ecs", "list_tasks", "taskArns", cluster=self.cluster, serviceName=name, desiredStatus="STOPPED"
                )
            except AwsRefusal as no:
                if no.code not in {"ServiceNotFoundException", "ServiceNotActiveException"}:
                    raise
                continue  # deleted since it was read: nobody misses its tasks
            known = {arn: crash for arn, crash in self._crashes.get(name, {}).items() if arn in set(arns)}
            found = _by_service(self._described([arn for arn in arns if arn not in known]))
            self._crashes[name] = {**known, **found.get(name, {})}

    def _described(self, arns: Sequence[str]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for some in chunks(arns, 100):
            found += self.aws.call("ecs", "describe_tasks", cluster=self.cluster, tasks=list(some)).get("tasks", ())
        # A task that is told to stop has desiredStatus STOPPED long before it has ended: it is looked at again later.
        return [said for said in found if said.get("lastStatus") == "STOPPED"]


def _by_service(tasks: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Crash | None]]:
    found: dict[str, dict[str, Crash | None]] = {}
    for said in tasks:
        if (service := service_of(said)) is not None:
            found.setdefault(service, {})[said["taskArn"]] = _crash(said, service)
    return found


def _crash(said: Mapping[str, Any], service: str) -> Crash | None:
    """How it ended, if nobody had wanted it to; the end of its host is not its fault."""
    try:
        task = stopped_task(said)
    except ValueError:
        return None  # a record without a time or a definition: nothing can be said of it
    verdict = verdict_on(task) if task is not None else None
    if task is None or verdict is None or not verdict.kind.failed:
        return None
    why = _TARGET_GROUP.sub(r"\1", verdict.why)
    return Crash(task=task.arn, service=service, host=task.host or "", what=why[:120], at=task.at, created=task.created)


_TARGET_GROUP = re.compile(r"arn:[\w-]+:elasticloadbalancing:[^/\s]*:targetgroup/([^/\s)]+)/\w+")
"""Its name is what a person knows it by; the whole ARN leaves no room for anything else."""
