"""Golden sessions: small records of the daemon on the simulated exchange, each from a seed.

The daemon must replay them without a difference. After an intended change of its output, look at the difference that
the test shows, and if it is the intended one, record the sessions again:

    uv run python -m tests.session_replay.golden_sessions

Where only the wording of alerts has changed, put the new texts into the old records. All other lines stay as an
older version wrote them, and go on proving that their format can be read:

    uv run python -m tests.session_replay.golden_sessions --alerts
"""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks.long_day import FAULTS
from tests.simulation.fault_schedule import FaultSchedule
from tests.simulation.simulated_day import simulate

from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.eventlog.format import SUFFIX, FrameSink, encode
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.server import LoopbackExchange

FOLDER: Final = Path(__file__).with_name("golden")
# A short history makes a small file, and few candles a channel that is full.
SETTINGS: Final = Settings(rolling_klines_maxlen=60, donchian_window=20)


def fair(lines: FrameSink) -> None:
    """Half an hour without faults, with operator commands."""

    async def operator(daemon: TradingNode, _: LoopbackExchange, clock: Clock) -> None:
        for instruction in (
            OperatorCommand.WHY,
            OperatorCommand.FLIP,
            OperatorCommand.PAUSE,
            OperatorCommand.RESUME,
            OperatorCommand.FLIP,
        ):
            await clock.sleep(120.0)
            daemon.submit(instruction, source="golden")

    simulate(3, 0.5, settings=SETTINGS, script=operator, lines=lines)


def faulty(lines: FrameSink) -> None:
    """Half an hour with failed requests and with torn, late and repeated frames."""
    simulate(5, 0.5, settings=SETTINGS, faults=FAULTS, lines=lines)


def storm(lines: FrameSink) -> None:
    """Five minutes with lost connections, clock changes and manual trades on the account."""

    async def blow(daemon: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        await clock.sleep(20.0)
        await FaultSchedule(8, daemon, loopback, clock, Random("golden")).run(300.0)

    simulate(8, 0.1, settings=SETTINGS, script=blow, lines=lines)


SESSIONS: Final[Mapping[str, Callable[[FrameSink], None]]] = {each.__name__: each for each in (fair, faulty, storm)}


def path_of(name: str) -> Path:
    return FOLDER / f"{name}{SUFFIX}"


def reword(path: Path, alerts: Iterator[bytes]) -> Path:
    """Replace the alert lines of a record, in their order, and pack the batches again with new sums."""
    with gzip.open(path) as file:
        lines = file.read().splitlines(keepends=True)
    stream, packed, batch = zlib.compressobj(9, wbits=31), b"", b""
    for line in lines:
        if line.startswith(b'["sum",'):
            packed += stream.compress(batch + b'["sum",%d]\n' % zlib.crc32(batch)) + stream.flush(zlib.Z_SYNC_FLUSH)
            batch = b""
        else:
            batch += next(alerts) if line.startswith(b'["alert",') else line
    path.write_bytes(packed + stream.flush())
    return path


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    only_alerts = "--alerts" in sys.argv[1:]
    for name, live in SESSIONS.items():
        notebook = MemoryRecord()
        live(notebook)
        alerts = (encode(entry) for entry in notebook.entries if entry[0] == "alert")
        path = reword(path_of(name), alerts) if only_alerts else notebook.save(path_of(name))
        print(f"{path}: {len(notebook.entries)} lines, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
