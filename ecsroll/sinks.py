"""Where facts go besides the screen: SNS, Slack, webhooks, EventBridge, files, a log. Each fact once to each of them.

A sink that fails holds nothing up: what it did not take waits in its own short queue, is tried again when the next fact
comes or somebody flushes, and is given up after a while, which is told itself.
"""

import hashlib
import hmac
import json
import os
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from ecsroll.aws import Aws
from ecsroll.clock import Clock
from ecsroll.errors import AwsRefusal, AwsUnavailable, UsageError
from ecsroll.events import FOR_PEOPLE, Event

__all__ = [
    "TOPIC",
    "Bus",
    "Failed",
    "Http",
    "Lines",
    "Log",
    "Sink",
    "Sinks",
    "Slack",
    "Topic",
    "Webhook",
    "http_post",
    "plain",
    "secret",
    "sinks_of",
]

TOPIC = re.compile(r"arn:[^:]+:sns:[^:]+:\d{12}:\S+")
"""The ARN of an SNS topic."""
TRIES = 6
PAUSE = 15.0
"""Seconds until the second try; each further one waits twice as long."""
WAITING = 500
"""Facts that wait for a sink at most; the oldest are given up first."""
LARGEST = 250_000
"""Bytes of a message: SNS and EventBridge take 256 KiB with everything."""


class Failed(Exception):  # noqa: N818 - what happened, in a word
    """A sink did not take a fact: why, without a secret in it."""


class Sink(Protocol):
    """One place that takes facts."""

    @property
    def name(self) -> str:
        """What it is called in messages; never with a secret in it."""
        ...

    @property
    def people(self) -> bool:
        """Whether people read along: then only what a person should know goes there."""
        ...

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        """Take one fact, as plain JSON values and as a line for people. Raises Failed."""
        ...


Http = Callable[[str, bytes, Mapping[str, str]], int]
"""POST a body with these headers; gives the status. Raises Failed."""


def http_post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """By urllib3, in ten seconds, following nothing: a redirect would take the signature elsewhere."""
    import urllib3  # noqa: PLC0415 - only where facts are told to a webhook

    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=7), retries=False)
    try:
        return pool.request("POST", url, body=body, headers=dict(headers), redirect=False).status
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        # urllib3's own sentence may hold the address, and the address of a Slack webhook is its secret.
        raise Failed(f"it can not be reached ({type(error).__name__})") from None


def plain(event: Event) -> dict[str, Any]:
    """A fact as JSON says it on stdout, too (docs/json.md)."""
    return {"ecsroll": 1, "kind": "event", "event": event.kind, "at": event.at.isoformat(), **event.facts}


# The sinks -----------------------------------------------------------------------------------------------------------


@dataclass
class Topic:
    """An SNS topic: the fact as JSON, and a subject for those who get mail."""

    aws: Aws
    arn: str
    people: bool = True

    @property
    def name(self) -> str:
        """Its ARN."""
        return self.arn

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        """Publish. The attribute ``event`` is for filter policies."""
        attributes = {"event": {"DataType": "String", "StringValue": fact["event"]}}
        said = {
            "TopicArn": self.arn,
            "Message": _cut(fact),
            "Subject": _subject(sentence),
            "MessageAttributes": attributes,
        }
        _aws(lambda: self.aws.call("sns", "publish", **said))


def _subject(sentence: str) -> str:
    """SNS takes 100 characters of ASCII without line breaks, none of them in front."""
    words = " ".join(sentence.encode("ascii", "replace").decode().split())
    return f"ecsroll: {words}"[:100]


@dataclass
class Bus:
    """An EventBridge bus: source ``ecsroll``, the kind as detail type."""

    aws: Aws
    bus: str
    people: bool = False

    @property
    def name(self) -> str:
        """With what it is."""
        return f"bus:{self.bus}"

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        """Put one event. PutEvents answers 200 although it took none."""
        del sentence
        entry = {"Source": "ecsroll", "DetailType": fact["event"], "Detail": _cut(fact), "EventBusName": self.bus}
        answer = _aws(lambda: self.aws.call("events", "put_events", Entries=[entry]))
        if answer.get("FailedEntryCount"):
            first = answer["Entries"][0]
            raise Failed(f"{first.get('ErrorCode')}: {first.get('ErrorMessage')}")


@dataclass
class Slack:
    """A Slack-compatible incoming webhook. Its address is the secret, so it is never shown."""

    url: str = field(repr=False)
    shown: str
    post: Http = http_post
    people: bool = True

    @property
    def name(self) -> str:
        """Where its address comes from."""
        return f"slack:{self.shown}"

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        """A line of text."""
        text = f"{_where(fact)}{sentence}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        _posted(self.post(self.url, json.dumps({"text": text[:3000]}).encode(), {"Content-Type": "application/json"}))


