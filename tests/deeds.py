"""What others did to a cluster: the acts of the scenarios of findings, each done to a stage or to what is read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ecsroll.simulator.images import LINUX
from ecsroll.simulator.stage import ServiceSet, Stage, _make_service
from ecsroll.terrain import Terrain
from tests import scenarios as s

Act = Callable[[Stage], object]


def nothing(stage: Stage) -> None:
    """Leave the stage as it is."""
    del stage


def alarm(name: str) -> Act:
    def act(stage: Stage) -> None:
        stage.sim.client("cloudwatch").put_metric_alarm(
            AlarmName=name, EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", Threshold=1.0
        )

    return act


def elsewhere(image: str, *, pinned: bool = False) -> Act:
    """A group of somebody else, with a template of its own that launches this."""

    def act(stage: Stage) -> None:
        ec2, autoscaling = stage.sim.client("ec2"), stage.sim.client("autoscaling")
        data = {"ImageId": image, "InstanceType": "m5.large"}
        made = ec2.create_launch_template(LaunchTemplateName="theirs", LaunchTemplateData=data)["LaunchTemplate"]
        version = "1" if pinned else "$Latest"
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName="theirs",
            MinSize=0,
            MaxSize=1,
            DesiredCapacity=0,
            AvailabilityZones=["eu-west-1a"],
            LaunchTemplate={"LaunchTemplateId": made["LaunchTemplateId"], "Version": version},
        )
        for _ in range(2 if pinned else 0):
            newer = {"ImageId": stage.old_image["web"]}
            ec2.create_launch_template_version(
                LaunchTemplateId=made["LaunchTemplateId"], SourceVersion="1", LaunchTemplateData=newer
            )
            ec2.modify_launch_template(LaunchTemplateId=made["LaunchTemplateId"], DefaultVersion="2")

    return act


def suspended(process: str) -> Act:
    return lambda stage: stage.sim.client("autoscaling").suspend_processes(
        AutoScalingGroupName="web", ScalingProcesses=[process]
    )


def newer_template(**data: Any) -> Act:
    """Somebody made another version of the group's template, and the group follows the latest."""

    def act(stage: Stage) -> None:
        stage.sim.client("ec2").create_launch_template_version(
            LaunchTemplateName="web-template", SourceVersion="1", LaunchTemplateData=data
        )

    return act


def pinned_release(stage: Stage) -> None:
    """The template follows AWS's parameter of one old release."""
    path = f"{LINUX}amazon-linux-2023"
    release = stage.sim.images.releases(path)[-3]
    newer_template(ImageId=f"resolve:ssm:{path}/{release.name}/image_id")(stage)


def marked_hosts(number: int) -> Act:
    """Somebody put an attribute on so many hosts by hand, and a service that asks for it came after."""

    def act(stage: Stage) -> None:
        for host in s.hosts_of(stage)[:number]:
            stage.sim.clusters.put_attribute(host, "disk", "ssd")
        late(ServiceSet(name="store", count=1, constraints=("attribute:disk == ssd",)))(stage)

    return act


def late(service: ServiceSet, *, settle: float = 120) -> Act:
    """A service that comes after the others."""

    def act(stage: Stage) -> None:
        _make_service(stage, service)
        stage.sim.sleep(settle)

    return act


def on_old_image(stage: Stage) -> None:
    late(ServiceSet(name="legacy", constraints=(f"attribute:ecs.ami-id == {stage.old_image['web']}",)))(stage)


def with_volume(volume: Mapping[str, Any]) -> Act:
    """A service whose tasks have a volume."""

    def act(stage: Stage) -> None:
        ecs = stage.sim.client("ecs")
        container = {"name": "app", "image": "db:1", "essential": True, "memory": 256}
        ecs.register_task_definition(
            family="db", containerDefinitions=[container], volumes=[{"name": "data", **volume}]
        )
        ecs.create_service(cluster="demo", serviceName="db", taskDefinition="db", desiredCount=1, launchType="EC2")
        stage.sim.sleep(120)

    return act


def docker_volume(driver: str) -> Act:
    return with_volume({"dockerVolumeConfiguration": {"driver": driver, "scope": "shared", "autoprovision": True}})


def told(operation: str, **params: Any) -> Act:
    """Somebody calls ECS about the service."""
    return lambda stage: getattr(stage.sim.client("ecs"), operation)(cluster="demo", service="worker", **params)


