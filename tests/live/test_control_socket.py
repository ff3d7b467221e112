"""Control socket: requests and responses, refused commands, broken clients, and paths that are taken."""

import asyncio
import contextlib
import json
import logging
import os
import stat
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.limits import PATIENCE_S

from trailingedge.live.control_socket import (
    COMMANDS,
    ControlSocket,
    NoRunningDaemon,
    account_fingerprint,
    encode_response,
    find_running_daemon,
    parse_request,
    request,
    socket_candidates,
    socket_path,
    subscribe,
)
from trailingedge.model.operator_commands import CommandResult, OperatorCommand

LOGS = Path("logs")
SOON_S = 0.01

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such sockets")


class Operated:
    """Whoever obeys: answers at once, or keeps those waiting who ask for a flip."""

    def __init__(self) -> None:
        self.heard: list[OperatorCommand] = []
        self.arguments: list[str] = []
        self.waiting: asyncio.Queue[asyncio.Future[CommandResult]] = asyncio.Queue()

    def submit(self, command: OperatorCommand, argument: str = "") -> asyncio.Future[CommandResult]:
        self.heard.append(command)
        self.arguments.append(argument)
        reply: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        if command is OperatorCommand.FLIP:
            self.waiting.put_nowait(reply)
        elif command is OperatorCommand.RESUME:
            reply.set_result(CommandResult("a breaker holds", done=False))
        elif command is OperatorCommand.PAUSE:
            raise RuntimeError("a mistake of ours")
        else:
            figures = {"price": Decimal("2500.10"), "ok": "never"}
            reply.set_result(CommandResult(f"{command.value} is fine", data=figures))
        return reply


@contextlib.asynccontextmanager
async def opened(path: Path, account: str = "", **patience: float) -> AsyncIterator[Operated]:
    """A control socket at `path`, and whoever obeys behind it."""
    operated = Operated()
    control = ControlSocket(path, operated.submit, account=account, **patience)  # type: ignore[arg-type]  # the patiences are floats
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(control.run())
        await control.open.wait()
        yield operated
        running.cancel()


async def refused(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """The one warning of a control socket that cannot be."""
    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(PATIENCE_S):  # one that could be made would run for ever
            await ControlSocket(path, Operated().submit).run()
    (record,) = caplog.records
    return record.getMessage()


async def say(path: Path, *parts: bytes, end: bool = False) -> bytes:
    """What is answered to that, to the end of the line."""
    reader, writer = await asyncio.open_unix_connection(path)
    for part in parts:
        writer.write(part)
    if end:
        writer.write_eof()
    heard = await reader.readline()
    writer.close()
    return heard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ETHFDUSD.sock"


# --- where ---


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, "logs/ETHFDUSD.sock", id="the logs"),
        pytest.param({"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": ""}, "logs/ETHFDUSD.sock", id="empty is not set"),
        pytest.param({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/trailing-edge/ETHFDUSD.sock", id="the user's"),
        pytest.param(
            {"XDG_RUNTIME_DIR": "/run/user/7", "RUNTIME_DIRECTORY": "/run/te"}, "/run/te/ETHFDUSD.sock", id="systemd's"
        ),
        pytest.param({"RUNTIME_DIRECTORY": "/run/te:/run/two"}, "/run/te/ETHFDUSD.sock", id="the first of several"),
    ],
)
def test_the_socket_lies_where_run_time_files_do(environ: dict[str, str], expected: str) -> None:
    assert socket_path("ETHFDUSD", environ, LOGS) == Path(expected)


def test_a_client_looks_where_the_daemon_may_have_another_environment() -> None:
    places = socket_candidates("ETHFDUSD", {"XDG_RUNTIME_DIR": "/run/user/7"}, LOGS)
    folders = ["/run/user/7/trailing-edge", "logs", "/run/trailing-edge"]
    assert places == [Path(folder, "ETHFDUSD.sock") for folder in folders]


