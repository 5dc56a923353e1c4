"""Small ONNX models, good and bad, that the tests of user errors feed to the tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20


def mlp(seed: int = 0, width: int = 32) -> onnx.ModelProto:
    """x f32[4,width] -> Relu(x W + b) V, with random weights."""
    generator = np.random.default_rng(seed)
    weights = {
        "W": generator.standard_normal((width, width), np.float32),
        "b": generator.standard_normal(width, np.float32),
        "V": generator.standard_normal((width, 8), np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "W", "b"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "V"], ["y"], name="second"),
    ]
    return model(nodes, {"x": [4, width]}, {"y": [4, 8]}, weights)


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    weights: dict[str, np.ndarray] | None = None,
    dtype: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def save(content: onnx.ModelProto, path: Path) -> Path:
    onnx.save(content, path)
    return path


def save_external(content: onnx.ModelProto, path: Path) -> Path:
    """Saves with every weight in `path`_data."""
    onnx.save(content, path, save_as_external_data=True, location=path.name + "_data", size_threshold=0)
    return path


def redirect_external(path: Path, key: str, value: str) -> None:
    """Sets one entry (location, offset, length) of every external weight of the model at `path`."""
    content = onnx.load(path, load_external_data=False)
    for tensor in content.graph.initializer:
        kept = [(entry.key, entry.value) for entry in tensor.external_data if entry.key != key]
        del tensor.external_data[:]
        for name, text in [*kept, (key, value)]:
            tensor.external_data.add(key=name, value=text)
    path.write_bytes(content.SerializeToString())
