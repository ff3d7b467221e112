"""Chromium without a window, for measuring and picturing pages, driven by its DevTools protocol.

It needs no package beside the program's own: commands and answers are JSON over a WebSocket. Source: the Chrome
DevTools Protocol, domains Page, Runtime, Performance, HeapProfiler and Emulation.
"""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests import processes
from tests.limits import PATIENCE_S
from websockets.sync.client import ClientConnection, connect

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS: Final = ("--headless", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0", "about:blank")


class Page:
    """A page of a browser, and the errors that it has shown on its console."""

    def __init__(self, connection: ClientConnection) -> None:
        self.errors: list[str] = []
        self._connection = connection
        self._numbers = itertools.count(1)
        for domain in ("Page", "Runtime", "Performance", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, url: str, width: int, height: int, *, dark: bool = False) -> None:
        """Open `url` in a window of this size, in the light or in the dark scheme."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Page.navigate", url=url)
        self.wait_until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript. Raises ValueError if it throws."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise ValueError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Wait until an expression is true. Raises TimeoutError."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not self.evaluate(expression):
            if time.monotonic() > give_up_s:
                raise TimeoutError(f"not so within {PATIENCE_S:.0f} s: {expression}")
            time.sleep(0.1)

    def sizes(self) -> tuple[int, int]:
        """Return the bytes of its JavaScript heap and the number of its DOM nodes, after a garbage collection."""
        self._ask("HeapProfiler.collectGarbage")
        found = {each["name"]: each["value"] for each in self._ask("Performance.getMetrics")["metrics"]}
        return int(found["JSHeapUsedSize"]), int(found["Nodes"])

    def picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(PATIENCE_S))
            if message.get("id") == number:
                if "error" in message:
                    raise ValueError(f"{method}: {message['error']}")
                return message["result"]  # type: ignore[no-any-return]
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]["exceptionDetails"]))
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.errors.append(message["params"]["entry"]["text"])


@contextlib.contextmanager
def chromium_page() -> Iterator[Page]:
    """Run Chromium within the block, with one page. Raises FileNotFoundError if there is no Chromium."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise FileNotFoundError(f"none of {', '.join(_NAMES)} is installed")
    # Its sandbox does not run as root.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        words = [program, *root, f"--user-data-dir={folder}", *_OPTIONS]
        port_file = Path(folder, "DevToolsActivePort")
        with processes.started(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            processes.wait_until(lambda: port_file.exists() and "\n" in port_file.read_text(encoding="ascii"))
            port = port_file.read_text(encoding="ascii").split("\n")[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                url = next(each["webSocketDebuggerUrl"] for each in json.load(answer) if each["type"] == "page")
            with connect(url, max_size=None, proxy=None, compression=None) as connection:
                yield Page(connection)
