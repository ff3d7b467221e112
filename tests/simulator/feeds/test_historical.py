import itertools
import random
import tracemalloc
import zipfile
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from trailingedge.core.errors import ConfigError
from trailingedge.model.market import ZERO, Side
from trailingedge.simulator.feeds.historical import open_market, split_symbol
from trailingedge.simulator.feeds.ticks import Tick, TickSource

MINUTE_MS = 60_000
START_MS = 1_748_822_400_000
HEADER = (
    "open_time,open,high,low,close,volume,close_time,"
    "quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


def minute(number: int, close_ticks: int, factor: int = 1) -> str:
    """A kline row that opens at 2500.00, in milliseconds times `factor`."""
    open_ms = START_MS + number * MINUTE_MS
    close = Decimal(close_ticks) / 100
    opened = Decimal("2500.00")
    high, low = max(opened, close) + Decimal("0.5"), min(opened, close) - Decimal("0.5")
    ends = (open_ms + MINUTE_MS) * factor - 1
    prices = ",".join(f"{price:.8f}" for price in (opened, high, low, close))
    return f"{open_ms * factor},{prices},12.34560000,{ends},0,0,0,0,0\n"


def minutes(numbers: Iterable[int], factor: int = 1) -> str:
    chance = random.Random(5)
    closes = [chance.randrange(249_000, 251_000) for _ in range(10_000)]
    return "".join(minute(number, closes[number], factor) for number in numbers)


def saved(path: Path, text: str) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.with_suffix(".csv").name, text)
    else:
        path.write_text(text)
    return path


