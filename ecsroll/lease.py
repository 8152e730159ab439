"""Who holds this cluster: one roll at a time, without infrastructure of its own (DESIGN 6).

The lease is an SSM parameter ``/ecsroll/<cluster>/lease/<epoch>``. ``PutParameter(Overwrite=false)`` creates it
atomically, so of all contenders for one epoch exactly one wins; SSM has no compare-and-swap beyond that (aws-facts 10),
so nothing else is built on. Creating or renewing counts only once a listing *begun afterwards* shows no higher epoch:
whoever created a higher one wins, and the other stops at its next look.

Time is only ever measured on one's own steady clock: the holder acts while its last confirmed renewal is younger than
the TTL less the longest call, a contender takes over after it has seen one version unchanged for longer than the TTL.
A lease that ran out is not renewed, even if nobody seems to have taken it: a contender may have judged it dead, be on
its way to create the next, and see no renewal any more.
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ecsroll.aws import SHOWS, Aws
from ecsroll.errors import AwsRefusal, Held, LeaseLost

__all__ = ["Lease", "Standing", "patience", "standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The lease with the highest epoch, as somebody reads it."""

    epoch: int
    version: int
    nonce: str
    holder: str
    since: str
    ttl: float
    released: bool
    windows: tuple[str, ...] = ()
    """As the holder was given them: who asks what a roll waits for has to know them."""
    renewed: datetime | None = None
    """When it was last written, by AWS's clock."""

    @property
    def free(self) -> bool:
        """Whether nobody says that they hold it."""
        return self.released or self.epoch == 0


@dataclass
class Lease:
    """One process's claim on one cluster.

    ``ttl`` in seconds. ``holder`` says who this is, for people; ``nonce`` tells it from every other process.
    """

    aws: Aws
    cluster: str
    holder: str
    ttl: float = 120.0
    epoch: int = 0
    confirmed: float | None = None
    """When (steady clock) the last confirmed creation or renewal was begun."""
    since: datetime | None = None
    nonce: str = field(default="")
    windows: tuple[str, ...] = ()
    """When the holder may drain hosts, as it was given: for people."""
    watching: Callable[[Standing, float], None] = lambda _, __: None
    """Told when a holder is being watched, and for how many seconds at most: a roll never waits silently."""

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.aws = self.aws.unguarded()
        # A retry must not write what the first try no longer may.
        self.aws.guard = self._in_time
        # And a renewal has little time: its few calls are tried more often than others.
        self.aws.longest_wait = min(self.aws.longest_wait, self.ttl / 24)
        self.nonce = self.nonce or f"{self.aws.chance.getrandbits(64):016x}"

    @property
    def longest_call(self) -> float:
        """Seconds after which any call has ended: every one times out by then."""
        return min(20.0, self.ttl / 3)

    def take(self) -> None:
        """Become the holder: at once if nobody is, after watching a silent one for its whole TTL and a little more.

        Raises Held when a renewal (or a newer holder) is seen, AwsUnavailable naming ``ssm:PutParameter`` when the
        credentials may not write.
        """
        while True:
            now = standing(self.aws, self.cluster)
            if not now.free and now.nonce != self.nonce:
                self._watch(now)
            if self._create(now.epoch + 1):
                return

    def _watch(self, seen: Standing) -> None:
        """Return when the lease is dead or released; raise Held when its holder is alive."""
        began = self.aws.clock.elapsed()
        limit = patience(seen.ttl)
        self.watching(seen, limit)
        asked = began
        while asked - began <= limit:  # the look that judges has to begin after that: an answer may take its time
            self.aws.clock.sleep(max(0.2, seen.ttl / 10))
            asked = self.aws.clock.elapsed()
            now = standing(self.aws, self.cluster)
            if now.epoch == seen.epoch and now.released:
                return
            if (now.epoch, now.version) > (seen.epoch, seen.version):  # a reading may go back, too (facts 6.6)
                raise _held(self.cluster, now)

    def _create(self, epoch: int) -> bool:
        """Whether we won this epoch. A lost answer is no riddle: the nonce in the parameter tells whose it is."""
        begun = self.aws.clock.elapsed()
        self.since = self.aws.clock.now()
        try:
            self._put(epoch, overwrite=False)
        except AwsRefusal as no:
            if no.code != "ParameterAlreadyExists":
                raise
        return self._confirm(epoch, begun)

    def _confirm(self, epoch: int, begun: float) -> bool:
        now = self._standing(epoch)
        if now.epoch != epoch or now.nonce != self.nonce or now.released:
            return False
        self.epoch, self.confirmed = epoch, begun
        return True

    def _standing(self, epoch: int) -> Standing:
        """The standing since an epoch was created, by whomever: a listing that does not show it lags (facts 6.6)."""
        until = self.aws.clock.elapsed() + SHOWS
        while (now := standing(self.aws, self.cluster)).epoch < epoch and self.aws.clock.elapsed() < until:
            self.aws.clock.sleep(1.0)
        return now

    def keep(self) -> None:
        """To be called before every call, by whichever thread makes it: renews in time; raises Held once it is lost."""
        with self.lock:
            self._check_age()
            if self._age() > self.ttl / 3:
                self._renew()
                self._check_age()

    def _check_age(self) -> None:
        if self._age() >= self.ttl - self.longest_call:
            raise LeaseLost(
                "the lease ran out before it could be renewed", hint="run the same command again: it goes on"
            )

    def _in_time(self) -> None:
        """What guards the lease's own calls: while it is taken there is nothing yet that could have run out."""
        if self.confirmed is not None:
            self._check_age()

    def _age(self) -> float:
        return float("inf") if self.confirmed is None else self.aws.clock.elapsed() - self.confirmed

    def _renew(self) -> None:
        """Look first: one that was paused through a takeover must not even touch its old parameter."""
        # As long as there is time: AWS's trouble is then what is reported, not that the lease ran out over it.
        self.aws.patience = self.ttl - self.longest_call - self._age() - self.aws.longest_wait
        now = self._standing(self.epoch)
        if now.epoch != self.epoch or now.nonce != self.nonce:
            raise _held(self.cluster, now)
        begun = self.aws.clock.elapsed()
        self._put(self.epoch, overwrite=True)
        if not self._confirm(self.epoch, begun):
            raise _held(self.cluster, standing(self.aws, self.cluster))

    def release(self) -> None:
        """Say that nobody holds the cluster. Written, not deleted: only a later holder deletes older epochs."""
        if self.confirmed is None or self._age() >= self.ttl - self.longest_call:
            return
        self.tidy()
        self._put(self.epoch, overwrite=True, released=True)
        self.confirmed = None

    def tidy(self) -> None:
        """Delete the leases of older epochs; only their successor may."""
        for name in _names(self.aws, self.cluster):
            if int(name.rpartition("/")[2]) < self.epoch:
                try:
                    self.aws.call("ssm", "delete_parameter", Name=name)
                except AwsRefusal as no:
                    if no.code != "ParameterNotFound":
                        raise

    def _put(self, epoch: int, *, overwrite: bool, released: bool = False) -> None:
        said = {
            "ecsroll": 1,
            "epoch": epoch,
            "nonce": self.nonce,
            "holder": self.holder,
            "since": self.since.isoformat() if self.since else "",
            "ttl": self.ttl,
            "released": released,
            "windows": list(self.windows),
        }
        self.aws.call(
            "ssm",
            "put_parameter",
            Name=f"/ecsroll/{self.cluster}/lease/{epoch:06d}",
            Value=json.dumps(said, sort_keys=True),
            Type="String",
            Overwrite=overwrite,
        )


