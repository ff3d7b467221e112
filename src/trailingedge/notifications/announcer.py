"""The announcer: turns each event of the trading core into one line for the log, or into an alert.

The texts come from the `*_messages` modules. This module decides the level of a line and how often it is repeated.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Final

from trailingedge.accounting.results import FinishedExit
from trailingedge.accounting.statistics import RunStatistics
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
    donchian_messages,
    event_messages,
    order_messages,
    recovery_messages,
    risk_messages,
)
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.notifications.status import StatusView
from trailingedge.risk.balance_audit import BalanceMoved
from trailingedge.risk.circuit_breakers import BreakerLifted, BreakerTripped, FeeUnpriced
from trailingedge.strategy.state import ShutBy
from trailingedge.strategy.strategy_events import (
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

logger = logging.getLogger(__name__)

# Rejects that will continue for long or until a person changes something.
_FOR_A_PERSON: Final = frozenset(
    {RejectReason.NOT_TRADING, RejectReason.UNAUTHORIZED, RejectReason.BAD_REQUEST, RejectReason.OTHER}
)
_REPEAT_AFTER_MS: Final = HOUR_MS  # a price near an edge of the channel crosses it many times an hour


class Announcer:
    """Sends the text of each event to the log or to `alerts`.

    `market_ms` returns the exchange's time; durations are measured by it. `view` returns the current status for texts
    that need more than their event holds. `followed` are the directions of breakouts in which the settings start an
    exit. A manual flip expires if none of its orders rests on the book within `flip_timeout_s` seconds. `reject_text`
    is the exchange's reason for rejecting the last order; it is None after the exchange has accepted an order.
    """

    def __init__(
        self,
        rules: SymbolRules,
        statistics: RunStatistics,
        alerts: Alerts,
        market_ms: Callable[[], int],
        *,
        reserve_base: Decimal = ZERO,
        reserve_quote: Decimal = ZERO,
        view: Callable[[], StatusView | None] = lambda: None,
        followed: Collection[Breakout] = tuple(Breakout),
        flip_timeout_s: float | None = None,
    ) -> None:
        self.rules = rules
        self.reject_text: str | None = None
        self._needs_person = False  # a person must act, or the exchange will go on rejecting orders
        self._reserves = (reserve_base, reserve_quote)
        self._view = view
        self._followed = followed
        self._flip_timeout_s = flip_timeout_s
        self._announced_escape: str | None = None  # the client order id of the last escape announced
        self._sent_ms: dict[object, int] = {}  # when a kind of alert was last sent
        self._not_sent: Counter[object] = Counter()  # events since then that were no alert
        self._statistics = statistics
        self._alerts = alerts
        self._market_ms = market_ms

    def announce(self, event: TraderEvent) -> None:
        """Log or send the text of one event."""
        finished = self._statistics.on_event(event, self._market_ms())
        self._remember_reject(event)
        match event:
            case OrderPlaced() | OrderReplaced() | OrderFilled() | OrderCancelled():
                self._announce_escape(event)
                # An exit replaces its order many times a minute; the status counts the replaces.
                level = logging.DEBUG if isinstance(event, OrderReplaced) else logging.INFO
                logger.log(level, "%s", self._order_text(event))
            case OrderRejected():
                self._announce_reject(event)
            case OrderInDoubt():
                logger.warning("%s", order_messages.order_in_doubt(event.client_order_id, event.reason))
            case UnknownOrderWithOurId():
                self._alerts.send(
                    order_messages.order_of_another_instance(event.client_order_id, event.order_id), logging.ERROR
                )
            # The statistics have just summed up the fees and the replaces of this exit.
            case ExitEnded() if finished is not None:
                self._announce_end(event, finished)
            case _:
                self._announce_change(event)

    def _remember_reject(self, event: TraderEvent) -> None:
        match event:
            case OrderRejected():
                self.reject_text = f"{event.code} {event.text}" if event.code else event.text
                self._needs_person = event.reject_reason in _FOR_A_PERSON
            case OrderPlaced() | OrderReplaced() | OrderFilled():
                self._forget_reject()
            # What needs a person is likely to meet the next exit, too.
            case ExitEnded() if not self._needs_person:
                self._forget_reject()
            case _:
                pass

    def _forget_reject(self) -> None:
        """Forget the last rejection, so that the next rejection is announced at once."""
        if self.reject_text is None:
            return
        self.reject_text = None
        self._needs_person = False
        for reason in _FOR_A_PERSON:
            self._sent_ms.pop(reason, None)

    def _announce_escape(self, event: OrderPlaced | OrderReplaced | OrderFilled | OrderCancelled) -> None:
        """Send an alert at the first event of a taker order. Its first event can already be a fill."""
        own = own_id(event.client_order_id)
        if own is None or own.kind is not ExitKind.ESCAPE or self._announced_escape == event.client_order_id:
            return
        self._announced_escape = event.client_order_id
        amount = event.quantity + event.remaining if isinstance(event, OrderFilled) else event.quantity
        text = order_messages.taker_escape(self.rules, event.side, amount, event.price, event.client_order_id)
        self._alerts.send(text, logging.WARNING)

    def _announce_reject(self, event: OrderRejected) -> None:
        """Log a rejected order. If a person may have to act, send an alert instead, at most once an hour."""
        text = order_messages.order_rejected(event.client_order_id, event.code, event.text, event.in_a_row)
        if event.reject_reason in _FOR_A_PERSON:
            self._send_once_an_hour(event.reject_reason, text, logging.WARNING)
        else:
            logger.log(logging.DEBUG if event.in_a_row > 1 else logging.WARNING, "%s", text)

    def _order_text(self, event: OrderPlaced | OrderReplaced | OrderFilled | OrderCancelled) -> str:
        rules, own = self.rules, event.client_order_id
        match event:
            case OrderPlaced():
                return order_messages.order_placed(rules, event.side, event.quantity, event.price, own)
            case OrderReplaced():
                return order_messages.order_replaced(rules, event.side, event.quantity, event.price, own)
            case OrderFilled():
                return order_messages.order_filled(
                    rules, event.side, event.quantity, event.quote / event.quantity, event.remaining, own
                )
            case OrderCancelled():
                return order_messages.order_cancelled(
                    rules, event.side, event.quantity - event.filled, event.price, own
                )

    def _announce_end(self, ended: ExitEnded, finished: FinishedExit) -> None:
        result = event_messages.ExitResult(
            kind=finished.kind,
            side=finished.side,
            filled_base=finished.base,
            filled_quote=finished.quote,
            slippage_frac=finished.slippage_frac,
            anchor_gain_frac=finished.anchor_gain_frac,
            age_s=finished.age_s,
            replaces=finished.replaces,
            fees=finished.fees,
            trip=self._statistics.round_trip_of(finished),
            brought_frac=finished.brought_frac,
        )
        if ended.cause in (ExitEndReason.FILLED, ExitEndReason.DUST):
            self._alerts.send(event_messages.exit_filled(self.rules, result))
        else:
            self._alerts.send(event_messages.exit_ended(self.rules, result, ended.cause), logging.WARNING)
        if ended.idle:
            asset = self.rules.quote_asset if ended.regime.exit_side is Side.SELL else self.rules.base_asset
            self._alerts.send(account_messages.idle_remainder(self.rules, ended.idle, asset), logging.WARNING)

    def _announce_change(self, event: TraderEvent) -> None:
        rules = self.rules
        match event:
            case ExitStarted(kind=ExitKind.TAKE_PROFIT) if event.trail is not None and event.price is not None:
                anchor = event.trail.high - event.trail.gain
                gain_frac, drawdown_frac = event.trail.gain / anchor, event.trail.drawdown / anchor
                text = event_messages.take_profit_armed(rules, event.side, event.price, gain_frac, drawdown_frac)
                self._alerts.send(text)
            case ExitStarted(kind=ExitKind.MANUAL):
                self._alerts.send(event_messages.manual_flip(rules, event.side, event.price, self._flip_timeout_s))
            case ExitStarted(kind=ExitKind.BREAKOUT):
                self._alerts.send(event_messages.breakout_armed(rules, event.side, event.price))
            case ExitStarted():
                self._alerts.send(event_messages.exit_armed(rules, event.kind, event.side))
            case HardStopTriggered():
                # The loss shown is that at `event.price`, the price that confirmed the stop. The later fills may differ
                # from it.
                loss_frac = 1.0 - float(event.price) / event.anchor_price
                self._alerts.send(
                    event_messages.hard_stop(rules, event.price, loss_frac, event.distance), logging.WARNING
                )
            case ExitRelabelled():
                self._alerts.send(event_messages.exit_taken_over(event.previous))
            # Only a log line: the alert follows when the exit has ended, with what was filled.
            case ExitEnding():
                logger.info("%s", event_messages.exit_ending(event.kind, event.cause))
            case GateShut():
                by_flush = event.shut_by is ShutBy.HARD_STOP
                self._alerts.send(donchian_messages.gate_shut(rules, event.price, by_flush=by_flush, mid=event.mid))
            case GateOpened():
                self._alerts.send(donchian_messages.gate_open(rules, event.close, event.mid))
            case BrokeOut():
                up = event.direction is Breakout.UP
                bound = event.upper if up else event.lower
                followed = event.direction in self._followed
                text = donchian_messages.breakout(rules, event.close, bound, up=up, traded=followed)
                self._announce_channel_event(event.direction, text)
            case Squeezed():
                self._announce_channel_event(Squeezed, donchian_messages.squeeze(rules, event.width, event.share))
            case Unfunded():
                view, holdings = self._view(), event.holdings
                locked = {} if view is None else view.locked
                bid = None if view is None or view.top is None else view.top.bid
                text = account_messages.unfunded(rules, holdings.base, holdings.quote, *self._reserves, locked, bid)
                self._alerts.send(text, logging.WARNING)
            case Funded():
                self._alerts.send(account_messages.funded(rules, event.regime))
            # The bot held a position already and no exit of ours changed the anchor, so the owner is told by an
            # alert.
            case RegimeSet(origin=Origin.MARKET | Origin.OUTSIDE, previous=Regime()):
                self._alerts.send(account_messages.anchor_changed(rules, event.regime, event.price, event.origin))
            case RegimeSet():
                logger.info("%s", account_messages.holding(rules, event.regime, event.price, event.origin))
            case CommandRefused():
                self._alerts.send(
                    event_messages.command_refused(event.command.value, self._reason(event)), logging.WARNING
                )
            case AccountLost():
                regime, stop = self._position()
                self._alerts.send(
                    account_messages.account_lost(rules, event.away_s, regime, stop=stop), logging.WARNING
                )
            case AccountBack():
                self._alerts.send(account_messages.account_back(event.away_s))
            case MarketStale():
                regime, stop = self._position()
                self._alerts.send(account_messages.market_stale(rules, event.age_s, regime, stop=stop), logging.WARNING)
            case MarketFresh():
                self._alerts.send(account_messages.market_recovered(event.silent_s))
            case ExitAged():
                text = event_messages.exit_slow(rules, event.kind, event.age_s, event.filled_base, event.slippage_frac)
                self._alerts.send(text, logging.WARNING)
            case LateOrder(adopted=True):
                self._alerts.send(recovery_messages.exit_resumed(rules, event.late_exit))
            case LateOrder():
                self._alerts.send(recovery_messages.late_order_cancelled(rules, event.late_exit), logging.WARNING)
            case BreakerTripped():
                self._alerts.send(risk_messages.breaker_tripped(rules, event.trip), logging.WARNING)
            case BreakerLifted():
                self._alerts.send(risk_messages.breaker_lifted(event.breaker))
            case FeeUnpriced():
                self._alerts.send(risk_messages.fee_unpriced(event.asset, rules.quote_asset), logging.WARNING)
            case BalanceMoved():
                self._alerts.send(
                    risk_messages.balance_moved(event.asset, event.expected, event.actual), logging.WARNING
                )
            case _:
                logger.debug("trading event without an alert: %s", event)

    def _position(self) -> tuple[Regime | None, bool]:
        """Return the asset held, and whether a stop is set for it."""
        view = self._view()
        return (None, False) if view is None else (view.regime, view.stop is not None)

    def _reason(self, refused: CommandRefused) -> str:
        """Return why the command was refused.

        If trading is paused, name the cause of the pause and when the pause ends.
        """
        view = self._view()
        if view is None:
            return refused.reason
        return risk_messages.refusal_reason(refused.reason, view.trips, paused=view.paused)

    def _send_once_an_hour(self, topic: object, text: str, level: int = logging.INFO) -> None:
        """Send `text` as an alert at most once an hour for each topic; in between, log it as a DEBUG line."""
        if self._is_due(topic):
            self._alerts.send(text, level)
        else:
            logger.debug("%s", text)

    def _announce_channel_event(self, topic: object, text: str) -> None:
        """Show and log each event of the channel.

        Once an hour, send one as an alert, with the number of events since the last alert.
        """
        if not self._is_due(topic):
            self._not_sent[topic] += 1
            logger.info("%s", text)
            return
        more = self._not_sent.pop(topic, 0)
        self._alerts.send(f"{text} ({more} more since the last alert)" if more else text, logging.INFO)

    def _is_due(self, topic: object) -> bool:
        """Return whether this is the first call for `topic`, or the first one since an hour after its last True."""
        now_ms = self._market_ms()
        sent_ms = self._sent_ms.get(topic)
        if sent_ms is not None and now_ms - sent_ms < _REPEAT_AFTER_MS:
            return False
        self._sent_ms[topic] = now_ms
        return True
