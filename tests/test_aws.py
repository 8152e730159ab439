"""How AWS is reached: the pace, the one retry, paging, and AWS's errors in our words. Small fakes, a given clock."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from ecsroll.aws import Aws, Pace, chunks, session
from ecsroll.errors import AwsRefusal, AwsUnavailable, EcsrollError, UsageError

Said = dict[str, Any] | Exception


@dataclass
class Hourglass:
    """A clock on which sleeping is all that passes."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 3, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class Oracle:
    """Clients that answer what they were told to, in this order, and the last of it for ever."""

    says: Sequence[Said]
    clock: Hourglass = field(default_factory=Hourglass)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        self.made.append(service)
        return self

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**params: Any) -> dict[str, Any]:
            said = self.says[min(len(self.asked), len(self.says) - 1)]
            self.asked.append((operation, params))
            self.at.append(self.clock.seconds)
            if isinstance(said, Exception):
                raise said
            return said

        return call

    def aws(self, **more: Any) -> Aws:
        return Aws(self, self.clock, **{"workers": 1, "chance": random.Random(7), **more})


def refusal(code: str, message: str = "No.", status: int = 400) -> ClientError:
    said: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "X")


# Pace: never above half of a bucket's refill (aws-facts 6)

BUCKETS = {
    "reading container instances and tasks": (
        20,
        [("ecs", "describe_tasks"), ("ecs", "list_tasks"), ("ecs", "describe_container_instances")],
    ),
    "changing container instances": (
        40,
        [
            ("ecs", "update_container_instances_state"),
            ("ecs", "put_attributes"),
            ("ecs", "delete_attributes"),
            ("ecs", "deregister_container_instance"),
        ],
    ),
    "reading services": (20, [("ecs", "describe_services"), ("ecs", "list_services")]),
    "reading protection": (80, [("ecs", "get_task_protection")]),
    "the whole of Auto Scaling": (
        10,
        [("autoscaling", "describe_auto_scaling_groups"), ("autoscaling", "update_auto_scaling_group")],
    ),
    "reading EC2": (10, [("ec2", "describe_instances"), ("ec2", "describe_images")]),
    "changing EC2": (5, [("ec2", "create_launch_template_version"), ("ec2", "modify_launch_template")]),
    "reading parameters": (
        40,
        [("ssm", "get_parameters_by_path"), ("ssm", "get_parameter"), ("ssm", "get_parameters")],
    ),
    "writing parameters, and their history": (
        3,
        [("ssm", "put_parameter"), ("ssm", "get_parameter_history"), ("ssm", "delete_parameter")],
    ),
    "a service that nobody named": (10, [("logs", "describe_log_groups")]),
}


@pytest.mark.parametrize(("refill", "calls"), BUCKETS.values(), ids=BUCKETS)
def test_at_most_half_of_a_buckets_refill_is_taken(refill: float, calls: list[tuple[str, str]]) -> None:
    clock = Hourglass()
    pace = Pace(clock)
    made = 61
    for n in range(made):
        pace.take(*calls[n % len(calls)])
    assert clock.seconds == pytest.approx((made - 1) * 2 / refill)


def test_one_bucket_does_not_wait_for_another() -> None:
    clock = Hourglass()
    pace = Pace(clock)
    for call in [("ecs", "list_tasks"), ("ssm", "put_parameter"), ("ssm", "get_parameter"), ("ecs", "put_attributes")]:
        pace.take(*call)
    assert clock.slept == []


def test_after_a_pause_no_wait_and_no_burst() -> None:
    clock = Hourglass()
    pace = Pace(clock)
    pace.take("ecs", "list_tasks")
    clock.seconds = 60.0
    pace.take("ecs", "list_tasks")
    assert clock.slept == []
    pace.take("ecs", "list_tasks")
    assert clock.slept == [pytest.approx(0.1)]


# The one retry


def test_a_call_that_works_is_made_once_and_counted() -> None:
    oracle = Oracle([{"x": 1}])
    aws = oracle.aws()
    assert aws.call("ecs", "describe_tasks", cluster="prod") == {"x": 1}
    aws.call("ecs", "list_tasks")
    aws.call("ecs", "get_task_protection")
    aws.call("ecs", "put_attributes")
    assert oracle.asked[0] == ("describe_tasks", {"cluster": "prod"})
    assert (aws.made_calls, aws.changes) == (4, 1)
    assert oracle.made == ["ecs"]


