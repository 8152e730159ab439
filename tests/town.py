"""A simulated cluster with moto's SQS, SNS and EventBridge beside it, over HTTP on one port, on the simulated time."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import boto3
import urllib3

from ecsroll.cli import Outside, run
from ecsroll.simulator.bus import Bus
from ecsroll.simulator.http import SERVICES, serve
from ecsroll.simulator.neighbours import Neighbours
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from tests.console import Ran

__all__ = ["Town", "town"]


@dataclass
class Town:
    """The stage, and a queue that a topic of AMI notices and a rule for ECS's events feed."""

    stage: Stage
    url: str
    queue: str = ""
    topic: str = ""
    alerts: str = ""
    """The queue of a topic that alerts are told to."""
    alert_topic: str = ""
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """The simulated AWS for what is simulated, moto over HTTP for the rest."""
        if service in SERVICES.values():
            return self.stage.sim.client(service)
        if service not in self.clients:
            self.clients[service] = boto3.client(  # type: ignore[call-overload]
                service,
                endpoint_url=self.url,
                region_name=self.stage.sim.world.region,
                aws_access_key_id="a",
                aws_secret_access_key="b",
            )
        return self.clients[service]

    def certificate(self, url: str) -> bytes:
        """moto serves the certificates that it signs with."""
        scope = f"{self.stage.sim.world.region}/sns/aws4_request"
        told_apart_by = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential=a/20260928/{scope}, SignedHeaders=host, Signature=0"
        }
        answer = urllib3.request("GET", f"{self.url}{urllib3.util.parse_url(url).path}", headers=told_apart_by)
        assert answer.status == 200, answer.data
        return answer.data

    def ecsroll(self, *words: str) -> Ran:
        """Run one command."""
        sim = self.stage.sim
        outside = Outside(
            clients=self, clock=sim, workers=1, out=StringIO(), err=StringIO(), certificate=self.certificate
        )
        code = run(words, outside)
        assert isinstance(outside.out, StringIO)
        assert isinstance(outside.err, StringIO)
        return Ran(code, outside.out.getvalue(), outside.err.getvalue())

    def watch(self, *words: str) -> Ran:
        """``ecsroll watch --once --json`` on the queue."""
        return self.ecsroll("watch", "--queue", self.queue, "--once", "--json", *words)

    def put(self, events: Sequence[dict[str, Any]]) -> None:
        """Events of ECS, onto the default bus."""
        for event in events:
            entry = {
                "Source": event["source"],
                "DetailType": event["detail-type"],
                "Detail": json.dumps(event["detail"]),
                "Resources": event["resources"],
                "Time": event["time"],
            }
            self.client("events").put_events(Entries=[entry])

    def send(self, event: dict[str, Any]) -> None:
        """What the rules of terraform/modules/ecs_events let through: a task that starts says nothing."""
        if event["detail"].get("lastStatus") != "RUNNING":
            self.put([event])

    def left(self, queue: str | None = None) -> int:
        """Messages that are in a queue, in flight or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        asked = self.client("sqs").get_queue_attributes(QueueUrl=queue or self.queue, AttributeNames=names)
        return sum(int(asked["Attributes"][name]) for name in names)

    def told(self) -> list[dict[str, Any]]:
        """What came to the topic of alerts; a standard queue keeps no order."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.client("sqs").receive_message(QueueUrl=self.alerts, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            if not messages:
                return found
            for message in messages:
                found.append(json.loads(json.loads(message["Body"])["Message"]))
                self.client("sqs").delete_message(QueueUrl=self.alerts, ReceiptHandle=message["ReceiptHandle"])

    def _furnish(self) -> None:
        sqs, sns, events = (self.client(name) for name in ("sqs", "sns", "events"))
        self.queue, arn = self._queue(sqs, "watch")
        self.alerts, told = self._queue(sqs, "alerts")
        self.topic = sns.create_topic(Name="ecsroll-ami-updates")["TopicArn"]
        self.alert_topic = sns.create_topic(Name="alerts")["TopicArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        sns.subscribe(TopicArn=self.alert_topic, Protocol="sqs", Endpoint=told)
        events.put_rule(Name="ecs", EventPattern=json.dumps({"source": ["aws.ecs"]}))
        events.put_targets(Rule="ecs", Targets=[{"Id": "queue", "Arn": arn}])

    def _queue(self, sqs: Any, name: str) -> tuple[str, str]:
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


@contextmanager
def town(*, age: int = 1, listening: bool = True) -> Iterator[Town]:
    """A cluster whose hosts are ``age`` releases behind, its events on their way to the queue."""
    stage = set_stage(GroupSet(hosts=2, age=age), services=(ServiceSet(name="api", count=4),))
    with serve(stage.sim, neighbour=Neighbours(stage.sim)) as server:
        made = Town(stage, server.url)
        made._furnish()
        if listening:
            Bus(stage.sim, made.send, nasty=True)
        yield made
