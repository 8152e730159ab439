"""Families, releases, what runs and what should: tables with data of us-east-1 in late September 2026.

moto ships a crawl of AWS's own public parameters and images; it is the corpus that the parsers must read whole.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from ecsroll.ami import (
    FAMILIES,
    Catalogue,
    Change,
    GroupImages,
    Image,
    InUse,
    Kind,
    Known,
    Parameter,
    Release,
    Row,
    Step,
    Stranger,
    check,
    choose,
    compare,
    days_between,
    family_of,
    parse_bottlerocket,
    parse_json,
    parse_name,
)
from ecsroll.errors import EcsrollError, NotFound, Refused, UsageError

LINUX = "/aws/service/ecs/optimized-ami/"
AL2023 = FAMILIES["amazon-linux-2023"]
ARM = FAMILIES["amazon-linux-2023/arm64"]
AL2 = FAMILIES["amazon-linux-2"]
AL1 = FAMILIES["amazon-linux"]
WINDOWS = FAMILIES["Windows_Server-2019-English-Full-ECS_Optimized"]
ROCKET = FAMILIES["aws-ecs-2/arm64"]
THEN = datetime(2026, 9, 22, 18, tzinfo=UTC)


# Families


def test_the_table_holds_every_family_that_aws_publishes_images_for() -> None:
    kinds = [family.kind for family in FAMILIES.values()]
    assert {kind: kinds.count(kind) for kind in Kind} == {Kind.LINUX: 16, Kind.WINDOWS: 7, Kind.BOTTLEROCKET: 28}
    assert len({family.path for family in FAMILIES.values()}) == len(FAMILIES)
    assert {family.architecture for family in FAMILIES.values()} == {"x86_64", "arm64"}


PARAMETERS = {
    "Linux says it in one JSON": (AL2023, (f"{LINUX}amazon-linux-2023/recommended",)),
    "Windows says it in the parameter of the family's own name": (
        WINDOWS,
        ("/aws/service/ami-windows-latest/Windows_Server-2019-English-Full-ECS_Optimized",),
    ),
    "Bottlerocket says it in two plain strings": (
        ROCKET,
        (
            "/aws/service/bottlerocket/aws-ecs-2/arm64/latest/image_id",
            "/aws/service/bottlerocket/aws-ecs-2/arm64/latest/image_version",
        ),
    ),
}


@pytest.mark.parametrize(("family", "names"), PARAMETERS.values(), ids=PARAMETERS)
def test_where_the_recommended_release_is_published(family: Any, names: tuple[str, ...]) -> None:
    assert family.parameters == names


NOTES = {
    "Amazon Linux 1 is over": ("amazon-linux", "2025-09-15"),
    "Amazon Linux 2 is past its end though releases come": ("amazon-linux-2/kernel-5.10/gpu", "2026-06-30"),
    "Amazon Linux 2022 never left its preview": ("amazon-linux-2022/arm64", "preview"),
    "Windows 2016 gets no Docker": ("Windows_Server-2016-English-Full-ECS_Optimized", "Docker"),
    "the first Bottlerocket variant is built no more": ("aws-ecs-1-nvidia/arm64", "no more"),
}


@pytest.mark.parametrize(("key", "word"), NOTES.values(), ids=NOTES)
def test_a_family_past_its_end_says_so(key: str, word: str) -> None:
    assert word in (FAMILIES[key].note or "")


def test_living_families_have_nothing_to_say() -> None:
    assert [AL2023.note, ARM.note, WINDOWS.note, ROCKET.note] == [None] * 4


NAMES = {
    "AL2023": ("al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-x86_64", "amazon-linux-2023"),
    "AL2023 for Graviton": ("al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-arm64", "amazon-linux-2023/arm64"),
    "AL2023 with GPU ends in ebs": (
        "al2023-ami-ecs-gpu-hvm-2023.0.20260922-kernel-6.1-x86_64-ebs",
        "amazon-linux-2023/gpu",
    ),
    "AL2023 with Neuron": ("al2023-ami-ecs-neuron-hvm-2023.0.20260922-kernel-6.1-x86_64", "amazon-linux-2023/neuron"),
    "AL2 plain is not AL2 with GPU": ("amzn2-ami-ecs-hvm-2.0.20260924-x86_64-ebs", "amazon-linux-2"),
    "AL2 with GPU": ("amzn2-ami-ecs-gpu-hvm-2.0.20260924-x86_64-ebs", "amazon-linux-2/gpu"),
    "AL2 with Inferentia": ("amzn2-ami-ecs-inf-hvm-2.0.20260924-x86_64-ebs", "amazon-linux-2/inf"),
    "AL2 with kernel 5.10": ("amzn2-ami-ecs-kernel-5.10-hvm-2.0.20260924-x86_64-ebs", "amazon-linux-2/kernel-5.10"),
    "AL2 with kernel 5.10 and GPU": (
        "amzn2-ami-ecs-kernel-5.10-gpu-hvm-2.0.20260924-x86_64-ebs",
        "amazon-linux-2/kernel-5.10/gpu",
    ),
    "AL2022 of the first months": ("al2022-ami-ecs-hvm-2022.0.20220411-x86_64-ebs", "amazon-linux-2022"),
    "AL1 with a date": ("amzn-ami-2018.03.20250224-amazon-ecs-optimized", "amazon-linux"),
    "AL1 with a letter": ("amzn-ami-2017.09.l-amazon-ecs-optimized", "amazon-linux"),
    "Windows Core": (
        "Windows_Server-2025-English-Core-ECS_Optimized-2025.09.13",
        "Windows_Server-2025-English-Core-ECS_Optimized",
    ),
    "Bottlerocket": ("bottlerocket-aws-ecs-2-x86_64-v1.42.0-5ed15786", "aws-ecs-2/x86_64"),
    "Bottlerocket says aarch64 where the path says arm64": (
        "bottlerocket-aws-ecs-2-nvidia-fips-aarch64-v1.62.1-0a1b2c3d",
        "aws-ecs-2-nvidia-fips/arm64",
    ),
    "an image that somebody built from the public recipe": (
        "unofficial-amzn2-ami-ecs-hvm-2.0.20260924-x86_64-ebs",
        None,
    ),
    "a golden image": ("my-golden-image", None),
    "a golden image that keeps the name and adds to it": (
        "al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-x86_64-acme",
        None,
    ),
    "a name with a line end": ("al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-x86_64\n", None),
    "digits that are not ASCII": ("al2023-ami-ecs-hvm-2023.0.٢٠٢٦٠٩٢٢-kernel-6.1-x86_64", None),
    "the base image has no agent": ("al2023-ami-2023.12.20260918.0-kernel-6.1-x86_64", None),
    "Bottlerocket for Kubernetes": ("bottlerocket-aws-k8s-1.31-x86_64-v1.42.0-5ed15786", None),
    "Windows 2016 Core was never made": ("Windows_Server-2016-English-Core-ECS_Optimized-2026.09.09", None),
    "no name at all": ("", None),
}


@pytest.mark.parametrize(("name", "key"), NAMES.values(), ids=NAMES)
def test_an_images_name_tells_its_family_or_nothing(name: str, key: str | None) -> None:
    assert family_of(name) == (FAMILIES[key] if key else None)
    named = parse_name("ami-05fb4f257abd42992", name, created=THEN.date())
    assert (named.family.key if named else None) == key


# Releases

NODE = {
    "schema_version": 1,
    "image_id": "ami-05fb4f257abd42992",
    "image_name": "al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-x86_64",
    "image_version": "2023.0.20260922",
    "os": "Amazon Linux 2023",
    "ecs_agent_version": "1.107.0",
    "ecs_runtime_version": "Docker version 25.0.16",
    "source_image_name": "al2023-ami-minimal-2023.12.20260918.0-kernel-6.1-x86_64",
}
NEWEST = Release(
    AL2023,
    "ami-05fb4f257abd42992",
    "al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-x86_64",
    "2023.0.20260922",
    date(2026, 9, 22),
    agent="1.107.0",
    runtime="Docker version 25.0.16",
    source_image="al2023-ami-minimal-2023.12.20260918.0-kernel-6.1-x86_64",
    os="Amazon Linux 2023",
)


def but(**changed: Any) -> str:
    """The JSON of NODE with some keys changed; a key set to None is left out."""
    return json.dumps({key: value for key, value in {**NODE, **changed}.items() if value is not None})


WINDOWS_VALUE = (
    '{"image_name":"Windows_Server-2019-English-Full-ECS_Optimized-2023.06.13","image_id":"ami-0debc1fb48e4aee16",'
    '"ecs_runtime_version":"Docker (CE) version 20.10.21","ecs_agent_version":"1.72.0"}'
)
BARE = Release(AL2023, NEWEST.image_id, NEWEST.name, NEWEST.version, NEWEST.released)
JSONS = {
    "all eight keys": (AL2023, but(), NEWEST),
    "a key of tomorrow is passed over": (AL2023, but(kernel_version="6.1.150", notes=["a"]), NEWEST),
    "without a version the name has it": (AL2023, but(image_version=None), NEWEST),
    "a version of no known form is read from the name": (AL2023, but(image_version="latest"), NEWEST),
    "what is not said is not known": (
        AL2023,
        but(ecs_agent_version=None, ecs_runtime_version=None, source_image_name=None, os=None),
        BARE,
    ),
    "a number where a text should be is not known": (
        AL2023,
        but(ecs_agent_version=1.107, ecs_runtime_version=[], source_image_name={}, os=None),
        BARE,
    ),
    "Windows has four keys, and its version in the name": (
        WINDOWS,
        WINDOWS_VALUE,
        Release(
            WINDOWS,
            "ami-0debc1fb48e4aee16",
            "Windows_Server-2019-English-Full-ECS_Optimized-2023.06.13",
            "2023.06.13",
            date(2023, 6, 13),
            agent="1.72.0",
            runtime="Docker (CE) version 20.10.21",
        ),
    ),
    "a lettered release has no day": (
        AL1,
        '{"image_id":"ami-a99d8ad5","image_name":"amzn-ami-2018.03.a-amazon-ecs-optimized"}',
        Release(AL1, "ami-a99d8ad5", "amzn-ami-2018.03.a-amazon-ecs-optimized", "2018.03.a"),
    ),
    "a day that no calendar has is no day": (
        AL2023,
        but(
            image_version="2023.0.20260631",
            ecs_agent_version=None,
            ecs_runtime_version=None,
            source_image_name=None,
            os=None,
        ),
        Release(AL2023, NEWEST.image_id, NEWEST.name, "2023.0.20260631"),
    ),
}


@pytest.mark.parametrize(("family", "value", "release"), JSONS.values(), ids=JSONS)
def test_a_json_parameter_is_a_release(family: Any, value: str, release: Release) -> None:
    assert parse_json(family, value, parameter="p") == release


MALFORMED = {
    "no value": (None, "it is not JSON"),
    "an empty value": ("", "it is not JSON"),
    "half a value": ('{"image_id":"ami-0', "it is not JSON"),
    "no object": ("[1, 2]", "it names no image"),
    "no image id": (but(image_id=None), "it names no image"),
    "an image id that is none": (but(image_id="snap-05fb4f257abd42992"), "it names no image"),
    "no image name": (but(image_name=None), "it names no image"),
    "no version anywhere": (but(image_version=None, image_name="golden"), "'golden' has no version that orders it"),
}


@pytest.mark.parametrize(("value", "why"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_parameter_is_named_with_what_is_wrong(value: str | None, why: str) -> None:
    with pytest.raises(EcsrollError) as caught:
        parse_json(AL2023, value, parameter=f"{AL2023.path}/recommended")
    assert str(caught.value) == f"the parameter {AL2023.path}/recommended can not be read: {why}"
    assert "--ami" in caught.value.hint


def test_two_plain_strings_are_a_bottlerocket_release() -> None:
    release = parse_bottlerocket(ROCKET, "ami-0612c21373a768f20", "1.42.0-5ed15786")
    assert release == Release(
        ROCKET, "ami-0612c21373a768f20", "bottlerocket-aws-ecs-2-aarch64-v1.42.0-5ed15786", "1.42.0-5ed15786"
    )
    assert family_of(release.name) == ROCKET


def test_a_commit_that_looks_like_a_date_is_no_day() -> None:
    named = parse_name(
        "ami-0612c21373a768f20", "bottlerocket-aws-ecs-2-aarch64-v1.42.0-20240101", created=date(2025, 7, 1)
    )
    assert named
    assert named.released == date(2025, 7, 1)


ROCKETS = {
    "no image id": (None, "1.42.0-5ed15786", "image_id can not be read: it names no image"),
    "an image id that is none": ("None", "1.42.0-5ed15786", "image_id can not be read: it names no image"),
    "no version": ("ami-0612c21373a768f20", None, "image_version can not be read: 'None' is no version"),
    "a version without its commit": (
        "ami-0612c21373a768f20",
        "1.42.0",
        "image_version can not be read: '1.42.0' is no",
    ),
}


@pytest.mark.parametrize(("image_id", "version", "why"), ROCKETS.values(), ids=ROCKETS)
def test_malformed_bottlerocket_strings_are_named(image_id: str | None, version: str | None, why: str) -> None:
    with pytest.raises(EcsrollError, match=f"{ROCKET.path}/latest/{why}"):
        parse_bottlerocket(ROCKET, image_id, version)


ORDERS = {
    "Linux by date": (AL2023, ["2023.0.20241001", "2023.0.20260914", "2023.0.20260922"]),
    "AL1 by year, letter, then date": (AL1, ["2017.09.l", "2018.03.a", "2018.03.y", "2018.03.20190107"]),
    "Windows by date": (WINDOWS, ["2025.09.13", "2026.08.12", "2026.09.09"]),
    "Bottlerocket by number, not by text": (
        ROCKET,
        ["1.9.2-ffffffff", "1.42.0-5ed15786", "1.42.1-00000000", "2.0.0-11111111"],
    ),
}


@pytest.mark.parametrize(("family", "versions"), ORDERS.values(), ids=ORDERS)
def test_releases_of_a_family_have_an_order(family: Any, versions: list[str]) -> None:
    releases = [Release(family, "ami-0612c21373a768f20", "", version) for version in reversed(versions)]
    assert [release.version for release in sorted(releases, key=lambda release: release.order)] == versions


# The corpus


@cache
def crawl(service: str, region: str) -> Any:
    """What moto ships of AWS's own data: parameters as a tree (``ssm``), images as a list (``ec2``)."""
    packed = files("moto").joinpath(service, "resources/ecs/optimized_amis", f"{region}.json.gz").read_bytes()
    return json.loads(gzip.decompress(packed))


def leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for word, below in node.items():
        if word == "Value":
            yield path, below
        else:
            yield from leaves(below, f"{path}/{word}")


def nodes(region: str) -> list[tuple[str, dict[str, Any]]]:
    return [(path, value) for path, value in leaves(crawl("ssm", region)) if isinstance(value, dict)]


@pytest.mark.parametrize("region", ["us-east-1", "ap-northeast-1"])
def test_every_release_that_aws_published_is_read(region: str) -> None:
    for path, value in nodes(region):
        name = value["image_name"]
        family = family_of(name)
        assert family, name
        # The fossil root of Windows is not read; its names are those of the families of today.
        assert family.kind is Kind.WINDOWS or path.rpartition("/")[0] == family.path
        release = parse_json(family, json.dumps(value), parameter=path)
        assert release.version == value.get("image_version", release.version)
        assert release.version in name
        assert parse_name(release.image_id, name, created=date(1, 1, 1)) == Release(
            family, release.image_id, name, release.version, release.released or date(1, 1, 1)
        )


def test_every_image_that_aws_owns_tells_its_family_and_architecture() -> None:
    for image in crawl("ec2", "us-east-1"):
        family = family_of(image["name"])
        assert family, image["name"]
        assert family.architecture == image["architecture"]


class Aws:
    """AWS as three dictionaries that count the calls."""

    def __init__(self, parameters: Mapping[str, str], images: Sequence[Image] = ()) -> None:
        self.published = {name: Parameter(name, value, 58, THEN) for name, value in parameters.items()}
        self.existing = {image.id: image for image in images}
        self.calls: list[str] = []

    def parameters(self, names: Sequence[str]) -> dict[str, Parameter]:
        self.calls.append("parameters")
        assert names
        return {name: self.published[name] for name in names if name in self.published}

    def by_path(self, path: str) -> list[Parameter]:
        self.calls.append("by_path")
        return [parameter for name, parameter in self.published.items() if name.rpartition("/")[0] == path]

    def images(self, ids: Sequence[str]) -> dict[str, Image]:
        self.calls.append("images")
        assert ids
        return {image_id: self.existing[image_id] for image_id in ids if image_id in self.existing}


