"""edgefusion-mini as it ships: whole, small, and the same pictures by this project's runtime as by diffusers."""

from __future__ import annotations

from pathlib import Path

import diffusers_pictures
import numpy as np
import pytest
import torch
from conftest import REPOSITORY, Run, compile_models
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file

from edgefusion import TextToImage, accuracy
from edgefusion.eval import pictures
from edgefusion.export import bundle, sources
from edgefusion.train import run_record

MODEL = REPOSITORY / "python/models/edgefusion-mini"
PROMPTS = REPOSITORY / "python/configs/mini/prompts.txt"


@pytest.fixture(scope="module")
def mini_bundle(efc: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "bundle"
    bundle.write(sources.load_pipeline(str(MODEL)), folder)
    compile_models(efc, folder)
    return folder


def test_fits_its_size_and_has_only_numbers() -> None:
    assert sum(path.stat().st_size for path in MODEL.rglob("*") if path.is_file()) <= 60e6
    for path in MODEL.rglob("*.safetensors"):
        for name, value in load_file(path).items():
            assert not value.is_floating_point() or value.dtype == torch.float16, name
            assert torch.isfinite(value).all(), name


def test_student_is_the_teacher_without_blocks() -> None:
    student = UNet2DConditionModel.load_config(MODEL / "unet")
    teacher = UNet2DConditionModel.load_config(MODEL / "teacher" / "unet")
    assert teacher["mid_block_type"] is not None
    assert student["mid_block_type"] is None
    assert (teacher["layers_per_block"], student["layers_per_block"]) == (2, 1)
    assert student["block_out_channels"] == teacher["block_out_channels"][:-1]
    scheduler = DDIMScheduler.from_pretrained(MODEL / "teacher" / "scheduler")
    assert scheduler.config.prediction_type == "v_prediction"


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_equals_diffusers(mini_bundle: Path, steps: int) -> None:
    expected = diffusers_pictures.draw(diffusers_pictures.open_pipeline(MODEL), "slice of pizza", steps, seed=3, guidance=5.0)
    actual = TextToImage(mini_bundle)("slice of pizza", steps=steps, seed=3, guidance=5.0)
    assert accuracy.psnr_db(expected, actual.pixels) > 50


def test_listens_to_the_prompt(mini_bundle: Path) -> None:
    """Whatever the noise, a prompt's pictures are nearer to each other than to those of other prompts."""
    draw = TextToImage(mini_bundle)
    prompts = ["slice of pizza", "penguin", "sunflower", "red heart"]
    drawn = np.stack([[draw(prompt, steps=2, seed=seed, guidance=5.0).pixels for seed in range(4)] for prompt in prompts]).astype(
        float
    )
    means = drawn.mean(axis=1, keepdims=True)
    within = np.square(drawn - means).mean()
    between = np.square(means - means.mean(axis=0, keepdims=True)).mean()
    assert between > within / 2


def test_prompts_of_the_sample_sheet() -> None:
    groups = [group for _, group in pictures.read_prompts(PROMPTS)]
    assert sorted(groups.count(group) for group in set(groups)) == [32, 32]


def test_teacher_shares_what_it_has_not_of_its_own() -> None:
    for part in ("text_encoder", "tokenizer", "vae"):
        assert (MODEL / "teacher" / part).resolve() == (MODEL / part).resolve()


def test_card_names_data_and_limits() -> None:
    card = (MODEL / "README.md").read_text(encoding="utf-8")
    stages = {record.stage for record in run_record.read_packaged(MODEL)}
    assert stages == {"autoencoder", "decoder", "text encoder", "teacher", "student (distilled)", "student (consistency)"}
    for words in ("OFL-1.1", "Unicode-DFS-2016", "## Limits", "scripts/train-mini", "teacher", "curves.png"):
        assert words in card
