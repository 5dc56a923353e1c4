// The map of the scratchpad: time to the right, addresses upwards.
const scratchpad = $("scratchpad"), mapHeight = 300, capacity = report.machine.scratchpadBytes;

function drawAddresses(context, width, top, height) {
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (let quarter = 0; quarter <= 4; ++quarter) {
    const y = top + height - (quarter / 4) * height;
    context.fillStyle = css("--grid");
    context.fillRect(labelWidth, Math.round(y), width - labelWidth, 1);
    context.fillStyle = css("--soft");
    context.fillText(scratchText((capacity * quarter) / 4), labelWidth - 6, Math.min(Math.max(y, top + 7), top + height - 7));
  }
}

// One pass a kind, so that the colour changes seldom. Rectangles narrower than a pixel that fall where one of them was drawn are left out.
function drawBuffers(context, kind, width, top, height) {
  const plot = width - labelWidth, scale = plot / (view.to - view.from), rise = height / capacity;
  const columns = Math.ceil(plot), rows = Math.ceil(height / 2), taken = new Uint8Array((columns + 1) * (rows + 1));
  for (let i = 0; i < buffers.start.length; ++i) {
    if (buffers.start[i] >= view.to) break;
    if (buffers.kind[i] !== kind || buffers.start[i] + buffers.cycles[i] <= view.from) continue;
    const left = Math.max((buffers.start[i] - view.from) * scale, 0);
    const right = Math.min((buffers.start[i] + buffers.cycles[i] - view.from) * scale, plot);
    const high = Math.max(buffers.bytes[i] * rise, 1), y = top + height - (buffers.address[i] + buffers.bytes[i]) * rise;
    if (right - left < 1) {
      const cell = Math.floor(left) * rows + Math.min(Math.floor((y + high / 2 - top) / 2), rows);
      if (taken[cell]) continue;
      taken[cell] = 1;
    }
    context.globalAlpha = view.chosen >= 0 && buffers.layer[i] !== view.chosen ? 0.25 : 0.85;
    const gap = right - left > 4 ? 0.5 : 0;
    context.fillRect(labelWidth + left, y, Math.max(right - left - gap, 1), Math.max(high - (high > 4 ? 0.5 : 0), 1));
  }
  context.globalAlpha = 1;
}

drawers.push(() => {
  const [context, width] = prepare(scratchpad, mapHeight + axisHeight);
  context.fillStyle = css("--lane");
  context.fillRect(labelWidth, axisHeight, width - labelWidth, mapHeight);
  drawAxis(context, width, mapHeight + axisHeight);
  drawAddresses(context, width, axisHeight, mapHeight);
  for (let kind = 0; kind < kinds.length; ++kind) {
    context.fillStyle = css("--k" + kind);
    drawBuffers(context, kind, width, axisHeight, mapHeight);
  }
});

function bufferAt(mouse) {
  const y = mouse.clientY - scratchpad.getBoundingClientRect().top - axisHeight;
  const time = timeAt(scratchpad, mouse), address = ((mapHeight - y) / mapHeight) * capacity;
  for (let i = buffers.start.length - 1; i >= 0; --i)
    if (buffers.start[i] <= time && time < buffers.start[i] + buffers.cycles[i] && buffers.address[i] <= address &&
        address < buffers.address[i] + buffers.bytes[i])
      return i;
  return -1;
}

addNavigation(scratchpad, (mouse) => {
  const buffer = bufferAt(mouse);
  if (buffer < 0) return null;
  const layer = layers[buffers.layer[buffer]];
  return [layer.node || layer.op, `${layer.op}, written by a ${kinds[buffers.kind[buffer]]} command`,
    `${scratchText(buffers.bytes[buffer])} at address ${buffers.address[buffer].toLocaleString("en")}`,
    `${timeText(buffers.start[buffer])} + ${timeText(buffers.cycles[buffer])}`];
}, (mouse) => {
  const buffer = bufferAt(mouse);
  return buffer < 0 ? null : [buffers.start[buffer], buffers.start[buffer] + buffers.cycles[buffer]];
});
