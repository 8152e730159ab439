"""What a plan says: the forecast as findings and as JSON. Beside it, plan.py reads; this half needs the simulator."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ecsroll.drain import Kind
from ecsroll.errors import EXIT_OK, Refused
from ecsroll.forecast import Forecast, Option, foresee, name_of
from ecsroll.habits import Habit, Habits, learn
from ecsroll.model import Finding, Policy, Snapshot, Wait
from ecsroll.policy import retyped, spelled
from ecsroll.rehearsal import Moves, Rehearsal, Step, Unrehearsable
from ecsroll.result import Result
from ecsroll.terrain import Terrain
from ecsroll.window import dated

__all__ = ["findings_of", "foreseen", "result_of"]


def foreseen(
    terrain: Terrain,
    seen: Snapshot,
    policy: Policy,
    outdated: Mapping[str, int],
    elapsed: Callable[[], float],
    spent: float,
) -> tuple[Forecast | None, tuple[Finding, ...]]:
    """The forecast, if the roll can be rehearsed, and what is to be said of it. As ``forecast.foresee`` otherwise."""
    try:
        calm = replace(policy, alarms=())  # the replica has none
        forecast = foresee(terrain, seen, calm, learn(terrain), outdated, elapsed, spent=spent)
    except Unrehearsable as error:
        return None, (_unrehearsable(seen.cluster, error),)
    return forecast, findings_of(forecast)


def _unrehearsable(cluster: str, error: Unrehearsable) -> Finding:
    return Finding(
        code="EC181",
        severity="warning",
        subject=cluster,
        measured=f"the roll could not be rehearsed: {error}",
        fix="the findings stand, the forecast is missing; mend a reading that failed (EC190), or report it",
    )


_FIXES = {
    Kind.SERVICE: "let the service move: see its deployment bounds, its placement constraints, the room for its tasks",
    Kind.PROTECTED: "wait until the protection has ended",
    Kind.STANDALONE: "let the task end first, or give a longer --drain-timeout",
    Kind.STOPPING: "give a longer --drain-timeout: its deregistration delay and stop timeout take that long",
}
"""What helps, by what held the hosts when a rehearsal halted; the most telling one first."""


def findings_of(forecast: Forecast) -> tuple[Finding, ...]:
    """Rehearsals that do not come to a good end: what they stand before, and when."""
    if not forecast.halted:
        return ()
    first, verdict = forecast.halted[0], forecast.halted[0].verdict
    wait = first.longest[0][0] if first.longest else None
    took = spelled(first.took) if first.policy.windows else f"{round(first.took.total_seconds() / 60)} min"
    often = f" (in {len(forecast.halted)} of {forecast.tried} rehearsals)" if forecast.tried > 1 else ""
    # Only standalone tasks hold it, and nobody but their owner knows when they end; or every host is replaced by then.
    certain = len(forecast.halted) == forecast.tried and first.held != {Kind.STANDALONE} and verdict.remaining > 0
    return (
        Finding(
            code="EC180",
            severity="blocking" if certain else "warning",
            subject=wait.subject if wait else first.last.seen.cluster,
            measured=f"halts after {took}{often}, {verdict.remaining} host(s) left: {verdict.reason}",
            fix=next((fix for kind, fix in _FIXES.items() if kind in first.held), _mend(first)),
        ),
    )


def _mend(halted: Rehearsal) -> str:
    if halted.endless and halted.policy.windows:
        return "give a longer --window, or more hosts at once (--max-surge), and plan again"
    return "mend that, and plan again"


# As JSON ---------------------------------------------------------------------------------------------------------


def result_of(
    seen: Snapshot,
    policy: Policy,
    outdated: Mapping[str, int],
    forecast: Forecast | None,
    findings: tuple[Finding, ...],
) -> Result:
    """What ``ecsroll plan`` answers."""
    blocking = next((finding for finding in findings if finding.severity == "blocking"), None)
    hosts = sum(outdated.values())
    return Result(
        command="plan",
        result="refused" if blocking else "done",
        exit_code=Refused.exit_code if blocking else EXIT_OK,
        cluster=seen.cluster,
        reason=f"{blocking.code} {blocking.subject}: {blocking.measured}" if blocking else _sentence(hosts, forecast),
        # Without the same options it would be another roll than the one that was planned.
        next=blocking.fix if blocking else " ".join(("ecsroll replace --cluster", seen.cluster, *retyped(policy))),
        remaining=hosts,
        findings=findings,
        more={"plan": _plain(forecast, seen.at) if forecast else None},
    )


def _sentence(hosts: int, forecast: Forecast | None) -> str:
    if forecast is None:
        return f"{hosts} host(s) would be replaced; how long it takes is not known"
    main = forecast.main
    if main.endless:
        return f"{hosts} host(s) to replace: {main.verdict.reason}"
    if not hosts:
        return "no host is to be replaced"
    if main.nights:
        first, rest = main.nights[0], len(main.nights) - 1
        within = f"in {rest + 1} windows: {first.replaced} in the first one" if rest else "in one window"
        return f"{hosts} host(s) would be replaced {within}, from {dated(_local(first.opens, main))} on"
    low, high = (round(round(each.total_seconds()) / 60) for each in (forecast.low, forecast.high))
    return f"{hosts} host(s) would be replaced in {low} to {high} minutes"


def _local(moment: datetime, rehearsal: Rehearsal) -> datetime:
    """In the time zone of the policy's (first) window, as whoever wrote it would say it."""
    windows = rehearsal.policy.windows
    return moment.astimezone(ZoneInfo(windows[0].zone) if windows else UTC)


