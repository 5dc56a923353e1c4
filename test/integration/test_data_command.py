"""`edgefusion data` as a command: the configurations in the tree, a run of several stages, and what it says of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_samples import contents, picture, sample, write_dataset, write_folder

from edgefusion import cli, configuration
from edgefusion.data import curation
from edgefusion.data.cli import load_stage

CONFIGURATIONS = sorted((Path(__file__).parents[2] / "python/configs").glob("*/data-*.yaml"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_trees_configurations_are_valid_and_lead_into_each_other(path: Path) -> None:
    outputs = {
        document["output"]
        for other in CONFIGURATIONS
        if other.parent == path.parent
        for document in configuration.read_documents(other)
    }
    for document in configuration.read_documents(path):
        stage = load_stage(document.pop("stage"), document, str(path))
        for dataset in [*getattr(stage.config, "input", []), *getattr(stage.config, "subjects", [])]:
            assert str(dataset) in outputs, f"{stage.name} reads {dataset}, which no stage writes"


def test_a_file_of_several_stages_runs_them_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "in", 6)
    (tmp_path / "in/0003.png").write_bytes((tmp_path / "in/0002.png").read_bytes())
    (tmp_path / "all.yaml").write_text(
        f"stage: ingest\noutput: {tmp_path}/a\nfolder: {{path: {tmp_path}/in}}\n---\n"
        f"stage: deduplicate\ninput: [{tmp_path}/a]\noutput: {tmp_path}/b\nfeatures: null\n---\n"
        f"stage: crop\ninput: [{tmp_path}/b]\noutput: {tmp_path}/c\nsize: 32\n"
    )
    assert cli.main(["data", "run", str(tmp_path / "all.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "ingest: read 6, wrote 6 in 1 shards",
        "deduplicate: read 6, wrote 5 in 1 shards; dropped 1 repeated picture",
        "crop: read 5, wrote 5 in 1 shards",
    ]
    assert all((fields["width"], fields["height"]) == (32, 32) for fields, _ in contents(tmp_path / "c").values())
    # Again: nothing is left to do, and the summaries are the same.
    assert cli.main(["data", "run", str(tmp_path / "all.yaml")]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_each_dataset_has_decisions_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curation, "serve", lambda page, port, open_browser: None)
    for name in ("pairs.v1", "pairs.v2"):
        write_dataset(tmp_path / name, [sample("s", picture(0))])
        assert cli.main(["data", "curate", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out == f"{tmp_path / name}.decisions.jsonl: 0 kept, 0 dropped, 1 undecided\n"


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        (["run"], "stage: bake\noutput: x\n", "document 1: stage: expected one of ingest,"),
        (["run"], "stage: crop\noutput: x\n", "(crop): the key input is missing"),
        (["crop", "--config"], "stage: ingest\noutput: x\n", "is not a configuration of crop"),
        (["crop", "--config"], "output: x\n---\noutput: y\n", "lists 2 stages; run it with `edgefusion data run`"),
        (["run", "--workers", "-1"], "stage: crop\ninput: [x]\noutput: y\n", "must not be negative"),
        (["run"], "stage: crop\ninput: [/nowhere]\noutput: y\n", "/nowhere: not a complete dataset (no such folder)"),
    ],
)
def test_mistakes_end_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], text: str, message: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    assert cli.main(["data", *command, str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("edgefusion: error: ") and message in error and error.count("\n") == 1
