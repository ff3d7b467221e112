"""Drives unicorn-binance-websocket-api: its streams, and its calls of the WebSocket API, signed with an HMAC secret."""

import asyncio
import importlib
import time
import uuid
from collections.abc import Mapping
from typing import Any

from tests.exchange_clients.documented import ACCOUNT_EVENTS, STREAMS
from tests.exchange_clients.exchange_access import HMAC_SECRET, STREAM, SYMBOL, Access
from tests.exchange_clients.results import PATIENCE_S, Results

ONE = {"symbol": SYMBOL}
_POLL_S = 0.02


async def drive(access: Access, results: Results) -> None:
    """Make each call of the client, and `send_with_stream` for what has none.

    It signs with HMAC only, so it cannot log on, and cannot do what needs a logon.
    """
    package: Any = importlib.import_module("unicorn_binance_websocket_api")
    manager = package.BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=access.ws_stream_url + "/",
        websocket_api_base_uri=access.ws_api_url,
        output_default="dict",
        warn_on_update=False,
    )
    try:
        await _streams(manager, results)
        keys = {"api_key": access.hmac_api_key, "api_secret": HMAC_SECRET}
        api = _Api(manager, keys, results)
        await _market(api)
        await _orders(access, manager, keys, api, results)
        await _session(api)
    finally:
        await asyncio.to_thread(manager.stop_manager)


async def _streams(manager: Any, results: Results) -> None:
    names = [name for name in STREAMS if name.startswith("@")]
    arrays = [name for name in STREAMS if name.endswith("@arr")]
    manager.create_stream([name.removeprefix("@") for name in names], [SYMBOL])
    by_buffer = {name: name.strip("!@") for name in arrays}
    for name, buffer in by_buffer.items():
        manager.create_stream(["arr"], [name.removesuffix("@arr")], stream_buffer_name=buffer)
    for _ in range(int(PATIENCE_S / _POLL_S)):
        while frame := manager.pop_stream_data_from_stream_buffer():
            if "stream" in frame:
                results.note(frame["stream"].removeprefix(STREAM), frame["data"])
        for name, buffer in by_buffer.items():
            while frame := manager.pop_stream_data_from_stream_buffer(stream_buffer_name=buffer):
                if isinstance(frame, list):
                    results.note(name, frame)
        if results.by_call.keys() >= STREAMS.keys():
            break
        await asyncio.sleep(_POLL_S)
    results.by_call |= dict.fromkeys(STREAMS.keys() - results.by_call.keys(), "no event")
    for stream_id in list(manager.get_active_stream_list()):
        manager.stop_stream(stream_id)


class _Api:
    """One connection to the WebSocket API."""

    def __init__(self, manager: Any, keys: Mapping[str, str], results: Results) -> None:
        self.spot = manager.api.spot
        self._manager = manager
        self._keys = keys
        self._results = results
        self._buffer = "api"
        self._stream_id = manager.create_stream(api=True, stream_buffer_name=self._buffer, **keys)

    async def own(self, what: str, call: Any, **params: Any) -> Any:
        """Make a call of the client's own.

        With `return_response` the client would miss an answer that comes before it has begun to wait.
        """
        request_id = str(uuid.uuid4())
        await asyncio.to_thread(call, stream_id=self._stream_id, request_id=request_id, **params)
        return await self._results.call(what, self._answer(request_id))

    async def generic(self, what: str, params: Mapping[str, Any], *, signed: bool) -> Any:
        """Send a request of any method, signed by the client as it signs its own."""
        request_id = str(uuid.uuid4())
        payload: dict[str, Any] = {"id": request_id, "method": what.partition(" ")[0], "params": dict(params)}
        if signed:
            given = payload["params"] | {"apiKey": self._keys["api_key"], "timestamp": int(time.time() * 1000)}
            signature = self._manager.generate_signature(api_secret=self._keys["api_secret"], data=given)
            payload["params"] = given | {"signature": signature}
        await asyncio.to_thread(self._manager.send_with_stream, stream_id=self._stream_id, payload=payload)
        return await self._results.call(what, self._answer(request_id), generic=True)

    async def _answer(self, request_id: str) -> Any:
        while True:
            frame = self._manager.pop_stream_data_from_stream_buffer(stream_buffer_name=self._buffer)
            if frame and frame.get("id") == request_id:
                if "result" not in frame:
                    raise ValueError(frame)
                return frame["result"]
            if not frame:
                await asyncio.sleep(_POLL_S)


