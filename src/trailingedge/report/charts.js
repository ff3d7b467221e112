"use strict";
/* Charts over time, drawn by uPlot, for the report and for a live page. Times are UTC milliseconds.
 *
 *   const charts = new TimeCharts({ step, table, folds })   charts that share one table, one view and one crosshair
 *   charts.setTable(table)                 {ms: [...], NAME: [...], ...}: columns; null where there is no value
 *   charts.add(element, spec)              one more chart, in an element that has its size from CSS
 *   charts.legend(element, entries)        names, colours and values under the crosshair; a click hides what it names
 *   charts.look(from, to), zoom(factor, around), move(by), all()
 *   charts.point(time)                     puts the crosshair there
 *   charts.listeners.push((charts) => …)   called after each change of view or crosshair
 *   priceChart(charts, element, options)   a chart of the price, with all that the program watched and did
 *   priceLegend(charts, element, words)    its legend
 *
 * With `folds`, all times but those of TimeFolds.real are drawn times. Nothing is computed here but places on the
 * screen: the numbers come from the page. Colours are the custom properties of the style sheet.
 */
const MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const FAR = 8; // steps in one pixel; from there on, lines that follow the price would be a smear over it
const CANDLE = 4; // pixels of a step; from there on, there is room for candles

/* The first place whose time is not before `time`. */
function place(times, time) {
  let from = 0, to = times.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (times[middle] < time) from = middle + 1;
    else to = middle;
  }
  return from;
}

/* A month without a market would leave no room for the days there are: a long hole is drawn as a narrow strip. */
class TimeFolds {
  constructor(times, step) {
    const seen = times.length * step, kept = Math.max(8 * step, seen * 0.04);
    this.list = [];
    for (let row = 1; row < times.length; row++) {
      const from = times[row - 1] + step, length = times[row] - from;
      if (length > Math.max(kept, seen * 0.1)) this.list.push({ from, to: times[row], kept, length });
    }
  }

  drawn(time) {
    if (!this.list.length) return time;
    let away = 0;
    for (const fold of this.list) {
      if (time <= fold.from) break;
      away += (Math.min(time, fold.to) - fold.from) * (1 - fold.kept / fold.length);
    }
    return time - away;
  }

  real(drawn) {
    let away = 0;
    for (const fold of this.list) {
      const inside = drawn - (fold.from - away);
      if (inside <= 0) break;
      away += Math.min(inside, fold.kept) * (fold.length / fold.kept - 1);
    }
    return drawn + away;
  }
}

/* The least step between times, and `usual` where there is none. The first two may have a hole between them. */
function leastStep(times, usual) {
  let step = Infinity;
  for (let row = 1; row < times.length; row++) step = Math.min(step, times[row] - times[row - 1]);
  return step > 0 && step < Infinity ? step : usual;
}

/* The table with a row without values in each hole of some of its steps, which breaks its lines. */
function brokenTable(table) {
  const { ms } = table, step = leastStep(ms, Infinity), holes = [];
  for (let row = 1; row < ms.length; row++) if (ms[row] - ms[row - 1] > 3 * step) holes.push(row);
  if (!holes.length) return table;
  const withHoles = (column, filler) => {
    const found = [];
    let from = 0;
    for (const row of [...holes, ms.length]) {
      for (let each = from; each < row; each++) found.push(column[each]);
      if (row < ms.length) found.push(filler(row));
      from = row;
    }
    return found;
  };
  return Object.fromEntries(Object.entries(table).map(
    ([name, column]) => [name, withHoles(column, name === "ms" ? (row) => ms[row - 1] + 1 : () => null)]));
}

/* Tables of columns as one, by time. At times of other tables alone a cell is undefined, which uPlot passes over; after
 * a null it is null, so that the line stays broken until the next value. */
function joinedTables(tables) {
  const whole = tables.map((table) => brokenTable(table));
  const every = Float64Array.from(whole.flatMap((table) => table.ms)).sort();
  const found = { ms: Array.from(every.filter((time, row) => row === 0 || time !== every[row - 1])) };
  for (const { ms, ...columns } of whole) {
    for (const [name, column] of Object.entries(columns)) {
      const cells = found[name] = new Array(found.ms.length);
      for (let row = 0, own = 0; row < cells.length; row++) {
        if (own < ms.length && ms[own] === found.ms[row]) cells[row] = column[own++];
        else cells[row] = own > 0 && column[own - 1] === null ? null : undefined;
      }
    }
  }
  return found;
}

