"""How a task lives and ends. Numbers are those of aws-facts."""

import pytest
from botocore.exceptions import ClientError

from tests.simulator.containers import Yard


def listed(yard: Yard, **filters: str) -> list[str]:
    arns: list[str] = yard.ecs.list_tasks(cluster="prod", **filters)["taskArns"]
    return arns


def test_a_task_goes_through_pending_to_running() -> None:
    yard = Yard(1)
    task = yard.run()
    assert (task.last_status, yard.hosts[0].count(pending=True)) == ("PENDING", 1)
    yard.sim.sleep(30)
    assert (task.last_status, yard.hosts[0].count(pending=False)) == ("RUNNING", 1)


def test_an_awsvpc_task_has_an_address_and_begins_as_provisioning() -> None:
    yard = Yard(1)
    task = yard.run(task={"networkMode": "awsvpc"})
    assert task.last_status == "PROVISIONING"
    yard.sim.sleep(30)
    shown = yard.ecs.describe_tasks(cluster="prod", tasks=[task.arn])["tasks"][0]
    assert shown["attachments"][0]["details"][0]["value"] == task.address


def test_a_task_without_checks_counts_as_healthy_40_seconds_after_running_fact_3_3() -> None:
    yard = Yard(1)
    service = yard.service(desired=1, wait=0)
    yard.sleep_until(lambda: any(task.last_status == "RUNNING" for task in service.tasks))
    assert not service.healthy
    assert 39 <= yard.sleep_until(lambda: service.healthy) <= 41


def test_a_task_behind_a_target_group_is_healthy_with_its_target_fact_3_3() -> None:
    yard = Yard(1)
    group = yard.group()
    service = yard.service(desired=1, wait=0, **yard.behind(group))
    yard.sleep_until(lambda: service.healthy)
    assert [target.state for target in group.targets.values()] == ["healthy"]


def test_a_task_with_a_container_check_is_healthy_when_it_passes() -> None:
    yard = Yard(1)
    check = {"healthCheck": {"command": ["CMD", "true"], "interval": 10}}
    service = yard.service(desired=1, container=check)
    assert [task.container_health for task in service.healthy] == ["HEALTHY"]


def test_a_task_told_to_stop_is_in_no_counter_and_no_default_list_fact_3_4() -> None:
    yard = Yard(1)
    service = yard.service(desired=1, **yard.behind(yard.group(delay=300)))
    (task,) = service.tasks
    yard.ecs.stop_task(cluster="prod", task=task.arn)
    host = yard.hosts[0]
    assert task.alive
    assert host.count(pending=False) == host.count(pending=True) == 0
    assert task.arn not in listed(yard, containerInstance=host.arn)
    assert task.arn in listed(yard, containerInstance=host.arn, desiredStatus="STOPPED")


def test_the_containers_hear_of_the_stop_only_after_the_deregistration_delay_fact_3_6() -> None:
    yard = Yard(1)
    service = yard.service(desired=1, **yard.behind(yard.group(delay=300)))
    (task,) = service.tasks
    yard.ecs.stop_task(cluster="prod", task=task.arn)
    assert task.last_status in ("RUNNING", "DEACTIVATING")
    assert 299 <= yard.sleep_until(lambda: task.last_status == "STOPPING") <= 305


def test_a_task_that_ignores_sigterm_is_killed_after_its_stop_timeout_fact_3_6() -> None:
    yard = Yard(1)
    task = yard.run(stopTimeout=90, dockerLabels={"simulated.stops-after": "1000"})
    yard.sim.sleep(30)
    yard.ecs.stop_task(cluster="prod", task=task.arn, reason="enough")
    assert 90 <= yard.sleep_until(lambda: task.last_status == "STOPPED") <= 100
    assert (task.exit_code, task.stop_code, task.stopped_reason) == (137, "UserInitiated", "enough")


def test_a_task_that_ends_by_itself_says_so() -> None:
    yard = Yard(1)
    task = yard.run(runs_for=60)
    yard.sim.sleep(120)
    assert (task.last_status, task.exit_code, task.stop_code) == ("STOPPED", 0, "EssentialContainerExited")


def test_a_stopped_task_can_be_described_for_an_hour() -> None:
    yard = Yard(1)
    task = yard.run(runs_for=1)
    yard.sim.sleep(120)
    assert yard.ecs.describe_tasks(cluster="prod", tasks=[task.arn])["tasks"][0]["stoppedAt"]
    yard.sim.sleep(3600)
    assert yard.ecs.describe_tasks(cluster="prod", tasks=[task.arn])["failures"][0]["reason"] == "MISSING"


def test_a_host_that_dies_takes_its_tasks_along_fact_3_8() -> None:
    yard = Yard(1)
    task = yard.run()
    yard.sim.sleep(30)
    instance = yard.hosts[0].instance
    yard.sim.compute.terminate(instance.id)
    yard.sim.sleep(60)
    assert (task.last_status, task.stop_code) == ("STOPPED", "TerminationNotice")
    assert task.stopped_reason == f"Host EC2 (instance {instance.id}) terminated."


def test_without_its_agent_a_task_never_reports_stopped_fact_3_7() -> None:
    yard = Yard(1)
    task = yard.run()
    yard.sim.sleep(30)
    yard.sim.conditions.instances_without_agent.add(yard.hosts[0].instance.id)
    yard.ecs.list_container_instances(cluster="prod")
    yard.ecs.stop_task(cluster="prod", task=task.arn)
    yard.sim.sleep(3600)
    assert (task.desired_status, task.last_status) == ("STOPPED", "RUNNING")
    yard.sim.conditions.instances_without_agent.clear()
    yard.ecs.list_container_instances(cluster="prod")
    yard.sim.sleep(60)
    assert task.last_status == "STOPPED"


def test_a_task_of_a_family_that_never_stops_stays_in_stopping() -> None:
    yard = Yard(1)
    yard.sim.conditions.families_that_never_stop.add("job")
    task = yard.run()
    yard.sim.sleep(30)
    yard.ecs.stop_task(cluster="prod", task=task.arn)
    yard.sim.sleep(7200)
    assert task.last_status == "STOPPING"


def test_protection_expires_fact_3_5() -> None:
    yard = Yard(1)
    (task,) = yard.service(desired=1).tasks
    yard.ecs.update_task_protection(cluster="prod", tasks=[task.arn], protectionEnabled=True, expiresInMinutes=5)
    assert yard.ecs.get_task_protection(cluster="prod", tasks=[task.arn])["protectedTasks"][0]["protectionEnabled"]
    yard.sim.sleep(301)
    assert not yard.sim.tasks.protected(task)


def test_a_standalone_task_can_not_be_protected_fact_3_5() -> None:
    yard = Yard(1)
    task = yard.run()
    answer = yard.ecs.update_task_protection(cluster="prod", tasks=[task.arn], protectionEnabled=True)
    assert answer["failures"][0]["reason"] == "TASK_NOT_VALID"


def test_started_by_must_be_the_only_filter_fact_6_2() -> None:
    yard = Yard(1)
    with pytest.raises(ClientError, match="startedBy"):
        yard.ecs.list_tasks(cluster="prod", startedBy="me", family="job")


def test_the_waiter_of_boto3_sees_a_task_stop() -> None:
    yard = Yard(1)
    task = yard.run(runs_for=1)
    yard.sim.sleep(120)
    yard.ecs.get_waiter("tasks_stopped").wait(cluster="prod", tasks=[task.arn])
