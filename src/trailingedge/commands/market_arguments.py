"""Arguments of the commands that take market files: `replay` and `sweep`."""

from pathlib import Path
from typing import Final

from trailingedge.commands.setting_flags import Arguments
from trailingedge.simulator.amount_arguments import parse_balances, parse_fraction

_FILES_HELP: Final = (
    "market files in Binance's public CSV layouts (klines, trades, aggTrades, bookTicker), zipped or not"
)


def add_market_arguments(parser: Arguments, *, others: str = "", alone: str = "") -> None:
    """Add the arguments for market files, starting balances and fee.

    `others` is appended to the help of the files, and says what else they may be. `alone` begins
    the help of options that are only for market files.
    """
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=f"{_FILES_HELP}{others}")
    parser.add_argument(
        "--balance",
        type=parse_balances,
        metavar="ASSET=AMOUNT,…",
        help=f"{alone}starting balances (1 of the base asset)",
    )
    parser.add_argument(
        "--fee", type=parse_fraction, metavar="F", help="maker fee as a fraction; the same as --set FEE=F"
    )
