"""Ten thousand events, a fifth of them twice, shuffled, one in a hundred malformed: right verdicts in flat memory."""

import json
import random
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import process_time
from typing import Any

from botocore.exceptions import ClientError

from ecsroll.aws import Aws
from ecsroll.errors import EXIT_OK
from ecsroll.events import Event
from ecsroll.happenings import Reader
from ecsroll.inbox import Inbox
from ecsroll.render import QuietScreen
from ecsroll.signatures import Signatures
from ecsroll.sinks import Sinks
from ecsroll.watch import Watcher
from tests.console import FakeClock

ARN = "arn:aws:ecs:eu-west-1:111122223333"
MALFORMED = ("", "{", "[[[", "null", '{"detail-type": "ECS Task State Change", "source": "aws.ecs", "detail": 7}')


@dataclass
class Account:
    """An AWS with a cluster, two hundred services of four tasks, and a queue that is handed out in tens."""

    bodies: list[str]
    clock: FakeClock
    handed: int = 0
    deleted: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    parameters: dict[str, str] = field(default_factory=dict)

    def client(self, _: str) -> Any:
        return self

    def __getattr__(self, operation: str) -> Any:
        def call(**params: Any) -> Any:
            self.asked[operation] += 1
            if not hasattr(type(self), f"_{operation}"):
                said: Any = {"Error": {"Code": "AccessDenied", "Message": f"not for us: {operation}"}}
                raise ClientError(said, operation)
            return getattr(self, f"_{operation}")(**params)

        return call

    def _receive_message(self, **_: Any) -> Any:
        self.clock.passed += 0.5
        some, self.bodies = self.bodies[:10], self.bodies[10:]
        self.handed += len(some)
        return {
            "Messages": [
                {"MessageId": f"m-{self.handed}-{place}", "ReceiptHandle": "r", "Body": body}
                for place, body in enumerate(some)
            ]
        }

    def _delete_message_batch(self, *, Entries: list[Any], **_: Any) -> Any:  # noqa: N803 - AWS's name
        self.deleted += len(Entries)
        return {}

    def _get_queue_attributes(self, **_: Any) -> Any:
        return {}

    def _describe_clusters(self, **_: Any) -> Any:
        return {"clusters": [{"status": "ACTIVE"}]}

    def _describe_services(self, **_: Any) -> Any:
        return {"services": [{"desiredCount": 4, "runningCount": 4, "deployments": [{}]}]}

    def _get_parameter(self, *, Name: str, **_: Any) -> Any:  # noqa: N803
        return {"Parameter": {"Value": self.parameters.get(Name, "{}")}}

    def _put_parameter(self, *, Name: str, Value: str, **_: Any) -> Any:  # noqa: N803
        self.parameters[Name] = Value
        return {"Version": 1}


@dataclass
class Screen(QuietScreen):
    """Counts what it is told."""

    told: Counter[str] = field(default_factory=Counter)
    alerts: list[str] = field(default_factory=list)

    def event(self, event: Event) -> None:
        self.told[event.kind] += 1
        if event.kind == "alert_raised":
            self.alerts.append(event.facts["service"])


