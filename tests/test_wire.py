"""Two connections put together: what is done on each logon, and who hears of a loss."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.theatre import ONE_ETH, URL, D, StandingMarket

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Settings
from trailingedge.market import Side
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.terms import Terms
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.snapshots import Snapshots
from trailingedge.wire import Wire
from trailingedge.wiring import Surroundings


@dataclass
class Bench:
    clock: VirtualClock
    loopback: LoopbackExchange
    snapshots: Snapshots
    wire: Wire
    heard: list[str] = field(default_factory=list)


Story = Callable[[Bench], Awaitable[None]]


def tell(story: Story) -> None:
    async def live(clock: VirtualClock) -> None:
        market = StandingMarket()
        exchange = Exchange(Terms().of_tape(market), clock, ONE_ETH, market.history)
        key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        keys = KeyManager.from_private_key(key, exchange.register_key(key.public_key()))
        snapshots = Snapshots(10)
        heard: list[str] = []
        async with LoopbackExchange(exchange, market, clock, listen=False) as loopback:

            async def reopened() -> None:
                heard.append(f"reopened, ready {wire.api.is_ready}")

            wire = Wire(
                Settings(),
                Surroundings(URL, keys, loopback.connect, clock, Random(1)),
                snapshots,
                on_report=lambda report: heard.append(report.client_order_id),
                on_limits=lambda _: None,
                reopened=reopened,
                account_down=lambda _: heard.append("account down"),
                market_down=lambda _: heard.append("market down"),
            )
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(wire.api.run()), tasks.create_task(wire.market.run())]
                await wire.api.ready()
                await clock.sleep(0.1)
                await story(Bench(clock, loopback, snapshots, wire, heard))
                for task in running:
                    task.cancel()

    run_virtual(live, start_unix_ms=1_783_000_020_000)


def test_only_a_second_logon_reopens_and_that_before_the_connection_takes_orders() -> None:
    async def story(bench: Bench) -> None:
        assert bench.heard == []
        bench.loopback.switchboard.cut(streams=False)
        await bench.clock.sleep(2)
        assert bench.heard == ["account down", "reopened, ready False"]
        assert bench.wire.api.is_ready

    tell(story)


def test_each_connection_breaks_and_returns_by_itself() -> None:
    async def story(bench: Bench) -> None:
        bench.loopback.switchboard.cut(api=False)
        await bench.clock.sleep(2)
        assert bench.heard == ["market down"]
        assert bench.wire.reconnects == 1
        bench.loopback.switchboard.cut()
        await bench.clock.sleep(5)
        assert bench.wire.reconnects == 3

    tell(story)


def test_balances_that_were_asked_for_account_for_what_they_are_said_to() -> None:
    async def story(bench: Bench) -> None:
        await bench.wire.read_balances(settled_ms=1_999_000_000_000)
        assert bench.snapshots.balances["ETH"].total == D(1)
        assert bench.snapshots.balances_ms == 1_999_000_000_000

    tell(story)


def test_reports_of_the_stream_are_passed_on() -> None:
    async def story(bench: Bench) -> None:
        bench.loopback.exchange.by_hand().place(Side.SELL, D(2900), D("0.1"), client_order_id="mine")
        bench.loopback.switchboard.deliver()
        await bench.clock.sleep(0.1)
        assert bench.heard == ["mine"]

    tell(story)


def test_after_the_farewell_what_is_lost_stays_lost() -> None:
    async def story(bench: Bench) -> None:
        bench.wire.stay_down()
        await bench.wire.log_out()
        bench.loopback.switchboard.cut()
        await bench.clock.sleep(60)
        assert bench.wire.reconnects == 0
        assert bench.heard == []

    tell(story)


def test_without_a_session_there_is_nothing_to_log_out_of() -> None:
    async def story(bench: Bench) -> None:
        bench.wire.stay_down()
        bench.loopback.switchboard.cut()
        await bench.clock.sleep(1)
        await bench.wire.log_out()
        assert bench.loopback.exchange.journal.requests["session.logout"] == 0

    tell(story)
