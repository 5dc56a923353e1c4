"""The reference every result is held against: ONNX Runtime in float32, on inputs drawn from a seed.

`python -m edgefusion.reference MODEL.onnx -o DIR` writes DIR/inputs/NAME.npy and DIR/outputs/NAME.npy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from edgefusion.errors import UserError

#: NumPy's type for each tensor type that ONNX Runtime names.
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
#: Integers are drawn below this: valid token ids of every text encoder and valid timesteps of every scheduler in use.
_INTEGER_LIMIT = 1000


def session_options(threads: int = 0, optimised: bool = True) -> onnxruntime.SessionOptions:
    """Options for the CPU; `threads` 0 lets ONNX Runtime choose. Not `optimised`: every node runs as it stands in the model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def open_session(model: Path | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU; raises UserError where it refuses the model."""
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no documented base
        raise UserError(f"ONNX Runtime cannot load the model: {str(error).splitlines()[0]}") from error


def session(model: Path | bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session at its usual settings."""
    return open_session(model, session_options(threads))


def seeded_inputs(
    running: onnxruntime.InferenceSession,
    seed: int,
    given: Mapping[str, np.ndarray] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, np.ndarray]:
    """Standard normal floats and small non-negative integers for each input of `running`.

    `given` replaces some of them. Symbolic dimensions take their size from `shapes`, and are 1 where it says nothing.
    """
    generator = np.random.default_rng(seed)
    inputs: dict[str, np.ndarray] = {}
    for port in running.get_inputs():
        dtype = np.dtype(_DTYPES[port.type])
        shape = (shapes or {}).get(port.name) or [size if isinstance(size, int) else 1 for size in port.shape]
        if dtype.kind == "f":
            value = generator.standard_normal(shape, np.float32).astype(dtype)
        else:
            limit = {"b": 2, "i": 128 if dtype.itemsize == 1 else _INTEGER_LIMIT}.get(dtype.kind, 128)
            value = generator.integers(0, limit, shape).astype(dtype)
        inputs[port.name] = value
    for name, value in (given or {}).items():
        if name not in inputs:
            raise UserError(f"the model has no input '{name}'; its inputs are {', '.join(inputs)}")
        inputs[name] = value.astype(inputs[name].dtype).reshape(inputs[name].shape)
    return inputs


def run(running: onnxruntime.InferenceSession, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs by name."""
    names = [port.name for port in running.get_outputs()]
    return dict(zip(names, running.run(names, dict(inputs)), strict=True))


def write(model: Path, folder: Path, seed: int, given: Mapping[str, np.ndarray] | None = None) -> None:
    """Runs `model` once and saves what went in and came out under `folder`."""
    running = session(model)
    inputs = seeded_inputs(running, seed, given)
    for kind, tensors in (("inputs", inputs), ("outputs", run(running, inputs))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, value in tensors.items():
            np.save(folder / kind / f"{name}.npy", value)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fill", action="append", default=[], metavar="NAME=VALUE", help="fill an input with one value")
    parser.add_argument("--scale", action="append", default=[], metavar="NAME=FACTOR", help="scale an input's random values")
    parsed = parser.parse_args(arguments)
    drawn = seeded_inputs(session(parsed.model), parsed.seed)
    given = {}
    for name, value in (item.split("=", 1) for item in parsed.fill):
        given[name] = np.full_like(drawn[name], float(value))
    for name, value in (item.split("=", 1) for item in parsed.scale):
        given[name] = drawn[name] * np.float32(value)
    write(parsed.model, parsed.output, parsed.seed, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
