"""Mappings that load each value on access, for weights that need not all be in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

_T = TypeVar("_T")


class LazyMapping(Mapping[str, _T]):
    """A mapping that computes a value from its key on each access, without a cache.

    >>> squares = LazyMapping(["2", "3"], lambda key: int(key) ** 2)
    >>> squares["3"], len(squares)
    (9, 2)
    """

    def __init__(self, keys: Iterable[str], load: Callable[[str], _T]) -> None:
        self._keys = dict.fromkeys(keys)
        self._load = load

    def __getitem__(self, key: str) -> _T:
        if key not in self._keys:
            raise KeyError(key)
        return self._load(key)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
