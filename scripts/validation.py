#!/usr/bin/env python3
"""Writes docs/validation.md: what the exynos2400 machine file says of the measurements that are published, and how far off it is.

Each figure is the simulated time of an artifact that efc compiled: `efrun --timing-only` runs its bytes, the compile's trace
attributes time to steps. The paper's setting is `--overlap=off`. Needs the full-size models (edgefusion export). Ranges of
activations do not change any time, so the table of every W8A16 model says -1 to 1.

    scripts/validation.py --models DIR [--build BUILD] [--work DIR] [--output docs/validation.md]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import validation_models

REPOSITORY = Path(__file__).resolve().parent.parent
ONE_FORWARD = REPOSITORY / "scripts/exynos2400-one-forward.yaml"
SELF_ATTENTION_TOKENS = 4096

#: Tab. 6 of arXiv 2404.11925: step, % without MLT, % with MLT.
TAB6: list[tuple[str, float, float | None]] = [
    ("DMA load Q, K", 0.6, 0.6),
    ("tensor engine Q x K^T = S_in", 6.9, 7.2),
    ("DMA store S_in", 19.1, None),
    ("DMA load S_in", 18.2, None),
    ("vector engine softmax(S_in) = S_out", 11.0, 11.6),
    ("DMA store S_out", 18.5, None),
    ("DMA load S_out and V (with MLT: V)", 19.5, 0.8),
    ("tensor engine S_out x V = A", 5.4, 5.7),
    ("DMA store A", 0.7, 0.7),
]
TAB6_TOTAL = 27.0
#: Tab. 7, EdgeFusion rows, ms: without and with MLT.
TAB7 = {"text_encoder": (51.9, 52.2), "unet": (454.3, 200.2), "vae_decoder": (484.7, 486.1)}
#: ISSCC 2025, inferences a second.
SD_UNET_RATE, EDSR_RATE = 8.3, 140.3


@dataclass
class Compiled:
    """One artifact's simulated time and the reports of its compile."""

    ms: float
    report: Path
    npu: dict = field(default_factory=dict)

    def events(self) -> list[dict]:
        trace = json.loads((self.report / "trace.json").read_text())
        return [event for event in trace["traceEvents"] if event["ph"] == "X"]

    def layers(self) -> list[dict]:
        return json.loads((self.report / "layers.json").read_text())["layers"]


class DoesNotCompile(Exception):
    """efc's first sentence on a model that it refuses."""


class Compiler:
    """Runs efc and efrun; results are kept under `work` by the options and the compiler that gave them."""

    def __init__(self, build: Path, models: Path, work: Path) -> None:
        self.efc, self.efrun = build / "bin/efc", build / "bin/efrun"
        self.models, self.work = models, work

    def compile(self, model: Path, *options: str, quantize: bool = False) -> Compiled:
        stamps = [f"{path}:{path.stat().st_mtime_ns}" for path in (self.efc, model, ONE_FORWARD)]
        key = hashlib.sha256("\n".join([*stamps, *options, str(quantize)]).encode()).hexdigest()[:16]
        report, artifact = self.work / key, self.work / f"{key}.efa"
        done = report / "simulated.json"
        if not done.exists():
            print("efc", model.name, *options, "W8A16" if quantize else "FP16", file=sys.stderr, flush=True)
            report.mkdir(parents=True, exist_ok=True)
            extra = ["--quantize=w8a16", f"--calibration={self.ranges(model)}"] if quantize else []
            command = [self.efc, model, "--target=exynos-npu", *extra, *options, f"--report={report}", "-o", artifact, "--quiet"]
            process = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            if process.returncode != 0:
                raise DoesNotCompile(next((line for line in process.stderr.splitlines() if "error:" in line), "no message"))
            command = [self.efrun, artifact, "--device=exynos-npu-sim", "--timing-only", "--json", done.with_suffix(".part")]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            artifact.unlink()
            done.with_suffix(".part").rename(done)
        npu = json.loads((report / "compile.json").read_text())["npu"]
        ms = 1e3 * json.loads(done.read_text())["simulated_seconds"]
        if abs(ms - npu["simulated_ms"]) > 1e-6 * ms:
            raise SystemExit(f"error: {model.name}: efrun simulates {ms} ms, efc reported {npu['simulated_ms']} ms")
        return Compiled(ms, report, npu)

    def ranges(self, model: Path) -> Path:
        """A calibration table of `model` with the range -1 to 1 for every tensor."""
        plan, table = self.work / f"{model.stem}.json", self.work / f"{model.stem}.tsv"
        self.work.mkdir(parents=True, exist_ok=True)
        subprocess.run([self.efc, model, f"--list-tensors={plan}"], check=True)
        listed = json.loads(plan.read_text())
        names = [*listed["tensors"], *(score["name"] for score in listed["scores"])]
        lines = ["# edgefusion calibration 1", "tensor\tminimum\tmaximum", *(f"{name}\t-1\t1" for name in names)]
        table.write_text("\n".join(lines) + "\n")
        return table

    def model(self, name: str, *options: str, quantize: bool | None = None) -> Compiled:
        """The U-Net in W8A16 and the others in FP16, as in the paper, unless `quantize` says otherwise."""
        return self.compile(self.models / f"{name}.onnx", *options, quantize=name == "unet" if quantize is None else quantize)


