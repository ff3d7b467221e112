"""Tests of the Bot API client: each reply or failure is a result or one of two exceptions, without the token."""

import asyncio
import gzip
import logging
import traceback
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.bot_api import TOKEN, Behaviour, BotApi, Reply, refusal, result, serve
from tests.core.connect_proxy import refusing_proxy
from tests.notifications.telegram_harness import START_MS, Stage, on_stage

from trailingedge.core.errors import ConfigError
from trailingedge.notifications.telegram_api import BotApiClient, BotRefused, BotUnreachable, Connector
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual


async def answered(reply: Reply) -> object:
    """What a line makes of `reply`."""

    async def connect() -> httpx.AsyncClient:
        def handle(_: httpx.Request) -> httpx.Response:
            return httpx.Response(reply.status, content=reply.content)

        return httpx.AsyncClient(transport=httpx.MockTransport(handle), trust_env=False)

    line = BotApiClient("https://telegram.test", TOKEN, connect)
    try:
        return await line.call("getMe", {}, 1.0)
    finally:
        await line.close()


async def test_a_result_is_handed_on() -> None:
    assert await answered(result({"id": 5})) == {"id": 5}


@pytest.mark.parametrize(
    ("reply", "is_what"),
    [
        pytest.param(refusal(401, "Unauthorized"), "token_is_wrong", id="no such bot"),
        pytest.param(refusal(404, "Not Found"), "token_is_wrong", id="no token at all"),
        pytest.param(
            refusal(400, "Bad Request: can't parse entities: Unclosed start tag"), "cannot_parse", id="mark-up"
        ),
        pytest.param(refusal(400, "Bad Request: message is too long"), "message_at_fault", id="too long"),
        pytest.param(refusal(400, "Bad Request: message text is empty"), "message_at_fault", id="empty"),
    ],
)
async def test_a_refusal_says_what_is_at_fault(reply: Reply, is_what: str) -> None:
    with pytest.raises(BotRefused) as refused:
        await answered(reply)
    assert getattr(refused.value, is_what)


@pytest.mark.parametrize(
    "description", ["Bad Request: chat not found", "Forbidden: bot was kicked from the supergroup chat"]
)
async def test_any_other_refusal_is_of_the_chat(description: str) -> None:
    with pytest.raises(BotRefused) as refused:
        await answered(refusal(400, description))
    assert not refused.value.message_at_fault
    assert not refused.value.token_is_wrong


async def test_a_refusal_holds_the_wait_and_the_new_id_of_a_chat() -> None:
    with pytest.raises(BotRefused) as refused:
        await answered(refusal(429, "Too Many Requests", retry_after=35))
    assert refused.value.wait_s == 35.0
    with pytest.raises(BotRefused) as refused:
        await answered(refusal(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1001))
    assert refused.value.moved_to == -1001


async def test_retry_after_is_limited_to_an_hour() -> None:
    with pytest.raises(BotRefused) as refused:
        await answered(refusal(429, "Too Many Requests", retry_after=10**9))
    assert refused.value.wait_s == 3600.0


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(502, "<html>Bad Gateway</html>"), id="a gateway"),
        pytest.param(Reply(404, "<html>Not Found</html>"), id="another web site"),
        pytest.param(Reply(200, "[]"), id="other JSON"),
        pytest.param(Reply(200, '{"ok": "yes"}'), id="other words"),
        pytest.param(Reply(200, ""), id="nothing"),
        pytest.param(refusal(500, "Internal Server Error"), id="a fault of theirs"),
    ],
)
async def test_what_is_no_answer_of_the_bot_api_is_worth_another_try(reply: Reply) -> None:
    with pytest.raises(BotUnreachable):
        await answered(reply)


@on_stage
async def test_a_question_that_hangs_is_given_up_and_its_connection_too(stage: Stage) -> None:
    stage.api.behaviour = Behaviour.HANG
    line = stage.line()
    with pytest.raises(BotUnreachable, match="no answer within 20 s"):
        await line.call("getMe", {}, 20.0)
    assert stage.clock.now_s() == 22.0
    assert [client.is_closed for client in stage.clients] == [True]
    stage.api.behaviour = Behaviour.FINE
    assert (await line.call("getMe", {}, 20.0))["is_bot"]


@on_stage
async def test_the_line_knows_what_time_it_is_at_telegrams(stage: Stage) -> None:
    line = stage.line()
    await line.call("getMe", {}, 1.0)
    assert line.server_time_s == START_MS // 1000


