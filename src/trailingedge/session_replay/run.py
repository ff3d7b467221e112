"""`replay_session`: a recorded session lived again, and what came of that."""

import contextlib
import logging
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings, TradingMode
from trailingedge.config_validator import problems
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ConfigError
from trailingedge.eventlog import error_codec
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.recorder import DecisionObserver, RecordedAlerts
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.factory import Observer, Runtime
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.notifications.status import StatusView
from trailingedge.session_replay.comparison import Difference
from trailingedge.session_replay.deserialize import settings_from_header
from trailingedge.session_replay.divergence import Divergence, explain_divergence
from trailingedge.session_replay.player import (
    EndOfRecord,
    ReplayDiverged,
    ReplayLoop,
    ReplayProgress,
    ReplayStopped,
    SessionPlayer,
)
from trailingedge.simulator.virtual_loop import Deadlock


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """How it went. `trouble` says why the record was not played to its end, None where it was.

    `program` and `python` are the versions that recorded it, `program_now` and `python_now` those that replay it; a
    program may be unknown, "". `changed` are the settings that were not the recorded ones, `before` what they were.
    Times are nanoseconds since the session began, `begun_ns` the wall clock then. `fork` tells of the place of the
    difference. `stopped_at` is the share of the record that was read when somebody asked for an end, None where
    nobody did.
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

    @property
    def is_same(self) -> bool:
        return self.difference is None

    @property
    def python_now(self) -> str:
        return platform.python_version()


def replay_session(
    path: Path,
    overrides: Mapping[str, str] | None = None,
    witness: Observer | None = None,
    *,
    daemon: list[TradingNode] | None = None,
    glance: ReplayProgress = lambda *_: True,
    program: str = "",
) -> ReplayResult:
    """Live it again; with `overrides`, settings by name, until it goes another way.

    `witness` looks on; `daemon`, where given, is filled with the one that lived. `glance` is told before each
    moment how much of the record has been read, from 0 to 1, and the time in nanoseconds since the beginning;
    where it returns False, that is the end. `program` is our version. Raises ConfigError for a file that is no
    record, and for settings that cannot be.
    """
    record = SessionRecord(path)
    changed = dict(overrides or {})
    settings = replay_settings(record, changed)
    player = SessionPlayer(record, acts_only=bool(changed), glance=glance)
    loop = ReplayLoop()
    lives: list[TradingNode] = [] if daemon is None else daemon
    stopped_at: float | None = None
    with _logging_disabled():
        try:
            try:
                loop.run_until_complete(_run_node(record, settings, player, loop, witness, lives))
            except (EndOfRecord, ReplayDiverged):
                pass
            except ReplayStopped:
                stopped_at = record.share_read
            lines = record.lines_read
            # Before the end of what is left of the daemon moves it on.
            fork = None if player.difference is None else explain_divergence(player.difference, player, record.header)
        finally:
            player.ignores_output = True
            loop.player = None
            with contextlib.suppress(Deadlock):
                loop.cancel_tasks()
                loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
    whole = player.finished or player.at_recorded_end or stopped_at is not None
    cut_off = None if whole or record.incomplete_reason else f"{path.name} has no end: whoever wrote it was killed"
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
        divergence=fork,
        stopped_at=stopped_at,
    )


def replay_settings(record: SessionRecord, overrides: Mapping[str, str]) -> Settings:
    """The recorded ones, but for these. Raises ConfigError."""
    reading = settings_from_header(record.header, overrides)
    wrong = list(reading.problems)
    if overrides:  # keys and consent are of no matter here
        wrong += problems(replace(reading.settings, trading_mode=TradingMode.SIM))
    if wrong:
        raise ConfigError(wrong)
    return reading.settings


async def _run_node(
    record: SessionRecord,
    settings: Settings,
    player: SessionPlayer,
    loop: ReplayLoop,
    witness: Observer | None,
    lives: list[TradingNode],
) -> None:
    head = record.header
    nothing_saved = player.wrap_save_frames(_saves_nothing) if head.saves_frames else None
    surroundings = Runtime(
        Endpoints(*head.endpoints),
        KeyManager.from_private_key(Ed25519PrivateKey.from_private_bytes(bytes(32)), "replayed").with_wrapped_signer(
            player.wrap_signer
        ),
        player.dial,
        player,
        Random(head.seed),
        save_frames=nothing_saved,
        stopwatch=ManualClock(),
        observer=_Observers(DecisionObserver(player), *([] if witness is None else [witness])),
    )
    check = player.wrap_key_check(_checks_nothing) if head.checks_key else None
    daemon = TradingNode(settings, surroundings, _NoUi(), RecordedAlerts(_NoAlerts(), player), verify_key=check)
    player.node = daemon
    lives.append(daemon)
    player.start()
    loop.player = player
    try:
        code = await daemon.run()
    except Exception as failure:  # noqa: BLE001 - the record knows whether it was to be expected
        player.on_node_finished(error_codec.encode_error(failure))
    else:
        player.on_node_finished(int(code))


async def _saves_nothing(_: list[str]) -> Path:
    """The record knows what came of it."""
    return Path()


async def _checks_nothing(_: int) -> None:
    """The record knows what came of it."""


class _Observers:
    def __init__(self, *witnesses: Observer) -> None:
        self._observers = witnesses

    def on_tick(self, trader: TradingCore, view: StateView) -> None:
        for witness in self._observers:
            witness.on_tick(trader, view)

    def on_report(self, report: ExecutionReport) -> None:
        for witness in self._observers:
            witness.on_report(report)


class _NoUi:
    def close(self) -> None:
        """It was never open."""

    def print_line(self, text: str) -> None:
        """Nobody looks."""

    def show_step(self, name: str, result: str) -> None:
        """Nobody looks."""

    def show_status(self, view: StatusView, now_s: float) -> None:
        """Nobody looks."""


class _NoAlerts:
    def send(self, text: str, level: int = logging.INFO) -> None:
        """Nobody is told twice."""


@contextlib.contextmanager
def _logging_disabled() -> Iterator[None]:
    """What the daemon logs it has logged before."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
