"""Target groups (aws-facts 3.6 and 9)."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecsroll.simulator.balancer import TargetGroup
from tests.simulator.containers import Yard


def health(yard: Yard, group: TargetGroup, *targets: dict[str, Any]) -> list[str]:
    wanted = {"Targets": list(targets)} if targets else {}
    answer = yard.sim.client("elbv2").describe_target_health(TargetGroupArn=group.arn, **wanted)
    return [each["TargetHealth"]["State"] for each in answer["TargetHealthDescriptions"]]


def test_a_target_is_initial_then_healthy() -> None:
    yard = Yard(1)
    group = yard.group()
    instance = yard.hosts[0].instance.id
    yard.sim.client("elbv2").register_targets(TargetGroupArn=group.arn, Targets=[{"Id": instance, "Port": 8080}])
    assert health(yard, group) == ["initial"]
    yard.sim.sleep(31)
    assert health(yard, group) == ["healthy"]


def test_a_deregistered_target_drains_for_the_whole_delay_fact_3_6() -> None:
    yard = Yard(1)
    group = yard.group(delay=300)
    target = yard.sim.balancer.register(group, yard.hosts[0].instance.id, 8080)
    yard.sim.sleep(31)
    yard.sim.balancer.deregister(target)
    yard.sim.sleep(299)
    assert health(yard, group) == ["draining"]
    yard.sim.sleep(2)
    assert health(yard, group) == []
    assert health(yard, group, {"Id": target.id, "Port": 8080}) == ["unused"]


def test_one_instance_has_a_target_for_each_port() -> None:
    yard = Yard(1)
    group = yard.group()
    yard.service(desired=3, **yard.behind(group))
    assert len({port for _, port in group.targets}) == 3
    assert {target_id for target_id, _ in group.targets} == {yard.hosts[0].instance.id}


def test_awsvpc_tasks_are_targets_by_address() -> None:
    yard = Yard(1)
    group = yard.sim.balancer.served_group("ip", TargetType="ip")
    behind = yard.behind(group)
    behind["container"]["task"] = {"networkMode": "awsvpc"}
    service = yard.service(desired=1, **behind)
    (task,) = service.tasks
    assert list(group.targets) == [(task.address, 80)]


def test_an_image_whose_targets_stay_unhealthy() -> None:
    yard = Yard(1)
    yard.sim.conditions.images_whose_targets_stay_unhealthy.add(yard.image)
    group = yard.group()
    yard.sim.balancer.register(group, yard.hosts[0].instance.id, 8080)
    yard.sim.sleep(120)
    assert health(yard, group) == ["unhealthy"]


def test_a_recovering_target_needs_five_good_checks_fact_9() -> None:
    yard = Yard(1)
    group = yard.group()
    target = yard.sim.balancer.register(group, yard.hosts[0].instance.id, 8080)
    yard.sim.sleep(31)
    yard.sim.balancer.fail(target)
    yard.sim.sleep(61)
    assert target.state == "unhealthy"
    yard.sim.balancer.recover(target)
    yard.sim.sleep(149)
    assert target.state == "unhealthy"
    yard.sim.sleep(2)
    assert target.state == "healthy"


def test_a_terminated_instance_is_deregistered() -> None:
    yard = Yard(1)
    group = yard.group(delay=60)
    target = yard.sim.balancer.register(group, yard.hosts[0].instance.id, 8080)
    yard.sim.sleep(31)
    yard.sim.compute.terminate(target.id)
    assert target.state == "draining"


def test_the_deregistration_delay_is_an_attribute_with_limits() -> None:
    yard = Yard(0)
    group = yard.group()
    elb = yard.sim.client("elbv2")
    key = "deregistration_delay.timeout_seconds"
    elb.modify_target_group_attributes(TargetGroupArn=group.arn, Attributes=[{"Key": key, "Value": "17"}])
    said = elb.describe_target_group_attributes(TargetGroupArn=group.arn)["Attributes"]
    assert {"Key": key, "Value": "17"} in said
    with pytest.raises(ClientError, match="between 0 and 3600"):
        elb.modify_target_group_attributes(TargetGroupArn=group.arn, Attributes=[{"Key": key, "Value": "4000"}])


def test_the_waiter_of_boto3_sees_the_target_in_service() -> None:
    yard = Yard(1)
    group = yard.group()
    yard.service(desired=1, **yard.behind(group))
    yard.sim.client("elbv2").get_waiter("target_in_service").wait(TargetGroupArn=group.arn)


def test_a_load_balancer_a_listener_and_a_group_are_made_by_calls() -> None:
    yard = Yard(0)
    elb = yard.sim.client("elbv2")
    group = elb.create_target_group(Name="web", Protocol="HTTP", Port=80)["TargetGroups"][0]
    made = elb.create_load_balancer(Name="main", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
    forward: Any = [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]
    elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=forward)
    (shown,) = elb.describe_target_groups(Names=["web"])["TargetGroups"]
    assert shown["LoadBalancerArns"] == [made["LoadBalancerArn"]]


def test_an_unknown_target_group_is_an_error() -> None:
    yard = Yard(0)
    with pytest.raises(ClientError, match="not found"):
        yard.sim.client("elbv2").describe_target_health(TargetGroupArn="arn:none")


def test_a_task_behind_a_target_group_dies_with_its_host_of_the_hosts_death_fact_3_8() -> None:
    yard = Yard(2)
    service = yard.service(desired=2, **yard.behind(yard.group()))
    host = yard.hosts[0]
    (task,) = host.live
    yard.sim.compute.terminate(host.instance.id)
    yard.sim.sleep(60)
    assert task.stop_code == "TerminationNotice"
    yard.sim.sleep(120)
    assert len(service.healthy) == 2
