"""The sample market of the package: two days of one-minute klines that the simulator made, under the name SIMUSDT.

    python -m tests.sample_market

writes its files again, with the same content on every Python. The symbol does not exist at the exchange, so that nobody
takes the results for those of a real market. The seed was chosen so that the results do not look better than they are:
with an 8 % stop on a channel of quarter hours, three of four exits win, and the two days lose 12 % (the simulator's
markets turn back more often than real ones, and most seeds gain).
"""

from collections.abc import Iterator
from datetime import date
from itertools import takewhile
from typing import Final

from trailingedge.commands.market_history.history_span import days_between, start_ms
from trailingedge.commands.market_history.kline_download import zipped_klines
from trailingedge.commands.market_history.sample import SAMPLE_FOLDER
from trailingedge.core.time_units import DAY_MS
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.klines import Interval, Klines, kline_row_json

SEED: Final = 14
DAYS: Final = days_between(date(2026, 1, 1), date(2026, 1, 2))
_MINUTE: Final = Interval("1m")


def sample() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of the sample."""
    end_ms = start_ms(DAYS[-1]) + DAY_MS
    market = GeneratedMarket(SEED, start_ms(DAYS[0]), "SIMUSDT", "SIM", "USDT", scripted=False, history_minutes=0)
    klines = Klines()
    for tick in takewhile(lambda tick: tick.time_ms < end_ms, market):
        klines.on_tick(tick)
    for day in DAYS:
        bars = klines.rows(_MINUTE, start_ms(day), start_ms(day) + DAY_MS - 1, limit=DAY_MS)
        name = f"SIMUSDT-1m-{day}"
        yield f"{name}.zip", zipped_klines(name, [tuple(map(str, kline_row_json(bar, _MINUTE))) for bar in bars], day)


def main() -> None:
    """Write the files into the package."""
    SAMPLE_FOLDER.mkdir(exist_ok=True)
    for name, content in sample():
        (SAMPLE_FOLDER / name).write_bytes(content)
        print(f"{SAMPLE_FOLDER / name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
