"""Blocks of a spec: their names and parameters, their bodies, and that none contains itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from netspec.errors import Findings, NetspecError, fail
from netspec.graph.model import Block
from netspec.naming import SIBLINGS, check_class_name, check_module_name, class_name
from netspec.ops import REGISTRY
from netspec.ops.own import announced
from netspec.spec.body import BlockDefinition, Body, FileContext, Names, Reach
from netspec.spec.data import Entry, Map
from netspec.spec.model import BlockOutline, check
from netspec.spec.parameters import read_parameters
from netspec.spec.steps import BodyParser


def read_blocks(entries: Mapping[str, Entry], file: FileContext, findings: Findings) -> dict[str, BlockDefinition]:
    """The blocks that a file declares, their bodies not parsed yet."""
    found: dict[str, BlockDefinition] = {}
    for name, entry in entries.items():
        try:
            check_module_name(name, "a block", entry.key_span)
            check_class_name(name, "a block", entry.key_span)
            # What is installed beside netspec does not decide which specs are right.
            if name in REGISTRY and name not in announced():
                fail("NS210", f"there is an op `{name}`", entry.key_span, help="give the block another name")
            if name in SIBLINGS:
                fail("NS210", f"`{name}` stands beside a step's op and can't be a block", entry.key_span)
            data = entry.value
            if name in ("params", "body"):
                help = f"indent `{name}` under the name of its block; a block can't be called so"
                fail("NS201", f"`{name}` is a key of a block, and stands among the blocks", entry.key_span, help=help)
            if not isinstance(data, Map):
                fail("NS201", f"block `{name}` is a mapping with `body`", data.span, help="and `params`, if it has any")
            for key in ("inputs", "outputs"):
                if key in data.entries:
                    span = data.entries[key].key_span
                    fail("NS201", f"blocks with `{key}` of their own are not in this version of netspec", span)
            check(BlockOutline, data, f"block `{name}`")
            declared = data.entries.get("params")
            params = read_parameters(
                declared.value.entries if declared and isinstance(declared.value, Map) else {}, findings
            )
            info = Block(name, tuple(params.values()), entry.key_span)
            found[name] = BlockDefinition(name, info, file, data.entries["body"].value)
        except NetspecError as error:
            findings.extend(error)
    return found


def check_classes(blocks: Iterable[BlockDefinition], network: str, findings: Findings) -> None:
    """Classes are made from these names: two that differ in a `_` or a capital only would be one class.

    A block of a file that is used gives way, and has the name of its file before its own.
    """
    classes = {class_name(network): f"the network `{network}`"}
    for block in sorted(blocks, key=lambda block: bool(block.file.name)):
        if block.file.name and class_name(block.name) in classes:
            block.info = replace(block.info, name=f"{block.file.name}_{block.name}")
        name = block.info.name
        if other := classes.get(class_name(name)):
            try:
                message = f"block `{name}` and {other} would be one class, `{class_name(name)}`"
                fail("NS210", message, block.info.span)
            except NetspecError as error:
                findings.extend(error)
        else:
            classes[class_name(name)] = f"block `{name}`"


def parse_block(block: BlockDefinition, findings: Findings) -> None:
    """Read a block's body into steps, once all blocks are known."""
    file = block.file
    own = frozenset(p.name for p in block.info.parameters)
    constants = {name: value for name, value in file.constants.items() if name not in own}
    reach = Reach(file.parameters | own, frozenset(("input",)), Names(("input",)), constants=constants)
    try:
        parser = BodyParser(file, file.blocks, findings)
        block.body = parser.body(block.data, reach, what=f"the body of block `{block.name}`")
    except NetspecError as error:
        findings.extend(error)


def check_recursion(blocks: Iterable[BlockDefinition]) -> None:
    """Blocks nest, never recurse: name the way round where they do."""
    done: set[int] = set()
    for start in blocks:
        way: dict[int, BlockDefinition] = {}
        todo: list[tuple[BlockDefinition, bool]] = [(start, True)]
        while todo:
            block, entering = todo.pop()
            if not entering:
                way.popitem()
                done.add(id(block))
                continue
            if id(block) in way:
                names = [b.info.name for b in way.values()]
                round_ = " -> ".join(f"`{n}`" for n in [*names[names.index(block.info.name) :], block.info.name])
                fail("NS212", f"block `{block.name}` contains itself", block.info.span, notes=[round_])
            if id(block) in done:
                continue
            way[id(block)] = block
            todo.append((block, False))
            todo += [(used, True) for used in {id(used): used for used in _used(block.body)}.values()]


def _used(body: Body) -> Iterable[BlockDefinition]:
    for step in body.steps:
        if isinstance(step.target, BlockDefinition):
            yield step.target
        for branch in (step.branches or {}).values():
            yield from _used(branch)
