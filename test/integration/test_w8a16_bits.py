"""W8A16 is one set of bits: reference evaluation == CPU == simulated NPU, whatever the threads, the tiling and the scratchpad.

One differing bit fails. The miniature U-Net runs always, the full-size one and the terrain network in the full tier.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, Run, _tool

SEED = 20260401
SCRATCHPADS = ("1MiB", "2MiB", "6MiB", "12MiB")
MLT = ("off", "attention", "full")


@dataclass
class Quantised:
    """A model with its calibration table, inputs, and the output that every implementation must give."""

    model: Path
    folder: Path
    flags: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    output: str = ""
    expected: np.ndarray | None = None

    def compile_flags(self) -> list[str]:
        return ["--quantize=w8a16", f"--calibration={self.folder / 'table.tsv'}", *self.flags]


def _succeeds(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout + result.stderr


def _prepare(
    edgefusion_command: Run, efc: Run, model: Path, folder: Path, output: str, inputs: dict, flags: list[str]
) -> Quantised:
    """Calibrates on the inputs that are then run, and takes the reference evaluation's output as what is expected."""
    np.savez(folder / "sample.npz", **{name: array[None] for name, array in inputs.items()})
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
    dims = [argument for flag in flags if flag.startswith("--dim=") for argument in ("--dim", flag.removeprefix("--dim="))]
    _succeeds(edgefusion_command("calibrate", model, "--inputs", folder / "sample.npz", *dims, "-o", folder / "table.tsv"))
    quantised = Quantised(model, folder, flags, [f"--input={name}={folder / name}.npy" for name in inputs], output)
    text = folder / "quantized.mlir"
    _succeeds(efc(model, *quantised.compile_flags(), "--compile-to=quantized", "-o", text))
    _succeeds(_tool("efc-interpret")(text, *quantised.inputs, f"--output-dir={folder / 'reference'}"))
    quantised.expected = np.load(folder / "reference" / f"{output}.npy")
    return quantised


def _check_bits(quantised: Quantised, folder: Path) -> None:
    actual = np.load(folder / f"{quantised.output}.npy")
    differing = np.count_nonzero(actual.view(np.uint32) != quantised.expected.view(np.uint32))
    assert differing == 0, f"{differing} of {actual.size} elements differ from the reference evaluation"


def _unet_inputs(latent: int, width: int, guidance: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(SEED)
    return {
        "sample": random.standard_normal((1, 4, latent, latent), np.float32),
        "timestep": np.array([499], np.int64),
        "encoder_hidden_states": random.standard_normal((1, 77, width), np.float32),
        "timestep_cond": random.standard_normal((1, guidance), np.float32),
    }


@pytest.fixture(scope="module")
def tiny(edgefusion_command: Run, efc: Run, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    model, folder = tiny_source / "bundle" / "unet.onnx", tmp_path_factory.mktemp("tiny-w8a16")
    return _prepare(edgefusion_command, efc, model, folder, "noise_pred", _unet_inputs(16, 32, 32), [])


@pytest.fixture(scope="module")
def full_size(edgefusion_command: Run, efc: Run, full_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    model, folder = full_source / "bundle" / "unet.onnx", tmp_path_factory.mktemp("full-w8a16")
    return _prepare(edgefusion_command, efc, model, folder, "noise_pred", _unet_inputs(64, 768, 256), [])


@pytest.fixture(scope="module")
def terrain(edgefusion_command: Run, efc: Run, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    import terrain as script

    noise = np.random.default_rng(SEED).standard_normal((1, 1, 128, 128), np.float32)
    inputs = {"noisy": noise * np.float32(80), "sigma": np.array([80], np.float32), "difficulty": np.array([0.6], np.float32)}
    folder = tmp_path_factory.mktemp("terrain-w8a16")
    return _prepare(edgefusion_command, efc, script.locate(), folder, "denoised", inputs, ["--dim=batch=1"])


def _check_cpu(efc: Run, efrun: Run, quantised: Quantised, folder: Path) -> None:
    artifact = folder / "cpu.efa"
    _succeeds(efc(quantised.model, *quantised.compile_flags(), "--cpu=host", "-o", artifact))
    for threads in (1, 2):
        output = folder / f"cpu-{threads}"
        _succeeds(efrun(artifact, *quantised.inputs, f"--threads={threads}", f"--output-dir={output}"))
        _check_bits(quantised, output)


def _check_npu(efc: Run, efrun: Run, quantised: Quantised, folder: Path, mlt: str, scratchpad: str) -> None:
    artifact, output = folder / "npu.efa", folder / "npu"
    flags = ["--target=exynos-npu", "--cpu=host", f"--mlt={mlt}", f"--machine-set=scratchpad={scratchpad}"]
    _succeeds(efc(quantised.model, *quantised.compile_flags(), *flags, "-o", artifact))
    text = _succeeds(efrun(artifact, *quantised.inputs, "--device=exynos-npu-sim", f"--output-dir={output}"))
    assert "simulated" in text
    artifact.unlink()
    _check_bits(quantised, output)


FULL_TIER = [pytest.param(name, marks=pytest.mark.full) for name in ("full_size", "terrain")]


@pytest.mark.parametrize("model", ["tiny", *FULL_TIER])
def test_on_the_cpu(efc: Run, efrun: Run, request: pytest.FixtureRequest, tmp_path: Path, model: str) -> None:
    _check_cpu(efc, efrun, request.getfixturevalue(model), tmp_path)


@pytest.mark.parametrize("mlt", MLT)
@pytest.mark.parametrize("scratchpad", SCRATCHPADS)
@pytest.mark.parametrize("model", ["tiny", *FULL_TIER])
def test_on_the_simulated_npu(
    efc: Run, efrun: Run, request: pytest.FixtureRequest, tmp_path: Path, model: str, mlt: str, scratchpad: str
) -> None:
    _check_npu(efc, efrun, request.getfixturevalue(model), tmp_path, mlt, scratchpad)


@pytest.mark.parametrize("mlt", MLT)
def test_in_a_small_scratchpad(efc: Run, efrun: Run, tiny: Quantised, tmp_path: Path, mlt: str) -> None:
    _check_npu(efc, efrun, tiny, tmp_path, mlt, "128KiB")
