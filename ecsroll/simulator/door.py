"""The way in: real boto3 clients whose calls the simulated AWS answers, without a network.

Both doors (this one at botocore's documented ``before-call`` hook, and :mod:`ecsroll.simulator.http`) come to
:meth:`Door.call`: the one place where calls are counted, limited, paged, refused, and answers are held against
botocore's own output shapes.
"""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.model import OperationModel
from botocore.paginate import PaginatorModel
from botocore.validate import ParamValidator

from ecsroll.simulator.world import Refusal, World

__all__ = ["Answer", "Call", "Door", "answers", "as_sent", "served"]

Params = dict[str, Any]
Answer = Callable[[Any, Params], dict[str, Any]]
"""How an operation is answered: (simulation, request in botocore's member names) -> answer in the same."""

_ANSWERS: dict[tuple[str, str], Answer] = {}

# What a list gives at most when the caller does not say, and what it accepts at most (aws-facts 6.2, 6.4, 6.5).
# (service, operation): (default page, largest page)
PAGES: dict[tuple[str, str], tuple[int, int]] = {
    ("ecs", "ListClusters"): (100, 100),
    ("ecs", "ListContainerInstances"): (100, 100),
    ("ecs", "ListTasks"): (100, 100),
    ("ecs", "ListServices"): (10, 100),
    ("ecs", "ListTaskDefinitions"): (100, 100),
    ("ecs", "ListAttributes"): (100, 100),
    ("autoscaling", "DescribeAutoScalingGroups"): (50, 100),
    ("autoscaling", "DescribeAutoScalingInstances"): (50, 50),
    ("autoscaling", "DescribeScalingActivities"): (100, 100),
    ("autoscaling", "DescribeLaunchConfigurations"): (50, 100),
    ("autoscaling", "DescribeTags"): (50, 100),
    ("autoscaling", "DescribeScheduledActions"): (50, 100),
    ("autoscaling", "DescribeWarmPool"): (50, 50),
    ("ec2", "DescribeInstances"): (1000, 1000),
    ("ec2", "DescribeImages"): (1000, 1000),
    ("ec2", "DescribeLaunchTemplates"): (200, 200),
    ("ec2", "DescribeLaunchTemplateVersions"): (200, 200),
    ("ssm", "GetParameterHistory"): (50, 50),
    ("ssm", "DescribeParameters"): (10, 50),
    ("cloudwatch", "ListMetrics"): (500, 500),
    ("elbv2", "DescribeTargetGroups"): (400, 400),
    ("elbv2", "DescribeLoadBalancers"): (400, 400),
}

# Members of a request that AWS limits by number: (service, operation): {member: (limit, error code)}
LIMITS: dict[tuple[str, str], dict[str, tuple[int, str]]] = {
    ("ecs", "DescribeClusters"): {"clusters": (100, "InvalidParameterException")},
    ("ecs", "DescribeContainerInstances"): {"containerInstances": (100, "InvalidParameterException")},
    ("ecs", "DescribeTasks"): {"tasks": (100, "InvalidParameterException")},
    ("ecs", "DescribeServices"): {"services": (10, "InvalidParameterException")},
    ("ecs", "DescribeCapacityProviders"): {"capacityProviders": (100, "InvalidParameterException")},
    ("ecs", "UpdateContainerInstancesState"): {"containerInstances": (10, "InvalidParameterException")},
    ("ecs", "GetTaskProtection"): {"tasks": (100, "InvalidParameterException")},
    ("ecs", "UpdateTaskProtection"): {"tasks": (10, "InvalidParameterException")},
    ("ecs", "PutAttributes"): {"attributes": (10, "InvalidParameterException")},
    ("ecs", "DeleteAttributes"): {"attributes": (10, "InvalidParameterException")},
    ("autoscaling", "SetInstanceProtection"): {"InstanceIds": (50, "ValidationError")},
    ("autoscaling", "DescribeAutoScalingInstances"): {"InstanceIds": (50, "ValidationError")},
    ("autoscaling", "DetachInstances"): {"InstanceIds": (20, "ValidationError")},
    ("autoscaling", "EnterStandby"): {"InstanceIds": (20, "ValidationError")},
    ("autoscaling", "ExitStandby"): {"InstanceIds": (20, "ValidationError")},
    ("ec2", "TerminateInstances"): {"InstanceIds": (1000, "InvalidParameterValue")},
    ("ec2", "DescribeInstanceStatus"): {"InstanceIds": (100, "InvalidParameterValue")},
    ("ssm", "GetParameters"): {"Names": (10, "ValidationException")},
    ("elbv2", "DescribeTags"): {"ResourceArns": (20, "ValidationError")},
    ("elbv2", "DescribeLoadBalancers"): {"LoadBalancerArns": (20, "ValidationError")},
}

