"""Recorder of a session: records inputs and outputs of the trading core, and also frames, requests and alerts.

Theory of operation. The daemon is built with `SessionRecorder.runtime`. This runtime differs from that of a daemon
without a record in two places: it builds the trading core as a `RecordedCore`, and it dials connections that record
their frames and requests. Core and connections put entries of immutable values into the writer's queue, each after the
work that it records. A thread encodes and writes the entries. Other parts of the daemon do not know that they are
recorded, and the record does not depend on the order in which the event loop ran the tasks.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ExitCode
from trailingedge.eventlog.format import CORE, LineSink
from trailingedge.eventlog.recorded_core import RecordedCore
from trailingedge.eventlog.recorded_sockets import record_connections
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.core_factory import CoreStart, build_core
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.node_params import ServicesParams
from trailingedge.notifications.alert_sinks import Alerts


class SessionRecorder:
    """Records one session to `lines`. The daemon must be built with `runtime`."""

    def __init__(self, real: Runtime, lines: LineSink, header: dict[str, object]) -> None:
        self._lines = lines
        self._now_ns = _monotonic_ns(real.clock)
        self.runtime = replace(
            real, dial=record_connections(real.dial, lines, self._now_ns), build_core=self._build_core
        )
        clocks = {"zero_ns": self._now_ns(), "unix_ns": real.clock.unix_ms() * 1_000_000}
        lines.add(("session", header | clocks))

    def wrap_alerts(self, alerts: Alerts) -> Alerts:
        """Return `alerts` wrapped so that each alert is recorded after it was sent."""
        return RecordedAlerts(alerts, self._lines, self._now_ns)

    async def run_session(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        """Run the daemon and record how it ended."""
        try:
            code = await run()
        except (Exception, asyncio.CancelledError) as failure:
            self._lines.add(("over", self._now_ns(), [type(failure).__name__, str(failure)]))
            raise
        self._lines.add(("over", self._now_ns(), int(code)))
        return code

    def _build_core(self, params: ServicesParams, start: CoreStart, budget: OrderRateBudget) -> TradingCore:
        self._lines.add((CORE, self._now_ns(), start))
        return build_core(params, start, budget, partial(RecordedCore, self._lines, self._now_ns))


class RecordedAlerts:
    """Sends each alert and then records it."""

    def __init__(self, alerts: Alerts, lines: LineSink, now_ns: Callable[[], int]) -> None:
        self._alerts = alerts
        self._lines = lines
        self._now_ns = now_ns

    def send(self, text: str, level: int = logging.INFO) -> None:
        self._alerts.send(text, level)
        self._lines.add(("alert", self._now_ns(), level, text))


def _monotonic_ns(clock: Clock) -> Callable[[], int]:
    """Return a function that reads the monotonic time of `clock` in whole nanoseconds."""
    return clock.now_ns if isinstance(clock, RealClock) else lambda: round(clock.now_s() * 1e9)