@pytest.fixture(scope="module")
def virginia() -> Catalogue:
    """The real us-east-1."""
    parameters = {path: json.dumps(value) for path, value in nodes("us-east-1")}
    images = [
        Image(image["ami_id"], image["name"], image["owner_id"], image["architecture"], THEN)
        for image in crawl("ec2", "us-east-1")
    ]
    return Catalogue(Aws(parameters, images))


HISTORIES = {
    "AL2023": ("amazon-linux-2023", 96, "2023.0.20241001", "2023.0.20260922"),
    "AL2023 with GPU began later": ("amazon-linux-2023/gpu", 80, "2023.0.20250224", "2023.0.20260922"),
    "AL2 for Graviton": ("amazon-linux-2/arm64", 104, "2.0.20241001", "2.0.20260924"),
    "AL1 is frozen": ("amazon-linux", 11, "2018.03.20231024", "2018.03.20250224"),
}


@pytest.mark.parametrize(("key", "count", "oldest", "newest"), HISTORIES.values(), ids=HISTORIES)
def test_the_real_history_is_read_once_each_newest_first(
    virginia: Catalogue, key: str, count: int, oldest: str, newest: str
) -> None:
    history = virginia.history(FAMILIES[key])
    assert len({release.name for release in history}) == len(history) == count
    assert [history[-1].version, history[0].version] == [oldest, newest]
    assert history[0] == virginia.recommended(FAMILIES[key])
    assert virginia.previous(FAMILIES[key], history[0].image_id) == history[1]


