"""Every setting: its name, type, default, meaning and limit, declared once.

The fields of `Settings` are that declaration. The environment, the env file, `--set NAME=VALUE`,
`.env.example` and the README's table follow from it; a setting's name is its field in capitals. To
change a default for good, edit it here.

This file only reads. `config_validator` judges what was read, and is the doorway for `main`.
"""
# ruff: noqa: RUF009 - `option` declares a field, as `field` does; its default is no shared object

import io
import math
import os
import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from trailingedge.model.pricing import Pricing

RISK_PHRASE: Final = "I-UNDERSTAND-THE-RISK"
SHORTEST_SECRET: Final = 6  # characters; a shorter one is found in ordinary words, and is not struck out of them

Interval = Literal["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
T = TypeVar("T")


class TradingMode(Enum):
    """Which exchange we trade on."""

    SIM = "sim"
    PAPER = "paper"
    TESTNET = "testnet"
    DEMO = "demo"
    LIVE = "live"

    @property
    def embedded(self) -> bool:
        """Orders go to an exchange that we bring along; no money moves."""
        return self in (TradingMode.SIM, TradingMode.PAPER)

    @property
    def needs_key(self) -> bool:
        """Orders go to an exchange that must know us."""
        return not self.embedded


class OnExit(Enum):
    """What a shutdown does with our working order."""

    CANCEL = "cancel"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a value must be, in words that complete "it must be …", and the judge of it."""

    words: str
    holds: Callable[[Any], bool]


FRACTION: Final = Limit("at least 0 and below 1", lambda value: 0 <= value < 1)
INNER_FRACTION: Final = Limit("above 0 and below 1", lambda value: 0 < value < 1)
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
AMOUNT: Final = Limit("from 0 to 1e15", lambda value: 0 <= value <= 10**15)
GRID: Final = Limit("from 1e-18 to 1e15", lambda value: Decimal("1e-18") <= value <= 10**15)


def option(
    default: T, comment: str, limit: Limit | None = None, *, heading: str | None = None, secret: bool = False
) -> T:
    """One setting. `heading` opens a group, to which the settings after it belong too."""
    declared = {"comment": comment, "limit": limit, "heading": heading, "secret": secret}
    declaration: T = field(default=default, metadata=declared, repr=not secret)
    return declaration


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, typed. None means that the exchange decides, or that the thing is not wanted."""

    trading_mode: TradingMode = option(
        TradingMode.SIM,
        "Where to trade; sim and paper are without money, paper at the exchange's real prices",
        heading="Mode",
    )
    confirm_live: str | None = option(None, f"{RISK_PHRASE} lets TRADING_MODE=live start; a terminal is asked for it")
    binance_ws_api_url: str | None = option(None, "Full URL of the WebSocket API, in place of the mode's own")
    binance_ws_stream_url: str | None = option(None, "URL of the market streams without path, in place of the mode's")
    start_paused: bool = option(False, "Start on hold: no entry and no take-profit until 'r'; the stop keeps watching")
    on_exit: OnExit = option(OnExit.CANCEL, "What a shutdown does with our own working order")

    symbol: str = option("ETHFDUSD", "The pair to trade, as the exchange writes it", heading="Pair")
    base_asset: str | None = option(None, "Asset that is traded; must agree with the exchange")
    quote_asset: str | None = option(None, "Asset that prices it; must agree with the exchange")
    lot_size: Decimal | None = option(None, "Grid of quantities in base; a multiple of the exchange's", GRID)
    min_qty: Decimal | None = option(None, "Smallest quantity in base; not below the exchange's", AMOUNT)
    price_tick: Decimal | None = option(None, "Grid of prices in quote per base; a multiple of the exchange's", GRID)
    min_price: Decimal | None = option(None, "Lowest price in quote per base; not below the exchange's", AMOUNT)
    min_notional: Decimal | None = option(None, "Smallest order value in quote; not below the exchange's", AMOUNT)
    anchor_price: Decimal | None = option(None, "Price in quote per base that a first start measures from", GRID)

    fee: Decimal | None = option(None, "Maker fee, a fraction; the exchange's unless set", FRACTION, heading="Fees")
    buffer: float = option(0.002, "Gain beyond both fees before a take-profit, a fraction", FRACTION)

    start_factor: float = option(
        0.5, "Share of the gain given back before a take-profit, at no gain", INNER_FRACTION, heading="Trailing"
    )
    min_factor: float = option(0.1, "The same share at a large gain; at most START_FACTOR", INNER_FRACTION)
    gain_scale_frac_base: float = option(0.005, "Gain over which the share decays, holding base", INNER_FRACTION)
    gain_scale_frac_quote: float = option(0.005, "Gain over which the share decays, holding quote", INNER_FRACTION)
    min_gain_trigger_frac_base: float = option(0.01, "Least gain for a take-profit, holding base", FRACTION)
    min_gain_trigger_frac_quote: float = option(0.01, "Least gain for a take-profit, holding quote", FRACTION)

    hard_stop_threshold_frac: float = option(
        0.005, "Smallest stop distance, a fraction of the anchor", FRACTION, heading="Hard stop"
    )
    hard_stop_donchian_multiplier: float = option(0.5, "Stop distance in channel widths", MULTIPLIER)
    hard_stop_max_frac: float = option(0.03, "Largest stop distance, a fraction of the anchor", FRACTION)
    hard_stop_confirm_sec: float = option(1.0, "Seconds that the loss must last, by market time", PATIENCE_OR_NONE_S)

    kline_interval: Interval = option("1m", "Length of a candle", heading="Channel")
    rolling_klines_maxlen: int = option(1440, "Candles kept", CANDLES)
    donchian_window: int = option(40, "Candles in the channel", CANDLES)
    donchian_shift: int = option(2, "Candles between the channel's last and the forming one", CANDLES)
    donchian_gain_multiplier: float = option(0.5, "Least gain for a take-profit, in channel widths", MULTIPLIER)
    donchian_source: Literal["close", "high_low"] = option("close", "Prices of a candle that make the channel")
    donchian_squeeze_frac: float = option(0.1, "Share of narrower channels below which it counts as squeezed", FRACTION)
    breakout_entry: bool = option(False, "An upward breakout buys, while quote is held and the gate is open")
    breakout_exit: bool = option(False, "A downward breakout sells, while base is held")

    exit_pricing: Pricing = option(Pricing.IMPROVE, "Where exit orders rest", heading="Execution")
    hard_stop_pricing: Pricing = option(Pricing.OPPOSITE, "Where the orders of a hard stop rest")
    reserve_base: Decimal = option(Decimal(0), "Amount of the base asset that is never traded", AMOUNT)
    reserve_quote: Decimal = option(Decimal(0), "Amount of the quote asset that is never traded", AMOUNT)
    order_budget_reserve: float = option(0.2, "Share of the exchange's order limits kept free", FRACTION)
    exit_age_alert_sec: float = option(60.0, "Age in seconds at which an unfinished exit alerts", PATIENCE_S)
    manual_exit_ttl_sec: float = option(30.0, "Seconds a command may wait for its first order to rest", PATIENCE_S)
    taker_escape_after_sec: float = option(
        0.0, "Age in seconds at which an exit may take once; 0 is never", PATIENCE_OR_NONE_S
    )
    taker_escape_max_slippage_frac: Decimal = option(
        Decimal("0.002"), "Worst price of that one order, a fraction away from the best", FRACTION
    )

    max_daily_loss_frac: Decimal = option(
        Decimal(0),
        "Loss on a day's round trips that puts on hold until 00:00 UTC; 0 is never",
        FRACTION,
        heading="Breakers",
    )
    max_drawdown_frac: Decimal = option(
        Decimal(0), "Loss since the best of all round trips that puts on hold until 'r'; 0 is never", FRACTION
    )
    max_consecutive_losses: int = option(0, "Round trips lost in a row that put on hold until 'r'; 0 is never", COUNT)

    binance_ed25519_api_key: str | None = option(
        None, "API key of the Ed25519 pair registered at the exchange", heading="Secrets", secret=True
    )
    binance_ed25519_priv_path: Path = option(Path("secrets/ed25519-priv.pem"), "Private key, a PKCS#8 PEM file")
    telegram_bot_token: str | None = option(
        None, "Token of the Telegram bot; without one there are no alerts on the phone", secret=True
    )
    telegram_chat_id: str | None = option(None, "Chat of the owner, which is told everything and may give commands")
    telegram_group_chat_id_1: str | None = option(None, "A group that is told too")
    telegram_group_chat_id_2: str | None = option(None, "Another group")
    telegram_api_url: str | None = option(None, "URL of the Bot API, in place of Telegram's own")

    loop_sleep_sec: float = option(
        1.0,
        "Seconds that the main loop waits at most before it keeps house",
        PATIENCE_S,
        heading="Loop and connections",
    )
    stale_after_sec: float = option(10.0, "Seconds of silence after which the market counts as unknown", PATIENCE_S)
    account_probe_sec: float = option(
        60.0, "Seconds between comparisons with the account's own balances; STALE_AFTER_SEC during an exit", PROBE_S
    )
    recv_window_ms: int = option(5000, "Milliseconds after which the exchange drops a late request", RECV_WINDOW)
    reconnect_base_sec: float = option(1.0, "First reconnect pause in seconds, doubled each time", PATIENCE_S)
    reconnect_max_sec: float = option(60.0, "Longest reconnect pause in seconds", PATIENCE_S)
    reconnect_max_retries: int = option(0, "Reconnect attempts before giving up; 0 is never", COUNT)

    log_dir: Path = option(Path("logs"), "Folder of the session logs", heading="Logs")
    log_level_console: Level = option("INFO", "Least level shown in the terminal")
    log_level_file: Level = option("DEBUG", "Least level written to the session log")
    log_retention_days: int = option(30, "Days after which a session log and its record are deleted; 0 keeps all", DAYS)
    record: bool = option(True, "Record each session beside its log, so that it can be replayed")
    record_max_mb: int = option(500, "Megabytes that all records together may take; the oldest go first", MEGABYTES)


@dataclass(frozen=True, slots=True)
class Option:
    """One declared setting. `kind` is its type without the None; `choices`, where it has any, are all it can say."""

    name: str
    kind: Any
    choices: Mapping[str, object]
    default: Any
    comment: str
    limit: Limit | None
    heading: str | None
    secret: bool

    def of(self, settings: Settings) -> Any:
        """Its value among `settings`."""
        return getattr(settings, self.name.lower())

    def shown(self, value: object) -> str:
        """`value` as a person would write it; of a secret only that it is there."""
        if value is None:
            return ""
        if self.secret:
            return "(secret)"
        if isinstance(value, bool):
            return str(value).lower()
        return str(value.value) if isinstance(value, Enum) else str(value).removesuffix(".0")

    def read(self, text: str) -> object:
        """The value that `text` says. Raises ValueError with what is wrong and what to write."""
        if self.choices:
            return self._choose(text)
        if self.kind is str:
            return text
        if self.kind is Path:
            return _path(text)
        number = _number(text)
        if self.kind is Decimal:
            return number
        if self.kind is float:
            return _finite(float(number))
        if number != number.to_integral_value():
            raise ValueError(f"this is not a whole number; write one, such as {self.shown(self.default)}")
        return int(number)

    def _choose(self, text: str) -> object:
        # Capitals do not matter, but in an interval: 1m is a minute and 1M a month.
        said = text if text[0].isdigit() and self.kind is not bool else _SYNONYMS.get(text.lower(), text.lower())
        for choice, value in self.choices.items():
            if said in (choice, choice.lower()):
                return value
        raise ValueError(f"it must be one of {', '.join(self.choices)}")


_SYNONYMS: Final = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def _number(text: str) -> Decimal:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if text.endswith("%"):
        raise ValueError("this is a percentage; write a fraction, such as 0.01 for one percent")
    if "," in text:
        raise ValueError("this has a comma; write a plain number with a point, such as 0.01")
    raise ValueError("this is not a number; write a plain one, such as 0.01")


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as unknown:
        raise ValueError("this begins with ~ and a name that is no user's; write the whole path") from unknown


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("this is too large; write a plain number, such as 0.01")
    return number


def _options() -> Iterator[Option]:
    kinds = get_type_hints(Settings)
    for declared in fields(Settings):
        kind = kinds[declared.name]
        if type(None) in get_args(kind):
            (kind,) = (part for part in get_args(kind) if part is not type(None))
        yield Option(declared.name.upper(), kind, _choices(kind), declared.default, **declared.metadata)


def _choices(kind: Any) -> Mapping[str, object]:
    if kind is bool:
        return {"true": True, "false": False}
    if get_origin(kind) is Literal:
        return {choice: choice for choice in get_args(kind)}
    return {member.value: member for member in kind} if issubclass(kind, Enum) else {}


CREDENTIAL: Final = "credential"  # the source of a file that the service manager handed over

OPTIONS: Final[Mapping[str, Option]] = MappingProxyType({option.name: option for option in _options()})


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """What was read, and all that could not be.

    `sources` tells for each name where its value came from. `unread` names the settings whose text made
    no sense; their default stands in, and nothing should be concluded from it.
    """

    settings: Settings
    sources: Mapping[str, str]
    unread: frozenset[str]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def read_settings(
    command_line: Mapping[str, str], environ: Mapping[str, str], env_file: Path, *, file_needed: bool = False
) -> LoadedSettings:
    """The settings from the command line, else the environment, else `env_file`, else the defaults.

    An empty value counts as not set. Only the names in the file are judged: the environment belongs to
    others too. A file that does not exist is a problem only where it is needed. A private key that systemd
    hands over (`LoadCredential=`, by the file's name) goes before the one at the path. Never raises.
    """
    filed, problems, warnings = _read_file(env_file, file_needed)
    problems += [f"{name} is no setting{_did_you_mean(name)}" for name in command_line if name not in OPTIONS]
    places = (("command line", command_line), ("environment", environ), (str(env_file), filed))
    values: dict[str, object] = {}
    sources = dict.fromkeys(OPTIONS, "default")
    unread = set()
    for name, option in OPTIONS.items():
        for source, place in places:
            text = place.get(name, "").strip()
            if not text:
                continue
            sources[name] = source
            try:
                values[name.lower()] = option.read(text)
            except ValueError as wrong:
                unread.add(name)
                problems.append(f"{name} is {'' if option.secret else repr(text)} ({source}): {wrong}")
            break
    settings = Settings(**values)  # type: ignore[arg-type]  # each value was read by its field's own type
    handed = _handed_over(environ, settings.binance_ed25519_priv_path)
    if handed is not None:
        settings = replace(settings, binance_ed25519_priv_path=handed)
        sources["BINANCE_ED25519_PRIV_PATH"] = CREDENTIAL
    return LoadedSettings(
        settings=settings,
        sources=MappingProxyType(sources),
        unread=frozenset(unread),
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def _handed_over(environ: Mapping[str, str], path: Path) -> Path | None:
    """The file of the same name that the service manager put where only we can read it."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    handed = Path(folder, path.name)
    return handed if os.path.isfile(handed) else None  # never raises, unlike Path.is_file


def assignment(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`, as an argparse type. An unknown name is judged where all settings are."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _read_file(env_file: Path, needed: bool) -> tuple[dict[str, str], list[str], list[str]]:
    """Names and values of the file, what makes it unreadable, and what in it looks like a slip."""
    try:
        text = env_file.read_text(encoding="utf-8-sig")  # editors on Windows like to put a mark in front
    except FileNotFoundError:
        return {}, [f"{env_file} does not exist; name another --env-file"] if needed else [], []
    except (OSError, UnicodeDecodeError) as wrong:
        if isinstance(wrong, PermissionError) and not needed and not os.access(env_file.parent, os.X_OK):
            return {}, [], [f"{env_file}: this user may not look into its folder, so nothing is read from there"]
        return {}, [f"{env_file} cannot be read: {wrong}"], []
    from dotenv.parser import parse_stream  # a service has its settings in the environment

    values: dict[str, str] = {}
    problems, warnings = [], []
    for line in parse_stream(io.StringIO(text)):
        if line.error:
            problems.append(f"{env_file}, line {line.original.line}: this is not NAME=VALUE; correct it or remove it")
        elif line.key is not None and line.key not in OPTIONS:
            warnings.append(f"{env_file}: {line.key} is no setting and is ignored{_did_you_mean(line.key)}")
        elif line.key is not None:
            if line.key in values:
                warnings.append(f"{env_file}: {line.key} is there twice, the last one counts")
            values[line.key] = line.value or ""
    return values, problems, warnings


def _did_you_mean(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name.upper(), OPTIONS, n=1)
    return f"; did you mean {near[0]}?" if near else ""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where one exchange listens: its WebSocket API, and its market streams without path."""

    ws_api_url: str
    ws_stream_url: str


ENDPOINTS: Final[Mapping[TradingMode, Endpoints]] = MappingProxyType(
    {
        # Where the prices come from. The host of the streams carries market data alone.
        TradingMode.PAPER: Endpoints("wss://ws-api.binance.com:443/ws-api/v3", "wss://data-stream.binance.vision"),
        TradingMode.TESTNET: Endpoints(
            "wss://ws-api.testnet.binance.vision/ws-api/v3", "wss://stream.testnet.binance.vision"
        ),
        TradingMode.DEMO: Endpoints("wss://demo-ws-api.binance.com/ws-api/v3", "wss://demo-stream.binance.com"),
        TradingMode.LIVE: Endpoints("wss://ws-api.binance.com:443/ws-api/v3", "wss://stream.binance.com:9443"),
    }
)


def endpoints(settings: Settings) -> Endpoints | None:
    """Where to connect: the mode's own unless overridden; in paper, where prices, candles and rules come from.

    None for sim, whose exchange picks its own port.
    """
    known = ENDPOINTS.get(settings.trading_mode)
    if known is None:
        return None
    return Endpoints(
        settings.binance_ws_api_url or known.ws_api_url,
        (settings.binance_ws_stream_url or known.ws_stream_url).rstrip("/"),
    )


def env_example() -> str:
    """The text of `.env.example`: every setting with its meaning and its default."""
    lines = ["# Trailing Edge: copy to .env and change what you like. An empty value counts as not set."]
    for option in OPTIONS.values():
        if option.heading:
            lines += ["", f"# --- {option.heading} ---"]
        lines += ["", f"# {_meaning(option)}.", f"{option.name}={option.shown(option.default)}"]
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """The README's table of settings, in Markdown."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for option in OPTIONS.values():
        if option.heading:
            lines.append(f"| **{option.heading}** | | |")
        default = f"`{option.shown(option.default)}`" if option.default is not None else ""
        lines.append(f"| `{option.name}` | {default} | {_meaning(option)} |")
    return "\n".join(lines) + "\n"


def _meaning(option: Option) -> str:
    choices = f": {', '.join(option.choices)}" if option.choices and option.kind is not bool else ""
    default = option.shown(option.default)
    return f"{option.comment}{choices} ({default})" if default else f"{option.comment}{choices}"
