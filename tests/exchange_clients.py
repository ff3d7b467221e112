"""Public clients against the embedded exchange: each calls what it supports of what the exchange offers.

    python -m tests.exchange_clients --exchange .venv/bin/trailing-edge

Run it with a Python that has the clients; it needs nothing of the project but this file. The clients are unmodified:
they are given the URLs, the key, and for ccxt the market that it would load over REST. A client that is not installed
is named. For each call the fields of the answer, or of the first row or event, are compared with the documented ones
below; the exit code is 1 if any differ or a call fails.
"""

import argparse
import asyncio
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

SYMBOL: Final = "ETHFDUSD"
STREAM: Final = SYMBOL.lower()
PAIR: Final = "ETH/FDUSD"
PATIENCE_S: Final = 20.0
TRADE_ROW: Final = "id price qty quoteQty time isBuyerMaker isBestMatch"
MINI_ROW: Final = (
    "symbol openPrice highPrice lowPrice lastPrice volume quoteVolume openTime closeTime firstId lastId count"
)
WINDOW_ROW: Final = f"{MINI_ROW} priceChange priceChangePercent weightedAvgPrice"
ORDER: Final = (
    "symbol orderId orderListId clientOrderId price origQty executedQty origQuoteOrderQty cummulativeQuoteQty status "
    "timeInForce type side selfTradePreventionMode"
)
RECORD: Final = f"{ORDER} stopPrice icebergQty time updateTime isWorking workingTime"
CANCELED: Final = f"{ORDER} origClientOrderId transactTime"
SESSION: Final = "apiKey authorizedSince connectedSince returnRateLimits serverTime userDataStream"
WINDOW_EVENT: Final = "e E s p P o h l c w v q O C F L n"
# The fields of each answer and event, of the first row where there are several. None: an answer without named fields.
DOCUMENTED: Final[Mapping[str, str | None]] = {
    "ping": "",
    "time": "serverTime",
    "exchangeInfo": "timezone serverTime rateLimits exchangeFilters symbols",
    "depth": "lastUpdateId bids asks",
    "trades.recent": TRADE_ROW,
    "trades.historical": TRADE_ROW,
    "trades.aggregate": "a p q f l T m M",
    "klines": None,
    "uiKlines": None,
    "avgPrice": "mins price closeTime",
    "ticker.24hr": f"{WINDOW_ROW} prevClosePrice lastQty bidPrice bidQty askPrice askQty",
    "ticker.24hr MINI": MINI_ROW,
    "ticker": WINDOW_ROW,
    "ticker.tradingDay": WINDOW_ROW,
    "ticker.price": "symbol price",
    "ticker.book": "symbol bidPrice bidQty askPrice askQty",
    "session.logon": SESSION,
    "session.status": SESSION,
    "session.logout": SESSION,
    "order.place": f"{ORDER} transactTime workingTime fills",
    "order.test": "",
    "order.status": RECORD,
    "order.amend.keepPriority": "transactTime executionId amendedOrder",
    "order.amendments": "symbol orderId executionId origClientOrderId newClientOrderId origQty newQty time",
    "order.cancel": CANCELED,
    "order.cancelReplace": "cancelResult newOrderResult cancelResponse newOrderResponse",
    "openOrders.status": RECORD,
    "openOrders.cancelAll": CANCELED,
    "allOrders": RECORD,
    "myTrades": (
        "symbol id orderId orderListId price qty quoteQty commission commissionAsset time isBuyer isMaker isBestMatch"
    ),
    "myFilters": "exchangeFilters symbolFilters assetFilters",
    "account.status": (
        "makerCommission takerCommission buyerCommission sellerCommission commissionRates canTrade canWithdraw "
        "canDeposit brokered requireSelfTradePrevention preventSor updateTime accountType balances permissions uid"
    ),
    "account.commission": "symbol standardCommission specialCommission taxCommission discount",
    "account.rateLimits.orders": "rateLimitType interval intervalNum limit count",
    "@trade": "e E s t p q T m M",
    "@aggTrade": "e E s a p q f l T m M",
    "@kline_1s": "e E s k",
    "@bookTicker": "u s b B a A",
    "@depth": "e E s U u b a",
    "@depth5": "lastUpdateId bids asks",
    "@depth10": "lastUpdateId bids asks",
    "@depth20": "lastUpdateId bids asks",
    "@miniTicker": "e E s c o h l v q",
    "@ticker": "e E s p P w x c Q b B a A o h l v q O C F L n",
    "@ticker_1h": WINDOW_EVENT,
    "@ticker_4h": WINDOW_EVENT,
    "@ticker_1d": WINDOW_EVENT,
    "@avgPrice": "e E s i w T",
    "!miniTicker@arr": "e E s c o h l v q",
    "!ticker@arr": "e E s p P w x c Q b B a A o h l v q O C F L n",
    "!ticker_1h@arr": WINDOW_EVENT,
    "local book": "lastUpdateId bids asks",
    "executionReport": ("e E s c S o f q p P F g C x X r i l z L n N T t I w m M O Z Y Q V W"),
}


