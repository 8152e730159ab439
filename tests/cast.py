"""Several processes on one simulated AWS, taking turns in an order drawn from a seed.

Each actor runs in a thread of its own, but only the one that holds the baton runs. The baton is handed on at each call
and each sleep; simulated time passes only when everybody sleeps. So a run is the same for the same seed, and races that
need two processes between two calls of a third are drawn sooner or later.
"""

import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ecsroll.aws import Aws
from ecsroll.simulator import Simulation
from ecsroll.simulator.door import Call

__all__ = ["Actor", "Cast", "Killed"]


class Killed(BaseException):
    """The process is gone: no finally of its own may make a call any more."""


@dataclass
class Actor:
    """One process: what it runs, when it wakes, how it ended."""

    name: str
    run: Callable[["Actor"], object]
    cast: "Cast"
    wakes: float = 0.0
    ended: bool = False
    result: object = None
    trouble: BaseException | None = None
    calls: int = 0
    dies_at: int | None = None
    """The call that it does not come to make."""
    pauses: dict[int, float] = field(default_factory=dict)
    """Before the call of that number it is suspended for so many seconds; its steady clock runs on."""
    go: threading.Event = field(default_factory=threading.Event)

    # a clock

    def now(self) -> datetime:
        return self.cast.sim.now()

    def elapsed(self) -> float:
        return self.cast.sim.elapsed()

    def sleep(self, seconds: float) -> None:
        self.wakes = self.cast.sim.elapsed() + seconds
        self.cast.hand_on(self)

    # its way to AWS

    def aws(self) -> Aws:
        return _TakingTurns(self.cast.sim, self, workers=1, chance=random.Random(self.name), actor=self)

    def before_call(self) -> None:
        self.calls += 1
        if self.dies_at is not None and self.calls >= self.dies_at:
            raise Killed
        self.sleep(self.pauses.get(self.calls, 0.0))


@dataclass
class _TakingTurns(Aws):
    actor: Actor | None = None

    def _once(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        assert self.actor is not None
        self.actor.before_call()
        return super()._once(service, operation, params)


@dataclass
class Cast:
    """Everybody on one simulation."""

    sim: Simulation
    seed: int = 0
    actors: list[Actor] = field(default_factory=list)
    changes: list[tuple[str, Call]] = field(default_factory=list)
    """Who made each changing call that came to the door, those about the lease itself aside."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.back = threading.Event()
        self.sim.door.before.append(self._note)

    def _note(self, call: Call) -> None:
        if call.changes and "/lease/" not in call.params.get("Name", ""):
            self.changes.append((threading.current_thread().name, call))

    @property
    def holders(self) -> list[str]:
        """Who changed something, one after another: a name that comes twice has acted while somebody else held."""
        return [name for name, _ in itertools.groupby(self.changes, key=lambda change: change[0])]

    def enter(self, name: str, run: Callable[[Actor], object], *, at: float = 0.0) -> Actor:
        """One more process, started so many seconds from now."""
        actor = Actor(name, run, self, wakes=self.sim.elapsed() + at)
        self.actors.append(actor)
        return actor

    def play(self, *, limit: float = 40_000) -> None:
        """Run until everybody has ended."""
        for actor in self.actors:
            threading.Thread(target=self._live, args=(actor,), name=actor.name, daemon=True).start()
        end = self.sim.elapsed() + limit
        while awake := [actor for actor in self.actors if not actor.ended]:
            assert self.sim.elapsed() < end, f"still going: {[actor.name for actor in awake]}"
            ready = [actor for actor in awake if actor.wakes <= self.sim.elapsed()]
            if not ready:
                self.sim.sleep(min(actor.wakes for actor in awake) - self.sim.elapsed())
                continue
            self._give_baton(self.chance.choice(ready))

    def _give_baton(self, actor: Actor) -> None:
        self.back.clear()
        actor.go.set()
        assert self.back.wait(60), f"{actor.name} keeps the baton"

    def hand_on(self, actor: Actor) -> None:
        actor.go.clear()
        self.back.set()
        actor.go.wait()

    def _live(self, actor: Actor) -> None:
        actor.go.wait()
        try:
            actor.result = actor.run(actor)
        except BaseException as trouble:  # noqa: BLE001 - what it ended with is what the test asks about
            actor.trouble = trouble
        actor.ended = True
        self.back.set()
