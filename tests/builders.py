"""Small worlds for the tables: each builder has the defaults of a quiet night, so that a row shows only what matters.

It is 3 a.m. The roll began ten minutes ago; every host is of template lt-1, old ones of version 1, new ones of 2.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any, assert_never

import pytest
from _pytest.mark import ParameterSet

from ecsroll.decide import decide
from ecsroll.ledger import Ledger, Phase, Place, Pointed, Roll, Room
from ecsroll.model import (
    Action,
    CloseRoll,
    Decision,
    Deregister,
    Drain,
    Forget,
    Group,
    Host,
    Launches,
    Memory,
    Note,
    OpenRoll,
    Point,
    PointBack,
    Policy,
    ResumeRebalance,
    Service,
    SetSize,
    Snapshot,
    StopTasks,
    SuspendRebalance,
    Targets,
    Task,
    Terminate,
    Undrain,
    Unprotect,
    Wait,
)

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=10)
NEWEST = NOW - timedelta(days=1)
Facts = dict[str, Any]
"""What a row says more."""

OLD, NEW = "ami-old", "ami-new"
WEB = "web"
IMAGES = {"web/lt-1": NEW, "api/lt-1": NEW}
ROLL = Policy(images=IMAGES, bake=timedelta())
NO_CANARY = replace(ROLL, canary=0)


def ago(minutes: float = 0, *, days: float = 0) -> datetime:
    """That long before 3 a.m."""
    return NOW - timedelta(days=days, minutes=minutes)


def marked(minutes: float = 5, epoch: int = 1) -> str:
    """The mark of a host that this roll has drained for so many minutes."""
    return f"{epoch}:{ago(minutes):%Y-%m-%dT%H:%M:%SZ}"


def arn(host: str) -> str:
    return f"arn:aws:ecs:eu-west-1:1:container-instance/prod/{host}"


# Hosts


def host(name: str, *, draining: bool = False, unregistered: bool = False, **more: Any) -> Host:
    """A host that serves; ``draining`` by us for five minutes."""
    facts: Facts = {
        "id": name,
        "group": WEB,
        "zone": "a",
        "lifecycle": "InService",
        "image": OLD,
        "launched_at": ago(days=30),
        "template": "lt-1",
        "version": "1",
        "arn": arn(name),
        "status": "ACTIVE",
        "connected": True,
    }
    if draining:
        facts |= {"status": "DRAINING", "drain_mark": marked()}
    if unregistered:
        facts |= {"arn": None, "status": None, "connected": False}
    return Host(**{**facts, **more})


def old(name: str, *, draining: bool = False, unregistered: bool = False, **more: Any) -> Host:
    """A host that is to be replaced."""
    return host(name, draining=draining, unregistered=unregistered, **more)


def new(name: str, *, booting: bool = False, draining: bool = False, unregistered: bool = False, **more: Any) -> Host:
    """A host of the target image, launched five minutes ago; ``booting``: Pending, and unknown to ECS."""
    facts: Facts = {"image": NEW, "version": "2", "launched_at": ago(5)}
    if booting:
        facts["lifecycle"] = "Pending"
    return host(name, draining=draining, unregistered=unregistered or booting, **{**facts, **more})


def foreign(name: str, **more: Any) -> Host:
    """An old host that somebody else drains."""
    return old(name, **{"status": "DRAINING", **more})


# What runs


def task(name: str, on: str, service: str | None = "shop", **more: Any) -> Task:
    """A running task, of the service ``shop`` unless said otherwise; ``service=None`` makes it a standalone one."""
    facts: Facts = {"definition": "shop:1", "last_status": "RUNNING", "desired_status": "RUNNING"}
    return Task(arn=f"arn:aws:ecs:eu-west-1:1:task/prod/{name}", host=arn(on), service=service, **{**facts, **more})


def stopping(name: str, on: str, service: str | None = "shop", **more: Any) -> Task:
    """Told to stop a minute ago, still running."""
    return task(name, on, service, **{"desired_status": "STOPPED", "stopping_at": ago(1), **more})


def gone(name: str, on: str, service: str | None = "shop", **more: Any) -> Task:
    """Really stopped."""
    return task(name, on, service, desired_status="STOPPED", last_status="STOPPED", **more)


def daemon(name: str, on: str, **more: Any) -> Task:
    """A task of the daemon service ``logs``."""
    return task(name, on, "logs", daemon=True, **more)


def service(name: str = "shop", desired: int = 2, **more: Any) -> Service:
    """A service with all that it wants."""
    facts: Facts = {"arn": f"arn:{name}", "daemon": False, "running": desired, "pending": 0}
    return Service(name=name, desired=desired, **{**facts, **more})


# The group and its page


def launches(image: str = NEW, version: str | None = "2", **more: Any) -> Launches:
    """What the group launches."""
    facts: Facts = {"place": Place.TEMPLATE, "name": "lt-1", "spec": "$Latest"}
    return Launches(image=image, version=version, **{**facts, **more})


def pointed(phase: Phase = Phase.HELD, **more: Any) -> Pointed:
    """The target, as the roll notes it."""
    facts: Facts = {
        "place": Place.TEMPLATE,
        "name": "lt-1",
        "spec": "$Latest",
        "image_was": OLD,
        "image": NEW,
        "version_was": "1",
        "version": "2",
    }
    return Pointed(phase=phase, **{**facts, **more})


def room(borrowed: int = 1, wanted: int = 2, phase: Phase = Phase.HELD, **more: Any) -> Room:
    """Room for so many hosts above the ``wanted`` ones, in a group that was 1 to 10 before."""
    facts: Facts = {
        "floor": wanted + borrowed,
        "ceiling": 10 + borrowed,
        "min_was": 1,
        "max_was": 10,
        "protects_was": False,
        "lent": phase is not Phase.ASKING,
    }
    return Room(phase=phase, borrowed=borrowed, **{**facts, **more})


def page(name: str = WEB, **more: Any) -> Ledger:
    """A group's page once the target is set; nothing is borrowed, and the canary has passed."""
    facts: Facts = {
        "epoch": 1,
        "began": BEGAN,
        "newest": NEWEST,
        "ready": 2,
        "old": 2,
        "uneven": 0,
        "pointed": (pointed(),),
        "pointed_at": NEWEST,
        "canary_passed": True,
    }
    return Ledger(group=name, **{**facts, **more})