@dataclass
class Results:
    """What one client's calls came to: by method or stream, "" or the difference."""

    client: str
    version: str
    by_call: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, answer: Any) -> None:
        """Compare an answer with the documentation, and keep the difference."""
        self.by_call[what] = difference(what, answer)

    async def call(self, what: str, request: Awaitable[Any], read: Callable[[Any], Any] = lambda answer: answer) -> Any:
        """Await a request and note its answer, or its error. Returns the answer as `read` gives it; None for an error.

        `what` may name a variant of a method after a blank.
        """
        try:
            answer = read(await asyncio.wait_for(request, PATIENCE_S))
        except Exception as error:  # noqa: BLE001 - whatever a foreign client raises is its result
            self.by_call[what] = f"{type(error).__name__}: {error}"[:200]
            return None
        self.note(what, answer)
        return answer


def difference(what: str, answer: Any) -> str:
    """How the fields of `answer` differ from the documented ones; "" if they do not."""
    documented = DOCUMENTED[what]
    row = answer[0] if isinstance(answer, list) and answer and documented is not None else answer
    if row is None or (isinstance(answer, list) and not answer):
        return "no answer"
    if documented is None:
        return "" if isinstance(row, list) else f"no list: {row}"[:100]
    wanted = set(documented.split())
    missing, more = sorted(wanted - set(row)), sorted(set(row) - wanted)
    return " ".join(part for part in (f"missing {missing}" if missing else "", f"more {more}" if more else "") if part)


