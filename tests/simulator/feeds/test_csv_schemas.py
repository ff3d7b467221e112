from decimal import Decimal

import pytest

from trailingedge.model.market import Kline, Side
from trailingedge.simulator.feeds.csv_schemas import (
    CsvSchema,
    QuoteRow,
    TradeRow,
    decimal_places,
    detect_schema,
    is_header,
    parse_agg_trade,
    parse_kline,
    parse_quote,
    parse_time_ms,
    parse_trade,
)


def cells(line: str) -> list[str]:
    return line.split(",")


KLINE = cells("1748822400000000,2539.20,2539.40,2536.98,2537.30,318.6266,1748822459999999,808744.4,0,0,0,0")
TRADE = cells("553287559,39432.48000000,0.00026300,10.37074224,1610064000278,True,True")
AGG_TRADE = cells("665076760,58001.03,0.08620500,745522877,745522877,1617566591314,false,true")
QUOTE = cells("400900217,24.40,12.5,24.41,99.1,1617566592308,1617566592309")


@pytest.mark.parametrize(
    ("row", "schema"),
    [
        pytest.param(KLINE, CsvSchema.KLINES, id="klines"),
        pytest.param(TRADE, CsvSchema.TRADES, id="trades"),
        pytest.param(TRADE[:6], CsvSchema.TRADES, id="futures trades"),
        pytest.param(AGG_TRADE, CsvSchema.AGG_TRADES, id="aggTrades"),
        pytest.param(AGG_TRADE[:7], CsvSchema.AGG_TRADES, id="futures aggTrades"),
        pytest.param(QUOTE, CsvSchema.BOOK_TICKER, id="bookTicker"),
        pytest.param([*QUOTE, "1617566592630009"], CsvSchema.BOOK_TICKER, id="bookTicker with receive time"),
        pytest.param(["1", "2", "3"], None, id="three columns"),
        pytest.param(KLINE[:11], None, id="a kline cut short"),
        pytest.param(["1", "True", "2", "3", "4", "5", "True"], None, id="flags in the wrong place"),
    ],
)
def test_a_schema_is_recognised_by_its_columns(row: list[str], schema: CsvSchema | None) -> None:
    assert detect_schema(row) is schema


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        pytest.param("open_time", True, id="a name"),
        pytest.param("1748822400000", False, id="a time"),
        pytest.param("-1", False, id="the id of an unknown trade"),
    ],
)
def test_a_header_names_its_first_column(cell: str, named: bool) -> None:
    assert is_header([cell, "x"]) is named


def test_a_kline_row_is_a_closed_kline() -> None:
    assert parse_kline(KLINE) == Kline(
        1_748_822_400_000,
        1_748_822_459_999,
        Decimal("2539.20"),
        Decimal("2539.40"),
        Decimal("2536.98"),
        Decimal("2537.30"),
        Decimal("318.6266"),
    )


def test_if_the_buyer_was_the_maker_the_seller_is_the_aggressor() -> None:
    assert parse_trade(TRADE) == TradeRow(553287559, 1610064000278, Decimal("39432.48"), Decimal("0.000263"), Side.SELL)
    assert parse_agg_trade(AGG_TRADE).aggressor is Side.BUY


def test_a_quote_row_has_both_best_prices() -> None:
    assert parse_quote(QUOTE) == QuoteRow(
        1617566592308, Decimal("24.40"), Decimal("12.5"), Decimal("24.41"), Decimal("99.1")
    )


@pytest.mark.parametrize(
    ("cell", "time_ms"),
    [
        pytest.param("1723939200000", 1_723_939_200_000, id="milliseconds"),
        pytest.param("1748822400000000", 1_748_822_400_000, id="microseconds"),
        pytest.param("1748822459999999", 1_748_822_459_999, id="the last microsecond of a minute"),
    ],
)
def test_magnitude_tells_the_unit_of_a_time(cell: str, time_ms: int) -> None:
    assert parse_time_ms(cell) == time_ms


@pytest.mark.parametrize("cell", ["0", "-1", "1723939200", "1748822400000000000", "noon", ""])
def test_an_implausible_time_is_rejected(cell: str) -> None:
    with pytest.raises(ValueError, match=r"no time|invalid literal"):
        parse_time_ms(cell)


@pytest.mark.parametrize(
    ("number", "cell"),
    [
        pytest.param(1, "0", id="a price of zero"),
        pytest.param(1, "-5", id="a negative price"),
        pytest.param(1, "NaN", id="not a number"),
        pytest.param(1, "Infinity", id="infinite"),
        pytest.param(2, "much", id="a word for a quantity"),
        pytest.param(5, "maybe", id="a flag that is none"),
        pytest.param(4, "yesterday", id="a word for a time"),
    ],
)
def test_a_trade_row_that_cannot_be_parsed_is_rejected(number: int, cell: str) -> None:
    row = list(TRADE)
    row[number] = cell
    with pytest.raises(ValueError, match=r".+"):
        parse_trade(row)


@pytest.mark.parametrize(
    ("cell", "places"),
    [("2539.20000000", 1), ("0.00141342", 8), ("23.00000000", 0), ("5", 0), ("100", 0), ("0.10", 1)],
)
def test_trailing_zeros_are_padding(cell: str, places: int) -> None:
    assert decimal_places(cell) == places
