// Texts of sessions and the two tables. All that comes from the server is set as text, never as HTML.

const units = ["B", "kB", "MB", "GB", "TB", "PB"];

export function size(n) {
  let i = 0;
  while (n >= 999.5 && i < units.length - 1) { n /= 1000; i++; }
  return (i === 0 || n >= 10 ? Math.round(n) : n.toFixed(1)) + " " + units[i];
}

export const rate = (n) => size(n) + "/s";

// span writes a time in milliseconds as 0:05, 12:30 or 1:02:03.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

export function element(name, className, text) {
  const e = document.createElement(name);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// write sets the text of an element, unless it is the same: then a screen reader has nothing to say.
export function write(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// clip writes a text of which two lines are shown; the title has all of it.
function clip(td, text) {
  if (!td.firstChild) td.append(element("span", "clip"));
  write(td.firstChild, text);
  if (td.title !== text) td.title = text;
}

export const plural = (n, one) => `${n} ${one}${n === 1 ? "" : "s"}`;

export const who = (row) => row.user || "not logged in";

// mode says who listens and who dials, as seen from the server.
export const mode = (row) => `${row.mode}: ${row.stance === "dials" ? "the server dials" : "the client dials"}`;

export function doing(row, now) {
  if (!row.verb) return `idle ${span(now - row.idleSince)}` + (row.last ? ` after ${row.last}` : "");
  return `${row.verb} ${row.path || ""}`.trim();
}

function percent(row) { return Math.min(100, Math.floor(100 * row.moved / row.total)); }

export function progress(row) {
  const moved = size(row.moved || 0);
  return row.total ? `${percent(row)} % of ${size(row.total)}` : moved;
}

// Table keeps the rows of a table: an element for each session, which stays the same while the session is shown, so that
// the focus does.
export class Table {
  constructor(id, columns, open) {
    this.body = document.querySelector(`#${id} tbody`);
    this.table = this.body.parentElement;
    this.columns = columns;
    this.open = open;
    this.rows = new Map();
  }

  show(ids, data, now, current) {
    for (const [id, tr] of this.rows) {
      if (!ids.includes(id)) { tr.remove(); this.rows.delete(id); }
    }
    let at = this.body.firstElementChild;
    for (const id of ids) {
      const row = data.get(id);
      if (!row) continue;
      let tr = this.rows.get(id);
      if (!tr) { tr = this.make(id); this.rows.set(id, tr); }
      if (tr === at) at = at.nextElementSibling;
      else this.body.insertBefore(tr, at);
      tr.classList.toggle("current", id === current);
      tr.button.setAttribute("aria-expanded", String(id === current));
      this.columns.forEach((c, i) => c.fill(tr.cells[i], row, now));
    }
    this.table.hidden = this.rows.size === 0;
  }

  make(id) {
    const tr = element("tr");
    tr.dataset.session = id;
    tr.setAttribute("role", "row");
    for (const c of this.columns) {
      const td = element("td", c.className);
      td.setAttribute("role", "cell");
      if (c.label) td.dataset.label = c.label;
      tr.append(td);
    }
    tr.button = element("button", "link");
    tr.button.type = "button";
    tr.button.setAttribute("aria-controls", "opened");
    tr.cells[0].append(tr.button);
    tr.addEventListener("click", () => this.open(id, tr.button));
    return tr;
  }
}

const name = { className: "user", fill(td, row) {
  const b = td.firstElementChild;
  write(b, who(row));
  b.setAttribute("aria-label", `${who(row)}, session ${row.id}: show`);
} };

export const transferColumns = [
  name,
  { className: "wide file", fill: (td, row) => clip(td, (row.upload ? "→ " : "← ") + (row.path || row.verb)) },
  { className: "wide", fill(td, row) {
    if (!td.firstChild) td.append(element("span"), element("progress"));
    const [text, bar] = td.children;
    write(text, progress(row));
    bar.setAttribute("aria-label", `${row.upload ? "upload" : "download"} of ${row.path || row.verb}`);
    if (row.total) { bar.max = row.total; bar.value = row.moved || 0; }
    bar.hidden = !row.total;
  } },
  { className: "num", label: "rate", fill: (td, row) => write(td, rate(row.rate || 0)) },
  { className: "num", label: "left", fill: (td, row) => write(td, row.total && row.rate ? span(1000 * (row.total - (row.moved || 0)) / row.rate) : "") },
  { className: "wide", fill: (td, row) => write(td, mode(row)) },
];

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });

export const sessionColumns = [
  name,
  { className: "from", fill: (td, row) => write(td, row.from) },
  { className: "narrow", label: "TLS", fill: (td, row) => write(td, row.tls.replace(/^TLS /, "") === row.tls ? row.tls : row.tls.slice(4)) },
  { className: "narrow", label: "since", fill: (td, row) => write(td, clock.format(row.since)) },
  { className: "wide file", fill: (td, row, now) => clip(td, doing(row, now)) },
  { className: "num", label: "to client", fill: (td, row) => write(td, size(row.sent)) },
  { className: "num", label: "from client", fill: (td, row) => write(td, size(row.received)) },
];
