/* The report page: decodes its numbers, draws the charts with charts.js, sorts and filters round trips. */
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);

  /* Columns as column_codec.py writes them: differences, in units. */
  function decoded(columns) {
    return Object.fromEntries(Object.entries(columns ?? { ms: { unit: 1, steps: [] } }).map(([name, { unit, steps }]) => {
      const values = new Array(steps.length);
      for (let row = 0, value = 0; row < steps.length; row++) values[row] = steps[row] === null ? null : (value += steps[row]) * unit;
      return [name, values];
    }));
  }
  const [candles, samples, band, rests, fills] = [data.candles, data.samples, data.band, data.rests, data.fills].map(decoded);

  /* --- round trips: sorted and filtered --- */

  function tripsTable() {
    const body = document.querySelector("#trips tbody"), filter = $("trip-filter");
    if (!body) return;
    const rows = [...body.rows], heads = [...document.querySelectorAll("#trips [data-sort]")];
    const number = (row, column) => Number(row.cells[column].dataset.key);
    let [column, falling] = [0, false];
    function sort(by, down) {
      [column, falling] = [by, down];
      rows.sort((one, other) => (number(one, by) - number(other, by)) * (down ? -1 : 1));
      body.append(...rows);
      heads.forEach((head, at) => {
        if (at === by) head.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.parentElement.removeAttribute("aria-sort");
      });
      $("trip-sort").value = String(by);
    }
    heads.forEach((head, at) => head.addEventListener("click", () => sort(at, at === column ? !falling : false)));
    $("trip-sort").addEventListener("change", (event) => sort(Number(event.target.value), false));
    const buttons = [...filter.querySelectorAll("[data-reason]")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        const { reason } = button.dataset;
        for (const row of rows) row.hidden = reason !== "" && row.cells[1].textContent !== reason;
        for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      });
    }
    filter.hidden = false;
    sort(0, false);
  }
  tripsTable();

  if (!candles.ms.length && !samples.ms.length) {
    $("undrawn").textContent = "There are no candles to draw: the report has none.";
    return;
  }
  $("undrawn").hidden = true;
  $("charts").hidden = false;
  if (matchMedia("(max-width: 44rem)").matches) $("meaning").open = false;

  /* --- one table for all charts --- */

  const step = leastStep(candles.ms, MINUTE);
  const folds = new TimeFolds(candles.ms, step), drawn = (times) => times.map((time) => folds.drawn(time));
  const bounds = {
    from: Math.min(...[data.fromMs, candles.ms[0], samples.ms[0]].filter(Number.isFinite)),
    to: Math.max(...[data.toMs, candles.ms.at(-1) + step, samples.ms.at(-1)].filter(Number.isFinite)),
  };
  const table = joinedTables([
    // A candle's close is known when it ends, and most samples are taken then.
    { ms: candles.ms.map((time) => time + step), price: candles.close, top: candles.top, bottom: candles.bottom },
    { ...samples, holdQuote: samples.account.map(() => 0) },
    { ms: band.ms, p5: band.p5 ?? [], median: band.median ?? [], p95: band.p95 ?? [] },
  ]);
  table.ms = drawn(table.ms);
  for (const [columns, names] of [[candles, ["ms"]], [rests, ["from", "to"]], [fills, ["ms"]]]) {
    for (const name of names) columns[name] = drawn(columns[name]);
  }

  const charts = new TimeCharts({ step, table, folds });
  charts.everything = { from: folds.drawn(bounds.from), to: folds.drawn(bounds.to) };
  charts.view = { ...charts.everything };

  /* --- words --- */

  const stamp = (time) => new Date(folds.real(time)).toISOString().slice(0, 16).replace("T", " ");
  const known = (value, words) => (value === null || value === undefined ? "–" : words(value));
  const price = (value) => known(value, () => value.toFixed(data.priceDecimals));
  const percent = (value) => known(value, () => `${value > 0 ? "+" : ""}${(value * 100).toFixed(2)} %`);
  const roughPercent = (value) => `${+(value * 100).toFixed(2)} %`;
  charts.axisWidth = 16 + 7 * Math.max(...[...candles.close.slice(-1), 1].map((value) => price(value).length), 7);

  /* --- charts --- */

  const priceOptions = {
    candles, rests, fills, marked: null, format: price,
    onExit: (exit) => choose(exit === null ? null : exitRows[exit], exit === null ? null : data.exits[exit]),
  };
  const pricePlot = priceChart(charts, $("price"), priceOptions);
  const under = (drawing) => drawFolds(charts, drawing, false);
  charts.add($("equity"), {
    series: {
      p5: { width: 0, group: "paths" }, p95: { width: 0, group: "paths" },
      median: { colour: "account", width: 1, dash: [3, 3], group: "paths" },
      holdQuote: { colour: "hold-quote", dash: [2, 3] }, holdBase: { colour: "hold-base", width: 1.3, dash: [6, 3] },
      holdHalf: { colour: "hold-half", width: 1.3 }, account: { colour: "account", width: 2 },
    },
    bands: [["p95", "p5", "paths"]], format: percent, axis: roughPercent, tag: "account", under,
  });
  const [worseFrom, worseTo] = data.longestDrawdown.map((time) => folds.drawn(time));
  charts.add($("drawdown"), {
    series: { drawdown: { colour: "stop", width: 1.2, fill: "fall" } },
    format: percent, axis: roughPercent, range: (low) => [Math.min((low || 0) * 1.08, -0.001), 0],
    under(drawing) {
      under(drawing);
      const { pen, x, colour, top, bottom } = drawing;
      pen.fillStyle = colour.gate;
      if (worseTo > worseFrom) pen.fillRect(x(worseFrom), top, x(worseTo) - x(worseFrom), bottom - top);
    },
  });

  const at = (name, words) => () => known(charts.at(name), words);
  priceLegend(charts, $("legend-price"), { price, held: (held) => ["nothing", data.base, data.quote][held] });
  charts.legend($("legend-equity"), [
    ["account", "account", lineMark("account", "", 2.5), at("account", percent), true],
    ["holdBase", `holding ${data.base}`, lineMark("hold-base", "6 3"), at("holdBase", percent), true],
    ["holdHalf", "half of each", lineMark("hold-half"), at("holdHalf", percent), true],
    ["holdQuote", `holding ${data.quote}`, lineMark("hold-quote", "2 3"), at("holdQuote", percent), true],
    ...(data.band ? [["paths", "paths, 5 % to 95 %", boxMark("paths"),
      () => ["p5", "median", "p95"].map((name) => percent(charts.at(name))).join(" · "), true]] : []),
  ]);
  charts.legend($("legend-drawdown"), [
    ["below", "below the best", boxMark("fall", "stop"), at("drawdown", percent), false],
    ["longest", "the longest", boxMark("gate"), () => "", false],
  ]);

  /* --- from a table to the charts, and back --- */

  const exitRows = [...document.querySelectorAll("#exits tbody tr")];
  let chosen = null;
  const hands = matchMedia("(pointer: coarse)").matches
    ? "Pinch to zoom, drag to move, “all” to show everything." : "Wheel to zoom, drag to move, double-click to show everything.";
  const hint = `${hands} Choose a round trip or an exit in a table to see it here.`;

  function choose(row, times) {
    chosen?.classList.remove("chosen");
    chosen = row;
    chosen?.classList.add("chosen");
    priceOptions.marked = times === null ? null : times.map((time) => folds.drawn(time));
    charts.redraw();
  }

  function show(row, times) {
    const [from, to] = times.map((time) => folds.drawn(time)), room = Math.max(45 * step, (to - from) * 0.3);
    choose(row, times);
    charts.look(from - room, to + room);
    charts.point(to);
    $("charts").scrollIntoView({ behavior: "smooth", block: "start" });
  }

  for (const [name, times] of [["exit", data.exits], ["trip", data.trips]]) {
    for (const button of document.querySelectorAll(`[data-${name}]`)) {
      button.addEventListener("click", () => show(button.closest("tr"), times[Number(button.dataset[name])]));
    }
  }

  function detail() {
    if (chosen === null) return charts.far(pricePlot) ? `${hint} Closer up, anchor, best, trailing level and stop are drawn too.` : hint;
    const bare = (cell, column) => column === 0 || cell.dataset.label === "why" || cell.dataset.label === "side";
    return [...chosen.cells].map((cell, column) => (bare(cell, column) ? cell.textContent : `${cell.dataset.label}: ${cell.textContent}`)).join(" · ");
  }

  /* --- what is shown, in words and buttons --- */

  charts.listeners.push(() => {
    const { view, cursor } = charts;
    const row = Math.max(0, place(candles.ms, (cursor ?? view.to) + 1) - 1);
    const values = [["open", "open"], ["high", "top"], ["low", "bottom"], ["close", "close"]];
    $("at").textContent = cursor === null || !candles.ms.length
      ? `${stamp(view.from)} to ${stamp(view.to)} UTC`
      : `${stamp(candles.ms[row])} UTC: ${values.map(([word, name]) => `${word} ${price(candles[name][row])}`).join(", ")}`;
    $("detail").textContent = detail();
    for (const button of document.querySelectorAll("[data-hours]")) {
      const span = Number(button.dataset.hours) * HOUR || charts.everything.to - charts.everything.from;
      button.setAttribute("aria-pressed", String(Math.abs(view.to - view.from - span) < 1000));
    }
  });
  for (const button of document.querySelectorAll("[data-hours]")) {
    button.addEventListener("click", () => {
      const span = Number(button.dataset.hours) * HOUR || charts.everything.to - charts.everything.from;
      const middle = charts.cursor ?? (charts.view.from + charts.view.to) / 2;
      charts.look(middle - span / 2, middle + span / 2);
    });
  }
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => charts.zoom(Number(button.dataset.zoom), (charts.view.from + charts.view.to) / 2));
  }
  charts.all();
})();
