#!/usr/bin/env python3
"""Writes pipeline.json beside itself: what torch and diffusers compute, for the unit tests of the text-to-image pipeline.

Floats are stored as the 32-bit integers of their bits, so that the tests can compare bit for bit; long ones as a digest
(64-bit FNV-1a over the 32-bit words) and a few samples. Run it again after an update of torch or diffusers.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import LCMScheduler
from diffusers.pipelines.latent_consistency_models.pipeline_latent_consistency_text2img import (
    LatentConsistencyModelPipeline,
)

RANDN_SIZES = [1, 2, 3, 15, 16, 17, 31, 32, 33, 48, 63, 100, 1023, 1024]
LATENT_SIZE = 4 * 64 * 64


def bits(values: torch.Tensor) -> list[int]:
    return values.detach().to(torch.float32).contiguous().flatten().numpy().view(np.uint32).tolist()


def digest(values: torch.Tensor) -> str:
    state = 0xCBF29CE484222325
    for word in bits(values):
        state = (state ^ word) * 0x100000001B3 % 2**64
    return str(state)


def summary(values: torch.Tensor, stride: int) -> dict[str, Any]:
    return {"size": values.numel(), "stride": stride, "samples": bits(values.flatten()[::stride]), "digest": digest(values)}


def randn_cases() -> list[dict[str, Any]]:
    cases = []
    for seed in (0, 1, 42, 2**31 + 7, 2**32 + 5, 2**63 + 11):
        generator = torch.Generator("cpu").manual_seed(seed)
        # The odd sizes leave half of a pair behind, which the next short draw must use.
        draws = [torch.randn(size, generator=generator) for size in [*RANDN_SIZES, 1, 7, 16, 3]]
        draws.append(torch.randn(LATENT_SIZE, generator=generator))
        cases.append({"seed": str(seed), "draws": [summary(draw, max(1, draw.numel() // 16)) for draw in draws]})
    return cases


def alpha_bars() -> list[dict[str, Any]]:
    schedules = [("scaled_linear", 0.00085, 0.012, 1000), ("linear", 0.0001, 0.02, 1000), ("linear", 0.001, 0.02, 37),
                 ("squaredcos_cap_v2", 0.00085, 0.012, 1000)]  # fmt: skip
    cases = []
    for name, start, end, count in schedules:
        scheduler = LCMScheduler(
            beta_schedule=name, beta_start=start, beta_end=end, num_train_timesteps=count, original_inference_steps=10
        )
        values = scheduler.alphas_cumprod
        cases.append({"schedule": name, "beta_start": start, "beta_end": end, "count": count, **summary(values, 7)})
    return cases


def trajectory(prediction_type: str, steps: int) -> dict[str, Any]:
    """A run whose model's output is the sample's tanh: enough to see every term of every step."""
    scheduler = LCMScheduler(prediction_type=prediction_type)
    scheduler.set_timesteps(steps)
    generator = torch.Generator("cpu").manual_seed(steps)
    latents = torch.randn((1, 4, 3, 3), generator=generator)
    case: dict[str, Any] = {"prediction_type": prediction_type, "steps": steps, "timesteps": scheduler.timesteps.tolist()}
    case["states"] = []
    for timestep in scheduler.timesteps:
        prediction = torch.tanh(latents)
        latents, denoised = scheduler.step(prediction, timestep, latents, generator=generator, return_dict=False)
        case["states"].append({"prediction": bits(prediction), "sample": bits(latents), "denoised": bits(denoised)})
    return case


def timestep_cases() -> list[dict[str, Any]]:
    cases = []
    for train, original in ((1000, 50), (1000, 33), (997, 100), (50, 50)):
        for steps in range(1, 34):
            scheduler = LCMScheduler(num_train_timesteps=train, original_inference_steps=original)
            scheduler.set_timesteps(steps)
            cases.append({"train": train, "original": original, "timesteps": scheduler.timesteps.tolist()})
    return cases


def guidance_cases() -> list[dict[str, Any]]:
    embed = inspect.unwrap(LatentConsistencyModelPipeline.get_guidance_scale_embedding)
    cases = []
    for scale in (1.0, 1.5, 7.5, 8.0, 8.5, 15.0):
        for dimension in (256, 32, 33, 4):
            values = embed(None, torch.tensor(scale - 1).repeat(1), embedding_dim=dimension)
            cases.append({"scale": scale, "dimension": dimension, "values": bits(values)})
    return cases


class FakeUnet(torch.nn.Module):
    """A formula in place of a network, in which every input shows; the unit tests have the same one."""

    def __init__(self, size: int, guidance_dim: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(sample_size=size, in_channels=4, time_cond_proj_dim=guidance_dim)
        self.dtype, self.device = torch.float32, torch.device("cpu")

    def forward(self, sample, timestep, timestep_cond, encoder_hidden_states, **_):  # noqa: ANN001, ANN003, ANN201
        position = torch.arange(encoder_hidden_states.numel(), dtype=torch.float64)
        weighted = (encoder_hidden_states.double().flatten() * torch.cos(position)).mean()
        bias = 0.1 * torch.sin(timestep.double() / 100) + weighted + 0.2 * timestep_cond.double().mean()
        return ((torch.tanh(sample.double()) * 0.7 + bias).float(),)


class FakeVae(torch.nn.Module):
    """The first three channels, squashed, each value twice in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(scaling_factor=0.18215, block_out_channels=[1, 1], force_upcast=False)
        self.dtype, self.device = torch.float32, torch.device("cpu")

    def decode(self, latent, **_):  # noqa: ANN001, ANN003, ANN201
        small = torch.tanh(latent[:, :3].double() * 0.1) * 1.2
        return (small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3).float(),)


