// Summary, table of layers, controls; then everything is drawn for the first time.
function addCard(value, label, share) {
  const card = element("div", undefined, "card");
  card.append(element("b", value), element("span", label));
  if (share !== undefined) {
    const gauge = element("div", undefined, "gauge"), fill = element("i");
    fill.style.width = Math.min(share, 1) * 100 + "%";
    gauge.append(fill);
    card.append(gauge);
  }
  $("cards").append(card);
}

function addCards() {
  const { totals, estimates, machine } = report;
  addCard(timeText(totals.cycles), `simulated, ${trimmed(totals.commands, 0)} commands`);
  if (estimates.lowerBound > 0)
    addCard(trimmed(totals.cycles / estimates.lowerBound, 2) + " ×", `the lower bound of ${timeText(estimates.lowerBound)}, set by ${estimates.binds}`);
  if (estimates.tiled > 0)
    addCard(trimmed(estimates.layerByLayer / estimates.tiled, 2) + " ×", `faster than layer by layer (estimated, mlt ${report.mlt})`);
  addCard(macsText(totals.macs), `${percent(totals.macUtilisation)} of the INT8 peak`, totals.macUtilisation);
  addCard(bytesText(totals.dramReadBytes + totals.dramWriteBytes), `DRAM: ${bytesText(totals.dramReadBytes)} read, ` +
    `${bytesText(totals.dramWriteBytes)} written`);
  addCard(scratchText(totals.scratchPeakBytes), `of ${scratchText(machine.scratchpadBytes)} scratchpad at its fullest`,
    totals.scratchPeakBytes / machine.scratchpadBytes);
  for (const engine of report.engines) addCard(percent(engine.utilisation), `${engine.name} busy (${engine.count})`, engine.utilisation);
}

const orders = {
  share: (a, b) => b.share - a.share,
  start: (a, b) => a.start - b.start,
  dram: (a, b) => b.dramRead + b.dramWrite - a.dramRead - a.dramWrite,
  macs: (a, b) => b.macs - a.macs,
};

const columns = [
  ["Tiles", (l) => trimmed(l.tiles, 0)], ["Chunk", (l) => (l.chunk ? trimmed(l.chunk, 0) : "")],
  ["MACs", (l) => (l.macs ? macsText(l.macs) : "")], ["MAC util.", (l) => (l.macs ? percent(l.utilisation) : "")],
  ["Read", (l) => (l.dramRead ? bytesText(l.dramRead) : "")], ["Written", (l) => (l.dramWrite ? bytesText(l.dramWrite) : "")],
  ["Scratchpad", (l) => scratchText(l.scratch)], ["Group", (l) => String(l.group)],
];

function rowOf(layer, largest) {
  const row = element("tr");
  const name = element("td", layer.node || layer.op, "name");
  name.title = layer.node;
  name.append(element("small", layer.op));
  const cost = element("td", undefined, "cost"), bar = element("span");
  bar.style.width = (layer.share / largest) * 100 + "%";
  cost.append(bar);
  row.append(name, element("td", timeText(layer.share), "n"), element("td", percent(layer.share / totalCycles), "n"), cost);
  for (const [, text] of columns) row.append(element("td", text(layer), "n"));
  row.classList.toggle("chosen", layer.index === view.chosen);
  row.addEventListener("click", () => choose(layer));
  return row;
}

function choose(layer) {
  const isSame = view.chosen === layer.index;
  view.chosen = isSame ? -1 : layer.index;
  const margin = (layer.end - layer.start) * 0.05;
  if (isSame) redraw();
  else show(layer.start - margin, layer.end + margin);
  fillTable();
}

function fillTable() {
  const wanted = $("find").value.toLowerCase();
  const shown = layers.filter((layer) => (layer.node + " " + layer.op).toLowerCase().includes(wanted)).sort(orders[$("order").value]);
  const largest = layers.reduce((most, layer) => Math.max(most, layer.share), 1e-9);
  const head = element("tr");
  head.append(element("th", "Node"), element("th", "Cost", "n"), element("th", "Part", "n"), element("th", ""));
  for (const [title] of columns) head.append(element("th", title, "n"));
  const table = element("table"), thead = element("thead"), tbody = element("tbody");
  thead.append(head);
  tbody.append(...shown.map((layer) => rowOf(layer, largest)));
  table.append(thead, tbody);
  $("layers").replaceChildren(table);
}

function addCpuNodes() {
  if (!report.cpuNodes.length) return;
  $("cpu").hidden = false;
  const table = element("table");
  for (const node of report.cpuNodes) {
    const row = element("tr");
    row.append(element("td", node.node), element("td", node.op), element("td", node.reason));
    table.append(row);
  }
  $("cpu-nodes").append(table);
}

// The address's fragment sets what is shown: #theme=dark&from=1.5&to=2 (ms).
function applyFragment() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const isDark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = wanted.get("theme") || (isDark ? "dark" : "light");
  if (wanted.has("from") && wanted.has("to")) show(Number(wanted.get("from")) / toMs, Number(wanted.get("to")) / toMs);
  else redraw();
}

function addControls() {
  kinds.forEach((kind, index) => {
    const swatch = element("i"), entry = element("span", kind);
    swatch.style.background = `var(--k${index})`;
    entry.prepend(swatch);
    $("legend").append(entry);
  });
  $("zoom-in").addEventListener("click", () => zoom(0.5));
  $("zoom-out").addEventListener("click", () => zoom(2));
  $("zoom-all").addEventListener("click", () => show(0, totalCycles));
  $("order").addEventListener("change", fillTable);
  $("find").addEventListener("input", fillTable);
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    redraw();
  });
  window.addEventListener("resize", redraw);
  window.addEventListener("hashchange", applyFragment);
}

layers.forEach((layer, index) => { layer.index = index; });
document.title = `${report.model}: simulated on ${report.machine.name}`;
$("title").textContent = `${report.model} on ${report.machine.name}`;
$("subtitle").textContent = "Every time on this page is simulated" + (report.machine.overlap ? "." : ", without overlap of engines and DMA.");
addCards();
addControls();
addCpuNodes();
fillTable();
applyFragment();
