"""Lines of the table of a diff, and how many of them become few.

`rows` makes a line for each layer with what differs below it. Then two sequences of steps make them short:

- `fold_details`, of the lines below a layer: norms and activations that differ in size only are absorbed by the layer
  before them; neighbours that only one side has become one line; lines that tell the same become one.
- `fold_layers`, of the layers: neighbours that only one side has become one line; neighbours with nothing to tell
  become one line; a layer whose details an earlier one had refers to it; lines that tell the same become one.

`fold_copies` folds the copies of a repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

from netspec.analysis.diff.model import NodePair, Status
from netspec.analysis.scope_label import MINOR

_MOST_EQUAL_LAYERS = 3
"""How many layers may tell the same in lines of their own."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of the table: which layer, what differs, the output's shape, and by how much parameters and MACs differ.

    `details` are the lines below it; `pairs` are the nodes that it tells of. `mixed`: the two sides nest their nodes in
    different ways, and details have names that do not begin below the line's.
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
        """By how many parameters the second side has more."""
        return sum(pair.parameters for pair in self.pairs)

    @property
    def macs(self) -> int | None:
        """By how many MACs the second side has more; None where a size is open."""
        counts = [pair.macs for pair in self.pairs]
        numbers = [count for count in counts if count is not None]
        return sum(numbers) if len(numbers) == len(counts) else None

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell: the same, or sizes that change no cost."""
        return self.status == "same" or (self.status == "sizes" and not self.parameters and self.macs == 0)


def pairs_of(lines: list[DiffLine]) -> tuple[NodePair, ...]:
    """The nodes that lines tell of."""
    return tuple([pair for line in lines for pair in line.pairs])


def fold_details(lines: list[DiffLine]) -> list[DiffLine]:
    """The lines below a layer, made short."""
    return _fold_equal(_fold_one_sided(_absorb_minor(lines)), most=1)


def fold_layers(lines: list[DiffLine]) -> list[DiffLine]:
    """The lines of layers, made short."""
    return _fold_equal(_refer_back(_fold_quiet(_fold_one_sided(lines))), most=_MOST_EQUAL_LAYERS)


def fold_copies(copies: list[DiffLine]) -> list[DiffLine]:
    """The copies of a repeat: each line once, with all copies that it is true of, such as `1-35.conv`."""
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
            # Whole copies that only one side has.
            what += f" (x {len(lines)})" if len(lines) > 1 else ""
            output = lines[-1].output
        folded.append(DiffLine(_ranges(names) + below, what, lines[0].status, pairs_of(lines), output))
    return folded


def _ranges(names: list[str]) -> str:
    """The names of copies, neighbours as a range.

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
    """Let layers absorb the lines after them in which mere sizes of a norm, an activation or the like differ."""
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
            # The label of the second comes without its sign.
            what = _joined_labels(before.what, line.what[2:])
            folded[-1] = DiffLine(name, what, line.status, before.pairs + line.pairs, line.output)
        else:
            folded.append(line)
    return folded


def _joined_labels(labels: str, label: str) -> str:
    """Labels with one more, of which the middle is left out where there are many.

    >>> _joined_labels("+ conv 64 + relu + conv 64 + relu", "pool")
    '+ conv 64 + relu + conv 64 + relu + .. + pool'
    """
    return f"{labels} + {label}" if labels.count(" + ") < 3 else f"{labels.partition(' + .. + ')[0]} + .. + {label}"


def _fold_equal(lines: list[DiffLine], most: int) -> list[DiffLine]:
    """Fold lines without details that tell the same of several nodes, where these are more than `most`.

    The folded line, such as `conv1 and 3 more`, stands where the first of them did.
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
    """Fold neighbours with nothing to tell into lines such as `conv1 .. pool2  the same (10 nodes)`."""
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
    """Let a layer whose details an earlier one had refer to it: `conv 512 (x 3->4): as conv4`."""
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
    """The first of the names that a folded line tells of."""
    return line.name.partition(" .. ")[0]


def _in_one_scope(a: DiffLine, b: DiffLine) -> bool:
    """Whether two lines stand directly in one scope."""
    return _first_name(a).rpartition(".")[0] == b.name.rpartition(".")[0]


def _common_output(lines: list[DiffLine]) -> str:
    """The output of lines where it is one, else nothing."""
    return lines[0].output if all(line.output == lines[0].output for line in lines) else ""
