// The chart of the throughput: what was sent and received each second of the last 5 or 15 minutes.
import { rate, write } from "./table.js";

const width = 600, height = 120, kept = 900;
const $ = (id) => document.getElementById(id);

function svg(name, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  return e;
}

// nice returns 1, 2 or 5 times a power of ten that is not less than n.
function nice(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1000)));
  return [1, 2, 5, 10].map((m) => m * power).find((v) => v >= n);
}

export class Chart {
  constructor() {
    this.samples = [];
    this.svg = $("chart");
    this.area = svg("path", { class: "area" });
    this.sent = svg("path", { class: "curve sent" });
    this.received = svg("path", { class: "curve received" });
    for (const y of [0, height / 2, height]) this.svg.append(svg("line", { class: "grid", x1: 0, x2: width, y1: y, y2: y }));
    this.svg.append(this.area, this.sent, this.received);
  }

  begin(samples) { this.samples = samples.slice(-kept); this.draw(); }

  add(sample) {
    if (this.samples.at(-1)?.t === sample.t) this.samples.pop();
    this.samples.push(sample);
    if (this.samples.length > kept) this.samples.shift();
    this.draw();
  }

  draw() {
    const last = this.samples.at(-1);
    if (!last) return;
    const minutes = last.t - this.samples[0].t > 300 ? 15 : 5;
    const begin = last.t - 60 * minutes;
    const shown = this.samples.filter((s) => s.t >= begin);
    const most = Math.max(...shown.map((s) => Math.max(s.sent, s.received)));
    const top = nice(most);
    const line = (key) => shown.map((s, i) => {
      const x = width * (s.t - begin) / (60 * minutes), y = height * (1 - s[key] / top);
      const gap = i === 0 || s.t - shown[i - 1].t > 10; // nobody looked meanwhile
      return `${gap ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    const sent = line("sent");
    this.sent.setAttribute("d", sent.join(""));
    this.received.setAttribute("d", line("received").join(""));
    const from = sent.findLastIndex((p) => p.startsWith("M"));
    const part = sent.slice(from), x = (p) => p.slice(1).split(" ")[0];
    this.area.setAttribute("d", `M${x(part[0])} ${height}L${part.map((p) => p.slice(1)).join("L")}L${x(part.at(-1))} ${height}Z`);
    write($("y-max"), rate(top));
    write($("y-half"), rate(top / 2));
    write($("x-start"), `${minutes} minutes ago`);
    this.svg.setAttribute("aria-label", `Throughput of the last ${minutes} minutes: now ${rate(last.sent)} to clients and ${rate(last.received)} from clients; at most ${rate(most)}`);
  }
}
