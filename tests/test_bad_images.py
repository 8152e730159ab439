"""A bad image, four ways: stopped at the canary, taken back, and rolled back; everything that was promised, at once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ecsroll.model import Amount, Policy
from ecsroll.simulator.stage import GroupSet, Stage
from ecsroll.simulator.tasks import Task
from tests import scenarios as s
from tests.console import ecsroll
from tests.rolls import stage_of
from tests.scenarios import API, LOGS, WORKER
from tests.test_gate_rolls import bad, hosts_die
from tests.test_http_roll import bounds
from tests.watch import Watch, WatchedWorld

SERVICES = (API, WORKER, LOGS)


@dataclass
class Met:
    """Old hosts whose tasks met what is bad of the image: drained when a task of theirs was placed there."""

    stage: Stage
    balanced: bool
    """It is bad only for services behind a load balancer."""
    hosts: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)

    def look(self) -> None:
        hosts = s.hosts_of(self.stage)
        new = [host for host in hosts if host.instance.image_id == self.stage.new_image["web"]]
        old = [host for host in hosts if host not in new]
        for task in [task for host in new for task in host.live if self.is_bad_for(task)]:
            if task.arn not in self.tasks:
                self.tasks.add(task.arn)
                leaving = [host for host in old if host.status == "DRAINING"]
                self.hosts |= {host.id for host in leaving if any(one.service is task.service for one in host.live)}

    def is_bad_for(self, task: Task) -> bool:
        service = task.service
        return service is not None and not service.daemon and (not self.balanced or bool(service.load_balancers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is bad of the image, and what the reason says."""

    condition: Callable[[Stage], None]
    says: str
    words: tuple[str, ...] = ("--bake", "5m")
    met: bool = True
    """Whether a task comes to the image at all."""
    balanced: bool = False


ROWS = {
    "its tasks crash-loop": Row(
        condition=bad("images_that_crash_tasks"),
        says="ended by themselves (exit code 1) on new hosts",
    ),
    "its agent never connects": Row(
        condition=bad("images_whose_agent_never_connects"),
        says="has not become ready within 15m",
        met=False,
    ),
    "its targets never become healthy": Row(
        condition=bad("images_whose_targets_stay_unhealthy"),
        says="(Task failed ELB health checks in (target-group api-targets)) on new hosts",
        balanced=True,
    ),
    "its hosts die after ten minutes": Row(
        condition=hosts_die(10),
        words=("--bake", "15m"),
        says="launched by this roll, has ended by itself while the canary was on trial",
    ),
}


def watch_both(stage: Stage, watch: Watch, met: Met) -> None:
    def look() -> None:
        watch.look()
        met.look()

    assert isinstance(stage.sim.world, WatchedWorld)
    stage.sim.world.look = look


@pytest.mark.parametrize(("hosts", "canary"), [(4, 1), (8, 1), (8, 2)])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_bad_image_is_stopped_at_the_canary_and_rolled_back(row: Row, hosts: int, canary: int) -> None:
    stage = stage_of(GroupSet(hosts=hosts, spare=2, zones=3), services=SERVICES, quick=True)
    row.condition(stage)
    before = bounds(stage)
    watch, met = Watch(stage, Policy(surge=Amount(2))), Met(stage, row.balanced)
    watch_both(stage, watch, met)
    words = ("--cluster", "demo", "--yes", "--json", *row.words, "--canary", str(canary), "--max-surge", "2")

    halted = ecsroll(stage, "replace", *words)
    assert (halted.code, halted.result["result"]) == (5, "halted"), halted
    assert row.says in halted.result["reason"]
    assert "ecsroll rollback --cluster demo" in halted.result["next"] or not row.met
    assert len(met.hosts) <= canary, "no more than the canaries' tasks ever met the bad image"
    assert bool(met.tasks) == row.met
    serving = {host.id: host.status for host in s.hosts_of(stage) if host.instance.image_id == stage.old_image["web"]}
    assert set(serving.values()) == {"ACTIVE"}, "the canary serves again"
    assert met.hosts <= serving.keys()
    assert stage.sim.scaling.fleet.source(s.group_of(stage)).data["ImageId"] == stage.old_image["web"]

    back = ecsroll(stage, "rollback", *words)
    assert back.code == 0, back
    assert back.result["owed"] == []
    assert bounds(stage)[:-1] == before[:-1]
    assert s.images(stage) == [stage.old_image["web"]] * hosts
    assert not watch.breaches, "\n".join(watch.breaches)