def _plain(forecast: Forecast, now: datetime) -> dict[str, Any]:
    best = forecast.recommended
    return {
        **_plain_times(forecast, now),
        **_plain_roll(forecast.main),
        "options": [_plain_option(option, forecast) for option in forecast.options],
        "recommendation": {"option": name_of(best.policy) if best else None, "why": forecast.why},
        "not_rehearsed": list(forecast.skipped),
        "assumptions": [_plain_habit(habit) for habit in shown(forecast.habits)],
    }


def _plain_times(forecast: Forecast, now: datetime) -> dict[str, Any]:
    main = forecast.main
    times = {"low": forecast.low, "likely": forecast.likely, "high": forecast.high}
    return {
        "seconds": {name: round(time.total_seconds()) for name, time in times.items()},
        "begins": _local(main.began, main).isoformat(),
        "ends": {name: _local(main.began + time, main).isoformat() for name, time in times.items()},
        "windows": [
            {
                "opens": _local(night.opens, main).isoformat(),
                "opens_in": round((night.opens - now).total_seconds()),
                "shuts": _local(night.shuts, main).isoformat(),
                "replaced": night.replaced,
                "remaining": night.remaining,
            }
            for night in main.nights
        ],
        "runs": main.runs,
    }


def _plain_roll(main: Rehearsal) -> dict[str, Any]:
    return {
        "result": main.verdict.result,
        "reason": main.verdict.reason,
        "rounds": main.rounds,
        "peak_hosts": main.tally.peak,
        "surplus_host_hours": _hours(main),
        "tasks": main.tally.tasks,
        "moved": len(main.tally.moved),
        "moves_per_task": round(main.tally.moves, 2),
        "lowest_capacity": round(main.tally.lowest, 3),
        "lowest_service": main.tally.lowest_service,
        "timeline": [_plain_step(step) for step in main.steps],
        "services": [_plain_moves(moves) for moves in main.moves],
        "waits": [_plain_wait(wait, waited) for wait, waited in main.longest],
    }


def _plain_moves(moves: Moves) -> dict[str, Any]:
    return {
        "service": moves.service,
        "tasks": moves.tasks,
        "moved": moves.moved,
        "first": round(moves.first.total_seconds()),
        "last": round(moves.last.total_seconds()),
    }


def _plain_wait(wait: Wait, waited: timedelta) -> dict[str, Any]:
    return {
        "kind": wait.kind,
        "subject": wait.subject,
        "reason": wait.reason,
        "seconds": round(waited.total_seconds()),
    }


def _hours(rehearsal: Rehearsal) -> float:
    return round(rehearsal.surplus.total_seconds() / 3600, 2)


def _plain_step(step: Step) -> dict[str, Any]:
    facts = step.event.facts
    hosts = facts["hosts"] if "hosts" in facts else [facts["host"]] if "host" in facts else []
    return {
        "after": round(step.after.total_seconds()),
        "event": step.event.kind,
        "group": facts.get("group"),
        "hosts": list(hosts),
        "why": facts.get("why", ""),
        "moves": [{"service": service, "tasks": tasks} for service, tasks in sorted(step.moves.items())],
    }


def _plain_option(option: Option, forecast: Forecast) -> dict[str, Any]:
    rehearsal = option.rehearsal
    took = forecast.likely if option.asked else rehearsal.took
    return {
        "option": name_of(option.policy),
        "strategy": option.policy.strategy,
        "max_surge": str(option.policy.surge) if option.policy.strategy == "rolling" else None,
        "seconds": round(took.total_seconds()),
        "peak_hosts": rehearsal.tally.peak,
        "surplus_host_hours": _hours(rehearsal),
        "moves_per_task": round(rehearsal.tally.moves, 2),
        "result": rehearsal.verdict.result,
        "reason": rehearsal.verdict.reason,
        "asked": option.asked,
        "recommended": option is forecast.recommended,
    }


def shown(habits: Habits) -> list[Habit]:
    """The assumptions that a reader is told: one for each thing and subject, groups before tasks."""
    order = ("reaction", "boot", "registration", "start", "stop", "deregistration", "health")
    return sorted(habits.all, key=lambda habit: order.index(habit.what))


def _plain_habit(habit: Habit) -> dict[str, Any]:
    return {
        "what": habit.what,
        "subject": habit.subject,
        "seconds": {"low": round(habit.low, 1), "mean": round(habit.mean, 1), "high": round(habit.high, 1)},
        "samples": habit.samples,
        "known": habit.known,
        "source": habit.source,
    }
