"""Recorded days and storms replay without a difference, however the event loop ran their tasks."""

from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from random import Random
from types import coroutine
from typing import Any

import pytest
from tests.benchmarks.long_day import FAULTS
from tests.session_replay.golden_sessions import SESSIONS
from tests.simulation.simulated_day import simulate
from tests.simulation.storms import run_storm

from trailingedge.eventlog.format import SUFFIX, LineSink
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.session_replay.run import ReplayResult, replay_session
from trailingedge.simulator import virtual_loop
from trailingedge.simulator.virtual_loop import VirtualLoop

STORM_S = 400.0


def recorded_storm(number: int, folder: Path) -> ReplayResult:
    notebook = MemoryRecord()
    run_storm(number, STORM_S, notebook)
    return replay_session(notebook.save(folder / f"storm{SUFFIX}"))


def recorded_day(number: int, folder: Path) -> ReplayResult:
    """Half an hour with faults of every kind."""
    notebook = MemoryRecord()
    simulate(number, 0.5, faults=FAULTS, lines=notebook)
    return replay_session(notebook.save(folder / f"day{SUFFIX}"))


def assert_the_same(replayed: ReplayResult) -> None:
    assert replayed.difference is None
    assert replayed.incomplete_reason is None
    assert replayed.inputs > 300


def test_a_recorded_day_replays_without_a_difference(tmp_path: Path) -> None:
    replayed = recorded_day(7, tmp_path)
    assert_the_same(replayed)
    assert replayed.requests > 20


@pytest.mark.parametrize("storm", range(2))
def test_a_recorded_storm_replays_without_a_difference(storm: int, tmp_path: Path) -> None:
    assert_the_same(recorded_storm(storm, tmp_path))


# Extra turns of the event loop ---------------------------------------------------------------


class RestlessLoop(VirtualLoop):
    """A virtual loop whose tasks now and then do nothing for a turn, or for several, where they would go on."""

    chance = Random()
    extra_turns = 0

    def create_task(self, coro: Any, **options: Any) -> Any:
        return super().create_task(self._restless(coro), **options)

    async def _restless(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return await self._stepped(coro)

    @coroutine
    def _stepped(self, coro: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Run `coro` as its task would, with bare yields between its steps: that is what `sleep(0)` does."""
        step: Callable[[], Any] = lambda: coro.send(None)  # noqa: E731 - the step that is due changes below
        while True:
            try:
                while self.chance.random() < 0.2:
                    type(self).extra_turns += 1
                    yield
                awaited = step()
            except StopIteration as end:
                return end.value
            except BaseException as error:
                if coro.cr_frame is None:  # type: ignore[attr-defined]  # it has ended by this error
                    raise
                step = _throwing(coro, error)
                continue
            try:
                value = yield awaited
            except BaseException as error:  # noqa: BLE001 - for the coroutine to handle
                step = _throwing(coro, error)
            else:
                step = _sending(coro, value)


def _throwing(coro: Coroutine[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: coro.throw(error)


def _sending(coro: Coroutine[Any, Any, Any], value: object) -> Callable[[], Any]:
    return lambda: coro.send(value)


@pytest.mark.parametrize(("name", "number"), [("faulty", 0), ("storm", 1), ("storm", 2)])
def test_extra_turns_of_the_event_loop_make_no_difference(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live: Callable[[LineSink], None] = SESSIONS[name]
    monkeypatch.setattr(virtual_loop, "VirtualLoop", RestlessLoop)
    monkeypatch.setattr(RestlessLoop, "chance", Random(number))
    monkeypatch.setattr(RestlessLoop, "extra_turns", 0)
    notebook = MemoryRecord()
    live(notebook)
    assert RestlessLoop.extra_turns > 200
    assert_the_same(replay_session(notebook.save(tmp_path / f"restless{SUFFIX}")))
