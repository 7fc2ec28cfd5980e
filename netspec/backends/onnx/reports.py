"""What a run of a model gave, as reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.session import Prediction, Session
from netspec.report import Report
from netspec.shape_text import shape_text
from netspec.tables import Cell, Table

_RANGE = ("min", "mean", "max")


def predictions_report(session: Session, images: Sequence[str], predictions: Sequence[Sequence[Prediction]]) -> Report:
    """The classes that a model saw in images."""
    pairs = list(zip(images, predictions, strict=True))
    rows = [{"image": name, "predictions": [_plain(each) for each in found]} for name, found in pairs]
    return Report({**_run(session), "images": rows}, lambda: _seen_table(pairs))


def _plain(prediction: Prediction) -> dict[str, Any]:
    label = {"label": prediction.label} if prediction.label else {}
    return {"class": prediction.index, **label, "probability": round(prediction.probability, 6)}


def _seen_table(pairs: Sequence[tuple[str, Sequence[Prediction]]]) -> Table:
    named = any(each.label for _, found in pairs for each in found)
    rows: list[Sequence[Cell]] = []
    for image, found in pairs:
        for each in found:
            label = [each.label] if named else []
            rows.append([image, each.index, *label, round(100 * each.probability, 4)])
    return Table(["image", "class", *(["label"] if named else []), "%"], rows)


def outputs_report(session: Session, outputs: Sequence[Mapping[str, Array]]) -> Report:
    """The outputs of a model in one run or several: their shapes, and between what their values are."""
    rows = [
        {
            "output": name,
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            **{what: _number(array, what) for what in _RANGE},
        }
        for each in outputs
        for name, array in each.items()
    ]
    return Report({**_run(session), "outputs": rows}, lambda: _given_table(rows))


def _number(array: Array, what: str) -> float | None:
    """The least, mean or largest value; None where there is none, or it is no number."""
    if array.size == 0 or array.dtype.kind not in "fiub":
        return None
    found = float(getattr(array, what)())
    return found if isfinite(found) else None


def _given_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    cells: list[Sequence[Cell]] = []
    for row in rows:
        shape = shape_text(row["shape"])
        cells.append([row["output"], shape, row["dtype"], *(_shown(row[what]) for what in _RANGE)])
    return Table(["output", "shape", "dtype", *_RANGE], cells)


def _shown(number: float | None) -> str | None:
    return None if number is None else f"{number:.4g}"


def _run(session: Session) -> dict[str, Any]:
    return {"model": str(session.path), "runtime": session.runtime, "device": session.device}
