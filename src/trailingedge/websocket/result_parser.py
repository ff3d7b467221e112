"""Result parser: turns the results of WebSocket API replies into symbol rules, klines, balances, orders and trades.

Each function takes the raw `result` of one method and returns a typed value, or raises ProtocolViolation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import (
    ZERO,
    AccountTrade,
    BookTop,
    Kline,
    OrderRecord,
    RateLimit,
    Side,
    SymbolRules,
)
from trailingedge.websocket.event_parser import (
    AccountPosition,
    read_balances,
    read_order_status,
    read_rate_limits,
    read_side,
)
from trailingedge.websocket.json_fields import (
    Fields,
    amount,
    amount_or,
    as_amount,
    as_time_ms,
    asset,
    fields,
    flag,
    id_number,
    integer_or,
    items,
    text,
    text_or,
    time_ms,
)

_KLINE_COLUMNS: Final = 12

_DEFAULT_PRECISION: Final = 8


@dataclass(frozen=True, slots=True)
class Commission:
    """Commission rates as fractions of a fill's proceeds. Each is the higher one of buying and selling.

    `maker` and `taker` ignore the discount for fees paid in BNB. `lowest_maker` includes it if it is enabled.
    """

    maker: Decimal
    taker: Decimal
    lowest_maker: Decimal


def read_server_time(result: object) -> int:
    """Return the server time in a result of `time`, in milliseconds since 1970."""
    return time_ms(fields(result), "serverTime")


def read_exchange_info(result: object, symbol: str) -> tuple[SymbolRules | None, tuple[RateLimit, ...]]:
    """Return the rules of `symbol` (None if it is not listed) and the exchange's rate limits."""
    info = fields(result)
    limits = read_rate_limits(info.get("rateLimits", []))
    for entry in items(info.get("symbols"), "symbols"):
        listed = fields(entry, "symbols")
        if text(listed, "symbol") == symbol:
            return _read_symbol(listed), limits
    return None, limits


def read_klines(result: object) -> tuple[Kline, ...]:
    """Return the rows of `klines`, oldest first. All are marked closed: a row has no such flag."""
    klines = []
    # A kline mostly opens where the last one closed, and often closes at its high or low. Equal amounts share one
    # Decimal, to save memory: the history has up to thousands of klines.
    amounts: dict[object, Decimal] = {}
    for entry in items(result, "klines"):
        row = items(entry, "kline")
        if len(row) < 7:
            raise ProtocolViolation(f"kline: expected at least 7 columns, got {len(row)}")
        open_price, high, low, close, volume = (_kept_once(amounts, value) for value in row[1:6])
        try:
            klines.append(
                Kline(
                    as_time_ms(row[0], "open time"),
                    as_time_ms(row[6], "close time"),
                    open_price,
                    high,
                    low,
                    close,
                    volume,
                )
            )
        except ValueError as error:
            raise ProtocolViolation(str(error)) from error
    return tuple(klines)


def read_kline_cells(entry: object) -> tuple[str, ...]:
    """Return a row of `klines` as texts: the twelve columns of Binance's kline files."""
    row = items(entry, "kline")
    if len(row) != _KLINE_COLUMNS:
        raise ProtocolViolation(f"kline: expected {_KLINE_COLUMNS} columns, got {len(row)}")
    for value in row:
        as_amount(value, "kline")
    return tuple(map(str, row))


def _kept_once(amounts: dict[object, Decimal], value: object) -> Decimal:
    if not isinstance(
        value, str
    ):  # as dictionary keys, 1, 1.0 and True are equal; strings are equal only to themselves
        return as_amount(value, "kline")
    known = amounts.get(value)
    if known is None:
        known = amounts[value] = as_amount(value, "kline")
    return known


def read_book(result: object) -> BookTop:
    """Return the best prices of `ticker.book`."""
    book = fields(result)
    try:
        return BookTop(
            amount(book, "bidPrice"), amount(book, "askPrice"), amount(book, "bidQty"), amount(book, "askQty")
        )
    except ValueError as error:
        raise ProtocolViolation(str(error)) from error


