// Where things stand: a height for each moment, before zooming

function median(numbers) {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}

function usualLatency(segments) {
  const flights = segments.filter((s) => s.arrived !== null).map((s) => s.arrived - s.time);
  const gaps = segments.slice(1).map((s, i) => s.time - segments[i].time);
  for (const seconds of [flights, gaps]) {
    const positive = seconds.filter((value) => value > 0);
    if (positive.length) return median(positive);
  }
  return 1;
}

// What arrives stands before what is sent at the same time, so that answers follow what
// they answer; unless it was itself sent at that time.
function momentsOf(segments, arrivals) {
  const moments = [];
  for (const [i, s] of segments.entries()) {
    moments.push({ time: s.time, order: i, late: 0, i });
    if (arrivals && s.arrived !== null) {
      moments.push({ time: s.arrived, order: s.arrived === s.time ? i : -1, late: 1, i });
    }
  }
  for (const f of trace.faults) {
    for (const time of [f.begin, f.end]) {
      if (time !== null) moments.push({ time, order: -2, late: 0, i: null });
    }
  }
  return moments.sort((a, b) => a.time - b.time || a.order - b.order || a.late - b.late);
}

// With a row (its height), each segment has one of its own, and only leans a little: many
// that are sent at once and arrive much later would else be a bundle of steep lines.
function layOut(segments, row) {
  const scale = FLIGHT / usualLatency(segments);
  const sent = new Float64Array(segments.length), arrived = new Float64Array(segments.length);
  const times = [], heights = [], cuts = [], stretches = [];
  let height = 0, free = 0, previous = null;
  for (const moment of momentsOf(segments, row === 0)) {
    const seconds = previous === null ? 0 : moment.time - previous;
    const far = seconds * scale;
    if (far > IDLE) cuts.push({ begin: height, end: height + CUT, seconds });
    if (previous === null || far > IDLE) {
      stretches.push({ time: moment.time, height: far > IDLE ? height + CUT : 0, until: 0 });
    }
    height += far > IDLE ? CUT : row ? Math.min(far, ROW) : far;
    if (moment.i !== null && moment.late) arrived[moment.i] = height;
    else if (moment.i !== null) {
      height = Math.max(height, free);
      free = height + row;
      sent[moment.i] = height;
    }
    stretches[stretches.length - 1].until = previous = moment.time;
    times.push(previous);
    heights.push(height);
  }
  const reach = new Float64Array(segments.length);  // the lowest end so far
  let lowest = 0;
  for (const [i, s] of segments.entries()) {
    if (row) arrived[i] = sent[i] + (s.arrived === s.time ? 0 : row / 2);
    else if (s.arrived === null) arrived[i] = sent[i] + FLIGHT;
    reach[i] = lowest = Math.max(lowest, arrived[i]);
  }
  const bottom = Math.max(height, lowest);
  return { sent, arrived, reach, times, heights, cuts, stretches, scale, bottom };
}

function firstAtLeast(numbers, value) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

function heightAt(time) {
  const { times, heights } = state.layout, i = firstAtLeast(times, time);
  if (i === 0) return heights[0] ?? 0;
  if (i === times.length) return heights[i - 1];
  const part = (time - times[i - 1]) / (times[i] - times[i - 1]);
  return heights[i - 1] + part * (heights[i] - heights[i - 1]);
}
const faultEnd = (f) => f.end === null ? state.layout.bottom : heightAt(f.end);
