from dataclasses import replace
from decimal import Decimal

import pytest

from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Balance, Regime, Side, SymbolRules
from trailingedge.notifications import account_messages, donchian_messages, event_messages, order_messages
from trailingedge.strategy.strategy_events import Origin

RULES = SymbolRules(
    "ETHFDUSD", "ETH", "FDUSD", tick_size=Decimal("0.01"), step_size=Decimal("0.0001"), min_notional=Decimal(5)
)
ONE = Decimal(1)
PRICE = Decimal("2551.2")
OWN = "TE-t-lx3k9"
SOLD = event_messages.ExitResult(
    kind=ExitKind.TAKE_PROFIT,
    side=Side.SELL,
    filled_base=Decimal("0.5"),
    filled_quote=Decimal("1275.6"),
    slippage_frac=0.0002,
    anchor_gain_frac=0.0125,
    age_s=12.34,
    replaces=7,
    fees={"FDUSD": Decimal("0.30"), "BNB": Decimal(0)},
)
NOTHING = event_messages.ExitResult(
    kind=ExitKind.MANUAL,
    side=Side.BUY,
    filled_base=Decimal(0),
    filled_quote=Decimal(0),
    slippage_frac=None,
    anchor_gain_frac=None,
    age_s=30.0,
    replaces=0,
    fees={},
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            event_messages.jumpstart_placed(RULES, "TE-j-1", Side.BUY, Decimal("0.003"), Decimal(2250)),
            (
                "jumpstart order placed, so that the exchange sends the balances: BUY 0.0030 ETH at 2250.00 FDUSD, "
                "far from the market; it is cancelled at once (TE-j-1)"
            ),
        ),
        (
            event_messages.jumpstart_cancelled(
                RULES, "TE-j-1", Balance("ETH", ONE), Balance("FDUSD", Decimal(0), Decimal(5))
            ),
            "jumpstart order cancelled: the account holds 1.0000 ETH and 5.00 FDUSD (TE-j-1)",
        ),
        (
            event_messages.ready(RULES, "sim", Regime.BASE, PRICE, Decimal("0.00075"), "ws://127.0.0.1:1"),
            "ready: sim ETHFDUSD at ws://127.0.0.1:1, holding ETH, anchor 2551.20 FDUSD, maker fee 0.075 %",
        ),
        (
            event_messages.ready(RULES, "sim", None, None, Decimal(0), "ws://127.0.0.1:1"),
            "ready: sim ETHFDUSD at ws://127.0.0.1:1, holding nothing tradable, maker fee 0 %",
        ),
        (
            event_messages.ended("no such key"),
            "ended: no such key\nno trading and no hard stop until the bot runs again",
        ),
        (event_messages.trading_again("ETHFDUSD"), "ETHFDUSD is trading again"),
        (
            account_messages.account_lost(RULES, 2.4),
            "no account connection for 2 s; no orders and no cancels until it returns",
        ),
        (
            account_messages.account_lost(RULES, 2.4, Regime.BASE, stop=True),
            (
                "no account connection for 2 s; no orders and no cancels until it returns; holding ETH, and "
                "the hard stop cannot act until then"
            ),
        ),
        (
            account_messages.market_stale(RULES, 10.2, Regime.BASE, stop=True),
            (
                "no market data for 10 s; no new orders until it returns; holding ETH, and the hard stop "
                "cannot act until then"
            ),
        ),
        (
            account_messages.market_stale(RULES, 10.2, Regime.BASE),
            "no market data for 10 s; no new orders until it returns; holding ETH",
        ),
        (
            account_messages.market_stale(RULES, 10.2, Regime.QUOTE, stop=True),
            "no market data for 10 s; no new orders until it returns; holding FDUSD",
        ),
        (
            account_messages.anchor_changed(RULES, Regime.BASE, PRICE, Origin.MARKET),
            "holding ETH: anchor 2551.20 FDUSD (market price); take-profit and hard stop are measured from it now",
        ),
        (account_messages.account_back(7.44), "account connection is back after 7.4 s"),
        (
            event_messages.take_profit_armed(RULES, Side.SELL, PRICE, 0.0205, 0.004),
            (
                "take-profit armed: gain +1.65 % in FDUSD since the anchor (best +2.05 %); selling all ETH "
                "now near 2551.20 FDUSD"
            ),
        ),
        (
            event_messages.take_profit_armed(RULES, Side.BUY, PRICE, 0.0205, 0.0),
            (
                "take-profit armed: gain +2.05 % in ETH since the anchor (best +2.05 %); buying ETH back now near"
                " 2551.20 FDUSD"
            ),
        ),
        (
            event_messages.exit_filled(RULES, SOLD),
            (
                "take-profit filled: sold 0.5000 ETH for 1275.60 FDUSD, average 2551.20 FDUSD, +1.25 % since"
                " the anchor, slippage 0.02 % worse, fee 0.3 FDUSD, in 12.3 s with 7 "
                "replaces"
            ),
        ),
        (
            event_messages.exit_ended(RULES, NOTHING, ExitEndReason.EXPIRED),
            "manual flip ended: no order could be placed in time; nothing filled",
        ),
        (
            event_messages.hard_stop(RULES, Decimal(2400), 0.031, 0.03),
            "hard stop: loss -3.10 % (limit -3.00 %) since the anchor; selling all ETH near 2400.00 FDUSD",
        ),
        (event_messages.manual_flip(RULES, Side.SELL, 2400.0), "manual flip: selling all ETH near 2400.00 FDUSD"),
        (
            event_messages.manual_flip(RULES, Side.BUY, None),
            "manual flip: buying ETH back once there is market data; cancelled if that takes too long",
        ),
        (
            event_messages.manual_flip(RULES, Side.BUY, None, 90.0),
            "manual flip: buying ETH back once there is market data; cancelled if that takes longer than 1 min 30 s",
        ),
        (
            event_messages.breakout_armed(RULES, Side.SELL, PRICE),
            (
                "breakout armed: a candle closed below the channel; selling all ETH near 2551.20 FDUSD "
                "(BREAKOUT_EXIT=true)"
            ),
        ),
        (
            event_messages.breakout_armed(RULES, Side.BUY, None),
            "breakout armed: a candle closed above the channel; buying ETH back (BREAKOUT_ENTRY=true)",
        ),
        (
            donchian_messages.breakout(RULES, 2410.0, 2405.5, up=True),
            "breakout: a candle closed at 2410.00 FDUSD, above the channel's upper edge 2405.50 FDUSD",
        ),
        (
            donchian_messages.breakout(RULES, 2400.0, 2405.5, up=False, traded=False),
            (
                "breakout: a candle closed at 2400.00 FDUSD, below the channel's lower edge 2405.50 FDUSD; "
                "no order is placed for it (BREAKOUT_EXIT=false)"
            ),
        ),
        (
            donchian_messages.squeeze(RULES, 4.2, 0.08),
            "squeeze: the channel is 4.20 FDUSD wide, only 8 % of its recent widths were narrower",
        ),
        (
            donchian_messages.gate_shut(RULES, 2400.0, by_flush=True),
            (
                "gate shut: the hard stop sold at 2400.00 FDUSD; no buy-back of ETH until a candle closes "
                "above the channel's middle (once there are enough candles for it); "
                "'x', /flip or trailing-edge flip buys anyway"
            ),
        ),
        (
            donchian_messages.gate_shut(RULES, 2600.0, by_flush=False, mid=2550.0),
            (
                "gate shut: a candle closed at 2600.00 FDUSD, too far above the anchor; no buy-back of "
                "ETH until a candle closes below the channel's middle (now 2550.00 FDUSD); 'x', /flip or "
                "trailing-edge flip "
                "buys anyway"
            ),
        ),
        (
            donchian_messages.gate_open(RULES, 2450.0, 2449.5),
            (
                "gate open: a candle closed at 2450.00 FDUSD, across the channel's middle 2449.50 FDUSD; ETH "
                "may be bought back again, and that close is the new anchor"
            ),
        ),
        (
            order_messages.order_placed(RULES, Side.SELL, ONE, PRICE, OWN),
            "order placed: SELL 1.0000 ETH at 2551.20 FDUSD (TE-t-lx3k9)",
        ),
        (
            order_messages.taker_escape(RULES, Side.SELL, ONE, PRICE, "TE-e-lx3k9"),
            (
                "taker escape: SELL 1.0000 ETH at 2551.20 FDUSD or more, taken from the book at once: the "
                "filled part pays the taker fee, the rest is cancelled (TE-e-lx3k9)"
            ),
        ),
        (
            order_messages.order_replaced(RULES, Side.SELL, ONE, PRICE, OWN),
            "order replaced by a new one: SELL 1.0000 ETH at 2551.20 FDUSD (TE-t-lx3k9)",
        ),
        (
            order_messages.order_filled(RULES, Side.SELL, Decimal("0.4"), PRICE, Decimal("0.6"), OWN),
            "order filled: SELL 0.4000 ETH at 2551.20 FDUSD, 0.6000 ETH left (TE-t-lx3k9)",
        ),
        (
            order_messages.order_filled(RULES, Side.SELL, ONE, PRICE, Decimal("0.0000"), OWN),
            "order filled: SELL 1.0000 ETH at 2551.20 FDUSD, complete (TE-t-lx3k9)",
        ),
        (
            order_messages.order_cancelled(RULES, Side.SELL, ONE, PRICE, OWN),
            "order cancelled: SELL 1.0000 ETH at 2551.20 FDUSD (TE-t-lx3k9)",
        ),
        (
            event_messages.order_left(RULES, Side.SELL, ONE, PRICE, OWN),
            (
                "order left on the exchange: SELL 1.0000 ETH at 2551.20 FDUSD (TE-t-lx3k9); cancel it at the "
                "exchange, or start the bot again, which continues it"
            ),
        ),
        (
            event_messages.order_left(RULES, Side.SELL, ONE, PRICE, "TE-j-lx3k9"),
            (
                "order left on the exchange: SELL 1.0000 ETH at 2551.20 FDUSD (TE-j-lx3k9); cancel it at the "
                "exchange, or start the bot again, which cancels it"
            ),
        ),
        (
            event_messages.shutdown("SIGTERM", RULES, Regime.BASE),
            "shutdown: SIGTERM; holding ETH, no hard stop until the bot runs again",
        ),
        (
            event_messages.shutdown("SIGTERM", RULES, Regime.QUOTE),
            "shutdown: SIGTERM; holding FDUSD, no buy-back of ETH until the bot runs again",
        ),
        (event_messages.shutdown("SIGTERM", RULES, None), "shutdown: SIGTERM"),
        (
            event_messages.paused(RULES),
            (
                "paused: no take-profit, no breakout, no buy until you resume with 'r', /resume or "
                "trailing-edge resume; the hard "
                "stop stays active while ETH is held; a restart ends the pause (START_PAUSED=true starts paused)"
            ),
        ),
        (
            event_messages.paused_already(RULES),
            (
                "already paused, resume with 'r', /resume or trailing-edge resume; the hard stop stays active while "
                "ETH is held"
            ),
        ),
        (
            account_messages.idle_remainder(RULES, Decimal("0.5"), "ETH"),
            "idle remainder: 0.5000 ETH are not traded before the next buy-back",
        ),
        (
            account_messages.idle_remainder(RULES, Decimal("12.5"), "FDUSD"),
            "idle remainder: 12.50 FDUSD are not traded before the next sale",
        ),
        (
            account_messages.unfunded(RULES, Decimal("0.0001"), Decimal(1)),
            (
                "unfunded: 0.0001 ETH and 1.00 FDUSD are too little to trade; an order needs 5.00 FDUSD; waiting for "
                "a deposit"
            ),
        ),
        (
            account_messages.unfunded(RULES, Decimal(0), Decimal(1), Decimal("0.05"), Decimal(7)),
            (
                "unfunded: 0.0000 ETH and 1.00 FDUSD are too little to trade (kept back: RESERVE_BASE 0.0500 "
                "ETH, RESERVE_QUOTE 7.00 FDUSD); an order needs 5.00 FDUSD; waiting for a deposit"
            ),
        ),
        (
            account_messages.unfunded(RULES, Decimal(0), Decimal("0.5"), locked={"FDUSD": Decimal(2425)}),
            (
                "unfunded: 0.0000 ETH and 0.50 FDUSD are too little to trade; an order needs 5.00 FDUSD; "
                "2425.00 FDUSD are locked in orders that this bot did not place; waiting until they are free,"
                " or for a deposit"
            ),
        ),
        (
            event_messages.exit_slow(RULES, ExitKind.MANUAL, 60.2, Decimal(0), 0.0),
            "manual flip slow: 0.0000 ETH filled after 1 min; the order keeps following the best price",
        ),
        (
            event_messages.exit_slow(RULES, ExitKind.FLUSH, 60.2, Decimal("0.3"), -0.001),
            (
                "hard stop slow: 0.3000 ETH filled after 1 min, slippage 0.10 % better; the order keeps "
                "following the best price"
            ),
        ),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_a_change_reads(text: str, line: str) -> None:
    assert text == line


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (ExitKind.TAKE_PROFIT, "take-profit filled: "),
        (ExitKind.FLUSH, "hard stop filled: "),
        (ExitKind.MANUAL, "manual flip filled: "),
        (ExitKind.BREAKOUT, "breakout filled: "),
    ],
    ids=lambda value: value.name if isinstance(value, ExitKind) else "",
)
def test_a_filled_exit_begins_with_its_name(kind: ExitKind, head: str) -> None:
    result = event_messages.ExitResult(kind, Side.SELL, ONE, PRICE, 0.0, None, 1.0, 0, {})
    assert event_messages.exit_filled(RULES, result).startswith(head)


