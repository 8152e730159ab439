"""What has to be known before a roll starts: every finding at once, each with its code and the way out. Pure.

Checks that the picture alone allows are here; the others look at the terrain, and stand in families: ``deadlocks.py``
(what a drain would wait for in vain), ``hazards.py`` (tasks, volumes, hosts), ``upheavals.py`` (groups and what they
launch). What can only be asked (permissions) is in ``grants.py``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ecsroll import asg
from ecsroll.before import Before
from ecsroll.deadlocks import DEADLOCKS
from ecsroll.drain import services_on
from ecsroll.gates import outside_words
from ecsroll.hazards import HAZARDS
from ecsroll.ledger import Place
from ecsroll.model import Finding, Group, Policy, Snapshot
from ecsroll.terrain import Terrain
from ecsroll.turn import outdated_by_group
from ecsroll.upheavals import UPHEAVALS

__all__ = ["allowed", "preflight"]

_SEVERITIES = ("blocking", "warning", "info")
CHECKS = (*DEADLOCKS, *HAZARDS, *UPHEAVALS)


def preflight(seen: Snapshot, policy: Policy, terrain: Terrain | None = None) -> tuple[Finding, ...]:
    """Everything that speaks against (or is worth saying about) rolling these groups with this policy.

    Without the terrain only what the picture itself tells.
    """
    found: list[Finding] = []
    outdated = outdated_by_group(seen, policy)
    for group in seen.groups.values():
        # A group that is up to date is pointed at the image with the others, and nothing else is done to it.
        replacing = (_suspended, _no_room, _no_way) if outdated[group.name] else ()
        for check in (_shared, *replacing, _public, _no_replicas):
            found += check(group, seen, policy)
    found += (*_no_alarm(seen, policy), *_outside(seen, policy))
    if terrain is not None:
        before = Before(seen, policy, terrain)
        for look in CHECKS:
            found += look(before)
    return allowed(dict.fromkeys(found), policy.allow)


def allowed(findings: Iterable[Finding], codes: Sequence[str]) -> tuple[Finding, ...]:
    """The findings, the worst first; those that somebody allows are no longer blocking, but warnings that say so."""
    told = (
        replace(finding, severity="warning", measured=f"{finding.measured} (allowed by --allow {finding.code})")
        if finding.severity == "blocking" and finding.code in codes
        else finding
        for finding in findings
    )
    return tuple(sorted(told, key=lambda finding: _SEVERITIES.index(finding.severity)))


def _shared(group: Group, seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    for launches in group.launches:
        image = policy.images.get(f"{group.name}/{asg.name_of(launches)}")
        others = [name for name in launches.shared_with if name not in seen.groups]
        if others and image is not None and image != launches.image:
            yield Finding(
                code="EC101",
                severity="blocking",
                subject=group.name,
                measured=f"{asg.name_of(launches)} is followed by {', '.join(others)} too, outside this roll",
                fix="roll them together (--asg), give the group a template of its own, or --ami keep",
            )


def _suspended(group: Group, seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    del seen, policy
    stopped = sorted(group.suspended & {"Launch", "Terminate"})
    if stopped:
        yield Finding(
            code="EC102",
            severity="blocking",
            subject=group.name,
            measured=f"{' and '.join(stopped)} is suspended: no host can be replaced",
            fix=f"aws autoscaling resume-processes --auto-scaling-group-name {group.name}",
        )


def _no_room(group: Group, seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    if not policy.keep_max_size or policy.unavailable.of(group.desired, up=False):
        return
    if group.max <= group.desired and group.name not in seen.ledgers:
        yield Finding(
            code="EC103",
            severity="blocking",
            subject=group.name,
            measured=f"MaxSize {group.max} leaves no room above the {group.desired} hosts, and it has to stay",
            fix="leave out --keep-max-size (it is given back), or allow --max-unavailable 1",
        )


def _no_way(group: Group, seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    """Percentages that come to nothing: the surge is rounded up, what may be unavailable down."""
    surge = group.desired if policy.strategy == "double" else policy.surge.of(group.desired, up=True)
    if surge or policy.unavailable.of(group.desired, up=False) or group.name in seen.ledgers:
        return
    yield Finding(
        code="EC105",
        severity="blocking",
        subject=group.name,
        measured=f"{policy.unavailable} of {group.desired} host(s) may be unavailable: that is none, and none is added",
        fix="allow one host, by --max-surge 1 or --max-unavailable 1",
    )


def _public(group: Group, seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    del seen
    for launches in group.launches:
        image = policy.images.get(f"{group.name}/{asg.name_of(launches)}")
        if launches.place is Place.PUBLIC and image is not None and image != launches.image:
            yield Finding(
                code="EC104",
                severity="warning",
                subject=group.name,
                measured=f"{launches.parameter} says {launches.image}, recommended is {image}",
                fix="the roll goes to what the parameter says; point the template elsewhere to change that",
            )


def _no_replicas(group: Group, seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    """Without tasks that move there is nothing to judge a canary by (DESIGN 5)."""
    hosts = seen.of(group)
    if policy.canary and hosts and not any(services_on(host, seen) for host in hosts):
        yield Finding(
            code="EC160",
            severity="info",
            subject=group.name,
            measured="no task of a replica service runs on its hosts, so no canary is tried",
            fix="watch what matters there with --alarm",
        )


def _outside(seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    shut = outside_words(policy, seen.at)
    if shut:
        does = "waits until then" if policy.outside_window == "wait" else "does not begin before"
        yield Finding(
            code="EC162",
            severity="warning",
            subject=seen.cluster,
            measured=f"{shut}: the roll {does}",
            fix="start it in a window, or leave out --window",
        )


def _no_alarm(seen: Snapshot, policy: Policy) -> Iterator[Finding]:
    """A name with a slip of the pen would be a gate that never shuts. Where none could be read, that is EC190."""
    for name in policy.alarms:
        if seen.alarms_read and name not in seen.alarms:
            yield Finding(
                code="EC161",
                severity="blocking",
                subject=name,
                measured="there is no CloudWatch alarm of that name in this account and region",
                fix="aws cloudwatch describe-alarms --query 'MetricAlarms[].AlarmName' shows them; then mend --alarm",
            )
