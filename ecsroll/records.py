"""What is written down under ``/ecsroll/<cluster>/`` in SSM: the roll, the ledgers, the history (DESIGN 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ecsroll.aws import Aws
from ecsroll.errors import AwsRefusal
from ecsroll.ledger import Ledger, Roll, ledger_from, roll_from, slug, text_of

__all__ = ["Records", "Written", "history_name"]

KEPT = 5
"""Rolls that the history keeps."""


@dataclass(frozen=True, slots=True)
class Written:
    """Everything that is written down about a cluster."""

    roll: Roll | None
    ledgers: Mapping[str, Ledger]
    history: tuple[Roll, ...]

    @property
    def past(self) -> frozenset[int]:
        """Epochs that have been used."""
        return frozenset(roll.epoch for roll in self.history)


@dataclass
class Records:
    """Reads and writes the records of one cluster.

    A reading may lag behind our own last writing (facts 6.6), so what was written by this process is remembered with
    its version and wins over an older reading.
    """

    aws: Aws
    cluster: str
    own: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """The version of each that was read last: a deleted one must not come back with a lagging reading."""

    @property
    def path(self) -> str:
        """Where they lie."""
        return f"/ecsroll/{self.cluster}"

    def read(self) -> Written:
        """All of them, in one listing."""
        found = {name: text for name, (_, text) in self._listing().items() if text is not None}
        rolls = [roll_from(text) for name, text in sorted(found.items()) if name.startswith("history/")]
        ledgers = [ledger_from(text) for name, text in found.items() if name.startswith("ledger/")]
        return Written(
            roll=roll_from(found["roll"]) if "roll" in found else None,
            ledgers={ledger.group: ledger for ledger in ledgers},
            history=tuple(rolls),
        )

    def _listing(self) -> dict[str, tuple[int, str | None]]:
        items = self.aws.pages("ssm", "get_parameters_by_path", "Parameters", Path=self.path, Recursive=True)
        read: dict[str, tuple[int, str | None]] = {
            item["Name"].removeprefix(f"{self.path}/"): (item["Version"], item["Value"]) for item in items
        }
        self.versions.update({name: version for name, (version, _) in read.items()})
        for name, (version, text) in self.own.items():
            if read.get(name, (0, None))[0] <= version:
                read[name] = (version, text)
        return read

    def write_roll(self, roll: Roll) -> None:
        """Write down the roll."""
        self._put("roll", text_of(roll))

    def write_ledger(self, ledger: Ledger) -> None:
        """Write a group's page."""
        self._put(f"ledger/{slug(ledger.group)}", text_of(ledger))

    def forget_ledger(self, group: str) -> None:
        """Delete a group's page; that it is gone already is fine."""
        self._delete(f"ledger/{slug(group)}")

    def close(self, roll: Roll) -> None:
        """Move the roll into the history, and forget the oldest ones."""
        self._put(history_name(roll.epoch), text_of(roll))
        self._delete("roll")
        for old in sorted(self.read().past)[:-KEPT]:
            self._delete(history_name(old))

    def _put(self, name: str, text: str) -> None:
        answer = self.aws.call(
            "ssm", "put_parameter", Name=f"{self.path}/{name}", Value=text, Type="String", Overwrite=True
        )
        self.own[name] = (int(answer["Version"]), text)

    def _delete(self, name: str) -> None:
        known = max(self.own.get(name, (0, None))[0], self.versions.get(name, 0))
        try:
            self.aws.call("ssm", "delete_parameter", Name=f"{self.path}/{name}")
        except AwsRefusal as no:
            if no.code != "ParameterNotFound":
                raise
        self.own[name] = (known, None)


def history_name(epoch: int) -> str:
    """The name under which a roll is kept in the history."""
    return f"history/{epoch:06d}"
