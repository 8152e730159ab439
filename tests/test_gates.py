"""What stops a roll because of what it does to the services; what it waits for; how the canary bakes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import pytest

from ecsroll.decide import decide
from ecsroll.dismiss import SKIPPED_AT_MOST
from ecsroll.gates import baseline
from ecsroll.ledger import Baseline, Phase, Roll
from ecsroll.model import Alarm, Crash, Decision, Memory, OpenRoll, Patience, Policy, Snapshot, Stop, Targets, Task
from tests.builders import (
    NEW,
    NOW,
    OLD,
    ROLL,
    Facts,
    Row,
    ago,
    arn,
    gone,
    host,
    launches,
    marked,
    memory,
    new,
    noted,
    old,
    outcome,
    roll,
    rolling,
    row,
    say,
    seen,
    service,
    stopping,
    table,
    task,
)

BAKES = replace(ROLL, bake=timedelta(minutes=5))
SHOP: Facts = {"services": [service("shop", 4)], "moved": {"shop": 4}}
TRIED: Facts = {"canary_passed": False, "canaries": ("i-1",)}
HOSTS = (old("i-1"), old("i-2"), new("i-3"))
KEPT = (old("i-1", draining=True), old("i-2"), new("i-3"))


def alarms(*names: str, state: str = "ALARM") -> dict[str, Alarm]:
    return {name: Alarm(name=name, state=state, since=ago(3)) for name in names}


def crashes(number: int, on: str, of: str = "shop", **times: datetime) -> tuple[Crash, ...]:
    return tuple(Crash(task=f"t{one}", service=of, host=arn(on), what="exit code 1", **times) for one in range(number))


ONCE = crashes(9, "i-2", at=ago(5), created=ago(90))
"""All at one moment, of tasks that had run for long."""


def before(alarms: tuple[str, ...] = (), **crashes: int) -> Facts:
    return {"roll": roll(before=Baseline(alarms=alarms, crashes=crashes))}


def targets(**states: int) -> dict[str, Targets]:
    return {"tg": Targets(states=states)}


# Gates. (picture, memory, reason; empty where it must not shut)

GATES: dict[str, tuple[Snapshot, Memory, str]] = {
    "an alarm went off": (
        rolling(*HOSTS, alarms=alarms("5xx")),
        memory(),
        "the alarm 5xx is in ALARM since 02:57:00Z; it was not when the roll began",
    ),
    "an alarm whose time is not told": (
        rolling(*HOSTS, alarms={"5xx": Alarm(name="5xx", state="ALARM")}),
        memory(),
        "the alarm 5xx is in ALARM; it was not when the roll began",
    ),
    "an alarm was on already": (rolling(*HOSTS, alarms=alarms("5xx"), **before(("5xx",))), memory(), ""),
    "an alarm was on already, calmed down, and went off again": (
        rolling(*HOSTS, alarms=alarms("5xx"), **before(("5xx",))),
        memory(quiet=("5xx",)),
        "the alarm 5xx is in ALARM *",
    ),
    "an alarm lacks data": (rolling(*HOSTS, alarms=alarms("5xx", state="INSUFFICIENT_DATA")), memory(), ""),
    "tasks end by themselves on a new host": (
        rolling(*HOSTS, crashes=crashes(3, "i-3"), **SHOP),
        memory(),
        "3 task(s) of shop ended by themselves (exit code 1) on new hosts; none did in the hour before the roll",
    ),
    "the first of them tells since when": (
        rolling(*HOSTS, crashes=tuple(replace(one, at=ago(2)) for one in crashes(3, "i-3")), **SHOP),
        memory(),
        "3 task(s) of shop ended by themselves (exit code 1) on new hosts since 02:58:00Z; none did *",
    ),
    "nine on an old host ended at one moment, and none that was made since: something was away, and is back": (
        rolling(*HOSTS, crashes=ONCE, **SHOP),
        memory(),
        "",
    ),
    "one that was made since has ended, too": (
        rolling(*HOSTS, crashes=(*ONCE, *crashes(1, "i-2", at=ago(3), created=ago(4))), **SHOP),
        memory(),
        "10 task(s) of shop ended by themselves (exit code 1) in the last hour; none did in the hour before the roll",
    ),
    "on new hosts three at one moment are enough": (
        rolling(*HOSTS, crashes=crashes(3, "i-3", at=ago(5), created=ago(6)), **SHOP),
        memory(),
        "3 task(s) of shop ended by themselves (exit code 1) on new hosts since 02:55:00Z; none did *",
    ),
    "nine that ended long before the roll count neither as many nor as the first": (
        rolling(
            *HOSTS,
            crashes=(
                *crashes(9, "i-2", at=ago(5), created=ago(30)),
                *crashes(9, "i-2", at=ago(55), created=ago(99)),
            ),
            **SHOP,
            **before(shop=9),
        ),
        memory(),
        "",
    ),
    "two of them are not enough": (rolling(*HOSTS, crashes=crashes(2, "i-3"), **SHOP), memory(), ""),
    "as many ended before the roll": (
        rolling(*HOSTS, crashes=crashes(5, "i-3"), **SHOP, **before(shop=3)),
        memory(),
        "",
    ),
    "more than before the roll": (
        rolling(*HOSTS, crashes=crashes(6, "i-3"), **SHOP, **before(shop=3)),
        memory(),
        "6 task(s) of shop * on new hosts; 3 did in the hour before the roll",
    ),
    "its tasks were in a loop before the roll, and still are where they were": (
        rolling(*HOSTS, crashes=crashes(90, "i-2"), **SHOP, **before(shop=40)),
        memory(),
        "",
    ),
    "they are in a loop on new hosts, too, and more than before": (
        rolling(*HOSTS, crashes=crashes(43, "i-3"), **SHOP, **before(shop=40)),
        memory(),
        "43 task(s) of shop * on new hosts; 40 did in the hour before the roll",
    ),
    "a rollback: they end on hosts that it takes away": (
        rolling(*HOSTS, crashes=crashes(9, "i-2"), **SHOP, roll=roll(back=True)),
        memory(),
        "",
    ),
    "a rollback: they end on the image of before as well": (
        rolling(*HOSTS, crashes=crashes(3, "i-3"), **SHOP, roll=roll(back=True)),
        memory(),
        "3 task(s) of shop * on new hosts; none did in the hour before the roll",
    ),
    "tasks end on old hosts": (
        rolling(*HOSTS, crashes=crashes(3, "i-2"), **SHOP),
        memory(),
        "3 task(s) of shop ended by themselves (exit code 1) in the last hour; none did *",
    ),
    "a few of a large service's tasks end on old hosts": (
        rolling(*HOSTS, crashes=crashes(9, "i-2"), services=[service("shop", 100)], moved={"shop": 100}),
        memory(),
        "",
    ),
    "tasks of a service that did not move end": (
        rolling(*HOSTS, crashes=crashes(9, "i-3", "cart"), **SHOP),
        memory(),
        "",
    ),
    "a service does not come back to what it had": (
        rolling(*HOSTS, services=[service("shop", 4, running=3)], moved={"shop": 4}),
        memory(waiting={"steady:shop": ago(16)}),
        "shop has had 3 of 4 tasks healthy for 15m; 4 ran before",
    ),
    "a service has the boot timeout to come back": (
        rolling(*HOSTS, services=[service("shop", 4, running=3)], moved={"shop": 4}),
        memory(waiting={"steady:shop": ago(14)}),
        "",
    ),
    "a service had no more before": (
        rolling(*HOSTS, services=[service("shop", 9, running=4)], moved={"shop": 4}),
        memory(waiting={"steady:shop": ago(16)}),
        "",
    ),
    "a task on a new host does not become healthy": (
        rolling(*HOSTS, page=TRIED, **SHOP),
        memory(waiting={"sound:shop": ago(16)}),
        "no task of shop has become healthy on a new host for 15m; on the old ones they were",
    ),
    "the canary is empty, but a task of it had failed on a new host before it ran on an old one": (
        rolling(*KEPT, page=TRIED, crashes=crashes(1, "i-3"), tasks=[gone("t1", "i-1"), task("t2", "i-2")], **SHOP),
        memory(),
        "1 task(s) of shop ended by themselves (exit code 1) on new hosts, none runs well there; none did *",
    ),
    "another one runs well there": (
        rolling(*KEPT, page=TRIED, crashes=crashes(1, "i-3"), tasks=[gone("t1", "i-1"), task("t2", "i-3")], **SHOP),
        memory(),
        "",
    ),
    "one failed before the roll, too": (
        rolling(*KEPT, page=TRIED, crashes=crashes(1, "i-3"), tasks=[gone("t1", "i-1")], **SHOP, **before(shop=1)),
        memory(),
        "",
    ),
    "it had failed on an old host": (
        rolling(*KEPT, page=TRIED, crashes=crashes(1, "i-2"), tasks=[gone("t1", "i-1")], **SHOP),
        memory(),
        "",
    ),
    "the canary is not empty yet: ECS may start another there": (
        rolling(*KEPT, page=TRIED, crashes=crashes(1, "i-3"), tasks=[stopping("t1", "i-1")], **SHOP),
        memory(),
        "",
    ),
    "the canary has passed: one task is no news": (
        rolling(*KEPT, page={"canaries": ("i-1",)}, crashes=crashes(1, "i-3"), tasks=[gone("t1", "i-1")], **SHOP),
        memory(),
        "",
    ),
    "the canary's services are not whole for long": (
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), page=TRIED, **SHOP),
        memory(waiting={"canary:i-1": ago(21)}),
        "what ran on i-1 has not been healthy elsewhere within 20m; there it was",
    ),
    "the canary has passed: that it was waited for is over": (
        rolling(*HOSTS, page={"canaries": ("i-1",)}, **SHOP),
        memory(waiting={"canary:i-1": ago(21)}),
        "",
    ),
    "three canaries' tasks all landed on old hosts": (
        rolling(*HOSTS, page=TRIED | {"canary_tries": 3}, **SHOP),
        memory(),
        "inconclusive: *",
    ),
    "two canaries' did": (rolling(*HOSTS, page=TRIED | {"canary_tries": 2}, **SHOP), memory(), ""),
    "more hosts were skipped than can be": (
        rolling(*HOSTS, page={"skipped": tuple(f"i-{number}" for number in range(100, 101 + SKIPPED_AT_MOST))}),
        memory(),
        "more than 60 hosts of web did not become empty and were skipped",
    ),
}
CARRIED: Facts = {"tasks": [task("t1", "i-1"), task("t2", "i-2")], **SHOP}
LOST: dict[str, tuple[Snapshot, Memory, str]] = {
    "a new host is gone while a canary is to be tried": (
        rolling(old("i-1"), old("i-2"), page=TRIED, **CARRIED),
        memory(hatched=("i-3",)),
        "i-3, launched by this roll, has ended by itself while the canary was on trial; nobody had drained it",
    ),
    "a new host is being taken away": (
        rolling(old("i-1"), old("i-2"), new("i-3", lifecycle="Terminating"), page=TRIED, **CARRIED),
        memory(),
        "i-3, launched by this roll, has ended by itself *",
    ),
    "a new host that this roll drained is being taken away": (
        rolling(
            old("i-1"), old("i-2"), new("i-3", lifecycle="Terminating", drain_mark=marked()), page=TRIED, **CARRIED
        ),
        memory(),
        "",
    ),
    "a new host that never registered is being taken away: it has served nobody": (
        rolling(old("i-1"), old("i-2"), new("i-3", lifecycle="Terminating", unregistered=True), page=TRIED, **CARRIED),
        memory(),
        "",
    ),
    "an old host is being taken away": (
        rolling(old("i-1"), old("i-2", lifecycle="Terminating"), new("i-3"), page=TRIED, **CARRIED),
        memory(),
        "",
    ),
    "the canary has passed: a host may die": (
        rolling(old("i-1"), old("i-2"), new("i-3", lifecycle="Terminating"), **CARRIED),
        memory(hatched=("i-4",)),
        "",
    ),
}


@pytest.mark.parametrize(("picture", "knows", "reason"), (GATES | LOST).values(), ids=GATES | LOST)
def test_gates(picture: Snapshot, knows: Memory, reason: str) -> None:
    stop = decide(picture, knows, BAKES)[1].stop
    said = stop.reason if stop else ""
    assert fnmatchcase(said, reason), said


def test_a_roll_that_is_being_ended_is_stopped_by_none_of_them() -> None:
    picture = rolling(*HOSTS, alarms=alarms("5xx"), roll=roll(aborting=True))
    assert decide(picture, memory(), BAKES)[1].stop is None


JUDGED: dict[str, tuple[Snapshot, Memory, bool]] = {
    "an alarm": (rolling(*HOSTS, alarms=alarms("5xx")), memory(), True),
    "a host that never becomes ready": (
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True)),
        memory(waiting={"boot:i-3": ago(16)}),
        True,
    ),
    "hosts that do not come": (rolling(old("i-1"), old("i-2")), memory(waiting={"launch:web": ago(16)}), False),
    "nothing can be told": (rolling(*HOSTS, page=TRIED | {"canary_tries": 3}, **SHOP), memory(), False),
}


@pytest.mark.parametrize(("picture", "knows", "judged"), JUDGED.values(), ids=JUDGED)
def test_what_is_judged_bad_is_to_be_rolled_back(picture: Snapshot, knows: Memory, *, judged: bool) -> None:
    stop = decide(picture, knows, BAKES)[1].stop
    assert stop is not None
    assert stop.judged is judged


def test_inconclusive_goes_on_if_it_is_told_to() -> None:
    going = replace(BAKES, canary_inconclusive="go")
    assert decide(rolling(*HOSTS, page=TRIED | {"canary_tries": 3}, **SHOP), memory(), going)[1].stop is None


def test_an_alarm_of_the_start_counts_again_once_it_was_off() -> None:
    picture = rolling(*HOSTS, alarms=alarms("5xx", state="OK"), **before(("5xx", "gone")))
    assert decide(picture, memory(), ROLL)[1].quiet == ("5xx",)
    still_on = rolling(*HOSTS, alarms=alarms("5xx"), **before(("5xx",)))
    assert decide(still_on, memory(), ROLL)[1].quiet == ()


# The baseline


def test_what_is_wrong_already_is_noted_with_the_roll() -> None:
    picture = seen(
        old("i-1"),
        roll=None,
        alarms=alarms("5xx") | alarms("slow", state="OK"),
        crashes=crashes(2, "i-1"),
        services=[service("shop", 4, running=4), service("big", 9, running=7)],
    )
    decision, _ = decide(picture, Memory(), ROLL)
    assert opened(decision).before == Baseline(alarms=("5xx",), crashes={"shop": 2}, short={"big": 7})


def opened(decision: Decision) -> Roll:
    (action,) = decision.actions
    assert isinstance(action, OpenRoll)
    return action.roll


def test_a_baseline_fits_into_the_roll_whatever_is_wrong() -> None:
    many = {f"{number:03d}{'x' * 200}": Alarm(name=f"{number:03d}{'x' * 200}", state="ALARM") for number in range(50)}
    some = tuple(crash for number in range(50) for crash in crashes(1, "i-1", f"{number:03d}{'y' * 90}"))
    short = [service(f"{number:03d}{'z' * 30}", 4, running=3) for number in range(50)]
    found = baseline(seen(old("i-1"), alarms=many, crashes=some, services=short))
    assert (len(found.alarms), len(found.crashes), len(found.short)) == (4, 1, 2)


# Services that have to be whole before the next host is drained

BOTH = (old("i-1"), old("i-2"), new("i-3"), new("i-4"))

STEADY = {
    "it lacks tasks, as it was in a crash loop before the roll: that is not waited for": row(
        rolling(*HOSTS, services=[service("shop", 4, running=1)], moved={"shop": 4}, **before(shop=8)), "drain i-1"
    ),
    "it lacks a task, and some had ended in the hour before: it waits": row(
        rolling(*HOSTS, services=[service("shop", 4, running=3)], moved={"shop": 4}, **before(shop=7)),
        "wait steady shop: 3 of 4 tasks are healthy; the next host is drained when they are",
    ),
    "a rollback waits for what has other reasons": row(
        rolling(
            *HOSTS,
            services=[service("shop", 4, running=3)],
            moved={"shop": 4},
            crashes=crashes(2, "i-2"),
            roll=roll(back=True),
        ),
        "wait steady shop: 3 of 4 tasks are healthy; the next host is drained when they are",
    ),
    "a rollback does not wait for what crashes on hosts that it takes away": row(
        rolling(
            *HOSTS,
            services=[service("shop", 4, running=1)],
            moved={"shop": 4},
            crashes=crashes(3, "i-2"),
            roll=roll(back=True),
        ),
        "drain i-1",
    ),
    "all whole: the next host is drained": row(rolling(*HOSTS, **SHOP), "drain i-1"),
    "a task is missing: it waits": row(
        rolling(*HOSTS, services=[service("shop", 4, running=3)], moved={"shop": 4}),
        "wait steady shop: 3 of 4 tasks are healthy; the next host is drained when they are",
    ),
    "a target is missing: it waits": row(
        rolling(
            *HOSTS,
            services=[service("shop", 4, target_groups=("tg", "unread"))],
            moved={"shop": 4},
            targets=targets(healthy=2, initial=2),
        ),
        "wait steady shop: 2 of 4 tasks are healthy; *",
    ),
    "whole again, for the first time": row(
        rolling(*HOSTS, **SHOP),
        "wait steady shop: whole again in 1 of 3 good readings",
        knows=memory(unsteady={"shop": 0}),
    ),
    "whole again for the third time": row(rolling(*HOSTS, **SHOP), "drain i-1", knows=memory(unsteady={"shop": 2})),
    "it lacked tasks, and is not watched any more": row(
        rolling(*HOSTS), "drain i-1", knows=memory(unsteady={"shop": 0})
    ),
    "a daemon is not waited for": row(
        rolling(
            *HOSTS,
            services=[service("logs", 4, daemon=True, target_groups=("tg",))],
            moved={"logs": 4},
            targets=targets(healthy=1),
        ),
        "drain i-1",
    ),
    "it wants more than before: others did that": row(
        rolling(*HOSTS, services=[service("shop", 9, running=4)], moved={"shop": 4}), "drain i-1"
    ),
    "its tasks are moving: its own lower bound is enough": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            new("i-4"),
            tasks=[task("t", "i-1")],
            services=[service("shop", 4, running=2, min_percent=50)],
            moved={"shop": 4},
        ),
        "drain i-2",
        "wait drain i-1: *",
        policy=replace(ROLL, unavailable=replace(ROLL.unavailable, value=1)),
    ),
    "the roll is being ended: it waits for no service": row(
        rolling(
            old("i-1"),
            old("i-2"),
            old("i-3", launched_at=ago(3)),
            services=[service("shop", 4, running=3)],
            moved={"shop": 4},
            roll=roll(aborting=True),
            page={"pointed": ()},
            group={"launches": (launches(OLD, "1"),)},
        ),
        "note web",
        "drain i-1",
    ),
}


@pytest.mark.parametrize("row", table(STEADY))
def test_services_are_whole_between_two_steps(row: Row) -> None:
    assert outcome(row) == row.told


def test_only_so_many_services_are_waited_for_by_name() -> None:
    some = [service(f"s{number:02d}", 4, running=1) for number in range(30)]
    picture = rolling(*HOSTS, services=some, moved={one.name: 4 for one in some})
    assert len(decide(picture, memory(), ROLL)[1].unsteady) == 10


def test_healthy_tasks_are_the_fewest_that_anybody_counts() -> None:
    shop = service("shop", 4, running=4, target_groups=("tg", "none"))
    assert shop.healthy(targets(healthy=3, draining=1)) == 3


# The bake

EMPTY: Facts = {"tasks": [gone("t1", "i-1")], "services": [service("shop", 2)]}
ON_NEW = [gone("t1", "i-1"), task("t2", "i-3")]


def landed(*tasks: object, **more: object) -> Facts:
    return {"tasks": [gone("t1", "i-1"), *tasks], "services": [service("shop", 2)], **more}


BAKE = {
    "a task is healthy on a new host, for the third time: the bake begins": row(
        rolling(*KEPT, page=TRIED, **landed(task("t2", "i-3"))),
        "note web",
        "wait canary i-1: empty; kept while its tasks bake on a new host",
        knows=memory(sound={"t2": 2}, calm=2),
    ),
    "for the first time: it has not begun": row(
        rolling(*KEPT, page=TRIED, **landed(task("t2", "i-3"))),
        "wait canary i-1: empty; kept until shop are healthy elsewhere",
        knows=memory(calm=2),
    ),
    "it bakes": row(
        rolling(*KEPT, page=TRIED | {"bake_since": ago(4)}, **landed(task("t2", "i-3"))),
        "wait canary i-1: empty; kept while its tasks bake on a new host",
        knows=memory(calm=5),
    ),
    "it has baked: the canary goes": row(
        rolling(*KEPT, page=TRIED | {"bake_since": ago(5)}, **landed(task("t2", "i-3"))),
        "note web",
        "replace i-1",
        "wait successor web: *",
        knows=memory(calm=5),
    ),
    "it has baked, and a service is not whole: the canary is kept": row(
        rolling(
            *KEPT,
            page=TRIED | {"bake_since": ago(9)},
            tasks=[gone("t1", "i-1"), task("t2", "i-3")],
            services=[service("shop", 2, running=1)],
        ),
        "wait canary i-1: empty; kept until shop are healthy elsewhere",
        knows=memory(calm=5),
    ),
    "it has baked, and a new host has lost its agent: the canary is kept": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3", connected=False),
            page=TRIED | {"bake_since": ago(9)},
            **landed(task("t2", "i-3")),
        ),
        "wait canary i-1: *",
        "wait boot i-3: *",
        knows=memory(calm=5),
    ),
    "a task on a new host is starting: it is waited for": row(
        rolling(*KEPT, page=TRIED, **landed(task("t2", "i-3", last_status="PENDING"))),
        "wait sound shop: its tasks on new hosts are not healthy yet",
        "wait canary i-1: *",
        knows=memory(calm=5),
    ),
    "its container's check fails": row(
        rolling(*KEPT, page=TRIED, **landed(task("t2", "i-3", healthy=False))),
        "wait sound shop: *",
        "wait canary i-1: *",
        knows=memory(calm=5),
    ),
    "its target is not healthy yet": row(
        rolling(
            *KEPT,
            page=TRIED,
            tasks=ON_NEW,
            services=[service("shop", 1, target_groups=("tg",))],
            targets={"tg": Targets(states={"healthy": 1, "initial": 1}, of={"i-3": ("initial",)})},
        ),
        "wait sound shop: *",
        "wait canary i-1: *",
    ),
    "its target is not there yet": row(
        rolling(
            *KEPT,
            page=TRIED,
            tasks=ON_NEW,
            services=[service("shop", 1, target_groups=("tg",))],
            targets={"tg": Targets(states={"healthy": 1})},
        ),
        "wait sound shop: *",
        "wait canary i-1: *",
    ),
    "its target is healthy, and known by its own address": row(
        rolling(
            *KEPT,
            page=TRIED,
            tasks=[gone("t1", "i-1"), task("t2", "i-3", address="10.0.0.9")],
            services=[service("shop", 1, target_groups=("tg", "unread"))],
            targets={"tg": Targets(states={"healthy": 1}, of={"10.0.0.9": ("healthy", "draining")})},
        ),
        "note web",
        "wait canary i-1: empty; kept while *",
        knows=memory(sound={"t2": 2}),
    ),
    "another task of the service is healthy there: one is enough": row(
        rolling(*KEPT, page=TRIED, **landed(task("t2", "i-3"), task("t3", "i-3", last_status="PENDING"))),
        "wait canary i-1: *",
    ),
    "what is stopping there, on a draining host or standalone tells nothing: all landed on old hosts": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            new("i-4", draining=True),
            page=TRIED,
            **landed(stopping("t2", "i-3"), task("t3", "i-3", service=None), gone("t4", "i-3"), task("t5", "i-4")),
        ),
        "note web",
        "replace i-1",
        "*",
        "*",
        knows=memory(calm=2),
    ),
    "all landed on old hosts: the canary goes, and the next host is canary": row(
        rolling(
            *KEPT, new("i-4"), page=TRIED, tasks=[gone("t1", "i-1"), task("t2", "i-2")], services=[service("shop", 2)]
        ),
        "note web",
        "replace i-1",
        "drain i-2",
        knows=memory(calm=2),
    ),
    "all of the third one landed on old hosts: it is kept": row(
        rolling(*KEPT, page=TRIED | {"canary_tries": 2}, **EMPTY),
        "note web",
        "wait canary i-1: *",
        knows=memory(calm=2),
    ),
}


def balanced(*tasks: Task, tries: int = 0) -> Snapshot:
    """The shop's task runs well on a new host and has baked; the cart stands behind a load balancer."""
    return rolling(
        *KEPT,
        page=TRIED | {"bake_since": ago(6), "canary_tries": tries},
        tasks=[gone("t1", "i-1"), gone("c1", "i-1", "cart"), task("t2", "i-3"), *tasks],
        services=[service("shop", 1), service("cart", len(tasks), target_groups=("tg",))],
        targets={"tg": Targets(states={"healthy": len(tasks)}, of=dict.fromkeys(("i-2", "i-3"), ("healthy",)))},
    )


