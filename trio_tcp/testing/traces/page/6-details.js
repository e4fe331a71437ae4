// Details

function spell(seconds, digits = 5) {
  const units = [[120, 60, "min"], [1, 1, "s"], [1e-3, 1e-3, "ms"], [0, 1e-6, "µs"]];
  const [, unit, name] = seconds === 0 ? units[1] : units.find(([least]) => seconds >= least);
  return `${+(seconds / unit).toPrecision(digits)} ${name}`;
}

function inForce(s) {
  const end = s.arrived ?? s.time;
  return trace.faults.filter((f) => f.begin <= end && (f.end === null || f.end >= s.time)
    && (f.hosts.includes(s.from) || f.hosts.includes(s.to)));
}

function facts(s) {
  const found = [
    ["From", `${nameOf(s.from)}  ${s.source}`],
    ["To", `${nameOf(s.to)}  ${s.destination}`],
    ["Sent", `${s.time.toFixed(9).replace(/0{1,6}$/, "")} s`],
    ["Arrived", s.arrived === null ? (s.fate ? "never" : "not yet")
      : `${s.arrived.toFixed(9).replace(/0{1,6}$/, "")} s, after ${spell(s.arrived - s.time)}`],
  ];
  if (s.fate) found.push(["Fate", s.fate]);
  for (const f of inForce(s)) found.push(["Fault", `${f.name} on ${f.where}`]);
  found.push(["Flags", s.flags || "none"], ["Sequence", s.seq.toLocaleString("en")]);
  if (s.flags.includes("ACK")) found.push(["Acknowledges", s.ack.toLocaleString("en")]);
  found.push(["Window", `${s.window.toLocaleString("en")} B`], ["Length", `${s.length.toLocaleString("en")} B`]);
  if (s.options) found.push(["Offers", `MSS ${s.options.mss}, window scale ${s.options.window_scale}`]);
  found.push(["Connection", trace.connections[s.connection]]);
  return found;
}

function hexDump(bytes) {
  const lines = [];
  for (let i = 0; i < bytes.length; i += 8) {
    const part = [...bytes.slice(i, i + 8)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = part.map((byte) => byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·").join("");
    lines.push(`${i.toString(16).padStart(4, "0")}  ${hex.padEnd(23)}  ${text}`);
  }
  return lines.join("\n");
}

let described = null;
function describe() {
  const s = state.hovered ?? state.selected;
  if (s === described) return;
  described = s;
  $("help").hidden = s !== null;
  $("details").hidden = s === null;
  if (s === null) return;
  $("details").dataset.segment = s.index;
  $("details").querySelector(".kind").className = `kind ${s.kind}`;
  $("what").textContent = `#${s.index} ${s.flags}${s.length ? `, ${s.length} B` : ""}`;
  $("facts").replaceChildren(...facts(s).flatMap(([name, value]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    return [dt, dd];
  }));
  $("carried").hidden = !s.length;
  const bytes = s.bytes();
  $("text").textContent = s.text();
  $("hex").textContent = hexDump(bytes);
  $("rest").textContent = bytes.length < s.length ? `The first ${bytes.length} of ${s.length} bytes.` : "";
}

function listFaults() {
  if (!trace.faults.length) return;
  const title = document.createElement("h3"), list = document.createElement("dl");
  title.textContent = "Faults";
  for (const f of trace.faults.slice(0, 200)) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = `${+f.begin.toFixed(6)} s`;
    const long = f.end === null ? "to the end" : `for ${spell(f.end - f.begin)}`;
    dd.textContent = `${f.name} on ${f.where}, ${long}`;
    list.append(dt, dd);
  }
  $("faults").append(title, list);
}
