"""How ECS answers: task definitions, services, tasks, task protection."""

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.api.ecs import at, tagged
from ecsroll.simulator.door import Params, answers
from ecsroll.simulator.query import parse
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation
    from ecsroll.simulator.cluster import Cluster
    from ecsroll.simulator.definitions import TaskDefinition
    from ecsroll.simulator.services import Deployment, Service
    from ecsroll.simulator.tasks import Task

__all__ = ["show_task"]

Described = dict[str, Any]


def _said(described: Described) -> Described:
    """AWS leaves out what is not there."""
    return {key: value for key, value in described.items() if value is not None}


# task definitions


def _definition(sim: "Simulation", definition: "TaskDefinition") -> Described:
    registered = definition.registered
    containers = [
        {
            "cpu": 0,
            "essential": True,
            "portMappings": [],
            "environment": [],
            "mountPoints": [],
            "volumesFrom": [],
            **each,
        }
        for each in definition.containers
    ]
    return {
        "volumes": [],
        "placementConstraints": [],
        **registered,
        "containerDefinitions": containers,
        "taskDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": definition.status,
        "networkMode": definition.network_mode,
        "compatibilities": ["EC2", "FARGATE"] if definition.awsvpc else ["EXTERNAL", "EC2"],
        "requiresAttributes": [{"name": name} for name in definition.needs.requires],
        "registeredAt": at(sim, definition.registered_at),
    }


@answers("ecs", "RegisterTaskDefinition")
def register_task_definition(sim: "Simulation", params: Params) -> Described:
    """RegisterTaskDefinition."""
    made = sim.tasks.definitions.register(params)
    return {"taskDefinition": _definition(sim, made), "tags": made.tags}


@answers("ecs", "DescribeTaskDefinition")
def describe_task_definition(sim: "Simulation", params: Params) -> Described:
    """DescribeTaskDefinition."""
    found = sim.tasks.definitions.find(params["taskDefinition"])
    answer: Described = {"taskDefinition": _definition(sim, found)}
    return tagged(answer, found.tags, params)


@answers("ecs", "DeregisterTaskDefinition")
def deregister_task_definition(sim: "Simulation", params: Params) -> Described:
    """DeregisterTaskDefinition."""
    found = sim.tasks.definitions.find(params["taskDefinition"])
    found.status = "INACTIVE"
    return {"taskDefinition": _definition(sim, found)}


@answers("ecs", "ListTaskDefinitions")
def list_task_definitions(sim: "Simulation", params: Params) -> Described:
    """ListTaskDefinitions."""
    status = params.get("status") or "ACTIVE"
    arns = [
        revision.arn
        for family, revisions in sorted(sim.tasks.definitions.families.items())
        if params.get("familyPrefix") in (None, family)
        for revision in revisions
        if revision.status == status
    ]
    return {"taskDefinitionArns": arns[::-1] if params.get("sort") == "DESC" else arns}


# services


def _service(sim: "Simulation", service: "Service", params: Params) -> Described:
    described = {**_state_of(sim, service), **_wishes_of(service)}
    if service.controller != "ECS":
        described["taskSets"] = []
    return tagged(_said(described), service.tags, params)


def _state_of(sim: "Simulation", service: "Service") -> Described:
    return {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster.arn,
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": len(service.tasks) - len(service.pending),
        "pendingCount": len(service.pending),
        "taskDefinition": service.primary.definition.arn,
        "deployments": [_deployment(sim, service, each) for each in service.deployments],
        "events": list(service.events),
        "createdAt": at(sim, service.created_at),
    }


