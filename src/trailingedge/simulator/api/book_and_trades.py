"""Book and trade methods of the WebSocket API, which need no key: depth and the trades, single or aggregate."""

from collections.abc import Mapping
from typing import Final

from trailingedge.simulator.api.market import check_prices_known, is_listed
from trailingedge.simulator.api.method_types import MarketMethod, MethodCall, RequestWeight, Result
from trailingedge.simulator.errors import ExchangeError, bad_combination
from trailingedge.simulator.market_payloads import aggregate_row, trade_row
from trailingedge.simulator.request_params import RequestParameters

DEFAULT_DEPTH: Final = 100
MAX_DEPTH: Final = 5000
DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1000, 50), (MAX_DEPTH, 250))  # up to this limit, the weight


class DepthWeight:
    """The weight of `depth`, which grows with its limit."""

    def for_parameters(self, parameters: RequestParameters) -> int:
        """The weight of a `depth` request. A malformed limit counts as the default limit."""
        try:
            limit = parameters.limit(DEFAULT_DEPTH, MAX_DEPTH)
        except ExchangeError:
            limit = DEFAULT_DEPTH
        return next(weight for most, weight in DEPTH_WEIGHTS if limit <= most)


def depth(call: MethodCall) -> Result:
    """Handle `depth`: return the best levels of both sides, as the depth streams publish them."""
    call.symbol()
    limit = call.parameters.limit(DEFAULT_DEPTH, MAX_DEPTH)
    is_listed(call, one=True)
    call.parameters.check_all_read()
    check_prices_known(call)
    return call.exchange.market.book.snapshot_json(limit)


def recent_trades(call: MethodCall) -> Result:
    """Handle `trades.recent`: return the newest trades, oldest first."""
    call.symbol()
    limit = call.parameters.limit(500)
    call.parameters.check_all_read()
    return [trade_row(trade) for trade in call.exchange.market.tape.trades(None, limit)]


def historical_trades(call: MethodCall) -> Result:
    """Handle `trades.historical`: return the trades from id `fromId` upwards, or the newest trades without `fromId`."""
    call.symbol()
    from_id, limit = call.parameters.integer("fromId"), call.parameters.limit(500)
    call.parameters.check_all_read()
    return [trade_row(trade) for trade in call.exchange.market.tape.trades(from_id, limit)]


def aggregate_trades(call: MethodCall) -> Result:
    """Handle `trades.aggregate`: return aggregate trades, oldest first.

    They begin at the requested id or time; without both, they are the newest.
    """
    call.symbol()
    parameters = call.parameters
    from_id = parameters.integer("fromId")
    start_ms = parameters.market_time_ms("startTime", call.latest_ms)
    end_ms = parameters.market_time_ms("endTime", call.latest_ms)
    limit = parameters.limit(500)
    parameters.check_all_read()
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise bad_combination()
    found = [
        aggregate_row(aggregate)
        for aggregate in call.exchange.market.tape.aggregates
        if (from_id is None or aggregate.aggregate_id >= from_id)
        and (start_ms is None or aggregate.time_ms >= start_ms)
        and (end_ms is None or aggregate.time_ms <= end_ms)
    ]
    return found[-limit:] if from_id is None and start_ms is None else found[:limit]


BOOK_AND_TRADE_METHODS: Final[Mapping[str, MarketMethod]] = {
    "depth": MarketMethod(depth, DepthWeight()),
    "trades.recent": MarketMethod(recent_trades, RequestWeight(25)),
    "trades.historical": MarketMethod(historical_trades, RequestWeight(25)),
    "trades.aggregate": MarketMethod(aggregate_trades, RequestWeight(4)),
}
