"""Back to what ran before the last roll: the reference and the image that each group had, the same careful way.

A roll that is not finished is ended first, as ``abort`` does: that undoes its drains and gives back what it borrowed,
its own new hosts first. Then the hosts that still run the newer image are replaced like any others.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from ecsroll import asg
from ecsroll.aws import Aws
from ecsroll.commands import Run, Screen, Stopping, abort, check_same
from ecsroll.decide import decide
from ecsroll.errors import AwsRefusal, EcsrollError, NotFound, Refused
from ecsroll.images import AwsImages
from ecsroll.ledger import Place, Roll
from ecsroll.model import Launches, Memory, Policy, Snapshot
from ecsroll.observe import Observer
from ecsroll.records import Written
from ecsroll.result import Result, of_error

__all__ = ["after_failure", "rollback"]


@dataclass
class _Target:
    """Where each launch of each group goes back to, by ``group/template`` as it is named now."""

    groups: tuple[str, ...]
    images: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def rollback(
    aws: Aws,
    cluster: str,
    policy: Policy,
    screen: Screen,
    confirm: Callable[[str], bool],
    stopping: Stopping | None = None,
) -> Result:
    """Return the cluster's groups to what they launched before the last roll, and replace the hosts of that roll.

    Raises Refused when there is nothing to go back to: no roll on record, an image that is gone or deprecated.
    """
    stopping = stopping or nullcontext(lambda: None)
    observer = Observer(aws, cluster)
    seen = observer.look()
    if seen.roll is not None and seen.roll.back and not seen.roll.aborting:
        wanted = _Target(seen.roll.groups, dict(seen.roll.images), dict(seen.roll.versions))
    else:
        wanted = _target(aws, seen, _last(cluster, seen, observer.records.read()))
        _check_images(aws, cluster, wanted.images)
    images = ", ".join(sorted({*wanted.images.values()}))
    if not confirm(f"Return {', '.join(wanted.groups)} of {cluster} to {images}?"):
        raise Refused("nothing was changed: the rollback was declined", hint="run it again and say yes, or give --yes")
    if seen.roll is not None and not seen.roll.back:
        ended = abort(aws, cluster, policy, screen, lambda _: True, stopping)
        if ended.result not in {"done", "nothing"}:  # nothing: it has come to its end meanwhile
            return replace(ended, command="rollback", next=f"ecsroll rollback --cluster {cluster} (goes on)")
    return _roll(aws, cluster, _policy(policy, wanted), screen, stopping)


def after_failure(
    failed: Result, aws: Aws, cluster: str, policy: Policy, screen: Screen, stopping: Stopping | None
) -> Result:
    """Take back a roll that a gate has halted (``--rollback-on-failure``): halted it is, whatever comes of that."""
    try:
        back = rollback(aws, cluster, policy, screen, lambda _: True, stopping)
    except EcsrollError as error:
        back = of_error(error, command="rollback", cluster=cluster)
    return _both(failed, back)


def _both(failed: Result, back: Result) -> Result:
    well = back.result in {"done", "nothing"}
    after = "mend the image or choose another (--ami), then replace again" if well else back.next or failed.next
    return replace(
        failed,
        reason=f"{failed.reason}; {'rolled back' if well else 'the rollback did not end'}: {back.reason}",
        next=after,
        replaced=0 if well else failed.replaced,
        remaining=failed.remaining + failed.replaced if well else failed.remaining,
        owed=back.owed,
        findings=tuple(dict.fromkeys((*failed.findings, *back.findings))),
    )


def _roll(aws: Aws, cluster: str, policy: Policy, screen: Screen, stopping: Stopping) -> Result:
    observer = Observer(aws, cluster, policy.groups, alarms=policy.alarms)
    seen = observer.look()
    run = Run(
        command="rollback",
        aws=aws,
        cluster=cluster,
        policy=policy,
        screen=screen,
        stopping=stopping,
        begin=lambda there: check_same(cluster, there.records.read().roll, policy),
    )
    verdict = decide(seen, Memory(), policy)[0].verdict
    if verdict is not None and verdict.result == "nothing":
        reason = "every host runs what it ran before the last roll"
        return Result(command="rollback", result="nothing", exit_code=0, cluster=cluster, reason=reason)
    return run.go(observer)


def _policy(policy: Policy, wanted: _Target) -> Policy:
    """How to roll is the policy's; a window is no reason to keep what was judged bad."""
    return replace(policy, groups=wanted.groups, images=wanted.images, versions=wanted.versions, back=True, windows=())