def refreshed(*, cancelled: bool) -> Act:
    def act(stage: Stage) -> None:
        autoscaling = stage.sim.client("autoscaling")
        preferences = {"InstanceWarmup": 600, "CheckpointDelay": 3600, "CheckpointPercentages": [50, 100]}
        autoscaling.start_instance_refresh(AutoScalingGroupName="web", Preferences=preferences)
        if cancelled:
            autoscaling.cancel_instance_refresh(AutoScalingGroupName="web")
            stage.sim.sleep(900)

    return act


def launches_failed(*, mended: bool) -> Act:
    def act(stage: Stage) -> None:
        stage.sim.conditions.launch_fails = "We currently do not have sufficient m5.large capacity."
        stage.sim.scaling.set_desired("web", 3, "a user request")
        stage.sim.sleep(300)
        stage.sim.conditions.launch_fails = None
        stage.sim.sleep(900 if mended else 0)

    return act


def warm(least: int, *, reuse: bool = False) -> Act:
    def act(stage: Stage) -> None:
        stage.sim.client("autoscaling").put_warm_pool(
            AutoScalingGroupName="web",
            MinSize=least,
            MaxGroupPreparedCapacity=2 + least,
            InstanceReusePolicy={"ReuseOnScaleIn": reuse},
        )
        stage.sim.sleep(300)

    return act


def warm_no_more(stage: Stage) -> None:
    warm(1)(stage)
    stage.sim.client("autoscaling").delete_warm_pool(AutoScalingGroupName="web")


def recommended_again(stage: Stage) -> None:
    """AWS takes its newest release back."""
    path = f"{LINUX}amazon-linux-2023"
    stage.sim.images.recommend(path, stage.sim.images.releases(path)[-3].id)


def becomes_zombie(stage: Stage) -> None:
    """The agent goes away first, then the instance ends."""
    s.agent_dies(stage)
    stage.sim.compute.terminate(s.hosts_of(stage)[0].instance.id)
    stage.sim.sleep(600)


def ends(stage: Stage) -> None:
    stage.sim.compute.terminate(s.hosts_of(stage)[0].instance.id)
    stage.sim.sleep(1800)


def drained_after_it_was_replaced(stage: Stage) -> None:
    """The host that somebody drains runs the new image already."""
    stage.sim.clusters.set_status(s.hosts_of(stage)[0], "DRAINING")
    s.hosts_of(stage)[0].instance.image_id = stage.new_image["web"]


def protected_hosts(stage: Stage) -> None:
    ids = [host.instance.id for host in s.hosts_of(stage)]
    stage.sim.client("autoscaling").set_instance_protection(
        AutoScalingGroupName="web", InstanceIds=ids, ProtectedFromScaleIn=True
    )


def denied(*actions: str) -> Act:
    return lambda stage: stage.sim.conditions.denied_actions.update(actions)


def ended(stage: Stage) -> None:
    s.run_a_task(stage, 20)
    stage.sim.sleep(120)


def was_protected(stage: Stage) -> None:
    s.protect_a_task(stage, 5)
    stage.sim.sleep(600)


def overridden(*overrides: Mapping[str, Any], **template: Any) -> Act:
    """The group may launch these; its template now says so much else."""

    def act(stage: Stage) -> None:
        said = {"LaunchTemplateName": "web-template", "Version": "1"}
        if template:
            newer_template(**template)(stage)
            said["Version"] = "2"
        stage.sim.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName="web",
            MixedInstancesPolicy={
                "LaunchTemplate": {"LaunchTemplateSpecification": said, "Overrides": [dict(each) for each in overrides]}
            },
        )

    return act


def weighing(weight: str) -> Callable[[Terrain], Terrain]:
    """Each host counts for so much."""

    def tweak(terrain: Terrain) -> Terrain:
        group = terrain.groups["web"]
        members = [{**entry, "WeightedCapacity": weight} for entry in group.said["Instances"]]
        return replace(terrain, groups={"web": replace(group, said={**group.said, "Instances": members})})

    return tweak


def with_a_slower_family(stage: Stage) -> None:
    """The group may also launch hosts of a family whose newest release is older than what runs."""
    path = f"{LINUX}amazon-linux-2"
    old, newest = stage.sim.images.releases(path)[:2]
    stage.sim.images.recommend(path, newest.id)
    data = {"ImageId": old.id, "InstanceType": "m5.xlarge"}
    stage.sim.client("ec2").create_launch_template(LaunchTemplateName="slower", LaunchTemplateData=data)
    slower = {"LaunchTemplateName": "slower", "Version": "1"}
    overridden({"InstanceType": "m5.large"}, {"InstanceType": "m5.xlarge", "LaunchTemplateSpecification": slower})(
        stage
    )


