"""Command `trailing-edge sweep`: backtests many settings, and judges the best on other days.

The best settings are chosen on some days of the market files and judged on later ones.

The table goes to stdout, progress to stderr. With --out each result is stored at once, so the same command continues
after an interruption. Exit codes: 0, also after Ctrl-C if all trials were done; 2 the command line is wrong; 4 the
archive of past markets cannot be reached; 78 files or settings are wrong, or an engine is not installed; 130 Ctrl-C
before all trials were done.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trailingedge.backtest.inputs import balance_shortage, build_inputs, data_warnings
from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.backtest import read_settings
from trailingedge.commands.market_arguments import add_market_arguments
from trailingedge.commands.market_history.named_files import named_files
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode
from trailingedge.report.progress import on_stderr, stop_on_ctrl_c
from trailingedge.report.terminal import terminal_width
from trailingedge.sweep.backends import BACKENDS, backend_named
from trailingedge.sweep.output import DEFAULT_ROWS, sweep_json, sweep_text
from trailingedge.sweep.ranking import rank_trials
from trailingedge.sweep.search_space import MAX_COMBINATIONS, build_search_space, parse_axis
from trailingedge.sweep.trial import TrialOutcome, TrialTask, inspect_market
from trailingedge.sweep.trial_store import TrialStore, market_fingerprint, trial_key
from trailingedge.sweep.walk_forward import split_folds

_DESCRIPTION: Final = """\
Backtest many settings on recorded market files. The best is chosen on some days
and judged on later ones; the output says how far the search itself explains it.
"""
_EXAMPLES: Final = """\
examples:
  trailing-edge sweep sample --vary BUFFER=0.001,0.002,0.004
  trailing-edge sweep ETHUSDT --from 2025-06-02 --to 2025-06-15 \\
    --vary BUFFER=0.001,0.002,0.004
  trailing-edge sweep ETHUSDT-1m-2025-*.zip --vary START_FACTOR=0.3..0.7 \\
    --vary MIN_FACTOR=0.05..0.2 --random 200 --out tried.jsonl
  trailing-edge sweep sample --vary MIN_GAIN_TRIGGER_FRAC_BASE=0.01,0.02,0.04 \\
    --vary MIN_GAIN_TRIGGER_FRAC_QUOTE=MIN_GAIN_TRIGGER_FRAC_BASE

