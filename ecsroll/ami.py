"""The image: which one should run, which one does.

The families and their releases are :mod:`ecsroll.families`; here they are looked up, compared and chosen. Nothing is
called but :class:`ImageSource`, and all that follows from its answers is pure. An image that can not be told is named
as such (:class:`Stranger`); it is never guessed to be anything.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, Protocol

from ecsroll.errors import EcsrollError, NotFound, Refused, UsageError
from ecsroll.families import (
    FAMILIES,
    Family,
    Kind,
    Release,
    days_between,
    family_of,
    parse_bottlerocket,
    parse_json,
    parse_name,
)
from ecsroll.image_rules import ImageRules

__all__ = [
    "FAMILIES",
    "Catalogue",
    "Change",
    "Family",
    "GroupImages",
    "Image",
    "ImageSource",
    "InUse",
    "Kind",
    "Known",
    "Parameter",
    "Release",
    "Row",
    "Step",
    "Stranger",
    "check",
    "choose",
    "compare",
    "days_between",
    "family_of",
    "parse_bottlerocket",
    "parse_json",
    "parse_name",
]

_TARGETS = ("recommended", "keep", "previous")
_AMI_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")

# EC2 gives Amazon's own images the owner alias "amazon" in every partition. The number is that of the Linux ECS images
# in the commercial regions (aws-facts 1.4); Bottlerocket has another one in each region, so numbers alone do not do.
_AWS = frozenset({"amazon", "591542846629"})

NO_RULES = ImageRules()
_AT_ONCE = 20
"""Images of older releases looked up together: the first one that may be launched is seldom far back."""

_PIN_HINT = "name an image with --ami ami-…, or roll to what the group's template says with --ami keep"
_GROUP_HINT = f"{_PIN_HINT}; --asg rolls only the groups that it names"


# What AWS is asked


@dataclass(frozen=True, slots=True)
class Parameter:
    """One SSM parameter as GetParameters and GetParametersByPath give it."""

    name: str
    value: str
    version: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Image:
    """One image as DescribeImages gives it."""

    id: str
    name: str
    owner: str
    """``ImageOwnerAlias`` where EC2 states one (``amazon``), else ``OwnerId``."""
    architecture: str
    created: datetime
    deprecated: datetime | None = None
    root_device: str | None = None
    state: str = "available"


class ImageSource(Protocol):
    """The three reads of this module; who implements them chunks, pages and retries."""

    def parameters(self, names: Sequence[str]) -> dict[str, Parameter]:
        """GetParameters: by name, missing ones absent."""
        ...

    def by_path(self, path: str) -> list[Parameter]:
        """GetParametersByPath: all pages, one level."""
        ...

    def images(self, ids: Sequence[str]) -> dict[str, Image]:
        """DescribeImages with IncludeDeprecated: by id, missing ones absent."""
        ...


@dataclass(frozen=True, slots=True)
class Stranger:
    """An image that is no ECS-optimized release, or not provably one; the reason is a sentence that names it."""

    image_id: str
    reason: str
    name: str | None = None
    architecture: str | None = None


# Two releases


class Step(NamedTuple):
    """From what to what; ``was`` is None when the older image no longer says."""

    was: str | None
    now: str


@dataclass(frozen=True, slots=True)
class Change:
    """What lies between a running release and the newest; a part that stays, or that nobody knows, is None."""

    days: int | None
    releases: int | None
    agent: Step | None
    runtime: Step | None
    source_image: Step | None
    backwards: bool
    """The newest is older than what runs: AWS took a release back. Days and releases are then negative."""


def compare(running: Release, newest: Release, history: Sequence[Release] = ()) -> Change:
    """What a host gains by going from one release to another of the same family (aws-facts 1.4, "why update").

    ``history`` is :meth:`Catalogue.history`, newest first; releases are counted when it holds both.
    """
    assert running.family == newest.family, "releases are ordered inside one family"
    places = {release.image_id: place for place, release in enumerate(history)}
    counted = running.image_id in places and newest.image_id in places
    return Change(
        days=days_between(running, newest),
        releases=places[running.image_id] - places[newest.image_id] if counted else None,
        agent=_step(running.agent, newest.agent),
        runtime=_step(running.runtime, newest.runtime),
        source_image=_step(running.source_image, newest.source_image),
        backwards=newest.order < running.order,
    )


def _step(was: str | None, now: str | None) -> Step | None:
    return Step(was, now) if now is not None and was != now else None


# What runs


@dataclass(frozen=True, slots=True)
class GroupImages:
    """A group by its images: what each host runs, and what the group would launch next if that is known."""

    name: str
    hosts: Mapping[str, str] = field(default_factory=dict)
    launches: str | None = None

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Every image that matters here, once."""
        launched = () if self.launches is None else (self.launches,)
        return tuple(dict.fromkeys((*self.hosts.values(), *launched)))


