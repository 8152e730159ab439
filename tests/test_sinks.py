"""Where facts go: each once, in order, whatever the place does; and no secret in anything that is said."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from ecsroll.aws import Aws
from ecsroll.errors import AwsRefusal, UsageError
from ecsroll.events import Event
from ecsroll.sinks import Bus, Failed, Lines, Log, Sink, Sinks, Slack, Topic, Webhook, http_post, secret, sinks_of
from tests.console import FakeClock

SECRET = "hooks.slack.example/T0/B0/kept-to-ourselves"
CLOCK = FakeClock()


def fact(kind: str = "alert_raised", **facts: Any) -> Event:
    return Event(kind=kind, at=CLOCK.now(), facts={"cluster": "demo", **facts})


@dataclass
class Place:
    """A sink that takes what it is told to take."""

    name: str = "place"
    people: bool = False
    fails: int = 0
    taken: list[str] = field(default_factory=list)
    tried: int = 0

    def send(self, fact: Mapping[str, Any], sentence: str) -> None:
        self.tried += 1
        if self.fails:
            self.fails -= 1
            raise Failed("not now")
        self.taken.append(sentence)
        assert fact["ecsroll"] == 1


def telling(*places: Sink, clock: FakeClock | None = None, reported: list[Event] | None = None) -> Sinks:
    told = reported if reported is not None else []
    return Sinks(places, clock or FakeClock(), lambda event: str(event.facts.get("n", event.kind)), told.append)


# Each fact once ------------------------------------------------------------------------------------------------------


def test_each_fact_goes_once_to_each_place() -> None:
    places = [Place(), Place()]
    sinks = telling(*places)
    for number in range(5):
        sinks.tell(fact(n=number))
    assert [place.taken for place in places] == [["0", "1", "2", "3", "4"]] * 2


def test_a_place_that_fails_gets_everything_later_in_order_and_holds_up_no_other() -> None:
    clock, bad, good = FakeClock(), Place(fails=2), Place()
    sinks = telling(bad, good, clock=clock)
    for number in range(4):
        sinks.tell(fact(n=number))
    assert (bad.taken, good.taken, bad.tried) == ([], ["0", "1", "2", "3"], 1)
    clock.sleep(15)
    sinks.flush()
    assert (bad.taken, bad.tried) == ([], 2)
    clock.sleep(30)
    sinks.flush()
    assert bad.taken == ["0", "1", "2", "3"]
    assert sinks.waiting == 0
    assert clock.slept == [15, 30], "telling never sleeps"


def test_a_place_that_goes_on_failing_is_given_up_and_that_is_told_once() -> None:
    clock, reported = FakeClock(), list[Event]()
    bad = Place(fails=10**6)
    sinks = telling(bad, clock=clock, reported=reported)
    sinks.tell(fact(n=1))
    sinks.tell(fact(n=2))
    for _ in range(20):
        clock.sleep(60)
        sinks.flush()
    assert [event.facts for event in reported] == [{"sink": "place", "lost": 2, "why": "not now"}]
    bad.fails = 0
    sinks.tell(fact(n=3))
    assert bad.taken == ["3"]


def test_what_waits_is_bounded() -> None:
    bad = Place(fails=10**6)
    sinks = telling(bad)
    for number in range(2000):
        sinks.tell(fact(n=number))
    assert sinks.waiting == 500


def test_at_the_end_everything_is_tried_once_more_and_what_is_left_is_told() -> None:
    reported: list[Event] = []
    bad, late = Place(fails=2), Place(fails=1)
    sinks = telling(bad, late, reported=reported)
    sinks.tell(fact(n=1))
    sinks.flush(last=True)
    assert late.taken == ["1"]
    assert [event.facts["why"] for event in reported] == ["not now; the process ends"]


def test_people_get_what_a_person_should_know_and_machines_get_all() -> None:
    people, machine = Place(people=True), Place()
    sinks = telling(people, machine)
    for kind in ("ledger_noted", "alert_raised", "drain_started", "roll_ended"):
        sinks.tell(fact(kind))
    assert people.taken == ["alert_raised", "roll_ended"]
    assert len(machine.taken) == 4


# The kinds -----------------------------------------------------------------------------------------------------------


@dataclass
class Client:
    """Any AWS client: notes its calls."""

    answers: dict[str, Any]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, operation: str) -> Any:
        def call(**params: Any) -> Any:
            self.calls.append((operation, params))
            return self.answers.get(operation, {})

        return call

    def client(self, _: str) -> Any:
        return self


def aws(answers: dict[str, Any] | None = None) -> tuple[Aws, Client]:
    client = Client(answers or {})
    return Aws(client, FakeClock(), workers=1), client


def said(**facts: Any) -> dict[str, Any]:
    return {
        "ecsroll": 1,
        "kind": "event",
        "event": "alert_raised",
        "at": "2026-09-28T12:00:00",
        "cluster": "demo",
        **facts,
    }


def test_a_topic_gets_json_with_a_subject_that_sns_takes() -> None:
    way, client = aws()
    Topic(way, "arn:aws:sns:eu-west-1:111122223333:alerts").send(said(), "tasks of schön\nkeep failing: " + "x" * 200)
    ((operation, params),) = client.calls
    assert operation == "publish"
    assert json.loads(params["Message"])["event"] == "alert_raised"
    assert params["MessageAttributes"]["event"]["StringValue"] == "alert_raised"
    assert len(params["Subject"]) <= 100
    assert params["Subject"].isascii()
    assert "\n" not in params["Subject"]


def test_a_fact_that_is_too_long_for_aws_is_cut_and_says_so() -> None:
    way, client = aws()
    Topic(way, "arn:aws:sns:eu-west-1:111122223333:alerts").send(said(why="x" * 300_000, hosts=["y" * 9] * 90_000), "s")
    text = client.calls[0][1]["Message"]
    assert len(text) < 5000
    assert json.loads(text)["shortened"] is True


def test_a_bus_that_takes_an_event_but_does_not() -> None:
    entries = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]}
    way, client = aws({"put_events": entries})
    with pytest.raises(Failed, match="ThrottlingException: slow down"):
        Bus(way, "ops").send(said(), "s")
    (entry,) = client.calls[0][1]["Entries"]
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == ("ecsroll", "alert_raised", "ops")


class Post:
    """A web server that answers so."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.got = status, list[tuple[str, bytes, Mapping[str, str]]]()

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.got.append((url, body, headers))
        return self.status


