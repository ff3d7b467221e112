"""Node services: halts, new rules, samples for the summaries, and the status that operators see."""

import asyncio
import dataclasses
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.daemon_harness import RecordingUi
from tests.execution.order_builders import RULES, D
from tests.tight_settings import TIGHT

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import SessionLost
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.live import factory
from trailingedge.live.event_router import EventRouter
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.frame_dump import FrameDump
from trailingedge.live.node_builder import ServicesBuilder
from trailingedge.live.node_components import NodeServices
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.startup import TradingTerms
from trailingedge.live.stop_request import StopRequest
from trailingedge.model.market import Balance, BookTop
from trailingedge.model.market_state import MarketState
from trailingedge.notifications.status import status
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.recent_frames import FrameBuffer
from trailingedge.websocket.socket_dialer import Socket


async def no_connection(_: str) -> Socket:
    raise SessionLost("nothing connects here")


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(now_s=100.0)
        self.snapshots = MarketState(10)
        self.notes = RecordingUi()
        self.services = self._build()
        self.snapshots.on_balances([Balance("ETH", D("0.6"), D("0.4")), Balance("FDUSD", D(5))], 1)
        self.snapshots.on_top(BookTop(D(2500), D("2500.01")), 100.0)
        self.snapshots.set_account_proven(proven=True)

    def _build(self) -> NodeServices:
        params, clock = factory.node_params(TIGHT), self.clock
        keys = KeyManager.from_private_key(Ed25519PrivateKey.generate(), "key")
        runtime = Runtime(Endpoints("ws://api", "ws://streams"), keys, no_connection, clock, Random(1))
        budget, server_clock = OrderRateBudget(0.2), ServerClock(clock)
        frame_dump = FrameDump(FrameBuffer(clock.unix_ms), None, self.notes)
        router = EventRouter(asyncio.Event(), budget, server_clock, frame_dump)
        client = ExchangeClient(params.client, runtime, self.snapshots, server_clock, router)
        stop = StopRequest(lambda _: None, router.request_tick)
        builder = ServicesBuilder(params.services, client, budget, router, stop, runtime, self.notes, lambda *_: None)
        return builder.build(TradingTerms(RULES, RULES, D(0), ()))

    def tick(self) -> None:
        self.services.core.tick(self.snapshots.view(self.clock.now_s()), 0)


def test_before_the_first_tick_there_is_little_to_show() -> None:
    assert status(Bench().services.queries.view(0)) == "sim ETHFDUSD | holding nothing tradable, unfunded"


def test_the_status_shows_the_whole_account_and_the_trade() -> None:
    bench = Bench()
    bench.tick()
    shown = status(bench.services.queries.view(3))
    assert "value 2505.00 FDUSD | anchor 2500.00 (+0.00 % in FDUSD)" in shown
    assert "hard stop 2487.50" in shown
    assert "reconnects 3" in shown


def test_a_market_that_was_forgotten_has_no_age() -> None:
    bench = Bench()
    bench.tick()
    bench.snapshots.invalidate_top()
    assert "no market data" in status(bench.services.queries.view(0))


def test_a_halt_is_told_once_and_shown() -> None:
    bench = Bench()
    bench.tick()
    assert [bench.services.halt("we were wrong"), bench.services.halt("again")] == [True, False]
    assert [text for _, text in bench.notes.alerts] == [
        (
            "halted: we were wrong; no orders, not even from the hard stop; "
            "look at the account on the exchange, then resume with 'r', /resume or trailing-edge resume"
        )
    ]
    assert " | halted | " in status(bench.services.queries.view(0))


def test_rules_that_did_not_change_are_no_news() -> None:
    bench = Bench()
    bench.services.update_rules(RULES)
    assert bench.notes.alerts == []


def test_a_symbol_that_stops_trading_and_trades_again_is_told_of() -> None:
    bench = Bench()
    bench.services.update_rules(dataclasses.replace(RULES, status="BREAK"))
    bench.services.update_rules(dataclasses.replace(RULES, min_notional=D(10)))
    stopped, again = (text for _, text in bench.notes.alerts)
    assert stopped.startswith("ETHFDUSD is not trading (BREAK)")
    assert again == "ETHFDUSD is trading again"
    assert bench.services.rules.min_notional == 10


def test_the_summary_starts_at_the_first_sample() -> None:
    bench = Bench()
    bench.snapshots.on_event_time(1_783_000_000_000, 100.0)
    bench.services.record_sample()
    assert bench.services.statistics.from_ms == 1_783_000_000_000
    assert bench.services.statistics.results().first.value == 2505
