"""What a roll may do, in IAM's words: a row for each call of the code, and for each action that AWS checks behind one.

Data only. ``iam_policy.py`` makes a policy of it, ``terraform/modules/ecsroll`` makes the same one: its
``permissions.json`` is written from here by ``python -m tests.iam.written``. A call without a row fails in
``tests/iam``, and so does a row that no call needs. Resources and condition keys are those of AWS's service
authorization reference (aws-facts 11).

A new call: add ``Permission("service:Operation", SCOPE, "what for")``, with IAM's name of the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["ELSEWHERE", "PERMISSIONS", "Permission", "Scope", "When"]


class When(StrEnum):
    """For which rolls a statement is needed."""

    ALWAYS = "always"
    ALARMS = "alarms"
    """``--alarm`` is given."""
    PARAMETERS = "parameters"
    """Groups whose template says ``resolve:ssm:`` and a parameter of their own."""
    TEMPLATES = "templates"
    """Groups whose launch template names the image itself."""
    CONFIGURATIONS = "configurations"
    """Groups with a launch configuration."""
    LAUNCHES = "launches"
    """Either of the last two: AWS checks that whoever changes what a group launches may launch it."""
    QUEUES = "queues"
    """``watch`` and ``events`` with ``--queue``."""
    RESTARTS = "restarts"
    """``watch --restarts``."""
    TOPICS = "topics"
    """``--tell arn:...:sns:...`` and ``check-ami --publish``."""
    BUSES = "buses"
    """``--tell bus:NAME``."""
    REFERRED_PARAMETERS = "referred_parameters"
    """A secret is given as ``ssm:/parameter``."""
    REFERRED_SECRETS = "referred_secrets"
    """A secret is given as ``secret:name``."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One statement of the policy: on what, and under which condition. Words in braces are filled in."""

    name: str
    """The statement's Sid."""
    on: tuple[str, ...]
    only_if: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    when: When = When.ALWAYS


@dataclass(frozen=True, slots=True)
class Permission:
    """One action on one scope, and why it is there."""

    action: str
    scope: Scope
    why: str
    behind: str = ""
    """The action behind whose call AWS checks this one; empty: the code calls it itself."""

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.action.partition(":")[2].startswith(("Describe", "List", "Get"))


_ARN = "arn:{partition}:"
_ECS = f"{_ARN}ecs:{{region}}:{{account}}"
_PARAMETER = f"{_ARN}ssm:{{region}}:{{account}}:parameter"
_CLUSTER = f"{_ECS}:cluster/{{cluster}}"
_STATE = f"{_PARAMETER}/ecsroll/{{cluster}}"

# What knows no narrower resource is held to the region, and to the cluster where ECS says which one is meant.
_IN_REGION = {"StringEquals": {"aws:RequestedRegion": "{region}"}}
_IN_CLUSTER = {"ArnEquals": {"ecs:cluster": _CLUSTER}}

# Deregistering is checked on the cluster, unlike everything else that is done to a host.
THE_CLUSTER = Scope("TheCluster", (_CLUSTER,))
HOSTS = Scope("ItsHosts", (f"{_ECS}:container-instance/{{cluster}}/*",), _IN_CLUSTER)
TASKS = Scope("ItsTasks", (f"{_ECS}:task/{{cluster}}/*",), _IN_CLUSTER)
SERVICES = Scope("ItsServices", (f"{_ECS}:service/{{cluster}}/*",), _IN_CLUSTER)
LISTS = Scope("ListsOfThem", ("*",), _IN_CLUSTER)
PROVIDERS = Scope("CapacityProviders", (f"{_ECS}:capacity-provider/*",))
# Groups outside the roll too: one that shares a launch template or a parameter must be found before it is hurt.
ANYTHING = Scope("LookAround", ("*",), _IN_REGION)
# The account in the ARN of AWS's public parameters is empty, which * matches (linters know no parameter without one);
# nobody else can make names that begin with /aws.
PUBLIC = Scope("ReleasesOfImages", (f"{_ARN}ssm:{{region}}:*:parameter/aws/service/*",))
ALARMS = Scope("SeeAlarms", ("*",), _IN_REGION, When.ALARMS)
RESTARTS = Scope("CountRestarts", ("*",), _IN_REGION, When.RESTARTS)
# The ARN of a group holds an id that only AWS knows.
GROUPS = Scope(
    "MakeRoomAndReplaceHosts",
    (f"{_ARN}autoscaling:{{region}}:{{account}}:autoScalingGroup:*:autoScalingGroupName/{{group}}",),
)
STATE = Scope("KeepItsState", (f"{_STATE}/*",))
# Kept by those who only watch, too.
WATCHED = Scope("KeepWhatIsWatched", (f"{_STATE}/watch",), when=When.QUEUES)
# Checked on the path alone: whoever may list it reads everything below.
STATE_PATHS = Scope("ListItsState", (_STATE, f"{_STATE}/lease", f"{_STATE}/history"))

