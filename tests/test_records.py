"""The records: what this process wrote wins over a reading that lags, and the history stays short."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecsroll.aws import Aws
from ecsroll.errors import AwsRefusal, EcsrollError
from ecsroll.ledger import text_of
from ecsroll.records import Records
from tests.builders import page, roll, room


class Still:
    """A clock on which sleeping takes no time."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 3, tzinfo=UTC)

    def elapsed(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Nothing passes."""


@dataclass
class Drawer:
    """SSM as one drawer of parameters; ``lag`` is an older picture of it that readings show instead."""

    there: dict[str, tuple[int, str]] = field(default_factory=dict)
    lag: Mapping[str, tuple[int, str]] | None = None
    refuses: str = ""

    def client(self, service: str) -> "Drawer":
        assert service == "ssm"
        return self

    def put_parameter(self, **said: Any) -> dict[str, Any]:
        assert said["Type"] == "String"
        assert said["Overwrite"]
        version = self.there.get(said["Name"], (0, ""))[0] + 1
        self.there[said["Name"]] = (version, said["Value"])
        return {"Version": version}

    def delete_parameter(self, **said: Any) -> dict[str, Any]:
        if self.refuses or said["Name"] not in self.there:
            code = self.refuses or "ParameterNotFound"
            raise ClientError({"Error": {"Code": code, "Message": "No."}}, "DeleteParameter")
        del self.there[said["Name"]]
        return {}

    def get_parameters_by_path(self, **said: Any) -> dict[str, Any]:
        assert said["Recursive"]
        shown = self.there if self.lag is None else self.lag
        found = sorted(name for name in shown if name.startswith(said["Path"] + "/"))
        start = int(said.get("NextToken", 0))
        items = [{"Name": name, "Version": shown[name][0], "Value": shown[name][1]} for name in found]
        more = {"NextToken": str(start + 2)} if start + 2 < len(items) else {}
        return {"Parameters": items[start : start + 2], **more}


def records(drawer: Drawer) -> Records:
    return Records(Aws(drawer, Still(), workers=1), "prod")


def test_nothing_is_written_down_yet() -> None:
    written = records(Drawer()).read()
    assert (written.roll, dict(written.ledgers), written.history, written.past) == (None, {}, (), frozenset())


def test_what_was_written_is_read_by_another_process() -> None:
    drawer = Drawer()
    ours = records(drawer)
    ours.write_roll(roll("web", "a/b"))
    ours.write_ledger(page("web"))
    ours.write_ledger(page("a/b", room=room()))
    assert min(drawer.there).startswith("/ecsroll/prod/ledger/a-b.")
    written = records(drawer).read()
    assert written.roll == roll("web", "a/b")
    assert written.ledgers == {"web": page("web"), "a/b": page("a/b", room=room())}


def test_another_cluster_is_not_read() -> None:
    drawer = Drawer()
    Records(Aws(drawer, Still(), workers=1), "prod-2").write_roll(roll())
    assert records(drawer).read().roll is None


def test_our_own_writing_wins_over_a_reading_that_lags() -> None:
    drawer = Drawer()
    ours = records(drawer)
    ours.write_ledger(page(canary_passed=False))
    drawer.lag = dict(drawer.there)
    ours.write_ledger(page(canary_passed=True))
    ours.write_roll(roll())
    assert ours.read().ledgers["web"].canary_passed
    assert ours.read().roll == roll()


def test_a_later_writing_of_somebody_else_wins_over_ours() -> None:
    drawer = Drawer()
    ours = records(drawer)
    ours.write_roll(roll(by="us"))
    records(drawer).write_roll(roll(by="them"))
    written = ours.read().roll
    assert written is not None
    assert written.by == "them"


def test_what_we_deleted_is_gone_whatever_a_reading_says() -> None:
    drawer = Drawer()
    ours = records(drawer)
    ours.write_ledger(page())
    drawer.lag = dict(drawer.there)
    ours.forget_ledger("web")
    assert dict(ours.read().ledgers) == {}


def test_what_another_life_wrote_and_this_one_deleted_is_gone_whatever_a_reading_says() -> None:
    drawer = Drawer()
    records(drawer).write_ledger(page())
    ours = records(drawer)
    ours.read()
    drawer.lag = dict(drawer.there)
    ours.forget_ledger("web")
    assert dict(ours.read().ledgers) == {}


def test_what_we_deleted_may_be_written_anew_by_somebody_else() -> None:
    drawer = Drawer()
    ours = records(drawer)
    ours.write_ledger(page())
    ours.write_ledger(page())
    ours.forget_ledger("web")
    drawer.there["/ecsroll/prod/ledger/web"] = (3, text_of(page(old=9)))
    assert ours.read().ledgers["web"].old == 9


def test_a_deleted_page_may_be_written_anew_by_us_though_versions_begin_again() -> None:
    drawer = Drawer()
    ours = records(drawer)
    for _ in range(3):
        ours.write_ledger(page())
    drawer.lag = dict(drawer.there)
    ours.forget_ledger("web")
    ours.write_ledger(page(old=9))
    drawer.lag = None
    assert ours.read().ledgers["web"].old == 9


def test_forgetting_what_is_gone_already_is_fine() -> None:
    records(Drawer()).forget_ledger("web")


def test_forgetting_that_is_refused_is_said() -> None:
    with pytest.raises(AwsRefusal):
        records(Drawer(refuses="InvalidKeyId")).forget_ledger("web")


def test_closing_moves_the_roll_into_the_history() -> None:
    drawer = Drawer()
    ours = records(drawer)
    ours.write_roll(roll(epoch=3))
    ours.close(roll(epoch=3, result="done"))
    assert sorted(drawer.there) == ["/ecsroll/prod/history/000003"]
    written = records(drawer).read()
    assert written.roll is None
    assert written.history == (roll(epoch=3, result="done"),)
    assert written.past == {3}


def test_closing_twice_is_closing_once() -> None:
    drawer = Drawer()
    records(drawer).close(roll(epoch=3, result="done"))
    records(drawer).close(roll(epoch=3, result="done"))
    assert records(drawer).read().past == {3}


def test_the_history_keeps_the_last_five() -> None:
    drawer = Drawer()
    ours = records(drawer)
    for epoch in [*range(1, 9), 100, 1_000_000]:
        ours.close(roll(epoch=epoch, result="done"))
    assert [one.epoch for one in records(drawer).read().history] == [6, 7, 8, 100, 1_000_000]
    assert ours.read().past == {6, 7, 8, 100, 1_000_000}


def test_a_record_that_can_not_be_read_stops_everything() -> None:
    drawer = Drawer({"/ecsroll/prod/roll": (1, "by hand")})
    with pytest.raises(EcsrollError, match="can not be read"):
        records(drawer).read()


def test_what_else_lies_there_is_left_alone() -> None:
    drawer = Drawer({"/ecsroll/prod/lease/000001": (1, "somebody"), "/ecsroll/prod/note": (1, "hello")})
    assert records(drawer).read().roll is None


def test_a_page_is_written_whole() -> None:
    drawer = Drawer()
    ours = records(drawer)
    ours.write_ledger(page(room=room()))
    ours.write_ledger(replace(page(), room=None))
    assert records(drawer).read().ledgers["web"].room is None
