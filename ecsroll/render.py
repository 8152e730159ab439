"""Results and events -> live view, plain lines, JSON. Stdout is the result, stderr the story (DESIGN 7)."""

import json
import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ecsroll.asg import natural
from ecsroll.aws import Aws
from ecsroll.engine import Round
from ecsroll.errors import EXIT_OK, EXIT_OUTDATED, AwsUnavailable, EcsrollError
from ecsroll.events import Event
from ecsroll.model import Finding, Host, Policy, Snapshot
from ecsroll.policy import shown, spelled
from ecsroll.render_plan import planned
from ecsroll.result import Result
from ecsroll.tally import Tally
from ecsroll.turn import chosen
from ecsroll.wording import BAD, GOOD, watched

__all__ = [
    "JsonScreen",
    "LiveScreen",
    "PlainScreen",
    "QuietScreen",
    "console_for",
    "picture",
    "sentence",
    "show_cluster",
    "show_endpoint",
    "show_error",
    "show_result",
    "show_story",
]

WIDE = 160
"""Columns of a file or a pipe: lines for a log are not folded to the width of a terminal that is not there."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would leave the process here; ``cli.py`` has an exit code for it."""
        raise BrokenPipeError


def console_for(stream: TextIO) -> Console:
    """Where words go. Names of users' things are never read as markup; NO_COLOR is honoured."""
    unknown = not stream.isatty() and "COLUMNS" not in os.environ
    return _Console(file=stream, width=WIDE if unknown else None, highlight=False, markup=False, emoji=False)


def _say(console: Console, parts: Sequence[RenderableType]) -> None:
    """Print; sentences are left for the terminal to wrap, and a log gets no blanks at the end of its lines."""
    for part in parts:
        if console.is_terminal:
            console.print(part, soft_wrap=isinstance(part, Text))
            continue
        with console.capture() as caught:
            console.print(part, soft_wrap=isinstance(part, Text))
        for line in caught.get().splitlines():
            print(line.rstrip(), file=console.file)
    console.file.flush()


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# What an event says in one line ------------------------------------------------------------------------------------


def sentence(event: Event) -> str:  # noqa: C901 - a line a kind
    """An event as a line for people; empty for those that only machines need."""
    facts = event.facts
    match event.kind:
        case "drain_started":
            return f"drain      {_names(facts['hosts'])}: {facts['why']}"
        case "drain_undone":
            return f"undrain    {_names(facts['hosts'])}: {facts['why']}"
        case "host_terminated":
            return f"terminate  {facts['why']}"
        case "host_kept":
            return f"keep       {facts['host']}: {facts['found']}"
        case "target_set" | "target_restored":
            return f"target     {facts['group']} launches {facts['image']}"
        case "size_set":
            return f"size       {facts['group']} min {facts['min']} max {facts['max']}: {facts['why']}"
        case "rebalance_suspended" | "rebalance_resumed" | "protection_removed":
            return f"{_WHAT[event.kind][0]:<11}{facts['group']}: {_WHAT[event.kind][1]}"
        case "roll_opened":
            return f"open       roll {facts['epoch']}: {facts['why']}"
        case "roll_progressed" | "roll_closed":
            return f"close      {facts['why']}"
        case "waiting":
            return "\n".join(f"wait       {_waited_for(wait)}{_at_most(wait, event.at)}" for wait in facts["waits"])
        case _:
            return watched(event)


def _waited_for(wait: Mapping[str, Any]) -> str:
    """A wait as a sentence. What a host still lacks is said of it; anything else is a remark on it."""
    return f"{wait['subject']}{' ' if wait['kind'] == 'boot' else ': '}{wait['reason']}"


def _at_most(wait: Mapping[str, Any], now: datetime | None = None) -> str:
    """Until when it is waited for: the time of a day that is ``now``'s, else with the day. A window names its own."""
    if not wait["until"] or wait["kind"] == "window":
        return ""
    until = datetime.fromisoformat(wait["until"])
    return f", until {until:%H:%M:%S}" if now and until.date() == now.date() else f", until {until:%Y-%m-%d %H:%M:%S}Z"


