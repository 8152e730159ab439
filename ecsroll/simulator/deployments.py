"""Deployments of a service: how one begins, completes, fails and is rolled back."""

import math
from typing import TYPE_CHECKING

from ecsroll.simulator.definitions import TaskDefinition
from ecsroll.simulator.services import Deployment, Service

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["begin", "break_circuit", "settle"]


def begin(sim: "Simulation", service: Service, definition: TaskDefinition) -> Deployment:
    """A new PRIMARY deployment; what runs is of an earlier one from now on."""
    now = sim.world.now
    number = sim.world.random.randrange(10**18, 10**19)
    made = Deployment(f"ecs-svc/{number}", definition, now, updated_at=now)
    made.rollout_reason = f"ECS deployment {made.id} in progress."
    for earlier in service.deployments:
        earlier.status = "ACTIVE"
    service.deployments.insert(0, made)
    service.steady = False
    for task in list(service.tasks):
        service.note(task)
    sim.world.tell("deployment", service=service, deployment=made)
    return made


def settle(sim: "Simulation", service: Service) -> None:
    """Complete a deployment that is there, and drop those that are gone."""
    primary = service.primary
    if primary.rollout_state == "IN_PROGRESS" and not service.old and len(service.healthy) >= service.desired:
        _finish(sim, service, "COMPLETED", f"ECS deployment {primary.id} completed.")
    for earlier in service.deployments[1:]:
        if not earlier.tasks:
            earlier.status = "INACTIVE"
            service.deployments.remove(earlier)


def _finish(sim: "Simulation", service: Service, state: str, reason: str) -> None:
    primary = service.primary
    primary.rollout_state, primary.rollout_reason, primary.updated_at = state, reason, sim.world.now
    sim.world.tell("deployment", service=service, deployment=primary)
    if state == "COMPLETED":
        sim.scheduler.say(service, f"(service {service.name}) (deployment {primary.id}) deployment completed.")


def break_circuit(sim: "Simulation", service: Service, deployment: Deployment) -> None:
    """The circuit breaker acts on a deployment in progress only, so never on a drain (aws-facts 8.3)."""
    breaker = (service.request.get("deploymentConfiguration") or {}).get("deploymentCircuitBreaker") or {}
    threshold = min(200, max(3, math.ceil(service.desired / 2)))
    if not breaker.get("enable") or deployment is not service.primary or deployment.rollout_state != "IN_PROGRESS":
        return
    if deployment.failed < threshold:
        return
    _finish(sim, service, "FAILED", "ECS deployment circuit breaker: tasks failed to start.")
    earlier = service.deployments[1:]
    if breaker.get("rollback") and earlier:
        back = begin(sim, service, earlier[0].definition)
        back.rollout_reason = f"ECS deployment circuit breaker: rolling back to deploymentId {earlier[0].id}."
