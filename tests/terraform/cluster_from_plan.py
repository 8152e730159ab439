"""A cluster as a Terraform plan describes it, made in the simulated AWS by the calls that Terraform would make.

Reads what ``terraform show -json PLAN`` says: the plan of something that is applied, so that nothing in it is unknown.
Taken over are groups, templates, image parameters, hooks, capacity providers, balancers, task definitions and services;
networks, roles, logs, alerts and the scaling of services are not. The simulated ELB has no rules and no classic balancers:
a rule's target group hangs on the listener itself, and a service behind a classic balancer is behind nothing.

    python -m tests.terraform.cluster_from_plan PLAN.json SAMPLE.json      write a plan's trimmed copy
"""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ecsroll.simulator import Simulation
from ecsroll.simulator.stage import Stage

__all__ = ["Planned", "make", "trim"]

Values = dict[str, Any]

TAKEN: dict[str, tuple[str, ...]] = {
    "aws_subnet": ("id", "availability_zone"),
    "aws_ssm_parameter": ("name", "data_type", "type", "tags_all"),
    "aws_launch_template": ("id", "name", "image_id", "instance_type", "user_data", "tag_specifications"),
    "aws_autoscaling_group": (
        "name",
        "min_size",
        "max_size",
        "vpc_zone_identifier",
        "launch_template",
        "mixed_instances_policy",
        "protect_from_scale_in",
        "capacity_rebalance",
        "health_check_type",
        "health_check_grace_period",
        "instance_maintenance_policy",
        "termination_policies",
        "tag",
    ),
    "aws_autoscaling_lifecycle_hook": (
        "name",
        "autoscaling_group_name",
        "default_result",
        "heartbeat_timeout",
        "lifecycle_transition",
    ),
    "aws_ecs_cluster": ("name",),
    "aws_ecs_capacity_provider": ("name", "auto_scaling_group_provider"),
    "aws_ecs_cluster_capacity_providers": ("cluster_name", "capacity_providers", "default_capacity_provider_strategy"),
    "aws_lb": ("name", "load_balancer_type", "internal", "subnets"),
    "aws_lb_listener_rule": ("action",),
    "aws_lb_target_group": ("arn", "name", "port", "protocol", "target_type", "deregistration_delay", "health_check"),
    "aws_ecs_task_definition": (
        "arn",
        "family",
        "network_mode",
        "cpu",
        "memory",
        "task_role_arn",
        "execution_role_arn",
        "container_definitions",
        "volume",
    ),
    "aws_ecs_service": (
        "name",
        "task_definition",
        "scheduling_strategy",
        "desired_count",
        "deployment_minimum_healthy_percent",
        "deployment_maximum_percent",
        "deployment_circuit_breaker",
        "availability_zone_rebalancing",
        "health_check_grace_period_seconds",
        "capacity_provider_strategy",
        "ordered_placement_strategy",
        "placement_constraints",
        "load_balancer",
        "network_configuration",
        "enable_ecs_managed_tags",
        "propagate_tags",
    ),
}
"""What is read of each type. What AWS computes (a service's ``launch_type``) is no wish and is left out."""


ID = re.compile(r"(?<![0-9A-Za-z])(?!123456789012)[0-9a-f]{8,}(?![0-9A-Za-z])")
"""The random part of an id, an ARN or a generated name; not the account's number."""
SETS = ("subnets", "vpc_zone_identifier", "security_groups")


class Planned:
    """A plan's resources, by type."""

    def __init__(self, plan: Values) -> None:
        self.managed = sorted(_resources(plan["planned_values"]["root_module"]), key=lambda found: str(found["address"]))
        self.read = list(_resources(plan["prior_state"]["values"]["root_module"]))
        self.changes = {each["address"]: each["change"]["actions"] for each in plan["resource_changes"]}

    def of(self, kind: str) -> list[Values]:
        """The values of every resource of a type."""
        return [found["values"] for found in self.managed if found["type"] == kind]

    def beside(self, kind: str, module: str) -> Values:
        """The data source of a type in a module."""
        return next(
            dict(found["values"]) for found in self.read if found["type"] == kind and _module(found["address"]) == module
        )

    def address(self, kind: str, **wanted: str) -> str:
        """Where the resource stands that has those values."""
        return next(
            str(found["address"])
            for found in self.managed
            if found["type"] == kind and wanted.items() <= found["values"].items()
        )


def _resources(module: Values) -> Iterator[Values]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def _module(address: str) -> str:
    return ".".join(re.findall(r"module\.[\w-]+(?:\[[^]]*\])?", address))


# the copy that is committed


