"""`edgefusion compile`: options of the compiler that need more than a passing through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_models

from edgefusion import cli

NPU_REPORTS = {"compile.json", "layers.csv", "layers.json", "trace.json", "report.html"}


def compile_report(folder: Path) -> dict:
    return json.loads((folder / "compile.json").read_text(encoding="utf-8"))


def test_report_and_overlap(tmp_path: Path) -> None:
    model = small_models.save(small_models.mlp(width=256), tmp_path / "mlp.onnx")
    milliseconds = {}
    for overlap in ("on", "off"):
        folder = tmp_path / "reports" / overlap
        arguments = ["--target", "exynos-npu", "--cpu", "host", "--overlap", overlap, "--report", str(folder)]
        assert cli.main(["compile", str(model), *arguments]) == 0
        assert {path.name for path in folder.iterdir()} == NPU_REPORTS
        milliseconds[overlap] = compile_report(folder)["npu"]["simulated_ms"]
    assert milliseconds["off"] > milliseconds["on"] > 0


def test_a_bundle_has_a_report_of_each_model(tmp_path: Path) -> None:
    models = {}
    for seed, name in enumerate(("text_encoder", "unet")):
        small_models.save(small_models.mlp(seed), tmp_path / f"{name}.onnx")
        models[name] = {"onnx": f"{name}.onnx", "artifact": f"{name}.efa"}
    description = {"format": "edgefusion-pipeline", "version": 1, "models": models}
    (tmp_path / "pipeline.json").write_text(json.dumps(description), encoding="utf-8")
    reports = tmp_path / "reports"
    assert cli.main(["compile", str(tmp_path), "--cpu", "host", "--report", str(reports)]) == 0
    assert {path.name for path in reports.iterdir()} == set(models)
    for name in models:
        assert compile_report(reports / name)["weight_bytes"] > 0
        assert (tmp_path / f"{name}.efa").exists()


def test_a_report_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_models.save(small_models.mlp(), tmp_path / "mlp.onnx")
    assert cli.main(["compile", str(model), "--cpu", "host", "--report", str(model / "below-a-file")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("edgefusion: error: ") and "below-a-file" in error
