"""`trailing-edge sweep`: many settings on recorded markets, and the best of them on days it was not chosen on.

The table goes to stdout, progress to stderr. With --out every trial is kept as it is done: the same command goes
on where it was interrupted. Exit codes: 0, after Ctrl-C too where all was tried already; 2 the command line is wrong
by itself; 78 files or settings are wrong, or an engine is not installed; 130 Ctrl-C before all was tried.
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
from trailingedge.backtest.market_report import add_market_arguments
from trailingedge.commands import cli_errors, setting_flags
from trailingedge.commands.replay import read_settings
from trailingedge.config import OPTIONS, Settings
from trailingedge.core.errors import ConfigError, ExitCode
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
  trailing-edge sweep ETHUSDT-1m-2025-*.zip --vary BUFFER=0.001,0.002,0.004
  trailing-edge sweep ETHUSDT-1m-2025-*.zip --vary START_FACTOR=0.3..0.7 \\
    --vary MIN_FACTOR=0.05..0.2 --random 200 --out tried.jsonl

exit codes:
  0    done
  2    the command line is wrong
  78   files or settings are wrong, or an engine is not installed
  130  interrupted before all was tried
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description, parser.epilog = cli_errors.HelpFormat, _DESCRIPTION, _EXAMPLES
    add_market_arguments(parser.add_argument_group("input"))
    tried = parser.add_argument_group("search")
    tried.add_argument(
        "--vary",
        type=parse_axis,
        action="append",
        required=True,
        metavar="NAME=a,b,c|lo..hi",
        help="values of one setting, or a range for --random; can be repeated",
    )
    tried.add_argument("--random", type=_count, metavar="N", help="try N random combinations instead of all")
    tried.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the random combinations (0)")
    work = parser.add_argument_group("execution")
    work.add_argument("--jobs", type=_count, metavar="J", help="processes (one for each processor)")
    work.add_argument("--engine", choices=tuple(BACKENDS), default="local", help="what runs the processes (local)")
    work.add_argument("--out", type=Path, metavar="FILE", help="keep results in FILE, and continue from there")
    told = parser.add_argument_group("output")
    told.add_argument("--top", type=_count, default=DEFAULT_ROWS, metavar="N", help=f"rows of the table ({SHOWN})")
    told.add_argument("--json", action="store_true", help="print everything as one JSON object")
    setting_flags.add_arguments(parser.add_argument_group("settings", "Those that are not varied."), mode=False)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Try what is not known yet, and judge all of it."""
    try:
        cli_errors.raise_usage_errors(
            cli_errors.stdout_not_allowed({"--out": arguments.out}, "what is done is read there again")
        )
        cli_errors.raise_usage_errors(
            cli_errors.overwritten_inputs({"--out": arguments.out}, [*arguments.files, arguments.env_file])
        )
        return _run(arguments, environ)
    except ConfigError as wrong:
        return cli_errors.print_errors("sweep", wrong, arguments)
    except KeyboardInterrupt:
        print("interrupted while the files were being read: nothing was tried", file=sys.stderr)
        return ExitCode.INTERRUPTED


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    engine = backend_named(arguments.engine)
    settings = _without_secrets(read_settings(arguments, environ))
    tried = build_search_space(arguments.vary, settings, arguments.random, arguments.seed)
    files = tuple(str(path) for path in arguments.files)
    task = TrialTask(
        files, setting_flags.flag_settings(arguments).get("SYMBOL"), settings, arguments.balance, splits=()
    )
    bar = on_stderr()
    bar.show(0.0, "looking through the files")
    with contextlib.ExitStack() as opened:
        opened.callback(bar.close)
        stopped = opened.enter_context(stop_on_ctrl_c())
        with stopped.interrupt_at_once():
            scene = inspect_market(task)
            # What is wrong with it is wrong with every trial.
            standing = build_inputs(scene.market, settings, arguments.balance)
            market = market_fingerprint(arguments.files)
        small = None if scene.price is None else balance_shortage(standing, scene.price)
        if small is not None:
            bar.print_line(f"not {small}")
        cut = split_folds(scene.from_ms, scene.to_ms)
        task = dataclasses.replace(task, splits=cut.splits)
        store = opened.enter_context(contextlib.closing(TrialStore(arguments.out)))
        keys = [trial_key(market, task, combination) for combination in tried.combinations]
        outcomes = _find_known(store, keys)
        found = len(outcomes)
        todo = [each for each in enumerate(tried.combinations) if each[0] not in outcomes]

        def done(number: int, outcome: TrialOutcome) -> None:
            outcomes[number] = outcome
            store.add(keys[number], tried.combinations[number], outcome)
            bar.show(len(outcomes) / len(keys), f"{len(outcomes)} of {len(keys)}")

        bar.show(len(outcomes) / len(keys), f"{len(outcomes)} of {len(keys)}")
        if todo:
            engine(task, todo, arguments.jobs or os.cpu_count() or 1, done, stopped)
    _print_known_count(found, arguments.out)
    if len(outcomes) < len(keys):
        kept = (
            f"kept in {arguments.out}; the same command goes on from there"
            if arguments.out
            else "lost; keep it with --out FILE"
        )
        print(f"interrupted: {len(outcomes)} of {len(keys)} combinations are done and {kept}", file=sys.stderr)
        return ExitCode.INTERRUPTED
    verdict = rank_trials(tried.combinations, dict(sorted(outcomes.items())), cut, tried.invalid)
    gaps = [*([] if small is None else [small]), *data_warnings(scene.market, settings), *scene.market.gaps]
    if arguments.json:
        print(json.dumps(sweep_json(verdict, cut, scene.market, gaps), indent=2, ensure_ascii=False))
    else:
        print(sweep_text(verdict, cut, scene.market, gaps, arguments.top, terminal_width()))
    return ExitCode.OK


def _find_known(store: TrialStore, keys: Sequence[str]) -> dict[int, TrialOutcome]:
    """What earlier runs have left, by number."""
    found = {number: store.find(key) for number, key in enumerate(keys)}
    return {number: outcome for number, outcome in found.items() if outcome is not None}


def _print_known_count(found: int, path: Path | None) -> None:
    if found:
        print(f"{found} combinations were done before, by {path}", file=sys.stderr)


def _without_secrets(settings: Settings) -> Settings:
    """Workers have no use for keys and tokens, wherever they are."""
    secrets = {name.lower(): None for name, option in OPTIONS.items() if option.secret}
    return dataclasses.replace(settings, **secrets)  # type: ignore[arg-type]  # each of them may be None


def _count(words: str) -> int:
    count = int(words) if words.isdecimal() else 0
    if not 1 <= count <= MAX_COMBINATIONS:
        raise argparse.ArgumentTypeError(f"{words} is no number from 1 to {MOST}")
    return count
