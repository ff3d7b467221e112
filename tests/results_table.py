"""The table of results in the README: backtests of recorded days with both sets of settings and both fees.

    uv run python -m tests.results_table FILE...

Each run is a plain `trailing-edge backtest`: the median of 16 paths within the candles, with its band.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests import processes
from tests.tight_settings import TIGHT_ARGV

from trailingedge.notifications.event_messages import percent

SETTINGS: Final[Mapping[str, Sequence[str]]] = {"default": (), "tight": TIGHT_ARGV}
TIMEOUT_S: Final = 600.0
FEES: Final = ("0", "0.001")
HEAD: Final = (
    "| days | settings | fee | exits | hard stops | result | deepest drawdown | holding {base} | half of each |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def backtest(files: Sequence[str], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the JSON of one backtest."""
    command = [sys.executable, "-m", "trailingedge", "backtest", *files, "--json", *arguments]
    found: dict[str, Any] = json.loads(processes.run(command, check=True, text=True, timeout=TIMEOUT_S).stdout)
    return found


def row(result: Mapping[str, Any], settings: str, fee: str) -> str:
    """Return one row of the table."""
    totals, sure = result["totals"], result["robustness"]
    median, low, high = (sure[name] for name in ("median", "p5", "p95"))
    days = f"{result['from'][:10]} to {result['to'][5:10]} ({len(result['metrics']['days'])})"
    band = f"{percent(median['result_frac'])} ({percent(low['result_frac'])} to {percent(high['result_frac'])})"
    figures = f"{median['exits']:g} | {median['hard_stops']:g} | {band} | {percent(-median['max_drawdown_frac'])}"
    held = f"{percent(totals['hold_base_frac'])} | {percent(totals['hold_half_frac'])}"
    return f"| {days} | {settings} | {float(fee) * 100:g} % | {figures} | {held} |"


def main(files: Sequence[str]) -> None:
    """Print the table for these files, which are of one market and without holes."""
    print(HEAD.format(base="base"))
    for name, arguments in SETTINGS.items():
        for fee in FEES:
            print(row(backtest(files, [*arguments, "--fee", fee]), name, fee), flush=True)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("give the files of one market: python -m tests.results_table FILE...")
    main(sys.argv[1:])