# (picture, whether the trial is over, how many canaries have been let go)
BALANCED = {
    "it landed on an old host only: the next host is canary for it": (balanced(task("c2", "i-2", "cart")), False, 1),
    "it runs well on a new host: it has passed": (
        balanced(task("c2", "i-3", "cart"), task("c3", "i-2", "cart")),
        True,
        0,
    ),
    "no other old host carries any of it: it has passed": (balanced(task("c2", "i-9", "cart")), True, 0),
    "the third time it landed on an old one: what the others say has to do": (
        balanced(task("c2", "i-2", "cart"), tries=2),
        True,
        2,
    ),
}


@pytest.mark.parametrize(("picture", "passed", "tries"), BALANCED.values(), ids=BALANCED)
def test_a_service_behind_a_load_balancer_has_a_say_in_the_trial(
    picture: Snapshot, tries: int, *, passed: bool
) -> None:
    decision, _ = decide(picture, memory(calm=2), BAKES)
    assert (noted(decision).canary_passed, noted(decision).canary_tries) == (passed, tries)
    assert "replace i-1" in say(decision)


@pytest.mark.parametrize("row", table(BAKE))
def test_the_bake(row: Row) -> None:
    assert outcome(replace(row, policy=BAKES)) == row.told


def test_the_third_inconclusive_canary_passes_if_it_is_told_to() -> None:
    going = replace(BAKES, canary_inconclusive="go")
    decision, _ = decide(rolling(*KEPT, page=TRIED | {"canary_tries": 2}, **EMPTY), memory(calm=2), going)
    assert (noted(decision).canary_passed, noted(decision).canary_tries) == (True, 3)


