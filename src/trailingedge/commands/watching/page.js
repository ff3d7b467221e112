/* The live page: takes the lines of the feed, as live/feed_format.py defines them, and shows them with charts.js. It
 * sends nothing. */
const KEPT = 200, QUIET_MS = 3500, RETRY_MS = 1000, SAMPLES_KEPT = 2000;
const COLUMNS = { price: "bid", upper: "upper", mid: "mid", lower: "lower", anchor: "anchor", high: "high", trail: "take_profit", stop: "stop" };
const element = (id) => document.getElementById(id);
const chart = { samples: [], decimals: 2, hours: 6, following: true, rests: {}, fills: {}, charts: null };
const page = { status: null, panel: null, orders: [], log: [], heard: 0, lost: 0, connection: "waiting", word: "connecting to the daemon" };
let scheduled = false;

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; render(); });
}

function make(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/* --- lines --- */

function connection(kind, word) { page.connection = kind; page.word = word; }

function take(line) {
  page.heard = Date.now();
  switch (line.type) {
    case "state":
      page.orders = line.orders; page.log = line.log;
      if (page.lost) keep(page.log, { time: new Date().toISOString(), level: "WARNING", text: `this page did not take ${page.lost} lines in time; the daemon's log has them all` });
      page.lost = 0;
      page.program = line.program;
      resetSamples(line.history, line.panel ? line.panel.price_decimals : 2);
      takeStatus(line);
      break;
    case "status": takeStatus(line); break;
    case "prices": takePrices(line); break;
    case "order": case "fill": keep(page.orders, line); break;
    case "log": keep(page.log, line); break;
    case "lost": page.lost = line.lines; break; // said below the newest lines, which a state brings
    case "end": connection("bad", `the daemon has ended: ${line.reason}`); break;
    case "gone": connection("bad", `no daemon: ${line.reason}; waiting until it runs again`); break;
  }
  schedule();
}

function keep(list, line) { list.push(line); if (list.length > KEPT) list.splice(0, list.length - KEPT); }

function takeStatus(line) {
  page.status = line.status; page.panel = line.panel;
  if (!line.status) { connection("waiting", `the daemon is starting: ${line.starting}`); return; }
  connection("good", "connected");
  const status = line.status;
  if (status.bid === null || status.time === null) return;
  addSample(sample({
    bid: status.bid, lower: status.channel.lower, mid: status.channel.mid, upper: status.channel.upper,
    anchor: status.anchor, high: status.high, take_profit: status.take_profit.exits_at, stop: status.hard_stop.price,
    gate_shut: status.gate !== null && status.gate.open === false,
  }, Date.parse(status.time)));
}

function takePrices(line) {
  if (!page.status || !chart.samples.length) return;
  Object.assign(page.status, { bid: line.bid, ask: line.ask, value: line.value });
  const levels = { high: line.high, take_profit: line.take_profit, stop: line.stop, bid: line.bid };
  addSample(sample({ ...chart.samples.at(-1), ...levels }, Date.parse(line.time)));
}

/* --- the chart --- */

/* A sample has a time in `ms`, the levels of COLUMNS as numbers or null, and gate_shut. */
function sample(fields, ms) {
  const made = { ms, gate_shut: fields.gate_shut === true };
  for (const key of Object.values(COLUMNS)) made[key] = fields[key] === null || fields[key] === undefined ? null : Number(fields[key]);
  return made;
}

function resetSamples(history, decimals) {
  chart.decimals = decimals;
  chart.samples = history.rows.map((row) => {
    const fields = Object.fromEntries(history.columns.map((name, at) => [name, row[at]]));
    return sample(fields, Date.parse(fields.time));
  });
}

/* The newest levels; a sample of the same minute takes the place of the one before. */
function addSample(made) {
  const { samples } = chart, minute = (ms) => Math.floor(ms / MINUTE);
  while (samples.length && minute(samples.at(-1).ms) >= minute(made.ms)) samples.pop();
  samples.push(made);
  if (samples.length > SAMPLES_KEPT) samples.splice(0, samples.length - SAMPLES_KEPT);
}

function tableOf(samples) {
  const table = { ms: samples.map((each) => each.ms), gate: samples.map((each) => Number(each.gate_shut)) };
  for (const [name, key] of Object.entries(COLUMNS)) table[name] = samples.map((each) => each[key]);
  return table;
}

/* Where orders rested, and fills, from the lines `order` and `fill`, oldest first. */
function takeOrders(lines, toMs) {
  const resting = new Map(), rests = [], fills = [];
  const end = (id, ms) => { if (resting.has(id)) rests.push({ ...resting.get(id), to: ms }); resting.delete(id); };
  for (const line of lines) {
    const ms = Date.parse(line.time), side = line.side === "BUY" ? 0 : 1, price = Number(line.price), id = line.client_order_id;
    if (line.type === "fill") fills.push({ ms, side, price, exit: null });
    if (line.type !== "fill" || Number(line.remaining) === 0) end(id, ms);
    if (line.type === "order" && line.change !== "cancelled") resting.set(id, { from: ms, side, price });
  }
  for (const id of [...resting.keys()]) end(id, toMs);
  const columns = (rows, names) => Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])]));
  Object.assign(chart.rests, columns(rests.sort((one, other) => one.from - other.from), ["from", "to", "price", "side"]));
  Object.assign(chart.fills, columns(fills, ["ms", "price", "side", "exit"]));
}

