"""Spot: AWS takes an instance back, and says so two minutes before."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["NOTICE", "interrupt"]

NOTICE = 120.0
"""Seconds between the notice and the end."""


def interrupt(sim: "Simulation", instance_id: str) -> None:
    """Give notice: the agent drains its host at once, as ECS_ENABLE_SPOT_INSTANCE_DRAINING has it, without a mark."""
    host = sim.clusters.by_instance.get(instance_id)
    if host is not None and host.agent_connected:
        sim.clusters.set_status(host, "DRAINING")
    why = "Server.SpotInstanceTermination: Spot instance termination"
    sim.world.tell("spot_notice", instance=sim.compute.instances[instance_id])
    sim.world.after(NOTICE, lambda: sim.compute.terminate(instance_id, why))
