"""Candles longer than a minute: none is lost or doubled at start, reconnect and rotation."""

from dataclasses import dataclass, replace

from tests.simulation.simulated_day import simulate

from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.indicators.donchian import Channel
from trailingedge.live.factory import donchian_channel
from trailingedge.live.trading_node import TradingNode
from trailingedge.simulator.klines import Interval
from trailingedge.simulator.server import LoopbackExchange

MINUTE_S = 60.0


@dataclass
class Seen:
    """What the daemon has made of the candles, and what the exchange knows of them."""

    channel: Channel | None = None
    last_close: float = 0.0
    expected: Channel | None = None
    expected_close: float = 0.0


def test_the_channel_is_that_of_the_exchanges_own_candles() -> None:
    settings = replace(Settings(), donchian_window=8, donchian_source="high_low")
    seen = Seen()

    async def script(node: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        hub = loopback.hub
        await clock.sleep(7 * MINUTE_S)
        hub.refuses_connections = True  # candles close while nothing is heard
        hub.disconnect()
        await clock.sleep(33 * MINUTE_S)
        hub.refuses_connections = False
        await clock.sleep(11 * MINUTE_S)
        hub.announce_shutdown(streams=True, api=True, leave_s=4 * MINUTE_S)
        await clock.sleep(17 * MINUTE_S)
        hub.half_open(api=False)
        await clock.sleep(28 * MINUTE_S)
        compare(node, loopback, settings, seen)
        node.stop("it is over")

    simulate(1, 24.0, settings=settings, script=script)
    assert seen.expected is not None
    assert (seen.channel, seen.last_close) == (seen.expected, seen.expected_close)


def compare(node: TradingNode, loopback: LoopbackExchange, settings: Settings, seen: Seen) -> None:
    """Note the daemon's channel and last close, and those of the candles that the exchange has."""
    assert node.services is not None
    core, channel = node.services.core, donchian_channel(settings)
    now_ms = node.services.market_ms
    interval = Interval(settings.kline_interval)
    for bar in loopback.exchange.market.klines.rows(interval, 0, now_ms, 100_000):
        if interval.next_start_ms(bar.open_ms) <= now_ms:
            channel.push_prices(float(bar.high), float(bar.low), float(bar.close))
            seen.expected_close = float(bar.close)
    seen.expected, seen.last_close = channel.current, core.state.last_close
    seen.channel = None if core.decision is None else core.decision.channel
