"""Stages that stop and go on: disk full, a killed process, another configuration; and the counts that must always add up."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from data_samples import contents, picture, sample, write_dataset, write_folder

from edgefusion import configuration, files
from edgefusion.data import shards
from edgefusion.data.apply_decisions import ApplyDecisions, ApplyDecisionsConfig
from edgefusion.data.deduplicate import Deduplicate, DeduplicateConfig
from edgefusion.data.filter_small import FilterSmall, FilterSmallConfig
from edgefusion.data.ingest import Ingest, IngestConfig
from edgefusion.data.select import Select, SelectConfig
from edgefusion.data.sources.folder import FolderSource
from edgefusion.data.stage import run_stage
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def ingest(source: Path, output: Path, **keys: object) -> Ingest:
    return Ingest(IngestConfig(output, folder=FolderSource(source), shard_size=4, **keys))


@contextlib.contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """The write of this number, from 1, finds the disk full."""
    fsync, writes = os.fsync, itertools.count(1)

    def full(descriptor: int) -> None:
        if next(writes) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


# The stage's mark, then a tar and a record for each shard, then the summary.
@pytest.mark.parametrize("number", range(1, 9))
def test_a_full_disk_stops_the_stage_and_the_next_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    source = write_folder(tmp_path / "in", 12)
    run_stage(ingest(source, tmp_path / "whole"))
    output = tmp_path / "out"
    where = f"stopped after {number // 2 - 1} of 3 shards" if 1 < number < 8 else "stopped"
    with full_disk(monkeypatch, number), pytest.raises(UserError, match=f"{where}: .*no space left.*run the same command again"):
        run_stage(ingest(source, output))
    written = [f"shard-{index:05d}.tar" for index in range((number - 1) // 2)]
    assert sorted(path.name for path in output.glob("*")) == [".stage", *written]
    assert not list(output.rglob("*.partial"))
    with pytest.raises(UserError, match="has not finished"):
        shards.shard_paths(output)
    done = [output / name for name in written if (output / f".stage/{name[6:11]}.json").is_file()]
    before = [path.stat().st_mtime_ns for path in done]
    assert run_stage(ingest(source, output)).counts.written == 12
    assert [path.stat().st_mtime_ns for path in done] == before
    assert contents(output) == contents(tmp_path / "whole")


def test_a_full_disk_before_the_first_shard_is_reported_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "in", [sample("s", picture(0))])
    (tmp_path / "decisions.jsonl").write_text('{"key": "s", "decision": "keep"}\n')
    stage = ApplyDecisions(ApplyDecisionsConfig([tmp_path / "in"], tmp_path / "out", tmp_path / "decisions.jsonl"))
    with full_disk(monkeypatch, 2), pytest.raises(UserError, match=r"apply-decisions stopped: .*/out: no space left"):
        run_stage(stage)
    assert run_stage(stage).counts.written == 1


def test_what_killed_tasks_have_left_is_removed(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", 1)
    run_stage(ingest(source, tmp_path / "out"))
    for name in (".shard-00000.tar.0123456789ab.partial", ".stage/.00000.json.0123456789ab.partial"):
        (tmp_path / "out" / name).write_bytes(b"cut short")
    run_stage(ingest(source, tmp_path / "out"))
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_file_size_limit_in_mid_shard_is_reported_by_the_command(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", 4)
    (tmp_path / "c.yaml").write_text(f"output: {tmp_path / 'out'}\nfolder: {{path: {source}}}\n")

    def limit() -> None:
        # Without this signal the write fails with EFBIG, as it fails with ENOSPC on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    command = [sys.executable, "-m", "edgefusion", "data", "ingest", "--config", str(tmp_path / "c.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=limit, check=False)
    assert result.returncode == 1 and "no space left to write it" in result.stderr and "Traceback" not in result.stderr
    assert not list((tmp_path / "out").glob("*.tar"))
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "read 4, wrote 4" in result.stdout


def test_a_killed_command_goes_on_and_gives_the_same_files(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", 40)
    config = tmp_path / "c.yaml"
    config.write_text(f"output: {tmp_path / 'out'}\nshard_size: 4\nsize: 300\nfolder: {{path: {source}}}\n")
    command = [sys.executable, "-m", "edgefusion", "data", "ingest", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "python")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not (tmp_path / "out/.stage/00001.json").is_file() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (tmp_path / "out/summary.json").exists()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    run_stage(ingest(source, tmp_path / "whole", size=300))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    for name in ("shard-00000.tar", "shard-00009.tar", ".stage/00009.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_stage_does_nothing_and_another_configuration_is_refused(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", 5)
    first = run_stage(ingest(source, tmp_path / "out"))
    state = tree(tmp_path / "out")
    assert run_stage(ingest(source, tmp_path / "out")) == first and tree(tmp_path / "out") == state
    with pytest.raises(UserError, match="was begun with another configuration"):
        run_stage(ingest(source, tmp_path / "out", size=32))
    (source / "9999.png").write_bytes((source / "0000.png").read_bytes())
    with pytest.raises(UserError, match="another state of its input"):
        run_stage(ingest(source, tmp_path / "out"))
    with pytest.raises(UserError, match="was begun with another stage"):
        run_stage(Select(SelectConfig([tmp_path / "out"], tmp_path / "out")))
    assert tree(tmp_path / "out") == state
    with pytest.raises(UserError, match="is not empty"):
        run_stage(ingest(source, source))


@pytest.mark.parametrize("name", ["0000.png", "0000.txt"])
def test_a_changed_file_of_the_source_is_refused(tmp_path: Path, name: str) -> None:
    source = write_folder(tmp_path / "in", 2)
    run_stage(ingest(source, tmp_path / "out"))
    (source / name).write_bytes((source / name).read_bytes() + b" ")
    with pytest.raises(UserError, match="another state of its input"):
        run_stage(ingest(source, tmp_path / "out"))


def test_an_input_made_again_of_other_pictures_is_refused(tmp_path: Path) -> None:
    source, made = write_folder(tmp_path / "in", 2), tmp_path / "made"
    run_stage(ingest(source, made))
    stage = FilterSmall(FilterSmallConfig([made], tmp_path / "out", min_side=1))
    first = run_stage(stage)
    shutil.rmtree(made)
    run_stage(ingest(source, made))
    assert run_stage(stage) == first, "equal pictures are the same input"
    shutil.rmtree(made)
    (source / "0000.png").write_bytes((source / "0001.png").read_bytes())
    run_stage(ingest(source, made))
    with pytest.raises(UserError, match="another state of its input"):
        run_stage(stage)


def test_records_without_a_digest_stay_valid(tmp_path: Path) -> None:
    source, made = write_folder(tmp_path / "in", 2), tmp_path / "made"
    run_stage(ingest(source, made))
    record, summary = (json.loads((made / name).read_text()) for name in (".stage/00000.json", "summary.json"))
    assert len(record.pop("sha256")) == len(summary.pop("contents")) == 64
    files.write_json(made / ".stage/00000.json", record)
    files.write_json(made / "summary.json", summary)
    stage = FilterSmall(FilterSmallConfig([made], tmp_path / "out", min_side=1))
    first = run_stage(stage)
    assert run_stage(ingest(source, made)).contents is None
    assert run_stage(stage) == first


def test_an_input_listed_twice_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path / "in", [sample("s", picture(0))])
    with pytest.raises(UserError, match=r"input: .* is listed twice"):
        run_stage(Select(SelectConfig([tmp_path / "in", tmp_path / "out/../in"], tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_an_unfinished_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in/.stage").mkdir(parents=True)
    with pytest.raises(UserError, match="has not finished: run that to its end"):
        run_stage(FilterSmall(FilterSmallConfig([tmp_path / "in"], tmp_path / "out")))
    with pytest.raises(UserError, match="no such folder"):
        run_stage(FilterSmall(FilterSmallConfig([tmp_path / "nowhere"], tmp_path / "out")))


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path / "in", [sample(f"s{index}", picture(index)) for index in range(3)])
    path = tmp_path / "in/shard-00000.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"shard-00000.tar: not a whole shard .*make the dataset again"):
        run_stage(FilterSmall(FilterSmallConfig([tmp_path / "in"], tmp_path / "out")))


def headers(path: Path) -> list[int]:
    with tarfile.open(path) as archive:
        return [member.offset for member in archive]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, header: data[:header],
        lambda data, header: data[:header] + b"junk" * 128 + data[header + 512 :],
        lambda data, header: data[:header] + bytes(512) + data[header + 512 :],
    ],
    ids=["cut", "overwritten", "zeroed"],
)
@pytest.mark.parametrize("read", [lambda path: list(shards.read_shard(path)), shards.keys, shards.index_shard])
def test_a_shard_that_ends_between_two_samples_without_an_end_mark_is_damaged(
    tmp_path: Path, damage: Callable[[bytes, int], bytes], read: Callable[[Path], object]
) -> None:
    path = shards.shard_path(tmp_path, 0)
    shards.write_shard(path, [sample(f"s{index}", picture(index)) for index in range(3)])
    read(path)
    path.write_bytes(damage(path.read_bytes(), headers(path)[2]))
    with pytest.raises(UserError, match=r"not a whole shard \(no end mark: cut short or damaged\)"):
        read(path)


def test_inputs_that_share_keys_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_dataset(tmp_path / name, [sample("s", picture(0))])
    with pytest.raises(UserError, match="both have a sample s; ingest them under different names"):
        run_stage(Select(SelectConfig([tmp_path / "a", tmp_path / "b"], tmp_path / "out")))


def test_everything_dropped_leaves_a_complete_empty_dataset(tmp_path: Path) -> None:
    write_dataset(tmp_path / "in", [sample(f"s{index}", picture(index)) for index in range(3)])
    summary = run_stage(FilterSmall(FilterSmallConfig([tmp_path / "in"], tmp_path / "small", min_side=65)))
    assert summary.counts.dropped == {"smaller than 65 pixels": 3} and summary.shards == 0
    empty = run_stage(FilterSmall(FilterSmallConfig([tmp_path / "small"], tmp_path / "again")))
    assert (empty.counts.read, empty.counts.written) == (0, 0)


def test_one_picture_ten_thousand_times_leaves_one(tmp_path: Path) -> None:
    same = sample("s00000", picture(7))
    many = [shards.Sample(f"s{index:05d}", same.fields, same.picture) for index in range(10_000)]
    write_dataset(tmp_path / "in", [*many, sample("other", picture(8))], shard_size=2500)
    config = DeduplicateConfig([tmp_path / "in"], tmp_path / "out", features=None)
    summary = run_stage(Deduplicate(config))
    assert summary.counts.dropped == {"repeated picture": 9999} and summary.counts.read == 10_001
    assert set(contents(tmp_path / "out")) == {"s00000", "other"}


def test_every_dropped_sample_is_named_with_its_reason(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", 2)
    (source / "0001.png").write_bytes(b"broken")
    run_stage(ingest(source, tmp_path / "out"))
    record = json.loads((tmp_path / "out/.stage/00000.json").read_text())
    assert list(record["dropped_keys"]) == ["folder-00000001"]
    assert record["dropped_keys"]["folder-00000001"].startswith("corrupt picture: ")


def test_a_stage_that_loses_a_sample_is_caught(tmp_path: Path) -> None:
    class Losing(FilterSmall):
        def apply(self, sample: shards.Sample, counts: Counts) -> None:
            return None

    write_dataset(tmp_path / "in", [sample("s", picture(0))])
    with pytest.raises(AssertionError, match="do not add up"):
        run_stage(Losing(FilterSmallConfig([tmp_path / "in"], tmp_path / "out")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output: x\nfolder: {path: y}\nsise: 3\n", "unknown key sise; the keys are output"),
        ("folder: {path: y}\n", "the key output is missing"),
        ("output: x\nfolder: {path: y}\nshard_size: many\n", "shard_size: expected a whole number, found text"),
        ("output: x\nfolder: {path: y}\nkeep_alpha: 1\n", "keep_alpha: expected true or false, found a whole number"),
        ("output: x\nfolder: {path: y, colour: red}\n", "unknown key folder.colour"),
        ("output: x\n", "exactly one of emoji, openclipart, folder, webdataset"),
        ("output: x\nfolder: {path: y}\nshard_size: 0\n", "at least 1"),
        ("- a\n- b\n", "expected keys with values"),
        ("output: [\n", "is not YAML"),
    ],
)
def test_mistakes_in_a_configuration_name_file_key_and_what_is_expected(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        configuration.read(path, IngestConfig)
    assert str(path) in str(error.value) and message in str(error.value)


def test_a_configuration_survives_its_record_and_takes_overrides(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("output: x\nfolder: {path: y}\nmargin: 0\n")
    config = configuration.read(path, IngestConfig, ["folder.name=z", "size=64", "margin=1e-2"])
    assert (config.folder.name, config.size, config.margin) == ("z", 64, 0.01)
    assert configuration.parse(configuration.as_dict(config), IngestConfig, "record") == config
    with pytest.raises(UserError, match="--set size: expected KEY=VALUE"):
        configuration.read(path, IngestConfig, ["size"])
