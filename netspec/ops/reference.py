"""The op reference: documentation, attributes and worked examples of each op, as data, text or Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from netspec.errors import fail
from netspec.expression import show
from netspec.ops.attributes import takes
from netspec.ops.base import Example, Merge, Op
from netspec.types import Call, Code, Infix, Printed, helpers_of

FAMILIES = {
    "convolution": "Convolutions",
    "linear": "Fully connected layers",
    "embedding": "Embeddings",
    "recurrent": "Recurrent layers",
    "matrix": "Products of matrices",
    "attention": "Attention",
    "pooling": "Pooling, resizing and sampling",
    "activation": "Activations",
    "normalization": "Normalisation",
    "regularization": "Dropout",
    "merge": "Merges",
    "arithmetic": "Arithmetic",
    "reduction": "Reductions",
    "detection": "Detection",
    "shape": "Shapes",
    "parameter": "Learned tensors",
}
"""The headings of families, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class AttributeEntry:
    """An attribute in words; `default` is None for a required one."""

    name: str
    takes: str
    default: str | None
    principal: bool


@dataclass(frozen=True, slots=True)
class Worked:
    """An example of an op with its costs; MACs are for the whole batch, None if unknown."""

    step: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: int
    macs: int | None


@dataclass(frozen=True, slots=True)
class Reference:
    """The entry of one op in the reference; `module` is None for an op that is built in."""

    name: str
    family: str
    module: str | None
    about: tuple[str, ...]
    inputs: str
    torch: tuple[str, ...]
    principal: str | None
    attributes: tuple[AttributeEntry, ...]
    examples: tuple[Worked, ...]

    def to_dict(self) -> dict[str, Any]:
        """The reference as plain data, for JSON."""
        return asdict(self)

    def to_markdown(self) -> str:
        """A section of docs/ops.md."""
        lines = [f"### {self.name}", "", *"\n\n".join(self.about).split("\n")]
        torch = " or ".join(name if name.startswith("a ") else f"`{name}`" for name in self.torch)
        lines += ["", " ".join([f"Takes {self.inputs}.", *([f"In PyTorch: {torch}."] if torch else [])])]
        if self.attributes:
            lines += ["", "| attribute | takes | default |", "|---|---|---|"]
            for a in self.attributes:
                default = "required" if a.default is None else f"`{a.default}`"
                lines.append(f"| `{a.name}`{' (principal)' if a.principal else ''} | {a.takes} | {default} |")
        if self.examples:
            lines += ["", "| step | input | output | parameters | MACs |", "|---|---|---|---:|---:|"]
            for e in self.examples:
                row = (f"`{e.step}`", ", ".join(e.inputs), ", ".join(e.outputs), f"{e.parameters:,}", _count(e.macs))
                lines.append(f"| {' | '.join(row)} |")
        return "\n".join(lines)

    def to_text(self, width: int = 80) -> str:
        """The entry as text for a terminal with `width` columns."""
        lines = [self.name, "", *"\n\n".join(textwrap.fill(p, width) for p in self.about).split("\n"), ""]
        facts = [
            ("takes", self.inputs.replace("`", "")),
            ("PyTorch", " or ".join(self.torch)),
            ("family", heading(self.family)),
        ]
        facts.append(("module", self.module or ""))
        for name, value in facts:
            lines += _hanging(f"{name:<9} {value}", width, 10) if value else []
        if self.attributes:
            lines += ["", "attributes:", *self._attributes_in_text(width)]
        if self.examples:
            lines += ["", "steps, what they make of an input, and what that costs:"]
        for e in self.examples:
            lines += [*_hanging(f"  - {e.step}", width, 6)]
            cost = f"{_plural(e.parameters, 'parameter')}, {_count(e.macs)} MACs"
            lines += [*_hanging(f"      {', '.join(e.inputs)} -> {', '.join(e.outputs)}: {cost}", width, 6)]
        return "\n".join(lines)

    def _attributes_in_text(self, width: int) -> list[str]:
        names = [f"  {a.name}" for a in self.attributes]
        column = max(map(len, names)) + 2
        lines: list[str] = []
        for name, a in zip(names, self.attributes, strict=True):
            said = f"{a.takes.replace('`', '')}; {'required' if a.default is None else f'default {a.default}'}"
            lines += _hanging(f"{name:<{column}}{said}{'; principal' if a.principal else ''}", width, column)
        if self.principal:
            # An example with a bare value, and nothing else, shows it.
            bare = [e.step for e in self.examples if ": " in e.step and not set(e.step) & set("{,")]
            such = f": {bare[0]}" if bare else ""
            lines += ["", *_hanging(f"A bare value is the principal attribute, {self.principal}{such}.", width, 0)]
        return lines


def by_family(ops: Iterable[type[Op]]) -> dict[str, list[type[Op]]]:
    """Ops by family, in the order in which they are shown."""
    families: dict[str, list[type[Op]]] = {family: [] for family in FAMILIES}
    for cls in ops:
        families.setdefault(cls.family, []).append(cls)
    return {family: members for family, members in families.items() if members}


def heading(family: str) -> str:
    """The heading of a family; that of a user's op is its name."""
    return FAMILIES.get(family, family.replace("_", " ").capitalize() or "Others")