def group(desired: int = 2, *, name: str = WEB, **more: Any) -> Group:
    """A group of 1 to 10 hosts that launches the target; ``seen`` gives it its hosts."""
    facts: Facts = {"min": 1, "max": 10, "hosts": (), "zones": ("a",), "launches": (launches(),)}
    return Group(name=name, desired=desired, **{**facts, **more})


def lent(desired: int = 3, **more: Any) -> Group:
    """A group that has lent its room: MinSize is what it wants, one more than before; AZRebalance is suspended."""
    facts: Facts = {
        "min": desired,
        "max": 11,
        "protects_new": True,
        "suspended": frozenset({"AZRebalance"}),
    }
    return group(desired, **{**facts, **more})


# The picture


def roll(*groups: str, **more: Any) -> Roll:
    facts: Facts = {"epoch": 1, "began": BEGAN, "images": IMAGES, "policy": {}}
    return Roll(groups=groups or (WEB,), **{**facts, **more})


def seen(
    *hosts: Host,
    groups: Group | Sequence[Group] | None = None,
    pages: Ledger | Sequence[Ledger] = (),
    tasks: Iterable[Task] = (),
    services: Iterable[Service] = (),
    targets: Mapping[str, Targets] | None = None,
    **more: Any,
) -> Snapshot:
    """The picture of these hosts, with a roll under way; the group wants just them unless it is given."""
    alone = (group(sum(1 for one in hosts if one.live)),)
    some = (groups,) if isinstance(groups, Group) else alone if groups is None else groups
    ledgers = (pages,) if isinstance(pages, Ledger) else pages
    on: dict[str, tuple[Task, ...]] = {}
    for one in tasks:
        on[one.host] = (*on.get(one.host, ()), one)
    facts: Facts = {"at": NOW, "cluster": "prod", "roll": roll()}
    return Snapshot(
        groups={
            one.name: replace(one, hosts=tuple(each.id for each in hosts if each.group == one.name)) for one in some
        },
        hosts={each.id: each for each in hosts},
        tasks=on,
        services={one.name: one for one in services},
        targets=targets or {},
        ledgers={one.group: one for one in ledgers},
        **{**facts, **more},
    )


