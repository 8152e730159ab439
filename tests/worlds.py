"""Generated clusters whose true durations nobody tells: a plan sees them only through what AWS keeps of their past."""

import random
from dataclasses import dataclass
from datetime import timedelta

from ecsroll.model import Amount, Policy
from ecsroll.simulator.quick import QuickSimulation
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from ecsroll.simulator.world import Durations, Span
from tests.watch import WatchedWorld

__all__ = ["World", "generated"]


@dataclass(frozen=True, slots=True)
class World:
    """A stage in its own pace, and the policy that it is to be rolled with."""

    stage: Stage
    policy: Policy


def generated(seed: int) -> World:
    """One of many: sizes, services, policies and true durations are drawn."""
    chance = random.Random(seed)
    hosts = chance.randint(3, 6)
    services = tuple(_service(chance, number, hosts) for number in range(chance.randint(1, 3)))
    if chance.random() < 0.6:
        services = (ServiceSet(name="logs", daemon=True, cpu=64, memory=64), *services)
    world = WatchedWorld(seed=seed, durations=_durations(chance, services))
    stage = set_stage(
        GroupSet(hosts=hosts, zones=chance.randint(1, 3), managed_draining=chance.random() < 0.3),
        services=services,
        simulation=QuickSimulation(world, strict=False),
    )
    _past(stage, chance, services)
    return World(stage, _policy(chance))


def _service(chance: random.Random, number: int, hosts: int) -> ServiceSet:
    strategies: tuple[tuple[tuple[str, str], ...], ...] = ((), (("binpack", "memory"),), (("spread", "instanceId"),))
    return ServiceSet(
        name=f"service{number}",
        count=chance.randint(1, 2 * hosts),
        cpu=chance.choice((64, 128, 256)),
        memory=chance.choice((128, 256, 512)),
        min_percent=chance.choice((100, 100, 50)),
        balanced=chance.random() < 0.6,
        deregistration_delay=chance.randint(0, 120),
        stop_timeout=chance.choice((5, 10, 30, 60)),
        strategy=chance.choice(strategies),
    )


def _around(chance: random.Random, low: float, high: float) -> Span:
    """A pace of its own between two bounds, and how far from it a single case may be."""
    middle = chance.uniform(low, high)
    return middle * chance.uniform(0.6, 0.95), middle * chance.uniform(1.05, 1.4)


def _durations(chance: random.Random, services: tuple[ServiceSet, ...]) -> Durations:
    whole = chance.uniform(45, 180)
    share = chance.uniform(0.3, 0.7)
    names = [service.name for service in services]
    stops: dict[str, Span] = {
        service.name: _around(chance, 0.5, service.stop_timeout) for service in services if not service.daemon
    }
    return Durations(
        boots={"web": _around(chance, whole * share * 0.9, whole * share * 1.1)},
        registers={"web": _around(chance, whole * (1 - share) * 0.9, whole * (1 - share) * 1.1)},
        starts={name: _around(chance, 1, 60) for name in names},
        stops=stops,
    )


def _past(stage: Stage, chance: random.Random, services: tuple[ServiceSet, ...]) -> None:
    """What happened here before: some services were deployed or scaled within the hour, others longer ago."""
    ecs = stage.sim.client("ecs")
    for service in services:
        if not service.daemon and chance.random() < 0.7:
            ecs.update_service(cluster=stage.cluster, service=service.name, desiredCount=service.count + 1)
            stage.sim.sleep(240)
            ecs.update_service(cluster=stage.cluster, service=service.name, desiredCount=service.count)
            stage.sim.sleep(240)
    stage.sim.sleep(chance.uniform(200, 400))
    stage.sim.door.calls.clear()


def _policy(chance: random.Random) -> Policy:
    return Policy(
        surge=chance.choice((Amount(1), Amount(2), Amount(3), Amount(25, percent=True))),
        strategy=chance.choice(("rolling", "rolling", "rolling", "double")),
        canary=chance.choice((0, 1, 1)),
        good_readings=chance.randint(1, 3),
        poll_interval=timedelta(seconds=chance.choice((10, 15, 15))),
    )
