"""Rules for names, which become attributes, arguments and classes of generated code."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container

from netspec.errors import fail
from netspec.expression import FUNCTIONS
from netspec.source import Span

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
MAX_NAME = 100

SIBLINGS = ("name", "from", "repeat", "when", "share", "init", "expect")
"""The keys that a step may have beside its op."""

MODULE_ATTRIBUTES = frozenset(
    """
    T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches
    eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict
    modules mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
    append clear extend insert items keys pop update values
    """.split()  # noqa: SIM905
)
"""Public names of torch.nn.Module and its containers, which a submodule would hide; a test compares them with torch."""

_SHADOWING = frozenset(("self", "torch", "nn", "super", "F"))
_EXPRESSION_WORDS = frozenset(("index", "input", "true", "false", "null", *FUNCTIONS))


def check_name(name: str, what: str, span: Span | None) -> str:
    """Return a name that is valid everywhere; raise NS202 for others. `what` is the noun in the message: "a block"."""
    if len(name) > MAX_NAME:
        fail("NS202", f"the name of {what} has {len(name)} characters; at most {MAX_NAME} are allowed", span)
    if not IDENTIFIER.match(name):
        help = "names are letters, digits and `_`, and do not begin with a digit"
        corrected = re.sub(r"[-. /]+", "_", name)
        if IDENTIFIER.match(corrected):
            help = f"try `{corrected}`: {help}"
        fail("NS202", f"{name!r} can't be the name of {what}", span, help=help)
    if keyword.iskeyword(name):
        fail("NS202", f"`{name}` can't be the name of {what}: it is a word of Python", span, help=f"try `{name}_`")
    if name in _SHADOWING or (name.startswith("__") and name.endswith("__")):
        fail("NS202", f"`{name}` can't be the name of {what}: generated code uses it", span, help="try another")
    return name


def check_module_name(name: str, what: str, span: Span | None) -> str:
    """Return a name that can be an attribute of a module, as for a step or branch; raise NS202 for others."""
    check_name(name, what, span)
    if name in MODULE_ATTRIBUTES or name.startswith("_"):
        why = "it begins with `_`" if name.startswith("_") else "torch.nn.Module has an attribute of that name"
        fail("NS202", f"`{name}` can't be the name of {what}: {why}", span, help=f"try `{name.strip('_') or 'step'}_1`")
    return name


def check_parameter_name(name: str, span: Span | None) -> str:
    """Return a name that can be a parameter, which expressions read; raise NS202 for others."""
    check_name(name, "a parameter", span)
    if name in _EXPRESSION_WORDS:
        fail("NS202", f"`{name}` can't be the name of a parameter: expressions use it", span, help=f"try `{name}_`")
    if name[0].isupper():
        fail(
            "NS202",
            f"`{name}` can't be the name of a parameter: capitals are for symbolic sizes",
            span,
            help=f"write `{name.lower()}`",
        )
    return name


def is_symbol(text: str) -> bool:
    """Return whether a text can be a symbolic size: a name that begins with a capital."""
    return text[:1].isupper() and IDENTIFIER.match(text) is not None and not keyword.iskeyword(text)


def check_symbol(name: str, span: Span | None) -> str:
    """Return a name that can be a symbolic size; raise NS202 for others."""
    if not is_symbol(name):
        fail("NS202", f"{name!r} can't be a symbolic size", span, help="one begins with a capital, as `N`, `H`, `W`")
    return name


def check_output_name(name: str, span: Span | None) -> str:
    """Return a name that can be an output, a field of a named tuple; raise NS202 for others."""
    check_name(name, "an output", span)
    if name.startswith("_"):
        fail("NS202", f"`{name}` can't be the name of an output: it begins with `_`", span)
    return name


def check_class_name(name: str, what: str, span: Span | None) -> str:
    """Return a name after which a class can be named, as for a block or network; raise NS202 for others."""
    named = class_name(name)
    if not named.isidentifier() or keyword.iskeyword(named):
        why = f"its class would be called `{named}`" if named else "its class would have no name"
        fail("NS202", f"`{name}` can't be the name of {what}: {why}", span, help="try another")
    return name


def class_name(name: str) -> str:
    """The name of the class of a block or network.

    >>> class_name("conv_bn")
    'ConvBn'
    """
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def free_name(base: str, taken: Container[str]) -> str:
    """A name that is not taken: `base`, or `base` with the first free number from 2 on.

    >>> free_name("conv", {"conv", "conv_2"})
    'conv_3'
    """
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name
