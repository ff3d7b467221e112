"""The simulated surroundings of the maker exit: a bad connection, a moving market, changing intents.

Everything follows from the seed. `MakerExitWorld.play` runs for some time with faults and then without. The invariants
are checked after every step, and `transcript` shows a run that fails.
"""

import heapq
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from tests.execution.exchange_model import TICK, BalancesNow, Breach, ModelExchange, no_reply, rejection_of
from tests.execution.order_builders import RULES

from trailingedge.execution.maker_exit import MakerExit, MakerExitParams
from trailingedge.execution.order_events import UnknownOrderWithOurId
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.quote_prices import RestingOrder, resting_price
from trailingedge.model.client_order_ids import base36
from trailingedge.model.intent import ExitKind, OrderIntent
from trailingedge.model.market import ZERO, BookTop, ExecutionReport, OrderStatus, RateLimit, Side
from trailingedge.model.order_commands import OrderCommand, OrderInput, QueryOrder, QueryOrdersFrom, Reconciled, Refresh
from trailingedge.model.order_outcomes import Rejected, RejectReason
from trailingedge.model.pricing_mode import Pricing

_OPEN = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
STEP_S = 0.1
RECV_WINDOW_S = 5.0
FIRST_NUMBER = 1_783_000_000_000


@dataclass(frozen=True, slots=True)
class Faults:
    """How bad it gets: chances per request, per message or per step, and the longest delays in seconds."""

    lose_request: float = 0.0
    lose_reply: float = 0.0
    answer_unknown: float = 0.0  # −1007, whether it was carried out or not
    refuse: float = 0.0
    slow_request: float = 0.0  # carried out late, up to its recvWindow
    slow_reply: float = 0.0
    slow_report_s: float = 0.0
    shuffle_reports: bool = False
    repeat_report: float = 0.0
    lag_s: float = 0.0
    drop: float = 0.0
    by_hand: float = 0.0


CALM = Faults()


@dataclass(order=True, slots=True)
class _Due:
    time_s: float
    sequence: int
    what: OrderCommand | OrderInput | BalancesNow = field(compare=False)
    sent_s: float = field(compare=False, default=0.0)
    session: int = field(compare=False, default=0)


