"""Where a task goes: filters, constraints, strategies (aws-facts 8.1).

A :class:`Room` knows, for all tasks of equal needs and constraints, which container instances would take one more.
It looks again only at those that changed, so that a cluster of 5,000 hosts is not searched for each task.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from ecsroll.simulator.query import MISSING, Query

if TYPE_CHECKING:
    from ecsroll.simulator.cluster import ContainerInstance
    from ecsroll.simulator.definitions import Needs

__all__ = ["RANDOM", "ZONE", "Crowd", "Key", "Room", "Rooms", "Strategy", "strategies_of", "unfit"]

Strategy = tuple[str, str]
"""(type, field) as AWS names them."""
Key = "tuple[Needs, tuple[str, ...], str | None]"

ZONE = "attribute:ecs.availability-zone"
DEFAULT: tuple[Strategy, ...] = (("spread", ZONE), ("spread", "instanceId"))
RANDOM: tuple[Strategy, ...] = (("random", ""),)
TRIES = 12  # random looks for a host without a task of the service, before all are counted


@dataclass(slots=True)
class Crowd:
    """How many tasks of one service (or group) are where already."""

    hosts: "dict[ContainerInstance, int]" = field(default_factory=dict)
    zones: dict[str, int] = field(default_factory=dict)

    def add(self, host: "ContainerInstance", number: int) -> None:
        """Count tasks on a host, or take them off."""
        self.zones[host.zone] = self.zones.get(host.zone, 0) + number
        left = self.hosts.get(host, 0) + number
        if left:
            self.hosts[host] = left
        else:
            self.hosts.pop(host, None)


def strategies_of(strategies: Iterable[dict[str, str]], *, service: bool) -> tuple[Strategy, ...]:
    """As AWS reads them; without any, a service spreads over zones and hosts and RunTask goes anywhere."""
    said = tuple((each["type"], each.get("field", "")) for each in strategies)
    return said or (DEFAULT if service else RANDOM)


def unfit(host: "ContainerInstance", needs: "Needs", tests: Sequence[Query], provider: str | None = None) -> str | None:
    """Why a host can not take a task, in the words of the service event (aws-facts 8.6); None if it can."""
    if host.status != "ACTIVE":
        return "is not active"
    if not host.agent_connected:
        return "doesn't have the agent connected"
    if provider is not None and host.capacity_provider != provider:
        return "is not in the capacity provider of your task"
    if any(host.attribute(name) is MISSING for name in needs.requires):
        return "is missing an attribute required by your task"
    return _lacks(host, needs) or _breaks(host, tests)


def _lacks(host: "ContainerInstance", needs: "Needs") -> str | None:
    if needs.cpu > host.free_cpu:
        return "has insufficient CPU units available"
    if needs.memory > host.free_memory:
        return "has insufficient memory available"
    if any(port in host.ports for port in needs.ports):
        return "is already using a port required by your task"
    if needs.gpus > host.gpus - host.used_gpus:
        return "has insufficient GPUs available"
    if needs.enis > host.enis - host.used_enis:
        return 'encountered error "RESOURCE:ENI"'
    return None


def _breaks(host: "ContainerInstance", tests: Sequence[Query]) -> str | None:
    if all(test(host.fact) for test in tests):
        return None
    return "does not satisfy the placement constraints of your task"


class Pool:
    """A set of hosts that one can draw from in one step; its order depends on what happened only."""

    __slots__ = ("hosts", "places")

    def __init__(self) -> None:
        self.hosts: list[ContainerInstance] = []
        self.places: dict[ContainerInstance, int] = {}

    def add(self, host: "ContainerInstance") -> None:
        if host not in self.places:
            self.places[host] = len(self.hosts)
            self.hosts.append(host)

    def remove(self, host: "ContainerInstance") -> None:
        place = self.places.pop(host, None)
        if place is None:
            return
        last = self.hosts.pop()
        if last is not host:
            self.hosts[place] = last
            self.places[last] = place


Packed = list[tuple[int, int, "ContainerInstance"]]


class Room:
    """The hosts that would take one more task of equal needs, by zone."""

    def __init__(
        self, needs: "Needs", tests: Sequence[Query], provider: str | None, hosts: Iterable["ContainerInstance"]
    ) -> None:
        self.needs = needs
        self.tests = tests
        self.provider = provider
        self.pools: dict[str, Pool] = {}
        self.changed: dict[ContainerInstance, None] = dict.fromkeys(hosts)
        self._packed: dict[tuple[str | None, str], Packed] = {}

    def look(self) -> None:
        """Look again at what changed."""
        for host in self.changed:
            pool = self.pools.setdefault(host.zone, Pool())
            if not host.unsettled and unfit(host, self.needs, self.tests, self.provider) is None:
                pool.add(host)
                self._repack(host)
            else:
                pool.remove(host)
        self.changed.clear()

    def choose(
        self, strategies: Sequence[Strategy], crowd: Crowd, random: Random, *, distinct: bool = False
    ) -> "ContainerInstance | None":
        """The host for one more task, or None if there is none."""
        self.look()
        wanted = _Wanted(self, crowd, random, distinct)
        if strategies and strategies[0] == ("spread", ZONE):
            zones = sorted((zone for zone in self.pools), key=lambda zone: (crowd.zones.get(zone, 0), zone))
            for zone in zones:
                found = wanted.within(zone, strategies[1:])
                if found is not None:
                    return found
            return None
        return wanted.within(None, strategies)

    def hosts(self, zone: str | None) -> "list[ContainerInstance]":
        """Those that fit, in one zone or in all."""
        if zone is not None:
            return self.pools[zone].hosts
        return [host for pool in self.pools.values() for host in pool.hosts]

    def fits(self, host: "ContainerInstance") -> bool:
        """Whether it is among them."""
        pool = self.pools.get(host.zone)
        return pool is not None and host in pool.places

    # binpack: the host with the least of a resource left, from a heap whose stale entries are thrown away

    def fullest(self, zone: str | None, resource: str, skip: "Callable[[ContainerInstance], bool]") -> "Packed":
        """The tightest host that fits, as a list of at most one."""
        heap = self._heap(zone, resource)
        aside: Packed = []
        found: Packed = []
        while heap and not found:
            entry = heapq.heappop(heap)
            free, _, host = entry
            if not self.fits(host) or free != _left(host, resource):
                continue
            aside.append(entry)
            if not skip(host):
                found.append(entry)
        for entry in aside:
            heapq.heappush(heap, entry)
        return found

    def _heap(self, zone: str | None, resource: str) -> Packed:
        if (zone, resource) not in self._packed:
            heap = [(_left(host, resource), host.number, host) for host in self.hosts(zone)]
            heapq.heapify(heap)
            self._packed[zone, resource] = heap
        return self._packed[zone, resource]

    def _repack(self, host: "ContainerInstance") -> None:
        for (zone, resource), heap in self._packed.items():
            if zone in (None, host.zone):
                heapq.heappush(heap, (_left(host, resource), host.number, host))


def _left(host: "ContainerInstance", resource: str) -> int:
    return host.free_cpu if resource.lower() == "cpu" else host.free_memory


@dataclass(slots=True)
class _Wanted:
    """One choice: which host of a room, for a crowd."""

    room: Room
    crowd: Crowd
    random: Random
    distinct: bool

    def taken(self, host: "ContainerInstance") -> bool:
        return self.distinct and self.crowd.hosts.get(host, 0) > 0

    def within(self, zone: str | None, strategies: Sequence[Strategy]) -> "ContainerInstance | None":
        kind, on = strategies[0] if strategies else ("random", "")
        if kind == "binpack" and len(strategies) == 1:
            packed = self.room.fullest(zone, on, self.taken)
            return packed[0][2] if packed else None
        if kind == "random" or (kind == "spread" and on in ("instanceId", "host")):
            lucky = self._draw(self.room.hosts(zone), alone=kind == "spread")
            if lucky is not None:
                return lucky
        return self._sift([host for host in self.room.hosts(zone) if not self.taken(host)], strategies)

    def _draw(self, hosts: "Sequence[ContainerInstance]", *, alone: bool) -> "ContainerInstance | None":
        """A host without a task of this crowd can not be beaten: try a few before all are compared."""
        for _ in range(TRIES if hosts else 0):
            host = hosts[int(self.random.random() * len(hosts))]
            if not (self.crowd.hosts.get(host, 0) if alone else self.taken(host)):
                return host
        return None

    def _sift(self, hosts: "list[ContainerInstance]", strategies: Sequence[Strategy]) -> "ContainerInstance | None":
        for kind, on in strategies:
            if kind == "spread":
                hosts = self._least_crowded(hosts, on)
            elif kind == "binpack" and hosts:
                least = min(_left(host, on) for host in hosts)
                hosts = [host for host in hosts if _left(host, on) == least]
        return hosts[int(self.random.random() * len(hosts))] if hosts else None

    def _least_crowded(self, hosts: "list[ContainerInstance]", on: str) -> "list[ContainerInstance]":
        if not hosts:
            return hosts
        crowd = self.crowd.hosts
        if on in ("instanceId", "host"):
            least = min(crowd.get(host, 0) for host in hosts)
            return [host for host in hosts if crowd.get(host, 0) == least]
        name = on.removeprefix("attribute:")
        counts: dict[object, int] = {}
        for host, number in crowd.items():
            value = host.attribute(name)
            counts[value] = counts.get(value, 0) + number
        least = min(counts.get(host.attribute(name), 0) for host in hosts)
        return [host for host in hosts if counts.get(host.attribute(name), 0) == least]


class Rooms:
    """The rooms of a cluster, one for each kind of needs."""

    def __init__(self) -> None:
        self._rooms: dict[object, Room] = {}

    def of(
        self,
        key: "tuple[Needs, tuple[str, ...], str | None]",
        make: "Callable[[], tuple[Sequence[Query], Iterable[ContainerInstance]]]",
    ) -> Room:
        """The room for these needs."""
        room = self._rooms.get(key)
        if room is None:
            tests, hosts = make()
            room = self._rooms[key] = Room(key[0], tests, key[2], hosts)
        return room

    def changed(self, host: "ContainerInstance") -> None:
        """A host takes more or less than before."""
        for room in self._rooms.values():
            room.changed[host] = None
