"""From a prompt to a picture: the runtime's pipeline against diffusers' on the same weights and seed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import diffusers_pictures
import numpy as np
import pytest
from conftest import BUILD, Run
from PIL import Image

from edgefusion import TextToImage, accuracy

PROMPT = "a lighthouse on a cliff at dusk, oil painting"


@pytest.mark.parametrize(("steps", "seed", "guidance"), [(1, 0, 8.0), (2, 7, 8.0), (4, 123456789, 1.0), (8, 3, 12.5)])
def test_equals_diffusers(tiny_source: Path, tiny_bundle: Path, steps: int, seed: int, guidance: float) -> None:
    expected = diffusers_pictures.draw(diffusers_pictures.open_pipeline(tiny_source / "pipeline"), PROMPT, steps, seed, guidance)
    actual = TextToImage(tiny_bundle)(PROMPT, steps=steps, seed=seed, guidance=guidance)
    assert accuracy.psnr_db(expected, actual.pixels) > 50


@pytest.mark.full
def test_full_size_equals_diffusers(full_source: Path, full_bundle: Path) -> None:
    expected = diffusers_pictures.draw(diffusers_pictures.open_pipeline(full_source / "pipeline"), PROMPT, 2, 0, 8.0)
    actual = TextToImage(full_bundle)(PROMPT, steps=2, seed=0, guidance=8.0)
    assert accuracy.psnr_db(expected, actual.pixels) > 50


def test_tool_writes_the_same_picture(efrun: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    result = efrun(tiny_bundle, "--prompt", PROMPT, "--steps", 2, "--seed", 5, "--guidance", 8, "-o", path)
    assert result.returncode == 0, result.stderr
    with Image.open(path) as image:
        assert image.size == (64, 64)
        assert any(PROMPT in str(value) for value in image.info.values())
        pixels = np.asarray(image.convert("RGB"))
    assert np.array_equal(pixels, TextToImage(tiny_bundle)(PROMPT, steps=2, seed=5, guidance=8.0).pixels)


@pytest.mark.parametrize(
    "flags", [("--steps", "0"), ("--steps", "9"), ("--steps", "two"), ("--seed", "x"), ("--guidance", "nan")]
)
def test_bad_parameters(efrun: Run, tiny_bundle: Path, tmp_path: Path, flags: tuple[str, str]) -> None:
    result = efrun(tiny_bundle, "--prompt", PROMPT, *flags, "-o", tmp_path / "out.png")
    assert result.returncode > 0
    assert result.stderr.strip()
    assert list(tmp_path.iterdir()) == []


def test_not_a_bundle(efrun: Run, tmp_path: Path) -> None:
    result = efrun(tmp_path, "--prompt", PROMPT, "-o", tmp_path / "out.png")
    assert result.returncode > 0
    assert "pipeline.json" in result.stderr


def test_unwritable_picture(efrun: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    result = efrun(tiny_bundle, "--prompt", PROMPT, "--steps", 1, "-o", tmp_path / "absent" / "out.png")
    assert result.returncode > 0
    assert "absent" in result.stderr


def test_interrupt_leaves_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    """Ctrl-C at any moment: either the whole picture is there or no file at all."""
    for delay_seconds in (0.02, 0.05, 0.1):
        path = tmp_path / "out.png"
        command = [BUILD / "bin" / "efrun", tiny_bundle, "--prompt", PROMPT, "--steps", "8", "-o", path]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay_seconds)
        os.kill(process.pid, signal.SIGINT)
        status = process.wait(timeout=60)
        assert set(tmp_path.iterdir()) <= {path}
        assert path.exists() == (status == 0)
        path.unlink(missing_ok=True)
