"""Every question gets its answer, in whatever order answers, time-outs and losses come."""

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import RateLimit
from trailingedge.websocket.event_parser import Reply, ServerShutdown
from trailingedge.websocket.request_tracker import NoResponse, RequestOutcome, RequestTracker, SessionRevoked


class Ears:
    """Remembers what each question heard."""

    def __init__(self) -> None:
        self.heard: dict[str, list[RequestOutcome]] = {}

    def ask(self, session: RequestTracker, name: str, now_s: float = 0.0, patience_s: float = 5.0) -> int:
        """Ask under that name; the id that went over the wire."""
        answers = self.heard.setdefault(name, [])
        request = json.loads(session.encode_request(name, {"a": 1}, now_s, patience_s, answers.append))
        assert request["method"] == name
        number: int = request["id"]
        return number


def reply(number: int | None, result: object = None, status: int = 200) -> str:
    return json.dumps({"id": number, "status": status, "result": result})


def test_a_question_is_one_compact_frame() -> None:
    text = RequestTracker().encode_request("klines", {"symbol": "币安人生", "limit": 5}, 0.0, 5.0, lambda _: None)
    assert text == '{"id":1,"method":"klines","params":{"symbol":"币安人生","limit":5}}'


def test_a_question_without_parameters_sends_none() -> None:
    assert RequestTracker().encode_request("time", None, 0.0, 5.0, lambda _: None) == '{"id":1,"method":"time"}'


@pytest.mark.parametrize("order", list(permutations(("a", "b", "c"))))
def test_each_answer_finds_its_question_in_any_order(order: tuple[str, ...]) -> None:
    session, ears = RequestTracker(), Ears()
    numbers = {name: ears.ask(session, name) for name in ("a", "b", "c")}
    for name in order:
        assert session.on_frame(reply(numbers[name], name)) is None
    assert ears.heard == {name: [Reply(200, name)] for name in "abc"}
    assert session.in_flight == 0


def test_ids_grow() -> None:
    session, ears = RequestTracker(), Ears()
    assert [ears.ask(session, name) for name in "abc"] == [1, 2, 3]


def test_only_those_whose_patience_is_over_hear_silence() -> None:
    session, ears = RequestTracker(), Ears()
    ears.ask(session, "hasty", now_s=0.0, patience_s=1.0)
    ears.ask(session, "patient", now_s=0.0, patience_s=9.0)
    assert session.next_expiry_s == 1.0
    session.expire(0.9)
    assert ears.heard["hasty"] == []
    session.expire(1.0)
    assert ears.heard == {"hasty": [NoResponse("timeout")], "patient": []}
    assert session.next_expiry_s == 9.0


def test_nothing_expires_while_nothing_is_asked() -> None:
    assert RequestTracker().next_expiry_s is None


def test_a_late_reply_is_still_delivered_once() -> None:
    session, ears = RequestTracker(), Ears()
    number = ears.ask(session, "order.place")
    session.expire(5.0)
    session.on_frame(reply(number, "late"))
    session.on_frame(reply(number, "late"))
    assert ears.heard["order.place"] == [NoResponse("timeout"), Reply(200, "late")]


def test_a_loss_silences_everybody_in_flight_and_then_all_is_quiet() -> None:
    session, ears = RequestTracker(), Ears()
    number = ears.ask(session, "given up", patience_s=1.0)
    session.expire(1.0)
    second = ears.ask(session, "in flight")
    session.on_connection_lost("closed 1006")
    assert ears.heard["in flight"] == [NoResponse("closed 1006", connection_lost=True)]
    for late in (number, second):
        session.on_frame(reply(late))
    assert session.on_frame('{"event":{"e":"serverShutdown","E":5}}') is None
    assert [len(answers) for answers in ears.heard.values()] == [1, 1]