/* Stretches of time in which a column has one value. */
function stretches(times, values, wanted) {
  const found = [];
  let since = null;
  for (let row = 0; row < times.length; row++) {
    if (values[row] === wanted && since === null) since = times[row];
    if (values[row] !== wanted && values[row] !== undefined && since !== null) {
      found.push([since, times[row]]);
      since = null;
    }
  }
  if (since !== null) found.push([since, times[times.length - 1]]);
  return found;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const STEPS = [1, 2, 5, 10, 15, 30].map((each) => each * MINUTE).concat([1, 2, 3, 6, 12].map((each) => each * HOUR))
  .concat([1, 2, 3, 7, 14, 30, 60, 90].map((each) => each * DAY));

function momentLabel(time, step) {
  const date = new Date(time);
  if (time % DAY) return date.toISOString().slice(11, 16);
  const month = MONTHS[date.getUTCMonth()];
  return step < 30 * DAY ? `${date.getUTCDate()} ${month}` : `${month} ${date.getUTCFullYear()}`;
}

class TimeCharts {
  constructor({ step, table, folds = new TimeFolds([], step) }) {
    Object.assign(this, { step, folds, plots: [], hidden: new Set(), listeners: [], cursor: null, axisWidth: 56 });
    this.colour = new Proxy({}, { get: (_, name) => this.styles.getPropertyValue(`--${name}`).trim() });
    this.styles = getComputedStyle(document.documentElement); // live: follows a change of theme
    this.setTable(table);
    this.view = { ...this.everything };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  setTable(table, bounds = { from: table.ms[0], to: table.ms[table.ms.length - 1] }) {
    this.table = table;
    this.everything = bounds;
    for (const plot of this.plots) {
      plot.spec.refresh?.();
      plot.u.setData(this.columns(plot.names), false);
    }
  }

  columns(names) { return [this.table.ms, ...names.map((name) => this.table[name] ?? this.table.ms.map(() => null))]; }

  /* spec: {series: {NAME: {colour, width, dash, stepped, fill, auto, group, fine, when(charts)}}, bands: [[UPPER, LOWER,
   * colour, when(charts)]], format(value), axis(value), range(low, high), tag: NAME, under(drawing), after: {NAME: (drawing) =>
   * …}, over(drawing), onTap(plot, left, top)}. A `fine` series is hidden from far away; `group` is what a legend hides
   * together; a series without `auto` does not widen the scale; layers draw below the series, after one of them, and on top. */
  add(element, spec) {
    const names = Object.keys(spec.series), plot = { element, spec, names };
    const layer = (draw) => (u) => draw && inside(this.drawing(plot), draw);
    const options = {
      width: element.clientWidth, height: element.clientHeight, ms: 1, legend: { show: false }, padding: [8, 0, 0, 0],
      scales: {
        x: { time: false, range: (_, low, high) => [low, high] },
        y: { range: (_, low, high) => (spec.range || padded)(low, high) },
      },
      series: [{}, ...names.map((name) => this.seriesOptions(spec.series[name]))],
      bands: (spec.bands || []).map(([upper, lower, colour, when]) => (
        { series: [names.indexOf(upper) + 1, names.indexOf(lower) + 1], fill: () => this.paint(colour, when) })),
      axes: this.axes(spec),
      cursor: {
        y: false, points: { show: false }, drag: { x: false, y: false, setScale: false },
        sync: { key: "charts", scales: ["x", null] }, bind: { dblclick: () => null },
      },
      hooks: {
        drawAxes: [layer(spec.under)],
        drawSeries: [(_, at) => layer(spec.after?.[names[at - 1]])()],
        draw: [layer(spec.over), () => this.tag(plot)],
        setCursor: [(u) => this.onCursor(u)],
      },
    };
    plot.u = new uPlot(options, this.columns(names), element);
    this.plots.push(plot);
    this.listen(plot);
    new ResizeObserver(() => {
      if (element.clientWidth) plot.u.setSize({ width: element.clientWidth, height: element.clientHeight });
    }).observe(element);
    this.show(plot);
    return plot;
  }

  /* A colour; no colour where `when`, if there is one, says no. */
  paint(colour, when) { return !when || when(this) ? this.colour[colour] : "transparent"; }

  seriesOptions({ colour, width = 1.5, dash, stepped, fill, auto = true, when }) {
    return {
      width, dash, auto, points: { show: false }, fillTo: 0,
      stroke: colour ? () => this.paint(colour, when) : null,
      fill: fill ? () => this.colour[fill] : null,
      paths: stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
    };
  }

  axes(spec) {
    const font = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif', stroke = () => this.colour.muted;
    const grid = { stroke: () => this.colour.grid, width: 1 }, ticks = { show: false };
    const count = (u) => Math.max(2, Math.floor(u.bbox.width / uPlot.pxRatio / 75));
    return [
      { font, stroke, grid, ticks, size: 24, gap: 6, splits: (u) => this.moments(count(u)).map(([time]) => time),
        // A label that the left edge would cut is left out.
        values: (u) => this.moments(count(u)).map(([time, label]) => (u.valToPos(time, "x") < 18 ? "" : label)) },
      { font, stroke, grid, ticks, side: 1, size: () => this.axisWidth, gap: 6, space: 38,
        values: (_, splits) => splits.map(spec.axis || spec.format) },
    ];
  }

  /* Drawn times of the labels below a chart, and the labels. */
  moments(count) {
    const [from, to] = [this.folds.real(this.view.from), this.folds.real(this.view.to)], found = [];
    const rough = (this.view.to - this.view.from) / count, step = STEPS.find((each) => each >= rough) || 365 * DAY;
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const fold = this.folds.list.find((each) => time > each.from && time < each.to);
      if (fold) time = Math.ceil(fold.to / step) * step;
      found.push([this.folds.drawn(time), momentLabel(time, step)]);
    }
    return found;
  }

  /* --- the view --- */

  look(from, to) {
    const { everything, view } = this, longest = everything.to - everything.from;
    const span = Math.min(Math.max(to - from, Math.min(longest, 15 * this.step)), longest);
    view.from = Math.min(Math.max((from + to - span) / 2, everything.from), everything.to - span);
    view.to = view.from + span;
    this.moved = true; // drawn with the next frame: several turns of a wheel are one drawing
    this.changed();
  }

  /* Draw the view now. */
  drawView() {
    this.moved = false;
    for (const plot of this.plots) this.show(plot);
  }

  zoom(factor, around) { this.look(around - (around - this.view.from) * factor, around + (this.view.to - around) * factor); }
  move(by) { this.look(this.view.from + by, this.view.to + by); }
  all() { this.look(this.everything.from, this.everything.to); }

  show(plot) {
    const { u, spec, names } = plot;
    u.batch(() => {
      names.forEach((name, at) => {
        const { fine, group = name } = spec.series[name], show = !this.hidden.has(group) && !(fine && this.far(plot));
        if (u.series[at + 1].show !== show) u.setSeries(at + 1, { show });
      });
      u.setScale("x", { min: this.view.from, max: this.view.to });
    });
  }

  /* The width of a step in pixels of the first chart. */
  get stepWidth() { const plot = this.plots[0]; return plot ? 1 / this.density(plot) : 0; }
  density({ u }) { return (this.view.to - this.view.from) / this.step / Math.max(1, u.bbox.width / uPlot.pxRatio); }
  far(plot) { return this.density(plot) > FAR; }

  redraw() { for (const { u } of this.plots) u.redraw(false); this.changed(); }

  /* --- the crosshair --- */

  point(time) {
    const { u } = this.plots[0];
    this.drawView();
    u.setCursor({ left: u.valToPos(time, "x"), top: u.over.clientHeight / 2 }, true, true);
  }

  onCursor(u) {
    this.cursor = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null;
    this.changed();
  }

  /* The row at the crosshair, without one the last row in view. */
  get row() { return Math.max(0, place(this.table.ms, (this.cursor ?? this.view.to) + 1) - 1); }

  /* The value of a column at the crosshair. Tables that do not share their times leave cells without one. */
  at(name) {
    let { row } = this;
    const column = this.table[name];
    while (row > 0 && column[row] === undefined) row--;
    return column[row] ?? null;
  }

  changed() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (this.moved) this.drawView();
      for (const listener of this.listeners) listener(this);
    });
  }

  /* --- drawing --- */

  /* What a layer draws with: pen, places in canvas pixels, and the plot's edges. */
  drawing(plot) {
    const { u } = plot, { left, top, width, height } = u.bbox;
    return {
      plot, u, pen: u.ctx, px: uPlot.pxRatio, colour: this.colour, left, top, right: left + width, bottom: top + height,
      x: (time) => u.valToPos(time, "x", true), y: (value) => u.valToPos(value, "y", true),
    };
  }

  /* A value at the axis, so that the newest number need not be guessed. */
  tag({ u, spec, plot }) {
    if (!spec.tag) return;
    const column = this.table[spec.tag];
    let row = place(this.table.ms, this.view.to + 1) - 1;
    while (row > 0 && (column[row] === null || column[row] === undefined)) row--;
    const value = column[row], { pen, px, y, right, top, bottom, colour } = this.drawing({ u, plot });
    if (!(value >= u.scales.y.min && value <= u.scales.y.max)) return;
    const middle = Math.min(Math.max(y(value), top + 8 * px), bottom - 8 * px);
    pen.fillStyle = colour[spec.series[spec.tag].colour];
    pen.fillRect(right + px, middle - 8 * px, (this.axisWidth - 1) * px, 16 * px);
    Object.assign(pen, { fillStyle: colour.paper, textAlign: "left", textBaseline: "middle", font: `${11 * px}px system-ui, sans-serif` });
    pen.fillText(spec.format(value), right + 6 * px, middle);
  }

  /* entries: [name, words, mark (SVG), value(charts), can be hidden] */
  legend(element, entries) {
    const values = [];
    element.replaceChildren(...entries.map(([name, words, mark, value, optional]) => {
      const item = document.createElement(optional ? "button" : "span");
      item.innerHTML = `<svg viewBox="0 0 22 12" aria-hidden="true">${mark}</svg><span></span><b></b>`;
      item.querySelector("span").textContent = words;
      values.push([item.querySelector("b"), value]);
      item.className = "key";
      if (optional) this.makeToggle(item, name);
      return item;
    }));
    const fill = () => { for (const [item, value] of values) item.textContent = value(this); };
    this.listeners.push(fill);
    fill();
  }

  makeToggle(item, name) {
    Object.assign(item, { type: "button", title: "show or hide" });
    item.setAttribute("aria-pressed", String(!this.hidden.has(name)));
    item.addEventListener("click", () => {
      if (!this.hidden.delete(name)) this.hidden.add(name);
      item.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      for (const plot of this.plots) { this.show(plot); plot.u.redraw(false); }
    });
  }

  /* --- wheel, pointer and keys --- */

  listen(plot) {
    const { u, element, spec } = plot, over = u.over, fingers = new Map();
    const time = (event) => u.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
    const span = () => this.view.to - this.view.from;
    const byPixels = (count) => (count / over.clientWidth) * span();
    let travelled = 0;
    over.addEventListener("wheel", (event) => {
      event.preventDefault(); // the page must not scroll
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.move(byPixels(event.deltaX));
      else this.zoom(1.0015 ** (event.deltaY * (event.deltaMode === 1 ? 16 : 1)), time(event));
    }, { passive: false });
    over.addEventListener("pointerdown", (event) => {
      over.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event.clientX);
      travelled = 0;
    });
    over.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (before === undefined) return;
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
      fingers.set(event.pointerId, event.clientX);
      travelled += Math.abs(event.clientX - before);
      if (others.length) {
        const apart = Math.max(10, Math.abs(event.clientX - others[0])), was = Math.max(10, Math.abs(before - others[0]));
        this.zoom(was / apart, time({ clientX: (event.clientX + others[0]) / 2 }));
      } else this.move(byPixels(before - event.clientX));
    });
    over.addEventListener("pointerup", (event) => {
      fingers.delete(event.pointerId);
      if (travelled > 6) return;
      const box = over.getBoundingClientRect();
      spec.onTap?.(plot, event.clientX - box.left, event.clientY - box.top);
    });
    over.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
    over.addEventListener("dblclick", () => this.all());
    element.addEventListener("keydown", (event) => {
      const middle = (this.view.from + this.view.to) / 2;
      const act = {
        ArrowLeft: () => this.move(-span() / 5), ArrowRight: () => this.move(span() / 5),
        "+": () => this.zoom(0.6, middle), "-": () => this.zoom(1 / 0.6, middle), Home: () => this.all(),
      }[event.key];
      if (act) { event.preventDefault(); act(); }
    });
  }
}

