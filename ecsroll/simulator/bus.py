"""What the simulated ECS tells EventBridge: the events of aws-facts 7, in their form, as things happen.

They are handed to whoever wants them (a queue of moto's beside it, a test). As with AWS they come at least once and in
any order, if the listener asks for that: ``nasty`` repeats a fifth of them and holds some back.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.api.ecs_work import show_task

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.cluster import ContainerInstance
    from ecsroll.simulator.compute import Instance
    from ecsroll.simulator.services import Deployment, Service
    from ecsroll.simulator.tasks import Task

__all__ = ["Bus"]

Event = dict[str, Any]


class Bus:
    """Gives every event to ``deliver``."""

    def __init__(self, sim: "Simulation", deliver: Callable[[Event], None], *, nasty: bool = False) -> None:
        self.sim = sim
        self.deliver = deliver
        self.nasty = nasty
        self.number = 0
        listeners: dict[str, Callable[..., None]] = {
            "task_running": self._task,
            "task_stopped": self._task,
            "container_instance_registered": self._host,
            "container_instance_status": self._host,
            "container_instance_left": self._host,
            "instance_stopping": self._agent_gone,
            "deployment": self._deployment,
            "service_event": self._service,
        }
        for kind, listener in listeners.items():
            sim.world.listen(kind, listener)

    def _task(self, task: "Task") -> None:
        self._send("ECS Task State Change", [task.arn], show_task(self.sim, task, {}))

    def _host(self, container_instance: "ContainerInstance", status: str = "") -> None:
        self._changed(container_instance, status or container_instance.status, container_instance.agent_connected)

    def _agent_gone(self, instance: "Instance", reason: str) -> None:
        del reason
        for cluster in self.sim.clusters.clusters.values():
            for host in cluster.registered:
                if host.instance is instance:
                    host.version += 1
                    self._changed(host, host.status, connected=False)

    def _changed(self, host: "ContainerInstance", status: str, connected: bool) -> None:
        detail = {
            "containerInstanceArn": host.arn,
            "clusterArn": host.cluster.arn,
            "ec2InstanceId": host.instance.id,
            "agentConnected": connected,
            "status": status,
            "version": host.version,
        }
        self._send("ECS Container Instance State Change", [host.arn], detail)

    def _deployment(self, service: "Service", deployment: "Deployment") -> None:
        state = deployment.rollout_state
        detail = {
            "eventType": "ERROR" if state == "FAILED" else "INFO",
            "eventName": f"SERVICE_DEPLOYMENT_{state}",
            "deploymentId": deployment.id,
            "reason": deployment.rollout_reason,
        }
        self._send("ECS Deployment State Change", [service.arn], detail)

    def _service(self, service: "Service", message: str) -> None:
        """Only some of a service's messages are events, and these have names of their own (aws-facts 7.4)."""
        names = {
            "has reached a steady state": ("INFO", "SERVICE_STEADY_STATE"),
            "is unable to consistently start tasks successfully": ("WARN", "SERVICE_TASK_START_IMPAIRED"),
            "was unable to place a task": ("ERROR", "SERVICE_TASK_PLACEMENT_FAILURE"),
        }
        for text, (kind, name) in names.items():
            if text in message:
                detail = {"eventType": kind, "eventName": name, "clusterArn": service.cluster.arn, "reason": message}
                self._send("ECS Service Action", [service.arn], detail)

    def _send(self, kind: str, resources: list[str], detail: Event) -> None:
        self.number += 1
        event = {
            "version": "0",
            "id": f"event-{self.number}",
            "detail-type": kind,
            "source": "aws.ecs",
            "account": self.sim.world.account,
            "time": _iso(self.sim.world.time),
            "region": self.sim.world.region,
            "resources": resources,
            "detail": json.loads(json.dumps(detail, default=_iso)),
        }
        # Chance of its own: whether anybody listens must not change what happens.
        dice = hash((self.sim.world.seed, self.number)) % 100 if self.nasty else 99
        self.sim.world.after(3.0 if dice < 20 else 0.0, lambda: self.deliver(event))
        if 10 <= dice < 30:
            self.sim.world.after(7.0, lambda: self.deliver(event))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
