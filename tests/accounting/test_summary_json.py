"""The JSON summary: one shape, amounts as text, times in UTC."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.accounting.summary_shape import SHAPE
from tests.accounting.test_statistics import MIDNIGHT_MS, ended, fill, finish, tally
from tests.execution.order_builders import NUMBER, RULES, D, own

from trailingedge.accounting.statistics import RunStatistics
from trailingedge.accounting.summary_json import build_summary, day_json, iso_time
from trailingedge.config import Settings, shareable_settings


@pytest.fixture
def made() -> RunStatistics:
    """A take-profit of one ETH at 2550, from an account that stood at 2500."""
    counted = tally()
    counted.mark_to_market(MIDNIGHT_MS, D(2500), D(1), D(0))
    counted.on_report(fill("2.5500", "FDUSD"))
    finish(counted, ended())
    counted.mark_to_market(MIDNIGHT_MS + 60_000, D(2540), D(0), D("2547.45"))
    return counted


def summed(made: RunStatistics, gaps: Sequence[str] = ()) -> dict[str, object]:
    return build_summary(RULES.symbol, shareable_settings(Settings()), made.results(), gaps)


def test_the_shape_is_the_one_of_summary_replay_and_report(made: RunStatistics) -> None:
    told = json.loads(json.dumps(summed(made, ["an hour is missing"])))
    assert list(told) == SHAPE
    assert (told["version"], told["symbol"], told["gaps"]) == (2, "ETHFDUSD", ["an hour is missing"])
    assert (told["from"], told["to"]) == ("2026-07-02T00:00:00.000+00:00", "2026-07-02T00:01:00.000+00:00")
    assert list(told["totals"]) == [
        "orders",
        "fills",
        "replaces",
        "round_trips",
        "won",
        "fees",
        "rejected",
        "first_value",
        "value",
        "transferred",
        "result",
        "result_frac",
        "hold_base_frac",
        "hold_quote_frac",
        "hold_half_frac",
        "excess_half_frac",
        "max_drawdown_frac",
    ]
    assert told["totals"]["fees"] == {"FDUSD": "2.55"}
    assert (told["totals"]["first_value"], told["totals"]["value"]) == ("2500", "2547.45")
    assert told["totals"]["result_frac"] == pytest.approx(0.01898)


def test_an_exit_has_its_amounts_as_text(made: RunStatistics) -> None:
    (told,) = json.loads(json.dumps(summed(made)))["orders"]
    assert (told["number"], told["kind"], told["side"], told["cause"]) == (NUMBER, "take_profit", "SELL", "filled")
    assert (told["base"], told["quote"], told["average"]) == ("1", "2550", "2550")
    assert told["id"] == own()


def test_the_settings_name_no_secret_no_machine_and_no_person(made: RunStatistics) -> None:
    settings = Settings(
        binance_ed25519_api_key="a key",
        telegram_bot_token="a token",
        telegram_chat_id="777",
        binance_ed25519_priv_path=Path("/home/somebody/key.pem"),
        log_dir=Path("/home/somebody/logs"),
        binance_ws_api_url="wss://my.host/ws-api/v3",
    )
    told = build_summary(RULES.symbol, shareable_settings(settings), made.results())["settings"]
    assert isinstance(told, dict)
    assert "BINANCE_ED25519_API_KEY" not in told
    assert told["SYMBOL"] == "ETHFDUSD"
    assert not [word for word in ("a key", "a token", "777", "somebody", "my.host") if word in json.dumps(told)]


def test_a_day_has_the_same_keys(made: RunStatistics) -> None:
    day = day_json(made.since(tally().equity_point()))
    assert isinstance(day["orders"], list)
    assert len(day["orders"]) == 1


def test_the_days_of_a_run_add_up() -> None:
    counted = tally()
    counted.mark_to_market(MIDNIGHT_MS - 60_000, D(2500), D(1), D(0))
    counted.mark_to_market(MIDNIGHT_MS - 1, D(2520), D(1), D(0))
    counted.on_report(replace(fill("2.5500", "FDUSD"), time_ms=MIDNIGHT_MS + 11_000))
    finish(counted, ended())
    counted.mark_to_market(MIDNIGHT_MS + 60_000, D(2540), D(0), D("2547.45"))
    counted.mark_to_market(MIDNIGHT_MS + 120_000, D(2540), D(0), D("2547.45"))
    told = json.loads(json.dumps(summed(counted)))
    first, second = told["metrics"]["days"]
    assert (first["from"], first["value"], first["orders"]) == ("2026-07-01T23:59:00.000+00:00", "2520", 0)
    assert (second["from"], second["value"]) == ("2026-07-02T00:00:00.000+00:00", "2547.45")
    assert (second["orders"], second["won"], second["fees"]) == (1, 1, {"FDUSD": "2.55"})
    grown = (1 + first["result_frac"]) * (1 + second["result_frac"])
    assert grown == pytest.approx(1 + told["totals"]["result_frac"])


def test_times_are_iso_in_utc() -> None:
    assert iso_time(0) == "1970-01-01T00:00:00.000+00:00"