@pytest.mark.parametrize("kind", ExitKind)
def test_every_kind_has_a_name(kind: ExitKind) -> None:
    assert event_messages.exit_armed(RULES, kind, Side.BUY).startswith(f"{event_messages.EXIT_NAMES[kind]} armed: ")
    assert event_messages.EXIT_NAMES[kind] in event_messages.exit_taken_over(kind)


@pytest.mark.parametrize("cause", ExitEndReason)
def test_every_cause_has_words(cause: ExitEndReason) -> None:
    assert event_messages.END_REASONS[cause] in event_messages.exit_ending(ExitKind.MANUAL, cause)


@pytest.mark.parametrize("number", [float("nan"), float("inf")], ids=str)
def test_what_is_no_number_is_a_dash(number: float) -> None:
    assert event_messages.price(RULES, number) == "– FDUSD"


def banner(mode: str, *, key_is_set: bool) -> str:
    return event_messages.banner("1.2.3", mode, "ETHFDUSD", "ws://a/ws-api/v3", "ws://b", key_is_set=key_is_set)


def test_the_banner_names_version_mode_pair_and_endpoints() -> None:
    text = banner("testnet", key_is_set=True)
    assert all(word in text for word in ("1.2.3", "testnet", "ETHFDUSD", "ws://a/ws-api/v3", "ws://b"))
    assert "SIMULATION" not in text


