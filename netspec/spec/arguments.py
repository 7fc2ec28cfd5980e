"""Arguments of steps: constants, and expressions whose names are all known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from netspec.errors import Diagnostic, NetspecError, choices, closest, fail
from netspec.expression import Attribute, Expression, ExpressionError, ListOf, Literal, Name, Value, leaves, parse, show
from netspec.naming import SIBLINGS
from netspec.ops.base import Merge, Op, make_op, words_of
from netspec.source import Span
from netspec.spec.body import Argument, BlockDefinition, FileContext, Reach
from netspec.spec.data import Data, Entry, Map, Scalar, Seq, plain
from netspec.spec.messages import DOLLAR, at
from netspec.spec.parameters import check_kind, signature


class ArgumentReader:
    """Reads the arguments of one file's steps."""

    def __init__(self, file: FileContext, blocks: Mapping[str, BlockDefinition]) -> None:
        self.file = file
        self.blocks = blocks

    def arguments(
        self, target: type[Op] | BlockDefinition, span: Span, data: Data, reach: Reach
    ) -> tuple[dict[str, Argument], Data | None]:
        """A step's arguments with the file's defaults under them, and `branches` apart, as they were read."""
        entries, branches = self.entries(target, data)
        found: dict[str, Argument] = {}
        if isinstance(target, type) and target.opname in self.file.defaults:
            found.update(self.file.defaults[target.opname].arguments)
        wrong: list[Diagnostic] = []
        for name, entry in entries.items():
            try:
                self.check_argument_name(target, name, entry.key_span)
                text = isinstance(target, BlockDefinition) and target.kinds[name] == "str"
                words = words_of(target, name) if isinstance(target, type) else frozenset[str]()
                found[name] = self.argument(name, entry.key_span, entry.value, reach, words, text)
            except NetspecError as error:
                wrong += error.diagnostics
        if wrong:
            raise NetspecError(*wrong)
        if isinstance(target, BlockDefinition):
            missing = [p for p in target.info.parameters if p.required and p.name not in found]
            if missing:
                names = choices(p.name for p in missing)
                fail("NS205", f"block `{target.name}` needs {names}", span, help=signature(target))
            for name, argument in found.items():
                if argument.expression is None:
                    check_kind(target, name, argument)
        return found, branches

    def entries(self, target: type[Op] | BlockDefinition, data: Data) -> tuple[dict[str, Entry], Data | None]:
        """A step's argument as attributes by name, and `branches` apart."""
        name = target.opname if isinstance(target, type) else target.name
        if isinstance(data, Map):
            entries = dict(data.entries)
            merge = isinstance(target, type) and issubclass(target, Merge)
            branches = entries.pop("branches") if merge and "branches" in entries else None
            return entries, branches.value if branches else None
        if isinstance(data, Seq):
            fail(
                "NS211",
                f"a list is never an argument, and `{name}` has one",
                data.span,
                help=f"name what it is: `{name}: {{{_named(target, plain(data))}}}`",
            )
        if data.value is None and not data.quoted:
            return {}, None
        principal = target.principal
        if principal is None:
            _no_principal(target, name, data.span)
        return {principal: Entry(principal, data.span, data)}, None

    def check_argument_name(self, target: type[Op] | BlockDefinition, name: str, span: Span) -> None:
        if isinstance(target, type):
            known: list[str] = list(target.model_fields)
            what = f"`{target.opname}` has no attribute `{name}`"
        else:
            known = [p.name for p in target.info.parameters]
            what = f"block `{target.name}` has no parameter `{name}`"
        if name in known:
            return
        if name in SIBLINGS:
            help = f"`{name}` stands beside the step's op, not under it: dedent it"
        else:
            help = closest(name, known) or (f"it takes {choices(known)}" if known else "it takes no arguments")
        fail("NS204", what, span, help=help)

    def argument(
        self,
        name: str,
        key_span: Span,
        data: Data,
        reach: Reach,
        words: frozenset[str] = frozenset(),
        text: bool = False,
    ) -> Argument:
        """A value as the spec wrote it: a constant, or an expression whose names are all known."""
        if isinstance(data, Map):
            fail("NS206", f"`{name}` takes a value, not a mapping", data.span)
        if isinstance(data, Seq):
            parts = [self.argument(name, key_span, item, reach) for item in data.items]
            if any(part.expression is not None for part in parts):
                tree = ListOf(tuple(part.expression or Literal(part.value) for part in parts))
                return Argument(name, data.span, key_span, expression=tree)
            return Argument(name, data.span, key_span, [part.value for part in parts])
        value = data.value
        if not isinstance(value, str) or value in words:
            return Argument(name, data.span, key_span, value)
        named = DOLLAR.fullmatch(value) is not None
        if text and not named:
            return Argument(name, data.span, key_span, value)
        tree = self.expression(value[1:] if named else value, data, reach, words)
        if isinstance(tree, Literal):
            if data.quoted and not isinstance(tree.value, str):
                fail(
                    "NS206", f"`{name}` is text here: {data.span.text}", data.span, help=f"write {value} without quotes"
                )
            return Argument(name, data.span, key_span, tree.value)
        return Argument(name, data.span, key_span, expression=tree)

    def expression(self, text: str, data: Scalar, reach: Reach, words: Iterable[str] = ()) -> Expression:
        """An expression of this body, its names checked."""
        try:
            tree = parse(text)
        except ExpressionError as error:
            help = error.help or _pair_help(text) or (f"or one of {choices(sorted(words))}" if words else "")
            fail(
                "NS207",
                f"in `{text}`: {error.message}" if len(text) < 100 else error.message,
                at(data, error),
                help=help,
            )
        for leaf in leaves(tree):
            self.check_name(leaf, data, reach, words)
        return tree

    def check_name(self, leaf: Name | Attribute, data: Scalar, reach: Reach, words: Iterable[str]) -> None:
        """Refuse a name that stands for nothing in this body."""
        base = leaf.name
        attribute = isinstance(leaf, Attribute)
        if attribute and base in reach.inputs:
            return
        if not attribute and (base in reach.parameters or (base == "index" and reach.index)):
            return
        place = at(data, ExpressionError("", leaf.at, len(base)))
        if base in reach.inputs:
            fail("NS208", f"`{base}` is a value; an expression takes its sizes", place, help=f"say `{base}.channels`")
        if base == "index":
            fail(
                "NS208",
                "`index` counts the copies of a `repeat`, and there is none here",
                place,
                help="pass it to the block as a parameter",
            )
        if base[:1].isupper():
            help = "an input's size is said with its name: `input.height`"
            fail("NS208", f"`{base}` is not a parameter: a symbolic size has no value here", place, help=help)
        fail("NS208", f"`{base}` is not defined here", place, help=self.name_help(base, reach, sorted(words)))

    def name_help(self, name: str, reach: Reach, words: list[str]) -> str:
        """What to write instead of a name that stands for nothing."""
        if name in _YAML_1_1 and not words:
            return f"write `{_YAML_1_1[name]}`"
        known = [*sorted(reach.parameters), *(f"{i}.channels" for i in sorted(reach.inputs))]
        if hint := closest(name, [*words, *known]):
            return hint
        if any(name in block.kinds for block in self.blocks.values()):
            return "a block sees its own parameters and the file's, not those of the place it is used in: pass it on"
        lead = f"words here are {choices(words)}; in expressions, " if words else ""
        return f"{lead}known are {choices(known)}" if known else "the spec has no parameters"


