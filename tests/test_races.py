"""Several whole commands at once on one cluster: one changes something at any time, and the roll is finished.

The processes take turns between any two calls, on one virtual clock (tests/cast.py); the promises are watched.
"""

from dataclasses import dataclass, replace

import pytest

from ecsroll.aws import Aws
from ecsroll.commands import abort, replace_hosts
from ecsroll.lease import standing
from ecsroll.model import Policy
from ecsroll.observe import Observer
from ecsroll.render import QuietScreen
from ecsroll.result import Result
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from tests.cast import Actor, Cast, Killed
from tests.rolls import stage_of
from tests.scenarios import images
from tests.watch import Watch

POLICY = Policy(canary=0, good_readings=1)
SERVICES = (ServiceSet(name="api", count=2, deregistration_delay=10, stop_timeout=5),)


@dataclass
class Play:
    """A cluster of two hosts, and everybody who wants to roll it."""

    cast: Cast
    stage: Stage
    watch: Watch

    def enter(self, name: str, *, at: float = 0.0, policy: Policy = POLICY, command: str = "replace") -> Actor:
        """One more ``ecsroll replace`` (or abort), in so many seconds."""
        does = {"replace": replace_hosts, "abort": abort}[command]

        def run(actor: Actor) -> Result:
            wanted = replace(policy, by=actor.name)
            return does(actor.aws(), self.stage.cluster, wanted, QuietScreen(), lambda _: True)

        return self.cast.enter(name, run, at=at)

    def go(self) -> None:
        """Play to the end. No promise broken; whoever has stopped acting never acts again."""
        self.cast.play()
        assert not self.watch.breaches, "\n".join(self.watch.breaches)
        holders = self.cast.holders
        assert len(holders) == len(set(holders)), holders

    def finished(self) -> None:
        """Every host replaced, nothing borrowed, nothing written down but the history and the lease."""
        sim = self.stage.sim
        group = sim.scaling.groups["web"]
        assert images(self.stage) == [self.stage.new_image["web"]] * 2
        assert (group.min, group.max, group.desired, group.new_protected) == (0, 5, 2, False)
        assert not group.suspended
        assert not [name for name in sim.parameters._stored if "/roll" in name or "/ledger/" in name]


def play(seed: int = 0) -> Play:
    stage = stage_of(GroupSet(hosts=2, zones=1), services=SERVICES, seed=seed, quick=True)
    return Play(Cast(stage.sim, seed), stage, Watch(stage, POLICY))


def came_to(actor: Actor) -> tuple[str, int]:
    """The result's word and exit code."""
    assert isinstance(actor.result, Result), actor.trouble
    return actor.result.result, actor.result.exit_code


@pytest.mark.parametrize("seed", range(50))
def test_of_two_started_at_once_one_rolls_to_the_end_and_one_exits_7(seed: int) -> None:
    there = play(seed)
    anna, bert = there.enter("anna"), there.enter("bert")
    there.go()
    winner, loser = (anna, bert) if came_to(anna)[0] == "done" else (bert, anna)
    assert (came_to(winner), came_to(loser)) == (("done", 0), ("held", 7))
    assert isinstance(loser.result, Result)
    # Who, and since when: the simulated day begins at eight in the evening.
    assert f"{winner.name} since 2026-09-28 20:" in loser.result.reason
    assert there.cast.holders == [winner.name]
    there.finished()


@pytest.mark.parametrize("dies_at", range(14, 250, 29))
def test_the_holder_is_killed_and_the_second_takes_over_after_expiry_and_finishes(dies_at: int) -> None:
    there = play(dies_at)
    anna, bert = there.enter("anna"), there.enter("bert", at=dies_at * 2.0)
    anna.dies_at = dies_at
    there.go()
    assert isinstance(anna.trouble, Killed)
    assert came_to(bert) in {("done", 0), ("nothing", 0)}
    there.finished()