def test_on_paper_the_word_stands_wherever_figures_could_be_taken_for_money() -> None:
    ready = event_messages.ready(RULES, "paper", Regime.BASE, PRICE, Decimal(0), "ws://a")
    assert all("PAPER" in text for text in (banner("paper", key_is_set=False), ready))
    assert "PAPER" not in event_messages.ready(RULES, "live", Regime.BASE, PRICE, Decimal(0), "ws://a")
    assert "real money" in banner("live", key_is_set=True)


def test_a_simulation_says_so_and_with_a_key_how_to_use_it() -> None:
    assert "SIMULATION" in banner("sim", key_is_set=False)
    assert "TRADING_MODE=live" not in banner("sim", key_is_set=False)
    assert "TRADING_MODE=live" in banner("sim", key_is_set=True)


def test_a_sale_tells_the_result_of_its_round_trip() -> None:
    trip = RoundTrip((), (1,), ExitKind.FLUSH, 0, 1, ONE, Decimal(2600), Decimal("2550.5"), Decimal(0))
    text = event_messages.exit_filled(RULES, replace(SOLD, trip=trip))
    assert ", round trip -1.90 % (-49.50 FDUSD), +1.25 % since the anchor, " in text


def test_a_buy_back_tells_what_it_brought_and_the_anchor_only_beside_it() -> None:
    text = event_messages.exit_filled(RULES, replace(SOLD, side=Side.BUY, brought_frac=-0.053))
    assert "bought back 0.5000 ETH for 1275.60 FDUSD" in text
    assert ", -5.30 % ETH compared with the last sale, +1.25 % since the anchor, " in text


