"""edgefusion: export, compile, check and run text-to-image diffusion models.

    edgefusion.compile("unet.onnx", "unet.efa")
    outputs = edgefusion.Session("unet.efa").run({"sample": x, ...})
    image = edgefusion.TextToImage("bundle/")("a lighthouse at dusk", steps=2, seed=0, guidance=8.0)

The heavy parts (PyTorch, diffusers, the compiler's and the runtime's extension modules) are imported when first used, so that
`import edgefusion` stays quick and an installation that only runs compiled models needs none of the exporting libraries.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from edgefusion.errors import UserError

if TYPE_CHECKING:
    from edgefusion.compiler import compile
    from edgefusion.session import Session
    from edgefusion.text_to_image import TextToImage

__version__ = "0.1.0"

__all__ = ["Session", "TextToImage", "UserError", "compile"]

# In a development tree the extension modules lie in the build folder, another part of this package.
__path__ = pkgutil.extend_path(__path__, __name__)

_HOMES = {"compile": "compiler", "Session": "session", "TextToImage": "text_to_image"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module 'edgefusion' has no attribute '{name}'")
    return getattr(importlib.import_module(f"edgefusion.{_HOMES[name]}"), name)
