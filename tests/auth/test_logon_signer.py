"""Logon signer: one process per signature, and none is left behind after any failure."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Final

import pytest
from tests.auth.keys import PAYLOAD, SIGNATURE, pem

from trailingedge.auth import logon_signer as module
from trailingedge.auth.logon_signer import logon_signer
from trailingedge.core.errors import ConfigError, SessionLost

PYTHON: Final = sys.executable

posix = pytest.mark.skipif(sys.platform == "win32", reason="programs are shell scripts here")


def write_key(path: Path) -> None:
    path.write_bytes(pem())


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = descriptors()
    yield
    assert children() == []
    assert descriptors() == before


def children() -> list[int]:
    """Return our child processes, zombies included, without the workers that run tests in parallel."""
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


async def signature_of(key_file: Path) -> str:
    async with logon_signer(key_file) as sign:
        return await sign(PAYLOAD)


def run_instead_of_python(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Make the signer start that shell script in place of Python."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho $$ >> {folder / 'started'}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


# --- As it should be ---------------------------------------------------------------------------


async def test_it_signs(key_file: Path) -> None:
    assert await signature_of(key_file) == SIGNATURE


async def test_two_logons_at_once_have_a_process_each(key_file: Path) -> None:
    assert tuple(await asyncio.gather(signature_of(key_file), signature_of(key_file))) == (SIGNATURE, SIGNATURE)


async def test_a_process_that_did_not_sign_is_ended(key_file: Path) -> None:
    async with logon_signer(key_file):
        assert len(children()) == 1
    assert children() == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
async def test_the_process_has_none_of_our_secrets_and_writes_no_core_dump(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_ED25519_API_KEY", "SECRET")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    async with logon_signer(key_file):
        (child,) = children()
        environment, core = environment_of(child), core_limits_of(child)
    assert environment == [b"LD_LIBRARY_PATH=/nowhere"]
    assert core == ["0", "0"]


def environment_of(pid: int) -> list[bytes]:
    return [entry for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if entry]


def core_limits_of(pid: int) -> list[str]:
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    (core,) = [line for line in limits if line.startswith("Max core file size")]
    return core.split()[4:6]


@posix
async def test_a_signal_to_the_terminal_does_not_reach_the_process(key_file: Path) -> None:
    async with logon_signer(key_file):
        (child,) = children()
        assert os.getsid(child) == child


async def test_a_module_in_the_working_folder_is_not_given_the_key(
    key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name in ("cryptography", "trailingedge", "binascii", "resource"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    assert await signature_of(key_file) == SIGNATURE


@posix
async def test_the_process_finds_the_library_where_the_daemon_does(
    key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead_of_python(monkeypatch, tmp_path, f'shift; exec {PYTHON} -I -S "$@"')  # without the site-packages
    assert await signature_of(key_file) == SIGNATURE


# --- A bad key ---------------------------------------------------------------------------------


async def test_a_key_that_has_become_unusable_is_named(key_file: Path) -> None:
    os.unlink(key_file)
    with pytest.raises(ConfigError) as refused:
        await signature_of(key_file)
    assert refused.value.problems == (f"private key {key_file}: no such file; set BINANCE_ED25519_PRIV_PATH to it",)
    write_key(key_file)
    assert await signature_of(key_file) == SIGNATURE


# --- A process that fails ----------------------------------------------------------------------

FAILURES: Final = [
    pytest.param("exit 1", "ended before it was ready", id="it ends at once"),
    pytest.param("kill -9 $$", "ended before it was ready", id="it is killed"),
    pytest.param("echo hello; exec cat > /dev/null", "ended before it was ready", id="it is another program"),
    pytest.param("echo ready; exec cat > /dev/null", "ended with code 0 and gave no signature", id="it does not sign"),
    pytest.param(
        "echo ready; read x; kill -9 $$", "ended with code -9 and gave no signature", id="it is killed while it signs"
    ),
    pytest.param("exec head -c 200000 /dev/zero", "no answer within 0.5 s", id="it writes without end"),
    pytest.param("exec sleep 60", "no answer within 0.5 s", id="it is not ready in time"),
    pytest.param("echo ready; exec sleep 60", "no answer within 0.5 s", id="it does not sign in time"),
]


@posix
@pytest.mark.parametrize(("script", "reason"), FAILURES)
async def test_a_process_that_fails_costs_the_connection(
    script: str, reason: str, key_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_instead_of_python(monkeypatch, tmp_path, script)
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.5)
    with pytest.raises(SessionLost, match=f"the signing process .*{reason}"):
        await signature_of(key_file)
    assert children() == []


@pytest.mark.parametrize("program", ["", "/nowhere/python", __file__])
async def test_a_process_that_cannot_be_started_costs_the_connection(
    program: str, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(SessionLost, match="the signing process cannot be started"):
        await signature_of(key_file)


@posix
@pytest.mark.parametrize("script", ["exec sleep 60", "echo ready; exec sleep 60"], ids=["not ready", "not signed"])
async def test_a_logon_that_is_cancelled_ends_its_process(
    script: str, key_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_instead_of_python(monkeypatch, tmp_path, script)
    signing = asyncio.create_task(signature_of(key_file))
    await until((tmp_path / "started").exists)
    signing.cancel()
    await asyncio.wait([signing])
    assert signing.cancelled()
    assert children() == []


async def test_a_cancellation_that_comes_together_with_an_answer_is_not_lost() -> None:
    answer = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(module._in_time(answer))
    await asyncio.sleep(0)
    answer.set_result(b"ready")
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