@pytest.mark.parametrize("call", range(14, 250, 13))
def test_a_holder_paused_at_any_call_that_wakes_after_a_takeover_changes_nothing(call: int) -> None:
    there = play(call)
    anna, bert = there.enter("anna"), there.enter("bert", at=call * 2.0)
    anna.pauses[call] = 400.0
    there.go()
    results = {came_to(actor) for actor in (anna, bert)}
    # Paused on its very last calls the first has nothing left to change, and the second nothing to do.
    assert results <= {("held", 7), ("done", 0), ("nothing", 0)}
    assert results & {("done", 0), ("nothing", 0)}
    there.finished()


@pytest.mark.parametrize("seed", range(12))
def test_of_three_contenders_with_one_paused_before_it_creates_the_next_epoch_only_one_acts_at_a_time(
    seed: int,
) -> None:
    there = play(seed)
    anna, call = there.enter("anna"), 60 + 5 * seed
    if seed % 2:
        anna.pauses[call] = 240.0 + 15 * seed
    else:
        anna.dies_at = call
    others = [there.enter(name, at=120.0 + 7 * number) for number, name in enumerate(("bert", "cora", "dirk"))]
    # A contender looks a dozen times, then creates: the pause falls somewhere between the last looks and the creation.
    others[seed % 3].pauses[looks(there) + 11 + seed % 4] = 60.0 * (1 + seed % 5)
    # Whoever was paused for too long has lost its lease; one that comes much later finishes what is left.
    last = there.enter("emil", at=4000.0)
    there.go()
    assert came_to(last) in {("done", 0), ("nothing", 0)}
    assert len(there.cast.holders) >= 2
    there.finished()


def test_who_takes_over_a_roll_that_was_begun_meanwhile_does_not_change_what_it_is_about() -> None:
    """Bert looked while there was no roll yet, and comes to hold the cluster of Anna's, who has died since."""
    there = play()
    anna, bert = there.enter("anna"), there.enter("bert", policy=replace(POLICY, all=True))
    anna.dies_at = 60
    bert.pauses[1 + looks(there)] = 300.0
    there.go()
    assert came_to(bert) == ("refused", 4)
    assert isinstance(bert.result, Result)
    assert "begun with another --all" in bert.result.reason


def test_an_abort_that_waited_for_a_roll_to_end_leaves_it_ended() -> None:
    there = play()
    anna, bert = there.enter("anna"), there.enter("bert", at=200.0, command="abort")
    bert.pauses[1 + looks(there)] = 4000.0
    there.go()
    assert (came_to(anna), came_to(bert)) == (("done", 0), ("nothing", 0))
    there.finished()


def test_an_abort_keeps_what_the_roll_did_while_it_waited() -> None:
    groups = (GroupSet(name="a", hosts=1, zones=1), GroupSet(name="b", hosts=1, zones=1))
    stage = stage_of(*groups, services=(ServiceSet(name="api", count=1, stop_timeout=2),), quick=True)
    there = Play(Cast(stage.sim), stage, Watch(stage, POLICY))
    anna, bert = there.enter("anna"), there.enter("bert", at=60.0, command="abort")
    bert.pauses[1 + looks(there)] = 4000.0
    first_done: list[int] = []

    def die_after_the_first_group(call: object) -> None:
        del call
        if "/ecsroll/demo/ledger/b" in stage.sim.parameters._stored and not first_done:
            first_done.append(anna.calls)
            anna.dies_at = anna.calls + 5

    stage.sim.door.after.append(die_after_the_first_group)
    there.go()
    assert isinstance(anna.trouble, Killed)
    assert came_to(bert) == ("done", 0)
    assert isinstance(bert.result, Result)
    assert bert.result.replaced == 1


def looks(there: Play) -> int:
    """Calls of a first look: what a command makes before it wants the lease."""
    before = len(there.stage.sim.door.calls)
    sim = there.stage.sim
    Observer(Aws(sim, sim, workers=1), there.stage.cluster).look()
    made = len(sim.door.calls) - before
    assert standing(Aws(sim, sim, workers=1), there.stage.cluster).free
    return made
