"""How CloudWatch answers: alarms, as far as they are asked for by a deployment tool, and one metric."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.alarms import Alarm
from ecsroll.simulator.door import Params, answers
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__: list[str] = []

Described = dict[str, Any]


def _alarm(sim: "Simulation", alarm: Alarm) -> Described:
    since = sim.world.epoch + timedelta(seconds=alarm.since)
    return {
        "AlarmName": alarm.name,
        "AlarmArn": f"arn:aws:cloudwatch:{sim.world.region}:{sim.world.account}:alarm:{alarm.name}",
        "ActionsEnabled": True,
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": since,
        "StateTransitionedTimestamp": since,
    }


@answers("cloudwatch", "DescribeAlarms")
def describe_alarms(sim: "Simulation", params: Params) -> Described:
    """DescribeAlarms: only metric alarms, unless composite ones are asked for."""
    kinds = params.get("AlarmTypes") or ["MetricAlarm"]
    names = params.get("AlarmNames")
    found = [alarm for name, alarm in sorted(sim.alarms.alarms.items()) if names is None or name in names]
    found = [alarm for alarm in found if alarm.name.startswith(params.get("AlarmNamePrefix", ""))]
    if params.get("StateValue"):
        found = [alarm for alarm in found if alarm.state == params["StateValue"]]
    answer: Described = {"MetricAlarms": [], "CompositeAlarms": []}
    for alarm in found:
        kind = "CompositeAlarm" if alarm.composite else "MetricAlarm"
        if kind in kinds:
            answer[f"{kind}s"].append(_alarm(sim, alarm))
    return answer


@answers("cloudwatch", "PutMetricAlarm")
def put_metric_alarm(sim: "Simulation", params: Params) -> Described:
    """PutMetricAlarm: what it measures is of no interest here."""
    sim.alarms.put(params["AlarmName"])
    return {}


@answers("cloudwatch", "PutCompositeAlarm")
def put_composite_alarm(sim: "Simulation", params: Params) -> Described:
    """PutCompositeAlarm."""
    sim.alarms.put(params["AlarmName"], composite=True)
    return {}


@answers("cloudwatch", "SetAlarmState")
def set_alarm_state(sim: "Simulation", params: Params) -> Described:
    """SetAlarmState."""
    sim.alarms.set_state(params["AlarmName"], params["StateValue"], params["StateReason"])
    return {}


# Container Insights

NAMESPACE, METRIC = "ECS/ContainerInsights", "RestartCount"


@answers("cloudwatch", "ListMetrics")
def list_metrics(sim: "Simulation", params: Params) -> Described:
    """ListMetrics: of a cluster's restarts there is one for the cluster, and one for each service."""
    if (params.get("Namespace"), params.get("MetricName")) != (NAMESPACE, METRIC):
        return {"Metrics": []}
    filters = {said["Name"]: said.get("Value") for said in params.get("Dimensions") or ()}
    metrics: list[Described] = []
    for cluster in sorted({name for name, _ in sim.insights.began}):
        services = sim.insights.found(cluster)
        every = [{"ClusterName": cluster}, *({"ClusterName": cluster, "ServiceName": name} for name in services)]
        for dimensions in every if services else ():
            if all(name in dimensions and value in {None, dimensions[name]} for name, value in filters.items()):
                said = [{"Name": name, "Value": value} for name, value in dimensions.items()]
                metrics.append({"Namespace": NAMESPACE, "MetricName": METRIC, "Dimensions": said})
    return {"Metrics": metrics}


@answers("cloudwatch", "GetMetricData")
def get_metric_data(sim: "Simulation", params: Params) -> Described:
    """GetMetricData: sums of whole minutes of the restarts of a service, and nothing else."""
    queries = params["MetricDataQueries"]
    if len(queries) > 500:
        raise Refusal("ValidationError", "The collection MetricDataQueries must not have a size greater than 500.")
    start, end = (_seconds(sim, params[name]) for name in ("StartTime", "EndTime"))
    if start >= end:
        raise Refusal("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    return {"MetricDataResults": [_series(sim, query, start, end) for query in queries], "Messages": []}


def _series(sim: "Simulation", query: Params, start: float, end: float) -> Described:
    asked = query["MetricStat"]
    dimensions = {said["Name"]: said["Value"] for said in asked["Metric"].get("Dimensions") or ()}
    name = (asked["Metric"]["Namespace"], asked["Metric"]["MetricName"], asked["Period"], asked["Stat"])
    found: list[tuple[float, int]] = []
    if name == (NAMESPACE, METRIC, 60, "Sum") and dimensions.keys() == {"ClusterName", "ServiceName"}:
        found = sim.insights.minutes(dimensions["ClusterName"], dimensions["ServiceName"], start, end)
    return {
        "Id": query["Id"],
        "Label": METRIC,
        "Timestamps": [sim.world.epoch + timedelta(seconds=at) for at, _ in found],
        "Values": [float(count) for _, count in found],
        "StatusCode": "Complete",
    }


def _seconds(sim: "Simulation", moment: datetime) -> float:
    return (moment - sim.world.epoch).total_seconds()
