"""The image rules: what ``--min-ami-age`` and ``--deny-ami`` leave to choose from; nothing goes back for their sake."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ecsroll.ami import Catalogue, GroupImages, check, choose
from ecsroll.errors import Refused
from ecsroll.image_rules import ImageRules
from ecsroll.simulator.stage import GroupSet, Stage, set_stage
from tests import scenarios as s
from tests.console import ecsroll
from tests.test_ami import AL2023, GOLDEN, GONE, MID, NEW, OLD, WIN_OLD, Aws, aws

DAY = timedelta(days=1)
CREATED = {NEW: datetime(2026, 9, 22, 18, tzinfo=UTC), MID: datetime(2026, 9, 18, 18, tzinfo=UTC)}
NOW = datetime(2026, 9, 25, 18, tzinfo=UTC)
"""Three days after the newest release, seven after the one before."""


def dated() -> Aws:
    """AWS with true dates; the oldest one is of August."""
    source = aws()
    source.existing |= {name: replace(source.existing[name], created=at) for name, at in CREATED.items()}
    return source


def rules(days: float = 0, *denied: str) -> ImageRules:
    return ImageRules(days * DAY, frozenset(denied), NOW)


CHOICES: dict[str, tuple[str, GroupImages, ImageRules, str]] = {
    "old enough: the recommended one": ("recommended", GroupImages("g", {"i-1": OLD}), rules(3), NEW),
    "too young: the newest that is old enough": ("recommended", GroupImages("g", {"i-1": OLD}), rules(4), MID),
    "denied: the one before": ("recommended", GroupImages("g", {"i-1": OLD}), rules(0, NEW), MID),
    "both": ("recommended", GroupImages("g", {"i-1": MID}), rules(4, MID), OLD),
    "what it would launch is newer than what is old enough: it stays": (
        "recommended",
        GroupImages("g", {"i-1": OLD}, NEW),
        rules(4),
        NEW,
    ),
    "unless that is denied": ("recommended", GroupImages("g", {"i-1": OLD}, NEW), rules(0, NEW), MID),
    "previous, if it may be launched": ("previous", GroupImages("g", {"i-1": OLD}), rules(7), MID),
    "previous, the first that may": ("previous", GroupImages("g", {"i-1": NEW}), rules(0, MID), OLD),
    "what is kept, by its age": ("keep", GroupImages("g", {}, MID), rules(7), MID),
    "pinned, by its age": (MID, GroupImages("g", {"i-1": OLD}), rules(7), MID),
}


@pytest.mark.parametrize(("target", "group", "wanted", "image_id"), CHOICES.values(), ids=CHOICES)
def test_the_wanted_image(target: str, group: GroupImages, wanted: ImageRules, image_id: str) -> None:
    assert choose(target, [group], Catalogue(dated()), wanted) == {"g": image_id}


REFUSALS: dict[str, tuple[str, GroupImages, ImageRules, str]] = {
    "nothing is old enough": (
        "recommended",
        GroupImages("g", {"i-1": OLD}),
        rules(400),
        "no amazon-linux-2023 release of this region may be launched by these rules",
    ),
    "nothing is left": ("recommended", GroupImages("g", {"i-1": OLD}), rules(0, NEW, MID, OLD), "by these rules"),
    "only the recommended one is listed, and it is denied": (
        "recommended",
        GroupImages("g", {}, WIN_OLD),
        rules(400),
        "may be launched by these rules",
    ),
    "nothing before it": ("previous", GroupImages("g", {"i-1": OLD}), rules(0, MID, OLD), "by these rules"),
    "pinned and denied": (NEW, GroupImages("g", {"i-1": OLD}), rules(0, NEW), f"{NEW} is denied (--deny-ami)"),
    "pinned and too young": (
        NEW,
        GroupImages("g", {"i-1": OLD}),
        rules(7),
        f"{NEW} is 3d old, --min-ami-age wants 7d",
    ),
    "kept and denied": ("keep", GroupImages("g", {}, GOLDEN), rules(0, GOLDEN), f"{GOLDEN} is denied"),
    "kept and gone": ("keep", GroupImages("g", {}, GONE), rules(1), f"{GONE} is gone from EC2"),
}


@pytest.mark.parametrize(("target", "group", "wanted", "says"), REFUSALS.values(), ids=REFUSALS)
def test_what_can_not_be_launched(target: str, group: GroupImages, wanted: ImageRules, says: str) -> None:
    with pytest.raises(Refused) as caught:
        choose(target, [group], Catalogue(dated()), wanted)
    assert says in str(caught.value)
    assert caught.value.hint


def test_a_clock_that_is_behind_makes_no_image_older_than_it_is() -> None:
    behind = ImageRules(7 * DAY, frozenset(), CREATED[NEW] - 2 * DAY)
    assert behind.against(dated().existing[NEW]) == "is 0h old, --min-ami-age wants 7d"
    assert ImageRules(7 * DAY, frozenset(), CREATED[NEW] + DAY / 2).against(dated().existing[NEW]) == (
        "is 12h old, --min-ami-age wants 7d"
    )


def test_without_rules_nothing_more_is_read() -> None:
    source = dated()
    choose("recommended", [GroupImages("g", {"i-1": OLD})], Catalogue(source))
    plain = len(source.calls)
    source = dated()
    choose("recommended", [GroupImages("g", {"i-1": OLD})], Catalogue(source), rules())
    assert len(source.calls) == plain


CHECKS: dict[str, tuple[GroupImages, ImageRules, str, bool, str]] = {
    "behind what may be launched": (
        GroupImages("g", {"i-1": OLD}),
        rules(4),
        MID,
        True,
        f"{NEW} (2023.0.20260922) is 3d",
    ),
    "on what may be launched": (GroupImages("g", {"i-1": MID}), rules(4), MID, False, f"{NEW} (2023.0.20260922) is 3d"),
    "ahead of it: nothing is to be done": (GroupImages("g", {"i-1": NEW}), rules(4), MID, False, "is 3d old"),
    "on what is denied": (GroupImages("g", {"i-1": NEW}), rules(0, NEW), MID, True, "is denied"),
    "no rule holds anything back": (GroupImages("g", {"i-1": NEW}), rules(2), NEW, False, ""),
}


@pytest.mark.parametrize(("group", "wanted", "newest", "outdated", "held"), CHECKS.values(), ids=CHECKS)
def test_a_check_goes_by_the_rules(
    group: GroupImages, wanted: ImageRules, newest: str, outdated: bool, held: str
) -> None:
    (row,) = check([group], Catalogue(dated()).known([group], rules=wanted))
    assert row.newest is not None
    assert (row.newest.image_id, row.outdated) == (newest, outdated)
    assert held in (row.held_back or "")
    assert bool(row.held_back) == bool(held)
    assert row.family == AL2023


# The commands


def stage(**said: object) -> Stage:
    return set_stage(GroupSet(hosts=1, age=2, **said))  # type: ignore[arg-type]


ROLL = ("replace", "--cluster", "demo", "--yes", "--canary", "0", "--good-readings", "1")


def test_a_roll_and_a_check_go_to_the_same_image() -> None:
    here = stage()
    denied = here.new_image["web"]
    ran = ecsroll(here, "check-ami", "--cluster", "demo", "--deny-ami", denied, "--json")
    (row,) = ran.result["groups"]
    assert row["held_back"] == f"{denied} ({denied_version(here)}) is denied (--deny-ami)"
    rolled = ecsroll(here, *ROLL, "--deny-ami", denied)
    assert rolled.code == 0, rolled
    assert s.images(here) == [row["newest"]["image"]]
    again = ecsroll(here, "check-ami", "--cluster", "demo", "--deny-ami", denied, "--exit-code")
    assert again.code == 0
    assert "is denied (--deny-ami)" in again.out


def denied_version(here: Stage) -> str:
    newest = here.sim.images.releases("/aws/service/ecs/optimized-ami/amazon-linux-2023")[-1]
    return str(newest.version)


def test_a_group_on_the_parameter_of_aws_is_refused_what_the_rules_forbid() -> None:
    here = stage(reference="public")
    ran = ecsroll(here, *ROLL, "--deny-ami", here.new_image["web"])
    assert ran.code == 4, ran
    assert "is denied (--deny-ami)" in ran.err
    assert "terraform/modules/ecs_instances" in ran.err
    assert s.images(here) == [here.old_image["web"]]


def test_an_image_that_is_too_young_waits() -> None:
    here = stage()
    ran = ecsroll(here, *ROLL, "--min-ami-age", "36500d")
    assert ran.code == 4, ran
    assert "may be launched by these rules" in ran.err
