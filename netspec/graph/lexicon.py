"""The meaning of names in expressions: `Environment` is the rule, `Lexicon` applies it to the scopes of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from netspec.expression import Attribute, Name
from netspec.graph.model import Graph, Scope

Bound = TypeVar("Bound")
_T = TypeVar("_T")


class Environment(Generic[Bound]):
    """The names that the expressions of one body can read, with their meanings.

    Names are lexical. A step reads the parameters of the block or network that it is written in, then those of that
    file; expressions in `defaults` read the file's alone. `index` is the number of the innermost copy, up to the
    block. `input`, and the names of several inputs, are the values that enter the body: of a block, a network, a
    branch, or of steps that a `body` parameter was given. Such steps keep the environment that they are written in.

    This is the one place where that rule is written: all environments are made by the methods here. A name may be
    bound to anything, such as its value while a spec is elaborated, or its `Binding` in a graph.

    >>> network = Environment.of_file({"width": 6, "other": 3}, {"input": "image"})
    >>> block = network.in_block({"width": 8}, {"input": "conv1"})
    >>> block.in_copy(2).names
    {'width': 8, 'other': 3, 'index': 2, 'input': 'conv1'}
    """

    __slots__ = ("_names", "copy", "file", "inputs", "parameters")

    def __init__(
        self,
        file: Mapping[str, Bound],
        parameters: Mapping[str, Bound],
        inputs: Mapping[str, Bound],
        copy: Mapping[str, Bound],
    ) -> None:
        self.file = file
        """The parameters of the file."""
        self.parameters = parameters
        """Those of the block or network, over the file's."""
        self.inputs = inputs
        self.copy = copy
        """`index`, inside of a repeat."""
        self._names: Mapping[str, Bound] | None = None

    @property
    def names(self) -> Mapping[str, Bound]:
        """All names that expressions can read."""
        if self._names is None:
            self._names = {**self.parameters, **self.copy, **self.inputs}
        return self._names

    @staticmethod
    def of_file(parameters: Mapping[str, _T], inputs: Mapping[str, _T]) -> Environment[_T]:
        """The environment of a network of a file: the spec's own, or one from another spec, which sees no other."""
        return Environment(parameters, parameters, inputs, {})

    def in_block(self, parameters: Mapping[str, Bound], inputs: Mapping[str, Bound]) -> Environment[Bound]:
        """The environment of the body of a block, or of a network of the same file."""
        return Environment(self.file, {**self.file, **parameters}, inputs, {})

    def in_branch(self, inputs: Mapping[str, Bound]) -> Environment[Bound]:
        """The environment of a branch that is written here: it reads what it could here, and what enters it."""
        return Environment(self.file, self.parameters, {**self.inputs, **inputs}, self.copy)

    def in_body_argument(self, inputs: Mapping[str, Bound]) -> Environment[Bound]:
        """The environment of steps that are written here and given to a block: of values, they read what enters."""
        return Environment(self.file, self.parameters, inputs, self.copy)

    def in_copy(self, index: Bound) -> Environment[Bound]:
        """The environment of one copy of a step that is repeated here."""
        return Environment(self.file, self.parameters, self.inputs, {"index": index})

    def binding(self, leaf: Name | Attribute) -> Bound | None:
        """The parameter, the number of a copy or, for an attribute, the value that a name stands for; None if none."""
        if isinstance(leaf, Attribute):
            return self.inputs.get(leaf.name)
        if leaf.of_file:
            return self.file.get(leaf.name)
        return self.copy[leaf.name] if leaf.name in self.copy else self.parameters.get(leaf.name)


@dataclass(frozen=True, slots=True)
class Binding:
    """The meaning of a name: a parameter or an input of the `owner`, or the number of a copy of it.

    The owner None is the spec itself.
    """

    owner: Scope | None
    name: str
    value: Any

    @property
    def site(self) -> tuple[str, str]:
        """The owner's path, "" for the spec itself, and the name."""
        return self.owner.path if self.owner is not None else "", self.name


