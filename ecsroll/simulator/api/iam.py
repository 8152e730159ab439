"""IAM: what the one caller of the simulated account may do."""

from typing import TYPE_CHECKING, Any

from ecsroll.simulator.door import answers
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

Params = dict[str, Any]


@answers("iam", "SimulatePrincipalPolicy")
def simulate_principal_policy(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Everything is allowed but what ``conditions.denied_actions`` has."""
    if params["PolicySourceArn"] != f"arn:aws:iam::{sim.world.account}:role/operator":
        raise Refusal("NoSuchEntity", f"The entity {params['PolicySourceArn']} cannot be found.", status=404)
    denied = sim.conditions.denied_actions
    return {
        "EvaluationResults": [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "implicitDeny" if action in denied else "allowed",
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in params["ActionNames"]
            for resource in params.get("ResourceArns") or ["*"]
        ],
        "IsTruncated": False,
    }
