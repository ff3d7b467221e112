import os
import re
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.config import (
    CREDENTIAL,
    ESSENTIAL,
    OPTIONS,
    Endpoints,
    LoadedSettings,
    OnExit,
    Settings,
    TradingMode,
    changed_settings,
    endpoints,
    env_example,
    read_settings,
    settings_from_values,
    settings_table,
    settings_without_secrets,
    shareable_settings,
)
from trailingedge.core.options import Option, option
from trailingedge.model.pricing_mode import Pricing

ROOT = Path(__file__).parent.parent
NOWHERE = Path("no-such-folder/.env")


def read(**environ: str) -> LoadedSettings:
    return read_settings({}, environ, NOWHERE)


def test_nothing_said_gives_the_defaults() -> None:
    reading = read()
    assert reading.settings == Settings()
    assert set(reading.sources.values()) == {"default"}
    assert (reading.problems, reading.warnings) == ((), ())


def test_the_command_line_goes_before_the_environment_before_the_file_before_the_default(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("SYMBOL=FILED\nBUFFER=0.1\nMIN_FACTOR=0.2\n")
    reading = read_settings({"SYMBOL": "TYPED"}, {"SYMBOL": "AROUND", "BUFFER": "0.3"}, env_file)
    assert (reading.settings.symbol, reading.settings.buffer, reading.settings.min_factor) == ("TYPED", 0.3, 0.2)
    assert [reading.sources[name] for name in ("SYMBOL", "BUFFER", "MIN_FACTOR", "START_FACTOR")] == [
        "command line",
        "environment",
        str(env_file),
        "default",
    ]


@pytest.mark.parametrize("empty", ["", "   "], ids=["nothing", "blanks"])
def test_an_empty_value_counts_as_not_set(empty: str, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"SYMBOL=BTCUSDT\nBASE_ASSET={empty}\n")
    reading = read_settings({"SYMBOL": empty}, {"SYMBOL": empty}, env_file)
    assert reading.settings.symbol == "BTCUSDT"
    assert reading.settings.base_asset is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param("RESERVE_BASE", "0.10", Decimal("0.10"), id="money is a Decimal"),
        pytest.param("FEE", "0.00075", Decimal("0.00075"), id="so is the fee"),
        pytest.param("MIN_FACTOR", "1e-2", 0.01, id="a fraction is a float"),
        pytest.param("DONCHIAN_WINDOW", "20", 20, id="a count is an int"),
        pytest.param("DONCHIAN_WINDOW", "20.0", 20, id="a whole number with a point is whole"),
        pytest.param("BREAKOUT_ENTRY", "Yes", True, id="yes"),
        pytest.param("BREAKOUT_ENTRY", "0", False, id="0 is no"),
        pytest.param("TRADING_MODE", "LIVE", TradingMode.LIVE, id="a mode in capitals"),
        pytest.param("TRADING_MODE", "paper", TradingMode.PAPER, id="paper"),
        pytest.param("EXIT_PRICING", "join", Pricing.JOIN, id="a pricing"),
        pytest.param("ON_EXIT", "leave", OnExit.LEAVE, id="what the end does"),
        pytest.param("LOG_LEVEL_FILE", "warning", "WARNING", id="a level in small letters"),
        pytest.param("KLINE_INTERVAL", "5m", "5m", id="an interval"),
        pytest.param("LOG_DIR", "/var/log/te", Path("/var/log/te"), id="a path"),
        pytest.param("SYMBOL", " ETHUSDT ", "ETHUSDT", id="blanks around it are not meant"),
    ],
)
def test_a_value_becomes_its_type(name: str, text: str, value: object) -> None:
    reading = read(**{name: text})
    read_value = OPTIONS[name].of(reading.settings)
    assert (reading.problems, read_value, type(read_value)) == ((), value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        pytest.param("MIN_FACTOR", "0,1", "point", id="comma"),
        pytest.param("MIN_FACTOR", "10%", "fraction", id="percent"),
        pytest.param("MIN_FACTOR", "abc", "plain one", id="word"),
        pytest.param("MIN_FACTOR", "nan", "plain one", id="not a number"),
        pytest.param("RESERVE_BASE", "Infinity", "plain one", id="infinite"),
        pytest.param("MIN_FACTOR", "1e999", "plain number", id="infinite once it is a float"),
        pytest.param("MIN_FACTOR", "1_0", "plain one", id="underscore"),
        pytest.param("MIN_FACTOR", "٣", "plain one", id="digits of another script"),
        pytest.param("DONCHIAN_WINDOW", "2.5", "whole number", id="half a candle"),
        pytest.param("BREAKOUT_EXIT", "maybe", "true, false", id="neither yes nor no"),
        pytest.param("TRADING_MODE", "real", "sim, paper, testnet, demo, live", id="unknown mode"),
        pytest.param("LOG_DIR", "~nobody-of-that-name/logs", "whole path", id="the home of nobody"),
        pytest.param("KLINE_INTERVAL", "1M", "1m", id="a month is not a minute"),
        pytest.param("EXIT_PRICING", "market", "opposite, improve, join, peg", id="unknown pricing"),
    ],
)
def test_an_unreadable_value_is_named_with_its_place_and_remedy(name: str, text: str, remedy: str) -> None:
    reading = read(**{name: text})
    (problem,) = reading.problems
    assert all(word in problem for word in (name, repr(text), "environment", remedy))
    assert reading.unread == {name}
    assert OPTIONS[name].of(reading.settings) == OPTIONS[name].default


