"""edgefusion quality: what W8A16 costs a model, end to end and tensor by tensor.

Three artifacts for the CPU run on the same samples: float32, `w8` (weights rounded, activations in float) and `w8a16`. The output
of the last against ONNX Runtime float32 is the whole error; against `w8` it is the activations' own part. Each tensor that both
the float32 and the w8a16 artifact compute is compared, worst first: its error is what all layers up to it add up to, and beside
it stands what its own rounding to int16 would give alone, so that a tensor that one scale does not suit is told from those that
only inherit an error. An artifact does not keep the scale of an int16 tensor in the middle of the model: the one that fits the
float32 tensor best (least squares) stands for it.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefusion import accuracy, calibrate, reference
from edgefusion.compiler import compile
from edgefusion.session import Session

_VARIANTS: dict[str, dict[str, str]] = {"f32": {}, "w8": {"quantize": "w8"}, "w8a16": {"quantize": "w8a16"}}


@dataclass
class OutputQuality:
    """SQNR in dB of one output over all samples together."""

    output: str
    float32: float
    weights_alone: float
    total: float
    activations_own: float
    total_by_sample: list[float]


@dataclass
class TensorQuality:
    tensor: str
    node: str
    op: str
    #: Of the tensor in the w8a16 artifact against float32.
    sqnr_db: float
    #: Of rounding the exact tensor to integers of its scale; infinite for one that stays in float.
    rounding_db: float


@dataclass
class Quality:
    outputs: list[OutputQuality]
    tensors: list[TensorQuality]
    samples: int

    def as_json(self) -> str:
        return json.dumps(accuracy.as_json(asdict(self)), indent=1) + "\n"

    def as_table(self, rows: int) -> str:
        lines = [f"SQNR in dB against ONNX Runtime float32, {self.samples} samples:"]
        for output in self.outputs:
            each = ", ".join(f"{value:.1f}" for value in output.total_by_sample)
            lines += [
                f"  {output.output}: w8a16 {output.total:.2f} (by sample {each}); weights alone {output.weights_alone:.2f}; "
                f"float32 {output.float32:.1f}",
                f"  {output.output}: the activations' own part (w8a16 against weights alone) {output.activations_own:.2f}",
            ]
        lines.append("Tensors, worst first: SQNR of w8a16 against float32, and what rounding this tensor alone would give:")
        lines.append(f"{'SQNR dB':>9} {'alone':>8}  {'operation':<32}  node")
        for check in self.tensors[:rows]:
            alone = f"{check.rounding_db:8.1f}" if math.isfinite(check.rounding_db) else f"{'float':>8}"
            lines.append(f"{check.sqnr_db:9.2f} {alone}  {check.op[:32]:<32}  {check.node}")
        return "\n".join(lines)


def _pooled(reference_values: Sequence[np.ndarray], values: Sequence[np.ndarray]) -> float:
    return accuracy.sqnr_db(np.concatenate([v.ravel() for v in reference_values]), np.concatenate([v.ravel() for v in values]))


def _scale(value: np.ndarray, expected: np.ndarray) -> float:
    """What integers are multiplied by to be nearest to `expected`; 1 for floats."""
    power = float(np.vdot(value, value))
    return float(np.vdot(value, expected)) / power if power > 0 else 1.0


def compare(tensor: str, node: str, op: str, value: np.ndarray, expected: np.ndarray) -> TensorQuality:
    """`value` (int16 or float, any shape with as many elements) against the float32 tensor `expected`."""
    real, rounding = value.astype(np.float64).reshape(expected.shape), math.inf
    if value.dtype.kind == "i":
        scale = _scale(real, expected)
        real *= scale
        # Rounding errors are uniform over a step: their variance is scale^2 / 12.
        power, noise = float(np.mean(np.square(expected, dtype=np.float64))), scale * scale / 12
        rounding = 10 * math.log10(power / noise) if power > 0 and noise > 0 else math.inf
    return TensorQuality(tensor, node, op, accuracy.sqnr_db(expected, real), rounding)


def _compare_tensors(exact: Session, quantized: Session, sample: calibrate.Sample) -> list[TensorQuality]:
    expected: dict[str, np.ndarray] = {}
    checks: dict[str, TensorQuality] = {}

    def keep(tensor: str, node: str, op: str, value: np.ndarray) -> None:
        if tensor and value.dtype == np.float32:
            expected[tensor] = value.copy()

    def check(tensor: str, node: str, op: str, value: np.ndarray) -> None:
        known = expected.get(tensor)
        if known is None or known.size != value.size:
            return
        # A kernel's last launch with the tensor's name gives the tensor.
        checks[tensor] = compare(tensor, node, op, value, known)

    exact.run_observed(sample, keep)
    quantized.run_observed(sample, check)
    return sorted(checks.values(), key=lambda check: check.sqnr_db)


def quality(
    model: Path,
    calibration: Path,
    *,
    inputs: Sequence[Path] = (),
    seed: int = 0,
    threads: int = 0,
    keep_float: str = "",
    **options: Any,  # noqa: ANN401 - of edgefusion.compile
) -> Quality:
    """Measures `model` with the table `calibration` on the samples of .npz files, or on one seeded random sample."""
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for name, choice in _VARIANTS.items():
            artifact = Path(folder) / f"{name}.efa"
            extra = {**choice, "keep_float": keep_float} if choice else {}
            if name == "w8a16":
                extra["calibration"] = str(calibration)
            compile(model, artifact, cpu="host", **extra, **options)
            sessions[name] = Session(artifact, threads=threads)
        running = reference.session(model)
        if inputs:
            samples = calibrate.read_samples(inputs, sessions["f32"])
        else:
            shapes = {port.name: port.shape for port in sessions["f32"].inputs}
            samples = [reference.seeded_inputs(running, seed, None, shapes)]
        results: dict[str, list[dict[str, np.ndarray]]] = {"onnx": [reference.run(running, sample) for sample in samples]}
        for name, session in sessions.items():
            results[name] = [session.run(sample) for sample in samples]
        tensors = _compare_tensors(sessions["f32"], sessions["w8a16"], samples[0])
    outputs = []
    for port in sessions["f32"].outputs:
        values = {name: [result[port.name] for result in runs] for name, runs in results.items()}
        outputs.append(
            OutputQuality(
                port.name,
                float32=_pooled(values["onnx"], values["f32"]),
                weights_alone=_pooled(values["onnx"], values["w8"]),
                total=_pooled(values["onnx"], values["w8a16"]),
                activations_own=_pooled(values["w8"], values["w8a16"]),
                total_by_sample=[accuracy.sqnr_db(a, b) for a, b in zip(values["onnx"], values["w8a16"], strict=True)],
            )
        )
    return Quality(outputs, tensors, len(samples))
