// The live page of miniftp serve. The server sends what has changed, once a second and as server-sent events.
import { Chart } from "./chart.js";
import { Ladder } from "./ladder.js";
import { Table, element, mode, plural, rate, sessionColumns, size, span, transferColumns, who, write } from "./table.js";

const $ = (id) => document.getElementById(id);
const retryTime = 3000, mostEvents = 100;

const page = {
  stream: null, retry: 0, boot: 0, offset: 0, fresh: true,
  rows: new Map(), shown: [], transfers: [], state: null,
  session: 0, opener: null, ended: false,
};
const chart = new Chart();
const ladder = new Ladder($("ladder"));
const list = new Table("list", sessionColumns, open);
const transfers = new Table("transfers", transferColumns, open);

const now = () => Date.now() + page.offset; // the server's clock

function status(text, kind) {
  write($("status"), text);
  $("dot").className = `dot ${kind}`;
}

function problem(text) {
  $("problem").hidden = !text;
  write($("problem"), text || "");
}

// connect opens the stream, in place of the one that is open. The server makes a view of its own for each stream, with
// the filter and the opened session.
function connect() {
  clearTimeout(page.retry);
  page.stream?.close();
  const query = new URLSearchParams();
  if ($("filter").value.trim()) query.set("filter", $("filter").value.trim());
  if (page.session) query.set("session", page.session);
  page.fresh = true;
  const s = page.stream = new EventSource(`/console/stream?${query}`);
  const on = (name, handle) => s.addEventListener(name, (e) => { if (s === page.stream) handle(JSON.parse(e.data)); });
  on("hello", hello);
  on("state", state);
  on("steps", (m) => ladder.add(m.steps, m.lost));
  on("full", (m) => again(`${m.most} of these pages are open, which is the limit. Close one of them.`));
  s.addEventListener("error", () => { if (s === page.stream) again("The server does not answer. It may have ended, or want its token again."); });
}

function again(why) {
  page.stream.close();
  status("not connected", "lost");
  problem(why);
  clearTimeout(page.retry);
  page.retry = setTimeout(connect, retryTime);
}

function hello(m) {
  if (page.boot && page.boot !== m.boot) shut(); // another server: its sessions are others
  page.boot = m.boot;
  page.offset = m.now - Date.now();
  page.rows.clear();
  problem("");
  write($("name"), m.name);
  document.title = `miniftp ${m.name}`;
  write($("about"), `version ${m.version}, up since ${new Date(m.boot).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}`);
  chart.begin(m.samples);
  ladder.begin();
}

function state(m) {
  page.state = m;
  for (const r of m.rows || []) page.rows.set(r.id, r);
  if (m.shown) page.shown = m.shown;
  if (m.transfers) page.transfers = m.transfers;
  page.ended = Boolean(m.ended);
  const needed = new Set([...page.shown, ...page.transfers, page.session]);
  for (const id of page.rows.keys()) {
    if (!needed.has(id)) page.rows.delete(id);
  }
  if (page.fresh) $("events").replaceChildren();
  page.fresh = false;
  events(m.events || [], m.missed);
  if (m.refusals) refusals(m.refusals);
  chart.add({ t: m.t, sent: m.sent, received: m.received });
  status(m.draining ? "draining: no new sessions" : "live", m.draining ? "draining" : "live");
  show();
}

// show shows the numbers and tables of the last state.
function show() {
  const m = page.state;
  write($("n-sessions"), String(m.sessions));
  write($("n-transfers"), String(m.moving));
  write($("n-sent"), rate(m.sent));
  write($("n-received"), rate(m.received));
  write($("n-ports"), m.ports.size ? String(m.ports.inUse) : "any");
  write($("n-ports-more"), m.ports.size ? `of ${m.ports.size}; ${plural(m.ports.leases, "lease")}, ${m.ports.waiting} waiting` : "free port");
  list.show(page.shown, page.rows, now(), page.session);
  transfers.show(page.transfers, page.rows, now(), page.session);
  const filtered = $("filter").value.trim() !== "";
  const moving = filtered ? "No session that matches transfers anything." : "Nothing is being transferred.";
  const more = m.moving - page.transfers.length;
  write($("no-transfers"), page.transfers.length === 0 ? moving : more > 0 ? `and ${more} more` : "");
  let none = "";
  if (m.sessions === 0) none = "Nobody is connected.";
  else if (m.matched === 0) none = `None of ${m.sessions} sessions matches.`;
  else if (m.matched > page.shown.length) none = `The newest ${page.shown.length} of ${m.matched} sessions${filtered ? " that match" : ""}. Use the filter to find others.`;
  else if (filtered) none = `${m.matched} of ${m.sessions} sessions`;
  write($("no-sessions"), none);
  showOpened();
}

