"""Operator queries: the answers to status, why, balance and today, and the final summary."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from trailingedge.accounting.session_results import session_results
from trailingedge.accounting.statistics import DailyResults, RunStatistics
from trailingedge.accounting.summary_json import day_json
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.node_params import ServicesParams
from trailingedge.model.market_state import MarketState
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.notifications import query_answers, result_messages, results_answers
from trailingedge.notifications.announcer import Announcer
from trailingedge.notifications.build_status import build_status
from trailingedge.notifications.explain import why
from trailingedge.notifications.flip_preview import flip_preview
from trailingedge.notifications.level_history import LevelHistory, LevelSample, of_klines
from trailingedge.notifications.status import StatusView, as_data, status


class StatusSource:
    """Builds the current status, for the operator's queries and for the figures in the announcer's alerts."""

    def __init__(
        self,
        params: ServicesParams,
        core: TradingCore,
        statistics: RunStatistics,
        market_state: MarketState,
        budget: OrderRateBudget,
        now_s: Callable[[], float],
        server_ms: Callable[[], int],
        daily_results: DailyResults | None = None,
    ) -> None:
        self._params = params
        self._core = core
        self._statistics = statistics
        self._market_state = market_state
        self._budget = budget
        self._now_s = now_s
        self._server_ms = server_ms
        self._daily_results = daily_results or DailyResults(statistics)
        self._started_s = now_s()
        self._history = LevelHistory(of_klines(market_state.klines))

    def record_sample(self) -> None:
        """Add the present price and levels to the history that charts show."""
        view = self.view()
        if view.top is None:
            return
        sample = LevelSample(
            market_ms=view.market_ms,
            bid=view.top.bid,
            lower=view.lower,
            mid=view.mid,
            upper=view.upper,
            anchor=view.anchor,
            high=view.high,
            take_profit=view.take_profit,
            stop=view.stop,
            gate_shut=view.gate is not None,
        )
        self._history.add(sample)

    def view(self, reconnects: int = 0, rejection: str | None = None) -> StatusView:
        """Return the current status.

        `rejection` is the exchange's reason if it rejected the last order, else None.
        """
        trading, active = self._params.trading, self._core.state.exit
        # Built for each question again: it is cheap, and a cached one could show a halt that is over.
        view = build_status(
            self._core,
            self._market_state,
            self._now_s(),
            mode=self._params.mode,
            reconnects=reconnects,
            stale_after_s=trading.stale_after_s,
            kline_interval=self._params.kline_interval,
            reserve_base=trading.reserve_base,
            reserve_quote=trading.reserve_quote,
            budget_short=self._budget.is_short(self._server_ms()),
            reject_text=rejection,
            replaces=0 if active is None else self._statistics.replaces_of(active.number),
            halt_reason=self._core.halt_reason,
        )
        return replace(
            view,
            results=session_results(self._statistics, self._daily_results),
            uptime_s=self._now_s() - self._started_s,
            samples=self._history.samples,
        )


class OperatorQueries:
    """Answers the operator's questions; an answer changes nothing.

    `reconnects` is the number of reconnects since the start.
    """

    def __init__(
        self,
        source: StatusSource,
        core: TradingCore,
        announcer: Announcer,
        statistics: RunStatistics,
        daily_results: DailyResults,
        mode: str,
    ) -> None:
        self._source = source
        self._core = core
        self._announcer = announcer
        self._statistics = statistics
        self._daily_results = daily_results
        self._mode = mode

    def warm_up(self) -> None:
        """Build every answer once before trading begins: the first of each kind is slow and would delay a tick."""
        for answer in (self.status, self.why):
            answer(0)
        self.balance()
        self.today()
        self.preview(None)

    def record_sample(self) -> None:
        """Add the present price and levels to the history that charts show."""
        self._source.record_sample()

    def view(self, reconnects: int) -> StatusView:
        """Return the current status, with the reason if the last order was rejected."""
        return self._source.view(reconnects, self._announcer.reject_text)

    def status(self, reconnects: int) -> CommandResult:
        """Return the status in one line."""
        view = self.view(reconnects)
        return CommandResult(status(view), data=as_data(view))

    def why(self, reconnects: int) -> CommandResult:
        """Explain why the strategy trades now, or why it does not."""
        view = self.view(reconnects)
        text = why(view)
        return CommandResult(text, data={**as_data(view), "why": text})

    def balance(self) -> CommandResult:
        """Return the account's balances."""
        view = self.view(0)
        return CommandResult(query_answers.balance(view), data=as_data(view))

    def today(self) -> CommandResult:
        """Return the result of the day since 00:00 UTC."""
        day = self._daily_results.today()
        if day is None:
            return CommandResult("no results of today are known yet", done=False)
        return CommandResult(
            query_answers.today(self._core.rules, self._mode, day, self._core.state.regime),
            data=day_json(day),
        )

    def results(self, question: OperatorCommand, argument: str) -> CommandResult:
        """Return the last days, the last trades or the profit of the run.

        `argument` is the number of days or trades, "" for the usual one.
        """
        if not self._statistics.from_ms:
            return CommandResult("no results are known yet", done=False)
        rules, results = self._core.rules, self._statistics.results()
        try:
            if question is OperatorCommand.DAILY:
                count = results_answers.read_count(argument, results_answers.USUAL_DAYS, results_answers.MOST_DAYS)
                text = results_answers.daily(rules, self._mode, results, count)
                return CommandResult(text, data=results_answers.daily_data(results, count))
            if question is OperatorCommand.TRADES:
                count = results_answers.read_count(argument, results_answers.USUAL_TRADES, results_answers.MOST_TRADES)
                text = results_answers.trades(rules, self._mode, results, count)
                return CommandResult(text, data=results_answers.trades_data(rules, results, count))
        except ValueError as wrong:
            return CommandResult(f"{question.value}: {wrong}", done=False)
        text = results_answers.profit(rules, self._mode, results)
        return CommandResult(text, data=results_answers.profit_data(results))

    def preview(self, refusal: str | None) -> CommandResult:
        """Return the preview of a flip at the present price.

        `refusal` is the reason why the strategy would not buy, or None.
        """
        view = self.view(0)
        found = flip_preview(view, refusal if view.trading_paused else None)
        if isinstance(found, str):
            return CommandResult(found, done=False)
        return CommandResult(found.text, data=found.as_data())

    def summary(self, gaps: Sequence[str]) -> str:
        """Return the result of the whole session in several lines.

        `gaps` describe the market data that the session missed.
        """
        return result_messages.summary(self._core.rules, self._statistics.results(), gaps, self._mode)
