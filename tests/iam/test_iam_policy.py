"""The least policy: what rolls call is allowed, and nothing is allowed that no call needs."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ecsroll.iam_policy import LIMIT, Asked, iam_policy, names_of, policy
from ecsroll.permissions import ELSEWHERE, PERMISSIONS
from tests.console import ecsroll
from tests.iam import written
from tests.iam.checked import SERVICES
from tests.iam.evaluator import Request, grants
from tests.iam.rolls import SCENARIOS, Gate

SOURCES = Path(__file__).parents[2] / "ecsroll"

NOT_YET: set[str] = set()
"""Rows whose calls are still to come. One that has come must not stay here (a test says which)."""


@cache
def played(scenario: str) -> Gate:
    return SCENARIOS[scenario]()


# Calls seen, and the table -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_roll_goes_through_under_its_own_policy(scenario: str) -> None:
    gate = played(scenario)
    assert gate.calls
    assert gate.denied == [], "add the row to ecsroll/permissions.py, or narrow the call"


def test_every_permission_was_needed_by_a_call() -> None:
    used = {(grant.statement, grant.action) for scenario in SCENARIOS for grant in played(scenario).used}
    there = {(row.scope.name, row.action) for row in PERMISSIONS if row.action not in NOT_YET}
    assert there - used == set(), "no scenario needs these: take the row away, or add a scenario that needs it"


def test_every_resource_was_needed_by_a_call() -> None:
    unused = {
        (statement["Sid"], resource)
        for scenario in SCENARIOS
        for statement in played(scenario).policy["Statement"]
        for resource in statement["Resource"]
        if not set(statement["Action"]) <= NOT_YET
    }
    patterns = {(sid, _pattern(resource)) for sid, resource in unused}
    used = {(grant.statement, _pattern(grant.resource)) for scenario in SCENARIOS for grant in played(scenario).used}
    assert patterns - used == set()


def _pattern(resource: str) -> str:
    """Stages differ in the ids of their templates and in their groups' names."""
    return re.sub(r"lt-\w+|autoScalingGroupName/.*|infrastructure/\w+", "", resource)


def test_what_was_still_to_come_has_not_come() -> None:
    assert {f"{SERVICES.get(service, service)}:{name}" for service, name, _ in calls()} & NOT_YET == set()


