"""The control socket: one JSON line each way, between a running daemon and whoever may read its socket.

`{"command":"status"}` is answered by `{"version":1,"ok":true,"text":"…"}` and, where there are figures, by
more fields beside these; `ok` false is a refusal, and the text says why. Then the connection is closed. It
is a file of the daemon's own user: who may open it may trade. Nothing said here can disturb a beat.
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
from pathlib import Path
from types import MappingProxyType
from typing import Final

from trailingedge.core.errors import TrailingEdgeError
from trailingedge.model.operator_commands import CommandResult, CommandSink, OperatorCommand

logger = logging.getLogger(__name__)

CONTROL_VERSION: Final = 1
COMMANDS: Final[Mapping[str, OperatorCommand]] = MappingProxyType(
    {
        "status": OperatorCommand.STATUS,
        "why": OperatorCommand.WHY,
        "balance": OperatorCommand.BALANCE,
        "today": OperatorCommand.TODAY,
        "flip": OperatorCommand.FLIP,
        "cancel": OperatorCommand.CANCEL,
        "pause": OperatorCommand.PAUSE,
        "resume": OperatorCommand.RESUME,
        "stop": OperatorCommand.QUIT,
    }
)
ALIASES: Final[Mapping[str, str]] = MappingProxyType({"withdraw": "cancel"})  # what scripts of older versions send
SERVICE_FOLDER: Final = Path("/run/trailing-edge")  # of the system service, as seen from outside

_PATH_BYTES: Final = 107  # unix(7): sun_path has 108, the last is a zero
_REQUEST_BYTES: Final = 1024
_ANSWER_BYTES: Final = 1024 * 1024
_MOST_CLIENTS: Final = 16
_PATIENCE_S: Final = 5.0  # with a client that says nothing, or does not listen
_THINKING_S: Final = 60.0  # a command may wait for the market, but not for ever
_PROBE_S: Final = 1.0
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})

Serve = Callable[..., Awaitable[asyncio.Server]]  # shaped like `asyncio.start_unix_server`
Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
_SERVE: Final[Serve | None] = getattr(asyncio, "start_unix_server", None)


class NoRunningDaemon(TrailingEdgeError):
    """No daemon can be talked to over that socket, or it said nothing to the point.

    `forbidden`: there may be one, but not for this user. `asked`: it has heard the command, and may obey.
    """

    def __init__(self, reason: str, *, forbidden: bool = False, asked: bool = False) -> None:
        super().__init__(reason)
        self.forbidden = forbidden
        self.command_sent = asked


def socket_path(symbol: str, environ: Mapping[str, str], log_dir: Path) -> Path:
    """Where the daemon of `symbol` listens: systemd's folder, else the user's run-time folder, else `log_dir`."""
    return socket_candidates(symbol, environ, log_dir)[0]


def socket_candidates(symbol: str, environ: Mapping[str, str], log_dir: Path) -> list[Path]:
    """Where a daemon of `symbol` may listen, likeliest first: it may live in another environment than we do."""
    given, personal = environ.get("RUNTIME_DIRECTORY", ""), environ.get("XDG_RUNTIME_DIR", "")
    folders = [Path(given.split(":")[0])] if given else []  # a unit may have several, the first is its own
    folders += [Path(personal, "trailing-edge")] if personal else []
    return list(dict.fromkeys(folder / f"{symbol}.sock" for folder in (*folders, log_dir, SERVICE_FOLDER)))


def parse_request(line: bytes) -> OperatorCommand:
    """What a line asks for. Raises ValueError with what was wrong with it and how to put it right."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    name = request.get("command") if isinstance(request, dict) else None
    instruction = COMMANDS.get(ALIASES.get(name, name)) if isinstance(name, str) else None
    if instruction is None:
        known = ", ".join(COMMANDS)
        raise ValueError(f'not understood: say one line such as {{"command":"status"}}; commands are {known}')
    return instruction


def encode_response(answer: CommandResult, beside: Mapping[str, object] = _NOTHING) -> bytes:
    """An answer as one line of JSON, with what is told `beside` every one."""
    frame = {"version": CONTROL_VERSION, "ok": answer.done, "text": answer.text}
    fields = {**frame, **answer.data, **beside, **frame}  # no figure may hide how it went
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str).encode() + b"\n"


