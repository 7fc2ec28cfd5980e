"""Ops in random configurations, beyond their examples: their ONNX nodes compute what torch does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from netspec import Builder
from netspec.ops.base import REGISTRY, RuleError
from netspec.types import Tensor
from tests.support.contract import OPSETS, inferred, op_of
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from netspec.backends.onnx.lower import lower
    from tests.ops.onnx_models import (
        by_torch,
        check,
        expressible,
        graph_of,
        model_for,
        opened,
        random,
        runtime,
        same,
        taken,
    )

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:torch.nn.modules.conv",
    "ignore::UserWarning:torch.utils._device",
    "ignore:Since version 1.3.0, affine_grid behavior:UserWarning",
)

PAIRS = [1, 2, 3, 4, [1, 3], [2, 1], [3, 2], [5, 4]]
TRIPLES = [1, 2, 3, [1, 3, 2], [2, 1, 3]]
FEW = [0, 0, 1, 2, [0, 1], [1, 0], [2, 1]]
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]
YES_OR_NO = [False, True]

REDUCED = {
    "dim": [0, 1, 2, 3, -1, -2, [2, 3], [-2, -1], [1, 2], [0, -1], [0, 1, 2], [1]],
    "keepdim": YES_OR_NO,
}
RECURRENT: dict[str, list[Any]] = {
    "hidden_size": [1, 3, 8],
    "num_layers": [1, 2, 3],
    "bias": YES_OR_NO,
    "bidirectional": YES_OR_NO,
    "lengths": [False],
}
"""States and lengths are tried by test_recurrent."""

Rank = int | str
"""A rank of one input; or `like`: a map and a smaller one, `map, map`: two maps, `same`: several of one shape, `gates`:
several that have axes of 1; `part`: a value, and one without its axis 1; `matrices`: two that can be multiplied;
`theta`: affine maps; `map, grid`: a map and positions in it; `map, rois`: a map and regions of it; `attention`:
queries, keys and values; `objectness, deltas`: maps for four anchors; `regions, scores, deltas`: of three classes. Both
have an image."""

CONFIGURATIONS: dict[str, tuple[list[Rank], dict[str, list[Any]]]] = {
    "conv2d": (
        [4],
        {
            "out_channels": [4, 8],
            "kernel_size": PAIRS,
            "stride": [1, 1, 2, [2, 1], 3],
            "padding": [*FEW, "same", "same", "valid"],
            "dilation": [1, 1, 2, [1, 3]],
            "groups": [1, 2, 4],
            "bias": YES_OR_NO,
            "padding_mode": ["zeros", "reflect", "replicate", "circular"],
        },
    ),
    "conv_transpose2d": (
        [4],
        {
            "out_channels": [4, 8],
            "kernel_size": PAIRS,
            "stride": PAIRS,
            "padding": [*FEW, 3],
            "output_padding": FEW,
            "groups": [1, 2, 4],
            "bias": YES_OR_NO,
            "dilation": [1, 1, 2, [1, 3]],
        },
    ),
    "max_pool2d": (
        [4],
        {
            "kernel_size": PAIRS,
            "stride": [*PAIRS, None],
            "padding": FEW,
            "dilation": [1, 1, 2, [3, 1]],
            "ceil_mode": YES_OR_NO,
        },
    ),
    "max_pool2d_with_indices": (
        [4],
        {
            "kernel_size": PAIRS,
            "stride": [*PAIRS, None],
            "padding": FEW,
            "dilation": [1, 1, 2, [3, 1]],
            "ceil_mode": YES_OR_NO,
        },
    ),
    "affine_grid": (["theta"], {"size": [1, 2, 3, [4, 5], [7, 1]], "align_corners": YES_OR_NO}),
    "grid_sample": (
        ["map, grid"],
        {
            "mode": ["bilinear", "nearest", "bicubic"],
            "padding_mode": ["zeros", "border", "reflection"],
            "align_corners": YES_OR_NO,
        },
    ),
    "roi_pool": (["map, rois"], {"output_size": [1, 2, 3, [7, 1], [2, 5]], "spatial_scale": [0.0625, 0.5, 1.0, 0.3]}),
    "roi_align": (
        ["map, rois"],
        {
            "output_size": [1, 2, 3, [7, 1], [2, 5]],
            "spatial_scale": [0.0625, 0.5, 1.0, 0.3],
            "sampling_ratio": [-1, 0, 1, 2, 5],
            "aligned": YES_OR_NO,
        },
    ),
    "warp_regions": (["map, rois"], {"size": [1, 3, 8, [7, 4], [3, 9]], "context": [0, 0, 1, 2]}),
    "avg_pool2d": (
        [4],
        {
            "kernel_size": PAIRS,
            "stride": [*PAIRS, None],
            "padding": FEW,
            "ceil_mode": YES_OR_NO,
            "count_include_pad": YES_OR_NO,
            "divisor_override": [None, None, 3],
        },
    ),
    "adaptive_avg_pool2d": ([4], {"output_size": [1, 2, 3, 7, [1, None], [None, 4], [2, 1], [13, 5]]}),
    "adaptive_max_pool2d": ([4], {"output_size": [1, 2, 3, 7, [1, None], [None, 4], [2, 1], [13, 5]]}),
    "conv1d": (
        [3],
        {
            "out_channels": [4, 8],
            "kernel_size": [1, 2, 3, [5]],
            "stride": [1, 1, 2, 3],
            "padding": [0, 1, 2, "same", "same", "valid"],
            "dilation": [1, 1, 2, 3],
            "groups": [1, 2, 4],
            "bias": YES_OR_NO,
            "padding_mode": ["zeros", "reflect", "replicate", "circular"],
        },
    ),
    "conv3d": (
        [5],
        {
            "out_channels": [4, 8],
            "kernel_size": TRIPLES,
            "stride": [1, 1, 2, [1, 2, 3]],
            "padding": [0, 1, [2, 0, 1], "same", "same", "valid"],
            "dilation": [1, 1, 2, [2, 1, 3]],
            "groups": [1, 2, 4],
            "bias": YES_OR_NO,
            "padding_mode": ["zeros", "reflect", "replicate", "circular"],
        },
    ),
    "conv_transpose1d": (
        [3],
        {
            "out_channels": [4, 8],
            "kernel_size": [1, 2, 3, [5]],
            "stride": [1, 2, 3],
            "padding": [0, 1, 2],
            "output_padding": [0, 0, 1, 2],
            "groups": [1, 2, 4],
            "bias": YES_OR_NO,
            "dilation": [1, 1, 2, 3],
        },
    ),
    "conv_transpose3d": (
        [5],
        {
            "out_channels": [4, 8],
            "kernel_size": TRIPLES,
            "stride": TRIPLES,
            "padding": [0, 1, [2, 0, 1]],
            "output_padding": [0, 0, 1, [1, 0, 2]],
            "groups": [1, 2, 4],
            "bias": YES_OR_NO,
            "dilation": [1, 1, 2, [2, 1, 3]],
        },
    ),
    "max_pool1d": (
        [3],
        {
            "kernel_size": [1, 2, 3, [5]],
            "stride": [None, 1, 2, 3],
            "padding": [0, 0, 1, 2],
            "dilation": [1, 1, 2, 3],
            "ceil_mode": YES_OR_NO,
        },
    ),
    "max_pool3d": (
        [5],
        {
            "kernel_size": TRIPLES,
            "stride": [None, *TRIPLES],
            "padding": [0, 0, 1, [0, 1, 1]],
            "dilation": [1, 1, 2, [2, 1, 3]],
            "ceil_mode": YES_OR_NO,
        },
    ),
    "avg_pool1d": (
        [3],
        {
            "kernel_size": [1, 2, 3, [5]],
            "stride": [None, 1, 2, 3],
            "padding": [0, 0, 1, 2],
            "ceil_mode": YES_OR_NO,
            "count_include_pad": YES_OR_NO,
        },
    ),
    "avg_pool3d": (
        [5],
        {
            "kernel_size": TRIPLES,
            "stride": [None, *TRIPLES],
            "padding": [0, 0, 1, [0, 1, 1]],
            "ceil_mode": YES_OR_NO,
            "count_include_pad": YES_OR_NO,
            "divisor_override": [None, None, 3],
        },
    ),
    "adaptive_avg_pool1d": ([3], {"output_size": [1, 2, 3, 7, [5], 13]}),
    "adaptive_max_pool1d": ([3], {"output_size": [1, 2, 3, 7, [5], 13]}),
    "adaptive_avg_pool3d": ([5], {"output_size": [1, 2, 3, [1, None, 4], [None, 4, 1], [2, 1, 3], [13, 5, 7]]}),
    "adaptive_max_pool3d": ([5], {"output_size": [1, 2, 3, [1, None, 4], [None, 4, 1], [2, 1, 3], [13, 5, 7]]}),
    "interpolate": (
        [4, "map, map"],
        {
            "size": [None, 1, 7, [3, 8], [12, 6]],
            "scale_factor": [None, 2, 3, [1, 4], 0.5, [1.5, 0.7], [2.3, 1.25], 0.29],
            "mode": ["nearest", "bilinear", "bicubic", "area", "nearest-exact"],
            "align_corners": [None, None, True, False],
        },
    ),
    "center_crop": (["like"], {}),
    "linear": ([2, 3, 4, 5], {"out_features": [1, 3], "bias": YES_OR_NO}),
    "rnn": ([3], {**RECURRENT, "nonlinearity": ["tanh", "relu"]}),
    "lstm": ([3], RECURRENT),
    "gru": ([3], RECURRENT),
    "recurrence": ([3], {"nonlinearity": ["tanh", "relu"], "reverse": YES_OR_NO, "lengths": [False]}),
    "matmul": (["matrices"], {}),
    "einsum": (["matrices"], {"equation": ["nij,njk->nik", "nij,njk", "nij,njk->nikj", "njk,njk->n", "nij,njk->kjn"]}),
    "scaled_dot_product_attention": (
        ["attention"],
        {"is_causal": YES_OR_NO, "scale": [None, 0.3, 1.0]},
    ),
    "multihead_attention": (
        [3],
        {
            "num_heads": [1, 2, 4],
            "bias": YES_OR_NO,
            "is_causal": YES_OR_NO,
            "key_padding_mask": [False],
            "attn_mask": [False],
        },
    ),
    "prelu": ([1, 2, 3, 4, 5], {"num_parameters": [1, 4]}),
    "leaky_relu": ([2], {"negative_slope": [0.0, 0.3, -0.5, 2.0]}),
    "elu": ([2], {"alpha": [0.3, 1.0, 2.0]}),
    "celu": ([2], {"alpha": [0.3, 1.0, 2.0]}),
    "hardtanh": ([3], {"min_val": [-1.0, -3.0, 0.0, 0.5], "max_val": [1.0, 2.0, -0.5]}),
    "threshold": ([3], {"threshold": [-1.0, 0.0, 0.5], "value": [-2.0, 0.0, 1.0]}),
    "hardshrink": ([2], {"lambd": [0.0, 0.5, 2.0]}),
    "softshrink": ([2], {"lambd": [0.0, 0.5, 2.0]}),
    "softplus": ([3], {"beta": [0.5, 1.0, 3.0], "threshold": [-2.0, 0.0, 1.0, 5.0, 20.0, 40.0]}),
    "softmax": ([1, 2, 3, 4], {"dim": [-2, -1, 0, 1, 2, 3]}),
    "log_softmax": ([1, 2, 3, 4], {"dim": [-2, -1, 0, 1, 2, 3]}),
    "batch_norm": ([2, 3, 4, 5], {"eps": [1e-5, 0.1], "affine": YES_OR_NO, "track_running_stats": YES_OR_NO}),
    "local_response_norm": (
        [3, 4, 4, 4, 5],
        {
            "size": [1, 2, 3, 4, 5, 9],
            "alpha": [1e-4, 0.5, 0.0, -0.01],
            "beta": [0.75, 0.5, 0.0],
            "k": [1.0, 2.0],
            "norm_region": ["across_channels", "within_channel"],
        },
    ),
    "layer_norm": (
        [2, 3, 4, 5],
        {"normalized_shape": [None], "eps": [1e-5, 0.1], "elementwise_affine": YES_OR_NO, "bias": YES_OR_NO},
    ),
    "rms_norm": (
        [2, 3, 4, 5],
        {"normalized_shape": [None], "eps": [None, 1e-5, 0.1], "elementwise_affine": YES_OR_NO},
    ),
    "instance_norm": ([3, 4, 5], {"eps": [1e-5, 0.1], "affine": YES_OR_NO, "track_running_stats": YES_OR_NO}),
    "group_norm": ([2, 3, 4, 5], {"num_groups": [1, 2, 4], "eps": [1e-5, 0.1], "affine": YES_OR_NO}),
    "concat": (["same"], {"dim": [-3, -2, -1, 0, 1, 2, 3]}),
    "add": (["same", "gates"], {"broadcast": YES_OR_NO}),
    "multiply": (["same", "gates"], {}),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), ([2, 3, 4], REDUCED)),
    "scale": ([2, 4], {"factor": [0.5, -3.0, 1.0, 0.0]}),
    "flatten": ([1, 2, 3, 4, 5], {"start_dim": [-3, -2, -1, 0, 1, 2], "end_dim": [-2, -1, 0, 1, 2, 3]}),
    "unflatten": ([2, 3, 4], {"dim": [0, 1, 2, -1], "unflattened_size": [[-1], [2, -1], [-1, 2], [2, 2, -1], [1, -1]]}),
    "channel_shuffle": ([3, 4, 5], {"groups": [1, 2, 4]}),
    "pixel_shuffle": ([4], {"upscale_factor": [1, 2]}),
    "pixel_unshuffle": ([4], {"downscale_factor": [1, 2, 3]}),
    "proposals": (
        ["objectness, deltas"],
        {
            "scales": [[1, 2], [0.5, 4], [8, 2.5]],
            "ratios": [[1, 2], [0.5, 1.5], [3, 0.3]],
            "base_size": [4, 8, 7, 16],
            "stride": [1, 4, 8],
            "pre_nms_top_n": [1, 5, 20, 6000],
            "post_nms_top_n": [1, 3, 300],
            "pre_nms_top_n_train": [12000],
            "post_nms_top_n_train": [2000],
            "nms_thresh": [0.0, 0.3, 0.7, 1.0],
            "min_size": [0, 1, 6.5, 1000],
            "inclusive": YES_OR_NO,
        },
    ),
    "detections": (
        ["regions, scores, deltas"],
        {
            "score_thresh": [-1, 0.0, 0.05, 0.5, 2],
            "nms_thresh": [0.0, 0.3, 0.7, 1.0],
            "detections_per_image": [1, 3, 100],
            "background": YES_OR_NO,
            "inclusive": YES_OR_NO,
        },
    ),
    "roll": (
        [1, 2, 3, 4],
        {"shifts": [0, 1, -1, 5, -13, [1, -2], [3, 0, 2]], "dims": [0, 1, -1, 2, [1, 2], [-1, -2], [2, 0, -1]]},
    ),
    "permute": ([3], {"dims": [list(order) for order in itertools.permutations((0, -2, 2))]}),
    "transpose": ([2, 3, 4], {"dim0": [0, 1, -1], "dim1": [-2, 0, 1, 2]}),
    "select_scatter": (["part"], {"dim": [1], "index": [-3, -2, -1, 0, 1, 2, 3]}),
    "select": ([1, 2, 3, 4], {"dim": [-1, 0, 1, 2], "index": [-2, -1, 0, 1, 2]}),
    "maxout": ([2, 3, 4, 5], {"pieces": [1, 2, 4, 3]}),
    "narrow": ([1, 2, 3, 4], {"dim": [-1, 0, 1, 2], "start": [0, 1, 2], "length": [1, 2, 3]}),
    "arange": ([2, 3, 4], {"dim": [-2, -1, 1, 2, 3]}),
    "chunk": ([2, 3, 4], {"chunks": [2, 3, 4], "dim": [-1, 0, 1, 2]}),
    "split": ([2, 3, 4], {"split_size_or_sections": [[1, 3], [2, 2], [3, 1, 1], [1, 1, 1, 1]], "dim": [-1, 1, 2]}),
    "pad": ([2, 3, 4], {"padding": [[1, 0], [0, 2, 1, 1], [1, 2, 3, 0, 0, 1]], "value": [0.0, 1.5, -2.0]}),
    "parameter": ([1, 2, 4], {"shape": [[1], [3], [2, 3], [1, 2, 1]], "expand": [True, False]}),
}
MANY = {"conv2d": 40, "conv_transpose2d": 30, "max_pool2d": 40, "avg_pool2d": 40, "interpolate": 80}
"""How many configurations are tried; of the others 20."""


NOT_CONFIGURED = {"keep_channel", "dropout", "dropout2d", "embedding", "gelu", "stochastic_depth"}
"""Ops whose attributes do nothing in inference, or whose examples try all of them."""
ONLY_IN_TRAINING = {"momentum", "dropout", "dropout_p"}
"""Attributes that do nothing in inference."""


@pytest.mark.parametrize("name", [name for name, cls in REGISTRY.items() if cls.model_fields])
def test_all_that_can_be_configured_is(name: str) -> None:
    assert (name in CONFIGURATIONS) != (name in NOT_CONFIGURED), (
        f"say in CONFIGURATIONS which attributes to try `{name}` with"
    )
    if name in CONFIGURATIONS:
        missing = REGISTRY[name].model_fields.keys() - CONFIGURATIONS[name][1].keys() - ONLY_IN_TRAINING
        assert not missing, f"CONFIGURATIONS has no values for {sorted(missing)} of `{name}`"


def shapes(rank: Rank, rng: Random) -> list[tuple[int, ...]]:
    """Small inputs: two samples, or one; four channels, so that groups divide them."""
    first = (rng.choice([1, 2]), 4, *(rng.choice(SIZES) for _ in range(3)))
    if rank == "same":
        return [first[: rng.choice([2, 3, 4])]] * rng.choice([2, 3, 4])
    if rank == "gates":
        whole = first[: rng.choice([2, 3, 4])]
        return [(*whole[:1], *[rng.choice([1, size]) for size in whole[1:]]) for _ in range(rng.choice([2, 3, 4]))]
    if isinstance(rank, int):
        return [first[:rank]]
    if rank == "attention":
        query, key = (first[0], 2, rng.choice(SIZES), 4), (first[0], 2, rng.choice(SIZES), 4)
        return [query, key, (*key[:3], rng.choice(SIZES))]
    if rank == "objectness, deltas":
        return [first[:4], (first[0], 16, *first[2:4]), (first[0], 3, rng.randint(8, 80), rng.randint(8, 80))]
    if rank == "regions, scores, deltas":
        count = rng.choice([0, 1, *SIZES])
        return [(count, 5), (count, 3), (count, 12), (first[0], 3, rng.randint(8, 80), rng.randint(8, 80))]
    if rank == "part":
        whole = first[: rng.choice([2, 3, 4])]
        return [whole, (*whole[:1], *whole[2:])]
    if rank == "matrices":
        return [first[:3], (first[0], first[2], rng.choice(SIZES))]
    if rank == "theta":
        return [(first[0], 2, 3)]
    if rank == "map, grid":
        return [first[:4], (first[0], rng.choice(SIZES), rng.choice(SIZES), 2)]
    if rank == "map, rois":
        return [first[:4], (rng.choice([0, 1, 2, 7]), 5)]
    if rank == "map, map":
        return [first[:4], (*first[:2], rng.choice(SIZES), rng.choice(SIZES))]
    return [first[:4], (first[0], 3, *(rng.randint(1, size) for size in first[2:4]))]


def configurations(name: str) -> Iterator[tuple[Any, tuple[Tensor, ...]]]:
    """Ops with inputs that they take, the same in every run."""
    ranks, choices = CONFIGURATIONS[name]
    rng, count = Random(name), 0
    while count < MANY.get(name, 20):
        attributes = {key: rng.choice(values) for key, values in choices.items()}
        given = {key: value for key, value in attributes.items() if value is not None}
        xs = tuple(Tensor(shape) for shape in shapes(rng.choice(ranks), rng))
        if name in ("layer_norm", "rms_norm") and xs[0].rank > 2 and rng.random() < 0.5:
            given["normalized_shape"] = list(xs[0].shape[2:])
        op = op_of(REGISTRY[name], given)
        if not isinstance(inferred(op, xs), RuleError):
            count += 1
            yield op, xs


def holds(op: Any, xs: tuple[Tensor, ...], opset: int, folder: Path) -> bool:
    """Whether ONNX can say it; then it is what torch does, also where the model does not know the sizes."""
    graph, right, values = graph_of(op, xs), by_torch(op, xs), taken(op, xs)
    if not expressible(graph):
        return False
    try:
        expected = right(*values)
    except ValueError:
        # Torch takes no variance of one value.
        assert op.opname in ("batch_norm", "group_norm")
        return False
    if not all(np.isfinite(y).all() for y in expected if y.dtype.kind == "f"):
        # A dilated window may miss a small map: its largest is -inf for torch, and the lowest float for others.
        assert op.opname.startswith("max_pool")
        return False
    any_size = tuple(map(opened, xs))
    graphs = [graph] if isinstance(inferred(op, any_size), RuleError) else [graph, graph_of(op, any_size)]
    for each in filter(expressible, graphs):
        model = model_for(each, right.weights, folder, opset)
        check(model, each)
        same(runtime(model)(values), expected)
    return True


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tried = sum(holds(op, xs, OPSETS[n % 2], tmp_path) for n, (op, xs) in enumerate(configurations(name)))
    assert tried >= 15


# Where an attribute or a size has a meaning of its own, in ONNX or in a runtime.
EDGES: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    # Output padding as large as the stride, and less and more of it than of padding.
    ("conv_transpose2d", {"out_channels": 2, "kernel_size": 3, "dilation": 2, "output_padding": 1}, (1, 2, 4, 5)),
    (
        "conv_transpose2d",
        {
            "out_channels": 2,
            "kernel_size": 2,
            "dilation": 3,
            "padding": [0, 1],
            "output_padding": [2, 1],
            "bias": False,
        },
        (2, 2, 4, 5),
    ),
    ("conv_transpose2d", {"out_channels": 2, "kernel_size": 2, "padding": 3}, (1, 2, 8, 9)),
    # A factor other than 1 that leaves one axis as large as it is.
    ("interpolate", {"scale_factor": [1.1, 2.3], "mode": "bilinear"}, (1, 2, 5, 6)),
    ("interpolate", {"scale_factor": [2, 1.1], "mode": "bicubic"}, (1, 2, 5, 6)),
    ("interpolate", {"scale_factor": 1.1, "mode": "bilinear"}, (1, 2, 5, 6)),
    ("interpolate", {"scale_factor": 1.1, "mode": "nearest-exact"}, (1, 2, 5, 6)),
    # A factor whose float32 gives another size.
    ("interpolate", {"scale_factor": [0.9, 2.3], "mode": "bilinear"}, (1, 2, 10, 10)),
    # More padding than a kernel has, in the last dilated window.
    ("max_pool2d", {"kernel_size": 2, "dilation": 3, "stride": 4, "padding": 1, "ceil_mode": True}, (1, 2, 9, 10)),
    # A last window that would start in the padding.
    ("avg_pool2d", {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}, (1, 2, 5, 6)),
    ("avg_pool2d", {"kernel_size": 4, "stride": 3, "padding": [2, 0], "ceil_mode": True}, (1, 2, 7, 8)),
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "ceil_mode": True, "divisor_override": 5}, (1, 2, 6, 7)),
    ("local_response_norm", {"size": 3, "alpha": 0.0}, (1, 4, 2, 2)),
    ("local_response_norm", {"size": 9}, (1, 4, 2, 2)),
]


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge[0]}-{edge[2]}")
def test_edges(edge: tuple[str, dict[str, Any], tuple[int, ...]], tmp_path: Path) -> None:
    name, attributes, shape = edge
    torch.manual_seed(0)
    for opset in OPSETS:
        assert holds(op_of(REGISTRY[name], attributes), (Tensor(shape),), opset, tmp_path)


@pytest.mark.parametrize(("mode", "size"), [("nearest", [2, 4]), ("nearest-exact", [4, 37])])
def test_elements_that_runtimes_miss(mode: str, size: list[int], tmp_path: Path) -> None:
    """Places that are whole numbers, which ONNX Runtime's Resize rounds down to the element before."""
    op, xs = op_of(REGISTRY["interpolate"], {"size": size, "mode": mode}), (Tensor((1, 2, 56, 12)),)
    graph, right, values = graph_of(op, xs), by_torch(op, xs), random(xs)
    same(runtime(model_for(graph, {}, tmp_path, OPSETS[0]))(values), right(*values))
    any_size = graph_of(op, tuple(map(opened, xs)))
    same(runtime(model_for(any_size, {}, tmp_path, OPSETS[0]))(values), right(*values))


