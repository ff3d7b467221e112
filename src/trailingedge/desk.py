"""The desk: who decides, who words it and who counts, once the exchange's rules are known."""

import logging
from decimal import Decimal

from trailingedge import wiring
from trailingedge.clock import Clock
from trailingedge.config import Settings
from trailingedge.execution.budget import OrderBudget
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.note import Scene
from trailingedge.execution.own_exits import own_exits
from trailingedge.execution.recovery import Recovered
from trailingedge.execution.trader import Trader
from trailingedge.market import ZERO, ExecutionReport, SymbolRules
from trailingedge.notifications import texts
from trailingedge.notifications.alerts import Alerts
from trailingedge.notifications.announcer import Announcer
from trailingedge.notifications.status import StatusView
from trailingedge.snapshots import Snapshots
from trailingedge.strategy.regime import price_at
from trailingedge.tally import Tally

logger = logging.getLogger(__name__)


class Desk:
    """One trade's minds, told of nothing but snapshots. `fee` is the maker fee in force.

    `started_ms` is the exchange's clock once logged on.
    """

    def __init__(
        self,
        settings: Settings,
        rules: SymbolRules,
        fee: Decimal,
        snapshots: Snapshots,
        budget: OrderBudget,
        alerts: Alerts,
        clock: Clock,
        *,
        started_ms: int,
        paused: bool,
    ) -> None:
        channel = wiring.channel(settings)
        for kline in snapshots.klines:
            channel.close(kline)
        self.fee = fee
        self.tally = Tally(rules.base_asset, rules.quote_asset)
        self.trader = Trader(
            wiring.strategy_params(settings, rules, float(fee)),
            wiring.trader_params(settings),
            MakerExit(rules, budget, wiring.chase_params(settings)),
            channel,
            wiring.guards(settings, rules, started_ms),
            rules.base_asset,
            rules.quote_asset,
            paused=paused,
        )
        self._announcer = Announcer(rules, self.tally, alerts, self.market_ms)
        self._mode = settings.trading_mode.value
        self._snapshots = snapshots
        self._alerts = alerts
        self._clock = clock

    @property
    def rules(self) -> SymbolRules:
        """Those in force."""
        return self.trader.rules

    def learn_rules(self, rules: SymbolRules) -> None:
        """The exchange's rules were read again."""
        before = self.rules
        if rules == before:
            return
        logger.info("rules changed from=%s to=%s", before, rules)
        self.trader.learn_rules(rules)
        self._announcer.rules = rules
        if rules.trading and not before.trading:
            self._alerts.send(texts.trading_again(rules.symbol))
        elif before.trading and not rules.trading:
            self._alerts.send(texts.not_trading(rules.symbol, rules.status), logging.WARNING)

    def restore(self, recovered: Recovered) -> None:
        """Go on where an earlier session was; before the first beat."""
        memory, in_hand = recovered.memory, recovered.in_hand
        self.trader.restore(memory, in_hand, self._clock.now_s())
        if memory.regime is not None:
            self.tally.resume(price_at(memory.regime, memory.anchor))
        number = None if in_hand is None else in_hand.number
        fills = recovered.history.fills
        breakers = self.trader.guards.breakers
        breakers.restore(own_exits(fill for fill in fills if fill[0] != number), self.market_ms())
        if in_hand is not None:
            breakers.carry_on(in_hand.side, (fill for fill in fills if fill[0] == number))

    def scene(self, server_ms: int) -> Scene | None:
        """What a note would say now; None while it has to wait."""
        trader, top = self.trader, self._snapshots.top
        memory = trader.memory
        if memory.regime is None or top is None or not (trader.at_rest and self.rules.trading):
            return None
        return Scene(
            regime=memory.regime,
            anchor_price=price_at(memory.regime, memory.anchor),
            top=top,
            rules=self.rules,
            number=server_ms,
            spare=lambda order: trader.can_spare(order.side, order.quantity, order.price, top),
        )

    def market_ms(self) -> int:
        """The exchange's time."""
        return self._snapshots.market_ms(self._clock.now_s())

    def hear_report(self, report: ExecutionReport) -> None:
        """An execution report, ours or another's."""
        self.tally.hear_report(report)
        self.trader.hear_report(report, self._snapshots.pushes)

    def tell(self) -> None:
        """Say what has changed since the last time."""
        for news in self.trader.news:
            self._announcer.tell(news)
        self.trader.news.clear()

    def halt(self, reason: str) -> bool:
        """We were wrong about something: arm nothing, take the order off, wait for a person. False if halted before."""
        news = not self.trader.halted
        self.trader.halted = True
        if news:
            self._alerts.send(texts.halted(reason), logging.ERROR)
        else:
            logger.warning("still halted: %s", reason)
        self.doubt()
        self.tell()
        return news

    def doubt(self) -> None:
        """Whatever of ours is on the book is to be asked for before anything else."""
        self.trader.chase.lose_touch(self._clock.now_s())

    def mark(self) -> None:
        """Note where account and market stand, for the summary."""
        if self._snapshots.top is not None:
            self.tally.mark(self.market_ms(), self._snapshots.top.bid, *self._totals())

    def status(self, reconnects: int) -> StatusView:
        """How things stand."""
        trader, decision = self.trader, self.trader.decision
        view = StatusView(mode=self._mode, rules=self.rules, phase=trader.memory.phase.value)
        if decision is None:
            return view
        top, channel = self._snapshots.top, decision.channel
        base, quote = self._totals()
        return StatusView(
            mode=view.mode,
            rules=view.rules,
            phase=view.phase,
            regime=decision.regime,
            top=top,
            anchor=decision.anchor_price,
            value=None if top is None else base * top.bid + quote,
            gain_frac=decision.u / decision.anchor - 1.0 if decision.u and decision.anchor else None,
            take_profit=decision.trigger_price,
            stop=decision.stop_price,
            lower=None if channel is None else channel.lower,
            mid=None if channel is None else channel.mid,
            upper=None if channel is None else channel.upper,
            gate_open=None if decision.gate is None else False,
            exit=self._exit(),
            data_age_s=self._clock.now_s() - self._snapshots.top_proven_s,
            reconnects=reconnects,
            held=trader.held,
            halted=trader.halted,
        )

    def _exit(self) -> str | None:
        """The exit in progress, in words."""
        order = self.trader.chase.order
        if self.trader.memory.exit is None or order is None or not order.alive or order.price is None:
            return None
        amount, price = texts.quantity(self.rules, order.remaining), texts.price(self.rules, order.price)
        return f"{order.side.value} {amount} at {price}"

    def _totals(self) -> tuple[Decimal, Decimal]:
        """All of base and quote that the account holds, whoever has locked it."""
        balances = self._snapshots.balances
        base, quote = (balances.get(asset) for asset in (self.rules.base_asset, self.rules.quote_asset))
        return ZERO if base is None else base.total, ZERO if quote is None else quote.total
