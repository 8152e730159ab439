"""The simulated AWS held against what botocore ships of the real one: shapes, examples, waiters.

An example's answer is compared so: each of its members is there, with the same type; and what the request says itself
is said again in the answer. Whatever AWS alone decides (ids, times, counts) may differ.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, DataNotFoundError
from botocore.waiter import WaiterModel, create_waiter_with_client

from ecsroll.simulator import Simulation
from ecsroll.simulator.door import served
from tests.simulator.staging import Stage

SESSION = botocore.session.get_session()
LOADER = SESSION.get_component("data_loader")

# Members of AWS's examples that the simulated AWS leaves out, and why that is right.
LEFT_OUT: dict[tuple[str, str], dict[str, str]] = {
    ("autoscaling", "DescribeInstanceRefreshes"): {
        "InstanceRefreshes.Preferences.*": "the preferences are those that were given",
        "InstanceRefreshes.EndTime": "the example's second refresh is over",
        "InstanceRefreshes.StatusReason": "said only when there is one",
    },
    ("ec2", "CreateLaunchTemplateVersion"): {
        "LaunchTemplateVersion.LaunchTemplateData.NetworkInterfaces": "the staged source version has none",
    },
    ("ec2", "DescribeLaunchTemplateVersions"): {
        "LaunchTemplateVersions.LaunchTemplateData.*": "the staged version says other things",
    },
    ("ec2", "DescribeImages"): {"Images.KernelId": "no paravirtual image is simulated"},
    ("ecs", "CreateService"): {"service.roleArn": "the role of a Classic Load Balancer"},
    ("ecs", "DescribeTaskDefinition"): {"taskDefinition.containerDefinitions.links": "the staged container has none"},
    ("elbv2", "DescribeTargetHealth"): {
        "TargetHealthDescriptions.TargetHealth.*": "the example's first target is not in use, the staged one is",
    },
}
for _operation in ("CreateLoadBalancer", "DescribeLoadBalancers"):
    LEFT_OUT["elbv2", _operation] = {
        f"LoadBalancers.{member}": "where a load balancer stands matters to no roll"
        for member in ("AvailabilityZones", "CanonicalHostedZoneId", "CreatedTime", "SecurityGroups", "VpcId")
    }
for _operation in ("CreateTargetGroup", "DescribeTargetGroups"):
    LEFT_OUT["elbv2", _operation] = {"TargetGroups.Matcher": "how a check is passed matters to no roll"}

# Examples that the simulated AWS can not answer yet.
NOT_YET = {("elbv2", "DescribeListeners", 0): "listeners can not be described by their own ARN"}


def examples() -> Iterator[Any]:
    """Every example of an operation that is served."""
    for service in sorted({service for service, _ in served()}):
        try:
            corpus = LOADER.load_service_model(service, "examples-1")["examples"]
        except DataNotFoundError:
            continue
        for operation in sorted(corpus):
            for number, example in enumerate(corpus[operation]):
                if (service, operation) in served():
                    reason = NOT_YET.get((service, operation, number))
                    marks = [pytest.mark.xfail(reason=reason, strict=False)] if reason else []
                    yield pytest.param(service, operation, example, id=f"{service}-{operation}-{number}", marks=marks)


@pytest.mark.parametrize(("service", "operation", "example"), list(examples()))
def test_an_example_of_aws_is_answered_as_aws_answers_it(service: str, operation: str, example: Any) -> None:
    request = example.get("input") or {}
    stage = Stage(service, operation, request)
    answer = stage.play()
    said = set(leaves(stage.here(request)))
    wanted = stage.here(example.get("output") or {})
    left_out = LEFT_OUT.get((service, operation), {})
    assert list(differences(wanted, answer, said, "", left_out)) == []


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(member, value) of everything that a request says."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, name)
    else:
        yield name, repr(value)


def differences(wanted: Any, actual: Any, said: set[tuple[str, str]], path: str, left_out: dict[str, str]) -> Any:
    """Where an answer is not as the example's."""
    if path in left_out or f"{path.rpartition('.')[0]}.*" in left_out:
        return
    if isinstance(wanted, dict) and isinstance(actual, dict):
        for key, value in wanted.items():
            inside = f"{path}.{key}".lstrip(".")
            if key in actual:
                yield from differences(value, actual[key], said, inside, left_out)
            elif inside not in left_out and f"{path}.*" not in left_out:
                yield f"{inside} is missing"
    elif isinstance(wanted, list) and isinstance(actual, list):
        for value in wanted[:1] if actual else []:
            yield from differences(value, actual[0], said, path, left_out)
    elif not same_type(wanted, actual):
        yield f"{path} is {actual!r}, at AWS {wanted!r}"
    elif (path.rpartition(".")[2], repr(wanted)) in said and wanted != actual:
        yield f"{path} is {actual!r}, though the request says {wanted!r}"


