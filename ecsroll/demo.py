"""A whole roll on the simulated AWS, live, without an account: the first thing that anybody sees."""

from dataclasses import dataclass
from datetime import datetime

from ecsroll.clock import Clock
from ecsroll.simulator import Simulation
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage

__all__ = ["DemoClock", "demo_stage"]


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