@dataclass(frozen=True, slots=True)
class Known:
    """What AWS said of the images of some groups: all that :func:`check` needs (:meth:`Catalogue.known` reads it)."""

    images: Mapping[str, Release | Stranger]
    newest: Mapping[str, Release]
    """By family key; a family that this region does not publish is absent."""
    history: Mapping[str, Sequence[Release]] = field(default_factory=dict)
    """By family key, newest first; empty when it was not asked for."""
    held_back: Mapping[str, str] = field(default_factory=dict)
    """By family key: why the recommended one is not the newest here."""
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InUse:
    """One image of a group. An image that the group would launch next, but that nothing runs, has no hosts."""

    image_id: str
    name: str | None
    version: str | None
    hosts: int
    launches: bool
    change: Change | None
    """To the newest of its family; None when it is the newest, or when there is none to compare with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``check-ami``: a group and one family in it, or an image that is of no family."""

    group: str
    family: Family | None
    reason: str | None
    """Why there is nothing to compare with: no release, or no newest one in this region."""
    images: tuple[InUse, ...]
    """Oldest first."""
    newest: Release | None
    """The newest that may be launched."""
    held_back: str | None = None
    """Why that is not the recommended one."""

    @property
    def outdated(self) -> bool:
        """Whether a host runs, or would be launched with, anything else than the newest."""
        return any(image.change for image in self.images)

    @property
    def change(self) -> Change | None:
        """How far the oldest image is from the newest: days, releases and what changed."""
        return next((image.change for image in self.images if image.change), None)


def check(groups: Sequence[GroupImages], known: Known) -> tuple[Row, ...]:
    """What each group runs against what it could run: the core of ``check-ami``.

    A group gives one row a family (mixed architectures are two families), one for each stranger after them, or one
    that says that nothing is known of it. An image that AWS has meanwhile taken back is outdated too:
    ``replace`` would go to the recommended one, and ``Change.backwards`` says which way that is.
    """
    return tuple(row for group in groups for row in _rows(group, known))


def _rows(group: GroupImages, known: Known) -> Iterator[Row]:
    families: defaultdict[str, list[Release]] = defaultdict(list)
    strangers: list[Stranger] = []
    for image in (known.images[image_id] for image_id in group.image_ids):
        if isinstance(image, Release):
            families[image.family.key].append(image)
        else:
            strangers.append(image)
    yield from (_family_row(group, releases, known) for _, releases in sorted(families.items()))
    for stranger in sorted(strangers, key=lambda stranger: stranger.image_id):
        yield Row(group.name, None, stranger.reason, (_in_use(group, stranger, None),), None)
    if not group.image_ids:
        yield Row(group.name, None, _nothing_known(group), (), None)


def _family_row(group: GroupImages, releases: Iterable[Release], known: Known) -> Row:
    oldest_first = sorted(releases, key=lambda release: release.order)
    family = oldest_first[0].family
    newest = known.newest.get(family.key)
    history = known.history.get(family.key, ())
    changes = [None if newest is None else _to_newest(release, newest, history, known) for release in oldest_first]
    images = tuple(_in_use(group, release, change) for release, change in zip(oldest_first, changes, strict=True))
    reason = _unpublished(family) if newest is None else None
    return Row(group.name, family, reason, images, newest, known.held_back.get(family.key))


def _to_newest(release: Release, newest: Release, history: Sequence[Release], known: Known) -> Change | None:
    """Nothing, too, where a host is ahead of what the rules let be launched now: it is not taken back for that."""
    held = release.family.key in known.held_back and release.image_id not in known.denied
    if release.image_id == newest.image_id or (held and release.order > newest.order):
        return None
    return compare(release, newest, history)


def _in_use(group: GroupImages, image: Release | Stranger, change: Change | None) -> InUse:
    return InUse(
        image.image_id,
        image.name,
        image.version if isinstance(image, Release) else None,
        hosts=sum(running == image.image_id for running in group.hosts.values()),
        launches=image.image_id == group.launches,
        change=change,
    )


