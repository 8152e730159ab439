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
from ecsroll.preflight import preflight
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests.rolls import carry_out, stage_of

CASES = settings(
    max_examples=60,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

SIZES = ((128, 128), (500, 700), (680, 2000), (1000, 1000), (1100, 2600), (1900, 1000), (200, 7000))
"""CPU units and MiB; a host has 2048 and 7741."""
SPREAD = (("spread", "attribute:ecs.availability-zone"), ("spread", "instanceId"))
STRATEGIES = ((), (("binpack", "memory"),), (("random", ""),), (("spread", "instanceId"),))


@dataclass(frozen=True)
class World:
    group: GroupSet
    services: tuple[ServiceSet, ...]
    policy: Policy
    seed: int

    @property
    def exact(self) -> bool:
        """Whether nothing depends on luck: tasks of one size, each replaced before it stops, one host at a time."""
        sizes = {(each.cpu, each.memory) for each in self.services}
        plain = all(each.min_percent == 100 and not each.port and not each.constraints for each in self.services)
        return len(sizes) == 1 and plain and self.policy.surge.value + self.policy.unavailable.value == 1


@st.composite
def worlds(draw: st.DrawFn) -> World:
    hosts = draw(st.integers(1, 4))
    group = GroupSet(hosts=hosts, zones=draw(st.integers(1, 2)), spare=2)
    alike = draw(st.booleans())
    size = draw(st.sampled_from(SIZES))
    services = tuple(
        draw(a_service(f"service-{index}", hosts, size if alike else draw(st.sampled_from(SIZES))))
        for index in range(draw(st.sampled_from([1, 1, 2, 3])))
    )
    surge = draw(st.sampled_from([1, 1, 1, 2, 0]))
    policy = Policy(
        surge=Amount(surge),
        unavailable=Amount(draw(st.sampled_from([0, 0, 1])) if surge else 1),
        canary=draw(st.sampled_from([0, 1])),
        good_readings=1,
        drain_timeout=timedelta(minutes=12),
    )
    return World(group, services, policy, draw(st.integers(0, 2**16)))


@st.composite
def a_service(draw: st.DrawFn, name: str, hosts: int, size: tuple[int, int]) -> ServiceSet:
    kind = draw(st.sampled_from(["plain", "plain", "plain", "distinct", "port"]))
    low, high = draw(
        st.sampled_from(
            [(100, 200), (100, 200), (100, 200), (100, 100), (100, 125), (75, 125), (50, 100), (50, 200), (0, 100)]
        )
    )
    fit = hosts if kind != "plain" else max(1, hosts * min(2048 // size[0], 7741 // size[1]))
    return ServiceSet(
        name=name,
        count=draw(st.integers(1, min(fit, 8))),
        cpu=size[0],
        memory=size[1],
        min_percent=low,
        max_percent=high,
        port=8080 if kind == "port" else 0,
        constraints=("distinctInstance",) if kind == "distinct" else (),
        strategy=draw(st.sampled_from(STRATEGIES)),
        stop_timeout=2,
    )


def looked_at(stage: Stage, policy: Policy) -> tuple[Finding, ...]:
    """What preflight says."""
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(0))
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    policy = replace(policy, images=choose_images(policy.ami, seen, aws))
    return preflight(seen, policy, explore(aws, observer, seen))


@CASES
@given(worlds())
def test_what_hangs_is_named_before_and_what_is_not_there_never_is(world: World) -> None:
    try:
        stage = stage_of(world.group, services=world.services, seed=world.seed, quick=True)
    except AssertionError:
        assume(False)
    findings = looked_at(stage, world.policy)
    blocking = [finding for finding in findings if finding.severity == "blocking"]
    luck = [finding for finding in findings if finding.code == "EC117"]
    assert not (luck and world.exact)
    told = carry_out(stage, world.policy)
    assert told.verdict is not None
    if told.verdict.result == "done":
        event("finishes" + (" by luck" if luck else ""))
        assert blocking == [], told.verdict
    else:
        event("hangs" + (" by luck" if luck and not blocking else ""))
        assert "has not been drained" in told.verdict.reason
        assert blocking or luck, told.verdict
