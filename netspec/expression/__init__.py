"""The expressions of the spec language: a small grammar with a bounded parser of its own, never `eval`.

They stand in numeric, boolean and list fields, `repeat`, `when` and dims: parameters, `index`, attributes
of the body's inputs, literals, `[i]`, unary minus, `+ - * // / %`, comparisons, `and or not`,
`x if c else y`, and `min max ceil floor len`. An expression is kept as a tree, since the PyTorch
writer prints it again where it holds for every use of a block.
"""

from netspec.expression.errors import ExpressionError, NoTruth, UnknownName
from netspec.expression.evaluator import evaluate
from netspec.expression.language import FUNCTIONS, MAX_DEPTH, MAX_FACTORS, MAX_INTEGER, MAX_LENGTH, MAX_OPERATORS
from netspec.expression.parser import parse
from netspec.expression.printer import python_literal, show, to_text
from netspec.expression.simplifier import simplify
from netspec.expression.tree import (
    Attribute,
    Binary,
    Call,
    Conditional,
    Expression,
    Index,
    ListOf,
    Literal,
    Name,
    Unary,
    Value,
    leaves,
    names_in,
    rewrite,
)
from netspec.expression.words import as_bool, way_to_bool

__all__ = [
    "FUNCTIONS",
    "MAX_DEPTH",
    "MAX_FACTORS",
    "MAX_INTEGER",
    "MAX_LENGTH",
    "MAX_OPERATORS",
    "Attribute",
    "Binary",
    "Call",
    "Conditional",
    "Expression",
    "ExpressionError",
    "Index",
    "ListOf",
    "Literal",
    "Name",
    "NoTruth",
    "Unary",
    "UnknownName",
    "Value",
    "as_bool",
    "evaluate",
    "leaves",
    "names_in",
    "parse",
    "python_literal",
    "rewrite",
    "show",
    "simplify",
    "to_text",
    "way_to_bool",
]