def test_a_real_image_is_recognised_with_all_that_aws_says_of_it(virginia: Catalogue) -> None:
    assert virginia.release_of("ami-05fb4f257abd42992") == NEWEST


# The catalogue


def node(version: str, image_id: str, *, agent: str = "1.107.0", base: str = "2023.12.20260918.0", arch: str) -> str:
    return but(
        image_id=image_id,
        image_name=f"al2023-ami-ecs-hvm-{version}-kernel-6.1-{arch}",
        image_version=version,
        ecs_agent_version=agent,
        source_image_name=f"al2023-ami-minimal-{base}-kernel-6.1-{arch}",
    )


def image(image_id: str, name: str, *, owner: str = "amazon", arch: str = "x86_64", state: str = "available") -> Image:
    return Image(image_id, name, owner, arch, datetime(2026, 8, 17, 18, tzinfo=UTC), state=state)


NEW, MID, OLD, ANCIENT = NEWEST.image_id, "ami-0a1b2c3d4e5f60718", "ami-0f00d0f00d0f00d00", "ami-0123456789abcdef0"
ARM_NEW, ARM_OLD = "ami-0dcab4a333584aee7", "ami-019dbc492ed422648"
COPY, GOLDEN, GONE = "ami-0c0ffee0c0ffee0c0", "ami-0badc0de0badc0de0", "ami-0dead0dead0dead00"
WIN, WIN_OLD, BR, BR_OLD = "ami-0debc1fb48e4aee16", "ami-c014cbbd", "ami-0612c21373a768f20", "ami-06ca440d570381dfe"
PENDING, NEURON, AL2_OLD = "ami-0feed0feed0feed00", "ami-0d9ab5bd22469d069", "ami-000a776e4f229babd"

NEW_NODE = node("2023.0.20260922", NEW, arch="x86_64")
MID_NODE = node("2023.0.20260918", MID, base="2023.12.20260916.0", arch="x86_64")
OLD_NODE = node("2023.0.20260813", OLD, agent="1.106.1", base="2023.12.20260803.3", arch="x86_64")
ARM_NODE = node("2023.0.20260922", ARM_NEW, arch="arm64")


def aws() -> Aws:
    return Aws(
        {
            f"{AL2023.path}/recommended": NEW_NODE,
            f"{AL2023.path}/{NEW}": NEW_NODE,
            f"{AL2023.path}/al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-x86_64": NEW_NODE,
            f"{AL2023.path}/{MID}": "{half an answer",
            f"{AL2023.path}/al2023-ami-ecs-hvm-2023.0.20260918-kernel-6.1-x86_64": MID_NODE,
            f"{AL2023.path}/al2023-ami-ecs-hvm-2023.0.20260813-kernel-6.1-x86_64": OLD_NODE,
            f"{ARM.path}/recommended": ARM_NODE,
            WINDOWS.path: WINDOWS_VALUE,
            f"{ROCKET.path}/latest/image_id": BR,
            f"{ROCKET.path}/latest/image_version": "1.42.0-5ed15786",
            f"{FAMILIES['aws-ecs-2/x86_64'].path}/latest/image_id": BR,
            f"{AL2.path}/recommended": "soon",
        },
        [
            image(NEW, NEWEST.name),
            image(MID, "al2023-ami-ecs-hvm-2023.0.20260918-kernel-6.1-x86_64"),
            image(OLD, "al2023-ami-ecs-hvm-2023.0.20260813-kernel-6.1-x86_64"),
            image(ANCIENT, "al2023-ami-ecs-hvm-2023.0.20231204-kernel-6.1-x86_64", owner="591542846629"),
            image(ARM_NEW, "al2023-ami-ecs-hvm-2023.0.20260922-kernel-6.1-arm64", arch="arm64"),
            image(ARM_OLD, "al2023-ami-ecs-hvm-2023.0.20241001-kernel-6.1-arm64", arch="arm64"),
            image(COPY, NEWEST.name, owner="111122223333"),
            image(GOLDEN, "my-golden-image", owner="111122223333"),
            image(WIN_OLD, "Windows_Server-2019-English-Full-ECS_Optimized-2023.05.10"),
            image(WIN, "Windows_Server-2019-English-Full-ECS_Optimized-2023.06.13"),
            image(BR, "bottlerocket-aws-ecs-2-aarch64-v1.42.0-5ed15786", arch="arm64"),
            image(BR_OLD, "bottlerocket-aws-ecs-2-aarch64-v1.32.0-cacc4ce9", arch="arm64"),
            image(PENDING, "my-next-image", owner="111122223333", state="pending"),
            image(NEURON, "al2023-ami-ecs-neuron-hvm-2023.0.20241001-kernel-6.1-x86_64"),
            image(AL2_OLD, "amzn2-ami-ecs-hvm-2.0.20260506-x86_64-ebs"),
        ],
    )


