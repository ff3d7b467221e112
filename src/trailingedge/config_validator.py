"""Validation of the settings: reports everything that is wrong with them at once.

A problem stops the start; a warning is printed and logged. Each names the setting, its value, the limit and the remedy.
Settings that depend on the exchange are checked once its rules are known.
"""

import dataclasses
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from trailingedge.config import (
    ARCHIVE_URL,
    CREDENTIAL,
    OPTIONS,
    RISK_PHRASE,
    SHORTEST_SECRET,
    Settings,
    TradingMode,
    endpoints,
    read_settings,
)
from trailingedge.core.errors import ConfigError
from trailingedge.core.proxy_environment import HTTPX, WEBSOCKETS, ProxyClient, find_proxy, is_loopback
from trailingedge.model.market_names import is_market_name
from trailingedge.model.pricing_mode import Pricing

if TYPE_CHECKING:
    from trailingedge.model.market import SymbolRules

CREDENTIAL_STORE: Final = "/etc/credstore/trailing-edge.ed25519-priv.pem"  # where the units look for the key
LIVE_DOMAIN: Final = "binance.com"
API_EXAMPLE: Final = "wss://host/ws-api/v3"
STREAM_EXAMPLE: Final = "wss://host:9443"
TELEGRAM_EXAMPLE: Final = "https://api.telegram.org"
CHATS: Final = ("TELEGRAM_CHAT_ID", "TELEGRAM_GROUP_CHAT_ID_1", "TELEGRAM_GROUP_CHAT_ID_2")
TOKEN: Final = re.compile(r"[0-9]{6,}:[A-Za-z0-9_-]{30,}", re.ASCII)
BREAKERS: Final = ("MAX_DAILY_LOSS_FRAC", "MAX_DRAWDOWN_FRAC", "MAX_CONSECUTIVE_LOSSES")
_KEY_WITH_AN_END: Final = 16  # characters of a key whose last four may be shown
_BETWEEN_ASSETS: Final = re.compile(r"[/_:. -]")
# A chat, and after a colon the number of a topic, which the Bot API calls message_thread_id.
CHAT: Final = re.compile(r"(?:-?[0-9]{1,19}|@[A-Za-z][A-Za-z0-9_]{3,31})(?::[1-9][0-9]{0,9})?", re.ASCII)

# The settings that a problem concerns, and its text.
SettingProblem = tuple[tuple[str, ...], str]


def checked_settings(
    command_line: Mapping[str, str],
    environ: Mapping[str, str],
    env_file: Path,
    *,
    file_needed: bool = False,
    ask: Callable[[str], str] | None = None,
) -> tuple[Settings, Mapping[str, str], list[str]]:
    """Read and check the settings. Returns them, the source of each by name, and the warnings.

    `ask` asks a person at a terminal for the consent to trade real money. It is called only if
    nothing but this consent is missing. Raises ConfigError with everything that is wrong.
    """
    reading = read_settings(command_line, environ, env_file, file_needed=file_needed)
    settings = reading.settings
    wrong = [
        *reading.problems,
        *problems(settings, reading.sources, reading.unread),
        *proxy_problems(settings, environ),
    ]
    if ask is not None and settings.confirm_live is None and wrong and wrong == _consent(settings):
        settings = dataclasses.replace(settings, confirm_live=_answer(settings, ask))
        wrong = _consent(settings)
    if wrong:
        # A misspelt name may be the reason why another setting is missing, and belongs in the same list.
        raise ConfigError([*wrong, *reading.warnings, *secret_warnings(settings)])
    return settings, reading.sources, [*reading.warnings, *warnings(settings)]


