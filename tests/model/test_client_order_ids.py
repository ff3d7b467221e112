"""Client order ids: ours and others'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import NUMBER, own

from trailingedge.model.client_order_ids import ClientOrderId, base36, from_base36, is_own, own_id
from trailingedge.model.intent import ExitKind

NUMBERS = st.integers(min_value=0, max_value=36**8 - 1)  # until the year 2059


@given(st.sampled_from(ExitKind), NUMBERS)
def test_an_id_of_ours_is_parsed_into_its_parts(kind: ExitKind, number: int) -> None:
    assert own_id(str(ClientOrderId(kind, number))) == ClientOrderId(kind, number)


@given(NUMBERS)
def test_base_36_reads_back_as_the_number_it_was(number: int) -> None:
    assert from_base36(base36(number)) == number
    assert int(base36(number), 36) == number


@given(st.sampled_from(ExitKind), NUMBERS)
def test_the_exchange_accepts_every_id_of_ours(kind: ExitKind, number: int) -> None:
    text = str(ClientOrderId(kind, number))
    assert len(text) <= 36
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_an_id_is_written_prefix_kind_number() -> None:
    assert str(ClientOrderId(ExitKind.FLUSH, 36 * 36 + 35)) == "TE-f-10z"
    assert str(ClientOrderId(ExitKind.TAKE_PROFIT, NUMBER)) == own()


def test_a_note_carries_its_anchor_in_ticks() -> None:
    assert own_id("TE-n-10z-5xc") == ClientOrderId(ExitKind.NOTE, 36 * 36 + 35, ticks=5 * 36 * 36 + 33 * 36 + 12)
    assert str(ClientOrderId(ExitKind.NOTE, 36 * 36 + 35, ticks=5 * 36 * 36 + 33 * 36 + 12)) == "TE-n-10z-5xc"


@given(NUMBERS, st.integers(min_value=0, max_value=10**12))
def test_a_note_reads_back_as_it_was_written_and_the_exchange_accepts_it(number: int, ticks: int) -> None:
    note = ClientOrderId(ExitKind.NOTE, number, ticks)
    assert own_id(str(note)) == note
    assert len(str(note)) <= 36


def test_a_note_without_an_anchor_is_still_ours_and_only_a_note_has_one() -> None:
    assert own_id("TE-n-10z") == ClientOrderId(ExitKind.NOTE, 36 * 36 + 35)
    assert own_id("TE-t-10z-5xc") == ClientOrderId(ExitKind.TAKE_PROFIT, 36 * 36 + 35)


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param("", id="nothing"),
        pytest.param("web_9f3c1d", id="the exchange's own page"),
        pytest.param("TE-t", id="no number"),
        pytest.param("TE--10z", id="no kind"),
        pytest.param("TE-x-10z", id="a kind we do not have"),
        pytest.param("TE-t-", id="an empty number"),
        pytest.param("TE-t-10Z", id="capitals"),
        pytest.param("TE-t-+10", id="a sign"),
        pytest.param("TE-t-1_0", id="an underscore, which int() would take"),
        pytest.param("te-t-10z", id="another prefix"),
        pytest.param("XTE-t-10z", id="a longer prefix"),
    ],
)
def test_an_id_of_another_form_is_not_ours(foreign: str) -> None:
    assert own_id(foreign) is None
    assert not is_own(foreign)


def test_a_negative_number_names_nothing() -> None:
    with pytest.raises(ValueError, match="negative"):
        base36(-1)
