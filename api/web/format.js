// Numbers, times and durations as people read them. Pure functions.

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function count(n) {
  return n == null || !Number.isFinite(n) ? "–" : grouped.format(n).replace("-", "−");
}

export function fixed(x, digits) {
  return x == null || !Number.isFinite(x) ? "–" : x.toFixed(digits).replace("-", "−");
}

// An error ratio in the unit that the reader has chosen: 6.41 (of 100) or 0.0641.
export function error(ratio, unit = "percent", digits = 2) {
  return ratio == null ? "–" : unit === "percent" ? fixed(ratio * 100, digits) : fixed(ratio, digits + 2);
}

export function short(n) { // 17.5 M, 930 k
  if (n == null || !Number.isFinite(n)) { return "–"; }
  for (const [size, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(n) >= size) { return `${(n / size).toPrecision(3).replace(/\.0+$|(?<=\.\d*[1-9])0+$/, "")}\u00a0${name}`; }
  }
  return String(Math.round(n * 100) / 100);
}

export function bytes(n) {
  if (n == null) { return "–"; }
  return n >= 1e9 ? `${(n / 1e9).toFixed(1)}\u00a0GB` : n >= 1e6 ? `${(n / 1e6).toFixed(1)}\u00a0MB` : `${count(n / 1e3)}\u00a0kB`;
}

export function hours(seconds) { // of seconds: 0.4, 12, 1,204
  const n = seconds / 3600;
  return n === 0 || n >= 10 ? count(n) : n < 0.1 ? "<\u00a00.1" : fixed(n, 1);
}

export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) { return "–"; }
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) { return `${Math.max(1, Math.round(seconds))} s`; }
  if (minutes < 60) { return `${minutes} min`; }
  if (minutes < 48 * 60) { return `${Math.floor(minutes / 60)} h ${minutes % 60} min`; }
  return `${Math.round(minutes / 1440)} days`;
}

export function clock(seconds) { // 3:07
  if (seconds == null) { return "–"; }
  const whole = Math.round(seconds);
  const mmss = `${String(Math.floor(whole / 60) % 60).padStart(whole >= 3600 ? 2 : 1, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${mmss}` : mmss;
}

// 14:02 today, Thu 03:40 within six days, 3 Mar 2026 otherwise.
export function when(text, now = new Date()) {
  if (!text) { return ""; }
  const at = new Date(text);
  const time = `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
  if (at.toDateString() === now.toDateString()) { return time; }
  if (Math.abs(at - now) < 6 * 864e5) { return `${at.toLocaleDateString("en-GB", { weekday: "short" })} ${time}`; }
  return at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

export function plural(n, noun, many = `${noun}s`) {
  return `${count(n)} ${n === 1 ? noun : many}`;
}

// What people wrote, made safe to stand in a line: control characters and marks that turn the direction
// of text become visible.
export function plain(text) {
  return text == null || !/[^\s\p{Cf}]/u.test(text) ? "" : String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}
