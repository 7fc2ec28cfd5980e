"""Sums of channels in their shortest form: what concatenations and copies add up to has to stay readable."""

from __future__ import annotations

from netspec.expression import Binary, Expression, Literal, Name, expression_text, simplify

LONGEST = 60
"""How many characters a sum may have before a number is the better thing to print."""


def tidy(tree: Expression) -> Expression | None:
    """`a + 3 + a - 1` as `2 * a + 2`, where that is shorter; None where it stays too long to read."""
    tree = simplify(tree, {})
    if isinstance(tree, Literal) and type(tree.value) is int:
        return tree
    terms: dict[Expression, int] = {}
    _collect(tree, 1, terms)
    collected = _sum(terms)
    best = min(tree, collected, key=lambda candidate: len(expression_text(candidate)))
    return best if len(expression_text(best)) <= LONGEST else None


_ONE = Literal(1)


def _collect(tree: Expression, factor: int, terms: dict[Expression, int]) -> None:
    match tree:
        case Literal(int() as value) if not isinstance(value, bool):
            terms[_ONE] = terms.get(_ONE, 0) + factor * value
        case Binary("+", left, right):
            _collect(left, factor, terms)
            _collect(right, factor, terms)
        case Binary("-", left, right):
            _collect(left, factor, terms)
            _collect(right, -factor, terms)
        case Binary("*", Literal(int() as value), other) | Binary("*", other, Literal(int() as value)):
            _collect(other, factor * value, terms)
        # Only a name is multiplied into a sum: sums into sums would grow without bound.
        case Binary("*", Binary("+" | "-" as sign, left, right), Name() as name):
            _collect(Binary("*", left, name), factor, terms)
            _collect(Binary("*", right, name), factor if sign == "+" else -factor, terms)
        case Binary("*", Name() as name, Binary("+" | "-" as sign, left, right)):
            _collect(Binary("*", name, left), factor, terms)
            _collect(Binary("*", name, right), factor if sign == "+" else -factor, terms)
        case _:
            terms[tree] = terms.get(tree, 0) + factor


def _sum(terms: dict[Expression, int]) -> Expression:
    # A number comes last, and a term that is taken away never first if another can be.
    ordered = sorted(terms.items(), key=lambda term: (term[0] == _ONE, term[1] < 0))
    total: Expression = Literal(0)
    for term, count in ordered:
        size = Literal(abs(count)) if term == _ONE else simplify(Binary("*", Literal(abs(count)), term), {})
        if count:
            total = simplify(Binary("+" if count > 0 else "-", total, size), {})
    return total
