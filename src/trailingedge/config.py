"""Settings: the one declaration of each setting's name, type, default, meaning and limit.

Each field of `Settings` declares one setting; the setting's name is the field's name in capitals. The declaration also
says whether a report may show the setting. Environment, env file, `--set NAME=VALUE`, `trailing-edge check --explain`
and `.env.example` (written by `trailing-edge check --example > .env.example`) all follow from it. To change a default
for good, edit it here. A setting that the strategy reads is copied to the field of the same name in
`strategy.inputs.StrategyParams`.

How a setting is declared and parsed is in `core.options`, how the file is read in `core.env_file`, how the template is
written in `core.option_texts`. Values are only read here; `config_validator` checks them.
"""
# ruff: noqa: RUF009 - `option` declares a field, as `field` does; its default is no shared object

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from trailingedge.core import option_texts
from trailingedge.core.env_file import read_env_file
from trailingedge.core.options import Limit, Option, option, options_of, read_values
from trailingedge.core.printable import printable
from trailingedge.core.setting_names import unknown_setting
from trailingedge.model.pricing_mode import Pricing
from trailingedge.model.trigger_mode import TriggerOn

RISK_PHRASE: Final = "I-UNDERSTAND-THE-RISK"
SHORTEST_SECRET: Final = 6  # characters; a shorter one is found in ordinary words, and is not struck out of them

