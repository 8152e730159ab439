"""The families of ECS-optimized images, as data, and their releases: where AWS publishes each, and how to read it.

Paths, patterns and dates are those of aws-facts 1 and of AWS's pages "Retrieving Amazon ECS-optimized Linux AMI
metadata", "... Windows AMI metadata" and "... Bottlerocket AMI metadata". A family that is not in this table does not
exist for ecsroll: a name that fits no pattern is nobody's, and is never guessed. Everything here is pure.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import Enum

from ecsroll.errors import EcsrollError

__all__ = [
    "FAMILIES",
    "Family",
    "Kind",
    "Release",
    "days_between",
    "family_of",
    "parse_bottlerocket",
    "parse_json",
    "parse_name",
]

_LINUX = "/aws/service/ecs/optimized-ami/"
_WINDOWS = "/aws/service/ami-windows-latest/"
_BOTTLEROCKET = "/aws/service/bottlerocket/"


class Kind(Enum):
    """How a family is published, and so how its parameters are read."""

    LINUX = "linux"
    """JSON under ``<path>/recommended``; every release of about two years under its name and under its AMI id."""
    WINDOWS = "windows"
    """JSON of four keys in ``<path>`` itself; the newest release only."""
    BOTTLEROCKET = "bottlerocket"
    """Plain strings in ``<path>/latest/image_id`` and ``.../image_version``."""


@dataclass(frozen=True, slots=True)
class Family:
    """One line of releases. Its key is AWS's own word for it: the path without the root it shares with its kind."""

    key: str
    path: str
    kind: Kind
    architecture: str
    """As EC2 says it: ``x86_64`` or ``arm64``."""
    name: re.Pattern[str]
    """What an image of this family is called, whole; the one group is the version."""
    note: str | None = None
    """What an operator must know about its lifecycle, when it is dead, frozen or past its end."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The public parameters that together say which release is recommended now."""
        if self.kind is Kind.BOTTLEROCKET:
            return (f"{self.path}/latest/image_id", f"{self.path}/latest/image_version")
        return (f"{self.path}/recommended",) if self.kind is Kind.LINUX else (self.path,)


_AL2022_END = "a preview that ended with 2022.0.20230127; amazon-linux-2023 took its place"
_AL2_END = "Amazon Linux 2 reached its end of life on 2026-06-30; releases that still come are no promise"
_AL1_END = "the Amazon Linux AMI reached its end on 2025-09-15; no release follows 2018.03.20250224"
_DOCKER_END = "AWS no longer updates Docker on Windows Server 2016"
_ECS_1_END = "Bottlerocket builds this variant no more (gone by 1.62)"

_AL2 = r"(2\.0\.\d{8})"
_AL2022 = r"(2022\.0\.\d{8})"
_AL2023 = r"(2023\.0\.\d{8})"
# Until late 2018 releases were lettered; Tokyo's parameters still name them (moto's crawl).
_AL1 = r"(20\d\d\.\d\d\.(?:\d{8}|[a-z]))"

# (key, architecture, name, note). The names are uneven (an -ebs here and not there), so each is spelt out.
_LINUX_ROWS: tuple[tuple[str, str, str, str | None], ...] = (
    ("amazon-linux-2023", "x86_64", rf"al2023-ami-ecs-hvm-{_AL2023}-kernel-6\.1-x86_64", None),
    ("amazon-linux-2023/arm64", "arm64", rf"al2023-ami-ecs-hvm-{_AL2023}-kernel-6\.1-arm64", None),
    ("amazon-linux-2023/gpu", "x86_64", rf"al2023-ami-ecs-gpu-hvm-{_AL2023}-kernel-6\.1-x86_64-ebs", None),
    ("amazon-linux-2023/neuron", "x86_64", rf"al2023-ami-ecs-neuron-hvm-{_AL2023}-kernel-6\.1-x86_64", None),
    ("amazon-linux-2", "x86_64", rf"amzn2-ami-ecs-hvm-{_AL2}-x86_64-ebs", _AL2_END),
    ("amazon-linux-2/arm64", "arm64", rf"amzn2-ami-ecs-hvm-{_AL2}-arm64-ebs", _AL2_END),
    ("amazon-linux-2/gpu", "x86_64", rf"amzn2-ami-ecs-gpu-hvm-{_AL2}-x86_64-ebs", _AL2_END),
    ("amazon-linux-2/inf", "x86_64", rf"amzn2-ami-ecs-inf-hvm-{_AL2}-x86_64-ebs", _AL2_END),
    ("amazon-linux-2/kernel-5.10", "x86_64", rf"amzn2-ami-ecs-kernel-5\.10-hvm-{_AL2}-x86_64-ebs", _AL2_END),
    ("amazon-linux-2/kernel-5.10/arm64", "arm64", rf"amzn2-ami-ecs-kernel-5\.10-hvm-{_AL2}-arm64-ebs", _AL2_END),
    ("amazon-linux-2/kernel-5.10/gpu", "x86_64", rf"amzn2-ami-ecs-kernel-5\.10-gpu-hvm-{_AL2}-x86_64-ebs", _AL2_END),
    ("amazon-linux-2/kernel-5.10/inf", "x86_64", rf"amzn2-ami-ecs-kernel-5\.10-inf-hvm-{_AL2}-x86_64-ebs", _AL2_END),
    ("amazon-linux-2022", "x86_64", rf"al2022-ami-ecs-hvm-{_AL2022}-(?:kernel-5\.15-x86_64|x86_64-ebs)", _AL2022_END),
    ("amazon-linux-2022/arm64", "arm64", rf"al2022-ami-ecs-hvm-{_AL2022}-kernel-5\.15-arm64", _AL2022_END),
    ("amazon-linux-2022/neuron", "x86_64", rf"al2022-ami-ecs-neuron-hvm-{_AL2022}-kernel-5\.15-x86_64", _AL2022_END),
    ("amazon-linux", "x86_64", rf"amzn-ami-{_AL1}-amazon-ecs-optimized", _AL1_END),
)

