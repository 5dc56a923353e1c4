"""Truncated and bit-flipped models: the importer answers with a sentence or a module that can be run; it never crashes."""

from __future__ import annotations

import json
import pathlib
import random
import subprocess

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

SEED = 20240611
NUM_FLIPS = 600


def build_model() -> bytes:
    """A small network with every kind of place that a length can be wrong in: weights, constants, a branch, a function."""
    rng = np.random.default_rng(SEED)
    weights = [
        numpy_helper.from_array(rng.standard_normal((8, 3, 3, 3), dtype=np.float32), "filter"),
        numpy_helper.from_array(np.array([1, -1], dtype=np.int64), "shape"),
        helper.make_tensor("floats", onnx.TensorProto.FLOAT, [128], rng.standard_normal(128).tolist()),
    ]
    branch = helper.make_graph(
        [helper.make_node("Relu", ["flat"], ["kept"])],
        "branch",
        [],
        [helper.make_tensor_value_info("kept", onnx.TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Conv", ["x", "filter"], ["conv"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("twice", ["conv"], ["double"], domain="local"),
        helper.make_node("Reshape", ["double", "shape"], ["flat"]),
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", onnx.TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["yes"], ["branched"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["branched", "floats"], ["y"]),
    ]
    twice = helper.make_function(
        "local", "twice", ["t"], ["u"], [helper.make_node("Add", ["t", "t"], ["u"])], [helper.make_opsetid("", 17)]
    )
    graph = helper.make_graph(
        nodes,
        "damaged",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[twice], ir_version=8)
    return model.SerializeToString()


def write_case(folder: pathlib.Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    np.save(folder / "input_0.npy", np.ones((1, 3, 4, 4), dtype=np.float32))


def test_damaged_files_give_sentences(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    content = build_model()
    write_case(tmp_path / "whole", content)
    lengths = sorted({rng.randrange(len(content)) for _ in range(150)} | set(range(0, 60)))
    for length in lengths:
        write_case(tmp_path / f"cut{length}", content[:length])
    structure = [i for i in range(len(content)) if not 100 < i < 900] or list(range(len(content)))
    for number in range(NUM_FLIPS):
        flipped = bytearray(content)
        for _ in range(1 + number % 3):
            flipped[rng.choice(structure)] ^= 1 << rng.randrange(8)
        write_case(tmp_path / f"flip{number}", bytes(flipped))

    tool = pathlib.Path(request.config.getoption("--build-dir")) / "bin" / "efc-interpret"
    report = tmp_path / "outcomes.json"
    done = subprocess.run([tool, "--cases", tmp_path, "--json", report], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    outcomes: dict[str, str] = json.loads(report.read_text())
    assert outcomes["whole"] == ""
    assert len(outcomes) == 1 + len(lengths) + NUM_FLIPS
    cut = [outcomes[f"cut{length}"] for length in lengths]
    assert all(cut), "a truncated model was accepted"
