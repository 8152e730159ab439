"""IAM's judgement, as far as Allow statements go: who asks for what, and which statement lets it.

Every construct that is not known here raises: what can not be judged must not pass.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Grant", "Request", "grants"]


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource, as AWS checks it, with the condition keys that AWS fills in."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What of a policy let a request pass."""

    statement: str
    action: str
    resource: str


def grants(policy: Mapping[str, Any], request: Request) -> list[Grant]:
    """Every statement that allows it; none: it is denied."""
    return [
        Grant(statement["Sid"], action, resource)
        for statement in policy["Statement"]
        if _known(statement) and _meets(statement.get("Condition", {}), request.context)
        for action in statement["Action"]
        if _like(action.lower(), request.action.lower())
        for resource in statement["Resource"]
        if _like(resource, request.resource)
    ]


def _known(statement: Mapping[str, Any]) -> bool:
    assert statement["Effect"] == "Allow", statement
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
    return True


def _meets(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """All operators and all keys of each; of the values of a key, any. A key that is not there meets nothing."""
    return all(
        key in context and any(_compared(operator, value, context[key]) for value in _list(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _compared(operator: str, wanted: str, there: str) -> bool:
    match operator:
        case "StringEquals":
            return wanted == there
        case "StringLike" | "ArnEquals" | "ArnLike":  # the last two behave the same (IAM, condition operators)
            return _like(wanted, there)
        case _:
            raise AssertionError(f"what does {operator} mean?")


def _list(values: str | Iterable[str]) -> Iterable[str]:
    return [values] if isinstance(values, str) else values


def _like(pattern: str, text: str) -> bool:
    """``*`` and ``?`` as IAM reads them; ``${*}`` is a star."""
    parts = re.findall(r"\$\{[*?$]\}|.", pattern)
    special = {"*": ".*", "?": "."}
    return (
        re.fullmatch("".join(special.get(part) or re.escape(part[-2:-1] or part) for part in parts), text) is not None
    )
