// Drawing

const toY = (height) => TOP + height * state.zoom - diagram.scrollTop;
const toX = (position) => laneX(position) - diagram.scrollLeft;

function draw() {
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, viewWidth(), viewHeight());
  pen.font = "11.5px system-ui, -apple-system, 'Segoe UI', sans-serif";
  pen.lineJoin = "round";
  const labels = new Crowd();
  drawBands(labels);
  drawLifelines();
  drawCuts();
  drawSegments(labels);
  drawTimes();
  drawMap();
}

function drawBands(labels) {
  const taken = new Map();
  for (const f of trace.faults) {
    const top = toY(heightAt(f.begin)), bottom = Math.max(toY(faultEnd(f)), top + 4);
    if (bottom < 0 || top > viewHeight()) continue;
    const lanes = f.hosts.filter((position) => state.lanes.includes(position));
    pen.fillStyle = colours.band;
    for (const position of lanes) {
      pen.globalAlpha = 0.2;
      pen.beginPath();
      pen.roundRect(toX(position) - 15, top, 30, bottom - top, 5);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (!lanes.length) continue;
    const x = toX(lanes[0]) + 20;
    let y = Math.max(top + 12, 14);
    while (taken.has(`${lanes[0]} ${Math.round(y / 14)}`)) y += 14;
    taken.set(`${lanes[0]} ${Math.round(y / 14)}`, f);
    if (y > bottom + 28) continue;
    const width = write(f.name, x, y, colours.late, "start", "600 11.5px system-ui, sans-serif");
    labels.take(along(x, y - 4, 0, width));
  }
}

function drawLifelines() {
  pen.strokeStyle = colours.line;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const position of state.lanes) {
    pen.moveTo(toX(position), 0);
    pen.lineTo(toX(position), viewHeight());
  }
  pen.stroke();
}

function drawCuts() {
  for (const cut of state.layout.cuts) {
    const y = toY((cut.begin + cut.end) / 2);
    if (y < -20 || y > viewHeight() + 20) continue;
    pen.strokeStyle = colours.line;
    pen.lineWidth = 1.2;
    pen.beginPath();
    const wave = Math.min(3, state.zoom * 6);
    for (let x = 8; x < viewWidth(); x += 6) pen.lineTo(x, y + ((x / 6) & 1 ? wave : -wave));
    pen.stroke();
  }
}

function drawTimes() {
  const height = viewHeight(), cuts = state.layout.cuts.filter((c) => state.zoom * CUT > 14);
  pen.fillStyle = colours.paper;
  pen.globalAlpha = 0.86;
  pen.fillRect(0, 0, GUTTER - 14, height);
  pen.globalAlpha = 1;
  for (const c of cuts) {
    const y = toY((c.begin + c.end) / 2);
    if (y < -20 || y > height + 20) continue;
    const font = "italic 11.5px system-ui, sans-serif";
    write(`${spell(c.seconds, 3)} idle`, GUTTER - 24, y + 4, colours.soft, "end", font);
  }
  if (!state.shown.length) return;
  const clear = (y) => cuts.every((c) => Math.abs(toY((c.begin + c.end) / 2) - y) > 18);
  if (state.mode === "rows") {
    let free = -Infinity, previous = null;
    for (const [i, s] of visible()) {
      const y = toY(state.layout.sent[i]);
      if (y < free || s.time === previous || !clear(y)) continue;
      [free, previous] = [y + 16, s.time];
      write(s.time.toFixed(6), GUTTER - 24, y + 4, colours.soft, "end");
    }
    return;
  }
  const perSecond = state.layout.scale * state.zoom, step = niceStep(58 / perSecond);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  let free = -Infinity;
  for (const stretch of state.layout.stretches) {
    const top = toY(stretch.height), bottom = top + (stretch.until - stretch.time) * perSecond;
    if (bottom < -20 || top > height + 20 || top < free) continue;
    free = top + 15;
    tick(top, stretch.time.toFixed(Math.max(3, digits)), true);
    const first = Math.max(stretch.time, stretch.time - top / perSecond);
    for (let n = Math.ceil(first / step); n * step <= stretch.until; n++) {
      const y = top + (n * step - stretch.time) * perSecond;
      if (y > height) break;
      if (y < free) continue;
      free = y + 15;
      tick(y, (n * step).toFixed(digits), false);
    }
  }
}

function tick(y, words, strong) {
  pen.strokeStyle = colours.line;
  pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(GUTTER - 20, y); pen.lineTo(GUTTER - 12, y); pen.stroke();
  write(words, GUTTER - 24, y + 4, strong ? colours.ink : colours.soft, "end");
}

function niceStep(seconds) {
  const power = 10 ** Math.floor(Math.log10(seconds));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= seconds * 0.999);
}

function write(words, x, y, colour, align, font) {
  const before = pen.font;
  if (font) pen.font = font;
  pen.textAlign = align;
  pen.lineWidth = 3.5;
  pen.strokeStyle = colours.paper;
  pen.strokeText(words, x, y);
  pen.fillStyle = colour;
  pen.fillText(words, x, y);
  const { width } = pen.measureText(words);
  pen.font = before;
  return width;
}

