"""EC2 in botocore's member names: instances, images, launch templates, types, subnets."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.api.pages import Pages
from ecsroll.simulator.compute import RESOLVE, Instance
from ecsroll.simulator.door import Answer, answers
from ecsroll.simulator.images import Image
from ecsroll.simulator.instance_types import InstanceType, instance_type, instance_types
from ecsroll.simulator.templates import Template, TemplateVersion
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

Params = dict[str, Any]
Filters = Iterable[dict[str, Any]]

STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def _answers(operation: str) -> Callable[[Answer], Answer]:
    """Answer an EC2 operation: with DryRun it ends as AWS ends it, before anything changes."""

    def register(answer: Answer) -> Answer:
        def answer_unless_dry(sim: "Simulation", params: Params) -> dict[str, Any]:
            if params.get("DryRun"):
                raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)
            return answer(sim, params)

        answers("ec2", operation)(answer_unless_dry)
        return answer

    return register


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _given_tags(params: Params, kind: str) -> dict[str, str]:
    return {
        tag["Key"]: tag["Value"]
        for spec in params.get("TagSpecifications") or ()
        if spec.get("ResourceType") == kind
        for tag in spec.get("Tags") or ()
    }


def _filtered(filters: Filters, values: dict[str, str | None], tags: dict[str, str]) -> bool:
    """Whether something passes: all filters, and of each any value; ``*`` and ``?`` are wild."""
    for wanted in filters:
        name = wanted["Name"]
        if name == "tag-key":
            if not any(fnmatchcase(key, pattern) for key in tags for pattern in wanted["Values"]):
                return False
            continue
        if name.startswith("tag:"):
            actual = tags.get(name.removeprefix("tag:"))
        elif name in values:
            actual = values[name]
        else:
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
        if actual is None or not any(fnmatchcase(actual, pattern) for pattern in wanted["Values"]):
            return False
    return True


# instances


def _instance(sim: "Simulation", instance: Instance) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "InstanceType": instance.type,
        "State": {"Code": STATE_CODES[instance.state], "Name": instance.state},
        "LaunchTime": _at(sim, instance.launched_at),
        "Placement": {"AvailabilityZone": instance.zone, "GroupName": "", "Tenancy": "default"},
        "Architecture": instance.architecture,
        "PrivateDnsName": f"ip-{instance.private_ip.replace('.', '-')}.{sim.world.region}.compute.internal",
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [],
        "NetworkInterfaces": [],
        "SecurityGroups": [],
        "VirtualizationType": "hvm",
        "Tags": _tags(instance.tags),
    }
    if instance.state != "terminated":
        shown |= {"PrivateIpAddress": instance.private_ip, "SubnetId": instance.subnet_id, "VpcId": sim.compute.vpc_id}
    if instance.state_reason is not None:
        code, _, message = instance.state_reason.partition(": ")
        shown["StateTransitionReason"] = "User initiated"
        shown["StateReason"] = {"Code": code, "Message": f"{code}: {message}"}
    return shown


def _at(sim: "Simulation", seconds: float) -> datetime:
    # EC2 tells whole seconds.
    return (sim.world.epoch + timedelta(seconds=seconds)).replace(microsecond=0)


def _instance_values(instance: Instance) -> dict[str, str | None]:
    return {
        "instance-id": instance.id,
        "instance-state-name": instance.state,
        "instance-type": instance.type,
        "image-id": instance.image_id,
        "availability-zone": instance.zone,
        "subnet-id": instance.subnet_id,
        "private-ip-address": instance.private_ip,
        "architecture": instance.architecture,
    }


def _chosen(sim: "Simulation", params: Params) -> list[Instance]:
    ids = params.get("InstanceIds")
    if ids and params.get("MaxResults"):
        raise Refusal(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    found = sim.compute.must_find(ids) if ids else sim.compute.visible()
    filters = params.get("Filters") or ()
    return [each for each in found if not filters or _filtered(filters, _instance_values(each), each.tags)]


@_answers("DescribeInstances")
def describe_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Instances by id or filter, a reservation each."""
    return {"Reservations": Pages(_chosen(sim, params), lambda instance: _reservation(sim, instance))}


