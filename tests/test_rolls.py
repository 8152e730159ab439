"""Whole rolls: every scenario ends as its row says, and the promises hold at every moment on the way there."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from ecsroll.model import Policy
from ecsroll.simulator.cluster import ContainerInstance
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet, Stage
from tests import scenarios as s
from tests.rolls import Death, Meanwhile, Told, carry_out, on, stage_of
from tests.scenarios import API, LOGS, QUICK, WORKER, policy
from tests.watch import Watch

THREE = (GroupSet(hosts=3),)


def _nothing(subject: object) -> None:
    del subject


def _idle(stage: Stage) -> list[ContainerInstance]:
    return [host for host in s.hosts_of(stage) if host.open and host not in s.young(stage)]


def _draining(stage: Stage) -> list[ContainerInstance]:
    return [host for host in s.hosts_of(stage) if host.status == "DRAINING"]


def _never_waited(told: Told, kind: str) -> None:
    assert not [wait for step in told.steps for wait in step.round.decision.waits if wait.kind == kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One scenario: what is on the stage, what others do, how it ends."""

    groups: tuple[GroupSet, ...] = THREE
    services: tuple[ServiceSet, ...] = (API, LOGS)
    policy: Callable[[Stage], Policy] | Policy = QUICK
    before: Callable[[Stage], object] = _nothing
    meanwhile: Callable[[], tuple[Meanwhile, ...]] = field(default=tuple)
    result: str = "done"
    remaining: int | None = 0
    """None: it does not matter."""
    check: Callable[[Told], object] = _nothing


def play(row: Row, *, quick: bool = True) -> Told:
    """Set the stage and roll; through real boto3 clients if it need not be quick."""
    stage = stage_of(*row.groups, services=row.services, quick=quick)
    row.before(stage)
    wanted = row.policy if isinstance(row.policy, Policy) else row.policy(stage)
    return carry_out(stage, wanted, meanwhile=row.meanwhile())


def provided(**flags: bool) -> tuple[GroupSet, ...]:
    return (GroupSet(hosts=3, **flags),)  # type: ignore[arg-type]


def drained(told: Told) -> list[str]:
    return [host for event in told.events if event.kind == "drain_started" for host in event.facts["hosts"]]


def terminated(told: Told) -> list[str]:
    return [event.facts["host"] for event in told.events if event.kind == "host_terminated"]


def peak(told: Told) -> int:
    return max(step.round.seen.groups["web"].desired for step in told.steps)


def expect(**wanted: object) -> Callable[[Told], None]:
    """Something of the group's record at the end."""

    def check(told: Told) -> None:
        group = s.group_of(told.stage)
        assert {name: getattr(group, name) for name in wanted} == wanted

    return check


def only_so_many_drained(number: int) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        assert len(drained(told)) == number

    return check


def peaked(number: int) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        assert peak(told) == number

    return check


def halted_with(*words: str) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        assert told.verdict is not None
        assert all(word in told.verdict.reason for word in words), told.verdict.reason
        group, was = s.group_of(told.stage), told.watch.before["web"]
        assert told.watch._moved_target(group, was) == []

    return check


def pointed_back(told: Told) -> None:
    halted_with("has not become ready")(told)
    stage = told.stage
    data = stage.sim.scaling.fleet.source(s.group_of(stage)).data
    assert stage.sim.compute.resolve_image(str(data["ImageId"])) == stage.old_image["web"]


SPREAD = (("spread", "attribute:ecs.availability-zone"), ("spread", "instanceId"))

