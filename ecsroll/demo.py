"""A whole roll on the simulated AWS, live, without an account: the first thing that anybody sees."""

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from ecsroll.clock import Clock
from ecsroll.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError
from ecsroll.events import Event
from ecsroll.result import Result
from ecsroll.simulator import Simulation
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage

__all__ = ["DemoClock", "check_words", "demo_stage", "serve_demo"]


def demo_stage(*, seed: int = 1) -> Stage:
    """Nine hosts in three zones, two releases behind, with five services on them, two behind a load balancer."""
    return set_stage(
        GroupSet(name="web", hosts=9, spare=1, zones=3, age=2),
        services=(
            ServiceSet(name="logs", daemon=True, cpu=64, memory=64),
            ServiceSet(name="api", count=18, balanced=True, deregistration_delay=20),
            ServiceSet(name="web", count=9, cpu=512, memory=512, balanced=True, deregistration_delay=20),
            ServiceSet(name="worker", count=9, cpu=384, stop_timeout=20),
            ServiceSet(name="cron", count=1),
        ),
        seed=seed,
    )


@dataclass
class DemoClock:
    """The simulation's time, shown at ``speed`` simulated seconds a second; 0 is as fast as it can."""

    sim: Simulation
    real: Clock
    speed: float

    def now(self) -> datetime:
        """The time of day in the simulated AWS."""
        return self.sim.now()

    def elapsed(self) -> float:
        """Simulated seconds."""
        return self.sim.elapsed()

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass, and a fitting part of the real one."""
        self.sim.sleep(seconds)
        if self.speed:
            self.real.sleep(seconds / self.speed)


# --serve -------------------------------------------------------------------------------------------------------


def check_words(*, serve: bool, port: int | None, speed: float, quiet: bool) -> None:
    """What fits together. Raises UsageError where an option would be without effect, or nobody could use the result."""
    if port is not None and not serve:
        raise UsageError("--port says where --serve listens", hint="give --serve too, or leave --port away")
    if serve and not speed:
        raise UsageError("with --speed 0 the served time would stand still", hint="give --speed 60, or any other pace")
    if serve and quiet and not port:
        raise UsageError("with --quiet nobody would learn the free port", hint="give --port, or leave --quiet away")


def serve_demo(
    stage: Stage,
    *,
    port: int,
    speed: float,
    tell: Callable[[Event], None],
    ending: Callable[[], AbstractContextManager[Callable[[], int]]],
) -> Result:
    """Open the stage as an AWS endpoint until a signal ends it.

    ``ending``: a context that gives what waits for the signal; entered before the endpoint has threads of its own.
    Raises UsageError where moto is missing or the port can not be had.
    """
    from ecsroll.serving import endpoint, environment  # noqa: PLC0415 - only who serves waits for it

    with ending() as ended, endpoint(stage, port=port, speed=speed) as server:
        facts = {
            "endpoint": server.url,
            "speed": speed,
            "environment": environment(server),
            "commands": [
                f"ecsroll replace --cluster {stage.cluster} --yes",
                f"ecsroll status --cluster {stage.cluster}",
                f"aws ecs list-container-instances --cluster {stage.cluster}",
            ],
        }
        tell(Event(kind="serving", at=stage.sim.now(), facts=facts))
        number = ended()
    return _closed(stage, number)


def _closed(stage: Stage, number: int) -> Result:
    """SIGTERM is how a script ends what it has started, so all is well; Ctrl-C is 130, as with every command."""
    interrupted = number == signal.SIGINT
    calls = stage.sim.door.calls
    changes = sum(call.changes for call in calls)
    groups = stage.sim.scaling.groups.values()
    images = [member.instance.image_id for group in groups for member in group.members.values()]
    return Result(
        command="demo",
        result="interrupted" if interrupted else "done",
        exit_code=EXIT_INTERRUPTED if interrupted else EXIT_OK,
        cluster=stage.cluster,
        reason=f"the endpoint is closed; of {len(calls)} calls {changes} changed something",
        replaced=sum(image in stage.new_image.values() for image in images),
        remaining=sum(image in stage.old_image.values() for image in images),
    )