_WHAT = {
    "rebalance_suspended": ("borrow", "AZRebalance is suspended"),
    "rebalance_resumed": ("return", "AZRebalance is resumed"),
    "protection_removed": ("return", "new hosts lose the protection they were born with"),
}


def _names(hosts: Sequence[str]) -> str:
    return ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")


# Screens -----------------------------------------------------------------------------------------------------------


@dataclass
class QuietScreen:
    """Says nothing until the result."""

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """Nothing."""

    def event(self, event: Event) -> None:
        """Nothing."""

    def round(self, step: Round, tally: Tally, aws: Aws) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@dataclass
class JsonScreen(QuietScreen):
    """One JSON object a line, events as they happen."""

    out: TextIO
    cluster: str | None

    def event(self, event: Event) -> None:
        """An event's line; its keys are a contract (docs/json.md)."""
        _line(self.out, {**_head(event.kind, event.at, self.cluster), **event.facts})


def _head(kind: str, at: datetime, cluster: str | None) -> dict[str, Any]:
    return {"ecsroll": 1, "kind": "event", "event": kind, "at": at.isoformat(), "cluster": cluster}


def _line(out: TextIO, said: Mapping[str, Any]) -> None:
    """In one piece: several clusters may be rolled at once."""
    out.write(json.dumps(said, sort_keys=True) + "\n")
    out.flush()


@dataclass
class PlainScreen(QuietScreen):
    """Lines for a log: each fact once, a wait when what is waited for changes."""

    console: Console
    verbose: bool = False
    whose: str = ""
    """Before every line, where several clusters are told of at once."""
    waited: frozenset[str] = frozenset()

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """The intention, before anybody is asked."""
        _say(self.console, intention(seen, policy, outdated, findings))

    def event(self, event: Event) -> None:
        """One line, with the time."""
        if event.kind == "waiting":
            event = self._news(event)
        lines = sentence(event).splitlines()
        style = "red" if event.kind in BAD else "green" if event.kind in GOOD else ""
        _say(self.console, [Text(f"{event.at:%H:%M:%S}  {self.whose}{line}", style=style) for line in lines])

    def _news(self, event: Event) -> Event:
        """The waits that were not waited for already; all of them where every change is to be seen."""
        waits = {f"{wait['kind']}:{wait['subject']}": wait for wait in event.facts["waits"]}
        new = [wait for key, wait in waits.items() if self.verbose or key not in self.waited]
        self.waited = frozenset(waits)
        return replace(event, facts={**event.facts, "waits": new})


@dataclass
class LiveScreen(QuietScreen):
    """A picture that is kept up to date on a terminal: hosts by state, progress, estimate, what is waited for."""

    console: Console
    title: str
    policy: Policy = field(default_factory=Policy)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=6))
    live: Live | None = None
    last: RenderableType | None = None

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """The intention, before anybody is asked."""
        self.policy = policy
        _say(self.console, intention(seen, policy, outdated, findings))

    def event(self, event: Event) -> None:
        """Into the list of what happened last."""
        if event.kind != "waiting" and (line := sentence(event)):
            self.recent.append(f"{event.at:%H:%M:%S}  {line}")

    def round(self, step: Round, tally: Tally, aws: Aws) -> None:
        """Draw the new picture."""
        if self.live is None:
            self.live = Live(console=self.console, auto_refresh=False, transient=True)
            self.live.start()
        head = (self.title, f"{spelled(tally.took)}, {aws.made_calls} calls, {aws.changes} of them changed something")
        self.last = picture(head, step, self.policy, tally.took, list(self.recent), self.console.width)
        self.live.update(self.last, refresh=True)

    def remark(self, line: str) -> None:
        """A line that stays, above the picture: rich moves the picture below it."""
        self.console.print(Text(line), soft_wrap=True)

    def close(self) -> None:
        """Leave the last picture on the screen."""
        if self.live is not None:
            self.live.stop()
            self.console.print(self.last)
            self.console.print()
            self.live = None


