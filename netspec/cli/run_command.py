"""`netspec run`."""

from __future__ import annotations

import os
import shlex
import warnings
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from netspec.cli.options import INPUT, run_options
from netspec.cli.output import OutputFile, check_names_a_file
from netspec.cli.pictures import RunOptions, draw_pictures
from netspec.cli.progress import working
from netspec.cli.provenance import is_our_arrays
from netspec.cli.requirements import require
from netspec.cli.terminal import echo
from netspec.files import note_input

if TYPE_CHECKING:
    from netspec.backends.onnx.detections import Detection
    from netspec.backends.onnx.device import Device
    from netspec.backends.onnx.session import Session
    from netspec.report import Report

_IMAGES_AT_A_TIME = 64
"""The number of images that are read and run at a time."""
_TOP = 5
"""The number of classes that are told of an image, if --top does not say it."""
_SCORE = 0.6
"""The least score of a detection that is told and drawn, if --score does not say it.

The figures of Ren et al. 2015 ("Faster R-CNN", arXiv:1506.01497, figure 5) show detections from this score on.
"""


@click.command("run")
@click.argument("model", type=INPUT)
@click.option("--image", "images", multiple=True, metavar="FILE", type=INPUT, help="An image; may be repeated.")
@click.option(
    "--array", "arrays", multiple=True, metavar="NAME=FILE", help="An input from a file .npy; may be repeated."
)
@click.option("--top", type=click.IntRange(1), help=f"How many classes of a classifier to tell.  [default: {_TOP}]")
@click.option(
    "--score", type=float, help=f"The least score of a detection that is told and drawn.  [default: {_SCORE}]"
)
@click.option("--device", type=click.Choice(["cuda", "cpu"]), help="Where to run.  [default: CUDA where it can be had]")
@click.option("--save", metavar="FILE", type=click.Path(), help="Write all outputs as arrays, to FILE.npz.")
@run_options
def command(
    model: str,
    images: tuple[str, ...],
    arrays: tuple[str, ...],
    top: int | None,
    score: float | None,
    device: str | None,
    save: str | None,
    output: RunOptions,
) -> None:
    """Run an ONNX model with ONNX Runtime, and tell what it sees in images.

    A classifier tells the classes of each image, a detector the objects in it with their boxes, in pixels of the image.
    With a picture's name, `-o` draws these; `{name}` in it stands for the name of the image, and a small image is
    enlarged.

    What becomes of an image, and what the classes are called, the model says itself: `netspec export` takes it from the
    spec. A model without labels has numbers for classes. On standard error stands where it runs, and why.

    \b
    Examples:
      netspec run resnet50.onnx --image cat.jpg
      netspec run resnet50.onnx --image cat.jpg --image dog.jpg --top 3 --format json
      netspec run faster_rcnn.onnx --image street.jpg -o boxes.png
      netspec run faster_rcnn.onnx --image a.jpg --image b.jpg --score 0.8 -o 'boxes-{name}.png'
    """
    if bool(images) == bool(arrays):
        raise click.UsageError("give images, as --image cat.jpg, or arrays, as --array noise=noise.npy")
    if score is not None and not isfinite(score):
        raise click.UsageError(f"--score takes a number, not {score:g}")
    if arrays and (output.picture is not None or score is not None):
        raise click.UsageError("detections are told and drawn of images: give --image")
    pictures = output.picture.targets(images) if output.picture is not None else {}
    target = _save_target(save, output) if save is not None else None
    _check_is_exported(model)
    require("onnx")
    from netspec.backends.onnx.session import Session

    with working(f"loading {model}"):
        session = Session(model, cast("Device | None", device))
    _tell(session)
    if images:
        _check_kind(session, top, score, output)
    detections: dict[str, list[Detection]] = {}
    with working("running"):
        if not images:
            report, outputs = _run_arrays(session, arrays)
        elif session.detections:
            report, outputs, detections = _detect(session, images, _SCORE if score is None else score)
        else:
            report, outputs = _run_images(session, images, top or _TOP)
    output.report.write(report)
    if target is not None:
        _save(outputs, target)
    draw_pictures(pictures, detections)


def _tell(session: Session) -> None:
    """Print the device of a model with the reason, and notes on missing labels and random weights."""
    where = "CUDA" if session.device == "cuda" else "the CPU"
    echo(f"{session.runtime} on {where}" + (f": {session.why}" if session.why else ""), err=True)
    if "netspec.labels" in session.metadata and not session.labels:
        echo("its labels are names that torchvision has: pip install torchvision to see them", err=True)
    if seed := session.metadata.get("netspec.seed"):
        random = f"its weights are random (seed {seed}), and so is what it tells"
        echo(f"{random}: `netspec export --weights FILE` gives it trained ones", err=True)