def test_an_inconclusive_canary_is_noted_as_such() -> None:
    decision, knows = decide(rolling(*KEPT, page=TRIED, **EMPTY), memory(calm=2), BAKES)
    assert (noted(decision).canary_tries, noted(decision).canaries, knows.calm) == (1, (), 0)


def test_the_bake_is_noted_with_its_time() -> None:
    picture = rolling(*KEPT, page=TRIED, **landed(task("t2", "i-3")))
    decision, knows = decide(picture, memory(sound={"t2": 2}), BAKES)
    assert noted(decision).bake_since == NOW
    assert knows.sound == {"t2": 3}


def test_a_few_tasks_and_hosts_are_enough_to_remember() -> None:
    hosts = [new(f"i-{number}") for number in range(10, 40)]
    some = [task(f"t{number}", "i-10") for number in range(30)]
    picture = rolling(old("i-1", draining=True), *hosts, page=TRIED, **landed(*some))
    knows = decide(picture, memory(), BAKES)[1]
    assert (len(knows.sound), len(knows.hatched)) == (8, 16)


def test_a_new_host_that_is_drained_is_not_missed_when_it_is_gone() -> None:
    picture = rolling(old("i-1"), new("i-3", draining=True), page=TRIED, **CARRIED)
    assert decide(picture, memory(hatched=("i-3",)), BAKES)[1].hatched == ()


