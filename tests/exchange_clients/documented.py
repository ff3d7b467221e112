"""Documented shapes: the names and types of the fields of each answer and event, as Binance documents them.

A name may have a variant after a blank: `ticker.24hr MINI` is `ticker.24hr` with type MINI. An answer or event that is
a list of rows is described by a list with one row.
"""

from collections.abc import Mapping
from typing import Any, Final

TEXT: Final = str
NUMBER: Final = int
FLAG: Final = bool
ANYTHING: Final = object  # also null, and a list of unlike things
INTERVALS: Final = ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]

Shape = Any  # a type, a mapping from names to shapes, a list of one shape, or a tuple of shapes


def fields(texts: str = "", numbers: str = "", flags: str = "", **others: Shape) -> dict[str, Shape]:
    """Return the shape of an object, by the names of its texts, integers and booleans, and the rest by their shapes."""
    by_type = ((TEXT, texts), (NUMBER, numbers), (FLAG, flags))
    return {name: kind for kind, names in by_type for name in names.split()} | others


_TRADE: Final = fields("price qty quoteQty", "id time", "isBuyerMaker isBestMatch")
_CANDLE: Final = (NUMBER, *[TEXT] * 5, NUMBER, TEXT, NUMBER, *[TEXT] * 3)
_BOOK: Final = fields(numbers="lastUpdateId", bids=[(TEXT, TEXT)], asks=[(TEXT, TEXT)])
_MINI: Final = fields(
    "symbol openPrice highPrice lowPrice lastPrice volume quoteVolume", "openTime closeTime firstId lastId count"
)
_WINDOW: Final = _MINI | fields("priceChange priceChangePercent weightedAvgPrice")
_ORDER: Final = fields(
    "symbol clientOrderId price origQty executedQty origQuoteOrderQty cummulativeQuoteQty status timeInForce type side "
    "selfTradePreventionMode",
    "orderId orderListId",
)
_RECORD: Final = _ORDER | fields("stopPrice icebergQty", "time updateTime workingTime", "isWorking")
_CANCELED: Final = _ORDER | fields("origClientOrderId", "transactTime")
_FILL: Final = fields("price qty commission commissionAsset", "tradeId")
_PLACED: Final = _ORDER | fields(numbers="transactTime workingTime", fills=[_FILL])
_AMENDED: Final = fields(
    "symbol clientOrderId price qty executedQty preventedQty quoteOrderQty cumulativeQuoteQty status timeInForce type "
    "side selfTradePreventionMode origClientOrderId",
    "orderId orderListId workingTime",
)
_SESSION: Final = fields(
    numbers="connectedSince serverTime",
    flags="returnRateLimits userDataStream",
    apiKey=ANYTHING,
    authorizedSince=ANYTHING,
)
_SUBSCRIBED: Final = fields(numbers="subscriptionId")
_RATES: Final = fields("maker taker buyer seller")
_LIMIT: Final = fields("rateLimitType interval", "intervalNum limit")
_SYMBOL: Final = fields(
    "symbol status baseAsset quoteAsset",
    "baseAssetPrecision quotePrecision quoteAssetPrecision baseCommissionPrecision quoteCommissionPrecision",
    "icebergAllowed ocoAllowed otoAllowed opoAllowed quoteOrderQtyMarketAllowed allowTrailingStop cancelReplaceAllowed "
    "amendAllowed pegInstructionsAllowed isSpotTradingAllowed isMarginTradingAllowed",
    orderTypes=[TEXT],
    filters=[ANYTHING],
    permissions=[TEXT],
    permissionSets=[[TEXT]],
    defaultSelfTradePreventionMode=TEXT,
    allowedSelfTradePreventionModes=[TEXT],
)

_MINI_EVENT: Final = fields("e s c o h l v q", "E")
_DAY_EVENT: Final = fields("e s p P w x c Q b B a A o h l v q", "E O C F L n")
_WINDOW_EVENT: Final = fields("e s p P o h l c w v q", "E O C F L n")
_KLINE: Final = fields("s i o c h l v q V Q B", "t T f L n", "x")
_KLINE_EVENT: Final = fields("e s", "E", k=_KLINE)
_DEPTH_EVENT: Final = fields("e s", "E U u", b=[(TEXT, TEXT)], a=[(TEXT, TEXT)])

