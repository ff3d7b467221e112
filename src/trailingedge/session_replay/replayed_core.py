"""Replayed core: a trading core built from a session record, with the statistics and alerts that belong to it.

Theory of operation. The core is built by the daemon's own factory from the recorded settings and rules. It is given the
recorded inputs in their order, and nothing else: no clock, no connection, no event loop. The session also has a market
state with the recorded view, statistics and an announcer, so that status, alerts and `why` have the same words as in
the daemon.
"""

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol, get_type_hints

from trailingedge.accounting.statistics import RunStatistics
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.eventlog.format import CALL, CORE, REQUOTE, SHUTDOWN_TICK, RecordEntry
from trailingedge.eventlog.recorded_core import RECORDED_CALLS
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.core_factory import CoreStart, build_core
from trailingedge.live.node_builder import build_announcer
from trailingedge.live.node_components import resume_statistics
from trailingedge.live.node_params import NodeParams
from trailingedge.live.operator_queries import StatusSource
from trailingedge.model.market import ZERO, BookTop, ExecutionReport
from trailingedge.model.market_state import MarketState, StateView
from trailingedge.model.order_commands import ExecutionCommand, Replace
from trailingedge.notifications.status import StatusView
from trailingedge.session_replay.record_decoder import DECODE_ERRORS, decode_value
from trailingedge.session_replay.recorded_steps import RecordedViews, decode_top
from trailingedge.strategy.decide import Decision


class UnreadableStep(Exception):
    """Raised for a recorded input that this version cannot read, or that does not fit the inputs before it."""


class ReplayObserver(Protocol):
    """Sees the ticks and the execution reports of a replay."""

    def on_tick(self, core: TradingCore, view: StateView) -> None:
        """Called after a tick has decided, before its events are announced."""
        ...

    def on_report(self, report: ExecutionReport) -> None:
        """Called with an execution report, for an order of ours or of another client."""
        ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """The outputs of the core for one input.

    `decision` is the core's last decision; `events` are empty unless the input was a tick.
    """

    commands: Sequence[ExecutionCommand] = ()
    events: Sequence[object] = ()
    decision: Decision | None = None
    raised: Exception | None = None