# A judged stop on trial: the new hosts take no task any more, as the old ones come back

STOP = memory(stop=Stop(reason="it had to", at=ago(0.5), subject="web", judged=True, back=True))
BACK: Facts = {"launches": (launches(OLD, "1"),)}

CARRYING: Facts = {"tasks": [task("t1", "i-1")], "services": [service()]}

REJECTED = {
    "the canary serves again, and the new host is drained in one go": row(
        rolling(*KEPT, page=TRIED, **landed(task("t2", "i-3"))),
        "note web",
        "undrain i-1",
        "drain i-3",
        "wait undo web: until 1 host(s) are ACTIVE again",
        knows=STOP,
    ),
    "a new one has died meanwhile: only as many as the group can do without": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), surge=2, page=TRIED, **CARRYING),
        "note web",
        "undrain i-1",
        "drain i-3",
        "wait undo web: until 1 host(s) are ACTIVE again",
        knows=STOP,
    ),
    "two have died: the last one has to stay until others come": row(
        rolling(old("i-1", draining=True), new("i-3"), surge=2, page=TRIED, **CARRYING),
        "note web",
        "undrain i-1",
        "wait undo web: until 1 host(s) are ACTIVE again",
        knows=STOP,
    ),
    "one that does not serve is missed by nobody": row(
        rolling(old("i-1", draining=True), new("i-3", connected=False), surge=2, page=TRIED, **CARRYING),
        "note web",
        "undrain i-1",
        "drain i-3",
        "wait undo web: until 1 host(s) are ACTIVE again",
        knows=STOP,
    ),
    "of two new hosts the one with more tasks; no more than were borrowed": row(
        rolling(
            old("i-1"),
            new("i-3", tasks=1),
            new("i-4", tasks=2),
            page=TRIED | {"pointed": ()},
            group=BACK,
            crashes=crashes(2, "i-3"),
        ),
        "note web",
        "drain i-4",
        "halted: it had to",
        knows=STOP,
    ),
    "its drain does not show yet: it is not drained twice": row(
        rolling(*HOSTS, page=TRIED | {"pointed": ()}, group=BACK),
        "note web",
        "halted: it had to",
        knows=replace(STOP, expected={"drain:i-3": ago(0.2)}),
    ),
    "the new host is not empty yet: it is waited for, longer than anything else": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3", draining=True),
            page=TRIED | {"pointed": ()},
            group=BACK,
            tasks=[stopping("t", "i-3")],
            services=[service("shop", 2)],
        ),
        "note web",
        "wait undo i-3: until it is gone: it was judged bad: 1 stopping (shop)",
        knows=replace(STOP, stop=Stop(reason="it had to", at=ago(9), subject="web", judged=True)),
    ),
    "in a hurry it is not waited for": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3", draining=True),
            page=TRIED | {"pointed": ()},
            group=BACK,
            tasks=[stopping("t", "i-3")],
            services=[service("shop", 2)],
        ),
        "note web",
        "interrupted: it had to",
        knows=replace(STOP, stop=Stop(reason="it had to", at=ago(0.1), subject="web", judged=True, hurry=True)),
    ),
    "the new host does not become empty within the drain timeout: it serves": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3", draining=True, drain_mark=marked(31)),
            page=TRIED | {"pointed": ()},
            group=BACK,
            tasks=[stopping("t", "i-3")],
            services=[service("shop", 2)],
        ),
        "note web",
        "undrain i-3",
        "wait undo web: *",
        knows=STOP,
    ),
    "the new host is empty: it goes, and the room with it": row(
        rolling(old("i-1"), old("i-2"), new("i-3", draining=True), page=TRIED | {"pointed": ()}, group=BACK),
        "note web",
        "size web 2..11 protected",
        "shrink by i-3",
        "wait undo i-3: until it is gone: it was judged bad, and is empty",
        knows=STOP,
    ),
    "nothing was borrowed: the new host stays": row(
        rolling(old("i-1"), new("i-3"), surge=0, page=TRIED | {"pointed": (), "room": None}, group=BACK),
        "*",
        "*",
        knows=STOP,
    ),
    "the canary had passed: new hosts carry what they carry": row(
        rolling(*HOSTS, page={"pointed": ()}, group=BACK), "note web", "halted: it had to", knows=STOP
    ),
}


