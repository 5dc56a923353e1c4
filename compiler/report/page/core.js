// The report's data, decoded, and what every part of the page shares: units, colours, the visible range of time.
const kinds = ["load", "store", "tensor", "vector", "softmax", "norm"];

function decode(text, Type) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Type(bytes.buffer);
}

// Commands, by start; times in cycles from the start of the first partition.
const events = {
  start: decode(report.events.start, Float64Array),
  cycles: decode(report.events.cycles, Float32Array),
  work: decode(report.events.work, Float64Array), // bytes of a transfer, MACs of a tensor command
  layer: decode(report.events.layer, Uint32Array),
  tile: decode(report.events.tile, Uint32Array),
  sequence: decode(report.events.sequence, Uint32Array),
  queue: decode(report.events.queue, Uint8Array),
  kind: decode(report.events.kind, Uint8Array),
};
// Buffers of the scratchpad, by start.
const buffers = {
  start: decode(report.buffers.start, Float64Array),
  cycles: decode(report.buffers.cycles, Float32Array),
  address: decode(report.buffers.address, Uint32Array),
  bytes: decode(report.buffers.bytes, Uint32Array),
  layer: decode(report.buffers.layer, Uint32Array),
  kind: decode(report.buffers.kind, Uint8Array),
};
const layers = report.layers;
const totalCycles = Math.max(report.totals.cycles, 1);
const toMs = 1e3 / report.machine.clockHz;

const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function trimmed(value, digits) {
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: 0 });
}

function timeText(cycles) {
  const ms = cycles * toMs;
  if (ms >= 1) return trimmed(ms, ms >= 100 ? 1 : 3) + " ms";
  return trimmed(ms * 1e3, 3) + " µs";
}

function scaled(value, units, base) {
  let index = 0;
  while (value >= base && index + 1 < units.length) {
    value /= base;
    ++index;
  }
  return trimmed(value, value >= 100 ? 0 : value >= 10 ? 1 : 2) + " " + units[index];
}

const bytesText = (value) => scaled(value, ["B", "KB", "MB", "GB"], 1000);
const scratchText = (value) => scaled(value, ["B", "KiB", "MiB"], 1024);
const macsText = (value) => scaled(value, ["MAC", "kMAC", "MMAC", "GMAC", "TMAC"], 1000);
const percent = (value) => trimmed(value * 100, value < 0.1 ? 1 : 0) + "%";

// The visible range in cycles, shared by both canvases. Redraws come once a frame.
const view = { from: 0, to: totalCycles, chosen: -1 };
const drawers = [];
let isPending = false;

function redraw() {
  if (isPending) return;
  isPending = true;
  requestAnimationFrame(() => {
    isPending = false;
    for (const draw of drawers) draw();
  });
}

function show(from, to) {
  const least = 20; // cycles
  const span = Math.min(Math.max(to - from, least), totalCycles);
  const start = Math.min(Math.max((from + to - span) / 2, 0), totalCycles - span);
  view.from = start;
  view.to = start + span;
  redraw();
}

function zoom(factor, at = (view.from + view.to) / 2) {
  show(at - (at - view.from) * factor, at + (view.to - at) * factor);
}

// A canvas in device pixels; returns its context in CSS pixels.
function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.style.height = height + "px";
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "11.5px system-ui, sans-serif";
  return [context, width];
}

const tip = $("tip");
function showTip(event, lines) {
  tip.replaceChildren(...lines.map((line, index) => element(index ? "span" : "b", line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.min(event.clientX + 14, window.innerWidth - box.width - 8) + "px";
  tip.style.top = (event.clientY + 18 + box.height > window.innerHeight ? event.clientY - box.height - 10 : event.clientY + 18) + "px";
}
const hideTip = () => { tip.hidden = true; };