class ReplayedSession:
    """Replays a recorded session: `apply` gives one recorded input to `core`.

    `core` is None until the record says that it was built. `alerts` are the texts that the daemon would send for the
    last input. `zero_ns` is the time in the record's header from which the record counts.
    """

    def __init__(self, params: NodeParams, zero_ns: int, observer: ReplayObserver | None = None) -> None:
        self.core: TradingCore | None = None
        self.alerts: list[str] = []
        self._params = params
        self._observer = observer
        self._views = RecordedViews(zero_ns)
        self._market_state = MarketState(1)
        self._now_s = 0.0
        self._server_ms = 0
        self._sampled_ms = 0
        self._planned: tuple[StateView, int] | None = None  # what the plan for the next prices is made from

    def apply(self, entry: RecordEntry) -> StepResult:
        """Give the core a recorded input, and return the core's outputs. Raises UnreadableStep."""
        self.alerts.clear()
        kind, at_ns, *fields = entry
        if kind == CORE:
            self._build(_decoded(CoreStart, fields[0]))
            return StepResult()
        if self.core is None:
            raise UnreadableStep(f"a {kind} before the core was built")
        if kind == CALL:
            return self._call(self.core, *fields)
        try:
            if kind == REQUOTE:
                self._now_s, self._server_ms, top = fields
                return self._run(self._requote, self.core, decode_top(top))
            age, server, changed = fields
            self._server_ms = decode_value(int, at_ns // 1_000_000 + server, "server_ms")
            view = self._views.view(at_ns, age, changed)
        except DECODE_ERRORS as error:
            raise UnreadableStep(str(error)) from error
        return self._tick(self.core, view, shutdown=kind == SHUTDOWN_TICK)

    def status(self) -> StatusView | None:
        """Return the present status; None before the core is built."""
        return None if self.core is None else self.source.view(0, self.announcer.reject_text)

    def record_sample(self) -> None:
        """Add the account's value to the statistics, as the daemon does every minute and at its end."""
        market_state = self._market_state
        if self.core is None or market_state.top is None:
            return
        balances, rules = market_state.balances, self.core.rules
        base, quote = (balances.get(asset) for asset in (rules.base_asset, rules.quote_asset))
        self.statistics.mark_to_market(
            market_state.market_ms(self._now_s),
            market_state.top.bid,
            ZERO if base is None else base.total,
            ZERO if quote is None else quote.total,
        )

    def _build(self, start: CoreStart) -> None:
        params = self._params
        services, terms = params.services, params.start.terms
        budget = OrderRateBudget(params.order_budget_reserve, start.windows)
        # The recorded settings lead to the recorded rules and fee; other settings may not.
        start = replace(start, rules=terms.effective_rules(start.listed), fee=terms.fee_in_force(start.fee))
        self.core = core = build_core(services, start, budget)
        self.statistics = statistics = RunStatistics(start.rules.base_asset, start.rules.quote_asset)
        self.source = StatusSource(
            services, core, statistics, self._market_state, budget, lambda: self._now_s, lambda: self._server_ms
        )
        self.announcer = build_announcer(
            services, core, statistics, self.source, self, lambda: self._market_state.market_ms(self._now_s)
        )

    def send(self, text: str, level: int = logging.INFO) -> None:  # noqa: ARG002 - the recorded session has sent it
        """Keep an alert of the announcer."""
        self.alerts.append(text)

    def _call(self, core: TradingCore, method: str, encoded: dict[str, Any]) -> StepResult:
        if method not in RECORDED_CALLS:
            raise UnreadableStep(f"this version has no input {method!r}")
        arguments = _decoded_arguments(method, encoded)
        match method:
            case "on_report":
                report = arguments["report"]
                self.statistics.on_report(report)
                if self._observer is not None:
                    self._observer.on_report(report)
            case "restore":
                active_exit, history = arguments["active_exit"], arguments.get("history")
                resume_statistics(self.statistics, arguments["state"], active_exit, history)
            case "on_transfer":
                market_ms = self._market_state.market_ms(self._now_s)
                self.statistics.on_asset_transfer(arguments["asset"], arguments["delta"], market_ms)
            case "update_rules":
                self.announcer.rules = arguments["rules"]
        return self._run(getattr(core, method), **arguments)

    def _tick(self, core: TradingCore, view: StateView, *, shutdown: bool) -> StepResult:
        self._show(view)
        self._planned = (view, self._server_ms)
        result = self._run(core.shutdown_tick if shutdown else core.tick, view, self._server_ms)
        result = replace(result, events=tuple(core.events), decision=core.decision)
        if self._observer is not None and not shutdown:
            self._observer.on_tick(core, view)
        for event in core.events:
            self.announcer.announce(event)
        core.events.clear()
        if view.market_ms - self._sampled_ms >= MINUTE_MS:
            self._sampled_ms = view.market_ms
            self.record_sample()
        return result

    def _requote(self, core: TradingCore, top: BookTop) -> list[ExecutionCommand]:
        """Do the same as the market callback: ask the plan, and give the core the plan's cancel-replace."""
        if self._planned is not None:
            core.plan_ahead(*self._planned)
        step = None if core.plan is None else core.plan.next_step(top, self._now_s)
        if not isinstance(step, Replace):
            return []
        core.on_replace_sent(step, top, self._now_s, self._server_ms)
        return [step]

    def _show(self, view: StateView) -> None:
        """Store the recorded view in the market state, from which the status is built."""
        market_state, self._now_s = self._market_state, view.now_s
        market_state.top, market_state.top_confirmed_s = view.top, view.now_s - view.top_age_s
        market_state.balances = dict(view.balances)
        market_state.account_proven = view.account_proven
        market_state.on_event_time(view.market_ms, view.now_s)

    @staticmethod
    def _run(method: Callable[..., object], *args: object, **named: object) -> StepResult:
        """Call a method of the core.

        If it raises an error, return the error as a result: the record has an error as an output, too.
        """
        try:
            answer = method(*args, **named)
        except Exception as error:  # noqa: BLE001 - compared with the recorded error like any other output
            return StepResult(raised=error)
        return StepResult(commands=answer if isinstance(answer, list) else ())


def _decoded(kind: type, encoded: object) -> Any:
    try:
        return decode_value(kind, encoded)
    except DECODE_ERRORS as error:
        raise UnreadableStep(str(error)) from error


@cache
def _parameters(method: str) -> dict[str, tuple[Any, bool]]:
    """Return the type of each parameter of a core's method, and whether it has a default."""
    function = getattr(TradingCore, method)
    hints = get_type_hints(function)
    _, *parameters = inspect.signature(function).parameters.values()
    return {each.name: (hints[each.name], each.default is not inspect.Parameter.empty) for each in parameters}


def _decoded_arguments(method: str, encoded: dict[str, Any]) -> dict[str, Any]:
    arguments = {}
    for name, (kind, optional) in _parameters(method).items():
        if name in encoded:
            try:
                arguments[name] = decode_value(kind, encoded[name], name)
            except DECODE_ERRORS as error:
                raise UnreadableStep(f"{method} {name}: {error}") from error
        elif not optional:
            raise UnreadableStep(f"{method} without {name}")
    return arguments