def trim(plan: Values) -> Values:
    """The same plan with nothing but what is read of it; ids are numbered, for each apply invents others."""
    planned = Planned(plan)
    own = [str(found["values"].get(name)) for found in planned.managed for name in ("id", "arn")]
    numbers: dict[str, str] = {}
    for word in own:
        _numbered(word, numbers)
    read = [found for found in planned.read if found["mode"] == "data" and found["type"] == "aws_ssm_parameter"]
    kept = [found for found in planned.managed if found["type"] in TAKEN]
    trimmed = {
        "planned_values": {"root_module": {"resources": [_trimmed(found, TAKEN[found["type"]]) for found in kept]}},
        "prior_state": {"values": {"root_module": {"resources": [_trimmed(found, ("name",)) for found in read]}}},
        "resource_changes": [
            {"address": found["address"], "change": {"actions": planned.changes[found["address"]]}} for found in kept
        ],
    }
    return dict(_numbered(trimmed, numbers))


def _numbered(value: Any, numbers: dict[str, str]) -> Any:
    """Every id's random part replaced by a number of its own; what is a set in Terraform is sorted by it."""
    if isinstance(value, dict):
        known = {name: each if name == "user_data" else _numbered(each, numbers) for name, each in value.items()}
        return {name: sorted(each) if name in SETS else each for name, each in known.items()}
    if isinstance(value, list):
        return [_numbered(each, numbers) for each in value]
    if not isinstance(value, str):
        return value
    return ID.sub(lambda found: numbers.setdefault(found[0], f"{len(numbers):0{len(found[0])}x}"), value)


def _trimmed(found: Values, kept: tuple[str, ...]) -> Values:
    values = {name: found["values"][name] for name in kept if found["values"].get(name) not in (None, [], {}, "")}
    if "user_data" in values:
        values["user_data"] = _agent_config(values["user_data"])
    return {"address": found["address"], "mode": found["mode"], "type": found["type"], "values": values}


def _agent_config(user_data: str) -> str:
    """User data with nothing in it but what it writes into ecs.config."""
    text = base64.b64decode(user_data).decode()
    lines = [line for line in text.splitlines() if re.match(r"ECS_[A-Z_]+=", line)]
    return base64.b64encode("\n".join(lines).encode()).decode()


# the cluster


def make(plan: Values, sim: Simulation, *, age: int = 2) -> Stage:
    """Make it all as a first apply would have, ``age`` releases ago, and let time pass until every service is steady.

    ``sim`` is in the plan's region. The stage names no groups and services of its own: they are in the plan.
    """
    planned = Planned(plan)
    stage = Stage(sim, str(planned.of("aws_ecs_cluster")[0]["name"]), (), ())
    latency, sim.door.latency = sim.door.latency, 0.0
    sim.client("ecs").create_cluster(clusterName=stage.cluster)
    for subnet in planned.of("aws_subnet"):
        sim.compute.subnets[subnet["id"]] = subnet["availability_zone"]
    _make_parameters(stage, planned, age)
    _make_groups(stage, planned)
    _make_providers(stage, planned)
    arns = _make_balancers(stage, planned)
    _make_services(stage, planned, arns)
    _settle(stage)
    for root, image in stage.new_image.items():
        sim.images.recommend(root, image)
    sim.door.latency = latency
    sim.door.calls.clear()
    return stage


def _make_parameters(stage: Stage, planned: Planned, age: int) -> None:
    ssm = stage.sim.client("ssm")
    for parameter in planned.of("aws_ssm_parameter"):
        address = planned.address("aws_ssm_parameter", name=parameter["name"])
        root = planned.beside("aws_ssm_parameter", _module(address))["name"].removesuffix("/recommended/image_id")
        releases = stage.sim.images.releases(root)
        stage.old_image[root], stage.new_image[root] = releases[-1 - age].id, releases[-1].id
        stage.sim.images.recommend(root, stage.old_image[root])
        ssm.put_parameter(
            Name=parameter["name"],
            Value=stage.old_image[root],
            Type=parameter["type"],
            DataType=parameter["data_type"],
            Tags=[{"Key": key, "Value": value} for key, value in parameter["tags_all"].items()],
        )
    stage.sim.sleep(30)  # AWS validates an image's parameter late


def _make_groups(stage: Stage, planned: Planned) -> None:
    ids = {}
    for template in planned.of("aws_launch_template"):
        data = {
            "ImageId": template["image_id"],
            "InstanceType": template.get("instance_type"),
            "UserData": template["user_data"],
            "TagSpecifications": [
                {"ResourceType": each["resource_type"], "Tags": _tags(each["tags"])}
                for each in template["tag_specifications"]
            ],
        }
        made = stage.sim.client("ec2").create_launch_template(
            LaunchTemplateName=template["name"], LaunchTemplateData=_said(data)
        )
        ids[template["id"]] = made["LaunchTemplate"]["LaunchTemplateId"]
    scaling = stage.sim.client("autoscaling")
    for group in planned.of("aws_autoscaling_group"):
        scaling.create_auto_scaling_group(**_group(group, ids))
    for hook in planned.of("aws_autoscaling_lifecycle_hook"):
        scaling.put_lifecycle_hook(
            AutoScalingGroupName=hook["autoscaling_group_name"],
            LifecycleHookName=hook["name"],
            LifecycleTransition=hook["lifecycle_transition"],
            HeartbeatTimeout=hook["heartbeat_timeout"],
            DefaultResult=hook["default_result"],
        )


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _said(values: Values) -> Values:
    """Without what is not said at all."""
    return {name: value for name, value in values.items() if value is not None}


