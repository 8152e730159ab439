"""A small cluster for the tests of the container half: real calls to build it, the laws' own records to look at it."""

from typing import Any

from ecsroll.simulator import Simulation
from ecsroll.simulator.balancer import TargetGroup
from ecsroll.simulator.cluster import Cluster, ContainerInstance
from ecsroll.simulator.compute import Instance
from ecsroll.simulator.services import Service
from ecsroll.simulator.tasks import Task
from ecsroll.simulator.world import World

ZONES = "abc"


class Yard:
    """One cluster ``prod`` whose hosts are launched one by one, without an Auto Scaling group."""

    def __init__(self, hosts: int = 3, *, seed: int = 0, instance_type: str = "m5.large") -> None:
        self.sim = Simulation(World(seed=seed))
        self.ecs = self.sim.client("ecs")
        self.image = self.sim.images.releases("amazon-linux-2023")[-1].id
        self.type = instance_type
        self.ecs.create_cluster(clusterName="prod")
        self.add_hosts(hosts)

    @property
    def cluster(self) -> Cluster:
        return self.sim.clusters.find("prod")

    @property
    def hosts(self) -> list[ContainerInstance]:
        return self.cluster.registered

    def add_hosts(self, number: int, *, wait: float = 120, image: str | None = None) -> None:
        for _ in range(number):
            self.launch(image=image)
        self.sim.sleep(wait)

    def launch(self, *, image: str | None = None, zone: str | None = None) -> Instance:
        letter = zone or ZONES[len(self.sim.compute.instances) % 3]
        subnet = self.sim.compute.subnet_of(f"{self.sim.world.region}{letter}")
        made = self.sim.compute.launch({"ImageId": image or self.image, "InstanceType": self.type}, subnet_id=subnet)
        made.cluster = "prod"
        return made

    def definition(self, family: str = "web", **container: Any) -> str:
        extra = container.pop("task", {})
        described = {"name": "app", "image": "app:1", "cpu": 256, "memory": 512, **container}
        answer = self.ecs.register_task_definition(family=family, containerDefinitions=[described], **extra)
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        return arn

    def service(self, name: str = "web", desired: int = 3, *, wait: float = 120, **request: Any) -> Service:
        definition = request.pop("taskDefinition", None) or self.definition(name, **request.pop("container", {}))
        if request.get("schedulingStrategy") != "DAEMON":
            request["desiredCount"] = desired
        low, high = request.pop("percents", (None, None))
        if low is not None:
            request["deploymentConfiguration"] = {"minimumHealthyPercent": low, "maximumPercent": high}
        self.ecs.create_service(cluster="prod", serviceName=name, taskDefinition=definition, **request)
        self.sim.sleep(wait)
        return self.cluster.services[name]

    def group(self, name: str = "web", *, delay: int = 300) -> TargetGroup:
        group = self.sim.balancer.served_group(name)
        group.attributes["deregistration_delay.timeout_seconds"] = str(delay)
        return group

    def behind(self, group: TargetGroup, port: int = 80) -> dict[str, Any]:
        return {
            "container": {"portMappings": [{"containerPort": port}]},
            "loadBalancers": [{"targetGroupArn": group.arn, "containerName": "app", "containerPort": port}],
        }

    def drain(self, *hosts: ContainerInstance, status: str = "DRAINING") -> dict[str, Any]:
        answer: dict[str, Any] = self.ecs.update_container_instances_state(
            cluster="prod", containerInstances=[host.arn for host in hosts], status=status
        )
        return answer

    def run(self, family: str = "job", *, runs_for: float | None = None, **container: Any) -> Task:
        definition = self.sim.tasks.definitions.find(self.definition(family, **container))
        started, _ = self.sim.scheduler.standalone.run(self.cluster, definition, {}, runs_for=runs_for)
        return started[0]

    def describe(self, service: str = "web") -> dict[str, Any]:
        answer: dict[str, Any] = self.ecs.describe_services(cluster="prod", services=[service])["services"][0]
        return answer

    def events(self, service: str = "web") -> list[str]:
        return [event["message"] for event in self.describe(service)["events"]]

    def sleep_until(self, condition: Any, *, limit: float = 3600, step: float = 1.0) -> float:
        """Seconds until it is true."""
        start = self.sim.elapsed()
        while not condition():
            assert self.sim.elapsed() - start < limit, "it never came true"
            self.sim.sleep(step)
        return self.sim.elapsed() - start
