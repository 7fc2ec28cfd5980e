"""The steps of a spec's data, those of blocks and branches too, with what is known of each before anything is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.fuzz.spec_text import Path

SIBLINGS = ("name", "from", "repeat", "when", "init", "expect", "share")


@dataclass
class Step:
    """A step as a mapping, where it stands, and whether every run of the compiler comes by it."""

    path: Path
    data: dict[str, Any]
    live: bool

    @property
    def op(self) -> str:
        return next(key for key in self.data if key not in SIBLINGS)

    @property
    def given(self) -> dict[str, Any]:
        """The arguments as a mapping, if they are one."""
        given = self.data[self.op]
        return given if isinstance(given, dict) else {}

    @property
    def checked(self) -> bool:
        """Whether its op is made: at once where all arguments are constant, else when it is come by."""
        return self.live or not any(isinstance(value, str) for value in self.given.values())

    def key(self, name: str) -> Path:
        return (*self.path, name)

    def argument(self, name: str) -> Path:
        return (*self.path, self.op, name)


def steps_of(data: dict[str, Any]) -> list[Step]:
    """All steps of a spec, a bare name made a mapping first."""
    blocks = {name for name in data.get("blocks", {}) if isinstance(data["blocks"][name], dict)}
    found = [*_steps(data.get("network", []), ("network",), True)]
    waiting = {name: [*_steps(data["blocks"][name]["body"], ("blocks", name, "body"), True)] for name in blocks}
    live = {step.op for step in found if step.live}
    while used := live & waiting.keys():
        for name in used:
            steps = waiting.pop(name)
            found += steps
            live |= {step.op for step in steps if step.live}
    for steps in waiting.values():
        found += [Step(step.path, step.data, False) for step in steps]
    return found


def _steps(body: list[Any], path: Path, live: bool) -> Iterator[Step]:
    for number, step in enumerate(body):
        if isinstance(step, str):
            step = body[number] = {step: None}
        copies = step.get("repeat", 1)
        sure = live and "when" not in step and isinstance(copies, int) and copies > 0
        found = Step((*path, number), step, sure)
        yield found
        for name, branch in (found.given.get("branches") or {}).items():
            yield from _steps(branch, (*path, number, found.op, "branches", name), sure)
