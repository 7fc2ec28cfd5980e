"""An op that detects what a test tells it: the left half of an image as red as its mean, the upper half as green."""

from __future__ import annotations

from netspec.dims import Dim
from netspec.ops.base import Costless, RuleError, example
from netspec.types import DATA, Code, Helper, OnnxWriter, Reach, Tensor

HALVES = Helper('''def halves(image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each left half as class 1 and each upper half as class 2, with the means of the first channels as scores."""
    height, width = image.shape[2:]
    corners = image.new_tensor([[0, 0, width / 2, height], [0, 0, width, height / 2]])
    scores = image[:, :2].mean((2, 3))
    images, number = (scores > 0).nonzero(as_tuple=True)
    return corners[number], scores[images, number], number + 1, images''')


class Halves(Costless, name="halves"):
    """Left halves of images, class 1, and upper halves, class 2; the mean of red or green is the score, if above 0."""

    output_names = ("boxes", "scores", "labels", "images")
    examples = (example((2, 3, 4, 6)),)

    def infer(self, image: Tensor) -> tuple[Tensor, ...]:
        if image.rank != 4:
            raise RuleError(f"`halves` takes images, and its input is {image}", code="NS302")
        return Tensor((DATA, 4)), Tensor((DATA,)), Tensor((DATA,), "int64"), Tensor((DATA,), "int64")

    def detects(self, image: Tensor) -> Dim:
        return 3

    def window(self, image: Tensor) -> Reach:
        return Reach.DATA

    def nominal(self, image: Tensor) -> tuple[int, ...]:
        return (2,)

    def torch(self, image: Tensor) -> Code:
        return Code("halves(", ("{0}",), helpers=(HALVES,))

    def onnx(self, g: OnnxWriter, image: str) -> tuple[str, ...]:
        size = g.Cast(g.Shape(image, start=2, end=4), to=1)
        height, width = g.Split(size, outputs=2, num_outputs=2)
        zero, half = g.constant([0.0], "float32"), g.constant(0.5, "float32")
        left = g.Concat(zero, zero, g.Mul(width, half), height, axis=0)
        upper = g.Concat(zero, zero, width, g.Mul(height, half), axis=0)
        corners = g.Reshape(g.Concat(left, upper, axis=0), g.constant([2, 4]))
        two = g.Slice(image, g.constant([0]), g.constant([2]), g.constant([1]))
        scores = g.ReduceMean(two, g.constant([2, 3]), keepdims=0)
        places = g.Transpose(g.NonZero(g.Greater(scores, g.constant(0.0, "float32"))), perm=[1, 0])
        images, number = g.Split(places, outputs=2, num_outputs=2, axis=1)
        images, number = g.Squeeze(images, g.constant([1])), g.Squeeze(number, g.constant([1]))
        return g.Gather(corners, number), g.GatherND(scores, places), g.Add(number, g.constant(1)), images
