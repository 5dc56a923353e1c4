"""edgefusion bench: how long a compiled model takes, as a whole and by kernel launch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgefusion.session import Port, Session


def _random_value(port: Port, generator: np.random.Generator) -> np.ndarray:
    if port.dtype.kind == "f":
        return generator.standard_normal(port.shape).astype(port.dtype)
    return generator.integers(0, 2 if port.dtype.kind == "b" else 100, port.shape).astype(port.dtype)


def bench(
    artifact: Path, *, inputs: Mapping[str, np.ndarray] | None = None, seed: int = 0, threads: int = 0, repeat: int = 5
) -> dict[str, Any]:
    """Times `repeat` runs after one to warm up: seconds to load, of each run, and of each launch (mean)."""
    start = time.perf_counter()
    session = Session(artifact, threads=threads, profile=True)
    load_seconds = time.perf_counter() - start
    generator = np.random.default_rng(seed)
    feed = {port.name: _random_value(port, generator) for port in session.inputs} | dict(inputs or {})
    session.run(feed)
    session.reset_profile()
    run_seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        session.run(feed)
        run_seconds.append(time.perf_counter() - start)
    launches = [
        {
            "node": entry["node"],
            "op": entry["op"],
            "kernel": entry["kernel"],
            "seconds": entry["seconds"] / max(entry["calls"], 1),
            "macs": entry["macs"],
            "bytes": entry["bytes"],
        }
        for entry in session.profile()
    ]
    return {
        "artifact": str(artifact),
        "variant": session.variant,
        "load_seconds": load_seconds,
        "run_seconds": run_seconds,
        "median_seconds": statistics.median(run_seconds),
        "arena_bytes": session.arena_bytes,
        "weight_bytes": session.weight_bytes,
        "launches": launches,
    }


def as_table(result: dict[str, Any], top: int) -> str:
    """The slowest `top` launches and the totals."""
    total = sum(launch["seconds"] for launch in result["launches"]) or 1.0
    lines = [f"{'ms':>8} {'%':>5} {'GMAC/s':>7} {'GB/s':>6}  {'operation':<36} node"]
    for launch in sorted(result["launches"], key=lambda launch: -launch["seconds"])[:top]:
        seconds = launch["seconds"] or 1e-9
        lines.append(
            f"{launch['seconds'] * 1e3:8.2f} {100 * launch['seconds'] / total:5.1f} {launch['macs'] / seconds / 1e9:7.1f} "
            f"{launch['bytes'] / seconds / 1e9:6.1f}  {launch['op'][:36]:<36} {launch['node']}"
        )
    lines.append(
        f"{result['artifact']} ({result['variant']}): median {result['median_seconds'] * 1e3:.2f} ms "
        f"of {len(result['run_seconds'])} runs, loaded in {result['load_seconds'] * 1e3:.1f} ms, "
        f"{result['arena_bytes'] / 2**20:.1f} MiB of intermediates"
    )
    return "\n".join(lines)
