"""`share`: the name of an earlier step of the same body, whose weights a step uses."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.errors import choices, closest, fail
from netspec.ops.base import Merge
from netspec.spec.read.body import Step, Target
from netspec.spec.read.context import NamesInReach
from netspec.spec.read.step_form import name_despite_mistakes
from netspec.spec.text.data import Entry, Seq, plain_data
from netspec.spec.text.messages import data_kind

_NOTHING_TO_SHARE = "it names a step of this body that stands before it, by its `name`"


def read_share(entry: Entry, target: Target) -> str:
    """Read `share`: the name of the step whose weights a step with this target uses."""
    name = plain_data(entry.value)
    if not isinstance(name, str):
        fail("NS209", f"`share` names an earlier step, and this is {data_kind(entry.value)}", entry.value.span)
    if isinstance(target, type) and issubclass(target, Merge):
        fail("NS211", f"`{target.opname}` has no weights to share", entry.key_span)
    return name


def check_share(step: Step, before: Sequence[Step], body: Seq, reach: NamesInReach) -> None:
    """Refuse a `share` that names no earlier step of this body, and one between an op and a step with a body.

    `before` are the steps that were read before this one, and `body` the data of all steps.
    """
    owner = next((s for s in before if s.name == step.share and s.named), None)
    span = step.share_span or step.span
    if owner is None:
        help = _share_hint(step, before, body, reach)
        fail("NS209", f"no step `{step.share}` stands before this one in this body", span, help=help)
    if isinstance(owner.target, type) != isinstance(step.target, type):
        message = f"`{step.share}` is another kind of step, and has no weights for this one"
        help = "an op shares the weights of an op; a block, network or body parameter those of such a step"
        fail("NS211", message, span, help=help)
    if owner.repeat is not None and step.repeat is None:
        message = f"`{step.share}` has copies, each with weights of its own"
        fail("NS211", message, span, help="repeat this step as often, and each copy shares those of one")


def _share_hint(step: Step, before: Sequence[Step], body: Seq, reach: NamesInReach) -> str:
    """A hint for a `share` that names no earlier step of this body: the step that was meant, or the reason."""
    name, named = step.share, [s.name for s in before if s.named]
    if any(s.name == name for s in before):
        return f"the step before it has no name: put `name: {name}` beside its op"
    if any(name in name_despite_mistakes(item) for item in body.items):
        return "the first of those that share has the weights: `share` stands beside the later ones"
    if name.partition(".")[0] in named:
        return f"a step shares all of its weights: `share: {name.partition('.')[0]}`"
    if name in reach.values and name not in reach.inputs:
        return "steps share weights within one body, and that one stands in the body around"
    return closest(name, named) or (f"before it are {choices(named)}" if named else _NOTHING_TO_SHARE)
