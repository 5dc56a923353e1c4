"""A picture by a W8A16 U-Net: the same pixels on the CPU and on the simulated NPU, close to those of float32."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Run

from edgefusion import TextToImage, accuracy

PROMPT = "a lighthouse on a cliff at dusk, oil painting"
MODELS = ("text_encoder", "unet", "vae_decoder")


def _bundle(efc: Run, source: Path, folder: Path, targets: dict[str, list[str]]) -> Path:
    """A bundle in `folder`: the models in `targets` compiled with the flags given there, the others linked from `source`."""
    folder.mkdir()
    shutil.copy(source / "pipeline.json", folder)
    (folder / "tokenizer").symlink_to(source / "tokenizer")
    for model in MODELS:
        artifact = folder / f"{model}.efa"
        if model not in targets:
            artifact.symlink_to(source / f"{model}.efa")
            continue
        result = efc(source / f"{model}.onnx", "--cpu=host", *targets[model], "-o", artifact)
        assert result.returncode == 0, result.stderr
    return folder


def _pixels(bundle: Path) -> np.ndarray:
    return TextToImage(bundle)(PROMPT, steps=2, seed=3, guidance=8.0).pixels


def _check(efc: Run, edgefusion_command: Run, bundle: Path, folder: Path, least_psnr_db: float) -> None:
    table, prompts = folder / "unet.calibration.tsv", folder / "prompts.txt"
    prompts.write_text(PROMPT + "\n")
    result = edgefusion_command("calibrate", bundle, "--prompts", prompts, "--steps", 2, "--guidance", 8, "-o", table)
    assert result.returncode == 0, result.stderr
    quantised = ["--quantize=w8a16", f"--calibration={table}"]
    npu = "--target=exynos-npu"
    expected = _pixels(bundle)
    cpu = _pixels(_bundle(efc, bundle, folder / "cpu", {"unet": quantised}))
    mixed = _pixels(_bundle(efc, bundle, folder / "mixed", {"unet": [npu, *quantised]}))
    assert np.array_equal(cpu, mixed), "the U-Net on the simulated NPU gives another picture than on the CPU"
    whole = _pixels(
        _bundle(efc, bundle, folder / "npu", {"text_encoder": [npu], "unet": [npu, *quantised], "vae_decoder": [npu]})
    )
    psnr_db = {"U-Net alone": accuracy.psnr_db(expected, cpu), "all three models": accuracy.psnr_db(expected, whole)}
    print(f"PSNR to float32 on the simulated NPU: {psnr_db}")
    assert min(psnr_db.values()) > least_psnr_db


def test_small_pipeline(efc: Run, edgefusion_command: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    _check(efc, edgefusion_command, tiny_bundle, tmp_path, 40)


@pytest.mark.full
def test_full_size_pipeline(efc: Run, edgefusion_command: Run, full_bundle: Path, tmp_path: Path) -> None:
    _check(efc, edgefusion_command, full_bundle, tmp_path, 50)
