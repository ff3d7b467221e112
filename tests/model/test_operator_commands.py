from trailingedge.model.operator_commands import OperatorCommand


def test_people_read_cancel_where_records_have_withdraw() -> None:
    assert OperatorCommand.CANCEL.shown == "cancel"
    assert OperatorCommand("withdraw") is OperatorCommand.CANCEL
