"""Splits linear layers in two by truncated singular value decompositions, which makes them smaller and faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from netspec.errors import choices, closest, fail
from netspec.graph.model import Graph, Node
from netspec.graph.paths import is_below
from netspec.graph.rebuild import Editor, rebuild
from netspec.graph.tree import uses_hint
from netspec.naming import free_name
from netspec.ops.linear import Linear
from netspec.passes.arrays import as_type_of, in_double, in_rows, library_of
from netspec.passes.base import Derived, Transformed
from netspec.types import Filling, Init

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class _Split:
    """A linear layer to split, or several with the same weights: all are `layers`, and `owner` owns the weights.

    `suffix` makes the name of the first of the two new layers from that of the old one. The second keeps its name.
    """

    owner: str
    layers: tuple[Node, ...]
    rows: int
    columns: int
    rank: int
    suffix: str

    @property
    def full(self) -> bool:
        return self.rank == min(self.rows, self.columns)


def truncate_svd(graph: Graph, ranks: Mapping[str, int]) -> Transformed:
    """Split linear layers in two, so that their matrices have these ranks (Girshick 2015, Fast R-CNN, section 3.1).

    A matrix W of u x v numbers is approximated by U S V^T of its `t` largest singular values. The first new layer has
    S V^T, t x v numbers, and no bias. The second has U, u x t numbers, and the old bias. Together they have t (u + v)
    weights and MACs. At rank min(u, v) the result equals the graph; below, no matrix of rank t is nearer to W (Eckart &
    Young 1936), and `Transformed.errors` tells how near.

    A layer is named by its path, by that of a scope in which it is the only linear layer, or by the end of such a path:
    `fc6` is `head.fc6.linear` if there is no other. The second layer keeps the path, the first has `_v` behind it. All
    layers that share the matrix are split. Raises NetspecError NS209 for a name of no layer or of several, NS401 for a
    layer that can't be split, NS210 if a layer is named twice, and NS206 for an invalid rank.

    `truncate_svd(graph, {"fc6": 1024})` of VGG-16, before and after:

        fc6 = linear(flatten; out_features=4096)

        fc6_v = linear(flatten; out_features=1024, bias=False)
        fc6 = linear(fc6_v; out_features=4096)
    """
    splits = [_split(graph, name, rank) for name, rank in ranks.items()]
    _check_distinct(splits, list(ranks))
    by_path = {node.path: split for split in splits for node in split.layers}

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        split = by_path.get(node.path)
        if split is None:
            return editor.keep(node, inputs)
        fields: dict[str, Any] = {"scope": node.scope, "span": node.span, "when": node.when}
        init = {name: filling for name, filling in node.init.items() if name != "weight" or isinstance(filling, Init)}
        of_weight: dict[str, Filling] = {name: filling for name, filling in init.items() if name == "weight"}
        first = editor.builder.node(
            node.path + split.suffix,
            Linear(out_features=split.rank, bias=False),
            inputs,
            weights_of=split.owner + split.suffix,
            init=of_weight,
            **fields,
        )
        return editor.keep(node, (first,), init=init)

    return Transformed(
        rebuild(graph, visit),
        tuple([_told(split) for split in splits]),
        derived={key: derived for split in splits for key, derived in _derived(split)},
        equal=all(split.full for split in splits),
        approximated={
            f"{split.owner}.weight": Derived((f"{split.owner}.weight", f"{split.owner}{split.suffix}.weight"), _product)
            for split in splits
            if not split.full
        },
    )


def truncated_svd(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The matrices S V^T and U of the largest singular values of a tensor or array, computed in float64.

    The singular vectors of the shorter side are the eigenvectors of W W^T (or W^T W). That takes a small part of the
    time of an SVD, and is as exact: eigenvectors in float64 are orthogonal, so that their projection of W errs by
    rounding alone. Raises NetspecError NS501 if a number is infinite or not a number.
    """
    matrix: Any = in_double(weight)
    library = library_of(matrix)
    if not library.isfinite(matrix).all():
        fail("NS501", "a matrix with numbers that are not finite has no singular value decomposition")
    rows, columns = matrix.shape
    wide = rows <= columns
    _, vectors = library.linalg.eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
    kept = library.flip(vectors[:, -rank:], (1,))  # the largest first
    if wide:
        first, second = kept.T @ matrix, kept
    else:
        scaled = matrix @ kept
        values = library.linalg.norm(scaled, 2, 0)
        first, second = values[:, None] * kept.T, scaled / library.where(values > 0, values, 1.0)
    return in_rows(as_type_of(first, weight)), in_rows(as_type_of(second, weight))


