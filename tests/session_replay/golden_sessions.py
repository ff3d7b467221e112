"""Golden sessions: small records of the daemon on the simulated exchange, each from a seed.

They are exactly what this program writes, and it must replay them without a difference. After an intended change of its
output, look at the difference that the test shows, and if it is the intended one, record the sessions again:

    uv run python -m tests.session_replay.golden_sessions
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks.long_day import FAULTS
from tests.simulation.fault_schedule import FaultSchedule
from tests.simulation.simulated_day import simulate
from tests.tight_settings import tight

from trailingedge.core.clock import Clock
from trailingedge.eventlog.format import SUFFIX, LineSink
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.server import LoopbackExchange

FOLDER: Final = Path(__file__).with_name("golden")
# A short history makes a small file, and few candles a channel that is full.
SETTINGS: Final = tight(rolling_klines_maxlen=60, donchian_window=20)


def fair(lines: LineSink) -> None:
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
            daemon.submit(instruction)

    simulate(3, 0.5, settings=SETTINGS, script=operator, lines=lines)


def faulty(lines: LineSink) -> None:
    """Half an hour with failed requests and with torn, late and repeated frames."""
    simulate(5, 0.5, settings=SETTINGS, faults=FAULTS, lines=lines)


def storm(lines: LineSink) -> None:
    """Five minutes with lost connections, clock changes and manual trades on the account."""

    async def blow(daemon: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        await clock.sleep(20.0)
        await FaultSchedule(8, daemon, loopback, clock, Random("golden")).run(300.0)

    simulate(8, 0.1, settings=SETTINGS, script=blow, lines=lines)


SESSIONS: Final[Mapping[str, Callable[[LineSink], None]]] = {each.__name__: each for each in (fair, faulty, storm)}


def path_of(name: str) -> Path:
    return FOLDER / f"{name}{SUFFIX}"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, live in SESSIONS.items():
        notebook = MemoryRecord()
        live(notebook)
        path_of(name).unlink(missing_ok=True)
        path = notebook.save(path_of(name))
        print(f"{path}: {len(notebook.entries)} entries, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
