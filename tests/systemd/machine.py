"""Machine with systemd: runs commands as root, reads the service's properties and its journal, and waits for
conditions.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.interrupts import heed_interrupts

ROOT: Final = Path(__file__).parent.parent.parent
INSTALL: Final = str(ROOT / "deploy" / "install.sh")
SERVICE: Final = "trailing-edge"
ENV_FILE: Final = Path("/etc/trailing-edge/trailing-edge.env")
HOME: Final = Path("/opt/trailing-edge")
KEY: Final = Path("/etc/credstore/trailing-edge.ed25519-priv.pem")
PATIENCE_S: Final = 120.0
_STARTED_S: Final = time.monotonic()


class NotSoError(Exception):
    """Raised if the machine does something else than the run expects."""


def say(text: str) -> None:
    """Print a line with the seconds since the start of the run."""
    print(f"{time.monotonic() - _STARTED_S:7.1f} s  {text}", flush=True)


def expect(fact: object, text: str) -> None:
    """Print what has been shown to be true; raise NotSoError if it is not."""
    if not fact:
        raise NotSoError(text)
    say(f"  ok  {text}")


def run(*words: str | Path, code: int | None = 0, environ: Mapping[str, str] | None = None) -> str:
    """Run a command; return what it prints on both outputs.

    Raises NotSoError if it ends with another exit code than `code`; None means that any will do.
    """
    say(f"$ {' '.join(map(str, words))}")
    done = subprocess.run(
        words,
        env={**os.environ, "SYSTEMD_PAGER": "cat", "SYSTEMD_COLORS": "0", **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        print(f"           | {line}")
    sys.stdout.flush()
    if code is not None and done.returncode != code:
        raise NotSoError(f"{words[0]} ended with code {done.returncode}, not {code}")
    return done.stdout


def interrupt(*words: str | Path, patience_s: float = PATIENCE_S) -> int:
    """Start a command, send it SIGINT as Ctrl-C does once it has printed a line, and return its exit code.

    Raises NotSoError if it ends before, or not within `patience_s` after.
    """
    heed_interrupts()
    say(f"$ {' '.join(map(str, words))}, and Ctrl-C")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise NotSoError(f"{words[0]} printed nothing")
            process.send_signal(signal.SIGINT)
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise NotSoError(f"not within {patience_s:g} s after Ctrl-C: {words[0]} ends") from None
        finally:
            process.kill()


def quietly(*words: str) -> str:
    """Return the output of a command that only asks, without printing it."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def prop(name: str, unit: str = SERVICE) -> str:
    """Return a property of the unit, as `systemctl show` prints it."""
    return quietly("systemctl", "show", "--property", name, "--value", unit).strip()


def journal(since: str) -> str:
    """Return the service's lines since the cursor `since`."""
    return quietly("journalctl", "--unit", SERVICE, "--output", "cat", "--no-pager", f"--after-cursor={since}")


def cursor() -> str:
    """Return the place in the journal where it ends now."""
    quietly("journalctl", "--sync")
    (line,) = [
        line
        for line in quietly("journalctl", "--lines=0", "--show-cursor", "--no-pager").splitlines()
        if line.startswith("-- cursor: ")
    ]
    return line.removeprefix("-- cursor: ")


def wait_for(fact: Callable[[], object], text: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until `fact` is true. Raises NotSoError after `patience_s`."""
    give_up_s = time.monotonic() + patience_s
    while not fact():
        if time.monotonic() > give_up_s:
            raise NotSoError(f"not within {patience_s:g} s: {text}")
        time.sleep(0.05)
    say(f"  ok  {text}")


def is_ready() -> bool:
    """Whether the service has said that it is ready."""
    return prop("SubState") == "running"


def version() -> int:
    """Return the version of this machine's systemd."""
    return int(quietly("systemctl", "--version").split()[1])


def set_settings(**values: str) -> None:
    """Write the service's env file: the template's text, and these settings instead of those that it names."""
    template = (ROOT / ".env.example").read_text(encoding="utf-8")
    kept = [line for line in template.splitlines() if line.partition("=")[0] not in values]
    # Written in place, so that group and mode stay.
    ENV_FILE.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in values.items()), ""]))
