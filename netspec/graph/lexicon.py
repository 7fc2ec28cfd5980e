"""The meaning of names in expressions: `Environment` is the rule, `Lexicon` applies it to the scopes of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from netspec.expression import Attribute, Name
from netspec.graph.model import NOTHING, Graph, Scope

Bound = TypeVar("Bound")
_T = TypeVar("_T")


class Environment(Generic[Bound]):
    """The names that the expressions of one body can read, with their meanings.

    Names have lexical scope. A step reads the parameters of the block or network that it is written in, then those of
    that file; expressions in `defaults` read the file's alone. `index` is the number of the innermost copy around the
    step within its block. `input`, and the names of several inputs, are the values that enter the body: of a block, a
    network, a branch, or a `body` argument. The steps of a `body` argument keep the environment where they are written.
    The sizes of named steps can be read as `from` can name them: earlier steps of the body and, in a branch, of the
    bodies around it. A parameter hides a step of its name.

    This is the only place with that rule: all environments are created by the methods here. A name may be bound to
    anything, such as its value while a spec is elaborated, or its `Binding` in a graph.

    >>> network = Environment.of_file({"width": 6, "other": 3}, {"input": "image"})
    >>> block = network.in_block({"width": 8}, {"input": "conv1"})
    >>> block.in_copy(2).names
    {'width': 8, 'other': 3, 'index': 2, 'input': 'conv1'}
    """

    __slots__ = ("_names", "copy", "file", "inputs", "parameters", "steps")

    def __init__(
        self,
        file: Mapping[str, Bound],
        parameters: Mapping[str, Bound],
        inputs: Mapping[str, Bound],
        copy: Mapping[str, Bound],
        steps: Mapping[str, Bound] = NOTHING,
    ) -> None:
        self.file = file
        """The parameters of the file."""
        self.parameters = parameters
        """The parameters of the block or network, on top of the file's."""
        self.inputs = inputs
        self.copy = copy
        """The binding of `index` inside of a repeat; else empty."""
        self.steps = steps
        """The named steps whose sizes expressions can read."""
        self._names: Mapping[str, Bound] | None = None

    @property
    def names(self) -> Mapping[str, Bound]:
        """All names that expressions can read."""
        if self._names is None:
            self._names = {**self.steps, **self.parameters, **self.copy, **self.inputs}
        return self._names

    def after_steps(self, steps: Mapping[str, Bound]) -> Environment[Bound]:
        """The environment of the steps after these in the body, which are named."""
        return Environment(self.file, self.parameters, self.inputs, self.copy, {**self.steps, **steps})

    @staticmethod
    def of_file(parameters: Mapping[str, _T], inputs: Mapping[str, _T]) -> Environment[_T]:
        """The environment of a file's network: the spec's own, or an embedded one, which reads its own file alone."""
        return Environment(parameters, parameters, inputs, {})

    def in_block(self, parameters: Mapping[str, Bound], inputs: Mapping[str, Bound]) -> Environment[Bound]:
        """The environment of the body of a block, or of a network of the same file."""
        return Environment(self.file, {**self.file, **parameters}, inputs, {})

    def in_branch(self, inputs: Mapping[str, Bound]) -> Environment[Bound]:
        """The environment of a branch that is written here: `inputs` enter it, and it reads all names of this one."""
        return Environment(self.file, self.parameters, {**self.inputs, **inputs}, self.copy, self.steps)

    def in_body_argument(self, inputs: Mapping[str, Bound]) -> Environment[Bound]:
        """The environment of a `body` argument that is written here: all parameters of this one, but its own inputs."""
        return Environment(self.file, self.parameters, inputs, self.copy)

    def in_copy(self, index: Bound) -> Environment[Bound]:
        """The environment of a copy of a step that is repeated here."""
        return Environment(self.file, self.parameters, self.inputs, {"index": index}, self.steps)

    def binding(self, leaf: Name | Attribute) -> Bound | None:
        """The binding of a name to a parameter or `index`, or of an attribute's base to a value; None if undefined."""
        if isinstance(leaf, Attribute):
            return self.inputs.get(leaf.name) or self.steps.get(leaf.name)
        if leaf.of_file:
            return self.file.get(leaf.name)
        return self.copy[leaf.name] if leaf.name in self.copy else self.parameters.get(leaf.name)


