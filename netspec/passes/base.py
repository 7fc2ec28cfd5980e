"""What every pass gives: a graph, what was done and why not more, and what becomes of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from netspec.errors import closest, fail
from netspec.graph.model import NOTHING, Graph
from netspec.graph.walk import needed_keys
from netspec.lazy import LazyMapping

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Derived:
    """A weight that is made of weights of the graph there was: `make` gets them in the order of `keys`."""

    keys: tuple[str, ...]
    make: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Transformed:
    """A graph that a pass made.

    `done` says in sentences what was done, `declined` for each path that might have been changed and was not, why.
    Weights keep their keys and values, but for those that are `derived` from others, by their new key, and those that
    are `fresh`: nothing of the graph there was says what they are.
    """

    graph: Graph
    done: tuple[str, ...] = ()
    declined: Mapping[str, str] = NOTHING
    derived: Mapping[str, Derived] = NOTHING
    fresh: frozenset[str] = frozenset()
    before: Transformed | None = None
    """What the graph was made from, where passes follow each other."""

    def then(
        self, step: Callable[Concatenate[Graph, P], Transformed], *args: P.args, **options: P.kwargs
    ) -> Transformed:
        """What another pass makes of the graph; its weights are those of both passes, one after the other."""
        return step(self.graph, *args, **options).after(self)

    def after(self, before: Transformed) -> Transformed:
        """What was made of the graph of `before`, made of the one that it began with."""
        earlier = before if self.before is None else self.before.after(before)
        unknown = {key for key, derived in self.derived.items() if not earlier.fresh.isdisjoint(derived.keys)}
        unknown |= (earlier.fresh & self.graph.state().keys()) - self.derived.keys()
        return replace(
            self,
            done=before.done + self.done,
            declined={**before.declined, **self.declined},
            fresh=self.fresh | unknown,
            before=earlier,
        )

    def weights(self, state: Mapping[str, T]) -> dict[str, T]:
        """The state dict of the new graph from that of the old, without what is fresh: torch's tensors, or arrays.

        What inference does not need may be missing from it, and is missing then. Raises NetspecError NS501 where
        anything else is.
        """
        return dict(made_weights(self, state))


def made_weights(made: Transformed, state: Mapping[str, T]) -> Mapping[str, T]:
    """The weights of a transformed graph, as `Transformed.weights` has them, each made when it is asked for."""
    old = state if made.before is None else made_weights(made.before, state)
    needed = needed_keys(made.graph)

    def sources(key: str) -> tuple[str, ...]:
        return made.derived[key].keys if key in made.derived else (key,)

    def make(key: str) -> T:
        values = [old[source] for source in sources(key)]
        return made.derived[key].make(*values) if key in made.derived else values[0]

    keys: list[str] = []
    for key in made.graph.state():
        if key in made.fresh:
            continue
        missing = [source for source in sources(key) if source not in old]
        if not missing:
            keys.append(key)
        elif key in needed:
            fail("NS501", f"the weights have no `{missing[0]}`", help=closest(missing[0], old))
    return LazyMapping(keys, make)


def counted(number: int, what: str) -> str:
    """A number of things in words: `1 batch norm`, `53 batch norms`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
