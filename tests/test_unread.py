"""What could not be read before a roll is a finding: never a crash, never a reason to refuse (DESIGN 7)."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet
from tests.console import denying, ecsroll
from tests.odd import Change, answering, every, without
from tests.rolls import stage_of

AGES_AGO = datetime(2026, 1, 1, tzinfo=UTC)

OPTIONAL = (
    "DescribeTaskDefinition",
    "DescribeTargetGroups",
    "DescribeTargetGroupAttributes",
    "DescribeTargetHealth",
    "DescribeInstanceTypes",
    "DescribeScalingActivities",
    "DescribeInstanceRefreshes",
    "DescribeScheduledActions",
    "DescribeLifecycleHooks",
    "GetTaskProtection",
    "GetCallerIdentity",
    "SimulatePrincipalPolicy",
)
SERVICES = (
    ServiceSet(name="api", count=4, balanced=True),
    ServiceSet(name="alone", count=2, constraints=("distinctInstance",)),
    ServiceSet(name="logs", daemon=True, cpu=64, memory=64),
)


@pytest.mark.parametrize("denied", [*((one,) for one in OPTIONAL), OPTIONAL], ids=[*OPTIONAL, "all of them"])
@pytest.mark.parametrize("command", ["plan", "replace"])
def test_it_goes_without(command: str, denied: tuple[str, ...]) -> None:
    stage = stage_of(GroupSet(hosts=3), services=SERVICES, quick=True)
    words = [command, "--cluster", "demo", "--json", "--canary", "0", "--good-readings", "1"]
    with ExitStack() as refusing:
        for operation in denied:
            refusing.enter_context(denying(stage, operation))
        ran = ecsroll(stage, *words, *(["--yes"] if command == "replace" else []))
    assert ran.code == 0, ran
    assert {finding["severity"] for finding in ran.result["findings"]} <= {"warning", "info"}
    assert {"EC190", "EC151"} & {finding["code"] for finding in ran.result["findings"]}, "it is said"


def registered_again(_: Any, said: dict[str, Any]) -> dict[str, Any]:
    """Long after the launch: the agent's state was lost, or the host was stopped for a while."""
    changed: dict[str, Any] = every(
        said, lambda each: {**each, "LaunchTime": AGES_AGO} if "LaunchTime" in each else each
    )
    return changed


def elsewhere(_: Any, said: dict[str, Any]) -> dict[str, Any]:
    """On ports that nobody would guess."""
    changed: dict[str, Any] = every(said, lambda each: {**each, "Port": 9000 + each["Port"]} if "Id" in each else each)
    return changed


LEFT_OUT: dict[str, tuple[tuple[str, Change], ...]] = {
    "what hosts have registered": (("DescribeContainerInstances", without("registeredResources")),),
    "what hosts have registered, and what their type has": (
        ("DescribeContainerInstances", without("registeredResources", "remainingResources")),
        ("DescribeInstanceTypes", without("VCpuInfo", "MemoryInfo", "NetworkInfo")),
    ),
    "what hosts have registered, and any type": (
        ("DescribeContainerInstances", without("registeredResources", "remainingResources")),
        ("DescribeInstanceTypes", without("InstanceTypes")),
    ),
    "how many interfaces a type has": (("DescribeInstanceTypes", without("NetworkInfo")),),
    "the host ports of tasks": (
        ("DescribeTasks", without("networkBindings")),
        ("DescribeTargetHealth", elsewhere),
    ),
    "where containers listen": (("DescribeTaskDefinition", without("portMappings")),),
    "where target groups find them": (("DescribeServices", without("containerPort", "containerName")),),
    "which ports of a range": (
        (
            "DescribeTaskDefinition",
            lambda _, said: every(said, lambda each: {**each, "portMappings": [{"containerPortRange": "1-9"}]}),
        ),
    ),
    "when tasks were started": (("DescribeTasks", without("startedAt", "createdAt")),),
    "the ARN of the group": (("DescribeAutoScalingGroups", without("AutoScalingGroupARN")),),
    "when what happened to a service": (("DescribeServices", without("createdAt", "message", "id")),),
    "some targets that are about to come": (
        ("DescribeTargetHealth", lambda _, said: {"TargetHealthDescriptions": said["TargetHealthDescriptions"][:2]}),
    ),
    "launches, of hosts that have registered again": (
        ("DescribeScalingActivities", lambda *_: {"Activities": []}),
        ("DescribeInstances", registered_again),
    ),
}


@pytest.mark.parametrize("odd", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_an_answer_leaves_out_is_no_reason_to_refuse(odd: tuple[tuple[str, Change], ...]) -> None:
    stage = stage_of(GroupSet(hosts=2), services=SERVICES[:1], quick=True)
    for operation, change in odd:
        answering(stage.sim, operation, change)
    ran = ecsroll(stage, "plan", "--cluster", "demo", "--json", "--good-readings", "1")
    assert (ran.code, [said for said in ran.result["findings"] if said["severity"] == "blocking"]) == (0, []), ran


def test_a_roll_goes_without_all_that_an_answer_may_leave_out() -> None:
    """And without lists that have nothing in them; when a host was launched, its registration tells."""
    stage = stage_of(GroupSet(hosts=2), services=SERVICES[:1], quick=True)
    for operation, change in (each for odd in LEFT_OUT.values() for each in odd if each[1] is not registered_again):
        if operation not in {"DescribeTargetHealth", "DescribeScalingActivities"}:
            answering(stage.sim, operation, change)
    usual = stage.sim.door.answer

    def sparse(service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        left_out = without("LaunchTime", "failures", "attachments", "deployments", "startedBy")
        kept: dict[str, Any] = every(
            left_out(params, usual(service, operation, params)),
            lambda each: {key: value for key, value in each.items() if value not in ([], {}, "", None)},
        )
        return kept

    stage.sim.door.answer = sparse
    ran = ecsroll(stage, "replace", "--cluster", "demo", "--json", "--yes", "--good-readings", "1", "--bake", "10s")
    assert (ran.code, ran.result["hosts"]) == (0, {"replaced": 2, "remaining": 0}), ran
    assert ecsroll(stage, "events", "--cluster", "demo", "--once").code == 0


def test_nobody_asks_iam_again_that_has_said_no() -> None:
    stage = stage_of(*(GroupSet(name=name, hosts=1) for name in ("a", "b", "c")), quick=True)
    with denying(stage, "SimulatePrincipalPolicy"):
        assert ecsroll(stage, "plan", "--cluster", "demo", "--canary", "0").code == 0
    assert sum(call.operation == "SimulatePrincipalPolicy" for call in stage.sim.door.calls) == 1


@pytest.mark.parametrize("reference", ["number", "$Latest", "$Default"])
def test_a_dry_run_harms_nothing_where_something_else_than_aws_carries_it_out(reference: Reference) -> None:
    """A fake that knows no DryRun: the version that a group launches is neither deleted nor made to launch another."""
    stage = stage_of(GroupSet(hosts=1, reference=reference), quick=True)
    tried = []

    def note(call: Call) -> None:
        if call.params.get("DryRun"):
            tried.append(call)

    stage.sim.door.before.append(note)
    ecsroll(stage, "plan", "--cluster", "demo")
    (template,) = stage.sim.compute.templates.by_id.values()
    for call in tried:
        said = call.params
        assert str(template.default) == str(said.get("DefaultVersion", template.default))
        assert not {int(version) for version in said.get("Versions", ())} & set(template.versions)
        assert said.get("LaunchTemplateData", {}).get("ImageId", stage.old_image["web"]) == stage.old_image["web"]
    assert tried
