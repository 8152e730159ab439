"""Container instances: how they come, what they say, how they end (aws-facts 3 and 8)."""

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.simulator.containers import Yard


def described(yard: Yard, number: int = 0) -> dict[str, Any]:
    arn = yard.hosts[number].arn
    found: dict[str, Any] = yard.ecs.describe_container_instances(cluster="prod", containerInstances=[arn])
    return dict(found["containerInstances"][0])


def amount(resources: list[dict[str, Any]], name: str) -> int:
    return int(next(resource["integerValue"] for resource in resources if resource["name"] == name))


def test_a_host_registers_some_time_after_it_runs() -> None:
    yard = Yard(0)
    instance = yard.launch()
    yard.sleep_until(lambda: instance.state == "running")
    assert not yard.hosts
    assert 10 <= yard.sleep_until(lambda: yard.hosts) <= 41


def test_built_in_attributes_tell_image_type_and_zone_fact_8_1() -> None:
    yard = Yard(1)
    said = {each["name"]: each.get("value") for each in described(yard)["attributes"]}
    assert said["ecs.ami-id"] == yard.image
    assert said["ecs.instance-type"] == "m5.large"
    assert said["ecs.os-type"] == "linux"


@pytest.mark.parametrize(
    ("line", "attributes"),
    [
        ('ECS_INSTANCE_ATTRIBUTES={"group":"web","tier":"2"}', {"group": "web", "tier": "2"}),
        (r'echo "ECS_INSTANCE_ATTRIBUTES={\"group\": \"web\"}" >> /etc/ecs/ecs.config', {"group": "web"}),
        ("ECS_INSTANCE_ATTRIBUTES={group: web}", {}),
        ("ECS_LOGLEVEL=info", {}),
    ],
    ids=["as a file", "echoed", "no JSON", "none"],
)
def test_a_host_registers_with_the_attributes_of_its_ecs_config(line: str, attributes: dict[str, str]) -> None:
    yard = Yard(0)
    script = base64.b64encode(f"#!/bin/sh\nECS_CLUSTER=prod\n{line}\n".encode()).decode()
    launch = {"ImageId": yard.image, "InstanceType": "m5.large", "UserData": script}
    yard.sim.compute.launch(launch, subnet_id=yard.sim.compute.subnet_of("eu-west-1a"))
    yard.sleep_until(lambda: yard.hosts)
    assert yard.hosts[0].custom == attributes
    said = {each["name"]: each.get("value") for each in described(yard)["attributes"]}
    assert attributes.items() <= said.items()


def test_resources_are_taken_and_given_back_fact_7_3() -> None:
    yard = Yard(1)
    task = yard.run(cpu=256, memory=512)
    shown = described(yard)
    assert amount(shown["registeredResources"], "CPU") == 2048
    assert amount(shown["remainingResources"], "CPU") == 2048 - 256
    yard.sim.sleep(30)
    yard.ecs.stop_task(cluster="prod", task=task.arn)
    yard.sim.sleep(60)
    assert amount(described(yard)["remainingResources"], "CPU") == 2048


def test_the_version_rises_with_each_change_fact_7_1() -> None:
    yard = Yard(1)
    before = described(yard)["version"]
    yard.run()
    assert described(yard)["version"] > before


def test_an_image_that_never_registers() -> None:
    yard = Yard(0)
    yard.sim.conditions.images_that_never_register.add(yard.image)
    yard.add_hosts(1, wait=3600)
    assert not yard.hosts


def test_an_image_whose_agent_never_connects() -> None:
    yard = Yard(0)
    yard.sim.conditions.images_whose_agent_never_connects.add(yard.image)
    yard.add_hosts(1)
    assert [host.agent_connected for host in yard.hosts] == [False]


def test_an_agent_flaps_and_comes_back_fact_3_7() -> None:
    yard = Yard(1)
    yard.sim.clusters.flap(yard.hosts[0], 30)
    assert not described(yard)["agentConnected"]
    yard.sim.sleep(31)
    assert described(yard)["agentConnected"]


def test_update_state_is_partial_and_names_what_failed_fact_3_1() -> None:
    yard = Yard(2)
    gone, stays = yard.hosts
    yard.ecs.deregister_container_instance(cluster="prod", containerInstance=gone.arn)
    answer = yard.drain(gone, stays)
    assert [each["containerInstanceArn"] for each in answer["containerInstances"]] == [stays.arn]
    assert [each["reason"] for each in answer["failures"]] == ["INACTIVE"]


def test_ten_hosts_a_call_fact_6_2() -> None:
    yard = Yard(11)
    with pytest.raises(ClientError, match="at most 10"):
        yard.drain(*yard.hosts)


def test_other_states_are_refused_fact_3_1() -> None:
    yard = Yard(1)
    with pytest.raises(ClientError, match=r"ACTIVE,DRAINING"):
        yard.drain(yard.hosts[0], status="DEREGISTERING")


def test_a_list_is_filtered_by_status_and_query() -> None:
    yard = Yard(3)
    yard.drain(yard.hosts[0])
    arns = yard.ecs.list_container_instances(cluster="prod", status="DRAINING")["containerInstanceArns"]
    assert arns == [yard.hosts[0].arn]
    query = "attribute:ecs.availability-zone == eu-west-1c"
    assert len(yard.ecs.list_container_instances(cluster="prod", filter=query)["containerInstanceArns"]) == 1


