"""Terrain -> a simulated AWS that stands as the real one stands: its ids, its hosts, what runs where, its settings.

The state is written straight into the simulator's records; what is under way (a host that boots, a task that is being
stopped) goes on from where it is. What can not be known is supposed, and said in docs/plan.md: hosts to come are like
those of their group, agents that are away stay away, others change nothing meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ecsroll.answers import Answer
from ecsroll.habits import family_of
from ecsroll.ledger import slug, text_of
from ecsroll.model import Policy, Snapshot
from ecsroll.records import history_name
from ecsroll.replica_ground import TRUNKED, Ground
from ecsroll.simulator import Simulation
from ecsroll.simulator.balancer import Target, TargetGroup
from ecsroll.simulator.cluster import Cluster, ContainerInstance
from ecsroll.simulator.compute import Instance
from ecsroll.simulator.definitions import TaskDefinition
from ecsroll.simulator.query import parse
from ecsroll.simulator.quick import QuickSimulation
from ecsroll.simulator.services import Deployment, Service
from ecsroll.simulator.tasks import Task
from ecsroll.simulator.world import Durations, Refusal, World
from ecsroll.terrain import (
    HostFacts,
    ServiceFacts,
    TargetGroupFacts,
    TaskFacts,
    Terrain,
)

__all__ = ["replica"]

OWN = ("ecs.", "com.amazonaws.ecs.")
"""How the names of attributes begin that ECS itself gives."""
OF_THE_HOST = frozenset({"ecs.ami-id", "ecs.availability-zone", "ecs.instance-type", "ecs.subnet-id"})
"""Attributes in which two hosts of a group may differ."""
DRAINED_AT = 15.0
"""Seconds between two looks at a host that its group takes away when it is empty."""
UNSAID = {"name": "app", "memory": 4}
"""The container of a definition that could not be read."""
WISHES = (
    "serviceName",
    "launchType",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "placementConstraints",
    "placementStrategy",
    "loadBalancers",
    "schedulingStrategy",
    "healthCheckGracePeriodSeconds",
    "availabilityZoneRebalancing",
)
"""Members of a service that its scheduler goes by."""


def replica(
    terrain: Terrain, seen: Snapshot, policy: Policy, durations: Durations, *, seed: int = 0
) -> QuickSimulation:
    """A simulation of this cluster at the moment of its picture, on which the roll can be rehearsed.

    ``durations`` is how long things are supposed to take. It shares nothing with the real AWS.
    """
    region, account = _where(terrain)
    world = World(seed=seed, region=region, account=account, epoch=terrain.at, durations=durations)
    sim = QuickSimulation(world, strict=False)
    sim.door.keeps = False
    _Builder(sim, terrain, seen, Ground(sim, terrain, seen, policy)).build()
    return sim


def _where(terrain: Terrain) -> tuple[str, str]:
    parts = str(terrain.said.get("clusterArn", "")).split(":")
    return (parts[3], parts[4]) if len(parts) > 4 else ("eu-west-1", "111122223333")


@dataclass
class _Builder:
    sim: Simulation
    terrain: Terrain
    seen: Snapshot
    ground: Ground
    hosts: dict[str, ContainerInstance] = field(default_factory=dict)
    definitions: dict[str, TaskDefinition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tasks = self.terrain.tasks.values()
        self.samples = {task.definition: task for task in tasks}
        """A task of each definition: it says what it takes where the definition can not be read."""
        self.longest = _longest(tasks)

    def build(self) -> None:
        """From the ground up: each layer refers to the ones before it."""
        self.ground.lay()
        cluster = self._cluster()
        self._hosts(cluster)
        self._agents_to_come()
        self._target_groups()
        self._services(cluster)
        self._tasks(cluster)
        self._wake(cluster)
        self._records()

    # the cluster

    def _cluster(self) -> Cluster:
        said = self.terrain.said
        cluster = self.sim.clusters.create(self.terrain.cluster)
        cluster.capacity_providers = list(said.get("capacityProviders", ()))
        cluster.default_strategy = list(said.get("defaultCapacityProviderStrategy", ()))
        for facts in self.terrain.groups.values():
            provider = facts.provider
            if provider is not None:
                settings = {"autoScalingGroupProvider": dict(provider.said.get("autoScalingGroupProvider", {}))}
                arn = str(provider.said.get("capacityProviderArn", provider.name))
                self.sim.providers.restore(provider.name, arn, facts.name, settings)
        return cluster

    def _hosts(self, cluster: Cluster) -> None:
        for facts in self.terrain.hosts.values():
            if facts.managed:
                continue
            instance = self.sim.compute.instances.get(facts.id) or self._stranger(facts)
            host = self._host(cluster, facts, instance)
            self.hosts[facts.arn] = host
            cluster.hosts[host.id] = host
            self.sim.clusters.by_instance[facts.id] = host
            if self._ends(facts):
                self.sim.world.after(1.0, partial(self._end, facts, host))
            elif not facts.connected:
                self.sim.conditions.instances_without_agent.add(facts.id)
        self.sim.clusters.check_agents()
        for group in self.terrain.groups:
            self._like(group)

    def _host(self, cluster: Cluster, facts: HostFacts, instance: Instance) -> ContainerInstance:
        cluster.registrations += 1
        kind = self.sim.compute.type_of(facts.type)
        return ContainerInstance(
            arn=facts.arn,
            id=facts.arn.rpartition("/")[2],
            cluster=cluster,
            instance=instance,
            registered_at=self.ground.seconds(facts.registered_at),
            cpu=facts.registered.cpu,
            memory=facts.registered.memory,
            gpus=facts.registered.gpus or (kind.gpus if kind else 0),
            enis=(kind.network_interfaces if kind else TRUNKED) - 1,
            number=cluster.registrations,
            status=facts.status,
            agent_connected=facts.connected,
            agent_version=facts.agent,
            runtime_version=facts.runtime,
            attributes={name: value for name, value in facts.attributes.items() if name.startswith(OWN)},
            custom={name: value for name, value in facts.attributes.items() if not name.startswith(OWN)},
            capacity_provider=facts.provider,
        )

    def _ends(self, facts: HostFacts) -> bool:
        """Whether it is ending: its group takes it away, or its machine does not run, and nobody has noticed yet."""
        host = self.seen.hosts.get(facts.id)
        if host is not None and host.leaving:
            return True
        state = facts.machine.get("State", {}).get("Name")
        return state in {"shutting-down", "stopping"} or (state in {"terminated", "stopped"} and host is not None)

    def _end(self, facts: HostFacts, host: ContainerInstance) -> None:
        """Let it end here, too: by then everything that hears of it is there."""
        if facts.status == "DRAINING" and host.instance.state == "running" and host.movable:
            # Managed draining, or a hook of the user's own, holds it in Terminating:Wait until it is empty.
            self.sim.world.after(DRAINED_AT, partial(self._end, facts, host))
            return
        # Its agent has gone with it, and was there before: so ECS hears of its end (aws-facts 3.8).
        self.sim.clusters.connect(host, connected=True)
        if facts.machine.get("State", {}).get("Name") in {"stopping", "stopped"}:
            self.sim.compute.stop(host.instance)
        else:
            self.sim.compute.terminate(host.instance.id)

    def _stranger(self, facts: HostFacts) -> Instance:
        """A host of another group, or of none: nobody rolls it, and what runs there counts."""
        instance = Instance(
            id=facts.id,
            type=facts.type,
            zone=facts.zone,
            subnet_id=facts.subnet,
            private_ip="",
            image_id=facts.image or "",
            launched_at=self.ground.seconds(facts.launched_at),
            state="running",
        )
        self.sim.compute.instances[facts.id] = instance
        return instance

    def _like(self, group: str) -> None:
        """Hosts to come register the attributes that all of the group's hosts have alike, but for marks of ours."""
        hosts = [host for host in self.terrain.of(group) if host.attributes]
        if not hosts:
            return
        alike = {
            name: value
            for name, value in hosts[0].attributes.items()
            if name not in OF_THE_HOST
            and not name.startswith("ecsroll.")
            and all(host.attributes.get(name, ...) == value for host in hosts[1:])
        }
        self.sim.clusters.able_to[group] = {name: value for name, value in alike.items() if name.startswith(OWN)}
        self.sim.clusters.born_with[group] = {name: value for name, value in alike.items() if not name.startswith(OWN)}

    def _agents_to_come(self) -> None:
        """Hosts that run and have not registered yet."""
        world = self.sim.world
        for group in self.sim.scaling.groups.values():
            for member in group.members.values():
                if member.state == "InService" and member.instance.id not in self.sim.clusters.by_instance:
                    whole = world.draw(world.durations.boot(group.name)) + world.draw(
                        world.durations.register(group.name)
                    )
                    left = max(1.0, whole + member.instance.launched_at)
                    world.after(left, partial(self.sim.clusters.agent_starts, member.instance))

    # targets

    def _target_groups(self) -> None:
        for arn, facts in self.terrain.target_groups.items():
            described = {key: value for key, value in facts.said.items() if key != "TargetGroupArn"}
            group = self.sim.balancer.restore(arn, facts.name, described)
            group.attributes["deregistration_delay.timeout_seconds"] = str(
                int(facts.deregistration_delay.total_seconds())
            )
            group.load_balancers.append("known")

    def _target(self, facts: TargetGroupFacts, group: TargetGroup, wanted: Answer, task: Task) -> Target:
        """The target of a task that runs, in the state that the load balancer tells."""
        host = task.host
        assert host is not None
        port = int(wanted.get("containerPort", 0))
        if facts.kind == "ip" and task.address is not None:
            key = (task.address, port)
        else:
            container = wanted.get("containerName")
            bound = [
                to for need, to in task.bindings if need.container_port == port and container in {None, need.container}
            ]
            key = (host.instance.id, bound[0] if bound else port)
        if facts.targets and key not in facts.targets:
            key = _unclaimed(facts, group, host.instance.id) or key
        # One that does not show yet is about to: tasks and targets were read one after the other.
        state = facts.targets.get(key, "initial" if facts.targets else "healthy")
        return self.sim.balancer.put_target(group, key, state, host.instance)

    # work

    def _definition(self, arn: str) -> TaskDefinition:
        """As it was registered; one that could not be read takes what its task says it takes."""
        if arn not in self.definitions:
            family, _, revision = arn.rpartition("/")[2].partition(":")
            number = int(revision) if revision.isdigit() else 1
            made = TaskDefinition(arn, family, number, self._registered(arn, family), 0.0)
            self.definitions[arn] = made
            self.sim.tasks.definitions.families.setdefault(family, []).append(made)
        return self.definitions[arn]

    def _registered(self, arn: str, family: str) -> dict[str, Any]:
        known = self.terrain.definitions.get(arn)
        if known is None:
            said = self.samples[arn].said if arn in self.samples else {}
            taken = {key: said[key] for key in ("cpu", "memory") if said.get(key)}
            return {"family": family, "containerDefinitions": self._listening(arn, [dict(UNSAID)]), **taken}
        containers = list(map(_without_labels, _containers(known.said))) or [dict(UNSAID)]
        return {
            **known.said,
            "containerDefinitions": containers if known.network != "bridge" else self._listening(arn, containers),
            "placementConstraints": _understood(known.said.get("placementConstraints", ())),
        }

    def _listening(self, arn: str, containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The containers, listening wherever a target group wants them to, whether the definition says so or not.

        Each task on a host has then a target of its own.
        """
        services = [each for each in self.terrain.services.values() if each.definition == arn]
        balancers = [each for service in services for each in service.said.get("loadBalancers", ())]
        mapped = [each.get("containerPort") for one in containers for each in one.get("portMappings", ())]
        for each in balancers:
            port = each.get("containerPort", 0)
            if each.get("targetGroupArn") and port not in mapped:
                mapped.append(port)
                one = next(
                    (said for said in containers if said.get("name") == each.get("containerName")), containers[0]
                )
                one["portMappings"] = [*one.get("portMappings", ()), {"containerPort": port}]
        return containers

    def _services(self, cluster: Cluster) -> None:
        for facts in self.terrain.services.values():
            # One without a definition has no task set yet: nothing of it can run.
            if facts.elsewhere or not facts.definition or facts.said.get("status", "ACTIVE") != "ACTIVE":
                continue
            request = self._wishes(facts)
            made = Service(facts.arn, facts.name, cluster, request, self.ground.seconds(facts.created), facts.desired)
            cluster.services[facts.name] = made
            self._deployments(made, facts)
            made.steady = True
            if facts.daemon:
                cluster.daemons[made] = None

    def _wishes(self, facts: ServiceFacts) -> dict[str, Any]:
        """What it asks for, as far as it can be simulated: without target groups that could not be read."""
        request = {key: facts.said[key] for key in WISHES if key in facts.said}
        request["loadBalancers"] = [
            each
            for each in request.get("loadBalancers", ())
            if each.get("targetGroupArn") is None or each["targetGroupArn"] in self.terrain.target_groups
        ]
        request["placementConstraints"] = _understood(request.get("placementConstraints", ()))
        if facts.controller != "ECS":  # its bounds can not be set, and hold in a drain only (aws-facts 3.2)
            request["deploymentConfiguration"] = {"minimumHealthyPercent": 100, "maximumPercent": 200}
        return request

    def _deployments(self, service: Service, facts: ServiceFacts) -> None:
        said = facts.deployments or ({"id": "ecs-svc/0", "status": "PRIMARY", "taskDefinition": facts.definition},)
        for each in sorted(said, key=lambda entry: entry.get("status") != "PRIMARY"):
            service.deployments.append(
                Deployment(
                    each.get("id", "ecs-svc/0"),
                    self._definition(each.get("taskDefinition", facts.definition)),
                    self.ground.seconds(each.get("createdAt")),
                    status=each.get("status", "PRIMARY"),
                    rollout_state=each.get("rolloutState", "COMPLETED"),
                )
            )

    def _tasks(self, cluster: Cluster) -> None:
        for facts in self.terrain.tasks.values():
            if facts.last_status == "STOPPED" or (facts.host is not None and facts.host not in self.hosts):
                continue
            if facts.host is None and facts.said.get("launchType") in {"FARGATE", "MANAGED_INSTANCES"}:
                continue
            self._task(cluster, facts)

    def _task(self, cluster: Cluster, facts: TaskFacts) -> None:
        service = cluster.services.get(facts.service or "")
        task = Task(
            facts.arn,
            facts.arn.rpartition("/")[2],
            cluster,
            self._definition(facts.definition),
            facts.group,
            self.ground.seconds(facts.created),
            started_by=facts.started_by,
            capacity_provider=facts.said.get("capacityProviderName"),
            service=service,
            host=self.hosts.get(facts.host or ""),
            last_status=facts.last_status,
            desired_status=facts.desired_status,
            container_health=facts.said.get("healthStatus", "UNKNOWN"),
            protected_until=self.ground.seconds(facts.protected_until) if facts.protected_until else None,
            address=_address(facts.said),
            started_at=self._started(facts),
            stopping_at=self.ground.seconds(facts.stopping) if facts.stopping else None,
        )
        if service is not None:
            by_id = {each.id: each for each in service.deployments}
            task.deployment = by_id.get(facts.started_by, service.primary)
            service.visible[task] = None
        cluster.tasks[task.arn] = task
        counted = task.desired_status == "RUNNING"
        cluster.running += counted and task.last_status == "RUNNING"
        cluster.pending += counted and task.last_status != "RUNNING"
        if task.host is None:
            cluster.provisioning[task] = None
        else:
            self._settle_in(task, task.host, facts)
        if service is not None:
            service.note(task)
            if counted:
                service.placed(task)
        self._go_on(task, facts)

    def _started(self, facts: TaskFacts) -> float | None:
        """A task that runs has started, whether it says when or not."""
        if facts.started is None and facts.last_status != "RUNNING":
            return None
        return self.ground.seconds(facts.started or facts.created)

    def _settle_in(self, task: Task, host: ContainerInstance, facts: TaskFacts) -> None:
        """Its room on the host, its ports, its targets."""
        task.zone = host.zone
        host.reserve(task, _bound(facts.said))
        if task.service is None or task.last_status != "RUNNING" or task.desired_status != "RUNNING":
            return
        for wanted in task.service.load_balancers:
            arn = wanted.get("targetGroupArn", "")
            known = self.terrain.target_groups.get(arn)
            if known is not None:
                task.targets.append(self._target(known, self.sim.balancer.groups[arn], wanted, task))

    def _go_on(self, task: Task, facts: TaskFacts) -> None:
        """What is under way goes on from where it is."""
        self.sim.tasks.resume(task)
        if task.protected_until is not None and task.protected_until > 0:
            self.sim.world.after(task.protected_until, partial(self.sim.scheduler.task_changed, task))
        if facts.standalone and task.last_status == "RUNNING":
            runs_for = self.longest.get(task.definition.family)
            if runs_for is not None:
                left = max(1.0, runs_for + self.ground.seconds(facts.started))
                self.sim.world.after(left, partial(self.sim.tasks.exits, task, 0))

    # in motion

    def _wake(self, cluster: Cluster) -> None:
        for service in cluster.services.values():
            if service.daemon:
                service.dirty_hosts.update(dict.fromkeys(cluster.registered))
            self.sim.scheduler.touch(service)
        for group in self.sim.scaling.groups.values():
            self.sim.scaling.fleet.wake(group)

    def _records(self) -> None:
        """What is written down under ``/ecsroll/``: a roll that is under way is gone on with."""
        pages: dict[str, str] = {history_name(past.roll.epoch): text_of(past.roll) for past in self.terrain.history}
        pages |= {f"ledger/{slug(page.group)}": text_of(page) for page in self.seen.ledgers.values()}
        if self.seen.roll is not None:
            pages["roll"] = text_of(self.seen.roll)
        for name, text in pages.items():
            self.sim.parameters.put(f"/ecsroll/{self.terrain.cluster}/{name}", text)


def _unclaimed(facts: TargetGroupFacts, group: TargetGroup, instance: str) -> tuple[str, int] | None:
    """Where nothing tells on which host port a task listens, one target of its host is as good as another."""
    there = sorted(target for target, state in facts.targets.items() if target[0] == instance and state != "draining")
    return next((target for target in there if target not in group.targets), None)


def _longest(tasks: Iterable[TaskFacts]) -> dict[str, float]:
    """For how many seconds a standalone task of each family has run at most: of those that have ended."""
    longest: dict[str, float] = {}
    for task in tasks:
        if task.standalone and task.stopped is not None and task.started is not None:
            family = family_of(task.definition)
            longest[family] = max(longest.get(family, 0.0), (task.stopped - task.started).total_seconds())
    return longest


def _understood(constraints: Iterable[Answer]) -> list[Answer]:
    """Constraints but for expressions that the simulated ECS can not read."""
    kept = []
    for each in constraints:
        try:
            parse(each.get("expression", ""))
        except Refusal:
            if each.get("type") == "memberOf":
                continue
        kept.append(each)
    return kept


def _containers(said: Answer) -> Iterable[Answer]:
    containers: Iterable[Answer] = said.get("containerDefinitions", ())
    return containers


def _without_labels(container: Answer) -> dict[str, Any]:
    """Labels are the users' own words; a simulation may understand some, and is not to."""
    return {key: value for key, value in container.items() if key != "dockerLabels"}


def _address(said: Answer) -> str | None:
    details = (detail for each in said.get("attachments", ()) for detail in each.get("details", ()))
    return next((str(detail["value"]) for detail in details if detail.get("name") == "privateIPv4Address"), None)


def _bound(said: Answer) -> dict[tuple[str, int, str], int]:
    """The host port of each container's port."""
    return {
        (container.get("name", ""), binding["containerPort"], binding.get("protocol", "tcp")): binding["hostPort"]
        for container in said.get("containers", ())
        for binding in container.get("networkBindings", ())
        if "containerPort" in binding and "hostPort" in binding
    }
