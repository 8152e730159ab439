"""The simulated AWS opened as an AWS endpoint on loopback: ``ecsroll demo --serve``, and tests with processes."""

from ecsroll.errors import UsageError
from ecsroll.simulator.http import Server, serve
from ecsroll.simulator.neighbours import Neighbours
from ecsroll.simulator.stage import Stage

__all__ = ["endpoint", "environment"]

POLL = 15.0
"""Simulated seconds between two looks, as a roll on the real AWS has them by default."""
SHORTEST_POLL = 0.2
"""Real seconds: looking more often would keep the simulated AWS busy with nothing but answering."""


def endpoint(stage: Stage, *, port: int = 0, speed: float = 60.0) -> Server:
    """A stage behind an address, with moto beside it, answering from ``with`` on; its time runs at ``speed``.

    ``port`` 0 is a free one. Raises UsageError where moto is missing or the port can not be had.
    """
    try:
        return serve(stage.sim, port, speed=speed, neighbour=Neighbours())
    except ImportError as missing:
        raise UsageError(
            f"the simulated AWS speaks HTTP with moto's help, and that can not be imported: {missing}",
            hint="pip install 'ecsroll[simulator]'",
        ) from missing
    except OSError as error:
        raise UsageError(
            f"port {port} of 127.0.0.1 can not be listened on: {error.strerror}",
            hint="give another --port, or none: then it is a free one",
        ) from error


def environment(server: Server) -> dict[str, str]:
    """What a process needs in its environment to take this endpoint for AWS, and to look at it as often as at AWS."""
    region = server.simulation.world.region
    # A speed of 0: time moves by nothing but what a client of the same process sleeps.
    poll = max(SHORTEST_POLL, POLL / (server.speed or 1))
    return {
        "AWS_ENDPOINT_URL": server.url,
        # Nobody checks them; every client wants some.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # Half of the clients read the one, half the other.
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "ECSROLL_POLL_INTERVAL": f"{poll:.3g}s",
    }
