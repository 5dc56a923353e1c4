"""Makes an ONNX file from ONNX's text format, for lit tests. Lines that start with // are the test's own (RUN, CHECK)."""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import onnx
from onnx import numpy_helper, parser


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("text", type=pathlib.Path)
    arguments.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    arguments.add_argument("--external", metavar="FILE", help="put all initializers into this file beside the model")
    arguments.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="NAME=2x3",
        help="add a float initializer of this shape, counting up from 0",
    )
    arguments.add_argument("--location", help="with --external: the location that the model states instead")
    options = arguments.parse_args()

    lines = options.text.read_text().splitlines()
    model = parser.parse_model("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    for flag in options.weight:
        name, _, extents = flag.partition("=")
        shape = [int(extent) for extent in extents.split("x")]
        values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if not options.external:
        onnx.save(model, options.output)
        return
    onnx.save(model, options.output, save_as_external_data=True, location=options.external, size_threshold=0)
    if options.location:
        saved = onnx.load(options.output, load_external_data=False)
        for tensor in saved.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = options.location
        options.output.write_bytes(saved.SerializeToString())


if __name__ == "__main__":
    main()
