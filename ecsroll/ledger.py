"""The ledger: what was borrowed from a group, written before it is borrowed, read by whoever resumes the roll.

One SSM parameter a group under ``/ecsroll/<cluster>/ledger/``, JSON that a person can read, under 4 KB. An entry is
``asking`` before the call that borrows, ``held`` once a reading showed it, ``returning`` before the call that gives it
back (DESIGN 5): so a process may die between any two calls, and the next one knows what to look for.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, cast

from ecsroll.errors import EcsrollError

__all__ = [
    "JUST_NOW",
    "Baseline",
    "Ledger",
    "Phase",
    "Place",
    "Pointed",
    "Roll",
    "Room",
    "ledger_from",
    "roll_from",
    "slug",
    "text_of",
]

JUST_NOW = datetime.max.replace(tzinfo=UTC)
"""The launch time of a host that EC2 does not know yet: newer than any."""

LIMIT = 4096
"""Characters of a standard parameter."""


class Phase(StrEnum):
    """How far a borrowing is."""

    ASKING = "asking"
    HELD = "held"
    RETURNING = "returning"


class Place(StrEnum):
    """Where a group's launches get their image from (DESIGN 5, Target)."""

    TEMPLATE = "template"
    """A fixed image in a launch template version."""
    PARAMETER = "parameter"
    """``resolve:ssm:`` of a parameter that is tagged for this group."""
    PUBLIC = "public"
    """``resolve:ssm:`` of AWS's public parameter, or of somebody else's."""
    CONFIGURATION = "configuration"
    """A launch configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """A launch target that the roll changes: where it stood, and where it is to stand."""

    phase: Phase
    place: Place
    name: str
    """Template id, parameter name or launch configuration name."""
    spec: str
    """How the group refers to the version: a number, ``$Latest`` or ``$Default``; empty where there is none."""
    image_was: str
    image: str
    version_was: str | None = None
    version: str | None = None
    """The version (or the copied launch configuration) that was made for the roll, once it is known."""

    @property
    def changes(self) -> bool:
        """Whether the group is to launch something else than it did before."""
        return self.image != self.image_was or (self.version is not None and self.version != self.version_was)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The surge: how many hosts above what the group wants by itself, and the bounds that hold them."""

    phase: Phase
    borrowed: int
    floor: int
    """The MinSize that was asked for: it lifts DesiredCapacity, and keeps scale-in out (aws-facts 5.1)."""
    ceiling: int
    """The MaxSize that was asked for."""
    min_was: int
    max_was: int
    protects_was: bool
    lent: bool = False
    """Whether a reading has shown the first asking to have landed: from then on ``asking`` is about moved bounds."""
    shrinking: tuple[str, ...] = ()
    """Hosts whose termination is to lower DesiredCapacity, noted before they are terminated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One group's page: what it was like when the roll came to it, and what it has lent."""

    group: str
    epoch: int
    began: datetime
    newest: datetime = JUST_NOW
    """When the newest host of then was launched. AWS's own time: ours is never compared with it (clocks differ)."""
    ready: int
    """Ready hosts when the roll came to this group."""
    old: int
    """Hosts that were to be replaced then."""
    uneven: int
    """Largest difference of host counts between two zones then."""
    pointed: tuple[Pointed, ...] = ()
    pointed_at: datetime | None = None
    """When the newest host was launched (AWS's time) as every launch got the target image: one that was launched later
    and runs something else is a launch failure."""
    room: Room | None = None
    rebalance: Phase | None = None
    """AZRebalance, if it was we who suspended it."""
    canaries: tuple[str, ...] = ()
    canary_passed: bool = False
    lopsided: int = 0
    """How uneven the zones were when one host more was last asked for to even them out; 0: it never was."""
    canary_tries: int = 0
    """Canaries whose tasks all landed on old hosts, and that were let go."""
    bake_since: datetime | None = None
    """When the first replica task was seen healthy on a new host, by the clock of who saw it."""
    skipped: tuple[str, ...] = ()
    """Hosts that were given up and serve again: they are not drained a second time in this roll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What was wrong already when the roll began: gates shut on what is new."""

    alarms: tuple[str, ...] = ()
    """In ALARM."""
    crashes: Mapping[str, int] = field(default_factory=dict)
    """Service -> tasks that had ended by themselves in the hour before."""
    short: Mapping[str, int] = field(default_factory=dict)
    """Service -> tasks that it ran, where it wanted more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """The roll itself: what was asked for, and how far it is."""

    epoch: int
    began: datetime
    groups: tuple[str, ...]
    images: Mapping[str, str]
    """``group/template`` -> the image that it is to launch."""
    policy: Mapping[str, str]
    finished: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    """Those of them that were deleted before the roll was through with them."""
    replaced: int = 0
    aborting: bool = False
    """It is being ended: no host is to be replaced any more, everything is to be given back."""
    result: Literal["", "done", "halted", "aborted"] = ""
    before: Baseline = Baseline()
    was: Mapping[str, str] = field(default_factory=dict)
    """``group/template`` -> the image that it launched before, and its version: what a rollback goes back to."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Only of a rollback: ``group/template`` -> the version that is there already, and is gone back to."""
    back: bool = False
    """It is a rollback."""
    skipped: int = 0
    """Hosts of finished groups that were given up."""
    by: str = ""

    @property
    def verb(self) -> str:
        """The command that goes on with it."""
        return "abort" if self.aborting else "rollback" if self.back else "replace"


