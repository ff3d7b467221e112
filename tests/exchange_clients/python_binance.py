"""Drives python-binance: its calls of the WebSocket API and its sockets."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from tests.exchange_clients.documented import INTERVALS
from tests.exchange_clients.exchange_access import STREAM, SYMBOL, Access
from tests.exchange_clients.results import Results

ONE = {"symbol": SYMBOL}


async def drive(access: Access, results: Results) -> None:
    """Make each call of the client, and `_ws_api_request`, which all of them make, for what has none."""
    package: Any = importlib.import_module("binance")
    api: Any = importlib.import_module("binance.ws.websocket_api")
    client = package.AsyncClient(access.api_key, private_key=access.pem)
    client.ws_api = api.WebsocketAPI(url=access.ws_api_url)
    client.ws_api._connect_lock = None
    sockets = package.BinanceSocketManager(client)
    sockets.STREAM_URL = access.ws_stream_url + "/"
    await _streams(sockets, results)
    await _market(client, results)
    await _orders(access, client, sockets, results)
    await _session(client, results)
    await client.close_connection()


async def _streams(sockets: Any, results: Results) -> None:
    async def first(socket: Any, unwrap: Callable[[Any], Any] = lambda event: event) -> Any:
        async with socket as stream:
            return unwrap(await stream.recv())

    def any_stream(name: str) -> Awaitable[Any]:
        full = name if name.startswith("!") else f"{STREAM}{name}"
        request = first(sockets.multiplex_socket([full]), lambda event: event["data"])
        return results.call(name, request, generic=True)

    await asyncio.gather(
        results.call("@bookTicker", first(sockets.symbol_book_ticker_socket(SYMBOL))),
        results.call("@trade", first(sockets.trade_socket(SYMBOL))),
        results.call("@aggTrade", first(sockets.aggtrade_socket(SYMBOL))),
        results.call("@miniTicker", first(sockets.symbol_miniticker_socket(SYMBOL))),
        results.call("@ticker", first(sockets.symbol_ticker_socket(SYMBOL))),
        results.call("!ticker@arr", first(sockets.ticker_socket())),
        results.call("!miniTicker@arr", first(sockets.miniticker_socket())),
        results.call("@depth", first(sockets.depth_socket(SYMBOL))),
        results.call("@depth@100ms", first(sockets.depth_socket(SYMBOL, interval=100))),
        *(results.call(f"@kline_{each}", first(sockets.kline_socket(SYMBOL, each))) for each in INTERVALS),
        *(any_stream(f"@kline_{each}@+08:00") for each in INTERVALS),
        *(any_stream(f"@ticker_{window}") for window in ("1h", "4h", "1d")),
        *(any_stream(f"!ticker_{window}@arr") for window in ("1h", "4h", "1d")),
        any_stream("@avgPrice"),
    )
    for levels in (5, 10, 20):
        socket = sockets.depth_socket(SYMBOL, depth=str(levels))
        await results.call(f"@depth{levels}", first(socket))
        socket = sockets.depth_socket(SYMBOL, depth=str(levels), interval=100)
        await results.call(f"@depth{levels}@100ms", first(socket))


async def _market(client: Any, results: Results) -> None:
    for what, call, params in (
        ("ping", client.ws_ping, {}),
        ("time", client.ws_get_time, {}),
        ("exchangeInfo", client.ws_get_exchange_info, ONE),
        ("depth", client.ws_get_order_book, ONE),
        ("trades.recent", client.ws_get_recent_trades, ONE),
        ("trades.historical", client.ws_get_historical_trades, ONE | {"limit": 5}),
        ("trades.aggregate", client.ws_get_aggregate_trades, ONE | {"limit": 5}),
        ("klines", client.ws_get_klines, ONE | {"interval": "1m"}),
        ("uiKlines", client.ws_get_uiKlines, ONE | {"interval": "1m"}),
        ("avgPrice", client.ws_get_avg_price, ONE),
        ("ticker.24hr", client.ws_get_ticker, ONE),
        ("ticker.24hr MINI", client.ws_get_ticker, ONE | {"type": "MINI"}),
        ("ticker", client.ws_get_symbol_ticker_window, ONE | {"windowSize": "7d"}),
        ("ticker.tradingDay", client.ws_get_trading_day_ticker, ONE),
        ("ticker.price", client.ws_get_symbol_ticker, ONE),
        ("ticker.book", client.ws_get_orderbook_ticker, ONE),
        ("account.status", client.ws_get_account, {}),
        ("account.commission", client.ws_get_commission_rates, ONE),
        ("account.rateLimits.orders", client.ws_get_account_rate_limits_orders, {}),
    ):
        await results.call(what, call(**params))


async def _orders(access: Access, client: Any, sockets: Any, results: Results) -> None:
    book = await client.ws_get_orderbook_ticker(**ONE)
    resting = ONE | {"side": "SELL", "price": f"{access.price_above(book['askPrice']):.2f}", "quantity": "0.5"}
    limit = resting | {"type": "LIMIT", "timeInForce": "GTC"}
    await results.call("order.test", client.ws_create_test_order(**limit))
    async with sockets.user_socket() as events:
        placed = await results.call("order.place", client.ws_create_order(**limit))
        for _ in range(2):
            event = await asyncio.wait_for(events.recv(), 5)
            results.note(event["e"], event)
    results.worked("userDataStream.subscribe.signature")
    results.worked("userDataStream.unsubscribe")
    order = ONE | {"orderId": placed["orderId"]}
    await results.call("order.status", client.ws_get_order(**order))
    await results.call("openOrders.status", client.ws_get_open_orders(**ONE))
    amend = {"order.amend.keepPriority": order | {"newQty": "0.4"}, "order.amendments": order, "myFilters": ONE}
    for method, params in amend.items():
        await results.call(method, client._ws_api_request(method, True, params), generic=True)
    replace = limit | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": placed["orderId"]}
    await results.call("order.cancelReplace", client.ws_cancel_and_replace_order(**replace))
    await results.call("openOrders.cancelAll", client.ws_cancel_all_open_orders(**ONE))
    placed = await client.ws_create_order(**limit)
    await results.call("order.cancel", client.ws_cancel_order(**ONE, orderId=placed["orderId"]))
    await client.ws_create_order(**ONE, side="SELL", type="MARKET", quantity="0.1")
    await results.call("allOrders", client.ws_get_all_orders(**order))
    await results.call("myTrades", client.ws_get_my_trades(**ONE))
    match = ONE | {"preventedMatchId": access.prevented_match_id}
    await results.call("myPreventedMatches", client.ws_get_prevented_matches(**match))


async def _session(client: Any, results: Results) -> None:
    for method in (
        "session.logon",
        "session.status",
        "userDataStream.subscribe",
        "session.subscriptions",
        "session.logout",
    ):
        request = client._ws_api_request(method, method == "session.logon", {})
        await results.call(method, request, generic=True)
