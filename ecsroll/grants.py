"""Whether the credentials may do what a roll does, asked without doing it.

EC2 tries its own calls dry. For the others IAM is asked to simulate the caller's policies, if the caller may ask that.
What nobody answers is listed as not verified, and never blocks: a roll that is denied something halts safely.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecsroll import asg
from ecsroll.aws import Aws, denied
from ecsroll.errors import AwsRefusal, AwsUnavailable
from ecsroll.ledger import Place
from ecsroll.model import Finding, Group, Launches, Policy, Snapshot
from ecsroll.survey import Survey

__all__ = ["verify"]

ON_HOSTS = ("ecs:UpdateContainerInstancesState", "ecs:PutAttributes", "ecs:DeleteAttributes")
ON_CLUSTER = ("ecs:DeregisterContainerInstance",)
ON_GROUP = (
    "autoscaling:UpdateAutoScalingGroup",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
    "autoscaling:SetInstanceProtection",
    "autoscaling:SuspendProcesses",
    "autoscaling:ResumeProcesses",
)
ON_RECORDS = ("ssm:PutParameter", "ssm:DeleteParameter")
ON_TEMPLATE = {
    "ec2:CreateLaunchTemplateVersion": "create_launch_template_version",
    "ec2:ModifyLaunchTemplate": "modify_launch_template",
    "ec2:DeleteLaunchTemplateVersions": "delete_launch_template_versions",
}

TO_LAUNCH = ("ec2:RunInstances", "iam:PassRole")
"""Checked when a group is given another version or configuration (aws-facts 11): on what it will launch."""

NO_VERSION = "999999999"
"""Of a launch template: far above any."""


def verify(aws: Aws, seen: Snapshot, policy: Policy, first: Survey) -> tuple[Finding, ...]:
    """What is missing (EC150, blocking) and what could not be found out (EC151, for information)."""
    asked = _Asked(aws, seen, policy, first)
    asked.ask()
    return tuple(_told(seen.cluster, asked))


@dataclass
class _Asked:
    aws: Aws
    seen: Snapshot
    policy: Policy
    first: Survey
    missing: dict[str, str] = field(default_factory=dict)
    """Actions that are denied, with the resource."""
    unknown: set[str] = field(default_factory=set)
    role: str | None = None
    """Who is asked about; None once nobody answers for it: then the rest is not asked, and not waited for."""

    def ask(self) -> None:
        for group in self.seen.groups.values():
            for launches in group.launches:
                if launches.place is Place.TEMPLATE and self._changes(group, launches):
                    self._try_dry(launches)
        self.role = self._role()
        for actions, resource in self._wanted():
            self._simulate(actions, resource)
        if any(self._renamed(launches) for group in self.seen.groups.values() for launches in self._changed(group)):
            self._simulate(TO_LAUNCH, "*", sure=False)

    @staticmethod
    def _renamed(launches: Launches) -> bool:
        """Whether the group itself has to be told what to launch: no ``$Latest`` or parameter does that for it."""
        numbered = launches.place is Place.TEMPLATE and not launches.spec.startswith("$")
        return numbered or launches.place is Place.CONFIGURATION

    def _changed(self, group: Group) -> Iterator[Launches]:
        return (launches for launches in group.launches if self._changes(group, launches))

    def _changes(self, group: Group, launches: Launches) -> bool:
        image = self.policy.images.get(f"{group.name}/{asg.name_of(launches)}")
        return image is not None and image != launches.image

    # EC2

    def _try_dry(self, launches: Launches) -> None:
        self._dry(
            "ec2:CreateLaunchTemplateVersion",
            launches,
            SourceVersion=launches.version or "$Default",
            LaunchTemplateData={"ImageId": launches.image},
            ClientToken="ecsroll-dry-run",
        )
        if launches.spec == "$Default":
            self._dry(
                "ec2:ModifyLaunchTemplate",
                launches,
                DefaultVersion=launches.version or "1",
                ClientToken="ecsroll-dry-run",
            )
        if launches.spec == "$Latest":
            # One that is not there: what answers in the place of AWS may not know DryRun, and would do it.
            self._dry("ec2:DeleteLaunchTemplateVersions", launches, Versions=[NO_VERSION])

    def _dry(self, action: str, launches: Launches, **params: Any) -> None:
        try:
            self.aws.ask("ec2", ON_TEMPLATE[action], LaunchTemplateId=launches.name, DryRun=True, **params)
        except AwsRefusal as said:
            if said.code != "DryRunOperation":
                self.unknown.add(action)
        except AwsUnavailable as error:
            if denied(error):
                self.missing[action] = launches.name
            else:
                self.unknown.add(action)

    # IAM

    def _role(self) -> str | None:
        """The role or user that asks, as IAM knows it: the session of a role names no path, so it may not be found."""
        try:
            arn = str(self.aws.ask("sts", "get_caller_identity")["Arn"])
        except (AwsRefusal, AwsUnavailable):
            return None
        if ":assumed-role/" in arn:
            head, _, name = arn.replace(":sts:", ":iam:").partition(":assumed-role/")
            return f"{head}:role/{name.partition('/')[0]}"
        return arn

    def _wanted(self) -> Iterator[tuple[Sequence[str], str]]:
        """The actions of a roll, each with the resource that AWS checks it on (aws-facts 11)."""
        arn = next((host.arn for host in self.seen.hosts.values() if host.arn), None)
        if arn is None:
            return
        partition, _, region, account = arn.split(":")[1:5]
        cluster = f"arn:{partition}:ecs:{region}:{account}:cluster/{self.seen.cluster}"
        parameters = f"arn:{partition}:ssm:{region}:{account}:parameter"
        yield ON_HOSTS, arn
        yield ON_CLUSTER, cluster
        yield ON_RECORDS, f"{parameters}/ecsroll/{self.seen.cluster}/roll"
        arns = {said["AutoScalingGroupName"]: said.get("AutoScalingGroupARN") for said in self.first.raw_groups}
        for group in self.seen.groups.values():
            if (named := arns[group.name]) is None:
                self.unknown.update(ON_GROUP)
            else:
                yield ON_GROUP, named
            for launches in group.launches:
                if launches.place is Place.PARAMETER and launches.parameter and self._changes(group, launches):
                    yield ("ssm:PutParameter",), f"{parameters}/{launches.parameter.lstrip('/')}"

    def _simulate(self, actions: Sequence[str], resource: str, *, sure: bool = True) -> None:
        """Ask IAM. Where the resource is not known (``sure`` is false), a no may be meant for others."""
        if self.role is None:
            self.unknown.update(actions)
            return
        try:
            answer = self.aws.ask(
                "iam",
                "simulate_principal_policy",
                PolicySourceArn=self.role,
                ActionNames=list(actions),
                ResourceArns=[resource],
                ContextEntries=self._context(),
            )
        except (AwsRefusal, AwsUnavailable):
            self.role = None
            self.unknown.update(actions)
            return
        for said in answer.get("EvaluationResults", ()):
            if said["EvalDecision"] == "allowed":
                continue
            if not sure or (said.get("MissingContextValues") and said["EvalDecision"] != "explicitDeny"):
                self.unknown.add(said["EvalActionName"])  # it may depend on a tag that IAM was not told of
            else:
                self.missing[said["EvalActionName"]] = resource

    def _context(self) -> list[dict[str, Any]]:
        arn = self.first.cluster.get("clusterArn")
        value = [arn] if arn else []
        return [{"ContextKeyName": "ecs:cluster", "ContextKeyValues": value, "ContextKeyType": "string"}] if arn else []


def _told(cluster: str, asked: _Asked) -> Iterator[Finding]:
    if asked.missing:
        listed = ", ".join(f"{action} on {where}" for action, where in sorted(asked.missing.items()))
        yield Finding(
            code="EC150",
            severity="blocking",
            subject=cluster,
            measured=f"these credentials may not: {listed}",
            fix=f"allow it: ecsroll iam-policy --cluster {cluster} prints the least policy that a roll needs",
        )
    unknown = sorted(asked.unknown - asked.missing.keys())
    if unknown:
        yield Finding(
            code="EC151",
            severity="info",
            subject=cluster,
            measured=f"not verified whether these credentials may: {', '.join(unknown)}",
            fix="nothing to do: a roll that is denied something halts safely; "
            "iam:SimulatePrincipalPolicy lets IAM be asked",
        )
