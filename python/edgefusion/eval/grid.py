"""A labelled sheet of samples: one row a prompt, one column a set of pictures, in several blocks side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from edgefusion.eval.pictures import Picture, by_prompt

_BACKGROUND, _INK, _FAINT = (255, 255, 255), (20, 20, 20), (110, 110, 110)


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels."""

    cell: int = 128
    gap: int = 4
    text: int = 13
    #: Blocks of rows beside each other; 0: as many as make the sheet about square.
    across: int = 0


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int, lines: int) -> list[str]:
    """`text` in at most `lines` lines of at most `width` pixels; the last ends with an ellipsis where it does not fit."""
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if font.getlength(longer) <= width or not rows[-1]:
            rows[-1] = longer
        else:
            rows.append(word)
    kept = rows[:lines]
    if len(rows) > lines:
        kept[-1] += "…"
    for index, row in enumerate(kept):
        shorter = row
        while shorter and font.getlength(shorter) > width:
            shorter = shorter[:-2].rstrip("…") + "…"
        kept[index] = shorter
    return kept


def _blocks(rows: int, columns: int, layout: Layout) -> int:
    if layout.across:
        return min(layout.across, rows)
    return max(1, min(rows, round(math.sqrt(rows / columns))))


def draw(columns: Sequence[tuple[str, Sequence[Picture]]], layout: Layout | None = None) -> Image.Image:
    """The sheet of (label, pictures) columns, rows matched by prompt and seed. Over each row stands its prompt."""
    layout = layout or Layout()
    rows = by_prompt(columns)
    font = ImageFont.load_default(layout.text)
    line = round(layout.text * 1.35)
    width = len(columns) * (layout.cell + layout.gap) - layout.gap
    caption_lines = 2 if len(columns) < 3 else 1
    pitch = caption_lines * line + layout.cell + 2 * layout.gap
    label_lines = max(len(_wrapped(label, font, layout.cell, 3)) for label, _ in columns)
    head = label_lines * line + 2 * layout.gap
    across = _blocks(len(rows), len(columns), layout)
    down = math.ceil(len(rows) / across)
    margin = 3 * layout.gap
    size = (margin + across * (width + margin), head + down * pitch + margin)
    sheet = Image.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for block in range(across):
        left = margin + block * (width + margin)
        for column, (label, _) in enumerate(columns):
            for index, text in enumerate(_wrapped(label, font, layout.cell, 3)):
                pen.text((left + column * (layout.cell + layout.gap), layout.gap + index * line), text, _FAINT, font)
        for row, found in enumerate(rows[block * down : (block + 1) * down]):
            top = head + row * pitch
            texts = _wrapped(found[0].prompt, font, width, caption_lines)
            for index, text in enumerate(texts):
                pen.text((left, top + (caption_lines - len(texts) + index) * line), text, _INK, font)
            for column, picture in enumerate(found):
                image = picture.open().resize((layout.cell, layout.cell), Image.Resampling.LANCZOS)
                sheet.paste(image, (left + column * (layout.cell + layout.gap), top + caption_lines * line + layout.gap))
    return sheet
