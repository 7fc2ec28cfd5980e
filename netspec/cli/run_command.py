"""`netspec run`."""

from __future__ import annotations

import os
import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from netspec.cli.options import INPUT, need, output_options
from netspec.cli.output import OutputOptions, check_names_a_file, check_overwrite, in_place_of
from netspec.cli.overwrite import is_our_arrays
from netspec.cli.progress import working
from netspec.cli.terminal import echo
from netspec.files import note_input

if TYPE_CHECKING:
    from netspec.backends.onnx.device import Device
    from netspec.backends.onnx.session import Session
    from netspec.report import Report

AT_A_TIME = 64
"""How many images are read before they are run."""


@click.command("run")
@click.argument("model", type=INPUT)
@click.option(
    "--image", "images", multiple=True, metavar="FILE", type=INPUT, help="An image to classify; may be repeated."
)
@click.option(
    "--array", "arrays", multiple=True, metavar="NAME=FILE", help="An input from a file .npy; may be repeated."
)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many classes to tell.")
@click.option("--device", type=click.Choice(["cuda", "cpu"]), help="Where to run.  [default: CUDA where it can be had]")
@click.option("--save", metavar="FILE", type=click.Path(), help="Write all outputs as arrays, to FILE.npz.")
@output_options
def command(
    model: str,
    images: tuple[str, ...],
    arrays: tuple[str, ...],
    top: int,
    device: str | None,
    save: str | None,
    output: OutputOptions,
) -> None:
    """Run an ONNX model with ONNX Runtime, and tell what it sees in images.

    What becomes of an image, and what the classes are called, the model says itself: `netspec export` takes it from the
    spec. A model without labels has numbers for classes. On standard error stands where it runs, and why.

    \b
    Examples:
      netspec run resnet50.onnx --image cat.jpg
      netspec run resnet50.onnx --image cat.jpg --image dog.jpg --top 3 --format json
    """
    if bool(images) == bool(arrays):
        raise click.UsageError("give images, as --image cat.jpg, or arrays, as --array noise=noise.npy")
    if save is not None:
        _check_save(save, output)
    _check_is_exported(model)
    with working("loading onnx"):
        need("onnx")
    from netspec.backends.onnx.session import Session

    with working(f"loading {model}"):
        session = Session(model, cast("Device | None", device))
    where = "CUDA" if session.device == "cuda" else "the CPU"
    echo(f"{session.runtime} on {where}" + (f": {session.why}" if session.why else ""), err=True)
    if "netspec.labels" in session.metadata and not session.labels:
        echo("its labels are names that torchvision has: pip install torchvision to see them", err=True)
    if seed := session.metadata.get("netspec.seed"):
        random = f"its weights are random (seed {seed}), and so is what it tells"
        echo(f"{random}: `netspec export --weights FILE` gives it trained ones", err=True)
    with working("running"):
        report, outputs = _of_images(session, images, top) if images else _of_arrays(session, arrays)
    output.write(report)
    if save is not None:
        _save(outputs, Path(save), output.force)


def _check_save(save: str, output: OutputOptions) -> None:
    if Path(save).suffix.lower() != ".npz":
        raise click.UsageError(f"--save takes a file that ends in .npz, not `{save}`")
    check_names_a_file(save)
    if output.file is not None and os.path.realpath(output.file) == os.path.realpath(save):
        raise click.UsageError(f"-o and --save name the same file, `{save}`")
    check_overwrite(Path(save), is_our_arrays, output.force)


def _check_is_exported(model: str) -> None:
    """Tell those who name a network that it becomes a model first."""
    from netspec.errors import fail
    from netspec.spec.sources.bundled import is_bundled

    if not Path(model).exists() and is_bundled(model.partition(":")[0]):
        fail("NS502", f"`{model}` is a network, and no model yet", help=f"netspec export {shlex.quote(model)}")
    if Path(model).suffix in (".yaml", ".yml", ".json"):
        fail("NS502", f"{model} is a spec, and no model yet", help=f"netspec export {shlex.quote(model)}")


def _of_images(session: Session, images: tuple[str, ...], top: int) -> tuple[Report, list[dict[str, Any]]]:
    from netspec.backends.onnx.reports import given, seen

    batch = next((value.shape[0] for value in session.inputs.values() if value.shape), 1)
    step = batch if isinstance(batch, int) and batch > 0 else AT_A_TIME
    # Pillow warns of what it can read all the same.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = [session.run(session.images(images[i : i + step])) for i in range(0, len(images), step)]
    if not session.scores:
        return given(session, outputs), outputs
    found = [predictions for part in outputs for predictions in session.predictions(part, top)]
    return seen(session, images, found), outputs


def _of_arrays(session: Session, arrays: tuple[str, ...]) -> tuple[Report, list[dict[str, Any]]]:
    from netspec.backends.onnx.arrays import read_array
    from netspec.backends.onnx.reports import given

    inputs: dict[str, Any] = {}
    for text in arrays:
        name, sign, file = text.partition("=")
        if not (name and sign and file) or name in inputs:
            raise click.UsageError(f"--array takes NAME=FILE, each name once, not `{text}`")
        note_input(file)
        inputs[name] = read_array(Path(file))
    outputs = [session.run(inputs)]
    return given(session, outputs), outputs


def _save(outputs: list[dict[str, Any]], target: Path, force: bool) -> None:
    from netspec.backends.onnx.arrays import write_arrays

    with in_place_of(target, is_our_arrays, force) as file:
        write_arrays(outputs, file)
    echo(f"wrote {target}", err=True)
