"""The cluster of ``examples/complete``, as its plan says it is, set up in the simulated AWS.

``complete.json`` holds what the plan says of groups, providers, hooks, services and balancers;
``python -m tests.terraform.complete`` writes it where Terraform can run.
"""

import base64
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ecsroll.simulator.images import LINUX
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage
from ecsroll.simulator.quick import QuickSimulation
from tests.terraform.inputs import TERRAFORM
from tests.watch import WatchedWorld

__all__ = ["SAMPLE", "planned", "read", "set_up"]

SAMPLE = Path(__file__).parent / "complete.json"
Values = Mapping[str, Any]

# What is taken from the plan. Tags, ids of what is not there yet and the like are left out.
KEPT = {
    "aws_autoscaling_group": ("name", "min_size", "max_size", "protect_from_scale_in", "mixed_instances_policy"),
    "aws_autoscaling_lifecycle_hook": (
        "name",
        "autoscaling_group_name",
        "default_result",
        "heartbeat_timeout",
        "lifecycle_transition",
    ),
    "aws_ecs_capacity_provider": ("name", "auto_scaling_group_provider"),
    "aws_ecs_cluster_capacity_providers": ("capacity_providers", "default_capacity_provider_strategy"),
    "aws_ecs_service": (
        "name",
        "scheduling_strategy",
        "launch_type",
        "desired_count",
        "deployment_minimum_healthy_percent",
        "deployment_maximum_percent",
        "capacity_provider_strategy",
        "ordered_placement_strategy",
        "placement_constraints",
        "load_balancer",
    ),
    "aws_ecs_task_definition": ("family", "network_mode", "container_definitions"),
    "aws_launch_template": ("image_id", "instance_type"),
    "aws_lb_target_group": ("name", "deregistration_delay", "target_type"),
    "aws_ssm_parameter": ("name", "data_type", "tags"),
}


def planned(plan: Values) -> list[dict[str, Any]]:
    """What of a plan's JSON is needed here: (address, type, values)."""
    return [
        {
            "address": entry["address"],
            "type": entry["type"],
            "values": {key: entry["values"][key] for key in KEPT[entry["type"]] if entry["values"].get(key) is not None},
        }
        for entry in _resources(plan["planned_values"]["root_module"])
        if entry["type"] in KEPT
    ]


def _resources(module: Values) -> Iterator[Values]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def read() -> list[dict[str, Any]]:
    """The sample."""
    found: list[dict[str, Any]] = json.loads(SAMPLE.read_text())
    return found


# In the simulated AWS ----------------------------------------------------------------------------------------------

HOSTS = {"demo-general": 3, "demo-spot": 3, "demo-consul": 3}
"""How many hosts each group has by now: the plan leaves that to ECS."""
STAND_IN = [{"name": "app", "image": "stand-in", "memory": 256, "essential": True}]
"""For containers that a plan does not know before the log group and the secrets are there."""


class _Plan:
    def __init__(self, resources: list[dict[str, Any]]) -> None:
        self.resources = resources

    def all(self, kind: str, under: str = "") -> list[Values]:
        """The values of every resource of a type, under a module's address."""
        return [
            entry["values"]
            for entry in self.resources
            if entry["type"] == kind and entry["address"].startswith(under)
        ]

    def module_of(self, kind: str, name: str) -> str:
        """The address of the module that a resource of this name is in."""
        (address,) = [
            entry["address"]
            for entry in self.resources
            if entry["type"] == kind and entry["values"]["name"] == name
        ]
        return str(address).rpartition(f".{kind}.")[0]


