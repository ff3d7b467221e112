"""Specification of the simulated exchange: its pair, filters, fees and limits, and their `exchangeInfo` JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final

from trailingedge.model.market import RateLimit, Side, SymbolRules
from trailingedge.simulator.feeds.ticks import TickSource
from trailingedge.simulator.orders import DEFAULT_SELF_TRADE_MODE, SelfTradeMode

PRECISION: Final = 8  # decimals of every amount on the wire
SMALLEST_AMOUNT: Final = Decimal(1).scaleb(-PRECISION)
# The units of rate limits with their seconds, longest first.
LIMIT_UNITS: Final = (("DAY", 86_400), ("MINUTE", 60), ("SECOND", 1))
# Minimum notional by quote asset. For all other quote assets it is five units, as for the dollar coins.
MIN_NOTIONALS: Final = {"BTC": Decimal("0.0001"), "ETH": Decimal("0.001"), "BNB": Decimal("0.01")}

LARGEST_ORDER: Final = 10_000  # of the largest quantity that a recorded market tells in one row: enough for any account


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """One symbol with its filters, fees and limits.

    Fees are fractions. The multipliers limit an order's price relative to the average price
    (PERCENT_PRICE_BY_SIDE). If an ask multiplier is None, the bid's multiplier applies. Without an
    explicit minimum, the minimum price is the tick size and the minimum quantity is the step size.
    An order's first fill lowers the unfilled-order counts by `maker_refund` or `taker_refund`,
    `refund_delay_ms` later.
    """

    symbol: str = "ETHFDUSD"
    base_asset: str = "ETH"
    quote_asset: str = "FDUSD"
    tick_size: Decimal = Decimal("0.01")
    step_size: Decimal = Decimal("0.0001")
    explicit_min_price: Decimal | None = None
    max_price: Decimal = Decimal(10_000_000_000)
    explicit_min_quantity: Decimal | None = None
    max_quantity: Decimal = Decimal(900_000)
    min_notional: Decimal = Decimal(5)
    max_notional: Decimal = Decimal(9_000_000)
    bid_multiplier_down: Decimal = Decimal("0.2")
    bid_multiplier_up: Decimal = Decimal(5)
    ask_multiplier_down: Decimal | None = None
    ask_multiplier_up: Decimal | None = None
    pegs_allowed: bool = True
    amends_allowed: bool = True
    max_amends: int = 10  # of one order
    permissions: frozenset[str] = frozenset({"SPOT"})
    average_minutes: int = 5
    max_open_orders: int = 200
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal("0.001")
    weight_per_minute: int = 6000
    orders_per_10_s: int = 100
    orders_per_day: int = 200_000
    connections_per_5_min: int = 300
    maker_refund: int = 5
    taker_refund: int = 1
    refund_delay_ms: int = 100

    def for_source(self, source: TickSource) -> "ExchangeSpec":
        """Return this specification with the pair, tick size and step size of `source`.

        If the quote asset is BTC, ETH or BNB, the minimum notional becomes the one usual in that asset. If the source
        gives its largest price and quantity, the largest lot and order value are derived from them, so that the same
        market has the same limits in any unit.
        """
        largest, max_quantity, max_notional = source.largest, self.max_quantity, self.max_notional
        if largest is not None and largest.quantity:
            lots = (largest.quantity * LARGEST_ORDER / source.step_size).to_integral_value(ROUND_CEILING)
            max_quantity = lots * source.step_size
            max_notional = max_quantity * largest.price
        return replace(
            self,
            min_notional=MIN_NOTIONALS.get(source.quote_asset, self.min_notional),
            symbol=source.symbol,
            base_asset=source.base_asset,
            quote_asset=source.quote_asset,
            tick_size=source.tick_size,
            step_size=source.step_size,
            max_quantity=max_quantity,
            max_notional=max_notional,
        )

    def for_rules(self, rules: SymbolRules, limits: Iterable[RateLimit]) -> "ExchangeSpec":
        """Return this specification with another exchange's pair, filters and limits.

        A value that the other exchange does not set stays as it is in this specification.
        """
        known = {(limit.kind, limit.interval_s): limit.limit for limit in limits}
        return replace(
            self,
            symbol=rules.symbol,
            base_asset=rules.base_asset,
            quote_asset=rules.quote_asset,
            tick_size=rules.tick_size,
            step_size=rules.step_size,
            explicit_min_price=rules.min_price or None,
            max_price=rules.max_price or self.max_price,
            explicit_min_quantity=rules.min_quantity or None,
            max_quantity=rules.max_quantity or self.max_quantity,
            min_notional=rules.min_notional,
            max_notional=rules.max_notional or self.max_notional,
            bid_multiplier_down=rules.bid_multiplier_down or self.bid_multiplier_down,
            bid_multiplier_up=rules.bid_multiplier_up or self.bid_multiplier_up,
            ask_multiplier_down=rules.ask_multiplier_down,
            ask_multiplier_up=rules.ask_multiplier_up,
            pegs_allowed=rules.peg_allowed,
            weight_per_minute=known.get(("REQUEST_WEIGHT", 60), self.weight_per_minute),
            orders_per_10_s=known.get(("ORDERS", 10), self.orders_per_10_s),
            orders_per_day=known.get(("ORDERS", 86_400), self.orders_per_day),
            connections_per_5_min=known.get(("CONNECTIONS", 300), self.connections_per_5_min),
        )

    @property
    def min_price(self) -> Decimal:
        return self.explicit_min_price or self.tick_size

    @property
    def min_quantity(self) -> Decimal:
        return self.explicit_min_quantity or self.step_size

    def price_multipliers(self, side: Side) -> tuple[Decimal, Decimal]:
        """The lowest and highest price of a `side` order, as multiples of the average price."""
        if side is Side.BUY:
            return self.bid_multiplier_down, self.bid_multiplier_up
        return self.ask_multiplier_down or self.bid_multiplier_down, self.ask_multiplier_up or self.bid_multiplier_up

    def rules(self) -> SymbolRules:
        """Return the symbol rules that an exchange with this specification publishes."""
        bid_down, bid_up = self.price_multipliers(Side.BUY)
        ask_down, ask_up = self.price_multipliers(Side.SELL)
        return SymbolRules(
            symbol=self.symbol,
            base_asset=self.base_asset,
            quote_asset=self.quote_asset,
            tick_size=self.tick_size,
            step_size=self.step_size,
            min_quantity=self.min_quantity,
            max_quantity=self.max_quantity,
            min_price=self.min_price,
            max_price=self.max_price,
            min_notional=self.min_notional,
            max_notional=self.max_notional,
            bid_multiplier_up=bid_up,
            bid_multiplier_down=bid_down,
            ask_multiplier_up=ask_up,
            ask_multiplier_down=ask_down,
            peg_allowed=self.pegs_allowed,
        )

    @property
    def stream_prefix(self) -> str:
        """The symbol as stream names write it, in lower case."""
        return self.symbol.lower()

    def limits_json(self) -> list[dict[str, object]]:
        """The `rateLimits` of `exchangeInfo`."""
        return [
            limit_json(RateLimit("REQUEST_WEIGHT", 60, self.weight_per_minute)),
            limit_json(RateLimit("ORDERS", 10, self.orders_per_10_s)),
            limit_json(RateLimit("ORDERS", 86_400, self.orders_per_day)),
            limit_json(RateLimit("CONNECTIONS", 300, self.connections_per_5_min)),
        ]

    def symbol_json(self, status: str) -> dict[str, object]:
        """The symbol's entry in `exchangeInfo`."""
        return {
            "symbol": self.symbol,
            "status": status,
            "baseAsset": self.base_asset,
            "baseAssetPrecision": PRECISION,
            "quoteAsset": self.quote_asset,
            "quotePrecision": PRECISION,
            "quoteAssetPrecision": PRECISION,
            "baseCommissionPrecision": PRECISION,
            "quoteCommissionPrecision": PRECISION,
            # What is not modelled is declared as not allowed, so that a client that honours the flags never asks for
            # it.
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "icebergAllowed": False,
            "ocoAllowed": False,
            "otoAllowed": False,
            "opoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "amendAllowed": self.amends_allowed,
            "pegInstructionsAllowed": self.pegs_allowed,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self.filters_json(),
            "permissions": [],
            "permissionSets": [sorted(self.permissions)],
            "defaultSelfTradePreventionMode": DEFAULT_SELF_TRADE_MODE.value,
            "allowedSelfTradePreventionModes": [mode.value for mode in SelfTradeMode],
        }

    def filters_json(self) -> list[dict[str, object]]:
        """The symbol's `filters` in `exchangeInfo`, including those of order types that are not modelled."""
        minutes = self.average_minutes
        bid_down, bid_up = self.price_multipliers(Side.BUY)
        ask_down, ask_up = self.price_multipliers(Side.SELL)
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": format_amount(self.min_price),
                "maxPrice": format_amount(self.max_price),
                "tickSize": format_amount(self.tick_size),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": format_amount(self.min_quantity),
                "maxQty": format_amount(self.max_quantity),
                "stepSize": format_amount(self.step_size),
            },
            # Filters of order types that are not modelled are listed all the same: a client must skip filters it does
            # not know.
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": format_amount(Decimal(0)),
                "maxQty": format_amount(self.max_quantity),
                "stepSize": format_amount(Decimal(0)),
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": str(bid_up),
                "bidMultiplierDown": str(bid_down),
                "askMultiplierUp": str(ask_up),
                "askMultiplierDown": str(ask_down),
                "avgPriceMins": minutes,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": format_amount(self.min_notional),
                # As on most real symbols: the minimum holds for MARKET orders, too, the maximum does not.
                "applyMinToMarket": True,
                "maxNotional": format_amount(self.max_notional),
                "applyMaxToMarket": False,
                "avgPriceMins": minutes,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.max_open_orders},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": self.max_amends},
        ]


def format_amount(amount: Decimal) -> str:
    """Format `amount` with eight decimals, as in every reply.

    It is rounded down, so that no balance looks larger than it is.
    """
    return f"{amount.quantize(SMALLEST_AMOUNT, rounding=ROUND_DOWN):f}"


def limit_json(limit: RateLimit) -> dict[str, object]:
    """One rate limit as JSON, with its current count if it has one."""
    interval, seconds = next(unit for unit in LIMIT_UNITS if limit.interval_s % unit[1] == 0)
    described: dict[str, object] = {
        "rateLimitType": limit.kind,
        "interval": interval,
        "intervalNum": limit.interval_s // seconds,
        "limit": limit.limit,
    }
    if limit.count is not None:
        described["count"] = limit.count
    return described
