"""Settings of the process that make training on CPUs faster and change no result beyond rounding."""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def prepare(threads: int) -> None:
    """Sets torch's threads (0 leaves them), flushes denormals, and has glibc keep freed memory.

    Without the latter every large activation is mapped and unmapped again in each step, which costs an eighth of the time of
    a small convolutional network.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def quiet_libraries() -> None:
    """Turns off the progress bars and advice of diffusers and transformers, which would run through a training's own lines."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
