"""AMIs: the ECS-optimized families with their releases, what AWS says of them in public parameters, custom images.

The releases are generated, not recorded: the dates and versions stand in a few tables, an image's id is a hash of
region and name. What all simulations share is computed once a region and never changed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ecsroll.simulator.parameters import Parameter
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["BOTTLEROCKET", "ECS_OWNER", "LINUX", "WINDOWS", "Family", "Image", "Images"]

ECS_OWNER = "591542846629"
BOTTLEROCKET_OWNER = "149721548608"
WINDOWS_OWNER = "801119661308"
LINUX = "/aws/service/ecs/optimized-ami/"
WINDOWS = "/aws/service/ami-windows-latest/"
BOTTLEROCKET = "/aws/service/bottlerocket/"


@dataclass(frozen=True, slots=True)
class Release:
    """What one release date brought: agent, container runtime, base image."""

    date: str
    agent: str
    runtime: str
    base: str


@dataclass(frozen=True, slots=True)
class Family:
    """A line of images; ``name`` makes an image's name of a release's date."""

    root: str
    name: str
    os: str
    base_name: str
    architecture: str = "x86_64"
    version: str = "2023.0.{date}"
    volume: str = "gp3"
    owner: str = ECS_OWNER
    platform: str | None = None
    releases: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """One AMI."""

    id: str
    name: str
    created_at: datetime
    family: str | None = None
    date: str = ""
    version: str = ""
    os: str = ""
    agent: str = ""
    runtime: str = ""
    source_image_name: str = ""
    architecture: str = "x86_64"
    owner: str = ECS_OWNER
    description: str = ""
    volume: str = "gp3"
    platform: str | None = None
    public: bool = True

    @property
    def deprecated_at(self) -> datetime | None:
        """Two years after creation, EC2's default for public images; custom ones have none."""
        made = self.created_at
        day = 28 if (made.month, made.day) == (2, 29) else made.day
        return made.replace(year=made.year + 2, day=day) if self.public else None


# Agent, Docker and base image move on their own: two releases may differ in any of them (aws-facts 1.4).
_AL2023_RELEASES = (
    Release("20240920", "1.87.0", "Docker version 25.0.6", "2023.5.20240916.0"),
    Release("20260701", "1.104.0", "Docker version 25.0.14", "2023.12.20260629.0"),
    Release("20260715", "1.105.0", "Docker version 25.0.14", "2023.12.20260713.1"),
    Release("20260729", "1.105.1", "Docker version 25.0.14", "2023.12.20260727.0"),
    Release("20260805", "1.106.0", "Docker version 25.0.16", "2023.12.20260803.3"),
    Release("20260813", "1.106.1", "Docker version 25.0.16", "2023.12.20260803.3"),
    Release("20260826", "1.106.1", "Docker version 25.0.16", "2023.12.20260824.0"),
    Release("20260909", "1.106.2", "Docker version 25.0.16", "2023.12.20260907.0"),
    Release("20260914", "1.107.0", "Docker version 25.0.16", "2023.12.20260911.0"),
    Release("20260916", "1.107.0", "Docker version 25.0.16", "2023.12.20260914.1"),
    Release("20260918", "1.107.0", "Docker version 25.0.16", "2023.12.20260916.0"),
    Release("20260922", "1.107.0", "Docker version 25.0.16", "2023.12.20260918.0"),
)
_AL2_RELEASES = (
    Release("20241001", "1.87.0", "Docker version 25.0.6", "2.0.20240916.0"),
    Release("20260701", "1.104.0", "Docker version 25.0.14", "2.0.20260629.0"),
    Release("20260715", "1.105.0", "Docker version 25.0.14", "2.0.20260713.0"),
    Release("20260729", "1.105.1", "Docker version 25.0.14", "2.0.20260727.0"),
    Release("20260813", "1.106.1", "Docker version 25.0.16", "2.0.20260810.0"),
    Release("20260826", "1.106.1", "Docker version 25.0.16", "2.0.20260824.0"),
    Release("20260909", "1.106.2", "Docker version 25.0.16", "2.0.20260907.0"),
    Release("20260916", "1.107.0", "Docker version 25.0.16", "2.0.20260914.0"),
    Release("20260924", "1.107.0", "Docker version 25.0.16", "2.0.20260923.0"),
)
_AL1_RELEASES = (
    Release("20240821", "1.51.0", "Docker version 20.10.13", "2018.03.0.20231218.0"),
    Release("20250224", "1.51.0", "Docker version 20.10.13", "2018.03.0.20231218.0"),
)
_AL2022_RELEASES = (
    Release("20221207", "1.67.0", "Docker version 20.10.17", "2022.0.20221207.4"),
    Release("20230127", "1.68.1", "Docker version 20.10.17", "2022.0.20230118.3"),
)
# Only about the last three Windows images stay public (aws-facts 1.5).
_WINDOWS_RELEASES = (
    Release("2026.07.15", "1.104.0", "Docker (CE) version 25.0.6", ""),
    Release("2026.08.12", "1.106.0", "Docker (CE) version 25.0.6", ""),
    Release("2026.09.09", "1.106.2", "Docker (CE) version 25.0.6", ""),
)
# For Bottlerocket the base is its own version; the date is the day of publication.
_BOTTLEROCKET_RELEASES = (
    Release("20260720", "1.104.0", "containerd 2.1", "1.60.0"),
    Release("20260817", "1.106.0", "containerd 2.1", "1.61.0"),
    Release("20260914", "1.107.0", "containerd 2.1", "1.62.1"),
)


