"""An op that reads integers and has several outputs, of sizes that only the data tell; and two that say it wrongly."""

from __future__ import annotations

from netspec.ops.base import REGISTRY, Op, RuleError, example
from netspec.types import Code, Helper, OnnxWriter, Reach, Tensor, Weight, data_size

CHOOSE = Helper('''def choose(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The samples whose label is 2 with their numbers, and the numbers of the others."""
    chosen = labels == 2
    return x[chosen], chosen.nonzero()[:, 0], (~chosen).nonzero()[:, 0]''')


class Choose(Op, name="choose_here"):
    """The samples with a label: integers are read, and the sizes of all three outputs depend on the data."""

    inputs = (2, 2)
    precision = "half"
    output_names = ("samples", "chosen", "others")
    examples = (example((7, 3, 2), Tensor((7,), "int64")),)

    def infer(self, x: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        if x.rank < 1 or labels != Tensor(x.shape[:1], "int64"):
            raise RuleError("`choose_here` takes samples, and an integer for each", code="NS302")
        chosen, others = data_size(), data_size(1)
        return Tensor((chosen, *x.shape[1:]), x.dtype), Tensor((chosen,), "int64"), Tensor((others,), "int64")

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, *xs: Tensor) -> int:
        return 0

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA

    def nominal(self, *xs: Tensor) -> tuple[int, ...]:
        return 2, 5

    def torch(self, *xs: Tensor) -> Code:
        return Code("choose(", ("{0}", "{1}"), helpers=(CHOOSE,))

    def onnx(self, g: OnnxWriter, x: str, labels: str) -> tuple[str, ...]:
        chosen = g.Equal(labels, g.constant(2))
        others = g.NonZero(g.Not(chosen))
        axis = g.constant([0])
        places = g.Squeeze(g.NonZero(chosen), axis)
        return g.Compress(x, chosen, axis=0), places, g.Squeeze(others, axis)


class OneOutput(Choose, name="choose_one_output"):
    """Wrong: the other samples have as many as those that are chosen."""

    def infer(self, x: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        samples, chosen, _ = super().infer(x, labels)
        return samples, chosen, chosen


class OtherDtype(Choose, name="choose_other_dtype"):
    """Wrong: the numbers of samples are int32."""

    def infer(self, x: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        samples, chosen, others = super().infer(x, labels)
        return samples, Tensor(chosen.shape, "int32"), others


WRONG = (OneOutput, OtherDtype)

for cls in (Choose, *WRONG):
    del REGISTRY[cls.opname]
