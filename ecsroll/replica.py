"""Terrain -> a simulated AWS that stands as the real one stands: its ids, its hosts, what runs where, its settings.

The state is written straight into the simulator's records; what is under way (a host that boots, a task that is being
stopped) goes on from where it is. What can not be known is supposed, and said in docs/plan.md: hosts to come are like
those of their group, agents that are away stay away, others change nothing meanwhile.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from ecsroll.answers import Answer
from ecsroll.ledger import Place, slug, text_of
from ecsroll.model import Launches, Policy, Snapshot
from ecsroll.records import history_name
from ecsroll.simulator import Simulation
from ecsroll.simulator.balancer import Target, TargetGroup
from ecsroll.simulator.cluster import Cluster, ContainerInstance
from ecsroll.simulator.compute import Instance
from ecsroll.simulator.definitions import TaskDefinition
from ecsroll.simulator.groups import Group, Member
from ecsroll.simulator.instance_types import InstanceType
from ecsroll.simulator.quick import QuickSimulation
from ecsroll.simulator.services import Deployment, Service
from ecsroll.simulator.tasks import Task
from ecsroll.simulator.templates import LaunchConfiguration, Template, TemplateVersion
from ecsroll.simulator.warm_pools import WarmPool
from ecsroll.simulator.world import Durations, World
from ecsroll.terrain import (
    GroupFacts,
    HostFacts,
    ServiceFacts,
    TargetGroupFacts,
    TaskFacts,
    TemplateFacts,
    Terrain,
)

__all__ = ["replica"]

OWN = ("ecs.", "com.amazonaws.ecs.")
"""How the names of attributes begin that ECS itself gives."""
OF_THE_HOST = frozenset({"ecs.ami-id", "ecs.availability-zone", "ecs.instance-type", "ecs.subnet-id"})
"""Attributes in which two hosts of a group may differ."""
TRUNKED = 100
"""Task interfaces of a host with a trunk: more than it will ever run."""
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
    builder = _Builder(sim, terrain, seen, policy)
    builder.build()
    return sim


def _where(terrain: Terrain) -> tuple[str, str]:
    parts = str(terrain.said.get("clusterArn", "")).split(":")
    return (parts[3], parts[4]) if len(parts) > 4 else ("eu-west-1", "111122223333")


@dataclass
class _Builder:
    sim: Simulation
    terrain: Terrain
    seen: Snapshot
    policy: Policy
    hosts: dict[str, ContainerInstance] = field(default_factory=dict)
    definitions: dict[str, TaskDefinition] = field(default_factory=dict)

    def build(self) -> None:
        """From the ground up: each layer refers to the ones before it."""
        self._know_the_region()
        for name, group in self.terrain.groups.items():
            self._launch_targets(group)
            self._group(name, group)
        cluster = self._cluster()
        self._hosts(cluster)
        self._agents_to_come()
        self._target_groups()
        self._services(cluster)
        self._tasks(cluster)
        self._wake(cluster)
        self._records()

    def seconds(self, at: datetime | None) -> float:
        """A moment on the simulated clock: before the picture it is negative."""
        return (at - self.sim.world.epoch).total_seconds() if at is not None else 0.0

    # the region

    def _know_the_region(self) -> None:
        compute, images = self.sim.compute, self.sim.images
        for host in self.terrain.hosts.values():
            if host.zone:
                compute.know_zone(host.zone)
            if host.zone and host.subnet:
                compute.subnets[host.subnet] = host.zone
        for group in self.terrain.groups.values():
            for zone in group.said.get("AvailabilityZones", ()):
                compute.know_zone(zone)
        self._know_types()
        for image, architecture in self._images().items():
            if images.get(image) is None:
                images.register(image, image_id=image, architecture=architecture)

    def _know_types(self) -> None:
        """Types as they register here: ECS_RESERVED_MEMORY and the like show in the hosts that are there."""
        registered = {
            host.type: host.registered.memory for host in self.terrain.hosts.values() if host.registered.memory
        }
        trunked = {host.type for host in self.terrain.hosts.values() if "ecs.awsvpc-trunk-id" in host.attributes}
        for name, facts in self.terrain.types.items():
            interfaces = TRUNKED if name in trunked else facts.interfaces
            architecture = facts.architectures[0] if facts.architectures else "x86_64"
            self.sim.compute.know_type(
                InstanceType(
                    name, facts.cpu // 1024, facts.memory, architecture, interfaces, facts.gpus, registered.get(name)
                )
            )
        for host in self.terrain.hosts.values():
            if host.type and self.sim.compute.type_of(host.type) is None:
                room = host.registered
                architecture = str(host.machine.get("Architecture", "x86_64"))
                self.sim.compute.know_type(
                    InstanceType(
                        host.type, room.cpu // 1024, room.memory, architecture, TRUNKED, room.gpus, room.memory
                    )
                )

    def _images(self) -> dict[str, str]:
        """Every image that runs or is (to be) launched, with an architecture that suits its group's types."""
        found = {host.image: _architecture(host) for host in self.terrain.hosts.values() if host.image}
        for group in self.seen.groups.values():
            like = next((_architecture(host) for host in self.terrain.of(group.name)), "x86_64")
            wanted = [image for key, image in self.policy.images.items() if key.startswith(f"{group.name}/")]
            for image in (*wanted, *(launches.image for launches in group.launches)):
                if image:
                    found.setdefault(image, like)
        for group_facts in self.terrain.groups.values():
            pool = group_facts.warm_pool
            for image in pool.images.values() if pool else ():
                found.setdefault(image, "x86_64")
        return found

    # what groups launch

    def _launch_targets(self, group: GroupFacts) -> None:
        by_name = {launches.name: launches for launches in self.seen.groups[group.name].launches}
        for template in group.templates:
            launches = by_name.get(template.id) or by_name.get(template.name)
            if launches is not None and launches.parameter is not None:
                self._parameter(group.name, launches)
            if template.spec:
                self._template(group, template)
            else:
                self._configuration(template)

    def _parameter(self, group: str, launches: Launches) -> None:
        if launches.parameter is None or launches.image is None:
            return
        name = launches.parameter.partition(":")[0]
        if launches.place is Place.PARAMETER:
            self.sim.parameters.put(name, launches.image, overwrite=True)
            self.sim.parameters.tags(name)["ecsroll:group"] = group
        else:
            self.sim.parameters.published[name] = launches.image

    def _template(self, group: GroupFacts, facts: TemplateFacts) -> None:
        made = Template(facts.id, facts.name, self.terrain.at)
        for number, said in facts.versions.items():
            kind = said.get("InstanceType") or next(iter(group.types), "m5.large")
            data = self._data({**said, "InstanceType": kind})
            made.versions[int(number)] = TemplateVersion(int(number), data, self.terrain.at)
        if made.versions:
            made.numbers = max(made.versions)
            made.default = int(facts.default or made.numbers)
            self.sim.compute.templates.restore(made)

    def _configuration(self, facts: TemplateFacts) -> None:
        data = dict(facts.versions.get("", {}))
        arn = str(data.pop("LaunchConfigurationARN", facts.name))
        for member in ("LaunchConfigurationName", "CreatedTime"):
            data.pop(member, None)
        made = LaunchConfiguration(facts.name, arn, self.terrain.at, self._data(data))
        self.sim.compute.templates.configurations[facts.name] = made

    def _data(self, data: Answer) -> dict[str, Any]:
        """Launch data whose user data names the cluster plainly: real scripts may hide it from a simulated agent."""
        script = f"#!/bin/sh\necho ECS_CLUSTER={self.terrain.cluster} >> /etc/ecs/ecs.config\n"
        return {**data, "UserData": base64.b64encode(script.encode()).decode()}

    # groups

    def _group(self, name: str, facts: GroupFacts) -> None:
        said = facts.said
        group = Group(
            name,
            facts.arn,
            said.get("CreatedTime", self.terrain.at),
            said["MinSize"],
            said["MaxSize"],
            said["DesiredCapacity"],
            self._subnets(facts),
            template=said.get("LaunchTemplate"),
            mixed=said.get("MixedInstancesPolicy"),
            launch_configuration=said.get("LaunchConfigurationName"),
            new_protected=said.get("NewInstancesProtectedFromScaleIn", False),
            suspended=dict(facts.suspended),
        )
        self.sim.scaling.groups[name] = group
        machines = {host.id: host for host in self.terrain.of(name)}
        for entry in said.get("Instances", ()):
            self._member(group, entry, machines.get(entry["InstanceId"]))
        self._warm_pool(group, facts)

    def _subnets(self, facts: GroupFacts) -> dict[str, list[str]]:
        """The group's zones; of its subnets those that are known by a host, else the zone's default one."""
        compute = self.sim.compute
        spread: dict[str, list[str]] = {
            zone: [] for zone in sorted(facts.said.get("AvailabilityZones") or compute.zones)
        }
        for subnet in facts.subnets:
            if compute.subnets.get(subnet) in spread:
                spread[compute.subnets[subnet]].append(subnet)
        return {zone: subnets or [compute.subnet_of(zone)] for zone, subnets in spread.items()}

    def _member(self, group: Group, said: Answer, host: HostFacts | None) -> None:
        state = said.get("LifecycleState", "InService")
        instance = self._instance(group, said, host, "pending" if state.startswith("Pending") else "running")
        member = Member(
            instance,
            state,
            instance.launched_at,
            protected=said.get("ProtectedFromScaleIn", False),
            health=said.get("HealthStatus", "Healthy"),
        )
        group.add(member)
        self.sim.scaling.fleet.by_instance[instance.id] = group
        if state.startswith("Pending"):
            # Its launch hooks' time, if it has any, is part of the boot that was learned: it goes on as one.
            group.move(member, "Pending")
            left = self.sim.world.draw(self.sim.world.durations.boot(group.name)) + instance.launched_at
            self.sim.world.after(left, partial(self.sim.compute.boot, instance))
        elif state.startswith("Terminating"):
            group.move(member, "Terminating:Proceed")
            self.sim.world.after(1.0, partial(self.sim.compute.terminate, instance.id))

    def _instance(self, group: Group, said: Answer, host: HostFacts | None, state: str) -> Instance:
        seen = self.seen.hosts.get(said["InstanceId"])
        zone = said.get("AvailabilityZone") or self.sim.compute.zones[0]
        template = said.get("LaunchTemplate") or {}
        version = str(template.get("Version", ""))
        machine: Mapping[str, Any] = host.machine if host else {}
        instance = Instance(
            id=said["InstanceId"],
            type=said.get("InstanceType") or (host.type if host else "") or "m5.large",
            zone=zone,
            subnet_id=(host.subnet if host else "") or self.sim.compute.subnet_of(zone),
            private_ip=machine.get("PrivateIpAddress", ""),
            image_id=(seen.image if seen else None) or "",
            launched_at=self.seconds(host.launched_at if host else seen.launched_at if seen else None),
            state=state,
            group=group.name,
            template_id=template.get("LaunchTemplateId"),
            template_name=template.get("LaunchTemplateName"),
            template_version=int(version) if version.isdigit() else None,
            launch_configuration=said.get("LaunchConfigurationName"),
            cluster=self.terrain.cluster,
        )
        self.sim.compute.instances[instance.id] = instance
        return instance

    def _warm_pool(self, group: Group, facts: GroupFacts) -> None:
        if facts.warm_pool is None:
            return
        pool = WarmPool(
            facts.warm_pool.least, facts.warm_pool.prepared, facts.warm_pool.state, reuse=facts.warm_pool.reuses
        )
        for name, said in facts.warm_pool.hosts.items():
            instance = self._instance(group, said, None, "stopped")
            instance.image_id, instance.warm = facts.warm_pool.images.get(name, ""), True
            pool.members[name] = Member(instance, said.get("LifecycleState", "Warmed:Stopped"), 0.0)
        self.sim.scaling.warm.pools[group.name] = pool

    # the cluster

    def _cluster(self) -> Cluster:
        said = self.terrain.said
        cluster = self.sim.clusters.create(self.terrain.cluster)
        names = {facts.provider.name for facts in self.terrain.groups.values() if facts.provider}
        cluster.capacity_providers = list(said.get("capacityProviders", ()))
        cluster.default_strategy = list(said.get("defaultCapacityProviderStrategy", ()))
        for facts in self.terrain.groups.values():
            if facts.provider is not None and facts.provider.name in names:
                settings = dict(facts.provider.said.get("autoScalingGroupProvider", {}))
                self.sim.providers.create(facts.provider.name, {"autoScalingGroupProvider": settings})
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
            if not facts.connected:
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
            registered_at=self.seconds(facts.registered_at),
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

    def _stranger(self, facts: HostFacts) -> Instance:
        """A host of another group, or of none: nobody rolls it, and what runs there counts."""
        instance = Instance(
            id=facts.id,
            type=facts.type,
            zone=facts.zone,
            subnet_id=facts.subnet,
            private_ip="",
            image_id=facts.image or "",
            launched_at=self.seconds(facts.launched_at),
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

    def _target(self, facts: TargetGroupFacts, group: TargetGroup, wanted: Answer, task: Task) -> Target | None:
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
        state = facts.targets.get(key, "healthy" if not facts.targets else "")
        if not state:
            return None
        return self.sim.balancer.put_target(group, key, state, host.instance)

    # work

    def _definition(self, arn: str, said: Answer) -> TaskDefinition:
        """As it was registered; one that could not be read takes what its task says it takes."""
        if arn not in self.definitions:
            known = self.terrain.definitions.get(arn)
            family, _, revision = arn.rpartition("/")[2].partition(":")
            registered: dict[str, Any] = {"family": family, "containerDefinitions": [{"name": "app", "memory": 4}]}
            if known is not None:
                registered = {**known.said, "containerDefinitions": list(map(_without_labels, _containers(known.said)))}
            else:
                registered |= {key: said[key] for key in ("cpu", "memory") if said.get(key)}
            made = TaskDefinition(arn, family, int(revision or 1), registered, 0.0)
            self.definitions[arn] = made
            self.sim.tasks.definitions.families.setdefault(family, []).append(made)
        return self.definitions[arn]

    def _services(self, cluster: Cluster) -> None:
        for facts in self.terrain.services.values():
            if facts.fargate or facts.said.get("status", "ACTIVE") != "ACTIVE":
                continue
            request = {key: facts.said[key] for key in WISHES if key in facts.said}
            made = Service(facts.arn, facts.name, cluster, request, self.seconds(facts.created), facts.desired)
            cluster.services[facts.name] = made
            self._deployments(made, facts)
            made.steady = True
            if facts.daemon:
                cluster.daemons[made] = None

    def _deployments(self, service: Service, facts: ServiceFacts) -> None:
        said = facts.deployments or ({"id": "ecs-svc/0", "status": "PRIMARY", "taskDefinition": facts.definition},)
        for each in sorted(said, key=lambda entry: entry.get("status") != "PRIMARY"):
            service.deployments.append(
                Deployment(
                    each.get("id", "ecs-svc/0"),
                    self._definition(each.get("taskDefinition", facts.definition), {}),
                    self.seconds(each.get("createdAt")),
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
            self._definition(facts.definition, facts.said),
            facts.group,
            self.seconds(facts.created),
            started_by=facts.started_by,
            capacity_provider=facts.said.get("capacityProviderName"),
            service=service,
            host=self.hosts.get(facts.host or ""),
            last_status=facts.last_status,
            desired_status=facts.desired_status,
            container_health=facts.said.get("healthStatus", "UNKNOWN"),
            protected_until=self.seconds(facts.protected_until) if facts.protected_until else None,
            address=_address(facts.said),
            started_at=self.seconds(facts.started) if facts.started else None,
            stopping_at=self.seconds(facts.stopping) if facts.stopping else None,
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

    def _settle_in(self, task: Task, host: ContainerInstance, facts: TaskFacts) -> None:
        """Its room on the host, its ports, its targets."""
        task.zone = host.zone
        host.reserve(task, _bound(facts.said))
        if task.service is None or task.last_status != "RUNNING" or task.desired_status != "RUNNING":
            return
        for wanted in task.service.load_balancers:
            arn = wanted.get("targetGroupArn", "")
            known = self.terrain.target_groups.get(arn)
            target = self._target(known, self.sim.balancer.groups[arn], wanted, task) if known else None
            if target is not None:
                task.targets.append(target)

    def _go_on(self, task: Task, facts: TaskFacts) -> None:
        """What is under way goes on from where it is."""
        self.sim.tasks.resume(task)
        if facts.standalone and task.last_status == "RUNNING":
            runs_for = self._runs_for(facts)
            if runs_for is not None:
                self.sim.world.after(max(1.0, runs_for), partial(self.sim.tasks.exits, task, 0))

    def _runs_for(self, facts: TaskFacts) -> float | None:
        """Seconds until a standalone task ends by itself, where others of its family have shown how long they run."""
        family = facts.definition.rpartition("/")[2].partition(":")[0]
        took = [
            (each.stopped - each.started).total_seconds()
            for each in self.terrain.tasks.values()
            if each.standalone and each.stopped and each.started and f"/{family}:" in each.definition
        ]
        return max(took) + self.seconds(facts.started) if took else None

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


def _architecture(host: HostFacts) -> str:
    return str(host.machine.get("Architecture") or host.attributes.get("ecs.cpu-architecture") or "x86_64")


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
