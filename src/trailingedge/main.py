"""The command line: what to run, with which settings, on which exchange, and how it ended.

Only this file knows that an embedded exchange exists. Everything wrong with the settings is reported in
one list before anything connects.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import io
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Final, TextIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.clock import Clock, RealClock
from trailingedge.config import Endpoints, Mode, Settings, assignment, endpoints, read_settings
from trailingedge.config_validator import checked_settings
from trailingedge.console.hotkeys import Hotkey, read_hotkeys
from trailingedge.console.lines import Face, Lines
from trailingedge.daemon import Daemon, gravest
from trailingedge.errors import ConfigError, ExchangeUnreachable, ExitCode, LogonRefused, StartFailed
from trailingedge.instructions import Instruction
from trailingedge.logging_config import Logging, setup, under_journald
from trailingedge.notifications import texts
from trailingedge.notifications.alerts import Alerts, LogAlerts
from trailingedge.signals import ends_in_good_order
from trailingedge.simulator import command as exchange_command
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.generator import GeneratedMarket
from trailingedge.simulator.recorded import assets_of, open_market
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.tape import Tape
from trailingedge.simulator.terms import Terms
from trailingedge.websocket.connection import dial
from trailingedge.websocket.last_frames import save
from trailingedge.wiring import Surroundings

logger = logging.getLogger(__name__)

SIM_SPEED: Final = 120.0
SIM_BASE: Final = Decimal(1)
_DISTRIBUTION: Final = "trailing-edge"
_COMMANDS: Final[Mapping[str, str]] = {"exchange": "run the embedded exchange by itself"}

_INSTRUCTIONS: Final[Mapping[Hotkey, Instruction]] = {
    Hotkey.FLIP: Instruction.FLIP,
    Hotkey.WITHDRAW: Instruction.WITHDRAW,
    Hotkey.PAUSE: Instruction.PAUSE,
    Hotkey.RESUME: Instruction.RESUME,
    Hotkey.STATUS: Instruction.STATUS,
    Hotkey.WHY: Instruction.STATUS,
    Hotkey.QUIT: Instruction.QUIT,
    Hotkey.HELP: Instruction.HELP,
}


def run(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["exchange"]:
            return _run_exchange(words[1:])
        return _run_daemon(run_parser().parse_args(words))
    except ConfigError as wrong:
        _report(wrong)
        return ExitCode.CONFIG
    except KeyboardInterrupt:  # before anything was started that could be ended in good order
        return ExitCode.OK


def run_parser() -> argparse.ArgumentParser:
    """The flags of a run. Usage errors exit with 2."""
    commands = "".join(f"\n  {name:<10} {what}; see {_DISTRIBUTION} {name} --help" for name, what in _COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog=_DISTRIBUTION,
        description="Trade one Binance spot pair: all of it in one asset or the other, with post-only orders.\n"
        "Without settings it runs a simulation on the embedded exchange.",
        epilog=f"commands:{commands}\n\nSettings come from the command line, the environment, the env file, the "
        "defaults; see .env.example.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{_DISTRIBUTION} {version(_DISTRIBUTION)}")
    parser.add_argument("--mode", metavar="MODE", help="the same as --set TRADING_MODE=MODE")
    parser.add_argument("--symbol", metavar="SYMBOL", help="the same as --set SYMBOL=SYMBOL")
    parser.add_argument(
        "--market",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="sim: play these recorded files (Binance's public CSV layouts, zipped or not)",
    )
    parser.add_argument(
        "--speed", type=_positive, metavar="N", help=f"sim: at most N times the wall's pace ({SIM_SPEED:g})"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="sim: seed of the generated market (0)")
    parser.add_argument("--duration", type=_positive, metavar="SEC", help="end after so many seconds")
    parser.add_argument("--plain", action="store_true", help="plain lines, whatever the terminal can do")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="read settings from FILE (.env)")
    parser.add_argument(
        "--set",
        dest="assignments",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting; can be repeated",
    )
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _run_exchange(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog=f"{_DISTRIBUTION} exchange", description=_COMMANDS["exchange"])
    exchange_command.add_arguments(parser)
    return exchange_command.run(parser.parse_args(words))


def _run_daemon(arguments: argparse.Namespace) -> int:
    settings, warnings = _read(arguments)
    tape = _tape(settings, arguments) if settings.trading_mode is Mode.SIM else None
    keys = None if tape is not None else _keys(settings)
    stdout = _stdout()
    face = Lines(stdout)
    try:
        log = _open_log(settings, face, stdout)
        try:
            for warning in warnings:
                logger.warning("%s", warning)
            return asyncio.run(_live(settings, arguments, tape, keys, face))
        except BaseExceptionGroup as group:
            return _explain(gravest(group))
        except Exception as failure:  # noqa: BLE001 - the last chance to write it down
            return _explain(failure)
        finally:
            log.close()
    finally:
        face.close()


def _stdout() -> TextIO:
    """Where the terminal's lines go: nowhere, if we were started without a standard output."""
    return io.StringIO() if sys.stdout is None else sys.stdout


