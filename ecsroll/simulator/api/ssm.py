"""SSM Parameter Store in botocore's member names."""

from typing import TYPE_CHECKING, Any

from ecsroll.simulator.door import answers
from ecsroll.simulator.parameters import Parameter, Stored
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

Params = dict[str, Any]


def _shown(found: Parameter, asked: str = "") -> dict[str, Any]:
    selector = "" if asked.startswith("arn:") else asked.partition(":")[2]
    shown: dict[str, Any] = {
        "Name": found.name,
        "Type": found.type,
        "Value": found.value,
        "Version": found.version,
        "LastModifiedDate": found.at,
        "ARN": found.arn,
        "DataType": found.data_type,
    }
    if selector:
        shown["Selector"] = f":{selector}"
    return shown


@answers("ssm", "GetParameter")
def get_parameter(sim: "Simulation", params: Params) -> dict[str, Any]:
    """One parameter, by name, name and selector, or ARN."""
    return {"Parameter": _shown(sim.parameters.must_get(params["Name"]), params["Name"])}


@answers("ssm", "GetParameters")
def get_parameters(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Several; what can not be found is listed, not refused."""
    found = {name: sim.parameters.get(name) for name in params["Names"]}
    return {
        "Parameters": [_shown(parameter, name) for name, parameter in found.items() if parameter is not None],
        "InvalidParameters": [name for name, parameter in found.items() if parameter is None],
    }


@answers("ssm", "GetParametersByPath")
def get_parameters_by_path(sim: "Simulation", params: Params) -> dict[str, Any]:
    """What lies under a path, ten at most. The page is cut here: AWS may answer short, even empty, with a token."""
    if not params["Path"].startswith("/"):
        raise Refusal("ValidationException", "The parameter doesn't meet the parameter name requirements.")
    size = params.get("MaxResults", 10)
    if not 1 <= size <= 10:
        raise Refusal("ValidationException", "MaxResults must be between 1 and 10.")
    start, page = _place(params.get("NextToken"))
    if sim.parameters.short_pages:
        size = 0 if page % 2 == 0 else min(size, 3)
    found = sim.parameters.below(params["Path"], recursive=params.get("Recursive", False))
    answer: dict[str, Any] = {"Parameters": [_shown(parameter) for parameter in found[start : start + size]]}
    if start + size < len(found):
        answer["NextToken"] = f"page-{start + size}-{page + 1}"
    return answer


def _place(token: str | None) -> tuple[int, int]:
    """Where a token says to go on, and which page it is."""
    if not token:
        return 0, 0
    words = token.split("-")
    if len(words) != 3 or not all(word.isdigit() for word in words[1:]):
        raise Refusal("InvalidNextToken", "The specified token is not valid.")
    return int(words[1]), int(words[2])


@answers("ssm", "GetParameterHistory")
def get_parameter_history(sim: "Simulation", params: Params) -> dict[str, Any]:
    """All versions that are kept, oldest first."""
    return {"Parameters": [_in_history(sim, version) for version in sim.parameters.history(params["Name"])]}


def _in_history(sim: "Simulation", version: Parameter) -> dict[str, Any]:
    labels = {"Labels": list(version.labels)} if version.labels else {}
    return {
        **labels,
        "Name": version.name,
        "Type": version.type,
        "LastModifiedDate": version.at,
        "LastModifiedUser": f"arn:aws:iam::{sim.world.account}:role/operator",
        "Description": version.description,
        "Value": version.value,
        "Version": version.version,
        "Tier": version.tier,
        "Policies": [],
        "DataType": version.data_type,
    }


@answers("ssm", "PutParameter")
def put_parameter(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Write a value; without Overwrite only one of several contenders wins."""
    version = sim.parameters.put(
        params["Name"],
        params["Value"],
        overwrite=params.get("Overwrite", False),
        tags={tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()},
        data_type=params.get("DataType", "text"),
        type=params.get("Type"),
        tier=params.get("Tier", "Standard"),
        description=params.get("Description", ""),
    )
    return {"Version": version, "Tier": params.get("Tier", "Standard")}


@answers("ssm", "DeleteParameter")
def delete_parameter(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Remove one."""
    if not sim.parameters.delete(params["Name"]):
        raise Refusal("ParameterNotFound", "")
    return {}


@answers("ssm", "DeleteParameters")
def delete_parameters(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Remove several."""
    gone = {name: sim.parameters.delete(name) for name in params["Names"]}
    return {
        "DeletedParameters": [name for name, was in gone.items() if was],
        "InvalidParameters": [name for name, was in gone.items() if not was],
    }


@answers("ssm", "LabelParameterVersion")
def label_parameter_version(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Move labels to a version."""
    version = sim.parameters.label(params["Name"], params.get("ParameterVersion"), params["Labels"])
    return {"ParameterVersion": version}


@answers("ssm", "DescribeParameters")
def describe_parameters(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The account's own parameters, without their values."""
    found = [stored for stored in sim.parameters.all() if _passes(stored, params.get("ParameterFilters") or ())]
    return {"Parameters": [_described(sim, stored) for stored in found]}


def _described(sim: "Simulation", stored: Stored) -> dict[str, Any]:
    newest = stored.versions[-1]
    return {
        "Name": stored.name,
        "ARN": stored.arn,
        "Type": newest.type,
        "LastModifiedDate": newest.at,
        "LastModifiedUser": f"arn:aws:iam::{sim.world.account}:role/operator",
        "Description": newest.description,
        "Version": newest.version,
        "Tier": newest.tier,
        "Policies": [],
        "DataType": newest.data_type,
    }


def _passes(stored: Stored, filters: list[dict[str, Any]] | tuple[()]) -> bool:
    return all(_passes_one(stored, each) for each in filters)


def _passes_one(stored: Stored, wanted: dict[str, Any]) -> bool:
    key, option, values = wanted["Key"], wanted.get("Option", "Equals"), wanted.get("Values") or []
    if key.startswith("tag:"):
        tag = key.removeprefix("tag:")
        return tag in stored.tags and (not values or stored.tags[tag] in values)
    if key == "Path":
        below = [stored.name[len(path.rstrip("/")) + 1 :] for path in values if stored.name.startswith(path)]
        return any(option == "Recursive" or "/" not in rest for rest in below)
    newest = stored.versions[-1]
    actual = {"Name": stored.name, "Type": newest.type, "DataType": newest.data_type, "Tier": newest.tier}.get(key)
    if actual is None:
        raise Refusal("InvalidFilterKey", f"The filter key {key} is not valid.")
    if option == "BeginsWith":
        return actual.startswith(tuple(values))
    return any(value in actual for value in values) if option == "Contains" else actual in values


@answers("ssm", "AddTagsToResource")
def add_tags_to_resource(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Tag a parameter."""
    tags = _parameter_tags(sim, params)
    tags.update({tag["Key"]: tag["Value"] for tag in params["Tags"]})
    return {}


@answers("ssm", "RemoveTagsFromResource")
def remove_tags_from_resource(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Take tags off a parameter."""
    tags = _parameter_tags(sim, params)
    for key in params["TagKeys"]:
        tags.pop(key, None)
    return {}


@answers("ssm", "ListTagsForResource")
def list_tags_for_resource(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The tags of a parameter."""
    tags = _parameter_tags(sim, params)
    return {"TagList": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


def _parameter_tags(sim: "Simulation", params: Params) -> dict[str, str]:
    if params["ResourceType"] != "Parameter":
        raise Refusal("InvalidResourceType", f"the simulated AWS tags parameters, not {params['ResourceType']}")
    return sim.parameters.tags(params["ResourceId"])
