"""Backtest engine: runs the daemon's trading core on recorded market data, without sockets and in jumping time.

Theory of operation. The core is the same object as in the daemon (`execution.trading_core`) and gets the same inputs;
only what lies between it and the exchange (sockets, JSON, an event loop) is left out. The simulated exchange fills its
orders, called directly (`direct_exchange`). Three things make a year of one-minute klines take seconds:

- *Segments.* The market comes in segments (`candle_segments`): groups of ticks within one candle of the strategy, with
  their minimum and maximum price. For most segments minimum and maximum suffice, and no single tick is looked at.
- *Bars.* Klines come in columns with one row for each candle (`bar_columns`). Where no action can be due for any
  position of the channel, many rows are skipped at once. Backtests of one market share these columns (`market_memo`). A
  backtest that draws curves takes a sample at each candle, so it skips none.
- *Skipped ticks.* After each trading cycle the core makes its plan: the best prices at which it would do nothing. The
  engine skips segments and market ticks within it (`tick_skipper`), as the daemon does with the prices of its stream.
  At the first price outside of the plan's limits, the core runs a full cycle and decides as always. So limits that are
  too narrow cost time and never change the result. With `thorough=True` nothing is skipped; tests compare the results.

While ticks are skipped, the core does not see closed candles that neither move the gate nor start an exit. The engine
applies them before the core's next cycle; that cycle also gets the best prices of the skipped ticks.

A *market tick* is one change of the market, a *cycle* one run of `TradingCore.tick`. The timing is that of the
simulated exchange:

- A market tick fills orders; the core sees the tick, its fills and the candles that it closes in one cycle.
- With no latency, a request is executed, answered and reported within the same market tick. The answer starts another
  cycle, which may send again, so the market never moves while the core still has something to do.
- With a latency, reports and replies reach the core that much later, and a request reaches the exchange that much
  later. So an order is matched with the book at its arrival: it is rejected if it would trade at once, and a
  cancel-replace may find that the old order has filled.
- Between two market ticks the book stands still. If a wait of the core ends between them, such as the time until a stop
  is confirmed, a cycle runs one millisecond after its end, as in the daemon (`TradingCore.due_s`).
- Market data never counts as stale. In a quiet market the daemon queries the exchange to prove that its data is
  current, and here such a query would always succeed.

A backtest starts without past candles, like a daemon that is started on the same files. A backtest of a recorded
session gets the candles and the state that the session started with (`continue_from`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil, inf
from typing import Final

from trailingedge.backtest.bar_columns import BarColumns
from trailingedge.backtest.candle_segments import Segment, TickedSegment
from trailingedge.backtest.candles import CandleBuilder, TickCandle
from trailingedge.backtest.direct_exchange import DirectExchange
from trailingedge.backtest.inputs import BacktestInputs
from trailingedge.backtest.market_memo import MarketMemo
from trailingedge.backtest.market_split import split_market
from trailingedge.backtest.result_recorder import BacktestRecorder
from trailingedge.backtest.tick_skipper import TickSkipper
from trailingedge.core.errors import BrokenInvariant
from trailingedge.core.time_units import DAY_MS
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore
from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import ExecutionReport, Kline
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import ExecutionCommand, OrderInput, Refresh
from trailingedge.simulator.feeds.candle_path import GridPath, StraightPath
from trailingedge.simulator.feeds.columns import Columns, PriceGrid, TickColumns
from trailingedge.simulator.klines import INTERVALS
from trailingedge.strategy.closed_bar_catch_up import BarFold
from trailingedge.strategy.state import StrategyState

_MAX_CYCLES_AT_ONCE: Final = 1000  # at one market time; more means an endless loop of requests and replies, a bug
_NEVER_MS: Final = 2**62
_ROUNDING_MS: Final = 0.01
_LEAST_STRIDE: Final = 4  # bars tried at once; fewer are not worth it
_MOST_STRIDE: Final = 256


class Backtest:
    """One backtest. `run` can be called once.

    `stopped` is called at every candle; if it returns True, the backtest ends early. `path` generates the prices within
    the klines of the market; without a path they lie on straight lines. `latency_ms` is how long a message takes, each
    way. Backtests of the same market may share a `memo`. At each of the times in `splits`, which are in ascending
    order, one part of the results ends and the next begins (`BacktestRecorder.parts`).
    """

    def __init__(
        self,
        inputs: BacktestInputs,
        *,
        curves: bool = True,
        thorough: bool = False,
        splits: Sequence[int] = (),
        stopped: Callable[[], bool] = lambda: False,
        path: GridPath | None = None,
        latency_ms: int = 0,
        memo: MarketMemo | None = None,
    ) -> None:
        params, spec = inputs.params, inputs.spec
        services = params.services
        self.cycles = 0
        self.halt_reason: str | None = None
        self._thorough = thorough
        self._stopped = stopped
        self._path = path or StraightPath()
        self._splits = deque(splits)
        self._grid = PriceGrid(spec.tick_size, spec.step_size)
        self._scale = self._grid.scale
        rules = params.terms.effective_rules(spec.rules())
        self._params = services.strategy_params(rules, float(params.terms.fee_in_force(spec.maker_fee)))
        self._budget = OrderRateBudget(params.order_budget_reserve)
        self._interval_ms = INTERVALS[services.kline_interval]
        self._memo = memo
        build_channel = services.channel
        self._channel = build_channel() if memo is None else memo.channel(self._interval_ms, build_channel)
        self.exchange = DirectExchange(spec, inputs.balances, self._on_order_input, orders_between_ticks=latency_ms > 0)
        # The core is told everything at once, as if its clock were slow by one way. So a request takes both ways.
        self._delay_ms = 2 * latency_ms
        self._under_way: deque[tuple[int, ExecutionCommand]] = deque()  # requests, with the times of their arrival
        self.core = TradingCore(
            self._params,
            replace(services.trading, stale_after_s=inf),  # see above
            MakerExit(rules, self._budget, services.maker_exit),
            self._channel,
            services.risk_engine(rules, 0),
            rules.base_asset,
            rules.quote_asset,
            paused=services.start_paused,
        )
        self.recorder = BacktestRecorder(rules, self._grid, self._params, curves=curves)
        self._curves = curves
        self._stride = _LEAST_STRIDE
        self._candles = CandleBuilder(self._interval_ms)
        self._skips_nothing = TickSkipper(None, None, self._params, self._grid, 0, 0, _NEVER_MS)
        self._skipper = self._skips_nothing
        self._channel_of_closes = params.channel_of_closes
        self._follows_breakouts = bool(services.followed_breakouts)
        self._unseen_klines: list[Kline] = []  # closed klines that the next cycle must get
        # Holds the newest candle that closed without a cycle; the core's state does not contain it yet.
        self._bars = BarFold(self._params)
        self._cycle_ms = 0
        self._played: tuple[TickColumns | None, int] = (None, 0)  # the last market tick that the exchange has played
        self._due_ms = _NEVER_MS  # the first market time at which something is due without a market tick
        self._bid = self._ask = 0  # best prices of the other participants
        self._marked = (-1, 0, 0)  # balance updates at the last valuation, and between which bids it still stands
        self._cached_totals = (-1, (0.0, 0.0))  # balance updates, and the account's base and quote after them
        self._last_segment: Segment | None = None

    @property
    def time_ms(self) -> int:
        """The market time reached so far."""
        return 0 if self._last_segment is None else self._last_segment.first_ms

    def continue_from(self, candles: Iterable[tuple[float, float, float]], state: StrategyState | None) -> None:
        """Begin with past candles (high, low and close of each) and a state, as a daemon does after a restart.

        An exit in progress is left out: its order is not at this exchange. Call this before `run`.
        """
        broken_out = None
        for high, low, close in candles:
            in_force = self._channel.push_prices(high, low, close)
            broken_out = None if in_force is None else in_force.breakout(close)
        self.core.state = replace(self.core.state, broken_out=broken_out)
        if state is not None:
            self.core.restore(replace(state, exit=None), None, 0.0)

    def intervene(self, act: Callable[[TradingCore], None]) -> None:
        """Let `act` call the core as the operator would. Call this between two pieces of the market."""
        act(self.core)
        self._skipper = self._skips_nothing

    # The market ------------------------------------------------------------------------------

    def run(self, market: Iterable[Columns]) -> None:
        """Run until the end of the market, until trading is halted, or until `stopped` returns True."""
        try:
            for segment in self._segments(market):
                if self._due_ms < segment.first_ms:
                    self._run_timed_cycles(segment.first_ms)
                if segment.open_ms != self._candles.open_ms:
                    if self._stopped():
                        break
                    self._close_candles(segment)
                    while self._splits and segment.first_ms >= self._splits[0]:
                        self._split(self._splits.popleft())
                if self._unseen_klines or not self._skipper.skip_segment(segment):
                    self._look_into(segment)
                else:
                    self._candles.add(segment)
                    self._reach(segment)
        except BrokenInvariant as broken:
            self.halt_reason = str(broken)
        self._finish()

    def _segments(self, market: Iterable[Columns]) -> Iterator[Segment]:
        """Yield the segments that have to be looked at. Segments between them are skipped, several at once."""
        for segments in split_market(market, self._interval_ms, self._path, self._memo):
            if not isinstance(segments, BarColumns):
                yield from segments
                continue
            index, count = 0, len(segments)
            while index < count:
                passed = self._leap(segments, index)
                if not passed:
                    yield segments.segment(index)
                    passed = 1
                index += passed

    def _leap(self, bars: BarColumns, begin: int) -> int:
        """Skip bars in which nothing can happen. Returns how many were skipped; 0 if the next bar must be looked at."""
        end = min(begin + self._stride, len(bars))
        forming = self._candles.forming()
        if self._curves or self._unseen_klines or self._follows_breakouts or forming is None or end - begin < 2:
            return 0
        if not self._may_leap(bars, begin, end, forming):
            self._stride = max(_LEAST_STRIDE, self._stride // 4)
            return 0
        self._stride = min(_MOST_STRIDE, 2 * self._stride)
        # The candle that was forming and all bars but the last have closed.
        closes = forming.close, *bars.closes[begin : end - 1]
        highs = closes if self._channel_of_closes else (forming.high, *bars.highs[begin : end - 1])
        lows = closes if self._channel_of_closes else (forming.low, *bars.lows[begin : end - 1])
        scale, last = self._scale, end - 1
        in_force = self._channel.push_all([high / scale for high in highs], [low / scale for low in lows])
        self._bars.skip(closes[-1] / scale, bars.open_ms[last] - 1, in_force)
        self._skipper.on_channel(self._channel.current)
        segment = bars.segment(last)
        self._candles.leap(segment.open_ms, bars.prices(last), closes[-1])
        self._reach(segment)
        return end - begin

    def _may_leap(self, bars: BarColumns, begin: int, end: int, forming: TickCandle) -> bool:
        """Whether these bars may be skipped.

        They may if no cycle, no valuation and no end of a part lies in them, and no candle is missing.
        """
        last_ms, first_ms = bars.first_ms[end - 1], forming.open_ms
        if bars.open_ms[end - 1] - first_ms != (end - begin) * self._interval_ms:
            return False
        if last_ms // DAY_MS != first_ms // DAY_MS or (self._splits and last_ms >= self._splits[0]):
            return False
        bids = self._bid, *bars.bids[begin : end - 1]
        if not self._stands(min(bids), max(bids)):
            return False
        return not self._stopped() and self._skipper.skip_bars(bars, begin, end, forming.close)

    def _look_into(self, segment: Segment) -> None:
        """Handle the parts of a segment one by one."""
        for part in segment.parts():
            if part is not segment:
                if self._due_ms < part.first_ms:
                    self._run_timed_cycles(part.first_ms)
                skipped = not self._unseen_klines and self._skipper.skip_segment(part)
            else:
                skipped = False
            self._candles.add(part)
            if not skipped:
                self._scan_ticks(part)
            self._reach(part)

    def _reach(self, segment: Segment) -> None:
        self._bid, self._ask = segment.bid, segment.ask
        self._last_segment = segment

    def _finish(self) -> None:
        """Record the final sample and the final valuation, even in the middle of a candle."""
        if self._last_segment is None:
            return
        columns, _, end = self._last_segment.parts()[-1].ticks()
        end_ms = max(self._cycle_ms, columns.time_ms[end - 1])
        forming = self._candles.forming()
        if forming is not None and (self.recorder.add_candle(forming) or self.recorder.has_unsampled_candle):
            self._sample(end_ms, self._channel.current)
        self.recorder.mark_to_market(end_ms, self._bid, *self.exchange.totals())
        self.recorder.end_part()

    def _split(self, market_ms: int) -> None:
        """End one part of the results at the last price; the next part measures its drawdown from there."""
        if self._last_segment is not None:
            self._mark(market_ms)
            self.recorder.end_part()
            self._marked = (-1, 0, 0)  # the next part has a drawdown of its own

    def _sample(self, market_ms: int, channel: Channel | None) -> None:
        state = self.core.state
        # Adding up `Decimal` balances at each candle would cost more than the rest of the sample.
        if self._cached_totals[0] != self.exchange.balance_updates:
            base, quote = self.exchange.totals()
            self._cached_totals = (self.exchange.balance_updates, (float(base), float(quote)))
        high = max(state.high, self._skipper.high)
        self.recorder.add_sample(market_ms, self._bid, self._ask, state, high, channel, self._cached_totals[1])

    def _mark(self, market_ms: int) -> None:
        """Value the account at the best bid (mark to market)."""
        base, quote = self.exchange.totals()
        self.recorder.mark_to_market(market_ms, self._bid, base, quote)
        self._marked = (self.exchange.balance_updates, *self.recorder.unmoved_bids(base))

    def _stands(self, low_bid: int, high_bid: int) -> bool:
        """Whether no valuation is needed: no bid between `low_bid` and `high_bid` changes a drawdown."""
        updates, above, below = self._marked
        return above < low_bid and high_bid < below and updates == self.exchange.balance_updates

    def _scan_ticks(self, segment: TickedSegment) -> None:
        columns, index, end = segment.ticks()
        if self._unseen_klines:  # closed candles reach the core with the first tick after them, as in the daemon
            self._deliver_tick(columns, index)
            index += 1
        while index < end:
            index = self._skipper.find_tick(columns, index, end)
            if index < end:
                self._deliver_tick(columns, index)
                index += 1

    def _deliver_tick(self, columns: TickColumns, index: int) -> None:
        """Play a market tick at which the core might act, and run a trading cycle."""
        time_ms = columns.time_ms[index]
        opening = not self._cycle_ms  # the first tick: the daemon logs on and reads balances and limits
        if opening:
            self.exchange.open(time_ms)
            self._budget.update_limits(self.exchange.limits(), time_ms)
        elif self._due_ms < time_ms:
            self._run_timed_cycles(time_ms, columns, index)
        self._play_tick(columns, index)
        closed, self._unseen_klines = tuple(self._unseen_klines), []
        self._run_cycle(closed)
        if opening:
            self._mark(time_ms)

    # Candles ---------------------------------------------------------------------------------

    def _close_candles(self, segment: Segment) -> None:
        """Close the candles that end before this group of ticks.

        If there were no market ticks for some time, several candles close at once.
        """
        gap = False  # the strategy also gets the flat candles of a gap, but the report shows only the first
        for candle in self._candles.closed_by(segment):
            channel = self._channel.current
            if not gap:
                gap = True
                if self.recorder.add_candle(candle):
                    self._sample(candle.close_ms, channel)
                # A valuation at every candle would give the same result, but slowly: it is computed in `Decimal`.
                last_of_day = candle.close_ms // DAY_MS < segment.first_ms // DAY_MS  # a daily close, for the metrics
                if last_of_day or not self._stands(self._bid, self._bid):
                    self._mark(candle.close_ms)
            if self._unseen_klines or self._needs_cycle(candle, channel):
                self._unseen_klines.append(candle.to_kline(self._grid))
            else:
                self._pass_by(candle, channel)

    def _needs_cycle(self, candle: TickCandle, channel: Channel | None) -> bool:
        """Whether the core must get this candle at once, because its close may move the gate or start an exit."""
        close = candle.close / self._scale
        if self._follows_breakouts and channel is not None and channel.breakout(close):
            return True
        if self._skipper.quiet_closes.contains(close):
            return False
        if not self._skipper.skips:
            return True
        return not self._bars.changes_nothing(self.core.state, close, candle.close_ms, channel)

    def _pass_by(self, candle: TickCandle, channel: Channel | None) -> None:
        """Add a closed candle to the channel and remember its close. No cycle of the core runs for it."""
        moving, scale = self._channel, self._scale
        close = candle.close / scale
        self._bars.skip(close, candle.close_ms, channel)
        if self._channel_of_closes:
            moving.push_edges(close, close)
        else:
            moving.push_edges(candle.high / scale, candle.low / scale)
        self._skipper.on_channel(moving.current)

    # Cycles ----------------------------------------------------------------------------------

    def _run_timed_cycles(self, until_ms: int, columns: TickColumns | None = None, index: int = 0) -> None:
        """Before `until_ms`, run the cycles that are due by time alone, and let requests arrive at the exchange.

        The book is that of the market tick before `index`. If `index` is 0, it is that of the last tick of the previous
        segment.
        """
        while (now_ms := max(self._due_ms, self._cycle_ms) + 1) < until_ms:
            if columns is not None and index:
                self._play_tick(columns, index - 1)
            elif self._last_segment is not None:
                columns_before, _, end = self._last_segment.parts()[-1].ticks()
                self._play_tick(columns_before, end - 1)
            self.exchange.pass_time(now_ms)
            while self._under_way and self._under_way[0][0] <= now_ms:
                self._execute(self._under_way.popleft()[1])
            self._run_cycle(())

    def _play_tick(self, columns: TickColumns, index: int) -> None:
        """Let the exchange play a market tick, unless it is the tick that the exchange has played last."""
        if self._played[0] is columns and self._played[1] == index:
            return
        self._played = columns, index
        self._bid, self._ask = columns.bids[index], columns.asks[index]
        self.exchange.play_tick(columns.tick(index, self._grid))

    def _run_cycle(self, closed: tuple[Kline, ...]) -> None:
        """Run trading cycles until nothing more is due at this market time."""
        exchange, core = self.exchange, self.core
        market_ms = self._cycle_ms = exchange.now_ms
        core.state = self._bars.catch_up(core.state)
        skipped = self._skipper
        highest_bid = None if skipped.highest_bid is None else self._grid.price(skipped.highest_bid)
        lowest_ask = None if skipped.lowest_ask is None else self._grid.price(skipped.lowest_ask)
        for _ in range(_MAX_CYCLES_AT_ONCE):
            self.cycles += 1
            # Without the names of the fields, because a call with names takes three times as long.
            view = StateView(
                market_ms / 1000,
                market_ms,
                exchange.top(),
                0.0,  # its age
                exchange.balances,
                exchange.balances_ms,
                True,  # the account connection is proven
                closed,
                exchange.balance_updates,
                False,  # the balances are not in doubt
                highest_bid,
                lowest_ask,
            )
            closed, highest_bid, lowest_ask = (), None, None
            commands = core.tick(view, market_ms)
            for command in commands:
                if self._delay_ms:
                    self._under_way.append((market_ms + self._delay_ms, command))
                else:
                    self._execute(command)
            if core.events:
                for event in core.events:
                    self.recorder.on_event(event, market_ms)
                core.events.clear()
            if not (commands or core.inbox or core.needs_another_tick):
                break
        else:
            raise BrokenInvariant(f"{_MAX_CYCLES_AT_ONCE} trading cycles at one market time without an end")
        if self._thorough:
            core.find_due(view, market_ms)
        else:
            core.plan_ahead(view, market_ms)
        # To the next full millisecond, but for the rounding of floats.
        due_s = core.due_s
        self._due_ms = _NEVER_MS if due_s == inf else max(market_ms, ceil(due_s * 1000 - _ROUNDING_MS))
        self._skipper = self._skips_nothing
        if self._under_way:
            # A request meets the book at its arrival, and our old order may fill until then: nothing is skipped.
            self._due_ms = min(self._due_ms, self._under_way[0][0] - 1)
        elif core.plan is not None:
            prices = self._bid, self._ask
            self._skipper = TickSkipper(core.plan, core.decision, self._params, self._grid, *prices, self._due_ms)

    def _execute(self, command: ExecutionCommand) -> None:
        """Let a command take effect: the exchange executes it and answers."""
        if isinstance(command, Refresh):
            self._refresh(command)
        else:
            self.exchange.execute(command)
            self._budget.update_limits(self.exchange.limits(), self.exchange.now_ms)

    def _refresh(self, refresh: Refresh) -> None:
        """Handle a `Refresh` of the balances as the daemon does: query them.

        A `Refresh` of rules or clock needs nothing, because these never change in a backtest.
        """
        if refresh is Refresh.BALANCES:
            balance_sync = self.core.balance_sync
            self.exchange.publish_balances()
            balance_sync.on_balances_read(
                balance_sync.mark(self.exchange.balance_updates), self.exchange.balance_updates
            )

    def _on_order_input(self, received: OrderInput) -> None:
        if isinstance(received, ExecutionReport):
            self.recorder.on_report(received)
            self.core.on_report(received, self.exchange.balance_updates)
        else:
            self.core.inbox.append(received)
