// The large figure of a comparison as a file: what is seen, at its place and in its colours, as SVG, PNG or PDF. Text stays text.
//
// The figure becomes a list of shapes first: {line: [[x, y]..], colour, width, dash}, {area: [[x, y]..], colour, alpha},
// {dot: [x, y], r, fill, colour}, {text, x, y, size, bold, end, colour}; pixels from the upper left; `inside` is cut at the axes.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const LABELS = 128; // pixels beside the plot
const HEAD = 28;
const CAPTION_LETTERS = 120; // of a line

function shapesOf(figure, heading, caption) {
  const { graph: g, view, groups } = figure;
  const area = g.getArea();
  const [ink, quiet, rule, line, second] = ["--ink", "--ink-3", "--rule", "--line", "--ink-2"].map(css);
  const shapes = [{ text: heading, x: area.x, y: 16 - HEAD, size: 12, colour: quiet }];
  const at = (x, y) => [figure.domX(g, x), g.toDomYCoord(y)];
  const [low, high] = g.yAxisRange();
  for (const { v, label } of figure.yTicks(low, high, area.h)) {
    const y = g.toDomYCoord(v);
    shapes.push({ line: [[area.x, y], [area.x + area.w, y]], colour: rule, width: 1 }, { text: label, x: area.x - 8, y: y + 4, size: 12, end: true, colour: quiet });
  }
  const [from, to] = g.xAxisRange();
  shapes.push({ line: [[area.x, area.y + area.h], [area.x + area.w, area.y + area.h]], colour: line, width: 1 });
  for (const { v, label } of figure.xTicks(from, to, area.w)) { shapes.push({ text: label, x: figure.domX(g, v), y: area.y + area.h + 16, size: 12, middle: true, colour: quiet }); }
  const inside = [];
  const curve = (points, more) => { if (points.length > 1) { inside.push({ line: points, ...more }); } else if (points.length === 1) { inside.push({ dot: points[0], r: 3, fill: more.colour, colour: more.colour }); } };
  for (const group of groups) {
    const drawn = group.points.map((p, i) => ({ ...p, value: group.smooth ? group.smooth[i] : p.mean })).filter((p) => p.value != null);
    const band = view.seeds !== "each" && !group.smooth && !group.plain ? drawn.filter((p) => p.n >= 2 && p.std != null) : [];
    if (band.length > 1) {
      inside.push({ area: [...band.map((p) => at(p.x, p.value + p.std)), ...band.toReversed().map((p) => at(p.x, Math.max(p.value - p.std, view.log ? 1e-4 : 0)))], colour: group.look.color, alpha: 0.13 });
    }
    if (group.smooth) { curve(group.points.filter((p) => p.mean != null).map((p) => at(p.x, p.mean)), { colour: group.look.color, width: 1, alpha: 0.35 }); }
    if (view.seeds === "each") { group.seeds.forEach((seed) => curve(seed.filter(([, v]) => v != null).map(([x, v]) => at(x, v)), { colour: group.look.color, width: 1, alpha: 0.32 })); }
    curve(drawn.map((p) => at(p.x, p.value)), { colour: group.look.color, width: group.plain ? 1 : 2, dash: group.look.dash });
    group.points.forEach((p, i) => { if (i > 0 && p.n < group.points[i - 1].n && group.points[i - 1].mean != null) { inside.push({ dot: at(group.points[i - 1].x, group.points[i - 1].mean), r: 4, colour: group.look.color }); } });
  }
  const target = view.target && g.toDomYCoord(view.target);
  if (target && target >= area.y && target <= area.y + area.h) {
    inside.push({ line: [[area.x, target], [area.x + area.w, target]], colour: ink, width: 1 });
    shapes.push({ text: `target ${figure.yText(view.target)}${view.unit === "percent" ? " %" : ""}`, x: area.x + 6, y: target - 6, size: 12, colour: ink });
    for (const group of groups.filter((one) => one.reachedX != null && !one.plain)) {
      const x = figure.domX(g, group.reachedX);
      inside.push({ line: [[x, target], [x, area.y + area.h]], colour: group.look.color, width: 1 }, { dot: [x, target], r: 3.5, fill: group.look.color, colour: group.look.color });
    }
  }
  for (const label of figure.ends) {
    const x = area.x + area.w + 10;
    shapes.push({ line: [[x, label.y], [x + 28, label.y]], colour: label.look.color, width: 2, dash: label.look.dash }, { text: label.name, x: x + 34, y: label.y + 4, size: 12, bold: true, colour: ink }, { text: label.value, x: area.x + area.w + LABELS, y: label.y + 4, size: 12, end: true, colour: second });
  }
  shapes.push({ text: view.unit === "percent" ? "mean, %" : "mean", x: area.x + area.w + LABELS, y: Math.max(4, (figure.ends[0]?.y ?? 20) - 14), size: 12, end: true, colour: quiet });
  const lines = caption.match(new RegExp(`(.{1,${CAPTION_LETTERS}})(?: |$)`, "g")) || [];
  lines.forEach((text, i) => shapes.push({ text: text.trim(), x: area.x, y: area.y + area.h + 40 + 16 * i, size: 12, colour: quiet }));
  return { width: area.x + area.w + LABELS + 8, height: area.y + area.h + 32 + 16 * lines.length + HEAD, shapes, inside, area };
}

const number = (x) => String(Math.round(x * 100) / 100);
const escaped = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

