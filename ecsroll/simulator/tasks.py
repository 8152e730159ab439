"""Tasks: how one starts, becomes healthy, and is stopped; what its record says meanwhile.

Control plane and agent are told apart: without its agent a host goes on running what it runs, its targets can still
be deregistered, and nothing that happens on it is reported (aws-facts 3.7).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.balancer import Target
from ecsroll.simulator.definitions import Definitions, PortNeed, TaskDefinition

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.cluster import Cluster, ContainerInstance
    from ecsroll.simulator.services import Deployment, Service

__all__ = ["Task", "Tasks"]

RECORD_STAYS = 3600.0  # a stopped task can be described for an hour (aws-facts 9)
SIGKILL = 137
CRASHES_AFTER = (3.0, 8.0)
TAIL = (1.0, 5.0)  # executionStopped to STOPPED; awsvpc detaches its interface first (aws-facts 9: 5-25 s in all)
AWSVPC_TAIL = (5.0, 20.0)
DISTANT = 3.0  # order to agent to container


@dataclass(slots=True, eq=False)
class Task:
    """One task's record. ``healthy`` is whether ECS counts it for the lower bound (aws-facts 3.3)."""

    arn: str
    id: str
    cluster: "Cluster"
    definition: TaskDefinition
    group: str
    created_at: float
    started_by: str | None = None
    launch_type: str = "EC2"
    capacity_provider: str | None = None
    service: "Service | None" = None
    deployment: "Deployment | None" = None
    host: "ContainerInstance | None" = None
    zone: str | None = None
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    healthy: bool = False
    sick: str | None = None
    """Why a check fails, in the words of the stopped reason."""
    container_health: str = "UNKNOWN"
    protected_until: float | None = None
    bindings: list[tuple[PortNeed, int]] = field(default_factory=list)
    address: str | None = None
    """Its own address, with awsvpc."""
    targets: list[Target] = field(default_factory=list)
    step: Callable[[], None] | None = None
    """What the agent will do or report next, kept while it is away."""
    runs_for: float | None = None
    orphaned: bool = False
    """ECS has forgotten it, and its containers run on."""
    pull_began_at: float | None = None
    pulled_at: float | None = None
    started_at: float | None = None
    stopping_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    restarted_at: float | None = None
    restarts: int = 0
    """How often the agent has started its essential container anew: no API of ECS says it."""
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    container_reason: str | None = None
    version: int = 1
    request: dict[str, Any] = field(default_factory=dict)
    """What RunTask asked for."""
    overrides: dict[str, Any] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)

    @property
    def daemon(self) -> bool:
        """Whether it belongs to a DAEMON service."""
        return self.service is not None and self.service.daemon

    @property
    def alive(self) -> bool:
        """Whether its containers run, whatever the record says."""
        if self.host is None or self.started_at is None or self.execution_stopped_at is not None:
            return False
        return self.host.instance.state == "running"


