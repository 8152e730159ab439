"""Results and events -> live view, plain lines, JSON. Stdout is the result, stderr the story (DESIGN 7)."""

import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
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
from ecsroll.events import Event
from ecsroll.model import Finding, Host, Policy, Snapshot
from ecsroll.policy import spelled
from ecsroll.result import Result
from ecsroll.tally import Tally
from ecsroll.turn import chosen

__all__ = ["JsonScreen", "LiveScreen", "PlainScreen", "QuietScreen", "show_error", "show_result"]


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
            return "\n".join(f"wait       {wait['subject']}: {wait['reason']}" for wait in facts["waits"])
        case _:
            return ""


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

    def event(self, event: Event) -> None:
        """An event's line; its keys are a contract (docs/json.md)."""
        line = {"ecsroll": 1, "kind": "event", "event": event.kind, "at": event.at.isoformat(), **event.facts}
        print(json.dumps(line, sort_keys=True), file=self.out, flush=True)


@dataclass
class PlainScreen(QuietScreen):
    """Lines for a log: each fact once, a wait when what is waited for changes."""

    console: Console
    verbose: bool = False
    waited: frozenset[str] = frozenset()

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """The intention, before anybody is asked."""
        self.console.print(intention(seen, policy, outdated, findings))

    def event(self, event: Event) -> None:
        """One line, with the time."""
        if event.kind == "waiting":
            subjects = frozenset(f"{wait['kind']}:{wait['subject']}" for wait in event.facts["waits"])
            new = subjects - self.waited
            self.waited = subjects
            if not new and not self.verbose:
                return
        for line in sentence(event).splitlines():
            self.console.print(Text(f"{event.at:%H:%M:%S}  {line}"), soft_wrap=True)


@dataclass
class LiveScreen(QuietScreen):
    """A picture that is kept up to date on a terminal: hosts by state, progress, estimate, what is waited for."""

    console: Console
    title: str
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=6))
    live: Live | None = None
    last: RenderableType | None = None

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """The intention, before anybody is asked."""
        self.console.print(intention(seen, policy, outdated, findings))

    def event(self, event: Event) -> None:
        """Into the list of what happened last."""
        if event.kind != "waiting" and (line := sentence(event)):
            self.recent.append(f"{event.at:%H:%M:%S}  {line}")

    def round(self, step: Round, tally: Tally, aws: Aws) -> None:
        """Draw the new picture."""
        if self.live is None:
            self.live = Live(console=self.console, auto_refresh=False, transient=True)
            self.live.start()
        self.last = picture(self.title, step, tally, aws, list(self.recent))
        self.live.update(self.last, refresh=True)

    def close(self) -> None:
        """Leave the last picture on the screen."""
        if self.live is not None:
            self.live.stop()
            self.console.print(self.last)
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
"""Hosts of a zone up to which each gets a cell of its own."""


def picture(title: str, step: Round, tally: Tally, aws: Aws, recent: Sequence[str]) -> RenderableType:
    """The whole live view."""
    head = Text.assemble((title, "bold"), f"  {spelled(tally.took)}  ·  {aws.made_calls} calls, {aws.changes} changing")
    parts: list[RenderableType] = [head, Text()]
    parts += [_group(step, name, tally) for name in step.seen.groups]
    parts += [_legend(), Text(), _services(step.seen), Text(), *_waits(step)]
    if recent:
        parts += [Text(), *(Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in recent)]
    return Group(*parts)


def _state(step: Round, host: Host) -> str:
    """Which of the cells a host is."""
    seen = step.seen
    if host.leaving or not host.live:
        return "leaving"
    if host.draining:
        return "draining" if any(not task.stopped and not task.daemon for task in seen.on(host)) else "empty"
    page = seen.ledgers.get(host.group)
    if page is not None and chosen(host, seen.groups[host.group], page, Policy()):
        return "old"
    return "ready" if host.serves and host.id not in step.memory.shaky else "booting"


