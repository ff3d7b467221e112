"""Validation of settings: problems and warnings, with their remedies."""

import dataclasses
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trailingedge.config import RISK_PHRASE, Settings, TradingMode
from trailingedge.config_validator import (
    checked_settings,
    consent_question,
    effective_rules,
    problems,
    problems_with_exchange,
    proxy_problems,
    telegram_proxy_warnings,
    warnings,
    warnings_with_exchange,
    warnings_with_price,
)
from trailingedge.core.errors import ConfigError
from trailingedge.model.market import SymbolRules
from trailingedge.model.pricing_mode import Pricing

NOWHERE = Path("no-such-folder/.env")
BOT_TOKEN = f"123456789:{'A' * 35}"
RULES = SymbolRules(
    symbol="ETHFDUSD",
    base_asset="ETH",
    quote_asset="FDUSD",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.0001"),
    min_quantity=Decimal("0.0001"),
    max_quantity=Decimal(9000),
    min_price=Decimal("0.01"),
    max_price=Decimal(1_000_000),
    min_notional=Decimal(5),
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\n")
    path.chmod(0o600)
    return path


def keyed(key: Path, **changes: Any) -> Settings:
    """Settings of a mode that trades elsewhere, with nothing left to be said about them."""
    settings = Settings(
        trading_mode=TradingMode.TESTNET,
        binance_ed25519_api_key="an-api-key",
        binance_ed25519_priv_path=key,
        telegram_bot_token=BOT_TOKEN,
        telegram_chat_id="1",
    )
    return dataclasses.replace(settings, **changes)


def test_the_defaults_are_fine() -> None:
    assert problems(Settings()) == []
    assert warnings(Settings()) == []


@pytest.mark.parametrize(
    ("changes", "names", "limit"),
    [
        pytest.param({"start_factor": 1.0}, ["START_FACTOR"], "above 0 and below 1", id="start factor 1"),
        pytest.param({"min_factor": 0.0}, ["MIN_FACTOR"], "above 0 and below 1", id="min factor 0"),
        pytest.param({"min_factor": 0.6}, ["MIN_FACTOR", "START_FACTOR"], "0.5", id="min above start"),
        pytest.param({"gain_scale_frac_base": 0.0}, ["GAIN_SCALE_FRAC_BASE"], "above 0", id="no scale to decay over"),
        pytest.param({"buffer": 1.0}, ["BUFFER"], "below 1", id="buffer of all"),
        pytest.param({"fee": Decimal(-1)}, ["FEE"], "at least 0", id="negative fee"),
        pytest.param({"hard_stop_max_frac": 1.5}, ["HARD_STOP_MAX_FRAC"], "below 1", id="stop beyond zero"),
        pytest.param({"donchian_shift": 0}, ["DONCHIAN_SHIFT"], "from 1", id="shift 0"),
        pytest.param({"donchian_window": 0}, ["DONCHIAN_WINDOW"], "from 1", id="window 0"),
        pytest.param(
            {"donchian_window": 1438, "donchian_shift": 2},
            ["DONCHIAN_WINDOW", "DONCHIAN_SHIFT", "ROLLING_KLINES_MAXLEN"],
            "below ROLLING_KLINES_MAXLEN, 1440",
            id="window and shift reach beyond what is kept",
        ),
        pytest.param(
            {"reconnect_base_sec": 61.0}, ["RECONNECT_BASE_SEC", "RECONNECT_MAX_SEC"], "60", id="first pause too long"
        ),
        pytest.param({"loop_sleep_sec": 0.0}, ["LOOP_SLEEP_SEC"], "above 0", id="no sleep"),
        pytest.param({"account_probe_sec": 0.5}, ["ACCOUNT_PROBE_SEC"], "from 1", id="a probe that eats the limits"),
        pytest.param({"max_daily_loss_frac": Decimal(1)}, ["MAX_DAILY_LOSS_FRAC"], "below 1", id="loss of all a day"),
        pytest.param({"max_drawdown_frac": Decimal(-1)}, ["MAX_DRAWDOWN_FRAC"], "at least 0", id="negative drawdown"),
        pytest.param({"max_consecutive_losses": -1}, ["MAX_CONSECUTIVE_LOSSES"], "0 or more", id="negative losses"),
        pytest.param({"recv_window_ms": 60_001}, ["RECV_WINDOW_MS"], "60000", id="window the exchange refuses"),
        pytest.param({"lot_size": Decimal(0)}, ["LOT_SIZE"], "1e-18", id="no grid"),
        pytest.param({"reserve_base": Decimal(-1)}, ["RESERVE_BASE"], "from 0", id="negative reserve"),
        pytest.param({"log_retention_days": -1}, ["LOG_RETENTION_DAYS"], "from 0", id="logs of the future"),
        pytest.param({"symbol": "eth/fdusd"}, ["SYMBOL"], "write ETHFDUSD", id="symbol as people write it"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_the_limit(changes: dict[str, Any], names: list[str], limit: str) -> None:
    (problem,) = problems(dataclasses.replace(Settings(), **changes))
    assert all(word in problem for word in [*names, limit])


def test_the_longest_window_that_is_kept_is_fine() -> None:
    assert problems(Settings(donchian_window=1437, donchian_shift=2)) == []


def test_a_problem_names_the_source_of_the_value() -> None:
    (problem,) = problems(Settings(buffer=2.0), {"BUFFER": ".env"})
    assert problem == "BUFFER is 2 (.env): it must be at least 0 and below 1; the default is 0.002"


def test_nothing_is_concluded_from_what_could_not_be_read() -> None:
    assert problems(Settings(min_factor=0.6), {}, frozenset({"START_FACTOR"})) == []


def check(environ: Mapping[str, str]) -> tuple[Settings, Mapping[str, str], list[str]]:
    return checked_settings({}, environ, NOWHERE)


def test_everything_wrong_comes_in_one_list() -> None:
    with pytest.raises(ConfigError) as refused:
        check({"BUFFER": "x", "MIN_FACTOR": "0.9", "TRADING_MODE": "live", "BINANCE_ED25519_PRIV_PATH": "no/such.pem"})
    said = "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 5
    for name in ("BUFFER", "MIN_FACTOR", "BINANCE_ED25519_API_KEY", "BINANCE_ED25519_PRIV_PATH", "CONFIRM_LIVE"):
        assert name in said


def test_sim_needs_nothing() -> None:
    settings, sources, said = check({})
    assert (settings, said) == (Settings(), [])
    assert sources["SYMBOL"] == "default"


def test_a_keyed_mode_needs_key_and_file(key: Path) -> None:
    assert problems(keyed(key)) == []
    assert "BINANCE_ED25519_API_KEY" in problems(keyed(key, binance_ed25519_api_key=None))[0]


@pytest.mark.parametrize(("path", "fault"), [("no/such.pem", "no such file"), (".", "not a file")])
def test_a_key_file_that_is_none_is_named(path: str, fault: str, key: Path) -> None:
    (problem,) = problems(keyed(key, binance_ed25519_priv_path=Path(path)))
    assert fault in problem


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777], ids=oct)
def test_a_key_file_that_others_can_reach_is_refused_with_the_remedy(mode: int, key: Path) -> None:
    key.chmod(mode)
    (problem,) = problems(keyed(key))
    assert f"{mode:04o}" in problem
    assert problem.endswith(f"; chmod 600 {key}")
    assert warnings(keyed(key)) == []


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
def test_the_remedy_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "my key.pem"
    path.write_text("x")
    path.chmod(0o644)
    (problem,) = problems(keyed(path))
    assert problem.endswith(f"; chmod 600 '{path}'")


def test_a_key_that_was_handed_over_may_have_any_mode(key: Path) -> None:
    key.chmod(0o444)
    assert problems(keyed(key), {"BINANCE_ED25519_PRIV_PATH": "credential"}) == []


def test_a_key_that_was_not_handed_over_names_the_place_where_the_service_looks_for_it(tmp_path: Path) -> None:
    (problem,) = problems(keyed(tmp_path / "ed25519-priv.pem"), {"BINANCE_ED25519_PRIV_PATH": "credential"})
    assert problem.startswith("BINANCE_ED25519_PRIV_PATH is ")
    assert "at /etc/credstore/trailing-edge.ed25519-priv.pem with mode 0600" in problem
    assert "secrets/" not in problem


@pytest.mark.parametrize("mode", [TradingMode.SIM, TradingMode.PAPER])
def test_a_mode_without_a_key_does_not_look_at_the_file(mode: TradingMode, key: Path) -> None:
    key.chmod(0o644)
    assert problems(keyed(key, trading_mode=mode)) == []
    assert problems(keyed(Path("no/such.pem"), trading_mode=mode)) == []


def live(key: Path) -> dict[str, str]:
    return {"TRADING_MODE": "live", "BINANCE_ED25519_API_KEY": "k", "BINANCE_ED25519_PRIV_PATH": str(key)}


def test_live_starts_with_the_phrase(key: Path) -> None:
    settings, _, _ = check(live(key) | {"CONFIRM_LIVE": RISK_PHRASE})
    assert settings.trading_mode is TradingMode.LIVE


@pytest.mark.parametrize("phrase", [{}, {"CONFIRM_LIVE": "yes"}], ids=["unsaid", "otherwise"])
def test_live_does_not_start_without_the_phrase(phrase: dict[str, str], key: Path) -> None:
    with pytest.raises(ConfigError, match=RISK_PHRASE):
        check(live(key) | phrase)


@pytest.mark.parametrize(("answer", "starts"), [(RISK_PHRASE, True), ("y", False)], ids=["phrase", "something else"])
def test_a_terminal_is_asked_for_the_phrase(answer: str, starts: bool, key: Path) -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return f"{answer}\n"

    if starts:
        assert checked_settings({}, live(key), NOWHERE, ask=ask)[0].confirm_live == RISK_PHRASE
    else:
        with pytest.raises(ConfigError, match="CONFIRM_LIVE"):
            checked_settings({}, live(key), NOWHERE, ask=ask)
    assert len(questions) == 1
    assert "real money" in questions[0]


def test_the_question_names_pair_key_reserve_and_breakers() -> None:
    key = "".join(chr(97 + number) for number in range(20))
    settings = Settings(
        trading_mode=TradingMode.LIVE,
        binance_ed25519_api_key=key,
        max_daily_loss_frac=Decimal("0.03"),
        reserve_base=Decimal(2),
    )
    question = consent_question(settings)
    for said in (
        "pair      ETHFDUSD",
        "balances  not known before the logon",
        "RESERVE_BASE 2",
        f"ends in {key[-4:]}",
        "MAX_DAILY_LOSS_FRAC 0.03, MAX_DRAWDOWN_FRAC off, MAX_CONSECUTIVE_LOSSES off",
    ):
        assert said in question
    assert key not in question
    assert key[:4] not in consent_question(dataclasses.replace(settings, binance_ed25519_api_key=key[:8]))


def test_a_health_file_must_be_one_that_the_collector_reads(tmp_path: Path) -> None:
    for name, said in (("nix/te.prom", "there is no folder"), ("te.txt", "end in .prom"), (".", "this is a folder")):
        with pytest.raises(ConfigError, match=said):
            check({"HEALTH_FILE": str(tmp_path / name)})
    check({"HEALTH_FILE": str(tmp_path / "te.prom")})


def test_a_terminal_that_hangs_up_says_no(key: Path) -> None:
    def ask(question: str) -> str:
        raise EOFError(question)

    with pytest.raises(ConfigError, match="CONFIRM_LIVE"):
        checked_settings({}, live(key), NOWHERE, ask=ask)


@pytest.mark.parametrize("more", [{"TRADING_MODE": "sim"}, {"BUFFER": "9"}, {"CONFIRM_LIVE": "no"}])
def test_no_consent_is_asked_for_where_it_would_change_nothing(more: dict[str, str], key: Path) -> None:
    def ask(question: str) -> str:
        raise RuntimeError(f"asked: {question}")

    environ = live(key) | more
    if more.get("TRADING_MODE") == "sim":
        checked_settings({}, environ, NOWHERE, ask=ask)
    else:
        with pytest.raises(ConfigError):
            checked_settings({}, environ, NOWHERE, ask=ask)


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("wss://host.example/ws-api/v3", True),
        ("wss://host.example:9443/ws-api/v3", True),
        ("ws://127.0.0.1:1234/ws-api/v3", True),
        ("ws://127.8.9.1:1234/ws-api/v3", True),
        ("ws://localhost:1234/ws-api/v3", True),
        ("ws://[::1]:1234/ws-api/v3", True),
        ("ws://host.example/ws-api/v3", False),
        ("ws://localhost.example/ws-api/v3", False),
        ("ws://127.0.0.1.example/ws-api/v3", False),
        ("https://host.example/ws-api/v3", False),
        ("host.example/ws-api/v3", False),
        ("wss://", False),
        ("wss://host.example:port/", False),
        ("wss://[::1/", False),
        ("wss://me:secret@host.example/", False),
        ("wss://host.example/ws-api/v3?timeUnit=MICROSECOND", False),
    ],
)
def test_the_api_address_is_encrypted_or_on_this_machine(url: str, fine: bool, key: Path) -> None:
    stream = "wss://host.example"
    assert (problems(keyed(key, binance_ws_api_url=url, binance_ws_stream_url=stream)) == []) is fine


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("wss://host.example:9443", True),
        ("wss://host.example/", True),
        ("ws://127.0.0.1:1234", True),
        ("ws://10.0.0.1:1234", False),
        ("wss://host.example/ws", False),
        ("wss://host.example/stream?streams=x", False),
    ],
)
def test_the_stream_address_ends_at_the_port(url: str, fine: bool, key: Path) -> None:
    said = problems(keyed(key, binance_ws_api_url="wss://host.example/ws-api/v3", binance_ws_stream_url=url))
    assert (said == []) is fine
    assert fine or ("BINANCE_WS_STREAM_URL" in said[0] and url in said[0])


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("wss://ws-api.binance.com:443/ws-api/v3", True),
        ("wss://WS-API.binance.com./ws-api/v3", True),
        ("wss://demo-ws-api.binance.com/ws-api/v3", False),
        ("wss://ws-api.testnet.binance.vision/ws-api/v3", False),
        ("wss://notbinance.com/ws-api/v3", False),
    ],
)
def test_only_live_reaches_real_money(url: str, refused: bool, key: Path) -> None:
    said = problems(keyed(key, binance_ws_api_url=url))
    assert [("real money" in problem) for problem in said] == [True] * refused
    consent = {"trading_mode": TradingMode.LIVE, "confirm_live": RISK_PHRASE}
    assert problems(keyed(key, binance_ws_api_url=url, **consent)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"donchian_gain_multiplier": 1.0}, "DONCHIAN_GAIN_MULTIPLIER", id="a rally can never arm"),
        pytest.param({"hard_stop_threshold_frac": 0.2}, "HARD_STOP_THRESHOLD_FRAC", id="threshold above the largest"),
        pytest.param({"hard_stop_threshold_frac": 0.0}, "hard stop's distance", id="no distance"),
        pytest.param({"max_daily_loss_frac": Decimal("0.005")}, "MAX_DAILY_LOSS_FRAC", id="one stop ends the day"),
        pytest.param({"max_drawdown_frac": Decimal("0.004")}, "MAX_DRAWDOWN_FRAC", id="one stop ends all"),
        pytest.param({"taker_escape_after_sec": 5.0}, "taker fee", id="may take"),
        pytest.param({"min_gain_trigger_frac_base": 0.0}, "MIN_GAIN_TRIGGER_FRAC_BASE", id="keeps less than it costs"),
        pytest.param({"fee": Decimal("0.02")}, "to pay its fees", id="a fee that eats the gain"),
        pytest.param({"telegram_bot_token": BOT_TOKEN}, "set TELEGRAM_CHAT_ID", id="a bot that knows nobody"),
        pytest.param({"telegram_chat_id": "1"}, "TELEGRAM_BOT_TOKEN is not set", id="a chat without a bot"),
        pytest.param({"binance_ws_api_url": "wss://x"}, "own exchange", id="an address in sim"),
    ],
)
def test_what_may_be_meant_is_a_warning(changes: dict[str, Any], said: str) -> None:
    settings = dataclasses.replace(Settings(), **changes)
    assert any(said in warning for warning in warnings(settings))
    assert problems(settings) == []


