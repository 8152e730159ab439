"""AWS in memory, on its own time: what ``ecsroll demo`` shows, tests run against, and ``plan`` rehearses on.

Laws stand in one file a subject, answers in one file a service (``api/``); both doors lead to the same answers.

How the laws reach one another: they tell the world what happened, and listen.

=====================  =====================================================  ================================
happening              facts                                                  told by
=====================  =====================================================  ================================
``instance_running``   ``instance``                                           compute: EC2 state became running
``instance_stopping``  ``instance``, ``reason`` (``terminated``/``stopped``)  compute: left ``running``
``instance_gone``      ``instance``                                           compute: terminated
``hook_waits``         ``group``, ``instance``, ``hook``, ``token``           scaling: a lifecycle action waits
``group_resized``      ``group``, ``desired``, ``cause``                      scaling: DesiredCapacity changed
=====================  =====================================================  ================================

Told besides, for transcripts and watchers: ``instance_launching``, ``instance_in_service``, ``host_terminating``,
``instance_left_group``, ``launch_failed``, ``instance_warmed`` (scaling); ``container_instance_registered``,
``container_instance_status``, ``container_instance_left``, ``task_running``, ``task_stopped``, ``container_restarted``,
``service_event``, ``deployment`` (containers).
"""

from datetime import datetime
from typing import Any

from ecsroll.simulator import api
from ecsroll.simulator.alarms import Alarms
from ecsroll.simulator.balancer import Balancer
from ecsroll.simulator.cluster import Clusters
from ecsroll.simulator.compute import Compute
from ecsroll.simulator.conditions import Conditions
from ecsroll.simulator.door import Door
from ecsroll.simulator.images import Images
from ecsroll.simulator.insights import Insights
from ecsroll.simulator.parameters import Parameters
from ecsroll.simulator.providers import Providers
from ecsroll.simulator.scaling import Scaling
from ecsroll.simulator.scheduler import Scheduler
from ecsroll.simulator.tasks import Tasks
from ecsroll.simulator.world import World

__all__ = ["Simulation"]

api.load()


class Simulation:
    """One account and region: the world, its laws, and the door to them. It is also a clock."""

    def __init__(self, world: World | None = None, *, strict: bool = True) -> None:
        self.world = world or World()
        self.conditions = Conditions()
        self.door = Door(self.world, self, strict=strict)
        self.alarms = Alarms(self)
        self.parameters = Parameters(self)
        self.images = Images(self)
        self.compute = Compute(self)
        self.scaling = Scaling(self)
        self.balancer = Balancer(self)
        self.clusters = Clusters(self)
        self.tasks = Tasks(self)
        self.scheduler = Scheduler(self)
        self.providers = Providers(self)
        self.insights = Insights(self)

    def client(self, service: str, *, region: str | None = None) -> Any:
        """A boto3 client of this simulated AWS."""
        return self.door.client(service, region=region)

    def now(self) -> datetime:
        """The time of day in the simulated AWS."""
        return self.world.time

    def elapsed(self) -> float:
        """Simulated seconds since the beginning."""
        return self.world.now

    def sleep(self, seconds: float) -> None:
        """Let the simulated time pass."""
        with self.door.lock:
            self.world.advance(seconds)
