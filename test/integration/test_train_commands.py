"""`edgefusion train` on tiny networks: each command's result, resume of the real ones, the published recipe's configurations."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import diffusers_pictures
import failing_process
import psutil
import pytest
import torch
import yaml
from conftest import REPOSITORY
from data_samples import picture, sample, write_dataset
from diffusers import LCMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file, save
from small_training import SIZE, TOKENS, assert_same_weights, dataset, loop, text_encoder, unet, weights, write_pipeline
from small_training import vae as vae_network

from edgefusion import TextToImage, accuracy, cli, configuration
from edgefusion.errors import UserError
from edgefusion.eval import scorer
from edgefusion.export import bundle, sources
from edgefusion.train import blocks, kd, latents, lcm, networks, processes, run_record, teacher, text, vae
from edgefusion.train.cli import COMMANDS
from edgefusion.train.conditioning import Conditioning, LatentDataConfig
from edgefusion.train.config import Limits
from edgefusion.train.data import DataConfig, Pictures, captions_of, read_picture, to_unit_range
from edgefusion.train.diffusion import Diffusion, DiffusionConfig

CONFIGS = REPOSITORY / "python" / "configs"
MINI = {
    name: CONFIGS / "mini" / f"{name}.yaml"
    for name in (
        "vae",
        "vae-whole",
        "vae-colours",
        "vae-anchored",
        "vae-decoder",
        "text",
        "latents",
        "teacher",
        "teacher-core",
        "teacher-more",
        "kd",
        "kd-more",
        "lcm",
        "lcm-more",
    )
}
FULL = {"kd-base": kd, "kd-adv": kd, "lcm": lcm}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole recipe in a few steps: a folder with a run of each command."""
    folder = tmp_path_factory.mktemp("runs")
    pictures = DataConfig([data], SIZE)
    vae.run(vae.VaeConfig(folder / "vae", loop(2), 0, pictures, vae.VaeModelConfig([4, 4, 8, 8], norm_num_groups=4)))
    tower = text.TextModelConfig(16, 1, 2, 32, max_position_embeddings=TOKENS)
    text.run(text.TextConfig(folder / "text", loop(2, batch_size=4), 0, pictures, tower, embedding_size=8))
    latents.run(latents.LatentsConfig(folder / "latents", pictures, folder / "vae", folder / "text", TOKENS, batch_size=4))
    teacher.run(teacher_config(folder, folder / "teacher"))
    cached = LatentDataConfig([folder / "latents"])
    kd.run(kd.KdConfig(folder / "kd", loop(2, ema_decay=0.9), 0, cached, str(folder / "teacher" / "pipeline")))
    lcm.run(lcm_config(folder, folder / "lcm"))
    return folder


def teacher_config(runs: Path, output: Path, steps: int = 3) -> teacher.TeacherConfig:
    return teacher.TeacherConfig(
        output,
        loop(steps, ema_decay=0.9),
        0,
        LatentDataConfig([runs / "latents"], repeats=[2]),
        vae=runs / "vae",
        text=runs / "text",
        unet=teacher.UNetConfig(8, [8, 16, 24, 24], [False, True, True, False], attention_heads=2, norm_num_groups=4),
        diffusion=DiffusionConfig("v_prediction", snr_gamma=5.0),
        train_text_encoder=True,
    )


def lcm_config(runs: Path, output: Path) -> lcm.LcmConfig:
    student, large = (str(runs / name / "pipeline") for name in ("kd", "teacher"))
    return lcm.LcmConfig(output, loop(2), 0, LatentDataConfig([runs / "latents"]), student, large, guidance_embedding=32)


# --- What the commands write ---


