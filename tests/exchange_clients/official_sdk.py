"""Drives the official SDK, binance-sdk-spot: its models parse each answer and event."""

import asyncio
import importlib
from collections.abc import Awaitable, Sequence
from typing import Any

from tests.exchange_clients.documented import INTERVALS, LOCAL_BOOK
from tests.exchange_clients.exchange_access import STREAM, SYMBOL, Access
from tests.exchange_clients.results import Results


async def drive(access: Access, results: Results) -> None:
    """Make each call of the client, and `subscribe` for the one stream that has none."""
    spot: Any = importlib.import_module("binance_sdk_spot.spot")
    client = spot.Spot(
        config_ws_api=spot.ConfigurationWebSocketAPI(
            api_key=access.api_key, private_key=access.pem, stream_url=access.ws_api_url
        ),
        config_ws_streams=spot.ConfigurationWebSocketStreams(stream_url=access.ws_stream_url),
    )
    api = await client.websocket_api.create_connection()
    await _streams(client, api, results)
    await _market(api, results)
    await _orders(access, api, results)
    await _session(access, api, results)
    await api.close_connection(close_session=True)


def _plain(value: Any) -> Any:
    """A model's content as the exchange has sent it, but for what is null: models leave that out."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    plain = value.to_dict() if hasattr(value, "to_dict") else value
    if isinstance(plain, dict):
        plain |= plain.pop("additional_properties", {})  # the models' own field; it holds what they do not know
        if "connectedSince" in plain:
            plain = {"apiKey": None, "authorizedSince": None} | plain
    return plain


def _result(answer: Any) -> Any:
    data = answer.data()
    # Models of answers with several shapes have no attribute for the result.
    return _plain(data.result if hasattr(data, "result") else data.to_dict().get("result"))


async def _first(handle: Any) -> Any:
    """The first event of a subscription."""
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    handle.on("message", lambda event: None if arrived.done() else arrived.set_result(event))
    return _plain(await arrived)


async def _market(api: Any, results: Results) -> None:
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
        await results.call(what, call(**params), _result)


async def _orders(access: Access, api: Any, results: Results) -> None:
    top = _result(await api.ticker_book(symbol=SYMBOL))
    price = access.price_above(top["askPrice"])
    limit = {"symbol": SYMBOL, "side": "SELL", "type": "LIMIT", "time_in_force": "GTC", "price": price, "quantity": 0.5}
    await results.call("order.test", api.order_test(**limit), _result)
    placed = await results.call("order.place", api.order_place(**limit), _result)
    order = {"symbol": SYMBOL, "order_id": placed["orderId"]}
    # The model of the answer knows only some fields of a longer one.
    mode = {"cancel_replace_mode": "STOP_ON_FAILURE", "new_order_resp_type": "ACK"}
    replace = limit | mode | {"cancel_order_id": placed["orderId"]}
    for what, call, params in (
        ("order.status", api.order_status, order),
        ("openOrders.status", api.open_orders_status, {"symbol": SYMBOL}),
        ("order.amend.keepPriority", api.order_amend_keep_priority, order | {"new_qty": 0.4}),
        ("order.amendments", api.order_amendments, order),
        ("order.cancelReplace ACK", api.order_cancel_replace, replace),
        ("openOrders.cancelAll", api.open_orders_cancel_all, {"symbol": SYMBOL}),
    ):
        await results.call(what, call(**params), _result)
    second = _result(await api.order_place(**limit))
    await results.call("order.cancel", api.order_cancel(symbol=SYMBOL, order_id=second["orderId"]), _result)
    await api.order_place(symbol=SYMBOL, side="SELL", type="MARKET", quantity=0.1)
    match = {"symbol": SYMBOL, "prevented_match_id": access.prevented_match_id}
    for what, call, params in (
        ("allOrders", api.all_orders, order),
        ("myTrades", api.my_trades, {"symbol": SYMBOL}),
        ("myPreventedMatches", api.my_prevented_matches, match),
        ("account.status", api.account_status, {}),
        ("account.commission", api.account_commission, {"symbol": SYMBOL}),
        ("account.rateLimits.orders", api.account_rate_limits_orders, {}),
    ):
        await results.call(what, call(**params), _result)
    # The client's own call for `myFilters` returns its model without the result.
    payload = {"method": "myFilters", "params": {"symbol": SYMBOL}}
    request = api.send_signed_message(payload, api.signer, api_key=True)
    await results.call("myFilters", request, lambda answer: answer.data()["result"], generic=True)


async def _session(access: Access, api: Any, results: Results) -> None:
    """Log on, follow the account in both ways, and log out."""
    signed = await results.call(
        "userDataStream.subscribe.signature",
        api.user_data_stream_subscribe_signature(),
        lambda each: _result(each.response),
    )
    await results.call("session.logon", api.session_logon(), _result)
    await results.call("session.status", api.session_status(), _result)
    await results.call("session.subscriptions", api.session_subscriptions(), _result)
    ended = api.user_data_stream_unsubscribe(subscription_id=signed["subscriptionId"])
    await results.call("userDataStream.unsubscribe", ended, _result)
    following = await api.user_data_stream_subscribe()
    results.note("userDataStream.subscribe", _result(following.response))
    events: asyncio.Queue[Any] = asyncio.Queue()
    following.stream.on("message", events.put_nowait)
    top = _result(await api.ticker_book(symbol=SYMBOL))
    price = access.price_above(top["askPrice"])
    await api.order_place(symbol=SYMBOL, side="SELL", type="LIMIT_MAKER", price=price, quantity=0.5)
    for _ in range(2):
        event = await asyncio.wait_for(events.get(), 5)
        # A model of an account event has its name instead of the field "e", and leaves out what is null.
        name = type(event.actual_instance).__name__
        kind = name[0].lower() + name[1:]
        nulls = {"N": None} if kind == "executionReport" else {}
        results.note(kind, {"e": kind} | nulls | _plain(event))
    await api.open_orders_cancel_all(symbol=SYMBOL)
    await results.call("session.logout", api.session_logout(), _result)


async def _streams(client: Any, api: Any, results: Results) -> None:
    streams = await client.websocket_streams.create_connection()

    async def first(subscribing: Awaitable[Any]) -> Any:
        return await _first(await subscribing)

    for what, subscribe, params in _subscriptions(streams):
        symbol = {} if what.startswith("!") else {"symbol": STREAM}
        await results.call(what, first(subscribe(**symbol, **params)))
    await streams.subscribe(["!ticker@arr"])
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    streams.on("message", lambda event: None if arrived.done() else arrived.set_result(event["data"]), "!ticker@arr")
    await results.call("!ticker@arr", arrived, generic=True)
    await results.call(LOCAL_BOOK, _local_book(api, streams))
    await streams.close_connection(close_session=True)


def _subscriptions(streams: Any) -> Sequence[tuple[str, Any, dict[str, str]]]:
    fast = {"update_speed": "100ms"}
    return [
        ("@bookTicker", streams.book_ticker, {}),
        ("@trade", streams.trade, {}),
        ("@aggTrade", streams.agg_trade, {}),
        ("@miniTicker", streams.mini_ticker, {}),
        ("@ticker", streams.ticker, {}),
        ("@avgPrice", streams.avg_price, {}),
        ("!miniTicker@arr", streams.all_mini_ticker, {}),
        ("@depth", streams.diff_book_depth, {}),
        ("@depth@100ms", streams.diff_book_depth, fast),
        *((f"@kline_{each}", streams.kline, {"interval": each}) for each in INTERVALS),
        *((f"@kline_{each}@+08:00", streams.kline_offset, {"interval": each}) for each in INTERVALS),
        *((f"@depth{each}", streams.partial_book_depth, {"levels": each}) for each in ("5", "10", "20")),
        *((f"@depth{each}@100ms", streams.partial_book_depth, {"levels": each} | fast) for each in ("5", "10", "20")),
        *((f"@ticker_{each}", streams.rolling_window_ticker, {"window_size": each}) for each in ("1h", "4h", "1d")),
        *(
            (f"!ticker_{each}@arr", streams.all_market_rolling_window_ticker, {"window_size": each})
            for each in ("1h", "4h", "1d")
        ),
    ]


async def _local_book(api: Any, streams: Any) -> dict[str, Any]:
    """Keep a book by the documented procedure until a later snapshot has the id of an event, and compare the two."""
    events: list[Any] = []
    await streams.unsubscribe([f"{STREAM}@depth@100ms"])
    (await streams.diff_book_depth(symbol=STREAM, update_speed="100ms")).on("message", events.append)

    async def snapshot() -> dict[str, Any]:
        await asyncio.sleep(0.2)
        found: dict[str, Any] = _result(await api.depth(symbol=SYMBOL))
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
