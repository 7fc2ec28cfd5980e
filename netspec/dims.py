"""Sizes that may be symbolic: exact integer arithmetic on polynomials and floors.

A dim is an `int`, or a `Symbolic` in normal form. The constant inside of a floor is in `[0, divisor)`, and floors of
floors are merged, so that two chains of windows have the same form exactly if they are the same function:
floor((floor((H + b) / c) + d) / s) = floor((H + b + c*d) / (c*s)).

>>> height = symbol("H")
>>> (height + 6 - 7) // 2 + 1
<(H + 1)//2>
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd, lcm
from typing import cast


@dataclass(frozen=True, slots=True)
class Floor:
    """floor(inner / divisor), an atom of the normal form: like a symbol, it is a factor of terms."""

    inner: Symbolic
    divisor: int

    def __str__(self) -> str:
        return f"{_operand(self.inner)}//{self.divisor}"


MAX_DIM = 2**63 - 1
"""The largest size, and the largest coefficient of a symbolic size."""


class TooLargeError(ArithmeticError):
    """A size, or a coefficient, is larger than MAX_DIM."""

    def __init__(self) -> None:
        super().__init__("a size is larger than 2**63 - 1")


_Atom = str | Floor
"""A symbol by its name, or a floor."""
_Monomial = tuple[_Atom, ...]
"""A product of atoms, in the order of their text."""


class Symbolic:
    """An integer polynomial over symbols and floors, never a constant; create one with `symbol` and arithmetic.

    `terms` are its monomials with their coefficients, without the constant term `constant`.
    """

    __slots__ = ("_hash", "_text", "constant", "terms")

    def __init__(self, terms: tuple[tuple[_Monomial, int], ...], constant: int) -> None:
        self.terms = terms
        self.constant = constant
        self._hash = hash((terms, constant))
        self._text = ""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Symbolic)
            and self._hash == other._hash
            and self.constant == other.constant
            and self.terms == other.terms
        )

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return Symbolic(self.terms, self.constant + other)
        terms = dict(self.terms)
        for monomial, coefficient in other.terms:
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return _normalized(terms, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _normalized({m: k * other for m, k in self.terms}, self.constant * other)
        terms: dict[_Monomial, int] = {}
        for m1, k1 in (*self.terms, ((), self.constant)):
            for m2, k2 in (*other.terms, ((), other.constant)):
                monomial = tuple(sorted(m1 + m2, key=str))
                terms[monomial] = terms.get(monomial, 0) + k1 * k2
        constant = terms.pop((), 0)
        return _normalized(terms, constant)

    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -other

    def __rsub__(self, other: Dim) -> Dim:
        return -self + other

    def __floordiv__(self, divisor: int) -> Dim:
        if divisor <= 0:
            raise ZeroDivisionError("a size is divided by a positive integer")
        if divisor == 1:
            return self
        if divisor > MAX_DIM:
            raise TooLargeError
        # floor((c*q + r) / c) = q + floor(r / c): quotients leave the floor, remainders stay inside.
        quotients = {monomial: coefficient // divisor for monomial, coefficient in self.terms}
        remainders = {monomial: coefficient % divisor for monomial, coefficient in self.terms}
        quotient = _normalized(quotients, self.constant // divisor)
        remainder = _normalized(remainders, self.constant % divisor)
        if isinstance(remainder, int):
            return quotient
        return _floor(remainder, divisor) + quotient

    def __mod__(self, divisor: int) -> Dim:
        return self - (self // divisor) * divisor

    def __bool__(self) -> bool:
        raise TypeError("the truth of a symbolic size is not known")

    def __str__(self) -> str:
        # The text is cached, since reports print the batch's `N` for every layer.
        if not self._text:
            self._text = self._printed()
        return self._text

    def _printed(self) -> str:
        """The polynomial as text: `2*H - 1`."""
        if len(self.terms) == 1:
            monomial, coefficient = self.terms[0]
            if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor):
                # (H + 3)//2 reads better than (H + 1)//2 + 1: the outer constant is moved inside.
                floor = monomial[0]
                return str(Floor(cast(Symbolic, floor.inner + self.constant * floor.divisor), floor.divisor))
        parts: list[str] = []
        for monomial, coefficient in self.terms:
            factors = [f"({atom})" if isinstance(atom, Floor) else atom for atom in monomial]
            if coefficient not in (1, -1):
                factors.insert(0, str(abs(coefficient)))
            sign = "-" if coefficient < 0 else "+"
            parts.append(f"{sign} {'*'.join(factors)}")
        if self.constant:
            parts.append(f"{'-' if self.constant < 0 else '+'} {abs(self.constant)}")
        text = " ".join(parts)
        return text[2:] if text.startswith("+ ") else "-" + text[2:]

    def __repr__(self) -> str:
        return f"<{self}>"


Dim = int | Symbolic
_MAX_PERIOD = 4096
"""The longest period of floors that `condition` searches."""


def symbol(name: str) -> Symbolic:
    """The symbol of this name."""
    return Symbolic((((name,), 1),), 0)


def _normalized(terms: Mapping[_Monomial, int], constant: int) -> Dim:
    """The dim in normal form: terms sorted, without zeros; an int if no term is left."""
    kept = tuple(sorted(((m, k) for m, k in terms.items() if k), key=_order))
    if max(abs(constant), *(abs(k) for _, k in kept), 0) > MAX_DIM:
        raise TooLargeError
    return Symbolic(kept, constant) if kept else constant


def _floor(dim: Symbolic, divisor: int) -> Dim:
    """floor(dim / divisor) in normal form; all coefficients have to be smaller than the divisor."""
    # floor((g*q + r) / (g*d)) = floor((q + floor(r / g)) / d)
    common = gcd(divisor, *(k for _, k in dim.terms))
    if common > 1:
        terms = {m: k // common for m, k in dim.terms}
        return _normalized(terms, dim.constant // common) // (divisor // common)
    if len(dim.terms) == 1:
        (monomial, coefficient) = dim.terms[0]
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor):
            floor = monomial[0]
            return (floor.inner + dim.constant * floor.divisor) // (floor.divisor * divisor)
    return Symbolic((((Floor(dim, divisor),), 1),), 0)


def _order(term: tuple[_Monomial, int]) -> tuple[int, tuple[str, ...]]:
    """The sort key of a term: higher degrees first, then by text."""
    return -len(term[0]), tuple(str(atom) for atom in term[0])


def _operand(dim: Dim) -> str:
    text = str(dim)
    return text if text.isidentifier() else f"({text})"


def symbols(dims: Iterable[Dim]) -> set[str]:
    """The names of all symbols in these sizes."""
    names: set[str] = set()
    todo = [dim for dim in dims if isinstance(dim, Symbolic)]
    while todo:
        for monomial, _ in todo.pop().terms:
            for atom in monomial:
                if isinstance(atom, Floor):
                    todo.append(atom.inner)
                else:
                    names.add(atom)
    return names


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """A size with values in place of some of its symbols."""
    if isinstance(dim, int):
        return dim
    total: Dim = dim.constant
    for monomial, coefficient in dim.terms:
        product: Dim = coefficient
        for atom in monomial:
            if isinstance(atom, Floor):
                product = product * (substitute(atom.inner, values) // atom.divisor)
            else:
                product = product * values.get(atom, symbol(atom))
        total = total + product
    return total


def always_equal(a: Dim, b: Dim) -> bool:
    """Return whether two sizes are equal for all values of their symbols."""
    return a == b or condition(a, b) == ""


def condition(a: Dim, b: Dim) -> str | None:
    """The condition under which two sizes with one symbol are equal: "" for always, None for never or unknown.

    A condition such as `H % 32 == 0` holds exactly if they are equal. If there is no such condition, the text is the
    equation with a case in which it holds: `..., as when H % 32 == 0`.

    >>> condition(symbol("H"), symbol("H") // 2 * 2)
    'H % 2 == 0'
    """
    difference = a - b
    if isinstance(difference, int):
        return "" if difference == 0 else None
    names = symbols([difference])
    if len(names) != 1:
        return None
    name = names.pop()
    period = lcm(*_periods(difference))
    if period > _MAX_PERIOD:
        return None

    def at(value: int) -> Dim:
        return substitute(difference, {name: value})

    # For each residue modulo the period, the difference is a polynomial: constant if equal at degree + 1 points.
    steps = range(period, (_degree(difference) + 1) * period, period)
    if any(at(value + step) != at(value) for value in range(period) for step in steps):
        return None
    residues = [value for value in range(period) if at(value) == 0]
    if len(residues) == period:
        return ""
    if not residues:
        return None
    for step in range(2, period + 1):
        residue = residues[0] % step
        if period % step == 0 and set(range(residue, period, step)) <= set(residues):
            case = f"{name} % {step} == {residue}"
            return case if len(residues) == period // step else f"{a} == {b}, as when {case}"
    return None


def _degree(dim: Symbolic) -> int:
    """The degree of the polynomial; a floor has the degree of its inner size."""
    return max(
        sum(_degree(atom.inner) if isinstance(atom, Floor) else 1 for atom in monomial) for monomial, _ in dim.terms
    )


def _periods(dim: Symbolic) -> list[int]:
    """The periods of the floors in a size; [1] without floors."""
    periods: list[int] = []
    for monomial, _ in dim.terms:
        for atom in monomial:
            if isinstance(atom, Floor):
                # The period of a floor is its divisor times those of the floors inside of it.
                periods.append(atom.divisor * lcm(*_periods(atom.inner)))
    return periods or [1]