function renderChart() {
  const { samples } = chart;
  if (samples.length < 2) return;
  takeOrders(page.orders, samples.at(-1).ms);
  if (!chart.charts) makeChart();
  const { charts } = chart, { view, everything } = charts;
  if (Math.abs(view.to - everything.to) > 1) chart.following = false; // moved by hand
  charts.setTable(tableOf(samples));
  const { to } = charts.everything;
  if (chart.following) charts.look(Math.max(charts.everything.from, to - chart.hours * HOUR), to);
  else charts.look(view.from, view.to);
}

function makeChart() {
  const price = (value) => value.toFixed(chart.decimals);
  const charts = chart.charts = new TimeCharts({ step: MINUTE, table: tableOf(chart.samples) });
  charts.axisWidth = 16 + 7 * price(chart.samples.at(-1).bid).length;
  priceChart(charts, element("price"), { candles: null, rests: chart.rests, fills: chart.fills, marked: null, format: price, nearLevels: true });
  priceLegend(charts, element("legend"), { price });
  charts.listeners.push(() => {
    const row = chart.samples[charts.row];
    element("at").textContent = charts.cursor === null || !row ? "" : `${new Date(row.ms).toISOString().slice(5, 16).replace("T", " ")} UTC`;
  });
}

/* --- what is shown --- */

function render() {
  renderState();
  const { status, panel } = page;
  element("charts").hidden = chart.samples.length < 2;
  renderLists();
  if (!status || !panel) return;
  document.title = `${status.bid || "–"} ${status.symbol} · Trailing Edge`;
  const title = element("title");
  title.replaceChildren(status.symbol, make("span", status.mode === "live" ? "LIVE · real money" : status.mode, `badge${status.mode === "live" ? " real" : ""}`));
  const cells = new Map();
  for (const cell of [...panel.pairs.flat(), ...panel.rows]) cells.set(cell[0], cell);
  renderFigures(status, cells);
  const shown = ["today", "since start", "trades", "fees", "running for"];
  element("cells").replaceChildren(...[...cells.values()].filter(([label]) => !shown.includes(label)).map(([label, text, style]) => {
    const cell = make("div");
    cell.append(make("dt", label), make("dd", text, style));
    return cell;
  }));
  renderChart();
}