PASSING = {
    "throttled by ECS": refusal("ThrottlingException"),
    "throttled by EC2": refusal("RequestLimitExceeded", status=503),
    "throttled by Auto Scaling": refusal("Throttling"),
    "a parameter is being written by others": refusal("TooManyUpdates"),
    "a scaling activity is under way": refusal("ScalingActivityInProgress"),
    "the group is being changed by others": refusal("ResourceContention", status=500),
    "a trouble of theirs": refusal("ServerException", status=500),
    "a bad gateway": refusal("502", status=502),
    "the answer got lost": ReadTimeoutError(endpoint_url="https://ecs"),
    "no connection in time": ConnectTimeoutError(endpoint_url="https://ecs"),
    "no connection": EndpointConnectionError(endpoint_url="https://ecs"),
    "an answer that is none of AWS's": ResponseParserError("Unable to parse response, invalid XML received: <html>"),
}


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_a_passing_trouble_is_waited_out_on_the_given_clock(error: Exception) -> None:
    oracle = Oracle([error, error, error, {"x": 1}])
    assert oracle.aws().call("ecs", "list_tasks") == {"x": 1}
    assert len(oracle.asked) == 4
    assert oracle.clock.seconds == sum(oracle.clock.slept) > 0


def test_waits_have_full_jitter_under_a_ceiling_that_doubles() -> None:
    def waits(seed: int) -> list[float]:
        oracle = Oracle([refusal("Throttling")] * 12 + [{}])
        oracle.aws(patience=10_000.0, chance=random.Random(seed)).call("ecs", "get_task_protection")
        return oracle.clock.slept

    many = [waits(seed) for seed in range(40)]
    for nth, ceiling in enumerate([0.5, 1, 2, 4, 8, 16, 20, 20, 20]):
        drawn = [run[nth] for run in many]
        assert all(0.05 <= wait <= ceiling for wait in drawn)
        assert max(drawn) > ceiling * 0.8
        assert min(drawn) < ceiling * 0.3
    assert waits(1) == waits(1) != waits(2)


def test_a_reading_that_can_be_done_without_is_not_waited_for() -> None:
    oracle = Oracle([EndpointConnectionError(endpoint_url="https://iam")])
    with pytest.raises(AwsUnavailable):
        oracle.aws(patience=120.0).ask("iam", "simulate_principal_policy")
    assert oracle.clock.seconds < 10


OPTIONAL = {
    "a server that goes on failing is believed soon": (refusal("InternalError", status=500), 5),
    "an answer that is none of AWS's is believed soon": (ResponseParserError("<html>"), 5),
    "throttling is waited for": (refusal("Throttling", "Rate exceeded"), 60),
    "contention in the group is waited for": (refusal("ResourceContention", status=500), 60),
    "a lost network is waited for": (EndpointConnectionError(endpoint_url="https://ecs"), 60),
}


@pytest.mark.parametrize(("trouble", "longest"), OPTIONAL.values(), ids=OPTIONAL)
def test_how_long_an_optional_reading_is_tried(trouble: Exception, longest: float) -> None:
    oracle = Oracle([trouble])
    with pytest.raises(AwsUnavailable):
        oracle.aws(patience=60.0).optional("autoscaling", "describe_instance_refreshes")
    assert longest < oracle.clock.seconds < longest + 21


def test_patience_ends() -> None:
    oracle = Oracle([refusal("Throttling", "Rate exceeded")])
    with pytest.raises(AwsUnavailable, match="ecs:ListTasks keeps failing: Rate exceeded"):
        oracle.aws(patience=60.0).call("ecs", "list_tasks")
    assert 60 < oracle.clock.seconds < 60 + 21