# There is no 2016 Core. The older root .../optimized-ami/windows_server/ is a fossil of 2019 and is not read.
_WINDOWS_ROWS: tuple[tuple[str, str | None], ...] = (
    ("2016-English-Full", _DOCKER_END),
    ("2019-English-Full", None),
    ("2019-English-Core", None),
    ("2022-English-Full", None),
    ("2022-English-Core", None),
    ("2025-English-Full", None),
    ("2025-English-Core", None),
)

_ARCHITECTURES = ("x86_64", "arm64")
_BOTTLEROCKET_ROWS: tuple[tuple[str, str | None], ...] = (
    ("aws-ecs-1", _ECS_1_END),
    ("aws-ecs-1-nvidia", _ECS_1_END),
    *((f"aws-ecs-{n}{suffix}", None) for n in (2, 3, 4) for suffix in ("", "-fips", "-nvidia", "-nvidia-fips")),
)


def _linux(key: str, architecture: str, name: str, note: str | None) -> Family:
    return Family(key, f"{_LINUX}{key}", Kind.LINUX, architecture, re.compile(name, re.ASCII), note)


def _windows(product: str, note: str | None) -> Family:
    key = f"Windows_Server-{product}-ECS_Optimized"
    name = re.compile(rf"{key}-(\d{{4}}\.\d\d\.\d\d)", re.ASCII)
    return Family(key, f"{_WINDOWS}{key}", Kind.WINDOWS, "x86_64", name, note)


def _bottlerocket(key: str, architecture: str, note: str | None) -> Family:
    name = re.compile(_bottlerocket_name(key, r"(\d+\.\d+\.\d+-[0-9a-f]{8})"), re.ASCII)
    return Family(key, f"{_BOTTLEROCKET}{key}", Kind.BOTTLEROCKET, architecture, name, note)


def _bottlerocket_name(key: str, version: str) -> str:
    # The path says arm64 where the image's name says aarch64.
    return f"bottlerocket-{key.replace('/arm64', '/aarch64').replace('/', '-')}-v{version}"


def _table() -> Iterator[Family]:
    yield from (_linux(*row) for row in _LINUX_ROWS)
    yield from (_windows(*row) for row in _WINDOWS_ROWS)
    for variant, note in _BOTTLEROCKET_ROWS:
        yield from (_bottlerocket(f"{variant}/{architecture}", architecture, note) for architecture in _ARCHITECTURES)


FAMILIES: dict[str, Family] = {family.key: family for family in _table()}
"""Every family by its key, such as ``amazon-linux-2023/arm64`` or ``aws-ecs-2-fips/x86_64``."""


