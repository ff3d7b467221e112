"""`trailing-edge replay SESSION`: a recorded session lived again, and told how that went.

Exit codes: 0 where it goes the same way; 1 where it goes another; 78 where the file is no record, or a setting
cannot be.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from trailingedge.errors import ConfigError, ExitCode
from trailingedge.record.files import SUFFIX
from trailingedge.replay.session import replay_session
from trailingedge.replay.session_words import as_data, as_text


def is_session(path: Path) -> bool:
    """By its name, a recorded session."""
    return path.name.endswith(SUFFIX)


def run(path: Path, overrides: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Replay it and tell; `overrides` are settings by name."""
    try:
        replayed = replay_session(path, overrides)
    except ConfigError as wrong:
        for problem in wrong.problems:
            print(problem, file=sys.stderr)
        return ExitCode.CONFIG
    if as_json:
        print(json.dumps(as_data(replayed), indent=2, ensure_ascii=False))
    else:
        print(as_text(replayed))
    return ExitCode.OK if replayed.same else ExitCode.UNEXPECTED