# --- a question and its answer ---


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("flip", "pause", "resume")])
async def test_a_command_is_answered_in_one_line(path: Path, command: str) -> None:
    async with opened(path) as operated:
        answer = await request(path, command)
    assert operated.heard == [COMMANDS[command]]
    text = f"{COMMANDS[command].value} is fine"
    assert answer == {"version": 1, "ok": True, "text": text, "price": "2500.10"}


async def test_a_refusal_says_so(path: Path) -> None:
    async with opened(path):
        assert await request(path, "resume") == {"version": 1, "ok": False, "text": "a breaker holds"}


async def test_a_response_may_come_a_tick_later(path: Path) -> None:
    async with opened(path) as operated, asyncio.TaskGroup() as tasks:
        flip = tasks.create_task(request(path, "flip"))
        assert (await request(path, "status"))["ok"]  # others are served meanwhile
        reply = await operated.waiting.get()
        reply.set_result(CommandResult("manual flip: SELL"))
        assert (await flip)["text"] == "manual flip: SELL"


async def test_many_are_served_at_once_and_more_than_that_are_told_to_wait(path: Path) -> None:
    async with opened(path) as operated, asyncio.TaskGroup() as tasks:
        flips = [tasks.create_task(request(path, "flip")) for _ in range(16)]
        waiting = [await operated.waiting.get() for _ in flips]
        assert "busy" in str((await request(path, "status"))["text"])
        for reply in waiting:
            reply.set_result(CommandResult("done"))
        assert [(await flip)["text"] for flip in flips] == ["done"] * 16
        assert (await request(path, "status"))["ok"]


async def test_a_command_of_which_nothing_comes_is_given_up(path: Path) -> None:
    async with opened(path, command_timeout_s=SOON_S) as operated:
        answer = await request(path, "flip")
        assert not answer["ok"]
        assert "flip: no result within" in str(answer["text"])
        assert operated.waiting.get_nowait().cancelled()


async def test_a_line_may_end_with_the_conversation(path: Path) -> None:
    async with opened(path):
        assert json.loads(await say(path, b'{"command":"why"}', end=True))["ok"]


async def test_a_line_may_come_in_pieces(path: Path) -> None:
    async with opened(path):
        assert json.loads(await say(path, b'{"comm', b'and":"why"', b"}\n"))["ok"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"status\n", id="no JSON"),
        pytest.param(b"\n", id="nothing"),
        pytest.param(b'"status"\n', id="no object"),
        pytest.param(b'{"command":"sell everything"}\n', id="no command"),
        pytest.param(b'{"command":["flip"]}\n', id="no name"),
        pytest.param(b"\xff\xfe\n", id="no text"),
        pytest.param(b"[" * 1000 + b"\n", id="too deep"),
        pytest.param(b'{"command":"status"' + b" " * 5000, id="too long"),
    ],
)
async def test_nonsense_gets_one_clear_error(path: Path, line: bytes) -> None:
    async with opened(path) as operated:
        answer = json.loads(await say(path, line))
    assert not answer["ok"]
    assert answer["text"].startswith("not understood: ")
    assert operated.heard == []


@given(st.binary() | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(repr))
def test_a_request_is_an_instruction_or_an_error(line: bytes | str) -> None:
    with contextlib.suppress(ValueError):
        found = parse_request(line.encode(errors="replace") if isinstance(line, str) else line)
        assert found.command in OperatorCommand


def test_a_script_of_an_older_version_may_say_withdraw() -> None:
    assert parse_request(b'{"command":"withdraw"}').command is COMMANDS["cancel"] is OperatorCommand.CANCEL
    assert "withdraw" not in COMMANDS


@pytest.mark.parametrize(
    ("line", "argument"),
    [
        (b'{"command":"flip"}', ""),
        (b'{"command":"flip","confirmation":"012345"}', "012345"),
        (b'{"command":"trades","count":5}', "5"),
        (b'{"command":"status","count":5}', ""),
    ],
)
def test_a_command_has_its_own_argument_alone(line: bytes, argument: str) -> None:
    assert parse_request(line).argument == argument


