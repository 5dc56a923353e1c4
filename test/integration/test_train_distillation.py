"""Block removal, the losses of distillation, and the mathematics of latent consistency, against their definitions."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LatentConsistencyModelPipeline, LCMScheduler
from small_training import loop, unet, write_pipeline

from edgefusion.errors import UserError
from edgefusion.train import blocks, conditioning, consistency
from edgefusion.train.conditioning import LatentDataConfig
from edgefusion.train.diffusion import SCHEDULE, Diffusion, DiffusionConfig, Prediction
from edgefusion.train.kd import KdConfig, KdTask
from edgefusion.train.lcm import LcmConfig, LcmTask, with_guidance_embedding
from edgefusion.train.teacher import TeacherConfig, TeacherTask

SEED = 11
PREDICTIONS: list[Prediction] = ["epsilon", "v_prediction"]


@pytest.fixture(scope="module", params=PREDICTIONS)
def teacher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("teacher") / request.param, seed=1, prediction=request.param)


def batch(count: int = 2) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(SEED)
    ids = torch.randint(300, 49000, (count, 16), generator=random)
    ids[:, 0], ids[:, -1] = 49406, 49407
    return {"latents": torch.randn(count, 4, 8, 8, generator=random), "input_ids": ids}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def unused_data() -> LatentDataConfig:
    return LatentDataConfig(latents=[Path("unused")])


# --- The student by removal of blocks ---


@pytest.mark.parametrize(
    ("student", "teacher_name"),
    [
        ("conv_in.weight", "conv_in.weight"),
        ("time_embedding.linear_1.bias", "time_embedding.linear_1.bias"),
        ("down_blocks.1.resnets.0.conv1.weight", "down_blocks.1.resnets.0.conv1.weight"),
        ("down_blocks.2.attentions.0.proj_out.bias", "down_blocks.2.attentions.0.proj_out.bias"),
        ("down_blocks.0.downsamplers.0.conv.weight", "down_blocks.0.downsamplers.0.conv.weight"),
        ("up_blocks.0.resnets.0.norm1.weight", "up_blocks.1.resnets.0.norm1.weight"),
        ("up_blocks.0.resnets.1.norm1.weight", "up_blocks.1.resnets.2.norm1.weight"),
        ("up_blocks.2.attentions.1.norm.weight", "up_blocks.3.attentions.2.norm.weight"),
        (
            "up_blocks.1.attentions.0.transformer_blocks.0.ff.net.2.bias",
            "up_blocks.2.attentions.0.transformer_blocks.0.ff.net.2.bias",
        ),
        ("up_blocks.1.upsamplers.0.conv.weight", "up_blocks.2.upsamplers.0.conv.weight"),
    ],
)
def test_names_of_copied_weights(student: str, teacher_name: str) -> None:
    assert blocks.teacher_name(student) == teacher_name


def test_student_is_bk_sdm_tiny() -> None:
    torch.manual_seed(SEED)
    large = unet()
    small = blocks.remove_blocks(large)
    assert small.config.block_out_channels == (8, 16, 24)
    assert small.config.down_block_types == ("CrossAttnDownBlock2D",) * 3
    assert small.config.up_block_types == ("CrossAttnUpBlock2D",) * 3
    assert small.mid_block is None
    assert [len(block.resnets) for block in small.down_blocks] == [1, 1, 1]
    assert [len(block.resnets) for block in small.up_blocks] == [2, 2, 2]
    parameters = dict(large.named_parameters())
    for name, value in small.named_parameters():
        assert torch.equal(value, parameters[blocks.teacher_name(name)])


def test_real_size_student_has_the_published_parameters() -> None:
    """323.4 M of 859.5 M, on the meta device."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        large = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        small = UNet2DConditionModel(**blocks.student_config(large))
    count = {name: sum(value.numel() for value in net.parameters()) / 1e6 for name, net in (("l", large), ("s", small))}
    assert count == {"l": pytest.approx(859.5, abs=0.1), "s": pytest.approx(323.4, abs=0.1)}


