"""`edgefusion train WHAT`: the trainings as commands."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from pathlib import Path

from edgefusion.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Command:
    """A training's module and its configuration's class; modules are loaded when they are used."""

    module: str
    config: str
    help: str


COMMANDS = {
    "vae": _Command("vae", "VaeConfig", "the autoencoder between pictures and latents"),
    "text": _Command("text", "TextConfig", "a text encoder, and the image-text scorer of the evaluation"),
    "teacher": _Command("teacher", "TeacherConfig", "the large diffusion model"),
    "kd": _Command("kd", "KdConfig", "a student with fewer blocks, which learns from the large model"),
    "lcm": _Command("lcm", "LcmConfig", "a student that needs one to four steps, by consistency distillation"),
}


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `train` and its trainings to the command line."""
    train = commands.add_parser("train", help="train the networks of a text-to-image pipeline")
    trainings = train.add_subparsers(metavar="WHAT", required=True)
    for name, command in COMMANDS.items():
        parser = trainings.add_parser(name, help=command.help, description=f"Train {command.help}.")
        _add_config(parser)
        parser.add_argument(
            "--max-steps",
            type=int,
            default=0,
            metavar="N",
            help="stop, with a checkpoint, at step N of the run (default: its last)",
        )
        parser.add_argument(
            "--max-minutes", type=float, default=0, metavar="N", help="stop, with a checkpoint, after N minutes (default: never)"
        )
        parser.add_argument(
            "--start-over", action="store_true", help="discard the checkpoints in the output folder instead of going on from them"
        )
        parser.add_argument(
            "--unfinished-status",
            type=int,
            default=0,
            metavar="N",
            help="exit status of a stop before the last step (default: 0)",
        )
        parser.set_defaults(run=_train, command=command)
    parser = trainings.add_parser("latents", help="pictures as latents and captions as token ids, computed once")
    _add_config(parser)
    parser.set_defaults(run=_latents)
    parser = trainings.add_parser("package", help="the runs' results as one small folder with a model card")
    _add_config(parser)
    parser.set_defaults(run=_package)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration (YAML)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the configuration, e.g. loop.batch_size=8"
    )


def _train(arguments: argparse.Namespace) -> int:
    from edgefusion import configuration
    from edgefusion.train import machine, processes
    from edgefusion.train.config import Limits

    machine.quiet_libraries()
    if arguments.max_steps < 0 or arguments.max_minutes < 0:
        raise UserError("--max-steps and --max-minutes must not be negative")
    module = importlib.import_module(f"edgefusion.train.{arguments.command.module}")
    config = configuration.read(arguments.config, getattr(module, arguments.command.config), arguments.set)
    limits = Limits(arguments.max_steps, arguments.max_minutes)
    outcome = processes.run(config.loop.processes, module.run, config, limits, arguments.start_over)
    return arguments.unfinished_status if outcome.reason else 0


def _latents(arguments: argparse.Namespace) -> int:
    from edgefusion import configuration
    from edgefusion.train import latents, machine

    machine.quiet_libraries()
    config = configuration.read(arguments.config, latents.LatentsConfig, arguments.set)
    count = latents.run(config)
    print(f"wrote {config.output}: {count:,} pictures")
    return 0


def _package(arguments: argparse.Namespace) -> int:
    from edgefusion import configuration
    from edgefusion.train import machine, package

    machine.quiet_libraries()
    config = configuration.read(arguments.config, package.PackageConfig, arguments.set)
    size = package.run(config)
    print(f"wrote {config.output}: {size:.1f} MB")
    return 0
