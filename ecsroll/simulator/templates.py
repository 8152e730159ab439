"""Launch templates with their versions, and the launch configurations that came before them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["LaunchConfiguration", "Template", "TemplateVersion", "Templates"]

Data = dict[str, Any]


@dataclass(slots=True, eq=False)
class TemplateVersion:
    """What a launch template said at one moment; never changed afterwards."""

    number: int
    data: Data
    at: datetime
    description: str | None = None


@dataclass(slots=True, eq=False)
class Template:
    """A launch template."""

    id: str
    name: str
    created_at: datetime
    versions: dict[int, TemplateVersion] = field(default_factory=dict)
    default: int = 1
    numbers: int = 0
    """The highest number given away: a deleted version's number never comes again."""
    tags: dict[str, str] = field(default_factory=dict)
    asked: dict[str, tuple[Data, TemplateVersion]] = field(default_factory=dict)
    """What each client token asked for, and the version it was answered with."""

    @property
    def latest(self) -> int:
        """The highest version that still exists."""
        return max(self.versions)

    def version(self, number: str | int) -> TemplateVersion | None:
        """The version that ``3``, ``$Latest`` or ``$Default`` means now."""
        if number == "$Latest":
            return self.versions[self.latest]
        if number == "$Default":
            return self.versions[self.default]
        return self.versions.get(int(number)) if str(number).isdigit() else None


@dataclass(slots=True, eq=False)
class LaunchConfiguration:
    """A launch configuration: immutable, named, in members of the Auto Scaling API."""

    name: str
    arn: str
    at: datetime
    data: Data


class Templates:
    """The account's launch templates and launch configurations."""

    def __init__(self, sim: "Simulation") -> None:
        self.world = sim.world
        self.by_id: dict[str, Template] = {}
        self.configurations: dict[str, LaunchConfiguration] = {}
        self._by_name: dict[str, Template] = {}
        self._made: dict[str, tuple[str, Template]] = {}

    # finding

    def find(self, template_id: str | None = None, name: str | None = None) -> Template:
        """The template of an id or a name; refuses unknown ones."""
        if template_id:
            found = self.by_id.get(template_id)
            if found is None:
                raise Refusal(
                    "InvalidLaunchTemplateId.NotFound",
                    f"The specified launch template, with template ID {template_id}, does not exist.",
                )
            return found
        if not name:
            raise Refusal("MissingParameter", "The request must contain the parameter LaunchTemplateId.")
        if name not in self._by_name:
            raise Refusal(
                "InvalidLaunchTemplateName.NotFoundException",
                f"The specified launch template, with template name {name}, does not exist.",
            )
        return self._by_name[name]

    def version(self, template: Template, number: str | int) -> TemplateVersion:
        """A version of a template; refuses unknown ones."""
        found = template.version(number)
        if found is None:
            raise Refusal(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"Could not find the specified version {number} for the launch template with ID {template.id}.",
            )
        return found

    def all(self) -> list[Template]:
        """All templates in the order of their making."""
        return list(self.by_id.values())

    # templates

    def create(
        self,
        name: str,
        data: Data,
        *,
        description: str | None = None,
        tags: dict[str, str] | None = None,
        token: str | None = None,
    ) -> Template:
        """Make a template with its first version."""
        if token and token in self._made:
            return self._made[token][1]
        if name in self._by_name:
            raise Refusal("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        made = Template(f"lt-{self.world.hex(17)}", name, self.world.time, tags=dict(tags or {}))
        self._number(made, data, description)
        self.by_id[made.id] = self._by_name[name] = made
        if token:
            self._made[token] = (name, made)
        return made

    def create_version(
        self,
        template: Template,
        data: Data,
        *,
        source: str | None = None,
        description: str | None = None,
        token: str | None = None,
    ) -> TemplateVersion:
        """Add a version: the source's parameters, and over them what is given, member by member at the top level.

        A client token answers with what it made the first time, even if that version was deleted since.
        """
        request = {"data": data, "source": source, "description": description}
        if token and token in template.asked:
            asked, made = template.asked[token]
            if asked != request:
                raise Refusal(
                    "IdempotentParameterMismatch",
                    f"The client token {token} was used before with other parameters.",
                )
            return made
        base = self.version(template, source).data if source else {}
        made = self._number(template, {**base, **data}, description)
        if token:
            template.asked[token] = (request, made)
        return made

    def _number(self, template: Template, data: Data, description: str | None) -> TemplateVersion:
        template.numbers += 1
        made = TemplateVersion(template.numbers, data, self.world.time, description)
        template.versions[made.number] = made
        return made

    def set_default(self, template: Template, number: str) -> None:
        """Let ``$Default`` mean another version."""
        template.default = self.version(template, number).number

    def delete_versions(
        self, template: Template, numbers: Iterable[str]
    ) -> tuple[list[TemplateVersion], list[tuple[str, str, str]]]:
        """Delete versions one by one: those deleted, and (number, code, sentence) of those that were not."""
        deleted: list[TemplateVersion] = []
        kept: list[tuple[str, str, str]] = []
        for number in numbers:
            if not number.isdigit():
                raise Refusal("InvalidParameterValue", f"Invalid launch template version: {number}")
            found = template.versions.get(int(number))
            if found is None:
                sentence = f"Launch template version {number} does not exist for template {template.id}"
                kept.append((number, "launchTemplateVersionDoesNotExist", sentence))
            elif found.number == template.default:
                # The default version has to be moved first, or the whole template deleted.
                kept.append((number, "unexpectedError", f"Cannot delete the default version {number}."))
            else:
                deleted.append(template.versions.pop(found.number))
        return deleted, kept

    def restore(self, template: Template) -> None:
        """Take in a template that was made elsewhere."""
        self.by_id[template.id] = self._by_name[template.name] = template

    def delete(self, template: Template) -> None:
        """Delete a template with all its versions; groups that use it fail at their next launch."""
        self.by_id.pop(template.id)
        self._by_name.pop(template.name)

    # launch configurations

    def configure(self, name: str, data: Data) -> LaunchConfiguration:
        """Make a launch configuration."""
        if name in self.configurations:
            raise Refusal(
                "AlreadyExists",
                f"Launch Configuration by this name already exists - A launch configuration already exists with the "
                f"name {name}",
            )
        world = self.world
        arn = (
            f"arn:aws:autoscaling:{world.region}:{world.account}:launchConfiguration:{world.uuid()}"
            f":launchConfigurationName/{name}"
        )
        made = self.configurations[name] = LaunchConfiguration(name, arn, world.time, data)
        return made

    def configuration(self, name: str) -> LaunchConfiguration:
        """The launch configuration of that name; refuses unknown ones."""
        if name not in self.configurations:
            raise Refusal(
                "ValidationError", f"Launch configuration name not found - Launch configuration {name} not found"
            )
        return self.configurations[name]
