"""Where a stage's tasks run: in this process, or on Ray Data, on this machine or on a cluster.

A task takes a unit of work (JSON values), writes its shard itself and returns a record (JSON values), so a task that dies with
its worker has left nothing half-written and is simply run again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from edgefusion.errors import UserError

Unit = dict[str, Any]
Record = dict[str, Any]
Task = Callable[[Unit], Record]

# Units and records are small (file names, metadata, counts); pictures stay in files.
_OBJECT_STORE_BYTES = 128 * 1024 * 1024


class Executor(Protocol):
    """Runs a task on every unit and yields the records as they come, in any order."""

    def map(self, task: Task, units: Sequence[Unit]) -> Iterator[Record]: ...


class LocalExecutor:
    """One unit after the other, in this process."""

    def map(self, task: Task, units: Sequence[Unit]) -> Iterator[Record]:
        return (task(unit) for unit in units)


@dataclasses.dataclass
class RayExecutor:
    """Ray Data: one task a unit; a task whose worker or node is lost runs again elsewhere.

    `address` is that of a cluster ("auto", "host:6379", "ray://host:10001") whose machines share the datasets' file system;
    without one, a Ray of `workers` processes is started here. `gpus` is what a task takes.
    """

    workers: int = 0
    address: str | None = None
    gpus: float = 0

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        try:
            import ray
        except ImportError:
            raise UserError(
                "several workers need Ray: pip install 'ray[data]', or leave out --workers and --ray-address"
            ) from None
        if ray.is_initialized():
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if self.address is None:
            cores = self.workers or os.cpu_count() or 1
            options |= {"num_cpus": cores, "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
        ray.init(address=self.address, **options)

    def map(self, task: Task, units: Sequence[Unit]) -> Iterator[Record]:
        # Ray takes no empty list, and need not be started for one.
        if not units:
            return
        self._connect()
        import ray
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        rows = ray.data.from_items([{"unit": json.dumps(unit)} for unit in units], override_num_blocks=len(units))
        if self.gpus:
            # Actors stay, and with them the models in their memory; a task's process would end with it and give the GPU back.
            pool = ray.data.ActorPoolStrategy(size=max(1, int(ray.cluster_resources().get("GPU", 0) // self.gpus)))
            done = rows.map(_Runner, fn_constructor_args=(task,), compute=pool, num_cpus=1, num_gpus=self.gpus)
        else:
            done = rows.map(_Runner(task).__call__, num_cpus=1)
        for row in done.iter_rows():
            yield json.loads(row["record"])


class _Runner:
    """A task on the rows of Ray Data, which hold units and records as text."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        return {"record": json.dumps(self._task(json.loads(row["unit"])))}


def choose(workers: int, address: str | None, gpus: float = 0) -> Executor:
    """The executor for a command's flags: one worker without an address needs no Ray."""
    if address is None and workers == 1:
        return LocalExecutor()
    return RayExecutor(workers, address, gpus)
