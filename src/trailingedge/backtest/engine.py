"""One market from beginning to end: trader and venue wired directly, and time that jumps.

The trader is the daemon's own, and is given what the daemon would give it; what lies between (sockets, text,
an event loop) is left out. So are the ticks at which it would do nothing: a mode (see `modes`) looks for the
next at which it might. `thorough` leaves nothing out, for whoever wants to see that this changes nothing.

The timing is that of the embedded exchange at the market's own pace, with nothing on its way for any time:
- a tick fills what it fills, and is heard of together with those fills and with the candles that it closes;
- a request is carried out, answered and heard of within the tick that gave rise to it, and the beat after an
  answer may ask again, so that the market never runs ahead of a bot that has more to say;
- between two ticks the book stands still. The house is kept every LOOP_SLEEP_SEC from the first tick on, and a
  stop is confirmed a millisecond after its time, as the daemon does;
- the market counts as fresh throughout, for at an exchange that answers, a quiet market is proved by asking.
It begins without a history of candles, as a daemon does at the beginning of the same files.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from trailingedge.backtest.candles import CandleBuilder, TickCandle
from trailingedge.backtest.columns import Columns, PriceGrid, TickColumns
from trailingedge.backtest.fast_forward import (
    EveryTick,
    FastForward,
    WhileHoldingBase,
    WhileHoldingQuote,
    WhileOrderRests,
)
from trailingedge.backtest.inputs import BacktestInputs
from trailingedge.backtest.matching import BacktestExchange, symbol_rules_of
from trailingedge.backtest.no_action_bounds import BoundsInputs, funded_ask_limit, funded_bid_limit
from trailingedge.backtest.recorder import BacktestRecorder
from trailingedge.backtest.segments import Segment, split_segments
from trailingedge.config_validator import effective_rules
from trailingedge.core.errors import BrokenInvariant
from trailingedge.core.time_units import DAY_MS
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.order import OrderState
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore
from trailingedge.indicators.donchian import Channel
from trailingedge.live import factory
from trailingedge.model.client_order_ids import own_id
from trailingedge.model.intent import ExitKind, OrderIntent
from trailingedge.model.market import ZERO, ExecutionReport, Kline, Regime, Side
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import OrderInput, Refresh
from trailingedge.simulator.klines import INTERVALS
from trailingedge.strategy.bar_fold import BarFold
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.state import StrategyState

_MAX_CYCLES_AT_ONCE: Final = 1000  # a beat that asks for another without end is a mistake of ours
_MAX_IDLE_CYCLES: Final = 90  # of house-keeping; whatever waits for time to pass waits less than that


class Backtest:
    """Runs once. `stopped` is asked now and then whether that is enough.

    `splits` are times at which one part of it ends and another begins (see `BacktestRecorder.parts`), oldest first.
    """

    def __init__(
        self,
        ground: BacktestInputs,
        *,
        curves: bool = True,
        thorough: bool = False,
        splits: Sequence[int] = (),
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        settings, terms = ground.settings, ground.spec
        self.cycles = 0
        self.halt_reason: str | None = None  # of a halt
        self._settings = settings
        self._thorough = thorough
        self._stopped = stopped
        self._splits = deque(splits)
        self._grid = PriceGrid(terms.tick_size, terms.step_size)
        self._scale = self._grid.scale
        rules = effective_rules(settings, symbol_rules_of(terms))
        fee = terms.maker_fee if settings.fee is None else settings.fee
        self._params = factory.strategy_params(settings, rules, float(fee))
        self._budget = OrderRateBudget(settings.order_budget_reserve)
        self._channel = factory.donchian_channel(settings)
        self.exchange = BacktestExchange(terms, ground.balances, self._on_order_input)
        self.core = TradingCore(
            self._params,
            factory.trading_params(settings),
            MakerExit(rules, self._budget, factory.maker_exit_params(settings)),
            self._channel,
            factory.risk_engine(settings, rules, 0),
            rules.base_asset,
            rules.quote_asset,
            paused=settings.start_paused,
        )
        self.recorder = BacktestRecorder(rules, self._grid, self._params, curves=curves)
        self._interval_ms = INTERVALS[settings.kline_interval]
        self._loop_sleep_ms = max(1, round(settings.loop_sleep_sec * 1000))
        self._candles = CandleBuilder(self._interval_ms)
        self._fast_forward: FastForward = EveryTick(0.0)
        self._channel_of_closes = settings.donchian_source == "close"
        self._follows_breakouts = settings.breakout_entry or settings.breakout_exit
        self._paused_until_ms: int | None = None  # while a breaker holds, the end of the day
        self._unseen_klines: list[Kline] = []  # closed, and for the next beat to hear of
        self._bars = BarFold(self._params)  # the newest that closed quietly is not in the trader's state yet
        self._first_ms = self._cycle_ms = 0
        self._idle_cycles = 0
        self._bid = self._ask = 0  # the others' best now
        self._marked = (-1, 0, 0)  # pushes, highest and lowest bid at the marks since the account last changed
        self._cached_totals = (-1, (0.0, 0.0))  # pushes, and what the account held then, for the curves
        self._last_segment: Segment | None = None

    @property
    def time_ms(self) -> int:
        """How far the market has come."""
        return 0 if self._last_segment is None else self._last_segment.first_ms

    # The market ------------------------------------------------------------------------------

    def run(self, market: Iterable[Columns]) -> None:
        """To the end of the market, to a halt, or until stopped."""
        try:
            for stretch in split_segments(market, self._interval_ms):
                if stretch.open_ms != self._candles.open_ms:
                    if self._stopped():
                        break
                    self._close_candles(stretch)
                    while self._splits and stretch.first_ms >= self._splits[0]:
                        self._split(self._splits.popleft())
                self._candles.add(stretch)
                if self._unseen_klines or not self._fast_forward.skip_segment(stretch):
                    self._scan_segment(stretch)
                self._bid, self._ask = stretch.bid, stretch.ask
                self._last_segment = stretch
        except BrokenInvariant as broken:
            self.halt_reason = str(broken)
        self._finish()

    def _finish(self) -> None:
        """Where things stand at the end, in the middle of a candle or not."""
        if self._last_segment is None:
            return
        columns, _, end = self._last_segment.ticks()
        end_ms = max(self._cycle_ms, columns.time_ms[end - 1])
        forming = self._candles.forming()
        if forming is not None and (self.recorder.add_candle(forming) or self.recorder.has_unsampled_candle):
            self._sample(end_ms, self._channel.current)
        self.recorder.mark_to_market(end_ms, self._bid, *self.exchange.totals())
        self.recorder.end_part()

    def _split(self, market_ms: int) -> None:
        """One part ends where the market stood last, and what is highest and lowest is measured anew."""
        if self._last_segment is not None:
            self.recorder.mark_to_market(market_ms, self._bid, *self.exchange.totals())
            self.recorder.end_part()
            self._marked = (self.exchange.balance_updates, self._bid, self._bid)

    def _sample(self, market_ms: int, channel: Channel | None) -> None:
        memory = self.core.state
        if self._cached_totals[0] != self.exchange.balance_updates:
            base, quote = self.exchange.totals()
            self._cached_totals = (self.exchange.balance_updates, (float(base), float(quote)))
        high = max(memory.high, self._fast_forward.high)
        self.recorder.add_sample(market_ms, self._bid, self._ask, memory, high, channel, self._cached_totals[1])

    def _mark(self, market_ms: int) -> None:
        """Only a bid higher or lower than those before it can move the drawdown, while the account stands still."""
        pushes, highest, lowest = self._marked
        if pushes != self.exchange.balance_updates:
            highest = lowest = self._bid
        self._marked = (self.exchange.balance_updates, max(highest, self._bid), min(lowest, self._bid))
        self.recorder.mark_to_market(market_ms, self._bid, *self.exchange.totals())

    def _scan_segment(self, stretch: Segment) -> None:
        columns, index, end = stretch.ticks()
        if self._unseen_klines:
            self._deliver_tick(columns, index)
            index += 1
        while index < end:
            index = self._fast_forward.find_tick(columns, index, end)
            if index < end:
                self._deliver_tick(columns, index)
                index += 1

    def _deliver_tick(self, columns: TickColumns, index: int) -> None:
        """A tick that somebody should think about."""
        tick = columns.tick(index, self._grid)
        opening = not self._cycle_ms
        if opening:
            self._first_ms = tick.time_ms
            self.exchange.market_ms = tick.time_ms
            self.exchange.publish_balances()
            self.exchange.pass_time(tick.time_ms)
            self._budget.update_limits(self.exchange.limits(), tick.time_ms)
        self._run_timed_cycles(tick.time_ms)
        self._remember()
        self._bid, self._ask = columns.bids[index], columns.asks[index]
        self.exchange.play_tick(tick)
        closed, self._unseen_klines = tuple(self._unseen_klines), []
        self._idle_cycles = 0
        self._run_cycle(closed)
        if opening:
            self._mark(tick.time_ms)

    # Candles ---------------------------------------------------------------------------------

    def _close_candles(self, stretch: Segment) -> None:
        """The candles that are over as `stretch` begins."""
        gap = False  # the strategy hears of the candles of a gap too, but there is nothing to show of them
        for candle in self._candles.closed_by(stretch):
            channel = self._channel.current
            if not gap:
                gap = True
                if self.recorder.add_candle(candle):
                    self._sample(candle.close_ms, channel)
                pushes, highest, lowest = self._marked
                if not lowest <= self._bid <= highest or pushes != self.exchange.balance_updates:
                    self._mark(candle.close_ms)
            if self._unseen_klines or self._needs_cycle(candle, channel, stretch.first_ms):
                self._unseen_klines.append(candle.to_kline(self._grid))
            else:
                self._pass_by(candle, channel)

    def _needs_cycle(self, candle: TickCandle, channel: Channel | None, now_ms: int) -> bool:
        """Whether the trader has to hear of a close at once, for it may move gate or exit."""
        close = candle.close / self._scale
        if self._follows_breakouts and channel is not None and channel.breakout(close):
            return True
        if self._paused_until_ms is not None and now_ms >= self._paused_until_ms:
            return True  # a new day may lift what holds
        if close < self._fast_forward.quiet_close_below:
            return False
        if isinstance(self._fast_forward, EveryTick):
            return True
        return not self._bars.changes_nothing(self.core.state, close, candle.close_ms, channel)

    def _pass_by(self, candle: TickCandle, channel: Channel | None) -> None:
        """A close that nobody has to hear of at once."""
        moving, scale = self._channel, self._scale
        close = candle.close / scale
        self._bars.skip(close, candle.close_ms, channel)
        if self._channel_of_closes:
            moving.push_edges(close, close)
        else:
            moving.push_edges(candle.high / scale, candle.low / scale)
        self._fast_forward.on_channel(moving.current)

    def _remember(self) -> None:
        """Put into the trader's memory what went by without a beat: the high, and the newest close."""
        trader, high = self.core, self._fast_forward.high
        if high > trader.state.high:
            trader.state = replace(trader.state, high=high)
        trader.state = self._bars.catch_up(trader.state)

    # Beats -----------------------------------------------------------------------------------

    def _run_timed_cycles(self, until_ms: int) -> None:
        """The beats that a daemon would make before `until_ms` though the book stands still."""
        while isinstance(self._fast_forward, EveryTick) and self._cycle_ms:
            due_ms = self._next_timed_cycle_ms()
            if due_ms is None or due_ms >= until_ms:
                return
            self.exchange.pass_time(due_ms)
            if self._run_cycle(()):
                self._idle_cycles = 0
            else:
                self._idle_cycles += 1

    def _next_timed_cycle_ms(self) -> int | None:
        """When time alone next gives rise to a beat."""
        due_ms, decision = None, self.core.decision
        judged = decision is not None and TradeBlock.PAUSED not in decision.exit_blocks and decision.acted is None
        memory = self.core.state
        waits = memory.exit is not None or memory.stop_breach_since_ms is not None or not judged
        if self._idle_cycles < _MAX_IDLE_CYCLES and (waits or self._thorough):
            since_ms = self._cycle_ms - self._first_ms
            due_ms = self._first_ms + (since_ms // self._loop_sleep_ms + 1) * self._loop_sleep_ms
        confirms_in_s = self.core.stop_confirms_in_s()
        if confirms_in_s is None:
            return due_ms
        confirmed_ms = self._cycle_ms + round(confirms_in_s * 1000) + 1
        return confirmed_ms if due_ms is None else min(due_ms, confirmed_ms)

    def _run_cycle(self, closed: tuple[Kline, ...]) -> bool:
        """One beat, and those that its answers give rise to; whether anything was asked or told."""
        venue, trader = self.exchange, self.core
        market_ms = self._cycle_ms = venue.now_ms
        stirred = False
        for _ in range(_MAX_CYCLES_AT_ONCE):
            self.cycles += 1
            view = StateView(
                now_s=market_ms / 1000,
                market_ms=market_ms,
                top=venue.top(),
                top_age_s=0.0,
                balances=venue.balances,
                balances_ms=venue.balances_ms,
                account_proven=True,
                closed_klines=closed,
                balance_updates=venue.balance_updates,
            )
            closed = ()
            commands = trader.tick(view, market_ms)
            for command in commands:
                if isinstance(command, Refresh):
                    self._refresh(command)
                else:
                    venue.execute(command)
                    self._budget.update_limits(venue.limits(), market_ms)
            stirred = stirred or bool(commands or trader.events)
            for news in trader.events:
                self.recorder.on_event(news, market_ms)
            trader.events.clear()
            if not (commands or trader.inbox or trader.needs_another_tick):
                break
        else:
            raise BrokenInvariant(f"{_BEATS_AT_ONCE} beats at one moment, and no end of them")
        self._paused_until_ms = (market_ms // DAY_MS + 1) * DAY_MS if trader.trading_paused else None
        self._fast_forward = EveryTick(trader.state.high) if self._thorough else self._choose_fast_forward()
        return stirred

    def _refresh(self, remedy: Refresh) -> None:
        """Balances are told as if asked for; rules and clock are what they were."""
        if remedy is Refresh.BALANCES:
            settlement = self.core.balance_sync
            self.exchange.publish_balances()
            settlement.on_balances_read(settlement.mark(self.exchange.balance_updates), self.exchange.balance_updates)

    def _on_order_input(self, told: OrderInput) -> None:
        if isinstance(told, ExecutionReport):
            self.recorder.on_report(told)
            self.core.on_report(told, self.exchange.balance_updates)
        else:
            self.core.inbox.append(told)

    # What it would take to do something --------------------------------------------------------

    def _choose_fast_forward(self) -> FastForward:
        """The mode for what the trader is about."""
        trader = self.core
        memory, decision = trader.state, trader.decision
        blocks = () if decision is None else decision.exit_blocks
        if memory.regime is None or TradeBlock.UNFUNDED in blocks or decision is None or memory.holdings is None:
            return EveryTick(memory.high)
        if memory.stop_breach_since_ms is not None or (TradeBlock.PAUSED in blocks and not trader.trading_paused):
            return EveryTick(memory.high)
        if decision.acted is not None:  # the rows below that one were not asked, and will be in the next beat
            return EveryTick(memory.high)
        if memory.exit is not None:
            return self._while_order_rests(memory, trader.intent) or EveryTick(memory.high)
        if not trader.maker_exit.idle:
            return EveryTick(memory.high)
        in_base = memory.regime is Regime.BASE
        limit = (funded_bid_limit if in_base else funded_ask_limit)(memory.holdings, self._params, self._scale)
        standing = BoundsInputs(
            memory.anchor, self._channel.current, self._params, self._scale, limit, trader.trading_paused
        )
        if in_base:
            return WhileHoldingBase(memory.high, standing)
        return WhileHoldingQuote(memory.high, standing, gated=TradeBlock.GATE_SHUT in blocks)

    def _while_order_rests(self, memory: StrategyState, want: OrderIntent | None) -> FastForward | None:
        """The mode for an order that rests where it should; None while anything is still to be done about it."""
        chase, held = self.core.maker_exit, memory.exit
        order = chase.order
        if want is None or held is None or memory.regime is None or order is None or order.price is None:
            return None
        if order.state is not OrderState.WORKING or order.side is not want.side or len(chase.alive) != 1:
            return None
        if self.core.rules.tick_size != self._grid.tick_size:  # a chaser that steps further sees other prices
            return None
        own = own_id(order.client_order_id)
        if own is None or own.kind is not want.kind or self._settings.taker_escape_after_sec > 0:
            return None
        if not order.partially_filled and order.remaining != self._quantity(want, order.price):
            return None
        watched = memory.regime is Regime.BASE and held.kind is not ExitKind.FLUSH
        mode = WhileOrderRests(
            memory.high,
            memory.regime,
            want.side,
            int(order.price / self._grid.tick_size),
            want.pricing,
            self._bid,
            self._ask,
            stop=(memory.anchor, self._params) if watched else None,
            channel=self._channel.current,
            scale=self._scale,
        )
        return mode if mode.is_possible else None

    def _quantity(self, want: OrderIntent, price: Decimal) -> Decimal:
        """What the chaser would place for `want`."""
        rules = self.core.rules
        base = want.funds if want.side is Side.SELL else want.funds / price
        if rules.max_notional is not None:
            base = min(base, rules.max_notional / price)
        return rules.round_quantity(max(base, ZERO))
