"""Writes a BERT encoder as an ONNX graph of standard operators, from its weights alone: no tracing, so nothing is specialised."""

import math

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from model_source import ModelSource

OPSET = 18


class GraphWriter:
    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.nodes = []
        self.constants = {}

    def op(self, kind: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = value
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def linear(self, value: str, prefix: str) -> str:
        # PyTorch keeps the matrix as [out, in].
        matrix = self.constant(f"{prefix}.matrix", np.ascontiguousarray(self.weights[f"{prefix}.weight"].T))
        product = self.op("MatMul", [value, matrix], f"{prefix}.product")
        return self.op("Add", [product, self.weight(f"{prefix}.bias")], f"{prefix}.out")

    def norm(self, value: str, prefix: str, epsilon: float, name: str) -> str:
        scale, bias = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        return self.op("LayerNormalization", [value, scale, bias], name, axis=-1, epsilon=epsilon)

    def gelu(self, value: str, prefix: str) -> str:
        scaled = self.op("Mul", [value, self.constant("sqrt_half", np.float32(math.sqrt(0.5)))], f"{prefix}.scaled")
        grown = self.op("Add", [self.op("Erf", [scaled], f"{prefix}.erf"), self.constant("one", np.float32(1))], f"{prefix}.grown")
        halved = self.op("Mul", [value, self.constant("half", np.float32(0.5))], f"{prefix}.halved")
        return self.op("Mul", [halved, grown], f"{prefix}.gelu")


def bert_graph(source: ModelSource) -> ModelProto:
    """input_ids, attention_mask, token_type_ids [batch, sequence] int64 -> last_hidden_state [batch, sequence, hidden] float32."""
    config = source.config
    g = GraphWriter(source.weights)
    ints = lambda name, *values: g.constant(name, np.array(values, dtype=np.int64))

    length = g.op("Shape", ["input_ids"], "length", start=1, end=2)
    positions = g.op(
        "Slice",
        [g.weight("embeddings.position_embeddings.weight"), ints("from_0", 0), length, ints("axis_0", 0)],
        "positions",
    )
    words = g.op("Gather", [g.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    types = g.op("Gather", [g.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"], "types")
    summed = g.op("Add", [g.op("Add", [words, types], "words_and_types"), positions], "embedded")
    state = g.norm(summed, "embeddings.LayerNorm", config.epsilon, "layer_in.0")

    # 0 where a token is, the lowest float where padding is, added to the scores of attention.
    mask = g.op("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    mask = g.op("Unsqueeze", [mask, ints("axes_1_2", 1, 2)], "mask_4d")
    mask = g.op("Sub", [g.constant("one", np.float32(1)), mask], "mask_away")
    mask = g.op("Mul", [mask, g.constant("lowest", np.float32(np.finfo(np.float32).min))], "mask_added")

    head = config.hidden // config.heads
    split, joined = ints("split", 0, 0, config.heads, head), ints("joined", 0, 0, config.hidden)
    scale = g.constant("scale", np.float32(1 / math.sqrt(head)))
    for layer in range(config.layers):
        p = f"encoder.layer.{layer}"

        def heads(part: str, order: list[int]) -> str:
            value = g.linear(state, f"{p}.attention.self.{part}")
            value = g.op("Reshape", [value, split], f"{p}.{part}.split")
            return g.op("Transpose", [value], f"{p}.{part}.heads", perm=order)

        query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
        scores = g.op("Mul", [g.op("MatMul", [query, key], f"{p}.scores"), scale], f"{p}.scaled_scores")
        shares = g.op("Softmax", [g.op("Add", [scores, mask], f"{p}.masked")], f"{p}.shares", axis=-1)
        context = g.op("Transpose", [g.op("MatMul", [shares, value], f"{p}.mixed")], f"{p}.context_heads", perm=[0, 2, 1, 3])
        context = g.op("Reshape", [context, joined], f"{p}.context")
        attended = g.op("Add", [g.linear(context, f"{p}.attention.output.dense"), state], f"{p}.attended")
        attended = g.norm(attended, f"{p}.attention.output.LayerNorm", config.epsilon, f"{p}.attended_norm")
        inner = g.gelu(g.linear(attended, f"{p}.intermediate.dense"), f"{p}.intermediate")
        out = g.op("Add", [g.linear(inner, f"{p}.output.dense"), attended], f"{p}.sum")
        name = "last_hidden_state" if layer == config.layers - 1 else f"layer_in.{layer + 1}"
        state = g.norm(out, f"{p}.output.LayerNorm", config.epsilon, name)

    ids = lambda name: helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", config.hidden])
    graph = helper.make_graph(
        g.nodes,
        "bert",
        [ids("input_ids"), ids("attention_mask"), ids("token_type_ids")],
        [output],
        [numpy_helper.from_array(value, name) for name, value in g.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9, producer_name="hansa")
    checker.check_model(model, full_check=True)
    return model