@pytest.mark.parametrize(
    "text",
    [
        event_messages.balances_differ("ETH", ONE, Decimal("0.5")),
        event_messages.leftover_cancelled(RULES, Side.BUY, ONE, PRICE, OWN),
        order_messages.order_rejected(OWN, -2010, "Order would immediately match and take."),
        order_messages.order_in_doubt(OWN, "timeout"),
        order_messages.order_of_another_instance(OWN, 17),
        account_messages.funded(RULES, Regime.QUOTE),
        account_messages.holding(RULES, Regime.QUOTE, PRICE, Origin.MARKET),
        account_messages.market_stale(RULES, 10.0),
        account_messages.market_recovered(12.0),
        account_messages.account_lost(RULES, 3.0),
        account_messages.account_back(3.0),
        event_messages.not_trading("ETHFDUSD", "BREAK"),
        event_messages.halted("two orders"),
        event_messages.paused(),
        event_messages.paused_already(),
        event_messages.resumed(),
        event_messages.nothing_to_resume(),
        event_messages.command_refused("flip", "nothing to sell"),
        event_messages.shutdown("SIGTERM"),
    ],
    ids=lambda text: text.partition(":")[0],
)
def test_the_rest_is_one_line_too(text: str) -> None:
    assert text
    assert "\n" not in text
    assert "None" not in text


