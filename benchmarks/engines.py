"""One inference engine in a process of its own, driven by lines of JSON on standard input: what benchmarks/peers.py measures.

Commands and replies:
    {"do": "load", "name": N, "model": PATH}                                        {"seconds": s}
    {"do": "run", "name": N, "inputs": FILE.npz, "outputs": FILE.npz or null}       {"seconds": s} of the inference alone
    {"do": "unload", "name": N}                                                     {}
    {"do": "memory"}                                                                {"peak_bytes": b} of this process so far
An engine that cannot do something answers {"error": sentence}.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Inputs = dict[str, np.ndarray]
Runner = Callable[[Inputs], dict[str, np.ndarray]]


def _load_ours(model: Path, threads: int) -> Runner:
    import edgefusion

    return edgefusion.Session(model, threads=threads).run


def _load_onnxruntime(model: Path, threads: int) -> Runner:
    from edgefusion import reference

    running = reference.session(model, threads)
    return lambda inputs: reference.run(running, inputs)


def _openvino_loader(precision: str) -> Callable[[Path, int], Runner]:
    def load(model: Path, threads: int) -> Runner:
        import openvino

        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("this machine has no bfloat16 instructions, so OpenVINO would compute in float32")
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
        compiled = core.compile_model(model, "CPU", settings)
        request = compiled.create_infer_request()

        def run(inputs: Inputs) -> dict[str, np.ndarray]:
            feed = {index: inputs[next(iter(port.names & inputs.keys()))] for index, port in enumerate(compiled.inputs)}
            values = request.infer(feed, share_inputs=True)
            return {min(port.names): values[port] for port in compiled.outputs}

        return run

    return load


ENGINES: dict[str, Callable[[Path, int], Runner]] = {
    "ours": _load_ours,
    "onnxruntime": _load_onnxruntime,
    "openvino-f32": _openvino_loader("f32"),
    "openvino-bf16": _openvino_loader("bf16"),
}


class _Worker:
    def __init__(self, engine: str, threads: int) -> None:
        self._load = ENGINES["ours" if engine.startswith("ours") else engine]
        self._threads = threads
        self._models: dict[str, Runner] = {}

    def handle(self, command: dict[str, Any]) -> dict[str, Any]:
        name = command.get("name", "")
        if command["do"] == "load":
            start = time.perf_counter()
            self._models[name] = self._load(Path(command["model"]), self._threads)
            return {"seconds": time.perf_counter() - start}
        if command["do"] == "run":
            inputs = dict(np.load(command["inputs"]))
            start = time.perf_counter()
            outputs = self._models[name](inputs)
            seconds = time.perf_counter() - start
            if command["outputs"]:
                np.savez(command["outputs"], **outputs)
            return {"seconds": seconds}
        if command["do"] == "unload":
            del self._models[name]
            return {}
        return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main() -> None:
    worker = _Worker(sys.argv[1], int(sys.argv[2]))
    replies = sys.stdout
    sys.stdout = sys.stderr  # whatever an engine prints must not be taken for a reply
    for line in sys.stdin:
        try:
            reply = worker.handle(json.loads(line))
        except Exception as error:  # any engine's failure is a cell of the table
            reply = {"error": str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
