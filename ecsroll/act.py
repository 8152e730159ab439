"""Action -> AWS: one match, each case safe to repeat, each answered with the fact that it made.

Why each may be repeated: records, sizes, suspensions and states are set to a value, not changed by one; a template
version is found by its description before it is made; a termination names its instance. One that lowers
DesiredCapacity, and a change of size, are never sent twice without a reading in between.
"""

import base64
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from ecsroll.answers import DRAIN_ATTRIBUTE, Answer
from ecsroll.aws import Aws, chunks
from ecsroll.drain import verdict
from ecsroll.errors import AwsRefusal, EcsrollError
from ecsroll.events import Event
from ecsroll.ledger import Ledger, Place, Pointed
from ecsroll.model import (
    Action,
    CloseRoll,
    Deregister,
    Drain,
    Forget,
    Host,
    Note,
    OpenRoll,
    Point,
    PointBack,
    ResumeRebalance,
    SetSize,
    StopTasks,
    SuspendRebalance,
    Terminate,
    Undrain,
    Unprotect,
)
from ecsroll.observe import Observer
from ecsroll.turn import PATIENCE

__all__ = ["Actor"]


@dataclass
class Actor:
    """Carries out actions on one cluster."""

    aws: Aws
    observer: Observer
    versions: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Template versions that this process has made, by description, and when: a list may lag behind (facts 6.6)."""

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.observer.cluster

    def act(self, action: Action) -> Event:  # noqa: C901, PLR0912 - one match, a line a case: the table of contents
        """Do it, and say what was done."""
        match action:
            case OpenRoll() | CloseRoll() | Note() | Forget():
                return self._record(action)
            case Point():
                self._point(action.ledger, action.pointed)
                return self._event("target_set", action, group=action.ledger.group, image=action.pointed.image)
            case PointBack():
                self._point_back(action.ledger, action.pointed)
                return self._event("target_restored", action, group=action.ledger.group, image=action.pointed.image_was)
            case SetSize():
                return self._set_size(action)
            case SuspendRebalance():
                self._processes("suspend_processes", action.group)
                return self._event("rebalance_suspended", action, group=action.group)
            case ResumeRebalance():
                self._processes("resume_processes", action.group)
                return self._event("rebalance_resumed", action, group=action.group)
            case Drain():
                self._drain(action)
                return self._event("drain_started", action, hosts=[host.id for host in action.hosts])
            case Undrain():
                self._undrain(action.hosts)
                return self._event("drain_undone", action, hosts=[host.id for host in action.hosts])
            case StopTasks():
                self._stop_tasks(action)
                tasks = [arn.rpartition("/")[2] for arn in action.tasks]
                return self._event("tasks_stopped", action, host=action.host.id, tasks=tasks)
            case Terminate():
                return self._terminate(action)
            case Deregister():
                self._deregister(action.host)
                return self._event("host_deregistered", action, host=action.host.id)
            case Unprotect():
                return self._event("protection_removed", action, group=action.group, hosts=self._unprotect(action))
            case _:  # pragma: no cover - mypy holds the match complete
                assert_never(action)

    def _event(self, kind: str, action: Action, **facts: Any) -> Event:
        return Event(kind=kind, at=self.aws.clock.now(), facts={**facts, "why": action.why})

    # the records

    def _record(self, action: OpenRoll | CloseRoll | Note | Forget) -> Event:
        records = self.observer.records
        match action:
            case OpenRoll():
                records.write_roll(action.roll)
                kind = "roll_progressed" if action.roll.finished else "roll_opened"
                return self._event(kind, action, groups=list(action.roll.groups), epoch=action.roll.epoch)
            case CloseRoll():
                records.close(action.roll)
                return self._event("roll_closed", action, result=action.roll.result, epoch=action.roll.epoch)
            case Note():
                records.write_ledger(action.ledger)
                return self._event("ledger_noted", action, group=action.ledger.group)
            case Forget():
                records.forget_ledger(action.group)
                return self._event("ledger_forgotten", action, group=action.group)

    # the group

    def _set_size(self, action: SetSize) -> Event:
        # Once: where the answer is lost, the next reading shows whether it landed, and others may set theirs meanwhile.
        self.aws.call_once(
            "autoscaling",
            "update_auto_scaling_group",
            AutoScalingGroupName=action.group,
            MinSize=action.min,
            MaxSize=action.max,
            NewInstancesProtectedFromScaleIn=action.protects_new,
        )
        return self._event("size_set", action, group=action.group, min=action.min, max=action.max)

    def _processes(self, operation: str, group: str) -> None:
        self.aws.call("autoscaling", operation, AutoScalingGroupName=group, ScalingProcesses=["AZRebalance"])

    def _unprotect(self, action: Unprotect) -> list[str]:
        """The hosts that were. One on its way out fails the whole call (facts 5.2): the next reading shows which."""
        done: list[str] = []
        for some in chunks(action.hosts, 50):
            try:
                self.aws.call(
                    "autoscaling",
                    "set_instance_protection",
                    AutoScalingGroupName=action.group,
                    InstanceIds=list(some),
                    ProtectedFromScaleIn=False,
                )
            except AwsRefusal:
                continue
            done += some
        return done

    # the launch target

    def _point(self, ledger: Ledger, entry: Pointed) -> None:
        match entry.place:
            case Place.TEMPLATE:
                self._point_template(ledger, entry)
            case Place.PARAMETER:
                self._put_image(entry.name, entry.image)
            case Place.CONFIGURATION:
                self._refer_to_configuration(ledger.group, self._copy_configuration(entry))
            case Place.PUBLIC:
                raise EcsrollError(f"{entry.name} is AWS's parameter", hint="this should not happen: please report it")
            case _:  # pragma: no cover
                assert_never(entry.place)

    def _point_template(self, ledger: Ledger, entry: Pointed) -> None:
        """To the version that a rollback goes back to, or else to one that is made for the roll."""
        if entry.version is not None and entry.spec == "$Latest":
            self._uncover(entry.name, entry.version)
        else:
            made = entry.version or self._made_version(ledger, entry) or self._make_version(ledger, entry)
            self._refer(ledger, entry, made)

    def _uncover(self, template: str, version: str) -> None:
        """Make an earlier version the newest again, by deleting those that rolls of this tool have made since."""
        since = self.aws.pages(
            "ec2",
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            LaunchTemplateId=template,
            MinVersion=str(int(version) + 1),
        )
        ours = [said for said in since if str(said.get("VersionDescription", "")).startswith("ecsroll ")]
        names = [str(said["VersionNumber"]) for said in ours]
        if len(ours) < len(since):
            raise EcsrollError(
                f"{template} has a version after {version} that this tool has not made",
                hint="run ecsroll rollback again: it makes a version with the old image",
            )
        for some in chunks(sorted(names, key=int, reverse=True), 200):
            self.aws.call("ec2", "delete_launch_template_versions", LaunchTemplateId=template, Versions=list(some))

    def _point_back(self, ledger: Ledger, entry: Pointed) -> None:
        if entry.place is Place.PARAMETER:
            self._put_image(entry.name, entry.image_was)
        elif entry.place is Place.CONFIGURATION:
            self._refer_to_configuration(ledger.group, entry.name)
        elif entry.spec == "$Latest":
            self._delete_version(ledger, entry)
        elif entry.version_was is not None:
            self._refer(ledger, entry, entry.version_was)

    def _made_version(self, ledger: Ledger, entry: Pointed) -> str | None:
        """The version that an earlier life made for this roll, known by its description."""
        versions = self.aws.pages(
            "ec2",
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            LaunchTemplateId=entry.name,
            MinVersion=str(int(entry.version_was or 0) + 1),
        )
        wanted = _description(ledger, entry)
        made = [said for said in versions if said.get("VersionDescription") == wanted]
        if made:
            return str(max(said["VersionNumber"] for said in made))
        version, at = self.versions.get(wanted, (None, 0.0))
        # By now a list would show it: somebody has deleted it.
        return version if self.aws.clock.elapsed() - at < PATIENCE.total_seconds() else None

    def _make_version(self, ledger: Ledger, entry: Pointed) -> str:
        """A version from the group's own, with nothing but the image changed.

        The client token is new each time: one used before may be answered with a version deleted since.
        """
        answer = self.aws.call(
            "ec2",
            "create_launch_template_version",
            LaunchTemplateId=entry.name,
            SourceVersion=entry.version_was,
            VersionDescription=_description(ledger, entry),
            LaunchTemplateData={"ImageId": entry.image},
            ClientToken=f"ecsroll-{ledger.epoch}-{self.aws.chance.getrandbits(64):016x}",
        )
        version = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        self.versions[_description(ledger, entry)] = (version, self.aws.clock.elapsed())
        return version

    def _delete_version(self, ledger: Ledger, entry: Pointed) -> None:
        """``$Latest`` goes back by deleting our version, while it is the newest; else somebody else's counts now."""
        made = self._made_version(ledger, entry)
        answer = self.aws.call("ec2", "describe_launch_templates", LaunchTemplateIds=[entry.name])
        if made is not None and str(answer["LaunchTemplates"][0]["LatestVersionNumber"]) == made:
            self.aws.call("ec2", "delete_launch_template_versions", LaunchTemplateId=entry.name, Versions=[made])
            self.versions.pop(_description(ledger, entry), None)

    def _refer(self, ledger: Ledger, entry: Pointed, version: str) -> None:
        """Keep the way in which the group refers to its template: a number, ``$Default`` or ``$Latest``."""
        if entry.spec == "$Default":
            self.aws.call("ec2", "modify_launch_template", LaunchTemplateId=entry.name, DefaultVersion=version)
        elif entry.spec != "$Latest":
            self.aws.call(
                "autoscaling",
                "update_auto_scaling_group",
                AutoScalingGroupName=ledger.group,
                **_reference(self._raw_group(ledger.group), entry.name, version),
            )

    def _raw_group(self, name: str) -> Answer:
        pages = self.aws.pages(
            "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name]
        )
        if not pages:
            raise EcsrollError(f"the group {name} is gone", hint="run the same command again: it goes on")
        found: Answer = pages[0]
        return found

    def _put_image(self, parameter: str, image: str) -> None:
        """The parameter keeps its data type: ``aws:ec2:image`` is validated, late and silently, so it is polled."""
        said = self.aws.call("ssm", "get_parameter", Name=parameter)["Parameter"]
        self.aws.call(
            "ssm",
            "put_parameter",
            Name=parameter,
            Value=image,
            Type=said["Type"],
            DataType=said.get("DataType", "text"),
            Overwrite=True,
        )

    def _copy_configuration(self, entry: Pointed) -> str:
        """Launch configurations can not be changed: a copy with the new image, under the name that was noted."""
        name = entry.version or entry.name
        answer = self.aws.call("autoscaling", "describe_launch_configurations", LaunchConfigurationNames=[entry.name])
        said = answer["LaunchConfigurations"][0]
        kept = {key: value for key, value in said.items() if key not in _NOT_COPIED and value not in ("", [])}
        if "UserData" in kept:
            # AWS answers it encoded, and botocore encodes what it is given.
            kept["UserData"] = base64.b64decode(kept["UserData"]).decode()
        try:
            self.aws.call(
                "autoscaling",
                "create_launch_configuration",
                **{**kept, "LaunchConfigurationName": name, "ImageId": entry.image},
            )
        except AwsRefusal as no:
            if no.code != "AlreadyExists":
                raise
        return name

    def _refer_to_configuration(self, group: str, name: str) -> None:
        self.aws.call(
            "autoscaling", "update_auto_scaling_group", AutoScalingGroupName=group, LaunchConfigurationName=name
        )

    # the hosts

    def _drain(self, action: Drain) -> None:
        """Marked first: DRAINING without a mark of ours is somebody else's, also to ourselves after a crash."""
        for some in chunks(action.hosts, 10):
            there = self._mark(some, "put_attributes", action.mark)
            if there:
                self._set_state(there, "DRAINING")

    def _undrain(self, hosts: Sequence[Host]) -> None:
        """ACTIVE first: a host without its mark would be nobody's and stay fenced (bottlerocket-ecs-updater#51)."""
        for some in chunks(hosts, 10):
            if drained := [host for host in some if host.draining]:
                self._set_state(drained, "ACTIVE")
            self._mark(some, "delete_attributes")

    def _mark(self, hosts: Sequence[Host], operation: str, mark: str | None = None) -> Sequence[Host]:
        """Put the mark, or delete it; the hosts that are still there. One that has gone fails the call for all."""
        try:
            self.aws.call("ecs", operation, cluster=self.cluster, attributes=[_attribute(host, mark) for host in hosts])
        except AwsRefusal as no:
            if no.code != "TargetNotFoundException":
                raise
            if len(hosts) == 1:
                return ()  # the next reading shows that it is gone
            return [host for one in hosts for host in self._mark([one], operation, mark)]
        return hosts

    def _set_state(self, hosts: Sequence[Host], status: str) -> None:
        answer = self.aws.call(
            "ecs",
            "update_container_instances_state",
            cluster=self.cluster,
            containerInstances=[host.arn for host in hosts],
            status=status,
        )
        for failure in answer.get("failures", ()):
            # A host that has gone meanwhile shows in the next reading; anything else must not pass unseen.
            if failure.get("reason") not in {"MISSING", "INACTIVE"}:
                raise EcsrollError(
                    f"ECS did not set {failure.get('arn')} {status}: {failure.get('reason')}",
                    hint="run the same command again: it goes on",
                )

    def _stop_tasks(self, action: StopTasks) -> None:
        for arn in action.tasks:
            try:
                self.aws.call("ecs", "stop_task", cluster=self.cluster, task=arn, reason="ecsroll replaces its host")
            except AwsRefusal:
                continue  # ended by itself since the reading; the next one shows if not

    def _terminate(self, action: Terminate) -> Event:
        """Only after one more look that finds it empty (promise 2)."""
        found = self._found_on(action) or self._already_leaving(action)
        if found:
            return self._event("host_kept", action, host=action.host.id, found=found)
        call = self.aws.call_once if action.shrink else self.aws.call
        try:
            call(
                "autoscaling",
                "terminate_instance_in_auto_scaling_group",
                InstanceId=action.host.id,
                ShouldDecrementDesiredCapacity=action.shrink,
            )
        except AwsRefusal as no:
            # Gone by itself, or MinSize not lowered yet: the next reading tells which, and decides anew.
            return self._event("host_kept", action, host=action.host.id, found=no.sentence)
        return self._event("host_terminated", action, host=action.host.id, shrink=action.shrink)

    def _already_leaving(self, action: Terminate) -> str:
        """A second termination of a leaving host may lower DesiredCapacity again (kubernetes/autoscaler#5411)."""
        if not action.shrink:
            return ""
        answer = self.aws.call("autoscaling", "describe_auto_scaling_instances", InstanceIds=[action.host.id])
        states = [said["LifecycleState"] for said in answer.get("AutoScalingInstances", ())]
        return "" if states == ["InService"] else f"it is {', '.join(states) or 'gone'} already"

    def _found_on(self, action: Terminate) -> str:
        container = self.observer.container_now(action.host.id) if action.host.arn is None else self._container(action)
        if action.host.arn is None:
            return "it has registered with ECS meanwhile" if container else ""
        if container is None:
            return "it is not registered any more"
        if container.get("status") != "DRAINING":
            return f"it is {container.get('status')}, not DRAINING"
        tasks = self.observer.tasks_now(action.host.arn)
        now = self.aws.clock.now()
        held = [task.id[:8] for task in tasks if task.arn not in action.excused and verdict(task, now)]
        return f"tasks {', '.join(held)}" if held else ""

    def _container(self, action: Terminate) -> Answer | None:
        answer = self.aws.call(
            "ecs", "describe_container_instances", cluster=self.cluster, containerInstances=[action.host.arn]
        )
        found: Answer | None = next(iter(answer.get("containerInstances", ())), None)
        return found

    def _deregister(self, host: Host) -> None:
        """Forced: daemons may run on it to the end, and an instance without its agent is never told (facts 3.8)."""
        try:
            self.aws.call(
                "ecs", "deregister_container_instance", cluster=self.cluster, containerInstance=host.arn, force=True
            )
        except AwsRefusal:
            # Deregistered by ECS itself since the reading: what was wanted is so. The next reading shows if not.
            return


