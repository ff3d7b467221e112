"""Service manager interface: readiness, status lines and watchdog messages, without ever blocking a tick."""

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.limits import PATIENCE_S
from tests.notify_socket import Ear

from trailingedge.config import Endpoints
from trailingedge.core.clock import ManualClock, TimerHandle
from trailingedge.live.systemd import (
    MORE_START_S,
    STATUS_EVERY_S,
    NotifyingUi,
    ServiceManager,
    Watchdog,
    service_manager,
    status_line,
    watchdog_interval_s,
)
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side, SymbolRules
from trailingedge.notifications.status import ExitView, StatusView

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets, and no such manager")

URL = Endpoints("ws://127.0.0.1:1/ws-api/v3", "ws://127.0.0.1:1")
RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", Decimal("0.01"), Decimal("0.0001"))


# --- Messages ---------------------------------------------------------------------------------


def test_a_life_is_told_from_ready_to_stopping(manager: ServiceManager, ear: Ear) -> None:
    assert manager.is_listening
    manager.ready("sim ETHFDUSD")
    manager.reloading(12.5)
    manager.reloaded("reloaded: nothing has changed")
    manager.ping_watchdog()
    manager.stopping("SIGTERM")
    assert ear.heard() == [
        ["READY=1", "STATUS=sim ETHFDUSD"],
        ["RELOADING=1", "MONOTONIC_USEC=12500000"],
        ["READY=1", "STATUS=reloaded: nothing has changed"],
        ["WATCHDOG=1"],
        ["STOPPING=1", "STATUS=ending: SIGTERM"],
    ]


def test_readiness_and_the_end_are_told_once(manager: ServiceManager, ear: Ear) -> None:
    for _ in range(2):
        manager.ready("ready")
    for _ in range(2):
        manager.stopping("quit")
    assert len(ear.heard()) == 2


def test_a_reload_before_the_start_is_over_does_not_end_the_start(manager: ServiceManager, ear: Ear) -> None:
    manager.reloading(1.0)
    manager.reloaded("reloaded: nothing has changed")
    assert ear.heard() == []


def test_after_the_end_has_begun_nothing_else_is_told(manager: ServiceManager, ear: Ear) -> None:
    manager.ready("ready")
    manager.stopping("quit")
    ear.heard()
    manager.reloading(1.0)
    manager.reloaded("reloaded: nothing has changed")
    manager.status("watching", 100.0)
    assert ear.heard() == []


def test_the_status_is_one_line_and_told_now_and_then(manager: ServiceManager, ear: Ear) -> None:
    manager.status("starting\nsoon", 0.0)
    manager.status("too soon", STATUS_EVERY_S - 0.1)
    manager.status("watching", STATUS_EVERY_S)
    manager.status("watching", 3 * STATUS_EVERY_S)
    manager.status("x" * 5000, 4 * STATUS_EVERY_S)
    first, second, long = ear.heard()
    assert (first, second) == (["STATUS=starting soon"], ["STATUS=watching"])
    assert len(long[0]) < 1100


def test_every_step_and_attempt_of_a_start_is_the_status_at_once(manager: ServiceManager, ear: Ear) -> None:
    manager.starting("candles, attempt 1")
    manager.starting("candles, attempt 2; attempt 1 failed: timed\nout")
    manager.ready("ready")
    manager.starting("too late")
    assert ear.heard() == [
        ["STATUS=starting: candles, attempt 1"],
        ["STATUS=starting: candles, attempt 2; attempt 1 failed: timed out"],
        ["READY=1", "STATUS=ready"],
    ]


def test_a_name_in_the_abstract_space_is_understood() -> None:
    if sys.platform != "linux":
        pytest.skip("has no abstract space")
    ear = Ear(b"\0trailing-edge-test")
    manager = service_manager({"NOTIFY_SOCKET": "@trailing-edge-test"})
    manager.ready("here")
    assert ear.heard() == [["READY=1", "STATUS=here"]]
    manager.close()
    ear.close()


