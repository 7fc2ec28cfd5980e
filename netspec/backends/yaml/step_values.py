"""The values of steps as a spec names them, and which of them steps refer to by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.backends.yaml.definitions import Definition, Definitions, RelativeValue
from netspec.backends.yaml.parts import Branch, Part
from netspec.expression import Attribute, leaves


class StepValues:
    """The values of the steps of a graph, by the definitions of the blocks that they use."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions

    def referred(self, parts: Sequence[Part], entering: Sequence[str]) -> set[str]:
        """The values that steps refer to by name, since they are not the outputs of the step before."""
        referred: set[str] = set()
        previous = entering
        for part in parts:
            if not follows(part, previous):
                # The body's own input is called `input`.
                referred.update(value for value in part.inputs if value not in entering)
            for branch in part.branches:
                referred |= self.referred(branch.parts, part.inputs)
                if not self.ends_as(part, branch) and branch.output not in part.inputs:
                    referred.add(branch.output)
            for copy in part.copies.values():
                referred |= self.referred([copy], copy.inputs)
            previous = self.of(part)
        return referred

    def sized(self, parts: Sequence[Part], around: Mapping[str, str]) -> set[str]:
        """The values of steps whose sizes later expressions read; `around` are the values of steps around, by name."""
        named, sized = dict(around), set[str]()
        for part in parts:
            read = [leaf for tree in part.expressions for leaf in leaves(tree) if isinstance(leaf, Attribute)]
            sized |= {named[leaf.name] for leaf in read if leaf.name in named}
            for inner in (*[branch.parts for branch in part.branches], list(part.copies.values())):
                sized |= self.sized(inner, named)
            named.update(self.by_name(part, part))
        return sized

    def by_name(self, part: Part, other: Part) -> dict[str, str]:
        """The values of a step by the names that a spec has for them; `other` is the step in some use of the block."""
        outputs, values = self.output_names(part), self.of(other)
        named = dict(zip([f"{part.name}.{output}" for output in outputs], values, strict=False))
        return {part.name: values[0], **(named if len(outputs) > 1 else {})}

    def ends_as(self, part: Part, branch: Branch) -> bool:
        """Whether a branch's output is the output of its last step, or its input if it has no steps."""
        return branch.output == (self.of(branch.parts[-1]) if branch.parts else part.inputs)[0]

    def of(self, part: Part) -> list[str]:
        """The outputs of a step, in the order in which the next step takes them."""
        if part.use is None:
            return part.outputs
        return self.definitions.by_use[part.use].values_of(part.use)

    def names(self, part: Part) -> list[str]:
        """The names of a step's values: the first has the step's name, a second one `NAME.OUTPUT`."""
        return [part.name, *(f"{part.name}.{name}" for name in self.output_names(part)[1:])]

    def output_names(self, part: Part) -> list[str]:
        """The names of a step's outputs."""
        inner = next(iter(part.copies.values())) if part.copies else part
        if inner.use is not None:
            definition = self.definitions.by_use[inner.use]
            return [output_name(definition, number) for number in range(len(definition.outputs))]
        return list(inner.node.op.named_outputs) if inner.node is not None else []


def follows(part: Part, previous: Sequence[str]) -> bool:
    """Whether a step takes the first outputs of the step before, and so needs no `from`."""
    return part.takes is not None and len(part.inputs) == part.takes and part.inputs == list(previous)[: part.takes]


def output_name(definition: Definition, number: int) -> str:
    """The name of an output of a block: `output` if there is one, else the spec's name, else the step's."""
    use = definition.template
    names = use.output_names
    if len(definition.outputs) == 1:
        return "output"
    taken: list[str] = []
    for place, output in enumerate(definition.outputs[: number + 1]):
        name = names[place] if place < len(names) and names[place] else _name_of(output)
        while name in taken:
            name = f"{name}_{place + 1}"
        taken.append(name)
    return taken[number]


def _name_of(output: RelativeValue) -> str:
    return "x" if output[0] == "input" else output[0].replace(".", "_")
