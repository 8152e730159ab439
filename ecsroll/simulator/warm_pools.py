"""Warm pools: instances launched ahead of need, from the template of their time."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ecsroll.simulator.compute import Instance
from ecsroll.simulator.groups import Group, Member
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["WarmPool", "WarmPools"]

RETRY = 60.0


@dataclass(slots=True, eq=False)
class WarmPool:
    """The pool of one group."""

    least: int = 0
    prepared: int | None = None
    """MaxGroupPreparedCapacity; without it the pool fills up to MaxSize."""
    state: str = "Stopped"
    reuse: bool = False
    deleting: bool = False
    members: dict[str, Member] = field(default_factory=dict)


class WarmPools:
    """The warm pools of all groups."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.pools: dict[str, WarmPool] = {}
        self.world.listen("instance_warmed", self._warmed)
        self.world.listen("instance_gone", self._gone)

    def put(self, group: Group, pool: WarmPool) -> None:
        """Give a group a pool, or change the one that it has."""
        if group.name in self.pools:
            pool.members = self.pools[group.name].members
        self.pools[group.name] = pool
        self.fill(group)

    def delete(self, group: Group) -> None:
        """End the pool with its instances."""
        pool = self.must_find(group)
        pool.deleting = True
        for member in list(pool.members.values()):
            self._end(member)
        self._drop_if_empty(group.name)

    def must_find(self, group: Group) -> WarmPool:
        """The group's pool, or AWS's refusal."""
        if group.name not in self.pools:
            raise Refusal("ValidationError", f"No warm pool found for Auto Scaling group {group.name}")
        return self.pools[group.name]

    def wanted(self, group: Group, pool: WarmPool) -> int:
        """How many instances the pool should hold: by default what lacks to MaxSize."""
        prepared = group.max if pool.prepared is None else pool.prepared
        return max(pool.least, prepared - group.desired, 0)

    def fill(self, group: Group) -> None:
        """Launch what the pool lacks."""
        pool = self.pools.get(group.name)
        if pool is None or pool.deleting or not group.runs("Launch"):
            return
        present = [member for member in pool.members.values() if member.state != "Warmed:Terminating"]
        for _ in range(self.wanted(group, pool) - len(present)):
            zone = min(group.zones, key=lambda z: sum(m.instance.zone == z for m in pool.members.values()))
            try:
                made = self.sim.scaling.fleet.make(group, zone, group.subnets[zone][0], warm=True)
            except Refusal as no:
                self.world.tell("launch_failed", group=group.name, zone=zone, message=no.message)
                self.world.after(RETRY, lambda: self.fill(group))
                return
            pool.members[made.id] = Member(made, "Warmed:Pending", self.world.now)
        surplus = [member for member in present if member.state != "Warmed:Pending"][self.wanted(group, pool) :]
        for member in surplus:
            self._end(member)

    def take(self, group: Group, zone: str) -> Member | None:
        """A warm instance for a scale-out, of the zone if there is one; whatever image it was launched with."""
        pool = self.pools.get(group.name)
        if pool is None or pool.deleting or self.sim.conditions.launch_fails is not None:
            return None
        ready = [member for member in pool.members.values() if member.state in ("Warmed:Stopped", "Warmed:Running")]
        chosen = next((member for member in ready if member.instance.zone == zone), ready[0] if ready else None)
        if chosen is None:
            return None
        del pool.members[chosen.instance.id]
        chosen.instance.state = "stopped"
        self.sim.compute.start(chosen.instance)
        return Member(chosen.instance, "Pending", self.world.now)

    def _warmed(self, instance: Instance) -> None:
        pool = self.pools.get(instance.group or "")
        member = pool.members.get(instance.id) if pool else None
        if pool is None or member is None:
            return
        member.state = f"Warmed:{pool.state}"
        # A running pool's instance runs, though its agent waits for the group to take it.
        instance.state = "running" if pool.state == "Running" else "stopped"

    def _end(self, member: Member) -> None:
        member.state = "Warmed:Terminating"
        self.sim.compute.terminate(member.instance.id)

    def _gone(self, instance: Instance) -> None:
        pool = self.pools.get(instance.group or "")
        if pool is None or pool.members.pop(instance.id, None) is None:
            return
        self._drop_if_empty(instance.group or "")

    def _drop_if_empty(self, name: str) -> None:
        if self.pools[name].deleting and not self.pools[name].members:
            del self.pools[name]