@pytest.mark.parametrize("row", table(REJECTED))
def test_a_judged_stop_on_trial(row: Row) -> None:
    assert outcome(row) == row.told


def test_after_a_stop_the_trial_begins_anew() -> None:
    tried = TRIED | {"canary_tries": 2, "bake_since": ago(4), "pointed": ()}
    page = noted(decide(rolling(*HOSTS, page=tried, group=BACK), STOP, BAKES)[0])
    assert (page.canaries, page.canary_tries, page.bake_since) == ((), 0, None)


def test_a_stop_of_a_rollback_goes_on_with_the_rollback() -> None:
    picture = rolling(*HOSTS, page={"pointed": ()}, group=BACK, roll=roll(back=True))
    decision, _ = decide(picture, STOP, ROLL)
    assert decision.verdict is not None
    assert decision.verdict.next == "ecsroll rollback --cluster prod (goes on where this stopped)"


def test_a_judged_stop_names_the_way_back() -> None:
    decision, _ = decide(rolling(*HOSTS, page={"pointed": ()}, group=BACK), STOP, ROLL)
    assert decision.verdict is not None
    assert decision.verdict.judged
    assert decision.verdict.next.startswith("ecsroll rollback --cluster prod (back to what ran before)")


# Hosts that do not become empty

STUCK: Facts = {"tasks": [task("t1", "i-1"), task("t9", "i-1", service=None)], "services": [service("shop", 2)]}
LATE = (old("i-1", draining=True, drain_mark=marked(31)), old("i-2"), new("i-3"))
SKIPS = replace(ROLL, on_drain_timeout="skip", canary=0)
ENDS = replace(ROLL, on_drain_timeout="terminate", canary=0)
STOPS = replace(ROLL, standalone_tasks="stop", canary=0)

