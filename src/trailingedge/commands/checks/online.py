"""Online checks: rehearse the steps of a start that need the exchange, one finding per step.

Requests and criteria are those of the daemon's start (`live.start_queries`). If a step fails, only the steps that need
it are skipped. No check trades: the order of the last step is not meant to fill. It is the smallest that the exchange
accepts, post-only, far from the market, and cancelled before the step ends.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from trailingedge.auth import api_key_permissions
from trailingedge.auth.api_key_permissions import Permissions
from trailingedge.auth.manager import KeyManager
from trailingedge.commands.checks import canary_order, market_stream_check
from trailingedge.commands.checks.check_target import CheckTarget, CheckTools
from trailingedge.commands.checks.market_stream_check import StreamCheck
from trailingedge.commands.checks.result import CheckResult, failure, passed, skipped, warning
from trailingedge.commands.checks.short_session import open_session
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
from trailingedge.live.node_params import CheckParams
from trailingedge.live.start_queries import FeeResult, RulesResult, StartSteps
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import ZERO, BookTop, SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.model.order_size import largest_order_is_too_small
from trailingedge.notifications import event_messages
from trailingedge.notifications.account_messages import no_order_possible
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.unit_value import more_valuable_regime
from trailingedge.websocket import market_fetch
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.account_stream import AccountStream
from trailingedge.websocket.api_connection import ApiSession

_CLOCK_MAY_BE_OFF_MS: Final = 1000

ResultCallback = Callable[[CheckResult], None]
AskPermissions = Callable[[KeyManager, str, int], Awaitable[Permissions]]


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One step of the online checks. `needs` names the steps that must have passed before."""

    name: str
    run: Callable[[], Awaitable[CheckResult | Sequence[CheckResult]]]
    needs: tuple[str, ...] = ()