def test_vae_has_the_scale_of_its_latents(runs: Path, data: Path) -> None:
    """1 / standard deviation of the latents, so that the U-Net sees values around 1."""
    network = networks.load_vae(runs / "vae").eval()
    pictures = Pictures(DataConfig([data], SIZE), seed=0)
    pixels = to_unit_range(torch.stack([pictures.picture(index) for index in range(len(pictures))]))
    with torch.no_grad():
        deviation = float(network.encode(pixels).latent_dist.mode().std())
    assert network.config.scaling_factor == pytest.approx(1 / deviation, rel=1e-3)


def test_decoder_alone_goes_on_learning(runs: Path, data: Path, tmp_path: Path) -> None:
    config = vae.VaeConfig(tmp_path / "run", loop(2), 0, DataConfig([data], SIZE), start=runs / "vae", decoder_only=True)
    vae.run(config)
    before, after = (networks.load_vae(folder) for folder in (runs / "vae", tmp_path / "run"))
    assert before.config.scaling_factor == after.config.scaling_factor
    changed = {name for name, value in before.state_dict().items() if not torch.equal(value, after.state_dict()[name])}
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)


def test_colours_change_places_in_half_of_the_pictures(data: Path) -> None:
    plain, swapped = (Pictures(DataConfig([data], SIZE, swap_colours=swap), seed=0) for swap in (False, True))
    changed, picks = 0, [(epoch, index) for epoch in range(12) for index in range(8)]
    before, after = plain[picks]["pixels"], swapped[picks]["pixels"]
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one.sort(dim=0).values, other.sort(dim=0).values)
        changed += not torch.equal(one, other)
    # One of the six orders of the colours is the old one.
    assert 0.2 * len(picks) < changed < 0.6 * len(picks)
    assert torch.equal(after, swapped[picks]["pixels"])


def test_a_lost_hue_shows_in_the_colours_alone() -> None:
    violet, shifted = torch.tensor([0.5, 0.0, 0.5]), torch.tensor([0.25, 0.25, 0.5])
    pictures = [colour.view(1, 3, 1, 1).expand(1, 3, 16, 16) for colour in (violet, shifted)]
    assert all(not edge.any() for picture in pictures for edge in vae.edges(picture))
    means = [vae.mean_colours(picture, 8) for picture in pictures]
    assert means[0].shape == (1, 3, 2, 2)
    assert torch.equal(means[0][0, :, 1, 1], violet)
    assert float((means[0] - means[1]).square().mean()) == pytest.approx(0.125 / 3)


def test_whitened_colours_are_uncorrelated() -> None:
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.3, 0.0], [0.5, 0.1, 0.05]])
    seen = torch.einsum("ij,njhw->nihw", mixing, torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))) + 0.7
    whitened = vae.Whitening(seen)
    flat = whitened(seen).transpose(0, 1).flatten(1)
    assert flat.mean(1).abs().max() < 1e-4
    # The third deviation is 0.05; the unit matrix's part is 4 % of its square.
    assert torch.allclose(torch.cov(flat), torch.eye(3), atol=0.05)
    assert torch.allclose(whitened(seen[:1, :, :1, :1]), whitened(seen)[:1, :, :1, :1], atol=1e-4)
    # One colour alone has no deviation to divide by.
    assert vae.Whitening(torch.ones(2, 3, 4, 4))(torch.ones(1, 3, 4, 4)).abs().max() < 1e-3