def patience(ttl: float) -> float:
    """Seconds without a renewal after which a holder is dead."""
    return ttl + min(10.0, ttl / 12)


def standing(aws: Aws, cluster: str) -> Standing:
    """The highest epoch that was ever used here: in a lease, or in the history."""
    return highest(aws.pages("ssm", "get_parameters_by_path", "Parameters", Path=f"/ecsroll/{cluster}", Recursive=True))


def highest(parameters: list[dict[str, Any]]) -> Standing:
    """The standing in a listing of everything under the cluster's path."""
    best = Standing(0, 0, "", "", "", 0.0, released=True)
    for said in parameters:
        found = re.search(r"/(lease|history)/(\d+)$", said["Name"])
        if found and int(found[2]) >= best.epoch:
            read = _read(said, int(found[2])) if found[1] == "lease" else None
            if read is not None:
                best = read
            elif int(found[2]) > best.epoch:
                best = Standing(int(found[2]), said["Version"], "", "", "", 0.0, released=True)
    return best


def _read(said: dict[str, Any], epoch: int) -> Standing:
    try:
        text = json.loads(said["Value"])
        return Standing(
            epoch,
            said["Version"],
            str(text["nonce"]),
            str(text["holder"]),
            str(text["since"]),
            float(text["ttl"]),
            released=bool(text["released"]),
            windows=tuple(map(str, text.get("windows", ()))),  # older versions say nothing of them
            renewed=said.get("LastModifiedDate"),
        )
    except (ValueError, KeyError, TypeError):
        # Written by hand or another version: nobody's, held until it has been watched for a default TTL.
        return Standing(epoch, said["Version"], "", "somebody", "", 120.0, released=False)


def _names(aws: Aws, cluster: str) -> list[str]:
    path = f"/ecsroll/{cluster}/lease"
    return [said["Name"] for said in aws.pages("ssm", "get_parameters_by_path", "Parameters", Path=path)]


def _held(cluster: str, now: Standing) -> Held:
    since = f" since {now.since[:19].replace('T', ' ')}Z" if now.since else ""
    return Held(
        f"another roll holds the cluster: {now.holder or 'somebody'}{since} (epoch {now.epoch})",
        hint=f"ecsroll status --cluster {cluster} shows it; it ends by itself, or dies and its lease runs out",
    )
