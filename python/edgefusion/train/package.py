"""`edgefusion train package`: the runs' results as one small folder that can ship.

Diffusers' layout, half precision, a model card:

MODEL/                the consistency student as a pipeline: unet/ text_encoder/ tokenizer/ vae/ scheduler/ model_index.json
MODEL/teacher/        the large model as a pipeline: its unet/ and scheduler/, and links to the other parts, which both share
MODEL/README.md       the model card, with curves.png
MODEL/training.json   the records behind the card, for packages of what is trained on from this one
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
from edgefusion.train.run_record import RunRecord


@dataclasses.dataclass(frozen=True)
class PackageConfig:
    """`vae`, `text`, `teacher`, `kd` and `lcm` are folders of runs; `decoder` is one of `train vae` with `decoder_only`, whose
    decoder takes the place of the first one. `vae_before`, `teacher_before`, `kd_before` and `lcm_before` are the runs that
    they went on from, first to last; what became `lcm` must begin with `kd`. `continues` is a packaged model that was trained
    on, whose card's trainings are those of this one, too: its teacher by the first of the teacher's runs, or, if these are left
    out, its student by the first of the consistency's. `card` is what the model card says beyond what the runs tell.
    """

    output: Path
    lcm: Path
    card: model_card.CardConfig
    continues: Path | None = None
    vae: Path | None = None
    text: Path | None = None
    teacher: Path | None = None
    kd: Path | None = None
    vae_before: list[Path] = dataclasses.field(default_factory=list)
    teacher_before: list[Path] = dataclasses.field(default_factory=list)
    kd_before: list[Path] = dataclasses.field(default_factory=list)
    lcm_before: list[Path] = dataclasses.field(default_factory=list)
    decoder: Path | None = None
    max_megabytes: float = 60.0

    def __post_init__(self) -> None:
        if not self.continues and None in (self.vae, self.text, self.teacher, self.kd):
            raise ValueError("vae, text, teacher and kd are needed, unless continues names a packaged model")
        if self.teacher and not self.kd:
            raise ValueError("kd is needed: the student was distilled from another teacher than this one")

    @property
    def large(self) -> Path:
        """The pipeline of the large model."""
        return self.teacher / "pipeline" if self.teacher else self.continues / "teacher"

    def runs(self) -> dict[str, list[Path]]:
        """The runs of each stage, in order."""
        parts = {
            "autoencoder": [*self.vae_before, self.vae],
            "decoder": [self.decoder],
            "text encoder": [self.text],
            "teacher": [*self.teacher_before, self.teacher],
            "student (distilled)": [*self.kd_before, self.kd],
            "student (consistency)": [*self.lcm_before, self.lcm],
        }
        return {stage: [run for run in runs if run] for stage, runs in parts.items()}

    def trainings(self) -> list[RunRecord]:
        """The record of every training, in order."""
        earlier = run_record.read_packaged(self.continues) if self.continues else []
        # A student that was distilled anew owes nothing to the one before.
        taken = [record for record in earlier if not (self.kd and record.stage.startswith("student"))]
        return taken + [run_record.read(stage, run) for stage, runs in self.runs().items() for run in runs]


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
        _write_teacher(folder / "teacher", config.large, teacher)
        for picture in config.continues.glob(model_card.EARLIER_CURVES) if config.continues else ():
            shutil.copy(picture, folder)
        trainings = config.trainings()
        run_record.write_packaged(trainings, folder)
        model_card.write(config.card, trainings, folder)
        size = _checked_size(folder, config.max_megabytes)
        # safetensors writes files that only their owner may read.
        for path in _own(folder):
            path.chmod(0o755 if path.is_dir() else 0o644)

    replace_folder(output, write)
    return size


def _assemble(config: PackageConfig) -> tuple[Parts, torch.nn.Module]:
    """The consistency student's parts and the large U-Net, checked to share the text encoder and the latents."""
    parts, large = pipeline.load_parts(config.lcm / "pipeline"), config.large
    if not networks.same_weights(parts.text_encoder, networks.load_text_encoder(large)):
        raise UserError(f"{config.lcm} and {large} have different text encoders; a package has one for both U-Nets")
    if networks.encoder_digest(parts.vae) != networks.encoder_digest(networks.load_vae(large)):
        raise UserError(f"{config.lcm} and {large} have different autoencoders; a package has one for both U-Nets")
    if config.decoder:
        vae = networks.load_vae(config.decoder)
        if networks.encoder_digest(parts.vae) != networks.encoder_digest(vae):
            raise UserError(f"{config.decoder}: another encoder than that of {config.lcm}; train it with decoder_only")
        parts.vae = vae
    _check_lineage(config)
    return parts, networks.load_unet(large)


def _check_lineage(config: PackageConfig) -> None:
    """Refuses runs that did not go on from each other as the card would say."""
    stages = config.runs()
    teachers, distilled, consistent = (stages[name] for name in ("teacher", "student (distilled)", "student (consistency)"))
    if config.continues and teachers:
        _check_origin(teachers[0], "start", config.continues / "teacher")
    if distilled:
        _check_origin(distilled[0], "start", None)
        _check_origin(distilled[-1], "teacher", config.large)
    _check_origin(consistent[0], "student", distilled[-1] / "pipeline" if distilled else config.continues)
    for key, runs in (("start", teachers), ("start", distilled), ("student", consistent)):
        for earlier, later in itertools.pairwise(runs):
            _check_origin(later, key, earlier / "pipeline")


def _check_origin(run: Path, key: str, model: Path | None) -> None:
    """Refuses a run whose `key` was another model than `model`, or any where that is None."""
    named = run_record.config(run).get(key)
    if named != (model and str(model)):
        expected = f"not '{model}'" if model else "which is not given"
        raise UserError(f"{run}: its {key} was '{named}', {expected}; give the run that it came from")


def _halve(name: str, network: torch.nn.Module) -> None:
    network.half()
    for parameter, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise UserError(f"{name}: {parameter} has values beyond the range of half precision")


def _write_teacher(folder: Path, origin: Path, unet: torch.nn.Module) -> None:
    """A pipeline of its own U-Net and scheduler; what it shares with the student is linked."""
    unet.save_pretrained(folder / "unet")
    shutil.copytree(origin / "scheduler", folder / "scheduler")
    shutil.copy(origin / "model_index.json", folder)
    for part in ("text_encoder", "tokenizer", "vae"):
        (folder / part).symlink_to(Path("..", part))


def _own(folder: Path) -> list[Path]:
    """What is in `folder`, without links and what they lead to."""
    return [path for path in folder.rglob("*") if not path.is_symlink()]


def _write_tokenizer(folder: Path, origin: Path) -> None:
    """The vocabulary and the merge rules alone: a third of what transformers saves, from which it makes the rest again."""
    (folder / "tokenizer.json").unlink(missing_ok=True)
    tokenizer_files.write(folder, str(origin))


def _checked_size(folder: Path, limit: float) -> float:
    sizes = {path.relative_to(folder): path.stat().st_size / 1e6 for path in _own(folder) if path.is_file()}
    total = sum(sizes.values())
    if total > limit:
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
        listed = ", ".join(f"{path} {size:.1f}" for path, size in largest)
        raise UserError(f"the package has {total:.1f} MB, more than max_megabytes {limit:g}; the largest files in MB: {listed}")
    return total