def divide(steps: list[list[dict]]) -> list[float]:
    """Milliseconds of each step; a moment is divided among the commands that run, so that the sum is the time taken."""
    changes = []
    for step, events in enumerate(steps):
        for event in events:
            changes += [(event["ts"], 1, step), (event["ts"] + event["dur"], -1, step)]
    running, total, before = [0] * len(steps), [0.0] * len(steps), 0.0
    for time, change, step in sorted(changes):
        if count := sum(running):
            total = [ms + (time - before) / 1e3 * part / count for ms, part in zip(total, running, strict=True)]
        running[step] += change
        before = time
    return total


def is_dma(event: dict) -> bool:
    return "bytes" in event["args"]


def is_tensor(event: dict) -> bool:
    return "macs" in event["args"]


def self_attention(compiled: Compiled) -> tuple[str, list[dict]]:
    """Node and events of the first self-attention on 64x64 tokens: the attention with the most MACs."""
    layers = [layer for layer in compiled.layers() if layer["op"].startswith("attention")]
    largest = max(layer["macs"] for layer in layers)
    node = next(layer["node"] for layer in layers if layer["macs"] == largest)
    events = [event for event in compiled.events() if event["args"]["node"] == node and event["name"].startswith("attention")]
    return node, events


def steps_without_mlt(events: list[dict]) -> list[float]:
    def part(layer: str, select: Callable[[dict], bool]) -> list[dict]:
        return [event for event in events if event["name"].startswith(f"attention.{layer}") and select(event)]

    def load(event: dict) -> bool:
        return is_dma(event) and not event["args"]["store"]

    def store(event: dict) -> bool:
        return is_dma(event) and event["args"]["store"]

    def vector(event: dict) -> bool:
        return not is_dma(event) and not is_tensor(event)

    computes = {"scores": is_tensor, "softmax": vector, "context": is_tensor}
    return divide([part(layer, select) for layer, compute in computes.items() for select in (load, compute, store)])


def value_loads(compiled: Compiled, loads: list[dict]) -> list[dict]:
    """Those of `loads` that read what the layer stored which computes V.

    A load is attributed to the last store of its bytes. The three products are stored in the order Q, K, V, so V's producer is
    the last.
    """
    stores = [event for event in compiled.events() if is_dma(event) and event["args"]["store"]]

    def producer(event: dict) -> tuple[int, str]:
        args = event["args"]
        best = (-1, "")
        for store in stores:
            other = store["args"]
            if (
                other["slot"] == args["slot"]
                and other["sequence"] < args["sequence"]
                and other["offset"] <= args["offset"] < other["offset"] + other["bytes"]
            ):
                best = max(best, (other["sequence"], other["node"]))
        return best

    producers = {id(event): producer(event) for event in loads}
    last = max(producers.values())[1]
    return [event for event in loads if producers[id(event)][1] == last]


def steps_with_mlt(compiled: Compiled, events: list[dict]) -> list[float]:
    loads = [event for event in events if is_dma(event) and not event["args"]["store"]]
    stores = [event for event in events if is_dma(event) and event["args"]["store"]]
    tensor = [event for event in events if is_tensor(event)]
    head = min(event["args"]["channels"] for event in tensor)
    scores = [event for event in tensor if event["args"]["channels"] == head]
    context = [event for event in tensor if event["args"]["channels"] != head]
    softmax = [event for event in events if not is_dma(event) and not is_tensor(event)]
    values = value_loads(compiled, loads)
    others = [event for event in loads if event not in values]
    return divide([others, scores, [], [], softmax, [], values, context, stores])