def _al2023(path: str, middle: str = "", arch: str = "x86_64", ebs: str = "") -> Family:
    return Family(
        root=f"{LINUX}amazon-linux-2023{path}",
        name=f"al2023-ami-ecs-{middle}hvm-2023.0.{{date}}-kernel-6.1-{arch}{ebs}",
        os="Amazon Linux 2023",
        base_name=f"al2023-ami-minimal-{{base}}-kernel-6.1-{arch}",
        architecture=arch,
        releases=_AL2023_RELEASES if not middle.startswith("gpu") else _AL2023_RELEASES[1:],
    )


def _al2(path: str, middle: str = "", arch: str = "x86_64") -> Family:
    return Family(
        root=f"{LINUX}amazon-linux-2{path}",
        name=f"amzn2-ami-ecs-{middle}hvm-2.0.{{date}}-{arch}-ebs",
        os="Amazon Linux 2",
        base_name=f"amzn2-ami-minimal-hvm-{{base}}-{arch}-ebs",
        architecture=arch,
        version="2.0.{date}",
        volume="gp2",
        releases=_AL2_RELEASES,
    )


def _windows(product: str) -> Family:
    return Family(
        root=f"{WINDOWS}Windows_Server-{product}-ECS_Optimized",
        name=f"Windows_Server-{product}-ECS_Optimized-{{date}}",
        os=f"Windows Server {product[:4]}",
        base_name="",
        version="{date}",
        volume="gp2",
        owner=WINDOWS_OWNER,
        platform="windows",
        releases=_WINDOWS_RELEASES,
    )


def _bottlerocket(variant: str, arch: str) -> Family:
    # The path says arm64 where the image's name says aarch64.
    in_name = "aarch64" if arch == "arm64" else arch
    return Family(
        root=f"{BOTTLEROCKET}{variant}/{arch}",
        name=f"bottlerocket-{variant}-{in_name}-v{{base}}-{{commit}}",
        os="Bottlerocket",
        base_name="",
        architecture=arch,
        version="{base}-{commit}",
        owner=BOTTLEROCKET_OWNER,
        releases=_BOTTLEROCKET_RELEASES,
    )