def test_chats_without_a_bot_are_one_warning() -> None:
    (warning,) = warnings(Settings(telegram_chat_id="1", telegram_group_chat_id_2="-2"))
    assert warning.startswith("TELEGRAM_CHAT_ID, TELEGRAM_GROUP_CHAT_ID_2: not used")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (TradingMode.SIM, []),
        (TradingMode.PAPER, ["alerts on the phone are off"]),
        (TradingMode.TESTNET, ["alerts on the phone are off"]),
    ],
)
def test_alerts_that_are_off_are_one_warning_but_in_sim(mode: TradingMode, said: list[str], key: Path) -> None:
    found = warnings(keyed(key, trading_mode=mode, telegram_bot_token=None, telegram_chat_id=None))
    assert [warning.partition(": ")[2] for warning in found] == said


def test_a_group_alone_can_be_told_too() -> None:
    assert warnings(Settings(telegram_bot_token=BOT_TOKEN, telegram_group_chat_id_1="-1001")) == []


def test_a_token_that_was_not_copied_whole_is_a_warning_that_does_not_show_it() -> None:
    (warning,) = warnings(Settings(telegram_bot_token="abcdef", telegram_chat_id="7"))
    assert "TELEGRAM_BOT_TOKEN is no token" in warning
    assert "abcdef" not in warning


