"""What a group launches, read from templates, parameters and launch configurations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ecsroll.answers import Answer, launch_names, launches_by, parameter_in
from ecsroll.aws import Aws
from ecsroll.errors import AwsRefusal, NotFound
from ecsroll.ledger import Place
from ecsroll.model import Launches

__all__ = ["GROUP_TAG", "LaunchReader"]

GROUP_TAG = "ecsroll:group"
"""The tag by which a parameter says that it belongs to one group, and may be changed for it."""


@dataclass
class LaunchReader:
    """Reads what groups launch; an answer is kept until it is asked for afresh or the group's reference changes."""

    aws: Aws
    known: dict[str, tuple[object, tuple[Launches, ...]]] = field(default_factory=dict)
    owners: dict[str, str | None] = field(default_factory=dict)
    followers: dict[str, set[str]] | None = None
    """Parameter -> groups outside the roll whose templates read it; None until it is asked for."""

    def of(self, group: Answer, *, afresh: bool, others: Sequence[Answer]) -> tuple[Launches, ...]:
        """What the group launches now, one for each template that it names.

        ``others``: the groups of the region outside the roll, to tell with whom a template is shared.
        """
        specs, configuration = launch_names(group)
        key = (tuple((spec.get("LaunchTemplateId"), spec.get("Version")) for spec in specs), configuration)
        name = group["AutoScalingGroupName"]
        if not afresh and name in self.known and self.known[name][0] == key:
            return self.known[name][1]
        if configuration is not None:
            found: tuple[Launches, ...] = (self._configuration(configuration),)
        else:
            found = tuple(self._template(spec, name, others) for spec in specs)
        self.known[name] = (key, found)
        return found

    def _configuration(self, name: str) -> Launches:
        answer = self.aws.call("autoscaling", "describe_launch_configurations", LaunchConfigurationNames=[name])
        if not answer.get("LaunchConfigurations"):
            raise NotFound(f"the launch configuration {name} is gone", hint="give the group a launch template")
        return Launches(place=Place.CONFIGURATION, name=name, image=answer["LaunchConfigurations"][0]["ImageId"])

    def _template(self, spec: Answer, group: str, others: Sequence[Answer]) -> Launches:
        version = self._version(spec)
        parameter = parameter_in(version.get("LaunchTemplateData", {}).get("ImageId") or "")
        value = self.value(parameter) if parameter else None
        launches = launches_by(spec, version, value, self._owner(parameter) if parameter else None, group)
        sharing = {name for other in others if (name := _shares(launches, other))}
        if launches.place is Place.PARAMETER and parameter is not None:
            sharing |= self._followers(others).get(parameter, set())
        return replace(launches, shared_with=tuple(sorted(sharing)))

    def _followers(self, others: Sequence[Answer]) -> dict[str, set[str]]:
        """Which groups read a parameter by a template of their own. Asked once, and only where the roll sets one."""
        if self.followers is None:
            self.followers = {}
            specs = [(each["AutoScalingGroupName"], spec) for each in others for spec in launch_names(each)[0]]
            images = self._images_of({_reference(spec) for _, spec in specs}) if specs else {}
            for group, spec in specs:
                parameter = parameter_in(images.get(_reference(spec), ""))
                if parameter is not None:
                    self.followers.setdefault(parameter, set()).add(group)
        return self.followers

    def _images_of(self, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """``(template, version)`` -> its ImageId: the latest and default ones of all templates in one listing."""
        said = self.aws.pages(
            "ec2", "describe_launch_template_versions", "LaunchTemplateVersions", Versions=["$Latest", "$Default"]
        )
        latest = {entry["LaunchTemplateId"]: entry["VersionNumber"] for entry in said}
        for entry in said:
            latest[entry["LaunchTemplateId"]] = max(latest[entry["LaunchTemplateId"]], entry["VersionNumber"])
        ids = {entry["LaunchTemplateName"]: entry["LaunchTemplateId"] for entry in said}
        found: dict[tuple[str, str], str] = {}
        for entry in said:
            template, number = entry["LaunchTemplateId"], entry["VersionNumber"]
            names = [str(number)] + ["$Default"] * entry.get("DefaultVersion", False)
            names += ["$Latest"] * (number == latest[template])
            found |= {(template, name): entry["LaunchTemplateData"].get("ImageId", "") for name in names}
        found |= {
            (name, version): found[ids[name], version] for name, version in wanted if (ids.get(name), version) in found
        }
        for template, version in sorted(wanted - found.keys()):
            key = "LaunchTemplateId" if template.startswith("lt-") else "LaunchTemplateName"
            found[template, version] = self._version({key: template, "Version": version})["LaunchTemplateData"].get(
                "ImageId", ""
            )
        return found

    def _version(self, spec: Answer) -> Mapping[str, Any]:
        which: dict[str, Any] = (
            {"LaunchTemplateId": spec["LaunchTemplateId"]}
            if "LaunchTemplateId" in spec
            else {"LaunchTemplateName": spec["LaunchTemplateName"]}
        )
        version = spec.get("Version") or "$Default"
        read = partial(
            self.aws.pages,
            "ec2",
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            **which,
            Versions=[version],
        )
        try:
            found: list[Mapping[str, Any]] = self.aws.shown(read, _no_version)
        except AwsRefusal as no:
            if not _no_version(no):
                raise
            found = []
        if not found:
            raise NotFound(f"launch template {which} has no version {version}", hint="mend the group first")
        return found[0]

    def value(self, parameter: str) -> str | None:
        """What a parameter resolves to, or None while it has no (valid) value."""
        try:
            answer = self.aws.call("ssm", "get_parameter", Name=parameter)
        except AwsRefusal as no:
            if no.code in {"ParameterNotFound", "ParameterVersionNotFound"}:
                return None
            raise
        return str(answer["Parameter"]["Value"])

    def _owner(self, parameter: str) -> str | None:
        """The group that a parameter is tagged for; one with a version or label selector can not be changed."""
        if parameter.startswith("/aws/") or ":" in parameter:
            return None
        if parameter not in self.owners:
            answer = self.aws.call("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId=parameter)
            tags = {tag["Key"]: tag["Value"] for tag in answer.get("TagList", ())}
            self.owners[parameter] = tags.get(GROUP_TAG)
        return self.owners[parameter]


def _no_version(no: AwsRefusal) -> bool:
    """``InvalidLaunchTemplateId.VersionNotFound``; with a name, ``InvalidLaunchTemplateName.…``."""
    return no.code.endswith("VersionNotFound")


def _reference(spec: Answer) -> tuple[str, str]:
    return spec.get("LaunchTemplateId") or spec["LaunchTemplateName"], spec.get("Version") or "$Default"


def _shares(launches: Launches, other: Answer) -> str | None:
    """The other group's name, if what the roll would change is what it launches too (DESIGN 5, Target)."""
    if launches.place is Place.PUBLIC:
        return None
    specs, _ = launch_names(other)
    for spec in specs:
        if spec.get("LaunchTemplateId") == launches.name:
            version = spec.get("Version") or "$Default"
            follows_ours = version == "$Latest" or (version == "$Default" and launches.spec == "$Default")
            if follows_ours or launches.place is Place.PARAMETER:
                return str(other["AutoScalingGroupName"])
    return None
