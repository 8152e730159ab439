"""The policy file: what it says, what counts more, and every problem of it at once."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from ecsroll.errors import UsageError
from ecsroll.model import Amount
from ecsroll.policy import Layer, settle, shown
from ecsroll.policy_file import find, read, schema

FILE = """
side-by-side = true

[policy]
max-surge = "25%"
canary = 2
keep-max-size = true

[cluster.prod]
region = "eu-central-1"
profile = "prod"
asg = ["web", "batch"]
max-surge = 2

[cluster.staging]
drain-timeout = "5m"
"""


def test_a_cluster_stands_on_the_policy_of_all() -> None:
    file = read(FILE)
    prod, staging = settle(*file.layers("prod")), settle(*file.layers("staging"))
    assert (prod.surge, prod.canary, prod.keep_max_size, prod.groups) == (Amount(2), 2, True, ("web", "batch"))
    assert (staging.surge, staging.drain_timeout) == (Amount(25, percent=True), timedelta(minutes=5))
    assert list(file.clusters) == ["prod", "staging"]
    assert file.side_by_side
    assert file.place("prod") == ("eu-central-1", "prod")
    assert file.place("staging") == (None, None)


def test_a_cluster_without_a_table_has_the_policy_of_all() -> None:
    assert settle(*read(FILE).layers("other")).canary == 2
    assert read(FILE).place("other") == (None, None)


def test_what_is_typed_counts_more_and_each_value_says_where_it_came_from() -> None:
    policy = settle(Layer("given", {"canary": "0"}), *read(FILE).layers("prod"))
    assert shown(policy) == {
        "canary": ("0", "given"),
        "asg": ("web batch", "ecsroll.toml [cluster.prod]"),
        "max-surge": ("2", "ecsroll.toml [cluster.prod]"),
        "keep-max-size": ("yes", "ecsroll.toml [policy]"),
    }


PROBLEMS = {
    "no TOML": ("[policy\n", "is no TOML"),
    "an unknown key, with the one that may be meant": (
        "[policy]\nmax-surg = 1",
        r"\[policy\] max-surg is unknown \(is max-surge meant\?\)",
    ),
    "an unknown table": ("[clusters.prod]\n", r"clusters is unknown \(is cluster meant\?\)"),
    "region is no policy": ("[policy]\nregion = 'x'", r"\[policy\] region is unknown"),
    "a region that is no text": ("[cluster.a]\nregion = 1", r"\[cluster.a\] region: a text is wanted"),
    "a text for a yes or no": ("[policy]\nall = 'yes'", r"\[policy\] all: true or false is wanted"),
    "a yes or no for a number": ("[policy]\ncanary = true", r"\[policy\] canary: a text or a whole number is wanted"),
    "a text for a list": ("[policy]\nasg = 'web'", r"\[policy\] asg: a list of texts is wanted"),
    "a fraction": ("[policy]\ncanary = 1.5", r"canary: a text or a whole number is wanted"),
    "a cluster that is no table": ("cluster = 1", "cluster: a table for each cluster is wanted"),
    "a policy that is no table": ("policy = 1", r"policy: a table is wanted, \[policy\]"),
    "side by side, how often": ("side-by-side = 2", "side-by-side: true or false is wanted"),
    "a value that no option takes": (
        "[cluster.a]\nboot-timeout = 'soon'",
        r"--boot-timeout: 'soon' is no duration.*\(from ecsroll.toml \[cluster.a\]\)",
    ),
    "two values that do not go together": (
        "[policy]\nmax-surge = 0\n[cluster.a]\n",
        "--max-surge 0 with --max-unavailable 0 leaves no way to move",
    ),
}


@pytest.mark.parametrize(("text", "says"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_is_told(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        read(text)
    assert str(caught.value).startswith("ecsroll.toml")
    assert caught.value.hint
    assert len(re.findall(";", str(caught.value))) == 0


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        read("[policy]\ncanari = 1\nall = 1\n[cluster.a]\nasg = 1\nsurge = 2")
    assert str(caught.value).count(";") == 3
    with pytest.raises(UsageError) as caught:
        read("[policy]\ncanary = 'x'\n[cluster.a]\nboot-timeout = 'y'\n[cluster.b]\nboot-timeout = 'z'")
    assert str(caught.value).count("--canary") == 1
    assert str(caught.value).count("--boot-timeout") == 2


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can not be read: No such file"):
        find(str(tmp_path / "nowhere.toml"), tmp_path)
    with pytest.raises(UsageError, match="can not be read"):
        find(str(tmp_path), tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is no UTF-8 text"):
        find(str(tmp_path / "bytes.toml"), tmp_path)


def test_the_one_in_the_folder_is_found_and_none_is_fine(tmp_path: Path) -> None:
    assert not find(None, tmp_path).clusters
    (tmp_path / "ecsroll.toml").write_text(FILE)
    assert list(find(None, tmp_path).clusters) == ["prod", "staging"]


# The schema


def problems(text: str) -> list[str]:
    said: dict[str, Any] = tomllib.loads(text)
    return [error.message for error in Draft7Validator(schema()).iter_errors(said)]


def test_the_schema_takes_what_ecsroll_takes() -> None:
    Draft7Validator.check_schema(schema())
    assert problems(FILE) == []


@pytest.mark.parametrize(
    "name",
    [name for name in PROBLEMS if name not in {"no TOML", "two values that do not go together"}],
)
def test_the_schema_refuses_what_ecsroll_refuses(name: str) -> None:
    assert problems(PROBLEMS[name][0]) != []


def test_the_page_shows_a_file_that_can_be_read() -> None:
    page = (Path(__file__).parent.parent / "docs" / "policy-file.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert list(read(block).clusters) == ["staging", "prod"]
    assert problems(block) == []
