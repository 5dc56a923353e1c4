"""Compiles for the NPU: the same bytes every time and from every phase, and what the user is told about them."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Run

FLAGS = ("--target=exynos-npu", "--cpu=host")


@dataclass
class Compiled:
    model: Path
    artifact: Path
    report: Path
    phases: Path
    stderr: str

    def json(self, name: str) -> dict:
        return json.loads((self.report / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def unet(efc: Run, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The miniature U-Net in float16."""
    folder = tmp_path_factory.mktemp("npu")
    model = tiny_source / "bundle" / "unet.onnx"
    compiled = Compiled(model, folder / "unet.efa", folder / "report", folder / "phases", "")
    result = efc(model, *FLAGS, f"--report={compiled.report}", f"--dump-phases-to={compiled.phases}", "-o", compiled.artifact)
    assert result.returncode == 0, result.stderr
    compiled.stderr = result.stderr
    return compiled


def test_same_bytes_again(efc: Run, unet: Compiled, tmp_path: Path) -> None:
    again = tmp_path / "again.efa"
    assert efc(unet.model, *FLAGS, "--quiet", "-o", again).returncode == 0
    assert again.read_bytes() == unet.artifact.read_bytes()


def test_phases_are_numbered(unet: Compiled) -> None:
    assert [path.name for path in sorted(unet.phases.iterdir())] == [
        "0-import.mlir", "1-canonical.mlir", "2-fused.mlir", "4-partitioned.mlir", "5-tiled.mlir", "6-scheduled.mlir",
    ]  # fmt: skip


@pytest.mark.parametrize("number_and_phase", ["2-fused", "4-partitioned", "5-tiled"])
def test_compile_from_a_phase(efc: Run, unet: Compiled, tmp_path: Path, number_and_phase: str) -> None:
    phase = number_and_phase.partition("-")[2]
    output = tmp_path / "out.efa"
    source = unet.phases / f"{number_and_phase}.mlir"
    result = efc(source, *FLAGS, f"--compile-from={phase}", "-o", output)
    assert result.returncode == 0, result.stderr
    assert output.read_bytes() == unet.artifact.read_bytes()


def test_summary(efc: Run, unet: Compiled, tmp_path: Path) -> None:
    for expected in (
        "exynos2400, simulated: ", " GMAC", "busy", "GTE", "vector", "DMA", "DRAM", "scratchpad", "lower bound", "estimated",
        "costliest", "on the CPU", "timestep_embedding",
    ):  # fmt: skip
        assert expected in unet.stderr, f"'{expected}' is missing from:\n{unet.stderr}"
    result = efc(unet.model, *FLAGS, "--quiet", "-o", tmp_path / "quiet.efa")
    assert (result.returncode, result.stderr) == (0, "")


def test_tables_add_up(unet: Compiled) -> None:
    """The layers' costs are parts of the whole time; their MACs and bytes are all of it."""
    npu = unet.json("compile.json")["npu"]
    with (unet.report / "layers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    layers = unet.json("layers.json")["layers"]
    assert len(rows) == len(layers) > 100
    assert sum(layer["simulated_ms"] for layer in layers) == pytest.approx(npu["simulated_ms"], rel=1e-6)
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-3)
    for name in ("macs", "commands", "dram_read_bytes", "dram_write_bytes"):
        assert sum(int(row[name]) for row in rows) == sum(layer[name] for layer in layers) == npu[name], name
    assert 0 < npu["lower_bound_ms"] <= npu["simulated_ms"]
    assert 0 < npu["scratchpad_peak_bytes"] <= npu["scratchpad_bytes"]
    assert all(layer["scratch_bytes"] <= npu["scratchpad_bytes"] for layer in layers)
    assert all(node["reason"] and node["node"] for node in npu["on_cpu"])