def linux(image_id: str, day: date, **said: str) -> Release:
    version = f"2023.0.{day:%Y%m%d}"
    return Release(AL2023, image_id, f"al2023-ami-ecs-hvm-{version}-kernel-6.1-x86_64", version, day, **said)


IDENTITIES: dict[str, tuple[str, Release | Stranger]] = {
    "the node of its id tells all": (NEW, NEWEST),
    "an unreadable id node: the name node tells it": (
        MID,
        linux(
            MID,
            date(2026, 9, 18),
            agent="1.107.0",
            runtime="Docker version 25.0.16",
            source_image="al2023-ami-minimal-2023.12.20260916.0-kernel-6.1-x86_64",
            os="Amazon Linux 2023",
        ),
    ),
    "no id node: the name node tells it": (
        OLD,
        linux(
            OLD,
            date(2026, 8, 13),
            agent="1.106.1",
            runtime="Docker version 25.0.16",
            source_image="al2023-ami-minimal-2023.12.20260803.3-kernel-6.1-x86_64",
            os="Amazon Linux 2023",
        ),
    ),
    "older than the two years that AWS lists: its name tells it": (ANCIENT, linux(ANCIENT, date(2023, 12, 4))),
    "Windows by its name": (
        WIN_OLD,
        Release(
            WINDOWS,
            WIN_OLD,
            "Windows_Server-2019-English-Full-ECS_Optimized-2023.05.10",
            "2023.05.10",
            date(2023, 5, 10),
        ),
    ),
    "Bottlerocket by its name, and by EC2's day": (
        BR_OLD,
        Release(
            ROCKET, BR_OLD, "bottlerocket-aws-ecs-2-aarch64-v1.32.0-cacc4ce9", "1.32.0-cacc4ce9", date(2026, 8, 17)
        ),
    ),
    "a golden image is named as such": (
        GOLDEN,
        Stranger(GOLDEN, f"{GOLDEN} 'my-golden-image' is no ECS-optimized release", "my-golden-image", "x86_64"),
    ),
    "a copy keeps the name but is not AWS's image": (
        COPY,
        Stranger(
            COPY,
            f"{COPY} '{NEWEST.name}' has the name of a release but belongs to 111122223333, not to AWS",
            NEWEST.name,
            "x86_64",
        ),
    ),
    "a deregistered image": (
        GONE,
        Stranger(GONE, f"{GONE} is gone from EC2, or no longer shared with this account"),
    ),
}


@pytest.mark.parametrize(("image_id", "expected"), IDENTITIES.values(), ids=IDENTITIES)
def test_what_an_image_is(image_id: str, expected: Release | Stranger) -> None:
    assert Catalogue(aws()).release_of(image_id) == expected


def test_all_images_are_looked_up_in_two_calls_and_remembered() -> None:
    source = aws()
    catalogue = Catalogue(source)
    catalogue.releases_of([NEW, OLD, NEW, GOLDEN, GONE])
    assert source.calls == ["images", "parameters"]
    catalogue.releases_of([OLD, GONE])
    assert catalogue.releases_of([]) == {}
    assert source.calls == ["images", "parameters"]


def test_recommended_releases_are_read_together_and_remembered() -> None:
    source = aws()
    catalogue = Catalogue(source)
    newest = catalogue.newest([AL2023, ARM, WINDOWS, ROCKET, FAMILIES["amazon-linux-2023/neuron"]])
    assert {key: release.image_id for key, release in newest.items()} == {
        "amazon-linux-2023": NEW,
        "amazon-linux-2023/arm64": ARM_NEW,
        "Windows_Server-2019-English-Full-ECS_Optimized": WIN,
        "aws-ecs-2/arm64": BR,
    }
    assert newest["aws-ecs-2/arm64"].released == date(2026, 8, 17)
    assert source.calls == ["parameters", "images"]
    assert catalogue.recommended(AL2023) == NEWEST
    assert source.calls == ["parameters", "images"]


def test_the_day_in_a_version_is_not_the_day_ec2_got_the_image() -> None:
    catalogue = Catalogue(aws())
    catalogue.release_of(NEW)
    assert catalogue.recommended(AL2023).released == date(2026, 9, 22)


def test_a_bottlerocket_image_that_ec2_does_not_show_yet_has_no_day() -> None:
    source = aws()
    del source.existing[BR]
    assert Catalogue(source).recommended(ROCKET).released is None


RECOMMENDED = {
    "a family that this region does not have": (
        FAMILIES["amazon-linux-2023/neuron"],
        NotFound,
        "AWS publishes no amazon-linux-2023/neuron image in this region",
    ),
    "a parameter that is no JSON": (AL2, EcsrollError, "amazon-linux-2/recommended can not be read: it is not JSON"),
    "half of what Bottlerocket says": (
        FAMILIES["aws-ecs-2/x86_64"],
        EcsrollError,
        "x86_64/latest/image_version can not be read",
    ),
}


