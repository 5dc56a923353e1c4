"""Pictures for prompts, by a diffusion pipeline or, where there is none, by composing them of cut-out subjects."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import random
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from edgefusion.data import compositor
from edgefusion.data.executor import Unit
from edgefusion.data.sample import Sample
from edgefusion.data.scenes import Scene
from edgefusion.data.stage import SampleStage, state
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """`model`: a folder or hub id of a diffusers text-to-image pipeline (SDXL or another)."""

    model: str
    steps: int = 30
    guidance: float = 7.0
    dtype: Literal["float32", "float16", "bfloat16"] = "float16"
    device: str = "cuda"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps: at least 1")


@dataclasses.dataclass(frozen=True)
class SynthesizeImagesConfig:
    """`input`: datasets of prompts. `size`: side in pixels. `subjects`: for the compositor, datasets ingested with keep_alpha."""

    input: list[Path]
    output: Path
    backend: Literal["compositor", "diffusion"]
    size: int
    subjects: list[Path] = dataclasses.field(default_factory=list)
    diffusion: DiffusionConfig | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 8 or self.size % 8:
            raise ValueError("size: a multiple of 8")
        if (self.backend == "diffusion") != (self.diffusion is not None):
            raise ValueError("diffusion: goes with the backend diffusion, and is needed there")
        if (self.backend == "compositor") != bool(self.subjects):
            raise ValueError("subjects: goes with the backend compositor, and is needed there")


@dataclasses.dataclass(frozen=True)
class SynthesizeImages(SampleStage):
    """The stage; see SynthesizeImagesConfig."""

    config: SynthesizeImagesConfig
    name = "synthesize-images"

    def units(self) -> list[Unit]:
        subjects = [state(dataset) for dataset in self.config.subjects]
        return [{**unit, "subjects": subjects} for unit in super().units()]

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        image = self._composed(sample, counts) if self.config.diffusion is None else self._diffused(sample, counts)
        if image is None:
            return None
        made_by = "compositor" if self.config.diffusion is None else self.config.diffusion.model
        return sample.with_image(image, made_by=made_by)

    def _composed(self, sample: Sample, counts: Counts) -> Image.Image | None:
        try:
            scene = Scene.from_dict(sample.fields["scene"])
        except (KeyError, TypeError, ValueError):
            counts.drop(sample.key, "no scene to compose (the prompt is not of the grammar)", sample.caption)
            return None
        library = compositor.Library.load(self.config.subjects)
        try:
            return compositor.compose(scene, library, self.config.size, random.Random(f"{self.config.seed}/{sample.key}"))
        except compositor.CannotComposeError as error:
            counts.drop(sample.key, str(error), sample.caption)
            return None

    def _diffused(self, sample: Sample, counts: Counts) -> Image.Image | None:
        import torch

        options = self.config.diffusion
        digest = hashlib.sha256(f"{self.config.seed}/{sample.key}".encode()).digest()
        result = _pipeline(options)(
            prompt=sample.caption,
            num_inference_steps=options.steps,
            guidance_scale=options.guidance,
            height=self.config.size,
            width=self.config.size,
            # On the CPU, so that the noise does not depend on the device.
            generator=torch.Generator("cpu").manual_seed(int.from_bytes(digest[:7], "big")),
        )
        if any(getattr(result, "nsfw_content_detected", None) or []):
            counts.drop(sample.key, "held back by the pipeline's safety checker")
            return None
        return result.images[0].convert("RGB")


@functools.lru_cache(maxsize=1)
def _pipeline(options: DiffusionConfig) -> Any:  # noqa: ANN401 - a diffusers pipeline
    import torch
    from diffusers import AutoPipelineForText2Image

    try:
        pipeline = AutoPipelineForText2Image.from_pretrained(options.model, dtype=getattr(torch, options.dtype))
    except (OSError, ValueError) as error:
        raise UserError(f"diffusion.model {options.model}: cannot be loaded: {str(error).strip().splitlines()[0]}") from None
    pipeline.set_progress_bar_config(disable=True)
    try:
        return pipeline.to(options.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"diffusion.device {options.device}: cannot be used: {reason}; name another, such as cpu") from None
