"""Reads the arguments of steps: constants, and expressions whose names are checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from netspec.errors import Findings, NetspecError, choices, closest, fail
from netspec.expression import (
    Attribute,
    Expression,
    ExpressionError,
    ListOf,
    Literal,
    Name,
    as_bool,
    leaves,
    parse,
    simplify,
)
from netspec.graph.model import NOTHING
from netspec.naming import SIBLINGS, is_symbol
from netspec.ops.attributes import literal_words, takes, takes_any_text
from netspec.ops.base import Merge
from netspec.ops.own import find_op
from netspec.source import Span
from netspec.spec.limits import MAX_LIST_ITEMS
from netspec.spec.read.bare_values import refuse_bare_value, refuse_list
from netspec.spec.read.body import Argument, BlockDefinition, Body, BodyParameter, Target
from netspec.spec.read.context import Declarations, Defaults, NamesInReach
from netspec.spec.read.parameters import block_signature, check_kind, words_for
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq
from netspec.spec.text.messages import DOLLAR, error_span, notation_hint

_ReadBody = Callable[[str, Data, NamesInReach], Body]
"""The type of a function that reads the argument of a body parameter: its name, its data, and the names in reach."""


class ArgumentReader:
    """Reads the arguments of one file's steps."""

    def __init__(
        self,
        declarations: Declarations,
        defaults: Mapping[str, Defaults] = NOTHING,
        read_body: _ReadBody | None = None,
    ) -> None:
        self.declarations = declarations
        self.defaults = defaults
        self.read_body = read_body

    def arguments(
        self, target: Target, span: Span, data: Data, reach: NamesInReach
    ) -> tuple[dict[str, Argument], Data | None]:
        """Read a step's arguments, on top of the file's defaults; the data of `branches` is returned separately.

        `span` is the place of the step's key, and `data` what stands after it.
        """
        entries, branches = self.entries(target, data)
        arguments: dict[str, Argument] = {}
        if isinstance(target, type) and target.opname in self.defaults:
            arguments.update(self.defaults[target.opname].arguments)
        wrong = Findings()
        for name, entry in entries.items():
            try:
                self.check_argument_name(target, name, entry.key_span)
                arguments[name] = self.argument(name, entry.key_span, entry.value, reach, target)
            except NetspecError as error:
                wrong.extend(error)
                if wrong.full:
                    break
        wrong.check()
        if isinstance(target, BlockDefinition):
            _check_arguments(target, arguments, span)
        return arguments, branches

    def entries(self, target: Target, data: Data) -> tuple[dict[str, Entry], Data | None]:
        """A step's argument as entries by name, and the data of `branches`.

        The value of `conv2d: 64` is the entry of its principal attribute, `out_channels`.
        """
        name = target.opname if isinstance(target, type) else target.name
        if isinstance(target, BodyParameter):
            if not isinstance(data, Scalar) or data.value is not None:
                help = "the steps that it holds have theirs"
                fail("NS211", f"`{name}` is a parameter that holds steps, and takes no arguments", data.span, help=help)
            return {}, None
        if isinstance(data, Map):
            entries = dict(data.entries)
            merge = isinstance(target, type) and issubclass(target, Merge)
            branches = entries.pop("branches") if merge and "branches" in entries else None
            if merge and branches is None and all(isinstance(entry.value, Seq) for entry in entries.values()):
                self.check_bodies(name, entries)
            return entries, branches.value if branches else None
        if isinstance(data, Seq):
            refuse_list(target, name, data)
        if data.value is None and not data.quoted:
            return {}, None
        principal = target.principal
        if principal is None:
            refuse_bare_value(target, name, data)
        return {principal: Entry(principal, data.span, data)}, None

    def check_bodies(self, merge: str, entries: Mapping[str, Entry]) -> None:
        """Refuse lists directly under a merge: bodies without `branches` around them, as in `add: {a: [...]}`."""
        bodies = [entry for name, entry in entries.items() if name not in (*SIBLINGS, *_ELSEWHERE)]
        if bodies:
            shown = ", ".join(f"{entry.key}: [...]" for entry in bodies)
            help = f"write `{merge}: {{branches: {{{shown}}}}}`"
            fail("NS211", f"the bodies that `{merge}` joins stand under `branches`", bodies[0].key_span, help=help)

    def check_argument_name(self, target: Target, name: str, span: Span) -> None:
        """Refuse an argument that the target of a step does not take."""
        if isinstance(target, type):
            known: list[str] = list(target.model_fields)
            what = f"`{target.opname}` has no attribute `{name}`"
        else:
            known = _parameters(target)
            what = f"{_what(target)} has no parameter `{name}`"
        if name in known:
            return
        if name in SIBLINGS:
            help = f"`{name}` stands beside the step's op, not under it: dedent it"
        else:
            if isinstance(target, type) and issubclass(target, Merge):
                known.append("branches")
            meant = [other for other in _FOREIGN.get(name, ()) if other in known]
            help = f"did you mean `{meant[0]}`?" if meant else _ELSEWHERE.get(name) or closest(name, known)
            none = "it takes no arguments"
            if isinstance(target, BlockDefinition) and target.declared is not None:
                none = "the networks of a file read its `params`, and take no arguments"
            elif not isinstance(target, type):
                none = f"a block declares them, as `params: {{{name}: int}}`"
            help = help or (f"it takes {choices(known)}" if known else none)
        fail("NS204", what, span, help=help)

    def argument(
        self,
        name: str,
        key_span: Span,
        data: Data,
        reach: NamesInReach,
        target: Target | None = None,
    ) -> Argument:
        """Read one argument: a constant, or an expression whose names are in reach.

        `target` is what the step uses; None for `when` and `repeat`, and for the items of a list.
        """
        if isinstance(target, BlockDefinition) and target.kinds[name] == "body" and self.read_body is not None:
            return Argument(name, data.span, key_span, body=self.read_body(name, data, reach))
        if isinstance(data, Map):
            fail("NS206", f"`{name}` takes {_wanted(target, name) or 'a value'}, not a mapping", data.span)
        is_text = isinstance(target, type) and takes_any_text(target, name)
        if isinstance(data, Seq) and is_text:
            fail("NS206", f"`{name}` takes {_wanted(target, name)}, not a list", data.span)
        if isinstance(data, Seq):
            if len(data.items) > MAX_LIST_ITEMS:
                message = f"a list holds {len(data.items):,} values, and at most {MAX_LIST_ITEMS} are allowed"
                fail("NS214", message, data.span)
            parts = [self.argument(name, key_span, item, reach) for item in data.items]
            if any(part.expression is not None for part in parts):
                tree = ListOf(tuple(part.expression or Literal(part.value) for part in parts))
                return Argument(name, data.span, key_span, expression=tree)
            return Argument(name, data.span, key_span, [part.value for part in parts])
        value = data.value
        if not isinstance(value, str) or value in _words(target, name):
            return Argument(name, data.span, key_span, value)
        named = DOLLAR.fullmatch(value) is not None
        if is_text and not named:
            message = f"`{name}` is text, and `$` begins the name of a parameter that holds it"
            fail("NS207", message, data.span, help=f"such as `{name}: $name`, and nothing else")
        if not named and isinstance(target, BlockDefinition) and target.kinds[name] == "str":
            return Argument(name, data.span, key_span, value)
        tree = self.expression(value[1:] if named else value, data, reach, target, name)
        if isinstance(tree, Literal):
            if data.quoted and not isinstance(tree.value, str):
                fail(
                    "NS206", f"`{name}` is text here: {data.span.text}", data.span, help=f"write {value} without quotes"
                )
            return Argument(name, data.span, key_span, tree.value)
        tree = simplify(tree, reach.constants) if reach.constants else tree
        if isinstance(tree, Literal):
            return Argument(name, data.span, key_span, tree.value)
        return Argument(name, data.span, key_span, expression=tree)

    def expression(self, text: str, data: Scalar, reach: NamesInReach, target: Target | None, name: str) -> Expression:
        """Parse an expression, and check that its names are in reach; `target` and `name` are of its argument."""
        try:
            tree = parse(text)
        except ExpressionError as error:
            words = sorted(_words(target, name))
            help = notation_hint(text) or error.help or (f"or one of {choices(words)}" if words else "")
            if not help and "," in text and not re.search(r"[()\[\]]", text):
                help = "it takes one value; several are named, as `{name: value, name: value}`"
            fail(
                "NS207",
                f"in `{text}`: {error.message}" if len(text) < 100 else error.message,
                error_span(data, error),
                help=help,
            )
        for leaf in leaves(tree):
            self.check_name(leaf, data, reach, target, name)
        return tree

    def check_name(
        self, leaf: Name | Attribute, data: Scalar, reach: NamesInReach, target: Target | None, argument: str
    ) -> None:
        """Refuse a name that is undefined in this body, or an attribute of what has none."""
        base = leaf.name
        attribute = isinstance(leaf, Attribute)
        is_input, is_parameter = base in reach.inputs, base in reach.parameters
        is_value = is_input or base in reach.values
        place = error_span(data, ExpressionError("", leaf.at, len(base)))
        is_hidden = (is_parameter and not is_input) or (base == "index" and reach.index)
        if attribute and is_value and not is_hidden:
            _note_size(base, place, reach)
            return
        if not attribute and not is_input and (is_parameter or (base == "index" and reach.index)):
            return
        if attribute and base == "index" and is_value and reach.index:
            help = "give the step another name"
            fail("NS210", "`index` is a step here and the number of a copy", place, help=help)
        if isinstance(leaf, Attribute) and is_parameter and is_value:
            message = f"`{base}` is a step here and a parameter"
            fail("NS210", message, place, help="give one of them another name")
        if isinstance(leaf, Attribute) and is_parameter:
            help = _values_with(leaf.attribute, reach)
            fail("NS208", f"`{base}` is a parameter, and has no `.{leaf.attribute}`", place, help=help)
        if is_input and is_parameter:
            message = f"`{base}` is an input here and a parameter of the file"
            help = f"give one of them another name; the input's width is `{base}.channels`"
            fail("NS210", message, place, help=help)
        if is_value and not attribute:
            fail("NS208", f"`{base}` is a value; an expression takes its sizes", place, help=f"say `{base}.channels`")
        if base in reach.bodies:
            fail("NS208", f"`{base}` holds steps, and this takes a value", place, help=f"use it as a step: `- {base}`")
        if base == "index":
            fail(
                "NS208",
                "`index` counts the copies of a `repeat`, and there is none here",
                place,
                help="pass it to the block as a parameter",
            )
        word = base == "None" or (len(base) > 1 and as_bool(base)) or base.lower() in _words(target, argument)
        if is_symbol(base) and not word:
            help = "an input's size is said with its name: `input.height`"
            fail("NS208", f"`{base}` is not a parameter: a symbolic size has no value here", place, help=help)
        if isinstance(leaf, Attribute):
            fail("NS208", f"`{base}` is not defined here", place, help=self.value_help(leaf, reach))
        help = self.name_help(base, str(data.value), reach, target, argument)
        fail("NS208", f"`{base}` is not defined here", place, help=help)

    def value_help(self, leaf: Attribute, reach: NamesInReach) -> str:
        """A hint for a size of a value that is not in reach: the value that was meant, or how to reach it."""
        name, values = leaf.name, reach.values
        if values.is_later_step(name):
            return f"`{name}` stands here or below, and an expression reads sizes of earlier steps"
        if values.is_in_branch(name):
            return f"`{name}` is a step of a branch, which nothing outside can name: name the merge, and read its size"
        if hint := closest(name, {*reach.inputs, *values}):
            return hint
        if find_op(name) or name in self.declarations.blocks:
            return f"give the step a `name`: `{{{name}: ..., name: features}}`, and say `features.{leaf.attribute}`"
        if not reach.inputs:
            return "`defaults` read the parameters of the file alone: say it beside the step"
        help = _values_with(leaf.attribute, reach)
        passed = "; a block sees no steps around it: pass it the size as a parameter"
        return help + passed if help and self.declarations.blocks else help

    def name_help(self, name: str, text: str, reach: NamesInReach, target: Target | None, argument: str) -> str:
        """A hint for an undefined name: the name that was meant, or how to define this one."""
        if name in self.declarations.required:
            return f"blocks that others use see their file's parameters at their defaults, and `{name}` has none"
        words, wanted = sorted(_words(target, argument)), _wanted(target, argument)
        flag = as_bool(name)
        if flag and not words and (argument == "when" or "true or false" in wanted):
            return f"write `{flag}`"
        if name == "None" and not words and "null" in wanted:
            return "write `null`"
        known = [*sorted(reach.parameters), *(f"{i}.channels" for i in sorted(reach.inputs))]
        if hint := closest(name, [*words, *known]) or closest(name.lower(), words):
            return hint
        if re.search(rf"[!=]= *{name}\b|\b{name} *[!=]=", text):
            return f"text stands in quotes: '{name}'"
        if any(name in block.kinds for block in self.declarations.blocks.values()):
            return "a block sees its own parameters and the file's, not those of the place it is used in: pass it on"
        lead = f"it takes {wanted}; expressions know " if wanted else "known are "
        return f"{lead}{choices(known)}, and what `params` declares" if known else "declare it in `params`"


