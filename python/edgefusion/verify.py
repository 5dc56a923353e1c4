"""edgefusion verify: every tensor that a compiled model computes, against ONNX Runtime in float32 on the same inputs.

The runtime shows each result of each kernel launch with the name of the ONNX tensor that it stands for; ONNX Runtime is asked for
the same tensors of the original model. Results that stand for no tensor of the model (the compiler's own temporaries) cannot be
compared and are only counted. The compiler keeps images channels-last: a result is compared as it is and with its channels moved
last, and the nearer counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx

from edgefusion import accuracy, reference
from edgefusion.errors import UserError
from edgefusion.session import Session

#: Reference tensors held in memory at a time.
_GROUP_BYTES = 1 << 30
#: A tensor this near to its reference is never bad, however small the reference itself.
_ROUNDING_NOISE = 1e-6


@dataclass
class TensorCheck:
    """One tensor of the compiled model beside ONNX Runtime's."""

    tensor: str
    node: str
    op: str
    shape: list[int]
    sqnr_db: float
    largest_error: float
    bad: bool


@dataclass
class Verification:
    """All checks in execution order, and the number of results that stand for no tensor of the model."""

    checks: list[TensorCheck]
    uncompared: int
    threshold_db: float

    @property
    def first_bad(self) -> TensorCheck | None:
        return next((check for check in self.checks if check.bad), None)

    def as_json(self) -> str:
        first = self.first_bad
        content = {
            "threshold_db": self.threshold_db,
            "uncompared_results": self.uncompared,
            "first_bad": first.tensor if first else None,
            "checks": [asdict(check) for check in self.checks],
        }
        return json.dumps(accuracy.as_json(content), indent=1) + "\n"

    def as_table(self, all_rows: bool = False) -> str:
        """The worst tensors (or all, in execution order) with a line of summary."""
        rows = self.checks if all_rows else sorted(self.checks, key=lambda check: check.sqnr_db)[:20]
        lines = [f"{'SQNR dB':>9}  {'max error':>9}  {'operation':<32}  node"]
        for check in rows:
            mark = "  <- bad" if check.bad else ""
            lines.append(f"{check.sqnr_db:9.1f}  {check.largest_error:9.2e}  {check.op[:32]:<32}  {check.node}{mark}")
        bad = sum(check.bad for check in self.checks)
        lines.append(
            f"{len(self.checks)} tensors compared, {bad} under {self.threshold_db:g} dB; "
            f"{self.uncompared} results stand for no tensor of the model"
        )
        if first := self.first_bad:
            lines.append(f"first bad: tensor '{first.tensor}' of node '{first.node}' ({first.op}), {first.sqnr_db:.1f} dB")
        return "\n".join(lines)


@dataclass
class _Result:
    tensor: str
    node: str
    op: str
    shape: tuple[int, ...]
    num_bytes: int


def _channels_last(value: np.ndarray) -> np.ndarray:
    return np.moveaxis(value, 1, -1)


def nearest(expected: np.ndarray, actual: np.ndarray) -> tuple[float, float]:
    """SQNR and largest error of `actual` in the layout where it is nearest to `expected`."""
    layouts = [expected]
    if expected.ndim >= 3:
        layouts.append(_channels_last(expected))
    ratio, negative_error = max(
        (accuracy.sqnr_db(layout, actual), -accuracy.largest_error(layout, actual))
        for layout in layouts
        if layout.size == actual.size
    )
    return ratio, abs(negative_error)


def _exposing_session(model: onnx.ModelProto, folder: Path, tensors: list[str]) -> reference.onnxruntime.InferenceSession:
    """ONNX Runtime on `model` with `tensors` as its outputs, without rewriting the graph."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    options = reference.session_options(optimised=False)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return reference.open_session(exposed.SerializeToString(), options)


def _groups(results: list[_Result]) -> Iterator[list[_Result]]:
    """Consecutive results whose reference tensors fit in memory together."""
    group: list[_Result] = []
    num_bytes = 0
    for result in results:
        if group and num_bytes + result.num_bytes > _GROUP_BYTES:
            yield group
            group, num_bytes = [], 0
        group.append(result)
        num_bytes += result.num_bytes
    if group:
        yield group


def _load_model(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path, load_external_data=False)
    except OSError as error:
        raise UserError(f"cannot read the model '{path}': {error.strerror}") from error
    except Exception as error:  # protobuf's DecodeError, whose class depends on its implementation
        raise UserError(f"'{path}' is not an ONNX model: {error}") from error


def verify(
    model: Path,
    artifact: Path,
    *,
    inputs: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
    threads: int = 0,
    threshold_db: float = 60.0,
) -> Verification:
    """Runs `artifact` and its `model` on the same seeded inputs (those in `inputs` given) and compares all that can be.

    A tensor is bad below `threshold_db`, unless its largest error is rounding noise around zero.
    """
    graph = _load_model(model)
    session = Session(artifact, threads=threads)
    shapes = {port.name: port.shape for port in session.inputs}
    feed = reference.seeded_inputs(reference.session(model), seed, inputs, shapes)
    known = {name for node in graph.graph.node for name in node.output if name}

    results: list[_Result] = []
    uncompared = 0

    def record(tensor: str, node: str, op: str, value: np.ndarray) -> None:
        nonlocal uncompared
        if tensor in known and value.dtype.kind in "fib":
            results.append(_Result(tensor, node, op, value.shape, value.nbytes))
        else:
            uncompared += 1

    session.run_observed(feed, record)
    checks: list[TensorCheck] = []
    for group in _groups(results):
        wanted = {result.tensor for result in group}
        running = _exposing_session(graph, model.parent.resolve(), sorted(wanted))
        expected = reference.run(running, feed)
        seen: set[str] = set()

        def compare(tensor: str, node: str, op: str, value: np.ndarray, expected: dict = expected, seen: set = seen) -> None:
            if tensor not in expected or expected[tensor].size != value.size or tensor in seen:
                return
            seen.add(tensor)
            ratio, error = nearest(expected[tensor], value)
            bad = ratio < threshold_db and error > _ROUNDING_NOISE
            checks.append(TensorCheck(tensor, node, op, list(value.shape), ratio, error, bad))

        session.run_observed(feed, compare)
        uncompared += sum(result.tensor not in seen for result in group)
    return Verification(checks, uncompared, threshold_db)
