"""Exchange client against the embedded exchange: after any lost connection, each event is reported exactly once."""

import contextlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.daemon_harness import START_MS, TICK, URL, ConstantMarket, tick

from trailingedge.auth.logon_signer import Sign
from trailingedge.auth.manager import KeyManager
from trailingedge.config import Settings
from trailingedge.core.errors import ConfigError, LogonRefused, SessionLost
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.factory import exchange_client_params
from trailingedge.live.node_components import query_balances
from trailingedge.live.node_dependencies import Runtime
from trailingedge.model.market import (
    ZERO,
    Balance,
    BookTop,
    ExecutionReport,
    ExecutionType,
    OrderRecord,
    RateLimit,
    Side,
)
from trailingedge.model.market_state import MarketState
from trailingedge.model.order_requests import NewOrderRequest
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.orders import OrderType
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.account_stream import OutsideChange
from trailingedge.websocket.socket_dialer import FrameHandler, Socket, run_together

D = Decimal
BALANCES: Final[Mapping[str, Decimal]] = {"ETH": D(10), "FDUSD": D(25_000)}
API: Final = "/ws-api/"
SETTINGS: Final = replace(Settings(), reconnect_max_sec=2.0)
NO_KEY_FILE: Final = ConfigError(["private key k.pem: no such file"])


class Line:
    """A socket that can be tapped. `deaf_to`: frames with that in them are not heard; `dead`: nothing goes through."""

    def __init__(self, url: str, socket: Socket) -> None:
        self.url = url
        self.closed = False
        self.deaf_to = ""
        self.dead = False
        self.methods: list[str] = []
        self._socket = socket

    def send(self, text: str) -> None:
        self.methods.append(json.loads(text)["method"])
        if not self.dead:
            self._socket.send(text)

    async def receive(self, hear: FrameHandler) -> None:
        await self._socket.receive(lambda frames: hear([frame for frame in frames if self._comes_through(frame)]))

    def _comes_through(self, frame: str | bytes) -> bool:
        return not self.dead and not (self.deaf_to and self.deaf_to in str(frame))

    async def close(self) -> None:
        self.closed = True
        await self._socket.close()