def _group(group: Values, ids: dict[str, str]) -> Values:
    (policy,) = group["instance_maintenance_policy"]
    return {
        "AutoScalingGroupName": group["name"],
        "MinSize": group["min_size"],
        "MaxSize": group["max_size"],
        "VPCZoneIdentifier": ",".join(group["vpc_zone_identifier"]),
        "NewInstancesProtectedFromScaleIn": group["protect_from_scale_in"],
        "CapacityRebalance": group["capacity_rebalance"],
        "HealthCheckType": group["health_check_type"],
        "HealthCheckGracePeriod": group["health_check_grace_period"],
        "TerminationPolicies": group["termination_policies"],
        "InstanceMaintenancePolicy": {
            "MinHealthyPercentage": policy["min_healthy_percentage"],
            "MaxHealthyPercentage": policy["max_healthy_percentage"],
        },
        "Tags": [
            {"Key": tag["key"], "Value": tag["value"], "PropagateAtLaunch": tag["propagate_at_launch"]}
            for tag in group["tag"]
        ],
        **_launch(group, ids),
    }


def _launch(group: Values, ids: dict[str, str]) -> Values:
    for template in group.get("launch_template") or ():
        return {"LaunchTemplate": {"LaunchTemplateId": ids[template["id"]], "Version": template["version"]}}
    (mixed,) = group["mixed_instances_policy"]
    (template,), (spread,) = mixed["launch_template"], mixed["instances_distribution"]
    (spec,) = template["launch_template_specification"]
    return {
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": ids[spec["launch_template_id"]],
                    "Version": spec["version"],
                },
                "Overrides": [{"InstanceType": override["instance_type"]} for override in template["override"]],
            },
            "InstancesDistribution": {
                "OnDemandAllocationStrategy": spread["on_demand_allocation_strategy"],
                "OnDemandBaseCapacity": spread["on_demand_base_capacity"],
                "OnDemandPercentageAboveBaseCapacity": spread["on_demand_percentage_above_base_capacity"],
                "SpotAllocationStrategy": spread["spot_allocation_strategy"],
            },
        }
    }


def _make_providers(stage: Stage, planned: Planned) -> None:
    ecs = stage.sim.client("ecs")
    for provider in planned.of("aws_ecs_capacity_provider"):
        (said,) = provider["auto_scaling_group_provider"]
        (scaling,) = said["managed_scaling"]
        ecs.create_capacity_provider(
            name=provider["name"],
            autoScalingGroupProvider={
                "autoScalingGroupArn": stage.sim.scaling.groups[said["auto_scaling_group_arn"].rpartition("/")[2]].arn,
                "managedDraining": said["managed_draining"],
                "managedTerminationProtection": said["managed_termination_protection"],
                # Zero is the provider's way of an argument that was not given.
                "managedScaling": {_camel(name): value for name, value in scaling.items() if value},
            },
        )
    for attached in planned.of("aws_ecs_cluster_capacity_providers"):
        ecs.put_cluster_capacity_providers(
            cluster=attached["cluster_name"],
            capacityProviders=attached["capacity_providers"],
            defaultCapacityProviderStrategy=_strategy(attached["default_capacity_provider_strategy"]),
        )


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _strategy(items: list[Values]) -> list[Values]:
    return [
        {"capacityProvider": item["capacity_provider"], "weight": item["weight"], "base": item["base"]} for item in items
    ]


def _make_balancers(stage: Stage, planned: Planned) -> dict[str, str]:
    """The target groups' ARNs: the plan's -> the simulation's."""
    elb, arns = stage.sim.client("elbv2"), {}
    for group in planned.of("aws_lb_target_group"):
        (check,) = group["health_check"]
        made = elb.create_target_group(
            Name=group["name"],
            Port=group["port"],
            Protocol=group["protocol"],
            TargetType=group["target_type"],
            HealthCheckPath=check["path"],
            HealthCheckIntervalSeconds=check["interval"],
            HealthCheckTimeoutSeconds=check["timeout"],
            HealthyThresholdCount=check["healthy_threshold"],
            UnhealthyThresholdCount=check["unhealthy_threshold"],
        )
        arns[group["arn"]] = arn = made["TargetGroups"][0]["TargetGroupArn"]
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": group["deregistration_delay"]}
        elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    for balancer in planned.of("aws_lb"):
        made = elb.create_load_balancer(Name=balancer["name"], Subnets=balancer["subnets"])
        forwarded = [arns[action["target_group_arn"]] for rule in planned.of("aws_lb_listener_rule") for action in rule["action"]]
        elb.create_listener(
            LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[
                {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn} for arn in forwarded]}}
            ],
        )
    return arns