def test_slack_gets_one_line_and_its_own_signs_are_written_out() -> None:
    post = Post()
    Slack(f"https://{SECRET}", "env:SLACK", post).send(said(), "exit <1> & more")
    assert json.loads(post.got[0][1]) == {"text": "[demo] exit &lt;1&gt; &amp; more"}


def test_the_body_for_a_webhook_is_signed_with_its_time() -> None:
    post, clock = Post(), FakeClock()
    Webhook("https://ops.example/hook", clock, "key", post).send(said(), "a sentence")
    _, body, headers = post.got[0]
    at = headers["X-Ecsroll-Timestamp"]
    expected = hmac.new(b"key", at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert at == str(int(clock.now().timestamp()))
    assert headers["X-Ecsroll-Signature"] == f"sha256={expected}"
    assert json.loads(body) == said(text="a sentence")


def test_without_a_secret_there_is_no_signature() -> None:
    post = Post()
    Webhook("https://ops.example/hook", FakeClock(), "", post).send(said(), "s")
    assert "X-Ecsroll-Signature" not in post.got[0][2]


@pytest.mark.parametrize("status", [199, 301, 404, 500])
def test_every_answer_but_2xx_is_a_failure(status: int) -> None:
    with pytest.raises(Failed, match=str(status)):
        Webhook("https://ops.example/hook", FakeClock(), "", Post(status)).send(said(), "s")


def test_what_can_not_be_reached_is_said_without_its_address() -> None:
    with pytest.raises(Failed) as caught:
        http_post(f"http://127.0.0.1:9/{SECRET}", b"{}", {})
    assert SECRET not in str(caught.value)
    with pytest.raises(Failed):
        http_post("https://[", b"{}", {})


def test_lines_grow_and_a_folder_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "facts.jsonl")
    lines.send(said(n=1), "s")
    lines.send(said(n=2), "s")
    assert [json.loads(line)["n"] for line in lines.path.read_text().splitlines()] == [1, 2]
    with pytest.raises(Failed):
        Lines(tmp_path / "no" / "facts.jsonl").send(said(), "s")


