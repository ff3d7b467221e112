"""Method `myPreventedMatches`: the self-trades of an account that the exchange prevented."""

from collections.abc import Mapping
from typing import Final

from trailingedge.simulator.api.method_types import AccountMethod, RequestWeight, Result, SignedCall
from trailingedge.simulator.errors import bad_combination
from trailingedge.simulator.payloads import prevented_match_json


def my_prevented_matches(call: SignedCall) -> Result:
    """Handle `myPreventedMatches`: return one match by its id, or all matches of one order, oldest first."""
    symbol, parameters = call.symbol(), call.parameters
    match_id, order_id = parameters.integer("preventedMatchId"), parameters.integer("orderId")
    from_id = parameters.integer("fromPreventedMatchId")
    limit = parameters.limit(500)
    parameters.check_all_read()
    if (match_id is None) == (order_id is None) or (from_id is not None and order_id is None):
        raise bad_combination()
    matches = [
        match
        for order in call.records.orders.values()
        for match in order.prevented_as_taker
        if match_id in {None, match.match_id}
        and order_id in {None, match.taker_order_id, match.maker_order_id}
        and match.match_id >= (from_id or 0)
    ]
    return [prevented_match_json(match, symbol) for match in matches[:limit]]


PREVENTED_MATCH_METHODS: Final[Mapping[str, AccountMethod]] = {
    "myPreventedMatches": AccountMethod(my_prevented_matches, RequestWeight(2, ("orderId",), 20)),
}