def problems(
    settings: Settings, sources: Mapping[str, str] | None = None, unread: frozenset[str] = frozenset()
) -> list[str]:
    """Return the problems that prevent a start. Settings named in `unread` are not checked."""
    found = [
        *_out_of_range(settings, sources or {}),
        *_contradictions(settings),
        *_addresses(settings),
        *_telegram(settings),
        *_health_file(settings),
    ]
    # A value that could not be read has been reported already, and its default would give a second, wrong problem.
    problem = [text for names, text in found if unread.isdisjoint(names)]
    if settings.trading_mode.needs_key:
        problem += _keys(settings, handed_over=(sources or {}).get("BINANCE_ED25519_PRIV_PATH") == CREDENTIAL)
    return problem + _consent(settings)


def cut_values(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each setting that is larger than another setting allows: then the other value applies."""
    if settings.hard_stop_threshold_frac > settings.hard_stop_max_frac:
        yield (
            f"{_is(settings, 'HARD_STOP_THRESHOLD_FRAC')}: it is above HARD_STOP_MAX_FRAC, so the distance of the hard "
            f"stop is always {settings.hard_stop_max_frac}"
        )


def proxy_problems(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return the problems with the proxies that the environment sets for connections to the exchange."""
    at = endpoints(settings)
    urls = () if at is None else (at.ws_api_url, at.ws_stream_url)
    return list(dict.fromkeys(problem for url in urls for problem in _proxy_faults(url, WEBSOCKETS, environ)))


def telegram_proxy_warnings(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each problem with the proxy that the environment sets for Telegram."""
    if settings.telegram_bot_token is None:
        return []
    faults = _proxy_faults(settings.telegram_api_url or TELEGRAM_EXAMPLE, HTTPX, environ)
    return [f"{fault}; alerts on the phone are off until this is corrected" for fault in faults]


def warnings(settings: Settings) -> list[str]:
    """Return warnings about values that are allowed but may be mistakes. Call it for settings without problems."""
    return [
        *secret_warnings(settings),
        *_not_used(settings),
        *_without_telegram(settings),
        *_unusual(settings),
        *_kept_gain(settings, Decimal(0) if settings.fee is None else settings.fee),
    ]


def problems_with_exchange(settings: Settings, rules: "SymbolRules", lowest_fee: Decimal) -> list[str]:
    """Return the problems with the exchange's rules: a setting may be stricter than a rule, never looser.

    `lowest_fee` is the account's maker fee, less the BNB discount if the account has it. Call this after each
    reading of the exchange's rules, because they may change while we run.
    """
    problem = [*_assets(settings, rules), *_grids(settings, rules), *_bounds(settings, rules)]
    if settings.fee is not None and settings.fee < lowest_fee:
        problem.append(
            f"FEE is {settings.fee}: it must not be below the exchange's maker fee of {_plain(lowest_fee)}; "
            f"raise it, or leave FEE empty to use the exchange's"
        )
    for name, pricing in (("EXIT_PRICING", settings.exit_pricing), ("HARD_STOP_PRICING", settings.hard_stop_pricing)):
        if pricing is not Pricing.PEG:
            continue
        if not rules.peg_allowed:
            problem.append(
                f"{name} is peg: {rules.symbol} does not allow pegged orders; choose improve, join or opposite"
            )
        elif settings.price_tick is not None and settings.price_tick > rules.tick_size:
            problem.append(
                f"{name} is peg: the exchange pegs on its own grid of {_plain(rules.tick_size)} and ignores PRICE_TICK "
                f"({_plain(settings.price_tick)}); leave PRICE_TICK empty, or choose improve, join or opposite"
            )
    return problem


def warnings_with_exchange(settings: Settings, maker_fee: Decimal) -> list[str]:
    """Return the warnings that depend on the account's maker fee without discount."""
    if settings.fee is None:
        return _kept_gain(settings, maker_fee) if maker_fee > 0 else []
    if settings.fee < maker_fee:
        discounted = (
            f"FEE is {settings.fee}, the maker fee with the discount for fees paid in BNB: without enough BNB in the "
            f"account it is {_plain(maker_fee)}; keep BNB, or leave FEE empty to use the full fee"
        )
        return [discounted]
    return []


def warnings_with_price(settings: Settings, rules: "SymbolRules", price: Decimal) -> list[str]:
    """Return the warnings that depend on the symbol's price."""
    stop_frac = min(settings.hard_stop_threshold_frac, settings.hard_stop_max_frac)
    tick_frac = float(rules.tick_size / price)
    if tick_frac < stop_frac:
        return []
    warning = (
        f"one tick of {_plain(rules.tick_size)} is {tick_frac:.3g} of the price {_plain(price)}, and the hard stop may "
        f"be only {stop_frac:.3g} of the anchor away: a single tick may trigger the hard stop; raise "
        f"HARD_STOP_THRESHOLD_FRAC and HARD_STOP_MAX_FRAC above {tick_frac:.3g}, or choose a pair with a finer grid"
    )
    return [warning]


def effective_rules(settings: Settings, rules: "SymbolRules") -> "SymbolRules":
    """Return the exchange's rules. A setting that is stricter than a rule replaces the rule.

    A setting that is less strict is ignored and is no error here: the settings were checked at the start, and the
    exchange may have tightened its rules since.
    """
    return dataclasses.replace(
        rules,
        step_size=_coarser(settings.lot_size, rules.step_size),
        min_quantity=_larger(settings.min_qty, rules.min_quantity),
        tick_size=_coarser(settings.price_tick, rules.tick_size),
        min_price=_larger(settings.min_price, rules.min_price),
        min_notional=_larger(settings.min_notional, rules.min_notional),
    )


def _plain(number: Decimal) -> str:
    from trailingedge.model.market import (
        format_plain,  # here, because reading settings must stay fast
    )

    return format_plain(number)


def _coarser(own: Decimal | None, exchange_value: Decimal) -> Decimal:
    # A step that is no multiple of the exchange's is reported as a problem; here the exchange's step replaces it.
    return exchange_value if own is None or own % exchange_value else own


def _larger(own: Decimal | None, exchange_value: Decimal) -> Decimal:
    return exchange_value if own is None else max(own, exchange_value)


def _is(settings: Settings, name: str, sources: Mapping[str, str] | None = None) -> str:
    """Return the text "NAME is value", with the source of the value if it is known."""
    option = OPTIONS[name]
    source = (sources or {}).get(name)
    return f"{name} is {option.shown(option.of(settings))}" + (f" ({source})" if source else "")


def _out_of_range(settings: Settings, sources: Mapping[str, str]) -> Iterator[SettingProblem]:
    for name, option in OPTIONS.items():
        value = option.of(settings)
        if option.limit is None or value is None or option.limit.holds(value):
            continue
        remedy = f"the default is {option.shown(option.default)}" if option.default is not None else "or leave it empty"
        yield (name,), f"{_is(settings, name, sources)}: it must be {option.limit.words}; {remedy}"


def _contradictions(settings: Settings) -> Iterator[SettingProblem]:
    """Yield a problem for settings that are each valid but contradict each other."""
    yield from _above(settings, "MIN_FACTOR", "START_FACTOR")
    yield from _above(settings, "RECONNECT_BASE_SEC", "RECONNECT_MAX_SEC")
    reach, kept = settings.donchian_window + settings.donchian_shift, settings.rolling_klines_maxlen
    # A start loads ROLLING_KLINES_MAXLEN klines; with fewer than a window and its shift the channel is never full.
    if reach >= kept:
        problem = f"DONCHIAN_WINDOW + DONCHIAN_SHIFT is {reach}: it must be below ROLLING_KLINES_MAXLEN, {kept}"
        yield (
            ("DONCHIAN_WINDOW", "DONCHIAN_SHIFT", "ROLLING_KLINES_MAXLEN"),
            f"{problem}; keep more candles or look back less",
        )
    plain_symbol = _plain_symbol(settings.symbol)
    if settings.symbol != plain_symbol:
        problem = f"{_is(settings, 'SYMBOL')}: it must be capitals and digits alone"
        yield ("SYMBOL",), f"{problem}; write {plain_symbol or 'it like ETHFDUSD'}"
    for name in ("BASE_ASSET", "QUOTE_ASSET"):
        asset = OPTIONS[name].of(settings)
        if asset is not None and (not is_market_name(asset) or asset != asset.upper()):
            yield (name,), f"{_is(settings, name)}: it must be capitals and digits alone; write it like ETH"


def _plain_symbol(written: str) -> str | None:
    """Return a symbol as the exchange writes it; None if `written` is no symbol.

    Letters may be of any script. One separator between the assets, as in ETH/FDUSD, is removed.
    """
    parts = _BETWEEN_ASSETS.split(written)
    symbol = "".join(parts).upper()
    return symbol if len(parts) <= 2 and all(parts) and is_market_name(symbol) else None


def _above(settings: Settings, lower: str, upper: str) -> Iterator[SettingProblem]:
    if OPTIONS[lower].of(settings) > OPTIONS[upper].of(settings):
        problem = f"{_is(settings, lower)}: it must not be above {upper}, which is {OPTIONS[upper].of(settings)}"
        yield (lower, upper), f"{problem}; lower the one or raise the other"


def _addresses(settings: Settings) -> Iterator[SettingProblem]:
    archive = settings.binance_archive_url
    if archive is not None and (fault := _address_fault(_split(archive), "https", "http")):
        yield ("BINANCE_ARCHIVE_URL",), f"BINANCE_ARCHIVE_URL is {archive}: {fault}; write it like {ARCHIVE_URL}"
    if settings.trading_mode is TradingMode.SIM:
        return
    api, stream = settings.binance_ws_api_url, settings.binance_ws_stream_url
    if api is not None and (fault := _address_fault(_split(api))):
        yield ("BINANCE_WS_API_URL",), f"BINANCE_WS_API_URL is {api}: {fault}; write it like {API_EXAMPLE}"
    if stream is not None and (fault := _address_fault(_split(stream), ends_at_port=True)):
        yield ("BINANCE_WS_STREAM_URL",), f"BINANCE_WS_STREAM_URL is {stream}: {fault}; write it like {STREAM_EXAMPLE}"
    traded = settings.trading_mode.needs_key and settings.trading_mode is not TradingMode.LIVE
    # The one mistake that costs money: demo settings with the address of the real exchange.
    if traded and api is not None and _leads_to_live(_split(api)):
        problem = f"BINANCE_WS_API_URL is {api}: real money is traded there, but TRADING_MODE is"
        yield (
            ("BINANCE_WS_API_URL",),
            f"{problem} {settings.trading_mode.value}; remove the URL, or set TRADING_MODE=live",
        )


def _split(url: str) -> SplitResult | None:
    """Return the parts of `url`; None if it has no host or its port is invalid."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and (parts.port is None or parts.port) else None
    except ValueError:
        return None


def _proxy_faults(url: str, client: ProxyClient, environ: Mapping[str, str]) -> Sequence[str]:
    if _split(url) is None:  # reported as a problem of its setting
        return ()
    try:
        find_proxy(url, client, environ)
    except ConfigError as wrong:
        return wrong.problems
    return ()


def _address_fault(
    parts: SplitResult | None, encrypted: str = "wss", plain: str = "ws", *, ends_at_port: bool = False
) -> str | None:
    if parts is None or parts.scheme not in (encrypted, plain):
        return f"it must be {encrypted}:// and a host"
    if parts.scheme == plain and not is_loopback(parts.hostname or ""):
        return "only this machine itself may be reached without encryption"
    if parts.username is not None or parts.query or parts.fragment:
        return "it must have no user, query or fragment"
    if ends_at_port and parts.path not in ("", "/"):
        return "it must end after host and port"
    return None


def _leads_to_live(parts: SplitResult | None) -> bool:
    """Return whether real money is traded at the host.

    This is true for all hosts in the exchange's own domain except its demo hosts.
    """
    host = (parts.hostname or "").rstrip(".") if parts else ""
    return f".{host}".endswith(f".{LIVE_DOMAIN}") and not host.startswith("demo-")


def _telegram(settings: Settings) -> Iterator[SettingProblem]:
    url = settings.telegram_api_url
    if url is not None and (fault := _address_fault(_split(url), "https", "http")):
        yield ("TELEGRAM_API_URL",), f"TELEGRAM_API_URL is {url}: {fault}; write it like {TELEGRAM_EXAMPLE}"
    for name in CHATS:
        chat = OPTIONS[name].of(settings)
        if chat is not None and CHAT.fullmatch(chat) is None:
            problem = f"{_is(settings, name)}: it must be a chat's number or the @name of a public one"
            remedy = (
                "write it like 123456789, -1001234567890 or @channel, for a topic of a group like -1001234567890:42"
            )
            yield (name,), f"{problem}; {remedy}"


def _health_file(settings: Settings) -> Iterator[SettingProblem]:
    path = settings.health_file
    if path is None:
        return
    if not os.path.isdir(path.parent):
        yield ("HEALTH_FILE",), f"HEALTH_FILE is {path}: there is no folder {path.parent}; make it, or name another"
    elif os.path.isdir(path):
        yield ("HEALTH_FILE",), f"HEALTH_FILE is {path}: this is a folder; name a file in it, such as {path}/te.prom"
    elif path.suffix != ".prom":
        problem = f"HEALTH_FILE is {path}: the node exporter reads only files that end in .prom"
        yield ("HEALTH_FILE",), f"{problem}; name it {path.with_suffix('.prom')}"


def secret_warnings(settings: Settings) -> Iterator[str]:
    """Yield a warning for each secret that was probably not copied whole. The warning does not show the secret.

    The warnings are given even if other settings have problems, because they do not depend on other settings.
    """
    for name, option in OPTIONS.items():
        secret = option.of(settings)
        if option.secret and secret and len(secret) < SHORTEST_SECRET:
            problem = (
                f"{name} has fewer than {SHORTEST_SECRET} characters: too few to be recognised and hidden in the log"
            )
            yield f"{problem}; check that it was copied completely"
    token = settings.telegram_bot_token
    # Another Bot API server may have tokens of another form.
    if token is not None and settings.telegram_api_url is None and TOKEN.fullmatch(token) is None:
        yield "TELEGRAM_BOT_TOKEN is no token of @BotFather's (digits, a colon, 35 characters); copy it again"


def _without_telegram(settings: Settings) -> Iterator[str]:
    """Yield a warning if the token or the chats are missing. In sim both may be missing without a warning."""
    chats = [name for name in CHATS if OPTIONS[name].of(settings)]
    if settings.telegram_bot_token is None and chats:
        problem = f"{', '.join(chats)}: not used, because TELEGRAM_BOT_TOKEN is not set"
        yield f"{problem}, and alerts on the phone are off; set it, or leave the chats empty"
    elif settings.telegram_bot_token is None and settings.trading_mode is not TradingMode.SIM:
        yield "TELEGRAM_BOT_TOKEN is not set: alerts on the phone are off"
    elif settings.telegram_bot_token is not None and not chats:
        problem = "TELEGRAM_BOT_TOKEN is set, but no chat: alerts on the phone are off"
        yield f"{problem}; set TELEGRAM_CHAT_ID to the chat that gets them"


def _keys(settings: Settings, handed_over: bool) -> Iterator[str]:
    mode = settings.trading_mode.value
    if settings.binance_ed25519_api_key is None:
        yield (
            f"BINANCE_ED25519_API_KEY is not set: TRADING_MODE={mode} must log on; set it, "
            f"or choose TRADING_MODE=sim or paper"
        )
    path = settings.binance_ed25519_priv_path
    fault = None
    if not path.exists():
        fault = "no such file"
    elif not path.is_file():
        fault = "this is not a file"
    elif not os.access(path, os.R_OK):
        fault = "this user may not read it"
    if fault and handed_over:
        yield (
            f"BINANCE_ED25519_PRIV_PATH is {path}, a credential that systemd did not provide: {fault}; as root, put "
            f"the private key, a PKCS#8 PEM file, at {CREDENTIAL_STORE} with mode 0600, and start the service again; "
            f"make one with trailing-edge keygen"
        )
    elif fault:
        yield (
            f"BINANCE_ED25519_PRIV_PATH is {path}: {fault}; it must be the private key, a PKCS#8 PEM file; "
            f"make one with trailing-edge keygen"
        )
    elif not handed_over:  # a credential of systemd has the mode and the place that systemd chose
        yield from _within_reach(path)


def _within_reach(path: Path) -> Iterator[str]:
    """Yield a problem if other users can read the private key, because a reader could trade with it."""
    if os.name != "posix":
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    # As ssh does with its keys: a start that worked with an open mode would leave the key open for ever.
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        problem = (
            f"BINANCE_ED25519_PRIV_PATH is {path}: its mode is {mode:04o}, so other users of this machine may read "
            "or change it"
        )
        yield f"{problem}; chmod 600 {shlex.quote(str(path))}"


def _consent(settings: Settings) -> list[str]:
    if settings.trading_mode is not TradingMode.LIVE or settings.confirm_live == RISK_PHRASE:
        return []
    # What was typed instead may be a password, and is not shown.
    problem = "is not set" if settings.confirm_live is None else "is not the phrase"
    return [f"CONFIRM_LIVE {problem}: TRADING_MODE=live trades real money; set CONFIRM_LIVE={RISK_PHRASE} to allow it"]


def _answer(settings: Settings, ask: Callable[[str], str]) -> str:
    try:
        return ask(consent_question(settings)).strip()
    except EOFError:
        return ""


def consent_question(settings: Settings) -> str:
    """Return the question for the consent to trade real money: what is traded, by which key, within which limits."""
    key = settings.binance_ed25519_api_key or ""
    shown = f"the one that ends in {key[-4:]}" if len(key) >= _KEY_WITH_AN_END else "too short to show its end"
    reserve = f"RESERVE_BASE {settings.reserve_base}, RESERVE_QUOTE {settings.reserve_quote}"
    breakers = [
        f"{name} {option.shown(limit) if limit else 'off'}"
        for name, option in OPTIONS.items()
        if name in BREAKERS and (limit := option.of(settings)) is not None
    ]
    return "\n".join(
        [
            "TRADING_MODE=live trades real money.",
            f"  pair      {settings.symbol}",
            f"  balances  not known before the logon; never traded: {reserve}",
            f"  API key   {shown}",
            f"  breakers  {', '.join(breakers)}",
            f"Type {RISK_PHRASE} to go on: ",
        ]
    )


def _not_used(settings: Settings) -> Iterator[str]:
    """Yield a warning for addresses that are not used, or that lead to two different exchanges."""
    if settings.trading_mode is TradingMode.SIM:
        for name in ("BINANCE_WS_API_URL", "BINANCE_WS_STREAM_URL"):
            if OPTIONS[name].of(settings):
                yield f"{name} is not used in sim, which brings its own exchange; choose another TRADING_MODE to use it"
    elif (settings.binance_ws_api_url is None) != (settings.binance_ws_stream_url is None) and (
        chosen := endpoints(settings)
    ):
        what = "rules and candles come from" if settings.trading_mode.embedded else "orders go to"
        yield (
            f"{what} {chosen.ws_api_url} while prices come from {chosen.ws_stream_url}: only one of "
            f"BINANCE_WS_API_URL and BINANCE_WS_STREAM_URL is set"
        )


def _unusual(settings: Settings) -> Iterator[str]:
    if settings.donchian_gain_multiplier >= 1:
        yield (
            f"{_is(settings, 'DONCHIAN_GAIN_MULTIPLIER')}: at 1 or more, a rally inside the channel's window can "
            "never arm a take-profit"
        )
    yield from cut_values(settings)
    # With a distance of 0 the stop is at the anchor, so that the spread alone reaches it.
    if min(settings.hard_stop_threshold_frac, settings.hard_stop_max_frac) == 0:
        yield "the hard stop's distance can be 0: it may then sell right after every buy"
    for name in ("MAX_DAILY_LOSS_FRAC", "MAX_DRAWDOWN_FRAC"):
        if 0 < OPTIONS[name].of(settings) <= settings.hard_stop_threshold_frac:
            yield (
                f"{_is(settings, name)}: it is not above HARD_STOP_THRESHOLD_FRAC, so a single hard stop trips this "
                "breaker"
            )
    if settings.taker_escape_after_sec > 0:
        yield (
            f"{_is(settings, 'TAKER_ESCAPE_AFTER_SEC')}: an exit of that age may take from the book once and "
            f"pay the taker fee"
        )


def _kept_gain(settings: Settings, fee: Decimal) -> list[str]:
    """Return a warning if the smallest take-profit, less its callback, does not cover fees and buffer."""
    # Here, because `--help` needs no strategy.
    from trailingedge.strategy.trailing_take_profit import callback_factor

    needed = 2 * float(fee) + settings.buffer
    problem = []
    for asset, scale, trigger in (
        ("BASE", settings.gain_scale_frac_base, settings.min_gain_trigger_frac_base),
        ("QUOTE", settings.gain_scale_frac_quote, settings.min_gain_trigger_frac_quote),
    ):
        # At the smallest gain the callback is its largest share, so the gain kept there is the smallest of all.
        gain = max(trigger, needed)
        factor = callback_factor(gain, settings.start_factor, settings.min_factor, scale)
        kept = gain * (1 - factor)
        if kept < needed:
            # With the smallest gain allowed, no factor keeps enough.
            name = f"MIN_GAIN_TRIGGER_FRAC_{asset}"
            lower = ", or lower START_FACTOR" if gain * (1 - settings.min_factor) >= needed else ""
            problem.append(
                f"{name} is {trigger}, too little for the smallest take-profit to pay its fees: of this gain, "
                f"{kept:.6g} of the anchor is left after the trail has given back its share, but fees and "
                f"buffer (2·FEE + BUFFER, with FEE={_plain(fee)}) need {needed:.6g}; raise {name}{lower}"
            )
    return problem


def _assets(settings: Settings, rules: "SymbolRules") -> Iterator[str]:
    for name, exchange_value in (
        ("SYMBOL", rules.symbol),
        ("BASE_ASSET", rules.base_asset),
        ("QUOTE_ASSET", rules.quote_asset),
    ):
        own = OPTIONS[name].of(settings)
        if own is not None and own != exchange_value:
            problem = f"{name} is {own}: the exchange says {exchange_value} for {rules.symbol}"
            yield f"{problem}; correct it or leave it empty"


def _grids(settings: Settings, rules: "SymbolRules") -> Iterator[str]:
    for name, own, exchange_value in (
        ("LOT_SIZE", settings.lot_size, rules.step_size),
        ("PRICE_TICK", settings.price_tick, rules.tick_size),
    ):
        if own is not None and own % exchange_value:
            problem = f"{name} is {_plain(own)}: it must be a multiple of the exchange's {_plain(exchange_value)}"
            yield f"{problem}; correct it or leave it empty"


def _bounds(settings: Settings, rules: "SymbolRules") -> Iterator[str]:
    for name, own, least, most in (
        ("MIN_QTY", settings.min_qty, rules.min_quantity, rules.max_quantity),
        ("MIN_PRICE", settings.min_price, rules.min_price, rules.max_price),
        ("MIN_NOTIONAL", settings.min_notional, rules.min_notional, rules.max_notional),
    ):
        if own is None:
            continue
        if own < least:
            problem = f"{name} is {_plain(own)}: it must not be below the exchange's {_plain(least)}"
            yield f"{problem}; raise it or leave it empty"
        if most is not None and own > most:
            yield f"{name} is {_plain(own)}: it must not be above the exchange's largest, {_plain(most)}; lower it"
