// A note on a run or a sweep, kept when the field is left. Two people who write at once are told.

import { base, headers, send } from "./api.js";
import { el, say } from "./dom.js";
import { complain } from "./frame.js";

export function note(path, hasNote) {
  const field = el("textarea", { rows: 4, placeholder: "Add a note", "aria-label": "Note" });
  const status = el("p", { class: "small", role: "status" });
  let tag = null;
  const read = async () => {
    const response = await fetch(base + path, { headers: headers() });
    if (!response.ok) { return; }
    tag = response.headers.get("ETag");
    field.value = await response.text();
  };
  if (hasNote) { read().catch(() => {}); }
  field.addEventListener("change", async () => {
    const mine = field.value;
    try {
      if (mine === "" && tag) { await send("DELETE", path, undefined, { headers: { "If-Match": tag } }); } else if (mine !== "") { await send("PUT", path, mine, { type: "text/markdown", headers: tag ? { "If-Match": tag } : {} }); }
      const response = await fetch(base + path, { headers: headers() });
      tag = response.ok ? response.headers.get("ETag") : null;
      say(status, "Kept.");
    } catch (problem) {
      if (problem.status !== 412) { complain(problem); return; }
      await read();
      const theirs = field.value;
      field.value = `${theirs}\n\n${mine}`;
      say(status, "Somebody else has changed the note. Theirs stands above yours; leave the field again to keep both.");
    }
  });
  return el("section", { class: "note" }, el("h2", {}, "Note"), field, status);
}
