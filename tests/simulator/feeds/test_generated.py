import hashlib
import itertools
from collections import Counter
from decimal import Decimal

import pytest

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import ZERO, Side
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.ticks import Tick, TickSource

START_MS = 1_783_000_020_000
DAY = 20_000  # ticks, about a day of them


def ticks(market: TickSource, count: int = DAY) -> list[Tick]:
    return list(itertools.islice(market, count))


@pytest.fixture(scope="module", params=range(2), ids="seed {}".format)
def day(request: pytest.FixtureRequest) -> list[Tick]:
    """About the first day of a market of the default pair."""
    return ticks(GeneratedMarket(request.param, START_MS))


def test_a_generated_market_is_a_source_of_the_default_pair() -> None:
    source: TickSource = GeneratedMarket(1, START_MS)
    assert (source.symbol, source.base_asset, source.quote_asset) == ("ETHFDUSD", "ETH", "FDUSD")
    assert (source.tick_size, source.step_size) == (Decimal("0.01"), Decimal("0.0001"))
    assert source.gaps == ()


def test_a_seed_makes_the_same_market_on_every_python() -> None:
    market = GeneratedMarket(7, START_MS)
    lines = [f"{kline.open_ms} {kline.high} {kline.low} {kline.close} {kline.volume}" for kline in market.history]
    lines += [f"{tick.time_ms} {tick.bid} {tick.ask} {tick.last_price} {tick.traded}" for tick in ticks(market)]
    # If this digest changes, every simulated market has changed: that must be intended.
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == "386a9516f8c12b5f"


def test_another_seed_makes_another_market() -> None:
    assert ticks(GeneratedMarket(1, START_MS), 50) != ticks(GeneratedMarket(2, START_MS), 50)


def test_iterating_again_yields_the_same_ticks() -> None:
    market = GeneratedMarket(3, START_MS)
    assert ticks(market, 500) == ticks(market, 500)


@pytest.mark.parametrize("seed", range(5))
def test_the_history_ends_where_the_first_tick_begins(seed: int) -> None:
    market = GeneratedMarket(seed, START_MS + 12_345)
    first = next(iter(market))
    assert first.time_ms == START_MS == market.history[-1].close_ms + 1
    assert first.last_price == market.history[-1].close == Decimal("2500.00")


@pytest.mark.parametrize("seed", range(5))
def test_the_history_is_closed_minutes_without_a_gap(seed: int) -> None:
    history = GeneratedMarket(seed, START_MS).history
    assert len(history) == 1500
    for earlier, later in itertools.pairwise(history):
        assert earlier.close_ms == earlier.open_ms + MINUTE_MS - 1
        assert later.open_ms == earlier.close_ms + 1
        assert later.open == earlier.close
    assert all(kline.closed and kline.volume > ZERO for kline in history)


def test_prices_lie_on_the_tick_and_quantities_on_the_step(day: list[Tick]) -> None:
    tick_size, step_size = Decimal("0.01"), Decimal("0.0001")
    for tick in day:
        assert ZERO < tick.bid < tick.ask
        assert tick.bid % tick_size == tick.ask % tick_size == ZERO
        assert tick.bid_quantity > ZERO
        assert tick.ask_quantity > ZERO
        assert not any(amount % step_size for amount in (tick.bid_quantity, tick.ask_quantity, tick.traded))


@pytest.mark.parametrize("seed", range(5))
def test_prices_of_the_history_lie_on_the_tick(seed: int) -> None:
    for kline in GeneratedMarket(seed, START_MS).history:
        assert not any(price % Decimal("0.01") for price in (kline.open, kline.high, kline.low, kline.close))


def test_takers_pay_the_price_of_the_other_side(day: list[Tick]) -> None:
    for earlier, tick in itertools.pairwise(day):
        if tick.aggressor is None:
            assert (tick.traded, tick.last_price) == (ZERO, earlier.last_price)
        else:
            assert tick.traded > ZERO
            assert tick.last_price == (tick.ask if tick.aggressor is Side.BUY else tick.bid)


def assert_eight_ticks_a_minute(ticks_played: list[Tick]) -> None:
    times = [tick.time_ms for tick in ticks_played]
    assert times == sorted(set(times))
    minutes = Counter(time_ms // MINUTE_MS for time_ms in times)
    del minutes[times[-1] // MINUTE_MS]
    assert min(minutes.values()) >= 8
    assert len(minutes) == max(minutes) - min(minutes) + 1


def test_each_minute_has_eight_ticks_or_more(day: list[Tick]) -> None:
    assert_eight_ticks_a_minute(day)


@pytest.mark.parametrize("seed", range(2))
def test_each_minute_has_eight_ticks_or_more_without_a_script_too(seed: int) -> None:
    assert_eight_ticks_a_minute(ticks(GeneratedMarket(seed, START_MS, scripted=False)))


def test_the_spread_is_narrow_but_often_wider_than_one_tick(day: list[Tick]) -> None:
    spreads = Counter((tick.ask - tick.bid) / Decimal("0.01") for tick in day)
    assert sum(count for spread, count in spreads.items() if spread <= 5) > 0.8 * len(day)
    assert spreads[Decimal(1)] < 0.7 * len(day)
    assert max(spreads) <= 12


def test_some_ticks_leave_the_best_prices_so_that_queues_are_traded_away(day: list[Tick]) -> None:
    resting = [
        later.traded
        for earlier, later in itertools.pairwise(day)
        if (earlier.bid, earlier.ask) == (later.bid, later.ask)
    ]
    assert 0.1 * len(day) < len(resting) < 0.6 * len(day)
    assert ZERO < sum(resting, ZERO) / len(resting) < 2  # ETH a time: not a whole queue at once


def test_a_week_keeps_its_order_of_magnitude_and_still_moves() -> None:
    prices = [tick.bid for tick in itertools.islice(GeneratedMarket(0, START_MS), 7 * DAY)]
    assert 1250 < min(prices) < 2400
    assert 2600 < max(prices) < 5000


def test_other_pairs_have_their_own_grid() -> None:
    market = GeneratedMarket(
        1,
        START_MS,
        symbol="DOGEUSDT",
        base_asset="DOGE",
        quote_asset="USDT",
        tick_size=Decimal("0.00001"),
        step_size=Decimal(1),
        start_price=Decimal("0.20000"),
        history_minutes=10,
    )
    assert len(market.history) == 10
    for tick in ticks(market, 1000):
        assert tick.bid % market.tick_size == tick.bid_quantity % market.step_size == ZERO
        assert Decimal("0.17") < tick.bid < Decimal("0.22")


@pytest.mark.parametrize(
    "price",
    [pytest.param("0", id="zero"), pytest.param("-1", id="negative"), pytest.param("2500.005", id="off the tick")],
)
def test_a_start_price_must_be_a_price(price: str) -> None:
    with pytest.raises(ValueError, match="is not a positive multiple of the tick size"):
        GeneratedMarket(1, START_MS, start_price=Decimal(price))
