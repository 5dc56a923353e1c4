"""report.html in a headless browser: it draws, zooms, explains what is under the mouse, and needs nothing but itself."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Run

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

# Runs behind the page's own scripts; what it finds is read from the document that the browser prints.
PROBE = """
<script>
function painted(canvas) {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const rgb = (name) => css(name).match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  const colours = kinds.map((_, kind) => rgb("--k" + kind));
  const counts = kinds.map(() => 0);
  for (let i = 0; i < data.length; i += 4)
    colours.forEach((colour, kind) => {
      const distance = colour.reduce((sum, part, channel) => sum + Math.abs(data[i + channel] - part), 0);
      if (distance < 60) ++counts[kind];
    });
  return counts;
}
function mouse(type, canvas, x, y, more) {
  const box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new PointerEvent(type, { clientX: box.left + x, clientY: box.top + y, bubbles: true, ...more }));
}
function drawNow() { for (const draw of drawers) draw(); }
const found = {};
drawNow();
found.theme = document.documentElement.dataset.theme;
found.from = view.from * toMs;
found.to = view.to * toMs;
found.timeline = painted(timeline);
found.scratchpad = painted(scratchpad);
found.lanes = lanes.map((lane) => lane.name);
found.events = events.start.length;
found.buffers = buffers.start.length;
found.rows = document.querySelectorAll("#layers tbody tr").length;
found.cards = [...document.querySelectorAll(".card")].map((card) => card.textContent);
const widest = events.cycles.indexOf(Math.max(...events.cycles));
const row = lanes.findIndex((lane) => lane.name === report.queues[events.queue[widest]]);
const middle = (events.start[widest] + events.cycles[widest] / 2 - view.from) / (view.to - view.from);
const x = labelWidth + middle * (timeline.clientWidth - labelWidth);
const y = axisHeight + row * (laneHeight + laneGap) + laneHeight / 2;
mouse("pointermove", timeline, x, y, {});
found.tip = tip.hidden ? "" : tip.textContent;
found.expectedTip = layers[events.layer[widest]].node;
const span = view.to - view.from;
const box = timeline.getBoundingClientRect();
timeline.dispatchEvent(new WheelEvent("wheel", { clientX: box.left + x, clientY: box.top + y, deltaY: -500, cancelable: true }));
found.zoom = (view.to - view.from) / span;
$("zoom-all").click();
found.all = view.to - view.from === totalCycles;
$("find").value = "no such layer";
$("find").dispatchEvent(new Event("input"));
found.rowsFound = document.querySelectorAll("#layers tbody tr").length;
$("find").value = "";
$("find").dispatchEvent(new Event("input"));
document.querySelector("#layers tbody tr").click();
drawNow();
found.chosen = document.querySelectorAll("#layers tr.chosen").length;
found.width = document.documentElement.scrollWidth - window.innerWidth;
document.body.dataset.found = JSON.stringify(found);
document.body.dataset.errors = JSON.stringify(window.problems);
</script>
</body>
"""
CATCH = '<head><script>window.problems = []; addEventListener("error", (e) => problems.push(e.message));</script>'


@pytest.fixture(scope="module")
def browser() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip(f"there is no browser to look at the page with; install one of {', '.join(BROWSERS)}")


@pytest.fixture(scope="module")
def report(efc: Run, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    model = tiny_source / "bundle" / "unet.onnx"
    result = efc(model, "--target=exynos-npu", "--cpu=host", f"--report={folder / 'report'}", "-o", folder / "unet.efa")
    assert result.returncode == 0, result.stderr
    return folder / "report"


def look(browser: str, page: Path, fragment: str = "", width: int = 1400) -> dict:
    """Opens a copy of `page` with the probe in it and returns what the probe found."""
    text = page.read_text(encoding="utf-8").replace("<head>", CATCH, 1)
    head, _, tail = text.rpartition("</body>")
    probed = page.with_name("probed.html")
    probed.write_text(head + PROBE + tail, encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom")
    command = [browser, *flags, f"--window-size={width},1700", f"{probed.as_uri()}{fragment}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'data-found="([^"]*)"', result.stdout)
    errors = re.search(r'data-errors="([^"]*)"', result.stdout)
    assert found and errors, result.stdout[-2000:] + result.stderr
    assert json.loads(html.unescape(errors[1])) == []
    return json.loads(html.unescape(found[1]))


def test_everything_is_drawn(browser: str, report: Path) -> None:
    found = look(browser, report / "report.html")
    npu = json.loads((report / "compile.json").read_text(encoding="utf-8"))["npu"]
    assert found["events"] == npu["commands"]
    assert found["rows"] == len(json.loads((report / "layers.json").read_text(encoding="utf-8"))["layers"])
    assert {"dma0", "gte0", "gte1", "vector0"} <= set(found["lanes"])
    assert found["buffers"] > 100
    load, _, tensor, vector, softmax, norm = found["timeline"]
    assert min(load, tensor, vector, softmax, norm) > 50, found["timeline"]
    assert sum(found["scratchpad"]) > 5000, found["scratchpad"]
    assert found["to"] - found["from"] == pytest.approx(npu["simulated_ms"], rel=1e-6)
    assert any("simulated" in card for card in found["cards"])


def test_mouse_and_keyboard(browser: str, report: Path) -> None:
    found = look(browser, report / "report.html")
    assert found["expectedTip"] in found["tip"]
    assert found["zoom"] < 0.7
    assert found["all"]
    assert found["rowsFound"] == 0
    assert found["chosen"] == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fragment_sets_the_view(browser: str, report: Path, theme: str) -> None:
    found = look(browser, report / "report.html", f"#theme={theme}&from=0.05&to=0.1")
    assert found["theme"] == theme
    assert (found["from"], found["to"]) == (pytest.approx(0.05), pytest.approx(0.1))
    assert sum(found["timeline"]) > 1000


def test_narrow_window_has_no_sideways_scroll(browser: str, report: Path) -> None:
    assert look(browser, report / "report.html", width=520)["width"] <= 0


def test_page_needs_no_network(report: Path) -> None:
    text = (report / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=|@import|url\(|fetch\(|XMLHttpRequest|https?://""", text)
