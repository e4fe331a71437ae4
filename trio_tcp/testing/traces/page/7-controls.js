// Pointing and keys

function distance([px, py], [ax, ay], [bx, by]) {
  const dx = bx - ax, dy = by - ay;
  const part = Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(px - ax - part * dx, py - ay - part * dy);
}

function segmentAt(point) {
  let best = null, least = 9;
  for (const [i, s] of visible()) {
    const points = corners(i, s);
    for (let k = 1; k < points.length; k++) {
      const far = distance(point, points[k - 1], points[k]);
      if (far < least) [best, least] = [s, far];
    }
  }
  return best;
}

const select = (s) => { state.selected = s; state.hovered = null; describe(); redraw(); };

canvas.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  state.hovered = segmentAt([event.offsetX, event.offsetY]);
  canvas.style.cursor = state.hovered ? "pointer" : "";
  describe();
  redraw();
});
canvas.addEventListener("pointerleave", () => { state.hovered = null; describe(); redraw(); });
canvas.addEventListener("click", (event) => select(segmentAt([event.offsetX, event.offsetY])));

function show(s) {
  const i = state.place.get(s);
  const top = TOP + state.layout.sent[i] * state.zoom, bottom = TOP + state.layout.arrived[i] * state.zoom;
  const margin = Math.min(80, viewHeight() / 5);
  if (top - margin < diagram.scrollTop || bottom + margin > diagram.scrollTop + viewHeight()) {
    diagram.scrollTop = (top + bottom) / 2 - viewHeight() / 2;
  }
  const xs = [s.from, s.to].filter((position) => position >= 0).map(laneX);
  const left = Math.min(...xs) - 80, right = Math.max(...xs) + 80;
  if (left < diagram.scrollLeft + GUTTER - 60) diagram.scrollLeft = left - GUTTER + 60;
  else if (right > diagram.scrollLeft + viewWidth()) diagram.scrollLeft = right - viewWidth();
}

function step(to) {
  if (!state.shown.length) return;
  const s = state.shown[Math.max(0, Math.min(state.shown.length - 1, to))];
  select(s);
  show(s);
}

// The first one that can be seen: where the eye is when the keys are first touched.
function topmost() {
  for (const [i] of visible()) if (toY(state.layout.sent[i]) >= 0) return i;
  return 0;
}

diagram.addEventListener("keydown", (event) => {
  const here = state.place.get(state.selected);
  const keys = {
    ArrowDown: () => step(here === undefined ? topmost() : here + 1),
    ArrowUp: () => step(here === undefined ? topmost() : here - 1),
    Home: () => step(0),
    End: () => step(state.shown.length - 1),
    Enter: () => { if (state.selected) only(state.selected.connection); },
    Escape: () => { clearFilters(); select(null); },
    "+": () => zoomBy(1.4), "=": () => zoomBy(1.4), "-": () => zoomBy(1 / 1.4), 0: fit,
  };
  if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[event.key]();
});
diagram.addEventListener("focus", () => {
  if (diagram.matches(":focus-visible") && !state.selected) step(topmost());
});

// Zoom, spacing and filters

function zoomBy(factor, y) {
  const i = state.place.get(state.selected);
  const eye = i === undefined ? viewHeight() / 2 : toY(state.layout.sent[i]);
  y ??= Math.max(0, Math.min(viewHeight(), eye));
  const height = (diagram.scrollTop + y - TOP) / state.zoom;
  const fitting = (viewHeight() - 2 * TOP) / Math.max(1, state.layout.bottom);
  state.zoom = Math.max(Math.min(fitting, 1), state.zoom * factor);
  resize();
  diagram.scrollTop = height * state.zoom + TOP - y;
}

function fit() {
  state.zoom = Math.min(6, (viewHeight() - 2 * TOP) / Math.max(1, state.layout.bottom));
  resize();
}

function setMode(mode) {
  state.mode = mode;
  for (const name of ["time", "rows"]) $(name).setAttribute("aria-pressed", name === mode);
  refilter();
}

function refilter() {
  const anchor = state.selected;
  arrange();
  if (state.place.has(anchor)) show(anchor);
}

function only(connection) { $("connection").value = connection; refilter(); }
function clearFilters() {
  for (const id of ["find", "host", "connection"]) $(id).value = "";
  refilter();
}

diagram.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 250), event.clientY - canvas.getBoundingClientRect().top);
}, { passive: false });
diagram.addEventListener("scroll", redraw, { passive: true });
$("in").addEventListener("click", () => zoomBy(1.5));
$("out").addEventListener("click", () => zoomBy(1 / 1.5));
$("fit").addEventListener("click", fit);
$("time").addEventListener("click", () => setMode("time"));
$("rows").addEventListener("click", () => setMode("rows"));
$("find").addEventListener("input", refilter);
$("host").addEventListener("change", refilter);
$("connection").addEventListener("change", refilter);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); resize(); });
new ResizeObserver(() => requestAnimationFrame(resize)).observe(diagram);