def _check_kind(session: Session, top: int | None, score: float | None, output: RunOptions) -> None:
    """Raise a usage error for options that belong to the other kind of model, a classifier or a detector."""
    if session.detections and top is not None:
        raise click.UsageError(f"--top is for classifiers, and {session.path} is a detector: it has --score")
    if not session.detections and score is not None:
        raise click.UsageError(f"--score is for detectors, and {session.path} is none")
    if not session.detections and output.picture is not None:
        way = "-o takes the file of a report, .json, .csv, .md or .txt"
        raise click.UsageError(f"{session.path} is no detector, and there is nothing to draw: {way}")


def _save_target(save: str, output: RunOptions) -> OutputFile:
    """The file of `--save`, after checking that it may be written."""
    if Path(save).suffix.lower() != ".npz":
        raise click.UsageError(f"--save takes a file that ends in .npz, not `{save}`")
    check_names_a_file(save)
    report = output.report
    if report.file is not None and os.path.realpath(report.file) == os.path.realpath(save):
        raise click.UsageError(f"-o and --save name the same file, `{save}`")
    target = OutputFile(Path(save), is_our_arrays, report.force)
    target.check()
    return target


def _check_is_exported(model: str) -> None:
    """Raise an error for a network's name or a spec, with the command that exports it."""
    from netspec.errors import fail
    from netspec.spec.sources.bundled import is_bundled

    if not Path(model).exists() and is_bundled(model.partition(":")[0]):
        fail("NS502", f"`{model}` is a network, and no model yet", help=f"netspec export {shlex.quote(model)}")
    if Path(model).suffix in (".yaml", ".yml", ".json"):
        fail("NS502", f"{model} is a spec, and no model yet", help=f"netspec export {shlex.quote(model)}")


def _run_images(session: Session, images: tuple[str, ...], top: int) -> tuple[Report, list[dict[str, Any]]]:
    """Run a model on images, several at a time; return the report and the outputs of each run."""
    from netspec.backends.onnx.reports import outputs_report, predictions_report

    batch = next((value.shape[0] for value in session.inputs.values() if value.shape), 1)
    step = batch if isinstance(batch, int) and batch > 0 else _IMAGES_AT_A_TIME
    # Pillow warns about images that it can read nevertheless.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = [session.run(session.images(images[i : i + step])) for i in range(0, len(images), step)]
    if not session.scores:
        return outputs_report(session, outputs), outputs
    predictions = [each for part in outputs for each in session.predictions(part, top)]
    return predictions_report(session, images, predictions), outputs


def _detect(
    session: Session, images: tuple[str, ...], score: float
) -> tuple[Report, list[dict[str, Any]], dict[str, list[Detection]]]:
    """Run a detector on images; return the report, the outputs of each run, and the detections from a score on."""
    from netspec.backends.onnx.reports import detections_report

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = list(session.detection_runs(images))
    detections: dict[str, list[Detection]] = {}
    for image, objects in zip(images, [each for _, of_run in runs for each in of_run], strict=True):
        detections[image] = [each for each in objects if each.score >= score]
        if not detections[image]:
            best = f": the best has {objects[0].score:.3f}" if objects else ""
            echo(f"{image}: no detection has a score of {score:g} or more{best}", err=True)
    report = detections_report(session, images, [detections[image] for image in images])
    return report, [outputs for outputs, _ in runs], detections


def _run_arrays(session: Session, arrays: tuple[str, ...]) -> tuple[Report, list[dict[str, Any]]]:
    """Run a model once on arrays from files; return the report and the outputs."""
    from netspec.backends.onnx.arrays import read_array
    from netspec.backends.onnx.reports import outputs_report

    inputs: dict[str, Any] = {}
    for text in arrays:
        name, sign, file = text.partition("=")
        if not (name and sign and file) or name in inputs:
            raise click.UsageError(f"--array takes NAME=FILE, each name once, not `{text}`")
        note_input(file)
        inputs[name] = read_array(Path(file))
    outputs = [session.run(inputs)]
    return outputs_report(session, outputs), outputs


def _save(outputs: list[dict[str, Any]], target: OutputFile) -> None:
    from netspec.backends.onnx.arrays import write_arrays

    with target.opened() as file:
        write_arrays(outputs, file)
    echo(f"wrote {target.path}", err=True)
