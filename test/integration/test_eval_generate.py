"""`edgefusion eval generate` and `grid`: pictures that depend on their seed alone, runs that resume, whole sheets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from edgefusion.cli import main
from edgefusion.eval import generate, grid, pictures
from edgefusion.eval.generate import Request

PROMPTS = [Request("a red apple", 7), Request("two cats", 8), Request("a house at night", 9)]


@pytest.fixture(scope="module")
def pipeline_folder(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature pipeline as a teacher: no guidance embedding, DDIM, v-prediction."""
    from diffusers import DDIMScheduler, UNet2DConditionModel

    folder = tmp_path_factory.mktemp("teacher") / "pipeline"
    shutil.copytree(tiny_source / "pipeline", folder)
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
    torch.manual_seed(0)
    plain = UNet2DConditionModel.from_config({**unet.config, "time_cond_proj_dim": None})
    plain.save_pretrained(folder / "unet")
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        timestep_spacing="trailing",
    )
    scheduler.save_pretrained(folder / "scheduler")
    return folder


def as_array(image: object) -> np.ndarray:
    return np.asarray(image).astype(int)


def sampled_by_hand(folder: Path, request: Request, steps: int, guidance: float) -> np.ndarray:
    """DDIM with classifier-free guidance (Ho and Salimans 2022; Song et al. 2021), written out for v-prediction."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet").eval()
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae").eval()
    ids = tokenizer(["", request.prompt], padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32) ** 2
    alphas = torch.cumprod(1 - betas, 0)
    timesteps = np.round(np.arange(1000, 0, -1000 / steps)).astype(int) - 1
    with torch.no_grad():
        states = text(input_ids=ids).last_hidden_state
        x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(request.seed))
        for t in timesteps:
            free, conditioned = unet(torch.cat([x, x]), int(t), states).sample.chunk(2)
            v = free + guidance * (conditioned - free)
            alpha, before = alphas[t], alphas[t - 1000 // steps] if t >= 1000 // steps else alphas[0]
            clean = alpha.sqrt() * x - (1 - alpha).sqrt() * v
            noise = alpha.sqrt() * v + (1 - alpha).sqrt() * x
            x = before.sqrt() * clean + (1 - before).sqrt() * noise
        decoded = vae.decode(x / vae.config.scaling_factor).sample
    return ((decoded[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1) * 255).round().numpy().astype(int)


def test_teacher_sampling_is_ddim_with_guidance(pipeline_folder: Path) -> None:
    made = generate.PipelineGenerator(pipeline_folder, steps=5, guidance=4.0, batch=3)
    assert made.settings.sampler == "ddim"
    for request, image in zip(PROMPTS, made(PROMPTS), strict=True):
        expected = sampled_by_hand(pipeline_folder, request, 5, 4.0)
        assert np.abs(as_array(image) - expected).max() <= 1


def test_student_sampling_is_diffusers_lcm_pipeline(tiny_source: Path) -> None:
    from diffusers import LatentConsistencyModelPipeline

    folder = tiny_source / "pipeline"
    made = generate.PipelineGenerator(folder, steps=2, guidance=8.0)
    assert made.settings.sampler == "lcm"
    other = LatentConsistencyModelPipeline.from_pretrained(folder, safety_checker=None)
    other.set_progress_bar_config(disable=True)
    # That pipeline draws the latents, then the noise between the steps, from one generator a picture, as ours does.
    request = PROMPTS[0]
    theirs = other(
        request.prompt, num_inference_steps=2, guidance_scale=8.0, generator=[torch.Generator().manual_seed(request.seed)]
    ).images[0]
    assert np.abs(as_array(made([request])[0]) - as_array(theirs)).max() <= 1


def test_a_picture_does_not_depend_on_its_batch_and_runs_resume(pipeline_folder: Path, tmp_path: Path) -> None:
    together, apart = tmp_path / "together", tmp_path / "apart"
    batched = generate.PipelineGenerator(pipeline_folder, 2, 4.0, batch=3)
    single = generate.PipelineGenerator(pipeline_folder, 2, 4.0, batch=1)
    assert generate.generate(batched, PROMPTS, together) == 3
    # Stopped after one picture, while the second's line was being written.
    assert generate.generate(single, PROMPTS[:1], apart) == 1
    with (apart / pictures.PROMPTS).open("a", encoding="utf-8") as log:
        log.write('{"file": "00001.png", "pro')
    assert generate.generate(single, PROMPTS, apart) == 2
    assert generate.generate(single, PROMPTS, apart) == 0
    rows = pictures.by_prompt([("together", pictures.read(together)), ("apart", pictures.read(apart))])
    assert [row[0].prompt for row in rows] == [request.prompt for request in PROMPTS]
    for first, second in rows:
        assert np.abs(as_array(first.open()) - as_array(second.open())).max() <= 1


def test_other_settings_and_foreign_folders_are_refused(
    pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pictures"
    command = ["eval", "generate", str(pipeline_folder), "--prompt", "a cat", "-o", str(output), "--steps"]
    assert main([*command, "1"]) == 0
    assert main([*command, "2"]) == 1
    assert "choose another folder" in capsys.readouterr().err
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x", encoding="utf-8")
    assert main([*command[:-2], str(tmp_path / "precious"), "--steps", "1"]) == 1
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["file"]
    assert main(["eval", "generate", str(tmp_path), "--prompt", "x", "--steps", "1", "-o", str(tmp_path / "new")]) == 1
    assert "cannot load" in capsys.readouterr().err


def test_replacing_removes_pictures_of_its_own_only(
    pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pictures"
    command = ["eval", "generate", str(pipeline_folder), "--prompt", "a cat", "--replace", "-o"]
    assert main([*command, str(output), "--steps", "1"]) == 0
    (output / "votes.jsonl").write_text("{}\n", encoding="utf-8")
    assert main([*command, str(output), "--steps", "2"]) == 0
    assert sorted(path.name for path in output.iterdir()) == ["00000.png", "prompts.jsonl", "settings.json", "votes.jsonl"]
    assert json.loads((output / "settings.json").read_text(encoding="utf-8"))["steps"] == 2
    editor = tmp_path / "editor"
    editor.mkdir()
    (editor / "settings.json").write_text('{"theme": "dark"}', encoding="utf-8")
    assert main([*command, str(editor), "--steps", "1"]) == 1
    assert "not of `edgefusion eval generate`" in capsys.readouterr().err
    assert [path.name for path in editor.iterdir()] == ["settings.json"]


def test_every_network_and_the_scheduler_tell_pictures_apart(pipeline_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    shutil.copytree(pipeline_folder, folder)
    found = {generate.PipelineGenerator(folder, 1, 4.0).settings.weights}
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    changed = {name: value + 1 for name, value in load_file(weights).items()}
    save_file(changed, weights, metadata={"format": "pt"})
    found.add(generate.PipelineGenerator(folder, 1, 4.0).settings.weights)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    found.add(generate.PipelineGenerator(folder, 1, 4.0).settings.weights)
    assert len(found) == 3


def test_steps_that_the_sampler_cannot_do_leave_no_folder(
    pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pictures"
    command = ["eval", "generate", str(pipeline_folder), "--prompt", "a cat", "--sampler", "lcm", "-o", str(output)]
    assert main([*command, "--steps", "60"]) == 1
    assert "lcm cannot do 60 steps" in capsys.readouterr().err
    assert not output.exists()
    assert main([*command, "--steps", "1", "--threads", "-1"]) == 1
    assert "--threads must not be negative" in capsys.readouterr().err


def test_bundle_pictures_are_the_runtime_s(tiny_bundle: Path, tmp_path: Path) -> None:
    import edgefusion

    output = tmp_path / "pictures"
    command = ["eval", "generate", str(tiny_bundle), "--prompt", "a cat", "--seed", "5", "--guidance", "4", "--steps", "2"]
    assert main([*command, "-o", str(output)]) == 0
    expected = edgefusion.TextToImage(tiny_bundle)("a cat", steps=2, seed=5, guidance=4.0)
    assert np.array_equal(as_array(pictures.read(output)[0].open()), expected.pixels)


def test_prompt_groups_and_seeds(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("# a remark\n# group: names\na cat\n\n# group: scenes\ntwo cats\n", encoding="utf-8")
    prompts = pictures.read_prompts(path)
    assert prompts == [("a cat", "names"), ("two cats", "scenes")]
    wanted = generate.requests(prompts, seed=10, per_prompt=2)
    assert [(request.prompt, request.seed) for request in wanted] == [
        ("a cat", 10),
        ("a cat", 11),
        ("two cats", 12),
        ("two cats", 13),
    ]


def test_grid_shows_each_picture_in_its_place(tmp_path: Path) -> None:
    from PIL import Image

    colours = {"left": [(255, 0, 0), (0, 255, 0), (0, 0, 255)], "right": [(255, 255, 0), (0, 255, 255), (255, 0, 255)]}
    columns = []
    for label, values in colours.items():
        folder = tmp_path / label
        folder.mkdir()
        lines = []
        for index, colour in enumerate(values):
            Image.new("RGB", (20, 20), colour).save(folder / f"{index}.png")
            lines.append(json.dumps({"file": f"{index}.png", "prompt": f"a prompt {index} " * 9, "seed": 0}))
        # Another order in the second set: rows are matched by prompt.
        (folder / pictures.PROMPTS).write_text("\n".join(lines if label == "left" else lines[::-1]) + "\n", encoding="utf-8")
        columns.append((label, pictures.read(folder)))
    for across in (1, 2):
        sheet = grid.draw(columns, grid.Layout(cell=40, across=across))
        pixels = np.array(sheet)
        centres = {}
        for label, values in colours.items():
            for index, colour in enumerate(values):
                rows, places = np.nonzero((pixels == colour).all(2))
                assert len(rows) == 40 * 40
                centres[label, index] = rows.mean(), places.mean()
        for index in range(3):
            assert centres["left", index][0] == centres["right", index][0]
            assert centres["left", index][1] < centres["right", index][1]