# What an action is called in policies, where it is not the service's own name, and how each service says no.
_PREFIXES = {"elbv2": "elasticloadbalancing"}
_DENIALS = {
    "ec2": ("UnauthorizedOperation", 403),
    "ecs": ("AccessDeniedException", 400),
    "ssm": ("AccessDeniedException", 400),
}


def answers(service: str, operation: str) -> Callable[[Answer], Answer]:
    """Say which operation a function answers."""

    def register(answer: Answer) -> Answer:
        _ANSWERS[service, operation] = answer
        return answer

    return register


def served() -> frozenset[tuple[str, str]]:
    """Every (service, operation) that the simulated AWS answers."""
    return frozenset(_ANSWERS)


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in; ``error`` is the code of the refusal, or None."""

    number: int
    at: datetime
    service: str
    operation: str
    params: Params
    error: str | None = None

    @property
    def changes(self) -> bool:
        """Whether it is of the kind that changes something."""
        return not (self.operation.startswith(("Describe", "List", "Get", "Simulate")) or self.params.get("DryRun"))


Interruption = Callable[[Call], None]
"""A fault: called with each call; raises a :class:`Refusal` (or anything else) to make it fail."""


@dataclass
class Door:
    """Every call to the simulated AWS comes through here.

    ``before`` interrupts a call that then never lands; ``after`` one that has landed and whose answer is lost.
    ``latency`` is how long each call takes in simulated seconds: the world moves on between two reads.
    """

    world: World
    simulation: Any
    latency: float = 0.04
    strict: bool = True
    keeps: bool = True
    """Whether calls are kept and answers are copied; without it is twice as quick, for callers that change neither."""
    before: list[Interruption] = field(default_factory=list)
    after: list[Interruption] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def call(self, service: str, operation: str, params: Params) -> dict[str, Any]:
        """Answer one call. Raises Refusal as AWS would refuse it."""
        with self.lock:
            self.world.advance(self.latency)
            if not self.keeps:
                return self.answer(service, operation, params)
            call = Call(len(self.calls) + 1, self.world.time, service, operation, _copied(params))
            try:
                for interrupt in self.before:
                    interrupt(call)
                answer = self.answer(service, operation, params)
            except Refusal as no:
                self.calls.append(Call(call.number, call.at, service, operation, call.params, no.code))
                raise
            self.calls.append(call)
            for interrupt in self.after:
                interrupt(call)
            return answer

    def __post_init__(self) -> None:
        self.answer: Callable[[str, str, Params], dict[str, Any]] = self._answer

    def _answer(self, service: str, operation: str, params: Params) -> dict[str, Any]:
        handler = _ANSWERS.get((service, operation))
        if handler is None:
            raise Refusal("NotImplemented", f"the simulated AWS does not serve {service}:{operation}", status=501)
        self._check_allowed(service, operation)
        _check_limits(service, operation, params)
        answer = _page(service, operation, params, handler(self.simulation, params))
        if self.strict:
            _check_shape(service, operation, answer)
        copied: dict[str, Any] = _copied(answer) if self.keeps else answer
        return copied

    def _check_allowed(self, service: str, operation: str) -> None:
        action = f"{_PREFIXES.get(service, service)}:{operation}"
        if action in self.simulation.conditions.denied_actions:
            code, status = _DENIALS.get(service, ("AccessDenied", 403))
            raise Refusal(code, f"The operator is not authorized to perform: {action}", status=status)

    def client(self, service: str, *, region: str | None = None) -> Any:
        """A real boto3 client whose calls come to this door."""
        made: Any = _session().client(  # type: ignore[call-overload]
            service,
            region_name=region or self.world.region,
            aws_access_key_id="simulated",
            aws_secret_access_key="simulated",  # noqa: S106 - there is nothing behind it
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.attach(made, service)
        return made

    def attach(self, made: Any, service: str) -> None:
        """Answer an existing client's calls. Both hooks are in boto3's list of supported events."""

        # The request travels in botocore's per-call context: clients are shared between threads.
        def remember(params: Params, context: dict[str, Any], **_: Any) -> None:
            context["simulated"] = as_sent(dict(params), service)

        def reply(model: OperationModel, context: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
            try:
                status, body = 200, self.call(service, model.name, context["simulated"])
            except Refusal as no:
                status, body = no.status, {"Error": {"Code": no.code, "Message": no.message}, **no.members}
            meta = {"HTTPStatusCode": status, "RequestId": f"{len(self.calls):08d}", "RetryAttempts": 0}
            return AWSResponse(None, status, {}, None), {**body, "ResponseMetadata": meta}  # type: ignore[arg-type]

        made.meta.events.register(f"before-call.{made.meta.service_model.service_id.hyphenize()}.*", reply)
        made.meta.events.register_last("provide-client-params.*.*", remember)


def _copied(value: Any) -> Any:
    """A copy that shares nothing that can change: requests and answers are dicts and lists of plain values."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value


