"""A suite that is run from both ends: nothing is run twice, kept quiet, or left behind."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
CONFTEST: Final = """
from tests.both_ends import add_option as pytest_addoption
from tests.both_ends import configure as pytest_configure
from tests.both_ends import long_ones_last as pytest_collection_modifyitems
"""
# The files of a suite: who meets whom is arranged by a pipe that opens only to two.
FIRST: Final = """
import os, select, signal
from pathlib import Path

def met():
    return Path("pipe").read_text()
"""
LAST: Final = """
import os, signal
from pathlib import Path

import pytest

def meet():
    Path("pipe").write_text(str(os.getpid()))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process runs everything")


def run(place: Path, first: str, last: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of a suite of two files by two processes, if no words say otherwise."""
    os.mkfifo(place / "pipe")
    (place / "pytest.ini").write_text("[pytest]\n")
    (place / "conftest.py").write_text(CONFTEST)
    (place / "test_first.py").write_text(FIRST + first)
    (place / "test_last.py").write_text(LAST + last)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--processes", "2", *words],
        cwd=place,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the run said of each test, in that order."""
    lines = done.stdout.partition("collected")[2].splitlines()
    return [" ".join(line.split()[:2]) for line in lines if "::" in line.split(" ")[0]]


def test_two_processes_share_the_tests_and_tell_them_in_order(tmp_path: Path) -> None:
    first = """
def test_waits_for_the_other():
    assert met() != str(os.getpid())
"""
    last = """
def test_is_met():
    meet()

@pytest.mark.parametrize("number", range(3))
def test_follows(number):
    with Path("ran").open("a") as file:
        file.write(str(number))
"""
    done = run(tmp_path, first, last)
    assert told(done) == [
        "test_first.py::test_waits_for_the_other PASSED",
        "test_last.py::test_is_met PASSED",
        *(f"test_last.py::test_follows[{number}] PASSED" for number in range(3)),
    ]
    assert (tmp_path / "ran").read_text() == "012"
    assert (done.returncode, done.stderr) == (0, "")


def test_a_failure_elsewhere_is_told_with_what_was_said_and_compared(tmp_path: Path) -> None:
    first = "def test_waits_for_the_other(): met()"
    last = """
def test_fails():
    meet()
    print("in another process")
    assert {"a": 1} == {"a": 2}
"""
    done = run(tmp_path, first, last)
    assert told(done)[1] == "test_last.py::test_fails FAILED"
    assert "AssertionError: assert {'a': 1} == {'a': 2}" in done.stdout
    assert "in another process" in done.stdout
    assert done.returncode == 1


def test_what_was_printed_here_and_elsewhere_is_not_mixed_up(tmp_path: Path) -> None:
    first = "def test_hears_itself(capfd): os.write(1, b'here'); met(); assert capfd.readouterr().out == 'here'"
    last = "def test_hears_itself(capfd): os.write(1, b'there'); meet(); assert capfd.readouterr().out == 'there'"
    assert run(tmp_path, first, last).returncode == 0


def test_a_process_that_dies_fails_its_test_and_nothing_else(tmp_path: Path) -> None:
    first = "def test_waits_for_the_other(): met()"
    last = """
def test_is_met(): meet()
def test_dies(): os.kill(os.getpid(), signal.SIGKILL)
def test_is_run_all_the_same(): pass
"""
    done = run(tmp_path, first, last)
    assert told(done)[1:] == [
        "test_last.py::test_is_met PASSED",
        "test_last.py::test_dies FAILED",
        "test_last.py::test_is_run_all_the_same PASSED",
    ]
    assert "has ended in the middle of it, with exit code -9" in done.stdout
    assert done.returncode == 1


def test_who_stops_at_the_first_failure_need_not_get_to_it(tmp_path: Path) -> None:
    first = """
def test_waits_for_the_others_end():
    select.select([os.pidfd_open(int(met()))], [], [])

def test_is_not_run(): pass
"""
    last = """
def test_fails():
    meet()
    assert False

def test_is_not_run_either(): pass
"""
    done = run(tmp_path, first, last, "-x")
    assert told(done) == ["test_first.py::test_waits_for_the_others_end PASSED", "test_last.py::test_fails FAILED"]
    assert "stopping after 1 failures" in done.stdout
    assert done.returncode == 1


def test_an_interrupt_leaves_no_process_and_what_was_prepared_is_put_away(tmp_path: Path) -> None:
    first = """
def test_is_interrupted():
    Path("other").write_text(met())
    os.kill(os.getpid(), signal.SIGINT)
"""
    last = """
@pytest.fixture
def prepared():
    yield
    Path("away").touch()

def test_goes_on_for_ever(prepared):
    meet()
    while True:
        os.sched_yield()
"""
    done = run(tmp_path, first, last)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert (tmp_path / "away").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "other").read_text()), 0)


def test_long_tests_are_portions_of_their_own_and_come_last(tmp_path: Path) -> None:
    first = """
import pytest

@pytest.mark.apart
@pytest.mark.parametrize("number", range(2))
def test_is_long(number):
    Path("other" if number else "one").write_text(str(os.getpid()))
    met() if number else Path("pipe").write_text("")
"""
    last = "def test_is_short(): pass"
    done = run(tmp_path, first, last)
    assert told(done) == [
        "test_last.py::test_is_short PASSED",
        "test_first.py::test_is_long[0] PASSED",
        "test_first.py::test_is_long[1] PASSED",
    ]
    assert (tmp_path / "one").read_text() != (tmp_path / "other").read_text()


def test_one_process_runs_everything_when_that_is_asked_for(tmp_path: Path) -> None:
    same = "def test_here(): Path(__file__).with_suffix('.pid').write_text(str(os.getpid()))"
    assert run(tmp_path, same, same, "--processes", "1").returncode == 0
    assert (tmp_path / "test_first.pid").read_text() == (tmp_path / "test_last.pid").read_text()
