"""`trailing-edge exchange`: the embedded exchange by itself, for a bot or any other client to connect to.

The first line on stdout is JSON: `ws_api_url`, `ws_stream_url` and `api_key`. Without `--register-key` a
key pair is made for the occasion, and `private_key_path` in that line names the file that holds its
private half: the one given by `--private-key-out`, else one in a temporary directory that goes away with
the exchange. It runs until SIGTERM or SIGINT, also when its market has ended. `--journal` writes down what
the exchange was asked, did and answered, one JSON object a line, as it happens; `--fault` makes it misbehave.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ConfigError
from trailingedge.simulator.amounts import parse_amount, parse_balances, parse_fraction
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import REQUEST_FAULTS, Faults
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.recorded import open_market, split_symbol
from trailingedge.simulator.feeds.ticks import TickSource
from trailingedge.simulator.server import LoopbackExchange

DEFAULT_SYMBOL: Final = "ETHFDUSD"
BAD_SETTINGS: Final = 78
SAME_STOP_WITHIN_S: Final = 1.0
# A market that cannot be opened advises settings, which a daemon has and this command has not.
_ADVICE_OF_SETTINGS: Final = "set BASE_ASSET and QUOTE_ASSET"
_ADVICE: Final = "name --symbol and both assets, such as --symbol ABCXYZ --balance ABC=1,XYZ=0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="port on 127.0.0.1; 0 picks one (default)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the generated market (default 0)")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="run the market at up to N times real time (default 1)"
    )
    parser.add_argument("--symbol", metavar="X", help=f"symbol (default {DEFAULT_SYMBOL}, or the market files' own)")
    parser.add_argument("--market", nargs="+", metavar="FILE", help="use recorded files instead of a generated market")
    parser.add_argument(
        "--balance",
        type=parse_balances,
        metavar="ASSET=AMOUNT,…",
        help="what the account owns (default 1 of the base asset, 0 of the quote asset); where a symbol's name alone "
        "does not show its two assets, they are taken from here",
    )
    parser.add_argument(
        "--fee", type=parse_fraction, default=Decimal(0), metavar="F", help="maker fee as a fraction (default 0)"
    )
    parser.add_argument("--register-key", type=Path, metavar="PUB.pem", help="Ed25519 public key that may log on")
    parser.add_argument("--api-key", metavar="NAME", help="API key of that public key (default: derived from it)")
    parser.add_argument(
        "--private-key-out",
        type=Path,
        metavar="FILE",
        help="new file for the private key that is made where --register-key is not given",
    )
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="write each request, order, fill and reply to FILE"
    )
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME=LIKELIHOOD",
        help=f"inject a fault into order requests, likelihood from 0 to 1; can be repeated: {', '.join(MENU)}",
    )
    parser.add_argument(
        "--latency", type=_seconds, default=0.0, metavar="SEC", help="longest delay of a frame (default 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; the exit code. What is wrong with settings or files is listed on stderr."""
    problems: list[str] = []
    try:
        with _key(args.register_key, args.private_key_out) as (public_key, private_key_path):
            clock = RealClock()
            tape = open_source(args.market, args.symbol, args.seed, clock.unix_ms(), args.balance or ())
            asyncio.run(_serve(args, clock, tape, public_key, private_key_path))
    except* ConfigError as failed:  # alone, or out of a task: a row of a file may turn out to be unreadable
        for error in failed.exceptions:
            problems += getattr(error, "problems", [str(error)])
    for problem in problems:
        print(problem.replace(_ADVICE_OF_SETTINGS, _ADVICE), file=sys.stderr)
    return BAD_SETTINGS if problems else 0


def open_source(
    files: list[str] | None, symbol: str | None, seed: int, now_ms: int, owned: Collection[str] = ()
) -> TickSource:
    """The recorded market in `files`, or one generated from `seed`. Raises ConfigError.

    Two of the assets `owned` that make up the symbol are its base and quote asset.
    """
    named = symbol or (None if files else DEFAULT_SYMBOL)
    pair = next((pair for pair in permutations(owned, 2) if "".join(pair) == named), (None, None))
    if files or named is None:
        return open_market(files or [], symbol, *pair)
    base_asset, quote_asset = split_symbol(named, *pair)
    return GeneratedMarket(seed, now_ms, named, base_asset, quote_asset)


