"""Container instances in DRAINING (aws-facts section 3)."""

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.containers import Yard


def test_running_tasks_are_replaced_before_they_are_stopped_fact_3_2() -> None:
    yard = Yard(3)
    service = yard.service(desired=3, percents=(100, 200))
    (moved,) = yard.hosts[0].live
    yard.drain(yard.hosts[0])
    least = 3
    while moved.last_status != "STOPPED":
        yard.sim.sleep(1)
        least = min(least, len(service.healthy))
    assert least == 3
    assert moved.stopped_reason is not None
    assert moved.stopped_reason.startswith("Scaling activity initiated by (deployment ecs-svc/")


def test_pending_tasks_are_stopped_at_once_fact_3_2() -> None:
    yard = Yard(2)
    yard.sim.world.durations.task_starts = (300, 300)
    service = yard.service(desired=2, percents=(100, 100), wait=10)
    (waiting,) = yard.hosts[0].live
    assert waiting.last_status == "PENDING"
    yard.drain(yard.hosts[0])
    yard.sim.sleep(10)
    assert waiting.desired_status == "STOPPED"
    assert service.desired == 2


def test_standalone_tasks_are_left_alone_fact_3_2() -> None:
    yard = Yard(1)
    task = yard.run()
    yard.sim.sleep(30)
    yard.drain(yard.hosts[0])
    yard.sim.sleep(48 * 3600)
    assert task.last_status == "RUNNING"


def test_the_daemon_is_the_last_to_go_and_is_not_replaced_fact_3_2() -> None:
    yard = Yard(2)
    yard.service("daemon", schedulingStrategy="DAEMON")
    yard.service(desired=2)
    host = yard.hosts[0]
    yard.drain(host)
    yard.sleep_until(lambda: len(host.live) == 1)
    assert [task.daemon for task in host.live] == [True]
    yard.sleep_until(lambda: not host.live)
    assert len(yard.cluster.services["daemon"].tasks) == 1


def test_a_protected_task_holds_the_drain_until_it_expires_fact_3_5() -> None:
    yard = Yard(2)
    yard.service(desired=2)
    host = yard.hosts[0]
    (task,) = host.live
    yard.ecs.update_task_protection(cluster="prod", tasks=[task.arn], protectionEnabled=True, expiresInMinutes=30)
    yard.drain(host)
    yard.sim.sleep(29 * 60)
    assert task.last_status == "RUNNING"
    yard.sleep_until(lambda: not host.live, limit=300)


def test_protection_does_not_hold_a_drain_when_the_conditions_say_so() -> None:
    yard = Yard(2)
    yard.sim.conditions.protection_holds_drains = False
    yard.service(desired=2)
    host = yard.hosts[0]
    (task,) = host.live
    yard.ecs.update_task_protection(cluster="prod", tasks=[task.arn], protectionEnabled=True)
    yard.drain(host)
    yard.sleep_until(lambda: not host.live, limit=600)


def test_back_to_active_keeps_the_tasks_fact_3_1() -> None:
    yard = Yard(2)
    yard.sim.world.durations.counted_healthy = 300.0
    yard.service(desired=2, wait=400)
    host = yard.hosts[0]
    (task,) = host.live
    yard.drain(host)
    yard.sim.sleep(30)
    yard.drain(host, status="ACTIVE")
    yard.sim.sleep(900)
    assert task.last_status == "RUNNING"
    assert len(yard.cluster.services["web"].tasks) == 2


DEADLOCKS: dict[str, tuple[int, int, int]] = {
    "100 and 100 leave no room at all": (3, 100, 100),
    "125 % of 3 rounds down to 3, 100 % keeps all": (3, 100, 125),
    "one task, 100 and 150": (1, 100, 150),
    "75 % of 2 rounds up to 2, 125 % of 2 down to 2": (2, 75, 125),
}


