"""Attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, TypeVar

from netspec.dims import Dim, always_equal
from netspec.ops.base import Op, RuleError, Seen, count_elements, example, known_int, need_floats, need_rank
from netspec.ops.equal import need_equal_sizes
from netspec.ops.fields import Flag, Positive, PositiveReal, Probability
from netspec.ops.linear import project
from netspec.ops.masks import attend, causal, need_mask
from netspec.ops.window import along
from netspec.ops.writing import KAIMING, weight_and_bias
from netspec.types import Code, Helper, Init, Layer, Memory, OnnxWriter, Reach, Tensor, Weight

_T = TypeVar("_T")


class ScaledDotProductAttention(Op, name="scaled_dot_product_attention", family="attention"):
    """Attention of queries (N, ..., L, E) over keys (N, ..., S, E) and values (N, ..., S, V): (N, ..., L, V).

    As torch.nn.functional.scaled_dot_product_attention: softmax(query * key * scale) * value, where the scale is
    1 / sqrt(E) unless said (Vaswani et al. 2017, equation 1). A fourth input is a mask of (L, S), or of as many axes as
    the query with 1 for those that it has not: booleans, true where a query looks at a key, or floats that are added to
    the scores. With `is_causal`, a query looks at the keys up to its own place. Multiply-accumulates are those of both
    products, whole, also where a mask leaves half of them out.
    """

    dropout_p: Probability = 0.0
    is_causal: Flag = False
    scale: PositiveReal | None = None

    inputs: ClassVar[tuple[int, int | None]] = (3, 4)
    precision = "half"
    examples = (
        example((2, 3, 4, 8), (2, 3, 6, 8), (2, 3, 6, 8)),
        example((2, 2, 5, 4), (2, 2, 5, 4), (2, 2, 5, 4), is_causal=True),
        example((2, 3, 4, 8), (2, 3, 6, 8), (2, 3, 6, 8), Tensor((2, 1, 1, 6), "bool"), scale=0.5),
        example((2, 2, 5, 4), (2, 2, 5, 4), (2, 2, 5, 4), dropout_p=0.1),
    )

    def infer(self, query: Tensor, key: Tensor, value: Tensor, *masks: Tensor) -> Tensor:
        of = f"{query}, {key} and {value}"
        if not query.rank == key.rank == value.rank >= 3:
            raise RuleError(f"query, key and value are (N, ..., length, features), not {of}", code="NS302")
        for x in (query, key, value):
            need_floats(self, x)
        if len({x.dtype for x in (query, key, value)}) > 1:
            raise RuleError("query, key and value need one dtype", code="NS302")
        before = zip(query.shape[:-2], key.shape[:-2], value.shape[:-2], strict=True)
        if not all(always_equal(q, k) and always_equal(k, v) for q, k, v in before):
            raise RuleError(f"query, key and value need one batch and number of heads, not {of}", code="NS301")
        need_equal_sizes(query.shape[-1], key.shape[-1], f"query and key need one width, not {of}")
        need_equal_sizes(key.shape[-2], value.shape[-2], f"key and value need one length, not {of}")
        known_int(query.features, "the width of the query of `scaled_dot_product_attention`")
        for mask in masks:
            if self.is_causal:
                raise RuleError("a mask says what a query looks at, and `is_causal` does too", at="is_causal")
            scores = (*query.shape[:-1], key.shape[-2])
            shape = scores[-2:] if mask.rank == 2 else scores
            need_mask(self, mask, shape, ("bool", query.dtype), "the mask", broadcasts=True)
        return Tensor((*query.shape[:-1], value.shape[-1]), query.dtype)

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, query: Tensor, key: Tensor, value: Tensor, *masks: Tensor) -> Dim:
        return prod(query.shape[:-1], start=key.shape[-2]) * (query.features + value.features)

    def window(self, query: Tensor, key: Tensor, value: Tensor, *masks: Tensor) -> tuple[Seen, ...] | Reach:
        if self.is_causal:
            return Reach.VARIES
        if any(mask.dtype == "bool" for mask in masks):
            return Reach.DATA
        of_masks = [along(mask, -1, *[a for a in range(2, mask.rank) if mask.shape[a] == 1]) for mask in masks]
        return along(query, -1), along(key, -1, -2), along(value, -2), *of_masks

    def per_sample(self, query: Tensor, *others: Tensor) -> bool:
        return all(x.rank == query.rank and always_equal(x.batch, query.batch) for x in others)

    def memory(self, train: bool, y: Tensor, query: Tensor, *others: Tensor) -> Memory | None:
        if y.rank != 4 or y.shape[-1] != query.shape[-1]:
            return None  # torch has fused kernels of (N, heads, length, features) alone, with values as wide as queries
        # The fused kernel keeps no attention weights, but the logarithm of each row's sum.
        # Booleans become floats that it adds.
        sums = Tensor(y.shape[:-1])
        floats = [Tensor(x.shape, y.dtype) for x in others if x.dtype == "bool"]
        if not train:
            return Memory(scratch=(sums, *floats))
        inputs = [number for number, x in enumerate((query, *others)) if x.dtype != "bool"]
        return Memory(tuple(inputs), output=True, kept=(sums, *floats))

    def torch(self, *xs: Tensor) -> Layer | Code:
        options = ["attn_mask={3}"] * (len(xs) > 3) + ["is_causal=True"] * self.is_causal
        options += [f"scale={self.scale!r}"] * (self.scale is not None)
        function = "nn.functional.scaled_dot_product_attention("
        if not self.dropout_p:
            return Code(function, ("{0}", "{1}", "{2}", *options))
        # The function does not know whether the model is trained; a layer of dropout does.
        dropout = "dropout_p={layer}.p if {layer}.training else 0.0"
        call = Code(function, ("{0}", "{1}", "{2}", *options, dropout))
        return Layer("nn.Dropout", {"p": self.dropout_p}, positional=1, call=call)

    def onnx(self, g: OnnxWriter, query: str, key: str, value: str, *masks: str) -> str:
        type = g.type(query)
        swapped = (*range(type.rank - 2), type.rank - 1, type.rank - 2)
        shown = [causal(g, query, key, axis=-2)] if self.is_causal else [m for m in masks if g.type(m).dtype == "bool"]
        added = [mask for mask in masks if mask not in shown]
        scale = self.scale or known_int(type.features, "the width of the query") ** -0.5
        return attend(g, query, g.Transpose(key, perm=swapped), value, scale, shown, "".join(added))

    def label(self) -> str:
        return "causal attention" if self.is_causal else "attention"


class MultiheadAttention(Op, name="multihead_attention", principal="num_heads", family="attention"):
    """Attention in several heads over (N, length, features), as torch.nn.MultiheadAttention with `batch_first`.

    One input attends to itself; three are query, key and value, as wide as each other. The output has the query's shape
    (Vaswani et al. 2017, section 3.2.2). Multiply-accumulates are those of the four projections and of both products of
    matrices, whole, also where a mask leaves half of them out.

    With `is_causal`, a query looks at the keys up to its own place. With `key_padding_mask: true` there is one more
    input, (N, keys), with `attn_mask: true` another one, (queries, keys), the last: booleans, true where a key is not
    looked at, as in torch; an `attn_mask` may also be floats that are added to the scores.
    """

    num_heads: Positive
    dropout: Probability = 0.0
    bias: Flag = True
    key_padding_mask: Flag = False
    attn_mask: Flag = False
    is_causal: Flag = False

    inputs: ClassVar[tuple[int, int | None]] = (1, 5)
    precision = "half"
    examples = (
        example((2, 5, 8), num_heads=2),
        example((2, 3, 8), (2, 6, 8), (2, 6, 8), num_heads=4, bias=False),
        example((1, 4, 6), num_heads=1, dropout=0.1),
        example((2, 5, 8), num_heads=2, is_causal=True),
        example((2, 3, 8), (2, 6, 8), (2, 6, 8), Tensor((2, 6), "bool"), num_heads=2, key_padding_mask=True),
    )

    def infer(self, *xs: Tensor) -> Tensor:
        attended, masks = self._split(xs)
        for x in attended:
            need_rank(self, x, 3, "(N, length, features)")
            need_floats(self, x)
        query, key, value = attended if len(attended) == 3 else attended * 3
        same = [
            ("batch", query.batch, key.batch, value.batch),
            ("width", self._width(query), key.features, value.features),
            ("length of key and value", key.shape[1], value.shape[1]),
        ]
        for what, first, *others in same:
            if not all(always_equal(first, other) for other in others):
                raise RuleError(f"query, key and value need one {what}, not {query}, {key} and {value}", code="NS301")
        if len({x.dtype for x in attended}) > 1:
            raise RuleError("query, key and value need one dtype", code="NS302")
        if self._width(query) % self.num_heads:
            raise RuleError(f"{self.num_heads} heads do not divide {query.features} features", at="num_heads")
        self._need_masks(query, key, masks)
        return query

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        width = self._width(xs[0])
        weights = [Weight("in_proj_weight", (3 * width, width), start=Init("xavier_uniform"))]
        weights += [Weight("in_proj_bias", (3 * width,), start=0.0)] if self.bias else []
        weights += [Weight("out_proj.weight", (width, width), start=KAIMING)]
        return (*weights, *([Weight("out_proj.bias", (width,), start=0.0)] if self.bias else []))

    def macs(self, y: Tensor, *xs: Tensor) -> Dim:
        batch, length, _ = y.shape
        width, memory = self._width(y), self._split(xs)[0][-1].shape[1]
        # Four projections: of the query and the output, and of key and value. Then the products of queries with keys,
        # and of attention with values.
        return batch * (2 * length + 2 * memory) * width * width + batch * length * memory * (2 * width)

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA if any(mask.dtype == "bool" for mask in self._split(xs)[1].values()) else Reach.ALL

    def per_sample(self, *xs: Tensor) -> bool:
        return not self.attn_mask

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory | None:
        # Torch uses a fused kernel (flash attention) on CPUs and GPUs: it keeps no attention weights, but the logarithm
        # of each row's sum. Inputs are projected with the length first, which copies them unless the batch is 1.
        attended = self._split(xs)[0]
        kv = attended[-1]
        sums = Tensor((y.batch, self.num_heads, y.shape[1]))
        added, masks = self._mask_memory(y, *xs)
        if not train:
            if len(attended) == 1:
                return Memory(scratch=(*(y,) * 5, *added, *masks))
            most = max((kv,) * 3, (kv, kv, y, sums, *added), key=lambda tensors: sum(map(count_elements, tensors)))
            return Memory(scratch=(*most, *masks))
        three = len(attended) == 3
        projected = (y, kv, kv) if three else (Tensor((*y.shape[:2], 3 * self._width(y)), y.dtype),)
        copies, inputs = (attended, ()) if y.batch != 1 else ((), tuple(range(len(attended))))
        # With one input, the gradients of query, key and value are held together with that of the output. The gradients
        # of the projections' weights, which the report adds, come later, so they are subtracted here.
        width = self._width(y)
        more = 2 * count_elements(y) - 3 * width * (width + self.bias) if not three else 0
        backward = (Tensor((max(0, more),), y.dtype),)
        # The projections stand side by side and then one after another, before there are sums and an output.
        both = () if three else (Tensor((max(0, count_elements(y) - count_elements(sums)),), y.dtype),)
        scratch = (*both, *masks)
        return Memory(inputs, kept=(*copies, *projected, sums, y, *added), scratch=scratch, backward=backward)

    def _mask_memory(self, y: Tensor, *xs: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The mask that is added to the scores, which the kernel keeps, and what is made on the way to it."""
        attended, masks = self._split(xs)
        queries, keys = y.shape[1], attended[-1].shape[1]
        every = Tensor((queries, keys), y.dtype)
        if self.is_causal and not masks:
            return (), (Tensor(every.shape, "bool"), every)
        floats = tuple([Tensor(mask.shape, y.dtype) for mask in masks.values() if mask.dtype == "bool"])
        if not self.key_padding_mask:
            return floats, ()
        rows = queries if self.attn_mask or self.is_causal else 1
        return (Tensor((y.batch * self.num_heads, rows, keys), y.dtype),), floats

    def torch(self, *xs: Tensor) -> Layer:
        attended, masks = self._split(xs)
        values = ["{0}", "{1}", "{2}"] if len(attended) == 3 else ["{0}", "{0}", "{0}"]
        options = [f"{name}={{{len(attended) + number}}}" for number, name in enumerate(masks)]
        if self.is_causal:
            options.append("attn_mask=causal_mask({0})")  # torch needs the mask beside the hint
        options += ["need_weights=False", *["is_causal=True"] * self.is_causal]
        # The module returns the output and the attention weights, or None for these if they are not needed.
        call = Code("{layer}(", (*values, *options), ")[0]")
        sizes = {"embed_dim": xs[0].features, "num_heads": self.num_heads}
        rest = {"dropout": self.dropout, "bias": self.bias, "batch_first": True}
        helpers = (_CAUSAL_MASK,) * self.is_causal
        return Layer("nn.MultiheadAttention", {**sizes, **rest}, positional=2, call=call, helpers=helpers)

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        width = self._width(g.type(xs[0]))
        attended, masks = self._split(xs)
        query, key, value = [
            g.Reshape(part, g.constant([0, 0, self.num_heads, width // self.num_heads]))
            for part in self._projected(g, *attended)
        ]
        shown = [causal(g, attended[0], attended[-1], axis=1)] if self.is_causal else []
        if "key_padding_mask" in masks:
            shown.append(g.Unsqueeze(g.Not(masks["key_padding_mask"]), g.constant([1, 2])))
        mask = masks.get("attn_mask", "")
        if mask and g.type(mask).dtype == "bool":
            shown, mask = [*shown, g.Not(mask)], ""
        query, key, value = (
            g.Transpose(query, perm=_HEADS),
            g.Transpose(key, perm=_KEYS),
            g.Transpose(value, perm=_HEADS),
        )
        heads = attend(g, query, key, value, (width // self.num_heads) ** -0.5, shown, mask)
        joined = g.Reshape(g.Transpose(heads, perm=_HEADS), g.constant([0, 0, width]))
        return project(g, joined, *weight_and_bias(g, self.bias, "out_proj."))

    def _projected(self, g: OnnxWriter, *xs: str) -> tuple[str, ...]:
        """In ONNX, the queries, keys and values; with one input, one product computes all three.

        torch has the weights of the three projections in one tensor.
        """
        both = weight_and_bias(g, self.bias, "in_proj_")
        if len(xs) == 1:
            return g.Split(project(g, xs[0], *both), outputs=3, num_outputs=3, axis=-1)
        parts = [g.Split(each, outputs=3, num_outputs=3) for each in both]
        return tuple([project(g, x, *part) for x, *part in zip(xs, *parts, strict=True)])

    def label(self) -> str:
        return f"{self.num_heads}-head {'causal ' * self.is_causal}attention"

    def _split(self, xs: Sequence[_T]) -> tuple[tuple[_T, ...], dict[str, _T]]:
        """The inputs that are attended to, or query, key and value; and the masks by name."""
        names = [name for name in ("key_padding_mask", "attn_mask") if getattr(self, name)]
        attended = tuple(xs[: len(xs) - len(names)])
        if len(attended) not in (1, 3):
            after = f", then {' and '.join(f'`{name}`' for name in names)}" if names else ""
            message = f"`multihead_attention` takes 1 input, or query, key and value{after}, not {len(xs)} in all"
            flags = "" if names else "a mask is told of: `key_padding_mask: true` or `attn_mask: true`"
            raise RuleError(message, code="NS302", help=flags)
        return attended, dict(zip(names, xs[len(attended) :], strict=True))

    def _need_masks(self, query: Tensor, key: Tensor, masks: Mapping[str, Tensor]) -> None:
        """Refuse masks that do not fit, and `is_causal` beside a mask or for keys of another number."""
        if self.is_causal and not always_equal(query.shape[1], key.shape[1]):
            raise RuleError("`is_causal` takes as many keys as queries", at="is_causal", code="NS301")
        if self.is_causal and self.attn_mask:
            raise RuleError("`attn_mask` says what a query looks at, and `is_causal` does too", at="is_causal")
        for name, mask in masks.items():
            padding = name == "key_padding_mask"
            # Torch has one dtype for both masks.
            dtypes = ("bool",) if padding or self.key_padding_mask else ("bool", query.dtype)
            sizes = (key.batch, key.shape[1]) if padding else (query.shape[1], key.shape[1])
            need_mask(self, mask, sizes, dtypes, f"`{name}`", broadcasts=False)

    def _width(self, x: Tensor) -> int:
        return known_int(x.features, "the width of the input of `multihead_attention`")


_CAUSAL_MASK = Helper('''\
def causal_mask(x: Tensor) -> Tensor:
    """True for the keys that come after each query, in (N, length, ...)."""
    length = x.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)''')

_HEADS = (0, 2, 1, 3)
"""(N, length, heads, width of a head) as (N, heads, length, width), and back."""
_KEYS = (0, 2, 3, 1)
