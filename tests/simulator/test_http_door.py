"""The simulated AWS over HTTP: real clients, real wire protocols, the same answers."""

import http.client
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ecsroll.simulator import Simulation

pytest.importorskip("moto")

from ecsroll.simulator.http import Server, serve

CONNECT: Any = boto3.client
KEYS = {"aws_access_key_id": "simulated", "aws_secret_access_key": "simulated"}


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


@pytest.fixture
def server(sim: Simulation) -> Iterator[Server]:
    with serve(sim) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Any:
    def make(service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1})
        return CONNECT(service, endpoint_url=server.url, region_name="eu-west-1", config=config, **KEYS)

    return make


def make_group(client: Any, sim: Simulation) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    client("ec2").create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large"}
    )
    client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=3,
        MaxSize=6,
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
        AvailabilityZones=["eu-west-1a", "eu-west-1b"],
        Tags=[{"Key": "ecsroll", "Value": "allowed", "PropagateAtLaunch": True}],
    )


def test_both_doors_give_the_same_answers(sim: Simulation, client: Any) -> None:
    make_group(client, sim)
    sim.sleep(120)
    inside, outside = sim.client("autoscaling"), client("autoscaling")
    here = inside.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"]
    there = outside.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"]
    assert there == here
    ids = [instance["InstanceId"] for instance in here[0]["Instances"]]
    here = sim.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    there = client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    assert there == here


@pytest.mark.parametrize("service", ["ecs", "autoscaling", "ec2", "elbv2", "ssm", "sts"])
def test_an_unserved_operation_says_so(client: Any, service: str) -> None:
    unserved = {
        "ecs": lambda made: made.list_daemons(),
        "autoscaling": lambda made: made.describe_policies(),
        "ec2": lambda made: made.describe_vpcs(),
        "elbv2": lambda made: made.describe_account_limits(),
        "ssm": lambda made: made.list_documents(),
        "sts": lambda made: made.get_session_token(),
    }
    with pytest.raises(ClientError) as refused:
        unserved[service](client(service))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "the simulated AWS does not serve" in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("service", "call", "params", "code"),
    [
        ("ssm", "get_parameter", {"Name": "/none"}, "ParameterNotFound"),
        ("ecs", "list_services", {"cluster": "none"}, "ClusterNotFoundException"),
        ("ec2", "describe_instances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
        (
            "autoscaling",
            "set_desired_capacity",
            {"AutoScalingGroupName": "no", "DesiredCapacity": 1},
            "ValidationError",
        ),
        ("elbv2", "describe_target_health", {"TargetGroupArn": "arn:aws:x"}, "TargetGroupNotFound"),
    ],
)
def test_a_refusal_arrives_with_its_code(client: Any, service: str, call: str, params: Any, code: str) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(client(service), call)(**params)
    assert refused.value.response["Error"]["Code"] == code


def test_pages_are_followed_over_the_wire(client: Any) -> None:
    ssm = client("ssm")
    for number in range(23):
        ssm.put_parameter(Name=f"/e/{number:02}", Value="x", Type="String")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/e")
    assert [len(page["Parameters"]) for page in pages] == [10, 10, 3]


def test_dry_run_is_answered_as_ec2_does(client: Any) -> None:
    with pytest.raises(ClientError, match="DryRunOperation"):
        client("ec2").describe_instances(DryRun=True)


def test_a_wrong_request_is_refused_and_not_a_crash(server: Server) -> None:
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260928/eu-west-1/ssm/aws4_request, Signature=y",
        "X-Amz-Target": "AmazonSSM.GetParameter",
        "Content-Type": "application/x-amz-json-1.1",
    }
    # Two requests over one connection: it is kept alive.
    for _ in range(2):
        connection.request("POST", "/", json.dumps({}), headers)
        answer = connection.getresponse()
        assert answer.status == 400
        assert b"Missing required parameter" in answer.read()
    connection.close()


def test_a_request_without_a_signature_is_told_why(server: Server) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert (answer.status, b"signature" in answer.read()) == (403, True)
    connection.close()


def test_of_many_contenders_over_http_exactly_one_creates_the_parameter(client: Any) -> None:
    ssm, won = client("ssm"), []

    def contend(who: int) -> None:
        try:
            ssm.put_parameter(Name="/lease/1", Value=str(who), Type="String")
        except ClientError:
            return
        won.append(who)

    threads = [threading.Thread(target=contend, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_simulated_time_runs_with_the_wall_clock_when_asked(sim: Simulation) -> None:
    with serve(sim, speed=2000) as server:
        made = CONNECT("autoscaling", endpoint_url=server.url, region_name="eu-west-1", **KEYS)
        make_group(sim.client, sim)
        for _ in range(200):
            groups = made.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"]
            if [each["LifecycleState"] for each in groups[0]["Instances"]] == ["InService"] * 3:
                break
            threading.Event().wait(0.02)
        else:
            pytest.fail("nothing happened in four seconds of wall time, two hours of simulated time")


@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not installed")
def test_the_aws_cli_works_against_it(sim: Simulation, server: Server) -> None:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_PAGER": "",
    }
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    command = ["aws", "ssm", "get-parameter", "--name", name, "--query", "Parameter.Value", "--output", "text"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sim.images.recommended("amazon-linux-2023").id
