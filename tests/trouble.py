"""What can happen to a roll, as data to be drawn: AWS and the network misbehave, hosts die, others act.

``play`` rolls a cluster through a :class:`Case`, life after life. A halt is allowed where it is safe: all that is
owed is listed, and once the trouble is over the same command ends with nothing owed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from ecsroll.model import Policy
from ecsroll.simulator.cluster import ContainerInstance
from ecsroll.simulator.faults import Lag, lose_answers, reset_connections, servers_fail, throttle
from ecsroll.simulator.stage import Stage
from tests import scenarios as s
from tests.rolls import Act, Death, Meanwhile, Told, carry_out, on
from tests.watch import Watch

__all__ = ["CASES", "Case", "play"]


@dataclass(frozen=True, slots=True)
class Weather:
    """Shares of all calls that go wrong on the way, and how old a reading may be, in seconds."""

    throttled: float = 0.0
    lost: float = 0.0
    failing: float = 0.0
    cut: float = 0.0
    lag: float = 0.0

    def begin(self, stage: Stage, seed: int) -> None:
        door = stage.sim.door
        throttle(door, self.throttled, seed=seed)
        lose_answers(door, self.lost, seed=seed)
        servers_fail(door, self.failing, seed=seed)
        reset_connections(door, self.cut, seed=seed)
        if self.lag:
            Lag(seconds=self.lag, share=0.4, seed=seed).put_on(door)


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that happens once: after the n-th event of a kind."""

    what: str
    kind: str
    number: int

    def due(self) -> Meanwhile:
        return on(self.kind, ACTS[self.what], self.number)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that goes wrong with one roll."""

    weather: Weather = Weather()
    mishaps: tuple[Mishap, ...] = ()
    deaths: tuple[Death, ...] = field(default=())

    def sensible(self) -> list[Mishap]:
        """Those of the mishaps that can be judged.

        A picture of some seconds ago, as one is by the time a call comes through that was throttled or whose answer
        was lost, does not know of an agent that has gone or come since, nor of a scale-in just before a floor.
        And when a scaler and an apply both lower DesiredCapacity nobody can tell what the group wants by itself.
        """
        names = {mishap.what for mishap in self.mishaps}
        late = self.weather.lag or self.weather.lost or self.weather.throttled
        odd = {name for name in names if late and "agent" in name}
        odd |= {"somebody scales in"} if late or "terraform apply" in names else set()
        # Nor whether room that reads as never asked for had been, when others put it back before anybody read it.
        return [
            mishap
            for mishap in self.mishaps
            if mishap.what not in odd
            and not (mishap.what == "terraform apply" and mishap.kind in {"target_set", "size_set"})
        ]


def _first(stage: Stage, fits: Callable[[ContainerInstance], bool]) -> ContainerInstance | None:
    found = [host for group in stage.groups for host in s.hosts_of(stage, group.name)]
    running = [host for host in found if host.instance.state == "running"]
    return next((host for host in running if fits(host)), None)


def _dies(fits: Callable[[Stage, ContainerInstance], bool]) -> Act:
    """Its tasks die with it, which is nobody's fault: the one thing for which a floor may be missed."""

    def act(stage: Stage, watch: Watch) -> None:
        victim = _first(stage, lambda host: fits(stage, host))
        if victim is not None:
            watch.mishap(victim.instance.id, lasting=90)
            watch.ready[victim.instance.group or ""] -= 1
            stage.sim.compute.terminate(victim.instance.id)

    return act


def _is_new(stage: Stage, host: ContainerInstance) -> bool:
    return host.instance.image_id in stage.new_image.values()


def _agent_away(seconds: float) -> Act:
    """An agent that flaps, or that stays away until the trouble is over."""

    def act(stage: Stage, watch: Watch) -> None:
        del watch
        host = _first(stage, lambda host: host.open)
        if host is None:
            return
        away = stage.sim.conditions.instances_without_agent
        away.add(host.instance.id)
        stage.sim.clusters.check_agents()

        def back() -> None:
            away.discard(host.instance.id)
            stage.sim.clusters.check_agents()

        stage.sim.world.after(seconds, back)

    return act


def _somebody_drains(stage: Stage, watch: Watch) -> None:
    """Between two rounds: at the very moment of a drain of ours nobody can tell whose it is."""

    def drain() -> None:
        host = _first(stage, lambda host: host.open and not _is_new(stage, host) and _unmarked(host))
        if host is not None:
            stage.sim.clusters.set_status(host, "DRAINING")
            # Whoever did it took that host away, and so did the group's page if the roll comes to the group later.
            watch.ready[host.instance.group or ""] -= 1
            stage.sim.world.after(25, lambda: watch.foreign.add(host.id) if _is_theirs(host) else None)

    stage.sim.world.after(5, drain)


def _is_theirs(host: ContainerInstance) -> bool:
    return host.status == "DRAINING" and _unmarked(host)


def _unmarked(host: ContainerInstance) -> bool:
    return "ecsroll.drain" not in host.custom


