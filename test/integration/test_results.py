"""scripts/results.py: jobs are done once and again when what they build on changes; the page says what the figures say."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import yaml

from edgefusion import cli, configuration
from edgefusion.errors import UserError
from edgefusion.eval import pictures

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))

import results  # noqa: E402
import results_page  # noqa: E402
import results_plan  # noqa: E402

MINI = REPOSITORY / "python/configs/mini"
METRICS = ("clip_score", "fid", "kid", "is")


def plan_file(folder: Path, **changes: object) -> Path:
    """A plan of two trainings a seed and their judgement."""
    plan = {
        "work": str(folder / "work"),
        "seeds": [0, 1],
        "values": {"some_steps": "10", "quick": "--quick {some_steps}"},
        "jobs": [
            {
                "name": "train-{size}-{seed}",
                "each": {"size": ["small", "large"]},
                "choose": {"width": {"small": "8", "large": "64"}},
                "output": "{work}/{size}-{seed}",
                "commands": ["make {output} {width} {quick}"],
            },
            {
                "name": "judge-{size}-{seed}",
                "each": {"size": ["small", "large"]},
                "output": "{work}/metrics/{size}-{seed}.json",
                "commands": ["judge --of={work}/{size}-{seed} {output}"],
            },
        ],
        "questions": [
            {
                "name": "size",
                "title": "Small against large",
                "here": "Two sizes.",
                "paper": "larger is better.",
                "variants": [
                    {"label": "small", "metrics": "{work}/metrics/small-{seed}.json"},
                    {"label": "large", "metrics": "{work}/metrics/large-{seed}.json"},
                ],
                "expectations": [{"worse": "small", "better": "large"}],
            }
        ],
        **changes,
    }
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    return path


def report(clip: float, fid: float, score: float) -> dict:
    values = {
        "clip_score": (clip, "CLIP-score (x, stand-in)"),
        "fid": (fid, "FID (y, stand-in)"),
        "is": (score, "IS (y, stand-in)"),
    }
    named = {key: {"name": name, "value": value, "deviation": None} for key, (value, name) in values.items()}
    return {"pictures": 4, "reference": 4, "values": named}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run; each command makes its output."""
    ran: list[str] = []

    def run(command: list[str]) -> int:
        ran.append(" ".join(command))
        if command[0] == "make":
            Path(command[1]).mkdir(parents=True, exist_ok=True)
        else:
            Path(command[2]).parent.mkdir(parents=True, exist_ok=True)
            better = "large" in command[1]
            Path(command[2]).write_text(json.dumps(report(0.3 if better else 0.2, 90, 5 if better else 6)), encoding="utf-8")
        return 0

    monkeypatch.setattr(cli, "main", run)
    return ran


def test_combinations_in_order(tmp_path: Path) -> None:
    jobs = results_plan.expanded(results_plan.read(plan_file(tmp_path), []))
    assert [job.name for job in jobs] == [
        *("train-small-0", "train-small-1", "train-large-0", "train-large-1"),
        *("judge-small-0", "judge-small-1", "judge-large-0", "judge-large-1"),
    ]
    assert jobs[2].commands == [["make", str(tmp_path / "work/large-0"), "64", "--quick", "10"]]


def test_jobs_are_done_once(tmp_path: Path, commands: list[str]) -> None:
    plan = results_plan.read(plan_file(tmp_path), [])
    results.run(plan, "small-0")
    assert [command.split()[0] for command in commands] == ["make", "judge"]
    results.run(plan, "")
    assert len(commands) == 8
    (tmp_path / "work/metrics/small-1.json").unlink()
    results.run(plan, "")
    assert len(commands) == 9


def test_what_builds_on_a_changed_job_is_done_again(tmp_path: Path, commands: list[str]) -> None:
    path = plan_file(tmp_path)
    results.run(results_plan.read(path, []), "")
    commands.clear()
    changed = yaml.safe_load(path.read_text(encoding="utf-8"))
    changed["jobs"][0]["choose"]["width"]["large"] = "128"
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    results.run(results_plan.read(path, []), "")
    assert [command.split()[0] for command in commands] == ["make", "make", "judge", "judge"]
    assert all("large" in command for command in commands)
    commands.clear()
    results.run(results_plan.read(path, [], factor=2.5), "")
    assert len(commands) == 8
    assert "--quick 25" in commands[0]


def test_a_failed_or_stopped_command_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = results_plan.read(plan_file(tmp_path), [])
    monkeypatch.setattr(cli, "main", lambda command: 1)
    with pytest.raises(UserError, match="ended with status 1"):
        results.run(plan, "")
    monkeypatch.setattr(cli, "main", lambda command: 0)
    with pytest.raises(UserError, match="is not there"):
        results.run(plan, "")
    run = tmp_path / "run"
    (run / "checkpoints/step-00000040").mkdir(parents=True)
    (run / "config.yaml").write_text("loop: {steps: 50}\n", encoding="utf-8")
    command = ["train", "kd", "--set", f"output={run}"]
    assert not results._training_ended(command)
    (run / "checkpoints/step-00000050").mkdir()
    assert results._training_ended(command)


