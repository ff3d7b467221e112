"""Entry point of a session replay: gives the recorded inputs to a trading core, and compares the core's outputs.

With the recorded settings every output line must equal the recorded one, except for fields that an older version did
not record.

With other settings the purpose is to find where the two runs diverge. A second core gets the same inputs, with the
changed settings. Numbers in events and decisions differ long before the second core acts differently. So only actions
are compared: commands, the kinds of events, and the key of a decision, which has the parts that matter for the next
action. Up to that point the first core does what is recorded, so both cores can explain why they act differently.

The replay ends at the first difference, because the replies recorded after it answer requests that the replayed core
did not send.
"""

import contextlib
import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final

from trailingedge.config import LoadedSettings, TradingMode, shareable_settings
from trailingedge.config_validator import problems
from trailingedge.core.errors import ConfigError
from trailingedge.core.foreign_json import parse
from trailingedge.eventlog.decision_sums import DecisionSums, decision_key
from trailingedge.eventlog.format import OUTPUTS, outputs, raised_line, to_text
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.live.factory import node_params
from trailingedge.model.order_commands import Refresh
from trailingedge.session_replay.comparable import says_the_same
from trailingedge.session_replay.explain_divergence import Difference, Divergence, explain_divergence
from trailingedge.session_replay.record_decoder import settings_from_header
from trailingedge.session_replay.recorded_steps import RecordedStep, RecordedSteps
from trailingedge.session_replay.replayed_core import ReplayedSession, ReplayObserver, StepResult, UnreadableStep

ReplayProgress = Callable[[float, int], bool]
"""Called before each input with the share of the record that was read, from 0 to 1, and the time in nanoseconds since
the start. Returns False to stop the replay."""

