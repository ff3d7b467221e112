"""Arguments of the commands that need market files: `backtest` and `sweep`, which read them, and `history`, which
fetches them.
"""

from pathlib import Path
from typing import Final

from trailingedge.backtest.paths import DEFAULT_LATENCY_MS, MOST_LATENCY_MS
from trailingedge.commands.argument_parser import whole_number
from trailingedge.commands.market_history.history_span import parse_day
from trailingedge.commands.market_history.sample import SAMPLE
from trailingedge.commands.setting_flags import Arguments
from trailingedge.config import OPTIONS
from trailingedge.simulator.amount_arguments import parse_balances, parse_fraction
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

_FILES_HELP: Final = (
    "market files in Binance's public CSV layouts (klines, trades, aggTrades, bookTicker), zipped or not; "
    f"a symbol, with --from and --to; or the word {SAMPLE}, a simulated market of two days"
)


def add_market_arguments(parser: Arguments) -> None:
    """Add the arguments for market files, starting balances and fee."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=_FILES_HELP)
    add_span_arguments(parser, required=False, alone="with a symbol: ")
    parser.add_argument(
        "--balance",
        type=parse_balances,
        metavar="ASSET=AMOUNT,…",
        help="starting balances (1 of the base asset)",
    )
    parser.add_argument(
        "--fee", type=parse_fraction, metavar="F", help="maker fee as a fraction; the same as --set FEE=F"
    )


def add_span_arguments(parser: Arguments, *, required: bool, alone: str = "") -> None:
    """Add the arguments that say which days of which kind of market are wanted, and where their files are kept.

    The help text of each argument begins with `alone`, a text that says in which case the argument is allowed.
    """
    parser.add_argument(
        "--from",
        dest="begin",
        type=parse_day,
        required=required,
        metavar="DATE",
        help=f"{alone}first day, as 2025-06-02, UTC",
    )
    parser.add_argument("--to", dest="end", type=parse_day, required=required, metavar="DATE", help=f"{alone}last day")
    intervals, kinds = OPTIONS["KLINE_INTERVAL"].choices, [schema.value for schema in CsvSchema]
    parser.add_argument(
        "--interval", choices=intervals, metavar="I", help=f"{alone}length of the klines, 1s to 1d (1m)"
    )
    parser.add_argument("--kind", choices=kinds, help=f"{alone}kind of market data (klines)")
    parser.add_argument("--dir", type=Path, metavar="DIR", help=f"{alone}folder of the files (history)")


def add_latency_argument(parser: Arguments) -> None:
    """Add the argument for the latency of a backtest."""
    parser.add_argument(
        "--latency",
        type=whole_number(0, MOST_LATENCY_MS),
        default=DEFAULT_LATENCY_MS,
        metavar="MS",
        help=f"milliseconds from the exchange to us, and the same from us to the exchange ({DEFAULT_LATENCY_MS})",
    )
