"""What the runtime says to damaged artifacts and ill-fitting inputs: a sentence, never a crash."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import small_models
from conftest import Run

import edgefusion


@pytest.fixture(scope="module")
def artifact(efc: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    path = folder / "mlp.efa"
    result = efc(small_models.save(small_models.mlp(), folder / "mlp.onnx"), "--cpu=host", "-o", path)
    assert result.returncode == 0, result.stderr
    return path


def refuse(efrun: Run, path: Path, folder: Path, *flags: str) -> str:
    result = efrun(path, *flags, "--output-dir", folder / "outputs")
    assert result.returncode not in (0, None) and result.returncode > 0, f"status {result.returncode}: {result.stderr}"
    assert result.stderr.strip(), "no sentence"
    for crash in ("terminate called", "Sanitizer", "Assertion"):
        assert crash not in result.stderr
    assert not list((folder / "outputs").glob("*")) if (folder / "outputs").exists() else True
    return result.stderr


def test_same_input_gives_the_same_bytes(efc: Run, artifact: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.efa"
    assert efc(artifact.with_name("mlp.onnx"), "--cpu=host", "-o", again).returncode == 0
    assert again.read_bytes() == artifact.read_bytes()


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_truncated(efrun: Run, artifact: Path, tmp_path: Path, fraction: float) -> None:
    data = artifact.read_bytes()
    cut = tmp_path / "cut.efa"
    cut.write_bytes(data[: int(len(data) * fraction)])
    refuse(efrun, cut, tmp_path, "--random-inputs", "0")


def test_appended_bytes(efrun: Run, artifact: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer.efa"
    longer.write_bytes(artifact.read_bytes() + b"\0" * 64)
    refuse(efrun, longer, tmp_path, "--random-inputs", "0")


def test_bit_flips_are_found(artifact: Path, tmp_path: Path) -> None:
    """Every flipped bit is refused, unless it lies in padding, where it changes no result."""
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    data = artifact.read_bytes()
    x = generator.standard_normal((4, 32), np.float32)
    expected = edgefusion.Session(artifact, threads=1).run({"x": x})["y"]
    path = tmp_path / "flipped.efa"
    refused = 0
    for _ in range(200):
        position, bit = int(generator.integers(len(data))), int(generator.integers(8))
        flipped = bytearray(data)
        flipped[position] ^= 1 << bit
        path.write_bytes(flipped)
        try:
            outputs = edgefusion.Session(path, threads=1).run({"x": x})
        except edgefusion.UserError as error:
            refused += 1
            assert str(error).strip()
            continue
        assert np.array_equal(outputs["y"], expected), f"seed {seed}, byte {position}, bit {bit}"
    assert refused > 150, f"seed {seed}: only {refused} of 200 damaged artifacts were refused"


def test_missing_input(efrun: Run, artifact: Path, tmp_path: Path) -> None:
    assert "x" in refuse(efrun, artifact, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", np.zeros((4, 31), np.float32)),
        ("x", np.zeros((4, 32), np.float64)),
        ("x", np.zeros((128,), np.float32)),
        ("z", np.zeros((4, 32), np.float32)),
    ],
)
def test_ill_fitting_input(efrun: Run, artifact: Path, tmp_path: Path, name: str, value: np.ndarray) -> None:
    np.save(tmp_path / "value.npy", value)
    assert name in refuse(efrun, artifact, tmp_path, "--input", f"{name}={tmp_path / 'value.npy'}")
    with pytest.raises(edgefusion.UserError, match=name):
        edgefusion.Session(artifact).run({name: value})


def test_input_file_that_is_no_array(efrun: Run, artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "value.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff{'descr':")
    refuse(efrun, artifact, tmp_path, "--input", f"x={tmp_path / 'value.npy'}")


def test_unknown_variant(artifact: Path) -> None:
    with pytest.raises(edgefusion.UserError, match="z80"):
        edgefusion.Session(artifact, variant="z80")


def test_threads_change_no_bit(artifact: Path) -> None:
    x = np.random.default_rng(0).standard_normal((4, 32), np.float32)
    one, two = (edgefusion.Session(artifact, threads=threads).run({"x": x})["y"] for threads in (1, 2))
    assert np.array_equal(one, two)
