"""Proxy environment: the proxy for an address, read from `https_proxy`, `all_proxy`, `no_proxy` and the like.

All connections of ours take their proxy from here. httpx and websockets can read these variables too, but they read
them differently, and their errors do not name the variable that is wrong. They also report a wrong proxy like a
network failure, so the program would retry for ever.

The lower-case name of a variable is read first, then the upper-case name. An empty variable counts as not set. The
network settings of Windows and macOS are not read. A wrong proxy or a wrong entry of `no_proxy` raises a ConfigError
that names the variable and the entry. User and password are never shown.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final
from urllib.parse import unquote, urlsplit

from trailingedge.core.errors import ConfigError

# The variables that give the proxy for an address, by its scheme; the first one that is set counts.
_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "wss": ("wss_proxy", "socks_proxy", "https_proxy", "all_proxy"),
    "ws": ("ws_proxy", "socks_proxy", "https_proxy", "http_proxy", "all_proxy"),
    "https": ("https_proxy", "all_proxy"),
    "http": ("http_proxy", "all_proxy"),
}
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"wss": 443, "https": 443, "ws": 80, "http": 80}
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_HOST_AND_PORT: Final = re.compile(r"(?:\*?\.)?([\w-]+(?:\.[\w-]+)*)\.?(?::([0-9]{1,5}))?")
_NUMERIC_HOST: Final = re.compile(r"[0-9.]+|.*:.*", re.ASCII)
_EXAMPLE: Final = "write it like http://host:3128"
_MAX_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class ProxyClient:
    """The proxies that a client library supports: the URL schemes, and the package that it needs for SOCKS."""

    schemes: tuple[str, ...]
    socks_module: str
    socks_package: str


WEBSOCKETS: Final = ProxyClient(
    ("http", "https", "socks5", "socks5h", "socks4", "socks4a"), "python_socks", "python-socks[asyncio]"
)
HTTPX: Final = ProxyClient(("http", "https", "socks5", "socks5h"), "socksio", "socksio")


def find_proxy(url: str, client: ProxyClient, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the URL of the proxy for `url`, or None for a direct connection. The proxy's URL may contain a password.

    Addresses of this machine are reached directly. Raises ConfigError if `client` cannot use the proxy, or if an entry
    of `no_proxy` cannot be read.
    """
    target = urlsplit(url)
    host = (target.hostname or "").rstrip(".")
    if is_loopback(host):
        return None
    excluded = _is_excluded(host, target.port or _DEFAULT_PORTS.get(target.scheme), environ)
    name, proxy = _chosen(target.scheme, environ)
    if not proxy or excluded:
        return None
    if name.lower() == "socks_proxy" and proxy.startswith("http://"):
        proxy = f"socks5h://{proxy.removeprefix('http://')}"  # how some systems declare a SOCKS proxy
    if fault := _fault(proxy, client):
        raise ConfigError([f"{name} is {_masked(proxy)}: {fault}"])
    return proxy


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _value(variable: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the name under which a variable is set (lower or upper case), and its value: "" if it is not set."""
    if variable in environ:
        return variable, environ[variable].strip()
    return variable.upper(), environ.get(variable.upper(), "").strip()


# The proxy -----------------------------------------------------------------------------------


def _chosen(scheme: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return name and value of the variable that sets the proxy for `scheme`. Both are "" if no variable does."""
    for variable in _VARIABLES.get(scheme, ()):
        name, value = _value(variable, environ)
        if value:
            return name, value
    return "", ""


def _fault(proxy: str, client: ProxyClient) -> str | None:
    """Return what is wrong with a proxy's URL, and how to correct it. Returns None if `client` can use it."""
    scheme, separator, rest = proxy.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return "it has no scheme; put http:// before it"
    if scheme.lower() not in client.schemes:
        return f"its scheme must be one of {', '.join(client.schemes)}; {_EXAMPLE}"
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
        if _NUMERIC_HOST.fullmatch(host):
            ipaddress.ip_address(host)
        unquote(f"{parts.username}{parts.password}", errors="strict")
    except ValueError:
        return f"its user, host or port cannot be read; {_EXAMPLE}"
    if not host or port == 0 or not rest.isascii() or not rest.isprintable() or " " in rest:
        return f"it must have a host in ASCII letters, and a port that is not 0; {_EXAMPLE}"
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return f"it must end after host and port; {_EXAMPLE}"
    if parts.username is not None and parts.password is None:
        return "it has a user without a password; write it like http://user:password@host:3128"
    if parts.scheme.startswith("socks") and find_spec(client.socks_module) is None:
        package = f"a SOCKS proxy needs the package {client.socks_package}"
        return f"{package}; install it into this program's environment, or use an http:// proxy"
    return None


def _masked(proxy: str) -> str:
    """Return the URL `proxy` as a message may show it: shortened, without user and password."""
    scheme, separator, rest = proxy.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        scheme, separator, rest = "", "", proxy
    # Everything before the last @ may belong to the password.
    _, user, address = rest.rpartition("@")
    return _shown(f"{scheme}{separator}{'***@' if user else ''}{address}")


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


# The hosts that are reached directly ---------------------------------------------------------


def _is_excluded(host: str, port: int | None, environ: Mapping[str, str]) -> bool:
    """Return whether `no_proxy` covers the host. Raises ConfigError that lists all invalid entries of `no_proxy`."""
    name, value = _value("no_proxy", environ)
    entries = [entry for entry in re.split(r"[,\s]+", value) if entry]
    problems = [f"{name} has the entry {_shown(entry)}: {fault}" for entry in entries if (fault := _entry_fault(entry))]
    if problems:
        raise ConfigError(problems)
    return any(_covers(entry, host, port) for entry in entries)


def _entry_fault(entry: str) -> str | None:
    """Return why an entry of `no_proxy` cannot be used, and a remedy; None if it can."""
    if entry == "*" or _network(entry) is not None or _HOST_AND_PORT.fullmatch(entry):
        return None
    bare = entry.strip("[]")
    if _is_ipv6(bare):
        return f"an IPv6 address has no brackets and no zone here; write {bare.partition('%')[0]}"
    if "/" in bare and _is_ipv6(bare.partition("/")[0].strip("[]")):
        return "a network of IPv6 addresses cannot be excluded; write single addresses or host names"
    if "://" in entry:
        return "it must be a host without a scheme; write it like example.com"
    return "it is no host, address or IPv4 network; write it like example.com, 10.1.2.3, ::1 or 10.0.0.0/8"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the address or IPv4 network in an entry of `no_proxy`. Returns None for a host name or invalid text."""
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
    return None if "%" in entry or (network.version == 6 and "/" in entry) else network


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Return whether a valid entry of `no_proxy` covers the host: by its name, its domain, or its address."""
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:  # the host is a name
            return False
    named = _HOST_AND_PORT.fullmatch(entry)
    if named is None or (named[2] is not None and int(named[2]) != port):
        return False
    domain = named[1].lower()
    return host == domain or host.endswith(f".{domain}")
