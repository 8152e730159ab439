"""What goes wrong in a roll, as data: a scenario for each row of docs/operating.md, "What happens when"."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ecsroll.clock import Clock, SystemClock
from ecsroll.simulator.cluster import ContainerInstance
from ecsroll.simulator.images import LINUX
from ecsroll.simulator.spot import interrupt
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, _make_group
from ecsroll.simulator.warm_pools import WarmPool
from ecsroll.simulator.world import Refusal
from tests import scenarios as s
from tests.rolls import Act, Meanwhile, on
from tests.scenarios import API, LOGS, WORKER
from tests.watch import Watch

__all__ = ["FAULTS", "Fault"]

Before = Callable[[Stage], object]
Choice = Callable[[Stage], list[ContainerInstance]]


def _nothing(stage: Stage) -> None:
    """All is as it should be."""
    del stage


def _nothing_more(stage: Stage, watch: Watch) -> None:
    """There is nothing to mend."""
    del stage, watch


def _its_own(stage: Stage) -> Clock:
    return stage.sim


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: the stage, what is wrong before the roll or comes in its middle, and what a person then mends."""

    groups: tuple[GroupSet, ...] = (GroupSet(hosts=3),)
    services: tuple[ServiceSet, ...] = (API, LOGS)
    options: tuple[str, ...] = ()
    before: Before = _nothing
    meanwhile: Callable[[], tuple[Meanwhile, ...]] = field(default=tuple)
    clock: Callable[[Stage], Clock] = _its_own
    mend: Act = _nothing_more
    """Done before the row's command is run."""
    others_kill: bool = False
    """Whether somebody else takes hosts from under their tasks all the while: their floors are not the roll's then."""


# choices


def _idle(stage: Stage) -> list[ContainerInstance]:
    return [host for host in s.hosts_of(stage) if host.open and host not in s.young(stage)]


def _draining(stage: Stage) -> list[ContainerInstance]:
    return [host for host in s.hosts_of(stage) if host.status == "DRAINING"]


# ways to say it


def _later(seconds: float, act: Act) -> Act:
    """Not between two calls of one round, but a while after."""

    def wait(stage: Stage, watch: Watch) -> None:
        stage.sim.world.after(seconds, lambda: act(stage, watch))

    return wait


def _image(condition: str) -> Before:
    return lambda stage: getattr(stage.sim.conditions, condition).add(stage.new_image["web"])


