"""What `efc` says to what it cannot do for an NPU: a sentence with what is required and available, the node, what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_models
from conftest import Run
from onnx import helper

CRASHES = ("Stack dump", "Assertion", "PLEASE submit", "terminate called", "Sanitizer", "see current operation")


def refuse(efc: Run, *arguments: object, mentions: tuple[str, ...] = (), output: Path | None = None) -> str:
    """Runs efc, which must refuse as it does a user's mistake, and returns the one error that it reports."""
    result = efc(*arguments, *(("-o", output) if output else ()))
    assert result.returncode == 1, f"exit status {result.returncode}\n{result.stderr}"
    for crash in CRASHES:
        assert crash not in result.stderr, result.stderr
    errors = [line for line in result.stderr.splitlines() if "error: " in line]
    assert len(errors) == 1, result.stderr
    for mention in mentions:
        assert mention in errors[0], f"'{mention}' is missing from: {errors[0]}"
    assert output is None or not output.exists(), "an artifact was left behind"
    return errors[0]


@pytest.fixture
def mlp(tmp_path: Path) -> Path:
    return small_models.save(small_models.mlp(), tmp_path / "mlp.onnx")


@pytest.fixture
def wide_convolution(tmp_path: Path) -> Path:
    """A convolution whose smallest tile, a row of the image with its halo and one chunk of weights, needs over 100 KB."""
    weights = np.random.default_rng(0).standard_normal((64, 256, 3, 3), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="wide_conv", pads=[1, 1, 1, 1])
    return small_models.save(
        small_models.model([node], {"x": [1, 256, 8, 64]}, {"y": [1, 64, 8, 64]}, {"w": weights}), tmp_path / "wide.onnx"
    )


def test_infeasible_tile(efc: Run, wide_convolution: Path, tmp_path: Path) -> None:
    """What is required and available in bytes, the node, and what to do."""
    error = refuse(
        efc, wide_convolution, "--target=exynos-npu", "--machine-set", "scratchpad=64KiB",
        mentions=("wide_conv", "65536", "bytes", "--machine"), output=tmp_path / "out.efa",
    )  # fmt: skip
    required = [int(word.strip(",;.()")) for word in error.split() if word.strip(",;.()").isdigit()]
    assert max(required) > 65536, error


@pytest.mark.parametrize("size", ["0KiB", "-1KiB", "1KiB"])
def test_scratchpad_too_small_for_any_machine(efc: Run, mlp: Path, tmp_path: Path, size: str) -> None:
    refuse(
        efc, mlp, "--target=exynos-npu", "--machine-set", f"scratchpad={size}", mentions=("scratchpad",), output=tmp_path / "o"
    )


def test_unknown_machine(efc: Run, mlp: Path, tmp_path: Path) -> None:
    mentions = ("exynos9000", "exynos2100", "exynos2200", "exynos2400", "exynos2500")
    refuse(efc, mlp, "--target=exynos-npu", "--machine=exynos9000", mentions=mentions, output=tmp_path / "out.efa")
    refuse(efc, "--print-machine", "--machine=exynos9000", mentions=mentions)


def test_missing_machine_file(efc: Run, mlp: Path, tmp_path: Path) -> None:
    path = tmp_path / "absent.yaml"
    refuse(efc, mlp, "--target=exynos-npu", f"--machine={path}", mentions=(str(path),), output=tmp_path / "out.efa")


def _with_figure(name: str, fields: str) -> str:
    return f"machine: mine\ninherits: exynos2400\nfigures:\n  {name}: {{{fields}, source: assumed, from: a test}}\n"


BAD_MACHINES = {
    "syntax": ("machine: mine\nfigures: [1, 2", "mine.yaml"),
    "unknown parent": ("machine: mine\ninherits: exynos9000\n", "exynos9000"),
    "unknown figure": (_with_figure("warp_speed", "value: 9, unit: MHz"), "warp_speed"),
    "unknown unit": (_with_figure("clock", "value: 9, unit: bananas"), "bananas"),
    "no clock": (_with_figure("clock", "value: 0, unit: MHz"), "clock"),
    "more engines than queues": (_with_figure("gte.count", "value: 9"), "gte.count"),
}


