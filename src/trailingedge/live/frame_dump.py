"""Frame dump: saves the last WebSocket frames to a file after a halt, to find the bug that caused it."""

import asyncio
import logging

from trailingedge.live.node_dependencies import SaveFrames
from trailingedge.notifications import risk_messages
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.websocket.recent_frames import FrameBuffer


class FrameDump:
    """Copies the last frames at a halt and saves them in a separate task, so that no tick waits for a disk."""

    def __init__(self, frames: FrameBuffer, save: SaveFrames | None, alerts: Alerts) -> None:
        self._frames = frames
        self._save = save
        self._alerts = alerts
        self._requests: asyncio.Queue[list[str]] = asyncio.Queue()

    def request(self) -> None:
        """Copy the last WebSocket frames now. `run` saves the copy to a file."""
        self._requests.put_nowait(self._frames.lines())

    async def run(self) -> None:
        """Save each copy of the last frames that `request` has made, until cancelled."""
        while True:
            frames = await self._requests.get()
            if self._save is None:
                continue
            try:
                path = await self._save(frames)
            except OSError as error:
                self._alerts.send(risk_messages.frames_lost(str(error)), logging.WARNING)
            else:
                self._alerts.send(risk_messages.frames_saved(path))
