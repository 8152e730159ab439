"""The least policy for a cluster, made of the rows in ``permissions.py``. Pure: nothing is asked of AWS."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecsroll.errors import EXIT_OK, UsageError
from ecsroll.permissions import PERMISSIONS, Permission, Scope, When
from ecsroll.result import Result

__all__ = ["LIMIT", "Asked", "Names", "iam_policy", "names_of", "policy", "rows"]

LIMIT = 6144
"""Characters of a managed policy, blanks apart (IAM quotas)."""
INLINE = 10_240
"""Characters of all inline policies of a role together, blanks apart."""


_EC2 = {"aws": ("ec2.amazonaws.com",), "aws-cn": ("ec2.amazonaws.com", "ec2.amazonaws.com.cn")}
"""What EC2 is called where a role is passed to it: in China by either name."""

_NAMED = {When.QUEUES, When.TOPICS, When.BUSES}
"""Statements about what was named to be heard or told: whoever only looks at a cluster needs them all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the policy is to name. ``*`` stands for any; an empty tuple of what groups launch: there are none."""

    partition: str = "aws"
    region: str = "*"
    account: str = "*"
    cluster: str = "*"
    groups: tuple[str, ...] = ("*",)
    image_parameters: tuple[str, ...] = ()
    """ARNs."""
    launch_templates: tuple[str, ...] = ()
    """ARNs."""
    host_roles: tuple[str, ...] = ()
    """ARNs."""
    queues: tuple[str, ...] = ()
    """ARNs."""
    topics: tuple[str, ...] = ()
    """ARNs."""
    buses: tuple[str, ...] = ()
    """ARNs."""
    secret_parameters: tuple[str, ...] = ()
    """ARNs."""
    secrets: tuple[str, ...] = ()
    """ARNs; Secrets Manager ends them in six characters of its own."""
    configurations: bool = False
    alarms: bool = False
    restarts: bool = False
    read_only: bool = False

    def values(self, word: str) -> tuple[str, ...]:
        """What a word in braces stands for."""
        many = {
            "group": self.groups,
            "image_parameter": self.image_parameters,
            "launch_template": self.launch_templates,
            "host_role": self.host_roles,
            "ec2": _EC2.get(self.partition, _EC2["aws"]),
            "queue": self.queues,
            "topic": self.topics,
            "bus": self.buses,
            "secret_parameter": self.secret_parameters,
            "secret": self.secrets,
        }
        one = {"partition": self.partition, "region": self.region, "account": self.account, "cluster": self.cluster}
        return many[word] if word in many else (one[word],)

    def need(self, when: When) -> bool:
        """Whether a roll of these needs such a statement."""
        return {
            When.ALWAYS: True,
            When.ALARMS: self.alarms,
            When.PARAMETERS: bool(self.image_parameters),
            When.TEMPLATES: bool(self.launch_templates),
            When.CONFIGURATIONS: self.configurations,
            When.LAUNCHES: self.configurations or bool(self.launch_templates),
            When.QUEUES: bool(self.queues),
            When.RESTARTS: self.restarts,
            When.TOPICS: bool(self.topics),
            When.BUSES: bool(self.buses),
            When.REFERRED_PARAMETERS: bool(self.secret_parameters),
            When.REFERRED_SECRETS: bool(self.secrets),
        }[when]


def rows(names: Names) -> tuple[Permission, ...]:
    """The rows that a roll of these needs."""
    needed = [row for row in PERMISSIONS if names.need(row.scope.when)]
    kept = [row for row in needed if row.reads or row.scope.when in _NAMED or not names.read_only]
    called = {row.action for row in kept if not row.behind}
    return tuple(row for row in needed if (row.behind in called if row.behind else row in kept))


def policy(names: Names) -> dict[str, Any]:
    """The policy as IAM takes it: a statement for each scope, its actions sorted."""
    actions: dict[Scope, set[str]] = {}
    for row in rows(names):
        actions.setdefault(row.scope, set()).add(row.action)
    statements = [_statement(scope, sorted(some), names) for scope, some in actions.items()]
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(scope: Scope, actions: list[str], names: Names) -> dict[str, Any]:
    statement = {
        "Sid": scope.name,
        "Effect": "Allow",
        "Action": actions,
        "Resource": [arn for entry in scope.on for arn in _filled(entry, names)],
    }
    condition = {
        operator: {key: _filled(value, names) for key, value in keys.items()}
        for operator, keys in scope.only_if.items()
        # A region that may be any is no condition.
        if not any(_filled(value, names) == ["*"] for value in keys.values())
    }
    return {**statement, "Condition": condition} if condition else statement


def _filled(text: str, names: Names) -> list[str]:
    """The text with its words in braces filled in, once for each value of a word that has several."""
    found = re.search(r"\{(\w+)\}", text)
    if found is None:
        return [text]
    tails = _filled(text[found.end() :], names)
    return [
        f"{text[: found.start()]}{_plain(found[1], value)}{tail}" for value in names.values(found[1]) for tail in tails
    ]


def _plain(word: str, value: str) -> str:
    """A group's name may hold what IAM would read as a pattern or a variable."""
    if word != "group" or value == "*":
        return value
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", value)


