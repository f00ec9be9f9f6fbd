// Elements without markup in strings: text from users can only ever become text.

export function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value == null || value === false) { continue; }
    if (key.startsWith("on")) {
      node.addEventListener(key.slice(2), value);
    } else if (key === "class") {
      node.className = value;
    } else if (key in node && !key.startsWith("aria") && key !== "list" && key !== "form") {
      node[key] = value;
    } else {
      node.setAttribute(key, value === true ? "" : value);
    }
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value != null) { node.setAttribute(key, value); }
  }
  node.append(...children);
  return node;
}

// Replaces the text only if it has changed: what did not change is not announced and does not flash.
export function say(node, text) {
  if (node.textContent !== text) { node.textContent = text; }
}

// Makes these the children of a node and moves only those that are not where they belong, so that focus stays.
export function keepChildren(node, wanted) {
  const keep = new Set(wanted);
  for (const child of [...node.childNodes]) { if (!keep.has(child)) { child.remove(); } }
  wanted.forEach((child, i) => { if (node.childNodes[i] !== child) { node.insertBefore(child, node.childNodes[i] ?? null); } });
}

export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (button) {
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  }
}
