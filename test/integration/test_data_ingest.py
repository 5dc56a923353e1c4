"""`edgefusion data ingest`: what each kind of source becomes, and what becomes of what is wrong in it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_samples import contents, picture, png, write_folder
from PIL import ExifTags, Image, PngImagePlugin

from edgefusion.data.ingest import Ingest, IngestConfig, cut_at_word, fit
from edgefusion.data.sources.emoji import EmojiSource
from edgefusion.data.sources.folder import FolderSource
from edgefusion.data.sources.openclipart import OpenclipartSource
from edgefusion.data.sources.tar import WebdatasetSource
from edgefusion.data.stage import run_stage
from edgefusion.data.summary import Counts
from edgefusion.errors import UserError

EMOJI = EmojiSource()


def ingest_folder(folder: Path, output: Path, **keys: object) -> dict:
    summary = run_stage(Ingest(IngestConfig(output, folder=FolderSource(folder), **keys)))
    assert summary.counts.balanced()
    return summary.as_dict()


def test_a_folder_becomes_shards_that_webdataset_reads(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    write_folder(tmp_path / "in", 7)
    summary = ingest_folder(tmp_path / "in", tmp_path / "out", shard_size=3)
    assert (summary["read"], summary["written"], summary["shards"]) == (7, 7, 3)
    read = []
    for path in sorted((tmp_path / "out").glob("shard-*.tar")):
        read += list(webdataset.WebDataset(str(path), shardshuffle=False).decode("pil"))
    assert [item["json"]["caption"] for item in read] == [f"picture number {index}" for index in range(7)]
    assert all(item["png"].tobytes() == picture(index).tobytes() for index, item in enumerate(read))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_metadata_files_give_captions_and_keywords(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(picture(1)))
    if kind == "jsonl":
        row = {"file_name": "a.png", "text": "a red  thing", "keywords": ["red", "thing"], "license": "CC0"}
        (folder / "metadata.jsonl").write_text(json.dumps(row), encoding="utf-8")
    else:
        (folder / "metadata.csv").write_text(
            'file_name,caption,keywords,license\na.png,a red thing,"red, thing",CC0\n', encoding="utf-8"
        )
    ingest_folder(folder, tmp_path / "out")
    fields, _ = contents(tmp_path / "out")["folder-00000000"]
    assert (fields["caption"], fields["keywords"], fields["license"]) == ("a red thing", ["red", "thing"], "CC0")
    assert (fields["width"], fields["height"]) == (64, 64)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metadata.csv", "file_name,caption\na.png,a red, round thing\n", r"metadata.csv, line 2: has too many columns"),
        ("metadata.csv", f"file_name,caption\na.png,{'x' * 200_000}\n", r"metadata.csv, line 2: is not CSV"),
        ("metadata.jsonl", '{"file_name": "/etc/a.png"}', r"metadata.jsonl, line 1: file_name: expected a file below"),
        ("metadata.jsonl", '{"file_name": "sub/../../a.png"}', r"metadata.jsonl, line 1: file_name: expected a file below"),
        ("metadata.jsonl", '{"file_name": ""}', r"metadata.jsonl, line 1: file_name: expected a file below"),
    ],
)
def test_mistakes_in_metadata_are_named_with_their_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    folder = write_folder(tmp_path / "in", 1)
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=message):
        ingest_folder(folder, tmp_path / "out")


def test_metadata_without_their_picture_are_counted_and_change_no_key(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 2)
    (folder / "sub").mkdir()
    names = ["0-missing.png", "no\0name.png", "no\ud800name.png", "../0001.png"]
    rows = [json.dumps({"file_name": name, "caption": "as told"}) + "\n" for name in names]
    (folder / "sub/metadata.jsonl").write_text("".join(rows))
    summary = ingest_folder(folder, tmp_path / "out")
    assert (summary["read"], summary["dropped"]) == (5, {"missing picture": 3})
    captions = {key: fields["caption"] for key, (fields, _) in contents(tmp_path / "out").items()}
    assert captions == {"folder-00000000": "picture number 0", "folder-00000001": "as told"}


def test_names_and_captions_that_utf8_cannot_hold_are_written_with_a_mark(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in ((b"caf\xe9.png", png(picture(0))), (b"na\xefve.png", b"broken")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(data)
    (folder / "plain.png").write_bytes(png(picture(1)))
    rows = [{"file_name": os.fsdecode(b"caf\xe9.png"), "caption": "plain"}, {"file_name": "plain.png", "caption": "a \ud83d cat"}]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = ingest_folder(folder, tmp_path / "out")
    assert summary["noted"] == {"text that is not Unicode": 2} and summary["dropped"] == {"corrupt picture": 1}
    samples = contents(tmp_path / "out")
    assert samples["folder-00000000"][0]["source"].endswith("in/caf\ufffd.png")
    assert samples["folder-00000002"][0]["caption"] == "a \ufffd cat"
    record = json.loads((tmp_path / "out/.stage/00000.json").read_text(encoding="utf-8"))
    assert "na\ufffdve.png" in record["dropped_keys"]["folder-00000001"]


@pytest.mark.parametrize("extension", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_stored_upright(tmp_path: Path, orientation: int, extension: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    # A red corner at the top left of the upright picture, which is 40 wide and 24 high.
    upright = Image.new("RGB", (40, 24), (255, 255, 255))
    upright.paste((255, 0, 0), (0, 0, 8, 8))
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(inverse[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(folder / f"a.{extension}", exif=exif, **({"quality": 95} if extension == "jpg" else {}))
    (folder / "a.txt").write_text("a corner")
    ingest_folder(folder, tmp_path / "out")
    fields, data = contents(tmp_path / "out")["folder-00000000"]
    found = Image.open(io.BytesIO(data))
    assert found.size == (fields["width"], fields["height"]) == (40, 24)
    assert found.getexif().get(ExifTags.Base.Orientation, 1) == 1
    pixels = np.asarray(found, int)
    assert np.abs(pixels[4, 4] - (255, 0, 0)).max() < 20 and pixels[4, 35].min() > 235 and pixels[20, 4].min() > 235
    if orientation == 1:
        assert data == (folder / f"a.{extension}").read_bytes()


def test_damaged_exif_data_say_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    picture(0).save(folder / "a.jpg", exif=b"Exif\0\0MM\0\x2a\0\0")
    (folder / "a.txt").write_text("a thing")
    ingest_folder(folder, tmp_path / "out")
    assert contents(tmp_path / "out")["folder-00000000"][1] == (folder / "a.jpg").read_bytes()


@pytest.mark.parametrize("keys", [{}, {"size": 16, "margin": 0.0}, {"keep_alpha": True}, {"max_side": 16}])
def test_grey_of_16_bits_is_scaled_to_8(tmp_path: Path, keys: dict) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(folder / "a.png")
    (folder / "a.txt").write_text("grey")
    ingest_folder(folder, tmp_path / "out", **keys)
    stored = Image.open(io.BytesIO(contents(tmp_path / "out")["folder-00000000"][1]))
    assert (np.asarray(stored.convert("RGB")) == 40_000 // 256).all()


def test_transparency_is_placed_on_white_and_kept_only_when_asked(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    image.paste((0, 0, 200, 255), (5, 5, 15, 15))
    (folder / "a.png").write_bytes(png(image))
    (folder / "a.txt").write_text("a square")
    for keep in (False, True):
        output = tmp_path / f"out-{keep}"
        ingest_folder(folder, output, keep_alpha=keep)
        stored = Image.open(io.BytesIO(contents(output)["folder-00000000"][1]))
        assert stored.mode == ("RGBA" if keep else "RGB")
        assert stored.getpixel((10, 10))[:3] == (0, 0, 200)
        assert stored.getpixel((0, 0)) == ((255, 0, 0, 0) if keep else (255, 255, 255))


def test_the_bytes_of_rgb_pictures_are_kept_and_large_pictures_scaled(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    buffer = io.BytesIO()
    picture(3, (60, 40)).save(buffer, "JPEG", quality=60)
    for name, data in (("a.jpg", buffer.getvalue()), ("b.png", png(picture(4, (200, 100))))):
        (folder / name).write_bytes(data)
        (folder / name).with_suffix(".txt").write_text("x")
    ingest_folder(folder, tmp_path / "out", max_side=100)
    samples = contents(tmp_path / "out")
    assert samples["folder-00000000"][1] == buffer.getvalue()
    assert Image.open(io.BytesIO(samples["folder-00000001"][1])).size == (100, 50)


def test_bad_files_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 4)
    whole = png(picture(9))
    (folder / "bad-cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "bad-empty.png").write_bytes(b"")
    (folder / "bad-text.jpg").write_text("not a picture")
    info = PngImagePlugin.PngInfo()
    huge = io.BytesIO()
    Image.new("L", (1, 1)).save(huge, "PNG", pnginfo=info)
    # A header that promises 2^16 x 2^16 pixels must not make the ingest reserve them.
    (folder / "bad-huge.png").write_bytes(huge.getvalue()[:16] + b"\x00\x01\x00\x00" * 2 + huge.getvalue()[24:])
    (folder / "no-caption.png").write_bytes(whole)
    (folder / "blank-caption.png").write_bytes(whole)
    (folder / "blank-caption.txt").write_text(" \n ")
    for name in ("bad-cut", "bad-empty", "bad-text", "bad-huge"):
        (folder / f"{name}.txt").write_text("bad")
    summary = ingest_folder(folder, tmp_path / "out", shard_size=3)
    assert (summary["read"], summary["written"]) == (10, 4)
    assert summary["dropped"] == {"corrupt picture": 4, "no caption": 2}


def test_long_captions_are_cut_at_a_word_and_kept_whole_beside(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 1)
    caption = "word " * 2000
    (folder / "0000.txt").write_text(caption)
    summary = ingest_folder(folder, tmp_path / "out", max_caption=100)
    fields, _ = contents(tmp_path / "out")["folder-00000000"]
    assert fields["caption"] == ("word " * 20).strip() and fields["caption_original"] == caption.strip()
    assert summary["noted"] == {"caption cut": 1}
    assert cut_at_word("x" * 50, 10) == "x" * 10


def test_an_empty_or_missing_folder_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "holds no picture"), ("missing", "no such folder")):
        with pytest.raises(UserError, match=message):
            ingest_folder(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_foreign_shards_are_read_up_to_their_damage(tmp_path: Path) -> None:
    path = tmp_path / "in" / "00000.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for key, members in {
            "0": {"jpg": png(picture(0)), "txt": b"first"},
            "1": {"json": json.dumps({"caption": "second", "url": "http://x"}).encode(), "png": png(picture(1))},
            "2": {"txt": b"without a picture"},
            "3": {"png": b"broken", "txt": b"broken"},
            "4": {"png": png(picture(4)), "txt": b"behind the cut"},
        }.items():
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"behind the cut") - 600])
    summary = run_stage(Ingest(IngestConfig(tmp_path / "out", webdataset=WebdatasetSource(path.parent))))
    assert [fields["caption"] for fields, _ in contents(tmp_path / "out").values()] == ["first", "second"]
    assert summary.counts.dropped == {"no picture": 1, "corrupt picture": 1, "damaged shard (the rest of it)": 1}
    assert summary.counts.balanced()


def foreign_tar(path: Path, count: int) -> list[int]:
    """Pictures with captions in a tar file; returns where each member begins."""
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w") as archive:
        for index in range(count):
            for extension, data in (("png", png(picture(index))), ("txt", f"caption {index}".encode())):
                info = tarfile.TarInfo(f"{index}.{extension}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    with tarfile.open(path) as archive:
        return [member.offset for member in archive]


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("pack", [None, gzip.compress, bz2.compress, lzma.compress])
def test_foreign_shards_with_a_damaged_half_are_read_up_to_it(
    tmp_path: Path, pack: Callable[[bytes], bytes] | None, cut: bool
) -> None:
    path = tmp_path / "in/00000.tar"
    header = foreign_tar(path, 4)[4]
    data = path.read_bytes()
    if pack:
        halves = pack(data[:header]), pack(data[header:])
        data, header = b"".join(halves), len(halves[0]) + len(halves[1]) // 2
    if cut:
        path.write_bytes(data[:header])
    else:
        path.write_bytes(data[:header] + b"junk" * 128 + data[header + 512 :])
    summary = run_stage(Ingest(IngestConfig(tmp_path / "out", webdataset=WebdatasetSource(path.parent))))
    assert summary.counts.dropped["damaged shard (the rest of it)"] == 1 and summary.counts.balanced()
    assert summary.counts.written < 4
    if not pack:
        # The second sample, at whose end the damage is, may lack a member.
        assert [fields["caption"] for fields, _ in contents(tmp_path / "out").values()] == ["caption 0"]


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_whole_foreign_shards_are_read_to_their_end(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "in/00000.tar"
    foreign_tar(path, 4)
    path.write_bytes(packed(path.read_bytes()))
    summary = run_stage(Ingest(IngestConfig(tmp_path / "out", webdataset=WebdatasetSource(path.parent))))
    assert (summary.counts.written, summary.counts.dropped) == (4, {})


def test_emoji_names_to_exclude_are_regular_expressions() -> None:
    with pytest.raises(ValueError, match="exclude_names: is no regular expression"):
        EmojiSource(exclude_names=("*x",))


@pytest.mark.skipif(not EMOJI.font.is_file() or not EMOJI.cldr.is_dir(), reason="needs fonts-noto-color-emoji, unicode-cldr-core")
def test_emoji_have_names_keywords_and_pictures(tmp_path: Path) -> None:
    source = EmojiSource(exclude_groups=("country-flag",), exclude_names=("^hand",))
    summary = run_stage(Ingest(IngestConfig(tmp_path / "out", emoji=source, size=32, margin=0.0)))
    samples = contents(tmp_path / "out")
    pizza, data = samples["emoji-1f355"]
    assert pizza["caption"] == "pizza" and {"slice", "cheese"} <= set(pizza["keywords"]) and pizza["subgroup"] == "food-prepared"
    assert Image.open(io.BytesIO(data)).size == (32, 32)
    # A sequence joined by U+200D, and one that CLDR and the font write with and without the variation selector.
    assert samples["emoji-1f43b-200d-2744"][0]["caption"] == "polar bear"
    assert samples["emoji-1f468-200d-1f373"][0]["caption"] == "man cook"
    assert not any("skin tone" in fields["caption"] and ":" in fields["caption"] for fields, _ in samples.values())
    assert summary.counts.dropped["excluded group"] == 258 and summary.counts.dropped["excluded name"] > 0
    assert summary.counts.balanced() and summary.counts.read > 1800


_DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:cc="http://web.resource.org/cc/"><path d="M0 0"/><metadata id="m">
  <rdf:RDF><cc:Work rdf:about=""><dc:title>Wild horse</dc:title>
    <dc:subject><rdf:Bag><rdf:li>horse</rdf:li><rdf:li>Ann Author</rdf:li><rdf:li>HASH(0x8a0)</rdf:li></rdf:Bag></dc:subject>
    <dc:creator><cc:Agent><dc:title>Ann Author</dc:title></cc:Agent></dc:creator>
  </cc:Work></rdf:RDF></metadata></svg>"""


