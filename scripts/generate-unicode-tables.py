#!/usr/bin/env python3
"""Writes runtime/pipeline/UnicodeTables.cpp: what CLIP's tokenizer has to know of Unicode.

The reference is not one version of Unicode but the `tokenizers` library, whose regular expressions, lower-casing and
normalisation each follow a version of their own; so the tables are read from its behaviour, code point by code point.
Python's unicodedata supplies only the structure (which two characters a decomposition consists of, which marks exist),
and everything taken from it is checked against the library.

usage: generate-unicode-tables.py [--check]     --check: only compare with the file that is there
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

OUTPUT = Path(__file__).resolve().parent.parent / "runtime" / "pipeline" / "UnicodeTables.cpp"
HANGUL = range(0xAC00, 0xD7A4)
CODE_POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]

Rows = list[tuple[int, ...]]


def members(pattern: str) -> list[int]:
    """The code points that a regular expression of one character matches."""
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    text = "".join(map(chr, CODE_POINTS))
    return sorted(ord(character) for piece, _ in split.pre_tokenize_str(text) for character in piece)


def ranges(points: Iterable[int]) -> Rows:
    rows: list[list[int]] = []
    for point in points:
        if rows and point == rows[-1][1] + 1:
            rows[-1][1] = point
        else:
            rows.append([point, point])
    return [tuple(row) for row in rows]


def lowercase() -> tuple[Rows, Rows]:
    """(first, last, stride, difference) for one-to-one mappings; (point, first, second) for those that give two."""
    lower = normalizers.Lowercase().normalize_str
    runs: list[list[int]] = []
    expansions: Rows = []
    for point in CODE_POINTS:
        mapped = lower(chr(point))
        if mapped == chr(point):
            continue
        if len(mapped) > 1:
            assert len(mapped) == 2, f"U+{point:04X} lower-cases to {len(mapped)} characters"
            expansions.append((point, *map(ord, mapped)))
            continue
        difference = ord(mapped) - point
        last = runs[-1] if runs else None
        stride = point - last[1] if last else 0
        if last and last[3] == difference and stride in (1, 2) and last[2] in (0, stride):
            last[1], last[2] = point, stride
        else:
            runs.append([point, point, 0, difference])
    return [(first, last, stride or 1, difference) for first, last, stride, difference in runs], expansions


def decompositions() -> tuple[Rows, list[int]]:
    """(point, first, second or 0), one level deep and without Hangul; and which of them (by index) compose again, sorted
    by the pair that they compose from."""
    decompose, compose = normalizers.NFD().normalize_str, normalizers.NFC().normalize_str
    rows: Rows = []
    for point in CODE_POINTS:
        if point in HANGUL or decompose(chr(point)) == chr(point):
            continue
        parts = [int(part, 16) for part in unicodedata.decomposition(chr(point)).split()]
        assert len(parts) in (1, 2), f"U+{point:04X} has no canonical decomposition in unicodedata"
        assert decompose("".join(map(chr, parts))) == decompose(chr(point)), f"U+{point:04X} decomposes differently"
        rows.append((point, parts[0], parts[1] if len(parts) == 2 else 0))
    composing = [i for i, (point, a, b) in enumerate(rows) if b and compose(chr(a) + chr(b)) == chr(point)]
    return rows, sorted(composing, key=lambda i: rows[i][1:])


def combining_classes(decomposed: set[int]) -> Rows:
    """(first, last, class), found from which pairs of marks the library reorders."""
    decompose: Callable[[str], str] = normalizers.NFD().normalize_str

    def before(left: str, right: str) -> bool:
        """Whether 0 < class(right) < class(left), so that the two are exchanged."""
        return decompose(left + right) == right + left and left != right

    # One mark for each class, of those that the library knows: it puts them behind U+0334, which is of the lowest class.
    marks = {1: "\u0334"}
    for point in CODE_POINTS:
        if point not in decomposed and before(chr(point), marks[1]):
            marks.setdefault(unicodedata.combining(chr(point)), chr(point))
    classes = sorted(marks)

    rows: list[list[int]] = []
    for point in CODE_POINTS:
        character = chr(point)
        if point in decomposed or point in HANGUL:
            continue
        if not before(marks[classes[-1]], character) and not before(character, marks[classes[0]]):
            continue
        value = max((k for k in classes if not before(marks[k], character)), default=classes[0])
        if rows and rows[-1][1] == point - 1 and rows[-1][2] == value:
            rows[-1][1] = point
        else:
            rows.append([point, point, value])
    return [tuple(row) for row in rows]


def array(kind: str, name: str, rows: Iterable[object], comment: str) -> str:
    lines, line = [], " "
    for row in rows:
        cells = row if isinstance(row, tuple) else (row,)
        text = ",".join(str(cell) for cell in cells)
        item = f" {{{text}}}," if isinstance(row, tuple) else f" {text},"
        if len(line) + len(item) > 118:
            lines.append(line)
            line = " "
        line += item
    return f"// {comment}\nstatic constexpr {kind} {name}[] = {{\n" + "\n".join([*lines, line]) + "\n};\n"


def render() -> str:
    runs, expansions = lowercase()
    pairs, composing = decompositions()
    classes = combining_classes({row[0] for row in pairs})
    tables = [
        ("CodePointRange", "letterRanges", ranges(members(r"\p{L}")), "\\p{L}: first, last."),
        ("CodePointRange", "numberRanges", ranges(members(r"\p{N}")), "\\p{N}: first, last."),
        ("CodePointRange", "spaceRanges", ranges(members(r"\s")), "\\s: first, last."),
        ("LowercaseRun", "lowercaseRuns", runs, "Lower case: first, last, stride, difference."),
        ("Decomposition", "lowercasePairs", expansions, "Lower case of two characters: from, first, second."),
        ("Decomposition", "decompositions", pairs, "Canonical decomposition: from, first, second or 0; Hangul is computed."),
        ("uint16_t", "compositions", composing, "Indices of decompositions that compose, sorted by (first, second)."),
        ("CombiningRange", "combiningRanges", classes, "Canonical combining class: first, last, class."),
    ]
    body = "\n".join(array(*table) for table in tables)
    names = "".join(f",\n    {name}" for _, name, _, _ in tables)[1:]
    return (
        "// What CLIP's tokenizer has to know of Unicode, as the tokenizers library has it.\n"
        f"// Generated by scripts/generate-unicode-tables.py from tokenizers {tokenizers.__version__}; do not edit.\n"
        '#include "runtime/pipeline/UnicodeTables.h"\n\n'
        "using namespace efrt;\n\n"
        f"// clang-format off\n{body}\n"
        f"const UnicodeTables efrt::unicodeTables = {{{names}}};\n// clang-format on\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the file that is there; 1 if it differs")
    arguments = parser.parse_args()
    text = render()
    if arguments.check:
        current = OUTPUT.read_text(encoding="utf-8") if OUTPUT.exists() else ""
        if current != text:
            print(f"{OUTPUT.name} differs from what the installed tokenizers library does", file=sys.stderr)
            return 1
        return 0
    OUTPUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
