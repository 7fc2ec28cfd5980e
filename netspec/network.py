"""`Network`: a spec that was read, elaborated and checked, with its analyses, diagrams, source and exports."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.analysis.summary import Summary, summary
from netspec.dims import Dim
from netspec.errors import Diagnostic
from netspec.expression import show
from netspec.gc_pause import gc_paused
from netspec.graph.model import Graph, Mode
from netspec.naming import is_symbol
from netspec.source import Source
from netspec.spec.elaborate.elaborate import Result, elaborate
from netspec.spec.read.inputs import SIZE, is_size
from netspec.spec.read.read_spec import networks_of, read_spec
from netspec.spec.read.spec import Spec
from netspec.spec.sources.find import find_network

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor
    from torch import nn

    from netspec.analysis.compare import Comparison
    from netspec.analysis.diff import Diff
    from netspec.analysis.memory import MemoryReport
    from netspec.analysis.memory_model import DType, Optimizer
    from netspec.analysis.parameters import By, ParameterReport
    from netspec.analysis.receptive_fields import ReceptiveFieldReport
    from netspec.backends.diagram.diagram import Diagram
    from netspec.backends.diagram.dot import Direction
    from netspec.backends.diagram.theme import Theme
    from netspec.backends.onnx.export import Exported
    from netspec.backends.onnx.narrow import Array
    from netspec.report import Report
    from netspec.weights import Fit, Known

ShapeLike = Sequence[Dim | str]


class Network:
    """A network: its graph, the values of its parameters, and methods for all analyses and exports.

    `load` and `loads` create one. `overridden` are the names of parameters whose values in the spec were replaced.
    """

    def __init__(self, spec: Spec, params: Mapping[str, Any], inputs: Mapping[str, list[Dim | str]]) -> None:
        self.spec = spec
        self._result: Result = elaborate(spec, params, inputs)
        self._as_written = not params and not inputs
        self.overridden = frozenset(params)
        self._inputs = inputs
        self.graph: Graph = self._result.graph
        self.params: dict[str, Any] = dict(self.graph.params)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def warnings(self) -> list[Diagnostic]:
        """Diagnostics that are no errors, such as a value that nothing uses."""
        return self._result.warnings

    def summary(self, mode: Mode = "inference", at: Mapping[str, int] | None = None) -> Summary:
        """Shapes, parameters, MACs and receptive fields; `at` replaces the nominal sizes of symbols."""
        return summary(self.graph, mode, at)

    def parameters(self, by: By = "layer", mode: Mode = "inference") -> ParameterReport:
        """Parameters by layer, or by kind of op or outermost block, largest first."""
        from netspec.analysis.parameters import parameters

        return parameters(self.graph, by, mode)

    parameter_counts = parameters
    """An older name of `parameters`."""

    def receptive_fields(self, every: bool = False, mode: Mode = "inference") -> ReceptiveFieldReport:
        """The receptive field of each layer that changes it, or with `every` of each node."""
        from netspec.analysis.receptive_fields import receptive_fields

        return receptive_fields(self.graph, mode, every)

    def memory(
        self, mode: Mode = "inference", *, batch: int = 1, dtype: DType = "float32", optimizer: Optimizer = "none"
    ) -> MemoryReport:
        """Bytes of weights and activations, layer by layer, and their peak, in inference or in a training step.

        Raises NetspecError NS305 where a size is open.
        """
        from netspec.analysis.memory import memory

        return memory(self.graph, mode, batch=batch, dtype=dtype, optimizer=optimizer)

    def compare(self, *others: Network | Graph, mode: Mode = "inference") -> Comparison:
        """This network and others side by side, one row each: see `netspec.compare`."""
        from netspec.analysis.compare import compare

        return compare([self, *others], mode)

    def explain(self, part: str = "") -> Report:
        """Where a part of the network comes from: its step, its blocks, and the origin of each of its values.

        `part` is a path, an input, an output, a weight, a parameter, or a step that was left out; "" is the network.
        Raises NetspecError NS209 where there is no such part.
        """
        from netspec.explanation.part import explain

        return explain(self, part)

    def diff(self, other: Network | Graph) -> Diff:
        """The difference between this network and another, whatever their names and blocks: see `netspec.diff`."""
        from netspec.analysis.diff import diff

        return diff(self, other)

    def diagram(
        self,
        depth: int | None = None,
        *,
        expand: Collection[str] = (),
        part: str = "",
        direction: Direction = "TB",
        theme: Theme = "light",
        highlight: Collection[str] = (),
        mode: Mode = "inference",
        title: bool = True,
        width: float | None = None,
    ) -> Diagram:
        """A diagram of the network, or of one part of it, as `netspec.diagram` draws a graph."""
        from netspec.backends.diagram import diagram

        return diagram(
            self.graph,
            depth,
            expand=expand,
            part=part,
            direction=direction,
            theme=theme,
            highlight=highlight,
            mode=mode,
            title=title,
            width=width,
        )

    def _repr_svg_(self) -> str:
        return self.diagram()._repr_svg_()  # pyright: ignore[reportPrivateUsage]

    def check_expectations(self) -> tuple[int, list[Diagnostic]]:
        """How many claims of `expect` were checked, and a diagnostic for each that does not hold.

        Claims are made for the file's own parameters and inputs: under others they lapse, and none is checked.
        """
        from netspec.expect import check_expectations

        return check_expectations(self.spec, self._result) if self._as_written else (0, [])

    @cached_property
    def _source(self) -> str:
        from netspec.backends.pytorch.source import to_source

        return to_source(self.graph)

    def to_source(self) -> str:
        """The network as self-contained PyTorch source: one Python module, which does not import netspec."""
        return self._source

    def compile(
        self,
        weights: Mapping[str, TorchTensor] | str | os.PathLike[str] | None = None,
        *,
        partial: bool = False,
        key: str = "",
    ) -> nn.Module:
        """The network as an `nn.Module`, compiled from its source.

        `weights` is a state dict or the path of one (safetensors, or torch's format), with the network's keys or those
        of an origin that the spec names under `weights`; `key` is its place in a checkpoint, such as
        `checkpoint.model`. Raises NetspecError NS501, with all missing, unused and misshapen weights, if it does not
        fit. With `partial`, weights that fit are loaded, and the others are initialised as the spec says.
        """
        from netspec.backends.pytorch.runtime.load import load_source, with_weights

        if weights is None:
            return load_source(self.graph, self.to_source())
        file = "" if isinstance(weights, Mapping) else os.fspath(weights)
        state, fit = self.fit_weights(weights, key)
        if not partial or not fit.pairs or fit.params:
            self.refuse_weights(fit, file)
        return with_weights(self.to_source(), state, fit, own=bool(file))

    def to_onnx(
        self,
        path: str | os.PathLike[str],
        weights: nn.Module | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        key: str = "",
        seed: int = 0,
        fold: bool = True,
        fp16: bool = False,
        opset: int = 21,
    ) -> Exported:
        """Write the network as an ONNX model for inference, with batch norms folded unless `fold` is false.

        `weights` is a module, a state dict, or a file, and `key` its place in a checkpoint (see `compile`). Without
        it, weights are drawn from `seed` as the spec's initialisers say. More than 2 GB of weights go to `path.data`.
        Raises NetspecError NS501 for weights that do not fit, and NS401 for an op that has no form in ONNX.
        """
        from netspec.backends.onnx.export import export
        from netspec.backends.onnx.seeded import seeded_weights

        if weights is None:
            arrays, random = seeded_weights(self.graph, seed), seed
        else:
            arrays, random = self._arrays(weights, key), None
        return export(self.graph, arrays, Path(path), fold=fold, half=fp16, opset=opset, seed=random)

    def _arrays(self, weights: nn.Module | Mapping[str, Any] | str | os.PathLike[str], key: str) -> Mapping[str, Array]:
        """The weights for this network, as arrays by its keys. Raises NetspecError NS501 if they do not fit."""
        from netspec.backends.onnx.weights import arrays_of, fitting

        file = os.fspath(weights) if isinstance(weights, str | os.PathLike) else ""
        arrays = arrays_of(weights, key)
        fit = self._fit(arrays.shapes, file)
        self.refuse_weights(fit, file)
        return fitting(arrays, fit)

    def fit_weights(
        self, weights: Mapping[str, TorchTensor] | str | os.PathLike[str], key: str = ""
    ) -> tuple[Mapping[str, TorchTensor], Fit]:
        """A state dict, or the one in a file, and its fit: the pairs of its keys and the network's, and what is left.

        `key` is its place in a checkpoint. Raises NetspecError NS501 if there is no state dict; weights that do not fit
        are listed in the fit.
        """
        from netspec.backends.pytorch.runtime.state_dicts import state_dict_given
        from netspec.backends.pytorch.runtime.weights import read_weights, weight_shapes

        if isinstance(weights, Mapping):
            state = state_dict_given(weights, key)
            return state, self._fit(weight_shapes(state))
        state = read_weights(weights, key)
        return state, self._fit(weight_shapes(state), os.fspath(weights))

    def _fit(self, shapes: Mapping[str, tuple[int, ...]], file: str = "") -> Fit:
        """The fit of weights with these shapes; the metadata of `file` may hold the network's parameters."""
        from netspec.backends.marks import written_for
        from netspec.weights import best_fit

        return best_fit(self.graph, shapes, self.spec.weights, self.params, written_for(file) if file else None)

    def refuse_weights(self, fit: Fit, file: str = "") -> None:
        """Raise NetspecError NS501 if weights do not fit, and suggest parameters or a network with which they do."""
        from netspec.weights import refuse_weights

        if not fit.fits:
            settings = self.settings_that_fit(fit)
            refuse_weights(fit, file, settings, None if settings else known_as(fit))

    def settings_that_fit(self, fit: Fit) -> list[dict[str, Any]]:
        """Other settings of the parameters under which weights that do not fit this network would fit.

        The network is elaborated with each candidate to find out.
        """
        from netspec.errors import NetspecError
        from netspec.weights import best_fit, settings_to_try, sizes_that_differ

        fitting: list[dict[str, Any]] = []
        settings = settings_to_try(fit, self.spec.weights, self.params) if not fit.fits else []
        for setting in settings:
            try:
                graph = Network(self.spec, {**self.params, **setting}, self._inputs).graph
            except NetspecError:
                continue
            tried = best_fit(graph, fit.shapes, self.spec.weights, graph.params, fit.written)
            # Layers that are matched only under this setting may show further sizes that differ.
            further = {**setting, **sizes_that_differ(tried, graph.params)}
            if tried.fits:
                fitting.append(setting)
            elif further not in settings:
                settings.append(further)
        return fitting

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {len(self.graph)} nodes)"