def _families() -> Iterator[Family]:
    yield _al2023("")
    yield _al2023("/arm64", arch="arm64")
    yield _al2023("/gpu", "gpu-", ebs="-ebs")
    yield _al2023("/neuron", "neuron-")
    for path, middle in (("", ""), ("/kernel-5.10", "kernel-5.10-")):
        yield _al2(path, middle)
        yield _al2(f"{path}/arm64", middle, arch="arm64")
        yield _al2(f"{path}/gpu", f"{middle}gpu-")
        yield _al2(f"{path}/inf", f"{middle}inf-")
    yield Family(
        f"{LINUX}amazon-linux",
        "amzn-ami-2018.03.{date}-amazon-ecs-optimized",
        "Amazon Linux",
        "amzn-ami-minimal-hvm-{base}-x86_64-ebs",
        version="2018.03.{date}",
        volume="gp2",
        releases=_AL1_RELEASES,
    )
    yield Family(
        f"{LINUX}amazon-linux-2022",
        "al2022-ami-ecs-hvm-2022.0.{date}-kernel-5.15-x86_64",
        "Amazon Linux 2022",
        "al2022-ami-minimal-{base}-kernel-5.15-x86_64",
        version="2022.0.{date}",
        releases=_AL2022_RELEASES,
    )
    for product in ("2019-English-Full", "2019-English-Core", "2022-English-Full", "2022-English-Core"):
        yield _windows(product)
    for product in ("2016-English-Full", "2025-English-Full", "2025-English-Core"):
        yield _windows(product)
    for variant in ("aws-ecs-2", "aws-ecs-2-nvidia", "aws-ecs-2-fips", "aws-ecs-2-nvidia-fips", "aws-ecs-3"):
        yield _bottlerocket(variant, "x86_64")
        yield _bottlerocket(variant, "arm64")


FAMILIES: dict[str, Family] = {family.root: family for family in _families()}


def _hash(*words: str) -> str:
    return hashlib.sha256("|".join(words).encode()).hexdigest()


def _image(region: str, family: Family, release: Release) -> Image:
    commit = _hash(family.os, release.base)[:8]
    words = {"date": release.date, "base": release.base, "commit": commit}
    name = family.name.format(**words)
    # Published on the evening of the day of its name.
    day = datetime.strptime(release.date.replace(".", ""), "%Y%m%d").replace(hour=18, tzinfo=UTC)
    return Image(
        id=f"ami-0{_hash(region, name)[:16]}",
        name=name,
        created_at=day,
        family=family.root,
        date=release.date,
        version=family.version.format(**words),
        os=family.os,
        agent=release.agent,
        runtime=release.runtime,
        source_image_name=family.base_name.format(**words),
        architecture=family.architecture,
        owner=family.owner,
        description=f"Amazon Linux AMI {release.date} {family.architecture} ECS HVM {family.volume.upper()}",
        volume=family.volume,
        platform=family.platform,
    )


@lru_cache(maxsize=512)
def _first_images(region: str, root: str) -> tuple[Image, ...]:
    """What a family has at the beginning, oldest first; the same for every simulation."""
    return tuple(_image(region, FAMILIES[root], release) for release in FAMILIES[root].releases)


@lru_cache(maxsize=8)
def _first_owners(region: str) -> dict[str, str]:
    """The family of each image id at the beginning."""
    return {image.id: root for root in FAMILIES for image in _first_images(region, root)}