async def python_binance(access: Mapping[str, str], results: Results) -> None:
    """Drive python-binance: its WebSocket API calls and its sockets."""
    package: Any = importlib.import_module("binance")
    api: Any = importlib.import_module("binance.ws.websocket_api")
    client = package.AsyncClient(access["api_key"], private_key=access["pem"])
    client.ws_api = api.WebsocketAPI(url=access["ws_api_url"])
    client.ws_api._connect_lock = None
    sockets = package.BinanceSocketManager(client)
    sockets.STREAM_URL = access["ws_stream_url"] + "/"
    await _sockets_of_python_binance(sockets, results)
    one = {"symbol": SYMBOL}
    book = await results.call("depth", client.ws_get_order_book(**one))
    far = f"{float(book['asks'][0][0]) * 1.02:.2f}"
    for what, call, params in (
        ("ping", client.ws_ping, {}),
        ("time", client.ws_get_time, {}),
        ("exchangeInfo", client.ws_get_exchange_info, one),
        ("trades.recent", client.ws_get_recent_trades, one),
        ("trades.historical", client.ws_get_historical_trades, one | {"limit": 5}),
        ("trades.aggregate", client.ws_get_aggregate_trades, one | {"limit": 5}),
        ("klines", client.ws_get_klines, one | {"interval": "1m"}),
        ("uiKlines", client.ws_get_uiKlines, one | {"interval": "1m"}),
        ("avgPrice", client.ws_get_avg_price, one),
        ("ticker.24hr", client.ws_get_ticker, one),
        ("ticker.24hr MINI", client.ws_get_ticker, one | {"type": "MINI"}),
        ("ticker", client.ws_get_symbol_ticker_window, one | {"windowSize": "7d"}),
        ("ticker.tradingDay", client.ws_get_trading_day_ticker, one),
        ("ticker.price", client.ws_get_symbol_ticker, one),
        ("ticker.book", client.ws_get_orderbook_ticker, one),
        ("account.status", client.ws_get_account, {}),
        ("account.commission", client.ws_get_commission_rates, one),
        ("account.rateLimits.orders", client.ws_get_account_rate_limits_orders, {}),
    ):
        await results.call(what, call(**params))
    resting = one | {"side": "SELL", "price": far, "quantity": "0.5"}
    limit = resting | {"type": "LIMIT", "timeInForce": "GTC"}
    await results.call("order.test", client.ws_create_test_order(**limit))
    async with sockets.user_socket() as events:
        placed = await results.call("order.place", client.ws_create_order(**limit))
        await results.call("executionReport", events.recv())
    order = one | {"orderId": placed["orderId"]}
    await results.call("order.status", client.ws_get_order(**order))
    await results.call("openOrders.status", client.ws_get_open_orders(**one))
    # The client has no method of its own for amendments; this is the call that all its methods make.
    amend = {"order.amend.keepPriority": order | {"newQty": "0.4"}, "order.amendments": order, "myFilters": one}
    for method, params in amend.items():
        await results.call(method, client._ws_api_request(method, True, params))
    replace = limit | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": placed["orderId"]}
    await results.call("order.cancelReplace", client.ws_cancel_and_replace_order(**replace))
    await results.call("openOrders.cancelAll", client.ws_cancel_all_open_orders(**one))
    placed = await client.ws_create_order(**limit)
    await results.call("order.cancel", client.ws_cancel_order(**one, orderId=placed["orderId"]))
    await client.ws_create_order(**one, side="SELL", type="MARKET", quantity="0.1")
    await results.call("allOrders", client.ws_get_all_orders(**one))
    await results.call("myTrades", client.ws_get_my_trades(**one))
    await client.close_connection()


async def _sockets_of_python_binance(sockets: Any, results: Results) -> None:
    async def first(socket: Any, unwrap: Callable[[Any], Any] = lambda event: event) -> Any:
        async with socket as stream:
            return unwrap(await stream.recv())

    await asyncio.gather(
        results.call("@bookTicker", first(sockets.symbol_book_ticker_socket(SYMBOL))),
        results.call("@trade", first(sockets.trade_socket(SYMBOL))),
        results.call("@aggTrade", first(sockets.aggtrade_socket(SYMBOL))),
        results.call("@kline_1s", first(sockets.kline_socket(SYMBOL, "1s"))),
        results.call("@miniTicker", first(sockets.symbol_miniticker_socket(SYMBOL))),
        results.call("@ticker", first(sockets.symbol_ticker_socket(SYMBOL))),
        results.call("!ticker@arr", first(sockets.ticker_socket())),
        results.call("!miniTicker@arr", first(sockets.miniticker_socket())),
        results.call("@depth", first(sockets.depth_socket(SYMBOL))),
        *(
            results.call(f"@depth{levels}", first(sockets.depth_socket(SYMBOL, depth=str(levels), interval=100)))
            for levels in (5, 10, 20)
        ),
        *(
            results.call(name, first(sockets.multiplex_socket([f"{STREAM}{name}"]), lambda event: event["data"]))
            for name in ("@avgPrice", "@ticker_1h", "@ticker_4h", "@ticker_1d")
        ),
        results.call(
            "!ticker_1h@arr", first(sockets.multiplex_socket(["!ticker_1h@arr"]), lambda event: event["data"])
        ),
    )