GIVEN_UP = {
    "skipped: it serves again": row(
        rolling(*LATE, **STUCK),
        "note web",
        "undrain i-1",
        "wait skip web: until 1 host(s) are ACTIVE again",
        policy=SKIPS,
    ),
    "skipped on a first look: the picture may be old": row(
        rolling(*LATE, **STUCK), "wait drain i-1: *", "wait look web: *", knows=Memory(), policy=SKIPS
    ),
    "a host that was skipped is not drained again; the next one is": row(
        rolling(*HOSTS, page={"skipped": ("i-1",)}), "drain i-2", policy=SKIPS
    ),
    "not overdue: it goes on": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **STUCK),
        "wait drain i-1: *",
        "wait successor web: *",
        policy=SKIPS,
    ),
    "standalone tasks: skipped at once": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **STUCK),
        "note web",
        "undrain i-1",
        "wait skip web: *",
        policy=replace(ROLL, standalone_tasks="skip", canary=0),
    ),
    "a task of a service alone: not for standalone tasks": row(
        rolling(
            old("i-1", draining=True), old("i-2"), new("i-3"), tasks=[task("t1", "i-1")], services=[service("shop", 2)]
        ),
        "wait drain i-1: *",
        "wait successor web: *",
        policy=replace(ROLL, standalone_tasks="skip", canary=0),
    ),
    "terminated with what runs on it": row(
        rolling(*LATE, **STUCK), "replace i-1", "wait successor web: *", policy=ENDS
    ),
    "a protected task is waited for, however late": row(
        rolling(
            *LATE,
            tasks=[task("t1", "i-1", protected_until=ago(-5))],
            services=[service("shop", 2)],
        ),
        "wait drain i-1: 1 protected from scale-in *",
        "wait successor web: *",
        policy=ENDS,
    ),
    "its protection has just expired: it has its time from then on": row(
        rolling(*LATE, tasks=[task("t1", "i-1", protected_until=ago(5))], services=[service("shop", 2)]),
        "wait drain i-1: *",
        "wait successor web: *",
        policy=ENDS,
    ),
    "a service has more time than the others": row(
        rolling(*LATE, **STUCK),
        "wait drain i-1: *",
        "wait successor web: *",
        policy=replace(ENDS, drain_timeouts=(Patience("shop", timedelta(hours=1)),)),
    ),
    "standalone tasks are stopped": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **STUCK),
        "stop 1 task(s) on i-1",
        "wait drain i-1: *",
        "wait successor web: *",
        policy=STOPS,
    ),
    "there is none to stop": row(
        rolling(
            old("i-1", draining=True), old("i-2"), new("i-3"), tasks=[task("t1", "i-1")], services=[service("shop", 2)]
        ),
        "wait drain i-1: *",
        "wait successor web: *",
        policy=STOPS,
    ),
    "none is stopped on a first look": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **STUCK),
        "wait drain i-1: *",
        "wait look web: *",
        knows=Memory(),
        policy=STOPS,
    ),
    "a skipped host is no surplus, though nothing launches it any more": row(
        rolling(old("i-1"), new("i-3"), new("i-4"), page={"skipped": ("i-1",)}), "drain i-3", policy=SKIPS
    ),
}


