"""The command `edgefusion`: one sub-command a task; a user's mistake ends in one sentence on stderr and exit status 1."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import edgefusion
from edgefusion.data import cli as data_cli
from edgefusion.errors import UserError
from edgefusion.eval import cli as eval_cli
from edgefusion.files import write_json, write_text
from edgefusion.train import cli as train_cli

if TYPE_CHECKING:
    import numpy as np


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


def _export(arguments: argparse.Namespace) -> int:
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
    return 0


def _add_compiler_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", choices=["cpu", "exynos-npu"], default="cpu", help="machine kind (default: cpu)")
    parser.add_argument(
        "--quantize", choices=["w8a16", "w8"], default="", help="int8 weights and int16 activations, or weights alone"
    )
    parser.add_argument("--calibration", default="", metavar="FILE", help="the activations' ranges, for --quantize w8a16")
    parser.add_argument("--keep-float", default="", metavar="REGEX", help="ONNX nodes that are not quantised")
    parser.add_argument("--machine", default="", metavar="NAME|FILE", help="the NPU (default: exynos2400)")
    parser.add_argument(
        "--machine-set", action="append", default=[], metavar="KEY=VALUE", help="a figure of the NPU, e.g. scratchpad=2MiB"
    )
    parser.add_argument(
        "--mlt", choices=["off", "attention", "full"], default="full", help="extent of model-level tiling (default: full)"
    )
    parser.add_argument(
        "--overlap", choices=["on", "off"], default="on", help="the NPU's engines and DMA at the same time (default: on)"
    )
    parser.add_argument("--cpu", default="", metavar="NAME", help="machine: host, x86-64-v3, ... (default: every variant)")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="of weights in products (default: f32)")
    parser.add_argument(
        "--no-winograd", action="store_true", help="no Winograd convolution: closer rounding, more multiplications"
    )
    parser.add_argument(
        "--dim", action="append", default=[], metavar="NAME=VALUE", help="value of a symbolic dimension, e.g. batch=1"
    )
    parser.add_argument(
        "--input-shape", action="append", default=[], metavar="NAME=SHAPE", help="shape of an input, e.g. x=1x3x48x192"
    )


def _pairs(items: list[str], flag: str, example: str) -> list[tuple[str, str]]:
    pairs = []
    for item in items:
        name, equals, value = item.rpartition("=")
        if not equals or not name or not value:
            raise UserError(f"{flag} {item}: expected NAME=VALUE, e.g. {flag} {example}")
        pairs.append((name, value))
    return pairs


def _compile_one(
    arguments: argparse.Namespace, model: Path, output: Path, unfused: bool = False, report: Path | str = ""
) -> dict:
    try:
        dims = {name: int(value) for name, value in _pairs(arguments.dim, "--dim", "batch=1")}
        shapes = {
            name: [int(size) for size in value.split("x")]
            for name, value in _pairs(arguments.input_shape, "--input-shape", "image=1x3x48x192")
        }
    except ValueError as error:
        raise UserError(f"a size in --dim or --input-shape is not a whole number: {error}") from None
    return edgefusion.compile(
        model,
        output,
        arguments.target,
        quantize=arguments.quantize,
        calibration=arguments.calibration,
        keep_float=arguments.keep_float,
        machine=arguments.machine,
        machine_settings=arguments.machine_set,
        mlt=arguments.mlt,
        overlap=arguments.overlap == "on",
        cpu=arguments.cpu,
        precision=arguments.precision,
        winograd=not arguments.no_winograd,
        unfused=unfused,
        dims=dims,
        input_shapes=shapes,
        report=report,
    )


def _add_compile(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("compile", help="compile an ONNX model, or all models of a bundle, to artifacts")
    parser.add_argument("model", type=Path, help="an ONNX file, or a bundle folder")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the artifact (default: beside the model, as .efa)")
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write what the compile did there; of a bundle, a folder a model"
    )
    _add_compiler_options(parser)
    parser.set_defaults(run=_compile)


def _compile(arguments: argparse.Namespace) -> int:
    if arguments.model.is_dir():
        if arguments.output:
            raise UserError("--output names one artifact, but a bundle has several; leave it out")
        from edgefusion import pipeline_file

        jobs = pipeline_file.models(arguments.model)
    else:
        jobs = [(arguments.model, arguments.output or arguments.model.with_suffix(".efa"))]
    for model, output in jobs:
        folder = arguments.report or ""
        if folder and arguments.model.is_dir():
            folder /= model.stem
        report = _compile_one(arguments, model, output, report=folder)
        seconds = sum(report["phase_seconds"].values())
        print(f"{output}: {report['dispatches']} launches of {report['kernels']} kernels, compiled in {seconds:.1f} s")
    return 0


def _add_calibrate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("calibrate", help="measure the ranges that W8A16 needs, on the float32 model")
    parser.add_argument("model", type=Path, help="an ONNX file (with --inputs), or a bundle: its U-Net, sampling")
    parser.add_argument(
        "--inputs", type=Path, nargs="+", metavar="FILE.npz", help="samples: one array an input, samples along a new first axis"
    )
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="one prompt a line (default: eight packaged ones)")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="lengths of runs (default: 1 2 4)")
    parser.add_argument(
        "--guidance", type=float, nargs="+", default=[1.0, 4.0, 8.0], metavar="W", help="taken in turn (default: 1 4 8)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: 0)")
    parser.add_argument("--artifact", type=Path, metavar="FILE", help="the model's float32 artifact (default: compile one now)")
    parser.add_argument("--threads", type=int, default=0, help="threads (default: one a core)")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=VALUE", help="value of a symbolic dimension")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the table (default: beside the model, as .calibration.tsv)"
    )
    parser.set_defaults(run=_calibrate)


def _calibrate(arguments: argparse.Namespace) -> int:
    from edgefusion import calibrate, pipeline_file

    progress = calibrate.terminal_progress()
    if arguments.model.is_dir():
        if arguments.inputs:
            raise UserError("--inputs goes with one model; a bundle is calibrated with prompts")
        prompts = calibrate.read_prompts(arguments.prompts)
        if any(not 1 <= steps <= 8 for steps in arguments.steps):
            raise UserError("--steps: a run has 1 to 8 steps")
        model = arguments.model / pipeline_file.read(arguments.model)["models"]["unet"]["onnx"]
        table = calibrate.calibrate_bundle(
            arguments.model,
            prompts,
            steps=arguments.steps,
            guidance=arguments.guidance,
            seed=arguments.seed,
            threads=arguments.threads,
            progress=progress,
        )
    else:
        if not arguments.inputs:
            raise UserError("one model needs samples: give --inputs FILE.npz (a bundle folder is calibrated with prompts)")
        model = arguments.model
        dims = _dims(arguments.dim)
        table = calibrate.calibrate_model(
            model, arguments.inputs, artifact=arguments.artifact, threads=arguments.threads, progress=progress, dims=dims
        )
    output = arguments.output or model.with_suffix(".calibration.tsv")
    table.write(output)
    print(f"wrote {output}: {len(table.ranges)} ranges")
    return 0


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", action="append", default=[], metavar="NAME=FILE.npy", help="a value instead of a random one")
    parser.add_argument("--seed", type=int, default=0, help="seed of random inputs (default: 0)")
    parser.add_argument("--threads", type=int, default=0, help="threads (default: one a core)")


def _load_inputs(items: list[str]) -> dict[str, np.ndarray]:
    import numpy as np

    values = {}
    for name, path in _pairs(items, "--input", "sample=sample.npy"):
        try:
            values[name] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"--input {name}={path}: not a readable .npy file ({error})") from None
    return values


def _add_verify(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("verify", help="check every tensor of a compiled model against ONNX Runtime")
    parser.add_argument("model", type=Path, help="the ONNX file")
    parser.add_argument("--artifact", type=Path, metavar="FILE", help="its artifact (default: compile one now)")
    parser.add_argument("--unfused", action="store_true", help="compile so that every tensor of the model stays visible")
    parser.add_argument(
        "--threshold", type=float, default=60.0, metavar="DB", help="SQNR below which a tensor is bad (default: 60)"
    )
    parser.add_argument("--all", action="store_true", help="list every tensor in execution order instead of the worst 20")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every check there")
    _add_inputs(parser)
    _add_compiler_options(parser)
    parser.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    import tempfile

    from edgefusion import verify

    with tempfile.TemporaryDirectory() as scratch:
        artifact = arguments.artifact or Path(scratch) / "model.efa"
        if not arguments.artifact:
            _compile_one(arguments, arguments.model, artifact, arguments.unfused)
        result = verify.verify(
            arguments.model,
            artifact,
            inputs=_load_inputs(arguments.input),
            seed=arguments.seed,
            threads=arguments.threads,
            threshold_db=arguments.threshold,
        )
    print(result.as_table(arguments.all))
    if arguments.json:
        write_text(arguments.json, result.as_json())
    return 1 if result.first_bad else 0


def _add_quality(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("quality", help="what W8A16 costs: end to end, the activations' own part, tensor by tensor")
    parser.add_argument("model", type=Path, help="the ONNX file")
    parser.add_argument("--calibration", type=Path, required=True, metavar="FILE", help="its table of `edgefusion calibrate`")
    parser.add_argument("--inputs", type=Path, nargs="+", default=[], metavar="FILE.npz", help="samples (default: a random one)")
    parser.add_argument("--keep-float", default="", metavar="REGEX", help="ONNX nodes that stay in float")
    parser.add_argument("--seed", type=int, default=0, help="seed of a random sample (default: 0)")
    parser.add_argument("--threads", type=int, default=0, help="threads (default: one a core)")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=VALUE", help="value of a symbolic dimension")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="tensors to list (default: 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.set_defaults(run=_quality)


def _quality(arguments: argparse.Namespace) -> int:
    from edgefusion import quality

    result = quality.quality(
        arguments.model,
        arguments.calibration,
        inputs=arguments.inputs,
        seed=arguments.seed,
        threads=arguments.threads,
        keep_float=arguments.keep_float,
        dims=_dims(arguments.dim),
    )
    print(result.as_table(arguments.top))
    if arguments.json:
        write_text(arguments.json, result.as_json())
    return 0


def _dims(items: list[str]) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in _pairs(items, "--dim", "batch=1")}
    except ValueError as error:
        raise UserError(f"a size in --dim is not a whole number: {error}") from None


def _add_generate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("generate", help="make a picture from a prompt with a compiled bundle")
    parser.add_argument("bundle", type=Path, help="a bundle folder whose models are compiled")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--steps", type=int, default=2, help="1 to 8 (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: 0)")
    parser.add_argument("--guidance", type=float, default=8.0, help="guidance scale (default: 8)")
    parser.add_argument("--threads", type=int, default=0, help="threads (default: one a core)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("out.png"), metavar="FILE", help="PNG to write (default: out.png)"
    )
    parser.set_defaults(run=_generate)


def _generate(arguments: argparse.Namespace) -> int:
    pipeline = edgefusion.TextToImage(arguments.bundle, threads=arguments.threads)
    image = pipeline(arguments.prompt, steps=arguments.steps, seed=arguments.seed, guidance=arguments.guidance)
    image.save(arguments.output)
    print(f"wrote {arguments.output}")
    return 0


def _add_bench(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("bench", help="time a compiled model, kernel launch by kernel launch")
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--repeat", type=int, default=5, help="timed runs after one to warm up (default: 5)")
    parser.add_argument("--top", type=int, default=15, metavar="N", help="launches to list (default: 15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    _add_inputs(parser)
    parser.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    from edgefusion import bench

    if arguments.repeat < 1:
        raise UserError("--repeat must be at least 1")
    result = bench.bench(
        arguments.artifact,
        inputs=_load_inputs(arguments.input),
        seed=arguments.seed,
        threads=arguments.threads,
        repeat=arguments.repeat,
    )
    print(bench.as_table(result, arguments.top))
    if arguments.json:
        write_json(arguments.json, result)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgefusion", description="Export, compile, check and run text-to-image diffusion models."
    )
    parser.add_argument("--version", action="version", version=f"edgefusion {edgefusion.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_add_export, _add_calibrate, _add_compile, _add_verify, _add_quality, _add_generate, _add_bench):
        add(commands)
    data_cli.add_commands(commands)
    eval_cli.add_commands(commands)
    train_cli.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed)
    except (UserError, OSError) as error:
        print(f"edgefusion: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
