"""The service scheduler and placement (aws-facts section 8)."""

from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecsroll.simulator.cluster import ContainerInstance
from ecsroll.simulator.services import Service
from tests.simulator.containers import Yard


def zones(service: Service) -> list[int]:
    return sorted(Counter(task.zone for task in service.tasks).values())


def hosts(service: Service) -> list[int]:
    return sorted(Counter(task.host for task in service.tasks).values())


# placement


def test_a_service_without_strategy_spreads_over_zones_then_hosts_fact_8_1() -> None:
    yard = Yard(6)
    service = yard.service(desired=6)
    assert zones(service) == [2, 2, 2]
    assert hosts(service) == [1] * 6


def test_binpack_fills_one_host_before_the_next_fact_8_1() -> None:
    yard = Yard(3)
    service = yard.service(desired=8, placementStrategy=[{"type": "binpack", "field": "cpu"}])
    assert hosts(service) == [8]


def test_spread_over_a_custom_attribute() -> None:
    yard = Yard(4)
    for number, host in enumerate(yard.hosts):
        rack = {"name": "rack", "value": "one" if number == 0 else "other", "targetId": host.arn}
        yard.ecs.put_attributes(cluster="prod", attributes=[rack])
    service = yard.service(desired=4, placementStrategy=[{"type": "spread", "field": "attribute:rack"}])
    assert sum(task.host is yard.hosts[0] for task in service.tasks) == 2


def test_distinct_instance_puts_one_task_on_a_host_and_waits_with_the_rest() -> None:
    yard = Yard(2)
    service = yard.service(desired=3, placementConstraints=[{"type": "distinctInstance"}])
    assert hosts(service) == [1, 1]
    yard.add_hosts(1)
    yard.sim.sleep(60)
    assert hosts(service) == [1, 1, 1]


def test_member_of_a_zone_keeps_to_it() -> None:
    yard = Yard(3)
    here = {"type": "memberOf", "expression": "attribute:ecs.availability-zone == eu-west-1b"}
    service = yard.service(desired=3, placementConstraints=[here])
    assert {task.zone for task in service.tasks} == {"eu-west-1b"}


def test_the_fence_keeps_replacements_off_marked_hosts() -> None:
    yard = Yard(3)
    fence = {"type": "memberOf", "expression": "attribute:ecsroll.outdated !exists"}
    service = yard.service(desired=3, placementConstraints=[fence])
    marked = yard.hosts[:2]
    marks: list[Any] = [{"name": "ecsroll.outdated", "targetId": host.arn} for host in marked]
    yard.ecs.put_attributes(cluster="prod", attributes=marks)
    yard.sim.sleep(120)
    assert hosts(service) == [1, 1, 1]
    yard.drain(marked[0])
    yard.sim.sleep(300)
    assert sum(task.host is yard.hosts[2] for task in service.tasks) == 2


def test_a_fixed_host_port_allows_one_task_a_host() -> None:
    yard = Yard(2)
    port = {"portMappings": [{"containerPort": 80, "hostPort": 80}]}
    service = yard.service(desired=3, container=port)
    assert hosts(service) == [1, 1]
    assert any("is already using a port required by your task" in event for event in yard.events())


def test_awsvpc_tasks_are_limited_by_network_interfaces_fact_8_1() -> None:
    yard = Yard(1)
    service = yard.service(desired=5, container={"task": {"networkMode": "awsvpc"}})
    assert hosts(service) == [2]


def test_no_room_is_said_in_awss_words_fact_8_6() -> None:
    yard = Yard(1)
    yard.service(desired=5, container={"cpu": 1000})
    assert any(
        "was unable to place a task because no container instance met all of its requirements" in event
        and "has insufficient CPU units available" in event
        for event in yard.events()
    )


def test_tasks_that_wait_for_room_start_when_a_host_comes() -> None:
    yard = Yard(1)
    service = yard.service(desired=3, container={"cpu": 1024})
    assert len(service.tasks) == 2
    yard.add_hosts(1)
    yard.sim.sleep(60)
    assert len(service.healthy) == 3