# Models stay lean: the nodes of ops that have several forms.
NODES: list[tuple[str, dict[str, Any], list[Any], str]] = [
    ("flatten", {}, ["N", 6], ""),
    ("flatten", {}, ["N", 6, 2, 2], "Flatten"),
    ("flatten", {"start_dim": 2}, ["N", 6, "H", "W"], "Reshape"),
    ("unflatten", {"dim": 1, "unflattened_size": [-1]}, ["N", 6], ""),
    ("unflatten", {"dim": 1, "unflattened_size": [2, -1]}, ["N", 6, "H", 2], "Reshape"),
    ("channel_shuffle", {"groups": 2}, ["N", 6, "H", "W"], "Reshape Transpose Shape Reshape"),
    ("pixel_shuffle", {"upscale_factor": 2}, ["N", 8, "H", "W"], "DepthToSpace"),
    ("pixel_unshuffle", {"downscale_factor": 2}, ["N", 1, 8, 6], "SpaceToDepth"),
    ("pixel_unshuffle", {"downscale_factor": 2}, ["N", 3, 8, 6], "SpaceToDepth Gather"),
    ("roll", {"shifts": 3, "dims": 2}, ["N", 3, 8], "Slice Slice Concat"),
    ("roll", {"shifts": 8, "dims": 2}, ["N", 3, 8], ""),
    ("dropout", {}, ["N", 6], ""),
    ("identity", {}, ["N", 6], ""),
    ("interpolate", {"size": [4, 5]}, ["N", 3, 4, 5], ""),
    ("interpolate", {"scale_factor": 1, "mode": "bicubic"}, ["N", 3, "H", "W"], ""),
    ("interpolate", {"scale_factor": 2}, ["N", 3, "H", "W"], "Resize"),
    ("interpolate", {"size": [8, 10]}, ["N", 3, 4, 5], "Resize"),
    ("interpolate", {"size": 12, "mode": "area"}, ["N", 3, 6, 4], "Resize"),
    ("interpolate", {"size": 2, "mode": "area"}, ["N", 3, 6, 4], "AveragePool"),
    ("interpolate", {"size": 1, "mode": "area"}, ["N", 3, "H", "W"], "GlobalAveragePool"),
    ("adaptive_avg_pool2d", {"output_size": 1}, ["N", 3, "H", "W"], "GlobalAveragePool"),
    ("adaptive_max_pool2d", {"output_size": 1}, ["N", 3, "H", "W"], "GlobalMaxPool"),
    ("adaptive_avg_pool2d", {"output_size": [None, 1]}, ["N", 3, "H", "W"], "ReduceMean"),
    ("adaptive_avg_pool2d", {"output_size": 3}, ["N", 3, 9, 6], "AveragePool"),
    ("adaptive_avg_pool2d", {"output_size": 3}, ["N", 3, 3, 3], ""),
    ("adaptive_avg_pool2d", {"output_size": 3}, ["N", 3, 9, 7], "MatMul MatMul"),
    ("adaptive_max_pool2d", {"output_size": [3, None]}, ["N", 3, 7, "W"], "Gather ReduceMax"),
    ("adaptive_avg_pool1d", {"output_size": 3}, ["N", 3, 9], "AveragePool"),
    ("adaptive_avg_pool3d", {"output_size": [3, None, 1]}, ["N", 3, 7, "H", 1], "Transpose MatMul Transpose"),
    ("conv1d", {"out_channels": 3, "kernel_size": 3, "padding": "same"}, ["N", 3, "L"], "Conv"),
    ("conv3d", {"out_channels": 3, "kernel_size": 3, "stride": 2}, ["N", 3, "D", "H", "W"], "Conv"),
    ("max_pool1d", {"kernel_size": 3, "ceil_mode": True}, ["N", 3, "L"], "MaxPool"),
    ("avg_pool3d", {"kernel_size": 2, "ceil_mode": True}, ["N", 3, "D", "H", "W"], "AveragePool"),
    ("group_norm", {"num_groups": 2, "affine": False}, ["N", 4, "L"], "Reshape InstanceNormalization Reshape"),
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "ceil_mode": True}, ["N", 3, "H", "W"], "AveragePool"),
    ("local_response_norm", {"size": 5}, ["N", 3, "H", "W"], "LRN"),
    (
        "local_response_norm",
        {"size": 3, "norm_region": "within_channel"},
        ["N", 3, "H", "W"],
        "Mul Mul AveragePool Mul Add Pow Div",
    ),
    ("linear", {"out_features": 2}, ["N", 3], "Gemm"),
    ("mean", {"dim": [2, 3], "keepdim": True}, ["N", 3, "H", "W"], "GlobalAveragePool"),
    ("mean", {"dim": [-1, 2], "keepdim": True}, ["N", 3, "H", "W"], "GlobalAveragePool"),
    ("mean", {"dim": [2, 3]}, ["N", 3, "H", "W"], "ReduceMean"),
    ("mean", {"dim": [1, 2], "keepdim": True}, ["N", 3, "H", "W"], "ReduceMean"),
    ("mean", {"dim": 2, "keepdim": True}, ["N", 3, "L"], "ReduceMean"),
    ("amax", {"dim": [2, 3], "keepdim": True}, ["N", 3, "H", "W"], "GlobalMaxPool"),
    ("amin", {"dim": [2, 3], "keepdim": True}, ["N", 3, "H", "W"], "ReduceMin"),
    ("sum", {"dim": 1}, ["N", 3], "ReduceSum"),
    ("gelu", {}, ["N", 3], "Gelu"),
]


