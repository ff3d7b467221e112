"""Control socket: a Unix socket that lets local commands query and control the daemon, one JSON line each way.

A client sends `{"command":"status"}`; the daemon answers `{"version":1,"ok":true,"text":"…"}`, with further fields if
the answer has figures, and closes the connection. If `ok` is false, the command was refused, and the text says why. If
a flip needs a confirmation, the answer has a code in the field `confirmation`; the client sends the flip again with
this code in a field of the same name. After `{"command":"subscribe"}` the daemon keeps the connection and sends lines
as `live.feed_format` defines them. The socket file belongs to the daemon's user and has mode 0600, because a program
that can open it can trade. Each client is served by a task of its own, so that a slow or broken client cannot delay a
tick.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trailingedge.core import foreign_json, private_files
from trailingedge.core.errors import TrailingEdgeError
from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.core.printable import printable_lines
from trailingedge.model.operator_commands import CommandResult, OperatorCommand, SubmitCommand

logger = logging.getLogger(__name__)

CONTROL_VERSION: Final = 1
COMMANDS: Final[Mapping[str, OperatorCommand]] = MappingProxyType(
    {
        "status": OperatorCommand.STATUS,
        "why": OperatorCommand.WHY,
        "balance": OperatorCommand.BALANCE,
        "today": OperatorCommand.TODAY,
        "daily": OperatorCommand.DAILY,
        "trades": OperatorCommand.TRADES,
        "profit": OperatorCommand.PROFIT,
        "flip": OperatorCommand.FLIP,
        "cancel": OperatorCommand.CANCEL,
        "pause": OperatorCommand.PAUSE,
        "resume": OperatorCommand.RESUME,
        "stop": OperatorCommand.QUIT,
        "reload": OperatorCommand.RELOAD,
    }
)
# The field of a request that has the argument of a command.
_ARGUMENTS: Final = {
    OperatorCommand.FLIP: "confirmation",
    OperatorCommand.DAILY: "count",
    OperatorCommand.TRADES: "count",
}
ALIASES: Final[Mapping[str, str]] = MappingProxyType({"withdraw": "cancel"})  # what scripts of older versions send
SUBSCRIBE: Final = "subscribe"  # answered by lines without end
SERVICE_FOLDER: Final = Path("/run/trailing-edge")  # of the system service, as seen from outside

_LONGEST_ARGUMENT: Final = 20
_PATH_BYTES: Final = 107  # unix(7): sun_path has 108, the last is a zero
_REQUEST_BYTES: Final = 1024
_RESPONSE_BYTES: Final = 1024 * 1024
_CLIENT_LIMIT: Final = 16
_CLIENT_TIMEOUT_S: Final = 5.0  # for a client that sends nothing, or does not read its response
_COMMAND_TIMEOUT_S: Final = 60.0  # a command may wait for the market
_PROBE_TIMEOUT_S: Final = 1.0
_NO_FIELDS: Final[Mapping[str, object]] = MappingProxyType({})

Serve = Callable[..., Awaitable[asyncio.Server]]  # shaped like `asyncio.start_unix_server`
Subscription = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[CommandResult | None]]
"""Serves a subscriber until it is gone. Returns an answer if it cannot be served."""
Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
_SERVE: Final[Serve | None] = getattr(asyncio, "start_unix_server", None)


class NoRunningDaemon(TrailingEdgeError):
    """Raised if no daemon can be reached over a socket, or if this daemon cannot listen on it.

    `forbidden`: this user may not open the socket, so a daemon may be running. `command_sent`: the command was sent,
    so the daemon may execute it.
    """

    def __init__(self, reason: str, *, forbidden: bool = False, command_sent: bool = False) -> None:
        super().__init__(reason)
        self.forbidden = forbidden
        self.command_sent = command_sent


def socket_path(symbol: str, environ: Mapping[str, str], log_dir: Path) -> Path:
    """Path on which the daemon of `symbol` listens: in systemd's folder, else in the user's run-time folder, else in
    `log_dir`.
    """
    return socket_candidates(symbol, environ, log_dir)[0]


def socket_candidates(symbol: str, environ: Mapping[str, str], log_dir: Path) -> list[Path]:
    """Paths where a daemon of `symbol` may listen, most likely first. The daemon's environment may differ from ours."""
    *own, service = runtime_folders(environ)
    return list(dict.fromkeys(folder / f"{symbol}.sock" for folder in (*own, log_dir, service)))


