"""`netspec transform`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import (
    need,
    network_options,
    open_network,
    output_file,
    overwrite,
    weights_file,
    weights_key,
)
from netspec.cli.output import check_names_a_file, check_overwrite, is_stdout, write_file, write_with_weights
from netspec.cli.overwrite import is_our_source, is_our_spec, weights_beside
from netspec.cli.progress import working
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.backends.pytorch.runtime.state_dicts import StateDict
    from netspec.cli.output import Ours
    from netspec.graph.model import Graph, Output
    from netspec.network import Network
    from netspec.passes import Transformed

_SUFFIXES = (".yaml", ".yml", ".py")
_MOST_TOLD = 5


@click.command("transform")
@network_options
@click.option("--until", metavar="NAME", help="Keep what one value needs: it is the output.")
@click.option("--outputs", metavar="A,B", help="Keep what several values need: they are the outputs.")
@click.option("--head", metavar="classes=N", help="Give the last layers N classes; their weights are fresh.")
@click.option("--strip-dropout", is_flag=True, help="Leave dropout out.")
@click.option("--fold-batch-norm", is_flag=True, help="Fold batch norms into the layers before them.")
@click.option("--fully-convolutional", is_flag=True, help="Turn linear layers into convolutions, for any larger image.")
@output_file("NAME.yaml, NAME.py, or - for YAML on stdout.  [default: -]")
@weights_file("A file of weights that fits; the new ones go into NAME.safetensors.")
@weights_key
@click.option("--no-proof", is_flag=True, help="Don't run both networks to see that they give the same.")
@overwrite
def command(
    network: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    until: str | None,
    outputs: str | None,
    head: str | None,
    strip_dropout: bool,
    fold_batch_norm: bool,
    fully_convolutional: bool,
    output: str | None,
    weights: str | None,
    key: str,
    no_proof: bool,
    force: bool,
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
    """
    target = "-" if output is None or is_stdout(output) else output
    suffix = Path(target).suffix.lower() if target != "-" else ".yaml"
    if suffix not in _SUFFIXES:
        raise click.UsageError(f"-o takes a file that ends in .yaml or .py, not `{output}`")
    if weights is not None and target == "-":
        raise click.UsageError("--weights goes with a file: a spec on stdout holds no weights")
    if key and weights is None:
        raise click.UsageError("--key goes with --weights")
    if until is not None and outputs is not None:
        raise click.UsageError("--until NAME is short for --outputs NAME: give one of them")
    values = [part.strip() for part in outputs.split(",")] if outputs is not None else [until] if until else []
    classes = _classes(head) if head is not None else None
    found = open_network(network, settings, sizes)
    ours = is_our_source if suffix == ".py" else is_our_spec
    if target != "-":
        check_names_a_file(target)
        check_overwrite(Path(target), ours, force)
        if weights is not None:
            weights_beside(Path(target), force)

    flags = {
        "strip_dropout": strip_dropout,
        "fold_batch_norm": fold_batch_norm,
        "fully_convolutional": fully_convolutional,
    }
    made, kept = _transformed(found.graph, values, classes, [name for name, wanted in flags.items() if wanted])
    _tell(made)
    text = _text(made, suffix, network)
    state = _weights(found, weights, key) if weights is not None else None
    if not no_proof and made.before is not None:
        echo(_proof(found.graph, made, kept, state), err=True)
    if target == "-":
        echo(text, nl=False)
        return
    beside = ""
    if state is not None:
        beside = _save(made, state, Path(target), text, ours, force)
    else:
        write_file(Path(target), text, ours, force)
    echo(f"wrote {target}: {_difference(found.graph, made.graph)}{beside}", err=True)


def _transformed(
    graph: Graph, values: list[str], classes: int | None, others: list[str]
) -> tuple[Transformed, tuple[Output, ...]]:
    """What the passes make of a graph, and the values of the graph that the outputs of that stand for."""
    from netspec import passes

    made = passes.Transformed(graph)
    if values:
        made = made.then(passes.truncate, values)
    kept = made.graph.outputs
    if classes is not None:
        made = made.then(passes.replace_head, classes)
    for name in others:
        made = made.then(getattr(passes, name))
    return made, kept


def _classes(text: str) -> int:
    name, _, number = text.partition("=")
    if name.strip() != "classes" or not number.strip().isdecimal() or len(number) > 9:
        raise click.UsageError(f"--head takes classes=N, such as classes=10, not `{text}`")
    return int(number)


def _tell(made: Transformed) -> None:
    """What was done, and what was declined and why: reasons that many have are told once."""
    for line in made.done:
        echo(line, err=True)
    reasons: dict[str, list[str]] = {}
    for path, reason in made.declined.items():
        reasons.setdefault(reason, []).append(path)
    for reason, paths in reasons.items():
        shown = ", ".join(f"`{path}`" for path in paths[:_MOST_TOLD])
        more = f" and {len(paths) - _MOST_TOLD} more" if len(paths) > _MOST_TOLD else ""
        echo(f"declined {shown}{more}: {reason}", err=True)


def _text(made: Transformed, suffix: str, network: str) -> str:
    if suffix == ".py":
        from netspec.backends.pytorch.source import to_source

        return to_source(made.graph)
    from netspec.backends.yaml import to_yaml

    return to_yaml(made.graph, "\n".join([f"from {Path(network).name}", *made.done]))


def _weights(network: Network, weights: str, key: str) -> StateDict:
    """The weights of a file by the network's own keys."""
    with working("loading torch"):
        need("torch")
    from netspec.backends.pytorch.runtime.weights import renamed

    state, fit = network.fit_weights(weights, key)
    network.refuse_weights(fit, weights)
    return renamed(state, fit)


def _proof(graph: Graph, made: Transformed, outputs: tuple[Output, ...], state: StateDict | None) -> str:
    """That both graphs give the same, in a line."""
    if made.fresh:
        return "no proof: weights that are fresh give other outputs"
    with working("loading torch"):
        need("torch")
    from netspec.backends.pytorch.runtime.equal import prove_equal

    with working("running both networks"):
        return prove_equal(graph, made, outputs, state)


def _save(made: Transformed, state: StateDict, path: Path, text: str, ours: Ours, force: bool) -> str:
    """Write the new graph and its weights, what is fresh as the spec begins it; the end of the line that tells."""
    from netspec.backends.pytorch.runtime.transformed import transformed_weights
    from netspec.backends.pytorch.runtime.weights import save_weights

    found = transformed_weights(made, state)
    with working(f"writing {path}"):
        beside = write_with_weights(
            path, text, ours, lambda file: save_weights(found, file, made.graph.params, path.name), force
        )
    fresh = f", of which {', '.join(sorted(made.fresh))} are fresh" if made.fresh else ""
    return f"; and its weights, {beside}{fresh}"


def _difference(before: Graph, after: Graph) -> str:
    """How large a graph was and is."""
    from netspec.analysis.summary import summary

    parts = [f"{len(before):,} -> {len(after):,} nodes"]
    for what, name in (("parameters", "parameters"), ("MACs", "macs")):
        counts = [summary(graph)["totals"][name] for graph in (before, after)]
        parts.append(" -> ".join("?" if n is None else f"{n:,}" for n in counts) + f" {what}")
    return ", ".join(parts)
