"""edgefusion.Session: a compiled model on this machine, NumPy arrays in and out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgefusion.errors import UserError, extension

_DTYPES = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "i1": np.bool_,
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "u64": np.uint64,
}


@dataclass(frozen=True)
class Port:
    """An input or output: its name, NumPy type and shape (row-major)."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]


#: Called with (ONNX tensor name, ONNX node, operation, value) for each result of each kernel launch.
Observer = Callable[[str, str, str, np.ndarray], None]


def _ports(described: list[tuple[str, str, list[int]]]) -> list[Port]:
    return [Port(name, np.dtype(_DTYPES[dtype]), tuple(shape)) for name, dtype, shape in described]


class Session:
    """An artifact, loaded and ready to run.

    `threads` share each kernel launch (0: one a core). `profile` measures each launch. `device` runs the NPU's programs ("": the
    simulator). With `timing_only` a run computes nothing: only `simulation` and `simulated_seconds` are of use. Not for use by
    two threads at a time.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int = 0,
        variant: str = "",
        profile: bool = False,
        device: str = "",
        timing_only: bool = False,
    ) -> None:
        efrt = extension("_efrt")
        self._failure = efrt.RuntimeFailure
        try:
            self._session = efrt.Session(os.fspath(path), threads, variant, profile, device, timing_only)
        except self._failure as error:
            raise UserError(str(error)) from None
        self.inputs = _ports(self._session.inputs())
        self.outputs = _ports(self._session.outputs())

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs once and returns copies of all outputs by name. Raises UserError for a missing, unknown or ill-shaped input."""
        self._set_inputs(inputs)
        self._call(self._session.run)
        return {port.name: self._session.output(index) for index, port in enumerate(self.outputs)}

    def run_observed(self, inputs: Mapping[str, np.ndarray], observer: Observer) -> None:
        """Runs once and shows `observer` every result of every kernel launch, in execution order."""
        self._set_inputs(inputs)
        self._call(self._session.run_observed, observer)

    def profile(self) -> list[dict[str, Any]]:
        """Of each launch: node, op, kernel, device, calls, seconds (of all calls), macs, bytes, simulated_seconds (of one)."""
        return self._session.profile()

    def simulation(self) -> list[dict[str, Any]]:
        """Of each launch on the simulated NPU: program, machine, clock_hz, cycles, macs, dram_bytes and commands by start time,
        each with queue, node, op, sequence, group, tile, start and end (in cycles)."""
        return self._session.simulation()

    @property
    def simulated_seconds(self) -> float:
        """What a run takes on the simulated NPU, without the launches on the CPU."""
        return self._session.simulated_seconds

    def reset_profile(self) -> None:
        self._session.reset_profile()

    @property
    def arena_bytes(self) -> int:
        """Memory for intermediate tensors."""
        return self._session.arena_bytes

    @property
    def weight_bytes(self) -> int:
        return self._session.weight_bytes

    @property
    def variant(self) -> str:
        """Name of the CPU variant that runs."""
        return self._session.variant

    @property
    def metadata(self) -> dict[str, str]:
        """What the compiler recorded."""
        return self._session.metadata

    def _call(self, function: Callable[..., Any], *arguments: object) -> None:
        try:
            function(*arguments)
        except self._failure as error:
            raise UserError(str(error)) from None

    def _set_inputs(self, inputs: Mapping[str, np.ndarray]) -> None:
        known = {port.name for port in self.inputs}
        for name in inputs:
            if name not in known:
                raise UserError(f"the model has no input '{name}'; its inputs are {', '.join(sorted(known))}")
        for index, port in enumerate(self.inputs):
            if port.name not in inputs:
                raise UserError(f"no value for the input '{port.name}' ({port.dtype}, shape {list(port.shape)})")
            value = np.asarray(inputs[port.name])
            if value.dtype != port.dtype or value.shape != port.shape:
                raise UserError(
                    f"the input '{port.name}' is {port.dtype} of shape {list(port.shape)}, but the value given is {value.dtype} "
                    f"of shape {list(value.shape)}"
                )
            self._call(self._session.set_input, index, np.ascontiguousarray(value))
