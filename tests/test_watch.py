"""``ecsroll watch`` against real SQS, SNS and EventBridge semantics: moto over HTTP beside the simulated cluster."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("moto")

from botocore.exceptions import ClientError
from moto.sqs.models import sqs_backends

from ecsroll.simulator.door import Call
from tests.console import denying
from tests.town import Town, town

REPLACE = (
    "--cluster",
    "demo",
    "--on-ami",
    "replace",
    "--canary",
    "0",
    "--good-readings",
    "1",
    "--poll-interval",
    "15s",
)


def kinds(ran: Any) -> list[str]:
    return [event["event"] for event in ran.events]


def images(there: Town) -> set[str]:
    members = there.stage.sim.scaling.groups["web"].members.values()
    return {member.instance.image_id for member in members if member.state == "InService"}


@pytest.fixture(scope="module")
def published() -> Iterator[tuple[Town, Any, Any]]:
    """A topic told of a new image, and what the watcher made of it."""
    with town() as there:
        told = there.ecsroll("check-ami", "--cluster", "demo", "--publish", there.topic, "--json")
        yield there, told, there.watch(*REPLACE, "--tell", there.alert_topic)


def test_what_is_published_on_a_topic_starts_the_roll(published: tuple[Town, Any, Any]) -> None:
    there, told, ran = published
    assert told.result["published"]
    assert ran.code == 0, ran
    assert images(there) == {there.stage.new_image["web"]}
    order = [kind for kind in kinds(ran) if kind in {"ami_noticed", "ami_outdated", "roll_opened", "roll_ended"}]
    assert order == ["ami_noticed", "ami_outdated", "roll_opened", "roll_ended"]
    assert [roll["result"] for roll in ran.result["rolls"]] == ["done"]


def test_its_signature_was_verified(published: tuple[Town, Any, Any]) -> None:
    _, _, ran = published
    assert (ran.result["messages"]["verified"], ran.result["messages"]["refused"]) == (1, 0)


def test_the_message_is_gone_and_a_roll_is_no_crash_loop(published: tuple[Town, Any, Any]) -> None:
    there, _, ran = published
    assert ran.result["messages"]["taken"] > 4, "the roll's own events came meanwhile"
    assert there.left() == 0
    assert "task_failed" not in kinds(ran)
    assert "alert_raised" not in kinds(ran)


def test_people_are_told_how_it_went(published: tuple[Town, Any, Any]) -> None:
    there, _, _ = published
    told = {fact["event"] for fact in there.told()}
    assert {"ami_outdated", "roll_opened", "roll_closed", "roll_ended"} <= told
    assert "ledger_noted" not in told


def test_the_json_says_what_is_documented(published: tuple[Town, Any, Any]) -> None:
    _, told, ran = published
    assert set(told.result) >= {"published", "groups"}
    assert set(ran.result) >= {"messages", "alerts", "rolls"}


def test_raw_delivery_is_understood_and_has_no_signature(calm: Town) -> None:
    sns, sqs = calm.client("sns"), calm.client("sqs")
    topic = sns.create_topic(Name="raw")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=calm.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=topic, Message=json.dumps({"ECSAmis": [{"ReleaseVersion": "1", "Regions": {}}]}))
    ran = calm.watch("--cluster", "demo")
    assert kinds(ran) == ["watch_started", "ami_noticed"]
    assert ran.result["messages"]["verified"] == 0
    assert calm.left() == 0


@pytest.fixture(scope="module")
def calm() -> Iterator[Town]:
    """A cluster that is up to date, and on which nothing happens."""
    with town(listening=False, age=0) as there:
        yield there


# What is done about a new image ------------------------------------------------------------------------------------


def test_notify_tells_it_once_and_changes_nothing() -> None:
    with town(listening=False) as there:
        before = images(there)
        runs = [there.watch("--cluster", "demo") for _ in range(3)]
        assert [kinds(ran).count("ami_outdated") for ran in runs] == [1, 0, 0]
        assert images(there) == before
        there.stage.sim.images.release("/aws/service/ecs/optimized-ami/amazon-linux-2023", "20260930")
        assert kinds(there.watch("--cluster", "demo")).count("ami_outdated") == 1


def test_plan_says_what_a_roll_would_do() -> None:
    with town(listening=False) as there:
        ran = there.watch("--cluster", "demo", "--on-ami", "plan")
        (told,) = [event for event in ran.events if event["event"] == "roll_planned"]
        assert (told["result"], told["hosts"], told["outdated"]) == ("done", 2, {"web": 2})
        assert told["seconds"] == there.ecsroll("plan", "--cluster", "demo", "--json").result["plan"]["seconds"]
        assert images(there) == {there.stage.old_image["web"]}
        assert there.stage.sim.scaling.groups["web"].min == 0


def test_a_plan_that_would_be_refused_says_why_to_people_too() -> None:
    with town(listening=False) as there:
        there.stage.sim.scaling.groups["web"].suspended["Launch"] = "by hand"
        ran = there.watch("--cluster", "demo", "--on-ami", "plan", "--tell", there.alert_topic)
        assert ran.code == 0, ran
        (told,) = [fact for fact in there.told() if fact["event"] == "roll_planned"]
        assert (told["result"], told["hosts"]) == ("refused", 2)
        assert ("EC102", "blocking") in {(finding["code"], finding["severity"]) for finding in told["findings"]}
        assert told["reason"].startswith("EC102 web")


def test_a_plan_that_could_not_be_made_is_made_at_the_next_look() -> None:
    with town(listening=False) as there:
        words = ("--cluster", "demo", "--on-ami", "plan")
        there.client("sns").publish(TopicArn=there.topic, Message=json.dumps({"ECSAmis": []}))
        with denying(there.stage, "ListTasks"):
            ran = there.watch(*words)
        assert kinds(ran)[-2:] == ["ami_outdated", "watch_trouble"], ran
        assert there.left() == 1, "what it was told has not been dealt with"
        _show_again()
        again = there.watch(*words)
        assert [kind for kind in kinds(again) if kind != "ami_noticed"] == ["watch_started", "roll_planned"]
        assert there.left() == 0
        assert kinds(there.watch(*words)) == ["watch_started"], "planned once for each image"


def test_without_a_queue_the_parameters_are_watched() -> None:
    with town(listening=False) as there:
        ran = there.ecsroll("watch", "--once", "--json", *REPLACE)
        assert ran.code == 0, ran
        assert images(there) == {there.stage.new_image["web"]}


def test_a_roll_that_halted_is_left_to_a_person() -> None:
    with town(listening=False) as there:
        there.stage.sim.conditions.images_that_never_register.add(there.stage.new_image["web"])
        first = there.watch(*REPLACE, "--boot-timeout", "3m")
        assert (first.code, first.result["rolls"][0]["result"]) == (5, "halted"), first
        again = there.watch(*REPLACE, "--boot-timeout", "3m")
        assert (again.code, again.result["rolls"]) == (0, [])


# Alerts ------------------------------------------------------------------------------------------------------------


def crash(there: Town) -> None:
    """The service's tasks die a few seconds after they start, for two minutes; then they live again."""
    sim = there.stage.sim
    sim.conditions.images_that_crash_tasks.add(there.stage.old_image["web"])
    first = next(task for task in sim.tasks.all.values() if task.last_status == "RUNNING")
    sim.tasks.exits(first, 1)
    sim.sleep(120)
    sim.conditions.images_that_crash_tasks.clear()


