"""What a message of a queue says: unwrapped, checked, and read as one of the things that a watcher knows.

A queue holds what EventBridge put there (the event itself), what SNS put there (an envelope around the message, or with
raw delivery the message), or what anybody put there. Whatever it is, it is read without harm: too large, not JSON,
nested a thousand deep, forged, sent again a week later.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecsroll.notices import AWS_ACCOUNTS, AmiNotice, ami_notice
from ecsroll.signatures import Forged, Signatures
from ecsroll.stops import StoppedTask, moment, stopped_task

__all__ = [
    "Confirmation",
    "Happening",
    "HostChanged",
    "Message",
    "Other",
    "Reader",
    "ServiceNews",
    "TaskStopped",
    "Unreadable",
    "ecs_event",
]

LARGEST = 1024 * 1024
"""SQS's own limit, in bytes."""
LATE = timedelta(hours=1)
"""Between SNS's time and the queue's: SNS delivers within seconds, and retries a queue for a while."""


_TYPES = {"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"}


class Unreadable(ValueError):  # noqa: N818 - what it is, in a word
    """A message that says nothing that could be used: why, in a few words without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as SQS gives it."""

    id: str
    body: str
    receipt: str = ""
    sent: datetime | None = None
    received: int = 1
    """How often it has been received, this time included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStopped:
    """A task that has stopped."""

    task: StoppedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChanged:
    """A container instance: its agent came or went, it drains, it registered."""

    host: str
    cluster: str
    instance: str
    status: str
    connected: bool
    at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNews:
    """A service action or a deployment's change: names are data, new ones come (aws-facts 7.4)."""

    cluster: str
    service: str
    severity: str
    """INFO, WARN or ERROR."""
    name: str
    reason: str
    at: datetime
    id: str
    deployment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Somebody subscribed this queue to a topic, and the topic wants it confirmed."""

    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """An event of a kind that means nothing here."""

    what: str


Happening = AmiNotice | TaskStopped | HostChanged | ServiceNews | Confirmation | Other


@dataclass
class Reader:
    """Reads messages. ``topics``: those that are believed besides AWS's own and those of ``account``."""

    signatures: Signatures
    account: str = ""
    topics: frozenset[str] = frozenset()
    counts: dict[str, int] = field(default_factory=dict)
    """How many were ``verified``, ``unsigned`` (raw, or from EventBridge) and ``unchecked``."""

    def read(self, message: Message) -> Happening:
        """What it says. Raises Unreadable."""
        if len(message.body.encode(errors="replace")) > LARGEST:
            raise Unreadable(f"{len(message.body)} characters are more than any message has")
        said = _json(message.body)
        if not isinstance(said, Mapping):
            raise Unreadable("it is no JSON object")
        if isinstance(said.get("Type"), str) and isinstance(said.get("Message"), str) and "TopicArn" in said:
            return self._enveloped(said, message)
        self._count("unsigned")
        return _content(said)

    def _enveloped(self, envelope: Mapping[str, Any], message: Message) -> Happening:
        topic, subject = envelope.get("TopicArn"), envelope.get("Subject")
        if envelope["Type"] not in _TYPES:
            raise Unreadable("an envelope of a kind that SNS does not have")
        if not isinstance(topic, str):
            raise Unreadable("its envelope names no topic")
        if not self._believed(topic):
            raise Unreadable(f"topic {topic[:200]} is not one that is listened to")
        try:
            self._count(self.signatures.check(envelope))
        except Forged as error:
            raise Unreadable(f"forged: {error}") from error
        self._check_age(envelope, message)
        if envelope["Type"] != "Notification":
            return Confirmation(topic=topic)
        said = _json_or_text(envelope["Message"])
        return _content(said, topic=topic, subject=subject if isinstance(subject, str) else "")

    def _believed(self, topic: str) -> bool:
        """Everybody can have a topic with a good signature; so it matters whose it is."""
        owner = topic.split(":")[4:5]
        return topic in self.topics or (bool(owner) and owner[0] in AWS_ACCOUNTS | {self.account})

    def _check_age(self, envelope: Mapping[str, Any], message: Message) -> None:
        """A message that SNS signed long before it was sent to the queue was kept by somebody and sent again."""
        if message.sent is None:
            return
        try:
            signed = moment(envelope.get("Timestamp"))
        except ValueError as error:
            raise Unreadable("its envelope has no time") from error
        if signed is None or message.sent - signed > LATE:
            raise Unreadable(
                f"replayed: SNS sent it at {envelope.get('Timestamp')}, the queue has it since {message.sent}"
            )

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is no JSON") from error


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _content(said: Any, *, topic: str = "", subject: str = "") -> Happening:
    notice = ami_notice(said, topic=topic, subject=subject)
    if notice is not None:
        return notice
    if isinstance(said, Mapping) and "detail-type" in said:
        return ecs_event(said)
    raise Unreadable("it is neither an AMI notice nor an event")


# Events of ECS -----------------------------------------------------------------------------------------------------


def ecs_event(said: Mapping[str, Any]) -> Happening:
    """An EventBridge event. Raises Unreadable where ECS's own keys are missing or of another kind."""
    kind, detail = said.get("detail-type"), said.get("detail")
    if said.get("source") != "aws.ecs":
        return Other(what=f"{said.get('source')}: {kind}")
    if not isinstance(detail, Mapping):
        raise Unreadable("an event without a detail")
    try:
        match kind:
            case "ECS Task State Change":
                task = stopped_task(detail)
                return TaskStopped(task=task) if task is not None else Other(what="a task that has not stopped")
            case "ECS Container Instance State Change":
                return _host(detail, said)
            case "ECS Service Action" | "ECS Deployment State Change":
                return _service(detail, said)
            case _:
                return Other(what=str(kind))
    except ValueError as error:
        raise Unreadable(f"{kind}: {error}") from error


def _host(detail: Mapping[str, Any], said: Mapping[str, Any]) -> HostChanged:
    arn = _need(detail, "containerInstanceArn")
    version = detail.get("version")
    return HostChanged(
        host=arn,
        cluster=_need(detail, "clusterArn").rpartition("/")[2],
        instance=str(detail.get("ec2InstanceId") or ""),
        status=str(detail.get("status") or ""),
        connected=detail.get("agentConnected") is not False,
        at=_time(said),
        version=version if isinstance(version, int) else 0,
    )


def _service(detail: Mapping[str, Any], said: Mapping[str, Any]) -> ServiceNews:
    """By ``resources``: the detail has the name under one key in some events, under another in others (facts 7.1)."""
    resources = said.get("resources")
    arn = resources[0] if isinstance(resources, list) and resources else None
    if not isinstance(arn, str) or "/" not in arn:
        raise Unreadable("it names no service")
    parts = arn.partition(":service/")[2].split("/")
    cluster = str(detail.get("clusterArn") or "").rpartition("/")[2]
    return ServiceNews(
        cluster=parts[0] if len(parts) > 1 else cluster,
        service=parts[-1],
        severity=str(detail.get("eventType") or ""),
        name=_need(detail, "eventName"),
        reason=str(detail.get("reason") or ""),
        at=_time(said),
        id=str(said.get("id") or ""),
        deployment=str(detail.get("deploymentId") or ""),
    )


def _need(detail: Mapping[str, Any], key: str) -> str:
    found = detail.get(key)
    if not isinstance(found, str) or not found:
        raise Unreadable(f"it has no {key}")
    return found


def _time(said: Mapping[str, Any]) -> datetime:
    found = moment(said.get("time"))
    if found is None:
        raise Unreadable("it has no time")
    return found