def _make_services(stage: Stage, planned: Planned, arns: dict[str, str]) -> None:
    ecs = stage.sim.client("ecs")
    definitions = {}
    for definition in planned.of("aws_ecs_task_definition"):
        made = ecs.register_task_definition(**_definition(definition))
        definitions[definition["arn"]] = made["taskDefinition"]["taskDefinitionArn"]
    for service in planned.of("aws_ecs_service"):
        wanted = {"taskDefinition": definitions[service["task_definition"]], **_service(service, arns)}
        ecs.create_service(cluster=stage.cluster, **wanted)


def _definition(definition: Values) -> Values:
    return _said(
        {
            "family": definition["family"],
            "networkMode": definition["network_mode"],
            "cpu": definition.get("cpu"),
            "memory": definition.get("memory"),
            "taskRoleArn": definition.get("task_role_arn"),
            "executionRoleArn": definition.get("execution_role_arn"),
            "containerDefinitions": json.loads(definition["container_definitions"]),
            "volumes": [
                {"name": volume["name"], "host": {"sourcePath": volume["host_path"]}}
                for volume in definition.get("volume") or ()
            ],
        }
    )


def _service(service: Values, arns: dict[str, str]) -> Values:
    daemon = service["scheduling_strategy"] == "DAEMON"
    breaker = service["deployment_circuit_breaker"][0]
    balancers = [_balanced(each, arns) for each in service.get("load_balancer") or () if each["target_group_arn"]]
    wanted = {
        "serviceName": service["name"],
        "schedulingStrategy": service["scheduling_strategy"],
        "desiredCount": None if daemon else service["desired_count"],
        "deploymentConfiguration": {
            "minimumHealthyPercent": service.get("deployment_minimum_healthy_percent", 0),
            "maximumPercent": service["deployment_maximum_percent"],
            "deploymentCircuitBreaker": {"enable": breaker["enable"], "rollback": breaker["rollback"]},
        },
        "availabilityZoneRebalancing": service["availability_zone_rebalancing"],
        "healthCheckGracePeriodSeconds": service.get("health_check_grace_period_seconds") if balancers else None,
        "capacityProviderStrategy": _strategy(service.get("capacity_provider_strategy") or []) or None,
        "placementStrategy": [_said(each) for each in service.get("ordered_placement_strategy") or ()],
        "placementConstraints": [_said(each) for each in service.get("placement_constraints") or ()],
        "loadBalancers": balancers or None,
        "networkConfiguration": _network(service),
        "enableECSManagedTags": service["enable_ecs_managed_tags"],
        "propagateTags": service["propagate_tags"],
    }
    return _said(wanted)


def _balanced(balancer: Values, arns: dict[str, str]) -> Values:
    return {
        "targetGroupArn": arns[balancer["target_group_arn"]],
        "containerName": balancer["container_name"],
        "containerPort": balancer["container_port"],
    }


def _network(service: Values) -> Values | None:
    for network in service.get("network_configuration") or ():
        return {"awsvpcConfiguration": {"subnets": network["subnets"], "securityGroups": network["security_groups"]}}
    return None


def _settle(stage: Stage, *, limit: float = 3600) -> None:
    until = stage.sim.elapsed() + limit
    while waited_for := [said for said in _services(stage) if not _steady(said)]:
        lacking = {said["serviceName"]: [event["message"] for event in said["events"][:1]] for said in waited_for}
        assert stage.sim.elapsed() < until, f"never steady: {lacking}"
        stage.sim.sleep(10)


def _steady(said: Values) -> bool:
    deployed = all(entry.get("rolloutState") == "COMPLETED" for entry in said["deployments"])
    return deployed and said["runningCount"] >= said["desiredCount"] and not said["pendingCount"]


def _services(stage: Stage) -> list[Values]:
    names = list(stage.sim.clusters.find(stage.cluster).services)
    describe: Callable[..., Values] = stage.sim.client("ecs").describe_services
    pages = [names[start : start + 10] for start in range(0, len(names), 10)]
    return [said for page in pages for said in describe(cluster=stage.cluster, services=page)["services"]]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(trim(json.loads(Path(sys.argv[1]).read_text())), indent=1) + "\n")