METHODS: Final[Mapping[str, Shape]] = {
    "ping": {},
    "time": fields(numbers="serverTime"),
    "exchangeInfo": fields(
        "timezone", "serverTime", rateLimits=[_LIMIT], exchangeFilters=[ANYTHING], symbols=[_SYMBOL]
    ),
    "depth": _BOOK,
    "ticker.book": fields("symbol bidPrice bidQty askPrice askQty"),
    "trades.recent": [_TRADE],
    "trades.historical": [_TRADE],
    "trades.aggregate": [fields("p q", "a f l T", "m M")],
    "klines": [_CANDLE],
    "uiKlines": [_CANDLE],
    "avgPrice": fields("price", "mins closeTime"),
    "ticker.price": fields("symbol price"),
    "ticker.24hr": _WINDOW | fields("prevClosePrice lastQty bidPrice bidQty askPrice askQty"),
    "ticker.24hr MINI": _MINI,
    "ticker.tradingDay": _WINDOW,
    "ticker": _WINDOW,
    "session.logon": _SESSION,
    "session.status": _SESSION,
    "session.logout": _SESSION,
    "session.subscriptions": [_SUBSCRIBED],
    "order.place": _PLACED,
    "order.test": {},
    "order.cancel": _CANCELED,
    "order.cancelReplace": fields("cancelResult newOrderResult", cancelResponse=_CANCELED, newOrderResponse=_PLACED),
    "order.cancelReplace ACK": fields(
        "cancelResult newOrderResult",
        cancelResponse=_CANCELED,
        newOrderResponse=fields("symbol clientOrderId", "orderId orderListId transactTime"),
    ),
    "order.cancelReplace NEW": _PLACED,  # the order that replaces, which is all that ccxt keeps
    "order.amend.keepPriority": fields(numbers="transactTime executionId", amendedOrder=_AMENDED),
    "openOrders.cancelAll": [_CANCELED],
    "order.status": _RECORD,
    "order.amendments": [
        fields("symbol origClientOrderId newClientOrderId origQty newQty", "orderId executionId time")
    ],
    "openOrders.status": [_RECORD],
    "allOrders": [ANYTHING],  # rows of several shapes: what was prevented or amended has fields of its own
    "myTrades": [
        fields(
            "symbol price qty quoteQty commission commissionAsset",
            "id orderId orderListId time",
            "isBuyer isMaker isBestMatch",
        )
    ],
    "myFilters": fields(exchangeFilters=[ANYTHING], symbolFilters=[ANYTHING], assetFilters=[ANYTHING]),
    "myPreventedMatches": [
        fields(
            "symbol makerSymbol selfTradePreventionMode price makerPreventedQuantity",
            "preventedMatchId takerOrderId makerOrderId tradeGroupId transactTime",
        )
    ],
    "account.status": fields(
        "accountType",
        "makerCommission takerCommission buyerCommission sellerCommission updateTime uid",
        "canTrade canWithdraw canDeposit brokered requireSelfTradePrevention preventSor",
        commissionRates=_RATES,
        balances=[fields("asset free locked")],
        permissions=[TEXT],
    ),
    "account.commission": fields(
        "symbol",
        standardCommission=_RATES,
        specialCommission=_RATES,
        taxCommission=_RATES,
        discount=fields("discountAsset discount", flags="enabledForAccount enabledForSymbol"),
    ),
    "account.rateLimits.orders": [_LIMIT | fields(numbers="count")],
    "userDataStream.subscribe": _SUBSCRIBED,
    "userDataStream.subscribe.signature": _SUBSCRIBED,
    "userDataStream.unsubscribe": {},
}
ACCOUNT_EVENTS: Final[Mapping[str, Shape]] = {
    "executionReport": fields("e s c S o f q p P F C x X r l z L n Z Y Q V", "E g i T t I O W", "w m M", N=ANYTHING),
    "outboundAccountPosition": fields("e", "E u", B=[fields("a f l")]),
}
STREAMS: Final[Mapping[str, Shape]] = {
    "@bookTicker": fields("s b B a A", "u"),
    **{f"@depth{speed}": _DEPTH_EVENT for speed in ("", "@100ms")},
    **{f"@depth{levels}{speed}": _BOOK for levels in (5, 10, 20) for speed in ("", "@100ms")},
    "@trade": fields("e s p q", "E t T", "m M"),
    "@aggTrade": fields("e s p q", "E a f l T", "m M"),
    **{f"@kline_{interval}": _KLINE_EVENT for interval in INTERVALS},
    **{f"@kline_{interval}@+08:00": _KLINE_EVENT for interval in INTERVALS},
    "@miniTicker": _MINI_EVENT,
    "@ticker": _DAY_EVENT,
    **{f"@ticker_{window}": _WINDOW_EVENT for window in ("1h", "4h", "1d")},
    "@avgPrice": fields("e s i w", "E T"),
    "!miniTicker@arr": [_MINI_EVENT],
    "!ticker@arr": [_DAY_EVENT],
    **{f"!ticker_{window}@arr": [_WINDOW_EVENT] for window in ("1h", "4h", "1d")},
}
LOCAL_BOOK: Final = "a local book"
DOCUMENTED: Final[Mapping[str, Shape]] = {**METHODS, **ACCOUNT_EVENTS, **STREAMS, LOCAL_BOOK: _BOOK}


def difference(documented: Shape, found: Any, path: str = "answer") -> str:
    """Return how `found` differs from the documented shape, first difference only; "" if it does not."""
    if documented is ANYTHING:
        return ""
    if isinstance(documented, type):
        return "" if type(found) is documented else f"{path}: {found!r} is no {documented.__name__}"
    if isinstance(documented, Mapping):
        if not isinstance(found, Mapping):
            return f"{path}: no object: {found!r}"
        if documented.keys() != found.keys():
            missing, more = sorted(documented.keys() - found.keys()), sorted(found.keys() - documented.keys())
            return f"{path}: missing {missing}, more {more}"
        parts = [(documented[name], found[name], f"{path}.{name}") for name in documented]
    elif not isinstance(found, list):
        return f"{path}: no list: {found!r}"
    elif isinstance(documented, list):
        parts = [(documented[0], row, f"{path}[{number}]") for number, row in enumerate(found)]
    elif len(documented) != len(found):
        return f"{path}: {len(found)} columns instead of {len(documented)}"
    else:
        parts = [(*pair, f"{path}[{number}]") for number, pair in enumerate(zip(documented, found, strict=True))]
    return next(filter(None, (difference(*part) for part in parts)), "")
