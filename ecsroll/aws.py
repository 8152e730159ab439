"""How AWS is reached: sessions, pace, the one retry; AWS's errors become ours. Nothing else imports boto3.

botocore's own retries are off, so that tenacity here, sleeping on the given clock, is the only retry (DESIGN 10).
"""

import copy
import math
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as Unreachable
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp
from tenacity import RetryCallState, Retrying, retry_if_exception

from ecsroll.clock import Clock
from ecsroll.errors import AwsRefusal, AwsUnavailable, UsageError

__all__ = ["SHOWS", "Aws", "Clients", "Pace", "chunks", "denied", "place_of", "session"]

T = TypeVar("T")
S = TypeVar("S")

# The token buckets that all callers of an account and region share (aws-facts 6), with their refill per second; we take
# at most half of it. What is not named here is in its service's bucket "".
_REFILL: dict[tuple[str, str], float] = {
    ("ecs", ""): 20,
    ("ecs", "cluster read"): 20,
    ("ecs", "definition read"): 20,
    ("ecs", "provider read"): 20,
    ("ecs", "service read"): 20,
    ("ecs", "resource read"): 20,
    ("ecs", "resource modify"): 40,
    ("ecs", "protection"): 80,
    ("autoscaling", ""): 10,  # unpublished: DESIGN 9 allows five a second
    ("ec2", "read"): 10,
    ("ec2", ""): 5,
    ("elbv2", ""): 10,
    ("ssm", "read"): 40,
    ("ssm", ""): 3,
    ("sts", ""): 20,
    ("cloudwatch", ""): 9,  # DescribeAlarms; what a watcher asks may be asked more often
    ("iam", ""): 10,  # unpublished
    ("sqs", ""): 600,  # a standard queue takes nearly any number (facts 6.5)
    ("sns", ""): 60,
    ("events", ""): 60,
    ("secretsmanager", ""): 20,
}
_BUCKET: dict[str, str] = {
    "ecs describe_clusters": "cluster read",
    "ecs list_clusters": "cluster read",
    "ecs describe_task_definition": "definition read",
    "ecs describe_capacity_providers": "provider read",
    "ecs describe_services": "service read",
    "ecs list_services": "service read",
    "ecs describe_container_instances": "resource read",
    "ecs list_container_instances": "resource read",
    "ecs describe_tasks": "resource read",
    "ecs list_tasks": "resource read",
    "ecs update_container_instances_state": "resource modify",
    "ecs deregister_container_instance": "resource modify",
    "ecs put_attributes": "resource modify",
    "ecs delete_attributes": "resource modify",
    "ecs stop_task": "resource modify",
    "ecs get_task_protection": "protection",
    "ec2 describe_instances": "read",
    "ec2 describe_images": "read",
    "ec2 describe_instance_types": "read",
    "ec2 describe_launch_templates": "read",
    "ec2 describe_launch_template_versions": "read",
    "ssm get_parameter": "read",
    "ssm get_parameters": "read",
    "ssm get_parameters_by_path": "read",
}

_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "TooManyUpdates",
        "SlowDown",
    }
)
# ResourceContention comes as a 500 and ScalingActivityInProgress as a 400; both pass (facts 5.1).
_PASSING = frozenset({"ResourceContention", "ScalingActivityInProgress", "RequestTimeout", "InternalFailure"})
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnauthorizedAccess",
        "AuthFailure",
        "NotAuthorized",
        "AuthorizationError",  # SNS
        "KMSAccessDenied",  # the key of a topic, and that of a queue
        "KmsAccessDenied",
    }
)
_EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    }
)

FIRST = ["ecs", "autoscaling", "ec2"]
"""The services of a first look; the one whose client takes longest to make is last."""
SOON = 5.0
"""Seconds that are spent on one call that can be done without."""
SHOWS = 10.0
"""Seconds after which what was written shows in any reading (aws-facts 9: one lags by up to five)."""

_TROUBLE = (ClientError, BotoCoreError, ResponseParserError)
SILENT = 10.0
"""Seconds for which a call may fail before anybody hears of it."""
_QUEUES = {"sqs", "sns", "events"}
_TOKENS = {"elbv2": ("Marker", "NextMarker"), "ecs": ("nextToken", "nextToken")}


class Clients(Protocol):
    """Where clients come from: a boto3 session, or a simulation."""

    def client(self, service: str) -> Any:
        """A boto3 client."""
        ...


