"""SSM Parameter Store: what accounts keep in it, and the door to what AWS publishes."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["IMAGE_DATA_TYPE", "Parameter", "Parameters", "Stored"]

IMAGE_DATA_TYPE = "aws:ec2:image"
STANDARD_LIMIT, ADVANCED_LIMIT = 4096, 8192
VERSIONS_KEPT = 100
VALIDATION_TAKES = (2.0, 10.0)  # seconds until a parameter of type aws:ec2:image can be read


@dataclass(slots=True, eq=False)
class Parameter:
    """One version of one parameter."""

    name: str
    value: str
    version: int
    at: datetime
    arn: str
    type: str = "String"
    data_type: str = "text"
    tier: str = "Standard"
    description: str = ""
    labels: list[str] = field(default_factory=list)
    selector: str = ""


@dataclass(slots=True, eq=False)
class Stored:
    """A parameter with its history, oldest version first. No version: the first value is still being validated."""

    name: str
    arn: str
    versions: list[Parameter] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    numbers: int = 0
    """The highest version number given away; one that failed its validation is never used again."""


class Parameters:
    """The parameters of the account; names under ``/aws`` are AWS's, and only read."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.short_pages = False
        """GetParametersByPath answers short, even empty, pages with a token (aws-facts 6.5)."""
        self.published: dict[str, str] = {}
        """What AWS's public parameters say, where it is not what the generated releases would say."""
        self._stored: dict[str, Stored] = {}

    # reading

    def get(self, name: str) -> Parameter | None:
        """The parameter of that name; ``:3`` or ``:label`` behind it chooses a version."""
        bare, selector = _split(self._without_arn(name))
        if bare in self.published:
            return Parameter(bare, self.published[bare], 1, self.world.time, f"arn:aws:ssm:{self.world.region}::{bare}")
        if bare.startswith("/aws/"):
            return self.sim.images.published(bare) if selector in ("", self._published_version(bare)) else None
        stored = self._stored.get(bare)
        if stored is None or not stored.versions:
            return None
        return _choose(stored.versions, selector)

    def must_get(self, name: str) -> Parameter:
        """The parameter, or AWS's refusal: of its name, or of the version only."""
        found = self.get(name)
        if found is not None:
            return found
        bare, selector = _split(self._without_arn(name))
        if selector and self.get(bare) is not None:
            raise Refusal(
                "ParameterVersionNotFound",
                f"Systems Manager could not find version {selector} of {bare}. Verify the version and try again.",
            )
        # AWS's own text for it is empty.
        raise Refusal("ParameterNotFound", "")

    def value(self, name: str) -> str | None:
        """The value alone; None where there is no such parameter."""
        found = self.get(name)
        return None if found is None else found.value

    def below(self, path: str, *, recursive: bool = False) -> list[Parameter]:
        """What lies under a path, in the order of names: one level, or all."""
        prefix = path.rstrip("/") + "/"
        names = self.sim.images.names_below(prefix) if prefix.startswith("/aws/") else self._names_below(prefix)
        chosen = sorted(name for name in names if recursive or "/" not in name[len(prefix) :])
        return [found for name in chosen if (found := self.get(name)) is not None]

    def all(self) -> list[Stored]:
        """The account's own parameters that can be read, by name."""
        return [self._stored[name] for name in sorted(self._stored) if self._stored[name].versions]

    def history(self, name: str) -> list[Parameter]:
        """All versions that are kept, oldest first."""
        return list(self._must_own(name).versions)

    # writing

    def put(
        self,
        name: str,
        value: str,
        *,
        overwrite: bool = False,
        tags: dict[str, str] | None = None,
        data_type: str = "text",
        type: str | None = None,  # noqa: A002 - SSM's own word
        tier: str = "Standard",
        description: str = "",
    ) -> int:
        """Write a value; the number of the new version."""
        _check_name(name)
        _check_value(value, tier)
        stored = self._stored.get(name)
        _check_overwriting(stored, overwrite=overwrite, tags=bool(tags))
        if stored is None:
            stored = self._stored[name] = Stored(name, self._arn(name))
        stored.tags.update(tags or {})
        last = stored.versions[-1] if stored.versions else None
        stored.numbers += 1
        version = Parameter(
            name=name,
            value=value,
            version=stored.numbers,
            at=self.world.time,
            arn=stored.arn,
            type=type or (last.type if last else "String"),
            data_type=data_type,
            tier=tier,
            description=description or (last.description if last else ""),
        )
        self._land(stored, version)
        return version.version

    def _land(self, stored: Stored, version: Parameter) -> None:
        """Make a version readable. AWS answers a put of an image id at once and validates it late, in silence."""
        if version.data_type != IMAGE_DATA_TYPE:
            _append(stored, version)
            return

        def validate() -> None:
            if self.sim.images.get(version.value) is not None and self._stored.get(stored.name) is stored:
                _append(stored, version)

        self.world.after(self.world.draw(VALIDATION_TAKES), validate)

    def delete(self, name: str) -> bool:
        """Remove a parameter with its history and tags; whether there was one."""
        if name.startswith("/aws/"):
            raise _denied(name)
        stored = self._stored.pop(name, None)
        return stored is not None and bool(stored.versions)

    def label(self, name: str, version: int | None, labels: Iterable[str]) -> int:
        """Move labels to a version; the newest if none is named."""
        stored = self._must_own(name)
        chosen = _choose(stored.versions, "" if version is None else str(version))
        if chosen is None:
            raise Refusal("ParameterVersionNotFound", f"Systems Manager could not find version {version} of {name}.")
        for label in labels:
            for other in stored.versions:
                if label in other.labels:
                    other.labels.remove(label)
            chosen.labels.append(label)
        return chosen.version

    # tags

    def tags(self, name: str) -> dict[str, str]:
        """The tags of a parameter: changed in place by those who tag."""
        stored = self._stored.get(name)
        if stored is None or not stored.versions:
            raise Refusal(
                "InvalidResourceId",
                "The resource ID is not valid. Verify that you entered the correct ID and try again.",
            )
        return stored.tags

    # names

    def _names_below(self, prefix: str) -> Iterator[str]:
        return (name for name, stored in self._stored.items() if name.startswith(prefix) and stored.versions)

    def _published_version(self, name: str) -> str:
        found = self.sim.images.published(name)
        return "" if found is None else str(found.version)

    def _must_own(self, name: str) -> Stored:
        stored = self._stored.get(name)
        if stored is None or not stored.versions:
            raise Refusal("ParameterNotFound", "")
        return stored

    def _arn(self, name: str) -> str:
        slash = "" if name.startswith("/") else "/"
        return f"arn:aws:ssm:{self.world.region}:{self.world.account}:parameter{slash}{name}"

    def _without_arn(self, name: str) -> str:
        if not name.startswith("arn:"):
            return name
        rest = name.split(":parameter", 1)[-1]
        return rest if rest in self._stored or rest.count("/") > 1 else rest.removeprefix("/")


