"""The report of `netspec weights check`: the fit of a file of weights with a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.expression import show
from netspec.graph.walk import COUNTER
from netspec.report import HIDDEN, TypedReport
from netspec.shape_text import shape_text
from netspec.tables import Cell, Table
from netspec.weights import Fit, Known, as_options, nearest

_MAX_ROWS = 12
"""How many weights are listed if they belong to another network."""


@dataclass(frozen=True, slots=True)
class NeededValue:
    """A parameter for which the weights need another value than the network has."""

    needs: Any
    has: Any


@dataclass(frozen=True, slots=True)
class ShapeDifference:
    """A weight with different shapes in the network and in the file."""

    name: str
    key: str
    shape: tuple[int, ...]
    in_file: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MissingWeight:
    """A weight of the network that the file lacks; `near` is an unused key that may be meant for it."""

    name: str
    shape: tuple[int, ...]
    near: str | None


@dataclass(frozen=True, slots=True)
class UnusedWeight:
    """A weight of the file that the network lacks."""

    key: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class WeightsReport(TypedReport):
    """The fit of a file of weights with a network.

    `left_fresh` are missing weights that inference does not need; `fits_with` are settings of parameters with which the
    file would fit.
    """

    network: str
    file: str
    fits: bool
    source: str | None
    prefix: str
    matched: int
    params: Mapping[str, NeededValue]
    differs: Sequence[ShapeDifference]
    missing: Sequence[MissingWeight]
    unused: Sequence[UnusedWeight]
    left_fresh: Sequence[str]
    fits_with: Sequence[Mapping[str, Any]]
    weights_of: Known | None
    fit: Fit = field(metadata=HIDDEN)

    def table(self) -> Table:
        """The table of the weights that do not fit."""
        verb = "fits" if self.fits else "does not fit"
        matched = f"{self.matched} of {len(self.fit.graph.state())} weights"
        title = [f"{self.file} {verb} {self.network}: {matched}, by {self.fit.origin}"]
        rows = self._rows()
        notes = self._notes()
        if self.weights_of and len(rows) > _MAX_ROWS:
            notes.insert(1, f"{len(rows)} weights are missing, unused or of another shape: --format json has them all.")
            rows = []
        return Table(["", "in the network", "shape", "in the file", "shape"], rows, title, notes=notes)

    def _rows(self) -> list[Sequence[Cell]]:
        rows: list[Sequence[Cell]] = [
            ["shape differs", each.name, _shape_cell(each.shape), each.key, _shape_cell(each.in_file)]
            for each in self.differs
        ]
        for each in self.missing:
            rows.append(["missing", each.name, _shape_cell(each.shape), f"{each.near}?" if each.near else "", ""])
        return [*rows, *(["unused", "", "", each.key, _shape_cell(each.shape)] for each in self.unused)]

    def _notes(self) -> list[str]:
        if self.fits_with:
            notes = [f"It fits with {' or '.join(map(as_options, self.fits_with))}."]
        else:
            notes = [f"These are the weights of {self.weights_of}."] if self.weights_of else []
            notes += [
                f"These weights are right with {name}={show(value.needs)}, and the network has {show(value.has)}: "
                f"{as_options({name: value.needs})}"
                for name, value in self.params.items()
            ]
        fresh = [name for name in self.left_fresh if not name.endswith(COUNTER)]
        if fresh:
            notes.append(f"{len(fresh)} weights of training outputs are not there, such as {fresh[0]}.")
        return notes


def weights_report(
    fit: Fit, network: str, file: str, settings: Sequence[Mapping[str, Any]] = (), known: Known | None = None
) -> WeightsReport:
    """The report on a fit; `settings` are settings of parameters with which the file would fit.

    `known` is the bundled network that the weights do fit, if there is one.
    """
    state, near = fit.graph.state(), nearest(fit)
    return WeightsReport(
        network=network,
        file=file,
        fits=fit.fits,
        source=fit.source.name if fit.source else None,
        prefix=fit.prefix,
        matched=len(fit.pairs),
        params={name: NeededValue(needs, has) for name, (needs, has) in fit.params.items()},
        differs=[ShapeDifference(n, key, state[n].shape, fit.shape_of(n)) for n, key in fit.differs.items()],
        missing=[MissingWeight(name, state[name].shape, near.get(name)) for name in fit.missing],
        unused=[UnusedWeight(key, fit.shapes[key]) for key in fit.unused],
        left_fresh=fit.spare,
        fits_with=settings,
        weights_of=known,
        fit=fit,
    )


def _shape_cell(shape: Sequence[int]) -> str:
    return shape_text(shape, scalar="scalar")
