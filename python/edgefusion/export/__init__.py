"""From a diffusers pipeline (saved, on a hub, or random) to a bundle of ONNX models that the compiler takes.

`sources` makes the PyTorch modules, `onnx_export` turns one into an ONNX file, `tokenizer_files` writes the vocabulary, and
`bundle` puts the folder together.
"""
