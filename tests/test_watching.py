"""What a watcher says as JSON and to people: documented, and nothing else. In memory, without a queue of moto's."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from ecsroll.events import FOR_PEOPLE, KINDS, WATCHED, Event
from ecsroll.render import QuietScreen, sentence
from ecsroll.simulator.stage import GroupSet, ServiceSet, set_stage
from ecsroll.sinks import Failed, Sinks
from tests.console import FakeClock, Ran, denying, ecsroll
from tests.test_flood import ARN, Account, task, watcher
from tests.test_output import JSON_PAGE, documented, flat
from tests.test_tail import crash, stage_of

REPLACE = ("--on-ami", "replace", "--canary", "0", "--good-readings", "1")
WATCH = ("watch", "--once", "--json", "--cluster", "demo")
ALWAYS = {"ecsroll", "kind", "event", "at", "cluster"}


class Hears(QuietScreen):
    """A screen that keeps what it is told."""

    def __init__(self, told: list[Event]) -> None:
        self.told = told

    def event(self, event: Event) -> None:
        self.told.append(event)


class Deaf:
    """A sink that takes nothing."""

    name = "lines:nowhere"
    people = False

    def send(self, fact: Any, sentence: str) -> None:
        raise Failed(f"no such folder for {fact['event']} {sentence[:0]}")


def service_event(name: str, severity: str, at: str) -> str:
    detail = {"eventType": severity, "eventName": name, "reason": "it did not work", "deploymentId": "ecs-svc/1"}
    kind = "ECS Deployment State Change"
    resources = [f"{ARN}:service/demo/api"]
    event = {"id": f"{name}{at}", "source": "aws.ecs", "detail-type": kind, "time": at, "resources": resources}
    return json.dumps({**event, "detail": detail})


def talk(*, deaf: bool = True) -> list[Event]:
    """What a watcher tells of a queue with a bit of everything in it."""
    clock = FakeClock()
    now = clock.now()
    stops = [task(f"t{number}", "api", now + timedelta(seconds=30 * number), *CRASH) for number in range(4)]
    notice = {"ECSAmis": [{"ReleaseVersion": "1", "OperatingSystemName": "Amazon Linux", "Regions": {}}]}
    bodies = [
        *stops,
        service_event("SERVICE_DEPLOYMENT_FAILED", "ERROR", now.isoformat()),
        service_event("SERVICE_STEADY_STATE", "INFO", (now + timedelta(seconds=9)).isoformat()),
        json.dumps(notice),
        "poison",
    ]
    clock.passed += 130
    there, _ = watcher(Account(bodies, clock))
    told: list[Event] = []
    there.screen = Hears(told)
    there.newest.seen["demo"] = {}  # nothing is asked of images in this account
    if deaf:
        there.sinks = Sinks([Deaf()], clock, sentence, told.append)
    there.run(lambda: None, once=True)
    return told


CRASH = ("EssentialContainerExited", "Essential container in task exited", 1)


@cache
def runs() -> tuple[tuple[Ran, ...], tuple[Event, ...]]:
    stage = set_stage(GroupSet(hosts=2, age=1), services=(ServiceSet(name="api", count=2),))
    crashing = stage_of()
    crash(crashing)
    with denying(stage, "PutParameter"):
        denied = ecsroll(stage, *WATCH)
    plan = ecsroll(stage, *WATCH, "--on-ami", "plan")
    replaced = ecsroll(stage, *WATCH, *REPLACE)
    return (denied, plan, replaced, ecsroll(crashing, "events", "--cluster", "demo", "--once", "--json")), (*talk(),)


def lines() -> list[dict[str, Any]]:
    """Every event of these runs."""
    ran, told = runs()
    mine = [{"event": event.kind, "cluster": None, **event.facts} for event in told]
    return [*mine, *(line for each in ran for line in each.events)]


def test_every_kind_and_each_of_its_keys_is_documented_and_no_other() -> None:
    keys: dict[str, set[str]] = defaultdict(set)
    for line in lines():
        if line["event"] not in KINDS:
            keys[line["event"]] |= {key for key in flat(line) if not key.startswith("outdated.")} - ALWAYS
    stopped = documented("What a watcher tells")
    for kind in ("task_stopped", "host_changed"):  # tests/test_tail.py makes them happen
        keys.setdefault(kind, set(stopped[kind]))
    assert {kind: sorted(found) for kind, found in sorted(keys.items())} == {
        kind: sorted(found) for kind, found in sorted(stopped.items())
    }
    assert set(stopped) == set(WATCHED)


def test_what_it_means_is_documented_in_the_same_words() -> None:
    text = JSON_PAGE.read_text()
    assert [kind for kind, said in WATCHED.items() if f"| {said} |" not in text] == []


def test_the_results_own_keys_are_documented() -> None:
    ran, _ = runs()
    for heading, which in (("Only `watch`", ran[2]), ("Only `events`", ran[3])):
        known = set(documented(heading))
        own = {"messages", "alerts", "rolls", "told"} & set(which.result)
        found = {key for name in own for key in flat({name: which.result[name]})}
        found = {key for key in found if not key.startswith("rolls[]")}
        assert found <= known, heading
        assert {key.split(".")[0].rstrip("[]") for key in known} <= set(which.result), heading


def test_each_kind_has_a_line_for_people() -> None:
    ran, told = runs()
    at = FakeClock().now()
    events = [Event(kind=line["event"], at=at, facts=line) for each in ran for line in each.events]
    for event in (*told, *events):
        if event.kind in WATCHED:
            said = sentence(event)
            assert said, event.kind
            assert "\n" not in said
    assert set(KINDS) | set(WATCHED) >= FOR_PEOPLE


def test_a_failed_deployment_is_an_alert_until_the_service_is_steady() -> None:
    told = [event for event in talk(deaf=False) if event.facts.get("what") == "deployment_failed"]
    assert [event.kind for event in told] == ["alert_raised", "alert_cleared"]
    assert told[0].facts["alert"] == told[1].facts["alert"]


@dataclass
class Flaky(Account):
    """An account whose queue can not be read now and then."""

    fails: list[bool] = field(default_factory=list)

    def _receive_message(self, **params: Any) -> Any:
        if self.fails.pop(0):
            said: Any = {"Error": {"Code": "AccessDenied", "Message": "not now"}}
            raise ClientError(said, "ReceiveMessage")
        return super()._receive_message(**params)


def test_what_fails_is_told_once_and_again_when_it_had_worked_meanwhile() -> None:
    account = Flaky([], FakeClock(), fails=[False, True, True, False, True, True])
    there, _ = watcher(account)
    told: list[Event] = []
    there.screen = Hears(told)
    there.run(lambda: None if account.fails else "enough", once=False)
    queue = [event for event in told if event.facts.get("what") == "queue"]
    assert [event.kind for event in queue] == ["watch_trouble", "watch_trouble"]


def test_a_sink_that_takes_nothing_is_told_and_stops_nothing() -> None:
    told = talk()
    assert [event.facts["sink"] for event in told if event.kind == "sink_failed"] == ["lines:nowhere"]
    assert "alert_raised" in [event.kind for event in told]


def test_a_roll_tells_the_places_that_it_was_given(tmp_path: Any) -> None:
    stage = set_stage(GroupSet(hosts=1, age=1), services=(ServiceSet(name="api", count=1),))
    file = tmp_path / "facts.jsonl"
    words = ("replace", "--cluster", "demo", "--yes", "--canary", "0", "--good-readings", "1", "--json")
    ran = ecsroll(stage, *words, "--tell", f"lines:{file}")
    assert ran.code == 0, ran
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [fact["event"] for fact in told[:-1]] == [event["event"] for event in ran.events]
    assert {fact["cluster"] for fact in told} == {"demo"}
    assert (told[-1]["event"], told[-1]["result"]) == ("roll_ended", "done")


def test_a_roll_whose_places_take_nothing_goes_on(tmp_path: Any) -> None:
    stage = set_stage(GroupSet(hosts=1, age=1), services=(ServiceSet(name="api", count=1),))
    words = ("replace", "--cluster", "demo", "--yes", "--canary", "0", "--good-readings", "1", "--json")
    ran = ecsroll(stage, *words, "--tell", f"lines:{tmp_path / 'no' / 'where'}", "--tell", "log")
    assert (ran.code, ran.result["result"]) == (0, "done"), ran
    assert "sink_failed" in {event["event"] for event in ran.events}
    assert "INFO roll_opened [demo]" in ran.err
