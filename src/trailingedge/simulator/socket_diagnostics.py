"""Socket diagnostics: how many bytes the program at the other end of a loopback connection has not read yet.

Both ends of a loopback connection are sockets of this machine, so the kernel knows what the client's socket holds.
Linux tells any process (`sock_diag(7)`, NETLINK_SOCK_DIAG). Elsewhere, or where a sandbox forbids the question, the
answer is unknown.
"""

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Final

SOCK_DIAG_BY_FAMILY: Final = 20
NETLINK_SOCK_DIAG: Final = 4
# struct nlmsghdr, then struct inet_diag_req_v2: family, protocol, extensions, pad, states, ports, addresses,
# interface, cookie. The ports are in network order, the rest in the machine's.
HEADER: Final = struct.Struct("=IHHII")
REQUEST: Final = struct.Struct("=BBBBI")
PORTS: Final = struct.Struct("!HH")
ALL_STATES: Final = 0xFFFF_FFFF
ANY_INTERFACE_AND_COOKIE: Final = bytes(4) + b"\xff" * 8
UNREAD_OFFSET: Final = HEADER.size + 4 + 48 + 4  # of idiag_rqueue in the answer's struct inet_diag_msg
Address = Sequence[object]  # host and port, as `socket.getsockname` returns them


class SocketDiagnostics:
    """Asks the kernel about sockets of this machine, between `open` and `close`."""

    def __init__(self) -> None:
        self._netlink: socket.socket | None = None
        self._sequence = 0

    def open(self) -> None:
        """Open the socket for questions to the kernel. Without it every answer is None."""
        if self._netlink is not None:
            return
        with contextlib.suppress(AttributeError, OSError):  # not Linux, or forbidden
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG)  # type: ignore[attr-defined, unused-ignore]
            self._netlink.setblocking(False)

    def close(self) -> None:
        """Close the socket that `open` opened."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def unread_bytes(self, client: Address, server: Address) -> int | None:
        """Return how many received bytes the program has not read from its IPv4 socket; None if unknown.

        `client` is that socket's address, `server` its peer's. Returns 0 for a socket that no longer exists.
        """
        if self._netlink is None:
            return None
        self._sequence += 1
        try:
            self._netlink.send(_request(client, server, self._sequence))
            # The kernel answers within `send`, so the answer is there, or never comes.
            answer = self._netlink.recv(4096)
        except OSError:
            return None
        _, kind, _, sequence, _ = HEADER.unpack_from(answer)
        if sequence != self._sequence:
            return None
        if kind != SOCK_DIAG_BY_FAMILY:
            return 0
        (unread,) = struct.unpack_from("=I", answer, UNREAD_OFFSET)
        return int(unread)


def _request(client: Address, server: Address, sequence: int) -> bytes:
    body = (
        REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, ALL_STATES)
        + PORTS.pack(client[1], server[1])
        + _padded(client[0])
        + _padded(server[0])
        + ANY_INTERFACE_AND_COOKIE
    )
    return HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, 1, sequence, 0) + body


def _padded(host: object) -> bytes:
    """Return an IPv4 address, padded to the sixteen bytes of an address field in the request."""
    return socket.inet_aton(str(host)) + bytes(12)
