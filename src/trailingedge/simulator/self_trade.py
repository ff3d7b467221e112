"""Self-trade prevention: how two orders of one account are reduced or ended instead of trading with each other.

The mode of the taker decides (`SelfTradeMode`): the taker expires, the maker expires, both expire, or both lose the
quantity of the prevented trade. No account belongs to a trade group, so TRANSFER does what DECREMENT does, and orders
of two accounts always trade.
"""

from collections.abc import Iterable

from trailingedge.model.market import ZERO
from trailingedge.simulator.book import TakerMatch
from trailingedge.simulator.orders import PreventedMatch, SimOrder


def prevent(match_id: int, taker: SimOrder, maker: SimOrder, time_ms: int) -> PreventedMatch:
    """Return the prevented trade between two orders of one account, and the quantity by which each order is reduced."""
    mode, traded = taker.request.self_trade_mode, min(taker.remaining, maker.remaining)
    taker_loss = traded if mode.decrements else taker.remaining if mode.expires_taker else None
    maker_loss = traded if mode.decrements else maker.remaining if mode.expires_maker else None
    return PreventedMatch(
        match_id=match_id,
        taker_order_id=taker.order_id,
        maker_order_id=maker.order_id,
        price=maker.price,
        quantity=traded,
        taker_quantity=taker_loss,
        maker_quantity=maker_loss,
        mode=mode,
        time_ms=time_ms,
    )


def is_self_trade(match: TakerMatch, taker: SimOrder) -> bool:
    """Whether the quantity that the taker matches belongs to an order of its own account."""
    return match.resting_order is not None and match.resting_order.account == taker.account


def without_self_trades(matches: Iterable[TakerMatch], taker: SimOrder) -> list[TakerMatch]:
    """Return the matches of the taker, without the orders of its own account.

    `matches` are its matches on the book, best price first. They must cover the taker's quantity plus the quantity of
    the account's own orders, because the taker skips its own orders and matches the orders behind them.
    """
    mode, left = taker.request.self_trade_mode, taker.remaining
    found: list[TakerMatch] = []
    for match in matches:
        if left == ZERO or (is_self_trade(match, taker) and mode.expires_taker):
            break
        part = min(left, match.quantity)
        if not is_self_trade(match, taker):
            found.append(TakerMatch(match.resting_order, match.price, part))
            left -= part
        elif mode.decrements:
            left -= part
    return found
