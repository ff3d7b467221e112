"""HTTP redirects: no redirect is followed, because the checks at the start are valid for the configured host only.

The start checks that `ws://` reaches only this machine, and that a test network does not trade real money. A redirect
could send a logon, a signature or a bot token to a host without these checks. So each HTTP client of ours reports a
redirect as a refused request, with the reason that `redirect_refusal` returns.
"""

import re
from typing import Final
from urllib.parse import urljoin, urlsplit

_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}")


def redirect_refusal(status: int, url: str, location: str | None) -> str | None:
    """Return why a redirect is refused, with the host that it leads to. Returns None if the answer is no redirect.

    `status` is the HTTP status of the answer from `url`, `location` its Location header.
    """
    if not 300 <= status < 400:
        return None
    return f"HTTP {status}: a redirect to {_host_of(url, location)} is not followed; correct the configured address"


def _host_of(url: str, location: str | None) -> str:
    if location is None:
        return "an unnamed address"
    try:
        host = urlsplit(urljoin(url, location)).hostname or ""
    except ValueError:
        host = ""
    # The header is foreign text: only what can be a host name or an address is shown.
    return f"host {host}" if _HOST.fullmatch(host) else "an unreadable address"
