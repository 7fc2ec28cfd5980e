"""The expressions of the spec language: a small grammar with a bounded parser of its own, never `eval`.

They occur in attributes and arguments, `repeat`, `when` and dims. They have parameters, `index`, attributes of the
body's inputs, literals, `[i]`, unary minus, `+ - * // / %`, comparisons, `and or not`, `x if c else y`, and
`min max ceil floor len`. An expression is kept as a tree, since the PyTorch printer prints it again if it holds for
every use of a block.
"""

from netspec.expression.errors import ExpressionError, NoTruth, UnknownName
from netspec.expression.evaluator import evaluate
from netspec.expression.language import (
    FUNCTIONS,
    MAX_EXPRESSION_DEPTH,
    MAX_FACTORS,
    MAX_INTEGER,
    MAX_LENGTH,
    MAX_OPERATORS,
    as_bool,
    bool_hint,
)
from netspec.expression.parser import parse
from netspec.expression.printer import expression_text, python_literal, show
from netspec.expression.simplifier import simplify
from netspec.expression.tree import (
    Attribute,
    Binary,
    Conditional,
    Expression,
    FunctionCall,
    ListOf,
    Literal,
    Name,
    Subscript,
    Unary,
    Value,
    leaves,
    names_in,
    rewrite,
)

__all__ = [
    "FUNCTIONS",
    "MAX_EXPRESSION_DEPTH",
    "MAX_FACTORS",
    "MAX_INTEGER",
    "MAX_LENGTH",
    "MAX_OPERATORS",
    "Attribute",
    "Binary",
    "Conditional",
    "Expression",
    "ExpressionError",
    "FunctionCall",
    "ListOf",
    "Literal",
    "Name",
    "NoTruth",
    "Subscript",
    "Unary",
    "UnknownName",
    "Value",
    "as_bool",
    "bool_hint",
    "evaluate",
    "expression_text",
    "leaves",
    "names_in",
    "parse",
    "python_literal",
    "rewrite",
    "show",
    "simplify",
]