# Calls written, and the table ----------------------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, str, str]]:
    """(service, operation, where) of every call in the sources: the two words that ``Aws`` is given."""
    for path in sorted(SOURCES.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                words = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
                for service, operation in pairwise(words):
                    if service in _CALLED and isinstance(operation, str) and re.fullmatch(r"[a-z_]+", operation):
                        yield service, operation.title().replace("_", ""), f"{path.name}:{node.lineno}"


_CALLED = {
    "ecs",
    "ec2",
    "autoscaling",
    "elbv2",
    "elb",
    "ssm",
    "sts",
    "cloudwatch",
    "sqs",
    "sns",
    "iam",
    "events",
    "secretsmanager",
}


def test_every_call_in_the_sources_has_its_row() -> None:
    known = {row.action for row in PERMISSIONS if not row.behind} | ELSEWHERE.keys()
    missing = [
        f"{where}: {SERVICES.get(service, service)}:{operation}"
        for service, operation, where in calls()
        if f"{SERVICES.get(service, service)}:{operation}" not in known
    ]
    assert missing == [], "add a row to ecsroll/permissions.py for each"
    assert len(list(calls())) > 30, "the sources are read as they are no more: mend calls()"


def test_a_row_behind_a_call_names_one_that_is_made() -> None:
    called = {row.action for row in PERMISSIONS if not row.behind}
    assert {row.behind for row in PERMISSIONS if row.behind} <= called


def test_rows_are_written_once_and_say_why() -> None:
    keys = [(row.action, row.scope.name, row.behind) for row in PERMISSIONS]
    assert len(keys) == len(set(keys))
    assert [row.action for row in PERMISSIONS if len(row.why) < 9 or row.why.endswith(".")] == []
    scopes = {row.scope.name: row.scope for row in PERMISSIONS}
    assert all(scopes[row.scope.name] == row.scope for row in PERMISSIONS)


# What is not allowed --------------------------------------------------------------------------------------------------

ASKED = Asked(
    region="us-east-1",
    account="123456789012",
    cluster="demo",
    groups=("demo-general",),
    image_parameters=("/ecs-image/demo/demo-general",),
    launch_templates=("lt-0123456789abcdef0",),
    host_roles=("demo-general-hosts",),
)
ECS = "arn:aws:ecs:us-east-1:123456789012"
SSM = "arn:aws:ssm:us-east-1:123456789012:parameter"
EC2 = "arn:aws:ec2:us-east-1:123456789012"
HOST = f"{ECS}:container-instance/demo/abc"
GROUP = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1-2:autoScalingGroupName"
HERE = {"ecs:cluster": f"{ECS}:cluster/demo", "aws:RequestedRegion": "us-east-1"}
OURS = {"aws:ResourceTag/ecsroll:group": "demo-general"}

NOT_ALLOWED: dict[str, tuple[Request, Request]] = {
    "a host of another cluster": (
        Request("ecs:UpdateContainerInstancesState", HOST, HERE),
        Request("ecs:UpdateContainerInstancesState", HOST.replace("/demo/", "/other/"), HERE),
    ),
    "a host whose cluster is not said": (
        Request("ecs:PutAttributes", HOST, HERE),
        Request("ecs:PutAttributes", HOST, {"ecs:cluster": f"{ECS}:cluster/other"}),
    ),
    "a cluster whose name begins the same": (
        Request("ecs:DeregisterContainerInstance", f"{ECS}:cluster/demo"),
        Request("ecs:DeregisterContainerInstance", f"{ECS}:cluster/demo-2"),
    ),
    "another group": (
        Request("autoscaling:UpdateAutoScalingGroup", f"{GROUP}/demo-general"),
        Request("autoscaling:UpdateAutoScalingGroup", f"{GROUP}/demo-general-2"),
    ),
    "a parameter of another group": (
        Request("ssm:PutParameter", f"{SSM}/ecs-image/demo/demo-general", {**OURS, "ssm:Overwrite": "true"}),
        Request(
            "ssm:PutParameter",
            f"{SSM}/ecs-image/demo/demo-general",
            {"aws:ResourceTag/ecsroll:group": "other", "ssm:Overwrite": "true"},
        ),
    ),
    "a parameter that is not there yet": (
        Request("ssm:PutParameter", f"{SSM}/ecs-image/demo/demo-general", {**OURS, "ssm:Overwrite": "true"}),
        Request("ssm:PutParameter", f"{SSM}/ecs-image/demo/demo-general", {**OURS, "ssm:Overwrite": "false"}),
    ),
    "what is written down about another cluster": (
        Request("ssm:DeleteParameter", f"{SSM}/ecsroll/demo/roll"),
        Request("ssm:DeleteParameter", f"{SSM}/ecsroll/demo2/roll"),
    ),
    "listing everybody's parameters": (
        Request("ssm:GetParametersByPath", f"{SSM}/ecsroll/demo"),
        Request("ssm:GetParametersByPath", f"{SSM}/ecsroll"),
    ),
    "somebody's secret": (
        Request("ssm:GetParameter", f"{SSM}/ecs-image/demo/demo-general", OURS),
        Request("ssm:GetParameter", f"{SSM}/prod/database/password"),
    ),
    "another launch template": (
        Request("ec2:CreateLaunchTemplateVersion", f"{EC2}:launch-template/lt-0123456789abcdef0"),
        Request("ec2:CreateLaunchTemplateVersion", f"{EC2}:launch-template/lt-0123456789abcdef1"),
    ),
    "a launch by no launch template": (
        Request(
            "ec2:RunInstances",
            f"{EC2}:instance/*",
            {"ec2:LaunchTemplate": f"{EC2}:launch-template/lt-0123456789abcdef0"},
        ),
        Request("ec2:RunInstances", f"{EC2}:instance/*", HERE),
    ),
    "another role": (
        Request(
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/demo-general-hosts",
            {"iam:PassedToService": "ec2.amazonaws.com"},
        ),
        Request("iam:PassRole", "arn:aws:iam::123456789012:role/admin", {"iam:PassedToService": "ec2.amazonaws.com"}),
    ),
    "the role to another service": (
        Request(
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/demo-general-hosts",
            {"iam:PassedToService": "ec2.amazonaws.com"},
        ),
        Request(
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/demo-general-hosts",
            {"iam:PassedToService": "lambda.amazonaws.com"},
        ),
    ),
    "tags on what runs already": (
        Request("ec2:CreateTags", f"{EC2}:instance/i-1", {"ec2:CreateAction": "RunInstances"}),
        Request("ec2:CreateTags", f"{EC2}:instance/i-1", HERE),
    ),
    "another region": (
        Request("ec2:DescribeInstances", "*", HERE),
        Request("ec2:DescribeInstances", "*", {"aws:RequestedRegion": "eu-west-1"}),
    ),
}


@pytest.mark.parametrize(("allowed", "denied"), NOT_ALLOWED.values(), ids=NOT_ALLOWED)
def test_not_allowed(allowed: Request, denied: Request) -> None:
    made = policy(names_of(ASKED))
    assert grants(made, allowed)
    assert grants(made, denied) == []


@pytest.mark.parametrize("action", ["ec2:TerminateInstances", "autoscaling:SetDesiredCapacity", "ecs:UpdateService"])
def test_never_in_it(action: str) -> None:
    everything = Asked(configurations=True, launch_templates=("lt-0123456789abcdef0",), alarms=True)
    assert action not in json.dumps(policy(names_of(everything)))


def test_a_group_by_its_parameter_launches_nothing_itself() -> None:
    made = json.dumps(policy(names_of(Asked(image_parameters=("/ecs-image/demo/web",)))))
    for action in ("ec2:RunInstances", "iam:PassRole", "ec2:CreateTags", "ec2:CreateLaunchTemplateVersion"):
        assert action not in made


def test_a_groups_name_is_no_pattern() -> None:
    made = policy(names_of(Asked(groups=("web*{region}$x",))))
    update = "autoscaling:UpdateAutoScalingGroup"
    assert grants(made, Request(update, f"{GROUP}/web*{{region}}$x"))
    assert grants(made, Request(update, f"{GROUP}/web-2{{region}}$x")) == []


def test_it_fits_into_a_managed_policy() -> None:
    everything = Asked(
        region="ap-southeast-1",
        account="123456789012",
        cluster="production-cluster-one",
        groups=("production-general", "production-spot"),
        image_parameters=("/ecs-image/production-cluster-one/production-general",),
        launch_templates=("lt-0123456789abcdef0", "lt-0123456789abcdef1"),
        host_roles=("production-general-hosts", "production-spot-hosts"),
        alarms=True,
    )
    made = policy(names_of(everything))
    assert len(re.sub(r"\s", "", json.dumps(made))) < LIMIT
    sids = [statement["Sid"] for statement in made["Statement"]]
    assert len(sids) == len(set(sids))
    assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)