class FailingSigner:
    """A signer that fails while it has a `failure`."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self.failure: Exception | None = None
        self._private_key = private_key

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Sign]:
        if self.failure is not None:
            raise self.failure
        yield self._sign

    async def _sign(self, payload: bytes) -> str:
        return b64encode(self._private_key.sign(payload)).decode()


class Ledger(MarketState):
    """Snapshots that remember the update ids they were told."""

    def __init__(self) -> None:
        super().__init__(klines_maxlen=1000)
        self.update_ids: list[int] = []
        self.proofs: list[bool] = []
        self.market_losses = 0

    def on_top(self, top: BookTop, now_s: float, *, late: bool = False) -> None:
        if top.update_id:  # a probe's answer has none
            self.update_ids.append(top.update_id)
        super().on_top(top, now_s, late=late)

    def invalidate_top(self) -> None:
        self.market_losses += 1
        super().invalidate_top()

    def set_account_proven(self, proven: bool) -> None:
        if proven is not self.account_proven:
            self.proofs.append(proven)
        super().set_account_proven(proven)


class Stage:
    """A wire that was opened and whose account is proven, and what it told."""

    def __init__(self, clock: VirtualClock, loopback: LoopbackExchange, chance: Random, settings: Settings) -> None:
        private_key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.api_key = loopback.register_key(private_key.public_key())
        self.signer = FailingSigner(private_key)
        self.clock = clock
        self.loopback = loopback
        self.exchange = loopback.exchange
        self.lines: list[Line] = []
        self.barred = False
        self.dials = 0
        self.snapshots = Ledger()
        self.reports: list[ExecutionReport] = []
        self.reopened: list[tuple[OrderRecord, ...]] = []
        self.ready_when_reopened: list[bool] = []
        self.changes: list[OutsideChange] = []
        self.account_down: list[str] = []
        self.exit_open = False
        self.wire = ExchangeClient(
            exchange_client_params(settings),
            Runtime(URL, KeyManager(self.signer.open, self.api_key), self._dial, clock, chance),
            self.snapshots,
            ServerClock(clock),
            self,
        )
        self.price = D(2500)

    async def _dial(self, url: str) -> Socket:
        self.dials += 1
        if self.barred and API in url:
            raise SessionLost("connection refused")
        self.lines.append(Line(url, await self.loopback.connect(url)))
        return self.lines[-1]

    @property
    def market_losses(self) -> int:
        return self.snapshots.market_losses

    # What the client reports and asks

    def on_report(self, report: ExecutionReport) -> None:
        self.reports.append(report)

    def on_limits(self, limits: tuple[RateLimit, ...]) -> None:
        """Of no interest here."""

    def on_account_lost(self, reason: str) -> None:
        self.account_down.append(reason)

    def on_outside_change(self, change: OutsideChange) -> None:
        self.changes.append(change)

    def exit_is_open(self) -> bool:
        return self.exit_open

    async def read_balances(self, account: AccountSession) -> None:
        await query_balances(account, self.snapshots, settled_ms=0)

    def on_reconnected(self, open_orders: tuple[OrderRecord, ...]) -> None:
        self.reopened.append(open_orders)
        self.ready_when_reopened.append(self.wire.api.is_ready)

    async def open(self) -> None:
        await self.wire.api.wait_ready()
        self.snapshots.load_klines(ConstantMarket().history)
        await self.read_balances(self.wire.account)
        self.snapshots.set_account_proven(proven=True)
        await self.wait(2.0)

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def of(self, service: str) -> list[Line]:
        """The connections to one service that are open, oldest first."""
        return [line for line in self.lines if service in line.url and not line.closed]

    @property
    def api(self) -> Line:
        return self.of(API)[-1]

    def trade(self, side: Side = Side.SELL, quantity: str = "0.1") -> None:
        """The account's owner trades elsewhere."""
        self.exchange.manual_trader().place(side, ZERO, D(quantity), OrderType.MARKET)
        self.loopback.hub.publish_events()

    def move(self, price: Decimal) -> None:
        """The others' best bid goes there."""
        self.price = price
        market_ms = START_MS + round(self.clock.now_s() * 1000)
        self.loopback.hub.on_tick(tick(market_ms, price, price + TICK))

    def shut_down(self) -> None:
        self.loopback.hub.announce_shutdown()

    # What must be true in the end

    def told_trades(self) -> list[int]:
        return [report.trade_id for report in self.reports if report.execution_type is ExecutionType.TRADE]

    def made_trades(self) -> list[int]:
        return [trade.trade_id for trade in self.exchange.account().trades]

    def balances_are_right(self) -> bool:
        told = (self.snapshots.balances.get(asset, Balance(asset, ZERO)) for asset in BALANCES)
        return all(balance.total == self.exchange.account().balance(balance.asset).total for balance in told)


def play(
    story: Callable[[Stage], Awaitable[None]],
    seed: int = 1,
    latency_s: float = 0.05,
    *,
    key_failure: Exception | None = None,
    settings: Settings = SETTINGS,
) -> Stage:
    """Tell a story beside a wire, all from one seed. Raises what ends the wire."""

    async def live(clock: VirtualClock) -> Stage:
        market = ConstantMarket()
        exchange = Exchange(ExchangeSpec().for_source(market), clock, BALANCES, market.history, keep_all=True)
        async with LoopbackExchange(
            exchange, market, clock, listen=False, chance=Random(seed), latency_s=latency_s
        ) as loopback:
            stage = Stage(clock, loopback, Random(seed), settings)
            stage.signer.failure = key_failure

            async def tell() -> None:
                await stage.open()
                await story(stage)
                raise Told

            with contextlib.suppress(Told):
                await run_together(stage.wire.api.run(), stage.wire.market.run(), tell())
            return stage

    return run_virtual(live, start_unix_ms=START_MS)


class Told(Exception):
    """The story is over."""


# --- Day by day -------------------------------------------------------------------------------


def test_reports_of_the_stream_are_passed_on() -> None:
    async def story(it: Stage) -> None:
        it.exchange.manual_trader().place(Side.SELL, D(2900), D("0.1"), client_order_id="mine")
        it.loopback.hub.publish_events()
        await it.wait(0.2)
        assert [report.client_order_id for report in it.reports] == ["mine"]
        assert it.reopened == []

    play(story)


def test_balances_that_were_asked_for_account_for_what_they_are_said_to() -> None:
    async def story(it: Stage) -> None:
        await query_balances(it.wire.account, it.snapshots, settled_ms=1_999_000_000_000)
        assert it.snapshots.balances["ETH"].total == D(10)
        assert it.snapshots.balances_ms == 1_999_000_000_000

    play(story)