def pipeline_runs() -> list[dict[str, Any]]:
    """diffusers' own pipeline over the two formulas, from given hidden states to pixels."""
    size, guidance_dim, length, width = 4, 8, 5, 3
    pipeline = LatentConsistencyModelPipeline(
        FakeVae(), None, None, FakeUnet(size, guidance_dim), LCMScheduler(), None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    states = torch.sin(torch.arange(length * width, dtype=torch.float64)).float().reshape(1, length, width)
    runs = []
    for steps, seed, guidance, given in ((1, 0, 8.0, False), (2, 7, 8.0, False), (4, 3, 1.5, False), (8, 5, 8.5, True)):
        latents = torch.cos(torch.arange(4 * size * size, dtype=torch.float64)).float().reshape(1, 4, size, size)
        arguments = {
            "prompt_embeds": states,
            "num_inference_steps": steps,
            "guidance_scale": guidance,
            "latents": latents if given else None,
        }

        def run(kind: str, seed: int = seed, arguments: dict[str, Any] = arguments) -> Any:  # noqa: ANN401
            generator = torch.Generator("cpu").manual_seed(seed)
            return pipeline(**arguments, generator=generator, output_type=kind).images

        runs.append(
            {
                "steps": steps,
                "seed": seed,
                "guidance": guidance,
                "initial_latents": bits(latents) if given else [],
                "latents": bits(run("latent")),
                "pixels": np.asarray(run("pil")[0]).flatten().tolist(),
            }
        )
    return runs


def main() -> None:
    data = {
        "producer": "generate-pipeline-data.py",
        "randn": randn_cases(),
        "alpha_bars": alpha_bars(),
        "timesteps": timestep_cases(),
        "trajectories": [trajectory(kind, n) for kind in ("epsilon", "sample", "v_prediction") for n in (1, 2, 4)]
        + [trajectory("epsilon", n) for n in (3, 5, 6, 7, 8)],
        "guidance": guidance_cases(),
        "pipeline": pipeline_runs(),
    }
    path = Path(__file__).with_name("pipeline.json")
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
