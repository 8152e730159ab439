"""How Elastic Load Balancing v2 answers."""

from typing import TYPE_CHECKING, Any

from ecsroll.simulator.balancer import CHECKS, REASONS, LoadBalancer, Target, TargetGroup
from ecsroll.simulator.door import Params, answers
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__: list[str] = []

Described = dict[str, Any]


# target groups


def _group(sim: "Simulation", group: TargetGroup) -> Described:
    return {
        **CHECKS,
        **group.described,
        "TargetType": group.target_type,
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "VpcId": group.described.get("VpcId", sim.compute.vpc_id),
        "LoadBalancerArns": group.load_balancers,
    }


@answers("elbv2", "CreateTargetGroup")
def create_target_group(sim: "Simulation", params: Params) -> Described:
    """CreateTargetGroup."""
    described = {key: value for key, value in params.items() if key not in ("Name", "Tags")}
    group = sim.balancer.create_group(params["Name"], **described)
    group.tags.update({tag["Key"]: tag.get("Value", "") for tag in params.get("Tags") or ()})
    return {"TargetGroups": [_group(sim, group)]}


@answers("elbv2", "DescribeTargetGroups")
def describe_target_groups(sim: "Simulation", params: Params) -> Described:
    """DescribeTargetGroups."""
    groups = list(sim.balancer.groups.values())
    if params.get("TargetGroupArns"):
        groups = [sim.balancer.group(arn) for arn in params["TargetGroupArns"]]
    if params.get("Names"):
        groups = [group for group in groups if group.name in params["Names"]]
        if len(groups) < len(params["Names"]):
            raise Refusal("TargetGroupNotFound", "One or more target groups not found")
    if params.get("LoadBalancerArn"):
        groups = [group for group in groups if params["LoadBalancerArn"] in group.load_balancers]
    return {"TargetGroups": [_group(sim, group) for group in groups]}


@answers("elbv2", "DeleteTargetGroup")
def delete_target_group(sim: "Simulation", params: Params) -> Described:
    """DeleteTargetGroup."""
    sim.balancer.groups.pop(params["TargetGroupArn"], None)
    return {}


def _attributes(attributes: dict[str, str]) -> list[Described]:
    return [{"Key": key, "Value": value} for key, value in attributes.items()]


@answers("elbv2", "DescribeTargetGroupAttributes")
def describe_target_group_attributes(sim: "Simulation", params: Params) -> Described:
    """DescribeTargetGroupAttributes."""
    return {"Attributes": _attributes(sim.balancer.group(params["TargetGroupArn"]).attributes)}


@answers("elbv2", "ModifyTargetGroupAttributes")
def modify_target_group_attributes(sim: "Simulation", params: Params) -> Described:
    """ModifyTargetGroupAttributes."""
    group = sim.balancer.group(params["TargetGroupArn"])
    for attribute in params["Attributes"]:
        if attribute["Key"] == "deregistration_delay.timeout_seconds" and not 0 <= int(attribute["Value"]) <= 3600:
            raise Refusal(
                "ValidationError", "'deregistration_delay.timeout_seconds' must be between 0 and 3600 inclusive"
            )
        group.attributes[attribute["Key"]] = attribute["Value"]
    return {"Attributes": _attributes(group.attributes)}


# targets


def _target(target: Target) -> Described:
    shown: Described = {"Id": target.id, "Port": target.port}
    health: Described = {"State": target.state}
    if target.state in REASONS:
        health["Reason"], health["Description"] = REASONS[target.state]
    return {"Target": shown, "HealthCheckPort": str(target.port), "TargetHealth": health}


@answers("elbv2", "DescribeTargetHealth")
def describe_target_health(sim: "Simulation", params: Params) -> Described:
    """One target group a call, and no pages (aws-facts 6.5)."""
    group = sim.balancer.group(params["TargetGroupArn"])
    if not params.get("Targets"):
        return {"TargetHealthDescriptions": [_target(target) for target in group.targets.values()]}
    shown = []
    for asked in params["Targets"]:
        found = [
            target
            for (target_id, port), target in group.targets.items()
            if target_id == asked["Id"] and asked.get("Port") in (None, port)
        ]
        port = asked.get("Port", group.described.get("Port", 80))
        shown += [_target(target) for target in found or [Target(group, asked["Id"], port, "unused")]]
    return {"TargetHealthDescriptions": shown}


