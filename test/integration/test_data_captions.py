"""New captions and synthetic pairs, by the offline grammars and by models of transformers and diffusers (tiny random ones)."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from data_samples import contents, picture, sample, write_dataset
from PIL import Image

from edgefusion.data import colours, compositor, language_model, scenes, vocabulary
from edgefusion.data.caption_grammar import CaptionGrammar, Frequencies, with_article
from edgefusion.data.recaption import GrammarConfig, Recaption, RecaptionConfig
from edgefusion.data.sample import Sample, encode
from edgefusion.data.stage import run_stage
from edgefusion.data.synthesize_images import SynthesizeImages, SynthesizeImagesConfig
from edgefusion.data.synthesize_prompts import SynthesizePrompts, SynthesizePromptsConfig
from edgefusion.data.vocabulary import Vocabulary
from edgefusion.errors import UserError

CLDR = GrammarConfig().cldr
needs_cldr = pytest.mark.skipif(not CLDR.is_dir(), reason="needs unicode-cldr-core")
VOCABULARY = Vocabulary(
    vocabulary.word_set("a pizza slice of cheese horse animal big house the collection flat part"), {"cavallo": "horse"}
)


def grammar(captions: dict[str, int] | None = None, keywords: dict[str, int] | None = None) -> CaptionGrammar:
    return CaptionGrammar(VOCABULARY, Frequencies(captions or {}, keywords or {}))


def test_captions_say_the_same_in_several_ways() -> None:
    fields = {"caption": "pizza", "keywords": ["cheese", "pizza", "slice"], "source": "x"}
    captions = grammar(keywords={"cheese": 9, "slice": 9}).captions(fields, "orange", random.Random(0))
    assert captions[:5] == ["pizza", "a pizza", "slice of pizza", "orange pizza", "an orange pizza"]
    assert len(set(captions)) == len(captions) and all("pizza" in caption for caption in captions)


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({"caption": "The Big House (B and W)_2", "keywords": []}, "big house"),
        ({"caption": "flag: Latvia", "keywords": []}, "flag of latvia"),
        ({"caption": "woman: red hair", "keywords": []}, "woman with red hair"),
        # Too frequent a title says nothing; the file's name is a keyword.
        ({"caption": "flat collection", "keywords": ["animal", "horse"], "file_words": ["horse", "xyz"]}, "horse"),
        ({"caption": "Cavallo", "keywords": ["animal"]}, "horse"),
        ({"caption": "qwert", "keywords": ["animal", "house"]}, "house"),
        ({"caption": "qwert", "keywords": [], "category": "food/berries"}, "berry"),
        ({"caption": "Qwert Uiop", "keywords": []}, "qwert uiop"),
        ({"caption": "qwert", "keywords": [], "category": "s"}, "qwert"),
    ],
)
def test_titles_are_believed_only_if_they_describe(fields: dict, subject: str) -> None:
    assert grammar(captions={"flat collection": 500}).subject({"source": "x", **fields}) == subject


def test_articles_and_plurals() -> None:
    given = (
        "apple",
        "unicorn",
        "horse",
        "scissors",
        "glass",
        "bread",
        "slices of pizza",
        "umbrella with rain drops",
        "two cats",
        "bus",
    )
    articles = ["an", "a", "a", "", "a", "", "", "an", "", "a"]
    assert [with_article(name) for name in given] == [
        f"{article} {name}".strip() for article, name in zip(articles, given, strict=True)
    ]
    # What begins with a preposition has no noun to count.
    assert with_article("of mice and of men") == "an of mice and of men"
    assert with_article("with a hat with a feather") == "a with a hat with a feather"
    plurals = {
        "cat": "cats",
        "cherry": "cherries",
        "fox": "foxes",
        "slice of pizza": "slices of pizza",
        "monkey": "monkeys",
        "scissors": "scissors",
    }
    assert {name: scenes.plural(name) for name in plurals} == plurals


@needs_cldr
def test_cldr_knows_english_and_translates_single_words() -> None:
    words = vocabulary.load(CLDR)
    assert words.knows("horse") and words.knows("horses") and not words.knows("cavallo")
    assert words.translated(["xyz", "ragno"]) == "spider" and words.translated(["horse"]) is None


@needs_cldr
def test_recaptioning_keeps_pictures_and_the_original_caption(tmp_path: Path) -> None:
    write_dataset(
        tmp_path / "in", [sample(f"s{index}", picture(index), caption="Tigre 03", keywords=["tiger"]) for index in range(3)]
    )
    config = RecaptionConfig([tmp_path / "in"], tmp_path / "out", "grammar")
    assert run_stage(Recaption(config)).counts.written == 3
    for key, (fields, data) in contents(tmp_path / "out").items():
        assert fields["caption"] == fields["captions"][0] == "tiger" and fields["caption_original"] == "Tigre 03"
        assert data == contents(tmp_path / "in")[key][1]


def library(tmp_path: Path) -> Path:
    """Cut-outs: a red disc and a green square, 64 pixels wide."""
    samples = []
    for name, colour in (("disc", "red"), ("square", "green"), ("stone", "grey")):
        image = Image.new("RGBA", (64, 64), (*colours.RGB[colour], 0))
        y, x = np.mgrid[:64, :64]
        inside = (x - 32) ** 2 + (y - 32) ** 2 < 30**2 if name == "disc" else np.ones((64, 64), bool)
        image.putalpha(Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)))
        fields = sample(name, image.convert("RGB"), caption=name).fields
        samples.append(Sample(name, fields, encode(image, "png")))
    return write_dataset(tmp_path / "subjects", samples)


def colour_at(image: Image.Image, x: float, y: float) -> str:
    pixel = np.asarray(image)[int(y * image.height), int(x * image.width)]
    return colours.NAMES[colours.name_pixels(pixel[None])[0]]


def test_composed_pictures_show_what_the_prompt_says(tmp_path: Path) -> None:
    subjects = compositor.Library((library(tmp_path),))
    disc, square = scenes.Thing("disc"), scenes.Thing("square")
    generator = random.Random(0)

    def compose(*things: scenes.Thing, relation: str = "", background: str = "white") -> Image.Image:
        return compositor.compose(scenes.Scene(things, relation, background), subjects, 64, generator)

    alone = compose(disc, background="blue")
    assert (colour_at(alone, 0.5, 0.5), colour_at(alone, 0.05, 0.05)) == ("red", "blue")
    assert colour_at(compose(scenes.Thing("disc", colour="purple")), 0.5, 0.5) == "purple"
    for relation, first, second in (
        ("to the left of", (0.27, 0.5), (0.73, 0.5)),
        ("to the right of", (0.73, 0.5), (0.27, 0.5)),
        ("above", (0.5, 0.25), (0.5, 0.75)),
        ("below", (0.5, 0.75), (0.5, 0.25)),
        ("in front of", (0.5, 0.66), (0.5, 0.2)),
    ):
        image = compose(disc, square, relation=relation)
        assert (colour_at(image, *first), colour_at(image, *second)) == ("red", "green"), relation
    four = compose(scenes.Thing("disc", count=4))
    assert [colour_at(four, x, y) for x in (0.28, 0.72) for y in (0.28, 0.72)] == ["red"] * 4
    for background in scenes.PLACES.values():
        assert compose(disc, background=background).size == (64, 64)
    for things, message in (
        ((scenes.Thing("cat"),), "no such subject"),
        ((scenes.Thing("stone", colour="red"),), "no other colour"),
    ):
        with pytest.raises(compositor.CannotComposeError, match=message):
            compose(*things)


def test_prompts_and_pictures_are_made_and_made_again_alike(tmp_path: Path) -> None:
    subjects = library(tmp_path)
    for run in ("a", "b"):
        prompts = SynthesizePromptsConfig(tmp_path / run / "prompts", [subjects], 60, "grammar", shard_size=25)
        made = run_stage(SynthesizePrompts(prompts))
        assert made.counts.read == 60 and made.counts.balanced()
        images = SynthesizeImagesConfig([prompts.output], tmp_path / run / "images", "compositor", 64, [subjects])
        summary = run_stage(SynthesizeImages(images))
        assert summary.counts.balanced() and summary.counts.written > 20
    first = contents(tmp_path / "a/images")
    assert first == contents(tmp_path / "b/images")
    for fields, data in first.values():
        scene = scenes.Scene.from_dict(fields["scene"])
        assert fields["caption"] == scene.prompt() and all(thing.subject in fields["caption"] for thing in scene.things)
        assert Image.open(io.BytesIO(data)).size == (64, 64)


def test_subjects_made_again_are_read_again_and_refused_by_what_was_begun(tmp_path: Path) -> None:
    subjects = library(tmp_path)
    run_stage(SynthesizePrompts(SynthesizePromptsConfig(tmp_path / "prompts", [subjects], 4, "grammar")))
    images = SynthesizeImages(SynthesizeImagesConfig([tmp_path / "prompts"], tmp_path / "images", "compositor", 64, [subjects]))
    run_stage(images)
    assert compositor.Library.load([subjects]) is compositor.Library.load([subjects])
    write_dataset(subjects, [sample("cat", picture(0), caption="cat"), sample("dog", picture(1), caption="dog")])
    assert "cat" in compositor.Library.load([subjects])
    with pytest.raises(UserError, match="another state of its input"):
        run_stage(images)


@pytest.mark.parametrize("name", ["synt.2", "a/b", ""])
def test_names_that_make_no_key_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name: begins the keys"):
        SynthesizePromptsConfig(Path("x"), [], 1, "grammar", name=name)


def test_prompts_without_a_scene_cannot_be_composed(tmp_path: Path) -> None:
    fields = sample("p", picture(0)).fields
    broken = {"things": [], "relation": "", "background": "white"}
    write_dataset(tmp_path / "in", [Sample("p", fields), Sample("q", {**fields, "scene": broken})])
    config = SynthesizeImagesConfig([tmp_path / "in"], tmp_path / "out", "compositor", 64, [library(tmp_path)])
    assert run_stage(SynthesizeImages(config)).counts.dropped == {"no scene to compose (the prompt is not of the grammar)": 2}


def test_a_models_answer_becomes_one_prompt() -> None:
    answers = {
        '1. "A cat on a sofa."\n2. More': "A cat on a sofa.",
        "\n\nPrompt: a dog\n": "a dog",
        "- a  bird": "a bird",
        " \n": "",
    }
    assert {answer: language_model.first_sentence(answer) for answer in answers} == answers