@pytest.mark.parametrize("behaviour", [Behaviour.FINE, Behaviour.DOWN, Behaviour.ERROR, Behaviour.HANG])
def test_the_token_is_in_no_log_and_no_traceback(behaviour: Behaviour, caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        stage = Stage(clock)
        stage.api.behaviour = behaviour
        try:
            await stage.line().call("getMe", {}, 1.0)
        except BotUnreachable:
            logging.getLogger("test").exception("trouble")
            assert TOKEN not in traceback.format_exc()

    with caplog.at_level(logging.DEBUG):
        run_virtual(play, start_unix_ms=START_MS)
    assert TOKEN not in caplog.text


async def test_an_address_that_cannot_be_one_does_not_tell_the_token() -> None:
    line = BotApiClient("ftp://telegram.test", TOKEN, Connector("http://127.0.0.1"))
    with pytest.raises(BotUnreachable) as unreachable:
        await line.call("getMe", {}, 1.0)
    assert TOKEN not in str(unreachable.value)
    assert unreachable.value.__cause__ is None


async def test_a_redirect_is_refused_and_names_the_host_without_the_token() -> None:
    asked: list[str] = []

    async def connect() -> httpx.AsyncClient:
        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            return httpx.Response(307, headers={"Location": f"https://evil.example{request.url.path}"})

        return httpx.AsyncClient(transport=httpx.MockTransport(handle), trust_env=False)

    with pytest.raises(BotUnreachable, match=r"HTTP 307: a redirect to host evil\.example is not followed") as refused:
        await BotApiClient("https://telegram.test", TOKEN, connect).call("getMe", {}, 1.0)
    assert asked == ["telegram.test"]
    assert TOKEN not in str(refused.value)


# Over real sockets


def real_line(url: str) -> BotApiClient:
    return BotApiClient(url, TOKEN, Connector(url))


async def test_over_loopback_a_question_is_answered_and_the_library_keeps_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serve(BotApi(lambda: START_MS)) as url:
            line = real_line(url)
            assert (await line.call("getMe", {}, 5.0))["is_bot"]
            assert (await line.call("getMe", {}, 5.0))["is_bot"]
            await line.close()
    assert TOKEN not in caplog.text


async def test_over_loopback_a_port_without_a_server_is_unreachable() -> None:
    async with serve(BotApi(lambda: START_MS, behaviour=Behaviour.DOWN)) as url:
        with pytest.raises(BotUnreachable, match="ConnectError"):
            await real_line(url).call("getMe", {}, 5.0)


async def test_over_loopback_a_hang_ends_with_the_patience() -> None:
    async with serve(BotApi(lambda: START_MS, behaviour=Behaviour.HANG)) as url:
        with pytest.raises(BotUnreachable, match="ReadTimeout"):
            await real_line(url).call("getMe", {}, 0.05)


async def test_over_loopback_a_line_that_is_cancelled_leaves_nothing_open() -> None:
    api = BotApi(lambda: START_MS, behaviour=Behaviour.HANG)
    async with serve(api) as url:
        line = real_line(url)
        task = asyncio.create_task(line.call("getMe", {}, 5.0))
        await api.asked_for("getMe")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await line.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("[" * 200_000, id="nested beyond reading"),
        pytest.param("", id="nothing"),
    ],
)
async def test_a_reply_that_cannot_be_one_counts_as_unreachable(content: str) -> None:
    with pytest.raises(BotUnreachable):
        await answered(Reply(200, content))


@pytest.mark.parametrize(
    ("content", "headers", "words"),
    [
        pytest.param(
            b'{"ok": true, "result": "' + b"x" * (1 << 21) + b'"}', {}, "the reply is larger than 1 MB", id="2 MiB"
        ),
        pytest.param(
            gzip.compress(b'{"ok": true, "result": 5}'),
            {"Content-Encoding": "gzip"},
            "the reply is compressed, although an uncompressed one was requested",
            id="compressed",
        ),
    ],
)
async def test_a_reply_that_could_fill_the_memory_is_not_read(
    content: bytes, headers: dict[str, str], words: str
) -> None:
    asked: list[str] = []

    async def connect() -> httpx.AsyncClient:
        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request.headers["Accept-Encoding"])
            return httpx.Response(200, content=content, headers=headers)

        return httpx.AsyncClient(transport=httpx.MockTransport(handle), trust_env=False)

    with pytest.raises(BotUnreachable) as unreachable:
        await BotApiClient("https://telegram.test", TOKEN, connect).call("getMe", {}, 1.0)
    assert str(unreachable.value) == words
    assert asked == ["identity"]


def test_a_reply_that_trickles_ends_with_the_timeout() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(1.0)
            yield b" "

    async def connect() -> httpx.AsyncClient:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=trickle()))
        return httpx.AsyncClient(transport=transport, trust_env=False)

    async def play(clock: VirtualClock) -> float:
        with pytest.raises(BotUnreachable, match="no answer within 20 s"):
            await BotApiClient("https://telegram.test", TOKEN, connect).call("getMe", {}, 20.0)
        return clock.now_s()

    assert run_virtual(play, start_unix_ms=START_MS) == 22.0


async def test_requests_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with refusing_proxy() as (proxy, requests):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        line = BotApiClient("https://telegram.example", TOKEN, Connector("https://telegram.example"))
        with pytest.raises(BotUnreachable, match="403"):
            await line.call("getMe", {}, 5.0)
    assert requests == ["CONNECT telegram.example:443 HTTP/1.1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_PROXY", "localhost,[::1]"),
        ("no_proxy", "fd00::/8"),
        ("all_proxy", "proxy:1"),
        ("ALL_PROXY", "socks5://p:1"),
    ],
)
def test_a_wrong_proxy_is_a_problem_at_once(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        Connector("https://api.telegram.org")
    Connector("http://127.0.0.1:8081")  # on this machine no proxy is used
