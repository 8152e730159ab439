"""What runs on the hosts that are to leave, and what is odd about the hosts: worth knowing before a roll. Pure."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import takewhile

from ecsroll.before import Before
from ecsroll.model import Finding, Host, Policy
from ecsroll.policy import spelled
from ecsroll.terrain import HostFacts, ServiceFacts, TaskFacts, VolumeFacts

__all__ = ["HAZARDS"]

GONE = {"terminated", "shutting-down", "stopped", "stopping"}
GROUP_TAG = "aws:autoscaling:groupName"
"""The tag by which EC2 says which group an instance is in, also of groups outside the roll."""
SYSTEM = ("/var/run", "/run", "/proc", "/sys", "/cgroup", "/dev", "/etc", "/var/log", "/var/lib/docker", "/usr")
"""Paths that hold the host's own things: a new host has them, too."""
VOLUMES = "/var/lib/docker/volumes"
"""Among them, what docker keeps for others."""


def few(names: Iterable[str], limit: int = 3) -> str:
    """Some names, the first few of them."""
    every = sorted(set(names))
    return ", ".join(every[:limit]) + (f" and {len(every) - limit} more" if len(every) > limit else "")


# Tasks -----------------------------------------------------------------------------------------------------------


def _standalone(before: Before) -> Iterator[Finding]:
    tasks = before.leaving_tasks(None)
    if tasks:
        does, fix = _of_standalone(before.policy)
        yield Finding(
            code="EC118",
            severity="warning",
            subject=few(_family(task) for task in tasks),
            measured=f"{len(tasks)} standalone task(s) run on {len({task.host for task in tasks})} host(s): nobody "
            f"moves them, so {does}",
            fix=fix,
        )


def _of_standalone(policy: Policy) -> tuple[str, str]:
    """What the policy does about them, and what to do about that."""
    after = spelled(policy.drain_timeout)
    end = {
        "halt": f"halts after {after}",
        "skip": f"leaves their hosts alone after {after}",
        "terminate": f"ends them with their hosts after {after}",
    }[policy.on_drain_timeout]
    return {
        "wait": (
            f"the roll waits until they end, and {end}",
            "let them end first, or give --drain-timeout more than they need",
        ),
        "stop": ("they are stopped when their hosts are drained", "let them end first, if they are not to be stopped"),
        "skip": ("their hosts are left alone, and the roll ends with exit code 5", "let them end first"),
        "fail": ("the roll halts at the first host with one", "let them end first, or give --standalone-tasks wait"),
    }[policy.standalone_tasks]


def _family(task: TaskFacts) -> str:
    return task.definition.rpartition("/")[2].partition(":")[0]


def _protected(before: Before) -> Iterator[Finding]:
    for service in before.moving:
        tasks = [task for task in before.leaving_tasks(service.name) if _guarded(task, before.seen.at)]
        if not tasks:
            continue
        last = max(task.protected_until for task in tasks if task.protected_until)
        yield Finding(
            code="EC119",
            severity="warning",
            subject=service.name,
            measured=f"{len(tasks)} protected task(s), the last until {last:%Y-%m-%d %H:%M:%S}Z (in "
            f"{spelled(last - before.seen.at)}): their hosts wait until then, whatever --drain-timeout says",
            fix="nothing to do: the roll waits; it waits less where it begins later, or the tasks end their protection",
        )


def _guarded(task: TaskFacts, at: datetime) -> bool:
    return task.protected_until is not None and task.protected_until > at


# Volumes ---------------------------------------------------------------------------------------------------------


def _data(before: Before) -> Iterator[Finding]:
    yield from _volumes(
        before,
        "EC120",
        _stays_behind,
        "lies on the hosts that are to be replaced: what is in it is lost with them",
        "keep it elsewhere (EFS), or copy it before the roll",
    )


