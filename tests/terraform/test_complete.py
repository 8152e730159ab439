"""The complete example, set up in the simulated AWS as its plan says, and rolled by the command of its README."""

import json
import re
import shlex
from pathlib import Path

from ecsroll.policy import settle
from ecsroll.simulator.stage import Stage
from tests import scenarios as s
from tests.rolls import carry_out
from tests.terraform.complete import planned, read, set_up
from tests.terraform.inputs import TERRAFORM
from tests.terraform.test_terraform import offline

EXAMPLE = TERRAFORM / "examples/complete"


def _services(stage: Stage) -> dict[str, tuple[int, int]]:
    """Running and wanted tasks of each service."""
    found = stage.sim.client("ecs").describe_services(
        cluster=stage.cluster, services=[service.name for service in stage.services]
    )
    return {said["serviceName"]: (said["runningCount"], said["desiredCount"]) for said in found["services"]}


def test_the_cluster_comes_to_rest() -> None:
    """Every service finds hosts: its constraints, its capacity providers and the groups fit together."""
    stage = set_up(read())
    assert {name for name, (running, wanted) in _services(stage).items() if running != wanted} == set()


def test_the_readmes_command_rolls_it() -> None:
    stage = set_up(read())
    (line,) = re.findall(r"^\$ ecsroll replace (.*)$", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    words = shlex.split(line)
    given = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    assert given.pop("cluster") == stage.cluster
    groups = [value for name, value in zip(words[::2], words[1::2], strict=True) if name == "--asg"]
    before = {name: (group.min, group.max) for name, group in stage.sim.scaling.groups.items()}
    told = carry_out(stage, settle({**given, "asg": groups}))
    assert told.verdict is not None
    assert told.verdict.result == "done", told.verdict
    for name in groups:
        assert set(s.images(stage, name)) == {stage.new_image[name]}
        assert (stage.sim.scaling.groups[name].min, stage.sim.scaling.groups[name].max) == before[name]
    assert {name for name, (running, wanted) in _services(stage).items() if running < wanted} == set()


def test_no_drift_is_left_by_the_roll() -> None:
    """All that the roll changed for good is a parameter's value, which Terraform leaves alone."""
    stage = set_up(read())
    templates = {name: dict(found.versions) for name, found in stage.sim.compute.templates.by_id.items()}
    groups = [group.name for group in stage.groups]
    carry_out(stage, settle({"asg": groups, "canary": "0"}))
    assert {name: found.versions for name, found in stage.sim.compute.templates.by_id.items()} == templates
    for name in groups:
        assert stage.sim.client("ssm").get_parameter(Name=f"/ecs-image/demo/{name}")["Parameter"]["Value"] == (
            stage.new_image[name]
        )


def test_the_sample_is_what_terraform_plans(tmp_path: Path) -> None:
    done = offline("run", EXAMPLE, "--", "plan", f"-out={tmp_path / 'plan'}")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = offline("run", EXAMPLE, "--", "show", "-json", tmp_path / "plan").stdout
    said = json.loads(next(line for line in shown.splitlines() if line.startswith("{")))
    assert planned(said) == read(), "run: python -m tests.terraform.complete"
