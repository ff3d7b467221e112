"""A key's file is used by a process of its own; where that fails, by ours; and no process is left behind."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Final, NoReturn

import pytest
from tests.auth.test_signer import KEY, pem

from trailingedge.auth import signer
from trailingedge.auth.signing import Apart, Here
from trailingedge.core.errors import ConfigError

PAYLOAD: Final = b"apiKey=TESTKEY&timestamp=1750000000000"
SIGNATURE: Final = "6stlUu7T3I2IXZCNGdBCdgrrW92Ny4gkYPqYCkpb7O2YGz9k7aCtgQzKIwsYzOUYmlaYov2uye1Cpwi5+Z1RBw=="
PYTHON: Final = sys.executable

posix = pytest.mark.skipif(sys.platform == "win32", reason="programs are shell scripts here")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    write_key(path)
    return path


def write_key(path: Path) -> None:
    path.write_bytes(pem())


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = descriptors()
    yield
    assert children() == []
    assert descriptors() == before


def children() -> list[int]:
    """Processes of ours, those included that are dead and not mourned, but not those that run tests beside us."""
    beside = [process.pid for process in active_children()]
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return [pid for pid in found if pid not in beside]


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def until(true: Callable[[], object], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)


@pytest.fixture
async def apart(key_file: Path) -> AsyncIterator[Apart]:
    async with contextlib.aclosing(Apart(key_file)) as signs:
        yield signs


def instead_of_python(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Whoever starts our interpreter starts that."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho $$ >> {folder / 'started'}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def started(folder: Path) -> int:
    return len((folder / "started").read_text().split())


# --- As it should be ---------------------------------------------------------------------------


async def test_both_sign_alike(apart: Apart) -> None:
    assert await Here(KEY).sign(PAYLOAD) == SIGNATURE
    assert await apart.sign(PAYLOAD) == SIGNATURE
    assert children() == []


@posix
async def test_each_signature_has_a_process_of_its_own_which_may_be_prepared(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    instead_of_python(monkeypatch, tmp_path, f'exec {PYTHON} "$@"')
    apart.prepare()
    apart.prepare()
    await apart.ready()
    assert await apart.sign(PAYLOAD) == SIGNATURE
    assert started(tmp_path) == 1
    assert await apart.sign(PAYLOAD) == SIGNATURE
    assert started(tmp_path) == 2


async def test_two_who_ask_at_once_do_not_share_one(apart: Apart) -> None:
    apart.prepare()
    both = await asyncio.gather(apart.sign(PAYLOAD), apart.sign(PAYLOAD))
    assert list(both) == [SIGNATURE, SIGNATURE]
    await apart.aclose()


async def test_who_was_prepared_and_not_asked_is_ended(apart: Apart) -> None:
    apart.prepare()
    await apart.aclose()
    apart.prepare()
    await apart.ready()
    assert len(children()) == 1
    await apart.aclose()
    assert children() == []


async def test_who_is_not_asked_for_long_is_given_up_and_followed_by_another(
    key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with contextlib.aclosing(Apart(key_file, unasked_s=0.2)) as signs:
        await signs.ready()
        await until(lambda: not children())
        assert await signs.sign(PAYLOAD) == SIGNATURE
    assert caplog.records == []


@posix
async def test_it_hears_nothing_of_what_a_terminal_tells_all_of_its_processes(apart: Apart) -> None:
    await apart.ready()
    (child,) = children()
    assert os.getsid(child) == child
    await apart.aclose()


async def test_a_module_in_the_folder_that_we_run_in_is_not_handed_the_key(
    apart: Apart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cryptography", "trailingedge", "json", "re"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    assert await apart.sign(PAYLOAD) == SIGNATURE
    assert caplog.records == []


# --- A bad key ---------------------------------------------------------------------------------


async def test_a_key_that_is_no_use_any_more_is_told_as_ever(apart: Apart, key_file: Path) -> None:
    os.unlink(key_file)
    with pytest.raises(ConfigError) as before:
        signer.load(key_file)
    for ask in (apart.ready(), apart.sign(PAYLOAD)):
        with pytest.raises(ConfigError) as refused:
            await ask
        assert refused.value.problems == before.value.problems
    write_key(key_file)
    assert await apart.sign(PAYLOAD) == SIGNATURE


# --- A machine that lacks something -----------------------------------------------------------

FAILURES: Final = [
    pytest.param("exit 1", "ended with 1 and no signature", id="it ends at once"),
    pytest.param("kill -9 $$", "ended with -9 and no signature", id="it is killed"),
    pytest.param("echo ready; exec cat > /dev/null", "ended with 0 and no signature", id="it does not sign"),
    pytest.param("echo ready; exec cat", "ended with 0 and no signature", id="it signs nonsense"),
    pytest.param("echo ready; read x; kill -9 $$", "ended with -9 and no signature", id="it is killed over its work"),
    pytest.param("echo hello; exec cat > /dev/null", "ended with 0 and no signature", id="it is another program"),
    pytest.param("exit 78", "has said what cannot be understood", id="it says nothing of what is wrong"),
    pytest.param("echo '[1]'; exit 78", "has said what cannot be understood", id="it says nonsense of what is wrong"),
    pytest.param("exec head -c 200000 /dev/zero", "cannot be used", id="it babbles"),
    pytest.param("exec sleep 60", "takes longer than 0.5 s", id="it is not ready in time"),
    pytest.param("echo ready; exec sleep 60", "takes longer than 0.5 s", id="it does not sign in time"),
]


@posix
@pytest.mark.parametrize(("script", "why"), FAILURES)
async def test_one_that_fails_is_told_once_and_replaced_by_ourselves(
    script: str,
    why: str,
    key_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    instead_of_python(monkeypatch, tmp_path, script)
    signs = Apart(key_file, within_s=0.5)
    for _ in range(2):
        signs.prepare()
        await signs.ready()
        assert await signs.sign(PAYLOAD) == SIGNATURE
    assert started(tmp_path) == 1
    # The loop may warn too: of a child that was mourned before its watcher came to it.
    (record,) = [record for record in caplog.records if record.name.startswith("trailingedge")]
    assert record.levelno == logging.WARNING
    assert why in record.getMessage()
    assert children() == []


@pytest.mark.parametrize("program", ["", "/nowhere/python", __file__])
async def test_where_there_is_no_interpreter_to_start_we_sign(
    program: str, apart: Apart, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert await apart.sign(PAYLOAD) == SIGNATURE
    (record,) = caplog.records
    assert "cannot be used" in record.getMessage()


async def test_where_a_loop_starts_no_processes_we_sign(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "subprocess_exec", refuse)
    apart.prepare()
    assert await apart.sign(PAYLOAD) == SIGNATURE


@posix
@pytest.mark.parametrize("script", ["exec sleep 60", "echo ready; exec sleep 60"], ids=["not ready", "not signed"])
async def test_who_is_not_waited_for_any_more_is_ended(
    script: str, apart: Apart, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    instead_of_python(monkeypatch, tmp_path, script)
    signing = asyncio.create_task(apart.sign(PAYLOAD))
    await until((tmp_path / "started").exists)
    signing.cancel()
    await asyncio.wait([signing])
    assert signing.cancelled()
    assert children() == []
    assert caplog.records == []
