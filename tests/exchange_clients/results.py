"""Results of the clients: the outcome of each client's calls, and a table of what the exchange offers and which clients
use it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.exchange_clients.documented import DOCUMENTED, INTERVALS, difference

PATIENCE_S: Final = 20.0
FEWEST_CLIENTS: Final = 3
THE_REST: Final = "the rest"
_GUIDE: Final = Path(__file__).parents[1] / "README.md"
_ROW: Final = re.compile(r"\| (?P<kind>[a-z ]+) \|(?P<offered>[^|]*)\|[^|]*\|")


def _itself(answer: Any) -> Any:
    return answer


@dataclass
class Results:
    """What one client's calls came to: by method or stream, "" or the difference."""

    client: str
    version: str
    by_call: dict[str, str] = field(default_factory=dict)
    generic: set[str] = field(default_factory=set)

    def note(self, what: str, answer: Any, *, generic: bool = False) -> None:
        """Compare an answer or event with the documentation, and keep the first difference.

        `generic` says that the client has no call of its own for it, and made the one that takes any name.
        """
        if generic and what not in self.by_call:
            self.generic.add(what)
        rows = isinstance(DOCUMENTED[what], list)
        if answer is None or (rows and not answer):
            self.by_call[what] = "no answer"
        elif not self.by_call.get(what):
            self.by_call[what] = difference(DOCUMENTED[what], answer)

    def worked(self, what: str) -> None:
        """Note a call whose answer the client keeps to itself, after what followed has shown that it was accepted."""
        self.by_call.setdefault(what, "")

    async def call(
        self, what: str, request: Awaitable[Any], read: Callable[[Any], Any] = _itself, *, generic: bool = False
    ) -> Any:
        """Await a request and note its answer, or its error. Returns the answer as `read` gives it; None for an error.

        `what` may name a variant of a method after a blank.
        """
        try:
            answer = read(await asyncio.wait_for(request, PATIENCE_S))
        except Exception as error:  # noqa: BLE001 - whatever a foreign client raises is its result
            self.by_call[what] = f"{type(error).__name__}: {error}"[:300]
            return None
        self.note(what, answer, generic=generic)
        return answer

    def mark(self, what: str) -> str:
        """Return how the client drove a method or a stream, in any of its variants, in a word; "-" if it did not."""
        called = [name for name in self.by_call if what in {name, name.partition(" ")[0]}]
        if not called:
            return "-"
        if any(self.by_call[name] for name in called):
            return "differs"
        return "own" if any(name not in self.generic for name in called) else "generic"


def offered() -> Iterator[str]:
    """Yield every method and stream that the table of tests/README.md, and the sentence below it, say is offered."""
    text = _GUIDE.read_text(encoding="utf-8").partition("## The embedded exchange")[2].partition("\n## ")[0]
    for row in filter(None, map(_ROW.fullmatch, text.splitlines())):
        for name in re.findall("`([^`]+)`", row["offered"]):
            if name == "@kline_1m":
                yield from (f"@kline_{interval}{offset}" for interval in INTERVALS for offset in ("", "@+08:00"))
            else:
                yield name
                if name.startswith("@depth"):
                    yield f"{name}@100ms"


def report(found: Sequence[Results], *, all_clients: bool) -> int:
    """Print the calls by client, each difference, and what fewer than three clients drive.

    Returns the exit code: 1 for a difference, and with `all_clients` also for what fewer than three drive.
    """
    table = list(offered())
    names = [*table, *(name for name in DOCUMENTED if name not in table), THE_REST]
    width = max(map(len, names))
    print(f"{'':{width}}  " + "  ".join(each.client for each in found))
    for what in names:
        if what in table or any(what in each.by_call for each in found):
            print(f"{what:{width}}  " + "  ".join(each.mark(what).ljust(len(each.client)) for each in found).rstrip())
    for each in found:
        same = [what for what, text in each.by_call.items() if not text]
        print(
            f"{each.client} {each.version}: {len(same)} the same, "
            f"{len(each.generic.intersection(same))} of them by a call that takes any name"
        )
        for what, text in each.by_call.items():
            if text:
                print(f"  {what}: {text}")
    fewer = {
        what: drivers
        for what in table
        if len(drivers := [each.client for each in found if each.mark(what) in {"own", "generic"}]) < FEWEST_CLIENTS
    }
    print(f"{len(table)} offered methods and streams, {len(fewer)} of them driven by fewer than three clients")
    for what, drivers in fewer.items():
        print(f"  {what}: {', '.join(drivers) or 'none'}")
    return int(any(text for each in found for text in each.by_call.values()) or (all_clients and bool(fewer)))
