// The engines' lanes. Commands of a queue never overlap, so a lane is drawn from one sorted list.
const labelWidth = 66, laneHeight = 26, laneGap = 4, axisHeight = 22;

const lanes = report.queues.map((name, queue) => {
  const list = [];
  for (let i = 0; i < events.queue.length; ++i) if (events.queue[i] === queue) list.push(i);
  return { name, list: Uint32Array.from(list) };
}).filter((lane) => lane.list.length > 0);

// The first position in `list` whose command ends after `time`.
function firstAfter(list, time) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events.start[list[middle]] + events.cycles[list[middle]] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

function drawAxis(context, width, height) {
  const span = view.to - view.from, plot = width - labelWidth;
  const target = (span * toMs * 100) / plot; // ms for about 100 pixels
  const power = 10 ** Math.floor(Math.log10(target));
  const step = ([1, 2, 5, 10].find((m) => m * power >= target) * power) / toMs;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
    const x = labelWidth + ((time - view.from) / span) * plot;
    context.fillStyle = css("--grid");
    context.fillRect(Math.round(x), axisHeight, 1, height - axisHeight);
    context.fillStyle = css("--soft");
    context.fillText(timeText(time), Math.min(Math.max(x, labelWidth + 24), width - 28), 4);
  }
  context.fillStyle = css("--soft");
  for (const part of report.partitions) {
    if (part.offset <= view.from || part.offset >= view.to) continue;
    const x = labelWidth + ((part.offset - view.from) / span) * plot;
    context.fillRect(Math.round(x), axisHeight, 1, height - axisHeight);
  }
}

// Commands of at least two pixels are drawn as they are; narrower ones add to their columns, by kind.
function drawLane(context, lane, top, width, colours) {
  const plot = width - labelWidth, scale = plot / (view.to - view.from);
  const columns = Math.ceil(plot);
  const sums = new Float32Array(columns * kinds.length);
  let isSummed = false;
  for (let i = firstAfter(lane.list, view.from); i < lane.list.length; ++i) {
    const event = lane.list[i];
    if (events.start[event] >= view.to) break;
    const left = (events.start[event] - view.from) * scale;
    const right = left + events.cycles[event] * scale;
    if (right - left >= 2) {
      context.fillStyle = colours[events.kind[event]];
      context.globalAlpha = view.chosen >= 0 && events.layer[event] !== view.chosen ? 0.3 : 1;
      const from = Math.max(left, 0), to = Math.min(right, plot);
      context.fillRect(labelWidth + from, top, Math.max(to - from - (right - left > 6 ? 1 : 0), 1), laneHeight);
      if (to - from > 60) drawLabel(context, layers[events.layer[event]].op, labelWidth + from, top, to - from);
      continue;
    }
    isSummed = true;
    for (let x = Math.max(Math.floor(left), 0); x <= right && x < columns; ++x)
      sums[x * kinds.length + events.kind[event]] += Math.max(Math.min(right, x + 1) - Math.max(left, x), 0);
  }
  context.globalAlpha = 1;
  if (isSummed) drawColumns(context, sums, columns, top, colours);
}

function drawLabel(context, text, left, top, width) {
  context.save();
  context.beginPath();
  context.rect(left, top, width - 4, laneHeight);
  context.clip();
  context.fillStyle = "#fff";
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, left + 5, top + laneHeight / 2);
  context.restore();
}

function drawColumns(context, sums, columns, top, colours) {
  for (let x = 0; x < columns; ++x) {
    let bottom = top + laneHeight;
    for (let kind = 0; kind < kinds.length; ++kind) {
      const height = Math.min(sums[x * kinds.length + kind], 1) * laneHeight;
      if (height < 0.05) continue;
      context.fillStyle = colours[kind];
      context.fillRect(labelWidth + x, bottom - height, 1, height);
      bottom -= height;
    }
  }
}

const timeline = $("timeline");
drawers.push(() => {
  const height = axisHeight + lanes.length * (laneHeight + laneGap);
  const [context, width] = prepare(timeline, height);
  const colours = kinds.map((_, kind) => css("--k" + kind));
  lanes.forEach((lane, row) => {
    const top = axisHeight + row * (laneHeight + laneGap);
    context.fillStyle = css("--lane");
    context.fillRect(labelWidth, top, width - labelWidth, laneHeight);
  });
  drawAxis(context, width, height);
  lanes.forEach((lane, row) => {
    const top = axisHeight + row * (laneHeight + laneGap);
    context.fillStyle = css("--ink");
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(lane.name, 2, top + laneHeight / 2);
    drawLane(context, lane, top, width, colours);
  });
});

function timeAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return view.from + ((event.clientX - box.left - labelWidth) / (box.width - labelWidth)) * (view.to - view.from);
}

function eventAt(mouse) {
  const y = mouse.clientY - timeline.getBoundingClientRect().top - axisHeight;
  const lane = lanes[Math.floor(y / (laneHeight + laneGap))];
  if (!lane || y < 0) return -1;
  const time = timeAt(timeline, mouse), slack = (2 * (view.to - view.from)) / timeline.clientWidth;
  const event = lane.list[firstAfter(lane.list, time - slack)];
  return event !== undefined && events.start[event] <= time + slack ? event : -1;
}

function describeEvent(event) {
  const layer = layers[events.layer[event]];
  const work = events.work[event] === 0 ? "" : ", " + (events.kind[event] < 2 ? bytesText : macsText)(events.work[event]);
  return [layer.node || layer.op, `${layer.op}, ${kinds[events.kind[event]]} on ${report.queues[events.queue[event]]}`,
    `${timeText(events.start[event])} + ${timeText(events.cycles[event])} (${trimmed(events.cycles[event], 0)} cycles)${work}`,
    `group ${layer.group}, tile ${events.tile[event]}, command ${events.sequence[event]}`];
}

// Zoom and move, the same for both canvases.
function addNavigation(canvas, describe, zoomTarget) {
  let grabbed = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const delta = ((event.deltaX || event.deltaY) / canvas.clientWidth) * (view.to - view.from);
      show(view.from + delta, view.to + delta);
    } else {
      zoom(Math.exp(Math.max(Math.min(event.deltaY, 200), -200) * 0.0022), timeAt(canvas, event));
    }
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    grabbed = { x: event.clientX, from: view.from, to: view.to };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => { grabbed = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (grabbed) {
      const delta = ((grabbed.x - event.clientX) / (canvas.clientWidth - labelWidth)) * (grabbed.to - grabbed.from);
      hideTip();
      show(grabbed.from + delta, grabbed.to + delta);
      return;
    }
    const lines = describe(event);
    if (lines) showTip(event, lines);
    else hideTip();
  });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("dblclick", (event) => {
    const range = zoomTarget(event);
    if (range) show(range[0] - 0.5 * (range[1] - range[0]), range[1] + 0.5 * (range[1] - range[0]));
  });
}

addNavigation(timeline, (mouse) => {
  const event = eventAt(mouse);
  return event < 0 ? null : describeEvent(event);
}, (mouse) => {
  const event = eventAt(mouse);
  return event < 0 ? null : [events.start[event], events.start[event] + events.cycles[event]];
});

timeline.addEventListener("keydown", (event) => {
  const span = view.to - view.from;
  const actions = {
    ArrowLeft: () => show(view.from - span / 8, view.to - span / 8),
    ArrowRight: () => show(view.from + span / 8, view.to + span / 8),
    "+": () => zoom(0.5), "-": () => zoom(2), 0: () => show(0, totalCycles),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});