def _bound(before: Before) -> Iterator[Finding]:
    zones = {zone for group in before.seen.groups.values() for zone in group.zones}
    if len(zones) > 1:
        yield from _volumes(
            before,
            "EC121",
            _zoned,
            f"is bound to its zone, and a replacement may be placed in any of {len(zones)}",
            "pin the service to the volume's zone (memberOf attribute:ecs.availability-zone)",
        )


def _volumes(
    before: Before, code: str, concerns: Callable[[VolumeFacts], bool], why: str, fix: str
) -> Iterator[Finding]:
    for service in before.moving:
        definition = before.definition(service)
        found = [volume for volume in (definition.volumes if definition else ()) if concerns(volume)]
        if found and not (code == "EC121" and _pinned(before, service.name)):
            names = few(f"{volume.name} ({volume.path})" for volume in found)
            yield Finding(code=code, severity="warning", subject=service.name, measured=f"{names} {why}", fix=fix)


def _stays_behind(volume: VolumeFacts) -> bool:
    if volume.kind == "docker":
        return volume.path == "local"
    own = any(volume.path == path or volume.path.startswith(f"{path}/") for path in SYSTEM)
    return volume.kind == "host" and (not own or volume.path.startswith(VOLUMES))


def _zoned(volume: VolumeFacts) -> bool:
    return volume.kind == "docker" and any(word in volume.path for word in ("ebs", "rexray", "cloudstor"))


def _pinned(before: Before, service: str) -> bool:
    return any("availability-zone" in said for said in before.expressions(before.terrain.services[service]))


# Services --------------------------------------------------------------------------------------------------------


def _deploying(before: Before) -> Iterator[Finding]:
    for service in before.moving:
        under_way = service.deployments or service.task_sets
        state = next((entry.get("rolloutState", "") for entry in under_way if entry.get("status") == "PRIMARY"), "")
        if len(under_way) > 1 or state == "IN_PROGRESS":
            kind = "deployment" if service.deployments else "task set"
            yield Finding(
                code="EC123",
                severity="warning",
                subject=service.name,
                measured=f"{len(under_way)} {kind}(s), the newest {state or 'under way'}: tasks start "
                "and stop for two reasons at once, and a failing release looks like a failing host",
                fix="let the deployment end first",
            )


def _short(before: Before) -> Iterator[Finding]:
    for service in before.replicas:
        moves = service in before.moving
        if service.running >= service.desired or len(service.deployments) > 1 or not (moves or _comes(before, service)):
            continue
        since = takewhile(lambda event: "steady state" not in event.message, service.events)
        said = next((event.message for event in since if "unable" in event.message), "")
        why = "with a task missing, fewer others may be moved" if moves else "it takes the room that new hosts bring"
        yield Finding(
            code="EC124",
            severity="warning",
            subject=service.name,
            measured=f"{service.running} of {service.desired} task(s) run" + (f": {said}" if said else ""),
            fix=f"mend that first: {why}",
        )


def _comes(before: Before, service: ServiceFacts) -> bool:
    """Whether its tasks may start on the hosts that a roll brings."""
    groups = (group for group in before.seen.groups.values() if before.leaving[group.name])
    return before.definition(service) is not None and any(before.admits(group, service) for group in groups)


# Hosts -----------------------------------------------------------------------------------------------------------


def _agentless(before: Before) -> Iterator[Finding]:
    for group in before.seen.groups.values():
        lost = [host.id for host in before.seen.of(group) if host.live and host.arn and not host.connected]
        if lost:
            yield Finding(
                code="EC140",
                severity="warning",
                subject=group.name,
                measured=f"the agent of {len(lost)} host(s) is away ({few(lost)}): what runs there counts as "
                f"unhealthy, and such a host is kept for {spelled(before.policy.boot_timeout)} at least",
                fix="restart the agent (systemctl restart ecs), or let the roll replace them",
            )


