"""edgefusion.TextToImage: a compiled bundle as a function from a prompt to a picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from edgefusion.errors import UserError, extension

#: Called before each stage with (its name, how many are done, how many there are); the name is empty at the end.
Progress = Callable[[str, int, int], None]


class Picture:
    """A generated picture, with how it came about."""

    def __init__(self, image: Any, failure: type[Exception]) -> None:  # noqa: ANN401 - of the extension module
        self._image = image
        self._failure = failure

    @property
    def pixels(self) -> np.ndarray:
        """uint8 [height, width, 3], rows from top to bottom."""
        return self._image.pixels()

    @property
    def values(self) -> np.ndarray:
        """The VAE decoder's output, float32 [3, height, width], nominally in [-1, 1]."""
        return self._image.values()

    @property
    def latents(self) -> np.ndarray:
        """What the VAE decoder was given, before the division by the scaling factor: float32 [channels, height, width]."""
        return self._image.latents()

    @property
    def timesteps(self) -> list[int]:
        return self._image.timesteps

    @property
    def parameters(self) -> dict[str, str]:
        """What `save` stores in the file beside the picture."""
        return dict(self._image.parameters)

    @property
    def times(self) -> dict[str, float]:
        """Seconds of each stage, in order."""
        return dict(self._image.times())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a PNG file with the parameters inside; it appears complete or not at all."""
        try:
            self._image.save(os.fspath(path))
        except self._failure as error:
            raise UserError(str(error)) from None


class TextToImage:
    """The text encoder, U-Net and VAE decoder of the bundle in `folder`, ready to run.

    `threads` share each kernel launch (0: one a core). With `low_memory` each network is loaded when needed and then dropped.
    `device` runs the NPU's programs ("": the simulator). Not for use by two threads at a time.
    """

    def __init__(
        self, folder: str | os.PathLike[str], threads: int = 0, variant: str = "", low_memory: bool = False, device: str = ""
    ) -> None:
        efrt = extension("_efrt")
        self._failure = efrt.RuntimeFailure
        try:
            self._pipeline = efrt.TextToImage(os.fspath(folder), threads, variant, low_memory, device)
        except self._failure as error:
            raise UserError(str(error)) from None

    @property
    def has_guidance(self) -> bool:
        """False: the U-Net takes no guidance embedding, and `guidance` has no effect."""
        return self._pipeline.has_guidance

    def __call__(
        self,
        prompt: str,
        steps: int = 2,
        seed: int = 0,
        guidance: float = 8.0,
        latents: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> Picture:
        """The picture for `prompt`. The same arguments give the same picture.

        `steps` is 1 to 8; `guidance` is the scale as diffusers counts it; `latents` replaces the noise drawn from `seed`.
        Raises UserError for parameters out of range.
        """
        if not 0 <= seed < 1 << 64:
            raise UserError(f"the seed {seed} is outside [0, 2^64)")
        initial = [] if latents is None else np.asarray(latents, np.float32).ravel().tolist()
        try:
            image = self._pipeline.generate(prompt, steps, seed, guidance, initial, progress)
        except self._failure as error:
            raise UserError(str(error)) from None
        return Picture(image, self._failure)
