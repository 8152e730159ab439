"""moto beside the simulated AWS, through one endpoint (issue: Killed anywhere, part 4)."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

pytest.importorskip("moto")

from ecsroll.simulator import Simulation
from ecsroll.simulator.http import serve
from ecsroll.simulator.neighbours import Neighbours


@pytest.fixture
def endpoint() -> Iterator[str]:
    with serve(Simulation(), neighbour=Neighbours()) as server:
        yield server.url


def client(service: str, url: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service, endpoint_url=url, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )


def test_a_queue_a_topic_and_a_cluster_live_behind_one_address(endpoint: str) -> None:
    sqs, sns, ecs = (client(name, endpoint) for name in ("sqs", "sns", "ecs"))
    queue = sqs.create_queue(QueueName="notices")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="images")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="a new image")
    got = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert "a new image" in got[0]["Body"]
    assert ecs.list_clusters()["clusterArns"] == []


def test_a_long_poll_does_not_keep_others_from_sending(endpoint: str) -> None:
    sqs = client("sqs", endpoint)
    queue = sqs.create_queue(QueueName="slow")["QueueUrl"]

    def send_later() -> None:
        time.sleep(0.5)
        client("sqs", endpoint).send_message(QueueUrl=queue, MessageBody="late")

    threading.Thread(target=send_later).start()
    got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    assert got[0]["Body"] == "late"


def test_who_is_asking_is_answered_by_the_simulation_and_roles_by_moto(endpoint: str) -> None:
    sts = client("sts", endpoint)
    assert sts.get_caller_identity()["Account"] == "111122223333"
    taken = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/roll", RoleSessionName="roll")
    assert taken["Credentials"]["AccessKeyId"]


def test_of_many_conditional_writes_one_wins(endpoint: str) -> None:
    s3 = client("s3", endpoint)
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    won: list[int] = []

    def write(number: int) -> None:
        try:
            client("s3", endpoint).put_object(Bucket="bucket", Key="k", Body=b"x", IfNoneMatch="*")
            won.append(number)
        except s3.exceptions.ClientError:
            return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