@pytest.mark.parametrize("name", ["DONCHIAN_WINDOW", "MIN_FACTOR", "RESERVE_BASE"])
def test_a_number_of_thousands_of_digits_is_unreadable(name: str) -> None:
    (problem,) = read(**{name: "1" * 5000}).problems
    assert f"{name} is a text of 5000 characters (environment): " in problem


def test_everything_unreadable_is_in_one_list() -> None:
    reading = read(MIN_FACTOR="x", DONCHIAN_WINDOW="y", TRADING_MODE="z")
    assert len(reading.problems) == 3


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        pytest.param("SYMBL=ETHUSDT", "did you mean SYMBOL?", id="a slip"),
        pytest.param("symbol=ETHUSDT", "did you mean SYMBOL?", id="small letters"),
        pytest.param("COMPLETELY_ELSE=1", "unknown setting", id="nothing like it"),
        pytest.param("SYMBOL=A\nSYMBOL=B", "twice", id="twice"),
    ],
)
def test_a_strange_name_in_the_file_is_a_warning(line: str, warning: str, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"{line}\n")
    reading = read_settings({}, {}, env_file)
    assert reading.problems == ()
    (said,) = reading.warnings
    assert warning in said


def test_the_environment_is_not_judged() -> None:
    assert read(SYMBL="ETHUSDT", PATH="/bin").warnings == ()


