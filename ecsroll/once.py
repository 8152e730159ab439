"""Once: what was seen already, in bounded memory. Events come at least once and in any order (aws-facts 7.1)."""

from collections import OrderedDict
from dataclasses import dataclass, field

__all__ = ["Once"]


@dataclass
class Once:
    """Remembers the newest ``size`` keys: those of events, messages, and of things that count their own changes."""

    size: int = 20_000
    _seen: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, key: str) -> bool:
        return key in self._seen

    def first(self, key: str) -> bool:
        """Whether this key comes for the first time."""
        return self.newer(key, 0)

    def newer(self, key: str, version: int) -> bool:
        """Whether this is a later version of it than any before.

        A duplicate carries the same number and a latecomer a smaller one: both are old news.
        """
        if self._seen.get(key, -1) >= version:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = version
        self._seen.move_to_end(key)
        if len(self._seen) > self.size:
            self._seen.popitem(last=False)
        return True

    def forget(self, key: str) -> None:
        """As if it had never come: what was begun with it did not end well."""
        self._seen.pop(key, None)