def test_normalized_channels_give_the_same_pictures(runs: Path, data: Path) -> None:
    before, after = (networks.load_vae(runs / "vae").eval() for _ in range(2))
    pixels = Pictures(DataConfig([data], SIZE), 0)[[(0, index) for index in range(8)]]["pixels"]
    with torch.no_grad():
        # Channels far apart, as an encoder may leave them.
        for network in (before, after):
            network.quant_conv.weight[:4] *= torch.tensor([0.1, 1.0, 5.0, 1.0])[:, None, None, None]
            network.quant_conv.bias[:4] += torch.tensor([0.0, 3.0, 0.0, -2.0])
        old = before.encode(pixels).latent_dist
        expected = vae.normalize_channels(after, old.mode())
        new = after.encode(pixels).latent_dist
        assert torch.allclose(new.mode(), expected, atol=1e-4)
        assert torch.allclose(new.mode().mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
        assert torch.allclose(new.mode().std((0, 2, 3)), torch.ones(4), atol=1e-3)
        assert torch.allclose(new.std * old.mode().std((0, 2, 3))[:, None, None], old.std, rtol=1e-3)
        assert torch.allclose(after.decode(new.mode()).sample, before.decode(old.mode()).sample, atol=1e-4)


def test_anchored_latents_approach_the_mean_colours(runs: Path, data: Path, tmp_path: Path) -> None:
    def error(weight: float) -> float:
        folder = tmp_path / f"anchor-{weight}"
        config = vae.VaeConfig(folder, loop(20), 0, DataConfig([data], SIZE), start=runs / "vae", anchor_weight=weight)
        task = vae.VaeTask(dataclasses.replace(config, anchor_weight=1.0), Pictures(config.data, 0))
        vae.run(config)
        task.trained["vae"].vae = networks.load_vae(folder)
        pixels = Pictures(config.data, 0)[[(0, 0), (0, 1), (0, 2), (0, 3)]]["pixels"]
        with torch.no_grad():
            return float(task.loss({"pixels": pixels}, torch.Generator().manual_seed(0))[1]["anchor"])

    assert error(10.0) < 0.8 * error(0.0)


def test_anchor_needs_a_channel_for_each_colour(data: Path, tmp_path: Path) -> None:
    model = vae.VaeModelConfig([4, 4, 8, 8], latent_channels=2, norm_num_groups=4)
    config = vae.VaeConfig(tmp_path / "run", loop(1), 0, DataConfig([data], SIZE), model, anchor_weight=1.0)
    with pytest.raises(UserError, match="3 latent channels or more; the autoencoder has 2"):
        vae.run(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("known", [True, False])
def test_pictures_must_halve_as_often_as_the_autoencoder(known: bool, runs: Path, data: Path, tmp_path: Path) -> None:
    model = None if known else vae.VaeModelConfig([4, 4, 8, 8], norm_num_groups=4)
    cut = DataConfig([data], SIZE, random_crop=SIZE - 4)
    with pytest.raises(UserError, match="random_crop must be multiples of 8"):
        vae.run(vae.VaeConfig(tmp_path / "run", loop(1), 0, cut, model, runs / "vae" if known else None))
    assert not (tmp_path / "run").exists()


def test_latents_are_the_encoders(runs: Path, data: Path) -> None:
    network = networks.load_vae(runs / "vae").eval()
    cache = latents.CachedLatents([runs / "latents"], seed=0)
    pictures = Pictures(DataConfig([data], SIZE), seed=0)
    tokenizer = networks.load_tokenizer(runs / "text")
    seen = set()
    for epoch in range(6):
        batch = cache[[(epoch, 3), (epoch, 7)]]
        for row, index in enumerate((3, 7)):
            pixels = to_unit_range(read_picture(pictures.entries[index], SIZE)[None])
            with torch.no_grad():
                expected = network.encode(pixels).latent_dist.mode() * network.config.scaling_factor
            assert torch.allclose(batch["latents"][row], expected[0], atol=1e-4)
            seen.add(tokenizer.decode(batch["input_ids"][row], skip_special_tokens=True).strip())
    assert seen == {caption for index in (3, 7) for caption in captions_of(pictures.entries[index])}


def test_repeats_and_several_caches(runs: Path) -> None:
    once = latents.CachedLatents([runs / "latents"], seed=0)
    thrice = latents.CachedLatents([runs / "latents"], seed=0, repeats=[3])
    assert len(thrice) == 3 * len(once)
    for index in range(len(thrice)):
        assert torch.equal(thrice[[(0, index)]]["latents"], once[[(0, index // 3)]]["latents"])


def test_text_run_holds_encoder_and_scorer(runs: Path) -> None:
    ours, judge = networks.load_text_encoder(runs / "text"), scorer.load(str(runs / "text" / "scorer"))
    for name, value in ours.state_dict().items():
        assert torch.equal(value, judge.text_encoder.state_dict()[name])
    assert networks.load_tokenizer(runs / "text").model_max_length == TOKENS


def test_teacher_and_student_are_diffusers_pipelines(runs: Path) -> None:
    for name in ("teacher", "kd"):
        pipeline = StableDiffusionPipeline.from_pretrained(runs / name / "pipeline")
        pipeline.set_progress_bar_config(disable=True)
        assert pipeline.scheduler.config.prediction_type == "v_prediction"
        image = pipeline("a thing", num_inference_steps=2, guidance_scale=3.0, output_type="np").images[0]
        assert image.shape == (SIZE, SIZE, 3)
    assert blocks.student_config(networks.load_unet(runs / "teacher" / "pipeline"))["block_out_channels"] == (8, 16, 24)


def test_text_encoder_trained_along(runs: Path) -> None:
    before, after = weights(runs / "text" / "text_encoder"), weights(runs / "teacher" / "pipeline" / "text_encoder")
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    assert_same_weights(runs / "teacher" / "pipeline" / "text_encoder", runs / "lcm" / "pipeline" / "text_encoder")


def test_lcm_pipeline_exports(runs: Path, tmp_path: Path) -> None:
    source = sources.load_pipeline(str(runs / "lcm" / "pipeline"))
    described = bundle.describe(source)
    assert described["scheduler"]["prediction_type"] == "v_prediction"
    assert described["guidance_embedding_dim"] == 32
    assert described["latent"]["scaling_factor"] == networks.load_vae(runs / "vae").config.scaling_factor
    assert described["tokenizer"]["max_length"] == TOKENS
    pipeline = diffusers_pictures.open_pipeline(runs / "lcm" / "pipeline")
    assert pipeline("a thing", num_inference_steps=2, output_type="np").images[0].shape == (SIZE, SIZE, 3)


def test_runtime_takes_velocity_predictions(tiny_source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """The compiled pipeline against diffusers' when both read the U-Net's output as a velocity."""
    copied = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    described = json.loads((copied / "pipeline.json").read_text(encoding="utf-8"))
    described["scheduler"]["prediction_type"] = "v_prediction"
    (copied / "pipeline.json").write_text(json.dumps(described), encoding="utf-8")
    pipeline = diffusers_pictures.open_pipeline(tiny_source / "pipeline")
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config, prediction_type="v_prediction")
    expected = diffusers_pictures.draw(pipeline, "a barn", steps=2, seed=7, guidance=8.0)
    actual = TextToImage(copied)("a barn", steps=2, seed=7, guidance=8.0)
    assert accuracy.psnr_db(expected, actual.pixels) > 50


# --- Resume of the real tasks ---


def test_interrupted_teacher_equals_uninterrupted(runs: Path, tmp_path: Path) -> None:
    config = teacher_config(runs, tmp_path / "run")
    teacher.run(config, Limits(max_steps=1))
    teacher.run(config)
    assert_same_weights(runs / "teacher" / "pipeline", tmp_path / "run" / "pipeline")


def test_interrupted_lcm_equals_uninterrupted(runs: Path, tmp_path: Path) -> None:
    config = lcm_config(runs, tmp_path / "run")
    lcm.run(config, Limits(max_steps=1))
    lcm.run(config)
    assert_same_weights(runs / "lcm" / "pipeline", tmp_path / "run" / "pipeline")


def test_latents_are_tied_to_autoencoder_and_captions(runs: Path, data: Path, tmp_path: Path) -> None:
    config = latents.LatentsConfig(tmp_path / "cache", DataConfig([data], SIZE), runs / "vae", runs / "text", TOKENS // 2)
    latents.run(config)
    short = dataclasses.replace(teacher_config(runs, tmp_path / "run"), data=LatentDataConfig([config.output]))
    with pytest.raises(UserError, match=f"captions of {TOKENS // 2} tokens, and the text encoder takes {TOKENS}"):
        teacher.run(short)
    other = write_pipeline(tmp_path / "other")
    with pytest.raises(UserError, match="latents of another autoencoder"):
        teacher.run(dataclasses.replace(teacher_config(runs, tmp_path / "run"), vae=other))
    vae_folder = tmp_path / "vae"
    shutil.copytree(runs / "vae", vae_folder)
    cached = dataclasses.replace(config, output=tmp_path / "again", vae=vae_folder)
    latents.run(cached)
    shutil.rmtree(vae_folder / "vae")
    shutil.copytree(other / "vae", vae_folder / "vae")
    with pytest.raises(UserError, match="another configuration, autoencoder or dataset"):
        latents.run(cached)


def test_features_of_other_pictures_are_not_used(runs: Path, tmp_path: Path) -> None:
    tower = text.TextModelConfig(16, 1, 2, 32, max_position_embeddings=TOKENS)
    found = []
    for count in (6, 7):
        samples = [sample(f"s{index}", picture(index + count, (SIZE, SIZE))) for index in range(6)]
        folder = write_dataset(tmp_path / f"data-{count}", samples)
        config = text.TextConfig(tmp_path / "run", loop(1, batch_size=4), 0, DataConfig([folder], SIZE), tower, embedding_size=8)
        text.run(config, start_over=True)
        found.append(load_file(tmp_path / "run" / "features.safetensors")["features"])
    assert not torch.allclose(found[0], found[1])


def test_noise_levels_are_exact_in_mixed_precision(data: Path) -> None:
    """The latents get the noise that the schedule says, not the nearest that bf16 can say."""
    config = LatentDataConfig(pictures=DataConfig([data], SIZE))
    conditioning = Conditioning(vae_network(), text_encoder(), networks.packaged_tokenizer(TOKENS), config)
    diffusion = Diffusion(DiffusionConfig())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = conditioning.latents({"pixels": torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))})
        noised = diffusion.noised(found, torch.Generator().manual_seed(0))
    levels = diffusion.scheduler.alphas_cumprod[noised.timesteps].view(-1, 1, 1, 1)
    assert torch.allclose(noised.noisy, levels.sqrt() * found + (1 - levels).sqrt() * noised.noise, atol=1e-6)


def test_interrupted_latents_go_on(runs: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents, "_PART", 4)
    config = latents.LatentsConfig(tmp_path / "cache", DataConfig([data], SIZE), runs / "vae", runs / "text", TOKENS)
    writes = []
    monkeypatch.setattr(latents, "save", lambda tensors: _fail_on_third(writes, tensors))
    with pytest.raises(OSError, match="disk full"):
        latents.run(config)
    with pytest.raises(UserError, match="not a complete cache"):
        latents.CachedLatents([config.output], seed=0)
    latents.run(config)
    assert len(writes) == 4  # two parts, the failure, and that part again
    whole, parts = (latents.CachedLatents([folder], seed=0) for folder in (runs / "latents", config.output))
    assert torch.allclose(whole.latents, parts.latents, atol=1e-5)


def _fail_on_third(writes: list[int], tensors: dict[str, torch.Tensor]) -> bytes:
    writes.append(len(tensors["latents"]))
    if len(writes) == 3:
        raise OSError("disk full")
    return save(tensors)


# --- Memory and precision ---


def test_gradient_checkpointing_changes_no_gradient() -> None:
    """Also of the feature loss, whose tensors lie inside what is recomputed."""
    torch.manual_seed(0)
    student, large = blocks.remove_blocks(unet()), unet()
    pairs = blocks.feature_pairs(student)
    seen, wanted = (blocks.Features(net, [pair[side] for pair in pairs]) for side, net in enumerate((student, large)))
    inputs = torch.randn(2, 4, 8, 8), torch.tensor([5, 700]), torch.randn(2, 16, 16)
    gradients = []
    for recompute in (False, True):
        student.train().zero_grad()
        if recompute:
            student.enable_gradient_checkpointing()
        with torch.no_grad():
            large(*inputs)
        output = student(*inputs).sample
        (output.square().mean() + kd.feature_loss(seen.take(), wanted.take())).backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in student.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("name", FULL)
def test_published_recipe_on_tiny_pipelines(name: str, data: Path, tmp_path: Path) -> None:
    """The configurations of the real models, as they are but for sizes, on random pipelines of the same layout."""
    large = write_pipeline(tmp_path / "large", tokens=77)
    kind = COMMANDS["lcm" if name == "lcm" else "kd"].config
    overrides = [f"output={tmp_path / 'run'}", f"teacher={large}", f"data.pictures.datasets=[{data}]"]
    overrides += [f"data.pictures.size={SIZE}", "loop.steps=2", "loop.batch_size=1", "loop.workers=0", "loop.threads=1"]
    if name == "lcm":
        overrides += [f"student={large}", "guidance_embedding=32"]
    module = FULL[name]
    config = configuration.read(CONFIGS / "full" / f"{name}.yaml", getattr(module, kind), overrides)
    assert (config.loop.precision, config.loop.gradient_checkpointing) == ("bf16", True)
    assert module.run(config).step == 2
    written = networks.load_unet(tmp_path / "run" / "pipeline")
    assert all(torch.isfinite(value).all() for value in written.state_dict().values())
    assert len(written.down_blocks) == (4 if name == "lcm" else 3)


def test_full_recipe_reads_what_its_stages_write() -> None:
    written = {
        stage.get("output") for path in (CONFIGS / "full").glob("data-*.yaml") for stage in yaml.safe_load_all(path.read_text())
    }
    for name in FULL:
        config = yaml.safe_load((CONFIGS / "full" / f"{name}.yaml").read_text(encoding="utf-8"))
        assert set(config["data"]["pictures"]["datasets"]) <= written, name


# --- The command line ---


@pytest.mark.parametrize("name", MINI)
def test_shipped_configurations_are_valid(name: str) -> None:
    command = name.partition("-")[0]
    module = importlib.import_module(f"edgefusion.train.{command}")
    configuration.read(MINI[name], latents.LatentsConfig if command == "latents" else getattr(module, COMMANDS[command].config))


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("vae", "loop.step=3", "unknown key loop.step; the keys are"),
        ("vae", "loop.steps=many", "loop.steps: expected a whole number"),
        ("vae", "loop.steps=0", "steps must be at least 1"),
        ("vae", "start=somewhere", "model or start"),
        ("vae", "decoder_only=true", "decoder_only: needs start"),
        ("vae-decoder", "anchor_weight=1", "anchor_weight: is for the encoder"),
        ("vae", "model.norm_num_groups=5", "multiples of norm_num_groups"),
        ("vae", "seed=-1", "seed must not be negative"),
        ("vae", "loop.beta1=1", "beta1 must be in [0, 1)"),
        ("vae", "loop.schedule=constant", "constant has no warm-up"),
        ("text", "data.flip=true", "data.flip"),
        ("teacher", "unet.norm_num_groups=0", "norm_num_groups and attention_heads"),
        ("lcm", "solver_steps=600", "solver_steps must divide 1000"),
        ("text", "model.num_attention_heads=7", "multiple of num_attention_heads"),
        ("latents", "data.flip=true", "data.flip"),
        ("teacher", "diffusion.prediction_type=x0", "epsilon or v_prediction"),
        ("teacher", "unet.attention=[true]", "attention needs true or false"),
        ("teacher", "data.caption_drop=2", "caption_drop"),
        ("kd", "data.repeats=[1, 2, 3]", "repeats needs a number"),
        ("kd", "teacher=/nowhere/at/all", "/nowhere/at/all"),
        ("lcm", "guidance_max=1", "guidance_min and guidance_max"),
        ("lcm", "loss=l1", "huber or l2"),
    ],
)
def test_mistakes_end_in_a_sentence(
    name: str, override: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    command = ["train", name.split("-")[0], "--config", str(MINI[name]), "--set", f"output={output}", "--set", override]
    assert cli.main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("edgefusion: error: ")
    assert words in error
    assert "Traceback" not in error
    assert not output.exists()


def test_dataset_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "vae", "--config", str(MINI["vae"]), "--set", f"output={tmp_path / 'run'}"]
    assert cli.main([*command, "--set", f"data.datasets=[{tmp_path / 'absent'}]"]) == 1
    assert "no such folder" in capsys.readouterr().err


def kd_command(runs: Path, output: Path, *overrides: str) -> list[str]:
    """`edgefusion train kd` on the tiny runs."""
    command = ["train", "kd", "--config", str(MINI["kd"])]
    for override in (
        f"output={output}",
        f"data={{latents: [{runs / 'latents'}]}}",
        f"teacher={runs / 'teacher' / 'pipeline'}",
        "loop={steps: 4, batch_size: 2, learning_rate: 0.001, log_every: 1, threads: 1, processes: 2}",
        *overrides,
    ):
        command += ["--set", override]
    return command


@pytest.mark.slow
def test_a_command_of_two_processes(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stops and resumes as one does, and its record counts the pictures of both."""
    command = kd_command(runs, tmp_path / "run")
    assert cli.main([*command, "--max-steps", "2"]) == 0
    assert cli.main([*command, "--set", "loop.processes=1"]) == 1
    assert "loop.processes was 2 and is now 1" in capsys.readouterr().err
    assert cli.main(command) == 0
    record = run_record.read("student (distilled)", tmp_path / "run")
    assert (record.steps, record.samples) == (4, 16)
    states = [path.name for path in (tmp_path / "run" / "checkpoints").rglob("random_states*")]
    assert sorted(states) == ["random_states_0.pkl", "random_states_1.pkl"]


@pytest.mark.slow
def test_a_killed_process_ends_the_training_in_a_sentence(runs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgefusion", *kd_command(runs, tmp_path / "run", "loop.steps=1000000")]
    path = {"PYTHONPATH": ":".join(entry for entry in sys.path if entry)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **path}) as process:
        while not process.stderr.readline().startswith("kd: step 2 "):
            assert process.poll() is None
        [other] = [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
        other.kill()
        rest = process.stderr.read()
    assert process.returncode == 1, rest
    assert "training process 1 was ended by signal 9" in rest
    assert "Traceback" not in rest


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_process_is_everyone_s(rank: int) -> None:
    """Whichever has it; and the others, which wait in a collective operation, are not waited for."""
    start = time.monotonic()
    with pytest.raises(UserError, match=f"^process {rank} has had enough$"):
        processes.run(2, failing_process.main, rank)
    assert time.monotonic() - start < 300


@pytest.mark.slow
def test_sigterm_of_the_command(data: Path, tmp_path: Path) -> None:
    """A process that is asked to end does so with status 0, says how to go on, and leaves a result."""
    command = [sys.executable, "-m", "edgefusion", "train", "vae", "--config", str(MINI["vae"])]
    for override in (
        f"output={tmp_path / 'run'}",
        f"data={{datasets: [{data}], size: {SIZE}}}",
        "model={block_out_channels: [4, 4, 8, 8], norm_num_groups: 4}",
        "loop={steps: 1000000, batch_size: 1, learning_rate: 0.001, log_every: 1, threads: 1}",
    ):
        command += ["--set", override]
    path = {"PYTHONPATH": ":".join(entry for entry in sys.path if entry)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **path}) as process:
        deadline = time.monotonic() + 300
        while not process.stderr.readline().startswith("vae: step 2 "):
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert "(SIGTERM); run the same command again to go on from there" in rest
    assert networks.load_vae(tmp_path / "run" / "vae").config.sample_size == SIZE
