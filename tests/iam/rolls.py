"""Rolls under their own policy: the simulated AWS refuses what it does not allow, and notes what of it was used."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ecsroll.iam_policy import Asked, names_of, policy
from ecsroll.permissions import ELSEWHERE
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, Reference, Stage
from ecsroll.simulator.world import Refusal
from tests import scenarios as s
from tests.console import Ran, ecsroll
from tests.iam.beside import Beside
from tests.iam.checked import HOST_ROLE, checked
from tests.iam.evaluator import Grant, Request, grants
from tests.rolls import stage_of
from tests.test_flood import task

__all__ = ["SCENARIOS", "Gate", "asked_for", "of"]

QUICKLY = ("--cluster", "demo", "--yes", "--canary", "0", "--good-readings", "1", "--poll-interval", "30s")


def asked_for(stage: Stage, *groups: str) -> Asked:
    """The words of ``ecsroll iam-policy`` for a stage: everything by its name."""
    sim = stage.sim
    parameters = [name for name in sim.parameters._stored if not name.startswith(("/aws/", "/ecsroll/", "/hooks/"))]
    return Asked(
        region=sim.world.region,
        account=sim.world.account,
        cluster=stage.cluster,
        groups=groups or tuple(group.name for group in stage.groups),
        image_parameters=parameters,
        launch_templates=list(sim.compute.templates.by_id),
        host_roles=[HOST_ROLE],
        configurations=bool(sim.compute.templates.configurations),
    )


@dataclass
class Gate:
    """IAM at the door."""

    stage: Stage
    asked: Asked
    used: set[Grant] = field(default_factory=set)
    calls: set[tuple[str, str]] = field(default_factory=set)
    denied: list[Request] = field(default_factory=list)
    policy: dict[str, Any] = field(default_factory=dict)
    """Empty: the one that ``ecsroll iam-policy`` prints for ``asked``."""

    def __post_init__(self) -> None:
        self.policy = self.policy or policy(names_of(self.asked))
        self.stage.sim.door.before.append(self.judge)

    def judge(self, call: Call) -> None:
        """Let a call in, or refuse it as AWS would."""
        self.calls.add((call.service, call.operation))
        if (call.service, call.operation) == ("sts", "GetCallerIdentity"):
            return  # needs no permission
        if f"{call.service}:{call.operation}" in ELSEWHERE:
            raise Refusal("AccessDenied", f"not authorized to perform: {call.service}:{call.operation}")
        for request in checked(self.stage.sim, call):
            granted = grants(self.policy, request)
            self.used.update(granted)
            if not granted:
                self.denied.append(request)
                raise Refusal("AccessDenied", f"not authorized to perform: {request.action} on {request.resource}")


def roll(stage: Stage, *words: str, code: int = 0) -> Ran:
    """One ``ecsroll replace``."""
    ran = ecsroll(stage, "replace", *QUICKLY, *words)
    assert ran.code == code, ran
    return ran


def of(reference: Reference, *, hosts: int = 2, quick: bool = True) -> Stage:
    """A group that says in this way what it launches."""
    return stage_of(GroupSet(hosts=hosts, reference=reference), services=(s.API, s.LOGS), quick=quick)


def _plain(reference: Reference) -> Callable[[], Gate]:
    def play() -> Gate:
        gate = _gate(of(reference))
        roll(gate.stage)
        return gate

    return play


def _gate(stage: Stage) -> Gate:
    return Gate(stage, asked_for(stage))


def _bad_image(reference: Reference) -> Callable[[], Gate]:
    def play() -> Gate:
        stage = of(reference)
        stage.sim.conditions.images_that_never_register.add(stage.new_image["web"])
        gate = _gate(stage)
        roll(stage, "--boot-timeout", "5m", code=5)
        return gate

    return play


def _mixed_with_another_template() -> Gate:
    """One template of the mix names the image, the other one a parameter."""
    stage = stage_of(
        GroupSet(hosts=2, reference="mixed"), GroupSet(name="arm", hosts=1, reference="parameter"), quick=True
    )
    other = next(entry for entry in stage.sim.compute.templates.all() if entry.name == "arm-template")
    autoscaling = stage.sim.client("autoscaling")
    mixed = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0][
        "MixedInstancesPolicy"
    ]
    spec = mixed["LaunchTemplate"]["LaunchTemplateSpecification"]
    spec.pop("LaunchTemplateName", None)
    own = {"LaunchTemplateId": other.id, "Version": "1"}
    mixed["LaunchTemplate"]["Overrides"].append({"InstanceType": "m5.xlarge", "LaunchTemplateSpecification": own})
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="web", MixedInstancesPolicy=mixed)
    gate = _gate(stage)
    roll(stage, "--asg", "web")
    return gate


def _provided() -> Gate:
    stage = stage_of(
        GroupSet(hosts=2, managed_scaling=True, termination_protection=True), services=(s.WORKER, s.LOGS), quick=True
    )
    gate = _gate(stage)
    roll(stage, "--canary", "1")
    return gate


def _agent_lost() -> Gate:
    stage = of("number", hosts=3)
    s.agent_dies(stage)
    gate = _gate(stage)
    roll(stage)
    return gate


def _stopped_and_ended() -> Gate:
    """A drain that does not end, undone; then the roll is ended."""
    stage = of("number")
    s.run_a_task(stage, 90_000)
    gate = _gate(stage)
    roll(stage, "--drain-timeout", "5m", code=5)
    assert ecsroll(stage, "status", "--cluster", "demo").code == 0
    ended = ecsroll(stage, "abort", "--cluster", "demo", "--yes", "--drain-timeout", "5m")
    assert ended.code in {0, 5}, ended
    return gate


def _the_release_before() -> Gate:
    gate = _gate(of("number", hosts=1))
    roll(gate.stage, "--ami", "previous")
    return gate


def _only_looking() -> Gate:
    stage = stage_of(
        GroupSet(hosts=1), GroupSet(name="old", hosts=1, reference="configuration"), services=(s.API,), quick=True
    )
    stage.sim.client("autoscaling").put_warm_pool(AutoScalingGroupName="web", MinSize=0, MaxGroupPreparedCapacity=2)
    gate = _gate(stage)
    assert ecsroll(stage, "check-ami", "--all-clusters").code == 0
    assert ecsroll(stage, "status", "--cluster", "demo").code == 0
    planned = ecsroll(stage, "plan", "--cluster", "demo", "--asg", "web")
    assert planned.code in {0, 4}, planned
    return gate


def _alarm_and_standalone_task() -> Gate:
    """An alarm is asked about, and a standalone task is stopped."""
    stage = of("number")
    s.run_a_task(stage, 99_999, host=0)
    stage.sim.client("cloudwatch").put_metric_alarm(
        AlarmName="web-5xx", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", Threshold=1.0
    )
    gate = Gate(stage, replace(asked_for(stage), alarms=True))
    roll(stage, "--alarm", "web-5xx", "--standalone-tasks", "stop")
    return gate


def _watched() -> Gate:
    """Messages are taken; a newer image is told to a topic and a bus, and rolled out."""
    stage = of("number", quick=False)
    _counts_restarts(stage)
    now = stage.sim.world.time
    stopped = json.loads(task("t1", "api", now, "EssentialContainerExited", "Essential container in task exited", 1))
    notice = {"ECSAmis": [{"ReleaseVersion": "1", "OperatingSystemName": "Amazon Linux", "Regions": {}}]}
    beside = Beside(stage.sim, [json.dumps(stopped), json.dumps(notice), "no message of anybody"])
    _secret_parameter(stage)
    tell = (beside.topic, "bus:ops")
    asked = replace(asked_for(stage), queue=beside.queue, restarts=True, tell=tell, webhook_secret="ssm:/hooks/key")
    gate = Gate(stage, asked)
    told = [word for place in tell for word in ("--tell", place)]
    watching = (
        "--once",
        "--restarts",
        "--json",
        "--on-ami",
        "replace",
        "--visibility",
        "30s",
        "--webhook-secret",
        "ssm:/hooks/key",
    )
    ran = ecsroll(stage, "watch", "--queue", beside.queue, *watching, *told, *QUICKLY[:2], *QUICKLY[3:])
    assert ran.code == 0, ran
    assert [rolled["result"] for rolled in ran.result["rolls"]] == ["done"]
    assert beside.deleted == 3
    assert set(beside.told) == {beside.topic, "ops"}
    return gate


def _counts_restarts(stage: Stage) -> None:
    """A service whose container is restarted inside its task, and Container Insights that count it."""
    stage.sim.clusters.find(stage.cluster).settings = [{"name": "containerInsights", "value": "enhanced"}]
    container = {"name": "app", "image": "api:2", "memory": 64, "restartPolicy": {"enabled": True}}
    ecs = stage.sim.client("ecs")
    ecs.register_task_definition(family="queue", containerDefinitions=[container])
    ecs.create_service(cluster=stage.cluster, serviceName="queue", taskDefinition="queue", desiredCount=1)
    stage.sim.sleep(1200)
    stage.sim.tasks.exits(next(iter(stage.sim.clusters.find(stage.cluster).services["queue"].healthy)), 1)
    stage.sim.sleep(300)


def _secret_parameter(stage: Stage) -> None:
    stage.sim.client("ssm").put_parameter(Name="/hooks/key", Value="a secret", Type="SecureString")


def _published() -> Gate:
    """A check tells a topic; a roll signs what it tells with a secret."""
    stage = of("number", hosts=1, quick=False)
    beside = Beside(stage.sim, [])
    signing = ("--webhook-secret", "secret:hooks")
    gate = Gate(stage, replace(asked_for(stage), publish=beside.topic, webhook_secret="secret:hooks"))
    assert ecsroll(stage, "check-ami", "--cluster", "demo", "--publish", beside.topic).code == 0
    assert beside.told == [beside.topic]
    roll(stage, "--tell", "log", *signing)
    return gate


SCENARIOS: dict[str, Callable[[], Gate]] = {
    **{
        f"a group that launches by {reference}": _plain(reference)
        for reference in ("number", "$Default", "parameter", "public", "configuration")
    },
    "an image that never registers, behind $Latest": _bad_image("$Latest"),
    "an image that never registers, behind a parameter": _bad_image("parameter"),
    "a mix of templates, of which one resolves a parameter": _mixed_with_another_template,
    "a capacity provider that scales and protects": _provided,
    "a host that has lost its agent": _agent_lost,
    "a drain that does not end, undone, and the roll ended": _stopped_and_ended,
    "the release before the newest": _the_release_before,
    "an alarm, and a standalone task that is stopped": _alarm_and_standalone_task,
    "commands that only look": _only_looking,
    "a queue that is watched, a topic and a bus that are told": _watched,
    "a check that is published, and a secret by reference": _published,
}
