"""The machine's clock: whoever sets it anew in the middle of a roll does not hurry or hold up anything."""

from datetime import UTC, datetime, timedelta

from ecsroll.clock import SystemClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_the_time_of_day_goes_on_steadily_when_it_is_set_anew() -> None:
    said = {"wall": NOON, "steady": 1000.0}
    clock = SystemClock(wall=lambda: said["wall"], steady=lambda: said["steady"])  # type: ignore[arg-type, return-value]
    said.update(wall=NOON + timedelta(days=3), steady=1060.0)
    assert clock.now() == NOON + timedelta(minutes=1)
    said.update(wall=NOON - timedelta(days=3), steady=1120.0)
    assert clock.now() == NOON + timedelta(minutes=2)
    assert clock.elapsed() == 1120.0


def test_the_machine_says_what_time_it_is() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)
