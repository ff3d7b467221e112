"""The market stream, tried out: whether frames of this symbol arrive, and agree with what the exchange says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Final

from trailingedge.commands.checks.environment import CheckTools
from trailingedge.commands.checks.result import CheckResult, failure, passed, warning
from trailingedge.config import Settings
from trailingedge.core.errors import ExchangeUnreachable, ExitCode
from trailingedge.model.market import SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.notifications import messages
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.transport import Backoff

NAME: Final = "market stream"
_WITHIN_S: Final = 10.0
_RETRIES: Final = 1


@contextlib.asynccontextmanager
async def meanwhile(job: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """`job` runs for as long as we are inside. It must not raise."""
    task = asyncio.create_task(job)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


class StreamCheck:
    """One try. `api` answers the stream's own questions."""

    def __init__(self, settings: Settings, url: str, means: CheckTools, api: RequestCaller) -> None:
        self._clock = means.clock
        self._url = url
        self._news = asyncio.Event()
        self._frames = 0
        self._lost: ExchangeUnreachable | None = None
        self._snapshots = MarketState(settings.rolling_klines_maxlen, self._news.set)
        self._stream = MarketStream(
            url,
            settings.symbol,
            settings.kline_interval,
            market_state=self._snapshots,
            api=api,
            dial=means.dial,
            clock=means.clock,
            backoff=Backoff(settings.reconnect_base_sec, settings.reconnect_max_sec, _RETRIES, means.random),
            stale_after_s=settings.stale_after_sec,
            tap=self._note,
        )

    async def until_heard(self, rules: SymbolRules) -> CheckResult:
        """Wait for the first frame and the best prices. Raises ExchangeUnreachable."""
        began_s = self._clock.now_s()
        try:
            async with asyncio.timeout(_WITHIN_S), meanwhile(self._run()):
                while not (self._frames and self._snapshots.top):
                    await self._news.wait()
                    self._news.clear()
                    if self._lost is not None:
                        raise ExchangeUnreachable(f"{self._url}: {self._lost}") from self._lost
        except TimeoutError:
            return self._silence(rules)
        took_s = self._clock.now_s() - began_s
        return passed(NAME, f"{self._url}, {self._prices(rules)}, first heard after {took_s:.1f} s")

    def _silence(self, rules: SymbolRules) -> CheckResult:
        silent = f"{self._url}: nothing streamed within {_WITHIN_S:g} s"
        if self._snapshots.top is None:
            return failure(NAME, silent, "see whether BINANCE_WS_STREAM_URL is right", code=ExitCode.UNREACHABLE)
        remedy = "a quiet market, or BINANCE_WS_STREAM_URL is another exchange's"
        return warning(NAME, f"{silent}, though asked it says {self._prices(rules)}", remedy)

    def _prices(self, rules: SymbolRules) -> str:
        top = self._snapshots.top
        return "" if top is None else f"bid {messages.price(rules, top.bid)}, ask {messages.price(rules, top.ask)}"

    def _note(self, direction: str, frames: Sequence[str | bytes]) -> None:
        self._frames += len(frames) if direction == "<" else 0
        self._news.set()

    async def _run(self) -> None:
        try:
            await self._stream.run()
        except ExchangeUnreachable as lost:
            self._lost = lost
            self._news.set()