def test_a_page_that_a_proxy_sends_with_status_200_is_no_answer_without_members() -> None:
    page = {"ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {"content-type": "text/html; charset=utf-8"}}}
    with pytest.raises(AwsUnavailable, match="ssm:GetParametersByPath keeps failing: the answer is none that AWS"):
        Oracle([page]).aws(patience=5.0).pages("ssm", "get_parameters_by_path", "Parameters", Path="/ecsroll/prod")
    assert Oracle([page, {"taskArns": ["a"]}]).aws().pages("ecs", "list_tasks", "taskArns") == ["a"]


def test_a_call_that_fails_for_long_is_told_of_while_it_is_tried() -> None:
    told: list[tuple[float, str]] = []
    oracle = Oracle([refusal("Throttling", "Rate exceeded")])
    aws = oracle.aws(patience=120.0, trouble=lambda line: told.append((oracle.clock.seconds, line)))
    with pytest.raises(AwsUnavailable):
        aws.call("ecs", "list_tasks")
    assert 10 <= told[0][0] < 10 + 20
    assert re.fullmatch(
        r"ecs:ListTasks has been failing for \d\ds, and is tried for 120s: Rate exceeded", told[0][1]
    ), told
    assert 2 <= len(told) <= 4  # not at every try
    assert all(later - before >= 30 for (before, _), (later, _) in pairwise(told))


def test_a_call_that_fails_for_a_moment_is_nothing_to_tell_of() -> None:
    told: list[str] = []
    Oracle([refusal("Throttling")] * 3 + [{}]).aws(trouble=told.append).call("ecs", "list_tasks")
    assert told == []


@pytest.mark.parametrize("error", [refusal("ValidationError"), refusal("NotImplemented", status=501)])
def test_a_no_is_not_asked_again(error: ClientError) -> None:
    oracle = Oracle([error])
    with pytest.raises(AwsRefusal):
        oracle.aws().call("ecs", "list_tasks")
    assert len(oracle.asked) == 1


# What must not land twice

ONCE = "terminate_instance_in_auto_scaling_group"


@pytest.mark.parametrize(
    "error",
    [
        PASSING["the answer got lost"],
        PASSING["no connection in time"],
        PASSING["a trouble of theirs"],
        PASSING["a bad gateway"],
        refusal("InternalFailure", status=500),
    ],
)
def test_after_an_ambiguous_failure_it_is_never_sent_again(error: Exception) -> None:
    oracle = Oracle([error, {"x": 1}])
    assert oracle.aws().call_once("autoscaling", ONCE) is None
    assert len(oracle.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        PASSING["throttled by Auto Scaling"],
        PASSING["a scaling activity is under way"],
        PASSING["the group is being changed by others"],
    ],
)
def test_what_surely_did_not_land_is_sent_again(error: Exception) -> None:
    oracle = Oracle([error, error, {"x": 1}])
    assert oracle.aws().call_once("autoscaling", ONCE) == {"x": 1}
    assert len(oracle.asked) == 3


def test_an_ambiguous_failure_after_a_throttle_ends_it_too() -> None:
    oracle = Oracle([refusal("Throttling"), PASSING["the answer got lost"], {"x": 1}])
    assert oracle.aws().call_once("autoscaling", ONCE) is None
    assert len(oracle.asked) == 2


def test_what_surely_did_not_land_past_patience_is_said() -> None:
    with pytest.raises(AwsUnavailable, match="keeps failing"):
        Oracle([refusal("Throttling")]).aws(patience=5.0).call_once("autoscaling", ONCE)


def test_a_no_and_a_denial_are_said() -> None:
    with pytest.raises(AwsRefusal):
        Oracle([refusal("ValidationError")]).aws().call_once("autoscaling", ONCE)
    with pytest.raises(AwsUnavailable, match="denied"):
        Oracle([refusal("AccessDenied")]).aws().call_once("autoscaling", ONCE)


# AWS's errors in our words

DENIED = "User: x is not authorized to perform: autoscaling:TerminateInstanceInAutoScalingGroup"

ERRORS: dict[str, tuple[Exception, type[EcsrollError], int, str, str]] = {
    "denied: the missing action is named": (
        refusal("AccessDenied", DENIED, 403),
        AwsUnavailable,
        6,
        f"autoscaling:TerminateInstanceInAutoScalingGroup is denied to these credentials: {DENIED}",
        "the credentials need autoscaling:TerminateInstanceInAutoScalingGroup",
    ),
    "denied by ECS": (
        refusal("AccessDeniedException", status=400),
        AwsUnavailable,
        6,
        "is denied to these credentials: No.",
        "the credentials need",
    ),
    "denied by EC2": (
        refusal("UnauthorizedOperation", status=403),
        AwsUnavailable,
        6,
        "is denied to these credentials",
        "the credentials need",
    ),
    "denied by SNS": (
        refusal("AuthorizationError", status=403),
        AwsUnavailable,
        6,
        "is denied to these credentials",
        "the credentials need",
    ),
    "denied by the key of a queue": (
        refusal("KmsAccessDenied", "The ciphertext refers to a key that ...", 400),
        AwsUnavailable,
        6,
        "is denied to these credentials: The ciphertext refers to a key",
        "the credentials need",
    ),
    "expired: sign in again, it goes on": (
        refusal("ExpiredTokenException", "The security token is expired", 403),
        AwsUnavailable,
        6,
        "AWS does not accept the credentials: The security token is expired",
        "sign in again, then run the same command",
    ),
    "unknown keys": (
        refusal("UnrecognizedClientException", status=403),
        AwsUnavailable,
        6,
        "AWS does not accept the credentials",
        "sign in again",
    ),
    "no credentials": (NoCredentialsError(), AwsUnavailable, 6, "Unable to locate credentials", "sign in again"),
    "half of the credentials": (
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        AwsUnavailable,
        6,
        "Partial credentials found",
        "sign in again",
    ),
    "no region": (NoRegionError(), UsageError, 2, "no AWS region is set", "--region"),
    "unreachable": (
        EndpointConnectionError(endpoint_url="https://ecs.eu-west-1"),
        AwsUnavailable,
        6,
        "keeps failing: Could not connect to the endpoint URL",
        "run the same command again",
    ),
    "an answer that is none of AWS's": (
        ResponseParserError("Unable to parse response, invalid XML received: <html>"),
        AwsUnavailable,
        6,
        "keeps failing: the answer is none that AWS gives",
        "run the same command again",
    ),
    "an error without a message": (
        ClientError({"Error": {"Code": "Odd"}}, "X"),
        AwsRefusal,
        1,
        "autoscaling:TerminateInstanceInAutoScalingGroup was refused: Odd (Odd)",
        "please report it",
    ),
    "a request that botocore does not let out": (
        ParamValidationError(report="Unknown parameter"),
        AwsUnavailable,
        6,
        "could not be made: Parameter validation failed",
        "check the endpoint",
    ),
}


