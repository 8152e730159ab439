"""Preflight names every deadlock before a roll hangs on it, and none that is not there.

Clusters are generated, looked at, and then really rolled on the simulated AWS, whose scheduler knows nothing of the
arithmetic that is tested here.
"""

import os
import random
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from ecsroll.aws import Aws
from ecsroll.explore import explore
from ecsroll.images import choose_images
from ecsroll.model import Amount, Finding, Policy
from ecsroll.observe import Observer
from ecsroll.plan import plan
from ecsroll.preflight import preflight
from ecsroll.render import QuietScreen
from ecsroll.simulator import Simulation
from ecsroll.simulator.images import LINUX
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests.rolls import carry_out, stage_of

CASES = settings(
    max_examples=150,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

SIZES = ((128, 128), (500, 700), (680, 2000), (1000, 1000), (1100, 2600), (1900, 1000), (200, 7000))
"""CPU units and MiB; a host has 2048 and 7741."""
DRAWS = 6
"""Rolls of one cluster after which it is no bad luck any more that none came to an end."""

INTERFACES = 2
"""Addresses that an m5.large has for tasks."""
OLD = Simulation().images.releases(f"{LINUX}amazon-linux-2023")[-1 - GroupSet().age].id
APART = ("distinctInstance",)
CONSTRAINTS = {
    "distinct": APART,
    "zone": ("attribute:ecs.availability-zone == eu-west-1a",),
    "type": ("attribute:ecs.instance-type =~ m5.*",),
    "image": (f"attribute:ecs.ami-id == {OLD}",),
}
STRATEGIES = ((), (("binpack", "memory"),), (("random", ""),), (("spread", "instanceId"),))


HANGS = ("has not been drained", "tasks healthy for", "has not been healthy elsewhere", "inconclusive")
"""How a roll says that tasks found no other place: their host does not become empty, or they are not whole after it."""


@dataclass(frozen=True)
class World:
    group: GroupSet
    services: tuple[ServiceSet, ...]
    policy: Policy
    seed: int

    @property
    def exact(self) -> bool:
        """Whether nothing depends on luck: like tasks, each replaced before it stops, one host at a time."""
        likes = {(each.cpu, each.memory, each.port, each.gpus, each.awsvpc, each.constraints) for each in self.services}
        anywhere = all(each.constraints in {(), APART} for each in self.services)
        careful = all(each.min_percent == 100 for each in self.services)
        one = len(likes) == 1 and (len(self.services) == 1 or not self.services[0].constraints)
        return one and anywhere and careful and self.policy.surge.value + self.policy.unavailable.value == 1


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Half of them are full to the brim, or keep a task on each host: there one host more or less decides."""
    hosts = draw(st.integers(1, 4))
    group = GroupSet(hosts=hosts, zones=draw(st.integers(1, 2)), spare=2)
    services = draw(st.one_of(some_services(hosts), brimful(hosts), brimful(hosts), apart(hosts)))
    if draw(st.sampled_from([False] * 7 + [True])):
        group, services = replace(group, instance_type="g4dn.xlarge"), draw(computing(hosts))
    surge = draw(st.sampled_from([1, 1, 2, 0, 0]))
    policy = Policy(
        surge=Amount(surge),
        unavailable=Amount(draw(st.sampled_from([0, 0, 1, 2] if surge else [1, 1, 1, 2]))),
        canary=draw(st.sampled_from([0, 0, 1, 2])),
        bake=timedelta(minutes=2),
        good_readings=1,
        drain_timeout=timedelta(minutes=12),
    )
    return World(group, services, policy, draw(st.integers(0, 2**16)))


@st.composite
def some_services(draw: st.DrawFn, hosts: int) -> tuple[ServiceSet, ...]:
    alike, size = draw(st.booleans()), draw(st.sampled_from(SIZES))
    found = []
    for index in range(draw(st.sampled_from([1, 1, 2, 3]))):
        kind = draw(st.sampled_from(["plain"] * 6 + ["distinct", "distinct", "port", "port", "zone", "type", "image"]))
        cpu, memory = size if alike else draw(st.sampled_from(SIZES))
        fit = hosts if kind in {"distinct", "port", "zone"} else hosts * a_host_holds(cpu, memory)
        count = draw(st.integers(1, min(fit, 8)))
        found.append(draw(a_service(f"service-{index}", kind, count, (cpu, memory))))
    return tuple(found)


@st.composite
def brimful(draw: st.DrawFn, hosts: int) -> tuple[ServiceSet, ...]:
    """One or two services of one size, with room for few tasks more or for none."""
    cpu, memory = draw(st.sampled_from(SIZES[2:]))
    holds = a_host_holds(cpu, memory)
    count = max(1, hosts * holds - draw(st.integers(0, holds)))
    first = draw(st.integers(1, count))
    found = [draw(a_service("first", "plain", first, (cpu, memory)))]
    if count > first:
        found.append(draw(a_service("second", "plain", count - first, (cpu, memory))))
    return tuple(found)


@st.composite
def apart(draw: st.DrawFn, hosts: int) -> tuple[ServiceSet, ...]:
    """A task that keeps apart on each host, or on all but one; or two with an address of their own; perhaps others."""
    kind = draw(st.sampled_from(["distinct", "distinct", "port", "address"]))
    count = max(1, hosts * (INTERFACES if kind == "address" else 1) - draw(st.integers(0, 1)))
    found = [draw(a_service("apart", kind, count, draw(st.sampled_from(SIZES))))]
    if draw(st.booleans()):
        found.append(draw(a_service("beside", "plain", draw(st.integers(1, 3)), draw(st.sampled_from(SIZES)))))
    return tuple(found)


@st.composite
def computing(draw: st.DrawFn, hosts: int) -> tuple[ServiceSet, ...]:
    """A GPU for each task, and one in each host."""
    count = max(1, hosts - draw(st.integers(0, 1)))
    first = draw(a_service("trains", "plain", count, (500, 700)))
    return (replace(first, gpus=1), draw(a_service("beside", "plain", draw(st.integers(1, 3)), (500, 700))))


def a_host_holds(cpu: int, memory: int) -> int:
    return min(2048 // cpu, 7741 // memory)


@st.composite
def a_service(draw: st.DrawFn, name: str, kind: str, count: int, size: tuple[int, int]) -> ServiceSet:
    low, high = draw(
        st.sampled_from(
            [(100, 200), (100, 200), (100, 200), (100, 100), (100, 125), (75, 125), (50, 100), (50, 200), (0, 100)]
        )
    )
    return ServiceSet(
        name=name,
        count=count,
        cpu=size[0],
        memory=size[1],
        min_percent=low,
        max_percent=high,
        port=8080 if kind == "port" else 0,
        awsvpc=kind == "address",
        constraints=CONSTRAINTS.get(kind, ()),
        strategy=draw(st.sampled_from(STRATEGIES)),
        stop_timeout=2,
    )


def made(world: World) -> Stage | None:
    """The cluster, if ECS found a place for every task."""
    try:
        return stage_of(world.group, services=world.services, seed=world.seed, quick=True)
    except AssertionError:
        return None


def looked_at(stage: Stage, policy: Policy) -> tuple[Finding, ...]:
    """What preflight says."""
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(0))
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    policy = replace(policy, images=choose_images(policy.ami, seen, aws))
    return preflight(seen, policy, explore(aws, observer, seen))


def rolled_once_more(world: World, seed: int) -> str:
    """How the same cluster fares, every task where it was, when ECS draws otherwise from there on."""
    stage = made(world)
    assert stage is not None
    stage.sim.world.random.seed(seed)
    told = carry_out(stage, world.policy)
    assert told.verdict is not None
    return told.verdict.result


def planned(world: World) -> list[Finding]:
    """What ``ecsroll plan`` says of it that is blocking: its rehearsals, too."""
    stage = made(world)
    assert stage is not None
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(0))
    found = plan(aws, stage.cluster, world.policy, QuietScreen()).findings
    return [finding for finding in found if finding.severity == "blocking"]


@CASES
@given(worlds())
def test_what_hangs_is_named_before_and_what_is_not_there_never_is(world: World) -> None:
    """Where it depends on ECS's own dice, both ends have to be possible, or the plan has to know better."""
    stage = made(world)
    assume(stage is not None)
    assert stage is not None
    findings = looked_at(stage, world.policy)
    blocking = [finding for finding in findings if finding.severity == "blocking"]
    luck = [finding for finding in findings if finding.code == "EC117"]
    assert blocking or not (luck and world.exact)
    verdict = carry_out(stage, world.policy).verdict
    assert verdict is not None
    if verdict.result == "done":
        event("finishes" + (" by luck" if luck else ""))
        assert blocking == [], verdict
        return
    event("hangs" + (" by luck" if luck and not blocking else ""))
    assert any(words in verdict.reason for words in HANGS), verdict
    if not blocking:
        assert luck, verdict
        may_end_well = any(rolled_once_more(world, seed) == "done" for seed in range(DRAWS))
        assert may_end_well or planned(world), verdict
