"""`edgefusion data STAGE`: the stages as commands, and `edgefusion data run` for a file that lists several."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgefusion.data import curation
from edgefusion.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Command:
    """A stage's module, its classes, and what it does; modules are loaded when they are used."""

    module: str
    stage: str
    config: str
    help: str


STAGES = {
    "ingest": _Command("ingest", "Ingest", "IngestConfig", "read a source: emoji, openclipart, a folder, webdataset shards"),
    "deduplicate": _Command("deduplicate", "Deduplicate", "DeduplicateConfig", "remove pictures that repeat another one"),
    "filter-small": _Command("filter_small", "FilterSmall", "FilterSmallConfig", "remove pictures with a short side"),
    "crop": _Command("crop", "Crop", "CropConfig", "crop to squares that keep the subject"),
    "recaption": _Command("recaption", "Recaption", "RecaptionConfig", "rewrite captions: vision-language model, or grammar"),
    "synthesize-prompts": _Command(
        "synthesize_prompts", "SynthesizePrompts", "SynthesizePromptsConfig", "write prompts: language model, or grammar"
    ),
    "synthesize-images": _Command(
        "synthesize_images", "SynthesizeImages", "SynthesizeImagesConfig", "make the prompts' pictures: diffusion, or compositor"
    ),
    "apply-decisions": _Command(
        "apply_decisions", "ApplyDecisions", "ApplyDecisionsConfig", "keep and drop what was decided on the curation page"
    ),
    "select": _Command("select", "Select", "SelectConfig", "choose samples, join datasets, set held-out pairs apart"),
}


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `data` and its stages to the command line."""
    data = commands.add_parser("data", help="prepare pictures with captions for training")
    stages = data.add_subparsers(metavar="STAGE", required=True)
    for name, command in STAGES.items():
        parser = stages.add_parser(name, help=command.help, description=command.help)
        parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the stage's configuration (YAML)")
        _add_execution(parser)
        parser.set_defaults(run=_run_stage, stage=name)
    curation.add_command(stages)
    parser = stages.add_parser("run", help="run the stages that a file lists, one after the other")
    parser.add_argument("config", type=Path, metavar="FILE", help="YAML documents, each with `stage` and its configuration")
    _add_execution(parser)
    parser.set_defaults(run=_run_file)


def _add_execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the configuration, e.g. output=data/emoji"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine; 0: one a core (default: 1)")
    parser.add_argument("--ray-address", metavar="ADDRESS", help="run on this Ray cluster (`auto`, HOST:PORT, ray://HOST:PORT)")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs that a task takes, on Ray (default: 0)")


def _run_stage(arguments: argparse.Namespace) -> int:
    from edgefusion import configuration

    documents = configuration.read_documents(arguments.config)
    if len(documents) != 1:
        raise UserError(f"{arguments.config}: lists {len(documents)} stages; run it with `edgefusion data run`")
    if documents[0].pop("stage", arguments.stage) != arguments.stage:
        raise UserError(f"{arguments.config}: is not a configuration of {arguments.stage}")
    _run(arguments.stage, documents[0], arguments)
    return 0


def _run_file(arguments: argparse.Namespace) -> int:
    from edgefusion import configuration

    documents = configuration.read_documents(arguments.config)
    if arguments.set and len(documents) != 1:
        raise UserError("--set goes with a configuration of one stage")
    names = [document.pop("stage", None) for document in documents]
    for number, name in enumerate(names, 1):
        if name not in STAGES:
            raise UserError(f"{arguments.config}: document {number}: stage: expected one of {', '.join(STAGES)}, found {name}")
    # Every document is checked before the first stage starts.
    for name, document in zip(names, documents, strict=True):
        load_stage(name, document, str(arguments.config), arguments.set)
    for name, document in zip(names, documents, strict=True):
        _run(name, document, arguments)
    return 0


def load_stage(name: str, document: dict[str, Any], where: str, overrides: Sequence[str] = ()) -> Any:  # noqa: ANN401 - a Stage
    """The stage `name` with its configuration from a document of the file `where`."""
    from edgefusion import configuration

    command = STAGES[name]
    module = importlib.import_module(f"edgefusion.data.{command.module}")
    config = configuration.parse(document, getattr(module, command.config), f"{where} ({name})", overrides)
    return getattr(module, command.stage)(config)


def _run(name: str, document: dict[str, Any], arguments: argparse.Namespace) -> None:
    from edgefusion.data import executor, stage

    if arguments.workers < 0 or arguments.gpus < 0:
        raise UserError("--workers and --gpus must not be negative")
    where = executor.choose(arguments.workers, arguments.ray_address, arguments.gpus)
    loaded = load_stage(name, document, str(arguments.config), arguments.set)
    summary = stage.run_stage(loaded, where, stage.terminal_progress())
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    print(summary.sentence())
