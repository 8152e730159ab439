"""The cluster of ``examples/complete``, taken from its plan, rolled with the command of its README; then planned again.

``complete.plan.json`` is a trimmed copy of that plan, so that this runs without Terraform. Where TERRAFORM_OFFLINE names
the tool that stands in for the registry, the copy is compared with a fresh plan, and the state after a roll is planned.

What is shown of drift: everything that a roll changes is either back at its end, or something that Terraform was told to
ignore; and Terraform itself, given a state with the groups, templates, parameters and services as the roll left them, plans
no change. Not shown: the reading of real AWS into that state, which is the provider's.
"""

import copy
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ecsroll.model import Policy, Verdict
from ecsroll.simulator.quick import QuickSimulation
from ecsroll.simulator.stage import Stage
from tests.console import Ran, ecsroll
from tests.terraform.cluster_from_plan import Planned, make, trim
from tests.terraform.inputs import TERRAFORM
from tests.terraform.test_terraform import offline
from tests.watch import Watch, WatchedWorld

EXAMPLE = TERRAFORM / "examples" / "complete"
SAMPLE = Path(__file__).parent / "complete.plan.json"

Attributes = dict[tuple[str, str], dict[str, Any]]
"""(type, name) of a resource -> what Terraform would read of it."""


@dataclass(frozen=True, slots=True)
class Rolled:
    stage: Stage
    watch: Watch
    ran: Ran
    before: Attributes
    after: Attributes


def sample() -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(SAMPLE.read_text())
    return plan


def command() -> list[str]:
    """The words of the README, as a reader would paste them."""
    (line,) = re.findall(r"^\$ ecsroll (replace .*)$", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    return shlex.split(line)


@cache
def rolled(seed: int) -> Rolled:
    stage = make(sample(), QuickSimulation(WatchedWorld(seed=seed, region="eu-central-1"), strict=False))
    before, watch = standing(stage), Watch(stage, Policy())
    ran = ecsroll(stage, *command(), "--json", ask=lambda _: True)
    return Rolled(stage, watch, ran, before, standing(stage))


def standing(stage: Stage) -> Attributes:
    """What Terraform would read of everything that a roll could touch, in its own words."""
    return dict(_standing(stage))


def _standing(stage: Stage) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    sim = stage.sim
    for group in sim.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
        yield (
            ("aws_autoscaling_group", group["AutoScalingGroupName"]),
            {
                "min_size": group["MinSize"],
                "max_size": group["MaxSize"],
                "desired_capacity": group["DesiredCapacity"],
                "protect_from_scale_in": group["NewInstancesProtectedFromScaleIn"],
                "suspended_processes": sorted(each["ProcessName"] for each in group["SuspendedProcesses"]),
                "termination_policies": group["TerminationPolicies"],
                "launches": group.get("LaunchTemplate") or group["MixedInstancesPolicy"]["LaunchTemplate"],
                "tag": group["Tags"],
            },
        )
    for template in sim.client("ec2").describe_launch_templates()["LaunchTemplates"]:
        yield (
            ("aws_launch_template", template["LaunchTemplateName"]),
            {"default_version": template["DefaultVersionNumber"], "latest_version": template["LatestVersionNumber"]},
        )
    for name in [parameter["name"] for parameter in Planned(sample()).of("aws_ssm_parameter")]:
        parameter = sim.client("ssm").get_parameter(Name=name)["Parameter"]
        yield ("aws_ssm_parameter", name), {"value": parameter["Value"], "version": parameter["Version"]}
    ecs = sim.client("ecs")
    for provider in ecs.describe_capacity_providers()["capacityProviders"]:
        if "autoScalingGroupProvider" in provider:  # Fargate is always there
            yield ("aws_ecs_capacity_provider", provider["name"]), {"provider": provider["autoScalingGroupProvider"]}
    names = list(sim.clusters.find(stage.cluster).services)
    for service in ecs.describe_services(cluster=stage.cluster, services=names)["services"]:
        lasting = ("taskDefinition", "deploymentConfiguration", "placementConstraints", "placementStrategy")
        yield (
            ("aws_ecs_service", service["serviceName"]),
            {"desired_count": service["desiredCount"], **{name: service[name] for name in lasting}},
        )


def changed(was: Attributes, now: Attributes) -> set[tuple[str, str]]:
    """(type, attribute) of all that is not what it was."""
    assert was.keys() == now.keys()
    return {
        (kind, attribute)
        for (kind, name), values in was.items()
        for attribute, value in values.items()
        if now[kind, name][attribute] != value
    }


def ignored(kind: str) -> set[str]:
    """What the modules tell Terraform to leave alone of a type."""
    source = "\n".join(path.read_text() for path in sorted((TERRAFORM / "modules").rglob("*.tf")))
    blocks = re.findall(rf'^resource "{kind}" "\w+" \{{\n(.*?)^\}}', source, re.MULTILINE | re.DOTALL)
    lists = [re.findall(r"ignore_changes = \[([^]]*)\]", block) for block in blocks]
    return set.intersection(*({word.strip() for one in found for word in one.split(",")} for found in lists))


# The cluster ------------------------------------------------------------------------------------------------


def test_everything_that_the_example_promises_is_on_the_stage() -> None:
    stage = make(sample(), QuickSimulation(WatchedWorld(seed=1, region="eu-central-1"), strict=False))
    cluster = stage.sim.clusters.find("demo")
    where = {
        name: {task.host.instance.group for task in service.tasks if task.host}
        for name, service in cluster.services.items()
    }
    assert where["demo-consul"] == {"demo-consul"}, "servers run on the hosts of their group"
    assert where["web"] == {"demo-general", "demo-spot"}, "spread by the cluster's strategy"
    assert where["node-exporter"] == {"demo-consul", "demo-general", "demo-spot"}, "a daemon is everywhere"
    hooks = stage.sim.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName="demo-general")
    assert "flush" in {hook["LifecycleHookName"] for hook in hooks["LifecycleHooks"]}
    targets = {group.name: len(group.targets) for group in stage.sim.balancer.groups.values()}
    assert targets == {"demo-web": 6, "demo-vault": 2}
    provider = stage.sim.providers.providers["demo-general"]
    assert (provider.scales, provider.protects, provider.drains) == (True, True, True)


