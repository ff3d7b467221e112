"""A start, tried out: every step the daemon takes on the wire, each with what came of it.

A step that fails stops only those that need it. Nothing here trades: the orders of the last step are the
smallest there are, far from the market, post-only, and gone again before it ends.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.auth import permissions
from trailingedge.auth.manager import KeyManager
from trailingedge.auth.permissions import Permissions
from trailingedge.commands.checks import stream_check, test_order
from trailingedge.commands.checks.environment import CheckTarget, CheckTools
from trailingedge.commands.checks.result import CheckResult, failure, passed, skipped, warning
from trailingedge.commands.checks.stream_check import StreamCheck, meanwhile
from trailingedge.config import Settings
from trailingedge.config_validator import effective_rules, problems_with_exchange, warnings_with_exchange
from trailingedge.core.errors import (
    ConfigError,
    ExchangeUnreachable,
    ExitCode,
    LogonRefused,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    SessionLost,
)
from trailingedge.live import factory
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import ZERO, BookTop, SymbolRules, format_plain
from trailingedge.model.market_state import MarketState
from trailingedge.notifications import messages
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.regime import more_valuable_regime
from trailingedge.websocket import market_fetch
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.account_stream import AccountStream
from trailingedge.websocket.api_session import ApiSession

_CLOCK_MAY_BE_OFF_MS: Final = 1000

ResultCallback = Callable[[CheckResult], None]
AskPermissions = Callable[[KeyManager, str, int], Awaitable[Permissions]]


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One thing to try. `needs` names those that must have come true before."""

    name: str
    take: Callable[[], Awaitable[CheckResult | Sequence[CheckResult]]]
    needs: tuple[str, ...] = ()


