"""Tests of the announcer: which event becomes an alert, which a log line, and with what text."""

import logging
import re
from dataclasses import dataclass, field, replace

import pytest
from tests.execution.order_builders import NUMBER, RULES, D, own

from trailingedge.accounting.statistics import RunStatistics
from trailingedge.execution.order_events import (
    OrderCancelled,
    OrderFilled,
    OrderInDoubt,
    OrderPlaced,
    OrderRejected,
    OrderReplaced,
    UnknownOrderWithOurId,
)
from trailingedge.execution.trader_events import (
    AccountBack,
    AccountLost,
    ExitAged,
    MarketFresh,
    MarketStale,
    TraderEvent,
)
from trailingedge.indicators.donchian import Breakout
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Balance, Regime, Side
from trailingedge.model.order_outcomes import RejectReason
from trailingedge.notifications.announcer import Announcer
from trailingedge.notifications.status import StatusView
from trailingedge.strategy.inputs import Holdings, StrategyCommand
from trailingedge.strategy.state import ShutBy
from trailingedge.strategy.strategy_events import (
    BrokeOut,
    CommandRefused,
    ExitEnded,
    ExitEnding,
    ExitRelabelled,
    ExitStarted,
    Funded,
    GateOpened,
    GateShut,
    HardStopTriggered,
    Origin,
    RegimeSet,
    Squeezed,
    Unfunded,
)
from trailingedge.strategy.trailing_take_profit import MinGain, compute_trail

OWN = own()
HELD = Holdings(D("0.001"), D(2))


@dataclass
class Sink:
    alerts: list[tuple[int, str]] = field(default_factory=list)

    def send(self, text: str, level: int = logging.INFO) -> None:
        self.alerts.append((level, text))


def tell(*news: TraderEvent) -> list[tuple[int, str]]:
    """The alerts that this comes to."""
    sink = Sink()
    announcer = Announcer(RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: 12_000, reserve_base=D("0.05"))
    for one in news:
        announcer.announce(one)
    return sink.alerts


def ended(cause: ExitEndReason, base: str = "1", idle: str | None = None, regime: Regime = Regime.QUOTE) -> ExitEnded:
    return ExitEnded(
        kind=ExitKind.FLUSH,
        side=Side.SELL,
        number=NUMBER,
        cause=cause,
        filled_base=D(base),
        filled_quote=D(base) * 2450,
        average=D(2450) if D(base) else None,
        regime=regime,
        started_ms=0,
        mid_price=D(2450),
        idle=None if idle is None else D(idle),
    )


ARMED_TRAIL = compute_trail(
    2553.0, 2500.0, 2560.0, MinGain(25.0, 0.0, 0.0), 0.0, start_factor=0.5, min_factor=0.1, gain_scale_frac=0.005
)