exit codes:
  0    done
  2    the command line is wrong
  4    the archive of past markets cannot be reached
  78   files or settings are wrong, or an engine is not installed
  130  interrupted before all was tried
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    add_market_arguments(parser.add_argument_group("input"))
    search = parser.add_argument_group("search")
    search.add_argument(
        "--vary",
        type=parse_axis,
        action="append",
        required=True,
        metavar="NAME=a,b,c|lo..hi|OTHER",
        help="values of one setting, or a range for --random (lo..hi:log draws factors, for a range of several "
        "powers of ten), or another varied setting, whose value it takes; can be repeated",
    )
    search.add_argument("--random", type=_count, metavar="N", help="try N random combinations instead of all")
    search.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the random combinations (0)")
    execution = parser.add_argument_group("execution")
    execution.add_argument("--jobs", type=_count, metavar="J", help="processes (one for each processor)")
    execution.add_argument("--engine", choices=tuple(BACKENDS), default="local", help="what runs the processes (local)")
    execution.add_argument("--out", type=Path, metavar="FILE", help="keep results in FILE, and continue from there")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--top", type=_count, default=DEFAULT_ROWS, metavar="N", help=f"rows of the table ({DEFAULT_ROWS})"
    )
    output.add_argument("--json", action="store_true", help="print everything as one JSON object")
    setting_flags.add_arguments(parser.add_argument_group("settings", "Those that are not varied."), mode=False)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Run the trials that are not stored yet, rank all of them and print the result."""
    try:
        cli_errors.raise_usage_errors(
            cli_errors.stdout_not_allowed({"--out": arguments.out}, "earlier results are read from it")
        )
        cli_errors.raise_usage_errors(
            cli_errors.overwritten_inputs({"--out": arguments.out}, [*arguments.files, arguments.env_file])
        )
        return _run(arguments, environ)
    except ConfigError as error:
        return cli_errors.print_errors("sweep", error, arguments)
    except ExchangeUnreachable as error:
        return cli_errors.print_unreachable(error)
    except KeyboardInterrupt:
        print("interrupted before the first trial", file=sys.stderr)
        return ExitCode.INTERRUPTED


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    engine = backend_named(arguments.engine)
    settings = read_settings(arguments, environ)
    space = build_search_space(arguments.vary, settings, arguments.random, arguments.seed)
    bar = on_stderr()
    paths = named_files(arguments, settings["BINANCE_ARCHIVE_URL"], bar)
    files = tuple(map(str, paths))
    task = TrialTask(
        files, setting_flags.flag_settings(arguments).get("SYMBOL"), settings, arguments.balance, splits=()
    )
    bar.show(0.0, "inspecting the files")
    with contextlib.ExitStack() as opened:
        opened.callback(bar.close)
        stopped = opened.enter_context(stop_on_ctrl_c())
        with stopped.interrupt_at_once():
            inspected = inspect_market(task)
            # Checked once here: what is wrong with these inputs is wrong with every trial.
            inputs = build_inputs(inspected.market, settings, arguments.balance)
            market = market_fingerprint(paths)
        shortage = None if inspected.price is None else balance_shortage(inputs, inspected.price)
        if shortage is not None:
            bar.print_line(shortage)
        folds = split_folds(inspected.from_ms, inspected.to_ms)
        task = dataclasses.replace(task, splits=folds.splits)
        store = opened.enter_context(contextlib.closing(TrialStore(arguments.out)))
        keys = [trial_key(market, task, combination) for combination in space.combinations]
        outcomes = _find_known(store, keys)
        known_count = len(outcomes)
        todo = [each for each in enumerate(space.combinations) if each[0] not in outcomes]

        def done(number: int, outcome: TrialOutcome) -> None:
            outcomes[number] = outcome
            store.add(keys[number], space.combinations[number], outcome)
            bar.show(len(outcomes) / len(keys), f"{len(outcomes)} of {len(keys)}")

        bar.show(len(outcomes) / len(keys), f"{len(outcomes)} of {len(keys)}")
        if todo:
            engine(task, todo, arguments.jobs or os.cpu_count() or 1, done, stopped)
    _print_known_count(known_count, arguments.out)
    if len(outcomes) < len(keys):
        stored = (
            f"stored in {arguments.out}; the same command continues there"
            if arguments.out
            else "lost; store results with --out FILE"
        )
        print(f"interrupted: {len(outcomes)} of {len(keys)} combinations are done and {stored}", file=sys.stderr)
        return ExitCode.INTERRUPTED
    result = rank_trials(space.combinations, dict(sorted(outcomes.items())), folds, space.invalid)
    gaps = [
        *([] if shortage is None else [shortage]),
        *data_warnings(inspected.market, inputs.params.services.kline_interval),
        *inspected.market.gaps,
    ]
    if arguments.json:
        print(json.dumps(sweep_json(result, folds, inspected.market, gaps), indent=2, ensure_ascii=False))
    else:
        print(sweep_text(result, folds, inspected.market, gaps, arguments.top, terminal_width()))
    return ExitCode.OK


def _find_known(store: TrialStore, keys: Sequence[str]) -> dict[int, TrialOutcome]:
    """Return the stored results of earlier runs, by the number of their combination."""
    found = {number: store.find(key) for number, key in enumerate(keys)}
    return {number: outcome for number, outcome in found.items() if outcome is not None}


def _print_known_count(found: int, path: Path | None) -> None:
    if found:
        print(f"{found} combinations were done before, read from {path}", file=sys.stderr)


def _count(words: str) -> int:
    count = int(words) if words.isdecimal() else 0
    if not 1 <= count <= MAX_COMBINATIONS:
        raise argparse.ArgumentTypeError(f"{words} is not a number from 1 to {MAX_COMBINATIONS}")
    return count
