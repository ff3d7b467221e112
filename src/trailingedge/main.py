"""Command line: finds the command to run, reads its settings, and returns its exit code.

All problems with the settings are reported in one list before anything connects.
"""

import argparse
import contextlib
import dataclasses
import errno
import faulthandler
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TextIO

from trailingedge import DISTRIBUTION, VERSION
from trailingedge.app.run_options import SIM_SPEED, RunOptions, SimulationOptions
from trailingedge.commands import setting_flags
from trailingedge.commands.argument_parser import CommandLineParser, command_lines
from trailingedge.config import LoadedSettings, Settings, TradingMode
from trailingedge.config_validator import checked_settings
from trailingedge.console.plain_ui import InteractiveUi
from trailingedge.console.ui_selection import open_ui
from trailingedge.core import plain_characters
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.core.session_log import folder_problems
from trailingedge.logging_config import Logging, setup, under_journald
from trailingedge.notifications.session_heading import heading

logger = logging.getLogger(__name__)

# An import inside a function here serves one command; the others, and the daemon, do not load it.

Run = Callable[[Any, argparse.Namespace], int]


@dataclasses.dataclass(frozen=True, slots=True)
class Subcommand:
    """A command: its purpose for the help text, and its module, imported when the command is used.

    The module adds its options with `add_arguments(parser)`. `run` receives the module and the parsed arguments, and
    returns the exit code.
    """

    purpose: str
    module: str
    run: Run = lambda module, arguments: module.run(arguments)
    add_arguments: Callable[[Any, argparse.ArgumentParser], None] = lambda module, parser: module.add_arguments(parser)


def _with_check_target(module: Any, arguments: argparse.Namespace) -> int:
    from trailingedge.app.environments import open_check_target

    return int(module.run(arguments, open_check_target))


def _with_check_target_and_telegram(module: Any, arguments: argparse.Namespace) -> int:
    from trailingedge.app.environments import open_check_target

    return int(module.run(arguments, open_check_target, _check_telegram, find_chats=_find_chats))


async def _check_telegram(settings: Settings, text: str) -> Mapping[str, str | None]:
    """Send a test message to each chat. Returns the problem by step; None is success."""
    from trailingedge.app.runner import all_chats
    from trailingedge.notifications.telegram_api import BOT_API
    from trailingedge.notifications.telegram_check import send_test_message

    token = settings.telegram_bot_token or ""
    return await send_test_message(token, all_chats(settings), text, base_url=settings.telegram_api_url or BOT_API)


async def _find_chats(settings: Settings) -> Sequence[str]:
    """Return the id and the name of each chat that has written to the bot lately."""
    from trailingedge.notifications.telegram_api import BOT_API
    from trailingedge.notifications.telegram_check import chats_of_bot

    return await chats_of_bot(settings.telegram_bot_token or "", base_url=settings.telegram_api_url or BOT_API)


def _with_version(module: Any, arguments: argparse.Namespace) -> int:
    return int(module.run(arguments, program=VERSION))


def _remote_command(word: str, purpose: str) -> Subcommand:
    return Subcommand(
        purpose,
        "trailingedge.commands.remote_control",
        lambda module, arguments: module.run(word, arguments),
        lambda module, parser: module.add_arguments(parser, word),
    )


