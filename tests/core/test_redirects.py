"""Redirects: the refusal names the host and shows nothing else of the foreign header."""

import pytest

from trailingedge.core.redirects import redirect_refusal

URL = "wss://testnet.example/ws-api/v3"


@pytest.mark.parametrize(
    ("location", "named"),
    [
        pytest.param("https://evil.example/ws?x=1", "host evil.example", id="another host"),
        pytest.param("//evil.example:8443/", "host evil.example", id="without a scheme"),
        pytest.param("/ws-api/v4", "host testnet.example", id="the same host"),
        pytest.param("ws://[::1]:9/", "host ::1", id="an IPv6 address"),
        pytest.param("wss://user:secret@evil.example/", "host evil.example", id="with credentials"),
        pytest.param("wss://evil\x1b[2Jexample/", "an unreadable address", id="escape sequence"),
        pytest.param("wss://[oops/", "an unreadable address", id="no address"),
        pytest.param("wss://" + "a" * 300 + "/", "an unreadable address", id="too long"),
        pytest.param(None, "an unnamed address", id="no header"),
    ],
)
def test_a_redirect_is_refused_with_the_host_it_names(location: str | None, named: str) -> None:
    reason = redirect_refusal(307, URL, location)
    assert reason == f"HTTP 307: a redirect to {named} is not followed; correct the configured address"


@pytest.mark.parametrize("status", [101, 200, 299, 400, 403, 503])
def test_other_answers_are_no_redirects(status: int) -> None:
    assert redirect_refusal(status, URL, "https://evil.example/") is None