function padded(low, high) {
  if (!(low <= high)) return [0, 1];
  const room = Math.max((high - low) * 0.06, Math.abs(high) * 1e-5) || 1;
  return [low - room, high + room];
}

/* Draw within the plot's edges only. */
function inside(drawing, draw) {
  const { pen, left, top, right, bottom } = drawing;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, right - left, bottom - top);
  pen.clip();
  draw(drawing);
  pen.restore();
}

/* --- the price --- */

/* Marks of a legend. */
const lineMark = (colour, dash = "", width = 2) => `<line class="stroke-${colour}" x1="1" y1="6" x2="21" y2="6" stroke-width="${width}" stroke-dasharray="${dash}"/>`;
const boxMark = (fill, stroke) => `<rect class="fill-${fill}${stroke ? ` stroke-${stroke}` : ""}" x="1" y="1" width="20" height="10"/>`;

const PRICE_SERIES = {
  upper: { colour: "channel", width: 1, group: "channel" }, lower: { colour: "channel", width: 1, group: "channel" },
  mid: { colour: "channel", width: 1, dash: [5, 4], group: "channel" },
  top: { width: 0, group: "price" }, bottom: { width: 0, group: "price" }, price: { colour: "price", width: 1.2 },
  anchor: { colour: "anchor", width: 1.6, stepped: true, fine: true },
  high: { colour: "high", width: 2, dash: [1, 3], stepped: true, fine: true },
  stop: { colour: "stop", width: 1.6, dash: [9, 3], stepped: true, fine: true },
  trail: { colour: "trail", width: 2, fine: true },
};

