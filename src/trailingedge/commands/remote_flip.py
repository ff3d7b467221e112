"""Command `trailing-edge flip`: shows what a running daemon would trade, asks for a confirmation, and with --wait waits
until the exit is over.

Exit codes are those of the other remote commands. In addition, 1 means that the flip was not confirmed or, with --wait,
that its exit ended before it was filled.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trailingedge.live.control_socket import CONTROL_VERSION, request

_POLL_S: Final = 0.5
_LAST_TRADES: Final = 20
_UNATTENDED: Final = "nothing was done: confirm the flip with --yes, or run this at a terminal"

Answer = Mapping[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that only this command has."""
    parser.add_argument("--yes", action="store_true", help="make the flip without asking for a confirmation")
    parser.add_argument("--wait", action="store_true", help="wait until the flip has ended, and print its result")


async def confirm_and_wait(place: Path, answer: Answer, arguments: argparse.Namespace) -> Answer:
    """Confirm the flip, and wait for its end, if the arguments demand this. `answer` is the daemon's answer at `place`.

    Returns the last answer. Raises NoRunningDaemon if the daemon ends before that.
    """
    code = answer.get("confirmation")
    if code is not None:
        if not arguments.yes and not _is_attended():
            return _refused(f"{answer['text']}\n{_UNATTENDED}")
        if not arguments.yes and not await _is_confirmed(str(answer["text"])):
            return _refused("nothing was done: the flip was not confirmed")
        preview = answer["text"]
        answer = await request(place, "flip", {"confirmation": code})
        if arguments.yes and answer["ok"]:
            answer = {**answer, "text": f"{preview}\n{answer['text']}"}
    number = answer.get("exit")
    if not answer["ok"] or not arguments.wait or not isinstance(number, int):
        return answer
    print(answer["text"], file=sys.stderr, flush=True)
    return await _end_of_exit(place, number)


def _refused(text: str) -> Answer:
    return {"version": CONTROL_VERSION, "ok": False, "text": text}


def _is_attended() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


async def _is_confirmed(preview: str) -> bool:
    print(
        f"{preview}\npress y and Enter to make this flip, or Enter alone to discard it: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    # A thread reads, so that Ctrl-C ends the wait at once.
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return line.strip().lower() in ("y", "yes")


async def _end_of_exit(place: Path, number: int) -> Answer:
    """Wait until the exit with that number is over.

    Returns an answer that says how it ended; `ok` is True if it was filled.
    """
    while True:
        trades = await request(place, "trades", {"count": _LAST_TRADES})
        orders = trades.get("orders")
        ended = [each for each in orders if each["number"] == number] if isinstance(orders, list) else []
        if ended:
            # Dust: all but a rest too small for an order was filled.
            flip = ended[0]
            text = f"flip ended: {flip['text']}"
            return {"version": CONTROL_VERSION, "ok": flip["cause"] in ("filled", "dust"), "text": text, "flip": flip}
        await asyncio.sleep(_POLL_S)