# The picture -------------------------------------------------------------------------------------------------------

_CELLS = {
    "old": ("□", "yellow"),
    "draining": ("▼", "magenta"),
    "empty": ("▽", "magenta"),
    "booting": ("◌", "cyan"),
    "ready": ("■", "green"),
    "leaving": ("✕", "red"),
}
MANY = 40
"""Hosts of a zone up to which each gets a cell of its own, where there is room for them."""


def picture(
    head: tuple[str, str], step: Round, policy: Policy, took: timedelta, recent: Sequence[str], width: int
) -> RenderableType:
    """The whole live view: the groups that are not finished in full, the others in a line each."""
    lines: list[RenderableType] = [Text(head[0], style="bold"), Text(head[1], style="dim"), Text()]
    finished = step.seen.roll.finished if step.seen.roll else ()
    for name, group in step.seen.groups.items():
        if name in finished:
            lines.append(Text.assemble((name, "bold"), ("  finished", "green"), f", desired {group.desired}"))
            if len(step.seen.groups) == 1:
                states = {host.id: _state(step, policy, host) for host in step.seen.of(group)}
                lines.append(_zones(step.seen, name, states, width))
            lines.append(Text())
        elif name in step.seen.ledgers or len(step.seen.groups) == 1:
            lines += [*_group(step, policy, name, took, width), Text()]
        else:
            lines += [Text.assemble((name, "bold"), f"  {_many(len(group.hosts), 'host')}, its turn comes"), Text()]
    lines += [_legend(), Text(), _services(step.seen)]
    if step.decision.waits:
        lines += [Text(), *_waits(step)]
    if recent:
        lines += [Text(), *(Text(line, style="dim") for line in recent)]
    return Group(*(_one_line(line) for line in lines))


def _one_line(part: RenderableType) -> RenderableType:
    if isinstance(part, Text):
        part.no_wrap, part.overflow = True, "ellipsis"
    return part


def _state(step: Round, policy: Policy, host: Host) -> str:
    """Which of the cells a host is."""
    seen = step.seen
    if host.leaving or not host.live:
        return "leaving"
    if host.draining:
        return "draining" if any(not task.stopped and not task.daemon for task in seen.on(host)) else "empty"
    page = seen.ledgers.get(host.group)
    if page is not None and chosen(host, seen.groups[host.group], page, policy):
        return "old"
    return "ready" if host.serves and host.id not in step.memory.shaky else "booting"


def _group(step: Round, policy: Policy, name: str, took: timedelta, width: int) -> list[RenderableType]:
    seen = step.seen
    group = seen.groups[name]
    page = seen.ledgers.get(name)
    states = {host.id: _state(step, policy, host) for host in seen.of(group)}
    total = page.old if page else 0
    left = sum(1 for state in states.values() if state in {"old", "draining", "empty"})
    done = max(0, total - left)
    borrowed = group.desired - natural(group, page.room) if page else 0
    size = f"  desired {group.desired}" + (f", {borrowed} of them borrowed" if borrowed > 0 else "")
    bar = ProgressBar(
        total=max(1, total),
        completed=done,
        width=max(10, min(30, width - 50)),
        complete_style="green",
        finished_style="green",
    )
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(), bar, _one_line(Text(f"{done} of {total} replaced{_estimate(done, total, took)}")))
    return [Text.assemble((name, "bold"), size), grid, _zones(seen, name, states, width)]


def _estimate(done: int, total: int, took: timedelta) -> str:
    """A guess from the pace until now, no more exact than it can be."""
    if not done or done >= total:
        return ""
    minutes = took.total_seconds() / 60 / done * (total - done)
    return f", about {max(1, round(minutes))} min to go"


def _zones(seen: Snapshot, name: str, states: Mapping[str, str], width: int) -> Table:
    table = Table.grid(padding=(0, 2))
    group = seen.groups[name]
    for zone in group.zones or sorted({host.zone for host in seen.of(group)}):
        hosts = sorted((host for host in seen.of(group) if host.zone == zone), key=lambda host: host.launched_at)
        cells = _cells([states[host.id] for host in hosts], width - len(zone) - 4)
        table.add_row(Text(f"  {zone}", style="dim"), cells)
    return table