Interval = Literal["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class TradingMode(Enum):
    """The trading mode: on which exchange orders are placed."""

    SIM = "sim"
    PAPER = "paper"
    TESTNET = "testnet"
    DEMO = "demo"
    LIVE = "live"

    @property
    def embedded(self) -> bool:
        """Return whether orders go to the embedded exchange, so that no money moves."""
        return self in (TradingMode.SIM, TradingMode.PAPER)

    @property
    def needs_key(self) -> bool:
        """Return whether orders go to an exchange with accounts, so that a key is needed."""
        return not self.embedded


class ConfirmFlip(Enum):
    """When a flip from terminal or control socket wants a confirmation."""

    LIVE = "live"
    ALWAYS = "always"


class OnExit(Enum):
    """The action of a shutdown on our working order."""

    CANCEL = "cancel"
    LEAVE = "leave"


FRACTION: Final = Limit("at least 0 and below 1", lambda value: 0 <= value < 1, fraction=True)
INNER_FRACTION: Final = Limit("above 0 and below 1", lambda value: 0 < value < 1, fraction=True)
MULTIPLIER: Final = Limit("from 0 to 1000", lambda value: 0 <= value <= 1000)
DAYS: Final = Limit("from 0 to 3650", lambda value: 0 <= value <= 3650)
MEGABYTES: Final = Limit("from 1 to 1000000", lambda value: 1 <= value <= 1_000_000)
COUNT: Final = Limit("0 or more", lambda value: value >= 0)
CANDLES: Final = Limit("from 1 to 50000", lambda value: 1 <= value <= 50_000)
PATIENCE_S: Final = Limit("above 0 and at most 86400", lambda value: 0 < value <= 86_400)
PROBE_S: Final = Limit("from 1 to 3600", lambda value: 1 <= value <= 3600)
PATIENCE_OR_NONE_S: Final = Limit("from 0 to 86400", lambda value: 0 <= value <= 86_400)
RECV_WINDOW: Final = Limit("from 1 to 60000, the exchange's own limit", lambda value: 1 <= value <= 60_000)
# Wide enough for any asset, narrow enough that no product of two amounts leaves Decimal's range.
_RESERVED: Final = (
    "is never traded; 0 = none. The jumpstart and anchor marker orders ignore the reserve: they are far from the "
    "market and cancelled at once"
)
AMOUNT: Final = Limit("from 0 to 1e15", lambda value: 0 <= value <= 10**15)
GRID: Final = Limit("from 1e-18 to 1e15", lambda value: Decimal("1e-18") <= value <= 10**15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, typed. None means not set: a value of the exchange or the mode applies, or the feature is off."""

    trading_mode: TradingMode = option(
        TradingMode.SIM,
        "Where orders go. sim and paper: the embedded exchange (paper with Binance's live prices); testnet and demo: "
        "Binance without real money; live: real money",
        heading="Mode",
        shareable=True,
    )
    confirm_live: str | None = option(
        None,
        f"Consent to trade real money: {RISK_PHRASE}. Needed for live; at a terminal the program asks for it",
        shareable=False,
    )
    binance_ws_api_url: str | None = option(
        None, "URL of the WebSocket API; empty = the URL that belongs to TRADING_MODE", shareable=False
    )
    binance_ws_stream_url: str | None = option(
        None, "URL of the market streams, without a path; empty = the URL that belongs to TRADING_MODE", shareable=False
    )
    binance_archive_url: str | None = option(
        None, "URL of the archive that `history` fetches past markets from; empty = Binance's own", shareable=False
    )
    start_paused: bool = option(
        False, "Start paused: nothing is bought and no take-profit sells; the hard stop stays active", shareable=True
    )
    confirm_flip: ConfirmFlip = option(
        ConfirmFlip.LIVE,
        "When a flip from the terminal or a command must be confirmed: live = only with real money, always = in "
        "each mode",
        shareable=False,
    )
    on_exit: OnExit = option(OnExit.CANCEL, "cancel or leave: what a shutdown does with our open order", shareable=True)

    symbol: str = option("ETHFDUSD", "Pair to trade, as the exchange writes it", heading="Pair", shareable=True)
    base_asset: str | None = option(
        None, "Base asset (the one traded); if set, it must match the exchange's", shareable=True
    )
    quote_asset: str | None = option(
        None, "Quote asset (the one prices are in); if set, it must match the exchange's", shareable=True
    )
    lot_size: Decimal | None = option(
        None,
        "Base amount: step of order quantities, a multiple of the exchange's step; empty = the exchange's step",
        GRID,
        shareable=True,
    )
    min_qty: Decimal | None = option(
        None,
        "Base amount: smallest order quantity, not below the exchange's minimum; empty = the exchange's minimum",
        AMOUNT,
        shareable=True,
    )
    price_tick: Decimal | None = option(
        None,
        "Price: step of order prices, a multiple of the exchange's tick size; empty = the exchange's tick size",
        GRID,
        shareable=True,
    )
    min_price: Decimal | None = option(
        None,
        "Price: lowest order price, not below the exchange's minimum; empty = the exchange's minimum",
        AMOUNT,
        shareable=True,
    )
    min_notional: Decimal | None = option(
        None,
        "Quote amount: smallest order value, not below the exchange's minimum; empty = the exchange's minimum",
        AMOUNT,
        shareable=True,
    )
    anchor_price: Decimal | None = option(
        None,
        "Price: first anchor, used if no trade of the account gives an anchor; empty = the market price",
        GRID,
        shareable=True,
    )

    fee: Decimal | None = option(
        None,
        "Fraction: maker fee, not below the account's rate at the exchange (with BNB discount if enabled); empty = "
        "that rate",
        FRACTION,
        heading="Fees",
        shareable=True,
    )
    buffer: float = option(
        0.002,
        "Fraction of the anchor: gain that a take-profit needs in addition to both fees",
        FRACTION,
        shareable=True,
    )

    start_factor: float = option(
        0.5,
        "Share of the gain that the trail gives back when the gain is small",
        INNER_FRACTION,
        heading="Trailing",
        shareable=True,
    )
    min_factor: float = option(
        0.1,
        "Share of the gain that the trail gives back when the gain is large; at most START_FACTOR",
        INNER_FRACTION,
        shareable=True,
    )
    gain_scale_frac_base: float = option(
        0.02,
        "Fraction of the anchor: gain at which the share given back has fallen 63 % of the way from START_FACTOR to "
        "MIN_FACTOR, holding base",
        INNER_FRACTION,
        shareable=True,
    )
    gain_scale_frac_quote: float = option(
        0.02,
        "Fraction of the anchor: gain at which the share given back has fallen 63 % of the way from START_FACTOR to "
        "MIN_FACTOR, holding quote",
        INNER_FRACTION,
        shareable=True,
    )
    min_gain_trigger_frac_base: float = option(
        0.03, "Fraction of the anchor: smallest gain for a take-profit, holding base", FRACTION, shareable=True
    )
    min_gain_trigger_frac_quote: float = option(
        0.03, "Fraction of the anchor: smallest gain for a take-profit, holding quote", FRACTION, shareable=True
    )

    hard_stop_threshold_frac: float = option(
        0.08,
        "Fraction of the anchor: smallest distance of the hard stop below the anchor",
        FRACTION,
        heading="Hard stop",
        shareable=True,
    )
    hard_stop_donchian_multiplier: float = option(
        0.5,
        "Channel widths: distance of the hard stop below the anchor, kept between HARD_STOP_THRESHOLD_FRAC and "
        "HARD_STOP_MAX_FRAC",
        MULTIPLIER,
        shareable=True,
    )
    hard_stop_max_frac: float = option(
        0.15,
        "Fraction of the anchor: largest distance of the hard stop below the anchor; a loss this large sells after "
        "one second",
        FRACTION,
        shareable=True,
    )
    hard_stop_confirm_sec: float = option(
        600.0,
        "Seconds of market time that the price must stay at or below the hard stop before it sells; 0 = at once",
        PATIENCE_OR_NONE_S,
        shareable=True,
    )

    kline_interval: Interval = option("15m", "Length of a candle", heading="Channel", shareable=True)
    rolling_klines_maxlen: int = option(1440, "Candles kept in memory", CANDLES, shareable=True)
    donchian_window: int = option(96, "Candles in the channel", CANDLES, shareable=True)
    donchian_shift: int = option(
        2, "Candles between the newest one in the channel and the forming one", CANDLES, shareable=True
    )
    donchian_gain_multiplier: float = option(
        0.5, "Smallest gain for a take-profit, in channel widths", MULTIPLIER, shareable=True
    )
    donchian_source: Literal["close", "high_low"] = option(
        "close", "Prices of a candle that make the channel", shareable=True
    )
    donchian_squeeze_frac: float = option(
        0.1,
        "A squeeze alert is sent if less than this share of the recent channels is narrower than the present one",
        FRACTION,
        shareable=True,
    )
    breakout_entry: bool = option(
        False, "Buy on an upward breakout, while holding quote with the gate open", shareable=True
    )
    breakout_exit: bool = option(
        False,
        "Sell on a downward breakout, while holding base. With BREAKOUT_ENTRY it cost 73 % a month at a fee of 0.1 %, "
        "measured outside this project",
        shareable=True,
    )
    trigger_on: TriggerOn = option(
        TriggerOn.TICK,
        "tick or close: whether take-profit, hard stop and high follow every price, or the closes of candles alone",
        shareable=True,
    )

    exit_pricing: Pricing = option(
        Pricing.IMPROVE,
        "Where an order rests. opposite: one tick from taking; improve: one tick better than our side's best; "
        "join: at our side's best; peg: priced by the exchange",
        heading="Execution",
        shareable=True,
    )
    hard_stop_pricing: Pricing = option(
        Pricing.OPPOSITE, "Where the order of a hard stop rests: the same values as EXIT_PRICING", shareable=True
    )
    reserve_base: Decimal = option(Decimal(0), f"Base amount that {_RESERVED}", AMOUNT, shareable=True)
    reserve_quote: Decimal = option(Decimal(0), f"Quote amount that {_RESERVED}", AMOUNT, shareable=True)
    order_budget_reserve: float = option(
        0.2, "Share of the exchange's order rate limits kept free", FRACTION, shareable=True
    )
    exit_age_alert_sec: float = option(
        60.0,
        "Seconds after which an alert says that a sale or buy-back is not filled yet",
        PATIENCE_S,
        shareable=False,
    )
    manual_exit_ttl_sec: float = option(
        30.0,
        "Seconds that a flip waits for its first order to rest on the book; after that the flip is cancelled",
        PATIENCE_S,
        shareable=True,
    )
    taker_escape_after_sec: float = option(
        0.0,
        "Seconds after which an unfilled order may take liquidity once; 0 = off",
        PATIENCE_OR_NONE_S,
        shareable=True,
    )
    taker_escape_max_slippage_frac: Decimal = option(
        Decimal("0.002"),
        "Fraction of the best price: largest distance of that taker order's price from the best price",
        FRACTION,
        shareable=True,
    )

    max_daily_loss_frac: Decimal = option(
        Decimal(0),
        "Fraction: loss on a day's round trips that pauses trading until 00:00 UTC; 0 = off",
        FRACTION,
        heading="Circuit breakers",
        shareable=True,
    )
    max_drawdown_frac: Decimal = option(
        Decimal(0),
        "Fraction: loss since the best result so far that pauses trading until resumed; 0 = off",
        FRACTION,
        shareable=True,
    )
    max_consecutive_losses: int = option(
        0, "Round trips lost in a row that pause trading until resumed; 0 = off", COUNT, shareable=True
    )

    binance_ed25519_api_key: str | None = option(
        None,
        "API key of the Ed25519 key pair that is registered at Binance; not needed for sim and paper",
        heading="Secrets",
        secret=True,
        shareable=False,
    )
    binance_ed25519_priv_path: Path = option(
        Path("secrets/ed25519-priv.pem"), "File of the private key, PKCS#8 PEM, mode 0600", shareable=False
    )
    telegram_bot_token: str | None = option(
        None, "Token of the Telegram bot; empty = no alerts on the phone", secret=True, shareable=False
    )
    telegram_chat_id: str | None = option(
        None, "Chat of the owner: gets every alert and may give commands", shareable=False
    )
    telegram_group_chat_id_1: str | None = option(
        None, "Group that gets the alerts too; GROUP:42 = its topic 42", shareable=False
    )
    telegram_group_chat_id_2: str | None = option(None, "Second group that gets the alerts too", shareable=False)
    telegram_api_url: str | None = option(None, "URL of the Bot API; empty = Telegram's own", shareable=False)

    loop_sleep_sec: float = option(
        1.0,
        "Seconds: longest wait of the main loop while no data arrives",
        PATIENCE_S,
        heading="Loop and connections",
        shareable=True,
    )
    stale_after_sec: float = option(
        10.0, "Seconds without market data after which no order is sent", PATIENCE_S, shareable=True
    )
    account_probe_sec: float = option(
        60.0,
        "Seconds between two comparisons of our balances with the exchange's; during a sale or buy-back "
        "STALE_AFTER_SEC",
        PROBE_S,
        shareable=False,
    )
    recv_window_ms: int = option(
        5000,
        "Milliseconds: the exchange rejects a request that arrives later than this after it was sent",
        RECV_WINDOW,
        shareable=False,
    )
    reconnect_base_sec: float = option(
        1.0,
        "Seconds before the first reconnect, doubled after each failed attempt; if the connection had lasted ten "
        "minutes, doubled only from the 31st attempt on",
        PATIENCE_S,
        shareable=False,
    )
    reconnect_max_sec: float = option(60.0, "Seconds: longest pause before a reconnect", PATIENCE_S, shareable=False)
    reconnect_max_retries: int = option(
        0,
        "Failed reconnects in a row after which the program ends with exit code 4; 0 = no limit",
        COUNT,
        shareable=False,
    )

    log_dir: Path = option(Path("logs"), "Folder of session logs and records", heading="Logs", shareable=False)
    log_level_console: Level = option("INFO", "Lowest log level shown in the terminal", shareable=False)
    log_level_file: Level = option("DEBUG", "Lowest log level written to the session log", shareable=False)
    log_retention_days: int = option(
        30, "Days after which a session's log and record are deleted; 0 = never", DAYS, shareable=False
    )
    log_max_mb: int = option(
        500,
        "Megabytes that all session logs together may take; the oldest are deleted first",
        MEGABYTES,
        shareable=False,
    )
    health_file: Path | None = option(
        None,
        "File of metrics for Prometheus' node exporter, NAME.prom, written each minute; empty = none",
        shareable=False,
    )
    record: bool = option(True, "Record each session beside its log, so that it can be replayed", shareable=False)
    record_max_mb: int = option(
        500, "Megabytes that all records together may take; the oldest are deleted first", MEGABYTES, shareable=False
    )


CREDENTIAL: Final = "credential"  # the source of a file that systemd provides (LoadCredential=)
CREDENTIALS_FOLDER: Final = "CREDENTIALS_DIRECTORY"  # set by systemd for a service with LoadCredential=, even if empty

OPTIONS: Final[Mapping[str, Option]] = options_of(Settings)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings that were read, and everything that could not be read.

    `sources` gives the origin of each value by name. `unread` names the settings with a text that
    could not be parsed. In `settings` these have their defaults, which must not be checked. `ignored`
    has the unknown names in the file; each has a warning as well.
    """

    settings: Settings
    sources: Mapping[str, str]
    unread: frozenset[str]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    ignored: tuple[str, ...]


def read_settings(
    command_line: Mapping[str, str], environ: Mapping[str, str], env_file: Path, *, file_needed: bool = False
) -> LoadedSettings:
    """Read all settings: the values, their sources, and what could not be read.

    Each comes from the command line, else the environment, else `env_file`, else its default.

    An empty value counts as not set. Unknown names are reported for the file and the command line only: the
    environment belongs to other programs too. In live mode an unknown name in the file is a problem, in other modes a
    warning: real money must not be traded without a limit whose name is misspelt. A missing `env_file` is a problem
    only if `file_needed` is True. A private key that systemd provides (`LoadCredential=`, under the same file name)
    replaces the key at the set path. If the mode needs a key and a service has neither, the path is that of the
    missing credential. Never raises.
    """
    filed = read_env_file(env_file, OPTIONS, needed=file_needed)
    given = read_values(
        OPTIONS, (("command line", command_line), ("environment", environ), (str(env_file), filed.values))
    )
    lists = "trailing-edge check --explain lists all settings"
    unknown = [f"{unknown_setting(name, OPTIONS)}; {lists}" for name in command_line if name not in OPTIONS]
    problems, warnings, sources = [*filed.problems, *unknown, *given.problems], [*filed.warnings], {**given.sources}
    settings = Settings(**given.values)  # type: ignore[arg-type]  # each value was read by its field's own type
    ignored: list[str] = []
    if settings.trading_mode is TradingMode.LIVE:
        problems += [f"{line.text}; correct the name or remove the line" for line in filed.unknown]
    else:
        warnings += [f"{line.text}; the line is ignored" for line in filed.unknown]
        ignored = [line.name for line in filed.unknown]
    handed = _handed_over(environ, settings.binance_ed25519_priv_path, needed=settings.trading_mode.needs_key)
    if handed is not None:
        settings = replace(settings, binance_ed25519_priv_path=handed)
        sources["BINANCE_ED25519_PRIV_PATH"] = CREDENTIAL
    return LoadedSettings(
        settings=settings,
        sources=MappingProxyType(sources),
        unread=given.unread,
        problems=tuple(map(printable, problems)),
        warnings=tuple(map(printable, warnings)),
        ignored=tuple(map(printable, ignored)),
    )


def settings_without_secrets(settings: Settings) -> dict[str, str]:
    """Return all settings but the secrets, by name, as text that `settings_from_values` reads."""
    return {name: option.shown(option.of(settings)) for name, option in OPTIONS.items() if not option.secret}


def shareable_settings(settings: Settings) -> dict[str, str]:
    """Return the settings that a report may show, by name and as text.

    Trading depends on them, and none of them names a person or a machine.
    """
    return {name: option.shown(option.of(settings)) for name, option in OPTIONS.items() if option.shareable}


def settings_from_values(values: Mapping[str, str]) -> Settings:
    """Build settings from `values`, texts by name. The other settings have their defaults.

    Raises ValueError for text that is not a valid value, and KeyError for an unknown name.
    """
    return changed_settings(Settings(), values)


def changed_settings(settings: Settings, values: Mapping[str, str]) -> Settings:
    """Return a copy of `settings` with new `values`, given as texts by name. An empty text means the default.

    Raises ValueError for text that is not a valid value, and KeyError for an unknown name.
    """
    changes = {}
    for name, text in values.items():
        option = OPTIONS[name]
        changes[name.lower()] = option.read(text) if text else option.default
    return replace(settings, **changes)  # type: ignore[arg-type]  # each was read by its field's own type


def _handed_over(environ: Mapping[str, str], path: Path, *, needed: bool) -> Path | None:
    """Return the systemd credential (a file that only this service can read) with the file name of `path`.

    Returns None if there is no such file. But if the key is `needed` and `path` does not exist
    either, the path of the missing credential is returned.
    """
    folder = environ.get(CREDENTIALS_FOLDER)
    if not folder:
        return None
    handed = Path(folder, path.name)
    # Functions of os.path never raise, unlike Path.is_file.
    return handed if os.path.isfile(handed) or (needed and not os.path.exists(path)) else None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The URLs of one exchange: its WebSocket API, and its market streams without a path."""

    ws_api_url: str
    ws_stream_url: str


ENDPOINTS: Final[Mapping[TradingMode, Endpoints]] = MappingProxyType(
    {
        # Prices and candles only. This stream host serves market data and nothing else.
        TradingMode.PAPER: Endpoints("wss://ws-api.binance.com:443/ws-api/v3", "wss://data-stream.binance.vision"),
        TradingMode.TESTNET: Endpoints(
            "wss://ws-api.testnet.binance.vision/ws-api/v3", "wss://stream.testnet.binance.vision"
        ),
        TradingMode.DEMO: Endpoints("wss://demo-ws-api.binance.com/ws-api/v3", "wss://demo-stream.binance.com"),
        TradingMode.LIVE: Endpoints("wss://ws-api.binance.com:443/ws-api/v3", "wss://stream.binance.com:9443"),
    }
)


ARCHIVE_URL: Final = "https://data.binance.vision"
"""Binance's public archive of past markets."""


def endpoints(settings: Settings) -> Endpoints | None:
    """Return the URLs to connect to: the mode's own URLs, unless settings override them.

    In paper mode, prices, candles and rules come from these URLs, and orders go to the embedded
    exchange. Returns None in sim mode: the embedded exchange picks a port only when it starts.
    """
    known = ENDPOINTS.get(settings.trading_mode)
    if known is None:
        return None
    return Endpoints(
        settings.binance_ws_api_url or known.ws_api_url,
        (settings.binance_ws_stream_url or known.ws_stream_url).rstrip("/"),
    )


ESSENTIAL: Final = ("TRADING_MODE", "SYMBOL", "BINANCE_ED25519_API_KEY")
"""The settings that nearly every user has to set: the mode, the pair and the API key."""

TIGHT_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "KLINE_INTERVAL": "1m",
        "DONCHIAN_WINDOW": "40",
        "MIN_GAIN_TRIGGER_FRAC_BASE": "0.01",
        "MIN_GAIN_TRIGGER_FRAC_QUOTE": "0.01",
        "GAIN_SCALE_FRAC_BASE": "0.005",
        "GAIN_SCALE_FRAC_QUOTE": "0.005",
        "HARD_STOP_THRESHOLD_FRAC": "0.005",
        "HARD_STOP_MAX_FRAC": "0.03",
        "HARD_STOP_CONFIRM_SEC": "1",
    }
)
"""The defaults before today's: many exits a day, and what they cost is said in the example file."""

