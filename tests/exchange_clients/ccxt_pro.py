"""Drives ccxt.pro; the field `info` of its results contains the exchange's own message."""

import asyncio
import importlib
from typing import Any

from tests.exchange_clients.documented import INTERVALS
from tests.exchange_clients.exchange_access import PAIR, SYMBOL, Access
from tests.exchange_clients.results import PATIENCE_S, Results

ONE = {"symbol": SYMBOL}


async def drive(access: Access, results: Results) -> None:
    """Make each call of the client, and `watch`, with `sign_params` where it must be signed, for what has none."""
    package: Any = importlib.import_module("ccxt.pro")
    client = package.binance({"apiKey": access.api_key, "secret": access.pem, "newUpdates": True})
    client.urls["api"]["ws"]["spot"] = access.ws_stream_url + "/ws"
    client.urls["api"]["ws"]["ws-api"]["spot"] = access.ws_api_url
    client.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
    client.set_markets([client.parse_market(access.symbol_info)])
    await _streams(client, results)
    await _orders(access, client, results)
    await _session(client, results)
    await client.close()


def _info(answer: Any) -> Any:
    return [each["info"] for each in answer] if isinstance(answer, list) else answer["info"]


def _of_pair(answer: Any) -> Any:
    return answer[PAIR]["info"]


async def _streams(client: Any, results: Results) -> None:
    for what, request, read in (
        ("@bookTicker", client.watch_bids_asks([PAIR]), _of_pair),
        ("@trade", _trade(client, "trade"), None),
        ("@aggTrade", _trade(client, "aggTrade"), None),
        ("@ticker", client.watch_ticker(PAIR, {"name": "ticker"}), _info),
        *(
            (f"@{name}", client.watch_tickers([PAIR], {"name": name}), _of_pair)
            for name in ("miniTicker", "ticker_1h", "ticker_4h", "ticker_1d")
        ),
        *(
            (f"!{name}@arr", client.watch_tickers(None, {"name": name}), lambda answer: [_of_pair(answer)])
            for name in ("miniTicker", "ticker", "ticker_1h", "ticker_4h", "ticker_1d")
        ),
    ):
        await (results.call(what, request, read) if read else results.call(what, request))
    for offset in ("", "@+08:00"):
        await _klines(client, results, offset)


async def _trade(client: Any, name: str) -> Any:
    """The first trade of one of the two streams of trades, of which the client watches one at a time."""
    try:
        while True:
            for trade in await client.watch_trades(PAIR, params={"name": name}):
                if trade["info"]["e"] == name:
                    return trade["info"]
    finally:
        await client.un_watch_trades(PAIR, {"name": name})


async def _klines(client: Any, results: Results, offset: str) -> None:
    """Watch candles of all intervals. The client keeps their numbers only."""
    client.ohlcvs.clear()
    watched = [[PAIR, interval] for interval in INTERVALS]
    params = {"timezone": offset.removeprefix("@")} if offset else {}
    for _ in range(int(PATIENCE_S * 20)):
        await asyncio.wait_for(client.watch_ohlcv_for_symbols(watched, params=params), PATIENCE_S)
        candles = {name: rows[-1] for name, rows in client.ohlcvs[PAIR].items()}
        if candles.keys() >= set(INTERVALS):
            break
    for interval in INTERVALS:
        candle = candles.get(interval)
        results.by_call[f"@kline_{interval}{offset}"] = "" if candle and len(candle) == 6 else f"no candle: {candle}"
    await client.un_watch_ohlcv_for_symbols(watched, params=params)


async def _generic(client: Any, results: Results, what: str, params: dict[str, Any], *, signed: bool) -> Any:
    """Make a request as the client's own methods make theirs."""
    url = client.urls["api"]["ws"]["ws-api"]["spot"]
    request_id = str(client.request_id(url))
    message: dict[str, Any] = {"id": request_id, "method": what.partition(" ")[0]}
    if params or signed:
        message["params"] = client.sign_params(params) if signed else params
    handler = {"method": lambda socket, answer: socket.resolve(answer, request_id)}
    request = client.watch(url, request_id, message, request_id, handler)
    return await results.call(what, request, lambda answer: answer["result"], generic=True)


async def _orders(access: Access, client: Any, results: Results) -> None:
    await results.call("trades.historical", client.fetch_trades_ws(PAIR, limit=5), _info)
    await results.call("account.status", client.fetch_balance_ws(), _info)
    candles = await asyncio.wait_for(client.fetch_ohlcv_ws(PAIR, "1m"), PATIENCE_S)
    results.by_call["klines"] = "" if {len(candle) for candle in candles} == {6} else f"no candles: {candles[:2]}"
    for method in ("ping", "time", "exchangeInfo"):
        await _generic(client, results, method, {}, signed=False)
    for method in (
        *("depth", "trades.recent", "trades.aggregate", "avgPrice", "ticker.price", "ticker.book"),
        *("ticker", "ticker.24hr", "ticker.tradingDay"),
    ):
        await _generic(client, results, method, ONE, signed=False)
    await _generic(client, results, "ticker.24hr MINI", ONE | {"type": "MINI"}, signed=False)
    await _generic(client, results, "uiKlines", ONE | {"interval": "1h"}, signed=False)
    top = await client.watch_bids_asks([PAIR])
    price = access.price_above(top[PAIR]["ask"])
    sell = (PAIR, "limit", "sell", 0.5, price)
    watched = asyncio.ensure_future(client.watch_orders(PAIR))
    balance = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(1)  # until it has subscribed
    await results.call("order.test", client.create_order_ws(*sell, {"test": True}), _info)
    placed = await results.call("order.place", client.create_order_ws(*sell), _info)
    await results.call("executionReport", watched, lambda orders: orders[0]["info"])
    await results.call("outboundAccountPosition", balance, _info)
    results.worked("userDataStream.subscribe.signature")
    order = ONE | {"orderId": placed["orderId"]}
    await results.call("order.status", client.fetch_order_ws(placed["orderId"], PAIR), _info)
    await results.call("openOrders.status", client.fetch_open_orders_ws(PAIR), _info)
    await _generic(client, results, "order.amend.keepPriority", order | {"newQty": "0.4"}, signed=True)
    await _generic(client, results, "order.amendments", order, signed=True)
    replaced = await results.call(
        "order.cancelReplace NEW",
        client.edit_order_ws(str(placed["orderId"]), PAIR, "limit", "sell", 0.3, price),
        _info,
    )
    await results.call("order.cancel", client.cancel_order_ws(replaced["orderId"], PAIR), _info)
    await client.create_order_ws(*sell)
    await results.call("openOrders.cancelAll", client.cancel_all_orders_ws(PAIR), _info)
    await client.create_order_ws(PAIR, "market", "sell", 0.1)
    since = {"orderId": placed["orderId"]}
    await results.call("allOrders", client.fetch_orders_ws(PAIR, params=since), _info)
    await results.call("myTrades", client.fetch_my_trades_ws(PAIR), _info)
    for method, params in (
        ("myFilters", ONE),
        ("myPreventedMatches", ONE | {"preventedMatchId": access.prevented_match_id}),
        ("account.commission", ONE),
        ("account.rateLimits.orders", {}),
    ):
        await _generic(client, results, method, params, signed=True)


async def _session(client: Any, results: Results) -> None:
    for method, signed in (
        ("userDataStream.unsubscribe", False),
        ("session.logon", True),
        ("session.status", False),
        ("userDataStream.subscribe", False),
        ("session.subscriptions", False),
        ("session.logout", False),
    ):
        await _generic(client, results, method, {}, signed=signed)
