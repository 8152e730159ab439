"""The policy that the module ``ecsroll`` gives its role is the one that ``ecsroll iam-policy`` prints; that of
``ami_updates`` is what ``check-ami --publish`` needs and nothing else.

``rendered.json`` is what Terraform made of the root below; where Terraform can run, it is made again and compared
(``python -m tests.terraform.test_policy`` writes it).
"""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ecsroll.iam_policy import Asked, names_of, policy
from ecsroll.simulator.stage import GroupSet, Reference
from tests import scenarios as s
from tests.console import ecsroll
from tests.iam.beside import Beside
from tests.iam.rolls import Gate, asked_for
from tests.rolls import stage_of
from tests.terraform.inputs import TERRAFORM
from tests.terraform.test_terraform import offline

SAMPLE = Path(__file__).parent / "rendered.json"

ROOT = """
module "ecsroll" {
  source = "../../modules/ecsroll"

  cluster_name = "demo"
  environment  = "test"
  alarms       = ["web-5xx"]
  codebuild    = { source = "ecsroll==1.2.3" }

  tell           = ["arn:aws:sns:us-east-1:123456789012:alerts", "bus:ops", "slack:secret:slack", "log"]
  webhook_secret = "ssm:/hooks/key"
  queue_arns     = ["arn:aws:sqs:us-east-1:123456789012:watch"]
  watch_restarts = true

  groups = [
    {
      autoscaling_group_name = "demo-general"
      role_arn               = "arn:aws:iam::123456789012:role/demo-general-hosts"
      image_parameter_arn    = "arn:aws:ssm:us-east-1:123456789012:parameter/ecs-image/demo/demo-general"
      launch_template_arn    = "arn:aws:ec2:us-east-1:123456789012:launch-template/lt-0fedcba9876543210"
    },
    {
      autoscaling_group_name = "demo-old"
      role_arn               = "arn:aws:iam::123456789012:role/demo-old-hosts"
      launch_template_arn    = "arn:aws:ec2:us-east-1:123456789012:launch-template/lt-0123456789abcdef0"
    },
  ]
}

output "policy" {
  value = module.ecsroll.policy
}
"""

ASKED = Asked(
    region="us-east-1",
    account="123456789012",
    cluster="demo",
    groups=("demo-general", "demo-old"),
    image_parameters=("/ecs-image/demo/demo-general",),
    launch_templates=("lt-0123456789abcdef0",),
    host_roles=("demo-old-hosts",),
    alarms=True,
    tell=("arn:aws:sns:us-east-1:123456789012:alerts", "bus:ops", "slack:secret:slack", "log"),
    webhook_secret="ssm:/hooks/key",
    queue="https://sqs.us-east-1.amazonaws.com/123456789012/watch",
    restarts=True,
)


CHECKS = """
module "named" {
  source = "../../modules/ami_updates"

  environment          = "test"
  clusters             = ["demo"]
  image_parameter_arns = ["arn:aws:ssm:us-east-1:123456789012:parameter/infrastructure/web/image"]
  codebuild   = { source = "ecsroll==1.2.3" }
}

module "all" {
  source = "../../modules/ami_updates"

  environment = "test"
  name        = "ecsroll-all"
  codebuild   = { source = "ecsroll==1.2.3" }
}

output "policy_named" {
  value = module.named.policy
}

output "policy_all" {
  value = module.all.policy
}
"""


def rendered(folder: Path) -> dict[str, Any]:
    """The policies in the plan's JSON."""
    tree = folder / "terraform"
    for module in ("ami_updates", "ecsroll", "scheduled_run"):
        shutil.copytree(TERRAFORM / "modules" / module, tree / "modules" / module)
    root = tree / "examples" / "policy"
    root.mkdir(parents=True)
    (root / "main.tf").write_text(f'provider "aws" {{\n  region = "us-east-1"\n}}\n{ROOT}{CHECKS}')
    planned = offline("run", root, "--", "plan", f"-out={folder / 'plan'}")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    shown = offline("run", root, "--", "show", "-json", folder / "plan")
    plan = json.loads(next(line for line in shown.stdout.splitlines() if line.startswith("{")))
    return {name: json.loads(output["value"]) for name, output in plan["planned_values"]["outputs"].items()}


def sample(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(SAMPLE.read_text())[name]
    return made


def test_terraform_makes_the_policy_that_the_command_prints() -> None:
    assert sample("policy") == policy(names_of(ASKED)), "run: python -m tests.terraform.test_policy"


def test_the_sample_is_what_terraform_makes(tmp_path: Path) -> None:
    assert rendered(tmp_path) == json.loads(SAMPLE.read_text()), "run: python -m tests.terraform.test_policy"


# A check -----------------------------------------------------------------------------------------------------------

REFERENCES: tuple[Reference, ...] = ("number", "$Latest", "parameter", "public", "configuration", "mixed")
WAYS = {"policy_named": ("--cluster", "demo"), "policy_all": ("--all-clusters",)}
"""Output -> which clusters its check looks at."""


@cache
def checked(output: str) -> tuple[Gate, ...]:
    """Checks of every kind of group under a rendered policy."""
    return tuple(_checked(output, reference) for reference in REFERENCES)


def _checked(output: str, reference: Reference) -> Gate:
    managed = reference == "number"
    stage = stage_of(GroupSet(hosts=1, reference=reference, managed_scaling=managed), services=(s.API,))
    world = stage.sim.world
    beside = Beside(stage.sim, [])
    here = json.dumps(sample(output)).replace("us-east-1", world.region).replace("123456789012", world.account)
    here = re.sub(r"/ecs-image/[^/]+/", "/infrastructure/web/", here)  # where the stage keeps them
    gate = Gate(stage, asked_for(stage), policy=json.loads(here))
    topic = next(arn for entry in gate.policy["Statement"] for arn in entry["Resource"] if ":sns:" in arn)
    ran = ecsroll(stage, "check-ami", *WAYS[output], "--publish", topic, "--json")
    assert ran.code == 0, ran
    assert [row["hosts_behind"] for row in ran.result["groups"]] == [1], ran
    assert beside.told == [topic]
    return gate


@pytest.mark.parametrize("output", WAYS)
def test_a_check_goes_through_under_the_policy_of_its_module(output: str) -> None:
    assert [gate.denied for gate in checked(output)] == [[]] * len(REFERENCES)


@pytest.mark.parametrize("output", WAYS)
def test_the_policy_of_a_check_allows_nothing_that_no_check_needs(output: str) -> None:
    used = [grant for gate in checked(output) for grant in gate.used]
    statements = checked(output)[0].policy["Statement"]
    actions = {(entry["Sid"], action) for entry in statements for action in entry["Action"]}
    resources = {(entry["Sid"], resource) for entry in statements for resource in entry["Resource"]}
    assert actions - {(grant.statement, grant.action) for grant in used} == set()
    assert resources - {(grant.statement, grant.resource) for grant in used} == set()


if __name__ == "__main__":
    import tempfile

    try:
        SAMPLE.write_text(json.dumps(rendered(Path(tempfile.mkdtemp())), indent=2) + "\n")
    except pytest.skip.Exception as why:
        raise SystemExit(str(why)) from why
