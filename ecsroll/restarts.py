"""Containers that are restarted inside their tasks, by the one API that shows it: CloudWatch Container Insights.

The agent starts the same container again and reports nothing: no event, the task stays RUNNING, its version and the
container's runtimeId stay (aws-facts 7.6). It is counted in the metric RestartCount, by service and minute, only where
the cluster has Container Insights on, and only for containers with a restart policy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ecsroll.aws import Aws, chunks

__all__ = ["Restarted", "Restarts"]

NAMESPACE, METRIC = "ECS/ContainerInsights", "RestartCount"
LISTED = 300.0
"""Seconds between two lists of metrics; CloudWatch takes up to 15 minutes to show a new one anyway."""
FIRST = timedelta(minutes=30)
"""How far back the first reading goes: the window of a loop, and what lies between two runs of cron."""
AGAIN = timedelta(minutes=15)
"""How far back every other one goes: figures come late, and the same ones told again are no news."""
SERIES = 500
"""Metrics that one call reads at most."""


class Restarted(NamedTuple):
    """So many restarts of containers of a service in the minute that began at ``at``."""

    cluster: str
    service: str
    at: datetime
    number: int


@dataclass
class Restarts:
    """Reads the metric of some clusters. ``way``: how a cluster's region is reached."""

    way: Callable[[str], Aws]
    _services: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def read(self, cluster: str) -> tuple[Restarted, ...]:
        """What was counted lately. Raises AwsUnavailable and AwsRefusal."""
        aws = self.way(cluster)
        now = aws.clock.now()
        since = (now - (AGAIN if cluster in self._read else FIRST)).replace(second=0, microsecond=0)
        found: list[Restarted] = []
        for some in chunks(self._counted(aws, cluster), SERIES):
            results = aws.pages(
                "cloudwatch",
                "get_metric_data",
                "MetricDataResults",
                MetricDataQueries=[_query(cluster, service, place) for place, service in enumerate(some)],
                StartTime=since,
                EndTime=now,
            )
            found += _restarted(cluster, some, results)
        self._read.add(cluster)
        return tuple(found)

    def _counted(self, aws: Aws, cluster: str) -> tuple[str, ...]:
        """The services that are counted; each metric that is read costs money, so none is guessed."""
        listed, services = self._services.get(cluster, (float("-inf"), ()))
        if aws.clock.elapsed() - listed >= LISTED:
            metrics = aws.pages(
                "cloudwatch",
                "list_metrics",
                "Metrics",
                Namespace=NAMESPACE,
                MetricName=METRIC,
                Dimensions=[{"Name": "ClusterName", "Value": cluster}],
            )
            services = tuple(sorted(set(_services(metrics))))
            self._services[cluster] = (aws.clock.elapsed(), services)
        return services


def _services(metrics: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Of the metrics by service only: the same restarts are counted by cluster, family and task besides."""
    for metric in metrics:
        dimensions = {said["Name"]: said["Value"] for said in metric.get("Dimensions", ())}
        if dimensions.keys() == {"ClusterName", "ServiceName"}:
            yield dimensions["ServiceName"]


def _query(cluster: str, service: str, place: int) -> dict[str, Any]:
    dimensions = [{"Name": "ClusterName", "Value": cluster}, {"Name": "ServiceName", "Value": service}]
    metric = {"Namespace": NAMESPACE, "MetricName": METRIC, "Dimensions": dimensions}
    return {"Id": f"m{place}", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}


def _restarted(cluster: str, services: Sequence[str], results: Sequence[dict[str, Any]]) -> Iterator[Restarted]:
    for result in results:
        service = services[int(result["Id"][1:])]
        for at, count in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=False):
            if round(count) > 0:
                yield Restarted(cluster, service, at, round(count))