def _derived(split: _Split) -> Iterator[tuple[str, Derived]]:
    """The weights of the two new layers; the bias keeps its key."""
    key, factors = f"{split.owner}.weight", partial(truncated_svd, rank=split.rank)
    yield f"{split.owner}{split.suffix}.weight", Derived((key,), factors, part=0)
    yield key, Derived((key,), factors, part=1)


def _product(second: Tensor, first: Tensor) -> Tensor:
    return in_double(second) @ in_double(first)


def _told(split: _Split) -> str:
    old, new = split.rows * split.columns, split.rank * (split.rows + split.columns)
    paths = choices(node.path for node in split.layers)
    most = f" of {min(split.rows, split.columns):,}"
    return f"{paths} split at rank {split.rank:,}{most}: {old:,} -> {new:,} weights"


def _split(graph: Graph, name: str, rank: int) -> _Split:
    layer = _layer(graph, name)
    sharing = tuple([node for node in graph if node.weights_of == layer.weights_of])
    for node in sharing:
        if not isinstance(node.op, Linear):
            fail("NS401", f"`{name}` can't be split: `{node.path}` has its weights, and is no linear layer", node.span)
        scope = graph.scopes.get(node.scope)
        if scope is not None and scope.kind == "repeat":
            help = "make the step a block of one layer"
            fail("NS401", f"`{node.path}` can't be split: each copy of a repeat is one step", node.span, help=help)
    rows, columns = next(weight.shape for weight in graph.weights(layer) if weight.name == "weight")
    if type(rank) is not int or not 1 <= rank <= min(rows, columns):
        most = f"an integer from 1 to {min(rows, columns):,}"
        fail("NS206", f"the rank of `{name}`, a matrix of {rows:,} x {columns:,}, is {most}, not {rank!r}", layer.span)
    return _Split(layer.weights_of, sharing, rows, columns, rank, _suffix(graph, sharing))


def _suffix(graph: Graph, layers: tuple[Node, ...]) -> str:
    """The ending by which the first new layers are named after the old ones, so that the names are free."""
    paths = {*graph.types, *graph.scopes}
    taken = {path.removeprefix(node.path) for node in layers for path in paths if path.startswith(f"{node.path}_")}
    return free_name("_v", taken)


def _layer(graph: Graph, name: str) -> Node:
    """The linear layer that a name means: at this path, else the only one at or below a path that ends so."""
    paths = [*graph.by_path, *graph.scopes]
    named = [name] if name in paths else [path for path in paths if path.endswith(f".{name}")]
    linear = [node for node in graph if isinstance(node.op, Linear)]
    meant = [node for node in linear if any(node.path == path or is_below(node.path, path) for path in named)]
    if len(meant) > 1:
        fail("NS209", f"`{name}` is {len(meant)} linear layers", help=f"name one of {choices(n.path for n in meant)}")
    if not meant:
        hint = f"linear layers are {choices(n.path for n in linear)}" if linear else f"`{graph.name}` has none"
        if named:
            fail("NS401", f"`{name}` is no linear layer, and has none in it", help=hint)
        names = [part for node in linear for part in (node.path, *node.path.split("."))]
        similar = uses_hint(graph, name) or closest(name, names)
        fail("NS209", f"`{graph.name}` has no linear layer `{name}`", help=similar or hint)
    return meant[0]


def _check_distinct(splits: list[_Split], names: list[str]) -> None:
    first: dict[str, str] = {}
    for split, name in zip(splits, names, strict=True):
        other = first.setdefault(split.owner, name)
        if other != name:
            fail("NS210", f"`{other}` and `{name}` have the same weights: name one of them")
