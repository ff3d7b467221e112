"""Fake service manager: the receiving end of $NOTIFY_SOCKET."""

import socket

from tests.limits import PATIENCE_S


class Ear:
    """The manager's end of the socket."""

    def __init__(self, address: str | bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[list[str]]:
        """The messages since the last time, as lines."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages

    def hear(self) -> list[str]:
        """The next message, which is waited for."""
        self._socket.settimeout(PATIENCE_S)
        try:
            return self._socket.recv(4096).decode().split("\n")
        finally:
            self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def hear_until(self, line: str) -> list[str]:
        """The next message that has that line; what comes before is passed over."""
        while line not in (message := self.hear()):
            pass
        return message
