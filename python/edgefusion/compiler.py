"""edgefusion.compile: an ONNX model to an artifact, in this process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from edgefusion.errors import UserError, extension

PRECISIONS = ("f32", "bf16")


def compile(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    target: str = "cpu",
    *,
    quantize: str = "",
    calibration: str | os.PathLike[str] = "",
    keep_float: str = "",
    list_tensors: str | os.PathLike[str] = "",
    machine: str | os.PathLike[str] = "",
    machine_settings: Sequence[str] = (),
    mlt: str = "full",
    overlap: bool = True,
    cpu: str = "",
    precision: str = "f32",
    winograd: bool = True,
    unfused: bool = False,
    dims: Mapping[str, int] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    report: str | os.PathLike[str] = "",
) -> dict[str, Any]:
    """Compiles the ONNX file `model` to the artifact `output` and returns what the compile did (times, counts, bytes).

    `target` is "cpu" or "exynos-npu"; for the latter the result's entry "npu" holds the simulated figures. `quantize` is "",
    "w8a16" (with `calibration`, the table of ranges, and `keep_float`, a regular expression of ONNX nodes to leave alone) or
    "w8". With `list_tensors` nothing is compiled: that file is written, and says which ranges w8a16 needs. `machine` names the
    NPU or a machine file, `machine_settings` are "KEY=VALUE" over its figures, `mlt` is how far tiling goes ("off",
    "attention", "full").

    `cpu` is the machine to generate code for ("host", "x86-64-v3", ...; empty: every variant of this machine's family).
    `precision` is that of weights in products and convolutions, "f32" or "bf16". `dims` gives symbolic dimensions their values,
    `input_shapes` whole inputs their shapes. `unfused` keeps every tensor of the model visible, for checking. `report` names a
    folder for the reports. Raises UserError, which lists every problem of the model, and writes nothing then.
    """
    if precision not in PRECISIONS:
        raise UserError(f"there is no precision '{precision}'; choose one of {', '.join(PRECISIONS)}")
    efc = extension("_efc")
    try:
        return efc.compile(
            os.fspath(model),
            os.fspath(output),
            target=target,
            quantize=quantize,
            calibration=os.fspath(calibration),
            keep_float=keep_float,
            list_tensors=os.fspath(list_tensors),
            machine=os.fspath(machine),
            machine_settings=list(machine_settings),
            mlt=mlt,
            overlap=overlap,
            cpu=cpu,
            precision=precision,
            winograd=winograd,
            unfused=unfused,
            dims=dict(dims or {}),
            input_shapes={name: list(shape) for name, shape in (input_shapes or {}).items()},
            report=os.fspath(report),
        )
    except efc.CompileError as error:
        raise UserError(str(error)) from None