def paragraphs(cls: type[Op]) -> list[str]:
    """An op's documentation, each paragraph on one line."""
    joined = [" ".join(paragraph.split()) for paragraph in (cls.__doc__ or "").split("\n\n")]
    return [paragraph for paragraph in joined if paragraph]


def first_line(cls: type[Op]) -> str:
    """The first paragraph of an op's documentation, on one line."""
    return next(iter(paragraphs(cls)), "")


def attributes(cls: type[Op]) -> list[AttributeEntry]:
    """The attributes of an op, in the order of its class."""
    entries: list[AttributeEntry] = []
    for name in cls.model_fields:
        default = cls.default(name)
        shown = None if default is ... else _written(compact(default))
        entries.append(AttributeEntry(name, takes(cls, name), shown, name == cls.principal))
    return entries


def compact(value: Any) -> Any:
    """A default as a spec would write it: a list of equal numbers, one for each axis, as one number."""
    if isinstance(value, tuple):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return items[0] if len({*items}) == 1 else items
    return value


def defining_module(cls: type[Op]) -> str | None:
    """The module of a user's op; None for an op of netspec."""
    return None if cls.__module__.startswith("netspec.ops.") else cls.__module__


def op_signature(cls: type[Op]) -> str:
    """The attributes of an op with their defaults, in a line of Markdown."""
    return ", ".join(f"`{a.name}`" if a.default is None else f"`{a.name}={a.default}`" for a in attributes(cls))


def reference(cls: type[Op]) -> Reference:
    """The entry of an op. Raises NetspecError NS218 if one of its examples fails."""
    worked: list[Worked] = []
    torch: list[str] = []
    for example in cls.examples:
        try:
            example_row, printed = _work_out(cls, example)
        except Exception as error:  # a user's op may raise anything
            told = " ".join(str(error).split())
            fail("NS218", f"an example of op `{cls.opname}` fails: {told}", help=f"it is {_step(cls, example)}")
        worked.append(example_row)
        torch.append(printed)
    return Reference(
        cls.opname,
        cls.family,
        defining_module(cls),
        tuple(paragraphs(cls)),
        _inputs(cls),
        tuple(dict.fromkeys(torch)),
        cls.principal,
        tuple(attributes(cls)),
        tuple(worked),
    )


def _work_out(cls: type[Op], example: Example) -> tuple[Worked, str]:
    op = cls.model_validate(dict(example.attributes))
    inputs = example.types
    result = op.infer(*inputs)
    outputs = result if isinstance(result, tuple) else (result,)
    parameters = sum(w.size for w in op.weights(*inputs) if w.kind == "parameter")
    macs = op.macs(outputs[0], *inputs)
    # Sizes of an example are numbers.
    counted = None if macs is None else int(str(macs))
    shown = Worked(_step(cls, example), tuple(map(str, inputs)), tuple(map(str, outputs)), parameters, counted)
    return shown, _torch(op.torch(*inputs))


def _torch(printed: Printed) -> str:
    if isinstance(printed, Infix):
        return printed.operator
    helpers = helpers_of(printed)
    if isinstance(printed, Code):
        # A function that the source defines, a method of the first input, an index into it, or a function of torch's.
        if helpers:
            return "a function in the source"
        name = printed.head.rstrip("([").removeprefix("{0}")
        return f"torch.Tensor{name}" if name.startswith(".") else f"torch.{name}" if name else "x[...]"
    name = printed.function if isinstance(printed, Call) else printed.target
    if name in [helper.name for helper in helpers]:
        return "a class in the source"
    return f"torch.{name}" if name.startswith("nn.") else name


def _inputs(cls: type[Op]) -> str:
    least, most = cls.inputs
    count = (
        f"{least} inputs or more" if most is None else f"{least} {'or' if most == least + 1 else 'to'} {most} inputs"
    )
    count = _plural(least, "input") if least == most else count
    return f"{count}, by `from` or as `branches`" if issubclass(cls, Merge) else count


def _step(cls: type[Op], example: Example) -> str:
    """The step of an example, as a spec would write it."""
    given = {name: _written(value) for name, value in example.attributes.items()}
    argument = "{" + ", ".join(f"{name}: {value}" for name, value in given.items()) + "}"
    if list(given) == [cls.principal] and not isinstance(example.attributes[cls.principal or ""], list | tuple):
        argument = next(iter(given.values()))
    step = f"{cls.opname}: {argument}" if given else cls.opname
    if issubclass(cls, Merge) or len(example.inputs) > 1:
        values = [chr(ord("a") + number) for number in range(len(example.inputs))]
        return f"{{{step}, from: [{', '.join(values)}]}}"
    return step


def _written(value: Any) -> str:
    """A value as a spec would write it: words without quotes."""
    return value if isinstance(value, str) else show(value)


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _plural(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _hanging(text: str, width: int, indent: int) -> Sequence[str]:
    """Wrap a text; all lines but the first are indented."""
    lead = len(text) - len(text.lstrip())
    # Runs of spaces separate columns; textwrap keeps them within a line.
    return textwrap.wrap(
        text.lstrip(),
        width,
        initial_indent=" " * lead,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