def family_of(name: str) -> Family | None:
    """The family that an image's name states, or None when it is no release's name (aws-facts 1.4).

    ``amzn2-ami-ecs-hvm-2.0.20260924-arm64-ebs`` is of ``amazon-linux-2/arm64``. An image built from AWS's public
    recipe begins with ``unofficial-`` and is nobody's.
    """
    return next((family for family in FAMILIES.values() if family.name.fullmatch(name)), None)


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a family. What a kind does not publish, or an old release no longer, is None."""

    family: Family
    image_id: str
    name: str
    version: str
    """Its last part dates a Linux release, all of it a Windows one; ``1.42.0-5ed15786`` for Bottlerocket."""
    released: date | None = None
    """The day in the version; for Bottlerocket, whose versions have none, the day EC2 got the image."""
    agent: str | None = None
    runtime: str | None = None
    source_image: str | None = None
    os: str | None = None

    @property
    def architecture(self) -> str:
        """As EC2 says it: ``x86_64`` or ``arm64``."""
        return self.family.architecture

    @property
    def order(self) -> tuple[int, ...]:
        """Sorts the releases of one family, the oldest first."""
        if self.family.kind is Kind.BOTTLEROCKET:
            return _numbers(self.version.partition("-")[0])
        head, _, last = self.version.rpartition(".")
        if self.family.kind is Kind.WINDOWS:
            return _numbers(self.version)
        # Amazon Linux 1 was lettered before it was dated: 2018.03.y comes before 2018.03.20190301.
        return (1, int(last)) if last.isdigit() else (0, *_numbers(head), ord(last))


_VERSIONS = {
    Kind.LINUX: re.compile(r"\d+\.\d+\.(?:\d{8}|[a-z])", re.ASCII),
    Kind.WINDOWS: re.compile(r"\d{4}\.\d\d\.\d\d", re.ASCII),
    Kind.BOTTLEROCKET: re.compile(r"\d+\.\d+\.\d+-[0-9a-f]{8}", re.ASCII),
}


def parse_json(family: Family, value: str | None, *, parameter: str) -> Release:
    """The release that a JSON parameter describes: ``recommended``, a name or id node, or a Windows parameter.

    The eight keys of aws-facts 1.2 are known, unknown ones are passed over; only ``image_id`` and ``image_name`` must
    be there, and a version in ``image_version`` or in the name (Windows and early Linux releases have no such key).
    Raises EcsrollError, naming the parameter, for anything else: AWS should not answer so.
    """
    try:
        read = json.loads(value or "")
    except ValueError:
        raise _unreadable(parameter, "it is not JSON") from None
    texts = {key: text for key, text in read.items() if isinstance(text, str)} if isinstance(read, dict) else {}
    image_id, name = texts.get("image_id", ""), texts.get("image_name")
    if not image_id.startswith("ami-") or name is None:
        raise _unreadable(parameter, "it names no image")
    version = _version(family, texts.get("image_version"), name)
    if version is None:
        raise _unreadable(parameter, f"'{name}' has no version that orders it")
    return Release(
        family,
        image_id,
        name,
        version,
        _day(family.kind, version),
        agent=texts.get("ecs_agent_version"),
        runtime=texts.get("ecs_runtime_version"),
        source_image=texts.get("source_image_name"),
        os=texts.get("os"),
    )


def parse_name(image_id: str, name: str, *, created: date) -> Release | None:
    """The release that an image's name states: family, version and day; None when it is no release's name.

    ``created`` is the day EC2 got the image, and stands in where the version has no day.
    """
    for family in FAMILIES.values():
        if found := family.name.fullmatch(name):
            return Release(family, image_id, name, found[1], _day(family.kind, found[1]) or created)
    return None


def parse_bottlerocket(family: Family, image_id: str | None, version: str | None) -> Release:
    """The release in the two plain parameters of Bottlerocket, ``image_id`` and ``image_version`` (aws-facts 1.6).

    Its name is put together, for it is published nowhere: ``bottlerocket-aws-ecs-2-aarch64-v1.42.0-5ed15786``.
    Raises EcsrollError when either is missing or has not the documented form.
    """
    if image_id is None or not image_id.startswith("ami-"):
        raise _unreadable(family.parameters[0], "it names no image")
    if version is None or not _VERSIONS[family.kind].fullmatch(version):
        raise _unreadable(family.parameters[1], f"'{version}' is no version")
    return Release(family, image_id, _bottlerocket_name(family.key, version), version)


def days_between(older: Release, newer: Release) -> int | None:
    """Days from one release to another, negative when it came before; None when either has no day."""
    if older.released is None or newer.released is None:
        return None
    return (newer.released - older.released).days


def _version(family: Family, stated: str | None, name: str) -> str | None:
    """The stated version when it has the form of its kind, else the one in the image's name."""
    if stated is not None and _VERSIONS[family.kind].fullmatch(stated):
        return stated
    found = family.name.fullmatch(name)
    return found[1] if found else None


def _day(kind: Kind, version: str) -> date | None:
    if kind is Kind.BOTTLEROCKET:
        return None
    # Both 2023.0.20260922 and 2026.09.09 end in eight digits; a letter, or a 31st of June, is no date.
    with suppress(ValueError):
        return date.fromisoformat(version.replace(".", "")[-8:])
    return None


def _numbers(dotted: str) -> tuple[int, ...]:
    return tuple(int(part) for part in dotted.split("."))


def _unreadable(parameter: str, why: str) -> EcsrollError:
    hint = "it is AWS's own: look at its value, or name an image with --ami ami-…"
    return EcsrollError(f"the parameter {parameter} can not be read: {why}", hint=hint)
