"""ONNX's own node tests as folders on disk: a model, its inputs, and what it must give.

The tests pass everything as an input, also what a compiler must know (the shape of a Reshape, the axes of a reduction).
Such inputs become initializers here, with the test's own value: the table `KNOWN_OPERANDS` says which. Dimensions are
those of the data.
"""

from __future__ import annotations

import dataclasses
import pathlib
import warnings

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

# Operands that must be known when a model is compiled: the result's shape, or what is computed, depends on them.
KNOWN_OPERANDS: dict[str, set[int]] = {
    "Attention": {6},
    "CenterCropPad": {1},
    "Compress": {1},
    "ConstantOfShape": {0},
    "CumSum": {1},
    "CumProd": {1},
    "Dropout": {1, 2},
    "Expand": {1},
    "If": {0},
    "OneHot": {1},
    "Pad": {1, 3},
    "Range": {0, 1, 2},
    "Reshape": {1},
    "Resize": {1, 2, 3},
    "ReverseSequence": {1},
    "Slice": {1, 2, 3, 4},
    "Split": {1},
    "Squeeze": {1},
    "Tile": {1},
    "TopK": {1},
    "Trilu": {1},
    "Unsqueeze": {1},
    "Upsample": {1},
} | {f"Reduce{kind}": {1} for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")}


@dataclasses.dataclass
class Case:
    """One test: its model (with known operands as initializers), inputs, expected outputs and tolerances."""

    name: str
    model: onnx.ModelProto
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    rtol: float
    atol: float


class UnusableCase(ValueError):
    """The test needs something that is not a tensor, or that .npy files do not hold."""


def _as_array(value: object) -> np.ndarray:
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    if isinstance(value, (bool, int, float, np.generic)):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise UnusableCase("an input or output is a sequence, a map or an optional value")
    if value.dtype == object or value.dtype.kind in "USc":
        raise UnusableCase("an input or output holds strings or complex numbers")
    return value


def _known_inputs(model: onnx.ModelProto) -> set[str]:
    names = set()
    for node in model.graph.node:
        for index in KNOWN_OPERANDS.get(node.op_type, set()):
            if index < len(node.input):
                names.add(node.input[index])
    return names


def _prepare(test: object, known_positions: set[int]) -> Case:
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    inputs, outputs = test.data_sets[0]
    graph = model.graph
    known = _known_inputs(model)
    arrays: list[np.ndarray] = []
    remaining: list[onnx.ValueInfoProto] = []
    for position, (info, value) in enumerate(zip(graph.input, inputs, strict=True)):
        array = _as_array(value)
        if info.name in known or position in known_positions:
            graph.initializer.append(numpy_helper.from_array(array, info.name))
            continue
        tensor = info.type.tensor_type
        tensor.ClearField("shape")
        tensor.shape.SetInParent()
        for extent in array.shape:
            tensor.shape.dim.add().dim_value = extent
        arrays.append(array)
        remaining.append(info)
    kept = [onnx.ValueInfoProto.FromString(info.SerializeToString()) for info in remaining]
    del graph.input[:]
    graph.input.extend(kept)
    return Case(test.name, model, arrays, [_as_array(value) for value in outputs], test.rtol, test.atol)


def collect() -> tuple[dict[str, Case], dict[str, str]]:
    """All usable node tests by name, and why the others are not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        tests = {test.name: test for test in collect_testcases(None)}
    cases: dict[str, Case] = {}
    unusable: dict[str, str] = {}
    for name, test in tests.items():
        # What an expanded function must know is what the function itself must.
        original = tests.get(name.split("_expanded")[0], test)
        known = _known_inputs(original.model)
        positions = {i for i, info in enumerate(original.model.graph.input) if info.name in known}
        try:
            cases[name] = _prepare(test, positions)
        except UnusableCase as reason:
            unusable[name] = str(reason)
    return cases, unusable


def save_array(path: pathlib.Path, array: np.ndarray) -> None:
    """Writes a .npy file; bfloat16 as two bytes without a type, which NumPy does not know."""
    if array.dtype == ml_dtypes.bfloat16:
        array = array.view("V2")
    np.save(path, np.asarray(array, order="C"))


def load_array(path: pathlib.Path) -> np.ndarray:
    array = np.load(path)
    return array.view(ml_dtypes.bfloat16) if array.dtype.kind == "V" else array


def write_case(case: Case, folder: pathlib.Path) -> None:
    """model.onnx, input_0.npy, ... in `folder`."""
    folder.mkdir(parents=True)
    onnx.save(case.model, folder / "model.onnx")
    for index, array in enumerate(case.inputs):
        save_array(folder / f"input_{index}.npy", array)


def check_results(case: Case, folder: pathlib.Path) -> str:
    """Compares result_0.npy, ... with what the test expects; the first difference as a sentence, or nothing."""
    for index, expected in enumerate(case.outputs):
        path = folder / f"result_{index}.npy"
        if not path.exists():
            return f"output {index} is missing"
        actual = load_array(path)
        if actual.dtype != expected.dtype or actual.shape != expected.shape:
            return f"output {index} is {actual.dtype}{list(actual.shape)}, expected {expected.dtype}{list(expected.shape)}"
        if expected.dtype == ml_dtypes.bfloat16 or expected.dtype.kind == "f":
            # ONNX's expectations of 16-bit floats are rounded after each step of their own; two units in the last place.
            rtol = max(case.rtol, 2 * float(ml_dtypes.finfo(expected.dtype).eps))
            actual, expected = actual.astype(np.float64), expected.astype(np.float64)
            close = np.isclose(actual, expected, rtol=rtol, atol=case.atol, equal_nan=True)
        else:
            close = actual == expected
        if not np.all(close):
            where = tuple(int(i) for i in np.argwhere(~close)[0])
            return f"output {index} at {list(where)} is {actual[where]}, expected {expected[where]}"
    return ""