def test_an_earlier_form_of_a_job_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [{"name": "x", "output": "{work}/x", "commands": ["train x --set output={output} --set size={size}"]}]
    path = plan_file(tmp_path, jobs=jobs, values={"size": "a"}, questions=[])
    seen = []

    def train(command: list[str]) -> int:
        output = Path(command[3].removeprefix("output="))
        seen.append(sorted(file.name for file in output.iterdir()) if output.is_dir() else None)
        output.mkdir(exist_ok=True)
        (output / command[5]).touch()
        return 1 if len(seen) == 1 else 0

    monkeypatch.setattr(cli, "main", train)
    with pytest.raises(UserError):
        results.run(results_plan.read(path, []), "")
    # Stopped and run again: it goes on with what is there. Changed: from the beginning.
    results.run(results_plan.read(path, []), "")
    results.run(results_plan.read(path, ["values.size=b"]), "")
    assert seen == [None, ["size=a"], None]


def test_mistakes_in_a_plan_are_named(tmp_path: Path) -> None:
    jobs = [{"name": "x", "output": "{work}/x", "commands": ["make {nothing}"]}]
    with pytest.raises(UserError, match=r"\{nothing\} is none of work"):
        results_plan.expanded(results_plan.read(plan_file(tmp_path, jobs=jobs), []))
    jobs = [{"name": "x", "output": "{work}/x-{seed}", "commands": ["make {output}"]}]
    with pytest.raises(UserError, match="occurs twice"):
        results_plan.expanded(results_plan.read(plan_file(tmp_path, jobs=jobs), []))


def test_page_says_what_the_figures_say(tmp_path: Path, commands: list[str]) -> None:
    plan = results_plan.read(plan_file(tmp_path), ["seen=All of them are blue."])
    results.run(plan, "")
    page = results_page.render(plan, results.collect(plan))
    assert "\n\nAll of them are blue.\n\n## " in page
    assert "| large | 0.300 (0.300 to 0.300) | 90.0 (90.0 to 90.0) | 5.00 (5.00 to 5.00) | 2 |" in page
    verdicts = "CLIP-score as in the paper; FID cannot be told apart; IS **against the paper**."
    assert f"The paper has *large* above *small*. Here: {verdicts}" in page
    assert "The metrics are stand-ins" in page


def test_figures_of_another_plan_are_left_out(tmp_path: Path, commands: list[str]) -> None:
    path = plan_file(tmp_path)
    results.run(results_plan.read(path, []), "")
    longer = results_plan.read(path, [], factor=2)
    results.run(longer, "small-0")
    variants = results.collect(longer)["questions"]["size"]["variants"]
    assert [len(reports) for reports in variants.values()] == [1, 0]


@pytest.mark.parametrize(
    ("worse", "better", "more", "verdict"),
    [
        ([1, 2], [3, 4], True, "agrees"),
        ([1, 2], [3, 4], False, "disagrees"),
        ([1, 3], [2, 4], True, "open"),
        ([1, 2], [2, 3], True, "open"),
        ([], [1], True, "missing"),
        ([1], [2, 3], True, "single"),
    ],
)
def test_verdicts(worse: list[float], better: list[float], more: bool, verdict: str) -> None:
    assert results_page.compare(worse, better, more) == verdict


def test_the_mini_plan_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = results_plan.read(MINI / "results.yaml", [])
    jobs = results_plan.expanded(plan)
    made = {str(job.output) for job in jobs} | {word for job in jobs for command in job.commands for word in command}
    for question in plan.questions:
        for variant in question.variants:
            for seed in plan.seeds:
                values = {"work": str(plan.work), **plan.values, "seed": str(seed)}
                assert results_plan.filled(variant.metrics, values, "") in made
    # Every command is one that exists, with flags and configuration keys that it knows.
    monkeypatch.chdir(REPOSITORY)
    parser = cli._parser()
    for command in (command for job in jobs for command in job.commands if command[0] != "speed"):
        parsed = parser.parse_args(command)
        if command[0] == "train":
            module = importlib.import_module(f"edgefusion.train.{command[1]}")
            configuration.read(parsed.config, getattr(module, f"{command[1].title()}Config"), parsed.set)


def test_prompts_of_the_sample_sheets() -> None:
    prompts = pictures.read_prompts(MINI / "prompts.txt")
    groups = [group for _, group in prompts]
    assert [groups.count(group) for group in dict.fromkeys(groups)] == [32, 32]
    assert len({prompt for prompt, _ in prompts}) == 64
