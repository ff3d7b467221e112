"""Those who watch over the trade, together: each hears everything and may stop it for a reason of its own."""

from dataclasses import dataclass

from trailingedge.model.market import ExecutionReport, OrderRecord
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import OrderInput, Reconciled
from trailingedge.risk.balance_audit import BalanceAudit, BalanceMoved
from trailingedge.risk.circuit_breakers import BreakerLimits, CircuitBreakers
from trailingedge.risk.duplicate_instance import DuplicateInstanceCheck, UnexpectedOrderAction
from trailingedge.risk.pre_trade_checks import PreTradeChecks
from trailingedge.strategy.signals import ExitEnded, StrategySignal
from trailingedge.strategy.state import StrategyState


@dataclass(frozen=True, slots=True)
class DuplicateInstance:
    """An order under our name that another instance placed."""

    client_order_id: str
    order_id: int


class RiskEngine:
    """Invariants, breakers, the watch for a second instance, and the audit of the balances.

    `usurper` is set once another instance has shown itself. `late` are orders of our predecessor's that
    turned up after our start, for the shell to look after.
    """

    def __init__(
        self,
        invariants: PreTradeChecks,
        breakers: CircuitBreakers,
        instances: DuplicateInstanceCheck,
        audit: BalanceAudit,
    ) -> None:
        self.checks = invariants
        self.breakers = breakers
        self.instance_check = instances
        self.audit = audit
        self.duplicate_instance: DuplicateInstance | None = None
        self.late_orders: list[ExecutionReport | OrderRecord] = []

    def on_order_input(self, event: OrderInput, *, busy: bool) -> None:
        """What came in, before anybody acts on it."""
        self.checks.on_order_input(event)
        if isinstance(event, ExecutionReport):
            self.breakers.on_report(event)
            self.audit.on_report(event)
            self.check_owner(event, busy=busy)
        elif isinstance(event, Reconciled):
            for order in event.open_orders:
                self.check_owner(order, busy=busy)

    def check_owner(self, told: ExecutionReport | OrderRecord, *, busy: bool) -> None:
        """Whose order this is."""
        match self.instance_check.classify(told, busy=busy):
            case UnexpectedOrderAction.STOP:
                self.report_duplicate(told.client_order_id, told.order_id)
            case UnexpectedOrderAction.ADOPT | UnexpectedOrderAction.CANCEL:
                self.late_orders.append(told)
            case UnexpectedOrderAction.IGNORE:
                pass

    def report_duplicate(self, client_order_id: str, order_id: int) -> None:
        """Somebody else trades under our name; the first one is remembered."""
        self.duplicate_instance = self.duplicate_instance or DuplicateInstance(client_order_id, order_id)

    def on_decision(self, memory: StrategyState, events: tuple[StrategySignal, ...]) -> None:
        """What the strategy has just decided."""
        if memory.exit is not None:
            self.instance_check.add_own(memory.exit.number)
        for event in events:
            if isinstance(event, ExitEnded):
                self.breakers.on_exit_ended(event.number)

    def audit_balances(self, view: StateView, *, settled: bool) -> tuple[BalanceMoved, ...]:
        """Balances that fills and fees do not explain."""
        return self.audit.compare(view.balances, view.now_s, settled=settled and view.account_proven)

    def resume(self) -> None:
        """The operator has looked, and goes on."""
        self.breakers.resume()
        self.checks.reset_high()


def build_risk_engine(limits: BreakerLimits, invariants: PreTradeChecks, started_ms: int) -> RiskEngine:
    """The guards of one run that began at `started_ms` by the exchange's clock."""
    audit = BalanceAudit(limits.base_asset, limits.quote_asset)
    return RiskEngine(invariants, CircuitBreakers(limits), DuplicateInstanceCheck(started_ms), audit)
