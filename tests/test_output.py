"""What comes out: JSON keys as documented, stdout and stderr kept apart, and pictures that can be read."""

import re
import signal
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ecsroll.aws import Aws
from ecsroll.engine import Round
from ecsroll.events import KINDS
from ecsroll.lease import Lease
from ecsroll.model import Decision, Memory, Policy, Wait
from ecsroll.render import LiveScreen, console_for, picture
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from ecsroll.simulator.world import Refusal
from ecsroll.tally import Tally
from tests.builders import ago, group, new, old, roll, rolling, service, task
from tests.console import FakeClock, Ran, Terminal, denying, ecsroll
from tests.scenarios import run_a_task

JSON_PAGE = Path(__file__).parent.parent / "docs" / "json.md"
ROLL = ("replace", "--cluster", "demo", "--yes", "--canary", "0", "--good-readings", "1")


def stage_of(hosts: int = 3, name: str = "web") -> Stage:
    services = (
        ServiceSet(name="api", count=4, balanced=True),
        ServiceSet(name="logs", daemon=True, cpu=64, memory=64),
    )
    return set_stage(GroupSet(hosts=hosts, name=name), services=services)


# JSON: documented, and nothing else ----------------------------------------------------------------------------------


@cache
def runs() -> tuple[Ran, ...]:
    """A roll whose first termination is refused, one that halts, one that is cut off; and the commands that look."""
    kept, stuck, cut, stopped = stage_of(), stage_of(), stage_of(), stage_of()
    run_a_task(stopped, 99_999, host=0)
    refusals = [Refusal("ValidationError", "not now")]

    def refuse(call: Call) -> None:
        if call.operation == "TerminateInstanceInAutoScalingGroup" and refusals:
            raise refusals.pop()

    kept.sim.door.before.append(refuse)
    run_a_task(stuck, 99_999, host=0)
    with denying(cut, "DescribeTargetHealth"), denying(cut, "TerminateInstanceInAutoScalingGroup"):
        denied = ecsroll(cut, *ROLL, "--json")
    Lease(Aws(cut.sim, cut.sim, workers=1), "demo", "ann").take()
    return (
        ecsroll(kept, *ROLL, "--json"),
        ecsroll(stuck, *ROLL, "--drain-timeout", "5m", "--json"),
        ecsroll(stopped, *ROLL, "--standalone-tasks", "stop", "--json"),
        denied,
        ecsroll(cut, "status", "--cluster", "demo", "--json"),
        ecsroll(cut, "check-ami", "--cluster", "demo", "--json"),
        ecsroll(stage_of(), "plan", "--cluster", "demo", "--json"),
        ecsroll(stage_of(2), "plan", "--cluster", "demo", "--window", "23:00-23:30", "--json"),
        ecsroll(None, "demo", "--json"),
        ecsroll(None, "demo", "--serve", "--json"),
        ecsroll(cut, "replace", "--fast", "--json"),
        ecsroll(kept, "replace", "--cluster", "demo", "--cluster", "nowhere", "--yes", "--json"),
    )


WHOLE = re.compile(r"(clusters\[\]|result)\.|groups\[\]\.running\[\]\.changed\.")
"""Keys below something that is documented elsewhere: a result within a result."""


def documented(heading: str) -> dict[str, list[str]]:
    """A table of docs/json.md: the first cell of each row -> the names in the second."""
    section = JSON_PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): re.findall(r"`([^`]+)`", cells[1]) for cells in rows}


def flat(value: Any, name: str = "") -> set[str]:
    """Every key of a JSON value, as ``hosts.replaced`` or ``owed[].group``."""
    if isinstance(value, Mapping):
        inner = {key for member in value for key in flat(value[member], f"{name}.{member}" if name else member)}
        return inner | ({name} if name else set())
    if isinstance(value, list):
        return {name} | {key for member in value for key in flat(member, f"{name}[]") if key != f"{name}[]"}
    return {name}


ALWAYS = {"ecsroll", "kind", "event", "at", "cluster"}


def test_every_event_kind_happens_in_these_runs() -> None:
    assert {event["event"] for ran in runs() for event in ran.events} == set(KINDS)


