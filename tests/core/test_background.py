"""The GIL yielder rests after each portion, and only then."""

import pytest

from trailingedge.core import background
from trailingedge.core.background import PORTION_S, REST_S, GilYielder


class Watch:
    """A clock wound by hand, on which a rest takes no time."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.rests: list[float] = []

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(background, "time", watch)
    return watch


def test_there_is_a_rest_after_each_portion(watch: Watch) -> None:
    work = GilYielder()
    for _ in range(40):
        work.maybe_yield()
        watch.now_s += PORTION_S * 0.26
    assert watch.rests == [REST_S] * 10


def test_who_has_waited_begins_with_a_rest(watch: Watch) -> None:
    work = GilYielder()
    work.maybe_yield()
    watch.now_s += 10.0
    work.maybe_yield()
    assert watch.rests == [REST_S, REST_S]
