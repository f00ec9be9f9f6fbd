// Ticks and ranges of axes. Pure functions.

const LOG_STEPS = [5, 6, 7, 8, 10, 15, 20, 30, 40, 60, 80];
const ALWAYS = [6, 10, 20];

// Ticks of a log axis of percent from `low` to `high` on `pixels`; none nearer than 18 pixels to the next.
export function logTicks(low, high, pixels, value = (x) => x) {
  const all = [];
  for (let decade = -4; decade <= 4; decade++) {
    for (const step of LOG_STEPS.filter((s) => s < 50 || s > 50)) {
      const tick = step * 10 ** (decade - 1);
      if (tick >= low && tick <= high && !all.some((t) => Math.abs(t / tick - 1) < 1e-9)) { all.push(tick); }
    }
  }
  const weight = (tick) => { const lead = Number(tick.toPrecision(2)); return ALWAYS.some((a) => [0.01, 0.1, 1, 10].some((f) => Math.abs(a * f / lead - 1) < 1e-9)) ? 0 : 1; };
  const at = (tick) => (Math.log(tick) - Math.log(low)) / (Math.log(high) - Math.log(low)) * pixels;
  const kept = [];
  for (const tick of all.sort((a, b) => weight(a) - weight(b) || a - b)) {
    if (kept.every((other) => Math.abs(at(other) - at(tick)) >= 18)) { kept.push(tick); }
  }
  return kept.sort((a, b) => a - b).map((tick) => ({ v: value(tick), tick }));
}

export function linearTicks(low, high, most) {
  const raw = (high - low) / Math.max(2, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= raw);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) { ticks.push(Number(tick.toPrecision(12))); }
  return ticks;
}

// 1 3 10 30 ..
export function decadeTicks(low, high) {
  const ticks = [];
  for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
    for (const lead of [1, 3]) {
      const tick = lead * 10 ** decade;
      if (tick >= low * 0.999 && tick <= high * 1.001) { ticks.push(tick); }
    }
  }
  return ticks.length >= 2 ? ticks : linearTicks(low, high, 3);
}

// The top of the figure: the first of these that every group is under after an eighth of the epochs.
export function topOf(groups) {
  for (const top of [0.2, 0.3, 0.4, 0.6, 0.9]) {
    if (groups.every((points) => points.slice(Math.floor(points.length / 8)).every((p) => p.mean == null || p.mean <= top))) { return top; }
  }
  return 1;
}

// Median of `width` neighbours: a smoothing that invents no value.
export function median(points, width) {
  const half = Math.floor(width / 2);
  return points.map((point, i) => {
    const near = points.slice(Math.max(0, i - half), i + half + 1).map((p) => p.mean).filter((v) => v != null).sort((a, b) => a - b);
    return point.mean == null ? null : near[Math.floor(near.length / 2)];
  });
}

// Those of the points between `from` and `to`, in order of x, that a drawing `pixels` wide can show: of each pixel's interval the
// least and the greatest, at their own x; all, if they are no more than that. The neighbours outside stay, so that lines go on to
// the edge. The same points give the same answer each time.
export function thin(points, from, to, pixels, xOf, valueOf) {
  const first = points.findIndex((p) => xOf(p) >= from);
  const last = points.findLastIndex((p) => xOf(p) <= to);
  if (first < 0 || last < 0 || last - first + 1 <= 2 * pixels) { return points; }
  const kept = new Set([Math.max(0, first - 1), first, last, Math.min(points.length - 1, last + 1)]);
  let pixel = -1;
  let [least, most] = [first, first];
  for (let i = first; i <= last; i++) {
    const here = Math.floor((xOf(points[i]) - from) / (to - from) * pixels);
    if (here !== pixel) {
      kept.add(least).add(most);
      pixel = here;
      least = most = i;
    }
    if ((valueOf(points[i]) ?? Infinity) < (valueOf(points[least]) ?? Infinity)) { least = i; }
    if ((valueOf(points[i]) ?? -Infinity) > (valueOf(points[most]) ?? -Infinity)) { most = i; }
  }
  kept.add(least).add(most);
  return [...kept].sort((a, b) => a - b).map((i) => points[i]);
}
