#!/usr/bin/env python3
"""Writes docs/results.md: the paper's questions, answered at the scale of one machine without a GPU.

`run` does the jobs of a plan (trainings, pictures, metrics, compilation), leaving out those that are done: it can be stopped at
any time and goes on where it was. `collect` gathers the figures into one small file, and `page` writes the page from that file
alone, so that anyone can write it again without the days of work behind it.

    scripts/results.py run [--plan python/configs/mini/results.yaml] [--only REGEX] [--factor F]
    scripts/results.py collect [--json docs/results.json]
    scripts/results.py page [--json docs/results.json] [--output docs/results.md]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import time
from pathlib import Path

import results_page
import results_plan
import results_speed
import yaml
from results_plan import Job, Plan

from edgefusion import cli
from edgefusion.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent


def _record(plan: Plan, job: Job) -> Path:
    return plan.work / ".done" / f"{job.name}.json"


def is_done(plan: Plan, job: Job) -> bool:
    """Whether `job` has run to its end as it stands in the plan, and its output is there."""
    record = _load(_record(plan, job))
    return record.get("digest") == job.digest and record.get("seconds") is not None and job.output.exists()


def _configured_output(command: list[str]) -> Path | None:
    """What --set output=FOLDER names."""
    prefix = "output="
    settings = [command[i + 1] for i, word in enumerate(command[:-1]) if word == "--set"]
    return next((Path(text.removeprefix(prefix)) for text in settings if text.startswith(prefix)), None)


def _training_ended(command: list[str]) -> bool:
    """False for a training that was stopped (it ends with status 0 then): its newest checkpoint is not of its last step."""
    output = _configured_output(command)
    if command[0] != "train" or output is None or not (output / "checkpoints").is_dir():
        return True
    steps = yaml.safe_load((output / "config.yaml").read_text(encoding="utf-8"))["loop"]["steps"]
    newest = max((int(path.name.removeprefix("step-")) for path in (output / "checkpoints").glob("step-*")), default=0)
    return newest >= steps


def _execute(command: list[str]) -> None:
    """Runs one command in this process: loading the libraries takes longer than many of the commands."""
    if command[0] == "speed":
        return results_speed.main(command[1:])
    status = cli.main(command)
    if status:
        raise UserError(f"`edgefusion {' '.join(command)}` ended with status {status}")
    if not _training_ended(command):
        raise KeyboardInterrupt


def _begin(plan: Plan, job: Job) -> None:
    """Notes that `job` has begun. What an earlier form of it left half done or done in the work folder is removed."""
    path = _record(plan, job)
    earlier = _load(path)
    if earlier and earlier.get("digest") != job.digest:
        for output in filter(None, map(_configured_output, job.commands)):
            if plan.work in output.parents:
                shutil.rmtree(output, ignore_errors=True)
    _note(path, {"digest": job.digest, "seconds": None})


def _note(path: Path, record: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def run(plan: Plan, only: str) -> None:
    """Does what is not done."""
    jobs = [job for job in results_plan.expanded(plan) if re.search(only, job.name)]
    missing = [job for job in jobs if not is_done(plan, job)]
    print(f"{len(jobs)} jobs, {len(jobs) - len(missing)} done before", flush=True)
    for number, job in enumerate(missing, 1):
        start = time.monotonic()
        print(f"[{number} of {len(missing)}] {job.name}", flush=True)
        _begin(plan, job)
        for command in job.commands:
            _execute(command)
        if not job.output.exists():
            raise UserError(f"job {job.name}: its commands ended well, but '{job.output}' is not there")
        seconds = round(time.monotonic() - start, 1)
        _note(_record(plan, job), {"digest": job.digest, "seconds": seconds, "commands": job.commands})


def _load(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _undone(plan: Plan) -> set[str]:
    """What the commands of jobs that are not done name, and no done job before them: it may be of an earlier form of the plan."""
    known, undone = set(), set()
    for job in results_plan.expanded(plan):
        words = {str(job.output), *(word for command in job.commands for word in command)} - known
        known |= words
        if not is_done(plan, job):
            undone |= words
    return undone


def _figure(report: dict, key: str) -> float | None:
    """The value at `key` (keys joined by points)."""
    found: dict | float | None = report
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def collect(plan: Plan) -> dict:
    """The figures behind the page: for each question and variant the metrics of each seed; sizes and times of the models.

    Figures of jobs that are not done as they stand in the plan are left out.
    """
    undone = _undone(plan)
    places = {"work": str(plan.work), **plan.values}

    def reports(text: str, where: str) -> list[dict]:
        """What is in the file `text`, of each seed that has it."""
        files = [results_plan.filled(text, {**places, "seed": str(seed)}, where) for seed in plan.seeds]
        return [report for file in files if file not in undone and (report := _load(Path(file)))]

    questions = {}
    for question in plan.questions:
        where = f"question {question.name}"
        variants = {variant.label: reports(variant.metrics, where) for variant in question.variants}
        figures = {}
        for label, text in question.figures.items():
            file, _, key = text.partition("#")
            found = [_figure(report, key) for report in reports(file, where)]
            figures[label] = [value for value in found if value is not None]
        questions[question.name] = {"variants": variants, "figures": figures}
    speed = {model.label: next(iter(reports(model.measured, model.label)), {}) for model in plan.models}
    done = {job.name: _load(_record(plan, job))["seconds"] for job in results_plan.expanded(plan) if is_done(plan, job)}
    return {"seeds": plan.seeds, "questions": questions, "speed": speed, "job_seconds": done}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["run", "list", "collect", "page"])
    parser.add_argument("--plan", type=Path, default=REPOSITORY / "python/configs/mini/results.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the plan, e.g. work=DIR")
    parser.add_argument("--factor", type=float, default=1.0, metavar="F", help="longer or shorter trainings (default: 1)")
    parser.add_argument("--only", default="", metavar="REGEX", help="jobs whose name it is found in")
    parser.add_argument("--json", type=Path, default=REPOSITORY / "docs/results.json")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs/results.md")
    parsed = parser.parse_args(arguments)
    try:
        plan = results_plan.read(parsed.plan, parsed.set, parsed.factor)
        if parsed.task == "run":
            run(plan, parsed.only)
        elif parsed.task == "list":
            for job in results_plan.expanded(plan):
                if re.search(parsed.only, job.name):
                    print(f"{'done' if is_done(plan, job) else '    '}  {job.name}")
        elif parsed.task == "collect":
            undone = sum(not is_done(plan, job) for job in results_plan.expanded(plan))
            if undone:
                print(f"results: the figures of {undone} jobs that are not done are left out; `list` names them", file=sys.stderr)
            parsed.json.write_text(json.dumps(collect(plan), indent=1) + "\n", encoding="utf-8")
        else:
            figures = _load(parsed.json)
            if not figures:
                raise UserError(f"'{parsed.json}' has no figures; `scripts/results.py collect` writes it")
            parsed.output.write_text(results_page.render(plan, figures), encoding="utf-8")
    except (UserError, OSError) as error:
        print(f"results: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("results: stopped; run it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