def _check_arguments(block: BlockDefinition, arguments: Mapping[str, Argument], span: Span) -> None:
    """Refuse a use of a block without an argument that it requires, or with constants of other types."""
    missing = [p for p in block.info.parameters if p.required and p.name not in arguments]
    if missing:
        names = choices(p.name for p in missing)
        fail("NS205", f"{block.what} needs {names}", span, help=block_signature(block))
    for name, argument in arguments.items():
        if argument.expression is None and argument.body is None:
            check_kind(block, name, argument)


def _note_size(name: str, place: Span, reach: NamesInReach) -> None:
    """Record that an expression reads a size of a value; refuse a name that an input and a step of a branch have.

    A step of the body itself that has the name of an input is refused where it stands.
    """
    if name != "input" and name in reach.inputs and reach.values.is_step_of_branch(name):
        fail("NS210", f"`{name}` is an input and a step here", place, help="give the step another `name`")
    reach.values.note_size(name, place)


def _values_with(attribute: str, reach: NamesInReach) -> str:
    """A hint that names the values in reach, which have an attribute such as `channels`."""
    sized = choices(f"{value}.{attribute}" for value in sorted({*reach.inputs, *reach.values} - reach.parameters))
    return f"values have it: {sized}" if sized else ""


def _parameters(target: Target) -> list[str]:
    return [p.name for p in target.info.parameters] if isinstance(target, BlockDefinition) else []


