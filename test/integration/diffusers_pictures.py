"""Pictures by diffusers, which the runtime's are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import LatentConsistencyModelPipeline


def open_pipeline(folder: Path) -> LatentConsistencyModelPipeline:
    """The pipeline in `folder`, in float32 and without progress bars."""
    pipeline = LatentConsistencyModelPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: LatentConsistencyModelPipeline, prompt: str, steps: int, seed: int, guidance: float) -> np.ndarray:
    """uint8 [H, W, 3], rounded as the runtime does."""
    image = pipeline(
        prompt,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator("cpu").manual_seed(seed),
        output_type="np",
    ).images[0]
    return np.round(image * 255).astype(np.uint8)
