"""What the checks before a roll look at: the picture, the terrain, who is to leave, and what will come in their place.

A new host is like the old ones of its group but for what changes with it: its image, its zone, perhaps its type; and
attributes that somebody put on a host by hand are not on it. Pure.
"""

import binascii
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product

from ecsroll import asg, query
from ecsroll.canary import tries_canary
from ecsroll.fits import Crowd, Load, Space
from ecsroll.ledger import Roll
from ecsroll.model import Group, Host, Memory, Policy, Snapshot
from ecsroll.terrain import DefinitionFacts, HostFacts, Resources, ServiceFacts, TaskFacts, Terrain
from ecsroll.turn import Turn, first_page

__all__ = ["Before", "Newcomer"]

Needs = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Expressions, capacity providers, required attributes."""
PLENTY = 1000
"""Network interfaces of a host with trunking, or of a type that is not known: they are not what is short."""
BUILT_IN = ("ecs.", "com.amazonaws.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A host that a group may launch: one for each zone, type and image that it can be of."""

    attributes: Mapping[str, str | None]
    doubtful: frozenset[str]
    """Custom attributes that some hosts of the group have: it may come without them."""
    space: Space
    agent: str

    def facts(self, subject: str, *, without: frozenset[str], groups: Iterable[str]) -> object:
        """What the cluster query language may ask of it."""
        if subject.startswith("attribute:"):
            name = subject.removeprefix("attribute:")
            return query.MISSING if name in without else self.attributes.get(name, query.MISSING)
        return {
            "ec2InstanceId": "i-new",
            "agentConnected": True,
            "agentVersion": self.agent,
            "runningTasksCount": 0,
            "registeredAt": 2**40,
        }.get(subject, list(groups))


