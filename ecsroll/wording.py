"""What a watcher tells, as lines for people; the roll's own are in ``render.py``."""

from collections.abc import Callable, Mapping
from typing import Any

from ecsroll.events import Event

__all__ = ["BAD", "GOOD", "watched"]

BAD = frozenset({"alert_raised", "task_failed", "message_refused", "sink_failed", "watch_trouble"})
"""Kinds that are to catch the eye."""
GOOD = frozenset({"alert_cleared"})

Facts = Mapping[str, Any]


def watched(event: Event) -> str:
    """An event of ``watch`` or ``events`` as one line; empty for every other kind."""
    say = _LINES.get(event.kind)
    return say(event.facts) if say else ""


def _task(word: str, facts: Facts) -> str:
    whose = f"{facts['service'] or 'standalone task'} ({facts['definition']})"
    code = "" if facts["exit_code"] is None or "exit code" in facts["why"] else f", exit code {facts['exit_code']}"
    return f"{word:<11}{whose} {facts['task'][:8]}: {facts['verdict']}: {facts['why']}{code}"


def _alert(facts: Facts) -> str:
    whose = f"service {facts['service']}" + (f" ({facts['definition']})" if facts["definition"] else "")
    since = facts["since"][11:19]
    if facts["what"] == "crash_loop":
        return f"ALERT      {whose} keeps failing: {facts['count']} times since {since}Z; the last: {facts['why']}"
    if facts["what"] == "restart_loop":
        return f"ALERT      {whose}: containers restarted inside running tasks, {facts['count']} times since {since}Z"
    return f"ALERT      {whose}: {facts['what'].replace('_', ' ')}: {facts['why']}"


def _cleared(facts: Facts) -> str:
    whose = f"service {facts['service']}" + (f" ({facts['definition']})" if facts["definition"] else "")
    what, since = facts["what"].replace("_", " "), facts["since"][11:19]
    return f"all clear  {whose}: {what} is over; {facts['count']} times since {since}Z"


def _started(facts: Facts) -> str:
    names = ", ".join(facts["clusters"]) or "every cluster here"
    return f"watch      {names}, {facts['queue'] or 'without a queue'}; a newer image: {facts['on_ami']}"


def _noticed(facts: Facts) -> str:
    images = ", ".join(f"{image['system']} {image['version']}".strip() for image in facts["images"])
    return f"notice     a new image for {facts['about']}: {images or facts['subject'] or 'without a version'}"


def _outdated(facts: Facts) -> str:
    groups = "; ".join(
        f"{group['group']}: {group['hosts_behind']} host(s) behind {group['version'] or group['image']}"
        for group in facts["groups"]
    )
    return f"newer      {groups}. {facts['next']}"


def _planned(facts: Facts) -> str:
    hosts = ", ".join(f"{count} of {group}" for group, count in facts["outdated"].items() if count)
    blocking = len([finding for finding in facts["findings"] if finding["severity"] == "blocking"])
    if facts["result"] != "done":
        more = f"; blocking findings: {blocking}" if blocking > 1 else ""
        return f"plan       {facts['result']}{f', {hosts}' if hosts else ''}: {facts['reason']}{more}{_next(facts)}"
    return f"plan       {facts['reason']} ({hosts}); findings: {len(facts['findings'])}{_next(facts)}"


def _ended(facts: Facts) -> str:
    hosts = facts["hosts"]
    done = f"{hosts['replaced']} replaced, {hosts['remaining']} left"
    return f"roll       {facts['result']}: {facts['reason']} ({done}){_next(facts)}"


def _next(facts: Facts) -> str:
    return f". {facts['next']}" if facts["next"] else ""


def _service(facts: Facts) -> str:
    return f"service    {facts['service']}: {' '.join(filter(None, (facts['name'], facts['why'])))}"


def _host(facts: Facts) -> str:
    return f"host       {facts['instance'] or facts['host']}: {facts['why']}"


_LINES: Mapping[str, Callable[[Facts], str]] = {
    "watch_started": _started,
    "ami_noticed": _noticed,
    "ami_outdated": _outdated,
    "roll_planned": _planned,
    "roll_ended": _ended,
    "task_failed": lambda facts: _task("FAILED", facts),
    "task_stopped": lambda facts: _task("stopped", facts),
    "service_changed": _service,
    "host_changed": _host,
    "alert_raised": _alert,
    "alert_cleared": _cleared,
    "message_refused": lambda facts: f"refused    message {facts['message'] or '-'}: {facts['why']}",
    "watch_trouble": lambda facts: f"trouble    {facts['what']}: {facts['why']}{_next(facts)}",
    "sink_failed": lambda facts: f"sink       {facts['sink']} takes nothing, {facts['lost']} lost: {facts['why']}",
}
