"""An exchange that cannot be reached: `check --online` and `doctor` end soon and say why."""

import argparse
import asyncio
import contextlib
from pathlib import Path

import pytest

from trailingedge.app.environments import open_check_target
from trailingedge.commands import check
from trailingedge.commands.checks.check_target import CheckTarget
from trailingedge.commands.checks.online_run import run_online_checks
from trailingedge.commands.checks.result import CheckResult
from trailingedge.config import Settings, TradingMode
from trailingedge.core.errors import ExitCode
from trailingedge.live.factory import check_params

NOWHERE = "ws://127.0.0.1:1"
AWAY = Settings(
    trading_mode=TradingMode.PAPER,
    binance_ws_api_url=f"{NOWHERE}/ws-api/v3",
    binance_ws_stream_url=NOWHERE,
    reconnect_base_sec=0.1,
)


async def test_a_market_that_cannot_be_reached_is_a_finding_with_its_reason() -> None:
    found: list[CheckResult] = []
    await run_online_checks(check_params(AWAY), open_check_target(AWAY), found.append)
    (result,) = found
    assert (result.name, result.code) == ("the exchange", ExitCode.UNREACHABLE)
    assert "ws://127.0.0.1:1/ws-api/v3" in result.text
    assert "given up after 1 attempt" in result.text


async def test_a_market_that_accepts_and_says_nothing_is_given_up() -> None:
    class Silent(contextlib.AbstractAsyncContextManager[CheckTarget]):
        async def __aenter__(self) -> CheckTarget:
            await asyncio.Event().wait()
            raise AssertionError

        async def __aexit__(self, *_: object) -> None: ...

    found: list[CheckResult] = []
    await run_online_checks(check_params(AWAY), Silent(), found.append, opens_within_s=0.01)
    (result,) = found
    assert result.code == ExitCode.UNREACHABLE
    assert "did not answer within 0.01 s" in result.text


def test_check_online_shows_the_reason_and_ends_with_code_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    words = ["--online", "--mode", "paper", "--set", "RECONNECT_BASE_SEC=0.1"]
    environ = {"BINANCE_WS_API_URL": f"{NOWHERE}/ws-api/v3", "BINANCE_WS_STREAM_URL": NOWHERE}
    assert check.run(parser.parse_args(words), open_check_target, environ) is ExitCode.UNREACHABLE
    assert "failed    the exchange      api ws://127.0.0.1:1/ws-api/v3: " in capsys.readouterr().out


def test_a_name_lookup_that_hangs_does_not_keep_the_command() -> None:
    """The executor of the loop starts daemon threads, for whose end nobody waits."""
    executors: list[str] = []

    async def run() -> None:
        await run_online_checks(check_params(AWAY), open_check_target(AWAY), lambda _: None)
        executors.append(type(asyncio.get_running_loop()._default_executor).__name__)  # type: ignore[attr-defined]

    asyncio.run(run())
    assert executors == ["DaemonThreadExecutor"]