def set_up(resources: list[dict[str, Any]]) -> Stage:
    """Groups, providers, hooks and services by the AWS calls that Terraform would make; everything is steady at last."""
    plan = _Plan(resources)
    sim = QuickSimulation(WatchedWorld(seed=7), strict=False)
    names = [group["name"] for group in plan.all("aws_autoscaling_group")]
    stage = Stage(sim, "demo", tuple(GroupSet(name=name, hosts=HOSTS[name]) for name in names), ())
    sim.client("ecs").create_cluster(clusterName=stage.cluster)
    for name in names:
        _group(stage, plan, name)
    _providers(stage, plan)
    sim.sleep(600)
    services = sorted(plan.all("aws_ecs_service"), key=lambda said: said["scheduling_strategy"])  # daemons first
    stage.services = tuple(_service(stage, plan, said) for said in services)
    sim.sleep(900)
    for name in names:
        sim.images.recommend(_family(name), stage.new_image[name])
    sim.door.calls.clear()
    return stage


def _family(group: str) -> str:
    return LINUX + ("amazon-linux-2023/arm64" if group == "demo-spot" else "amazon-linux-2023")


def _group(stage: Stage, plan: _Plan, name: str) -> None:
    sim = stage.sim
    under = plan.module_of("aws_autoscaling_group", name)
    (said,) = plan.all("aws_autoscaling_group", under)
    (template,) = plan.all("aws_launch_template", under)
    (parameter,) = plan.all("aws_ssm_parameter", under)
    releases = sim.images.releases(_family(name))
    stage.old_image[name], stage.new_image[name] = releases[-3].id, releases[-1].id
    ssm = sim.client("ssm")
    ssm.put_parameter(
        Name=parameter["name"], Value=releases[-3].id, Type="String", DataType=parameter["data_type"]
    )
    sim.sleep(30)
    tags = [{"Key": key, "Value": value} for key, value in parameter["tags"].items()]
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=parameter["name"], Tags=tags)
    sim.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=said["min_size"],
        MaxSize=said["max_size"],
        DesiredCapacity=HOSTS[name],
        AvailabilityZones=[f"{sim.world.region}{letter}" for letter in "abc"],
        NewInstancesProtectedFromScaleIn=said["protect_from_scale_in"],
        **_launch(stage, said, template, name),
    )
    for hook in plan.all("aws_autoscaling_lifecycle_hook", under):
        sim.client("autoscaling").put_lifecycle_hook(
            AutoScalingGroupName=hook["autoscaling_group_name"],
            LifecycleHookName=hook["name"],
            LifecycleTransition=hook["lifecycle_transition"],
            HeartbeatTimeout=hook["heartbeat_timeout"],
            DefaultResult=hook["default_result"],
        )


def _launch(stage: Stage, group: Values, template: Values, name: str) -> dict[str, Any]:
    attributes = json.dumps({"instance-group": name})
    script = f"#!/bin/sh\necho ECS_CLUSTER={stage.cluster} >> /etc/ecs/ecs.config\n"
    script += f"echo 'ECS_INSTANCE_ATTRIBUTES={attributes}' >> /etc/ecs/ecs.config\n"
    mixed = group.get("mixed_instances_policy") or []
    types = [entry["instance_type"] for policy in mixed for entry in policy["launch_template"][0]["override"]]
    data = {
        "ImageId": template["image_id"],
        "InstanceType": template.get("instance_type") or types[0],
        "UserData": base64.b64encode(script.encode()).decode(),
    }
    made = stage.sim.client("ec2").create_launch_template(LaunchTemplateName=f"{name}-1", LaunchTemplateData=data)
    spec = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    if not types:
        return {"LaunchTemplate": spec}
    overrides = [{"InstanceType": kind} for kind in types]
    return {
        "MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": spec, "Overrides": overrides}}
    }


