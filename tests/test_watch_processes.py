"""``ecsroll watch`` as a process of its own, in the middle of a roll: told to stop, and killed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from ecsroll.aws import Aws
from ecsroll.lease import standing
from ecsroll.model import Policy
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests.rolls import stage_of
from tests.test_http_roll import bounds, ecsroll, endpoint
from tests.watch import Watch

pytest.importorskip("moto")

from tests.test_watch import _show_again as show_again

NOTICE = json.dumps({"ECSAmis": [{"ReleaseVersion": "1", "OsType": "linux", "Regions": {}}]})
QUICK = ("--canary", "0", "--bake", "0s", "--good-readings", "1", "--poll-interval", "0.2s", "--lease-ttl", "6s")


@dataclass
class Post:
    """A served stage and a queue with one notice in it."""

    stage: Stage
    environment: dict[str, str]
    sqs: Any
    queue: str

    @property
    def words(self) -> tuple[str, ...]:
        return ("watch", "--queue", self.queue, "--cluster", "demo", "--on-ami", "replace", "--json", *QUICK)

    def left(self, *, hidden: bool = True) -> int:
        """Messages in the queue, with those that somebody holds or without them."""
        names = ["ApproximateNumberOfMessages", *["ApproximateNumberOfMessagesNotVisible"] * hidden]
        asked = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(map(int, asked.values()))

    def until(self, event: str, number: int) -> tuple[int, dict[str, Any]]:
        """Watch until a roll has told that event, then send the signal; exit code and, if one was told, result."""
        running = subprocess.Popen(
            [sys.executable, "-m", "ecsroll", *self.words], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert running.stdout is not None
        if not any(json.loads(line)["event"] == event for line in iter(running.stdout.readline, "")):
            pytest.fail(f"it never came to {event}")
        running.send_signal(number)
        out, _ = running.communicate(timeout=60)
        lines = out.splitlines()
        return running.returncode, json.loads(lines[-1]) if lines else {}

    def once(self) -> tuple[int, dict[str, Any]]:
        """Let the next watcher do what there is to do."""
        ran = ecsroll(self.environment, *self.words, "--once")
        return ran.returncode, json.loads(ran.stdout.splitlines()[-1])


@contextmanager
def post(name: str) -> Iterator[Post]:
    stage = stage_of(GroupSet(hosts=1, spare=1), services=(ServiceSet(name="api", count=1),))
    with endpoint(stage, 240.0) as environment:
        said = {"region_name": environment["AWS_REGION"], "aws_access_key_id": "a", "aws_secret_access_key": "b"}
        sqs = boto3.client("sqs", endpoint_url=environment["AWS_ENDPOINT_URL"], **said)  # type: ignore[call-overload]
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody=NOTICE)
        yield Post(stage, environment, sqs, queue)


def test_a_roll_that_two_watchers_left_by_sigterm_and_by_kill_9_is_ended_by_the_third() -> None:
    with post("roll-cut-off-twice") as there:
        before, watch = bounds(there.stage), Watch(there.stage, Policy())

        code, result = there.until("drain_started", signal.SIGTERM)
        assert (code, result["exit_code"], result["result"]) == (130, 130, "interrupted")
        assert [roll["result"] for roll in result["rolls"]] == ["interrupted"]
        assert result["next"].startswith("ecsroll replace --cluster demo")
        assert standing(Aws(there.stage.sim, there.stage.sim), "demo").free, "the lease was given back"
        hosts = there.stage.sim.clusters.find("demo").registered
        assert {host.status for host in hosts if host.instance.state == "running"} == {"ACTIVE"}
        assert there.left() == 1, "the message was not dealt with"
        assert there.left(hidden=False) == 1, "it was given back: the next watcher has it at once"

        code, _ = there.until("drain_started", signal.SIGKILL)
        assert (code, there.left()) == (-signal.SIGKILL, 1)

        show_again()
        code, result = there.once()
        assert (code, [roll["result"] for roll in result["rolls"]]) == (0, ["done"])
        assert result["rolls"][0]["hosts"] == {"replaced": 1, "remaining": 0}
        assert (result["messages"]["taken"], there.left()) == (1, 0)
        watch.look()
        assert (bounds(there.stage), watch.breaches) == (before, [])