async def _serve(
    args: argparse.Namespace,
    clock: Clock,
    tape: TickSource,
    public_key: Ed25519PublicKey,
    private_key_path: Path | None,
) -> None:
    terms = replace(ExchangeSpec().for_source(tape), maker_fee=args.fee)
    parse_balances = args.balance or {tape.base_asset: Decimal(1)}
    for asset in parse_balances:
        if asset not in (tape.base_asset, tape.quote_asset):
            pair = f"{tape.base_asset} and {tape.quote_asset}"
            print(
                f"--balance {asset}: {tape.symbol} trades {pair}; the account owns it and cannot trade it",
                file=sys.stderr,
            )
    exchange = Exchange(terms, clock, parse_balances, tape.history)
    stopped = asyncio.Event()
    try:
        api_key = exchange.register_key(public_key, api_key=args.api_key)
    except ValueError as error:
        raise ConfigError([f"--api-key: {error}"]) from error
    loopback = LoopbackExchange(
        exchange,
        tape,
        clock,
        speed=args.speed,
        port=args.port,
        faults=Faults(dict(args.fault)),
        chance=Random(args.seed),
        latency_s=args.latency,
    )
    with _written_down(exchange.audit_log, args.journal), _until_signalled(stopped, clock):
        async with loopback:
            line = {"ws_api_url": loopback.ws_api_url, "ws_stream_url": loopback.ws_stream_url, "api_key": api_key}
            if private_key_path is not None:
                line["private_key_path"] = str(private_key_path)
            print(json.dumps(line), flush=True)
            for gap in tape.gaps:
                print(gap, file=sys.stderr)
            await stopped.wait()
            loopback.hub.announce_shutdown()
            await loopback.wait_until_processed()


@contextlib.contextmanager
def _written_down(journal: AuditLog, path: Path | None) -> Iterator[None]:
    """Meanwhile, each entry of `journal` becomes a line of the file, where there is to be one."""
    if path is None:
        yield
        return
    try:
        file = path.open("a", encoding="utf-8", buffering=1)  # whoever reads along sees whole lines
    except OSError as error:
        raise ConfigError([f"--journal {path}: {error.strerror}"]) from error
    with file:
        journal.on_entry = lambda entry: print(json.dumps(asdict(entry)), file=file)
        yield


@contextlib.contextmanager
def _until_signalled(stopped: asyncio.Event, clock: Clock) -> Iterator[None]:
    """Meanwhile, SIGTERM and SIGINT set `stopped`. One that comes a second later ends the process at once.

    A stop of the whole group under `uv run` arrives twice; so after the first, both are ignored once that is over.
    """
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    first_s: list[float] = []

    def heard(number: int, _: object) -> None:
        if not first_s:
            first_s.append(clock.now_s())
            loop.call_soon_threadsafe(stopped.set)
        elif clock.now_s() > first_s[0] + SAME_STOP_WITHIN_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for each in before:
        signal.signal(each, heard)  # not `add_signal_handler`, which Windows does not have
    try:
        yield
    finally:
        for each, handler in before.items():
            # The interpreter's own end would give a second one back its power to kill, but not if it is ignored.
            signal.signal(each, signal.SIG_IGN if first_s else handler)


@contextlib.contextmanager
def _key(register: Path | None, private_key_out: Path | None) -> Iterator[tuple[Ed25519PublicKey, Path | None]]:
    """The public key that may log on and, where it was made here, the file of its private half."""
    if register is not None:
        if private_key_out is not None:
            raise ConfigError(["--private-key-out: no key is made when one is registered by --register-key"])
        yield _public_key(register), None
        return
    private_key = Ed25519PrivateKey.generate()
    with contextlib.ExitStack() as stack:
        path = private_key_out
        if path is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="trailing-edge-"))
            path = Path(folder, "ed25519-priv.pem")
        _write(private_key, path)
        yield private_key.public_key(), path


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"--register-key {path}: {error.strerror}"]) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError([f"--register-key {path}: not a public key in PEM"]) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError([f"--register-key {path}: not an Ed25519 key; no other can log on"])
    return key


def _write(private_key: Ed25519PrivateKey, path: Path) -> None:
    """For its owner's eyes alone, and never over another key."""
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    except OSError as error:
        raise ConfigError([f"--private-key-out {path}: {error.strerror}"]) from error


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; they go from 1 to 65535, and 0 picks one")
    return port


def _fault(text: str) -> tuple[str, float]:
    """`late_reply=0.5` as a dish of the menu and how likely it is."""
    name, equals, likelihood = text.partition("=")
    if name not in REQUEST_FAULTS or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=LIKELIHOOD with a name of the menu")
    chance = parse_amount(likelihood)
    if chance > 1:
        raise argparse.ArgumentTypeError(f"{likelihood} is not from 0 to 1")
    return name, float(chance)


def _seconds(text: str) -> float:
    return float(parse_amount(text))


def _speed(text: str) -> float:
    speed = float(parse_amount(text))
    if speed <= 0:
        raise argparse.ArgumentTypeError("a market cannot stand still")
    return speed
