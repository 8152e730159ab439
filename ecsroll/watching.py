"""From the words of ``watch`` and ``events`` to a watcher and a tail."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

from ecsroll.aws import Aws
from ecsroll.errors import UsageError
from ecsroll.happenings import Reader
from ecsroll.inbox import Inbox
from ecsroll.model import Policy
from ecsroll.policy import choice, duration
from ecsroll.render import JsonScreen, PlainScreen, QuietScreen, console_for
from ecsroll.restarts import Restarts
from ecsroll.signatures import Signatures, require_library, web_certificate
from ecsroll.sinks import TOPIC
from ecsroll.tail import Tail
from ecsroll.watch import OnAmi, Watcher

if TYPE_CHECKING:
    from ecsroll.options import Shared

T = TypeVar("T")

__all__ = ["Watching", "settled", "tail", "watcher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What ``watch`` was asked for."""

    queue: str | None
    clusters: tuple[str, ...]
    on_ami: OnAmi
    interval: timedelta
    visibility: timedelta
    topics: frozenset[str]
    restarts: bool = False


def settled(
    words: Mapping[str, str],
    queue: str | None,
    clusters: Sequence[str],
    topics: Sequence[str],
    *,
    restarts: bool = False,
) -> Watching:
    """The options as they are meant. Raises UsageError with every problem of them at once."""
    problems: list[str] = []

    def read(option: str, parse: Callable[[str], T], fallback: T) -> T:
        try:
            return parse(words[option])
        except ValueError as error:
            problems.append(f"--{option}: {error}")
            return fallback

    on_ami = read("on-ami", choice("notify", "plan", "replace"), "notify")
    interval = read("ami-interval", duration, timedelta(minutes=5))
    visibility = read("visibility", duration, timedelta(minutes=5))
    if interval < timedelta(seconds=10):
        problems.append("--ami-interval: at least 10s")
    if not timedelta(seconds=30) <= visibility <= timedelta(hours=12):
        problems.append("--visibility: from 30s to 12h")
    problems += _unusable(on_ami, clusters, topics)
    if problems:
        raise UsageError("; ".join(problems), hint="ecsroll watch --help explains each option")
    return Watching(
        queue=queue,
        clusters=tuple(dict.fromkeys(clusters)),
        on_ami=cast("OnAmi", on_ami),
        interval=interval,
        visibility=visibility,
        topics=frozenset(topics),
        restarts=restarts,
    )


def _unusable(on_ami: str, clusters: Sequence[str], topics: Sequence[str]) -> Iterator[str]:
    if not all(name.strip() for name in clusters):
        yield "--cluster is empty"
    if on_ami == "replace" and not clusters:
        yield "--on-ami replace: name the clusters that may be rolled (--cluster, or ecsroll.toml)"
    yield from (f"--topic {arn}: this is no ARN of a topic" for arn in topics if not TOPIC.fullmatch(arn))


def watcher(wanted: Watching, shared: "Shared", policy: Callable[[str], Policy]) -> Watcher:
    """A watcher as it was asked for. Raises UsageError, also for a policy that could not be rolled with."""
    policies = {name: policy(name) for name in wanted.clusters}

    ttl = min((each.lease_ttl.total_seconds() for each in policies.values()), default=60.0)
    timeout = min(20.0, ttl / 3)

    @cache
    def way(cluster: str) -> Aws:
        here = shared.at(cluster) if cluster else shared
        return here.aws(call_timeout=timeout)

    screen = _screen(shared, None)
    inbox = _inbox(way(""), wanted.queue, wanted.visibility, timeout)
    return Watcher(
        way=way,
        clusters=wanted.clusters,
        on_ami=wanted.on_ami,
        inbox=inbox,
        reader=_reader(shared, inbox, wanted.topics),
        screen=screen,
        sinks=shared.sinks(screen.event),
        policy=lambda name: policies[name] if name in policies else policy(name),
        interval=wanted.interval.total_seconds(),
        restarts=Restarts(lambda cluster: _quick(way(cluster))) if wanted.restarts else None,
    )


def tail(shared: "Shared", cluster: str, queue: str | None, since: str, policy: Policy, topics: Sequence[str]) -> Tail:
    """What ``events`` follows with. Raises UsageError."""
    try:
        span = duration(since)
    except ValueError as error:
        raise UsageError(f"--since: {error}", hint="ecsroll events --help explains each option") from error
    aws = shared.aws()
    inbox = _inbox(aws, queue, timedelta(seconds=30), 20.0)
    return Tail(
        aws=aws,
        cluster=cluster,
        screen=_screen(shared, cluster),
        since=span,
        interval=policy.poll_interval.total_seconds(),
        inbox=inbox,
        reader=_reader(shared, inbox, frozenset(topics)),
    )


def _inbox(aws: Aws, queue: str | None, visibility: timedelta, timeout: float) -> Inbox | None:
    """Its calls are tried for some seconds only: a roll does not wait for a queue.

    Of ``timeout``, the time of one call, three quarters are for the answer (``aws.session``), and four seconds of that
    for its way.
    """
    if queue is None:
        return None
    require_library()
    return Inbox(_quick(aws), queue, visibility.total_seconds(), longest=max(0, int(timeout * 3 / 4 - 4)))


def _quick(aws: Aws) -> Aws:
    quick = aws.unguarded()
    quick.patience = 10.0
    return quick


def _reader(shared: "Shared", inbox: Inbox | None, topics: frozenset[str]) -> Reader:
    signatures = Signatures(shared.outside.clock, shared.outside.certificate or web_certificate)
    return Reader(signatures, account=inbox.account if inbox else "", topics=topics)


def _screen(shared: "Shared", cluster: str | None) -> QuietScreen:
    """Lines: what a watcher tells has no picture."""
    if shared.json:
        return JsonScreen(shared.outside.out, cluster)
    if shared.quiet:
        return QuietScreen()
    return PlainScreen(console_for(shared.outside.err), shared.verbose)
