"""What could not be read before a roll is a finding: never a crash, never a reason to refuse (DESIGN 7)."""

from contextlib import ExitStack

import pytest

from ecsroll.simulator.stage import GroupSet, ServiceSet
from tests.console import denying, ecsroll
from tests.rolls import stage_of

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