# A parameter is read, and written, only if its tag says that it is one of these groups' image.
_OURS = {"StringLike": {"aws:ResourceTag/ecsroll:group": "{group}"}}
TAGS = Scope("SeeWhoseTheImageIs", ("{image_parameter}",), when=When.PARAMETERS)
IMAGE = Scope("SeeTheImage", ("{image_parameter}",), _OURS, When.PARAMETERS)
# The parameter is there before the roll: it may be changed, not made.
NEW_IMAGE = Scope(
    "SetTheImage", ("{image_parameter}",), {**_OURS, "StringEquals": {"ssm:Overwrite": "true"}}, When.PARAMETERS
)
TEMPLATES = Scope("SetTheLaunchTemplate", ("{launch_template}",), when=When.TEMPLATES)
BY_TEMPLATES = Scope(
    "LaunchByTheseTemplatesOnly", ("*",), {"ArnEquals": {"ec2:LaunchTemplate": "{launch_template}"}}, When.TEMPLATES
)
# A copy is named after the one it was made from, with .ecsroll- and the image.
CONFIGURATIONS = Scope(
    "CopyLaunchConfigurations",
    (f"{_ARN}autoscaling:{{region}}:{{account}}:launchConfiguration:*:launchConfigurationName/*.ecsroll-*",),
    when=When.CONFIGURATIONS,
)
# No condition key tells a launch by a launch configuration from any other.
BY_CONFIGURATIONS = Scope("LaunchByLaunchConfigurations", ("*",), _IN_REGION, When.CONFIGURATIONS)
LAUNCHED = Scope(
    "TagWhatIsLaunched",
    tuple(f"{_ARN}ec2:{{region}}:{{account}}:{kind}/*" for kind in ("instance", "network-interface", "volume")),
    {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
    When.LAUNCHES,
)
HOST_ROLES = Scope(
    "GiveHostsTheirRole",
    ("{host_role}",),
    {"StringEquals": {"iam:PassedToService": "{ec2}"}},
    When.LAUNCHES,
)
# Messages are deleted, and topics told, where they are named for it: nothing of the cluster changes by that.
QUEUES = Scope("TakeFromQueues", ("{queue}",), when=When.QUEUES)
TOPICS = Scope("TellTopics", ("{topic}",), when=When.TOPICS)
BUSES = Scope("TellBuses", ("{bus}",), when=When.BUSES)
SECRET_PARAMETERS = Scope("ReadSecretParameters", ("{secret_parameter}",), when=When.REFERRED_PARAMETERS)
SECRETS = Scope("ReadSecrets", ("{secret}",), when=When.REFERRED_SECRETS)

_UPDATE = "autoscaling:UpdateAutoScalingGroup"

PERMISSIONS: tuple[Permission, ...] = (
    # what runs
    Permission("ecs:ListClusters", ANYTHING, "check-ami --all-clusters goes through all of them"),
    Permission("ecs:DescribeTaskDefinition", ANYTHING, "stop timeouts of tasks on a host that has lost its agent"),
    Permission("ecs:DescribeClusters", THE_CLUSTER, "whether there is such a cluster, and its capacity providers"),
    Permission("ecs:ListContainerInstances", THE_CLUSTER, "its hosts"),
    Permission("ecs:DescribeContainerInstances", HOSTS, "what each host's agent and status are"),
    Permission("ecs:ListServices", LISTS, "its services"),
    Permission("ecs:ListTasks", LISTS, "what runs on a host, and what still stops there"),
    Permission("ecs:DescribeTasks", TASKS, "a host is empty when every task on it was seen STOPPED"),
    Permission("ecs:GetTaskProtection", TASKS, "a protected task holds its host until the protection runs out"),
    Permission("ecs:DescribeServices", SERVICES, "whether services are steady before the next host"),
    Permission("ecs:DescribeCapacityProviders", PROVIDERS, "which groups are the cluster's, and what ECS does to them"),
    Permission("autoscaling:DescribeAutoScalingGroups", ANYTHING, "sizes, hosts, what is launched"),
    Permission("autoscaling:DescribeAutoScalingInstances", ANYTHING, "the look before a termination that shrinks"),
    Permission("autoscaling:DescribeInstanceRefreshes", ANYTHING, "an instance refresh would replace hosts at once"),
    Permission("autoscaling:DescribeLaunchConfigurations", ANYTHING, "which image one names"),
    Permission("autoscaling:DescribeLifecycleHooks", ANYTHING, "a termination hook keeps a host a while longer"),
    Permission("autoscaling:DescribeScalingActivities", ANYTHING, "why a launch failed"),
    Permission("autoscaling:DescribeScheduledActions", ANYTHING, "one that is due meanwhile changes the bounds"),
    Permission("autoscaling:DescribeWarmPool", ANYTHING, "a warm pool may hand out hosts with the old image"),
    Permission("ec2:DescribeImages", ANYTHING, "name, age and family of an image"),
    Permission("ec2:DescribeInstanceTypes", ANYTHING, "whether the tasks of a host fit elsewhere"),
    Permission("ec2:DescribeInstances", ANYTHING, "which image a host runs, and since when"),
    Permission("ec2:DescribeLaunchTemplateVersions", ANYTHING, "which image a template names"),
    Permission("ec2:DescribeLaunchTemplates", ANYTHING, "whether our version of a template is still its newest"),
    Permission("elasticloadbalancing:DescribeTargetGroupAttributes", ANYTHING, "the deregistration delay"),
    Permission("elasticloadbalancing:DescribeTargetGroups", ANYTHING, "the health check"),
    Permission("elasticloadbalancing:DescribeTargetHealth", ANYTHING, "targets healthy before the next host"),
    Permission("ssm:GetParameter", PUBLIC, "what a template that follows AWS's own parameter launches"),
    Permission("ssm:GetParameters", PUBLIC, "the newest image of a family"),
    Permission("ssm:GetParametersByPath", PUBLIC, "the releases of a family, to tell how far behind one is"),
    Permission("cloudwatch:DescribeAlarms", ALARMS, "an alarm that was not there before stops the roll"),
    # hosts
    Permission("ecs:PutAttributes", HOSTS, "the mark by which a drain is known as ours"),
    Permission("ecs:DeleteAttributes", HOSTS, "the mark of a drain that was undone"),
    Permission("ecs:UpdateContainerInstancesState", HOSTS, "DRAINING, and back to ACTIVE"),
    Permission("ecs:DeregisterContainerInstance", THE_CLUSTER, "a host that is terminated leaves the cluster"),
    Permission("ecs:StopTask", TASKS, "--standalone-tasks stop"),
    Permission(_UPDATE, GROUPS, "room for new hosts, and the bounds given back; which template version is launched"),
    Permission("autoscaling:TerminateInstanceInAutoScalingGroup", GROUPS, "an empty host goes, through its group"),
    Permission("autoscaling:SetInstanceProtection", GROUPS, "new hosts lose the protection they were born with"),
    Permission("autoscaling:SuspendProcesses", GROUPS, "AZRebalance would move hosts meanwhile"),
    Permission("autoscaling:ResumeProcesses", GROUPS, "AZRebalance is given back"),
    # what is written down
    Permission("ssm:PutParameter", STATE, "the lease, what was borrowed, what ran before"),
    Permission("ssm:DeleteParameter", STATE, "what was given back, and the oldest rolls"),
    Permission("ssm:GetParameter", STATE, "what a watcher knew before it was started anew"),
    Permission("ssm:PutParameter", WATCHED, "what a watcher has told already, so that it tells it once"),
    Permission("ssm:GetParametersByPath", STATE_PATHS, "all that is written down, in one listing"),
    # what groups launch
    Permission("ssm:GetParameter", IMAGE, "what the group launches"),
    Permission("ssm:ListTagsForResource", TAGS, "ecsroll:group says that the parameter may be changed for it"),
    Permission("ssm:PutParameter", NEW_IMAGE, "the group launches the new image, and the old one after a stop"),
    Permission("ec2:CreateLaunchTemplateVersion", TEMPLATES, "a version with nothing but the image changed"),
    Permission("ec2:ModifyLaunchTemplate", TEMPLATES, "a group that follows $Default"),
    Permission("ec2:DeleteLaunchTemplateVersions", TEMPLATES, "a group that follows $Latest goes back"),
    Permission("autoscaling:CreateLaunchConfiguration", CONFIGURATIONS, "a copy with the new image"),
    # what a run hears and tells
    Permission("sqs:GetQueueAttributes", QUEUES, "whether the queue itself puts aside what nobody can deal with"),
    Permission("sqs:ReceiveMessage", QUEUES, "watch and events take what comes"),
    Permission("sqs:DeleteMessage", QUEUES, "what was dealt with does not come again"),
    Permission("sqs:ChangeMessageVisibility", QUEUES, "nobody else gets it while a roll goes on"),
    Permission("cloudwatch:ListMetrics", RESTARTS, "which services have containers with a restart policy"),
    Permission("cloudwatch:GetMetricData", RESTARTS, "how often these were restarted inside their tasks"),
    Permission("sns:Publish", TOPICS, "what --tell tells, and what check-ami --publish has found"),
    Permission("events:PutEvents", BUSES, "what --tell tells"),
    Permission("ssm:GetParameter", SECRET_PARAMETERS, "the address of a Slack webhook, or what bodies are signed with"),
    Permission("secretsmanager:GetSecretValue", SECRETS, "the same, in Secrets Manager"),
    # what AWS checks behind these calls
    Permission("ec2:DescribeImages", ANYTHING, "AWS checks that an aws:ec2:image is one", "ssm:PutParameter"),
    Permission(
        "ssm:GetParameters", IMAGE, "EC2 resolves resolve:ssm: as the caller, in every template of a mix", _UPDATE
    ),
    Permission(
        "ec2:RunInstances", BY_TEMPLATES, "who gives a group another version must be able to launch it", _UPDATE
    ),
    Permission("ec2:RunInstances", BY_CONFIGURATIONS, "the same for a launch configuration", _UPDATE),
    Permission("ec2:CreateTags", LAUNCHED, "the tags that the template gives", _UPDATE),
    Permission("iam:PassRole", HOST_ROLES, "the role that the template gives to hosts", _UPDATE),
    Permission("iam:PassRole", HOST_ROLES, "the same, in a copy", "autoscaling:CreateLaunchConfiguration"),
)
"""Every permission that a roll needs, and nothing else."""

ELSEWHERE: Mapping[str, str] = {
    "sts:GetCallerIdentity": "needs no permission: who rolls, to ask IAM about",
    "iam:SimulatePrincipalPolicy": "a roll asks whether it may do what it will; denied, that is listed as not verified",
}
"""Calls outside the policy of a roll, each with what it is for."""
