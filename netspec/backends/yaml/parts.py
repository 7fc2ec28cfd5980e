"""Reads a graph as the steps of a spec: merges with branches, uses of blocks, and repeats with copies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.errors import fail
from netspec.expression import Expression
from netspec.graph.borrow import SecondCalls
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph, Node, Scope, SpecParameter
from netspec.graph.paths import node_of
from netspec.graph.sharing import Sharing
from netspec.graph.tree import Group, tree
from netspec.naming import free_name
from netspec.ops.base import Merge
from netspec.ops.shape import Identity
from netspec.source import Span

NOT_IN_YAML = "a spec can't say that"
WAY_OUT = "PyTorch source can: `-o NAME.py`"
"""The end of error messages about graphs that no spec can express, and their help line."""


@dataclass(slots=True, eq=False)
class Branch:
    """A branch of a merge: its steps, of which an identity has none, and its output."""

    name: str
    parts: list[Part]
    output: str


@dataclass(slots=True, eq=False)
class Part:
    """A step of a spec: an op, a merge with branches, a use of a block, or a repeat of one of these."""

    name: str
    inputs: list[str]
    outputs: list[str]
    when: Expression | None = None
    node: Node | None = None
    branches: list[Branch] = field(default_factory=list[Branch])
    use: BlockUse | None = None
    copies: dict[int, Part] = field(default_factory=dict[int, "Part"])
    count: Expression | None = None
    is_scope: bool = False
    """Whether it is a named merge, whose branches have paths below its own."""
    shares: str = ""
    """The name of the step whose weights it shares; "" for none."""
    is_second_call: bool = False
    """Whether it also has the same ops as that step: then both are uses of one block."""

    @property
    def is_repeat(self) -> bool:
        return bool(self.copies)

    @property
    def key(self) -> str:
        """The name of its op or block in the graph."""
        if self.copies:
            return next(iter(self.copies.values())).key
        return self.node.op.opname if self.node is not None else self.use.label if self.use is not None else ""

    @property
    def takes(self) -> int | None:
        """How many outputs of the step before it takes when it has no `from`; None if it always needs one."""
        if self.copies:
            return next(iter(self.copies.values())).takes
        if self.branches:
            return 1
        if self.node is not None:
            return None if isinstance(self.node.op, Merge) else self.node.op.inputs[0]
        return len(self.inputs)

    @property
    def expressions(self) -> list[Expression]:
        """The expressions of the step itself, not of its branches and copies."""
        step = self.node or (self.use.scope if self.use is not None else None)
        written = step.written.values() if step is not None else ()
        return [*written, *[tree for tree in (self.when, self.count) if tree is not None]]

    def size(self, with_uses: bool = True) -> int:
        """The number of steps at and below it, those in uses of blocks included or not."""
        inner = [part for branch in self.branches for part in branch.parts]
        inner += [*self.copies.values(), *(self.use.parts if self.use is not None and with_uses else ())]
        return 1 + sum(part.size(with_uses) for part in inner)

    def reads(self) -> Iterator[str]:
        """All values that it reads, including those that steps of its copies and branches read."""
        yield from self.inputs
        for part in (*self.copies.values(), *(inner for branch in self.branches for inner in branch.parts)):
            yield from part.reads()


@dataclass(slots=True, eq=False)
class BlockUse:
    """A use of a block, or the network itself: a body that reads values from outside only through its inputs.

    `entries` are its inputs by name, and `outputs` its outputs, of which the first is the value of the use as a step.
    `names` are the values of names in the spec's expressions, and `parameters` those names that its block can have as
    parameters.
    """

    path: str
    label: str
    entries: dict[str, str]
    outputs: list[str]
    names: dict[str, Any]
    parameters: tuple[SpecParameter, ...] = ()
    scope: Scope | None = None
    parts: list[Part] = field(default_factory=list[Part])
    output_names: tuple[str, ...] = ()

    @property
    def given(self) -> Span | None:
        """The place in the spec of a body argument: bodies from different places read different names."""
        return self.scope.span if self.scope is not None and self.scope.kind == "part" else None

    def size(self, with_uses: bool = True) -> int:
        """The number of its steps, those in uses of other blocks included or not."""
        return sum(part.size(with_uses) for part in self.parts)


class PartsReader:
    """Reads a graph as parts, and collects the uses of blocks in `uses`, each after the uses in it.

    `separate` holds the merges and branches that are written as separate steps in all uses and copies, by `key`.
    Branches that turn out to have no merge are added to it while reading: then the graph must be read again.
    """

    def __init__(self, graph: Graph, separate: set[tuple[str, str]]) -> None:
        self.graph = graph
        self.separate = separate
        self.lexicon = Lexicon(graph)
        self.outputs = {o.value for o in graph.outputs}
        self.sharing = Sharing(graph, NOT_IN_YAML, "let both stand in one body, where `share` names the owner")
        self.second_calls = SecondCalls(graph)
        self.uses: list[BlockUse] = []

    def network(self) -> BlockUse:
        """Read the network, as a use."""
        graph = self.graph
        entries = {i.name: i.name for i in graph.inputs}
        names = {**graph.params, **{i.name: i.type for i in graph.inputs}}
        if len(graph.inputs) == 1:
            names["input"] = graph.inputs[0].type
        root = BlockUse("", "", entries, [o.value for o in graph.outputs], names)
        root.parts = self.body(tree(graph), root)
        self.uses.append(root)
        return root

    def body(self, group: Group, use: BlockUse) -> list[Part]:
        """The parts of a scope, which is in `use`."""
        parts: list[Part] = []
        branches: list[Group] = []
        names = _names_of_steps(group)
        with self.sharing.within(group.scope):
            for item in group.items:
                if isinstance(item, Group) and item.scope is not None and item.scope.kind == "branch":
                    branches.append(item)
                    continue
                joined = self.branches_of(item, branches, use) if isinstance(item, Node) else []
                parts += [self.group(each, use) for each in branches if each not in joined]
                branches = []
                if joined and isinstance(item, Node):
                    (entry,) = next(each.scope.inputs.values() for each in joined if each and each.scope)
                    parts.append(self.merge(item, joined, use, entry, names))
                else:
                    parts.append(self.node(item) if isinstance(item, Node) else self.group(item, use))
            parts += [self.group(each, use) for each in branches]
        return parts

    def key(self, use: BlockUse, path: str) -> tuple[str, str]:
        """A key for a path in all uses of a block and all copies: `("bottleneck", ".conv.*")`."""
        return use.label, re.sub(r"\.\d+(?=\.|$)", ".*", path[len(use.path) :])

    def node(self, node: Node) -> Part:
        part = Part(node.name, list(node.inputs), [value for value, _ in node.values()], node.when, node)
        part.shares = self.sharing.of_node(node)
        return part

    def branches_of(self, node: Node, before: Sequence[Group], use: BlockUse) -> list[Group | None]:
        """The branches that a merge joins, out of the groups right before it, in the order of the merge's inputs.

        An item is None for a branch without steps. Empty if the groups can't be written as branches of the merge.
        """
        scopes = [group.scope for group in before if group.scope is not None]
        entries = {tuple(scope.inputs.values()) for scope in scopes}
        # A branch has no inputs left if a pass removed all nodes that read them.
        if not isinstance(node.op, Merge) or len(node.inputs) < 2 or len(entries) != 1 or () in entries:
            return []
        if any(self.key(use, path) in self.separate for path in (node.path, *(scope.path for scope in scopes))):
            return []
        (entry,) = entries
        branches: list[Group | None] = []
        left = list(before)
        for value in node.inputs:
            if left and left[0].scope is not None and left[0].scope.output == value:
                branches.append(left.pop(0))
            elif (value,) == entry:
                branches.append(None)
            else:
                return []
        # A value of a branch that is used elsewhere would have to be an output, and only blocks have outputs.
        ends = {scope.output for scope in scopes if scope.output not in entry}
        outside = {value for group in before for value in self.values_leaving(group)}
        alone = all(self.graph.users[v] == (node,) and v not in self.outputs for v in ends)
        return branches if not left and outside <= ends and alone else []

    def merge(self, node: Node, groups: Sequence[Group | None], use: BlockUse, entry: str, names: set[str]) -> Part:
        """A merge with its branches, in the order of its inputs; `names` are taken by the steps around it."""
        branches: list[Branch] = []
        for group in groups:
            if group is not None and group.scope is not None:
                branches.append(Branch(group.scope.name, self.body(group, use), group.scope.output))
            else:
                # The graph keeps no name of a branch without steps.
                name = free_name(Identity.opname, names)
                names.add(name)
                branches.append(Branch(name, [], entry))
        return Part(node.name, [entry], [node.path], node.when, node, branches, is_scope=node.path == node.scope)

    def group(self, group: Group, use: BlockUse) -> Part:
        """A scope as a part: a repeat, a named merge, or a use of a block."""
        scope = group.scope
        assert scope is not None
        if scope.kind == "branch":
            # A branch that has lost its merge is written as a block, in all copies and uses.
            self.separate.add(self.key(use, scope.path))
        shares = self.sharing.of_scope(scope)
        if scope.kind == "repeat":
            part = self.repeat(group, scope, use)
        elif scope.kind == "merge" and (merge := self.named_merge(group, scope, use)) is not None:
            part = merge
        else:
            part = self.use(group, scope, use)
        part.shares = shares
        part.is_second_call = bool(shares) and self.second_calls.has(scope, group.nodes())
        return part

    def named_merge(self, group: Group, scope: Scope, use: BlockUse) -> Part | None:
        """A named merge, which is a scope, as a part; None if the merge itself is gone from the scope."""
        parts = self.body(group, use)
        node = parts[0].node
        if len(parts) == 1 and node is not None and node.path == scope.path:
            if not parts[0].branches and {*node.inputs} == {*scope.inputs.values()}:
                parts = [self.merge(node, [None] * len(node.inputs), use, node.inputs[0], set())]
            parts[0].when = scope.when
            return parts[0]
        if any(part.node is not None and part.node.path == scope.path for part in parts):
            what = f"what the branches of `{scope.path}` give is used elsewhere"
            fail("NS401", f"{what}, and it has a name: {NOT_IN_YAML}", help=WAY_OUT)
        return None

    def repeat(self, group: Group, scope: Scope, use: BlockUse) -> Part:
        """A repeat as a part. Raises NS401 if its copies are no chain, or if inner values are used outside."""
        with self.sharing.within(scope):
            copies = [self.node(c) if isinstance(c, Node) else self.group(c, use) for c in group.items]
        chain = copies[0].inputs
        for copy in copies:
            if copy.inputs != chain:
                what = f"the copies of `{scope.path}` do not each take what the one before gives"
                fail("NS401", f"{what}: {NOT_IN_YAML}", help=WAY_OUT)
            chain = copy.outputs
        inner = {value for item in group.items for value in self.values_leaving(item, around=scope.path)}
        if extra := sorted(inner - set(chain)):
            fail("NS401", f"`{extra[0]}` is used outside the copies of `{scope.path}`: {NOT_IN_YAML}", help=WAY_OUT)
        numbered = {int(copy.name): copy for copy in copies}
        return Part(scope.name, copies[0].inputs, chain, None, copies=numbered, count=scope.count)

    def use(self, group: Group, scope: Scope, around: BlockUse) -> Part:
        """A scope as a use of a block; also a branch without its merge, or a body argument."""
        entries = self.entries(group, scope)
        computed = {value for node in group.nodes() for value, _ in node.values()}
        leaving = self.values_leaving(group)
        stated = [v for v in scope.outputs if v in computed or v in entries.values()]
        outputs = list(dict.fromkeys([*stated, *leaving])) or [list(group.nodes())[-1].path]
        label = scope.block.name if scope.block else _last_name(scope.path)
        # A scope that is no block in the spec can read the parameters of the block around it.
        around_it = tuple([SpecParameter(p.name, p.kind) for p in around.parameters])
        parameters = scope.block.parameters if scope.block else around_it
        names = self.lexicon.parameters(scope.path)
        names.update({name: self.graph.types[value] for name, value in scope.inputs.items()})
        names.update({name: self.graph.types[value] for name, value in entries.items()})
        if len(entries) == 1:
            names["input"] = self.graph.types[next(iter(entries.values()))]
        use = BlockUse(scope.path, label, entries, outputs, names, parameters, scope)
        if scope.block is not None and len(scope.block.outputs) == len(scope.outputs) > 1:
            by_value = dict(zip(scope.outputs, scope.block.outputs, strict=True))
            use.output_names = tuple([by_value.get(value, "") for value in outputs])
        use.parts = self.body(group, use)
        self.uses.append(use)
        return Part(scope.name, list(entries.values()), outputs, scope.when, use=use)

    def entries(self, group: Group, scope: Scope) -> dict[str, str]:
        """The values that enter a scope, by their names in it."""
        declared = scope.block.inputs if scope.block is not None else ("input",)
        entries = {name: value for name, value in scope.inputs.items() if name in declared}
        steps = _names_of_steps(group)
        for value in self.values_entering(group):
            if value not in entries.values():
                entries[free_name(_last_name(node_of(value)), {*entries, *steps})] = value
        if len(entries) == 1 and not entries.keys() <= set(declared):
            (value,) = entries.values()
            return {"input": value}
        if len(entries) > 1 and "input" in entries:
            # `input` is the name of an only input.
            return {free_name("x", {*entries, *steps}): entries.pop("input"), **entries}
        return entries

    def values_leaving(self, item: Group | Node, around: str = "") -> list[str]:
        """The values computed in an item that are used outside it, or outside the scope at the path `around`."""
        path = around or (item.path if isinstance(item, Group) else item.scope)
        below = f"{path}." if path else ""
        nodes = item.nodes() if isinstance(item, Group) else (item,)
        leaving: list[str] = []
        for node in nodes:
            for value, _ in node.values():
                outside = (u.scope != path and not u.scope.startswith(below) for u in self.graph.users[value])
                if value in self.outputs or any(outside):
                    leaving.append(value)
        return leaving

    def values_entering(self, group: Group) -> list[str]:
        """The values that nodes of a scope read and that are not computed in it."""
        nodes = list(group.nodes())
        computed = {value for node in nodes for value, _ in node.values()}
        return list(dict.fromkeys([v for node in nodes for v in node.inputs if v not in computed]))


def _names_of_steps(group: Group) -> set[str]:
    """The names of the nodes and scopes directly in a scope."""
    return {item.name if isinstance(item, Node) else item.path.rpartition(".")[2] for item in group.items}


def _last_name(path: str) -> str:
    """The last part of a path that is a name and not the number of a copy."""
    return next(part for part in reversed(path.split(".")) if not part.isdigit())