async def official_sdk(access: Mapping[str, str], results: Results) -> None:
    """Drive the official SDK (binance-sdk-spot), whose models parse each answer."""
    spot: Any = importlib.import_module("binance_sdk_spot.spot")
    client = spot.Spot(
        config_ws_api=spot.ConfigurationWebSocketAPI(
            api_key=access["api_key"], private_key=access["pem"], stream_url=access["ws_api_url"]
        ),
        config_ws_streams=spot.ConfigurationWebSocketStreams(stream_url=access["ws_stream_url"]),
    )
    api = await client.websocket_api.create_connection()
    await _streams_of_the_sdk(client, api, results)

    def read(answer: Any) -> Any:
        data = answer.data()
        # Models of answers with several shapes have no attribute for the result.
        result = data.result if hasattr(data, "result") else data.to_dict()["result"]
        if isinstance(result, list):
            return [row.to_dict() if hasattr(row, "to_dict") else row for row in result]
        # The models leave out what is null.
        nulls = {name: None for name in ("apiKey", "authorizedSince") if hasattr(result, "authorized_since")}
        return result if isinstance(result, dict) else nulls | result.to_dict()

    for what, call, params in (
        ("ping", api.ping, {}),
        ("time", api.time, {}),
        ("exchangeInfo", api.exchange_info, {"symbol": SYMBOL}),
        ("depth", api.depth, {"symbol": SYMBOL, "limit": 20}),
        ("trades.recent", api.trades_recent, {"symbol": SYMBOL}),
        ("trades.historical", api.trades_historical, {"symbol": SYMBOL, "from_id": 0}),
        ("trades.aggregate", api.trades_aggregate, {"symbol": SYMBOL}),
        ("klines", api.klines, {"symbol": SYMBOL, "interval": "1m"}),
        ("uiKlines", api.ui_klines, {"symbol": SYMBOL, "interval": "1m"}),
        ("avgPrice", api.avg_price, {"symbol": SYMBOL}),
        ("ticker.24hr", api.ticker24hr, {"symbol": SYMBOL}),
        ("ticker.24hr MINI", api.ticker24hr, {"symbol": SYMBOL, "type": "MINI"}),
        ("ticker", api.ticker, {"symbol": SYMBOL, "window_size": "1h"}),
        ("ticker.tradingDay", api.ticker_trading_day, {"symbol": SYMBOL}),
        ("ticker.price", api.ticker_price, {"symbol": SYMBOL}),
        ("ticker.book", api.ticker_book, {"symbol": SYMBOL}),
    ):
        await results.call(what, call(**params), read)
    await _orders_of_the_sdk(api, results, read)
    await api.close_connection(close_session=True)


async def _orders_of_the_sdk(api: Any, results: Results, read: Callable[[Any], Any]) -> None:
    await results.call("session.logon", api.session_logon(), read)
    await results.call("session.status", api.session_status(), read)
    top = read(await api.ticker_book(symbol=SYMBOL))
    limit = {
        "symbol": SYMBOL,
        "side": "SELL",
        "type": "LIMIT",
        "time_in_force": "GTC",
        "price": round(float(top["askPrice"]) * 1.02, 2),
        "quantity": 0.5,
    }
    await results.call("order.test", api.order_test(**limit), read)
    placed = await results.call("order.place", api.order_place(**limit), read)
    order = {"symbol": SYMBOL, "order_id": placed["orderId"]}
    await results.call("order.status", api.order_status(**order), read)
    await results.call("openOrders.status", api.open_orders_status(symbol=SYMBOL), read)
    await results.call("order.amend.keepPriority", api.order_amend_keep_priority(**order, new_qty=0.4), read)
    await results.call("order.amendments", api.order_amendments(**order), read)
    replace = limit | {"cancel_replace_mode": "STOP_ON_FAILURE", "cancel_order_id": placed["orderId"]}
    await results.call("order.cancelReplace", api.order_cancel_replace(**replace), read)
    await results.call("openOrders.cancelAll", api.open_orders_cancel_all(symbol=SYMBOL), read)
    placed = read(await api.order_place(**limit))
    await results.call("order.cancel", api.order_cancel(symbol=SYMBOL, order_id=placed["orderId"]), read)
    await api.order_place(symbol=SYMBOL, side="SELL", type="MARKET", quantity=0.1)
    for what, call, params in (
        ("allOrders", api.all_orders, {"symbol": SYMBOL}),
        ("myTrades", api.my_trades, {"symbol": SYMBOL}),
        ("account.status", api.account_status, {}),
        ("account.commission", api.account_commission, {"symbol": SYMBOL}),
        ("account.rateLimits.orders", api.account_rate_limits_orders, {}),
        ("session.logout", api.session_logout, {}),
    ):
        await results.call(what, call(**params), read)


