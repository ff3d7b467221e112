"""Each change of state becomes one line, said once: in the log, in the terminal, and as an alert where it is one."""

import logging
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Final

from trailingedge.accounting.statistics import FinishedExit, RunStatistics
from trailingedge.core.time_units import HOUR_MS
from trailingedge.execution.order_events import (
    OrderCancelled,
    OrderFilled,
    OrderInDoubt,
    OrderPlaced,
    OrderRejected,
    OrderReplaced,
    UnknownOrderWithOurId,
)
from trailingedge.execution.trader_events import (
    AccountBack,
    AccountLost,
    ExitAged,
    LateOrder,
    MarketFresh,
    MarketStale,
    TraderEvent,
)
from trailingedge.indicators.donchian import Breakout
from trailingedge.model.client_order_ids import own_id
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, Regime, Side, SymbolRules
from trailingedge.model.order_outcomes import RejectReason
from trailingedge.notifications import (
    account_messages,
    channel_messages,
    messages,
    order_messages,
    recovery_messages,
    risk_messages,
)
from trailingedge.notifications.alerts import Alerts
from trailingedge.notifications.status import StatusView
from trailingedge.risk.balance_audit import BalanceMoved
from trailingedge.risk.circuit_breakers import BreakerLifted, BreakerTripped, FeeUnpriced
from trailingedge.strategy.signals import (
    BrokeOut,
    CommandRefused,
    ExitEnded,
    ExitEnding,
    ExitRelabelled,
    ExitStarted,
    Funded,
    GateOpened,
    GateShut,
    HardStopTriggered,
    Origin,
    RegimeSet,
    Squeezed,
    Unfunded,
)
from trailingedge.strategy.state import ShutBy

logger = logging.getLogger(__name__)

# Refusals that do not pass by themselves, or not soon.
_FOR_A_PERSON: Final = frozenset(
    {RejectReason.NOT_TRADING, RejectReason.UNAUTHORIZED, RejectReason.BAD_REQUEST, RejectReason.OTHER}
)
_AGAIN_MS: Final = HOUR_MS  # a price that rubs along an edge of the channel leaves it many times an hour