def runtime_folders(environ: Mapping[str, str]) -> list[Path]:
    """Folders for run-time files where a daemon may listen, most likely first.

    The last is the folder of the system service.
    """
    given, personal = environ.get("RUNTIME_DIRECTORY", ""), environ.get("XDG_RUNTIME_DIR", "")
    folders = [Path(given.split(":")[0])] if given else []  # a unit may have several, the first is its own
    folders += [Path(personal, "trailing-edge")] if personal else []
    return [*folders, SERVICE_FOLDER]


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A client's command and its argument: the code that confirms a flip, a number of days or trades, or ""."""

    command: OperatorCommand
    argument: str = ""


def parse_request(line: bytes) -> ControlRequest:
    """Return the request on a line of JSON. Raises ValueError with a hint for the client."""
    fields = _fields(line)
    name = fields.get("command")
    command = COMMANDS.get(ALIASES.get(name, name)) if isinstance(name, str) else None
    if command is None:
        known = ", ".join([*COMMANDS, SUBSCRIBE])
        raise ValueError(f'not understood: send one line such as {{"command":"status"}}; commands are {known}')
    field = _ARGUMENTS.get(command)
    value = "" if field is None else fields.get(field, "")
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"not understood: {field} must be a text or a whole number")
    return ControlRequest(command, str(value)[:_LONGEST_ARGUMENT])


def _fields(line: bytes) -> dict[str, object]:
    """Return the JSON object on a line; an empty dict if the line has no object."""
    try:
        request = foreign_json.parse(line)
    except UnreadableJson:
        return {}
    return request if isinstance(request, dict) else {}


def encode_response(result: CommandResult, extra: Mapping[str, object] = _NO_FIELDS) -> bytes:
    """Encode a result as one line of JSON. `extra` holds the fields that the responses to all commands have."""
    frame = {"version": CONTROL_VERSION, "ok": result.done, "text": result.text}
    fields = {**frame, **result.data, **extra, **frame}  # frame twice: its keys stand first, and no data replaces them
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str).encode() + b"\n"


