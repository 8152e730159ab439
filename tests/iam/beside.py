"""What stands beside the cluster, behind the same door: a queue with messages, a topic, a bus, a secret.

No model of SQS and the like (moto's are in ``tests/town.py``): just answers, so that calls pass the policy first.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecsroll.simulator import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Beside"]

Params = dict[str, Any]


@dataclass
class Beside:
    """Answers what the simulated AWS does not serve."""

    sim: Simulation
    messages: list[str]
    """Bodies that wait in the queue."""
    deleted: int = 0
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        served: Callable[[str, str, Params], Params] = self.sim.door.answer
        own: dict[str, Callable[[Params], Params]] = {
            "GetQueueAttributes": lambda _: {"Attributes": {}},
            "ReceiveMessage": self._receive,
            "DeleteMessageBatch": self._delete,
            "ChangeMessageVisibilityBatch": lambda _: {"Successful": [], "Failed": []},
            "Publish": lambda said: self._hear(said["TopicArn"], {"MessageId": "1"}),
            "PutEvents": lambda said: self._hear(said["Entries"][0]["EventBusName"], {"FailedEntryCount": 0}),
            "GetSecretValue": lambda _: {"SecretString": "a secret"},
        }

        def answer(service: str, operation: str, params: Params) -> Params:
            return own[operation](params) if operation in own else served(service, operation, params)

        self.sim.door.answer = answer

    @property
    def queue(self) -> str:
        """The queue's address."""
        return f"https://sqs.{self.sim.world.region}.amazonaws.com/{self.sim.world.account}/watch"

    @property
    def topic(self) -> str:
        """The topic's ARN."""
        return f"arn:aws:sns:{self.sim.world.region}:{self.sim.world.account}:ecs-alerts"

    def _receive(self, params: Params) -> Params:
        del params
        some, self.messages = self.messages[:10], self.messages[10:]
        return {"Messages": [{"MessageId": f"{body[:40]}", "ReceiptHandle": "r", "Body": body} for body in some]}

    def _delete(self, params: Params) -> Params:
        self.deleted += len(params["Entries"])
        return {"Successful": [], "Failed": []}

    def _hear(self, where: str, answer: Params) -> Params:
        self.told.append(where)
        return answer
