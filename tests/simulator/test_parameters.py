"""SSM Parameter Store in the simulated AWS."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecsroll.simulator import Simulation
from ecsroll.simulator.images import LINUX

AL2023 = f"{LINUX}amazon-linux-2023"


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


@pytest.fixture
def ssm(sim: Simulation) -> Any:
    return sim.client("ssm")


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


def test_a_value_that_was_put_is_read_with_its_version_and_arn(ssm: Any) -> None:
    assert ssm.put_parameter(Name="/ecsroll/prod/ledger", Value="{}", Type="String")["Version"] == 1
    found = ssm.get_parameter(Name="/ecsroll/prod/ledger")["Parameter"]
    assert (found["Value"], found["Version"]) == ("{}", 1)
    assert found["ARN"] == "arn:aws:ssm:eu-west-1:111122223333:parameter/ecsroll/prod/ledger"


def test_without_overwrite_the_second_of_two_contenders_is_refused(ssm: Any) -> None:
    ssm.put_parameter(Name="/lease/1", Value="mine", Type="String")
    with pytest.raises(ssm.exceptions.ParameterAlreadyExists):
        ssm.put_parameter(Name="/lease/1", Value="theirs", Type="String")
    assert ssm.put_parameter(Name="/lease/1", Value="renewed", Overwrite=True)["Version"] == 2


def test_a_selector_reads_an_old_version_or_a_label(ssm: Any) -> None:
    for value in ("one", "two", "three"):
        ssm.put_parameter(Name="/p", Value=value, Type="String", Overwrite=True)
    ssm.label_parameter_version(Name="/p", ParameterVersion=2, Labels=["good"])
    assert ssm.get_parameter(Name="/p:1")["Parameter"]["Value"] == "one"
    assert ssm.get_parameter(Name="/p:good")["Parameter"]["Value"] == "two"
    assert ssm.get_parameter(Name="/p")["Parameter"]["Value"] == "three"
    with pytest.raises(ssm.exceptions.ParameterVersionNotFound):
        ssm.get_parameter(Name="/p:9")


def test_a_value_over_four_kilobytes_is_refused(ssm: Any) -> None:
    ssm.put_parameter(Name="/p", Value="x" * 4096, Type="String")
    with pytest.raises(ClientError) as refused:
        ssm.put_parameter(Name="/p", Value="x" * 4097, Type="String", Overwrite=True)
    assert code(refused) == "ValidationException"


def test_history_keeps_a_hundred_versions(ssm: Any) -> None:
    for number in range(103):
        ssm.put_parameter(Name="/p", Value=str(number), Type="String", Overwrite=True)
    pages = ssm.get_paginator("get_parameter_history").paginate(Name="/p")
    values = [version["Value"] for page in pages for version in page["Parameters"]]
    assert (len(values), values[0], values[-1]) == (100, "3", "102")


def test_a_labelled_oldest_version_stops_the_hundred_and_first(ssm: Any) -> None:
    for number in range(100):
        ssm.put_parameter(Name="/p", Value=str(number), Type="String", Overwrite=True)
    ssm.label_parameter_version(Name="/p", ParameterVersion=1, Labels=["first"])
    with pytest.raises(ssm.exceptions.ParameterMaxVersionLimitExceeded):
        ssm.put_parameter(Name="/p", Value="more", Overwrite=True)


def test_names_under_aws_can_not_be_written(ssm: Any) -> None:
    with pytest.raises(ClientError) as refused:
        ssm.put_parameter(Name="/aws/service/mine", Value="x", Type="String")
    assert code(refused) == "AccessDeniedException"


def test_an_image_parameter_is_readable_only_after_it_was_validated(sim: Simulation, ssm: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    ssm.put_parameter(Name="/ami", Value=image, Type="String", DataType="aws:ec2:image")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/ami")
    sim.sleep(15)
    assert ssm.get_parameter(Name="/ami")["Parameter"]["Value"] == image


def test_an_image_parameter_with_an_unknown_image_keeps_its_old_value_in_silence(sim: Simulation, ssm: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    ssm.put_parameter(Name="/ami", Value=image, Type="String", DataType="aws:ec2:image")
    sim.sleep(15)
    ssm.put_parameter(Name="/ami", Value="ami-0123456789abcdef0", DataType="aws:ec2:image", Overwrite=True)
    sim.sleep(3600)
    found = ssm.get_parameter(Name="/ami")["Parameter"]
    assert (found["Value"], found["Version"]) == (image, 1)


def test_tags_say_which_group_a_parameter_belongs_to(ssm: Any) -> None:
    ssm.put_parameter(Name="/ami", Value="x", Type="String", Tags=[{"Key": "ecsroll:group", "Value": "web"}])
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId="/ami", Tags=[{"Key": "a", "Value": "b"}])
    listed = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/ami")["TagList"]
    assert {tag["Key"]: tag["Value"] for tag in listed} == {"a": "b", "ecsroll:group": "web"}
    ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId="/ami", TagKeys=["a"])
    assert len(ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/ami")["TagList"]) == 1


def test_tags_and_overwrite_do_not_go_together(ssm: Any) -> None:
    with pytest.raises(ClientError) as refused:
        ssm.put_parameter(Name="/p", Value="x", Type="String", Overwrite=True, Tags=[{"Key": "a", "Value": "b"}])
    assert code(refused) == "ValidationException"


def test_a_path_lists_one_level_or_all(ssm: Any) -> None:
    for name in ("/e/prod/lease/1", "/e/prod/lease/2", "/e/prod/ledger", "/e/production/ledger"):
        ssm.put_parameter(Name=name, Value="x", Type="String")
    one = ssm.get_parameters_by_path(Path="/e/prod")["Parameters"]
    every = ssm.get_parameters_by_path(Path="/e/prod/", Recursive=True)["Parameters"]
    assert [found["Name"] for found in one] == ["/e/prod/ledger"]
    assert [found["Name"] for found in every] == ["/e/prod/lease/1", "/e/prod/lease/2", "/e/prod/ledger"]


@pytest.mark.parametrize("short", [False, True])
def test_a_listing_takes_a_loop_over_tokens(sim: Simulation, ssm: Any, short: bool) -> None:
    sim.parameters.short_pages = short
    for number in range(25):
        ssm.put_parameter(Name=f"/e/{number:02}", Value="x", Type="String")
    first = ssm.get_parameters_by_path(Path="/e")
    assert len(first["Parameters"]) == (0 if short else 10)
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/e")
    assert [found["Name"][-2:] for page in pages for found in page["Parameters"]] == [f"{n:02}" for n in range(25)]


def test_several_names_answer_with_what_is_missing(ssm: Any) -> None:
    ssm.put_parameter(Name="/p", Value="x", Type="String")
    answer = ssm.get_parameters(Names=["/p", "/q"])
    assert ([found["Name"] for found in answer["Parameters"]], answer["InvalidParameters"]) == (["/p"], ["/q"])


def test_more_than_ten_names_are_refused(ssm: Any) -> None:
    with pytest.raises(ClientError):
        ssm.get_parameters(Names=[f"/p{number}" for number in range(11)])


def test_a_deleted_parameter_is_gone_with_its_tags(ssm: Any) -> None:
    ssm.put_parameter(Name="/p", Value="x", Type="String")
    ssm.delete_parameter(Name="/p")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/p")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.delete_parameter(Name="/p")


def test_the_recommended_image_is_json_and_its_arn_has_no_account(ssm: Any) -> None:
    found = ssm.get_parameter(Name=f"{AL2023}/recommended")["Parameter"]
    assert found["ARN"] == f"arn:aws:ssm:eu-west-1::parameter{AL2023}/recommended"
    facts = json.loads(found["Value"])
    assert facts["schema_version"] == 1
    assert facts["image_id"] == ssm.get_parameter(Name=f"{AL2023}/recommended/image_id")["Parameter"]["Value"]


def test_described_parameters_can_be_filtered_by_tag_and_path(ssm: Any) -> None:
    ssm.put_parameter(Name="/e/a", Value="x", Type="String", Tags=[{"Key": "ecsroll:group", "Value": "web"}])
    ssm.put_parameter(Name="/f/b", Value="x", Type="String")
    by_tag = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:ecsroll:group", "Values": ["web"]}])
    by_path = ssm.describe_parameters(ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": ["/f"]}])
    assert [found["Name"] for found in by_tag["Parameters"]] == ["/e/a"]
    assert [found["Name"] for found in by_path["Parameters"]] == ["/f/b"]