async def _streams_of_the_sdk(client: Any, api: Any, results: Results) -> None:
    streams = await client.websocket_streams.create_connection()

    async def first(subscribing: Awaitable[Any]) -> Any:
        handle = await subscribing
        arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        handle.on("message", lambda event: None if arrived.done() else arrived.set_result(event))
        event = await arrived
        rows = [each.to_dict() for each in (event if isinstance(event, list) else [event])]
        for row in rows:
            row.pop("additional_properties", None)  # the models' own field; it holds what they do not know
        return rows if isinstance(event, list) else rows[0]

    for what, subscribe, params in (
        ("@bookTicker", streams.book_ticker, {}),
        ("@trade", streams.trade, {}),
        ("@aggTrade", streams.agg_trade, {}),
        ("@kline_1s", streams.kline, {"interval": "1s"}),
        ("@miniTicker", streams.mini_ticker, {}),
        ("@ticker", streams.ticker, {}),
        ("@ticker_1h", streams.rolling_window_ticker, {"window_size": "1h"}),
        ("@ticker_4h", streams.rolling_window_ticker, {"window_size": "4h"}),
        ("@ticker_1d", streams.rolling_window_ticker, {"window_size": "1d"}),
        ("@avgPrice", streams.avg_price, {}),
        ("@depth", streams.diff_book_depth, {"update_speed": "100ms"}),
        ("@depth5", streams.partial_book_depth, {"levels": "5", "update_speed": "100ms"}),
        ("@depth10", streams.partial_book_depth, {"levels": "10"}),
        ("@depth20", streams.partial_book_depth, {"levels": "20", "update_speed": "100ms"}),
    ):
        await results.call(what, first(subscribe(symbol=STREAM, **params)))
    await results.call("!miniTicker@arr", first(streams.all_mini_ticker()))
    await results.call("!ticker_1h@arr", first(streams.all_market_rolling_window_ticker(window_size="1h")))
    await results.call("local book", _local_book_of_the_sdk(api, streams))
    await streams.close_connection(close_session=True)


async def _local_book_of_the_sdk(api: Any, streams: Any) -> dict[str, Any]:
    """Keep a book by the documented procedure until a later snapshot has the id of an event, and compare the two."""
    events: list[Any] = []
    (await streams.diff_book_depth(symbol=STREAM, update_speed="100ms")).on("message", events.append)

    async def snapshot() -> dict[str, Any]:
        await asyncio.sleep(0.2)
        found: dict[str, Any] = (await api.depth(symbol=SYMBOL)).data().result.to_dict()
        return found

    first = await snapshot()
    while not events or first["lastUpdateId"] + 1 < events[0].U:
        first = await snapshot()
    later = first
    while later == first or all(event.u != later["lastUpdateId"] for event in events):
        later = await snapshot()
    update_id, book = first["lastUpdateId"], {side: dict(first[side]) for side in ("bids", "asks")}
    for event in events:
        if update_id < event.u <= later["lastUpdateId"]:
            if update_id + 1 < event.U:
                raise ValueError(f"a gap before {event.U}; the book stands at {update_id}")
            for side, rows in (("bids", event.b), ("asks", event.a)):
                book[side] = {price: size for price, size in (book[side] | dict(rows)).items() if float(size)}
            update_id = event.u
    if book != {side: dict(later[side]) for side in ("bids", "asks")}:
        raise ValueError(f"the local book {book} is not {later}")
    return later