def _split(name: str) -> tuple[str, str]:
    bare, _, selector = name.partition(":")
    return bare, selector


def _choose(versions: list[Parameter], selector: str) -> Parameter | None:
    if not selector:
        return versions[-1]
    for version in versions:
        if str(version.version) == selector or selector in version.labels:
            return version
    return None


def _append(stored: Stored, version: Parameter) -> None:
    """Add the newest version; the oldest of a hundred makes room, unless a label holds it."""
    if len(stored.versions) >= VERSIONS_KEPT:
        if stored.versions[0].labels:
            raise Refusal(
                "ParameterMaxVersionLimitExceeded",
                f"You attempted to create a new version of {stored.name} by calling the PutParameter API with the "
                "overwrite flag. Version 1, the oldest version, can't be deleted because it has a label associated "
                "with it. Move the label to another version of the parameter, and try again.",
            )
        del stored.versions[0]
    stored.versions.append(version)


def _denied(name: str) -> Refusal:
    return Refusal("AccessDeniedException", f"No access to reserved parameter name: {name}.")


def _check_name(name: str) -> None:
    if re.match(r"/?(aws|ssm)(/|$)", name, re.IGNORECASE):
        raise _denied(name)
    if not re.fullmatch(r"[A-Za-z0-9_.\-/]{1,1011}", name):
        raise Refusal(
            "ValidationException",
            'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist '
            "of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the "
            "following 3 symbols .-_",
        )
    if "/" in name and not name.startswith("/"):
        raise Refusal("ValidationException", "Parameter name must be a fully qualified name.")


def _check_value(value: str, tier: str) -> None:
    size = len(value.encode())
    if tier == "Standard" and size > STANDARD_LIMIT:
        raise Refusal(
            "ValidationException",
            f"Standard tier parameters support a maximum parameter value of {STANDARD_LIMIT} characters. To create a "
            "larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, "
            "see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html",
        )
    if size > ADVANCED_LIMIT:
        raise Refusal("ValidationException", f"Parameters support a maximum value of {ADVANCED_LIMIT} characters.")


def _check_overwriting(stored: Stored | None, *, overwrite: bool, tags: bool) -> None:
    """Only what is new can be tagged with its value, and only what may be overwritten is written again."""
    if tags and overwrite:
        raise Refusal(
            "ValidationException",
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, "
            "please remove overwrite flag. To update tags for an existing parameter, please use "
            "AddTagsToResource or RemoveTagsFromResource.",
        )
    if stored is not None and stored.versions and not overwrite:
        raise Refusal(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        )