_FIRST_DAY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RESERVE_BASE": "0.9",
        "RESERVE_QUOTE": "2500",
        "MAX_DAILY_LOSS_FRAC": "0.1",
        "MAX_DRAWDOWN_FRAC": "0.15",
        "MAX_CONSECUTIVE_LOSSES": "3",
    }
)

_EXAMPLE_HEAD: Final = """\
# Settings of Trailing Edge. Copy this file to .env and set what you need.
# A line such as #BUFFER=0.002 shows a default: remove its # to change it. An empty value counts as not set.
# With an API key or a token in it, keep the copy to yourself: chmod 600 .env

"""


def env_example() -> str:
    """The text of `.env.example`: the essential settings, all others behind a `#`, and sets of values with results."""
    return option_texts.env_file_template(OPTIONS, ESSENTIAL, _EXAMPLE_HEAD) + "".join(_example_blocks())


def _example_blocks() -> list[str]:
    block = option_texts.settings_block
    expected = block(
        "The defaults, and what to expect of them",
        "Chosen to do little harm, not to make money: expect a result of about zero, apart from luck, 2 to 15 "
        "exits a month, and losses "
        "of 10 to 20 % in a bad month. Nothing here beats holding in a rally.",
        {},
        "Measured outside this project, on data that it does not carry, at a fee of 0.1 %, against holding half of "
        "each asset, in log points a month: -1.5 on the months they were chosen on, +2.2 on other symbols and later "
        "months, +3.8 on months of 2026 that were left untouched until then (t 2.5, five months), +0.5 on 13 spot "
        "months, +1.9 on 58 futures months. In twelve years of single symbols in a long rally they did worse than "
        "holding half in all twelve (-61 a year). After 3,200 settings tried, a t of 2 is chance.",
    )
    first_day = block(
        "A first live day",
        "The bot can trade only a small part of the account, and losses pause trading. The amounts suit an account "
        "of 1 ETH or 2,800 FDUSD: change them so that the part left to trade is a few times the smallest order.",
        _FIRST_DAY,
        "A loss above 10 % in a day pauses trading until midnight UTC: that is one hard stop, and a little more. "
        "To use these lines, copy them without the '#'.",
    )
    tight = block(
        "Tight settings, and what they cost",
        "The defaults of earlier versions: one-minute candles, a channel of 40 minutes, a take-profit from 1 %, a hard "
        "stop at 0.5 % to 3 %.",
        TIGHT_SETTINGS,
        "Measured outside this project, on data that it does not carry: they lost on 67 of 67 market sets of 12 "
        "symbols (2,095 days in all). At a fee of 0.1 % the loss was 24.8 % in a month on spot prices and 40 % on "
        "futures prices, without a fee 10.4 % and 21.5 %; holding half of each asset made 4.2 % and 0.6 %. Two stops "
        "of -0.7 % came for every profit of +1.0 %: ETH moves more than 0.5 % in 85 % of all hours.",
    )
    return [expected, first_day, tight]


def settings_table(width: int = option_texts.WIDTH) -> str:
    """All settings in groups, for a terminal of `width` columns: name, default ("–" for none), meaning."""
    return option_texts.options_table(OPTIONS, width)