/* Shapes of strips without a market; `named` writes how long they lasted. */
function drawFolds(charts, { pen, px, x, colour, left, right, top, bottom }, named) {
  for (const fold of charts.folds.list) {
    const [from, to] = [x(charts.folds.drawn(fold.from)), x(charts.folds.drawn(fold.to))];
    if (to < left || from > right) continue;
    pen.fillStyle = colour.grid;
    pen.fillRect(from, top, to - from, bottom - top);
    if (!named || to - from < 9 * px) continue;
    const words = fold.length < 2 * DAY ? `${Math.round(fold.length / HOUR)} h` : `${Math.round(fold.length / DAY)} days`;
    pen.save();
    pen.translate((from + to) / 2, (top + bottom) / 2);
    pen.rotate(-Math.PI / 2);
    Object.assign(pen, { fillStyle: colour.muted, textAlign: "center", textBaseline: "middle", font: `${11 * px}px system-ui, sans-serif` });
    pen.fillText(`no market for ${words}`, 0, 0);
    pen.restore();
  }
}

const LEVELS = ["anchor", "high", "trail", "stop"];

/* The table has the columns of PRICE_SERIES, gate (1: shut) and, if known, held (1: base, 2: quote). options: {candles: {ms, open,
 * top, bottom, close} or null, rests: {from, to, price, side}, fills: {ms, price, side, exit}, marked: [from, to] or
 * null, format(value), onExit(number or null), nearLevels: true where a level that is far from the price must not flatten
 * it}. A side is 0 for a buy and 1 for a sale. */