def _wishes_of(service: "Service") -> Described:
    request = service.request
    low, high = service.percents
    return {
        "loadBalancers": service.load_balancers,
        "serviceRegistries": list(request.get("serviceRegistries") or ()),
        "launchType": service.launch_type,
        "capacityProviderStrategy": service.strategy_items or None,
        "platformVersion": "1.4.0" if service.fargate else None,
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": False, "rollback": False},
            **(request.get("deploymentConfiguration") or {}),
            "minimumHealthyPercent": low,
            "maximumPercent": high,
        },
        "placementConstraints": list(request.get("placementConstraints") or ()),
        "placementStrategy": list(request.get("placementStrategy") or ()),
        "networkConfiguration": request.get("networkConfiguration"),
        "healthCheckGracePeriodSeconds": int(service.grace) if service.load_balancers else None,
        "schedulingStrategy": "DAEMON" if service.daemon else "REPLICA",
        "deploymentController": {"type": service.controller},
        "enableECSManagedTags": bool(request.get("enableECSManagedTags", False)),
        "propagateTags": request.get("propagateTags", "NONE"),
        "enableExecuteCommand": bool(request.get("enableExecuteCommand", False)),
        "availabilityZoneRebalancing": "ENABLED" if service.rebalanced else "DISABLED",
    }


def _deployment(sim: "Simulation", service: "Service", deployment: "Deployment") -> Described:
    pending = sum(task in deployment.tasks for task in service.pending)
    return _said(
        {
            "id": deployment.id,
            "status": deployment.status,
            "taskDefinition": deployment.definition.arn,
            "desiredCount": service.desired if deployment is service.primary else 0,
            "pendingCount": pending,
            "runningCount": len(deployment.tasks) - pending,
            "failedTasks": deployment.failed,
            "createdAt": at(sim, deployment.created_at),
            "updatedAt": at(sim, deployment.updated_at),
            "launchType": service.launch_type,
            "capacityProviderStrategy": service.strategy_items or None,
            "rolloutState": deployment.rollout_state,
            "rolloutStateReason": deployment.rollout_reason,
        }
    )


def _check_service(sim: "Simulation", params: Params, *, daemon: bool) -> None:
    for load_balancer in params.get("loadBalancers") or ():
        arn = load_balancer.get("targetGroupArn")
        if arn and not (arn in sim.balancer.groups and sim.balancer.groups[arn].load_balancers):
            raise Refusal(
                "InvalidParameterException",
                f"The target group with targetGroupArn {arn} does not have an associated load balancer.",
            )
    for constraint in params.get("placementConstraints") or ():
        if constraint["type"] == "memberOf":
            parse(constraint.get("expression") or "")
    if daemon and params.get("desiredCount") is not None:
        raise Refusal("InvalidParameterException", "The daemon scheduling strategy does not support a desired count.")
    if daemon and params.get("placementStrategy"):
        raise Refusal("InvalidParameterException", "Daemon scheduling strategy does not support placement strategy.")
    _check_percents(params, daemon=daemon)


def _check_percents(params: Params, *, daemon: bool) -> None:
    said = params.get("deploymentConfiguration") or {}
    low, high = said.get("minimumHealthyPercent", 100), said.get("maximumPercent", 200)
    if not daemon and low == high == 0:
        raise Refusal("InvalidParameterException", "Both maximumPercent and minimumHealthyPercent cannot be 0.")


def _find_service(cluster: "Cluster", name: str) -> "Service":
    found = cluster.services.get(name.rpartition("/")[2])
    if found is None:
        raise Refusal("ServiceNotFoundException", "Service not found.")
    return found


@answers("ecs", "CreateService")
def create_service(sim: "Simulation", params: Params) -> Described:
    """CreateService."""
    cluster = sim.clusters.find(params.get("cluster"))
    daemon = params.get("schedulingStrategy") == "DAEMON"
    _check_service(sim, params, daemon=daemon)
    if not daemon and params.get("desiredCount") is None:
        raise Refusal("InvalidParameterException", "desiredCount is required for the REPLICA scheduling strategy.")
    made = sim.scheduler.create(cluster, params)
    made.tags = list(params.get("tags") or ())
    return {"service": _service(sim, made, {"include": ["TAGS"]})}


