"""An LSTM as a custom op, `own_lstm`: an example of a layer whose outputs are nested."""

from __future__ import annotations

from netspec.ops.base import REGISTRY, Op, example, known_int, need_rank
from netspec.ops.fields import Positive
from netspec.types import Code, Layer, Reach, Tensor, Weight, uniform


class OwnLstm(Op, name="own_lstm", principal="hidden_size", family="recurrent"):
    """An LSTM over (N, L, F), as torch.nn.LSTM with `batch_first`; it may take the states to begin with."""

    hidden_size: Positive

    inputs = (1, 3)
    output_names = ("output", "h_n", "c_n")
    examples = (example((2, 3, 5), hidden_size=6),)

    def infer(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        need_rank(self, x, 3, "(N, L, F)")
        state = Tensor((1, x.shape[0], self.hidden_size))
        return Tensor((*x.shape[:2], self.hidden_size)), state, state

    def weights(self, x: Tensor, *states: Tensor) -> tuple[Weight, ...]:
        features, start = known_int(x.features, "the number of features"), uniform(self.hidden_size**-0.5)
        shapes = {"weight_ih_l0": (features,), "weight_hh_l0": (self.hidden_size,), "bias_ih_l0": (), "bias_hh_l0": ()}
        return tuple([Weight(name, (4 * self.hidden_size, *more), start=start) for name, more in shapes.items()])

    def macs(self, y: Tensor, *xs: Tensor) -> None:
        return None

    def window(self, *xs: Tensor) -> Reach:
        return Reach.ALL

    def torch(self, x: Tensor, *states: Tensor) -> Layer:
        arguments = {"input_size": x.features, "hidden_size": self.hidden_size, "batch_first": True}
        call = Code("{layer}(", ("{0}", "({1}, {2})")) if states else None
        return Layer("nn.LSTM", arguments, positional=2, call=call, unpack="{0}, ({1}, {2})")


# Only a test that uses it has it.
del REGISTRY["own_lstm"]
