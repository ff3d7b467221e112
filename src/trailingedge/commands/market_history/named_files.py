"""Named files: the market files that a command line names, directly, by a symbol with days, or as the sample."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from trailingedge.commands.market_history.fetch import HistorySource, fetch_history
from trailingedge.commands.market_history.history_span import HistorySpan, span_problem, symbol_problem
from trailingedge.commands.market_history.sample import with_sample
from trailingedge.config import ARCHIVE_URL
from trailingedge.core.errors import ExchangeUnreachable, UsageError
from trailingedge.report.progress import ProgressBar
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

USUAL_FOLDER: Final = Path("history")
_NEEDS_DAYS: Final = "is for a symbol with --from and --to; leave it out for files"


def named_files(arguments: argparse.Namespace, archive_url: str, bar: ProgressBar) -> list[Path]:
    """Return the market files that `arguments` name, after fetching those that are missing.

    With --from and --to, `arguments.files` are symbols. Without these flags they are paths, and the word `sample` means
    the files of the sample. Days without a file are reported on stderr. Raises ConfigError, ExchangeUnreachable and
    KeyboardInterrupt.
    """
    words: Sequence[Path] = arguments.files
    if arguments.begin is None and arguments.end is None:
        given = {"--interval": arguments.interval, "--kind": arguments.kind, "--dir": arguments.dir}
        if wrong := [f"{flag} {_NEEDS_DAYS}" for flag, value in given.items() if value is not None]:
            raise UsageError(wrong)
        return with_sample(words)
    if arguments.begin is None or arguments.end is None:
        raise UsageError(["--from and --to go together; give the first day and the last"])
    wrong = list(filter(None, [*span_problems(arguments), *(_not_a_symbol(word) for word in words)]))
    if wrong:
        raise UsageError(wrong)
    source = HistorySource(archive_url or ARCHIVE_URL)
    return [path for word in words for path in _fetched(arguments, str(word).upper(), source, bar)]


def span_problems(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield a text for each problem of the flags of `market_arguments.add_span_arguments`."""
    problem = span_problem(arguments.begin, arguments.end)
    if problem is not None:
        yield problem
    if arguments.interval is not None and arguments.kind not in (None, CsvSchema.KLINES.value):
        yield f"--interval {arguments.interval} is for klines, not for --kind {arguments.kind}; leave one out"


def span_named(arguments: argparse.Namespace, symbol: str) -> HistorySpan:
    """Return the span that the flags of `market_arguments.add_span_arguments` name."""
    kind = CsvSchema(arguments.kind or CsvSchema.KLINES.value)
    return HistorySpan(symbol, kind, arguments.interval or "1m", arguments.begin, arguments.end)


def folder_named(arguments: argparse.Namespace) -> Path:
    """Return the folder that --dir names."""
    return arguments.dir or USUAL_FOLDER


def _not_a_symbol(word: Path) -> str | None:
    if word.is_file():
        return f"{word} is a file; with --from and --to give a symbol, such as ETHUSDT"
    return symbol_problem(str(word))


def _fetched(arguments: argparse.Namespace, symbol: str, source: HistorySource, bar: ProgressBar) -> list[Path]:
    history = fetch_history(span_named(arguments, symbol), folder_named(arguments), source, bar)
    for line in history.missing_text():
        print(f"{symbol}: {line}", file=sys.stderr)
    if history.failed:
        failed = f"{symbol}: {len(history.failed)} of {len(history.outcomes)} files could not be fetched"
        raise ExchangeUnreachable(f"{failed}; run the same command again, or choose days without them")
    return history.files