@answers("ecs", "UpdateService")
def update_service(sim: "Simulation", params: Params) -> Described:
    """UpdateService."""
    service = _find_service(sim.clusters.find(params.get("cluster")), params["service"])
    _check_service(sim, params, daemon=service.daemon)
    sim.scheduler.update(service, params)
    return {"service": _service(sim, service, {})}


@answers("ecs", "DeleteService")
def delete_service(sim: "Simulation", params: Params) -> Described:
    """DeleteService."""
    service = _find_service(sim.clusters.find(params.get("cluster")), params["service"])
    sim.scheduler.delete(service, force=bool(params.get("force")))
    return {"service": _service(sim, service, {})}


@answers("ecs", "DescribeServices")
def describe_services(sim: "Simulation", params: Params) -> Described:
    """DescribeServices: what is not there is a failure of the answer, not of the call."""
    cluster = sim.clusters.find(params.get("cluster"))
    found, failures = [], []
    for name in params["services"]:
        service = cluster.services.get(name.rpartition("/")[2])
        if service is None:
            arn = name if name.startswith("arn:") else sim.clusters.name("service", cluster.name, name)
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            found.append(_service(sim, service, params))
    return {"services": found, "failures": failures}


@answers("ecs", "ListServices")
def list_services(sim: "Simulation", params: Params) -> Described:
    """ListServices."""
    services = [
        each for each in sim.clusters.find(params.get("cluster")).services.values() if each.status != "INACTIVE"
    ]
    if params.get("launchType"):
        services = [each for each in services if each.launch_type == params["launchType"]]
    if params.get("schedulingStrategy"):
        services = [each for each in services if each.daemon is (params["schedulingStrategy"] == "DAEMON")]
    return {"serviceArns": [each.arn for each in services]}


# tasks


def show_task(sim: "Simulation", task: "Task", params: Params) -> Described:
    """A task as DescribeTasks and events show it."""
    needs = task.definition.needs
    described = {
        **_moments(sim, task),
        "taskArn": task.arn,
        "clusterArn": task.cluster.arn,
        "taskDefinitionArn": task.definition.arn,
        "containerInstanceArn": task.host.arn if task.host is not None else None,
        "availabilityZone": task.zone,
        "group": task.group,
        "startedBy": task.started_by,
        "launchType": task.launch_type,
        "capacityProviderName": task.capacity_provider,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "healthStatus": task.container_health,
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
        "cpu": str(needs.cpu),
        "memory": str(needs.memory),
        "connectivity": "CONNECTED" if task.pulled_at is not None else None,
        "containers": [_container(task, each) for each in task.definition.containers],
        "attachments": _attachments(task),
        "attributes": [],
        "overrides": task.overrides or {"containerOverrides": []},
        "enableExecuteCommand": False,
        "version": task.version,
        "tags": [],
    }
    return tagged(_said(described), task.tags, params)


def _moments(sim: "Simulation", task: "Task") -> Described:
    moments = {
        "createdAt": task.created_at,
        "pullStartedAt": task.pull_began_at,
        "pullStoppedAt": task.pulled_at,
        "startedAt": task.started_at,
        "stoppingAt": task.stopping_at,
        "executionStoppedAt": task.execution_stopped_at,
        "stoppedAt": task.stopped_at,
        "connectivityAt": task.pulled_at,
    }
    return {name: at(sim, moment) for name, moment in moments.items() if moment is not None}


def _container(task: "Task", container: Described) -> Described:
    bindings = [
        {"bindIP": "0.0.0.0", "containerPort": need.container_port, "hostPort": to, "protocol": need.protocol}  # noqa: S104
        for need, to in task.bindings
        if need.container == container["name"]
    ]
    network = [{"attachmentId": task.id, "privateIpv4Address": task.address}] if task.address else []
    status = task.last_status if task.last_status in ("RUNNING", "STOPPED") else "PENDING"
    status = "RUNNING" if task.last_status in ("DEACTIVATING", "STOPPING") else status
    return _said(
        {
            "containerArn": task.arn.replace(":task/", ":container/"),
            "taskArn": task.arn,
            "name": container["name"],
            "image": container.get("image"),
            "runtimeId": _runtime_id(task, container) if task.pulled_at is not None else None,
            "lastStatus": "STOPPED" if task.execution_stopped_at is not None else status,
            "exitCode": task.exit_code if task.execution_stopped_at is not None else None,
            "reason": task.container_reason,
            "networkBindings": bindings,
            "networkInterfaces": network,
            "healthStatus": task.container_health,
            "cpu": str(container.get("cpu", 0)),
        }
    )


