"""Capacity providers (aws-facts section 4)."""

import base64
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecsroll.simulator.groups import Group
from ecsroll.simulator.providers import HOOK, Providers
from tests.simulator.containers import Yard


class Provided(Yard):
    """A cluster whose hosts come from an Auto Scaling group behind a capacity provider."""

    def __init__(self, size: int = 2, *, protected: bool = False, largest: int = 10, **settings: Any) -> None:
        super().__init__(0)
        ec2, scaling = self.sim.client("ec2"), self.sim.client("autoscaling")
        script = base64.b64encode(b"#!/bin/bash\necho ECS_CLUSTER=prod >> /etc/ecs/ecs.config\n").decode()
        launch: Any = {"ImageId": self.image, "InstanceType": self.type, "UserData": script}
        ec2.create_launch_template(LaunchTemplateName="hosts", LaunchTemplateData=launch)
        scaling.create_auto_scaling_group(
            AutoScalingGroupName="hosts",
            LaunchTemplate={"LaunchTemplateName": "hosts", "Version": "$Latest"},
            MinSize=0,
            MaxSize=largest,
            DesiredCapacity=size,
            AvailabilityZones=["eu-west-1a", "eu-west-1b", "eu-west-1c"],
            NewInstancesProtectedFromScaleIn=protected,
        )
        provider: Any = {"autoScalingGroupArn": self.asg.arn, **settings}
        self.ecs.create_capacity_provider(name="cp", autoScalingGroupProvider=provider)
        strategy: Any = [{"capacityProvider": "cp", "weight": 1}]
        self.ecs.put_cluster_capacity_providers(
            cluster="prod", capacityProviders=["cp"], defaultCapacityProviderStrategy=strategy
        )
        self.sim.sleep(180)

    @property
    def asg(self) -> Group:
        return self.sim.scaling.groups["hosts"]


SCALING = {"status": "ENABLED", "targetCapacity": 100}


def test_hosts_of_the_group_name_their_capacity_provider_fact_4_4() -> None:
    yard = Provided(2)
    assert [host.capacity_provider for host in yard.hosts] == ["cp", "cp"]


def test_managed_draining_is_on_unless_switched_off_fact_4_1() -> None:
    assert HOOK in Provided(0).asg.hooks
    assert HOOK not in Provided(0, managedDraining="DISABLED").asg.hooks


def test_managed_draining_empties_a_host_before_it_goes_fact_4_2() -> None:
    yard = Provided(2)
    service = yard.service(desired=2)
    host = yard.hosts[0]
    yard.sim.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=host.instance.id, ShouldDecrementDesiredCapacity=True
    )
    least = 2
    while host.instance.state == "running":
        yard.sim.sleep(1)
        least = min(least, len(service.healthy))
    assert least == 2
    assert not host.live


def test_managed_draining_gives_up_after_48_hours_fact_4_2() -> None:
    yard = Provided(1)
    task = yard.run()
    yard.sim.sleep(30)
    host = yard.hosts[0]
    yard.sim.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=host.instance.id, ShouldDecrementDesiredCapacity=True
    )
    yard.sim.sleep(47 * 3600)
    assert host.instance.state == "running"
    yard.sim.sleep(2 * 3600)
    assert task.stop_code == "TerminationNotice"


def test_a_stalled_hook_is_not_completed() -> None:
    yard = Provided(1)
    yard.sim.conditions.termination_hook_stalls = True
    host = yard.hosts[0]
    yard.sim.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=host.instance.id, ShouldDecrementDesiredCapacity=True
    )
    yard.sim.sleep(1800)
    assert yard.asg.members[host.instance.id].state == "Terminating:Wait"


def test_managed_termination_protection_follows_the_tasks_fact_4_3() -> None:
    yard = Provided(2, protected=True, managedScaling=SCALING, managedTerminationProtection="ENABLED")
    yard.service(desired=1)
    flags = sorted((host.movable > 0, yard.asg.members[host.instance.id].protected) for host in yard.hosts)
    assert flags == [(False, False), (True, True)]


def test_managed_termination_protection_needs_a_protected_group_fact_4_3() -> None:
    with pytest.raises(ClientError, match="must have instance protection from scale in enabled"):
        Provided(0, managedScaling=SCALING, managedTerminationProtection="ENABLED")


def test_tasks_without_room_wait_in_provisioning_and_the_group_grows_fact_4_4() -> None:
    yard = Provided(1, managedScaling=SCALING)
    service = yard.service(desired=6, container={"cpu": 1024}, wait=30)
    assert sum(task.last_status == "PROVISIONING" for task in service.tasks) == 4
    yard.sim.sleep(600)
    assert (yard.asg.desired, len(service.healthy)) == (3, 6)