@pytest.mark.parametrize(("family", "error", "words"), RECOMMENDED.values(), ids=RECOMMENDED)
def test_no_recommended_release(family: Any, error: type[EcsrollError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Catalogue(aws()).recommended(family)
    assert "--ami" in caught.value.hint


def test_history_has_each_release_once_passes_over_odd_nodes_and_is_remembered() -> None:
    source = aws()
    catalogue = Catalogue(source)
    assert [release.image_id for release in catalogue.history(AL2023)] == [NEW, MID, OLD]
    assert catalogue.history(AL2023) is catalogue.history(AL2023)
    assert source.calls == ["parameters", "by_path"]


@pytest.mark.parametrize("family", [WINDOWS, ROCKET], ids=["Windows", "Bottlerocket"])
def test_only_the_newest_is_listed_of(family: Any) -> None:
    source = aws()
    catalogue = Catalogue(source)
    assert catalogue.history(family) == (catalogue.recommended(family),)
    assert "by_path" not in source.calls


PREVIOUS = {
    "the release before the newest": (NEW, MID),
    "the release before an older one": (MID, OLD),
    "nothing is listed before the oldest": (OLD, None),
    "what is not listed has no release before it": (ANCIENT, None),
}


@pytest.mark.parametrize(("image_id", "expected"), PREVIOUS.values(), ids=PREVIOUS)
def test_the_release_before(image_id: str, expected: str | None) -> None:
    catalogue = Catalogue(aws())
    if expected:
        assert catalogue.previous(AL2023, image_id).image_id == expected
        return
    with pytest.raises(NotFound, match=f"AWS lists no amazon-linux-2023 release before {image_id}") as caught:
        catalogue.previous(AL2023, image_id)
    assert "--ami ami-" in caught.value.hint


PINS: dict[str, tuple[str, str | None, str | type[EcsrollError], str]] = {
    "a release": (OLD, "x86_64", OLD, ""),
    "an image of one's own": (GOLDEN, "x86_64", GOLDEN, ""),
    "an image for hosts of which nothing is known": (ARM_OLD, None, ARM_OLD, ""),
    "the wrong architecture": (ARM_OLD, "x86_64", Refused, f"{ARM_OLD} is for arm64, the hosts are x86_64"),
    "an image that does not exist here": (GONE, "x86_64", NotFound, f"there is no image {GONE} in this region"),
    "an image that is not ready": (PENDING, "x86_64", Refused, f"{PENDING} can not be launched: it is pending"),
}


@pytest.mark.parametrize(("image_id", "architecture", "expected", "words"), PINS.values(), ids=PINS)
def test_a_pinned_image(
    image_id: str, architecture: str | None, expected: str | type[EcsrollError], words: str
) -> None:
    if isinstance(expected, str):
        assert Catalogue(aws()).pinned(image_id, architecture).image_id == expected
        return
    with pytest.raises(expected, match=words) as caught:
        Catalogue(aws()).pinned(image_id, architecture)
    assert caught.value.hint


# Two releases

R0922 = NEWEST
R0918 = linux(MID, date(2026, 9, 18), agent="1.107.0", runtime="Docker version 25.0.16", source_image="base 0916")
R0813 = linux(OLD, date(2026, 8, 13), agent="1.106.1", runtime="Docker version 25.0.14", source_image="base 0803")
R0805 = linux(ANCIENT, date(2026, 8, 5), agent="1.106.0", runtime="Docker version 25.0.14", source_image="base 0803")
BASE = str(NEWEST.source_image)
SAME = Change(0, None, None, None, None, backwards=False)

CHANGES: dict[str, tuple[Release, Release, list[Release], Change]] = {
    "the same release": (R0922, R0922, [], SAME),
    "only the base image moved": (
        R0918,
        R0922,
        [R0922, R0918, R0813],
        Change(4, 1, None, None, Step("base 0916", BASE), backwards=False),
    ),
    "agent, runtime and base moved, two releases on": (
        R0813,
        R0922,
        [R0922, R0918, R0813],
        Change(
            40,
            2,
            Step("1.106.1", "1.107.0"),
            Step("Docker version 25.0.14", "Docker version 25.0.16"),
            Step("base 0803", BASE),
            backwards=False,
        ),
    ),
    "two releases that share the base and differ in the agent": (
        R0805,
        R0813,
        [],
        Change(8, None, Step("1.106.0", "1.106.1"), None, None, backwards=False),
    ),
    "older than the history: nobody can count releases": (
        R0805,
        R0813,
        [R0922, R0918, R0813],
        Change(8, None, Step("1.106.0", "1.106.1"), None, None, backwards=False),
    ),
    "AWS took a release back": (
        R0922,
        R0918,
        [R0922, R0918],
        Change(-4, -1, None, None, Step(BASE, "base 0916"), backwards=True),
    ),
    "of the old one only the name is known": (
        linux(ANCIENT, date(2023, 12, 4)),
        R0813,
        [],
        Change(
            983,
            None,
            Step(None, "1.106.1"),
            Step(None, "Docker version 25.0.14"),
            Step(None, "base 0803"),
            backwards=False,
        ),
    ),
    "of the new one only the name is known": (
        R0805,
        linux(OLD, date(2026, 8, 13)),
        [],
        Change(8, None, None, None, None, backwards=False),
    ),
}


@pytest.mark.parametrize(("running", "newest", "history", "change"), CHANGES.values(), ids=CHANGES)
def test_what_changed(running: Release, newest: Release, history: list[Release], change: Change) -> None:
    assert compare(running, newest, history) == change


def test_releases_of_two_families_are_not_compared() -> None:
    with pytest.raises(AssertionError, match="inside one family"):
        compare(NEWEST, parse_json(ARM, ARM_NODE, parameter="p"))


@pytest.mark.parametrize("dated_first", [True, False], ids=["to a lettered release", "from a lettered release"])
def test_no_days_can_be_counted(dated_first: bool) -> None:
    lettered = Release(AL1, "ami-a99d8ad5", "amzn-ami-2018.03.a-amazon-ecs-optimized", "2018.03.a")
    dated = Release(AL1, "ami-0077a350292f081f3", "", "2018.03.20231103", date(2023, 11, 3))
    assert days_between(*((dated, lettered) if dated_first else (lettered, dated))) is None


# What runs

KNOWN = Known(
    images={
        NEW: R0922,
        MID: R0918,
        OLD: R0813,
        ARM_NEW: (arm := parse_json(ARM, ARM_NODE, parameter="p")),
        GOLDEN: Stranger(GOLDEN, "golden is no ECS-optimized release", "golden", "x86_64"),
        GONE: Stranger(GONE, "it is gone"),
        NEURON: (neuron := Release(FAMILIES["amazon-linux-2023/neuron"], NEURON, "n", "2023.0.20241001")),
    },
    newest={"amazon-linux-2023": R0922, "amazon-linux-2023/arm64": arm},
    history={"amazon-linux-2023": [R0922, R0918, R0813]},
)


def use(release: Release, hosts: int, *, launches: bool = False, change: Change | None = None) -> InUse:
    return InUse(release.image_id, release.name, release.version, hosts, launches, change)


MID_CHANGE, OLD_CHANGE = compare(R0918, R0922, [R0922, R0918]), compare(R0813, R0922, [R0922, R0918, R0813])
ROWS: dict[str, tuple[GroupImages, list[Row], list[bool]]] = {
    "all hosts run the newest": (
        GroupImages("web", {"i-1": NEW, "i-2": NEW}, NEW),
        [Row("web", AL2023, None, (use(R0922, 2, launches=True),), R0922)],
        [False],
    ),
    "several images: the oldest stands first and says how far behind": (
        GroupImages("web", {"i-1": NEW, "i-2": OLD, "i-3": MID, "i-4": OLD}, MID),
        [
            Row(
                "web",
                AL2023,
                None,
                (
                    use(R0813, 2, change=OLD_CHANGE),
                    use(R0918, 1, launches=True, change=MID_CHANGE),
                    use(R0922, 1),
                ),
                R0922,
            )
        ],
        [True],
    ),
    "the hosts are new but the next one would be old": (
        GroupImages("web", {"i-1": NEW}, OLD),
        [Row("web", AL2023, None, (use(R0813, 0, launches=True, change=OLD_CHANGE), use(R0922, 1)), R0922)],
        [True],
    ),
    "mixed architectures are two families": (
        GroupImages("mixed", {"i-1": ARM_NEW, "i-2": OLD}),
        [
            Row("mixed", AL2023, None, (use(R0813, 1, change=OLD_CHANGE),), R0922),
            Row("mixed", ARM, None, (use(arm, 1),), arm),
        ],
        [True, False],
    ),
    "what is no release is named after what is one, and not called outdated": (
        GroupImages("batch", {"i-1": GONE, "i-2": GOLDEN, "i-3": NEW}, GOLDEN),
        [
            Row("batch", AL2023, None, (use(R0922, 1),), R0922),
            Row(
                "batch",
                None,
                "golden is no ECS-optimized release",
                (InUse(GOLDEN, "golden", None, 1, launches=True, change=None),),
                None,
            ),
            Row("batch", None, "it is gone", (InUse(GONE, None, None, 1, launches=False, change=None),), None),
        ],
        [False, False, False],
    ),
    "a family that this region no longer publishes": (
        GroupImages("ml", {"i-1": NEURON}),
        [
            Row(
                "ml",
                neuron.family,
                "AWS publishes no amazon-linux-2023/neuron image in this region",
                (use(neuron, 1),),
                None,
            )
        ],
        [False],
    ),
    "a group at zero is judged by what it would launch": (
        GroupImages("night", {}, OLD),
        [Row("night", AL2023, None, (use(R0813, 0, launches=True, change=OLD_CHANGE),), R0922)],
        [True],
    ),
    "a group of which nothing is known": (
        GroupImages("night"),
        [Row("night", None, "group 'night' runs no host, and what it would launch is not known", (), None)],
        [False],
    ),
}


@pytest.mark.parametrize(("group", "rows", "outdated"), ROWS.values(), ids=ROWS)
def test_check(group: GroupImages, rows: list[Row], outdated: list[bool]) -> None:
    found = check([group], KNOWN)
    assert list(found) == rows
    assert [row.outdated for row in found] == outdated
    assert [row.change is not None for row in found] == outdated


def test_the_row_says_how_far_its_oldest_image_is_behind() -> None:
    (row,) = check([GroupImages("web", {"i-1": MID, "i-2": OLD})], KNOWN)
    assert row.change == OLD_CHANGE
    assert (OLD_CHANGE.days, OLD_CHANGE.releases) == (40, 2)


def test_an_image_that_aws_took_back_is_outdated_too() -> None:
    (row,) = check([GroupImages("web", {"i-1": NEW})], Known(KNOWN.images, {"amazon-linux-2023": R0918}))
    assert row.outdated
    assert row.change
    assert row.change.backwards


def test_the_image_decides_not_the_version() -> None:
    rebuilt = linux(ANCIENT, date(2026, 9, 22))
    (row,) = check([GroupImages("web", {"i-1": NEW})], Known(KNOWN.images, {"amazon-linux-2023": rebuilt}))
    assert row.change == SAME


def test_what_a_check_needs_is_read_in_three_calls() -> None:
    source = aws()
    groups = [GroupImages("a", {"i-1": OLD, "i-2": GOLDEN}), GroupImages("b", {"i-3": ARM_OLD}, ARM_NEW)]
    known = Catalogue(source).known(groups)
    assert source.calls == ["images", "parameters", "parameters"]
    assert set(known.newest) == {"amazon-linux-2023", "amazon-linux-2023/arm64"}
    assert known.history == {}
    assert [row.outdated for row in check(groups, known)] == [True, False, True]


def test_the_history_is_read_when_it_is_asked_for() -> None:
    groups = [GroupImages("a", {"i-1": OLD})]
    (row,) = check(groups, Catalogue(aws()).known(groups, with_history=True))
    assert row.change
    assert row.change.releases == 2


def test_nothing_to_check_asks_nothing() -> None:
    source = aws()
    assert check([], Catalogue(source).known([])) == ()
    assert source.calls == []


# Which one should run

CHOICES: dict[str, tuple[str, GroupImages, str]] = {
    "recommended, by what the group would launch": ("recommended", GroupImages("g", {"i-1": OLD}, MID), NEW),
    "recommended, by what it runs": ("recommended", GroupImages("g", {"i-1": OLD, "i-2": NEW}), NEW),
    "recommended, for a group at zero": ("recommended", GroupImages("g", {}, ARM_OLD), ARM_NEW),
    "recommended of the family that the template has moved to": (
        "recommended",
        GroupImages("g", {"i-1": AL2_OLD}, OLD),
        NEW,
    ),
    "recommended, though a host runs an image that is gone": ("recommended", GroupImages("g", {"i-1": GONE}, OLD), NEW),
    "recommended Bottlerocket": ("recommended", GroupImages("g", {"i-1": BR_OLD}), BR),
    "keep is what the group would launch, whatever that is": ("keep", GroupImages("g", {"i-1": OLD}, GOLDEN), GOLDEN),
    "keep leaves a mixed group alone": ("keep", GroupImages("g", {"i-1": OLD, "i-2": ARM_OLD}, MID), MID),
    "previous is the one before the recommended": ("previous", GroupImages("g", {"i-1": OLD}, OLD), MID),
    "previous again does not go back further": ("previous", GroupImages("g", {"i-1": MID}, MID), MID),
    "a pinned release": (OLD, GroupImages("g", {"i-1": NEW}, NEW), OLD),
    "a golden image for a group that runs golden images": (GOLDEN, GroupImages("g", {"i-1": GONE}), GOLDEN),
    "a pinned image for a group of which nothing is known": (ARM_OLD, GroupImages("g"), ARM_OLD),
}


@pytest.mark.parametrize(("target", "group", "image_id"), CHOICES.values(), ids=CHOICES)
def test_the_wanted_image(target: str, group: GroupImages, image_id: str) -> None:
    assert choose(target, [group], Catalogue(aws())) == {"g": image_id}


def test_each_group_gets_the_image_of_its_own_family_in_few_calls() -> None:
    source = aws()
    groups = [GroupImages("x86", {"i-1": OLD}), GroupImages("arm", {"i-2": ARM_OLD}), GroupImages("win", {}, WIN_OLD)]
    assert choose("recommended", groups, Catalogue(source)) == {"x86": NEW, "arm": ARM_NEW, "win": WIN}
    assert source.calls == ["images", "parameters", "parameters"]


REFUSALS: dict[str, tuple[str, GroupImages, type[EcsrollError], str, str]] = {
    "a word that is none": (
        "newest",
        GroupImages("web", {"i-1": OLD}),
        UsageError,
        "--ami newest is no image",
        "say recommended, keep, previous or an id such as ami-0abc…",
    ),
    "an id with a typing error": ("ami-05fb4f257abd4299", GroupImages("web"), UsageError, "is no image", "recommended"),
    "recommended for a golden image": (
        "recommended",
        GroupImages("web", {"i-1": GOLDEN}, GOLDEN),
        Refused,
        f"group 'web': {GOLDEN} 'my-golden-image' is no ECS-optimized release",
        "--ami keep",
    ),
    "recommended for a copy": (
        "recommended",
        GroupImages("web", {"i-1": COPY}),
        Refused,
        "belongs to 111122223333, not to AWS",
        "--ami keep",
    ),
    "previous for what is gone": ("previous", GroupImages("web", {"i-1": GONE}), Refused, "is gone from EC2", "--ami"),
    "recommended for a group of which nothing is known": (
        "recommended",
        GroupImages("web"),
        Refused,
        "group 'web' runs no host, and what it would launch is not known",
        "--ami",
    ),
    "recommended for hosts of two families": (
        "recommended",
        GroupImages("web", {"i-1": OLD, "i-2": AL2_OLD}),
        Refused,
        "group 'web' runs images of amazon-linux-2 and amazon-linux-2023, and says not which to launch",
        "--asg",
    ),
    "recommended for mixed architectures": (
        "recommended",
        GroupImages("web", {"i-1": OLD, "i-2": ARM_OLD}, OLD),
        Refused,
        "group 'web' mixes arm64 and x86_64 images: one image can not serve both",
        "--ami keep",
    ),
    "a pinned image for mixed architectures": (
        NEW,
        GroupImages("web", {"i-1": OLD, "i-2": ARM_OLD}),
        Refused,
        "one image can not serve both",
        "--ami keep",
    ),
    "a pinned image of the wrong architecture": (
        NEW,
        GroupImages("web", {"i-1": ARM_OLD}),
        Refused,
        f"{NEW} is for x86_64, the hosts are arm64",
        "--asg",
    ),
    "a pinned image that does not exist": (GONE, GroupImages("web"), NotFound, "there is no image", "region"),
    "keep when it is not known what there is to keep": (
        "keep",
        GroupImages("web", {"i-1": OLD}),
        Refused,
        "what group 'web' would launch is not known",
        "--ami ami-",
    ),
    "previous where AWS lists only the newest": (
        "previous",
        GroupImages("web", {"i-1": WIN_OLD}),
        NotFound,
        f"ECS_Optimized release before {WIN}",
        "--ami ami-",
    ),
    "recommended of a family that this region does not publish": (
        "recommended",
        GroupImages("ml", {"i-1": NEURON}),
        NotFound,
        "AWS publishes no amazon-linux-2023/neuron image in this region",
        "--ami",
    ),
}


@pytest.mark.parametrize(("target", "group", "error", "words", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_no_image_can_be_chosen(
    target: str, group: GroupImages, error: type[EcsrollError], words: str, hint: str
) -> None:
    with pytest.raises(error) as caught:
        choose(target, [group], Catalogue(aws()))
    assert words in str(caught.value)
    assert hint in caught.value.hint