function priceChart(charts, element, options) {
  const { candles, rests, fills } = options;
  const SIDES = [[0, "buy"], [1, "sell"]], near = () => Boolean(candles) && charts.stepWidth >= CANDLE;
  let shut, holding;
  function refresh() {
    const { ms, gate = [], held = [] } = charts.table;
    shut = stretches(ms, gate, 1);
    holding = [1, 2].map((side) => stretches(ms, held, side));
  }
  refresh();

  function drawGate({ plot, pen, px, x, colour, left, right, top, bottom }) {
    pen.fillStyle = colour.gate;
    let done = left; // never twice over the same pixel, which would be twice as dark
    for (const [from, to] of shut) {
      if (to < charts.view.from || from > charts.view.to) continue;
      const begin = Math.max(done, Math.round(x(from))), end = Math.min(right, Math.max(begin + 1, Math.round(x(to))));
      pen.fillRect(begin, top, end - begin, charts.far(plot) ? 8 * px : bottom - top);
      done = end;
    }
  }

  function drawMarked({ pen, px, x, colour, top, bottom }) {
    if (!options.marked) return;
    const [from, to] = options.marked.map(x);
    pen.fillStyle = colour.grid;
    pen.fillRect(from - 3 * px, top, to - from + 6 * px, bottom - top);
  }

  /* Candles where there is room for them; from farther away the line of closes and the band from low to high. */
  function drawCandles({ pen, px, x, y, colour }) {
    if (!near()) return;
    const wide = x(charts.view.from + charts.step) - x(charts.view.from);
    const body = Math.max(2 * px, Math.min(14 * px, wide * 0.65));
    Object.assign(pen, { strokeStyle: colour.price, lineWidth: px });
    pen.setLineDash([]);
    const from = Math.max(0, place(candles.ms, charts.view.from) - 1), to = place(candles.ms, charts.view.to);
    for (let row = from; row < to; row++) {
      const middle = Math.round(x(candles.ms[row] + charts.step / 2)) + 0.5;
      const [open, close] = [y(candles.open[row]), y(candles.close[row])];
      pen.beginPath();
      pen.moveTo(middle, y(candles.top[row]));
      pen.lineTo(middle, y(candles.bottom[row]));
      pen.stroke();
      pen.fillStyle = candles.close[row] >= candles.open[row] ? colour.paper : colour.price;
      const box = [middle - body / 2, Math.min(open, close), body, Math.max(1, Math.abs(open - close))];
      pen.fillRect(...box);
      pen.strokeRect(...box);
    }
  }

  function drawRests({ plot, pen, px, x, y, colour }) {
    if (charts.far(plot)) return; // none would be as long as a pixel
    const to = place(rests.from, charts.view.to);
    for (const [side, name] of SIDES) {
      Object.assign(pen, { strokeStyle: colour[name], lineWidth: 1.5 * px });
      pen.beginPath();
      // Orders rest briefly; one that began a day before the view is not missed.
      for (let row = place(rests.from, charts.view.from - DAY); row < to; row++) {
        if (rests.side[row] !== side || rests.to[row] < charts.view.from) continue;
        const begin = x(rests.from[row]), level = y(rests.price[row]);
        pen.moveTo(begin, level);
        pen.lineTo(Math.max(x(rests.to[row]), begin + px), level);
      }
      pen.stroke();
    }
  }

  function drawFills({ pen, px, x, y, colour, left, right }) {
    const [from, to] = [place(fills.ms, charts.view.from), place(fills.ms, charts.view.to)];
    const size = px * Math.min(5.5, Math.max(2.5, ((right - left) / px / Math.max(1, to - from)) * 0.8));
    for (const [side, name] of SIDES) {
      const away = side ? -1 : 1;
      let lastX = -99, lastExit = -1;
      pen.beginPath();
      for (let row = from; row < to; row++) {
        if (fills.side[row] !== side) continue;
        const at = x(fills.ms[row]), tip = y(fills.price[row]) + away * 1.5 * px;
        if (at - lastX < 2 * px && fills.exit[row] === lastExit) continue; // hidden behind another of the same exit
        [lastX, lastExit] = [at, fills.exit[row]];
        pen.moveTo(at, tip);
        pen.lineTo(at - size, tip + away * size * 1.8);
        pen.lineTo(at + size, tip + away * size * 1.8);
        pen.closePath();
      }
      Object.assign(pen, { fillStyle: colour[name], strokeStyle: colour.paper, lineWidth: 1.5 * px });
      if (size > 4 * px) pen.stroke();
      pen.fill();
    }
  }

  function drawHolding({ pen, px, x, colour, right, bottom }) {
    Object.assign(pen, { fillStyle: colour.muted, strokeStyle: colour.muted, lineWidth: px });
    holding.forEach((found, hollow) => {
      let done = -2;
      pen.beginPath();
      for (const [from, to] of found) {
        if (to < charts.view.from || from > charts.view.to) continue;
        const begin = Math.max(done, Math.round(x(from))), end = Math.min(right + 2, Math.round(x(to)));
        if (end > begin) pen.rect(begin, bottom - 6 * px + 0.5, end - begin, 5 * px);
        done = Math.max(done, end);
      }
      if (!hollow) pen.fill();
      pen.stroke();
    });
  }

  function exitNear({ u }, left, top) {
    let found = null, nearest = 14;
    const last = place(fills.ms, u.posToVal(left + 14, "x"));
    for (let row = place(fills.ms, u.posToVal(left - 14, "x")); row < last; row++) {
      const middle = u.valToPos(fills.price[row], "y") + (fills.side[row] === 1 ? -7 : 7);
      const distance = Math.hypot(u.valToPos(fills.ms[row], "x") - left, middle - top);
      if (distance < nearest) [found, nearest] = [fills.exit[row], distance];
    }
    return found;
  }

  const series = { ...PRICE_SERIES, price: { ...PRICE_SERIES.price, when: () => !near() } };
  if (options.nearLevels) for (const name of LEVELS) series[name] = { ...series[name], auto: false };

  /* The scale of price and channel, and of the levels that are no farther away than these reach. */
  function nearRange(low, high) {
    const reach = high - low || high * 1e-4;
    const known = LEVELS.map((name) => charts.at(name)).filter((value) => value > low - reach && value < high + reach);
    return padded(Math.min(low, ...known), Math.max(high, ...known));
  }

  return charts.add(element, {
    series, format: options.format, tag: "price", range: options.nearLevels ? nearRange : padded,
    bands: [["upper", "lower", "band"], ["top", "bottom", "range", () => !near()]],
    under(drawing) {
      drawFolds(charts, drawing, true);
      if (!charts.hidden.has("gate")) drawGate(drawing);
      drawMarked(drawing);
    },
    after: { price: drawCandles },
    over(drawing) {
      if (!charts.hidden.has("orders")) { drawRests(drawing); drawFills(drawing); }
      drawHolding(drawing);
    },
    onTap: (plot, left, top) => options.onExit?.(exitNear(plot, left, top)),
    refresh,
  });
}

