"""KeyManager: signatures, key files and their errors; the key is never shown."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests import processes
from tests.auth.keys import KEY, UNUSABLE, pem

from trailingedge.auth.manager import KeyManager
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ConfigError

KEYS = KeyManager.from_private_key(KEY, "TESTKEY")


def folded(whole: bytes) -> bytes:
    """Return the PEM in lines of 32 letters, which is unusual but valid."""
    head, line, foot = whole.splitlines()
    return b"\n".join([head, line[:32], line[32:], foot, b""])


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        pytest.param(
            {"apiKey": "TESTKEY", "timestamp": 1750000000000},
            "6stlUu7T3I2IXZCNGdBCdgrrW92Ny4gkYPqYCkpb7O2YGz9k7aCtgQzKIwsYzOUYmlaYov2uye1Cpwi5+Z1RBw==",
            id="logon",
        ),
        pytest.param(
            {"timestamp": 1750000000000, "recvWindow": 5000, "apiKey": "TESTKEY", "signature": "left out"},
            "iGyZ0iLu3vlfu8q2MlAJc48Ua1vVyl748VjZlJjwWVx+EZnTT/G1klDL1X/pFQVN9RAI4kVtwou1VHWQn5qkDA==",
            id="logon with a receive window, in any order",
        ),
        pytest.param(
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT_MAKER",
                "price": "60000.00",
                "quantity": "0.00100",
                "newClientOrderId": "mm-1",
                "apiKey": "TESTKEY",
                "timestamp": 1750000000000,
            },
            "oFtgCLpPHaDXXZJiyTzI+aX1W6utMLLC5yC50cL/djwRz7xDYtPMafdftYEbqtZlXzWIbRV0/oIqez/7+6l2DQ==",
            id="order",
        ),
    ],
)
async def test_signatures_are_those_of_the_test_vectors(params: Mapping[str, str | int], signature: str) -> None:
    assert await KEYS.sign(params) == signature


async def test_logon_is_signed_over_its_own_parameters() -> None:
    params = await KEYS.logon_params(lambda: 1750000000000, 5000)
    assert params == {
        "apiKey": "TESTKEY",
        "recvWindow": 5000,
        "timestamp": 1750000000000,
        "signature": "iGyZ0iLu3vlfu8q2MlAJc48Ua1vVyl748VjZlJjwWVx+EZnTT/G1klDL1X/pFQVN9RAI4kVtwou1VHWQn5qkDA==",
    }


async def test_a_boolean_is_never_signed() -> None:
    with pytest.raises(ValueError, match="returnRateLimits"):
        await KEYS.sign({"returnRateLimits": True})


async def test_a_key_file_signs_like_the_key_in_memory(key_file: Path) -> None:
    keys = KeyManager.from_file(key_file, "TESTKEY")
    assert await keys.sign({"a": 1}) == await KEYS.sign({"a": 1})
    logons = [await each.logon_params(lambda: 1750000000000, 5000) for each in (keys, KEYS)]
    assert logons[0] == logons[1]
    assert await KeyManager.from_pem(pem(), "TESTKEY").sign({"a": 1}) == await KEYS.sign({"a": 1})


@pytest.mark.skipif(sys.platform == "win32", reason="the interpreter is a shell script here")
async def test_the_time_of_a_logon_is_taken_once_it_can_be_signed(
    key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    # The process that signs is not ready before the clock has moved.
    moved, program = tmp_path / "moved", tmp_path / "python"
    program.write_text(f'#!/bin/sh\nwhile [ ! -e {moved} ]; do sleep 0.01; done\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    logon = asyncio.create_task(KeyManager.from_file(key_file, "TESTKEY").logon_params(clock.unix_ms, 5000))
    await asyncio.sleep(0)
    await clock.advance(7.0)
    moved.touch()
    assert (await logon)["timestamp"] == clock.unix_ms()


@pytest.mark.parametrize(("content", "said"), UNUSABLE)
def test_an_unusable_key_is_reported_with_the_reason(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as refused:
        KeyManager.from_file(path, "TESTKEY")
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pem(), id="as it is written"),
        pytest.param(pem().replace(b"\n", b"\r\n"), id="by an editor of Windows"),
        pytest.param(b"\n" + pem() + b"\n\n", id="with empty lines around"),
        pytest.param(b"Bag Attributes\n    friendlyName: bot\n" + pem(), id="with words before it"),
        pytest.param(folded(pem()), id="in short lines"),
    ],
)
async def test_the_layout_of_the_file_does_not_change_the_key(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    assert await KeyManager.from_file(path, "TESTKEY").sign({"a": 1}) == await KEYS.sign({"a": 1})
    assert await KeyManager.from_pem(content, "TESTKEY").sign({"a": 1}) == await KEYS.sign({"a": 1})


def test_the_usual_file_is_checked_and_signed_with_without_the_library_in_this_process(key_file: Path) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from trailingedge.auth.manager import KeyManager
print(asyncio.run(KeyManager.from_file(Path({str(key_file)!r}), "TESTKEY").sign({{"a": 1}})))
print("cryptography" in sys.modules)"""
    done = processes.run([sys.executable, "-c", program], text=True, check=True)
    assert done.stdout.split() == [asyncio.run(KEYS.sign({"a": 1})), "False"]


def test_a_missing_key_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BINANCE_ED25519_PRIV_PATH"):
        KeyManager.from_file(tmp_path / "none.pem", "TESTKEY")


def test_a_key_file_that_is_a_directory_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        KeyManager.from_file(tmp_path, "TESTKEY")


def test_the_key_never_shows_itself() -> None:
    assert "TESTKEY" not in repr(KEYS)
    assert "TESTKEY" not in str(KEYS)
