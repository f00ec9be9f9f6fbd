// The daemon's API by fetch. A token is kept for this tab alone and goes only into the Authorization header.

const TOKEN = "cutoutd.token";
const LINK = "cutoutd.link";
export const prefix = document.querySelector('meta[name="prefix"]').content;
export const base = `${prefix}/api/v1`;

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The daemon answered ${status}.`);
    this.status = status;
    this.errors = body.errors || [];
    this.requestId = body.request_id;
  }
}

// /sweeps/3#link=SECRET: whoever opened this sees that sweep and nothing else, in this tab. The secret is a token, and stays
// in the fragment, which no server is sent.
function openedLink() {
  const secret = new URLSearchParams(location.hash.slice(1)).get("link");
  const sweep = location.pathname.match(/\/sweeps\/(\d+)$/)?.[1];
  if (secret && sweep) { sessionStorage.setItem(LINK, JSON.stringify({ secret, sweep })); }
  return JSON.parse(sessionStorage.getItem(LINK));
}

export let link = openedLink();

export const token = {
  get: () => link?.secret ?? sessionStorage.getItem(TOKEN),
  set(value) {
    link = null;
    sessionStorage.removeItem(LINK);
    sessionStorage.setItem(TOKEN, value);
    dispatchEvent(new Event("token"));
  },
};

export function headers(more = {}) {
  return token.get() ? { Authorization: `Bearer ${token.get()}`, ...more } : more;
}

export function query(values) {
  const parts = Object.entries(values).filter(([, value]) => value != null && value !== "")
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value).replaceAll("%2C", ",")}`);
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

async function answer(response) {
  const type = response.headers.get("Content-Type") || "";
  const body = type.includes("json") ? await response.json() : await response.text();
  if (!response.ok) {
    throw new Problem(response.status, typeof body === "string" ? { detail: body } : body);
  }
  return body;
}

export async function get(path, values = {}, signal = undefined) {
  return answer(await fetch(base + path + query(values), { headers: headers(), signal }));
}

export async function send(method, path, body = undefined, more = {}) {
  const type = body === undefined ? {} : { "Content-Type": more.type || "application/json" };
  return answer(await fetch(base + path, {
    method,
    headers: headers({ ...type, ...more.headers }),
    body: body === undefined ? undefined : more.type ? body : JSON.stringify(body),
    signal: more.signal,
  }));
}

// A picture or a file that may need the token: as an address of this page.
export async function blob(path, values = {}) {
  const response = await fetch(base + path + query(values), { headers: headers() });
  if (!response.ok) { await answer(response); }
  return URL.createObjectURL(await response.blob());
}

// Saves an answer of the daemon as a file. A link alone could not carry the token.
export async function save(path, values, name) {
  const address = await blob(path, values);
  saveAs(address, name);
}

export function saveAs(address, name) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

export async function all(path, values = {}, most = 1000) {
  const items = [];
  let cursor;
  do {
    const page = await get(path, { limit: 100, ...values, cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}