def test_a_host_with_running_tasks_is_deregistered_by_force_only_fact_3_8() -> None:
    yard = Yard(2)
    service = yard.service(desired=2)
    host = yard.hosts[0]
    (task,) = host.live
    with pytest.raises(ClientError, match="Found running tasks"):
        yard.ecs.deregister_container_instance(cluster="prod", containerInstance=host.arn)
    yard.ecs.deregister_container_instance(cluster="prod", containerInstance=host.arn, force=True)
    assert task.stopped_reason == "Container instance deregistration forced by user"
    assert task.orphaned
    assert task.alive
    yard.sim.sleep(120)
    assert len(service.healthy) == 2


def test_deregistering_does_not_wait_for_tasks_that_are_told_to_stop_fact_3_4() -> None:
    yard = Yard(1)
    service = yard.service(desired=1, **yard.behind(yard.group()))
    host = yard.hosts[0]
    yard.ecs.update_service(cluster="prod", service="web", desiredCount=0)
    yard.sim.sleep(30)
    assert host.live
    assert not service.tasks
    yard.ecs.deregister_container_instance(cluster="prod", containerInstance=host.arn)
    assert not yard.hosts


def test_a_deregistered_host_is_described_as_inactive_for_an_hour_fact_6_6() -> None:
    yard = Yard(1)
    arn = yard.hosts[0].arn
    yard.ecs.deregister_container_instance(cluster="prod", containerInstance=arn)
    answer = yard.ecs.describe_container_instances(cluster="prod", containerInstances=[arn])
    assert answer["containerInstances"][0]["status"] == "INACTIVE"
    assert yard.ecs.list_container_instances(cluster="prod")["containerInstanceArns"] == []
    yard.sim.sleep(3601)
    answer = yard.ecs.describe_container_instances(cluster="prod", containerInstances=[arn])
    assert answer["failures"][0]["reason"] == "MISSING"


def test_a_terminated_host_vanishes_by_itself_fact_3_8() -> None:
    yard = Yard(1)
    yard.sim.compute.terminate(yard.hosts[0].instance.id)
    assert 10 <= yard.sleep_until(lambda: not yard.hosts) <= 31


def test_a_terminated_host_without_agent_stays_as_a_zombie_fact_3_8() -> None:
    yard = Yard(1)
    host = yard.hosts[0]
    yard.sim.conditions.instances_without_agent.add(host.instance.id)
    assert not described(yard)["agentConnected"]
    yard.sim.compute.terminate(host.instance.id)
    yard.sim.sleep(24 * 3600)
    assert described(yard)["status"] == "ACTIVE"
    yard.ecs.deregister_container_instance(cluster="prod", containerInstance=host.arn, force=True)
    assert not yard.hosts


def test_a_stopped_host_stays_registered_and_its_tasks_end_fact_3_8() -> None:
    yard = Yard(1)
    task = yard.run()
    yard.sim.sleep(30)
    host = yard.hosts[0]
    yard.sim.compute.stop(host.instance)
    yard.sim.sleep(120)
    assert (task.stop_code, host.status, host.agent_connected) == ("TerminationNotice", "ACTIVE", False)


def test_ten_custom_attributes_and_no_more_fact_10() -> None:
    yard = Yard(1)
    arn = yard.hosts[0].arn
    ten: list[Any] = [{"name": f"a{number}", "value": "x", "targetId": arn} for number in range(10)]
    yard.ecs.put_attributes(cluster="prod", attributes=ten)
    yard.ecs.put_attributes(cluster="prod", attributes=ten[:1])
    with pytest.raises(yard.ecs.exceptions.AttributeLimitExceededException):
        yard.ecs.put_attributes(cluster="prod", attributes=[{"name": "b", "targetId": arn}])
    yard.ecs.delete_attributes(cluster="prod", attributes=ten)
    assert not yard.hosts[0].custom


def test_an_attribute_of_a_host_that_is_gone_is_refused() -> None:
    yard = Yard(0)
    with pytest.raises(yard.ecs.exceptions.TargetNotFoundException):
        yard.ecs.put_attributes(cluster="prod", attributes=[{"name": "a", "targetId": "none"}])


def test_tags_of_a_host_are_shown_on_request() -> None:
    yard = Yard(1)
    arn = yard.hosts[0].arn
    yard.ecs.tag_resource(resourceArn=arn, tags=[{"key": "team", "value": "core"}])
    answer = yard.ecs.describe_container_instances(cluster="prod", containerInstances=[arn], include=["TAGS"])
    assert answer["containerInstances"][0]["tags"] == [{"key": "team", "value": "core"}]
    assert described(yard)["tags"] == []


def test_an_unknown_cluster_is_an_error_of_its_own() -> None:
    yard = Yard(0)
    with pytest.raises(yard.ecs.exceptions.ClusterNotFoundException):
        yard.ecs.list_tasks(cluster="none")
    assert yard.ecs.describe_clusters(clusters=["none"])["failures"][0]["reason"] == "MISSING"


def test_a_cluster_goes_only_when_it_is_empty() -> None:
    yard = Yard(1)
    with pytest.raises(yard.ecs.exceptions.ClusterContainsContainerInstancesException):
        yard.ecs.delete_cluster(cluster="prod")


def test_the_cluster_counts_what_runs() -> None:
    yard = Yard(2)
    yard.service(desired=3)
    (cluster,) = yard.ecs.describe_clusters(clusters=["prod"])["clusters"]
    counted = (cluster["registeredContainerInstancesCount"], cluster["runningTasksCount"])
    assert (counted, cluster["pendingTasksCount"], cluster["activeServicesCount"]) == ((2, 3), 0, 1)
