"""The keys that every training command's configuration shares: the run, its loop, and the limits given on the command line."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How the steps are made. One step is one update of the weights: `accumulate` batches of `batch_size` samples a process."""

    steps: int
    batch_size: int
    learning_rate: float
    accumulate: int = 1
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "constant"
    warmup_steps: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.01
    #: Gradients are scaled down to this norm; 0 leaves them.
    max_gradient_norm: float = 1.0
    #: Decay of the averaged weights, which are what a command writes; 0 writes the weights of the last step.
    ema_decay: float = 0.0
    gradient_checkpointing: bool = False
    checkpoint_every: int = 1000
    checkpoints_kept: int = 1
    log_every: int = 50
    #: Processes of this machine, with a batch each; torchrun and `accelerate launch` start as many as they are told.
    processes: int = 1
    #: Threads of one process (0: torch's choice) and processes that read samples ahead (0: read in the training process).
    threads: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "checkpoint_every", "checkpoints_kept", "log_every", "processes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("warmup_steps", "threads", "workers", "max_gradient_norm", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.learning_rate <= 0:
            raise ValueError("learning_rate must be positive")
        for name in ("ema_decay", "beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1)")
        if self.warmup_steps and self.schedule == "constant":
            raise ValueError("warmup_steps: the schedule constant has no warm-up; use constant_with_warmup")

    #: Keys that do not change what a step computes: a run may go on with other values of these.
    FREE = ("checkpoint_every", "checkpoints_kept", "log_every", "threads", "workers")


@dataclasses.dataclass(frozen=True)
class Limits:
    """Where this invocation stops, with a checkpoint, before the run is finished; 0 is no limit."""

    max_steps: int = 0
    max_minutes: float = 0.0


UNLIMITED = Limits()


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The keys at the top of every training configuration. `output` is the run's folder (docs/design/training.md)."""

    output: Path
    loop: LoopConfig
    seed: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError("seed must not be negative")


def identity(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration (as a dictionary) that two invocations of one run must agree on.

    The number of steps is free where the learning rate does not depend on it, so that a run can be prolonged.
    """
    kept = {key: value for key, value in config.items() if key != "output"}
    loop = {key: value for key, value in kept["loop"].items() if key not in LoopConfig.FREE}
    if loop["schedule"] in ("constant", "constant_with_warmup"):
        del loop["steps"]
    return {**kept, "loop": loop}
