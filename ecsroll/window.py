"""When hosts may be drained: ``Mon-Fri 22:00-04:00 Europe/Berlin``. Pure.

A window belongs to the day on which it opens; one that ends at or before its beginning ends on the next day. Times are
those of clocks on the wall: a time that a change to summer time leaves out is the moment at which the clock would have
shown it (02:30 is then 03:30), and of a time that comes twice in autumn the first one counts.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Window", "closes", "dated", "opens", "windows"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AHEAD = 9
"""Days to look ahead: a window that opens on one day of the week opens within eight."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window. ``days``: Monday is 0. ``said``: as it was written."""

    days: frozenset[int]
    begins: time
    ends: time
    zone: str
    said: str

    def spans(self, around: datetime) -> Iterator[tuple[datetime, datetime]]:
        """When it is open, in UTC, from the day before a moment on."""
        zone = ZoneInfo(self.zone)
        today = around.astimezone(zone).date()
        for day in (today + timedelta(days=number) for number in range(-1, AHEAD)):
            if day.weekday() in self.days:
                after = self.ends <= self.begins
                begin = _moment(day, self.begins, zone)
                end = _moment(day + timedelta(days=after), self.ends, zone)
                if begin < end:  # one that lies in the hour that summer time leaves out is not there that day
                    yield begin, end


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)


def closes(windows: Sequence[Window], at: datetime) -> datetime | None:
    """When the window that is open now shuts (the last of several), or None if none is open."""
    ends = [end for one in windows for begin, end in one.spans(at) if begin <= at < end]
    return max(ends, default=None)


def opens(windows: Sequence[Window], at: datetime) -> datetime | None:
    """When the next window opens: now, if one is open; None where there are no windows."""
    begins = [begin for one in windows for begin, end in one.spans(at) if end > at]
    return max(min(begins), at.astimezone(UTC)) if begins else None


def dated(at: datetime) -> str:
    """A moment as a person says it who thinks in nights: ``Wed 25 Nov 22:00+0100``, in UTC ``Wed 25 Nov 21:00Z``."""
    return f"{at:%a %d %b %H:%M}{f'{at:%z}' if at.utcoffset() else 'Z'}"


_SHAPE = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*|daily)\s+)?"
    r"(?P<begins>\d{1,2}:\d{2})\s*-\s*(?P<ends>\d{1,2}:\d{2})"
    # A word that is followed by a time is the days of the next window.
    r"(?:\s+(?P<zone>(?!\d|\S+\s+\d)[^\s;]+))?[\s;]*",
    re.IGNORECASE,
)


def windows(words: Sequence[str]) -> tuple[Window, ...]:
    """``Mon-Fri 22:00-04:00 Europe/Berlin``, ``Sat,Sun 08:00-20:00``, ``22:00-04:00``; without a zone it is UTC.

    Several may stand one after another: an environment variable comes split at its blanks. Raises ValueError with a
    sentence.
    """
    text = " ".join(words).strip()
    if words and not text:
        # A roll at noon, because a script's variable was not set, is not what anybody wanted.
        raise ValueError(f"{text!r} is no window: leave --window out to drain at any time, or write 00:00-24:00")
    found: list[Window] = []
    at = 0
    while at < len(text):
        match = _SHAPE.match(text, at)
        if match is None:
            example = "as in 'Mon-Fri 22:00-04:00 Europe/Berlin'"
            raise ValueError(f"{text[at:]!r} is no window: write days, times and a zone, {example}")
        found.append(_window(match))
        at = match.end()
    return tuple(found)


def _window(match: re.Match[str]) -> Window:
    zone = match["zone"] or "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{zone!r} is no time zone that this machine knows, such as Europe/Berlin") from error
    said = match.group().strip(" ;")
    return Window(_days(match["days"]), _time(match["begins"]), _time(match["ends"]), zone, said)


def _days(said: str | None) -> frozenset[int]:
    if said is None or said.lower() == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in said.lower().split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        days |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return frozenset(days)


def _day(said: str) -> int:
    if said not in DAYS:
        raise ValueError(f"{said!r} is no day of the week: Mon, Tue, Wed, Thu, Fri, Sat or Sun")
    return DAYS.index(said)


def _time(said: str) -> time:
    hour, _, minute = said.partition(":")
    if said == "24:00":
        return time(0)
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError(f"{said!r} is no time of day: 00:00 to 24:00")
    return time(int(hour), int(minute))