def _cells(states: Sequence[str], room: int) -> Text:
    if len(states) > min(MANY, room // 2):
        counts = Counter(states)
        return Text("  ").join(
            Text(f"{_CELLS[state][0]} {counts[state]}", style=_CELLS[state][1]) for state in _CELLS if counts[state]
        )
    return Text(" ").join(Text(*_CELLS[state]) for state in states)


def _legend() -> Text:
    words = (Text.assemble((mark, style), f" {name}  ") for name, (mark, style) in _CELLS.items())
    return Text.assemble("  ", *words, style="dim")


def _services(seen: Snapshot) -> Text:
    """The services that are not whole, or that all of them are."""
    replicas = [service for service in seen.services.values() if not service.daemon]
    short = [service for service in replicas if service.running < service.desired]
    if not short:
        return Text(f"  {_many(len(replicas), 'service')}, each with all its tasks running", style="green")
    parts = [f"{service.name} {service.running}/{service.desired}" for service in short[:5]]
    return Text(f"  below what they want: {', '.join(parts)}", style="yellow")


def _waits(step: Round) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for wait in step.decision.waits[:5]:
        since = spelled(step.seen.at - wait.since) if wait.since else "0s"
        limit = f" of {spelled(wait.until - wait.since)}" if wait.until and wait.since else ""
        said = _waited_for({"kind": wait.kind, "subject": wait.subject, "reason": wait.reason})
        lines.append(Text(f"  waits {since + limit:<13} {said}", style="cyan"))
    if len(step.decision.waits) > 5:
        lines.append(Text(f"  … and for {len(step.decision.waits) - 5} more", style="cyan"))
    return lines


def intention(
    seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]
) -> list[RenderableType]:
    """What is about to be done: by group how many hosts, from which image to which, with how much room."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("group", "hosts", "to replace", "launches now", "will launch"):
        table.add_column(head, justify="right" if head in {"hosts", "to replace"} else "left", overflow="fold")
    for name, group in seen.groups.items():
        now = ", ".join(launches.image or "?" for launches in group.launches)
        then = ", ".join(sorted({image for key, image in policy.images.items() if key.startswith(f"{name}/")}))
        table.add_row(name, str(len(group.hosts)), str(outdated[name]), now, then or now)
    surge = "double" if policy.strategy == "double" else f"surge {policy.surge}"
    limit = spelled(policy.drain_timeout)
    how = f"{surge}, max unavailable {policy.unavailable}, canary {policy.canary}, drains up to {limit}"
    goes_on = f"goes on with roll {seen.roll.epoch}; " if seen.roll else ""
    parts: list[RenderableType] = [Text(f"cluster {seen.cluster}: {goes_on}{how}", style="bold")]
    said = [f"{name} {value} ({source})" for name, (value, source) in shown(policy).items()]
    if said:
        parts.append(Text(f"policy: {', '.join(said)}; the rest by default", style="dim"))
    return [*parts, table, *(_finding(finding) for finding in findings)]


def _finding(finding: Finding) -> Text:
    style = {"blocking": "red", "warning": "yellow"}.get(finding.severity, "dim")
    return Text.assemble(
        (f"{finding.code} {finding.severity}", style),
        f"  {finding.subject}: {finding.measured}\n",
        (f"      {finding.fix}", "dim"),
    )


# Results -----------------------------------------------------------------------------------------------------------


def show_result(result: Result, *, out: TextIO, as_json: bool) -> None:
    """The result on stdout: the last JSON line, or a summary that can be read aloud."""
    if as_json:
        _line(out, result.plain())
        return
    if "policy" in result.more:
        print(json.dumps(result.more["policy"], indent=2), file=out, flush=True)
        return
    _say(console_for(out), _summary(result))


def show_cluster(result: Result, at: datetime, *, out: TextIO, as_json: bool) -> None:
    """What came of one of several clusters, as soon as it is there."""
    if as_json:
        _line(out, {**_head("cluster_finished", at, result.cluster), "result": result.plain()})
        return
    _say(console_for(out), [Text(f"cluster {result.cluster}", style="bold"), *_summary(result), Text()])


def show_story(result: Result, *, err: TextIO) -> None:
    """What belongs to a result whose stdout is to be piped into a file: nothing, but for a policy's reasons."""
    if "policy" in result.more:
        _say(console_for(err), [*_reasons(result), _headline(result), *_next(result)])


