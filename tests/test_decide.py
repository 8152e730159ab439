"""What is to be done next, as a table: a picture of the cluster, and the decision that it must lead to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ecsroll.decide import decide
from ecsroll.ledger import Phase, Place
from ecsroll.model import (
    Activity,
    Amount,
    CapacityProvider,
    Decision,
    Drain,
    Host,
    Memory,
    Service,
    Snapshot,
    Targets,
    Terminate,
    Verdict,
    Wait,
)
from ecsroll.turn import chosen
from tests.builders import (
    BEGAN,
    IMAGES,
    NEW,
    NO_CANARY,
    NOW,
    OLD,
    ROLL,
    WEB,
    Row,
    ago,
    arn,
    as_told,
    daemon,
    foreign,
    gone,
    group,
    host,
    launches,
    lent,
    marked,
    memory,
    new,
    noted,
    old,
    page,
    pointed,
    roll,
    rolling,
    room,
    row,
    say,
    seen,
    service,
    speaks,
    stopping,
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
        "nothing: every host runs what its group is to launch",
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
    "what happens in a group that is not of this roll is no concern of it": row(
        seen(foreign("i-2"), roll=roll("api", finished=("api",))),
        "close roll 1: done",
        "done: every outdated host was replaced",
    ),
    "a group of the roll is gone altogether: the rest is closed": row(
        seen(new("i-1"), roll=roll("api", "web", finished=(WEB,))),
        "close roll 1: done",
        "done: every outdated host was replaced",
    ),
}

# A group that launches the old image still, and the page of a roll that has not set the target.
BEFORE = {"pointed": (pointed(Phase.ASKING, version=None),), "pointed_at": None}
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
        "forget web",
        "roll 1 of web, finished: web",
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
    "a stop had pointed back: a rerun points anew": row(
        seen(old("i-1"), groups=group(1, launches=(launches(OLD, "1"),)), pages=page(pointed=(), pointed_at=None)),
        "note web",
        "point lt-1 at ami-new",
        "wait target web: until lt-1 reads back ami-new",
    ),
    "a group whose template can not be read has nothing to be replaced": row(
        seen(old("i-1"), groups=group(1, launches=()), pages=page(pointed=())),
        "forget web",
        "roll 1 of web, finished: web",
    ),
}

ROOM = {
    "the target is set: make room before taking anything away": row(
        seen(old("i-1"), old("i-2"), pages=page()),
        "note web",
        "suspend web",
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
    ),
    "no old host: no room is asked for, the group is finished": row(
        seen(new("i-1"), new("i-2"), pages=page()),
        "forget web",
        "roll 1 of web, finished: web",
    ),
    "a group that never needed a page is finished without one": row(
        seen(new("i-1"), new("i-2")),
        "roll 1 of web, finished: web",
    ),
    "somebody else had suspended AZRebalance: it is not ours to suspend": row(
        seen(old("i-1"), groups=group(1, suspended=frozenset({"AZRebalance"})), pages=page()),
        "note web",
        "size web 2..11 protected",
        "wait room web: until MinSize reads 2",
    ),
    "the room was asked for and does not read back: ask again, drain nothing": row(
        rolling(
            old("i-1"),
            old("i-2"),
            group={"desired": 2, "min": 1, "max": 10},
            page={"room": room(phase=Phase.ASKING), "rebalance": Phase.ASKING},
        ),
        "size web 3..11 protected",
        "wait room web: until MinSize reads 3",
    ),
    "the room reads back: held from now on, and the launch is waited for": row(
        rolling(old("i-1"), old("i-2"), page={"room": room(phase=Phase.ASKING), "rebalance": Phase.ASKING}),
        "note web",
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
        "wait launch web: 3 wanted, 2 there",
    ),
    "AZRebalance does not read as suspended yet: ask again": row(
        rolling(old("i-1"), old("i-2"), group={"suspended": frozenset()}, page={"rebalance": Phase.ASKING}),
        "suspend web",
        "wait successor web: *",
        "wait launch web: *",
    ),
    "someone scaled the group out meanwhile: leave that alone, the floor follows": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), new("i-4", booting=True), group={"desired": 4, "min": 3}),
        "note web",
        "size web 4..11 protected",
        "drain i-1",
        "wait boot i-4: is Pending",
    ),
    "someone set another MinSize: theirs is given back one day, ours holds for now": row(
        rolling(old("i-1"), old("i-2"), new("i-3", booting=True), group={"min": 2}),
        "note web",
        "size web 3..11 protected",
        "wait successor web: *",
        "wait boot i-3: *",
    ),
    "the launch failed: say so, with the reason": row(
        rolling(
            old("i-1"),
            old("i-2"),
            group={"failures": (Activity(status="Failed", cause="", message="no capacity", at=ago(1)),)},
        ),
        "wait successor web: *",
        "wait launch web: 3 wanted, 2 there; last launch failed: no capacity",
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
        "wait boot i-3: 2 of 3 good readings",
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
        "wait boot i-3: 0 of 3 good readings",
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
    "two spares: two hosts may be drained": row(
        rolling(old("i-1"), old("i-2"), old("i-3"), new("i-4"), new("i-5"), wanted=3, surge=2),
        "drain i-1 i-2",
    ),
    "the fewest moves first": row(
        rolling(old("i-1", tasks=9), old("i-2", tasks=2), new("i-3")),
        "drain i-2",
    ),
    "an emptier zone first: the surplus has to stay in the fullest": row(
        rolling(old("i-1"), old("i-2", zone="b"), new("i-3"), group={"zones": ("a", "b")}),
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
    "more was ready at the start than the group wants: what it wants has to stay": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page={"ready": 5}),
        "drain i-1",
    ),
    "one host was sick at the start: no more has to stay than was ready then": row(
        rolling(old("i-1"), old("i-2", lifecycle="Standby"), new("i-3", booting=True), page={"ready": 0}),
        "drain i-1",
        "wait boot i-3: is Pending",
        "wait launch web: 3 wanted, 2 there",
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
        bug="asg.natural: while the room is asked for anew, what was lent counts as wanted",
    ),
    "a host that is drained already does not serve: no second one is drained on its account": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3"), tasks=[task("t1", "i-1")], services=[service()]),
        "wait drain i-1: 1 not yet replaced elsewhere (shop)",
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
    ),
    "a drain of a moment ago is not shown yet: it counts as drained": row(
        rolling(old("i-1"), old("i-2"), new("i-3")),
        "wait successor web: 2 ready, 2 needed besides the next to be drained",
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
    "the first look of a life still buries and dismisses": row(
        rolling(old("i-1", draining=True), old("i-2"), new("i-3")),
        "replace i-1",
        "wait look web: *",
        knows=Memory(),
    ),
    "the last drain of a moment ago is not shown yet: say so": row(
        rolling(old("i-1"), new("i-2"), new("i-3")),
        "wait *",
        knows=memory(expected={"drain:i-1": ago(0.5)}),
        bug="decide.py _drain: no candidate, no wait: the round is silent",
    ),
    "an old host is still launching: say that it is waited for": row(
        rolling(old("i-1", lifecycle="Pending:Wait", unregistered=True), new("i-2"), new("i-3")),
        "wait *",
        bug="decide.py _await_hosts leaves old hosts out: the round is silent",
    ),
    "an old host stands by: say that it is waited for": row(
        rolling(old("i-1", status="REGISTERING"), new("i-2"), new("i-3")),
        "wait *",
        bug="decide.py _await_hosts leaves old hosts out: the round is silent",
    ),
}

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
        "wait successor web: 2 ready, 2 needed *",
    ),
}

# A canary is yet to be judged; i-1 carries two services.
TRYING = {"canary_passed": False}
JUDGED = {"canary_passed": False, "canaries": ("i-1",)}
CARRIED = {"tasks": [task("t1", "i-1"), task("t2", "i-2"), task("t3", "i-2"), task("t4", "i-1", "cart")]}
MOVED = {"tasks": [gone("t1", "i-1"), gone("t4", "i-1", "cart")]}
BOTH = {"services": [service("shop", 3), service("cart", 1)]}

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
    "of equals, the canary comes from the emptiest zone": row(
        rolling(
            old("i-1"),
            old("i-2", zone="b"),
            new("i-3"),
            group={"zones": ("a", "b")},
            page=TRYING,
            tasks=[task("t1", "i-1"), task("t2", "i-2")],
            **BOTH,
        ),
        "note web",
        "drain i-2",
    ),
    "only sick hosts are left to try: they cost nothing, and go": row(
        rolling(old("i-1", connected=False), old("i-2", connected=False), new("i-3"), page=TRYING, **CARRIED, **BOTH),
        "drain i-1 i-2",
        bug="decide.py _canary_order: no healthy old host, so no candidate and no wait, for ever",
    ),
    "no canary was asked for: none is noted": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page=TRYING, **CARRIED, **BOTH),
        "drain i-1",
        policy=NO_CANARY,
        bug="decide.py _drain notes the first batch as canaries though --canary 0",
    ),
    "the group has no replica tasks: there is nothing to judge a canary by": row(
        rolling(old("i-1"), old("i-2"), new("i-3"), page=TRYING, services=[service("logs", 3, daemon=True)]),
        "drain i-1",
        bug="decide.py _drain notes the first batch as canaries though there are no replica tasks",
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
        bug="decide.py _judge_canary: no canary is there, so all of them are calm",
    ),
    "the canary died by itself, a spare is ready: the next host is canary": row(
        rolling(old("i-2"), new("i-3"), new("i-4"), page=JUDGED, **CARRIED, **BOTH),
        "note web",
        "drain i-2",
    ),
}

@pytest.mark.parametrize("row", table(BEGINNING, END, TARGET, ROOM, SLIDE, FOREIGN, CANARY))
def test_decide(row: Row) -> None:
    assert outcome(row) == row.told
