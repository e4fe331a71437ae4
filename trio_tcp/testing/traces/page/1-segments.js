"use strict";
window.addEventListener("error", (event) => {
  document.documentElement.dataset.error = event.message;
});

const trace = JSON.parse(document.getElementById("trace").textContent);
const $ = (id) => document.getElementById(id);
const LEGIBLE = 1500;  // arrows in the window: of more, only the density can be seen
const GUTTER = 98, TOP = 30, FLIGHT = 44, ROW = 21, IDLE = 170, CUT = 56, LOOP = 54;
const MAX_HEIGHT = 12e6;  // browsers give up on taller boxes

// The segments, with what is looked for in them

for (const [index, s] of trace.segments.entries()) {
  s.index = index;
  s.bytes = () => Uint8Array.from(atob(s.payload), (char) => char.charCodeAt(0));
  s.text = () => new TextDecoder().decode(s.bytes());
}
const nameOf = (position) => position < 0 ? "nobody" : trace.hosts[position].name;
const haystack = (s) => s.haystack ??= [
  nameOf(s.from), nameOf(s.to), s.source, s.destination, s.flags, s.fate, s.text(),
].join("\n").toLowerCase();

const state = {
  shown: [], lanes: [], mode: "time", zoom: 1, selected: null, hovered: null, layout: null,
};

function matches(s) {
  const words = $("find").value.trim().toLowerCase();
  const host = $("host").value, connection = $("connection").value;
  return (host === "" || s.from === +host || s.to === +host)
    && (connection === "" || s.connection === +connection)
    && (words === "" || haystack(s).includes(words));
}
