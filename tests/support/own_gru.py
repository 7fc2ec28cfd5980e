"""A GRU as a custom op, `own_gru`: an example of an op that netspec does not have."""

from __future__ import annotations

from netspec.ops.base import REGISTRY, Op, example, known_int, need_rank
from netspec.ops.fields import Positive
from netspec.types import Layer, Reach, Tensor, Weight, uniform


class OwnGru(Op, name="own_gru", principal="hidden_size", family="recurrent"):
    """A GRU over (N, L, F), as torch.nn.GRU with `batch_first`; all its weights have the same initialiser."""

    hidden_size: Positive

    output_names = ("output", "state")
    examples = (example((2, 3, 5), hidden_size=6),)

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        need_rank(self, x, 3, "(N, L, F)")
        return Tensor((*x.shape[:2], self.hidden_size)), Tensor((1, x.shape[0], self.hidden_size))

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        features, start = known_int(x.features, "the number of features"), uniform(self.hidden_size**-0.5)
        shapes = {"weight_ih_l0": (features,), "weight_hh_l0": (self.hidden_size,), "bias_ih_l0": (), "bias_hh_l0": ()}
        return tuple([Weight(name, (3 * self.hidden_size, *more), start=start) for name, more in shapes.items()])

    def macs(self, y: Tensor, x: Tensor) -> None:
        return None

    def window(self, x: Tensor) -> Reach:
        return Reach.ALL

    def torch(self, x: Tensor) -> Layer:
        arguments = {"input_size": x.features, "hidden_size": self.hidden_size, "batch_first": True}
        return Layer("nn.GRU", arguments, positional=2)


# Only a test that uses it has it.
del REGISTRY["own_gru"]
