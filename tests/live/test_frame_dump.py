"""Frame dump: the frames of the moment of a halt are saved, and an alert says where, or that they are lost."""

import asyncio
from pathlib import Path

from tests.daemon_harness import RecordingUi

from trailingedge.live.frame_dump import FrameDump
from trailingedge.live.node_dependencies import SaveFrames
from trailingedge.websocket.recent_frames import FrameBuffer


class Disk:
    """Takes frames, unless it is full."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.saved: list[list[str]] = []

    async def save(self, lines: list[str]) -> Path:
        if self.full:
            raise OSError("no space left on device")
        self.saved.append(lines)
        return Path("frames.txt")


async def alerts_of(save: SaveFrames | None, *frames: str) -> list[str]:
    """The alerts after a halt behind `frames`; one more frame arrives before the dump runs."""
    ui, buffer = RecordingUi(), FrameBuffer(lambda: 0)
    dump = FrameDump(buffer, save, ui)
    buffer.add("api", "<", frames)
    dump.request()
    buffer.add("api", "<", ["after the halt"])
    running = asyncio.create_task(dump.run())
    for _ in range(3):  # its task begins, saves and reports
        await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    return [text for _, text in ui.alerts]


async def test_the_frames_before_the_halt_are_saved() -> None:
    disk = Disk()
    (alert,) = await alerts_of(disk.save, "one", "two")
    assert "frames.txt" in alert
    ((first, second),) = disk.saved
    assert first.endswith("one")
    assert second.endswith("two")


async def test_frames_that_cannot_be_saved_are_reported_lost() -> None:
    (alert,) = await alerts_of(Disk(full=True).save, "one")
    assert "no space left on device" in alert


async def test_without_a_place_for_them_nothing_is_saved_or_said() -> None:
    assert await alerts_of(None, "one") == []
