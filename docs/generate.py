"""Writes the parts of the documentation that follow from the code: docs/ops.md, and tables in other files.

    python docs/generate.py             write them
    python docs/generate.py --check     say which are out of date, and exit with 1 if any is

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netspec
from netspec import expression, naming
from netspec.errors import CODES, Findings
from netspec.ops import REGISTRY
from netspec.ops import fields as op_fields
from netspec.ops.reference import by_family, first_line, heading, op_signature, reference
from netspec.spec import limits as spec_limits
from netspec.tables import short

REPOSITORY = Path(__file__).resolve().parents[1]
OPS_HEAD = """\
# Ops

This file is written by `python docs/generate.py` from the ops themselves: do not edit it.

Names are those of `torch.nn.functional`, else of `torch`, else of the `torch.nn` class in snake case; `concat`,
`add` and `scale` are netspec's. Attributes are the arguments of the `torch.nn` class, by the same names and with the
same defaults, with one difference: input widths (`in_channels`, `num_features`) are never written, since they follow
from the input. The *principal* attribute is the one a bare value stands for: `max_pool2d: 2` is
`max_pool2d: {kernel_size: 2}`. How a step is written stands in [language.md](language.md); how an op is added, in
[adding-an-op.md](adding-an-op.md). `netspec ops NAME` prints what stands here of one op, and of ops of your own.
"""


def ops() -> str:
    """docs/ops.md: a table of all ops, and a section for each."""
    families = by_family(REGISTRY.values())
    lines = [OPS_HEAD, "| op | attributes | |", "|---|---|---|"]
    for found in families.values():
        lines += [f"| [`{c.opname}`](#{c.opname}) | {op_signature(c)} | {first_line(c)} |" for c in found]
    for family, found in families.items():
        lines += ["", f"## {heading(family)}"]
        for cls in found:
            lines += ["", reference(cls).to_markdown()]
    return "\n".join(lines) + "\n"


def zoo() -> str:
    """The bundled networks with their figures."""
    lines = ["| network | input | parameters | MACs | sees | in |", "|---|---|---:|---:|---:|---|"]
    for name in netspec.names():
        network = netspec.load(name)
        summary = network.summary()
        sizes = summary["at"]
        image = " x ".join(str(sizes.get(d, d)) for d in next(iter(summary["inputs"].values()))[1:])
        seen = netspec.compare([network]).table().rows[0][-1] or "-"
        totals = summary["totals"]
        lines.append(
            f"| `{name}` | {image} | {totals['parameters']:,} | {short(totals['macs'])} "
            f"| {seen} | {network.title}: {network.graph.source} |"
        )
    return "\n".join(lines)


def codes() -> str:
    """Every code with its meaning."""
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {code} | {text} |" for code, text in CODES.items())])


def limits() -> str:
    """Every limit with its value, from the constants of the code, and the error it gives."""
    rows: list[tuple[str, str, str]] = [
        ("size of a file", f"{spec_limits.MAX_FILE_BYTES >> 20} MiB", "NS104"),
        ("characters of a text", f"{spec_limits.MAX_TEXT_CHARACTERS:,}", "NS104"),
        ("depth of lists and mappings", f"{spec_limits.MAX_DATA_DEPTH}", "NS104"),
        ("digits of an integer", f"{spec_limits.MAX_INTEGER_DIGITS}", "NS104"),
        ("characters of a name", f"{naming.MAX_NAME}", "NS202"),
        ("an op's integer", f"{op_fields.MAX_INT:,}", "NS206"),
        ("characters of an expression", f"{expression.MAX_LENGTH:,}", "NS207"),
        ("depth of an expression", f"{expression.MAX_EXPRESSION_DEPTH}", "NS207"),
        ("operators of an expression", f"{expression.MAX_OPERATORS}", "NS207"),
        ("an integer in an expression", f"{expression.MAX_INTEGER:,}", "NS207, NS208"),
        ("terms of a symbolic size", f"{expression.MAX_FACTORS:,}", "NS208"),
        ("specs that extend each other", f"{spec_limits.MAX_EXTENDS}", "NS212"),
        ("axes of an input", f"{spec_limits.MAX_INPUT_AXES}", "NS214"),
        ("values of a list", f"{spec_limits.MAX_LIST_ITEMS}", "NS214"),
        ("characters of a parameter that is text", f"{spec_limits.MAX_PARAMETER_TEXT:,}", "NS214"),
        ("copies of a `repeat`", f"{spec_limits.MAX_REPEAT:,}", "NS214"),
        ("depth of blocks and branches inside each other", f"{spec_limits.MAX_BODY_DEPTH}", "NS214"),
        ("nodes of a network", f"{spec_limits.MAX_NODES:,}", "NS214"),
        ("steps elaborated", f"{spec_limits.MAX_STEPS:,}", "NS214"),
        ("characters in the paths of all steps", f"{spec_limits.MAX_PATH_CHARACTERS:,}", "NS214"),
        ("items of lists that expressions read", f"{spec_limits.MAX_ITEMS_READ:,}", "NS214"),
        ("errors reported in one run", f"{Findings().limit}", ""),
    ]
    return "\n".join(["| limit | at most | error |", "|---|---:|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)])


TABLES: dict[str, Callable[[], str]] = {"zoo": zoo, "codes": codes, "limits": limits}
_TABLE = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.S)


IMAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet34": ("resnet34", {}),
    "resnet34_closed": ("resnet34", {"depth": 0}),
    "vgg_e": ("vgg_e", {}),
    "bottleneck": ("resnet50", {"part": "layer2.0"}),
    "inception": ("googlenet", {"part": "inception", "direction": "LR", "title": False}),
    "resnet50_layer3": ("resnet50", {"expand": ["layer3"], "highlight": ["layer3.5"]}),
    "googlenet": ("googlenet", {"mode": "train", "depth": 0}),
    "unet": ("unet", {}),
    "gpt2": ("gpt2", {}),
    "alexnet_dark": ("alexnet", {"direction": "LR", "theme": "dark"}),
}
"""The diagrams in docs/images: what each draws."""


def images() -> dict[Path, str]:
    """The diagrams that pages show, which are the same on every machine."""
    folder = REPOSITORY / "docs" / "images"
    return {folder / f"{name}.svg": netspec.load(of).diagram(**how).svg for name, (of, how) in IMAGES.items()}


def generated() -> dict[Path, str]:
    """Every file with generated parts, and the text it should have."""
    found = {REPOSITORY / "docs" / "ops.md": ops(), **images()}
    for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
        text = path.read_text("utf-8")
        if path not in found and _TABLE.search(text):
            found[path] = _TABLE.sub(lambda m: f"{m[1]}{TABLES[m[2]]()}\n{m[3]}", text)
    return found


def main() -> None:
    """Write what is out of date, or with `--check` only say it."""
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if "--check" not in sys.argv:
            path.write_text(generated()[path], "utf-8")
        print(f"{'out of date' if '--check' in sys.argv else 'wrote'}: {path.relative_to(REPOSITORY)}")
    sys.exit(1 if stale and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
