"""Terrain -> the simulated region and its Auto Scaling groups: the lower half of a replica."""

import base64
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from ecsroll.answers import Answer
from ecsroll.ledger import JUST_NOW, Place
from ecsroll.model import Launches, Policy, Snapshot
from ecsroll.simulator import Simulation
from ecsroll.simulator.compute import Instance
from ecsroll.simulator.groups import Group, Member
from ecsroll.simulator.instance_types import InstanceType
from ecsroll.simulator.templates import LaunchConfiguration, Template, TemplateVersion
from ecsroll.simulator.warm_pools import WarmPool
from ecsroll.terrain import GroupFacts, HostFacts, TemplateFacts, Terrain, TypeFacts

__all__ = ["TRUNKED", "Ground"]

TRUNKED = 100
"""Task interfaces of a host with a trunk: more than it will ever run."""


@dataclass
class Ground:
    """Writes zones, types, images, templates and groups with their instances into a simulation."""

    sim: Simulation
    terrain: Terrain
    seen: Snapshot
    policy: Policy

    def lay(self) -> None:
        """All of it: each layer refers to the ones before it."""
        self._know_the_region()
        for name, group in self.terrain.groups.items():
            self._launch_targets(group)
            self._group(name, group)

    def seconds(self, at: datetime | None) -> float:
        """A moment on the simulated clock: before the picture it is negative, and none that nobody knows yet is now."""
        return (at - self.sim.world.epoch).total_seconds() if at not in {None, JUST_NOW} else 0.0

    # the region

    def _know_the_region(self) -> None:
        compute, images = self.sim.compute, self.sim.images
        for host in self.terrain.hosts.values():
            if host.zone:
                compute.know_zone(host.zone)
            if host.zone and host.subnet:
                compute.subnets[host.subnet] = host.zone
        for group in self.terrain.groups.values():
            pool = group.warm_pool.hosts.values() if group.warm_pool else ()
            members = (entry.get("AvailabilityZone", "") for entry in (*group.said.get("Instances", ()), *pool))
            for zone in filter(None, (*group.said.get("AvailabilityZones", ()), *members)):
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
        know = self.sim.compute.know_type
        for name, facts in self.terrain.types.items():
            interfaces = TRUNKED if name in trunked or not facts.interfaces else facts.interfaces
            vcpus, memory = facts.cpu // 1024, registered.get(name)
            know(InstanceType(name, vcpus, facts.memory, _of_type(facts), interfaces, facts.gpus, memory))
        for host in self.terrain.hosts.values():
            if host.type and self.sim.compute.type_of(host.type) is None:
                room = host.registered
                vcpus, architecture = room.cpu // 1024, _architecture(host)
                know(InstanceType(host.type, vcpus, room.memory, architecture, TRUNKED, room.gpus, room.memory))
        for group in self.terrain.groups.values():
            like = next((host.type for host in self.terrain.of(group.name) if host.type), "m5.large")
            known = self.sim.compute.type_of(like)
            for name in group.types:
                if self.sim.compute.type_of(name) is None and known is not None:
                    know(replace(known, name=name))

    def _images(self) -> dict[str, str]:
        """Every image that runs or is (to be) launched, with an architecture that suits its group's types."""
        found = {host.image: _architecture(host) for host in self.terrain.hosts.values() if host.image}
        for group in self.seen.groups.values():
            types = self.terrain.groups[group.name].types
            kind = self.sim.compute.type_of(types[0]) if types else None
            hosts = self.terrain.of(group.name)
            like = kind.architecture if kind else _architecture(hosts[0]) if hosts else "x86_64"
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
        name, _, selector = launches.parameter.partition(":")
        if name.startswith("/aws/") or selector:
            self.sim.parameters.published[name] = launches.image
            return
        self.sim.parameters.put(name, launches.image, overwrite=True)
        if launches.place is Place.PARAMETER:
            self.sim.parameters.tags(name)["ecsroll:group"] = group

    def _template(self, group: GroupFacts, facts: TemplateFacts) -> None:
        made = Template(facts.id, facts.name, self.terrain.at)
        for number, said in facts.versions.items():
            # Where types are chosen by requirements, what the template names does not count.
            own = said.get("InstanceType") if group.types else None
            kind = own or next(iter((*group.types, *self._types_there(group.name))), "m5.large")
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
            mixed=self._mixed(name, said.get("MixedInstancesPolicy")),
            launch_configuration=said.get("LaunchConfigurationName"),
            new_protected=said.get("NewInstancesProtectedFromScaleIn", False),
            suspended=dict(facts.suspended),
        )
        self.sim.scaling.groups[name] = group
        machines = {host.id: host for host in self.terrain.of(name)}
        for entry in said.get("Instances", ()):
            self._member(group, entry, machines.get(entry["InstanceId"]))
        self._warm_pool(group, facts)

    def _types_there(self, group: str) -> list[str]:
        """The types of the group's hosts, those that most of them have first."""
        return [kind for kind, _ in Counter(host.type for host in self.terrain.of(group) if host.type).most_common()]

    def _mixed(self, group: str, said: dict[str, Any] | None) -> dict[str, Any] | None:
        """With the overrides in the order in which the group's hosts have them: those to come are like them."""
        if said is None or not said["LaunchTemplate"].get("Overrides"):
            return said
        there = self._types_there(group)
        place = {kind: number for number, kind in enumerate(there)}
        overrides = sorted(
            said["LaunchTemplate"]["Overrides"], key=lambda entry: place.get(entry.get("InstanceType"), len(there))
        )
        return {**said, "LaunchTemplate": {**said["LaunchTemplate"], "Overrides": overrides}}

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
            if host is None:  # that of a container instance ends with it
                self.sim.world.after(1.0, partial(self.sim.compute.terminate, instance.id))
        elif member.health == "Unhealthy":
            self.sim.scaling.fleet.mark_unhealthy(group, member)

    def _instance(self, group: Group, said: Answer, host: HostFacts | None, state: str) -> Instance:
        seen = self.seen.hosts.get(said["InstanceId"])
        zone = said.get("AvailabilityZone") or self.sim.compute.zones[0]
        template = said.get("LaunchTemplate") or {}
        version = str(template.get("Version", ""))
        machine: Answer = host.machine if host else {}
        instance = Instance(
            id=said["InstanceId"],
            type=said.get("InstanceType") or (host.type if host else "") or "m5.large",
            zone=zone,
            subnet_id=(host.subnet if host else "") or self.sim.compute.subnet_of(zone),
            private_ip=machine.get("PrivateIpAddress", ""),
            image_id=(seen.image if seen else None) or self._launched_now(group.name),
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

    def _launched_now(self, group: str) -> str:
        """What a host runs that EC2 does not know yet: it has only just been launched."""
        return next((launches.image for launches in self.seen.groups[group].launches if launches.image), "")

    def _warm_pool(self, group: Group, facts: GroupFacts) -> None:
        if facts.warm_pool is None:
            return
        pool = WarmPool(
            facts.warm_pool.least, facts.warm_pool.prepared, facts.warm_pool.state, reuse=facts.warm_pool.reuses
        )
        for name, said in facts.warm_pool.hosts.items():
            instance = self._instance(group, said, None, "stopped")
            instance.image_id, instance.warm = facts.warm_pool.images.get(name, ""), True
            # One that is on its way into the pool will be there when the first host is asked for.
            state = said.get("LifecycleState", "Warmed:Pending")
            here = f"Warmed:{pool.state}" if state.startswith("Warmed:Pending") else state
            pool.members[name] = Member(instance, here, 0.0)
        self.sim.scaling.warm.pools[group.name] = pool


def _architecture(host: HostFacts) -> str:
    return str(host.machine.get("Architecture") or host.attributes.get("ecs.cpu-architecture") or "x86_64")


def _of_type(facts: TypeFacts) -> str:
    """A type's architecture; the older ones can do i386 besides."""
    return next((each for each in ("x86_64", "arm64") if each in facts.architectures), "x86_64")