def closes(ticks: Iterable[Tick]) -> list[Decimal]:
    """The last traded price of each minute."""
    return [list(group)[-1].last_price for _, group in itertools.groupby(ticks, lambda tick: tick.time_ms // MINUTE_MS)]


def test_a_recorded_market_has_the_pair_and_grid_of_its_files(tmp_path: Path) -> None:
    source: TickSource = open_market([saved(tmp_path / "ETHUSDT-1m-2025-06-02.zip", minutes(range(3)))])
    assert (source.symbol, source.base_asset, source.quote_asset) == ("ETHUSDT", "ETH", "USDT")
    assert (source.tick_size, source.step_size) == (Decimal("0.01"), Decimal("0.0001"))
    assert (tuple(source.history), tuple(source.gaps)) == ((), ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("ETHUSDT-1m.csv", minutes(range(5)), id="plain"),
        pytest.param("ETHUSDT-1m.zip", minutes(range(5)), id="zipped"),
        pytest.param("ETHUSDT-1m.csv", HEADER + minutes(range(5)), id="with a header"),
        pytest.param("ETHUSDT-1m.zip", minutes(range(5), factor=1000), id="in microseconds"),
    ],
)
def test_a_file_reads_the_same_plain_or_zipped_with_header_or_without(tmp_path: Path, name: str, text: str) -> None:
    ticks = list(open_market([saved(tmp_path / name, text)]))
    assert ticks == list(open_market([saved(tmp_path / "ETHUSDT-1m-again.csv", minutes(range(5)))]))
    assert [ticks[0].time_ms, len(ticks)] == [START_MS, 40]
    assert sum((tick.traded for tick in ticks), ZERO) == 5 * Decimal("12.3456")


def test_several_files_are_one_market_in_order_without_repeats(tmp_path: Path) -> None:
    whole = open_market([saved(tmp_path / "ETHUSDT-1m-whole.csv", minutes(range(12)))])
    parts = [
        saved(tmp_path / "ETHUSDT-1m-a.csv", minutes([6, 7, 8, 8, 9, 10, 11])),
        saved(tmp_path / "ETHUSDT-1m-b.csv", minutes(range(4))),
        saved(tmp_path / "ETHUSDT-1m-c.csv", minutes(range(2, 8))),
    ]
    assert list(open_market(parts)) == list(whole)


def test_iterating_again_yields_the_same_ticks(tmp_path: Path) -> None:
    market = open_market([saved(tmp_path / "ETHUSDT-1m.csv", minutes(range(5)))])
    assert list(market) == list(market)


def test_a_gap_is_reported_and_skipped(tmp_path: Path) -> None:
    market = open_market([saved(tmp_path / "ETHUSDT-1m.csv", minutes([0, 1, 4]))])
    assert list(market.gaps) == ["2 1m klines missing: 2025-06-02 00:02 to 2025-06-02 00:04 UTC"]
    assert len(list(market)) == 24


def test_a_long_market_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = saved(tmp_path / "ETHUSDT-1m.zip", minutes(range(2000)))
    tracemalloc.start()
    count = sum(1 for _ in open_market([path]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 16_000
    assert peak < 2_500_000  # the ticks alone would be more than three times that


TRADES = """\
101,39432.48000000,0.00026300,10.37,1610064000278,True,True
102,39439.44000000,0.00437600,172.58,1610064000310,False,True
102,39439.44000000,0.00437600,172.58,1610064000310,False,True
103,39439.22000000,0.00031100,12.26,1610064000300,True,True
"""
AGG_TRADES = """\
agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker
7,39432.48,0.00026300,101,101,1610064000278,true
8,39439.44,0.00437600,102,102,1610064000310,false
9,39439.22,0.00031100,103,103,1610064000310,true
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("BTCUSDT-trades-2021-01-08.csv", TRADES, id="trades"),
        pytest.param("BTCUSDT-aggTrades-2021-01-08.zip", AGG_TRADES, id="aggTrades"),
    ],
)
def test_a_trade_is_a_tick_with_a_spread_of_one_tick_around_it(tmp_path: Path, name: str, text: str) -> None:
    market = open_market([saved(tmp_path / name, text)])
    assert (market.tick_size, market.step_size) == (Decimal("0.01"), Decimal("0.000001"))
    rows = [(tick.time_ms, tick.bid, tick.ask, tick.last_price, tick.traded, tick.aggressor) for tick in market]
    sold, bought, later = Decimal("39432.48"), Decimal("39439.44"), Decimal("39439.22")
    tick = Decimal("0.01")
    assert rows == [
        (1610064000278, sold, sold + tick, sold, Decimal("0.000263"), Side.SELL),
        (1610064000310, bought - tick, bought, bought, Decimal("0.004376"), Side.BUY),
        (1610064000310, later, later + tick, later, Decimal("0.000311"), Side.SELL),
    ]


def test_the_depth_around_trades_is_the_largest_of_the_last(tmp_path: Path) -> None:
    ticks = list(open_market([saved(tmp_path / "BTCUSDT-trades-2021-01-08.csv", TRADES)]))
    assert [tick.bid_quantity for tick in ticks] == [Decimal("0.000263"), Decimal("0.004376"), Decimal("0.004376")]


QUOTES = """\
update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time
1,0.3521,672.0,0.3526,3199.0,1633998513377,1633998513377
2,0.3527,672.0,0.3526,3199.0,1633998513380,1633998513380
3,0.0000,0.0,0.3526,3199.0,1633998513385,1633998513385
4,0.3521,672.0,0.3525,1123.5,1633998513392,1633998513392
5,0.3520,1.0,0.3525,1123.5,1633998513390,1633998513390
"""


def test_a_quote_is_a_tick_without_a_trade_and_a_crossed_one_is_skipped(tmp_path: Path) -> None:
    market = open_market([saved(tmp_path / "NKNUSDT-bookTicker-2021-10-12.csv", QUOTES)])
    assert (market.tick_size, market.step_size) == (Decimal("0.0001"), Decimal("0.1"))
    bid = Decimal("0.3521")
    assert list(market) == [
        Tick(1633998513377, bid, Decimal(672), Decimal("0.3526"), Decimal(3199), bid, ZERO, None),
        Tick(
            1633998513390,
            Decimal("0.3520"),
            Decimal(1),
            Decimal("0.3525"),
            Decimal("1123.5"),
            Decimal("0.3520"),
            ZERO,
            None,
        ),
        Tick(1633998513392, bid, Decimal(672), Decimal("0.3525"), Decimal("1123.5"), bid, ZERO, None),
    ]


@pytest.mark.parametrize("row", ["0.3527,672.0,0.3526", "0.3526,672.0,0.3526", "0,0,0.3526"])
def test_best_prices_that_are_all_crossed_or_one_sided_are_refused(row: str, tmp_path: Path) -> None:
    rows = "".join(f"{number},{row},3.0,{1633998513377 + number},{1633998513377 + number}\n" for number in range(9))
    path = saved(tmp_path / "NKNUSDT-bookTicker-2021-10-12.csv", rows)
    with pytest.raises(
        ConfigError, match=r"all 9 rows have a book that is crossed or has one side.*; give another file"
    ):
        open_market([path])


def test_settings_win_over_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "ETHUSDT-1m.csv", minutes(range(2)))
    market = open_market([path], symbol="ETHFDUSD", base_asset="ETH", quote_asset="FDUSD")
    assert (market.symbol, market.base_asset, market.quote_asset) == ("ETHFDUSD", "ETH", "FDUSD")


def test_a_market_played_under_another_symbol_is_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "ETHUSDT-1m-2025-06-01.csv", minutes(range(2)))
    (gap,) = open_market([path], symbol="ETHFDUSD").gaps
    assert "the name of ETHUSDT-1m-2025-06-01.csv says ETHUSDT" in gap
    assert open_market([path], symbol="ETHUSDT").gaps == open_market([path]).gaps == ()


@pytest.mark.parametrize(
    ("symbol", "assets"),
    [
        pytest.param("ETHFDUSD", ("ETH", "FDUSD"), id="FDUSD is not USD"),
        pytest.param("ETHUSDT", ("ETH", "USDT"), id="USDT"),
        pytest.param("XRPETH", ("XRP", "ETH"), id="ETH as quote"),
        pytest.param("ETHBTC", ("ETH", "BTC"), id="ETH as base"),
        pytest.param("FDUSDUSDT", ("FDUSD", "USDT"), id="two dollars"),
        pytest.param("BTCTRY", ("BTC", "TRY"), id="lira"),
        pytest.param("BNBEUR", ("BNB", "EUR"), id="euro"),
        pytest.param("1000SATSUSDC", ("1000SATS", "USDC"), id="digits first"),
        pytest.param("1INCHUSDT", ("1INCH", "USDT"), id="a digit first"),
        pytest.param("币安人生USDT", ("币安人生", "USDT"), id="another script"),
        pytest.param("BTCTUSD", ("BTC", "TUSD"), id="TUSD is not USD"),
        pytest.param("XLMUSD", ("XLM", "USD"), id="one reading"),
    ],
)
def test_assets_are_read_from_the_symbol(symbol: str, assets: tuple[str, str]) -> None:
    assert split_symbol(symbol) == assets


@pytest.mark.parametrize(
    ("base_asset", "quote_asset"),
    [pytest.param("ABC", None, id="base given"), pytest.param(None, "XYZ", id="quote given")],
)
def test_one_asset_given_determines_the_other(base_asset: str | None, quote_asset: str | None) -> None:
    assert split_symbol("ABCXYZ", base_asset, quote_asset) == ("ABC", "XYZ")


def test_unknown_assets_must_be_set() -> None:
    with pytest.raises(ConfigError, match=r"the assets of ABCXYZ .* set BASE_ASSET and QUOTE_ASSET"):
        split_symbol("ABCXYZ")


def test_of_two_readings_none_is_guessed_and_both_are_named() -> None:
    with pytest.raises(ConfigError, match=r"XYZTUSD can be XYZ and TUSD, or XYZT and USD; set BASE_ASSET and QUOTE"):
        split_symbol("XYZTUSD")
    for pair in (("XYZ", "TUSD"), ("XYZT", "USD")):
        assert split_symbol("XYZTUSD", *pair) == split_symbol("XYZTUSD", pair[0]) == pair
        assert split_symbol("XYZTUSD", None, pair[1]) == pair


@pytest.mark.parametrize(("base_asset", "quote_asset"), [("BTC", "EUR"), ("BTC", None), (None, "EUR"), ("ETH", "BTC")])
def test_assets_that_do_not_make_up_the_symbol_are_refused(base_asset: str | None, quote_asset: str | None) -> None:
    with pytest.raises(ConfigError, match=r"the symbol is ETHUSDT; correct the setting or leave it empty"):
        split_symbol("ETHUSDT", base_asset, quote_asset)


def test_the_assets_of_a_file_are_those_set_if_they_make_up_its_symbol(tmp_path: Path) -> None:
    path = saved(tmp_path / "ABCXYZ-1m-2025-06-01.csv", minutes(range(2)))
    with pytest.raises(ConfigError, match="set BASE_ASSET and QUOTE_ASSET"):
        open_market([path])
    market = open_market([path], None, "ABC", "XYZ")
    assert (market.symbol, market.base_asset, market.quote_asset) == ("ABCXYZ", "ABC", "XYZ")
    other = saved(tmp_path / "ETHUSDT-1m-2025-06-01.csv", minutes(range(2)))
    assert open_market([other], None, "ABC", "XYZ").quote_asset == "USDT"


@pytest.mark.parametrize("symbol", ["币安人生USDT", "1INCHUSDT", "1000SATSUSDT"])
def test_a_file_name_gives_any_symbol(tmp_path: Path, symbol: str) -> None:
    path = saved(tmp_path / f"{symbol}-1m-2025-06-01.csv", minutes(range(2)))
    assert open_market([path]).symbol == symbol
    assert open_market([path], symbol).gaps == ()
    (gap,) = open_market([path], "ETHUSDT").gaps
    assert f"says {symbol}; its prices are used" in gap


def test_a_file_name_without_a_symbol_is_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "market.csv", minutes(range(2)))
    with pytest.raises(ConfigError, match=r"market.csv: no symbol in the file name; .* name it with --symbol"):
        open_market([path])
    assert open_market([path], symbol="ETHUSDT").base_asset == "ETH"


def test_no_files_are_no_market() -> None:
    with pytest.raises(ConfigError, match="no market file was named"):
        open_market([])


def test_everything_wrong_with_the_files_is_one_list(tmp_path: Path) -> None:
    good = saved(tmp_path / "ETHUSDT-1m.csv", minutes(range(2)))
    other = saved(tmp_path / "BTCUSDT-1m.csv", minutes(range(2)))
    bad = saved(tmp_path / "ETHUSDT-1m-bad.csv", minutes([0]) + minutes([1, 2]).replace("2500.00", "0.00"))
    with pytest.raises(ConfigError) as trouble:
        open_market([good, tmp_path / "ETHUSDT-gone.zip", bad, other])
    gone, broken, mixed = trouble.value.problems
    assert gone.endswith("ETHUSDT-gone.zip: no such file; name CSV or ZIP files of Binance's public data")
    assert "ETHUSDT-1m-bad.csv, line 2: not a kline" in broken
    assert mixed.startswith("mixed symbols: BTCUSDT in")