def _image_mended(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.conditions.images_that_never_register.clear()
    stage.sim.conditions.images_whose_agent_never_connects.clear()


def _launches_fail(stage: Stage) -> None:
    stage.sim.conditions.launch_fails = "You have requested more vCPU capacity than your current limit allows"


def _launches_work(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.conditions.launch_fails = None
    stage.sim.conditions.zones_without_capacity.clear()


def _wait(seconds: float) -> Act:
    def act(stage: Stage, watch: Watch) -> None:
        del watch
        stage.sim.sleep(seconds)

    return act


# hosts


def _agents_flap(stage: Stage, watch: Watch) -> None:
    """Five times, for 40 s, on every host (aws-facts 3.7: several times an hour on a calm day)."""
    del watch

    def away() -> None:
        for host in s.hosts_of(stage):
            stage.sim.clusters.flap(host, 40)

    for time in range(5):
        stage.sim.world.after(120.0 * time, away)


def _agent_lost(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.conditions.instances_without_agent.add(_draining(stage)[0].instance.id)
    stage.sim.clusters.check_agents()


def _new_hosts_die(stage: Stage, watch: Watch) -> None:
    """Each a moment after it has come, for two hours."""

    def kill() -> None:
        for host in s.young(stage):
            watch.mishap(host.instance.id)
            stage.sim.compute.terminate(host.instance.id)

    for time in range(360):
        stage.sim.world.after(20.0 * time, kill)


def _taken_back(choose: Choice) -> Act:
    def act(stage: Stage, watch: Watch) -> None:
        victim = choose(stage)[0].instance
        watch.mishap(victim.id)
        interrupt(stage.sim, victim.id)

    return act


def _all_old_die(stage: Stage, watch: Watch) -> None:
    new = {host.instance.id for host in s.young(stage)}
    for name in list(s.group_of(stage).members):
        if name not in new:
            watch.mishap(name)
            stage.sim.compute.terminate(name)


def _made_active(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.clusters.set_status(_draining(stage)[0], "ACTIVE")


def _foreign_ends(stage: Stage, watch: Watch) -> None:
    for host in _draining(stage):
        stage.sim.clusters.set_status(host, "ACTIVE")
    watch.foreign.clear()


def _terminated_by_hand(stage: Stage, watch: Watch) -> None:
    victim = _draining(stage)[0].instance
    watch.mishap(victim.id)
    stage.sim.compute.terminate(victim.id)
    stage.sim.sleep(120)


def _standby(stage: Stage, watch: Watch) -> None:
    with watch.somebody_else():
        stage.sim.scaling.enter_standby("web", [_idle(stage)[0].instance.id], decrement=False)


def _back_in_service(stage: Stage, watch: Watch) -> None:
    """Coming back raises DesiredCapacity by one (aws-facts 5.3)."""
    with watch.somebody_else():
        there = [name for name, member in s.group_of(stage).members.items() if member.state == "Standby"]
        stage.sim.scaling.exit_standby("web", there)
        stage.sim.sleep(60)


# tasks


def _never_stops(stage: Stage) -> None:
    stage.sim.conditions.families_that_never_stop.add("api")


def _stuck_host_ended(stage: Stage, watch: Watch) -> None:
    """Somebody ends the host under the task that does not stop."""
    stage.sim.conditions.families_that_never_stop.clear()
    stuck = next(host for host in s.hosts_of(stage) if any(task.desired_status == "STOPPED" for task in host.live))
    watch.mishap(stuck.instance.id)
    stage.sim.compute.terminate(stuck.instance.id)
    stage.sim.sleep(300)


def _pinned(stage: Stage) -> None:
    """A service that may run on one host only."""
    ecs = stage.sim.client("ecs")
    ecs.register_task_definition(
        family="pinned", containerDefinitions=[{"name": "app", "image": "pinned:1"}], cpu="128", memory="128"
    )
    where = f"ec2InstanceId == {s.hosts_of(stage)[0].instance.id}"
    ecs.create_service(
        cluster=stage.cluster,
        serviceName="pinned",
        taskDefinition="pinned",
        desiredCount=1,
        launchType="EC2",
        placementConstraints=[{"type": "memberOf", "expression": where}],
    )
    stage.sim.sleep(120)
    stage.sim.door.calls.clear()


def _unpinned(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.client("ecs").update_service(cluster=stage.cluster, service="pinned", placementConstraints=[])


def _deploy(stage: Stage, watch: Watch) -> None:
    del watch
    ecs = stage.sim.client("ecs")
    before = ecs.describe_task_definition(taskDefinition="api")["taskDefinition"]
    ecs.register_task_definition(**{name: before[name] for name in ("family", "containerDefinitions", "cpu", "memory")})
    ecs.update_service(cluster=stage.cluster, service="api", taskDefinition="api")


def _deleted_service(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.client("ecs").delete_service(cluster=stage.cluster, service="api", force=True)


# groups


def _refresh(stage: Stage, watch: Watch) -> None:
    watch.mishap(*s.group_of(stage).members)
    stage.sim.scaling.refreshes.start(s.group_of(stage), {"MinHealthyPercentage": 50}, {})


def _refresh_cancelled(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.scaling.refreshes.cancel(s.group_of(stage))
    stage.sim.sleep(300)


def _another_version(stage: Stage, watch: Watch) -> None:
    del watch
    template = dict(s.group_of(stage).source or {})["LaunchTemplateId"]
    made = stage.sim.client("ec2").create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": stage.old_image["web"]}
    )
    version = str(made["LaunchTemplateVersion"]["VersionNumber"])
    stage.sim.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName="web", LaunchTemplate={"LaunchTemplateId": template, "Version": version}
    )


def _released_again(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.images.release(LINUX + "amazon-linux-2023", "20261001")


def _suspend(*names: str) -> Act:
    def act(stage: Stage, watch: Watch) -> None:
        was = watch.before["web"]
        watch.before["web"] = replace(was, suspended=was.suspended | set(names))
        stage.sim.scaling.suspend("web", names)

    return act


def _resume(*names: str) -> Act:
    def act(stage: Stage, watch: Watch) -> None:
        was = watch.before["web"]
        watch.before["web"] = replace(was, suspended=was.suspended - set(names))
        stage.sim.scaling.resume("web", names)

    return act


def _hook(transition: str, heartbeat: float) -> Before:
    return lambda stage: stage.sim.scaling.put_hook(
        "web", "notify", f"autoscaling:EC2_INSTANCE_{transition}", heartbeat
    )


def _hook_deleted(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.scaling.delete_hook("web", "notify")


def _warm_pool(stage: Stage) -> None:
    stage.sim.scaling.warm.put(s.group_of(stage), WarmPool(least=2))
    stage.sim.sleep(300)


def _warm_pool_deleted(stage: Stage, watch: Watch) -> None:
    del watch
    stage.sim.scaling.warm.delete(s.group_of(stage))
    stage.sim.sleep(300)


def _group_deleted(stage: Stage, watch: Watch) -> None:
    watch.mishap(*s.group_of(stage).members)
    stage.sim.scaling.delete("web", force=True)


def _group_made_again(stage: Stage, watch: Watch) -> None:
    """With hosts of the old image, as its owner's code says."""
    stage.sim.sleep(300)
    stage.sim.client("ec2").delete_launch_template(LaunchTemplateName="web-template")
    newest = stage.new_image["web"]
    _make_group(stage, stage.groups[0])
    assert stage.new_image["web"] == newest
    stage.sim.sleep(300)
    fresh = Watch(stage, watch.policy)
    watch.before, watch.healthy, watch.ready, watch.size = fresh.before, fresh.healthy, fresh.ready, fresh.size
    watch.others.clear()
    stage.sim.world.look = watch.look  # type: ignore[attr-defined]


def _cluster_deleted(stage: Stage, watch: Watch) -> None:
    """Somebody tears it down: services, then hosts, then the cluster, while the roll looks on."""
    watch.mishap(*s.group_of(stage).members)
    sim = stage.sim
    cluster = sim.clusters.find(stage.cluster)
    for service in list(cluster.services.values()):
        sim.scheduler.delete(service, force=True)

    def the_rest() -> None:
        for host in list(cluster.registered):
            sim.clusters.deregister(host, force=True)
        sim.clusters.delete(cluster)

    sim.world.after(120, the_rest)


# the way to AWS


def _refuse(code: str, message: str, seconds: float, *operations: str) -> Act:
    """For a while every call (or those operations) is refused."""

    def act(stage: Stage, watch: Watch) -> None:
        del watch
        until = stage.sim.elapsed() + seconds

        def say_no(call: object) -> None:
            if stage.sim.elapsed() < until and (not operations or getattr(call, "operation", "") in operations):
                raise Refusal(code, message)

        stage.sim.door.before.append(say_no)

    return act


def _set_anew(stage: Stage) -> Clock:
    """The machine's time of day is set forward by three hours five minutes into the roll, and back later."""
    began = stage.sim.elapsed()

    def wall() -> object:
        passed = stage.sim.elapsed() - began
        off = timedelta(hours=3) if 300 < passed < 500 else timedelta(hours=-3) if passed >= 500 else timedelta()
        return stage.sim.now() + off

    clock = SystemClock(wall=wall, steady=stage.sim.elapsed)  # type: ignore[arg-type]
    clock.sleep = stage.sim.sleep  # type: ignore[method-assign]
    return clock


FAULTS: dict[str, Fault] = {
    "No zone has capacity for some minutes": Fault(meanwhile=lambda: (on("size_set", s.capacity_runs_out(400)),)),
    "No zone has capacity": Fault(meanwhile=lambda: (on("size_set", s.capacity_runs_out(36000)),), mend=_launches_work),
    "Launches fail": Fault(before=_launches_fail, mend=_launches_work),
    "A new host never registers with ECS": Fault(before=_image("images_that_never_register"), mend=_image_mended),
    "The agent of a new host never connects": Fault(
        before=_image("images_whose_agent_never_connects"), mend=_image_mended
    ),
    "Agents are away for less than a minute, again and again": Fault(
        meanwhile=lambda: (on("drain_started", _agents_flap),)
    ),
    "A draining host loses its agent for good": Fault(meanwhile=lambda: (on("drain_started", _agent_lost),)),
    "An old host dies": Fault(meanwhile=lambda: (on("drain_started", s.host_dies(_idle)),)),
    "The draining host dies": Fault(meanwhile=lambda: (on("drain_started", s.host_dies(_draining)),)),
    "A new host dies": Fault(meanwhile=lambda: (on("host_terminated", s.host_dies(s.young)),)),
    "New hosts die, one after another": Fault(meanwhile=lambda: (on("size_set", _new_hosts_die),), mend=_wait(7200)),
    "AWS takes an old Spot host back": Fault(meanwhile=lambda: (on("drain_started", _taken_back(_idle)),)),
    "AWS takes a new Spot host back": Fault(meanwhile=lambda: (on("host_terminated", _taken_back(s.young)),)),
    "All old hosts die while the surge is still owed": Fault(
        meanwhile=lambda: (on("host_terminated", _later(5, _all_old_die)),)
    ),
    "A task never stops": Fault(before=_never_stops, mend=_stuck_host_ended),
    "A standalone task runs for three hours": Fault(before=lambda stage: s.run_a_task(stage, 10800)),
    "A standalone task runs for three hours, and `--drain-timeout 4h`": Fault(
        before=lambda stage: s.run_a_task(stage, 10800), options=("--drain-timeout", "4h")
    ),
    "A task is protected for some minutes": Fault(services=(WORKER,), before=lambda stage: s.protect_a_task(stage, 12)),
    "A task is protected for two hours": Fault(services=(WORKER,), before=lambda stage: s.protect_a_task(stage, 120)),
    "A service can not move": Fault(before=_pinned, mend=_unpinned),
    "A service can not move, and the finding is allowed": Fault(
        before=_pinned, mend=_unpinned, options=("--allow", "EC111")
    ),
    "A service is deployed": Fault(meanwhile=lambda: (on("drain_started", _deploy),)),
    "A service is deleted": Fault(meanwhile=lambda: (on("drain_started", _deleted_service),)),
    "Somebody else drains a host": Fault(before=s.foreign_drain, groups=(GroupSet(hosts=4),), mend=_foreign_ends),
    "Somebody makes a host ACTIVE that the roll drains": Fault(meanwhile=lambda: (on("drain_started", _made_active),)),
    "Somebody terminates a host that the roll drains": Fault(
        meanwhile=lambda: (on("drain_started", _later(1, _terminated_by_hand)),)
    ),
    "Somebody puts an old host into Standby": Fault(
        meanwhile=lambda: (on("drain_started", _later(1, _standby)),), mend=_back_in_service
    ),
    "Others scale out": Fault(meanwhile=lambda: (on("drain_started", s.scale(2)),)),
    "Others scale in": Fault(meanwhile=lambda: (on("drain_started", s.scale(-1)), on("host_terminated", s.scale(-1)))),
    "A capacity provider wants the empty surge away": Fault(
        groups=(GroupSet(hosts=3, managed_scaling=True, termination_protection=True),)
    ),
    "AZRebalance is resumed by somebody": Fault(meanwhile=lambda: (on("drain_started", _resume("AZRebalance")),)),
    "MaxSize equals desired": Fault(groups=(GroupSet(hosts=3, spare=0),)),
    "`terraform apply` puts MinSize and MaxSize back": Fault(
        meanwhile=lambda: (on("drain_started", s.terraform_apply, 2),)
    ),
    "The group is pointed at another template version": Fault(
        meanwhile=lambda: (on("drain_started", _another_version),)
    ),
    "AWS releases another image": Fault(meanwhile=lambda: (on("drain_started", _released_again),)),
    "A warm pool holds hosts of the old image": Fault(before=_warm_pool, mend=_warm_pool_deleted),
    "The same, and the finding is allowed": Fault(
        before=_warm_pool, mend=_warm_pool_deleted, options=("--allow", "EC132")
    ),
    "Somebody starts an instance refresh": Fault(
        meanwhile=lambda: (on("drain_started", _later(5, _refresh)),), mend=_refresh_cancelled, others_kill=True
    ),
    "Launch is suspended before the roll": Fault(
        before=lambda stage: stage.sim.scaling.suspend("web", ("Launch",)), mend=_resume("Launch")
    ),
    "Launch is suspended": Fault(meanwhile=lambda: (on("drain_started", _suspend("Launch")),), mend=_resume("Launch")),
    "Terminate is suspended": Fault(meanwhile=lambda: (on("drain_started", _suspend("Terminate")),)),
    "A launch hook is not completed for hours": Fault(before=_hook("LAUNCHING", 7200), mend=_hook_deleted),
    "A launch hook is never completed in time": Fault(before=_hook("LAUNCHING", 300), mend=_hook_deleted),
    "A termination hook is never completed": Fault(before=_hook("TERMINATING", 3600)),
    "The group is deleted": Fault(
        meanwhile=lambda: (on("drain_started", _group_deleted),), mend=_group_made_again, others_kill=True
    ),
    "One of several groups is deleted": Fault(
        groups=(GroupSet(name="web", hosts=2), GroupSet(name="zoo", hosts=2)),
        services=(WORKER, LOGS),
        meanwhile=lambda: (on("drain_started", _group_deleted),),
        others_kill=True,
    ),
    "The cluster is deleted": Fault(meanwhile=lambda: (on("drain_started", _cluster_deleted),)),
    "Credentials expire": Fault(
        meanwhile=lambda: (
            on("drain_started", _refuse("ExpiredTokenException", "The security token included is expired", 900)),
        ),
        mend=_wait(900),
    ),
    "The right to write to SSM is taken away": Fault(
        meanwhile=lambda: (
            on("drain_started", _refuse("AccessDeniedException", "not authorized", 900, "PutParameter")),
        ),
        mend=_wait(900),
    ),
    "AWS throttles every call for a minute and a half": Fault(
        meanwhile=lambda: (on("drain_started", _refuse("ThrottlingException", "Rate exceeded", 90)),)
    ),
    "AWS throttles every call for ten minutes": Fault(
        meanwhile=lambda: (on("drain_started", _refuse("ThrottlingException", "Rate exceeded", 600)),),
        mend=_wait(600),
    ),
    "The machine's clock is set by hours": Fault(clock=_set_anew),
}
