"""Compares a graph with the PyTorch encoder, evaluated by the `onnx` package's own reference implementation."""

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator

from bert_torch import BertEncoder
from model_source import ModelSource

TOLERANCE = 1e-4


def compare_graph(model: bytes, source: ModelSource) -> bool:
    """Runs both at two batch sizes, with padding in one row, and prints the largest difference on real tokens."""
    evaluator = ReferenceEvaluator(onnx.load_model_from_string(model))
    encoder = BertEncoder(source)
    draw = np.random.default_rng(7)
    holds = True
    for batch, length in ((1, 5), (3, 16)):
        ids = draw.integers(0, source.config.vocabulary, (batch, length))
        mask = np.ones((batch, length), dtype=np.int64)
        mask[-1, max(2, length // 2) :] = 0
        types = np.zeros((batch, length), dtype=np.int64)
        (ours,) = evaluator.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        theirs = encoder(torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(types)).numpy()
        difference = float(np.abs(ours - theirs)[mask == 1].max())
        holds = holds and difference <= TOLERANCE
        print(f"batch {batch}, {length} tokens: differs from PyTorch by at most {difference:.2e} (tolerance {TOLERANCE:.0e})")
    return holds
