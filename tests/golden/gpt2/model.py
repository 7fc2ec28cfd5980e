"""GPT-2 in PyTorch, compiled by netspec from `gpt2`."""

import torch
from torch import Tensor, nn


def causal_mask(x: Tensor) -> Tensor:
    """True for the keys that come after each query, in (N, length, ...)."""
    length = x.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    elif isinstance(module, nn.MultiheadAttention):
        nn.init.normal_(module.in_proj_weight, std=0.02)
        nn.init.normal_(module.out_proj.weight, std=0.00408)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class Mlp(nn.Module):
    """Maps (N, L, in_features) to (N, L, in_features)."""

    def __init__(self, in_features: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, width)
        self.gelu = nn.GELU(approximate="tanh")
        self.linear_2 = nn.Linear(width, in_features)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear_2(self.gelu(self.linear(x))))


class Block(nn.Module):
    """Maps (N, L, in_features) to (N, L, in_features)."""

    def __init__(self, in_features: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(in_features)
        self.attention = nn.MultiheadAttention(
            in_features, heads, dropout=0.1, batch_first=True
        )
        self.dropout = nn.Dropout(0.1)
        self.ln_2 = nn.LayerNorm(in_features)
        self.mlp = Mlp(in_features, 4 * in_features)

    def forward(self, x: Tensor) -> Tensor:
        out = self.ln_1(x)
        out = self.attention(
            out,
            out,
            out,
            attn_mask=causal_mask(out),
            need_weights=False,
            is_causal=True,
        )[0]
        x = x + self.dropout(out)
        out = self.ln_2(x)
        return x + self.mlp(out)


class Gpt2(nn.Module):
    """GPT-2.

    Radford, Wu, Child, Luan, Amodei & Sutskever 2019, Language Models are
    Unsupervised Multitask Learners, Table 2

    tokens (N, T) -> logits (N, T, 50257)
    """

    def __init__(
        self, positions: int = 1024, width: int = 768, heads: int = 12
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(50257, width)
        self.position_embedding = nn.Embedding(positions, width)
        self.dropout = nn.Dropout(0.1)
        self.layers = nn.Sequential(*(Block(width, heads) for _ in range(12)))
        self.norm = nn.LayerNorm(width)
        self.apply(init_weights)
        nn.init.normal_(self.position_embedding.weight, std=0.01)
        for layer in self.layers:
            nn.init.normal_(layer.mlp.linear_2.weight, std=0.00408)

    def forward(self, tokens: Tensor) -> Tensor:
        token_embedding = self.token_embedding(tokens)
        x = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        x = token_embedding + self.position_embedding(x)
        x = self.dropout(x)
        x = self.layers(x)
        return nn.functional.linear(self.norm(x), self.token_embedding.weight)
