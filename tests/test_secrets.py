"""A whole session with known secrets: none of them is in anything that was written."""

import gzip
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests import processes
from tests.daemon_harness import NodeHarness, run_scenario
from tests.limits import PATIENCE_S

from trailingedge.core.errors import ExitCode
from trailingedge.logging_config import setup
from trailingedge.websocket.recent_frames import save

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
BOT_TOKEN = "987654321:AAH7xq3v0ZkS1mQpL5tYw8rB2cD4eF6gHiJ"
CHAT_ID = "4711"
SIGNATURE = re.compile(r"[A-Za-z0-9+/_-]{86}==")  # 64 bytes in base64
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # the theatre's too
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
RUN = [sys.executable, "-m", "trailingedge.main"]


def assert_nothing_secret(text: str, *secrets: str) -> None:
    body = PEM.splitlines()[1]
    for secret in (API_KEY, BOT_TOKEN, BOT_TOKEN.split(":")[1], body, *secrets):
        assert secret not in text
    assert not SIGNATURE.search(text)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The embedded exchange as a process of its own, which knows our key."""
    public = tmp_path / "pub.pem"
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with processes.started(
        [*RUN, "exchange", "--port", "0", "--speed", "60", "--register-key", public, "--api-key", API_KEY],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=processes.environment(),
        text=True,
    ) as process:
        if process.stdout is None:
            raise AssertionError("it has a pipe")
        yield json.loads(process.stdout.readline())
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def text_of(path: Path) -> str:
    """Of a record, what is in it."""
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="ends the run by a signal")
def test_a_session_at_an_exchange_writes_nothing_secret(tmp_path: Path, exchange: dict[str, str]) -> None:
    place = tmp_path / "place"
    place.mkdir()
    key = place / "key.pem"
    key.touch(0o600)
    key.write_text(PEM)
    settings = {
        "TRADING_MODE": "testnet",
        "BINANCE_WS_API_URL": exchange["ws_api_url"],
        "BINANCE_WS_STREAM_URL": exchange["ws_stream_url"],
        "BINANCE_ED25519_API_KEY": API_KEY,
        "BINANCE_ED25519_PRIV_PATH": str(key),
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "TELEGRAM_CHAT_ID": CHAT_ID,
        "TELEGRAM_API_URL": "http://127.0.0.1:9",  # nobody listens, and what fails is told with its address
        "LOG_LEVEL_CONSOLE": "DEBUG",
    }
    with processes.started(
        RUN,
        cwd=place,
        env=processes.environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        if process.stdout is None:
            raise AssertionError("it has a pipe")
        said = ""
        while "ready: " not in said and (line := process.stdout.readline()):
            said += line
        process.send_signal(signal.SIGTERM)
        said += process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == ExitCode.OK, said
    key.unlink()
    written = [text_of(path) for path in place.rglob("*") if path.is_file()]
    assert len(written) >= 3  # log, latest.log, record
    for text in (said, *written):
        assert "ready: " in text  # or it would have been no whole session
        assert_nothing_secret(text)
    assert any("session.logon" in text for text in written)  # the record has the frames


def test_the_frames_of_a_halt_and_the_log_beside_them_hold_nothing_secret(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    shown: list[str] = []
    logs = setup(tmp_path, now, console=shown.append, console_level="DEBUG")  # without being told a secret
    keys: list[str] = []

    async def story(it: NodeHarness) -> None:
        await it.ready()
        keys.extend(it.exchange.keys.api_keys())
        save(it.node._frame_dump._frames.lines(), tmp_path, now)  # as a halt does

    try:
        assert run_scenario(story).code is ExitCode.OK
    finally:
        logs.close()
    texts = ["\n".join(shown), *(path.read_text() for path in tmp_path.iterdir())]
    assert len(texts) == 4  # terminal, session log, latest.log, frames
    assert any("session.logon" in text for text in texts)
    for text in texts:
        assert_nothing_secret(text, *keys)