def _read(arguments: argparse.Namespace) -> tuple[Settings, list[str]]:
    """The settings and what to warn of. Raises ConfigError with everything that is wrong, key and files included."""
    flags = {"TRADING_MODE": arguments.mode, "SYMBOL": arguments.symbol}
    given = {name: value for name, value in flags.items() if value is not None} | dict(arguments.assignments)
    env_file = arguments.env_file or Path(".env")
    file_needed = arguments.env_file is not None
    found = read_settings(given, os.environ, env_file, file_needed=file_needed)
    ask = input if sys.stdin is not None and sys.stdin.isatty() else None
    beside = [*_misplaced_flags(found.settings, arguments), *_key_problems(found.settings)]
    try:
        # Nobody is asked for consent to something that cannot start.
        settings, sources, warnings = checked_settings(
            given, os.environ, env_file, file_needed=file_needed, ask=None if beside else ask
        )
    except ConfigError as wrong:
        raise ConfigError([*wrong.problems, *beside]) from wrong
    if beside:
        raise ConfigError(beside)
    return _of_market(settings, sources, arguments.market), warnings


def _misplaced_flags(settings: Settings, arguments: argparse.Namespace) -> Iterator[str]:
    """Flags of the embedded exchange, where another is to be traded on."""
    if settings.trading_mode is Mode.SIM:
        return
    for flag, value in (("--market", arguments.market), ("--speed", arguments.speed), ("--seed", arguments.seed)):
        if value is not None:
            mode = settings.trading_mode.value
            yield f"{flag} is for sim, but TRADING_MODE is {mode}; choose --mode sim or leave it out"


def _key_problems(settings: Settings) -> Sequence[str]:
    """What is wrong inside the key file; whether there is one is judged with the settings."""
    path = settings.binance_ed25519_priv_path
    if settings.trading_mode is Mode.SIM or not path.is_file() or not os.access(path, os.R_OK):
        return []
    try:
        _keys(settings)
    except ConfigError as wrong:
        return wrong.problems
    return []


def _of_market(settings: Settings, sources: Mapping[str, str], files: Sequence[Path] | None) -> Settings:
    """Recorded files name the symbol, unless SYMBOL is set by hand."""
    if not files or sources["SYMBOL"] != "default":
        return settings
    return dataclasses.replace(settings, symbol=_recorded(settings, files, symbol=None).symbol)


def _recorded(settings: Settings, files: Sequence[Path], symbol: str | None) -> Tape:
    return open_market(files, symbol, settings.base_asset, settings.quote_asset)


def _tape(settings: Settings, arguments: argparse.Namespace) -> Tape:
    """The market that sim plays. Raises ConfigError for files that cannot be read."""
    if arguments.market:
        return _recorded(settings, arguments.market, settings.symbol)
    base_asset, quote_asset = assets_of(settings.symbol, settings.base_asset, settings.quote_asset)
    now_ms = RealClock().unix_ms()
    return GeneratedMarket(arguments.seed or 0, now_ms, settings.symbol, base_asset, quote_asset)


def _keys(settings: Settings) -> KeyManager:
    """The key of a mode that needs one. Raises ConfigError."""
    return KeyManager.from_file(settings.binance_ed25519_priv_path, settings.binance_ed25519_api_key or "")


def _open_log(settings: Settings, face: Face, stdout: TextIO) -> Logging:
    secrets = (settings.binance_ed25519_api_key, settings.telegram_bot_token)
    return setup(
        settings.log_dir,
        datetime.now(UTC),
        file_level=settings.log_level_file,
        retention_days=settings.log_retention_days,
        console=face.line,
        console_level=settings.log_level_console,
        console_times=not under_journald(os.environ, stdout),
        secrets=[secret for secret in secrets if secret],
    )


async def _live(
    settings: Settings, arguments: argparse.Namespace, tape: Tape | None, keys: KeyManager | None, face: Face
) -> ExitCode:
    """One session, on whichever exchange the mode says, to its exit code."""
    clock, chance, alerts = RealClock(), Random(arguments.seed), LogAlerts()
    async with contextlib.AsyncExitStack() as stack:
        ended = asyncio.Event()
        if tape is not None:
            speed = arguments.speed or SIM_SPEED
            exchange, keys = await stack.enter_async_context(_embedded(settings, tape, clock, speed))
            chosen, ended = Endpoints(exchange.ws_api_url, exchange.ws_stream_url), exchange.ended
        else:
            chosen = endpoints(settings) or Endpoints("", "")
        if keys is None:
            raise ConfigError([f"TRADING_MODE is {settings.trading_mode.value}: it needs a key"])
        alerts.send(_banner(settings, chosen))

        async def save_frames(lines: list[str]) -> Path:
            return await asyncio.to_thread(save, lines, settings.log_dir, datetime.now(UTC))

        surroundings = Surroundings(chosen, keys, dial, clock, chance, save_frames)
        daemon = Daemon(settings, surroundings, face, alerts)
        code = await _until_over(daemon, alerts, ended, arguments.duration)
        _sum_up(daemon, tape)
        return code