@pytest.mark.parametrize(
    ("news", "level", "text"),
    [
        pytest.param(
            ExitStarted(ExitKind.TAKE_PROFIT, Side.SELL, NUMBER, D(2553), ARMED_TRAIL),
            logging.INFO,
            (
                "take-profit armed: gain +2.12 % in FDUSD since the anchor (best +2.40 %); selling all ETH now near "
                "2553.00 FDUSD"
            ),
            id="take-profit armed",
        ),
        pytest.param(
            ExitStarted(ExitKind.MANUAL, Side.BUY, NUMBER, None),
            logging.INFO,
            "manual flip: buying ETH back once there is market data; cancelled if that takes too long",
            id="manual flip",
        ),
        pytest.param(
            ExitStarted(ExitKind.BREAKOUT, Side.SELL, NUMBER, D(2553)),
            logging.INFO,
            (
                "breakout armed: a candle closed below the channel; selling all ETH near 2553.00 FDUSD "
                "(BREAKOUT_EXIT=true)"
            ),
            id="breakout armed",
        ),
        pytest.param(
            HardStopTriggered(NUMBER, D(2450), 2500.0, 0.02, None),
            logging.WARNING,
            "hard stop: loss -2.00 % (limit -2.00 %) since the anchor; selling all ETH near 2450.00 FDUSD",
            id="hard stop",
        ),
        pytest.param(
            ExitRelabelled(NUMBER, Side.SELL, ExitKind.MANUAL, ExitKind.TAKE_PROFIT),
            logging.INFO,
            "manual flip: the take-profit in progress now counts as your flip",
            id="taken over",
        ),
        pytest.param(
            GateShut(ShutBy.HARD_STOP, 2450.0, None),
            logging.INFO,
            (
                "gate shut: the hard stop sold at 2450.00 FDUSD; no buy-back of ETH until a candle closes above "
                "the channel's middle (once there are enough candles for it); "
                "'x', /flip or trailing-edge flip buys anyway"
            ),
            id="gate shut",
        ),
        pytest.param(
            GateOpened(ShutBy.HARD_STOP, 2502.0, 2500.0),
            logging.INFO,
            (
                "gate open: a candle closed at 2502.00 FDUSD, across the channel's middle 2500.00 FDUSD; ETH may "
                "be bought back again, and that close is the new anchor"
            ),
            id="gate open",
        ),
        pytest.param(
            BrokeOut(Breakout.UP, 2510.0, 2505.0, 2495.0),
            logging.INFO,
            "breakout: a candle closed at 2510.00 FDUSD, above the channel's upper edge 2505.00 FDUSD",
            id="breakout up",
        ),
        pytest.param(
            BrokeOut(Breakout.DOWN, 2490.0, 2505.0, 2495.0),
            logging.INFO,
            "breakout: a candle closed at 2490.00 FDUSD, below the channel's lower edge 2495.00 FDUSD",
            id="breakout down",
        ),
        pytest.param(
            Squeezed(3.0, 0.05),
            logging.INFO,
            "squeeze: the channel is 3.00 FDUSD wide, only 5 % of its recent widths were narrower",
            id="squeeze",
        ),
        pytest.param(
            Unfunded(None, HELD),
            logging.WARNING,
            (
                "unfunded: 0.0010 ETH and 2.00 FDUSD are too little to trade (kept back: RESERVE_BASE 0.0500 "
                "ETH); an order needs 5.00 FDUSD; waiting for a deposit"
            ),
            id="unfunded",
        ),
        pytest.param(
            Funded(Regime.BASE, HELD), logging.INFO, "funded: there is enough ETH to trade again", id="funded"
        ),
        pytest.param(
            RegimeSet(Regime.BASE, Regime.BASE, 2510.0, Origin.MARKET),
            logging.INFO,
            "holding ETH: anchor 2510.00 FDUSD (market price); take-profit and hard stop are measured from it now",
            id="new anchor",
        ),
        pytest.param(
            CommandRefused(StrategyCommand.FLIP, "there is nothing to trade"),
            logging.WARNING,
            "flip refused: there is nothing to trade",
            id="command refused",
        ),
        pytest.param(
            MarketStale(10.2),
            logging.WARNING,
            "no market data for 10 s; no new orders until it returns",
            id="stale",
        ),
        pytest.param(MarketFresh(42.0), logging.INFO, "market data is back after 42.0 s", id="fresh"),
        pytest.param(
            AccountLost(2.0),
            logging.WARNING,
            "no account connection for 2 s; no orders and no cancels until it returns",
            id="account lost",
        ),
        pytest.param(AccountBack(7.5), logging.INFO, "account connection is back after 7.5 s", id="account back"),
        pytest.param(
            ExitAged(ExitKind.TAKE_PROFIT, Side.SELL, 60.0, 0.001, D("0.25")),
            logging.WARNING,
            (
                "take-profit slow: 0.2500 ETH filled after 1 min, slippage 0.10 % worse; the order keeps "
                "following the best price"
            ),
            id="exit aged",
        ),
        pytest.param(
            UnknownOrderWithOurId(OWN, 99),
            logging.ERROR,
            "order 99 has this bot's id prefix but was not sent by this process: another instance "
            f"trades this account ({OWN})",
            id="order of another instance",
        ),
        pytest.param(
            OrderRejected(OWN, RejectReason.NOT_TRADING, -2010, "Market is closed.", 1),
            logging.WARNING,
            f"order rejected by the exchange: -2010 Market is closed; it is tried again ({OWN})",
            id="not trading",
        ),
        pytest.param(
            ended(ExitEndReason.FILLED),
            logging.INFO,
            (
                "hard stop filled: sold 1.0000 ETH for 2450.00 FDUSD, average 2450.00 FDUSD, no slippage, fee "
                "none, in 12.0 s with 0 replaces"
            ),
            id="filled",
        ),
        pytest.param(
            ended(ExitEndReason.DUST),
            logging.INFO,
            (
                "hard stop filled: sold 1.0000 ETH for 2450.00 FDUSD, average 2450.00 FDUSD, no slippage, fee "
                "none, in 12.0 s with 0 replaces"
            ),
            id="dust",
        ),
        pytest.param(
            ended(ExitEndReason.CANCELLED, base="0"),
            logging.WARNING,
            "hard stop ended: cancelled by the operator; nothing filled",
            id="cancelled",
        ),
    ],
)
def test_a_change_of_state_is_an_alert(news: TraderEvent, level: int, text: str) -> None:
    assert tell(news) == [(level, text)]


