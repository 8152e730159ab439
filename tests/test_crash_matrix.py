"""Killed around every changing call of a roll of six hosts, and run again: the same end, nothing borrowed, every time.

This is the whole command, with its lease: the next life has to wait until the dead one's lease has run out.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from ecsroll.aws import Aws
from ecsroll.commands import abort, replace_hosts
from ecsroll.lease import standing
from ecsroll.model import Policy, Verdict
from ecsroll.render import QuietScreen
from ecsroll.result import Result
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet, Stage
from tests.rolls import Killed, stage_of
from tests.scenarios import images
from tests.watch import Watch

POLICY = Policy(canary=1, good_readings=1, by="anna@laptop")
SERVICES = (ServiceSet(name="api", count=6, balanced=True, deregistration_delay=10, stop_timeout=5),)


@dataclass
class Life:
    """One process. Once killed, it makes no call any more, whatever its finally blocks want."""

    stage: Stage
    dies_at: int | None = None
    """The changing call around which it is killed, by number."""
    landed: bool = False
    dies_on: Callable[[Call], bool] = lambda _: False
    """Or by what it is."""
    changes: int = 0
    dead: bool = False

    def run(self, command: str = "replace", policy: Policy = POLICY) -> Result | None:
        """The command's result, or None if it was killed."""
        door = self.stage.sim.door
        door.before.append(self.before)
        door.after.append(self.after)
        aws = Aws(self.stage.sim, self.stage.sim, workers=1, chance=random.Random(self.dies_at))
        try:
            does = {"replace": replace_hosts, "abort": abort}[command]
            return does(aws, self.stage.cluster, policy, QuietScreen(), lambda _: True)
        except Killed:
            return None
        finally:
            door.before.remove(self.before)
            door.after.remove(self.after)

    def before(self, call: Call) -> None:
        if self.dead:
            raise Killed
        self.changes += call.changes
        if self._is_last(call) and not self.landed:
            self.dead = True
            raise Killed

    def after(self, call: Call) -> None:
        if self._is_last(call) and self.landed:
            self.dead = True
            raise Killed

    def _is_last(self, call: Call) -> bool:
        return call.changes and (self.changes == self.dies_at or self.dies_on(call))


def six_hosts(reference: Reference = "number") -> Stage:
    return stage_of(GroupSet(hosts=6, spare=1, zones=3, reference=reference), services=SERVICES, quick=True)


def changing_calls() -> int:
    """How many changing calls a roll of this kind makes when nobody disturbs it."""
    life = Life(six_hosts())
    assert life.run() is not None
    return life.changes


CALLS = changing_calls()


def written(stage: Stage) -> list[str]:
    found = stage.sim.client("ssm").get_parameters_by_path(Path=f"/ecsroll/{stage.cluster}", Recursive=True)
    return sorted(said["Name"].removeprefix(f"/ecsroll/{stage.cluster}/") for said in found["Parameters"])


def leases(stage: Stage) -> list[str]:
    return [name for name in written(stage) if name.startswith("lease/")]


def finished(stage: Stage, watch: Watch, result: Result | None) -> None:
    """Every host replaced, every promise kept at every instant, nothing left but history and the last lease."""
    assert result is not None
    # "nothing", where the one before had died on its very last step.
    assert (result.result, result.exit_code, result.owed) in {("done", 0, ()), ("nothing", 0, ())}
    assert set(images(stage)) == {stage.new_image["web"]}
    assert standing(Aws(stage.sim, stage.sim, workers=1), stage.cluster).free
    watch.check_end(Verdict(result="done", reason=result.reason))
    assert not watch.breaches, "\n".join(watch.breaches)
    assert len(leases(stage)) == 1
    assert not [name for name in written(stage) if not name.startswith(("lease/", "history/"))]