def percent(value: float, reference: float) -> str:
    return f"{100 * (value / reference - 1):+.1f}%"


def verdict(holds: bool) -> str:
    return "yes" if holds else "**no**"


def figures_of(compiler: Compiler, machine: str) -> dict[str, tuple[float, str, str]]:
    """Value, unit and source of each figure of a machine."""
    command = [compiler.efc, "--print-machine", f"--machine={machine}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^  ([\w.]+): \{value: ([^,]+), unit: ([^,]+), source: (\w+)", text, re.MULTILINE)
    return {key: (float(value), unit, source) for key, value, unit, source in found if unit != "boolean"}


def write_calibrated(compiler: Compiler, machine: str) -> list[str]:
    rows = ["| calibrated figure | value |", "|---|---|"]
    for key, (value, unit, source) in figures_of(compiler, machine).items():
        if source == "calibrated":
            rows.append(f"| `{key}` | {value:g} {unit} |")
    return rows


def write_tab6(off: Compiled, on: Compiled) -> list[str]:
    node, events_off = self_attention(off)
    steps_off = steps_without_mlt(events_off)
    steps_on = steps_with_mlt(on, self_attention(on)[1])
    total = sum(steps_off)
    rows = [
        f"Node `{node}`; {total:.2f} ms (simulated) without MLT are 100.",
        "",
        "| step | paper, without | simulated | paper, with | simulated | within 2 points |",
        "|---|---|---|---|---|---|",
    ]
    for (step, paper_off, paper_on), ms_off, ms_on in zip(TAB6, steps_off, steps_on, strict=True):
        share_off, share_on = 100 * ms_off / total, 100 * ms_on / total
        holds = abs(share_off - paper_off) <= 2 and abs(share_on - (paper_on or 0)) <= 2
        paper = "-" if paper_on is None else f"{paper_on}"
        shown = "-" if paper_on is None and share_on == 0 else f"{share_on:.1f}"
        rows.append(f"| {step} | {paper_off} | {share_off:.1f} | {paper} | {shown} | {verdict(holds)} |")
    share = 100 * sum(steps_on) / total
    rows.append(f"| total | 100 | 100 | {TAB6_TOTAL:g} | {share:.1f} | {verdict(abs(share - TAB6_TOTAL) <= 2)} |")
    return rows


