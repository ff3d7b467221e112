"""Command `trailing-edge exchange`: runs the embedded exchange by itself, for a bot or any other client.

The first line on stdout is a JSON object: `ws_api_url`, `ws_stream_url` and `api_key`; with `--hmac-secret` also
`hmac_api_key`, the API key of that secret. Without `--register-key` the command makes a key pair, and the JSON also has
`private_key_path`. That is the path given by `--private-key-out`, or else a file in a temporary directory, which is
removed when the exchange stops. The exchange runs until SIGTERM or SIGINT, even after its market has ended. `--journal`
writes each request, order, fill and reply to a file as it happens, one JSON object per line; `--fault` injects faults.
"""

import argparse
import asyncio
import contextlib
import json
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

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from trailingedge.core import bounded_files, private_files
from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ConfigError
from trailingedge.model.market_names import is_market_name
from trailingedge.simulator.amount_arguments import parse_amount, parse_balances, parse_fraction
from trailingedge.simulator.audit_log import AuditEntry, AuditLog
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import REQUEST_FAULTS, Faults
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.historical import open_market, split_symbol
from trailingedge.simulator.feeds.ticks import TickSource
from trailingedge.simulator.keys import HmacSecret
from trailingedge.simulator.server import LoopbackExchange

DEFAULT_SYMBOL: Final = "ETHFDUSD"
BAD_SETTINGS: Final = 78
SAME_STOP_WITHIN_S: Final = 1.0
# The error of a market that cannot be opened advises settings; this command has arguments instead.
_ADVICE_OF_SETTINGS: Final = "set BASE_ASSET and QUOTE_ASSET"
_ADVICE: Final = "name --symbol and both assets, such as --symbol ABCXYZ --balance ABC=1,XYZ=0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    # The names and defaults of these options are an interface: scripts and other bots' tests start the exchange with
    # them.
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port on 127.0.0.1; 0 picks a free one (default)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the generated market (default 0)")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="N",
        help="highest speed of the market, as a multiple of real time (default 1)",
    )
    parser.add_argument(
        "--symbol", type=_symbol, metavar="X", help=f"symbol (default {DEFAULT_SYMBOL}, or the market files' own)"
    )
    parser.add_argument("--market", nargs="+", metavar="FILE", help="use recorded files instead of a generated market")
    parser.add_argument(
        "--balance",
        type=parse_balances,
        metavar="ASSET=AMOUNT,…",
        help="what the account owns (default 1 of the base asset, 0 of the quote asset); needed with both assets "
        "if the symbol's name alone does not tell them",
    )
    parser.add_argument(
        "--fee", type=parse_fraction, default=Decimal(0), metavar="F", help="maker fee as a fraction (default 0)"
    )
    parser.add_argument(
        "--register-key",
        type=Path,
        metavar="PUB.pem",
        help="public key of the account: Ed25519, which may log on, or RSA, which signs each request",
    )
    parser.add_argument(
        "--api-key", metavar="NAME", help="API key for the key of --register-key (default: a hash of that key)"
    )
    parser.add_argument(
        "--hmac-secret",
        metavar="TEXT",
        help="secret that signs requests of the account by HMAC-SHA-256; the first line names its API key",
    )
    parser.add_argument(
        "--private-key-out",
        type=Path,
        metavar="FILE",
        help="file for the private key that is made without --register-key; it must not exist",
    )
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="write each request, order, fill and reply to a file"
    )
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME=LIKELIHOOD",
        help=f"fault of order requests and its likelihood, 0 to 1; repeatable: {', '.join(REQUEST_FAULTS)}",
    )
    parser.add_argument(
        "--latency", type=_seconds, default=0.0, metavar="SEC", help="longest delay of a frame, in seconds (default 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until a signal stops the exchange, and return the exit code.

    Prints problems of arguments and files to stderr.
    """
    problems: list[str] = []
    try:
        with _key_pair(args.register_key, args.private_key_out) as (public_key, private_key_path):
            clock = RealClock()
            source = open_source(args.market, args.symbol, args.seed, clock.unix_ms(), args.balance or ())
            asyncio.run(_serve(args, clock, source, public_key, private_key_path))
    except* ConfigError as failed:  # raised directly, or in a task: a later row of a market file may be unreadable
        for error in failed.exceptions:
            problems += getattr(error, "problems", [str(error)])
    for problem in problems:
        print(problem.replace(_ADVICE_OF_SETTINGS, _ADVICE), file=sys.stderr)
    return BAD_SETTINGS if problems else 0


def open_source(
    files: list[str] | None, symbol: str | None, seed: int, now_ms: int, owned: Collection[str] = ()
) -> TickSource:
    """Open the recorded market in `files`, or generate one from `seed`. Raises ConfigError.

    If the names of two assets in `owned`, put together, are the symbol, they are its base and quote asset.
    """
    named = symbol or (None if files else DEFAULT_SYMBOL)
    # ABC and XYZ make up ABCXYZ in one order only; a third asset in the balance is ignored.
    pair = next((pair for pair in permutations(owned, 2) if "".join(pair) == named), (None, None))
    if files or named is None:
        return open_market(files or [], symbol, *pair)
    base_asset, quote_asset = split_symbol(named, *pair)
    return GeneratedMarket(seed, now_ms, named, base_asset, quote_asset)


async def _serve(
    args: argparse.Namespace,
    clock: Clock,
    source: TickSource,
    public_key: Ed25519PublicKey | RSAPublicKey,
    private_key_path: Path | None,
) -> None:
    spec = replace(ExchangeSpec().for_source(source), maker_fee=args.fee)
    balances = args.balance or {source.base_asset: Decimal(1)}
    for asset in balances:
        if asset not in (source.base_asset, source.quote_asset):
            pair = f"{source.base_asset} and {source.quote_asset}"
            print(
                f"--balance {asset}: {source.symbol} trades {pair}; the account holds {asset} but cannot trade it",
                file=sys.stderr,
            )
    exchange = Exchange(spec, clock, balances, source.history)
    stopped = asyncio.Event()
    try:
        api_key = exchange.register_key(public_key, api_key=args.api_key)
    except ValueError as error:
        raise ConfigError([f"--api-key: {error}"]) from error
    loopback = LoopbackExchange(
        exchange,
        source,
        clock,
        speed=args.speed,
        port=args.port,
        faults=Faults(dict(args.fault)),
        chance=Random(args.seed),
        latency_s=args.latency,
    )
    with _journal_file(exchange.audit_log, args.journal), _stop_on_signal(stopped, clock):
        async with loopback:
            line = {"ws_api_url": loopback.ws_api_url, "ws_stream_url": loopback.ws_stream_url, "api_key": api_key}
            if args.hmac_secret:
                line["hmac_api_key"] = exchange.register_key(HmacSecret(args.hmac_secret.encode()))
            if private_key_path is not None:
                line["private_key_path"] = str(private_key_path)
            # Flushed, because a script waits for this line on a pipe before it starts its client.
            print(json.dumps(line), flush=True)
            for gap in source.gaps:
                print(gap, file=sys.stderr)
            await stopped.wait()
            # Clients get `serverShutdown` and some time to read it, as from the real exchange before maintenance.
            loopback.hub.announce_shutdown()
            await loopback.wait_until_processed()


@contextlib.contextmanager
def _journal_file(audit_log: AuditLog, path: Path | None) -> Iterator[None]:
    """Append each audit-log entry to the file at `path` until the `with` block ends. If `path` is None, do nothing."""
    if path is None:
        yield
        return
    try:
        opened = private_files.open_chosen(path, append=True)
    except OSError as error:
        raise ConfigError([f"--journal {path}: {error.strerror}"]) from error
    with opened as file:

        def write(entry: AuditEntry) -> None:
            file.write(f"{json.dumps(asdict(entry))}\n".encode())  # without a buffer: a reader sees whole lines

        audit_log.on_entry = write
        yield


@contextlib.contextmanager
def _stop_on_signal(stopped: asyncio.Event, clock: Clock) -> Iterator[None]:
    """Until the `with` block ends, let SIGTERM and SIGINT set `stopped`. A second signal kills the process.

    Under `uv run` a signal to the process group arrives twice: from the terminal and from `uv`. So
    a signal within one second of the first one is ignored. If a signal has arrived, both signals
    are ignored after the `with` block.
    """
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    first_s: list[float] = []

    def on_signal(number: int, _: object) -> None:
        if not first_s:
            first_s.append(clock.now_s())
            loop.call_soon_threadsafe(stopped.set)
        elif clock.now_s() > first_s[0] + SAME_STOP_WITHIN_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for each in before:
        signal.signal(each, on_signal)  # not `add_signal_handler`, which Windows does not have
    try:
        yield
    finally:
        for each, handler in before.items():
            # While the interpreter shuts down, a repeated signal would kill it with an exit code of its own. It
            # restores default handlers, but leaves ignored signals ignored.
            signal.signal(each, signal.SIG_IGN if first_s else handler)


@contextlib.contextmanager
def _key_pair(
    register: Path | None, private_key_out: Path | None
) -> Iterator[tuple[Ed25519PublicKey | RSAPublicKey, Path | None]]:
    """Yield the account's public key, and the path of its private key.

    If --register-key gave a public key, that key is used and the path is None. Otherwise a new pair is made.
    """
    if register is not None:
        if private_key_out is not None:
            raise ConfigError(
                ["--private-key-out: no key is made when --register-key gives one; leave one of the two out"]
            )
        yield _public_key(register), None
        return
    private_key = Ed25519PrivateKey.generate()
    with contextlib.ExitStack() as stack:
        path = private_key_out
        if path is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="trailing-edge-"))
            path = Path(folder, "ed25519-priv.pem")
        _write_private_key(private_key, path)
        yield private_key.public_key(), path


def _public_key(path: Path) -> Ed25519PublicKey | RSAPublicKey:
    try:
        key = load_pem_public_key(bounded_files.read(path, bounded_files.LARGEST_KEY_BYTES))
    except OSError as error:
        raise ConfigError([f"--register-key {path}: {error.strerror}"]) from error
    except bounded_files.TooLarge as error:
        raise ConfigError([f"--register-key {path}: not a key file, {error}"]) from error
    except (ValueError, UnsupportedAlgorithm, InternalError) as error:
        raise ConfigError([f"--register-key {path}: not a public key in PEM"]) from error
    if not isinstance(key, Ed25519PublicKey | RSAPublicKey):
        raise ConfigError([f"--register-key {path}: neither an Ed25519 nor an RSA key; the exchange takes no other"])
    return key


def _write_private_key(private_key: Ed25519PrivateKey, path: Path) -> None:
    """Write a private key to a new file that only its owner can read. Never overwrites: O_EXCL."""
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        private_files.write_all(private_files.create(path), pem)
    except OSError as error:
        raise ConfigError([f"--private-key-out {path}: {error.strerror}"]) from error


def _symbol(text: str) -> str:
    if not is_market_name(text):
        raise argparse.ArgumentTypeError("this is no symbol; write it like ETHFDUSD")
    return text


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535, or 0 to pick a free one)")
    return port


def _fault(text: str) -> tuple[str, float]:
    """Parse a request fault and its likelihood, such as `late_reply=0.5`."""
    name, equals, likelihood = text.partition("=")
    if name not in REQUEST_FAULTS or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=LIKELIHOOD with a known fault; see --help")
    chance = parse_amount(likelihood)
    if chance > 1:
        raise argparse.ArgumentTypeError(f"{likelihood} is not from 0 to 1")
    return name, float(chance)


def _seconds(text: str) -> float:
    return float(parse_amount(text))


def _speed(text: str) -> float:
    speed = float(parse_amount(text))
    if speed <= 0:
        raise argparse.ArgumentTypeError("the speed must be above 0")
    return speed