def same_type(wanted: Any, actual: Any) -> bool:
    if isinstance(actual, datetime):
        return isinstance(wanted, str | int | float)
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return isinstance(wanted, bool) and isinstance(actual, bool)
    if isinstance(wanted, int | float):
        return isinstance(actual, int | float)
    return type(wanted) is type(actual)


def test_the_corpus_is_not_empty() -> None:
    assert len(list(examples())) >= 90


# shapes: the door holds every answer against botocore's own


def walk_through_alarms(stage: Stage) -> None:
    cloudwatch = stage.sim.client("cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName="errors", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1)
    cloudwatch.put_composite_alarm(AlarmName="all", AlarmRule="ALARM(errors)")
    for name in ("errors", "all"):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")
    said = cloudwatch.describe_alarms()
    assert [alarm["AlarmName"] for alarm in said["MetricAlarms"]] == ["errors"]
    assert said["CompositeAlarms"] == []
    both = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"], StateValue="ALARM")
    assert [alarm["AlarmName"] for alarm in both["CompositeAlarms"]] == ["all"]
    assert cloudwatch.describe_alarms(AlarmNamePrefix="x")["MetricAlarms"] == []
    with pytest.raises(cloudwatch.exceptions.ResourceNotFound):
        cloudwatch.set_alarm_state(AlarmName="none", StateValue="OK", StateReason="by hand")
    with pytest.raises(ClientError, match="failed to satisfy constraint"):
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue="FINE", StateReason="by hand")


def walk_through_metrics(stage: Stage) -> None:
    cloudwatch, now = stage.sim.client("cloudwatch"), stage.sim.now()
    assert cloudwatch.list_metrics(Namespace="AWS/ECS")["Metrics"] == []
    metric = {"Namespace": "ECS/ContainerInsights", "MetricName": "RestartCount"}
    query = {"Id": "m0", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    asked = {"MetricDataQueries": [query], "StartTime": now - timedelta(hours=1), "EndTime": now}
    (result,) = cloudwatch.get_metric_data(**asked)["MetricDataResults"]
    assert (result["Id"], result["Values"]) == ("m0", [])
    with pytest.raises(ClientError, match="StartTime must be less"):
        cloudwatch.get_metric_data(**{**asked, "EndTime": now - timedelta(hours=2)})
    with pytest.raises(ClientError, match="greater than 500"):
        cloudwatch.get_metric_data(**{**asked, "MetricDataQueries": [query] * 501})


def test_every_served_operation_without_an_example_answers_in_aws_s_shape() -> None:
    stage = Stage("autoscaling", "DescribeWarmPool", {"AutoScalingGroupName": "my-auto-scaling-group"})
    walk_through_parameters(stage)
    walk_through_warm_pool(stage)
    walk_through_cluster(stage)
    stage.sim.client("iam").simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{stage.sim.world.account}:role/operator", ActionNames=["ecs:ListTasks"]
    )
    walk_through_alarms(stage)
    walk_through_metrics(stage)
    answered = {(call.service, call.operation) for call in stage.sim.door.calls if call.error is None}
    covered = {(parameters.values[0], parameters.values[1]) for parameters in examples()}
    # Agents alone may register; everybody else is refused.
    assert served() - covered - answered == {("ecs", "RegisterContainerInstance")}