class Announcer:
    """Words what the trader tells. `market_ms` tells the exchange's time, for what needs a duration.

    `refusal` is why the exchange did not take the last order, None since it took one. `view` is asked how
    things stand where an event does not tell; `followed` are the breakouts that the settings make an exit of;
    a flip waits `flip_patience_s` at most for its first order to rest.
    """

    def __init__(
        self,
        rules: SymbolRules,
        tally: RunStatistics,
        alerts: Alerts,
        market_ms: Callable[[], int],
        *,
        reserve_base: Decimal = ZERO,
        reserve_quote: Decimal = ZERO,
        view: Callable[[], StatusView | None] = lambda: None,
        followed: Collection[Breakout] = tuple(Breakout),
        flip_patience_s: float | None = None,
    ) -> None:
        self.rules = rules
        self.reject_text: str | None = None
        self._reserves = (reserve_base, reserve_quote)
        self._view = view
        self._followed = followed
        self._flip_patience_s = flip_patience_s
        self._escape: str | None = None  # the last one that was told of
        self._told_ms: dict[object, int] = {}
        self._tally = tally
        self._alerts = alerts
        self._market_ms = market_ms

    def announce(self, news: TraderEvent) -> None:
        """Say what happened, in words that need no manual."""
        finished = self._tally.on_event(news, self._market_ms())
        self._remember_refusal(news)
        match news:
            case OrderPlaced() | OrderReplaced() | OrderFilled() | OrderCancelled():
                self._tell_escape(news)
                logger.info("%s", self._order(news))
            case OrderRejected():
                self._tell_refused(news)
            case OrderInDoubt():
                logger.warning("%s", order_messages.order_in_doubt(news.client_order_id, news.reason))
            case UnknownOrderWithOurId():
                self._alerts.send(
                    order_messages.order_of_another_instance(news.client_order_id, news.order_id), logging.ERROR
                )
            case ExitEnded() if finished is not None:
                self._tell_ended(news, finished)
            case _:
                self._tell_strategy(news)

    def _remember_refusal(self, news: TraderEvent) -> None:
        match news:
            case OrderRejected():
                self.reject_text = f"{news.code} {news.text}" if news.code else news.text
            case OrderPlaced() | OrderReplaced() | OrderFilled() | ExitEnded():
                self.reject_text = None
            case _:
                pass

    def _tell_escape(self, news: OrderPlaced | OrderReplaced | OrderFilled | OrderCancelled) -> None:
        """The first that is heard of an order that may take, which may be its fill."""
        own = own_id(news.client_order_id)
        if own is None or own.kind is not ExitKind.ESCAPE or self._escape == news.client_order_id:
            return
        self._escape = news.client_order_id
        amount = news.quantity + news.remaining if isinstance(news, OrderFilled) else news.quantity
        text = order_messages.taker_escape(self.rules, news.side, amount, news.price, news.client_order_id)
        self._alerts.send(text, logging.WARNING)

    def _tell_refused(self, news: OrderRejected) -> None:
        """The first of a row of refusals: to people where one of them may have to act, else to the log."""
        text = order_messages.order_rejected(news.client_order_id, news.code, news.text)
        if news.in_a_row > 1:
            logger.debug("%s", text)
        elif news.reject_reason in _FOR_A_PERSON:
            self._alerts.send(text, logging.WARNING)
        else:
            logger.warning("%s", text)

    def _order(self, news: OrderPlaced | OrderReplaced | OrderFilled | OrderCancelled) -> str:
        rules, own = self.rules, news.client_order_id
        match news:
            case OrderPlaced():
                return order_messages.order_placed(rules, news.side, news.quantity, news.price, own)
            case OrderReplaced():
                return order_messages.order_replaced(rules, news.side, news.quantity, news.price, own)
            case OrderFilled():
                return order_messages.order_filled(
                    rules, news.side, news.quantity, news.quote / news.quantity, news.remaining, own
                )
            case OrderCancelled():
                return order_messages.order_cancelled(rules, news.side, news.quantity - news.filled, news.price, own)

    def _tell_ended(self, ended: ExitEnded, finished: FinishedExit) -> None:
        result = messages.ExitResult(
            kind=finished.kind,
            side=finished.side,
            filled_base=finished.base,
            filled_quote=finished.quote,
            slippage_frac=finished.slippage_frac,
            result_frac=finished.result_frac,
            age_s=finished.age_s,
            replaces=finished.replaces,
            fees=finished.fees,
        )
        if ended.cause in (ExitEndReason.FILLED, ExitEndReason.DUST):
            self._alerts.send(messages.exit_filled(self.rules, result))
        else:
            self._alerts.send(messages.exit_ended(self.rules, result, ended.cause), logging.WARNING)
        if ended.idle:
            asset = self.rules.quote_asset if ended.regime.exit_side is Side.SELL else self.rules.base_asset
            self._alerts.send(account_messages.idle_remainder(self.rules, ended.idle, asset), logging.WARNING)

    def _tell_strategy(self, news: TraderEvent) -> None:
        rules = self.rules
        match news:
            case ExitStarted(kind=ExitKind.TAKE_PROFIT) if news.trail is not None and news.price is not None:
                anchor = news.trail.high - news.trail.gain
                gain_frac, drawdown_frac = news.trail.gain / anchor, news.trail.drawdown / anchor
                text = messages.take_profit_armed(rules, news.side, news.price, gain_frac, drawdown_frac)
                self._alerts.send(text)
            case ExitStarted(kind=ExitKind.MANUAL):
                self._alerts.send(messages.manual_flip(rules, news.side, news.price, self._flip_patience_s))
            case ExitStarted(kind=ExitKind.BREAKOUT):
                self._alerts.send(messages.breakout_armed(rules, news.side, news.price))
            case ExitStarted():
                self._alerts.send(messages.exit_armed(rules, news.kind, news.side))
            case HardStopTriggered():
                loss_frac = 1.0 - float(news.price) / news.anchor_price
                self._alerts.send(messages.hard_stop(rules, news.price, loss_frac, news.distance), logging.WARNING)
            case ExitRelabelled():
                self._alerts.send(messages.exit_taken_over(news.previous))
            case ExitEnding():
                logger.info("%s", messages.exit_ending(news.kind, news.cause))
            case GateShut():
                by_flush = news.shut_by is ShutBy.HARD_STOP
                self._alerts.send(channel_messages.gate_shut(rules, news.price, by_flush=by_flush, mid=news.mid))
            case GateOpened():
                self._alerts.send(channel_messages.gate_open(rules, news.close, news.mid))
            case BrokeOut():
                up = news.direction is Breakout.UP
                bound = news.upper if up else news.lower
                followed = news.direction in self._followed
                text = channel_messages.breakout(rules, news.close, bound, up=up, followed=followed)
                self._tell_now_and_then(news.direction, text)
            case Squeezed():
                self._tell_now_and_then(Squeezed, channel_messages.squeeze(rules, news.width, news.share))
            case Unfunded():
                view, held = self._view(), news.holdings
                locked = {} if view is None else view.locked
                text = account_messages.unfunded(rules, held.base, held.quote, *self._reserves, locked)
                self._alerts.send(text, logging.WARNING)
            case Funded():
                self._alerts.send(account_messages.funded(rules, news.regime))
            case RegimeSet(origin=Origin.MARKET | Origin.OUTSIDE, previous=Regime()):
                self._alerts.send(account_messages.anchor_changed(rules, news.regime, news.price, news.origin.value))
            case RegimeSet():
                logger.info("%s", account_messages.holding(rules, news.regime, news.price, news.origin.value))
            case CommandRefused():
                self._alerts.send(messages.command_refused(news.command.value, self._reason(news)), logging.WARNING)
            case AccountLost():
                regime, stop = self._held()
                self._alerts.send(account_messages.account_lost(rules, news.away_s, regime, stop=stop), logging.WARNING)
            case AccountBack():
                self._alerts.send(account_messages.account_back(news.away_s))
            case MarketStale():
                regime, stop = self._held()
                self._alerts.send(account_messages.market_stale(rules, news.age_s, regime, stop=stop), logging.WARNING)
            case MarketFresh():
                self._alerts.send(account_messages.market_recovered(news.silent_s))
            case ExitAged():
                text = messages.exit_slow(rules, news.kind, news.age_s, news.filled_base, news.slippage_frac)
                self._alerts.send(text, logging.WARNING)
            case LateOrder(adopted=True):
                self._alerts.send(recovery_messages.exit_resumed(rules, news.late_exit))
            case LateOrder():
                self._alerts.send(recovery_messages.late_order_cancelled(rules, news.late_exit), logging.WARNING)
            case BreakerTripped():
                self._alerts.send(risk_messages.breaker_tripped(rules, news.trip), logging.WARNING)
            case BreakerLifted():
                self._alerts.send(risk_messages.breaker_lifted(news.breaker))
            case FeeUnpriced():
                self._alerts.send(risk_messages.fee_unpriced(news.asset, rules.quote_asset), logging.WARNING)
            case BalanceMoved():
                self._alerts.send(risk_messages.balance_moved(news.asset, news.expected, news.actual), logging.WARNING)
            case _:
                logger.debug("= %s", news)

    def _held(self) -> tuple[Regime | None, bool]:
        """The side held, and whether it has a hard stop to be judged."""
        view = self._view()
        return (None, False) if view is None else (view.regime, view.stop is not None)

    def _reason(self, refused: CommandRefused) -> str:
        view = self._view()
        if view is None:
            return refused.reason
        return risk_messages.refusal_reason(refused.reason, view.trips, paused=view.paused)

    def _tell_now_and_then(self, what: object, text: str) -> None:
        """Once an hour to people, and each time to the log file."""
        now_ms = self._market_ms()
        told_ms = self._told_ms.get(what)
        if told_ms is not None and now_ms - told_ms < _AGAIN_MS:
            logger.debug("%s", text)
            return
        self._told_ms[what] = now_ms
        self._alerts.send(text)
