"""No process outlives the test that started it, and what a test leaves open fails that test and no other."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests import process_guard, processes
from tests.interrupts import heed_interrupts
from tests.limits import PATIENCE_S

ROOT: Final = Path(__file__).parent.parent
on_linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc to find processes in")
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")

# A program with a child, and a grandchild in a session of its own that has nothing in its environment. It writes down
# the ids of all three.
FAMILY: Final = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "1000"])
grandchild = subprocess.Popen(["sleep", "1000"], env={}, start_new_session=True)
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), child.pid, grandchild.pid, file=file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(1000)
"""
# A test that starts it and then waits for ever.
HANGING: Final = """
import sys, time
from tests import processes

def test_hangs():
    with processes.started([sys.executable, "-c", {family!r}, {path!r}]):
        time.sleep(1000)
"""
LEAKING: Final = """
import gc, socket

def test_leaks():
    cycle = [socket.socket()]
    cycle.append(cycle)

def test_innocent():
    gc.collect()
"""
PYTEST: Final = (
    *(sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml"),
    *("-p", "tests.conftest", "-p", "no:cacheprovider"),
)
WITHOUT_OPTIONS: Final = {"PYTEST_ADDOPTS": "", "PYTEST_XDIST_WORKER": ""}


def alive(pids: list[int]) -> list[int]:
    table = process_guard.process_table()
    return [pid for pid in pids if pid in table and not table[pid].ended]


def family(path: Path, process: subprocess.Popen[bytes] | None = None) -> list[int]:
    """The ids that it has written down; `process` ends no sooner."""
    processes.wait_until(lambda: path.exists() or (process is not None and process.poll() is not None))
    return [int(word) for word in path.read_text().split()]


# --- At the end of a block ---------------------------------------------------------------------


@on_linux
def test_a_process_ends_with_its_block_and_so_does_all_that_it_started(tmp_path: Path) -> None:
    with processes.started([sys.executable, "-c", FAMILY, str(tmp_path / "pids")], stdout=subprocess.PIPE) as process:
        pids = family(tmp_path / "pids")
        assert alive(pids) == pids
    assert process.returncode == -signal.SIGKILL
    processes.wait_until(lambda: not alive(pids))


@on_linux
async def test_beside_a_loop_too_though_its_output_is_unread(tmp_path: Path) -> None:
    program = FAMILY.replace("time.sleep(1000)", "print('x' * 10_000_000)")
    words = [sys.executable, "-c", program, str(tmp_path / "pids")]
    async with processes.started_async(words, stdout=subprocess.PIPE) as process:
        pids = family(tmp_path / "pids")
    assert process.returncode == -signal.SIGKILL
    processes.wait_until(lambda: not alive(pids))


@posix
def test_a_process_that_has_ended_keeps_its_exit_code() -> None:
    with processes.started([sys.executable, "-c", "raise SystemExit(7)"]) as process:
        process.wait(PATIENCE_S)
    assert process.returncode == 7


def test_what_is_run_is_told_its_input_and_shows_both_outputs() -> None:
    program = "import sys; print(input()); print('too', file=sys.stderr); raise SystemExit(3)"
    done = processes.run([sys.executable, "-c", program], input="said", text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n", "too\n")
    with pytest.raises(subprocess.CalledProcessError):
        processes.run([sys.executable, "-c", program], input="said", text=True, check=True)


@posix
def test_each_is_a_session_of_its_own() -> None:
    done = processes.run([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"], text=True)
    assert done.stdout == "True\n"


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_program_hears_a_signal_that_the_run_was_started_to_ignore(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        heed_interrupts()
        program = f"import signal; print(signal.getsignal({int(number)}) is signal.SIG_IGN)"
        assert processes.run([sys.executable, "-c", program], text=True).stdout == "False\n"
    finally:
        signal.signal(number, before)


def test_no_setting_of_ours_is_in_the_environment_of_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBOL", "BTCFDUSD")
    assert "SYMBOL" not in processes.environment()
    assert processes.environment({"SYMBOL": "ETHFDUSD"})["SYMBOL"] == "ETHFDUSD"


# --- At the end of a run -----------------------------------------------------------------------


@on_linux
@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(signal.SIGINT, [], id="interrupted"),
        pytest.param(signal.SIGKILL, [], id="killed"),
        pytest.param(signal.SIGKILL, ["-n", "1"], id="killed, with a worker"),
    ],
)
def test_a_run_that_is_ended_leaves_nothing(number: signal.Signals, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "pids"
    (tmp_path / "test_hanging.py").write_text(HANGING.format(family=FAMILY, path=str(path)))
    command = [*PYTEST, *words, str(tmp_path)]
    with processes.started(command, cwd=ROOT, env=os.environ | WITHOUT_OPTIONS, stdout=subprocess.PIPE) as run:
        pids = family(path, run)
        run.send_signal(number)
        run.communicate(timeout=PATIENCE_S)
        processes.wait_until(lambda: not alive(pids))


@on_linux
def test_a_worker_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    (tmp_path / "test_hanging.py").write_text(HANGING.format(family=FAMILY, path=str(path)))
    command = [*PYTEST, "-n", "1", "--maxfail", "1", str(tmp_path)]
    with processes.started(command, cwd=ROOT, env=os.environ | WITHOUT_OPTIONS, stdout=subprocess.PIPE) as run:
        pids = family(path, run)
        worker = process_guard.process_table()[pids[0]].parent
        assert worker != run.pid
        process_guard.kill([worker])
        processes.wait_until(lambda: not alive(pids))


def test_a_socket_that_is_left_open_fails_the_test_that_left_it(tmp_path: Path) -> None:
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    command = [*PYTEST, str(tmp_path)]
    done = processes.run(command, cwd=ROOT, env=os.environ | WITHOUT_OPTIONS, text=True)
    assert "test_leaking.py::test_leaks" in done.stdout
    assert "2 passed, 1 error" in done.stdout
    assert "test_leaking.py::test_innocent" not in done.stdout


# --- Nowhere else ------------------------------------------------------------------------------

STARTS_A_PROCESS: Final = {
    *("subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen"),
    *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
    *("os.fork", "os.forkpty", "os.system", "os.popen", "os.posix_spawn", "pty.fork", "pty.spawn"),
    *("multiprocessing.get_context", "multiprocessing.Process", "multiprocessing.Pool", "get_context"),
}
# Besides `processes` itself.
EXCEPT: Final = {
    "process_guard.py": {"os.fork"},  # the guard takes leave of its parent
    "exchange_clients/__main__.py": {"subprocess.Popen"},  # commands that a person runs, and that end what they start
    "systemd/machine.py": {"subprocess.run", "subprocess.Popen"},
    "simulation/storms.py": {"get_context"},  # a pool of workers, behind `guard_this_process`
    "simulator/test_virtual_loop.py": {"asyncio.create_subprocess_exec"},  # is refused there
}


def starts(path: Path) -> set[str]:
    """What a file calls that starts a process."""
    source = path.read_text(encoding="utf-8")
    if not any(name in source for name in STARTS_A_PROCESS):
        return set()
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
    return called & STARTS_A_PROCESS


def test_processes_are_started_in_one_place() -> None:
    tests = ROOT / "tests"
    found = {path.relative_to(tests).as_posix(): starts(path) for path in tests.rglob("*.py")}
    assert found.pop("processes.py")
    assert {name: each for name, each in found.items() if each} == EXCEPT
