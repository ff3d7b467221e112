"""Runs the suite from both ends at once: this process from the front, others from the back, until they meet.

The tests are cut into portions: those of one file, which may share what they prepare, or one test that is marked
`apart`. The marked ones are the long ones and come last, so that they are begun first and what is left where the
ends meet is short. A portion belongs to whoever made its folder: that needs no lock, and whoever dies leaves none.
What a test came to elsewhere is told here, in its place, as if it had been run here.

The others are forked when all tests are collected and none has run yet: they need not import and collect again, and
inherit no state of a test. Where there is no telling whether a fork is safe (Windows, macOS), where a person debugs,
and with `--processes 1`, this process runs everything by itself.
"""

import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import pytest

LOOK_S: Final = 0.02  # between two looks for what another process has written
PATIENCE_S: Final = 10.0  # for another to put its things away when it has to stop
RED: Final = "red"


def add_option(parser: pytest.Parser) -> None:
    """`--processes N`; 0 is one for each core."""
    parser.addoption(
        "--processes", type=int, default=0, metavar="N", help="processes that run the tests (one for each core)"
    )


def configure(config: pytest.Config) -> None:
    """Know the mark; share the work where that is possible and asked for."""
    config.addinivalue_line("markers", "apart: a long test that shares nothing it prepares with others of its file")
    processes = config.getoption("processes") or len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    if processes > 1 and not config.getoption("usepdb") and not config.getoption("trace"):
        config.pluginmanager.register(BothEnds(processes - 1), "both ends")


def long_ones_last(items: list[pytest.Item]) -> None:
    """Move the tests that are marked `apart` behind all others, else in order."""
    items.sort(key=_is_apart)


def _is_apart(item: pytest.Item) -> bool:
    return item.get_closest_marker("apart") is not None


def cut(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """Portions, in the order of the tests."""

    def portion(numbered: tuple[int, pytest.Item]) -> tuple[Path, int]:
        number, item = numbered
        return item.path, number if _is_apart(item) else -1

    return [[item for _, item in group] for _, group in groupby(enumerate(items), portion)]


class Board:
    """A folder that all processes see: who has taken which portion, and what its tests came to.

    Reports are as pytest serializes them. Whatever appears is complete.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, portion: int) -> bool:
        """Whether nobody had it before."""
        try:
            (self._folder / str(portion)).mkdir()
        except FileExistsError:
            return False
        return True

    def write(self, portion: int, test: int, reports: list[Any], *, red: bool) -> None:
        """What one test came to; `red`: after it no other shall be run."""
        place = self._folder / str(portion) / str(test)
        unfinished = place.with_suffix(".unfinished")
        unfinished.write_bytes(pickle.dumps(reports))
        unfinished.replace(place)
        if red:
            with suppress(FileExistsError):  # somebody else's came before
                (self._folder / RED).hardlink_to(place)

    def read(self, portion: int, test: int) -> list[Any] | None:
        """The reports of one test, None while there are none."""
        return self._read(self._folder / str(portion) / str(test))

    def red(self) -> list[Any] | None:
        """The reports of the test after which no other shall be run, if there was one."""
        return self._read(self._folder / RED)

    def _read(self, place: Path) -> list[Any] | None:
        try:
            reports: list[Any] = pickle.loads(place.read_bytes())
        except FileNotFoundError:
            return None
        return reports


class Ear:
    """Keeps the reports of the process it is registered in, serialized."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._heard: list[Any] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._heard.append(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def empty(self) -> list[Any]:
        """What was heard since the last time."""
        heard, self._heard = self._heard, []
        return heard


class BothEnds:
    """The plugin. `others` is how many processes there may be beside this one."""

    def __init__(self, others: int) -> None:
        self._others = others

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        portions = cut(session.items)
        others = min(self._others, len(portions) - 1)
        if others < 1 or session.testsfailed or session.config.option.collectonly:
            return None  # there is nothing to share, and pytest does the rest
        with tempfile.TemporaryDirectory(prefix="both-ends-") as folder:
            board = Board(Path(folder))
            with _forked(session, lambda: _from_the_back(session, portions, board), others) as processes:
                _from_the_front(session, portions, board, processes)
        return True


def _from_the_front(
    session: pytest.Session, portions: list[list[pytest.Item]], board: Board, others: Sequence[BaseProcess]
) -> None:
    """Run what nobody else has taken, tell what they have run. Raises what ends a session early."""

    def look_around() -> None:
        if (reports := board.red()) is not None:
            _tell(session, reports)
        _heed(session)

    for portion, items in enumerate(portions):
        left = items if board.take(portion) else _told(session, portion, items, board, others)
        for _ in _run(left):
            look_around()


def _told(
    session: pytest.Session, portion: int, items: list[pytest.Item], board: Board, others: Sequence[BaseProcess]
) -> list[pytest.Item]:
    """Tell what a portion came to elsewhere, and return what nobody will run there any more."""
    for test, item in enumerate(items):
        while (reports := board.read(portion, test)) is None:
            living = [process.sentinel for process in others if process.is_alive()]
            # Whoever is gone by now may have written between the two looks.
            if not living and (reports := board.read(portion, test)) is None:
                _tell(session, [_lost(session.config, item, others)])
                _heed(session)
                return items[test + 1 :]
            wait(living, LOOK_S)
        _tell(session, reports)
        _heed(session)
    return []


def _tell(session: pytest.Session, reports: list[Any]) -> None:
    """Let everybody here know, as if the test had been run here."""
    hook = session.config.hook
    told = [hook.pytest_report_from_serializable(config=session.config, data=data) for data in reports]
    hook.pytest_runtest_logstart(nodeid=told[0].nodeid, location=told[0].location)
    for report in told:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=told[0].nodeid, location=told[0].location)


