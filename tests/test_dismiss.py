"""How the last hosts of a roll leave, as a table: which of them make the group smaller, and from which zone."""

import pytest

from ecsroll import asg
from tests.builders import Row, new, old, outcome, rolling, row, table

TWO = {"zones": ("a", "b")}

LAST = {
    "all that are left are empty at once: all of them go, from the fullest zone at each step": row(
        rolling(
            *(old(f"i-{number}", zone="aabb"[number - 1], draining=True) for number in range(1, 5)),
            *(new(f"i-{number}", zone="aabb"[number - 5]) for number in range(5, 9)),
            wanted=4,
            surge=4,
            group=TWO,
        ),
        "note web",
        "size web 4..14 protected",
        "shrink by i-1",
        "shrink by i-3",
        "shrink by i-2",
        "shrink by i-4",
    ),
    "two of one zone are empty first: they go, as the other zone's will": row(
        rolling(
            *(old(f"i-{number}", zone="aabb"[number - 1], draining=number < 3) for number in range(1, 5)),
            *(new(f"i-{number}", zone="aabb"[number - 5]) for number in range(5, 9)),
            wanted=4,
            surge=4,
            group=TWO,
        ),
        "note web",
        "size web 6..14 protected",
        "shrink by i-1",
        "shrink by i-2",
        "drain i-3 i-4",
    ),
    "the last one stands where a host would be missing: it is replaced": row(
        rolling(
            old("i-1", zone="b", draining=True),
            new("i-2", zone="a"),
            new("i-3", zone="a"),
            new("i-4", zone="a"),
            wanted=3,
            group=TWO,
        ),
        "replace i-1",
    ),
}


@pytest.mark.parametrize("row", table(LAST))
def test_the_last_hosts(row: Row) -> None:
    assert outcome(row) == row.told


LEAVING: dict[str, tuple[str, str, str]] = {
    "one zone: in their own order": ("aaa", "aaa", "123"),
    "two zones, even: in turns": ("aabb", "aabb", "1324"),
    "the fuller zone first, until they are even": ("abb", "aabbbb", "231"),
    "nobody": ("", "ab", ""),
}


@pytest.mark.parametrize(("zones", "live", "order"), LEAVING.values(), ids=LEAVING)
def test_several_leave_from_the_zone_that_is_fullest_then(zones: str, live: str, order: str) -> None:
    hosts = [old(f"i-{number}", zone=zone) for number, zone in enumerate(zones, 1)]
    there = [old(f"j-{number}", zone=zone) for number, zone in enumerate(live)]
    assert [host.id.removeprefix("i-") for host in asg.from_fullest(hosts, there)] == list(order)
