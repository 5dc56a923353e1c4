"""The stages between ingest and training: what they keep, what they drop, and what they make of it."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from data_samples import contents, picture, sample, write_dataset
from PIL import Image, ImageDraw

from edgefusion.data import colours, detectors
from edgefusion.data.apply_decisions import ApplyDecisions, ApplyDecisionsConfig
from edgefusion.data.crop import Crop, CropConfig, square_around
from edgefusion.data.deduplicate import Deduplicate, DeduplicateConfig
from edgefusion.data.filter_small import FilterSmall, FilterSmallConfig
from edgefusion.data.sample import Sample
from edgefusion.data.select import Select, SelectConfig
from edgefusion.data.stage import run_stage
from edgefusion.errors import UserError


def heart(colour: str, size: int = 64) -> Image.Image:
    image = Image.new("RGB", (size, size), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    u = size / 64
    for box in ((8 * u, 10 * u, 34 * u, 36 * u), (30 * u, 10 * u, 56 * u, 36 * u)):
        draw.ellipse(box, fill=colours.RGB[colour])
    draw.polygon([(10 * u, 28 * u), (54 * u, 28 * u), (32 * u, 58 * u)], fill=colours.RGB[colour])
    return image


def test_repeats_go_and_pictures_of_the_same_shape_in_another_colour_stay(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (64, 64, 3))
    noisy = Image.fromarray(np.clip(np.asarray(picture(1)) + noise, 0, 255).astype(np.uint8))
    samples = [
        sample("a-small", picture(1)),
        sample("b-noisy", noisy),
        sample("c-large", picture(1).resize((128, 128), Image.Resampling.LANCZOS)),
        sample("d-other", picture(2)),
        sample("e-red", heart("red")),
        sample("f-blue", heart("blue")),
        Sample("g-broken", sample("g", picture(3)).fields, b"no picture"),
    ]
    write_dataset(tmp_path / "in", samples, shard_size=3)
    config = DeduplicateConfig([tmp_path / "in"], tmp_path / "out", hash_distance=10, cosine=0.8)
    summary = run_stage(Deduplicate(config))
    # The largest of each set stays.
    assert set(contents(tmp_path / "out")) == {"c-large", "d-other", "e-red", "f-blue"}
    assert summary.counts.dropped == {"repeated picture": 2, "corrupt picture": 1}
    alone = DeduplicateConfig([tmp_path / "in"], tmp_path / "hash", colour_distance=255.0, features=None)
    assert run_stage(Deduplicate(alone)).counts.dropped["repeated picture"] == 3, "by the hash alone, two colours are one"


def test_small_pictures_go(tmp_path: Path) -> None:
    sizes = {"a": (300, 300), "b": (299, 1000), "c": (1000, 300)}
    write_dataset(tmp_path / "in", [sample(key, picture(0, size)) for key, size in sizes.items()])
    summary = run_stage(FilterSmall(FilterSmallConfig([tmp_path / "in"], tmp_path / "out")))
    assert set(contents(tmp_path / "out")) == {"a", "c"} and summary.counts.dropped == {"smaller than 300 pixels": 1}


@pytest.mark.parametrize("seed", range(200))
def test_the_crop_is_a_square_that_holds_the_box_wherever_it_can(seed: int) -> None:
    generator = random.Random(seed)
    width, height = generator.randint(1, 300), generator.randint(1, 300)
    left, top = generator.randrange(width), generator.randrange(height)
    box = (left, top, generator.randint(left + 1, width), generator.randint(top + 1, height))
    pad, smallest, margin = generator.random() < 0.5, generator.uniform(0.1, 1), generator.choice((0, 0.1))
    window = square_around((width, height), box, smallest, margin, pad)
    side = window[2] - window[0]
    assert side == window[3] - window[1] >= 1
    inside = window[0] >= 0 and window[1] >= 0 and window[2] <= width and window[3] <= height
    assert inside or pad
    if pad or max(box[2] - box[0], box[3] - box[1]) <= min(width, height):
        # Rounding may cost half a pixel on each side.
        assert window[0] <= box[0] + 1 and window[1] <= box[1] + 1 and window[2] >= box[2] - 1 and window[3] >= box[3] - 1
    if smallest == 1 and not pad:
        assert side == min(width, height)


def test_the_crop_finds_a_subject_on_a_plain_and_on_a_noisy_background(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    plain = Image.new("RGB", (200, 100), (240, 240, 200))
    noisy = Image.fromarray(generator.integers(118, 138, (100, 200, 3), dtype=np.uint8))
    for image in (plain, noisy):
        ImageDraw.Draw(image).rectangle((160, 40, 179, 59), fill=(200, 20, 20))
    write_dataset(tmp_path / "in", [sample("plain", plain), sample("noisy", noisy), sample("empty", Image.new("RGB", (64, 64)))])
    config = CropConfig([tmp_path / "in"], tmp_path / "out", size=50, detector="saliency", min_subject=0.005)
    summary = run_stage(Crop(config))
    samples = contents(tmp_path / "out")
    assert summary.counts.dropped == {"no subject": 1}
    for key in ("plain", "noisy"):
        fields, data = samples[key]
        left, top, right, bottom = fields["crop"]
        assert (top, bottom, right - left) == (0, 100, 100) and left <= 160 and right >= 180, f"{key}: {fields['crop']}"
        assert Image.open(io.BytesIO(data)).size == (50, 50) and (fields["width"], fields["height"]) == (50, 50)
    middle = run_stage(Crop(CropConfig([tmp_path / "in"], tmp_path / "center", size=50, detector="center")))
    assert middle.counts.written == 3 and contents(tmp_path / "center")["plain"][0]["crop"] == [50, 0, 150, 100]


def test_zoom_and_padding_keep_both_ends_of_a_long_subject(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 60), (255, 255, 255))
    ImageDraw.Draw(image).rectangle((20, 20, 279, 39), fill=(0, 100, 0))
    write_dataset(tmp_path / "in", [sample("long", image)])
    run_stage(Crop(CropConfig([tmp_path / "in"], tmp_path / "out", size=64, smallest=0.1, margin=0.0, pad=True)))
    fields, data = contents(tmp_path / "out")["long"]
    assert fields["crop"][0] == 20 and fields["crop"][2] == 280
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert (pixels[0] > 250).all() and pixels[32, 1, 0] < 60 and pixels[32, 62, 0] < 60


def test_unknown_detectors_are_refused() -> None:
    with pytest.raises(ValueError, match="detector: expected center, saliency or objects:MODEL"):
        CropConfig([Path("x")], Path("y"), detector="magic")
    with pytest.raises(UserError, match="cannot be loaded"):
        detectors.load("objects:/no/such/model")


def test_select_joins_excludes_and_parts(tmp_path: Path) -> None:
    first = [
        sample(f"a{index}", picture(index), caption=f"flag {index}" if index % 2 else "cat", subgroup="g") for index in range(40)
    ]
    write_dataset(tmp_path / "a", first)
    write_dataset(tmp_path / "b", [sample(f"b{index}", picture(100 + index), caption="dog") for index in range(160)])
    inputs = [tmp_path / "a", tmp_path / "b"]
    summary = run_stage(Select(SelectConfig(inputs, tmp_path / "all", exclude={"caption": "^flag"})))
    assert summary.counts.dropped == {"excluded caption": 20} and summary.counts.written == 180
    parts = []
    for part in ("training", "held-out"):
        run_stage(Select(SelectConfig([tmp_path / "all"], tmp_path / part, part=part, held_out=0.2)))
        parts.append(set(contents(tmp_path / part)))
    assert not parts[0] & parts[1] and parts[0] | parts[1] == set(contents(tmp_path / "all"))
    assert 15 <= len(parts[1]) <= 60
    with pytest.raises(ValueError, match="no regular expression"):
        SelectConfig(inputs, tmp_path, exclude={"caption": "("})


def test_decisions_are_applied_and_the_last_one_counts(tmp_path: Path) -> None:
    write_dataset(tmp_path / "in", [sample(f"s{index}", picture(index)) for index in range(5)])
    decisions = tmp_path / "decisions.jsonl"
    rows = [("s0", "keep"), ("s1", "drop"), ("s2", "drop"), ("s2", "keep"), ("s3", "keep"), ("s3", "undecided")]
    lines = [f'{{"key": "{key}", "decision": "{decision}"}}\n' for key, decision in rows]
    # The page was killed while it wrote the last line.
    decisions.write_text("".join(lines) + '{"key": "s4", "deci')
    for undecided, kept in (("drop", {"s0", "s2"}), ("keep", {"s0", "s2", "s3", "s4"})):
        config = ApplyDecisionsConfig([tmp_path / "in"], tmp_path / undecided, decisions, undecided)
        summary = run_stage(ApplyDecisions(config))
        assert set(contents(tmp_path / undecided)) == kept
        assert summary.counts.dropped["dropped by hand"] == 1 and summary.counts.balanced()
    with decisions.open("a") as stream:
        stream.write('sion": "keep"}\n')
    with pytest.raises(UserError, match="another state of its input"):
        run_stage(ApplyDecisions(config))
    shutil.rmtree(config.output)
    assert run_stage(ApplyDecisions(config)).counts.written == 4
    decisions.write_text('{"key": "s4", "decision": "drop"}\n')
    shutil.rmtree(config.output)
    run_stage(ApplyDecisions(config))
    assert set(contents(config.output)) == {"s0", "s1", "s2", "s3"}
    decisions.write_text('{"key": "s0", "decision": "maybe"}\n')
    with pytest.raises(UserError, match="line 1: expected a key and a decision"):
        run_stage(ApplyDecisions(ApplyDecisionsConfig([tmp_path / "in"], tmp_path / "bad", decisions)))


def test_colours_have_their_names_and_subjects_take_others() -> None:
    for name in colours.NAMES:
        assert colours.NAMES[colours.name_pixels(np.array([colours.RGB[name]], np.uint8))[0]] == name
    assert colours.dominant(heart("green")) == "green"
    two = heart("red")
    two.paste(heart("blue").crop((0, 0, 32, 64)), (0, 0))
    assert colours.dominant(two) is None
    cutout = heart("red").convert("RGBA")
    cutout.putalpha(heart("red").getchannel("B").point(lambda value: 255 if value < 200 else 0))
    assert colours.dominant(colours.recolour(cutout, "blue").convert("RGB")) == "blue"
    assert colours.recolour(heart("grey").convert("RGBA"), "blue") is None
