"""Bad input: one sentence on stderr, a hint, the right exit code, nothing changed; with --json a result line, too."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from tests.console import Ran, denying, ecsroll

API = ServiceSet(name="api", count=2)

YES = ("replace", "--cluster", "demo", "--yes")


def plain() -> Stage:
    return set_stage(GroupSet(hosts=2), services=(API,))


def two_clusters() -> Stage:
    """The group ``other`` belongs to the cluster ``elsewhere``."""
    stage = plain()
    other = set_stage(GroupSet(name="other", hosts=1), cluster="elsewhere", world=stage.sim.world)
    del other
    return stage


def bare(**members: object) -> Callable[[], Stage]:
    """A cluster without hosts."""

    def make() -> Stage:
        stage = set_stage(cluster="demo")
        if members:
            stage.sim.client("ecs").put_cluster_capacity_providers(
                cluster="demo", defaultCapacityProviderStrategy=[], **members
            )
        return stage

    return make


def managed() -> Stage:
    """Every container instance is one of ECS managed instances."""
    stage = plain()
    for host in stage.sim.clusters.find("demo").registered:
        stage.sim.clusters.put_attribute(host, "ecs.managed-instance", "true")
    for member in list(stage.sim.scaling.groups["web"].members.values()):
        stage.sim.scaling.groups["web"].members.pop(member.instance.id)
    return stage


def idle_group() -> Stage:
    """A second group of the account that has no host in the cluster."""
    stage = plain()
    template = next(iter(stage.sim.client("ec2").describe_launch_templates()["LaunchTemplates"]))
    stage.sim.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="databases",
        MinSize=0,
        MaxSize=1,
        AvailabilityZones=["eu-west-1a"],
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"},
    )
    return stage


def arm_image(stage: Stage) -> str:
    return stage.sim.images.releases("/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64")[-1].id


@dataclass(frozen=True, slots=True)
class Row:
    """One mistake: the words, what they come to, and what has to be said."""

    words: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    """Parts of the sentence and of the hint."""
    stage: Callable[[], Stage] = plain
    result: str = "error"
    deny: str | None = None
    image: Callable[[Stage], str] | None = None
    """An image to name with --ami."""


ROWS = {
    "there is no such cluster": Row(
        ("replace", "--cluster", "prod", "--yes"), 3, ("no ECS cluster 'prod'", "aws ecs list-clusters")
    ),
    "there is no such cluster to report on": Row(("status", "--cluster", "prod"), 3, ("no ECS cluster 'prod'",)),
    "there is no such cluster to end a roll on": Row(
        ("abort", "--cluster", "prod", "--yes"), 3, ("no ECS cluster 'prod'",)
    ),
    "ending a roll without a terminal to ask on": Row(("abort", "--cluster", "demo"), 2, ("no terminal", "--yes")),
    "there is no such cluster to check": Row(("check-ami", "--cluster", "prod"), 3, ("no ECS cluster 'prod'",)),
    "there is no such group: the cluster's groups are named": Row(
        (*YES, "--asg", "wbe"), 3, ("no Auto Scaling group 'wbe'", "groups of demo: web")
    ),
    "the group belongs to another cluster": Row(
        (*YES, "--asg", "other"), 3, ("'other' has no hosts in cluster 'demo'", "web"), idle_group
    ),
    "the group has no ECS hosts at all": Row(
        (*YES, "--asg", "databases"), 3, ("'databases' has no hosts in cluster 'demo'", "web"), idle_group
    ),
    "the cluster is empty": Row(YES, 3, ("'demo' has no EC2 hosts", "ECS_CLUSTER"), bare()),
    "the cluster runs on Fargate only": Row(
        YES, 3, ("runs on Fargate only", "nothing to replace"), bare(capacityProviders=["FARGATE"])
    ),
    "all hosts are ECS managed instances": Row(YES, 3, ("only ECS managed instances", "by itself"), managed),
    "the instance is in no group of the cluster": Row(
        (*YES, "--instance", "i-0123456789abcdef0"), 3, ("i-0123456789abcdef0 is no host of web", "--asg")
    ),
    "the image is for another architecture": Row(YES, 4, ("arm64", "x86_64"), result="refused", image=arm_image),
    "there is no such image": Row((*YES, "--ami", "ami-0123456789abcdef0"), 3, ("no image ami-0123456789abcdef0",)),
    "--ami is neither a word nor an id": Row(
        (*YES, "--ami", "newest"), 2, ("--ami: 'newest' is no image", "recommended")
    ),
    "a call is denied: the missing action is named": Row(
        YES,
        6,
        ("autoscaling:DescribeAutoScalingGroups is denied", "need autoscaling"),
        deny="DescribeAutoScalingGroups",
    ),
    "describing the cluster is denied": Row(
        ("status", "--cluster", "demo"), 6, ("ecs:DescribeClusters is denied",), deny="DescribeClusters"
    ),
    "reading the ledger is denied": Row(YES, 6, ("ssm:GetParametersByPath is denied",), deny="GetParametersByPath"),
    "a duration can not be read": Row(
        (*YES, "--drain-timeout", "3w"), 2, ("--drain-timeout: '3w' is no duration", "such as 90s or 15m")
    ),
    "a number of hosts can not be read": Row(
        (*YES, "--max-surge", "1.5"), 2, ("--max-surge: '1.5' is neither a number of hosts nor a percentage",)
    ),
    "a percentage of percent": Row((*YES, "--max-unavailable", "5%%"), 2, ("--max-unavailable: '5%%'",)),
    "the canary is not a number": Row((*YES, "--canary", "two"), 2, ("--canary: 'two' is no whole number",)),
    "a negative canary": Row((*YES, "--canary=-1"), 2, ("--canary: '-1' is no whole number",)),
    "no good reading would be enough": Row((*YES, "--good-readings", "0"), 2, ("--good-readings: at least 1",)),
    "polling without a pause": Row((*YES, "--poll-interval", "0s"), 2, ("--poll-interval: at least 0.2s",)),
    "there is no such strategy": Row((*YES, "--strategy", "fast"), 2, ("--strategy: 'fast': say rolling or double",)),
    "several problems are reported together": Row(
        (*YES, "--max-surge", "some", "--boot-timeout", "soon", "--canary", "x"),
        2,
        ("--max-surge: 'some'", "--boot-timeout: 'soon'", "--canary: 'x'"),
    ),
    "no surge and nothing unavailable: it could never move": Row(
        (*YES, "--max-surge", "0"), 2, ("--max-surge 0 with --max-unavailable 0", "allow one of them")
    ),
    "two ways to choose the hosts": Row(
        (*YES, "--all", "--older-than", "30d"), 2, ("--all and --older-than each choose the hosts",)
    ),
    "all three ways to choose the hosts": Row(
        (*YES, "--all", "--older-than", "30d", "--instance", "i-1"), 2, ("--all and --older-than and --instance",)
    ),
    "no terminal to ask on, and no --yes": Row(("replace", "--cluster", "demo"), 2, ("no terminal", "--yes")),
    "no cluster is named": Row(("replace", "--yes"), 2, ("no cluster was named", "give --cluster", "ecsroll.toml")),
    "the cluster's name is empty": Row(("replace", "--cluster", "", "--yes"), 2, ("--cluster is empty", "unset")),
    "the cluster to report on is empty": Row(("status", "--cluster", " "), 2, ("--cluster is empty",)),
    "one of the clusters to check is empty": Row(
        ("check-ami", "--cluster", "demo", "--cluster", ""), 2, ("--cluster is empty",)
    ),
    "no cluster to check is named": Row(("check-ami",), 2, ("no cluster was named", "--all-clusters")),
    "one cluster and all of them": Row(
        ("check-ami", "--cluster", "demo", "--all-clusters"), 2, ("exclude one another", "--all-clusters")
    ),
    "less to be told, and more": Row((*YES, "--quiet", "--verbose"), 2, ("--quiet and --verbose", "one of them")),
    "there is no such option": Row((*YES, "--fast"), 2, ("No such option: --fast", "ecsroll replace --help")),
    "there is no such command": Row(("roll", "--cluster", "demo"), 2, ("No such command 'roll'", "ecsroll --help")),
    "an option without its value": Row(("replace", "--cluster"), 2, ("'--cluster' requires an argument",)),
    "a word too many": Row((*YES, "prod"), 2, ("unexpected extra argument(s) (prod)",)),
    "the demo's speed is negative": Row(("demo", "--speed", "-1"), 2, ("--speed",)),
}


@contextmanager
def told(row: Row) -> Iterator[tuple[Stage, tuple[str, ...]]]:
    """The stage and the words of a row."""
    stage = row.stage()
    if row.says and "'other' has no hosts" in row.says[0]:
        stage.sim.client("ecs").create_cluster(clusterName="elsewhere")
        stage.sim.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="other",
            MinSize=1,
            MaxSize=1,
            AvailabilityZones=["eu-west-1a"],
            **launch_into(stage, "elsewhere"),
        )
        stage.sim.sleep(300)
    words = (*row.words, "--ami", row.image(stage)) if row.image else row.words
    stage.sim.door.calls.clear()
    with ExitStack() as stack:
        if row.deny:
            stack.enter_context(denying(stage, row.deny))
        yield stage, words


def launch_into(stage: Stage, cluster: str) -> dict[str, object]:
    """A template whose hosts register with a cluster."""
    script = f"#!/bin/sh\necho ECS_CLUSTER={cluster} >> /etc/ecs/ecs.config\n"
    name = f"{cluster}-v1"
    stage.sim.client("autoscaling").create_launch_configuration(
        LaunchConfigurationName=name, ImageId=stage.old_image["web"], InstanceType="m5.large", UserData=script
    )
    return {"LaunchConfigurationName": name}


def changed(stage: Stage) -> list[str]:
    return [f"{call.service}:{call.operation}" for call in stage.sim.door.calls if call.changes]


def sentence_and_hint(ran: Ran) -> tuple[str, str]:
    lines = ran.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], ran
    sentence, hint = (line.partition(":")[2].strip() for line in lines)
    assert sentence, ran
    assert hint, ran
    return sentence, hint


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_mistake_is_told_in_one_sentence_with_a_hint(row: Row) -> None:
    with told(row) as (stage, words):
        ran = ecsroll(stage, *words)
        assert ran.code == row.code, ran
        sentence, hint = sentence_and_hint(ran)
        for part in row.says:
            assert part in f"{sentence} {hint}", ran
        assert ran.out == "", "the result is on stdout, the trouble on stderr"
        assert changed(stage) == []


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_with_json_the_last_line_of_stdout_is_a_result(row: Row) -> None:
    with told(row) as (stage, words):
        ran = ecsroll(stage, *words, "--json") if words[-1] != "--cluster" else ecsroll(stage, "--json", *words)
        assert ran.code == row.code, ran
        sentence, hint = sentence_and_hint(ran)
        assert len(ran.lines) == 1
        assert (ran.result["kind"], ran.result["exit_code"]) == ("result", row.code)
        assert (ran.result["result"], ran.result["reason"], ran.result["next"]) == (row.result, sentence, hint)
        assert changed(stage) == []


# The way to AWS ----------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine that has never heard of AWS."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def test_no_region(nobody: pytest.MonkeyPatch) -> None:
    del nobody
    ran = ecsroll(None, *YES, "--json")
    assert (ran.code, ran.result["exit_code"]) == (2, 2)
    assert sentence_and_hint(ran) == ("no AWS region is set", "give --region, or set AWS_REGION")


def test_no_credentials(nobody: pytest.MonkeyPatch) -> None:
    del nobody
    ran = ecsroll(None, *YES, "--region", "eu-west-1", "--json")
    assert (ran.code, ran.result["result"]) == (6, "error")
    sentence, hint = sentence_and_hint(ran)
    assert sentence == "no AWS credentials were found"
    assert "AWS_PROFILE" in hint


def test_an_unknown_profile(nobody: pytest.MonkeyPatch) -> None:
    del nobody
    ran = ecsroll(None, *YES, "--profile", "prod", "--json")
    assert ran.code == 2
    assert sentence_and_hint(ran)[0] == "there is no AWS profile 'prod'"


def test_an_unknown_profile_in_the_environment(nobody: pytest.MonkeyPatch) -> None:
    nobody.setenv("AWS_PROFILE", "prod")
    ran = ecsroll(None, *YES, "--region", "eu-west-1")
    assert ran.code == 2
    assert "there is no AWS profile" in sentence_and_hint(ran)[0]


def test_an_endpoint_that_can_not_be_reached(nobody: pytest.MonkeyPatch) -> None:
    nobody.setenv("AWS_ACCESS_KEY_ID", "x")
    nobody.setenv("AWS_SECRET_ACCESS_KEY", "x")
    nobody.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ran = ecsroll(None, *YES, "--region", "eu-west-1", "--json")
    assert (ran.code, ran.result["result"]) == (6, "error")
    trouble, *lines = ran.err.splitlines()
    assert re.search(r":\w+ has been failing for \d+s, and is tried for 120s: Could not connect", trouble)
    sentence, _ = sentence_and_hint(replace(ran, err="\n".join(line for line in lines if "been failing" not in line)))
    assert "keeps failing" in sentence


def test_an_endpoint_that_is_no_address(nobody: pytest.MonkeyPatch) -> None:
    nobody.setenv("AWS_ACCESS_KEY_ID", "x")
    nobody.setenv("AWS_SECRET_ACCESS_KEY", "x")
    nobody.setenv("AWS_ENDPOINT_URL", "localhost:8080")
    ran = ecsroll(None, *YES, "--region", "eu-west-1")
    assert ran.code == 2
    sentence, hint = sentence_and_hint(ran)
    assert "Invalid endpoint: localhost:8080" in sentence
    assert "AWS_ENDPOINT_URL" in hint


def test_credentials_that_have_expired() -> None:
    stage = plain()
    with denying(stage, "DescribeClusters", "ExpiredTokenException"):
        ran = ecsroll(stage, *YES)
    assert ran.code == 6
    assert "does not accept the credentials" in sentence_and_hint(ran)[0]


def test_a_bug_has_its_exit_code_its_traceback_and_its_json_line() -> None:
    stage = plain()

    def broken(call: object) -> None:
        raise ZeroDivisionError(f"{call!r:.0}deep inside")

    stage.sim.door.before.append(broken)
    ran = ecsroll(stage, *YES, "--json")
    assert (ran.code, ran.result["exit_code"], ran.result["result"]) == (1, 1, "error")
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-2] == "error: a bug: ZeroDivisionError: deep inside"


def test_ecsroll_alone_shows_its_help_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    ran = ecsroll(None)
    assert (ran.code, ran.err) == (2, "")
    assert "Usage: ecsroll" in capsys.readouterr().out