def _runtime_id(task: "Task", container: Described) -> str:
    """Docker's id of the container: a restart by the agent starts the same one, so that it stays."""
    return sha256(f"{task.id}/{container['name']}".encode()).hexdigest()


def _attachments(task: "Task") -> list[Described]:
    if task.address is None:
        return []
    details = [{"name": "privateIPv4Address", "value": task.address}]
    status = "DELETED" if task.last_status == "STOPPED" else "ATTACHED"
    return [{"id": task.id, "type": "ElasticNetworkInterface", "status": status, "details": details}]


@answers("ecs", "ListTasks")
def list_tasks(sim: "Simulation", params: Params) -> Described:
    """Tasks whose desiredStatus is RUNNING, unless STOPPED is asked for (aws-facts 3.4)."""
    cluster = sim.clusters.find(params.get("cluster"))
    if params.get("startedBy") and set(params) & {"containerInstance", "family", "serviceName", "desiredStatus"}:
        raise Refusal("InvalidParameterException", "cannot specify startedBy with other filters.")
    desired = params.get("desiredStatus") or "RUNNING"
    tasks = [
        task
        for task in _candidates(sim, cluster, params)
        if task.desired_status == desired
        and params.get("family") in (None, task.definition.family)
        and params.get("startedBy") in (None, task.started_by)
        and params.get("launchType") in (None, task.launch_type)
    ]
    return {"taskArns": [task.arn for task in tasks]}


def _candidates(sim: "Simulation", cluster: "Cluster", params: Params) -> "list[Task]":
    service = _find_service(cluster, params["serviceName"]) if params.get("serviceName") else None
    if params.get("containerInstance"):
        host = sim.clusters.host(cluster, params["containerInstance"])
        if host is None:
            raise Refusal("InvalidParameterException", "Container instance not found.")
        return [task for task in host.visible if service in (None, task.service)]
    return list(cluster.tasks.values() if service is None else service.visible)


@answers("ecs", "DescribeTasks")
def describe_tasks(sim: "Simulation", params: Params) -> Described:
    """DescribeTasks."""
    cluster = sim.clusters.find(params.get("cluster"))
    found, failures = _find_tasks(sim, cluster, params["tasks"])
    return {"tasks": [show_task(sim, task, params) for task in found], "failures": failures}


def _find_tasks(sim: "Simulation", cluster: "Cluster", names: list[str]) -> "tuple[list[Task], list[dict[str, str]]]":
    found, failures = [], []
    for name in names:
        arn = sim.clusters.name("task", cluster.name, name.rpartition("/")[2])
        if arn in cluster.tasks:
            found.append(cluster.tasks[arn])
        else:
            failures.append({"arn": arn, "reason": "MISSING"})
    return found, failures


def _find_task(sim: "Simulation", params: Params) -> "Task":
    found, _ = _find_tasks(sim, sim.clusters.find(params.get("cluster")), [params["task"]])
    if not found:
        raise Refusal("InvalidParameterException", "The referenced task was not found.")
    return found[0]