@pytest.mark.parametrize("landed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_killed_around_any_change_the_same_command_goes_on_to_the_same_end(call: int, landed: bool) -> None:
    stage = six_hosts()
    watch = Watch(stage, POLICY)
    assert Life(stage, dies_at=call, landed=landed).run() is None
    if call % 3 == 0:
        # The rerun is killed as well, somewhere in what is left to do.
        Life(stage, dies_at=1 + call % 17, landed=not landed).run()
    finished(stage, watch, Life(stage).run())


@pytest.mark.parametrize("landed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", [3, 4, 5, 6, 9, 25])
@pytest.mark.parametrize("reference", ["parameter", "$Latest"])
def test_so_it_does_where_the_target_is_a_parameter_or_the_latest_version(
    reference: Reference, call: int, landed: bool
) -> None:
    """The calls that set the target are the first; of the later ones a sample, as they are the same for all."""
    stage = six_hosts(reference)
    watch = Watch(stage, POLICY)
    assert Life(stage, dies_at=call, landed=landed).run() is None
    finished(stage, watch, Life(stage).run())


@pytest.mark.parametrize("landed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["ledger/web", "roll"])
def test_killed_as_its_last_group_is_finished_it_replaces_no_host_twice(name: str, landed: bool) -> None:
    """With ``--all`` a group that began anew would be rolled anew."""
    stage = six_hosts()
    policy = replace(POLICY, all=True)
    watch = Watch(stage, policy)

    def last(call: Call) -> bool:
        finishes = call.operation == "DeleteParameter" or '"finished":["web"]' in call.params.get("Value", "")
        return finishes and call.params["Name"].endswith(f"demo/{name}")

    assert Life(stage, dies_on=last, landed=landed).run(policy=policy) is None
    finished(stage, watch, Life(stage).run(policy=policy))
    ended = [call for call in stage.sim.door.calls if call.operation == "TerminateInstanceInAutoScalingGroup"]
    assert len(ended) == 6


@pytest.mark.parametrize("call", range(4, CALLS, 5))
def test_killed_and_ended_a_roll_gives_everything_back(call: int) -> None:
    stage = six_hosts()
    watch = Watch(stage, replace(POLICY, all=False))
    assert Life(stage, dies_at=call, landed=True).run() is None
    result = Life(stage).run("abort")
    assert result is not None
    # "nothing", where the roll had come to its end and only its lease was still to be released.
    assert (result.result, result.exit_code, result.owed) in {("done", 0, ()), ("nothing", 0, ())}
    assert not watch.breaches, "\n".join(watch.breaches)
    group = stage.sim.scaling.groups["web"]
    assert (group.min, group.max, group.desired, group.new_protected) == (0, 7, 6, False)
    assert not group.suspended
    assert not [host for host in stage.sim.clusters.find(stage.cluster).registered if host.status == "DRAINING"]
    assert not any(member.protected for member in group.members.values() if member.state == "InService")
    assert not [name for name in written(stage) if not name.startswith(("lease/", "history/"))]


@pytest.mark.parametrize("drained", [False, True], ids=["never drained", "drained and undone"])
def test_a_mark_that_a_killed_life_left_on_an_active_host_goes_with_the_roll(drained: bool) -> None:
    """Else whoever drained that host later would be taken for us, and it would be terminated (promise 3)."""
    stage = six_hosts()
    there = stage.sim.clusters.find(stage.cluster).registered
    last = "UpdateContainerInstancesState" if drained else "PutAttributes"
    assert Life(stage, dies_on=lambda call: call.operation == last, landed=True).run() is None
    if drained:
        assert Life(stage, dies_on=lambda call: call.operation == "DeleteAttributes").run("abort") is None
    assert [host.status for host in there if "ecsroll.drain" in host.custom] == ["ACTIVE"]
    result = Life(stage).run("abort")
    assert (result and result.result) == "done"
    assert not [host.id for host in there if "ecsroll.drain" in host.custom]


def test_an_ended_roll_is_not_gone_on_with_by_replace() -> None:
    stage = six_hosts()
    assert Life(stage, dies_at=20, landed=True).run() is None
    assert Life(stage, dies_at=4, landed=True).run("abort") is None
    with pytest.raises(Exception, match="is being ended"):
        Life(stage).run()


def test_another_target_is_refused_while_a_roll_is_not_finished() -> None:
    stage = six_hosts()
    assert Life(stage, dies_at=20, landed=True).run() is None
    with pytest.raises(Exception, match="begun with another --all"):
        Life(stage).run(policy=replace(POLICY, all=True))


def test_pace_may_change_on_a_rerun() -> None:
    stage = six_hosts()
    watch = Watch(stage, POLICY)
    assert Life(stage, dies_at=20, landed=True).run() is None
    finished(stage, watch, Life(stage).run(policy=replace(POLICY, good_readings=2)))
