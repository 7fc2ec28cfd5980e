"""The steps of a network that some of its values need."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.spec.read.body import Body, called_values


def needed_steps(body: Body, results: Mapping[str, str]) -> set[int] | None:
    """The numbers of the steps that these results need, by the names of steps; None where it is all of them.

    What has its weights shared is needed too.
    """
    if not results:
        return None
    owners = {
        value: number
        for number, step in enumerate(body.steps)
        if step.named
        for value in called_values(step.called, step.outputs)
    }
    needed: set[int] = set()
    todo = [owners[name] for name in results.values() if name in owners]
    while todo:
        number = todo.pop()
        if number in needed:
            continue
        needed.add(number)
        step = body.steps[number]
        names = {name for name, _ in step.sources or ()}
        for branch in (step.branches or {}).values():
            names |= _named_in(branch)
        names |= {step.share} if step.share else set()
        todo += [owners[name] for name in names if name in owners and owners[name] < number]
        if step.sources is None and number > 0:
            todo.append(number - 1)
    return needed


def _named_in(body: Body) -> set[str]:
    """The values that the steps of a branch name."""
    names: set[str] = set()
    for step in body.steps:
        names |= {name for name, _ in step.sources or ()}
        for branch in (step.branches or {}).values():
            names |= _named_in(branch)
    return names
