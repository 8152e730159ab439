"""Whole rolls over clusters, policies and deaths that nobody thought of: the promises hold at every moment.

A failing case is made small by hypothesis and printed with the call that builds it. ``--hypothesis-seed``
repeats a run.
"""

import os
from datetime import timedelta

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ecsroll.model import Amount, Policy
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet
from tests import scenarios as s
from tests import trouble
from tests.rolls import Death, carry_out, stage_of

CASES = settings(
    max_examples=200,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

REFERENCES: tuple[Reference, ...] = ("number", "$Latest", "$Default", "mixed", "parameter", "public", "configuration")
STRATEGIES = (
    (),
    (("spread", "instanceId"),),
    (("spread", "attribute:ecs.availability-zone"), ("spread", "instanceId")),
    (("binpack", "memory"),),
    (("random", ""),),
)


@st.composite
def groups(draw: st.DrawFn) -> tuple[GroupSet, ...]:
    """One to three groups, twelve hosts at most; smaller ones more often."""
    number = draw(st.sampled_from([1, 1, 1, 1, 2, 3]))
    sizes = draw(st.sampled_from([[1, 2, 3, 3, 4], [1, 2, 3], [1, 2]][:][number - 1]).map(lambda size: [size]))
    sizes += [draw(st.integers(1, 3)) for _ in range(number - 1)]
    if draw(st.integers(0, 15)) == 15:
        sizes[0] = 12 - sum(sizes[1:])
    return tuple(draw(a_group(f"group-{'abc'[index]}", size)) for index, size in enumerate(sizes))


@st.composite
def a_group(draw: st.DrawFn, name: str, hosts: int) -> GroupSet:
    provided = draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
    return GroupSet(
        name=name,
        hosts=hosts,
        spare=draw(st.integers(0, 3)),
        zones=draw(st.integers(1, 3)),
        reference=draw(st.sampled_from(REFERENCES)),
        # Managed scaling without protection takes hosts with their tasks, roll or no roll (aws-facts 4.4).
        managed_scaling=provided > 0,
        termination_protection=provided > 0,
        managed_draining=provided > 2,
    )


@st.composite
def services(draw: st.DrawFn, hosts: int, *, room: bool) -> tuple[ServiceSet, ...]:
    """One to six services that fit on one host, whatever the strategy."""
    made = [
        draw(a_service(f"service-{index}", hosts, room=room))
        for index in range(draw(st.sampled_from([1, 1, 2, 2, 3, 5])))
    ]
    if draw(st.booleans()):
        made.append(ServiceSet(name="logs", daemon=True, cpu=64, memory=64))
    return tuple(made)


@st.composite
def a_service(draw: st.DrawFn, name: str, hosts: int, *, room: bool) -> ServiceSet:
    kinds = ["plain", "plain", "balanced", "balanced"]
    # A roll without room can not move a service that fills every host; and ECS itself never gets a single task off a
    # host between 50 and 100 percent of one (aws-facts 3.3).
    kind = draw(st.sampled_from([*kinds, "half", "distinct"] if room else kinds))
    return ServiceSet(
        name=name,
        count=draw(st.integers(2 if kind == "half" else 1, hosts if kind == "distinct" else 6)),
        cpu=64,
        memory=128,
        balanced=kind == "balanced",
        deregistration_delay=draw(st.sampled_from([0, 10, 45])),
        stop_timeout=draw(st.sampled_from([2, 20])),
        min_percent=50 if kind == "half" else 100,
        max_percent=100 if kind == "half" else 200,
        constraints=("distinctInstance",) if kind == "distinct" else (),
        strategy=draw(st.sampled_from(STRATEGIES)) if kind != "distinct" else (),
    )


@st.composite
def policies(draw: st.DrawFn, *, alone: bool) -> Policy:
    """``alone``: there is a single host, which has to have a successor before it can go."""
    surges = [Amount(1), Amount(1), Amount(2), Amount(50, percent=True), Amount(0)]
    surge = draw(st.sampled_from(surges[:-1] if alone else surges))
    unavailable = Amount(1) if not surge.value else draw(st.sampled_from([Amount(0), Amount(0), Amount(1)]))
    return Policy(
        surge=surge,
        unavailable=unavailable,
        strategy=draw(st.sampled_from(["rolling", "rolling", "rolling", "double"])),
        canary=draw(st.sampled_from([0, 0, 1, 2])),
        bake=draw(st.sampled_from([timedelta(), timedelta(minutes=1)])),
        canary_inconclusive="go",
        good_readings=draw(st.integers(1, 2)),
        all=draw(st.sampled_from([False, False, True])),
    )


DEATHS = st.lists(st.builds(Death, st.integers(1, 40), st.booleans()), max_size=3).map(tuple)


@CASES
@given(st.data(), groups(), DEATHS, st.integers(0, 2**16))
def test_a_roll_that_is_killed_anywhere_keeps_its_promises(
    data: st.DataObject, sets: tuple[GroupSet, ...], deaths: tuple[Death, ...], seed: int
) -> None:
    hosts = sum(group.hosts for group in sets)
    policy = data.draw(policies(alone=hosts == 1), label="policy")
    wanted = data.draw(services(hosts, room=policy.surge.value > 0), label="services")
    stage = stage_of(*sets, services=wanted, seed=seed, quick=True)
    told = carry_out(stage, policy, deaths=deaths)
    assert told.verdict is not None
    assert told.verdict.result in {"done", "nothing"}, told.verdict
    for group in sets:
        # A capacity provider may have taken the empty ones meanwhile, all of them even.
        assert set(s.images(stage, group.name)) <= {stage.new_image[group.name]}
    event(f"{len(told.deaths)} deaths")


def a_roll_through_trouble(data: st.DataObject, sets: tuple[GroupSet, ...], case: trouble.Case, seed: int) -> None:
    """One case of the property below; ``python -m tests.long_run`` plays thousands of them."""
    hosts = sum(group.hosts for group in sets)
    policy = data.draw(policies(alone=hosts == 1), label="policy")
    wanted = data.draw(services(hosts, room=policy.surge.value > 0), label="services")
    stage = stage_of(*sets, services=wanted, seed=seed, quick=True)
    told = trouble.play(stage, policy, case, seed)
    ended = trouble.ends(told)
    verdict = told[-1].verdict if told[-1] else told[0].verdict
    assert verdict is not None
    assert ended[-1] in {"done", "nothing"}, [one.verdict for one in told if one]
    for group in sets:
        assert set(s.images(stage, group.name)) <= {stage.new_image[group.name]}
    event(" then ".join(ended))


@settings(CASES, max_examples=300)
@given(st.data(), groups(), trouble.CASES, st.integers(0, 2**16))
def test_whatever_happens_to_a_roll_its_promises_hold_and_it_can_be_finished(
    data: st.DataObject, sets: tuple[GroupSet, ...], case: trouble.Case, seed: int
) -> None:
    a_roll_through_trouble(data, sets, case, seed)