def test_a_bot_api_of_ones_own_has_tokens_of_its_own() -> None:
    url = "http://127.0.0.1:8081"
    assert warnings(Settings(telegram_bot_token="abcdef", telegram_chat_id="7", telegram_api_url=url)) == []


def test_a_key_too_short_to_be_struck_out_is_a_warning_that_does_not_show_it(key: Path) -> None:
    (warning,) = warnings(keyed(key, binance_ed25519_api_key="xyzzy"))
    assert "BINANCE_ED25519_API_KEY has fewer than 6 characters" in warning
    assert "xyzzy" not in warning


@pytest.mark.parametrize(
    ("symbol", "advice"),
    [
        pytest.param("eth/fdusd", "write ETHFDUSD", id="as others write it"),
        pytest.param("ETH-FDUSD", "write ETHFDUSD", id="with a hyphen"),
        pytest.param("../../x", "write it like ETHFDUSD", id="a path"),
        pytest.param("/", "write it like ETHFDUSD", id="nothing of a symbol"),
    ],
)
def test_a_symbol_is_put_right_where_it_can_be_read(symbol: str, advice: str) -> None:
    (problem,) = problems(Settings(symbol=symbol))
    assert problem.endswith(f"; {advice}")


def test_a_rule_of_the_exchange_is_shown_without_padding() -> None:
    rules = dataclasses.replace(RULES, step_size=Decimal("0.00010000"))
    (problem,) = problems_with_exchange(Settings(lot_size=Decimal("0.00015")), rules, Decimal(0))
    assert "a multiple of the exchange's 0.0001;" in problem


