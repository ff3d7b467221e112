"""Stream check: frames that arrive, a silent stream, and one that cannot be reached."""

from tests.commands.virtual_exchange import names_with_status, run_online_checks

from trailingedge.commands.checks.result import CheckStatus
from trailingedge.core.errors import ExitCode


def test_a_stream_that_speaks_is_heard() -> None:
    found, _ = run_online_checks()
    assert found["market stream"].status is CheckStatus.OK
    assert "first frame after 0." in found["market stream"].text


def test_a_stream_that_is_away_stops_nothing_else() -> None:
    found, _ = run_online_checks(shut="stream")
    assert names_with_status(found, CheckStatus.FAILED) == ["market stream"]
    assert found["market stream"].code is ExitCode.UNREACHABLE
    assert found["canary order"].status is CheckStatus.OK


def test_a_silent_stream_is_distinguished_from_a_dead_one() -> None:
    found, _ = run_online_checks(moving=False)
    assert found["market stream"].status is CheckStatus.WARNING
    assert "no frames within 10 s, though a request returned bid 2500.00 FDUSD" in found["market stream"].text


def test_a_market_of_which_nothing_is_known_is_out_of_reach() -> None:
    found, _ = run_online_checks(moving=False, deaf_to='"bidPrice"')
    assert found["market stream"].code is ExitCode.UNREACHABLE
    assert "BINANCE_WS_STREAM_URL" in found["market stream"].remedy