def test_deposits_and_withdrawals_are_reported_once_over_all_connections() -> None:
    async def story(it: Stage) -> None:
        await it.wait(60.0)
        it.shut_down()
        for cents in range(1, 41):
            it.exchange.manual_trader().deposit("FDUSD", cents * TICK)
            it.loopback.hub.publish_events()
            await it.wait(0.05)
        assert len(it.changes) == 40

    play(story)


# --- The end ----------------------------------------------------------------------------------


def test_a_log_out_asks_for_no_successor() -> None:
    async def story(it: Stage) -> None:
        await it.wait(60.0)
        it.wire.stop_reconnecting()
        await it.wire.log_out()
        await it.wait(5.0)
        assert (it.dials, it.account_down) == (2, [])

    play(story)


def test_after_the_farewell_what_is_lost_stays_lost() -> None:
    async def story(it: Stage) -> None:
        it.wire.stop_reconnecting()
        it.loopback.hub.disconnect()
        await it.wait(60.0)
        assert (it.dials, it.wire.reconnects, it.account_down, it.market_losses) == (2, 0, [], 0)

    play(story)


def test_without_a_session_there_is_nothing_to_log_out_of() -> None:
    async def story(it: Stage) -> None:
        it.wire.stop_reconnecting()
        it.loopback.hub.disconnect()
        await it.wait(1.0)
        await it.wire.log_out()
        assert it.exchange.audit_log.requests["session.logout"] == 0

    play(story)


# --- Lost and found ---------------------------------------------------------------------------


def test_fills_of_an_outage_are_told_once_and_before_anything_newer() -> None:
    async def story(it: Stage) -> None:
        it.trade()
        await it.wait(1.0)
        it.barred = True
        it.loopback.hub.disconnect(streams=False, api=True)
        await it.wait(0.1)
        for _ in range(3):
            it.trade()
        it.barred = False
        await it.wait(5.0)
        it.trade()
        await it.wait(5.0)
        assert it.told_trades() == it.made_trades()
        assert len(it.made_trades()) == 5
        assert it.balances_are_right()
        assert it.snapshots.proofs == [True, False, True]
        assert len(it.account_down) == 1
        assert it.ready_when_reopened == [False]

    play(story)


def test_a_fill_that_was_missed_is_told_like_any_other() -> None:
    async def fill_an_order(it: Stage) -> ExecutionReport:
        order = NewOrderRequest("TE-t-1", Side.SELL, D(1), D("2500.5"))
        await it.wire.account.place(order)
        await it.wait(0.5)
        it.move(D(2501))
        await it.wait(8.0)
        (report,) = [report for report in it.reports if report.execution_type is ExecutionType.TRADE]
        return report

    told: list[ExecutionReport] = []

    async def heard(it: Stage) -> None:
        told.append(await fill_an_order(it))

    async def missed(it: Stage) -> None:
        it.api.deaf_to = '"TRADE"'
        it.exit_open = True
        it.api.methods.clear()

        async def cut() -> None:
            await it.wait(2.0)
            it.loopback.hub.disconnect(streams=False, api=True)

        await run_together(cut(), told_of(it))

    async def told_of(it: Stage) -> None:
        told.append(await fill_an_order(it))

    play(heard)
    play(missed)
    first, second = told
    assert second.execution_id == -1
    told_like_the_other = replace(
        second, execution_id=first.execution_id, time_ms=first.time_ms, event_ms=first.event_ms
    )
    assert told_like_the_other == first


def test_the_account_is_asked_in_order_before_orders_are_taken() -> None:
    async def story(it: Stage) -> None:
        it.exchange.manual_trader().place(Side.BUY, D(2000), D("0.1"))
        it.loopback.hub.disconnect(streams=False, api=True)
        await it.wait(3.0)
        asked = [method for method in it.api.methods if method not in ("time", "ticker.book", "klines")]
        assert asked[:5] == [
            "session.logon",
            "userDataStream.subscribe",
            "openOrders.status",
            "account.status",
            "myTrades",
        ]
        ((order,),) = it.reopened
        assert order.price == D(2000)

    play(story)