@pytest.mark.parametrize(
    ("chat", "fine"),
    [
        ("123456789", True),
        ("-1001234567890", True),
        ("@my_channel", True),
        ("my_channel", False),
        ("@", False),
        ("12 34", False),
        ("+49", False),
        ("https://t.me/x", False),
        ("١٢٣", False),
    ],
)
def test_a_chat_is_a_number_or_a_public_name(chat: str, fine: bool) -> None:
    said = problems(Settings(telegram_chat_id=chat, telegram_group_chat_id_1=chat))
    assert len(said) == (0 if fine else 2)
    assert fine or (said[0].startswith(f"TELEGRAM_CHAT_ID is {chat}") and "-1001234567890" in said[0])


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://api.telegram.org", True),
        ("https://bots.example:8443/api/", True),
        ("http://127.0.0.1:8081", True),
        ("http://localhost:8081", True),
        ("http://bots.example", False),
        ("api.telegram.org", False),
        ("wss://api.telegram.org", False),
        ("https://", False),
        ("https://me:secret@bots.example", False),
        ("https://bots.example?x=1", False),
    ],
)
@pytest.mark.parametrize("name", ["TELEGRAM_API_URL", "BINANCE_ARCHIVE_URL"])
def test_an_address_of_http_is_encrypted_or_on_this_machine(url: str, fine: bool, name: str) -> None:
    said = problems(dataclasses.replace(Settings(), **{name.lower(): url}))  # type: ignore[arg-type]  # both are texts
    assert [problem.startswith(f"{name} is {url}: it must") or "this machine" in problem for problem in said] == (
        [] if fine else [True]
    )


