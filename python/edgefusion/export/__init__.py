"""From a diffusers pipeline (saved, on a hub, or random) to a bundle of ONNX models that the compiler takes.

`sources` makes the PyTorch modules, `onnx_export` turns one into an ONNX file, `tokenizer_files` writes the vocabulary, and
`bundle` puts the folder together.
"""

from __future__ import annotations

import os

# Set before transformers is first imported: it otherwise notes optional packages that an export does not need.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