@pytest.mark.parametrize(
    ("amount", "asset", "said"),
    [
        ("2.5512", "FDUSD", "2.55 FDUSD"),
        ("0.30", "FDUSD", "0.3 FDUSD"),
        ("0.00123456789", "ETH", "0.00123457 ETH"),
        ("1.00004", "ETH", "1.0000 ETH"),
        ("0.00012", "BNB", "0.00012 BNB"),
        ("0.000000004", "BNB", "0 BNB"),
    ],
)
def test_a_fee_is_rounded_to_what_matters(amount: str, asset: str, said: str) -> None:
    assert event_messages.amounts(RULES, {asset: Decimal(amount)}) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60.0, "1 min"), (3725.0, "1 h 2 min 5 s")]
)
def test_a_duration_reads_as_people_write_it(seconds: float, said: str) -> None:
    assert event_messages.elapsed(seconds) == said


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        (-0.00001, "+0.00 %"),
        (-0.0, "+0.00 %"),
        (0.00001, "+0.00 %"),
        (-0.00006, "-0.01 %"),
        (Decimal("0.0125"), "+1.25 %"),
    ],
    ids=str,
)
def test_a_percentage_is_rounded_before_it_is_signed(fraction: event_messages.AnyNumber, said: str) -> None:
    assert event_messages.percent(fraction) == said