def test_orders_and_prices_from_two_places_are_a_warning(key: Path) -> None:
    (warning,) = warnings(keyed(key, binance_ws_api_url="ws://127.0.0.1:1/ws-api/v3"))
    assert "ws://127.0.0.1:1/ws-api/v3" in warning
    assert "wss://stream.testnet.binance.vision" in warning


def test_in_paper_that_is_said_of_where_the_market_comes_from(key: Path) -> None:
    (warning,) = warnings(keyed(key, trading_mode=TradingMode.PAPER, binance_ws_api_url="ws://127.0.0.1:1/ws-api/v3"))
    assert warning.startswith(
        "rules and candles come from ws://127.0.0.1:1/ws-api/v3 while prices come from wss://data"
    )


def test_paper_may_look_at_the_exchange_where_real_money_is_traded(key: Path) -> None:
    url = "wss://ws-api.binance.com:443/ws-api/v3"
    assert problems(keyed(key, trading_mode=TradingMode.PAPER, binance_ws_api_url=url)) == []


def test_paper_needs_nothing() -> None:
    settings, _, said = check({"TRADING_MODE": "paper"})
    assert settings.trading_mode is TradingMode.PAPER
    assert said == ["TELEGRAM_BOT_TOKEN is not set: alerts on the phone are off"]