def walk_through_parameters(stage: Stage) -> None:
    tags = [{"Key": "ecsroll:group", "Value": "web"}]
    for name in ("/e/a", "/e/b"):
        stage.call("ssm", "PutParameter", Name=name, Value="x", Type="String", Tags=tags)
    stage.call("ssm", "LabelParameterVersion", Name="/e/a", Labels=["good"])
    stage.call("ssm", "GetParameter", Name="/e/a:good")
    stage.call("ssm", "GetParameters", Names=["/e/a", "/none"])
    stage.call("ssm", "GetParametersByPath", Path="/e")
    stage.call("ssm", "GetParameterHistory", Name="/e/a")
    stage.call("ssm", "DescribeParameters")
    resource = {"ResourceType": "Parameter", "ResourceId": "/e/a"}
    stage.call("ssm", "AddTagsToResource", **resource, Tags=tags)
    stage.call("ssm", "ListTagsForResource", **resource)
    stage.call("ssm", "RemoveTagsFromResource", **resource, TagKeys=["ecsroll:group"])
    stage.call("ssm", "DeleteParameters", Names=["/e/b", "/none"])
    stage.call("ssm", "DeleteParameter", Name="/e/a")


def walk_through_warm_pool(stage: Stage) -> None:
    stage.call("autoscaling", "PutWarmPool", AutoScalingGroupName="my-auto-scaling-group", MinSize=1)
    stage.sim.sleep(120)
    stage.call("autoscaling", "DescribeWarmPool", AutoScalingGroupName="my-auto-scaling-group")
    stage.call("autoscaling", "DeleteWarmPool", AutoScalingGroupName="my-auto-scaling-group")
    stage.call("ec2", "DescribeInstanceTypes", InstanceTypes=["m5.large", "p3.2xlarge", "t4g.small"])


def walk_through_cluster(stage: Stage) -> None:
    stage.call("ecs", "CreateCluster", clusterName="prod")
    host = stage.sim.clusters.register(stage.instance(), stage.sim.clusters.find("prod")).arn
    attribute = {"name": "ecsroll.drain", "value": "1", "targetType": "container-instance", "targetId": host}
    stage.call("ecs", "PutAttributes", cluster="prod", attributes=[attribute])
    stage.call("ecs", "ListAttributes", cluster="prod", targetType="container-instance")
    stage.call("ecs", "DeleteAttributes", cluster="prod", attributes=[attribute])
    container = {"name": "app", "image": "busybox", "cpu": 10, "memory": 10, "essential": True}
    stage.call("ecs", "RegisterTaskDefinition", family="web", containerDefinitions=[container])
    started = stage.call("ecs", "StartTask", cluster="prod", taskDefinition="web", containerInstances=[host])
    task = started["tasks"][0]["taskArn"]
    stage.call("ecs", "GetTaskProtection", cluster="prod", tasks=[task])
    stage.call("ecs", "UpdateTaskProtection", cluster="prod", tasks=[task], protectionEnabled=True)
    stage.call("ecs", "UpdateContainerInstancesState", cluster="prod", containerInstances=[host], status="DRAINING")
    stage.call("ecs", "StopTask", cluster="prod", task=task)
    stage.call("ecs", "DeregisterTaskDefinition", taskDefinition="web:1")
    walk_through_providers(stage)


def walk_through_providers(stage: Stage) -> None:
    arn = stage.sim.scaling.groups["my-auto-scaling-group"].arn
    provider = {"autoScalingGroupArn": arn, "managedDraining": "ENABLED"}
    stage.call("ecs", "CreateCapacityProvider", name="cp", autoScalingGroupProvider=provider)
    stage.call(
        "ecs",
        "PutClusterCapacityProviders",
        cluster="prod",
        capacityProviders=["cp"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "cp", "weight": 1}],
    )
    stage.call("ecs", "UpdateCapacityProvider", name="cp", autoScalingGroupProvider={"managedDraining": "DISABLED"})
    stage.call("ecs", "DescribeCapacityProviders", capacityProviders=["cp"])


# waiters