def session(region: str | None = None, profile: str | None = None, *, call_timeout: float = 20.0) -> Clients:
    """A session of the standard AWS environment, checked before anything is asked of it.

    Raises UsageError without a region or with an unknown profile, AwsUnavailable without credentials.
    """
    core = botocore.session.Session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_in_utc)
    try:
        # boto3 knows only AWS_DEFAULT_REGION; the AWS CLI's other kin, Lambda and ECS set AWS_REGION.
        made = boto3.Session(
            region_name=region or os.environ.get("AWS_REGION"), profile_name=profile, botocore_session=core
        )
        found = made.get_credentials()
    except ProfileNotFound as error:
        raise UsageError(
            f"there is no AWS profile {profile!r}", hint="aws configure list-profiles shows them"
        ) from error
    except BotoCoreError as error:
        raise AwsUnavailable(f"AWS credentials can not be read: {error}", hint="aws sts get-caller-identity") from error
    if made.region_name is None:
        raise UsageError("no AWS region is set", hint="give --region, or set AWS_REGION")
    if found is None:
        hint = "run aws configure sso (or aws login), set AWS_PROFILE, or give the task a role"
        raise AwsUnavailable("no AWS credentials were found", hint=hint)
    return _Session(made, call_timeout)


def _in_utc(said: Any) -> datetime:
    """A time of an answer. botocore gives some in the machine's own zone, and what is told says Z."""
    found: datetime = parse_timestamp(said)
    return found.astimezone(UTC)


def place_of(region: str | None = None, profile: str | None = None) -> tuple[str | None, str]:
    """The region that the standard AWS environment means, if any, and the partition it is in. Needs no credentials.

    Raises UsageError with an unknown profile or a word that is no region.
    """
    try:
        made = boto3.Session(region_name=region or os.environ.get("AWS_REGION"), profile_name=profile)
        found = made.region_name
        return found, made.get_partition_for_region(found) if found else "aws"
    except ProfileNotFound as error:
        raise UsageError(
            f"there is no AWS profile {profile or os.environ.get('AWS_PROFILE')!r}",
            hint="aws configure list-profiles shows them",
        ) from error
    except BotoCoreError as error:
        raise UsageError(f"{region or 'the region'} is no AWS region: {error}", hint="such as eu-central-1") from error


@dataclass
class _Session:
    made: boto3.Session
    timeout: float

    def client(self, service: str) -> Any:
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=self.timeout / 4,
            read_timeout=self.timeout * 3 / 4,
            max_pool_connections=16,
            user_agent_extra="ecsroll",
        )
        try:
            return self.made.client(service, config=config)  # type: ignore[call-overload]
        except ValueError as error:  # "Invalid endpoint: ..."
            hint = "look at AWS_ENDPOINT_URL and the profile's endpoint_url: such as http://127.0.0.1:8080"
            raise UsageError(f"{service} of AWS can not be called: {error}", hint=hint) from error


@dataclass
class Pace:
    """At most half of each bucket's refill, so that the account's other tools keep theirs."""

    clock: Clock
    next_free: dict[tuple[str, str], float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, service: str, operation: str) -> None:
        """Wait until the next call of this bucket may be made."""
        bucket = _bucket(service, operation)
        with self.lock:
            now = self.clock.elapsed()
            at = max(now, self.next_free.get(bucket, now))
            self.next_free[bucket] = at + 2 / _REFILL.get(bucket, 10)
        if at > now:
            self.clock.sleep(at - now)


def _bucket(service: str, operation: str) -> tuple[str, str]:
    return (service, _BUCKET.get(f"{service} {operation}", ""))