# Where to ----------------------------------------------------------------------------------------------------------


def _last(cluster: str, seen: Snapshot, written: Written) -> Roll:
    """The roll to take back: the one under way, else the last one that was no rollback itself."""
    rolls = [*written.history, *([seen.roll] if seen.roll else [])]
    found = [roll for roll in sorted(rolls, key=lambda roll: roll.epoch) if not roll.back and roll.was]
    if not found:
        hint = f"ecsroll replace --cluster {cluster} --ami ID rolls to an image that you name"
        raise Refused(f"no roll of {cluster} is on record, so there is nothing to go back to", hint=hint)
    return found[-1]


def _target(aws: Aws, seen: Snapshot, roll: Roll) -> _Target:
    wanted = _Target(roll.groups)
    for name in roll.groups:
        if name not in seen.groups:
            raise NotFound(
                f"the group {name} of the last roll is gone",
                hint=f"ecsroll status --cluster {seen.cluster} shows the groups",
            )
        for launches in seen.groups[name].launches:
            _add(aws, wanted, name, launches, roll.was)
    return wanted


def _add(aws: Aws, wanted: _Target, group: str, launches: Launches, was: Mapping[str, str]) -> None:
    now = asg.name_of(launches)
    then = next((key.partition("/")[2] for key in was if _same(key, group, now)), None)
    if then is None:
        raise Refused(
            f"{group} launches by {now}, which the last roll did not know",
            hint="somebody gave the group another template since; ecsroll replace --cluster C --ami ID names the image",
        )
    image, _, version = was[f"{group}/{then}"].partition(" ")
    if launches.place is Place.PUBLIC:
        raise Refused(
            f"{group} launches what {launches.parameter} says: it can not be returned to what it ran before",
            hint="use terraform/modules/ecs_instances (a parameter of its own, tagged ecsroll:group)",
        )
    key = f"{group}/{now}"
    wanted.images[key] = image
    if launches.place is Place.CONFIGURATION:
        wanted.versions[key] = then
    elif launches.place is Place.TEMPLATE and version and _is_there(aws, launches, version, image):
        wanted.versions[key] = version


def _same(key: str, group: str, now: str) -> bool:
    """Whether a noted launch is the one that the group names now; a copied configuration has a longer name."""
    noted_group, _, then = (
        key.rpartition("/") if not key.startswith(f"{group}/") else (group, "/", key[len(group) + 1 :])
    )
    return noted_group == group and (then == now or then.partition(".ecsroll-")[0] == now.partition(".ecsroll-")[0])


def _is_there(aws: Aws, launches: Launches, version: str, image: str) -> bool:
    """Whether the group can refer to the earlier version as it did: by ``$Latest`` only if what came since is ours."""
    try:
        since = aws.pages(
            "ec2",
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            LaunchTemplateId=launches.name,
            MinVersion=version,
        )
    except AwsRefusal:
        return False
    then = [said for said in since if str(said["VersionNumber"]) == version]
    later = [said for said in since if str(said["VersionNumber"]) != version]
    same = bool(then) and then[0].get("LaunchTemplateData", {}).get("ImageId") == image
    ours = all(str(said.get("VersionDescription", "")).startswith("ecsroll ") for said in later)
    return same and (launches.spec != "$Latest" or ours)


def _check_images(aws: Aws, cluster: str, images: Mapping[str, str]) -> None:
    """An image that is gone launches nothing; a deprecated one is on its way out."""
    found = AwsImages(aws).images(sorted({*images.values()}))
    for image in sorted({*images.values()}):
        there = found.get(image)
        hint = f"ecsroll replace --cluster {cluster} --ami ID rolls to another image (check-ami shows what is there)"
        if there is None or there.state != "available":
            state = there.state if there else "gone"
            raise Refused(
                f"the image that ran before, {image}, is {state}: nothing could be launched with it", hint=hint
            )
        if there.deprecated is not None and there.deprecated <= aws.clock.now():
            raise Refused(
                f"the image that ran before, {image}, is deprecated since {there.deprecated:%Y-%m-%d}", hint=hint
            )
