"""Tests of the proxy environment: which proxy an address gets, and which entries a person must correct."""

import contextlib

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.proxy import parse_proxy

from trailingedge.core import proxy_environment
from trailingedge.core.errors import ConfigError
from trailingedge.core.proxy_environment import HTTPX, WEBSOCKETS, ProxyClient, find_proxy

API = "wss://ws-api.binance.com:443/ws-api/v3"
BOT = "https://api.telegram.org"
PROXY = "http://10.1.1.1:3128"
SECRET = "pa55word"
BOTH = pytest.mark.parametrize(("url", "client"), [(API, WEBSOCKETS), (BOT, HTTPX)], ids=["websockets", "httpx"])


@pytest.fixture(autouse=True)
def no_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages for SOCKS are not installed."""
    monkeypatch.setattr(proxy_environment, "find_spec", lambda _: None)


def problem(url: str, client: ProxyClient, **environ: str) -> str:
    with pytest.raises(ConfigError) as wrong:
        find_proxy(url, client, environ)
    [text] = wrong.value.problems
    assert SECRET not in text
    return text


@BOTH
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_both_libraries_get_the_same_proxy(url: str, client: ProxyClient, name: str) -> None:
    assert find_proxy(url, client, {name: PROXY}) == PROXY


@BOTH
@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"http_proxy": "http://other:1"}, id="for another scheme"),
        pytest.param({"https_proxy": "", "HTTPS_PROXY": PROXY}, id="emptied in lower case"),
        pytest.param({"HTTPS_PROXY": PROXY, "no_proxy": "*"}, id="all hosts excluded"),
    ],
)
def test_without_a_proxy_for_its_scheme_an_address_is_reached_directly(
    url: str, client: ProxyClient, environ: dict[str, str]
) -> None:
    assert find_proxy(url, client, environ) is None


def test_the_special_variable_and_lower_case_win() -> None:
    environ = {"WSS_PROXY": "http://a:1", "https_proxy": "http://b:1", "HTTPS_PROXY": "http://c:1", "ALL_PROXY": "x"}
    assert find_proxy(API, WEBSOCKETS, environ) == "http://a:1"
    assert find_proxy(BOT, HTTPX, environ) == "http://b:1"


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/x", "ws://[::1]:1", "http://localhost:1"])
def test_this_machine_is_reached_directly_whatever_the_environment(url: str) -> None:
    assert find_proxy(url, HTTPX, {"all_proxy": "nonsense", "no_proxy": "[::1]"}) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("binance.com", API, True),
        (".binance.com", API, True),
        ("*.binance.com", API, True),
        ("WS-API.Binance.com", API, True),
        ("localhost, 127.0.0.1,ws-api.binance.com:443", API, True),
        ("ws-api.binance.com:9443", API, False),
        ("api.binance.com", API, False),
        ("nance.com", API, False),
        ("localhost,::1,10.0.0.0/8", API, False),
        ("10.0.0.0/8", "https://10.2.3.4", True),
        ("10.2.3.4", "https://10.2.3.4", True),
        ("11.0.0.0/8", "https://10.2.3.4", False),
        ("fd00::7", "https://[fd00::7]", True),
    ],
)
def test_hosts_are_excluded_by_name_domain_and_address(no_proxy: str, url: str, direct: bool) -> None:
    assert (find_proxy(url, HTTPX, {"all_proxy": PROXY, "NO_PROXY": no_proxy}) is None) == direct


@BOTH
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("proxy", [PROXY, ""], ids=["with a proxy", "without one"])
@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        ("[::1]", "write ::1"),
        ("[fd00::1]", "write fd00::1"),
        ("fd00::/8", "write single addresses"),
        ("[fd00::]/8", "write single addresses"),
        ("fe80::1%eth0", "write fe80::1"),
        ("http://binance.com", "write it like example.com"),
        ("10.0.0.0/33", "10.0.0.0/8"),
        ("[::1]:443", "write it like"),
        ("a_b..c", "write it like"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named_with_its_variable(
    url: str, client: ProxyClient, name: str, proxy: str, entry: str, remedy: str
) -> None:
    text = problem(url, client, **{"https_proxy": proxy, name: f"localhost,{entry}, example.org"})
    assert text.startswith(f"{name} has the entry {entry}: ")
    assert remedy in text


def test_every_wrong_entry_is_named() -> None:
    with pytest.raises(ConfigError) as wrong:
        find_proxy(API, WEBSOCKETS, {"no_proxy": "[::1],fd00::/8"})
    assert len(wrong.value.problems) == 2


@BOTH
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("10.1.1.1:3128", "10.1.1.1:3128: it has no scheme; put http:// before it"),
        ("proxy", "proxy: it has no scheme; put http:// before it"),
        (f"me:{SECRET}@proxy:3128", "***@proxy:3128: it has no scheme"),
        (f"http://me:{SECRET}@", "http://***@: it must have a host"),
        (f"http://me:{SECRET}/@proxy:x", "http://***@proxy:x: its user, host or port cannot be read"),
        ("http://proxy:99999", "http://proxy:99999: its user, host or port cannot be read"),
        ("http://proxy:0", "http://proxy:0: it must have a host in ASCII letters, and a port that is not 0"),
        ("http://[::1", "cannot be read"),
        ("http://me@proxy", "http://***@proxy: it has a user without a password"),
        ("http://me:%ff@proxy", "cannot be read"),
        ("http://proxy:1/path", "it must end after host and port"),
        ("ftp://proxy:1", "its scheme must be one of http, https, socks5, socks5h"),
        ("http://bücher:1", "a host in ASCII letters"),
        ("http://10.1.1.256:1", "cannot be read"),
        ("http://" + "a" * 70 + ":1", "cannot be read"),
        ("socks5://proxy:1080", "socks5://proxy:1080: a SOCKS proxy needs the package"),
        ("socks5h://proxy:1080", "or use an http:// proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_with_its_variable(
    url: str, client: ProxyClient, name: str, proxy: str, said: str
) -> None:
    text = problem(url, client, **{name: proxy})
    assert text.startswith(f"{name} is ")
    assert said in text


def test_the_package_for_socks_is_that_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"all_proxy": "socks5h://proxy:1080"}
    assert "python-socks[asyncio]" in problem(API, WEBSOCKETS, **environ)
    assert "package socksio;" in problem(BOT, HTTPX, **environ)
    monkeypatch.setattr(proxy_environment, "find_spec", lambda _: object())
    assert find_proxy(API, WEBSOCKETS, environ) == "socks5h://proxy:1080"
    assert find_proxy(API, WEBSOCKETS, {"SOCKS_PROXY": "http://proxy:1080"}) == "socks5h://proxy:1080"
    assert "must be one of" in problem(BOT, HTTPX, all_proxy="socks4://proxy:1080")


def test_the_proxy_of_an_excluded_host_is_not_judged() -> None:
    assert find_proxy(API, WEBSOCKETS, {"https_proxy": "proxy", "no_proxy": "binance.com"}) is None


URL_TEXT = st.text(st.sampled_from("ab1.:@/[]%-_?# ") | st.characters(), max_size=30)


@given(URL_TEXT, URL_TEXT)
@example("HTTP://a", "")
@example("http://a@b:c@d:1/", "")
def test_any_text_is_a_problem_or_a_proxy_that_both_libraries_accept(proxy: str, no_proxy: str) -> None:
    for text in (proxy, f"http://{proxy}"):
        for url, client in ((API, WEBSOCKETS), (BOT, HTTPX)):
            with contextlib.suppress(ConfigError):
                found = find_proxy(url, client, {"https_proxy": text, "no_proxy": no_proxy})
                if found is not None:
                    parse_proxy(found)
                    httpx.Proxy(found)
