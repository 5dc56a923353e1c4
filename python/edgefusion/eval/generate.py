"""Pictures for evaluation: from a diffusers pipeline folder, batched, or from a compiled bundle through the runtime.

Each picture has a seed of its own and depends on nothing else of the run, neither on the batch it was in nor on an interruption.
The output folder holds the PNGs, prompts.jsonl with a line for each picture that is whole, and settings.json.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image

from edgefusion import files, pipeline_file
from edgefusion.errors import UserError
from edgefusion.eval import pictures

_SETTINGS = "settings.json"


@dataclass(frozen=True)
class Settings:
    """What a set of pictures depends on, beside its prompts."""

    source: str
    #: Digest of every network and of the scheduler's settings, so that a folder trained further is another source.
    weights: str
    steps: int
    guidance: float
    #: "ddim", "lcm" or "runtime"
    sampler: str


@dataclass(frozen=True)
class Request:
    """A picture to make."""

    prompt: str
    seed: int
    group: str = ""


def requests(prompts: Sequence[tuple[str, str]], seed: int, per_prompt: int = 1) -> list[Request]:
    """`per_prompt` pictures of each (prompt, group); picture k of prompt i has the seed `seed` + i * per_prompt + k."""
    return [
        Request(prompt, seed + index * per_prompt + copy, group)
        for index, (prompt, group) in enumerate(prompts)
        for copy in range(per_prompt)
    ]


class Generator(ABC):
    """Makes pictures of requests."""

    settings: Settings
    #: Requests that go together.
    batch: int

    @abstractmethod
    def __call__(self, batch: Sequence[Request]) -> list[Image.Image]:
        """One picture a request, in order."""


class PipelineGenerator(Generator):
    """A diffusers folder: LCM where the scheduler is LCM's or the U-Net embeds the guidance, else DDIM with guidance."""

    def __init__(self, folder: Path, steps: int, guidance: float, sampler: str = "auto", batch: int = 16) -> None:
        _silence_libraries()
        import torch
        from diffusers import DDIMScheduler, LCMScheduler, StableDiffusionPipeline

        components = _components(folder)
        config, kind = components.pop("scheduler_config"), components.pop("scheduler_class")
        if sampler == "auto":
            sampler = "lcm" if kind == "LCMScheduler" or components["unet"].config.time_cond_proj_dim else "ddim"
        scheduler_class = {"ddim": DDIMScheduler, "lcm": LCMScheduler}[sampler]
        known = inspect.signature(scheduler_class.__init__).parameters
        scheduler = scheduler_class(**{key: value for key, value in config.items() if key in known})
        self._torch = torch
        # The constructor would correct the scheduler's settings; what the folder says is what counts.
        self._pipeline = StableDiffusionPipeline(
            **components,
            scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        self._pipeline.scheduler = scheduler
        self._pipeline.set_progress_bar_config(disable=True)
        try:
            scheduler.set_timesteps(steps)
        except ValueError as error:
            raise UserError(f"{sampler} cannot do {steps} steps: {error}") from None
        parts = [*folder.glob("*/*.safetensors"), folder / "scheduler" / "scheduler_config.json"]
        self.settings = Settings(str(folder), _digest(parts), steps, guidance, sampler)
        self.batch = batch

    def __call__(self, batch: Sequence[Request]) -> list[Image.Image]:
        generators = [self._torch.Generator().manual_seed(request.seed) for request in batch]
        return self._pipeline(
            prompt=[request.prompt for request in batch],
            num_inference_steps=self.settings.steps,
            guidance_scale=self.settings.guidance,
            generator=generators,
        ).images


class BundleGenerator(Generator):
    """A compiled bundle: the pictures are those of `efrun` with the same seed, steps and guidance."""

    batch = 1

    def __init__(self, folder: Path, steps: int, guidance: float, threads: int = 0, device: str = "") -> None:
        from edgefusion.text_to_image import TextToImage

        self._run = TextToImage(folder, threads=threads, device=device)
        parts = [*(artifact for _, artifact in pipeline_file.models(folder)), folder / "pipeline.json"]
        self.settings = Settings(str(folder), _digest(parts), steps, guidance, "runtime")

    def __call__(self, batch: Sequence[Request]) -> list[Image.Image]:
        steps, guidance = self.settings.steps, self.settings.guidance
        made = [self._run(entry.prompt, steps=steps, seed=entry.seed, guidance=guidance) for entry in batch]
        return [Image.fromarray(picture.pixels) for picture in made]


def _silence_libraries() -> None:
    """Neither bars nor hints of the libraries: on a terminal they would drown the progress."""
    import diffusers
    import transformers

    for logging in (diffusers.utils.logging, transformers.utils.logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(paths):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return digest.hexdigest()


def _components(folder: Path) -> dict[str, Any]:
    """The modules of a pipeline folder, float32, and its scheduler's class and settings."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    if not folder.is_dir():
        raise UserError(f"there is no pipeline folder '{folder}'")
    try:
        path = folder / "scheduler" / "scheduler_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        local = {"pretrained_model_name_or_path": folder, "local_files_only": True}
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", local_files_only=True, dtype=torch.float32)
        tokenizer.model_max_length = text_encoder.config.max_position_embeddings
        return {
            "tokenizer": tokenizer,
            "text_encoder": text_encoder.eval(),
            "unet": UNet2DConditionModel.from_pretrained(**local, subfolder="unet", torch_dtype=torch.float32).eval(),
            "vae": AutoencoderKL.from_pretrained(**local, subfolder="vae", torch_dtype=torch.float32).eval(),
            "scheduler_class": config.pop("_class_name", ""),
            "scheduler_config": config,
        }
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot load tokenizer, text encoder, U-Net, VAE and scheduler from '{folder}': {reason}") from None


def open_generator(
    folder: Path, steps: int, guidance: float, sampler: str = "auto", batch: int = 16, threads: int = 0, device: str = ""
) -> Generator:
    """The generator for what `folder` holds: a compiled bundle, or a diffusers pipeline."""
    if steps < 1 or batch < 1:
        raise UserError("a picture takes at least one step, and a batch has at least one picture")
    if (folder / "pipeline.json").is_file():
        return BundleGenerator(folder, steps, guidance, threads, device)
    return PipelineGenerator(folder, steps, guidance, sampler, batch)


def _settings_of(output: Path) -> dict[str, Any] | None:
    """What the pictures in `output` were made with; None if it is empty, a UserError if it is of something else."""
    path = output / _SETTINGS
    try:
        found = json.loads(path.read_bytes()) if path.is_file() else None
    except ValueError:
        found = None
    if isinstance(found, dict) and {field.name for field in fields(Settings)} <= found.keys():
        return found
    if any(output.iterdir()):
        raise UserError(f"'{output}' is not empty and not of `edgefusion eval generate`; choose another folder")
    return None


def _remove(output: Path) -> None:
    """Removes the pictures of `output` and their list, and nothing else that lies there."""
    if (output / pictures.PROMPTS).is_file():
        for record in pictures.read_records(output):
            (output / Path(record["file"]).name).unlink(missing_ok=True)
    (output / pictures.PROMPTS).unlink(missing_ok=True)


def _settle(output: Path, settings: Settings, replace: bool) -> list[dict[str, Any]]:
    """The pictures that `output` has already. If they were made with other settings: `replace` them, or a UserError."""
    output.mkdir(parents=True, exist_ok=True)
    found, wanted = _settings_of(output), asdict(settings)
    if found is not None and found != wanted:
        if not replace:
            changes = ", ".join(f"{key} {found[key]}" for key in wanted if found[key] != wanted[key])
            raise UserError(f"'{output}' holds pictures of other settings ({changes}); choose another folder, or --replace them")
        _remove(output)
    if found != wanted:
        files.write_json(output / _SETTINGS, wanted)
    files.remove_partials(output)
    if not (output / pictures.PROMPTS).is_file():
        return []
    records = pictures.read_records(output)
    # Without the line that an interruption cut short, so that lines can be appended.
    files.write_text(output / pictures.PROMPTS, "".join(_line(record) for record in records))
    return records


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _save(image: Image.Image, path: Path) -> None:
    files.write_whole(path, lambda stream: image.save(stream, format="PNG"))


def generate(
    generator: Generator,
    wanted: Sequence[Request],
    output: Path,
    progress: Callable[[int, int, float], None] | None = None,
    replace: bool = False,
) -> int:
    """Makes the pictures of `wanted` that `output` does not have yet; returns how many.

    With `replace`, pictures of other settings are removed first; without, they are a UserError. `progress` is told how many are
    done, how many there are, and the seconds since the start.
    """
    done = {(record["prompt"], record["seed"]) for record in _settle(output, generator.settings, replace)}
    missing = [request for request in dict.fromkeys(wanted) if (request.prompt, request.seed) not in done]
    start, number = time.monotonic(), len(done)
    for first in range(0, len(missing), generator.batch):
        batch = missing[first : first + generator.batch]
        with (output / pictures.PROMPTS).open("a", encoding="utf-8") as log:
            for request, image in zip(batch, generator(batch), strict=True):
                name = f"{number:05d}.png"
                _save(image, output / name)
                log.write(_line({"file": name, **asdict(request)}))
                number += 1
            log.flush()
            os.fsync(log.fileno())
        if progress:
            progress(first + len(batch), len(missing), time.monotonic() - start)
    return len(missing)