class ControlSocket:
    """The daemon's end, at `path`. It is a convenience: where it cannot be, the daemon goes on without.

    `account` is the mark that every answer bears, as `account_fingerprint` makes it. `serve` is None on a platform
    without such sockets.
    """

    def __init__(
        self,
        path: Path,
        obey: CommandSink,
        *,
        account: str = "",
        serve: Serve | None = _SERVE,
        patience_s: float = _PATIENCE_S,
        thinking_s: float = _THINKING_S,
    ) -> None:
        self.path = path
        self.open = asyncio.Event()
        self.unavailable_reason: str | None = None  # why it cannot be
        self._obey = obey
        self._beside = {"account": account} if account else _NOTHING
        self._serve = serve
        self._patience_s = patience_s
        self._thinking_s = thinking_s
        self._clients = 0

    async def run(self) -> None:
        """Listen until cancelled, and leave nothing behind. Returns at once where nobody can listen."""
        if self._serve is None:
            self.unavailable_reason = "this platform has no such sockets"
            logger.info("no control socket: %s; hotkeys and Telegram do as well", self.unavailable_reason)
            return
        try:
            async with asyncio.TaskGroup() as clients, self._listening(self._serve, clients):
                await asyncio.Event().wait()
        except* (OSError, NoRunningDaemon) as group:
            self.unavailable_reason = str(group.exceptions[0])
            logger.warning("no control socket at %s: %s", self.path, self.unavailable_reason)

    @contextlib.asynccontextmanager
    async def _listening(self, serve: Serve, clients: asyncio.TaskGroup) -> AsyncIterator[None]:
        """Meanwhile the socket is there. Raises OSError or NobodyAnswers."""
        path = self.path.absolute()
        if len(os.fsencode(path)) > _PATH_BYTES:
            raise NoRunningDaemon(f"the path is longer than {_PATH_BYTES} bytes; choose a shorter LOG_DIR")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await _make_way(path)

        def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self.open.is_set():
                clients.create_task(self._serve_one(reader, writer))
            else:  # it came through the door while we were closing it
                writer.transport.abort()

        server, inode = await _appear(path, serve, greet)
        self.open.set()
        try:
            yield
        finally:
            self.open.clear()
            with contextlib.suppress(OSError):  # somebody has tidied up
                if path.lstat().st_ino == inode:  # else it is another daemon's by now
                    path.unlink()
            server.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client: a line, an answer, goodbye."""
        self._clients += 1
        try:
            answer = await self._converse(reader)
            if answer is not None:
                writer.write(encode_response(answer, self._beside))
            writer.close()
            async with asyncio.timeout(self._patience_s):
                await writer.wait_closed()
        except (OSError, TimeoutError) as gone:
            logger.debug("! control client left reason=%s", gone or type(gone).__name__)
        except Exception:  # whatever is wrong with an answer must not end the trade
            logger.exception("control client could not be answered")
        finally:
            self._clients -= 1
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader) -> CommandResult | None:
        """What to answer; None to one who only looked whether somebody is there."""
        if self._clients > _MOST_CLIENTS:
            return CommandResult("busy: too many ask at once; try again", done=False)
        try:
            async with asyncio.timeout(self._patience_s):
                line = await reader.readuntil()
        except asyncio.IncompleteReadError as end:
            line = end.partial
        except asyncio.LimitOverrunError:
            return CommandResult(f"not understood: a command is one line of at most {_REQUEST_BYTES} bytes", done=False)
        except TimeoutError:
            return CommandResult(f"nothing was asked within {self._patience_s:g} s", done=False)
        if not line:
            return None
        try:
            instruction = parse_request(line)
        except ValueError as wrong:
            return CommandResult(str(wrong), done=False)
        return await self._ask(instruction)

    async def _ask(self, instruction: OperatorCommand) -> CommandResult:
        answered: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()

        def tell(answer: CommandResult) -> None:
            if not answered.done():  # given up meanwhile
                answered.set_result(answer)

        logger.debug("control command=%s", instruction.name.lower())
        self._obey(instruction, tell)
        try:
            async with asyncio.timeout(self._thinking_s):
                return await answered
        except TimeoutError:
            said = f"{instruction.name.lower()}: asked for, and nothing came of it within {self._thinking_s:g} s"
            return CommandResult(f"{said}; status tells how things stand", done=False)


async def _appear(path: Path, serve: Serve, greet: Greet) -> tuple[asyncio.Server, int]:
    """A server at `path` and the number of its file. Raises OSError.

    It is made where nobody else can reach it, and moved to its place once it is closed to others; what was left
    there is replaced in the same instant.
    """
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as hidden:
        made = Path(hidden, "s")
        server = await serve(greet, str(made), limit=_REQUEST_BYTES)
        try:
            return server, _reveal(made, path)
        except OSError:
            server.close()
            raise


def _reveal(made: Path, path: Path) -> int:
    """Move a socket to its place, closed to others; the number of its file."""
    made.chmod(0o600)
    inode = made.stat().st_ino
    made.rename(path)
    return inode


async def _make_way(path: Path) -> None:
    """See that no living socket is at `path`, nor anything else. Raises NobodyAnswers or OSError."""
    if not _is_taken(path):
        return
    try:
        async with asyncio.timeout(_PROBE_S):
            _, writer = await asyncio.open_unix_connection(path)
    except ConnectionRefusedError:
        return  # left by a process that is no more; it will be replaced
    except TimeoutError:
        pass  # too busy to say so, but alive
    else:
        writer.close()
    raise NoRunningDaemon(
        "another daemon listens there; trailing-edge status, flip and the like reach that one and not this one, "
        "which hears its keys and Telegram alone"
    )


def _is_taken(path: Path) -> bool:
    """Whether there is a socket. Raises NobodyAnswers for anything else, which is not ours to replace."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise NoRunningDaemon("something else has that name; move it away")
    return True


