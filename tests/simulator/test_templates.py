"""Launch templates and launch configurations in the simulated AWS."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecsroll.simulator import Simulation

USER_DATA = "RUNTX0NMVVNURVI9cHJvZA=="  # ECS_CLUSTER=prod


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


@pytest.fixture
def ec2(sim: Simulation) -> Any:
    return sim.client("ec2")


@pytest.fixture
def template(ec2: Any) -> str:
    data = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "m5.large", "UserData": USER_DATA}
    made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)["LaunchTemplate"]
    return str(made["LaunchTemplateId"])


def version(ec2: Any, template: str, image: str, **more: Any) -> dict[str, Any]:
    answer = ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"ImageId": image}, **more
    )
    found: dict[str, Any] = answer["LaunchTemplateVersion"]
    return found


def test_a_new_version_keeps_what_its_source_says(ec2: Any, template: str) -> None:
    made = version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1", VersionDescription="ecsroll")
    assert made["VersionNumber"] == 2
    assert made["VersionDescription"] == "ecsroll"
    assert made["LaunchTemplateData"] == {
        "ImageId": "ami-0aaaaaaaaaaaaaaaa",
        "InstanceType": "m5.large",
        "UserData": USER_DATA,
    }


def test_without_a_source_a_new_version_says_only_what_is_given(ec2: Any, template: str) -> None:
    assert version(ec2, template, "ami-0aaaaaaaaaaaaaaaa")["LaunchTemplateData"] == {"ImageId": "ami-0aaaaaaaaaaaaaaaa"}


def test_a_client_token_used_again_answers_with_the_same_version(ec2: Any, template: str) -> None:
    first = version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1", ClientToken="t")
    again = version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1", ClientToken="t")
    assert again == first


def test_a_client_token_used_again_answers_even_with_a_deleted_version(ec2: Any, template: str) -> None:
    version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1", ClientToken="t")
    ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["2"])
    assert version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1", ClientToken="t")["VersionNumber"] == 2
    with pytest.raises(ClientError, match="VersionNotFound"):
        ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["2"])


def test_a_client_token_used_with_something_else_is_refused(ec2: Any, template: str) -> None:
    version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1", ClientToken="t")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        version(ec2, template, "ami-0bbbbbbbbbbbbbbbb", SourceVersion="1", ClientToken="t")


def test_latest_and_default_are_two_things(ec2: Any, template: str) -> None:
    version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="$Latest")

    def meant(word: str) -> int:
        answer = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=[word])
        return int(answer["LaunchTemplateVersions"][0]["VersionNumber"])

    assert (meant("$Latest"), meant("$Default")) == (2, 1)
    ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")
    assert meant("$Default") == 2
    shown = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0]
    assert (shown["DefaultVersionNumber"], shown["LatestVersionNumber"]) == (2, 2)


def test_the_number_of_a_deleted_version_never_comes_again(ec2: Any, template: str) -> None:
    version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1")
    ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["2"])
    assert version(ec2, template, "ami-0bbbbbbbbbbbbbbbb", SourceVersion="$Latest")["VersionNumber"] == 3


def test_versions_are_deleted_one_by_one_and_the_default_stays(ec2: Any, template: str) -> None:
    version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1")
    answer = ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2", "7"])
    gone = [each["VersionNumber"] for each in answer["SuccessfullyDeletedLaunchTemplateVersions"]]
    kept = {
        each["VersionNumber"]: each["ResponseError"]["Code"]
        for each in answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    }
    assert gone == [2]
    assert kept == {1: "unexpectedError", 7: "launchTemplateVersionDoesNotExist"}


def test_an_alias_is_resolved_only_on_demand(sim: Simulation, ec2: Any) -> None:
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    ec2.create_launch_template(LaunchTemplateName="ssm", LaunchTemplateData={"ImageId": f"resolve:ssm:{name}"})

    def image(*, resolve: bool) -> str:
        answer = ec2.describe_launch_template_versions(
            LaunchTemplateName="ssm", Versions=["$Latest"], ResolveAlias=resolve
        )
        return str(answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"])

    assert image(resolve=False) == f"resolve:ssm:{name}"
    assert image(resolve=True) == sim.images.recommended("amazon-linux-2023").id


def test_versions_of_many_templates_come_page_by_page(ec2: Any, template: str) -> None:
    for _ in range(249):
        version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", SourceVersion="1")
    pages = ec2.get_paginator("describe_launch_template_versions").paginate(LaunchTemplateId=template)
    assert [len(page["LaunchTemplateVersions"]) for page in pages] == [200, 50]


def test_unknown_templates_have_aws_s_own_codes(ec2: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.NotFound"):
        ec2.describe_launch_templates(LaunchTemplateIds=["lt-0123456789abcdef0"])
    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateName\.NotFoundException"):
        ec2.describe_launch_template_versions(LaunchTemplateName="nope")


def test_dry_run_changes_nothing(ec2: Any, template: str) -> None:
    with pytest.raises(ClientError, match="DryRunOperation"):
        version(ec2, template, "ami-0aaaaaaaaaaaaaaaa", DryRun=True)
    shown = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0]
    assert shown["LatestVersionNumber"] == 1


def test_the_cluster_is_read_from_the_user_data(sim: Simulation, ec2: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    ec2.run_instances(ImageId=image, InstanceType="m5.large", UserData="ECS_CLUSTER=prod", MinCount=1, MaxCount=1)
    assert [instance.cluster for instance in sim.compute.instances.values()] == ["prod"]


def test_an_instance_can_be_unknown_shortly_after_its_launch(sim: Simulation, ec2: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    made = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=20, MaxCount=20)["Instances"]
    ids = [instance["InstanceId"] for instance in made]
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.describe_instances(InstanceIds=ids)
    sim.sleep(3)
    assert len(ec2.describe_instances(InstanceIds=ids)["Reservations"]) == 20


def test_a_terminated_instance_is_described_for_an_hour(sim: Simulation, ec2: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    made = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]
    sim.sleep(60)
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    sim.sleep(3000)
    shown = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert shown["State"]["Name"] == "terminated"
    sim.sleep(1000)
    assert ec2.describe_instances()["Reservations"] == []


def test_an_image_for_another_architecture_is_refused(sim: Simulation, ec2: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023/arm64").id
    with pytest.raises(ClientError, match="architecture"):
        ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)


def test_launch_configurations_are_made_listed_and_deleted(sim: Simulation) -> None:
    scaling = sim.client("autoscaling")
    wanted = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "m5.large", "UserData": "ECS_CLUSTER=prod"}
    scaling.create_launch_configuration(LaunchConfigurationName="old", **wanted)
    with pytest.raises(ClientError, match="AlreadyExists"):
        scaling.create_launch_configuration(LaunchConfigurationName="old", **wanted)
    found = scaling.describe_launch_configurations(LaunchConfigurationNames=["old", "none"])["LaunchConfigurations"]
    # boto3 encodes user data on the way in and leaves it encoded on the way out.
    assert {key: found[0][key] for key in wanted} == {**wanted, "UserData": USER_DATA}
    scaling.delete_launch_configuration(LaunchConfigurationName="old")
    assert scaling.describe_launch_configurations()["LaunchConfigurations"] == []