def text_of(page: Ledger | Roll) -> str:
    """The page as it is written.

    Raises EcsrollError if it does not fit into a parameter.
    """
    text = json.dumps({"ecsroll": 1, **_plain(page)}, sort_keys=True, separators=(",", ":"))
    if len(text) > LIMIT:
        raise EcsrollError(
            f"the record of {page.epoch} takes {len(text)} characters, a parameter holds {LIMIT}",
            hint="roll fewer groups at once (--asg)",
        )
    return text


def ledger_from(text: str) -> Ledger:
    """Read a group's page. Raises EcsrollError when it is not one of ours."""
    said = _parsed(text)
    try:
        room = said["room"]
        return Ledger(
            group=said["group"],
            epoch=said["epoch"],
            began=datetime.fromisoformat(said["began"]),
            newest=datetime.fromisoformat(said["newest"]),
            ready=said["ready"],
            old=said["old"],
            uneven=said["uneven"],
            pointed=tuple(
                Pointed(**{**entry, "phase": Phase(entry["phase"]), "place": Place(entry["place"])})
                for entry in said["pointed"]
            ),
            pointed_at=datetime.fromisoformat(said["pointed_at"]) if said["pointed_at"] else None,
            room=Room(**{**room, "phase": Phase(room["phase"]), "shrinking": tuple(room["shrinking"])})
            if room
            else None,
            rebalance=Phase(said["rebalance"]) if said["rebalance"] else None,
            canaries=tuple(said["canaries"]),
            canary_passed=said["canary_passed"],
            lopsided=said.get("lopsided", 0),
            canary_tries=said["canary_tries"],
            bake_since=datetime.fromisoformat(said["bake_since"]) if said["bake_since"] else None,
            skipped=tuple(said["skipped"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(text) from error


def _baseline(said: Mapping[str, Any]) -> Baseline:
    return Baseline(alarms=tuple(said["alarms"]), crashes=dict(said["crashes"]), short=dict(said.get("short", {})))


def roll_from(text: str) -> Roll:
    """Read the roll's page. Raises EcsrollError when it is not one of ours."""
    said = _parsed(text)
    try:
        return Roll(
            **{
                **said,
                "began": datetime.fromisoformat(said["began"]),
                "groups": tuple(said["groups"]),
                "finished": tuple(said["finished"]),
                "before": _baseline(said["before"]),
                "gone": tuple(said.get("gone", ())),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(text) from error


def slug(name: str) -> str:
    """A group's name as the last part of a parameter's name.

    Group names may hold almost any character, parameter names only ``[A-Za-z0-9_.-]``: others are replaced, and a
    digest keeps two groups apart.
    """
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', name)[:180]}.{digest}"


def _plain(page: Ledger | Roll) -> dict[str, Any]:
    return cast("dict[str, Any]", _plainly(dataclasses.asdict(page)))


def _plainly(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plainly(member) for key, member in value.items()}
    if isinstance(value, tuple | list):
        return [_plainly(member) for member in value]
    return value


def _parsed(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise _unreadable(text) from error
    if not isinstance(said, dict) or said.pop("ecsroll", None) != 1:
        raise _unreadable(text)
    return said


def _unreadable(text: str) -> EcsrollError:
    return EcsrollError(
        f"a record under /ecsroll/ can not be read: {text[:80]!r}",
        hint="it was written by another version or by hand: finish the roll with that version, or mend the parameter",
    )
