"""What is to be done next, as a table: a picture of the cluster, and the decision that it must lead to."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsroll import drain
from ecsroll.decide import decide
from ecsroll.ledger import Ledger, Phase, Place, Roll
from ecsroll.model import (
    Amount,
    Group,
    Host,
    Memory,
    Note,
    Stop,
    Terminate,
)
from ecsroll.window import windows
from tests.builders import (
    IMAGES,
    NEW,
    NOW,
    OLD,
    ROLL,
    WEB,
    Facts,
    Row,
    ago,
    daemon,
    foreign,
    group,
    launches,
    marked,
    memory,
    new,
    old,
    outcome,
    page,
    pointed,
    roll,
    rolling,
    room,
    row,
    seen,
    service,
    speaks,
    table,
    task,
)

BEGINNING = {
    "no roll, and every host is current: nothing to do": row(
        seen(new("i-1"), new("i-2"), roll=None),
        "nothing: every host runs what its group is to launch",
    ),
    "an outdated host: write down that a roll begins, before anything is borrowed": row(
        seen(new("i-1"), old("i-2"), roll=None),
        "roll 1 of web, finished: none",
    ),
    "hosts are current, but the group would launch the old image: a roll too": row(
        seen(new("i-1"), groups=group(1, launches=(launches(OLD, "1"),)), roll=None),
        "roll 1 of web, finished: none",
    ),
    "a page was left behind without a roll: a roll gives back what it lists": row(
        seen(new("i-1"), pages=page(), roll=None),
        "roll 1 of web, finished: none",
    ),
    "an epoch is never used twice: the next is above all that the history has": row(
        seen(old("i-1"), roll=None, past=frozenset({3, 7})),
        "roll 8 of web, finished: none",
    ),
    "the lease says which epoch it is": row(
        seen(old("i-1"), roll=None, past=frozenset({3}), epoch=9),
        "roll 9 of web, finished: none",
    ),
    "the groups roll in the order in which they were asked for": row(
        seen(old("i-1"), groups=(group(1), group(0, name="api")), roll=None),
        "roll 1 of web api, finished: none",
        policy=replace(ROLL, groups=("web", "api")),
    ),
    "no group was named: all of them, by name": row(
        seen(old("i-1"), groups=(group(1), group(0, name="api")), roll=None),
        "roll 1 of api web, finished: none",
    ),
    "an old host that somebody else drains is no reason to begin": row(
        seen(foreign("i-1"), roll=None),
        "nothing: 1 outdated host(s) are left to whoever drains them, and every other host runs what its group is to *",
    ),
}

END = {
    "every group is finished: the roll goes into the history": row(
        seen(new("i-1"), roll=roll(finished=(WEB,))),
        "close roll 1: done",
        "done: every outdated host was replaced",
    ),
    "an outdated host was skipped because others drain it: halted, and said": row(
        seen(new("i-1"), foreign("i-2"), roll=roll(finished=(WEB,))),
        "close roll 1: halted",
        "halted: 1 outdated host(s) were skipped: somebody else drains them",
    ),
    "somebody made it ACTIVE again after its group was done with: the group is rolled once more": row(
        seen(new("i-1"), old("i-2"), roll=roll(finished=(WEB,))),
        "roll 1 of web, finished: none",
    ),
    "a life ended between a group's last note and the end of its page: the page goes first": row(
        seen(new("i-1"), pages=page(), roll=roll(finished=(WEB,))),
        "forget web",
    ),
    "a host that was given up is no reason for that": row(
        seen(new("i-1"), old("i-2"), roll=roll(finished=(WEB,), skipped=1)),
        "close roll 1: halted",
        "halted: 1 outdated host(s) were skipped: they did not become empty",
    ),
    "what happens in a group that is not of this roll is no concern of it": row(
        seen(foreign("i-2"), roll=roll("api", finished=("api",))),
        "close roll 1: done",
        "done: every outdated host was replaced",
    ),
    "a group is not there any more: one reading may lag, so it is waited for": row(
        seen(new("i-1"), roll=roll("api", "web", finished=(WEB,))),
        "wait group api: api is not there any more",
    ),
    "it is not there for a minute: it owes nothing, and its page goes": row(
        seen(new("i-1"), roll=roll("api", "web", finished=(WEB,)), pages=page("api")),
        "forget api",
        "roll 1 of api web, finished: web api",
        knows=memory(waiting={"group:api": ago(1)}),
    ),
    "it had not begun to roll: there is no page to forget": row(
        seen(new("i-1"), roll=roll("api", "web", finished=(WEB,))),
        "roll 1 of api web, finished: web api",
        knows=memory(waiting={"group:api": ago(1)}),
    ),
    "an outdated host is in Standby: halted, and said": row(
        seen(new("i-1"), old("i-2", lifecycle="Standby"), roll=roll(finished=(WEB,))),
        "close roll 1: halted",
        "halted: 1 outdated host(s) were skipped: they are in Standby",
    ),
    "a new host is in Standby: that is no concern of the roll": row(
        seen(new("i-1"), new("i-2", lifecycle="Standby"), roll=roll(finished=(WEB,))),
        "close roll 1: done",
        "done: every outdated host was replaced",
    ),
    "the roll is ended: what is in Standby was not to be replaced any more": row(
        seen(new("i-1"), old("i-2", lifecycle="Standby"), roll=roll(finished=(WEB,), aborting=True)),
        "close roll 1: aborted",
        "done: the roll was ended, everything was given back",
    ),
    "a group was deleted while the roll went on: halted, and said": row(
        seen(new("i-1"), roll=roll("api", "web", finished=("api", WEB), gone=("api",))),
        "close roll 1: halted",
        "halted: 1 group(s) were deleted while the roll went on: api",
    ),
    "a group was deleted when the roll was through with it: the rest is closed": row(
        seen(new("i-1"), roll=roll("api", "web", finished=("api", WEB))),
        "close roll 1: done",
        "done: every outdated host was replaced",
    ),
    "a group was deleted, and the roll is ended: that was all": row(
        seen(new("i-1"), roll=roll("api", "web", finished=("api", WEB), gone=("api",), aborting=True)),
        "close roll 1: aborted",
        "done: the roll was ended, everything was given back",
    ),
    "somebody interrupts while a group is not there: nothing is forgotten": row(
        seen(new("i-1"), roll=roll("api", "web", finished=(WEB,)), pages=page("api", room=room())),
        "interrupted: SIGINT",
        knows=memory(stop=Stop(reason="SIGINT", at=NOW, hurry=True)),
    ),
    "somebody interrupts before a deleted group was begun: nothing is owed": row(
        seen(new("i-1"), roll=roll("api", "web", finished=(WEB,), aborting=True)),
        "interrupted: SIGINT",
        knows=memory(stop=Stop(reason="SIGINT", at=NOW, hurry=True)),
    ),
}

# A group that launches the old image still, and the page of a roll that has not set the target.
BEFORE: Facts = {"pointed": (pointed(Phase.ASKING, version=None),), "pointed_at": None}
LATE = group(2, launches=(launches(OLD, "1"),))

TARGET = {
    "the group launches the old image: the target first, written down before": row(
        seen(old("i-1"), old("i-2"), groups=LATE),
        "note web",
        "point lt-1 at ami-new",
        "wait target web: until lt-1 reads back ami-new",
    ),
    "the target was asked for and does not read back: ask again, nothing else": row(
        seen(old("i-1"), old("i-2"), groups=LATE, pages=page(**BEFORE)),
        "point lt-1 at ami-new",
        "wait target web: until lt-1 reads back ami-new",
    ),
    "the target reads back: it is held, and room is asked for": row(
        seen(old("i-1"), old("i-2"), pages=page(**BEFORE)),
        "note web",
        "suspend web",
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
    ),
    "a parameter of the group: point it, whatever the template says": row(
        seen(
            old("i-1"),
            groups=group(1, launches=(launches(OLD, "1", place=Place.PARAMETER, parameter="/ecsroll/web"),)),
            roll=roll(images={"web//ecsroll/web": NEW}),
        ),
        "note web",
        "point /ecsroll/web at ami-new",
        "wait target web: until /ecsroll/web reads back ami-new",
    ),
    "a launch configuration: pointed at a copy of it": row(
        seen(
            old("i-1", template=None, version=None, configuration="web-lc"),
            groups=group(1, launches=(launches(OLD, version=None, place=Place.CONFIGURATION, name="web-lc", spec=""),)),
            roll=roll(images={"web/web-lc": NEW}),
        ),
        "note web",
        "point web-lc at ami-new",
        "wait target web: until web-lc reads back ami-new",
    ),
    "the copied launch configuration reads back: held": row(
        seen(
            new("i-1", template=None, version=None, configuration="web-lc.ecsroll-1-ami-new"),
            groups=group(
                1,
                launches=(launches(version=None, place=Place.CONFIGURATION, name="web-lc.ecsroll-1-ami-new", spec=""),),
            ),
            pages=page(
                pointed=(
                    pointed(
                        Phase.ASKING,
                        place=Place.CONFIGURATION,
                        name="web-lc",
                        spec="",
                        version_was=None,
                        version="web-lc.ecsroll-1-ami-new",
                    ),
                ),
                pointed_at=None,
            ),
        ),
        "roll 1 of web, finished: web",
        "forget web",
    ),
    "AWS's own parameter is never pointed: the roll goes to what it says": row(
        seen(
            old("i-1"),
            groups=group(1, launches=(launches("ami-says-aws", "1", place=Place.PUBLIC),)),
        ),
        "note web",
        "suspend web",
        "size web 2..11 protected",
        "wait room web: until MinSize reads 2",
    ),
    "two templates of a mixed group: each is pointed at its own image": row(
        seen(
            old("i-1"),
            groups=group(1, launches=(launches(OLD, "1"), launches("ami-arm-old", "7", name="lt-arm"))),
            roll=roll(images={**IMAGES, "web/lt-arm": "ami-arm"}),
        ),
        "note web",
        "point lt-1 at ami-new",
        "point lt-arm at ami-arm",
        "wait target web: until lt-1 reads back ami-new",
        "wait target web: until lt-arm reads back ami-arm",
    ),
    "a stop was cut off while it pointed back: a rerun sets the target once more, whatever reads now": row(
        seen(old("i-1"), groups=group(1), pages=page(pointed=(pointed(Phase.RETURNING),))),
        "note web",
        "point lt-1 at ami-new",
        "wait target web: until lt-1 reads back ami-new",
    ),
    "of two templates one was put back already: a rerun points both anew": row(
        seen(
            old("i-1"),
            groups=group(1, launches=(launches(OLD, "1"), launches("ami-arm-old", "7", name="lt-arm"))),
            roll=roll(images={**IMAGES, "web/lt-arm": "ami-arm"}),
            pages=page(pointed=(pointed(Phase.RETURNING),)),
        ),
        "note web",
        "point lt-1 at ami-new",
        "point lt-arm at ami-arm",
        "wait target web: until lt-1 reads back ami-new",
        "wait target web: until lt-arm reads back ami-arm",
    ),
    "a stop had pointed back: a rerun points anew": row(
        seen(old("i-1"), groups=group(1, launches=(launches(OLD, "1"),)), pages=page(pointed=(), pointed_at=None)),
        "note web",
        "point lt-1 at ami-new",
        "wait target web: until lt-1 reads back ami-new",
    ),
    "a group whose template can not be read has nothing to be replaced": row(
        seen(old("i-1"), groups=group(1, launches=()), pages=page(pointed=())),
        "roll 1 of web, finished: web",
        "forget web",
    ),
}

SLIDE = {
    "the spare is booting: wait, and say for what": row(
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True)),
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
        "wait boot i-3: is Pending",
    ),
    "the spare is InService and unknown to ECS: not ready": row(
        rolling(old("i-1"), old("i-2"), new("i-3", unregistered=True)),
        "wait successor web: *",
        "wait boot i-3: has not registered with ECS",
    ),
    "the spare has registered, its agent is not connected: not ready": row(
        rolling(old("i-1"), old("i-2"), new("i-3", connected=False)),
        "wait successor web: *",
        "wait boot i-3: is ACTIVE, agent not connected",
    ),
    "the spare is still REGISTERING: not ready": row(
        rolling(old("i-1"), old("i-2"), new("i-3", status="REGISTERING")),
        "wait successor web: *",
        "wait boot i-3: is REGISTERING, agent connected",
    ),
    "the spare has two of three good readings, this one included: not ready": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "wait successor web: *",
        "wait boot i-3: has 2 of 3 good readings",
        knows=memory(shaky={"i-3": 1}),
    ),
    "the third good reading: the spare is ready, one old host is drained": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "drain i-1",
        knows=memory(shaky={"i-3": 2}),
    ),
    "the daemon of the spare does not run yet: not ready": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3"),
            tasks=[daemon("d1", "i-1"), daemon("d2", "i-2"), daemon("d3", "i-3", last_status="PENDING")],
            services=[service("logs", 3, running=2, pending=1, daemon=True)],
        ),
        "wait successor web: *",
        "wait boot i-3: has 0 of 3 good readings",
    ),
    "the daemon has all tasks that it wants: it does not match the spare": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3"),
            tasks=[daemon("d1", "i-1"), daemon("d2", "i-2")],
            services=[service("logs", 2, daemon=True)],
        ),
        "drain i-1",
    ),
    "the daemon has all tasks that it wanted, and one more is starting: not ready": row(
        rolling(
            old("i-1"),
            old("i-2"),
            new("i-3"),
            tasks=[daemon("d1", "i-1"), daemon("d2", "i-2")],
            services=[service("logs", 2, pending=1, daemon=True)],
        ),
        "wait successor web: *",
        "wait boot i-3: has 0 of 3 good readings",
    ),
    "an old host serves ECS already while its launch hook still runs: it is not drained": row(
        rolling(old("i-1", lifecycle="Pending:Wait"), old("i-2"), new("i-3"), page={"ready": 1}),
        "drain i-2",
        "wait old i-1: is Pending:Wait: it is drained once it can be",
    ),
    "two spares: two hosts may be drained": row(
        rolling(old("i-1"), old("i-2"), old("i-3"), new("i-4"), new("i-5"), wanted=3, surge=2),
        "drain i-1 i-2",
    ),
    "the fewest moves first": row(
        rolling(old("i-1", tasks=9), old("i-2", tasks=2), new("i-3")),
        "drain i-2",
    ),
    "of zones that serve alike, the one with the most old hosts first": row(
        rolling(
            old("i-1", zone="b"), old("i-2"), old("i-3"), new("i-4", zone="b"), wanted=3, group={"zones": ("a", "b")}
        ),
        "drain i-2",
    ),
    "a sick host goes first, whatever it carries": row(
        rolling(old("i-1"), old("i-2", tasks=9), new("i-3"), page={"ready": 1}),
        "drain i-2 i-1",
        knows=memory(shaky={"i-2": 0}),
    ),
    "a sick host costs nothing: it goes although no spare is ready": row(
        rolling(old("i-1"), old("i-2", connected=False), new("i-3", booting=True), page={"ready": 1}),
        "drain i-2",
        "wait boot i-3: is Pending",
    ),
    "a host serves that this life has not seen for long: it is no sick one, and costs as much as any": row(
        rolling(new("i-1"), new("i-2"), new("i-3", booting=True), wanted=2),
        "wait successor web: 0 ready, 2 needed besides the next to be drained",
        "wait boot i-1: *",
        "wait boot i-2: *",
        "wait boot i-3: *",
        knows=memory(shaky={"i-1": 1, "i-2": 1}),
    ),
    "more was ready at the start than the group wants: what it wants has to stay": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page={"ready": 5}),
        "drain i-1",
    ),
    "one host was sick at the start: no more has to stay than was ready then": row(
        rolling(old("i-1"), old("i-2", connected=False), new("i-3"), page={"ready": 1}),
        "drain i-2 i-1",
    ),
    "it serves again: from now on it has to stay, too, until there is another": row(
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True), page={"ready": 1}),
        "note web",
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
        "wait boot i-3: is Pending",
    ),
    "one may be unavailable: drain without a spare": row(
        rolling(old("i-1"), old("i-2"), surge=0),
        "drain i-1",
        policy=replace(ROLL, surge=Amount(0), unavailable=Amount(1)),
    ),
    "half may be unavailable, of three: rounded down to one": row(
        rolling(old("i-1"), old("i-2"), old("i-3"), wanted=3, surge=0),
        "drain i-1",
        policy=replace(ROLL, surge=Amount(0), unavailable=Amount(50, percent=True)),
    ),
    "half may be unavailable, of two wanted and two lent: the lent ones do not count": row(
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True), new("i-4", booting=True), surge=2),
        "drain i-1",
        "wait boot i-3: *",
        "wait boot i-4: *",
        policy=replace(ROLL, unavailable=Amount(50, percent=True)),
    ),
    "the floor has to move: the lent hosts still do not count": row(
        rolling(old("i-1"), old("i-2"), old("i-3"), new("i-4", booting=True), wanted=3, group={"min": 2}),
        "note web",
        "size web 4..11 protected",
        "drain i-1",
        "wait boot i-4: *",
        policy=replace(ROLL, unavailable=Amount(50, percent=True)),
    ),
    "a larger surge was given anew: more room is asked for first": row(
        rolling(old("i-1"), old("i-2"), old("i-3"), new("i-4"), wanted=3),
        "note web",
        "size web 6..13 protected",
        "wait room web: until MinSize reads 6",
        policy=replace(ROLL, surge=Amount(3)),
    ),
    "a larger surge, but no window is open: no more room is asked for": row(
        rolling(old("i-1"), old("i-2"), old("i-3"), new("i-4"), wanted=3),
        "wait window web: no window is open; *",
        policy=replace(
            ROLL,
            surge=Amount(3),
            windows=windows(["05:00-06:00"]),
        ),
    ),
    "a larger surge, but the roll is being ended: no more room is asked for": row(
        rolling(
            old("i-1"), old("i-2"), old("i-3"), new("i-4"), wanted=3, roll=roll(aborting=True), page={"pointed": ()}
        ),
        "note web",
        "drain i-1",
        policy=replace(ROLL, surge=Amount(3)),
    ),
    "bounds read as they were before we set them a moment ago: the reading may be an older one": row(
        rolling(old("i-1"), new("i-2"), new("i-3"), group={"min": 1}),
        "wait room web: until MinSize reads 3 again: *",
        knows=memory(expected={"size:web": ago(0.5)}),
    ),
    "a host that is drained already does not serve: no second one is drained on its account": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), tasks=[task("t1", "i-1")], services=[service()]),
        "wait drain i-1: 1 not yet replaced elsewhere (shop)",
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
    ),
    "a drain of a moment ago is not shown yet: it counts as drained": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
        "wait old i-1: until its drain shows",
        knows=memory(expected={"drain:i-1": ago(0.5)}),
    ),
    "a termination of a moment ago is not shown yet: the host counts as gone": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3")),
        "wait successor web: 2 ready, *",
        "wait launch web: 3 wanted, 2 there",
        knows=memory(expected={"gone:i-1": ago(0.5)}),
    ),
    "a drain that no reading has shown for a minute is made again": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "drain i-1",
        knows=memory(expected={"drain:i-1": ago(1)}),
    ),
    "the first look of a life drains nothing": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "wait look web: for a second reading before anything is drained",
        knows=Memory(),
    ),
    "the first look of a life takes no empty host away either": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3")),
        "wait look web: *",
        knows=Memory(),
    ),
    "the first look of a life still tells ECS who has gone": row(
        rolling(old("i-1", draining=True, lifecycle="Terminating"), old("i-2"), new("i-3")),
        "deregister i-1",
        "wait look web: *",
        knows=Memory(),
    ),
    "the last drain of a moment ago is not shown yet: say so": row(
        rolling(old("i-1"), new("i-2"), new("i-3")),
        "wait *",
        knows=memory(expected={"drain:i-1": ago(0.5)}),
    ),
    "an old host is still launching: say that it is waited for": row(
        rolling(old("i-1", lifecycle="Pending:Wait", unregistered=True), new("i-2"), new("i-3")),
        "wait *",
    ),
    "an old host stands by: say that it is waited for": row(
        rolling(old("i-1", status="REGISTERING"), new("i-2"), new("i-3")),
        "wait *",
    ),
}


@pytest.mark.parametrize("row", table(BEGINNING, END, TARGET, SLIDE))
def test_decide(row: Row) -> None:
    assert outcome(row) == row.told


# Any state at all

_hosts = st.builds(
    lambda make, facts: make(facts.pop("name"), **facts),
    st.sampled_from([old, new]),
    st.fixed_dictionaries(
        {
            "name": st.sampled_from([f"i-{n}" for n in range(5)]),
            "zone": st.sampled_from("ab"),
            "lifecycle": st.sampled_from(["Pending", "InService", "InService", "Standby", "Terminating", "Terminated"]),
            "draining": st.booleans(),
            "unregistered": st.booleans(),
            "protected": st.booleans(),
        },
        optional={"connected": st.booleans(), "drain_mark": st.sampled_from([None, "1:x", marked(), marked(60)])},
    ),
)
_rooms = st.none() | st.builds(
    room,
    st.integers(0, 2),
    st.integers(1, 3),
    st.sampled_from(Phase),
    shrinking=st.sampled_from([(), ("i-1",), ("i-1", "i-9")]),
)
_pages = st.builds(
    page,
    pointed=st.sampled_from([(), (pointed(),), (pointed(Phase.ASKING, version=None),)]),
    room=_rooms,
    rebalance=st.none() | st.sampled_from(Phase),
    canaries=st.sampled_from([(), ("i-1",)]),
    canary_passed=st.booleans(),
)
_groups = st.builds(
    group,
    st.integers(0, 5),
    min=st.integers(0, 4),
    suspended=st.sampled_from([frozenset(), frozenset({"AZRebalance"})]),
    launches=st.sampled_from([(), (launches(),), (launches(OLD, "1"),)]),
)


@given(
    hosts=st.lists(_hosts, max_size=5, unique_by=lambda one: one.id),
    wants=_groups,
    pages=st.just(()) | _pages.map(lambda one: (one,)),
    under_way=st.none() | st.just(roll()) | st.just(roll(finished=(WEB,))),
    knows=st.sampled_from(
        [Memory(), memory(), memory(waiting={"return:web": ago(9)}, expected={"gone:i-1": ago(0.2)})]
    ),
)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_from_any_state_there_is_a_next_step_that_says_why(
    hosts: list[Host], wants: Group, pages: tuple[Ledger, ...], under_way: Roll | None, knows: Memory
) -> None:
    decision, _ = decide(seen(*hosts, groups=wants, pages=pages, roll=under_way), knows, ROLL)
    assert speaks(decision) or not decision.actions + decision.waits
    assert sum(isinstance(action, Note) for action in decision.actions) <= 1
    assert not any(isinstance(action, Note) for action in decision.actions[1:])
    gone = [action.host for action in decision.actions if isinstance(action, Terminate)]
    assert all(drain.ours(one, frozenset({1})) or one.arn is None for one in gone)
