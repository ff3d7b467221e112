"""Command `trailing-edge sweep`: backtests many settings, and tests the best on later days.

The best settings are chosen on some days of the market files and tested on later days.

The table goes to stdout, progress to stderr. On request a heat map is written as a page. With --out each result is
stored at once, so the same command continues after an interruption. Exit codes: 0, also after Ctrl-C if all trials were
done; 2 the command line is wrong; 4 the archive of past markets cannot be reached; 78 files or settings are wrong, or
an engine is not installed; 130 Ctrl-C before all trials were done.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from trailingedge.backtest.inputs import BacktestInputs, balance_shortage, data_warnings, require_traded
from trailingedge.backtest.market_choice import chosen_files
from trailingedge.backtest.paths import MOST_PATHS, Scenario
from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.argument_parser import whole_number
from trailingedge.commands.backtest import read_settings, symbol_given
from trailingedge.commands.cli_errors import STDOUT
from trailingedge.commands.market_arguments import add_latency_argument, add_market_arguments
from trailingedge.commands.market_history.named_files import named_files
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode
from trailingedge.report.progress import on_stderr, stop_on_ctrl_c
from trailingedge.report.robustness import Walk
from trailingedge.report.terminal import terminal_width
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.sweep.backends import BACKENDS, backend_named
from trailingedge.sweep.heatmap import heatmap_page
from trailingedge.sweep.json_result import sweep_json
from trailingedge.sweep.objective import Judgement, Objective, PathChoice
from trailingedge.sweep.output import DEFAULT_ROWS, heading_text, method_text, sweep_text
from trailingedge.sweep.ranking import SweepResult, rank_trials
from trailingedge.sweep.search_space import MAX_COMBINATIONS, build_search_space, parse_axis
from trailingedge.sweep.trial import TrialMarket, TrialOutcome, TrialTask, inspect_markets
from trailingedge.sweep.trial_store import TrialStore, market_fingerprint, trial_key
from trailingedge.sweep.walk_forward import Folds, split_folds

_MOST_FOLDS: Final = 100
_MOST_EMBARGO_DAYS: Final = 365
_DESCRIPTION: Final = """\
Backtest many settings on recorded market files. The best is chosen on some days
and tested on later ones; the output says how much of the result may be chance.
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
        help=(
            "values of one setting, or a range for --random (lo..hi:log draws evenly over powers of ten), or the "
            "name of another varied setting, to take its value; can be repeated"
        ),
    )
    search.add_argument("--random", type=_count, metavar="N", help="try N random combinations instead of all")
    search.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the random combinations (0)")
    search.add_argument(
        "--objective",
        type=Objective,
        choices=tuple(Objective),
        default=Objective.EXCESS_5050,
        metavar="NAME",
        help=f"what ranks the combinations: {', '.join(each.value for each in Objective)} "
        f"({Objective.EXCESS_5050.value}, the result less that of half base, half quote); for several markets "
        "their mean; a combination without a defined value ranks last",
    )
    search.add_argument(
        "--folds",
        type=whole_number(1, _MOST_FOLDS),
        metavar="N",
        help="choose and test N times, each on later days (as many as the days allow, up to 4)",
    )
    search.add_argument(
        "--embargo",
        type=whole_number(0, _MOST_EMBARGO_DAYS),
        default=0,
        metavar="DAYS",
        help="days left out between the days to choose on and the days to test on (0)",
    )
    scenario = parser.add_argument_group("assumptions of the backtests")
    scenario.add_argument(
        "--paths",
        type=whole_number(1, MOST_PATHS),
        metavar="N",
        help=(
            "candles: number of random paths within them, for each combination (one straight path, which is the "
            "fastest)"
        ),
    )
    scenario.add_argument(
        "--of",
        type=PathChoice,
        choices=tuple(PathChoice),
        default=PathChoice.MEDIAN,
        metavar="PATH",
        help="which of the paths counts: the median or the worst by the objective (median)",
    )
    add_latency_argument(scenario)
    execution = parser.add_argument_group("execution")
    execution.add_argument("--jobs", type=_count, metavar="J", help="processes (one for each processor)")
    execution.add_argument(
        "--engine", choices=tuple(BACKENDS), default="local", help="engine that runs the processes (local)"
    )
    execution.add_argument("--out", type=Path, metavar="FILE", help="keep results in FILE, and continue from there")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--top", type=_count, default=DEFAULT_ROWS, metavar="N", help=f"rows of the table ({DEFAULT_ROWS})"
    )
    output.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page with a heat map of the first two settings of --vary that are not tied (-: print it)",
    )
    output.add_argument("--json", action="store_true", help="print everything as one JSON object")
    setting_flags.add_arguments(parser.add_argument_group("settings", "Settings that are not varied."), mode=False)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Run the trials that are not stored yet, rank all of them and print the result."""
    try:
        cli_errors.raise_usage_errors(
            cli_errors.stdout_not_allowed({"--out": arguments.out}, "earlier results are read from it")
        )
        cli_errors.raise_usage_errors(_output_problems(arguments))
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
    symbol = symbol_given(arguments, paths)
    groups = chosen_files(paths, symbol)
    walk = Walk.RANDOM if arguments.paths else Walk.STRAIGHT
    task = TrialTask(
        tuple(tuple(map(str, group)) for group in groups),
        symbol,
        settings,
        arguments.balance,
        splits=(),
        scenario=Scenario(walk, arguments.paths or 1, arguments.latency),
    )
    bar.show(0.0, "inspecting the files")
    with contextlib.ExitStack() as opened:
        opened.callback(bar.close)
        stopped = opened.enter_context(stop_on_ctrl_c())
        with stopped.interrupt_at_once():
            inspected = inspect_markets(task)
            markets = [each.market for each in inspected]
            if len(markets) > 1:
                require_traded(arguments.balance, markets)
            # Checked once here: what is wrong with these inputs is wrong with every trial.
            inputs = [task.inputs(market, {}) for market in markets]
            fingerprint = ",".join(map(market_fingerprint, groups))
        shortages = list(_shortages(inspected, inputs))
        if len(shortages) == len(markets):
            raise ConfigError(shortages)
        for shortage in shortages:
            bar.print_line(shortage)
        folds = split_folds(*_common_days(inspected), arguments.folds, arguments.embargo)
        task = dataclasses.replace(task, splits=folds.splits)
        store = opened.enter_context(contextlib.closing(TrialStore(arguments.out)))
        keys = [trial_key(fingerprint, task, combination) for combination in space.combinations]
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
    judgement = Judgement(arguments.objective, arguments.of)
    ordered = dict(sorted(outcomes.items()))
    result = rank_trials(space.combinations, ordered, folds, space.invalid, judgement, space.unchanged_point)
    gaps = [*shortages, *_data_gaps(markets, inputs)]
    if arguments.html is not None:
        _write_heatmap(result, folds, markets, task.scenario, arguments)
    if arguments.json:
        print(json.dumps(sweep_json(result, folds, markets, task.scenario, gaps), indent=2, ensure_ascii=False))
    elif arguments.html != STDOUT:
        print(sweep_text(result, folds, markets, task.scenario, gaps, arguments.top, terminal_width()))
    return ExitCode.OK


def _output_problems(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield an error for outputs that contradict each other, and for each place that cannot be written to."""
    yield from cli_errors.stdout_conflicts({"--json": arguments.json, "--html -": arguments.html == STDOUT})
    written = {"--out": arguments.out, "--html": arguments.html}
    yield from cli_errors.overwritten_inputs(written, [*arguments.files, arguments.env_file])
    if arguments.html is not None and len(_heatmap_axes(arguments)) < 2:
        yield "--html: a heat map needs two settings with values of their own; give a second --vary"