def _where(fact: Mapping[str, Any]) -> str:
    return f"[{fact['cluster']}] " if fact.get("cluster") else ""


@dataclass
class Webhook:
    """A webhook of one's own. With a secret the body is signed: HMAC-SHA256 over ``<time>.<body>``."""

    url: str
    clock: Clock
    secret: str = field(default="", repr=False)
    post: Http = http_post
    people: bool = False

    @property
    def name(self) -> str:
        """Without what may be secret in an address: user, password and query."""
        return f"webhook:{_bare(self.url)}"

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        """POST the fact as JSON."""
        body = json.dumps({**fact, "text": sentence}, sort_keys=True).encode()
        headers = {"Content-Type": "application/json"}
        if self.secret:
            at = str(int(self.clock.now().timestamp()))
            signed = hmac.new(self.secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers |= {"X-Ecsroll-Timestamp": at, "X-Ecsroll-Signature": f"sha256={signed}"}
        _posted(self.post(self.url, body, headers))


def _bare(url: str) -> str:
    found = re.match(r"(https?://)(?:[^/@]*@)?([^/?#]+)([^?#]*)", url)
    return f"{found[1]}{found[2]}{found[3]}" if found else "?"


def _posted(status: int) -> None:
    if not 200 <= status < 300:
        raise Failed(f"it answered {status}")


@dataclass
class Lines:
    """A file of JSON lines, which grows."""

    path: Path
    people: bool = False

    @property
    def name(self) -> str:
        """Its path."""
        return f"lines:{self.path}"

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        """Append a line."""
        del sentence
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(fact, sort_keys=True) + "\n")
        except OSError as error:
            raise Failed(str(error)) from error


@dataclass
class Log:
    """Lines for a log on a stream: when, how bad, what."""

    stream: TextIO
    people: bool = False
    name: str = "log"

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        """One line: key=value where a value has no blanks, as log readers like it."""
        level = "WARNING" if fact["event"] in _BAD else "INFO"
        try:
            said = " ".join(f"{_where(fact)}{sentence}".split())
            print(f"{fact['at']} {level} {fact['event']} {said}", file=self.stream, flush=True)
        except OSError as error:
            raise Failed(str(error)) from error


_BAD = {"alert_raised", "message_refused", "sink_failed", "task_failed"}


def _cut(fact: Mapping[str, Any]) -> str:
    """As JSON, if need be without what makes it too long for AWS."""
    text = json.dumps(fact, sort_keys=True)
    if len(text.encode()) <= LARGEST:
        return text
    kept = {key: value for key, value in fact.items() if isinstance(value, str | int | float | bool | None)}
    short = {key: value[:1000] if isinstance(value, str) else value for key, value in kept.items()}
    return json.dumps({**short, "shortened": True}, sort_keys=True)


