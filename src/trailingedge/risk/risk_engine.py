"""Risk engine: combines pre-trade checks, circuit breakers, duplicate-instance check and balance audit."""

from dataclasses import dataclass

from trailingedge.model.market import ExecutionReport, OrderRecord
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import OrderInput, Reconciled
from trailingedge.reconciliation.exit_ledger import exit_totals
from trailingedge.reconciliation.history_types import ExitHistory, HistoricalExit
from trailingedge.risk.balance_audit import BalanceAudit, BalanceMoved
from trailingedge.risk.circuit_breakers import BreakerLimits, CircuitBreakers
from trailingedge.risk.duplicate_instance import DuplicateInstanceCheck, UnexpectedOrderAction
from trailingedge.risk.pre_trade_checks import PreTradeChecks
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.strategy_events import ExitEnded, StrategySignal


@dataclass(frozen=True, slots=True)
class DuplicateInstance:
    """An order with our client order id prefix that another instance placed."""

    client_order_id: str
    order_id: int


class RiskEngine:
    """Passes every input to the four risk checks and collects their findings.

    `duplicate_instance` is set once an order of another instance was seen. `late_orders` are orders of an earlier
    session that reached the book after our start; the trading core adopts or cancels them.
    """

    def __init__(
        self,
        checks: PreTradeChecks,
        breakers: CircuitBreakers,
        instances: DuplicateInstanceCheck,
        audit: BalanceAudit,
    ) -> None:
        self.checks = checks
        self.breakers = breakers
        self.instance_check = instances
        self.audit = audit
        self.duplicate_instance: DuplicateInstance | None = None
        self.late_orders: list[ExecutionReport | OrderRecord] = []

    def restore(self, history: ExitHistory, active_exit: HistoricalExit | None, market_ms: int) -> None:
        """Count the exits of earlier sessions. `active_exit` is the one to continue, if any."""
        self.instance_check.add_counted(order.order_id for exit_ in history.exits for order in exit_.orders)
        number = None if active_exit is None else active_exit.number
        # Only exits that have ended are restored as totals. The unfinished exit is continued.
        self.breakers.restore(exit_totals(fill for fill in history.fills if fill[0] != number), market_ms)
        if active_exit is not None:
            self.breakers.continue_exit(active_exit.side, (fill for fill in history.fills if fill[0] == number))

    def on_order_input(self, event: OrderInput, *, busy: bool) -> None:
        """Pass a reply or a report about orders to the risk checks, before anything acts on it.

        `busy` is True while an exit is in progress.
        """
        self.checks.on_order_input(event)
        if isinstance(event, ExecutionReport):
            # Breakers and audit count fills of every report, also of an order whose owner is only decided below.
            self.breakers.on_report(event)
            self.audit.on_report(event)
            self.check_owner(event, busy=busy)
        elif isinstance(event, Reconciled):
            for order in event.open_orders:
                self.check_owner(order, busy=busy)

    def check_owner(self, order: ExecutionReport | OrderRecord, *, busy: bool) -> None:
        """Find out which process sent this order, and note the action to take."""
        match self.instance_check.classify(order, busy=busy):
            case UnexpectedOrderAction.STOP:
                self.report_duplicate(order.client_order_id, order.order_id)
            case UnexpectedOrderAction.ADOPT | UnexpectedOrderAction.CANCEL:
                self.late_orders.append(order)
            case UnexpectedOrderAction.IGNORE:
                pass

    def report_duplicate(self, client_order_id: str, order_id: int) -> None:
        """Note that another instance trades with our client order ids. Only the first report is kept."""
        # The live node reads this after the tick, cancels our order and ends.
        self.duplicate_instance = self.duplicate_instance or DuplicateInstance(client_order_id, order_id)

    def on_decision(self, state: StrategyState, events: tuple[StrategySignal, ...]) -> None:
        """Note the number of the exit in `state`, and count the exits that ended in this tick."""
        # The strategy assigns the number in this tick, before the first order is sent. So the number is known as ours
        # before any report can carry it.
        if state.exit is not None:
            self.instance_check.add_own(state.exit.number)
        for event in events:
            if isinstance(event, ExitEnded):
                self.breakers.on_exit_ended(event.number)

    def audit_balances(self, view: StateView, *, balances_current: bool) -> tuple[BalanceMoved, ...]:
        """Return the balance changes that fills and fees do not explain."""
        return self.audit.compare(view.balances, view.now_s, balances_current=balances_current and view.account_proven)

    def resume(self) -> None:
        """Reset all breakers but the daily one, and the check of the high, because the operator resumes trading."""
        self.breakers.resume()
        self.checks.reset_high()


def build_risk_engine(limits: BreakerLimits, checks: PreTradeChecks, started_ms: int) -> RiskEngine:
    """Build the risk engine of a run that began at `started_ms` by the exchange's clock."""
    audit = BalanceAudit(limits.base_asset, limits.quote_asset)
    return RiskEngine(checks, CircuitBreakers(limits), DuplicateInstanceCheck(started_ms), audit)
