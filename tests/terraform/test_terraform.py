"""The Terraform modules: what their files promise. What Terraform says of them: `.ci/terraform`.

Real `terraform` runs through a tool that stands in for the registry of providers; TERRAFORM_OFFLINE says where it is.
Without it those tests say that they were skipped. Users run plain `terraform test`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.terraform.inputs import BEGIN, TERRAFORM, modules, variables, with_table

if TYPE_CHECKING:
    from pathlib import Path

OFFLINE = os.environ.get("TERRAFORM_OFFLINE", "")
EXAMPLES = [m for m in modules() if m.parent.name == "examples"]
MODULES = [m for m in modules() if m not in EXAMPLES]

# Types that these modules use and that AWS gives no tags to.
UNTAGGABLE = {
    "aws_appautoscaling_policy",
    "aws_autoscaling_group",  # tags by blocks of its own; its test looks at them
    "aws_autoscaling_lifecycle_hook",
    "aws_cloudwatch_event_target",
    "aws_cloudwatch_log_metric_filter",
    "aws_ecs_cluster_capacity_providers",
    "aws_iam_role_policy",
    "aws_iam_role_policy_attachment",
    "aws_kms_alias",
    "aws_lambda_permission",
    "aws_route",
    "aws_route_table_association",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_versioning",
    "aws_scheduler_schedule",
    "aws_sns_topic_policy",
    "aws_sns_topic_subscription",
    "aws_sqs_queue_policy",
}


def name(module: Path) -> str:
    return str(module.relative_to(TERRAFORM))


def source(module: Path) -> str:
    return "\n".join(p.read_text() for p in sorted(module.glob("*.tf")))


def resources(module: Path) -> list[tuple[str, str, str]]:
    """(type, name, body) of every resource."""
    return re.findall(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', source(module), re.MULTILINE | re.DOTALL)


each_module = pytest.mark.parametrize("module", MODULES, ids=name)
each = pytest.mark.parametrize("module", modules(), ids=name)


# ------------------------------------------------------------------ conventions --
def test_there_are_the_modules_that_the_readme_names() -> None:
    named = set(re.findall(r"\]\(((?:modules|ecs_services|examples)/\w+)\)", (TERRAFORM / "README.md").read_text()))
    assert named == {name(m) for m in modules()}


@each
def test_a_module_has_its_files(module: Path) -> None:
    expected = ["main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"]
    assert [f for f in expected if not (module / f).is_file()] == []


@each_module
def test_a_module_has_mocked_tests_named_as_sentences(module: Path) -> None:
    runs = re.findall(
        r'^run "(\w+)"', "\n".join(p.read_text() for p in module.glob("tests/*.tftest.hcl")), re.MULTILINE
    )
    assert len(runs) >= 5
    assert [r for r in runs if "_" not in r] == []
    assert len(runs) == len(set(runs))


@each
def test_the_inputs_table_is_true(module: Path) -> None:
    readme = (module / "README.md").read_text()
    assert BEGIN in readme, "no inputs table"
    assert readme == with_table(readme, module), "python tests/terraform/inputs.py writes it"


@each_module
def test_the_readme_names_every_output(module: Path) -> None:
    outputs = re.findall(r'^output "(\w+)"', (module / "outputs.tf").read_text(), re.MULTILINE)
    section = (module / "README.md").read_text().split("## Outputs")[1]
    assert re.findall(r"`(\w+)`", section) == outputs


@each
def test_variables_are_typed_and_say_what_they_are(module: Path) -> None:
    assert [v.name for v in variables(module) if v.type == "any" or not v.description] == []


@each
def test_a_validation_names_the_variable_it_is_about(module: Path) -> None:
    blocks = re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', (module / "variables.tf").read_text(), re.MULTILINE | re.DOTALL
    )
    wrong = [
        (variable, message)
        for variable, body in blocks
        for message in re.findall(r'error_message = "(.*)"$', body, re.MULTILINE)
        if variable not in message
    ]
    assert wrong == []


@each
def test_everything_that_takes_tags_has_them(module: Path) -> None:
    bare = [
        f"{kind}.{label}"
        for kind, label, body in resources(module)
        if kind not in UNTAGGABLE and not re.search(r"^  tags +=", body, re.MULTILINE)
    ]
    assert bare == []


@each
def test_tags_begin_with_the_environment(module: Path) -> None:
    if not resources(module):
        return
    assert re.search(r"Environment += var\.environment", source(module))


@each
def test_the_world_does_not_reach_hosts(module: Path) -> None:
    for kind, label, body in resources(module):
        if kind == "aws_vpc_security_group_ingress_rule":
            assert "0.0.0.0/0" not in body, f"{kind}.{label}"
        assert kind != "aws_security_group_rule", f"{label}: use the resources for single rules"
        if kind == "aws_security_group":
            assert not re.search(r"^  (ingress|egress) ", body, re.MULTILINE), f"{label}: rules stand outside the group"


def test_hosts_are_reached_by_security_groups_only() -> None:
    rules = [
        body
        for kind, _, body in resources(TERRAFORM / "modules/ecs_instances")
        if kind == "aws_vpc_security_group_ingress_rule"
    ]
    assert rules
    for body in rules:
        assert "referenced_security_group_id" in body
        assert "cidr" not in body


@each
def test_no_users_keys_or_exclusive_attachments(module: Path) -> None:
    kinds = {kind for kind, _, _ in resources(module)}
    forbidden = {
        "aws_iam_user",
        "aws_iam_access_key",
        "aws_iam_policy_attachment",
        "aws_iam_role_policies_exclusive",
        "aws_iam_role_policy_attachments_exclusive",
        "aws_key_pair",
        "aws_launch_configuration",
        "tls_private_key",
    }
    assert kinds & forbidden == set()


def test_what_ecs_and_ecsroll_decide_is_left_alone() -> None:
    ignored = {
        "modules/ecs_instances": ["[desired_capacity]", "[value]"],
        "modules/ecs_service": ["[desired_count]"],
        "modules/clb": ["[instances]"],
    }
    for module, lists in ignored.items():
        assert re.findall(r"ignore_changes += (\[.*\])", source(TERRAFORM / module)) == sorted(
            lists, key=source(TERRAFORM / module).index
        )


def test_groups_take_the_same_agent_options_as_ecs_config() -> None:
    def agent(module: str) -> str:
        return next(v.type for v in variables(TERRAFORM / module) if v.name == "agent")

    assert agent("modules/ecs_instances") == agent("modules/ecs_config")


def test_runs_take_the_same_options_wherever_they_are_scheduled() -> None:
    def options(module: str) -> list[tuple[str, str, str]]:
        names = ("fargate", "codebuild", "alarm_topic_arns", "log")
        return [(v.name, v.type, v.description) for v in variables(TERRAFORM / module) if v.name in names]

    assert options("modules/ecsroll") == options("modules/scheduled_run") == options("modules/ami_updates")


@each
def test_no_partition_is_written_down(module: Path) -> None:
    """China and GovCloud have their own; what AWS itself announces lives where it lives."""
    lines = [line for line in source(module).splitlines() if not re.match(r"\s*(#|description|error_message)", line)]
    written = [line.strip() for line in lines if re.search(r'"arn:aws[:-]|ec2\.amazonaws\.com"', line)]
    known = {"windows_topic": "AWS's own topic", '"aws-cn" ?': "told apart"}
    assert [line for line in written if not any(word in line for word in known)] == []


@each
def test_skipped_security_checks_have_a_reason(module: Path) -> None:
    for skip in re.findall(r"checkov:skip=(.*)", source(module)):
        assert re.fullmatch(r"CKV2?_AWS_\d+:\S.{10,}", skip), skip


# -------------------------------------------------------------------- terraform --
def offline(*words: str | Path) -> subprocess.CompletedProcess[str]:
    if not OFFLINE:
        pytest.skip("TERRAFORM_OFFLINE does not say where the tool is that stands in for the registry")
    if not shutil.which(os.environ.get("TERRAFORM", "terraform")):
        pytest.skip("terraform is not installed")
    # Its providers are Python, started for every step: without their bytecode that takes four times as long.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [OFFLINE, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


# The complete one is rolled for real, and planned again, in test_rolled_example.py.
@pytest.mark.parametrize("module", [m for m in EXAMPLES if m.name != "complete"], ids=name)
def test_a_roll_is_no_drift(module: Path, tmp_path: Path) -> None:
    """Another image, size and counts than at the first apply: what a roll, the scaler and people leave behind."""
    state = tmp_path / "terraform.tfstate"
    applied = offline("run", module, "--", "apply", "-auto-approve", "-no-color", f"-state={state}")
    assert applied.returncode == 0, applied.stdout + applied.stderr

    left_behind = {
        "aws_ssm_parameter": {"value": "ami-0fedcba9876543210", "version": 7},
        "aws_autoscaling_group": {"desired_capacity": 9},
        "aws_ecs_service": {"desired_count": 7},
    }
    content = json.loads(state.read_text())
    changed = [r for r in content["resources"] if r["mode"] == "managed" and r["type"] in left_behind]
    assert {r["type"] for r in changed} == set(left_behind)
    for resource in changed:
        for instance in resource["instances"]:
            instance["attributes"] |= left_behind[resource["type"]]
    state.write_text(json.dumps(content))

    planned = offline("run", module, "--", "plan", "-no-color", "-detailed-exitcode", f"-state={state}")
    assert planned.returncode == 0, planned.stdout


def test_the_snippets_of_the_readmes_are_valid(tmp_path: Path) -> None:
    """Each as the only file of an example, beside the modules that it names."""
    if not OFFLINE:
        pytest.skip("TERRAFORM_OFFLINE does not say where the tool is that stands in for the registry")
    tree = tmp_path / "terraform"
    for folder in ("modules", "ecs_services"):
        shutil.copytree(TERRAFORM / folder, tree / folder)
    examples = []
    for module in MODULES:
        snippets = re.findall(r"```hcl\n(.*?)```", (module / "README.md").read_text(), re.DOTALL)
        assert snippets, f"{name(module)}: no snippet"
        for number, snippet in enumerate(snippets):
            example = tree / "examples" / f"{module.name}_{number}"
            example.mkdir(parents=True)
            (example / "main.tf").write_text(snippet)
            examples.append(example)
    done = offline("check", "--strict", *examples)
    assert done.returncode == 0, done.stdout
