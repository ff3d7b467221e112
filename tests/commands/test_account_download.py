"""An account's past is read from the exchange, and is what the daemon counted as it happened."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.daemon_harness import URL, D, NodeHarness, run_scenario
from tests.tight_settings import tight

from trailingedge.accounting.results import FinishedExit, RunResults
from trailingedge.auth.manager import KeyManager
from trailingedge.commands import account_download
from trailingedge.commands.account_download import TimeRange, read_account
from trailingedge.commands.checks.check_target import CheckTarget, CheckTools
from trailingedge.core.errors import ConfigError, LogonRefused, SessionLost
from trailingedge.core.time_units import DAY_MS
from trailingedge.live.factory import account_report_params
from trailingedge.model.market import Side
from trailingedge.reconciliation import history_loader
from trailingedge.report.from_account import AccountHistory, build_report
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.orders import OrderType

A_DAY = TimeRange(days=1)


def venue_of(it: NodeHarness, *, known: bool = True) -> CheckTarget:
    """Another key of the same account."""
    private_key = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    api_key = it.exchange.register_key(private_key.public_key()) if known else "nobody"
    return CheckTarget(URL, KeyManager.from_private_key(private_key, api_key))


async def read(
    it: NodeHarness, span: TimeRange = A_DAY, *, known: bool = True, symbol: str = "ETHFDUSD"
) -> AccountHistory:
    params = account_report_params(tight(symbol=symbol))
    return await read_account(
        params, venue_of(it, known=known), span, lambda _: None, CheckTools(it.network.dial, it.clock)
    )


async def a_round_trip(it: NodeHarness) -> None:
    """A take-profit through two replaces, and a buy-back."""
    await it.ready()
    await it.minute("2530")
    await it.price("2560")
    await it.price("2553")
    await it.price("2552")
    await it.price("2551")
    await it.minute("2560")
    await it.minute("2500")
    await it.price("2508")
    await it.minute("2500")
    await it.until(lambda: not it.own_orders)
    await it.minute("2501")


def once_traded(
    then: Callable[[NodeHarness], Awaitable[AccountHistory]] = read, *, terms: ExchangeSpec | None = None
) -> tuple[AccountHistory, RunResults, Sequence[FinishedExit]]:
    """What is read after a round trip, what the daemon counted of it, and its exits."""
    found: list[tuple[AccountHistory, RunResults, Sequence[FinishedExit]]] = []

    async def story(it: NodeHarness) -> None:
        await a_round_trip(it)
        assert it.node.services is not None
        tally = it.node.services.statistics
        found.append((await then(it), tally.results(), tuple(tally.exits)))

    curtain = run_scenario(story, terms=terms)
    if curtain.error is not None:
        raise curtain.error
    return found[0]


def test_what_is_read_is_what_was_counted_as_it_happened() -> None:
    past, counted, exits = once_traded(terms=ExchangeSpec(maker_fee=D("0.001")))
    story = build_report(past)
    assert [(each.kind, each.side, each.number, each.cause) for each in story.exits] == [
        (each.kind, each.side, each.number, each.cause) for each in exits
    ]
    assert len(exits) == 2
    assert [(each.base, each.quote, each.fees, each.replaces) for each in story.exits] == [
        (each.base, each.quote, each.fees, each.replaces) for each in exits
    ]
    assert [each.anchor_gain_frac for each in story.exits] == pytest.approx([each.anchor_gain_frac for each in exits])
    assert (len(story.fills), story.results.last.replaces) == (counted.last.fills, counted.last.replaces)
    assert story.results.last.value == past.base * past.bid + past.quote


def test_slippage_is_measured_against_the_second_in_which_the_exit_began() -> None:
    past, _, exits = once_traded()
    assert set(past.openings) == {each.number for each in exits}
    assert all(2400 < price < 2600 for price in past.openings.values())


def test_candles_reach_back_far_enough_for_a_full_channel_at_the_beginning() -> None:
    past, _, _ = once_traded(lambda it: read(it, TimeRange(from_ms=it.market_ms - 5 * 60_000)))
    story = build_report(past)
    assert story.samples[0].upper is not None
    assert story.candles[0].open_ms >= past.from_ms


def test_an_anchor_from_before_the_time_that_is_told_is_found() -> None:
    async def the_last_minutes(it: NodeHarness) -> AccountHistory:
        sold = next(trade for trade in it.exchange.account().trades if trade.side is Side.SELL)
        return await read(it, TimeRange(from_ms=sold.time_ms + 30_000))

    past, _, exits = once_traded(the_last_minutes)
    (bought,) = build_report(past).exits
    assert bought.anchor_gain_frac == pytest.approx(exits[1].anchor_gain_frac)


def test_a_time_that_is_long_over_knows_what_was_held_then() -> None:
    past, _, _ = once_traded(lambda it: read(it, TimeRange(days=1, to_ms=it.market_ms - 10 * 60_000)))
    story = build_report(past)
    assert (story.exits, story.fills) == ((), ())
    assert story.results.last.value == D(2500)  # one ETH, before any of it


def test_the_owners_own_trades_are_none_of_ours() -> None:
    async def beside_another(it: NodeHarness) -> AccountHistory:
        it.trade_manually(lambda hand: hand.place(Side.SELL, D("2400"), D("0.1"), OrderType.LIMIT))
        await it.price("2501")
        return await read(it)

    past, counted, _ = once_traded(beside_another)
    story = build_report(past)
    assert len(story.fills) == counted.last.fills
    assert len(past.trades) == counted.last.fills + 1
    assert any("1 fill of other orders (0.1 ETH sold)" in gap for gap in story.gaps)


def test_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _, _ = once_traded()
    monkeypatch.setattr(history_loader, "PAGE", 1)
    paged, _, _ = once_traded()
    assert len(whole.trades) == 2
    assert paged.trades == whole.trades


def test_a_list_without_an_end_is_given_up_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_loader, "PAGE", 1)
    monkeypatch.setattr(account_download, "_TRADE_PAGES", 1)
    past, _, _ = once_traded()
    assert any("trades: the newest are left out" in gap for gap in past.gaps)


@pytest.mark.parametrize(
    ("then", "error"),
    [
        pytest.param(lambda it: read(it, known=False), LogonRefused, id="unknown key"),
        pytest.param(lambda it: read(it, symbol="XYZFDUSD"), ConfigError, id="unknown symbol"),
    ],
)
def test_what_a_person_must_mend_is_raised_as_such(
    then: Callable[[NodeHarness], Awaitable[AccountHistory]], error: type[Exception]
) -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        with pytest.raises(error):
            await then(it)

    run_scenario(story)


def test_an_exchange_that_cannot_be_reached_is_named() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.network.blocked.add("ws-api")
        with pytest.raises(SessionLost, match=r"ws://memory/ws-api/v3: connection refused"):
            await read(it)

    run_scenario(story)


def test_days_are_counted_back_from_the_end() -> None:
    past, _, _ = once_traded(lambda it: read(it, TimeRange(days=2)))
    assert past.to_ms - past.from_ms <= 2 * DAY_MS
    assert replace(past, gaps=()).from_ms == past.klines[0].open_ms  # the exchange has no older candles
