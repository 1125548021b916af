"""Trains the digits models of the demo and writes them as ONNX, byte for byte the same on every run of one machine.

Data: the Optical Recognition of Handwritten Digits set (E. Alpaydin, C. Kaynak, 1998, UCI Machine Learning Repository, CC BY 4.0)
in the form that scikit-learn ships, copied to digits.csv (1,797 images of 8x8 pixels, values 0..16, then the digit). One image in
five is held out: no model sees it.

    pip install scikit-learn==1.9.1 onnx==1.23.2
    python train.py
"""
import hashlib
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.neural_network import MLPClassifier

HERE = pathlib.Path(__file__).parent
VERSIONS = {"v1": (16,), "v2": (128, 64)}


def network(classifier: MLPClassifier, name: str) -> onnx.ModelProto:
    constants = [numpy_helper.from_array(np.array(16.0, np.float32), "scale")]
    nodes = [helper.make_node("Div", ["image", "scale"], ["h0"])]
    layers = len(classifier.coefs_)
    for i, (weight, bias) in enumerate(zip(classifier.coefs_, classifier.intercepts_)):
        constants += [
            numpy_helper.from_array(weight.astype(np.float32), f"w{i}"),
            numpy_helper.from_array(bias.astype(np.float32), f"b{i}"),
        ]
        last = i == layers - 1
        nodes.append(helper.make_node("Gemm", [f"h{i}", f"w{i}", f"b{i}"], ["logits" if last else f"a{i}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"a{i}"], [f"h{i + 1}"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    nodes.append(helper.make_node("ArgMax", ["logits"], ["digit"], axis=1, keepdims=0))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 64])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10]),
            helper.make_tensor_value_info("digit", TensorProto.INT64, ["batch"]),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="hansa-examples")
    model.ir_version = 9
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    table = np.loadtxt(HERE / "digits.csv", delimiter=",", skiprows=1)
    x, y = table[:, :64], table[:, 64].astype(np.int64)
    held_out = np.arange(len(x)) % 5 == 4
    report = {}
    for version, hidden in VERSIONS.items():
        classifier = MLPClassifier(hidden, max_iter=400, random_state=7, alpha=1e-3)
        classifier.fit(x[~held_out] / 16.0, y[~held_out])
        folder = HERE / version
        folder.mkdir(exist_ok=True)
        content = network(classifier, f"digits-{version}").SerializeToString()
        (folder / "model.onnx").write_bytes(content)
        report[version] = {
            "hidden": list(hidden),
            "accuracyOnHeldOut": round(float(classifier.score(x[held_out] / 16.0, y[held_out])), 4),
            "sha256": hashlib.sha256(content).hexdigest(),
            "sizeBytes": len(content),
        }
    images = [{"digit": int(d), "image": [int(v) for v in row]} for row, d in zip(x[held_out], y[held_out])]
    lines = ",\n".join(json.dumps(i, separators=(",", ":")) for i in images)
    (HERE / "held-out.json").write_text(f"[\n{lines}\n]\n")
    (HERE / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


main()