@answers("ecs", "RunTask")
def run_task(sim: "Simulation", params: Params) -> Described:
    """RunTask."""
    cluster = sim.clusters.find(params.get("cluster"))
    if not 1 <= int(params.get("count") or 1) <= 10:
        raise Refusal("InvalidParameterException", "Count should be between 1 and 10.")
    definition = sim.tasks.definitions.usable(params["taskDefinition"])
    if params.get("launchType") == "FARGATE":
        tasks = [
            sim.scheduler.standalone.start_fargate(cluster, definition, params)
            for _ in range(int(params.get("count") or 1))
        ]
        return {"tasks": [show_task(sim, task, {}) for task in tasks], "failures": []}
    started, failures = sim.scheduler.standalone.run(cluster, definition, params)
    return {"tasks": [show_task(sim, task, {}) for task in started], "failures": failures}


@answers("ecs", "StartTask")
def start_task(sim: "Simulation", params: Params) -> Described:
    """StartTask: on these hosts, whatever the scheduler thinks."""
    cluster = sim.clusters.find(params.get("cluster"))
    if len(params["containerInstances"]) > 10:
        raise Refusal("InvalidParameterException", "containerInstances can have at most 10 items.")
    definition = sim.tasks.definitions.usable(params["taskDefinition"])
    found, failures = sim.clusters.hosts(cluster, params["containerInstances"])
    started = []
    for host in found:
        why = sim.scheduler.standalone.refusal(host, definition)
        if why is None:
            started.append(sim.scheduler.standalone.start_on(host, definition, params))
        else:
            failures.append({"arn": host.arn, "reason": why})
    return {"tasks": [show_task(sim, task, {}) for task in started], "failures": failures}


@answers("ecs", "StopTask")
def stop_task(sim: "Simulation", params: Params) -> Described:
    """StopTask."""
    task = _find_task(sim, params)
    sim.tasks.stop(task, "UserInitiated", params.get("reason") or "Task stopped by user")
    return {"task": show_task(sim, task, {})}


# protection


def _protection(sim: "Simulation", task: "Task") -> Described:
    if not sim.tasks.protected(task) or task.protected_until is None:
        return {"taskArn": task.arn, "protectionEnabled": False}
    return {"taskArn": task.arn, "protectionEnabled": True, "expirationDate": at(sim, task.protected_until)}


def _protectable(sim: "Simulation", cluster: "Cluster", names: list[str]) -> "tuple[list[Task], list[dict[str, str]]]":
    """Only running tasks of services can be protected (aws-facts 3.5)."""
    found, failures = _find_tasks(sim, cluster, names)
    valid = [task for task in found if task.service is not None and task.desired_status == "RUNNING"]
    failures += [{"arn": task.arn, "reason": "TASK_NOT_VALID"} for task in found if task not in valid]
    return valid, failures


@answers("ecs", "GetTaskProtection")
def get_task_protection(sim: "Simulation", params: Params) -> Described:
    """GetTaskProtection: of the tasks asked for, or of all of the cluster's service tasks."""
    cluster = sim.clusters.find(params["cluster"])
    if params.get("tasks"):
        valid, failures = _protectable(sim, cluster, params["tasks"])
    else:
        valid = [each for each in cluster.tasks.values() if each.service is not None and sim.tasks.protected(each)]
        failures = []
    return {"protectedTasks": [_protection(sim, task) for task in valid], "failures": failures}


@answers("ecs", "UpdateTaskProtection")
def update_task_protection(sim: "Simulation", params: Params) -> Described:
    """UpdateTaskProtection: two hours, unless said otherwise."""
    minutes = int(params.get("expiresInMinutes") or 120)
    if not 1 <= minutes <= 2880:
        raise Refusal("InvalidParameterException", "expiresInMinutes should be between 1 and 2880.")
    valid, failures = _protectable(sim, sim.clusters.find(params["cluster"]), params["tasks"])
    if params["protectionEnabled"]:
        blocked = [task for task in valid if task.service is not None and task in task.service.old]
        failures += [{"arn": task.arn, "reason": "DEPLOYMENT_BLOCKED"} for task in blocked]
        valid = [task for task in valid if task not in blocked]
    for task in valid:
        sim.tasks.protect(task, minutes if params["protectionEnabled"] else None)
    return {"protectedTasks": [_protection(sim, task) for task in valid], "failures": failures}
