"""Spans of days: what is accepted as a day and as a symbol, and how runs of days are told."""

import argparse
from datetime import date, timedelta

import pytest

from trailingedge.commands.market_history.history_span import (
    MOST_DAYS,
    parse_day,
    parse_symbol,
    runs_of_days,
    span_problem,
    start_ms,
    utc_day,
)


@pytest.mark.parametrize("text", ["2025-02-30", "02.06.2025", "2025-6", "", "yesterday", "2025-06-02T10:00"])
def test_what_is_no_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write it like 2025-06-02"):
        parse_day(text)


@pytest.mark.parametrize("text", ["", "../ETH", "ETH/USDT", "ETH-USDT", "=ETH", "ETH USDT", "ETH.zip"])
def test_what_could_leave_the_folder_or_the_file_name_is_no_symbol(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a symbol"):
        parse_symbol(text)


@pytest.mark.parametrize(("text", "symbol"), [("ethusdt", "ETHUSDT"), ("1000SATSUSDT", "1000SATSUSDT")])
def test_a_symbol_is_taken_in_small_letters_too(text: str, symbol: str) -> None:
    assert parse_symbol(text) == symbol


def test_the_span_has_bounds() -> None:
    first = date(2025, 6, 2)
    assert span_problem(first, first) is None
    assert "is before --from" in str(span_problem(first, first - timedelta(days=1)))
    assert span_problem(first, first + timedelta(days=MOST_DAYS - 1)) is None
    assert f"more than {MOST_DAYS} days" in str(span_problem(first, first + timedelta(days=MOST_DAYS)))


def test_days_and_milliseconds_agree() -> None:
    day = date(2025, 6, 2)
    assert [utc_day(start_ms(day) - 1), utc_day(start_ms(day))] == [date(2025, 6, 1), day]


def test_runs_of_days_are_told_together() -> None:
    days = [date(2025, 6, number) for number in (1, 2, 3, 5, 7, 8)]
    assert runs_of_days(days) == [(days[0], days[2]), (days[3], days[3]), (days[4], days[5])]
