"""The canary: which host is tried first, and what has to be seen before anything of a group is terminated."""

from dataclasses import replace

import pytest

from ecsroll.decide import decide
from ecsroll.ledger import Baseline
from ecsroll.model import Service, Targets
from tests.builders import (
    NO_CANARY,
    ROLL,
    Facts,
    Row,
    ago,
    gone,
    memory,
    new,
    noted,
    old,
    outcome,
    roll,
    rolling,
    row,
    service,
    stopping,
    table,
    task,
)

BOTH: Facts = {"services": [service("shop", 3), service("cart", 1)]}
# A canary is yet to be judged; i-1 carries two services.
TRYING: Facts = {"canary_passed": False}
JUDGED: Facts = {"canary_passed": False, "canaries": ("i-1",)}
CARRIED: Facts = {"tasks": [task("t1", "i-1"), task("t2", "i-2"), task("t3", "i-2"), task("t4", "i-1", "cart")]}
MOVED: Facts = {"tasks": [gone("t1", "i-1"), gone("t4", "i-1", "cart")]}

CANARY = {
    "the canary is a healthy host that carries the most services": row(
        rolling(old("i-1", tasks=9), old("i-2", tasks=2), new("i-3"), page=TRYING, **CARRIED, **BOTH),
        "note web",
        "drain i-1",
    ),
    "two spares are ready: still one canary": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), new("i-4"), surge=2, page=TRYING, **CARRIED, **BOTH),
        "note web",
        "drain i-1",
    ),
    "two canaries were asked for: two go": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), new("i-4"), surge=2, page=TRYING, **CARRIED, **BOTH),
        "note web",
        "drain i-1 i-2",
        policy=replace(ROLL, canary=2),
    ),
    "a sick host proves nothing: a healthy one is canary": row(
        rolling(old("i-1", connected=False), old("i-2"), new("i-3"), page=TRYING | {"ready": 1}, **CARRIED, **BOTH),
        "note web",
        "drain i-2",
    ),
    "of equals, the canary comes from the zone with the most old hosts": row(
        rolling(
            old("i-1", zone="b"),
            old("i-2"),
            old("i-3"),
            new("i-4", zone="b"),
            wanted=3,
            group={"zones": ("a", "b")},
            page=TRYING,
            tasks=[task("t1", "i-1"), task("t2", "i-2"), task("t3", "i-3")],
            **BOTH,
        ),
        "note web",
        "drain i-2",
    ),
    "only sick hosts are left: one of them has to do as canary": row(
        rolling(old("i-1", connected=False), old("i-2", connected=False), new("i-3"), page=TRYING, **CARRIED, **BOTH),
        "note web",
        "drain i-1",
    ),
    "no canary was asked for: none is noted": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page=TRYING, **CARRIED, **BOTH),
        "drain i-1",
        policy=NO_CANARY,
    ),
    "the group has no replica tasks: there is nothing to judge a canary by": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page=TRYING, services=[service("logs", 3, daemon=True)]),
        "drain i-1",
    ),
    "the canary is empty: kept, so that a halt can make it ACTIVE again; no other goes": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), page=JUDGED, **MOVED, **BOTH),
        "wait canary i-1: empty; kept until cart, shop are healthy elsewhere",
    ),
    "the third calm reading in a row: the canary goes": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), page=JUDGED, **MOVED, **BOTH),
        "note web",
        "replace i-1",
        "wait successor web: *",
        knows=memory(calm=2),
    ),
    "a task of the canary is still stopping: it is not judged": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), page=JUDGED, tasks=[stopping("t1", "i-1")], **BOTH),
        "wait drain i-1: 1 stopping (shop)",
        knows=memory(calm=2),
    ),
    "a service of the canary lacks a task: it is not judged well": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            page=JUDGED,
            **MOVED,
            services=[service("shop", 3, running=2), service("cart", 1)],
        ),
        "wait canary i-1: *",
        knows=memory(calm=2),
    ),
    "it lacks one as it was in a crash loop before the roll: the canary is judged by the others": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            page=JUDGED,
            **MOVED,
            services=[service("shop", 3, running=2), service("cart", 1)],
            roll=roll(before=Baseline(crashes={"shop": 6})),
        ),
        "note web",
        "replace i-1",
        "wait successor web: *",
        knows=memory(calm=2),
    ),
    "a service of the canary is being deployed: it is not judged well": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            page=JUDGED,
            **MOVED,
            services=[service("shop", 3, deployments=2), service("cart", 1)],
        ),
        "wait canary i-1: *",
        knows=memory(calm=2),
    ),
    "a target of the canary's service is not healthy: it is not judged well": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            page=JUDGED,
            **MOVED,
            services=[service("shop", 3, target_groups=("tg-1",)), service("cart", 1)],
            targets={"tg-1": Targets(states={"healthy": 2, "initial": 1})},
        ),
        "wait canary i-1: *",
        knows=memory(calm=2),
    ),
    "every target is healthy: the canary goes": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            page=JUDGED,
            **MOVED,
            services=[service("shop", 3, target_groups=("tg-1", "tg-unreadable")), service("cart", 1)],
            targets={"tg-1": Targets(states={"healthy": 3, "draining": 1})},
        ),
        "note web",
        "replace i-1",
        "wait successor web: *",
        knows=memory(calm=2),
    ),
    "the canary died by itself: that proves nothing, the next host is canary": row(
        rolling(old("i-2"), new("i-3"), new("i-4", booting=True), page=JUDGED, **CARRIED, **BOTH),
        "wait successor web: *",
        "wait boot i-4: *",
        knows=memory(calm=2),
    ),
    "the canary died by itself, a spare is ready: the next host is canary": row(
        rolling(old("i-2"), new("i-3"), new("i-4"), page=JUDGED, **CARRIED, **BOTH),
        "note web",
        "drain i-2",
    ),
    "a canary was noted by a life that died before it drained it: it is drained": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page=JUDGED, **CARRIED, **BOTH),
        "drain i-1",
        knows=memory(calm=2),
    ),
    "the canary's drain does not show yet: no second one": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page=JUDGED, **CARRIED, **BOTH),
        "wait *",
        knows=memory(expected={"drain:i-1": ago(0.2)}),
    ),
}


@pytest.mark.parametrize("row", table(CANARY))
def test_canary(row: Row) -> None:
    assert outcome(row) == row.told


CALM = {
    "all is well: one more good reading": (service("shop", 3), 1, 2),
    "a task is missing: from the start": (service("shop", 3, running=2), 2, 0),
}


@pytest.mark.parametrize(("shop", "before", "expected"), CALM.values(), ids=CALM)
def test_calm_readings_in_a_row(shop: Service, before: int, expected: int) -> None:
    snapshot = rolling(
        old("i-1", draining=True), old("i-2"), new("i-3"), page=JUDGED, **MOVED, services=[shop, service("cart", 1)]
    )
    assert decide(snapshot, memory(calm=before), ROLL)[1].calm == expected


def test_a_canary_is_noted_before_it_is_drained() -> None:
    decision, _ = decide(rolling(old("i-1"), old("i-2"), new("i-3"), page=TRYING, **CARRIED, **BOTH), memory(), ROLL)
    assert noted(decision).canaries == ("i-1",)
    assert not noted(decision).canary_passed


def test_the_canary_of_the_second_group_needs_its_own_good_readings() -> None:
    first = rolling(new("i-1"), new("i-2"), page={"room": None, "rebalance": None}, group={"desired": 2, "min": 1})
    assert decide(first, memory(calm=3), ROLL)[1].calm == 0