class ControlSocket:
    """The daemon's end of the socket at `path`. If it cannot be opened, the daemon trades without it.

    `submit` executes a command. `account` is our `account_fingerprint`, which every response carries. `serve` is None
    on a platform without Unix sockets. `subscription` serves a client that subscribes to all changes.
    """

    def __init__(
        self,
        path: Path,
        submit: SubmitCommand,
        *,
        account: str = "",
        subscription: Subscription | None = None,
        serve: Serve | None = _SERVE,
        timeout_s: float = _CLIENT_TIMEOUT_S,
        command_timeout_s: float = _COMMAND_TIMEOUT_S,
    ) -> None:
        self.path = path
        self.open = asyncio.Event()
        self.unavailable_reason: str | None = None
        self._submit = submit
        self._extra = {"account": account} if account else _NO_FIELDS
        self._subscription = subscription
        self._serve = serve
        self._timeout_s = timeout_s
        self._command_timeout_s = command_timeout_s
        self._clients = 0

    async def run(self) -> None:
        """Serve clients until cancelled, then remove the socket. Returns at once if the socket cannot be opened."""
        if self._serve is None:
            self.unavailable_reason = "this platform has no such sockets"
            logger.info("control socket not opened: %s; use hotkeys or Telegram", self.unavailable_reason)
            return
        try:
            async with asyncio.TaskGroup() as clients, self._listening(self._serve, clients):
                await asyncio.Event().wait()
        except* (OSError, NoRunningDaemon) as group:
            self.unavailable_reason = str(group.exceptions[0])
            logger.warning("control socket at %s not opened: %s", self.path, self.unavailable_reason)

    @contextlib.asynccontextmanager
    async def _listening(self, serve: Serve, clients: asyncio.TaskGroup) -> AsyncIterator[None]:
        """Keep the socket open while the `async with` block runs. Raises OSError or NoRunningDaemon."""
        path = self.path.absolute()
        if len(os.fsencode(path)) > _PATH_BYTES:
            raise NoRunningDaemon(f"the socket's path is longer than {_PATH_BYTES} bytes; choose a shorter LOG_DIR")
        private_files.make_folder(path.parent)
        await _check_free(path)

        def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self.open.is_set():
                clients.create_task(self._serve_one(reader, writer))
            else:  # a connection that was accepted while we close
                writer.transport.abort()

        server, inode = await _bind(path, serve, greet)
        self.open.set()
        try:
            yield
        finally:
            self.open.clear()
            with contextlib.suppress(OSError):  # the file is gone already
                if path.lstat().st_ino == inode:  # else the path belongs to a newer daemon
                    path.unlink()
            server.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client: read a line, send the response, close."""
        self._clients += 1
        try:
            result = await self._read_and_execute(reader, writer)
            if result is not None:
                writer.write(encode_response(result, self._extra))
            writer.close()
            async with asyncio.timeout(self._timeout_s):
                await writer.wait_closed()
        except (OSError, TimeoutError) as gone:
            logger.debug(
                "! control socket client disconnected too early reason=%s",
                gone or type(gone).__name__,
            )
        except Exception:  # a bug in an answer must not end the task group, and with it the trading
            logger.exception("control socket client got no response, because of a bug")
        finally:
            self._clients -= 1
            writer.transport.abort()

    async def _read_and_execute(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> CommandResult | None:
        """Read and execute the client's command, or serve its subscription.

        Returns None if the client disconnected without sending a command, or after a subscription.
        """
        if self._clients > _CLIENT_LIMIT:
            return CommandResult("busy: too many clients at once; try again", done=False)
        try:
            async with asyncio.timeout(self._timeout_s):
                line = await reader.readuntil()
        except asyncio.IncompleteReadError as end:
            line = end.partial
        except asyncio.LimitOverrunError:
            return CommandResult(f"not understood: a command is one line of at most {_REQUEST_BYTES} bytes", done=False)
        except TimeoutError:
            return CommandResult(f"no command arrived within {self._timeout_s:g} s", done=False)
        if not line:
            return None
        if self._subscription is not None and _fields(line).get("command") == SUBSCRIBE:
            self._clients -= 1  # a subscriber takes no place of those who ask
            try:
                return await self._subscription(reader, writer)
            finally:
                self._clients += 1
        try:
            found = parse_request(line)
        except ValueError as wrong:
            return CommandResult(str(wrong), done=False)
        return await self._execute(found.command, found.argument)

    async def _execute(self, command: OperatorCommand, argument: str) -> CommandResult:
        logger.debug("control socket received command=%s", command.value)
        try:
            async with asyncio.timeout(self._command_timeout_s):
                return await self._submit(command, argument)
        except TimeoutError:
            text = f"{command.value}: no result within {self._command_timeout_s:g} s; it may still be executed"
            return CommandResult(f"{text}; ask for the status", done=False)


async def _bind(path: Path, serve: Serve, greet: Greet) -> tuple[asyncio.Server, int]:
    """Start a server at `path`. Returns it and the inode of its socket file; raises OSError.

    Another user could connect between bind(2) and chmod(2). So the socket is made in a folder of mode 0700 and gets
    its mode there. Then rename(2) moves it to `path` and atomically replaces a file that an earlier daemon left there.
    """
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as hidden:
        made = Path(hidden, "s")
        server = await serve(greet, str(made), limit=_REQUEST_BYTES)
        try:
            return server, _publish(made, path)
        except OSError:
            server.close()
            raise


def _publish(made: Path, path: Path) -> int:
    """Restrict the socket to our user and move it to `path`. Returns its inode."""
    made.chmod(0o600)
    inode = made.stat().st_ino
    made.rename(path)
    return inode


async def _check_free(path: Path) -> None:
    """Raise NoRunningDaemon if a daemon listens at `path`.

    A socket file that a dead daemon left there is accepted. Also raises OSError.
    """
    if not _is_taken(path):
        return
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_unix_connection(path)
    except ConnectionRefusedError:
        return  # left by a process that was killed; `_bind` replaces it
    except TimeoutError:
        pass  # busy, but alive
    else:
        writer.close()
    raise NoRunningDaemon(
        "another daemon uses this socket, and `trailing-edge status`, `flip` and so on go to that daemon; "
        "command this one by hotkeys or Telegram"
    )


def _is_taken(path: Path) -> bool:
    """Whether a socket is at `path`. Raises NoRunningDaemon for any other file, because it must not be replaced."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise NoRunningDaemon("a file that is no socket has that name; move it away")
    return True