def _reservation(sim: "Simulation", instance: Instance) -> dict[str, Any]:
    return {
        "ReservationId": f"r-{instance.id[2:]}",
        "OwnerId": sim.world.account,
        "Groups": [],
        "Instances": [_instance(sim, instance)],
    }


@_answers("DescribeInstanceStatus")
def describe_instance_status(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Running instances, or with IncludeAllInstances all, with their checks."""
    every = params.get("IncludeAllInstances", False)
    shown = []
    for instance in _chosen(sim, params):
        if instance.state == "running" or every:
            passed = "ok" if instance.state == "running" else "not-applicable"
            details = [{"Name": "reachability", "Status": "passed"}] if instance.state == "running" else []
            checks = {"Status": passed, "Details": details}
            shown.append(
                {
                    "InstanceId": instance.id,
                    "AvailabilityZone": instance.zone,
                    "InstanceState": {"Code": STATE_CODES[instance.state], "Name": instance.state},
                    "InstanceStatus": checks,
                    "SystemStatus": checks,
                }
            )
    return {"InstanceStatuses": shown}


@_answers("RunInstances")
def run_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Launch instances outside of any group."""
    data, template = dict(params), None
    spec = params.get("LaunchTemplate")
    if spec:
        found = sim.compute.templates.find(spec.get("LaunchTemplateId"), spec.get("LaunchTemplateName"))
        version = sim.compute.templates.version(found, spec.get("Version") or "$Default")
        data, template = {**version.data, **params}, (found.id, found.name, version.number)
    zone = (data.get("Placement") or {}).get("AvailabilityZone") or sim.compute.zones[0]
    subnet = data.get("SubnetId") or sim.compute.subnet_of(zone)
    if zone in sim.conditions.zones_without_capacity:
        raise Refusal(
            "InsufficientInstanceCapacity", f"We currently do not have sufficient capacity in {zone}.", status=500
        )
    tags = _given_tags(params, "instance")
    made = [sim.compute.launch(data, subnet_id=subnet, tags=tags, template=template) for _ in range(params["MaxCount"])]
    return {
        "ReservationId": f"r-{made[0].id[2:]}",
        "OwnerId": sim.world.account,
        "Groups": [],
        "Instances": [_instance(sim, each) for each in made],
    }


def _changed(instances: list[Instance], before: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "InstanceId": instance.id,
            "CurrentState": {"Code": STATE_CODES[instance.state], "Name": instance.state},
            "PreviousState": {"Code": STATE_CODES[was], "Name": was},
        }
        for instance, was in zip(instances, before, strict=True)
    ]


@_answers("TerminateInstances")
def terminate_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """End instances; one unknown id refuses all."""
    found = sim.compute.must_find(params["InstanceIds"])
    before = [instance.state for instance in found]
    for instance in found:
        sim.compute.terminate(instance.id)
    return {"TerminatingInstances": _changed(found, before)}


@_answers("StopInstances")
def stop_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Stop instances."""
    found = sim.compute.must_find(params["InstanceIds"])
    before = [instance.state for instance in found]
    for instance in found:
        sim.compute.stop(instance)
    return {"StoppingInstances": _changed(found, before)}


@_answers("StartInstances")
def start_instances(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Start stopped instances."""
    found = sim.compute.must_find(params["InstanceIds"])
    before = [instance.state for instance in found]
    for instance in found:
        sim.compute.start(instance)
    return {"StartingInstances": _changed(found, before)}


# tags


