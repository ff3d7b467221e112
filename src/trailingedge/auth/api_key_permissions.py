"""Permissions of the API key, queried once over HTTP: the WebSocket API has no such method.

A bot's key should read and trade. With a key that may also withdraw, any leak is a loss of everything, so nothing
starts with such a key. If the exchange does not reply to this query, trading starts with a warning: the query uses
another host (`api.binance.com`), and an outage of that host must not leave an open position
unwatched.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from trailingedge.auth.manager import KeyManager
from trailingedge.core import foreign_json
from trailingedge.core.errors import ConfigError, OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.core.http_client import UNCOMPRESSED, UnusableReply, read_body, silence_http_library
from trailingedge.core.proxy_environment import HTTPX, find_proxy
from trailingedge.core.redirects import redirect_refusal

if TYPE_CHECKING:
    import httpx

PATH: Final = "/sapi/v1/account/apiRestrictions"
# By trading mode. Testnet and demo have no /sapi endpoints.
BASE_URLS: Final[Mapping[str, str]] = MappingProxyType({"live": "https://api.binance.com"})
_WITHIN_S: Final = 10.0
_KEY_PAGE: Final = "at Binance, API Management"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Permissions of an API key. A permission is None if the exchange does not report it.

    `transfers`: the key may move funds between accounts of the same owner.
    """

    trading: bool | None
    withdrawals: bool
    transfers: bool
    ip_restricted: bool | None


@dataclass(frozen=True, slots=True)
class PermissionCheck:
    """Result of the check: problems that prevent a start, and warnings."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def base_url(mode: str, ws_api_url: str | None) -> str | None:
    """Return the base URL for querying the key's permissions; None if they must not be queried.

    They are queried only in live mode, and only at the standard API URL: a custom URL may lead to any exchange.
    """
    return None if ws_api_url else BASE_URLS.get(mode)


def assess(permissions: Permissions) -> PermissionCheck:
    """Return the problems and warnings that follow from the permissions."""
    problems, warnings = [], []
    if permissions.withdrawals:
        problems.append(
            f"the API key may withdraw funds, and a bot's key must not: {_KEY_PAGE}, edit the key and switch "
            f'"Enable Withdrawals" off'
        )
    if permissions.trading is False:
        problems.append(
            f'the API key may not trade: {_KEY_PAGE}, edit the key and switch "Enable Spot & Margin Trading" on'
        )
    if permissions.transfers:
        warnings.append(f"the API key may transfer funds between accounts, which is not needed: {_KEY_PAGE}, forbid it")
    if permissions.trading is None or permissions.ip_restricted is None:
        warnings.append(
            f"the exchange does not report whether the API key may trade and is restricted to an IP address; "
            f"check it {_KEY_PAGE}"
        )
    if permissions.ip_restricted is False:
        warnings.append(
            f"the API key works from every IP address, so a thief could trade with it; {_KEY_PAGE}, "
            f"restrict it to the address of this machine"
        )
    return PermissionCheck(tuple(problems), tuple(warnings))


async def verify(keys: KeyManager, url: str, timestamp_ms: int) -> tuple[str, ...]:
    """Query the permissions and return the warnings. Raises ConfigError with all problems that prevent a start.

    `timestamp_ms` is the exchange's clock.
    """
    try:
        check = assess(await fetch_permissions(keys, url, timestamp_ms))
    except (RequestRefused, OutcomeUnknown, ProtocolViolation) as error:
        return (f"permissions of the API key unknown: {error}; check them {_KEY_PAGE}",)
    if check.problems:
        raise ConfigError(check.problems)
    return check.warnings


async def fetch_permissions(
    keys: KeyManager,
    url: str,
    timestamp_ms: int,
    *,
    recv_window_ms: int = 5000,
    transport: "httpx.AsyncBaseTransport | None" = None,
    timeout_s: float = _WITHIN_S,
) -> Permissions:
    """Query the permissions at the exchange whose base URL is `url`.

    Raises RequestRefused if the exchange refuses, OutcomeUnknown if no reply comes, and ProtocolViolation if the
    reply is unreadable, compressed or too large. Raises ConfigError if the environment names a proxy that cannot be
    used. No error text and no log line contains the key or the signature.
    """
    import httpx  # not above: its import takes longer than that of our whole package, and most modes never need it

    silence_http_library()
    # The exchange checks the signature over the query as it was sent, and `sign` sorts by name, so this dictionary must
    # be sorted by name.
    params = {"recvWindow": recv_window_ms, "timestamp": timestamp_ms}
    query = "&".join(f"{name}={value}" for name, value in params.items())
    try:
        signature = quote(await keys.sign(params), safe="")
    except SessionLost as failed:
        raise OutcomeUnknown(str(failed)) from failed
    address = f"{url.rstrip('/')}{PATH}?{query}&signature={signature}"
    proxy = find_proxy(url, HTTPX)
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(
                transport=transport,
                timeout=timeout_s,
                verify=httpx.create_ssl_context(),
                proxy=proxy,
                trust_env=False,
                follow_redirects=False,
            ) as client,
            client.stream("GET", address, headers={"X-MBX-APIKEY": keys.api_key, **UNCOMPRESSED}) as reply,
        ):
            body = await read_body(reply)
    except UnusableReply as unusable:
        raise ProtocolViolation(str(unusable)) from unusable
    except (TimeoutError, httpx.TimeoutException):
        failure = f"no reply within {timeout_s:g} s"
    except httpx.ConnectError:
        failure = "the exchange cannot be reached"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        failure = type(error).__name__  # its text may quote the header with the API key
    else:
        redirect = redirect_refusal(reply.status_code, url, reply.headers.get("Location"))
        if redirect is not None:
            raise ProtocolViolation(redirect)
        return read_permissions(reply.status_code, body)
    raise OutcomeUnknown(failure)


def read_permissions(status: int, body: bytes) -> Permissions:
    """Return the permissions in a reply of `apiRestrictions`. Raises RequestRefused or ProtocolViolation."""
    try:
        raw = foreign_json.parse(body)
    except UnreadableJson:
        raw = None
    if not isinstance(raw, dict):
        raise ProtocolViolation(f"unreadable reply with HTTP status {status}")
    if status != 200:
        code, text = raw.get("code"), raw.get("msg")
        raise RequestRefused(code if isinstance(code, int) else status, str(text or "refused")[:200])
    return Permissions(
        trading=_flag(raw, "enableSpotAndMarginTrading"),
        withdrawals=_withdrawals_enabled(raw),
        transfers=_flag_or(raw, "permitsUniversalTransfer") or _flag_or(raw, "enableInternalTransfer"),
        ip_restricted=_flag(raw, "ipRestrict"),
    )


def _withdrawals_enabled(raw: Mapping[str, object]) -> bool:
    """Return whether the key may withdraw. Any value except the boolean false counts as yes."""
    if "enableWithdrawals" not in raw:
        raise ProtocolViolation("enableWithdrawals is missing")
    return raw["enableWithdrawals"] is not False


def _flag(raw: Mapping[str, object], name: str) -> bool | None:
    flag = raw.get(name)
    return flag if isinstance(flag, bool) else None


def _flag_or(raw: Mapping[str, object], name: str) -> bool:
    return raw.get(name) is True