COMMANDS: Final[Mapping[str, Subcommand]] = {
    "check": Subcommand(
        "check the settings; --explain lists them all, --online logs on too",
        "trailingedge.commands.check",
        _with_check_target,
    ),
    "doctor": Subcommand(
        "test everything that a start needs; --order also places an order and cancels it",
        "trailingedge.commands.doctor",
        _with_check_target_and_telegram,
    ),
    "keygen": Subcommand("make an Ed25519 key pair", "trailingedge.commands.keygen"),
    "status": _remote_command("status", "show the state of a running daemon"),
    "watch": Subcommand("show a running daemon here, or on a page with --web", "trailingedge.commands.watch"),
    "why": _remote_command("why", "explain why a running daemon sells or buys now, or why not"),
    "balance": _remote_command("balance", "show what the daemon's account holds"),
    "today": _remote_command("today", "show the daemon's trades and result since 00:00 UTC"),
    "daily": _remote_command("daily", "show the daemon's results of the last days"),
    "trades": _remote_command("trades", "show the daemon's last sales and buy-backs"),
    "profit": _remote_command("profit", "show the daemon's result since its start"),
    "flip": _remote_command("flip", "make the daemon sell or buy now, without a trigger"),
    "cancel": _remote_command("cancel", "make the daemon cancel the sale or buy-back in progress"),
    "pause": _remote_command("pause", "pause the daemon: no buy and no take-profit; the hard stop stays active"),
    "resume": _remote_command("resume", "end a pause or a halt of the daemon"),
    "reload": _remote_command("reload", "make the daemon read its settings again; print which were applied"),
    "report": Subcommand(
        "show the results of a session, a backtest or the account: text, JSON, CSV, page",
        "trailingedge.commands.report",
        _with_check_target,
    ),
    "backtest": Subcommand("run the strategy on recorded markets", "trailingedge.commands.backtest"),
    "replay": Subcommand(
        "run a recorded session again, and compare it with its record",
        "trailingedge.commands.replay",
        _with_version,
    ),
    "history": Subcommand("download recorded markets of past days", "trailingedge.commands.history"),
    "sweep": Subcommand(
        "backtest many settings, and test the best on days not used to choose it", "trailingedge.commands.sweep"
    ),
    "exchange": Subcommand("run the embedded exchange by itself", "trailingedge.commands.exchange"),
    "completion": Subcommand(
        "print a script that completes the command line in bash, zsh or fish",
        "trailingedge.commands.completion",
        lambda module, arguments: module.run(
            arguments, run_parser(), {word: (each.purpose, command_parser(word)) for word, each in COMMANDS.items()}
        ),
    ),
    "help": Subcommand(
        "list the commands, or describe one",
        "trailingedge.commands.command_list",
        lambda _, arguments: _help(arguments),
    ),
}

_FORMER_NAMES: Final[Mapping[str, str]] = {"withdraw": "cancel"}  # accepted from older scripts, not listed


def run(argv: Sequence[str] | None = None) -> int:
    """Run the console script. Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    words[:1] = [_FORMER_NAMES.get(word, word) for word in words[:1]]
    for stream in (sys.stdout, sys.stderr):
        plain_characters.make_safe(stream)
    try:
        if words and words[0] in COMMANDS:
            return _run_command(words[0], words[1:])
        if words and not words[0].startswith("-"):
            return _refuse_command(words[0])
        return _run_daemon(run_parser().parse_args(words))
    except ConfigError as wrong:
        _report_problems(wrong, words[0] if words and words[0] in COMMANDS else "")
        return ExitCode.CONFIG
    except BrokenPipeError:  # the reader of our output, `head` for instance, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.OK
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter's own flush at the end would fail again
        print(f"standard output cannot be written ({error.strerror}); nothing more is printed", file=sys.stderr)
        return ExitCode.CONFIG
    except KeyboardInterrupt:  # before there was anything to shut down
        return _interrupted(words)


def _interrupted(words: Sequence[str]) -> ExitCode:
    """Return the exit code after Ctrl-C.

    It is OK for a daemon that had not started yet, and INTERRUPTED for every other command.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # `uv run` delivers the same request twice
    if not words or words[0] not in COMMANDS:
        return ExitCode.OK
    if sys.stderr is not None:
        sys.stderr.write(f"{DISTRIBUTION} {words[0]}: interrupted before it was done\n")
    return ExitCode.INTERRUPTED


def run_parser() -> argparse.ArgumentParser:
    """Return the parser of the daemon's options. Usage errors exit with 2."""
    parser = CommandLineParser(
        prog=DISTRIBUTION,
        description="Trade one Binance spot pair with post-only orders, holding everything in one asset or the "
        "other.\nWithout settings it trades on the embedded exchange, without money.",
        epilog=f"commands, each with its own --help:\n{command_lines(_purposes())}\n\n"
        "A setting comes from the command line, else the environment, else the env file, else its default.\n"
        "`trailing-edge check --explain` lists all settings.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{DISTRIBUTION} {VERSION}")
    setting_flags.add_arguments(parser)
    parser.add_argument(
        "--market",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="sim: trade on these recorded files (Binance's public CSV formats, zipped or not), or on the word sample",
    )
    parser.add_argument(
        "--speed", type=_above_zero, metavar="N", help=f"sim: run the market at up to N times real time ({SIM_SPEED:g})"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="sim: seed of the generated market (0)")
    parser.add_argument("--duration", type=_above_zero, metavar="SEC", help="end after SEC seconds of real time")
    parser.add_argument("--plain", action="store_true", help="print plain lines, without the live panel")
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON on stdout, everything else on stderr"
    )
    return parser


