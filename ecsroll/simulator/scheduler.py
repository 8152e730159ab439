"""The service scheduler: how ECS brings a service to its desired count, and what holds it back.

Only services to which something happened are looked at; each a few seconds later (aws-facts 8.5).
"""

from typing import TYPE_CHECKING, Any

from ecsroll.simulator import deployments
from ecsroll.simulator.placement import RANDOM, Crowd, Room, unfit
from ecsroll.simulator.services import SUPPRESSED, Service
from ecsroll.simulator.standalone import PROVISIONING_AT_MOST, Standalone
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecsroll.simulator import Simulation
    from ecsroll.simulator.cluster import Cluster, ContainerInstance
    from ecsroll.simulator.definitions import TaskDefinition
    from ecsroll.simulator.tasks import Task

__all__ = ["Scheduler"]

STARTS_A_LOOK = 40  # with a look every few seconds: AWS's 500 tasks a service and minute (aws-facts 8.5)
LONGEST_HOLD = 27 * 60.0  # start throttling grows to 27 minutes (aws-facts 8.3)
REBALANCES_AFTER = (60.0, 300.0)
SCHEDULED = "ServiceSchedulerInitiated"


class Scheduler:
    """Services, and the loop that keeps them."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.standalone = Standalone(sim)

    # services

    def create(self, cluster: "Cluster", request: dict[str, Any]) -> Service:
        """A new service; what it asks for is checked by the answer that calls this."""
        name = request["serviceName"]
        found = cluster.services.get(name)
        if found is not None and found.status == "ACTIVE":
            raise Refusal("InvalidParameterException", "Creation of service was not idempotent.")
        if found is not None and found.status == "DRAINING":
            raise Refusal("InvalidParameterException", "Unable to Start a service that is still Draining.")
        arn = self.sim.clusters.name("service", cluster.name, name)
        made = Service(arn, name, cluster, dict(request), self.world.now, int(request.get("desiredCount") or 0))
        if not request.get("launchType") and not request.get("capacityProviderStrategy"):
            made.request["capacityProviderStrategy"] = list(cluster.default_strategy)
        cluster.services[name] = made
        deployments.begin(self.sim, made, self.sim.tasks.definitions.usable(request["taskDefinition"]))
        if made.daemon:
            cluster.daemons[made] = None
            made.dirty_hosts.update(dict.fromkeys(cluster.registered))
        self.touch(made)
        return made

    def update(self, service: Service, request: dict[str, Any]) -> None:
        """New wishes; a new task definition or force begins a deployment, a new count does not."""
        if service.status != "ACTIVE":
            raise Refusal("ServiceNotActiveException", "Service was not ACTIVE.")
        changes = {key: value for key, value in request.items() if key not in ("cluster", "service")}
        forced = changes.pop("forceNewDeployment", False)
        if "desiredCount" in changes:
            service.desired = int(changes.pop("desiredCount"))
        definition = self._wished(service, changes)
        service.request.update(changes)
        service.failures, service.held_until, service.steady = 0, 0.0, False
        rolling = {"networkConfiguration", "loadBalancers", "placementConstraints", "placementStrategy"}
        if forced or definition is not service.primary.definition or rolling & set(changes):
            deployments.begin(self.sim, service, definition)
        if service.daemon:
            service.dirty_hosts.update(dict.fromkeys(service.cluster.registered))
        self.touch(service)

    def _wished(self, service: Service, changes: dict[str, Any]) -> "TaskDefinition":
        if "taskDefinition" not in changes:
            return service.primary.definition
        return self.sim.tasks.definitions.usable(changes["taskDefinition"])

    def delete(self, service: Service, *, force: bool) -> None:
        """It drains; its tasks are stopped."""
        if not force and service.desired and not service.daemon:
            raise Refusal("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
        service.status, service.desired = "DRAINING", 0
        for host in service.cluster.registered:
            host.unsettled.pop(service, None)
            self.sim.clusters.room_changed(host)
        for task in list(service.tasks):
            self._stop(task)
        self.touch(service)

    # what happened

    def touch(self, service: Service) -> None:
        """Look at a service soon."""
        if service.due or service.status == "INACTIVE":
            return
        service.due = True
        self.world.after(self.world.draw(self.world.durations.scheduler_period), lambda: self._look(service))

    def task_changed(self, task: "Task") -> None:
        """A task is not where it was."""
        if task.service is not None:
            task.service.note(task)
            self.touch(task.service)

    def host_changed(self, host: "ContainerInstance") -> None:
        """A host is not what it was: daemons may come or go."""
        for service in host.cluster.daemons:
            if service.status == "ACTIVE":
                service.dirty_hosts[host] = None
                self.touch(service)

    def daemons_of(self, host: "ContainerInstance") -> "dict[Service, None]":
        """The DAEMON services that will look at a host before anything else is placed there."""
        if host.status != "ACTIVE" or not host.agent_connected:
            return {}
        return {service: None for service in host.cluster.daemons if service.status == "ACTIVE"}

    def wake(self, cluster: "Cluster") -> None:
        """There may be room now for what waits."""
        waiting, cluster.waiting = cluster.waiting, {}
        for service in waiting:
            self.touch(service)
        if cluster.provisioning:
            self.world.after(self.world.draw((1, 3)), lambda: self.place_provisioning(cluster))

    def task_failed(self, task: "Task") -> None:
        """A task ended by itself. Only those that never ran slow down the next start (aws-facts 7.6)."""
        service = task.service
        if service is None:
            return
        if task.deployment is not None:
            task.deployment.failed += 1
            deployments.break_circuit(self.sim, service, task.deployment)
        if task.started_at is not None:
            return
        service.failures += 1
        hold = min(LONGEST_HOLD, 2.0 ** min(service.failures, 11))
        service.held_until = self.world.now + hold
        if service.failures >= 3:
            self.say(service, f"(service {service.name}) is unable to consistently start tasks successfully.")
        self.world.after(hold, lambda: self.touch(service))

    # the loop

    def _look(self, service: Service) -> None:
        service.due = False
        self.sim.clusters.check_agents()
        if service.status == "DRAINING":
            self._end_if_empty(service)
            return
        if service.status != "ACTIVE" or service.controller == "EXTERNAL":
            return
        if service.fargate:
            self._keep_fargate(service)
            return
        self._stop_pending_on_draining(service)
        blocked = self._keep_daemon(service) if service.daemon else self._keep_replicas(service)
        self._say_what_moved(service)
        deployments.settle(self.sim, service)
        self._judge(service, blocked)

    def _end_if_empty(self, service: Service) -> None:
        if all(task.last_status == "STOPPED" for task in service.visible):
            service.status = "INACTIVE"
            service.cluster.daemons.pop(service, None)
            self.world.after(3600, lambda: self._forget(service))
        else:
            for task in list(service.tasks):
                self._stop(task)

    def _forget(self, service: Service) -> None:
        if service.cluster.services.get(service.name) is service:
            del service.cluster.services[service.name]

    def _stop_pending_on_draining(self, service: Service) -> None:
        """PENDING tasks on a DRAINING host are stopped at once, whatever the bounds (aws-facts 3.2)."""
        for task in list(service.leaving):
            if task in service.pending:
                self._stop(task)

    def _keep_replicas(self, service: Service) -> bool:
        """Start, then stop, within the bounds. True if the bounds alone stand in the way."""
        going = service.replaceable()
        kept = len(service.tasks) - len(going)
        missing = service.desired - kept
        may = max(0, service.upper - len(service.tasks))
        started = self._start(service, min(missing, may)) if missing > 0 and may else 0
        stopped = self._stop_surplus(service, -missing, going) if missing < 0 else 0
        stopped += self._stop_replaced(service, list(going), stuck=missing > 0 and not may)
        free = [task for task in going if not self._held(service, task)]
        return bool(free) and not (started or stopped or may or self._expecting(service, going))

    def _expecting(self, service: Service, going: "dict[Task, None]") -> bool:
        """Whether something is under way that will change the picture."""
        return bool(service.pending) or any(task not in service.healthy and task not in going for task in service.tasks)

    def _stop_surplus(self, service: Service, number: int, going: "dict[Task, None]") -> int:
        candidates = [task for task in service.tasks if task not in going and not self.sim.tasks.protected(task)]
        waiting = [task for task in candidates if task in service.pending]
        order = [*waiting, *service.first_to_go([task for task in candidates if task not in service.pending])]
        for task in order[:number]:
            self._stop(task)
        return min(number, len(order))

    def _stop_replaced(self, service: Service, going: "list[Task]", *, stuck: bool) -> int:
        """Stop what is replaced, as long as enough healthy ones stay; unhealthy ones first."""
        stopped = 0
        unhealthy = [task for task in going if task not in service.healthy]
        healthy = [task for task in going if task in service.healthy]
        for task in [*unhealthy, *service.first_to_go(healthy)]:
            if self._may_stop(service, task, stuck=stuck and not stopped):
                self._stop(task)
                stopped += 1
        return stopped

    def _may_stop(self, service: Service, task: "Task", *, stuck: bool) -> bool:
        if task not in service.tasks or self._held(service, task):
            return False
        if task in service.pending:
            return True  # it is of an earlier deployment, and nobody counts on it
        if task in service.sick and stuck:
            return True  # no room to start first: the unhealthy go one at a time (aws-facts 3.3)
        return len(service.healthy) - (task in service.healthy) >= service.lower

    def _held(self, service: Service, task: "Task") -> bool:
        if not self.sim.tasks.protected(task) or task in service.sick:
            return False
        # Whether a drain honours protection is not documented (aws-facts 3.5): a switch.
        return task in service.old or self.sim.conditions.protection_holds_drains

    def _stop(self, task: "Task") -> None:
        deployment = task.deployment.id if task.deployment is not None else ""
        if task.sick is not None and task.deployment is not None and task.service is not None:
            task.deployment.failed += 1
            deployments.break_circuit(self.sim, task.service, task.deployment)
        reason = task.sick or f"Scaling activity initiated by (deployment {deployment})"
        self.sim.tasks.stop(task, SCHEDULED, reason)
        if task.service is not None:
            task.service.stopped.append(task)

    def _keep_fargate(self, service: Service) -> None:
        """As data: they run at once, and no roll moves them."""
        while len(service.tasks) < service.desired:
            self.sim.tasks.place_elsewhere(self._begin(service, None, None))
        for task in list(service.tasks)[service.desired :]:
            self._stop(task)
        deployments.settle(self.sim, service)
        self._judge(service, blocked=False)

    # starting

    def _start(self, service: Service, number: int) -> int:
        """Start as many as there is room for; 0 where none could be."""
        if self.world.now < service.held_until or service.primary.rollout_state == "FAILED":
            return 0
        started = 0
        for _ in range(min(number, STARTS_A_LOOK)):
            if not self._start_one(service):
                break
            started += 1
        if started == STARTS_A_LOOK < number:
            self.touch(service)
        return started

    def _start_one(self, service: Service) -> bool:
        provider = self.sim.providers.choose(service)
        room = self._room(service, provider)
        host = room.choose(service.strategies, service.crowd, self.world.random, distinct=service.distinct)
        if host is None:
            self._no_room(service, room, provider)
            return False
        self._begin(service, host, provider)
        return True

    def _room(self, service: Service, provider: str | None) -> Room:
        return self.sim.clusters.room_for(service.cluster, service.primary.definition, service.constraints, provider)

    def _begin(self, service: Service, host: "ContainerInstance | None", provider: str | None) -> "Task":
        task = self.sim.tasks.create(
            service.cluster,
            service.primary.definition,
            group=f"service:{service.name}",
            started_by=service.primary.id,
            service=service,
            deployment=service.primary,
            capacity_provider=provider,
        )
        service.started.append(task)
        if host is not None:
            self._put(task, host)
        return task

    def _put(self, task: "Task", host: "ContainerInstance") -> None:
        self.sim.tasks.place(task, host)
        if task.service is not None:
            task.service.placed(task)

    def _no_room(self, service: Service, room: Room, provider: str | None) -> None:
        cluster = service.cluster
        cluster.waiting[service] = None
        if provider is not None and self.sim.providers.scales(cluster, provider):
            # A capacity provider takes the task in PROVISIONING and makes room (aws-facts 4.4).
            while len(service.tasks) < min(service.upper, service.desired + len(service.replaceable())):
                if len(cluster.provisioning) >= PROVISIONING_AT_MOST:
                    return
                cluster.provisioning[self._begin(service, None, provider)] = None
                if self.sim.providers.choose(service) != provider:
                    # The strategy gives each task its provider: the next one may have room, or make it by itself.
                    self.touch(service)
                    return
            return
        self._say_no_room(service, room)

    def place_provisioning(self, cluster: "Cluster") -> None:
        """Give the waiting tasks of capacity providers the room that has come."""
        for task in list(cluster.provisioning):
            service = task.service
            if service is None:
                host = self.standalone.room(task).choose(RANDOM, Crowd(), self.world.random)
            else:
                room = self._room(service, task.capacity_provider)
                host = room.choose(service.strategies, service.crowd, self.world.random, distinct=service.distinct)
            if host is not None:
                del cluster.provisioning[task]
                self._put(task, host)

    # daemons

    def _keep_daemon(self, service: Service) -> bool:
        """One task on each matching ACTIVE host; on a draining one the daemon is the last to go."""
        hosts, service.dirty_hosts = service.dirty_hosts, {}
        for task in service.replaceable():
            if task.host is not None:
                hosts[task.host] = None
        here: dict[ContainerInstance, list[Task]] = {host: [] for host in hosts}
        for host in hosts:
            here[host] = [task for task in host.live if task.service is service and task.desired_status == "RUNNING"]
        for host, tasks in here.items():
            self._keep_daemon_on(service, host, tasks)
            if service in host.unsettled:
                del host.unsettled[service]
                self.sim.clusters.room_gained(host)
        service.desired = len(service.matching)
        return False

    def _keep_daemon_on(self, service: Service, host: "ContainerInstance", tasks: "list[Task]") -> None:
        room = self._room(service, None)
        belongs = host.status == "ACTIVE" and all(test(host.fact) for test in room.tests)
        if belongs:
            service.matching[host] = None
        else:
            service.matching.pop(host, None)
        if host.status == "DRAINING" and host.movable:
            return
        for task in tasks:
            if not belongs or self._daemon_goes(service, task):
                self._stop(task)
        if belongs and host.agent_connected and not any(task.desired_status == "RUNNING" for task in tasks):
            self._start_daemon(service, host, room)

    def _daemon_goes(self, service: Service, task: "Task") -> bool:
        replaced = task in service.old or task in service.sick
        return replaced and len(service.healthy) - (task in service.healthy) >= service.lower

    def _start_daemon(self, service: Service, host: "ContainerInstance", room: Room) -> None:
        if self.world.now < service.held_until:
            service.dirty_hosts[host] = None
            return
        why = unfit(host, room.needs, room.tests)
        if why is None:
            self._begin(service, host, None)
            return
        service.dirty_hosts[host] = None
        service.cluster.waiting[service] = None
        self._say_unplaced(service, host, why)

    # what it says

    def _judge(self, service: Service, blocked: bool) -> None:
        if blocked:
            self.say(
                service,
                f"(service {service.name}) was unable to stop or start tasks during a deployment because of the "
                "service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and "
                "try again.",
            )
        steady = (
            len(service.tasks) == len(service.healthy) == service.desired
            and not service.replaceable()
            and len(service.deployments) == 1
        )
        if steady and not service.steady:
            service.failures = 0
            self.say(service, f"(service {service.name}) has reached a steady state.", again=True)
            if self.sim.conditions.zones_are_rebalanced and service.rebalanced:
                self.world.after(self.world.draw(REBALANCES_AFTER), lambda: self._rebalance(service))
        service.steady = steady

    def _rebalance(self, service: Service) -> None:
        """Move one task from the fullest zone to the emptiest; the next after the next steady state (aws-facts 8.4)."""
        open_zones = sorted({host.zone for host in service.cluster.registered if host.open})
        counts = {zone: service.crowd.zones.get(zone, 0) for zone in open_zones}
        if not service.steady or not counts or max(counts.values()) - min(counts.values()) < 2:
            return
        fullest = max(counts, key=lambda zone: counts[zone])
        free = [task for task in service.tasks if task.zone == fullest and not self.sim.tasks.protected(task)]
        if free:
            service.moving[free[0]] = None
            self.touch(service)

    def _say_what_moved(self, service: Service) -> None:
        started, service.started = service.started, []
        stopped, service.stopped = service.stopped, []
        if started:
            self._say_tasks(service, f"has started {len(started)} tasks", started)
        if stopped:
            self._say_tasks(service, f"has stopped {len(stopped)} running tasks", stopped)
        targets = sum(len(task.targets) for task in stopped)
        if targets:
            text = f"(service {service.name}) has begun draining connections on {len(stopped)} tasks."
            self.say(service, text, again=True)

    def _say_tasks(self, service: Service, what: str, tasks: "list[Task]") -> None:
        listed = " ".join(f"(task {task.id})" for task in tasks[:10])
        self.say(service, f"(service {service.name}) {what}: {listed}.", again=True)

    def _say_no_room(self, service: Service, room: Room) -> None:
        topic = f"(service {service.name}) was unable to place a task"
        if self.world.now - service.said.get(topic, -SUPPRESSED) < 60:
            return
        service.said[topic] = self.world.now
        nearest, why = _nearest(service.cluster.registered, room)
        if nearest is None:
            self.say(
                service, f"{topic}. Reason: No Container Instances were found in your cluster.", topic=topic + " none"
            )
        else:
            self._say_unplaced(service, nearest, why)

    def _say_unplaced(self, service: Service, host: "ContainerInstance", why: str | None) -> None:
        self.say(
            service,
            f"(service {service.name}) was unable to place a task because no container instance met all of its "
            f"requirements. The closest matching (container-instance {host.id}) {why or 'is full'}.",
            topic=f"unplaced: {why}",
        )

    def say(self, service: Service, message: str, *, topic: str | None = None, again: bool = False) -> None:
        """A service event; the same again is kept back for a while."""
        topic = topic or message
        if not again and self.world.now - service.said.get(topic, -SUPPRESSED) < SUPPRESSED:
            return
        service.said[topic] = self.world.now
        service.events.appendleft({"id": self._event_id(), "createdAt": self.world.time, "message": message})
        self.world.tell("service_event", service=service, message=message)

    def _event_id(self) -> str:
        return "-".join(self.world.hex(digits) for digits in (8, 4, 4, 4, 12))

    # tasks without a service

    def start_on(
        self, host: "ContainerInstance", definition: "TaskDefinition", request: dict[str, Any], **members: Any
    ) -> "Task":
        """One standalone task on that host, as StartTask starts it."""
        return self.standalone.start_on(host, definition, request, **members)


def _nearest(hosts: "Iterable[ContainerInstance]", room: Room) -> "tuple[ContainerInstance | None, str | None]":
    """The host that comes closest: one that only lacks room before one that is out of the question."""
    best: tuple[int, int, ContainerInstance, str | None] | None = None
    for host in hosts:
        why = unfit(host, room.needs, room.tests, room.provider)
        rank = (why is not None and ("insufficient" not in why), -host.free_cpu)
        if best is None or rank < best[:2]:
            best = (*rank, host, why)
    return (None, None) if best is None else best[2:]
