"""The stages on Ray Data: a cluster of two nodes that loses one in the middle gives what one process gives."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from data_samples import contents, picture, sample, write_dataset

from edgefusion.data.crop import Crop, CropConfig
from edgefusion.data.executor import LocalExecutor, RayExecutor, choose
from edgefusion.data.sample import Sample
from edgefusion.data.stage import SampleStage, run_stage
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow

_SHARDS, _PER_SHARD = 12, 4


def _node() -> dict[str, int]:
    """A node's memory and ports. Where a port is left to Ray, a node that takes over 15 s to start on a busy machine gives up."""
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.bind(("", 0))
        ports = dict(zip(names, (one.getsockname()[1] for one in sockets), strict=True))
    return {"object_store_memory": 80 * 1024 * 1024, **ports}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores and two worker nodes with one each; the first says that it has a GPU, which no test here touches."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Workers import the stages, and these tests' own, from here.
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2] / "python"), str(Path(__file__).parent), path])
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    nodes.add_node(num_cpus=0, include_dashboard=False, **_node())
    nodes.workers = [nodes.add_node(num_cpus=1, num_gpus=gpus, **_node()) for gpus in (1, 0)]
    yield nodes
    ray.shutdown()
    nodes.shutdown()
    os.environ["PYTHONPATH"] = path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(
        tmp_path / "in", [sample(f"s{index:03d}", picture(index)) for index in range(_SHARDS * _PER_SHARD)], _PER_SHARD
    )


@dataclasses.dataclass(frozen=True)
class SlowCropConfig(CropConfig):
    """`marks`: a folder in which each sample leaves a file with the process that works on it."""

    marks: Path = Path()


@dataclasses.dataclass(frozen=True)
class SlowCrop(SampleStage):
    """Crop, at a pace at which a worker can be killed in the middle of a shard."""

    config: SlowCropConfig
    name = "crop"

    def apply(self, sample: Sample, counts: Counts) -> Sample | None:
        (self.config.marks / f"{sample.key}-{os.getpid()}").touch()
        time.sleep(0.15)
        return Crop(self.config).apply(sample, counts)


def _stage(dataset: Path, output: Path) -> SlowCrop:
    marks = output.with_name(f"{output.name}-marks")
    marks.mkdir(exist_ok=True)
    return SlowCrop(SlowCropConfig([dataset], output, size=16, marks=marks))


def _run_and_disturb(stage: SlowCrop, cluster: Any, disturb: Any) -> Any:  # noqa: ANN401 - a cluster, a function, a summary
    """Runs the stage on the cluster, and calls `disturb` when three shards are written and others are being worked on."""
    disturbed = threading.Event()

    def wait() -> None:
        while len(list((stage.config.output / ".stage").glob("0*.json"))) < 3:
            time.sleep(0.02)
        disturb()
        disturbed.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    summary = run_stage(stage, RayExecutor(address=cluster.address))
    assert disturbed.wait(10), "the stage was over before it was disturbed"
    return summary


def test_a_killed_worker_and_a_lost_node_lose_nothing(cluster: Any, dataset: Path, tmp_path: Path) -> None:  # noqa: ANN401
    whole = run_stage(Crop(CropConfig([dataset], tmp_path / "whole", size=16)), LocalExecutor())
    assert whole.counts.written == _SHARDS * _PER_SHARD

    stage = _stage(dataset, tmp_path / "killed")
    killed: list[int] = []

    def kill_worker() -> None:
        newest = max(stage.config.marks.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        killed.append(int(newest.name.rpartition("-")[2]))
        os.kill(killed[0], 9)

    summary = _run_and_disturb(stage, cluster, kill_worker)
    assert summary.counts == whole.counts and contents(stage.config.output) == contents(tmp_path / "whole")
    workers = {int(path.name.rpartition("-")[2]) for path in stage.config.marks.iterdir()}
    assert killed[0] in workers and len(workers) >= 2 and os.getpid() not in workers

    stage = _stage(dataset, tmp_path / "lost")
    summary = _run_and_disturb(stage, cluster, lambda: cluster.remove_node(cluster.workers[1], allow_graceful=False))
    assert summary.counts == whole.counts and contents(stage.config.output) == contents(tmp_path / "whole")


def test_tasks_that_take_a_gpu_share_a_process_that_keeps_its_models(cluster: Any, dataset: Path, tmp_path: Path) -> None:  # noqa: ANN401
    stage = _stage(dataset, tmp_path / "out")
    assert run_stage(stage, RayExecutor(address=cluster.address, gpus=1)).counts.written == _SHARDS * _PER_SHARD
    run_stage(Crop(CropConfig([dataset], tmp_path / "whole", size=16)))
    assert contents(stage.config.output) == contents(tmp_path / "whole")
    assert len({path.name.rpartition("-")[2] for path in stage.config.marks.iterdir()}) == 1


def test_a_full_disk_on_a_worker_ends_the_stage_with_a_sentence(cluster: Any, dataset: Path, tmp_path: Path) -> None:  # noqa: ANN401
    output = tmp_path / "out"
    # A folder in the place of a shard cannot be replaced by it, whoever the user is.
    (output / ".stage").mkdir(parents=True)
    stage = Crop(CropConfig([dataset], output, size=16))
    run_stage(Crop(CropConfig([dataset], tmp_path / "other", size=16)))
    record = (tmp_path / "other/.stage/stage.json").read_text().replace(str(tmp_path / "other"), str(output))
    (output / ".stage/stage.json").write_text(record)
    (output / "shard-00005.tar").mkdir()
    with pytest.raises(UserError, match=r"crop stopped after \d+ of 12 shards: .*shard-00005"):
        run_stage(stage, RayExecutor(address=cluster.address))
    (output / "shard-00005.tar").rmdir()
    assert run_stage(stage, RayExecutor(address=cluster.address)).counts.written == _SHARDS * _PER_SHARD


def test_a_finished_stage_does_not_start_ray(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RayExecutor, "_connect", lambda self: pytest.fail("there is nothing to do"))
    stage = Crop(CropConfig([dataset], tmp_path / "out", size=16))
    assert run_stage(stage, LocalExecutor()) == run_stage(stage, RayExecutor(2))
    empty = Crop(CropConfig([write_dataset(tmp_path / "empty", [])], tmp_path / "nothing", size=16))
    assert run_stage(empty, RayExecutor(2)).counts == Counts()


def test_one_worker_on_this_machine_needs_no_ray() -> None:
    assert isinstance(choose(1, None), LocalExecutor)
    assert choose(2, None) == RayExecutor(2) and choose(1, "auto") == RayExecutor(1, "auto")
