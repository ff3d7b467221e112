"""Paper exchange: one embedded exchange stands for the real one and feeds the other, on which the node trades."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

import pytest
from tests.daemon_harness import START_MS, URL, ConstantMarket, FaultyNetwork, RecordingUi, tick
from tests.limits import PATIENCE_S
from tests.tight_settings import tight

from trailingedge.config import Endpoints, Settings, TradingMode
from trailingedge.core.clock import RealClock
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, SessionLost, StartFailed
from trailingedge.live.factory import node_params, paper_feed_params
from trailingedge.live.node_builder import build_node
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.paper_exchange import ASSUMED_FEE, PaperExchange, paper_exchange
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Regime, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.bars import TradedBar
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import Faults, FrameFaults
from trailingedge.simulator.feeds.live import LiveMarket
from trailingedge.simulator.klines import Interval
from trailingedge.simulator.orders import SimOrder
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.websocket.socket_dialer import Socket, dial

D = Decimal
TICK = D("0.01")
SETTINGS = tight(trading_mode=TradingMode.PAPER)
IMPATIENT = dataclasses.replace(SETTINGS, reconnect_max_retries=2)
PUBLIC = {"exchangeInfo", "klines", "ticker.book"}


@dataclass
class Stage:
    """The real market, the exchange on paper that it feeds, and what the daemon there says."""

    clock: VirtualClock
    real: LoopbackExchange
    doors: FaultyNetwork
    paper: PaperExchange
    notes: RecordingUi
    daemon: TradingNode

    @property
    def exchange(self) -> Exchange:
        """The one on paper."""
        return self.paper.loopback.exchange

    @property
    def market_ms(self) -> int:
        return START_MS + round(self.clock.now_s() * 1000)

    async def price(self, bid: str, ask: str | None = None, wait_s: float = 0.5) -> None:
        """The real best prices move, at a spread of one tick unless told."""
        self.real.hub.on_tick(tick(self.market_ms, D(bid), D(bid) + TICK if ask is None else D(ask)))
        await self.clock.sleep(wait_s)

    async def trade(self, price: Decimal, quantity: str, aggressor: Side) -> None:
        """Somebody takes from the real book, which stays as it is."""
        here = self.real.exchange.engine.book.tick
        self.real.hub.on_tick(
            here._replace(time_ms=self.market_ms, last_price=price, traded=D(quantity), aggressor=aggressor)
        )
        await self.clock.sleep(0.1)

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def until(self, true: Callable[[], object], within_s: float = 30.0) -> None:
        deadline_s = self.clock.now_s() + within_s
        while not true():
            assert self.clock.now_s() < deadline_s, f"not within {within_s} s; said was: {self.said}"
            await self.clock.sleep(0.01)

    def best(self) -> tuple[Decimal, Decimal]:
        top = self.exchange.top()
        return top.bid, top.ask

    @property
    def really_best(self) -> tuple[Decimal, Decimal]:
        top = self.real.exchange.top()
        return top.bid, top.ask

    @property
    def said(self) -> list[str]:
        return [text for _, text in self.notes.alerts]

    def heard(self, beginning: str) -> list[str]:
        return [text for text in self.said if text.startswith(beginning)]

    @property
    def orders(self) -> list[SimOrder]:
        return self.exchange.account().open_orders()

    def holds(self, asset: str) -> Decimal:
        return self.exchange.account().balance(asset).total

    async def flip(self) -> SimOrder:
        """The operator flips; the order by which that is done, once it rests."""
        self.daemon.submit(OperatorCommand.FLIP)
        await self.until(lambda: self.orders)
        return self.orders[0]


Story = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Curtain:
    """The real exchange as it was left, and what else there is to judge."""

    real: Exchange
    notes: RecordingUi
    code: ExitCode | None


def on_paper(
    story: Story,
    *,
    settings: Settings = SETTINGS,
    terms: ExchangeSpec | None = None,
    closes: Sequence[Decimal] = (D(2500),) * 100,
    faults: Faults | None = None,
    trading: bool = False,
) -> Curtain:
    """Tell a story; where it is about `trading`, beside a daemon on paper."""

    async def live(clock: VirtualClock) -> Curtain:
        market, notes, code = ConstantMarket(closes), RecordingUi(), None
        exchange = Exchange((terms or ExchangeSpec()).for_source(market), clock, {}, market.history, keep_all=True)
        async with LoopbackExchange(
            exchange, market, clock, listen=False, faults=faults, chance=Random(1), latency_s=0.01
        ) as real:
            doors = FaultyNetwork(real)
            opened = paper_exchange(
                paper_feed_params(settings),
                URL,
                doors.dial,
                clock,
                Random(2),
                listen=False,
                on_step=notes.show_step,
                alert=notes.send,
            )
            async with opened as paper:
                surroundings = Runtime(
                    URL, paper.keys, paper.loopback.connect, clock, Random(3), feed_reconnects=paper.reconnects
                )
                daemon = build_node(node_params(settings), surroundings, notes, notes)
                stage = Stage(clock, real, doors, paper, notes, daemon)
                if trading:
                    code = await _beside(daemon, stage, story)
                else:
                    await clock.sleep(0.5)
                    await story(stage)
            return Curtain(exchange, notes, code)

    return run_virtual(live, start_unix_ms=START_MS)


async def _beside(daemon: TradingNode, stage: Stage, story: Story) -> ExitCode:
    async def tell() -> None:
        await stage.until(lambda: stage.heard("ready:"))
        await stage.until(lambda: not daemon.anchor_marker_pending)
        await story(stage)
        daemon.stop("the scenario is over")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tell())
        return await daemon.run()


# --- What it shows is what the real market shows ----------------------------------------------


def test_the_best_prices_are_the_real_ones() -> None:
    async def story(it: Stage) -> None:
        assert it.best() == it.really_best == (D(2500), D("2500.01"))
        for bid in ("2501.50", "2499.00", "2600.00"):
            await it.price(bid)
            assert it.best() == it.really_best == (D(bid), D(bid) + TICK)

    on_paper(story)


def test_rules_and_limits_are_the_real_ones() -> None:
    real = ExchangeSpec(
        min_notional=D(7),
        max_quantity=D(90),
        explicit_min_quantity=D("0.002"),
        explicit_min_price=D("0.50"),
        bid_multiplier_down=D("0.8"),
        bid_multiplier_up=D("1.1"),
        ask_multiplier_down=D("0.9"),
        ask_multiplier_up=D("1.2"),
        pegs_allowed=False,
        orders_per_10_s=50,
        orders_per_day=160_000,
        weight_per_minute=5000,
    )

    async def story(it: Stage) -> None:
        ours, theirs = it.exchange.spec, it.real.exchange.spec
        assert ours.symbol_json("TRADING") == theirs.symbol_json("TRADING")
        assert ours.limits_json() == theirs.limits_json()

    on_paper(story, terms=real)


@pytest.mark.parametrize("fee", ["0", "0.00075"])
def test_a_fee_that_is_set_is_charged(fee: str, caplog: pytest.LogCaptureFixture) -> None:
    async def story(it: Stage) -> None:
        assert it.exchange.spec.maker_fee == D(fee)

    on_paper(story, settings=dataclasses.replace(SETTINGS, fee=D(fee)))
    assert "FEE" not in caplog.text


def test_a_fee_that_cannot_be_known_is_assumed_and_told(caplog: pytest.LogCaptureFixture) -> None:
    async def story(it: Stage) -> None:
        assert it.exchange.spec.maker_fee == D("0.001")

    on_paper(story)
    assert "maker fee assumed fee=0.001: set FEE" in caplog.text


def test_a_trade_from_before_our_order_fills_nothing() -> None:
    async def story(it: Stage) -> None:
        await it.price("2500.00", "2500.10")
        before_ms = it.market_ms
        await it.wait(1.0)
        order = await it.flip()
        through = order.price + TICK
        LiveMarket(it.paper.loopback.hub, Interval("1m")).on_trade(through, D(5), Side.BUY, it.market_ms, before_ms)
        assert order.filled == 0
        await it.trade(through, "5", Side.BUY)
        assert order.filled == order.quantity

    on_paper(story, trading=True)


def test_reconnects_to_the_real_market_are_counted() -> None:
    async def story(it: Stage) -> None:
        assert it.paper.reconnects() == 0
        it.real.hub.disconnect()  # requests, prices and trades
        await it.wait(30.0)
        assert it.paper.reconnects() == 3
        assert it.daemon.client.reconnects == 3

    on_paper(story)


def test_the_candles_are_the_real_ones_also_those_missed() -> None:
    def candles(exchange: Exchange) -> list[TradedBar]:
        return exchange.market.klines.rows(Interval("1m"), None, None, 1000)

    def bare(bars: Sequence[TradedBar]) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        return [(bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]

    async def story(it: Stage) -> None:
        await it.price("2503.00", wait_s=30.0)
        await it.price("2497.00", wait_s=40.0)
        it.doors.blocked.add("/stream")
        it.real.hub.disconnect(api=False)
        for bid in ("2450.00", "2440.00", "2460.00"):
            await it.price(bid, wait_s=60.0)
        it.doors.blocked.clear()
        await it.wait(60.0)
        await it.price("2461.00", wait_s=70.0)
        for _ in range(3):  # a forming candle is told every two seconds
            await it.price("2462.00", wait_s=2.0)
        assert bare(candles(it.exchange)) == bare(candles(it.real.exchange))
        assert len(candles(it.exchange)) > 100

    on_paper(story)


def test_the_exchange_on_paper_stops_when_the_real_one_does_and_tells() -> None:
    async def story(it: Stage) -> None:
        it.real.exchange.engine.symbol_status = "HALT"
        await it.wait(61.0)
        assert it.exchange.engine.symbol_status == "HALT"
        stopped = "ETHFDUSD is not trading on the real market (HALT): paper fills no order until it trades again"
        assert it.said == [stopped]
        it.real.exchange.engine.symbol_status = "TRADING"
        await it.wait(121.0)
        assert it.exchange.engine.symbol_status == "TRADING"
        assert it.said == [stopped, "ETHFDUSD is trading again on the real market"]

    on_paper(story)


def test_rules_that_change_are_told_once_and_the_old_ones_kept(caplog: pytest.LogCaptureFixture) -> None:
    async def story(it: Stage) -> None:
        changed = dataclasses.replace(it.real.exchange.spec, tick_size=D("0.05"))
        it.real.exchange.spec = it.real.exchange.engine.spec = changed
        await it.wait(200.0)
        assert it.exchange.spec.tick_size == TICK

    with caplog.at_level(logging.WARNING):
        on_paper(story)
    assert caplog.text.count("has changed its rules") == 1


@pytest.mark.parametrize(
    ("price", "balance"), [("2500", "1"), ("50", "1"), ("49.99", "10"), ("0.50", "100"), ("0.01", "10000")]
)
def test_the_account_holds_enough_to_trade_with(price: str, balance: str) -> None:
    async def live(clock: VirtualClock) -> None:
        market = ConstantMarket((D(price),) * 3)
        exchange = Exchange(ExchangeSpec().for_source(market), clock, {}, market.history)
        async with LoopbackExchange(exchange, market, clock, listen=False) as real:
            real.hub.on_tick(tick(START_MS, D(price), D(price) + TICK))
            async with paper_exchange(
                paper_feed_params(SETTINGS), URL, real.connect, clock, Random(2), listen=False
            ) as paper:
                account = paper.loopback.exchange.account()
                assert (account.balance("ETH").total, account.balance("FDUSD").total) == (D(balance), D(0))

    run_virtual(live, start_unix_ms=START_MS)


# --- Orders stay here -------------------------------------------------------------------------


def test_an_order_on_paper_never_reaches_the_exchange_that_feeds_it() -> None:
    async def story(it: Stage) -> None:
        order = await it.flip()
        assert order.side is Side.SELL
        await it.price("2510.00")
        assert it.holds("ETH") < D("0.0001")

    end = on_paper(story, trading=True)
    assert set(end.real.audit_log.requests) <= PUBLIC
    assert (end.real.audit_log.placed, end.real.audit_log.errors_by_code) == (0, {})
    assert end.code is ExitCode.OK


def test_the_daemon_goes_there_and_back_at_real_prices() -> None:
    async def story(it: Stage) -> None:
        sold = await it.flip()
        await it.price("2510.00")
        assert not it.orders
        assert (it.holds("ETH"), it.holds("FDUSD")) == (D(0), sold.price)
        assert it.daemon.services is not None
        await it.until(lambda: it.daemon.services and it.daemon.services.core.state.regime is Regime.QUOTE)
        await it.price("2400.00")
        bought = await it.flip()
        assert bought.side is Side.BUY
        assert bought.price <= D("2400.01")
        await it.price("2395.00")
        assert it.holds("ETH") > D("1.04")
        assert it.exchange.audit_log.taker_fills == 0

    end = on_paper(story, trading=True, settings=dataclasses.replace(SETTINGS, fee=D(0)))
    assert "candles: 100 of 1440, 1m each" in end.notes.lines
    assert "real market: 100 candles, prices from ws://memory" in end.notes.lines


def test_a_take_profit_is_armed_and_filled_by_the_real_market() -> None:
    async def story(it: Stage) -> None:
        await it.price("2560.00")
        await it.price("2552.00")
        await it.until(lambda: it.orders)
        await it.price("2553.00")
        await it.until(lambda: it.heard("take-profit filled"))
        assert it.holds("FDUSD") == D("2552.01") * (1 - ASSUMED_FEE)  # one ETH, and no fee is set

    on_paper(story, trading=True)


def test_trades_at_our_price_fill_us_once_the_queue_before_us_is_gone() -> None:
    async def story(it: Stage) -> None:
        ours = it.exchange.manual_trader().place(Side.SELL, D("2500.01"), D(1))  # behind ten that others offer there
        await it.trade(D("2500.01"), "6", Side.BUY)
        await it.trade(D("2500.01"), "4", Side.BUY)
        assert ours.filled == 0
        await it.trade(D("2500.01"), "0.4", Side.BUY)
        assert ours.filled == D("0.4")
        await it.trade(D("2500.01"), "3", Side.SELL)  # the other side's business
        assert ours.filled == D("0.4")

    on_paper(story)


# --- Whatever happens to the connections ------------------------------------------------------


@pytest.mark.parametrize(("streams", "api"), [(True, False), (False, True), (True, True)])
def test_a_connection_that_was_cut_comes_back(streams: bool, api: bool) -> None:
    async def story(it: Stage) -> None:
        it.real.hub.disconnect(streams=streams, api=api)
        await it.price("2505.00", wait_s=5.0)
        await it.price("2506.00", "2508.00")
        assert it.best() == it.really_best == (D("2506.00"), D("2508.00"))
        ours = it.exchange.manual_trader().place(Side.SELL, D("2507.00"), D(1))
        await it.trade(D("2507.00"), "1", Side.BUY)
        assert ours.filled == 1

    on_paper(story)


def test_an_announced_end_costs_no_price_and_doubles_no_trade() -> None:
    async def story(it: Stage) -> None:
        await it.price("2500.00", "2502.00")
        ours = it.exchange.manual_trader().place(Side.SELL, D("2501.00"), D(1))
        it.real.hub.announce_shutdown(leave_s=10.0)
        for _ in range(8):
            await it.trade(D("2501.00"), "0.1", Side.BUY)
            await it.wait(2.0)
        assert ours.filled == D("0.8")
        assert not it.paper.gaps

    on_paper(story)


def test_unreadable_frames_are_survived() -> None:
    async def story(it: Stage) -> None:
        for second in range(40):
            await it.price(f"{2500 + second % 7}.00", wait_s=1.0)
        await it.wait(5.0)
        assert it.best() == it.really_best

    on_paper(story, faults=Faults(market=FrameFaults(truncated=0.3, duplicate=0.1, oversized=0.01)))


def test_while_the_real_market_is_out_of_sight_nothing_moves_and_no_price_is_told() -> None:
    async def story(it: Stage) -> None:
        it.doors.blocked.add("memory")
        it.real.hub.disconnect()
        await it.wait(1.0)
        assert not it.exchange.prices_known()
        before = it.exchange.engine.market_ms
        await it.price("2400.00", wait_s=20.0)
        assert it.best() == (D(2500), D("2500.01"))  # as it was last seen, and nobody is answered with it
        assert it.exchange.engine.market_ms == before
        it.doors.blocked.clear()
        await it.until(it.exchange.prices_known, within_s=120.0)
        await it.wait(1.0)
        assert it.best() == it.really_best == (D("2400.00"), D("2400.01"))
        (gap,) = it.paper.gaps
        assert "s of the real market before 2026-" in gap

    on_paper(story)


def test_a_trade_in_a_market_out_of_sight_fills_nobody() -> None:
    async def story(it: Stage) -> None:
        await it.price("2500.00", "2502.00")
        ours = it.exchange.manual_trader().place(Side.SELL, D("2501.00"), D(1))
        it.doors.blocked.add("/stream")  # the book's; that of the trades stands
        it.real.hub.disconnect(api=False)
        await it.wait(20.0)
        await it.trade(D("2501.00"), "1", Side.BUY)
        assert ours.filled == 0
        it.doors.blocked.clear()
        await it.until(it.exchange.prices_known, within_s=120.0)
        await it.trade(D("2501.00"), "0.5", Side.BUY)
        assert ours.filled == D("0.5")

    on_paper(story)


def test_a_stream_that_falls_silent_without_an_end_is_noticed() -> None:
    async def story(it: Stage) -> None:
        it.doors.market_muted = True
        await it.price("2400.00", wait_s=30.0)
        assert not it.exchange.prices_known()
        it.doors.market_muted = False
        await it.until(it.exchange.prices_known, within_s=120.0)
        assert it.best() == it.really_best

    on_paper(story)


def test_the_bot_finds_its_data_stale_and_trades_on_afterwards() -> None:
    async def story(it: Stage) -> None:
        it.doors.blocked.add("memory")
        it.real.hub.disconnect()
        await it.until(lambda: it.heard("no market data for"), within_s=16.0)
        it.daemon.submit(OperatorCommand.FLIP)
        await it.wait(5.0)
        assert not it.orders
        it.doors.blocked.clear()
        await it.until(lambda: it.heard("market data is back"), within_s=120.0)
        await it.flip()
        await it.price("2510.00")
        assert it.holds("ETH") < D("0.0001")

    end = on_paper(story, trading=True)
    assert set(end.real.audit_log.requests) <= PUBLIC


def test_a_quiet_market_is_not_taken_for_a_lost_one() -> None:
    async def story(it: Stage) -> None:
        await it.wait(120.0)
        assert it.exchange.prices_known()
        assert not it.heard("no market data for")
        assert not it.paper.gaps

    on_paper(story, trading=True)


# --- The beginning and the end ----------------------------------------------------------------


def opening(settings: Settings, door: Callable[[LoopbackExchange, str], Awaitable[Socket]]) -> None:
    """Open an exchange on paper through `door`, and close it again."""

    async def live(clock: VirtualClock) -> None:
        market = ConstantMarket()
        exchange = Exchange(ExchangeSpec().for_source(market), clock, {}, market.history)
        async with (
            LoopbackExchange(exchange, market, clock, listen=False) as real,
            paper_exchange(
                paper_feed_params(settings), URL, lambda url: door(real, url), clock, Random(2), listen=False
            ),
        ):
            pass

    run_virtual(live, start_unix_ms=START_MS)


async def open_door(real: LoopbackExchange, url: str) -> Socket:
    return await real.connect(url)


async def shut_door(_: LoopbackExchange, __: str) -> Socket:
    raise SessionLost("connection refused")


def test_a_symbol_that_is_not_listed_is_the_operators_to_mend() -> None:
    with pytest.raises(ConfigError, match="does not list it"):
        opening(dataclasses.replace(SETTINGS, symbol="NOSUCH"), open_door)


def test_an_exchange_out_of_reach_is_given_up_once_the_retries_are_used_up() -> None:
    with pytest.raises(ExchangeUnreachable, match="given up after 2 attempts"):
        opening(IMPATIENT, shut_door)


def test_an_exchange_that_answers_with_errors_only_is_given_up() -> None:
    async def ill(real: LoopbackExchange, url: str) -> Socket:
        real.hub.exchange.prices_known = lambda: False
        return await real.connect(url)

    with pytest.raises(StartFailed, match=r"5 times in a row: ticker\.book: status 500"):
        opening(SETTINGS, ill)


def test_a_market_given_up_is_told_to_whoever_trades_and_raised_when_he_has_left() -> None:
    left_in_order = []

    async def story(it: Stage) -> None:
        it.doors.blocked.add("memory")
        it.real.hub.disconnect()
        await it.until(it.paper.ended.is_set, within_s=120.0)
        left_in_order.append(it.paper.loopback.exchange.account())

    with pytest.raises(ExchangeUnreachable, match="given up after 2 attempts"):
        on_paper(story, settings=IMPATIENT)
    assert left_in_order


@pytest.mark.parametrize("when_s", [0.0, 1.0], ids=["while it opens", "once it is open"])
def test_who_is_cancelled_inside_leaves_nothing_behind(when_s: float) -> None:
    async def live(clock: VirtualClock) -> None:
        market = ConstantMarket()
        exchange = Exchange(ExchangeSpec().for_source(market), clock, {}, market.history)
        async with LoopbackExchange(exchange, market, clock, listen=False, latency_s=0.1, lifetime_s=3.0) as real:

            async def stay() -> None:
                async with paper_exchange(
                    paper_feed_params(SETTINGS), URL, real.connect, clock, Random(2), listen=False
                ):
                    await asyncio.Event().wait()

            before = len(asyncio.all_tasks())
            staying = asyncio.get_running_loop().create_task(stay())
            await clock.sleep(when_s)
            staying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await staying
            await clock.sleep(5.0)
            assert len(asyncio.all_tasks()) <= before

    run_virtual(live, start_unix_ms=START_MS)


def test_a_mistake_inside_comes_out_as_it_is() -> None:
    async def story(_: Stage) -> None:
        raise ZeroDivisionError("by nought")

    with pytest.raises(ZeroDivisionError):
        on_paper(story)


@dataclass
class UntilReady(RecordingUi):
    """The session is over as soon as it has begun."""

    stop: Callable[[str], None] = print

    def send(self, text: str, level: int = logging.INFO) -> None:
        super().send(text, level)
        if text.startswith("ready: "):
            self.stop("that was all")


async def test_it_works_over_real_connections_too() -> None:
    clock, market = RealClock(), ConstantMarket()
    exchange = Exchange(ExchangeSpec().for_source(market), clock, {}, market.history)
    async with LoopbackExchange(exchange, market, clock) as real:
        sources = Endpoints(real.ws_api_url, real.ws_stream_url)
        async with (
            asyncio.timeout(PATIENCE_S),
            paper_exchange(paper_feed_params(SETTINGS), sources, dial, clock, Random(2)) as paper,
        ):
            notes = UntilReady()
            chosen = Endpoints(paper.loopback.ws_api_url, paper.loopback.ws_stream_url)
            daemon = build_node(
                node_params(SETTINGS), Runtime(chosen, paper.keys, dial, clock, Random(3)), notes, notes
            )
            notes.stop = daemon.stop
            assert await daemon.run() is ExitCode.OK
    assert notes.alerts[0][1].startswith("ready: ")
    assert set(exchange.audit_log.requests) <= PUBLIC