def _lost(config: pytest.Config, item: pytest.Item, others: Sequence[BaseProcess]) -> Any:
    """The report of a test in the middle of which its process ended."""
    codes = ", ".join(str(process.exitcode) for process in others)
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="failed",
        longrepr=f"the process that ran it has ended in the middle of it, with exit code {codes}",
        when="call",
    )
    return config.hook.pytest_report_to_serializable(config=config, report=report)


def _run(items: Sequence[pytest.Item]) -> Iterator[int]:
    """Run each test; its number comes when it is over."""
    for test, item in enumerate(items):
        # After the last of a portion everything is put away: nobody knows who runs the next.
        following = items[test + 1] if test + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        yield test


def _heed(session: pytest.Session) -> None:
    """Raise where enough has failed, or somebody wants an end."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def _from_the_back(session: pytest.Session, portions: list[list[pytest.Item]], board: Board) -> None:
    """Run what nobody else has taken, and write it down, without a word and while the first process lives."""
    manager = session.config.pluginmanager
    manager.unregister(name="terminalreporter")
    ear = Ear(session.config)
    manager.register(ear)
    started_by = os.getppid()
    for portion in reversed(range(len(portions))):
        if not board.take(portion):
            continue
        for test in _run(portions[portion]):
            enough = bool(session.shouldfail or session.shouldstop)
            board.write(portion, test, ear.empty(), red=enough)
            if enough or os.getppid() != started_by:
                return


@contextmanager
def _forked(session: pytest.Session, job: Callable[[], None], count: int) -> Iterator[list[BaseProcess]]:
    """So many processes that do the job; where it is left early, they stop too."""

    def live() -> None:
        capture.start_global_capturing()
        capture.suspend_global_capture()
        try:
            job()
        except KeyboardInterrupt:
            # It may be sent twice, and putting away is not to be disturbed.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        finally:
            session._setupstate.teardown_exact(None)

    config = session.config
    config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # whoever makes it first may empty it
    processes = [get_context("fork").Process(target=live) for _ in range(count)]
    # What is captured goes through a file, whose position forked processes would share.
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    try:
        for process in processes:
            process.start()
    finally:
        capture.start_global_capturing()
        capture.suspend_global_capture()
    try:
        yield list(processes)
    except BaseException:
        _end(processes)
        raise
    for process in processes:
        process.join()


def _end(processes: Sequence[BaseProcess]) -> None:
    """As Ctrl-C would, and by force where that is not heard."""
    for process in processes:
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGINT)
    for process in processes:
        process.join(PATIENCE_S)
        process.kill()
        process.join()
