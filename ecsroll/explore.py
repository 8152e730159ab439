"""AWS -> Terrain: everything that findings and the forecast need, read once before a roll; batched and paged.

Every reading here is optional: one that fails is a finding (EC190), and what depends on it is not known. Nothing here
changes anything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ecsroll.answers import Answer, launch_names
from ecsroll.aws import Aws, chunks
from ecsroll.errors import AwsRefusal, AwsUnavailable, EcsrollError
from ecsroll.facts import (
    activity_facts,
    definition_facts,
    hook_facts,
    host_facts,
    provider_facts,
    refresh_facts,
    service_facts,
    target_group_facts,
    task_facts,
    type_facts,
    with_room,
)
from ecsroll.ledger import roll_from
from ecsroll.model import Finding, Snapshot
from ecsroll.observe import Observer
from ecsroll.survey import Survey
from ecsroll.terrain import (
    ActivityFacts,
    DefinitionFacts,
    GroupFacts,
    HostFacts,
    RollFacts,
    ServiceFacts,
    TargetGroupFacts,
    TaskFacts,
    TemplateFacts,
    Terrain,
    TypeFacts,
    WarmPoolFacts,
)

__all__ = ["explore"]

ACTIVITIES = 300
"""Scaling activities of a group that are read at most: three pages of its last six weeks."""
STOPPED = 500
"""Stopped tasks that are looked at, at most: they tell how long stopping takes."""


def explore(aws: Aws, observer: Observer, seen: Snapshot, *, targets: Iterable[str] = ()) -> Terrain:
    """The terrain of a cluster that has just been looked at for the first time (``observer.look()``).

    ``targets``: the images that the roll is to launch.
    """
    assert observer.first is not None, "look before you explore"
    return _Explorer(aws, observer, observer.first, seen, frozenset(targets)).terrain()


@dataclass
class _Explorer:
    aws: Aws
    observer: Observer
    first: Survey
    seen: Snapshot
    targets: frozenset[str] = frozenset()
    findings: dict[str, Finding] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        return self.seen.cluster

    def terrain(self) -> Terrain:
        services = {said["serviceName"]: service_facts(said) for said in self.first.services}
        # What has a token bucket of its own is read beside the others: each has its pace.
        reading: dict[str, Callable[[], Any]] = {
            "tasks": partial(self._tasks, frozenset(each.name for each in services.values() if each.daemon)),
            "hosts": self._hosts,
            "groups": self._groups,
            "target_groups": partial(self._target_groups, _target_groups_of(services.values())),
            "images": self._images,
            "history": self._history,
            "definitions": partial(self._definitions, sorted(self._definitions_in_use(services.values()))),
        }
        read: dict[str, Any] = dict(zip(reading, self.aws.gather(list(reading.values())), strict=True))
        stopped = {task.definition for task in read["tasks"].values()} - {"", *read["definitions"]}
        read["definitions"] |= self._definitions(sorted(stopped - self._definitions_in_use(services.values())))
        types = {host.type for host in read["hosts"].values()}
        types |= {name for group in read["groups"].values() for name in group.types}
        known = self._types(sorted(types - {""}))
        read["hosts"] = {arn: with_room(host, known) for arn, host in read["hosts"].items()}
        return Terrain(
            at=self.seen.at,
            cluster=self.cluster,
            services=services,
            types=known,
            findings=tuple(self.findings[subject] for subject in sorted(self.findings)),
            said=self.first.cluster,
            **read,
        )

    def _definitions_in_use(self, services: Iterable[ServiceFacts]) -> set[str]:
        running = {said.get("taskDefinitionArn", "") for said in self.first.tasks}
        deployed = {entry.get("taskDefinition", "") for service in services for entry in service.deployments}
        return {*running, *deployed, *(service.definition for service in services)} - {""}

    # asking

    def _optional(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """One call that may fail: then nothing is known, and a finding says so (DESIGN 7)."""
        try:
            return self.aws.optional(service, operation, **params)
        except (AwsRefusal, AwsUnavailable) as error:
            self._missing(f"{service}:{operation}", error)
            return {}

    def _pages(
        self, service: str, operation: str, member: str, *, most: int | None = None, **params: Any
    ) -> list[dict[str, Any]]:
        """Items of a paged list, ``most`` at most; what was read before a page failed is kept."""
        asked = told = "nextToken" if service == "ecs" else "NextToken"
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = self._optional(service, operation, **params)
        found += page.get(member, ())
        while page.get(told) and (most is None or len(found) < most):
            page = self._optional(service, operation, **{**params, asked: page[told]})
            found += page.get(member, ())
        return found[:most]

    def _missing(self, subject: str, error: EcsrollError) -> None:
        finding = Finding(code="EC190", severity="warning", subject=subject, measured=str(error), fix=error.hint)
        self.findings.setdefault(subject, finding)

    def _each(self, ask: Callable[[Any], dict[str, Any]], asked: Iterable[Any]) -> list[dict[str, Any]]:
        return self.aws.gather([partial(ask, one) for one in asked])

    # hosts

    def _hosts(self) -> dict[str, HostFacts]:
        groups = {host.id: host.group for host in self.seen.hosts.values()}
        machines = {**self.observer.machines, **self._strangers(groups)}
        return {
            said["containerInstanceArn"]: host_facts(
                said, machines.get(said.get("ec2InstanceId", ""), {}), groups.get(said.get("ec2InstanceId", ""))
            )
            for said in self.first.containers
        }

    def _strangers(self, groups: Mapping[str, str]) -> dict[str, Answer]:
        """The EC2 instances of hosts outside the roll's groups: their tasks stand, and their room counts, as well."""
        ids = {said.get("ec2InstanceId", "") for said in self.first.containers} - set(groups) - {""}
        known = self.observer.machines
        some = chunks(sorted(name for name in ids if name.startswith("i-") and name not in known), 200)

        def ask(names: Sequence[str]) -> dict[str, Any]:
            filters = [{"Name": "instance-id", "Values": list(names)}]
            return {"all": self._pages("ec2", "describe_instances", "Reservations", Filters=filters)}

        said = (entry for answer in self._each(ask, some) for entry in answer["all"])
        return {machine["InstanceId"]: machine for entry in said for machine in entry.get("Instances", ())}

    def _types(self, names: Sequence[str]) -> dict[str, TypeFacts]:
        answers = self._each(
            lambda some: self._optional("ec2", "describe_instance_types", InstanceTypes=list(some)), chunks(names, 100)
        )
        return {
            said["InstanceType"]: type_facts(said)
            for answer in answers
            for said in answer.get("InstanceTypes", ())
            if said.get("VCpuInfo") and said.get("MemoryInfo")
        }

    def _images(self) -> dict[str, datetime]:
        """When the images were made. By filter, as one unknown id among ImageIds would fail the whole call."""
        ids = {host.image for host in self.seen.hosts.values() if host.image} | self.targets

        def ask(names: Sequence[str]) -> dict[str, Any]:
            filters = [{"Name": "image-id", "Values": list(names)}]
            return self._optional("ec2", "describe_images", Filters=filters, IncludeDeprecated=True)

        said = [entry for answer in self._each(ask, chunks(sorted(ids), 200)) for entry in answer.get("Images", ())]
        return {
            each["ImageId"]: datetime.fromisoformat(each["CreationDate"]) for each in said if "CreationDate" in each
        }

    # work

    def _tasks(self, daemons: frozenset[str]) -> dict[str, TaskFacts]:
        """What shall run, by the survey; what has been stopped of late; which of them are protected, and until when."""
        said = [*self.first.tasks, *self._stopped()]
        tasks = {task.arn: task for task in (task_facts(each, daemons) for each in said)}
        movable = [
            task.arn
            for task in tasks.values()
            if task.service is not None and not task.daemon and task.desired_status == "RUNNING"
        ]
        until = self._protected(movable)
        return {arn: replace(task, protected_until=until.get(arn)) for arn, task in tasks.items()}

    def _stopped(self) -> list[dict[str, Any]]:
        """Tasks that were told to stop: stopped ones can be described for an hour, stopping ones are nowhere else."""
        arns: list[Any] = self._pages(
            "ecs", "list_tasks", "taskArns", most=STOPPED, cluster=self.cluster, desiredStatus="STOPPED"
        )
        answers = self._each(
            lambda some: self._optional("ecs", "describe_tasks", cluster=self.cluster, tasks=list(some)),
            chunks(arns, 100),
        )
        return [said for answer in answers for said in answer.get("tasks", ())]

    def _protected(self, arns: Sequence[str]) -> dict[str, datetime]:
        answers = self._each(
            lambda some: self._optional("ecs", "get_task_protection", cluster=self.cluster, tasks=list(some)),
            chunks(arns, 100),
        )
        return {
            said["taskArn"]: said["expirationDate"]
            for answer in answers
            for said in answer.get("protectedTasks", ())
            if said.get("protectionEnabled") and said.get("expirationDate")
        }

    def _definitions(self, arns: Sequence[str]) -> dict[str, DefinitionFacts]:
        answers = self._each(lambda arn: self._optional("ecs", "describe_task_definition", taskDefinition=arn), arns)
        found = (definition_facts(answer["taskDefinition"]) for answer in answers if "taskDefinition" in answer)
        return {definition.arn: definition for definition in found}

    # targets

    def _target_groups(self, arns: Sequence[str]) -> dict[str, TargetGroupFacts]:
        described = self._each(
            lambda some: self._optional("elbv2", "describe_target_groups", TargetGroupArns=list(some)), chunks(arns, 20)
        )
        found = {said["TargetGroupArn"]: said for answer in described for said in answer.get("TargetGroups", ())}
        answers = self._each(
            lambda arn: self._optional("elbv2", "describe_target_group_attributes", TargetGroupArn=arn), arns
        )
        attributes = {
            arn: {entry["Key"]: entry["Value"] for entry in answer.get("Attributes", ())}
            for arn, answer in zip(arns, answers, strict=True)
        }
        told = self._each(lambda arn: self._optional("elbv2", "describe_target_health", TargetGroupArn=arn), arns)
        health = dict(zip(arns, told, strict=True))
        return {
            arn: target_group_facts(found.get(arn, {"TargetGroupArn": arn}), attributes[arn], health[arn])
            for arn in arns
            if arn in found or attributes[arn]
        }

    # groups

    def _groups(self) -> dict[str, GroupFacts]:
        providers = {
            said["autoScalingGroupProvider"]["autoScalingGroupArn"]: provider_facts(said)
            for said in self.first.raw_providers
        }
        # Side by side, since each of a group's readings is a call of its own.
        found = self.aws.gather([partial(self._group, said) for said in self.first.raw_groups])
        return {
            group.name: replace(group, provider=providers.get(group.arn))
            for group in found
            if group.name in self.seen.groups
        }

    def _group(self, said: Answer) -> GroupFacts:
        name = said["AutoScalingGroupName"]
        templates, types = self._templates(said)
        return GroupFacts(
            name=name,
            arn=said.get("AutoScalingGroupARN", ""),
            types=types,
            templates=templates,
            subnets=tuple(part for part in said.get("VPCZoneIdentifier", "").split(",") if part),
            activities=self._activities(name),
            refreshes=tuple(
                refresh_facts(each)
                for each in self._optional(
                    "autoscaling", "describe_instance_refreshes", AutoScalingGroupName=name, MaxRecords=20
                ).get("InstanceRefreshes", ())
            ),
            hooks=tuple(hook_facts(each) for each in self._hooks(name)),
            warm_pool=self._warm_pool(said),
            suspended={
                entry["ProcessName"]: entry.get("SuspensionReason", "") for entry in said.get("SuspendedProcesses", ())
            },
            scheduled=tuple(
                self._pages(
                    "autoscaling",
                    "describe_scheduled_actions",
                    "ScheduledUpdateGroupActions",
                    AutoScalingGroupName=name,
                )
            ),
            max_lifetime=timedelta(seconds=said["MaxInstanceLifetime"]) if said.get("MaxInstanceLifetime") else None,
            operator=(said.get("Operator") or {}).get("Principal") or None,
            provider=None,
            said=said,
        )

    def _activities(self, group: str) -> tuple[ActivityFacts, ...]:
        said = self._pages(
            "autoscaling",
            "describe_scaling_activities",
            "Activities",
            most=ACTIVITIES,
            AutoScalingGroupName=group,
            MaxRecords=100,
        )
        return tuple(activity_facts(each) for each in said)

    def _hooks(self, group: str) -> Sequence[Answer]:
        """As the first look read them; asked once more where it could not."""
        known = self.first.hooks[group]
        if known is not None:
            return known
        answer = self._optional("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=group)
        said: Sequence[Answer] = answer.get("LifecycleHooks", ())
        return said

    def _warm_pool(self, group: Answer) -> WarmPoolFacts | None:
        if "WarmPoolConfiguration" not in group:
            return None
        pool = group["WarmPoolConfiguration"]
        said = self._pages(
            "autoscaling", "describe_warm_pool", "Instances", AutoScalingGroupName=group["AutoScalingGroupName"]
        )
        hosts = {entry["InstanceId"]: entry for entry in said}
        filters = [{"Name": "instance-id", "Values": sorted(hosts)}]
        machines = self._pages("ec2", "describe_instances", "Reservations", Filters=filters) if hosts else []
        return WarmPoolFacts(
            state=pool.get("PoolState", "Stopped"),
            least=pool.get("MinSize", 0),
            prepared=pool.get("MaxGroupPreparedCapacity"),
            reuses=(pool.get("InstanceReusePolicy") or {}).get("ReuseOnScaleIn", False),
            hosts=hosts,
            images={each["InstanceId"]: each["ImageId"] for entry in machines for each in entry.get("Instances", ())},
        )

    # what a group launches

    def _templates(self, group: Answer) -> tuple[tuple[TemplateFacts, ...], tuple[str, ...]]:
        """Every template that the group names, and the types that it may launch: an override's type goes first."""
        specs, configuration = launch_names(group)
        if configuration is not None:
            templates: tuple[TemplateFacts, ...] = (self._configuration(configuration),)
        else:
            templates = tuple(self._template(spec) for spec in specs)
        mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        overrides = [entry["InstanceType"] for entry in mixed.get("Overrides", ()) if entry.get("InstanceType")]
        if any("InstanceRequirements" in entry for entry in mixed.get("Overrides", ())):
            return templates, ()  # they count, and not the type that the template may name besides
        own = [template.data["InstanceType"] for template in templates if template.data.get("InstanceType")]
        return templates, tuple(dict.fromkeys(overrides or own))

    def _configuration(self, name: str) -> TemplateFacts:
        answer = self._optional("autoscaling", "describe_launch_configurations", LaunchConfigurationNames=[name])
        said: Answer = next(iter(answer.get("LaunchConfigurations", ())), {})
        return TemplateFacts(id=name, name=name, spec="", versions={"": said})

    def _template(self, spec: Answer) -> TemplateFacts:
        """The version that the group uses, the default and the latest one, in one call."""
        key = "LaunchTemplateId" if "LaunchTemplateId" in spec else "LaunchTemplateName"
        said = spec.get("Version") or "$Default"
        wanted = list(dict.fromkeys((said, "$Default", "$Latest")))
        answer = self._optional("ec2", "describe_launch_template_versions", **{key: spec[key]}, Versions=wanted)
        found = {str(each["VersionNumber"]): each for each in answer.get("LaunchTemplateVersions", ())}
        default = next((number for number, each in found.items() if each.get("DefaultVersion")), "")
        latest = max(found, key=int, default="")
        first: Answer = next(iter(found.values()), {})
        return TemplateFacts(
            id=spec.get("LaunchTemplateId") or first.get("LaunchTemplateId", ""),
            name=spec.get("LaunchTemplateName") or first.get("LaunchTemplateName", ""),
            spec=said,
            versions={number: each.get("LaunchTemplateData", {}) for number, each in found.items()},
            default=default,
            latest=latest,
            used={"$Default": default, "$Latest": latest}.get(said, said),
        )

    # earlier rolls

    def _history(self) -> tuple[RollFacts, ...]:
        path = f"/ecsroll/{self.cluster}/history"
        rolls = []
        for said in self._pages("ssm", "get_parameters_by_path", "Parameters", Path=path):
            try:
                rolls.append(RollFacts(roll=roll_from(said["Value"]), ended=said["LastModifiedDate"]))
            except EcsrollError as error:
                self._missing(said["Name"], error)
        return tuple(sorted(rolls, key=lambda past: past.roll.epoch))


def _target_groups_of(services: Iterable[ServiceFacts]) -> list[str]:
    return sorted({arn for service in services for arn in service.target_groups})
