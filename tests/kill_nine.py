"""Kill test: kills a real daemon during an exit, again and again, and checks that a new daemon completes the exit.

    uv run python -m tests.kill_nine [--times 50] [--seed 0]

`trailing-edge exchange` runs as a process of its own and outlives every daemon. Each round flips the position through
the daemon's terminal, waits until its order is on the book, kills the daemon with SIGKILL at a random moment, starts
another and waits until the exit is complete, without touching it. The exchange's journal decides the result: no order
doubled, nothing taken, no asset lost, every order adopted that was on the book. Answers are late now and then, so that
requests are in flight when the end comes.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final, TextIO

from tests import processes
from tests.limits import PATIENCE_S
from websockets.sync.client import connect

from trailingedge.auth.manager import KeyManager
from trailingedge.model.market import format_plain

IN_FLIGHT_WANTED: Final = 0.6  # of all rounds
RESTS_WITHIN_S: Final = 5.0
SETTLED_S: Final = 2.5  # answers are up to two seconds late
LONGEST_CHASE_S: Final = 2.5
EXIT: Final = re.compile(r"TE-[tmbfe]-[0-9a-z]+")
PLACED: Final = re.compile(
    r"(?P<id>\d+) (?P<own>\S+) (?P<type>\S+) (?P<side>\S+) (?P<quantity>\S+) at (?P<price>\S+)"
    r"(?: (?P<role>maker|taker) (?P<filled>\S+) at (?P<at>\S+))?"
)


@dataclass
class Book:
    """What the exchange's journal has told so far, read along as it grows."""

    path: Path
    base: Decimal
    quote: Decimal
    open: dict[str, Decimal] = field(default_factory=dict)  # own exit orders: what is left of each, by order id
    named: dict[str, str] = field(default_factory=dict)  # the own id of each
    asked: dict[str, list[int]] = field(default_factory=dict)  # when an order request came, by method
    answered: dict[str, list[int]] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)  # order ids, to the end
    faults: list[str] = field(default_factory=list)
    fills: int = 0
    emptied_s: float = 0.0
    _file: TextIO | None = None

    def read(self) -> None:
        """Take in what is new."""
        if self._file is None:
            self._file = self.path.open(encoding="utf-8")
        while True:
            begun_at, line = self._file.tell(), self._file.readline()
            if not line.endswith("\n"):  # the end, or a line that is just being written
                self._file.seek(begun_at)
                return
            entry = json.loads(line)
            self._hear(entry["what"], entry["details"], entry["unix_ms"])

    def in_flight(self, at_ms: int) -> bool:
        """An order request had come by then and its answer had not gone out."""
        return any(
            sum(ms <= at_ms for ms in asked) > sum(ms <= at_ms for ms in self.answered.get(method, ()))
            for method, asked in self.asked.items()
        )

    def forget_requests(self) -> None:
        """Those of a daemon that is dead are never answered, and must not count for the next one."""
        self.asked.clear()
        self.answered.clear()

    def over(self, for_s: float) -> bool:
        """No own exit order has been on the book for that long; between two of a replace there is a moment without."""
        return not self.open and time.monotonic() - self.emptied_s >= for_s

    def _hear(self, what: str, details: str, unix_ms: int) -> None:
        if what in {"request", "answered"} and details.startswith("order."):
            times = self.asked if what == "request" else self.answered
            times.setdefault(details, []).append(unix_ms)
        elif what == "refused" and "Duplicate order" in details:
            self.faults.append(f"the same order sent twice: {details}")
        elif what == "refused" and "Filter failure" in details:
            self.faults.append(f"refused for a filter: {details}")
        elif (told := PLACED.match(details)) is not None and EXIT.fullmatch(told["own"]):
            self._follow(what, told)

    def _follow(self, what: str, told: re.Match[str]) -> None:
        order_id = told["id"]
        if what == "placed":
            self.open[order_id], self.named[order_id] = Decimal(told["quantity"]), told["own"]
            if len(self.open) > 1:
                self.faults.append(
                    f"more than one own order open: {', '.join(sorted(self.named[i] for i in self.open))}"
                )
        elif what == "filled":
            self._fill(order_id, told)
        else:
            self.open.pop(order_id, None)
            self.emptied_s = time.monotonic()

    def _fill(self, order_id: str, told: re.Match[str]) -> None:
        quantity, price = Decimal(told["filled"]), Decimal(told["at"])
        sign = 1 if told["side"] == "BUY" else -1
        self.base += sign * quantity
        self.quote -= sign * quantity * price
        self.fills += 1
        if told["role"] == "taker":
            self.faults.append(f"taken: {order_id}")
        self.open[order_id] -= quantity
        if not self.open[order_id]:
            del self.open[order_id]
            self.filled.add(order_id)
            self.emptied_s = time.monotonic()


