"""Store of trial results: a file with one JSON line per trial. The key of a trial is a hash of market and settings.

A line that is incomplete because of a crash is ignored. All other lines stay in the file, including the results of
other sweeps.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

from trailingedge import VERSION
from trailingedge.config import OPTIONS
from trailingedge.core import bounded_files, foreign_json, number_text, private_files
from trailingedge.core.errors import ConfigError
from trailingedge.model.market import format_plain
from trailingedge.sweep.search_space import Combination
from trailingedge.sweep.trial import PartResult, RunOutcome, TrialOutcome, TrialTask

# Groups of settings that do not affect a backtest: a sweep continues even if, for example, LOG_DIR has changed.
_IRRELEVANT_GROUPS: Final = frozenset({"Mode", "Secrets", "Logs"})
_BLOCK: Final = 1 << 20
_MOST_BYTES: Final = 256 << 20  # a million trials


def market_fingerprint(files: Iterable[Path]) -> str:
    """Return a hash of the content of all files, independent of their names and order."""
    digests = []
    for file in files:
        digest = hashlib.sha256()
        try:
            with file.open("rb") as data:
                while block := data.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise ConfigError([f"{file}: {error.strerror}"]) from error
        digests.append(digest.hexdigest())
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def trial_key(market: str, task: TrialTask, combination: Combination) -> str:
    """Return the key under which a trial is stored.

    Two trials have the same key if program version, market, settings, balances, splits and scenario
    are equal.
    """
    # Each value as `shown` writes it, so that two texts of one value ("0.10", "0.1") are one key.
    changes = {name: OPTIONS[name].shown(OPTIONS[name].read(text)) for name, text in combination.items()}
    settings = {**task.settings, **changes}
    # The program's version is part of the key: another version may trade differently with the same settings.
    stated = {
        "program": VERSION,
        "market": market,
        "settings": {name: settings[name] for name in _relevant_settings()},
        "balances": None
        if task.balances is None
        else {asset: format_plain(held) for asset, held in task.balances.items()},
        "symbol": task.symbol,
        "splits": task.splits,
        "scenario": [task.scenario.walk.value, task.scenario.paths, task.scenario.latency_ms],
    }
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


class TrialStore:
    """Results of trials by key. They are read from a file, and new results are appended to it.

    Without a path, there is no file.
    """

    def __init__(self, path: Path | None) -> None:
        """Read the results of earlier runs from `path`.

        Raises ConfigError if the file cannot be read or written, or is not from a sweep.
        """
        self._outcomes: dict[str, TrialOutcome] = {}
        self._file: BinaryIO | None = None
        if path is None:
            return
        try:
            text = bounded_files.read(path, _MOST_BYTES).decode() if path.exists() else ""
            self._read(text)
            if text.strip() and not self._outcomes:
                raise ConfigError([f"--out {path}: this file is not from a sweep; name a new one"])
            self._file = private_files.open_chosen(path, append=True)
            if text and not text.endswith("\n"):
                self._file.write(b"\n")  # ends the line that a crash has cut short
        except (OSError, UnicodeDecodeError, bounded_files.TooLarge) as error:
            why = error.strerror if isinstance(error, OSError) else f"it is no result file of a sweep ({error})"
            raise ConfigError([f"--out {path}: {why}; choose a file that this user may write"]) from error

    def find(self, key: str) -> TrialOutcome | None:
        """Return the stored result of a trial; None if there is none yet."""
        return self._outcomes.get(key)

    def add(self, key: str, combination: Combination, outcome: TrialOutcome) -> None:
        """Store a result on disk at once, because a sweep may run for hours and be killed."""
        self._outcomes[key] = outcome
        if self._file is not None:
            row = {"key": key, "set": dict(combination), **asdict(outcome)}
            self._file.write(f"{json.dumps(row)}\n".encode())
            # To the disk at once: a power cut costs at most the line being written.
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self, text: str) -> None:
        for line in text.splitlines():
            try:
                key, outcome = _parse_trial(line)
            except (ValueError, LookupError, TypeError):  # cut short by a crash, or of another program
                continue
            self._outcomes[key] = outcome


def _parse_trial(line: str) -> tuple[str, TrialOutcome]:
    """Return the key and the result of a trial.

    Raises ValueError, LookupError or TypeError if the line is not a trial.
    """
    row = foreign_json.parse(line)
    key, runs = row["key"], tuple(map(_parse_run, row["runs"]))
    if not isinstance(key, str) or not runs:
        raise TypeError("key or runs")
    return key, TrialOutcome(runs)


def _parse_run(data: Mapping[str, Any]) -> RunOutcome:
    halted = data["halted"]
    if not isinstance(halted, bool):
        raise TypeError("halted")
    parts = tuple(
        PartResult(
            number_text.finite(part["growth"]),
            number_text.finite(part["hold"]),
            number_text.finite(part["drawdown_frac"]),
            number_text.integer(part["exits"]),
            tuple(map(number_text.finite, part["returns"])),
            tuple(map(number_text.finite, part["trips"])),
        )
        for part in data["parts"]
    )
    return RunOutcome(number_text.integer(data["market"]), parts, halted)


def _relevant_settings() -> Sequence[str]:
    """Return the names of the settings that can affect a backtest."""
    group, names = "", []
    for name, option in OPTIONS.items():
        group = option.heading or group
        if group not in _IRRELEVANT_GROUPS:
            names.append(name)
    return names
