"""The same encoder in plain PyTorch, from the same weights: what the ONNX graph is compared with."""

import torch
from torch.nn import functional as F

from model_source import ModelSource


class BertEncoder:
    def __init__(self, source: ModelSource):
        self.config = source.config
        self.w = {name: torch.from_numpy(value) for name, value in source.weights.items()}

    def linear(self, x: torch.Tensor, prefix: str) -> torch.Tensor:
        return F.linear(x, self.w[f"{prefix}.weight"], self.w[f"{prefix}.bias"])

    def norm(self, x: torch.Tensor, prefix: str) -> torch.Tensor:
        return F.layer_norm(x, (self.config.hidden,), self.w[f"{prefix}.weight"], self.w[f"{prefix}.bias"], self.config.epsilon)

    @torch.inference_mode()
    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """[batch, sequence] int64 each -> [batch, sequence, hidden] float32."""
        batch, length = ids.shape
        heads = self.config.heads
        embedded = self.w["embeddings.word_embeddings.weight"][ids] + self.w["embeddings.token_type_embeddings.weight"][types]
        state = self.norm(embedded + self.w["embeddings.position_embeddings.weight"][:length], "embeddings.LayerNorm")
        keep = mask.bool()[:, None, None, :]
        for layer in range(self.config.layers):
            p = f"encoder.layer.{layer}"
            query, key, value = (
                self.linear(state, f"{p}.attention.self.{part}").view(batch, length, heads, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=keep)
            mixed = mixed.transpose(1, 2).reshape(batch, length, -1)
            state = self.norm(state + self.linear(mixed, f"{p}.attention.output.dense"), f"{p}.attention.output.LayerNorm")
            inner = F.gelu(self.linear(state, f"{p}.intermediate.dense"))
            state = self.norm(state + self.linear(inner, f"{p}.output.dense"), f"{p}.output.LayerNorm")
        return state


def mean_pooled(state: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the tokens that the mask keeps, scaled to length 1."""
    weights = mask.unsqueeze(-1).to(state.dtype)
    return F.normalize((state * weights).sum(1) / weights.sum(1), dim=-1)
