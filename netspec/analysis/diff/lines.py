"""The lines of a diff's table, and functions that fold many lines into few.

`rows` creates a line for each layer, with its differences as lines below it. These functions shorten them:

- `fold_details`, for the lines below a layer: norms and activations that differ in size only join the layer before
  them; neighbours that only one side has become one line; equal changes become one line.
- `fold_layers`, for layers: neighbours that only one side has become one line; neighbours without a difference become
  one line; a layer with the same details as an earlier one refers to it; equal changes become one line.
- `fold_copies`, for the copies of a repeat: equal lines of several copies become one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

from netspec.analysis.diff.model import NodePair, Status
from netspec.analysis.scope_label import MINOR

_MOST_EQUAL_LAYERS = 3
"""The largest number of layers with the same change that keep separate lines."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of the table: the layer, its change, the output's shape, and the differences of parameters and MACs.

    `details` are the lines below it, and `pairs` the nodes that it stands for. It is `mixed` if the two sides nest
    these nodes in different ways, so that the names of details are not relative to the line's.
    """

    name: str
    what: str
    status: Status
    pairs: tuple[NodePair, ...]
    output: str = ""
    details: tuple[DiffLine, ...] = ()
    mixed: bool = False

    @property
    def parameters(self) -> int:
        """The parameters of the second side minus those of the first."""
        return sum(pair.parameters for pair in self.pairs)

    @property
    def macs(self) -> int | None:
        """The MACs of the second side minus those of the first; None if a size is open."""
        counts = [pair.macs for pair in self.pairs]
        numbers = [count for count in counts if count is not None]
        return sum(numbers) if len(numbers) == len(counts) else None

    @property
    def quiet(self) -> bool:
        """Whether nothing differs, or only sizes that change no cost."""
        return self.status == "same" or (self.status == "sizes" and not self.parameters and self.macs == 0)


def pairs_of(lines: list[DiffLine]) -> tuple[NodePair, ...]:
    """The nodes that lines stand for."""
    return tuple([pair for line in lines for pair in line.pairs])


def fold_details(lines: list[DiffLine]) -> list[DiffLine]:
    """Fold the lines below a layer."""
    return _fold_equal(_fold_one_sided(_absorb_minor(lines)), most=1)


def fold_layers(lines: list[DiffLine]) -> list[DiffLine]:
    """Fold the lines of layers."""
    return _fold_equal(_refer_back(_fold_quiet(_fold_one_sided(lines))), most=_MOST_EQUAL_LAYERS)


def fold_copies(copies: list[DiffLine]) -> list[DiffLine]:
    """Fold the lines of a repeat's copies: equal lines become one with the numbers of the copies, as `1-35.conv`."""
    groups: dict[tuple[str, str], list[tuple[str, DiffLine]]] = {}
    for copy in copies:
        for line in copy.details or [copy]:
            below = f".{line.name}" if copy.details and not copy.mixed else ""
            groups.setdefault((below, line.what), []).append((copy.name, line))
    folded: list[DiffLine] = []
    for (below, what), group in groups.items():
        names, lines = [name for name, _ in group], [line for _, line in group]
        if below or lines[0].status == "changed":
            output = _common_output(lines)
        else:
            # Complete copies that only one side has.
            what += f" (x {len(lines)})" if len(lines) > 1 else ""
            output = lines[-1].output
        folded.append(DiffLine(_ranges(names) + below, what, lines[0].status, pairs_of(lines), output))
    return folded


def _ranges(names: list[str]) -> str:
    """The numbers of copies, with consecutive ones as ranges.

    >>> _ranges(["0", "1", "2", "5"])
    '0-2,5'
    """
    if not all(name.isdecimal() for name in names):
        return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
    ranges: list[list[int]] = []
    for number in map(int, names):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{first}-{last}" if first != last else str(first) for first, last in ranges)


def _absorb_minor(lines: list[DiffLine]) -> list[DiffLine]:
    """Join lines of norms, activations and the like that differ in size only to the line of the layer before."""
    folded: list[DiffLine] = []
    for line in lines:
        minor = line.status == "sizes" and all(pair.node.op.family in MINOR for pair in line.pairs)
        if minor and folded and folded[-1].status in ("changed", "sizes") and _in_one_scope(folded[-1], line):
            folded[-1] = replace(folded[-1], pairs=folded[-1].pairs + line.pairs)
        else:
            folded.append(line)
    return folded


