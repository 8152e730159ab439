"""The host: what holds it, when it may go, which goes first, who tells ECS."""

from datetime import datetime, timedelta

import pytest

from ecsroll import drain
from ecsroll.decide import decide
from ecsroll.drain import Kind
from ecsroll.ledger import Phase
from ecsroll.model import Host, Service, Targets, Task, Terminate
from tests.builders import (
    NOW,
    ROLL,
    Facts,
    Row,
    ago,
    daemon,
    foreign,
    gone,
    marked,
    memory,
    new,
    noted,
    old,
    outcome,
    rolling,
    room,
    row,
    seen,
    service,
    stopping,
    table,
    task,
)

# The mark


def test_a_mark_says_which_roll_and_since_when() -> None:
    said = drain.mark(12, ago(7))
    assert said == "12:2026-11-22T02:53:00Z"
    assert drain.marked_at(old("i-1", drain_mark=said)) == ago(7)


MARKS = {
    "DRAINING with the mark of this roll: ours": (old("i-1", draining=True), True),
    "DRAINING with the mark of an earlier roll: ours": (old("i-1", draining=True, drain_mark=marked(epoch=2)), True),
    "DRAINING with the mark of an unknown roll: somebody else's": (
        old("i-1", draining=True, drain_mark=marked(epoch=3)),
        False,
    ),
    "DRAINING without a mark: somebody else's": (foreign("i-1"), False),
    "DRAINING with something that is no mark: somebody else's": (foreign("i-1", drain_mark="by-hand"), False),
    "ACTIVE with a mark: nobody drains it": (old("i-1", drain_mark=marked()), False),
}


@pytest.mark.parametrize(("one", "expected"), MARKS.values(), ids=MARKS)
def test_whose_drain_it_is(one: Host, *, expected: bool) -> None:
    assert drain.ours(one, frozenset({1, 2})) is expected


HELD = (drain.Hold(task("t", "i-1"), Kind.SERVICE),)


@pytest.mark.parametrize("said", [None, "", "1", "1:", "1:yesterday", "by-hand"])
def test_a_mark_that_says_no_time_is_never_overdue(said: str | None) -> None:
    one = old("i-1", draining=True, drain_mark=said)
    assert drain.marked_at(one) is None
    assert not drain.overdue(one, HELD, NOW, ROLL)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [pytest.param(29, False, id="29 minutes of 30"), pytest.param(30, False, id="30 sharp"), pytest.param(31, True)],
)
def test_overdue(minutes: float, *, expected: bool) -> None:
    assert drain.overdue(old("i-1", draining=True, drain_mark=marked(minutes)), HELD, NOW, ROLL) is expected


# What holds a host

VERDICTS: dict[str, tuple[Task, Kind | None]] = {
    "a task of a service runs: ECS has not replaced it yet": (task("t", "i-1"), Kind.SERVICE),
    "a service's task is told to stop and still RUNNING: its target drains": (stopping("t", "i-1"), Kind.STOPPING),
    "a service's task is DEACTIVATING: it is stopping": (
        stopping("t", "i-1", last_status="DEACTIVATING"),
        Kind.STOPPING,
    ),
    "a service's task is STOPPED: it is gone": (gone("t", "i-1"), None),
    "a task's record is DELETED: it is gone": (stopping("t", "i-1", last_status="DELETED"), None),
    "a daemon runs: it ends with its host": (daemon("t", "i-1"), None),
    "a standalone task runs: nobody replaces it": (task("t", "i-1", None), Kind.STANDALONE),
    "a standalone task is told to stop: it is stopping": (stopping("t", "i-1", None), Kind.STOPPING),
    "a task is protected from scale-in: until then": (task("t", "i-1", protected_until=ago(-5)), Kind.PROTECTED),
    "its protection has just expired: an ordinary task": (task("t", "i-1", protected_until=NOW), Kind.SERVICE),
    "a protected task is told to stop all the same: it is stopping": (
        stopping("t", "i-1", protected_until=ago(-5)),
        Kind.STOPPING,
    ),
}


