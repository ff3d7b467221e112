"""The pictures of the README, made from runs of the program in a simulated market.

    python -m tests.pictures [terminal watch report]

- `terminal.svg`: the program in a terminal of 104 columns and 38 rows, asked for the reason, once its gate is open.
  It needs tmux.
- `watch.png`: the page of `watch --web` at the same moment. It needs Chromium, as does the next.
- `report.png`: the page of a backtest of the sample market.

Make them again when a text that they show has changed.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests import processes
from tests.chromium import chromium_page
from tests.terminal_picture import picture
from tests.watched_daemon import daemon_in, environment_in, page_of, socket_in

PLACE: Final = Path(__file__).parent.parent / ".github"
COLUMNS: Final = 104
ROWS: Final = 38
LIVE_PAGE: Final = (1200, 900)
REPORT: Final = (1200, 716)
_OPEN: Final = "gate open: "  # half a minute after the start
_IN_PANEL: Final = "· gate open"
_ANSWERED: Final = "Not buying back"


def terminal(folder: Path) -> bytes:
    """Return the screen of a daemon in a terminal, as SVG."""
    server = f"pictures-{folder.name}"

    def tmux(*words: str) -> str:
        made = processes.run(["tmux", "-L", server, "-f", "/dev/null", *words], check=True, text=True, cwd=folder)
        return str(made.stdout)

    def shows(words: str) -> bool:
        return words in tmux("capture-pane", "-p")

    environment = environment_in(folder)
    given = [f"{name}={environment[name]}" for name in ("XDG_RUNTIME_DIR", "LOG_DIR")]
    program = ["env", *given, "TERM=xterm-256color", sys.executable, "-m", "trailingedge.main"]
    tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), shlex.join(program))
    try:
        processes.wait_until(lambda: shows(_OPEN))
        tmux("send-keys", "w", "Enter")
        processes.wait_until(lambda: shows(_ANSWERED) and shows(_IN_PANEL))
        return picture(tmux("capture-pane", "-ep")).encode()
    finally:
        tmux("kill-server")


def watch(folder: Path) -> bytes:
    """Return the live page of a daemon, as PNG."""
    with chromium_page() as page, daemon_in(folder), page_of(folder, socket_in(folder)) as (_, url):
        processes.wait_until(processes.line_in(folder / "daemon.out", _OPEN))
        page.open(url, *LIVE_PAGE)
        page.wait_until("page.connection === 'good' && chart.charts !== null")
        page.evaluate("new Promise((drawn) => setTimeout(drawn, 1000))")
        return page.picture()


def report(folder: Path) -> bytes:
    """Return the page of a backtest, as PNG."""
    html = folder / "sample.html"
    words = [sys.executable, "-m", "trailingedge.main", "backtest", "sample", "--fee", "0.001", "--html", str(html)]
    processes.run(words, check=True, cwd=folder, env=environment_in(folder))
    with chromium_page() as page:
        page.open(html.as_uri(), *REPORT)
        page.evaluate("new Promise((drawn) => setTimeout(drawn, 1000))")
        return page.picture()


PICTURES: Final[Mapping[str, tuple[str, Callable[[Path], bytes]]]] = {
    "terminal": ("terminal.svg", terminal),
    "watch": ("watch.png", watch),
    "report": ("report.png", report),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PICTURES)} (all)")
    processes.guard_this_process()
    for name in parser.parse_args().names or PICTURES:
        file, make = PICTURES[name]
        with tempfile.TemporaryDirectory() as folder:
            made = make(Path(folder))
        (PLACE / file).write_bytes(made)
        print(f"{file}: {len(made) / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
