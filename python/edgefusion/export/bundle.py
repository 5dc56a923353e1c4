"""The bundle: a folder with the three ONNX models of a pipeline, its tokenizer files, and pipeline.json that ties them together.

It is written beside its final place and moved there when complete, so that a failed export leaves nothing behind.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import edgefusion
from edgefusion.errors import UserError
from edgefusion.export import onnx_export, tokenizer_files
from edgefusion.export.sources import PipelineSource


def describe(source: PipelineSource) -> dict[str, Any]:
    """The content of pipeline.json."""
    text, unet, vae = source.text_encoder.config, source.unet.config, source.vae.config
    scheduler = source.scheduler.config
    if scheduler.prediction_type not in ("epsilon", "v_prediction"):
        raise UserError(f"the scheduler predicts '{scheduler.prediction_type}'; only epsilon and v_prediction are supported")
    upscaling = 2 ** (len(vae.block_out_channels) - 1)
    kept = (
        "num_train_timesteps",
        "beta_start",
        "beta_end",
        "beta_schedule",
        "original_inference_steps",
        "timestep_scaling",
        "prediction_type",
        "set_alpha_to_one",
    )
    return {
        "format": "edgefusion-pipeline",
        "version": 1,
        "producer": f"edgefusion {edgefusion.__version__}",
        "models": {name: {"onnx": f"{name}.onnx", "artifact": f"{name}.efa"} for name in ("text_encoder", "unet", "vae_decoder")},
        "tokenizer": {
            "type": "clip-bpe",
            "vocab": "tokenizer/vocab.json",
            "merges": "tokenizer/merges.txt",
            "max_length": text.max_position_embeddings,
            "bos": 49406,
            "eos": 49407,
            "pad": 49407,
        },
        # LCM's boundary condition uses sigma_data = 0.5; diffusers' scheduler has it as a constant.
        "scheduler": {"type": "lcm", **{key: scheduler[key] for key in kept}, "sigma_data": 0.5},
        "latent": {
            "channels": unet.in_channels,
            "height": unet.sample_size,
            "width": unet.sample_size,
            "scaling_factor": vae.scaling_factor,
        },
        "guidance_embedding_dim": unet.time_cond_proj_dim or 0,
        "image": {"height": unet.sample_size * upscaling, "width": unet.sample_size * upscaling},
    }


def save_pipeline(source: PipelineSource, folder: Path) -> None:
    """Saves `source` as a diffusers pipeline folder, with a tokenizer."""
    from diffusers import LatentConsistencyModelPipeline
    from transformers import CLIPTokenizer

    with tempfile.TemporaryDirectory() as scratch:
        tokenizer_files.write(Path(scratch), source.origin)
        length = source.text_encoder.config.max_position_embeddings
        tokenizer = CLIPTokenizer(vocab=f"{scratch}/vocab.json", merges=f"{scratch}/merges.txt", model_max_length=length)
    LatentConsistencyModelPipeline(
        vae=source.vae,
        text_encoder=source.text_encoder,
        tokenizer=tokenizer,
        unet=source.unet,
        scheduler=source.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def _is_bundle(folder: Path) -> bool:
    return (folder / "pipeline.json").is_file()


def write(source: PipelineSource, folder: Path, exporter: str = "dynamo", opset: int | None = None) -> None:
    """Exports `source` into the bundle `folder`; an older bundle of that name is replaced, any other folder is refused."""
    if folder.exists() and not _is_bundle(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"'{folder}' exists and is not a bundle; choose another output folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        scratch.chmod(0o755)
        tokenizer_files.write(scratch / "tokenizer", source.origin)
        for network in onnx_export.networks(source):
            onnx_export.export_network(network, scratch / f"{network.name}.onnx", exporter, opset)
        text = json.dumps(describe(source), indent=2) + "\n"
        (scratch / "pipeline.json").write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
