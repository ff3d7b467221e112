"""`trailing-edge replay SESSION`: a recorded session lived again, and told how that went.

Exit codes: 0 where it goes the same way, and with other settings also where it parts ways, for that is what was
asked; 1 where it goes another way with the settings it was recorded with; 130 where Ctrl-C ended it before that was
known.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from trailingedge.core.errors import ExitCode
from trailingedge.report.progress import on_stderr, replay_progress, stop_on_ctrl_c
from trailingedge.session_replay.result_text import interrupted_text, result_json, result_text
from trailingedge.session_replay.run import replay_session


def run(path: Path, overrides: Mapping[str, str], *, as_json: bool, program: str = "") -> ExitCode:
    """Replay it and tell; `overrides` are settings by name, `program` is our version.

    Raises ConfigError for a file that is no record, and for settings that cannot be.
    """
    bar = on_stderr()
    try:
        with stop_on_ctrl_c() as asked:
            replayed = replay_session(path, overrides, glance=replay_progress(bar, asked), program=program)
    finally:
        bar.close()
    if replayed.stopped_at is not None:
        print(interrupted_text(replayed), file=sys.stderr)
        return ExitCode.INTERRUPTED
    if as_json:
        print(json.dumps(result_json(replayed), indent=2, ensure_ascii=False))
    else:
        print(result_text(replayed))
    return ExitCode.OK if replayed.is_same or replayed.changed_settings else ExitCode.UNEXPECTED