def _named(target: type[Op] | BlockDefinition, values: list[Value]) -> str:
    """What a list was meant to say, with names: the principal attribute if it takes a list, else one by one."""
    names = list(target.model_fields) if isinstance(target, type) else [p.name for p in target.info.parameters]
    principal = target.principal
    if isinstance(target, type) and principal:
        wrong = [problem.attribute for problem in make_op(target, {principal: values})[1]]
        if principal not in wrong:
            return f"{principal}: {show(values)}"
    return ", ".join(f"{name}: {show(value)}" for name, value in zip(names or ["..."], values, strict=False))


def _no_principal(target: type[Op] | BlockDefinition, name: str, span: Span) -> NoReturn:
    if isinstance(target, BlockDefinition):
        if target.info.parameters:
            fail("NS211", f"block `{name}` has several required parameters: name them", span, help=signature(target))
        fail("NS211", f"block `{name}` takes no arguments", span)
    known = list(target.model_fields)
    help = f"write `- {name}`" + (f", or name the attribute: `{name}: {{{known[0]}: ...}}`" if known else "")
    fail("NS211", f"`{name}` takes no bare value", span, help=help)


_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def _pair_help(text: str) -> str:
    """A way out for those who write `3x5`."""
    sizes = text.split("x")
    return f"a pair is written [{', '.join(sizes)}]" if len(sizes) == 2 and all(s.isdigit() for s in sizes) else ""