# What is written from the table ---------------------------------------------------------------------------------------


def test_the_modules_copy_is_the_table() -> None:
    assert written.COPY.read_text() == written.copied(), "run: python -m tests.iam.written"


def test_the_page_says_every_action_and_why() -> None:
    assert written.PAGE.read_text() == written.page(), "run: python -m tests.iam.written"


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No region, no credentials, no files of AWS's."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "ECSROLL_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def printed(*words: str) -> dict[str, Any]:
    ran = ecsroll(None, "iam-policy", *words)
    assert ran.code == 0, ran
    said: dict[str, Any] = json.loads(ran.out)
    return said


def test_without_account_and_credentials_it_is_a_policy_to_paste() -> None:
    made = printed("--cluster", "prod")
    assert made == policy(names_of(Asked(cluster="prod")))
    assert "{" not in json.dumps(made["Statement"]).replace('{"', "").replace('{ "', "")
    assert "arn:aws:ecs:*:*:cluster/prod" in json.dumps(made)


def test_names_make_it_narrower() -> None:
    words = ("--region", "us-east-1", "--account", "123456789012", "--cluster", "demo", "--asg", "demo-general")
    launches = ("--launch-template", "lt-0123456789abcdef0", "--host-role", "demo-general-hosts")
    assert printed(*words, *launches, "--image-parameter", "/ecs-image/demo/demo-general") == policy(names_of(ASKED))


def test_the_environments_region_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    assert "arn:aws-cn:ecs:cn-north-1:*:cluster/prod" in json.dumps(printed("--cluster", "prod"))


TOLD = (
    *("--tell", "arn:aws:sns:us-east-1:123456789012:alerts", "--tell", "bus:ops", "--tell", "log"),
    *("--tell", "slack:secret:slack", "--tell", "lines:/var/log/ecsroll", "--tell", "webhook:https://example.com/hook"),
    *("--webhook-secret", "ssm:/hooks/key", "--publish", "arn:aws:sns:eu-west-1:123456789012:images"),
    *("--queue", "https://sqs.us-east-1.amazonaws.com/123456789012/watch"),
)
NAMED = {
    "TakeFromQueues": ["arn:aws:sqs:us-east-1:123456789012:watch"],
    "TellTopics": ["arn:aws:sns:us-east-1:123456789012:alerts", "arn:aws:sns:eu-west-1:123456789012:images"],
    "TellBuses": ["arn:aws:events:us-east-1:123456789012:event-bus/ops"],
    "ReadSecretParameters": ["arn:aws:ssm:us-east-1:123456789012:parameter/hooks/key"],
    "ReadSecrets": ["arn:aws:secretsmanager:us-east-1:123456789012:secret:slack-??????"],
    "KeepWhatIsWatched": ["arn:aws:ssm:us-east-1:123456789012:parameter/ecsroll/demo/watch"],
}


@pytest.mark.parametrize("more", [(), ("--read-only",)])
def test_what_a_run_hears_and_tells_is_named_in_its_own_words(more: tuple[str, ...]) -> None:
    words = ("--region", "us-east-1", "--account", "123456789012", "--cluster", "demo", *more)
    without = {statement["Sid"] for statement in printed(*words)["Statement"]}
    told = {statement["Sid"]: statement["Resource"] for statement in printed(*words, *TOLD)["Statement"]}
    assert {sid: there for sid, there in told.items() if sid not in without} == NAMED


