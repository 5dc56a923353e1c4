"""`edgefusion train kd`: the student learns from the teacher, as BK-SDM (Kim et al., 2023).

loss = task (the diffusion loss) + output (MSE to the teacher's prediction) + features (sum of MSEs at each level).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from edgefusion.errors import UserError
from edgefusion.train import blocks, conditioning, networks, pipeline
from edgefusion.train.conditioning import LatentDataConfig
from edgefusion.train.config import UNLIMITED, Limits, RunConfig
from edgefusion.train.diffusion import Diffusion, DiffusionConfig
from edgefusion.train.loop import Outcome, train
from edgefusion.train.task import Task, Values


@dataclasses.dataclass(frozen=True)
class KdConfig(RunConfig):
    """`teacher` is a pipeline's folder or hub id. The student is cut from `initial` (default: from the teacher), or is `start`,
    the folder of a student to go on from.
    """

    data: LatentDataConfig
    teacher: str
    initial: str | None = None
    start: str | None = None
    task_weight: float = 1.0
    output_weight: float = 1.0
    feature_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial and self.start:
            raise ValueError("initial and start: give at most one of them")
        if min(self.task_weight, self.output_weight, self.feature_weight) < 0:
            raise ValueError("task_weight, output_weight and feature_weight must not be negative")


def feature_loss(student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum over levels of the mean squared differences."""
    losses = [F.mse_loss(one.float(), other.float()) for one, other in zip(student, teacher, strict=True)]
    return torch.stack(losses).sum()


class KdTask(Task):
    """Task, output and feature loss of a student with fewer blocks."""

    name = "kd"

    def __init__(self, config: KdConfig) -> None:
        super().__init__()
        self.config = config
        self.parts = pipeline.load_parts(config.teacher)
        teacher, self.prediction = self.parts.unet, pipeline.prediction_of(config.teacher)
        torch.manual_seed(config.seed)
        if config.start:
            student = networks.load_unet(config.start)
        else:
            student = blocks.remove_blocks(networks.load_unet(config.initial) if config.initial else teacher)
        self.parts.unet = student
        self.diffusion = Diffusion(DiffusionConfig(self.prediction))
        self.conditioning = conditioning.Conditioning(self.parts.vae, self.parts.text_encoder, self.parts.tokenizer, config.data)
        self.trained = {"unet": student}
        self.frozen = {"teacher": teacher, "vae": self.parts.vae, "text_encoder": self.parts.text_encoder}
        pairs = blocks.feature_pairs(student)
        try:
            self._features = blocks.Features(student, [ours for ours, _ in pairs])
            self._teacher_features = blocks.Features(teacher, [theirs for _, theirs in pairs])
        except AttributeError as error:
            raise UserError(f"'{config.start}' is not a student of '{config.teacher}': {error}") from None

    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        noised = self.diffusion.noised(self.conditioning.latents(batch), random)
        with torch.no_grad():
            states = conditioning.text_states(self.frozen["text_encoder"], self.conditioning.input_ids(batch, random))
            expected = self.frozen["teacher"](noised.noisy, noised.timesteps, states).sample
        prediction = self.trained["unet"](noised.noisy, noised.timesteps, states).sample
        values = {
            "task": self.diffusion.loss(prediction, noised),
            "output": F.mse_loss(prediction.float(), expected.float()),
            "features": feature_loss(self._features.take(), self._teacher_features.take()),
        }
        weights = self.config.task_weight, self.config.output_weight, self.config.feature_weight
        return sum(weight * value for weight, value in zip(weights, values.values(), strict=True)), values

    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        pipeline.write(pipeline.averaged(self.parts, networks), pipeline.ddim_scheduler(self.prediction), folder / "pipeline")


def run(config: KdConfig, limits: Limits = UNLIMITED, start_over: bool = False) -> Outcome:
    """Trains the student and writes `config.output`/pipeline."""
    task = KdTask(config)
    return train(task, task.conditioning.source(config.seed), config, limits, start_over)