def test_an_address_that_feeds_paper_is_judged_as_any_other() -> None:
    said = problems(Settings(trading_mode=TradingMode.PAPER, binance_ws_api_url="ws://host.example/ws-api/v3"))
    assert [problem.partition(" ")[0] for problem in said] == ["BINANCE_WS_API_URL"]


def test_a_kept_gain_is_judged_by_the_fee_of_the_exchange_where_none_is_set() -> None:
    assert warnings_with_exchange(Settings(), Decimal(0)) == []
    assert len(warnings_with_exchange(Settings(), Decimal("0.02"))) == 2
    assert warnings_with_exchange(Settings(fee=Decimal("0.02")), Decimal("0.02")) == []


def test_a_fee_with_the_discount_is_warned_of_because_it_needs_the_discounts_asset() -> None:
    discounted = Settings(fee=Decimal("0.00075"))
    assert problems_with_exchange(discounted, RULES, Decimal("0.00075")) == []
    (warning,) = warnings_with_exchange(discounted, Decimal("0.001"))
    assert all(word in warning for word in ("FEE is 0.00075", "0.001", "BNB"))
    assert warnings_with_exchange(Settings(fee=Decimal("0.001")), Decimal("0.001")) == []


@pytest.mark.parametrize(
    ("price", "changes", "words"),
    [
        pytest.param("0.12", {}, ["0.01", "0.12", "0.0833", "0.08 ", "HARD_STOP_THRESHOLD_FRAC"], id="larger"),
        pytest.param("0.125", {}, ["0.08"], id="as large"),
        pytest.param("0.13", {}, [], id="smaller"),
        pytest.param("2500", {}, [], id="an ordinary pair"),
        pytest.param("0.2", {"hard_stop_max_frac": 0.04}, ["0.05", "0.04"], id="the largest distance counts, too"),
        pytest.param("0.12", {"hard_stop_threshold_frac": 0.09}, [], id="a wider stop"),
    ],
)
def test_a_tick_larger_than_the_hard_stop_is_warned_of(price: str, changes: dict[str, Any], words: list[str]) -> None:
    settings = dataclasses.replace(Settings(hard_stop_threshold_frac=0.08, hard_stop_max_frac=0.15), **changes)
    warnings = warnings_with_price(settings, RULES, Decimal(price))
    assert len(warnings) == bool(words)
    assert all(word in text for text in warnings for word in words)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="nothing set"),
        pytest.param({"lot_size": Decimal("0.001"), "price_tick": Decimal("0.05")}, id="coarser grids"),
        pytest.param({"lot_size": Decimal("0.0001"), "price_tick": Decimal("0.010")}, id="the same grids"),
        pytest.param({"min_qty": Decimal(1), "min_price": Decimal(1), "min_notional": Decimal(5)}, id="higher limits"),
        pytest.param({"base_asset": "ETH", "quote_asset": "FDUSD"}, id="the right assets"),
        pytest.param({"fee": Decimal("0.001")}, id="a fee as high"),
    ],
)
def test_a_setting_may_be_stricter_than_the_exchange(changes: dict[str, Any]) -> None:
    assert problems_with_exchange(dataclasses.replace(Settings(), **changes), RULES, Decimal("0.001")) == []


