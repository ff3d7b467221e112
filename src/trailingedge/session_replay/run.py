"""Entry point of a session replay: builds the daemon on a `SessionPlayer`, runs it, and returns a `ReplayResult`."""

import contextlib
import logging
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, LoadedSettings, TradingMode, shareable_settings
from trailingedge.config_validator import problems
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ConfigError
from trailingedge.eventlog import error_codec
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.recorder import DecisionObserver, RecordedAlerts
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.factory import node_params
from trailingedge.live.node_builder import build_node
from trailingedge.live.node_dependencies import Observer, Runtime
from trailingedge.live.node_params import NodeParams
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.notifications.status import StatusView
from trailingedge.session_replay.explain_divergence import Divergence, explain_divergence
from trailingedge.session_replay.player import (
    EndOfRecord,
    ReplayDiverged,
    ReplayLoop,
    ReplayProgress,
    ReplayStopped,
    SessionPlayer,
)
from trailingedge.session_replay.record_decoder import settings_from_header
from trailingedge.session_replay.run_alignment import Difference
from trailingedge.simulator.virtual_loop import Deadlock


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of a replay.

    `incomplete_reason` says why the record was not played to its end; it is None if it was.
    `program` and `python` are the versions that recorded the session. `program_now` and
    `python_now` are the versions that replay it. An unknown program version is "".
    `changed_settings` are the settings changed for the replay, and `recorded_values` are their
    values in the record. Times are nanoseconds since the session started; `started_ns` is the
    wall-clock time of that start. `divergence` explains the difference. `stopped_at` is the share
    of the record that was read when the user stopped the replay, otherwise None.
    `shareable_settings` are the replay's settings by name, without secrets, for a report.
    """

    path: Path
    program: str
    python: str
    changed_settings: Mapping[str, str]
    recorded_values: Mapping[str, str]
    started_ns: int
    at_ns: int
    lines: int
    inputs: int
    requests: int
    difference: Difference | None
    incomplete_reason: str | None
    program_now: str = ""
    divergence: Divergence | None = None
    stopped_at: float | None = None
    shareable_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        return self.difference is None

    @property
    def python_now(self) -> str:
        return platform.python_version()


def replay_session(
    path: Path,
    overrides: Mapping[str, str] | None = None,
    observer: Observer | None = None,
    *,
    nodes: list[TradingNode] | None = None,
    on_progress: ReplayProgress = lambda *_: True,
    program: str = "",
) -> ReplayResult:
    """Replay a session up to its end or the first difference; `overrides` are settings by name.

    `observer` sees every tick. The daemon is appended to `nodes`, where an observer finds it during the replay, and
    the caller afterwards. `program` is our version. Raises ConfigError for a file that is no record, and for invalid
    settings.
    """
    record = SessionRecord(path)
    changed = dict(overrides or {})
    loaded = _load_settings(record, changed)
    # Another version may word its alerts differently; what it decides and sends must still be the same.
    reworded = bool(program) and record.header.program not in ("", program)
    player = SessionPlayer(record, actions_only=bool(changed), alert_texts=not reworded, on_progress=on_progress)
    loop = ReplayLoop()
    nodes = [] if nodes is None else nodes
    stopped_at: float | None = None
    with _logging_disabled():
        try:
            try:
                loop.run_until_complete(_run_node(record, node_params(loaded.settings), player, loop, observer, nodes))
            except (EndOfRecord, ReplayDiverged):
                pass
            except ReplayStopped:
                stopped_at = record.share_read
            lines = record.lines_read
            # Before the daemon's tasks are cancelled, because that changes its status.
            divergence = (
                None if player.difference is None else explain_divergence(player.difference, player, record.header)
            )
        finally:
            # The daemon's tasks still wait for inputs that will not come. Cancelling them makes output (closed
            # connections, for example) that is not part of the comparison, and needs a loop without a player.
            player.ignores_output = True
            loop.player = None
            with contextlib.suppress(Deadlock):
                loop.cancel_tasks()
                loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
    whole = player.finished or player.at_recorded_end or stopped_at is not None
    killed = f"{path.name} has no end: the recording process was killed"
    cut_off = None if whole or record.incomplete_reason else killed
    return ReplayResult(
        path=path,
        program=record.header.program,
        python=record.header.python,
        changed_settings=changed,
        recorded_values={name: record.header.settings.get(name, "") for name in changed},
        started_ns=record.header.unix_ns,
        at_ns=player.at_ns,
        lines=lines,
        inputs=player.input_count,
        requests=player.request_count,
        difference=player.difference,
        incomplete_reason=None if player.difference is not None else record.incomplete_reason or cut_off,
        program_now=program,
        divergence=divergence,
        stopped_at=stopped_at,
        shareable_settings=shareable_settings(loaded.settings),
    )


def _load_settings(record: SessionRecord, overrides: Mapping[str, str]) -> LoadedSettings:
    """Return the recorded settings, with `overrides` applied. Raises ConfigError."""
    loaded = settings_from_header(record.header, overrides)
    found = list(loaded.problems)
    if overrides:  # as if in mode SIM, because a replay needs neither keys nor CONFIRM_LIVE
        found += problems(replace(loaded.settings, trading_mode=TradingMode.SIM))
    if found:
        raise ConfigError(found)
    return loaded


async def _run_node(
    record: SessionRecord,
    params: NodeParams,
    player: SessionPlayer,
    loop: ReplayLoop,
    observer: Observer | None,
    nodes: list[TradingNode],
) -> None:
    header = record.header
    runtime = Runtime(
        Endpoints(*header.endpoints),
        # Any key will do: signatures are not in the record, and the player sends none.
        KeyManager.from_private_key(Ed25519PrivateKey.from_private_bytes(bytes(32)), "replayed").with_wrapped_signer(
            player.wrap_signer
        ),
        player.dial,
        player,
        Random(header.seed),
        save_frames=player.wrap_save_frames(_saves_nothing) if header.saves_frames else None,
        stopwatch=ManualClock(),
        observer=_Observers(DecisionObserver(player), *([] if observer is None else [observer])),
    )
    check = player.wrap_key_check(_checks_nothing) if header.checks_key else None
    alerts = RecordedAlerts(_NoAlerts(), player)
    node = build_node(params, runtime, _NoUi(), alerts, verify_key=check)
    player.node = node
    nodes.append(node)
    player.start()
    loop.player = player
    try:
        code = await node.run()
    except Exception as failure:  # noqa: BLE001 - compared with the recorded end like any other output
        player.on_node_finished(error_codec.encode_error(failure))
    else:
        player.on_node_finished(int(code))


async def _saves_nothing(_: list[str]) -> Path:
    """Stand in for saving frames. Never called, because the player returns the recorded result."""
    return Path()


async def _checks_nothing(_: int) -> None:
    """Stand in for the API key check. Never called, because the player returns the recorded result."""


class _Observers:
    """Passes each observer call to several observers."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_tick(self, trader: TradingCore, view: StateView) -> None:
        for observer in self._observers:
            observer.on_tick(trader, view)

    def on_report(self, report: ExecutionReport) -> None:
        for observer in self._observers:
            observer.on_report(report)


class _NoUi:
    """A user interface that shows nothing."""

    def close(self) -> None:
        pass

    def print_line(self, text: str) -> None:
        pass

    def show_step(self, name: str, result: str) -> None:
        pass

    def show_status(self, view: Callable[[], StatusView], now_s: float) -> None:
        pass


class _NoAlerts:
    """Sends no alert, because the recorded session already sent it.

    `RecordedAlerts` still passes the alerts to the comparison.
    """

    def send(self, text: str, level: int = logging.INFO) -> None:
        pass


@contextlib.contextmanager
def _logging_disabled() -> Iterator[None]:
    """Suppress the daemon's log: the recorded session has logged the same."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