@dataclass
class Aws:
    """Every call that ecsroll makes goes through :meth:`call`.

    ``patience`` is how long one call is tried for, in seconds. ``workers`` of 1 makes calls one after another, in a
    fixed order: what the simulator needs to be deterministic.
    """

    clients: Clients
    clock: Clock
    patience: float = 120.0
    longest_wait: float = 20.0
    """Seconds between two tries of one call at most."""
    workers: int = 8
    chance: random.Random = field(default_factory=random.Random)
    made: dict[str, Any] = field(default_factory=dict)
    made_calls: int = 0
    changes: int = 0
    guard: Callable[[], None] | None = None
    """Called before every attempt of a call: a long reading must not let the lease run out. Raises if this process may
    not act (any more)."""
    trouble: Callable[[str], None] | None = None
    """Told of a call that has been failing for a while and is still tried: nobody is to wait in silence."""
    told: float | None = None
    """When (steady clock) that was last."""

    def __post_init__(self) -> None:
        self.pace = Pace(self.clock)
        self.lock = threading.Lock()
        self.making = threading.Lock()

    @property
    def region(self) -> str:
        """Where this is."""
        return str(self._client("ecs").meta.region_name)

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """One call: paced, retried while the trouble is a passing one.

        Raises AwsRefusal when AWS says no to what was asked, AwsUnavailable when it denied, throttled past patience or
        could not be reached.
        """
        return self._try(_passes, service, operation, params)

    def ask(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """A reading that can be done without: nobody waits minutes for it. Raises as ``call`` does, sooner."""
        return self._try(_passes, service, operation, params, patience=SOON)

    def optional(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """A reading that a roll can do without. Raises as ``call`` does.

        Throttling and a lost network are waited for as ever: a check that was not made is worse than a late one. A
        server that goes on failing is believed soon: what answers in the place of AWS fails so at what it lacks.
        """
        return self._try(_passes, service, operation, params, failing=SOON)

    def call_once(self, service: str, operation: str, **params: Any) -> dict[str, Any] | None:
        """One call that must not land twice: sent again only if AWS said that it did not land.

        None when nobody knows whether it landed (a lost answer, a 5xx): the next reading shows it.
        """
        try:
            return self._try(_surely_not_landed, service, operation, params)
        except AwsUnavailable as error:
            if error.__cause__ is not None and _passes(error.__cause__) and not _surely_not_landed(error.__cause__):
                return None
            raise

    def _try(
        self,
        passes: Callable[[BaseException], bool],
        service: str,
        operation: str,
        params: dict[str, Any],
        patience: float | None = None,
        failing: float = math.inf,
    ) -> dict[str, Any]:
        """``failing``: seconds for which a server may answer with nothing but errors of its own."""
        # The first try goes without tenacity: nearly every call works at once, and a rehearsal makes thousands of them.
        began = self.clock.elapsed()
        patience = self.patience if patience is None else patience

        def enough(error: BaseException | None) -> bool:
            longest = min(patience, failing) if _fails(error) else patience
            return self.clock.elapsed() - began > longest

        try:
            try:
                return self._once(service, operation, params)
            except _TROUBLE as error:
                if not passes(error) or enough(error):
                    raise
            self.clock.sleep(self._backoff(1))
            tell = partial(self._tell, _call_of(service, operation), began, patience)
            again = self._retrying(passes, enough, tell)
            answer: dict[str, Any] = again(self._once, service, operation, params)
        except _TROUBLE as error:
            raise _ours(error, service, operation) from error
        return answer

    def _retrying(
        self,
        passes: Callable[[BaseException], bool],
        enough: Callable[[BaseException | None], bool],
        tell: Callable[[RetryCallState], None],
    ) -> Retrying:
        """Tries from the second one on, while the trouble is a passing one and it was not enough."""
        return Retrying(
            sleep=self.clock.sleep,
            before_sleep=tell,
            stop=lambda state: enough(state.outcome.exception() if state.outcome else None),
            wait=lambda state: self._backoff(state.attempt_number + 1),
            retry=retry_if_exception(passes),
            reraise=True,
        )

    def _tell(self, call: str, began: float, patience: float, state: RetryCallState) -> None:
        """Say that a call is tried for long already; of many that fail at once, one speaks for all of them."""
        now = self.clock.elapsed()
        error = state.outcome.exception() if state.outcome else None
        if self.trouble is None or not isinstance(error, _TROUBLE) or now - began < SILENT:
            return
        with self.lock:
            if self.told is not None and now - self.told < 3 * SILENT:
                return
            self.told = now
        took = f"for {now - began:.0f}s, and is tried for {patience:.0f}s"
        self.trouble(f"{call} has been failing {took}: {_sentence(error)}")

    def _once(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        changes = not (operation.startswith(("describe", "list", "get", "simulate")) or params.get("DryRun"))
        self.pace.take(service, operation)
        if self.guard is not None:
            self.guard()
        client = self._client(service)
        with self.lock:
            self.made_calls += 1
            self.changes += changes
        answer: dict[str, Any] = getattr(client, operation)(**params)
        _check_sender(answer)
        return answer

    def _client(self, service: str) -> Any:
        if service not in self.made:
            with self.making:  # boto3's sessions are not made for threads, its clients are
                if service not in self.made:
                    self.made[service] = self.clients.client(service)
        return self.made[service]

    def prepare(self) -> None:
        """Make the clients of a first look beside its readings, which wait: EC2's model takes a quarter of a second."""
        for service in FIRST:
            self._client(service)

    def unguarded(self) -> "Aws":
        """The same clients and pace, without the guard and with counts of its own: for the guard's own calls."""
        other = copy.copy(self)
        other.guard, other.made_calls, other.changes = None, 0, 0
        return other

    def _backoff(self, tries: int) -> float:
        """Seconds to wait after so many tries. Full jitter under a doubling ceiling: 0.5 s, 1 s, 2 s, … 20 s."""
        return self.chance.uniform(0.05, min(self.longest_wait, 0.5 * 2 ** (tries - 1)))

    def pages(self, service: str, operation: str, member: str, **params: Any) -> list[Any]:
        """Every item of a paged list. A page may be short, even empty, although more follow (facts 6.5)."""
        return [item for page in self._pages(service, operation, params) for item in page.get(member, ())]

    def _pages(self, service: str, operation: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        asked, told = _TOKENS.get(service, ("NextToken", "NextToken"))
        page = self.call(service, operation, **params)
        yield page
        while page.get(told):
            page = self.call(service, operation, **{**params, asked: page[told]})
            yield page

    def shown(self, read: Callable[[], T], missing: Callable[[AwsRefusal], bool]) -> T:
        """A reading of what may have come a moment ago: where it is ``missing``, it is read again for a while.

        One that does not show it lags (facts 6.4, 6.6). Raises AwsRefusal as ``read`` does, at last.
        """
        until = self.clock.elapsed() + SHOWS
        while True:
            try:
                return read()
            except AwsRefusal as no:
                if not missing(no) or self.clock.elapsed() > until:
                    raise
            self.clock.sleep(2.0)

    def gather(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Make independent readings side by side; the first trouble is raised, no partial answer is given."""
        if self.workers == 1 or len(calls) < 2:
            return [call() for call in calls]
        with ThreadPoolExecutor(min(self.workers, len(calls))) as pool:
            return list(pool.map(lambda call: call(), calls))

    def beside(self, one: Callable[[], S], other: Callable[[], T]) -> tuple[S, T]:
        """Two readings of different kinds, as :meth:`gather` makes those of one kind."""
        first, second = self.gather([one, other])
        return cast("S", first), cast("T", second)


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """The items in lists of at most ``size``: every batch call of AWS has its limit (facts 6.2)."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _code(error: BaseException) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def denied(error: AwsUnavailable) -> bool:
    """Whether AWS denied it to these credentials; else it could not be reached, or not be asked."""
    return error.__cause__ is not None and _code(error.__cause__) in _DENIED


def _passes(error: BaseException) -> bool:
    """Whether the same call may work in a moment. Every change of ours may be repeated (act.py says why)."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _code(error) in _THROTTLED | _PASSING or (status >= 500 and status != 501)
    # An answer that is none of AWS's (a proxy's page) is as good as lost.
    return isinstance(error, Unreachable | HTTPClientError | ResponseParserError)


def _fails(error: BaseException | None) -> bool:
    """Whether something answered, and could not: neither throttling nor the network."""
    if isinstance(error, ClientError):
        return _passes(error) and _code(error) not in _THROTTLED | _PASSING
    return isinstance(error, ResponseParserError)


def _surely_not_landed(error: BaseException) -> bool:
    return _code(error) in _THROTTLED | {"ResourceContention", "ScalingActivityInProgress"}


def _check_sender(answer: Any) -> None:
    """Raises ResponseParserError for a page that a proxy sends in AWS's place.

    With status 200 botocore reads one as an answer without members: a cluster without hosts, a roll without records.
    """
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if "html" in str(headers.get("content-type", "")):
        raise ResponseParserError("a page instead of an answer")


def _call_of(service: str, operation: str) -> str:
    """``ecs:ListTasks``, as a policy of IAM names it."""
    return f"{service}:{''.join(part.capitalize() for part in operation.split('_'))}"


def _ours(error: ClientError | BotoCoreError | ResponseParserError, service: str, operation: str) -> Exception:
    call = _call_of(service, operation)
    code = _code(error)
    if code in _DENIED:
        where = (
            "docs/watching.md says what a watcher calls"
            if service in _QUEUES
            else "SECURITY.md says what a roll changes"
        )
        hint = f"the credentials need {call}; {where}, and where"
        return AwsUnavailable(f"{call} is denied to these credentials: {_sentence(error)}", hint=hint)
    if code in _EXPIRED or isinstance(error, NoCredentialsError | PartialCredentialsError):
        return AwsUnavailable(
            f"AWS does not accept the credentials: {_sentence(error)}",
            hint="sign in again, then run the same command: it goes on",
        )
    if isinstance(error, NoRegionError):
        return UsageError("no AWS region is set", hint="give --region, or set AWS_REGION")
    if _passes(error):
        return AwsUnavailable(
            f"{call} keeps failing: {_sentence(error)}", hint="run the same command again: it goes on"
        )
    if isinstance(error, ClientError):
        return AwsRefusal(code, _sentence(error), call=call)
    return AwsUnavailable(f"{call} could not be made: {_sentence(error)}", hint="check the endpoint and the network")


def _sentence(error: ClientError | BotoCoreError | ResponseParserError) -> str:
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        return str(said.get("Message") or said.get("Code") or error)
    if isinstance(error, ResponseParserError):
        return "the answer is none that AWS gives"  # botocore's own words hold the whole answer
    return str(error)
