"""`edgefusion train lcm`: latent consistency distillation (Luo et al., 2023) of a student that then needs one to four steps.

The student's answer at timestep t, and the answer of its moving average at t - k, where a step of DDIM with the teacher's
guided prediction leads, are to be the same. The teacher may be the large model (EdgeFusion) or the student itself before (LCM).
With `data_weight`, the answer is drawn to the sample itself, too (Kim et al., 2023, Consistency Trajectory Models).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel

from edgefusion.train import conditioning, consistency, networks, pipeline
from edgefusion.train.averages import moving_average
from edgefusion.train.conditioning import LatentDataConfig
from edgefusion.train.config import UNLIMITED, Limits, RunConfig
from edgefusion.train.diffusion import SCHEDULE, Diffusion, DiffusionConfig
from edgefusion.train.loop import Outcome, train
from edgefusion.train.task import Task, Values


@dataclasses.dataclass(frozen=True)
class LcmConfig(RunConfig):
    """`student` and `teacher` are pipelines' folders or hub ids; the same one for both distils the student from itself."""

    data: LatentDataConfig
    student: str
    teacher: str
    #: Guidance weights w (the guidance scale is w + 1) are drawn from this range.
    guidance_min: float = 5.0
    guidance_max: float = 15.0
    guidance_embedding: int = 256
    solver_steps: int = 50
    target_decay: float = 0.95
    loss: Literal["huber", "l2"] = "huber"
    huber_delta: float = 0.001
    #: Of the loss between answer and sample. What noise an answer leaves in, the answers at later timesteps learn to leave in,
    #: because a solver's step keeps the direction of the noise; the samples have none. LCM as published is without it.
    data_weight: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.guidance_min <= self.guidance_max:
            raise ValueError("guidance_min and guidance_max must be a range of numbers that are not negative")
        if self.guidance_embedding < 4 or self.guidance_embedding % 2:
            raise ValueError("guidance_embedding must be even and at least 4")
        if self.solver_steps < 1 or SCHEDULE["num_train_timesteps"] % self.solver_steps:
            raise ValueError(f"solver_steps must divide {SCHEDULE['num_train_timesteps']} (50 as published)")
        if not 0 <= self.target_decay < 1:
            raise ValueError("target_decay must be in [0, 1)")
        if self.data_weight < 0:
            raise ValueError("data_weight must not be negative")


def with_guidance_embedding(unet: UNet2DConditionModel, size: int) -> UNet2DConditionModel:
    """A copy of `unet` that also takes a guidance embedding, whose weights begin at 0: the copy predicts the same at first."""
    copy = UNet2DConditionModel(**{**unet.config, "time_cond_proj_dim": size})
    weights = unet.state_dict()
    for name, value in copy.state_dict().items():
        if "cond_proj" in name:
            weights[name] = weights[name] if name in weights and weights[name].shape == value.shape else torch.zeros_like(value)
    copy.load_state_dict(weights)
    return copy