def test_a_log_line_has_its_level_and_is_one_line() -> None:
    stream = StringIO()
    Log(stream).send(said(), "two\nlines")
    Log(stream).send(said(event="ami_noticed"), "new")
    assert stream.getvalue().splitlines() == [
        "2026-09-28T12:00:00 WARNING alert_raised [demo] two lines",
        "2026-09-28T12:00:00 INFO ami_noticed [demo] new",
    ]


# From words, and secrets ---------------------------------------------------------------------------------------------


def made(*words: str, way: Aws | None = None, **more: Any) -> list[Sink]:
    return sinks_of(words, lambda: way or aws()[0], FakeClock(), err=StringIO(), **more)


def test_every_kind_of_place() -> None:
    environment = {"SLACK": f"https://{SECRET}", "KEY": "k"}
    found = made(
        "arn:aws:sns:eu-west-1:111122223333:alerts",
        "bus:default",
        "slack:env:SLACK",
        "webhook:https://user:password@ops.example/hook?token=1",
        "lines:facts.jsonl",
        "log",
        signing="env:KEY",
        environment=environment,
    )
    assert [type(sink) for sink in found] == [Topic, Bus, Slack, Webhook, Lines, Log]
    names = " ".join(sink.name for sink in found)
    for word in (SECRET, "password", "token"):
        assert word not in names
        assert word not in repr(found[2])
    assert "slack:env:SLACK" in names
    assert "webhook:https://ops.example/hook" in names


def test_secrets_from_ssm_and_from_secrets_manager() -> None:
    way, client = aws({"get_parameter": {"Parameter": {"Value": "one"}}, "get_secret_value": {"SecretString": "two"}})
    assert (secret("ssm:/a/b", lambda: way), secret("secret:x", lambda: way)) == ("one", "two")
    assert client.calls[0][1] == {"Name": "/a/b", "WithDecryption": True}


BAD = [
    f"slack:https://{SECRET}",
    "slack:",
    "slack:env:NOT_THERE",
    "slack:env:INSECURE",
    "webhook:http://ops.example/hook",
    "webhook:ftp://ops.example",
    f"hook:https://{SECRET}",
    "arn:aws:sqs:eu-west-1:1:queue",
    "arn:aws:sns:eu-west-1:alerts",
    "log:somewhere",
    "bus:",
    "",
]


@pytest.mark.parametrize("word", BAD)
def test_what_is_no_place_is_refused_without_saying_a_secret(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(word, environment={"INSECURE": f"http://{SECRET}"})
    said = f"{caught.value} {caught.value.hint}"
    assert "kept-to-ourselves" not in said
    assert caught.value.hint


def test_a_secret_that_is_not_there() -> None:
    class Empty(Client):
        def __getattr__(self, operation: str) -> Any:
            raise AwsRefusal("ParameterNotFound", "no", call=operation)

    with pytest.raises(UsageError, match="ParameterNotFound"):
        secret("ssm:/a", lambda: Aws(Empty({}), FakeClock(), workers=1))
    with pytest.raises(UsageError, match="holds no text"):
        secret("secret:binary", lambda: aws()[0])
