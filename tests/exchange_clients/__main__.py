"""Public clients against the embedded exchange: each calls what it supports of what the exchange offers.

    python -m tests.exchange_clients --exchange .venv/bin/trailing-edge

Run it with a Python that has the clients; it needs nothing of the project but this package and tests/README.md. The
clients are unmodified: they are given the URLs, the keys, and for ccxt the market that it would load over REST. A
client that is not installed is named. Names and types of each answer and event are compared with the documented ones.
Exit code 1 if any differ, if a call fails, or if fewer than three of the five clients drive something offered.
"""

import argparse
import asyncio
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from tests.exchange_clients import ccxt_pro, nautilus, official_sdk, python_binance, unicorn
from tests.exchange_clients.exchange_access import HMAC_SECRET, Access, access_to
from tests.exchange_clients.results import THE_REST, Results, report

CLIENTS: Final[Mapping[str, tuple[str, Callable[[Access, Results], Awaitable[None]]]]] = {
    "python-binance": ("binance", python_binance.drive),
    "binance-sdk-spot": ("binance_sdk_spot", official_sdk.drive),
    "ccxt": ("ccxt.pro", ccxt_pro.drive),
    "unicorn-binance-websocket-api": ("unicorn_binance_websocket_api", unicorn.drive),
    "nautilus-trader": ("nautilus_trader", nautilus.drive),
}


def installed_version(distribution: str, module: str) -> str | None:
    """The version of an installed client; None if it is not installed."""
    with suppress(ImportError):
        importlib.import_module(module)
        return metadata.version(distribution)
    return None


async def drive(access: Access, names: Sequence[str]) -> list[Results]:
    """Run the named clients one after the other. Returns their results."""
    found = []
    for name in names:
        module, run = CLIENTS[name]
        version = installed_version(name, module)
        if version is None:
            print(f"{name}: not installed")
            continue
        results = Results(name, version)
        try:
            await run(access, results)
        except Exception as error:  # noqa: BLE001 - a client that gives up is a result as well
            results.by_call[THE_REST] = f"{type(error).__name__}: {error}"[:300]
        found.append(results)
    return found


def main() -> int:
    """Start an exchange, run the clients and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchange", default="trailing-edge", help="the program (default: trailing-edge)")
    parser.add_argument("clients", nargs="*", default=list(CLIENTS), help=f"of {', '.join(CLIENTS)} (default: all)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key.pem")
        command = [args.exchange, "exchange", "--speed", "10", "--balance", "ETH=10,FDUSD=100000"]
        command += ["--hmac-secret", HMAC_SECRET, "--private-key-out", str(key)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                access = asyncio.run(access_to(line, key.read_text()))
                return report(asyncio.run(drive(access, args.clients)), all_clients=set(args.clients) == set(CLIENTS))
            finally:
                process.terminate()


if __name__ == "__main__":
    sys.exit(main())