def _purposes() -> Mapping[str, str]:
    return {name: command.purpose for name, command in COMMANDS.items()}


def _refuse_command(word: str) -> ExitCode:
    from trailingedge.commands import command_list

    print(command_list.unknown_command(word, _purposes()), file=sys.stderr)
    return ExitCode.USAGE


def _help(arguments: argparse.Namespace) -> ExitCode:
    """Print the help of the command that the arguments name, or of all commands."""
    word = _FORMER_NAMES.get(arguments.command, arguments.command)
    if word is not None and word not in COMMANDS:
        return _refuse_command(word)
    (run_parser() if word is None else command_parser(word)).print_help()
    return ExitCode.OK


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _run_command(word: str, words: Sequence[str]) -> int:
    command = COMMANDS[word]
    code = command.run(import_module(command.module), command_parser(word).parse_args(words))
    sys.stdout.flush()  # a failure is reported by `run`, not by the interpreter when it exits
    return code


def command_parser(word: str) -> argparse.ArgumentParser:
    """Return the parser of the options of one command."""
    command = COMMANDS[word]
    parser = CommandLineParser(prog=f"{DISTRIBUTION} {word}", description=command.purpose, allow_abbrev=False)
    command.add_arguments(import_module(command.module), parser)
    return parser


def _run_daemon(arguments: argparse.Namespace) -> int:
    if arguments.market:
        from trailingedge.commands.market_history.sample import with_sample

        arguments.market = with_sample(arguments.market)
    try:
        settings, warnings, ignored_lines = _read(
            arguments, ask=input if sys.stdin is not None and sys.stdin.isatty() else None
        )
    except ConfigError as wrong:
        if not setting_flags.has_unknown_setting(arguments):
            raise
        _report_problems(wrong)
        return ExitCode.USAGE
    sim = None
    if settings.trading_mode is TradingMode.SIM:
        from trailingedge.app.embedded_exchange import market_warnings, simulation_source

        source = simulation_source(settings, arguments.market, arguments.seed)
        warnings += market_warnings(source)
        sim = SimulationOptions(source, arguments.speed or SIM_SPEED)
    options = RunOptions(
        settings=settings,
        simulation=sim,
        seed=arguments.seed,
        duration_s=arguments.duration,
        as_json=arguments.json,
        reread_settings=lambda: _read(arguments, ask=None)[0],
        ignored_lines=ignored_lines,
    )
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):  # stderr may be missing
        faulthandler.enable()  # when systemd's watchdog sends SIGABRT, stderr shows where the daemon hung
    out = _output_stream(as_json=arguments.json)
    keys = sys.stdin is not None and sys.stdin.isatty()
    ui = open_ui(
        out, os.environ, heading(settings.trading_mode.value, settings.symbol), plain=arguments.plain, keys=keys
    )
    try:
        log = _open_log(settings, ui, out)
        try:
            for warning in warnings:
                logger.warning("%s", warning)
            from trailingedge.app.bootstrap import run_session

            return run_session(options, ui, log)
        finally:
            log.close()
    finally:
        ui.close()


def _output_stream(*, as_json: bool) -> TextIO:
    """Return the stream for lines of text: stderr with `--json`, else stdout.

    If the process does not have that stream, the lines are dropped.
    """
    stream = sys.stderr if as_json else sys.stdout
    return io.StringIO() if stream is None else stream