def test_every_event_kind_and_each_of_its_keys_is_documented_and_no_other() -> None:
    keys: dict[str, set[str]] = defaultdict(set)
    for ran in runs():
        for event in ran.events:
            keys[event["event"]] |= {key for key in flat(event) if not WHOLE.match(key)} - ALWAYS
    assert {kind: sorted(found) for kind, found in keys.items()} == {
        kind: sorted(found) for kind, found in documented("Events").items()
    }


def test_what_an_event_means_is_documented_in_the_same_words() -> None:
    text = JSON_PAGE.read_text()
    assert [kind for kind, meaning in KINDS.items() if f"| {meaning} |" not in text] == []


def test_every_event_line_says_what_it_is_and_when() -> None:
    for ran in runs():
        for event in ran.events:
            assert (event["ecsroll"], event["kind"], event["cluster"]) == (1, "event", event["cluster"] or "")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", event["at"])


@pytest.mark.parametrize("command", ["replace", "plan", "status", "check-ami", "demo"])
def test_every_key_of_a_result_is_documented_and_no_other(command: str) -> None:
    always = set(documented("The result"))
    said = set(documented(f"Only `{command}`")) if command != "demo" else set(documented("Only `replace`"))
    results = [ran.result for ran in runs() if ran.result["command"] == command]
    found = {key for result in results for key in flat(result) if not WHOLE.match(key)}
    assert found <= always | said, "undocumented"
    optional = {"findings[].code", "findings[].severity", "findings[].subject", "findings[].measured", "findings[].fix"}
    optional |= {"owed[].group", "owed[].what", "owed[].how", "waits[].kind", "waits[].subject", "waits[].reason"}
    optional |= {"waits[].since", "waits[].until"}
    optional |= {"published"}  # with --publish: tests/test_watch.py
    optional |= {"clusters", "not_begun", "explained"} if command == "demo" else set()
    optional |= {"plan"} if command == "plan" else set()
    assert always | said <= found | optional, "documented, and never said"


def test_findings_and_debts_are_said_with_the_documented_keys() -> None:
    found = {key for ran in runs() for key in flat(ran.result)}
    assert {name for name in documented("The result") if "[]." in name} <= found


def test_every_line_has_sorted_keys_so_that_logs_can_be_compared() -> None:
    for line in runs()[0].out.splitlines():
        keys = re.findall(r'"(\w+)":', re.sub(r"\[.*?\]|(?<!^)\{.*?\}", "0", line))
        assert keys == sorted(keys)


# Stdout and stderr ---------------------------------------------------------------------------------------------------


def test_with_json_stdout_holds_nothing_but_json_and_stderr_no_story() -> None:
    for ran in runs():
        assert all(line["kind"] in {"event", "result"} for line in ran.lines)
        assert [line["kind"] for line in ran.lines].count("result") == 1
        assert ran.err == "" or ran.code == 2


def test_no_line_of_a_log_ends_in_blanks() -> None:
    ran = ecsroll(stage_of(), *ROLL)
    assert [line for line in (ran.out + ran.err).splitlines() if line != line.rstrip()] == []


def test_a_log_has_no_escapes() -> None:
    ran = ecsroll(stage_of(), *ROLL)
    assert "\x1b" not in ran.out + ran.err


def test_a_terminal_gets_colours_unless_it_does_not_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = ecsroll(stage_of(1), "status", "--cluster", "demo", terminal=True)
    assert "\x1b[" in coloured.out
    monkeypatch.setenv("NO_COLOR", "1")
    plain = ecsroll(stage_of(1), "status", "--cluster", "demo", terminal=True)
    assert not re.search(r"\x1b\[[0-9;]*3\dm", plain.out)


def test_a_terminal_that_can_not_be_drawn_on_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    ran = ecsroll(stage_of(1), *ROLL, terminal=True)
    assert "\x1b[?25l" not in ran.err
    assert " terminate  i-" in ran.err


def test_names_with_brackets_are_not_read_as_markup() -> None:
    stage = stage_of(1, name="web [red] [/]")
    assert "web [red] [/]" in ecsroll(stage, "status", "--cluster", "demo").out
    assert "web [red] [/]" in ecsroll(stage, *ROLL).err