def test_trace_is_what_queues_can_do(unet: Compiled) -> None:
    """Chrome's format; the commands of a queue follow one another."""
    npu = unet.json("compile.json")["npu"]
    events = [event for event in unet.json("trace.json")["traceEvents"] if event["ph"] == "X"]
    assert len(events) == npu["commands"]
    assert max(event["ts"] + event["dur"] for event in events) == pytest.approx(npu["simulated_ms"] * 1e3, rel=1e-4)
    threads = defaultdict(list)
    for event in events:
        assert event["args"]["node"]
        threads[event["pid"], event["tid"]].append(event)
    for thread in threads.values():
        for before, after in itertools.pairwise(thread):
            assert before["ts"] + before["dur"] <= after["ts"] + 1e-3


def test_disassembly_lists_every_command(efc: Run, unet: Compiled) -> None:
    npu = unet.json("compile.json")["npu"]
    result = efc("--disassemble", unet.artifact)
    assert result.returncode == 0, result.stderr
    assert "machine exynos2400" in result.stdout
    assert "simulated" in result.stdout
    commands = re.findall(r"^ +\d+ +(\d+) +([\d.]+) +([\d.]+) .*; (\S.*) \(.*\) group \d+ tile \d+$", result.stdout, re.MULTILINE)
    assert sorted(int(command[0]) for command in commands) == list(range(npu["commands"]))
    assert all(float(start) <= float(end) for _, start, end, _ in commands)
    counts = [int(count) for count in re.findall(r"^queue \S+: (\d+) commands", result.stdout, re.MULTILINE)]
    assert sum(counts) == npu["commands"]
    assert any(">=" in line for line in result.stdout.splitlines()), "no command waits for another"
    nodes = {layer["node"] for layer in unet.json("layers.json")["layers"]}
    assert {command[3] for command in commands} == nodes


def test_inspect_names_the_program(efc: Run, unet: Compiled) -> None:
    result = efc("--inspect", unet.artifact)
    assert result.returncode == 0, result.stderr
    assert "npu_0" in result.stdout


@pytest.mark.parametrize("mlt", ["off", "attention"])
def test_less_tiling_takes_longer(efc: Run, unet: Compiled, tmp_path: Path, mlt: str) -> None:
    report = tmp_path / "report"
    result = efc(unet.model, *FLAGS, f"--mlt={mlt}", f"--report={report}", "-o", tmp_path / "out.efa")
    assert result.returncode == 0, result.stderr
    npu = json.loads((report / "compile.json").read_text(encoding="utf-8"))["npu"]
    full = unet.json("compile.json")["npu"]
    assert npu["macs"] == full["macs"]
    assert npu["simulated_ms"] > full["simulated_ms"]
    assert npu["dram_read_bytes"] + npu["dram_write_bytes"] > full["dram_read_bytes"] + full["dram_write_bytes"]


def test_no_overlap_takes_longer(efc: Run, unet: Compiled, tmp_path: Path) -> None:
    report = tmp_path / "report"
    result = efc(unet.model, *FLAGS, "--overlap=off", f"--report={report}", "-o", tmp_path / "out.efa")
    assert result.returncode == 0, result.stderr
    assert "without overlap" in result.stderr
    npu = json.loads((report / "compile.json").read_text(encoding="utf-8"))["npu"]
    assert npu["simulated_ms"] > unet.json("compile.json")["npu"]["simulated_ms"]


def test_print_machine_can_be_read_again(efc: Run, tmp_path: Path) -> None:
    first = efc("--print-machine", "--machine=exynos2200", "--machine-set", "scratchpad=3MiB")
    assert first.returncode == 0, first.stderr
    path = tmp_path / "again.yaml"
    path.write_text(first.stdout, encoding="utf-8")
    second = efc("--print-machine", f"--machine={path}")
    assert second.returncode == 0, second.stderr

    def figures(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.lstrip().startswith("#")]

    assert figures(second.stdout) == figures(first.stdout)


def test_supported_ops_page(efc: Run) -> None:
    result = efc("--supported-ops")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("# ")
    assert "conv" in result.stdout
