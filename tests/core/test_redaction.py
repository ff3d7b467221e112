"""Redaction: what looks like a secret, known secrets, and how little it costs where there is none."""

import json
import os
import time
from typing import Final
from urllib.parse import quote

import pytest

from trailingedge.core.printable import printable
from trailingedge.core.redaction import ELLIPSIS, REDACTED, Redactor, looks_secret, redact, redact_bytes

PEM: Final = "-----BEGIN PRIVATE KEY-----\nMC4CAQhushhush\n-----END PRIVATE KEY-----"
TOKEN: Final = "123456789:AAhush-abcdefghijklmnopqrstuvwxyz_12"

SECRETS: Final = [
    pytest.param('{"params":{"apiKey":"hush","signature":"hush+/=="},"id":1}', id="request"),
    pytest.param('{"APIKEY" : "hush", "Signature":\t"hush"}', id="case and blanks"),
    pytest.param('{"signature" : "hush', id="no closing quote"),
    pytest.param('{"apiKey":"hu\\"hush"}', id="escaped quote"),
    pytest.param("params {'signature': 'hush+/==', 'api_key': 'hush'}", id="dictionary"),
    pytest.param(r'"text":"{\"apiKey\":\"hush\"}"', id="JSON in a JSON string"),
    pytest.param("GET /order?apiKey=hush&signature=hush%2B", id="query"),
    pytest.param("X-MBX-APIKEY: hush", id="header"),
    pytest.param(f"before {PEM} after", id="PEM"),
    pytest.param(PEM[:-20], id="half a PEM"),
    pytest.param(PEM.lower(), id="PEM in small letters"),
    pytest.param(f"POST https://host/bot{TOKEN}/sendMessage", id="bot token"),
    pytest.param(f"https://host/?next=bot{TOKEN.replace(':', '%3A')}", id="percent-encoded bot token"),
    pytest.param(f"https://host/?next=bot{TOKEN.replace(':', '%253a')}", id="bot token encoded twice"),
    pytest.param(TOKEN.replace(":", r"\u003A"), id="bot token with a JSON escape"),
    pytest.param(json.dumps(json.dumps(json.dumps({"apiKey": "hush", "n": 'quote"'}))), id="JSON three times"),
    pytest.param(json.dumps(json.dumps(json.dumps(json.dumps({"signature": "hush+/=="})))), id="JSON four times"),
    pytest.param("NAME_API_KEY=hush", id="environment"),
    pytest.param("export BINANCE_ED25519_API_KEY='hush'", id="shell"),
    pytest.param("TELEGRAM_BOT_TOKEN=hush", id="token in the environment"),
    pytest.param("?next=%2Fa%3FapiKey%3Dhush%26signature%3Dhush", id="query in a query"),
    pytest.param("%7B%22apiKey%22%3A%22hush%22%7D", id="percent-encoded JSON"),
    pytest.param('{"secretKey":"hush","password":"hush"}', id="other names"),
]

KEY: Final = "hushAbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWx"
# What is struck out of a text for people, and not of the frames of a record.
IN_TEXT: Final = [
    pytest.param(f"unknown setting {KEY}", id="API key"),
    pytest.param("MC4CAQAwBQYDK2VwBCIEIhush+hush/hush", id="private key without BEGIN"),
    pytest.param("proxy http://me:hush@10.0.0.1:3128 refused", id="password of a proxy"),
]


@pytest.mark.parametrize("text", IN_TEXT)
def test_a_key_is_known_by_its_look(text: str) -> None:
    assert "hush" not in redact(text)
    assert looks_secret(text)


@pytest.mark.parametrize("part", ["ab-", "apikey", 'apikey"', "://", "A1b", "MIA", "123456:"])
def test_a_long_text_takes_little_time(part: str) -> None:
    text = part * 20_000
    began_s = time.process_time()
    redact(text)
    looks_secret(text)
    assert time.process_time() - began_s < 5