@pytest.mark.parametrize(
    ("regime", "rest"),
    [
        pytest.param(Regime.QUOTE, "idle remainder: 0.4000 ETH are not traded before the next buy-back", id="base"),
        pytest.param(Regime.BASE, "idle remainder: 0.40 FDUSD are not traded before the next sale", id="quote"),
    ],
)
def test_an_idle_remainder_is_given_in_its_own_asset(regime: Regime, rest: str) -> None:
    assert tell(ended(ExitEndReason.CANCELLED, idle="0.4", regime=regime))[1] == (logging.WARNING, rest)


@pytest.mark.parametrize(
    ("news", "level", "line"),
    [
        pytest.param(
            OrderPlaced(OWN, 7, Side.SELL, D("2553.01"), D(1)),
            logging.INFO,
            f"order placed: SELL 1.0000 ETH at 2553.01 FDUSD ({OWN})",
            id="placed",
        ),
        pytest.param(
            OrderReplaced(OWN, 8, Side.SELL, D("2553.01"), D("2552.01"), D(1)),
            logging.DEBUG,
            f"order replaced by a new one: SELL 1.0000 ETH at 2552.01 FDUSD ({OWN})",
            id="replaced",
        ),
        pytest.param(
            OrderFilled(OWN, 8, Side.SELL, D("2552.01"), D("0.4"), D("1020.804"), D("0.6")),
            logging.INFO,
            f"order filled: SELL 0.4000 ETH at 2552.01 FDUSD, 0.6000 ETH left ({OWN})",
            id="filled",
        ),
        pytest.param(
            OrderCancelled(OWN, 8, Side.SELL, D("2552.01"), D("0.4"), D(1)),
            logging.INFO,
            f"order cancelled: SELL 0.6000 ETH at 2552.01 FDUSD ({OWN})",
            id="cancelled",
        ),
        pytest.param(
            OrderInDoubt(OWN, 8, "timeout"),
            logging.WARNING,
            f"order request with unknown outcome: timeout; querying the order ({OWN})",
            id="in doubt",
        ),
        pytest.param(
            OrderRejected(OWN, RejectReason.WOULD_TAKE, -2010, "Order would immediately match and take.", 1),
            logging.WARNING,
            f"order rejected by the exchange: -2010 Order would immediately match and take; it is tried again ({OWN})",
            id="rejected",
        ),
        pytest.param(
            OrderRejected(OWN, RejectReason.WOULD_TAKE, -2010, "Order would immediately match and take.", 2),
            logging.DEBUG,
            f"order rejected by the exchange, 2 times in a row: -2010 Order would immediately match and take; "
            f"it is tried again ({OWN})",
            id="rejected again",
        ),
        pytest.param(
            ExitEnding(ExitKind.TAKE_PROFIT, Side.BUY, NUMBER, ExitEndReason.STOPPED),
            logging.INFO,
            "take-profit ending early: a candle closed too far above the anchor; its order is being cancelled",
            id="ending",
        ),
        pytest.param(
            RegimeSet(None, Regime.BASE, 2500.0, Origin.MARKET),
            logging.INFO,
            "holding ETH: anchor 2500.00 FDUSD (market price)",
            id="regime",
        ),
    ],
)
def test_an_order_event_is_only_a_log_line(
    news: TraderEvent, level: int, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert tell(news) == []
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, line)]


