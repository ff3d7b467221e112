"""Replies and events of the benchmark exchange: Binance's JSON, limited to what the daemon requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SYMBOL: Final = "ETHFDUSD"
BASE: Final = "ETH"
QUOTE: Final = "FDUSD"
TICKS_PER_UNIT: Final = 100
_ZERO: Final = "0.00000000"
# So high that the daemon's rate budget never delays an order: the benchmark measures latency, not rate limiting.
_ORDERS_IN_TEN_SECONDS: Final = 1_000_000
_ORDERS_A_DAY: Final = 1_000_000_000
_WEIGHT_A_MINUTE: Final = 1_000_000
_CHANNEL_PERIOD: Final = 41  # candles until the closes repeat

Json = dict[str, object]


def amount(ticks: int) -> str:
    """A price in ticks as the exchange writes it, padded to eight decimals."""
    return f"{ticks // TICKS_PER_UNIT}.{ticks % TICKS_PER_UNIT:02d}000000"


def ticks_of(price: str) -> int:
    """A price as text, in ticks."""
    return round(float(price) * TICKS_PER_UNIT)


@dataclass(frozen=True, slots=True)
class Order:
    """One order on the book: price and quantity as they were sent."""

    order_id: int
    client_order_id: str
    side: str
    price: str
    quantity: str
    time_ms: int

    @property
    def ticks(self) -> int:
        return ticks_of(self.price)


# Replies ---------------------------------------------------------------------------------------


def reply(request_id: object, result: object) -> Json:
    return {"id": request_id, "status": 200, "result": result, "rateLimits": _limits(counted=True)}


def error_reply(request_id: object, status: int, error: Json) -> Json:
    return {"id": request_id, "status": status, "error": error, "rateLimits": _limits(counted=True)}


def _limits(*, counted: bool) -> list[Json]:
    limits = (
        ("ORDERS", "SECOND", 10, _ORDERS_IN_TEN_SECONDS),
        ("ORDERS", "DAY", 1, _ORDERS_A_DAY),
        ("REQUEST_WEIGHT", "MINUTE", 1, _WEIGHT_A_MINUTE),
    )
    return [
        {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}
        | ({"count": 1} if counted else {})
        for kind, interval, count, limit in limits
    ]


def exchange_info(now_ms: int) -> Json:
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": _limits(counted=False),
        "exchangeFilters": [],
        "symbols": [
            {
                "symbol": SYMBOL,
                "status": "TRADING",
                "baseAsset": BASE,
                "baseAssetPrecision": 8,
                "quoteAsset": QUOTE,
                "quotePrecision": 8,
                "quoteAssetPrecision": 8,
                "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
                "cancelReplaceAllowed": True,
                "pegInstructionsAllowed": True,
                "isSpotTradingAllowed": True,
                "filters": [
                    {
                        "filterType": "PRICE_FILTER",
                        "minPrice": "0.01000000",
                        "maxPrice": "1000000.00000000",
                        "tickSize": "0.01000000",
                    },
                    {
                        "filterType": "LOT_SIZE",
                        "minQty": "0.00010000",
                        "maxQty": "9000.00000000",
                        "stepSize": "0.00010000",
                    },
                    {
                        "filterType": "NOTIONAL",
                        "minNotional": "5.00000000",
                        "applyMinToMarket": True,
                        "maxNotional": "9000000.00000000",
                        "applyMaxToMarket": False,
                        "avgPriceMins": 5,
                    },
                    {
                        "filterType": "PERCENT_PRICE_BY_SIDE",
                        "bidMultiplierUp": "5",
                        "bidMultiplierDown": "0.2",
                        "askMultiplierUp": "5",
                        "askMultiplierDown": "0.2",
                        "avgPriceMins": 5,
                    },
                    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
                ],
                "permissions": [],
                "permissionSets": [["SPOT"]],
                "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
                "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
            }
        ],
    }


def commission() -> Json:
    nothing = {"maker": _ZERO, "taker": _ZERO, "buyer": _ZERO, "seller": _ZERO}
    return {
        "symbol": SYMBOL,
        "standardCommission": nothing,
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": {"enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": _ZERO},
    }


def session(api_key: object, now_ms: int) -> Json:
    return {
        "apiKey": api_key,
        "authorizedSince": now_ms,
        "connectedSince": now_ms,
        "returnRateLimits": True,
        "serverTime": now_ms,
        "userDataStream": False,
    }


def account(free: Mapping[str, str], locked: Mapping[str, str], now_ms: int) -> Json:
    return {
        "makerCommission": 0,
        "takerCommission": 0,
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": True,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": [{"asset": asset, "free": free[asset], "locked": locked[asset]} for asset in free],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def book(ask: int) -> Json:
    return {
        "symbol": SYMBOL,
        "bidPrice": amount(ask - 1),
        "bidQty": "10.00000000",
        "askPrice": amount(ask),
        "askQty": "10.00000000",
    }


def placed(order: Order) -> Json:
    """The reply to a placement with `newOrderRespType` RESULT."""
    return {
        "symbol": SYMBOL,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": order.time_ms,
        **_amounts(order, "NEW"),
        "workingTime": order.time_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def cancelled(order: Order, now_ms: int) -> Json:
    return {
        "symbol": SYMBOL,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": f"c{order.order_id}",
        "transactTime": now_ms,
        **_amounts(order, "CANCELED"),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def queried(order: Order, status: str) -> Json:
    return {
        "symbol": SYMBOL,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        **_amounts(order, status),
        "stopPrice": _ZERO,
        "icebergQty": _ZERO,
        "time": order.time_ms,
        "updateTime": order.time_ms,
        "isWorking": True,
        "workingTime": order.time_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def _amounts(order: Order, status: str) -> Json:
    return {
        "price": amount(order.ticks),
        "origQty": order.quantity,
        "executedQty": _ZERO,
        "origQuoteOrderQty": _ZERO,
        "cummulativeQuoteQty": _ZERO,
        "status": status,
        "timeInForce": "GTC",
        "type": "LIMIT_MAKER",
        "side": order.side,
    }


def kline_rows(interval_ms: int, from_ms: int, until_ms: int, middle: int) -> Sequence[list[object]]:
    """Klines that open within both times, oldest first: a wave around `middle`, in ticks."""
    first_ms = -(-from_ms // interval_ms) * interval_ms
    return [_row(open_ms, interval_ms, middle) for open_ms in range(first_ms, until_ms + 1, interval_ms)]


def _row(open_ms: int, interval_ms: int, middle: int) -> list[object]:
    close = middle + (open_ms // interval_ms * 7) % _CHANNEL_PERIOD - _CHANNEL_PERIOD // 2
    prices: list[object] = [amount(ticks) for ticks in (middle, max(middle, close), min(middle, close), close)]
    return [open_ms, *prices, "1.00000000", open_ms + interval_ms - 1, "2000.00000000", 1, _ZERO, _ZERO, "0"]


# Events ----------------------------------------------------------------------------------------


def report(order: Order, execution: str, status: str, execution_id: int, now_ms: int) -> Json:
    """An `executionReport` without a fill."""
    gone = status == "CANCELED"
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": SYMBOL,
        "c": f"c{order.order_id}" if gone else order.client_order_id,
        "S": order.side,
        "o": "LIMIT_MAKER",
        "f": "GTC",
        "q": order.quantity,
        "p": amount(order.ticks),
        "P": _ZERO,
        "F": _ZERO,
        "g": -1,
        "C": order.client_order_id if gone else "",
        "x": execution,
        "X": status,
        "r": "NONE",
        "i": order.order_id,
        "l": _ZERO,
        "z": _ZERO,
        "L": _ZERO,
        "n": "0",
        "N": None,
        "T": now_ms,
        "t": -1,
        "I": execution_id,
        "w": not gone,
        "m": False,
        "M": False,
        "O": order.time_ms,
        "Z": _ZERO,
        "Y": _ZERO,
        "Q": _ZERO,
        "V": "EXPIRE_MAKER",
        **({} if gone else {"W": order.time_ms}),
    }


def position(free: Mapping[str, str], locked: Mapping[str, str], now_ms: int) -> Json:
    """An `outboundAccountPosition`."""
    balances = [{"a": asset, "f": free[asset], "l": locked[asset]} for asset in free]
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": balances}


def top_frame(update_id: int, ask: int, ask_quantity: str = "10.00000000") -> str:
    """A bookTicker of a combined stream, with a spread of one tick."""
    return (
        f'{{"stream":"{SYMBOL.lower()}@bookTicker","data":{{"u":{update_id},"s":"{SYMBOL}","b":"{amount(ask - 1)}",'
        f'"B":"10.00000000","a":"{amount(ask)}","A":"{ask_quantity}"}}}}'
    )


def kline_event(row: Sequence[object], interval: str, now_ms: int, *, closed: bool) -> Json:
    """A kline of a combined stream, from a row of `klines`."""
    open_ms, first, high, low, close, volume, close_ms, quote_volume, trades = row[:9]
    return {
        "stream": f"{SYMBOL.lower()}@kline_{interval}",
        "data": {
            "e": "kline",
            "E": now_ms,
            "s": SYMBOL,
            "k": {
                "t": open_ms,
                "T": close_ms,
                "s": SYMBOL,
                "i": interval,
                "f": 1,
                "L": 1,
                "o": first,
                "c": close,
                "h": high,
                "l": low,
                "v": volume,
                "n": trades,
                "x": closed,
                "q": quote_volume,
                "V": _ZERO,
                "Q": _ZERO,
                "B": "0",
            },
        },
    }
