"""The policy that the module ``ecsroll`` gives its role is the one that ``ecsroll iam-policy`` prints.

``rendered.json`` is what Terraform made of the root below; where Terraform can run, it is made again and compared
(``python -m tests.terraform.test_policy`` writes it).
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ecsroll.iam_policy import Asked, names_of, policy
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
)


def rendered(folder: Path) -> dict[str, Any]:
    """The policy in the plan's JSON."""
    tree = folder / "terraform"
    for module in ("ecsroll", "scheduled_run"):
        shutil.copytree(TERRAFORM / "modules" / module, tree / "modules" / module)
    root = tree / "examples" / "policy"
    root.mkdir(parents=True)
    (root / "main.tf").write_text(f'provider "aws" {{\n  region = "us-east-1"\n}}\n{ROOT}')
    planned = offline("run", root, "--", "plan", f"-out={folder / 'plan'}")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    shown = offline("run", root, "--", "show", "-json", folder / "plan")
    plan = json.loads(next(line for line in shown.stdout.splitlines() if line.startswith("{")))
    made: dict[str, Any] = json.loads(plan["planned_values"]["outputs"]["policy"]["value"])
    return made


def test_terraform_makes_the_policy_that_the_command_prints() -> None:
    assert json.loads(SAMPLE.read_text()) == policy(names_of(ASKED)), "run: python -m tests.terraform.test_policy"


def test_the_sample_is_what_terraform_makes(tmp_path: Path) -> None:
    assert rendered(tmp_path) == json.loads(SAMPLE.read_text()), "run: python -m tests.terraform.test_policy"


if __name__ == "__main__":
    import tempfile

    try:
        SAMPLE.write_text(json.dumps(rendered(Path(tempfile.mkdtemp())), indent=2) + "\n")
    except pytest.skip.Exception as why:
        raise SystemExit(str(why)) from why
