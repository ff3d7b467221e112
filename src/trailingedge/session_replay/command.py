"""Command `trailing-edge replay SESSION`: replays a recorded session and prints the result.

Exit codes: 0 if the outputs of the replay equal those of the record. 0 also if the replay had other settings, because a
difference is then expected. 1 if the outputs differ although the settings are the recorded ones. 130 after Ctrl-C.
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
    """Replay the session and print the result; `overrides` are settings by name, `program` is our version.

    Raises ConfigError for a file that is no record, and for invalid settings.
    """
    bar = on_stderr()
    try:
        with stop_on_ctrl_c() as stop_asked:
            replayed = replay_session(path, overrides, on_progress=replay_progress(bar, stop_asked), program=program)
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
