"""Level history: the prices and levels of the last hours, one sample a minute of market time, for the charts."""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import Kline

AnyPrice = Decimal | float | None

KEPT_SAMPLES: Final = 720  # half a day of minutes


class LevelSample(NamedTuple):
    """The bid and the levels at one time, as prices. A level that did not apply is None."""

    market_ms: int
    bid: Decimal
    lower: AnyPrice = None
    mid: AnyPrice = None
    upper: AnyPrice = None
    anchor: AnyPrice = None
    high: AnyPrice = None
    take_profit: AnyPrice = None
    stop: AnyPrice = None
    gate_shut: bool = False


class LevelHistory:
    """The newest samples, oldest first, at most one for each minute."""

    def __init__(self, samples: Iterable[LevelSample] = ()) -> None:
        self._samples: deque[LevelSample] = deque(samples, maxlen=KEPT_SAMPLES)

    def add(self, sample: LevelSample) -> None:
        """Add `sample`. It replaces a sample of the same minute. A sample older than the newest one is ignored."""
        if self._samples:
            minute = sample.market_ms // MINUTE_MS - self._samples[-1].market_ms // MINUTE_MS
            if minute < 0:
                return
            if minute == 0:
                self._samples.pop()
        self._samples.append(sample)

    @property
    def samples(self) -> tuple[LevelSample, ...]:
        return tuple(self._samples)


def of_klines(klines: Iterable[Kline]) -> list[LevelSample]:
    """Return the closes of the last half day as samples without levels. With them the history begins at a start."""
    closes = [LevelSample(kline.close_ms, kline.close) for kline in klines]
    since_ms = closes[-1].market_ms - KEPT_SAMPLES * MINUTE_MS if closes else 0
    return [sample for sample in closes if sample.market_ms > since_ms][-KEPT_SAMPLES:]
