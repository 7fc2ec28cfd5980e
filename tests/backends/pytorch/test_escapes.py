"""Which values something outside a scope takes."""

from __future__ import annotations

from netspec.backends.pytorch.escapes import Escapes
from netspec.graph import Builder, Graph


def test_the_last_value_of_a_scope_escapes_and_an_inner_one_does_not() -> None:
    builder = Builder("net")
    x = builder.input("image", ["N", 3, 8, 8])
    with builder.scope("a"):
        inner = builder.add("relu", x, name="inner")
        last = builder.add("sigmoid", inner, name="last")
    builder.output("y", builder.add("tanh", last, name="after"))
    escapes = Escapes(builder.build())
    assert (escapes.leaves("a.inner", "a"), escapes.leaves("a.last", "a")) == (False, True)


def test_a_value_that_a_later_step_reads_escapes_from_all_scopes_around_it() -> None:
    builder = Builder("net")
    x = builder.input("image", ["N", 3, 8, 8])
    with builder.scope("a"), builder.scope("b"):
        skip = builder.add("relu", x, name="skip")
        last = builder.add("sigmoid", skip, name="last")
    builder.output("y", builder.add("add", last, skip, name="after"))
    escapes = Escapes(builder.build())
    assert escapes.leaves("a.b.skip", "a.b")
    assert escapes.leaves("a.b.skip", "a")


def test_an_output_of_the_network_escapes() -> None:
    builder = Builder("net")
    x = builder.input("image", ["N", 3, 8, 8])
    with builder.scope("a"):
        inner = builder.add("relu", x, name="inner")
        builder.output("z", inner)
        last = builder.add("sigmoid", inner, name="last")
    builder.output("y", last)
    escapes = Escapes(builder.build())
    assert escapes.leaves("a.inner", "a")
    assert escapes.leaves("a.last", "")


def two_calls(skip: bool) -> Graph:
    """A module `a` that is called again as `b`; with `skip`, a value deep inside `b` is an output of the network."""
    builder = Builder("net")
    x = builder.input("image", ["N", 3, 8, 8])
    since, inner = builder.checkpoint, ""
    for path in "ab":
        since = builder.checkpoint
        with builder.scope(path, block="outer"):
            with builder.scope("core"):
                inner = builder.add("relu", x, name="inner")
                x = builder.add("sigmoid", inner, name="last")
            x = builder.add("tanh", x, name="last")
    names = ("", ".core")
    builder.share_weights(since, {f"b{name}": f"a{name}" for name in names})
    builder.output("y", x)
    if skip:
        builder.output("z", inner)
    return builder.build()


def test_what_escapes_from_one_call_of_a_module_escapes_from_all() -> None:
    for skip in (False, True):
        escapes = Escapes(two_calls(skip))
        for path in "ab":
            assert escapes.leaves(f"{path}.last", path)
            assert escapes.leaves(f"{path}.core.last", f"{path}.core")
            assert not escapes.leaves(f"{path}.core.last", path)
            assert escapes.leaves(f"{path}.core.inner", f"{path}.core") == skip
            assert escapes.leaves(f"{path}.core.inner", path) == skip
