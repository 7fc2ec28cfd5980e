"""What a run of a model gave, as reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.session import Prediction, Session
from netspec.report import Report
from netspec.tables import Cell, Table

_RANGE = ("min", "mean", "max")


def seen(session: Session, images: Sequence[str], predictions: Sequence[Sequence[Prediction]]) -> Report:
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


def given(session: Session, outputs: Mapping[str, Array]) -> Report:
    """The outputs of a model: their shapes, and between what their values are."""
    rows = [
        {
            "output": name,
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            **{what: float(getattr(array, what)()) for what in _RANGE},
        }
        for name, array in outputs.items()
    ]
    return Report({**_run(session), "outputs": rows}, lambda: _given_table(rows))


def _given_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    cells: list[Sequence[Cell]] = [
        [row["output"], " x ".join(map(str, row["shape"])), row["dtype"], *(f"{row[what]:.4g}" for what in _RANGE)]
        for row in rows
    ]
    return Table(["output", "shape", "dtype", *_RANGE], cells)


def _run(session: Session) -> dict[str, Any]:
    return {"model": str(session.path), "runtime": session.runtime, "device": session.device}
