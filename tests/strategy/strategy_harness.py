"""Strategy harness: a market that the test sets, an account, and an execution that always succeeds."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.execution.order_builders import RULES
from tests.tight_settings import TIGHT

from trailingedge.indicators.donchian import Channel, DonchianChannel
from trailingedge.live.factory import strategy_params
from trailingedge.model.intent import ExitEndReason, ExitProgress, OrderIntent
from trailingedge.model.market import ZERO, BookTop, Kline, Regime, Side
from trailingedge.strategy.decide import StrategyStep, decide
from trailingedge.strategy.inputs import ClosedKline, Holdings, Inputs, StrategyCommand, StrategyParams
from trailingedge.strategy.state import ActiveExit, Phase, ReentryGate, StrategyState
from trailingedge.strategy.strategy_events import StrategySignal

START_MS = 1_783_000_020_000  # a full minute
MINUTE_MS = 60_000

DEFAULTS = strategy_params(TIGHT, RULES, fee=0.0)


def params(**changes: Any) -> StrategyParams:
    return replace(DEFAULTS, **changes)


def top(bid: str | Decimal, ask: str | Decimal | None = None) -> BookTop:
    """A book with a spread of 0.01, or with that ask."""
    bid = Decimal(bid)
    return BookTop(bid, bid + Decimal("0.01") if ask is None else Decimal(ask))


def held(base: str = "0", quote: str = "0") -> Holdings:
    return Holdings(Decimal(base), Decimal(quote))


def kline(minute: int, close: str | float, *, high: str | float | None = None, low: str | float | None = None) -> Kline:
    """A kline of that minute since the start."""
    opens = START_MS + minute * MINUTE_MS
    at = Decimal(str(close))
    return Kline(
        open_ms=opens,
        close_ms=opens + MINUTE_MS - 1,
        open=at,
        high=at if high is None else Decimal(str(high)),
        low=at if low is None else Decimal(str(low)),
        close=at,
    )


def full_channel(lower: float, upper: float) -> Channel:
    return Channel(upper, lower, full=True)


class StrategyRun:
    """A run of the strategy, one tick at a time, with an account that changes as its exits fill.

    Execution accepts each intent, and drops an exit at once when its intent is gone. `fill` fills the exit; with
    `fills` set, each exit fills by itself at the best price of its own side.
    """

    def __init__(
        self,
        settings: StrategyParams = DEFAULTS,
        base: str = "1",
        quote: str = "0",
        state: StrategyState | None = None,
        fills: bool = False,
        window: int = 3,
    ) -> None:
        self.params = settings
        self.state = StrategyState() if state is None else state
        self.holdings = held(base, quote)
        self.market_ms = START_MS
        self.donchian = DonchianChannel(window, 1)
        self.fills = fills
        self.progress: ExitProgress | None = None
        self.events: list[StrategySignal] = []
        self.minute = 0
        self.last: StrategyStep | None = None
        self.last_inputs: Inputs | None = None

    def tick(
        self,
        bid: str | Decimal | None,
        ask: str | Decimal | None = None,
        *,
        seconds: float = 1.0,
        closes: Sequence[Kline] = (),
        settled: bool = True,
        channel: Channel | None = None,
        **given: Any,
    ) -> StrategyStep:
        """One tick, `seconds` after the last; without a bid, the market is stale."""
        self.market_ms += round(seconds * 1000)
        closed = tuple(ClosedKline(each, self.donchian.push(each)) for each in closes)
        inputs = Inputs(
            market_ms=self.market_ms,
            server_ms=self.market_ms,
            top=None if bid is None else top(bid, ask),
            holdings=self.holdings if settled else None,
            channel=self.donchian.current if channel is None else channel,
            closed_klines=closed,
            progress=self.progress,
            **given,
        )
        self.last_inputs = inputs
        step = decide(inputs, self.state, self.params)
        self.state = step.state
        self.events += step.events
        self.last = step
        self._execute(step.intent)
        if self.fills and step.intent is not None and inputs.top is not None:
            self.fill(inputs.top.ask if step.intent.side is Side.SELL else inputs.top.bid)
        return step

    def close(self, close: str | float, bid: str | Decimal | None = None, **given: Any) -> StrategyStep:
        """The next kline closes, flat at `close`, and the book is at `bid` (or at the close)."""
        closed = kline(self.minute, close)
        self.minute += 1
        self.market_ms = max(self.market_ms, closed.close_ms)
        return self.tick(Decimal(str(close)) if bid is None else bid, seconds=0.001, closes=[closed], **given)

    def flip(self, bid: str, **given: Any) -> StrategyStep:
        return self.tick(bid, command=StrategyCommand.FLIP, **given)

    def cancel(self, bid: str | None, **given: Any) -> StrategyStep:
        return self.tick(bid, command=StrategyCommand.CANCEL, **given)

    def fill(self, price: str | Decimal, share: str | Decimal = "1") -> None:
        """The exit in progress fills by `share` of what is left, and completes with the last of it."""
        progress, exit_ = self.progress, self.state.exit
        if progress is None or exit_ is None or progress.complete is not None:
            raise LookupError("no exit to fill")
        price, share = Decimal(price), Decimal(share)
        base, quote = self.holdings.base, self.holdings.quote
        traded = base * share if exit_.side is Side.SELL else quote * share / price
        spent = traded * price
        sign = -1 if exit_.side is Side.SELL else 1
        self.holdings = Holdings(base + sign * traded, quote - sign * spent)
        done = share == 1
        if done:
            self.holdings = (
                replace(self.holdings, base=ZERO) if exit_.side is Side.SELL else replace(self.holdings, quote=ZERO)
            )
        self.progress = progress._replace(
            filled_base=progress.filled_base + traded,
            filled_quote=progress.filled_quote + spent,
            idle=done,
            complete=ExitEndReason.FILLED if done else None,
            rested=True,
            may_fill=not done,
        )

    def report(self, **changes: Any) -> None:
        """Change what execution reports of the exit in progress."""
        if self.progress is None:
            raise LookupError("no exit in progress")
        self.progress = self.progress._replace(**changes)

    # Methods and not attributes: mypy narrows the type of an attribute, and does not know that a tick changes it.

    def phase(self) -> Phase:
        return self.state.phase

    def regime(self) -> Regime | None:
        return self.state.regime

    def gate(self) -> ReentryGate | None:
        return self.state.gate

    def exit(self) -> ActiveExit | None:
        return self.state.exit

    def signals(self, kind: type[StrategySignal]) -> list[StrategySignal]:
        """The signals of one type so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def _execute(self, intent: OrderIntent | None) -> None:
        if intent is None:
            if self.progress is not None:
                self.progress = None if self.state.exit is None else self.progress._replace(idle=True)
        elif self.progress is None or self.progress.number != intent.number:
            self.progress = ExitProgress(
                intent.number, ZERO, ZERO, idle=False, complete=None, rested=False, may_fill=True
            )


def in_base(anchor: str = "2500", **given: Any) -> StrategyRun:
    """Watching in BASE, anchored at that price."""
    run = StrategyRun(**given)
    run.tick(anchor)
    return run


def in_quote(anchor: str = "2500", **given: Any) -> StrategyRun:
    """Watching in QUOTE, anchored at that price (the ask)."""
    run = StrategyRun(base="0", quote="2500", **given)
    run.tick(Decimal(anchor) - Decimal("0.01"), anchor)
    return run


def gated(anchor: str = "2500", **given: Any) -> StrategyRun:
    """In QUOTE after a flush at that price, the gate shut."""
    run = in_base(anchor, **given)
    low = str(Decimal(anchor) * Decimal("0.99"))
    run.tick(low)
    run.tick(low)
    run.fill(low)
    run.tick(low)
    if run.state.regime is not Regime.QUOTE or run.state.gate is None:
        raise LookupError("the flush did not shut the gate")
    return run
