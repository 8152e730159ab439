"""One roll per cluster, whoever dies, sleeps or races (DESIGN 6)."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from ecsroll.aws import Aws
from ecsroll.errors import AwsUnavailable, Held
from ecsroll.lease import Lease, highest, standing
from ecsroll.simulator import Simulation
from ecsroll.simulator.door import Call
from ecsroll.simulator.world import Refusal
from tests.cast import Actor, Cast, Killed
from tests.odd import answering

TTL = 60.0


@dataclass
class Work:
    """What was done under the lease, by whom, in which epoch."""

    done: list[tuple[str, int]] = field(default_factory=list)

    def as_actor(self, changes: int = 8, every: float = 10.0) -> Any:
        def run(actor: Actor) -> str:
            lease = Lease(actor.aws(), "demo", holder=actor.name, ttl=TTL)
            lease.take()
            for _ in range(changes):
                lease.keep()
                self.done.append((actor.name, lease.epoch))
                actor.sleep(every)
            lease.tidy()
            lease.release()
            return "done"

        return run


def names(sim: Simulation) -> list[str]:
    listed = sim.client("ssm").get_parameters_by_path(Path="/ecsroll/demo", Recursive=True)["Parameters"]
    return sorted(said["Name"].rpartition("demo/")[2] for said in listed)


def lease_for(sim: Simulation, name: str = "me") -> Lease:
    return Lease(Aws(sim, sim, workers=1), "demo", holder=name, ttl=TTL)


def test_the_first_one_holds_the_cluster_and_leaves_a_released_lease() -> None:
    sim = Simulation()
    lease = lease_for(sim)
    lease.take()
    assert (lease.epoch, standing(lease.aws, "demo").free) == (1, False)
    lease.release()
    assert standing(lease.aws, "demo").free
    assert names(sim) == ["lease/000001"]


def test_the_next_one_counts_on_and_deletes_the_older_lease() -> None:
    sim = Simulation()
    for _ in range(3):
        lease = lease_for(sim)
        lease.take()
        lease.tidy()
        lease.release()
    assert names(sim) == ["lease/000003"]


def test_an_epoch_of_the_history_is_never_used_again() -> None:
    sim = Simulation()
    sim.client("ssm").put_parameter(Name="/ecsroll/demo/history/000007", Value="{}", Type="String")
    lease = lease_for(sim)
    lease.take()
    assert lease.epoch == 8


@pytest.mark.parametrize("seed", range(50))
def test_of_two_started_at_once_one_works_and_one_is_told_who_holds_the_cluster(seed: int) -> None:
    cast, work = Cast(Simulation(), seed), Work()
    pair = [cast.enter(name, work.as_actor()) for name in ("anna", "bert")]
    cast.play()
    assert sorted(str(actor.result) for actor in pair) == ["None", "done"]
    loser = next(actor for actor in pair if actor.result is None)
    winner = next(actor for actor in pair if actor.result == "done")
    assert isinstance(loser.trouble, Held)
    assert winner.name in str(loser.trouble)
    assert {name for name, _ in work.done} == {winner.name}


@pytest.mark.parametrize("dies_at", range(2, 14))
def test_when_the_holder_dies_the_second_takes_over_after_its_ttl(dies_at: int) -> None:
    cast, work = Cast(Simulation()), Work()
    holder = cast.enter("anna", work.as_actor())
    holder.dies_at = dies_at
    second = cast.enter("bert", work.as_actor(), at=100.0)
    cast.play()
    assert isinstance(holder.trouble, Killed)
    assert second.result == "done"
    assert [name for name, _ in work.done if name == "bert"] == ["bert"] * 8
    assert len([name for name in names(cast.sim) if name.startswith("lease/")]) == 1


@pytest.mark.parametrize("call", range(3, 20))
def test_a_paused_holder_that_wakes_after_a_takeover_changes_nothing(call: int) -> None:
    cast, work = Cast(Simulation(), seed=call), Work()
    holder = cast.enter("anna", work.as_actor())
    holder.pauses[call] = 400.0
    cast.enter("bert", work.as_actor(), at=call * 4.0)
    cast.play()
    epochs = [epoch for _, epoch in work.done]
    assert epochs == sorted(epochs), work.done


@pytest.mark.parametrize("seed", range(30))
def test_of_three_contenders_with_one_paused_on_the_way_to_the_next_epoch_only_the_newest_acts(seed: int) -> None:
    cast, work = Cast(Simulation(), seed), Work()
    dead = cast.enter("anna", work.as_actor())
    dead.dies_at = 6
    paused = cast.enter("bert", work.as_actor(), at=1.0)
    # Somewhere between judging the lease dead and creating the next: its calls are a look every sixth of a minute.
    paused.pauses[10 + seed % 6] = 300.0 + 40 * (seed % 5)
    for number, name in enumerate(("cora", "dirk")):
        cast.enter(name, work.as_actor(), at=2.0 + number * (seed % 9) * 20)
    cast.play()
    epochs = [epoch for _, epoch in work.done]
    assert epochs == sorted(epochs), work.done
    by_epoch = {epoch: {name for name, said in work.done if said == epoch} for epoch in epochs}
    assert all(len(who) == 1 for who in by_epoch.values()), by_epoch


@pytest.mark.parametrize("call", [12, 13, 14])
@pytest.mark.parametrize("late", range(96, 130, 3))
def test_a_holder_that_slept_too_long_does_not_renew_while_a_contender_is_about_to_take_over(
    call: int, late: int
) -> None:
    """Bert has judged the lease dead and has not created the next; a renewal of Anna's now would make two holders."""
    cast, work = Cast(Simulation(), seed=late), Work()
    holder = cast.enter("anna", work.as_actor())
    holder.pauses[4] = 150.0
    contender = cast.enter("bert", work.as_actor(), at=1.0)
    contender.pauses[call] = float(late)
    cast.play()
    epochs = [epoch for _, epoch in work.done]
    assert epochs == sorted(epochs), work.done


