"""Control sockets of one process: finds the sockets of a daemon by its process id, without its settings.

The name of a control socket contains the symbol. An env file that has just been changed may be wrong or name another
symbol. A service manager knows the process id: `trailing-edge reload --pid $MAINPID` reaches that daemon and no other.
"""

import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from trailingedge.live.control_socket import NoRunningDaemon, runtime_folders

_ANSWER_WITHIN_S: Final = 5.0
_UCRED: Final = struct.Struct("3i")  # unix(7): process id, user id and group id of the process that listens


def sockets_of_process(pid: int, environ: Mapping[str, str]) -> list[Path]:
    """Return the control sockets on which process `pid` listens, in the folders where daemons listen.

    Raises NoRunningDaemon if there is none.
    """
    folders = list(dict.fromkeys(runtime_folders(environ)))
    found = [path for folder in folders for path in sorted(folder.glob("*.sock")) if pid in _listener(path)]
    if not found:
        searched = ", ".join(map(str, folders))
        raise NoRunningDaemon(f"process {pid} has no control socket in {searched}; give its path by --socket")
    return found


def _listener(path: Path) -> Iterator[int]:
    """Yield the id of the process that listens at `path`; nothing if that cannot be found out."""
    option = getattr(socket, "SO_PEERCRED", None)  # Linux only
    if option is None:
        return
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_WITHIN_S)
        try:
            connection.connect(str(path))
            yield _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))[0]
        except OSError:  # no daemon, or not ours to open
            return
