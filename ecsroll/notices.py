"""AMI notices: what a topic says of a new image, read and written in the schema of AWS's own ECS topic (aws-facts 2.3).

A notice is never believed. AWS publishes none for the Linux images of today, anybody can write one, and some come late:
it is a reason to look at the parameter that holds the truth.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["AmiNotice", "Announced", "Release", "ami_notice", "notice_text", "topic_name"]

WINDOWS = frozenset({"ec2-windows-ami-update", "ec2-windows-ami-private"})
BASE = frozenset({"amazon-linux-2023-ami-updates", "amazon-linux-2-ami-updates", "amazon-linux-ami-updates"})
"""Of the systems below the ECS images, which follow days later."""
AWS_ACCOUNTS = frozenset({"177427601217", "917786371007", "801119661308", "077303321853", "137112412989"})
"""Of the topics that AWS has, or had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One image in one region."""

    region: str
    image: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """One image that was announced, with its id in each region."""

    version: str
    agent: str = ""
    system: str = ""
    releases: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiNotice:
    """What a topic said. ``about``: images for ECS, AWS's Windows images, or a system that ECS images build on."""

    about: Literal["ecs", "windows", "base"]
    images: tuple[Announced, ...] = ()
    subject: str = ""


def topic_name(arn: str) -> str:
    """The last part of a topic's ARN."""
    return arn.rpartition(":")[2]


def ami_notice(said: Any, *, topic: str = "", subject: str = "") -> AmiNotice | None:
    """A message's content as an AMI notice, or None if it is something else.

    Unknown keys are passed over, and so is an image without a region: the schema has no version and may grow.
    """
    name = topic_name(topic)
    if isinstance(said, Mapping) and isinstance(said.get("ECSAmis"), list):
        images = tuple(_announced(entry) for entry in said["ECSAmis"] if isinstance(entry, Mapping))
        return AmiNotice(about="ecs", images=images, subject=subject)
    if name in WINDOWS or re.match(r"New (Windows )?AMIs dated", subject):
        return AmiNotice(about="windows", subject=subject)
    if name in BASE:
        return AmiNotice(about="base", subject=subject)
    return None


def _announced(entry: Mapping[str, Any]) -> Announced:
    regions = entry.get("Regions")
    found = regions.items() if isinstance(regions, Mapping) else ()
    return Announced(
        version=_text(entry.get("ReleaseVersion")),
        agent=_text(entry.get("AgentVersion")),
        system=_text(entry.get("OperatingSystemName")),
        releases=tuple(
            Release(region=region, image=_text(said["ImageId"]), name=_text(said.get("Name")))
            for region, said in found
            if isinstance(said, Mapping) and _text(said.get("ImageId"))
        ),
    )


def _text(said: Any) -> str:
    return said if isinstance(said, str) else ""


# Out -----------------------------------------------------------------------------------------------------------------


def notice_text(rows: Iterable[Mapping[str, Any]], region: str) -> str | None:
    """What ``check-ami`` found, as a notice of the same schema; None if nothing is behind.

    Several groups of one family make one entry. What AWS's schema has no key for (which clusters and groups run
    something older) stands under ``ecsroll``.
    """
    behind = [row for row in rows if row["outdated"] and row["newest"]]
    if not behind:
        return None
    images: dict[str, dict[str, Any]] = {row["newest"]["image"]: _entry(row, region) for row in behind}
    agents = [entry["AgentVersion"] for entry in images.values() if entry["AgentVersion"]]
    where = [
        {
            "cluster": row["cluster"],
            "group": row["group"],
            "image": row["newest"]["image"],
            "hosts": row["hosts_behind"],
        }
        for row in behind
    ]
    said = {
        "ECSAgent": {"ReleaseVersion": max(agents, key=_numbers, default="")},
        "ECSAmis": list(images.values()),
        "ecsroll": {"version": 1, "behind": where},
    }
    return json.dumps(said)


def _entry(row: Mapping[str, Any], region: str) -> dict[str, Any]:
    newest, family = row["newest"], row["family"] or ""
    agent = newest["agent"] or ""
    notes = f"This AMI includes the ECS agent {agent}" if agent else "Read from AWS's public parameter"
    return {
        "ReleaseVersion": newest["version"],
        "AgentVersion": agent,
        "ReleaseNotes": notes,
        "OsType": "windows" if "windows" in family.lower() else "linux",
        "OperatingSystemName": family,
        "Regions": {region: {"Name": newest.get("name") or "", "ImageId": newest["image"]}},
    }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
