"""Bootstrap: a run imports only what its mode uses, and dials before it imports the rest."""

import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
from tests import processes
from tests.benchmarks import measured_processes
from tests.benchmarks.exchange_process import BenchmarkExchange
from tests.test_main import key_file

from trailingedge import DISTRIBUTION, VERSION
from trailingedge.auth.signing_process import load_key

# What only other modes and other words on the command line have a use for.
OF_OTHERS: Final = (
    "trailingedge.simulator",
    "trailingedge.live.paper_exchange",
    "trailingedge.app.embedded_exchange",
    "trailingedge.commands.",
    "trailingedge.console.live_ui",
    "trailingedge.notifications.telegram",
    "httpx",
    "dotenv",
    "cryptography",
    "websockets.asyncio.server",
)
SHARED: Final = {
    "trailingedge.commands.argument_parser",
    "trailingedge.commands.setting_flags",
    "trailingedge.commands.checks",
    "trailingedge.commands.checks.check_target",
    "trailingedge.model.market_names",  # a few lines, which the check of the settings needs
    "trailingedge.notifications.telegram_loader",  # loads the others only where there is a bot
}
# What can wait until the first requests are on their way.
FOR_LATER: Final = (
    "trailingedge.model.market",
    "trailingedge.app.runner",
    "trailingedge.live.trading_node",
    "trailingedge.execution",
    "trailingedge.notifications.event_messages",
    "trailingedge.websocket.event_parser",
)
RUN: Final = "from trailingedge import main; code = main.run(['--plain']); import sys; print(code, *sys.modules)"


def among(loaded: list[str], names: tuple[str, ...]) -> list[str]:
    return [module for module in loaded if module.startswith(names) and module not in SHARED]


def loaded_by(statement: str) -> list[str]:
    """What a process has loaded after `statement`."""
    told = [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"]
    return str(processes.run(told, text=True, check=True).stdout).split()


def test_before_the_dial_little_is_loaded() -> None:
    loaded = loaded_by("import trailingedge.main, trailingedge.app.bootstrap")
    assert "trailingedge.websocket.socket_dialer" in loaded
    assert among(loaded, (*OF_OTHERS, *FOR_LATER)) == []


async def test_a_run_with_a_key_loads_nothing_of_other_modes_and_commands(tmp_path: Path) -> None:
    async with (
        BenchmarkExchange() as venue,
        processes.started_async(
            [sys.executable, "-c", RUN],
            stdin=DEVNULL,
            stdout=PIPE,
            cwd=tmp_path,
            env=processes.environment(venue.settings(key_file(tmp_path / "key.pem"))),
        ) as process,
    ):
        ready = processes.line_in(tmp_path / "logs" / "latest.log", "ready: ")
        await processes.wait_until_async(lambda: ready() or process.returncode is not None)
        process.send_signal(signal.SIGTERM)
        out, _ = await process.communicate()
    *said, last = out.decode().splitlines()
    code, *loaded = last.split()
    assert code == "0", said
    assert any("ready: testnet ETHFDUSD" in line for line in said), said
    assert "trailingedge.live.trading_node" in loaded
    assert among(loaded, OF_OTHERS) == []


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no memory to look into")
async def test_neither_the_key_nor_the_library_that_signs_is_in_the_memory_of_what_trades(tmp_path: Path) -> None:
    async with measured_processes.daemon(tmp_path, chasing=False) as daemon:
        maps, memory = memory_of(daemon.process.pid)
    letters, seed = key_below(tmp_path)
    assert "cryptography" not in maps
    assert b"benchmark" in memory  # the API key: what is there is seen
    assert letters not in memory
    assert seed not in memory


def key_below(folder: Path) -> tuple[bytes, bytes]:
    """What is a key's own in its file, and in a memory."""
    (path,) = folder.rglob("*.pem")
    return path.read_bytes().splitlines()[1][-42:], load_key(str(path)).private_bytes_raw()


def memory_of(pid: int) -> tuple[str, bytes]:
    """What is mapped, by name, and all that can be written to."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps.splitlines():
            where, mode, *_ = line.split()
            if mode.startswith("rw"):
                begin, end = (int(address, 16) for address in where.split("-"))
                with contextlib.suppress(OSError):  # it was given back meanwhile
                    memory.seek(begin)
                    found.append(memory.read(end - begin))
    return maps, b"".join(found)


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["status", "--help"]], ids=" ".join)
def test_a_word_loads_nothing_of_a_run(words: list[str]) -> None:
    loaded = loaded_by(f"""
from trailingedge import main
try:
    main.run({words})
except SystemExit:
    print()
import sys""")
    assert among(loaded, (*FOR_LATER, "trailingedge.simulator", "websockets", "cryptography")) == []


def test_the_version_is_that_of_the_distribution() -> None:
    assert version(DISTRIBUTION) == VERSION
