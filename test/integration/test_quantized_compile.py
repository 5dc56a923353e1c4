"""The phase `quantized` in a compile, for both targets: listing tensors, phases, the bounds of integer sums, w8."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_models
from conftest import Run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.save(small_models.mlp(width=600), tmp_path_factory.mktemp("quantized") / "mlp.onnx")


@pytest.fixture(scope="module")
def table(efc: Run, model: Path) -> Path:
    """Every tensor that the compiler asks for lies in [-4, 4]."""
    listing = model.with_name("tensors.json")
    result = efc(model, f"--list-tensors={listing}")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert not model.with_suffix(".efa").exists(), "listing tensors compiles nothing"
    names = json.loads(listing.read_text(encoding="utf-8"))["tensors"]
    assert {"x", "y"} <= set(names)
    path = model.with_name("table.tsv")
    lines = ["# edgefusion calibration 1", "tensor\tminimum\tmaximum", *(f"{name}\t-4\t4" for name in names)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("target", ["cpu", "exynos-npu"])
def test_compile_from_quantized(efc: Run, model: Path, table: Path, tmp_path: Path, target: str) -> None:
    flags = [f"--target={target}", "--cpu=host", "--quantize=w8a16", f"--calibration={table}"]
    result = efc(model, *flags, f"--dump-phases-to={tmp_path / 'phases'}", "-o", tmp_path / "a.efa")
    assert result.returncode == 0, result.stderr
    assert "i16" in (tmp_path / "phases" / "3-quantized.mlir").read_text(encoding="utf-8")
    result = efc(tmp_path / "phases" / "3-quantized.mlir", *flags, "--compile-from=quantized", "-o", tmp_path / "b.efa")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "a.efa").read_bytes() == (tmp_path / "b.efa").read_bytes()


def test_report_has_the_bounds_of_sums(efc: Run, model: Path, table: Path, tmp_path: Path) -> None:
    """600 products of int16 and int8 can pass 2^31 or not, as the weights say; the report has what the compiler proved."""
    flags = ["--cpu=host", "--quantize=w8a16", f"--calibration={table}", f"--report={tmp_path}"]
    result = efc(model, *flags, "-o", tmp_path / "out.efa")
    assert result.returncode == 0, result.stderr
    accumulators = json.loads((tmp_path / "compile.json").read_text(encoding="utf-8"))["accumulators"]
    assert {entry["node"] for entry in accumulators} == {"relu", "second"}
    for entry in accumulators:
        assert 0 < entry["bound"] <= 600 * 127 * 32767
        assert (entry["chunk"] == 0) == (entry["bound"] < 2**31), entry


def test_weights_alone_need_no_table(efc: Run, model: Path, tmp_path: Path) -> None:
    result = efc(model, "--cpu=host", "--quantize=w8", "-o", tmp_path / "out.efa")
    assert result.returncode == 0, result.stderr


def test_keep_float_leaves_a_node_alone(efc: Run, model: Path, table: Path, tmp_path: Path) -> None:
    flags = ["--cpu=host", "--quantize=w8a16", f"--calibration={table}", "--keep-float=second", f"--report={tmp_path}"]
    result = efc(model, *flags, "-o", tmp_path / "out.efa")
    assert result.returncode == 0, result.stderr
    accumulators = json.loads((tmp_path / "compile.json").read_text(encoding="utf-8"))["accumulators"]
    assert {entry["node"] for entry in accumulators} == {"relu"}
