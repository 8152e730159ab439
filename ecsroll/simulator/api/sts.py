"""STS: who is asking."""

from typing import TYPE_CHECKING, Any

from ecsroll.simulator.door import answers

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

Params = dict[str, Any]


@answers("sts", "GetCallerIdentity")
def get_caller_identity(sim: "Simulation", _: Params) -> dict[str, Any]:
    """The one caller of the simulated account."""
    account = sim.world.account
    return {
        "UserId": "AROASIMULATEDROLE:operator",
        "Account": account,
        "Arn": f"arn:aws:sts::{account}:assumed-role/operator/operator",
    }