def _deploys(stage: Stage, watch: Watch) -> None:
    del watch
    service = next((service for service in stage.services if not service.daemon), None)
    if service is not None:
        wanted = {"cluster": stage.cluster, "service": service.name, "forceNewDeployment": True}
        stage.sim.door._answer("ecs", "UpdateService", wanted)


def _in_every_group(act: Callable[[str], Act]) -> Act:
    def acts(stage: Stage, watch: Watch) -> None:
        for group in stage.groups:
            act(group.name)(stage, watch)

    return acts


def _applies(name: str) -> Act:
    """``terraform apply`` puts MinSize and MaxSize back to what the code says."""

    def act(stage: Stage, watch: Watch) -> None:
        was, others = watch.before[name], watch.others[name]
        with watch.somebody_else():
            stage.sim.scaling.update(name, minimum=was.min, maximum=was.max)
        # What MaxSize cut off was borrowed, but for what others had added above it.
        watch.others[name] = min(others, was.max - was.desired)

    return act


def _no_capacity(seconds: float) -> Act:
    def act(stage: Stage, watch: Watch) -> None:
        del watch
        full = stage.sim.conditions.zones_without_capacity
        full |= {zone for group in stage.groups for zone in s.group_of(stage, group.name).zones}
        stage.sim.world.after(seconds, full.clear)

    return act


ACTS: dict[str, Act] = {
    "an old host dies": _dies(lambda stage, host: host.open and not _is_new(stage, host)),
    "a draining host dies": _dies(lambda _, host: host.status == "DRAINING"),
    "a new host dies": _dies(_is_new),
    "an agent flaps": _agent_away(50),
    "an agent stays away": _agent_away(3000),
    "no capacity for a while": _no_capacity(400),
    "no capacity for too long": _no_capacity(1500),
    "somebody scales out": _in_every_group(lambda name: s.scale(1, name)),
    "somebody scales in": _in_every_group(lambda name: s.scale(-1, name)),
    "terraform apply": _in_every_group(_applies),
    "somebody drains a host": _somebody_drains,
    "a deployment": _deploys,
}
KINDS = ("target_set", "size_set", "drain_started", "drain_started", "host_terminated", "host_terminated")

SHARES = st.sampled_from([0.0, 0.0, 0.05, 0.3])
SMALL = st.sampled_from([0.0, 0.0, 0.03, 0.06])
WEATHERS = st.builds(Weather, SHARES, SMALL, SMALL, SMALL, st.sampled_from([0.0, 0.0, 5.0, 8.0]))
MISHAPS = st.builds(Mishap, st.sampled_from(sorted(ACTS)), st.sampled_from(KINDS), st.integers(1, 3))
CASES = st.builds(
    Case,
    WEATHERS,
    st.lists(MISHAPS, max_size=3, unique_by=lambda mishap: mishap.what).map(tuple),
    st.lists(st.builds(Death, st.integers(1, 40), st.booleans()), max_size=2).map(tuple),
)


def play(stage: Stage, policy: Policy, case: Case, seed: int) -> tuple[Told, Told | None]:
    """Roll through the case; after a halt, once the trouble is over, again. Asserts every promise on the way."""
    door = stage.sim.door
    calm = (list(door.before), list(door.after), door.answer)
    watch = Watch(stage, policy, crossed=True)
    watched = (list(door.before), list(door.after))
    # A capacity provider scales in by itself at any moment: the same.
    scaled = any(group.managed_scaling for group in stage.groups)
    weather = replace(case.weather, lag=0.0, lost=0.0, throttled=0.0) if scaled else case.weather
    weather.begin(stage, seed)
    told = carry_out(
        stage,
        policy,
        deaths=case.deaths,
        meanwhile=[mishap.due() for mishap in case.sensible()],
        watch=watch,
    )
    assert told.verdict is not None
    if told.verdict.result != "halted":
        return told, None
    assert told.verdict.reason
    # Also where a gate has shut (a new host that ends while a canary is on trial), and a rollback is named first.
    assert "ecsroll replace" in told.verdict.next
    door.before[:], door.after[:], door.answer = *watched, calm[2]
    _mend(stage, watch)
    return told, carry_out(stage, policy, watch=watch)


def _mend(stage: Stage, watch: Watch) -> None:
    """The trouble is over: capacity and agents are back, and whoever drained a host has made it ACTIVE again."""
    stage.sim.conditions.zones_without_capacity.clear()
    stage.sim.conditions.instances_without_agent.clear()
    stage.sim.clusters.check_agents()
    for host in stage.sim.clusters.find(stage.cluster).registered:
        if _is_theirs(host):
            stage.sim.clusters.set_status(host, "ACTIVE")
    watch.foreign.clear()
    stage.sim.sleep(300)


def ends(told: Sequence[Told | None]) -> list[str]:
    """How each of the rolls ended."""
    return [one.verdict.result for one in told if one is not None and one.verdict is not None]