class Tasks:
    """The laws of tasks, and their definitions."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.definitions = Definitions(sim)

    @property
    def all(self) -> dict[str, Task]:
        """Every task that can be described, by ARN, stopped ones too."""
        clusters = self.sim.clusters.clusters.values()
        return {arn: task for cluster in clusters for arn, task in cluster.tasks.items()}

    # starting

    def create(self, cluster: "Cluster", definition: TaskDefinition, *, group: str, **members: Any) -> Task:
        """A new record, PROVISIONING: it has no host yet."""
        task_id = self.world.hex(32)
        arn = self.sim.clusters.name("task", cluster.name, task_id)
        task = Task(arn, task_id, cluster, definition, group, self.world.now, **members)
        cluster.tasks[arn] = task
        cluster.pending += 1
        if task.service is not None:
            task.service.visible[task] = None
        self.sim.scheduler.task_changed(task)
        return task

    def place(self, task: Task, host: "ContainerInstance") -> None:
        """Give it a host: its resources are taken from now on."""
        task.host, task.zone = host, host.zone
        host.reserve(task)
        self.sim.clusters.room_changed(host)
        self.sim.providers.load_changed(host)
        takes = self.world.draw(self.world.durations.start(task.definition.family))
        if task.definition.awsvpc:
            task.address = f"10.1.{host.number % 250}.{host.used_enis + 4}"
            self._set(task, "PROVISIONING")
            self.world.after(takes * 0.4, lambda: self._pends(task))
        else:
            self._set(task, "PENDING")
        self.world.after(takes * 0.4, lambda: self._pulls(task))
        self.world.after(takes, lambda: self._agent(task, lambda: self._pulled(task)))

    def place_elsewhere(self, task: Task) -> None:
        """On Fargate: RUNNING and healthy at once, and of no interest."""
        task.launch_type, task.started_at = "FARGATE", self.world.now
        task.healthy = True
        self._set(task, "RUNNING")

    def _pends(self, task: Task) -> None:
        if task.last_status == "PROVISIONING" and task.desired_status == "RUNNING":
            self._set(task, "PENDING")

    def _pulls(self, task: Task) -> None:
        if task.desired_status == "RUNNING" and task.last_status != "STOPPED":
            task.pull_began_at = self.world.now

    def _pulled(self, task: Task) -> None:
        if task.desired_status == "STOPPED" or task.last_status == "STOPPED":
            return
        task.pulled_at = self.world.now
        if task.definition.family in self.sim.conditions.families_that_fail_to_start:
            self._fails_to_start(task)
        elif task.service is not None and len(task.service.load_balancers) > 1:
            # Several target groups: ECS attaches them before RUNNING (aws-facts 8.2).
            self._set(task, "ACTIVATING")
            self.world.after(self.world.draw((1, 4)), lambda: self._agent(task, lambda: self._runs(task)))
        else:
            self._runs(task)

    def _fails_to_start(self, task: Task) -> None:
        reason = f"CannotPullContainerError: pull image manifest has been retried 5 time(s): {task.definition.family}"
        task.container_reason = reason
        self._doomed(task, "TaskFailedToStart", reason)
        self._finish(task)
        self.sim.scheduler.task_failed(task)

    def _runs(self, task: Task) -> None:
        if task.desired_status == "STOPPED" or task.last_status == "STOPPED":
            return
        task.started_at = self.world.now
        self._set(task, "RUNNING")
        self.world.tell("task_running", task=task)
        self._register_targets(task)
        self._begin_checks(task)
        self._foresee_end(task)

    def _register_targets(self, task: Task) -> None:
        if task.service is None:
            return
        for wanted in task.service.registered_with:
            target = self.sim.balancer.register_task(wanted, task)
            target.watcher = lambda _: self._weigh(task)
            task.targets.append(target)

    def _foresee_end(self, task: Task) -> None:
        host = task.host
        crashes = host is not None and host.instance.image_id in self.sim.conditions.images_that_crash_tasks
        if crashes and task.service is not None and not task.daemon:
            self.world.after(self.world.draw(CRASHES_AFTER), lambda: self.exits(task, 1))
        runs_for = task.runs_for if task.runs_for is not None else task.definition.label("runs-for")
        if runs_for is not None:
            self.world.after(runs_for, lambda: self.exits(task, 0))

    # health

    def _begin_checks(self, task: Task) -> None:
        check = task.definition.health_check
        if check is not None:
            interval = float(check.get("interval", 30))
            self.world.after(interval, lambda: self._agent(task, lambda: self._checked(task)))
        elif not task.targets:
            # Nothing is checked: ECS counts it healthy 40 s after RUNNING (aws-facts 3.3).
            self.world.after(self.world.durations.counted_healthy, lambda: self._weigh(task))
        grace = task.service.grace if task.service is not None else 0
        if grace:
            self.world.after(grace, lambda: self._weigh(task))

    def _checked(self, task: Task) -> None:
        if task.last_status == "RUNNING":
            task.container_health = "UNHEALTHY" if task.definition.label("unhealthy") else "HEALTHY"
            task.version += 1
            self._weigh(task)

    def _weigh(self, task: Task) -> None:
        """Whether it counts as healthy, and whether a check condemns it."""
        if task.desired_status == "STOPPED" or task.last_status != "RUNNING" or task.started_at is None:
            return
        uptime = self.world.now - task.started_at
        grace = task.service.grace if task.service is not None else 0
        failed = self._failed_check(task)
        sick = failed if uptime >= grace else None
        healthy = failed is None and self._passed(task, uptime)
        if (sick, healthy) != (task.sick, task.healthy):
            task.sick, task.healthy = sick, healthy
            self.sim.scheduler.task_changed(task)

    def _passed(self, task: Task, uptime: float) -> bool:
        if not task.targets and task.definition.health_check is None:
            return uptime >= self.world.durations.counted_healthy - 1e-6
        by_container = task.definition.health_check is None or task.container_health == "HEALTHY"
        return by_container and all(target.state == "healthy" for target in task.targets)

    def _failed_check(self, task: Task) -> str | None:
        if task.container_health == "UNHEALTHY":
            return "Task failed container health checks"
        for target in task.targets:
            if target.failing:
                return f"Task failed ELB health checks in (target-group {target.group.arn})"
        return None

    def resume(self, task: Task) -> None:
        """Let a task that was there before this simulation began go on from where it is."""
        for target in task.targets:
            target.watcher = lambda _: self._weigh(task)
        if task.desired_status == "STOPPED":
            self._go_on_stopping(task)
        elif task.last_status == "RUNNING":
            self._weigh(task)
            if not task.healthy:
                self._begin_checks(task)
        elif task.host is not None:
            left = self.world.draw(self.world.durations.start(task.definition.family)) + task.created_at
            self.world.after(max(0.5, left), lambda: self._agent(task, lambda: self._pulled(task)))

    def _go_on_stopping(self, task: Task) -> None:
        if task.host is None:
            self._finish(task)
        elif task.last_status == "DEPROVISIONING":
            self._ended(task)
        elif task.last_status == "STOPPING":
            self._sigterm_soon(task, 0.5)
        else:
            arns = [wanted["targetGroupArn"] for wanted in task.service.registered_with] if task.service else []
            groups = [self.sim.balancer.groups[arn] for arn in arns if arn in self.sim.balancer.groups]
            delay = max((group.deregistration_delay for group in groups), default=0.0)
            self._sigterm_soon(task, max(0.5, delay + (task.stopping_at or 0.0) - self.world.now))

    # stopping

    def stop(self, task: Task, code: str, reason: str) -> None:
        """Tell it to stop. From now on neither counters nor ListTasks' default show it (aws-facts 3.4)."""
        if task.desired_status == "STOPPED":
            return
        was_running = task.last_status == "RUNNING"
        self._doomed(task, code, reason)
        if task.host is None:
            self._finish(task)
        elif not was_running:
            self.world.after(self.world.draw((0.5, DISTANT)), lambda: self._agent(task, lambda: self._killed(task)))
        elif task.targets:
            self._leave_targets(task)
        else:
            self._sigterm_soon(task, 0.5)

    def _doomed(self, task: Task, code: str | None, reason: str) -> None:
        task.stop_code, task.stopped_reason, task.stopping_at = code, reason, self.world.now
        task.healthy, task.sick = False, None
        self._set(task, task.last_status, desired="STOPPED")

    def _leave_targets(self, task: Task) -> None:
        """Targets first: the containers hear nothing until the deregistration delay is over (aws-facts 3.6)."""
        delay = max(target.group.deregistration_delay for target in task.targets)
        for target in task.targets:
            target.watcher = None
            self.sim.balancer.deregister(target)
        # With one target group the record may go on to say RUNNING; accept both (aws-facts 3.6).
        if len(task.targets) > 1 or self.world.random.random() < 0.5:
            self._set(task, "DEACTIVATING")
        self._sigterm_soon(task, delay)

    def _sigterm_soon(self, task: Task, delay: float) -> None:
        self.world.after(
            delay + self.world.draw((0.2, DISTANT)), lambda: self._agent(task, lambda: self._sigterm(task))
        )

    def _sigterm(self, task: Task) -> None:
        if task.last_status == "STOPPED" or task.execution_stopped_at is not None:
            return
        self._set(task, "STOPPING")
        if task.definition.family in self.sim.conditions.families_that_never_stop:
            return
        wants = task.definition.label("stops-after")
        takes = wants if wants is not None else self.world.draw(self.world.durations.stop(task.definition.family))
        task.exit_code = SIGKILL if takes > task.definition.stop_timeout else 0
        takes = min(takes, task.definition.stop_timeout)
        self.world.after(takes, lambda: self._agent(task, lambda: self._ended(task)))

    def _killed(self, task: Task) -> None:
        if task.last_status != "STOPPED":
            self._set(task, "STOPPING")
            self._ended(task)

    def _ended(self, task: Task) -> None:
        if task.last_status == "STOPPED":
            return
        task.execution_stopped_at = self.world.now
        self._set(task, "DEPROVISIONING")
        tail = self.world.draw(AWSVPC_TAIL if task.definition.awsvpc else TAIL)
        self.world.after(tail, lambda: self._agent(task, lambda: self._finish(task)))

    def exits(self, task: Task, code: int) -> None:
        """Its essential container ends by itself: the agent restarts it if its policy says so, else the task stops."""
        if not task.alive or task.last_status == "STOPPED":
            return
        if self._may_restart(task, code):
            self._restart(task)
            return
        task.exit_code, task.execution_stopped_at = code, self.world.now
        self._agent(task, lambda: self._exited(task))

    def _may_restart(self, task: Task, code: int) -> bool:
        """By the restart policy: only after it ran for restartAttemptPeriod since its start or its last restart."""
        policy = task.definition.restarts
        if policy is None or task.desired_status == "STOPPED" or code in policy.get("ignoredExitCodes", ()):
            return False
        began = max(task.started_at or 0.0, task.restarted_at or 0.0)
        return self.world.now - began >= float(policy.get("restartAttemptPeriod", 300))

    def _restart(self, task: Task) -> None:
        """The agent starts the same container again and reports nothing: no event, no new runtimeId (aws-facts 7.6).

        What it was told to check begins anew, and until then its health is not known.
        """
        task.restarts, task.restarted_at = task.restarts + 1, self.world.now
        if task.definition.health_check is not None:
            task.container_health = "UNKNOWN"
            self._weigh(task)
            self._begin_checks(task)
        self.world.tell("container_restarted", task=task)
        self._foresee_end(task)

    def _exited(self, task: Task) -> None:
        if task.last_status == "STOPPED":
            return
        if task.desired_status == "RUNNING":
            self._doomed(task, "EssentialContainerExited", "Essential container in task exited")
            self._abandon_targets(task)
            self.sim.scheduler.task_failed(task)
        self._set(task, "DEPROVISIONING")
        self.world.after(self.world.draw(TAIL), lambda: self._agent(task, lambda: self._finish(task)))

    def _abandon_targets(self, task: Task) -> None:
        for target in task.targets:
            target.watcher = None
            self.sim.balancer.deregister(target)

    def lost(self, task: Task, code: str | None, reason: str) -> None:
        """Its host is gone, or ECS has let go of it: STOPPED without a sequence."""
        if task.last_status == "STOPPED":
            return
        if task.desired_status == "RUNNING":
            self._doomed(task, code, reason)
        self._abandon_targets(task)
        if not task.orphaned and task.execution_stopped_at is None:
            task.execution_stopped_at = self.world.now
        self._finish(task)

    def _finish(self, task: Task) -> None:
        if task.last_status == "STOPPED":
            return
        task.stopped_at = self.world.now
        task.step = None
        task.cluster.provisioning.pop(task, None)
        host = task.host
        if host is not None:
            host.release(task)
        self._set(task, "STOPPED", desired="STOPPED")
        self.world.tell("task_stopped", task=task)
        self.world.after(RECORD_STAYS, lambda: self._forget(task))
        if host is not None:
            self.sim.clusters.room_gained(host)
            self.sim.scheduler.host_changed(host)
            self.sim.providers.load_changed(host)

    def _forget(self, task: Task) -> None:
        task.cluster.tasks.pop(task.arn, None)
        if task.host is not None:
            task.host.visible.pop(task, None)
        if task.service is not None:
            task.service.visible.pop(task, None)

    # protection

    def protect(self, task: Task, minutes: float | None) -> None:
        """Protect it for that many minutes, or no more (aws-facts 3.5)."""
        task.protected_until = None if minutes is None else self.world.now + 60 * minutes
        if minutes is not None:
            self.world.after(60 * minutes, lambda: self.sim.scheduler.task_changed(task))
        self.sim.scheduler.task_changed(task)

    def protected(self, task: Task) -> bool:
        """Whether scale-in, a deployment (and a drain, by the conditions) must leave it alone now."""
        return task.protected_until is not None and self.world.now < task.protected_until

    # the agent

    def _agent(self, task: Task, step: Callable[[], None]) -> None:
        """The agent does or reports something: now, or when it is back."""
        self.sim.clusters.check_agents()
        host = task.host
        if host is None:
            step()
        elif host.instance.state != "running":
            return  # agent and containers are gone; what becomes of the record, the host's end decides
        elif host.agent_connected or host.status == "INACTIVE":
            step()
        else:
            task.step = step
            host.backlog.append(task)

    def agent_returns(self, host: "ContainerInstance") -> None:
        """What waited for the agent happens now, in the order it came."""
        waiting, host.backlog = host.backlog, []
        for task in waiting:
            step, task.step = task.step, None
            if step is not None:
                step()

    # the record

    def _set(self, task: Task, last: str, *, desired: str | None = None) -> None:
        cluster = task.cluster
        before = _column(task)
        task.last_status = last
        task.desired_status = desired or task.desired_status
        task.version += 1
        after = _column(task)
        if before != after:
            cluster.running += (after == "running") - (before == "running")
            cluster.pending += (after == "pending") - (before == "pending")
        if task.host is not None:
            task.host.version += 1
        self.sim.scheduler.task_changed(task)


def _column(task: Task) -> str:
    """Which counter shows it: none, once it is told to stop (aws-facts 3.4)."""
    if task.desired_status == "STOPPED":
        return "none"
    return "running" if task.last_status == "RUNNING" else "pending"
