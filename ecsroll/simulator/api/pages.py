"""Long lists that are made only as far as somebody reads them."""

from collections.abc import Callable, Sequence
from typing import Any, overload

__all__ = ["Pages"]


class Pages(Sequence[dict[str, Any]]):
    """A long list whose entries are made only for the page that is asked for."""

    def __init__(self, records: Sequence[Any], show: Callable[[Any], dict[str, Any]]) -> None:
        self._records, self._show = records, show

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(place, slice):
            return [self._show(record) for record in self._records[place]]
        return self._show(self._records[place])
