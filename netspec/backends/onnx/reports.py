"""Reports on runs of a model: the classes it predicts for images, the objects it detects in them, and its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from netspec.backends.onnx.detections import Detection
from netspec.backends.onnx.narrow import Array
from netspec.backends.onnx.session import Prediction, Session
from netspec.report import Report
from netspec.shape_text import shape_text
from netspec.tables import Cell, Table

_RANGE = ("min", "mean", "max")
_CORNERS = ("x1", "y1", "x2", "y2")


def predictions_report(session: Session, images: Sequence[str], predictions: Sequence[Sequence[Prediction]]) -> Report:
    """A report on the classes that a model predicts for images."""
    pairs = list(zip(images, predictions, strict=True))
    rows = [{"image": name, "predictions": [_to_dict(each) for each in classes]} for name, classes in pairs]
    return Report({**_run(session), "images": rows}, lambda: _predictions_table(pairs))


def _to_dict(prediction: Prediction) -> dict[str, Any]:
    label = {"label": prediction.label} if prediction.label else {}
    return {"class": prediction.index, **label, "probability": round(prediction.probability, 6)}


def _predictions_table(pairs: Sequence[tuple[str, Sequence[Prediction]]]) -> Table:
    named = any(each.label for _, classes in pairs for each in classes)
    rows: list[Sequence[Cell]] = []
    for image, classes in pairs:
        for each in classes:
            label = [each.label] if named else []
            rows.append([image, each.index, *label, round(100 * each.probability, 4)])
    return Table(["image", "class", *(["label"] if named else []), "%"], rows)


def detections_report(session: Session, images: Sequence[str], detections: Sequence[Sequence[Detection]]) -> Report:
    """A report on the objects that a model detects in images; an image without any is told with dashes."""
    pairs = list(zip(images, detections, strict=True))
    rows = [{"image": name, "detections": [_detection_to_dict(each) for each in objects]} for name, objects in pairs]
    return Report({**_run(session), "images": rows}, lambda: _detections_table(pairs))


def _detection_to_dict(detection: Detection) -> dict[str, Any]:
    label = {"label": detection.label} if detection.label else {}
    box = [round(number, 2) for number in detection.box]
    return {"class": detection.index, **label, "score": round(detection.score, 6), "box": box}


def _detections_table(pairs: Sequence[tuple[str, Sequence[Detection]]]) -> Table:
    named = any(each.label for _, objects in pairs for each in objects)
    headings = ["image", "class", *(["label"] if named else []), "score", *_CORNERS]
    rows: list[Sequence[Cell]] = []
    for image, objects in pairs:
        for each in objects:
            label = [each.label] if named else []
            box = [round(number, 2) for number in each.box]
            rows.append([image, each.index, *label, f"{each.score:.3f}", *box])
        if not objects:
            rows.append([image, *[None] * (len(headings) - 1)])
    return Table(headings, rows)


def outputs_report(session: Session, outputs: Sequence[Mapping[str, Array]]) -> Report:
    """A report on the outputs of one or more runs of a model: their shapes, and the ranges of their values."""
    rows = [
        {
            "output": output,
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            **{name: _statistic(array, name) for name in _RANGE},
        }
        for run in outputs
        for output, array in run.items()
    ]
    return Report({**_run(session), "outputs": rows}, lambda: _outputs_table(rows))


def _statistic(array: Array, name: str) -> float | None:
    """The `min`, `mean` or `max` of an array; None if there is none, or if it is not finite."""
    if array.size == 0 or array.dtype.kind not in "fiub":
        return None
    number = float(getattr(array, name)())
    return number if isfinite(number) else None


def _outputs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    cells: list[Sequence[Cell]] = []
    for row in rows:
        shape = shape_text(row["shape"])
        cells.append([row["output"], shape, row["dtype"], *(_shown(row[name]) for name in _RANGE)])
    return Table(["output", "shape", "dtype", *_RANGE], cells)


def _shown(number: float | None) -> str | None:
    return None if number is None else f"{number:.4g}"


def _run(session: Session) -> dict[str, Any]:
    return {"model": str(session.path), "runtime": session.runtime, "device": session.device}
