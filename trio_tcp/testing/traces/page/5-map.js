// The map at the side: the whole trace, and the window in it

const mapGround = document.createElement("canvas");

function drawMapGround() {
  const width = map.clientWidth, height = map.clientHeight;
  mapGround.width = map.width; mapGround.height = map.height;
  const ground = mapGround.getContext("2d");
  ground.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  const scale = (height - 8) / Math.max(1, state.layout.bottom);
  ground.fillStyle = colours.band;
  ground.globalAlpha = 0.35;
  for (const f of trace.faults) {
    const top = 4 + heightAt(f.begin) * scale;
    ground.fillRect(0, top, width, Math.max(2, 4 + faultEnd(f) * scale - top));
  }
  const lanes = Math.max(1, state.lanes.length);
  for (const late of [false, true]) {
    for (const [i, s] of state.shown.entries()) {
      const loud = ["lost", "reset", "late"].includes(s.kind);
      if (loud !== late) continue;
      ground.globalAlpha = loud ? 1 : 0.55;
      ground.fillStyle = colours[s.kind];
      const a = state.lanes.indexOf(s.from), b = s.to < 0 ? a : state.lanes.indexOf(s.to);
      const left = 4 + (Math.min(a, b) / lanes) * (width - 8);
      const right = 4 + ((Math.max(a, b) + 1) / lanes) * (width - 8);
      ground.fillRect(left, 4 + state.layout.sent[i] * scale, right - left, loud ? 2 : 1);
    }
  }
}

function drawMap() {
  const height = map.clientHeight, whole = Math.max(1, sheetHeight());
  mapPen.setTransform(1, 0, 0, 1, 0, 0);
  mapPen.clearRect(0, 0, map.width, map.height);
  mapPen.drawImage(mapGround, 0, 0);
  mapPen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  const top = (diagram.scrollTop / whole) * height;
  const tall = Math.min(height, Math.max(6, (viewHeight() / whole) * height));
  mapPen.fillStyle = mapPen.strokeStyle = colours.focus;
  mapPen.globalAlpha = 0.16;
  mapPen.fillRect(0, top, map.clientWidth, tall);
  mapPen.globalAlpha = 1;
  mapPen.strokeRect(0.75, top + 0.75, map.clientWidth - 1.5, tall - 1.5);
}

function jump(event) {
  const part = event.offsetY / map.clientHeight;
  diagram.scrollTop = part * sheetHeight() - viewHeight() / 2;
}
map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); jump(event); });
map.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
