"""One scenario through both doors of the simulated AWS: the same calls, and the same end (DESIGN 8, 11).

Once behind boto3's ``before-call`` hook, once over HTTP with the session that a user gets. The clock is the simulation
in both: over HTTP too its time moves by what the roll sleeps, and by nothing else.
"""

import dataclasses
import random
from dataclasses import dataclass
from typing import Any

import pytest

from ecsroll import serving
from ecsroll.aws import Aws, Clients, session
from ecsroll.commands import replace_hosts
from ecsroll.events import Event
from ecsroll.render import QuietScreen
from ecsroll.result import Result
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests.rolls import stage_of
from tests.scenarios import policy

pytest.importorskip("moto")


@dataclass(frozen=True, slots=True)
class Rolled:
    """A roll as it went: what came in at the door, what was told, what it came to, and how the world stands then."""

    calls: list[Call]
    events: list[Event]
    result: Result
    end: dict[str, Any]


class Listening(QuietScreen):
    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)


def scenario() -> Stage:
    """Each way in which a group refers to its image, a balancer, a daemon: what has a form of its own on the wire."""
    return stage_of(
        GroupSet(name="web", hosts=2, zones=2),
        GroupSet(name="owned", hosts=1, reference="parameter"),
        GroupSet(name="old", hosts=1, reference="configuration"),
        services=(
            ServiceSet(name="api", count=2, balanced=True),
            ServiceSet(name="logs", daemon=True, cpu=64, memory=64),
        ),
        seed=7,
    )


def roll(stage: Stage, clients: Clients) -> Rolled:
    screen = Listening()
    aws = Aws(clients, stage.sim, workers=1, chance=random.Random(7))
    result = replace_hosts(aws, stage.cluster, policy(by="oncall"), screen, lambda _: True)
    return Rolled(stage.sim.door.calls, screen.events, result, end_of(stage))


def end_of(stage: Stage) -> dict[str, Any]:
    """Everything that outlives a roll, from the simulated AWS's own records."""
    sim = stage.sim
    cluster = sim.clusters.find(stage.cluster)
    return {
        "time": sim.now(),
        "groups": {
            name: (
                (group.min, group.max, group.desired, group.new_protected, sorted(group.suspended), group.source),
                {who: (member.state, member.instance.image_id) for who, member in group.members.items()},
            )
            for name, group in sim.scaling.groups.items()
        },
        "hosts": [(host.arn, host.status, dict(host.custom)) for host in cluster.registered],
        "tasks": {
            service.name: sorted(
                (task.arn, task.last_status, task.host.arn if task.host else "") for task in service.tasks
            )
            for service in cluster.services.values()
        },
        "parameters": {name: stored.versions[-1].value for name, stored in sim.parameters._stored.items()},
        "happened": [(what.at, what.kind) for what in sim.world.diary],
    }


@pytest.fixture(scope="module")
def rolled() -> tuple[Rolled, Rolled]:
    inside, outside = scenario(), scenario()
    with pytest.MonkeyPatch.context() as patch, serving.endpoint(outside, speed=0) as server:
        for name, value in serving.environment(server).items():
            patch.setenv(name, value)
        return roll(inside, inside.sim), roll(outside, session())


def test_the_calls_are_the_same_one_for_one(rolled: tuple[Rolled, Rolled]) -> None:
    inside, outside = rolled
    assert len(inside.calls) > 100
    for here, there in zip(inside.calls, outside.calls, strict=True):
        assert dataclasses.asdict(there) == dataclasses.asdict(here)


def test_every_kind_of_change_was_among_them(rolled: tuple[Rolled, Rolled]) -> None:
    changes = {f"{call.service}:{call.operation}" for call in rolled[1].calls if call.changes}
    assert changes >= {
        "autoscaling:CreateLaunchConfiguration",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
        "autoscaling:UpdateAutoScalingGroup",
        "ec2:CreateLaunchTemplateVersion",
        "ecs:PutAttributes",
        "ecs:UpdateContainerInstancesState",
        "ssm:DeleteParameter",
        "ssm:PutParameter",
    }


def test_the_story_and_the_result_are_the_same(rolled: tuple[Rolled, Rolled]) -> None:
    inside, outside = rolled
    assert (inside.result.result, inside.result.replaced) == ("done", 4)
    assert outside.result == inside.result
    assert outside.events == inside.events


def test_the_worlds_end_alike_down_to_the_moment(rolled: tuple[Rolled, Rolled]) -> None:
    inside, outside = rolled
    assert outside.end == inside.end
