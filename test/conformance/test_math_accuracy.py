"""Element-wise functions of the compiled kernels against NumPy in float64: ordinary arguments, and the special ones.

The bound of each function is in units in the last place of the result's type, or absolute where the result passes through zero.
EFC_SWEEP_SEED (default 0) chooses the arguments.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sweep_cases import Case, build_model
from test_sweep import compiled

SEED = int(os.environ.get("EFC_SWEEP_SEED", "0"))
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-30, -1e-30, 1e-40, math.inf, -math.inf, math.nan]
COUNT = 997

_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _gelu(x: np.ndarray) -> np.ndarray:
    return np.where(x == -np.inf, -0.0, 0.5 * x * _erfc(-x / math.sqrt(2)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, np.exp(np.minimum(x, 0)) / (1 + np.exp(np.minimum(x, 0))), 1 / (1 + np.exp(-np.maximum(x, 0))))


@dataclass(frozen=True)
class Function:
    """`reference` in float64 over arguments in [low, high]; an error may be `ulps` of the result plus `absolute` epsilons."""

    reference: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float
    ulps: float = 4
    absolute: float = 0


FUNCTIONS = {
    "Exp": Function(np.exp, -110, 95),
    "Log": Function(np.log, 0, 1e6, absolute=1),
    "Sqrt": Function(np.sqrt, 0, 1e6, ulps=1),
    "Reciprocal": Function(lambda x: 1 / x, -50, 50, ulps=1),
    "Sin": Function(np.sin, -1e4, 1e4, absolute=2),
    "Cos": Function(np.cos, -1e4, 1e4, absolute=2),
    "Tan": Function(np.tan, -1.5, 1.5),
    "Asin": Function(np.arcsin, -1, 1),
    "Acos": Function(np.arccos, -1, 1, absolute=2),
    "Atan": Function(np.arctan, -50, 50),
    "Sinh": Function(np.sinh, -80, 80, ulps=64),
    "Cosh": Function(np.cosh, -80, 80, ulps=64),
    "Tanh": Function(np.tanh, -10, 10),
    "Asinh": Function(np.arcsinh, -1e4, 1e4),
    "Acosh": Function(np.arccosh, 1, 1e4),
    "Atanh": Function(np.arctanh, -1, 1),
    "Erf": Function(_erf, -6, 6),
    "Gelu": Function(_gelu, -9, 9, ulps=40, absolute=1),
    "Sigmoid": Function(_sigmoid, -80, 80, ulps=6),
    "Softplus": Function(lambda x: np.logaddexp(0, x), -30, 30, ulps=6),
    "Softsign": Function(lambda x: x / (1 + np.abs(x)), -50, 50),
    "Floor": Function(np.floor, -50, 50, ulps=0),
    "Ceil": Function(np.ceil, -50, 50, ulps=0),
    "Round": Function(np.round, -50, 50, ulps=0),
    "Sign": Function(np.sign, -50, 50, ulps=0),
    "Abs": Function(np.abs, -50, 50, ulps=0),
    "Neg": Function(np.negative, -50, 50, ulps=0),
}


def arguments(function: Function, dtype: type, generator: np.random.Generator) -> np.ndarray:
    values = generator.uniform(function.low, function.high, COUNT)
    # As many near zero as anywhere else.
    values[::3] *= 10.0 ** generator.uniform(-12, 0, len(values[::3]))
    return np.concatenate([values, SPECIAL]).astype(dtype)


def check(name: str, function: Function, x: np.ndarray, y: np.ndarray) -> str:
    """What is wrong with y = name(x), or nothing."""
    with np.errstate(all="ignore"):
        expected = function.reference(x.astype(np.float64)).astype(x.dtype)
        error = np.abs(y.astype(np.float64) - expected.astype(np.float64))
        allowed = function.ulps * np.abs(np.spacing(expected)).astype(np.float64) + function.absolute * np.finfo(x.dtype).eps
    # NaN where NaN is expected, and nowhere else; infinities alike.
    exact = (y == expected) | (np.isnan(y) & np.isnan(expected))
    wrong = ~exact & ~(np.isfinite(expected) & (error <= allowed))
    if not wrong.any():
        return ""
    worst = np.flatnonzero(wrong)[np.argmax(np.nan_to_num(error[wrong], nan=np.inf))]
    return f"{name}({x.dtype}): {wrong.sum()} wrong, e.g. f({x[worst]!r}) = {y[worst]!r}, expected {expected[worst]!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions(dtype: type, tmp_path: Path) -> None:
    generator = np.random.default_rng(SEED)
    cases, tensors = [], []
    for name, function in FUNCTIONS.items():
        case = Case(f"{name}_", 0)
        tensors.append(arguments(function, dtype, generator))
        case.node(name, [case.input(tensors[-1])])
        cases.append(case)
    path = tmp_path / "functions.onnx"
    onnx.save(build_model(cases), path)
    results = compiled(path, cases)
    problems = [check(name, function, x, y) for (name, function), x, y in zip(FUNCTIONS.items(), tensors, results, strict=True)]
    problems = [problem for problem in problems if problem]
    assert not problems, f"seed {SEED}:\n" + "\n".join(problems)


def test_powers(tmp_path: Path) -> None:
    """Pow over pairs of ordinary and special values, as IEEE 754 has it."""
    generator = np.random.default_rng(SEED)
    values = np.array([*SPECIAL, 2, -2, 3, -3, 7.5, 1e10, -1e10, *generator.uniform(-20, 20, 9)], np.float32)
    x, y = (grid.ravel() for grid in np.meshgrid(values, values))
    case = Case("pow_", 0)
    case.node("Pow", [case.input(x), case.input(y)])
    path = tmp_path / "pow.onnx"
    onnx.save(build_model([case]), path)
    (z,) = compiled(path, [case])
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
        wrong = ~((z == expected) | (np.isnan(z) & np.isnan(expected)) | (np.abs(z / expected - 1) < 1e-6))
        # Results in float32's subnormal range keep fewer digits.
        wrong &= ~(np.abs(z.astype(np.float64) - expected) <= 2 * np.finfo(np.float32).smallest_subnormal)
    pairs = list(zip(x[wrong], y[wrong], z[wrong], expected[wrong], strict=True))
    assert not pairs, f"seed {SEED}: x, y, result, expected: {pairs[:5]}"
