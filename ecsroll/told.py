"""What a watcher has told already, written down: the next one, or the same one after a crash, tells nothing twice.

One SSM parameter a cluster, ``/ecsroll/<cluster>/watch``, beside the records of its rolls. It is written only when an
alert begins or ends, or a new image was dealt with.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ecsroll.alerts import Alert
from ecsroll.aws import Aws
from ecsroll.errors import AwsRefusal

__all__ = ["Page", "Told"]

LIMIT = 4000
"""A standard parameter holds 4 KB."""
WORDS = 120
COUNTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Of one cluster."""

    alerts: tuple[Alert, ...] = ()
    untold: tuple[str, ...] = ()
    """Ids of alerts that were raised, and are not known to have been told: told (again) by whoever finds them."""
    announced: str = ""
    """The newest images that were told of."""
    planned: str = ""
    """The newest images that a plan was told for."""
    halted: str = ""
    """The images that a roll was halted with: it is for a person to go on."""
    counted: tuple[tuple[str, datetime], ...] = ()
    """Loops that are over, ``service/definition``, and the last failure of each: AWS still tells whoever asks next.

    Without a definition: restarts inside tasks.
    """


@dataclass
class Told:
    """Reads and writes the pages. What this process wrote counts more than a reading that lags behind it.

    ``way``: how a cluster's region is reached.
    """

    way: Callable[[str], Aws]
    pages: dict[str, Page] = field(default_factory=dict)

    def page(self, cluster: str) -> Page:
        """The page of a cluster. One that can not be read as one is empty: it costs a second telling at worst."""
        if cluster not in self.pages:
            self.pages[cluster] = self._read(cluster)
        return self.pages[cluster]

    def write(self, cluster: str, **changes: Any) -> None:
        """Change what stands there, if it is a change."""
        was = self.page(cluster)
        now = replace(was, **changes)
        if now != was:
            # What can not be written down is remembered at least as long as this process lives.
            self.pages[cluster] = now
            where = {"Name": _name(cluster), "Type": "String", "Overwrite": True}
            self.way(cluster).call("ssm", "put_parameter", Value=_text(now), **where)

    def _read(self, cluster: str) -> Page:
        try:
            answer = self.way(cluster).call("ssm", "get_parameter", Name=_name(cluster))
        except AwsRefusal as no:
            if no.code != "ParameterNotFound":
                raise
            return Page()
        try:
            return _page(json.loads(answer["Parameter"]["Value"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Page()


def _name(cluster: str) -> str:
    return f"/ecsroll/{cluster}/watch"


def _text(page: Page) -> str:
    """As it is written; where there are too many alerts for it, the newest."""
    alerts = list(page.alerts)
    while True:
        said = {
            "ecsroll": 1,
            "alerts": [_plain(alert) for alert in alerts],
            "untold": [name for name in page.untold if any(alert.id == name for alert in alerts)],
            "announced": page.announced,
            "halted": page.halted,
            **({"planned": page.planned} if page.planned else {}),
            **({"counted": {name: at.isoformat() for name, at in page.counted[-COUNTED:]}} if page.counted else {}),
        }
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        if len(text) <= LIMIT or not alerts:
            return text
        del alerts[0]


def _plain(alert: Alert) -> dict[str, Any]:
    return {
        "kind": alert.kind,
        "cluster": alert.cluster,
        "service": alert.service,
        "definition": alert.definition,
        "since": alert.since.isoformat(),
        "last": alert.last.isoformat(),
        "why": alert.why[:WORDS],
        "count": alert.count,
        "exit_code": alert.exit_code,
        "gap": alert.gap.total_seconds(),
    }


def _page(said: Mapping[str, Any]) -> Page:
    return Page(
        alerts=tuple(_read_alert(entry) for entry in said.get("alerts", ())),
        untold=tuple(said.get("untold", ())),
        announced=str(said.get("announced", "")),
        planned=str(said.get("planned", "")),
        halted=str(said.get("halted", "")),
        counted=tuple((name, datetime.fromisoformat(at)) for name, at in said.get("counted", {}).items()),
    )


def _read_alert(said: Mapping[str, Any]) -> Alert:
    return Alert(
        kind=said["kind"],
        cluster=said["cluster"],
        service=said["service"],
        definition=said["definition"],
        since=datetime.fromisoformat(said["since"]),
        last=datetime.fromisoformat(said["last"]),
        why=said["why"],
        count=int(said["count"]),
        exit_code=said["exit_code"],
        gap=timedelta(seconds=float(said["gap"])),
    )