def test_each_connection_breaks_and_returns_by_itself() -> None:
    async def story(it: Stage) -> None:
        it.loopback.hub.disconnect(streams=True, api=False)
        await it.wait(3.0)
        assert (len(it.account_down), it.market_losses, it.wire.reconnects) == (0, 1, 1)
        it.loopback.hub.disconnect()
        await it.wait(5.0)
        assert (len(it.account_down), it.market_losses, it.wire.reconnects) == (1, 2, 3)

    play(story)


@pytest.mark.parametrize("failure", [NO_KEY_FILE, SessionLost("the signing process ended before it was ready")])
def test_a_signer_that_fails_later_is_tried_again_like_the_exchange(failure: Exception) -> None:
    async def story(it: Stage) -> None:
        it.signer.failure = failure
        it.loopback.hub.disconnect(streams=False, api=True)
        await it.wait(60.0)
        assert not it.wire.api.is_ready
        it.signer.failure = None
        assert it.reopened == []
        await it.wait(10.0)
        assert len(it.reopened) == 1

    play(story)


def test_a_key_file_that_is_not_there_at_first_is_a_matter_for_a_person() -> None:
    async def story(_: Stage) -> None: ...

    with pytest.raises(ConfigError, match="no such file"):
        play(story, key_failure=NO_KEY_FILE)


def test_while_logged_off_orders_are_refused_and_never_sent() -> None:
    async def story(it: Stage) -> None:
        it.barred = True
        it.loopback.hub.disconnect(streams=False, api=True)
        await it.wait(0.1)
        with pytest.raises(SessionLost, match="not connected"):
            await it.wire.account.place(NewOrderRequest("TE-t-1", Side.SELL, D(1), D(2600)))
        it.barred = False
        await it.wait(5.0)
        assert it.exchange.audit_log.placed == 0

    play(story)


def test_a_key_that_was_revoked_ends_it() -> None:
    async def story(it: Stage) -> None:
        it.exchange.keys.revoke(it.api_key)
        it.exit_open = True
        await it.wait(30.0)

    with pytest.raises(LogonRefused, match="-2015"):
        play(story)


# --- Rotation ---------------------------------------------------------------------------------


def test_a_server_that_shuts_down_is_left_without_a_moment_of_doubt() -> None:
    async def story(it: Stage) -> None:
        await it.wait(60.0)
        old = it.of("")
        it.shut_down()
        await it.wait(10.0)
        assert all(line.closed for line in old)
        assert len(it.of("")) == 2
        assert (it.account_down, it.market_losses, it.wire.reconnects) == ([], 0, 0)
        assert it.snapshots.proofs == [True]
        assert it.reopened == []

    play(story)


def test_a_connection_of_23_hours_is_followed_by_another() -> None:
    async def story(it: Stage) -> None:
        old = it.of("")
        await it.wait(23 * 3600.0 - 10)
        assert [line.closed for line in old] == [False, False]
        await it.wait(20)
        assert [line.closed for line in old] == [True, True]
        assert (it.account_down, it.market_losses, it.snapshots.proofs) == ([], 0, [True])

    # In a silent market the best prices are queried after half of the stale age: 16,000 times in 23 hours by default.
    play(story, settings=replace(SETTINGS, stale_after_sec=300.0))


def test_an_order_that_is_asked_for_in_the_middle_of_the_switch_goes_to_one_connection() -> None:
    async def story(it: Stage) -> None:
        await it.wait(60.0)
        it.shut_down()
        for number in range(60):  # closer together than any step of the switch
            order = NewOrderRequest(f"TE-t-{number}", Side.SELL, D("0.01"), D(2600) + number)
            it.lines[-1].methods.clear()
            await it.wire.account.place(order)
        placed = [order.client_order_id for order in it.exchange.account().open_orders()]
        assert placed == [f"TE-t-{number}" for number in range(60)]
        assert len(it.lines) == 4

    play(story, latency_s=0.02)


def test_a_stream_that_was_terminated_is_replaced_and_nothing_is_ordered_meanwhile() -> None:
    async def story(it: Stage) -> None:
        await it.wait(60.0)
        old = it.api
        await it.wire.api.call("userDataStream.unsubscribe")
        it.trade()
        await it.wait(0.06)
        assert it.snapshots.account_proven is False
        await it.wait(5.0)
        assert old.closed
        assert it.told_trades() == it.made_trades()
        assert it.snapshots.proofs == [True, False, True]
        assert it.account_down == ["the user data stream was terminated"]

    play(story)