@pytest.mark.parametrize("value", ["null", "true", "[1]", "1.5"])
def test_an_argument_is_a_text_or_a_whole_number(value: str) -> None:
    with pytest.raises(ValueError, match="count must be a text or a whole number"):
        parse_request(f'{{"command":"daily","count":{value}}}'.encode())


def test_every_answer_is_one_line() -> None:
    line = encode_response(CommandResult("two\nlines", data={"note": "a\nb"}))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"version": 1, "ok": True, "text": "two\nlines", "note": "a\nb"}


# --- clients that are none ---


async def test_a_silent_client_is_sent_away(path: Path) -> None:
    async with opened(path, timeout_s=SOON_S) as operated:
        assert "no command arrived" in json.loads(await say(path))["text"]
    assert operated.heard == []


async def test_a_slow_client_is_sent_away(path: Path) -> None:
    async with opened(path, timeout_s=SOON_S) as operated:
        assert "no command arrived" in json.loads(await say(path, b'{"command":'))["text"]
    assert operated.heard == []


async def test_a_client_that_leaves_without_a_word_leaves_no_trace(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path):
        _, writer = await asyncio.open_unix_connection(path)
        writer.close()
        assert (await request(path, "status"))["ok"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_mistake_of_ours_ends_one_conversation_and_nothing_else(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path):
        with pytest.raises(NoRunningDaemon, match="ended before it answered"):
            await request(path, "pause")
        assert (await request(path, "status"))["ok"]
    assert "control socket client got no response" in caplog.text


async def test_the_end_of_the_daemon_ends_the_wait(path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        async with opened(path) as operated:
            flip = tasks.create_task(_fate(path))
            await operated.waiting.get()
        assert await flip == "it ended before it answered"


async def _fate(path: Path) -> str:
    try:
        await request(path, "flip")
    except NoRunningDaemon as nobody:
        return str(nobody)
    return "answered"


# --- the file ---


async def test_the_socket_is_its_users_alone_and_goes_with_the_daemon(path: Path) -> None:
    async with opened(path):
        assert _mode(path) == 0o600
        assert os.listdir(path.parent) == [path.name]
    assert os.listdir(path.parent) == []


async def test_the_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "trailing-edge" / "ETHFDUSD.sock"
    async with opened(path):
        assert _mode(path.parent) == 0o700


async def test_what_a_dead_daemon_left_is_replaced(path: Path) -> None:
    await _leave_behind(path)
    with pytest.raises(NoRunningDaemon, match="no daemon listens there"):
        await request(path, "status")
    async with opened(path):
        assert (await request(path, "status"))["ok"]


async def _leave_behind(path: Path) -> None:
    """A socket file of a process that was killed."""
    corpse = path.with_name("corpse")
    server = await asyncio.start_unix_server(lambda _reader, _writer: None, corpse)
    os.rename(corpse, path)  # so that no Python tidies it up
    server.close()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- one daemon of an account and symbol ---


def test_a_mark_tells_accounts_and_symbols_apart_and_the_key_to_nobody() -> None:
    marks = {account_fingerprint(symbol, url, key) for symbol in ("A", "B") for url in ("x", "y") for key in ("k", "l")}
    assert len(marks) == 8
    assert account_fingerprint("A", "x", "k") == account_fingerprint("A", "x", "k")
    assert "secret" not in account_fingerprint("A", "x", "secret")


async def test_a_daemon_of_the_same_account_is_found_wherever_it_listens(path: Path) -> None:
    async with opened(path, account="ours"):
        assert str(path) in str(await find_running_daemon([path.parent / "none.sock", path], "ours"))
        assert await find_running_daemon([path], "another's") is None


async def test_a_daemon_bears_its_mark_even_where_it_refuses(path: Path) -> None:
    async with opened(path, account="ours"):
        assert (await request(path, "resume"))["account"] == "ours"


async def test_nobody_and_strangers_and_the_mute_are_no_daemon_of_ours(path: Path) -> None:
    assert await find_running_daemon([path], "ours") is None
    async with opened(path):
        assert await find_running_daemon([path], "ours") is None
    gone = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other end has lost patience
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_unix_server(mute, path)
    assert await find_running_daemon([path], "ours", timeout_s=SOON_S) is None
    await gone.wait()
    server.close()


async def test_a_living_daemon_keeps_its_socket(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path) as first:
        assert "another daemon uses this socket" in await refused(path, caplog)
        assert (await request(path, "status"))["ok"]
    assert first.heard == [OperatorCommand.STATUS]
    assert os.listdir(path.parent) == []


async def test_another_daemons_socket_outlives_ours(path: Path) -> None:
    async with opened(path):
        await _leave_behind(path)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("x" * 120, "longer than 107 bytes", id="a path too long"),
        pytest.param("file/ETHFDUSD.sock", "Errno", id="a folder that cannot be"),
        pytest.param("file", "a file that is no socket has that name", id="another file"),
    ],
)
async def test_without_a_socket_the_daemon_goes_on_with_one_warning(
    tmp_path: Path, name: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("precious")
    warning = await refused(tmp_path / name, caplog)
    assert warning.startswith(f"control socket at {tmp_path / name} not opened: ")
    assert said in warning
    assert (tmp_path / "file").read_text() == "precious"


async def test_a_platform_without_such_sockets_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await ControlSocket(path, Operated().submit, serve=None).run()
    assert "this platform has no such sockets" in caplog.text


# --- the client's end ---


async def test_nobody_is_there(path: Path) -> None:
    with pytest.raises(NoRunningDaemon, match="no daemon listens there"):
        await request(path, "status")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"hello\n", id="no JSON"),
        pytest.param(b"[]\n", id="no object"),
        pytest.param(b'{"ok":1,"text":"x"}\n', id="no verdict"),
        pytest.param(b"[" * 4000 + b"\n", id="nested brackets"),
        pytest.param(b"1" * 5000 + b"\n", id="a large number"),
        pytest.param(b'{"ok":true,"text":"' + b"\xff" + b'"}\n', id="no text"),
    ],
)
async def test_what_is_no_daemon_is_not_believed(path: Path, line: bytes) -> None:
    def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)
        writer.close()

    server = await asyncio.start_unix_server(babble, path)
    with pytest.raises(NoRunningDaemon, match="another program answers"):
        await request(path, "status")
    server.close()


async def test_a_daemon_that_hangs_is_not_waited_for_for_ever(path: Path) -> None:
    async with opened(path):
        with pytest.raises(NoRunningDaemon, match="no answer within"):
            await request(path, "flip", timeout_s=SOON_S)


# --- subscriptions ---


async def test_a_subscriber_is_served_and_takes_no_place_of_those_who_ask(path: Path) -> None:
    served: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> CommandResult | None:
        if len(served) == 17:
            return CommandResult("busy", done=False)
        served.append(writer)
        writer.write(b"first\n")
        await reader.read(1)
        return None

    operated = Operated()
    control = ControlSocket(path, operated.submit, subscription=serve)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(control.run())
        await control.open.wait()
        connections = [await subscribe(path) for _ in range(17)]
        for reader, _ in connections:
            assert await reader.readline() == b"first\n"
        assert (await request(path, "status"))["ok"]
        reader, writer = await subscribe(path)
        assert json.loads(await reader.readline())["text"] == "busy"
        for each in [*(writer for _, writer in connections), writer]:
            each.close()
        running.cancel()


async def test_without_a_feed_a_subscription_is_not_understood(path: Path) -> None:
    async with opened(path):
        assert "not understood" in str((await request(path, "subscribe"))["text"])