def by_provider(stage: Stage) -> None:
    """A service by the group's capacity provider."""
    ecs = stage.sim.client("ecs")
    container = {"name": "app", "image": "api:1", "essential": True, "memory": 256}
    ecs.register_task_definition(family="api", containerDefinitions=[container])
    strategy = [{"capacityProvider": "web-provider", "weight": 1}]
    ecs.create_service(
        cluster="demo", serviceName="api", taskDefinition="api", desiredCount=2, capacityProviderStrategy=strategy
    )
    stage.sim.sleep(120)


def older_than_the_provider(terrain: Terrain) -> Terrain:
    """The hosts registered before the group had a capacity provider."""
    return replace(terrain, hosts={arn: replace(host, provider=None) for arn, host in terrain.hosts.items()})


def in_standby(stage: Stage) -> None:
    """Somebody has taken the first host out, to look at it."""
    stage.sim.client("autoscaling").enter_standby(
        AutoScalingGroupName="web",
        InstanceIds=[s.hosts_of(stage)[0].instance.id],
        ShouldDecrementDesiredCapacity=True,
    )
    stage.sim.sleep(30)


def in_standby_again(stage: Stage) -> None:
    in_standby(stage)
    ids = [next(name for name, each in s.group_of(stage).members.items() if each.state == "Standby")]
    stage.sim.client("autoscaling").exit_standby(AutoScalingGroupName="web", InstanceIds=ids)
    stage.sim.sleep(60)


def detached(stage: Stage) -> None:
    stage.sim.client("autoscaling").detach_instances(
        AutoScalingGroupName="web",
        InstanceIds=[s.hosts_of(stage)[0].instance.id],
        ShouldDecrementDesiredCapacity=True,
    )
    stage.sim.sleep(30)


def one_more_boots(stage: Stage) -> None:
    """Somebody wants a third task and a third host, which has not registered yet."""
    stage.sim.client("ecs").update_service(cluster="demo", service="cache", desiredCount=3)
    stage.sim.scaling.set_desired("web", 3)
    stage.sim.sleep(25)


def in_its_subnets(stage: Stage) -> None:
    nets = sorted({host.instance.subnet_id for host in s.hosts_of(stage)})
    late(ServiceSet(name="api", constraints=(f"attribute:ecs.subnet-id in [{', '.join(nets)}]",)))(stage)


def one_is_replaced(stage: Stage) -> None:
    """Two hosts have an attribute that somebody put there, and one of them runs the new image already."""
    for host in s.hosts_of(stage)[:2]:
        stage.sim.clusters.put_attribute(host, "disk", "ssd")
    late(ServiceSet(name="store", count=2, constraints=("attribute:disk == ssd",)))(stage)
    s.hosts_of(stage)[0].instance.image_id = stage.new_image["web"]


def full_of_weeks_ago(stage: Stage) -> None:
    """There was no room once, and there is now; a task is missing for another reason."""
    service = stage.sim.clusters.find("demo").services["worker"]
    stage.sim.scheduler.say(service, "(service worker) was unable to place a task because of old times.")
    stage.sim.sleep(7 * 3600)
    stage.sim.scheduler.say(service, "(service worker) has reached a steady state.")
    stage.sim.tasks.stop(next(iter(service.tasks)), "UserInitiated", "Task stopped by user")


def at_codedeploy(terrain: Terrain) -> Terrain:
    """CodeDeploy is bringing a second task set up."""
    sets = ({"status": "PRIMARY"}, {"status": "ACTIVE"})
    worker = replace(terrain.services["worker"], controller="CODE_DEPLOY", deployments=(), task_sets=sets)
    return replace(terrain, services={**terrain.services, "worker": worker})


def mostly_current(process: str) -> Act:
    """A second group is up to date, and somebody has suspended something there."""

    def act(stage: Stage) -> None:
        for host in s.hosts_of(stage, "batch"):
            host.instance.image_id = stage.new_image["batch"]
        stage.sim.client("autoscaling").suspend_processes(AutoScalingGroupName="batch", ScalingProcesses=[process])

    return act


def operated(terrain: Terrain) -> Terrain:
    """Another AWS service owns the group."""
    groups = {name: replace(each, operator="ecs-managed.amazonaws.com") for name, each in terrain.groups.items()}
    return replace(terrain, groups=groups)


def with_managed(terrain: Terrain) -> Terrain:
    """A managed instance besides."""
    one = next(iter(terrain.hosts.values()))
    other = replace(one, id="mi-0123", arn=f"{one.arn}-managed", group=None, managed=True, machine={})
    return replace(terrain, hosts={**terrain.hosts, other.arn: other})
