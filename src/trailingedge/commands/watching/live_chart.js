"use strict";
/* The chart of the live page. Interface:
 *   new LiveChart(canvas)            draws on a canvas, as large as CSS makes it
 *   chart.reset(history, decimals)   columns and rows of a `state` line
 *   chart.add(sample)                newest levels; one of the same minute takes the place of the one before
 *   chart.orders = [...]             lines of the types `order` and `fill`, oldest first
 *   chart.hours = 6                  how much time is shown
 *   chart.draw()                     draws everything
 *   chart.at(clientX)                the sample under the pointer, or null
 * A sample is {ms, bid, lower, mid, upper, anchor, high, take_profit, stop, gate_shut}; numbers, or null.
 */
const LINES = [ // name, key, colour, dash, width
  ["channel", "upper", "--channel", [], 1], ["", "lower", "--channel", [], 1], ["", "mid", "--channel", [4, 4], 1],
  ["anchor", "anchor", "--anchor", [], 1.5], ["best since", "high", "--high", [2, 3], 1.5],
  ["trailing level", "take_profit", "--trail", [], 1.5], ["stop", "stop", "--stop", [], 1.5],
  ["price", "bid", "--price", [], 2],
];

class LiveChart {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = [];
    this.orders = [];
    this.hours = 6;
    this.decimals = 2;
    this.pointer = null;
    this.kept = 2000;
  }

  reset(history, decimals) {
    this.decimals = decimals;
    this.samples = history.rows.map((row) => {
      const sample = {};
      history.columns.forEach((name, at) => { sample[name] = row[at]; });
      return LiveChart.sample(sample, Date.parse(sample.time));
    });
  }

  static sample(fields, ms) {
    const number = (value) => (value === null || value === undefined ? null : Number(value));
    const made = { ms, gate_shut: fields.gate_shut === true };
    for (const [, key] of LINES) made[key] = number(fields[key]);
    return made;
  }

  add(sample) {
    const minute = (ms) => Math.floor(ms / 60000);
    while (this.samples.length && minute(this.samples[this.samples.length - 1].ms) >= minute(sample.ms)) this.samples.pop();
    this.samples.push(sample);
    if (this.samples.length > this.kept) this.samples.splice(0, this.samples.length - this.kept);
  }

  get last() { return this.samples[this.samples.length - 1] || null; }

  colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  layout() {
    const ratio = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    const width = Math.round(box.width), height = Math.round(box.height);
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px system-ui, sans-serif";
    const toMs = this.last.ms, fromMs = Math.max(this.samples[0].ms, toMs - this.hours * 3600000);
    const first = Math.max(0, this.samples.findIndex((sample) => sample.ms >= fromMs) - 1);
    const seen = this.samples.slice(first);
    const right = Math.ceil(pen.measureText(toMs ? this.last.bid.toFixed(this.decimals) : "").width) + 16;
    const plot = { left: 2, right: width - right, top: 10, bottom: height - 22 };
    const [low, high] = this.range(seen);
    const span = Math.max(1, toMs - fromMs);
    return {
      pen, plot, seen, fromMs, toMs, low, high,
      x: (ms) => plot.left + ((ms - fromMs) / span) * (plot.right - plot.left),
      y: (price) => plot.bottom - ((price - low) / (high - low)) * (plot.bottom - plot.top),
    };
  }

  range(seen) {
    let low = Infinity, high = -Infinity;
    const take = (value) => { if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); } };
    for (const sample of seen) { take(sample.bid); take(sample.lower); take(sample.upper); }
    const reach = high - low || high * 1e-4;
    // A level that is far away would flatten the price: it is named at the edge instead.
    for (const key of ["anchor", "high", "take_profit", "stop"]) {
      const value = this.last[key];
      if (value !== null && value > low - reach && value < high + reach) take(value);
    }
    const air = (high - low || high * 1e-4) * 0.05;
    return [low - air, high + air];
  }

  draw() {
    if (this.samples.length < 1 || !this.canvas.clientWidth) return;
    const view = this.view = this.layout();
    const { pen, plot } = view;
    this.drawGrid(view);
    pen.save();
    pen.beginPath();
    pen.rect(plot.left, plot.top - 8, plot.right - plot.left, plot.bottom - plot.top + 16);
    pen.clip();
    this.drawGate(view);
    this.drawBand(view);
    for (const [, key, colour, dash, width] of LINES) this.drawLine(view, key, this.colour(colour), dash, width);
    this.drawOrders(view);
    this.drawPointer(view);
    pen.restore();
    this.drawLabels(view);
  }

  drawGrid({ pen, plot, low, high, fromMs, toMs, x, y }) {
    pen.strokeStyle = this.colour("--grid");
    pen.fillStyle = this.colour("--muted");
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    const rough = (high - low) / 5, size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * size).find((value) => value >= rough);
    this.gridPrices = [];
    for (let price = Math.ceil(low / step) * step; price < high; price += step) {
      const at = Math.round(y(price)) + 0.5;
      pen.beginPath(); pen.moveTo(plot.left, at); pen.lineTo(plot.right, at); pen.stroke();
      this.gridPrices.push([price, at]);
    }
    const every = [5, 10, 15, 30, 60, 120, 180].map((minutes) => minutes * 60000)
      .find((ms) => (toMs - fromMs) / ms <= Math.max(2, (plot.right - plot.left) / 90)) || 180 * 60000;
    pen.textAlign = "center";
    for (let ms = Math.ceil(fromMs / every) * every; ms < toMs; ms += every) {
      if (x(ms) < 20 || x(ms) > plot.right - 18) continue;
      pen.fillText(new Date(ms).toISOString().slice(11, 16), x(ms), plot.bottom + 13);
    }
  }

  drawGate({ pen, plot, seen, x }) {
    pen.fillStyle = this.colour("--gate");
    // Neighbours are one area: the seams of many would show.
    for (let at = 0; at < seen.length; at++) {
      if (!seen[at].gate_shut) continue;
      const from = x(seen[at].ms);
      while (at < seen.length && seen[at].gate_shut) at++;
      pen.fillRect(from, plot.top, (at < seen.length ? x(seen[at].ms) : plot.right) - from, plot.bottom - plot.top);
    }
  }

  drawBand({ pen, seen, x, y }) {
    const inside = seen.filter((sample) => sample.upper !== null && sample.lower !== null);
    if (inside.length < 2) return;
    pen.fillStyle = this.colour("--band");
    pen.beginPath();
    const steps = (key, samples) => samples.forEach((sample, at) => {
      if (at) pen.lineTo(x(sample.ms), y(samples[at - 1][key]));
      pen.lineTo(x(sample.ms), y(sample[key]));
    });
    steps("upper", inside);
    // Backwards a step comes before its minute ends, as it does forwards.
    [...inside].reverse().forEach((sample, at, all) => {
      if (at) pen.lineTo(x(all[at - 1].ms), y(sample.lower));
      pen.lineTo(x(sample.ms), y(sample.lower));
    });
    pen.closePath();
    pen.fill();
  }

  drawLine({ pen, seen, x, y }, key, colour, dash, width) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.lineJoin = "round";
    pen.beginPath();
    let before = null;
    for (const sample of seen) {
      const value = sample[key];
      if (value !== null) {
        // A level holds until it changes; a price moves in between.
        if (before === null) pen.moveTo(x(sample.ms), y(value));
        else { if (key !== "bid") pen.lineTo(x(sample.ms), y(before)); pen.lineTo(x(sample.ms), y(value)); }
      }
      before = value;
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  drawOrders({ pen, plot, x, y, fromMs, toMs }) {
    const resting = new Map();
    const rest = (order, untilMs) => {
      pen.strokeStyle = this.colour(order.side === "BUY" ? "--buy" : "--sell");
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(x(order.ms), y(order.price));
      pen.lineTo(Math.max(x(order.ms) + 2, x(untilMs)), y(order.price));
      pen.stroke();
    };
    const end = (id, ms) => { const order = resting.get(id); if (order) { rest(order, ms); resting.delete(id); } };
    const fills = [];
    for (const line of this.orders) {
      const ms = Date.parse(line.time), made = { ms, side: line.side, price: Number(line.price) };
      if (line.type === "fill") {
        fills.push(made);
        if (Number(line.remaining) === 0) end(line.client_order_id, ms);
        continue;
      }
      end(line.client_order_id, ms);
      if (line.change !== "cancelled") resting.set(line.client_order_id, made);
    }
    for (const id of [...resting.keys()]) end(id, toMs);
    for (const fill of fills) {
      if (fill.ms < fromMs) continue;
      const buy = fill.side === "BUY", up = buy ? 1 : -1, at = x(fill.ms), tip = y(fill.price);
      pen.fillStyle = this.colour(buy ? "--buy" : "--sell");
      pen.strokeStyle = this.colour("--paper");
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(at, tip); pen.lineTo(at - 6, tip + 10 * up); pen.lineTo(at + 6, tip + 10 * up);
      pen.closePath(); pen.fill(); pen.stroke();
    }
  }

  drawPointer({ pen, plot, x }) {
    const sample = this.pointer;
    if (!sample) return;
    pen.strokeStyle = this.colour("--muted");
    pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(x(sample.ms), plot.top); pen.lineTo(x(sample.ms), plot.bottom); pen.stroke();
  }

  drawLabels({ pen, plot, low, high, y }) {
    const labels = [];
    for (const [name, key, colour] of LINES) {
      const value = this.last[key];
      if (!name || name === "channel" || value === null) continue;
      const beyond = value > high ? "↑" : value < low ? "↓" : "";
      const at = Math.min(plot.bottom - 6, Math.max(plot.top + 2, y(value)));
      labels.push({ at, text: value.toFixed(this.decimals) + beyond, colour: this.colour(colour), price: key === "bid" });
    }
    labels.sort((one, other) => one.at - other.at);
    labels.forEach((label, at) => { if (at) label.at = Math.max(label.at, labels[at - 1].at + 14); });
    for (let at = labels.length - 1, limit = plot.bottom; at >= 0; at--, limit -= 14) labels[at].at = Math.min(labels[at].at, limit);
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillStyle = this.colour("--muted");
    for (const [price, at] of this.gridPrices) {
      if (labels.every((label) => Math.abs(label.at - at) > 12)) pen.fillText(price.toFixed(this.decimals), plot.right + 6, at);
    }
    for (const label of labels) {
      pen.fillStyle = label.colour;
      if (label.price) {
        pen.fillRect(plot.right + 2, label.at - 8, pen.measureText(label.text).width + 8, 16);
        pen.fillStyle = this.colour("--paper");
      }
      pen.fillText(label.text, plot.right + 6, label.at);
    }
  }

  at(clientX) {
    if (!this.view) return null;
    const box = this.canvas.getBoundingClientRect();
    let nearest = null, least = Infinity;
    for (const sample of this.view.seen) {
      const away = Math.abs(this.view.x(sample.ms) - (clientX - box.left));
      if (away < least) { least = away; nearest = sample; }
    }
    return nearest;
  }
}