# The command -------------------------------------------------------------------------------------------------------

_TOPIC = r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+"
_REFERENCE = r"(env:\w+|(ssm|secret):(arn:[a-z-]+:(ssm|secretsmanager):\S+|[A-Za-z0-9_/.+=@-]+))"
_VALID = {
    "--account": r"\d{12}",
    "--cluster": r"[A-Za-z0-9_-]{1,255}",
    "--launch-template": r"lt-[0-9a-f]{8,17}",
    "--image-parameter": r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*",
    "--queue": r"https?://[^/\s]+/\d{12}/[A-Za-z0-9_-]+([.]fifo)?",
    "--publish": _TOPIC,
    "--tell": rf"{_TOPIC}|bus:(arn:[a-z-]+:events:\S+|[A-Za-z0-9_./-]+)|slack:{_REFERENCE}|webhook:\S+|lines:.+|log",
    "--webhook-secret": _REFERENCE,
    "--host-role": r"(arn:[a-z-]+:iam::\d{12}:role/)?[A-Za-z0-9_+=,.@/-]+",
}
_EXAMPLES = {
    "--account": "12 digits",
    "--cluster": "the cluster's name",
    "--launch-template": "an id such as lt-0123456789abcdef0",
    "--image-parameter": "a name such as /ecs-image/prod/prod-web",
    "--queue": "an address such as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME",
    "--publish": "an ARN such as arn:aws:sns:REGION:ACCOUNT:NAME",
    "--tell": "arn:aws:sns:..., bus:NAME, slack:REFERENCE, webhook:URL, lines:PATH or log",
    "--webhook-secret": "env:NAME, ssm:/parameter or secret:name",
    "--host-role": "the role's name or ARN (not that of the instance profile)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The words of ``ecsroll iam-policy``. Without any of the three ways to launch: parameters and templates, any."""

    partition: str = "aws"
    region: str | None = None
    account: str | None = None
    cluster: str | None = None
    groups: Sequence[str] = ()
    image_parameters: Sequence[str] = ()
    launch_templates: Sequence[str] = ()
    host_roles: Sequence[str] = ()
    queue: str | None = None
    """Its address, as ``watch --queue`` takes it."""
    publish: str | None = None
    """A topic's ARN, as ``check-ami --publish`` takes it."""
    tell: Sequence[str] = ()
    """Places, as ``--tell`` takes them."""
    webhook_secret: str | None = None
    """A reference to the secret, as ``--webhook-secret`` takes it."""
    configurations: bool = False
    alarms: bool = False
    restarts: bool = False
    read_only: bool = False


def iam_policy(asked: Asked) -> Result:
    """The least policy, with the reason for each action. Raises UsageError with everything that is no name."""
    names = names_of(asked)
    made = policy(names)
    needed = rows(names)
    size = len(re.sub(r"\s", "", json.dumps(made)))
    wide = [option for option, value in _any(asked) if not value]
    return Result(
        command="iam-policy",
        result="done",
        exit_code=EXIT_OK,
        cluster=asked.cluster,
        reason=f"{len({row.action for row in needed})} actions in {len(made['Statement'])} statements, "
        f"{size} of {LIMIT} characters",
        next=_next(size, wide),
        more={"policy": made, "actions": [_row(row) for row in needed]},
    )


def _next(size: int, wide: Sequence[str]) -> str:
    said = [f"give {', '.join(wide)} to make it narrower"] if wide else []
    if size > LIMIT:
        said.append(f"too long for a managed policy: put it into the role itself, which takes {INLINE} characters")
    return "; ".join(said)


def _row(row: Permission) -> dict[str, str]:
    return {"statement": row.scope.name, "action": row.action, "why": row.why, "behind": row.behind}


def _any(asked: Asked) -> Iterator[tuple[str, object]]:
    """What would make the policy narrower, and what was said of it."""
    yield "--region", asked.region
    yield "--account", asked.account
    yield "--cluster", asked.cluster
    if not asked.read_only:
        yield "--asg", asked.groups
        if asked.launch_templates or asked.configurations or not asked.image_parameters:
            yield "--host-role", asked.host_roles
        yield "--launch-template or --image-parameter", _ways(asked)


def _ways(asked: Asked) -> bool:
    return bool(asked.image_parameters or asked.launch_templates or asked.configurations)


def names_of(asked: Asked) -> Names:
    """The names as a policy takes them. Raises UsageError with everything that is none."""
    _check(asked)
    region, account = asked.region or "*", asked.account or "*"
    parameters, templates = asked.image_parameters, asked.launch_templates
    if not _ways(asked):
        parameters, templates = ("*",), ("*",)
    return Names(
        partition=asked.partition,
        region=region,
        account=account,
        cluster=asked.cluster or "*",
        groups=tuple(dict.fromkeys(asked.groups)) or ("*",),
        image_parameters=tuple(
            f"arn:{asked.partition}:ssm:{region}:{account}:parameter/{name.removeprefix('/')}" for name in parameters
        ),
        launch_templates=tuple(
            f"arn:{asked.partition}:ec2:{region}:{account}:launch-template/{name}" for name in templates
        ),
        host_roles=tuple(
            role if role.startswith("arn:") else f"arn:{asked.partition}:iam::{account}:role/{role.removeprefix('/')}"
            for role in asked.host_roles or ("*",)
        ),
        queues=_queue(asked),
        topics=tuple(dict.fromkeys(word for word in (*asked.tell, *_said(asked.publish)) if word.startswith("arn:"))),
        buses=_there(asked, "bus", asked.tell, "events:{region}:{account}:event-bus/"),
        secret_parameters=_there(asked, "ssm", _references(asked), "ssm:{region}:{account}:parameter/"),
        secrets=_there(asked, "secret", _references(asked), "secretsmanager:{region}:{account}:secret:", "-??????"),
        configurations=asked.configurations,
        alarms=asked.alarms,
        restarts=asked.restarts,
        read_only=asked.read_only,
    )


def _queue(asked: Asked) -> tuple[str, ...]:
    """The queue's ARN; its address says the region and the account."""
    if asked.queue is None:
        return ()
    host, account, name = re.split("/+", asked.queue)[1:4]
    region = re.fullmatch(r"sqs[.]([a-z0-9-]+)[.]amazonaws[.].*", host)
    return (f"arn:{asked.partition}:sqs:{region[1] if region else asked.region or '*'}:{account}:{name}",)


def _references(asked: Asked) -> list[str]:
    """References to secrets."""
    slack = [word.removeprefix("slack:") for word in asked.tell if word.startswith("slack:")]
    return [*slack, *_said(asked.webhook_secret)]


def _there(asked: Asked, kind: str, words: Sequence[str], place: str, tail: str = "") -> tuple[str, ...]:
    """The ARNs of what ``kind:NAME`` names; NAME may be an ARN itself."""
    head = f"arn:{asked.partition}:{place.format(region=asked.region or '*', account=asked.account or '*')}"
    names = [word.removeprefix(f"{kind}:") for word in words if word.startswith(f"{kind}:")]
    return tuple(name if name.startswith("arn:") else f"{head}{name.removeprefix('/')}{tail}" for name in names)


def _check(asked: Asked) -> None:
    given: Mapping[str, Sequence[str]] = {
        "--account": _said(asked.account),
        "--cluster": _said(asked.cluster),
        "--launch-template": asked.launch_templates,
        "--image-parameter": asked.image_parameters,
        "--host-role": asked.host_roles,
        "--queue": _said(asked.queue),
        "--publish": _said(asked.publish),
        "--tell": asked.tell,
        "--webhook-secret": _said(asked.webhook_secret),
    }
    wrong = {
        option: [value for value in values if not re.fullmatch(_VALID[option], value)]
        for option, values in given.items()
    }
    if problems := [f"{option} {_shown(option, value)!r}" for option, values in wrong.items() for value in values]:
        expected = "; ".join(f"{option}: {_EXAMPLES[option]}" for option, values in wrong.items() if values)
        raise UsageError(f"these are no names: {', '.join(problems)}", hint=expected)


def _shown(option: str, value: str) -> str:
    """What was typed; where a secret may have been, no more than its kind."""
    return re.sub(r"(?<=:).*|^[^:]+$", "...", value) if option in {"--tell", "--webhook-secret"} else value


def _said(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)
