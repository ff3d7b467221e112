"""Equity curves: the account beside holding base, and half of each."""

import pytest
from tests.report.report_builders import a_quiet_story, a_story

from trailingedge.report.equity_curves import equity


def test_the_curves_compare_the_account_with_what_it_began_with() -> None:
    curves = equity(a_story())
    assert curves.account == pytest.approx((0.0, 0.02, 0.0192, 0.0188))
    assert curves.hold_base == pytest.approx((0, 0.02, 0.0004, 0))
    assert curves.hold_half == pytest.approx((0, 0.01, 0.0002, 0))
    assert curves.drawdown == pytest.approx((0, 0, 2548 / 2550 - 1, 2547 / 2550 - 1))


def test_an_account_without_a_sample_has_no_curve() -> None:
    assert equity(a_quiet_story()).account == ()
