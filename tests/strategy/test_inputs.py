"""Sides, regimes and the settings of each."""

import pytest
from tests.strategy.strategy_harness import held, params

from trailingedge.model.market import Regime


@pytest.mark.parametrize(
    ("regime", "scale", "trigger"),
    [pytest.param(Regime.BASE, 0.1, 0.3, id="base"), pytest.param(Regime.QUOTE, 0.2, 0.4, id="quote")],
)
def test_each_regime_has_its_own_fractions(regime: Regime, scale: float, trigger: float) -> None:
    settings = params(
        gain_scale_frac_base=0.1,
        gain_scale_frac_quote=0.2,
        min_gain_trigger_frac_base=0.3,
        min_gain_trigger_frac_quote=0.4,
    )
    assert settings.gain_scale_frac(regime) == scale
    assert settings.min_gain_trigger_frac(regime) == trigger


def test_holdings_know_the_asset_of_a_regime() -> None:
    holdings = held("2", "3")
    assert (holdings.amount_in(Regime.BASE), holdings.amount_in(Regime.QUOTE)) == (holdings.base, holdings.quote)