def test_a_pipe_has_room_for_whole_lines_and_a_narrow_terminal_is_not_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console_for(StringIO()).width > 120
    monkeypatch.setenv("COLUMNS", "60")
    assert console_for(Terminal()).width == 60
    ran = ecsroll(stage_of(1), "status", "--cluster", "demo")
    assert max(len(line) for line in ran.out.splitlines() if "next" not in line) <= 60


# The last lines ---------------------------------------------------------------------------------------------------


def test_the_last_six_lines_of_a_halt_are_enough_at_3_am() -> None:
    stage = stage_of()
    run_a_task(stage, 99_999, host=0)
    last = ecsroll(stage, *ROLL, "--drain-timeout", "5m").out.splitlines()[-6:]
    assert [line.split()[0] for line in last[-4:]] == ["halted:", "owed", "owed", "next"]
    assert re.search(r"i-\w+ has not been drained within .*: 1 standalone", last[-4])
    assert "MinSize" in last[-3]


def test_the_last_lines_of_a_success() -> None:
    last = ecsroll(stage_of(), *ROLL).out.splitlines()[-6:]
    assert [line.strip().partition("  ")[0] for line in last] == [
        "hosts",
        "time",
        "moves per task",
        "calls",
        "lowest capacity",
        "done: every outdated host was replaced",
    ]


# The live picture ----------------------------------------------------------------------------------------------------

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
RECENT = (
    "02:49:31  size       web min 10 max 12: room for 1 more than the 9 wanted, before anything is drained",
    "02:58:02  terminate  i-0d3c5ab1e0f94e6c1 is empty; the group launches its successor",
)


def drawn(step: Round, width: int, policy: Policy | None = None) -> list[str]:
    """The picture as text."""
    console = Console(record=True, force_terminal=True, width=width, file=StringIO(), markup=False)
    head = ("ecsroll replace · prod", "12m 10s, 400 calls, 31 of them changed something")
    console.print(picture(head, step, policy or Policy(), timedelta(minutes=12), RECENT, width))
    return [line.rstrip() for line in console.export_text().splitlines()]


def roll_of(count: int, **more: Any) -> Round:
    """A third is replaced, one is drained, one boots."""
    third = count // 3
    young = [
        new(f"i-1{number:016x}", zone=ZONES[number % 3], booting=number == 1, launched_at=ago(10 - number / 60))
        for number in range(third + 1)
    ]
    aged = [old(f"i-0{number:016x}", zone=ZONES[number % 3], draining=number == 0) for number in range(count - third)]
    picture_of = rolling(
        *young,
        *aged,
        wanted=count,
        group={"zones": ZONES},
        tasks=[task("t1", aged[0].id)],
        services=[service("shop", 4), service("cart", 2)],
        **more,
    )
    waits = (
        Wait(
            kind="drain",
            subject=aged[0].id,
            reason="1 not yet replaced elsewhere (shop)",
            since=ago(2),
            until=ago(-28),
        ),
        Wait(kind="boot", subject=young[1].id, reason="is Pending", since=ago(1), until=ago(-14)),
        *(Wait(kind="drain", subject=f"i-{number}", reason="1 stopping (shop)", since=ago(1)) for number in range(5)),
    )
    return Round(7, picture_of, Decision(waits=waits), Memory())


NINE = """\
ecsroll replace · prod
12m 10s, 400 calls, 31 of them changed something

web  desired 10, 1 of them borrowed
  ━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━  3 of 9 replaced, about 24 min to go
  eu-west-1a  ▼ □ ■ ■
  eu-west-1b  □ □ ◌
  eu-west-1c  □ □ ■

  □ old  ▼ draining  ▽ empty  ◌ booting  ■ ready  ✕ leaving

  2 services, each with all its tasks running

  waits 2m of 30m     i-00000000000000000: 1 not yet replaced elsewhere (shop)
  waits 1m of 15m     i-10000000000000001 is Pending
  waits 1m            i-0: 1 stopping (shop)
  waits 1m            i-1: 1 stopping (shop)
  waits 1m            i-2: 1 stopping (shop)
  … and for 2 more

02:49:31  size       web min 10 max 12: room for 1 more than the 9 wanted, befo…
02:58:02  terminate  i-0d3c5ab1e0f94e6c1 is empty; the group launches its succe…
"""


