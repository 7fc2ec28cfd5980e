"""Sizes that may be symbolic: exact integer arithmetic on polynomials and floors.

A dim is an `int`, or a `Symbolic` in normal form. Floors keep a remainder in `[0, divisor)`
inside, so that two chains of windows give the same form exactly when they are the same function:
floor((floor((H + b) / c) + d) / s) = floor((H + b + c*d) / (c*s)).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd, lcm
from typing import cast


@dataclass(frozen=True, slots=True)
class Floor:
    """floor(inner / divisor), an atom of the normal form."""

    inner: Symbolic
    divisor: int

    def __str__(self) -> str:
        return f"{_operand(self.inner)}//{self.divisor}"


MAX_DIM = 2**63 - 1
"""How large a size, or a number in a symbolic one, may be."""


class TooLargeError(ArithmeticError):
    """A size beyond MAX_SIZE."""

    def __init__(self) -> None:
        super().__init__("a size is larger than 2**63 - 1")


Atom = str | Floor
Monomial = tuple[Atom, ...]


class Symbolic:
    """An integer polynomial over symbols and floors, never a constant. Make one with `symbol` and arithmetic."""

    __slots__ = ("_hash", "_text", "constant", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...], constant: int) -> None:
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
        return _made(terms, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _made({m: k * other for m, k in self.terms}, self.constant * other)
        terms: dict[Monomial, int] = {}
        for m1, k1 in (*self.terms, ((), self.constant)):
            for m2, k2 in (*other.terms, ((), other.constant)):
                monomial = tuple(sorted(m1 + m2, key=str))
                terms[monomial] = terms.get(monomial, 0) + k1 * k2
        constant = terms.pop((), 0)
        return _made(terms, constant)

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
        # floor((c*q + r) / c) = q + floor(r / c): take out all that divides.
        whole: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for monomial, coefficient in self.terms:
            quotient, remainder = divmod(coefficient, divisor)
            whole[monomial] = quotient
            rest[monomial] = remainder
        outside, inside = divmod(self.constant, divisor)
        remainder = _made(rest, inside)
        if isinstance(remainder, int):
            return _made(whole, outside)
        # floor((g*q + r) / (g*d)) = floor((q + floor(r / g)) / d)
        common = gcd(divisor, *(k for _, k in remainder.terms))
        if common > 1:
            terms = {m: k // common for m, k in remainder.terms}
            return (_made(terms, remainder.constant // common) // (divisor // common)) + _made(whole, outside)
        if len(remainder.terms) == 1:
            (monomial, coefficient) = remainder.terms[0]
            if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor):
                floor = monomial[0]
                merged = (floor.inner + remainder.constant * floor.divisor) // (floor.divisor * divisor)
                return merged + _made(whole, outside)
        floored = ((Floor(remainder, divisor),), 1)
        return Symbolic((floored,), 0) + _made(whole, outside)

    def __mod__(self, divisor: int) -> Dim:
        return self - (self // divisor) * divisor

    def __bool__(self) -> bool:
        raise TypeError("the truth of a symbolic size is not known")

    def __str__(self) -> str:
        # Reports print the batch's `N` once for every layer.
        if not self._text:
            self._text = self._printed()
        return self._text

    def _printed(self) -> str:
        if len(self.terms) == 1:
            monomial, coefficient = self.terms[0]
            if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor):
                # The normal form (H + b)//c: what stands outside goes in.
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


def symbol(name: str) -> Symbolic:
    """The symbol of this name."""
    return Symbolic((((name,), 1),), 0)


def _made(terms: Mapping[Monomial, int], constant: int) -> Dim:
    kept = tuple(sorted(((m, k) for m, k in terms.items() if k), key=_order))
    if max(abs(constant), *(abs(k) for _, k in kept), 0) > MAX_DIM:
        raise TooLargeError
    return Symbolic(kept, constant) if kept else constant


def _order(term: tuple[Monomial, int]) -> tuple[int, tuple[str, ...]]:
    return -len(term[0]), tuple(str(atom) for atom in term[0])


def _operand(dim: Dim) -> str:
    text = str(dim)
    return text if text.isidentifier() else f"({text})"


def symbols(dims: Iterable[Dim]) -> set[str]:
    """The names of all symbols in these sizes."""
    found: set[str] = set()
    todo = [dim for dim in dims if isinstance(dim, Symbolic)]
    while todo:
        for monomial, _ in todo.pop().terms:
            for atom in monomial:
                if isinstance(atom, Floor):
                    todo.append(atom.inner)
                else:
                    found.add(atom)
    return found


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """A size with some of its symbols replaced."""
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
    """Whether two sizes are equal for every value of their symbols."""
    return a == b or condition(a, b) == ""


def condition(a: Dim, b: Dim) -> str | None:
    """When two sizes of one symbol are equal: `""` always, `H % 32 == 0` there and nowhere else, None never or unknown.

    Where they are equal at other places too, the text is the equation and a case: `..., as when H % 32 == 0`.
    """
    difference = a - b
    if isinstance(difference, int):
        return "" if difference == 0 else None
    names = symbols([difference])
    if len(names) != 1:
        return None
    name = names.pop()
    period = lcm(*_divisors(difference))
    if period > 4096:
        return None

    def at(value: int) -> Dim:
        return substitute(difference, {name: value})

    # From period to period of its floors, the difference is a polynomial for each residue: constant, or it grows.
    steps = range(period, (_degree(difference) + 1) * period, period)
    if any(at(value + step) != at(value) for value in range(period) for step in steps):
        return None
    good = [value for value in range(period) if at(value) == 0]
    if len(good) == period:
        return ""
    if not good:
        return None
    for step in range(2, period + 1):
        residue = good[0] % step
        if period % step == 0 and set(range(residue, period, step)) <= set(good):
            case = f"{name} % {step} == {residue}"
            return case if len(good) == period // step else f"{a} == {b}, as when {case}"
    return None


def _degree(dim: Symbolic) -> int:
    return max(
        sum(_degree(atom.inner) if isinstance(atom, Floor) else 1 for atom in monomial) for monomial, _ in dim.terms
    )


def _divisors(dim: Symbolic) -> list[int]:
    found: list[int] = []
    for monomial, _ in dim.terms:
        for atom in monomial:
            if isinstance(atom, Floor):
                # An inner floor's period counts once for every step of the outer one.
                found.append(atom.divisor * lcm(*_divisors(atom.inner)))
    return found or [1]
