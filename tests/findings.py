"""A cluster for each finding: where it is said, and one that looks much the same where it must not be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ecsroll.model import Policy
from ecsroll.simulator.images import LINUX
from ecsroll.simulator.stage import GroupSet, ServiceSet
from ecsroll.terrain import Terrain
from ecsroll.window import windows
from tests import scenarios as s
from tests.deeds import (
    Act,
    alarm,
    at_codedeploy,
    becomes_zombie,
    by_provider,
    denied,
    detached,
    docker_volume,
    drained_after_it_was_replaced,
    elsewhere,
    ended,
    ends,
    full_of_weeks_ago,
    in_its_subnets,
    in_standby,
    in_standby_again,
    late,
    launches_failed,
    marked_hosts,
    mostly_current,
    newer_template,
    nothing,
    older_than_the_provider,
    on_old_image,
    one_is_replaced,
    one_more_boots,
    operated,
    overridden,
    pinned_release,
    protected_hosts,
    recommended_again,
    refreshed,
    suspended,
    told,
    warm,
    warm_no_more,
    was_protected,
    weighing,
    with_a_slower_family,
    with_managed,
    with_volume,
)
from tests.scenarios import policy

__all__ = ["CASES", "Case"]

TWO = (GroupSet(hosts=2, zones=1),)
LATEST = (GroupSet(hosts=2, zones=1, reference="$Latest"),)
PARAMETER = (GroupSet(hosts=2, zones=1, reference="parameter"),)
FULL = (GroupSet(hosts=2, zones=1, spare=0),)
PROTECTED = (GroupSet(hosts=2, zones=1, managed_scaling=True, termination_protection=True),)
ZONES = (GroupSet(hosts=2, zones=2),)
NOTHING_ADDED = policy(surge=0, unavailable=1)
TRIED = policy(surge=0, unavailable=1, canary=1)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A cluster, what happened to it, and what is to be done."""

    groups: tuple[GroupSet, ...] = TWO
    services: tuple[ServiceSet, ...] = ()
    before: Act = nothing
    policy: Policy = field(default_factory=policy)
    tweak: Callable[[Terrain], Terrain] = lambda terrain: terrain
    """For what the simulated AWS does not have."""


# Services

WORKER = (s.WORKER,)


def bounded(count: int, least: int, most: int, **more: Any) -> tuple[ServiceSet, ...]:
    return (ServiceSet(name="api", count=count, min_percent=least, max_percent=most, **more),)


def sized(*sets: tuple[str, int, int]) -> tuple[ServiceSet, ...]:
    return tuple(ServiceSet(name=name, count=count, cpu=cpu, memory=128) for name, count, cpu in sets)


APART = ServiceSet(name="cache", count=2, constraints=("distinctInstance",))
PORTED = ServiceSet(name="proxy", count=2, port=80)
LOGS = (s.LOGS,)
SMALL = late(ServiceSet(name="small", count=4, cpu=200, memory=128))