def test_a_lease_that_ran_out_is_not_renewed_even_if_nobody_else_has_taken_it() -> None:
    sim = Simulation()
    lease = lease_for(sim)
    lease.take()
    sim.sleep(TTL)
    with pytest.raises(Held, match="ran out"):
        lease.keep()


def test_a_renewal_that_aws_throttles_for_too_long_is_not_sent_when_the_lease_has_run_out() -> None:
    sim = Simulation()
    lease = lease_for(sim)
    lease.take()
    sim.sleep(TTL / 2)
    tries: list[float] = []

    def throttled(call: Call) -> None:
        if call.operation == "PutParameter":
            tries.append(sim.elapsed())
            raise Refusal("ThrottlingException", "Rate exceeded")

    sim.door.before.append(throttled)
    began = sim.elapsed() - TTL / 2
    with pytest.raises(AwsUnavailable, match="PutParameter keeps failing"):
        lease.keep()
    assert max(tries) - began < TTL - lease.longest_call + 0.1


def test_a_lost_answer_to_the_creation_is_no_riddle() -> None:
    sim = Simulation()
    lost: list[int] = []

    def lose(call: Call) -> None:
        if call.operation == "PutParameter" and not lost:
            lost.append(call.number)
            raise Refusal("InternalServerError", "the answer was lost", status=500)

    sim.door.after.append(lose)
    lease = lease_for(sim)
    lease.take()
    assert (lease.epoch, bool(lost)) == (1, True)


@pytest.mark.parametrize(("stale", "epoch"), [(1, 1), (4, 1), (12, 2)])
def test_a_listing_that_does_not_show_our_own_lease_yet_is_asked_for_again(stale: int, epoch: int) -> None:
    """What it shows at last is ours, and nobody else's to be watched (facts 6.6: a reading may lag, and go back)."""
    sim = Simulation()
    listings: list[int] = []

    def lag(_: Any, said: dict[str, Any]) -> dict[str, Any]:
        listings.append(1)
        return {"Parameters": []} if len(listings) <= stale else said

    answering(sim, "GetParametersByPath", lag)
    lease = lease_for(sim)
    lease.take()
    lease.keep()
    assert (lease.epoch, standing(lease.aws, "demo").nonce) == (epoch, lease.nonce)


def test_an_older_reading_of_a_dead_holders_lease_is_no_renewal() -> None:
    sim = Simulation()
    dead, heir = lease_for(sim, "dead"), lease_for(sim, "heir")
    dead.take()
    before = sim.client("ssm").get_parameters_by_path(Path="/ecsroll/demo", Recursive=True)
    sim.sleep(TTL / 2)
    dead.keep()
    listings: list[int] = []

    def lag(_: Any, said: dict[str, Any]) -> dict[str, Any]:
        listings.append(1)
        return dict(before) if len(listings) == 2 else said

    answering(sim, "GetParametersByPath", lag)
    heir.take()
    assert (dead.epoch, heir.epoch) == (1, 2)


def test_who_may_not_write_is_told_the_missing_action_before_anything_changed() -> None:
    sim = Simulation()

    def deny(call: Call) -> None:
        if call.operation == "PutParameter":
            raise Refusal("AccessDeniedException", "User is not authorized to perform: ssm:PutParameter")

    sim.door.before.append(deny)
    with pytest.raises(AwsUnavailable, match="ssm:PutParameter"):
        lease_for(sim).take()
    assert names(sim) == []


def test_a_lease_that_can_not_be_read_is_held_by_somebody() -> None:
    found = highest([{"Name": "/ecsroll/demo/lease/000004", "Version": 2, "Value": "scribble"}])
    assert (found.epoch, found.free, found.holder) == (4, False, "somebody")


def test_two_clusters_of_one_name_in_two_regions_do_not_meet() -> None:
    first, second = Simulation(), Simulation()
    lease_for(first).take()
    lease_for(second).take()


def test_the_lease_can_be_read_by_a_person() -> None:
    sim = Simulation()
    lease_for(sim, "anna@laptop").take()
    said = json.loads(sim.client("ssm").get_parameter(Name="/ecsroll/demo/lease/000001")["Parameter"]["Value"])
    assert said["holder"] == "anna@laptop"
    assert said["since"].startswith("2026-")
