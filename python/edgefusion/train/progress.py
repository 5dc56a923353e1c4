"""What a training run says about itself: one line that is rewritten on a terminal, one line a logging interval in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import torch


def say(line: str, passing: bool = False) -> None:
    """A line on stderr; `passing` ones are overwritten by the next on a terminal."""
    terminal = sys.stderr.isatty()
    print(f"\r\x1b[K{line}" if terminal else line, end="" if passing and terminal else "\n", file=sys.stderr, flush=True)


class Meter:
    """Means of the values of each step since the last report, kept as tensors so that no step waits for a device."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._steps = 0

    def add(self, values: Mapping[str, torch.Tensor], share: float) -> None:
        """Adds the values of one batch; `share` is 1 / batches a step."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().float() * share

    def step(self) -> None:
        self._steps += 1

    def take(self) -> dict[str, float]:
        """The means, which begin anew."""
        means = {name: float(total) / max(self._steps, 1) for name, total in self._sums.items()}
        self.__init__()
        return means


class Progress:
    """Writes the state of a run to stderr; silent where `enabled` is false (every process but the first)."""

    def __init__(self, name: str, total: int, samples_per_step: int, enabled: bool = True) -> None:
        self._name, self._total, self._samples, self._enabled = name, total, samples_per_step, enabled
        self._since, self._steps = time.monotonic(), 0

    def pause(self) -> None:
        """Call after work that is not training: it does not count in the rate."""
        self._since, self._steps = time.monotonic(), 0

    def step(self) -> None:
        self._steps += 1

    def rate(self) -> float:
        """Samples a second since the last report or pause."""
        return self._samples * self._steps / max(time.monotonic() - self._since, 1e-9)

    def report(self, step: int, means: Mapping[str, float]) -> None:
        rate = self.rate()
        values = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        left = _duration((self._total - step) * self._samples / max(rate, 1e-9))
        line = f"{self._name}: step {step:,} of {self._total:,}  {values}  {rate:.1f} images/s  {left} left"
        self.say(line, passing=True)
        self.pause()

    def say(self, line: str, passing: bool = False) -> None:
        if self._enabled:
            say(line, passing)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