# --- Liveness ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exit_open", "within_s"), [pytest.param(True, 16.5, id="exit open"), pytest.param(False, 66.5, id="idle")]
)
def test_a_half_open_account_is_found(exit_open: bool, within_s: float) -> None:
    async def story(it: Stage) -> None:
        it.exit_open = exit_open
        it.api.dead = True
        it.trade()
        await it.wait(within_s)
        assert it.account_down == ["no reply to the account probe"]
        await it.wait(5.0)
        assert it.told_trades() == it.made_trades()
        assert it.snapshots.account_proven

    play(story)


def test_a_deaf_account_is_found() -> None:
    async def story(it: Stage) -> None:
        it.exit_open = True
        it.api.deaf_to = '"event"'
        it.trade()
        await it.wait(12.5)
        assert it.account_down == ["the balances changed and the stream did not report it"]
        await it.wait(5.0)
        assert it.told_trades() == it.made_trades()
        assert it.balances_are_right()

    play(story)


def test_a_half_open_market_is_found_before_it_is_stale() -> None:
    async def story(it: Stage) -> None:
        it.move(D(2501))
        await it.wait(1.0)
        it.of("/stream")[0].dead = True
        it.move(D(2502))
        await it.wait(10.0)
        assert it.wire.market.reconnects == 1
        await it.wait(2.0)
        assert it.snapshots.top is not None
        assert it.snapshots.top.bid == 2502

    play(story)


def test_an_account_at_rest_is_proved_and_left_alone() -> None:
    async def story(it: Stage) -> None:
        it.exit_open = True
        for _ in range(60):
            it.trade(Side.SELL if it.clock.now_s() % 20 < 10 else Side.BUY)
            await it.wait(10.0)
        assert it.account_down == []
        assert it.told_trades() == it.made_trades()

    play(story)


# --- Everything at once -----------------------------------------------------------------------


async def mishap(it: Stage, chance: Random) -> None:
    match chance.randrange(7):
        case 0 | 1:
            it.shut_down()
        case 2:
            it.loopback.hub.disconnect(streams=False, api=True)
        case 3:
            it.loopback.hub.disconnect(streams=True, api=False)
        case 4:
            for line in it.of(API):
                line.deaf_to = '"event"'
        case 5:
            for line in it.of(chance.choice([API, "/stream"])):
                line.dead = True
        case _:
            it.barred = not it.barred


@pytest.mark.parametrize("seed", range(5))
def test_no_execution_and_no_change_of_the_book_is_missed_or_told_twice(seed: int) -> None:
    async def story(it: Stage) -> None:
        chance = Random(seed)
        it.exit_open = True
        for _ in range(300):
            it.trade(chance.choice(list(Side)), "0.01")
            it.move(D(2500) + chance.randrange(-100, 100) * TICK)
            await it.wait(chance.choice([0.0, 0.01, 0.05, 0.3, 1.0]))
            if chance.random() < 0.04:
                await mishap(it, chance)
        it.barred = False
        await it.wait(30.0)
        assert sorted(it.told_trades()) == it.made_trades()
        assert it.snapshots.update_ids == sorted(set(it.snapshots.update_ids))
        assert it.balances_are_right()
        assert it.snapshots.account_proven
        assert it.snapshots.top is not None
        assert it.snapshots.top.bid == it.price
        assert no_gap(it)

    play(story, seed)


@pytest.mark.parametrize("seed", range(4))
def test_a_rotation_misses_no_change_of_the_book(seed: int) -> None:
    async def story(it: Stage) -> None:
        await it.wait(60.0)
        it.move(D(2400))
        await it.wait(1.0)
        first = it.snapshots.update_ids[-1]
        it.snapshots.update_ids.clear()
        chance = Random(seed)
        for step in range(400):
            if step == 100:
                it.shut_down()
            it.move(D(2500) + (step % 50) * TICK)
            await it.wait(chance.uniform(0.0, 0.02))
        await it.wait(1.0)
        ids: Iterable[int] = it.snapshots.update_ids
        assert list(ids) == list(range(first + 1, first + 401))

    play(story, seed)


def no_gap(it: Stage) -> bool:
    klines = list(it.snapshots.klines)
    return all(later.open_ms == earlier.close_ms + 1 for earlier, later in pairwise(klines))
