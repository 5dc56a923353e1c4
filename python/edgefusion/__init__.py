"""edgefusion: export, compile, check and run text-to-image diffusion models.

The heavy parts (PyTorch, diffusers, the compiler's and the runtime's extension modules) are imported when first used, so that
`import edgefusion` stays quick and an installation that only runs compiled models needs none of the exporting libraries.
"""

from __future__ import annotations

__version__ = "0.1.0"