# The roll -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_the_command_of_the_readme_replaces_every_host_and_keeps_the_promises(seed: int) -> None:
    roll = rolled(seed)
    assert roll.ran.code == 0, roll.ran
    assert (roll.ran.result["result"], roll.ran.result["hosts"]["remaining"]) == ("done", 0)
    assert roll.ran.result["hosts"]["replaced"] == sum(len(group.members) for group in roll.watch.before.values())
    roll.watch.check_end(Verdict(result="done", reason=""))
    assert not roll.watch.breaches, "\n".join(roll.watch.breaches)
    running = {
        member.instance.image_id
        for group in roll.stage.sim.scaling.groups.values()
        for member in group.members.values()
        if member.state == "InService"
    }
    assert running == set(roll.stage.new_image.values())


def test_the_groups_are_rolled_in_the_order_of_the_command() -> None:
    named = [word for flag, word in zip(command(), command()[1:], strict=False) if flag == "--asg"]
    targets = [event["group"] for event in rolled(1).ran.events if event["event"] == "target_set"]
    assert targets == named


# Drift ---------------------------------------------------------------------------------------------------------


def test_a_roll_leaves_nothing_changed_that_terraform_would_change_back() -> None:
    roll = rolled(1)
    left = changed(roll.before, roll.after)
    assert ("aws_ssm_parameter", "value") in left, "the roll has set the image"
    # A parameter's version is counted by AWS: nobody can write it into a configuration.
    unexplained = {
        (kind, attribute)
        for kind, attribute in left - {("aws_ssm_parameter", "version")}
        if attribute not in ignored(kind)
    }
    assert unexplained == set()


def test_this_comparison_sees_what_a_roll_that_gives_nothing_back_would_leave() -> None:
    roll = rolled(1)
    owing = copy.deepcopy(roll.after)
    owing["aws_autoscaling_group", "demo-general"]["min_size"] += 1
    owing["aws_launch_template", next(name for kind, name in owing if kind == "aws_launch_template")][
        "latest_version"
    ] = 2
    left = changed(roll.before, owing)
    assert ("aws_autoscaling_group", "min_size") in left
    assert ("aws_launch_template", "latest_version") in left
    assert "min_size" not in ignored("aws_autoscaling_group")
    assert ignored("aws_ssm_parameter") == {"value"}


# With Terraform ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the state of a first apply, and the plan after it as JSON."""
    there = tmp_path_factory.mktemp("complete")
    done = offline("run", EXAMPLE, "--", "apply", "-auto-approve", "-no-color", f"-state={there / 'state'}")
    assert done.returncode == 0, done.stdout + done.stderr
    (there / "plan.json").write_text(json.dumps(planned_again(there)))
    return there


def planned_again(there: Path) -> dict[str, Any]:
    """What Terraform plans now, over the state as it is."""
    done = offline("run", EXAMPLE, "--", "plan", "-no-color", f"-state={there / 'state'}", f"-out={there / 'plan'}")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = offline("run", EXAMPLE, "--", "show", "-json", there / "plan")
    plan: dict[str, Any] = json.loads(next(line for line in shown.stdout.splitlines() if line.startswith("{")))
    return plan


def test_the_committed_plan_is_what_terraform_plans(applied: Path) -> None:
    fresh = trim(json.loads((applied / "plan.json").read_text()))
    assert fresh == sample(), "python -m tests.terraform.cluster_from_plan writes it anew from a plan's JSON"


def test_a_plan_after_the_roll_has_no_change(applied: Path) -> None:
    state = json.loads((applied / "state").read_text())
    written = write_back(state, scaled(rolled(1).after))
    assert {kind for kind, _ in written} == {
        "aws_autoscaling_group",
        "aws_ecs_service",
        "aws_launch_template",
        "aws_ssm_parameter",
    }
    (applied / "state").write_text(json.dumps(state))
    actions = {tuple(change["change"]["actions"]) for change in planned_again(applied)["resource_changes"]}
    assert actions == {("no-op",)}


def scaled(standing: Attributes) -> Attributes:
    """As if people and scalers had changed the counts besides."""
    counts = ("desired_capacity", "desired_count")
    return {
        key: {name: value + 1 if name in counts else value for name, value in values.items()}
        for key, values in standing.items()
    }


def write_back(state: dict[str, Any], standing: Attributes) -> set[tuple[str, str]]:
    """Put into the state what a refresh would read: numbers, words and switches, by type and name."""
    written = set()
    by_place = {(kind, place(kind, name)): values for (kind, name), values in standing.items()}
    for resource in state["resources"]:
        for instance in resource["instances"]:
            attributes = instance["attributes"]
            values = by_place.get((resource["type"], place(resource["type"], attributes.get("name") or "")))
            plain = {name: value for name, value in (values or {}).items() if name in attributes and not isinstance(value, list | dict)}
            attributes.update(plain)
            if plain:
                written.add((resource["type"], attributes["name"]))
    return written


def place(kind: str, name: str) -> str:
    """A template's name ends in what AWS makes up."""
    return name.rpartition("-")[0] if kind == "aws_launch_template" else name
