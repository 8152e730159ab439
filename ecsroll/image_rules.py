"""Which images may be launched at all: ``--min-ami-age`` and ``--deny-ami``. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ecsroll.policy import typed

if TYPE_CHECKING:
    from ecsroll.ami import Image

__all__ = ["ImageRules"]

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ImageRules:
    """What an image has to be. ``now`` is what its age is counted to; without rules, everything may be launched."""

    min_age: timedelta = timedelta()
    denied: frozenset[str] = frozenset()
    now: datetime = _NEVER

    @property
    def any(self) -> bool:
        """Whether there is a rule."""
        return bool(self.min_age or self.denied)

    def against(self, image: "Image | None") -> str | None:
        """Why this image may not be launched, as the end of a sentence that begins with its id; None if it may.

        Its age counts from its creation in this region: a release comes to some regions days later (aws-facts 1.3).
        """
        if image is None:
            return "is gone from EC2, or no longer shared with this account"
        if image.id in self.denied:
            return "is denied (--deny-ami)"
        age = self.now - image.created
        if self.min_age and age < self.min_age:
            return f"is {_days(age)} old, --min-ami-age wants {typed(self.min_age)}"
        return None


def _days(age: timedelta) -> str:
    if age < timedelta():
        return "0h"
    return f"{age.days}d" if age.days else f"{age.seconds // 3600}h"