@pytest.mark.parametrize("case", NODES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_models_are_lean(case: tuple[str, dict[str, Any], list[Any], str]) -> None:
    name, attributes, shape, expected = case
    b = Builder("one")
    b.output("y", b.add(name, b.input("x", shape), **attributes))
    nodes = [node.op_type for node in lower(b.build()).nodes]
    # An output that is the input is a copy of it.
    assert nodes == (expected.split() or ["Identity"])


def test_constants_are_shared_and_told_apart(tmp_path: Path) -> None:
    b = Builder("one")
    x = b.input("x0", (2, 4, 5))
    y = b.add("narrow", x, dim=1, start=1, length=1)
    z = b.add("narrow", x, dim=1, start=1, length=2)
    b.output("y", b.add("concat", b.add("select", x, dim=1, index=1), b.add("flatten", z)))
    b.output("z", y)
    graph = b.build()
    model = model_for(graph, {}, tmp_path, OPSETS[0])
    check(model, graph)
    names = [tensor.name for tensor in model.graph.initializer]
    assert names == ["constant/int64/1/1", "constant/int64/1/2", "constant/int64/1/3", "constant/int64/one/1"]
    value = random((Tensor((2, 4, 5)),))[0]
    expected = (torch.cat([value[:, 1], value[:, 1:3].flatten(1)], 1).numpy(), value[:, 1:2].numpy())
    same(runtime(model)([value]), expected)
