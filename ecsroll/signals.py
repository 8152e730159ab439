"""SIGINT and SIGTERM while a roll goes on: the first asks it to stop cleanly, the second stops it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Signals", "ending"]


@dataclass
class Signals:
    """A context: inside it the first signal is only noted, so that the roll can undo what moves no task.

    ``grace``: seconds after the first signal until the process stops at once, as a second signal would make it.
    ``say``: tells the person who pressed the key what happens now.
    """

    grace: float
    say: Callable[[str], None]
    what: str = "undoing what moves no task"
    """What is done about the first signal."""
    reason: str | None = None
    _before: dict[int, Any] = field(default_factory=dict)

    def __call__(self) -> str | None:
        """Why the roll is to stop, or None."""
        return self.reason

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._noted) for number in (signal.SIGINT, signal.SIGTERM)}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._at_once)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _noted(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            self._at_once(number, frame)
        name = signal.Signals(number).name
        self.reason = f"interrupted by {name}"
        signal.setitimer(signal.ITIMER_REAL, self.grace)
        self.say(f"{name}: {self.what}, at most {self.grace:g}s; once more stops at once")

    def _at_once(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt


@contextmanager
def ending() -> Iterator[Callable[[], int]]:
    """Inside it SIGINT and SIGTERM are held back; what it gives waits for one of them and says which came.

    Threads inherit what is held back, so it is entered before any is started: else the signal might reach one of them.
    """
    asked = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    try:
        yield lambda: int(signal.sigwait(asked))
    finally:
        while signal.sigpending() & asked:
            signal.sigwait(asked)  # pressed twice: it ends already
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