def test_run_task_says_why_not_for_each_host() -> None:
    yard = Yard(2)
    yard.definition("huge", cpu=5000)
    answer = yard.ecs.run_task(cluster="prod", taskDefinition="huge")
    assert [failure["reason"] for failure in answer["failures"]] == ["RESOURCE:CPU", "RESOURCE:CPU"]


def test_a_disconnected_host_gets_no_tasks_fact_3_7() -> None:
    yard = Yard(2)
    yard.sim.conditions.instances_without_agent.add(yard.hosts[0].instance.id)
    service = yard.service(desired=4)
    assert {task.host for task in service.tasks} == {yard.hosts[1]}


# daemons


def test_a_daemon_runs_once_on_each_host_and_comes_first_on_a_new_one_fact_8_1() -> None:
    yard = Yard(1)
    daemon = yard.service("daemon", schedulingStrategy="DAEMON", container={"cpu": 512})
    yard.service(desired=4, container={"cpu": 1024})
    yard.add_hosts(2)
    yard.sim.sleep(60)
    assert hosts(daemon) == [1, 1, 1]


def test_a_daemon_leaves_hosts_that_no_longer_match() -> None:
    yard = Yard(2)
    fence = {"type": "memberOf", "expression": "attribute:off !exists"}
    daemon = yard.service("daemon", schedulingStrategy="DAEMON", placementConstraints=[fence])
    off: list[Any] = [{"name": "off", "targetId": yard.hosts[0].arn}]
    yard.ecs.put_attributes(cluster="prod", attributes=off)
    yard.sim.sleep(60)
    assert [task.host for task in daemon.tasks] == [yard.hosts[1]]


# counts and deployments


def test_scale_in_takes_from_the_fullest_zone_fact_3_3() -> None:
    yard = Yard(3)
    service = yard.service(desired=7)
    yard.ecs.update_service(cluster="prod", service="web", desiredCount=4)
    yard.sim.sleep(60)
    assert zones(service) == [1, 1, 2]


def test_a_new_task_definition_is_rolled_out_within_the_bounds() -> None:
    yard = Yard(3)
    service = yard.service(desired=4, percents=(50, 100))
    yard.ecs.update_service(cluster="prod", service="web", taskDefinition=yard.definition("web"))
    least = most = 4
    while len(service.deployments) > 1 or service.primary.rollout_state == "IN_PROGRESS":
        yard.sim.sleep(1)
        least, most = min(least, len(service.healthy)), max(most, len(service.tasks))
    assert (least, most) == (2, 4)
    assert {task.definition.revision for task in service.tasks} == {2}


def test_a_forced_deployment_replaces_every_task() -> None:
    yard = Yard(3)
    service = yard.service(desired=3)
    before = set(service.tasks)
    yard.ecs.update_service(cluster="prod", service="web", forceNewDeployment=True)
    yard.sim.sleep(300)
    assert not before & set(service.tasks)
    assert len(service.healthy) == 3


def test_the_waiter_of_boto3_sees_the_service_stable() -> None:
    yard = Yard(3)
    yard.service(desired=3)
    yard.ecs.get_waiter("services_stable").wait(cluster="prod", services=["web"])
    assert any("has reached a steady state" in event for event in yard.events())


def test_500_tasks_a_service_and_minute_at_most_fact_6_3() -> None:
    yard = Yard(6, instance_type="m5.12xlarge")
    service = yard.service(desired=900, container={"cpu": 8, "memory": 8}, wait=60)
    assert 300 <= len(service.tasks) <= 600


# what goes wrong


