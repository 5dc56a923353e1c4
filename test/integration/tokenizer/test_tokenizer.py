"""The runtime's tokenizer against transformers' CLIPTokenizer: the same ids for every prompt.

The tool reads its prompts from a bundle's vocabulary, which is made here from CLIP's rules in open_clip_torch.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")

Run = Callable[..., subprocess.CompletedProcess]

ROOT = Path(__file__).resolve().parents[3]
SEED = 20240418
MAX_LENGTH = 77

PIPELINE = {
    "format": "edgefusion-pipeline",
    "version": 1,
    "producer": "test",
    "models": {name: {"artifact": f"{name}.efa"} for name in ("text_encoder", "unet", "vae_decoder")},
    "tokenizer": {
        "type": "clip-bpe",
        "vocab": "tokenizer/vocab.json",
        "merges": "tokenizer/merges.txt",
        "max_length": MAX_LENGTH,
        "bos": 49406,
        "eos": 49407,
        "pad": 49407,
    },
    "scheduler": {
        "type": "lcm",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "original_inference_steps": 50,
        "timestep_scaling": 10.0,
        "sigma_data": 0.5,
        "prediction_type": "epsilon",
        "set_alpha_to_one": True,
    },
    "latent": {"channels": 4, "height": 8, "width": 8, "scaling_factor": 0.18215},
    "guidance_embedding_dim": 256,
    "image": {"height": 64, "width": 64},
}

HAND_PICKED = [
    "",
    " ",
    "\n\t\r\x0b\x0c\u2028\u00a0\u3000",
    "\x00",
    "\x00\x01\x1f\x7f\x80\x9f",
    "a photo of an astronaut riding a horse on mars, 8k, trending on artstation",
    "It's THEY'RE we've I'm you'll he'd 'tis ''s 's's 'S 'Re \u2019s",
    "<|startoftext|> hello <|endoftext|>",
    "<|startoftext|><|startoftext|>",
    "x<|STARTOFTEXT|>y <|EndOfText|>!! !<|ENDOFTEXT|>! <|endoftext|",
    "<|STARTOFTEXT|>!!! <|STARTOFTEXT|>'s",
    "e\u0301 \u00e9 E\u0301 \u1e69 s\u0323\u0307 s\u0307\u0323 \u0344 \u0301\u0345\u0323",
    "\u0130stanbul \u0131 \u1e9e \u00df \u03a3\u03a3 \u03c2 \u2126 \u212b \u01c5 \ufb03 \uff21",
    "\u1100\u1161\u11a8 \uac01 \ud55c\uae00 \u1112\u1161\u11ab \uac00\u11a7\uac00\u11a8",
    "\u0958 \u0928\u093c \u09dc \u0f71\u0f72\u0f80 \u2adc \ufb2c \U0001d15e \U0001d1bc",
    "12345 3.14159 \u00bd \u2167 \u0661\u0662 \u96f6 1st 2nd a1b2c3",
    "\u4e00\u53ea\u732b \u5bcc\u58eb\u5c71 \u3053\u3093\u306b\u3061\u306f \u30ab\u3099 \uff76\uff9e",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0650\u0633\u0652\u0645\u0650 \u0639\u0640\u0640\u0631\u0628\u064a",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0e01\u0e33 \u0e99\u0ecd\u0eb2",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea #\ufe0f\u20e3 \u2764\ufe0f",
    "\u200b\u200d\ufeff\u00ad\u180e zero\u200bwidth",
    "\ufffd\ufffe\uffff\U0010ffff \ue000",
    "a" * 3000,
    "ab" * 1500 + " " + "!?" * 900,
    " ".join(f"word{i}" for i in range(400)),
    "\u0301" * 500 + "\u0323" * 500,
]  # fmt: skip


def character_names() -> Iterator[str]:
    """One text for each named character: the character between letters, then its name. Every block of Unicode is in it."""
    for point in range(0x20, 0x30000):
        character = chr(point)
        name = unicodedata.name(character, "")
        is_ideograph = 0x3400 <= point < 0xA000 or 0xAC00 <= point < 0xD7A4 or point >= 0x17000
        if name and not (is_ideograph and point % 61):
            yield f"a{character}b {character} {name.title()}"


def emoji_sequences(generator: random.Random) -> Iterator[str]:
    symbols = [chr(p) for p in (*range(0x2600, 0x27C0), *range(0x1F300, 0x1F650), *range(0x1F680, 0x1FB00))]
    joiners = ["", " ", "\u200d", "\ufe0f", "\u200d\u2640\ufe0f", *map(chr, range(0x1F3FB, 0x1F400))]
    for _ in range(1500):
        count = generator.randrange(1, 8)
        yield "".join(generator.choice(symbols) + generator.choice(joiners) for _ in range(count))


def random_texts(generator: random.Random) -> Iterator[str]:
    """Random characters: of all Unicode, and of the parts where the rules live."""
    pools = [
        [*range(0x20, 0x7F)],
        [*range(0x00, 0x250)],
        [*range(0x41, 0x5B), *range(0x61, 0x7B), *range(0x300, 0x370), 0x20],
        [*range(0x370, 0x530)],
        [*range(0x590, 0x700)],
        [*range(0x900, 0xE80)],
        [*range(0x1100, 0x1200), *range(0xAC00, 0xAD00)],
        [*range(0x1AB0, 0x1B00), *range(0x1DC0, 0x2000), *range(0x20D0, 0x2100)],
        [*range(0x3000, 0x3100), *range(0xFB00, 0x10000)],
        [*range(0x1D100, 0x1D250), *range(0x11000, 0x11600)],
        [p for p in range(1, 0x110000) if not 0xD800 <= p < 0xE000],
    ]
    specials = ["<|startoftext|>", "<|ENDOFTEXT|>", "'s", "'LL", "'re", "\n", "1", "!"]
    for index in range(6000):
        pool = pools[index % len(pools)]
        pieces = [chr(generator.choice(pool)) for _ in range(generator.randrange(1, 60))]
        if generator.random() < 0.3:
            pieces.insert(generator.randrange(len(pieces)), generator.choice(specials))
        yield "".join(pieces)


def both_forms(texts: list[str]) -> Iterator[str]:
    for text in texts:
        yield unicodedata.normalize("NFD", text)
        yield unicodedata.normalize("NFC", text)


def prompts() -> list[str]:
    generator = random.Random(SEED)
    print(f"seed {SEED}")
    drawn = [*emoji_sequences(generator), *random_texts(generator)]
    texts = [*HAND_PICKED, *character_names(), *drawn, *both_forms(HAND_PICKED + drawn[::7])]
    # A surrogate alone is no text in UTF-8.
    return [text for text in texts if not any(0xD800 <= ord(character) < 0xE000 for character in text)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer_files = pytest.importorskip("edgefusion.export.tokenizer_files")
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "tokenizer").mkdir()
    tokenizer_files.write_packaged(folder / "tokenizer")
    (folder / "pipeline.json").write_text(json.dumps(PIPELINE))
    return folder


def tokenize(efrun: Run, bundle: Path, texts: list[str]) -> list[dict[str, list[int]]]:
    lines = bundle / "prompts.jsonl"
    lines.write_text("".join(json.dumps(text) + "\n" for text in texts))
    run = efrun(bundle, "--tokenize-lines", lines)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_agrees_with_transformers(efrun: Run, bundle: Path) -> None:
    texts = prompts()
    assert len(texts) >= 10_000
    reference = transformers.CLIPTokenizer(
        vocab=str(bundle / "tokenizer" / "vocab.json"),
        merges=str(bundle / "tokenizer" / "merges.txt"),
        model_max_length=MAX_LENGTH,
    )
    expected_tokens = reference(texts, add_special_tokens=False).input_ids
    expected_ids = reference(texts, padding="max_length", truncation=True, max_length=MAX_LENGTH).input_ids
    results = tokenize(efrun, bundle, texts)
    assert len(results) == len(texts)
    wrong = [
        text
        for text, result, tokens, ids in zip(texts, results, expected_tokens, expected_ids, strict=True)
        if result["tokens"] != tokens or result["ids"] != ids
    ]
    print(f"{len(texts)} texts, {len(wrong)} differ")
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, the first are {wrong[:5]!r}"


def test_tables_are_current() -> None:
    """The tables in the source are what the installed tokenizers library does with every code point."""
    script = ROOT / "scripts" / "generate-unicode-tables.py"
    subprocess.run([sys.executable, script, "--check"], check=True)


def test_bad_line_is_one_sentence(efrun: Run, bundle: Path) -> None:
    lines = bundle / "bad.jsonl"
    lines.write_text('"fine"\n{"not": "a string"}\n')
    run = efrun(bundle, "--tokenize-lines", lines)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "line 2" in run.stderr