def test_a_line_that_is_no_assignment_is_a_problem(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("SYMBOL=ETHUSDT\nHARD_STOP_MAX_FRAC 0.02\n")
    (problem,) = read_settings({}, {}, env_file).problems
    assert "line 2" in problem


def test_a_file_is_read_as_people_write_it(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(
        b"\xef\xbb\xbfSYMBOL='BTCUSDT' # the pair\r\nexport BUFFER=0.004\r\nTELEGRAM_BOT_TOKEN=1:${A}b\r\n"
    )
    settings = read_settings({}, {"A": "x"}, env_file).settings
    assert (settings.symbol, settings.buffer, settings.telegram_bot_token) == ("BTCUSDT", 0.004, "1:${A}b")


def test_a_file_that_is_not_there_matters_only_when_it_is_needed() -> None:
    assert read_settings({}, {}, NOWHERE).problems == ()
    (problem,) = read_settings({}, {}, NOWHERE, file_needed=True).problems
    assert str(NOWHERE) in problem


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"A=\xff")], ids=["folder", "bytes"]
)
def test_a_file_that_is_no_text_is_a_problem(make: object, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    assert callable(make)
    make(env_file)
    (problem,) = read_settings({}, {}, env_file).problems
    assert str(env_file) in problem


@pytest.mark.parametrize(
    "environ", [{}, {"BINANCE_ED25519_PRIV_PATH": "keys/ed25519-priv.pem"}], ids=["at its usual path", "at another"]
)
def test_a_key_that_the_service_manager_hands_over_goes_before_the_path(
    environ: dict[str, str], tmp_path: Path
) -> None:
    handed = tmp_path / "ed25519-priv.pem"
    handed.write_text("key")
    reading = read_settings({}, environ | {"CREDENTIALS_DIRECTORY": str(tmp_path)}, NOWHERE)
    assert reading.settings.binance_ed25519_priv_path == handed
    assert reading.sources["BINANCE_ED25519_PRIV_PATH"] == CREDENTIAL == "credential"


@pytest.mark.parametrize(
    "path", ["other.pem", ".", "..", "a" * 5000, "/"], ids=["other name", "here", "above", "long", "root"]
)
def test_what_was_not_handed_over_is_looked_for_at_its_path(path: str, tmp_path: Path) -> None:
    (tmp_path / "ed25519-priv.pem").write_text("key")
    environ = {"BINANCE_ED25519_PRIV_PATH": path, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    reading = read_settings({}, environ, NOWHERE)
    assert reading.settings.binance_ed25519_priv_path == Path(path)
    assert reading.sources["BINANCE_ED25519_PRIV_PATH"] == "environment"


@pytest.mark.parametrize("path", ["", "keys/ed25519-priv.pem"], ids=["at its usual path", "at another"])
def test_a_service_that_needs_a_key_and_has_none_misses_the_credential(path: str, tmp_path: Path) -> None:
    service = {"CREDENTIALS_DIRECTORY": str(tmp_path), "BINANCE_ED25519_PRIV_PATH": path}
    reading = read_settings({"TRADING_MODE": "testnet"}, service, NOWHERE)
    assert reading.settings.binance_ed25519_priv_path == tmp_path / "ed25519-priv.pem"
    assert reading.sources["BINANCE_ED25519_PRIV_PATH"] == CREDENTIAL
    there = tmp_path / "mine.pem"
    there.touch()
    reading = read_settings({"TRADING_MODE": "testnet"}, service | {"BINANCE_ED25519_PRIV_PATH": str(there)}, NOWHERE)
    assert reading.settings.binance_ed25519_priv_path == there


def test_an_unknown_name_on_the_command_line_is_a_problem() -> None:
    (problem,) = read_settings({"SYMBL": "X"}, {}, NOWHERE).problems
    assert "did you mean SYMBOL?" in problem


def test_an_unknown_name_hides_nothing_else_that_is_wrong() -> None:
    given = {"SYMBL": "X", "FEE": "much"}
    said = "\n".join(read_settings(given, {}, NOWHERE).problems)
    assert "unknown setting SYMBL (did you mean SYMBOL?); trailing-edge check --explain lists all settings" in said
    assert "FEE is 'much'" in said


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_is_closed_to_us_is_no_reason_to_stop_unless_the_file_was_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    reading = read_settings({}, {}, closed / ".env")
    assert reading.problems == ()
    assert "may not look into its folder" in reading.warnings[0]
    assert "cannot be read" in read_settings({}, {}, closed / ".env", file_needed=True).problems[0]


def test_secrets_are_in_no_message_and_no_representation() -> None:
    settings = read(BINANCE_ED25519_API_KEY="hush-hush", TELEGRAM_BOT_TOKEN="hush-too").settings
    assert "hush" not in repr(settings)
    assert OPTIONS["BINANCE_ED25519_API_KEY"].shown("hush-hush") == "(secret)"


@given(text=st.text(max_size=30), name=st.sampled_from(sorted(OPTIONS)))
def test_any_text_is_read_or_named(text: str, name: str) -> None:
    reading = read_settings({name: text}, {}, NOWHERE)
    assert len(reading.problems) == len(reading.unread) <= 1


@given(name=st.sampled_from(sorted(OPTIONS)))
def test_a_default_reads_back_as_itself_and_keeps_its_limit(name: str) -> None:
    option = OPTIONS[name]
    assert OPTIONS[name].of(read(**{name: option.shown(option.default)}).settings) == option.default
    assert option.limit is None or option.default is None or option.limit.holds(option.default)


def test_settings_without_secrets_read_back_as_the_same_settings() -> None:
    chosen = changed_settings(
        Settings(),
        {"FEE": "0.00010", "SYMBOL": "BTCUSDT", "BREAKOUT_ENTRY": "yes", "EXIT_PRICING": "join", "BUFFER": "1e-05"},
    )
    assert chosen != Settings()
    assert settings_from_values(settings_without_secrets(chosen)) == chosen


def test_settings_shown_to_others_have_no_secret() -> None:
    chosen = changed_settings(Settings(), {"BINANCE_ED25519_API_KEY": "hush-hush", "LOG_DIR": "/home/mine"})
    values, shareable = settings_without_secrets(chosen), shareable_settings(chosen)
    assert "hush-hush" not in " ".join(values.values())
    assert values["LOG_DIR"] == "/home/mine"
    assert not {"BINANCE_ED25519_API_KEY", "LOG_DIR"} & shareable.keys()
    assert shareable["SYMBOL"] == "ETHFDUSD"


def test_an_empty_value_is_the_default_and_a_wrong_one_is_an_error() -> None:
    assert changed_settings(Settings(buffer=0.5, fee=Decimal(1)), {"BUFFER": "", "FEE": ""}) == Settings()
    with pytest.raises(ValueError, match="this is not a number"):
        settings_from_values({"BUFFER": "wide"})


EXAMPLE = ROOT / ".env.example"


def test_the_example_file_is_the_declaration() -> None:
    told = "run: trailing-edge check --example > .env.example"
    assert EXAMPLE.read_text(encoding="utf-8") == env_example(), told


def test_the_example_file_sets_the_essential_settings_first_and_nothing_else() -> None:
    assert tuple(dotenv_values(EXAMPLE)) == ESSENTIAL == ("TRADING_MODE", "SYMBOL", "BINANCE_ED25519_API_KEY")
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("# ")]
    assert [line.partition("=")[0] for line in lines[: len(ESSENTIAL)]] == list(ESSENTIAL)
    assert all(line.startswith("#") for line in lines[len(ESSENTIAL) :])


@pytest.mark.parametrize("commented", [True, False], ids=["as it is", "without any #"])
def test_the_example_file_changes_nothing(commented: bool, tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    env_file = tmp_path / ".env"
    env_file.write_text(text if commented else re.sub(r"^#(?=[A-Z])", "", text, flags=re.MULTILINE), encoding="utf-8")
    reading = read_settings({}, {}, env_file)
    assert (reading.settings, reading.problems, reading.warnings) == (Settings(), (), ())
    assert set(dotenv_values(env_file)) == (set(ESSENTIAL) if commented else set(OPTIONS))


def test_the_example_file_has_lines_of_at_most_120_columns() -> None:
    assert max(map(len, EXAMPLE.read_text(encoding="utf-8").splitlines())) <= 120


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_settings_has_a_row_for_each(width: int) -> None:
    table = settings_table(width).splitlines()
    rows = [line.split()[0] for line in table if line[:1].isalpha()]
    assert rows == list(OPTIONS) == [declared.name.upper() for declared in fields(Settings)]
    assert max(map(len, table)) <= width


def test_the_table_of_settings_says_what_the_example_file_says() -> None:
    table = " ".join(settings_table().split())
    found = []
    for block in EXAMPLE.read_text(encoding="utf-8").split("\n\n"):
        *comment, assignment = (line.removeprefix("#").strip() for line in block.splitlines())
        name, _, default = assignment.partition("=")
        if name in OPTIONS:
            assert f"{name} {default or '–'} {' '.join(comment)}" in table
            found.append(name)
    assert sorted(found) == sorted(OPTIONS)


@pytest.mark.parametrize("each", OPTIONS.values(), ids=OPTIONS)
def test_a_meaning_is_in_plain_words(each: Option) -> None:
    assert each.comment[0].isupper() or each.comment.split()[0] in each.choices
    assert not each.comment.endswith(".")
    assert not re.search(r"0 is never|on hold|\bheld\b|withdraw|whoever|whatever|nobody|somebody", each.comment)


def test_sim_has_no_endpoints_of_its_own_to_connect_to() -> None:
    assert endpoints(Settings()) is None


def test_paper_is_fed_by_the_public_market_of_live() -> None:
    paper = endpoints(Settings(trading_mode=TradingMode.PAPER))
    live = endpoints(Settings(trading_mode=TradingMode.LIVE))
    assert paper is not None
    assert live is not None
    assert paper.ws_api_url == live.ws_api_url
    assert paper.ws_stream_url == "wss://data-stream.binance.vision"


def test_what_feeds_paper_can_be_overridden() -> None:
    api, stream = "ws://127.0.0.1:9/ws-api/v3", "ws://127.0.0.1:9"
    settings = Settings(trading_mode=TradingMode.PAPER, binance_ws_api_url=api, binance_ws_stream_url=stream)
    assert endpoints(settings) == Endpoints(api, stream)


@pytest.mark.parametrize(
    ("mode", "embedded"),
    [
        (TradingMode.SIM, True),
        (TradingMode.PAPER, True),
        (TradingMode.TESTNET, False),
        (TradingMode.DEMO, False),
        (TradingMode.LIVE, False),
    ],
)
def test_an_exchange_that_we_bring_along_needs_no_key(mode: TradingMode, embedded: bool) -> None:
    assert (mode.embedded, mode.needs_key) == (embedded, not embedded)


def test_an_override_goes_before_the_endpoints_of_the_mode() -> None:
    settings = Settings(trading_mode=TradingMode.TESTNET, binance_ws_stream_url="ws://127.0.0.1:9/")
    assert endpoints(settings) == Endpoints("wss://ws-api.testnet.binance.vision/ws-api/v3", "ws://127.0.0.1:9")


def test_nothing_that_is_secret_or_a_path_or_an_address_is_shareable() -> None:
    private = {name for name, each in OPTIONS.items() if each.secret or each.kind is Path}
    private |= {name for name in OPTIONS if re.search(r"URL|TELEGRAM|CONFIRM_LIVE", name)}
    assert not [name for name in private if OPTIONS[name].shareable]


def test_what_decides_what_is_traded_is_shareable() -> None:
    groups = {"Pair", "Fees", "Trailing", "Hard stop", "Channel", "Circuit breakers"}
    group, kept = "", []
    for name, each in OPTIONS.items():
        group = each.heading or group
        if group in groups and not each.shareable:
            kept.append(name)
    assert kept == []
    assert groups <= {each.heading for each in OPTIONS.values()}


def test_a_setting_without_a_word_on_sharing_is_refused() -> None:
    with pytest.raises(TypeError, match="shareable"):
        option(1, "A number")  # type: ignore[call-arg]


@pytest.mark.parametrize(("mode", "is_problem"), [("live", True), ("testnet", False), ("sim", False)])
def test_an_unknown_name_in_the_file_stops_a_live_start_alone(tmp_path: Path, mode: str, is_problem: bool) -> None:
    file = tmp_path / ".env"
    file.write_text("MAX_DAILY_LOS_FRAC=0.05\n")
    reading = read_settings({"TRADING_MODE": mode}, {}, file)
    (said,) = reading.problems if is_problem else reading.warnings
    assert said.startswith(f"{file}, line 1: unknown setting MAX_DAILY_LOS_FRAC (did you mean MAX_DAILY_LOSS_FRAC?); ")
    assert not (reading.warnings if is_problem else reading.problems)
    assert reading.ignored == (() if is_problem else ("MAX_DAILY_LOS_FRAC",))


def test_a_name_that_may_be_a_secret_is_counted_among_the_ignored_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("FE=1\nqwertyuiop=1\nzzzzZZZZ1=2\n")
    ignored = read_settings({}, {}, file).ignored
    assert ignored == ("FE", "qwertyuiop", "a name that is not shown")