def test_a_known_secret_is_struck_out_in_every_form() -> None:
    secret = "p4ss: wörd/\udcff"
    redactor = Redactor([secret])
    for form in (secret, printable(secret), quote(secret, safe="", errors="surrogateescape")):
        assert redactor.redact(f"a {form} b") == f"a {REDACTED} b"


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_is_struck_out_of_text_and_of_bytes(text: str) -> None:
    assert "hush" not in redact(text)
    assert REDACTED in redact(text)
    assert b"hush" not in redact_bytes(text.encode())
    assert redact(redact(text)) == redact(text)
    assert redact(text, ELLIPSIS) == redact_bytes(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            'placed id=TE-t-lx3k9 {"symbol":"ETHFDUSD","timestamp":1783000000000,"price":"2500.10"}', id="log"
        ),
        pytest.param('{"id":3,"status":200,"result":{"apiKey":null,"authorizedSince":null}}', id="no key"),
        pytest.param("2026-07-02 13:46:40.123 api connected url=wss://ws-api.binance.com:443/ws-api/v3", id="address"),
        pytest.param("api_key must be set", id="a word about a key"),
        pytest.param("Telegram refuses the token: 401 Unauthorized", id="a word about a token"),
        pytest.param("private key: no such file secrets/ed25519-priv.pem", id="a word about a private key"),
        pytest.param(f"fingerprint {'0123456789abcdef' * 4} {'x' * 80}", id="a hash"),
        pytest.param("wss://host:9443/stream?streams=ethfdusd@bookTicker/ethfdusd@kline_1m", id="streams"),
    ],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert Redactor(["K3y"]).redact(text) == text
    assert redact_bytes(text.encode()) == text.encode()


def test_a_long_frame_is_redacted_like_a_short_one() -> None:
    one = '{"params":{"apiKey":"hush","signature":"hush+/=="},"note":"apikey: hush","id":1}'
    many = one * 2000
    assert redact(many) == redact(one) * 2000
    assert redact_bytes(many.encode()) == redact_bytes(one.encode()) * 2000


def test_a_secret_that_is_no_utf8_is_struck_out() -> None:
    secret = os.fsdecode(b"\xff\xfeabcdefghijklmnopq")
    redactor = Redactor([secret])
    assert redactor.redact(f"key {secret}") == f"key {REDACTED}"
    assert redactor.redact_known(b"key \xff\xfeabcdefghijklmnopq") == f"key {REDACTED}".encode()


@pytest.mark.parametrize("frame", ['{"apiKey":["K"],"id":1}', '{"signature":{"a":1}}'])
def test_a_list_or_an_object_after_a_name_leaves_a_frame_json(frame: str) -> None:
    assert json.loads(redact(frame)) is not None


def test_a_frame_stays_json() -> None:
    frame = {"id": 1, "params": {"apiKey": "k", "signature": "s=", "note": '{"apiKey":"k"}', "n": 5}, "apiKey": None}
    for raw in (json.dumps(frame), json.dumps(frame, separators=(",", ":"))):
        kept = json.loads(redact(raw, ELLIPSIS))
        assert kept["params"] == {"apiKey": "…", "signature": "…", "note": '{"apiKey":"…"}', "n": 5}
        assert kept["apiKey"] is None


@pytest.mark.parametrize("length", range(20, 75))
def test_a_frame_that_is_cut_anywhere_gives_nothing_away(length: int) -> None:
    frame = '{"id":1,"params":{"apiKey":"QQQQQQQQQQQQ","signature":"QQQQQQQQQQQQQQ=="}}'
    assert "Q" not in redact(frame[:length])


def test_known_secrets_are_struck_out_the_longest_first() -> None:
    redactor = Redactor(["K3y", "", "K3y-configured"])
    redactor.add_secrets(["another"])
    assert redactor.redact("K3y-configured K3y another one") == f"{REDACTED} {REDACTED} {REDACTED} one"
    assert redactor.redact_known(b"K3y-configured another") == b"[redacted] [redacted]"
