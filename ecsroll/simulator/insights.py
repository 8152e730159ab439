"""CloudWatch Container Insights as far as a watcher asks: how often containers were restarted inside their tasks.

The one AWS API that shows such a restart at all (aws-facts 7.6). It counts only where the cluster has Container
Insights on, only containers that have a restart policy, and it knows a minute some time after it is over.
"""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.tasks import Task

__all__ = ["Insights"]

LATE = 90.0
"""Seconds until a minute that is over can be read. AWS says no figure: a minute or two is what one sees."""
FOUND = 900.0
"""Seconds until ListMetrics shows a new metric: "allow up to 15 minutes"."""


class Insights:
    """Restarts by cluster and service, and the minute in which they happened."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.restarts: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        self.began: dict[tuple[str, str], float] = {}
        """World seconds at which a metric had its first value, 0 or not."""
        sim.world.listen("task_running", self._runs)
        sim.world.listen("container_restarted", self._restarted)

    def _runs(self, task: "Task") -> None:
        if task.service is not None and task.definition.restarts and self._counts(task):
            self.began.setdefault((task.cluster.name, task.service.name), self.sim.world.now)

    def _restarted(self, task: "Task") -> None:
        if task.service is not None and self._counts(task):
            key = (task.cluster.name, task.service.name)
            self.began.setdefault(key, self.sim.world.now)
            self.restarts[key][int(self.sim.world.now // 60)] += 1

    def _counts(self, task: "Task") -> bool:
        """The agent sends its figures itself; without a connection they are lost."""
        on = any(said["name"] == "containerInsights" and said["value"] != "disabled" for said in task.cluster.settings)
        return on and task.host is not None and task.host.agent_connected

    def found(self, cluster: str) -> list[str]:
        """Services whose metric ListMetrics shows."""
        now = self.sim.world.now
        return sorted(service for (name, service), at in self.began.items() if name == cluster and now - at >= FOUND)

    def minutes(self, cluster: str, service: str, start: float, end: float) -> list[tuple[float, int]]:
        """World seconds of each minute between two moments that can be read, with its restarts; the newest first."""
        began = self.began.get((cluster, service))
        if began is None:
            return []
        last = min(end, self.sim.world.now - LATE - 60)
        counted = self.restarts[cluster, service]
        every = range(int(max(start, began) // 60), int(last // 60) + 1)
        return [(minute * 60.0, counted[minute]) for minute in reversed(every) if minute * 60.0 >= start]
