"""An op of one's own whose attribute is free text."""

from netspec.ops.base import Elementwise, example
from netspec.types import Call, Tensor


class Tagged(Elementwise, name="tagged", principal="note"):
    """Its input, with a note."""

    note: str
    more: str = "a: b"

    examples = (example((2, 3), note="a, b -> c"),)

    def torch(self, x: Tensor) -> Call:
        return Call("torch.relu")
