"""Random cases of every family of kernels, compiled and run, against ONNX Runtime.

EFC_SWEEP_SEED (default 0) chooses the cases. A failure names the case; the model and its inputs stay in the test's folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sweep_cases import FAMILIES, Case, Generator, build_model, make_cases

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("EFC_BUILD_DIR", REPOSITORY / "build")).resolve()
sys.path.insert(0, str(REPOSITORY / "python"))

from edgefusion.accuracy import sqnr_db  # noqa: E402

SEED = int(os.environ.get("EFC_SWEEP_SEED", "0"))


def run_tool(name: str, *arguments: object) -> None:
    command = [str(BUILD / "bin" / name), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=1200, check=False)
    assert result.returncode == 0, f"{name} failed ({result.returncode}):\n{result.stderr[-4000:]}"


def to_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in float64, for a reference without the rounding of float32."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    for tensor in double.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for info in [*double.graph.input, *double.graph.output, *double.graph.value_info]:
        if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            info.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for node in double.graph.node:
        if node.op_type in ("GroupNormalization", "LayerNormalization"):
            node.attribute.append(onnx.helper.make_attribute("stash_type", onnx.TensorProto.DOUBLE))
    return double


def reference(path: Path, cases: list[Case], double: bool = False) -> list[np.ndarray]:
    """What ONNX Runtime computes, in float32 or in float64 (then rounded to float32)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    inputs = {name: value for case in cases for name, value in case.inputs.items()}
    model = onnx.load(path)
    if double:
        model = to_double(model)
        inputs = {name: value.astype(np.float64) if value.dtype == np.float32 else value for name, value in inputs.items()}
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results = session.run([case.output for case in cases], inputs)
    return [value.astype(np.float32) if value.dtype == np.float64 else value for value in results]


def run_artifact(path: Path, cases: list[Case], *options: object) -> list[np.ndarray]:
    """The outputs of the artifact `path` for the cases' inputs."""
    arguments: list[object] = [path, "--output-dir", path.parent / "out", *options]
    for case in cases:
        for name, value in case.inputs.items():
            np.save(path.parent / f"{name}.npy", value)
            arguments += ["--input", f"{name}={path.parent / name}.npy"]
    run_tool("efrun", *arguments)
    return [np.load(path.parent / "out" / f"{case.output}.npy") for case in cases]


def compiled(path: Path, cases: list[Case], threads: int = 2) -> list[np.ndarray]:
    """The outputs of the compiled model."""
    artifact = path.with_suffix(".efa")
    run_tool("efc", path, "-o", artifact, "--cpu=host")
    return run_artifact(artifact, cases, "--threads", threads)


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str, tmp_path: Path) -> None:
    cases = make_cases(name, SEED)
    path = tmp_path / f"{name}.onnx"
    onnx.save(build_model(cases), path)
    print(f"{name}: {len(cases)} cases of seed {SEED} in {tmp_path}")
    failures = []
    for case, expected, value in zip(cases, reference(path, cases, FAMILIES[name].double), compiled(path, cases), strict=True):
        if value.shape != expected.shape or value.dtype != expected.dtype:
            failures.append(f"{case.prefix}: {value.dtype}{value.shape} for {expected.dtype}{expected.shape}: {case.description}")
            continue
        quality = sqnr_db(expected, value)
        if quality < case.threshold_db:
            failures.append(f"{case.prefix}: {quality:.1f} dB, needs {case.threshold_db}: {case.description}")
    assert not failures, f"seed {SEED}, {len(failures)} of {len(cases)}:\n" + "\n".join(failures)


def test_threads_change_no_bit(tmp_path: Path) -> None:
    """Every family that sums, at sizes of several work items."""
    generator = Generator(SEED)
    cases = [Case(f"c{index}_", 0) for index in range(5)]
    x = generator.values(2, 40, 48, 48)
    cases[0].node("GroupNormalization", [cases[0].input(x), *(cases[0].weight(generator.values(40)) for _ in "ab")], num_groups=8)
    cases[0].shapes[cases[0].output] = x.shape
    cases[1].node("LayerNormalization", [cases[1].input(x), cases[1].weight(generator.values(48))])
    cases[2].node("Softmax", [cases[2].input(x)], axis=1)
    cases[3].node("ReduceMean", [cases[3].input(x), cases[3].weight(np.array([1, 3], np.int64))])
    cases[4].node("Conv", [cases[4].input(x), cases[4].weight(generator.values(24, 40, 3, 3))])
    path = tmp_path / "threads.onnx"
    onnx.save(build_model(cases), path)
    results = [compiled(path, cases, threads) for threads in (1, 2, 5)]
    for case, first, *others in zip(cases, *results, strict=True):
        assert all(np.array_equal(first, other) for other in others), f"seed {SEED}: {case.nodes[0].op_type}"