class Images:
    """The AMIs that this account can see in this region."""

    def __init__(self, sim: "Simulation") -> None:
        self.world = sim.world
        self._changed: dict[str, list[Image]] = {}
        self._recommended: dict[str, tuple[str, int, datetime]] = {}
        self._extra: dict[str, Image] = {}
        self._trees: dict[str, dict[str, Parameter]] = {}
        self._withdrawn: set[str] = set()
        self.tags: dict[str, dict[str, str]] = {}
        """What the account has tagged images with."""

    # images

    def get(self, image_id: str) -> Image | None:
        """The image of that id, if it exists."""
        if image_id in self._withdrawn:
            return None
        if image_id in self._extra:
            return self._extra[image_id]
        root = _first_owners(self.world.region).get(image_id)
        if root is None:
            return None
        return next(image for image in _first_images(self.world.region, root) if image.id == image_id)

    def releases(self, family: str) -> list[Image]:
        """All releases of a family, oldest first. ``amazon-linux-2023/arm64`` or the whole path names it."""
        root = _root(family)
        return self._changed.get(root) or list(_first_images(self.world.region, root))

    def recommended(self, family: str) -> Image:
        """The release that AWS recommends now."""
        root = _root(family)
        if root not in self._recommended:
            return self.releases(root)[-1]
        return next(image for image in self.releases(root) if image.id == self._recommended[root][0])

    def all(self) -> Iterator[Image]:
        """Every image there is; families first, then what tests registered."""
        seen: set[str] = set()
        for root in FAMILIES:
            for image in self.releases(root):
                seen.add(image.id)
                if image.id not in self._withdrawn:
                    yield image
        yield from (image for image in self._extra.values() if image.id not in seen | self._withdrawn)

    def release(
        self,
        family: str,
        date: str,
        *,
        agent: str | None = None,
        runtime: str | None = None,
        base: str | None = None,
        recommend: bool = True,
    ) -> Image:
        """Publish a newer image of a family; what is not said stays as it was in the release before."""
        root = _root(family)
        before = self.releases(root)[-1]
        last = FAMILIES[root].releases[-1]
        made = _image(self.world.region, FAMILIES[root], replace(last, date=date, base=base or last.base))
        made = replace(
            made,
            agent=agent or before.agent,
            runtime=runtime or before.runtime,
            source_image_name=made.source_image_name if base else before.source_image_name,
        )
        recommended = self.recommended(root)
        self._changed[root] = [*self.releases(root), made]
        self._extra[made.id] = made
        self.recommend(root, made.id if recommend else recommended.id)
        return made

    def recommend(self, family: str, image_id: str) -> None:
        """Let ``recommended`` say this image, newer or older: AWS has taken releases back."""
        root = _root(family)
        if all(image.id != image_id for image in self.releases(root)):
            raise ValueError(f"{image_id} is no release of {root}")
        changed = self.recommended(root).id != image_id or root in self._changed
        version = self._recommended_version(root) + (1 if changed else 0)
        self._recommended[root] = (image_id, version, self.world.time)
        self._trees.pop(root, None)

    def register(
        self, name: str, *, like: str | None = None, architecture: str = "x86_64", image_id: str | None = None
    ) -> Image:
        """Make an image of the account's own; ``like`` names the release it was built from."""
        model = self.get(like) if like else None
        made = Image(
            id=image_id or f"ami-0{_hash(self.world.region, self.world.account, name)[:16]}",
            name=name,
            created_at=self.world.time,
            os=model.os if model else "",
            agent=model.agent if model else "",
            runtime=model.runtime if model else "",
            architecture=model.architecture if model else architecture,
            owner=self.world.account,
            public=False,
        )
        self._extra[made.id] = made
        return made

    def withdraw(self, image_id: str) -> None:
        """Make an image vanish: deregistered, or made private as old Windows images are."""
        self._withdrawn.add(image_id)

    # public parameters

    def published(self, name: str) -> Parameter | None:
        """A public parameter, if AWS publishes one of that name."""
        for root in _roots_above(name):
            found = self._tree(root).get(name)
            if found is not None:
                return found
        return None

    def names_below(self, prefix: str) -> Iterator[str]:
        """The public parameters whose names begin so."""
        for root in FAMILIES:
            if root.startswith(prefix) or prefix.startswith((root + "/", root)):
                yield from (name for name in self._tree(root) if name.startswith(prefix))

    def _tree(self, root: str) -> dict[str, Parameter]:
        if root not in self._trees:
            self._trees[root] = {leaf.name: leaf for leaf in self._leaves(root)}
        return self._trees[root]

    def _leaves(self, root: str) -> Iterator[Parameter]:
        if root.startswith(LINUX):
            return self._linux_leaves(root)
        return self._windows_leaves(root) if root.startswith(WINDOWS) else self._bottlerocket_leaves(root)

    def _linux_leaves(self, root: str) -> Iterator[Parameter]:
        version, at = self._recommended_version(root), self._recommended_at(root)
        facts = _linux_facts(self.recommended(root))
        yield self._leaf(f"{root}/recommended", json.dumps(facts, separators=(",", ":")), version, at)
        for key, value in facts.items():
            yield self._leaf(f"{root}/recommended/{key}", str(value), version, at)
        for image in self.releases(root):
            value = json.dumps(_linux_facts(image), separators=(",", ":"))
            # Undocumented but real: each release stands under its AMI id too (aws-facts 1.1).
            for node in (image.name, image.id):
                yield self._leaf(f"{root}/{node}", value, 1, image.created_at)
                yield self._leaf(f"{root}/{node}/image_id", image.id, 1, image.created_at)

    def _windows_leaves(self, root: str) -> Iterator[Parameter]:
        version, at, image = self._recommended_version(root), self._recommended_at(root), self.recommended(root)
        facts = {
            "image_name": image.name,
            "image_id": image.id,
            "ecs_runtime_version": image.runtime,
            "ecs_agent_version": image.agent,
        }
        yield self._leaf(root, json.dumps(facts, separators=(",", ":")), version, at)
        for key, value in facts.items():
            yield self._leaf(f"{root}/{key}", value, version, at)

    def _bottlerocket_leaves(self, root: str) -> Iterator[Parameter]:
        version, at = self._recommended_version(root), self._recommended_at(root)
        nodes = [("latest", self.recommended(root), version, at)]
        nodes += [(image.version.split("-")[0], image, 1, image.created_at) for image in self.releases(root)]
        for node, image, number, when in nodes:
            yield self._leaf(f"{root}/{node}/image_id", image.id, number, when)
            yield self._leaf(f"{root}/{node}/image_version", image.version, number, when)

    def _leaf(self, name: str, value: str, version: int, at: datetime) -> Parameter:
        # The account field of a public parameter's ARN is empty (aws-facts 1.2).
        arn = f"arn:aws:ssm:{self.world.region}::parameter{name}"
        return Parameter(name=name, value=value, version=version, at=at, arn=arn)

    def _recommended_version(self, root: str) -> int:
        """Rises by one with each change of what is recommended, so it can serve as a cheap change detector."""
        return self._recommended[root][1] if root in self._recommended else 50 + len(FAMILIES[root].releases)

    def _recommended_at(self, root: str) -> datetime:
        return self._recommended[root][2] if root in self._recommended else self.recommended(root).created_at


def _linux_facts(image: Image) -> dict[str, str | int]:
    return {
        "ecs_agent_version": image.agent,
        "ecs_runtime_version": image.runtime,
        "image_id": image.id,
        "image_name": image.name,
        "image_version": image.version,
        "os": image.os,
        "schema_version": 1,
        "source_image_name": image.source_image_name,
    }


def _root(family: str) -> str:
    for root in (family.rstrip("/"), LINUX + family, WINDOWS + family, BOTTLEROCKET + family):
        if root in FAMILIES:
            return root
    raise Refusal("ParameterNotFound", f"there is no family {family}")


def _roots_above(name: str) -> Iterator[str]:
    """The families whose root a name lies under or is, the longest first."""
    parts = name.split("/")
    for length in range(len(parts), 3, -1):
        root = "/".join(parts[:length])
        if root in FAMILIES:
            yield root