@dataclass(frozen=True)
class Before:
    """A cluster before a roll with a policy."""

    seen: Snapshot
    policy: Policy
    terrain: Terrain

    # who goes

    @cached_property
    def leaving(self) -> dict[str, tuple[Host, ...]]:
        """The hosts that a roll would replace (or still has to), by group."""
        return {name: tuple(self._turn(group).old) for name, group in self.seen.groups.items()}

    @cached_property
    def foreign(self) -> dict[str, tuple[Host, ...]]:
        """Outdated hosts that somebody else drains, by group."""
        return {name: tuple(self._turn(group).foreign) for name, group in self.seen.groups.items()}

    @cached_property
    def standby(self) -> dict[str, tuple[Host, ...]]:
        """Outdated hosts that somebody has put into Standby, by group."""
        return {name: tuple(self._turn(group).standby) for name, group in self.seen.groups.items()}

    def _turn(self, group: Group) -> Turn:
        seen = self.seen
        roll = seen.roll or Roll(epoch=0, began=seen.at, groups=(), images=self.policy.images, policy={})
        page = seen.ledgers.get(group.name) or first_page(seen, Memory(), self.policy, roll, group)
        return Turn(seen, Memory(), self.policy, roll, group, page)

    def surge(self, group: Group) -> int:
        """How many hosts are added at most."""
        return asg.surge_for(group, len(self.leaving[group.name]), self.policy)

    def unavailable(self, group: Group) -> int:
        """How many hosts may be missing."""
        return self.policy.unavailable.of(group.desired, up=False)

    def kept_canaries(self, group: Group) -> int:
        """How many hosts are drained for a trial and kept, while nothing comes in their place: the group is smaller.

        Where hosts are added, canaries use only that room (docs/decisions/0005).
        """
        if not tries_canary(self._turn(group)) or self.surge(group):
            return 0
        return min(self.policy.canary, self.unavailable(group), len(self.leaving[group.name]))

    def images(self, group: Group) -> tuple[str, ...]:
        """What the group is to launch."""
        wanted = [self.policy.images.get(f"{group.name}/{asg.name_of(each)}") or each.image for each in group.launches]
        return tuple(dict.fromkeys(image for image in wanted if image))

    # what runs

    @cached_property
    def on(self) -> dict[str, list[TaskFacts]]:
        """The tasks that are there, by container instance."""
        return self.terrain.by_host()

    @cached_property
    def _leaving_tasks(self) -> dict[str | None, list[TaskFacts]]:
        found: dict[str | None, list[TaskFacts]] = {}
        for host in (host for hosts in self.leaving.values() for host in hosts):
            for task in self.on.get(host.arn or "", ()):
                if not task.daemon and task.desired_status == "RUNNING":
                    found.setdefault(task.service, []).append(task)
        return found

    def leaving_tasks(self, service: str | None) -> list[TaskFacts]:
        """The tasks of a service (or the standalone ones) on hosts that are to leave."""
        return self._leaving_tasks.get(service, [])

    def definition(self, service: ServiceFacts) -> DefinitionFacts | None:
        """What its tasks are made of, if it could be read."""
        return self.terrain.definitions.get(service.definition)

    @cached_property
    def replicas(self) -> list[ServiceFacts]:
        """Services whose tasks a drain moves: no daemons, none on Fargate (or elsewhere)."""
        return sorted(
            (each for each in self.terrain.services.values() if not each.daemon and not each.elsewhere),
            key=lambda service: service.name,
        )

    @cached_property
    def moving(self) -> list[ServiceFacts]:
        """Those of them that have tasks on hosts that are to leave."""
        return [service for service in self.replicas if self.leaving_tasks(service.name)]

    def crowd(self, service: ServiceFacts, count: int) -> Crowd | None:
        """So many of a service's tasks, as placement counts them."""
        definition = self.definition(service)
        if definition is None:
            return None
        return Crowd(name=service.name, load=load_of(definition), count=count, alone=service.distinct)

    def others(self, crowd: Crowd) -> Counter[Load]:
        """All that may be in a task's way besides its own service's: how many tasks of each load."""
        return self._everything - Counter({crowd.load: crowd.count})

    @cached_property
    def _everything(self) -> Counter[Load]:
        """The services in full, and standalone tasks, which nobody moves."""
        found: Counter[Load] = Counter()
        for crowd in (self.crowd(service, service.desired) for service in self.replicas):
            if crowd is not None:
                found[crowd.load] += crowd.count
        definitions = self.terrain.definitions
        for task in (task for tasks in self.on.values() for task in tasks if task.service is None):
            if task.definition in definitions:
                found[load_of(definitions[task.definition])] += 1
        return found

    # what is there

    def serving(self, group: Group) -> list[HostFacts]:
        """The group's hosts that take tasks today; ECS does not ask whether one is in Standby."""
        known = self.terrain.hosts
        there = [host for host in self.seen.of(group) if host.arn in known and not host.leaving]
        return [known[host.arn] for host in there if host.arn and host.status == "ACTIVE" and host.connected]

    def going(self, group: Group) -> list[HostFacts]:
        """The group's hosts that are to leave, and take tasks today."""
        leaving = {host.arn for host in self.leaving[group.name]}
        return [host for host in self.serving(group) if host.arn in leaving]

    def missing(self, group: Group) -> int:
        """Hosts that the group wants and that take no tasks now, but will: they boot, or their agent is away.

        Agents come and go several times an hour (aws-facts 3.7); one that stays away is replaced before any other host.
        """
        known = {"ACTIVE", "DRAINING"}
        there = sum(host.live and host.status in known and host.connected for host in self.seen.of(group))
        return max(0, group.desired - there)

    def beside(self, group: Group) -> list[HostFacts]:
        """The hosts of all other groups that take tasks, whether they are rolled too or not."""
        return [
            host
            for host in self.terrain.hosts.values()
            if host.group != group.name and host.status == "ACTIVE" and host.connected
        ]

    def carrying(self, group: Group) -> Counter[str]:
        """How many tasks of each service these hosts and those of the other groups run."""
        hosts = (*self.serving(group), *self.beside(group))
        tasks = (task for host in hosts for task in self.on.get(host.arn, ()))
        return Counter(task.service for task in tasks if task.service is not None and task.desired_status == "RUNNING")

    def staying(self, service: ServiceFacts) -> list[HostFacts]:
        """Hosts that no roll replaces and that may carry the service's tasks."""
        return [host for host in self._staying if self.suits(service, host)]

    @cached_property
    def _staying(self) -> list[HostFacts]:
        leaving = {host.arn for hosts in self.leaving.values() for host in hosts}
        there = (host for arn, host in self.terrain.hosts.items() if arn not in leaving)
        return [host for host in there if host.status == "ACTIVE" and host.connected]

    @cached_property
    def spaces(self) -> dict[str, Space]:
        """Each host without what can move, by ARN."""
        return {arn: self._space(host) for arn, host in self.terrain.hosts.items()}

    def _space(self, host: HostFacts) -> Space:
        space = _space(host.registered, self._interfaces(host))
        for task in self.on.get(host.arn, ()):
            definition = self.terrain.definitions.get(task.definition)
            if task.daemon and definition is not None:
                space = space.less(load_of(definition))
        return space

    def _interfaces(self, host: HostFacts) -> int:
        kind = self.terrain.types.get(host.type)
        trunk = "ecs.awsvpc-trunk-id" in host.attributes
        return PLENTY if kind is None or trunk else kind.interfaces - 1

    def suits(self, service: ServiceFacts, host: HostFacts) -> bool:
        """Whether a host that is there may carry the service's tasks, were there room."""
        return host.arn in self._suitable[self.needs(service)]

    def needs(self, service: ServiceFacts) -> Needs:
        """What a service asks of its hosts besides room: services with equal needs can go to the same ones."""
        definition = self.definition(service)
        requires = tuple(sorted(definition.requires)) if definition else ()
        return self.expressions(service), tuple(sorted(service.providers)), requires

    @cached_property
    def _suitable(self) -> dict[Needs, frozenset[str]]:
        every = {self.needs(service) for service in self.terrain.services.values()}
        hosts = self.terrain.hosts.items()
        return {needs: frozenset(arn for arn, host in hosts if self._has(host, *needs)) for needs in every}

    def _has(
        self, host: HostFacts, expressions: tuple[str, ...], providers: tuple[str, ...], requires: tuple[str, ...]
    ) -> bool:
        # Tasks come to a managed instance (or to a machine outside AWS) by its own provider or launch type only.
        if (providers or host.managed) and host.provider not in providers:
            return False
        if not set(requires) <= host.attributes.keys():
            return False
        return all(query.parse(expression)(partial(self._fact, host)) for expression in expressions)

    def _fact(self, host: HostFacts, subject: str) -> object:
        """What the cluster query language may ask of a host that is there."""
        if subject.startswith("attribute:"):
            return host.attributes.get(subject.removeprefix("attribute:"), query.MISSING)
        there = self.on.get(host.arn, ())
        return {
            "ec2InstanceId": host.id,
            "agentConnected": host.connected,
            "agentVersion": host.agent,
            "runningTasksCount": len(there),
            "registeredAt": int(host.registered_at.timestamp()) if host.registered_at else 0,
        }.get(subject, [task.group for task in there])

    def expressions(self, service: ServiceFacts) -> tuple[str, ...]:
        """The ``memberOf`` constraints of the service and of its definition, those that can be read."""
        definition = self.definition(service)
        said = (*service.members, *(definition.constraints if definition else ()))
        return tuple(expression for expression in said if _readable(expression))

    # what will come

    def newcomers(self, group: Group) -> tuple[Newcomer, ...]:
        """Every kind of host that the group may launch; none where no host of it is registered to learn from."""
        return self._newcomers[group.name]

    @cached_property
    def _newcomers(self) -> dict[str, tuple[Newcomer, ...]]:
        return {name: self._kinds(group) for name, group in self.seen.groups.items()}

    def _kinds(self, group: Group) -> tuple[Newcomer, ...]:
        hosts = [host for host in self.terrain.of(group.name) if host.status in {"ACTIVE", "DRAINING"}]
        if not hosts:
            return ()
        facts = self.terrain.groups.get(group.name)
        types = (facts.types if facts else ()) or tuple(dict.fromkeys(host.type for host in hosts))
        places = self._places(group, hosts, facts.subnets if facts else ())
        kinds = product(types, places, self.images(group) or ("",))
        return tuple(self._newcomer(group, hosts, *kind) for kind in kinds)

    def _places(self, group: Group, hosts: list[HostFacts], subnets: Sequence[str]) -> list[tuple[str, str]]:
        """Each zone with the subnets that it may be in: a subnet without a host to tell its zone may be in any."""
        zones = {host.subnet: host.zone for host in self.terrain.hosts.values() if host.subnet}
        places = []
        for zone in group.zones or ("",):
            here = [subnet for subnet in subnets if zones.get(subnet, zone) == zone]
            here = here or sorted({host.subnet for host in hosts if host.zone == zone})
            places += [(zone, subnet) for subnet in here or [""]]
        return places

    def _newcomer(
        self, group: Group, hosts: list[HostFacts], kind: str, place: tuple[str, str], image: str
    ) -> Newcomer:
        zone, subnet = place
        alike = [host for host in hosts if host.type == kind] or hosts
        like = next((host for host in alike if host.zone == zone), alike[0])
        custom = {name for host in hosts for name in host.attributes if not name.startswith((*BUILT_IN, "ecsroll."))}
        everywhere = {name for name in custom if len({host.attributes.get(name, "-") for host in hosts}) == 1}
        script = self._user_data(group)
        attributes = {name: value for name, value in like.attributes.items() if name.startswith(BUILT_IN)}
        attributes |= {name: host.attributes[name] for host in hosts for name in custom if name in host.attributes}
        attributes |= {"ecs.ami-id": image, "ecs.availability-zone": zone, "ecs.instance-type": kind}
        attributes["ecs.subnet-id"] = subnet
        newcomer = Newcomer(
            attributes=attributes,
            doubtful=frozenset(name for name in custom - everywhere if name not in script),
            space=self._new_space(kind, like),
            agent=like.agent,
        )
        return self._with_daemons(newcomer)

    def _user_data(self, group: Group) -> str:
        facts = self.terrain.groups.get(group.name)
        said = [str(each.data.get("UserData", "")) for each in facts.templates] if facts else []
        return " ".join(map(_decoded, said))

    def _new_space(self, kind: str, like: HostFacts) -> Space:
        facts, known = self.terrain.types.get(kind), self.terrain.types.get(like.type)
        if like.type == kind or facts is None:
            return _space(like.registered, self._interfaces(like))
        part = like.registered.memory / known.memory if known and known.memory else facts.usable / facts.memory
        trunk = "ecs.awsvpc-trunk-id" in like.attributes
        return Space(
            cpu=facts.cpu,
            memory=int(facts.memory * part),
            gpus=facts.gpus,
            enis=PLENTY if trunk or not facts.interfaces else facts.interfaces - 1,
            taken=like.registered.ports,
        )

    def _with_daemons(self, newcomer: Newcomer) -> Newcomer:
        space = newcomer.space
        for service in self.terrain.services.values():
            definition = self.definition(service)
            if service.daemon and definition is not None and self.welcomes(newcomer, service):
                space = space.less(load_of(definition))
        return Newcomer(attributes=newcomer.attributes, doubtful=newcomer.doubtful, space=space, agent=newcomer.agent)

    def welcomes(self, newcomer: Newcomer, service: ServiceFacts, *, doubtful: bool = False) -> bool:
        """Whether a new host satisfies the service's constraints; ``doubtful``: with every attribute it may have."""
        without = frozenset() if doubtful else newcomer.doubtful
        return all(
            any(
                query.parse(expression)(partial(newcomer.facts, without=without, groups=there))
                for there in ([], self._task_groups)
            )
            for expression in self.expressions(service)
        )

    @cached_property
    def _task_groups(self) -> list[str]:
        return sorted({task.group for tasks in self.on.values() for task in tasks})

    def admits(self, group: Group, service: ServiceFacts) -> tuple[Newcomer, ...]:
        """The kinds of new hosts of a group that may carry the service's tasks, were there room."""
        provider = group.provider.name if group.provider else None
        if service.providers and provider not in service.providers:
            return ()
        return tuple(each for each in self.newcomers(group) if self.welcomes(each, service))


def load_of(definition: DefinitionFacts) -> Load:
    """What one task takes."""
    return Load(
        cpu=definition.cpu,
        memory=definition.memory,
        gpus=definition.gpus,
        enis=int(definition.awsvpc),
        ports=definition.ports,
    )


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode(errors="replace")
    except binascii.Error:
        return text


def _space(registered: Resources, interfaces: int) -> Space:
    return Space(
        cpu=registered.cpu,
        memory=registered.memory,
        gpus=registered.gpus,
        enis=interfaces,
        taken=registered.ports,
    )


def _readable(expression: str) -> bool:
    """What ECS accepted and we can not read is left out: better no finding than a wrong one."""
    try:
        query.parse(expression)
    except query.QueryError:
        return False
    return True
