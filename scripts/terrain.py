"""Draws the landscape that the compiled terrain network makes from noise in one step.

The network (from the package adaptive-terrain-diffusion) is a consistency model: noisy [1,1,128,128] = 80 N(0,1), sigma = 80 and
difficulty in [0,1] give `denoised`, a height map. It is shown shaded from the north-west, coloured by height.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
from PIL import Image

_NETWORK = "weights/terrain_consistency_unet_difficulty100.onnx"
_SIGMA_MAX = 80.0
#: Colours at equally spaced heights: deep water, shore, meadow, forest, rock, snow.
_PALETTE = np.array([[38, 70, 120], [194, 178, 128], [124, 160, 84], [62, 108, 62], [124, 112, 100], [245, 245, 245]], np.float64)


def locate() -> Path:
    """The network's file inside the installed package, which need not be importable."""
    spec = importlib.util.find_spec("terrain_diffusion")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("error: the package adaptive-terrain-diffusion is not installed; run scripts/setup")
    return Path(next(iter(spec.submodule_search_locations))) / _NETWORK


def height_map(artifact: Path, seed: int, difficulty: float) -> np.ndarray:
    """Heights [128,128] in the network's own units."""
    import edgefusion

    noise = np.random.default_rng(seed).standard_normal((1, 1, 128, 128), np.float32)
    inputs = {
        "noisy": noise * np.float32(_SIGMA_MAX),
        "sigma": np.array([_SIGMA_MAX], np.float32),
        "difficulty": np.array([difficulty], np.float32),
    }
    return edgefusion.Session(artifact).run(inputs)["denoised"][0, 0]


def shaded(heights: np.ndarray) -> np.ndarray:
    """RGB uint8 picture of `heights`, four pixels a sample."""
    low, high = np.percentile(heights, [1, 99])
    level = np.clip((heights - low) / max(high - low, 1e-6), 0, 1)
    size = (4 * heights.shape[1], 4 * heights.shape[0])
    level = np.clip(np.asarray(Image.fromarray(level.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)), 0, 1)
    stops = np.linspace(0, 1, len(_PALETTE))
    colours = np.stack([np.interp(level, stops, _PALETTE[:, channel]) for channel in range(3)], axis=-1)
    south, east = np.gradient(level * 60)
    light = (1 + south + east) / np.sqrt(1 + south**2 + east**2) / np.sqrt(3)
    return np.clip(colours * (0.55 + 0.75 * np.clip(light, 0, 1))[..., None], 0, 255).astype(np.uint8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, nargs="?", help="the compiled network")
    parser.add_argument("-o", "--output", type=Path, default=Path("terrain.png"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", type=int, default=60, help="1 (gentle) to 100 (rugged)")
    parser.add_argument("--locate", action="store_true", help="print where the network's ONNX file is, and stop")
    options = parser.parse_args()
    if options.locate:
        print(locate())
        return 0
    if options.artifact is None or not 1 <= options.difficulty <= 100:
        parser.error("give the compiled network, and a difficulty from 1 to 100")
    heights = height_map(options.artifact, options.seed, (options.difficulty - 1) / 99)
    Image.fromarray(shaded(heights)).save(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
