"""What AWS checks when a call comes in: actions, resources, condition keys; also those behind the call itself.

Told from AWS's service authorization reference (aws-facts 11), not from the table that is tested by it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ecsroll.simulator import Simulation
from ecsroll.simulator.door import Call
from tests.iam.evaluator import Request

__all__ = ["HOST_ROLE", "SERVICES", "checked"]

Params = Mapping[str, Any]
SERVICES = {"elbv2": "elasticloadbalancing", "elb": "elasticloadbalancing"}
"""IAM's names where they are not boto3's."""
HOST_ROLE = "demo-hosts"
"""The role of the hosts: templates of the stage name none, those of real clusters do."""

# Operations without a resource of their own: service -> those, or all of them (None).
_ON_ANYTHING: dict[str, set[str] | None] = {
    "ecs": {"ListClusters", "DescribeTaskDefinition", "ListServices", "ListTasks"},
    "autoscaling": None,
    "ec2": None,
    "elbv2": None,
    "cloudwatch": None,
}


def checked(sim: Simulation, call: Call) -> list[Request]:
    """Every request that AWS puts to IAM for this call."""
    # A batch of messages is checked as each of them is.
    action = f"{SERVICES.get(call.service, call.service)}:{call.operation.removesuffix('Batch')}"
    context = {"aws:RequestedRegion": sim.world.region, **_context(sim, call)}
    own = [
        Request(action, resource, {**context, **_tags(sim, resource)}) for resource in _resources(sim, call) or ["*"]
    ]
    behind = _BEHIND.get((call.service, call.operation), _nothing)
    return [*own, *(_with(request, context) for request in behind(sim, call.params))]


def _with(request: Request, context: Mapping[str, str]) -> Request:
    return Request(request.action, request.resource, {**context, **request.context})


def _nothing(sim: Simulation, params: Params) -> list[Request]:
    del sim, params
    return []


# Resources and keys ------------------------------------------------------------------------------------------------


def _resources(sim: Simulation, call: Call) -> list[str]:
    finder = _FINDERS.get((call.service, call.operation))
    if finder is not None:
        found = list(finder(sim, call.params))
        assert found, f"{call.operation} names nothing: {call.params}"
        return found
    anything = _ON_ANYTHING.get(call.service, set())
    known = (anything is None and not call.changes) or call.operation in (anything or ())
    assert known, f"say in {__name__} what AWS checks for {call.service}:{call.operation}"
    return []


def _ecs(sim: Simulation, kind: str, *parts: str) -> str:
    return f"arn:aws:ecs:{sim.world.region}:{sim.world.account}:{kind}/{'/'.join(parts)}"


def _cluster(sim: Simulation, params: Params) -> str:
    return _ecs(sim, "cluster", params["cluster"].rpartition("/")[2])


def _parameter(sim: Simulation, name: str) -> str:
    account = "" if name.startswith("/aws/") else sim.world.account
    return f"arn:aws:ssm:{sim.world.region}:{account}:parameter/{name.removeprefix('/')}"


def _group(sim: Simulation, params: Params) -> str:
    return sim.scaling.groups[params["AutoScalingGroupName"]].arn


def _queue(url: str) -> str:
    host, account, name = url.split("/")[2:]
    return f"arn:aws:sqs:{host.split('.')[1]}:{account}:{name}"


def _template(sim: Simulation, params: Params) -> str:
    found = sim.compute.templates.find(params.get("LaunchTemplateId"), params.get("LaunchTemplateName"))
    return f"arn:aws:ec2:{sim.world.region}:{sim.world.account}:launch-template/{found.id}"


def _configuration(sim: Simulation, params: Params) -> str:
    there = f"autoscaling:{sim.world.region}:{sim.world.account}"
    return f"arn:aws:{there}:launchConfiguration:0:launchConfigurationName/{params['LaunchConfigurationName']}"


def _services(sim: Simulation, params: Params) -> Iterator[str]:
    for name in params["services"]:
        yield name if name.startswith("arn:") else _ecs(sim, "service", params["cluster"], name)


Finder = Callable[[Simulation, Params], Iterable[str]]

_FINDERS: dict[tuple[str, str], Finder] = {
    ("ecs", "DescribeClusters"): lambda sim, said: [_ecs(sim, "cluster", name) for name in said["clusters"]],
    ("ecs", "ListContainerInstances"): lambda sim, said: [_cluster(sim, said)],
    ("ecs", "DeregisterContainerInstance"): lambda sim, said: [_cluster(sim, said)],
    ("ecs", "DescribeContainerInstances"): lambda _, said: said["containerInstances"],
    ("ecs", "UpdateContainerInstancesState"): lambda _, said: said["containerInstances"],
    ("ecs", "PutAttributes"): lambda _, said: [entry["targetId"] for entry in said["attributes"]],
    ("ecs", "DeleteAttributes"): lambda _, said: [entry["targetId"] for entry in said["attributes"]],
    ("ecs", "DescribeTasks"): lambda _, said: said["tasks"],
    ("ecs", "GetTaskProtection"): lambda _, said: said["tasks"],
    ("ecs", "StopTask"): lambda _, said: [said["task"]],
    ("ecs", "DescribeServices"): _services,
    ("ecs", "DescribeCapacityProviders"): lambda sim, said: [
        _ecs(sim, "capacity-provider", name) for name in said["capacityProviders"]
    ],
    **{
        ("autoscaling", operation): lambda sim, said: [_group(sim, said)]
        for operation in ("UpdateAutoScalingGroup", "SetInstanceProtection", "SuspendProcesses", "ResumeProcesses")
    },
    ("autoscaling", "TerminateInstanceInAutoScalingGroup"): lambda sim, said: [
        _group(sim, {"AutoScalingGroupName": sim.compute.instances[said["InstanceId"]].group})
    ],
    ("autoscaling", "CreateLaunchConfiguration"): lambda sim, said: [_configuration(sim, said)],
    **{
        ("ec2", operation): lambda sim, said: [_template(sim, said)]
        for operation in ("CreateLaunchTemplateVersion", "DeleteLaunchTemplateVersions", "ModifyLaunchTemplate")
    },
    **{
        ("sqs", operation): lambda _, said: [_queue(said["QueueUrl"])]
        for operation in (
            "GetQueueAttributes",
            "ReceiveMessage",
            "DeleteMessageBatch",
            "ChangeMessageVisibilityBatch",
        )
    },
    ("sns", "Publish"): lambda _, said: [said["TopicArn"]],
    ("events", "PutEvents"): lambda sim, said: [
        f"arn:aws:events:{sim.world.region}:{sim.world.account}:event-bus/{entry['EventBusName']}"
        for entry in said["Entries"]
    ],
    ("secretsmanager", "GetSecretValue"): lambda sim, said: [
        f"arn:aws:secretsmanager:{sim.world.region}:{sim.world.account}:secret:{said['SecretId']}-AbC1dE"
    ],
    ("ssm", "GetParameters"): lambda sim, said: [_parameter(sim, name) for name in said["Names"]],
    ("ssm", "GetParametersByPath"): lambda sim, said: [_parameter(sim, said["Path"])],
    ("ssm", "ListTagsForResource"): lambda sim, said: [_parameter(sim, said["ResourceId"])],
    **{
        ("ssm", operation): lambda sim, said: [_parameter(sim, said["Name"])]
        for operation in ("GetParameter", "PutParameter", "DeleteParameter")
    },
}


def _context(sim: Simulation, call: Call) -> dict[str, str]:
    if call.service == "ecs" and "cluster" in call.params:
        return {"ecs:cluster": _cluster(sim, call.params)}
    if call.operation == "PutParameter":
        return {"ssm:Overwrite": str(call.params.get("Overwrite", False)).lower()}
    return {}


def _tags(sim: Simulation, resource: str) -> dict[str, str]:
    found = next((entry for entry in sim.parameters._stored.values() if entry.arn == resource), None)
    return {f"aws:ResourceTag/{key}": value for key, value in found.tags.items()} if found else {}


# Behind a call -----------------------------------------------------------------------------------------------------


def _behind_update(sim: Simulation, params: Params) -> list[Request]:
    """Another template or configuration: AWS checks that the caller may launch it (aws-facts 11)."""
    if "LaunchConfigurationName" in params:
        return _launch(sim, {})
    return [
        request
        for spec in _specs(params)
        for request in (
            *_launch(sim, {"ec2:LaunchTemplate": _template(sim, spec)}),
            *_resolved(sim, spec),
        )
    ]


def _specs(params: Params) -> list[Params]:
    if "LaunchTemplate" in params:
        return [params["LaunchTemplate"]]
    mixed = params.get("MixedInstancesPolicy", {}).get("LaunchTemplate")
    if mixed is None:
        return []
    own = (entry.get("LaunchTemplateSpecification") for entry in mixed.get("Overrides", ()))
    return [mixed["LaunchTemplateSpecification"], *filter(None, own)]


def _launch(sim: Simulation, context: Mapping[str, str]) -> list[Request]:
    made = f"arn:aws:ec2:{sim.world.region}:{sim.world.account}"
    tagged = {"ec2:CreateAction": "RunInstances"}
    return [
        Request("ec2:RunInstances", f"{made}:instance/*", context),
        *(
            Request("ec2:CreateTags", f"{made}:{kind}/new", tagged)
            for kind in ("instance", "network-interface", "volume")
        ),
        _pass_role(sim),
    ]


def _pass_role(sim: Simulation) -> Request:
    to = {"iam:PassedToService": "ec2.amazonaws.com"}
    return Request("iam:PassRole", f"arn:aws:iam::{sim.world.account}:role/{HOST_ROLE}", to)


def _resolved(sim: Simulation, spec: Params) -> list[Request]:
    template = sim.compute.templates.find(spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName"))
    image = str(sim.compute.templates.version(template, spec.get("Version", "$Default")).data.get("ImageId", ""))
    if not image.startswith("resolve:ssm:"):
        return []
    resource = _parameter(sim, image.removeprefix("resolve:ssm:"))
    return [Request("ssm:GetParameters", resource, _tags(sim, resource))]


def _behind_put(sim: Simulation, params: Params) -> list[Request]:
    del sim
    return [Request("ec2:DescribeImages", "*")] if params.get("DataType") == "aws:ec2:image" else []


_BEHIND: dict[tuple[str, str], Callable[[Simulation, Params], list[Request]]] = {
    ("autoscaling", "UpdateAutoScalingGroup"): _behind_update,
    ("autoscaling", "CreateLaunchConfiguration"): lambda sim, _: [_pass_role(sim)],
    ("ssm", "PutParameter"): _behind_put,
}