@pytest.mark.parametrize(("one", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_verdict(one: Task, expected: Kind | None) -> None:
    held = drain.verdict(one, NOW)
    assert (held.kind if held else None) == expected


def test_holds_are_told_by_kind_with_three_names_each() -> None:
    snapshot = seen(
        old("i-1", draining=True),
        tasks=[
            *(task(f"t{n}", "i-1", name) for n, name in enumerate(["shop", "cart", "mail", "shop", "pay"])),
            stopping("t8", "i-1"),
            task("0123456789", "i-1", None),
            task("t9", "i-1", "jobs", protected_until=ago(-90)),
            daemon("t10", "i-1"),
            gone("t11", "i-1"),
        ],
    )
    held = drain.holds(snapshot.hosts["i-1"], snapshot, None, ROLL)
    assert drain.sentence(held) == (
        "1 protected from scale-in (jobs until 04:30:00Z); 5 not yet replaced elsewhere (cart, mail, pay, …); "
        "1 standalone, waited for (task 01234567); 1 stopping (shop)"
    )
    assert [hold.task.id for hold in held if hold.kind is Kind.SERVICE] == ["t0", "t1", "t2", "t3", "t4"]


def test_three_names_are_told_whole() -> None:
    snapshot = seen(old("i-1"), tasks=[task(f"t{n}", "i-1", name) for n, name in enumerate(["c", "b", "a"])])
    held = drain.holds(snapshot.hosts["i-1"], snapshot, None, ROLL)
    assert drain.sentence(held) == "3 not yet replaced elsewhere (a, b, c)"


def test_what_a_host_carries() -> None:
    tasks = [
        task("t1", "i-1"),
        stopping("t2", "i-1", "cart"),
        gone("t3", "i-1", "mail"),
        daemon("t4", "i-1"),
        task("t5", "i-1", None),
        task("t6", "i-1", "of-another-launch-type"),
    ]
    snapshot = seen(
        old("i-1"), old("i-2"), tasks=tasks, services=[*map(service, ["shop", "cart", "mail"]), service("logs")]
    )
    assert drain.carried(snapshot.hosts["i-1"], snapshot) == 4
    assert drain.services_on(snapshot.hosts["i-1"], snapshot) == {"shop", "cart", "mail"}
    assert drain.carried(snapshot.hosts["i-2"], snapshot) == 0


# A host whose agent is gone for good (promise 2): 20 minutes ago, and a boot may take 15

TOLD = stopping("t", "i-1", stopping_at=ago(18))
NO_AGENT = old("i-1", draining=True, connected=False)
MINUTE = timedelta(minutes=1)


def targets(*registered: str, delay: timedelta = 5 * MINUTE) -> Targets:
    return Targets(states={}, registered=frozenset(registered), deregistration_delay=delay)


EXCUSED: dict[str, tuple[Task, dict[str, Targets], datetime | None, bool]] = {
    "told to stop long ago, no target: it must be over": (TOLD, {"tg": targets()}, ago(20), True),
    "the agent is there: ECS will say when it is over": (TOLD, {"tg": targets()}, None, False),
    "the agent is gone for less than a boot takes: it may come back": (TOLD, {"tg": targets()}, ago(14.9), False),
    "the agent is gone for just that long: it will not come back": (
        stopping("t", "i-1", stopping_at=ago(15)),
        {"tg": targets()},
        ago(15),
        True,
    ),
    "ECS has not told it to stop: it runs": (task("t", "i-1"), {"tg": targets()}, ago(20), False),
    "a standalone task: nobody knows": (
        stopping("t", "i-1", None, stopping_at=ago(18)),
        {"tg": targets()},
        ago(20),
        False,
    ),
    "its host is still a target: it gets requests": (TOLD, {"tg": targets("i-1")}, ago(20), False),
    "its own address is still a target: it gets requests": (
        stopping("t", "i-1", stopping_at=ago(18), address="10.0.0.7"),
        {"tg": targets("10.0.0.7")},
        ago(20),
        False,
    ),
    "other hosts are targets: not its business": (TOLD, {"tg": targets("i-2", "10.0.0.8")}, ago(20), True),
    "its target group could not be read: no proof that the target is gone": (TOLD, {}, ago(20), False),
    "its connections may still drain": (TOLD, {"tg": targets(delay=18 * MINUTE)}, ago(20), False),
    "its connections have drained, its stop timeout has not passed": (
        stopping("t", "i-1", stopping_at=ago(18), stop_timeout=14 * MINUTE),
        {"tg": targets()},
        ago(20),
        False,
    ),
    "both have just passed": (
        stopping("t", "i-1", stopping_at=ago(18), stop_timeout=13 * MINUTE),
        {"tg": targets()},
        ago(20),
        True,
    ),
    "told to stop before the agent was lost: counted from the loss": (
        stopping("t", "i-1", stopping_at=ago(60), stop_timeout=16 * MINUTE),
        {"tg": targets()},
        ago(20),
        False,
    ),
    "nobody knows when it was told to stop: counted from the loss": (
        stopping("t", "i-1", stopping_at=None),
        {"tg": targets()},
        ago(20),
        True,
    ),
}


@pytest.mark.parametrize(("one", "groups", "lost", "expected"), EXCUSED.values(), ids=EXCUSED)
def test_excused(one: Task, groups: dict[str, Targets], lost: datetime | None, *, expected: bool) -> None:
    snapshot = seen(NO_AGENT, tasks=[one], services=[service(target_groups=("tg",))], targets=groups)
    assert (one.arn in drain.excused(NO_AGENT, snapshot, lost, ROLL)) is expected
    assert (drain.holds(NO_AGENT, snapshot, lost, ROLL) == ()) is expected


@pytest.mark.parametrize("services", [[], [service()]], ids=["its service is deleted", "its service has no targets"])
def test_a_task_without_targets_is_excused_after_its_stop_timeout(services: list[Service]) -> None:
    snapshot = seen(NO_AGENT, tasks=[TOLD], services=services)
    assert drain.excused(NO_AGENT, snapshot, ago(20), ROLL) == {TOLD.arn}


def test_the_longest_of_two_deregistration_delays_counts() -> None:
    snapshot = seen(
        NO_AGENT,
        tasks=[TOLD],
        services=[service(target_groups=("tg-1", "tg-2"))],
        targets={"tg-1": targets(delay=MINUTE), "tg-2": targets(delay=18 * MINUTE)},
    )
    assert drain.excused(NO_AGENT, snapshot, ago(20), ROLL) == frozenset()


def test_the_last_look_before_a_termination_is_told_whom_to_excuse() -> None:
    snapshot = rolling(NO_AGENT, old("i-2"), new("i-3"), tasks=[TOLD], services=[service()])
    decision, _ = decide(snapshot, memory(agentless={"i-1": ago(20)}), ROLL)
    assert [action.excused for action in decision.actions if isinstance(action, Terminate)] == [{TOLD.arn}]


# Which host goes when

BOTH: Facts = {"services": [service("shop", 3), service("cart", 1)]}


FOREIGN = {
    "a host that somebody else drains is left alone, the rest goes on": row(
        rolling(foreign("i-1"), old("i-2"), new("i-3"), page={"ready": 1}),
        "drain i-2",
    ),
    "a mark of an earlier roll is ours: empty, it is replaced": row(
        rolling(old("i-1", draining=True, drain_mark=marked(epoch=7)), old("i-2"), new("i-3"), past=frozenset({7})),
        "replace i-1",
        "wait successor web: *",
    ),
    "a mark of an epoch that nobody remembers is somebody else's": row(
        rolling(old("i-1", draining=True, drain_mark=marked(epoch=9)), old("i-2"), new("i-3"), page={"ready": 1}),
        "drain i-2",
    ),
    "only a host that others had drained before is left: what was lent is given back": row(
        rolling(foreign("i-1"), new("i-2"), new("i-3"), page={"ready": 1}),
        "drain i-2",
    ),
    "others drained a host meanwhile: no surplus host goes until there are enough without it": row(
        rolling(foreign("i-1"), new("i-2"), new("i-3")),
        "wait stuck web: 2 ready, 2 needed *",
    ),
}

DISMISS = {
    "every task has stopped: the host is replaced, the next waits for its successor": row(
        rolling(
            old("i-1", draining=True),
            old("i-2"),
            new("i-3"),
            tasks=[gone("t1", "i-1"), daemon("d1", "i-1")],
            services=[service(), service("logs", 3, daemon=True)],
        ),
        "replace i-1",
        "wait successor web: *",
    ),
    "told to stop is not stopped: wait for the task": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), tasks=[stopping("t1", "i-1")], services=[service()]),
        "wait drain i-1: 1 stopping (shop)",
        "wait successor web: *",
    ),
    "a host that is DRAINING by others and empty is not ours to take": row(
        rolling(foreign("i-1"), old("i-2"), new("i-3", booting=True), page={"ready": 2}),
        "wait successor web: *",
        "wait boot i-3: *",
    ),
    "an old host that never registered carries nothing: it is replaced at once": row(
        rolling(old("i-1", unregistered=True), old("i-2"), new("i-3", booting=True), page={"ready": 1}),
        "replace i-1",
        "wait successor web: 1 ready, 1 needed *",
        "wait boot i-3: *",
    ),
    "the last old host: it shrinks the group, MinSize first": row(
        rolling(old("i-1", draining=True), new("i-2"), new("i-3")),
        "note web",
        "size web 2..11 protected",
        "shrink by i-1",
    ),
    "the last two of a double: both shrink the group": row(
        rolling(old("i-1", draining=True), old("i-2", draining=True), new("i-3"), new("i-4"), surge=2),
        "note web",
        "size web 2..12 protected",
        "shrink by i-1",
        "shrink by i-2",
    ),
    "two old hosts and one is empty: it is replaced, the surge has to stay": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3")),
        "replace i-1",
        "wait successor web: *",
    ),
    "the page of a drain was lost: room first, before the drained host goes": row(
        seen(old("i-1", draining=True), new("i-2")),
        "note web",
        "suspend web",
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
    ),
    "nothing is lent: the last host is replaced, never shrunk by": row(
        rolling(old("i-1", draining=True), new("i-2"), surge=0),
        "replace i-1",
    ),
    "the group has one host more than it wants: the termination pays that": row(
        rolling(old("i-1", draining=True), new("i-2"), new("i-3"), new("i-4")),
        "replace i-1",
    ),
    "the last host would leave the zones uneven: replace it, and let a surplus host go": row(
        rolling(
            old("i-1", draining=True, zone="b"),
            new("i-2"),
            new("i-3"),
            group={"zones": ("a", "b")},
        ),
        "replace i-1",
    ),
    "the zones were uneven before the roll: they may be so again": row(
        rolling(
            old("i-1", draining=True, zone="b"),
            new("i-2"),
            new("i-3"),
            group={"zones": ("a", "b")},
            page={"uneven": 2},
        ),
        "note web",
        "size web 2..11 protected",
        "shrink by i-1",
    ),
    "fifty hosts at once may shrink the group, so that the page stays small; the next round takes the rest": row(
        rolling(
            *(old(f"i-{n}", draining=True) for n in range(51)),
            *(new(f"i-{n}") for n in range(60, 111)),
            wanted=51,
            surge=51,
            group={"max": 120},
            page={"room": room(51, 51, ceiling=120)},
        ),
        "note web",
        "size web 52..120 protected",
        *["shrink by i-*"] * 50,
        "wait drain i-50: empty; it goes after the 50 before it",
    ),
}