_ABORTED: Final = "CancelledError"
_OUTPUTS: Final = tuple(f'["{kind}",'.encode() for kind in OUTPUTS)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of a replay.

    `incomplete_reason` says why the record was not played to its end; it is None if it was. `program` and `python` are
    the versions that recorded the session. `program_now` and `python_now` are the versions that replay it. An unknown
    program version is "". `changed_settings` are the settings changed for the replay, and `recorded_values` are their
    values in the record. Times are nanoseconds since the session started; `started_ns` is the wall-clock time of that
    start. `inputs` counts the core's inputs, `requests` its commands to the exchange. `divergence` explains the
    difference. `stopped_at` is the share of the record that had been read when the user stopped the replay; None if it
    was not stopped. `shareable_settings` are the replay's settings by name, without secrets, for a report.
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
    observer: ReplayObserver | None = None,
    *,
    sessions: list[ReplayedSession] | None = None,
    on_progress: ReplayProgress = lambda *_: True,
    program: str = "",
) -> ReplayResult:
    """Replay a session up to its end or the first difference; `overrides` are settings by name.

    `observer` sees every tick. The replayed session is appended to `sessions`, where the caller finds it afterwards.
    `program` is our version. Raises ConfigError for a file that is no record, and for invalid settings.
    """
    record = SessionRecord(path)
    changed = dict(overrides or {})
    loaded = _load_settings(record, {})
    session = ReplayedSession(node_params(loaded.settings), record.header.zero_ns, observer)
    if sessions is not None:
        sessions.append(session)
    other: ReplayedSession | None = None
    if changed:
        loaded = _load_settings(record, changed)
        other = ReplayedSession(node_params(loaded.settings), record.header.zero_ns)
    replay = _Replay(record, session, other)
    with _logging_disabled():
        replay.run(on_progress)
        session.record_sample()
        divergence = replay.explain()
    ended_early = replay.stopped_at is None and replay.difference is None
    return ReplayResult(
        path=path,
        program=record.header.program,
        python=record.header.python,
        changed_settings=changed,
        recorded_values={name: record.header.settings.get(name, "") for name in changed},
        started_ns=record.header.unix_ns,
        at_ns=replay.at_ns,
        lines=record.lines_read,
        inputs=replay.inputs,
        requests=replay.requests,
        difference=replay.difference,
        incomplete_reason=replay.incomplete_reason() if ended_early else None,
        program_now=program,
        divergence=divergence,
        stopped_at=replay.stopped_at,
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


class _Replay:
    """One replay: compares the steps of `record` with the outputs of `session`. `run` is called once.

    `other`, if given, is the same session with other settings; then its actions are compared with those of `session`.
    """

    def __init__(self, record: SessionRecord, session: ReplayedSession, other: ReplayedSession | None) -> None:
        self.at_ns = self.inputs = self.requests = 0
        self.difference: Difference | None = None
        self.stopped_at: float | None = None
        self._record = record
        self._session = session
        self._other = other
        self._steps = RecordedSteps(record)
        self._step: RecordedStep | None = None
        self._decisions = DecisionSums(record.header.fields)

    def run(self, on_progress: ReplayProgress) -> None:
        """Replay up to the end of the record, to the first difference, or until `on_progress` returns False."""
        for step in self._steps:
            if not on_progress(self._record.share_read, self.at_ns):
                self.stopped_at = self._record.share_read
                return
            self._step, self.at_ns = step, step.at_ns
            try:
                self._play(step)
            except UnreadableStep as error:
                self._record.incomplete_reason = (
                    f"{self._record.path.name} has an input that this version cannot read, {step.at_ns / 1e9:.3f} s "
                    f"after the start ({error})"
                )
                return
            if self.difference is not None or self._record.incomplete_reason is not None:
                return

    def explain(self) -> Divergence | None:
        """Explain the difference by the answers of both cores to `why`, and by the alerts in the rest of the record."""
        if self.difference is None or self._step is None:
            return None
        later = [*self._step.alerts, *self._steps.later_alerts()]
        return explain_divergence(self.difference, self._session, self._other, later)

    def incomplete_reason(self) -> str | None:
        """Return why the record does not reach the end of its session; None if it does."""
        name, outcome = self._record.path.name, self._steps.outcome
        if self._record.incomplete_reason is not None:
            return self._record.incomplete_reason
        if outcome is None:
            return f"{name} has no end: the recording process was killed"
        if isinstance(outcome, list) and outcome[0] == _ABORTED:
            return f"{name} ends where the session was aborted, for example by Ctrl-C twice"
        return None

    def _play(self, step: RecordedStep) -> None:
        result = self._session.apply(step.entry)
        self.inputs += 1
        self.requests += sum(not isinstance(command, Refresh) for command in result.commands)
        differs = self._first_difference(step.outputs, self._lines(result), says_the_same)
        if self._other is None:
            self.difference = differs
            return
        if differs is not None:
            self._record.incomplete_reason = (
                f"{step.at_ns / 1e9:.3f} s after the start this version decides differently from the record even "
                "with the recorded settings; replay without --set and --fee to see the difference"
            )
            return
        actions, others = _actions(result), _actions(self._other.apply(step.entry))
        self.difference = self._first_difference(actions, others, _same_action)

    def _lines(self, result: StepResult) -> list[bytes]:
        return _encoded([*outputs(result.commands, result.events), *self._decisions.lines(result.decision)], result)

    def _first_difference(
        self, recorded: Sequence[bytes], replayed: Sequence[bytes], is_same: Callable[[bytes, bytes], bool]
    ) -> Difference | None:
        if self._step is None or recorded == replayed:
            return None
        for prefix in _OUTPUTS:
            ones, others = ([each for each in lines if each.startswith(prefix)] for lines in (recorded, replayed))
            for one, other in zip_longest(ones, others):
                if one is None or other is None or not is_same(one, other):
                    return Difference(self._step.at_ns, one, other, self._step.preceding)
        return None


def _actions(result: StepResult) -> list[bytes]:
    """Return a line for each action in `result`: the command, the event, or the key of the decision."""
    lines = list(outputs(result.commands, result.events))
    if (decision := result.decision) is not None:
        lines.append(f'["decision",{to_text(decision_key(decision))},{to_text(decision)}]')
    return _encoded(lines, result)


def _encoded(lines: list[str], result: StepResult) -> list[bytes]:
    """Return output lines as bytes. If the core raised an error, the last line is that of the error."""
    return [each.encode() for each in (lines if result.raised is None else [*lines, raised_line(result.raised)])]


def _same_action(one: bytes, other: bytes) -> bool:
    """Whether two lines of `_actions` are the same action.

    Commands are compared in full, events and decisions by their first field.
    """
    first, second = parse(one), parse(other)
    if first[0] in ("event", "decision"):
        return bool(first[:2] == second[:2])
    return bool(first == second)


@contextlib.contextmanager
def _logging_disabled() -> Iterator[None]:
    """Suppress the daemon's log lines, because the recorded session has logged them already."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
