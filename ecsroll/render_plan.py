"""A plan -> what a person reads: how long, how much, what moves when, other ways, and what all of it supposes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ecsroll.policy import spelled
from ecsroll.window import dated

__all__ = ["planned"]

Said = Mapping[str, Any]

TOGETHER = 12
"""Seconds: what is done within one round stands on one line."""
LINES = 36
"""Lines of a timeline that are shown: the first and the last ones of a long roll."""
NIGHTS = 6
"""Windows that are shown one by one."""
SMALL = 10
"""Assumptions of one kind that are shown one by one."""
WHAT = {
    "reaction": "a group reacts",
    "boot": "a host boots",
    "registration": "its agent registers",
    "start": "a task starts",
    "stop": "a task stops",
    "deregistration": "a target leaves",
    "health": "a target becomes healthy",
}


def planned(plan: Said | None) -> list[RenderableType]:
    """All of a plan, as lines and tables; nothing for a cluster with nothing to replace."""
    if plan is None:
        return []
    return [
        *_head(plan),
        Text(),
        _heading("how it goes"),
        _timeline(plan["timeline"]),
        Text(),
        *_services(plan["services"]),
        *_waits(plan["waits"]),
        _heading("other ways"),
        _options(plan["options"]),
        Text.assemble(("  recommended  ", "dim"), _recommended(plan["recommendation"])),
        *(Text(f"  not rehearsed, for want of time: {name}", style="dim") for name in plan["not_rehearsed"]),
        Text(),
        _heading("what this supposes"),
        _assumptions(plan["assumptions"]),
        Text(),
    ]


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _time(seconds: float) -> str:
    return spelled(timedelta(seconds=seconds))


def _about(seconds: float) -> str:
    """A time of a forecast: no more exact than it can be."""
    return f"{round(seconds)}s" if seconds < 100 else f"{round(seconds / 60)}m" if seconds < 5400 else _time(seconds)


def _head(plan: Said) -> list[RenderableType]:
    time = plan["seconds"]
    lowest = f"{plan['lowest_capacity']:.0%} of {plan['lowest_service'] or 'every service'}"
    rows = [
        ("time", f"{_about(time['low'])} to {_about(time['high'])}, most likely {_about(time['likely'])}"),
        *zip(chain(("windows",), repeat("")), _windows(plan), strict=False),
        (
            "hosts at once",
            f"{plan['peak_hosts']} at most; {plan['surplus_host_hours']:.2f} host-hours more than without",
        ),
        ("moves per task", f"{plan['moves_per_task']:.2f} ({plan['moved']} moves, {plan['tasks']} tasks)"),
        ("lowest capacity", lowest),
    ]
    end = [] if plan["result"] == "done" else [Text(f"  it ends {plan['result']}: {plan['reason']}", style="red")]
    return [*(Text.assemble((f"  {name:<17}", "dim"), text) for name, text in rows), *end]


def _windows(plan: Said) -> list[str]:
    """When the windows open that the roll takes, how far it comes in each, and when it is done."""
    said = [_window(plan, one) for one in plan["windows"]]
    if len(said) > NIGHTS:
        said[NIGHTS - 2 : -1] = [f"… {len(said) - NIGHTS + 1} more like these"]
    if said and plan["result"] == "done":
        said.append(_done(*(datetime.fromisoformat(plan["ends"][each]) for each in ("low", "likely", "high"))))
    if plan["runs"] > 1:
        said.append("run the same command again in each of them: it exits when one has shut (--outside-window exit)")
    return said


def _window(plan: Said, one: Said) -> str:
    opens, shuts = datetime.fromisoformat(one["opens"]), datetime.fromisoformat(one["shuts"])
    if one["opens_in"] > 0:
        first = f" (in {_time(one['opens_in'])})" if one is plan["windows"][0] else ""
        when = f"opens {_dated(one['opens'])}{first}, for {spelled(shuts - opens)}"
    else:
        when = f"open now, until {_dated(one['shuts'])}"
    before = one["replaced"] + one["remaining"]
    return f"{when}: {one['replaced']} of {before} hosts replaced" if before else f"{when}: the rest is given back"


def _done(low: datetime, likely: datetime, high: datetime) -> str:
    if low.date() == high.date():
        return f"done {dated(likely)} ({low:%H:%M} to {high:%H:%M})"
    return f"done {dated(likely)} ({dated(low)} to {dated(high)})"


def _dated(said: str) -> str:
    return dated(datetime.fromisoformat(said))


# What happens when ---------------------------------------------------------------------------------------------------


def _timeline(steps: Sequence[Said]) -> Table:
    table = Table.grid(padding=(0, 2))
    lines = [line for line in map(_line, _rounds(steps)) if line is not None]
    left_out = len(lines) - LINES
    if left_out > 1:
        middle = (Text("…", style="dim"), Text(f"{left_out} more like these", style="dim"))
        lines = [*lines[: LINES // 2], middle, *lines[-LINES // 2 :]]
    for after, what in lines:
        table.add_row(Text(), after, what)
    return table


def _rounds(steps: Sequence[Said]) -> Iterable[list[Said]]:
    """Steps that belong together."""
    some: list[Said] = []
    for step in steps:
        if some and step["after"] - some[-1]["after"] > TOGETHER:
            yield some
            some = []
        some.append(step)
    if some:
        yield some


def _line(steps: Sequence[Said]) -> tuple[Text, Text] | None:
    parts = []
    for kind, words in _SHOWN.items():
        of_kind = [step for step in steps if step["event"] == kind]
        if of_kind:
            parts.append(words(of_kind))
    if not parts:
        return None
    return Text(f"{_time(steps[0]['after']):>7}", style="dim"), Text("; ".join(parts))


def _hosts(steps: Sequence[Said]) -> str:
    names = [name for step in steps for name in step["hosts"]]
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _drains(steps: Sequence[Said]) -> str:
    moves: dict[str, int] = {}
    for step in steps:
        for move in step["moves"]:
            moves[move["service"]] = moves.get(move["service"], 0) + move["tasks"]
    listed = ", ".join(f"{name} {count}" for name, count in sorted(moves.items())[:6])
    more = f" and of {len(moves) - 6} more services" if len(moves) > 6 else ""
    return f"drain {_hosts(steps)}: moves {listed}{more}" if moves else f"drain {_hosts(steps)}: nothing to move"


def _why(steps: Sequence[Said]) -> str:
    return f"{steps[-1]['group']}: {steps[-1]['why']}"


_SHOWN: Mapping[str, Any] = {
    "target_set": lambda steps: f"{', '.join(sorted({step['group'] for step in steps}))} launches the target image",
    "size_set": _why,
    "drain_started": _drains,
    "drain_undone": lambda steps: f"undrain {_hosts(steps)}",
    "target_restored": lambda steps: f"{steps[-1]['group']} is pointed back",
    "host_terminated": lambda steps: f"terminate {_hosts(steps)}",
    "protection_removed": lambda steps: f"{steps[-1]['group']}: new hosts lose their protection",
    "rebalance_resumed": lambda steps: f"{steps[-1]['group']}: AZRebalance is resumed",
    "roll_progressed": lambda steps: str(steps[-1]["why"]),
    "roll_closed": lambda steps: str(steps[-1]["why"]),
}
"""The kinds of events that a timeline shows, and how; in this order within a round."""


def _services(services: Sequence[Said]) -> list[RenderableType]:
    if not services:
        return [_heading("no task moves"), Text()]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("service", "tasks", "moves", "first", "last"):
        table.add_column(head, justify="left" if head == "service" else "right", overflow="fold")
    for row in services:
        times = (_time(row["first"]), _time(row["last"]))
        table.add_row(row["service"], str(row["tasks"]), str(row["moved"]), *times)
    return [table]


def _waits(waits: Sequence[Said]) -> list[RenderableType]:
    table = Table.grid(padding=(0, 2))
    for wait in waits:
        time = Text(f"{_time(wait['seconds']):>7}", style="dim")
        table.add_row(Text(), time, f"{wait['kind']} {wait['subject']}: {wait['reason']}")
    return [_heading("what it waits for longest"), table, Text()] if waits else []


# Other ways, and what is supposed ------------------------------------------------------------------------------------


def _options(options: Sequence[Said]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("way", "time", "hosts at once", "host-hours more", "moves per task", ""):
        table.add_column(head, justify="left" if head in {"way", ""} else "right", overflow="fold")
    for row in options:
        marks = [word for word in ("asked", "recommended") if row[word]]
        good = row["result"] in {"done", "nothing"}
        end = ", ".join(marks if good else [*marks, row["result"]])
        table.add_row(
            Text(row["option"], style="bold" if row["asked"] else ""),
            _about(row["seconds"]),
            str(row["peak_hosts"]),
            f"{row['surplus_host_hours']:.2f}",
            f"{row['moves_per_task']:.2f}",
            Text(end, style="green" if good else "red"),
        )
    return table


def _recommended(said: Said) -> str:
    return f"{said['option'] or 'none'}: {said['why']}"


def _assumptions(assumptions: Sequence[Said]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for what, words in WHAT.items():
        rows = [row for row in assumptions if row["what"] == what]
        for place, row in enumerate(rows[:SMALL]):
            span = row["seconds"]
            seconds = f"{span['mean']:.0f}s ({span['low']:.0f}-{span['high']:.0f}s)"
            source = Text(row["source"], style="dim" if row["known"] else "yellow")
            table.add_row(Text("" if place else f"  {words}", style="dim"), row["subject"], seconds, source)
        if len(rows) > SMALL:
            table.add_row("", Text(f"and {len(rows) - SMALL} more", style="dim"), "", "")
    return table
