// The view: what of that is in the window

const diagram = $("diagram"), canvas = $("canvas"), map = $("map");
const pen = canvas.getContext("2d"), mapPen = map.getContext("2d");
const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = "paper ink soft line data ack control bad late band focus";
  for (const name of names.split(" ")) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colours.reset = colours.lost = colours.bad;
}

const headHeight = () => $("names").offsetHeight;
const viewHeight = () => Math.max(50, diagram.clientHeight - headHeight());
const viewWidth = () => Math.max(50, diagram.clientWidth);

function laneGap() {
  const count = Math.max(1, state.lanes.length - 1);
  const least = count < 6 ? 104 : 72;
  return Math.min(420, Math.max(least, (viewWidth() - laneMargin() - rightRoom()) / count));
}
const laneMargin = () => GUTTER + (viewWidth() < 640 ? 30 : 52);  // half a name
const rightRoom = () => state.loops ? LOOP + 130 : 74;
const laneX = (position) => laneMargin() + state.lanes.indexOf(position) * state.gap;
const sheetHeight = () => TOP * 2 + state.layout.bottom * state.zoom;

function arrange() {
  state.shown = trace.segments.filter(matches);
  const filtered = state.shown.length < trace.segments.length;
  const used = new Set(state.shown.flatMap((s) => [s.from, s.to]));
  state.lanes = trace.hosts.map((_, i) => i).filter((i) => !filtered || used.has(i));
  state.loops = state.shown.some((s) => s.from === s.to);
  state.layout = layOut(state.shown, state.mode === "rows" ? ROW : 0);
  state.place = new Map(state.shown.map((s, i) => [s, i]));
  const all = trace.segments.length.toLocaleString("en");
  const connections = trace.connections.length;
  const ends = `${connections} ${connections === 1 ? "connection" : "connections"}`;
  $("count").textContent = filtered
    ? `${state.shown.length.toLocaleString("en")} of ${all} segments`
    : `${all} segments, ${ends}, ${spell(state.layout.times.at(-1) ?? 0)}`;
  resize();
}

function resize() {
  const limit = MAX_HEIGHT / Math.max(1, state.layout.bottom);
  state.zoom = Math.min(state.zoom, Math.max(limit, 0.001), 400);
  state.gap = laneGap();
  const width = Math.max(viewWidth(), laneX(state.lanes[state.lanes.length - 1]) + rightRoom());
  $("sheet").style.width = `${width}px`;
  $("sheet").style.height = `${Math.max(headHeight() + sheetHeight(), diagram.clientHeight)}px`;
  $("names").replaceChildren(...state.lanes.map((position) => {
    const host = trace.hosts[position], box = document.createElement("div");
    const small = document.createElement("small");
    box.textContent = box.title = host.name;
    small.textContent = small.title = host.addresses.join(" ");
    box.append(small);
    box.style.left = `${laneX(position)}px`;
    box.style.maxWidth = `${state.gap - 8}px`;
    return box;
  }));
  canvas.style.width = `${viewWidth()}px`;
  canvas.style.height = `${viewHeight()}px`;
  canvas.width = viewWidth() * devicePixelRatio;
  canvas.height = viewHeight() * devicePixelRatio;
  map.width = map.clientWidth * devicePixelRatio;
  map.height = map.clientHeight * devicePixelRatio;
  drawMapGround();
  draw();  // at once: a canvas of a new size is empty, and would flicker
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}
