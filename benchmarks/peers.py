"""Compares engines on one bundle, on this machine, in one run: times, memory and accuracy of ours, ONNX Runtime and OpenVINO.

    .venv/bin/python benchmarks/peers.py BUNDLE [--threads 2] [--repeat 5] [--json FILE]

Each engine works in a process of its own (benchmarks/engines.py). Timed runs take turns between the engines, so that a change of
the machine's speed meets all of them alike; the medians after one warm-up run each are reported. Memory is the peak resident set
(mapped weights included): of `efc` for a compile, of the engine's process for a generation (three networks loaded one after the
other, two U-Net steps). A peer's own graph compilation is part of its load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgefusion import accuracy, reference

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = ("text_encoder", "unet", "vae_decoder")


class EngineError(Exception):
    """An engine cannot do what it was asked; the text says why."""


class Engine:
    """A child process that answers commands."""

    def __init__(self, name: str, threads: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("engines.py")), name, str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )

    def ask(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EngineError("the engine's process died") from None
        line = self._process.stdout.readline()
        if not line:
            raise EngineError(f"the engine's process died with status {self._process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise EngineError(reply["error"])
        return reply

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@dataclass
class Row:
    """One engine's results; a missing figure has its reason in `notes`."""

    engine: str
    load_seconds: dict[str, float] = field(default_factory=dict)
    run_seconds: dict[str, float] = field(default_factory=dict)
    sqnr_db: dict[str, float] = field(default_factory=dict)
    compile_seconds: dict[str, float] = field(default_factory=dict)
    compile_peak_bytes: dict[str, int] = field(default_factory=dict)
    generation_peak_bytes: int | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Workload:
    """A model with its seeded inputs and the reference outputs, as files that the engines read."""

    model: Path
    inputs: Path
    expected: dict[str, np.ndarray]


def prepare(bundle: Path, scratch: Path, seed: int) -> dict[str, Workload]:
    workloads = {}
    for name in MODELS:
        model = bundle / f"{name}.onnx"
        running = reference.session(model)
        inputs = reference.seeded_inputs(running, seed)
        np.savez(scratch / f"{name}.inputs.npz", **inputs)
        workloads[name] = Workload(model, scratch / f"{name}.inputs.npz", reference.run(running, inputs))
    return workloads


def run_watched(command: list[str | Path]) -> tuple[int, str, int]:
    """Exit code, error output and peak resident bytes of a command.

    The peak is polled from /proc: what wait4() reports starts at the size of the process that forked, which is gigabytes here.
    """
    peak = 0
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stderr=errors)
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))])
            time.sleep(0.01)
        errors.seek(0)
        return process.returncode, errors.read().decode(errors="replace").strip(), peak


def compile_ours(row: Row, workloads: dict[str, Workload], folder: Path, flags: list[str]) -> dict[str, Path]:
    """Compiles all models with `efc`, each in its own process, noting time and peak memory."""
    efc = Path(os.environ.get("EFC_BUILD_DIR", REPOSITORY / "build")) / "bin" / "efc"
    artifacts = {}
    for name, workload in workloads.items():
        artifact = folder / f"{row.engine}.{name}.efa"
        start = time.perf_counter()
        code, message, peak = run_watched([efc, workload.model, "--quiet", "-o", artifact, *flags])
        if code != 0:
            row.notes.append(f"{name} does not compile: {(message.splitlines() or ['no message'])[0]}")
            continue
        row.compile_seconds[name] = time.perf_counter() - start
        row.compile_peak_bytes[name] = peak
        artifacts[name] = artifact
    return artifacts


