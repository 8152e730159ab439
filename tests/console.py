"""ecsroll as a user runs it, but for the world: words in; exit code, stdout and stderr out."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from ecsroll.cli import Outside, run
from ecsroll.clock import Clock
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import Stage
from ecsroll.simulator.world import Refusal

__all__ = ["FakeClock", "Ran", "Terminal", "denying", "ecsroll", "interrupted", "outside"]


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Stdout as JSON, a line each."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> dict[str, Any]:
        """The last line of them."""
        return self.lines[-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        """All before it."""
        return self.lines[:-1]

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


@dataclass
class FakeClock:
    """Time that passes only by sleeping."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.passed, UTC)

    def elapsed(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds


def outside(
    stage: Stage | None,
    *,
    clock: Clock | None = None,
    ask: Callable[[str], bool] | None = None,
    terminal: bool = False,
    ending: Callable[[], int] = lambda: signal.SIGTERM,
) -> Outside:
    """A world with a stage in it (or, without one, the real way to AWS). ``ending``: what a served one waits for."""
    stream = Terminal if terminal else StringIO
    return Outside(
        ending=lambda: nullcontext(ending),
        clients=stage.sim if stage else None,
        clock=clock or (stage.sim if stage else FakeClock()),
        workers=1,
        out=stream(),
        err=stream(),
        ask=ask,
    )


def ecsroll(stage: Stage | None, *words: str, **world: Any) -> Ran:
    """Run one command."""
    there = outside(stage, **world)
    code = run(words, there)
    assert isinstance(there.out, StringIO)
    assert isinstance(there.err, StringIO)
    return Ran(code, there.out.getvalue(), there.err.getvalue())


@contextmanager
def denying(stage: Stage, operation: str, code: str = "AccessDeniedException") -> Iterator[None]:
    """These credentials may not make that call."""

    def deny(call: Call) -> None:
        if call.operation == operation:
            raise Refusal(code, f"User: arn:aws:iam::1:user/oncall is not authorized to perform: {operation}")

    stage.sim.door.before.append(deny)
    try:
        yield
    finally:
        stage.sim.door.before.remove(deny)


@contextmanager
def interrupted(stage: Stage, operation: str, number: int = 1) -> Iterator[None]:
    """Ctrl-C, twice, just before the n-th call of an operation."""
    left = number

    def interrupt(call: Call) -> None:
        nonlocal left
        left -= call.operation == operation
        if left <= 0:
            raise KeyboardInterrupt

    stage.sim.door.before.append(interrupt)
    try:
        yield
    finally:
        stage.sim.door.before.remove(interrupt)
