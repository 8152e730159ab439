"""Images as AWS has them: what ``ami.py`` asks for, answered by SSM and EC2."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ecsroll import asg
from ecsroll.ami import NO_RULES, Catalogue, GroupImages, Image, Parameter, choose
from ecsroll.aws import Aws, chunks
from ecsroll.errors import Refused
from ecsroll.image_rules import ImageRules
from ecsroll.ledger import Place
from ecsroll.model import Group, Launches, Policy, Snapshot

__all__ = ["AwsImages", "choose_images", "group_images", "rules_of"]


@dataclass
class AwsImages:
    """The image source of a real (or simulated) account and region."""

    aws: Aws

    def parameters(self, names: Sequence[str]) -> dict[str, Parameter]:
        """GetParameters, ten names a call; those that are not there are left out."""
        calls = [partial(self.aws.call, "ssm", "get_parameters", Names=list(some)) for some in chunks(names, 10)]
        found = [_parameter(said) for answer in self.aws.gather(calls) for said in answer.get("Parameters", ())]
        return {parameter.name: parameter for parameter in found}

    def by_path(self, path: str) -> list[Parameter]:
        """Every parameter one level under a path."""
        return [_parameter(said) for said in self.aws.pages("ssm", "get_parameters_by_path", "Parameters", Path=path)]

    def images(self, ids: Sequence[str]) -> dict[str, Image]:
        """DescribeImages, deprecated ones too: two-year-old hosts run them (aws-facts 1.3).

        By filter, as one unknown id among ImageIds would fail the whole call.
        """
        calls = [
            partial(
                self.aws.pages,
                "ec2",
                "describe_images",
                "Images",
                Filters=[{"Name": "image-id", "Values": list(some)}],
                IncludeDeprecated=True,
            )
            for some in chunks(ids, 200)
        ]
        return {said["ImageId"]: _image(said) for images in self.aws.gather(calls) for said in images}


def _parameter(said: dict[str, Any]) -> Parameter:
    modified = said.get("LastModifiedDate") or datetime.fromtimestamp(0, UTC)
    return Parameter(name=said["Name"], value=said["Value"], version=said.get("Version", 1), modified=modified)


def _image(said: dict[str, Any]) -> Image:
    created = said.get("CreationDate") or "1970-01-01T00:00:00.000Z"
    deprecated = said.get("DeprecationTime")
    return Image(
        id=said["ImageId"],
        name=said.get("Name", ""),
        owner=said.get("ImageOwnerAlias") or said.get("OwnerId", ""),
        architecture=said.get("Architecture", "x86_64"),
        created=datetime.fromisoformat(created),
        deprecated=datetime.fromisoformat(deprecated) if deprecated else None,
        root_device=said.get("RootDeviceName"),
        state=said.get("State", "available"),
    )


def group_images(seen: Snapshot) -> list[GroupImages]:
    """What every group runs and would launch: one entry for each template that a group names."""
    return [
        GroupImages(
            name=f"{group.name}/{asg.name_of(launches)}",
            hosts={
                host.id: host.image
                for host in seen.of(group)
                if host.image is not None and host.live and asg.launch_of(group, host) == launches
            },
            launches=launches.image,
        )
        for group in seen.groups.values()
        for launches in group.launches
    ]


def rules_of(policy: Policy, now: datetime) -> ImageRules:
    """What the policy says that an image has to be."""
    return ImageRules(policy.min_ami_age, frozenset(policy.denied_images), now)


def choose_images(target: str, seen: Snapshot, aws: Aws, rules: ImageRules = NO_RULES) -> dict[str, str]:
    """The image for each launch of each group (``group/template``), as ``--ami`` and the image rules want it.

    Raises Refused where a group follows AWS's public parameter and something else than what that says is wanted:
    changing what such a group launches would mean changing how its template refers to it.
    """
    catalogue = Catalogue(AwsImages(aws))
    images = choose(target, group_images(seen), catalogue, rules)
    for group in seen.groups.values():
        for launches in group.launches:
            _check_public(target, group, launches, images[f"{group.name}/{asg.name_of(launches)}"])
            _check_rules(group, launches, catalogue, rules)
    return images


def _check_public(target: str, group: Group, launches: Launches, image: str) -> None:
    if launches.place is not Place.PUBLIC or image == launches.image or target in {"recommended", "keep"}:
        return
    raise Refused(
        f"group {group.name!r} launches what {launches.parameter} says: it can not be pinned to {image}",
        hint="use terraform/modules/ecs_instances (a parameter of its own, tagged ecsroll:group), or --ami keep",
    )


def _check_rules(group: Group, launches: Launches, catalogue: Catalogue, rules: ImageRules) -> None:
    """A group on AWS's own parameter launches what that says, whatever the rules leave to choose from."""
    if launches.place is not Place.PUBLIC or launches.image is None:
        return
    reason = catalogue.against(launches.image, rules)
    if reason is not None:
        raise Refused(
            f"group {group.name!r} launches what {launches.parameter} says: {launches.image} {reason}",
            hint="use terraform/modules/ecs_instances (a parameter of its own), or leave out the rule for this roll",
        )