async def ccxt_pro(access: Mapping[str, str], results: Results) -> None:
    """Drive ccxt.pro; `info` of what it returns is what the exchange sent."""
    package: Any = importlib.import_module("ccxt.pro")
    client = package.binance({"apiKey": access["api_key"], "secret": access["pem"], "newUpdates": True})
    client.urls["api"]["ws"]["spot"] = access["ws_stream_url"] + "/ws"
    client.urls["api"]["ws"]["ws-api"]["spot"] = access["ws_api_url"]
    client.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
    client.set_markets([client.parse_market(json.loads(access["symbol_json"]))])

    def info(answer: Any) -> Any:
        return [each["info"] for each in answer] if isinstance(answer, list) else answer["info"]

    def of_pair(answer: Any) -> Any:
        return answer[PAIR]["info"]

    for what, request, read in (
        ("@bookTicker", client.watch_bids_asks([PAIR]), of_pair),
        ("@trade", client.watch_trades(PAIR, params={"name": "trade"}), info),
        ("@ticker", client.watch_ticker(PAIR, {"name": "ticker"}), info),
        ("@miniTicker", client.watch_tickers([PAIR], {"name": "miniTicker"}), of_pair),
        ("!miniTicker@arr", client.watch_tickers(None, {"name": "miniTicker"}), of_pair),
        ("@ticker_1h", client.watch_tickers([PAIR], {"name": "ticker_1h"}), of_pair),
        ("trades.historical", client.fetch_trades_ws(PAIR, limit=5), info),
        ("account.status", client.fetch_balance_ws(), info),
    ):
        await results.call(what, request, read)
    # ccxt keeps only the numbers of these.
    await results.call("klines", client.fetch_ohlcv_ws(PAIR, "1m"))
    candle = await asyncio.wait_for(client.watch_ohlcv(PAIR, "1s"), PATIENCE_S)
    results.by_call["@kline_1s"] = "" if len(candle[-1]) == 6 else f"no candle: {candle}"
    top = await client.watch_bids_asks([PAIR])
    price = round(top[PAIR]["ask"] * 1.02, 2)
    watched = asyncio.ensure_future(client.watch_orders(PAIR))
    await asyncio.sleep(1)  # until it has subscribed
    placed = await results.call("order.place", client.create_order_ws(PAIR, "limit", "sell", 0.5, price), info)
    await results.call("executionReport", watched, info)
    await results.call("order.status", client.fetch_order_ws(placed["orderId"], PAIR), info)
    await results.call("openOrders.status", client.fetch_open_orders_ws(PAIR), info)
    await results.call("order.cancel", client.cancel_order_ws(placed["orderId"], PAIR), info)
    await client.create_order_ws(PAIR, "limit", "sell", 0.5, price)
    await results.call("openOrders.cancelAll", client.cancel_all_orders_ws(PAIR), info)
    await client.create_order_ws(PAIR, "market", "sell", 0.1)
    await results.call("allOrders", client.fetch_orders_ws(PAIR), info)
    await results.call("myTrades", client.fetch_my_trades_ws(PAIR), info)
    await client.close()