def test_new_rules_are_worded_by_their_grid() -> None:
    sink = Sink()
    announcer = Announcer(RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: 0)
    announcer.rules = type(RULES)("ETHFDUSD", "ETH", "FDUSD", tick_size=D(1), step_size=D(1))
    announcer.announce(GateOpened(ShutBy.HARD_STOP, 2502.4, 2500.0))
    assert "2502 FDUSD" in sink.alerts[0][1]


ESCAPING = str(ClientOrderId(ExitKind.ESCAPE, NUMBER))
TAKES = (
    "taker escape: SELL 1.0000 ETH at 2553.00 FDUSD or more, taken from the book at once: the filled part "
    f"pays the taker fee, the rest is cancelled ({ESCAPING})"
)


@pytest.mark.parametrize(
    "news",
    [
        pytest.param(
            [
                OrderPlaced(ESCAPING, 7, Side.SELL, D(2553), D(1)),
                OrderFilled(ESCAPING, 7, Side.SELL, D(2553), D("0.4"), D(1022), D("0.6")),
                OrderCancelled(ESCAPING, 7, Side.SELL, D(2553), D("0.4"), D(1)),
            ],
            id="placed first",
        ),
        pytest.param(
            [OrderFilled(ESCAPING, 7, Side.SELL, D(2553), D("0.4"), D(1022), D("0.6"))], id="filled before anything"
        ),
    ],
)
def test_an_order_that_may_take_is_announced_once(news: list[TraderEvent]) -> None:
    assert tell(*news) == [(logging.WARNING, TAKES)]


SHOWN = StatusView("sim", RULES, "watching", regime=Regime.BASE, stop=2487.5, quote=Balance("FDUSD", D(1), D(2425)))


@pytest.mark.parametrize(
    ("news", "view", "told"),
    [
        pytest.param(MarketStale(10.2), SHOWN, "; holding ETH, and the hard stop cannot act until then", id="stale"),
        pytest.param(AccountLost(2.0), SHOWN, "; holding ETH, and the hard stop cannot act until then", id="away"),
        pytest.param(MarketStale(10.2), replace(SHOWN, regime=Regime.QUOTE), "; holding FDUSD", id="stale in quote"),
        pytest.param(
            Unfunded(None, HELD),
            SHOWN,
            "2425.00 FDUSD are locked in orders that this bot did not place",
            id="locked by others",
        ),
        pytest.param(
            CommandRefused(StrategyCommand.FLIP, "no buying while held"),
            replace(SHOWN, paused=True),
            "flip refused: trading is paused; resume first with 'r', /resume or trailing-edge resume",
            id="paused",
        ),
    ],
)
def test_what_an_event_lacks_is_taken_from_the_status(news: TraderEvent, view: StatusView, told: str) -> None:
    sink = Sink()
    Announcer(RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: 0, view=lambda: view).announce(news)
    assert told in sink.alerts[0][1]


def test_a_breakout_that_is_not_traded_says_so_and_a_flip_names_its_time_limit() -> None:
    sink = Sink()
    announcer = Announcer(
        RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: 0, followed=[Breakout.UP], flip_timeout_s=30.0
    )
    for news in (UP, DOWN, ExitStarted(ExitKind.MANUAL, Side.BUY, NUMBER, None)):
        announcer.announce(news)
    up, down, flip = (text for _, text in sink.alerts)
    assert "no order is placed" not in up
    assert down.endswith("; no order is placed for it (BREAKOUT_EXIT=false)")
    assert flip.endswith("cancelled if that takes longer than 30 s")


UP, DOWN = (BrokeOut(direction, 2510.0, 2505.0, 2495.0) for direction in (Breakout.UP, Breakout.DOWN))
NARROW = Squeezed(3.0, 0.05)


