"""`netspec transform`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec.cli.options import (
    Command,
    NetworkOptions,
    WeightsOptions,
    force_option,
    network_options,
    output_file,
    weights_options,
)
from netspec.cli.output import FileOptions, OutputFile
from netspec.cli.progress import working
from netspec.cli.provenance import is_our_source, is_our_spec
from netspec.cli.requirements import require
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.backends.pytorch.runtime.state_dicts import StateDict
    from netspec.graph.model import Graph, Output
    from netspec.network import Network
    from netspec.passes import Transformed

_SUFFIXES = (".yaml", ".yml", ".py")
_MAX_PATHS = 5
"""The largest number of paths that are listed for one reason why a pass declined."""


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _classes(text: str) -> int:
    name, _, number = text.partition("=")
    if name.strip() != "classes" or not number.strip().isdecimal() or len(number) > 9:
        raise click.UsageError(f"--head takes classes=N, such as classes=10, not `{text}`")
    return int(number)


def _ranks(text: str) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (word.strip() for word in part.partition("="))
        if not name or not equals or not number.isdecimal() or len(number) > 9:
            raise click.UsageError(f"--truncate-svd takes LAYER=RANK, such as fc6=1024,fc7=256, not `{part.strip()}`")
        if name in ranks:
            raise click.UsageError(f"--truncate-svd has `{name}` twice")
        ranks[name] = int(number)
    return ranks


@dataclass(frozen=True, slots=True)
class _PassOption:
    """The option of a pass. With a `metavar` it takes text, which `parse` turns into the pass's argument."""

    flag: str
    name: str
    """The name of the pass in `netspec.passes`, from where it is imported when it runs."""
    help: str
    metavar: str | None = None
    parse: Callable[[str], Any] | None = None

    @property
    def parameter(self) -> str:
        """The name under which click gives the option's value."""
        return self.flag.removeprefix("--").replace("-", "_")

    def run(self, transformed: Transformed, argument: Any) -> Transformed:
        """Run the pass on a graph; the pass of a flag takes no argument."""
        from netspec import passes

        function: Callable[..., Transformed] = getattr(passes, self.name)
        return transformed.then(function) if self.parse is None else transformed.then(function, argument)


_PASS_OPTIONS = (
    _PassOption("--until", "truncate", "Keep what one value needs: it is the output.", "NAME", lambda text: [text]),
    _PassOption("--outputs", "truncate", "Keep what several values need: they are the outputs.", "A,B", _names),
    _PassOption(
        "--head", "replace_head", "Give the last layers N classes; their weights are fresh.", "classes=N", _classes
    ),
    _PassOption("--strip-dropout", "strip_dropout", "Leave dropout out."),
    _PassOption("--fold-batch-norm", "fold_batch_norm", "Fold batch norms into the layers before them."),
    _PassOption(
        "--truncate-svd",
        "truncate_svd",
        "Split linear layers in two, at a rank for each.",
        "LAYER=RANK,...",
        _ranks,
    ),
    _PassOption(
        "--fully-convolutional",
        "fully_convolutional",
        "Turn linear layers into convolutions, for any larger image.",
    ),
)
"""Every pass with its option, in the order of `--help`, in which they run."""


def _pass_options(command: Command) -> Command:
    """The options of all passes. The command gets their values by their parameters."""
    for option in reversed(_PASS_OPTIONS):
        kind: dict[str, Any] = {"metavar": option.metavar} if option.metavar else {"is_flag": True}
        command = click.option(option.flag, help=option.help, **kind)(command)
    return command


@click.command("transform")
@network_options
@_pass_options
@output_file("NAME.yaml, NAME.py, or - for YAML on stdout.  [default: -]", default="-")
@weights_options("A file of weights that fits; the new ones go into NAME.safetensors.")
@click.option("--no-proof", is_flag=True, help="Don't run both networks to see that they give the same.")
@force_option
def command(
    network: NetworkOptions, output: FileOptions, weights: WeightsOptions | None, no_proof: bool, **passes: Any
) -> None:
    """Transform a network, and write it as a spec again or as PyTorch source.

    Transforms are done in the order of their options here, and each tells what it did and what it declined. Names and
    blocks stay. Without any, the network is written as one spec, with --set and --input applied.

    \b
    Examples:
      netspec transform resnet50 --fold-batch-norm -o lean.yaml
      netspec transform resnet50 --until layer3 --weights resnet50.safetensors -o features.py
      netspec transform resnet18 --head classes=10 --weights resnet18.safetensors -o mine.yaml
      netspec transform vgg_d --fully-convolutional -o dense.py
      netspec transform vgg_d --truncate-svd fc6=1024,fc7=256 --weights vgg16.pth -o light.yaml
    """
    suffix = ".yaml" if output.is_stdout else output.suffix
    if suffix not in _SUFFIXES:
        raise click.UsageError(f"-o takes a file that ends in .yaml or .py, not `{output.file}`")
    if weights is not None and output.is_stdout:
        raise click.UsageError("--weights goes with a file: a spec on stdout holds no weights")
    arguments = _arguments(passes)
    opened = network.open()
    target = None if output.is_stdout else output.target(is_our_source if suffix == ".py" else is_our_spec)
    if target is not None and weights is not None:
        target.weights()
    transformed, kept = _transform(opened.graph, arguments)
    _tell(transformed)
    text = _text(transformed, suffix, network.name)
    state = _weights(opened, weights) if weights is not None else None
    new_state = _new_weights(transformed, state) if state is not None else None
    if not no_proof and transformed.before is not None:
        echo(_proof(opened.graph, transformed, kept, state, new_state), err=True)
    if target is None:
        echo(text, nl=False)
    else:
        beside = _save(transformed, new_state, target, text)
        echo(f"wrote {target.path}: {_difference(opened.graph, transformed.graph)}{beside}", err=True)