def test_a_remark_stands_above_the_picture_which_is_drawn_anew_below_it() -> None:
    shown = StringIO()
    screen = LiveScreen(Console(file=shown, force_terminal=True, width=80), "ecsroll replace · prod")
    screen.round(roll_of(9), Tally(), Aws(set_stage(GroupSet(hosts=1)).sim, FakeClock()))
    before = shown.tell()
    screen.remark("SIGINT: undoing what moves no task, at most 25s; once more stops at once")
    after = shown.getvalue()[before:]
    screen.close()
    erased, remark, picture_again = (after.index(word) for word in ("\x1b[2K", "SIGINT", "ecsroll replace · prod"))
    assert erased < remark < picture_again


def test_ctrl_c_is_answered_above_the_picture() -> None:
    stage = stage_of()

    def press(call: Call) -> None:
        if call.operation == "UpdateContainerInstancesState":
            stage.sim.door.before.remove(press)
            signal.raise_signal(signal.SIGINT)

    stage.sim.door.before.append(press)
    ran = ecsroll(stage, *ROLL, terminal=True)
    assert ran.code == 130
    assert "interrupted: by SIGINT" in re.sub(r"\x1b\[[\d;]*m", "", ran.out)
    before = ran.err[: ran.err.index("SIGINT: undoing what moves no task")]
    assert "ecsroll replace · demo" in before
    assert before.endswith("\x1b[2K")  # the picture was taken away; what is only printed is drawn over


def test_nine_hosts_at_80_columns() -> None:
    assert drawn(roll_of(9), 80) == NINE.splitlines()


def test_nine_hosts_at_120_columns_say_no_less() -> None:
    wide = drawn(roll_of(9), 120)
    assert [line for line in wide if "…" not in line][:12] == NINE.splitlines()[:12]
    assert wide[-1] == RECENT[-1]


@pytest.mark.parametrize("width", [80, 120])
def test_three_hundred_hosts_are_counted_by_zone(width: int) -> None:
    lines = drawn(roll_of(300), width)
    assert "  eu-west-1a  □ 66  ▼ 1  ■ 34" in lines
    assert "  eu-west-1b  □ 67  ◌ 1  ■ 33" in lines
    assert any("100 of 300 replaced, about 24 min to go" in line for line in lines)


@pytest.mark.parametrize("count", [9, 90, 300])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_none_is_folded(count: int, width: int) -> None:
    lines = drawn(roll_of(count), width)
    assert max(len(line) for line in lines) <= width
    assert len(lines) == len(drawn(roll_of(count), 200))


def test_hosts_that_were_chosen_by_age_are_drawn_as_old_though_their_image_is_right() -> None:
    step = roll_of(9)
    hosts = {name: replace(host, image="ami-new", version="2") for name, host in step.seen.hosts.items()}
    step = replace(step, seen=replace(step.seen, hosts=hosts))
    assert any("3 of 9 replaced" in line for line in drawn(step, 80, Policy(all=True)))


def test_a_service_below_what_it_wants_is_named() -> None:
    step = roll_of(9)
    services = {"shop": service("shop", 4, running=3)}
    lines = drawn(replace(step, seen=replace(step.seen, services=services)), 80)
    assert "  below what they want: shop 3/4" in lines


def test_groups_that_are_finished_or_still_to_come_take_a_line_each() -> None:
    step = roll_of(9)
    others = {name: group(2, name=name) for name in ("api", "zoo")}
    snapshot = replace(
        step.seen, groups={**others, **step.seen.groups}, roll=roll("api", "web", "zoo", finished=("api",))
    )
    lines = drawn(replace(step, seen=snapshot), 80)
    assert "api  finished, desired 2" in lines
    assert "zoo  0 hosts, its turn comes" in lines


def test_the_picture_stays_on_the_screen_when_the_roll_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    ran = ecsroll(stage_of(1), *ROLL, terminal=True)
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", ran.err).replace("\r", "\n")
    assert "web  finished, desired 1" in last.rpartition("ecsroll replace · demo")[2]
