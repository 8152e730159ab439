"""The whole look before a roll: the terrain is read, every check is made, permissions are tried. Changes nothing."""

from dataclasses import dataclass
from functools import partial

from ecsroll.aws import Aws
from ecsroll.explore import explore
from ecsroll.grants import verify
from ecsroll.model import Finding, Policy, Snapshot
from ecsroll.observe import Observer
from ecsroll.preflight import allowed, preflight
from ecsroll.terrain import Terrain

__all__ = ["Examined", "examine"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was read, and everything worth knowing of it."""

    terrain: Terrain
    findings: tuple[Finding, ...]


def examine(aws: Aws, observer: Observer, seen: Snapshot, policy: Policy) -> Examined:
    """Look at everything that a roll with this policy could meet; ``policy.images`` says what it is to launch.

    A roll that is under way goes on whatever is found, so then only what the picture tells is said.
    """
    reading = partial(explore, aws, observer, seen, targets=policy.images.values())
    if seen.roll is not None:
        terrain = reading()
        return Examined(terrain, (*preflight(seen, policy), *terrain.findings))
    assert observer.first is not None, "look before you examine"
    # Side by side: who asks IAM waits for its pace most of the time.
    terrain, missing = aws.beside(reading, partial(verify, aws, seen, policy, observer.first))
    found = (*preflight(seen, policy, terrain), *missing, *terrain.findings)
    return Examined(terrain, allowed(dict.fromkeys(found), policy.allow))