def test_tasks_that_crash_after_running_are_restarted_without_throttle_fact_7_6() -> None:
    yard = Yard(2)
    yard.sim.conditions.images_that_crash_tasks.add(yard.image)
    service = yard.service(desired=2, wait=600)
    assert service.primary.failed > 30
    assert service.held_until == 0.0
    crashed = next(task for task in service.visible if task.last_status == "STOPPED")
    assert (crashed.exit_code, crashed.stop_code) == (1, "EssentialContainerExited")


def test_tasks_that_never_run_are_started_ever_more_slowly_fact_8_3() -> None:
    yard = Yard(2)
    yard.sim.conditions.families_that_fail_to_start.add("web")
    service = yard.service(desired=1, wait=3600)
    assert service.primary.failed < 20
    assert "(service web) is unable to consistently start tasks successfully." in yard.events()


def test_the_circuit_breaker_rolls_back_fact_8_3() -> None:
    yard = Yard(3)
    breaker: Any = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    service = yard.service(desired=2, deploymentConfiguration=breaker)
    yard.sim.conditions.families_that_fail_to_start.add("broken")
    yard.ecs.update_service(cluster="prod", service="web", taskDefinition=yard.definition("broken"))
    yard.sim.sleep(1800)
    assert service.primary.definition.family == "web"
    assert len(service.healthy) == 2


def test_a_task_whose_target_stays_unhealthy_is_replaced_fact_7_6() -> None:
    yard = Yard(2)
    yard.sim.conditions.images_whose_targets_stay_unhealthy.add(yard.image)
    group = yard.group(delay=10)
    service = yard.service(desired=1, wait=400, **yard.behind(group))
    gone = [task for task in service.visible if task.last_status == "STOPPED"]
    assert gone
    assert gone[0].stopped_reason == f"Task failed ELB health checks in (target-group {group.arn})"


def test_the_grace_period_keeps_failed_checks_from_counting_fact_8_3() -> None:
    yard = Yard(2)
    yard.sim.conditions.images_whose_targets_stay_unhealthy.add(yard.image)
    behind = yard.behind(yard.group())
    service = yard.service(desired=1, wait=600, healthCheckGracePeriodSeconds=3600, **behind)
    (task,) = service.visible
    assert task.last_status == "RUNNING"
    assert not service.healthy


def test_a_target_group_without_load_balancer_is_refused() -> None:
    yard = Yard(1)
    group = yard.sim.balancer.create_group("lonely")
    with pytest.raises(ClientError, match="does not have an associated load balancer"):
        yard.service(desired=1, **yard.behind(group))


def test_unknown_services_are_failures_of_the_answer() -> None:
    yard = Yard(0)
    answer = yard.ecs.describe_services(cluster="prod", services=["none"])
    assert answer["failures"][0]["reason"] == "MISSING"


def test_a_fargate_service_runs_beside_the_hosts() -> None:
    yard = Yard(0)
    service = yard.service(desired=2, launchType="FARGATE", container={"task": {"networkMode": "awsvpc"}})
    assert [task.launch_type for task in service.healthy] == ["FARGATE", "FARGATE"]


def test_az_rebalancing_moves_tasks_by_itself_when_the_conditions_say_so_fact_8_4() -> None:
    yard = Yard(0)
    for zone in "aab":
        yard.launch(zone=zone)
    yard.sim.sleep(120)
    service = yard.service(desired=6)
    yard.drain(*[host for host in yard.hosts if host.zone == "eu-west-1b"])
    yard.sim.sleep(300)
    assert zones(service) == [6]
    yard.sim.conditions.zones_are_rebalanced = True
    yard.drain(*[host for host in yard.hosts if host.zone == "eu-west-1b"], status="ACTIVE")
    yard.ecs.update_service(cluster="prod", service="web", desiredCount=6)
    yard.sim.sleep(3600)
    assert zones(service) == [3, 3]


def test_gpus_are_taken_by_the_piece() -> None:
    yard = Yard(1, instance_type="g4dn.12xlarge")
    gpu = {"resourceRequirements": [{"type": "GPU", "value": "2"}]}
    service = yard.service(desired=3, container=gpu)
    assert hosts(service) == [2]


