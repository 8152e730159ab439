"""``ecsroll.toml``: lasting policy for several clusters.

Of two places that say something about a setting, the first counts: the command line, the environment, the cluster's own
table, ``[policy]``, the default::

    side-by-side = false          # several clusters one after the other, in the order of their tables

    [policy]                      # of every cluster
    max-surge = "25%"

    [cluster.prod]
    region = "eu-central-1"
    window = ["Mon-Fri 22:00-04:00 Europe/Berlin"]
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecsroll.errors import UsageError
from ecsroll.policy import SETTINGS, Layer, Setting, settle

__all__ = ["NAME", "ClusterTable", "PolicyFile", "find", "read", "schema"]

NAME = "ecsroll.toml"
_PLACE = ("region", "profile")
"""What a cluster's table says besides policy: where the cluster is."""
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTable:
    """What the file says of one cluster."""

    layer: Layer
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """The whole file; an empty one where there is none."""

    path: str = ""
    policy: Layer = field(default_factory=lambda: Layer(NAME, {}))
    clusters: Mapping[str, ClusterTable] = field(default_factory=dict)
    side_by_side: bool = False

    def layers(self, cluster: str) -> tuple[Layer, ...]:
        """What it says of a cluster, the cluster's own table first."""
        own = self.clusters.get(cluster)
        return (own.layer, self.policy) if own else (self.policy,)

    def place(self, cluster: str) -> tuple[str | None, str | None]:
        """Region and profile of a cluster, where the file says them."""
        own = self.clusters.get(cluster)
        return (own.region, own.profile) if own else (None, None)


def find(given: str | None, folder: Path) -> PolicyFile:
    """The file that was named, else the one in this folder, else none.

    Raises UsageError where a named one is not there, or where what is there can not be read, with all of its problems.
    """
    path = Path(given) if given else folder / NAME
    if not given and not path.is_file():
        return PolicyFile()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"{path} can not be read: {reason}", hint="give another with --config") from error
    return read(text, given or NAME)


def read(text: str, path: str = NAME) -> PolicyFile:
    """The file that this text is. Raises UsageError with every problem of it."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}", hint="docs/policy-file.md shows one") from error
    problems = list(_problems(said))
    if not problems:
        file = _file(said, path)
        problems = list(_unsettled(file))
        if not problems:
            return file
    raise UsageError(f"{path}: {'; '.join(problems)}", hint="docs/policy-file.md shows what can be said")


def _file(said: Mapping[str, Any], path: str) -> PolicyFile:
    return PolicyFile(
        path=path,
        policy=_layer(said.get("policy", {}), f"{path} [policy]"),
        clusters={
            name: ClusterTable(
                layer=_layer(table, f"{path} [cluster.{name}]"),
                region=table.get("region"),
                profile=table.get("profile"),
            )
            for name, table in said.get("cluster", {}).items()
        },
        side_by_side=said.get("side-by-side", False),
    )


def _layer(table: Mapping[str, Any], source: str) -> Layer:
    return Layer(source, {key: _value(value) for key, value in table.items() if key in _BY_NAME})


def _value(value: Any) -> str | bool | list[str]:
    if isinstance(value, bool):
        return value
    return [str(word) for word in value] if isinstance(value, list) else str(value)


# What is wrong with it ---------------------------------------------------------------------------------------------


def _problems(said: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown("", said, ("side-by-side", "policy", "cluster"))
    if not isinstance(said.get("side-by-side", False), bool):
        yield "side-by-side: true or false is wanted"
    tables = {"policy": said.get("policy", {})}
    clusters = said.get("cluster", {})
    if isinstance(clusters, dict):
        tables |= {f"cluster.{name}": table for name, table in clusters.items()}
    else:
        yield "cluster: a table for each cluster is wanted, [cluster.prod]"
    for name, table in tables.items():
        if isinstance(table, dict):
            yield from _wrong(name, table)
        else:
            yield f"{name}: a table is wanted, [{name}]"


def _wrong(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    place = _PLACE if name != "policy" else ()
    yield from _unknown(f"[{name}] ", table, (*_BY_NAME, *place))
    for key in place:
        if not isinstance(table.get(key, ""), str):
            yield f"[{name}] {key}: a text is wanted"
    for key, setting in _BY_NAME.items():
        if key in table and not _fits(setting, table[key]):
            yield f"[{name}] {key}: {_WANTED[setting.kind]} is wanted"


_WANTED = {"flag": "true or false", "many": "a list of texts", "one": "a text or a whole number"}


def _fits(setting: Setting, value: Any) -> bool:
    if setting.kind == "flag":
        return isinstance(value, bool)
    if setting.kind == "many":
        return isinstance(value, list) and all(isinstance(word, str) for word in value)
    return isinstance(value, str | int) and not isinstance(value, bool)


def _unknown(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            yield f"{where}{key} is unknown" + (f" (is {near[0]} meant?)" if near else "")


def _unsettled(file: PolicyFile) -> Iterator[str]:
    """What the values would be refused for, once: a table is checked with what it stands on."""
    seen: set[str] = set()
    for layers in ((file.policy,), *(file.layers(name) for name in file.clusters)):
        try:
            settle(*layers)
        except UsageError as error:
            yield from (problem for problem in str(error).split("; ") if problem not in seen)
            seen |= set(str(error).split("; "))


# Its schema --------------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The JSON schema of the file, for editors: shipped as ``ecsroll/ecsroll.schema.json``."""
    settings = {setting.name: {"description": setting.help, **_shape(setting)} for setting in SETTINGS}
    place = {"region": {"type": "string"}, "profile": {"type": "string"}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": NAME,
        "description": "Lasting policy of ecsroll for one or more clusters",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "side-by-side": {"type": "boolean", "description": "Roll several clusters at the same time."},
            "policy": {"type": "object", "additionalProperties": False, "properties": settings},
            "cluster": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {**place, **settings},
                },
            },
        },
    }


def _shape(setting: Setting) -> dict[str, Any]:
    if setting.kind == "flag":
        return {"type": "boolean"}
    if setting.kind == "many":
        return {"type": "array", "items": dict(setting.schema)}
    return dict(setting.schema) | ({"default": setting.default} if setting.default else {})
