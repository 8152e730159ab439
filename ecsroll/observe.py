"""AWS -> Snapshot: batched to each API's limit, paged, side by side where it helps; never a partial picture.

The first look reads the whole cluster. After that only what can have changed is asked again: the groups (one call),
hosts in flight (booting, draining, without agent), the tasks on draining hosts, the services that had tasks there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ecsroll import asg
from ecsroll.answers import (
    DRAIN_ATTRIBUTE,
    Answer,
    activity_of,
    group_of,
    host_of,
    service_of,
    shrank,
    task_of,
)
from ecsroll.aws import Aws, chunks
from ecsroll.errors import AwsRefusal, AwsUnavailable, EcsrollError, NotFound
from ecsroll.launches import LaunchReader
from ecsroll.ledger import JUST_NOW, Phase, Roll
from ecsroll.model import Activity, Finding, Group, Host, Service, Snapshot, Task
from ecsroll.records import Records, Written
from ecsroll.signs import Signs
from ecsroll.survey import Survey, survey
from ecsroll.target_health import TargetHealth

__all__ = ["Observer"]

LISTED_WHOLE = 100
"""Up to one page of container instances, listing them all costs no more than asking for the few that changed."""

WATCHED = timedelta(minutes=10)
"""How long a service is watched after it had a task on a host that leaves; longer while it lacks tasks."""

TRIED = 20
"""New hosts whose tasks are read while a canary is judged."""

SETTLES = timedelta(seconds=60)
"""How long a registration is waited for to show in what daemons want (aws-facts 6.6: counters lag)."""

EVERY = 10
"""Rounds after which the launch targets are read again although nothing of ours is under way there."""


@dataclass
class Observer:
    """Looks at one cluster, again and again.

    ``cluster`` is the cluster's name; ``groups`` the Auto Scaling groups asked for, or none for all of the cluster's.
    """

    aws: Aws
    cluster: str
    groups: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    """Names of the CloudWatch alarms to read."""
    tasks: bool = True
    """Whether to read what runs on the hosts; who only wants to know their images need not."""
    epoch: int = 0
    """Of the lease under which this process rolls."""
    looks: int = 0
    first: Survey | None = None
    findings: dict[str, Finding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.records = Records(self.aws, self.cluster)
        self.launches = LaunchReader(self.aws)
        self.signs = Signs(self.aws, self.cluster, self.alarms, self._optional)
        self._began: tuple[datetime, float] | None = None
        self._containers: dict[str, Answer] = {}
        self._machines: dict[str, Answer] = {}
        self._tasks: dict[str, dict[str, Task]] = {}
        self._raw_protected: dict[str, datetime] = {}
        self._stop_timeouts: dict[str, timedelta] = {}
        self._services: dict[str, Service] = {}
        self.targets = TargetHealth(self._optional)
        self._moved: dict[str, datetime] = {}
        self._had: dict[str, int] = {}
        self._listed: set[str] = set()
        self._marked: set[str] = set()
        self._unsettled: set[str] = set()
        self._settled: set[str] = set()
        self._unsettled_since: dict[str, datetime] = {}
        self._lost = False

    def look(self) -> Snapshot:
        """One whole picture.

        Raises NotFound for a cluster or group that is not there, AwsUnavailable when it can not be read.
        """
        at = self._now()
        if self.first is None:
            roll = self.records.read().roll
            noted = roll.groups if roll else ()
            reading = partial(survey, self.aws, self.cluster, self.groups, noted=noted, tasks=self.tasks)
            first, _ = self.aws.beside(reading, self.aws.prepare)
            self.first, self.groups = first, first.groups
            self._take_survey(first)
            self._had = {name: _had(service, roll) for name, service in self._services.items()}
            # Where a life before this one was cut off, its last hosts may be gone, and their tasks not yet back.
            self._moved = {name: at for name in self._services if roll and self._is_short(name)}
        self.looks += 1
        written = self.records.read()
        raw = self._read_groups(written)
        members = {
            entry["InstanceId"]: (group["AutoScalingGroupName"], entry)
            for group in raw
            for entry in group.get("Instances", ())
        }
        self._read_containers(members)
        self._read_machines(members)
        hosts = self._hosts(members)
        if self.tasks:
            self._read_tasks(hosts, written, at)
            hosts = self._hosts(members) if self._lost else hosts
            self._lost = False
            self._read_services(hosts, written, at)
            self._read_signs(written, at)
        return self._picture(at, written, raw, hosts)

    def _now(self) -> datetime:
        """The time of day when this process began, and what has passed since by a clock that never jumps.

        Waits and timeouts are differences between pictures: a correction of the wall clock must not end one.
        """
        passed = self.aws.clock.elapsed()
        if self._began is None:
            self._began = (self.aws.clock.now(), passed)
        began, then = self._began
        return began + timedelta(seconds=passed - then)

    def tasks_now(self, arn: str) -> tuple[Task, ...]:
        """Every task on one container instance, read afresh: the last look before a termination."""
        self._list_host(arn)
        return tuple(self._tasks.get(arn, {}).values())

    def container_now(self, instance: str) -> Answer | None:
        """The container instance of an EC2 instance, read afresh; None if it has not registered."""
        found = self._find([instance])
        arns = [arn for arn in found if self._containers[arn].get("ec2InstanceId") == instance]
        return self._containers[arns[0]] if arns else None

    @property
    def machines(self) -> Mapping[str, Answer]:
        """The EC2 instances that have been read, as DescribeInstances says them."""
        return self._machines

    # the first look

    def _take_survey(self, first: Survey) -> None:
        self._containers = {said["containerInstanceArn"]: said for said in first.containers}
        self._services = {said["serviceName"]: service_of(said) for said in first.services}
        for said in first.tasks:
            task = self._task(said)
            self._tasks.setdefault(task.host, {})[task.arn] = task

    # groups

    def _read_groups(self, written: Written) -> list[Answer]:
        """The groups that are there. One that is being deleted is gone: AWS takes its hosts, whatever runs on them."""
        if self.looks == 1 and self.first is not None:
            return list(self.first.raw_groups)
        found: list[Answer] = []
        for names in chunks(self.groups, 50):
            found += self.aws.pages(
                "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=list(names)
            )
        found = [group for group in found if not group.get("Status")]
        missing = set(self.groups) - {group["AutoScalingGroupName"] for group in found}
        if missing and written.roll is None:
            raise NotFound(f"the group {', '.join(sorted(missing))} is gone", hint="nothing was changed; run it again")
        return found

    # container instances

    def _read_containers(self, members: Mapping[str, tuple[str, Answer]]) -> None:
        if self.looks == 1:
            return
        if len(self._containers) <= LISTED_WHOLE:
            there = self._list_containers()
            self._containers = {arn: said for arn, said in self._containers.items() if arn in there}
            self._describe(there)
            return
        known = {said.get("ec2InstanceId") for said in self._containers.values()}
        new = [instance for instance in members if instance not in known]
        changed = {*self._list_containers(status="DRAINING"), *self._list_containers(filter="agentConnected == false")}
        self._describe(sorted(changed | self._unsettled))
        if new:
            self._find(new)
        gone = {said["containerInstanceArn"] for said in self._containers.values() if said.get("status") == "INACTIVE"}
        self._containers = {arn: said for arn, said in self._containers.items() if arn not in gone}

    def _list_containers(self, **params: Any) -> list[str]:
        if self.first is not None and self.first.gone:
            return []
        arns: list[str] = self.aws.pages(
            "ecs", "list_container_instances", "containerInstanceArns", cluster=self.cluster, **params
        )
        return arns

    def _find(self, instances: Sequence[str]) -> list[str]:
        """Container instances of these EC2 instances: AWS filters, so that 5,000 hosts need not be listed."""
        arns: list[str] = []
        for some in chunks(instances, 50):
            arns += self._list_containers(filter=f"ec2InstanceId in [{', '.join(some)}]")
        self._describe(arns)
        return arns

    def _describe(self, arns: Sequence[str]) -> None:
        calls = [
            partial(
                self.aws.call,
                "ecs",
                "describe_container_instances",
                cluster=self.cluster,
                containerInstances=list(some),
            )
            for some in chunks(arns, 100)
        ]
        for answer in self.aws.gather(calls):
            self._containers.update(
                {said["containerInstanceArn"]: said for said in answer.get("containerInstances", ())}
            )
            for failure in answer.get("failures", ()):
                _only_missing(failure, "container instance")
                self._containers.pop(failure.get("arn", ""), None)

    # EC2 instances

    def _read_machines(self, members: Mapping[str, tuple[str, Answer]]) -> None:
        """Image and launch time never change, so each instance is asked for once."""
        ghostly = [said["ec2InstanceId"] for said in self._strangers(members) if said.get("ec2InstanceId")]
        new = [*(instance for instance in members if instance not in self._machines), *ghostly]
        calls = [
            partial(
                self.aws.pages,
                "ec2",
                "describe_instances",
                "Reservations",
                # A filter, not InstanceIds: one id that EC2 does not know yet would fail the whole call (facts 6.4).
                Filters=[{"Name": "instance-id", "Values": list(some)}],
            )
            for some in chunks(sorted(set(new)), 200)
        ]
        for pages in self.aws.gather(calls):
            for reservation in pages:
                self._machines.update({said["InstanceId"]: said for said in reservation.get("Instances", ())})

    def _strangers(self, members: Mapping[str, tuple[str, Answer]]) -> list[Answer]:
        """Container instances with a mark of a roll whose EC2 instance is in no group of ours."""
        return [
            said
            for said in self._containers.values()
            if said.get("ec2InstanceId") not in members
            and said.get("status") == "DRAINING"
            and any(entry["name"] == DRAIN_ATTRIBUTE for entry in said.get("attributes", ()))
        ]

    def _hosts(self, members: Mapping[str, tuple[str, Answer]]) -> dict[str, Host]:
        by_instance = {said.get("ec2InstanceId"): said for said in self._containers.values()}
        hosts = {
            instance: host_of(group, member, self._machines.get(instance), by_instance.get(instance))
            for instance, (group, member) in members.items()
        }
        self._unsettled = {host.arn for host in hosts.values() if host.arn and not host.serves}
        return hosts

    # tasks

    def _read_tasks(self, hosts: Mapping[str, Host], written: Written, at: datetime) -> None:
        """Tasks of draining hosts; of hosts that have just begun to serve, as far as daemons have to be seen there."""
        draining = [host.arn for host in hosts.values() if host.arn and host.draining]
        self._listed &= set(draining)
        self._protection(self._open_tasks(draining))  # it may have been given, or have run out, since the last look
        self._stop_timeouts_on(host.arn for host in hosts.values() if host.arn and host.draining and not host.connected)
        silent = self._describe_tasks(self._open_tasks([arn for arn in draining if arn in self._listed]))
        for arn in draining:
            # Listed whole once DRAINING has been read, as no task is placed there from then on; and once more when all
            # that was known has stopped: this is the reading that may call it empty.
            if arn not in self._listed or not self._open_tasks([arn]) or silent & self._tasks[arn].keys():
                self._list_host(arn)
                self._listed.add(arn)
        serving = {host.arn for host in hosts.values() if host.arn and host.serves}
        self._unsettled_since = {
            arn: self._unsettled_since.get(arn) or self._first_served(arn, at) for arn in serving - self._settled
        }
        self._settled &= serving
        for arn in sorted(self._unsettled_since):
            if not self._daemons_run(arn):
                self._list_host(arn, ("RUNNING",))
        for arn in self._on_trial(hosts, written):
            self._list_host(arn, ("RUNNING",))

    def _on_trial(self, hosts: Mapping[str, Host], written: Written) -> list[str]:
        """New hosts that carry something while a canary's tasks are looked for there."""
        since = {
            name: page.newest for name, page in written.ledgers.items() if page.canaries and not page.canary_passed
        }
        young = (host for host in hosts.values() if host.group in since and host.launched_at > since[host.group])
        return sorted(host.arn for host in young if host.arn and host.serves and host.tasks)[:TRIED]

    def _first_served(self, arn: str, at: datetime) -> datetime:
        """Since when a host serves: now, but for those that were there before the first look."""
        registered = self._containers[arn].get("registeredAt")
        return min(registered, at) if self.looks == 1 and registered is not None else at

    def _daemons_run(self, arn: str) -> bool:
        running = {task.service for task in self._tasks.get(arn, {}).values() if task.last_status == "RUNNING"}
        return all(service.name in running for service in self._daemons())

    def _daemons(self) -> list[Service]:
        return [service for service in self._services.values() if service.daemon]

    def _settle(self, at: datetime) -> None:
        """Hosts whose daemons need not be looked for any more.

        A daemon that is nowhere on a host may not match it (memberOf), which shows by its service having all that it
        wants; but ECS takes a while to want one more for a host that has just registered.
        """
        full = all(service.running >= service.desired and not service.pending for service in self._daemons())
        for arn, since in self._unsettled_since.items():
            if self._daemons_run(arn) or (full and at - since >= SETTLES):
                self._settled.add(arn)

    def _open_tasks(self, arns: Iterable[str]) -> list[str]:
        return [
            task.arn
            for arn in arns
            for task in self._tasks.get(arn, {}).values()
            if not task.stopped and not task.daemon
        ]

    def _list_host(self, arn: str, statuses: tuple[str, ...] = ("RUNNING", "STOPPED")) -> None:
        """Both desired statuses: a task that is being stopped has STOPPED and is in neither counter (facts 3.4)."""
        calls = [
            partial(
                self.aws.pages,
                "ecs",
                "list_tasks",
                "taskArns",
                cluster=self.cluster,
                containerInstance=arn,
                desiredStatus=status,
            )
            for status in statuses
        ]
        arns = self._listed_on(arn, calls)
        if arns is None:
            self._tasks.pop(arn, None)
            return
        known = self._tasks.get(arn, {})
        self._tasks[arn] = {task: known[task] for task in known if task in arns}
        self._protection([task for task in arns if task not in known])
        for task in self._describe_tasks(sorted(set(arns))):
            # It is there, by the list; that ECS says nothing else of it makes no host empty (promise 2).
            self._tasks[arn].setdefault(
                task, task_of({"taskArn": task, "containerInstanceArn": arn}, frozenset(), None)
            )

    def _listed_on(self, arn: str, calls: Sequence[Callable[[], list[str]]]) -> list[str] | None:
        """What is listed of a host; None where it has gone. One that has just come may not be known everywhere yet."""
        try:
            listed = self.aws.shown(lambda: self.aws.gather(calls), lambda _: self._is_registered(arn))
        except AwsRefusal:
            if arn in self._containers:
                raise
            return None
        return [task for some in listed for task in some]

    def _is_registered(self, arn: str) -> bool:
        """Whether a host that ECS can list no tasks of is still there: it may have gone since it was read."""
        self._describe([arn])
        if self._containers.get(arn, {}).get("status", "INACTIVE") != "INACTIVE":
            return True
        self._containers.pop(arn, None)
        self._lost = True
        return False

    def _describe_tasks(self, arns: Sequence[str]) -> set[str]:
        """Read these tasks; those of which ECS says nothing, not even that they are missing."""
        silent = set(arns)
        calls = [
            partial(self.aws.call, "ecs", "describe_tasks", cluster=self.cluster, tasks=list(some))
            for some in chunks(arns, 100)
        ]
        for answer in self.aws.gather(calls):
            for said in answer.get("tasks", ()):
                task = self._task(said)
                self._tasks.setdefault(task.host, {})[task.arn] = task
                silent.discard(task.arn)
            for failure in answer.get("failures", ()):
                _only_missing(failure, "task")
                silent.discard(failure.get("arn", ""))
                for tasks in self._tasks.values():
                    tasks.pop(failure.get("arn", ""), None)
        return silent

    def _task(self, said: Answer) -> Task:
        daemons = frozenset(service.name for service in self._services.values() if service.daemon)
        task = task_of(said, daemons, self._raw_protected.get(said["taskArn"]))
        timeout = self._stop_timeouts.get(task.definition)
        return task if timeout is None else replace(task, stop_timeout=timeout)

    def _stop_timeouts_on(self, arns: Iterable[str]) -> None:
        """How long containers get to stop: only hosts without an agent need it, where STOPPED is never reported."""
        wanted = {task.definition for arn in arns for task in self._tasks.get(arn, {}).values()}
        for definition in sorted(wanted - self._stop_timeouts.keys()):
            answer = self._optional("ecs", "describe_task_definition", taskDefinition=definition)
            containers = answer.get("taskDefinition", {}).get("containerDefinitions", ())
            longest = max((said.get("stopTimeout", 30) for said in containers), default=30)
            self._stop_timeouts[definition] = timedelta(seconds=longest)

    def _protection(self, arns: Sequence[str]) -> None:
        """Scale-in protection of tasks on hosts that are to go: an optional reading (facts 3.5)."""
        at = self.aws.clock.now()
        for some in chunks(arns, 100):
            answer = self._optional("ecs", "get_task_protection", cluster=self.cluster, tasks=list(some))
            for entry in answer.get("protectedTasks", ()):
                if entry.get("protectionEnabled") and entry.get("expirationDate"):
                    self._raw_protected[entry["taskArn"]] = entry["expirationDate"]
                elif self._raw_protected.get(entry["taskArn"], at) >= at:
                    # Given up early. One that has expired is kept: from then on the task has its time to go.
                    self._raw_protected.pop(entry["taskArn"], None)

    # services and targets

    def _read_services(self, hosts: Mapping[str, Host], written: Written, at: datetime) -> None:
        """Services that had tasks where hosts leave; daemons while hosts boot."""
        canaries = {name for page in written.ledgers.values() if not page.canary_passed for name in page.canaries}
        watched = [host for host in hosts.values() if host.draining or host.id in canaries]
        names = {
            task.service for host in watched for task in self._tasks.get(host.arn or "", {}).values() if task.service
        }
        self._moved |= dict.fromkeys(names & self._services.keys(), at)
        self._moved = {name: last for name, last in self._moved.items() if at - last <= WATCHED or self._is_short(name)}
        names |= self._moved.keys()
        if any(host.live and not host.draining and host.arn not in self._settled for host in hosts.values()):
            names |= {service.name for service in self._daemons()}
        if self.looks > 1:
            self._describe_services(sorted(names))
        self._settle(at)
        self.targets.read(self._services[name] for name in names if name in self._services)

    def _is_short(self, name: str) -> bool:
        """Whether a service lacks tasks that it had: it is watched until it has them, or a gate shuts for it."""
        service = self._services.get(name)
        if service is None or service.daemon:
            return False
        return service.healthy(self.targets.known) < min(service.desired, self._had.get(name, 0))

    def _read_signs(self, written: Written, at: datetime) -> None:
        if self.looks == 1 and written.roll is None:
            self.signs.read_all()
        moved = [self._services[name] for name in sorted(self._moved) if name in self._services]
        trial = any(page.canaries and not page.canary_passed for page in written.ledgers.values())
        # A service that has all that it wants has nobody to replace: a crash loop shows in between.
        self.signs.read([one.name for one in moved if trial or one.pending or one.running < one.desired], at)

    def _describe_services(self, names: Sequence[str]) -> None:
        calls = [
            partial(self.aws.call, "ecs", "describe_services", cluster=self.cluster, services=list(some))
            for some in chunks(names, 10)
        ]
        for answer in self.aws.gather(calls):
            for said in answer.get("services", ()):
                self._services[said["serviceName"]] = service_of(said)
            for failure in answer.get("failures", ()):
                _only_missing(failure, "service")
                self._services.pop(failure.get("arn", "").rpartition("/")[2], None)

    def _optional(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """A reading that a roll can do without: that it failed is a finding, never a crash (DESIGN 7)."""
        try:
            return self.aws.optional(service, operation, **params)
        except (AwsRefusal, AwsUnavailable) as error:
            subject = f"{service}:{operation}"
            self.findings[subject] = Finding(
                code="EC190", severity="warning", subject=subject, measured=str(error), fix=error.hint
            )
            return {}

    # the picture

    def _picture(self, at: datetime, written: Written, raw: Sequence[Answer], hosts: Mapping[str, Host]) -> Snapshot:
        groups = {said["AutoScalingGroupName"]: self._group(said, written, hosts) for said in raw}
        members: dict[str, tuple[str, Answer]] = {name: (host.group, {}) for name, host in hosts.items()}
        return Snapshot(
            at=at,
            cluster=self.cluster,
            groups=groups,
            hosts=dict(hosts),
            services=dict(self._services),
            tasks={arn: tuple(tasks.values()) for arn, tasks in self._tasks.items()},
            targets=dict(self.targets.known),
            roll=written.roll,
            ledgers=written.ledgers,
            past=written.past,
            epoch=self.epoch,
            moved={name: self._had.get(name, 0) for name in sorted(self._moved) if name in self._services},
            crashes=self.signs.crashes,
            alarms=self.signs.alarms() if self.tasks else {},
            alarms_read=self.signs.could_read,
            ghosts=tuple(self._ghosts(members)),
        )

    def _group(self, said: Answer, written: Written, hosts: Mapping[str, Host]) -> Group:
        assert self.first is not None
        name = said["AutoScalingGroupName"]
        page = written.ledgers.get(name)
        pointing = page is not None and any(entry.phase is not Phase.HELD for entry in page.pointed)
        stale = self.looks % EVERY == 1 or pointing or page is None
        group = group_of(
            said,
            launches=self.launches.of(said, afresh=stale, others=self.first.others),
            termination_hook=self.first.may_wait(name),
            provider=self.first.providers.get(said.get("AutoScalingGroupARN", "")),
        )
        live = frozenset(host for host in group.hosts if hosts[host].live)
        # The mark goes with the registration, before the host does: so whoever has borne one is remembered.
        self._marked = {name for name, host in hosts.items() if host.drain_mark is not None or name in self._marked}
        taken = any(hosts[name].leaving and name not in self._marked for name in group.hosts)
        if page is not None and (taken or self.looks == 1):
            group = replace(group, refresh=self._refresh(group.name))
        doubt = asg.in_doubt(group, page.room if page else None, live)
        if len(live) >= group.desired and not doubt and not taken:
            return group
        return self._with_activities(group, page.newest if page else JUST_NOW)

    def _refresh(self, name: str) -> str:
        """The id of the instance refresh that is under way, or nothing: one at a time, the newest comes first."""
        answer = self._optional("autoscaling", "describe_instance_refreshes", AutoScalingGroupName=name, MaxRecords=1)
        newest: Answer = next(iter(answer.get("InstanceRefreshes", ())), {})
        return str(newest["InstanceRefreshId"]) if newest.get("Status") in _REFRESHING else ""

    def _with_activities(self, group: Group, since: datetime) -> Group:
        answer = self.aws.call(
            "autoscaling", "describe_scaling_activities", AutoScalingGroupName=group.name, MaxRecords=100
        )
        activities = [activity_of(said) for said in answer.get("Activities", ())]
        return replace(
            group,
            failures=tuple(entry for entry in activities if _failed(entry) and entry.at >= since),
            shrunk=frozenset(entry.instance for entry in activities if entry.instance and shrank(entry)),
        )

    def _ghosts(self, members: Mapping[str, tuple[str, Answer]]) -> Iterable[Host]:
        for said in self._strangers(members):
            instance = said.get("ec2InstanceId", "")
            state = self._machines.get(instance, {}).get("State", {}).get("Name", "terminated")
            if state in {"shutting-down", "terminated"}:
                yield host_of("", {"InstanceId": instance}, self._machines.get(instance), said)


_REFRESHING = {"Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"}


def _failed(entry: Activity) -> bool:
    """A launch that did not come to be: refused, or given up by (or for want of) whoever completes its hook."""
    return entry.status == "Failed" or (entry.status == "Cancelled" and "lifecycle action" in entry.message.lower())


def _only_missing(failure: Answer, what: str) -> None:
    """A thing that is gone is news; any other failure would leave the picture partial."""
    if failure.get("reason") != "MISSING":
        raise EcsrollError(
            f"ECS could not describe the {what} {failure.get('arn')}: {failure.get('reason')}",
            hint="run the same command again: it goes on",
        )


def _had(service: Service, roll: Roll | None) -> int:
    """The tasks that a service has to have again: a roll that is taken over may have left it short just now."""
    return service.running if roll is None else roll.before.short.get(service.name, service.desired)