function* visible() {
  const { sent, reach } = state.layout;
  const top = (diagram.scrollTop - TOP - 20) / state.zoom;
  const bottom = (diagram.scrollTop + viewHeight() + 20) / state.zoom;
  for (let i = firstAtLeast(reach, top); i < state.shown.length && sent[i] <= bottom; i++) {
    yield [i, state.shown[i]];
  }
}

// The corners of an arrow, as it is drawn.
function corners(i, s) {
  const x = toX(s.from), y = toY(state.layout.sent[i]), endY = toY(state.layout.arrived[i]);
  let endX = s.to < 0 ? x + state.gap * 0.6 : toX(s.to);
  if (s.to === s.from) {
    return s.arrived === null ? [[x, y], [x + LOOP, y + 8]] : [[x, y], [x + LOOP, (y + endY) / 2], [x, endY]];
  }
  if (s.arrived === null) {
    return [[x, y], [x + (endX - x) * 0.6, y + (endY - y) * 0.6]];
  }
  return [[x, y], [endX, endY]];
}

function drawSegments(labels) {
  let count = 0;
  for (const _ of visible()) count += 1;
  const dense = count > LEGIBLE;
  pen.globalAlpha = dense ? 0.5 : 1;
  for (const [i, s] of visible()) drawArrow(corners(i, s), s, dense ? 0.7 : 1.5);
  pen.globalAlpha = 1;
  const marked = [state.selected, state.hovered].filter((s) => s && state.place.has(s));
  for (const s of marked) {
    const points = corners(state.place.get(s), s);
    pen.globalAlpha = 0.25;
    stroke(points, colours.focus, 9);
    pen.globalAlpha = 1;
    drawArrow(points, s, 2.6);
    drawLabel(points, s, labels, true);
  }
  if (dense) return;
  for (const [i, s] of visible()) {
    if (!marked.includes(s)) drawLabel(corners(i, s), s, labels, false);
  }
}

function along(x, y, angle, width, begin = 0) {
  const points = [];
  for (let far = begin + 6; far < begin + width; far += 14) {
    points.push([x + far * Math.cos(angle), y + far * Math.sin(angle)]);
  }
  return points;
}

// Where labels are, as points along them: a new one that comes near is refused.
class Crowd {
  cells = new Map();
  take(points) {
    const key = (x, y) => Math.floor(x / 12) * 1e5 + Math.floor(y / 12);
    for (const [x, y] of points) {
      for (const dx of [-12, 0, 12]) for (const dy of [-12, 0, 12]) {
        const other = this.cells.get(key(x + dx, y + dy));
        if (other && Math.hypot(other[0] - x, other[1] - y) < 12) return false;
      }
    }
    for (const [x, y] of points) this.cells.set(key(x, y), [x, y]);
    return true;
  }
}

function stroke(points, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
}

function drawArrow(points, s, width) {
  const lost = s.kind === "lost", colour = colours[s.kind];
  if (s.arrived === null) pen.setLineDash([6, 4]);
  stroke(points, colour, s.kind === "ack" ? width * 0.75 : width);
  pen.setLineDash([]);
  const [[fromX, fromY], [x, y]] = points.slice(-2);
  if (lost) {
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x - 5, y - 5); pen.lineTo(x + 5, y + 5);
    pen.moveTo(x + 5, y - 5); pen.lineTo(x - 5, y + 5);
    pen.stroke();
    return;
  }
  if (width < 1) return;
  const angle = Math.atan2(y - fromY, x - fromX), size = s.kind === "ack" ? 7 : 9;
  pen.fillStyle = colour;
  pen.beginPath();
  pen.moveTo(x, y);
  for (const turn of [0.42, -0.42]) {
    pen.lineTo(x - size * Math.cos(angle + turn), y - size * Math.sin(angle + turn));
  }
  pen.fill();
}

// A label is written where no other one is near, nearer to the sender, where fewer
// arrows cross.
function drawLabel(points, s, labels, always) {
  const [[x, y], [endX, endY]] = points;
  const loop = s.from === s.to, part = loop ? 1 : 0.42;
  const atX = x + (endX - x) * part, atY = y + (endY - y) * part;
  if (atY < -20 || atY > viewHeight() + 20) return;
  const angle = loop ? 0 : Math.atan((endY - y) / (endX - x || 1));
  const room = loop ? 200 : Math.hypot(endX - x, endY - y) * (s.arrived === null ? 1.25 : 0.78);
  const words = shorten(s.label, room);
  const spots = along(atX, atY, angle, words.width, loop ? 0 : -words.width / 2);
  if (!labels.take(spots) && !always) return;
  pen.save();
  pen.translate(atX, atY);
  pen.rotate(angle);
  if (loop) write(words.text, 7, 4, colours[s.kind], "start");
  else write(words.text, 0, -5, colours[s.kind], "center");
  pen.restore();
}

const widths = new Map();
function shorten(words, room) {
  const key = `${Math.round(room / 8)} ${words}`;
  let found = widths.get(key);
  if (!found) {
    let text = words;
    while (text.length > 2 && pen.measureText(text).width > room) {
      text = `${text.slice(0, Math.max(1, text.length - 4))}…`;
    }
    found = { text, width: pen.measureText(text).width };
    if (widths.size > 20000) widths.clear();
    widths.set(key, found);
  }
  return found;
}