def _group(step: Round, name: str, tally: Tally) -> RenderableType:
    seen = step.seen
    group = seen.groups[name]
    page = seen.ledgers.get(name)
    states = {host.id: _state(step, host) for host in seen.of(group)}
    finished = seen.roll is not None and name in seen.roll.finished
    total = page.old if page else len(group.hosts)
    left = sum(1 for state in states.values() if state in {"old", "draining", "empty"})
    done = total if finished else max(0, total - left) if page else 0
    borrowed = group.desired - natural(group, page.room) if page else 0
    grid = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=max(1, total), completed=done, width=30, complete_style="green", finished_style="green")
    size = f"desired {group.desired}" + (f" ({borrowed} borrowed)" if borrowed > 0 else "")
    grid.add_row(
        Text(name, style="bold"), bar, Text(f"{done}/{total} replaced"), Text(size), _estimate(done, total, tally)
    )
    return Group(grid, _zones(seen, name, states), Text())


def _estimate(done: int, total: int, tally: Tally) -> Text:
    if not done or done >= total:
        return Text("")
    left = timedelta(seconds=tally.took.total_seconds() / done * (total - done))
    return Text(f"about {spelled(left)} to go", style="dim")


def _zones(seen: Snapshot, name: str, states: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    group = seen.groups[name]
    for zone in group.zones or sorted({host.zone for host in seen.of(group)}):
        hosts = sorted((host for host in seen.of(group) if host.zone == zone), key=lambda host: host.launched_at)
        table.add_row(Text(f"  {zone}", style="dim"), _cells([states[host.id] for host in hosts]))
    return table


def _cells(states: Sequence[str]) -> Text:
    if len(states) > MANY:
        counts = Counter(states)
        return Text("  ").join(
            Text(f"{counts[state]} {state}", style=_CELLS[state][1]) for state in _CELLS if counts[state]
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
        return Text(f"  {len(replicas)} service(s), every one with all its tasks running", style="green")
    parts = [f"{service.name} {service.running}/{service.desired}" for service in short[:5]]
    return Text(f"  below what they want: {', '.join(parts)}", style="yellow")


def _waits(step: Round) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for wait in step.decision.waits[:5]:
        since = step.seen.at - wait.since if wait.since else timedelta()
        until = f", at most until {wait.until:%H:%M:%S}Z" if wait.until else ""
        text = f"  waiting {spelled(since):>7}  {wait.subject}: {wait.reason}{until}"
        lines.append(Text(text, style="cyan", no_wrap=True, overflow="ellipsis"))
    if len(step.decision.waits) > 5:
        lines.append(Text(f"  … and {len(step.decision.waits) - 5} more", style="cyan"))
    return lines


def intention(
    seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]
) -> RenderableType:
    """What is about to be done: by group how many hosts, from which image to which, with how much room."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("group", "hosts", "to replace", "launches now", "will launch"):
        table.add_column(head)
    for name, group in seen.groups.items():
        now = ", ".join(launches.image or "?" for launches in group.launches)
        then = ", ".join(sorted({image for key, image in policy.images.items() if key.startswith(f"{name}/")}))
        table.add_row(name, str(len(group.hosts)), str(outdated[name]), now, then or now)
    surge = "double" if policy.strategy == "double" else f"surge {policy.surge}"
    limit = spelled(policy.drain_timeout)
    how = f"{surge}, max unavailable {policy.unavailable}, canary {policy.canary}, drains up to {limit}"
    goes_on = f"goes on with roll {seen.roll.epoch}; " if seen.roll else ""
    parts: list[RenderableType] = [Text(f"cluster {seen.cluster}: {goes_on}{how}", style="bold"), table]
    parts += [_finding(finding) for finding in findings]
    return Group(*parts)


def _finding(finding: Finding) -> Text:
    style = {"blocking": "red", "warning": "yellow"}.get(finding.severity, "dim")
    return Text.assemble(
        (f"{finding.code} {finding.severity}", style),
        f"  {finding.subject}: {finding.measured}\n",
        (f"      {finding.fix}", "dim"),
    )


# Results -----------------------------------------------------------------------------------------------------------


def show_result(result: Result, *, out: TextIO, plain: bool, as_json: bool) -> None:
    """The result on stdout: the last JSON line, or a summary that can be read aloud."""
    if as_json:
        print(json.dumps(result.plain(), sort_keys=True), file=out, flush=True)
        return
    console = Console(file=out, no_color=plain or None, highlight=False, soft_wrap=plain)
    for part in _summary(result):
        console.print(part)


def _summary(result: Result) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if result.command == "check-ami":
        parts.append(_check_table(result.more["groups"]))
        parts += [Text(f"passed over: {line}", style="dim") for line in result.more["passed_over"]]
    if result.command == "status":
        parts.append(_status_table(result.more["groups"]))
        parts += [Text(f"waits for {wait['subject']}: {wait['reason']}") for wait in result.more["waits"]]
    style = "green" if result.exit_code == 0 else "yellow"
    parts.append(Text.assemble((f"{result.result}: ", f"bold {style}"), result.reason))
    if "figures" in result.more and result.replaced:
        parts.append(_figures(result))
    parts += [Text(f"owed   {entry.group}: {entry.what} ({entry.how})", style="yellow") for entry in result.owed]
    if result.next:
        parts.append(Text.assemble(("next   ", "bold"), result.next))
    return parts


def _figures(result: Result) -> Table:
    said = result.more["figures"]
    table = Table.grid(padding=(0, 2))
    lowest = f"{said['lowest_capacity']:.0%}" + (
        f" ({said['lowest_service']})" if said["lowest_service"] else " of every service"
    )
    rows = {
        "hosts": f"{result.replaced} replaced, {result.remaining} left, at most {said['peak_hosts']} at once",
        "time": spelled(timedelta(seconds=said["seconds"])),
        "moves per task": f"{said['moves_per_task']:.2f} ({said['moved']} moves, {said['tasks']} tasks)",
        "calls": f"{said['calls']}, of which {said['changing_calls']} changed something",
        "lowest capacity": lowest,
    }
    for name, text in rows.items():
        table.add_row(Text(f"  {name}", style="dim"), text)
    return table


def _check_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("cluster", "group", "family", "runs", "newest", "behind", "what changed"):
        table.add_column(head, overflow="fold")
    for row in rows:
        runs = "\n".join(f"{used['version'] or used['image']} x{used['hosts']}" for used in row["running"]) or "-"
        behind = "\n".join(_behind(used["days_behind"], row["outdated"]) for used in row["running"])
        changed = "\n".join(_changed(used["changed"]) for used in row["running"])
        newest = row["newest"]["version"] if row["newest"] else "-"
        style = "yellow" if row["outdated"] else ""
        family = row["family"] or row["reason"] or "-"
        table.add_row(row["cluster"], row["group"], family, runs, newest, Text(behind, style=style), changed)
    return table


def _behind(days: int | None, outdated: bool) -> str:
    if not outdated:
        return "-"
    return f"{days} days" if days is not None else "outdated"


def _changed(changed: Mapping[str, Any]) -> str:
    if changed.get("backwards"):
        return "AWS took the newer release back"
    return "; ".join(f"{name} {step['was'] or '?'} → {step['now']}" for name, step in changed.items()) or "-"


def _status_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("group", "desired", "min", "max", "hosts", "serving", "draining", "outdated"):
        table.add_column(head, justify="left" if head == "group" else "right")
    for row in rows:
        table.add_row(
            *(str(row[key]) for key in ("group", "desired", "min", "max", "hosts", "serving", "draining", "outdated"))
        )
    return table


def show_error(what: str, hint: str, *, err: TextIO, plain: bool) -> None:
    """One sentence, and what to do, on stderr."""
    console = Console(file=err, no_color=plain or None, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), what))
    console.print(Text.assemble(("hint:  ", "bold"), hint))
