"""What can be on a stage, and what others do while a roll goes over it: words for the tables of rolls."""

from collections.abc import Callable
from datetime import timedelta

from ecsroll.model import Amount, Policy
from ecsroll.simulator.cluster import ContainerInstance
from ecsroll.simulator.groups import Group
from ecsroll.simulator.stage import ServiceSet, Stage
from ecsroll.simulator.world import Refusal
from tests.rolls import Act
from tests.watch import Watch

__all__ = [
    "API",
    "LOGS",
    "QUICK",
    "WORKER",
    "agent_dies",
    "capacity_runs_out",
    "foreign_drain",
    "group_of",
    "host_dies",
    "hosts_of",
    "images",
    "policy",
    "protect_a_task",
    "run_a_task",
    "scale",
    "set_min",
    "terraform_apply",
    "young",
]

API = ServiceSet(name="api", count=6, balanced=True)
WORKER = ServiceSet(name="worker", count=4)
LOGS = ServiceSet(name="logs", daemon=True, cpu=64, memory=64)

QUICK = Policy(canary=0, good_readings=1)
"""As the defaults, without what only costs time in most scenarios."""


def policy(**wanted: object) -> Policy:
    """QUICK, but for what is said. ``surge`` and ``unavailable`` may be numbers or ``25%``."""
    said = dict(wanted)
    for name in ("surge", "unavailable"):
        if name in said:
            word = str(said[name])
            said[name] = Amount(int(word.rstrip("%")), percent=word.endswith("%"))
    return Policy(**{"canary": 0, "good_readings": 1, **said})  # type: ignore[arg-type]


# reading the stage


def group_of(stage: Stage, name: str = "web") -> Group:
    """A group's record."""
    return stage.sim.scaling.groups[name]


def hosts_of(stage: Stage, name: str = "web") -> list[ContainerInstance]:
    """A group's registered hosts, oldest first."""
    by_instance = stage.sim.clusters.by_instance
    found = [by_instance[member] for member in group_of(stage, name).members if member in by_instance]
    return sorted(found, key=lambda host: host.number)


def images(stage: Stage, name: str = "web") -> list[str]:
    """The images of a group's hosts that are not leaving."""
    members = group_of(stage, name).members.values()
    return sorted(member.instance.image_id for member in members if member.state == "InService")


def young(stage: Stage, name: str = "web") -> list[ContainerInstance]:
    """The group's hosts that run the new image."""
    return [host for host in hosts_of(stage, name) if host.instance.image_id == stage.new_image[name]]


# before a roll


def set_min(stage: Stage, minimum: int, name: str = "web") -> None:
    """A MinSize of its own."""
    stage.sim.scaling.update(name, minimum=minimum)


def foreign_drain(stage: Stage, name: str = "web") -> None:
    """Somebody drains a host by hand."""
    stage.sim.clusters.set_status(hosts_of(stage, name)[0], "DRAINING")
    stage.sim.sleep(180)


def agent_dies(stage: Stage, name: str = "web") -> None:
    """The agent of the first host goes away and does not come back."""
    stage.sim.conditions.instances_without_agent.add(hosts_of(stage, name)[0].instance.id)
    stage.sim.clusters.check_agents()
    stage.sim.sleep(60)


def run_a_task(stage: Stage, seconds: float, name: str = "web", *, host: int = -1) -> None:
    """A standalone task that ends by itself."""
    ecs = stage.sim.client("ecs")
    ecs.register_task_definition(
        family="batch",
        containerDefinitions=[{"name": "app", "image": "batch:1", "essential": True}],
        cpu="128",
        memory="128",
    )
    definition = stage.sim.tasks.definitions.usable("batch")
    stage.sim.scheduler.start_on(hosts_of(stage, name)[host], definition, {}, runs_for=seconds)
    stage.sim.sleep(30)
    stage.sim.door.calls.clear()


def protect_a_task(stage: Stage, minutes: float, service: str = "worker") -> None:
    """One of a service's tasks is protected from scale-in."""
    found = stage.sim.clusters.find(stage.cluster).services[service]
    stage.sim.tasks.protect(next(iter(found.tasks)), minutes)


# meanwhile


def scale(by: int, name: str = "web") -> Act:
    """Somebody's scaling policy changes DesiredCapacity; AWS refuses what is beyond the bounds."""

    def act(stage: Stage, watch: Watch) -> None:
        with watch.somebody_else():
            try:
                stage.sim.scaling.set_desired(name, group_of(stage, name).desired + by, "a monitor alarm in ALARM")
            except Refusal:
                return

    return act


def terraform_apply(stage: Stage, watch: Watch) -> None:
    """An apply puts MinSize and MaxSize back to what the code says."""
    was = watch.before["web"]
    with watch.somebody_else():
        stage.sim.scaling.update("web", minimum=was.min, maximum=was.max)


def capacity_runs_out(seconds: float) -> Act:
    """For a while no zone has room for another instance."""

    def act(stage: Stage, watch: Watch) -> None:
        del watch
        full = stage.sim.conditions.zones_without_capacity
        full |= set(group_of(stage).zones)
        stage.sim.world.after(seconds, full.clear)

    return act


def host_dies(choose: Callable[[Stage], list[ContainerInstance]]) -> Act:
    """The first of some hosts ends by itself, as hardware does."""

    def act(stage: Stage, watch: Watch) -> None:
        victim = choose(stage)[0].instance
        watch.mishap(victim.id)
        stage.sim.compute.terminate(victim.id)

    return act


MINUTE = timedelta(minutes=1)