class MakerExitWorld:
    """One seed's run of one maker exit. `side` and `pricing` are what the strategy asks for."""

    def __init__(
        self,
        seed: int,
        faults: Faults,
        side: Side,
        pricing: Pricing,
        params: MakerExitParams | None = None,
    ) -> None:
        self.random = Random(seed)
        self.faults = faults
        self.side = side
        self.pricing = pricing
        self.params = params or MakerExitParams()
        self.reserve = Decimal("0.7") if side is Side.SELL else Decimal(70)
        self.exchange = ModelExchange(
            BookTop(Decimal("100.00"), Decimal("100.10"), Decimal(5), Decimal(5)),
            base=Decimal("1.7") if side is Side.SELL else ZERO,
            quote=Decimal(170) if side is Side.BUY else ZERO,
            reserve=self.reserve,
        )
        budget = OrderRateBudget(0.2)
        budget.update_limits([RateLimit("ORDERS", 10, 60)], self.exchange.now_ms)
        self.maker_exit = MakerExit(RULES, budget, self.params)
        self.transcript: list[str] = []
        self.now_s = 0.0
        self.completed = 0
        self.placed = 0
        self._zero_ms = self.exchange.now_ms
        self._kind = ExitKind.TAKE_PROFIT
        self._number = FIRST_NUMBER
        self._intent_open = True
        self._began_s = 0.0
        self._moving = True
        self._queue: list[_Due] = []
        self._sequence = 0
        self._session = 0
        self._proven_from_s = 0.0
        self._stale_until_s = 0.0
        self._last_report_s = 0.0
        self._balances = self.exchange.balances()
        self._funds = Decimal(1)
        self._tops = [self.exchange.top()] * 3
        self._open: OrderCommand | None = None

    # The run ---------------------------------------------------------------------------------

    def play(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.step()

    def step(self) -> None:
        self.now_s = round(self.now_s + STEP_S, 3)
        self.exchange.at(self._zero_ms + round(self.now_s * 1000))
        self._requests_arrive()
        if self._moving:
            self._market_moves()
        self._push()
        self._messages_arrive()
        if self.random.random() < self.faults.drop:
            self._drop()
        self._change_intent()
        if self.now_s >= self._proven_from_s:
            self._tick()
        self._check()

    def stop_faults(self) -> None:
        """No more faults, and the market stands still."""
        self.faults = CALM
        self._moving = False
        self._stale_until_s = 0.0
        self._intent_open = True

    def end_intent(self) -> None:
        """The strategy wants nothing any more."""
        self._intent_open = False

    def fill_everything(self) -> None:
        """Let the market fill every resting order."""
        book = self.exchange.others
        far = Decimal(1) if self.side is Side.SELL else Decimal(-1)
        self.exchange.market_moves(
            BookTop(book.bid + far, book.ask + far, book.bid_quantity, book.ask_quantity), Decimal(1)
        )

    # What must be true -----------------------------------------------------------------------

    def at_the_best_price(self) -> bool:
        """One order rests where it should, or there is nothing left to do."""
        progress = self.maker_exit.progress()
        if progress is not None and progress.complete is not None:
            return progress.idle and not self.exchange.open_orders
        if len(self.exchange.open_orders) != 1:
            return False
        order = self.exchange.open_orders[0]
        resting = RestingOrder(order.price, order.quantity)
        best = resting_price(self.pricing, self.side, self.exchange.top(), TICK, resting)
        return order.price == best

    def state_agrees(self) -> bool:
        progress = self.maker_exit.progress()
        if progress is None:
            return True
        theirs = self.exchange.filled(base36(progress.number))
        return theirs == (progress.filled_base, progress.filled_quote)

    def _check(self) -> None:
        for happening in self.maker_exit.events:
            self._record("=", happening)
            if isinstance(happening, UnknownOrderWithOurId):
                raise Breach(f"took an order of ours for a stranger's: {happening}")
        self.maker_exit.events.clear()
        order = self.maker_exit.order
        if order is not None and self._open is None and order.state.name in ("IN_FLIGHT", "CANCELLING"):
            raise Breach(f"{order} waits for an answer to nothing")

    # The line --------------------------------------------------------------------------------

    def _send(self, command: OrderCommand) -> None:
        self._record(">", command)
        self._open = command
        chance = self.random.random
        if chance() < self.faults.lose_request:
            return
        delay_s = 0.02
        if chance() < self.faults.slow_request:
            delay_s = self.random.uniform(0.1, RECV_WINDOW_S + 0.5)
        self._later(delay_s, command)

    def _requests_arrive(self) -> None:
        for due in self._take_due(requests=True):
            assert not isinstance(due.what, OrderInput | BalancesNow)
            self._request_arrives(due.what, due.sent_s, due.session)

    def _request_arrives(self, command: OrderCommand, sent_s: float, session: int) -> None:
        chance = self.random.random
        answer: OrderInput
        if self.now_s - sent_s > RECV_WINDOW_S:
            answer = rejection_of(command, Rejected(RejectReason.TIMESTAMP, -1021, "outside of the recvWindow"))
        elif chance() < self.faults.refuse:
            answer = rejection_of(command, Rejected(RejectReason.BUSY, -1008, "Server is currently overloaded"))
        elif chance() < self.faults.answer_unknown:
            if chance() < 0.5:
                self.exchange.execute(command)
            answer = no_reply(command, "-1007")
        else:
            lag_ms = round(self.random.uniform(0, self.faults.lag_s) * 1000)
            answer = self.exchange.execute(command, lag_ms)
        self._record("x", f"{command} carried out: {answer}")
        if chance() < self.faults.lose_reply or session != self._session:
            return
        self._later(self.random.uniform(0.1, 6.0) if chance() < self.faults.slow_reply else 0.02, answer)

    def _push(self) -> None:
        for received in self.exchange.pushed:
            due_s = self.now_s + self.random.uniform(0, self.faults.slow_report_s)
            if not self.faults.shuffle_reports:
                due_s = self._last_report_s = max(self._last_report_s, due_s)
            self._later(due_s - self.now_s, received)
            if isinstance(received, ExecutionReport) and self.random.random() < self.faults.repeat_report:
                self._later(due_s - self.now_s + self.random.uniform(0, 2), received)
        self.exchange.pushed.clear()

    def _messages_arrive(self) -> None:
        for due in self._take_due(requests=False):
            if due.session != self._session:
                continue
            if isinstance(due.what, BalancesNow):
                if due.what.time_ms >= self._balances.time_ms:
                    self._balances = due.what
                continue
            assert isinstance(due.what, OrderInput)
            self._record("<", due.what)
            answers = self._open is not None and getattr(due.what, "tag", None) == self._open.tag
            if answers:
                self._open = None
            self.maker_exit.handle(due.what, self.now_s)

    def _drop(self) -> None:
        """The connection is lost with all that is on its way to us, and comes back after a while."""
        self._record("!", "connection lost")
        self._session += 1
        if self._open is not None and self.random.random() < 0.7:
            self.maker_exit.handle(no_reply(self._open, "connection lost"), self.now_s)
        self._open = None
        self.maker_exit.on_disconnect(self.now_s)
        self._proven_from_s = self.now_s + self.random.uniform(0.6, 3.0)
        lag_ms = self.random.choice((0, 0, 500))
        asked_ms = self._zero_ms + round(self.now_s * 1000) - lag_ms
        received = (order.as_of(asked_ms) for order in self.exchange.orders.values())
        open_orders = (record for record in received if record is not None and record.status in _OPEN)
        self._later(0.5, Reconciled(tuple(open_orders)))

    def _later(self, delay_s: float, what: OrderCommand | OrderInput | BalancesNow) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, _Due(self.now_s + delay_s, self._sequence, what, self.now_s, self._session))

    def _take_due(self, *, requests: bool) -> list[_Due]:
        due = [
            entry
            for entry in self._queue
            if entry.time_s <= self.now_s and isinstance(entry.what, OrderInput | BalancesNow) is not requests
        ]
        if due:
            gone = {entry.sequence for entry in due}
            self._queue = [entry for entry in self._queue if entry.sequence not in gone]
            heapq.heapify(self._queue)
        return sorted(due)

    # The market and the strategy -------------------------------------------------------------

    def _market_moves(self) -> None:
        if self.random.random() < 0.5:
            return
        book = self.exchange.others
        leap = 20 if self.random.random() < 0.02 else 1
        bid = book.bid + self.random.randint(-leap, leap) * TICK
        ask = max(bid + TICK, book.ask + self.random.randint(-leap, leap) * TICK)
        ask = min(ask, bid + 10 * TICK)
        share = Decimal(self.random.randint(1, 99)) / 100
        quantity = Decimal(self.random.randint(1, 50)) / 10
        self.exchange.market_moves(BookTop(bid, ask, quantity, quantity), share)
        if self.random.random() < self.faults.by_hand:
            self.exchange.cancel_by_hand()

    def _change_intent(self) -> None:
        """Let a hard stop take over, relabel or end the intent; begin the next exit once the last is over."""
        chance = self.random.random()
        progress = self.maker_exit.progress()
        over = progress is not None and progress.number == self._number and progress.complete is not None
        if over and self._intent_open:
            self._intent_open = False
            self.completed += 1
        if not self._moving:
            return
        if self._intent_open and chance < 0.02:
            self._kind = self.random.choice([ExitKind.FLUSH, ExitKind.MANUAL, self._kind])
        elif self._intent_open and chance < 0.03:
            self._intent_open = False
        elif chance < 0.035:
            self._stale_until_s = self.now_s + self.random.uniform(0.2, 3.0)
        elif chance < 0.038:
            self.exchange.deposit(*((ZERO, Decimal(30)) if self.side is Side.BUY else (Decimal("0.3"), ZERO)))
        elif not self._intent_open and chance > 0.8 and progress is not None and progress.idle:
            self._intent_open = True
            self._kind = ExitKind.TAKE_PROFIT
            if over or self.random.random() < 0.5:
                self._number += 1000
                self._began_s = self.now_s
                self._restock()

    def _restock(self) -> None:
        if self.side is Side.SELL:
            self.exchange.deposit(max(ZERO, self.reserve + 1 - self.exchange.base), ZERO)
        else:
            self.exchange.deposit(ZERO, max(ZERO, self.reserve + 100 - self.exchange.quote))

    def _tick(self) -> None:
        if self._proven_from_s:  # just reconnected: the balances are read again
            self._balances = self.exchange.balances()
            self._proven_from_s = 0.0
        self._tops = [*self._tops[1:], self.exchange.top()]
        seen = self._tops[-1] if not self._moving else self.random.choice(self._tops)
        settled = self._balances.time_ms >= self.maker_exit.funds_changed_ms
        if settled:
            self._funds = self._holdings()
        want = (
            OrderIntent(self.side, self._funds, self.pricing, self._kind, self._number) if self._intent_open else None
        )
        commands = self.maker_exit.commands_for(
            want,
            None if self.now_s < self._stale_until_s else seen,
            self.now_s,
            server_ms=self.exchange.now_ms,
            age_s=self.now_s - self._began_s,
            balances_current=settled,
        )
        for command in commands:
            if isinstance(command, Refresh):
                self._balances = self.exchange.balances()
                continue
            if not isinstance(command, QueryOrder | QueryOrdersFrom):
                self.placed += 1
            self._send(command)
        if sum(not isinstance(command, Refresh) for command in commands) > 1:
            raise Breach(f"more than one request at once: {commands}")

    def _holdings(self) -> Decimal:
        """What may be sold, as a careful reader of balances sees it."""
        most = self.maker_exit.max_locked(self.side)
        there = self._balances
        free, locked = (
            (there.base_free, there.base_locked) if self.side is Side.SELL else (there.quote_free, there.quote_locked)
        )
        return max(ZERO, free + (locked if most is None else min(locked, most)) - self.reserve)

    def _record(self, mark: str, what: object) -> None:
        self.transcript.append(f"{self.now_s:7.1f} {mark} {what}")