def test_tasks_that_stop_in_a_loop_make_one_alert_and_one_all_clear() -> None:
    with town(age=0) as there:
        words = ("--cluster", "demo", "--tell", there.alert_topic)
        runs = [there.watch(*words)]
        crash(there)
        for _ in range(8):
            runs.append(there.watch(*words))
            there.stage.sim.sleep(120)
        told = [kind for ran in runs for kind in kinds(ran) if kind.startswith("alert_")]
        assert told == ["alert_raised", "alert_cleared"]
        (raised,) = [event for ran in runs for event in ran.events if event["event"] == "alert_raised"]
        assert (raised["what"], raised["service"], raised["exit_code"]) == ("crash_loop", "api", 1)
        assert sorted(fact["event"] for fact in there.told()) == sorted(told)
        assert there.left() == 0


def test_a_loop_that_is_slower_than_the_runs_of_cron_is_one_all_the_same() -> None:
    with town(age=0) as there:
        told: list[str] = []
        for number in range(7):
            if number < 3:
                running = [task for task in there.stage.sim.tasks.all.values() if task.last_status == "RUNNING"]
                there.stage.sim.tasks.exits(max(running, key=lambda task: task.created_at), 1)
            there.stage.sim.sleep(300)
            told += [kind for kind in kinds(there.watch("--cluster", "demo")) if kind.startswith("alert_")]
        assert told == ["alert_raised", "alert_cleared"]