/* The legend of a price chart. words: price(value) and, if the table tells what is held, held(code) as text. */
function priceLegend(charts, element, words) {
  const at = (name, word) => () => { const value = charts.at(name); return value === null ? "–" : word(value); };
  const price = (name) => at(name, words.price);
  charts.legend(element, [
    ["price", "price", lineMark("price"), price("price"), false],
    ["channel", "channel", boxMark("band", "channel"), () => ["lower", "mid", "upper"].map((name) => price(name)()).join(" · "), true],
    ["anchor", "anchor", lineMark("anchor"), price("anchor"), true],
    ["high", "best since", lineMark("high", "2 3", 2.5), price("high"), true],
    ["trail", "trailing level", lineMark("trail", "", 2.5), price("trail"), true],
    ["stop", "stop", lineMark("stop", "7 3"), price("stop"), true],
    ["gate", "gate shut", boxMark("gate"), at("gate", (shut) => (shut === 1 ? "yes" : "no")), true],
    ["orders", "orders, fills", '<path class="fill-sell" d="M2 2h8l-4 8z"/><path class="fill-buy" d="M12 10h8l-4-8z"/>', () => "", true],
    ...(words.held ? [["held", "holding", '<rect class="fill-muted" x="1" y="3" width="11" height="6"/><rect class="stroke-muted" x="12" y="3" width="9" height="6" fill="none"/>', at("held", words.held), false]] : []),
  ]);
}