_NOT_COPIED = {"LaunchConfigurationName", "LaunchConfigurationARN", "CreatedTime", "ImageId"}


def _description(ledger: Ledger, entry: Pointed) -> str:
    return f"ecsroll {ledger.epoch} {ledger.group[:120]}: {entry.image}"


def _attribute(host: Host, mark: str | None = None) -> dict[str, Any]:
    attribute = {"name": DRAIN_ATTRIBUTE, "targetType": "container-instance", "targetId": host.arn}
    return {**attribute, "value": mark} if mark is not None else attribute


def _reference(group: Answer, template: str, version: str) -> dict[str, Any]:
    """What UpdateAutoScalingGroup takes to make one of the group's template references another version."""
    if "LaunchTemplate" in group:
        return {"LaunchTemplate": {"LaunchTemplateId": template, "Version": version}}
    policy = copy.deepcopy(group["MixedInstancesPolicy"])
    mixed = policy["LaunchTemplate"]
    specs = [mixed["LaunchTemplateSpecification"]]
    specs += [
        entry["LaunchTemplateSpecification"]
        for entry in mixed.get("Overrides", ())
        if "LaunchTemplateSpecification" in entry
    ]
    for spec in specs:
        if spec.get("LaunchTemplateId") == template:
            spec["Version"] = version
            # AWS answers with id and name, and takes only one of them.
            spec.pop("LaunchTemplateName", None)
    for spec in specs:
        if "LaunchTemplateId" in spec:
            spec.pop("LaunchTemplateName", None)
    return {"MixedInstancesPolicy": policy}