FULL_PAGE = {
    "the page has no place for one more: it stays drained until those before it are gone": row(
        rolling(
            *(old(f"i-{n}", draining=True) for n in range(51)),
            *(new(f"i-{n}") for n in range(60, 111)),
            wanted=51,
            surge=51,
            group={"max": 120, "min": 52},
            page={"room": room(51, 51, ceiling=120, floor=52, shrinking=tuple(f"i-{n}" for n in range(50)))},
        ),
        *["shrink by i-*"] * 50,
        "wait drain i-50: empty; it goes after the 50 before it",
    ),
}


@pytest.mark.parametrize("row", table(FULL_PAGE))
def test_a_full_page(row: Row) -> None:
    assert outcome(row) == row.told


BURIAL = {
    "a host of ours is Terminating: ECS is told": row(
        rolling(old("i-1", draining=True, lifecycle="Terminating"), old("i-2"), new("i-3"), new("i-4", booting=True)),
        "deregister i-1",
        "wait successor web: *",
        "wait boot i-4: *",
    ),
    "a termination hook is still waiting: ECS is told later": row(
        rolling(
            old("i-1", draining=True, lifecycle="Terminating:Wait"),
            old("i-2"),
            new("i-3"),
            new("i-4", booting=True),
            group={"termination_hook": True},
        ),
        "wait successor web: *",
        "wait boot i-4: *",
    ),
    "the termination hook has not begun: ECS is told later": row(
        rolling(
            old("i-1", draining=True, lifecycle="Terminating"),
            old("i-2"),
            new("i-3"),
            new("i-4", booting=True),
            group={"termination_hook": True},
        ),
        "wait successor web: *",
        "wait boot i-4: *",
    ),
    "the termination hook is through: ECS is told": row(
        rolling(
            old("i-1", draining=True, lifecycle="Terminating:Proceed"),
            old("i-2"),
            new("i-3"),
            new("i-4", booting=True),
            group={"termination_hook": True},
        ),
        "deregister i-1",
        "wait successor web: *",
        "wait boot i-4: *",
    ),
    "a Terminating host without a registration needs no burial": row(
        rolling(old("i-1", unregistered=True, lifecycle="Terminating"), new("i-2"), new("i-3"), surge=0),
        "note web",
        "size web 1..10",
        "wait return web: until MinSize reads 1",
    ),
    "the group takes a host that was never ours: not our burial": row(
        rolling(foreign("i-1", lifecycle="Terminating"), old("i-2"), new("i-3"), new("i-4", booting=True)),
        "wait successor web: *",
        "wait boot i-4: *",
    ),
    "a registration of ours outlived its machine: ECS is told": row(
        rolling(old("i-2"), new("i-3"), new("i-4", booting=True), ghosts=(old("i-1", draining=True),)),
        "deregister i-1",
        "wait successor web: *",
        "wait boot i-4: *",
    ),
    "a ghost that somebody else had drained stays": row(
        rolling(old("i-2"), new("i-3"), new("i-4", booting=True), ghosts=(foreign("i-1"),)),
        "wait successor web: *",
        "wait boot i-4: *",
    ),
}