class Killed(BaseException):
    """kill -9."""


class Dies:
    """A client of SQS in a process that dies when it would delete, or when it just has."""

    def __init__(self, sqs: Any, *, landed: bool = False) -> None:
        self.sqs, self.landed = sqs, landed

    def __getattr__(self, operation: str) -> Any:
        if operation != "delete_message_batch":
            return getattr(self.sqs, operation)

        def die(**params: Any) -> Any:
            if self.landed:
                self.sqs.delete_message_batch(**params)
            raise Killed

        return die


def test_a_watcher_that_is_killed_right_after_it_deleted_loses_no_alert_and_tells_none_twice() -> None:
    with town(age=0) as there:
        words = ("--cluster", "demo", "--tell", there.alert_topic)
        crash(there)
        sqs = there.client("sqs")
        raised: list[int] = []
        while there.left():
            there.clients["sqs"] = Dies(sqs, landed=True)
            with pytest.raises(Killed):
                there.watch(*words)
            there.clients["sqs"] = sqs
            raised.append(sum(fact["event"] == "alert_raised" for fact in there.told()))
        assert sum(raised) == 1, "whichever of the lives it was that saw enough"
        assert kinds(there.watch(*words)) == ["watch_started"]


def test_a_watcher_that_is_killed_before_it_deletes_loses_nothing_and_does_nothing_twice() -> None:
    with town(age=0) as there:
        words = ("--cluster", "demo", "--tell", there.alert_topic, "--visibility", "30s")
        crash(there)

        before = there.left()
        sqs = there.client("sqs")
        there.clients["sqs"] = Dies(sqs)
        with pytest.raises(Killed):
            there.watch(*words)
        there.clients["sqs"] = sqs
        assert there.left() >= before > 3
        _show_again()
        ran = there.watch(*words)
        assert ran.result["messages"]["taken"] >= before
        assert kinds(ran).count("task_failed") >= 3
        raised = [fact["alert"] for fact in there.told() if fact["event"] == "alert_raised"]
        assert len(raised) == 1


def _show_again() -> None:
    """What was in flight is visible again, as it is when its time is over."""
    queues = [queue for by in sqs_backends.values() for backend in by.values() for queue in backend.queues.values()]
    for message in [message for queue in queues for message in queue._messages]:
        message.visible_at = 0


# The queue ---------------------------------------------------------------------------------------------------------


def test_what_is_forged_malformed_or_huge_is_refused_counted_and_does_not_stop_the_watcher(calm: Town) -> None:
    sqs = calm.client("sqs")
    calm.client("sns").publish(TopicArn=calm.topic, Message=json.dumps({"ECSAmis": []}))
    (good,) = sqs.receive_message(QueueUrl=calm.queue, VisibilityTimeout=0)["Messages"]
    forged = {**json.loads(good["Body"]), "Message": json.dumps({"ECSAmis": [{"ReleaseVersion": "9"}]})}
    for body in ("no JSON", "[" * 5000, json.dumps(forged), "x" * 200_000, "7"):
        sqs.send_message(QueueUrl=calm.queue, MessageBody=body)
    ran = calm.watch("--cluster", "demo")
    assert ran.code == 0
    assert kinds(ran).count("message_refused") == 5
    assert (ran.result["messages"]["refused"], ran.result["messages"]["verified"]) == (5, 1)
    assert any("forged" in event.get("why", "") for event in ran.events)
    assert calm.left() == 0


def test_where_the_queue_puts_aside_what_can_not_be_used_that_is_left_to_it(calm: Town) -> None:
    sqs = calm.client("sqs")
    aside = sqs.create_queue(QueueName="aside")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=aside, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    sqs.set_queue_attributes(QueueUrl=calm.queue, Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=calm.queue, MessageBody="poison")
    for _ in range(3):
        assert calm.watch("--cluster", "demo").code == 0
        _show_again()
    assert (calm.left(), calm.left(aside)) == (0, 1)


