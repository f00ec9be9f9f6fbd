// The filter of a list as a line of text: name=value words, and loose words that name, note or labels contain. Pure functions.

export const FILTERS = ["state", "m", "cutout_size", "dataset", "preset", "optimizer", "copies", "seed", "depth", "owner", "sweep", "forked_from", "label", "name", "text"];

export function filtersOf(values) {
  return Object.fromEntries(FILTERS.filter((name) => values[name]).map((name) => [name, values[name]]));
}

export function filterText(filters) {
  return Object.entries(filters).filter(([name]) => name !== "state").map(([name, value]) => {
    const quoted = /[\s"]/.test(value) ? `"${value.replaceAll('"', '')}"` : value;
    return name === "text" ? value : `${name}=${quoted}`;
  }).join(" ");
}

// 'm=8,16 name="two words" zebra' -> {m: "8,16", name: "two words", text: "zebra"}; throws an Error that says what is wrong.
export function readFilter(line) {
  const values = {};
  const loose = [];
  for (const [word, name, quoted, bare] of line.matchAll(/([A-Za-z_]+)=(?:"([^"]*)"|(\S*))|\S+/g)) {
    if (name === undefined) {
      loose.push(word);
    } else if (FILTERS.includes(name)) {
      values[name] = quoted ?? bare;
    } else {
      throw new Error(`There is no filter ${name}; there are ${FILTERS.join(", ")}.`);
    }
  }
  if (loose.length > 0) { values.text = loose.join(" "); }
  return values;
}