function showOpened() {
  if (!page.session) return;
  const row = page.rows.get(page.session);
  $("kick").disabled = page.ended || !row;
  if (page.ended || !row) {
    if (page.ended) write($("facts"), "The session has ended.");
    ladder.transfer(null);
    return;
  }
  write($("h-opened"), `Session ${row.id}: ${who(row)}`);
  const facts = [`from ${row.from}`, row.tls, `for ${span(now() - row.since)}`, plural(row.commands, "command"), plural(row.transfers, "transfer"), `${size(row.sent)} to the client, ${size(row.received)} from it`];
  if (row.quota) facts.push(`quota: ${row.quota}`);
  if (row.mode) facts.push(mode(row));
  write($("facts"), facts.join(" · "));
  ladder.transfer(row);
}

function events(lines, missed) {
  const box = $("events");
  const put = (text) => {
    const [time, ...rest] = text.split("  ");
    const li = element("li");
    li.append(element("time", "", time), element("bdi", "", rest.join("  ")));
    box.prepend(li);
  };
  if (missed) put(`…  ${missed} events are left out`);
  lines.forEach(put);
  while (box.children.length > mostEvents) box.lastElementChild.remove();
  box.hidden = box.children.length === 0;
  $("no-events").hidden = !box.hidden;
}

function refusals(all) {
  write($("n-refusals"), String(all.reduce((sum, r) => sum + r.count, 0)));
  $("refusals").replaceChildren(...all.map((r) => {
    const li = element("li");
    const text = element("span", "", r.reason);
    if (r.setting) text.append(" ", element("span", "dim", `(${r.setting})`));
    li.append(element("b", "", String(r.count)), text);
    return li;
  }));
  $("no-refusals").hidden = all.length > 0;
}

function open(id, opener) {
  page.opener = opener;
  if (page.session !== id) {
    page.session = id;
    page.ended = false;
    write($("h-opened"), `Session ${id}`);
    write($("facts"), "");
    ladder.begin();
    connect();
  }
  $("opened").hidden = false;
  show();
  $("h-opened").focus({ preventScroll: true });
  $("opened").scrollIntoView({ block: "nearest" });
}

function shut() {
  if (!page.session) return;
  page.session = 0;
  $("opened").hidden = true;
  const back = page.opener?.isConnected ? page.opener : $("sessions");
  back.focus();
  connect();
  if (page.state) show();
}

function ask() {
  const row = page.rows.get(page.session);
  if (!row) return;
  $("confirm").dataset.session = row.id;
  write($("confirm-text"), `Session ${row.id} of ${who(row)} from ${row.from}. A running transfer is aborted. The client may connect again.`);
  $("confirm").showModal();
  $("no").focus();
}

async function kick() {
  const id = Number($("confirm").dataset.session);
  $("confirm").close();
  try {
    const answer = await fetch("/console/kick", {
      method: "POST", headers: { "Content-Type": "application/json", "X-Miniftp-Console": "1" }, body: JSON.stringify({ boot: page.boot, id }),
    });
    problem(answer.ok ? "" : await answer.text());
  } catch {
    problem("The server does not answer: the session may not have ended.");
  }
}

let typing = 0;
$("filter").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(connect, 250); });
$("close").addEventListener("click", shut);
$("kick").addEventListener("click", ask);
$("no").addEventListener("click", () => $("confirm").close());
$("yes").addEventListener("click", kick);
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape" || $("confirm").open || e.target === $("filter") && $("filter").value) return;
  shut();
});
// A page that nobody sees costs the server nothing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) connect();
  else { clearTimeout(page.retry); page.stream?.close(); page.stream = null; status("paused", ""); }
});
setInterval(() => { if (page.state && page.stream) { list.show(page.shown, page.rows, now(), page.session); showOpened(); } }, 1000);
$("n-refusals").textContent = "0";
connect();
