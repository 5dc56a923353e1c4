"""`edgefusion eval`: pictures for evaluation, metrics, sample sheets, and a page on which people choose."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgefusion import local_page
from edgefusion.errors import UserError
from edgefusion.eval import DEFAULT_FEATURES
from edgefusion.files import write_json, write_text

if TYPE_CHECKING:
    import torch

    from edgefusion.eval.pictures import Picture


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("eval", help="make pictures for evaluation and judge them")
    tasks = parser.add_subparsers(metavar="TASK", required=True)
    for add in (_add_generate, _add_metrics, _add_features, _add_retrieval, _add_agreement, _add_grid, _add_compare):
        add(tasks)


def _add_generate(tasks: argparse._SubParsersAction) -> None:
    parser = tasks.add_parser("generate", help="make pictures with a pipeline folder or a compiled bundle; resumes")
    parser.add_argument("model", type=Path, help="a diffusers pipeline folder, or a bundle whose models are compiled")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompts", type=Path, metavar="FILE", help="a prompt a line; `# group: NAME` begins a group")
    source.add_argument("--dataset", type=Path, metavar="DIR", help="the captions of a dataset")
    source.add_argument("--prompt", action="append", metavar="TEXT", help="may be given several times")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="so many prompts, chosen by the seed (default: all)")
    parser.add_argument("--steps", type=int, required=True, metavar="N")
    parser.add_argument("--guidance", type=float, default=8.0, metavar="W", help="guidance scale (default: 8)")
    parser.add_argument(
        "--sampler", choices=["auto", "ddim", "lcm"], default="auto", help="of a pipeline folder (default: by its scheduler)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first picture; each next one has the next (default: 0)")
    parser.add_argument("--per-prompt", type=int, default=1, metavar="N", help="pictures of each prompt (default: 1)")
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="pictures at once (default: 16)")
    parser.add_argument("--threads", type=int, default=0, help="threads (default: one a core)")
    parser.add_argument("--device", default="", metavar="NAME", help="runs a bundle's NPU programs (default: the simulator)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--replace", action="store_true", help="remove pictures of other settings from the output first")
    parser.set_defaults(run=_generate)


def _set_threads(threads: int) -> None:
    import torch

    if threads < 0:
        raise UserError("--threads must not be negative; 0 is one a core")
    if threads:
        torch.set_num_threads(threads)


def _prompts(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    import random

    from edgefusion.eval import pictures

    if arguments.prompts:
        prompts = pictures.read_prompts(arguments.prompts)
    elif arguments.dataset:
        prompts = [(picture.prompt, "") for picture in pictures.read(arguments.dataset)]
    else:
        prompts = [(prompt, "") for prompt in arguments.prompt]
    if 0 < arguments.limit < len(prompts):
        prompts = random.Random(arguments.seed).sample(prompts, arguments.limit)
    return prompts


def _generate(arguments: argparse.Namespace) -> int:
    from edgefusion.eval import generate

    if arguments.per_prompt < 1:
        raise UserError("--per-prompt must be at least 1")
    _set_threads(arguments.threads)
    prompts = _prompts(arguments)
    generator = generate.open_generator(
        arguments.model,
        arguments.steps,
        arguments.guidance,
        arguments.sampler,
        arguments.batch,
        arguments.threads,
        arguments.device,
    )

    def progress(done: int, total: int, seconds: float) -> None:
        end = "\n" if done == total or not sys.stderr.isatty() else ""
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{done} of {total} pictures, {seconds:.0f} s", end=end, file=sys.stderr, flush=True)

    wanted = generate.requests(prompts, arguments.seed, arguments.per_prompt)
    made = generate.generate(generator, wanted, arguments.output, progress, arguments.replace)
    print(f"wrote {made} pictures to {arguments.output} ({len(wanted) - made} were there)")
    return 0


def _add_looking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--features", default=DEFAULT_FEATURES, metavar="NAME", help="efficientnet-lite0 (default), inception, clip, clip:DIR"
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="so many pictures, chosen by the seed (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of whatever is drawn at random (default: 0)")
    parser.add_argument("--threads", type=int, default=0, help="threads (default: one a core)")


def _add_metrics(tasks: argparse._SubParsersAction) -> None:
    parser = tasks.add_parser("metrics", help="FID, KID, IS and CLIP-score of a set of pictures")
    parser.add_argument("pictures", type=Path, help="a folder of `edgefusion eval generate`, or a dataset")
    parser.add_argument(
        "--reference", type=Path, metavar="DIR|FILE", help="real pictures: a dataset, or the file of `edgefusion eval features`"
    )
    parser.add_argument("--scorer", metavar="DIR", help="for the CLIP-score: scorer/ of `edgefusion train text`, or CLIP")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    _add_looking(parser)
    parser.set_defaults(run=_metrics)


def _read_pixels(folder: Path, arguments: argparse.Namespace) -> tuple[list[Picture], list[torch.Tensor]]:
    from edgefusion.eval import pictures

    found = pictures.read(folder, arguments.limit, arguments.seed)
    return found, [picture.pixels() for picture in found]


def _metrics(arguments: argparse.Namespace) -> int:
    from edgefusion.eval import features, metrics, pictures, scorer

    _set_threads(arguments.threads)
    made = pictures.read(arguments.pictures, arguments.limit, arguments.seed)
    model = scorer.load(arguments.scorer) if arguments.scorer else None
    memo = features.Memo(features.load(arguments.features))
    if isinstance(model, scorer.Scorer) and model.settings["features"] == arguments.features:
        memo = model.memo
    reference = None
    if arguments.reference and arguments.reference.suffix == ".npz":
        reference = metrics.read_features(arguments.reference, memo.extractor.title)
    elif arguments.reference:
        reference = features.extract(memo.extractor, _read_pixels(arguments.reference, arguments)[1])
    report = metrics.evaluate(made, memo, reference, model, arguments.seed)
    print(report.as_table())
    if arguments.json:
        write_text(arguments.json, report.as_json())
    return 0


def _add_features(tasks: argparse._SubParsersAction) -> None:
    parser = tasks.add_parser("features", help="the features of a reference, computed once for many `edgefusion eval metrics`")
    parser.add_argument("pictures", type=Path, help="a dataset, or a folder of `edgefusion eval generate`")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz")
    _add_looking(parser)
    parser.set_defaults(run=_features)


def _features(arguments: argparse.Namespace) -> int:
    from edgefusion.eval import features, metrics

    if arguments.output.suffix != ".npz":
        raise UserError(f"the name of '{arguments.output}' must end in .npz")
    _set_threads(arguments.threads)
    extractor = features.load(arguments.features)
    values = features.extract(extractor, _read_pixels(arguments.pictures, arguments)[1])
    metrics.write_features(arguments.output, values, extractor.title)
    print(f"wrote {arguments.output}: {len(values)} pictures, {extractor.title}")
    return 0


def _add_retrieval(tasks: argparse._SubParsersAction) -> None:
    parser = tasks.add_parser("retrieval", help="how often an image-text scorer finds the partner among held-out pairs")
    parser.add_argument("scorer", metavar="DIR", help="scorer/ of `edgefusion train text`, or CLIP")
    parser.add_argument("pairs", type=Path, help="a dataset that the scorer has not seen")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="so many pairs, chosen by the seed (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice (default: 0)")
    parser.add_argument("--threads", type=int, default=0, help="threads (default: one a core)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.set_defaults(run=_retrieval)


def _retrieval(arguments: argparse.Namespace) -> int:
    from edgefusion.eval import retrieval, scorer

    _set_threads(arguments.threads)
    model = scorer.load(arguments.scorer)
    found, pixels = _read_pixels(arguments.pairs, arguments)
    result = retrieval.evaluate(model, pixels, [picture.prompt for picture in found])
    print(f"{model.title}: {len(found)} pairs of {arguments.pairs}")
    for direction in ("text_to_image", "image_to_text"):
        words = direction.replace("_", " ")
        print(f"  {words}: R@1 {result[f'{direction}_r1']:.3f}, R@5 {result[f'{direction}_r5']:.3f}")
    print(f"  guessing: R@1 {result['chance_r1']:.3f}, R@5 {result['chance_r5']:.3f}")
    if arguments.json:
        write_json(arguments.json, {"scorer": model.title, **result})
    return 0


def _add_agreement(tasks: argparse._SubParsersAction) -> None:
    parser = tasks.add_parser("agreement", help="PSNR between two sets of pictures of the same prompts and seeds")
    parser.add_argument("first", type=Path, metavar="A")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.set_defaults(run=_agreement)


def _agreement(arguments: argparse.Namespace) -> int:
    from edgefusion import accuracy
    from edgefusion.eval import metrics, pictures

    found = metrics.agreement(pictures.read(arguments.first), pictures.read(arguments.second))
    median, worst = found["psnr_median"], found["psnr_worst"]
    print(f"{found['pictures']} pictures: PSNR {found['psnr']:.1f} dB, median {median:.1f}, worst {worst:.1f}")
    if arguments.json:
        write_json(arguments.json, accuracy.as_json(found))
    return 0


def _columns(items: list[str]) -> list[tuple[str, list[Picture]]]:
    from edgefusion.eval import pictures

    columns = []
    for item in items:
        label, equals, folder = item.partition("=")
        if not equals or not label or not folder:
            raise UserError(f"--column {item}: expected LABEL=DIR, e.g. --column 'teacher, 25 steps=pictures/teacher'")
        columns.append((label, pictures.read(Path(folder))))
    return columns


def _add_grid(tasks: argparse._SubParsersAction) -> None:
    parser = tasks.add_parser("grid", help="a sheet of samples: a row a prompt, a column a set of pictures")
    parser.add_argument(
        "--column", action="append", required=True, metavar="LABEL=DIR", help="a set of pictures; may be given several times"
    )
    parser.add_argument("--across", type=int, default=0, metavar="N", help="blocks of rows side by side (default: about square)")
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="of a picture (default: 128)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.png")
    parser.set_defaults(run=_grid)


def _grid(arguments: argparse.Namespace) -> int:
    from edgefusion.eval import grid

    if arguments.size < 16 or arguments.across < 0:
        raise UserError("--size must be at least 16, --across not negative")
    sheet = grid.draw(_columns(arguments.column), grid.Layout(cell=arguments.size, across=arguments.across))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(arguments.output, format="PNG", optimize=True)
    print(f"wrote {arguments.output}: {sheet.width} x {sheet.height} pixels")
    return 0


def _add_compare(tasks: argparse._SubParsersAction) -> None:
    parser = tasks.add_parser("compare", help="a local page for a blind choice between two sets of pictures")
    parser.add_argument("first", type=Path, metavar="A", help="a folder of `edgefusion eval generate`")
    parser.add_argument("second", type=Path, metavar="B", help="another, of the same prompts and seeds")
    parser.add_argument("--votes", type=Path, required=True, metavar="FILE.jsonl", help="where votes go and are resumed")
    parser.add_argument("--seed", type=int, default=0, help="of order and sides (default: 0)")
    parser.add_argument("--result", action="store_true", help="print what the votes say and serve nothing")
    local_page.add_serving(parser)
    parser.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> int:
    from edgefusion.eval import comparison, pictures

    if arguments.result and not arguments.votes.is_file():
        raise UserError(f"there are no votes '{arguments.votes}'")
    sets = [(str(folder), pictures.read(folder)) for folder in (arguments.first, arguments.second)]
    page = comparison.Comparison(sets[0], sets[1], arguments.votes, arguments.seed)
    if not arguments.result:
        local_page.serve(page, arguments.port, not arguments.no_browser)
    print(page.tally().sentence(*page.names))
    return 0
