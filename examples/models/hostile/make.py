"""Writes a model that asks its reader for a file outside of its folder. Hansa must refuse it; the demo shows that it does.

    pip install onnx==1.23.2
    python make.py
"""
import pathlib

from onnx import TensorProto, helper

weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
weights.data_location = TensorProto.EXTERNAL
weights.external_data.add(key="location", value="../../../../../../etc/hostname")
graph = helper.make_graph(
    [helper.make_node("Add", ["x", "w"], ["y"])],
    "hostile",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    [weights],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="hansa-examples")
model.ir_version = 9
(pathlib.Path(__file__).parent / "model.onnx").write_bytes(model.SerializeToString())