def _heatmap_axes(arguments: argparse.Namespace) -> list[str]:
    return [axis.name for axis in arguments.vary if not axis.tied_to]


def _write_heatmap(
    result: SweepResult,
    folds: Folds,
    markets: Sequence[RecordedMarket],
    scenario: Scenario,
    arguments: argparse.Namespace,
) -> None:
    names = _heatmap_axes(arguments)
    page = heatmap_page(
        result,
        (names[0], names[1]),
        ", ".join(market.symbol for market in markets),
        method_text(result.judgement, scenario, markets),
        heading_text(folds, result.last).partition(";")[0],
    )
    cli_errors.write_output(page, "--html", arguments.html, f"page: {arguments.html.absolute().as_uri()}")


def _shortages(inspected: Sequence[TrialMarket], inputs: Sequence[BacktestInputs]) -> Iterator[str]:
    """Yield a sentence for each market whose account is too small for an order."""
    for each, its_inputs in zip(inspected, inputs, strict=True):
        shortage = None if each.price is None else balance_shortage(its_inputs, each.price)
        if shortage is not None:
            yield _of_market(each.market, shortage, len(inspected))


def _data_gaps(markets: Sequence[RecordedMarket], inputs: Sequence[BacktestInputs]) -> Iterator[str]:
    """Yield a sentence for each defect of the market data."""
    for market, its_inputs in zip(markets, inputs, strict=True):
        for gap in (*data_warnings(market, its_inputs.params.services.kline_interval), *market.gaps):
            yield _of_market(market, gap, len(markets))


def _of_market(market: RecordedMarket, text: str, count: int) -> str:
    return text if count == 1 else f"{market.symbol}: {text}"


def _common_days(inspected: Sequence[TrialMarket]) -> tuple[int, int]:
    """Return start and end of the time for which all markets have data. The folds lie within it. Raises ConfigError."""
    from_ms, to_ms = max(each.from_ms for each in inspected), min(each.to_ms for each in inspected)
    if from_ms >= to_ms and len(inspected) > 1:
        raise ConfigError(["the markets have no days in common; give files of the same days"])
    return from_ms, to_ms


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