@pytest.mark.parametrize("inner_attention", [True, False])
def test_features_have_the_same_shapes(inner_attention: bool) -> None:
    torch.manual_seed(SEED)
    large = unet(inner_attention)
    small = blocks.remove_blocks(large)
    pairs = blocks.feature_pairs(small)
    if inner_attention:
        assert pairs == [
            ("down_blocks.0", "down_blocks.0"),
            ("down_blocks.1", "down_blocks.1"),
            ("down_blocks.2.attentions.0.proj_out", "down_blocks.2.attentions.1.proj_out"),
            ("up_blocks.0", "up_blocks.1"),
            ("up_blocks.1", "up_blocks.2"),
            ("up_blocks.2", "up_blocks.3"),
        ]
    ours, theirs = (blocks.Features(net, [pair[side] for pair in pairs]) for side, net in enumerate((small, large)))
    data = batch()["latents"], torch.tensor([10, 900]), torch.randn(2, 16, 16)
    small(*data), large(*data)
    assert [value.shape for value in ours.take()] == [value.shape for value in theirs.take()]


def test_unet_without_blocks_to_remove() -> None:
    with pytest.raises(UserError, match="no blocks to remove"):
        blocks.remove_blocks(blocks.remove_blocks(unet()))


# --- Distillation's losses ---


def test_kd_loss_is_the_published_one(teacher: Path, tmp_path: Path) -> None:
    """Against task + output + features written out: both networks run once more, their features read module by module."""
    config = KdConfig(tmp_path, loop(), 0, unused_data(), str(teacher), task_weight=0.7, output_weight=1.3, feature_weight=0.9)
    task = KdTask(config)
    # A student that has moved, so that no term is what block removal alone gives.
    with torch.no_grad():
        for parameter in task.trained["unet"].parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    loss, values = task.loss(batch(), generator())

    random = generator()
    noised = task.diffusion.noised(batch()["latents"], random)
    states = conditioning.text_states(task.parts.text_encoder, task.conditioning.input_ids(batch(), random))
    outputs, seen = {}, {}
    for side, net in (("student", task.trained["unet"]), ("teacher", task.frozen["teacher"])):
        seen[side] = {}
        handles = [
            module.register_forward_hook(lambda _m, _i, out, into=seen[side], name=name: into.__setitem__(name, out))
            for name, module in net.named_modules()
        ]
        outputs[side] = net(noised.noisy, noised.timesteps, states).sample
        for handle in handles:
            handle.remove()
    features = 0.0
    for ours, theirs in blocks.feature_pairs(task.trained["unet"]):
        one, other = seen["student"][ours], seen["teacher"][theirs]
        one, other = (value[0] if isinstance(value, tuple) else value for value in (one, other))
        features += float(((one - other) ** 2).mean())
    task_loss = float(((outputs["student"] - noised.target) ** 2).mean())
    output_loss = float(((outputs["student"] - outputs["teacher"]) ** 2).mean())
    expected = {"task": task_loss, "output": output_loss, "features": features}
    assert {name: float(value) for name, value in values.items()} == {
        name: pytest.approx(value, rel=1e-5) for name, value in expected.items()
    }
    assert float(loss) == pytest.approx(0.7 * task_loss + 1.3 * output_loss + 0.9 * features, rel=1e-5)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_diffusion_target_and_min_snr_weights(prediction: Prediction) -> None:
    diffusion = Diffusion(DiffusionConfig(prediction, snr_gamma=5.0))
    latents = batch(6)["latents"]
    noised = diffusion.noised(latents, generator())
    alphas = DDIMScheduler(**SCHEDULE).alphas_cumprod[noised.timesteps].view(-1, 1, 1, 1)
    a, s = alphas.sqrt(), (1 - alphas).sqrt()
    assert torch.allclose(noised.noisy, a * latents + s * noised.noise, atol=1e-6)
    expected = noised.noise if prediction == "epsilon" else a * noised.noise - s * latents
    assert torch.allclose(noised.target, expected, atol=1e-6)
    output = torch.randn(latents.shape, generator=generator())
    # Min-SNR weighs the error of x_0 with min(SNR, gamma) / SNR x SNR; in terms of the outputs the factors differ.
    snr = (alphas / (1 - alphas)).view(-1)
    weight = snr.clamp(max=5) / (snr if prediction == "epsilon" else snr + 1)
    errors = ((output - expected) ** 2).mean((1, 2, 3))
    assert float(diffusion.loss(output, noised)) == pytest.approx(float((weight * errors).mean()), rel=1e-5)


