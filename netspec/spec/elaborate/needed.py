"""The steps of an embedded network that some of its values depend on."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.expression import Attribute, leaves
from netspec.spec.read.body import Body, Step


def needed_steps(body: Body, results: Mapping[str, str]) -> set[int] | None:
    """The numbers of the steps that an embedded network's results depend on; None for all steps.

    `results` names the step of each output, as `outputs: [layer2, layer3]` beside `spec` does. A step whose weights a
    needed step shares is needed, too.
    """
    if not results:
        return None
    owners = {value: number for number, step in enumerate(body.steps) if step.named for value in step.values}
    needed: set[int] = set()
    todo = [owners[name] for name in results.values() if name in owners]
    while todo:
        number = todo.pop()
        if number in needed:
            continue
        needed.add(number)
        step = body.steps[number]
        names = _named_by(step)
        names |= {step.share} if step.share else set()
        todo += [owners[name] for name in names if name in owners and owners[name] < number]
        if step.sources is None and number > 0:
            todo.append(number - 1)
    return needed


def _named_by(step: Step) -> set[str]:
    """The values that a step names, in `from` and in expressions, with those that the steps of its branches name."""
    names = {name for name, _ in step.sources or ()}
    names |= {leaf.name for tree in step.expressions for leaf in leaves(tree) if isinstance(leaf, Attribute)}
    for branch in (step.branches or {}).values():
        names |= set[str]().union(*map(_named_by, branch.steps))
    return names