ROWS: dict[str, Row] = {
    "a canary is drained first and terminated only when its tasks are healthy elsewhere": Row(policy=Policy()),
    "two canaries": Row(policy=policy(canary=2, surge=2), groups=(GroupSet(hosts=5),)),
    "a capacity provider with managed scaling": Row(groups=provided(managed_scaling=True)),
    "a capacity provider that protects hosts with tasks": Row(
        groups=provided(managed_scaling=True, termination_protection=True)
    ),
    "a capacity provider with managed draining": Row(groups=provided(managed_scaling=True, managed_draining=True)),
    "a capacity provider with everything": Row(
        groups=provided(managed_scaling=True, termination_protection=True, managed_draining=True), policy=Policy()
    ),
    "three groups roll one after another": Row(
        groups=(GroupSet(name="a", hosts=2), GroupSet(name="b", hosts=3, zones=2), GroupSet(name="c", hosts=1))
    ),
    "only the named group is rolled": Row(
        groups=(GroupSet(name="web", hosts=2), GroupSet(name="gpu", hosts=2)), policy=policy(groups=("web",))
    ),
    "a surge of two": Row(groups=(GroupSet(hosts=6),), policy=policy(surge=2), check=peaked(8)),
    "a surge in percent is rounded up": Row(groups=(GroupSet(hosts=7),), policy=policy(surge="25%"), check=peaked(9)),
    "a double: all new hosts first, then every old one is drained at once": Row(
        groups=(GroupSet(hosts=4),), policy=policy(strategy="double"), check=peaked(8)
    ),
    "no room at all, one host may be missing": Row(
        policy=policy(surge=0, unavailable=1), groups=(GroupSet(hosts=3, spare=0),), check=peaked(3)
    ),
    "a surge of two with one unavailable": Row(
        groups=(GroupSet(hosts=6),), policy=policy(surge=2, unavailable=1), check=peaked(8)
    ),
    "MaxSize has to stay, and leaves room for one": Row(
        groups=(GroupSet(hosts=4, spare=1),), policy=policy(surge=3, keep_max_size=True), check=peaked(5)
    ),
    "MaxSize equals desired, and is lifted for the roll": Row(groups=(GroupSet(hosts=3, spare=0),), check=peaked(4)),
    "MinSize equals desired": Row(before=lambda stage: s.set_min(stage, 3)),
    "a single host": Row(groups=(GroupSet(hosts=1),), services=(WORKER, LOGS)),
    "all hosts, though they run the newest image": Row(groups=(GroupSet(hosts=2, age=0),), policy=policy(all=True)),
    "only hosts older than a minute": Row(policy=policy(older_than=timedelta(minutes=1))),
    "only hosts older than a day: there are none": Row(
        policy=policy(older_than=timedelta(days=1), ami="keep"), result="nothing"
    ),
    "one host by its id": Row(
        policy=lambda stage: policy(instances=(s.hosts_of(stage)[1].instance.id,)),
        check=only_so_many_drained(1),
    ),
    "nothing to do": Row(groups=(GroupSet(hosts=2, age=0),), result="nothing"),
    "nothing but daemons": Row(services=(LOGS,), policy=Policy()),
    "no service at all": Row(services=(), policy=Policy()),
    "binpacked services": Row(
        services=(ServiceSet(name="packed", count=8, strategy=(("binpack", "memory"),)), LOGS), policy=policy(surge=2)
    ),
    "one task a host at most": Row(services=(ServiceSet(name="one", count=3, constraints=("distinctInstance",)),)),
    "a static port": Row(services=(ServiceSet(name="port", count=3, port=8080),)),
    "a service spread over zones and hosts": Row(
        services=(ServiceSet(name="spread", count=7, strategy=SPREAD),), groups=(GroupSet(hosts=5),)
    ),
    "services that may lose half": Row(services=(ServiceSet(name="half", count=6, min_percent=50, max_percent=100),)),
    "a standalone task ends by itself": Row(before=lambda stage: s.run_a_task(stage, 600)),
    "a standalone task outlasts the drain timeout": Row(
        before=lambda stage: s.run_a_task(stage, 9000),
        policy=policy(drain_timeout=timedelta(minutes=10)),
        result="halted",
        remaining=None,
        check=halted_with("has not been drained", "standalone"),
    ),
    "a protected task expires": Row(services=(WORKER,), before=lambda stage: s.protect_a_task(stage, 12)),
    "a host that has lost its agent": Row(before=s.agent_dies),
    "a single host, which has lost its agent, is the canary": Row(
        groups=(GroupSet(hosts=1),), services=(WORKER,), before=s.agent_dies, policy=Policy()
    ),
    "a host that somebody else drains is left alone": Row(
        before=s.foreign_drain, groups=(GroupSet(hosts=4),), result="halted", remaining=1
    ),
    "without a canary nobody is kept once it is empty": Row(
        policy=policy(canary=0), check=lambda told: _never_waited(told, "canary")
    ),
    "others scale out while room is made": Row(
        meanwhile=lambda: (on("size_set", s.scale(2)),), check=expect(desired=5)
    ),
    "others scale out while a host drains": Row(
        meanwhile=lambda: (on("drain_started", s.scale(1)),), check=expect(desired=4)
    ),
    "others scale out while the last host leaves": Row(
        meanwhile=lambda: (on("host_terminated", s.scale(1), 3),), check=expect(desired=4)
    ),
    "others want to scale in, and the floor keeps it out": Row(
        meanwhile=lambda: (on("drain_started", s.scale(-1)), on("host_terminated", s.scale(-1), 2)),
        check=expect(desired=3),
    ),
    "terraform apply resets the bounds while a host drains": Row(
        meanwhile=lambda: (on("drain_started", s.terraform_apply, 2),)
    ),
    "terraform apply resets the bounds while the last host leaves": Row(
        meanwhile=lambda: (on("host_terminated", s.terraform_apply, 3),)
    ),
    "no zone has capacity for a while": Row(meanwhile=lambda: (on("size_set", s.capacity_runs_out(400)),)),
    "no zone has capacity for too long": Row(
        meanwhile=lambda: (on("size_set", s.capacity_runs_out(36000)),),
        result="halted",
        remaining=3,
        check=halted_with("sufficient m5.large capacity"),
    ),
    "an image that never registers halts the roll": Row(
        before=lambda stage: stage.sim.conditions.images_that_never_register.add(stage.new_image["web"]),
        result="halted",
        remaining=3,
        check=pointed_back,
    ),
    "an image whose agent never connects halts the roll": Row(
        before=lambda stage: stage.sim.conditions.images_whose_agent_never_connects.add(stage.new_image["web"]),
        result="halted",
        remaining=3,
        check=pointed_back,
    ),
    "an old host dies while another drains": Row(
        groups=(GroupSet(hosts=4),), meanwhile=lambda: (on("drain_started", s.host_dies(_idle)),)
    ),
    "the draining host dies": Row(meanwhile=lambda: (on("drain_started", s.host_dies(_draining)),)),
    "the draining host dies at the very end": Row(meanwhile=lambda: (on("drain_started", s.host_dies(_draining), 3),)),
    "a new host dies": Row(meanwhile=lambda: (on("host_terminated", s.host_dies(s.young)),)),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_whole_roll(row: Row) -> None:
    told = play(row)
    assert told.verdict is not None
    assert told.verdict.result == row.result, told.verdict
    assert row.remaining in {told.verdict.remaining, None}, told.verdict
    if row.result == "done" and not told.watch.policy.instances:
        for group in told.watch.rolled:
            assert set(s.images(told.stage, group)) == {told.stage.new_image[group]}
    row.check(told)


def test_a_host_that_comes_back_after_its_group_was_done_with_is_replaced_too() -> None:
    """Somebody drains the only host of the first group, and makes it ACTIVE again while the second one is rolled."""
    stage = stage_of(GroupSet(name="a", hosts=1), GroupSet(name="b", hosts=2), services=(WORKER,), quick=True)
    (host,) = s.hosts_of(stage, "a")
    stage.sim.clusters.set_status(host, "DRAINING")
    back = on("drain_started", lambda stage, watch: _serves_again(watch, stage, host))
    told = carry_out(stage, QUICK, meanwhile=[back])
    assert told.verdict is not None
    assert (told.verdict.result, told.verdict.replaced, told.verdict.remaining) == ("done", 3, 0), told.verdict
    assert {*s.images(stage, "a"), *s.images(stage, "b")} == {stage.new_image["a"]}


def _serves_again(watch: Watch, stage: Stage, host: ContainerInstance) -> None:
    watch.foreign.discard(host.id)
    stage.sim.clusters.set_status(host, "ACTIVE")


REFERENCES: tuple[Reference, ...] = ("number", "$Latest", "$Default", "mixed", "parameter", "public", "configuration")


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_group_keeps_the_way_in_which_it_says_what_it_launches(reference: Reference) -> None:
    told = play(Row(groups=(GroupSet(hosts=3, reference=reference),)), quick=False)
    assert told.verdict is not None
    assert told.verdict.result == "done"
    assert s.images(told.stage) == [told.stage.new_image["web"]] * 3


@pytest.mark.parametrize("reference", REFERENCES)
def test_after_a_bad_image_a_group_launches_what_it_launched_before(reference: Reference) -> None:
    if reference == "public":
        pytest.skip("what AWS's own parameter says can not be put back: the roll had not set it")
    row = ROWS["an image that never registers halts the roll"]
    told = play(Row(groups=(GroupSet(hosts=2, reference=reference),), before=row.before))
    pointed_back(told)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_service_that_ecs_deploys_blue_green_is_healthy_in_either_of_its_target_groups(swapped: bool) -> None:
    api = replace(API, count=6, swapped=swapped)
    stage = stage_of(GroupSet(hosts=3), services=(api,), quick=True)
    told = carry_out(stage, policy(canary=1))
    assert told.verdict is not None
    assert told.verdict.result == "done", told.verdict
    assert not told.watch.breaches


def test_after_a_halt_the_same_command_finishes() -> None:
    told = play(ROWS["an image that never registers halts the roll"])
    told.stage.sim.conditions.images_that_never_register.clear()
    again = carry_out(told.stage, QUICK, watch=told.watch)
    assert again.verdict is not None
    assert again.verdict.result == "done"
    assert set(s.images(told.stage)) == {told.stage.new_image["web"]}


def test_a_second_roll_has_nothing_to_do() -> None:
    told = play(Row())
    again = carry_out(told.stage, QUICK)
    assert again.verdict is not None
    assert again.verdict.result == "nothing"
    assert again.events == []


@pytest.mark.parametrize("landed", [False, True], ids=["just before", "just after"])
def test_killed_around_any_changing_call_and_run_again_it_ends_right(landed: bool) -> None:
    calls = sum(call.changes for call in play(Row(services=(WORKER, LOGS))).stage.sim.door.calls)
    for call in range(1, calls + 1):
        stage = stage_of(*THREE, services=(WORKER, LOGS), quick=True)
        told = carry_out(stage, QUICK, deaths=(Death(call, landed),))
        assert told.verdict is not None, f"killed at call {call}"
        assert told.verdict.result in {"done", "nothing"}, f"killed at call {call}: {told.verdict}"
        assert s.images(stage) == [stage.new_image["web"]] * 3, f"killed at call {call}"