@answers("elbv2", "RegisterTargets")
def register_targets(sim: "Simulation", params: Params) -> Described:
    """RegisterTargets."""
    group = sim.balancer.group(params["TargetGroupArn"])
    for target in params["Targets"]:
        if group.target_type == "instance" and target["Id"] not in sim.compute.instances:
            raise Refusal("InvalidTarget", f"The following targets are not valid: {target['Id']}")
    for target in params["Targets"]:
        sim.balancer.register(group, target["Id"], int(target.get("Port") or group.described.get("Port", 80)))
    return {}


@answers("elbv2", "DeregisterTargets")
def deregister_targets(sim: "Simulation", params: Params) -> Described:
    """DeregisterTargets."""
    group = sim.balancer.group(params["TargetGroupArn"])
    for asked in params["Targets"]:
        for (target_id, port), target in list(group.targets.items()):
            if target_id == asked["Id"] and asked.get("Port") in (None, port):
                sim.balancer.deregister(target)
    return {}


# load balancers


def _load_balancer(sim: "Simulation", balancer: LoadBalancer) -> Described:
    return {
        "LoadBalancerArn": balancer.arn,
        "LoadBalancerName": balancer.name,
        "DNSName": f"{balancer.name}.{sim.world.region}.elb.amazonaws.com",
        "Scheme": balancer.described.get("Scheme", "internet-facing"),
        "Type": balancer.described.get("Type", "application"),
        "VpcId": sim.compute.vpc_id,
        "State": {"Code": "active"},
    }


@answers("elbv2", "CreateLoadBalancer")
def create_load_balancer(sim: "Simulation", params: Params) -> Described:
    """CreateLoadBalancer."""
    described = {key: value for key, value in params.items() if key not in ("Name", "Tags")}
    made = sim.balancer.create_load_balancer(params["Name"], **described)
    made.tags.update({tag["Key"]: tag.get("Value", "") for tag in params.get("Tags") or ()})
    return {"LoadBalancers": [_load_balancer(sim, made)]}


@answers("elbv2", "DescribeLoadBalancers")
def describe_load_balancers(sim: "Simulation", params: Params) -> Described:
    """DescribeLoadBalancers."""
    balancers = list(sim.balancer.load_balancers.values())
    if params.get("LoadBalancerArns"):
        balancers = [_find(sim, arn) for arn in params["LoadBalancerArns"]]
    if params.get("Names"):
        balancers = [balancer for balancer in balancers if balancer.name in params["Names"]]
        if not balancers:
            raise Refusal("LoadBalancerNotFound", f"Load balancers '{params['Names']}' not found")
    return {"LoadBalancers": [_load_balancer(sim, balancer) for balancer in balancers]}


def _find(sim: "Simulation", arn: str) -> LoadBalancer:
    if arn not in sim.balancer.load_balancers:
        raise Refusal("LoadBalancerNotFound", f"Load balancers '[{arn}]' not found")
    return sim.balancer.load_balancers[arn]


@answers("elbv2", "CreateListener")
def create_listener(sim: "Simulation", params: Params) -> Described:
    """CreateListener."""
    balancer = _find(sim, params["LoadBalancerArn"])
    described = {key: value for key, value in params.items() if key not in ("LoadBalancerArn", "Tags")}
    arn = sim.balancer.listen(balancer, described)
    return {"Listeners": [{**described, "ListenerArn": arn, "LoadBalancerArn": balancer.arn}]}


@answers("elbv2", "DescribeListeners")
def describe_listeners(sim: "Simulation", params: Params) -> Described:
    """DescribeListeners."""
    balancer = _find(sim, params["LoadBalancerArn"])
    listeners = [
        {**described, "ListenerArn": arn, "LoadBalancerArn": balancer.arn}
        for arn, described in balancer.listeners.items()
    ]
    return {"Listeners": listeners}


@answers("elbv2", "DescribeTags")
def describe_tags(sim: "Simulation", params: Params) -> Described:
    """DescribeTags."""
    shown = []
    for arn in params["ResourceArns"]:
        resource = sim.balancer.groups.get(arn) or _find(sim, arn)
        shown.append({"ResourceArn": arn, "Tags": _attributes(resource.tags)})
    return {"TagDescriptions": shown}