async def unicorn(access: Mapping[str, str], results: Results) -> None:
    """Drive unicorn-binance-websocket-api: its streams, and the market methods of its WebSocket API."""
    package: Any = importlib.import_module("unicorn_binance_websocket_api")
    manager = package.BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=access["ws_stream_url"] + "/",
        websocket_api_base_uri=access["ws_api_url"],
        output_default="dict",
        warn_on_update=False,
    )
    names = [name for name in DOCUMENTED if name.startswith("@")]
    arrays = [name for name in DOCUMENTED if name.endswith("@arr")]
    expected = {*names, *arrays}
    manager.create_stream([name.removeprefix("@") for name in names], [SYMBOL])
    for name in arrays:
        manager.create_stream(["arr"], [name.removesuffix("@arr")])
    windows = {"24hrMiniTicker": "!miniTicker@arr", "24hrTicker": "!ticker@arr", "1hTicker": "!ticker_1h@arr"}
    for _ in range(int(PATIENCE_S * 200)):
        frame = manager.pop_stream_data_from_stream_buffer() or {}
        if isinstance(frame, list):
            results.note(windows[frame[0]["e"]], frame)
        elif str(frame.get("stream")).removeprefix(STREAM) in DOCUMENTED:
            results.note(frame["stream"].removeprefix(STREAM), frame["data"])
        elif not frame:
            await asyncio.sleep(0.05)
        if expected <= results.by_call.keys():
            break
    results.by_call |= dict.fromkeys(expected - results.by_call.keys(), "no event")
    api_id = manager.create_stream(api=True, api_key=access["api_key"], api_secret="none")
    spot = manager.api.spot
    for what, call, params in (
        ("ping", spot.ping, {}),
        ("time", spot.get_server_time, {}),
        ("exchangeInfo", spot.get_exchange_info, {"symbols": [SYMBOL]}),
        ("depth", spot.get_order_book, {"symbol": SYMBOL, "limit": 5}),
        ("trades.recent", spot.get_recent_trades, {"symbol": SYMBOL}),
        ("trades.historical", spot.get_historical_trades, {"symbol": SYMBOL}),
        ("trades.aggregate", spot.get_aggregate_trades, {"symbol": SYMBOL}),
        ("klines", spot.get_klines, {"symbol": SYMBOL, "interval": "1m"}),
        ("uiKlines", spot.get_ui_klines, {"symbol": SYMBOL, "interval": "1m"}),
        ("avgPrice", spot.get_current_average_price, {"symbol": SYMBOL}),
    ):
        request = asyncio.to_thread(call, stream_id=api_id, return_response=True, **params)
        await results.call(what, request, lambda answer: answer["result"])
    await asyncio.to_thread(manager.stop_manager)


async def nautilus(access: Mapping[str, str], results: Results) -> None:
    """Drive NautilusTrader's WebSocket client of its Binance adapter; its structs decode each event."""
    msgspec: Any = importlib.import_module("msgspec")
    adapter = "nautilus_trader.adapters.binance"
    component: Any = importlib.import_module("nautilus_trader.common.component")
    client_module: Any = importlib.import_module(f"{adapter}.websocket.client")
    common: Any = importlib.import_module(f"{adapter}.common.schemas.market")
    spot: Any = importlib.import_module(f"{adapter}.spot.schemas.market")
    structs = {
        "@trade": spot.BinanceSpotTradeMsg,
        "@aggTrade": common.BinanceAggregatedTradeMsg,
        "@kline_1s": common.BinanceCandlestickMsg,
        "@bookTicker": common.BinanceQuoteMsg,
        "@ticker": common.BinanceTickerMsg,
        "@depth@100ms": common.BinanceOrderBookMsg,
        "@depth20@100ms": spot.BinanceSpotOrderBookPartialDepthMsg,
        "@miniTicker": None,
    }

    def on_frame(raw: bytes) -> None:
        frame = json.loads(raw)
        name = str(frame.get("stream", "")).removeprefix(STREAM)
        if name in structs:
            results.note(name.removesuffix("@100ms"), frame["data"])
            if structs[name] is not None:
                msgspec.json.decode(raw, type=structs[name])

    client = client_module.BinanceWebSocketClient(
        clock=component.LiveClock(),
        base_url=access["ws_stream_url"],
        handler=on_frame,
        handler_reconnect=None,
        loop=asyncio.get_running_loop(),
    )
    await client.subscribe_trades(SYMBOL)
    await client.subscribe_agg_trades(SYMBOL)
    await client.subscribe_bars(SYMBOL, "1s")
    await client.subscribe_book_ticker(SYMBOL)
    await client.subscribe_ticker(SYMBOL)
    await client.subscribe_mini_ticker(SYMBOL)
    await client.subscribe_diff_book_depth(SYMBOL, 100)
    await client.subscribe_partial_book_depth(SYMBOL, 20, 100)
    expected = {name.removesuffix("@100ms") for name in structs}
    for _ in range(int(PATIENCE_S * 20)):
        if expected <= results.by_call.keys():
            break
        await asyncio.sleep(0.05)
    results.by_call |= dict.fromkeys(expected - results.by_call.keys(), "no event")
    await client.disconnect()


