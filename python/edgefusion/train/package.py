"""`edgefusion train package`: the runs' results as one small folder that can ship.

Diffusers' layout, half precision, a model card:

MODEL/                the consistency student as a pipeline: unet/ text_encoder/ tokenizer/ vae/ scheduler/ model_index.json
MODEL/teacher/        unet/ and scheduler/ of the large model, which shares the other parts
MODEL/README.md       the model card, with curves.png
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path

import torch
from diffusers import LCMScheduler

from edgefusion.errors import UserError
from edgefusion.export import tokenizer_files
from edgefusion.train import model_card, networks, pipeline, run_record
from edgefusion.train.checkpoint import replace_folder
from edgefusion.train.pipeline import Parts


@dataclasses.dataclass(frozen=True)
class PackageConfig:
    """`vae`, `text`, `teacher`, `kd` and `lcm` are folders of runs; `decoder` is one of `train vae` with `decoder_only`, whose
    decoder takes the place of the first one. `vae_before`, `teacher_before`, `kd_before` and `lcm_before` are the runs that
    they went on from, first to last; what became `lcm` must begin with `kd`. `card` is what the model card says beyond what the
    runs tell.
    """

    output: Path
    vae: Path
    text: Path
    teacher: Path
    kd: Path
    lcm: Path
    card: model_card.CardConfig
    vae_before: list[Path] = dataclasses.field(default_factory=list)
    teacher_before: list[Path] = dataclasses.field(default_factory=list)
    kd_before: list[Path] = dataclasses.field(default_factory=list)
    lcm_before: list[Path] = dataclasses.field(default_factory=list)
    decoder: Path | None = None
    max_megabytes: float = 60.0

    def stages(self) -> list[tuple[str, Path]]:
        """(what was trained, its run) in order."""
        runs = [
            *((f"autoencoder (part {part})", run) for part, run in enumerate(self.vae_before, 1)),
            ("autoencoder", self.vae),
            ("decoder", self.decoder),
            ("text encoder", self.text),
            *((f"teacher (part {part})", run) for part, run in enumerate(self.teacher_before, 1)),
            ("teacher", self.teacher),
            *((f"student (distilled, part {part})", run) for part, run in enumerate(self.kd_before, 1)),
            ("student (distilled)", self.kd),
            *((f"student (consistency, part {part})", run) for part, run in enumerate(self.lcm_before, 1)),
            ("student (consistency)", self.lcm),
        ]
        return [(what, run) for what, run in runs if run]


def run(config: PackageConfig) -> float:
    """Writes `config.output`, replacing a package of that name; returns its size in megabytes.

    UserError when the runs do not belong together, when a weight does not fit half precision, or when the whole is too large.
    """
    output = config.output
    if output.exists() and not (output / "model_index.json").is_file():
        raise UserError(f"{output}: exists and is not a packaged model; choose another output or remove it")
    parts, teacher = _assemble(config)
    for name, network in {**vars(parts), "teacher": teacher}.items():
        if isinstance(network, torch.nn.Module):
            _halve(name, network)
    size = 0.0

    def write(folder: Path) -> None:
        nonlocal size
        origin = config.lcm / "pipeline"
        pipeline.save(parts, LCMScheduler.from_pretrained(origin / "scheduler"), folder)
        _write_tokenizer(folder / "tokenizer", origin)
        teacher.save_pretrained(folder / "teacher" / "unet")
        shutil.copytree(config.teacher / "pipeline" / "scheduler", folder / "teacher" / "scheduler")
        model_card.write(config.card, config.stages(), folder)
        size = _checked_size(folder, config.max_megabytes)
        # safetensors writes files that only their owner may read.
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)

    replace_folder(output, write)
    return size


def _assemble(config: PackageConfig) -> tuple[Parts, torch.nn.Module]:
    """The consistency student's parts and the large U-Net, checked to share the text encoder and the latents."""
    parts, large = pipeline.load_parts(config.lcm / "pipeline"), config.teacher / "pipeline"
    if not networks.same_weights(parts.text_encoder, networks.load_text_encoder(large)):
        raise UserError(f"{config.lcm} and {config.teacher} have different text encoders; a package has one for both U-Nets")
    if networks.encoder_digest(parts.vae) != networks.encoder_digest(networks.load_vae(large)):
        raise UserError(f"{config.lcm} and {config.teacher} have different autoencoders; a package has one for both U-Nets")
    if config.decoder:
        vae = networks.load_vae(config.decoder)
        if networks.encoder_digest(parts.vae) != networks.encoder_digest(vae):
            raise UserError(f"{config.decoder}: another encoder than that of {config.lcm}; train it with decoder_only")
        parts.vae = vae
    for earlier, later in itertools.pairwise([config.kd, *config.lcm_before, config.lcm]):
        _check_origin(later, "student", earlier)
    _check_origin(config.kd, "teacher", config.teacher)
    return parts, networks.load_unet(large)


def _check_origin(run: Path, key: str, origin: Path) -> None:
    """Refuses a run that was not distilled from the run `origin`: the card would tell of another training."""
    named = run_record.config(run).get(key)
    if named != str(origin / "pipeline"):
        raise UserError(f"{run}: its {key} was '{named}', not that of {origin}; give the run that it came from")


def _halve(name: str, network: torch.nn.Module) -> None:
    network.half()
    for parameter, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise UserError(f"{name}: {parameter} has values beyond the range of half precision")


def _write_tokenizer(folder: Path, origin: Path) -> None:
    """The vocabulary and the merge rules alone: a third of what transformers saves, from which it makes the rest again."""
    (folder / "tokenizer.json").unlink(missing_ok=True)
    tokenizer_files.write(folder, str(origin))


def _checked_size(folder: Path, limit: float) -> float:
    sizes = {path.relative_to(folder): path.stat().st_size / 1e6 for path in folder.rglob("*") if path.is_file()}
    total = sum(sizes.values())
    if total > limit:
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
        listed = ", ".join(f"{path} {size:.1f}" for path, size in largest)
        raise UserError(f"the package has {total:.1f} MB, more than max_megabytes {limit:g}; the largest files in MB: {listed}")
    return total
