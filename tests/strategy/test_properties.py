"""Properties of every run, with any market and any operator."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategy.strategy_harness import DEFAULTS, StrategyRun, params, top

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import BookTop, Kline, Regime
from trailingedge.strategy.decide import Rule, StrategyStep
from trailingedge.strategy.inputs import Holdings, StrategyCommand, StrategyParams
from trailingedge.strategy.state import Phase
from trailingedge.strategy.strategy_events import BrokeOut, ExitStarted, HardStopTriggered
from trailingedge.strategy.trailing_take_profit import Trail

TICK: Final = Decimal("0.01")


@dataclass(frozen=True)
class Moment:
    """One thing that happens: a move of the market, and perhaps somebody doing something."""

    move_permille: int
    seconds: float = 1.0
    close: bool = False
    command: StrategyCommand | None = None
    trading_paused: bool = False
    stale: bool = False
    unsettled: bool = False
    expire: bool = False
    fill: str | None = None
    deposit: tuple[int, int] | None = None  # thousandths of one base, whole quote


moves = st.one_of(st.integers(-3, 3), st.integers(-25, 25))
quiet = st.builds(Moment, moves, close=st.booleans(), fill=st.sampled_from([None, "1"]))
rarely = st.integers(0, 5).map(lambda n: n == 0)
wild = st.builds(
    Moment,
    moves,
    seconds=st.sampled_from([0.1, 1.0, 5.0]),
    close=st.booleans(),
    command=st.sampled_from([None, None, None, StrategyCommand.FLIP, StrategyCommand.CANCEL]),
    trading_paused=rarely,
    stale=rarely,
    unsettled=rarely,
    expire=rarely,
    fill=st.sampled_from([None, None, "0.4", "1"]),
    deposit=st.one_of(st.none(), st.none(), st.tuples(st.integers(-900, 900), st.integers(-900, 900))),
)


class Walk:
    """A life driven through moments, at prices times `scale`."""

    def __init__(self, given_params: StrategyParams = DEFAULTS, scale: Decimal = Decimal(1), quote: int = 0) -> None:
        self.scale = scale
        self.price = Decimal(2500)
        scaled = replace(given_params, min_notional=given_params.min_notional * scale)
        self.run = StrategyRun(scaled, base="0" if quote else "1", quote=str(quote * scale))

    def step(self, moment: Moment) -> StrategyStep:
        run = self.run
        self.price = max(Decimal(100), (self.price * (1000 + moment.move_permille) / 1000).quantize(TICK))
        book = self.book()
        if moment.fill is not None and run.progress is not None and run.progress.complete is None and run.exit():
            run.fill(book.mid, moment.fill)
        if moment.deposit is not None:
            base, quote = moment.deposit
            run.holdings = Holdings(
                max(Decimal(0), run.holdings.base + Decimal(base) / 1000),
                max(Decimal(0), run.holdings.quote + quote * self.scale),
            )
        return run.tick(
            None if moment.stale else book.bid,
            book.ask,
            seconds=moment.seconds,
            closes=[self.kline()] if moment.close else [],
            command=moment.command,
            trading_paused=moment.trading_paused,
            settled=not moment.unsettled,
            command_expired=moment.expire,
        )

    def book(self) -> BookTop:
        return BookTop(self.price * self.scale, (self.price + TICK) * self.scale)

    def kline(self) -> Kline:
        """A flat kline that has just closed."""
        at, now_ms = self.price * self.scale, self.run.market_ms
        return Kline(now_ms - 60_000, now_ms, at, at, at, at)


def shape(step: StrategyStep) -> tuple[object, ...]:
    """What was decided, without the numbers."""
    want = None if step.intent is None else (step.intent.side, step.intent.kind, step.intent.number)
    return step.decision.acted, step.state.phase, step.state.regime, want


@given(moments=st.lists(wild, max_size=60), power=st.integers(-8, 8), quote=st.sampled_from([0, 2500]))
def test_scaling_all_prices_by_a_power_of_two_changes_no_decision(
    moments: list[Moment], power: int, quote: int
) -> None:
    followed = params(breakout_entry=True, breakout_exit=True)
    one, scaled = Walk(followed, quote=quote), Walk(followed, Decimal(2) ** power, quote)
    for moment in moments:
        assert shape(one.step(moment)) == shape(scaled.step(moment))


@given(moments=st.lists(st.tuples(quiet, st.integers(-400, 4000), st.integers(-900, 9000)), max_size=60))
def test_deposits_and_withdrawals_move_no_trigger_while_the_side_stays_tradable(
    moments: list[tuple[Moment, int, int]],
) -> None:
    alone, busy = Walk(), Walk()
    for moment, base, quote in moments:
        if busy.run.exit() is None and busy.run.regime() is not None:
            least_base, least_quote = (
                (Decimal("0.5"), Decimal(0)) if busy.run.regime() is Regime.BASE else (Decimal(0), Decimal(1000))
            )
            busy.run.holdings = Holdings(
                max(least_base, busy.run.holdings.base + Decimal(base) / 1000),
                max(least_quote, busy.run.holdings.quote + quote),
            )
        one, other = alone.step(moment), busy.step(moment)
        assert shape(one) == shape(other)
        assert (one.state.anchor, one.state.high) == pytest.approx((other.state.anchor, other.state.high))


def near_a_threshold(trail: Trail) -> bool:
    """Whether the last digit of a float could tip the decision."""
    margins = (trail.gain - trail.min_gain.value, trail.drawdown - trail.callback, trail.unit_value - trail.break_even)
    return any(abs(margin) < 1e-9 * trail.high for margin in margins)


@given(
    steps=st.lists(st.integers(-12, 14), min_size=5, max_size=80),
    fee=st.sampled_from([0.0, 0.001]),
    scale=st.sampled_from([0.001, 0.005, 0.02]),
)
def test_sell_and_buy_mirror_each_other(steps: list[int], fee: float, scale: float) -> None:
    mirrored = params(
        fee=fee,
        gain_scale_frac_base=scale,
        gain_scale_frac_quote=scale,
        donchian_gain_multiplier=0.0,
        hard_stop_threshold_frac=0.99,
        hard_stop_max_frac=0.99,
    )
    seller, buyer = StrategyRun(mirrored, base="1"), StrategyRun(mirrored, base="0", quote="2500")
    price = Decimal(2500)
    for permille in [0, *steps]:
        price = (price * (1000 + permille) / 1000).quantize(TICK)
        sold, bought = seller.tick(price), buyer.tick(1 / price - Decimal("0.000001"), 1 / price)
        trail = sold.decision.trail
        if trail is None or near_a_threshold(trail):
            return
        assert sold.decision.acted is bought.decision.acted
        if sold.intent is not None:
            assert bought.intent is not None
            assert sold.intent.side is bought.intent.side.opposite
            return


@given(moments=st.lists(wild, max_size=80))
def test_nothing_but_the_operator_trades_under_a_shut_gate(moments: list[Moment]) -> None:
    walk = Walk(params(breakout_entry=True, breakout_exit=True))
    for moment in moments:
        gate_before, exit_before = walk.run.gate(), walk.run.exit()
        step = walk.step(moment)
        started = any(isinstance(event, ExitStarted | HardStopTriggered) for event in step.events)
        if gate_before is not None and step.state.gate is gate_before and started:
            assert moment.command is StrategyCommand.FLIP
            assert step.state.exit is not None
            assert step.state.exit.kind is ExitKind.MANUAL
        if gate_before is not None and exit_before is None and moment.command is None:
            assert step.intent is None or step.state.regime is Regime.BASE


@given(moments=st.lists(wild, max_size=80), trading_paused=st.booleans(), quote=st.sampled_from([0, 2500]))
def test_a_base_position_is_never_without_a_stop(moments: list[Moment], trading_paused: bool, quote: int) -> None:
    walk = Walk(params(breakout_entry=True, breakout_exit=True), quote=quote)
    for moment in moments:
        walk.step(moment)
    run = walk.run
    run.tick(walk.book().bid)
    if run.regime() is not Regime.BASE or run.phase() is Phase.UNFUNDED:
        return
    bid = min(walk.price, Decimal(run.state.anchor))
    for _ in range(8):
        bid = (bid * Decimal("0.97")).quantize(TICK)
        want = run.tick(bid, trading_paused=trading_paused).intent
        if want is not None and want.kind is ExitKind.FLUSH:
            assert want.funds == run.holdings.base
            return
    raise AssertionError("nothing stopped the fall")


@settings(max_examples=80)
@given(moments=st.lists(wild, max_size=80), quote=st.sampled_from([0, 2500]))
def test_the_books_stay_in_order(moments: list[Moment], quote: int) -> None:
    walk = Walk(params(breakout_entry=True, breakout_exit=True), quote=quote)
    run = walk.run
    numbers: list[int] = []
    for moment in moments:
        before = run.state
        step = walk.step(moment)
        now, want, u = step.state, step.intent, step.decision.unit_value
        if u is not None and now.phase in (Phase.WATCHING, Phase.EXITING, Phase.FLUSHING):
            assert now.high >= u
        assert now.high >= now.anchor
        # The price counts too: a close may open the gate in the millisecond of the anchor before.
        if (now.regime, now.anchor, now.anchor_ms) == (before.regime, before.anchor, before.anchor_ms):
            assert now.high >= before.high
        if now.gate is not None:
            assert now.regime is Regime.QUOTE
        if now.exit is not None:
            assert now.regime is not None
            assert now.exit.side is now.regime.exit_side
            assert (want is None) == (now.exit.ending is not None)
        else:
            assert want is None
        if want is not None:
            assert want.funds >= 0
            if not numbers or numbers[-1] != want.number:
                assert all(number < want.number for number in numbers)
                numbers.append(want.number)
        if moment.trading_paused and want is not None:
            assert now.regime is Regime.BASE
        if moment.stale:
            assert step.decision.acted not in (Rule.BASE_STOP, Rule.TAKE_PROFIT, Rule.BREAKOUT)
        assert all(event.close for event in step.events if isinstance(event, BrokeOut))


@given(
    moves_=st.lists(st.integers(-4, 4), min_size=1, max_size=40),
    quote=st.sampled_from([0, 2500]),
)
def test_a_fold_comes_within_the_spread_of_watching(moves_: list[int], quote: int) -> None:
    """Two lives: one watched every frame; the other was away, and read each minute's kline afterwards."""
    watched, away = Walk(quote=quote), Walk(quote=quote)
    for walk in (watched, away):
        walk.step(Moment(0))
        walk.run.state = replace(walk.run.state, anchor_ms=0)
    anchor = watched.run.state.anchor
    seen: list[Decimal] = []
    for permille in moves_:
        watched.step(Moment(permille))
        seen.append(watched.price)
        if watched.run.exit() is not None:
            return
    away.price = watched.price
    opens = away.run.market_ms
    # Trades print at either side of the book.
    minute = Kline(opens, opens + 59_999, seen[0], max(seen) + TICK, min(seen), seen[-1])
    away.run.tick(None, seconds=0.0)
    away.run.tick(None, closes=[minute])
    if away.run.gate() is not None:
        return
    slack = float(2 * TICK) * (1.0 if not quote else 1 / float(min(seen)) ** 2)
    assert away.run.state.anchor == anchor
    assert abs(away.run.state.high - watched.run.state.high) <= slack * (1 + 1e-9)


def test_the_stage_is_one_hundredth_wide() -> None:
    assert top("2500").spread == TICK
