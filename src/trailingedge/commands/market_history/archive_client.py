"""Archive client: fetches one file, or its checksum, from Binance's public archive over HTTP.

Theory of operation. A transfer that is cut, stalls or is very slow is continued after the bytes that are on the disk
(HTTP Range); an archive that does not support ranges sends the whole file again. The checksum is that of the whole
file, so a file that has changed during the transfer is detected, and fetched again from its beginning. The pause before
the next attempt grows with each failure, and the number of attempts is limited. A reply 429 or 418 stops all requests
for the time that the reply names. This module unpacks no file and follows no redirect.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trailingedge.commands.market_history.archive_layout import ArchiveFile
from trailingedge.commands.market_history.verified_files import CHECKSUM_SUFFIX, PartFile, read_sum
from trailingedge.core.bounded_files import megabytes
from trailingedge.core.clock import Clock, within
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, TrailingEdgeError
from trailingedge.core.http_client import UNCOMPRESSED, UnusableReply, body_pieces, read_body, silence_http_library
from trailingedge.core.proxy_environment import HTTPX, find_proxy
from trailingedge.core.redirects import redirect_refusal

if TYPE_CHECKING:
    import httpx

ATTEMPTS: Final = 5
LONGEST_WAIT_S: Final = 300.0
_UNSAID_WAIT_S: Final = 60.0
_FIRST_PAUSE_S: Final = 1.0
_STALL_S: Final = 30.0
# What is slower than this over a minute will not end: it is given up and begun anew, as after a cut.
_SLOW_AFTER_S: Final = 60.0
_LEAST_BYTES_PER_S: Final = 1024
# A transfer that got this far before it was cut counts as progress: its attempts begin again.
_PROGRESS_BYTES: Final = 1 << 20
# The largest month of trades of the busiest pair has several gigabytes.
MOST_BYTES: Final = 16 << 30
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

OnBytes = Callable[[int], None]


class ArchiveRefused(TrailingEdgeError):
    """Raised if the archive does not give this file and another request would not help."""


class _Failed(Exception):
    """An attempt failed for a reason that may be temporary; `reached` says whether the archive answered."""

    def __init__(self, reason: str, *, reached: bool = True) -> None:
        super().__init__(reason)
        self.reached = reached


class ArchiveClient:
    """Requests to one archive, several at a time over one pool of connections."""

    def __init__(self, base_url: str, http: "httpx.AsyncClient", clock: Clock) -> None:
        self._base_url = base_url.rstrip("/")
        self._http = http
        self._clock = clock
        self._closed_until_s = 0.0

    async def fetch_sum(self, file: ArchiveFile) -> str | None:
        """Return the checksum of a file; None if the archive has no such file.

        Raises ArchiveRefused, and ConfigError or ExchangeUnreachable if the archive cannot be used at all.
        """
        tries = _Tries(self._clock, self._base_url)
        while True:
            try:
                return await self._sum(file)
            except _Failed as failed:
                await tries.wait_after(failed)

    async def fetch(self, file: ArchiveFile, part: PartFile, on_bytes: OnBytes) -> bool:
        """Fetch a file into its part; `on_bytes` is called for each piece.

        Returns False if the archive does not have the file. The part may already hold the beginning of the file. Raises
        the errors of `fetch_sum`, and OSError.
        """
        tries = _Tries(self._clock, self._base_url)
        while True:
            before = part.size
            try:
                return await self._continue(file, part, on_bytes)
            except _Failed as failed:
                if part.size - before >= _PROGRESS_BYTES:
                    tries.begin_again()
                await tries.wait_after(failed)

    async def _sum(self, file: ArchiveFile) -> str | None:
        async with self._get(file.path + CHECKSUM_SUFFIX) as reply:
            if reply.status_code == 404:
                return None
            self._raise_for(reply)
            with _as_failure(reached=True):
                async with within(self._clock, _STALL_S):
                    body = await read_body(reply)
        found = read_sum(body, file.name)
        if found is None:
            raise _Failed("the reply is no checksum; a proxy may have answered instead of the archive")
        return found

    async def _continue(self, file: ArchiveFile, part: PartFile, on_bytes: OnBytes) -> bool:
        had = part.size
        async with self._get(file.path, {"Range": f"bytes={had}-"} if had else {}) as reply:
            if reply.status_code == 404:
                return False
            if reply.status_code == 416 and had:
                return True  # the part is as long as the file, or longer: its sum will tell
            self._raise_for(reply)
            if reply.headers.get("Content-Type", "").startswith("text/html"):
                raise _Failed("the reply is a page and no file; a proxy may have answered instead of the archive")
            if not _continues(reply, had):
                part.restart()
                had = 0
            with _as_failure(reached=True):
                await self._receive(reply, part, on_bytes, MOST_BYTES - had)
        return True

    async def _receive(self, reply: "httpx.Response", part: PartFile, on_bytes: OnBytes, most_bytes: int) -> None:
        stated = _stated_bytes(reply)
        if stated > most_bytes:
            raise UnusableReply(f"the file is larger than {megabytes(MOST_BYTES)}")
        began_s, received = self._clock.now_s(), 0
        async with contextlib.aclosing(body_pieces(reply, most_bytes)) as pieces:
            while True:
                async with within(self._clock, _STALL_S):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                part.append(piece)
                on_bytes(len(piece))
                received += len(piece)
                took_s = self._clock.now_s() - began_s
                if took_s > _SLOW_AFTER_S and received < took_s * _LEAST_BYTES_PER_S:
                    raise _Failed(f"the transfer is slower than {_LEAST_BYTES_PER_S} bytes a second")
        if received < stated:
            raise _Failed(f"the transfer was cut after {received} of {stated} bytes")

    @contextlib.asynccontextmanager
    async def _get(self, path: str, headers: Mapping[str, str] = _NO_HEADERS) -> AsyncIterator["httpx.Response"]:
        # Another request may extend the wait while this one sleeps.
        while (wait_s := self._closed_until_s - self._clock.now_s()) > 0:
            await self._clock.sleep(wait_s)
        request = self._http.build_request("GET", f"{self._base_url}/{path}", headers={**UNCOMPRESSED, **headers})
        with _as_failure(reached=False):
            async with within(self._clock, _STALL_S):
                reply = await self._http.send(request, stream=True)
        try:
            yield reply
        finally:
            await reply.aclose()

    def _raise_for(self, reply: "httpx.Response") -> None:
        """Raise an error according to the status of a reply, unless the reply contains the file or a part of it."""
        status = reply.status_code
        if status in (200, 206):
            return
        if redirect := redirect_refusal(status, self._base_url, reply.headers.get("Location")):
            raise ConfigError([f"BINANCE_ARCHIVE_URL {self._base_url}: {redirect}"])
        if status in (418, 429):
            wait_s = _retry_after_s(reply.headers.get("Retry-After"))
            if wait_s > LONGEST_WAIT_S:
                what = f"HTTP {status}: the archive takes no requests from this address for {wait_s:.0f} s"
                raise ExchangeUnreachable(f"{what}; run the same command again after that")
            self._closed_until_s = max(self._closed_until_s, self._clock.now_s() + wait_s)
            raise _Failed(f"HTTP {status}: too many requests")
        if status >= 500:
            raise _Failed(f"HTTP {status}", reached=False)
        raise ArchiveRefused(f"HTTP {status}")


class _Tries:
    """The attempts to fetch one file: five, with pauses of 1, 2, 4 and 8 s between them."""

    def __init__(self, clock: Clock, base_url: str) -> None:
        self._clock = clock
        self._base_url = base_url
        self._failed = 0

    def begin_again(self) -> None:
        self._failed = 0

    async def wait_after(self, failed: _Failed) -> None:
        """Wait before the next attempt. Raises ArchiveRefused or ExchangeUnreachable after the last one."""
        self._failed += 1
        if self._failed == ATTEMPTS:
            reason = f"{failed}, {ATTEMPTS} times in a row"
            if failed.reached:
                raise ArchiveRefused(reason)
            remedy = (
                "check that this machine is online and BINANCE_ARCHIVE_URL is right, and run the same command again"
            )
            raise ExchangeUnreachable(f"{self._base_url}: {reason}; {remedy}")
        await self._clock.sleep(_FIRST_PAUSE_S * 2.0 ** (self._failed - 1))


def _retry_after_s(text: str | None) -> float:
    """Return how many seconds a reply tells us to wait; 60 if it does not contain a number of seconds."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() else _UNSAID_WAIT_S