def as_sent(params: Params, service: str) -> Params:
    """What boto3 encodes on the way, after the hook: RunInstances and CreateLaunchConfiguration, at their top level."""
    said = params.get("UserData")
    if service in ("ec2", "autoscaling") and isinstance(said, str | bytes):
        raw = said.encode() if isinstance(said, str) else said
        return {**params, "UserData": base64.b64encode(raw).decode()}
    return params


@cache
def _session() -> boto3.Session:
    core = botocore.session.Session()
    return boto3.Session(botocore_session=core)


@lru_cache(maxsize=512)
def _operation(service: str, operation: str) -> OperationModel:
    return _session()._session.get_service_model(service).operation_model(operation)  # noqa: SLF001


@cache
def _paginators(service: str) -> PaginatorModel:
    return _session()._session.get_paginator_model(service)  # noqa: SLF001


def _check_shape(service: str, operation: str, answer: dict[str, Any]) -> None:
    shape = _operation(service, operation).output_shape
    if shape is None:
        if answer:
            raise AssertionError(f"{service}:{operation} answers nothing, yet the simulator says {answer}")
        return
    # Some answers' lists have a smallest length in the model, and AWS answers them empty all the same.
    required = shape.metadata.get("required", ())
    told = {member: value for member, value in answer.items() if value != [] or member in required}
    report = ParamValidator().validate(told, shape)
    if report.has_errors():
        raise AssertionError(f"{service}:{operation}: not AWS's shape: {report.generate_report()}")


def _check_limits(service: str, operation: str, params: Params) -> None:
    for member, (limit, code) in LIMITS.get((service, operation), {}).items():
        if len(params.get(member) or ()) > limit:
            raise Refusal(code, f"{member} can have at most {limit} items.")


def _page(service: str, operation: str, params: Params, answer: dict[str, Any]) -> dict[str, Any]:
    """Cut a full list into the page that was asked for. A token is the place to go on from.

    ``result_key`` names the list that is counted; botocore's paginators say which members carry the tokens.
    """
    if (service, operation) not in PAGES:
        return answer
    try:
        rule = _paginators(service).get_paginator(operation)
    except ValueError:
        return answer
    default, largest = PAGES[service, operation]
    size = params.get(rule["limit_key"]) if "limit_key" in rule else None
    if size is not None and not 1 <= int(size) <= largest:
        raise Refusal(
            "InvalidParameterException" if service == "ecs" else "ValidationError",
            f"{rule['limit_key']} must be between 1 and {largest}.",
        )
    key = rule["result_key"] if isinstance(rule["result_key"], str) else rule["result_key"][0]
    start = _place(params.get(rule["input_token"]), service)
    stop = start + (int(size) if size is not None else default)
    full = answer.get(key, [])
    cut = {**answer, key: full[start:stop]}
    if stop < len(full):
        cut[rule["output_token"]] = f"page-{stop}"
    return cut


def _place(token: Any, service: str) -> int:
    if not token:
        return 0
    if isinstance(token, str) and token.startswith("page-") and token[5:].isdigit():
        return int(token[5:])
    raise Refusal("InvalidParameterException" if service == "ecs" else "InvalidNextToken", "Invalid token.")
