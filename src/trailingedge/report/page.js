"use strict";
// Draws the charts. Time is UTC milliseconds, prices are quote per base; a missing number is NaN.
(async () => {
  const $ = (id) => document.getElementById(id);

  // --- what was packed ---

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const data = new Uint8Array(await new Response(stream).arrayBuffer());
    const headEnds = 4 + new DataView(data.buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(data.subarray(4, headEnds)));
    let at = headEnds;
    for (const { name, length, unit, first } of header.columns) {
      const values = new Float64Array(length);
      let before = first;
      for (let row = 0; row < length; row++) {
        const place = at + row;
        const told = (data[place] | (data[place + length] << 8) | (data[place + 2 * length] << 16)
          | (data[place + 3 * length] << 24)) >>> 0;
        if (told === 0xffffffff) values[row] = NaN;
        else values[row] = (before += told % 2 ? -(told + 1) / 2 : told / 2) * unit;
      }
      header[name] = values;
      at += 4 * length;
    }
    return header;
  }

  // Least and greatest of eight, of sixty-four, and so on: a year is then drawn as fast as an hour.
  function pyramid(low, high) {
    const levels = [{ size: 1, low, high }];
    while (levels.at(-1).low.length > 64) {
      const below = levels.at(-1);
      const length = Math.ceil(below.low.length / 8);
      const level = { size: below.size * 8, low: new Float64Array(length), high: new Float64Array(length) };
      for (let row = 0; row < length; row++) {
        let least = NaN;
        let greatest = NaN;
        for (let each = row * 8; each < Math.min(row * 8 + 8, below.low.length); each++) {
          if (!(below.low[each] >= least)) least = Number.isNaN(below.low[each]) ? least : below.low[each];
          if (!(below.high[each] <= greatest)) greatest = Number.isNaN(below.high[each]) ? greatest : below.high[each];
        }
        level.low[row] = least;
        level.high[row] = greatest;
      }
      levels.push(level);
    }
    return levels;
  }

  // The first place whose time is not before `time`.
  function place(times, time) {
    let from = 0;
    let to = times.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (times[middle] < time) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  let data;
  try {
    data = await unpacked($("data").textContent.trim());
  } catch (failure) {
    console.error(failure);
    return; // what the page says of its charts stays
  }
  if (!data.candleMs.length && !data.momentMs.length) {
    $("undrawn").textContent = "There are no candles to draw: the report has none.";
    return;
  }
  $("undrawn").hidden = true;
  $("charts").hidden = false;
  if (matchMedia("(max-width: 44rem)").matches) $("meaning").open = false;

  // --- time without a market ---

  // Told apart by the least of all steps, for the first two candles may have a gap between them.
  let candleLength = Infinity;
  for (let row = 1; row < data.candleMs.length; row++) {
    candleLength = Math.min(candleLength, data.candleMs[row] - data.candleMs[row - 1]);
  }
  if (!Number.isFinite(candleLength) || candleLength <= 0) candleLength = 60000;

  // A month of nothing would leave no room for the days there are: a long gap is drawn as a narrow strip. From here
  // on all times are drawn ones, and `real` says what they stand for.
  const seen = data.candleMs.length * candleLength;
  const folds = [];
  for (let row = 1; row < data.candleMs.length; row++) {
    const [from, to] = [data.candleMs[row - 1] + candleLength, data.candleMs[row]];
    const kept = Math.max(8 * candleLength, seen * 0.04);
    if (to - from > Math.max(kept, seen * 0.1)) folds.push({ from, to, kept, length: to - from });
  }

  function folded(time) {
    let away = 0;
    for (const fold of folds) {
      if (time <= fold.from) break;
      away += (Math.min(time, fold.to) - fold.from) * (1 - fold.kept / fold.length);
    }
    return time - away;
  }

  function real(drawn) {
    let away = 0;
    for (const fold of folds) {
      const inside = drawn - (fold.from - away);
      if (inside <= 0) break;
      away += Math.min(inside, fold.kept) * (fold.length / fold.kept - 1);
    }
    return drawn + away;
  }

  if (folds.length) {
    for (const name of ["candleMs", "momentMs", "restFrom", "restTo", "fillMs"]) data[name] = data[name].map(folded);
    data.exits = data.exits.map((times) => times.map(folded));
    [data.fromMs, data.toMs] = [folded(data.fromMs), folded(data.toMs)];
  }

  // --- words ---

  const twoDigits = (number) => String(number).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const day = (time) => `${new Date(time).getUTCDate()} ${months[new Date(time).getUTCMonth()]}`;
  const month = (time) => `${months[new Date(time).getUTCMonth()]} ${new Date(time).getUTCFullYear()}`;
  const clock = (time) => `${twoDigits(new Date(time).getUTCHours())}:${twoDigits(new Date(time).getUTCMinutes())}`;
  const stamp = (drawn) => new Date(real(drawn)).toISOString().slice(0, 16).replace("T", " ");
  const price = (value) => (Number.isNaN(value) ? "–" : value.toFixed(data.priceDecimals));
  const percent = (value) => (Number.isNaN(value) ? "–" : `${(value * 100).toFixed(2)} %`);

  // --- what is looked at ---

  const starts = [data.fromMs, data.candleMs[0], data.momentMs[0]].filter(Number.isFinite);
  const ends = [data.toMs, data.candleMs.at(-1) + candleLength, data.momentMs.at(-1)].filter(Number.isFinite);
  const everything = { from: Math.min(...starts), to: Math.max(...ends) };
  const least = Math.min(everything.to - everything.from, 15 * candleLength);
  const view = { ...everything };
  let cursor = null; // a time
  let chosen = -1; // an exit
  const hidden = new Set();

  function look(from, to) {
    const span = Math.min(Math.max(to - from, least), everything.to - everything.from);
    const middle = (from + to) / 2;
    view.from = Math.min(Math.max(middle - span / 2, everything.from), everything.to - span);
    view.to = view.from + span;
    // Beside a chart of one day, numbers of another would be taken for its own.
    if (cursor !== null && (cursor < view.from || cursor > view.to)) cursor = null;
    paint();
  }
  const zoom = (factor, around) => look(around - (around - view.from) * factor, around + (view.to - around) * factor);
  const move = (by) => look(view.from + by, view.to + by);

  // --- colours ---

  let colour = {};
  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["paper", "ink", "muted", "line", "grid", "price", "rise", "channel", "band", "anchor", "high",
      "trail", "stop", "gate", "buy", "sell", "account", "hold-base", "hold-quote", "fall"]) {
      colour[name] = style.getPropertyValue(`--${name}`).trim();
    }
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); legends(); paint(); });

  // --- a panel: one canvas, its scales and its strokes ---

  const MARGIN = { top: 8, bottom: 22 };

  // Where candles are missing, no line is drawn as if there had been some.
  const gap = (times, row, size) => row > 0 && times[row * size] - times[row * size - 1] > 3 * candleLength;

  class Panel {
    constructor(id, draw, words) {
      this.canvas = $(id);
      this.draw = draw;
      this.words = words;
    }

    begin() {
      const box = this.canvas.getBoundingClientRect();
      const ratio = window.devicePixelRatio || 1;
      const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
      if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
      this.width = box.width - Panel.axis;
      this.height = box.height - MARGIN.bottom;
      this.pen = this.canvas.getContext("2d");
      this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.pen.clearRect(0, 0, box.width, box.height);
      this.pen.font = "11px system-ui, sans-serif";
      this.pen.lineJoin = "round";
    }

    x(time) { return ((time - view.from) / (view.to - view.from)) * this.width; }
    y(value) { return this.height - ((value - this.low) / (this.high - this.low)) * (this.height - MARGIN.top); }
    time(x) { return view.from + (x / this.width) * (view.to - view.from); }

    scale(low, high, floor = 0) {
      if (!(low <= high)) [low, high] = [0, 1];
      const room = Math.max((high - low) * 0.06, Math.abs(high) * 1e-5, floor) || 1;
      this.low = low - room;
      this.high = high + room;
    }

    // Rows from one before the view to one after it.
    rows(times) {
      return [Math.max(0, place(times, view.from) - 1), Math.min(times.length, place(times, view.to) + 1)];
    }

    level(levels, from, to) {
      const each = (to - from) / Math.max(1, this.width);
      let found = levels[0];
      for (const level of levels) if (level.size <= each) found = level;
      return found;
    }

    extremes(levels, times) {
      const [from, to] = this.rows(times);
      const level = this.level(levels, from, to);
      let [low, high] = [Infinity, -Infinity];
      for (let row = Math.floor(from / level.size); row < Math.ceil(to / level.size); row++) {
        if (level.low[row] < low) low = level.low[row];
        if (level.high[row] > high) high = level.high[row];
      }
      return [low, high];
    }

    // Least and greatest of what falls into each pixel: [x, low, high, whether the line goes on from the one before].
    columns(levels, times, ceiling = levels) {
      const [from, to] = this.rows(times);
      const level = this.level(levels, from, to);
      const ceilings = ceiling[levels.indexOf(level)].high;
      const found = [];
      let goesOn = false;
      let open = null;
      const take = (time, low, high, broken) => {
        if (broken) goesOn = false;
        if (Number.isNaN(low)) { goesOn = false; return; }
        const x = this.x(time);
        if (open !== null && goesOn && Math.floor(x) === Math.floor(open[0])) {
          if (low < open[1]) open[1] = low;
          if (high > open[2]) open[2] = high;
        } else found.push(open = [x, low, high, goesOn]);
        goesOn = true;
      };
      for (let row = Math.floor(from / level.size); row < Math.ceil(to / level.size); row++) {
        const begin = row * level.size;
        const end = Math.min(begin + level.size, times.length);
        if (times[end - 1] - times[begin] > 3 * level.size * candleLength) {
          // What lies on both sides of a gap is no one stroke.
          for (let each = begin; each < end; each++) {
            take(times[each], levels[0].low[each], ceiling[0].high[each], gap(times, each, 1));
          }
        } else take(times[begin], level.low[row], ceilings[row], gap(times, row, level.size));
      }
      return found;
    }

    // Along the least and the greatest of each pixel; a missing number breaks the line.
    line(levels, times, style, { width = 1.4, dash = [], step = false } = {}) {
      const pen = this.pen;
      const dense = density(this) > 8;
      pen.beginPath();
      let last = NaN;
      for (const [x, low, high, goesOn] of this.columns(levels, times)) {
        const [near, far] = Math.abs(low - last) < Math.abs(high - last) ? [low, high] : [high, low];
        if (!goesOn) pen.moveTo(x, this.y(near));
        else {
          if (step) pen.lineTo(x, this.y(last));
          pen.lineTo(x, this.y(near));
        }
        if (far !== near) pen.lineTo(x, this.y(far));
        last = far;
      }
      Object.assign(pen, { strokeStyle: style, lineWidth: dense ? Math.min(1, width) : width });
      pen.setLineDash(dense ? [] : dash);
      pen.stroke();
      pen.setLineDash([]);
    }

    // The area from the curve up to another, or to a number.
    band(lower, upper, times, style) {
      const pen = this.pen;
      const top = typeof upper === "number" ? upper : null;
      let edge = [];
      const close = () => {
        pen.beginPath();
        for (const [x, low] of edge) pen.lineTo(x, this.y(low));
        for (const [x, , high] of edge.reverse()) pen.lineTo(x, this.y(top ?? high));
        pen.fill();
        edge = [];
      };
      pen.fillStyle = style;
      for (const column of this.columns(lower, times, top === null ? upper : lower)) {
        if (!column[3]) close();
        edge.push(column);
      }
      close();
    }

    axes(words, count, tagged = NaN) {
      const pen = this.pen;
      pen.textBaseline = "middle";
      pen.textAlign = "left";
      for (const value of steps(this.low, this.high, count)) {
        const y = Math.round(this.y(value)) + 0.5;
        if (y < 6 || y > this.height - 4) continue;
        const under = Math.abs(y - this.y(tagged)) < 15; // the tag says more than this label would
        pen.strokeStyle = colour.grid;
        pen.lineWidth = 1;
        pen.beginPath();
        pen.moveTo(0, y);
        pen.lineTo(this.width, y);
        pen.stroke();
        pen.fillStyle = colour.muted;
        if (!under) pen.fillText(words(value), this.width + 6, y);
      }
      pen.textBaseline = "alphabetic";
      pen.textAlign = "center";
      for (const [time, label] of moments(Math.max(2, Math.floor(this.width / 75)))) {
        const x = Math.round(this.x(time)) + 0.5;
        if (x < 0 || x > this.width) continue;
        pen.strokeStyle = colour.grid;
        pen.beginPath();
        pen.moveTo(x, 0);
        pen.lineTo(x, this.height);
        pen.stroke();
        const half = pen.measureText(label).width / 2;
        if (x - half < 0 || x + half > this.width + Panel.axis) continue;
        pen.fillStyle = colour.muted;
        pen.fillText(label, x, this.height + 15);
      }
      pen.strokeStyle = colour.line;
      pen.beginPath();
      pen.moveTo(0, this.height + 0.5);
      pen.lineTo(this.width, this.height + 0.5);
      pen.stroke();
    }

    inside(work) {
      this.pen.save();
      this.pen.beginPath();
      this.pen.rect(0, 0, this.width, this.height);
      this.pen.clip();
      work();
      this.pen.restore();
    }

    crosshair() {
      if (cursor === null) return;
      const x = Math.round(this.x(cursor)) + 0.5;
      this.pen.strokeStyle = colour.muted;
      this.pen.lineWidth = 1;
      this.pen.setLineDash([2, 3]);
      this.pen.beginPath();
      this.pen.moveTo(x, 0);
      this.pen.lineTo(x, this.height);
      this.pen.stroke();
      this.pen.setLineDash([]);
    }

    // A value at the axis, so that the newest number is never guessed.
    tag(value, words, style) {
      if (!(value >= this.low && value <= this.high)) return;
      const y = Math.min(Math.max(this.y(value), 8), this.height - 8);
      this.pen.fillStyle = style;
      this.pen.fillRect(this.width + 1, y - 8, Panel.axis - 1, 16);
      this.pen.fillStyle = colour.paper;
      Object.assign(this.pen, { textAlign: "left", textBaseline: "middle" });
      this.pen.fillText(words(value), this.width + 6, y);
    }
  }

  function steps(low, high, count) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].find((each) => each * power >= rough) * power;
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
    return found;
  }

  const [MINUTE, HOUR, DAY] = [60000, 3600000, 86400000];
  function moments(count) {
    const rough = (view.to - view.from) / count;
    const step = [MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR,
      12 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 90 * DAY].find((each) => each >= rough) ?? 365 * DAY;
    const found = [];
    for (let time = Math.ceil(real(view.from) / step) * step; time <= real(view.to); time += step) {
      const fold = folds.find((each) => time > each.from && time < each.to);
      if (fold) time = Math.ceil(fold.to / step) * step;
      found.push([folded(time), time % DAY ? clock(time) : step < 30 * DAY ? day(time) : month(time)]);
    }
    return found;
  }

  // Stretches of time in which a column has one value.
  function stretches(times, values, wanted) {
    const found = [];
    let since = null;
    for (let row = 0; row < times.length; row++) {
      if (since !== null && gap(times, row, 1)) { found.push([since, times[row - 1]]); since = null; }
      if (values[row] === wanted && since === null) since = times[row];
      if (values[row] !== wanted && since !== null) { found.push([since, times[row]]); since = null; }
    }
    if (since !== null) found.push([since, times.at(-1)]);
    return found;
  }

  const curve = {};
  for (const name of ["anchor", "high", "trail", "stop", "upper", "mid", "lower", "account", "holdBase", "drawdown"]) {
    curve[name] = pyramid(data[name], data[name]);
  }
  curve.price = pyramid(data.bottom, data.top);
  curve.close = pyramid(data.close, data.close);
  const gateShut = stretches(data.momentMs, data.gate, 1);
  const holding = [stretches(data.momentMs, data.held, 1), stretches(data.momentMs, data.held, 2)];

  // --- the price ---

  // So far away that these would only be a smear over the price.
  const FINE = ["anchor", "high", "trail", "stop"];
  const density = (panel) => (view.to - view.from) / candleLength / panel.width;
  const far = (panel) => density(panel) > 8;
  const unseen = (panel, name) => hidden.has(name) || (FINE.includes(name) && far(panel));

  function drawPrice(panel) {
    let [low, high] = panel.extremes(curve.price, data.candleMs);
    for (const name of ["anchor", "high", "trail", "stop", "upper", "lower"]) {
      if (unseen(panel, name) || (hidden.has("channel") && ["upper", "lower"].includes(name))) continue;
      const [lowest, greatest] = panel.extremes(curve[name], data.momentMs);
      [low, high] = [Math.min(low, lowest), Math.max(high, greatest)];
    }
    panel.scale(low, high);
    const last = data.close[place(data.candleMs, view.to) - 1];
    panel.axes(price, Math.max(3, Math.round(panel.height / 60)), last);
    panel.inside(() => {
      drawFolds(panel, true);
      if (!hidden.has("gate")) drawGate(panel);
      if (chosen >= 0) drawChosen(panel);
      if (!hidden.has("channel")) {
        panel.band(curve.lower, curve.upper, data.momentMs, colour.band);
        for (const name of ["upper", "lower"]) panel.line(curve[name], data.momentMs, colour.channel, { width: 1 });
        panel.line(curve.mid, data.momentMs, colour.channel, { width: 1, dash: [5, 4] });
      }
      drawCandles(panel);
      if (!unseen(panel, "anchor")) panel.line(curve.anchor, data.momentMs, colour.anchor, { width: 1.6, step: true });
      if (!unseen(panel, "high")) panel.line(curve.high, data.momentMs, colour.high, { dash: [1, 3], width: 2, step: true });
      if (!unseen(panel, "stop")) panel.line(curve.stop, data.momentMs, colour.stop, { width: 1.6, dash: [9, 3], step: true });
      if (!unseen(panel, "trail")) panel.line(curve.trail, data.momentMs, colour.trail, { width: 2 });
      if (!hidden.has("orders")) { drawRests(panel); drawFills(panel); }
      drawHolding(panel);
    });
    panel.tag(last, price, colour.price);
    panel.crosshair();
  }

  function drawFolds(panel, named) {
    const pen = panel.pen;
    for (const fold of folds) {
      const [left, right] = [panel.x(folded(fold.from)), panel.x(folded(fold.to))];
      if (right < 0 || left > panel.width) continue;
      pen.fillStyle = colour.grid;
      pen.fillRect(left, 0, right - left, panel.height);
      if (!named || right - left < 9) continue;
      const words = fold.length < 2 * DAY ? `${Math.round(fold.length / HOUR)} h` : `${Math.round(fold.length / DAY)} days`;
      pen.save();
      pen.translate((left + right) / 2, panel.height / 2);
      pen.rotate(-Math.PI / 2);
      Object.assign(pen, { fillStyle: colour.muted, textAlign: "center", textBaseline: "middle" });
      pen.fillText(`no market for ${words}`, 0, 0);
      pen.restore();
    }
  }

  function drawGate(panel) {
    const pen = panel.pen;
    pen.fillStyle = colour.gate;
    let done = 0; // never twice over the same pixel, which would be twice as dark
    for (const [from, to] of gateShut) {
      if (to < view.from || from > view.to) continue;
      const left = Math.max(done, Math.round(panel.x(from)));
      const right = Math.min(panel.width, Math.max(left + 1, Math.round(panel.x(to))));
      pen.fillRect(left, 0, right - left, far(panel) ? 8 : panel.height);
      done = right;
    }
  }

  function drawChosen(panel) {
    const [from, to] = data.exits[chosen];
    const [left, right] = [panel.x(from), panel.x(to)];
    panel.pen.fillStyle = colour.grid;
    panel.pen.fillRect(left - 3, 0, right - left + 6, panel.height);
  }

  function drawCandles(panel) {
    const [from, to] = panel.rows(data.candleMs);
    const pen = panel.pen;
    const wide = panel.x(view.from + candleLength);
    if (wide < 4) {
      Object.assign(pen, { strokeStyle: colour.price, lineWidth: 1, globalAlpha: 0.45 });
      pen.beginPath();
      for (const [x, low, high] of panel.columns(curve.price, data.candleMs)) {
        pen.moveTo(x, panel.y(low));
        pen.lineTo(x, panel.y(high) - 0.5);
      }
      pen.stroke();
      pen.globalAlpha = 1;
      panel.line(curve.close, data.candleMs, colour.price, { width: 1.2 });
      return;
    }
    const body = Math.max(2, Math.min(14, wide * 0.65));
    Object.assign(pen, { strokeStyle: colour.price, lineWidth: 1 });
    for (let row = from; row < to; row++) {
      const middle = Math.round(panel.x(data.candleMs[row] + candleLength / 2)) + 0.5;
      const [open, close] = [panel.y(data.open[row]), panel.y(data.close[row])];
      pen.beginPath();
      pen.moveTo(middle, panel.y(data.top[row]));
      pen.lineTo(middle, panel.y(data.bottom[row]));
      pen.stroke();
      pen.fillStyle = data.close[row] >= data.open[row] ? colour.paper : colour.price;
      pen.fillRect(middle - body / 2, Math.min(open, close), body, Math.max(1, Math.abs(open - close)));
      pen.strokeRect(middle - body / 2, Math.min(open, close), body, Math.max(1, Math.abs(open - close)));
    }
  }

  function drawRests(panel) {
    if (density(panel) > 8) return; // none would be as long as a pixel
    const pen = panel.pen;
    const to = place(data.restFrom, view.to);
    // Rests end soon after they begin; one that began a day before the view is not missed.
    for (const [side, style] of [[0, colour.buy], [1, colour.sell]]) {
      Object.assign(pen, { strokeStyle: style, lineWidth: 1.5 });
      pen.beginPath();
      for (let row = place(data.restFrom, view.from - DAY); row < to; row++) {
        if (data.restSide[row] !== side || data.restTo[row] < view.from) continue;
        const [left, right, y] = [panel.x(data.restFrom[row]), panel.x(data.restTo[row]), panel.y(data.restPrice[row])];
        pen.moveTo(left, y);
        pen.lineTo(Math.max(right, left + 1), y);
      }
      pen.stroke();
    }
  }

  function drawFills(panel) {
    const pen = panel.pen;
    const [from, to] = [place(data.fillMs, view.from), place(data.fillMs, view.to)];
    const size = Math.min(5.5, Math.max(2.5, (panel.width / Math.max(1, to - from)) * 0.8));
    for (const [side, style] of [[0, colour.buy], [1, colour.sell]]) {
      const away = side ? -1 : 1;
      let [lastX, lastExit] = [-99, -1];
      pen.beginPath();
      for (let row = from; row < to; row++) {
        if (data.fillSide[row] !== side) continue;
        const [x, y] = [panel.x(data.fillMs[row]), panel.y(data.fillPrice[row]) + away * 1.5];
        if (x - lastX < 2 && data.fillExit[row] === lastExit) continue; // the same exit, hidden behind another fill
        [lastX, lastExit] = [x, data.fillExit[row]];
        pen.moveTo(x, y);
        pen.lineTo(x - size, y + away * size * 1.8);
        pen.lineTo(x + size, y + away * size * 1.8);
        pen.closePath();
      }
      Object.assign(pen, { fillStyle: style, strokeStyle: colour.paper, lineWidth: 1.5 });
      if (size > 4) pen.stroke();
      pen.fill();
    }
  }

  function drawHolding(panel) {
    const pen = panel.pen;
    const y = panel.height - 6;
    Object.assign(pen, { fillStyle: colour.muted, strokeStyle: colour.muted, lineWidth: 1 });
    holding.forEach((found, hollow) => {
      let done = -2;
      pen.beginPath();
      for (const [from, to] of found) {
        if (to < view.from || from > view.to) continue;
        const left = Math.max(done, Math.round(panel.x(from)));
        const right = Math.min(panel.width + 2, Math.round(panel.x(to)));
        if (right > left) pen.rect(left, y + 0.5, right - left, 5);
        done = Math.max(done, right);
      }
      if (!hollow) pen.fill();
      pen.stroke();
    });
  }

  // --- the account ---

  function money(value) {
    if (Number.isNaN(value)) return "–";
    const digits = Math.min(8, Math.max(0, 5 - Math.floor(Math.log10(Math.max(1e-9, Math.abs(data.holdQuote))))));
    return value.toFixed(Math.min(digits, 2 + (data.holdQuote < 1 ? 6 : 0)));
  }

  function drawEquity(panel) {
    let [low, high] = panel.extremes(curve.account, data.momentMs);
    if (!hidden.has("holdBase")) {
      const [lowest, greatest] = panel.extremes(curve.holdBase, data.momentMs);
      [low, high] = [Math.min(low, lowest), Math.max(high, greatest)];
    }
    if (!hidden.has("holdQuote")) [low, high] = [Math.min(low, data.holdQuote), Math.max(high, data.holdQuote)];
    panel.scale(low, high);
    const last = data.account[place(data.momentMs, view.to) - 1];
    panel.axes(money, Math.max(3, Math.round(panel.height / 45)), last);
    panel.inside(() => {
      drawFolds(panel, false);
      const pen = panel.pen;
      if (!hidden.has("holdQuote")) {
        Object.assign(pen, { strokeStyle: colour["hold-quote"], lineWidth: 1.5 });
        pen.setLineDash([2, 3]);
        pen.beginPath();
        pen.moveTo(0, panel.y(data.holdQuote));
        pen.lineTo(panel.width, panel.y(data.holdQuote));
        pen.stroke();
        pen.setLineDash([]);
      }
      if (!hidden.has("holdBase")) panel.line(curve.holdBase, data.momentMs, colour["hold-base"], { dash: [6, 3], width: 1.3 });
      if (!hidden.has("account")) panel.line(curve.account, data.momentMs, colour.account, { width: 2 });
    });
    panel.tag(last, money, colour.account);
    panel.crosshair();
  }

  function drawDrawdown(panel) {
    const [low] = panel.extremes(curve.drawdown, data.momentMs);
    panel.low = Math.min(low * 1.08, -0.001);
    panel.high = 0;
    panel.axes((value) => `${(value * 100).toFixed(Math.abs(panel.low) < 0.02 ? 1 : 0)} %`, 3);
    panel.inside(() => {
      drawFolds(panel, false);
      panel.band(curve.drawdown, 0, data.momentMs, colour.fall);
      panel.line(curve.drawdown, data.momentMs, colour.stop, { width: 1.2 });
    });
    panel.crosshair();
  }

  const panels = [new Panel("price", drawPrice), new Panel("equity", drawEquity), new Panel("drawdown", drawDrawdown)];

  let asked = false;
  function paint() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const pen = panels[0].canvas.getContext("2d");
      pen.font = "11px system-ui, sans-serif";
      const widest = [price(Math.max(data.close.at(-1) || 0, 1)), money(data.holdQuote), "-10 %"];
      Panel.axis = Math.ceil(Math.max(...widest.map((word) => pen.measureText(word).width))) + 14;
      for (const panel of panels) { panel.begin(); panel.draw(panel); }
      tell();
    });
  }

  // --- legends, which also tell the numbers under the cursor ---

  const swatch = {
    line: (style, dash, width) => `<line x1="1" y1="6" x2="21" y2="6" stroke="${style}" stroke-width="${width}" stroke-dasharray="${dash}"/>`,
    box: (style, edge) => `<rect x="1" y="1" width="20" height="10" fill="${style}" stroke="${edge}"/>`,
  };

  const momentAt = (name) => (row) => data[name][row.moment] ?? NaN;
  const entries = () => ({
    "legend-price": [
      ["price", "price", swatch.line(colour.price, "", 2), (row) => price(data.close[row.candle] ?? NaN), false],
      ["channel", "channel", swatch.box(colour.band, colour.channel),
        (row) => `${price(momentAt("lower")(row))} · ${price(momentAt("mid")(row))} · ${price(momentAt("upper")(row))}`, true],
      ["anchor", "anchor", swatch.line(colour.anchor, "", 2), (row) => price(momentAt("anchor")(row)), true],
      ["high", "best since", swatch.line(colour.high, "2 3", 2.5), (row) => price(momentAt("high")(row)), true],
      ["trail", "trailing level", swatch.line(colour.trail, "", 2.5), (row) => price(momentAt("trail")(row)), true],
      ["stop", "stop", swatch.line(colour.stop, "7 3", 2), (row) => price(momentAt("stop")(row)), true],
      ["gate", "gate shut", swatch.box(colour.gate, "none"), (row) => (momentAt("gate")(row) === 1 ? "yes" : "no"), true],
      ["orders", "orders, fills", `<path d="M2 2h8l-4 8z" fill="${colour.sell}"/><path d="M12 10h8l-4-8z" fill="${colour.buy}"/>`, () => "", true],
      ["held", "holding", `<rect x="1" y="3" width="11" height="6" fill="${colour.muted}" stroke="${colour.muted}"/>`
        + `<rect x="12" y="3" width="9" height="6" fill="none" stroke="${colour.muted}"/>`,
        (row) => ["nothing", data.base, data.quote][momentAt("held")(row)] ?? "–", false],
    ],
    "legend-equity": [
      ["account", "account", swatch.line(colour.account, "", 2.5), (row) => money(momentAt("account")(row)), true],
      ["holdBase", `holding ${data.base}`, swatch.line(colour["hold-base"], "6 3", 2), (row) => money(momentAt("holdBase")(row)), true],
      ["holdQuote", `holding ${data.quote}`, swatch.line(colour["hold-quote"], "2 3", 2), () => money(data.holdQuote), true],
    ],
    "legend-drawdown": [
      ["below", "account below its best", swatch.box(colour.fall, colour.stop), (row) => percent(momentAt("drawdown")(row)), false],
    ],
  });

  let told = [];
  function legends() {
    told = [];
    for (const [id, listed] of Object.entries(entries())) {
      $(id).replaceChildren(...listed.map(([name, words, mark, value, optional]) => {
        const item = document.createElement(optional ? "button" : "span");
        if (optional) {
          item.type = "button";
          item.title = "show or hide";
          item.setAttribute("aria-pressed", String(!hidden.has(name)));
          item.addEventListener("click", () => {
            if (!hidden.delete(name)) hidden.add(name);
            item.setAttribute("aria-pressed", String(!hidden.has(name)));
            paint();
          });
        } else item.className = "key";
        item.innerHTML = `<svg viewBox="0 0 22 12" aria-hidden="true">${mark}</svg><span></span><b></b>`;
        item.querySelector("span").textContent = words;
        told.push([item.querySelector("b"), value]);
        return item;
      }));
    }
  }

  function tell() {
    const time = cursor ?? view.to;
    const row = {
      candle: Math.max(0, place(data.candleMs, time + 1) - 1),
      moment: Math.max(0, place(data.momentMs, time + 1) - 1),
    };
    for (const [item, value] of told) item.textContent = value(row);
    $("at").textContent = cursor === null
      ? `${stamp(view.from)} to ${stamp(view.to)} UTC`
      : `${stamp(data.candleMs[row.candle] ?? time)} UTC: open ${price(data.open[row.candle] ?? NaN)}, high `
        + `${price(data.top[row.candle] ?? NaN)}, low ${price(data.bottom[row.candle] ?? NaN)}`;
    $("detail").textContent = detail();
    for (const button of document.querySelectorAll("[data-hours]")) {
      const span = Number(button.dataset.hours) * HOUR || everything.to - everything.from;
      button.setAttribute("aria-pressed", String(Math.abs(view.to - view.from - span) < 1000));
    }
  }

  // --- exits: from the table to the chart, and back ---

  const rows = [...document.querySelectorAll("#exits tbody tr")];
  const hands = matchMedia("(pointer: coarse)").matches
    ? "Pinch to zoom, drag to move, “all” for all of it."
    : "Wheel to zoom, drag to move, double-click for all of it.";
  const hint = `${hands} Choose an exit in the table to see it here.`;

  function choose(exit) {
    rows[chosen]?.classList.remove("chosen");
    chosen = exit;
    rows[chosen]?.classList.add("chosen");
    paint();
  }

  function detail() {
    if (chosen < 0) return far(panels[0]) ? `${hint} Closer up, anchor, best, trailing level and stop are drawn too.` : hint;
    const bare = (cell, at) => at < 2 || cell.dataset.label === "side";
    const told = (cell, at) => (bare(cell, at) ? cell.textContent : `${cell.dataset.label}: ${cell.textContent}`);
    return [...(rows[chosen]?.cells ?? [])].map(told).join(" · ");
  }

  for (const button of document.querySelectorAll("[data-exit]")) {
    button.addEventListener("click", () => {
      const [from, to] = data.exits[Number(button.dataset.exit)];
      const room = Math.max(45 * candleLength, (to - from) * 1.5);
      choose(Number(button.dataset.exit));
      cursor = to;
      look(from - room, to + room);
      $("charts").scrollIntoView({ behavior: "smooth", block: "start" });
    });
  }

  function fillNear(panel, x, y) {
    let [found, nearest] = [-1, 14];
    for (let row = place(data.fillMs, panel.time(x - 14)); row < place(data.fillMs, panel.time(x + 14)); row++) {
      const middle = panel.y(data.fillPrice[row]) + (data.fillSide[row] === 1 ? -7 : 7);
      const distance = Math.hypot(panel.x(data.fillMs[row]) - x, middle - y);
      if (distance < nearest) [found, nearest] = [row, distance];
    }
    return found < 0 || Number.isNaN(data.fillExit[found]) ? -1 : data.fillExit[found];
  }

  // --- hands ---

  for (const panel of panels) {
    const canvas = panel.canvas;
    const fingers = new Map();
    let travelled = 0;

    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move((event.deltaX / panel.width) * (view.to - view.from));
      else zoom(1.0015 ** (event.deltaY * (event.deltaMode === 1 ? 16 : 1)), panel.time(event.offsetX));
    }, { passive: false });

    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event.offsetX);
      travelled = 0;
    });

    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      cursor = Math.min(Math.max(panel.time(event.offsetX), view.from), view.to);
      if (before === undefined) { paint(); return; }
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
      fingers.set(event.pointerId, event.offsetX);
      travelled += Math.abs(event.offsetX - before);
      if (others.length) {
        const apart = Math.max(10, Math.abs(event.offsetX - others[0]));
        zoom(Math.max(10, Math.abs(before - others[0])) / apart, panel.time((event.offsetX + others[0]) / 2));
      } else move(((before - event.offsetX) / panel.width) * (view.to - view.from));
    });

    const lift = (event) => fingers.delete(event.pointerId);
    canvas.addEventListener("pointerup", (event) => {
      lift(event);
      if (travelled > 6) return;
      cursor = panel.time(event.offsetX);
      if (panel === panels[0]) choose(fillNear(panel, event.offsetX, event.offsetY));
      paint();
    });
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !fingers.size) { cursor = null; paint(); }
    });
    canvas.addEventListener("dblclick", () => look(everything.from, everything.to));
  }

  $("price").addEventListener("keydown", (event) => {
    const span = view.to - view.from;
    const acts = {
      ArrowLeft: () => move(-span / 5),
      ArrowRight: () => move(span / 5),
      "+": () => zoom(0.6, (view.from + view.to) / 2),
      "-": () => zoom(1 / 0.6, (view.from + view.to) / 2),
      Home: () => look(everything.from, everything.to),
    }[event.key];
    if (acts) { event.preventDefault(); acts(); }
  });

  for (const button of document.querySelectorAll("[data-hours]")) {
    button.addEventListener("click", () => {
      const span = Number(button.dataset.hours) * HOUR || everything.to - everything.from;
      const middle = cursor ?? (view.from + view.to) / 2;
      look(middle - span / 2, middle + span / 2);
    });
  }
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => zoom(Number(button.dataset.zoom), (view.from + view.to) / 2));
  }

  readColours();
  legends();
  new ResizeObserver(paint).observe($("charts"));
  paint();
})();
