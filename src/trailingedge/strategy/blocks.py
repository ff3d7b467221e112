"""Trade blocks: the reasons why a take-profit, a manual flip or the stop cannot happen now.

Only this module finds these reasons. The rules ask `Evaluation.exit_blocks` before they act.
`Decision` passes the result on to the status, to `why`, to the control socket and to the backtest,
so that all of them explain an inaction by the same reason as the rules.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.state import StrategyState


class TradeBlock(Enum):
    """A reason why the strategy places no order now. The most severe reason comes first."""

    HALTED = "halted"  # by a broken invariant, until the operator resumes
    EXIT_IN_PROGRESS = "exit in progress"  # one exit at a time
    UNFUNDED = "unfunded"  # less than an order needs, of either asset
    NO_BOOK = "no trusted book"  # stale prices, or the account connection is not confirmed
    UNSETTLED = "balances not settled"  # they do not account for every fill yet; a matter of milliseconds
    GATE_SHUT = "gate shut"  # after a stop, until a close crosses mid
    PAUSED = "trading paused"  # by the operator or a breaker; sells on command and the hard stop go on


# Why a command is refused. The texts stand in session records, which a replay compares: they stay as they are, and
# `notifications` words them for people.
REFUSALS: Final[Mapping[TradeBlock, str]] = {
    TradeBlock.HALTED: "trading is halted",
    TradeBlock.UNFUNDED: "there is nothing to trade",
    TradeBlock.PAUSED: "no buying while held",
}


class ExitFacts(Protocol):
    """The properties of an exit in progress that the stop depends on."""

    @property
    def kind(self) -> ExitKind: ...

    @property
    def side(self) -> Side: ...

    @property
    def ending(self) -> ExitEndReason | None: ...


def exit_blocks(
    state: StrategyState, *, halted: bool, has_book: bool, paused: bool, settled: bool = True
) -> tuple[TradeBlock, ...]:
    """Return the reasons why the strategy may not start a take-profit or breakout by itself; empty if it may."""
    # One line for each, because this runs at every tick: looking a block up costs more than testing its condition.
    found: list[TradeBlock] = []
    if halted:
        found.append(TradeBlock.HALTED)
    if state.exit is not None:
        found.append(TradeBlock.EXIT_IN_PROGRESS)
    if not state.funded:
        found.append(TradeBlock.UNFUNDED)
    if not has_book:
        found.append(TradeBlock.NO_BOOK)
    if not settled:
        found.append(TradeBlock.UNSETTLED)
    if state.gate is not None:
        found.append(TradeBlock.GATE_SHUT)
    if paused:
        found.append(TradeBlock.PAUSED)
    return tuple(found)


def flip_block(state: StrategyState, *, halted: bool, has_holdings: bool, paused: bool) -> TradeBlock | None:
    """Return the reason why the operator's flip is refused; None if it can be carried out.

    A shut gate does not block it, because the operator may overrule the gate. Without a book, the order waits for one.
    An exit in progress is taken over. While paused, only buying is blocked.
    """
    if halted:
        return TradeBlock.HALTED
    # While an exit is in progress, `funded` still describes the balances before that exit.
    if state.regime is None or (state.exit is None and not state.funded) or not has_holdings:
        return TradeBlock.UNFUNDED
    return TradeBlock.PAUSED if paused and state.regime is Regime.QUOTE else None


def stop_blocks(exit_: ExitFacts | None, *, halted: bool, funded: bool) -> tuple[TradeBlock, ...]:
    """Return the reasons why the stop cannot act; empty if it can.

    The stop is the hard stop while we hold base (BASE). While we hold quote (QUOTE) it is the QUOTE
    stop, which is checked when a kline closes. A pause and a missing book do not block it: the stop
    works during a pause, and after a missing book it continues with the next price. While the gate
    is shut, there is no stop price at all.
    """
    found = [TradeBlock.HALTED] if halted else []
    if exit_ is not None and not stop_ends(exit_):
        found.append(TradeBlock.EXIT_IN_PROGRESS)
    return tuple(found if funded else [*found, TradeBlock.UNFUNDED])


def stop_ends(exit_: ExitFacts) -> bool:
    """Return whether the stop of the regime takes over or ends this exit.

    In BASE the stop takes over every sale except that of a hard stop. In QUOTE it ends only a take-profit buy: a
    manual buy is the operator's decision, and a breakout buys because the price rises. The stop never acts on an exit
    that is being cancelled.
    """
    if exit_.ending is not None or exit_.kind is ExitKind.FLUSH:
        return False
    return exit_.side is Side.SELL or exit_.kind is ExitKind.TAKE_PROFIT