class Lexicon:
    """Says what names mean in the expressions of a graph.

    Places are told by the path of the scope that an expression stands in, "" for the network itself; where that is a
    repeat, and the copy matters, also by the path of the copy.

    >>> import netspec
    >>> lexicon = Lexicon(netspec.load("resnet18").graph)
    >>> lexicon.binding("layer1", Name("index"), "layer1.1").value
    1
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        inputs = {i.name: Binding(None, i.name, i.name) for i in graph.inputs}
        if len(inputs) == 1:
            inputs["input"] = next(iter(inputs.values()))
        self._network = Environment[Binding].of_file(_bindings(None, graph.params), inputs)
        self._environments: dict[str, Environment[Binding]] = {}

    def environment(self, scope: str, copy: str = "") -> Environment[Binding]:
        """The environment of a scope."""
        if not scope:
            return self._network
        here = self.graph.scopes[scope]
        environment = self._environments.get(scope)
        if environment is None:
            environment = self._environments[scope] = self._inside(here)
        if here.kind == "repeat" and copy:
            number = int(copy[len(here.path) + 1 :].partition(".")[0])
            return environment.in_copy(Binding(here, "index", number))
        return environment

    def _inside(self, here: Scope) -> Environment[Binding]:
        around = self.environment(*self._written_in(here))
        parameters, inputs = _bindings(here, here.params), _bindings(here, here.inputs)
        if here.kind == "network" and here.params:
            return Environment[Binding].of_file(parameters, inputs)
        if here.block is not None:
            return around.in_block(parameters, inputs)
        if here.kind == "body":
            return around.in_body_argument(inputs)
        # A step that is repeated, and a merge, are written in the body around them.
        return around if here.kind in ("repeat", "merge") else around.in_branch(inputs)

    def _written_in(self, here: Scope) -> tuple[str, str]:
        """The place that the steps in a scope are written in: a scope, and the path of what stands in that."""
        if here.kind == "body":
            use = self.use(here.parent)
            return (use.parent, use.path) if use is not None else ("", "")
        return here.parent, here.path

    def use(self, scope: str) -> Scope | None:
        """The use of a block or network whose parameters can be read in a scope; None where only the file's can."""
        while scope:
            here = self.graph.scopes[scope]
            if here.block is not None:
                return here
            scope, _ = self._written_in(here)
        return None

    def file(self, scope: str) -> Scope | None:
        """The embedded network whose parameters are those of the file here; None for those of the spec itself."""
        while scope:
            here = self.graph.scopes[scope]
            if here.kind == "network" and here.params:
                return here
            scope, _ = self._written_in(here)
        return None

    def file_parameters(self, scope: str) -> dict[str, Any]:
        """The parameters of the file that a scope is written in, with their values."""
        return _values(self.environment(scope).file)

    def parameters(self, scope: str) -> dict[str, Any]:
        """The parameters that can be read in a scope, with their values: the file's, and the block's before them."""
        return _values(self.environment(scope).parameters)

    def names(self, scope: str, copy: str = "") -> dict[str, Any]:
        """The parameters that can be read in a scope, and `index` where there is one, with their values."""
        environment = self.environment(scope, copy)
        return _values({**environment.parameters, **environment.copy})

    def binding(self, scope: str, leaf: Name | Attribute | str, copy: str = "") -> Binding | None:
        """The parameter, or the number of a copy, that a name stands for in a scope; None where it is none."""
        name = Name(leaf) if isinstance(leaf, str) else leaf
        return None if isinstance(name, Attribute) else self.environment(scope, copy).binding(name)

    def value(self, scope: str, name: str) -> str | None:
        """The value that `input`, or the name of an input, stands for in a scope."""
        binding = self.environment(scope).inputs.get(name)
        return binding.value if binding is not None else None


def _bindings(owner: Scope | None, names: Mapping[str, Any]) -> dict[str, Binding]:
    return {name: Binding(owner, name, value) for name, value in names.items()}


def _values(bindings: Mapping[str, Binding]) -> dict[str, Any]:
    return {name: binding.value for name, binding in bindings.items()}
