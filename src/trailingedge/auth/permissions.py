"""What the API key may do, asked once over HTTP: the WebSocket API does not tell.

A bot's key may read and trade. One that may also withdraw turns any leak into a loss of everything, so with
such a key nothing is started. An exchange that does not answer here is no reason not to trade.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from trailingedge.auth.manager import KeyManager
from trailingedge.core.errors import ConfigError, OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

PATH: Final = "/sapi/v1/account/apiRestrictions"
# By trading mode. Testnet and demo have no such endpoint.
BASE_URLS: Final[Mapping[str, str]] = MappingProxyType({"live": "https://api.binance.com"})
_WITHIN_S: Final = 10.0
_KEY_PAGE: Final = "at Binance, API Management"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the exchange says of a key; None where it does not say.

    `transfers`: it may move funds between accounts of the same owner.
    """

    trading: bool | None
    withdrawals: bool
    transfers: bool
    ip_restricted: bool | None


@dataclass(frozen=True, slots=True)
class PermissionCheck:
    """What a person must change before a start, and what he should know."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def base_url(mode: str, ws_api_url: str | None) -> str | None:
    """Where to ask in that mode; None where nobody is to be asked: an API URL of one's own may be any exchange."""
    return None if ws_api_url else BASE_URLS.get(mode)


def assess(permissions: Permissions) -> PermissionCheck:
    """What the permissions mean for us."""
    problems, warnings = [], []
    if permissions.withdrawals:
        problems.append(
            f"the API key may withdraw, and a bot's key must not: {_KEY_PAGE}, edit the key and switch "
            f'"Enable Withdrawals" off'
        )
    if permissions.trading is False:
        problems.append(
            f'the API key may not trade: {_KEY_PAGE}, edit the key and switch "Enable Spot & Margin Trading" on'
        )
    if permissions.transfers:
        warnings.append(f"the API key may transfer funds between accounts, which is not needed: {_KEY_PAGE}, forbid it")
    if permissions.trading is None or permissions.ip_restricted is None:
        warnings.append(f"whether the API key may trade, or is bound to an address, is not told; see {_KEY_PAGE}")
    if permissions.ip_restricted is False:
        warnings.append(
            f"the API key works from every address: whoever gets hold of it can trade with it; {_KEY_PAGE}, "
            f"restrict it to the address of this machine"
        )
    return PermissionCheck(tuple(problems), tuple(warnings))


async def verify(keys: KeyManager, url: str, timestamp_ms: int) -> tuple[str, ...]:
    """What to warn of. Raises ConfigError with everything that a person must change before a start.

    `timestamp_ms` is the exchange's clock as far as we know.
    """
    try:
        judgement = assess(await fetch_permissions(keys, url, timestamp_ms))
    except (RequestRefused, OutcomeUnknown, ProtocolViolation) as trouble:
        return (f"what the API key may do could not be learned: {trouble}; see for yourself {_KEY_PAGE}",)
    if judgement.problems:
        raise ConfigError(judgement.problems)
    return judgement.warnings


async def fetch_permissions(
    keys: KeyManager,
    url: str,
    timestamp_ms: int,
    *,
    recv_window_ms: int = 5000,
    transport: "httpx.AsyncBaseTransport | None" = None,
    within_s: float = _WITHIN_S,
) -> Permissions:
    """Ask for them at the exchange whose base URL is `url`.

    Raises RequestRefused, OutcomeUnknown where it cannot be asked or does not answer, ProtocolViolation for an odd
    answer. None of them carries key or signature, nor does any log line.
    """
    import httpx  # not above: it takes longer to import than all of ours, and most modes never need it

    for name in ("httpx", "httpcore"):  # their lines would show the signed address
        logging.getLogger(name).setLevel(logging.WARNING)
    # The exchange checks the signature over the query as it was sent, so the order is that of signing.
    params = {"recvWindow": recv_window_ms, "timestamp": timestamp_ms}
    query = "&".join(f"{name}={value}" for name, value in params.items())
    try:
        signature = quote(await keys.sign(params), safe="")
    except SessionLost as failed:
        raise OutcomeUnknown(str(failed)) from failed
    address = f"{url.rstrip('/')}{PATH}?{query}&signature={signature}"
    try:
        async with asyncio.timeout(within_s), httpx.AsyncClient(transport=transport, timeout=within_s) as client:
            answer = await client.get(address, headers={"X-MBX-APIKEY": keys.api_key})
    except (TimeoutError, httpx.TimeoutException):
        failure = f"no answer within {within_s:g} s"
    except httpx.ConnectError:
        failure = "it cannot be reached"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        failure = type(error).__name__  # its text might quote the header, and so the key
    else:
        return read_permissions(answer.status_code, answer.content)
    raise OutcomeUnknown(failure)


def read_permissions(status: int, body: bytes) -> Permissions:
    """The answer of `apiRestrictions`. Raises RequestRefused or ProtocolViolation."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ProtocolViolation(f"HTTP status {status}, and no answer that can be read")
    if status != 200:
        code, text = told.get("code"), told.get("msg")
        raise RequestRefused(code if isinstance(code, int) else status, str(text or "refused")[:200])
    return Permissions(
        trading=_flag(told, "enableSpotAndMarginTrading"),
        withdrawals=_withdrawals_enabled(told),
        transfers=_flag_or(told, "permitsUniversalTransfer") or _flag_or(told, "enableInternalTransfer"),
        ip_restricted=_flag(told, "ipRestrict"),
    )


def _withdrawals_enabled(told: Mapping[str, object]) -> bool:
    """Whatever else the answer lacks, and however it is put: only a plain no is one."""
    if "enableWithdrawals" not in told:
        raise ProtocolViolation("enableWithdrawals is not told")
    return told["enableWithdrawals"] is not False


def _flag(told: Mapping[str, object], name: str) -> bool | None:
    flag = told.get(name)
    return flag if isinstance(flag, bool) else None


def _flag_or(told: Mapping[str, object], name: str) -> bool:
    return told.get(name) is True