def test_a_code_deploy_service_drains_by_100_and_200_fact_3_2() -> None:
    yard = Yard(2)
    service = yard.service(desired=2, percents=(0, 100), deploymentController={"type": "CODE_DEPLOY"})
    assert (service.lower, service.upper) == (2, 4)


def test_the_same_seed_gives_the_same_story() -> None:
    def story(seed: int) -> list[str]:
        yard = Yard(4, seed=seed)
        yard.service(desired=6, **yard.behind(yard.group(delay=30)))
        yard.drain(yard.hosts[0])
        yard.sim.sleep(300)
        return yard.events()

    assert story(7) == story(7)


def test_a_quiet_cluster_costs_nothing() -> None:
    yard = Yard(3)
    yard.service(desired=3, wait=300)
    before = len(yard.sim.world.diary)
    yard.sim.sleep(30 * 24 * 3600)
    assert len(yard.sim.world.diary) == before


# the books


def check_books(yard: Yard) -> None:
    tasks = list(yard.cluster.tasks.values())
    wanted = [task for task in tasks if task.desired_status == "RUNNING"]
    assert yard.cluster.running == sum(task.last_status == "RUNNING" for task in wanted)
    assert yard.cluster.pending == sum(task.last_status != "RUNNING" for task in wanted)
    for host in yard.hosts:
        live = [task for task in tasks if task.host is host and task.last_status != "STOPPED"]
        assert set(host.live) == set(live)
        assert host.used_cpu == sum(task.definition.needs.cpu for task in live) <= host.cpu
        assert host.movable == sum(not task.daemon for task in live)
        assert len(host.ports) == sum(len(task.bindings) for task in live)
    for service in yard.cluster.services.values():
        mine = [task for task in wanted if task.service is service]
        assert set(service.tasks) == set(mine)
        assert service.crowd.hosts == Counter(task.host for task in mine if task.host is not None)
        assert set(service.pending) == {task for task in mine if task.last_status != "RUNNING"}


DEEDS = ("drain", "undrain", "kill", "grow", "scale", "deploy", "flap", "deregister", "stop", "wait")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deeds=st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 5)), max_size=12), seed=st.integers(0, 99))
def test_the_books_agree_with_a_fresh_count_whatever_happens(deeds: list[tuple[str, int]], seed: int) -> None:
    yard = Yard(4, seed=seed)
    yard.service("daemon", schedulingStrategy="DAEMON", container={"cpu": 64}, wait=0)
    yard.service("web", 5, wait=0, **yard.behind(yard.group(delay=20)))
    yard.service("packed", 4, placementStrategy=[{"type": "binpack", "field": "memory"}])
    for deed, number in deeds:
        do(yard, deed, number)
        check_books(yard)
        yard.sim.sleep(7 * number)
        check_books(yard)
    yard.sim.sleep(900)
    check_books(yard)


def do(yard: Yard, deed: str, number: int) -> None:
    host = yard.hosts[number % len(yard.hosts)] if yard.hosts else None
    if deed == "grow":
        yard.launch()
    elif deed == "scale":
        yard.ecs.update_service(cluster="prod", service="web", desiredCount=number)
    elif deed == "deploy":
        yard.ecs.update_service(cluster="prod", service="packed", forceNewDeployment=True)
    elif host is not None:
        do_to(yard, deed, host)


def do_to(yard: Yard, deed: str, host: ContainerInstance) -> None:
    if deed == "drain":
        yard.drain(host)
    elif deed == "undrain":
        yard.drain(host, status="ACTIVE")
    elif deed == "kill":
        yard.sim.compute.terminate(host.instance.id)
    elif deed == "flap":
        yard.sim.clusters.flap(host, 20)
    elif deed == "deregister":
        yard.sim.clusters.deregister(host, force=True)
    elif deed == "stop" and host.live:
        yard.ecs.stop_task(cluster="prod", task=next(iter(host.live)).arn)
