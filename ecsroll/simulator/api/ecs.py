"""How ECS answers: clusters, container instances, attributes, capacity providers, tags."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.door import Params, answers
from ecsroll.simulator.query import parse
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.cluster import Cluster, ContainerInstance
    from ecsroll.simulator.providers import CapacityProvider

__all__ = ["at", "tagged"]

Described = dict[str, Any]
PROVIDERS_A_PAGE = 10  # botocore has no paginator for DescribeCapacityProviders (aws-facts 6.2)


def at(sim: "Simulation", seconds: float) -> datetime:
    """A moment of the world as AWS writes it."""
    return sim.world.epoch + timedelta(seconds=seconds)


def tagged(described: Described, tags: list[dict[str, str]], params: Params) -> Described:
    """Tags are shown only to those who ask for them."""
    if "TAGS" in (params.get("include") or ()):
        described["tags"] = tags
    return described


# clusters


def _cluster(sim: "Simulation", cluster: "Cluster", params: Params) -> Described:
    registered = cluster.registered
    services = [service for service in cluster.services.values() if service.status == "ACTIVE"]
    described: Described = {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        "registeredContainerInstancesCount": len(registered),
        "runningTasksCount": cluster.running,
        "pendingTasksCount": cluster.pending,
        "activeServicesCount": len(services),
        "statistics": [],
        "settings": [],
        "tags": [],
        "capacityProviders": cluster.capacity_providers,
        "defaultCapacityProviderStrategy": cluster.default_strategy,
    }
    include = params.get("include") or ()
    if "SETTINGS" in include:
        described["settings"] = cluster.settings
    if "ATTACHMENTS" in include:
        described["attachments"] = _attachments(sim, cluster)
        described["attachmentsStatus"] = "UPDATE_COMPLETE"
    return tagged(described, cluster.tags, params)


def _attachments(sim: "Simulation", cluster: "Cluster") -> list[Described]:
    """What ECS has put on the groups of the capacity providers (aws-facts 4.2)."""
    shown = []
    for name in cluster.capacity_providers:
        provider = sim.providers.find(name)
        kinds = [] if provider is None else [("as_policy", provider.scales), ("managed_draining", provider.drains)]
        shown += [
            {
                "id": f"{name}-{kind}",
                "type": kind,
                "status": "CREATED",
                "details": [{"name": "capacityProviderName", "value": name}],
            }
            for kind, there in kinds
            if there
        ]
    return shown


@answers("ecs", "CreateCluster")
def create_cluster(sim: "Simulation", params: Params) -> Described:
    """CreateCluster."""
    cluster = sim.clusters.create(
        params.get("clusterName", "default"),
        tags=list(params.get("tags") or ()),
        settings=list(params.get("settings") or [{"name": "containerInsights", "value": "disabled"}]),
    )
    _put_providers(sim, cluster, params)
    return {"cluster": _cluster(sim, cluster, {"include": ["TAGS", "SETTINGS"]})}


@answers("ecs", "DeleteCluster")
def delete_cluster(sim: "Simulation", params: Params) -> Described:
    """DeleteCluster."""
    cluster = sim.clusters.find(params["cluster"])
    sim.clusters.delete(cluster)
    return {"cluster": _cluster(sim, cluster, {})}


@answers("ecs", "DescribeClusters")
def describe_clusters(sim: "Simulation", params: Params) -> Described:
    """DescribeClusters."""
    found, failures = [], []
    for name in params.get("clusters") or ["default"]:
        short = name.rpartition("/")[2]
        if short in sim.clusters.clusters:
            found.append(_cluster(sim, sim.clusters.clusters[short], params))
        else:
            arn = name if name.startswith("arn:") else sim.clusters.name("cluster", name)
            failures.append({"arn": arn, "reason": "MISSING"})
    return {"clusters": found, "failures": failures}


@answers("ecs", "ListClusters")
def list_clusters(sim: "Simulation", params: Params) -> Described:  # noqa: ARG001
    """ListClusters."""
    return {"clusterArns": [each.arn for each in sim.clusters.clusters.values() if each.status == "ACTIVE"]}


def _put_providers(sim: "Simulation", cluster: "Cluster", params: Params) -> None:
    names = list(params.get("capacityProviders") or ())
    for name in names:
        if name not in ("FARGATE", "FARGATE_SPOT") and sim.providers.find(name) is None:
            raise Refusal(
                "InvalidParameterException",
                "The specified capacity provider was not found. Specify a valid name and try again.",
            )
    for item in params.get("defaultCapacityProviderStrategy") or ():
        if item["capacityProvider"] not in names:
            raise Refusal(
                "InvalidParameterException",
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated "
                "with the cluster. Associate the capacity provider with the cluster and try again.",
            )
    cluster.capacity_providers = names
    cluster.default_strategy = list(params.get("defaultCapacityProviderStrategy") or ())


@answers("ecs", "PutClusterCapacityProviders")
def put_cluster_capacity_providers(sim: "Simulation", params: Params) -> Described:
    """PutClusterCapacityProviders."""
    cluster = sim.clusters.find(params["cluster"])
    _put_providers(sim, cluster, params)
    return {"cluster": _cluster(sim, cluster, {})}


# container instances


def _container_instance(sim: "Simulation", host: "ContainerInstance", params: Params) -> Described:
    described: Described = {
        **_lasting(sim, host),
        "version": host.version,
        "versionInfo": {
            "agentVersion": host.agent_version,
            "agentHash": "4a8a6a2d",
            "dockerVersion": host.runtime_version,
        },
        "remainingResources": _resources(host.free_cpu, host.free_memory, host.gpus - host.used_gpus, list(host.ports)),
        "status": host.status,
        "agentConnected": host.agent_connected,
        "runningTasksCount": host.count(pending=False),
        "pendingTasksCount": host.count(pending=True),
        "attributes": _attributes(host),
        "tags": [],
    }
    if host.capacity_provider is not None:
        described["capacityProviderName"] = host.capacity_provider
    return tagged(described, host.tags, params)


def _lasting(sim: "Simulation", host: "ContainerInstance") -> Described:
    if not host.described:
        host.described = {
            "containerInstanceArn": host.arn,
            "ec2InstanceId": host.instance.id,
            "registeredResources": _resources(host.cpu, host.memory, host.gpus, []),
            "attributes": _shown_attributes(host.attributes),
            "registeredAt": at(sim, host.registered_at),
            "attachments": [],
        }
    return host.described


def _resources(cpu: int, memory: int, gpus: int, ports: list[tuple[int, str]]) -> list[Described]:
    """The agent keeps five ports for itself and the daemons of the host (aws-facts 7.3)."""
    tcp = ["22", "2376", "2375", "51678", "51679", *(str(port) for port, protocol in ports if protocol == "tcp")]
    udp = [str(port) for port, protocol in ports if protocol == "udp"]
    shown = [_number("CPU", cpu), _number("MEMORY", memory), _names("PORTS", tcp), _names("PORTS_UDP", udp)]
    # GPUs go by their ids; a host without any has no such resource.
    return [*shown, _names("GPU", [f"GPU-{each}" for each in range(gpus)])] if gpus else shown


def _number(name: str, value: int) -> Described:
    return {"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value}


def _names(name: str, values: list[str]) -> Described:
    return {
        "name": name,
        "type": "STRINGSET",
        "doubleValue": 0.0,
        "longValue": 0,
        "integerValue": 0,
        "stringSetValue": values,
    }


def _attributes(host: "ContainerInstance") -> list[Described]:
    built_in: list[Described] = host.described["attributes"]
    if not host.custom:
        return built_in
    return [*(entry for entry in built_in if entry["name"] not in host.custom), *_shown_attributes(host.custom)]


def _shown_attributes(attributes: dict[str, str | None]) -> list[Described]:
    return [{"name": name} if value is None else {"name": name, "value": value} for name, value in attributes.items()]


@answers("ecs", "ListContainerInstances")
def list_container_instances(sim: "Simulation", params: Params) -> Described:
    """All but INACTIVE ones, unless a status is asked for (aws-facts 3.1)."""
    sim.clusters.check_agents()
    hosts = sim.clusters.find(params.get("cluster")).registered
    if params.get("status"):
        hosts = [host for host in hosts if host.status == params["status"]]
    if params.get("filter"):
        query = parse(params["filter"])
        hosts = [host for host in hosts if query(host.fact)]
    return {"containerInstanceArns": [host.arn for host in hosts]}


@answers("ecs", "DescribeContainerInstances")
def describe_container_instances(sim: "Simulation", params: Params) -> Described:
    """DescribeContainerInstances."""
    sim.clusters.check_agents()
    if not params["containerInstances"]:
        raise Refusal("InvalidParameterException", "Container instance cannot be empty.")
    found, failures = sim.clusters.hosts(sim.clusters.find(params.get("cluster")), params["containerInstances"])
    return {"containerInstances": [_container_instance(sim, host, params) for host in found], "failures": failures}


@answers("ecs", "UpdateContainerInstancesState")
def update_container_instances_state(sim: "Simulation", params: Params) -> Described:
    """Partial success is an answer like any other: look at the failures (aws-facts 3.1)."""
    if params["status"] not in ("ACTIVE", "DRAINING"):
        raise Refusal("InvalidParameterException", "Container instance status should be one of [ACTIVE,DRAINING].")
    found, failures = sim.clusters.hosts(sim.clusters.find(params.get("cluster")), params["containerInstances"])
    shown = []
    for host in found:
        failure = sim.clusters.set_status(host, params["status"])
        if failure is None:
            shown.append(_container_instance(sim, host, {}))
        else:
            failures.append(failure)
    return {"containerInstances": shown, "failures": failures}


@answers("ecs", "DeregisterContainerInstance")
def deregister_container_instance(sim: "Simulation", params: Params) -> Described:
    """DeregisterContainerInstance."""
    host = _host(sim, sim.clusters.find(params.get("cluster")), params["containerInstance"])
    sim.clusters.deregister(host, force=bool(params.get("force")))
    return {"containerInstance": _container_instance(sim, host, {})}


@answers("ecs", "RegisterContainerInstance")
def register_container_instance(sim: "Simulation", params: Params) -> Described:  # noqa: ARG001
    """Agents alone may: their instance identity document is signed by EC2."""
    raise Refusal("ClientException", "The instance identity document can not be verified.")


def _host(sim: "Simulation", cluster: "Cluster", name: str) -> "ContainerInstance":
    host = sim.clusters.host(cluster, name)
    if host is None:
        raise Refusal("InvalidParameterException", "Container instance not found.")
    return host


# attributes


def _target(sim: "Simulation", cluster: "Cluster", attribute: Described) -> "ContainerInstance":
    host = sim.clusters.host(cluster, attribute.get("targetId") or "")
    if host is None or host.status == "INACTIVE":
        raise Refusal("TargetNotFoundException", f"The specified target was not found: {attribute.get('targetId')}")
    return host


@answers("ecs", "PutAttributes")
def put_attributes(sim: "Simulation", params: Params) -> Described:
    """PutAttributes."""
    cluster = sim.clusters.find(params.get("cluster"))
    targets = [(_target(sim, cluster, attribute), attribute) for attribute in params["attributes"]]
    for host, attribute in targets:
        sim.clusters.put_attribute(host, attribute["name"], attribute.get("value"))
    return {"attributes": [_shown(host, attribute["name"]) for host, attribute in targets]}


@answers("ecs", "DeleteAttributes")
def delete_attributes(sim: "Simulation", params: Params) -> Described:
    """DeleteAttributes."""
    cluster = sim.clusters.find(params.get("cluster"))
    targets = [(_target(sim, cluster, attribute), attribute["name"]) for attribute in params["attributes"]]
    shown = [_shown(host, name) for host, name in targets if name in host.custom]
    for host, name in targets:
        sim.clusters.delete_attribute(host, name)
    return {"attributes": shown}


@answers("ecs", "ListAttributes")
def list_attributes(sim: "Simulation", params: Params) -> Described:
    """ListAttributes."""
    shown = []
    for host in sim.clusters.find(params.get("cluster")).registered:
        for name, value in {**host.attributes, **host.custom}.items():
            if params.get("attributeName") in (None, name) and params.get("attributeValue") in (None, value):
                shown.append(_shown(host, name))
    return {"attributes": shown}


def _shown(host: "ContainerInstance", name: str) -> Described:
    value = {**host.attributes, **host.custom}.get(name)
    shown = {"name": name, "targetId": host.arn}
    return shown if value is None else {**shown, "value": value}


# capacity providers


def _provider(provider: "CapacityProvider", params: Params) -> Described:
    described: Described = {
        "capacityProviderArn": provider.arn,
        "name": provider.name,
        "status": provider.status,
        "tags": [],
        "type": "EC2_AUTOSCALING" if provider.group else "MANAGED_INSTANCES",
    }
    if provider.group is None:
        described["managedInstancesProvider"] = provider.described.get("managedInstancesProvider", {})
    else:
        described["autoScalingGroupProvider"] = {
            "managedDraining": "ENABLED",
            "managedTerminationProtection": "DISABLED",
            **provider.settings,
            "managedScaling": provider.scaling,
        }
    if provider.cluster is not None:
        described["cluster"] = provider.cluster
    return tagged(described, provider.tags, params)


@answers("ecs", "CreateCapacityProvider")
def create_capacity_provider(sim: "Simulation", params: Params) -> Described:
    """CreateCapacityProvider."""
    name = params["name"]
    if name.lower().startswith(("aws", "ecs", "fargate")):
        raise Refusal(
            "InvalidParameterException",
            "The specified capacity provider name is invalid. It cannot be prefixed with 'aws', 'ecs', or 'fargate'.",
        )
    kinds = ("autoScalingGroupProvider", "managedInstancesProvider")
    described = {kind: params[kind] for kind in kinds if kind in params}
    provider = sim.providers.create(name, described, cluster=params.get("cluster"))
    provider.tags = list(params.get("tags") or ())
    return {"capacityProvider": _provider(provider, {"include": ["TAGS"]})}


@answers("ecs", "UpdateCapacityProvider")
def update_capacity_provider(sim: "Simulation", params: Params) -> Described:
    """UpdateCapacityProvider."""
    provider = sim.providers.find(params["name"])
    if provider is None:
        raise Refusal("ClientException", "The specified capacity provider does not exist.")
    sim.providers.update(provider, params.get("autoScalingGroupProvider") or {})
    return {"capacityProvider": _provider(provider, {})}


@answers("ecs", "DescribeCapacityProviders")
def describe_capacity_providers(sim: "Simulation", params: Params) -> Described:
    """The two of Fargate are always there."""
    names = params.get("capacityProviders")
    shown, failures = [], []
    for name in names if names is not None else [*sim.providers.providers, "FARGATE", "FARGATE_SPOT"]:
        provider = sim.providers.find(name)
        if provider is not None:
            shown.append(_provider(provider, params))
        elif name in ("FARGATE", "FARGATE_SPOT"):
            arn = sim.clusters.name("capacity-provider", name)
            shown.append({"capacityProviderArn": arn, "name": name, "status": "ACTIVE", "tags": [], "type": name})
        else:
            failures.append({"arn": sim.clusters.name("capacity-provider", name), "reason": "MISSING"})
    start = int(str(params.get("nextToken") or "page-0").removeprefix("page-"))
    stop = start + int(params.get("maxResults") or PROVIDERS_A_PAGE)
    more = {"nextToken": f"page-{stop}"} if stop < len(shown) else {}
    return {"capacityProviders": shown[start:stop], "failures": failures, **more}


# tags


def _tags_of(sim: "Simulation", arn: str) -> list[dict[str, str]]:
    kind, _, rest = arn.rpartition(":")[2].partition("/") if ":" in arn else ("", "", "")
    cluster_name, _, last = rest.partition("/")
    if kind == "capacity-provider":
        return _known(sim.providers.find(last or rest), arn)
    if kind == "cluster":
        return _known(sim.clusters.clusters.get(rest), arn)
    cluster = sim.clusters.clusters.get(cluster_name)
    if cluster is None:
        return _known(None, arn)
    if kind == "container-instance":
        return _known(cluster.hosts.get(last), arn)
    return _known(cluster.services.get(last) if kind == "service" else cluster.tasks.get(arn), arn)


def _known(resource: Any, arn: str) -> list[dict[str, str]]:
    if resource is None:
        raise Refusal("InvalidParameterException", f"The specified resource was not found: {arn}")
    tags: list[dict[str, str]] = resource.tags
    return tags


@answers("ecs", "ListTagsForResource")
def list_tags_for_resource(sim: "Simulation", params: Params) -> Described:
    """ListTagsForResource."""
    return {"tags": _tags_of(sim, params["resourceArn"])}


@answers("ecs", "TagResource")
def tag_resource(sim: "Simulation", params: Params) -> Described:
    """TagResource."""
    tags = _tags_of(sim, params["resourceArn"])
    new = {tag["key"] for tag in params["tags"]}
    tags[:] = [tag for tag in tags if tag["key"] not in new] + [dict(tag) for tag in params["tags"]]
    return {}


@answers("ecs", "UntagResource")
def untag_resource(sim: "Simulation", params: Params) -> Described:
    """UntagResource."""
    tags = _tags_of(sim, params["resourceArn"])
    tags[:] = [tag for tag in tags if tag["key"] not in params["tagKeys"]]
    return {}