export function figureSvg(figure, heading, caption) {
  const { width, height, shapes, inside, area } = shapesOf(figure, heading, caption);
  const one = (s) => {
    const opacity = s.alpha ? ` ${s.area ? "fill" : "stroke"}-opacity="${s.alpha}"` : "";
    if (s.text !== undefined) { return `<text x="${number(s.x)}" y="${number(s.y)}" font-size="${s.size}" fill="${s.colour}"${s.bold ? ' font-weight="600"' : ""}${s.end ? ' text-anchor="end"' : s.middle ? ' text-anchor="middle"' : ""}>${escaped(s.text)}</text>`; }
    if (s.dot) { return `<circle cx="${number(s.dot[0])}" cy="${number(s.dot[1])}" r="${s.r}" fill="${s.fill || "none"}" stroke="${s.colour}" stroke-width="1.5"/>`; }
    const points = (s.line || s.area).map(([x, y]) => `${number(x)},${number(y)}`).join(" ");
    return s.area ? `<polygon points="${points}" fill="${s.colour}"${opacity}/>` : `<polyline points="${points}" fill="none" stroke="${s.colour}" stroke-width="${s.width}"${s.dash ? ` stroke-dasharray="${s.dash.join(" ")}"` : ""}${opacity} stroke-linejoin="round"/>`;
  };
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.round(width)}" height="${Math.round(height)}" viewBox="0 ${-HEAD} ${Math.round(width)} ${Math.round(height)}" font-family="${escaped(css("--sans"))}">
<rect y="${-HEAD}" width="100%" height="100%" fill="${css("--paper")}"/>
<clipPath id="axes"><rect x="${area.x}" y="${area.y - 4}" width="${area.w + 4}" height="${area.h + 4}"/></clipPath>
${shapes.map(one).join("\n")}
<g clip-path="url(#axes)">
${inside.map(one).join("\n")}
</g>
</svg>
`;
}

// The same at twice the pixels.
export async function figurePng(figure, heading, caption) {
  const image = new Image();
  const address = URL.createObjectURL(new Blob([figureSvg(figure, heading, caption)], { type: "image/svg+xml" }));
  image.src = address;
  await image.decode();
  URL.revokeObjectURL(address);
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * 2;
  canvas.height = image.naturalHeight * 2;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

// One page of PDF 1.4 with Helvetica, which every reader has; a letter that it lacks becomes a question mark.
export function figurePdf(figure, heading, caption) {
  const { width, height, shapes, inside, area } = shapesOf(figure, heading, caption);
  const rgb = (hex) => [1, 3, 5].map((i) => number(parseInt(hex.slice(i, i + 2), 16) / 255)).join(" ");
  const y = (v) => height - HEAD - v; // upwards, in PDF
  const helvetica = (text) => [...text].map((c) => (c === "−" ? "-" : c === "…" ? "..." : c === "±" ? "\\261" : c === "\u00a0" ? " " : /[ -~]/.test(c) ? c.replace(/[()\\]/, "\\$&") : "?")).join("");
  const alphas = [...new Set([...shapes, ...inside].map((s) => s.alpha || 1))];
  const measure = document.createElement("canvas").getContext("2d");
  const path = (points) => points.map(([px, py], i) => `${number(px)} ${number(y(py))} ${i === 0 ? "m" : "l"}`).join("\n");
  const one = (s) => {
    const alpha = `/A${alphas.indexOf(s.alpha || 1)} gs`;
    if (s.text !== undefined) {
      measure.font = `${s.bold ? "600 " : ""}${s.size}px Helvetica, Arial, "Liberation Sans", sans-serif`;
      const wide = measure.measureText(s.text).width;
      return `BT /${s.bold ? "F2" : "F1"} ${s.size} Tf ${rgb(s.colour)} rg ${number(s.end ? s.x - wide : s.middle ? s.x - wide / 2 : s.x)} ${number(y(s.y))} Td (${helvetica(s.text)}) Tj ET`;
    }
    if (s.dot) { // a circle of four curves
      const [cx, cy, r, k] = [s.dot[0], y(s.dot[1]), s.r, s.r * 0.5523];
      const to = (...values) => values.map(number).join(" ");
      return `${rgb(s.colour)} RG ${s.fill ? `${rgb(s.fill)} rg ` : ""}1.5 w [] 0 d ${to(cx + r, cy)} m ${to(cx + r, cy + k, cx + k, cy + r, cx, cy + r)} c ${to(cx - k, cy + r, cx - r, cy + k, cx - r, cy)} c ${to(cx - r, cy - k, cx - k, cy - r, cx, cy - r)} c ${to(cx + k, cy - r, cx + r, cy - k, cx + r, cy)} c ${s.fill ? "b" : "s"}`;
    }
    if (s.area) { return `q ${alpha} ${rgb(s.colour)} rg ${path(s.area)} f Q`; }
    return `q ${alpha} ${rgb(s.colour)} RG ${s.width} w 1 j [${(s.dash || []).join(" ")}] 0 d ${path(s.line)} S Q`;
  };
  const content = [`${rgb(css("--paper"))} rg 0 0 ${number(width)} ${number(height)} re f`, ...shapes.map(one), `q ${number(area.x)} ${number(y(area.y + area.h))} ${number(area.w + 4)} ${number(area.h + 4)} re W n`, ...inside.map(one), "Q"].join("\n");
  const font = (name) => `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`;
  const objects = ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${number(width)} ${number(height)}] /Contents 4 0 R /Resources << /Font << /F1 5 0 R /F2 6 0 R >> /ExtGState << ${alphas.map((alpha, i) => `/A${i} << /ca ${alpha} /CA ${alpha} >>`).join(" ")} >> >> >>`,
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`, font("Helvetica"), font("Helvetica-Bold")];
  let file = "%PDF-1.4\n";
  const places = objects.map((object, i) => {
    const place = file.length;
    file += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return place;
  });
  const table = file.length;
  return `${file}xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((place) => `${String(place).padStart(10, "0")} 00000 n \n`).join("")}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${table}\n%%EOF\n`;
}