def write_tab7(compiler: Compiler, forwards: int, machine: list[str]) -> list[str]:
    rows = [
        "| model | MLT | paper, ms | paper, a forward | simulated, ms | difference | within 15% |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (paper_off, paper_on) in TAB7.items():
        for mlt, paper in (("off", paper_off), ("attention", paper_on)):
            runs = forwards if name == "unet" else 1
            ms = compiler.model(name, "--overlap=off", f"--mlt={mlt}", *machine).ms
            reference = paper / runs
            holds = "not explained" if name == "text_encoder" else verdict(abs(ms / reference - 1) <= 0.15)
            rows.append(f"| {name} | {mlt} | {paper} | {reference:.1f} | {ms:.1f} | {percent(ms, reference)} | {holds} |")
    return rows


def rate_row(compiler: Compiler, what: str, published: float, model: Path, *options: str) -> str:
    try:
        compiled = compiler.compile(model, *options, quantize=True)
    except DoesNotCompile as error:
        return f"| {what} | {published} | does not compile: {error} | - | - |"
    rate, bound = 1e3 / compiled.ms, 1e3 / compiled.npu["lower_bound_ms"]
    return f"| {what} | {published} | {rate:.1f} | {percent(rate, published)} | {bound:.1f} |"


def write_held_out(compiler: Compiler) -> list[str]:
    unet = validation_models.stable_diffusion_unet(compiler.work)
    edsr = validation_models.edsr(compiler.work)
    figures = figures_of(compiler, "exynos2400")
    doubled = [f"{key}={2 * figures[key][0]:g}{figures[key][1]}" for key in ("dram.bandwidth", "scratchpad")]
    int8 = [f"--machine-set={setting}" for setting in ("rate.i16xi8=1", *doubled)]
    name = "SD v1.4 U-Net, W8A16, batch 1"
    return [
        "| what | published, 1/s | simulated, 1/s | difference | lower bound of the time, as a rate |",
        "|---|---|---|---|---|",
        rate_row(compiler, f"{name}, `--mlt=attention`", SD_UNET_RATE, unet, "--mlt=attention"),
        rate_row(compiler, f"{name}, `--mlt=full`", SD_UNET_RATE, unet, "--mlt=full"),
        rate_row(compiler, f"{name}, `--mlt=attention`, no overlap", SD_UNET_RATE, unet, "--mlt=attention", "--overlap=off"),
        rate_row(compiler, "EDSR F32B5 x2 to 1920x1080, W8A16", EDSR_RATE, edsr),
        rate_row(compiler, "the same in INT8", EDSR_RATE, edsr, *int8),
    ]


def attention_share(compiled: Compiled, node: str) -> float:
    """Milliseconds of the makespan that belong to the attention of `node`."""
    return sum(
        layer["simulated_ms"] for layer in compiled.layers() if layer["node"] == node and layer["op"].startswith("attention")
    )


def write_targets(compiler: Compiler, off: Compiled) -> list[str]:
    node, events = self_attention(off)
    full = compiler.model("unet")
    block = 100 * attention_share(full, node) / sum(steps_without_mlt(events))
    rows = [
        "| target | simulated | holds |",
        "|---|---|---|",
        f"| 64x64 self-attention at most 20 (of 100, as in Tab. 6) | {block:.1f} | {verdict(block <= 20)} |",
        f"| BK-SDM-Tiny U-Net, W8A16, at most 90 ms a forward | {full.ms:.1f} ms | {verdict(full.ms <= 90)} |",
        "",
        "| model | simulated, ms | lower bound, ms | ratio | what binds | DRAM, MB | MAC utilisation |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in TAB7:
        compiled = compiler.model(name)
        npu = compiled.npu
        dram = (npu["dram_read_bytes"] + npu["dram_write_bytes"]) / 1e6
        rows.append(
            f"| {name} | {compiled.ms:.1f} | {npu['lower_bound_ms']:.1f} | {compiled.ms / npu['lower_bound_ms']:.2f} | "
            f"{npu['lower_bound_binds']} | {dram:.0f} | {100 * npu['mac_utilisation']:.0f}% |"
        )
    return rows


def write_ablation(compiler: Compiler) -> list[str]:
    def cell(mlt: str, quantize: bool) -> str:
        try:
            return f"{compiler.model('unet', f'--mlt={mlt}', quantize=quantize).ms:.1f}"
        except DoesNotCompile as error:
            return f"does not compile: {error}"

    rows = ["| U-Net, a forward, ms | FP16 | W8A16 |", "|---|---|---|"]
    return rows + [f"| `--mlt={mlt}` | {cell(mlt, False)} | {cell(mlt, True)} |" for mlt in ("off", "full")]


def write_page(compiler: Compiler) -> str:
    off = compiler.model("unet", "--overlap=off", "--mlt=off")
    on = compiler.model("unet", "--overlap=off", "--mlt=attention")
    one_forward = [f"--machine={ONE_FORWARD}"]
    sections = {
        "CALIBRATED": write_calibrated(compiler, "exynos2400"),
        "TAB6": write_tab6(off, on),
        "TAB7": write_tab7(compiler, 2, []),
        "CALIBRATED_ONE_FORWARD": write_calibrated(compiler, str(ONE_FORWARD)),
        "TAB6_ONE_FORWARD": write_tab6(
            *(compiler.model("unet", "--overlap=off", f"--mlt={mlt}", *one_forward) for mlt in ("off", "attention"))
        ),
        "TAB7_ONE_FORWARD": write_tab7(compiler, 1, one_forward),
        "HELD_OUT": write_held_out(compiler),
        "TARGETS": write_targets(compiler, off),
        "ABLATION": write_ablation(compiler),
    }
    page = (REPOSITORY / "scripts/validation.md.in").read_text()
    for name, rows in sections.items():
        page = page.replace(f"@{name}@", "\n".join(rows))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder with the full-size text_encoder, unet and vae_decoder")
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build/validation", help="folder for results that are kept")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs/validation.md")
    arguments = parser.parse_args()
    compiler = Compiler(arguments.build, arguments.models, arguments.work)
    arguments.output.write_text(write_page(compiler))


if __name__ == "__main__":
    main()
