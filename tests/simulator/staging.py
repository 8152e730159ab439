"""What AWS's own examples take for granted: groups, instances, services with the names that their requests say.

A stage makes them in a simulation, through its laws where it can, and keeps which name of the example became which
one here: ids and ARNs are AWS's to give.
"""

import re
from collections.abc import Iterator
from typing import Any

from ecsroll.simulator import Simulation
from ecsroll.simulator.compute import Instance
from ecsroll.simulator.groups import TERMINATING
from ecsroll.simulator.world import World

__all__ = ["Stage"]

GROUP = "my-auto-scaling-group"
HOST = "i-0f00000000000000f"
CONTAINER = {"name": "simple-app", "image": "busybox", "cpu": 10, "memory": 10, "essential": True}


class Stage:
    """A simulation in which one example can be played."""

    def __init__(self, service: str, operation: str, request: dict[str, Any]) -> None:
        self.sim = Simulation(World(region="us-west-2", account="123456789012"))
        self.service, self.operation, self.request = service, operation, request
        self.names: dict[str, Any] = {}
        self._things()
        getattr(self, f"_{service}")()
        self.sim.sleep(120)

    def play(self) -> dict[str, Any]:
        """The answer to the example's request."""
        return self.sim.door.call(self.service, self.operation, self.here(self.request))

    def here(self, value: Any) -> Any:
        """Something from the example, in the names of this simulation."""
        if isinstance(value, dict):
            return {key: self.here(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.here(each) for each in value]
        return self.names.get(value, value) if isinstance(value, str) else value

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Set something up through the front door."""
        return self.sim.door.call(service, operation, params)

    def words(self) -> Iterator[str]:
        """Every string of the request."""
        return _words(self.request)

    # what stands alone

    def _things(self) -> None:
        zones = self.sim.compute.zones
        for number, word in enumerate(self.words()):
            for subnet in re.findall(r"subnet-\w+", word):
                self.sim.compute.subnets.setdefault(subnet, zones[number % len(zones)])
            if word.startswith("ami-"):
                self.sim.images.register(f"image of {word}", image_id=word)
            if re.fullmatch(r"i-[0-9a-f]{8,17}", word):
                self.instance(word)

    def image(self, name: str = "") -> str:
        return self.sim.images.recommended("amazon-linux-2023/arm64" if "arm" in name else "amazon-linux-2023").id

    def instance(self, instance_id: str = HOST) -> Instance:
        compute = self.sim.compute
        zone = compute.zones[2]
        made = Instance(
            instance_id, "t3.micro", zone, compute.subnet_of(zone), "10.0.0.9", self.image(), 0.0, state="running"
        )
        made.tags["Purpose"] = "test"
        return compute.instances.setdefault(instance_id, made)

    def template(self, name: str) -> str:
        kind = "c6g.large" if "arm" in name else "m5.large"
        data = {"ImageId": self.image(name), "InstanceType": kind}
        made = self.call("ec2", "CreateLaunchTemplate", LaunchTemplateName=name, LaunchTemplateData=data)
        for _ in range(2):
            self.call(
                "ec2", "CreateLaunchTemplateVersion", LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={}
            )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    # Auto Scaling

    def _autoscaling(self) -> None:
        for word in sorted(set(self.words())):
            if "template" in word and not word.startswith("arn:"):
                self.template(word)
        if self.operation == "CreateAutoScalingGroup":
            return
        if self.operation != "CreateLaunchConfiguration":
            self._configuration()
        if "LaunchConfiguration" not in self.operation:
            self._group()
            getattr(self, f"_before_{self.operation}", lambda: None)()

    def _configuration(self) -> None:
        self.call(
            "autoscaling",
            "CreateLaunchConfiguration",
            LaunchConfigurationName="my-launch-config",
            ImageId=self.image(),
            InstanceType="t3.micro",
            AssociatePublicIpAddress=True,
        )

    def _group(self) -> None:
        self.call(
            "autoscaling",
            "CreateAutoScalingGroup",
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=5,
            DesiredCapacity=0,
            LaunchConfigurationName="my-launch-config",
            AvailabilityZones=self.sim.compute.zones,
            HealthCheckGracePeriod=300,
            Tags=[
                {"Key": "Dept", "Value": "Research", "PropagateAtLaunch": True},
                {"Key": "Role", "Value": "WebServer", "PropagateAtLaunch": True},
            ],
        )
        outside = ("AttachInstances", "DeleteAutoScalingGroup", "DescribeScalingActivities")
        named = [word for word in self.words() if word in self.sim.compute.instances]
        group = self.sim.scaling.groups[GROUP]
        for instance_id in [] if self.operation in outside else named or [HOST]:
            instance = self.instance(instance_id)
            instance.launch_configuration = "my-launch-config"
            self.sim.scaling.fleet.adopt(group, instance)
            group.desired += 1

    def _hook(self, transition: str = TERMINATING) -> None:
        others: dict[str, Any] = {
            "NotificationTargetARN": "arn:aws:sns:us-west-2:1:t",
            "RoleARN": "arn:aws:iam::1:role/r",
        }
        self.sim.scaling.put_hook(GROUP, "my-lifecycle-hook", transition, **others)

    def _before_DeleteLifecycleHook(self) -> None:  # noqa: N802 - AWS's name of the operation
        self._hook()

    _before_DescribeLifecycleHooks = _before_DeleteLifecycleHook  # noqa: N815

    def _before_CompleteLifecycleAction(self) -> None:  # noqa: N802
        self._hook()
        self.sim.scaling.terminate_in_group(HOST, decrement=False)
        self.sim.sleep(60)
        member = self.sim.scaling.groups[GROUP].members[HOST]
        self.names[self.request["LifecycleActionToken"]] = member.waiting["my-lifecycle-hook"].token

    _before_RecordLifecycleActionHeartbeat = _before_CompleteLifecycleAction  # noqa: N815

    def _before_ExitStandby(self) -> None:  # noqa: N802
        self.sim.scaling.enter_standby(GROUP, self.request["InstanceIds"], decrement=True)

    def _before_CancelInstanceRefresh(self) -> None:  # noqa: N802
        # Protected, so that the refresh is still waiting when it is asked about.
        self.sim.scaling.groups[GROUP].members[HOST].protected = True
        preferences = {"MinHealthyPercentage": 90, "InstanceWarmup": 200, "SkipMatching": False}
        self.call("autoscaling", "StartInstanceRefresh", AutoScalingGroupName=GROUP, Preferences=preferences)

    _before_DescribeInstanceRefreshes = _before_CancelInstanceRefresh  # noqa: N815

    def _before_DescribeScalingActivities(self) -> None:  # noqa: N802
        self.sim.scaling.set_desired(GROUP, 1)

    # EC2

    def _ec2(self) -> None:
        if self.operation == "StartInstances":
            self.instance(self.request["InstanceIds"][0]).state = "stopped"
        if self.operation == "DescribeInstances":
            self.instance()
        vpc = next((word for word in self.words() if re.fullmatch(r"vpc-[0-9a-f]+", word)), None)
        if vpc:
            self.names[vpc] = self.sim.compute.vpc_id
        for word in [*(self.request.get("LaunchTemplateIds") or ()), self.request.get("LaunchTemplateId")]:
            if word:
                self.names[word] = self.template("my-template")
        if self.operation == "DeleteLaunchTemplateVersions":
            self.sim.compute.templates.find(name="my-template").default = 2

    def _sts(self) -> None:
        """Nothing is needed to ask who one is."""

    # load balancing

    def _elbv2(self) -> None:
        if self.operation in ("CreateLoadBalancer", "CreateTargetGroup"):
            return
        self.sim.compute.subnets["subnet-8360a9e7"] = self.sim.compute.zones[0]
        made = self.call("elbv2", "CreateLoadBalancer", Name="my-load-balancer", Subnets=["subnet-8360a9e7"])
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        made = self.call("elbv2", "CreateTargetGroup", Name="my-targets", Port=80, Protocol="HTTP")
        group = made["TargetGroups"][0]["TargetGroupArn"]
        forward = [{"Type": "forward", "TargetGroupArn": group}]
        made = self.call(
            "elbv2", "CreateListener", LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward
        )
        kinds = {"loadbalancer/": balancer, "targetgroup/": group, "listener/": made["Listeners"][0]["ListenerArn"]}
        for word in self.words():
            for kind, arn in kinds.items():
                if word.startswith("arn:") and kind in word:
                    self.names[word] = arn
        if self.operation in ("DescribeTargetHealth", "DeregisterTargets"):
            self.instance("i-0f76fade")
            self.call("elbv2", "RegisterTargets", TargetGroupArn=group, Targets=[{"Id": "i-0f76fade", "Port": 80}])
        if self.operation == "DescribeTags":
            self.sim.balancer.load_balancers[balancer].tags.update(project="lima", department="digital-media")

    # ECS

    def _ecs(self) -> None:
        if self.operation == "CreateCluster":
            return
        for name in ("default", "my_cluster", "dev"):
            made = self.call("ecs", "CreateCluster", clusterName=name, tags=[{"key": "team", "value": "dev"}])
            self.names[f"arn:aws:ecs:region:aws_account_id:cluster/{name}"] = made["cluster"]["clusterArn"]
        definition = str(self.request.get("taskDefinition") or self.request.get("family") or "hello_world")
        self._define(definition)
        self._host()
        if self.operation != "CreateService":
            self._service(definition.partition(":")[0])
        self.sim.sleep(60)
        tasks = self.call("ecs", "ListTasks", cluster="default")["taskArns"]
        for task in self.request.get("tasks") or ():
            self.names[task] = tasks[0]

    def _define(self, definition: str) -> None:
        family, _, revision = definition.partition(":")
        if self.operation == "RegisterTaskDefinition":
            family, revision = "another", "1"
        for name in {family, "wordpress", "another"}:
            for _ in range(int(revision or 1)):
                self.call("ecs", "RegisterTaskDefinition", family=name, containerDefinitions=[CONTAINER])

    def _host(self) -> None:
        cluster = self.sim.clusters.find("default")
        host = self.sim.clusters.register(self.instance(), cluster)
        named = [self.request.get("containerInstance"), *(self.request.get("containerInstances") or ())]
        self.names.update({name: host.arn for name in named if name})

    def _service(self, family: str) -> None:
        name = self.request.get("service") or next(iter(self.request.get("services") or ()), "my-http-service")
        count = 0 if self.operation == "DeleteService" else 1
        definition = "another" if self.operation == "RegisterTaskDefinition" else family
        self.call("ecs", "CreateService", serviceName=name, taskDefinition=definition, desiredCount=count)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _words(each)
    elif isinstance(value, list):
        for each in value:
            yield from _words(each)