def _read(arguments: argparse.Namespace, ask: Callable[[str], str] | None) -> tuple[Settings, list[str], str]:
    """Return the settings, their warnings, and a text on ignored lines of the env file.

    Raises ConfigError with all problems, including those of the key file, the log folder and the market files.
    """
    file_needed = arguments.env_file is not None
    env_file = arguments.env_file or setting_flags.ENV_FILE
    found = setting_flags.load_settings(arguments, os.environ)
    other = [
        *_misplaced_flags(found.settings, arguments),
        *_key_problems(found.settings),
        *folder_problems(found.settings.log_dir),
    ]
    try:
        # With a problem the daemon cannot start, so do not ask for the consent to trade real money either.
        settings, sources, warnings = checked_settings(
            setting_flags.flag_settings(arguments),
            os.environ,
            env_file,
            file_needed=file_needed,
            ask=None if other else ask,
        )
    except ConfigError as wrong:
        raise ConfigError([*wrong.problems, *other, *_market_problems(found, arguments.market)]) from wrong
    if other:
        raise ConfigError([*other, *_market_problems(found, arguments.market)])
    return _of_market(settings, sources, arguments.market), warnings, _ignored_lines(env_file, found.ignored)


def _ignored_lines(env_file: Path, names: Sequence[str]) -> str:
    """Return which lines of the env file are ignored, as the result of a step of the start; "" if none is."""
    lines = "1 line" if len(names) == 1 else f"{len(names)} lines"
    return f"{lines} of {env_file} ignored: {', '.join(names)}" if names else ""


def _misplaced_flags(settings: Settings, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield a problem for each option of the simulated market if the mode is not sim."""
    if settings.trading_mode is TradingMode.SIM:
        return
    for flag, value in (("--market", arguments.market), ("--speed", arguments.speed), ("--seed", arguments.seed)):
        if value is not None:
            mode = settings.trading_mode.value
            yield f"{flag} is for sim, but TRADING_MODE is {mode}; choose --mode sim or leave it out"


def _key_problems(settings: Settings) -> Sequence[str]:
    """Return the problems inside the key file; none if the mode needs no key."""
    if not settings.trading_mode.needs_key:
        return []
    from trailingedge.auth.manager import key_file_problems

    return key_file_problems(settings.binance_ed25519_priv_path, settings.binance_ed25519_api_key or "")


def _market_problems(found: LoadedSettings, files: Sequence[Path] | None) -> Sequence[str]:
    """Return the problems with the market files; none in a mode without market files."""
    if not files or found.settings.trading_mode is not TradingMode.SIM:
        return []
    from trailingedge.app.embedded_exchange import recorded_market

    try:
        recorded_market(found.settings, files, None if found.sources["SYMBOL"] == "default" else found.settings.symbol)
    except ConfigError as wrong:
        return wrong.problems
    return []


def _of_market(settings: Settings, sources: Mapping[str, str], files: Sequence[Path] | None) -> Settings:
    """Return the settings with the symbol that the market files name.

    If SYMBOL is set, or if there are no market files, the settings are returned unchanged.
    """
    if not files or sources["SYMBOL"] != "default":
        return settings
    from trailingedge.app.embedded_exchange import recorded_market

    return dataclasses.replace(settings, symbol=recorded_market(settings, files, symbol=None).symbol)


def _open_log(settings: Settings, ui: InteractiveUi, out: TextIO) -> Logging:
    journald = under_journald(os.environ, out)
    return setup(
        settings.log_dir,
        datetime.now(UTC),
        file_level=settings.log_level_file,
        retention_days=settings.log_retention_days,
        max_mb=settings.log_max_mb,
        console=ui.print_line,
        console_level=settings.log_level_console,
        console_times=not journald,
        console_journal=journald,
        secrets=setting_flags.secret_values(settings),
    )


def _report_problems(wrong: ConfigError, command: str = "") -> None:
    """Print all problems that prevent `command`, or the daemon if there is no command, from running."""
    count = len(wrong.problems)
    found = f"{count} {'problem' if count == 1 else 'problems'}"
    lines = [f"{DISTRIBUTION} {command}: {found}:" if command else f"{found}; nothing was started:"]
    lines += [f"  - {problem}" for problem in wrong.problems]
    if sys.stderr is not None:
        sys.stderr.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    raise SystemExit(run())
