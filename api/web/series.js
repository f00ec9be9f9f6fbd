// One look for the same group everywhere: colour and dash by M, by rank of an ordered field, or by place of a name.
// The same table as in api/figure (a test compares them).

import { svg } from "./dom.js";

const OF_M = [[1, "--m1", [1.5, 3]], [2, "--m2", [4, 2.5]], [4, "--m4", [8, 3]], [8, "--m8", [10, 3, 2, 3]],
  [16, "--m16", [13.5, 3]], [32, "--m32", null], [40, "--m40", [10, 3, 2, 3, 2, 3]]];
const OF_NAMES = ["--m1", "--m32", "--m4", "--spare", "--m16", "--m2", "--m40", "--m8"];
const DASHES = [null, [8, 3], [1.5, 3], [10, 3, 2, 3]];

function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function mix(a, b, share) {
  const parse = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const from = parse(a);
  const to = parse(b);
  return `#${from.map((x, i) => Math.round(x + (to[i] - x) * share).toString(16).padStart(2, "0")).join("")}`;
}

export function lookOfM(m) {
  const exact = OF_M.find(([value]) => value === m);
  if (exact) { return { color: token(exact[1]), dash: exact[2] }; }
  const lower = OF_M.findLast(([value]) => value < m) || OF_M[0];
  const upper = OF_M.find(([value]) => value > m);
  const dots = Array.from({ length: 1 + ((m - lower[0] - 1) % 3) }, () => [1.5, 3]).flat(); // neighbours hardly differ in colour
  const dash = [...dots, ...(lower[2] || [16, 3])];
  if (!upper) { return { color: token(lower[1]), dash }; }
  const share = (Math.log2(m) - Math.log2(lower[0])) / (Math.log2(upper[0]) - Math.log2(lower[0]));
  return { color: mix(token(lower[1]), token(upper[1]), share), dash };
}

// looks(["2", "4"], "m"): the look of each group, by its place.
export function looks(values, field) {
  if (field === "m") { return values.map((value) => lookOfM(Number(value))); }
  const ordered = values.every((value) => value !== "" && Number.isFinite(Number(value)));
  return values.map((value, i) => {
    if (ordered && values.length <= OF_M.length) {
      const rank = values.map(Number).sort((a, b) => a - b).indexOf(Number(value));
      const place = values.length === 1 ? 5 : Math.round(rank * (OF_M.length - 1) / (values.length - 1));
      return { color: token(OF_M[place][1]), dash: OF_M[place][2] };
    }
    return { color: token(OF_NAMES[i % 8]), dash: DASHES[Math.floor(i / 8) % 4] };
  });
}

// The look of each group of a comparison, from its key such as {m: 8, copies: "aliased"}. M alone gives the colour wherever it is
// part of the key; the rest of the key then gives the dash, as far as there are dashes.
export function looksOfGroups(keys) {
  const fields = Object.keys(keys[0] || {});
  if (fields.length === 1) { return looks(keys.map((key) => String(key[fields[0]] ?? "")), fields[0]); }
  const texts = keys.map((key) => JSON.stringify({ ...key, m: undefined }));
  const rest = [...new Set(texts)];
  if (fields.includes("m") && rest.length <= DASHES.length) {
    return keys.map((key, i) => ({ color: lookOfM(Number(key.m)).color, dash: DASHES[rest.indexOf(texts[i])] }));
  }
  return looks(keys.map((key) => JSON.stringify(key)), "");
}

// The marks of the best three of many, which may be neighbours in M and look nearly alike: corners around a middle.
const MARKS = [null, [[-1, -1], [1, -1], [1, 1], [-1, 1]], [[0, -1.3], [1.3, 1], [-1.3, 1]]];
const MARK_SIZE = 3.5;

export function drawMark(context, x, y, { rank, color }, paper) {
  context.beginPath();
  if (MARKS[rank]) { MARKS[rank].forEach(([a, b]) => context.lineTo(x + a * MARK_SIZE, y + b * MARK_SIZE)); } else { context.arc(x, y, MARK_SIZE + 0.5, 0, 7); }
  context.closePath();
  context.fillStyle = color;
  context.strokeStyle = paper;
  context.setLineDash([]);
  context.lineWidth = 1.5;
  context.stroke();
  context.fill();
}

export function stub(look) {
  const mark = look.rank == null ? [] : [MARKS[look.rank] ? svg("polygon", { points: MARKS[look.rank].map(([a, b]) => `${14 + a * 3},${4 + b * 3}`).join(" "), fill: look.color }) : svg("circle", { cx: 14, cy: 4, r: 3.5, fill: look.color })];
  return svg("svg", { class: "stub", viewBox: "0 0 28 8", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 28, y1: 4, y2: 4, stroke: look.color, "stroke-width": 2, "stroke-dasharray": look.dash ? look.dash.join(" ") : null }), ...mark);
}

const GLYPHS = {
  queued: () => [svg("circle", { cx: 5, cy: 5, r: 4, fill: "none", stroke: "currentColor", "stroke-width": 1.4 })],
  held: () => [svg("circle", { cx: 5, cy: 5, r: 4, fill: "none", stroke: "currentColor", "stroke-width": 1.4, "stroke-dasharray": "2 1.6" })],
  running: () => [svg("circle", { cx: 5, cy: 5, r: 4.5, fill: "currentColor" })],
  paused: () => [svg("path", { d: "M2.5 1v8M7.5 1v8", stroke: "currentColor", "stroke-width": 2 })],
  succeeded: () => [svg("path", { d: "M1 5.5 4 8.5 9.2 1.5", fill: "none", stroke: "currentColor", "stroke-width": 1.5 })],
  failed: () => [svg("path", { d: "M1.5 1.5l7 7M8.5 1.5l-7 7", stroke: "currentColor", "stroke-width": 1.8 })],
  canceled: () => [svg("path", { d: "M1 5h8", stroke: "currentColor", "stroke-width": 1.6 })],
};

export function glyph(state) {
  return svg("svg", { class: "glyph", viewBox: "0 0 10 10", "aria-hidden": "true" }, ...(GLYPHS[state] || GLYPHS.queued)());
}
