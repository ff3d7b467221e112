"""From connected to ready, step by step, each with its result shown.

A step that fails for a reason that may pass is tried again; one that a person must mend ends the start.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.config import Settings
from trailingedge.config_validator import effective_rules, problems_with_exchange, warnings_with_exchange
from trailingedge.console.plain_ui import OperatorUi
from trailingedge.core.clock import Clock
from trailingedge.core.errors import (
    ConfigError,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    StartFailed,
)
from trailingedge.execution.jumpstart import Jumpstart
from trailingedge.execution.probe_orders import ProbeOrder
from trailingedge.live import factory
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.model.market import ZERO, Balance, BookTop, Kline, OrderRecord, RateLimit, Side, SymbolRules
from trailingedge.notifications import messages, recovery_messages
from trailingedge.notifications.alerts import Alerts
from trailingedge.reconciliation.recovery import RecoveredState, recover
from trailingedge.websocket import market_fetch
from trailingedge.websocket.retry import Retry

logger = logging.getLogger(__name__)

_BOOK_WITHIN_S: Final = 10.0
_GLANCE_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class TradingTerms:
    """What the exchange and the settings agree on: effective rules, fee in force, order limits."""

    rules: SymbolRules
    fee: Decimal
    limits: tuple[RateLimit, ...]


class Startup:
    """The steps of design order: each may be awaited once the ones before it are done."""

    def __init__(
        self, settings: Settings, wire: ExchangeClient, clock: Clock, face: OperatorUi, alerts: Alerts
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._clock = clock
        self._face = face
        self._alerts = alerts
        self.unrecovered = False  # we could look after what an earlier session has left, and have not done so yet
        self.clearing = False  # own orders of an earlier session are being looked after
        self._jumpstart: Jumpstart | None = None
        self._asked = Retry(wire.api, clock, wire.server_clock.now_ms, "the exchange")

    async def connect(self) -> None:
        """Clock, logon and subscription; they are done by whoever keeps the connection."""
        began_s = self._clock.now_s()
        await self._wire.api.wait_ready()
        took_ms = (self._clock.now_s() - began_s) * 1000
        offset_ms = self._wire.server_clock.offset_ms
        self._face.show_step("connect and log on", f"ok, {took_ms:.0f} ms, clock offset {offset_ms:+d} ms")
        self.unrecovered = True

    async def agree(self) -> TradingTerms:
        """Rules and fee. Raises ConfigError with every setting that the exchange does not allow."""
        settings, api = self._settings, self._wire.api
        told, limits = await self._asked.run(lambda: market_fetch.exchange_info(api, settings.symbol))
        commission = await self._asked.run(self._wire.account.commission)
        wrong = problems_with_exchange(settings, told, commission.maker)
        if wrong:
            raise ConfigError(wrong)
        rules = effective_rules(settings, told)
        fee = commission.maker if settings.fee is None else settings.fee
        self._face.show_step(
            "rules and fee",
            f"tick {rules.tick_size.normalize():f}, lot {rules.step_size.normalize():f}, "
            f"maker fee {messages.rate(fee)}",
        )
        for warning in warnings_with_exchange(settings, commission.maker):
            self._alerts.send(warning, logging.WARNING)
        if settings.taker_escape_after_sec > 0:
            self._face.show_step(
                "taker escape", f"after {settings.taker_escape_after_sec:g} s, fee {messages.rate(commission.taker)}"
            )
        return TradingTerms(rules, fee, limits)

    async def fetch_klines(self) -> None:
        """The history, without a gap; as much of it as there is."""
        settings, api = self._settings, self._wire.api
        count = settings.rolling_klines_maxlen
        found = await self._asked.run(lambda: market_fetch.klines(api, settings.symbol, settings.kline_interval, count))
        self._wire.market_state.load_klines(found)
        if found:  # until an event tells the market's time, the newest close does
            self._wire.market_state.on_event_time(found[-1].close_ms + 1, self._clock.now_s())
        self._face.show_step("candles", f"{len(found)} of {count}, {settings.kline_interval} each")

    async def first_book(self, rules: SymbolRules) -> BookTop:
        """Wait until book and klines are there. Raises StartFailed after ten seconds."""
        snapshots = self._wire.market_state
        deadline_s = self._clock.now_s() + _BOOK_WITHIN_S
        while self._clock.now_s() < deadline_s:
            top = self._fresh_top()
            if top is not None and (snapshots.klines or snapshots.forming is not None):
                text = f"bid {messages.price(rules, top.bid)}, ask {messages.price(rules, top.ask)}"
                self._face.show_step("market streams", text)
                return top
            await self._clock.sleep(_GLANCE_S)
        missing = "candle" if self._fresh_top() else "best bid and ask"
        raise StartFailed(
            f"no {missing} of {rules.symbol} within {_BOOK_WITHIN_S:.0f} s: see whether the symbol is trading "
            f"(status {rules.status}) and whether BINANCE_WS_STREAM_URL is right"
        )

    def _fresh_top(self) -> BookTop | None:
        """The best prices, unless they are of a stream that was heard while the account was away and is gone itself."""
        age_s = self._clock.now_s() - self._wire.market_state.top_confirmed_s
        return self._wire.market_state.top if age_s < self._settings.stale_after_sec else None

    async def recover(self, terms: TradingTerms, top: BookTop) -> RecoveredState:
        """Find out where the last session was: its exit order is adopted, its other orders are cancelled."""
        settings, rules, snapshots = self._settings, terms.rules, self._wire.market_state
        await self._asked.run(self._learn_market_time)
        ground = factory.recovery_context(
            settings, rules, float(terms.fee), lambda: snapshots.top or top, self._market_ms
        )
        cancelled: list[OrderRecord] = []

        def told(order: OrderRecord) -> None:
            cancelled.append(order)
            side = order.side or Side.SELL
            text = messages.leftover_cancelled(rules, side, order.remaining, order.price, order.client_order_id)
            self._alerts.send(text, logging.WARNING)

        account = self._wire.account
        self.clearing = True
        recovered = await self._asked.run(lambda: recover(account, self._klines_between, ground, self._clock, told))
        self.clearing = self.unrecovered = False
        self._face.show_step("own open orders", f"{len(cancelled)} cancelled" if cancelled else "none")
        self._face.show_step("restart", recovery_messages.summary(rules, recovered))
        for sentence in recovered.alerts:
            self._alerts.send(sentence, logging.WARNING)
        if recovered.active_exit is not None:
            self._alerts.send(recovery_messages.exit_resumed(rules, recovered.active_exit))
        return recovered

    async def fill_balances(self, rules: SymbolRules, top: BookTop, recovered: RecoveredState) -> None:
        """Have the exchange tell the balances; with an exit in hand they are only asked for."""
        if recovered.active_exit is not None:
            settled_ms = recovered.active_exit.ended_ms
            await self._asked.run(lambda: self._wire.read_balances(settled_ms))
            self._face.show_step("jumpstart", "left out, an exit goes on")
            return
        if not rules.trading:
            self._alerts.send(messages.not_trading(rules.symbol, rules.status), logging.WARNING)
            await self._asked.run(lambda: self._wire.read_balances(settled_ms=0))
            self._face.show_step("jumpstart", f"left out, symbol status {rules.status}")
            return
        jumpstart = self._jumpstart = Jumpstart(
            self._wire.account,
            self._wire.market_state,
            rules,
            self._clock,
            lambda what, own, order: self._tell_jumpstart(rules, what, own, order),
            factory.request_expires_s(self._settings),
        )
        await self._asked.run(lambda: self._run_jumpstart(jumpstart, self._wire.market_state.top or top))

    @property
    def left(self) -> Mapping[str, ProbeOrder]:
        """Orders of a start that was broken off, by client order id: they may still be on the book."""
        return {} if self._jumpstart is None else self._jumpstart.maybe_open

    async def withdraw(self) -> None:
        """Cancel what is `left`. Raises SessionLost or OutcomeUnknown."""
        if self._jumpstart is not None:
            await self._jumpstart.cancel_all()

    async def _klines_between(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]:
        api, symbol = self._wire.api, self._settings.symbol
        return await market_fetch.klines_between(api, symbol, interval, from_ms, until_ms)

    async def _learn_market_time(self) -> None:
        """To a second, for the stream tells it only with the next candle's frame, and no decision can wait for that."""
        api, symbol = self._wire.api, self._settings.symbol
        try:
            seconds = await market_fetch.klines(api, symbol, "1s", 1)
        except (RequestRefused, OutcomeUnknown, ProtocolViolation) as trouble:
            logger.info("market time known to a candle only: %s", trouble)
            return
        for second in seconds:
            self._wire.market_state.on_event_time(second.close_ms + 1, self._clock.now_s())

    def _market_ms(self) -> int:
        return self._wire.market_state.market_ms(self._clock.now_s())

    async def _run_jumpstart(self, jumpstart: Jumpstart, top: BookTop) -> None:
        result = await jumpstart.run(top, self._wire.server_clock.now_ms())
        for asset, told, asked in result.differs:
            self._alerts.send(messages.balances_differ(asset, told, asked), logging.WARNING)
        self._face.show_step("jumpstart", "ok, balances pushed" if result.pushed else "balances asked for")

    def _tell_jumpstart(self, rules: SymbolRules, what: str, client_order_id: str, order: ProbeOrder) -> None:
        if what == "placed":
            text = messages.jumpstart_placed(rules, client_order_id, order.side, order.quantity, order.price)
        else:
            held = [self._balance(asset) for asset in (rules.base_asset, rules.quote_asset)]
            text = messages.jumpstart_cancelled(rules, client_order_id, *held)
        logger.info("%s", text)

    def _balance(self, asset: str) -> Balance:
        return self._wire.market_state.balances.get(asset) or Balance(asset, ZERO)