def _zombies(before: Before) -> Iterator[Finding]:
    if any(finding.subject == "ec2:describe_instances" for finding in before.terrain.findings):
        return
    dead = [host for host in before.terrain.hosts.values() if _is_dead(host)]
    if dead:
        yield Finding(
            code="EC141",
            severity="warning",
            subject=before.seen.cluster,
            measured=f"{len(dead)} container instance(s) have no running EC2 instance ({few(h.id for h in dead)}"
            "): ECS still counts their tasks",
            fix=f"aws ecs deregister-container-instance --force --cluster {before.seen.cluster} "
            f"--container-instance {dead[0].arn.rpartition('/')[2]}",
        )


def _is_dead(host: HostFacts) -> bool:
    if host.managed or host.connected:
        return False
    state = host.machine.get("State", {}).get("Name", "")
    return state in GONE or (host.group is None and not host.machine)


def _drained(before: Before) -> Iterator[Finding]:
    for name, hosts in before.foreign.items():
        if hosts:
            yield Finding(
                code="EC142",
                severity="warning",
                subject=name,
                measured=f"{len(hosts)} outdated host(s) are drained by somebody else ({few(h.id for h in hosts)}): "
                "they are skipped, and the roll ends with exit code 5",
                fix="set them ACTIVE again (aws ecs update-container-instances-state), or let their drainer end it",
            )


def _standby(before: Before) -> Iterator[Finding]:
    for name, hosts in before.standby.items():
        if hosts:
            yield Finding(
                code="EC144",
                severity="warning",
                subject=name,
                measured=f"{len(hosts)} outdated host(s) are in Standby ({few(h.id for h in hosts)}): they are "
                "skipped, and the roll ends with exit code 5",
                fix=f"bring them back first: aws autoscaling exit-standby --auto-scaling-group-name {name} "
                f"--instance-ids {' '.join(host.id for host in hosts[:20])}",
            )


def _managed(before: Before) -> Iterator[Finding]:
    found = [host for host in before.terrain.hosts.values() if host.managed and not host.outside]
    if found:
        yield Finding(
            code="EC143",
            severity="info",
            subject=before.seen.cluster,
            measured=f"{len(found)} ECS managed instance(s): they are in no group, and AWS replaces them by itself",
            fix="nothing to do: they are skipped",
        )


def _groupless(before: Before) -> Iterator[Finding]:
    """Hosts that no group knows: detached, or launched by hand; and machines outside AWS, which ECS manages, too."""
    found = [host for host in before.terrain.hosts.values() if _is_alone(host)]
    if found:
        yield Finding(
            code="EC145",
            severity="info",
            subject=before.seen.cluster,
            measured=f"{len(found)} host(s) are in no Auto Scaling group ({few(h.id for h in found)}): the roll does "
            "not replace them, whatever they run",
            fix="put them into a group (aws autoscaling attach-instances), or replace them by hand",
        )


def _is_alone(host: HostFacts) -> bool:
    tags = {tag.get("Key") for tag in host.machine.get("Tags", ())}
    runs = host.machine.get("State", {}).get("Name") == "running"
    return host.outside or (host.group is None and not host.managed and runs and GROUP_TAG not in tags)


def _only_daemons(before: Before) -> Iterator[Finding]:
    for group in before.seen.groups.values():
        if group.provider is None or not group.provider.termination_protection:
            continue
        idle = [
            host.id for host in before.leaving[group.name] if host.protected and _carries_daemons_only(before, host)
        ]
        if idle:
            yield Finding(
                code="EC122",
                severity="info",
                subject=group.name,
                measured=f"{len(idle)} host(s) carry daemons only and are protected ({few(idle)}): ECS is known to "
                "leave such hosts protected, so that scale-in never takes them",
                fix="nothing to do: the roll replaces them all the same",
            )


def _carries_daemons_only(before: Before, host: Host) -> bool:
    tasks = before.on.get(host.arn or "", [])
    return bool(tasks) and all(task.daemon for task in tasks)


HAZARDS = (
    _standalone,
    _protected,
    _data,
    _bound,
    _deploying,
    _short,
    _agentless,
    _zombies,
    _drained,
    _standby,
    _managed,
    _groupless,
    _only_daemons,
)