# --- Latent consistency ---


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_solver_step_is_ddim(prediction: Prediction) -> None:
    """Against diffusers' DDIMScheduler with as many steps, at each of its timesteps."""
    scheduler = DDIMScheduler(
        **SCHEDULE, prediction_type=prediction, clip_sample=False, set_alpha_to_one=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(50)
    schedule = consistency.Schedule(scheduler.alphas_cumprod)
    solver = consistency.DdimSolver(schedule, 1000, 50)
    assert solver.timesteps.tolist() == scheduler.timesteps.flip(0).tolist()
    random = generator()
    for timestep in solver.timesteps:
        sample, output = (torch.randn(1, 4, 8, 8, generator=random) for _ in range(2))
        expected = scheduler.step(output, int(timestep), sample, eta=0.0).prev_sample
        original, noise = schedule.split(output, sample, timestep[None], prediction)
        assert torch.allclose(solver.step(original, noise, timestep[None]), expected, atol=2e-5, rtol=2e-5)


def test_boundary_condition() -> None:
    timesteps = torch.tensor([0, 1, 19, 499, 999])
    skip, out = (values.view(-1) for values in consistency.boundary_scalings(timesteps))
    assert (float(skip[0]), float(out[0])) == (1.0, 0.0)
    scheduler = LCMScheduler(**SCHEDULE)
    for index, timestep in enumerate(timesteps.tolist()):
        expected = scheduler.get_scalings_for_boundary_condition_discrete(timestep)
        assert (float(skip[index]), float(out[index])) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


def test_guidance_embedding_is_the_pipelines() -> None:
    guidance = torch.tensor([0.0, 2.5, 7.0, 14.0])
    expected = LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, guidance, embedding_dim=64)
    assert torch.allclose(consistency.guidance_embedding(guidance, 64), expected, atol=1e-5)


def test_pseudo_huber() -> None:
    one, other = np.random.default_rng(SEED).standard_normal((2, 3, 4, 5))
    expected = np.mean(np.sqrt((one - other) ** 2 + 0.1**2) - 0.1)
    assert float(consistency.pseudo_huber(torch.tensor(one), torch.tensor(other), 0.1)) == pytest.approx(expected, rel=1e-5)


def test_student_with_guidance_embedding_predicts_the_same_at_first() -> None:
    torch.manual_seed(SEED)
    plain = unet()
    guided = with_guidance_embedding(plain, 32)
    data = batch()["latents"], torch.tensor([10, 900]), torch.randn(2, 16, 16)
    embedding = consistency.guidance_embedding(torch.tensor([3.0, 9.0]), 32)
    with torch.no_grad():
        assert torch.equal(guided(*data, timestep_cond=embedding).sample, plain(*data).sample)
    again = with_guidance_embedding(guided, 32)
    assert torch.equal(again.time_embedding.cond_proj.weight, guided.time_embedding.cond_proj.weight)


def lcm_task(student: Path, teacher: Path, output: Path, **keys: object) -> LcmTask:
    config = LcmConfig(
        output, loop(), 0, LatentDataConfig(latents=[Path("unused")], caption_drop=0.0), str(student), str(teacher),
        guidance_embedding=32, **keys,
    )  # fmt: skip
    return LcmTask(config)


def test_consistency_function_is_the_identity_at_zero(teacher: Path, tmp_path: Path) -> None:
    task = lcm_task(teacher, teacher, tmp_path)
    noisy, zero = batch()["latents"], torch.zeros(2, dtype=torch.int64)
    states, embedding = torch.randn(2, 16, 16), torch.randn(2, 32)
    with torch.no_grad():
        assert torch.equal(task.answer(task.trained["unet"], noisy, zero, states, embedding), noisy)


