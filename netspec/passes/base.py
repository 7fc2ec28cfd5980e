"""Transformed, the result of every pass: the new graph, the changes made and declined, and the new weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from netspec.errors import closest, fail
from netspec.graph.model import NOTHING, Graph
from netspec.graph.walk import needed_keys
from netspec.lazy import LazyMapping
from netspec.passes.arrays import relative_error

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Derived:
    """A weight of the new graph: `make` computes it from the old graph's weights with these `keys`, in their order.

    Where `make` computes several weights together, `part` is the number of this one. It then runs once for all of them.
    """

    keys: tuple[str, ...]
    make: Callable[..., Any]
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Transformed:
    """The result of a pass.

    `done` are sentences on what was done; `declined` says by path why a node that might have been changed was not.
    Weights keep their keys and values, but for those that are `derived` from old ones, by their new keys, and those
    that are `fresh`, for which the old graph has no values. `equal` says that with these weights inference gives the
    same outputs, which `netspec transform` proves by running both. `approximated` are old weights that this pass only
    approximates, by their old keys, each with the value that it has in the new graph, computed from new weights.
    """

    graph: Graph
    done: tuple[str, ...] = ()
    declined: Mapping[str, str] = NOTHING
    derived: Mapping[str, Derived] = NOTHING
    fresh: frozenset[str] = frozenset()
    equal: bool = True
    approximated: Mapping[str, Derived] = NOTHING
    before: Transformed | None = None
    """The result of the previous pass, in a chain of passes."""

    def then(
        self, step: Callable[Concatenate[Graph, _P], Transformed], *args: _P.args, **options: _P.kwargs
    ) -> Transformed:
        """Run another pass on this graph; the weights of its result go through both passes.

        >>> import netspec
        >>> graph = netspec.load("vgg_e").graph
        >>> netspec.strip_dropout(graph).then(netspec.truncate, ["fc6"]).done
        ('2 dropouts dropped', ...)
        """
        return step(self.graph, *args, **options).after(self)

    def after(self, before: Transformed) -> Transformed:
        """This result, of a pass on the graph of `before`, as the result of both passes on the graph before them."""
        earlier = before if self.before is None else self.before.after(before)
        unknown = {key for key, derived in self.derived.items() if not earlier.fresh.isdisjoint(derived.keys)}
        unknown |= (earlier.fresh & self.graph.state().keys()) - self.derived.keys()
        return replace(
            self,
            done=before.done + self.done,
            declined={**before.declined, **self.declined},
            fresh=self.fresh | unknown,
            equal=self.equal and before.equal,
            before=earlier,
        )

    def weights(self, state: Mapping[str, _T]) -> dict[str, _T]:
        """Compute the state dict of the new graph from that of the old one, of torch tensors or NumPy arrays.

        Fresh weights are not in it. Weights that inference does not need may be missing from the old one: they are
        missing from the new one, too. Raises NetspecError NS501 for any other missing weight.
        """
        return dict(derive_weights(self, state))

    def errors(self, state: Mapping[str, Any]) -> dict[str, float]:
        """Compute the error of each weight that the passes approximate: ||old - new|| / ||old||, of Frobenius norms."""
        return derive_with_errors(self, state)[1]


def derive_weights(transformed: Transformed, state: Mapping[str, _T]) -> Mapping[str, _T]:
    """The weights of a transformed graph, like `Transformed.weights`, but each computed when it is read."""
    old = state if transformed.before is None else derive_weights(transformed.before, state)
    needed = needed_keys(transformed.graph)
    together: dict[tuple[Any, ...], Any] = {}

    def sources(key: str) -> tuple[str, ...]:
        return transformed.derived[key].keys if key in transformed.derived else (key,)

    def make(key: str) -> _T:
        if key not in transformed.derived:
            return old[key]
        derived = transformed.derived[key]
        if derived.part is None:
            return derived.make(*[old[source] for source in derived.keys])
        group = (derived.make, *derived.keys)
        if group not in together:
            together[group] = derived.make(*[old[source] for source in derived.keys])
        return together[group][derived.part]

    keys: list[str] = []
    for key in transformed.graph.state():
        if key in transformed.fresh:
            continue
        missing = [source for source in sources(key) if source not in old]
        if not missing:
            keys.append(key)
        elif key in needed:
            fail("NS501", f"the weights have no `{missing[0]}`", help=closest(missing[0], old))
    return LazyMapping(keys, make)


def derive_with_errors(transformed: Transformed, state: Mapping[str, _T]) -> tuple[Mapping[str, _T], dict[str, float]]:
    """The weights of a transformed graph with the errors of approximated ones; each weight is computed once."""
    before = transformed.before
    old, errors = (state, {}) if before is None else derive_with_errors(before, state)
    new = dict(derive_weights(replace(transformed, before=None), old))
    for key, derived in transformed.approximated.items():
        if key in old:
            errors[key] = relative_error(derived.make(*[new[source] for source in derived.keys]), old[key])
    return new, errors


def counted(number: int, what: str) -> str:
    """A number with a noun: `1 batch norm`, `53 batch norms`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