@pytest.mark.parametrize(
    ("changes", "both"),
    [
        pytest.param({"lot_size": Decimal("0.00001")}, ["LOT_SIZE", "0.00001", "0.0001"], id="finer step"),
        pytest.param({"lot_size": Decimal("0.00015")}, ["LOT_SIZE", "multiple"], id="step across the grid"),
        pytest.param({"price_tick": Decimal("0.001")}, ["PRICE_TICK", "0.001", "0.01"], id="finer tick"),
        pytest.param({"min_qty": Decimal("0.00001")}, ["MIN_QTY", "0.0001"], id="smaller quantity"),
        pytest.param({"min_qty": Decimal(9001)}, ["MIN_QTY", "9000"], id="quantity nobody may send"),
        pytest.param({"min_price": Decimal("0.001")}, ["MIN_PRICE", "0.01"], id="lower price"),
        pytest.param({"min_notional": Decimal(1)}, ["MIN_NOTIONAL", "5"], id="smaller order"),
        pytest.param({"base_asset": "BTC"}, ["BASE_ASSET", "BTC", "ETH"], id="another base"),
        pytest.param({"quote_asset": "USDT"}, ["QUOTE_ASSET", "USDT", "FDUSD"], id="another quote"),
        pytest.param({"fee": Decimal("0.0005")}, ["FEE", "0.0005", "0.001"], id="a fee below the maker fee"),
        pytest.param({"exit_pricing": Pricing.PEG}, ["EXIT_PRICING", "peg"], id="pegs where none are allowed"),
    ],
)
def test_a_setting_may_not_be_looser_than_the_exchange(changes: dict[str, Any], both: list[str]) -> None:
    (problem,) = problems_with_exchange(dataclasses.replace(Settings(), **changes), RULES, Decimal("0.001"))
    assert all(word in problem for word in both)


@pytest.mark.parametrize("name", ["exit_pricing", "hard_stop_pricing"])
def test_a_peg_knows_no_grid_but_the_exchanges(name: str) -> None:
    rules = dataclasses.replace(RULES, peg_allowed=True)
    for tick, count in ((None, 0), (Decimal("0.01"), 0), (Decimal("0.05"), 1)):
        changes: dict[str, Any] = {name: Pricing.PEG, "price_tick": tick}
        settings = dataclasses.replace(Settings(), **changes)
        said = problems_with_exchange(settings, rules, Decimal(0))
        assert len(said) == count
        assert all(word in text for text in said for word in (name.upper(), "PRICE_TICK", "0.05", "0.01", "empty"))


