"""Stream check: waits for frames of the market stream and for the best prices."""

import asyncio
from collections.abc import Sequence
from typing import Final

from trailingedge.commands.checks.check_target import CheckTools
from trailingedge.commands.checks.result import CheckResult, failure, passed, warning
from trailingedge.commands.checks.short_session import background
from trailingedge.core.errors import ExchangeUnreachable, ExitCode
from trailingedge.live.node_params import CheckParams
from trailingedge.live.start_queries import prices_text
from trailingedge.model.market import SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.market_stream import MarketStream
from trailingedge.websocket.socket_dialer import Backoff

NAME: Final = "market stream"
_WITHIN_S: Final = 10.0
_RETRIES: Final = 1


class StreamCheck:
    """Checks the market stream once. It requests the best prices over `api`."""

    def __init__(self, params: CheckParams, url: str, tools: CheckTools, api: RequestCaller) -> None:
        start, reconnect = params.start, params.reconnect
        self._clock = tools.clock
        self._url = url
        self._changed = asyncio.Event()
        self._frames = 0
        self._lost: ExchangeUnreachable | None = None
        self._market_state = MarketState(start.klines_wanted, self._changed.set)
        self._stream = MarketStream(
            url,
            start.symbol,
            start.kline_interval,
            market_state=self._market_state,
            api=api,
            dial=tools.dial,
            clock=tools.clock,
            backoff=Backoff(reconnect.base_s, reconnect.max_s, _RETRIES, tools.random),
            stale_after_s=start.stale_after_s,
            tap=self._on_frames,
        )

    async def run(self, rules: SymbolRules) -> CheckResult:
        """Wait for the first frame and the best prices. Raises ExchangeUnreachable."""
        began_s = self._clock.now_s()
        try:
            async with asyncio.timeout(_WITHIN_S), background(self._run_stream()):
                while not (self._frames and self._market_state.top):
                    await self._changed.wait()
                    self._changed.clear()
                    if self._lost is not None:
                        raise ExchangeUnreachable(f"{self._url}: {self._lost}") from self._lost
        # Without frames the best prices may still be known: the stream requests them over `api` when it opens.
        except TimeoutError:
            return self._no_frames(rules)
        took_s = self._clock.now_s() - began_s
        return passed(NAME, f"{self._url}, {self._prices(rules)}, first frame after {took_s:.1f} s")

    def _no_frames(self, rules: SymbolRules) -> CheckResult:
        text = f"{self._url}: no frames within {_WITHIN_S:g} s"
        if self._market_state.top is None:
            return failure(NAME, text, "check whether BINANCE_WS_STREAM_URL is right", code=ExitCode.UNREACHABLE)
        remedy = "the market is quiet, or BINANCE_WS_STREAM_URL belongs to another exchange"
        return warning(NAME, f"{text}, though a request returned {self._prices(rules)}", remedy)

    def _prices(self, rules: SymbolRules) -> str:
        top = self._market_state.top
        return "" if top is None else prices_text(rules, top)

    def _on_frames(self, direction: str, frames: Sequence[str | bytes]) -> None:
        self._frames += len(frames) if direction == "<" else 0
        self._changed.set()

    async def _run_stream(self) -> None:
        try:
            await self._stream.run()
        except ExchangeUnreachable as lost:
            self._lost = lost
            self._changed.set()