def _stated_bytes(reply: "httpx.Response") -> int:
    text = reply.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _continues(reply: "httpx.Response", had: int) -> bool:
    """Return whether the body of the reply continues the part file, in which `had` bytes are."""
    return reply.status_code == 206 and reply.headers.get("Content-Range", "").startswith(f"bytes {had}-")


@contextlib.contextmanager
def _as_failure(*, reached: bool) -> Iterator[None]:
    """Turn exceptions of the HTTP library and of the clock into errors of this module."""
    import httpx  # not above: its import takes longer than most commands

    try:
        yield
    except UnusableReply as unusable:
        raise ArchiveRefused(str(unusable)) from unusable
    except TimeoutError as late:
        raise _Failed(f"no reply for {_STALL_S:g} s", reached=reached) from late
    except httpx.HTTPError as error:
        raise _Failed(
            f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, reached=reached
        ) from error


@contextlib.asynccontextmanager
async def open_client(base_url: str, clock: Clock) -> AsyncIterator[ArchiveClient]:
    """Open a client for as long as the `async with` block lasts. Raises ConfigError for a proxy that cannot be used."""
    import httpx

    silence_http_library()
    async with httpx.AsyncClient(
        timeout=None,  # `within` sets the time-outs, by our clock
        # Certificates take a while to load, and an archive on this machine has none.
        verify=httpx.create_ssl_context() if base_url.startswith("https:") else False,
        proxy=find_proxy(base_url, HTTPX),
        trust_env=False,
        follow_redirects=False,
    ) as http:
        yield ArchiveClient(base_url, http, clock)