def test_openclipart_takes_titles_and_keywords_from_the_drawings(tmp_path: Path) -> None:
    for folder, name, data in (
        ("png", "animals/wild_horse_ann_auth_01.png", png(picture(1))),
        ("svg", "animals/wild_horse_ann_auth_01.svg", _DRAWING),
        ("png", "animals/untitled.png", png(picture(2))),
        ("svg", "animals/untitled.svg", b"<svg><metadata><broken></metadata></svg>"),
        ("png", "animals/corrupt.png", b"\x89PNG"),
        ("png", "animals/wild-horse-ann-auth-01.png", png(picture(3))),
        ("svg", "animals/wild-horse-ann-auth-01.svg", _DRAWING),
    ):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "png/animals/link.png").symlink_to("wild_horse_ann_auth_01.png")
    source = OpenclipartSource(tmp_path / "png", tmp_path / "svg")
    summary = run_stage(Ingest(IngestConfig(tmp_path / "out", openclipart=source)))
    samples = contents(tmp_path / "out")
    key = "openclipart-animals-wild-horse-ann-auth-01"
    assert set(samples) == {key, f"{key}--2"}, "file names that differ in punctuation have keys of their own"
    fields, _ = samples[key]
    assert (fields["caption"], fields["keywords"], fields["category"]) == ("Wild horse", ["horse"], "animals")
    assert fields["file_words"] == ["wild", "horse"]
    assert summary.counts.dropped == {"corrupt picture": 1, "link to another picture": 1, "no caption": 1}


def test_openclipart_without_pictures_or_with_a_category_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "png/animals").mkdir(parents=True)

    def ingest(*categories: str) -> Counts:
        source = OpenclipartSource(tmp_path / "png", tmp_path / "svg", categories)
        return run_stage(Ingest(IngestConfig(tmp_path / "out", openclipart=source))).counts

    with pytest.raises(UserError, match=r"holds no PNG picture$"):
        ingest()
    (tmp_path / "png/animals/cat.png").mkdir()
    with pytest.raises(UserError, match="holds no PNG picture in the categories food, plants"):
        ingest("plants", "animals", "food")
    assert not (tmp_path / "out").exists()
    assert ingest("animals").dropped == {"unreadable file": 1}


def test_fit_keeps_all_of_the_subject_and_its_colour() -> None:
    image = Image.new("RGBA", (100, 60), (0, 255, 0, 0))
    image.paste((200, 0, 0, 255), (10, 20, 90, 40))
    square = fit(image, 64, 0.0)
    assert square.size == (64, 64) and square.getchannel("A").getbbox() == (0, 24, 64, 40)
    # The green of what is transparent has not bled into the edge.
    assert square.getpixel((32, 24))[1] < 20
