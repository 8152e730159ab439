"""What fits on a host, and whether one more task always, sometimes or never finds room. Pure arithmetic.

Nobody knows where ECS will place a task: ties are broken at random, and the order in which services start is not
fixed. So there are two bounds, and what lies between them is luck:

* ``never_fits``: no placement whatsoever lets all of them run on the hosts that are left.
* ``always_fits``: however the others are spread, some host has room for one more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

__all__ = ["Crowd", "Hosts", "Load", "Space", "Tight", "always_fits", "larger", "never_fits", "smaller"]

Port = tuple[int, str]

RESOURCES = ("cpu", "memory", "gpus", "enis")
UNITS = {"cpu": "CPU units", "memory": "MiB of memory", "gpus": "GPU(s)", "enis": "network interface(s)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one task takes from its host (aws-facts 8.1)."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    enis: int = 0
    ports: frozenset[Port] = frozenset()
    """Host ports that are fixed."""

    def of(self, resource: str) -> int:
        """How much of a resource."""
        return int(getattr(self, resource))


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What a host has for the tasks that can move: its daemons are taken off already."""

    cpu: int
    memory: int
    gpus: int = 0
    enis: int = 0
    taken: frozenset[Port] = frozenset()
    """Ports of the agent and of daemons."""

    def of(self, resource: str) -> int:
        """How much of a resource."""
        return int(getattr(self, resource))

    def less(self, load: Load) -> "Space":
        """The space beside one more task."""
        return Space(
            cpu=self.cpu - load.cpu,
            memory=self.memory - load.memory,
            gpus=self.gpus - load.gpus,
            enis=self.enis - load.enis,
            taken=self.taken | load.ports,
        )

    def lacks(self, load: Load) -> str | None:
        """What an empty host lacks for the task, as the end of a sentence; None if it fits."""
        for resource in RESOURCES:
            if load.of(resource) > self.of(resource):
                return f"takes {load.of(resource)} {UNITS[resource]}, a host has {max(0, self.of(resource))}"
        clash = sorted(load.ports & self.taken)
        return f"wants host port {clash[0][0]}, which is taken on every host" if clash else None