def _nothing_known(group: GroupImages) -> str:
    return f"group '{group.name}' runs no host, and what it would launch is not known"


def _unpublished(family: Family) -> str:
    return f"AWS publishes no {family.key} image in this region"


# What AWS publishes


class Catalogue:
    """What AWS publishes and what an image is: read once, in few calls, and remembered as long as the object lives."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._parameters: dict[str, Parameter | None] = {}
        self._images: dict[str, Image | None] = {}
        self._histories: dict[str, tuple[Release, ...]] = {}

    def recommended(self, family: Family) -> Release:
        """The release that AWS recommends in this region; NotFound when it publishes none of that family."""
        newest = self.newest([family]).get(family.key)
        if newest is None:
            raise NotFound(_unpublished(family), hint=_PIN_HINT)
        return newest

    def newest(self, families: Iterable[Family]) -> dict[str, Release]:
        """The recommended release of each family by its key; a family that is not published here is absent.

        One call of parameters, and one of images if there is Bottlerocket among them. Raises EcsrollError when AWS
        publishes something unreadable.
        """
        wanted = list(dict.fromkeys(families))
        self._ask_parameters(name for family in wanted for name in family.parameters)
        found = [release for family in wanted if (release := self._newest(family)) is not None]
        self._ask_images(release.image_id for release in found if release.released is None)
        return {release.family.key: self._dated(release) for release in found}

    def release_of(self, image_id: str) -> Release | Stranger:
        """What that image is: see :meth:`releases_of`."""
        return self.releases_of([image_id])[image_id]

    def releases_of(self, image_ids: Iterable[str]) -> dict[str, Release | Stranger]:
        """What each of these images is: a release by its name and AWS's word, or a stranger with the reason.

        One call of images for the names, one of parameters for the Linux releases among them.
        """
        ids = list(dict.fromkeys(image_ids))
        self._ask_images(ids)
        images = {image_id: self._images[image_id] for image_id in ids}
        nodes = {image.id: _nodes(image) for image in images.values() if image is not None}
        self._ask_parameters(name for names in nodes.values() for name in names)
        return {
            image_id: _identify(image_id, image, [self._parameters[name] for name in nodes.get(image_id, ())])
            for image_id, image in images.items()
        }

    def history(self, family: Family) -> tuple[Release, ...]:
        """The releases that AWS still lists, newest first: about two years of a Linux family (aws-facts 1.3).

        Of Windows and Bottlerocket only the recommended one is listed. Twenty calls a Linux family, so ask only when
        it is needed. Raises NotFound when AWS publishes nothing of that family here.
        """
        if family.key not in self._histories:
            newest = self.recommended(family)
            nodes = self._source.by_path(family.path) if family.kind is Kind.LINUX else []
            # Each release stands there twice, under its name and under its id. A node that can not be read is passed
            # over: one odd entry of two years ago must not stop a check.
            read = [release for node in nodes if (release := _readable(family, node)) is not None]
            once = {release.image_id: release for release in (*read, newest)}
            self._histories[family.key] = tuple(sorted(once.values(), key=lambda release: release.order, reverse=True))
        return self._histories[family.key]

    def previous(self, family: Family, image_id: str, rules: ImageRules = NO_RULES) -> Release:
        """The newest release before that image that may be launched.

        NotFound when AWS does not list the image, or nothing before it; Refused when the rules leave none.
        """
        releases = self.history(family)
        ids = [release.image_id for release in releases]
        if image_id not in ids[:-1]:
            raise NotFound(f"AWS lists no {family.key} release before {image_id} in this region", hint=_PIN_HINT)
        return self._first_allowed(family, releases[ids.index(image_id) + 1 :], rules)

    def allowed(self, family: Family, rules: ImageRules) -> Release:
        """The newest release that may be launched: the recommended one, or one before it.

        NotFound when AWS publishes none of that family here, Refused when the rules leave none.
        """
        newest = self.recommended(family)
        if self.against(newest.image_id, rules) is None:
            return newest
        older = (release for release in self.history(family) if release.order < newest.order)
        return self._first_allowed(family, tuple(older), rules)

    def against(self, image_id: str, rules: ImageRules) -> str | None:
        """Why the rules do not let that image be launched, or None; nothing is read where there is no rule."""
        if not rules.any:
            return None
        self._ask_images([image_id])
        return rules.against(self._images[image_id])

    def _first_allowed(self, family: Family, releases: Sequence[Release], rules: ImageRules) -> Release:
        if not rules.any:
            return releases[0]
        for start in range(0, len(releases), _AT_ONCE):
            some = releases[start : start + _AT_ONCE]
            self._ask_images(release.image_id for release in some)
            for release in some:
                if rules.against(self._images[release.image_id]) is None:
                    return release
        hint = "a shorter --min-ami-age, fewer --deny-ami, or one image by name with --ami ami-…"
        raise Refused(f"no {family.key} release of this region may be launched by these rules", hint=hint)

    def pinned(self, image_id: str, architecture: str | None, rules: ImageRules = NO_RULES) -> Release | Stranger:
        """What an image that somebody named is, once it may be launched on hosts of that architecture (None: any).

        Raises NotFound when it does not exist here for this account, Refused when it is of another architecture, not
        available, or against the rules.
        """
        self._ask_images([image_id])
        image = self._images[image_id]
        if image is None:
            hint = "an image's id differs from region to region, and a private one must be shared with this account"
            raise NotFound(f"there is no image {image_id} in this region for this account", hint=hint)
        if image.state != "available":
            raise Refused(f"{image_id} can not be launched: it is {image.state}", hint="wait for it, or name another")
        if architecture not in (None, image.architecture):
            hint = f"name an image for {architecture}; --asg rolls only the groups that it names"
            raise Refused(f"{image_id} is for {image.architecture}, the hosts are {architecture}", hint=hint)
        _check_allowed(image_id, self.against(image_id, rules))
        return self.release_of(image_id)

    def known(
        self, groups: Sequence[GroupImages], *, with_history: bool = False, rules: ImageRules = NO_RULES
    ) -> Known:
        """What :func:`check` needs of these groups, all of them read together. Raises Refused as ``allowed`` does."""
        images = self.releases_of(image_id for group in groups for image_id in group.image_ids)
        families = [image.family for image in images.values() if isinstance(image, Release)]
        newest = self.newest(families)
        history = {key: self.history(release.family) for key, release in newest.items() if with_history}
        held_back = {
            key: f"{release.image_id} ({release.version}) {reason}"
            for key, release in newest.items()
            if (reason := self.against(release.image_id, rules)) is not None
        }
        newest |= {key: self.allowed(newest[key].family, rules) for key in held_back}
        return Known(images, newest, history, held_back, rules.denied)

    def _newest(self, family: Family) -> Release | None:
        read = [self._parameters[name] for name in family.parameters]
        values = [None if parameter is None else parameter.value for parameter in read]
        if not any(values):
            return None
        if family.kind is Kind.BOTTLEROCKET:
            return parse_bottlerocket(family, *values)
        return parse_json(family, values[0], parameter=family.parameters[0])

    def _dated(self, release: Release) -> Release:
        image = self._images.get(release.image_id)
        return replace(release, released=image.created.date()) if image and release.released is None else release

    def _ask_parameters(self, names: Iterable[str]) -> None:
        new = [name for name in dict.fromkeys(names) if name not in self._parameters]
        answer = self._source.parameters(new) if new else {}
        self._parameters.update({name: answer.get(name) for name in new})

    def _ask_images(self, ids: Iterable[str]) -> None:
        new = [image_id for image_id in dict.fromkeys(ids) if image_id not in self._images]
        answer = self._source.images(new) if new else {}
        self._images.update({image_id: answer.get(image_id) for image_id in new})


def _check_allowed(image_id: str, reason: str | None) -> None:
    if reason is not None:
        raise Refused(f"{image_id} {reason}", hint="leave out the rule for this roll, or name another image")


def _nodes(image: Image) -> tuple[str, ...]:
    """Where AWS describes that release: under its AMI id (seen, never documented) and its name (aws-facts 1.1)."""
    family = family_of(image.name)
    if family is None or family.kind is not Kind.LINUX:
        return ()
    return (f"{family.path}/{image.id}", f"{family.path}/{image.name}")


def _readable(family: Family, node: Parameter | None) -> Release | None:
    with suppress(EcsrollError):
        return None if node is None else parse_json(family, node.value, parameter=node.name)
    return None


def _identify(image_id: str, image: Image | None, nodes: Iterable[Parameter | None]) -> Release | Stranger:
    if image is None:
        return Stranger(image_id, f"{image_id} is gone from EC2, or no longer shared with this account")
    named = parse_name(image_id, image.name, created=image.created.date())
    if named is None:
        reason = f"{image_id} '{image.name}' is no ECS-optimized release"
        return Stranger(image_id, reason, image.name, image.architecture)
    for node in nodes:
        release = _readable(named.family, node)
        if release is not None and release.image_id == image_id:
            return release
    # A copy keeps the name of what it was copied from; to roll its group to AWS's image would undo what the copy is
    # for (encryption, sharing), so only AWS's own image is taken at its name.
    if image.owner not in _AWS:
        reason = f"{image_id} '{image.name}' has the name of a release but belongs to {image.owner}, not to AWS"
        return Stranger(image_id, reason, image.name, image.architecture)
    return named


# Which one should run


def choose(
    target: str, groups: Sequence[GroupImages], catalogue: Catalogue, rules: ImageRules = NO_RULES
) -> dict[str, str]:
    """The image that ``--ami`` wants for each group: ``recommended``, ``keep``, ``previous`` or an id.

    A group's family is that of what it would launch next, else of what it runs. ``keep`` is what it would launch.
    ``previous`` is the release before the recommended one, whatever runs, so that a rerun does not go back further.
    The rules take newer releases out of the choice; they never take a group back from what it would launch, unless
    that is denied. Raises UsageError for another word; Refused when a group's image is no release, when it mixes
    families or architectures, or when an image does not fit it or the rules; NotFound when there is no such image.
    """
    if target not in _TARGETS and not _AMI_ID.fullmatch(target):
        raise UsageError(f"--ami {target} is no image", hint=f"say {', '.join(_TARGETS)} or an id such as ami-0abc…")
    if target == "keep":
        kept = {group.name: _kept(group) for group in groups}
        for image_id in kept.values():
            _check_allowed(image_id, catalogue.against(image_id, rules))
        return kept
    images = catalogue.releases_of(image_id for group in groups for image_id in group.image_ids)
    architectures = {group.name: _architecture(group, images) for group in groups}
    if target not in _TARGETS:
        pinned = {name: catalogue.pinned(target, fits, rules) for name, fits in architectures.items()}
        return {name: image.image_id for name, image in pinned.items()}
    families = {group.name: _family(group, images) for group in groups}
    catalogue.newest(families.values())  # all of them in one call; what follows is remembered
    return {
        group.name: _of_family(
            target, families[group.name], images.get(group.launches or ""), catalogue, rules
        ).image_id
        for group in groups
    }


def _of_family(
    target: str, family: Family, now: Release | Stranger | None, catalogue: Catalogue, rules: ImageRules
) -> Release:
    newest = catalogue.recommended(family)
    if target == "previous":
        return catalogue.previous(family, newest.image_id, rules)
    best = catalogue.allowed(family, rules)
    ahead = isinstance(now, Release) and best.order < now.order and best != newest
    return now if ahead and isinstance(now, Release) and now.image_id not in rules.denied else best


def _kept(group: GroupImages) -> str:
    if group.launches is None:
        raise Refused(
            f"what group '{group.name}' would launch is not known, so there is nothing to keep",
            hint="give its launch template one image, or name one with --ami ami-…",
        )
    return group.launches


def _architecture(group: GroupImages, images: Mapping[str, Release | Stranger]) -> str | None:
    """The one architecture of a group, None when nothing tells it; Refused when there are several."""
    found = {images[image_id].architecture for image_id in group.image_ids} - {None}
    if len(found) > 1:
        raise Refused(
            f"group '{group.name}' mixes {' and '.join(sorted(map(str, found)))} images: one image can not serve both",
            hint="roll it to what its launch templates say with --ami keep, or leave it out with --asg",
        )
    return next(iter(found), None)


def _family(group: GroupImages, images: Mapping[str, Release | Stranger]) -> Family:
    """The one family of a group: what it would launch decides, else what it runs."""
    ids = group.image_ids if group.launches is None else (group.launches,)
    families: dict[str, Family] = {}
    for image in (images[image_id] for image_id in ids):
        if isinstance(image, Stranger):
            raise Refused(f"group '{group.name}': {image.reason}", hint=_GROUP_HINT)
        families[image.family.key] = image.family
    if not families:
        raise Refused(_nothing_known(group), hint=_GROUP_HINT)
    if len(families) > 1:
        what = " and ".join(sorted(families))
        raise Refused(f"group '{group.name}' runs images of {what}, and says not which to launch", hint=_GROUP_HINT)
    return next(iter(families.values()))
