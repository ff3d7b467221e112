"""Drives the WebSocket client of NautilusTrader's Binance adapter; its structs decode each event."""

import asyncio
import importlib
import json
from typing import Any

from tests.exchange_clients.documented import INTERVALS
from tests.exchange_clients.exchange_access import STREAM, SYMBOL, Access
from tests.exchange_clients.results import PATIENCE_S, Results


def _structs() -> dict[str, Any]:
    """The client's types by stream; None where it has none."""
    schemas = "nautilus_trader.adapters.binance.{}.schemas.market"
    common: Any = importlib.import_module(schemas.format("common"))
    spot: Any = importlib.import_module(schemas.format("spot"))
    return {
        "@trade": spot.BinanceSpotTradeMsg,
        "@aggTrade": common.BinanceAggregatedTradeMsg,
        "@bookTicker": common.BinanceQuoteMsg,
        "@ticker": common.BinanceTickerMsg,
        "@depth@100ms": common.BinanceOrderBookMsg,
        "@miniTicker": None,
        "!miniTicker@arr": None,
        "!ticker@arr": None,
        **{f"@depth{levels}@100ms": spot.BinanceSpotOrderBookPartialDepthMsg for levels in (5, 10, 20)},
        **{f"@kline_{interval}": common.BinanceCandlestickMsg for interval in INTERVALS},
    }


async def drive(access: Access, results: Results) -> None:
    """Subscribe to each stream that the client has a call for. It has none for the WebSocket API."""
    msgspec: Any = importlib.import_module("msgspec")
    component: Any = importlib.import_module("nautilus_trader.common.component")
    module: Any = importlib.import_module("nautilus_trader.adapters.binance.websocket.client")
    structs = _structs()

    def on_frame(raw: bytes) -> None:
        frame = json.loads(raw)
        name = str(frame.get("stream", "")).removeprefix(STREAM)
        if name in structs:
            results.note(name, frame["data"])
            if structs[name] is not None:
                msgspec.json.decode(raw, type=structs[name])

    client = module.BinanceWebSocketClient(
        clock=component.LiveClock(),
        base_url=access.ws_stream_url,
        handler=on_frame,
        handler_reconnect=None,
        loop=asyncio.get_running_loop(),
    )
    for subscribing in (
        client.subscribe_trades(SYMBOL),
        client.subscribe_agg_trades(SYMBOL),
        client.subscribe_book_ticker(SYMBOL),
        client.subscribe_ticker(SYMBOL),
        client.subscribe_ticker(),
        client.subscribe_mini_ticker(SYMBOL),
        client.subscribe_mini_ticker(),
        client.subscribe_diff_book_depth(SYMBOL, 100),
        *(client.subscribe_partial_book_depth(SYMBOL, levels, 100) for levels in (5, 10, 20)),
        *(client.subscribe_bars(SYMBOL, interval) for interval in INTERVALS),
    ):
        await subscribing
        await asyncio.sleep(0.25)  # the exchange takes five messages a second, and the client does not hold them back
    for _ in range(int(PATIENCE_S * 20)):
        if structs.keys() <= results.by_call.keys():
            break
        await asyncio.sleep(0.05)
    results.by_call |= dict.fromkeys(structs.keys() - results.by_call.keys(), "no event")
    await client.disconnect()
