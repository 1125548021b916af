"""Embeds texts with PyTorch and the `tokenizers` library: SOURCE TEXTS.json OUT.json, for comparison with a worker."""

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import tokenizers
import torch

from bert_torch import BertEncoder, mean_pooled
from model_source import read_source


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("texts", type=Path, help="JSON array of texts")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    source = read_source(arguments.source)
    tokenizer = tokenizers.Tokenizer.from_str(source.tokenizer.decode())
    # The file may ask for cutting and padding to one length; a worker does neither.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoder = BertEncoder(source)
    rows = []
    for text in json.loads(arguments.texts.read_text()):
        ids = torch.tensor([tokenizer.encode(text).ids])
        mask = torch.ones_like(ids)
        (vector,) = mean_pooled(encoder(ids, mask, torch.zeros_like(ids)), mask)
        rows.append({"text": text, "ids": ids[0].tolist(), "vector": [float(f"{x:.9g}") for x in vector.tolist()]})
    provenance = {
        "source": arguments.source.name,
        "made_by": "worker-image/export/embed_reference.py",
        "torch": version("torch"),
        "tokenizers": version("tokenizers"),
        "machine": platform.machine(),
    }
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    arguments.out.write_text(f'{{"provenance": {json.dumps(provenance)},\n"texts": [\n{lines}\n]}}\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