@pytest.mark.parametrize(("desired", "low", "high"), DEADLOCKS.values(), ids=DEADLOCKS)
def test_bounds_that_never_let_a_drain_end_fact_3_3(desired: int, low: int, high: int) -> None:
    yard = Yard(3)
    yard.service(desired=desired, percents=(low, high))
    host = next(host for host in yard.hosts if host.live)
    yard.drain(host)
    yard.sim.sleep(4 * 3600)
    assert host.live
    assert any("unable to stop or start tasks during a deployment" in event for event in yard.events())


def test_a_drain_of_a_host_without_agent_hangs_fact_3_7() -> None:
    yard = Yard(2)
    yard.service(desired=2)
    host = yard.hosts[0]
    yard.sim.conditions.instances_without_agent.add(host.instance.id)
    yard.drain(host)
    yard.sim.sleep(6 * 3600)
    (task,) = host.live
    assert (task.desired_status, task.last_status) == ("STOPPED", "RUNNING")


def test_replacements_may_land_on_the_next_old_host_fact_3_2() -> None:
    yard = Yard(2)
    service = yard.service(desired=2)
    yard.drain(yard.hosts[0])
    yard.sim.sleep(300)
    assert {task.host for task in service.tasks} == {yard.hosts[1]}


def test_a_drain_is_no_deployment_fact_8_5() -> None:
    yard = Yard(3)
    yard.service(desired=3, wait=300)
    yard.drain(yard.hosts[0])
    yard.sim.sleep(20)
    (deployment,) = yard.describe()["deployments"]
    assert deployment["rolloutState"] == "COMPLETED"


@st.composite
def services(draw: Any) -> dict[str, Any]:
    low = draw(st.sampled_from([0, 30, 50, 75, 100]))
    high = draw(st.sampled_from([100, 125, 150, 200]))
    return {
        "desired": draw(st.integers(1, 7)),
        "percents": (low, high),
        "cpu": draw(st.sampled_from([64, 128, 256])),
        "balanced": draw(st.booleans()),
        "strategy": draw(st.sampled_from([[], [{"type": "binpack", "field": "memory"}], [{"type": "random"}]])),
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wanted=st.lists(services(), min_size=1, max_size=3), seed=st.integers(0, 99), many=st.integers(1, 2))
def test_a_drain_keeps_the_bounds_and_ends_if_it_can(wanted: list[dict[str, Any]], seed: int, many: int) -> None:
    yard = Yard(4, seed=seed)
    made = []
    for number, each in enumerate(wanted):
        extra: dict[str, Any] = yard.behind(yard.group(f"g{number}", delay=20)) if each["balanced"] else {}
        container = {**extra.pop("container", {}), "cpu": each["cpu"], "memory": 128}
        options = {"percents": each["percents"], "placementStrategy": each["strategy"], "container": container}
        made.append(yard.service(f"s{number}", each["desired"], wait=0, **options, **extra))
    yard.sim.sleep(300)
    assert all(len(service.healthy) == service.desired for service in made)
    hosts = yard.hosts[:many]
    yard.drain(*hosts)
    # On the hosts that stay, less what may be lost between tasks of different sizes.
    fits = sum(each["desired"] * each["cpu"] for each in wanted) <= (4 - many) * (2048 - 256)
    movable = fits and all(can_move(service.desired, *service.percents) for service in made)
    for _ in range(300):
        yard.sim.sleep(3)
        for service in made:
            low, high = service.percents
            assert len(service.healthy) >= math.ceil(service.desired * low / 100)
            assert len(service.tasks) <= max(service.desired, service.desired * high // 100)
        for host in yard.hosts:
            assert min(host.free_cpu, host.free_memory) >= 0
    if movable:
        assert not any(host.live for host in hosts)
        assert all(len(service.healthy) == service.desired for service in made)


def can_move(desired: int, low: int, high: int) -> bool:
    return desired * high // 100 > desired or math.ceil(desired * low / 100) < desired
