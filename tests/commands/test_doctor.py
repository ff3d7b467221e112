"""`doctor`: one line per finding, a summary, and the exit code."""

import argparse
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.commands.fast_exchange import arena

from trailingedge.commands import doctor
from trailingedge.config import Settings, TradingMode
from trailingedge.core.errors import ConfigError, ExitCode

TOKEN = "123456:token"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Courier:
    """Telegram, as far as the doctor knows it."""

    def __init__(self, **troubles: str | None) -> None:
        self.texts: list[str] = []
        self._troubles = troubles

    async def __call__(self, _: Settings, text: str) -> Mapping[str, str | None]:
        self.texts.append(text)
        return self._troubles


def examined(*words: str, courier: Courier | None = None, **environ: str) -> ExitCode:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    return doctor.run(parser.parse_args(words), arena, courier or Courier(), environ)


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What stdout says: by name, the verdict."""
    return {finding["name"]: finding["verdict"] for finding in json.loads(capsys.readouterr().out)["findings"]}


def test_a_simulation_is_ready_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert examined() is ExitCode.OK
    shown = capsys.readouterr()
    *lines, verdict = shown.out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines].count("ok") == 13
    assert not [line for line in lines if line.startswith("failed")]
    assert verdict == "all is well"
    assert shown.err == ""


def test_a_machine_gets_the_report_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert examined("--json") is ExitCode.OK
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["version"], told["ok"], told["symbol"], told["mode"]) == (1, True, "ETHFDUSD", "sim")
    assert datetime.fromisoformat(told["at"]).utcoffset() == timedelta(0)
    assert len(told["findings"]) == len(shown.err.splitlines()) - 1
    assert shown.err.endswith("all is well\n")


def test_it_leaves_no_folder_behind() -> None:
    examined(XDG_RUNTIME_DIR=str(Path("run").absolute()))
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("chats", "environ", "said"),
    [
        (("4711 (Anna, private)",), {}, "chats that wrote to the bot: 4711 (Anna, private)"),
        ((), {}, "send the bot a message; then doctor shows the number for TELEGRAM_CHAT_ID"),
        ((), {"TELEGRAM_CHAT_ID": "7"}, ""),
    ],
)
def test_whoever_wrote_to_the_bot_is_shown_with_the_id(
    chats: tuple[str, ...], environ: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def find(_: Settings) -> tuple[str, ...]:
        return chats

    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    doctor.run(parser.parse_args([]), arena, Courier(), {"TELEGRAM_BOT_TOKEN": TOKEN, **environ}, find_chats=find)
    shown = capsys.readouterr().out
    assert said in shown
    assert ("wrote to the bot" in shown) == bool(chats)


def test_a_failure_stops_only_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert examined("--json", "--set", "FEE=2", "--set", "MIN_FACTOR=0.9") is ExitCode.CONFIG
    verdicts = report(capsys)
    assert verdicts["settings"] == "failed"
    assert verdicts["log folder"] == "ok"
    assert verdicts["the exchange"] == "left out"


def test_everything_is_looked_at_though_no_log_can_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert examined("--json", "--set", "LOG_DIR=file") is ExitCode.CONFIG
    verdicts = report(capsys)
    assert verdicts["log folder"] == "failed"
    assert verdicts["canary order"] == "ok"


def test_a_key_of_another_mode_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert examined("--json", "--mode", "testnet", BINANCE_ED25519_API_KEY="k") is ExitCode.CONFIG
    assert report(capsys)["private key"] == "failed"


# --- Telegram ---


def test_without_a_token_nobody_is_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    courier = Courier()
    examined("--json", courier=courier)
    assert report(capsys)["Telegram"] == "left out"
    assert courier.texts == []


def test_each_chat_gets_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    courier = Courier(bot=None, chat_7=None)
    assert examined("--json", courier=courier, TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_CHAT_ID="7") is ExitCode.OK
    assert report(capsys)["Telegram"] == "ok"
    assert len(courier.texts) == 1


def test_a_chat_that_cannot_be_reached_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    courier = Courier(bot=None, chat_7="400 Bad Request: chat not found")
    assert examined(courier=courier, TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_CHAT_ID="7") is ExitCode.CONFIG
    shown = capsys.readouterr().out
    assert "ok        Telegram          bot: reached" in shown
    assert "failed    Telegram          chat_7: 400 Bad Request: chat not found; check the chat's number" in shown
    assert TOKEN not in shown


def test_a_token_of_no_bot_is_blamed_on_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    courier = Courier(bot="401 Unauthorized")
    assert examined(courier=courier, TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_CHAT_ID="7") is ExitCode.CONFIG
    assert "401 Unauthorized; check TELEGRAM_BOT_TOKEN" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        pytest.param(
            {"TELEGRAM_API_URL": "http://127.0.0.1:9"}, "TELEGRAM_API_URL, http://127.0.0.1:9", id="own server"
        ),
        pytest.param({}, "may reach api.telegram.org", id="Telegram's own"),
    ],
)
def test_a_bot_api_that_does_not_answer_is_blamed_on_the_network(
    environ: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    courier = Courier(bot="ConnectError: all attempts failed", chat_7="HTTP status 404")
    code = examined(courier=courier, TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_CHAT_ID="7", **environ)
    shown = capsys.readouterr().out
    assert code is ExitCode.UNREACHABLE
    assert shown.count(said) == 2
    assert "check TELEGRAM_BOT_TOKEN" not in shown


# --- orders ---


@pytest.mark.parametrize(
    ("mode", "order", "running", "why_not"),
    [
        pytest.param("sim", False, True, "", id="the embedded exchange is nobody's but ours"),
        pytest.param("testnet", False, False, "", id="there is no money at stake"),
        pytest.param("testnet", True, True, "a daemon runs here", id="a daemon trades there"),
        pytest.param(
            "live", False, False, "in live mode an order is placed only with --order", id="nobody asked for an order"
        ),
        pytest.param("live", True, False, "", id="somebody asked for an order"),
        pytest.param("live", True, True, "a daemon runs here", id="a daemon trades with real money"),
    ],
)
def test_a_canary_is_placed_where_it_does_no_harm(mode: str, order: bool, running: bool, why_not: str) -> None:
    assert doctor.why_not_placed(TradingMode(mode), asked_for=order, running=running) == why_not


def test_no_socket_is_tried_under_a_name_that_leads_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert examined("--json", "--symbol", "../x") is ExitCode.CONFIG
    assert report(capsys)["control socket"] == "left out"


def test_a_wrong_proxy_in_front_of_telegram_needs_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse(_: Settings, __: str) -> Mapping[str, str | None]:
        raise ConfigError(["HTTPS_PROXY is proxy:1: it has no scheme"])

    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    code = doctor.run(parser.parse_args([]), arena, refuse, {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "7"})
    assert code is ExitCode.CONFIG
    assert "failed    Telegram          HTTPS_PROXY is proxy:1: it has no scheme" in capsys.readouterr().out