def waiter(sim: Simulation, service: str, name: str) -> Any:
    """botocore's own waiter, which sleeps on the simulated time."""
    model = WaiterModel(LOADER.load_service_model(service, "waiters-2"))
    return create_waiter_with_client(name, model, sim.client(service))


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    made = Simulation()
    # botocore gives no other way to say how a waiter sleeps.
    monkeypatch.setattr("botocore.waiter.time.sleep", made.sleep)
    return made


def run_instance(sim: Simulation) -> str:
    image = sim.images.recommended("amazon-linux-2023").id
    made = sim.client("ec2").run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)
    return str(made["Instances"][0]["InstanceId"])


def test_botocore_waits_until_an_instance_exists_runs_and_is_gone(sim: Simulation) -> None:
    ec2, instance = sim.client("ec2"), run_instance(sim)
    waiter(sim, "ec2", "InstanceExists").wait(InstanceIds=[instance])
    waiter(sim, "ec2", "InstanceRunning").wait(InstanceIds=[instance])
    waiter(sim, "ec2", "InstanceStatusOk").wait(InstanceIds=[instance])
    ec2.terminate_instances(InstanceIds=[instance])
    waiter(sim, "ec2", "InstanceTerminated").wait(InstanceIds=[instance])
    assert sim.compute.instances[instance].state == "terminated"


def test_botocore_waits_until_an_instance_is_stopped(sim: Simulation) -> None:
    instance = run_instance(sim)
    waiter(sim, "ec2", "InstanceRunning").wait(InstanceIds=[instance])
    sim.client("ec2").stop_instances(InstanceIds=[instance])
    waiter(sim, "ec2", "InstanceStopped").wait(InstanceIds=[instance])


def test_botocore_waits_until_a_target_is_in_service_and_deregistered(sim: Simulation) -> None:
    elb, instance = sim.client("elbv2"), run_instance(sim)
    waiter(sim, "ec2", "InstanceRunning").wait(InstanceIds=[instance])
    group = elb.create_target_group(Name="web", Port=80, Protocol="HTTP")["TargetGroups"][0]["TargetGroupArn"]
    subnet = next(iter(sim.compute.subnets))
    balancer = elb.create_load_balancer(Name="lb", Subnets=[subnet])["LoadBalancers"][0]["LoadBalancerArn"]
    elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    target = {"TargetGroupArn": group, "Targets": [{"Id": instance, "Port": 80}]}
    waiter(sim, "elbv2", "LoadBalancerAvailable").wait(LoadBalancerArns=[balancer])
    elb.register_targets(**target)
    waiter(sim, "elbv2", "TargetInService").wait(**target)
    elb.deregister_targets(**target)
    waiter(sim, "elbv2", "TargetDeregistered").wait(**target)


def test_botocore_waits_for_services_and_tasks(sim: Simulation) -> None:
    ecs = sim.client("ecs")
    cluster = sim.clusters.create("prod")
    stage_host(sim, cluster)
    container = {"name": "app", "image": "busybox", "cpu": 64, "memory": 64, "essential": True}
    ecs.register_task_definition(family="web", containerDefinitions=[container])
    ecs.create_service(cluster="prod", serviceName="web", taskDefinition="web", desiredCount=2)
    waiter(sim, "ecs", "ServicesStable").wait(cluster="prod", services=["web"])
    task = ecs.run_task(cluster="prod", taskDefinition="web")["tasks"][0]["taskArn"]
    waiter(sim, "ecs", "TasksRunning").wait(cluster="prod", tasks=[task])
    ecs.stop_task(cluster="prod", task=task)
    waiter(sim, "ecs", "TasksStopped").wait(cluster="prod", tasks=[task])
    ecs.update_service(cluster="prod", service="web", desiredCount=0)
    waiter(sim, "ecs", "ServicesStable").wait(cluster="prod", services=["web"])
    ecs.delete_service(cluster="prod", service="web")
    waiter(sim, "ecs", "ServicesInactive").wait(cluster="prod", services=["web"])


def stage_host(sim: Simulation, cluster: Any) -> None:
    instance = run_instance(sim)
    waiter(sim, "ec2", "InstanceRunning").wait(InstanceIds=[instance])
    register: Callable[..., Any] = sim.clusters.register
    register(sim.compute.instances[instance], cluster)
