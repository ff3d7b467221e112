"""Exchange access for the clients: URLs, keys, the symbol, and a self-trade that the exchange prevented."""

import hashlib
import hmac
import importlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SYMBOL: Final = "ETHFDUSD"
STREAM: Final = SYMBOL.lower()
PAIR: Final = "ETH/FDUSD"
HMAC_SECRET: Final = "clients"
_MOST_ATTEMPTS: Final = 50


@dataclass(frozen=True, slots=True)
class Access:
    """An exchange that runs, and one account of it with two keys."""

    ws_api_url: str
    ws_stream_url: str
    api_key: str
    pem: str  # the private Ed25519 key
    hmac_api_key: str
    symbol_info: Mapping[str, Any]
    prevented_match_id: int

    def price_above(self, ask: str | float) -> float:
        """Return a price 2 % above `ask`, at which a sell order rests."""
        return round(float(ask) * 1.02, 2)


async def access_to(first_line: str, pem: str) -> Access:
    """Return the access to an exchange that has printed `first_line`."""
    urls = json.loads(first_line)
    client: Any = importlib.import_module("websockets.asyncio.client")
    async with client.connect(urls["ws_api_url"]) as socket:
        raw = _RawClient(socket, urls["hmac_api_key"])
        info = (await raw.request("exchangeInfo", {}))["symbols"][0]
        return Access(
            ws_api_url=urls["ws_api_url"],
            ws_stream_url=urls["ws_stream_url"],
            api_key=urls["api_key"],
            pem=pem,
            hmac_api_key=urls["hmac_api_key"],
            symbol_info=info,
            prevented_match_id=await _prevented_match(raw),
        )


class _RawClient:
    """A client of our own, for what has to be so before the others start."""

    def __init__(self, socket: Any, api_key: str) -> None:
        self._socket = socket
        self._api_key = api_key

    async def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """Return the result of a request, or the error."""
        await self._socket.send(json.dumps({"id": 1, "method": method, "params": params}))
        answer = json.loads(await self._socket.recv())
        return answer.get("result", answer.get("error"))

    async def order(self, **params: str) -> Any:
        """Place an order with an HMAC signature."""
        signed = {"symbol": SYMBOL, "apiKey": self._api_key, "timestamp": int(time.time() * 1000), **params}
        text = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
        signature = hmac.new(HMAC_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        return await self.request("order.place", signed | {"signature": signature})


async def _prevented_match(raw: _RawClient) -> int:
    """Sell within the spread and buy at that price, until the two orders meet before the market takes the first.

    The mode is the one of the documented example; others add fields.
    """
    for _ in range(_MOST_ATTEMPTS):
        bid = float((await raw.request("ticker.book", {"symbol": SYMBOL}))["bidPrice"])
        limit = {"price": f"{bid + 0.01:.2f}", "quantity": "0.01"}
        await raw.order(side="SELL", type="LIMIT_MAKER", **limit)
        taker = await raw.order(
            side="BUY", type="LIMIT", timeInForce="IOC", selfTradePreventionMode="EXPIRE_MAKER", **limit
        )
        for match in taker.get("preventedMatches", ()):
            return int(match["preventedMatchId"])
    raise RuntimeError(f"no self-trade was prevented in {_MOST_ATTEMPTS} attempts")