@pytest.mark.parametrize("row", table(GIVEN_UP))
def test_hosts_that_do_not_become_empty(row: Row) -> None:
    assert outcome(row) == row.told


STANDALONE: Mapping[str, tuple[Policy, Facts, str]] = {
    "told to fail: a standalone task halts": (
        replace(ROLL, standalone_tasks="fail"),
        {},
        "i-1 runs standalone tasks, and nobody moves them: *",
    ),
    "the roll is being ended: it does not": (
        replace(ROLL, standalone_tasks="fail"),
        {"roll": roll(aborting=True)},
        "",
    ),
    "told to wait: it does not": (ROLL, {}, ""),
}


@pytest.mark.parametrize(("policy", "facts", "reason"), STANDALONE.values(), ids=STANDALONE)
def test_standalone_tasks(policy: Policy, facts: Facts, reason: str) -> None:
    picture = rolling(old("i-1", draining=True), old("i-2"), new("i-3"), **STUCK, **facts)
    stop = decide(picture, memory(), policy)[1].stop
    assert fnmatchcase(stop.reason if stop else "", reason)
    assert bool(stop) == bool(reason)


def test_a_canary_that_is_late_halts_though_others_would_be_terminated() -> None:
    picture = rolling(*LATE, page=TRIED, **STUCK)
    stop = decide(picture, memory(), replace(ENDS, canary=1))[1].stop
    assert stop is not None
    assert "has not been drained within 30m" in stop.reason
    assert len(stop.lines) == 2


