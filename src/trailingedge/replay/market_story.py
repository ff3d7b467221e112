"""The story of recorded markets: what is asked for on a command line, and what comes of it."""

import gc
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from trailingedge.config import Settings
from trailingedge.replay.ground import doubts, ground, open_files
from trailingedge.replay.progress import Bar, ctrl_c_heeded
from trailingedge.replay.reading import columns_of
from trailingedge.replay.run import Replay
from trailingedge.report.story import Story
from trailingedge.results import shown_settings
from trailingedge.simulator.amounts import balances, fraction

_RARELY: Final = 50_000  # new objects between two collections
_FILES_HELP: Final = (
    "market files in Binance's public CSV layouts (klines, trades, aggTrades, bookTicker), zipped or not"
)


class Arguments(Protocol):
    """A parser, or one of its groups."""

    def add_argument(self, *names: str, **options: Any) -> Any: ...


def add_market_arguments(parser: Arguments, *, others: str = "", alone: str = "") -> None:
    """Which market, from which balances, at which fee.

    `others` says what else the files may be, and `alone` what to write before flags that are for markets alone.
    """
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=f"{_FILES_HELP}{others}")
    parser.add_argument(
        "--balance", type=balances, metavar="ASSET=AMOUNT,…", help=f"{alone}what the account owns (1 of the base asset)"
    )
    parser.add_argument("--fee", type=fraction, metavar="F", help="maker fee as a fraction; the same as --set FEE=F")


def story_of_market(
    files: Sequence[Path], settings: Settings, symbol: str | None, held: Mapping[str, Decimal] | None, bar: Bar
) -> tuple[Story, str | None]:
    """The story of it, to its end or until Ctrl-C; and why it was halted, if it was.

    Raises ConfigError, and KeyboardInterrupt where Ctrl-C came before there was anything to tell.
    """
    bar.show(0.0, "looking through the files")
    with ctrl_c_heeded() as stopped:
        with stopped.heeded_at_once():
            market = open_files(files, settings, symbol=symbol)
            standing = ground(market, settings, held)
        replay = Replay(standing, stopped=stopped)
        gc.freeze()  # nothing of what is there by now will ever be garbage, and little of what comes
        gc.set_threshold(_RARELY)
        replay.run(columns_of(market, lambda share: bar.show(share, _moment(replay.time_ms))))
        gaps = [*market.gaps, *doubts(market, standing.settings)]
        if stopped() and not replay.time_ms:
            raise KeyboardInterrupt
        if stopped():
            gaps.append(f"stopped at {_moment(replay.time_ms)}; what came after it was not replayed")
        if replay.trader.memory.funded is False:
            gaps.append("in the end too little was held to make an order; give more with --balance")
    return replay.chronicle.story(shown_settings(standing.settings), tuple(gaps)), replay.ended_because


def _moment(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