class Denies(Dies):
    """A client in a process whose credentials may do nothing with that service."""

    def __getattr__(self, operation: str) -> Any:
        said: Any = {"Error": {"Code": "AccessDenied", "Message": f"not authorized: {operation}"}}

        def deny(**_: Any) -> Any:
            raise ClientError(said, operation)

        return deny


def test_a_queue_that_may_not_be_read_is_said_at_the_beginning(calm: Town) -> None:
    sqs = calm.client("sqs")
    calm.clients["sqs"] = Denies(sqs)
    ran = calm.watch("--cluster", "demo")
    calm.clients["sqs"] = sqs
    assert (ran.code, ran.result["exit_code"]) == (6, 6)
    assert "sqs:ReceiveMessage is denied to these credentials" in ran.err
    assert "hint:  the credentials need sqs:ReceiveMessage; docs/watching.md" in ran.err


@pytest.mark.parametrize(
    ("topic", "denied", "code", "said"),
    [
        pytest.param("TOPIC-nowhere", False, 3, "there is no topic TOPIC-nowhere", id="there is none"),
        pytest.param("TOPIC", True, 6, "sns:Publish is denied to these credentials", id="it may not be told"),
        pytest.param("ami-updates", False, 2, "--publish ami-updates: this is no ARN of a topic", id="no ARN"),
    ],
)
def test_a_topic_that_can_not_be_told_of_a_new_image(topic: str, denied: bool, code: int, said: str) -> None:
    with town(listening=False) as there:
        if denied:
            there.clients["sns"] = Denies(there.client("sns"))
        ran = there.ecsroll(
            "check-ami", "--cluster", "demo", "--publish", topic.replace("TOPIC", there.topic), "--json"
        )
        assert (ran.code, ran.result["exit_code"]) == (code, code), ran
        assert ran.err.startswith(f"error: {said.replace('TOPIC', there.topic)}")
        assert "hint:" in ran.err


def test_a_message_stays_hidden_while_its_roll_takes_longer_than_the_queues_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with town(listening=False) as there:
        sim = there.stage.sim
        # The queue's time is the simulated one, and another watcher asks for messages every ten seconds of it.
        monkeypatch.setattr("moto.sqs.models.unix_time_millis", lambda *_: sim.now().timestamp() * 1000)
        stolen: list[Any] = []

        def rival() -> None:
            answer = there.client("sqs").receive_message(QueueUrl=there.queue, VisibilityTimeout=0)
            stolen.extend(answer.get("Messages", ()))
            sim.world.after(10, rival)

        def begin(call: Call) -> None:
            if call.operation == "UpdateAutoScalingGroup":
                sim.door.after.remove(begin)
                sim.world.after(10, rival)

        there.client("sns").publish(TopicArn=there.topic, Message=json.dumps({"ECSAmis": []}))
        sim.door.after.append(begin)
        ran = there.watch(*REPLACE, "--visibility", "30s")
        (roll,) = ran.result["rolls"]
        assert (roll["result"], roll["figures"]["seconds"] > 5 * 30) == ("done", True)
        assert (stolen, there.left()) == ([], 0)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--queue", "watch"), 2, "no address of a queue"),
        (("--on-ami", "reboot"), 2, "notify or plan or replace"),
        (("--on-ami", "replace"), 2, "name the clusters"),
        (("--visibility", "1s", "--ami-interval", "1s", "--topic", "x"), 2, "--topic x"),
        (("--tell", "nowhere"), 2, "no such place"),
        (("--cluster", "nowhere"), 3, "there is no ECS cluster 'nowhere'"),
        (("--queue", "QUEUE-nowhere"), 3, "there is no queue"),
    ],
)
def test_words_that_are_off(calm: Town, words: tuple[str, ...], code: int, said: str) -> None:
    ran = calm.ecsroll("watch", "--once", *(word.replace("QUEUE", calm.queue) for word in words))
    assert (ran.code, said in ran.err) == (code, True), ran
    assert "hint:" in ran.err


def test_records_that_can_not_be_written_are_said_once_and_alerts_go_on() -> None:
    with town(age=0) as there:
        crash(there)
        with denying(there.stage, "PutParameter"):
            ran = there.watch("--cluster", "demo")
        assert (kinds(ran).count("alert_raised"), kinds(ran).count("watch_trouble")) == (1, 1)
