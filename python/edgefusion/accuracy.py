"""Measures of how far one tensor or picture is from another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def sqnr_db(reference: np.ndarray, value: np.ndarray) -> float:
    """Signal to quantisation-noise ratio, 10 log10(sum r^2 / sum (v - r)^2), in dB.

    Infinite when equal, minus infinity when `value` has a non-finite element where `reference` has none. Elements that are
    not finite in the reference must be the same in both and count no further.
    """
    reference64, value64 = reference.astype(np.float64).ravel(), value.astype(np.float64).ravel()
    finite = np.isfinite(reference64)
    if not np.array_equal(reference64[~finite], value64[~finite], equal_nan=True):
        return -math.inf
    signal, difference = reference64[finite], value64[finite] - reference64[finite]
    noise_power = float(difference @ difference)
    if noise_power == 0:
        return math.inf
    if not math.isfinite(noise_power):
        return -math.inf
    signal_power = float(signal @ signal)
    return 10 * math.log10(signal_power / noise_power) if signal_power > 0 else -math.inf


def largest_error(reference: np.ndarray, value: np.ndarray) -> float:
    """max |v - r|; infinite when it is not a number."""
    if reference.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        difference = np.abs(value.astype(np.float64).ravel() - reference.astype(np.float64).ravel())
    same = value.ravel() == reference.ravel()
    error = float(np.max(np.where(same, 0.0, difference)))
    return error if math.isfinite(error) else math.inf


def psnr_db(reference: np.ndarray, value: np.ndarray, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean (v - r)^2), in dB; infinite when equal."""
    difference = value.astype(np.float64) - reference.astype(np.float64)
    mean_square = float(np.mean(difference**2))
    return math.inf if mean_square == 0 else 10 * math.log10(peak**2 / mean_square)


def as_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """`value` with the numbers that JSON has no notation for as the strings "inf", "-inf" and "nan"."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