function renderState() {
  const late = page.connection === "good" && Date.now() - page.heard > QUIET_MS;
  const words = late ? `no data for ${Math.round((Date.now() - page.heard) / 1000)} s` : page.word;
  const kind = late ? "bad" : page.connection;
  const detail = kind === "good" && page.panel ? ` · ${page.panel.titles[0]} · ${page.panel.health}` : "";
  const state = element("state");
  if (state.textContent !== words + detail) state.replaceChildren(make("span", words, kind), detail);
}

function renderFigures(status, cells) {
  const of = (label) => cells.get(label) || [label, "–", "plain"];
  // "+12.30 FDUSD, +0.49 %": the money is the figure, the share its note.
  const change = (label, note) => { const [, text, style] = of(label), [money, share] = text.split(", "); return [money, style, share ? `${share} ${note}` : note]; };
  const unit = (status.balances && Object.keys(status.balances)[1]) || "";
  const figures = [
    ["Price", status.bid || "–", "plain", status.ask ? `ask ${status.ask}` : ""], ["Value", status.value || "–", "plain", unit],
    ["Today", ...change("today", "since 00:00 UTC or the start")], ["Since the start", ...change("since start", "in this run")],
    ["Holding", status.holding || "–", "plain", status.phase], ["Trades", ...of("trades").slice(1), "a buy and its sell"],
    ["Fees", ...of("fees").slice(1), "of this run"], ["Running for", ...of("running for").slice(1), `version ${page.program || "–"}`],
  ];
  element("figures").replaceChildren(...figures.map(([name, value, style, note]) => {
    const figure = make("div");
    figure.append(make("dt", name), make("dd", value, style), make("dd", note));
    return figure;
  }));
}

function renderLists() {
  // A replace says little by itself, and there are many: the chart shows where the order rested.
  const orders = page.orders.filter((line) => line.change !== "replaced").reverse().slice(0, 16);
  const rows = orders.map((line) => {
    const row = make("tr");
    const what = line.type === "fill" ? (Number(line.remaining) === 0 ? "filled" : "filled in part") : line.change;
    for (const [label, text, className] of [
      ["time", line.time.slice(5, 19).replace("T", " ")], ["what", what, line.type === "fill" ? "good" : ""], ["side", line.side],
      ["price", line.price, "number"], ["quantity", line.quantity, "number"], ["order id", line.client_order_id, "id"],
    ]) {
      const cell = make("td", text, className);
      cell.dataset.label = label;
      row.append(cell);
    }
    return row;
  });
  const none = make("tr", null, "whole");
  none.append(make("td", "No orders yet.", "empty"));
  element("orders").replaceChildren(...(rows.length ? rows : [none]));
  element("log").replaceChildren(...[...page.log].reverse().slice(0, 40).map((line) => {
    const bad = line.level === "ERROR" || line.level === "CRITICAL" || /\b(?:round trip|result) -|, -[\d.]+ % \S+ compared with the last sale/.test(line.text);
    const item = make("li", null, bad ? "bad" : line.level === "WARNING" ? "warning" : / filled: /.test(` ${line.text}`) ? "good" : "");
    item.append(make("time", line.time.slice(11, 19)), line.level === "INFO" ? "" : `${line.level} `, line.text);
    return item;
  }));
}

/* --- the feed --- */

function open() {
  const feed = new WebSocket(`ws://${location.host}${location.pathname}feed`);
  feed.onmessage = (message) => take(JSON.parse(message.data));
  feed.onclose = (closed) => {
    connection("bad", closed.reason || "no connection to trailing-edge watch --web; trying again");
    schedule();
    setTimeout(open, RETRY_MS);
  };
}

const ranges = [...document.querySelectorAll("[data-hours]")];
for (const button of ranges) {
  button.addEventListener("click", () => {
    chart.hours = Number(button.dataset.hours);
    chart.following = true;
    if (chart.charts) chart.charts.view.to = chart.charts.everything.to;
    for (const other of ranges) other.setAttribute("aria-pressed", String(other === button));
    schedule();
  });
}
setInterval(schedule, 1000);
open();
