"""``ecsroll check-ami``: what runs, what is newest, how far behind it is, what changed. It changes nothing."""

from typing import Any

import pytest

from ecsroll.simulator.images import BOTTLEROCKET, LINUX, WINDOWS
from ecsroll.simulator.stage import GroupSet, Stage, set_stage
from tests.console import Ran, denying, ecsroll

AL2023 = "amazon-linux-2023"
ALL = ("check-ami", "--all-clusters")
DEMO = ("check-ami", "--cluster", "demo")


def check(stage: Stage, *words: str) -> Ran:
    stage.sim.door.calls.clear()
    ran = ecsroll(stage, *words)
    assert [call.operation for call in stage.sim.door.calls if call.changes] == []
    return ran


def rows(stage: Stage, *words: str) -> dict[str, dict[str, Any]]:
    """The groups of the JSON result, by name."""
    ran = check(stage, *words, "--json")
    assert ran.code == 0, ran
    return {row["group"]: row for row in ran.result["groups"]}


def add_group(stage: Stage, name: str, image: str, kind: str = "m5.large", *, cluster: str = "demo") -> None:
    """A group of one host with any image."""
    autoscaling = stage.sim.client("autoscaling")
    autoscaling.create_launch_configuration(
        LaunchConfigurationName=f"{name}-1",
        ImageId=image,
        InstanceType=kind,
        UserData=f"#!/bin/sh\necho ECS_CLUSTER={cluster} >> /etc/ecs/ecs.config\n",
    )
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=1,
        AvailabilityZones=["eu-west-1a"],
        LaunchConfigurationName=f"{name}-1",
    )
    stage.sim.sleep(300)


def release(stage: Stage, family: str, back: int = 0) -> str:
    return stage.sim.images.releases(family)[-1 - back].id


def test_a_group_that_is_behind() -> None:
    stage = set_stage(GroupSet(hosts=3, age=2))
    row = rows(stage, *DEMO)["web"]
    (used,) = row["running"]
    assert (row["family"], row["outdated"], row["hosts_behind"], row["launches_newest"]) == (AL2023, True, 3, False)
    assert (used["image"], used["hosts"]) == (stage.old_image["web"], 3)
    assert row["newest"]["image"] == stage.new_image["web"]
    assert used["days_behind"] > 0
    assert used["changed"]


def test_a_group_that_is_up_to_date() -> None:
    row = rows(set_stage(GroupSet(hosts=1, age=0)), *DEMO)["web"]
    assert (row["outdated"], row["hosts_behind"], row["launches_newest"]) == (False, 0, True)
    assert [used["changed"] for used in row["running"]] == [{}]


def test_what_changed_is_named_with_its_versions() -> None:
    stage = set_stage(GroupSet(hosts=1, age=0))
    was = stage.sim.images.releases(LINUX + AL2023)[-1]
    stage.sim.images.release(LINUX + AL2023, "20260927", agent="1.108.0", runtime="Docker version 25.0.20")
    (used,) = rows(stage, *DEMO)["web"]["running"]
    assert used["changed"]["agent"] == {"was": was.agent, "now": "1.108.0"}
    assert used["changed"]["runtime"]["now"] == "Docker version 25.0.20"
    assert "agent 1.107.0 → 1.108.0" in check(stage, *DEMO).out


def test_a_release_that_aws_took_back_is_said_to_be() -> None:
    stage = set_stage(GroupSet(hosts=1, age=0))
    stage.sim.images.recommend(LINUX + AL2023, release(stage, LINUX + AL2023, 1))
    (used,) = rows(stage, *DEMO)["web"]["running"]
    assert used["changed"]["backwards"] is True
    assert "AWS took the newer release back" in check(stage, *DEMO).out


def test_several_clusters_in_the_order_that_was_asked_for() -> None:
    stage = set_stage(GroupSet(hosts=1))
    stage.sim.client("ecs").create_cluster(clusterName="other")
    add_group(stage, "others", release(stage, LINUX + AL2023), cluster="other")
    result = check(stage, "check-ami", "--cluster", "other", "--cluster", "demo", "--json").result
    assert [(row["cluster"], row["group"]) for row in result["groups"]] == [("other", "others"), ("demo", "web")]
    assert result["cluster"] is None
    text = check(stage, "check-ami", "--cluster", "other", "--cluster", "demo").out
    assert "cluster" in text.splitlines()[1]


def test_all_clusters_pass_over_those_without_hosts_and_say_so() -> None:
    stage = set_stage(GroupSet(hosts=1))
    stage.sim.client("ecs").create_cluster(clusterName="serverless", capacityProviders=["FARGATE"])
    ran = check(stage, *ALL, "--json")
    assert ran.code == 0
    assert [row["cluster"] for row in ran.result["groups"]] == ["demo"]
    assert ran.result["passed_over"] == [
        "serverless: cluster 'serverless' runs on Fargate only: it has no hosts",
    ]
    assert "passed over: serverless" in check(stage, *ALL).out


