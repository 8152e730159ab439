"""docs/operating.md, "What happens when": each row is a whole roll with that fault, through the real command.

The row says how the roll ends, what it shows meanwhile, within which time, and which command comes next. The test
asserts each of them, mends what the row says is to be mended, runs the row's own command, and sees the roll end well.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from ecsroll.act import Actor
from ecsroll.aws import Aws
from ecsroll.cli import Outside, run
from ecsroll.events import Event
from ecsroll.model import Owed, Unprotect, Verdict
from ecsroll.observe import Observer
from ecsroll.policy import duration
from ecsroll.simulator.stage import GroupSet, Stage
from tests import scenarios as s
from tests.mishaps import FAULTS, Fault
from tests.rolls import Meanwhile, on, stage_of
from tests.scenarios import QUICK
from tests.watch import Watch

PAGE = Path(__file__).parent.parent / "docs" / "operating.md"
AFTERWARDS = timedelta(hours=4)
"""How long the row's own command may take, once what was wrong is mended."""
QUICKLY = ("--yes", "--json", "--canary", "0", "--good-readings", "1")


# The table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the page, read."""

    fault: str
    code: int
    reason: str
    """A pattern of the last reason; empty where the roll ends well."""
    waits: tuple[str, ...]
    """Patterns of what is shown meanwhile."""
    within: timedelta
    shown: str
    """The command that the roll itself names as the next one."""
    commands: tuple[str, ...]
    """The ``ecsroll`` commands that are to be run, in their order."""


def _quoted(cell: str) -> list[str]:
    return [text.replace("…", "*") for text in re.findall(r"`([^`]+)`", cell) if not text.startswith("--")]


def read_row(line: str) -> Row:
    """A row as the page has it: it ``goes on``, or ``halts (5)``, ``refuses (4)``, ``stops (6)`` with its reason."""
    fault, does, within, then = (cell.strip() for cell in line.strip().strip("|").split(" | "))
    how = re.match(r"goes on|(?:halts|refuses|stops) \((\d)\)", does)
    assert how, f"{fault}: {does}"
    code = int(how[1] or 0)
    said, nexts = _quoted(does), _quoted(then)
    return Row(
        fault=fault,
        code=code,
        reason=said[0] if code else "",
        waits=tuple(said[1:] if code else said),
        within=duration(within),
        shown=nexts[0] if nexts else "",
        commands=tuple(text for text in nexts if text.startswith("ecsroll ")),
    )


def rows() -> dict[str, Row]:
    """Every row of the page's table."""
    _, _, section = PAGE.read_text().partition("\n## What happens when\n")
    section, _, _ = section.partition("\n## ")
    lines = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| what happens |")]
    found = [read_row(line) for line in lines]
    return {row.fault: row for row in found}


# The roll --------------------------------------------------------------------------------------------------------


class TooLong(BaseException):
    """The roll goes on for longer than its row says: nothing catches this."""


@dataclass
class Listener(StringIO):
    """Stdout: hears each event as it is told, and lets happen what is to happen then."""

    stage: Stage
    watch: Watch
    happenings: Sequence[Meanwhile] = ()
    waits: dict[str, None] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)

    def write(self, text: str) -> int:
        for line in filter(str.strip, text.splitlines()):
            said = json.loads(line)
            if said["kind"] == "result":
                self.result = said
                continue
            self.waits.update(dict.fromkeys(wait["reason"] for wait in said.get("waits", ())))
            event = Event(kind=said["event"], at=self.stage.sim.now(), facts=said)
            for happening in self.happenings:
                happening.hear(event, self.stage, self.watch)
        return len(text)


@dataclass
class Play:
    """One fault on its stage."""

    fault: Fault
    within: timedelta

    def __post_init__(self) -> None:
        self.stage = stage_of(*self.fault.groups, services=self.fault.services, quick=True)
        self.fault.before(self.stage)
        self.watch = Watch(self.stage, QUICK)
        self.clock = self.fault.clock(self.stage)
        self.until = float("inf")
        self.stage.sim.door.before.append(self._check_time)

    def _check_time(self, call: object) -> None:
        if self.stage.sim.elapsed() > self.until:
            self.until = float("inf")
            raise TooLong(f"at {call} the roll is still not through")

    def roll(self, *words: str, happenings: Sequence[Meanwhile] = ()) -> Listener:
        """Run one command as a user would."""
        told = Listener(self.stage, self.watch, happenings)
        self.until = self.stage.sim.elapsed() + self.within.total_seconds()
        there = Outside(clients=self.stage.sim, clock=self.clock, workers=1, out=told, err=StringIO())
        code = run(words, there)
        self.until = float("inf")
        assert code == told.result["exit_code"]
        return told

    def check(self, result: dict[str, Any]) -> None:
        """Every promise was kept on the way, and all was given back or is listed as owed."""
        if result["exit_code"] != 6:  # then things are left as they are, open drains too (docs/operating.md)
            owed = tuple(Owed(**entry) for entry in result["owed"])
            well = result["exit_code"] == 0
            self.watch.check_end(Verdict(result="done" if well else "halted", reason="", owed=owed))
        breaches = [
            breach
            for breach in self.watch.breaches
            if not (self.fault.others_kill and "healthy tasks, its floor" in breach)
        ]
        assert not breaches, "\n".join(breaches)