class LcmTask(Task):
    """Consistency of neighbouring timesteps along the teacher's guided trajectory."""

    name = "lcm"

    def __init__(self, config: LcmConfig) -> None:
        super().__init__()
        self.config = config
        self.parts = pipeline.load_parts(config.student)
        self.prediction = pipeline.prediction_of(config.student)
        self.teacher_prediction = pipeline.prediction_of(config.teacher)
        teacher = networks.load_unet(config.teacher)
        teacher_text = networks.load_text_encoder(config.teacher)
        student = with_guidance_embedding(self.parts.unet, config.guidance_embedding)
        self.parts.unet = student
        self.target = moving_average(student, config.target_decay, warm_up=False)
        self.trained = {"unet": student}
        self.frozen = {"teacher": teacher, "target": self.target, "vae": self.parts.vae}
        self.frozen["text_encoder"] = self.parts.text_encoder
        # Each U-Net attends to the states that it was trained on.
        self.shares_text = networks.same_weights(self.parts.text_encoder, teacher_text)
        if not self.shares_text:
            self.frozen["teacher_text"] = teacher_text
        self.state = {"target": self.target}
        diffusion = Diffusion(DiffusionConfig(self.prediction))
        self.scheduler = diffusion.scheduler
        self.schedule = consistency.Schedule(self.scheduler.alphas_cumprod)
        self.solver = consistency.DdimSolver(self.schedule, self.scheduler.config.num_train_timesteps, config.solver_steps)
        self.conditioning = conditioning.Conditioning(self.parts.vae, self.parts.text_encoder, self.parts.tokenizer, config.data)

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        latents, config = self.conditioning.latents(batch), self.config
        ids, count, device = self.conditioning.input_ids(batch, random), len(latents), latents.device
        start = self.solver.timesteps[torch.randint(len(self.solver.timesteps), (count,), generator=random)].to(device)
        noise = torch.randn(latents.shape, generator=random).to(device)
        noisy = self.scheduler.add_noise(latents, noise, start)
        share = torch.rand(count, generator=random).to(device)
        guidance = config.guidance_min + (config.guidance_max - config.guidance_min) * share
        embedding = consistency.guidance_embedding(guidance, config.guidance_embedding)
        with torch.no_grad():
            states = conditioning.text_states(self.frozen["text_encoder"], ids)
            earlier = self._teacher_step(noisy, start, ids, states, guidance)
            target = self.answer(self.target, earlier, self.solver.previous(start), states, embedding)
        answer = self.answer(self.trained["unet"], noisy, start, states, embedding)
        consistent = self._distance(answer, target)
        if not config.data_weight:
            return consistent, {}
        to_data = self._distance(answer, latents)
        return consistent + config.data_weight * to_data, {"consistency": consistent, "data": to_data}

    def _distance(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        if self.config.loss == "l2":
            return F.mse_loss(one.float(), other.float())
        return consistency.pseudo_huber(one, other, self.config.huber_delta)

    def answer(
        self,
        unet: torch.nn.Module,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        states: torch.Tensor,
        embedding: torch.Tensor,
    ) -> torch.Tensor:
        """The consistency function: c_skip x_t + c_out x_0, with the x_0 that `unet` predicts."""
        output = unet(noisy, timesteps, states, timestep_cond=embedding).sample
        original, _ = self.schedule.split(output, noisy, timesteps, self.prediction)
        skip, out = consistency.boundary_scalings(timesteps)
        return skip * noisy + out * original

    def _teacher_step(
        self, noisy: torch.Tensor, start: torch.Tensor, ids: torch.Tensor, states: torch.Tensor, guidance: torch.Tensor
    ) -> torch.Tensor:
        """`noisy` one solver step earlier, along the teacher's prediction with classifier-free guidance `guidance`."""
        text_encoder = self.frozen["text_encoder" if self.shares_text else "teacher_text"]
        if not self.shares_text:
            states = conditioning.text_states(text_encoder, ids)
        empty = conditioning.text_states(text_encoder, self.conditioning.empty_ids(1, ids.device)).expand_as(states)
        output = self.frozen["teacher"](noisy.repeat(2, 1, 1, 1), start.repeat(2), torch.cat([states, empty])).sample
        with_text, without = output.chunk(2)
        # Guidance of x_0 and of the noise alike: both are linear in the output.
        guided = with_text + guidance.view(-1, 1, 1, 1) * (with_text - without)
        original, noise = self.schedule.split(guided, noisy, start, self.teacher_prediction)
        return self.solver.step(original, noise, start)

    def updated(self) -> None:
        self.target.update_parameters(self.trained["unet"])

    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        scheduler = pipeline.lcm_scheduler(self.prediction, self.config.solver_steps)
        pipeline.write(pipeline.averaged(self.parts, networks), scheduler, folder / "pipeline")


def run(config: LcmConfig, limits: Limits = UNLIMITED, start_over: bool = False) -> Outcome:
    """Trains the student and writes `config.output`/pipeline with LCM's scheduler."""
    task = LcmTask(config)
    return train(task, task.conditioning.source(config.seed), config, limits, start_over)