def read_account(result: object) -> AccountPosition:
    """Return all balances of `account.status`."""
    account = fields(result)
    balances = read_balances(account.get("balances"), "balances", ("asset", "free", "locked"))
    return AccountPosition(balances, time_ms(account, "updateTime"))


def read_commission(result: object) -> Commission:
    """Return the rates of `account.commission`: the sum of standard, special and tax commission."""
    account = fields(result)
    maker = taker = lowest_maker = ZERO
    for name in ("standardCommission", "specialCommission", "taxCommission"):
        if account.get(name) is None:
            continue
        rates = fields(account[name], name)
        worse = max(amount_or(rates, "buyer", ZERO), amount_or(rates, "seller", ZERO))
        maker += amount(rates, "maker") + worse
        taker += amount(rates, "taker") + worse
        # Only the standard commission has a discount (faqs/commission_faq.md).
        remaining = _remaining_after_discount(account.get("discount")) if name == "standardCommission" else Decimal(1)
        lowest_maker += (amount(rates, "maker") + worse) * remaining
    return Commission(maker, taker, lowest_maker)


def _remaining_after_discount(discount: object) -> Decimal:
    """Return the share of the standard commission that is left after the discount; 1 where there is none.

    The documentation multiplies the commission by the field `discount`: "0.75000000" means a quarter less.
    """
    block = discount if isinstance(discount, dict) else {}
    enabled = block.get("enabledForAccount") is True and block.get("enabledForSymbol") is True
    remaining = amount_or(block, "discount", Decimal(1)) if enabled else Decimal(1)
    return remaining if ZERO <= remaining <= 1 else Decimal(1)


def read_order(result: object) -> OrderRecord:
    """Return one order, from the result of a placement (ACK, RESULT or FULL), a cancel, an amendment or a query."""
    # Only the order id is in all of them: an ACK has no status, a short cancel response no quantities.
    answer = fields(result, "order")
    amended = answer.get("amendedOrder")
    order = answer if amended is None else fields(amended, "amendedOrder")
    return OrderRecord(
        order_id=id_number(order, "orderId"),
        client_order_id=text_or(order, _own_id_name(order, amended is not None), ""),
        side=read_side(order, "side") if "side" in order else None,
        status=read_order_status(order, "status") if "status" in order else None,
        price=amount_or(order, "price", ZERO),
        quantity=_either(order, "origQty", "qty") or ZERO,
        filled_quantity=amount_or(order, "executedQty", ZERO),
        filled_quote=_filled_quote(order),
        time_ms=_time_ms(answer),
        order_type=text_or(order, "type", ""),
        pegged_price=amount(order, "peggedPrice") if "peggedPrice" in order else None,
        created_ms=time_ms(order, "time") if "time" in order else None,
    )


def read_orders(result: object) -> tuple[OrderRecord, ...]:
    """Return the orders of `openOrders.status` or `allOrders`, in the sequence of the reply."""
    return tuple(read_order(entry) for entry in items(result, "orders"))


def read_trades(result: object) -> tuple[AccountTrade, ...]:
    """Return the rows of `myTrades`, oldest first."""
    return tuple(_read_trade(fields(entry, "trade")) for entry in items(result, "trades"))