def _aws(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return call()
    except (AwsRefusal, AwsUnavailable) as error:
        raise Failed(str(error)) from error


# All of them -------------------------------------------------------------------------------------------------------


@dataclass
class _Box:
    """One sink, and what waits for it in order."""

    sink: Sink
    waiting: deque[tuple[Event, str]] = field(default_factory=deque)
    tries: int = 0
    due: float = 0.0
    lost: int = 0
    why: str = ""
    """Why it did not take the last fact."""


@dataclass
class Sinks:
    """Tells every sink each fact once, in order. Never raises, never sleeps.

    ``sentence`` makes the line for people. ``report`` is told, once for each bad time, that a sink gives up facts.
    """

    sinks: Sequence[Sink]
    clock: Clock
    sentence: Callable[[Event], str]
    report: Callable[[Event], None] = lambda _: None

    def __post_init__(self) -> None:
        self._boxes = [_Box(sink) for sink in self.sinks]

    def tell(self, event: Event) -> None:
        """A new fact."""
        sentence = self.sentence(event)
        for box in self._boxes:
            if event.kind in FOR_PEOPLE or not box.sink.people:
                box.waiting.append((event, sentence))
                while len(box.waiting) > WAITING:
                    box.waiting.popleft()
                    box.lost += 1
            self._empty(box)

    def flush(self, *, last: bool = False) -> None:
        """Try what waits; the ``last`` time whether it is due or not, and what is left then is given up."""
        for box in self._boxes:
            if last:
                box.due = 0.0
            self._empty(box)
            if last and box.waiting:
                self._give_up(box, f"{box.why}; the process ends")

    @property
    def waiting(self) -> int:
        """Facts that some sink has not taken yet."""
        return sum(len(box.waiting) for box in self._boxes)

    def _empty(self, box: _Box) -> None:
        while box.waiting and self.clock.elapsed() >= box.due:
            event, sentence = box.waiting[0]
            try:
                box.sink.send(plain(event), sentence or event.kind)
            except Failed as failed:
                self._failed(box, str(failed))
                return
            box.waiting.popleft()
            box.tries, box.due = 0, 0.0

    def _failed(self, box: _Box, why: str) -> None:
        box.tries, box.why = box.tries + 1, why
        box.due = self.clock.elapsed() + PAUSE * 2 ** (box.tries - 1)
        if box.tries >= TRIES:
            self._give_up(box, why)

    def _give_up(self, box: _Box, why: str) -> None:
        """What waits is lost, and said to be; the next fact is tried at once."""
        lost = box.lost + len(box.waiting)
        box.waiting.clear()
        box.tries, box.due, box.lost = 0, 0.0, 0
        facts = {"sink": box.sink.name, "lost": lost, "why": why}
        self.report(Event(kind="sink_failed", at=self.clock.now(), facts=facts))


# From words --------------------------------------------------------------------------------------------------------


def secret(reference: str, aws: Callable[[], Aws], environment: Mapping[str, str] | None = None) -> str:
    """What a reference means: ``env:NAME``, ``ssm:/parameter`` or ``secret:name-or-arn``.

    Raises UsageError where it is no reference, or there is nothing behind it. No message holds the value.
    """
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        value = (os.environ if environment is None else environment).get(name)
        if not value:
            raise UsageError(f"the variable {name} is not set", hint=f"{reference} takes the secret from it")
        return value
    if kind in {"ssm", "secret"} and name:
        return _from_aws(kind, name, aws())
    hint = "say env:NAME, ssm:/parameter or secret:name: a secret on a command line is seen by everybody on the machine"
    raise UsageError("a secret has to be a reference", hint=hint)


def _from_aws(kind: str, name: str, aws: Aws) -> str:
    try:
        if kind == "ssm":
            return str(aws.call("ssm", "get_parameter", Name=name, WithDecryption=True)["Parameter"]["Value"])
        return str(aws.call("secretsmanager", "get_secret_value", SecretId=name)["SecretString"])
    except (AwsRefusal, KeyError) as error:
        code = error.code if isinstance(error, AwsRefusal) else "it holds no text"
        raise UsageError(f"{kind}:{name} can not be read: {code}", hint="check its name and the permissions") from error


def sinks_of(
    words: Sequence[str],
    aws: Callable[[], Aws],
    clock: Clock,
    *,
    err: TextIO,
    signing: str = "",
    environment: Mapping[str, str] | None = None,
    post: Http = http_post,
) -> list[Sink]:
    """The sinks that ``--tell`` names. Raises UsageError for what is none.

    ``signing``: a reference to the secret with which bodies for webhooks are signed. ``aws`` is asked only if needed.
    """
    key = secret(signing, aws, environment) if signing else ""
    made: list[Sink] = []
    for word in words:
        kind, _, rest = word.partition(":")
        match kind:
            case "arn" if TOPIC.fullmatch(word):
                made.append(Topic(aws(), word))
            case "bus" if rest:
                made.append(Bus(aws(), rest))
            case "slack" if rest:
                made.append(Slack(_https(secret(rest, aws, environment), rest), rest, post))
            case "webhook" if rest:
                made.append(Webhook(_https(rest, _bare(rest)), clock, key, post))
            case "lines" if rest:
                made.append(Lines(Path(rest)))
            case "log" if not rest:
                made.append(Log(err))
            case _:
                raise UsageError(f"--tell {_harmless(word)}: there is no such place to tell", hint=_HINT)
    return made


_HINT = (
    "say arn:aws:sns:REGION:ACCOUNT:NAME, bus:NAME, slack:REFERENCE, webhook:URL, lines:PATH or log (docs/watching.md)"
)


def _harmless(word: str) -> str:
    """What was typed, without what may be a secret: an address is cut after its host."""
    found = re.match(r"\w*:?https?://[^/?#@]*", word)
    return f"{found[0]}/..." if found else word[:60]


def _https(url: str, shown: str) -> str:
    """On this machine http will do."""
    if re.match(r"https://[^/\s]+|http://(localhost|127\.0\.0\.1)(:\d+)?(/|$)", url):
        return url
    raise UsageError(
        f"{shown}: an address to tell begins with https://", hint="facts of a cluster do not go unencrypted"
    )