def _providers(stage: Stage, plan: _Plan) -> None:
    ecs = stage.sim.client("ecs")
    for said in plan.all("aws_ecs_capacity_provider"):
        (provider,) = said["auto_scaling_group_provider"]
        (scaling,) = provider["managed_scaling"]
        ecs.create_capacity_provider(
            name=said["name"],
            autoScalingGroupProvider={
                "autoScalingGroupArn": stage.sim.scaling.groups[said["name"]].arn,
                "managedDraining": provider["managed_draining"],
                "managedTerminationProtection": provider["managed_termination_protection"],
                "managedScaling": {
                    "status": scaling["status"],
                    **({"targetCapacity": scaling["target_capacity"]} if scaling.get("target_capacity") else {}),
                },
            },
        )
    (cluster,) = plan.all("aws_ecs_cluster_capacity_providers")
    ecs.put_cluster_capacity_providers(
        cluster=stage.cluster,
        capacityProviders=sorted(cluster["capacity_providers"]),
        defaultCapacityProviderStrategy=_strategy(cluster["default_capacity_provider_strategy"]),
    )


def _strategy(said: list[Values]) -> list[dict[str, Any]]:
    return [
        {"capacityProvider": item["capacity_provider"], "weight": item["weight"], "base": item.get("base") or 0}
        for item in said
        if item["weight"] or item.get("base")
    ]


def _service(stage: Stage, plan: _Plan, said: Values) -> ServiceSet:
    ecs = stage.sim.client("ecs")
    name = said["name"]
    (task,) = plan.all("aws_ecs_task_definition", plan.module_of("aws_ecs_service", name))
    containers = json.loads(task.get("container_definitions") or json.dumps(STAND_IN))
    ecs.register_task_definition(
        family=name,
        containerDefinitions=[{**container, "essential": True} for container in containers],
        networkMode="bridge" if task["network_mode"] == "awsvpc" else task["network_mode"],
        requiresCompatibilities=["EC2"],
    )
    daemon = said["scheduling_strategy"] == "DAEMON"
    wanted: dict[str, Any] = {
        "schedulingStrategy": said["scheduling_strategy"],
        "deploymentConfiguration": {
            "minimumHealthyPercent": said["deployment_minimum_healthy_percent"],
            "maximumPercent": said["deployment_maximum_percent"],
        },
        "placementConstraints": [
            {key: value for key, value in entry.items() if value} for entry in said.get("placement_constraints") or ()
        ],
        "placementStrategy": [dict(entry) for entry in said.get("ordered_placement_strategy") or ()],
    }
    if daemon:
        wanted["launchType"] = said["launch_type"]
        del wanted["placementStrategy"]
    else:
        wanted["desiredCount"] = said["desired_count"]
    if said.get("capacity_provider_strategy"):
        wanted["capacityProviderStrategy"] = _strategy(said["capacity_provider_strategy"])
    if name == "web":
        wanted["loadBalancers"] = [_balanced(stage, plan, said)]
    ecs.create_service(cluster=stage.cluster, serviceName=name, taskDefinition=name, **wanted)
    return ServiceSet(name=name, count=said.get("desired_count") or 0, daemon=daemon)


def _balanced(stage: Stage, plan: _Plan, said: Values) -> dict[str, Any]:
    """Behind the target group of the service's name, which is served."""
    group = next(entry for entry in plan.all("aws_lb_target_group") if entry["name"].endswith(said["name"]))
    made = stage.sim.balancer.served_group(group["name"])
    stage.sim.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=made.arn,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": group["deregistration_delay"]}],
    )
    (entry,) = said["load_balancer"]
    return {
        "targetGroupArn": made.arn,
        "containerName": entry["container_name"],
        "containerPort": entry["container_port"],
    }


if __name__ == "__main__":
    from tests.terraform.test_terraform import offline

    plan_file = Path(tempfile.mkdtemp()) / "plan"
    example = TERRAFORM / "examples/complete"
    done = offline("run", example, "--", "plan", f"-out={plan_file}")
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    shown = offline("run", example, "--", "show", "-json", plan_file).stdout
    said = json.loads(next(line for line in shown.splitlines() if line.startswith("{")))
    SAMPLE.write_text(json.dumps(planned(said), indent=1) + "\n")
