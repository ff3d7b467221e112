"""Market queries: klines without gap or duplicate, rules, best prices, time."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.websocket.fake_sockets import PaperExchange

from trailingedge.core.errors import ConfigError, ProtocolViolation, RequestRefused
from trailingedge.websocket import market_fetch

MINUTE_MS = 60_000


def row(minute: int) -> list[object]:
    return [minute * MINUTE_MS, "10", "12", "9", "11", "5", (minute + 1) * MINUTE_MS - 1, "50", 1, "1", "1", "0"]


class KlineHouse(PaperExchange):
    """An exchange with the klines of these minutes; the last one is forming."""

    def __init__(self, minutes: list[int]) -> None:
        super().__init__(klines=self.page)
        self.minutes = minutes

    def page(self, params: Mapping[str, str | int]) -> object:
        start, end = int(params.get("startTime", 0)), int(params.get("endTime", 1 << 60))
        limit = int(params["limit"])
        assert 1 <= limit <= 1000
        fitting = [minute for minute in self.minutes if start <= minute * MINUTE_MS <= end]
        return [row(minute) for minute in (fitting[:limit] if "startTime" in params else fitting[-limit:])]


@pytest.mark.parametrize(
    ("existing", "count", "pages", "limit"),
    [
        pytest.param(3000, 1440, 2, 721, id="two pages"),
        pytest.param(3000, 999, 1, 1000, id="exactly one page"),
        pytest.param(3000, 1000, 2, 501, id="one more than a page"),
        pytest.param(3000, 2500, 3, 834, id="three pages"),
        pytest.param(3000, 5, 1, 6, id="a few"),
    ],
)
async def test_equal_pages_join_without_gap_or_duplicate(existing: int, count: int, pages: int, limit: int) -> None:
    house = KlineHouse(list(range(existing)))
    found = await market_fetch.klines(house, "X", "1m", count)
    assert [kline.open_ms // MINUTE_MS for kline in found] == list(range(existing - 1 - count, existing - 1))
    assert len(house.requests) == pages
    assert house.requests[0][1] == {"symbol": "X", "interval": "1m", "limit": limit}


async def test_fewer_klines_than_wanted_are_returned() -> None:
    assert len(await market_fetch.klines(KlineHouse(list(range(8))), "X", "1m", 1440)) == 7


@pytest.mark.parametrize("minutes", [[], [5]], ids=["none", "only the forming one"])
async def test_no_klines_are_returned_as_an_empty_list(minutes: list[int]) -> None:
    assert await market_fetch.klines(KlineHouse(minutes), "X", "1m", 10) == []


async def test_klines_before_a_gap_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    house = KlineHouse([*range(100), *range(105, 120)])
    found = await market_fetch.klines(house, "X", "1m", 50)
    assert [kline.open_ms // MINUTE_MS for kline in found] == list(range(105, 119))
    assert "klines before a gap ignored gap_from_ms=6000000 gap_until_ms=6300000" in caplog.text


async def test_a_gap_between_two_pages_is_seen() -> None:
    house = KlineHouse([*range(779), *range(780, 1501)])
    found = await market_fetch.klines(house, "X", "1m", 1440)
    assert [kline.open_ms // MINUTE_MS for kline in found] == list(range(780, 1500))


@given(st.integers(0, 2500), st.integers(1, 2500), st.sets(st.integers(0, 2500), max_size=3))
async def test_the_newest_klines_without_a_gap_are_returned(existing: int, count: int, missing: set[int]) -> None:
    house = KlineHouse([minute for minute in range(existing) if minute not in missing])
    found = [kline.open_ms // MINUTE_MS for kline in await market_fetch.klines(house, "X", "1m", count)]
    run: list[int] = []
    for minute in reversed(house.minutes[:-1]):
        if len(run) == count or (run and minute != run[-1] - 1):
            break
        run.append(minute)
    assert found == run[::-1]


async def test_missing_klines_come_in_pages_and_in_order() -> None:
    house = KlineHouse(list(range(3000)))
    found = await market_fetch.klines_between(house, "X", "1m", 100 * MINUTE_MS, 2600 * MINUTE_MS - 1)
    assert [kline.open_ms // MINUTE_MS for kline in found] == list(range(100, 2600))
    assert len(house.requests) == 3


async def test_klines_that_do_not_exist_are_not_waited_for() -> None:
    house = KlineHouse([1, 2, 9])
    found = await market_fetch.klines_between(house, "X", "1m", 2 * MINUTE_MS, 9 * MINUTE_MS - 1)
    assert [kline.open_ms // MINUTE_MS for kline in found] == [2]


@pytest.mark.parametrize("code", [-1121, -1100])
async def test_a_symbol_that_is_not_listed_is_named(code: int) -> None:
    def refuse(_: Mapping[str, str | int]) -> object:
        return RequestRefused(code, "Invalid symbol.")

    with pytest.raises(ConfigError, match="SYMBOL ETHFUDSD"):
        await market_fetch.exchange_info(PaperExchange(exchangeInfo=refuse), "ETHFUDSD")


async def test_a_list_without_the_symbol_is_a_config_error_too() -> None:
    with pytest.raises(ConfigError, match="SYMBOL X"):
        await market_fetch.exchange_info(PaperExchange(exchangeInfo=lambda _: {"symbols": []}), "X")


async def test_another_refusal_is_raised_unchanged() -> None:
    busy = PaperExchange(exchangeInfo=lambda _: RequestRefused(-1003, "weight"))
    with pytest.raises(RequestRefused, match="weight"):
        await market_fetch.exchange_info(busy, "X")


async def test_rules_and_limits_are_typed() -> None:
    listed = {"symbol": "ETHFDUSD", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "FDUSD", "filters": []}
    limit = {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000}
    api = PaperExchange(exchangeInfo=lambda _: {"rateLimits": [limit], "symbols": [listed]})
    rules, limits = await market_fetch.exchange_info(api, "ETHFDUSD")
    assert (rules.base_asset, rules.quote_asset) == ("ETH", "FDUSD")
    assert limits[0].limit == 200000
    assert api.requests == [("exchangeInfo", {"symbol": "ETHFDUSD"})]


async def test_best_prices_and_time_are_typed() -> None:
    top = {"bidPrice": "1", "bidQty": "1", "askPrice": "2", "askQty": "1"}
    api = PaperExchange(ticker_book=lambda _: top, time=lambda _: {"serverTime": 5})
    assert (await market_fetch.book(api, "X")).bid == Decimal(1)
    assert await market_fetch.server_time(api) == 5


async def test_klines_as_cells_have_all_twelve_columns() -> None:
    house = KlineHouse(list(range(1500)))
    cells = await market_fetch.kline_cells_between(house, "X", "1m", 100 * MINUTE_MS, 1300 * MINUTE_MS - 1)
    assert cells == [tuple(map(str, row(minute))) for minute in range(100, 1300)]
    assert len(house.requests) == 2


@pytest.mark.parametrize("damage", [lambda cells: cells[:11], lambda cells: [*cells[:11], "=1+1"]])
async def test_a_row_that_is_no_row_of_a_kline_file_is_refused(damage: Callable[[list[object]], list[object]]) -> None:
    house = PaperExchange(klines=lambda _: [damage(row(0))])
    with pytest.raises(ProtocolViolation):
        await market_fetch.kline_cells_between(house, "X", "1m", 0, MINUTE_MS)