@pytest.mark.parametrize(("error", "kind", "code", "said", "hint"), ERRORS.values(), ids=ERRORS)
def test_errors(error: Exception, kind: type[EcsrollError], code: int, said: str, hint: str) -> None:
    with pytest.raises(EcsrollError) as caught:
        Oracle([error]).aws(patience=1.0).call("autoscaling", ONCE)
    assert type(caught.value) is kind
    assert caught.value.exit_code == code
    assert said in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.__cause__ is error


def test_a_refusal_keeps_its_code_for_whoever_knows_what_it_means() -> None:
    with pytest.raises(AwsRefusal) as caught:
        Oracle([refusal("ParameterNotFound", "There is none.")]).aws().call("ssm", "delete_parameter")
    assert (caught.value.code, caught.value.sentence) == ("ParameterNotFound", "There is none.")
    assert caught.value.call == "ssm:DeleteParameter"


# Pages


@pytest.mark.parametrize(
    ("service", "asked", "told"),
    [("ecs", "nextToken", "nextToken"), ("elbv2", "Marker", "NextMarker"), ("ssm", "NextToken", "NextToken")],
)
def test_a_short_or_empty_page_is_not_the_end(service: str, asked: str, told: str) -> None:
    oracle = Oracle([{"items": [1, 2], told: "a"}, {"items": [], told: "b"}, {told: "c"}, {"items": [3]}])
    assert oracle.aws().pages(service, "list_things", "items", cluster="prod") == [1, 2, 3]
    assert [params for _, params in oracle.asked] == [
        {"cluster": "prod"},
        {"cluster": "prod", asked: "a"},
        {"cluster": "prod", asked: "b"},
        {"cluster": "prod", asked: "c"},
    ]


def test_an_empty_token_is_the_end() -> None:
    oracle = Oracle([{"items": [], "nextToken": ""}])
    assert oracle.aws().pages("ecs", "list_things", "items") == []
    assert len(oracle.asked) == 1


def test_no_partial_list_when_a_page_is_refused() -> None:
    with pytest.raises(AwsRefusal):
        Oracle([{"items": [1], "nextToken": "a"}, refusal("InvalidParameterException")]).aws().pages(
            "ecs", "list_things", "items"
        )


# Side by side


def _boom() -> int:
    raise AwsUnavailable("no", hint="wait")


@pytest.mark.parametrize("workers", [1, 4])
def test_readings_side_by_side_keep_their_order(workers: int) -> None:
    aws = Oracle([{}]).aws(workers=workers)
    assert aws.gather([partial(int, n) for n in range(9)]) == list(range(9))
    assert aws.gather([]) == []
    with pytest.raises(AwsUnavailable):
        aws.gather([lambda: 1, _boom, lambda: 3])


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, [[0, 1]]), (3, [[0, 1, 2]]), (4, [[0, 1, 2], [3]])])
def test_chunks(count: int, expected: list[list[int]]) -> None:
    assert chunks(list(range(count)), 3) == expected


# Sessions


def test_an_unknown_profile_is_a_word_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with pytest.raises(UsageError, match="there is no AWS profile 'nobody'"):
        session("eu-west-1", "nobody")


def test_a_session_without_a_region_is_a_word_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(UsageError, match="no AWS region is set"):
        session()


def test_a_session_without_credentials_says_where_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AwsUnavailable, match="no AWS credentials were found"):
        session("eu-west-1")


def test_a_client_never_retries_by_itself_and_never_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    config = session("eu-west-1", call_timeout=8.0).client("sts").meta.config
    assert config.retries == {"total_max_attempts": 1, "mode": "legacy"} or config.retries["total_max_attempts"] == 1
    assert config.connect_timeout + config.read_timeout == 8.0
