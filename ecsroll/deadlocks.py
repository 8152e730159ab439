"""What a drain would wait for in vain: services that ECS may not move, and tasks that find no other host. Pure.

A drain ends when ECS has replaced every task on the host, inside each service's bounds and where the tasks fit
(aws-facts 3.3). So these checks follow the scheduler's arithmetic. ``blocking`` is certain: no placement whatsoever
would do. Where it depends on where ECS happens to place tasks, the finding is a warning.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from ecsroll.before import Before
from ecsroll.fits import UNITS, Crowd, Load, Space, Tight, always_fits, larger, never_fits, smaller
from ecsroll.model import Finding, Group
from ecsroll.terrain import HostFacts, ServiceFacts

__all__ = ["DEADLOCKS", "Bounds", "bounds_of"]


# Bounds ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What ECS may do with a service's tasks while a host is drained."""

    desired: int
    lower: int
    """Healthy tasks that have to stay: rounded up."""
    upper: int
    """Tasks that may run and be pending: rounded down."""

    @property
    def starts(self) -> bool:
        """Whether a replacement may be started before the old one stops."""
        return self.upper > self.desired

    @property
    def stops(self) -> int:
        """How many may be stopped before their replacements run."""
        return max(0, self.desired - self.lower)

    @property
    def stuck(self) -> bool:
        """Whether ECS may neither start nor stop: it waits for ever, and says so in a service event only."""
        return self.desired > 0 and not self.starts and not self.stops

    @property
    def least_maximum(self) -> int:
        """The smallest maximumPercent that allows to start one more."""
        return -(-(self.desired + 1) * 100 // max(1, self.desired))


def bounds_of(service: ServiceFacts) -> Bounds:
    """The service's bounds. Those of CODE_DEPLOY and EXTERNAL services can not be set: 100/200 hold (aws-facts 3.2)."""
    if service.controller != "ECS":
        return Bounds(desired=service.desired, lower=service.desired, upper=2 * service.desired)
    return Bounds(desired=service.desired, lower=service.lower, upper=service.upper)


def _stuck(before: Before) -> Iterator[Finding]:
    for service in before.moving:
        bounds = bounds_of(service)
        if not bounds.stuck:
            continue
        least, most = service.min_percent, service.max_percent
        yield Finding(
            code="EC110",
            severity="blocking",
            subject=service.name,
            measured=f"desired {bounds.desired}: minimumHealthyPercent {least} keeps {bounds.lower} and maximumPercent "
            f"{most} allows {bounds.upper}, so ECS can neither start nor stop a task; {_there(before, service)}",
            fix=f"aws ecs update-service --cluster {before.seen.cluster} --service {service.name} "
            f"--deployment-configuration minimumHealthyPercent={least},maximumPercent={bounds.least_maximum}, "
            "at least while the roll goes on",
        )


def _there(before: Before, service: ServiceFacts) -> str:
    tasks = before.leaving_tasks(service.name)
    return f"{len(tasks)} run on {len({task.host for task in tasks})} host(s) that are to be replaced"


def _blinks(before: Before) -> Iterator[Finding]:
    for service in before.moving:
        bounds = bounds_of(service)
        tasks = before.leaving_tasks(service.name)
        together = len({task.host for task in tasks}) == 1 and len(tasks) == bounds.desired
        if bounds.lower == 0 and together and bounds.desired > 0:
            yield Finding(
                code="EC116",
                severity="warning",
                subject=service.name,
                measured=f"its {bounds.desired} task(s) run on one host, and {service.min_percent}% have to stay: "
                "ECS stops them before their replacements run",
                fix=f"minimumHealthyPercent=100 with maximumPercent={max(200, bounds.least_maximum)} starts them first",
            )


# Constraints -----------------------------------------------------------------------------------------------------


def _constrained(before: Before) -> Iterator[Finding]:
    for service in before.moving:
        if before.staying(service) or any(before.admits(group, service) for group in before.seen.groups.values()):
            continue
        if not all(before.newcomers(group) for group in before.seen.groups.values() if before.leaving[group.name]):
            continue  # no host of the group is registered to learn from
        doubtful = any(
            before.welcomes(newcomer, service, doubtful=True)
            for group in before.seen.groups.values()
            for newcomer in before.newcomers(group)
        )
        yield _by_hand(before, service) if doubtful else _nowhere(before, service)


def _nowhere(before: Before, service: ServiceFacts) -> Finding:
    said = " and ".join(before.expressions(service)) or f"capacity provider {', '.join(service.providers)}"
    return Finding(
        code="EC111",
        severity="blocking",
        subject=service.name,
        measured=f"no new host will satisfy {said}; {_there(before, service)}",
        fix="change the placement constraint so that it holds for new hosts (ecs.ami-id changes with every roll)",
    )


def _by_hand(before: Before, service: ServiceFacts) -> Finding:
    names = sorted(
        {name for group in before.seen.groups.values() for new in before.newcomers(group) for name in new.doubtful}
    )
    return Finding(
        code="EC112",
        severity="warning",
        subject=service.name,
        measured=f"{' and '.join(before.expressions(service))} holds on some hosts by an attribute that the user data "
        f"does not set ({', '.join(names)}): new hosts may come without it",
        fix="set it in the user data (ECS_INSTANCE_ATTRIBUTES), or put it on each new host (aws ecs put-attributes)",
    )


# Room ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Room:
    """The hosts that tasks can move to when fewest are there: at best, and at worst."""

    best: Counter[Space]
    worst: Counter[Space]
    apart: tuple[Counter[Space], ...] = ()
    """The worst, by capacity provider: a strategy with several gives each task its own, whether it has room or not."""
    known: dict[tuple[Load, int], bool] = field(default_factory=dict)
    """What was found out already: services are many, and kinds of tasks few."""

    def always(self, crowd: Crowd, before: Before) -> bool:
        """Whether a task of it finds room wherever the others are."""
        key = (crowd.load, crowd.count if crowd.alone else 0)
        if key not in self.known:
            others = before.others(crowd)
            self.known[key] = all(always_fits(crowd, others, hosts) for hosts in self.apart or (self.worst,))
        return self.known[key]


def _room(before: Before, group: Group, service: ServiceFacts) -> _Room:
    """While a group is rolled: its hosts that stay or have come, and those of the other groups."""
    spaces = before.spaces
    beside = [host for host in before.beside(group) if before.suits(service, host)]
    others = Counter(spaces[host.arn] for host in beside)
    old = [spaces[host.arn] for host in before.serving(group) if before.suits(service, host)]
    every, fit = before.newcomers(group), before.admits(group, service)
    if not fit:  # in the end, what is not rolled is all that is left
        left = Counter(spaces[host.arn] for host in before.staying(service) if host.group == group.name)
        return _Room(others + left, others + left, _apart(before, group, service, beside, left))
    leaving, surge = len(before.leaving[group.name]), before.surge(group)
    at_once = min(surge + before.unavailable(group), leaving)
    kinds = [*old, *(new.space for new in fit)]
    # Where every new host will do, those that come in the place of hosts that do not are room besides.
    unfit = sum(not before.suits(service, host) for host in before.going(group)) if len(fit) == len(every) else 0
    best = len(old) + unfit + before.missing(group) + surge - min(1, at_once)
    # A new host of the wrong zone (or type) does not help, and nobody knows beforehand which it will be.
    sure = len(old) + surge - at_once if len(fit) == len(every) else 0
    worst = Counter({reduce(smaller, kinds): max(0, sure)})
    return _Room(
        others + Counter({reduce(larger, kinds): max(0, best)}),
        others + worst,
        _apart(before, group, service, beside, worst),
    )


def _apart(
    before: Before, group: Group, service: ServiceFacts, beside: Sequence[HostFacts], own: Counter[Space]
) -> tuple[Counter[Space], ...]:
    if len(service.providers) < 2:
        return ()
    mine = group.provider.name if group.provider else ""
    return tuple(
        Counter(before.spaces[host.arn] for host in beside if host.provider == name)
        + (own if name == mine else Counter())
        for name in service.providers
    )


def _no_room(before: Before) -> Iterator[Finding]:
    said: set[str] = set()
    for group in before.seen.groups.values():
        if before.leaving[group.name] and before.newcomers(group):
            for finding in _no_room_in(before, group):
                if finding.subject not in said:
                    said.add(finding.subject)
                    yield finding


def _no_room_in(before: Before, group: Group) -> Iterator[Finding]:
    arns = {host.arn for host in before.leaving[group.name]}
    by_needs: dict[object, list[ServiceFacts]] = {}
    for service in before.moving:
        if any(task.host in arns for task in before.leaving_tasks(service.name)):
            by_needs.setdefault(before.needs(service), []).append(service)
    for services in by_needs.values():
        room = _room(before, group, services[0])
        # What ECS may stop without a replacement needs no room for the host to become empty.
        never = never_fits(list(_crowds(before, services, {s.name: bounds_of(s).lower for s in services})), room.best)
        kept = _never_whole(before, group, services)
        for service in services:
            yield from _lacks_room(before, group, service, room, never.get(service.name), kept.get(service.name))


def _crowds(before: Before, services: Sequence[ServiceFacts], counts: Mapping[str, int]) -> Iterator[Crowd]:
    for service in services:
        crowd = before.crowd(service, counts.get(service.name, 0))
        if crowd is not None and crowd.count:
            yield crowd


def _never_whole(before: Before, group: Group, services: Sequence[ServiceFacts]) -> dict[str, Tight]:
    """Services that can not have all their tasks while empty canaries are kept, and nothing comes in their place.

    What they run now counts, not what they want: only what a canary displaces has to be healthy elsewhere.
    """
    kept = before.kept_canaries(group)
    if not kept:
        return {}
    there = before.carrying(group)
    running = {each.name: min(each.desired, there[each.name]) for each in services}
    left = _hosts(before, group, services[0])
    number = max(0, left.total() + before.missing(group) - kept)
    room = Counter({reduce(larger, left.elements()): number}) if left else left
    return never_fits(list(_crowds(before, services, running)), room)


def _hosts(before: Before, group: Group, service: ServiceFacts) -> Counter[Space]:
    """The hosts that carry its tasks today, of this group and of the others."""
    every = (*before.serving(group), *before.beside(group))
    return Counter(before.spaces[host.arn] for host in every if before.suits(service, host))


def _lacks_room(
    before: Before, group: Group, service: ServiceFacts, room: _Room, tight: Tight | None, kept: Tight | None
) -> Iterator[Finding]:
    crowd = before.crowd(service, service.desired)
    bounds = bounds_of(service)
    if crowd is None or bounds.stuck or not _admitted(before, service):
        return  # nothing to go by, or another finding says already why it can not move
    if not bounds.lower and not before.kept_canaries(group):
        return  # nothing has to run elsewhere before the host is empty
    grows = _grows(before, group, service)
    if tight is not None and not grows:
        yield _says(before, group, service, tight, crowd)
    elif kept is not None and not grows:
        yield _not_whole(service, group, kept)
    elif tight is not None or kept is not None or not room.always(crowd, before):
        yield _maybe(before, group, service, crowd, room)


def _admitted(before: Before, service: ServiceFacts) -> bool:
    """Whether some host will be there in the end that takes a task of it."""
    crowd = before.crowd(service, 1)
    new = [kind.space for each in before.seen.groups.values() for kind in before.admits(each, service)]
    there = [before.spaces[host.arn] for host in before.staying(service)]
    return crowd is not None and any(space.lacks(crowd.load) is None for space in (*new, *there))


def _grows(before: Before, group: Group, service: ServiceFacts) -> bool:
    """Whether a capacity provider makes room for tasks that find none (aws-facts 4.4)."""
    provider = group.provider
    free = group.desired + before.surge(group) < group.max
    return provider is not None and provider.managed_scaling and provider.name in service.providers and free


def _too_large(before: Before) -> Iterator[Finding]:
    for service in before.moving:
        crowd = before.crowd(service, 1)
        if crowd is None:
            continue  # how large it is could not be read: that is a finding of its own, and no reason to refuse
        fit = [(group, new) for group in before.seen.groups.values() for new in before.admits(group, service)]
        lacks = [new.space.lacks(crowd.load) for _, new in fit]
        if not fit or None in lacks or _admitted(before, service):
            continue
        yield Finding(
            code="EC113",
            severity="blocking",
            subject=service.name,
            measured=f"a task of it {lacks[0]} beside its daemons: it fits on no new host, not even an empty one",
            fix=f"let {fit[0][0].name} launch larger hosts, or make the task smaller",
        )


def _says(before: Before, group: Group, service: ServiceFacts, tight: Tight, crowd: Crowd) -> Finding:
    if tight.kind == "one_a_host":
        why = (
            "distinctInstance" if crowd.alone else f"host port {', '.join(str(p) for p, _ in sorted(crowd.load.ports))}"
        )
        return Finding(
            code="EC114",
            severity="blocking",
            subject=service.name,
            measured=f"{tight.tasks} task(s) need a host each ({why}), and {tight.places} can take one while a host of "
            f"{group.name} is drained",
            fix=_more_room(before, group),
        )
    others = " (of other services, too)" if tight.tasks > crowd.count else ""
    return Finding(
        code="EC115",
        severity="blocking",
        subject=service.name,
        measured=f"{tight.tasks} task(s){others} have to run at once and {tight.places} fit on the {tight.hosts} "
        f"host(s) left while one of {group.name} is drained: {UNITS[tight.kind]} are short "
        f"({crowd.load.of(tight.kind)} a task)",
        fix=_more_room(before, group),
    )


def _not_whole(service: ServiceFacts, group: Group, tight: Tight) -> Finding:
    why = "each wants a host of its own" if tight.kind == "one_a_host" else f"{UNITS[tight.kind]} are short"
    return Finding(
        code="EC125",
        severity="blocking",
        subject=service.name,
        measured=f"the canary of {group.name} is kept until what ran on it is healthy elsewhere, and no host is added: "
        f"{tight.tasks} task(s) run, and {tight.places} fit on the {tight.hosts} host(s) left: {why}",
        fix="--max-surge 1 --max-unavailable 0 adds a host first; --canary 0 rolls without a trial",
    )


def _maybe(before: Before, group: Group, service: ServiceFacts, crowd: Crowd, room: _Room) -> Finding:
    hosts = sum(number for host, number in room.worst.items() if host.lacks(crowd.load) is None)
    tasks = f"its tasks ({crowd.load.cpu} CPU units, {crowd.load.memory} MiB)"
    if room.apart and always_fits(crowd, before.others(crowd), room.worst):
        measured = (
            f"there is room for {tasks} while {group.name} is rolled, but its strategy gives each of them one of "
        )
        measured += f"its capacity providers ({', '.join(service.providers)}), and that one may have none"
    elif hosts:
        measured = f"{tasks} fit on the {hosts} host(s) that are sure to be left while {group.name} is rolled only if "
        measured += "ECS places the others well"
    else:
        measured = f"it is not sure that there is a host that takes {tasks} (its zone, its type, its agent) while "
        measured += f"{group.name} is rolled"
    return Finding(
        code="EC117",
        severity="warning",
        subject=service.name,
        measured=measured,
        fix=f"ecsroll plan --cluster {before.seen.cluster} rehearses it; {_more_room(before, group)}",
    )


def _more_room(before: Before, group: Group) -> str:
    """A surge fills up as fast as it comes: as many hosts are drained at once. Only a host more really adds room."""
    surge, missing = before.surge(group), before.unavailable(group)
    if missing:
        return f"--max-surge {max(1, surge)} --max-unavailable 0 adds a host before one is drained"
    return (
        f"let the group want one host more while the roll goes on (aws autoscaling set-desired-capacity "
        f"--auto-scaling-group-name {group.name} --desired-capacity {group.desired + 1}), or run fewer tasks"
    )


DEADLOCKS = (_stuck, _constrained, _too_large, _no_room, _blinks)
