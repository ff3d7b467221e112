import asyncio

import pytest
from tests.exchange_clients.documented import METHODS, NUMBER, STREAMS, difference, fields
from tests.exchange_clients.results import Results, offered, report

SHAPE = fields("price", "id", "isMaker", fills=[fields("qty")], row=(NUMBER, str))
ANSWER = {"price": "1.0", "id": 1, "isMaker": True, "fills": [{"qty": "1"}], "row": [1, "2"]}


def test_everything_that_the_table_offers_has_documented_fields() -> None:
    assert set(offered()) == METHODS.keys() - {name for name in METHODS if " " in name} | STREAMS.keys()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ""),
        ({"price": 1.0}, "answer.price: 1.0 is no str"),
        ({"id": "1"}, "answer.id: '1' is no int"),
        ({"id": True}, "answer.id: True is no int"),
        ({"price": None}, "answer.price: None is no str"),
        ({"more": 1}, "answer: missing [], more ['more']"),
        ({"fills": [{"qty": "1"}, {}]}, "answer.fills[1]: missing ['qty'], more []"),
        ({"fills": {}}, "answer.fills: no list: {}"),
        ({"row": [1]}, "answer.row: 1 columns instead of 2"),
        ({"row": [1, 2]}, "answer.row[1]: 2 is no str"),
    ],
    ids=str,
)
def test_a_difference_is_told_by_its_place(changed: dict[str, object], told: str) -> None:
    assert difference(SHAPE, ANSWER | changed) == told


def test_a_difference_is_kept_when_a_later_event_has_none() -> None:
    results = Results("a", "1")
    results.note("time", {"serverTime": "1"})
    results.note("time", {"serverTime": 1})
    assert results.by_call == {"time": "answer.serverTime: '1' is no int"}


def test_rows_that_never_came_are_no_answer() -> None:
    results = Results("a", "1")
    results.note("myTrades", [])
    results.note("ping", {})
    assert results.by_call == {"myTrades": "no answer", "ping": ""}


async def test_an_error_of_a_client_is_its_result() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("-1102")

    results = Results("a", "1")
    assert await results.call("time", fails()) is None
    assert results.by_call == {"time": "ValueError: -1102"}


def clients(number: int, *without: str) -> list[Results]:
    """So many clients that drive all that is offered, the last one but for some."""
    found = [Results(f"client {index}", "1", dict.fromkeys(offered(), "")) for index in range(number)]
    for name in without:
        del found[-1].by_call[name]
    return found


def test_what_fewer_than_three_clients_drive_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(clients(3, "@trade"), all_clients=True) == 1
    assert "1 of them driven by fewer than three clients\n  @trade: client 0, client 1\n" in capsys.readouterr().out
    assert report(clients(1), all_clients=False) == 0
    assert report(clients(3), all_clients=True) == 0


def test_a_variant_of_a_method_drives_the_method(capsys: pytest.CaptureFixture[str]) -> None:
    found = clients(3, "ticker.24hr")
    found[-1].note("ticker.24hr MINI", {}, generic=True)
    assert report(found, all_clients=False) == 1
    found[-1].by_call["ticker.24hr MINI"] = ""
    assert report(found, all_clients=True) == 0
    assert (found[-1].mark("ticker.24hr"), found[0].mark("ticker.24hr")) == ("generic", "own")
    assert "ticker.24hr MINI: answer: missing" in capsys.readouterr().out


def test_a_call_of_its_own_is_not_made_generic_by_a_later_one() -> None:
    results = Results("a", "1")
    results.worked("ping")
    results.note("ping", {}, generic=True)
    results.note("time", {"serverTime": 1}, generic=True)
    assert (results.mark("ping"), results.mark("time"), results.mark("depth")) == ("own", "generic", "-")
