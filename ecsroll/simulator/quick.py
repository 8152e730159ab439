"""The simulated AWS without botocore in between: for rolls by the hundred, and for the rehearsal of a plan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ecsroll.simulator import Simulation
from ecsroll.simulator.door import as_sent
from ecsroll.simulator.world import Refusal

__all__ = ["QuickSimulation"]


@dataclass
class _Caller:
    """Looks like a boto3 client, and goes straight to the door: three times as quick, and nothing is validated."""

    simulation: Simulation
    service: str

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        name = "".join(part.capitalize() for part in operation.split("_"))

        def call(**params: Any) -> dict[str, Any]:
            try:
                return self.simulation.door.call(self.service, name, as_sent(params, self.service))
            except Refusal as no:
                said: Any = {
                    "Error": {"Code": no.code, "Message": no.message},
                    "ResponseMetadata": {"HTTPStatusCode": no.status},
                }
                raise ClientError(said, name) from no

        return call


class QuickSimulation(Simulation):
    """For rolls by the hundred: the same laws and answers, without botocore between them and ecsroll."""

    def client(self, service: str, *, region: str | None = None) -> Any:
        """Something to call."""
        del region
        return _Caller(self, service)