def flood(count: int, began: datetime, chance: random.Random) -> tuple[list[str], int]:
    """Bodies as they come, and how many different failures are among them."""
    events, failures = [], 0
    for number in range(count):
        at = began + timedelta(seconds=chance.uniform(0, 600))
        looping = number % 50 == 0
        if looping:
            service, code, reason, exit_code = (
                "broken",
                "EssentialContainerExited",
                "Essential container in task exited",
                1,
            )
        else:
            service, code = f"web-{chance.randrange(200)}", "ServiceSchedulerInitiated"
            reason, exit_code = "Scaling activity initiated by (deployment ecs-svc/1)", chance.choice((0, 137, 143))
        failures += looping
        events.append(task(f"{began:%H%M}-{number}", service, at, code, reason, exit_code))
    bodies = [*events, *chance.sample(events, count // 5)]
    for place in chance.sample(range(len(bodies)), len(bodies) // 100):
        bodies.insert(place, chance.choice(MALFORMED))
    # Out of order, as SQS is: within a few minutes of where it belongs.
    order = sorted(range(len(bodies)), key=lambda place: place + chance.uniform(0, 2000))
    return [bodies[place] for place in order], failures


def task(name: str, service: str, at: datetime, code: str, reason: str, exit_code: int) -> str:
    stopped = at.isoformat()
    detail = {
        "taskArn": f"{ARN}:task/demo/{name}",
        "clusterArn": f"{ARN}:cluster/demo",
        "taskDefinitionArn": f"{ARN}:task-definition/{service}:1",
        "containerInstanceArn": f"{ARN}:container-instance/demo/{hash(name) % 50}",
        "group": f"service:{service}",
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "createdAt": (at - timedelta(seconds=20)).isoformat(),
        "startedAt": (at - timedelta(seconds=10)).isoformat(),
        "stoppedAt": stopped,
        "stopCode": code,
        "stoppedReason": reason,
        "containers": [{"name": "app", "exitCode": exit_code, "lastStatus": "STOPPED"}],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "version": 6,
    }
    event = {"version": "0", "id": name, "detail-type": "ECS Task State Change", "source": "aws.ecs", "time": stopped}
    return json.dumps({**event, "resources": [detail["taskArn"]], "detail": detail})


@contextmanager
def untraced() -> Iterator[Callable[[], float]]:
    """Gives the seconds of processor time that this process has taken since: what else the machine does is not in it.

    Whoever measures coverage traces each line, and that would be measured, too.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    began = process_time()
    took = [0.0]
    try:
        yield lambda: took[0]
    finally:
        took[0] = process_time() - began
        sys.settrace(tracer)


def watcher(account: Account) -> tuple[Watcher, Screen]:
    aws = Aws(account, account.clock, workers=1)
    screen = Screen()
    there = Watcher(
        way=lambda _: aws,
        clusters=("demo",),
        on_ami="notify",
        inbox=Inbox(aws, "https://sqs.eu-west-1.amazonaws.com/111122223333/watch"),
        reader=Reader(Signatures(account.clock), account="111122223333"),
        screen=screen,
        sinks=Sinks((), account.clock, lambda event: event.kind),
        policy=lambda _: None,  # type: ignore[arg-type, return-value]
        interval=float("inf"),
    )
    there._polled_at = 0.0  # no images in this account
    return there, screen


def test_ten_thousand_events_in_any_order_are_judged_rightly() -> None:
    clock = FakeClock()
    bodies, failures = flood(10_000, clock.now(), random.Random(1))
    account = Account(bodies, clock)
    there, screen = watcher(account)
    count = len(bodies)
    with untraced() as took:
        result = there.run(lambda: None, once=True)
    assert count / took() > 2000, f"{count} messages took {took():.2f} s of one core"
    assert result.exit_code == EXIT_OK
    assert screen.told["task_failed"] == failures == 200
    assert screen.told["message_refused"] == count - 12_000 == 120
    assert screen.alerts == ["broken"]
    assert (account.deleted, result.more["messages"]["taken"]) == (count, count)
    # The work is in proportion: two calls for ten messages, and a handful for the one alert.
    assert account.asked["receive_message"] + account.asked["delete_message_batch"] <= 2 * (count / 10 + 2)
    assert sum(account.asked.values()) <= 2 * (count / 10 + 2) + 20


def test_its_memory_is_flat() -> None:
    clock = FakeClock(passed=24 * 3600.0)
    account = Account([], clock)
    there, _ = watcher(account)
    there.alerts.once.size = 1000
    sizes = []
    for hour in range(4):
        account.bodies, _ = flood(1200, clock.now(), random.Random(hour))
        there.run(lambda: None, once=True)
        clock.passed += 3600
        if hour == 0:
            tracemalloc.start()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # Twelve hundred more that are kept would be a quarter of a megabyte by their names alone.
    assert sizes[3] - sizes[2] < 100_000, sizes
