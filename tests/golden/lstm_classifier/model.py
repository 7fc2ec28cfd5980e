"""LSTM classifier of texts in PyTorch, compiled by netspec from `lstm_classifier`."""

import torch
from torch import Tensor, nn


def run_packed(
    layer: nn.RNNBase,
    x: Tensor,
    lengths: Tensor,
    states: Tensor | tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """Run a recurrent layer over each sequence up to its length.

    Behind its end a sequence has zeros, and its states are those at its end.
    """
    packed = nn.utils.rnn.pack_padded_sequence(
        x, lengths.cpu(), batch_first=True, enforce_sorted=False
    )
    packed, states = layer(packed, states)
    output, _ = nn.utils.rnn.pad_packed_sequence(
        packed, batch_first=True, total_length=x.shape[1]
    )
    return output, states


class LstmClassifier(nn.Module):
    """LSTM classifier of texts.

    Graves & Schmidhuber 2005, Neural Networks 18(5-6), after Hochreiter &
    Schmidhuber 1997, Neural Computation 9(8)

    tokens (N, T), lengths (N) -> logits (N, classes)
    """

    def __init__(
        self,
        vocabulary: int = 25002,
        width: int = 100,
        hidden: int = 256,
        layers: int = 2,
        dropout: float = 0.5,
        classes: int = 1,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=1)
        self.embedded = nn.Dropout(p=dropout)
        self.lstm = nn.LSTM(
            width,
            hidden,
            num_layers=layers,
            dropout=dropout,
            bidirectional=True,
            batch_first=True,
        )
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2 * hidden, classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        x = self.words(tokens)
        x = self.embedded(x)
        _, (h_n, _) = run_packed(self.lstm, x, lengths)
        last = h_n[-2]
        x = h_n[-1]
        x = torch.cat([last, x], dim=1)
        x = self.dropout(x)
        return self.fc(x)