def rolling(*hosts: Host, wanted: int = 2, surge: int = 1, **more: Any) -> Snapshot:
    """The middle of a roll: the target is set, room is held, the canary has passed.

    ``group`` and ``page`` change what the group and its page say; the rest is what ``seen`` takes.
    """
    said = {"max": 10 + surge, **more.pop("group", {})}
    paged = {
        "ready": wanted,
        "old": wanted,
        "room": room(surge, wanted),
        "rebalance": Phase.HELD,
        **more.pop("page", {}),
    }
    return seen(*hosts, groups=lent(**{"desired": wanted + surge, **said}), pages=page(**paged), **more)


def memory(**more: Any) -> Memory:
    """The memory of a process that has looked before, and knows every host."""
    return Memory(**{"newest": NOW, "looks": 2, **more})


# What was decided, as lines


def say(decision: Decision) -> list[str]:
    """A decision as an operator would tell it: a line an action, a line a wait, a line for the verdict."""
    lines = [*map(_action, decision.actions), *map(_wait, decision.waits)]
    if decision.verdict is not None:
        lines.append(f"{decision.verdict.result}: {decision.verdict.reason}")
    return lines


def _wait(wait: Wait) -> str:
    return f"wait {wait.kind} {wait.subject}: {wait.reason}"


def _action(action: Action) -> str:  # noqa: PLR0912 - one match, a line a case
    match action:
        case OpenRoll(roll=said):
            return f"roll {said.epoch} of {' '.join(said.groups)}, finished: {' '.join(said.finished) or 'none'}"
        case CloseRoll(roll=said):
            return f"close roll {said.epoch}: {said.result}"
        case Note(ledger=said):
            return f"note {said.group}"
        case Forget():
            return f"forget {action.group}"
        case Point(pointed=said):
            return f"point {said.name} at {said.image}"
        case PointBack(pointed=said):
            return f"point {said.name} back to {said.image_was}"
        case SetSize():
            return f"size {action.group} {action.min}..{action.max}{' protected' if action.protects_new else ''}"
        case SuspendRebalance():
            return f"suspend {action.group}"
        case ResumeRebalance():
            return f"resume {action.group}"
        case Drain(hosts=some):
            return f"drain {' '.join(one.id for one in some)}"
        case Undrain(hosts=some):
            return f"undrain {' '.join(one.id for one in some)}"
        case StopTasks():
            return f"stop {len(action.tasks)} task(s) on {action.host.id}"
        case Terminate():
            return f"{'shrink by' if action.shrink else 'replace'} {action.host.id}"
        case Deregister():
            return f"deregister {action.host.id}"
        case Unprotect():
            return f"unprotect {' '.join(action.hosts)}"
        case _:
            assert_never(action)


def as_told(lines: Iterable[str], wanted: Iterable[str]) -> tuple[str | None, ...]:
    """The lines, each replaced by what was wanted of it where they agree; ``*`` stands for any text."""
    pairs = zip_longest(lines, wanted)
    return tuple(want if line and want and fnmatchcase(line, want) else line for line, want in pairs)


def speaks(decision: Decision) -> bool:
    """Promise 8: every action has a reason, every wait too, and a decision that does nothing says what it waits for."""
    silent = not (decision.actions or decision.waits or decision.verdict)
    reasons = [*(action.why for action in decision.actions), *(wait.reason for wait in decision.waits)]
    return not silent and all(reasons) and (decision.verdict is None or bool(decision.verdict.reason))


def noted(decision: Decision) -> Ledger:
    """The page that the decision writes down."""
    return next(action.ledger for action in decision.actions if isinstance(action, Note))


# Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a table: a picture, and the lines of the decision that it leads to."""

    seen: Snapshot
    told: tuple[str, ...]
    knows: Memory
    policy: Policy
    bug: str


def row(seen: Snapshot, *told: str, knows: Memory | None = None, policy: Policy = ROLL, bug: str = "") -> Row:
    """A row; ``bug`` says why it is known to fail."""
    return Row(seen=seen, told=told, knows=knows or memory(), policy=policy, bug=bug)


def outcome(one: Row) -> tuple[str | None, ...]:
    """What is decided on the row's picture, in the words of the row as far as they agree."""
    decision, _ = decide(one.seen, one.knows, one.policy)
    lines = say(decision)
    return as_told(lines if speaks(decision) else [*lines, "and it does not say why"], one.told)


def table(*parts: Mapping[str, Row]) -> list[ParameterSet]:
    """The rows as pytest takes them, each under the sentence that names it."""
    return [
        pytest.param(one, id=name, marks=pytest.mark.xfail(strict=True, reason=one.bug) if one.bug else ())
        for part in parts
        for name, one in part.items()
    ]
