"""The table of what the embedded exchange offers and refuses, against the exchange itself."""

import re
from pathlib import Path

import pytest
from tests.simulator.exchange_builders import a_client, a_hub, a_trader, tick

from trailingedge.model.market import Side
from trailingedge.simulator.api.session import METHODS, PUBLIC_METHODS

GUIDE = Path(__file__).parents[1] / "README.md"
ROW = re.compile(r"\| (?P<kind>[a-z ]+) \|(?P<offered>[^|]*)\|(?P<refused>[^|]*)\|")
SUPPORTED_BY_SESSION = ("session.", "userDataStream.")


def named(column: str, streams: bool) -> list[str]:
    """The methods, or the streams, of one column of the table."""
    text = GUIDE.read_text(encoding="utf-8").partition("## The embedded exchange")[2].partition("\n## ")[0]
    rows = [row for row in map(ROW.fullmatch, text.splitlines()) if row and row["kind"] != "kind"]
    assert rows
    cells = [row[column] for row in rows if row["kind"].startswith("streams") is streams]
    return [name for cell in cells for name in re.findall("`([^`]+)`", cell)]


def test_the_table_names_every_method() -> None:
    by_table = {name for name in named("offered", streams=False) if not name.startswith(SUPPORTED_BY_SESSION)}
    assert by_table == METHODS.keys() | PUBLIC_METHODS.keys()


@pytest.mark.parametrize("method", named("offered", streams=False))
def test_an_offered_method_is_supported(method: str) -> None:
    answer = a_trader().request(method)
    assert answer.get("error", {}).get("code") != -1020


@pytest.mark.parametrize("method", named("refused", streams=False))
def test_a_refused_method_has_the_documented_error(method: str) -> None:
    answer = a_trader().request(method)
    assert (answer["status"], answer["error"]) == (400, {"code": -1020, "msg": "This operation is not supported."})


@pytest.mark.parametrize(
    "name", [name for name in named("offered", streams=True) if name[:2] != "@+" and name != "@100ms"]
)
def test_an_offered_stream_publishes(name: str) -> None:
    stream = name if name.startswith("!") else f"ethfdusd{name}"
    client = a_client(a_hub(), f"/ws/{stream}")
    client.hub.on_tick(tick("100.05", at_s=1, last="100.05", traded="1", aggressor=Side.BUY))
    assert len(client.connection.frames) == 1


@pytest.mark.parametrize("name", named("refused", streams=True))
def test_a_refused_stream_is_answered_by_an_error(name: str) -> None:
    client = a_client(a_hub(), "/ws")
    client.send({"method": "SUBSCRIBE", "params": [f"ethfdusd{name}"], "id": 1})
    assert client.connection.frames[-1]["code"] == 2
