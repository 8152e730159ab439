"""How CloudWatch answers: alarms, as far as they are asked for by a deployment tool."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.alarms import Alarm
from ecsroll.simulator.door import Params, answers

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
