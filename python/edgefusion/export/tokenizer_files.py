"""CLIP's byte-pair vocabulary as the two files that tokenizers read: vocab.json (token -> id) and merges.txt (rules by rank).

A pipeline that brings its own files keeps them. Otherwise they are derived from the rule list that the `open_clip_torch`
package ships; the order of the vocabulary is that of CLIP's reference tokenizer: 256 byte symbols, the same with the
end-of-word mark, one token a merge rule, then the two special tokens.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
from pathlib import Path

from edgefusion.errors import UserError

_NUM_MERGES = 49152 - 256 - 2
_END_OF_WORD = "</w>"


def _byte_symbols() -> list[str]:
    """The printable character that stands for each byte, in CLIP's order: the printable bytes come first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def _packaged_rules() -> list[str]:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("no CLIP vocabulary: the pipeline brings none and the package open_clip_torch is not installed")
    path = Path(next(iter(spec.submodule_search_locations))) / "bpe_simple_vocab_16e6.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = stream.read().split("\n")
    return lines[1 : 1 + _NUM_MERGES]


def write_packaged(folder: Path) -> None:
    """Writes CLIP's vocab.json and merges.txt into `folder`."""
    rules = _packaged_rules()
    symbols = _byte_symbols()
    tokens = symbols + [symbol + _END_OF_WORD for symbol in symbols]
    tokens += ["".join(rule.split()) for rule in rules]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    _write_files(folder, {token: index for index, token in enumerate(tokens)}, rules)


def _write_files(folder: Path, vocabulary: dict[str, int], rules: list[str]) -> None:
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(rules) + "\n", encoding="utf-8")


def _write_from_fast_tokenizer(folder: Path, path: Path) -> None:
    """Splits a tokenizer.json, which newer libraries save in place of the two files."""
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    if model.get("type") != "BPE" or model.get("end_of_word_suffix") != _END_OF_WORD:
        raise UserError(f"'{path}' is not CLIP's byte-pair tokenizer, the only kind the runtime has")
    merges = [rule if isinstance(rule, str) else " ".join(rule) for rule in model["merges"]]
    _write_files(folder, model["vocab"], merges)


def _find(origin: str, name: str) -> Path | None:
    """The file tokenizer/`name` of a pipeline folder or hub id, or None where it has no such file."""
    if Path(origin).exists():
        path = Path(origin) / "tokenizer" / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(origin, name, subfolder="tokenizer"))
    except (EntryNotFoundError, LocalEntryNotFoundError):
        return None


def write(folder: Path, origin: str | None) -> None:
    """Puts vocab.json and merges.txt into `folder`: those of the pipeline `origin` where it has them, else CLIP's own."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _find(origin, "vocab.json") if origin else None
    merges = _find(origin, "merges.txt") if origin else None
    fast = _find(origin, "tokenizer.json") if origin else None
    if vocabulary and merges:
        shutil.copyfile(vocabulary, folder / "vocab.json")
        shutil.copyfile(merges, folder / "merges.txt")
    elif fast:
        _write_from_fast_tokenizer(folder, fast)
    else:
        write_packaged(folder)
