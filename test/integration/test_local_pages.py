"""The pages for people, in a headless browser: keys and buttons do what they say, each decision is on the disk at once."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from data_samples import picture, sample, write_dataset
from PIL import Image

from edgefusion.data.curation import Curation
from edgefusion.errors import UserError
from edgefusion.eval import pictures
from edgefusion.eval.comparison import Comparison, Tally, wilson_interval
from edgefusion.json_lines import Log
from edgefusion.local_page import PageServer

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"there is no browser to look at the page with; install one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable]:  # noqa: ANN001 - playwright's Browser
    """Opens a page of a server; the test fails if a script of the page does."""
    servers, problems = [], []
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    context.set_default_timeout(WAIT_MS)

    def open_page(page: Curation | Comparison):  # noqa: ANN202 - playwright's Page
        server = PageServer(page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        view = context.new_page()
        view.on("pageerror", lambda error: problems.append(str(error)))
        view.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        view.goto(server.url)
        return view

    yield open_page
    context.close()
    for server in servers:
        server.shutdown()
        server.server_close()
    assert problems == []


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    samples = [
        sample(f"key-{index:02d}", picture(index), f"thing {index}", source=f"{'left' if index % 3 else 'right'}/{index}")
        for index in range(30)
    ]
    return write_dataset(tmp_path / "pairs", samples, shard_size=8)


def test_curation_keys(opened: Callable, dataset: Path, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    view = opened(Curation(dataset, log))
    view.wait_for_selector(".pair:focus")
    assert view.locator(".pair").count() == 12
    # A picture that is shown was decoded from its shard.
    assert view.evaluate(
        "() => document.querySelector('.pair img').decode().then(() => document.querySelector('img').naturalWidth)"
    )
    for key in "kdk":
        view.keyboard.press(key)
    view.wait_for_function("() => document.querySelectorAll('.keep').length === 2")
    assert [(line["key"], line["decision"]) for line in lines(log)] == [
        ("key-00", "keep"),
        ("key-01", "drop"),
        ("key-02", "keep"),
    ]
    view.keyboard.press("u")
    view.wait_for_function("() => document.querySelectorAll('.keep').length === 1")
    assert lines(log)[-1] == {"key": "key-02", "decision": "undecided", "undo": True}
    assert view.locator("#counts").text_content() == "2 of 30 decided: 1 kept, 1 dropped"
    assert view.locator(".pair:focus").get_attribute("data-key") == "key-02"
    view.keyboard.press("ArrowRight")
    view.wait_for_function("() => document.activeElement.dataset.key === 'key-03'")


def test_curation_pages_and_filters(opened: Callable, dataset: Path, tmp_path: Path) -> None:
    view = opened(Curation(dataset, tmp_path / "decisions.jsonl"))
    view.wait_for_selector(".pair:focus")
    view.keyboard.press("n")
    view.wait_for_function("() => document.querySelector('#where').textContent === '13 to 24 of 30'")
    # Deciding the last pair of a page shows the next page.
    for _ in range(12):
        view.keyboard.press("d")
    view.wait_for_function("() => document.querySelector('#where').textContent === '25 to 30 of 30'")
    view.keyboard.press("p")
    view.wait_for_function("() => document.querySelectorAll('.drop').length === 12")
    view.select_option("#origin", "right")
    view.wait_for_function("() => document.querySelector('#where').textContent === '1 to 10 of 10'")
    view.select_option("#state", "drop")
    view.wait_for_function("() => document.querySelector('#where').textContent === '1 to 4 of 4'")
    view.fill("#text", "thing 15")
    view.press("#text", "Enter")
    view.wait_for_function("() => document.querySelectorAll('.pair').length === 1")
    view.click(".pair button:has-text('Keep')")
    view.wait_for_function("() => document.querySelectorAll('.keep').length === 1")
    assert lines(tmp_path / "decisions.jsonl")[-1] == {"key": "key-15", "decision": "keep"}


def test_curation_goes_on_where_it_stopped(opened: Callable, dataset: Path, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    # The last line was being written when the machine stopped.
    log.write_text(
        '{"key": "key-00", "decision": "keep"}\n{"key": "key-01", "decision": "drop"}\n{"key": "key-0', encoding="utf-8"
    )
    view = opened(Curation(dataset, log))
    view.wait_for_selector(".pair:focus")
    assert view.locator(".pair:focus").get_attribute("data-key") == "key-02"
    view.keyboard.press("u")
    view.wait_for_function("() => document.activeElement.dataset.key === 'key-01'")
    assert [line["decision"] for line in lines(log)] == ["keep", "drop", "undecided"]


def test_curation_decides_on_what_was_seen(opened: Callable, dataset: Path, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    view = opened(Curation(dataset, log))
    view.wait_for_selector(".pair:focus")
    for _ in range(3):
        view.keyboard.down("k")  # held down: the key repeats
    view.keyboard.up("k")
    for _ in range(10):
        view.keyboard.press("ArrowRight")
    view.wait_for_function("() => document.activeElement.dataset.key === 'key-11'")
    # The next page is slow to come: keys that are pressed before it is there decide nothing.
    asked = []
    view.route("**/pairs?*", lambda route: asked.append(route))
    view.keyboard.press("k")
    view.keyboard.press("d")
    while not asked:
        view.wait_for_timeout(10)
    view.keyboard.press("d")
    asked[0].continue_()
    view.wait_for_function("() => document.querySelector('#where').textContent === '13 to 24 of 30'")
    view.keyboard.press("d")
    view.wait_for_function("() => document.querySelectorAll('.drop').length === 1")
    decided = [(line["key"], line["decision"]) for line in lines(log)]
    assert decided == [("key-00", "keep"), ("key-11", "keep"), ("key-12", "drop")]


def test_curation_shows_one_page_at_the_beginning(opened: Callable, dataset: Path, tmp_path: Path) -> None:
    """A second one would take back what keys did on the first."""
    view = opened(Curation(dataset, tmp_path / "decisions.jsonl"))
    view.route("**/pairs?*", lambda route: (view.wait_for_timeout(200), route.continue_()))
    view.reload()
    view.wait_for_selector(".pair:focus")
    view.keyboard.press("ArrowRight")
    view.wait_for_load_state("networkidle")
    assert view.locator(".pair:focus").get_attribute("data-key") == "key-01"


def test_curation_narrow_and_dark(opened: Callable, dataset: Path, tmp_path: Path) -> None:
    view = opened(Curation(dataset, tmp_path / "decisions.jsonl"))
    view.set_viewport_size({"width": 360, "height": 700})
    view.emulate_media(color_scheme="dark")
    view.wait_for_selector(".pair:focus")
    assert view.evaluate("document.documentElement.scrollWidth") <= 360


def test_decisions_that_make_no_sense_are_refused(dataset: Path, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text('{"key": "key-00", "decision": "maybe"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="keep, drop or undecided"):
        Curation(dataset, log)
    with pytest.raises(UserError, match=r"not a complete dataset"):
        Curation(tmp_path, tmp_path / "other.jsonl")


def two_sets(folder: Path, count: int) -> list[tuple[str, list[pictures.Picture]]]:
    """Set A is all red, set B all blue."""
    sets = []
    for name, colour in (("A", (255, 0, 0)), ("B", (0, 0, 255))):
        (folder / name).mkdir()
        records = []
        for index in range(count):
            Image.new("RGB", (32, 32), colour).save(folder / name / f"{index}.png")
            records.append(json.dumps({"file": f"{index}.png", "prompt": f"prompt {index}", "seed": index}) + "\n")
        (folder / name / pictures.PROMPTS).write_text("".join(records), encoding="utf-8")
        sets.append((name, pictures.read(folder / name)))
    return sets


_LEFT_COLOUR = """() => {
  const image = document.querySelector("#left-picture");
  return image.decode().then(() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    canvas.getContext("2d").drawImage(image, 0, 0, 1, 1);
    return canvas.getContext("2d").getImageData(0, 0, 1, 1).data[0] > 127 ? "a" : "b";
  });
}"""


def test_comparison_counts_what_was_seen(opened: Callable, tmp_path: Path) -> None:
    """A person who always prefers red: every vote must count for A, on whichever side it stood."""
    log = tmp_path / "votes.jsonl"
    page = Comparison(*two_sets(tmp_path, 8), log, seed=3)
    view = opened(page)
    sides = []
    for number in range(8):
        view.wait_for_function(f"() => document.querySelector('#counts').textContent === '{number} of 8 judged' && !busy")
        assert "A" not in view.locator("main").text_content()
        left = view.evaluate(_LEFT_COLOUR)
        sides.append(left)
        view.keyboard.press("ArrowLeft" if left == "a" else "ArrowRight")
    view.wait_for_function("() => document.querySelector('#prompt').textContent.includes('A wins 100.0%')")
    assert set(sides) == {"a", "b"}
    assert page.tally() == Tally(8, 0, 0, 8)
    view.keyboard.press("u")
    view.wait_for_function("() => document.querySelector('#counts').textContent === '7 of 8 judged' && !busy")
    view.click("#tie")
    view.wait_for_function("() => document.querySelector('#prompt').textContent.includes('1 ties')")
    assert {key: lines(log)[0][key] for key in ("a", "b", "seed")} == {"a": "A", "b": "B", "seed": 3}
    assert Comparison(*[(name, pictures.read(tmp_path / name)) for name in "AB"], log, seed=3).tally() == Tally(7, 0, 1, 8)


def test_votes_of_another_comparison_are_refused(tmp_path: Path) -> None:
    sets = two_sets(tmp_path, 2)
    Comparison(*sets, tmp_path / "votes.jsonl")
    with pytest.raises(UserError, match="choose another file"):
        Comparison(*sets[::-1], tmp_path / "votes.jsonl")
    Image.new("RGB", (32, 32), (0, 255, 0)).save(tmp_path / "A" / "0.png")
    with pytest.raises(UserError, match="choose another file"):
        Comparison(*sets, tmp_path / "votes.jsonl")


def test_order_depends_on_the_seed_alone(tmp_path: Path) -> None:
    sets = two_sets(tmp_path, 12)
    orders = []
    for number, seed in enumerate((1, 1, 2)):
        page = Comparison(*sets, tmp_path / f"votes-{number}.jsonl", seed)
        orders.append([(trial.name, trial.first_left) for trial in page._trials])
    assert orders[0] == orders[1] != orders[2]


def test_wilson_interval() -> None:
    """Against statsmodels' proportion_confint(7, 10, method="wilson")."""
    assert wilson_interval(7, 10) == (pytest.approx(0.3967781), pytest.approx(0.8922087))
    assert wilson_interval(0, 0) == (0, 1)
    assert np.isnan(Tally(0, 0, 3, 3).rate)


