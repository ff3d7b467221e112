"""What is done is kept: one line for each trial, found again by the market and all that was set.

A line that was cut short by a crash is no line; everything else in the file stays as it is, also what other
sweeps have written there.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Final

from trailingedge import VERSION
from trailingedge.config import OPTIONS
from trailingedge.core.errors import ConfigError
from trailingedge.model.market import format_plain
from trailingedge.sweep.search_space import Combination, apply_combination
from trailingedge.sweep.trial import PartResult, TrialOutcome, TrialTask

# Groups of settings that no replay looks at: a sweep goes on although the log went elsewhere.
_IRRELEVANT_GROUPS: Final = frozenset({"Mode", "Secrets", "Logs"})
_BLOCK: Final = 1 << 20


def market_fingerprint(files: Iterable[Path]) -> str:
    """Of the bytes of all files, whatever they are called and in whatever order they are given."""
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
    """What makes a trial the same trial."""
    settings = apply_combination(task.settings, combination)
    stated = {
        "program": VERSION,
        "market": market,
        "settings": {
            name: option.shown(option.of(settings)) for name, option in OPTIONS.items() if name in _relevant_settings()
        },
        "balances": None
        if task.balances is None
        else {asset: format_plain(held) for asset, held in task.balances.items()},
        "symbol": task.symbol,
        "splits": task.splits,
    }
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


class TrialStore:
    """The outcomes of earlier runs by key, and a place for new ones. Without a path it forgets."""

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigError for a file that cannot be read or written."""
        self._outcomes: dict[str, TrialOutcome] = {}
        self._file: IO[str] | None = None
        if path is None:
            return
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            self._read(text)
            if text.strip() and not self._outcomes:
                raise ConfigError([f"--out {path}: a file that holds no trial of a sweep; name a new one"])
            self._file = path.open("a", encoding="utf-8")
            if self._file.tell() and not path.read_bytes().endswith(b"\n"):
                self._file.write("\n")  # the line that was cut short ends here
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError([f"--out {path}: {why}; choose a file that this user may write"]) from error

    def find(self, key: str) -> TrialOutcome | None:
        """What came of it before."""
        return self._outcomes.get(key)

    def add(self, key: str, combination: Combination, outcome: TrialOutcome) -> None:
        """Write it down at once."""
        self._outcomes[key] = outcome
        if self._file is not None:
            row = {"key": key, "set": dict(combination), **asdict(outcome)}
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self, text: str) -> None:
        for line in text.splitlines():
            try:
                row = json.loads(line)
                parts = tuple(PartResult(**part) for part in row["parts"])
                self._outcomes[row["key"]] = TrialOutcome(parts, halted=row["halted"])
            except (ValueError, KeyError, TypeError):
                continue


def _relevant_settings() -> Sequence[str]:
    """The names of the settings that a replay may look at."""
    group, names = "", []
    for name, option in OPTIONS.items():
        group = option.heading or group
        if group not in _IRRELEVANT_GROUPS:
            names.append(name)
    return names