ROWS = rows()


@pytest.mark.parametrize("fault", FAULTS)
def test_what_happens_when(fault: str) -> None:
    row, play = ROWS[fault], Play(FAULTS[fault], ROWS[fault].within)
    first = f"ecsroll replace --cluster {play.stage.cluster}"
    told = play.roll(*shlex.split(first)[1:], *QUICKLY, *play.fault.options, happenings=play.fault.meanwhile())
    result = told.result
    assert result["exit_code"] == row.code, result["reason"]
    for pattern in row.waits:
        assert any(fnmatchcase(said, pattern) for said in told.waits), f"{pattern}\n" + "\n".join(told.waits)
    play.check(result)
    if row.code:
        assert fnmatchcase(result["reason"], row.reason), result["reason"]
        shown = re.split(r" \(|; to go on", result["next"])[0]
        assert shown
        wanted = row.shown.replace("--cluster C", "--cluster demo")
        # A refusal says what is to be mended, and names the flag that allows it; all else names the command.
        allowing = f"--allow {row.reason[:5]}"
        named = allowing in result["next"] if row.code == 4 else wanted.startswith(shown) or wanted in result["next"]
        assert named, result["next"]
        play.fault.mend(play.stage, play.watch)
        play.within = AFTERWARDS
        for command in row.commands:
            words = shlex.split(command.replace("--cluster C", "--cluster demo"))[1:]
            extra = ("--yes", "--json") if words[0] == "abort" else QUICKLY
            result = play.roll(*words, *extra).result
            assert result["exit_code"] == 0, result["reason"]
            play.check(result)
    assert result["owed"] == []
    if result["command"] == "replace":
        for group in play.stage.sim.scaling.groups.keys() & play.stage.new_image.keys():
            assert set(s.images(play.stage, group)) == {play.stage.new_image[group]}


# Between a look and a call: what the look showed is not so any more -------------------------------------------------


def _until_gone(stage: Stage, watch: Watch) -> None:
    FAULTS["The group is deleted"].meanwhile()[0].act(stage, watch)
    stage.sim.world.advance(90)


def _back_at_once(stage: Stage, watch: Watch) -> None:
    """An apply puts the bounds back before any reading has shown them."""
    s.terraform_apply(stage, watch)


def test_a_group_that_is_gone_when_its_room_is_asked_for_halts_and_the_next_life_ends_it() -> None:
    play = Play(Fault(others_kill=True), timedelta(minutes=10))
    # The happening takes longer than a lease of the usual length may go without being renewed.
    words = ("replace", "--cluster", "demo", *QUICKLY, "--lease-ttl", "10m")
    result = play.roll(*words, happenings=[on("rebalance_suspended", _until_gone)]).result
    assert (result["exit_code"], result["next"]) == (5, "ecsroll replace --cluster demo (goes on without it)")
    assert result["reason"].startswith("a group was deleted while the roll went on: autoscaling:UpdateAutoScalingGroup")
    again = play.roll(*words).result
    assert (again["exit_code"], again["owed"]) == (5, [])
    play.check(again)
    assert not [name for name in play.stage.sim.parameters._stored if "/ledger/" in name or name.endswith("/roll")]


def test_bounds_that_are_put_back_before_they_were_read_do_not_add_a_second_host() -> None:
    play = Play(Fault(), timedelta(minutes=20))
    result = play.roll("replace", "--cluster", "demo", *QUICKLY, happenings=[on("size_set", _back_at_once)]).result
    assert result["exit_code"] == 0
    play.check(result)


def test_a_host_that_leaves_as_it_is_unprotected_is_no_trouble() -> None:
    stage = stage_of(GroupSet(hosts=2))
    stays, goes = (host.instance.id for host in s.hosts_of(stage))
    stage.sim.scaling.set_protection("web", [stays, goes], True)
    stage.sim.compute.terminate(goes)
    stage.sim.sleep(125)
    aws = Aws(stage.sim, stage.sim, workers=1)
    actor = Actor(aws, Observer(aws, stage.cluster))
    assert actor.act(Unprotect(group="web", hosts=(stays, goes), why="over")).facts["hosts"] == []
    assert actor.act(Unprotect(group="web", hosts=(stays,), why="over")).facts["hosts"] == [stays]
    assert not s.group_of(stage).members[stays].protected


def test_every_fault_has_its_row_and_every_row_its_fault() -> None:
    assert list(ROWS) == list(FAULTS)


def test_a_row_says_a_command_unless_the_roll_goes_on() -> None:
    assert [row.fault for row in ROWS.values() if bool(row.commands) is not bool(row.code)] == []
