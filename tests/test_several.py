"""Several clusters in one run: in turn until one does not end well, or side by side."""

import threading
from pathlib import Path
from typing import Any

import pytest

from ecsroll.model import Owed
from ecsroll.result import Result, Word
from ecsroll.several import in_turn, side_by_side
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from tests import scenarios as s
from tests.console import Ran, ecsroll

WORDS: dict[str, tuple[Word, int]] = {
    "done": ("done", 0),
    "nothing": ("nothing", 0),
    "halted": ("halted", 5),
    "held": ("held", 7),
}


def ended(cluster: str) -> Result:
    """A cluster ends as its name says."""
    word, code = WORDS[cluster.partition("-")[0]]
    owed = (Owed(group="web", what="1 borrowed host(s)", how="again"),) if code else ()
    return Result(
        command="replace", result=word, exit_code=code, cluster=cluster, reason="so", next="then", replaced=2, owed=owed
    )


TOGETHER = {
    "all end well": (
        ("done-1", "done-2"),
        ("done", 0, "2 of 2 clusters ended well", 4, []),
    ),
    "one had nothing to do: the others speak": (
        ("nothing-1", "done-2"),
        ("done", 0, "2 of 2 clusters ended well", 4, []),
    ),
    "none had anything to do": (
        ("nothing-1", "nothing-2"),
        ("nothing", 0, "2 of 2 clusters ended well", 4, []),
    ),
    "one halts: the next ones are not begun": (
        ("done-1", "halted-2", "done-3"),
        ("halted", 5, "1 of 3 clusters ended well; halted-2: halted: so; not begun: done-3", 4, ["done-3"]),
    ),
    "the last one is held": (
        ("done-1", "held-2"),
        ("held", 7, "1 of 2 clusters ended well; held-2: held: so", 4, []),
    ),
}


@pytest.mark.parametrize(("clusters", "expected"), TOGETHER.values(), ids=TOGETHER)
def test_in_turn(clusters: tuple[str, ...], expected: tuple[Any, ...]) -> None:
    result = in_turn("replace", clusters, ended)
    assert (result.result, result.exit_code, result.reason, result.replaced, result.more["not_begun"]) == expected
    assert result.cluster is None


def test_side_by_side_they_go_on_at_the_same_time_and_one_that_halts_stops_no_other() -> None:
    meet = threading.Barrier(3, timeout=10)

    def roll(cluster: str) -> Result:
        meet.wait()  # would never be passed by one after the other
        return ended(cluster)

    result = side_by_side("replace", ("done-1", "halted-2", "done-3"), roll)
    assert (result.result, result.exit_code) == ("halted", 5)
    assert result.reason == "2 of 3 clusters ended well; halted-2: halted: so"
    assert [said["cluster"] for said in result.more["clusters"]] == ["done-1", "halted-2", "done-3"]
    assert len(result.owed) == 1


# The command

FILE = """
[policy]
canary = 0
good-readings = 1

[cluster.staging]

[cluster.prod]
max-surge = 2
"""


def two_clusters() -> Stage:
    staging = set_stage(GroupSet(name="web", hosts=1), services=(ServiceSet(name="api", count=1),), cluster="staging")
    prod = set_stage(
        GroupSet(name="shop", hosts=2),
        services=(ServiceSet(name="shop", count=2),),
        cluster="prod",
        simulation=staging.sim,
    )
    staging.new_image |= prod.new_image
    staging.old_image |= prod.old_image
    return staging


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ecsroll.toml").write_text(FILE)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_the_clusters_of_the_file_are_rolled_in_their_order_each_by_its_table() -> None:
    stage = two_clusters()
    ran = ecsroll(stage, "replace", "--yes", "--json")
    assert ran.code == 0, ran
    assert s.images(stage, "web") == [stage.new_image["web"]]
    assert s.images(stage, "shop") == [stage.new_image["shop"]] * 2
    ends = [event for event in ran.events if event["event"] == "cluster_finished"]
    assert [event["cluster"] for event in ends] == ["staging", "prod"]
    assert [event["result"]["hosts"]["replaced"] for event in ends] == [1, 2]
    assert ends[1]["result"]["figures"]["peak_hosts"] == 4, "two at a time, as its table says"
    assert {event["cluster"] for event in ran.events} == {"staging", "prod"}
    assert ran.result["cluster"] is None
    assert ran.result["hosts"] == {"replaced": 3, "remaining": 0}


@pytest.mark.usefixtures("here")
def test_one_that_is_named_is_rolled_alone_by_its_table_and_the_plan_says_whence() -> None:
    stage = two_clusters()
    ran = ecsroll(stage, "replace", "--cluster", "prod", "--yes", "--max-surge", "1")
    assert ran.code == 0, ran
    assert "canary 0 (ecsroll.toml [policy])" in ran.err
    assert "max-surge 1 (given)" in ran.err
    assert s.images(stage, "web") == [stage.old_image["web"]]


@pytest.mark.usefixtures("here")
def test_the_first_that_does_not_end_well_stops_the_run() -> None:
    stage = two_clusters()
    ran = ecsroll(stage, "replace", "--cluster", "nowhere", "--cluster", "prod", "--yes")
    assert ran.code == 3, ran
    assert "not begun: prod" in ran.out
    assert s.images(stage, "shop") == [stage.old_image["shop"]] * 2


@pytest.mark.usefixtures("here")
def test_side_by_side_each_has_a_roll_of_its_own_and_every_line_says_whose_it_is() -> None:
    stage = two_clusters()
    ran = ecsroll(stage, "replace", "--side-by-side", "--yes")
    assert ran.code == 0, ran
    assert s.images(stage, "web") == [stage.new_image["web"]]
    assert s.images(stage, "shop") == [stage.new_image["shop"]] * 2
    assert {line.split()[1] for line in ran.err.splitlines() if line[2:3] == ":"} == {"staging", "prod"}
    assert "2 of 2 clusters ended well" in ran.out.splitlines()[-1]


@pytest.mark.usefixtures("here")
def test_side_by_side_nobody_can_be_asked() -> None:
    ran = ecsroll(two_clusters(), "replace", "--side-by-side", ask=lambda _: True)
    assert ran.code == 2
    assert "--yes" in ran.err


def told(*words: str, stage: Stage | None = None) -> Ran:
    return ecsroll(stage or two_clusters(), *words)


def test_no_cluster_is_named_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = told("replace", "--yes")
    assert ran.code == 2
    assert "no cluster was named" in ran.err


@pytest.mark.usefixtures("here")
def test_a_file_with_problems_stops_every_command_before_anything_is_asked(here: Path) -> None:
    (here / "ecsroll.toml").write_text("[policy]\nsurge = 1\n")
    stage = two_clusters()
    for words in (("replace", "--cluster", "prod", "--yes"), ("status", "--cluster", "prod")):
        ran = told(*words, stage=stage)
        assert ran.code == 2
        assert "[policy] surge is unknown" in ran.err
    assert stage.sim.door.calls == []


def test_another_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text(FILE)
    ran = told("--config", str(file), "replace", "--cluster", "staging", "--yes")
    assert ran.code == 0, ran
    assert f"canary 0 ({file} [policy])" in ran.err
