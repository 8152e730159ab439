"""CloudWatch as far as a roll sees it: alarms with a state, and since when they have it.

No metric of theirs is simulated (one that is: ``insights.py``). A scenario (or a user over HTTP) sets a state, as
``aws cloudwatch set-alarm-state`` does; on AWS it lasts until the alarm is evaluated the next time, here until it is
set again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["STATES", "Alarm", "Alarms"]

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")


@dataclass(slots=True)
class Alarm:
    """One alarm. A composite one is not described unless it is asked for by its type."""

    name: str
    since: float
    """World seconds at which it took its state."""
    composite: bool = False
    state: str = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"


class Alarms:
    """Every alarm of the account and region."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.alarms: dict[str, Alarm] = {}

    def put(self, name: str, *, composite: bool = False) -> Alarm:
        """Make an alarm; one that is there keeps its state."""
        return self.alarms.setdefault(name, Alarm(name, self.sim.world.now, composite))

    def set_state(self, name: str, state: str, reason: str) -> None:
        """Give an alarm a state. Refuses one that is not there, and a state that there is not."""
        if name not in self.alarms:
            raise Refusal("ResourceNotFound", "Unknown", status=404)
        if state not in STATES:
            raise Refusal("ValidationError", f"Value '{state}' at 'stateValue' failed to satisfy constraint")
        alarm = self.alarms[name]
        if alarm.state != state:
            alarm.state, alarm.since = state, self.sim.world.now
        alarm.reason = reason