@dataclass(frozen=True, slots=True)
class Binding:
    """The meaning of a name: a parameter, an input or a step of a scope, the `owner`, or the number of a copy of it.

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
    """Tells the meaning of names in the expressions of a graph.

    The place of an expression is the path of the scope around it, `scope`, "" for the network itself. If that is a
    repeat, `copy` is the path of the copy, or of a node in it; without it, `index` is undefined.

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
        self._steps: dict[str, dict[str, str]] | None = None
        self._environments: dict[str, Environment[Binding]] = {}

    def environment(self, scope: str, copy: str = "") -> Environment[Binding]:
        """The environment of the expressions in a scope."""
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
        # A repeated step and a merge are written in the body around them.
        return around if here.kind in ("repeat", "merge") else around.in_branch(inputs)

    def _written_in(self, here: Scope) -> tuple[str, str]:
        """The place where the steps of a scope are written: a scope, and the path of a scope in it."""
        if here.kind == "body":
            use = self.use(here.parent)
            return (use.parent, use.path) if use is not None else ("", "")
        return here.parent, here.path

    def use(self, scope: str) -> Scope | None:
        """The use of a block or network whose parameters a scope can read; None if it can read the file's alone."""
        while scope:
            here = self.graph.scopes[scope]
            if here.block is not None:
                return here
            scope, _ = self._written_in(here)
        return None

    def file(self, scope: str) -> Scope | None:
        """The embedded network whose file a scope is written in; None for the file of the spec itself."""
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
        """The parameters that a scope can read, with their values: the block's, and the file's unless shadowed."""
        return _values(self.environment(scope).parameters)

    def names(self, scope: str, copy: str = "") -> dict[str, Any]:
        """The parameters that a scope can read, and `index` if it has one, with their values."""
        environment = self.environment(scope, copy)
        return _values({**environment.parameters, **environment.copy})

    def binding(self, scope: str, leaf: Name | Attribute | str, copy: str = "") -> Binding | None:
        """The parameter or `index` that a name means in a scope; None if it is undefined there."""
        name = Name(leaf) if isinstance(leaf, str) else leaf
        return None if isinstance(name, Attribute) else self.environment(scope, copy).binding(name)

    def value(self, scope: str, name: str) -> str | None:
        """The value of `input`, or of the name of an input or a step, in a scope; None if it is undefined there.

        A step that was left out is undefined: its name stands for its input, which a graph does not show.
        """
        binding = self.environment(scope).inputs.get(name)
        if binding is not None:
            return binding.value
        return next((value for body in self._bodies_around(scope) if (value := self._step(body, name))), None)

    def _bodies_around(self, scope: str) -> Iterator[str]:
        """A scope, and the scopes around it whose steps its expressions can read."""
        yield scope
        while scope and self.graph.scopes[scope].kind in ("branch", "repeat", "merge"):
            scope = self.graph.scopes[scope].parent
            yield scope

    def _step(self, scope: str, name: str) -> str:
        """The value of a step of a scope by its name, such as `conv` or `lstm.hidden`; "" if it has none."""
        if self._steps is None:
            self._steps = _steps_by_scope(self.graph)
        return self._steps.get(scope, {}).get(name, "")


def _steps_by_scope(graph: Graph) -> dict[str, dict[str, str]]:
    """The values of steps by their scopes and names, with or without a `name` in the spec."""
    steps: dict[str, dict[str, str]] = {}
    for node in graph.nodes:
        if node.path != node.scope:
            values = [value for value, _ in node.values()]
            steps.setdefault(node.scope, {}).update(_named_values(node.name, values, node.op.named_outputs))
    for scope in graph.scopes.values():
        # A branch is no step, and can't be named.
        if scope.kind != "branch":
            names = scope.block.outputs if scope.block is not None else ()
            steps.setdefault(scope.parent, {}).update(_named_values(scope.name, scope.outputs, names))
    return steps


def _named_values(step: str, values: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """The values of a step by the names that a spec has for them: the first has the step's name, too."""
    return {step: values[0], **{f"{step}.{output}": value for output, value in zip(outputs, values, strict=False)}}


def _bindings(owner: Scope | None, names: Mapping[str, Any]) -> dict[str, Binding]:
    return {name: Binding(owner, name, value) for name, value in names.items()}


def _values(bindings: Mapping[str, Binding]) -> dict[str, Any]:
    return {name: binding.value for name, binding in bindings.items()}