def load(
    name: str | os.PathLike[str],
    *,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, ShapeLike] | None = None,
) -> Network:
    """Load a network by the name of a bundled spec or the path of a spec file.

    The path may also be an ONNX model that netspec exported; its weights are not loaded. In a spec with several
    networks, `gan:generator` selects one. `params` replaces values of parameters, and `inputs` the shapes of inputs,
    with the batch first: `{"image": ["N", 3, 512, 512]}`. Raises NetspecError.
    """
    source, network = find_network(os.fspath(name))
    return from_source(source, network, params=params, inputs=inputs)


def loads(
    text: str,
    *,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, ShapeLike] | None = None,
    name: str = "<string>",
    network: str = "",
) -> Network:
    """Load a network from the text of a spec, YAML or JSON. Raises NetspecError.

    Errors call the text `name`. In a spec with several networks, `network` selects one.
    """
    return from_source(Source(name, text.removeprefix("\ufeff")), network, params=params, inputs=inputs)


def from_source(
    source: Source,
    network: str = "",
    *,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, ShapeLike] | None = None,
) -> Network:
    """Load a network from a source; `network` selects one if there are several."""
    with gc_paused():
        spec = read_spec(source, network)
        return Network(spec, params or {}, check_inputs(spec, inputs or {}))


def check_inputs(spec: Spec, inputs: Mapping[str, ShapeLike]) -> dict[str, list[Dim | str]]:
    """Check shapes for inputs, and return them as lists. Raises NetspecError for unknown inputs and wrong ranks."""
    from netspec.errors import closest, fail
    from netspec.shape_text import shape_text

    shapes: dict[str, list[Dim | str]] = {}
    for name, shape in inputs.items():
        if name not in spec.inputs:
            fail("NS209", f"`{spec.name}` has no input `{name}`", help=closest(name, spec.inputs))
        dims = spec.inputs[name].dims
        if len(shape) != len(dims):
            wanted = shape_text(d for d, _ in dims)
            fail("NS302", f"input `{name}` of `{spec.name}` has {len(dims)} axes ({wanted}), not {len(shape)}")
        for size in shape:
            if not (is_symbol(size) if isinstance(size, str) else is_size(size)):
                fail("NS206", f"a size of `{name}` is {SIZE}, or a symbol such as `H`, not {show(size)}")
        shapes[name] = list(shape)
    return shapes


