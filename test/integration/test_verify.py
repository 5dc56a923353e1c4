"""Compiled models of the miniature pipeline against ONNX Runtime: outputs, and every tensor by `edgefusion verify`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Run

from edgefusion import Session, accuracy, reference, verify

MODELS = ("text_encoder", "unet", "vae_decoder")


@pytest.mark.parametrize("name", MODELS)
def test_outputs(tiny_bundle: Path, name: str) -> None:
    running = reference.session(tiny_bundle / f"{name}.onnx")
    inputs = reference.seeded_inputs(running, seed=11)
    outputs = Session(tiny_bundle / f"{name}.efa", threads=2).run(inputs)
    for port, expected in reference.run(running, inputs).items():
        assert accuracy.sqnr_db(expected, outputs[port]) > 90


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor(tiny_bundle: Path, name: str) -> None:
    result = verify.verify(tiny_bundle / f"{name}.onnx", tiny_bundle / f"{name}.efa", seed=12)
    assert result.first_bad is None, result.as_table()
    assert len(result.checks) >= 5


def test_command_writes_json(edgefusion_command: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    model = tiny_bundle / "text_encoder.onnx"
    result = edgefusion_command("verify", model, "--artifact", tiny_bundle / "text_encoder.efa", "--json", report)
    assert result.returncode == 0, result.stderr
    content = json.loads(report.read_text(encoding="utf-8"))
    assert content["first_bad"] is None
    assert {"tensor", "node", "op", "shape", "sqnr_db", "largest_error", "bad"} == set(content["checks"][0])


def test_first_bad_tensor_is_named(edgefusion_command: Run, tiny_bundle: Path) -> None:
    """With a threshold that float32 cannot reach, the first tensor with any rounding is reported and the command fails."""
    arguments = ["verify", tiny_bundle / "unet.onnx", "--artifact", tiny_bundle / "unet.efa", "--threshold", "400"]
    result = edgefusion_command(*arguments)
    assert result.returncode == 1
    assert "first bad: tensor '" in result.stdout


def test_channels_last_is_recognised() -> None:
    expected = np.random.default_rng(0).standard_normal((1, 3, 4, 5))
    ratio, error = verify.nearest(expected, np.ascontiguousarray(expected.transpose(0, 2, 3, 1)))
    assert (ratio, error) == (np.inf, 0)
    assert verify.nearest(expected, expected + 1)[1] == pytest.approx(1)
