"""Simplifies sums of sizes, so that the channels after concatenations and copies stay readable."""

from __future__ import annotations

from netspec.expression import Binary, Expression, Literal, Name, expression_text, simplify

_MAX_LENGTH = 60
"""The length in characters beyond which a number is printed instead of a sum."""


def collect_terms(tree: Expression) -> Expression | None:
    """A sum with like terms collected, if that is shorter; None if it stays too long to read.

    >>> from netspec.expression import expression_text, parse
    >>> expression_text(collect_terms(parse("a + 3 + a - 1")))
    '2 * a + 2'
    """
    tree = simplify(tree, {})
    if isinstance(tree, Literal) and type(tree.value) is int:
        return tree
    factors: dict[Expression, int] = {}
    _add_terms(tree, 1, factors)
    shortest = min(tree, _sum(factors), key=lambda candidate: len(expression_text(candidate)))
    return shortest if len(expression_text(shortest)) <= _MAX_LENGTH else None


_ONE = Literal(1)


def _add_terms(tree: Expression, factor: int, factors: dict[Expression, int]) -> None:
    """Add the terms of `factor * tree` to a sum, held as a factor for each term; a number is a multiple of 1."""
    match tree:
        case Literal(int() as value) if not isinstance(value, bool):
            factors[_ONE] = factors.get(_ONE, 0) + factor * value
        case Binary("+", left, right):
            _add_terms(left, factor, factors)
            _add_terms(right, factor, factors)
        case Binary("-", left, right):
            _add_terms(left, factor, factors)
            _add_terms(right, -factor, factors)
        case Binary("*", Literal(int() as value), term) | Binary("*", term, Literal(int() as value)):
            _add_terms(term, factor * value, factors)
        # Only a name is multiplied into a sum: multiplying sums would grow without bound.
        case Binary("*", Binary("+" | "-" as sign, left, right), Name() as name):
            _add_terms(Binary("*", left, name), factor, factors)
            _add_terms(Binary("*", right, name), factor if sign == "+" else -factor, factors)
        case Binary("*", Name() as name, Binary("+" | "-" as sign, left, right)):
            _add_terms(Binary("*", name, left), factor, factors)
            _add_terms(Binary("*", name, right), factor if sign == "+" else -factor, factors)
        case _:
            factors[tree] = factors.get(tree, 0) + factor


def _sum(factors: dict[Expression, int]) -> Expression:
    """The sum of terms with their factors."""
    # The number comes last, and subtracted terms come after added ones.
    ordered = sorted(factors.items(), key=lambda entry: (entry[0] == _ONE, entry[1] < 0))
    total: Expression = Literal(0)
    for term, factor in ordered:
        size = Literal(abs(factor)) if term == _ONE else simplify(Binary("*", Literal(abs(factor)), term), {})
        if factor:
            total = simplify(Binary("+" if factor > 0 else "-", total, size), {})
    return total
