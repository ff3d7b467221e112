"""Recent frames: keeps the newest frames of each connection in memory, to save them to a file after an error."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trailingedge.core import private_files
from trailingedge.core.printable import frame_text
from trailingedge.core.redaction import ELLIPSIS, redact

FRAMES_KEPT: Final = 200
FILE_NAME: Final = "frames_%Y-%m-%d_%H-%M-%S"
FILES_KEPT: Final = 20
_SAVED: Final = "frames_????-??-??_??-??-??*.txt"
_SHOWN: Final = 2000  # a list of orders or klines may be of megabytes


class FrameBuffer:
    """Keeps the newest frames of each channel.

    The limit is per channel, so that a busy market does not push out the frames of the account.
    """

    def __init__(self, unix_ms: Callable[[], int], kept: int = FRAMES_KEPT) -> None:
        self._unix_ms = unix_ms
        self._kept = kept
        self._channels: dict[str, deque[tuple[int, int, str, str | bytes]]] = {}
        self._count = 0

    def add(self, channel: str, direction: str, frames: Sequence[str | bytes]) -> None:
        """Add frames that were sent (">") or received ("<") together. Only their beginnings are kept."""
        kept = self._channels.get(channel)
        if kept is None:
            kept = self._channels[channel] = deque(maxlen=self._kept)
        unix_ms = self._unix_ms()
        for frame in frames[-self._kept :]:
            self._count += 1
            kept.append((unix_ms, self._count, direction, frame[:_SHOWN]))

    def lines(self) -> list[str]:
        """Return all kept frames as lines, oldest first, without API key and signature."""
        kept = [
            (count, unix_ms, channel, direction, frame)
            for channel, frames in self._channels.items()
            for unix_ms, count, direction, frame in frames
        ]
        return [
            f"{_time(unix_ms)} {channel} {direction} {_text(frame)}"
            for _, unix_ms, channel, direction, frame in sorted(kept, key=lambda entry: entry[0])
        ]


def save(lines: list[str], log_dir: Path, now: datetime) -> Path:
    """Write `lines` to a new file in `log_dir` and return its path. Blocks; raises OSError.

    Only the newest FILES_KEPT of these files are kept; older ones are deleted.
    """
    private_files.make_folder(log_dir)
    stem = now.astimezone(UTC).strftime(FILE_NAME)
    number = 1
    while True:
        path = log_dir / (f"{stem}.txt" if number == 1 else f"{stem}_{number}.txt")
        try:
            file = private_files.create(path)
        except FileExistsError:
            number += 1
            continue
        private_files.write_all(file, "".join(f"{line}\n" for line in lines).encode(errors="replace"))
        _delete_oldest(log_dir)
        return path


def _delete_oldest(log_dir: Path) -> None:
    # The time of a file is that of its content; its name would put the tenth of a second before the second.
    saved = sorted(log_dir.glob(_SAVED), key=lambda path: (path.lstat().st_mtime_ns, path.name))
    for path in saved[:-FILES_KEPT]:
        path.unlink(missing_ok=True)


def _text(frame: str | bytes) -> str:
    return redact(frame_text(frame), ELLIPSIS)


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