async def _market(api: _Api) -> None:
    for what, call, params in (
        ("ping", api.spot.ping, {}),
        ("time", api.spot.get_server_time, {}),
        ("exchangeInfo", api.spot.get_exchange_info, {"symbols": [SYMBOL]}),
        ("depth", api.spot.get_order_book, ONE | {"limit": 5}),
        ("trades.recent", api.spot.get_recent_trades, ONE),
        ("trades.historical", api.spot.get_historical_trades, ONE),
        ("trades.aggregate", api.spot.get_aggregate_trades, ONE),
        ("klines", api.spot.get_klines, ONE | {"interval": "1m"}),
        ("uiKlines", api.spot.get_ui_klines, ONE | {"interval": "1m"}),
        ("avgPrice", api.spot.get_current_average_price, ONE),
        ("account.status", api.spot.get_account_status, {}),
    ):
        await api.own(what, call, **params)
    for method in ("ticker.24hr", "ticker.tradingDay", "ticker", "ticker.price", "ticker.book"):
        await api.generic(method, ONE, signed=False)
    await api.generic("ticker.24hr MINI", ONE | {"type": "MINI"}, signed=False)


async def _orders(access: Access, manager: Any, keys: Mapping[str, str], api: _Api, results: Results) -> None:
    user = manager.create_stream(["arr"], ["!userData"], stream_buffer_name="user", **keys)
    await asyncio.to_thread(manager.wait_till_stream_has_started, user, PATIENCE_S)
    top = await api.generic("ticker.book", ONE, signed=False)
    price = access.price_above(top["askPrice"])
    limit = ONE | {"order_type": "LIMIT", "price": price, "quantity": 0.5, "side": "SELL", "time_in_force": "GTC"}
    await api.own("order.test", api.spot.create_test_order, **limit)
    placed = await api.own("order.place", api.spot.create_order, **limit)
    await _account_events(manager, results)
    order = ONE | {"orderId": placed["orderId"]}
    await api.own("order.status", api.spot.get_order, **ONE, order_id=placed["orderId"])
    await api.own("openOrders.status", api.spot.get_open_orders, **ONE)
    await api.generic("order.amend.keepPriority", order | {"newQty": "0.4"}, signed=True)
    await api.generic("order.amendments", order, signed=True)
    # The client's own call sends "NewClientOrderId", a parameter that does not exist.
    replace = ONE | {"side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "price": str(price), "quantity": "0.5"}
    replace |= {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": placed["orderId"]}
    await api.generic("order.cancelReplace", replace, signed=True)
    await api.own("openOrders.cancelAll", api.spot.cancel_open_orders, **ONE)
    second = await api.own("order.place", api.spot.create_order, **limit)
    await api.own("order.cancel", api.spot.cancel_order, **ONE, order_id=second["orderId"])
    for method, params in (
        ("allOrders", order),
        ("myTrades", ONE),
        ("myFilters", ONE),
        ("myPreventedMatches", ONE | {"preventedMatchId": access.prevented_match_id}),
        ("account.commission", ONE),
        ("account.rateLimits.orders", {}),  # the client's own call sends no timestamp, which must be there
    ):
        await api.generic(method, params, signed=True)


async def _account_events(manager: Any, results: Results) -> None:
    for _ in range(int(PATIENCE_S / _POLL_S)):
        while frame := manager.pop_stream_data_from_stream_buffer(stream_buffer_name="user"):
            event = frame.get("event", frame)
            results.note(event["e"], event)
        if results.by_call.keys() >= ACCOUNT_EVENTS.keys():
            results.worked("userDataStream.subscribe.signature")
            return
        await asyncio.sleep(_POLL_S)
    results.by_call |= dict.fromkeys(ACCOUNT_EVENTS.keys() - results.by_call.keys(), "no event")


async def _session(api: _Api) -> None:
    await api.generic("userDataStream.subscribe.signature", {}, signed=True)
    for method in ("session.status", "session.subscriptions", "userDataStream.unsubscribe", "session.logout"):
        await api.generic(method, {}, signed=False)
