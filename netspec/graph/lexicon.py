"""What a name means at a place of a graph: the one rule, which all that reads a spec's expressions asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.expression import Attribute, Name
from netspec.graph.model import Graph, Scope


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name stands for: a parameter of the `owner`, or the number of a copy of it; None is the spec itself."""

    owner: Scope | None
    name: str
    value: Any

    @property
    def site(self) -> tuple[str, str]:
        """The owner's path, "" for the spec itself, and the name."""
        return self.owner.path if self.owner is not None else "", self.name


class Lexicon:
    """Says what names mean in the expressions of a graph.

    Parameters are lexical. A step reads those of the block or network that it is written in, then those of that
    file: the spec's own, or those of the embedded network around it. Steps that a `body` parameter was given are
    written where that block is used; those of `defaults` read the file's alone. `index` is the number of the
    innermost copy, up to the block. `input`, and the names of several inputs, are values that enter the innermost
    body: a block, a network, a branch, or steps that were given.

    Places are told by the path of the scope that an expression stands in, "" for the network itself; where that is a
    repeat, and the copy matters, also by the path of the copy.

    >>> import netspec
    >>> lexicon = Lexicon(netspec.load("resnet18").graph)
    >>> lexicon.binding("layer1", "index", "layer1.1").value
    1
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def around(self, scope: str, copy: str = "") -> Iterator[tuple[Scope, str]]:
        """The scopes whose names can be read in a scope, innermost first, each with the path of what stands in it.

        The last is a use of a block or a network; there is none in the body of the spec's own network.
        """
        path = copy
        while scope:
            here = self.graph.scopes[scope]
            yield here, path
            if here.block is not None:
                return
            if here.kind == "body":
                use = self.use(here.parent)
                if use is None:
                    return
                here = use
            path, scope = here.path, here.parent

    def use(self, scope: str) -> Scope | None:
        """The use of a block or network whose parameters can be read in a scope; None where only the file's can."""
        return next((here for here, _ in self.around(scope) if here.block is not None), None)

    def file(self, scope: str) -> Scope | None:
        """The embedded network whose parameters are those of the file here; None for those of the spec itself."""
        here = self.graph.scopes.get(scope)
        while here is not None and not (here.kind == "network" and here.params):
            here = self.graph.scopes.get(here.parent)
        return here

    def file_parameters(self, scope: str) -> Mapping[str, Any]:
        """The parameters of the file that a scope is written in."""
        file = self.file(scope)
        return file.params if file is not None else self.graph.params

    def parameters(self, scope: str) -> dict[str, Any]:
        """The parameters that can be read in a scope, with their values: the file's, and the block's before them."""
        use = self.use(scope)
        return {**self.file_parameters(scope), **(use.params if use is not None else {})}

    def environment(self, scope: str, copy: str = "") -> dict[str, Any]:
        """The parameters that can be read in a scope, and `index` where there is one."""
        index = self.index(scope, copy)
        return {**self.parameters(scope), **({"index": index.value} if index is not None else {})}

    def index(self, scope: str, copy: str = "") -> Binding | None:
        """The innermost repeat whose copies a scope stands in, with the number of the copy."""
        for here, path in self.around(scope, copy):
            if here.kind == "repeat" and path:
                number = path[len(here.path) + 1 :].partition(".")[0]
                return Binding(here, "index", int(number))
        return None

    def binding(self, scope: str, leaf: Name | Attribute | str, copy: str = "") -> Binding | None:
        """What a name stands for in a scope; None where it stands for nothing."""
        name = leaf if isinstance(leaf, str) else leaf.name
        if name == "index":
            return self.index(scope, copy)
        file = self.file(scope)
        of_file = isinstance(leaf, Name) and leaf.of_file
        for owner in (None if of_file else self.use(scope), file):
            if owner is not None and name in owner.params:
                return Binding(owner, name, owner.params[name])
        if file is None and name in self.graph.params:
            return Binding(None, name, self.graph.params[name])
        return None

    def value(self, scope: str, name: str) -> str | None:
        """The value that `input`, or the name of an input, stands for in a scope."""
        for here, _ in self.around(scope):
            # The step that is repeated, and a merge, are written in the body around them.
            if here.kind not in ("repeat", "merge") and name in here.inputs:
                return here.inputs[name]
            if here.block is not None or here.kind == "body":
                return None
        inputs = [i.name for i in self.graph.inputs]
        return inputs[0] if name == "input" and len(inputs) == 1 else name if name in inputs else None