@pytest.mark.parametrize(
    "nobody",
    [
        pytest.param(lambda _: service_manager({}), id="unset"),
        pytest.param(lambda _: service_manager({"NOTIFY_SOCKET": ""}), id="empty"),
        pytest.param(lambda _: service_manager({"NOTIFY_SOCKET": "vsock:2:1"}), id="of another kind"),
        pytest.param(lambda address: ServiceManager(address, family=None), id="on Windows"),
    ],
)
def test_where_nobody_listens_nothing_happens(
    nobody: Callable[[str], ServiceManager], notify_address: str, ear: Ear
) -> None:
    manager = nobody(notify_address)
    manager.ready("ready")
    manager.ping_watchdog()
    manager.stopping("quit")
    manager.close()
    assert not manager.is_listening
    assert ear.heard() == []


@pytest.mark.parametrize("gone", ["/nowhere/at/all", "/" + "x" * 300, "@" + "x" * 300], ids=["away", "long", "long @"])
def test_a_manager_that_is_away_is_no_trouble(gone: str) -> None:
    manager = ServiceManager(gone)
    manager.ready("ready")
    for _ in range(100):
        manager.reloading(1.0)
    manager.close()
    manager.close()


def test_a_full_queue_holds_nobody_up_and_loses_nothing_that_matters(manager: ServiceManager, ear: Ear) -> None:
    for _ in range(10_000):
        manager.ping_watchdog()  # nobody reads
    manager.ready("ready")
    manager.status("watching", 0.0)
    assert all(message == ["WATCHDOG=1"] for message in ear.heard())
    manager.ping_watchdog()
    assert ear.heard() == [["READY=1", "STATUS=ready"], ["WATCHDOG=1"]]


# --- The watchdog -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        pytest.param({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0, id="ours"),
        pytest.param({"WATCHDOG_USEC": "60000000"}, 30.0, id="whoever reads it"),
        pytest.param({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None, id="a parent's"),
        pytest.param({"WATCHDOG_PID": "7"}, None, id="no watch"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="nought"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="nonsense"),
    ],
)
def test_the_interval_is_half_the_patience_of_who_watches_us(environ: dict[str, str], interval_s: float | None) -> None:
    assert watchdog_interval_s(environ, 7) == interval_s


class Beats:
    """A main loop that beats when it is woken, as long as it is well."""

    def __init__(self) -> None:
        self.count = 0
        self.well = True

    def wake(self) -> None:
        if self.well:
            self.count += 1


async def test_the_watchdog_is_pinged_while_ticks_are_made_and_no_longer(manager: ServiceManager, ear: Ear) -> None:
    clock, beats = ManualClock(), Beats()
    manager.ready("ready")
    ear.heard()
    async with asyncio.TaskGroup() as tasks:
        watchdog = tasks.create_task(Watchdog(manager, lambda: beats.count, beats.wake, clock, 2.0).run())
        await clock.advance(10.0)
        assert len(ear.heard()) == 4  # the first look has nothing to compare with
        beats.well = False
        await clock.advance(4.0)
        ear.heard()
        await clock.advance(60.0)
        assert ear.heard() == []
        beats.well = True
        await clock.advance(4.0)
        assert ear.heard() == [["WATCHDOG=1"]]
        watchdog.cancel()


async def test_nobody_is_fed_where_nobody_watches(manager: ServiceManager, ear: Ear) -> None:
    clock, beats = ManualClock(), Beats()
    manager.ready("ready")
    ear.heard()
    async with asyncio.TaskGroup() as tasks:
        watchdog = tasks.create_task(Watchdog(manager, lambda: beats.count, beats.wake, clock, None).run())
        await clock.advance(100.0)
        assert ear.heard() == []
        watchdog.cancel()