def _reasons(result: Result) -> list[RenderableType]:
    """A row for each action, under the statement that it is in."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("statement", "action", "why"):
        table.add_column(head, overflow="fold")
    before = ""
    for row in result.more["actions"]:
        why = f"{row['why']} (checked behind {row['behind']})" if row["behind"] else row["why"]
        table.add_row("" if row["statement"] == before else row["statement"], row["action"], why)
        before = row["statement"]
    return [table]


def _next(result: Result) -> list[RenderableType]:
    return [Text.assemble(("next   ", "bold"), result.next)] if result.next else []


def _summary(result: Result) -> list[RenderableType]:
    """The last lines on the screen: what came of it, what it cost, what is owed, what to do next."""
    parts: list[RenderableType] = []
    if "plan" in result.more:
        parts += planned(result.more["plan"])
    if result.command == "check-ami" and "groups" in result.more:
        parts += _checked(result.more["groups"])
        parts += [Text(f"passed over: {line}", style="dim") for line in result.more["passed_over"]]
    if result.command == "status" and "groups" in result.more:
        parts.append(_status_table(result.more["groups"]))
        parts += _held(result.more["lease"])
        parts += [Text(f"wait   {_waited_for(wait)}{_at_most(wait)}", style="cyan") for wait in result.more["waits"]]
    if "figures" in result.more and result.more["figures"]["changing_calls"]:
        parts += _figures(result)
    parts += [Text(f"       {line}", style="dim") for line in result.more.get("explained", ())]
    # Above the headline: the last lines are for what came of it, what is owed, and what to do.
    parts += [
        Text(f"note   {finding.code} {finding.subject}: {finding.measured}", style="yellow")
        for finding in result.findings
        if finding.severity == "warning"
    ][:5]
    parts.append(_headline(result))
    parts += [Text(f"owed   {entry.group}: {entry.what} ({entry.how})", style="yellow") for entry in result.owed]
    return [*parts, *_next(result)]


_LOOKS = {"status", "check-ami", "plan", "iam-policy"}


def _held(lease: Mapping[str, Any] | None) -> list[Text]:
    """Who holds the cluster, and whether that still is so."""
    if lease is None:
        return []
    life = {True: "it seems to go on", False: "it has died", None: "whether it lives, the next roll finds out"}
    since, renewed = (str(lease[key] or "")[:19].replace("T", " ") for key in ("since", "renewed"))
    heard = renewed[11:] if renewed[:10] == since[:10] else renewed
    words = [f"by {lease['holder']}", since and f"since {since}Z", heard and f"last heard of {heard}Z"]
    windows = f"; window {' '.join(lease['windows'])}" if lease["windows"] else ""
    return [Text(f"held   {', '.join(filter(None, words))}: {life[lease['lives']]}{windows}", style="cyan")]


def _headline(result: Result) -> Text:
    """What came of it. Commands that only look have no success to report."""
    if result.command in _LOOKS and result.exit_code in {EXIT_OK, EXIT_OUTDATED}:
        return Text(result.reason, style="bold")
    style = {EXIT_OK: "green", EcsrollError.exit_code: "red", AwsUnavailable.exit_code: "red"}
    reason = result.reason.removeprefix(f"{result.result} ")  # "interrupted: by SIGINT"
    return Text.assemble((f"{result.result}: ", f"bold {style.get(result.exit_code, 'yellow')}"), reason)


def _figures(result: Result) -> list[Text]:
    said = result.more["figures"]
    lowest = f"{said['lowest_capacity']:.0%} of {said['lowest_service'] or 'every service'}"
    rows = {
        "hosts": f"{result.replaced} replaced, {result.remaining} left, at most {said['peak_hosts']} at once",
        "time": spelled(timedelta(seconds=said["seconds"])),
        "moves per task": f"{said['moves_per_task']:.2f} ({said['moved']} moves, {said['tasks']} tasks)",
        "calls": f"{said['calls']}, of which {said['changing_calls']} changed something",
        "lowest capacity": lowest,
    }
    return [Text.assemble((f"  {name:<17}", "dim"), text) for name, text in rows.items()]


def _checked(rows: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """A row for each image that a group runs; under the table what would change, and why a group is not compared."""
    if not rows:
        return []
    several = len({row["cluster"] for row in rows}) > 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (*(("cluster",) if several else ()), "group", "family", "runs", "newest", "behind"):
        table.add_column(head, overflow="fold")
    notes: list[RenderableType] = []
    for row in rows:
        name = f"{row['cluster']}/{row['group']}" if several else row["group"]
        newest = row["newest"]["version"] if row["newest"] else "-"
        for place, used in enumerate(row["running"] or [{}]):
            mine = ("", "", "") if place else (row["cluster"], row["group"], row["family"] or "not compared")
            runs = f"{used['version'] or used['image']} x{used['hosts']}" if used else "no hosts"
            behind = _behind(used.get("days_behind"), row["outdated"]) if used else "-"
            late = Text(behind, style="yellow" if behind != "-" else "")
            table.add_row(*(mine if several else mine[1:]), runs, "" if place else newest, late)
            if changed := _changed(used.get("changed", {})):
                notes.append(Text(f"{name}: {changed}"))
        if row["held_back"]:
            notes.append(Text(f"{name}: {row['held_back']}", style="dim"))
        if row["reason"]:
            notes.append(Text(f"{name}: {row['reason']}", style="yellow"))
    return [table, *notes, Text()] if notes else [table]


def _behind(days: int | None, outdated: bool) -> str:
    if not outdated or days == 0:
        return "-"
    return _many(days, "day") if days is not None else "outdated"


def _changed(changed: Mapping[str, Any]) -> str:
    if changed.get("backwards"):
        return "AWS took the newer release back"
    steps = (f"{name} {_step(step['was'] or '?', step['now'] or '?')}" for name, step in changed.items())
    return "; ".join(steps)


def _step(was: str, now: str) -> str:
    """``was → now`` without the words that both names begin and end with: what is left is what changed."""
    before, after = was.split("-"), now.split("-")
    while len(before) > 1 and len(after) > 1 and before[0] == after[0]:
        before, after = before[1:], after[1:]
    while len(before) > 1 and len(after) > 1 and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return f"{'-'.join(before)} → {'-'.join(after)}"


def _status_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("group", "desired", "min", "max", "hosts", "serving", "draining", "outdated"):
        table.add_column(head, justify="left" if head == "group" else "right")
    keys = ("group", "desired", "min", "max", "hosts", "serving", "draining", "outdated")
    for row in rows:
        table.add_row(*("-" if row[key] is None else str(row[key]) for key in keys))
    return table


def show_error(what: str, hint: str, *, err: TextIO) -> None:
    """One sentence, and what to do, on stderr."""
    console = console_for(err)
    _say(console, [Text.assemble(("error: ", "bold red"), what), Text.assemble(("hint:  ", "bold"), hint)])


def show_endpoint(event: Event, *, err: TextIO) -> None:
    """How the simulated AWS is reached, on stderr: lines that can be pasted into another terminal."""
    facts = event.facts
    pace = f"its time runs {facts['speed']:g} times as fast as ours"
    exports = [f"export {name}={value}" for name, value in facts["environment"].items()]
    lines = [
        f"The simulated AWS answers at {facts['endpoint']}; {pace}. In another terminal:",
        *("", *exports),
        *("", *facts["commands"]),
        *("", "Ctrl-C closes it."),
    ]
    _say(console_for(err), [Text(line) for line in lines])
