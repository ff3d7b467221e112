"""Process signals: one requests a graceful stop, a repeated one exits at once, and SIGHUP may reload the settings."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from tests import processes
from tests.terminals import needs_terminals

from trailingedge.core.errors import ExitCode
from trailingedge.live.process_signals import keep_running, redraw_on_continue, sighup_reloads, stop_on_signals

HEEDED = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals to this very process")


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in HEEDED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def _heard() -> None:
    """The loop has had time to notice."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", HEEDED, ids=lambda number: signal.Signals(number).name)
async def test_a_signal_asks_for_the_end_once(number: signal.Signals) -> None:
    reasons: list[str] = []
    with stop_on_signals(reasons.append):
        for _ in range(2):
            os.kill(os.getpid(), number)
            await _heard()
    assert reasons == ["Ctrl-C (SIGINT)" if number == signal.SIGINT else number.name]


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="no job control here")
async def test_ctrl_z_does_not_stop_the_process_and_both_signals_are_heard() -> None:
    heard: list[str] = []
    with keep_running(lambda: heard.append("suspend"), lambda: heard.append("continue")):
        os.kill(os.getpid(), signal.SIGTSTP)
        await _heard()
        os.kill(os.getpid(), signal.SIGCONT)
        await _heard()
    assert heard == ["suspend", "continue"]


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="no job control here")
async def test_one_who_watches_draws_again_when_continued() -> None:
    heard: list[str] = []
    with redraw_on_continue(lambda: heard.append("redraw")):
        os.kill(os.getpid(), signal.SIGCONT)
        await _heard()
    assert heard == ["redraw"]


async def test_what_comes_after_the_end_is_ignored() -> None:
    with stop_on_signals(lambda _: None):
        pass
    for number in HEEDED:
        os.kill(os.getpid(), number)
    await _heard()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no hang-up here")
async def test_a_hang_up_that_somebody_said_to_survive_is_survived() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reasons: list[str] = []
    with stop_on_signals(reasons.append):
        os.kill(os.getpid(), signal.SIGHUP)
        await _heard()
    assert reasons == []


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no hang-up here")
async def test_a_hang_up_that_asks_for_a_reload_ends_nothing_until_the_end_has_begun() -> None:
    heard: list[str] = []
    with stop_on_signals(heard.append, lambda: heard.append("reload")):
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
            await _heard()
    assert heard == ["reload", "reload", "SIGTERM"]


@pytest.mark.parametrize(
    ("environ", "terminal", "reload"),
    [
        pytest.param({}, True, False, id="a terminal hangs up"),
        pytest.param({}, False, True, id="no terminal could have"),
        pytest.param({"NOTIFY_SOCKET": "/run/notify"}, False, True, id="a service"),
        pytest.param({"NOTIFY_SOCKET": "/run/notify"}, True, True, id="a service with a terminal"),
    ],
)
def test_a_hang_up_is_meant_as_a_reload_where_it_was_sent_on_purpose(
    environ: dict[str, str], terminal: bool, reload: bool
) -> None:
    assert sighup_reloads(environ, lambda: terminal) is reload


def test_a_session_of_its_own_has_no_terminal_whatever_its_stdin_is() -> None:
    program = "from trailingedge.live.process_signals import has_terminal; print(has_terminal())"
    done = processes.run([sys.executable, "-c", program], text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a terminal")
@needs_terminals
def test_a_terminal_is_noticed_though_stdin_is_another() -> None:
    program = """
import os, pty
child, _ = pty.fork()
if child == 0:
    from trailingedge.live.process_signals import has_terminal
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os._exit(7 if has_terminal() else 8)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = processes.run([sys.executable, "-c", program], text=True, check=True)
    assert done.stdout == "7\n"


def test_a_later_signal_ends_at_once() -> None:
    program = """
import asyncio, os, signal
from trailingedge.live.process_signals import stop_on_signals

async def main():
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    loop.time = lambda: now_s
    with stop_on_signals(print):
        for passed_s in (0.0, 1.5):
            now_s += passed_s
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(10):
                await asyncio.sleep(0)
        print("never")

asyncio.run(main())
"""
    done = processes.run([sys.executable, "-u", "-c", program], text=True)
    assert done.returncode == ExitCode.UNEXPECTED
    assert done.stdout == "SIGTERM\n"
    assert "ended at once" in done.stderr
