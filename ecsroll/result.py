"""What a command comes to: a value, shown by ``render.py`` and turned into an exit code by ``cli.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ecsroll.errors import EXIT_INTERRUPTED, EcsrollError
from ecsroll.model import Finding, Owed

__all__ = ["Result", "of_error", "of_interruption"]

Word = Literal["done", "nothing", "refused", "halted", "interrupted", "held", "error", "outdated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The last line of ``--json``, and the last words on the screen."""

    command: str
    result: Word
    exit_code: int
    cluster: str | None = None
    reason: str = ""
    next: str = ""
    replaced: int = 0
    remaining: int = 0
    owed: tuple[Owed, ...] = ()
    findings: tuple[Finding, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only this command says: plain JSON values."""
    judged: bool = False
    """A gate shut: what the roll did may be taken back."""

    def plain(self) -> dict[str, Any]:
        """As JSON says it; the keys are a contract (docs/json.md)."""
        return {
            "ecsroll": 1,
            "kind": "result",
            "command": self.command,
            "result": self.result,
            "exit_code": self.exit_code,
            "cluster": self.cluster,
            "reason": self.reason,
            "next": self.next,
            "hosts": {"replaced": self.replaced, "remaining": self.remaining},
            "owed": [{"group": owed.group, "what": owed.what, "how": owed.how} for owed in self.owed],
            "findings": [
                {
                    "code": finding.code,
                    "severity": finding.severity,
                    "subject": finding.subject,
                    "measured": finding.measured,
                    "fix": finding.fix,
                }
                for finding in self.findings
            ],
            **self.more,
        }


def of_error(error: EcsrollError, *, command: str, cluster: str | None) -> Result:
    """An error as a result: errors speak JSON too."""
    words: dict[str, Word] = {"refused": "refused", "halted": "halted", "held": "held"}
    return Result(
        command=command,
        result=words.get(error.result, "error"),
        exit_code=error.exit_code,
        cluster=cluster,
        reason=str(error),
        next=error.hint,
    )


def of_interruption(*, command: str, cluster: str | None, after: str) -> Result:
    """Ctrl-C as a result."""
    return Result(
        command=command,
        result="interrupted",
        exit_code=EXIT_INTERRUPTED,
        cluster=cluster,
        reason="interrupted",
        next=after,
    )