LONG_DEAD = memory(agentless={"i-1": ago(20)})
LONG_TOLD = stopping("t1", "i-1", stopping_at=ago(18))

AGENTLESS = {
    "no agent for longer than a boot takes, its task was told to stop long ago: the host goes": row(
        rolling(old("i-1", draining=True, connected=False), old("i-2"), new("i-3"), tasks=[LONG_TOLD], **BOTH),
        "replace i-1",
        "wait successor web: *",
        knows=LONG_DEAD,
    ),
    "no agent for a minute: it may come back, its task holds the host": row(
        rolling(old("i-1", draining=True, connected=False), old("i-2"), new("i-3"), tasks=[LONG_TOLD], **BOTH),
        "wait drain i-1: 1 stopping (shop)",
        "wait successor web: *",
        knows=memory(agentless={"i-1": ago(1)}),
    ),
    "no agent, and a standalone task: nobody can say that it has ended": row(
        rolling(
            old("i-1", draining=True, connected=False),
            old("i-2"),
            new("i-3"),
            tasks=[LONG_TOLD, stopping("job", "i-1", None, stopping_at=ago(18))],
            **BOTH,
        ),
        "wait drain i-1: 1 stopping (task job)",
        "wait successor web: *",
        knows=LONG_DEAD,
    ),
}


@pytest.mark.parametrize("row", table(FOREIGN, DISMISS, BURIAL, AGENTLESS))
def test_which_host_goes_when(row: Row) -> None:
    assert outcome(row) == row.told


def test_a_host_that_is_to_shrink_the_group_is_noted_before_and_only_minsize_tells_that_it_was() -> None:
    decision, _ = decide(rolling(old("i-1", draining=True), new("i-2"), new("i-3")), memory(), ROLL)
    assert noted(decision).room == room(phase=Phase.ASKING, lent=True, floor=2, shrinking=("i-1",))