@dataclass
class Daemon:
    """A `trailing-edge` of its own, with a terminal to type into."""

    process: subprocess.Popen[bytes]
    keyboard: int
    output: Path

    def said(self, words: str) -> bool:
        return words in self.output.read_text(encoding="utf-8", errors="replace")

    def flip(self) -> None:
        os.write(self.keyboard, b"x\n")

    def kill(self) -> None:
        processes.end(self.process)
        os.close(self.keyboard)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=PATIENCE_S)
        os.close(self.keyboard)
        return code


@dataclass(frozen=True)
class Round:
    """One kill and what came of it."""

    number: int
    own: str
    after_s: float
    in_flight: bool
    rested: bool
    adopted: bool
    seconds: float
    fault: str = ""

    def row(self) -> str:
        marks = ("yes" if each else "-" for each in (self.in_flight, self.rested, self.adopted))
        cells = (f"{self.number:5}", f"{self.own:16}", f"{self.after_s:10.2f}", *(f"{mark:>9}" for mark in marks))
        return " ".join((*cells, f"{self.seconds:10.1f}", self.fault)).rstrip()


HEAD: Final = "round exit             killed s in flight on book   adopted   done in s"


class Stage:
    """The exchange, its journal, and one daemon after the other."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._chance = Random(seed)
        self._started = 0
        self._daemon: Daemon | None = None
        journal = folder / "journal.jsonl"
        words = ["--balance", "ETH=1,FDUSD=0", "--speed", "20", "--seed", str(seed), "--journal", str(journal)]
        faults = ["--fault", "late_reply=0.8", "--latency", "0.02"]
        self._exchange = processes.start(
            [*program(), "exchange", *words, *faults], stdout=subprocess.PIPE, cwd=folder, text=True
        )
        if self._exchange.stdout is None:
            raise RuntimeError("the exchange has no output")
        self._told = json.loads(self._exchange.stdout.readline())
        self.book = Book(journal, Decimal(1), Decimal(0))

    def close(self) -> None:
        if self._daemon is not None and self._daemon.process.poll() is None:
            self._daemon.kill()
        self._exchange.terminate()  # so that it takes the key that it made with it
        try:
            self._exchange.wait(timeout=PATIENCE_S)
        finally:
            processes.end(self._exchange)

    def start(self) -> Daemon:
        """A daemon that is ready to trade. Raises TimeoutError."""
        self._started += 1
        output = self._folder / f"daemon-{self._started}.txt"
        ours, theirs = pty.openpty()
        environment = {
            **os.environ,
            "TRADING_MODE": "testnet",
            "BINANCE_WS_API_URL": self._told["ws_api_url"],
            "BINANCE_WS_STREAM_URL": self._told["ws_stream_url"],
            "BINANCE_ED25519_API_KEY": self._told["api_key"],
            "BINANCE_ED25519_PRIV_PATH": self._told["private_key_path"],
            "PYTHONUNBUFFERED": "1",
        }
        with output.open("wb") as file:
            process = processes.start(
                [*program(), "--plain"],
                stdin=theirs,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environment,
            )
        os.close(theirs)
        daemon = self._daemon = Daemon(process, ours, output)
        self._wait(lambda: daemon.said("ready: "), PATIENCE_S, "the daemon is not ready", daemon)
        return daemon

    def held(self) -> dict[str, Decimal]:
        """What the exchange says the account holds, free and locked, by asset."""
        keys = KeyManager.from_file(Path(self._told["private_key_path"]), self._told["api_key"])
        with connect(self._told["ws_api_url"], proxy=None) as api:
            for method, params in (
                ("session.logon", asyncio.run(keys.logon_params(lambda: time.time_ns() // 1_000_000, 5000))),
                ("account.status", {"timestamp": time.time_ns() // 1_000_000}),
            ):
                api.send(json.dumps({"id": 1, "method": method, "params": params}))
                answer = json.loads(api.recv())
        rows = answer["result"]["balances"]
        return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in rows}

    def play(self, number: int, daemon: Daemon) -> tuple[Round, Daemon]:
        """One round: flip, kill, start anew, wait until the exit is complete. The daemon that lives now."""
        after_s = self._chance.uniform(0.0, LONGEST_CHASE_S)
        self._chase(daemon, after_s)
        killed_ms = time.time_ns() // 1_000_000
        daemon.kill()
        killed_s = time.monotonic()
        time.sleep(0.05)  # the exchange may still be writing
        self.book.read()
        in_flight = self.book.in_flight(killed_ms)
        self.book.forget_requests()
        order_id = next(iter(self.book.open), "")
        fault, own = "", self.book.named.get(order_id, "")
        daemon = self.start()
        adopted = daemon.said("order adopted: ")
        try:
            self._wait(lambda: self.book.over(SETTLED_S), PATIENCE_S, "the exit is not complete", daemon)
        except TimeoutError as late:
            fault = str(late)
        self.book.read()
        if order_id and not adopted and order_id not in self.book.filled:
            fault = fault or f"order {order_id} was neither filled nor adopted"
        return Round(number, own, after_s, in_flight, bool(own), adopted, time.monotonic() - killed_s, fault), daemon

    def _chase(self, daemon: Daemon, after_s: float) -> None:
        """Flip until an order rests that lives for `after_s`; an exit that is over by then is followed by another."""
        give_up_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_s:
            if self.book.over(SETTLED_S):
                daemon.flip()
                with contextlib.suppress(TimeoutError):  # it came while the daemon was not done with the one before
                    self._wait(lambda: bool(self.book.open), RESTS_WITHIN_S, "no order rests after a flip", daemon)
            until_s = time.monotonic() + after_s
            while self.book.open and time.monotonic() < until_s:
                time.sleep(0.005)
                self.book.read()
            if self.book.open:
                return
            time.sleep(0.05)
            self.book.read()
        raise TimeoutError(f"there is no chase; see {daemon.output}")

    def _wait(self, true: Callable[[], bool], within_s: float, otherwise: str, daemon: Daemon) -> None:
        until_s = time.monotonic() + within_s
        while True:
            if self.book.path.exists():
                self.book.read()
            if true():
                return
            if time.monotonic() > until_s or daemon.process.poll() is not None:
                raise TimeoutError(f"{otherwise}; see {daemon.output}")
            time.sleep(0.01)


def program() -> list[str]:
    return [sys.executable, "-m", "trailingedge.main"]


@contextlib.contextmanager
def stage(seed: int) -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="kill-nine-"))
    print(f"the daemon's output and the exchange's journal are in {folder}")
    built = Stage(folder, seed)
    try:
        yield built
    finally:
        built.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, metavar="N", help="how often (50)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the market and of the moments (0)")
    args = parser.parse_args()
    rounds: list[Round] = []
    processes.guard_this_process()
    with stage(args.seed) as on:
        daemon = on.start()
        print(HEAD)
        for number in range(1, args.times + 1):
            played, daemon = on.play(number, daemon)
            rounds.append(played)
            print(played.row(), flush=True)
            if played.fault:
                break
        code = daemon.stop()
        on.book.read()
        held = on.held()
    return verdict(rounds, args.times, on.book, code, held)


def verdict(rounds: list[Round], times: int, book: Book, code: int, held: dict[str, Decimal]) -> int:
    """Say what it came to; 0 where all is well."""
    in_flight = sum(each.in_flight for each in rounds)
    faults = [*book.faults, *(f"round {each.number}: {each.fault}" for each in rounds if each.fault)]
    if len(rounds) == times and in_flight < IN_FLIGHT_WANTED * times:
        faults.append(f"only {in_flight} of {times} kills had a request in flight")
    if code:
        faults.append(f"the last daemon ended with exit code {code}")
    if book.open:
        faults.append(f"orders left: {', '.join(book.open)}")
    if (held["ETH"], held["FDUSD"]) != (book.base, book.quote):
        faults.append(f"the account holds {held}, its fills come to {book.base} ETH and {book.quote} FDUSD")
    rested, adopted = sum(each.rested for each in rounds), sum(each.adopted for each in rounds)
    print(f"{len(rounds)} kills, {in_flight} with a request in flight, {rested} with the order on the book")
    filled = f"; {rested - adopted} filled before the restart" if rested > adopted else ""
    print(f"{adopted} orders adopted{filled}")
    assets = " and ".join(f"{format_plain(held[asset])} {asset}" for asset in ("ETH", "FDUSD"))
    print(f"{book.fills} fills, after which the account holds {assets}")
    for fault in faults:
        print(f"FAULT: {fault}")
    print("verdict: " + ("nothing lost" if not faults else "not good"))
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
