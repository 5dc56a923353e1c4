"""Size and speed of a pipeline, for scripts/results.py: parameters, multiply-accumulates and seconds of each compiled network.

results.py's command `speed --pipeline DIR --bundle DIR -o FILE`: DIR of diffusers' layout, and its compiled bundle.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
from pathlib import Path

from edgefusion import bench, pipeline_file

#: The folder of each network in diffusers' layout, and what of it the bundle runs.
_FOLDERS = {"text_encoder": ("text_encoder", ""), "unet": ("unet", ""), "vae_decoder": ("vae", r"decoder.|post_quant_conv.")}
_REPEAT = 30


def _tensor_shapes(file: Path) -> dict[str, list[int]]:
    """Name and shape of each tensor of a safetensors file, from its header alone."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


def parameters(pipeline: Path, network: str) -> int:
    """Weights of one network of a pipeline folder."""
    folder, prefixes = _FOLDERS[network]
    kept = tuple(prefixes.split("|"))
    shapes = [shape for file in (pipeline / folder).glob("*.safetensors") for shape in _kept(file, kept)]
    return sum(math.prod(shape) for shape in shapes)


def _kept(file: Path, prefixes: tuple[str, ...]) -> list[list[int]]:
    return [shape for name, shape in _tensor_shapes(file).items() if name.startswith(prefixes)]


def measure(pipeline: Path, bundle: Path) -> dict:
    """parameters, macs of one run, and the median seconds of a run, of each network."""
    found = {}
    for name, entry in pipeline_file.read(bundle)["models"].items():
        result = bench.bench(bundle / entry["artifact"], repeat=_REPEAT)
        macs = sum(launch["macs"] for launch in result["launches"])
        found[name] = {"parameters": parameters(pipeline, name), "macs": macs, "seconds": result["median_seconds"]}
    return found


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="speed")
    parser.add_argument("--pipeline", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parsed = parser.parse_args(arguments)
    found = measure(parsed.pipeline, parsed.bundle)
    parsed.output.parent.mkdir(parents=True, exist_ok=True)
    parsed.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
