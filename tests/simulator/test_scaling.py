"""EC2 Auto Scaling in the simulated AWS: sizes, states, zones, hooks, failures, and the words AWS uses for them."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecsroll.simulator import Simulation
from ecsroll.simulator.world import World

ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
HOOK = "save-the-logs"
TERMINATING, LAUNCHING = "autoscaling:EC2_INSTANCE_TERMINATING", "autoscaling:EC2_INSTANCE_LAUNCHING"


@pytest.fixture
def sim() -> Simulation:
    return Simulation()


@pytest.fixture
def scaling(sim: Simulation) -> Any:
    return sim.client("autoscaling")


def make(sim: Simulation, size: int = 3, most: int = 6, *, zones: list[str] | None = None, **more: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    if "LaunchConfigurationName" not in more and "MixedInstancesPolicy" not in more:
        data = {"ImageId": image, "InstanceType": "m5.large"}
        sim.client("ec2").create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
        more.setdefault("LaunchTemplate", {"LaunchTemplateName": "web", "Version": "$Latest"})
    sim.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=size, MaxSize=most, AvailabilityZones=zones or ZONES, **more
    )
    sim.sleep(120)


def group(sim: Simulation) -> dict[str, Any]:
    found = sim.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["web"])
    shown: dict[str, Any] = found["AutoScalingGroups"][0]
    return shown


def states(sim: Simulation) -> Counter[str]:
    return Counter(instance["LifecycleState"] for instance in group(sim)["Instances"])


def zones(sim: Simulation) -> Counter[str]:
    return Counter(i["AvailabilityZone"] for i in group(sim)["Instances"] if i["LifecycleState"] == "InService")


def ids(sim: Simulation) -> list[str]:
    return [instance["InstanceId"] for instance in group(sim)["Instances"]]


def activities(sim: Simulation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sim.client("autoscaling").describe_scaling_activities(AutoScalingGroupName="web")[
        "Activities"
    ]
    return found


def refused(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as no:
        call(**params)
    error = no.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def seen_over_time(sim: Simulation, seconds: int) -> list[Counter[str]]:
    seen = []
    for _ in range(seconds):
        sim.sleep(1)
        seen.append(Counter(member.state for member in sim.scaling.groups["web"].members.values()))
    return seen


# size


def test_a_group_launches_what_it_lacks_one_in_each_zone(sim: Simulation) -> None:
    make(sim)
    assert states(sim) == {"InService": 3}
    assert zones(sim) == dict.fromkeys(ZONES, 1)


def test_an_instance_is_pending_before_it_is_in_service(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    seen = seen_over_time(sim, 60)
    assert {"InService": 3, "Pending": 1} in seen
    assert seen[-1] == {"InService": 4}


def test_a_higher_floor_lifts_desired_and_a_lower_ceiling_cuts_it(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=5)
    assert group(sim)["DesiredCapacity"] == 5
    sim.sleep(120)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=1, MaxSize=2)
    assert group(sim)["DesiredCapacity"] == 2
    sim.sleep(120)
    assert states(sim) == {"InService": 2}


def test_an_update_that_names_only_sizes_leaves_everything_else(sim: Simulation, scaling: Any) -> None:
    make(sim, NewInstancesProtectedFromScaleIn=True, Tags=[{"Key": "a", "Value": "b", "PropagateAtLaunch": True}])
    before = group(sim)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MaxSize=9)
    assert group(sim) == {**before, "MaxSize": 9}


def test_sizes_that_contradict_each_other_are_refused(sim: Simulation, scaling: Any) -> None:
    make(sim)
    update = scaling.update_auto_scaling_group
    assert refused(update, AutoScalingGroupName="web", MinSize=7) == (
        "ValidationError: Max bound, 6, must be greater than or equal to min bound, 7"
    )
    assert refused(update, AutoScalingGroupName="web", DesiredCapacity=9) == (
        "ValidationError: Desired capacity:9 must be between the specified min size:3 and max size:6"
    )
    assert refused(scaling.set_desired_capacity, AutoScalingGroupName="web", DesiredCapacity=7) == (
        "ValidationError: New SetDesiredCapacity value 7 is above max value 6 for the AutoScalingGroup."
    )
    assert refused(scaling.set_desired_capacity, AutoScalingGroupName="web", DesiredCapacity=2) == (
        "ValidationError: New SetDesiredCapacity value 2 is below min value 3 for the AutoScalingGroup."
    )


def test_an_unknown_group_is_left_out_of_a_description_and_refused_elsewhere(scaling: Any) -> None:
    assert scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["no"])["AutoScalingGroups"] == []
    assert refused(scaling.set_desired_capacity, AutoScalingGroupName="no", DesiredCapacity=1) == (
        "ValidationError: AutoScalingGroup name not found - AutoScalingGroup 'no' not found"
    )


# terminating


def test_terminating_without_decrement_launches_a_replacement_at_once(sim: Simulation, scaling: Any) -> None:
    make(sim)
    gone = ids(sim)[0]
    answer = scaling.terminate_instance_in_auto_scaling_group(InstanceId=gone, ShouldDecrementDesiredCapacity=False)
    assert answer["Activity"]["StatusCode"] == "InProgress"
    seen = seen_over_time(sim, 120)
    assert {"InService": 2, "Terminating": 1, "Pending": 1} in seen
    assert gone not in ids(sim)
    assert states(sim) == {"InService": 3}


def test_terminating_with_decrement_ignores_protection_and_keeps_to_the_floor(sim: Simulation, scaling: Any) -> None:
    make(sim)
    gone = ids(sim)[0]
    scaling.set_instance_protection(AutoScalingGroupName="web", InstanceIds=[gone], ProtectedFromScaleIn=True)
    terminate = scaling.terminate_instance_in_auto_scaling_group
    assert refused(terminate, InstanceId=gone, ShouldDecrementDesiredCapacity=True) == (
        "ValidationError: Currently, desiredSize equals minSize (3). Terminating instance without replacement will "
        "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
        "group's min size."
    )
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=2)
    terminate(InstanceId=gone, ShouldDecrementDesiredCapacity=True)
    assert group(sim)["DesiredCapacity"] == 2
    assert activities(sim)[0]["Cause"].endswith(
        f"instance {gone} was taken out of service in response to a user request, shrinking the capacity from 3 to 2."
    )


def test_the_same_termination_sent_twice_lowers_desired_twice(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=0)
    for _ in range(2):
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=ids(sim)[0], ShouldDecrementDesiredCapacity=True)
    assert group(sim)["DesiredCapacity"] == 1


def test_an_unknown_instance_is_refused_with_aws_s_words(sim: Simulation, scaling: Any) -> None:
    make(sim)
    sentence = refused(
        scaling.terminate_instance_in_auto_scaling_group,
        InstanceId="i-0123456789abcdef0",
        ShouldDecrementDesiredCapacity=False,
    )
    assert sentence == (
        "ValidationError: Instance Id not found - No managed instance found for instance ID: i-0123456789abcdef0"
    )


# protection


def test_instances_are_protected_from_birth_when_the_group_says_so(sim: Simulation) -> None:
    make(sim, NewInstancesProtectedFromScaleIn=True)
    assert all(instance["ProtectedFromScaleIn"] for instance in group(sim)["Instances"])


def test_a_pending_instance_can_not_be_protected(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    sim.sleep(11)
    pending = next(i["InstanceId"] for i in group(sim)["Instances"] if i["LifecycleState"] == "Pending")
    protect = scaling.set_instance_protection
    members = [ids(sim)[0], pending]
    assert refused(protect, AutoScalingGroupName="web", InstanceIds=members, ProtectedFromScaleIn=True) == (
        f"ValidationError: The instance {pending} is not in InService or EnteringStandby or Standby."
    )
    assert not any(instance["ProtectedFromScaleIn"] for instance in group(sim)["Instances"])


def test_desired_falls_below_protected_instances_and_is_made_true_when_they_lose_it(
    sim: Simulation, scaling: Any
) -> None:
    make(sim, NewInstancesProtectedFromScaleIn=True)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=2, DesiredCapacity=2)
    sim.sleep(300)
    assert (group(sim)["DesiredCapacity"], states(sim)) == (2, {"InService": 3})
    assert activities(sim)[0]["Description"] == (
        "Could not scale to desired capacity because all remaining instances are protected from scale in."
    )
    victim = ids(sim)[1]
    scaling.set_instance_protection(AutoScalingGroupName="web", InstanceIds=[victim], ProtectedFromScaleIn=False)
    sim.sleep(120)
    assert victim not in ids(sim)
    assert states(sim) == {"InService": 2}


# whom a scale-in takes


def test_a_scale_in_takes_from_the_fullest_zone_and_the_oldest_version_first(sim: Simulation, scaling: Any) -> None:
    make(sim, 4)
    old = set(ids(sim))
    sim.client("ec2").create_launch_template_version(
        LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"InstanceType": "m5.xlarge"}
    )
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=6)
    sim.sleep(120)
    assert zones(sim) == dict.fromkeys(ZONES, 2)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=3, DesiredCapacity=3)
    sim.sleep(120)
    assert zones(sim) == dict.fromkeys(ZONES, 1)
    assert len(old & set(ids(sim))) == 1
    versions = Counter(instance["LaunchTemplate"]["Version"] for instance in group(sim)["Instances"])
    assert versions == {"2": 2, "1": 1}


# zones


def test_a_zone_without_capacity_is_told_as_a_failed_activity_and_another_takes_it(
    sim: Simulation, scaling: Any
) -> None:
    make(sim)
    sim.conditions.zones_without_capacity.add("eu-west-1a")
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    sim.sleep(120)
    assert zones(sim)["eu-west-1a"] == 1
    assert states(sim) == {"InService": 4}
    failed = next(activity for activity in activities(sim) if activity["StatusCode"] == "Failed")
    assert failed["StatusMessage"] == (
        "We currently do not have sufficient m5.large capacity in the Availability Zone you requested (eu-west-1a). "
        "Our system will be working on provisioning additional capacity. You can currently get m5.large capacity by "
        "not specifying an Availability Zone in your request or choosing eu-west-1b, eu-west-1c. Launching EC2 "
        "instance failed."
    )


def test_launches_that_fail_everywhere_are_tried_again_more_and_more_slowly(sim: Simulation, scaling: Any) -> None:
    make(sim)
    sim.conditions.launch_fails = (
        "You have requested more vCPU capacity than your current limit. Launching EC2 instance failed."
    )
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=5)
    sim.sleep(600)
    failed = [activity["StartTime"] for activity in activities(sim) if activity["StatusCode"] == "Failed"]
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(failed)][::-1]
    assert gaps == sorted(gaps)
    assert 4 <= len(failed) <= 8
    sim.conditions.launch_fails = None
    sim.sleep(400)
    assert states(sim) == {"InService": 5}


def test_az_rebalance_launches_before_it_terminates(sim: Simulation, scaling: Any) -> None:
    make(sim, 6, 6)
    first = [i["InstanceId"] for i in group(sim)["Instances"] if i["AvailabilityZone"] == ZONES[0]]
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=4)
    for instance in first:
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)
    seen = seen_over_time(sim, 300)
    assert max(seen_at["InService"] + seen_at["Pending"] for seen_at in seen) == 5
    assert min(seen_at["InService"] for seen_at in seen) == 4
    assert sorted(zones(sim).values()) == [1, 1, 2]
    causes = " ".join(activity["Cause"] for activity in activities(sim))
    assert "an instance was launched to aid in balancing the group's zones." in causes
    assert "resulting in more than desired number of instances in the group." in causes


def test_a_suspended_az_rebalance_leaves_the_zones_as_they_are_until_it_is_resumed(
    sim: Simulation, scaling: Any
) -> None:
    make(sim, 6, 6)
    scaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["AZRebalance"])
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=4)
    for instance in group(sim)["Instances"]:
        if instance["AvailabilityZone"] == ZONES[0]:
            scaling.terminate_instance_in_auto_scaling_group(
                InstanceId=instance["InstanceId"], ShouldDecrementDesiredCapacity=True
            )
    sim.sleep(600)
    assert zones(sim) == {ZONES[1]: 2, ZONES[2]: 2}
    scaling.resume_processes(AutoScalingGroupName="web", ScalingProcesses=["AZRebalance"])
    sim.sleep(600)
    assert sorted(zones(sim).values()) == [1, 1, 2]


# processes


def test_a_suspended_launch_stops_replacements_but_not_the_end_of_the_unhealthy(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])
    sim.client("ec2").terminate_instances(InstanceIds=ids(sim)[:1])
    sim.sleep(600)
    assert states(sim) == {"InService": 2}
    assert group(sim)["SuspendedProcesses"][0]["ProcessName"] == "Launch"
    scaling.resume_processes(AutoScalingGroupName="web")
    sim.sleep(120)
    assert states(sim) == {"InService": 3}


def test_a_suspended_terminate_stops_scale_in_and_health_replacement(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Terminate", "AZRebalance"])
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=2, DesiredCapacity=2)
    sim.client("ec2").terminate_instances(InstanceIds=ids(sim)[:1])
    sim.sleep(600)
    assert Counter(instance["HealthStatus"] for instance in group(sim)["Instances"]) == {"Healthy": 2, "Unhealthy": 1}
    assert states(sim) == {"InService": 3}


def test_a_suspended_health_check_sees_the_dead_only_when_it_is_resumed(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["HealthCheck"])
    dead = ids(sim)[0]
    sim.client("ec2").terminate_instances(InstanceIds=[dead])
    sim.sleep(600)
    assert dead in ids(sim)
    scaling.resume_processes(AutoScalingGroupName="web", ScalingProcesses=["HealthCheck"])
    sim.sleep(120)
    assert dead not in ids(sim)
    assert states(sim) == {"InService": 3}


def test_a_dead_instance_is_replaced_after_a_minute_or_two(sim: Simulation) -> None:
    make(sim)
    dead = ids(sim)[0]
    sim.client("ec2").terminate_instances(InstanceIds=[dead])
    sim.sleep(50)
    assert states(sim) == {"InService": 3}
    sim.sleep(150)
    assert dead not in ids(sim)
    assert states(sim) == {"InService": 3}


# lifecycle hooks


def test_a_termination_hook_holds_the_instance_until_it_is_completed(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.put_lifecycle_hook(
        AutoScalingGroupName="web", LifecycleHookName=HOOK, LifecycleTransition=TERMINATING, DefaultResult="CONTINUE"
    )
    gone = ids(sim)[0]
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=gone, ShouldDecrementDesiredCapacity=False)
    sim.sleep(1000)
    assert states(sim) == {"InService": 3, "Terminating:Wait": 1}
    assert sim.compute.instances[gone].state == "running"
    scaling.complete_lifecycle_action(
        AutoScalingGroupName="web", LifecycleHookName=HOOK, InstanceId=gone, LifecycleActionResult="CONTINUE"
    )
    assert states(sim) == {"InService": 3, "Terminating:Proceed": 1}
    sim.sleep(120)
    assert states(sim) == {"InService": 3}


def test_a_hook_that_nobody_completes_ends_at_its_heartbeat_timeout(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.put_lifecycle_hook(
        AutoScalingGroupName="web", LifecycleHookName=HOOK, LifecycleTransition=TERMINATING, HeartbeatTimeout=300
    )
    gone = ids(sim)[0]
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=gone, ShouldDecrementDesiredCapacity=False)
    sim.sleep(250)
    scaling.record_lifecycle_action_heartbeat(AutoScalingGroupName="web", LifecycleHookName=HOOK, InstanceId=gone)
    sim.sleep(250)
    assert states(sim)["Terminating:Wait"] == 1
    sim.sleep(200)
    assert gone not in ids(sim)


def test_a_dead_instance_goes_on_waiting_for_its_hook(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.put_lifecycle_hook(AutoScalingGroupName="web", LifecycleHookName=HOOK, LifecycleTransition=TERMINATING)
    gone = ids(sim)[0]
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=gone, ShouldDecrementDesiredCapacity=False)
    sim.sleep(30)
    sim.client("ec2").terminate_instances(InstanceIds=[gone])
    sim.sleep(3000)
    assert states(sim)["Terminating:Wait"] == 1
    sim.sleep(1000)
    assert gone not in ids(sim)


def test_a_launch_hook_that_is_abandoned_costs_the_instance(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.put_lifecycle_hook(AutoScalingGroupName="web", LifecycleHookName="in", LifecycleTransition=LAUNCHING)
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    sim.sleep(60)
    waiting = next(i["InstanceId"] for i in group(sim)["Instances"] if i["LifecycleState"] == "Pending:Wait")
    scaling.complete_lifecycle_action(
        AutoScalingGroupName="web", LifecycleHookName="in", InstanceId=waiting, LifecycleActionResult="ABANDON"
    )
    sim.sleep(120)
    assert waiting not in ids(sim)
    assert states(sim) == {"InService": 3, "Pending:Wait": 1}


def test_what_does_not_wait_can_not_be_completed(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.put_lifecycle_hook(AutoScalingGroupName="web", LifecycleHookName=HOOK, LifecycleTransition=TERMINATING)
    sentence = refused(
        scaling.complete_lifecycle_action,
        AutoScalingGroupName="web",
        LifecycleHookName=HOOK,
        InstanceId=ids(sim)[0],
        LifecycleActionResult="CONTINUE",
    )
    assert sentence == f"ValidationError: No active Lifecycle Action found with instance ID {ids(sim)[0]}"


# what it launches


def test_an_instance_tells_the_version_it_was_launched_from(sim: Simulation, scaling: Any) -> None:
    make(sim)
    sim.client("ec2").create_launch_template_version(
        LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"InstanceType": "m5.xlarge"}
    )
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    sim.sleep(120)
    assert [i["LaunchTemplate"]["Version"] for i in group(sim)["Instances"]] == ["1", "1", "1", "2"]
    assert group(sim)["LaunchTemplate"]["Version"] == "$Latest"


def test_a_parameter_in_the_template_is_resolved_at_launch(sim: Simulation, scaling: Any) -> None:
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    sim.client("ec2").create_launch_template(
        LaunchTemplateName="ssm", LaunchTemplateData={"ImageId": f"resolve:ssm:{name}", "InstanceType": "m5.large"}
    )
    make(sim, LaunchTemplate={"LaunchTemplateName": "ssm"})
    newer = sim.images.release("amazon-linux-2023", "20260930")
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    sim.sleep(120)
    images = [sim.compute.instances[instance].image_id for instance in ids(sim)]
    assert images.count(newer.id) == 1
    assert {i["LaunchTemplate"]["Version"] for i in group(sim)["Instances"]} == {"1"}


def test_a_template_with_an_unknown_image_is_refused(sim: Simulation, scaling: Any) -> None:
    make(sim)
    sim.client("ec2").create_launch_template_version(
        LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0"}
    )
    sentence = refused(
        scaling.update_auto_scaling_group,
        AutoScalingGroupName="web",
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "2"},
    )
    assert sentence == (
        "ValidationError: You must use a valid fully-formed launch template. The image id '[ami-0123456789abcdef0]' "
        "does not exist"
    )


def test_an_image_that_vanished_fails_the_next_launch(sim: Simulation, scaling: Any) -> None:
    make(sim)
    sim.images.withdraw(sim.images.recommended("amazon-linux-2023").id)
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    sim.sleep(60)
    assert activities(sim)[0]["StatusCode"] == "Failed"
    assert "does not exist. Launching EC2 instance failed." in activities(sim)[0]["StatusMessage"]


def test_a_mixed_group_launches_its_override_and_keeps_its_policy(sim: Simulation, scaling: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    sim.client("ec2").create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large"}
    )
    spec = {"LaunchTemplateName": "web", "Version": "$Default"}
    policy = {"LaunchTemplate": {"LaunchTemplateSpecification": spec, "Overrides": [{"InstanceType": "c5.large"}]}}
    make(sim, MixedInstancesPolicy=policy)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MaxSize=9)
    assert group(sim)["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"] == [{"InstanceType": "c5.large"}]
    assert {instance["InstanceType"] for instance in group(sim)["Instances"]} == {"c5.large"}


def test_a_switch_from_configuration_to_template_forgets_the_configuration(sim: Simulation, scaling: Any) -> None:
    image = sim.images.recommended("amazon-linux-2023").id
    scaling.create_launch_configuration(LaunchConfigurationName="old", ImageId=image, InstanceType="m5.large")
    make(sim, LaunchConfigurationName="old")
    assert group(sim)["LaunchConfigurationName"] == "old"
    sim.client("ec2").create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large"}
    )
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", LaunchTemplate={"LaunchTemplateName": "web"})
    assert "LaunchConfigurationName" not in group(sim)
    assert {instance.get("LaunchConfigurationName") for instance in group(sim)["Instances"]} == {"old"}


# leaving and coming back


def test_standby_does_not_count_and_comes_back(sim: Simulation, scaling: Any) -> None:
    make(sim, 3, 4)
    scaling.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=2)
    resting = ids(sim)[0]
    scaling.enter_standby(AutoScalingGroupName="web", InstanceIds=[resting], ShouldDecrementDesiredCapacity=True)
    sim.sleep(60)
    assert (group(sim)["DesiredCapacity"], states(sim)) == (2, {"Standby": 1, "InService": 2})
    scaling.exit_standby(AutoScalingGroupName="web", InstanceIds=[resting])
    sim.sleep(60)
    assert (group(sim)["DesiredCapacity"], states(sim)) == (3, {"InService": 3})


def test_a_detached_instance_lives_on_and_can_be_attached_again(sim: Simulation, scaling: Any) -> None:
    make(sim)
    gone = ids(sim)[0]
    scaling.detach_instances(AutoScalingGroupName="web", InstanceIds=[gone], ShouldDecrementDesiredCapacity=False)
    sim.sleep(120)
    assert gone not in ids(sim)
    assert sim.compute.instances[gone].state == "running"
    scaling.attach_instances(AutoScalingGroupName="web", InstanceIds=[gone])
    assert (group(sim)["DesiredCapacity"], states(sim)) == (4, {"InService": 4})


def test_a_group_with_instances_is_deleted_only_by_force(sim: Simulation, scaling: Any) -> None:
    make(sim)
    assert refused(scaling.delete_auto_scaling_group, AutoScalingGroupName="web").startswith("ResourceInUse")
    scaling.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    assert group(sim)["Status"] == "Delete in progress"
    sim.sleep(120)
    assert scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []


# warm pools and refreshes


def test_a_warm_pool_gives_instances_of_the_template_of_their_time(sim: Simulation, scaling: Any) -> None:
    make(sim, 3, 5)
    old = sim.images.recommended("amazon-linux-2023").id
    scaling.put_warm_pool(AutoScalingGroupName="web")
    sim.sleep(120)
    pool = scaling.describe_warm_pool(AutoScalingGroupName="web")["Instances"]
    assert [instance["LifecycleState"] for instance in pool] == ["Warmed:Stopped"] * 2
    newer = sim.images.release("amazon-linux-2023", "20260930").id
    sim.client("ec2").create_launch_template_version(
        LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"ImageId": newer}
    )
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    sim.sleep(120)
    assert Counter(sim.compute.instances[instance].image_id for instance in ids(sim)) == {old: 4}
    assert set(ids(sim)) & {instance["InstanceId"] for instance in pool}


def test_a_warm_instance_is_not_told_as_running_before_the_group_takes_it(sim: Simulation, scaling: Any) -> None:
    make(sim, 3, 5)
    scaling.put_warm_pool(AutoScalingGroupName="web")
    sim.sleep(120)
    told = {what.facts["instance"].id for what in sim.world.diary if what.kind == "instance_running"}
    assert told == set(ids(sim))


def test_an_instance_refresh_replaces_everybody_and_is_alone(sim: Simulation, scaling: Any) -> None:
    make(sim)
    before = set(ids(sim))
    started = scaling.start_instance_refresh(AutoScalingGroupName="web")["InstanceRefreshId"]
    assert refused(scaling.start_instance_refresh, AutoScalingGroupName="web").startswith("InstanceRefreshInProgress")
    sim.sleep(900)
    shown = scaling.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"]
    assert [(each["InstanceRefreshId"], each["Status"]) for each in shown] == [(started, "Successful")]
    assert not before & set(ids(sim))
    assert states(sim) == {"InService": 3}


def test_a_refresh_can_be_cancelled_once(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.start_instance_refresh(AutoScalingGroupName="web")
    scaling.cancel_instance_refresh(AutoScalingGroupName="web")
    sim.sleep(60)
    shown = scaling.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"][0]
    assert shown["Status"] == "Cancelled"
    assert refused(scaling.cancel_instance_refresh, AutoScalingGroupName="web").startswith(
        "ActiveInstanceRefreshNotFound"
    )


# scale, order, sameness


def test_a_thousand_instances_come_page_by_page(sim: Simulation, scaling: Any) -> None:
    make(sim, 1000, 1000)
    sim.sleep(60)
    pages = scaling.get_paginator("describe_auto_scaling_instances").paginate()
    assert sum(len(page["AutoScalingInstances"]) for page in pages) == 1000
    assert len(activities(sim)) == 100


def test_the_same_seed_and_calls_give_the_same_world() -> None:
    def story() -> list[str]:
        sim = Simulation(World(seed=7))
        make(sim, 6, 9)
        sim.client("ec2").terminate_instances(InstanceIds=ids(sim)[:1])
        sim.sleep(600)
        return [f"{what.at} {what.kind}" for what in sim.world.diary] + ids(sim)

    assert story() == story()


def test_changes_of_desired_are_told(sim: Simulation, scaling: Any) -> None:
    make(sim)
    scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    resized = [what.facts for what in sim.world.diary if what.kind == "group_resized"]
    assert resized[-1] == {"group": "web", "desired": 4, "cause": "user"}