def test_a_log_is_kept_whatever_its_end_is(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"n": 1}\n{"n": 2}', encoding="utf-8")  # no end of line, as editors leave it
    Log(log).append({"n": "\u2028"})
    assert list(Log(log)) == [{"n": 1}, {"n": 2}, {"n": "\u2028"}]
    log.write_text('{"n": 1}\n{"n": ', encoding="utf-8")  # cut short
    assert list(Log(log)) == [{"n": 1}]
    assert log.read_text(encoding="utf-8").endswith('{"n": ')
    Log(log).append({"n": 2})
    assert log.read_text(encoding="utf-8") == '{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("content", [b"\x89PNG\xff", b"a text", b'[1]\n{"n": 1}\n', b"\xff\n"])
def test_another_kind_of_file_is_no_log_and_stays(tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(content)
    with pytest.raises(UserError, match="line 1: is not"):
        Log(log)
    assert log.read_bytes() == content


def test_server_is_for_this_machine_s_pages_only(dataset: Path, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    server = PageServer(Curation(dataset, log))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def status(method: str, path: str, body: str | None = None, **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        found = connection.getresponse().status
        connection.close()
        return found

    decision = json.dumps({"key": "key-00", "decision": "keep"})
    assert status("GET", "/pairs") == 200
    assert status("GET", "/pairs", Host="example.org:80") == 403
    assert status("POST", "/decide", decision, Content_Type="text/plain") == 400
    assert status("POST", "/decide", "[1]", Content_Type="application/json") == 400
    assert status("POST", "/decide", decision.replace("key-00", "none"), Content_Type="application/json") == 404
    assert status("GET", "/picture/..%2f..%2fetc%2fpasswd") == 404
    assert list(Log(log)) == []
    assert status("POST", "/decide", decision, Content_Type="application/json") == 200
    assert list(Log(log)) == [{"key": "key-00", "decision": "keep"}]
    server.shutdown()
    server.server_close()