def test_each_task_without_room_waits_for_the_provider_that_the_strategy_gives_it() -> None:
    yard = Provided(0, managedScaling=SCALING)
    scaling = yard.sim.client("autoscaling")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="spot",
        LaunchTemplate={"LaunchTemplateName": "hosts", "Version": "$Latest"},
        MinSize=0,
        MaxSize=10,
        AvailabilityZones=["eu-west-1a"],
    )
    arn = yard.sim.scaling.groups["spot"].arn
    other: Any = {"autoScalingGroupArn": arn, "managedScaling": SCALING}
    yard.ecs.create_capacity_provider(name="spot", autoScalingGroupProvider=other)
    strategy: Any = [
        {"capacityProvider": "cp", "weight": 1, "base": 2},
        {"capacityProvider": "spot", "weight": 2},
    ]
    yard.ecs.put_cluster_capacity_providers(
        cluster="prod", capacityProviders=["cp", "spot"], defaultCapacityProviderStrategy=strategy
    )
    service = yard.service(desired=6, wait=600)
    assert len(service.healthy) == 6
    assert Counter(task.capacity_provider for task in service.tasks) == {"cp": 2, "spot": 4}
    assert {task.host.instance.group for task in service.tasks if task.host} == {"hosts", "spot"}


def test_from_nothing_it_starts_with_two_fact_4_4() -> None:
    yard = Provided(0, managedScaling=SCALING)
    yard.service(desired=1, wait=120)
    assert yard.asg.desired == 2


def test_an_empty_host_goes_after_fifteen_minutes_fact_4_4() -> None:
    yard = Provided(3, managedScaling=SCALING)
    yard.service(desired=1)
    yard.sim.sleep(400)
    assert yard.asg.desired == 3
    yard.sim.sleep(600)
    assert yard.asg.desired == 1


def test_with_alarm_notification_suspended_nothing_is_scaled_fact_5_5() -> None:
    yard = Provided(3, managedScaling=SCALING)
    yard.sim.client("autoscaling").suspend_processes(
        AutoScalingGroupName="hosts", ScalingProcesses=["AlarmNotification"]
    )
    yard.sim.sleep(3600)
    assert yard.asg.desired == 3


RESERVATIONS = {
    "all are needed": (4, 4, 100.0),
    "half are needed": (2, 4, 50.0),
    "more are needed": (6, 4, 150.0),
    "nothing runs, nothing is needed": (0, 0, 100.0),
    "nothing runs, something is needed": (1, 0, 200.0),
}


@pytest.mark.parametrize(("needed", "running", "metric"), RESERVATIONS.values(), ids=RESERVATIONS)
def test_the_reservation(needed: int, running: int, metric: float) -> None:
    assert Providers.reservation(needed, running) == metric


def test_providers_are_described_with_their_defaults() -> None:
    yard = Provided(0)
    (shown,) = yard.ecs.describe_capacity_providers(capacityProviders=["cp"])["capacityProviders"]
    settings = shown["autoScalingGroupProvider"]
    assert (settings["managedDraining"], settings["managedTerminationProtection"]) == ("ENABLED", "DISABLED")


def test_fargate_providers_are_there_and_unknown_ones_are_missing() -> None:
    yard = Yard(0)
    answer = yard.ecs.describe_capacity_providers(capacityProviders=["FARGATE", "none"])
    assert [each["name"] for each in answer["capacityProviders"]] == ["FARGATE"]
    assert answer["failures"][0]["reason"] == "MISSING"


def test_a_group_has_one_provider() -> None:
    yard = Provided(0)
    again: Any = {"autoScalingGroupArn": yard.asg.arn}
    with pytest.raises(ClientError, match="already being used"):
        yard.ecs.create_capacity_provider(name="other", autoScalingGroupProvider=again)


def test_ten_providers_a_page_fact_6_2() -> None:
    yard = Yard(0)
    for number in range(12):
        yard.sim.providers.create(f"mi-{number}", {"managedInstancesProvider": {}})
    first = yard.ecs.describe_capacity_providers()
    rest = yard.ecs.describe_capacity_providers(nextToken=first["nextToken"])
    assert (len(first["capacityProviders"]), len(rest["capacityProviders"])) == (10, 4)
    assert {each["type"] for each in first["capacityProviders"]} == {"MANAGED_INSTANCES"}


def test_alb_services_and_managed_draining_replace_a_whole_group_without_a_dip() -> None:
    yard = Provided(3)
    service = yard.service(desired=6, **yard.behind(yard.group(delay=30)))
    old = [host.instance for host in yard.hosts]
    scaling, least = yard.sim.client("autoscaling"), 6
    for instance in old:
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance.id, ShouldDecrementDesiredCapacity=False)
        while instance.state == "running" or len(yard.hosts) < 3:
            yard.sim.sleep(1)
            least = min(least, len(service.healthy))
    yard.sim.sleep(60)
    assert (least, len(yard.hosts)) == (6, 3)
    assert not {host.instance for host in yard.hosts} & set(old)


def test_a_standalone_task_waits_for_its_provider_to_make_room_fact_4_4() -> None:
    yard = Provided(0, managedScaling=SCALING)
    task = yard.run()
    yard.sim.sleep(30)
    assert (task.last_status, task.host) == ("PROVISIONING", None)
    yard.sim.sleep(300)
    assert task.last_status == "RUNNING"