@pytest.mark.parametrize(
    ("told", "alerts"),
    [
        pytest.param([(0, UP), (60_000, UP)], 1, id="again within the hour"),
        pytest.param([(0, UP), (3_600_000, UP)], 2, id="an hour later"),
        pytest.param([(0, UP), (60_000, DOWN)], 2, id="the other way"),
        pytest.param([(0, NARROW), (60_000, NARROW)], 1, id="squeeze"),
        pytest.param([(0, UP), (60_000, NARROW)], 2, id="another thing"),
    ],
)
def test_each_breakout_is_logged_and_one_an_hour_is_an_alert(
    told: list[tuple[int, TraderEvent]], alerts: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sink, now_ms = Sink(), 0
    announcer = Announcer(RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: now_ms)
    for now_ms, news in told:  # noqa: B007 - the announcer reads it
        announcer.announce(news)
    assert len(sink.alerts) == alerts
    assert len(caplog.records) == len(told) - alerts


def test_an_alert_says_how_many_breakouts_came_since_the_last() -> None:
    sink, now_ms = Sink(), 0
    announcer = Announcer(RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: now_ms)
    for minute in (0, 15, 30, 60, 120):
        now_ms = minute * 60_000
        announcer.announce(UP)
    more = [re.search(r"[(](.*) more since the last alert[)]$", text) for _, text in sink.alerts]
    assert [found and found[1] for found in more] == [None, "2", None]


REFUSED = OrderRejected(OWN, RejectReason.WOULD_TAKE, -2010, "Would take.", 1)
FORBIDDEN = OrderRejected(OWN, RejectReason.NOT_TRADING, -2010, "This action is disabled.", 1)


@pytest.mark.parametrize(
    ("reason", "alerts_at_min"),
    [
        pytest.param(RejectReason.NOT_TRADING, [0, 60, 120], id="a person must act"),
        pytest.param(RejectReason.UNAUTHORIZED, [0, 60, 120], id="the key is gone"),
        pytest.param(RejectReason.WOULD_TAKE, [], id="heals by itself"),
    ],
)
def test_an_order_that_is_refused_for_good_is_announced_again_every_hour(
    reason: RejectReason, alerts_at_min: list[int]
) -> None:
    sink, now_ms = Sink(), 0
    announcer = Announcer(RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: now_ms)
    alerted_at = []
    for minute in range(130):
        now_ms = minute * 60_000
        before = len(sink.alerts)
        announcer.announce(OrderRejected(OWN, reason, -2010, "No.", minute + 1))
        alerted_at += [minute] * (len(sink.alerts) - before)
    assert alerted_at == alerts_at_min
    if alerts_at_min:
        assert "61 times in a row" in sink.alerts[1][1]


def test_a_refusal_after_an_accepted_order_is_announced_at_once() -> None:
    sink = Sink()
    announcer = Announcer(RULES, RunStatistics("ETH", "FDUSD"), sink, lambda: 0)
    events: list[TraderEvent] = [FORBIDDEN, OrderPlaced(OWN, 7, Side.SELL, D(2553), D(1)), FORBIDDEN]
    for event in events:
        announcer.announce(event)
    assert len(sink.alerts) == 2


@pytest.mark.parametrize(
    ("news", "refusal"),
    [
        pytest.param([REFUSED], "-2010 Would take.", id="rejected"),
        pytest.param(
            [OrderRejected(OWN, RejectReason.FILTER, 0, "filter NOTIONAL", 1)], "filter NOTIONAL", id="never sent"
        ),
        pytest.param([REFUSED, OrderPlaced(OWN, 7, Side.SELL, D(2553), D(1))], None, id="then placed"),
        pytest.param([REFUSED, ended(ExitEndReason.CANCELLED)], None, id="then over"),
        pytest.param(
            [FORBIDDEN, ended(ExitEndReason.CANCELLED)], "-2010 This action is disabled.", id="refused for good, over"
        ),
        pytest.param([FORBIDDEN, OrderPlaced(OWN, 7, Side.SELL, D(2553), D(1))], None, id="refused, then placed"),
    ],
)
def test_the_last_reject_is_kept_until_an_order_is_accepted(news: list[TraderEvent], refusal: str | None) -> None:
    announcer = Announcer(RULES, RunStatistics("ETH", "FDUSD"), Sink(), lambda: 0)
    for one in news:
        announcer.announce(one)
    assert announcer.reject_text == refusal