def test_by_their_arns_it_is_those() -> None:
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:slack-AbC1dE"
    bus = "arn:aws:events:us-east-1:210987654321:event-bus/ops"
    told = {
        entry["Sid"]: entry["Resource"]
        for entry in printed("--tell", f"slack:secret:{secret}", "--tell", f"bus:{bus}")["Statement"]
    }
    assert (told["ReadSecrets"], told["TellBuses"]) == ([secret], [bus])


def test_what_is_in_the_environment_is_read_by_nobody() -> None:
    """``env:NAME`` is no secret of AWS's."""
    sids = {entry["Sid"] for entry in printed("--tell", "slack:env:HOOK", "--webhook-secret", "env:KEY")["Statement"]}
    assert sids & NAMED.keys() == set()


def test_in_china_ec2_is_passed_a_role_by_either_name() -> None:
    made = printed("--region", "cn-north-1", "--launch-template", "lt-0123456789abcdef0")
    assert "arn:aws:" not in json.dumps(made)
    (passing,) = [entry["Condition"] for entry in made["Statement"] if "iam:PassRole" in entry["Action"]]
    assert passing == {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}


def test_a_secret_that_was_typed_is_not_shown_again() -> None:
    words = ("--tell", "slack:https://hooks.slack.com/services/T0/B0/x", "--webhook-secret", "correct horse")
    ran = ecsroll(None, "iam-policy", *words)
    assert ran.code == 2, ran
    assert "--tell 'slack:...', --webhook-secret '...'" in ran.err
    assert "hooks.slack.com" not in ran.err
    assert "horse" not in ran.err


def test_a_policy_for_those_who_only_look_changes_nothing() -> None:
    actions = {action for statement in printed("--read-only")["Statement"] for action in statement["Action"]}
    assert {action for action in actions if not re.match(r"\w+:(Describe|List|Get)", action)} == set()
    needed = {f"{SERVICES.get(service, service)}:{name}" for service, name in played("commands that only look").calls}
    # A plan tries a change dry: to those who may only look it says that a roll would be denied it.
    assert needed - actions - ELSEWHERE.keys() == {"ec2:CreateLaunchTemplateVersion"}


def test_the_reasons_are_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # a narrow table folds the names of actions
    ran = ecsroll(None, "iam-policy", "--cluster", "prod")
    for row in iam_policy(Asked(cluster="prod")).more["actions"]:
        assert row["action"] in ran.err
    assert "give --region, --account, --asg" in ran.err
    assert ecsroll(None, "iam-policy", "--cluster", "prod", "--quiet").err == ""


def test_what_is_too_long_for_a_managed_policy_is_said_to_be() -> None:
    groups = [word for number in range(40) for word in ("--asg", f"production-group-{number}")]
    said = ecsroll(None, "iam-policy", "--cluster", "prod", *groups)
    assert "too long for a managed policy: put it into the role itself" in " ".join(said.err.split())
    assert "managed policy" not in ecsroll(None, "iam-policy", "--cluster", "prod").err


def test_json_has_both() -> None:
    result = ecsroll(None, "iam-policy", "--cluster", "prod", "--json").result
    assert (result["command"], result["result"], result["cluster"]) == ("iam-policy", "done", "prod")
    assert result["policy"] == policy(names_of(Asked(cluster="prod")))
    passed = next(row for row in result["actions"] if row["action"] == "iam:PassRole")
    assert (passed["statement"], passed["behind"]) == ("GiveHostsTheirRole", "autoscaling:UpdateAutoScalingGroup")


WRONG = {
    "an account of eleven digits": (("--account", "12345678901"), "--account '12345678901'"),
    "a cluster's ARN": (("--cluster", "arn:aws:ecs:eu-west-1:1:cluster/prod"), "--cluster 'arn:aws"),
    "an empty cluster": (("--cluster", ""), "--cluster ''"),
    "a template's name": (("--launch-template", "web"), "--launch-template 'web'"),
    "two at once": (("--account", "1", "--host-role", "a b"), "--account '1', --host-role 'a b'"),
    "a queue's ARN": (("--queue", "arn:aws:sqs:us-east-1:123456789012:watch"), "--queue 'arn:aws:sqs"),
    "a topic's name": (("--publish", "alerts"), "--publish 'alerts'"),
    "no region": (("--region", "mars"), "mars is no AWS region"),
    "no profile": (("--profile", "nobody"), "there is no AWS profile 'nobody'"),
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_no_name_is_refused_in_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    ran = ecsroll(None, "iam-policy", *words)
    assert ran.code == 2, ran
    assert sentence in ran.err
    assert ran.out == ""