Said = Mapping[str, Case]
CASES: Mapping[str, tuple[Said, Said]] = {
    "EC101": (
        {
            "a group with another template reads the same parameter": Case(
                groups=PARAMETER, before=elsewhere("resolve:ssm:/infrastructure/web/image")
            ),
            "it reads it by an old version of its template": Case(
                groups=PARAMETER, before=elsewhere("resolve:ssm:/infrastructure/web/image", pinned=True)
            ),
        },
        {
            "another group reads AWS's own parameter": Case(
                groups=PARAMETER,
                before=elsewhere(f"resolve:ssm:{LINUX}amazon-linux-2023/recommended/image_id"),
            ),
            "the group launches what it is told by a number": Case(
                before=elsewhere(f"resolve:ssm:{LINUX}amazon-linux-2023/recommended/image_id")
            ),
        },
    ),
    "EC102": (
        {"Launch is suspended": Case(before=suspended("Launch"))},
        {
            "alarms are suspended": Case(before=suspended("AlarmNotification")),
            "it is suspended in a group that is up to date": Case(
                groups=(*TWO, replace(TWO[0], name="batch", age=0)), before=mostly_current("Terminate")
            ),
        },
    ),
    "EC103": (
        {
            "the group is full and MaxSize is to stay": Case(groups=FULL, policy=policy(keep_max_size=True)),
            "30 % of two hosts may be missing, which are none": Case(
                groups=FULL, policy=policy(keep_max_size=True, unavailable="30%")
            ),
        },
        {
            "a full group is up to date": Case(
                groups=(*TWO, replace(FULL[0], name="batch", age=0)), policy=policy(keep_max_size=True)
            ),
            "there is room under MaxSize": Case(policy=policy(keep_max_size=True)),
            "the group is full and MaxSize may be raised": Case(groups=FULL),
        },
    ),
    "EC104": (
        {"the template follows one old release of AWS": Case(groups=LATEST, before=pinned_release)},
        {"it follows the recommended one": Case(groups=(GroupSet(hosts=2, zones=1, reference="public"),))},
    ),
    "EC105": (
        {"30 % of two hosts are none": Case(policy=policy(surge=0, unavailable="30%"))},
        {"50 % of two hosts are one": Case(policy=policy(surge=0, unavailable="50%"))},
    ),
    "EC110": (
        {
            "100 % must stay and 100 % may be": Case(services=bounded(4, 100, 100)),
            "125 % of three are three: none may be started": Case(services=bounded(3, 100, 125)),
            "75 % of two are two and 125 % of two are two": Case(services=bounded(2, 75, 125)),
            "a single task, and 150 % of one is one": Case(services=bounded(1, 100, 150)),
        },
        {
            "125 % of four are five: one may be started": Case(services=bounded(4, 100, 125)),
            "75 % of four are three: one may be stopped": Case(services=bounded(4, 75, 100)),
            "a single task that may be doubled": Case(services=bounded(1, 100, 200)),
            "a daemon, which ends with its host": Case(services=LOGS),
        },
    ),
    "EC111": (
        {"a service that asks for the old image": Case(before=on_old_image)},
        {
            "a service that asks for the instance type": Case(
                services=(ServiceSet(name="api", constraints=("attribute:ecs.instance-type =~ m5.*",)),)
            ),
            "a service that asks for the subnets of the group": Case(groups=ZONES, before=in_its_subnets),
            "the fence, which new hosts do not have": Case(
                services=(ServiceSet(name="api", constraints=("attribute:ecsroll.outdated !exists",)),)
            ),
        },
    ),
    "EC112": (
        {"an attribute that one host got by hand": Case(before=marked_hosts(1))},
        {"an attribute that all hosts have": Case(before=marked_hosts(2))},
    ),
    "EC113": (
        {
            "the template now launches a smaller type": Case(
                groups=LATEST,
                services=(ServiceSet(name="api", memory=4000),),
                before=newer_template(InstanceType="t3.small"),
            )
        },
        {
            "the template now launches a larger type": Case(
                groups=LATEST,
                services=(ServiceSet(name="api", memory=4000),),
                before=newer_template(InstanceType="r5.large"),
            ),
            "types are chosen by requirements, and the template names a small one besides": Case(
                services=(ServiceSet(name="api", memory=4000),),
                before=overridden({"InstanceRequirements": {"VCpuCount": {"Min": 2}}}, InstanceType="t3.small"),
            ),
        },
    ),
    "EC114": (
        {
            "as many tasks that keep apart as hosts, and none is added": Case(services=(APART,), policy=NOTHING_ADDED),
            "as many tasks with a fixed port as hosts, and none is added": Case(
                services=(PORTED,), policy=NOTHING_ADDED
            ),
        },
        {
            "one host is added for them": Case(services=(APART, PORTED)),
            "the agent of a host is away for a moment": Case(services=(APART,), before=s.agent_dies),
            "the third host boots, and the third task waits for it": Case(services=(APART,), before=one_more_boots),
            "a host is in Standby, where ECS goes on using it": Case(services=(APART,), before=in_standby),
            "one task less than hosts": Case(services=(replace(APART, count=1),), policy=NOTHING_ADDED),
            "half of them may stop first": Case(
                services=(replace(APART, min_percent=50, max_percent=100),), policy=NOTHING_ADDED
            ),
        },
    ),
    "EC115": (
        {
            "four tasks of half a host each, and one host less": Case(
                services=sized(("api", 4, 1000)), policy=NOTHING_ADDED
            ),
            "two services that together fill both hosts, and one host less": Case(
                services=sized(("api", 2, 1000), ("worker", 2, 900)), policy=NOTHING_ADDED
            ),
        },
        {
            "one host is added for them": Case(services=sized(("api", 4, 1000))),
            "they fit on one host": Case(services=sized(("api", 2, 1000)), policy=NOTHING_ADDED),
            "no host of today is the capacity provider's, and all new ones will be": Case(
                groups=(GroupSet(hosts=2, zones=1, managed_draining=True),),
                before=by_provider,
                tweak=older_than_the_provider,
            ),
            "a host of the kind that new ones are not of is up to date, and stays": Case(
                groups=(GroupSet(hosts=3, zones=1),), before=one_is_replaced
            ),
        },
    ),
    "EC116": (
        {
            "a single task, none of which has to stay": Case(services=bounded(1, 0, 100)),
            "it may be doubled, and is stopped at once all the same": Case(services=bounded(1, 0, 200)),
        },
        {
            "a single task that has to stay": Case(services=bounded(1, 100, 200)),
            "two tasks on two hosts": Case(services=bounded(2, 0, 100)),
        },
    ),
    "EC117": (
        {"a task of nearly a whole host, and four small ones": Case(services=sized(("big", 1, 1900)), before=SMALL)},
        {"a task of half a host, and four small ones": Case(services=sized(("big", 1, 1000)), before=SMALL)},
    ),
    "EC118": (
        {
            "a standalone task runs": Case(before=lambda stage: s.run_a_task(stage, 9000)),
            "such tasks are stopped": Case(
                before=lambda stage: s.run_a_task(stage, 9000), policy=policy(standalone_tasks="stop")
            ),
            "hosts that do not become empty are left alone": Case(
                before=lambda stage: s.run_a_task(stage, 9000), policy=policy(on_drain_timeout="skip")
            ),
        },
        {"a standalone task has ended": Case(before=ended)},
    ),
    "EC119": (
        {
            "a task is protected for longer than a drain may take": Case(
                services=WORKER, before=lambda stage: s.protect_a_task(stage, 120)
            ),
            "a task is protected for ten minutes": Case(
                services=WORKER, before=lambda stage: s.protect_a_task(stage, 10)
            ),
        },
        {"the protection has run out": Case(services=WORKER, before=was_protected)},
    ),
    "EC120": (
        {
            "data in a directory of the host": Case(before=with_volume({"host": {"sourcePath": "/data/db"}})),
            "data in a volume of docker's own": Case(before=docker_volume("local")),
            "a directory that is named like one of the host's own": Case(
                before=with_volume({"host": {"sourcePath": "/etcd"}})
            ),
            "the directory in which docker keeps its volumes": Case(
                before=with_volume({"host": {"sourcePath": "/var/lib/docker/volumes/db"}})
            ),
        },
        {
            "the socket of docker": Case(before=with_volume({"host": {"sourcePath": "/var/run/docker.sock"}})),
            "a volume that ends with its task": Case(before=with_volume({})),
        },
    ),
    "EC121": (
        {"an EBS volume by a docker plugin, and two zones": Case(groups=ZONES, before=docker_volume("rexray/ebs"))},
        {"an EBS volume by a docker plugin, and one zone": Case(before=docker_volume("rexray/ebs"))},
    ),
    "EC122": (
        {
            "hosts with daemons only stay protected": Case(groups=PROTECTED, services=LOGS, before=protected_hosts),
        },
        {
            "hosts with daemons only, and nothing protects them": Case(services=LOGS, before=protected_hosts),
            "every host carries a task that moves": Case(groups=PROTECTED, services=(*LOGS, *WORKER)),
        },
    ),
    "EC123": (
        {
            "a deployment has begun": Case(services=WORKER, before=told("update_service", forceNewDeployment=True)),
            "CodeDeploy brings up another task set": Case(services=WORKER, tweak=at_codedeploy),
        },
        {"a new count is no deployment": Case(services=WORKER, before=told("update_service", desiredCount=5))},
    ),
    "EC124": (
        {
            "a service that finds room for some of its tasks only": Case(
                before=late(ServiceSet(name="api", count=5, cpu=1000))
            ),
            "a service that finds no room at all, and waits for new hosts": Case(
                services=WORKER, before=late(ServiceSet(name="api", count=1, cpu=1900))
            ),
            "a task has just ended, and what ECS said last is over": Case(services=WORKER, before=full_of_weeks_ago),
        },
        {
            "a service that has all that it wants": Case(services=WORKER),
            "a service that waits for hosts of another kind": Case(
                services=WORKER, before=late(ServiceSet(name="api", constraints=("attribute:ecs.os-type == windows",)))
            ),
        },
    ),
    "EC125": (
        {
            "two that keep apart, one may stop first, and the canary is kept": Case(
                services=(replace(APART, min_percent=50, max_percent=100),), policy=TRIED
            ),
            "seven tasks, three on a host: six have to stay, and two hosts hold no more": Case(
                groups=(GroupSet(hosts=3, zones=1),), services=bounded(7, 75, 125, cpu=680, memory=128), policy=TRIED
            ),
            "none of them has to stay": Case(services=bounded(4, 0, 100, cpu=1000), policy=TRIED),
        },
        {
            "no canary is tried": Case(
                services=(replace(APART, min_percent=50, max_percent=100),), policy=NOTHING_ADDED
            ),
            "a host is added first": Case(
                services=(replace(APART, min_percent=50, max_percent=100),), policy=policy(canary=1)
            ),
            "they fit on the other host": Case(services=bounded(2, 0, 100, cpu=1000), policy=TRIED),
            "all of them have to stay: that is EC115": Case(services=sized(("api", 4, 1000)), policy=TRIED),
        },
    ),
    "EC130": (
        {"an instance refresh waits at its checkpoint": Case(before=refreshed(cancelled=False))},
        {"an instance refresh was cancelled": Case(before=refreshed(cancelled=True))},
    ),
    "EC131": (
        {"no launch has worked since": Case(before=launches_failed(mended=False))},
        {"a later launch worked": Case(before=launches_failed(mended=True))},
    ),
    "EC132": (
        {
            "the pool was filled before the new image came": Case(before=warm(1)),
            "the pool is empty, and takes back what the group gives up": Case(before=warm(0, reuse=True)),
        },
        {
            "the pool is empty": Case(before=warm(0)),
            "the pool is being deleted": Case(before=warm_no_more),
        },
    ),
    "EC133": (
        {"an AWS service operates the group": Case(tweak=operated)},
        {"nobody but its users operates the group": Case()},
    ),
    "EC134": (
        {"the latest version changes the user data, too": Case(groups=LATEST, before=newer_template(UserData="Zm9v"))},
        {
            "the latest version changes the image only": Case(
                groups=LATEST, before=lambda stage: newer_template(ImageId=stage.new_image["web"])(stage)
            )
        },
    ),
    "EC135": (
        {
            "AWS recommends an older release than the one that runs": Case(
                groups=(GroupSet(hosts=2, zones=1, age=0),), before=recommended_again
            )
        },
        {
            "the older one is asked for by its id": Case(
                groups=(GroupSet(hosts=2, zones=1, age=0),), before=recommended_again, policy=policy(ami="previous")
            ),
            "AWS recommends a newer one": Case(),
            "the group may launch hosts of a slower family, too": Case(before=with_a_slower_family),
        },
    ),
    "EC136": (
        {"the group is full": Case(groups=FULL)},
        {"there is room under MaxSize": Case()},
    ),
    "EC137": (
        {
            "each host counts for two": Case(tweak=weighing("2")),
            "the next host may count for two": Case(
                before=overridden(
                    {"InstanceType": "m5.large", "WeightedCapacity": "1"},
                    {"InstanceType": "m5.xlarge", "WeightedCapacity": "2"},
                )
            ),
        },
        {
            "each host counts for one": Case(
                before=overridden({"InstanceType": "m5.large", "WeightedCapacity": "1"}), tweak=weighing("1")
            )
        },
    ),
    "EC140": (
        {"a host has lost its agent": Case(before=s.agent_dies)},
        {"every agent is connected": Case()},
    ),
    "EC141": (
        {"an instance ended whose agent was away": Case(before=becomes_zombie)},
        {"an instance ended whose agent was connected": Case(before=ends)},
    ),
    "EC142": (
        {"somebody drains an old host": Case(before=s.foreign_drain)},
        {"somebody drains a host that runs the new image": Case(before=drained_after_it_was_replaced)},
    ),
    "EC143": (
        {"a managed instance is in the cluster": Case(tweak=with_managed)},
        {"every host is in a group": Case()},
    ),
    "EC144": (
        {"somebody has put an old host into Standby": Case(before=in_standby)},
        {"it has come back": Case(before=in_standby_again)},
    ),
    "EC145": (
        {"a host was detached from its group": Case(before=detached)},
        {
            "a host of a group that is not rolled": Case(
                groups=(*TWO, replace(TWO[0], name="batch")), policy=policy(groups=("web",))
            )
        },
    ),
    "EC150": (
        {
            "the role may not mark hosts": Case(before=denied("ecs:PutAttributes")),
            "the role may not make a version of the template": Case(before=denied("ec2:CreateLaunchTemplateVersion")),
        },
        {
            "the role may not ask IAM": Case(before=denied("iam:SimulatePrincipalPolicy")),
            "launching is allowed on some resources only, as far as IAM tells": Case(before=denied("ec2:RunInstances")),
        },
    ),
    "EC151": (
        {
            "the role may not ask IAM": Case(before=denied("iam:SimulatePrincipalPolicy")),
            "launching is allowed on some resources only, as far as IAM tells": Case(before=denied("ec2:RunInstances")),
        },
        {
            "the role may ask IAM": Case(),
            "the group follows $Latest, and is told nothing": Case(groups=LATEST, before=denied("ec2:RunInstances")),
        },
    ),
    "EC160": (
        {"nothing on its hosts would move": Case(policy=policy(canary=1))},
        {
            "a replica service runs there": Case(services=(ServiceSet(name="api", count=2),), policy=policy(canary=1)),
            "no canary is wanted": Case(),
        },
    ),
    "EC161": (
        {"the name has a slip of the pen": Case(before=alarm("web-5xx"), policy=policy(alarms=("web-5x",)))},
        {"the alarm is there": Case(before=alarm("web-5xx"), policy=policy(alarms=("web-5xx",)))},
    ),
    "EC162": (
        {
            "it waits for the night": Case(policy=policy(windows=windows(["02:00-04:00"]))),
            "it is told not to wait": Case(policy=policy(windows=windows(["02:00-04:00"]), outside_window="exit")),
        },
        {"the window is open": Case(policy=policy(windows=windows(["00:00-23:59"])))},
    ),
    "EC190": (
        {"the role may not read task protection": Case(services=WORKER, before=denied("ecs:GetTaskProtection"))},
        {"the role may read everything": Case(services=WORKER)},
    ),
}