def _fold_one_sided(lines: list[DiffLine]) -> list[DiffLine]:
    """Fold neighbours that only one side has into lines such as `conv .. relu  + conv 64 + relu`."""
    folded: list[DiffLine] = []
    for line in lines:
        before = folded[-1] if folded else None
        one_sided = before and before.status == line.status and line.status in ("only_a", "only_b")
        if before and one_sided and _in_one_scope(before, line):
            name = f"{_first_name(before)} .. {line.name}"
            # The sign of the second label, "+ " or "- ", is cut off.
            what = _joined_labels(before.what, line.what[2:])
            folded[-1] = DiffLine(name, what, line.status, before.pairs + line.pairs, line.output)
        else:
            folded.append(line)
    return folded


def _joined_labels(labels: str, label: str) -> str:
    """Append a label to labels, and leave out those in the middle if there are many.

    >>> _joined_labels("+ conv 64 + relu + conv 64 + relu", "pool")
    '+ conv 64 + relu + conv 64 + relu + .. + pool'
    """
    return f"{labels} + {label}" if labels.count(" + ") < 3 else f"{labels.partition(' + .. + ')[0]} + .. + {label}"


def _fold_equal(lines: list[DiffLine], most: int) -> list[DiffLine]:
    """Fold lines with the same change and without details, if there are more than `most` of them.

    The folded line, such as `conv1 and 3 more`, takes the place of the first one.
    """
    groups: dict[tuple[object, ...], list[DiffLine]] = {}
    for number, line in enumerate(lines):
        alone = line.details or line.status == "same"
        groups.setdefault((number,) if alone else (line.status, line.what), []).append(line)
    folded: list[tuple[int, DiffLine]] = []
    numbers = {id(line): number for number, line in enumerate(lines)}
    for group in groups.values():
        if len(group) <= most:
            folded += [(numbers[id(line)], line) for line in group]
            continue
        first = group[0]
        name = f"{first.name} and {len(group) - 1} more"
        line = DiffLine(name, first.what, first.status, pairs_of(group), _common_output(group))
        folded.append((numbers[id(first)], line))
    return [line for _, line in sorted(folded, key=lambda numbered: numbered[0])]


def _fold_quiet(lines: list[DiffLine]) -> list[DiffLine]:
    """Fold consecutive lines without a difference into lines such as `conv1 .. pool2  the same (10 nodes)`."""
    folded: list[DiffLine] = []
    for quiet, neighbours in groupby(lines, key=lambda line: line.quiet):
        run = list(neighbours)
        folded += [_quiet_line(run)] if quiet else run
    return folded


def _quiet_line(run: list[DiffLine]) -> DiffLine:
    pairs = pairs_of(run)
    name = run[0].name if len(run) == 1 else f"{_first_name(run[0])} .. {run[-1].name}"
    nodes = f"{len(pairs)} node{'s' if len(pairs) > 1 else ''}"
    sizes = any(pair.status == "sizes" for pair in pairs)
    return DiffLine(name, f"the same but for sizes ({nodes})" if sizes else f"the same ({nodes})", "same", pairs)


def _refer_back(lines: list[DiffLine]) -> list[DiffLine]:
    """Replace details that an earlier layer also has by a reference to it: `conv 512 (x 3->4): as conv4`."""
    first_with: dict[tuple[tuple[str, str], ...], str] = {}
    referring: list[DiffLine] = []
    for line in lines:
        details = tuple([(detail.name, detail.what) for detail in line.details])
        first = first_with.setdefault(details, line.name) if details else line.name
        if first != line.name:
            line = replace(line, what=f"{line.what}: as {first}", details=(), status="changed")
        referring.append(line)
    return referring


def _first_name(line: DiffLine) -> str:
    """The first name in the name of a line, which may be folded."""
    return line.name.partition(" .. ")[0]


def _in_one_scope(a: DiffLine, b: DiffLine) -> bool:
    """Whether the layers of two lines are directly in the same scope."""
    return _first_name(a).rpartition(".")[0] == b.name.rpartition(".")[0]


def _common_output(lines: list[DiffLine]) -> str:
    """The common output shape of lines; "" if they differ."""
    return lines[0].output if all(line.output == lines[0].output for line in lines) else ""