CLIENTS: Final[Mapping[str, tuple[str, Callable[[Mapping[str, str], Results], Awaitable[None]]]]] = {
    "python-binance": ("binance", python_binance),
    "binance-sdk-spot": ("binance_sdk_spot", official_sdk),
    "ccxt": ("ccxt.pro", ccxt_pro),
    "unicorn-binance-websocket-api": ("unicorn_binance_websocket_api", unicorn),
    "nautilus-trader": ("nautilus_trader", nautilus),
}


def installed_version(distribution: str, module: str) -> str | None:
    """The version of an installed client; None if it is not installed."""
    with suppress(ImportError):
        importlib.import_module(module)
        return metadata.version(distribution)
    return None


async def drive(access: Mapping[str, str], names: Sequence[str]) -> list[Results]:
    """Run the named clients one after the other. Returns their results."""
    found = []
    for name in names:
        module, run = CLIENTS[name]
        version = installed_version(name, module)
        if version is None:
            print(f"{name}: not installed")
            continue
        results = Results(name, version)
        try:
            await run(access, results)
        except Exception as error:  # noqa: BLE001 - a client that gives up is a result as well
            results.by_call["the rest"] = f"{type(error).__name__}: {error}"[:200]
        found.append(results)
    return found


def report(found: Sequence[Results]) -> int:
    """Print a table of the calls by client, and each difference. Returns the exit code."""
    calls = [what for what in (*DOCUMENTED, "the rest") if any(what in each.by_call for each in found)]
    print(f"{'':26}" + "  ".join(each.client for each in found))
    for what in calls:
        marks = ("-" if what not in each.by_call else "differs" if each.by_call[what] else "same" for each in found)
        pairs = zip(marks, found, strict=True)
        print(f"{what:26}" + "  ".join(mark.ljust(len(each.client)) for mark, each in pairs))
    for each in found:
        print(f"{each.client} {each.version}: {sum(not text for text in each.by_call.values())} calls the same")
        for what, text in each.by_call.items():
            if text:
                print(f"  {what}: {text}")
    return int(any(text for each in found for text in each.by_call.values()))


def main() -> int:
    """Start an exchange, run the clients and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchange", default="trailing-edge", help="the program (default: trailing-edge)")
    parser.add_argument("clients", nargs="*", default=list(CLIENTS), help=f"of {', '.join(CLIENTS)} (default: all)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key.pem")
        command = [args.exchange, "exchange", "--speed", "10", "--balance", "ETH=10,FDUSD=100000"]
        with subprocess.Popen([*command, "--private-key-out", str(key)], stdout=subprocess.PIPE, text=True) as process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                access = json.loads(line) | {"pem": key.read_text()}
                access["symbol_json"] = json.dumps(asyncio.run(symbol_of(access["ws_api_url"])))
                return report(asyncio.run(drive(access, args.clients)))
            finally:
                process.terminate()


async def symbol_of(url: str) -> Any:
    """Ask the exchange for its symbol, as ccxt would over REST."""
    client: Any = importlib.import_module("websockets.asyncio.client")
    async with client.connect(url) as socket:
        await socket.send(json.dumps({"id": 1, "method": "exchangeInfo"}))
        return json.loads(await socket.recv())["result"]["symbols"][0]


if __name__ == "__main__":
    sys.exit(main())