Hosts = Mapping[Space, int]
"""How many hosts there are of each space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The tasks of one service that have to be somewhere at once."""

    name: str
    load: Load
    count: int
    alone: bool = False
    """At most one of them on a host (distinctInstance)."""

    @property
    def single(self) -> bool:
        """Whether a host can hold only one, however large it is: by its constraint, or by a fixed port."""
        return self.alone or bool(self.load.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tight:
    """Why there is no room: whose tasks, how many of them, how many hosts can take them."""

    crowd: Crowd
    kind: str
    """``one_a_host``, or the resource that is short."""
    tasks: int
    places: int
    hosts: int


def smaller(one: Space, other: Space) -> Space:
    """A host that is as small as the smaller of two in everything."""
    least = {name: min(one.of(name), other.of(name)) for name in RESOURCES}
    return Space(**least, taken=one.taken | other.taken)


def larger(one: Space, other: Space) -> Space:
    """A host that is as large as the larger of two in everything."""
    most = {name: max(one.of(name), other.of(name)) for name in RESOURCES}
    return Space(**most, taken=one.taken & other.taken)


# Never -----------------------------------------------------------------------------------------------------------


def never_fits(crowds: Sequence[Crowd], hosts: Hosts) -> dict[str, Tight]:
    """Why these tasks can not all run on these hosts at once, whatever the placement: by service, empty if they may.

    Where all of them together are too much, the service with the largest tasks is named.
    """
    found: dict[str, Tight] = {}
    for crowd in crowds:
        tight = (_one_a_host(crowd, crowds, hosts) if crowd.single else None) or _alone(crowd, hosts)
        if tight is not None:
            found[crowd.name] = tight
    if not found:
        found = {tight.crowd.name: tight for name in RESOURCES if (tight := _short_of(name, crowds, hosts))}
    return found


def _one_a_host(crowd: Crowd, crowds: Sequence[Crowd], hosts: Hosts) -> Tight | None:
    """Tasks of the same service that keep apart, or all that want the same port: one a host."""
    able = sum(number for host, number in hosts.items() if host.lacks(crowd.load) is None)
    wanting = [sum(other.count for other in crowds if port in other.load.ports) for port in crowd.load.ports]
    tasks = max([crowd.count, *wanting])
    if tasks <= able:
        return None
    return Tight(crowd=crowd, kind="one_a_host", tasks=tasks, places=able, hosts=sum(hosts.values()))


def _alone(crowd: Crowd, hosts: Hosts) -> Tight | None:
    """One service's tasks, had they all hosts to themselves."""
    places = sum(number * _places(host, crowd) for host, number in hosts.items())
    if crowd.count <= places:
        return None
    return Tight(crowd=crowd, kind=_scarce(crowd, hosts), tasks=crowd.count, places=places, hosts=sum(hosts.values()))


def _places(host: Space, crowd: Crowd) -> int:
    """How many of its tasks an otherwise empty host holds."""
    if host.lacks(crowd.load) is not None:
        return 0
    each = [host.of(name) // crowd.load.of(name) for name in RESOURCES if crowd.load.of(name)]
    most = min(each, default=crowd.count)
    return min(1, most) if crowd.single else most


def _scarce(crowd: Crowd, hosts: Hosts) -> str:
    """The resource that the hosts have least of, measured in tasks."""
    rooms = {
        name: sum(number * (max(0, host.of(name)) // crowd.load.of(name)) for host, number in hosts.items())
        for name in RESOURCES
        if crowd.load.of(name)
    }
    return min(rooms, key=lambda name: rooms[name], default="memory")


def _short_of(resource: str, crowds: Sequence[Crowd], hosts: Hosts) -> Tight | None:
    """All tasks together: their sum, and how many large ones go on a host at most.

    Of tasks that take more than 1/(k+1) of the largest host, a host holds k.
    """
    asking = [crowd for crowd in crowds if crowd.load.of(resource) and crowd.count]
    if not asking:
        return None
    number = sum(hosts.values())
    first = max(asking, key=lambda crowd: (crowd.load.of(resource), crowd.name))
    room = sum(count * max(0, host.of(resource)) for host, count in hosts.items())
    if sum(crowd.count * crowd.load.of(resource) for crowd in asking) > room:
        tasks = sum(crowd.count for crowd in asking)
        mean = sum(crowd.count * crowd.load.of(resource) for crowd in asking) / tasks
        return Tight(crowd=first, kind=resource, tasks=tasks, places=int(room / mean), hosts=number)
    largest = max((host.of(resource) for host in hosts), default=0)
    for size in sorted({crowd.load.of(resource) for crowd in asking}, reverse=True):
        a_host = largest // size  # the k for which the tasks of at least this size number k on a host at most
        tasks = sum(crowd.count for crowd in asking if crowd.load.of(resource) * (a_host + 1) > largest)
        if tasks > a_host * number:
            return Tight(crowd=first, kind=resource, tasks=tasks, places=a_host * number, hosts=number)
    return None


# Always ----------------------------------------------------------------------------------------------------------


def always_fits(crowd: Crowd, others: Mapping[Load, int], hosts: Hosts) -> bool:
    """Whether one more task finds room on some host, wherever the others (and the rest of its own) may be.

    ``others``: how many tasks of each load there are besides this service's own. Each host that has no room must carry
    something that keeps the task out: a task that excludes it (the same service with distinctInstance, the same port),
    or enough load. So the others can only shut so many hosts.
    """
    fitting = {host: number for host, number in hosts.items() if host.lacks(crowd.load) is None}
    own = crowd.count - 1
    rest = Counter(others) + Counter({} if crowd.alone else {crowd.load: own})
    return _Siege(crowd.load, rest, own if crowd.alone else 0, fitting).shut < sum(fitting.values())


@dataclass
class _Siege:
    """How many hosts the others can shut at most."""

    load: Load
    others: Mapping[Load, int]
    apart: int
    """Tasks of its own that it may not share a host with."""
    hosts: Hosts

    @property
    def shut(self) -> int:
        excluding = {other: number for other, number in self.others.items() if other.ports & self.load.ports}
        strength = sum(number * self._weight(other) for other, number in self.others.items() if other not in excluding)
        by_load = 0
        costs = ((self._cost(host), number) for host, number in self.hosts.items())
        for cost, number in sorted((cost, number) for cost, number in costs if cost < float("inf")):
            some = min(number, int((strength + 1e-9) / cost))
            by_load, strength = by_load + some, strength - some * cost
        return self.apart + sum(excluding.values()) + by_load

    @cached_property
    def _least(self) -> dict[str, int]:
        """The least load that shuts any of the hosts, by resource; what can shut none is left out."""
        found = {
            name: [load for host in self.hosts if (load := self._shutting(name, host.of(name))) is not None]
            for name in RESOURCES
            if self.load.of(name)
        }
        return {name: min(loads) for name, loads in found.items() if loads}

    def _shutting(self, resource: str, size: int) -> int | None:
        """The least load, as a sum of the others' sizes, beside which the task does not fit on a host of that size."""
        beyond = size - self.load.of(resource) + 1
        rest = _sums(self._sizes[resource], size) >> beyond
        return beyond + (rest & -rest).bit_length() - 1 if rest else None

    @cached_property
    def _sizes(self) -> dict[str, frozenset[int]]:
        return {name: frozenset(other.of(name) for other in self.others) - {0} for name in RESOURCES}

    def _weight(self, other: Load) -> float:
        """The part of a host that one of these tasks helps to shut: on one host only, however large it is."""
        return min(self._dearest, max((other.of(name) / least for name, least in self._least.items()), default=0.0))

    @cached_property
    def _dearest(self) -> float:
        """What it takes to shut the host that is hardest to shut, of those that can be."""
        return max((cost for host in self.hosts if (cost := self._cost(host)) < float("inf")), default=0.0)

    def _cost(self, host: Space) -> float:
        """How much it takes to shut a host, by the easiest way; the one that is shut most easily being 1."""
        ratios = [
            load / least
            for name, least in self._least.items()
            if (load := self._shutting(name, host.of(name))) is not None
        ]
        return min(ratios, default=float("inf"))


@lru_cache(maxsize=256)
def _sums(sizes: frozenset[int], most: int) -> int:
    """A bit for each number up to ``most`` that is a sum of these sizes, each taken as often as one likes."""
    sums, mask = 1, (1 << most + 1) - 1
    for size in sizes:
        step = size
        while step <= most:
            sums |= sums << step & mask
            step *= 2
    return sums
