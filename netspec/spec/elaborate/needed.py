"""The steps of an embedded network that some of its values depend on."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.spec.read.body import Body, value_names


def needed_steps(body: Body, results: Mapping[str, str]) -> set[int] | None:
    """The numbers of the steps that an embedded network's results depend on; None for all steps.

    `results` names the step of each output, as `outputs: [layer2, layer3]` beside `spec` does. A step whose weights a
    needed step shares is needed, too.
    """
    if not results:
        return None
    owners = {
        value: number
        for number, step in enumerate(body.steps)
        if step.named
        for value in value_names(step.name, step.outputs)
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
    """The values that the steps of a branch name in `from`."""
    names: set[str] = set()
    for step in body.steps:
        names |= {name for name, _ in step.sources or ()}
        for branch in (step.branches or {}).values():
            names |= _named_in(branch)
    return names