def known_as(fit: Fit) -> Known | None:
    """The bundled network that weights fit, given their fit with another network; None if there is none."""
    from netspec.weights import Known, best_fit, may_be_of

    candidates: list[Known] = []
    for name in bundled():
        network = load(name)
        if may_be_of(fit, network.graph):
            tried = best_fit(network.graph, fit.shapes, network.spec.weights, network.params, fit.written)
            settings: list[dict[str, Any]] = [{}] if tried.fits else network.settings_that_fit(tried)[:1]
            candidates += [Known(name, setting) for setting in settings]
    # Variants of a network may accept its weights under some setting: prefer the one with the fewest parameters.
    return min(candidates, key=lambda known: len(known.params), default=None)


def bundled() -> list[str]:
    """The names of the bundled networks; `gan:generator` is one of several in a spec that has no main one."""
    from netspec.spec.sources.bundled import bundled_names, bundled_source

    return [network for name in bundled_names() for network in _networks_in(name, bundled_source(name))]


def _networks_in(name: str, source: Source | None) -> list[str]:
    """The networks of a bundled spec by their full names: only the main one if it has that, else all."""
    # Most specs have one network, and need not be parsed to tell.
    if source is None or "\nnetwork:" in source.text:
        return [name]
    networks = networks_of(source)
    return [name] if "" in networks else [f"{name}:{network}" for network in networks]


names = bundled
"""An older name of `bundled`."""