class OnlineChecks:
    """One connection, and what is tried over it. `run` it once; `tell` hears each finding as it is made.

    `place`: a canary order may really be placed, else it is only tested, and `why_not` says why. `thorough` False
    looks and does not touch: no streams and no order of any kind.
    """

    # What earlier steps have found, for those that need them.
    _api: ApiSession
    _account: AccountSession
    _rules: SymbolRules
    _maker_fee: Decimal
    _top: BookTop

    def __init__(
        self,
        settings: Settings,
        venue: CheckTarget,
        tell: ResultCallback,
        *,
        thorough: bool = True,
        place: bool = False,
        why_not: str = "",
        means: CheckTools | None = None,
        ask_permissions: AskPermissions = permissions.fetch_permissions,
    ) -> None:
        self._settings = settings
        self._venue = venue
        self._tell = tell
        self._thorough = thorough
        self._place = place
        self._why_not = why_not
        self._means = means or CheckTools()
        self._ask_permissions = ask_permissions
        self._clock = self._means.clock
        self._server_clock = ServerClock(self._clock)
        self._told_of: set[str] = set()  # client order ids that the account's events told of
        self._came_true: set[str] = set()
        self._stack = contextlib.AsyncExitStack()

    async def run(self) -> None:
        """Take every step."""
        async with self._stack:
            for step in self._steps():
                for finding in await self._taken(step):
                    self._tell(finding)

    def _steps(self) -> list[CheckStep]:
        looks = [
            CheckStep("connection", self._connect),
            CheckStep("clock", self._measure_clock, ("connection",)),
            CheckStep("logon", self._log_on, ("connection", "clock")),
            CheckStep("key permissions", self._judge_key),
            CheckStep("rules", self._agree_on_rules, ("connection",)),
            CheckStep("fee", self._agree_on_fee, ("logon", "rules")),
            CheckStep("funds", self._look_at_funds, ("logon", "rules", "fee")),
            CheckStep("own orders", self._look_at_orders, ("logon",)),
        ]
        if not self._thorough:
            return looks
        return [
            *looks,
            CheckStep("candles", self._fetch_candles, ("rules",)),
            CheckStep(stream_check.NAME, self._listen_to_market, ("rules",)),
            CheckStep(test_order.NAME, self._send_canary, ("funds",)),
        ]

    async def _taken(self, step: CheckStep) -> Sequence[CheckResult]:
        """What came of `step`."""
        missing = [need for need in step.needs if need not in self._came_true]
        if missing:
            return [skipped(step.name, f"it needs what failed above: {missing[0]}")]
        try:
            found = await step.take()
        except (ConfigError, LogonRefused) as wrong:
            problems = wrong.problems if isinstance(wrong, ConfigError) else [str(wrong)]
            return [failure(step.name, problem) for problem in problems]
        except (SessionLost, OutcomeUnknown, ExchangeUnreachable) as away:
            wait_s = away.wait_s if isinstance(away, SessionLost) else 0.0
            again = f"try again in {wait_s:.0f} s" if wait_s else "try again"
            remedy = f"see that this machine is online and the address is right, and {again}"
            return [failure(step.name, str(away), remedy, code=ExitCode.UNREACHABLE)]
        except (RequestRefused, ProtocolViolation) as odd:
            return [failure(step.name, f"the exchange said: {odd}", code=ExitCode.UNEXPECTED)]
        findings = [found] if isinstance(found, CheckResult) else found
        if all(finding.code is ExitCode.OK for finding in findings):
            self._came_true.add(step.name)
        return findings

    # The account's connection ----------------------------------------------------------------

    async def _connect(self) -> CheckResult:
        url, began_s = self._venue.endpoints.ws_api_url, self._clock.now_s()
        try:
            socket = await self._means.dial(url)
        except SessionLost as lost:
            raise SessionLost(f"{url}: {lost}", lost.wait_s) from lost
        self._stack.push_async_callback(socket.close)
        self._api = ApiSession(
            socket,
            self._clock,
            lambda _: None,  # nobody follows: we are gone soon
            on_open=_nothing,
            on_watch=_nothing,
            server_ms=self._server_clock.now_ms,
        )
        await self._stack.enter_async_context(meanwhile(self._converse(self._api)))
        return passed("connection", f"{url}, {(self._clock.now_s() - began_s) * 1000:.0f} ms")

    @staticmethod
    async def _converse(api: ApiSession) -> None:
        try:
            await api.run()
        except SessionLost as lost:  # whoever waits for an answer hears of it
            api.on_lost(lost)

    async def _measure_clock(self) -> CheckResult:
        await self._server_clock.measure(self._api)
        off_ms = self._server_clock.offset_ms
        said = f"the exchange's is {off_ms:+d} ms from ours, an answer takes {self._server_clock.round_trip_ms:.0f} ms"
        if abs(off_ms) < _CLOCK_MAY_BE_OFF_MS:
            return passed("clock", said)
        return warning("clock", said, "it is reckoned with, but have the system's clock set over the network")

    async def _log_on(self) -> CheckResult:
        keys, symbol = self._venue.keys, self._settings.symbol
        self._account = AccountSession(self._api, keys, self._server_clock, symbol, self._settings.recv_window_ms)
        stream = AccountStream(
            symbol,
            MarketState(klines_maxlen=1),
            self._clock,
            on_report=lambda report: self._told_of.add(report.client_order_id),
        )
        ear = stream.open_buffer(lambda _: None)
        self._api.on_event = ear.on_event
        await self._account.open()
        ear.release()
        return passed("logon", "the key is accepted, and the account's events are subscribed to")

    async def _judge_key(self) -> Sequence[CheckResult]:
        name = "key permissions"
        url = permissions.base_url(self._settings.trading_mode.value, self._settings.binance_ws_api_url)
        if url is None:
            return [skipped(name, "only Binance itself tells them, in live")]
        try:
            told = await self._ask_permissions(self._venue.keys, url, self._server_clock.now_ms())
        except (RequestRefused, OutcomeUnknown, ProtocolViolation) as trouble:
            return [warning(name, f"not learned: {trouble}", "see for yourself at Binance, API Management")]
        judged = permissions.assess(told)
        found = [failure(name, problem) for problem in judged.problems]
        found += [warning(name, said) for said in judged.warnings]
        return found or [passed(name, "it may trade, not withdraw, and from chosen addresses alone")]

    # What may be traded ----------------------------------------------------------------------

    async def _agree_on_rules(self) -> Sequence[CheckResult]:
        settings = self._settings
        told, _ = await market_fetch.exchange_info(self._api, settings.symbol)
        wrong = problems_with_exchange(settings, told, ZERO)
        rules = self._rules = effective_rules(settings, told)
        if wrong:
            return [failure("rules", problem) for problem in wrong]
        grid = f"tick {format_plain(rules.tick_size)}, lot {format_plain(rules.step_size)}"
        said = f"{rules.symbol}: {grid}, least order {messages.notional(rules, rules.min_notional)}"
        if not rules.trading:
            return [warning("rules", f"{said}, status {rules.status}", "the daemon waits until it trades again")]
        return [passed("rules", said)]

    async def _agree_on_fee(self) -> Sequence[CheckResult]:
        settings, rules = self._settings, self._rules
        told = await self._account.commission()
        self._maker_fee = told.maker if settings.fee is None else settings.fee
        wrong = problems_with_exchange(settings, rules, told.maker)
        found = [failure("fee", problem) for problem in wrong]
        found += [warning("fee", said) for said in warnings_with_exchange(settings, told.maker)]
        return found or [passed("fee", f"maker {messages.rate(told.maker)}, taker {messages.rate(told.taker)}")]

    async def _look_at_funds(self) -> CheckResult:
        settings, rules = self._settings, self._rules
        free = {balance.asset: balance.free for balance in (await self._account.balances()).balances}
        top = self._top = await market_fetch.book(self._api, rules.symbol)
        base, quote = free.get(rules.base_asset, ZERO), free.get(rules.quote_asset, ZERO)
        value = messages.notional(rules, base * top.bid + quote)
        said = f"{messages.quantity(rules, base)} and {messages.notional(rules, quote)} free, worth {value}"
        params = factory.strategy_params(settings, rules, float(self._maker_fee))
        held = more_valuable_regime(Holdings(base - settings.reserve_base, quote - settings.reserve_quote), top, params)
        if held is None:
            remedy = "fund the account, or lower RESERVE_BASE and RESERVE_QUOTE"
            return warning("funds", f"{said}: too little for the least order", remedy)
        return passed("funds", f"{said}: it would start with {messages.held_asset(rules, held)}")

    async def _look_at_orders(self) -> CheckResult:
        found = await self._account.open_orders()
        own = [order.client_order_id for order in found if is_own(order.client_order_id)]
        others = f", {len(found) - len(own)} of others, which are never touched" if len(found) > len(own) else ""
        if own:
            remedy = "a daemon runs, or one was killed; the next start looks after them"
            return warning("own orders", f"{', '.join(own)} open{others}", remedy)
        return passed("own orders", f"none open{others}")

    # The market, and an order ----------------------------------------------------------------

    async def _fetch_candles(self) -> CheckResult:
        settings = self._settings
        wanted, interval = settings.rolling_klines_maxlen, settings.kline_interval
        found = await market_fetch.klines(self._api, settings.symbol, interval, wanted)
        said = f"{len(found)} of {wanted}, {interval} each"
        if len(found) < settings.donchian_window + settings.donchian_shift:
            return warning("candles", said, "until there are more, the channel is not full and a gate stays shut")
        return passed("candles", said)

    async def _listen_to_market(self) -> CheckResult:
        trial = StreamCheck(self._settings, self._venue.endpoints.ws_stream_url, self._means, self._api)
        return await trial.until_heard(self._rules)

    async def _send_canary(self) -> CheckResult:
        bird = test_order.CanaryOrder(
            self._api,
            self._account,
            self._rules,
            self._server_clock,
            self._clock,
            self._told_of,
            recv_window_ms=self._settings.recv_window_ms,
            request_expires_s=factory.request_expires_s(self._settings),
        )
        if not self._rules.trading:
            return skipped(test_order.NAME, f"the symbol does not trade, its status is {self._rules.status}")
        return await (bird.place(self._top) if self._place else bird.test(self._top, self._why_not))


async def _nothing(_: ApiSession) -> None:
    """Nothing is to be done over a connection that we open ourselves."""
