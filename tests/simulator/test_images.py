"""AMIs and what AWS publishes about them, in the simulated AWS."""

import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecsroll.simulator import Simulation
from ecsroll.simulator.images import BOTTLEROCKET, FAMILIES, LINUX, WINDOWS

AL2023 = f"{LINUX}amazon-linux-2023"
NAME_WITH_DATE = re.compile(r"^(?:amzn2|al20\d\d|amzn)-ami-.*?(?:2\.0|20\d\d\.0|2018\.03)\.(\d{8})\b")


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


@pytest.fixture
def ssm(sim: Simulation) -> Any:
    return sim.client("ssm")


@pytest.fixture
def ec2(sim: Simulation) -> Any:
    return sim.client("ec2")


def value(ssm: Any, name: str) -> str:
    return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])


@pytest.mark.parametrize("root", [root for root in FAMILIES if root.startswith(LINUX)])
def test_a_linux_image_tells_its_date_by_its_name_and_its_version(sim: Simulation, root: str) -> None:
    for image in sim.images.releases(root):
        found = NAME_WITH_DATE.match(image.name)
        assert found is not None
        assert found[1] == image.version.split(".")[-1]


def test_every_image_has_an_id_of_its_own(sim: Simulation) -> None:
    ids = [image.id for image in sim.images.all()]
    assert len(ids) == len(set(ids)) > 150


def test_an_old_release_is_read_by_its_name_and_by_its_image_id(sim: Simulation, ssm: Any) -> None:
    old = sim.images.releases("amazon-linux-2023")[-3]
    assert json.loads(value(ssm, f"{AL2023}/{old.name}"))["image_id"] == old.id
    assert value(ssm, f"{AL2023}/{old.name}/image_id") == old.id
    assert json.loads(value(ssm, f"{AL2023}/{old.id}"))["image_name"] == old.name


def test_one_level_of_a_family_leaves_its_sisters_out_and_all_levels_take_them_in(ssm: Any) -> None:
    pages = ssm.get_paginator("get_parameters_by_path")
    one = [found["Name"] for page in pages.paginate(Path=AL2023) for found in page["Parameters"]]
    every = [found["Name"] for page in pages.paginate(Path=AL2023, Recursive=True) for found in page["Parameters"]]
    assert len(one) == 2 * 12 + 1
    assert any("/arm64/" in name for name in every)
    assert not any("/arm64/" in name for name in one)


def test_a_new_release_becomes_recommended_and_raises_the_version(sim: Simulation, ssm: Any) -> None:
    before = ssm.get_parameter(Name=f"{AL2023}/recommended")["Parameter"]
    made = sim.images.release("amazon-linux-2023", "20260930", agent="1.108.0")
    after = ssm.get_parameter(Name=f"{AL2023}/recommended")["Parameter"]
    facts = json.loads(after["Value"])
    assert (facts["image_id"], facts["ecs_agent_version"]) == (made.id, "1.108.0")
    assert after["Version"] == before["Version"] + 1
    assert after["LastModifiedDate"] > before["LastModifiedDate"]


def test_what_is_recommended_can_go_back(sim: Simulation, ssm: Any) -> None:
    before, last = sim.images.releases("amazon-linux-2023")[-2:]
    version = ssm.get_parameter(Name=f"{AL2023}/recommended")["Parameter"]["Version"]
    sim.images.recommend("amazon-linux-2023", before.id)
    found = ssm.get_parameter(Name=f"{AL2023}/recommended/image_id")["Parameter"]
    assert (found["Value"], found["Version"]) == (before.id, version + 1)
    assert last.id in [image.id for image in sim.images.releases("amazon-linux-2023")]


def test_a_release_can_be_published_before_it_is_recommended(sim: Simulation, ssm: Any) -> None:
    before = value(ssm, f"{AL2023}/recommended/image_id")
    made = sim.images.release("amazon-linux-2023", "20260930", recommend=False)
    assert value(ssm, f"{AL2023}/recommended/image_id") == before
    assert value(ssm, f"{AL2023}/{made.name}/image_id") == made.id


def test_one_simulation_s_release_is_not_seen_by_another(sim: Simulation) -> None:
    sim.images.release("amazon-linux-2023", "20260930")
    assert sim.images.recommended("amazon-linux-2023") != Simulation().images.recommended("amazon-linux-2023")


def test_windows_says_four_things_in_json(ssm: Any) -> None:
    facts = json.loads(value(ssm, f"{WINDOWS}Windows_Server-2022-English-Full-ECS_Optimized"))
    assert sorted(facts) == ["ecs_agent_version", "ecs_runtime_version", "image_id", "image_name"]
    leaf = value(ssm, f"{WINDOWS}Windows_Server-2022-English-Full-ECS_Optimized/image_id")
    assert leaf == facts["image_id"]


def test_bottlerocket_is_plain_strings_by_version_and_latest(ssm: Any) -> None:
    root = f"{BOTTLEROCKET}aws-ecs-2/arm64"
    assert re.fullmatch(r"\d+\.\d+\.\d+-[0-9a-f]{8}", value(ssm, f"{root}/latest/image_version"))
    assert value(ssm, f"{root}/latest/image_id") == value(ssm, f"{root}/1.62.1/image_id")


def test_images_are_described_with_device_architecture_and_deprecation(sim: Simulation, ec2: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023/arm64")
    found = ec2.describe_images(ImageIds=[image.id])["Images"][0]
    assert (found["Name"], found["Architecture"], found["OwnerId"]) == (image.name, "arm64", "591542846629")
    assert found["BlockDeviceMappings"][0]["Ebs"]["VolumeType"] == "gp3"
    assert found["DeprecationTime"].startswith("2028-09-22")


def test_a_deprecated_image_is_hidden_unless_asked_for(sim: Simulation, ec2: Any) -> None:
    old = sim.images.releases("amazon-linux-2023")[0]
    by_name: list[dict[str, Any]] = [{"Name": "name", "Values": ["al2023-ami-ecs-hvm-2023.0.2024*-x86_64"]}]
    assert ec2.describe_images(Filters=by_name)["Images"] == []
    found = ec2.describe_images(Filters=by_name, IncludeDeprecated=True)["Images"]
    assert [image["ImageId"] for image in found] == [old.id]


def test_a_custom_image_has_the_account_as_its_owner(sim: Simulation, ec2: Any) -> None:
    made = sim.images.register("unofficial-al2023-ami-ecs-hvm-2023.0.20260928-kernel-6.1-x86_64")
    found = ec2.describe_images(Owners=["self"])["Images"]
    assert [(image["ImageId"], image["Public"]) for image in found] == [(made.id, False)]
    assert "DeprecationTime" not in found[0]


def test_an_image_that_was_withdrawn_can_not_be_described(sim: Simulation, ec2: Any) -> None:
    image = sim.images.recommended("amazon-linux-2")
    sim.images.withdraw(image.id)
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        ec2.describe_images(ImageIds=[image.id])


def test_building_a_simulation_costs_next_to_nothing() -> None:
    Simulation()
    start = time.perf_counter()
    for _ in range(20):
        Simulation().images.recommended("amazon-linux-2023")
    assert (time.perf_counter() - start) / 20 < 0.01