@pytest.mark.parametrize("case", BAD_MACHINES)
def test_contradictory_machine_file(efc: Run, mlp: Path, tmp_path: Path, case: str) -> None:
    text, mention = BAD_MACHINES[case]
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    output = tmp_path / "out.efa"
    refuse(efc, mlp, "--target=exynos-npu", f"--machine={path}", mentions=(mention, "mine.yaml"), output=output)


@pytest.mark.parametrize("setting", ["scratchpad", "scratchpad=", "=3", "scratchpad=many", "warp_speed=9", "clock=3bananas"])
def test_bad_machine_setting(efc: Run, mlp: Path, tmp_path: Path, setting: str) -> None:
    refuse(
        efc, mlp, "--target=exynos-npu", "--machine-set", setting, mentions=(setting.split("=")[0],), output=tmp_path / "o.efa"
    )


def test_missing_calibration(efc: Run, mlp: Path, tmp_path: Path) -> None:
    for target in ("cpu", "exynos-npu"):
        refuse(
            efc, mlp, f"--target={target}", "--quantize=w8a16",
            mentions=("--calibration", "edgefusion calibrate"), output=tmp_path / "out.efa",
        )  # fmt: skip


def test_calibration_file_is_not_there(efc: Run, mlp: Path, tmp_path: Path) -> None:
    path = tmp_path / "absent.tsv"
    refuse(efc, mlp, "--quantize=w8a16", f"--calibration={path}", mentions=(str(path),), output=tmp_path / "out.efa")


def test_calibration_lacks_a_tensor(efc: Run, mlp: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    table.write_text("tensor\tminimum\tmaximum\nx\t-1\t1\n", encoding="utf-8")
    result = efc(mlp, "--quantize=w8a16", f"--calibration={table}", "-o", tmp_path / "out.efa")
    assert result.returncode == 1, result.stderr
    assert "table.tsv" in result.stderr
    assert "error: " in result.stderr


@pytest.mark.parametrize(
    ("flags", "mentions"),
    [
        (("--target=toaster",), ("toaster", "cpu", "exynos-npu")),
        (("--target=exynos-npu", "--mlt=most"), ("most", "off", "attention", "full")),
        (("--target=exynos-npu", "--overlap=maybe"), ("maybe", "on", "off")),
        (("--quantize=w4",), ("w4", "w8a16", "w8")),
        (("--quantize=w8", "--keep-float=("), ("--keep-float=(",)),
        (("--calibration=table.tsv",), ("--calibration", "--quantize=w8a16")),
        (("--machine=exynos2100",), ("--machine", "--target=exynos-npu")),
        (("--compile-to=tiled",), ("tiled", "--target=cpu")),
        (("--compile-to=quantized",), ("quantized", "--quantize")),
        (("--compile-to=nowhere",), ("nowhere", "partitioned")),
        (("--target=exynos-npu", "--compile-from=scheduled"), ("scheduled",)),
        (("--log-level=loud",), ("loud", "debug")),
    ],
)
def test_flags_that_make_no_sense(efc: Run, mlp: Path, tmp_path: Path, flags: tuple[str, ...], mentions: tuple[str, ...]) -> None:
    refuse(efc, mlp, *flags, mentions=mentions, output=tmp_path / "out.efa")


def test_disassembly_of_what_has_no_commands(efc: Run, mlp: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "cpu.efa"
    assert efc(mlp, "--cpu=host", "-o", artifact).returncode == 0
    refuse(efc, "--disassemble", artifact, mentions=("cpu.efa", "CPU"))
    refuse(efc, "--disassemble", tmp_path / "absent.efa", mentions=("absent.efa",))


def test_report_folder_that_cannot_be_made(efc: Run, mlp: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    result = efc(mlp, "--cpu=host", f"--report={tmp_path}/file/report", "-o", tmp_path / "out.efa")
    assert result.returncode == 1
    assert "file/report" in result.stderr
