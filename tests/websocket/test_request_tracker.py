"""RequestTracker: each request gets one outcome, in any order of replies, timeouts and losses."""

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import RateLimit
from trailingedge.websocket.event_parser import Reply, ServerShutdown
from trailingedge.websocket.request_tracker import (
    NoResponse,
    RequestOutcome,
    RequestTracker,
    SessionRevoked,
    json_request,
)


class ReplyLog:
    """Outcomes of each request, by its name."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[RequestOutcome]] = {}

    def add(self, tracker: RequestTracker, name: str, now_s: float = 0.0, timeout_s: float = 5.0) -> int:
        """Add a request of that name and return its id."""
        replies = self.outcomes.setdefault(name, [])
        return tracker.add(name, now_s, timeout_s, replies.append)


def reply(number: int | None, result: object = None, status: int = 200) -> str:
    return json.dumps({"id": number, "status": status, "result": result})


def test_a_request_is_one_compact_frame() -> None:
    text = json_request("klines", {"symbol": "币安人生", "limit": 5})(1)
    assert text == '{"id":1,"method":"klines","params":{"symbol":"币安人生","limit":5}}'


def test_a_request_without_parameters_sends_none() -> None:
    assert json_request("time")(1) == '{"id":1,"method":"time"}'


@pytest.mark.parametrize("order", list(permutations(("a", "b", "c"))))
def test_each_reply_finds_its_request_in_any_order(order: tuple[str, ...]) -> None:
    tracker, log = RequestTracker(), ReplyLog()
    numbers = {name: log.add(tracker, name) for name in ("a", "b", "c")}
    for name in order:
        assert tracker.on_frame(reply(numbers[name], name)) is None
    assert log.outcomes == {name: [Reply(200, name)] for name in "abc"}
    assert tracker.in_flight == 0


def test_ids_grow() -> None:
    tracker, log = RequestTracker(), ReplyLog()
    assert [log.add(tracker, name) for name in "abc"] == [1, 2, 3]


def test_only_requests_past_their_timeout_get_no_response() -> None:
    tracker, log = RequestTracker(), ReplyLog()
    log.add(tracker, "hasty", now_s=0.0, timeout_s=1.0)
    log.add(tracker, "patient", now_s=0.0, timeout_s=9.0)
    assert tracker.next_expiry_s == 1.0
    tracker.expire(0.9)
    assert log.outcomes["hasty"] == []
    tracker.expire(1.0)
    assert log.outcomes == {"hasty": [NoResponse("timeout")], "patient": []}
    assert tracker.next_expiry_s == 9.0


def test_nothing_expires_without_a_request() -> None:
    assert RequestTracker().next_expiry_s is None


def test_a_late_reply_is_still_delivered_once() -> None:
    tracker, log = RequestTracker(), ReplyLog()
    number = log.add(tracker, "order.place")
    tracker.expire(5.0)
    tracker.on_frame(reply(number, "late"))
    tracker.on_frame(reply(number, "late"))
    assert log.outcomes["order.place"] == [NoResponse("timeout"), Reply(200, "late")]


def test_a_loss_gives_no_response_to_all_pending_requests() -> None:
    tracker, log = RequestTracker(), ReplyLog()
    number = log.add(tracker, "given up", timeout_s=1.0)
    tracker.expire(1.0)
    second = log.add(tracker, "in flight")
    tracker.on_connection_lost("closed 1006")
    assert log.outcomes["in flight"] == [NoResponse("closed 1006", connection_lost=True)]
    for late in (number, second):
        tracker.on_frame(reply(late))
    assert tracker.on_frame('{"event":{"e":"serverShutdown","E":5}}') is None
    assert [len(replies) for replies in log.outcomes.values()] == [1, 1]


def test_the_number_of_timed_out_requests_is_bounded() -> None:
    tracker, log = RequestTracker(), ReplyLog()
    numbers = [log.add(tracker, f"q{index}", timeout_s=0.0) for index in range(1001)]
    tracker.expire(0.0)
    tracker.on_frame(reply(numbers[0]))
    tracker.on_frame(reply(numbers[1]))
    assert len(log.outcomes["q0"]) == 1
    assert len(log.outcomes["q1"]) == 2


def test_a_failing_reply_handler_does_not_affect_the_others() -> None:
    def fail(_: RequestOutcome) -> None:
        raise KeyError("mistake")

    tracker, log = RequestTracker(), ReplyLog()
    tracker.add("bad", 0.0, 1.0, fail)
    log.add(tracker, "good", timeout_s=1.0)
    tracker.on_connection_lost("closed")
    assert len(log.outcomes["good"]) == 1


def test_rate_limits_are_passed_on() -> None:
    told: list[tuple[RateLimit, ...]] = []
    tracker, log = RequestTracker(told.append), ReplyLog()
    for count in (1, 2):
        number = log.add(tracker, "order.place")
        limit = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100, "count": count}
        tracker.on_frame(json.dumps({"id": number, "status": 200, "result": {}, "rateLimits": [limit]}))
    assert [limits[0].count for limits in told] == [1, 2]


@pytest.mark.parametrize("request_id", [1, None], ids=["answer", "unasked"])
def test_a_ban_is_remembered(request_id: int | None) -> None:
    tracker, log = RequestTracker(), ReplyLog()
    log.add(tracker, "time")
    data = {"serverTime": 5, "retryAfter": 9}
    error = {"code": -1003, "msg": "banned", "data": data}
    tracker.on_frame(json.dumps({"id": request_id, "status": 418, "error": error}))
    assert tracker.ban == Reply(418, code=-1003, text="banned", data=data)


def test_a_revocation_is_returned_and_is_no_reply() -> None:
    tracker, log = RequestTracker(), ReplyLog()
    log.add(tracker, "order.place")
    frame = '{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'
    assert tracker.on_frame(frame) == SessionRevoked(-2015, "Invalid API-key")
    assert log.outcomes["order.place"] == []


def test_an_unreadable_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    frame = '{"id":null,"status":400,"error":{"code":-1135,"msg":"Invalid \'id\'"}}'
    assert RequestTracker().on_frame(frame) is None
    assert "-1135" in caplog.text


def test_a_reply_with_an_unknown_id_is_ignored() -> None:
    assert RequestTracker().on_frame(reply(99)) is None


def test_events_are_returned() -> None:
    assert RequestTracker().on_frame('{"event":{"e":"serverShutdown","E":5}}') == ServerShutdown(5)


def test_an_unreadable_frame_changes_nothing() -> None:
    tracker, log = RequestTracker(), ReplyLog()
    log.add(tracker, "order.place")
    with pytest.raises(ProtocolViolation):
        tracker.on_frame("{")
    assert tracker.in_flight == 1


STEPS = st.tuples(st.sampled_from(["add", "add", "answer", "answer", "expire", "lose"]), st.integers(0, 9))


@given(st.lists(STEPS, max_size=40))
def test_only_a_late_reply_is_a_second_outcome(steps: list[tuple[str, int]]) -> None:
    tracker, log = RequestTracker(), ReplyLog()
    numbers: list[int] = []
    answered: set[int] = set()
    for now, (step, which) in enumerate(steps):
        if step == "add":
            numbers.append(log.add(tracker, f"q{len(numbers)}", now_s=now, timeout_s=2.0))
        elif step == "answer" and numbers:
            number = numbers[which % len(numbers)]
            tracker.on_frame(reply(number))
            answered.add(number)
        elif step == "expire":
            tracker.expire(now)
        elif step == "lose":
            tracker.on_connection_lost("closed")
            break
    for number, outcomes in zip(numbers, log.outcomes.values(), strict=True):
        replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
        silences = [outcome for outcome in outcomes if isinstance(outcome, NoResponse)]
        assert len(replies) <= 1
        assert len(silences) <= 1
        assert outcomes == silences + replies
        assert bool(replies) == (number in answered)