@_answers("CreateTags")
def create_tags(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Tag instances and launch templates."""
    for tags in [_tags_of(sim, resource) for resource in params["Resources"]]:
        tags.update({tag["Key"]: tag["Value"] for tag in params["Tags"]})
    return {}


@_answers("DeleteTags")
def delete_tags(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Take tags off; none named means all."""
    for tags in [_tags_of(sim, resource) for resource in params["Resources"]]:
        for key in [tag["Key"] for tag in params.get("Tags") or ()] or list(tags):
            tags.pop(key, None)
    return {}


def _tags_of(sim: "Simulation", resource: str) -> dict[str, str]:
    if resource.startswith("lt-"):
        return sim.compute.templates.find(resource).tags
    if resource.startswith("i-"):
        return sim.compute.must_find([resource])[0].tags
    if resource.startswith("ami-"):
        return sim.images.tags.setdefault(_must_be_image(sim, resource).id, {})
    raise Refusal("InvalidID", f"The ID '{resource}' is not valid")


# images


@_answers("DescribeImages")
def describe_images(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Images by id, owner, filter; by default without deprecated ones, for all but their owner."""
    ids, owners = params.get("ImageIds"), params.get("Owners")
    found = [_must_be_image(sim, image_id) for image_id in ids] if ids else list(sim.images.all())
    if owners:
        found = [image for image in found if _owned(sim, image, owners)]
    if not ids and not params.get("IncludeDeprecated"):
        found = [image for image in found if image.deprecated_at is None or image.deprecated_at > sim.world.time]
    filters = params.get("Filters") or ()
    return {
        "Images": [
            _image(image, sim.images.tags.get(image.id, {}))
            for image in found
            if _filtered(filters, _image_values(sim, image), sim.images.tags.get(image.id, {}))
        ]
    }


def _must_be_image(sim: "Simulation", image_id: str) -> Image:
    image = sim.images.get(image_id)
    if image is None:
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return image


def _owned(sim: "Simulation", image: Image, owners: list[str]) -> bool:
    own = image.owner == sim.world.account
    return image.owner in owners or ("self" in owners and own) or ("amazon" in owners and not own)


def _image_values(sim: "Simulation", image: Image) -> dict[str, str | None]:
    return {
        "image-id": image.id,
        "name": image.name,
        "architecture": image.architecture,
        "owner-id": image.owner,
        "owner-alias": None if image.owner == sim.world.account else "amazon",
        "state": "available",
        "is-public": str(image.public).lower(),
        "image-type": "machine",
        "platform": image.platform,
        "root-device-type": "ebs",
        "virtualization-type": "hvm",
        "description": image.description,
        "creation-date": _iso(image.created_at),
    }


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _image(image: Image, tags: dict[str, str]) -> dict[str, Any]:
    device = "/dev/sda1" if image.platform == "windows" else "/dev/xvda"
    volume = {
        "SnapshotId": f"snap-{image.id[4:]}",
        "VolumeSize": 30,
        "VolumeType": image.volume,
        "DeleteOnTermination": True,
        "Encrypted": False,
    }
    shown: dict[str, Any] = {
        "ImageId": image.id,
        "Name": image.name,
        "Description": image.description,
        "CreationDate": _iso(image.created_at),
        "OwnerId": image.owner,
        "Public": image.public,
        "State": "available",
        "Architecture": image.architecture,
        "ImageType": "machine",
        "PlatformDetails": "Windows" if image.platform == "windows" else "Linux/UNIX",
        "RootDeviceName": device,
        "RootDeviceType": "ebs",
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "EnaSupport": True,
        "BlockDeviceMappings": [{"DeviceName": device, "Ebs": volume}],
        "ImageLocation": f"{'amazon' if image.public else image.owner}/{image.name}",
        "Tags": _tags(tags),
    }
    if image.public:
        shown["ImageOwnerAlias"] = "amazon"
    if image.platform is not None:
        shown["Platform"] = image.platform
    if image.deprecated_at is not None:
        shown["DeprecationTime"] = _iso(image.deprecated_at)
    return shown


# launch templates


def _template(sim: "Simulation", template: Template) -> dict[str, Any]:
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.created_at,
        "CreatedBy": f"arn:aws:iam::{sim.world.account}:role/operator",
        "DefaultVersionNumber": template.default,
        "LatestVersionNumber": template.latest,
        "Tags": _tags(template.tags),
    }


def _version(
    sim: "Simulation", template: Template, version: TemplateVersion, *, resolve: bool = False
) -> dict[str, Any]:
    data = dict(version.data)
    image = data.get("ImageId", "")
    if resolve and image.startswith(RESOLVE):
        data["ImageId"] = sim.compute.resolve_image(image)
        if data["ImageId"] is None:
            raise Refusal("InvalidParameterValue", f"The ssm parameter {image.removeprefix(RESOLVE)} does not exist")
    shown = {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionNumber": version.number,
        "CreateTime": version.at,
        "CreatedBy": f"arn:aws:iam::{sim.world.account}:role/operator",
        "DefaultVersion": version.number == template.default,
        "LaunchTemplateData": data,
    }
    if version.description is not None:
        shown["VersionDescription"] = version.description
    return shown


def _named(sim: "Simulation", params: Params) -> Template:
    return sim.compute.templates.find(params.get("LaunchTemplateId"), params.get("LaunchTemplateName"))


@_answers("CreateLaunchTemplate")
def create_launch_template(sim: "Simulation", params: Params) -> dict[str, Any]:
    """A template with its first version."""
    made = sim.compute.templates.create(
        params["LaunchTemplateName"],
        params["LaunchTemplateData"],
        description=params.get("VersionDescription"),
        tags=_given_tags(params, "launch-template"),
        token=params.get("ClientToken"),
    )
    return {"LaunchTemplate": _template(sim, made)}


@_answers("CreateLaunchTemplateVersion")
def create_launch_template_version(sim: "Simulation", params: Params) -> dict[str, Any]:
    """A version from a source and what is changed of it."""
    template = _named(sim, params)
    made = sim.compute.templates.create_version(
        template,
        params["LaunchTemplateData"],
        source=params.get("SourceVersion"),
        description=params.get("VersionDescription"),
        token=params.get("ClientToken"),
    )
    resolve = params.get("ResolveAlias", False)
    return {"LaunchTemplateVersion": _version(sim, template, made, resolve=resolve)}


@_answers("ModifyLaunchTemplate")
def modify_launch_template(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Move ``$Default``."""
    template = _named(sim, params)
    if params.get("DefaultVersion"):
        sim.compute.templates.set_default(template, params["DefaultVersion"])
    return {"LaunchTemplate": _template(sim, template)}


@_answers("DeleteLaunchTemplateVersions")
def delete_launch_template_versions(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Delete versions, each with its own success or error."""
    template = _named(sim, params)
    names = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
    deleted, kept = sim.compute.templates.delete_versions(template, params["Versions"])
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": [{**names, "VersionNumber": each.number} for each in deleted],
        "UnsuccessfullyDeletedLaunchTemplateVersions": [
            {**names, "VersionNumber": int(number), "ResponseError": {"Code": code, "Message": sentence}}
            for number, code, sentence in kept
        ],
    }


@_answers("DeleteLaunchTemplate")
def delete_launch_template(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Delete a template with all its versions."""
    template = _named(sim, params)
    shown = _template(sim, template)
    sim.compute.templates.delete(template)
    return {"LaunchTemplate": shown}


@_answers("DescribeLaunchTemplates")
def describe_launch_templates(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Templates by id, name or filter."""
    templates = sim.compute.templates
    ids, names = params.get("LaunchTemplateIds") or (), params.get("LaunchTemplateNames") or ()
    found = [templates.find(each) for each in ids] + [templates.find(name=each) for each in names]
    found = found or templates.all()
    filters = params.get("Filters") or ()
    return {
        "LaunchTemplates": [
            _template(sim, each) for each in found if _filtered(filters, {"launch-template-name": each.name}, each.tags)
        ]
    }


@_answers("DescribeLaunchTemplateVersions")
def describe_launch_template_versions(sim: "Simulation", params: Params) -> dict[str, Any]:
    """Versions of one template, or what ``$Latest`` and ``$Default`` mean in all."""
    wanted, resolve = params.get("Versions") or (), params.get("ResolveAlias", False)
    if params.get("LaunchTemplateId") or params.get("LaunchTemplateName"):
        template = _named(sim, params)
        found = [sim.compute.templates.version(template, number) for number in wanted] or sorted(
            template.versions.values(), key=lambda version: -version.number
        )
        least, most = int(params.get("MinVersion", 0)), int(params.get("MaxVersion", template.numbers))
        found = [version for version in found if least <= version.number <= most]
        return {"LaunchTemplateVersions": [_version(sim, template, each, resolve=resolve) for each in found]}
    if not wanted or not set(wanted) <= {"$Latest", "$Default"}:
        raise Refusal(
            "MissingParameter", "The request must contain the parameter LaunchTemplateId or LaunchTemplateName."
        )
    return {
        "LaunchTemplateVersions": [
            _version(sim, template, sim.compute.templates.version(template, number), resolve=resolve)
            for template in sim.compute.templates.all()
            for number in wanted
        ]
    }


# types and the network


@_answers("DescribeInstanceTypes")
def describe_instance_types(sim: "Simulation", params: Params) -> dict[str, Any]:  # noqa: ARG001 - one catalogue for all
    """The types of the simulated EC2."""
    found = [_must_be_type(name) for name in params.get("InstanceTypes") or ()] or instance_types()
    return {"InstanceTypes": [_type(each) for each in found]}


def _must_be_type(name: str) -> InstanceType:
    found = instance_type(name)
    if found is None:
        raise Refusal("InvalidInstanceType", f"The following supplied instance types do not exist: [{name}]")
    return found


def _type(each: InstanceType) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "InstanceType": each.name,
        "CurrentGeneration": True,
        "VCpuInfo": {"DefaultVCpus": each.vcpus},
        "MemoryInfo": {"SizeInMiB": each.memory_mib},
        "ProcessorInfo": {"SupportedArchitectures": [each.architecture]},
        "NetworkInfo": {"MaximumNetworkInterfaces": each.network_interfaces, "DefaultNetworkCardIndex": 0},
    }
    if each.gpus:
        shown["GpuInfo"] = {"Gpus": [{"Count": each.gpus, "Manufacturer": "NVIDIA"}]}
    return shown


@_answers("DescribeSubnets")
def describe_subnets(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The subnets of the one VPC."""
    ids = params.get("SubnetIds") or list(sim.compute.subnets)
    for subnet in ids:
        if subnet not in sim.compute.subnets:
            raise Refusal("InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist")
    found = [_subnet(sim, subnet) for subnet in ids]
    filters = params.get("Filters") or ()
    return {"Subnets": [subnet for subnet in found if _filtered(filters, _subnet_values(subnet), {})]}


def _subnet(sim: "Simulation", subnet: str) -> dict[str, Any]:
    return {
        "SubnetId": subnet,
        "VpcId": sim.compute.vpc_id,
        "AvailabilityZone": sim.compute.subnets[subnet],
        "AvailableIpAddressCount": 4091,
        "CidrBlock": "10.0.0.0/20",
        "DefaultForAz": True,
        "MapPublicIpOnLaunch": False,
        "State": "available",
        "OwnerId": sim.world.account,
    }


def _subnet_values(subnet: dict[str, Any]) -> dict[str, str | None]:
    return {"vpc-id": subnet["VpcId"], "subnet-id": subnet["SubnetId"], "availability-zone": subnet["AvailabilityZone"]}


@_answers("DescribeAvailabilityZones")
def describe_availability_zones(sim: "Simulation", params: Params) -> dict[str, Any]:
    """The zones of the region."""
    zones = params.get("ZoneNames") or sim.compute.zones
    return {
        "AvailabilityZones": [
            {
                "ZoneName": zone,
                "RegionName": sim.world.region,
                "State": "available",
                "ZoneType": "availability-zone",
                "Messages": [],
            }
            for zone in zones
        ]
    }
