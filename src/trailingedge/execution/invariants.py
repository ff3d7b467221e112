"""What must never happen, looked at once more before anything is sent.

Whoever decided and whoever chases have their own reasons to be right; here nobody asks for them. Each
command is held against the newest picture, and one that would break a rule is not sent: BrokenInvariant.
"""

from collections.abc import Sequence
from decimal import Decimal

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.own_orders import OwnOrders
from trailingedge.model.market import BookTop, Regime, Side, SymbolRules, plain
from trailingedge.model.market_state import View
from trailingedge.model.order_commands import (
    Cancel,
    Command,
    Incoming,
    OrderCommand,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Remedy,
    Replace,
)
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.regime import unit_value
from trailingedge.strategy.state import Memory


class Invariants:
    """The rules, and the little that must be remembered to check them.

    `stale_after_s`: an older book is none. `absent_after_s`: an older request can no longer be executed.
    `escape`: the settings allow one order that may take.
    """

    def __init__(self, stale_after_s: float, absent_after_s: float, *, escape: bool = False) -> None:
        self.orders = OwnOrders(absent_after_s)
        self._stale_after_s = stale_after_s
        self._escape = escape
        self._high = HighMark()

    def hear(self, event: Incoming) -> None:
        """What came back: it tells which orders there are."""
        self.orders.hear(event)

    def begin_anew(self) -> None:
        """The operator has looked and goes on: what the high was to be is not held against it any more."""
        self._high = HighMark()

    def approve(self, commands: Sequence[Command], view: View, decision: Decision | None, rules: SymbolRules) -> None:
        """Let `commands` go out. Raises BrokenInvariant, and then none of them may.

        `decision` is this beat's; None while nothing is decided any more.
        """
        if decision is not None and not decision.halted:
            self._high.check(decision.memory, self._fresh_top(view), view.market_ms)
        orders = [command for command in commands if not isinstance(command, Remedy)]
        if len(orders) > 1:
            raise BrokenInvariant(f"{len(orders)} requests at once: {orders}")
        for command in orders:
            if not view.account_proven:
                raise BrokenInvariant(f"{_named(command)} while the account is unproven")
            self._check_target(command)
            if isinstance(command, Place | Replace):
                top = self._fresh_top(view)
                if top is None:
                    raise BrokenInvariant(f"{_named(command)} on a market {view.top_age_s:.1f} s old")
                self._check_placement(command, top, view.now_s, decision, rules)
            self.orders.sent(command, view.now_s)

    def approve_reaction(
        self, command: OrderCommand, top: BookTop, now_s: float, decision: Decision, rules: SymbolRules
    ) -> None:
        """The same for one command that answers `top`, just heard on a proven account. Raises BrokenInvariant."""
        self._check_target(command)
        if isinstance(command, Place | Replace):
            self._check_placement(command, top, now_s, decision, rules)
        self.orders.sent(command, now_s)

    def _check_target(self, command: OrderCommand) -> None:
        """Nobody else's order is touched, or asked about."""
        if exit_id(command.client_order_id) is None:
            raise BrokenInvariant(f"{_named(command)}: this is no id of an exit of ours")
        target = _target(command)
        if target is not None and not self.orders.knows(target):
            raise BrokenInvariant(f"{_named(command)} is about order {target}, which is not known to be ours")

    def _check_placement(
        self, command: Place | Replace, top: BookTop, now_s: float, decision: Decision | None, rules: SymbolRules
    ) -> None:
        if decision is None or decision.halted:
            raise BrokenInvariant(f"{_named(command)} while nothing is to be ordered")
        self._check_alone(command, now_s)
        price = top.best(command.side) if command.price is None else command.price  # pegged: to our own side
        self._check_maker(command, price, top, rules)
        check_spending(command, price, decision, rules)

    def _check_alone(self, command: Place | Replace, now_s: float) -> None:
        """One own exit order at most: the one to be replaced makes way for the other."""
        beside = self.orders.open - ({command.order_id} if isinstance(command, Replace) else set())
        if beside:
            raise BrokenInvariant(f"{_named(command)} while order {min(beside)} of ours is open")
        # A Replace is safe beside a lost request: it adds nothing without taking its order away.
        if isinstance(command, Place) and self.orders.awaited(now_s):
            raise BrokenInvariant(f"{_named(command)} while another may still be executed")

    def _check_maker(self, command: Place | Replace, price: Decimal, top: BookTop, rules: SymbolRules) -> None:
        breach = rules.breach(price, command.quantity) if rules.trading else f"symbol status {rules.status}"
        if breach is not None:
            raise BrokenInvariant(f"{_named(command)} of {plain(command.quantity)} at {plain(price)}: {breach}")
        if isinstance(command, Place) and command.escape:
            if not self._escape:
                raise BrokenInvariant(f"{_named(command)} may take, which is not allowed")
        elif (price >= top.ask) if command.side is Side.BUY else (price <= top.bid):
            raise BrokenInvariant(
                f"{_named(command)} at {plain(price)} would take from {plain(top.bid)}/{plain(top.ask)}"
            )

    def _fresh_top(self, view: View) -> BookTop | None:
        fresh = view.account_proven and view.top_age_s < self._stale_after_s
        return view.top if fresh else None


def check_spending(command: Place | Replace, price: Decimal, decision: Decision, rules: SymbolRules) -> None:
    """Never more of the asset sold than the side held when last read. Raises BrokenInvariant."""
    if decision.holdings is None:
        raise BrokenInvariant(f"{_named(command)} before the balances are known")
    if command.side is Side.SELL:
        spent, held, asset = command.quantity, decision.holdings.of(Regime.BASE), rules.base_asset
    else:
        spent, held, asset = command.quantity * price, decision.holdings.of(Regime.QUOTE), rules.quote_asset
    if spent > held:
        raise BrokenInvariant(f"{_named(command)} would spend {plain(spent)} of {plain(held)} {asset}")


class HighMark:
    """The best fresh unit value since the anchor, remembered apart from the strategy's own high."""

    def __init__(self) -> None:
        self._since: tuple[Regime | None, float, int] = (None, 0.0, 0)
        self._best = 0.0

    def check(self, memory: Memory, top: BookTop | None, market_ms: int) -> None:
        """Raises BrokenInvariant when the high is lower than what was seen since the anchor."""
        since = (memory.regime, memory.anchor, memory.anchor_ms)
        if since != self._since or memory.anchor_ms == market_ms:  # one moment may see the same anchor set twice
            self._since, self._best = since, 0.0
        if memory.regime is None or not memory.funded:
            return
        if top is not None:
            price = top.bid if memory.regime is Regime.BASE else top.ask
            self._best = max(self._best, unit_value(memory.regime, float(price)))
        if memory.high < self._best:
            raise BrokenInvariant(f"the high is {memory.high!r}, below a unit value of {self._best!r} since the anchor")


def _target(command: OrderCommand) -> int | None:
    match command:
        case Replace() | Cancel() | QueryOrder() | QueryOrdersFrom():
            return command.order_id
        case Place():
            return None


def _named(command: OrderCommand) -> str:
    """The request, as people are told of it."""
    side = f" {command.side.value}" if isinstance(command, Place | Replace) else ""
    return f"{type(command).__name__}{side} {command.client_order_id}"
