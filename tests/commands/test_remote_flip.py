"""`trailing-edge flip`: what it asks, when it refuses, and how it waits for the end of the flip."""

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trailingedge.commands import remote_control, remote_flip
from trailingedge.core.errors import ExitCode

PREVIEW = {"version": 1, "ok": False, "text": "flip: sell 1 ETH", "confirmation": "123456"}
MADE = {"version": 1, "ok": True, "text": "manual flip: selling", "exit": 7}


def ended(cause: str) -> dict[str, Any]:
    return {"version": 1, "ok": True, "text": "trades", "orders": [{"number": 7, "cause": cause, "text": "14:03 SELL"}]}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, dict[str, Any]]]]:
    """Lets a daemon give these answers, one after the other; returns what it is asked."""

    def answer_with(*answers: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        asked: list[tuple[str, dict[str, Any]]] = []
        coming: Iterator[dict[str, Any]] = iter(answers)

        async def request(_: Path, command: str, fields: Any = None, **__: Any) -> dict[str, Any]:
            asked.append((command, dict(fields or {})))
            return next(coming)

        monkeypatch.setattr(remote_control, "request", request)
        monkeypatch.setattr(remote_flip, "request", request)
        monkeypatch.setattr(remote_flip, "_POLL_S", 0.0)
        return asked

    return answer_with


def flip(*words: str) -> int:
    parser = argparse.ArgumentParser()
    remote_control.add_arguments(parser, "flip")
    return remote_control.run("flip", parser.parse_args(["--socket", "x.sock", *words]), {})


def test_a_script_without_yes_is_refused_with_the_trade_and_the_remedy(
    daemon: Callable[..., Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    asked = daemon(PREVIEW)
    assert flip() == ExitCode.UNEXPECTED
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("flip: sell 1 ETH\nnothing was done: confirm the flip with --yes")
    assert asked == [("flip", {})]


def test_yes_confirms_without_a_question(daemon: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    asked = daemon(PREVIEW, MADE)
    assert flip("--yes") == ExitCode.OK
    assert capsys.readouterr().out == "flip: sell 1 ETH\nmanual flip: selling\n"
    assert asked == [("flip", {}), ("flip", {"confirmation": "123456"})]


@pytest.mark.parametrize(("typed", "made"), [("y\n", True), ("\n", False), ("", False)])
def test_a_person_is_asked(typed: str, made: bool, daemon: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", Terminal())
    asked = daemon(PREVIEW, MADE)
    assert flip() == (ExitCode.OK if made else ExitCode.UNEXPECTED)
    assert len(asked) == 1 + made


@pytest.mark.parametrize(("cause", "filled"), [("filled", True), ("dust", True), ("withdrawn", False)])
def test_wait_returns_at_the_end_of_the_flip_with_what_came_out(
    cause: str, filled: bool, daemon: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    still = {"version": 1, "ok": True, "text": "trades", "orders": []}
    asked = daemon(MADE, still, still, ended(cause))
    assert flip("--wait", "--json") == (ExitCode.OK if filled else ExitCode.UNEXPECTED)
    out, err = capsys.readouterr()
    assert json.loads(out)["flip"]["cause"] == cause
    assert err == "manual flip: selling\n"
    assert len(asked) == 4


def test_a_flip_that_is_refused_is_not_waited_for(daemon: Callable[..., Any]) -> None:
    daemon({"version": 1, "ok": False, "text": "flip refused: halted"})
    assert flip("--wait", "--yes") == ExitCode.UNEXPECTED
