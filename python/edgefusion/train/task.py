"""What a training command adds to the loop: the networks it trains, their loss on a batch, and what it writes."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

Values = dict[str, torch.Tensor]


class Task(abc.ABC):
    """One kind of training.

    `trained` are the networks whose weights change, by name. `frozen` are networks that the loss uses: they move to the device.
    `state` holds further objects with state_dict and load_state_dict that a checkpoint must keep.
    """

    #: The command's name, for progress and logs.
    name: str

    def __init__(self) -> None:
        self.trained: dict[str, torch.nn.Module] = {}
        self.frozen: dict[str, torch.nn.Module] = {}
        self.state: dict[str, Any] = {}

    @abc.abstractmethod
    def loss(self, batch: Values, random: torch.Generator) -> tuple[torch.Tensor, Values]:
        """The loss of one batch, and values to report. Random numbers come from `random` (on the CPU) alone."""

    def updated(self) -> None:  # noqa: B027 - most tasks have nothing to do here
        """Called after each update of the weights."""

    @abc.abstractmethod
    def write(self, networks: Mapping[str, torch.nn.Module], folder: Path) -> None:
        """Writes the result into the run's folder; `networks` are the trained ones with their averaged weights."""