def test_the_stricter_rule_is_in_force() -> None:
    settings = Settings(lot_size=Decimal("0.01"), min_notional=Decimal(50))
    rules = effective_rules(settings, RULES)
    assert (rules.step_size, rules.min_notional) == (Decimal("0.01"), Decimal(50))
    assert (rules.tick_size, rules.min_quantity) == (RULES.tick_size, RULES.min_quantity)
    assert effective_rules(Settings(), RULES) == RULES


def test_a_rule_that_the_exchange_changed_under_us_is_obeyed() -> None:
    settings = Settings(lot_size=Decimal("0.01"), price_tick=Decimal("0.02"), min_notional=Decimal(50))
    changed = dataclasses.replace(
        RULES,
        step_size=Decimal("0.1"),
        tick_size=Decimal("0.05"),
        min_notional=Decimal(100),
        min_quantity=Decimal("0.1"),
    )
    assert effective_rules(settings, changed) == changed


def test_a_misspelt_name_stands_in_the_same_list_as_what_it_may_have_caused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TRADING_MOD=testnet\nFEE=2\n")
    with pytest.raises(ConfigError) as wrong:
        checked_settings({}, {}, file)
    assert [said for said in wrong.value.problems if "unknown setting TRADING_MOD" in said]
    assert [said for said in wrong.value.problems if said.startswith("FEE is 2")]


@pytest.mark.parametrize(
    ("mode", "judged"), [("sim", False), ("paper", True), ("testnet", True), ("demo", True), ("live", True)]
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_PROXY", "[::1]"),
        ("no_proxy", "fd00::/8"),
        ("HTTPS_PROXY", "10.1.1.1:3128"),
        ("all_proxy", "socks5://10.1.1.1:1080"),
    ],
)
def test_a_wrong_proxy_stops_a_start_where_the_exchange_is_behind_it(
    mode: str, judged: bool, name: str, value: str
) -> None:
    settings = dataclasses.replace(Settings(), trading_mode=TradingMode(mode))
    found = proxy_problems(settings, {name: value})
    assert [problem.startswith(f"{name} ") and value in problem for problem in found] == [True] * judged
    if judged:
        with pytest.raises(ConfigError, match=name):
            check({"TRADING_MODE": mode, name: value})


def test_an_exchange_on_this_machine_is_behind_no_proxy() -> None:
    settings = dataclasses.replace(
        Settings(),
        trading_mode=TradingMode.TESTNET,
        binance_ws_api_url="ws://127.0.0.1:1/ws-api/v3",
        binance_ws_stream_url="ws://[::1]:2",
    )
    assert proxy_problems(settings, {"all_proxy": "x", "no_proxy": "[::1]"}) == []


def test_a_wrong_proxy_for_telegram_is_a_warning() -> None:
    settings = dataclasses.replace(Settings(), telegram_bot_token="123456:x")
    [warning] = telegram_proxy_warnings(settings, {"HTTPS_PROXY": "proxy:3128"})
    assert "HTTPS_PROXY is proxy:3128" in warning
    assert "alerts on the phone are off" in warning
    assert telegram_proxy_warnings(Settings(), {"HTTPS_PROXY": "proxy:3128"}) == []


@pytest.mark.parametrize("chat", ["-1001:42", "@forum:7", "4711:3"])
def test_a_topic_of_a_chat_can_be_named(chat: str) -> None:
    assert problems(dataclasses.replace(Settings(), telegram_group_chat_id_1=chat)) == []


@pytest.mark.parametrize("chat", ["-1001:", "-1001:0", "-1001:x", "-1001:-4", ":5", "-1001:4:5"])
def test_a_topic_that_is_none_is_a_problem(chat: str) -> None:
    [problem] = problems(dataclasses.replace(Settings(), telegram_group_chat_id_2=chat))
    assert "for a topic of a group like -1001234567890:42" in problem
