"""The stand-in for Telegram is as strict as the real one: else what is proven with it proves little."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from tests import processes
from tests.bot_api import OWNER, TOKEN, BotApi, Reply
from tests.bot_api_html import BadEntities, cleaned, shown


def fixed_time() -> int:
    return 1_783_000_000_000


async def ask(api: BotApi, method: str, token: str = TOKEN, **fields: Any) -> Reply:
    return await api.answer(f"/bot{token}/{method}", fields)


def told(reply: Reply) -> tuple[int, str]:
    assert isinstance(reply.body, dict)
    return reply.status, str(reply.body.get("description", ""))


@pytest.mark.parametrize(
    ("html", "words"),
    [
        pytest.param("🏟 🏟&lt;<abacaba", "Unclosed start tag at byte offset 13", id="unclosed"),
        pytest.param("🏟 🏟&lt;<abac aba>", 'Unsupported start tag "abac" at byte offset 13', id="unknown"),
        pytest.param("a < b > c", 'Unsupported start tag "" at byte offset 2', id="smaller than"),
        pytest.param("🏟 🏟&lt;</", "Unexpected end tag at byte offset 13", id="end alone"),
        pytest.param("🏟 🏟&lt;<i>a</i   ", "Unclosed end tag at byte offset 17", id="unclosed end"),
        pytest.param(
            "🏟 🏟&lt;<i>a</em   >", 'Unmatched end tag at byte offset 17, expected "</i>", found "</em>"', id="crossed"
        ),
        pytest.param("<b>x", 'Can\'t find end tag corresponding to start tag "b"', id="no end"),
        pytest.param('<a href="x', 'Unclosed start tag "a" at byte offset 0', id="broken attribute"),
        pytest.param(
            "&#xDFDF;", "Text contains invalid Unicode characters after decoding HTML entities", id="half a character"
        ),
    ],
)
def test_bad_mark_up_is_refused_in_telegrams_words(html: str, words: str) -> None:
    with pytest.raises(BadEntities) as bad:
        shown(html)
    assert str(bad.value) == words


@pytest.mark.parametrize(
    ("html", "text"),
    [
        pytest.param("&lt;&gt;&amp;&quot;&laquo;&#12345678;", '<>&"&laquo;&#12345678;', id="four names"),
        pytest.param("AT&T &lt &#60", "AT&T < <", id="without semicolon"),
        pytest.param("➡️<b>x<i>y</i></b>", "➡️xy", id="nested"),
        pytest.param('<a href="https://x.test/?a&amp;b">x</a>', "x", id="attribute"),
        pytest.param("<b>x</>", "x", id="end without name"),
        pytest.param(" \n a\tb\x00\r\u2028 \n", "a b", id="control characters"),
    ],
)
def test_good_mark_up_is_shown(html: str, text: str) -> None:
    assert shown(html) == text


def test_plain_text_is_kept_but_for_invisible_characters() -> None:
    assert cleaned("\n<b> & \x1f</b>\n") == "<b> &  </b>"


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        pytest.param({"text": "<b>", "parse_mode": "HTML"}, "can't parse entities: Can't find end tag", id="mark-up"),
        pytest.param({"text": " "}, "message text is empty", id="empty"),
        pytest.param({"text": "x" * 4097}, "message is too long", id="too long"),
        pytest.param({"text": "😀" * 2049}, "message is too long", id="too long in UTF-16"),
    ],
)
async def test_a_message_it_cannot_take_is_refused(fields: dict[str, Any], answer: str) -> None:
    code, words = told(await ask(BotApi(fixed_time), "sendMessage", chat_id=OWNER, **fields))
    assert code == 400
    assert words.startswith(f"Bad Request: {answer}")


@pytest.mark.parametrize(
    ("token", "code"), [pytest.param("1:" + "A" * 35, 401, id="unknown"), pytest.param("nonsense", 404, id="odd")]
)
async def test_another_token_is_refused(token: str, code: int) -> None:
    assert told(await ask(BotApi(fixed_time), "getMe", token))[0] == code


async def test_a_strict_one_takes_a_message_a_second() -> None:
    api = BotApi(fixed_time, strict=True)
    assert (await ask(api, "sendMessage", chat_id=OWNER, text="one")).status == 200
    refused = await ask(api, "sendMessage", chat_id=OWNER, text="two")
    assert refused.status == 429
    assert isinstance(refused.body, dict)
    assert refused.body["parameters"] == {"retry_after": 2}


async def test_a_second_poller_ends_the_first() -> None:
    api = BotApi(fixed_time)
    first = asyncio.create_task(ask(api, "getUpdates", timeout=50))
    await api.asked_for("getUpdates")
    second = asyncio.create_task(ask(api, "getUpdates", timeout=50))
    assert told(await first)[0] == 409
    api.say("/why")
    assert (await second).status == 200


async def test_confirmed_updates_do_not_come_again() -> None:
    api = BotApi(fixed_time)
    for text in ("one", "two", "three"):
        api.say(text)

    async def texts(**fields: Any) -> list[str]:
        reply = await ask(api, "getUpdates", **fields)
        assert isinstance(reply.body, dict)
        return [update["message"]["text"] for update in reply.body["result"]]

    assert await texts() == ["one", "two", "three"]
    assert await texts(offset=-2) == ["two", "three"]
    assert await texts(offset=1003) == ["three"]
    assert await texts(offset=1004) == []


@pytest.mark.parametrize("behaviour", ["fine", "flood"])
def test_it_runs_as_a_process(behaviour: str) -> None:
    command = [sys.executable, "-m", "tests.bot_api", "--port", "0", "--behaviour", behaviour]
    with processes.started(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        status, received = told_by_process(started["url"], started["token"])
    assert (status, received) == ((200, {"7": ["hello"]}) if behaviour == "fine" else (429, {}))


def told_by_process(url: str, token: str) -> tuple[int, object]:
    """How a message is answered, and what each chat received."""
    body = json.dumps({"chat_id": 7, "text": "hello"}).encode()
    opener: Callable[..., Any] = urllib.request.build_opener(_NoError, urllib.request.ProxyHandler({})).open
    with opener(urllib.request.Request(f"{url}/bot{token}/sendMessage", data=body)) as answer:
        status = answer.status
    with opener(f"{url}/received") as received:
        return status, json.load(received)


class _NoError(urllib.request.HTTPErrorProcessor):
    """A refusal is an answer."""

    def http_response(self, request: Any, response: Any) -> Any:  # noqa: ARG002 - the library's shape
        return response
