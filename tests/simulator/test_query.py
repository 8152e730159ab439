"""The cluster query language (aws-facts 8.1)."""

from typing import Any

import pytest

from ecsroll.simulator.query import MISSING, parse
from ecsroll.simulator.world import Refusal

HOST: dict[str, Any] = {
    "attribute:ecs.instance-type": "t2.small",
    "attribute:ecs.availability-zone": "us-east-1a",
    "attribute:stack": "prod",
    "attribute:gpu": None,
    "agentConnected": True,
    "agentVersion": "1.107.0",
    "ec2InstanceId": "i-0abc",
    "runningTasksCount": 9,
    "registeredAt": 1000,
    "task:group": ["service:web", "service:db"],
}

CASES = {
    "an attribute equals": ("attribute:stack == prod", True),
    "an attribute equals in words": ("attribute:stack equals prod", True),
    "an attribute differs": ("attribute:stack != prod", False),
    "a quoted value": ("attribute:stack == 'prod'", True),
    "an attribute that is not there equals nothing": ("attribute:none == prod", False),
    "an attribute that is not there is unlike everything": ("attribute:none != prod", True),
    "an attribute without value exists": ("attribute:gpu exists", True),
    "the fence: a host without the attribute is let in": ("attribute:ecsroll.outdated !exists", True),
    "the fence in words": ("attribute:ecsroll.outdated not_exists", True),
    "a host with the attribute is kept out": ("attribute:gpu !exists", False),
    "one of several": ("attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", True),
    "none of several": ("attribute:ecs.availability-zone !in [us-east-1a, us-east-1b]", False),
    "none of several, in words": ("attribute:ecs.availability-zone not_in [eu-west-1a]", True),
    "a pattern": ("attribute:ecs.instance-type =~ t2.*", True),
    "a pattern must match all of it": ("attribute:ecs.instance-type =~ t2", False),
    "a pattern with a group": ("attribute:ecs.instance-type =~ (t2|m5)\\..*", True),
    "not a pattern": ("attribute:ecs.instance-type !~ g2.*", True),
    "a pattern inside brackets": ("(attribute:ecs.instance-type =~ t2.* and attribute:stack == prod)", True),
    "both": ("attribute:stack == prod and agentConnected == true", True),
    "both, as signs": ("attribute:stack == prod && agentConnected == false", False),
    "either": ("attribute:stack == qa or attribute:stack == prod", True),
    "and binds tighter than or": (
        "attribute:stack == prod or attribute:stack == qa and attribute:none exists",
        True,
    ),
    "brackets bind tightest": ("(attribute:stack == prod or attribute:stack == qa) and attribute:none exists", False),
    "not": ("not(task:group == service:api)", True),
    "not, as a sign": ("!(task:group == service:web)", False),
    "a task of a group runs here": ("task:group == service:db", True),
    "numbers compare as numbers": ("runningTasksCount < 10", True),
    "versions compare part by part": ("agentVersion >= 1.65.0", True),
    "versions in words": ("agentVersion less_than 1.65.0", False),
    "an instance by its id": ("ec2InstanceId in ['i-0abc', 'i-0def']", True),
}


@pytest.mark.parametrize(("expression", "expected"), CASES.values(), ids=CASES)
def test_an_expression_is_evaluated(expression: str, expected: bool) -> None:
    assert parse(expression)(lambda subject: HOST.get(subject, MISSING)) is expected


BROKEN = {
    "nothing": "",
    "half a comparison": "attribute:stack ==",
    "an unknown subject": "colour == red",
    "an open bracket": "(attribute:stack == prod",
    "a list that does not end": "attribute:stack in [a, b",
    "two comparisons without a word between": "attribute:stack == a attribute:stack == b",
    "a bad pattern": "attribute:stack =~ [",
    "too long": "attribute:stack == " + "a" * 2000,
}


@pytest.mark.parametrize("expression", BROKEN.values(), ids=BROKEN)
def test_a_broken_expression_is_refused(expression: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse(expression)
    assert refusal.value.code == "InvalidParameterException"