def _arguments(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the passes to run, by the flags of their options."""
    if values["until"] is not None and values["outputs"] is not None:
        raise click.UsageError("--until NAME is short for --outputs NAME: give one of them")
    arguments: dict[str, Any] = {}
    for option in _PASS_OPTIONS:
        value = values[option.parameter]
        if value is not None and value is not False:
            arguments[option.flag] = option.parse(value) if option.parse is not None else None
    return arguments


def _transform(graph: Graph, arguments: dict[str, Any]) -> tuple[Transformed, tuple[Output, ...]]:
    """Run passes on a graph; returns also the values of `graph` that the outputs of the new graph stand for."""
    from netspec.passes import Transformed

    transformed, kept = Transformed(graph), graph.outputs
    for option in _PASS_OPTIONS:
        if option.flag in arguments:
            transformed = option.run(transformed, arguments[option.flag])
            if option.name == "truncate":
                # This pass chooses other outputs; later passes may replace the nodes that compute them.
                kept = transformed.graph.outputs
    return transformed, kept


def _tell(transformed: Transformed) -> None:
    """Print the changes by the passes, and the declined changes grouped by reason."""
    for line in transformed.done:
        echo(line, err=True)
    by_reason: dict[str, list[str]] = {}
    for path, reason in transformed.declined.items():
        by_reason.setdefault(reason, []).append(path)
    for reason, paths in by_reason.items():
        shown = ", ".join(f"`{path}`" for path in paths[:_MAX_PATHS])
        more = f" and {len(paths) - _MAX_PATHS} more" if len(paths) > _MAX_PATHS else ""
        echo(f"declined {shown}{more}: {reason}", err=True)


def _text(transformed: Transformed, suffix: str, network: str) -> str:
    """The new graph as PyTorch source, or as a spec with a comment on the changes and the original network."""
    if suffix == ".py":
        from netspec.backends.pytorch.source import to_source

        return to_source(transformed.graph)
    from netspec.backends.yaml import to_yaml

    return to_yaml(transformed.graph, "\n".join([f"from {Path(network).name}", *transformed.done]))


def _weights(network: Network, weights: WeightsOptions) -> StateDict:
    """The weights in a file, under the network's own keys."""
    require("torch")
    from netspec.backends.pytorch.runtime.weights import renamed

    state, fit = network.fit_weights(weights.file, weights.key)
    network.refuse_weights(fit, weights.file)
    return renamed(state, fit)


def _new_weights(transformed: Transformed, state: StateDict) -> StateDict:
    """The weights of the new graph; prints what is lost of those that it approximates."""
    from netspec.backends.pytorch.runtime.load import transformed_weights

    with working("making the new weights"):
        new_state, errors = transformed_weights(transformed, state)
    for key, error in errors.items():
        echo(f"`{key}` has a relative error of {error:.2g} (Frobenius norm)", err=True)
    return new_state


def _proof(
    graph: Graph,
    transformed: Transformed,
    outputs: tuple[Output, ...],
    state: StateDict | None,
    new_state: StateDict | None,
) -> str:
    """Run both graphs, compare their outputs, and return a one-line summary."""
    if transformed.fresh:
        return "no proof: weights that are fresh give other outputs"
    if not transformed.equal and not _is_approximation(transformed):
        return "no proof: the new network computes something else"
    if not transformed.equal and new_state is None:
        return "no proof: the new network approximates the old one; with --weights the error is measured"
    require("torch")
    from netspec.backends.pytorch.runtime.prove_transform import measure_transform, prove_transform

    with working("running both networks"):
        if transformed.equal or state is None or new_state is None:
            return prove_transform(graph, transformed, outputs, state)
        return measure_transform(graph, transformed, outputs, state, new_state)


def _is_approximation(transformed: Transformed | None) -> bool:
    """Return whether a pass of the chain approximates weights."""
    return transformed is not None and (bool(transformed.approximated) or _is_approximation(transformed.before))


def _save(transformed: Transformed, new_state: StateDict | None, target: OutputFile, text: str) -> str:
    """Write the new graph and its weights, and return a clause about the file of weights."""
    if new_state is None:
        target.write(text)
        return ""
    from netspec.backends.pytorch.runtime.weights import save_weights

    params, name = transformed.graph.params, target.path.name
    with working(f"writing {target.path}"):
        beside = target.write_with_weights(text, lambda file: save_weights(new_state, file, params, name))
    fresh = f", of which {', '.join(sorted(transformed.fresh))} are fresh" if transformed.fresh else ""
    return f"; and its weights, {beside}{fresh}"


def _difference(before: Graph, after: Graph) -> str:
    """The numbers of nodes, parameters and MACs before and after: `70 -> 50 nodes, ...`."""
    from netspec.analysis.summary import summary

    parts = [f"{len(before):,} -> {len(after):,} nodes"]
    for words, name in (("parameters", "parameters"), ("MACs", "macs")):
        counts = [summary(graph)["totals"][name] for graph in (before, after)]
        parts.append(" -> ".join("?" if n is None else f"{n:,}" for n in counts) + f" {words}")
    return ", ".join(parts)
