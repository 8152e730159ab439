"""The promises of DESIGN 2, checked from the simulated AWS's own records: never from what ecsroll believes.

A :class:`WatchedWorld` looks after every single thing that happens; a :class:`Watch` looks at every changing call
before it lands, too. What is found is kept as sentences, so that a test can show all of it at once.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ecsroll.model import Policy, Verdict
from ecsroll.simulator.cluster import ContainerInstance
from ecsroll.simulator.compute import Instance
from ecsroll.simulator.door import Call
from ecsroll.simulator.groups import Group
from ecsroll.simulator.services import Service
from ecsroll.simulator.stage import Stage
from ecsroll.simulator.tasks import Task
from ecsroll.simulator.world import Timer, World

__all__ = ["Before", "Watch", "WatchedWorld"]


class WatchedWorld(World):
    """A world in which somebody looks after every single thing that happens."""

    look: Callable[[], None] | None = None

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """As ever, and then have a look."""

        def happen() -> None:
            callback()
            if self.look is not None:
                self.look()

        return super().after(seconds, happen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What one group was like before anybody rolled it."""

    desired: int
    min: int
    max: int
    new_protected: bool
    suspended: frozenset[str]
    protected: dict[str, bool]
    launch: tuple[Any, ...]
    members: frozenset[str]


def _launch(stage: Stage, group: Group) -> tuple[Any, ...]:
    """How the group says what it launches, and which image that means now."""
    spec = dict(group.source or {}).get("Version")
    image = stage.sim.compute.resolve_image(str(stage.sim.scaling.fleet.source(group).data.get("ImageId", "")))
    return (spec if str(spec).startswith("$") else "fixed", image)


def _before(stage: Stage, group: Group) -> Before:
    return Before(
        desired=group.desired,
        min=group.min,
        max=group.max,
        new_protected=group.new_protected,
        suspended=frozenset(group.suspended),
        protected={name: member.protected for name, member in group.members.items()},
        launch=_launch(stage, group),
        members=frozenset(group.members),
    )