def test_only_so_many_given_up_questions_are_remembered() -> None:
    session, ears = RequestTracker(), Ears()
    numbers = [ears.ask(session, f"q{index}", patience_s=0.0) for index in range(1001)]
    session.expire(0.0)
    session.on_frame(reply(numbers[0]))
    session.on_frame(reply(numbers[1]))
    assert len(ears.heard["q0"]) == 1
    assert len(ears.heard["q1"]) == 2


def test_one_listeners_mistake_does_not_cost_the_others_their_answers() -> None:
    def fail(_: RequestOutcome) -> None:
        raise KeyError("mistake")

    session, ears = RequestTracker(), Ears()
    session.encode_request("bad", None, 0.0, 1.0, fail)
    ears.ask(session, "good", patience_s=1.0)
    session.on_connection_lost("closed")
    assert len(ears.heard["good"]) == 1


def test_limits_are_told() -> None:
    told: list[tuple[RateLimit, ...]] = []
    session, ears = RequestTracker(told.append), Ears()
    for count in (1, 2):
        number = ears.ask(session, "order.place")
        limit = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100, "count": count}
        session.on_frame(json.dumps({"id": number, "status": 200, "result": {}, "rateLimits": [limit]}))
    assert [limits[0].count for limits in told] == [1, 2]


@pytest.mark.parametrize("request_id", [1, None], ids=["answer", "unasked"])
def test_a_ban_is_remembered(request_id: int | None) -> None:
    session, ears = RequestTracker(), Ears()
    ears.ask(session, "time")
    data = {"serverTime": 5, "retryAfter": 9}
    error = {"code": -1003, "msg": "banned", "data": data}
    session.on_frame(json.dumps({"id": request_id, "status": 418, "error": error}))
    assert session.ban == Reply(418, code=-1003, text="banned", data=data)


def test_a_revocation_is_returned_and_answers_nobody() -> None:
    session, ears = RequestTracker(), Ears()
    ears.ask(session, "order.place")
    frame = '{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'
    assert session.on_frame(frame) == SessionRevoked(-2015, "Invalid API-key")
    assert ears.heard["order.place"] == []


def test_a_request_nobody_could_read_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    frame = '{"id":null,"status":400,"error":{"code":-1135,"msg":"Invalid \'id\'"}}'
    assert RequestTracker().on_frame(frame) is None
    assert "-1135" in caplog.text


def test_an_answer_to_no_question_is_ignored() -> None:
    assert RequestTracker().on_frame(reply(99)) is None


def test_what_comes_unasked_is_returned() -> None:
    assert RequestTracker().on_frame('{"event":{"e":"serverShutdown","E":5}}') == ServerShutdown(5)


def test_an_unreadable_frame_changes_nothing() -> None:
    session, ears = RequestTracker(), Ears()
    ears.ask(session, "order.place")
    with pytest.raises(ProtocolViolation):
        session.on_frame("{")
    assert session.in_flight == 1


STEPS = st.tuples(st.sampled_from(["ask", "ask", "answer", "answer", "expire", "lose"]), st.integers(0, 9))


@given(st.lists(STEPS, max_size=40))
def test_nobody_hears_twice_but_by_a_late_reply(steps: list[tuple[str, int]]) -> None:
    session, ears = RequestTracker(), Ears()
    numbers: list[int] = []
    answered: set[int] = set()
    for now, (step, which) in enumerate(steps):
        if step == "ask":
            numbers.append(ears.ask(session, f"q{len(numbers)}", now_s=now, patience_s=2.0))
        elif step == "answer" and numbers:
            number = numbers[which % len(numbers)]
            session.on_frame(reply(number))
            answered.add(number)
        elif step == "expire":
            session.expire(now)
        elif step == "lose":
            session.on_connection_lost("closed")
            break
    for number, answers in zip(numbers, ears.heard.values(), strict=True):
        replies = [answer for answer in answers if isinstance(answer, Reply)]
        silences = [answer for answer in answers if isinstance(answer, NoResponse)]
        assert len(replies) <= 1
        assert len(silences) <= 1
        assert answers == silences + replies
        assert bool(replies) == (number in answered)