async def test_a_long_start_asks_for_time_until_it_is_over(manager: ServiceManager, ear: Ear) -> None:
    """The exchange may be away for hours, and nobody must kill us for it; without a watch neither."""
    clock = ManualClock()
    async with asyncio.TaskGroup() as tasks:
        watchdog = tasks.create_task(Watchdog(manager, lambda: 0, lambda: None, clock, None).run())
        for _ in range(60):
            await clock.advance(MORE_START_S / 2)
            asked = ear.heard()
            assert asked
            assert all(message == [f"EXTEND_TIMEOUT_USEC={round(MORE_START_S * 1e6)}"] for message in asked)
        manager.ready("ready")
        ear.heard()
        await clock.advance(100.0)
        assert ear.heard() == []
        watchdog.cancel()


async def test_it_ends_at_once_where_nobody_listens() -> None:
    await Watchdog(ServiceManager(), lambda: 0, lambda: None, ManualClock(), 1.0).run()


def test_a_blocked_loop_stops_feeding(manager: ServiceManager, ear: Ear) -> None:
    class Restless:
        """A clock on which every wait is over at once, so that it is fed as fast as the loop goes round."""

        def now_s(self) -> float:
            return 0.0

        def unix_ms(self) -> int:
            return 0

        async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - no wait is one
            await asyncio.sleep(0)

        def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:  # noqa: ARG002
            return asyncio.get_running_loop().call_soon(act)

    beats = Beats()
    manager.ready("ready")
    blocked, go_on, loop_of = threading.Event(), threading.Event(), []

    async def live() -> None:
        loop_of.append(asyncio.get_running_loop())
        await Watchdog(manager, lambda: beats.count, beats.wake, Restless(), 1.0).run()

    def block() -> None:
        blocked.set()
        go_on.wait(PATIENCE_S)

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    ear.hear()
    assert ear.hear() == ["WATCHDOG=1"]
    loop_of[0].call_soon_threadsafe(block)
    assert blocked.wait(PATIENCE_S)
    ear.heard()
    assert ear.heard() == []
    go_on.set()
    assert ear.hear() == ["WATCHDOG=1"]
    loop_of[0].call_soon_threadsafe(manager.close)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


# --- The status line --------------------------------------------------------------------------


def view(**changes: object) -> StatusView:
    return replace(StatusView("sim", RULES, "watching", Regime.BASE), **changes)  # type: ignore[arg-type]


def test_the_line_names_mode_pair_position_and_endpoints() -> None:
    position = "holding ETH, watching | +1.25 % in FDUSD since the anchor"
    places = f"{URL.ws_api_url} | {URL.ws_stream_url}"
    assert status_line(view(gain_frac=0.0125), URL) == f"sim ETHFDUSD | {position} | {places}"


def test_an_exit_is_named_in_words_and_not_by_its_phase() -> None:
    line = status_line(view(phase="flushing", active_exit=ExitView(ExitKind.FLUSH, Side.SELL, 1.0)), URL)
    assert "| holding ETH, selling (hard stop) |" in line
    assert "flushing" not in line


def test_a_halt_and_a_pause_are_in_the_line() -> None:
    assert "| halted | paused |" in status_line(view(halted=True, trading_paused=True, paused=True), URL)


class Shown:
    def __init__(self) -> None:
        self.said: list[str] = []

    def print_line(self, text: str) -> None:
        self.said.append(text)

    def show_step(self, name: str, result: str) -> None:
        self.said.append(f"{name}: {result}")

    def show_status(self, view: Callable[[], StatusView], now_s: float) -> None:
        self.said.append(f"{now_s:g}: {view().phase}")

    def close(self) -> None:
        self.said.append("closed")


def test_what_the_ui_shows_is_sent_to_the_manager_in_one_line(manager: ServiceManager, ear: Ear) -> None:
    shown = Shown()
    face = NotifyingUi(shown, manager, URL)
    face.print_line("order placed")
    face.show_step("klines", "1440 candles")
    face.show_status(view, 10.0)
    face.close()
    assert shown.said == ["order placed", "klines: 1440 candles", "10: watching", "closed"]
    assert ear.heard() == [[f"STATUS={status_line(view(), URL)}"]]
