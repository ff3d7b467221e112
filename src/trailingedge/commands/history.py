"""Command `trailing-edge history`: downloads recorded markets from Binance's public archive or WebSocket API.

The outcome goes to stdout as text or JSON, progress to stderr. Exit codes: 0 done, even if the source has no file for
some days; 2 the command line is wrong; 4 the archive or the exchange cannot be reached, or files failed; 78 settings,
symbol or folder are wrong; 130 Ctrl-C. However it ended, running the same command again continues with the files that
are there.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import Final

from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.market_arguments import add_span_arguments
from trailingedge.commands.market_history.fetch import HistorySource, fetch_history
from trailingedge.commands.market_history.fetched_history import FetchedHistory
from trailingedge.commands.market_history.history_span import parse_symbol
from trailingedge.commands.market_history.named_files import folder_named, span_named, span_problems
from trailingedge.config import ARCHIVE_URL, endpoints
from trailingedge.config_validator import problems
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode
from trailingedge.report.progress import on_stderr
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

_DESCRIPTION: Final = """\
Bring recorded markets of past days into a folder, each file verified by its
checksum. What is there is kept, so the same command continues after any end.
"""
_EXAMPLES: Final = """\
examples:
  trailing-edge history ETHUSDT --from 2025-06-02 --to 2025-06-15
  trailing-edge history ETHUSDT --from 2025-06-02 --to 2025-06-02 --kind trades
  trailing-edge history ETHUSDT --from 2025-06-02 --to 2025-06-15 --source api

exit codes:
  0    done; days that the source does not have are listed
  2    the command line is wrong
  4    archive or exchange cannot be reached, or some files failed
  78   settings, symbol or folder are wrong
  130  interrupted; the same command continues
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    parser.add_argument("symbol_wanted", type=parse_symbol, metavar="SYMBOL", help="the pair, such as ETHUSDT")
    add_span_arguments(parser, required=True)
    parser.add_argument(
        "--source",
        choices=("archive", "api"),
        default="archive",
        help="archive: files of data.binance.vision; api: klines from the WebSocket API, without a key (archive)",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    setting_flags.add_arguments(
        parser.add_argument_group("settings", "BINANCE_ARCHIVE_URL and BINANCE_WS_API_URL name other servers."),
        mode=False,
        symbol=False,
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Fetch the missing files, and print which files are there afterwards."""
    try:
        span, folder = span_named(arguments, arguments.symbol_wanted), folder_named(arguments)
        wrong = list(span_problems(arguments))
        if arguments.source == "api" and span.kind is not CsvSchema.KLINES:
            wrong.append(f"--source api has klines only, not --kind {span.kind.value}; leave --source out")
        cli_errors.raise_usage_errors(wrong)
        history = fetch_history(span, folder, _source(arguments, environ), on_stderr())
        gaps = history.gaps()
    except ConfigError as error:
        return cli_errors.print_errors("history", error, arguments)
    except ExchangeUnreachable as error:
        return cli_errors.print_unreachable(error)
    except KeyboardInterrupt:
        print(f"interrupted; the same command continues with what is in {folder_named(arguments)}", file=sys.stderr)
        return ExitCode.INTERRUPTED
    _print(history, gaps, as_json=arguments.json)
    return ExitCode.UNREACHABLE if history.failed else ExitCode.OK


def _source(arguments: argparse.Namespace, environ: Mapping[str, str]) -> HistorySource:
    """Return where to fetch from. Raises ConfigError if a setting is wrong.

    The mode is always PAPER: it reads public market data and needs no key, and its addresses are checked.
    """
    arguments.assignments = [*arguments.assignments, ("TRADING_MODE", "paper")]
    loaded = setting_flags.load_settings(arguments, environ)
    found = [*loaded.problems, *problems(loaded.settings, loaded.sources, loaded.unread)]
    if found:
        raise ConfigError([*found, *loaded.warnings])
    public = endpoints(loaded.settings)
    return HistorySource(
        loaded.settings.binance_archive_url or ARCHIVE_URL,
        public.ws_api_url if public is not None and arguments.source == "api" else None,
    )


def _print(history: FetchedHistory, gaps: list[str], *, as_json: bool) -> None:
    print(json.dumps(history.json(gaps), indent=2, ensure_ascii=False) if as_json else history.text(gaps))