def measure(
    rows: list[Row], files: dict[str, dict[str, Path]], workloads: dict[str, Workload], scratch: Path, options: argparse.Namespace
) -> None:
    """Loads, runs and times each model in every engine, the engines taking turns."""
    engines = {row.engine: Engine(row.engine, options.threads) for row in rows}
    for name, workload in workloads.items():
        ready = []
        for row in rows:
            if name not in files[row.engine]:
                continue
            outputs = scratch / f"{row.engine}.outputs.npz"
            try:
                reply = engines[row.engine].ask(do="load", name=name, model=str(files[row.engine][name]))
                row.load_seconds[name] = reply["seconds"]
                engines[row.engine].ask(do="run", name=name, inputs=str(workload.inputs), outputs=str(outputs))
            except EngineError as error:
                row.notes.append(f"{name}: {error}")
                continue
            actual = np.load(outputs)
            row.sqnr_db[name] = min(accuracy.sqnr_db(expected, actual[key]) for key, expected in workload.expected.items())
            ready.append(row)
        times: dict[str, list[float]] = {row.engine: [] for row in ready}
        for _ in range(options.repeat):
            for row in ready:
                reply = engines[row.engine].ask(do="run", name=name, inputs=str(workload.inputs), outputs=None)
                times[row.engine].append(reply["seconds"])
        for row in ready:
            row.run_seconds[name] = statistics.median(times[row.engine])
            engines[row.engine].ask(do="unload", name=name)
    for engine in engines.values():
        engine.close()


def measure_generation_memory(row: Row, files: dict[str, Path], workloads: dict[str, Workload], threads: int) -> None:
    """Peak memory of a fresh process that does what a two-step generation does."""
    engine = Engine(row.engine, threads)
    try:
        for name in MODELS:
            engine.ask(do="load", name=name, model=str(files[name]))
        for name in ("text_encoder", "unet", "unet", "vae_decoder"):
            engine.ask(do="run", name=name, inputs=str(workloads[name].inputs), outputs=None)
        row.generation_peak_bytes = engine.ask(do="memory")["peak_bytes"]
    except EngineError as error:
        row.notes.append(f"generation: {error}")
    engine.close()


def _cell(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _mib(value: int | None) -> str:
    return "-" if value is None else f"{value / 2**20:.0f}"


def as_markdown(rows: list[Row], options: argparse.Namespace) -> str:
    head = [
        "engine",
        "load s (text, U-Net, VAE)",
        "text s",
        "U-Net step s",
        "VAE s",
        "compile s",
        "compile peak MiB",
        "generation peak MiB",
        "SQNR dB",
    ]
    lines = [
        f"{options.bundle.name}: {options.threads} threads, medians of {options.repeat} after one warm-up; "
        f"load average {os.getloadavg()[0]:.1f}",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in rows:
        cells = [row.engine, ", ".join(_cell(row.load_seconds.get(name)) for name in MODELS)]
        cells += [_cell(row.run_seconds.get(name)) for name in MODELS]
        cells.append(", ".join(_cell(row.compile_seconds.get(name), 1) for name in MODELS) if row.compile_seconds else "in load")
        cells.append(", ".join(_mib(row.compile_peak_bytes.get(name)) for name in MODELS) if row.compile_peak_bytes else "-")
        cells.append(_mib(row.generation_peak_bytes))
        cells.append(", ".join(_cell(row.sqnr_db.get(name), 0) for name in MODELS))
        lines.append("| " + " | ".join(cells) + " |")
    lines += [""] + [f"- {row.engine}: {note}" for row in rows for note in row.notes]
    return "\n".join(lines).rstrip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, help="a folder written by `edgefusion export`")
    parser.add_argument(
        "--engines", default="ours,onnxruntime,openvino-f32,openvino-bf16", help="comma-separated; also ours-bf16, ours-direct"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-generation", action="store_true", help="leave out the memory of a generation")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


#: Compiler flags of each form of ours: as it comes, with bfloat16 weights, without Winograd convolution.
OUR_FLAGS = {"ours": [], "ours-bf16": ["--cpu-precision=bf16"], "ours-direct": ["--winograd=false"]}


def main() -> int:
    options = _parser().parse_args()
    rows = [Row(name) for name in options.engines.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        workloads = prepare(options.bundle, scratch, options.seed)
        files = {}
        for row in rows:
            if row.engine in OUR_FLAGS:
                files[row.engine] = compile_ours(row, workloads, scratch, OUR_FLAGS[row.engine])
            else:
                files[row.engine] = {name: workload.model for name, workload in workloads.items()}
        measure(rows, files, workloads, scratch, options)
        for row in rows:
            if not options.no_generation and len(row.run_seconds) == len(MODELS):
                measure_generation_memory(row, files[row.engine], workloads, options.threads)
    print(as_markdown(rows, options))
    if options.json:
        options.json.write_text(json.dumps([accuracy.as_json(vars(row)) for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
