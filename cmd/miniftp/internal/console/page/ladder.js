// The ladder of the opened session: the client on the left, the server on the right, an arrow for all that passes.
import { element, mode, progress, rate, span } from "./table.js";

const most = 400; // steps

export class Ladder {
  constructor(list) {
    this.list = list;
    this.stick = true; // the end is in view, and stays there
    list.addEventListener("scroll", () => { this.stick = list.scrollHeight - list.scrollTop - list.clientHeight < 40; });
    new ResizeObserver(() => this.toEnd()).observe(list);
  }

  begin() { this.list.replaceChildren(); this.live = null; this.stick = true; }

  add(steps, lost) {
    if (lost) this.put({ note: `${lost} steps are missing: there were too many at once`, bad: true });
    for (const s of steps) this.put(s);
    while (this.list.children.length > most) this.list.firstElementChild.remove();
    this.toEnd();
  }

  toEnd() { if (this.stick) this.list.scrollTop = this.list.scrollHeight; }

  put(s) { this.list.insertBefore(rung(s), this.live); }

  // transfer shows the bytes of the running transfer as the last rung.
  transfer(row) {
    this.live?.remove();
    this.live = null;
    if (row?.mode && row.moved !== undefined) {
      const left = row.total && row.rate ? `, ${span(1000 * (row.total - row.moved) / row.rate)} left` : "";
      this.live = rung({ bytes: true, to: row.upload ? "server" : "client", note: `${progress(row)}, ${rate(row.rate || 0)}${left}`, running: true });
      this.live.title = mode(row);
      this.list.append(this.live);
    }
    this.toEnd();
  }
}

// end returns what one end says or does: ":51234 dials" on the left, "listens :2121" on the right.
function end(side, text, does) {
  const e = element("span", side);
  const parts = [];
  if (text) parts.push(element("bdi", "", text));
  if (does) parts.push(element("span", `does ${does}`, does));
  if (side === "right") parts.reverse();
  parts.forEach((p, i) => e.append(i ? " " : "", p));
  return e;
}

function rung(s) {
  const li = element("li", [s.label, s.bytes && "bytes", s.bad && "bad", s.running && "running"].filter(Boolean).join(" "));
  if (s.t) li.title = new Date(s.t).toLocaleTimeString();
  if (!s.to && !s.left && !s.right) {
    const alone = element("span", "alone", (s.label ? `${s.label}: ` : "") + (s.note || ""));
    if (s.bad) alone.classList.add("bad");
    li.append(alone);
    return li;
  }
  const left = end("left", s.left, s.leftDoes);
  if (s.label) left.prepend(element("span", "label", s.label), " ");
  const arrow = element("span", `arrow ${s.to || ""}`);
  arrow.append(element("span", "away", s.to === "client" ? " server to client: " : " client to server: "));
  const right = end("right", s.right, s.rightDoes);
  if (s.note) {
    // What the client announces is written below it, and all else on the side of the server.
    const said = element("span", "note", s.note);
    (s.left && s.to === "server" && !s.label && !s.right ? left : right).append(said);
  }
  li.append(left, arrow, right);
  return li;
}