def test_all_clusters_of_an_account_without_any() -> None:
    stage = set_stage(cluster="demo")
    stage.sim.client("ecs").delete_cluster(cluster="demo")
    ran = check(stage, *ALL)
    assert (ran.code, ran.out) == (0, "no group was found\n")


@pytest.mark.parametrize(("age", "code", "word"), [(2, 8, "outdated"), (0, 0, "done")])
def test_with_exit_code_it_can_be_a_condition_in_a_script(age: int, code: int, word: str) -> None:
    stage = set_stage(GroupSet(hosts=1, age=age))
    ran = check(stage, *DEMO, "--exit-code", "--json")
    assert (ran.code, ran.result["exit_code"], ran.result["result"]) == (code, code, word)


def test_without_exit_code_being_outdated_is_no_failure() -> None:
    assert check(set_stage(GroupSet(hosts=1, age=2)), *DEMO).code == 0


def test_an_image_of_ones_own_is_named_as_such_and_never_guessed() -> None:
    stage = set_stage(GroupSet(hosts=1))
    own = stage.sim.images.register("golden-image-7", like=release(stage, LINUX + AL2023))
    add_group(stage, "golden", own.id)
    row = rows(stage, *DEMO)["golden"]
    assert (row["family"], row["newest"], row["outdated"]) == (None, None, False)
    assert own.id in row["reason"]
    assert row["reason"] in " ".join(check(stage, *DEMO).out.split())


FAMILIES = {
    "Bottlerocket": (f"{BOTTLEROCKET}aws-ecs-2/x86_64", "m5.large"),
    "Bottlerocket on Graviton": (f"{BOTTLEROCKET}aws-ecs-2/arm64", "m7g.large"),
    "Windows Server": (f"{WINDOWS}Windows_Server-2022-English-Full-ECS_Optimized", "m5.large"),
    "Amazon Linux 2": (f"{LINUX}amazon-linux-2", "m5.large"),
    "Amazon Linux 2023 on Graviton": (f"{LINUX}amazon-linux-2023/arm64", "m7g.large"),
    "Amazon Linux 2023 with GPUs": (f"{LINUX}amazon-linux-2023/gpu", "g5.xlarge"),
}


@pytest.mark.parametrize(("family", "kind"), FAMILIES.values(), ids=FAMILIES)
def test_each_family_is_compared_with_its_own_newest(family: str, kind: str) -> None:
    stage = set_stage(cluster="demo")
    add_group(stage, "web", release(stage, family, 1), kind)
    row = rows(stage, *DEMO)["web"]
    assert row["family"], row
    assert (row["newest"]["image"], row["outdated"]) == (release(stage, family), True)


def test_groups_of_two_architectures_are_each_compared_with_their_own() -> None:
    stage = set_stage(GroupSet(hosts=1, age=0))
    arm = f"{LINUX}amazon-linux-2023/arm64"
    add_group(stage, "arm", release(stage, arm, 1), "m7g.large")
    found = rows(stage, *DEMO)
    assert (found["arm"]["newest"]["image"], found["arm"]["outdated"]) == (release(stage, arm), True)
    assert (found["web"]["newest"]["image"], found["web"]["outdated"]) == (stage.new_image["web"], False)


def test_a_group_half_way_through_a_roll_shows_both_images() -> None:
    stage = set_stage(GroupSet(hosts=2, reference="$Latest"))
    template = stage.sim.client("ec2").describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
    stage.sim.client("ec2").create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": stage.new_image["web"]}
    )
    stage.sim.scaling.set_desired("web", 3, "a person")
    stage.sim.sleep(300)
    row = rows(stage, *DEMO)["web"]
    assert {used["image"]: used["hosts"] for used in row["running"]} == {
        stage.old_image["web"]: 2,
        stage.new_image["web"]: 1,
    }
    assert (row["outdated"], row["hosts_behind"]) == (True, 2)
    behind = {used["image"]: used["days_behind"] for used in row["running"]}
    assert behind[stage.old_image["web"]] > 0 == behind[stage.new_image["web"]]
    told = check(stage, *DEMO).out
    assert "\n web " in told
    (newest,) = [line for line in told.splitlines() if " x1 " in line]
    assert newest.split()[-1] == "-"  # and not "outdated", as its group is


def test_what_runs_on_the_hosts_is_not_read() -> None:
    stage = set_stage(GroupSet(hosts=1))
    with denying(stage, "ListTasks"):
        assert check(stage, *DEMO).code == 0