class OnlineChecks:
    """Runs the checks once over one connection; `on_result` receives each finding as it is made.

    If `thorough` is False, candles, market stream and canary order are not checked. If `place` is
    True, the canary order is placed; otherwise it is only tested, and `why_not` says why.
    """

    # Results of earlier steps, for the steps that need them.
    _api: ApiSession
    _account: AccountSession
    _requests: StartSteps
    _rules: RulesResult
    _fee: FeeResult
    _top: BookTop

    def __init__(
        self,
        params: CheckParams,
        target: CheckTarget,
        on_result: ResultCallback,
        *,
        thorough: bool = True,
        place: bool = False,
        why_not: str = "",
        tools: CheckTools | None = None,
        ask_permissions: AskPermissions = api_key_permissions.fetch_permissions,
    ) -> None:
        self._params = params
        self._target = target
        self._on_result = on_result
        self._thorough = thorough
        self._place = place
        self._why_not = why_not
        self._tools = tools or CheckTools()
        self._ask_permissions = ask_permissions
        self._clock = self._tools.clock
        self._server_clock = ServerClock(self._clock)
        self._reported: set[str] = set()  # client order ids that the account's events reported
        self._passed: set[str] = set()
        self._stack = contextlib.AsyncExitStack()

    async def run(self) -> None:
        """Run every step."""
        async with self._stack:
            for step in self._steps():
                for result in await self._results_of(step):
                    self._on_result(result)

    def _steps(self) -> list[CheckStep]:
        steps = [
            CheckStep("connection", self._connect),
            CheckStep("clock", self._measure_clock, ("connection",)),
            CheckStep("logon", self._log_on, ("connection", "clock")),
            # Asked over HTTPS, so it needs no connection; its clock is exact once "clock" has passed.
            CheckStep("key permissions", self._check_permissions),
            CheckStep("rules", self._check_rules, ("connection",)),
            CheckStep("fee", self._check_fee, ("logon", "rules")),
            CheckStep("funds", self._check_funds, ("logon", "rules", "fee")),
            CheckStep("own orders", self._check_open_orders, ("logon",)),
        ]
        if not self._thorough:
            return steps
        return [
            *steps,
            CheckStep("candles", self._check_candles, ("rules",)),
            CheckStep(market_stream_check.NAME, self._check_market_stream, ("rules",)),
            # Needs the best prices that "funds" has read. Last, because it is the only step that touches the book.
            CheckStep(canary_order.NAME, self._check_order, ("funds",)),
        ]

    async def _results_of(self, step: CheckStep) -> Sequence[CheckResult]:
        missing = [need for need in step.needs if need not in self._passed]
        if missing:
            return [skipped(step.name, f"needs a check that failed above: {missing[0]}")]
        try:
            found = await step.run()
        except (ConfigError, LogonRefused) as wrong:
            problems = wrong.problems if isinstance(wrong, ConfigError) else [str(wrong)]
            return [failure(step.name, problem) for problem in problems]
        except (SessionLost, OutcomeUnknown, ExchangeUnreachable) as error:
            wait_s = error.wait_s if isinstance(error, SessionLost) else 0.0
            again = f"try again in {wait_s:.0f} s" if wait_s else "try again"
            remedy = f"check that this machine is online and the address is right, and {again}"
            return [failure(step.name, str(error), remedy, code=ExitCode.UNREACHABLE)]
        except (RequestRefused, ProtocolViolation) as error:
            return [failure(step.name, f"the exchange answered: {error}", code=ExitCode.UNEXPECTED)]
        # A warning passes: the steps that need this one can be made.
        results = [found] if isinstance(found, CheckResult) else found
        if all(result.code is ExitCode.OK for result in results):
            self._passed.add(step.name)
        return results

    # The account's connection ----------------------------------------------------------------

    async def _connect(self) -> CheckResult:
        url, began_s = self._target.endpoints.ws_api_url, self._clock.now_s()
        api = self._api = await self._stack.enter_async_context(open_session(url, self._tools, self._server_clock))
        start = self._params.start
        self._account = AccountSession(api, self._target.keys, self._server_clock, start.symbol, start.recv_window_ms)
        self._requests = StartSteps(start, api, self._account)
        return passed("connection", f"{url}, {(self._clock.now_s() - began_s) * 1000:.0f} ms")

    async def _measure_clock(self) -> CheckResult:
        await self._server_clock.measure(self._api)
        off_ms = self._server_clock.offset_ms
        round_trip_ms = self._server_clock.round_trip_ms
        text = f"the exchange's clock minus ours: {off_ms:+d} ms; a request and its reply take {round_trip_ms:.0f} ms"
        if abs(off_ms) < _CLOCK_MAY_BE_OFF_MS:
            return passed("clock", text)
        return warning(
            "clock", text, "requests are corrected by this offset; still, let the system set its clock over the network"
        )

    async def _log_on(self) -> CheckResult:
        stream = AccountStream(
            self._params.start.symbol,
            MarketState(klines_maxlen=1),
            self._clock,
            on_report=lambda report: self._reported.add(report.client_order_id),
        )
        events = stream.open_buffer(lambda _: None)
        self._api.on_event = events.on_event
        await self._account.open()
        # No earlier connection to catch up with: pass the events on at once.
        events.release()
        return passed("logon", "the key is accepted, and the account's events are subscribed to")

    async def _check_permissions(self) -> Sequence[CheckResult]:
        name, url = "key permissions", self._params.permissions_url
        if url is None:
            return [skipped(name, "only Binance reports them, in live mode")]
        try:
            found = await self._ask_permissions(self._target.keys, url, self._server_clock.now_ms())
        # An unanswered question about permissions is no reason not to trade; the daemon warns of it too.
        except (RequestRefused, OutcomeUnknown, ProtocolViolation) as error:
            return [warning(name, f"not known: {error}", "check the key's permissions at Binance, API Management")]
        judged = api_key_permissions.assess(found)
        results = [failure(name, problem) for problem in judged.problems]
        results += [warning(name, text) for text in judged.warnings]
        return results or [passed(name, "the key may trade, may not withdraw, and works from listed addresses only")]

    # What may be traded ----------------------------------------------------------------------

    async def _check_rules(self) -> Sequence[CheckResult]:
        found = self._rules = await self._requests.rules()
        if found.problems:
            return [failure("rules", problem) for problem in found.problems]
        rules = found.effective
        text = f"{rules.symbol}: {found.grid}, least order {event_messages.notional(rules, rules.min_notional)}"
        if not rules.trading:
            return [
                warning("rules", f"{text}, status {rules.status}", "the daemon waits until the symbol trades again")
            ]
        return [passed("rules", text)]

    async def _check_fee(self) -> Sequence[CheckResult]:
        fee = self._fee = await self._requests.fee(self._rules)
        results = [failure("fee", problem) for problem in fee.problems]
        results += [warning("fee", text) for text in fee.warnings]
        return results or [
            passed("fee", f"maker {event_messages.rate(fee.maker)}, taker {event_messages.rate(fee.taker)}")
        ]

    async def _check_funds(self) -> Sequence[CheckResult]:
        start, rules = self._params.start, self._rules.effective
        # Only free amounts: what is locked belongs to open orders, of which a start would keep its own.
        free = {balance.asset: balance.free for balance in (await self._account.balances()).balances}
        top = self._top = await market_fetch.book(self._api, rules.symbol)
        base, quote = free.get(rules.base_asset, ZERO), free.get(rules.quote_asset, ZERO)
        value = event_messages.notional(rules, base * top.bid + quote)
        text = f"{event_messages.quantity(rules, base)} and {event_messages.notional(rules, quote)} free, worth {value}"
        params = start.strategy_params(rules, float(self._fee.in_force))
        side_held = more_valuable_regime(Holdings(base - start.reserve_base, quote - start.reserve_quote), top, params)
        if side_held is None and largest_order_is_too_small(rules, top.bid):
            return [warning("funds", f"{text}: {no_order_possible(rules, top.bid)}", "trade another symbol")]
        if side_held is None:
            remedy = "fund the account, or lower RESERVE_BASE and RESERVE_QUOTE"
            found = warning("funds", f"{text}: too little for the smallest order", remedy)
        else:
            found = passed("funds", f"{text}: the bot would start with {event_messages.held_asset(rules, side_held)}")
        return [found, *(warning("tick size", text) for text in self._requests.price_warnings(self._rules, top))]

    async def _check_open_orders(self) -> CheckResult:
        found = await self._account.open_orders()
        own = [order.client_order_id for order in found if is_own(order.client_order_id)]
        others = (
            f", {len(found) - len(own)} of other programs, which the daemon never touches"
            if len(found) > len(own)
            else ""
        )
        if own:
            remedy = "a daemon runs, or one was killed; the next start adopts or cancels them"
            return warning("own orders", f"{', '.join(own)} open{others}", remedy)
        return passed("own orders", f"none open{others}")

    # The market, and an order ----------------------------------------------------------------

    async def _check_candles(self) -> CheckResult:
        found = await self._requests.klines()
        if not found.fill_channel:
            return warning(
                "candles",
                found.text,
                "until there are more candles, the channel is not full and a shut gate stays shut",
            )
        return passed("candles", found.text)

    async def _check_market_stream(self) -> CheckResult:
        check = StreamCheck(self._params, self._target.endpoints.ws_stream_url, self._tools, self._api)
        return await check.run(self._symbol_rules)

    async def _check_order(self) -> CheckResult:
        rules, start = self._symbol_rules, self._params.start
        canary = canary_order.CanaryOrder(
            self._api,
            self._account,
            rules,
            self._server_clock,
            self._clock,
            self._reported,
            recv_window_ms=start.recv_window_ms,
            request_expires_s=start.request_expires_s,
        )
        if not rules.trading:
            return skipped(canary_order.NAME, f"the symbol does not trade, its status is {rules.status}")
        return await (canary.place(self._top) if self._place else canary.test(self._top, self._why_not))

    @property
    def _symbol_rules(self) -> SymbolRules:
        return self._rules.effective
