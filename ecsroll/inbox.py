"""The queue: messages come at least once, in any order, and somebody else gets what is not dealt with in time."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ecsroll.aws import Aws, chunks
from ecsroll.errors import AwsRefusal, AwsUnavailable, NotFound, UsageError
from ecsroll.happenings import Message

__all__ = ["Inbox"]

BATCH = 10
"""SQS gives and takes ten at once."""


@dataclass
class Inbox:
    """One SQS queue. ``visibility``: seconds for which what was received is nobody else's.

    ``longest``: seconds that one receive may wait. A call that is given up before SQS answers has taken messages that
    nobody has then, until they are visible again: so it is less than the call's time, with room for the answer.
    """

    aws: Aws
    url: str
    visibility: float = 300.0
    longest: int = 20
    held: dict[str, Message] = field(default_factory=dict)
    """Messages that are being dealt with, by their ids."""
    _extended: float = 0.0

    def __post_init__(self) -> None:
        if not re.match(r"https?://[^/\s]+/\d{12}/\S+$", self.url):
            raise UsageError(
                f"{self.url!r} is no address of a queue", hint="such as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"
            )

    @property
    def account(self) -> str:
        """Whose queue it is."""
        return self.url.rstrip("/").split("/")[-2]

    @cached_property
    def redrives(self) -> bool:
        """Whether the queue itself puts aside what nobody can deal with. Unknown is no."""
        try:
            answer = self.aws.call("sqs", "get_queue_attributes", QueueUrl=self.url, AttributeNames=["RedrivePolicy"])
            return "deadLetterTargetArn" in json.loads(answer.get("Attributes", {}).get("RedrivePolicy") or "{}")
        except (AwsRefusal, AwsUnavailable, ValueError):
            return False

    def receive(self, wait: float) -> list[Message]:
        """Up to ten messages, waiting so many seconds for the first (``longest`` at most). They are held from now on.

        Raises NotFound where there is no such queue, AwsUnavailable where it can not be read.
        """
        began = self.aws.clock.elapsed()
        try:
            answer = self.aws.call(
                "sqs",
                "receive_message",
                QueueUrl=self.url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=min(round(wait), self.longest),
                VisibilityTimeout=round(self.visibility),
                AttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
        except AwsRefusal as no:
            if "NonExistentQueue" in no.code or "QueueDoesNotExist" in no.code:
                raise NotFound(f"there is no queue {self.url}", hint="check the region and the account") from no
            raise
        if not self.held:
            self._extended = began
        messages = [_message(said) for said in answer.get("Messages", ())]
        self.held.update({message.id: message for message in messages})
        return messages

    def done(self, messages: Iterable[Message]) -> None:
        """Delete what was dealt with. What can not be deleted comes again, and is old news then."""
        for some in chunks(list(messages), BATCH):
            self._batch("delete_message_batch", some)
            for message in some:
                self.held.pop(message.id, None)

    def leave(self, messages: Iterable[Message]) -> None:
        """Let go of what could not be dealt with: the queue brings it again, and puts it aside after a few times."""
        for message in messages:
            self.held.pop(message.id, None)

    def give_back(self, messages: Iterable[Message]) -> None:
        """Let go of what somebody else is to deal with at once: it is visible again."""
        for some in chunks(list(messages), BATCH):
            self._batch("change_message_visibility_batch", some, VisibilityTimeout=0)
            self.leave(some)

    def keep(self) -> None:
        """Stay the only one who deals with what is held; to be called often, it acts when a third of the time is over.

        Twelve hours after it was received SQS gives a message to somebody else, whatever we say: then it comes again.
        """
        now = self.aws.clock.elapsed()
        if not self.held or now - self._extended < self.visibility / 3:
            return
        self._extended = now
        for some in chunks(list(self.held.values()), BATCH):
            self._batch("change_message_visibility_batch", some, VisibilityTimeout=round(self.visibility))

    def _batch(self, operation: str, messages: Iterable[Message], **more: Any) -> None:
        entries = [
            {"Id": str(place), "ReceiptHandle": message.receipt, **more} for place, message in enumerate(messages)
        ]
        try:
            self.aws.call("sqs", operation, QueueUrl=self.url, Entries=entries)
        except (AwsRefusal, AwsUnavailable):
            return  # at-least-once delivery makes up for it


def _message(said: dict[str, Any]) -> Message:
    attributes = said.get("Attributes", {})
    sent = attributes.get("SentTimestamp")
    return Message(
        id=said["MessageId"],
        body=said.get("Body", ""),
        receipt=said["ReceiptHandle"],
        sent=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None,
        received=int(attributes.get("ApproximateReceiveCount", 1)),
    )
