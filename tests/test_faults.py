"""A roll while AWS and the network misbehave: it ends well, and no promise is broken (issue: Killed anywhere)."""

import random
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ReadTimeoutError

from ecsroll.act import Actor
from ecsroll.aws import Aws
from ecsroll.clock import SystemClock
from ecsroll.commands import replace_hosts
from ecsroll.drain import mark
from ecsroll.errors import AwsRefusal
from ecsroll.model import Drain, Policy, Undrain
from ecsroll.observe import Observer
from ecsroll.render import QuietScreen
from ecsroll.simulator.door import Call
from ecsroll.simulator.faults import Buckets, Lag, lose_answers, reset_connections, servers_fail, throttle
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet, Stage
from ecsroll.simulator.world import Refusal
from tests.console import denying, ecsroll
from tests.rolls import stage_of
from tests.scenarios import images
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
    lives = (
        replace_hosts(
            Aws(stage.sim, stage.sim, workers=1, chance=random.Random(seed + life)),
            stage.cluster,
            policy,
            QuietScreen(),
            lambda _: True,
        )
        for life in range(2)
    )
    result = next(lives)
    if result.result == "held":  # answers that are lost one after another may use up the lease
        result = next(lives)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One kind of changing call; ``looked_up``: it is not sent again before a reading has told whether it landed."""

    operation: str
    having: str = ""
    looked_up: str = ""
    reference: Reference = "number"

    def fits(self, call: Call) -> bool:
        return call.operation == self.operation and (not self.having or bool(call.params.get(self.having)))


LOST = {
    "a size: looked up, as others may set theirs meanwhile": Sent(
        operation="UpdateAutoScalingGroup", having="MinSize", looked_up="DescribeAutoScalingGroups"
    ),
    "a termination that lowers DesiredCapacity: looked up, as it would lower it again": Sent(
        operation="TerminateInstanceInAutoScalingGroup",
        having="ShouldDecrementDesiredCapacity",
        looked_up="DescribeAutoScalingGroups",
    ),
    "any termination names its instance": Sent(operation="TerminateInstanceInAutoScalingGroup"),
    "a template version has a token": Sent(operation="CreateLaunchTemplateVersion"),
    "a default version is set to a value": Sent(operation="ModifyLaunchTemplate", reference="$Default"),
    "a launch configuration has a name": Sent(operation="CreateLaunchConfiguration", reference="configuration"),
    "a group's template version is set to a value": Sent(operation="UpdateAutoScalingGroup", having="LaunchTemplate"),
    "a parameter is set to a value": Sent(operation="PutParameter", reference="parameter"),
    "a record that was deleted may be missing": Sent(operation="DeleteParameter"),
    "a suspended process may be suspended": Sent(operation="SuspendProcesses"),
    "a resumed one may be running": Sent(operation="ResumeProcesses"),
    "a mark is set to a value": Sent(operation="PutAttributes"),
    "a host is set DRAINING": Sent(operation="UpdateContainerInstancesState"),
    "a container instance may be deregistered": Sent(operation="DeregisterContainerInstance"),
    "protection is set to a value": Sent(operation="SetInstanceProtection"),
}


@pytest.mark.parametrize("sent", LOST.values(), ids=LOST)
def test_every_answer_to_a_change_is_lost_once_after_it_landed(sent: Sent) -> None:
    api = ServiceSet(name="api", count=2, balanced=True, deregistration_delay=10)
    stage = stage_of(GroupSet(hosts=2, reference=sent.reference), services=(api,), quick=True)
    watch = Watch(stage, CALM)
    lost: list[Call] = []
    seen: dict[str, int] = {}

    def lose(call: Call) -> None:
        said = f"{call.operation} {call.params!r}"
        seen[said] = seen.get(said, 0) + 1
        if sent.fits(call) and seen[said] == 1:
            lost.append(call)
            raise ReadTimeoutError(endpoint_url="https://simulated")

    stage.sim.door.after.append(lose)
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(1))
    result = replace_hosts(aws, stage.cluster, CALM, QuietScreen(), lambda _: True)
    assert (result.result, result.owed) == ("done", ())
    assert lost
    group = stage.sim.scaling.groups["web"]
    assert (group.desired, group.min, group.max, group.new_protected) == (2, 0, 5, False)
    assert not watch.breaches, "\n".join(watch.breaches)
    if sent.looked_up:
        for one in lost:
            after = [call.operation for call in stage.sim.door.calls[one.number :]]
            again = after.index(sent.operation) if sent.operation in after else len(after)
            assert sent.looked_up in after[:again]


@pytest.mark.parametrize("hosts", [1, 3])
def test_a_host_that_is_gone_by_the_time_it_is_marked_or_unmarked_is_passed_over(hosts: int) -> None:
    """One target that ECS does not find fails the whole call; the others are drained all the same, and undrained."""
    stage = stage_of(GroupSet(hosts=hosts), services=(), quick=True)
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    seen = tuple(observer.look().hosts.values())
    stage.sim.client("ecs").deregister_container_instance(
        cluster=stage.cluster, containerInstance=seen[0].arn, force=True
    )
    actor = Actor(aws, observer)
    actor.act(Drain(hosts=seen, mark=mark(1, stage.sim.now()), why="they are old"))
    left = stage.sim.clusters.find(stage.cluster).registered
    assert [host.status for host in left if host.status != "INACTIVE"] == ["DRAINING"] * (hosts - 1)
    drained = tuple(replace(host, status="DRAINING") for host in seen)
    actor.act(Undrain(hosts=drained, why="the roll stops"))
    assert [host.status for host in left if host.status != "INACTIVE"] == ["ACTIVE"] * (hosts - 1)
    assert not any("ecsroll.drain" in host.custom for host in left if host.status != "INACTIVE")


def test_another_refusal_of_a_mark_is_not_passed_over() -> None:
    stage = stage_of(GroupSet(hosts=1), services=(), quick=True)
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    seen = tuple(observer.look().hosts.values())
    with denying(stage, "PutAttributes", "AttributeLimitExceededException"), pytest.raises(AwsRefusal):
        Actor(aws, observer).act(Drain(hosts=seen, mark=mark(1, stage.sim.now()), why="they are old"))


CALM = Policy(by="anna@laptop", canary=0, good_readings=1)


@dataclass
class Jumping:
    """A wall clock that is corrected in the middle of a roll; the steady one runs on."""

    stage: Stage
    by: timedelta
    at: float

    def now(self) -> datetime:
        return self.stage.sim.now() + (self.by if self.stage.sim.elapsed() > self.at else timedelta())

    def elapsed(self) -> float:
        return self.stage.sim.elapsed()

    def sleep(self, seconds: float) -> None:
        self.stage.sim.sleep(seconds)


@pytest.mark.parametrize("after", [30, 60, 120, 200])
@pytest.mark.parametrize("hours", [3, -3])
def test_a_corrected_wall_clock_ends_no_wait_and_no_lease(hours: int, after: int) -> None:
    stage = stage_of(GroupSet(hosts=2), services=SERVICES[:1], quick=True)
    watch = Watch(stage, CALM)
    clock = Jumping(stage, timedelta(hours=hours), stage.sim.elapsed() + after)
    result = replace_hosts(Aws(stage.sim, clock, workers=1), stage.cluster, CALM, QuietScreen(), lambda _: True)
    assert (result.result, result.owed) == ("done", ()), result.reason
    assert not watch.breaches, "\n".join(watch.breaches)


def test_the_steady_clock_of_this_machine_runs_through_suspend() -> None:
    """CLOCK_BOOTTIME where there is one; elsewhere CLOCK_MONOTONIC, which counts suspend on macOS."""
    wanted = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before = time.clock_gettime(wanted)
    assert before <= SystemClock().elapsed() <= time.clock_gettime(wanted)


@pytest.mark.parametrize("call", [30, 60, 90, 120])
def test_credentials_that_expire_in_the_middle_end_with_6_and_the_same_command_goes_on(call: int) -> None:
    stage = stage_of(GroupSet(hosts=2), services=SERVICES[:1], quick=True)
    watch = Watch(stage, CALM)

    def expired(one: Call) -> None:
        if one.number >= call:
            raise Refusal("ExpiredTokenException", "The security token included in the request is expired")

    stage.sim.door.before.append(expired)
    ran = ecsroll(stage, "replace", "--cluster", "demo", "--yes", "--json", "--canary", "0")
    assert (ran.code, ran.result["result"]) == (6, "error")
    assert "does not accept the credentials" in ran.result["reason"]
    assert "sign in again, then run the same command: it goes on" in ran.result["next"]
    stage.sim.door.before.remove(expired)
    assert ecsroll(stage, "replace", "--cluster", "demo", "--yes", "--canary", "0").code == 0
    assert not watch.breaches, "\n".join(watch.breaches)
    assert set(images(stage)) == {stage.new_image["web"]}


def test_who_may_not_write_parameters_is_told_the_missing_action_before_anything_changed() -> None:
    stage = stage_of(GroupSet(hosts=2), services=SERVICES[:1], quick=True)
    with denying(stage, "PutParameter"):
        ran = ecsroll(stage, "replace", "--cluster", "demo", "--yes", "--json")
    assert (ran.code, ran.result["result"]) == (6, "error")
    assert "ssm:PutParameter" in ran.result["reason"]
    assert [call.operation for call in stage.sim.door.calls if call.changes and not call.error] == []


def test_while_a_third_is_throttled_no_bucket_is_asked_for_more_than_half_of_its_refill() -> None:
    stage = stage_of(GroupSet(hosts=4), services=SERVICES, quick=True)
    throttle(stage.sim.door, 0.3, seed=4)
    lose_answers(stage.sim.door, 0.05, seed=4)
    stage.sim.door.latency = 0.001
    times: dict[tuple[str, str], list[float]] = {}

    def note(call: Call) -> None:
        bucket = next(name for name in BUCKETS if f"{call.service} {call.operation}".startswith(name))
        times.setdefault((bucket, call.service), []).append(stage.sim.elapsed())

    stage.sim.door.before.insert(0, note)
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(4))
    result = replace_hosts(aws, stage.cluster, CALM, QuietScreen(), lambda _: True)
    assert result.result == "done"
    for (bucket, _), made in times.items():
        busiest = max(sum(1 for other in made if at <= other < at + 10) for at in made)
        assert busiest <= 10 * BUCKETS[bucket] / 2 + 1, f"{bucket}: {busiest} calls in ten seconds"


BUCKETS = {
    "ecs Describe": 40.0,
    "ecs List": 40.0,
    "ecs ": 40.0,
    "autoscaling ": 10.0,
    "ec2 Describe": 10.0,
    "ec2 ": 5.0,
    "ssm Get": 40.0,
    "ssm ": 3.0,
    "elbv2 ": 10.0,
    "sts ": 20.0,
    "iam ": 10.0,
}
"""Refill of each bucket in calls a second (aws-facts 6); ECS has several for its reads, taken together here."""
