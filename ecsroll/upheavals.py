"""What happens to a group besides the roll: refreshes, failed launches, warm pools, changed templates. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from ecsroll import asg
from ecsroll.before import Before
from ecsroll.hazards import few
from ecsroll.model import Finding, Group
from ecsroll.terrain import ActivityFacts, TemplateFacts

__all__ = ["UPHEAVALS"]


def _rolled(before: Before) -> Iterator[Group]:
    """Groups of which hosts are to be replaced."""
    yield from (group for group in before.seen.groups.values() if before.leaving[group.name])


def _refreshing(before: Before) -> Iterator[Finding]:
    for group in _rolled(before):
        facts = before.terrain.groups.get(group.name)
        active = next((refresh for refresh in (facts.refreshes if facts else ()) if refresh.active), None)
        if active is not None:
            yield Finding(
                code="EC130",
                severity="blocking",
                subject=group.name,
                measured=f"instance refresh {active.id} is {active.status}, {active.percentage}% done: it and the roll "
                "would replace the same hosts, and it does not wait for tasks",
                fix=f"let it end, or aws autoscaling cancel-instance-refresh --auto-scaling-group-name {group.name}",
            )


def _failing(before: Before) -> Iterator[Finding]:
    for group in _rolled(before):
        facts = before.terrain.groups.get(group.name)
        failed = _failed_last(facts.activities if facts else ())
        if failed:
            first, last = failed[-1], failed[0]
            yield Finding(
                code="EC131",
                severity="warning",
                subject=group.name,
                measured=f"the last {len(failed)} launch(es) failed, since {first.began:%Y-%m-%d %H:%M:%S}Z: "
                f"{last.message or last.cause}",
                fix="mend that first: a roll needs new hosts, and halts when none comes",
            )


def _failed_last(activities: tuple[ActivityFacts, ...]) -> list[ActivityFacts]:
    """The launches that failed after the last one that went well, newest first."""
    failed = []
    for activity in activities:
        if activity.kind == "launch" and activity.status == "Successful":
            break
        if activity.kind == "launch" and activity.status in {"Failed", "Cancelled"}:
            failed.append(activity)
    return failed


def _warm(before: Before) -> Iterator[Finding]:
    for group in _rolled(before):
        facts = before.terrain.groups.get(group.name)
        pool = facts.warm_pool if facts else None
        wanted = before.images(group)
        old = [name for name, image in pool.staying.items() if image not in wanted] if pool else []
        if old:
            yield Finding(
                code="EC132",
                severity="blocking",
                subject=group.name,
                measured=f"{len(old)} instance(s) of the warm pool were launched with another image ({few(old)}): the "
                "first new hosts would be those, and the roll would halt",
                fix=f"aws autoscaling delete-warm-pool --auto-scaling-group-name {group.name}, roll, put it back",
            )
        elif pool and pool.reuses:
            yield Finding(
                code="EC132",
                severity="warning",
                subject=group.name,
                measured="the warm pool takes hosts back that the group gives up (ReuseOnScaleIn): one that the roll "
                "has replaced may lie in it, and come again with its old image",
                fix="switch that off while the roll goes on, as ECS advises anyway: aws autoscaling put-warm-pool "
                f"--auto-scaling-group-name {group.name} --instance-reuse-policy ReuseOnScaleIn=false, with its other "
                "settings as they are",
            )


def _owned(before: Before) -> Iterator[Finding]:
    for group in _rolled(before):
        facts = before.terrain.groups.get(group.name)
        if facts and facts.operator:
            yield Finding(
                code="EC133",
                severity="blocking",
                subject=group.name,
                measured=f"{facts.operator} operates the group: AWS denies changes of anybody else",
                fix="leave the group to it: name the others with --asg",
            )


# Launch targets --------------------------------------------------------------------------------------------------


def _drifted(before: Before) -> Iterator[Finding]:
    for group in _rolled(before):
        facts = before.terrain.groups.get(group.name)
        for template in facts.templates if facts else ():
            finding = _drift(before, group, template)
            if finding is not None:
                yield finding


def _drift(before: Before, group: Group, template: TemplateFacts) -> Finding | None:
    """Hosts of another version than the one that is launched now: what else was changed comes with the roll."""
    ran = {
        host.version
        for host in before.leaving[group.name]
        if host.template == template.id and host.version is not None and host.version != template.used
    }
    known = [version for version in ran if version in template.versions]
    changed = sorted({name for version in known for name in _differences(template.versions[version], template.data)})
    if not ran or (len(known) == len(ran) and not changed):
        return None
    what = f"{few(changed, 5)} changed, too" if changed else "what it changes besides was not read"
    named = template.spec.startswith("$")
    means = f"{template.spec} now means version {template.used}" if named else f"version {template.used} is used now"
    return Finding(
        code="EC134",
        severity="warning",
        subject=group.name,
        measured=f"hosts were launched from version {few(ran)} of {template.name}, and {means}: {what}, and all of it "
        "comes with the roll",
        fix=f"aws ec2 describe-launch-template-versions --launch-template-id {template.id} shows it; pin a version "
        "that was tried",
    )


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    return {name for name in {*was, *now} - {"ImageId"} if was.get(name) != now.get(name)}


def _backwards(before: Before) -> Iterator[Finding]:
    """The image that a group is to launch was made before one that it runs: a recommendation went backwards."""
    if before.policy.ami not in {"recommended", "keep"}:
        return
    for group in _rolled(before):
        # Each target against the hosts that came from the same template: another one may be of another family.
        for launches in group.launches:
            hosts = [host for host in before.leaving[group.name] if asg.launch_of(group, host) is launches]
            target = before.policy.images.get(f"{group.name}/{asg.name_of(launches)}") or launches.image
            if target is not None:
                yield from _older(before, group, target, frozenset(host.image for host in hosts if host.image))


def _older(before: Before, group: Group, target: str, running: frozenset[str]) -> Iterator[Finding]:
    made = before.terrain.images
    newer = [image for image in running & made.keys() if target in made and made[image] > made[target]]
    if newer:
        newest = max(newer, key=lambda image: made[image])
        days = (made[newest] - made[target]).days
        yield Finding(
            code="EC135",
            severity="blocking" if before.policy.ami == "recommended" else "warning",
            subject=group.name,
            measured=f"{target} was made {days} day(s) before {newest}, which runs: the roll would go back",
            fix=f"--ami {newest} keeps the newer one; --ami {target} says that the older one is meant",
        )


def _raised(before: Before) -> Iterator[Finding]:
    for group in _rolled(before):
        surge = before.surge(group)
        if (
            group.desired + surge > group.max
            and not before.policy.keep_max_size
            and group.name not in before.seen.ledgers
        ):
            yield Finding(
                code="EC136",
                severity="info",
                subject=group.name,
                measured=f"MaxSize {group.max} is raised to {max(group.max + surge, group.desired + surge)} while "
                f"{surge} host(s) are added to {group.desired}",
                fix="nothing to do: it is given back; --keep-max-size forbids it",
            )


def _weighted(before: Before) -> Iterator[Finding]:
    """DesiredCapacity, MinSize and MaxSize are weights then: one more of it is not one host more."""
    for group in _rolled(before):
        facts = before.terrain.groups.get(group.name)
        said: Mapping[str, Any] = facts.said if facts else {}
        overrides = said.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", ())
        heavy = [entry for entry in said.get("Instances", ()) if _weight(entry) != 1]
        kinds = [entry.get("InstanceType", "") for entry in overrides if _weight(entry) != 1]
        if heavy or kinds:
            what = f"{len(heavy)} of its hosts count" if heavy else f"a new host may count ({few(kinds)})"
            yield Finding(
                code="EC137",
                severity="blocking" if heavy else "warning",
                subject=group.name,
                measured=f"{what} for more than one (WeightedCapacity): its sizes do not count hosts then, and the "
                "roll would wait for hosts that never come",
                fix="take the weights out of the group's overrides (and set its sizes to hosts), or replace it by hand",
            )


def _weight(said: Mapping[str, Any]) -> int:
    return int(said.get("WeightedCapacity") or 1)


UPHEAVALS = (_refreshing, _failing, _warm, _owned, _drifted, _backwards, _raised, _weighted)
