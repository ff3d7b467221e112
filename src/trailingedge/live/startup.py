"""Startup: takes the daemon from the first connection to known balances, and shows the result of each step.

A step that fails for a temporary reason is repeated. A problem that a person must correct ends the
start. `doctor` rehearses the requests of `live.start_queries`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.console.plain_ui import OperatorUi
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ConfigError, OutcomeUnknown, ProtocolViolation, RequestRefused, StartFailed
from trailingedge.execution.balance_jumpstart import Jumpstart
from trailingedge.execution.off_market_orders import ProbeOrder
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.node_components import query_balances
from trailingedge.live.node_dependencies import KeyCheck
from trailingedge.live.node_params import StartParams
from trailingedge.live.start_progress import StartProgress
from trailingedge.live.start_queries import RulesResult, StartSteps, prices_text
from trailingedge.model.market import ZERO, Balance, BookTop, Kline, OrderRecord, RateLimit, Side, SymbolRules
from trailingedge.notifications import event_messages, recovery_messages
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.reconciliation.recovery import RecoveredState, recover
from trailingedge.websocket import market_fetch
from trailingedge.websocket.retry import Retry

logger = logging.getLogger(__name__)

_BOOK_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class TradingTerms:
    """The terms of trading: listed rules, effective rules with our stricter limits, fee and order limits."""

    listed: SymbolRules
    rules: SymbolRules
    fee: Decimal
    limits: tuple[RateLimit, ...]


class Startup:
    """The steps of a start, in the order of the methods; each is awaited after the steps before it."""

    def __init__(
        self,
        params: StartParams,
        client: ExchangeClient,
        clock: Clock,
        ui: OperatorUi,
        alerts: Alerts,
        progress: StartProgress,
    ) -> None:
        self._params = params
        self._client = client
        self._market_state = client.market_state
        self._clock = clock
        self._ui = ui
        self._alerts = alerts
        self._steps = StartSteps(params, client.api, client.account)
        self._progress = progress
        self._retry = Retry(client.api, clock, client.server_clock.now_ms, "the exchange", progress.on_attempt_failed)
        self._rules: RulesResult | None = None  # None until the exchange has sent them
        self._jumpstart: Jumpstart | None = None
        # For the shutdown of a start that is stopped: orders of an earlier session may still be on the book.
        self.recovery_due = False  # logged on, and recovery is not complete
        self.recovering = False  # recovery is cancelling orders now

    async def connect(self) -> None:
        """Wait until `ExchangeClient` has measured the clock, logged on and subscribed to the account's events."""
        self._progress.begin("connect and log on")
        began_s = self._clock.now_s()
        await self._client.api.wait_ready()
        took_ms = (self._clock.now_s() - began_s) * 1000
        offset_ms = self._client.server_clock.offset_ms
        self._ui.show_step("connect and log on", f"ok, {took_ms:.0f} ms, clock offset {offset_ms:+d} ms")
        self.recovery_due = True

    async def check_key(self, verify: KeyCheck) -> None:
        """Check the permissions of the key. Raises ConfigError for a key that must not be used."""
        self._progress.begin("key permissions")
        await verify(self._client.server_clock.now_ms())

    async def agree_on_terms(self) -> TradingTerms:
        """Request rules and fee. Raises ConfigError that lists all settings that the exchange does not allow."""
        self._progress.begin("rules and fee")
        rules = await self._retry.run(self._steps.rules)
        fee = await self._retry.run(lambda: self._steps.fee(rules))
        # All problems in one list: a person should have to correct the settings once.
        if fee.problems:
            raise ConfigError(list(fee.problems))
        self._ui.show_step("rules and fee", f"{rules.grid}, maker fee {event_messages.rate(fee.in_force)}")
        for warning in fee.warnings:
            self._alerts.send(warning, logging.WARNING)
        escape_after_s = self._params.escape_after_s
        if escape_after_s > 0:
            self._ui.show_step("taker escape", f"after {escape_after_s:g} s, fee {event_messages.rate(fee.taker)}")
        self._rules = rules
        return TradingTerms(rules.listed, rules.effective, fee.in_force, rules.limits)

    async def load_klines(self) -> None:
        """Load the kline history."""
        self._progress.begin("candles")
        found = await self._retry.run(self._steps.klines)
        self._market_state.load_klines(found.klines)
        if found.klines:  # until an event carries the market's time, the newest close does
            self._market_state.on_event_time(found.klines[-1].close_ms + 1, self._clock.now_s())
        self._ui.show_step("candles", found.text)

    async def first_book(self, rules: SymbolRules) -> BookTop:
        """Wait for the first best prices and the first kline of the stream. Raises StartFailed after ten seconds."""
        self._progress.begin("market streams")
        market_state = self._market_state
        deadline_s = self._clock.now_s() + _BOOK_WITHIN_S
        while self._clock.now_s() < deadline_s:
            top = self._fresh_top()
            if top is not None and (market_state.klines or market_state.forming is not None):
                self._ui.show_step("market streams", prices_text(rules, top))
                for warning in [] if self._rules is None else self._steps.price_warnings(self._rules, top):
                    self._alerts.send(warning, logging.WARNING)
                return top
            await self._clock.sleep(_POLL_S)
        missing = "candle" if self._fresh_top() else "best bid and ask"
        failure = self._client.market.last_failure
        reason = f" ({failure})" if failure else ""
        raise StartFailed(
            f"no {missing} of {rules.symbol} within {_BOOK_WITHIN_S:.0f} s{reason}: check whether the symbol is "
            "trading "
            f"(status {rules.status}) and whether BINANCE_WS_STREAM_URL is right"
        )

    def _fresh_top(self) -> BookTop | None:
        """Return the best prices, or None if they are stale.

        They may be stale because the stream was lost while the start waited for the account.
        """
        age_s = self._clock.now_s() - self._market_state.top_confirmed_s
        return self._market_state.top if age_s < self._params.stale_after_s else None

    async def recover(self, terms: TradingTerms, top: BookTop) -> RecoveredState:
        """Recover the state of the last session: its exit order is adopted, its other orders are cancelled."""
        self._progress.begin("own open orders")
        rules, market_state = terms.rules, self._market_state
        # Recovery works by the market's time, which is known only to a candle until the stream's next frame.
        await self._retry.run(self._measure_market_time)
        context = self._params.recovery_context(
            rules, float(terms.fee), lambda: market_state.top or top, self._market_ms
        )
        cancelled: list[OrderRecord] = []

        def on_cancelled(order: OrderRecord) -> None:
            cancelled.append(order)
            side = order.side or Side.SELL
            text = event_messages.leftover_cancelled(rules, side, order.remaining, order.price, order.client_order_id)
            self._alerts.send(text, logging.WARNING)

        # Set before the first request: a shutdown during recovery must cancel what recovery may leave half done.
        account = self._client.account
        self.recovering = True
        recovered = await self._retry.run(
            lambda: recover(account, self._klines_between, context, self._clock, on_cancelled)
        )
        self.recovering = self.recovery_due = False
        self._ui.show_step("own open orders", recovery_messages.own_open_orders(recovered, len(cancelled)))
        self._ui.show_step("restart", recovery_messages.summary(rules, recovered))
        for alert in recovered.alerts:
            self._alerts.send(alert, logging.WARNING)
        if recovered.active_exit is not None:
            self._alerts.send(recovery_messages.exit_resumed(rules, recovered.active_exit))
        return recovered

    async def fill_balances(self, rules: SymbolRules, top: BookTop, recovered: RecoveredState) -> None:
        """Get the balances, from the account's stream or by a query.

        Usually a jumpstart order makes the stream push the balances, which proves that the stream works. The balances
        are queried instead if an exit is in progress, because the jumpstart order could disturb it, or if the symbol is
        not trading.
        """
        self._progress.begin("balances")
        if recovered.active_exit is not None:
            settled_ms = recovered.active_exit.ended_ms
            await self._retry.run(lambda: self._query_balances(settled_ms))
            self._ui.show_step("jumpstart", "skipped, an exit is in progress")
            return
        if not rules.trading:
            self._alerts.send(event_messages.not_trading(rules.symbol, rules.status), logging.WARNING)
            await self._retry.run(lambda: self._query_balances(settled_ms=0))
            self._ui.show_step("jumpstart", f"skipped, symbol status {rules.status}")
            return
        jumpstart = self._jumpstart = Jumpstart(
            self._client.account,
            self._market_state,
            rules,
            self._clock,
            lambda what, own, order: self._log_jumpstart(rules, what, own, order),
            self._params.request_expires_s,
        )
        await self._retry.run(lambda: self._run_jumpstart(jumpstart, self._market_state.top or top))

    @property
    def left(self) -> Mapping[str, ProbeOrder]:
        """Jumpstart orders that may still be on the book, by client order id."""
        return {} if self._jumpstart is None else self._jumpstart.maybe_open

    async def cancel_left(self) -> None:
        """Cancel the jumpstart orders in `left`. Raises SessionLost or OutcomeUnknown."""
        if self._jumpstart is not None:
            await self._jumpstart.cancel_all()

    async def _query_balances(self, settled_ms: int) -> None:
        await query_balances(self._client.account, self._market_state, settled_ms)

    async def _klines_between(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]:
        return await market_fetch.klines_between(self._client.api, self._params.symbol, interval, from_ms, until_ms)

    async def _measure_market_time(self) -> None:
        """Query the exchange's time, which is exact to a second here, and store it.

        Without this query the time would be unknown until the stream's next candle.
        """
        try:
            seconds = await market_fetch.klines(self._client.api, self._params.symbol, "1s", 1)
        except (RequestRefused, OutcomeUnknown, ProtocolViolation) as error:
            logger.info("query of the market's time failed, using the close time of the last candle reason=%s", error)
            return
        for second in seconds:
            self._market_state.on_event_time(second.close_ms + 1, self._clock.now_s())

    def _market_ms(self) -> int:
        return self._market_state.market_ms(self._clock.now_s())

    async def _run_jumpstart(self, jumpstart: Jumpstart, top: BookTop) -> None:
        result = await jumpstart.run(top, self._client.server_clock.now_ms())
        for asset, pushed, queried in result.differs:
            self._alerts.send(event_messages.balances_differ(asset, pushed, queried), logging.WARNING)
        self._ui.show_step(
            "jumpstart",
            "ok, the stream sent the balances"
            if result.pushed
            else "the stream sent no balances, so a query read them",
        )

    def _log_jumpstart(self, rules: SymbolRules, what: str, client_order_id: str, order: ProbeOrder) -> None:
        if what == "placed":
            text = event_messages.jumpstart_placed(rules, client_order_id, order.side, order.quantity, order.price)
        else:
            balances = [self._balance(asset) for asset in (rules.base_asset, rules.quote_asset)]
            text = event_messages.jumpstart_cancelled(rules, client_order_id, *balances)
        logger.info("%s", text)

    def _balance(self, asset: str) -> Balance:
        return self._market_state.balances.get(asset) or Balance(asset, ZERO)