def account_fingerprint(symbol: str, ws_api_url: str, api_key: str) -> str:
    """The same for all daemons that would trade one symbol on one account; it tells the key to nobody."""
    return hashlib.sha256(f"{symbol}\n{ws_api_url}\n{api_key}".encode()).hexdigest()[:16]


async def find_running_daemon(places: Iterable[Path], account: str, *, patience_s: float = _PATIENCE_S) -> str | None:
    """What to tell where a daemon with that mark answers at one of `places`; None where none does.

    To be asked before the own socket is made. Who does not answer in time is not taken for one of ours: once
    both trade, each recognises the other by the order ids.
    """
    for place in places:
        try:
            answer = await request(place, "status", patience_s=patience_s)
        except NoRunningDaemon:
            continue
        if answer.get("account") == account:
            return (
                f"another daemon trades this symbol with this API key already, and answers at {place}; two would "
                f"undo each other's orders: end that one first ('q' in its terminal, or systemctl stop), or let "
                f"it trade alone"
            )
    return None


async def request(
    path: Path, command: str, *, patience_s: float = _THINKING_S + 2 * _PATIENCE_S
) -> Mapping[str, object]:
    """The client's end: the answer of the daemon that listens at `path`. Raises NobodyAnswers."""
    reader, writer = await _connect(path)
    try:
        async with asyncio.timeout(patience_s):
            writer.write(json.dumps({"command": command}).encode() + b"\n")
            return _read_answer(await reader.readline())
    except TimeoutError as error:
        raise NoRunningDaemon(f"no answer within {patience_s:g} s", command_sent=True) from error
    except (OSError, ValueError) as error:
        raise NoRunningDaemon(str(error), command_sent=True) from error
    finally:
        writer.close()


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises NobodyAnswers."""
    if not hasattr(asyncio, "open_unix_connection"):
        raise NoRunningDaemon("this platform has no control sockets")
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await asyncio.open_unix_connection(path, limit=_ANSWER_BYTES)
    except PermissionError as error:
        raise NoRunningDaemon("this user may not talk to it", forbidden=True) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:  # never there, or left by one that was killed
        raise NoRunningDaemon("nobody listens there") from error
    except TimeoutError as error:
        raise NoRunningDaemon("it is too busy to listen") from error
    except OSError as error:
        raise NoRunningDaemon(error.strerror or str(error)) from error


def _read_answer(line: bytes) -> Mapping[str, object]:
    """Raises NobodyAnswers for what no daemon of ours would say."""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("text"), str) and isinstance(answer.get("ok"), bool):
        return answer
    reason = "what answers there is no daemon of ours" if line else "it ended before it answered"
    raise NoRunningDaemon(reason, command_sent=True)
