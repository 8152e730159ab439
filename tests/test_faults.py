"""A roll while AWS and the network misbehave: it ends well, and no promise is broken (issue: Killed anywhere)."""

import random

import pytest

from ecsroll.aws import Aws
from ecsroll.commands import replace_hosts
from ecsroll.model import Policy
from ecsroll.render import QuietScreen
from ecsroll.simulator.faults import Buckets, Lag, lose_answers, reset_connections, servers_fail, throttle
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet
from tests.rolls import stage_of
from tests.watch import Watch

SERVICES = (
    ServiceSet(name="api", count=6, balanced=True, deregistration_delay=10),
    ServiceSet(name="logs", daemon=True, cpu=64, memory=64),
)
REFERENCES: tuple[Reference, ...] = ("number", "$Latest", "mixed", "parameter")


@pytest.mark.parametrize("seed", range(12))
def test_a_third_throttled_answers_lost_servers_failing_reads_lagging_the_roll_ends_well(seed: int) -> None:
    stage = stage_of(GroupSet(hosts=4, reference=REFERENCES[seed % 4]), services=SERVICES, seed=seed)
    policy = Policy(by="anna@laptop")
    watch = Watch(stage, policy)
    door = stage.sim.door
    throttle(door, 0.3, seed=seed)
    lose_answers(door, 0.05, seed=seed)
    servers_fail(door, 0.03, seed=seed)
    reset_connections(door, 0.03, seed=seed)
    Lag(seconds=20, share=0.4, seed=seed).put_on(door)
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(seed))
    result = replace_hosts(aws, stage.cluster, policy, QuietScreen(), lambda _: True)
    assert (result.result, result.owed) == ("done", ())
    watch.look()
    assert not watch.breaches, "\n".join(watch.breaches)
    group = stage.sim.scaling.groups["web"]
    assert (group.desired, group.min, group.max, group.new_protected) == (4, 0, 7, False)


def test_no_bucket_is_hammered() -> None:
    stage = stage_of(GroupSet(hosts=4), services=SERVICES)
    # The true refill, and no burst to speak of: whoever keeps to half of it is never refused.
    buckets = Buckets(
        {
            "ecs Describe": (2, 20),
            "ecs List": (2, 20),
            "autoscaling ": (2, 10),
            "ec2 Describe": (2, 10),
            "ssm Get": (2, 40),
            "ssm Put": (2, 3),
        }
    )
    buckets.put_on(stage.sim.door)
    stage.sim.door.latency = 0.001
    aws = Aws(stage.sim, stage.sim, workers=1)
    result = replace_hosts(aws, stage.cluster, Policy(by="anna@laptop"), QuietScreen(), lambda _: True)
    assert result.result == "done"
    assert buckets.refused == 0
