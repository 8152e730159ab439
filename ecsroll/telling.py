"""A roll's facts to the places that ``--tell`` names, beside the screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ecsroll.aws import Aws
from ecsroll.clock import Clock
from ecsroll.commands import Screen
from ecsroll.engine import Round
from ecsroll.events import Event
from ecsroll.model import Finding, Policy, Snapshot
from ecsroll.result import Result
from ecsroll.sinks import Sinks
from ecsroll.tally import Tally

__all__ = ["Telling", "ended", "planned"]


@dataclass
class Telling:
    """A screen that tells sinks, too. What a sink does not take in time is tried again with each round."""

    screen: Screen
    sinks: Sinks
    cluster: str
    clock: Clock

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """On the screen only: nothing has happened."""
        self.screen.intend(seen, policy, outdated, findings)

    def event(self, event: Event) -> None:
        """A fact, to all."""
        self.screen.event(event)
        self.sinks.tell(replace(event, facts={"cluster": self.cluster, **event.facts}))

    def round(self, step: Round, tally: Tally, aws: Aws) -> None:
        """On the screen; and what waits is tried again."""
        self.screen.round(step, tally, aws)
        self.sinks.flush()

    def finish(self, result: Result) -> None:
        """The end of it, as the last fact."""
        self.sinks.tell(Event(kind="roll_ended", at=self.clock.now(), facts=ended(result)))
        self.sinks.flush(last=True)


def ended(result: Result) -> dict[str, object]:
    """How a roll ended, as an event tells it (docs/json.md)."""
    plain = result.plain()
    return {key: plain[key] for key in ("cluster", "result", "exit_code", "reason", "next", "hosts", "owed")}


def planned(result: Result, outdated: Mapping[str, int]) -> dict[str, object]:
    """What a plan comes to, as an event tells it (docs/json.md). ``outdated``: hosts to replace, by group."""
    plain = result.plain()
    forecast = plain.get("plan") or {}
    return {
        "result": result.result,
        "reason": result.reason,
        "hosts": result.remaining,
        "outdated": dict(outdated),
        "seconds": forecast.get("seconds"),
        "findings": plain["findings"],
        "next": result.next,
    }
