"""ViT-B/16 in PyTorch, compiled by netspec from `vit_b_16`."""

import torch
from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.normal_(module.bias, std=1e-06)


class Mlp(nn.Module):
    """Maps (N, L, in_features) to (N, L, in_features)."""

    def __init__(self, in_features: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, width)
        self.gelu = nn.GELU()
        self.dropout = nn.Dropout(0.0)
        self.linear_2 = nn.Linear(width, in_features)
        self.dropout_2 = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        x = self.gelu(x)
        x = self.dropout(x)
        x = self.linear_2(x)
        return self.dropout_2(x)


class EncoderLayer(nn.Module):
    """Maps (N, L, in_features) to (N, L, in_features)."""

    def __init__(self, in_features: int, heads: int, mlp_width: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(in_features, eps=1e-06)
        self.self_attention = nn.MultiheadAttention(
            in_features, heads, batch_first=True
        )
        self.dropout = nn.Dropout(0.0)
        self.ln_2 = nn.LayerNorm(in_features, eps=1e-06)
        self.mlp = Mlp(in_features, mlp_width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.ln_1(x)
        out = self.self_attention(out, out, out, need_weights=False)[0]
        x = x + self.dropout(out)
        out = self.ln_2(x)
        return x + self.mlp(out)


class VitB16(nn.Module):
    """ViT-B/16.

    Dosovitskiy et al. 2020, arXiv:2010.11929, Table 1, Base, with patches of 16 x
    16

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(
        self,
        classes: int = 1000,
        patch: int = 16,
        width: int = 768,
        heads: int = 12,
        mlp_width: int = 3072,
    ) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, stride=patch)
        self.flatten = nn.Flatten(start_dim=2)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(
            torch.zeros(1, 1 + 224 // patch * (224 // patch), width)
        )
        self.dropout = nn.Dropout(0.0)
        self.layers = nn.Sequential(
            *(EncoderLayer(width, heads, mlp_width) for _ in range(12))
        )
        self.ln = nn.LayerNorm(width, eps=1e-06)
        self.head = nn.Linear(width, classes)
        self.apply(init_weights)
        nn.init.trunc_normal_(self.conv_proj.weight, std=0.0361)
        for layer in (self.conv_proj, self.head):
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.pos_embedding, std=0.02)
        nn.init.zeros_(self.head.weight)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv_proj(image)
        patches = self.flatten(x).transpose(1, 2)
        tokens = torch.cat(
            [self.class_token.expand(patches.shape[0], -1, -1), patches], dim=1
        )
        x = tokens + self.pos_embedding
        x = self.dropout(x)
        x = self.layers(x)
        x = self.ln(x)[:, 0]
        return self.head(x)
