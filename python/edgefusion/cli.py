"""The command `edgefusion`: one sub-command a task; a user's mistake ends in one sentence on stderr and exit status 1."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import edgefusion
from edgefusion.errors import UserError


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="write a diffusers pipeline as a bundle of ONNX models")
    parser.add_argument("pipeline", nargs="?", help="a diffusers pipeline folder or hub id")
    parser.add_argument(
        "--random", metavar="ARCH", help="random weights in the architecture bk-sdm-tiny or tiny, instead of a pipeline"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the bundle folder to write")
    parser.add_argument(
        "--exporter", choices=["dynamo", "torchscript"], default="dynamo", help="torch's exporter (default: dynamo)"
    )
    parser.add_argument("--opset", type=int, help="ONNX operator set (default: the newest that the exporter writes)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random weights (default: 0)")
    parser.add_argument("--save-pipeline", type=Path, metavar="DIR", help="also save the diffusers pipeline there")
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    if (arguments.pipeline is None) == (arguments.random is None):
        raise UserError("give either a pipeline folder or hub id, or --random ARCH")
    from edgefusion.export import bundle, sources

    if arguments.random:
        source = sources.random_pipeline(arguments.random, arguments.seed)
    else:
        source = sources.load_pipeline(arguments.pipeline)
    bundle.write(source, arguments.output, arguments.exporter, arguments.opset)
    if arguments.save_pipeline:
        bundle.save_pipeline(source, arguments.save_pipeline)
    print(f"wrote {arguments.output}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgefusion", description="Export, compile, check and run text-to-image diffusion models."
    )
    parser.add_argument("--version", action="version", version=f"edgefusion {edgefusion.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_export(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except UserError as error:
        print(f"edgefusion: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"edgefusion: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