@contextlib.asynccontextmanager
async def _embedded(
    settings: Settings, tape: Tape, clock: Clock, speed: float
) -> AsyncIterator[tuple[LoopbackExchange, KeyManager]]:
    """The embedded exchange on the loopback, and a key made for it. It charges FEE, if that is set."""
    private_key = Ed25519PrivateKey.generate()
    terms = dataclasses.replace(Terms().of_tape(tape), maker_fee=settings.fee or Decimal(0))
    exchange = Exchange(terms, clock, {tape.base_asset: SIM_BASE}, tape.history)
    api_key = exchange.register_key(private_key.public_key())
    async with LoopbackExchange(exchange, tape, clock, speed=speed) as loopback:
        yield loopback, KeyManager.from_private_key(private_key, api_key)


def _banner(settings: Settings, chosen: Endpoints) -> str:
    return texts.banner(
        version(_DISTRIBUTION),
        settings.trading_mode.value,
        settings.symbol,
        chosen.ws_api_url,
        chosen.ws_stream_url,
        key_is_set=settings.binance_ed25519_api_key is not None,
    )


async def _until_over(daemon: Daemon, alerts: Alerts, ended: asyncio.Event, duration_s: float | None) -> ExitCode:
    """Run the daemon until it ends, is told to, or its market or its time is over."""

    async def stop_at_end_of_market() -> None:
        await ended.wait()
        daemon.stop("the market is over")

    async def stop_after(seconds: float) -> None:
        await asyncio.sleep(seconds)
        daemon.stop(f"{seconds:g} s are over")

    read_hotkeys(sys.stdin, asyncio.get_running_loop(), lambda key: daemon.obey(_INSTRUCTIONS[key]))
    with ends_in_good_order(daemon.stop):
        async with asyncio.TaskGroup() as tasks:
            watchers = [tasks.create_task(stop_at_end_of_market())]
            if duration_s is not None:
                watchers.append(tasks.create_task(stop_after(duration_s)))
            try:
                return await daemon.run()
            except Exception as failure:  # noqa: BLE001 - told and logged, and the summary still comes
                return _explain(failure, alerts)
            finally:
                for watcher in watchers:
                    watcher.cancel()


def _explain(failure: BaseException, alerts: Alerts | None = None) -> ExitCode:
    """Say why the session ended, and the exit code for it."""
    tell = (alerts or LogAlerts()).send
    match failure:
        case ConfigError(problems=problems):
            tell(texts.ended("\n".join(problems)), logging.ERROR)
            return ExitCode.CONFIG
        case LogonRefused():
            tell(texts.ended(str(failure)), logging.ERROR)
            return ExitCode.CONFIG
        case ExchangeUnreachable() | StartFailed():
            tell(texts.ended(str(failure)), logging.ERROR)
            return ExitCode.UNREACHABLE
        case _:
            logger.error("a mistake of ours", exc_info=failure)
            tell(texts.ended(f"unexpectedly, by {type(failure).__name__}: {failure}"), logging.ERROR)
            return ExitCode.UNEXPECTED


def _sum_up(daemon: Daemon, tape: Tape | None) -> None:
    """The summary, where the session got far enough to have one."""
    desk = daemon.desk
    if desk is None or not desk.tally.from_ms:
        return
    tally = desk.tally
    summary = texts.Summary(
        seconds=(tally.to_ms - tally.from_ms) / 1000,
        exits=len(tally.exits),
        fills=tally.fills,
        replaces=tally.replaces,
        fees=dict(tally.fees),
        rejected={str(code): count for code, count in sorted(tally.rejected.items())},
        value=tally.last_value,
        result_frac=tally.result_frac,
        hold_base_frac=tally.hold_base_frac,
        hold_quote_frac=0.0,
        gaps=tuple(tape.gaps) if tape is not None else (),
    )
    text = texts.summary(desk.rules, summary)
    for line in text.splitlines():
        logger.info("%s", line)


def _report(wrong: ConfigError) -> None:
    count = len(wrong.problems)
    lines = [f"{count} {'problem' if count == 1 else 'problems'} with the settings; nothing was started:"]
    lines += [f"  - {problem}" for problem in wrong.problems]
    if sys.stderr is not None:
        sys.stderr.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    raise SystemExit(run())
