// Start. A link may say what to show: #find=…&host=name&mode=rows&segment=12

function addOptions(id, names) {
  $(id).append(...names.map((name, i) => {
    const option = document.createElement("option");
    option.value = i;
    option.textContent = name;
    return option;
  }));
}

// Where most segments would lie on one another, begin with a row for each.
function isCrowded() {
  const { sent } = state.layout;
  let close = 0;
  for (let i = 1; i < sent.length; i++) close += sent[i] - sent[i - 1] < 3;
  return close > sent.length / 2;
}

addOptions("host", trace.hosts.map((host) => host.name));
addOptions("connection", trace.connections.map((ends, i) => `${i + 1}: ${ends}`));
listFaults();
readColours();
const wanted = new URLSearchParams(location.hash.slice(1));
$("find").value = wanted.get("find") ?? "";
const host = trace.hosts.findIndex((one) => one.name === wanted.get("host"));
if (host >= 0) $("host").value = host;
arrange();
if (wanted.get("mode") === "rows" || (!wanted.has("mode") && isCrowded())) setMode("rows");
if (wanted.has("zoom")) zoomBy(+wanted.get("zoom"));
if (wanted.has("segment")) {
  const s = trace.segments[+wanted.get("segment")];
  if (state.place.has(s)) { diagram.focus(); step(state.place.get(s)); }
}
draw();
document.documentElement.dataset.ready = Math.round(performance.now());
