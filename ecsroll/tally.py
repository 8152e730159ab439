"""What a roll cost, counted from its rounds: time, moves, the lowest that any service came to. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ecsroll import drain
from ecsroll.model import Snapshot

__all__ = ["Tally"]


@dataclass
class Tally:
    """Counts while a roll goes on; ``read`` each round's snapshot."""

    began: datetime | None = None
    ended: datetime | None = None
    tasks: int = 0
    """Tasks of services on the cluster's hosts when the count began."""
    moved: set[str] = field(default_factory=set)
    """Tasks of services that were on a host drained by the roll."""
    lowest: float = 1.0
    """The lowest share of its wanted tasks that any replica service had running."""
    lowest_service: str = ""
    peak: int = 0
    """The most live hosts at once."""

    def read(self, seen: Snapshot) -> None:
        """Take one round's picture into the count."""
        if self.began is None:
            self.began = seen.at
            self.tasks = sum(service.running for service in seen.services.values() if not service.daemon)
        self.ended = seen.at
        self.peak = max(self.peak, sum(1 for host in seen.hosts.values() if host.live))
        for host in seen.hosts.values():
            if drain.ours(host, seen.epochs):
                self.moved |= {task.arn for task in seen.on(host) if task.service and not task.daemon}
        for service in seen.services.values():
            if not service.daemon and service.desired and service.running / service.desired < self.lowest:
                self.lowest = service.running / service.desired
                self.lowest_service = service.name

    @property
    def took(self) -> timedelta:
        """From the first picture to the last."""
        return self.ended - self.began if self.began and self.ended else timedelta()

    @property
    def moves(self) -> float:
        """Moves per task: 1.00 when every task moved exactly once."""
        return len(self.moved) / self.tasks if self.tasks else 0.0