def account_fingerprint(symbol: str, ws_api_url: str, api_key: str) -> str:
    """Return an id that all daemons with this symbol, this address of the WebSocket API and this API key share.

    It does not reveal the key.
    """
    return hashlib.sha256(f"{symbol}\n{ws_api_url}\n{api_key}".encode()).hexdigest()[:16]


async def find_running_daemon(
    paths: Iterable[Path], account: str, *, timeout_s: float = _CLIENT_TIMEOUT_S
) -> str | None:
    """Look for a daemon with the fingerprint `account` at `paths`. Returns a message that names it, or None.

    Call this before opening our own socket. A daemon that does not answer in time is ignored: once both daemons trade,
    each detects the other by its order ids.
    """
    for path in paths:
        try:
            response = await request(path, "status", timeout_s=timeout_s)
        except NoRunningDaemon:
            continue
        if response.get("account") == account:
            return (
                f"another daemon trades this symbol with this API key already, and answers at {path}; two would "
                f"undo each other's orders: end that one first ('q' in its terminal, or systemctl stop), or let "
                f"it trade alone"
            )
    return None


async def request(
    path: Path,
    command: str,
    fields: Mapping[str, object] = _NO_FIELDS,
    *,
    timeout_s: float = _COMMAND_TIMEOUT_S + 2 * _CLIENT_TIMEOUT_S,
) -> Mapping[str, object]:
    """Send a command, with the `fields` of its argument, to the daemon that listens at `path`.

    Returns its response; raises NoRunningDaemon.
    """
    reader, writer = await _connect(path)
    try:
        async with asyncio.timeout(timeout_s):
            writer.write(json.dumps({"command": command, **fields}).encode() + b"\n")
            return parse_response(await reader.readline())
    except TimeoutError as error:
        raise NoRunningDaemon(f"no answer within {timeout_s:g} s", command_sent=True) from error
    except (OSError, ValueError) as error:
        raise NoRunningDaemon(str(error), command_sent=True) from error
    finally:
        writer.close()


async def subscribe(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send `subscribe` to the daemon that listens at `path`.

    Returns the reader of its lines. Raises NoRunningDaemon.
    """
    reader, writer = await _connect(path)
    writer.write(json.dumps({"command": SUBSCRIBE}).encode() + b"\n")
    return reader, writer


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the daemon that listens at `path`. Raises NoRunningDaemon."""
    if not hasattr(asyncio, "open_unix_connection"):
        raise NoRunningDaemon("this platform has no control sockets")
    try:
        async with asyncio.timeout(_CLIENT_TIMEOUT_S):
            return await asyncio.open_unix_connection(path, limit=_RESPONSE_BYTES)
    except PermissionError as error:
        raise NoRunningDaemon("this user may not open it", forbidden=True) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:  # no file, or one left by a killed daemon
        raise NoRunningDaemon("no daemon listens there") from error
    except TimeoutError as error:
        raise NoRunningDaemon("it is too busy to accept a connection") from error
    except OSError as error:
        raise NoRunningDaemon(error.strerror or str(error)) from error


def parse_response(line: bytes) -> Mapping[str, object]:
    """Return the fields of a response. Raises NoRunningDaemon if it is not from our daemon."""
    try:
        response = foreign_json.parse(line)
    except UnreadableJson:
        response = None
    if isinstance(response, dict) and isinstance(response.get("text"), str) and isinstance(response.get("ok"), bool):
        return {**response, "text": printable_lines(response["text"])}
    reason = "another program answers there" if line else "it ended before it answered"
    raise NoRunningDaemon(reason, command_sent=True)