def test_a_forced_termination_names_the_tasks_that_end() -> None:
    decision, _ = decide(rolling(*LATE, **STUCK), memory(), ENDS)
    terminated = decision.actions[0]
    assert {arn.rpartition("/")[2] for arn in terminated.excused} == {"t1", "t9"}  # type: ignore[union-attr]
    assert "did not become empty, 2 task(s) end with it" in terminated.why


# The end of a roll with skipped hosts

CLOSED = {
    "hosts were given up": (roll(finished=("web",), skipped=2), (), "2 outdated host(s) were skipped: they did not *"),
    "somebody else drains one, another was given up": (
        roll(finished=("web",), skipped=1),
        (host("i-9", status="DRAINING"),),
        "1 outdated host(s) were skipped: somebody else drains them; 1 outdated host(s) were skipped: they did not *",
    ),
}


@pytest.mark.parametrize(("said", "hosts", "reason"), CLOSED.values(), ids=CLOSED)
def test_a_roll_that_skipped_hosts_is_halted(said: object, hosts: tuple[object, ...], reason: str) -> None:
    decision, _ = decide(seen(new("i-1"), *hosts, roll=said), memory(), ROLL)  # type: ignore[arg-type]
    assert decision.verdict is not None
    assert decision.verdict.result == "halted"
    assert fnmatchcase(decision.verdict.reason, reason), decision.verdict.reason


def test_skipped_hosts_are_counted_when_their_group_is_finished() -> None:
    picture = rolling(
        old("i-1"),
        new("i-2"),
        page={"skipped": ("i-1",), "room": None, "rebalance": None, "old": 2},
        group={"desired": 2, "min": 1, "max": 10, "protects_new": False, "suspended": frozenset()},
    )
    decision, _ = decide(picture, memory(), SKIPS)
    done = decision.actions[-2].roll  # type: ignore[union-attr]
    assert (done.skipped, done.replaced, done.finished) == (1, 1, ("web",))


def test_a_roll_is_not_finished_while_a_service_is_not_whole() -> None:
    picture = rolling(
        new("i-1"),
        new("i-2"),
        services=[service("shop", 4, running=3)],
        moved={"shop": 4},
        page={"room": None, "rebalance": None},
        group={"desired": 2, "min": 1},
    )
    assert say(decide(picture, memory(), ROLL)[0]) == [
        "wait steady shop: 3 of 4 tasks are healthy; the next host is drained when they are"
    ]


# A rollback goes to a version that is there


def test_a_rollback_is_pointed_at_the_version_of_before() -> None:
    picture = seen(new("i-1"), roll=roll(images={"web/lt-1": OLD}, versions={"web/lt-1": "1"}, back=True))
    decision, _ = decide(picture, memory(), ROLL)
    (entry,) = noted(decision).pointed
    assert (entry.phase, entry.image_was, entry.image, entry.version) == (Phase.ASKING, NEW, OLD, "1")


def test_a_rollback_of_a_group_that_is_back_already_only_replaces_hosts() -> None:
    picture = seen(
        new("i-1"),
        groups=replace(seen(new("i-1")).groups["web"], launches=(launches(OLD, "1"),)),
        roll=roll(images={"web/lt-1": OLD}, versions={"web/lt-1": "1"}, back=True),
    )
    decision, _ = decide(picture, memory(), ROLL)
    (entry,) = noted(decision).pointed
    assert (entry.phase, entry.version) == (Phase.HELD, "1")


def test_what_a_group_launches_is_noted_with_the_roll() -> None:
    nameless = replace(launches(name="lt-2"), image=None)
    group = replace(seen(old("i-1")).groups["web"], launches=(launches(OLD, "1"), nameless))
    decision, _ = decide(seen(old("i-1"), groups=group, roll=None), Memory(), ROLL)
    assert opened(decision).was == {"web/lt-1": f"{OLD} 1"}
