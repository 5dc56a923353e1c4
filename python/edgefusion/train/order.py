"""Which samples each step takes, and its random numbers: functions of the seed and the step, so that a run resumes anywhere."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import torch

#: (how often the data was gone through before, the sample's index): all that the random choices about a sample depend on.
Pick = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Order:
    """Every epoch is a permutation of the samples; batches run on from one epoch into the next, and processes share them out."""

    samples: int
    batch_size: int
    seed: int
    process: int = 0
    processes: int = 1

    def batch(self, number: int) -> list[Pick]:
        """The picks of this process's batch `number`, counted from 0 over the whole run."""
        first = (number * self.processes + self.process) * self.batch_size
        return [self._pick(position) for position in range(first, first + self.batch_size)]

    def batches(self, start: int) -> Iterator[list[Pick]]:
        """The batches from number `start` on, without end."""
        while True:
            yield self.batch(start)
            start += 1

    def _pick(self, position: int) -> Pick:
        epoch, offset = divmod(position, self.samples)
        return epoch, int(_permutation(self.samples, self.seed, epoch)[offset])


@functools.lru_cache(maxsize=2)
def _permutation(samples: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(samples)


def step_generator(seed: int, batch: int, process: int = 0) -> torch.Generator:
    """The random numbers of the loss of one batch."""
    words = np.random.SeedSequence([seed, batch, process]).generate_state(1, np.uint64)
    # torch takes seeds of 63 bits.
    return torch.Generator().manual_seed(int(words[0]) >> 1)


def pick_generator(seed: int, pick: Pick) -> np.random.Generator:
    """The random numbers of what is done to one sample: its crop, its flip, which of its captions."""
    return np.random.default_rng([seed, *pick])