def _what(target: Target) -> str:
    return target.what if isinstance(target, BlockDefinition) else "it"


def _words(target: Target | None, name: str) -> frozenset[str]:
    """The words that an argument takes literally, such as `same`; other bare words are expressions."""
    return literal_words(target, name) if isinstance(target, type) else frozenset()


def _wanted(target: Target | None, name: str) -> str:
    """The kind of value that an argument takes, in words; "" where it has no declared kind."""
    if isinstance(target, BlockDefinition):
        return words_for(target.kinds[name])
    return takes(target, name) if isinstance(target, type) else ""


_FOREIGN = {
    **dict.fromkeys(("filters", "num_filters", "out", "units", "num_units"), ("out_channels", "out_features")),
    **dict.fromkeys(("pool_size", "window", "size", "k", "ksize"), ("kernel_size", "output_size")),
    **dict.fromkeys(("s", "strides", "subsample"), ("stride",)),
    **dict.fromkeys(("pad", "pads", "p"), ("padding",)),
    **dict.fromkeys(("rate", "prob", "probability", "drop", "drop_rate"), ("p", "dilation")),
    **dict.fromkeys(("dilation_rate", "atrous_rate", "d"), ("dilation",)),
    **dict.fromkeys(("cardinality", "g"), ("groups",)),
    **dict.fromkeys(("slope", "alpha"), ("negative_slope",)),
    "use_bias": ("bias",),
    "axis": ("dim",),
    "epsilon": ("eps",),
}
"""The names of our attributes by those in other tools."""

_ELSEWHERE = {
    **dict.fromkeys(
        ("in_channels", "in_features", "num_features", "input_dim", "input_shape"),
        "the widths of inputs are inferred: leave it out",
    ),
    **dict.fromkeys(("activation", "act"), "an activation is a step of its own, such as `- relu`"),
    **dict.fromkeys(("input", "inputs"), "values stand beside the op: `from: [a, b]`"),
    "inplace": "it has no bearing on the result: leave it out",
}
"""Hints for attributes of other tools that specs do not have."""