@dataclass
class Watch:
    """Watches one stage while rolls go over it. ``rolled``: the groups that were asked for."""

    stage: Stage
    policy: Policy
    rolled: tuple[str, ...] = ()
    breaches: list[str] = field(default_factory=list)
    may_kill: bool = False
    """Whether the policy lets tasks end with their host."""
    others: Counter[str] = field(default_factory=Counter)
    """What others have changed of each group's DesiredCapacity, net."""
    dying: set[str] = field(default_factory=set)
    """Instances that a scenario ends by itself: what ran on them is nobody's fault."""
    forgiven: set[str] = field(default_factory=set)
    """Services that a mishap took below their floor: held to it again once they have been back there."""
    crossed: bool = False
    """Scale-ins may cross with the call that makes room, unseen by it: what they took may then be given back."""
    scaled_in: Counter[str] = field(default_factory=Counter)
    unfinished: float = 0.0
    """Until when the tasks of a mishap may still end."""

    def __post_init__(self) -> None:
        sim = self.stage.sim
        self.rolled = self.rolled or self.policy.groups or tuple(sim.scaling.groups)
        self.before = {name: _before(self.stage, group) for name, group in sim.scaling.groups.items()}
        self.healthy = {service.name: len(service.healthy) for service in self._services()}
        self.ready = {name: self._serving(name) for name in sim.scaling.groups}
        self.foreign = {host.id for host in self._cluster().registered if host.status == "DRAINING"}
        self.size = {name: group.desired for name, group in sim.scaling.groups.items()}
        self._ours = False
        self._acting = False
        assert isinstance(sim.world, WatchedWorld)
        sim.world.look = self.look
        sim.world.listen("instance_stopping", self._instance_stops)
        sim.world.listen("task_stopped", self._task_stopped)
        sim.world.listen("host_terminating", self._host_terminating)
        sim.world.listen("group_resized", self._resized)
        sim.door.before.append(self._before_call)
        sim.door.after.append(self._after_call)

    # the truth

    def _cluster(self) -> Any:
        return self.stage.sim.clusters.clusters[self.stage.cluster]

    def _services(self) -> list[Service]:
        found = self._cluster().services.values()
        return [service for service in found if not service.daemon and service.status == "ACTIVE"]

    def _host(self, name: str) -> ContainerInstance | None:
        return self.stage.sim.clusters.host(self._cluster(), name)

    def _group_of(self, host: ContainerInstance) -> str:
        return host.instance.group or ""

    def _serving(self, group: str) -> int:
        """Hosts that the scheduler can use and that the group keeps."""
        members = self.stage.sim.scaling.groups[group].members if group in self.stage.sim.scaling.groups else {}
        by_instance = self.stage.sim.clusters.by_instance
        return sum(
            member.state == "InService" and name in by_instance and by_instance[name].open
            for name, member in members.items()
        )

    def own_size(self, group: str) -> int:
        """What the group wants without the roll: what it was, and what others have made of it."""
        return self.before[group].desired + self.others[group]

    # others

    @contextmanager
    def somebody_else(self) -> Iterator[None]:
        """Everything done here is done by others: a scaler, a person, Terraform."""
        self._acting = True
        try:
            yield
        finally:
            self._acting = False

    def mishap(self, *instances: str, lasting: float = 0.0) -> None:
        """From now on something is broken that no roll has broken: floors are held again once they were reached.

        ``lasting``: seconds that it may take until the tasks are gone; they still count as healthy at first.
        """
        self.dying |= set(instances)
        self.unfinished = max(self.unfinished, self.stage.sim.elapsed() + lasting)
        self.forgiven |= {service.name for service in self._services()}

    # what is watched

    def breach(self, sentence: str) -> None:
        """Something happened that was promised not to."""
        self.breaches.append(f"{self.stage.sim.now():%H:%M:%S} {sentence}")

    def look(self) -> None:
        """Promise 1, at every moment: no replica service below its floor, or what it had when the roll began."""
        for service in self._services():
            healthy, floor = len(service.healthy), min(service.lower, self.healthy.get(service.name, 0))
            if healthy >= floor and self.stage.sim.elapsed() >= self.unfinished:
                self.forgiven.discard(service.name)
            elif healthy < floor and service.name not in self.forgiven:
                self.breach(f"{service.name} has {healthy} healthy tasks, its floor is {floor}")
                self.forgiven.add(service.name)

    def _instance_stops(self, instance: Instance, reason: str) -> None:
        """A host that dies of its image: whatever ends with it, no roll has ended it."""
        if reason == "terminated" and (instance.state_reason or "").startswith("Server."):
            self.mishap(instance.id)

    def _host_terminating(self, group: str, instance: Instance) -> None:
        """Before the floor is up, and after it was given back, scale-in takes whom it likes: it is not the roll's."""
        if not self._held(group):
            self.mishap(instance.id, lasting=90)

    def _held(self, group: str) -> bool:
        """Whether the roll holds the group's floor at this moment."""
        stored = self.stage.sim.parameters._stored.get(f"/ecsroll/{self.stage.cluster}/ledger/{group}")
        room = json.loads(stored.versions[-1].value)["room"] if stored else None
        lent = room is not None and room["phase"] != "returning"
        return (
            group in self.stage.sim.scaling.groups
            and lent
            and self.stage.sim.scaling.groups[group].min >= self.own_size(group)
        )

    def _task_stopped(self, task: Task) -> None:
        """Promises 1 and 2: no task ends because its host does."""
        host = task.host.instance.id if task.host else ""
        if host in self.dying and task.service is not None:
            self.forgiven.add(task.service.name)
        if task.stop_code == "TerminationNotice" and not (task.daemon or self.may_kill or host in self.dying):
            self.breach(f"a task of {task.group} was killed by the end of {host}")

    def _resized(self, group: str, desired: int, cause: str) -> None:
        """Promise 10: others change the size, and the roll adds its surge to that and no more."""
        changed, self.size[group] = desired - self.size[group], desired
        if self._acting or cause not in {"update", "terminated"}:
            self.others[group] += changed
            self.scaled_in[group] += max(0, -changed)
        elif desired > self.own_size(group) + self._surge(group) + self._crossing(group):
            self.breach(f"{group} wants {desired} hosts, {self.own_size(group)} by itself, surge {self._surge(group)}")

    def _crossed(self, group: str) -> bool:
        above = self.stage.sim.scaling.groups[group].desired - self.own_size(group)
        return 0 < above <= self._crossing(group)

    def _crossing(self, group: str) -> int:
        return self.scaled_in[group] if self.crossed else 0

    def _surge(self, group: str) -> int:
        own = max(self.own_size(group), self.before[group].desired)
        if self.policy.strategy == "double":
            return own
        return self.policy.surge.of(own, up=True)

    def _before_call(self, call: Call) -> None:
        self.look()
        if call.changes:
            self._check_reach(call)
        if call.operation == "TerminateInstanceInAutoScalingGroup":
            self._check_empty(call.params["InstanceId"])
        if call.operation == "UpdateContainerInstancesState" and call.params["status"] == "DRAINING":
            for arn in call.params["containerInstances"]:
                self._check_affordable(arn)

    def _after_call(self, call: Call) -> None:
        del call
        self.look()

    def _check_reach(self, call: Call) -> None:
        """Promise 3: only the named groups, never a host that somebody else drains."""
        group = call.params.get("AutoScalingGroupName")
        if group is not None and group not in self.rolled:
            self.breach(f"{call.operation} for {group}, which was not asked for")
        names = [*call.params.get("containerInstances", ()), call.params.get("containerInstance")]
        names += [attribute["targetId"] for attribute in call.params.get("attributes", ())]
        for host in filter(None, (self._host(name) for name in names if name)):
            if self._group_of(host) not in self.rolled or host.id in self.foreign:
                self.breach(f"{call.operation} for {host.instance.id}, which is somebody else's")

    def _check_empty(self, instance: str) -> None:
        """Promise 2: only what is DRAINING and has no task but daemons is terminated."""
        group = self.stage.sim.scaling.fleet.by_instance.get(instance)
        if group is None and instance in self.dying:
            return  # it has died by itself since, and AWS refuses
        if group is None or group.name not in self.rolled:
            self.breach(f"{instance} was terminated, which is no host of {', '.join(self.rolled)}")
        host = self.stage.sim.clusters.by_instance.get(instance)
        if host is None:
            return
        if host.status != "DRAINING" or host.id in self.foreign:
            self.breach(f"{instance} was terminated, though it is {host.status}")
        for task in host.live:
            if not task.daemon and not self.may_kill and not self._must_be_over(task, host):
                self.breach(f"{instance} was terminated under a task of {task.group} ({task.last_status})")

    def _must_be_over(self, task: Task, host: ContainerInstance) -> bool:
        """Without an agent STOPPED is never reported: then its targets and its time tell (promise 2)."""
        if host.agent_connected or task.service is None or task.desired_status != "STOPPED":
            return False
        delay = max((target.group.deregistration_delay for target in task.targets), default=0)
        over = (task.stopping_at or 0) + delay + task.definition.stop_timeout
        return self.stage.sim.elapsed() >= over and not any(
            (target.id, target.port) in target.group.targets for target in task.targets
        )

    def _check_affordable(self, arn: str) -> None:
        """Promise 1: new room first. Enough hosts serve without the one that is drained now."""
        host = self._host(arn)
        if host is None or not host.open:
            return
        group = self._group_of(host)
        need = min(self.own_size(group), self.ready[group])
        need -= self.policy.unavailable.of(self.own_size(group), up=False)
        left = self._serving(group) - 1
        if left < need:
            self.breach(f"{host.instance.id} is drained, and only {left} hosts serve then, {need} are needed")

    # the end

    def check_end(self, verdict: Verdict) -> None:
        """Promises 3, 4 and 10: all is given back, or the verdict says what is owed."""
        self.look()
        for name in self.before.keys() & self.stage.sim.scaling.groups.keys():
            for lent in self._lent(name):
                if verdict.result != "halted":
                    self.breach(f"{name}: {lent} at the end")
                elif not any(owed.group == name for owed in verdict.owed):
                    self.breach(f"{name}: {lent} at the end, and the verdict does not say so")
        self._check_written(verdict)
        self._check_hosts(verdict)
        if verdict.result == "done":
            self._check_whole()

    def _check_whole(self) -> None:
        """Promise 1: nobody is told that a roll is done while a service has less than before it."""
        for service in self._services():
            want = min(service.desired, self.healthy.get(service.name, 0))
            run = sum(task.last_status == "RUNNING" for task in service.tasks)
            if run < want and service.name not in self.forgiven:
                self.breach(f"{run} of {want} tasks of {service.name} run at the end")

    def _lent(self, name: str) -> list[str]:
        """What is not as it was."""
        group, was = self.stage.sim.scaling.groups[name], self.before[name]
        found = []
        for what, now, then in (
            ("DesiredCapacity", group.desired, self.own_size(name)),
            ("MinSize", group.min, was.min),
            ("MaxSize", group.max, max(was.max, self.own_size(name))),
            ("birth protection", group.new_protected, was.new_protected),
            ("suspended", sorted(group.suspended), sorted(was.suspended)),
        ):
            if now != then and (what != "DesiredCapacity" or not self._crossed(name)):
                found.append(f"{what} is {now}, was {then}")
        return [*found, *self._protected(group, was), *self._moved_target(group, was)]

    def _protected(self, group: Group, was: Before) -> list[str]:
        if any(provider.protects and provider.group == group.name for provider in self._providers()):
            return []
        wanted = was.protected
        odd = [
            name
            for name, member in group.members.items()
            if member.state == "InService" and member.protected != wanted.get(name, was.new_protected)
        ]
        return [f"protection of {', '.join(odd)} is not as it was"] if odd else []

    def _providers(self) -> list[Any]:
        return list(self.stage.sim.providers.providers.values())

    def _moved_target(self, group: Group, was: Before) -> list[str]:
        now = _launch(self.stage, group)
        if now[0] != was.launch[0]:
            return [f"it says {now[0]} where it said {was.launch[0]}"]
        if group.name not in self.rolled and now != was.launch:
            return [f"launches {now[1]} instead of {was.launch[1]}, and it was not asked for"]
        return []

    def _check_written(self, verdict: Verdict) -> None:
        prefix = f"/ecsroll/{self.stage.cluster}/"
        ssm = self.stage.sim.parameters._stored
        kept = (f"{prefix}history/", f"{prefix}lease/")
        left = [name for name in ssm if name.startswith(prefix) and not name.startswith(kept)]
        if left and verdict.result != "halted":
            self.breach(f"still written down: {', '.join(sorted(left))}")

    def _check_hosts(self, verdict: Verdict) -> None:
        for host in self._cluster().registered:
            here = f"{host.instance.id} is {host.status}"
            if host.id in self.foreign and host.status != "DRAINING":
                self.breach(f"{here}: somebody else had drained it")
            marks = [name for name in host.custom if name.startswith("ecsroll.")]
            dead = host.instance.state != "running" or host.instance.id not in self._members()
            if dead or host.id in self.foreign:
                continue
            if host.status != "ACTIVE" and verdict.result != "halted":
                self.breach(f"{here} at the end")
            if marks:
                self.breach(f"{host.instance.id} still has {', '.join(marks)}")

    def _members(self) -> set[str]:
        return {
            name
            for group in self.stage.sim.scaling.groups.values()
            for name, member in group.members.items()
            if member.state == "InService"
        }