def _read_symbol(listed: Fields) -> SymbolRules:
    """Return the rules of a symbol.

    Each filter is optional. A zero in PRICE_FILTER disables that limit (filters.md).
    """
    filters = [fields(entry, "filters") for entry in items(listed.get("filters"), "filters")]
    price = _filter(filters, "PRICE_FILTER")
    lot = _filter(filters, "LOT_SIZE")
    # A symbol may have both filters of a kind; then the stricter limit counts.
    notionals = (_filter(filters, "NOTIONAL"), _filter(filters, "MIN_NOTIONAL"))
    percent, by_side = _filter(filters, "PERCENT_PRICE"), _filter(filters, "PERCENT_PRICE_BY_SIDE")
    return SymbolRules(
        symbol=asset(listed, "symbol"),
        base_asset=asset(listed, "baseAsset"),
        quote_asset=asset(listed, "quoteAsset"),
        tick_size=_limit(price, "tickSize") or _grid(listed, "quoteAssetPrecision"),
        step_size=_limit(lot, "stepSize") or _grid(listed, "baseAssetPrecision"),
        min_quantity=_limit(lot, "minQty") or ZERO,
        max_quantity=_limit(lot, "maxQty"),
        min_price=_limit(price, "minPrice") or ZERO,
        max_price=_limit(price, "maxPrice"),
        min_notional=max(_limit(notional, "minNotional") or ZERO for notional in notionals),
        max_notional=_least(_limit(notional, "maxNotional") for notional in notionals),
        bid_multiplier_up=_least((_limit(percent, "multiplierUp"), _limit(by_side, "bidMultiplierUp"))),
        bid_multiplier_down=_most((_limit(percent, "multiplierDown"), _limit(by_side, "bidMultiplierDown"))),
        ask_multiplier_up=_least((_limit(percent, "multiplierUp"), _limit(by_side, "askMultiplierUp"))),
        ask_multiplier_down=_most((_limit(percent, "multiplierDown"), _limit(by_side, "askMultiplierDown"))),
        status=text(listed, "status"),
        peg_allowed=listed.get("pegInstructionsAllowed") is True,
    )


def _filter(filters: Iterable[Fields], kind: str) -> Fields:
    """Return the filter of the type `kind`; an empty dict if the symbol has none."""
    return next((found for found in filters if found.get("filterType") == kind), {})


def _limit(filter_: Fields, name: str) -> Decimal | None:
    """Return a positive limit, or None if it is absent or disabled."""
    limit = amount_or(filter_, name, ZERO)
    if limit < ZERO:
        raise ProtocolViolation(f"{name}: negative limit {limit}")
    return limit or None


def _grid(listed: Fields, name: str) -> Decimal:
    """Return the step that an asset's number of decimals allows. It is used if no filter sets a step."""
    precision = integer_or(listed, name, _DEFAULT_PRECISION)
    if not 0 <= precision <= 18:
        raise ProtocolViolation(f"{name}: expected 0 to 18 decimals, got {precision}")
    return Decimal(1).scaleb(-precision)


def _least(limits: Iterable[Decimal | None]) -> Decimal | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _most(limits: Iterable[Decimal | None]) -> Decimal | None:
    return max((limit for limit in limits if limit is not None), default=None)


def _read_trade(trade: Fields) -> AccountTrade:
    return AccountTrade(
        trade_id=id_number(trade, "id"),
        order_id=id_number(trade, "orderId"),
        side=Side.BUY if flag(trade, "isBuyer") else Side.SELL,
        price=amount(trade, "price"),
        quantity=amount(trade, "qty"),
        quote_quantity=amount(trade, "quoteQty"),
        commission=amount(trade, "commission"),
        commission_asset=asset(trade, "commissionAsset"),
        time_ms=time_ms(trade, "time"),
        is_maker=flag(trade, "isMaker"),
    )


def _own_id_name(order: Fields, amended: bool) -> str:
    """Return the name of the field that has the order's client id.

    In the result of a cancel, `clientOrderId` is the id of the cancel, not of the order.
    """
    return "origClientOrderId" if "origClientOrderId" in order and not amended else "clientOrderId"


def _filled_quote(order: Fields) -> Decimal | None:
    """Return the filled quote quantity; None if it is missing, or negative, which means that it is not available."""
    quote = _either(order, "cummulativeQuoteQty", "cumulativeQuoteQty")
    return None if quote is None or quote < ZERO else quote


def _either(order: Fields, name: str, other: str) -> Decimal | None:
    if name in order:
        return amount(order, name)
    return amount(order, other) if other in order else None


def _time_ms(order: Fields) -> int:
    # Placements and cancels have `transactTime`; queries have `updateTime`, and `time` is the creation of the order.
    for name in ("transactTime", "updateTime", "time"):
        if name in order:
            return time_ms(order, name)
    return 0