@pytest.mark.parametrize("data_weight", [0.0, 0.5])
def test_lcm_loss_is_the_published_one(data_weight: float, teacher: Path, tmp_path: Path) -> None:
    """Against the algorithm written out sample by sample: x_0 and noise guided apart, plain numbers for every constant."""
    settings = {"guidance_min": 3.0, "guidance_max": 3.0, "huber_delta": 0.01, "data_weight": data_weight}
    task = lcm_task(teacher, teacher, tmp_path, **settings)
    loss, values = task.loss(batch(), generator())
    assert sorted(values) == (["consistency", "data"] if data_weight else [])

    random, data = generator(), batch()
    random_share = torch.rand(2, 1, generator=random)  # the caption drop's numbers
    assert (random_share >= 0).all()
    start = (torch.randint(50, (2,), generator=random) + 1) * 20 - 1
    noise = torch.randn(2, 4, 8, 8, generator=random)
    alphas = task.scheduler.alphas_cumprod
    encoder, large, small = task.parts.text_encoder, task.frozen["teacher"], task.trained["unet"]
    total = 0.0
    with torch.no_grad():
        empty = encoder(input_ids=task.conditioning.empty_ids(1, torch.device("cpu"))).last_hidden_state
        embedding = LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor([3.0]), embedding_dim=32)
        for index in range(2):
            t = int(start[index])
            states = encoder(input_ids=data["input_ids"][index : index + 1]).last_hidden_state

            def split(x: torch.Tensor, output: torch.Tensor, t: int) -> tuple[torch.Tensor, torch.Tensor]:
                a, s = alphas[t].sqrt(), (1 - alphas[t]).sqrt()
                if task.prediction == "epsilon":
                    return (x - s * output) / a, output
                return a * x - s * output, a * output + s * x

            def answer(net: torch.nn.Module, x: torch.Tensor, t: int, states: torch.Tensor = states) -> torch.Tensor:
                original, _ = split(x, net(x, t, states, timestep_cond=embedding).sample, t)
                return 0.25 / ((10 * t) ** 2 + 0.25) * x + 10 * t / math.sqrt((10 * t) ** 2 + 0.25) * original

            x = alphas[t].sqrt() * data["latents"][index : index + 1] + (1 - alphas[t]).sqrt() * noise[index : index + 1]
            with_text, without = (split(x, large(x, t, condition).sample, t) for condition in (states, empty))
            original, estimate = (one + 3.0 * (one - other) for one, other in zip(with_text, without, strict=True))
            before = max(t - 20, 0)
            earlier = alphas[before].sqrt() * original + (1 - alphas[before]).sqrt() * estimate
            target, sample = answer(task.target.module, earlier, before), data["latents"][index : index + 1]
            for expected, weight in ((target, 1.0), (sample, data_weight)):
                difference = answer(small, x, t) - expected
                total += weight * float(((difference**2 + 0.01**2).sqrt() - 0.01).mean()) / 2
    assert float(loss.detach()) == pytest.approx(total, rel=1e-3)


def test_target_follows_with_the_decay_asked_for(teacher: Path, tmp_path: Path) -> None:
    task = lcm_task(teacher, teacher, tmp_path, target_decay=0.75)
    before = {name: value.clone() for name, value in task.target.module.state_dict().items()}
    with torch.no_grad():
        for parameter in task.trained["unet"].parameters():
            parameter.add_(1.0)
    task.updated()
    for name, value in task.target.module.named_parameters():
        assert torch.allclose(value, before[name] + 0.25, atol=1e-5)


def test_each_unet_attends_to_its_own_text_encoder(tmp_path: Path) -> None:
    ours, theirs = write_pipeline(tmp_path / "ours", seed=1), write_pipeline(tmp_path / "theirs", seed=2)
    assert lcm_task(ours, ours, tmp_path).shares_text
    task = lcm_task(ours, theirs, tmp_path)
    assert not task.shares_text
    loss, _ = task.loss(batch(), generator())
    assert torch.isfinite(loss)


def test_a_teacher_goes_on_with_what_it_predicts(tmp_path: Path) -> None:
    start = write_pipeline(tmp_path / "start", prediction="v_prediction")
    config = TeacherConfig(tmp_path / "run", loop(), 0, unused_data(), start, start, start=start)
    with pytest.raises(UserError, match="predicts v_prediction; set diffusion"):
        TeacherTask(config)
    TeacherTask(dataclasses.replace(config, start=start / "unet"))
